"""An array that backward needs must not have changed since: every way to change it in place is noticed, with a clear message."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import nn, optim
from minivision.autograd import Function, Tensor, no_grad
from minivision.nn import functional
from tests.helpers import assert_close, to_device


def leaf(array, device="cpu"):
    return Tensor(to_device(np.asarray(array, np.float64), device), requires_grad=True)


def constant(array, device="cpu"):
    return Tensor(to_device(np.asarray(array, np.float64), device))


def add_assign(x):
    with no_grad():
        x += 1


def subtract_gradient(x):
    """What an optimizer does."""
    with no_grad():
        x.sub_(constant([1, 1], x.device))


CHANGES = [
    lambda x: x.add_(1),
    lambda x: x.mul_(2),
    lambda x: x.zero_(),
    lambda x: x.copy_(x.detach().clone()),
    lambda x: x.__setitem__(0, 7.0),
    lambda x: x.__setitem__(slice(None), 7.0),
    lambda x: x[0].fill_(3),
    lambda x: x.reshape(2, 1).fill_(3),
    lambda x: x.data.__setitem__(..., 0.0),
    lambda x: x.detach().add_(1),
    add_assign,
    subtract_gradient,
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_noticed(change, device):
    x = leaf([1, 2], device)
    y = (x * x).sum()
    with no_grad():
        change(x)
    with pytest.raises(RuntimeError) as error:
        y.backward()
    message = str(error.value)
    for word in ("Mul", "shape (2,)", "changed in place after the forward pass", ".clone()"):
        assert word in message


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_matters_to_nobody_is_fine(change, device):
    """Addition needs neither operand."""
    x = leaf([1, 2], device)
    y = (x + x).sum()
    with no_grad():
        change(x)
    y.backward()
    assert_close(x.grad, [2.0, 2])


def batch_norm_in_training(x):
    functional.batch_norm(constant([[1, 2], [3, 5]], x.device), x.detach(), constant([1, 1], x.device), training=True)


def embedding_with_max_norm(x):
    functional.embedding(Tensor(to_device(np.array([0]), str(x.device))), x.detach().reshape(2, 1), max_norm=0.5)


def load_state_dict(x):
    module = nn.Module()
    module.weight = x
    module.load_state_dict({"weight": constant([3, 4], x.device)})


def step(*weights):
    for w in weights:
        w.grad = w.detach().clone()
    optim.SGD(weights, lr=0.1).step()


def step_of_several(x):
    """Small parameters are gathered and updated as one."""
    step(x, nn.Parameter(constant([1, 2, 3], x.device)))


@pytest.mark.parametrize("change", [batch_norm_in_training, embedding_with_max_norm, load_state_dict, step, step_of_several])
def test_what_writes_besides_is_noticed(change, device):
    x = nn.Parameter(leaf([1, 2], device))
    y = (x * x).sum()
    before = x.array.copy()
    change(x)
    assert (x.array != before).any()
    with pytest.raises(RuntimeError, match=r"Mul: a tensor of shape \(2,\)"):
        y.backward()


def test_outputs_are_watched_too(device):
    x = leaf([1, 2], device)
    y = x.exp()  # keeps y
    with no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="Exp: a tensor of shape"):
        y.sum().backward()


def test_views_of_what_was_kept(device):
    """The operation kept a reshaped view; the change comes through the original."""
    x = leaf([[1, 2], [3, 4]], device)
    w = leaf([1, 1], device)
    y = x.reshape(4)[1:3] * w
    with no_grad():
        x[0, 1] = 0.0
    with pytest.raises(RuntimeError, match="Mul: a tensor of shape"):
        y.sum().backward()


@pytest.mark.parametrize("size", [2, 1 << 18])  # large arrays lie in memory that is used again
def test_the_change_comes_through_a_view_that_is_gone(size, device):
    x = leaf(np.ones(size), device)
    kept = x * 2
    y = (kept * kept).sum()
    with no_grad():
        kept[1:].reshape(-1, 1)[0].fill_(3)
    with pytest.raises(RuntimeError, match="Mul: a tensor of shape"):
        y.backward()


def test_memory_that_is_not_numpys():
    x = Tensor(np.frombuffer(bytearray(np.array([1.0, 2]).tobytes())), requires_grad=True)
    y = (x * x).sum()
    with no_grad():
        x[0].fill_(3)
    with pytest.raises(RuntimeError, match="Mul: a tensor of shape"):
        y.backward()


class KeepsAList(Function):
    def forward(self, x):
        self.kept = [x, (x,)]
        return x * 2

    def backward(self, dy):
        return 2 * dy


def test_arrays_kept_in_a_list(device):
    x = leaf([1, 2], device)
    y = KeepsAList()(x).sum()
    with no_grad():
        x.zero_()
    with pytest.raises(RuntimeError, match="KeepsAList"):
        y.backward()


def test_changing_before_the_forward_or_after_the_backward_is_fine(device):
    x = leaf([1, 2], device)
    with no_grad():
        x.add_(1)
    (x * x).sum().backward()
    assert_close(x.grad, [4.0, 6])
    with no_grad():
        x.add_(1)
    x.grad = None
    (x * x).sum().backward()
    assert_close(x.grad, [6.0, 8])


def test_unrelated_tensors_do_not_disturb(device):
    """Copies, and parts of other memory, have versions of their own."""
    x = leaf([1, 2], device)
    other = constant([3, 4], device)
    y = (x * other.clone()).sum()
    other.zero_()
    copy = x.clone()
    with no_grad():
        copy.zero_()
    y.backward()
    assert_close(x.grad, [3.0, 4])


def test_new_data_leaves_the_old_graph_alone(device):
    """`x.data = ...` gives the tensor another array; the recorded operation still has the old one."""
    x = leaf([1, 2], device)
    y = (x * x).sum()
    x.data = constant([5, 5], device)
    with no_grad():
        x.zero_()
    y.backward()
    assert_close(x.grad, [2.0, 4])
    with pytest.raises(RuntimeError, match=r"data: the tensor is part of a graph with shape \(2,\)"):
        (x * 2).data = constant([1, 2, 3], device)
