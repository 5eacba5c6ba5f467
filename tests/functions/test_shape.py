"""Reshaping, indexing, joining, splitting, cropping: values, gradients, memory, errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minivision
from minivision.autograd import Tensor, no_grad
from minivision.functions import shape as F
from tests.helpers import assert_close, layouts, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


X = np.arange(24.0).reshape(2, 3, 4)

CALLS = [
    (lambda x: F.reshape(x, 4, -1), X.reshape(4, 6)),
    (lambda x: F.reshape(x, (3, 8)), X.reshape(3, 8)),
    (lambda x: F.view(x, -1), X.ravel()),
    (lambda x: F.view_as(x, Tensor(np.ones((6, 4)))), X.reshape(6, 4)),
    (lambda x: F.flatten(x, 1), X.reshape(2, 12)),
    (lambda x: F.flatten(x, 0, 1), X.reshape(6, 4)),
    (lambda x: F.permute(x, 2, 0, 1), X.transpose(2, 0, 1)),
    (lambda x: F.permute(x, (0, -1, 1)), X.transpose(0, 2, 1)),
    (lambda x: F.transpose(x, 0, 2), X.transpose(2, 1, 0)),
    (lambda x: F.t(x[0]), X[0].T),
    (lambda x: F.unsqueeze(x, 1), X[:, None]),
    (lambda x: F.unsqueeze(x, -1), X[..., None]),
    (lambda x: F.squeeze(x[:1, :, :1]), X[0, :, 0]),
    (lambda x: F.squeeze(x[:1, :, :1], 0), X[0, :, :1]),
    (lambda x: F.squeeze(x, 1), X),
    (lambda x: F.expand(x[:, :1], 5, 2, 3, -1), np.broadcast_to(X[:, :1], (5, 2, 3, 4))),
    (lambda x: F.expand_as(x[0, 0], x), np.broadcast_to(X[0, 0], (2, 3, 4))),
    (lambda x: F.repeat(x, 1, 2, 3), np.tile(X, (1, 2, 3))),
    (lambda x: F.repeat(x, (2, 1, 1, 2)), np.tile(X, (2, 1, 1, 2))),
    (lambda x: F.cat([x, x * 2], 1), np.concatenate([X, 2 * X], 1)),
    (lambda x: F.cat([x, x[..., :1]], -1), np.concatenate([X, X[..., :1]], -1)),
    (lambda x: F.stack([x, x + 1], 1), np.stack([X, X + 1], 1)),
    (lambda x: F.stack([x, x + 1], -1), np.stack([X, X + 1], -1)),
    (lambda x: F.split(x, 3, 2)[1], X[..., 3:]),
    (lambda x: F.split(x, [1, 0, 3], -1)[2], X[..., 1:]),
    (lambda x: F.chunk(x, 2, 2)[1], X[..., 2:]),
    (lambda x: F.unbind(x, 1)[2], X[:, 2]),
    (lambda x: F.narrow(x, 2, 1, 2), X[..., 1:3]),
    (lambda x: F.flip(x, 0, 2), X[::-1, :, ::-1]),
    (lambda x: F.flip(x, (1,)), X[:, ::-1]),
    (lambda x: F.center_crop(x, (2, 3)), X[:, 0:2, 0:3]),
    (lambda x: F.center_crop(x, (1, 2)), X[:, 1:2, 1:3]),
    (lambda x: F.center_crop(x, 2), X[:, 0:2, 1:3]),
]


@pytest.mark.parametrize(("call", "expected"), CALLS)
def test_values_and_adjoint(call, expected, rng, device):
    """Each value moves to its place; the gradient moves back: <A x, y> = <x, A^T y>."""
    for _, arranged in layouts(X):
        x = tensor(arranged, device, requires_grad=True)
        y = call(x)
        assert_close(y, expected, rtol=0)
        dy = rng.standard_normal(y.shape)
        y.backward(tensor(dy, device))
        zero = to_numpy(call(tensor(np.zeros_like(X), device)))  # stack([x, x + 1]) is affine
        assert abs(np.vdot(to_numpy(y) - zero, dy) - np.vdot(X, to_numpy(x.grad))) < 1e-10


ROWS, MASK = np.array([1, 0, 1]), np.arange(12).reshape(3, 4) % 5 == 1
INDICES = [
    (0, X[0]),
    ((1, -1), X[1, -1]),
    ((0, 1, 2), X[0, 1, 2]),
    (slice(1, None), X[1:]),
    ((..., slice(None, None, 2)), X[..., ::2]),
    ((slice(None), None, 1), X[:, None, 1]),
    (ROWS, X[ROWS]),
    ([1, 0, 1], X[ROWS]),
    ((slice(None), [2, 2]), X[:, [2, 2]]),
    ((slice(None), MASK), X[:, MASK]),
    ((0, MASK), X[0][MASK]),
    (X > 10, X[X > 10]),
    ((ROWS, np.array([0, 2, 0])), X[ROWS, np.array([0, 2, 0])]),
    ((ROWS[:, None], np.array([0, 2])), X[ROWS[:, None], np.array([0, 2])]),
    ((ROWS, slice(None), np.array([3, 3, 0])), X[ROWS, :, np.array([3, 3, 0])]),
    ((1, slice(None), np.array([3, 3, 0])), X[1][:, [3, 3, 0]]),  # the integer first, as in PyTorch
    ((slice(None), np.array([True, False, True]), 1), X[:, [0, 2], 1]),
    (np.array(1), X[1]),
    (np.int64(1), X[1]),
    ((slice(0, 0),), X[0:0]),
    ([], X[0:0]),
    ((slice(None), np.array([-1, 0])), X[:, [-1, 0]]),
]


@pytest.mark.parametrize(("index", "expected"), INDICES)
def test_indexing(index, expected, rng, device):
    """Arrays as index may be Tensors, arrays of the device or lists; what is named twice receives both gradients."""

    def wrap(entry, make):
        if isinstance(entry, tuple):
            return tuple(wrap(e, make) for e in entry)
        return make(entry) if isinstance(entry, np.ndarray) else entry

    marks = np.arange(24).reshape(2, 3, 4)
    for make in (lambda a: to_device(a, device), lambda a: Tensor(to_device(a, device))):
        x = tensor(X, device, requires_grad=True)
        y = x[wrap(index, make)]
        assert_close(y, expected, rtol=0)
        dy = rng.standard_normal(y.shape)
        y.backward(tensor(dy, device))
        gradient = np.zeros(24)
        for place, value in zip(to_numpy(Tensor(to_device(marks, device))[wrap(index, make)]).ravel(), dy.ravel(), strict=True):
            gradient[place] += value
        assert_close(x.grad, gradient.reshape(2, 3, 4))


@pytest.mark.parametrize(("index", "expected"), INDICES)
def test_assignment_by_index(index, expected, device):
    def wrap(entry):
        if isinstance(entry, tuple):
            return tuple(wrap(e) for e in entry)
        return to_device(entry, device) if isinstance(entry, np.ndarray) else entry

    x = tensor(X.copy(), device)
    x[wrap(index)] = -1.0
    changed = to_numpy(x) == -1
    assert set(X[changed].tolist()) == set(np.ravel(expected).tolist())
    x = tensor(X.copy(), device)
    x[wrap(index)] = Tensor(to_device(np.asarray(expected), device))
    assert_close(x, X)


def test_views_share_memory_and_copies_do_not(device):
    x = tensor(X.copy(), device)
    for view in (x[0], x[0, 1, 2], x.reshape(6, 4), x.permute(2, 0, 1), x[..., None], x.flatten(), F.narrow(x, 0, 1, 1)):
        assert view._version is x._version
    for copy in (x[to_device(ROWS, device)], x.flip(0), x.repeat(1, 1, 1), x.clone(), F.cat([x])):
        assert copy._version is not x._version
        with no_grad():
            copy.fill_(9)
    assert_close(x, X)


def test_shapes_at_the_edge(device):
    number = tensor(3, device)
    assert F.flatten(number).shape == (1,)
    assert F.squeeze(number).shape == ()
    assert F.reshape(number, 1, 1).shape == (1, 1)
    assert F.unsqueeze(number, 0).shape == (1,)
    assert F.expand(number, 2, 3).shape == (2, 3)
    assert F.reshape(tensor(np.zeros((0, 3)), device), -1, 3).shape == (0, 3)
    assert F.cat([tensor(np.zeros(0), device), tensor(X, device)], 1).shape == (2, 3, 4)
    assert [p.shape for p in F.split(tensor(np.zeros((0, 2)), device), 3)] == [(0, 2)]
    assert [p.shape[0] for p in F.chunk(tensor(np.zeros((7, 2)), device), 3)] == [3, 3, 1]


def test_cat_promotes(device):
    single, double = Tensor(to_device(np.ones(2, np.float32), device)), tensor([2], device)
    assert F.cat([single, double]).dtype == np.float64


ERRORS = [
    (lambda x: F.reshape(x, 5, 5), ValueError, ["reshape", "(2, 3, 4)", "24", "(5, 5)"]),
    (lambda x: F.reshape(x, -1, -1), ValueError, ["reshape", "(-1, -1)"]),
    (lambda x: F.reshape(x, -1, 7), ValueError, ["reshape", "(-1, 7)"]),
    (lambda x: x.view(np.dtype("float32")), TypeError, ["view", ".to(dtype)"]),
    (lambda x: F.permute(x, 0, 1), ValueError, ["permute", "(0, 1)", "(2, 3, 4)"]),
    (lambda x: F.permute(x, 0, 0, 1), ValueError, ["permute", "(0, 0, 1)", "twice"]),
    (lambda x: F.transpose(x, 0, 3), IndexError, ["transpose", "dim1=3"]),
    (lambda x: F.t(x), ValueError, ["t: ", "(2, 3, 4)"]),
    (lambda x: F.flatten(x, 2, 0), ValueError, ["flatten", "start_dim=2", "end_dim=0"]),
    (lambda x: F.expand(x, 2, 5, 4), ValueError, ["expand", "(2, 3, 4)", "(2, 5, 4)"]),
    (lambda x: F.expand(x, 4), ValueError, ["expand", "(4,)"]),
    (lambda x: F.repeat(x, 2), ValueError, ["repeat", "(2, 3, 4)"]),
    (lambda x: F.cat([]), ValueError, ["cat", "at least one"]),
    (lambda x: F.cat(x), ValueError, ["cat", "sequence"]),
    (lambda x: F.cat([x, x[:1]], 1), ValueError, ["cat", "dim 1", "tensors[1]", "(1, 3, 4)", "tensors[0]", "(2, 3, 4)"]),
    (lambda x: F.cat([x[None], x[None, :, 1:]], 1), ValueError, ["center_crop", "2^depth", "tensors[1]", "(1, 2, 2, 4)"]),
    (lambda x: F.cat([x[0, 0, 0]]), ValueError, ["cat", "0-d", "stack"]),
    (lambda x: F.stack([x, x[:1]]), ValueError, ["stack", "tensors[1]", "(1, 3, 4)"]),
    (lambda x: F.stack([]), ValueError, ["stack", "at least one"]),
    (lambda x: F.split(x, [1, 1], 2), ValueError, ["split", "[1, 1]", "2", "length 4"]),
    (lambda x: F.split(x, 0), ValueError, ["split", "0"]),
    (lambda x: F.chunk(x, 0), ValueError, ["chunk", "0"]),
    (lambda x: F.narrow(x, 1, 2, 2), ValueError, ["narrow", "2 .. 4", "(2, 3, 4)"]),
    (lambda x: F.center_crop(x, 4), ValueError, ["center_crop", "(4, 4)", "(2, 3, 4)"]),
    (lambda x: F.unsqueeze(x, 4), IndexError, ["unsqueeze", "dim 4"]),
    (lambda x: x[2], IndexError, ["2", "axis 0"]),
    (lambda x: x[0, 0, 0, 0], IndexError, ["too many"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(X))
    for word in words:
        assert word in str(error.value)
    assert "np." not in str(error.value)


def test_a_negative_start_counts_from_the_end(device):
    x = Tensor(to_device(X, device))
    assert_close(F.narrow(x, 1, -2, 2), X[:, -2:])
    assert_close(F.narrow(x, 2, -1, 0), X[:, :, :0])


def test_joined_integers_and_floats_are_floats(device):
    whole, real = to_device(np.array([1, 2]), device), to_device(np.array([0.5], np.float32), device)
    y = F.cat([Tensor(whole), Tensor(real)])
    assert y.dtype == np.float32
    assert_close(y, [1, 2, 0.5])


def test_true_as_an_index_is_a_new_axis(device):
    x = Tensor(to_device(X, device), requires_grad=True)
    y = x[True]
    assert y.shape == (1, *X.shape)
    (y * 3).sum().backward()
    assert_close(x.grad, np.full(X.shape, 3.0))


def test_a_refused_assignment_changes_nothing(device):
    x = Tensor(to_device(X.copy(), device))
    version = x._version[0]
    for index, value in ((2, 1.0), ((0, slice(None), 9), 1.0), (0, np.ones(3)), (to_device(np.array([0, 9]), device), 1.0)):
        with pytest.raises((IndexError, ValueError)):
            x[index] = to_device(value, device) if isinstance(value, np.ndarray) else value
    assert_close(x, X)
    assert x._version[0] == version


def test_sizes_and_axes_by_name():
    """As torch.reshape(x, shape=...), torch.permute(x, dims=...), torch.tile(x, dims=...), torch.broadcast_to(x, shape=...)."""
    x = minivision.arange(6.0)
    assert x.reshape(2, 3).numpy().tolist() == minivision.reshape(x, shape=(2, 3)).numpy().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert minivision.permute(x.reshape(2, 3), dims=(1, 0)).numpy().tolist() == [[0, 3], [1, 4], [2, 5]]
    assert minivision.tile(x[:2], dims=(2,)).numpy().tolist() == [0, 1, 0, 1]
    assert minivision.broadcast_to(x[:2], shape=(2, 2)).numpy().tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("shapes", [((2, 5, 6, 7), (2, 3, 6, 7)), ((1, 40, 90, 80), (1, 80, 90, 80))], ids=["few", "many"])
def test_cat_keeps_the_order_of_memory_that_most_have(shapes, rng):
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    for axis, (name, x), (other, y) in itertools.product((0, 1, 2, -1), layouts(a), layouts(b)):
        if axis not in (1, -3):
            y = np.ascontiguousarray(y[:, : min(y.shape[1], x.shape[1])])
            x = x[:, : y.shape[1]]
        parts = [Tensor(v, requires_grad=True) for v in (x, y)]
        joined = F.cat(parts, axis)
        np.testing.assert_array_equal(joined.array, np.concatenate([x, y], axis=axis))
        dy = rng.standard_normal(joined.shape).astype(np.float32)
        joined.backward(Tensor(dy))
        np.testing.assert_array_equal(np.concatenate([p.grad.array for p in parts], axis=axis), dy)
        if axis == 1 and name == other == "channels-last":
            assert joined.array.transpose(0, 2, 3, 1).flags.c_contiguous
