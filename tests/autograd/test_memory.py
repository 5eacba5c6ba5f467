"""Linear time, no recursion, and memory that is given back: during the walk, and without the cyclic garbage collector."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from minivision.autograd import Function, Tensor
from tests.helpers import assert_close, to_device


def leaf(array, device="cpu"):
    return Tensor(to_device(np.asarray(array, np.float64), device), requires_grad=True)


class Counted(Function):
    """y = x; counts backward calls."""

    visits = 0

    def forward(self, x):
        return x * 1

    def backward(self, dy):
        type(self).visits += 1
        return dy


@pytest.fixture
def no_collector():
    """The cyclic garbage collector is off: what goes, goes because nobody refers to it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_chain_of_100_000_operations(device):
    n = 100_000
    x = leaf([1.0], device)
    y = x
    for _ in range(n // 2):
        y = -y
    for _ in range(n // 2):
        y = y + x
    y.backward()
    assert_close(x.grad, [n / 2 + 1.0])


def test_dropping_a_long_chain(device, no_collector):
    x = leaf([1.0], device)
    y = x
    for _ in range(100_000):
        y = -y
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


def test_diamond_repeated_1000_times(device):
    """Each diamond doubles the gradient: 2^1000 paths, 2000 visits."""
    Counted.visits = 0
    x = leaf([1.0], device)
    y = x
    for _ in range(1000):
        a, b = Counted()(y), Counted()(y)
        y = a + b
    y.backward()
    assert_close(x.grad, [2.0**1000])
    assert Counted.visits == 2000


def test_doublings_cost_linear_work(device):
    Counted.visits = 0
    x = leaf([1.0], device)
    y = x
    for _ in range(30):
        y = Counted()(y)
        y = y + y
    y.backward()
    assert_close(x.grad, [2.0**30])
    assert Counted.visits == 30


def test_graph_goes_without_backward(device, no_collector):
    """Dropping the result frees every array and node of the graph at once."""
    x = leaf(np.ones((3, 4)), device)
    hidden = (x * 2).exp()
    y = (hidden * hidden).sum()
    refs = [weakref.ref(v) for v in (hidden.array, hidden.grad_fn, y.grad_fn, y.array)]
    del hidden, y
    assert [r() for r in refs] == [None] * 4


def test_graph_goes_with_backward(device, no_collector):
    x = leaf(np.ones((3, 4)), device)
    hidden = (x * 2).exp()
    y = (hidden * hidden).sum()
    hidden.retain_grad()
    refs = [weakref.ref(v) for v in (hidden.array, hidden.grad_fn, y.grad_fn, y.array)]
    y.backward()
    del hidden, y
    assert [r() for r in refs] == [None] * 4
    assert x.grad is not None


def test_model_loop_keeps_nothing(device, no_collector):
    x, w = leaf(np.ones((2, 3)), device), leaf(np.ones((3, 3)), device)
    refs = []
    for _ in range(3):
        y = ((x @ w).relu() @ w).softmax(1)
        loss = (y * y).sum()
        loss.backward()
        refs += [weakref.ref(y.array), weakref.ref(loss.array)]
    assert [r() is None for r in refs] == [True] * 4 + [False] * 2


def test_arrays_are_freed_during_the_walk(device, no_collector):
    """When the gradient reaches the first layer, what the later layers kept is gone already."""
    x = leaf(np.ones(5), device)
    first = x * 2
    alive = []
    refs: list[weakref.ref] = []
    first.register_hook(lambda g: alive.append(sum(r() is not None for r in refs)))
    y = first
    for _ in range(10):
        y = y.exp() * 0.1
        refs.append(weakref.ref(y.grad_fn.edges[0][0].y))  # the array that Exp keeps
    total = y.sum()
    del y
    assert sum(r() is not None for r in refs) == 10
    total.backward()
    assert alive == [0]


def test_retained_graph_keeps_its_arrays(device, no_collector):
    x = leaf(np.ones(5), device)
    y = x.exp()
    ref = weakref.ref(y.grad_fn.y)
    total = y.sum()
    del y
    total.backward(retain_graph=True)
    assert ref() is not None
    total.backward()
    assert ref() is None


def test_gradients_of_inner_tensors_are_not_kept(device, no_collector):
    x = leaf(np.ones(5), device)
    y = x * 2
    z = (y * y).sum()
    refs = []
    y.register_hook(lambda g: refs.append(weakref.ref(g.array)))
    z.backward()
    assert y.grad is None
    assert refs[0]() is None


def test_peak_of_a_deep_chain(no_collector):
    """Backward through n layers holds a constant number of gradients: the live arrays never exceed those of the forward."""
    n, live, peak = 50, [0], [0]

    class Layer(Function):
        def forward(self, x):
            self.kept = Array(x.shape)
            return x + 1

        def backward(self, dy):
            peak[0] = max(peak[0], live[0])
            return dy

    class Array:
        def __init__(self, shape):
            live[0] += 1

        def __del__(self):
            live[0] -= 1

    y = x = leaf(np.ones(3))
    for _ in range(n):
        y = Layer()(y)
    assert live[0] == n
    seen = []
    x.register_hook(lambda g: seen.append(live[0]))
    y.sum().backward()
    assert peak[0] == n
    assert seen == [0]
