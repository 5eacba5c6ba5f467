"""Memory that is used again: never by two at a time, never more than was needed, and whose it is."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import numpy as np
import pytest

from minivision import memory
from minivision.memory import GRAIN, SMALLEST, empty, empty_like, scratch, sole_owner
from tests.strict_cupy import strict_cupy

MB = 1 << 20


@pytest.fixture
def blocks(monkeypatch):
    """A store of blocks that nobody else uses."""
    fresh = memory._Blocks()
    monkeypatch.setattr(memory, "_blocks", fresh)
    return fresh


def address(array):
    return array.__array_interface__["data"][0]


def test_a_block_is_used_again(blocks):
    a = empty((512, 1024), np.float32)
    place = address(a)
    assert (blocks.lent, blocks.idle) == (2 * MB, 0)
    del a
    assert (blocks.lent, blocks.idle) == (0, 2 * MB)
    b = empty((1024, 256), np.float64)
    assert address(b) == place
    assert (blocks.lent, blocks.idle) == (2 * MB, 0)
    assert (b.shape, b.dtype) == ((1024, 256), np.float64)
    assert b.flags.c_contiguous
    assert b.flags.writeable


def test_two_arrays_never_share(blocks):
    arrays = [empty((256, 1024), np.float32) for _ in range(4)]
    for i, a in enumerate(arrays):
        a.fill(i)
    assert [set(np.unique(a)) for a in arrays] == [{0}, {1}, {2}, {3}]


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a.T,
        lambda a: a[3:5, ::2],
        lambda a: a.reshape(-1)[:1],
        lambda a: a.view(np.int32),
        lambda a: a.ravel(),
        lambda a: memoryview(a),
        lambda a: np.lib.stride_tricks.as_strided(a, (2,), (4,)),
        lambda a: np.broadcast_to(a[:1], (5, 1024)),
        lambda a: a.flat,
    ],
)
def test_a_view_keeps_the_block(blocks, view):
    a = empty((512, 1024), np.float32)
    v = view(a)
    del a
    gc.collect()
    assert (blocks.lent, blocks.idle) == (2 * MB, 0)
    del v
    gc.collect()
    assert (blocks.lent, blocks.idle) == (0, 2 * MB)


def test_small_arrays_are_numpys_own(blocks):
    a = empty((SMALLEST // 4 - 1,), np.float32)
    assert a.base is None
    assert blocks.lent == 0
    assert empty((0, 5), np.float32).shape == (0, 5)
    assert empty((SMALLEST // 4,), np.float32).base is not None
    assert empty_like(np.ones((3, 4), np.float32).T).strides == (4, 16)


def test_other_devices_keep_their_own(blocks):
    a = empty((512, 1024), np.float32, strict_cupy)
    assert type(a) is strict_cupy.ndarray
    assert blocks.lent == 0


def test_the_order_of_memory_stays(blocks):
    x = np.empty((2, 64, 64, 32), np.float32).transpose(0, 3, 1, 2)
    for dtype in (None, np.float64, bool):
        y = empty_like(x, dtype)
        assert y.shape == x.shape
        assert y.dtype == (dtype or np.float32)
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert blocks.peak > 0


def test_idle_blocks_do_not_raise_the_peak(blocks):
    """Sizes that never recur: each array is alone, so at most one of them and a little more may be in memory."""
    for n in range(10, 60):
        empty((n * GRAIN,), np.uint8)
        assert blocks.lent + blocks.idle <= blocks.peak * (1 + memory.SLACK)
    assert blocks.peak == 59 * GRAIN


def test_what_recurs_stays(blocks):
    """The same three arrays at a time, again and again: from the second round on nothing is new."""
    sizes = [10, 20, 30]

    def step():
        arrays = [empty((n * GRAIN,), np.uint8) for n in sizes]
        return {address(a) for a in arrays}

    first = step()
    assert blocks.idle == 60 * GRAIN
    assert step() == first
    assert step() == first


def test_the_limit_of_what_is_kept(blocks, monkeypatch):
    monkeypatch.setattr(memory, "KEPT", 30 * GRAIN)
    arrays = [empty((10 * GRAIN,), np.uint8) for _ in range(5)]
    assert blocks.lent == 50 * GRAIN
    del arrays
    assert (blocks.lent, blocks.idle) == (0, 30 * GRAIN)


def test_the_oldest_go_first(blocks, monkeypatch):
    monkeypatch.setattr(memory, "KEPT", 30 * GRAIN)
    a, b, c = (empty((n * GRAIN,), np.uint8) for n in (10, 12, 14))
    places = {name: address(array) for name, array in (("b", b), ("c", c))}
    del a
    del b
    del c
    assert blocks.idle == 26 * GRAIN  # without a
    b, c = (empty((n * GRAIN,), np.uint8) for n in (12, 14))
    assert {"b": address(b), "c": address(c)} == places


def test_clear(blocks):
    a = empty((512, 1024), np.float32)
    b = empty((512, 1024), np.float32)
    del b
    scratch("test", (1000,), np.float32)
    memory.clear()
    assert (blocks.lent, blocks.idle, blocks.peak) == (2 * MB, 0, 2 * MB)
    del a
    assert blocks.idle == 2 * MB


def test_many_threads(blocks):
    """Each writes its number over its arrays, and finds it there."""
    wrong = []

    def work(number):
        rng = np.random.default_rng(number)
        held = []
        for _ in range(300):
            a = empty((int(rng.integers(4, 8)) * GRAIN,), np.uint8)
            a[:: GRAIN // 4] = number
            held.append(a)
            if len(held) > 3:
                b = held.pop(int(rng.integers(len(held))))
                if not (b[:: GRAIN // 4] == number).all():
                    wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    blocks.clear()
    assert wrong == []
    assert (blocks.lent, blocks.idle) == (0, 0)


def test_a_block_may_come_back_while_the_store_is_busy(blocks):
    a = empty((512, 1024), np.float32)
    with blocks._lock:
        del a
        assert blocks.idle == 0
    empty((SMALLEST,), np.uint8)
    assert blocks.idle >= 2 * MB


# ---- workspaces ----


def test_scratch_is_the_same_memory():
    a = scratch("test", (4, 5), np.float32)
    assert (a.shape, a.dtype) == ((4, 5), np.float32)
    b = scratch("test", (2, 5), np.float64)
    assert (b.shape, b.dtype) == ((2, 5), np.float64)
    assert address(a) == address(b)
    assert scratch("test", (2, 5), np.float64) is b
    assert not np.may_share_memory(a, scratch("other", (4, 5), np.float32))
    assert scratch("test", (100, 100), np.float32).nbytes == 40_000


def test_scratch_belongs_to_the_thread():
    mine, other = scratch("test", (4, 5), np.float32), []
    thread = threading.Thread(target=lambda: other.append(scratch("test", (4, 5), np.float32)))
    thread.start()
    thread.join()
    assert not np.may_share_memory(mine, other[0])


def test_clear_reaches_the_workspaces_of_all_threads():
    began, end, refs = threading.Event(), threading.Event(), []

    def work():
        refs.append(weakref.ref(scratch("test", (4, 5), np.float32)))
        began.set()
        end.wait(10)

    thread = threading.Thread(target=work)
    thread.start()
    began.wait(10)
    assert refs[0]() is not None
    memory.clear()
    assert refs[0]() is None
    end.set()
    thread.join()


# ---- whose memory it is ----


def test_a_fresh_array_is_its_variables_own():
    a = np.ones(3)
    assert sole_owner(a)
    b = a
    assert not sole_owner(a)
    del b
    assert sole_owner(a)
    v = a[1:]
    assert not sole_owner(a)
    assert not sole_owner(v)
    del a
    assert sole_owner(v)


@pytest.mark.parametrize(
    "hold",
    [
        lambda a: [a],
        lambda a: {"a": a},
        lambda a: a.T,
        lambda a: memoryview(a),
        lambda a: a.flat,
        lambda a: lambda: a,
        lambda a: np.lib.stride_tricks.as_strided(a, (2,), (8,)),
        lambda a: np.asarray(memoryview(a)),
        lambda a: np.from_dlpack(a),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_whoever_else_could_see_it_counts(hold, large):
    a = empty((300, 300), np.float64) if large else np.ones((3, 3))
    held = hold(a)
    assert not sole_owner(a)
    del held
    assert sole_owner(a)


def test_arrays_out_of_blocks_have_owners_too():
    y = empty((512, 1024), np.float32)
    assert sole_owner(y)
    z = y.transpose()
    assert not sole_owner(z)
    del y
    assert sole_owner(z)


def test_what_is_not_surely_ones_own():
    foreign = np.frombuffer(bytearray(80), np.float64)
    assert not sole_owner(foreign)
    constant = np.ones(3)
    constant.flags.writeable = False
    assert not sole_owner(constant)
    repeated = np.broadcast_to(np.ones(1), (5,))
    assert not sole_owner(repeated)
    workspace = scratch("test", (3,), np.float64)
    assert not sole_owner(workspace)
    assert not sole_owner(strict_cupy.ones(3))
    assert not sole_owner(3.0)


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="this Python does not count")
def test_the_count_was_learnt():
    assert 0 < memory._alone["array"] < 10
    assert 0 < memory._alone["base"] < 10
