"""Where gradients meet and where they are stored: added in place where the array is the walk's own, and never shared by two."""

from __future__ import annotations

import itertools
import threading
import tracemalloc

import numpy as np
import pytest

from minivision import memory
from minivision.autograd import Function, Tensor, grad
from minivision.autograd.tensor import LARGE
from minivision.threads import get_num_threads, set_num_threads
from tests.helpers import assert_close, to_device, to_numpy

SIZES = [5, LARGE + 3]


def leaf(array, device="cpu"):
    return Tensor(to_device(np.asarray(array, np.float64), device), requires_grad=True)


def address(array):
    return array.__array_interface__["data"][0]


class Gives(Function):
    """y = x; its backward returns what it is told to make."""

    def __init__(self, make):
        self.make = make

    def forward(self, x):
        return x * 1

    def backward(self, dy):
        return self.make(self, dy)


def keeps(node, dy):
    node.kept = dy * 2
    return node.kept


ELSEWHERE = np.ones(LARGE + 3) * 2
PROVIDERS = {
    "fresh": lambda node, dy: dy * 2,
    "the upstream": lambda node, dy: dy,
    "kept": keeps,
    "a global": lambda node, dy: ELSEWHERE[: dy.size],
    "a part of a larger": lambda node, dy: np.concatenate([dy, dy, dy])[: dy.size] * 1,
    "a view of a larger": lambda node, dy: np.concatenate([dy, dy, dy])[: dy.size],
    "every second": lambda node, dy: np.concatenate([dy, dy])[::2][: dy.size],
    "repeated": lambda node, dy: np.broadcast_to(np.ones(1), dy.shape),
    "read-only": lambda node, dy: np.frombuffer(dy.tobytes()),
    "workspace": lambda node, dy: np.copyto(w := memory.scratch("test", dy.shape, dy.dtype), dy) or w,
    "recycled": lambda node, dy: np.multiply(dy, 2, out=memory.empty(dy.shape, dy.dtype)),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("first", PROVIDERS)
@pytest.mark.parametrize("second", PROVIDERS)
def test_no_two_leaves_share(first, second, size):
    a, b = leaf(np.ones(size)), leaf(np.ones(size))
    upstream = np.linspace(1, 2, size)
    before = upstream.copy(), ELSEWHERE.copy()
    y = Gives(PROVIDERS[first])(a) + Gives(PROVIDERS[second])(b)
    y.backward(Tensor(upstream))
    expected = [to_numpy(x.grad).copy() for x in (a, b)]
    for x in (a, b):
        assert x.grad.array.flags.writeable
        x.grad.array += 1000
    memory.scratch("test", (size,), np.float64).fill(-1)
    for x, values in zip((a, b), expected, strict=True):
        assert_close(x.grad, values + 1000)
    np.testing.assert_array_equal(upstream, before[0])
    np.testing.assert_array_equal(ELSEWHERE, before[1])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("makes", list(itertools.combinations_with_replacement(PROVIDERS, 2)), ids=" and ".join)
def test_sums_disturb_nobody(makes, size):
    """Both gradients meet at an inner tensor; what they were made of keeps its values."""
    x, upstream = leaf(np.ones(size)), np.linspace(1, 2, size)
    inner = x * 1
    y = Gives(PROVIDERS[makes[0]])(inner) + Gives(PROVIDERS[makes[1]])(inner)
    nodes = [edge[0] for edge in y.grad_fn.edges]
    seen = []
    for node in nodes:
        original = node.backward

        def backward(dy, original=original):
            result = original(dy)
            seen.append(result.copy())
            return result

        node.backward = backward
    y.backward(Tensor(upstream), retain_graph=True)
    assert_close(x.grad, seen[0] + seen[1])
    np.testing.assert_array_equal(upstream, np.linspace(1, 2, size))
    np.testing.assert_array_equal(ELSEWHERE, 2)
    for node in nodes:
        if hasattr(node, "kept"):
            assert_close(node.kept, upstream * 2)


@pytest.mark.parametrize("make", ["fresh", "recycled"])
def test_a_large_gradient_of_ones_own_is_not_copied(make):
    places = []

    def backward(node, dy):
        result = PROVIDERS[make](node, dy)
        places.append(address(result))
        return result

    x = leaf(np.ones(LARGE + 3))
    Gives(backward)(x).backward(Tensor(np.ones(LARGE + 3)))
    assert places == [address(x.grad.array)]
    Gives(backward)(x).backward(Tensor(np.ones(LARGE + 3)))
    assert address(x.grad.array) == places[0] != places[1]  # added in place
    assert_close(x.grad, np.full(LARGE + 3, 4.0))


@pytest.mark.parametrize("make", ["a view of a larger", "every second"])
def test_a_gradient_keeps_no_more_than_its_own_memory(make):
    x = leaf(np.ones(LARGE + 3))
    Gives(PROVIDERS[make])(x).backward(Tensor(np.ones(LARGE + 3)))
    array = x.grad.array
    assert array.base is None or array.base.nbytes < array.nbytes + memory.GRAIN


@pytest.mark.parametrize("size", SIZES)
def test_a_hook_that_holds_on_to_a_gradient(size, device):
    x, held = leaf(np.ones(size), device), []
    y = x * 2
    y.register_hook(held.append)
    x.register_hook(held.append)
    (y * 3 + y * 4).sum().backward()
    x.grad.array[:] = -1
    assert_close(held[0], np.full(size, 7.0))
    assert_close(held[1], np.full(size, 14.0))


@pytest.mark.parametrize("size", SIZES)
def test_gradients_asked_for_are_ones_own(size, device):
    x = leaf(np.ones(size), device)
    y = x * 2
    dx, dy = grad((y * 3 + y * 4).sum(), [x, y])
    dy.array[:] = -1
    assert_close(dx, np.full(size, 14.0))


@pytest.mark.parametrize("size", SIZES)
def test_the_upstream_is_left_alone(size, device):
    x, upstream = leaf(np.ones(size), device), Tensor(to_device(np.ones(size), device))
    y = x + x
    y.backward(upstream, retain_graph=True)
    y.backward(upstream)
    x.backward(upstream)
    assert_close(x.grad, np.full(size, 5.0))
    assert_close(upstream, np.ones(size))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("layout", ["same", "different"])
def test_large_sums_on_any_number_of_threads(count, layout, rng):
    shape = (3, 65, 67, 41)
    assert np.prod(shape) > LARGE
    first, second = rng.standard_normal(shape), rng.standard_normal(shape)
    if layout == "different":
        second = np.ascontiguousarray(second.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    before = get_num_threads()
    set_num_threads(count)
    try:
        x = leaf(np.zeros(shape))
        inner = x * 1
        (inner * Tensor(first) + inner * Tensor(second)).backward(Tensor(np.ones(shape)))
        (x * Tensor(second)).backward(Tensor(np.ones(shape)))
    finally:
        set_num_threads(before)
    assert_close(x.grad, first + 2 * second)


def test_threads_with_graphs_of_their_own():
    """Each thread walks its own graph, at the same time as the others."""
    results = {}

    def work(n):
        x = leaf(np.full(100, float(n)))
        for _ in range(30):
            x.grad = None
            y = x
            for _ in range(20):
                y = y + x * 0.5
            (y * y).sum().backward()
        results[n] = to_numpy(x.grad)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(4):
        assert_close(results[n], np.full(100, 2 * 11 * 11.0 * n))


def test_the_peak_of_sums():
    """Ten gradients meet at one tensor: at no moment are there more than the sum, the one that comes, and its upstream."""
    size = 4 * LARGE
    x = leaf(np.ones(size))
    inner = x * 1
    y = Gives(lambda node, dy: dy * 2)(inner)
    for _ in range(9):
        y = y + Gives(lambda node, dy: dy * 2)(inner)
    upstream = Tensor(np.ones(size))
    memory.clear()
    tracemalloc.start()
    try:
        y.backward(upstream)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert_close(x.grad, np.full(size, 20.0))
    assert peak < 3.2 * size * 8


def test_what_was_kept_goes_before_the_gradients_are_sent_on():
    """A node's arrays are free when the next node runs."""
    size, alive = LARGE + 3, []

    class Big(Function):
        def forward(self, x):
            self.kept = np.ones(size)
            return x * 1

        def backward(self, dy):
            alive.append(tracemalloc.get_traced_memory()[0] / (size * 8))
            return dy * 1

    x = leaf([1.0])
    tracemalloc.start()
    try:
        y = x
        for _ in range(6):
            y = Big()(y)
        y.sum().backward()
    finally:
        tracemalloc.stop()
    assert [round(a) for a in alive] == [6, 5, 4, 3, 2, 1]
