"""Pooling and unpooling: values against the loops, ties, padding, adjoints, errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minivision import reference
from minivision.autograd import Tensor
from minivision.autograd.function import kept_arrays
from minivision.functions.adaptive_pooling import AdaptiveMaxPool, adaptive_avg_pool2d
from minivision.functions.pooling import (
    MaxPool,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from minivision.functions.shape import getitem
from minivision.functions.unpooling import max_unpool1d, max_unpool2d, max_unpool3d
from minivision.nn import functional
from tests.helpers import assert_close, layouts, tie_free, to_device, to_numpy

SLIDE = np.array([[[[1.0, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]]]])


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


SETTINGS = [
    # kernel, stride, padding, dilation
    ((2, 2), (2, 2), (0, 0), (1, 1)),
    ((3, 2), (1, 2), (1, 1), (1, 1)),
    ((2, 3), (3, 1), (0, 1), (2, 1)),
    ((3, 3), (2, 2), (1, 1), (1, 2)),
    ((1, 1), (2, 3), (0, 0), (1, 1)),
]


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), SETTINGS)
def test_max_pool_is_its_definition(kernel, stride, padding, dilation, ceil_mode, rng, device):
    x = rng.integers(-2, 3, (2, 3, 6, 7)).astype(float)  # many ties
    values, indices = reference.max_pool(x, kernel, stride, padding, dilation, ceil_mode)
    for _, arranged in layouts(x):
        y, where = max_pool2d(tensor(arranged, device), kernel, stride, padding, dilation, ceil_mode, return_indices=True)
        assert_close(y, values)
        assert_close(where, indices)
        assert where.dtype == np.int64


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), SETTINGS)
def test_max_pool_gradient_goes_to_the_winner(kernel, stride, padding, dilation, rng, device):
    """Also where values tie: the first one gets all, so the sum of the gradient is kept."""
    x = tensor(rng.integers(-2, 3, (2, 3, 6, 7)).astype(float), device, requires_grad=True)
    y = max_pool2d(x, kernel, stride, padding, dilation)
    dy = rng.standard_normal(y.shape)
    y.backward(tensor(dy, device))
    _, indices = reference.max_pool(to_numpy(x), kernel, stride, padding, dilation)
    expected = np.zeros((2, 3, 42))
    for at in np.ndindex(indices.shape):
        expected[at[0], at[1], indices[at]] += dy[at]
    assert_close(x.grad, expected.reshape(2, 3, 6, 7))
    assert_close(np.sum(to_numpy(x.grad)), dy.sum())


@pytest.mark.parametrize(
    ("length", "k", "s", "p", "out"),
    [(5, 2, 2, 0, 3), (5, 3, 2, 1, 3), (4, 2, 3, 1, 2), (3, 2, 2, 1, 2), (6, 3, 2, 0, 3), (7, 3, 3, 1, 3)],
)
def test_ceil_mode_sizes(length, k, s, p, out, device):
    x = tensor(np.zeros((1, 1, length)), device)
    assert max_pool1d(x, k, s, p, ceil_mode=True).shape == (1, 1, out)
    assert avg_pool1d(x, k, s, p, ceil_mode=True).shape == (1, 1, out)


def test_slide(device):
    y, indices = max_pool2d(tensor(SLIDE, device), 2, return_indices=True)
    assert_close(y, [[[[5.0, 6], [7, 8]]]])
    assert to_numpy(indices).tolist() == [[[[5, 2], [12, 15]]]]
    unpooled = max_unpool2d(tensor([[[[1, 2], [3, 4]]]], device), indices, 2)
    assert_close(unpooled, [[[[0.0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]]]])


def test_padding_never_wins(device):
    """An image of -1 pools to -1, and one of -inf to indices inside the image."""
    x = tensor(np.full((1, 2, 4, 5), -1.0), device)
    assert_close(max_pool2d(x, 3, 2, 1), np.full((1, 2, 2, 3), -1.0))
    for k, s, p, d in [(3, 1, 1, 1), (3, 2, 1, 1), (2, 3, 1, 2), (5, 4, 2, 1)]:
        x = np.full((1, 1, 6, 7), -np.inf)
        y, indices = max_pool2d(tensor(x, device), k, s, p, d, ceil_mode=True, return_indices=True)
        values, where = reference.max_pool(x, (k, k), (s, s), (p, p), (d, d), True)
        assert_close(y, values)
        assert_close(indices, where)


def test_minus_infinity_gets_its_gradient(device):
    """A window that is all -inf sends its gradient to its first real position; with zero padding it would vanish."""
    x = tensor(np.full((1, 1, 2, 2), -np.inf), device, requires_grad=True)
    y = max_pool2d(x, 2, 1, 1)
    y.backward(tensor(np.ones((1, 1, 3, 3)), device))
    assert_close(x.grad, [[[[4.0, 2], [2, 1]]]])


def test_nan_wins(device):
    x = np.array([[[[0, np.nan, 1], [2, 3, 4], [np.nan, 5, np.nan]]]])
    y, indices = max_pool2d(tensor(x, device), 2, 1, return_indices=True)
    values, where = reference.max_pool(x, (2, 2), (1, 1), (0, 0), (1, 1))
    assert_close(y, values)
    assert_close(indices, where)


def test_large_windows_count_beyond_a_byte(rng, device):
    x = tie_free((1, 1, 20, 30), rng)
    for kernel in ((16, 16), (1, 256), (1, 257), (20, 30)):
        if kernel[1] > 30:
            continue
        y, indices = max_pool2d(tensor(x, device), kernel, return_indices=True)
        values, where = reference.max_pool(x, kernel, kernel, (0, 0), (1, 1))
        assert_close(y, values)
        assert_close(indices, where)
    row = tie_free((1, 1, 600), rng)
    y, indices = max_pool1d(tensor(row, device), 256, 300, return_indices=True)
    values, where = reference.max_pool(row, (256,), (300,), (0,), (1,))
    assert_close(y, values)
    assert_close(indices, where)


def test_max_pool_by_hand(rng, device):
    x, dy = to_device(tie_free((2, 3, 4, 6), rng), device), to_device(rng.standard_normal((2, 3, 2, 3)), device)
    f = MaxPool(2)
    y = f.forward(x)
    dx = to_numpy(f.backward(dy))
    values, indices = reference.max_pool(to_numpy(x), (2, 2), (2, 2), (0, 0), (1, 1))
    assert_close(y, values)
    assert_close(np.take_along_axis(dx.reshape(2, 3, 24), indices.reshape(2, 3, 6), 2), to_numpy(dy).reshape(2, 3, 6))
    assert np.count_nonzero(dx) == 36
    assert to_numpy(f.decisions()["winner"]).shape == (2, 3, 2, 3)


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [s[:3] for s in SETTINGS])
def test_avg_pool_is_its_definition(kernel, stride, padding, ceil_mode, include, rng, device):
    x = rng.standard_normal((2, 3, 6, 7))
    expected = reference.avg_pool(x, kernel, stride, padding, ceil_mode, include)
    for _, arranged in layouts(x):
        y = avg_pool2d(tensor(arranged, device), kernel, stride, padding, ceil_mode, include)
        assert_close(y, expected, atol=1e-13)


def test_avg_pool_of_other_axes(rng, device):
    x = rng.standard_normal((1, 2, 3, 4, 5))
    assert_close(avg_pool3d(tensor(x, device), (1, 2, 3)), reference.avg_pool(x, (1, 2, 3), (1, 2, 3), (0, 0, 0)))
    y, where = max_pool3d(tensor(x, device), (3, 2, 2), 1, return_indices=True)
    values, indices = reference.max_pool(x, (3, 2, 2), (1, 1, 1), (0, 0, 0), (1, 1, 1))
    assert_close(y, values)
    assert_close(where, indices)
    assert_close(
        avg_pool2d(tensor(x[0], device), 2, divisor_override=3), reference.avg_pool(x[0], (2, 2), (2, 2), (0, 0), divisor=3)
    )


@pytest.mark.parametrize("out", [(1, 1), (3, 4), (5, 7), (2, 9)])
def test_adaptive_avg_pool(out, rng, device):
    x = rng.standard_normal((2, 3, 5, 7))
    assert_close(adaptive_avg_pool2d(tensor(x, device), out), reference.adaptive_avg_pool(x, out))
    assert_close(adaptive_avg_pool2d(tensor(np.arange(5.0).reshape(1, 1, 5, 1), device), (3, 1)), [[[[0.5], [2], [3.5]]]])


def test_nearest_is_the_adjoint_of_average(rng, device):
    """<avg_pool x, y> = <x, A^T y>: each y is spread over its window / k^2."""
    x, y = rng.standard_normal((2, 3, 6, 8)), rng.standard_normal((2, 3, 3, 4))
    leaf = tensor(x, device, requires_grad=True)
    pooled = avg_pool2d(leaf, 2)
    pooled.backward(tensor(y, device))
    assert_close(leaf.grad, np.kron(y, np.ones((2, 2))) / 4)
    assert abs(np.vdot(to_numpy(pooled), y) - np.vdot(x, to_numpy(leaf.grad))) < 1e-12


@pytest.mark.parametrize(("k", "s", "p", "size"), [(2, 2, 0, (6, 8)), (2, 2, 0, (7, 9)), (3, 3, 1, (7, 5)), (2, 3, 0, (8, 6))])
def test_unpooling_inverts_and_is_adjoint(k, s, p, size, rng, device):
    """Without overlap: pool(unpool(pool(x))) = pool(x), and <unpool a, b> = <a, gather b>."""
    x = tie_free((2, 3, *size), rng) + 2  # positive, so that the zeros of unpooling lose
    y, indices = max_pool2d(tensor(x, device), k, s, p, return_indices=True)
    back = max_unpool2d(y, indices, k, s, p, output_size=size)
    assert_close(back, reference.max_unpool(to_numpy(y), to_numpy(indices), size))
    assert_close(max_pool2d(back, k, s, p), y)
    a, b = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    leaf = tensor(a, device, requires_grad=True)
    unpooled = max_unpool2d(leaf, indices, k, s, p, output_size=(2, 3, *size))
    unpooled.backward(tensor(b, device))
    assert abs(np.vdot(to_numpy(unpooled), b) - np.vdot(a, to_numpy(leaf.grad))) < 1e-12


def test_unpool_with_duplicates(request, device):
    """The last write wins (on a GPU it is not determined which), and the backward gathers for both."""
    x = tensor([[[[1.0, 2.0]]]], device, requires_grad=True)
    indices = Tensor(to_device(np.array([[[[1, 1]]]]), device))
    y = max_unpool2d(x, indices, (1, 2), stride=1, output_size=(1, 3))
    if request.config.getoption("--device") == "cpu":
        assert_close(y, [[[[0.0, 2, 0]]]])
    y.backward(tensor([[[[10.0, 20, 30]]]], device))
    assert_close(x.grad, [[[[20.0, 20]]]])


@pytest.mark.parametrize("block", [5, 40, 1 << 17])
@pytest.mark.parametrize(
    ("unpool", "shape", "size"),
    [
        (max_unpool1d, (3, 2, 5), (9,)),
        (max_unpool2d, (2, 3, 4, 5), (7, 10)),
        (max_unpool2d, (1, 17, 3, 4), (6, 7)),
        (max_unpool2d, (3, 1, 4, 2), (8, 5)),
        (max_unpool2d, (0, 2, 3, 2), (6, 4)),
        (max_unpool3d, (2, 2, 2, 3, 2), (4, 5, 3)),
    ],
)
def test_unpooling_by_blocks_is_its_definition(number_of_threads, monkeypatch, block, unpool, shape, size, rng):
    """Also where many an index occurs twice, in planes and in rows that are worked on apart, and in memory of any order."""
    monkeypatch.setattr("minivision.functions.unpooling.BLOCK", block)
    indices = rng.integers(0, np.prod(size), shape)
    for dtype in (np.float64, np.float32):
        x, dy = rng.standard_normal(shape).astype(dtype), rng.standard_normal((*shape[:2], *size)).astype(dtype)
        y, dx = reference.max_unpool(x, indices, size), reference.max_unpool_backward(dy, indices)
        for (_, values), (_, places), (_, upstream) in itertools.product(layouts(x), layouts(indices), layouts(dy)):
            leaf = Tensor(values, requires_grad=True)
            unpooled = unpool(leaf, Tensor(places), 2, output_size=size)
            unpooled.backward(Tensor(upstream))
            np.testing.assert_array_equal(unpooled.array, y)
            np.testing.assert_array_equal(leaf.grad.array, dx)
            assert unpooled.dtype == leaf.grad.dtype == dtype
            np.testing.assert_array_equal(values, x)
            np.testing.assert_array_equal(places, indices)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64, ">i8"])
def test_unpooling_takes_integers_of_any_kind(dtype, rng):
    x, indices = rng.standard_normal((2, 3, 2, 2)), rng.integers(0, 16, (2, 3, 2, 2))
    for _, places in layouts(indices.astype(dtype)):
        leaf = Tensor(x, requires_grad=True)
        y = max_unpool2d(leaf, places, 2)
        np.testing.assert_array_equal(y.array, reference.max_unpool(x, indices, (4, 4)))
        y.sum().backward()
        np.testing.assert_array_equal(leaf.grad.array, np.ones(x.shape))


@pytest.mark.parametrize(
    ("dtype", "worst"), [(np.int8, -1), (np.uint8, 255), (np.uint64, 2**64 - 1), (np.int64, 16), (np.int64, -16)]
)
@pytest.mark.parametrize("place", [(0, 0, 0, 0), (1, 2, 1, 1)])
def test_unpooling_refuses_one_index_outside_its_plane(dtype, worst, place):
    indices = np.zeros((2, 3, 2, 2), dtype)
    indices[place] = worst
    with pytest.raises(ValueError, match=f"max_unpool2d: index {worst} lies outside"):
        max_unpool2d(Tensor(np.ones((2, 3, 2, 2))), indices, 2)


def test_unpooling_keeps_the_indices_alone(rng):
    leaf, indices = Tensor(rng.standard_normal((2, 3, 2, 2)), requires_grad=True), Tensor(rng.integers(0, 16, (2, 3, 2, 2)))
    node = max_unpool2d(leaf, indices, 2).grad_fn
    assert [kept is indices.array for kept in kept_arrays(node)] == [True]


def test_bed_of_nails_is_the_adjoint_of_striding(rng, device):
    x = tensor(rng.standard_normal((1, 2, 4, 6)), device, requires_grad=True)
    dy = rng.standard_normal((1, 2, 2, 3))
    getitem(x, (..., slice(None, None, 2), slice(None, None, 2))).backward(tensor(dy, device))
    nails = np.zeros((1, 2, 4, 6))
    nails[..., ::2, ::2] = dy
    assert_close(x.grad, nails)


ADAPTIVE = [
    # shape, output size
    ((3, 4, 7, 9), (3, 4)),
    ((3, 4, 8, 6), (4, 3)),  # bins that do not overlap
    ((2, 5, 6, 11), (1, 1)),
    ((4, 3, 5, 7), (1, 4)),
    ((4, 3, 5, 7), (5, 1)),
    ((2, 17, 3, 4), (5, 6)),  # more bins than pixels
    ((3, 1, 6, 5), (2, 2)),
    ((1, 3, 300, 2), (1, 2)),  # more numbers in a bin than a byte holds
    ((3, 4, 11), (3,)),
    ((3, 4, 11), (1,)),
    ((2, 3, 4, 5, 6), (3, 2, 4)),
    ((2, 3, 4, 5, 6), (1, 1, 1)),
    ((0, 3, 4, 5), (2, 2)),
]


def by_axes(op, shape):
    return getattr(functional, f"{op}{len(shape) - 2}d")


def bins_of(shape, out):
    """For each output, its index and that of its bin."""
    for n, c, *o in np.ndindex(*shape[:2], *out):
        cuts = [slice(i * size // m, -(-(i + 1) * size // m)) for i, size, m in zip(o, shape[2:], out, strict=True)]
        yield (n, c, *o), (n, c, *cuts)


@pytest.mark.parametrize("block", [7, 60, 1 << 17])
@pytest.mark.parametrize(("shape", "out"), ADAPTIVE)
def test_adaptive_mean_by_blocks_is_its_definition(number_of_threads, monkeypatch, block, shape, out, rng):
    monkeypatch.setattr("minivision.functions.adaptive_pooling.BLOCK", block)
    for dtype, rtol in ((np.float64, 1e-10), (np.float32, 1e-4)):
        x, dy = rng.standard_normal(shape).astype(dtype), rng.standard_normal((*shape[:2], *out)).astype(dtype)
        y, dx = np.zeros(dy.shape), np.zeros(shape)
        for to, where in bins_of(shape, out):
            y[to] = x[where].mean(dtype=np.float64)
            dx[where] += dy[to] / x[where].size
        for (_, values), (_, upstream) in itertools.product(layouts(x), layouts(dy)):
            leaf = Tensor(values, requires_grad=True)
            pooled = by_axes("adaptive_avg_pool", shape)(leaf, out)
            pooled.backward(Tensor(upstream))
            assert_close(pooled, y, rtol=rtol, atol=rtol / 10)
            assert_close(leaf.grad, dx, rtol=rtol, atol=rtol / 10)
            assert pooled.dtype == leaf.grad.dtype == dtype
            np.testing.assert_array_equal(values, x)


@pytest.mark.parametrize("block", [7, 60, 1 << 17])
@pytest.mark.parametrize("kind", ["ties", "nan", "infinite"])
@pytest.mark.parametrize(("shape", "out"), ADAPTIVE)
def test_adaptive_maximum_by_blocks_is_its_definition(number_of_threads, monkeypatch, block, kind, shape, out, rng):
    """Of several largest values the first in row-major order wins, also of several NaN; and an x may win in several bins."""
    monkeypatch.setattr("minivision.functions.adaptive_pooling.BLOCK", block)
    for dtype in (np.float64, np.float32):
        x = rng.integers(-2, 3, shape).astype(dtype)
        if kind == "nan":
            x[rng.random(shape) < 0.05] = np.nan
        if kind == "infinite":
            x = np.where(rng.random(shape) < 0.05, np.inf, np.where(rng.random(shape) < 0.7, -np.inf, x)).astype(dtype)
        dy = rng.standard_normal((*shape[:2], *out)).astype(dtype)
        y, dx, places = np.zeros(dy.shape, dtype), np.zeros(shape), np.zeros(dy.shape, int)
        numbers = np.broadcast_to(np.arange(np.prod(shape[2:])).reshape(shape[2:]), shape)
        for to, where in bins_of(shape, out):
            first = x[where].argmax()
            y[to], places[to] = x[where].reshape(-1)[first], numbers[where].reshape(-1)[first]
            dx[to[:2]].reshape(-1)[places[to]] += dy[to]
        pool = by_axes("adaptive_max_pool", shape)
        for (_, values), (_, upstream) in itertools.product(layouts(x), layouts(dy)):
            leaf = Tensor(values, requires_grad=True)
            pooled, indices = pool(leaf, out, return_indices=True)
            pooled.backward(Tensor(upstream))
            np.testing.assert_array_equal(pooled.array, y)
            np.testing.assert_array_equal(indices.array, places)
            assert_close(leaf.grad, dx, rtol=1e-4 if dtype == np.float32 else 1e-10, atol=1e-6)
            assert pooled.dtype == leaf.grad.dtype == dtype
            assert indices.dtype == np.int64
            np.testing.assert_array_equal(values, x)
            np.testing.assert_array_equal(pool(Tensor(values), out).array, y)  # without looking for the places


def test_adaptive_maximum_keeps_its_places_alone_and_only_for_a_gradient(rng):
    x = rng.standard_normal((2, 3, 8, 6))
    node = functional.adaptive_max_pool2d(Tensor(x, requires_grad=True), 2).grad_fn
    assert [(kept.shape, kept.dtype) for kept in kept_arrays(node)] == [((2, 3, 2, 2), np.int64)]
    f = AdaptiveMaxPool((2, 2))
    f(Tensor(x))
    assert f.flat is None
    assert f.decisions() == {}


def test_empty_batch_and_single_sample(rng, device):
    empty = tensor(np.zeros((0, 2, 4, 6)), device, requires_grad=True)
    y, indices = max_pool2d(empty, 2, return_indices=True)
    assert y.shape == indices.shape == (0, 2, 2, 3)
    assert max_unpool2d(y, indices, 2).shape == (0, 2, 4, 6)
    assert avg_pool2d(empty, 2).shape == (0, 2, 2, 3)
    assert adaptive_avg_pool2d(empty, 1).shape == (0, 2, 1, 1)
    y.sum().backward()
    assert empty.grad is not None
    assert empty.grad.shape == (0, 2, 4, 6)
    x = rng.standard_normal((2, 4, 6))
    for pool in (max_pool2d, avg_pool2d, adaptive_avg_pool2d):
        assert_close(pool(tensor(x, device), 2), to_numpy(pool(tensor(x[None], device), 2))[0])
    y, indices = max_pool2d(tensor(x, device), 2, return_indices=True)
    assert indices.shape == (2, 2, 3)
    assert max_unpool2d(y, indices, 2).shape == (2, 4, 6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_is_kept(dtype, device):
    x = Tensor(to_device(np.ones((1, 2, 4, 4), dtype), device), requires_grad=True)
    for y in (max_pool2d(x, 2), avg_pool2d(x, 3, padding=1), adaptive_avg_pool2d(x, 3)):
        assert y.dtype == dtype
        y.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype


def indices_of(shape, value=0):
    return Tensor(np.full(shape, value))


ERRORS = [
    (lambda x: max_pool2d(x, 6), ValueError, ["max_pool2d", "height", "(5, 7)", "(6, 6)"]),
    (lambda x: max_pool2d(x, 2, padding=2), ValueError, ["max_pool2d", "padding 2", "kernel_size 2"]),
    (lambda x: max_pool2d(x[0, 0], 2), ValueError, ["max_pool2d", "input", "(5, 7)", "(N, C, H, W)"]),
    (lambda x: max_pool2d(x.long(), 2), TypeError, ["max_pool2d", "input", "int64"]),
    (lambda x: max_pool2d(x, 0), ValueError, ["max_pool2d", "kernel_size=0"]),
    (lambda x: max_pool1d(x, 2), ValueError, ["max_pool1d", "(1, 2, 5, 7)", "(N, C, L)"]),
    (lambda x: avg_pool2d(x, (6, 1)), ValueError, ["avg_pool2d", "height", "(6, 1)"]),
    (lambda x: avg_pool2d(x, 2, divisor_override=0), ValueError, ["avg_pool2d", "divisor_override"]),
    (lambda x: adaptive_avg_pool2d(x, 0), ValueError, ["adaptive_avg_pool2d", "output_size=0"]),
    (lambda x: adaptive_avg_pool2d(x, (1, 2, 3)), ValueError, ["adaptive_avg_pool2d", "(1, 2, 3)"]),
    (lambda x: max_unpool2d(x, indices_of((1, 2, 5, 7)).float(), 2), TypeError, ["max_unpool2d", "indices", "float32"]),
    (lambda x: max_unpool2d(x, indices_of((1, 2, 5, 6)), 2), ValueError, ["max_unpool2d", "(1, 2, 5, 6)", "(1, 2, 5, 7)"]),
    (lambda x: max_unpool2d(x, indices_of((1, 2, 5, 7)), 2, output_size=(12, 14)), ValueError,
     ["max_unpool2d", "output_size 12", "height", "[9, 11]", "5"]),
    (lambda x: max_unpool2d(x, indices_of((1, 2, 5, 7), 140), 2), ValueError, ["max_unpool2d", "140", "(10, 14)", "output_size"]),
    (lambda x: max_unpool2d(x, indices_of((1, 2, 5, 7), -1), 2), ValueError, ["max_unpool2d", "-1"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(np.ones((1, 2, 5, 7))))
    for word in words:
        assert word in str(error.value)
    assert "np." not in str(error.value)


def test_default_sizes_are_those_of_convolution(device):
    for n, k, s in itertools.product((5, 6, 7), (2, 3), (1, 2, 3)):
        x = tensor(np.zeros((1, 1, n, n)), device)
        assert max_pool2d(x, k, s).shape == avg_pool2d(x, k, s).shape == (1, 1, *((n - k) // s + 1,) * 2)
