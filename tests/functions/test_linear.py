"""Matrix products."""

from __future__ import annotations

import numpy as np
import pytest

from minivision.autograd import Tensor
from minivision.functions.linear import bmm, linear, matmul, mm
from tests.helpers import assert_close, layouts, to_device


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


def product(a, b):
    """sum over m of a[i, m] b[m, j], in loops."""
    return np.array([[sum(a[i, m] * b[m, j] for m in range(a.shape[1])) for j in range(b.shape[1])] for i in range(a.shape[0])])


def test_matrices(rng, device):
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 2))
    expected = product(a, b)
    for (_, left), (_, right) in zip(layouts(a), layouts(b), strict=True):
        assert_close(matmul(tensor(left, device), tensor(right, device)), expected, atol=1e-13)
        assert_close(tensor(left, device) @ tensor(right, device), expected, atol=1e-13)
    assert_close(mm(tensor(a, device), tensor(b, device)), expected, atol=1e-13)
    assert_close(matmul(tensor(a[0], device), tensor(b, device)), expected[0], atol=1e-13)
    assert_close(matmul(tensor(a, device), tensor(b[:, 1], device)), expected[:, 1], atol=1e-13)
    assert_close(matmul(tensor(a[0], device), tensor(b[:, 1], device)), expected[0, 1], atol=1e-13)


def test_batches(rng, device):
    a, b = rng.standard_normal((2, 1, 3, 4)), rng.standard_normal((5, 4, 2))
    y = matmul(tensor(a, device), tensor(b, device))
    assert y.shape == (2, 5, 3, 2)
    assert_close(y, np.stack([np.stack([product(a[i, 0], b[j]) for j in range(5)]) for i in range(2)]), atol=1e-13)
    assert_close(
        bmm(tensor(a[:, 0], device), tensor(b[:2], device)), np.stack([product(a[i, 0], b[i]) for i in range(2)]), atol=1e-13
    )


def test_linear(rng, device):
    x, w, b = rng.standard_normal((2, 5, 3)), rng.standard_normal((4, 3)), rng.standard_normal(4)
    y = linear(tensor(x, device), tensor(w, device), tensor(b, device))
    assert_close(y, np.stack([product(v, w.T) + b for v in x]), atol=1e-13)
    assert_close(linear(tensor(x[0, 0], device), tensor(w, device)), product(x[0, :1], w.T)[0], atol=1e-13)


def test_empty(device):
    w, b = tensor(np.ones((4, 3)), device, requires_grad=True), tensor(np.ones(4), device, requires_grad=True)
    y = linear(tensor(np.zeros((0, 3)), device), w, b)
    assert y.shape == (0, 4)
    y.sum().backward()
    assert_close(w.grad, np.zeros((4, 3)))
    assert_close(b.grad, np.zeros(4))
    assert_close(linear(tensor(np.zeros((2, 0)), device), tensor(np.zeros((4, 0)), device), b), np.ones((2, 4)))
    assert_close(matmul(tensor(np.zeros((2, 0)), device), tensor(np.zeros((0, 3)), device)), np.zeros((2, 3)))


def test_what_is_kept(rng):
    """The input of a frozen layer is not kept."""
    x, w = Tensor(rng.standard_normal((2, 3)), requires_grad=True), Tensor(rng.standard_normal((4, 3)))
    y = linear(x, w)
    assert y.grad_fn is not None
    assert y.grad_fn.x is None


A = np.ones((2, 3))
ERRORS = [
    (lambda a: matmul(a, A), ValueError, ["matmul", "3 of input (2, 3)", "2 of other (2, 3)"]),
    (lambda a: a @ np.ones(2), ValueError, ["matmul", "(2, 3)", "(2,)"]),
    (lambda a: matmul(a, 2.0), ValueError, ["matmul", "()", "*"]),
    (lambda a: matmul(np.ones((2, 2, 3)), np.ones((3, 3, 2))), ValueError, ["matmul", "(2, 2, 3)", "(3, 3, 2)", "2 against 3"]),
    (lambda a: mm(a, np.ones(3)), ValueError, ["mm", "(2, 3)", "(3,)"]),
    (lambda a: bmm(a, a), ValueError, ["bmm", "3 axes", "(2, 3)"]),
    (lambda a: linear(a, np.ones((4, 2))), ValueError, ["linear", "(2, 3)", "(4, 2)", "in"]),
    (lambda a: linear(a, np.ones((4, 3)), np.ones(3)), ValueError, ["linear", "bias", "(3,)", "4 outputs"]),
    (lambda a: linear(a, np.ones((4, 3), np.float32)), TypeError, ["linear", "float64", "weight", "float32"]),
    (lambda a: linear(a.long(), np.ones((4, 3))), TypeError, ["linear", "input", "int64"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(A))
    for word in words:
        assert word in str(error.value)
