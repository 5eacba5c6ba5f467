"""The backward walk: gradients of reused nodes, accumulation, upstream gradients, freed graphs, hooks, `grad`."""

from __future__ import annotations

import numpy as np
import pytest

from minivision.autograd import Function, Tensor, grad
from tests.helpers import assert_close, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


def leaf(array, device="cpu"):
    return tensor(array, device, requires_grad=True)


class Twice(Function):
    """y = 2x; counts its calls."""

    calls = 0

    def forward(self, x):
        return 2 * x

    def backward(self, dy):
        type(self).calls += 1
        return 2 * dy


def test_scalar_and_upstream(device):
    x = leaf([1, 2, 3], device)
    (x * x).sum().backward()
    assert_close(x.grad, [2.0, 4, 6])
    y = x * x
    for upstream in ([1, 10, 100], np.array([1.0, 10, 100]), tensor([1, 10, 100], device)):
        x.grad = None
        value = upstream if isinstance(upstream, Tensor) else to_device(np.asarray(upstream, float), device)
        y.backward(value, retain_graph=True)
        assert_close(x.grad, [2.0, 40, 600])
    x.grad = None
    (x[:1] * 3).backward()  # one element counts as a scalar
    assert_close(x.grad, [3.0, 0, 0])


def test_leaves_accumulate(device):
    x = leaf([1, 2], device)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert_close(x.grad, [5.0, 5])
    assert x.grad is first  # in place
    x.grad = None
    (x * 3).sum().backward()
    assert_close(x.grad, [3.0, 3])


def test_a_gradient_belongs_to_its_leaf_alone(device):
    """Add hands one array to both operands; each leaf has a copy."""
    a, b = leaf([1, 2], device), leaf([3, 4], device)
    upstream = tensor([1, 1], device)
    (a + b).backward(upstream)
    a.grad.add_(10)
    assert_close(b.grad, [1.0, 1])
    assert_close(upstream, [1.0, 1])


def test_node_reused_twice(device):
    """b = a + a; c = b + b: dc/da = 4. Walking before all uses have arrived would give 2 or 8."""
    a = leaf([1.5], device)
    b = a + a
    c = b + b
    c.backward()
    assert_close(a.grad, [4.0])
    a.grad = None
    b = a * a
    c = b * b + b * a  # a^4 + a^3
    c.backward()
    assert_close(a.grad, [4 * 1.5**3 + 3 * 1.5**2])


def test_long_and_short_way(device):
    """The use nearer to the output must wait for the one behind a detour."""
    x = leaf([2.0], device)
    y = x * 3
    z = y
    for _ in range(5):
        z = z + y
    (z * y).backward()  # 6 y^2 = 54 x^2
    assert_close(x.grad, [216.0])


def test_both_operands_the_same(device):
    x = leaf([[1, 2], [3, 4]], device)
    (x @ x).sum().backward()
    values = np.array([[1.0, 2], [3, 4]])
    ones = np.ones((2, 2))
    assert_close(x.grad, ones @ values.T + values.T @ ones)


def test_several_outputs(device):
    """An unused output contributes zeros; both used ones add up."""
    x = leaf([[1, 5], [7, 2]], device)
    values, indices = x.max(1)
    (values * tensor([1, 10], device)).sum().backward()
    assert_close(x.grad, [[0.0, 1], [10, 0]])
    assert not indices.requires_grad
    x.grad = None
    first, second = x.unbind(0)
    (first + 2 * second).sum().backward()
    assert_close(x.grad, [[1.0, 1], [2, 2]])


def test_constants_get_nothing(device):
    x, c = leaf([1, 2], device), tensor([3, 4], device)
    y = x * c
    y.sum().backward()
    assert c.grad is None
    assert not c.requires_grad
    assert not (c * 2).requires_grad
    assert (c * 2).grad_fn is None


def test_only_needed_branches_are_walked(device):
    Twice.calls = 0
    a, b = leaf([1.0], device), tensor([2.0], device)
    (Twice()(a) + Twice()(b)).backward()
    assert Twice.calls == 1


def test_retained_gradients(device):
    x = leaf([1, 2], device)
    y = x * 3
    z = y * y
    y.retain_grad()
    x.retain_grad()  # nothing to do for a leaf
    z.sum().backward()
    assert_close(y.grad, [6.0, 12])
    assert z.grad is None


def test_hooks(device):
    x = leaf([1, 2], device)
    seen = []
    handle = x.register_hook(lambda g: seen.append(to_numpy(g).tolist()))
    y = x * 3
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: seen.append(to_numpy(g).tolist()))
    y.sum().backward(retain_graph=True)
    assert seen == [[10, 10], [30, 30]]
    assert_close(x.grad, [30.0, 30])
    handle.remove()
    handle.remove()
    y.sum().backward()
    assert len(seen) == 3
    with x.register_hook(lambda g: -g):
        (x * 1).sum().backward()
    assert_close(x.grad, [59.0, 59])


def test_a_hook_sees_the_whole_gradient_once(device):
    x = leaf([1.0], device)
    y = x * 1
    seen = []
    y.register_hook(lambda g: seen.append(g.item()))
    (y * 2 + y * 3 + y).backward()
    assert seen == [6.0]


def test_hook_on_one_of_several_outputs(device):
    x = leaf([[1, 5], [7, 2]], device)
    values, _ = x.max(1)
    values.register_hook(lambda g: g * 2)
    values.sum().backward()
    assert_close(x.grad, [[0.0, 2], [2, 0]])


