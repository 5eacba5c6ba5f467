"""In-place changes: allowed outside the graph, refused or rebound inside it."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import nn
from minivision.autograd import Tensor, no_grad
from minivision.backend import Generator
from minivision.functions.activation import relu, sigmoid
from tests.helpers import assert_close, layouts, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


def test_methods_write_into_the_same_memory(device):
    x = tensor([1, 2, 3], device)
    memory = x.array
    x.add_(1).mul_(2).sub_(tensor([1, 1, 1], device)).div_(2)
    assert_close(x, [1.5, 2.5, 3.5])
    assert_close(x.clamp_(2, 3), [2.0, 2.5, 3])
    x.copy_(Tensor(to_device(np.array([7, 8, 9]), device)))
    assert_close(x, [7.0, 8, 9])
    assert_close(x.fill_(4), [4.0, 4, 4])
    assert_close(x.zero_(), [0.0, 0, 0])
    x += 1
    x *= tensor([2, 3, 4], device)
    x -= 1
    x /= 2
    assert_close(x, [0.5, 1, 1.5])
    assert x.array is memory


def test_each_change_is_dated(device):
    x = tensor([1, 2, 3], device)
    y, dates = tensor([3, 2, 1], device), [x._version[0]]
    for change in (
        lambda x: x.add_(1), lambda x: x.mul_(2), lambda x: x.sub_(y), lambda x: x.div_(2), lambda x: x.clamp_(2, 3),
        lambda x: x.copy_(y), lambda x: x.fill_(4), lambda x: x.zero_(), lambda x: x.__iadd__(1), lambda x: x.__imul__(y),
        lambda x: x.__isub__(1), lambda x: x.__itruediv__(2),
    ):  # fmt: skip
        change(x)
        dates.append(x._version[0])
    assert dates == sorted(set(dates))


def test_random_fills(device):
    x = tensor(np.zeros((40, 50)), device)
    assert abs(to_numpy(x.normal_(3, 2, generator=Generator(0))).mean() - 3) < 0.3
    values = to_numpy(x.uniform_(-1, 1, generator=Generator(0)))
    assert -1 <= values.min() < -0.9
    assert 0.9 < values.max() < 1
    assert to_numpy(x.uniform_(-1, 1, generator=Generator(0))).tolist() == values.tolist()


def test_inside_the_graph_the_name_is_bound_anew(device):
    """`y += x` builds y + x when a gradient has to flow; the old tensor keeps its values."""
    x = tensor([1, 2], device, requires_grad=True)
    y = first = x * 3
    y += x
    y *= 2
    y -= 1
    y /= 4
    assert_close(first, [3.0, 6])
    assert_close(y, [7 / 4, 15 / 4])
    y.sum().backward()
    assert_close(x.grad, [2.0, 2])
    total = tensor([0, 0], device)
    total += x
    assert total.requires_grad


PARAMETER = Tensor(np.ones(2), requires_grad=True)
REFUSED = [
    (lambda p: p.add_(1), "add_: this leaf of shape (2,) requires a gradient"),
    (lambda p: p.__iadd__(1), "x += y: this leaf of shape (2,)"),
    (lambda p: p.__setitem__(0, 1.0), "x[index] = value: this leaf"),
    (lambda p: p.zero_(), "zero_: this leaf"),
    (lambda p: p.normal_(), "normal_: this leaf"),
    (lambda p: (p * 2).add_(1), "add_: in-place changes are not recorded"),
    (lambda p: Tensor(np.ones(2)).copy_(p), "copy_: in-place changes are not recorded"),
    (lambda p: Tensor(np.ones(2)).__setitem__(0, p.sum()), "x[index] = value: in-place changes are not recorded"),
]


@pytest.mark.parametrize(("call", "words"), REFUSED)
def test_refused_inside_the_graph(call, words):
    with pytest.raises(RuntimeError) as error:
        call(PARAMETER)
    assert str(error.value).startswith(words)
    assert "no_grad()" in str(error.value)
    assert_close(PARAMETER, np.ones(2))


def test_allowed_under_no_grad(device):
    p = tensor([1, 2], device, requires_grad=True)
    with no_grad():
        p += 1
        p -= 0.5 * tensor([2, 2], device)
        p[0] = 5.0
    assert_close(p, [5.0, 2])
    assert p.requires_grad
    assert p.is_leaf


def test_what_does_not_fit(device):
    x = Tensor(to_device(np.array([1, 2]), device))
    with pytest.raises(TypeError, match="the result is float32, which x of int64 cannot hold"):
        x += 0.5
    with pytest.raises(ValueError, match=r"the result has shape \(3, 2\), which does not fit into x of shape \(2,\)"):
        x += Tensor(to_device(np.ones((3, 2), np.int64), device))
    x += 1
    assert to_numpy(x).tolist() == [2, 3]


# ---- relu_, which is recorded ----


def test_relu_in_place_is_the_relu_and_its_gradient(rng, device):
    x, w = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((2, 3, 5, 4))
    for apply in (lambda t: relu(t, inplace=True), lambda t: t.relu_(), nn.ReLU(inplace=True)):
        leaf = Tensor(to_device(x, device), requires_grad=True)
        before = leaf * 2
        memory = before.array
        after = apply(before)
        assert after is before
        assert after.array is memory
        assert_close(after, np.maximum(2 * x, 0))
        after.backward(to_device(w, device))
        assert_close(leaf.grad, 2 * w * (x > 0))


def test_relu_in_place_on_every_layout(rng, device):
    for _, x in layouts(rng.standard_normal((2, 3, 5, 4))):
        leaf = Tensor(to_device(x, device), requires_grad=True)
        y = (leaf + 1).relu_()
        y.sum().backward()
        assert_close(y, np.maximum(x + 1, 0))
        assert_close(leaf.grad, (x + 1 > 0) * 1.0)


def test_relu_in_place_of_data_changes_the_data(device):
    x = Tensor(to_device(np.array([-1.0, 2.0]), device))
    assert relu(x, inplace=True) is x
    assert x.tolist() == [0, 2]
    with no_grad():
        leaf = Tensor(to_device(np.array([-1.0, 2.0]), device), requires_grad=True)
        assert leaf.relu_() is leaf
        assert leaf.is_leaf
        assert leaf.tolist() == [0, 2]


def test_relu_in_place_refuses_a_leaf(device):
    leaf = Tensor(to_device(np.array([-1.0, 2.0]), device), requires_grad=True)
    with pytest.raises(RuntimeError, match=r"relu: this leaf of shape \(2,\) requires a gradient"):
        relu(leaf, inplace=True)
    with pytest.raises(RuntimeError, match=r"relu_: this leaf of shape \(2,\) requires a gradient"):
        leaf.relu_()
    assert leaf.tolist() == [-1, 2]


def test_an_earlier_operation_notices_relu_in_place(device):
    leaf = Tensor(to_device(np.array([-1.0, 2.0]), device), requires_grad=True)
    y = sigmoid(leaf)
    y.relu_()
    with pytest.raises(RuntimeError, match=r"changed in place"):
        y.sum().backward()


def test_a_later_change_of_the_result_is_noticed(device):
    leaf = Tensor(to_device(np.array([-1.0, 2.0]), device), requires_grad=True)
    y = (leaf * 3).relu_()
    with no_grad():
        y += 1
    with pytest.raises(RuntimeError, match=r"ReLU: a tensor of shape .* was changed in place"):
        y.sum().backward()


def test_relu_in_place_refuses_memory_that_the_graph_sees_twice(device):
    leaf = Tensor(to_device(np.arange(-3.0, 3.0), device), requires_grad=True)
    x = leaf * 1
    part = x[:3]
    for t in (x, part):
        with pytest.raises(RuntimeError, match="another tensor of the graph looks at the memory of x"):
            t.relu_()
    del part, t
    assert x.relu_().tolist() == [0, 0, 0, 0, 1, 2]


def test_relu_in_place_of_a_view_of_what_nobody_sees_any_more(device):
    leaf = Tensor(to_device(np.array([[-1.0, 2.0]]), device), requires_grad=True)
    y = (leaf * 3).squeeze(0)
    y.relu_().sum().backward()
    assert leaf.grad.tolist() == [[0, 3]]


def test_relu_in_place_leaves_a_detached_tensor_out_of_account(device):
    leaf = Tensor(to_device(np.array([-1.0, 2.0]), device), requires_grad=True)
    y = leaf * 3
    seen = y.detach()
    y.relu_().sum().backward()
    assert leaf.grad.tolist() == [0, 3]
    assert seen.tolist() == [0, 6]


def test_a_residual_block_with_relu_in_place(device):
    leaf = Tensor(to_device(np.array([-1.0, 2.0]), device), requires_grad=True)
    x = leaf * 3
    y = x.relu_() * 2 + x  # x is the result by now, as in PyTorch
    y.sum().backward()
    assert y.tolist() == [0, 18]
    assert leaf.grad.tolist() == [0, 9]
