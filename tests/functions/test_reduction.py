"""Sums, means, variances, extrema, norms."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minivision.autograd import Tensor
from minivision.functions import reduction as F
from minivision.functions.norms import norm
from tests.helpers import assert_close, layouts, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


def by_groups(x, dims, keepdim, function):
    """`function` of each group of values that differ in the axes `dims` only."""
    dims = range(x.ndim) if dims is None else [d % x.ndim for d in (dims if isinstance(dims, tuple) else (dims,))]
    y = np.zeros([1 if i in dims else n for i, n in enumerate(x.shape)])
    for at in np.ndindex(y.shape):
        y[at] = function(x[tuple(slice(None) if i in dims else a for i, a in enumerate(at))].ravel())
    return y if keepdim else y.reshape([n for i, n in enumerate(x.shape) if i not in dims])


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [None, 0, -1, (0, 2), (1,)])
@pytest.mark.parametrize(
    ("function", "definition"),
    [
        (F.sum, lambda v: float(sum(v))),
        (F.mean, lambda v: float(sum(v)) / len(v)),
        (F.var, lambda v: float(sum((v - sum(v) / len(v)) ** 2)) / (len(v) - 1)),
        (F.std, lambda v: (float(sum((v - sum(v) / len(v)) ** 2)) / (len(v) - 1)) ** 0.5),
        (F.amax, max),
        (F.amin, min),
        (norm, lambda v: float(sum(v * v)) ** 0.5),
        (lambda x, dim, keepdim: norm(x, 1, dim, keepdim=keepdim), lambda v: float(sum(abs(v)))),
        (F.logsumexp, lambda v: float(np.log(sum(np.exp(v))))),
    ],
)
def test_is_its_definition(function, definition, dim, keepdim, rng, device):
    x = rng.standard_normal((2, 3, 4))
    for _, arranged in layouts(x):
        y = function(tensor(arranged, device), dim=dim, keepdim=keepdim)
        assert_close(y, by_groups(x, dim, keepdim, definition), atol=1e-13)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("name", ["max", "min"])
def test_extreme_along_an_axis(name, keepdim, device):
    """Ties: the first index, which takes the whole gradient."""
    x = np.array([[1.0, 3, 3], [2, 2, 2], [0, -1, -1]])
    first = {"max": [1, 0, 0], "min": [0, 0, 1]}[name]
    leaf = tensor(x, device, requires_grad=True)
    values, indices = getattr(F, name)(leaf, 1, keepdim)
    expected = [[i] for i in first] if keepdim else first
    assert to_numpy(indices).tolist() == expected
    assert indices.dtype == np.int64
    assert not indices.requires_grad
    assert_close(to_numpy(values).ravel(), [x[r, i] for r, i in enumerate(first)])
    result = getattr(F, name)(leaf, 1, keepdim)
    result.values.sum().backward()
    assert_close(leaf.grad, np.eye(3)[first])
    assert to_numpy(getattr(F, f"arg{name}")(leaf, 1)).tolist() == first
    assert to_numpy(getattr(F, f"arg{name}")(leaf)).tolist() == {"max": 1, "min": 7}[name]
    assert getattr(F, f"arg{name}")(leaf, keepdim=True).shape == (1, 1)


@pytest.mark.parametrize("function", [F.max, F.amax])
def test_extreme_of_all_shares_ties(function, device):
    x = tensor([[1, 3], [3, 0]], device, requires_grad=True)
    y = function(x)
    assert y.item() == 3
    y.backward()
    assert_close(x.grad, [[0, 0.5], [0.5, 0]])


def test_max_of_two_tensors(device):
    assert_close(F.max(tensor([1, 5], device), tensor([2, 3], device)), [2.0, 5])
    assert_close(F.min(tensor([1, 5], device), tensor([2, 3], device)), [1.0, 3])


def test_gradients_at_zero(device):
    x = tensor([[0, 0], [3, 4]], device, requires_grad=True)
    norm(x, dim=1).sum().backward()
    assert_close(x.grad, [[0, 0], [0.6, 0.8]])
    x = tensor([2, 2, 2], device, requires_grad=True)
    F.std(x).backward()
    assert_close(x.grad, [0.0, 0, 0])


def test_variance_of_too_few_values_is_nan(device):
    assert np.isnan(F.var(tensor([3], device)).item())
    assert F.var(tensor([3], device), correction=0).item() == 0
    assert_close(F.var(tensor([[1, 2], [3, 7]], device), 1, False), [0.25, 4.0])


def test_logsumexp_does_not_overflow(device):
    assert_close(F.logsumexp(tensor([1e4, 1e4], device), 0), np.array(1e4 + np.log(2)))
    with np.errstate(divide="ignore"):
        assert_close(F.logsumexp(tensor([-np.inf, -np.inf], device), 0), np.array(-np.inf))


def test_dtypes(device):
    integers = Tensor(to_device(np.arange(6, dtype=np.uint8).reshape(2, 3), device))
    assert F.sum(integers).dtype == np.int64
    assert F.sum(integers, dtype=np.float32).dtype == np.float32
    assert F.sum(integers > 2).item() == 3
    assert F.amax(integers).dtype == np.uint8
    single = Tensor(to_device(np.ones((2, 3), np.float32), device), requires_grad=True)
    for function in (F.sum, F.mean, F.var, F.std, F.amax, norm, F.max):
        y = function(single)
        assert (y.dtype, y.shape, type(y.array)) == (np.float32, (), type(single.array))
        assert (y * 2.0).dtype == np.float32


def test_logic(device):
    x = Tensor(to_device(np.array([[1, 0], [1, 1]]), device))
    assert to_numpy(F.all(x, 1)).tolist() == [False, True]
    assert to_numpy(F.any(x, 0)).tolist() == [True, True]
    assert (F.all(x).item(), F.any(x).item()) == (False, True)
    assert F.any(x, 0, keepdim=True).shape == (1, 2)


def test_empty_and_zero_axes(device):
    empty = tensor(np.zeros((0, 3)), device, requires_grad=True)
    assert F.sum(empty).item() == 0
    assert_close(F.sum(empty, 0), np.zeros(3))
    F.sum(empty).backward()
    assert empty.grad is not None
    assert empty.grad.shape == (0, 3)
    number = tensor(2, device, requires_grad=True)
    for function, arguments in itertools.product((F.sum, F.mean, F.amax, norm), ((), (0,))):
        y = function(number, dim=arguments[0]) if arguments else function(number)
        assert y.shape == ()
        assert y.item() == 2
    assert F.max(number, 0).indices.item() == 0


ERRORS = [
    (lambda x: F.sum(x, 2), IndexError, ["sum", "dim 2", "-2 .. 1"]),
    (lambda x: F.sum(x, (0, -2)), ValueError, ["sum", "(0, -2)", "twice"]),
    (lambda x: F.mean(x.long()), TypeError, ["mean", "input", "int64", ".float()"]),
    (lambda x: F.var(x.long()), TypeError, ["var", "input", "int64"]),
    (lambda x: F.std(x.long()), TypeError, ["std", "input", "int64"]),
    (lambda x: F.max(x[:0], 0), ValueError, ["max", "(0, 3)"]),
    (lambda x: F.amin(x[:, :0]), ValueError, ["amin", "(2, 0)"]),
    (lambda x: F.argmax(x[:0]), ValueError, ["argmax", "(0, 3)"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(np.ones((2, 3))))
    for word in words:
        assert word in str(error.value)


def test_the_logarithm_of_a_sum_of_nothing(device):
    x = Tensor(to_device(np.ones((0, 3)), device))
    assert np.isneginf(to_numpy(F.logsumexp(x, 0).array)).all()
    assert F.logsumexp(x, 1).shape == (0,)