def test_detach(device):
    x = leaf([1, 2], device)
    y = x * 3
    cut = y.detach()
    assert cut.array is y.array
    assert cut.is_leaf
    assert not cut.requires_grad
    (y * cut).sum().backward()
    assert_close(x.grad, [9.0, 18])
    assert x.data.array is x.array


def test_grad(device):
    """Gradients as values; .grad stays None; inner tensors may be asked for."""
    x, w, unused = leaf([1, 2], device), leaf([3, 4], device), leaf([0], device)
    y = x * w
    z = (y * y).sum()
    dx, dy = grad(z, [x, y], retain_graph=True)
    assert_close(dy, [6.0, 16])
    assert_close(dx, [18.0, 64])
    assert x.grad is None
    assert w.grad is None
    (dw,) = grad(z, w, tensor(2.0, device), retain_graph=True)
    assert_close(dw, [12.0, 64])
    assert grad(z, [x, unused], allow_unused=True)[1] is None
    (total,) = grad([x.sum(), (2 * x).sum()], x)
    assert_close(total, [3.0, 3])


def test_float32_leaf_under_float64_arithmetic(device):
    x = Tensor(to_device(np.ones(3, np.float32), device), requires_grad=True)
    (x * tensor([1, 2, 3], device)).sum().backward()
    assert x.grad.dtype == np.float32
    assert_close(x.grad, np.array([1, 2, 3], np.float32))


def test_broadcasting_is_undone(rng, device):
    for shape in [(), (1,), (4,), (3, 1), (1, 4), (2, 1, 1), (1, 1, 1)]:
        x, y = leaf(rng.standard_normal(shape), device), rng.standard_normal((2, 3, 4))
        (x * tensor(y, device)).sum().backward()
        extra = tuple(range(3 - len(shape)))
        summed = y.sum(axis=extra)
        summed = summed.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)
        assert_close(x.grad, summed.reshape(shape), atol=1e-13)


def freed(device):
    x = leaf([2.0], device)
    y = (x * x).exp()
    y.backward()
    return x, y


def test_second_backward_says_why(device):
    x, y = freed(device)
    with pytest.raises(RuntimeError, match=r"already run through Exp, and the graph was freed .* retain_graph=True"):
        y.backward()
    with pytest.raises(RuntimeError, match="graph was freed"):
        (y * 2).backward()
    before = to_numpy(x.grad).copy()
    assert_close(x.grad, before)


def test_retained_graph_runs_again(device):
    x = leaf([3.0], device)
    y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert_close(x.grad, [18.0])


class Broken(Function):
    def __init__(self, result):
        self.result = result

    def forward(self, x):
        return x + 1

    def backward(self, dy):
        return self.result(dy)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda dy: dy[:1], ["Broken.backward", "x", "float64 (1,)", "float64 (3,)"]),
        (lambda dy: dy.astype(np.float32), ["Broken.backward", "x", "float32 (3,)", "float64 (3,)"]),
        (lambda dy: (dy, dy), ["Broken.backward", "2 gradients", "1 inputs"]),
    ],
)
def test_a_wrong_backward_is_caught(result, words, device):
    with pytest.raises(RuntimeError) as error:
        Broken(result)(leaf([1, 2, 3], device)).sum().backward()
    for word in words:
        assert word in str(error.value)


class NoBackward(Function):
    def forward(self, x):
        return x * 1


X = Tensor(np.ones((2, 3)), requires_grad=True)
ERRORS = [
    (lambda: (X * 2).backward(), RuntimeError, ["backward", "(2, 3)", "scalar", "gradient="]),
    (lambda: Tensor(np.ones(())).backward(), RuntimeError, ["backward", "does not require a gradient", "no_grad", "detach"]),
    (lambda: (X * 2).backward(Tensor(np.ones(3))), RuntimeError, ["gradient has shape (3,)", "(2, 3)"]),
    (lambda: (X * 2).backward(Tensor(np.ones((2, 3), np.float32))), RuntimeError, ["float32", "float64"]),
    (lambda: Twice()(X).sum().backward(create_graph=True), NotImplementedError, ["create_graph", "Twice", "no rule"]),
    (lambda: grad(X.sum(), Tensor(np.ones(2))), RuntimeError, ["grad", "input 0", "(2,)", "requires_grad_"]),
    (lambda: grad(X.sum(), Tensor(np.ones(2), requires_grad=True)), RuntimeError, ["grad", "input 0", "(2,)", "allow_unused"]),
    (lambda: Tensor(np.ones(2)).register_hook(print), RuntimeError, ["register_hook", "does not require"]),
    (lambda: Tensor(np.ones(2)).retain_grad(), RuntimeError, ["retain_grad", "does not require"]),
    (lambda: NoBackward()(X).sum().backward(), NotImplementedError, ["NoBackward", "no backward"]),
    (lambda: Function()(X), NotImplementedError, ["Function.forward"]),
    (lambda: Tensor(np.ones(2, np.int64), requires_grad=True), RuntimeError, ["floating", "int64 (2,)", ".float()"]),
    (lambda: Tensor([True]).requires_grad_(), RuntimeError, ["floating", "bool"]),
    (lambda: setattr(X * 2, "requires_grad", False), RuntimeError, ["leaves only", ".detach()"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    for word in words:
        assert word in str(error.value)


def test_one_instance_serves_one_call():
    f = Twice()
    f(X)
    with pytest.raises(RuntimeError, match="Twice: this instance already recorded a call"):
        f(X)
