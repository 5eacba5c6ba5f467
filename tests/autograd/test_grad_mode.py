"""no_grad, enable_grad, set_grad_enabled: nested, exception-safe, per thread, as decorators."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from minivision.autograd import Tensor, enable_grad, is_grad_enabled, no_grad, set_grad_enabled


@pytest.fixture(autouse=True)
def recording_before_and_after():
    assert is_grad_enabled()
    yield
    assert is_grad_enabled()


def x():
    return Tensor(np.ones(2), requires_grad=True)


def test_nothing_is_recorded():
    with no_grad():
        y = x() * 2
    assert not y.requires_grad
    assert y.grad_fn is None
    assert (x() * 2).requires_grad


def test_nested():
    with no_grad():
        assert not is_grad_enabled()
        with enable_grad():
            assert is_grad_enabled()
            with no_grad():
                assert not is_grad_enabled()
            assert (x() * 2).requires_grad
        assert not is_grad_enabled()


def test_one_object_entered_twice():
    switch = no_grad()
    with enable_grad(), switch, enable_grad():
        with switch:
            assert not is_grad_enabled()
        assert is_grad_enabled()


def test_exceptions_restore():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()

    @no_grad()
    def fails():
        raise KeyError

    with pytest.raises(KeyError):
        fails()


def test_decorator():
    @no_grad()
    def predict(v, *, scale):
        """Doc."""
        return v * scale, is_grad_enabled()

    y, enabled = predict(x(), scale=2)
    assert not y.requires_grad
    assert not enabled
    assert predict.__name__ == "predict"
    assert predict.__doc__ == "Doc."

    @enable_grad()
    def train(v):
        return v * 2

    with no_grad():
        assert train(x()).requires_grad


def test_recursive_decorator():
    @no_grad()
    def countdown(n):
        return [is_grad_enabled()] + (countdown(n - 1) if n else [])

    assert countdown(3) == [False] * 4


def test_set_grad_enabled():
    for mode in (False, True):
        with set_grad_enabled(mode):
            assert is_grad_enabled() == mode
        assert is_grad_enabled()
    set_grad_enabled(False)
    try:
        assert not is_grad_enabled()
        with set_grad_enabled(True):
            assert is_grad_enabled()
        assert not is_grad_enabled()
    finally:
        set_grad_enabled(True)

    @set_grad_enabled(False)
    def off():
        return is_grad_enabled()

    assert is_grad_enabled()
    assert off() is False


def test_threads_are_independent():
    inside, release, seen = threading.Event(), threading.Event(), []

    def other():
        seen.append(is_grad_enabled())
        with no_grad():
            inside.set()
            release.wait(5)
            seen.append(is_grad_enabled())

    with no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(5)
    assert is_grad_enabled()
    release.set()
    thread.join()
    assert seen == [True, False]


def test_one_decorated_function_in_two_threads():
    """Calls that overlap leave each thread as it was."""
    barrier = threading.Barrier(2, timeout=5)

    @no_grad()
    def work(first):
        barrier.wait()
        if first:
            barrier.wait()

    after = {}

    def run(first):
        with set_grad_enabled(first):
            work(first)
            after[first] = is_grad_enabled()
            if not first:
                barrier.wait()

    threads = [threading.Thread(target=run, args=(first,)) for first in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert after == {True: True, False: False}


def test_tasks_are_independent():
    async def off(started, done):
        with no_grad():
            started.set()
            await done.wait()

    async def main():
        started, done = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(off(started, done))
        await started.wait()
        enabled = is_grad_enabled()
        done.set()
        await task
        return enabled

    assert asyncio.run(main())


def test_backward_works_under_no_grad():
    v = x()
    y = (v * v).sum()
    with no_grad():
        y.backward()
    assert v.grad is not None
    assert v.grad.tolist() == [2, 2]
