"""Products and arithmetic of arrays that are large enough to be shared out over threads: the values are those of small ones."""

from __future__ import annotations

import numpy as np
import pytest

from minivision.autograd import Tensor
from minivision.functions import arithmetic, linear
from minivision.nn import functional as F
from minivision.threads import get_num_threads, set_num_threads
from tests.helpers import assert_close, layouts, to_device

TOLERANCE = {np.float32: 2e-4, np.float64: 1e-11}


@pytest.fixture
def small(monkeypatch):
    """Limits that small arrays exceed."""
    monkeypatch.setattr(linear, "BLAS_ALONE", 1 << 7)
    monkeypatch.setattr(linear, "MANY", 1 << 10)
    monkeypatch.setattr(arithmetic, "LARGE", 1 << 6)


def leaf(array, device="cpu"):
    return Tensor(to_device(array, device), requires_grad=True)


def close(actual, expected, dtype):
    assert actual.dtype == dtype
    assert_close(actual, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((37, 23), (23, 51)),
        ((151, 23), (23, 7)),
        ((7, 200), (200, 9)),
        ((1, 300), (300, 17)),
        ((17, 300), (300, 1)),
        ((5, 13, 11), (5, 11, 12)),
        ((2, 3, 13, 11), (2, 3, 11, 12)),
        ((1, 43, 31), (1, 31, 12)),
        ((3, 1, 13, 11), (5, 11, 12)),
        ((23, 5, 11), (11, 12)),
        ((0, 40), (40, 50)),
        ((40, 0), (0, 50)),
    ],
)
def test_matmul(a, b, dtype, number_of_threads, small, device, rng):
    a, b = rng.standard_normal(a).astype(dtype), rng.standard_normal(b).astype(dtype)
    dy = rng.standard_normal((a @ b).shape).astype(dtype)
    for _, left in layouts(a):
        for _, right in layouts(b):
            x, w = leaf(left, device), leaf(right, device)
            y = x @ w
            y.backward(Tensor(to_device(dy, device)))
            close(y, a.astype(np.float64) @ b, dtype)
            da = dy.astype(np.float64) @ b.swapaxes(-1, -2)
            db = a.astype(np.float64).swapaxes(-1, -2) @ dy
            close(x.grad, _sum_to(da, a), dtype)
            close(w.grad, _sum_to(db, b), dtype)


def _sum_to(gradient, like):
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - like.ndim)))
    return gradient.sum(axis=tuple(i for i, n in enumerate(like.shape) if n == 1), keepdims=True).reshape(like.shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(67, 24), (3, 5, 24), (24,), (0, 24), (2, 3, 4, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(shape, bias, dtype, number_of_threads, small, device, rng):
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in (shape, (19, 24), (19,)))
    dy = rng.standard_normal((*shape[:-1], 19)).astype(dtype)
    expected = x.astype(np.float64) @ w.T + (b if bias else 0)
    rows, upstream = x.reshape(-1, 24).astype(np.float64), dy.reshape(-1, 19)
    for _, values in layouts(x):
        tensors = [leaf(v, device) for v in (values, w, b)]
        y = F.linear(*tensors[: 2 + bias])
        y.backward(Tensor(to_device(dy, device)))
        close(y, expected, dtype)
        close(tensors[0].grad, dy.astype(np.float64) @ w, dtype)
        close(tensors[1].grad, upstream.T @ rows, dtype)
        if bias:
            close(tensors[2].grad, upstream.astype(np.float64).sum(axis=0), dtype)
        np.testing.assert_array_equal(values, x)


@pytest.mark.parametrize("dtype", [np.float16, np.int64])
def test_products_of_other_types(dtype, number_of_threads, small):
    a, b = np.arange(30 * 20).reshape(30, 20) % 7, np.arange(20 * 40).reshape(20, 40) % 5
    y = Tensor(a.astype(dtype)) @ Tensor(b.astype(dtype))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.numpy(), (a @ b).astype(dtype))


def test_nan_and_infinity_go_through(number_of_threads, small):
    a = np.ones((60, 60), np.float32)
    a[3, 4], a[50, 7] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        y = (Tensor(a) @ Tensor(np.ones((60, 60), np.float32))).numpy()
    assert np.isnan(y[3]).all()
    assert (y[50] == np.inf).all()
    assert (np.delete(y, [3, 50], axis=0) == 60).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("operation", "da", "db"),
    [
        (lambda a, b: a + b, lambda a, b: 1, lambda a, b: 1),
        (lambda a, b: a - b, lambda a, b: 1, lambda a, b: -1),
        (lambda a, b: a * b, lambda a, b: b, lambda a, b: a),
        (lambda a, b: a / b, lambda a, b: 1 / b, lambda a, b: -a / b**2),
    ],
)
def test_arithmetic(operation, da, db, dtype, number_of_threads, small, device, rng):
    shape = (3, 5, 7, 9)
    a, b, dy = (rng.uniform(1, 2, shape).astype(dtype) for _ in range(3))
    for _, left in layouts(a):
        for _, right in layouts(b):
            x, w = leaf(left, device), leaf(right, device)
            y = operation(x, w)
            y.backward(Tensor(to_device(dy, device)))
            close(y, operation(a.astype(np.float64), b), dtype)
            close(x.grad, dy.astype(np.float64) * da(a, b), dtype)
            close(w.grad, dy.astype(np.float64) * db(a.astype(np.float64), b), dtype)
            np.testing.assert_array_equal(left, a)
            np.testing.assert_array_equal(right, b)
    for number in (3, 0.5):
        x = leaf(a, device)
        y = operation(x, number)
        y.backward(Tensor(to_device(dy, device)))
        close(y, operation(a.astype(np.float64), number), dtype)
        close(x.grad, dy.astype(np.float64) * da(a, np.float64(number)), dtype)
        close(operation(number, leaf(a, device)), operation(number, a.astype(np.float64)), dtype)


@pytest.mark.parametrize("other", [(5, 1, 1), (1, 1, 9), (1,), (3, 5, 7, 1)])
def test_broadcasting(other, number_of_threads, small, device, rng):
    a, b, dy = rng.standard_normal((3, 5, 7, 9)), rng.standard_normal(other), rng.standard_normal((3, 5, 7, 9))
    for _, values in layouts(a):
        x, w = leaf(values, device), leaf(b, device)
        y = x * w
        y.backward(Tensor(to_device(dy, device)))
        assert_close(y, a * b)
        assert_close(x.grad, dy * b)
        assert_close(w.grad, _sum_to(dy * a, b), rtol=1e-9)


def test_values_are_the_same_on_any_number_of_threads(small):
    """Elementwise work does not depend on how it is shared out, to the last bit."""
    a, b = np.random.default_rng(0).standard_normal((2, 31, 17, 13)).astype("f4")
    before, results = get_num_threads(), []
    try:
        for n in (1, 2, 3):
            set_num_threads(n)
            x = Tensor(a)
            results.append(((x * Tensor(b) + x) / 3 - 0.1).numpy())
    finally:
        set_num_threads(before)
    for r in results[1:]:
        np.testing.assert_array_equal(r, results[0])
