"""Operations cut into strips and blocks: large enough to be cut, on every number of threads and in both orders of memory."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import functions, reference
from minivision.autograd import Tensor, grad
from minivision.blocks import in_blocks
from minivision.functions import activation, dropout, padding, pooling, shape, smooth_activation, unpooling, upsampling
from minivision.functions.selecting import keep_only, take_where
from minivision.functions.strips import STRIP, MemoryOrder, Strip, in_strips
from tests.helpers import assert_close, layouts, numerical_gradient, tie_free

pytestmark = pytest.mark.usefixtures("number_of_threads")


@pytest.fixture
def small_strips(monkeypatch):
    """Strips so small that even test images are cut, in each of the possible ways."""
    monkeypatch.setattr("minivision.functions.strips.STRIP", 40)


def with_gradient(op, x, dy):
    leaf = Tensor(x, requires_grad=True)
    y = op(leaf)
    return y.array, grad(y, leaf, Tensor(dy))[0].array


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"),
    [(2, 2, 0, 1), (3, 2, 1, 1), ((2, 3), (3, 2), (1, 0), 1), (2, 1, 1, 2), (3, 3, 1, 1), (2, 3, 0, 1)],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_max_pool_in_strips(small_strips, kernel, stride, padding, dilation, dtype, rng):
    x = tie_free((2, 3, 9, 11), rng).astype(dtype)
    expected, indices = reference.max_pool2d(x, kernel, stride, padding, dilation)
    dy = rng.standard_normal(expected.shape).astype(dtype)
    dx = reference.max_pool2d_backward(dy, indices, x.shape[2:])
    for _, arranged in layouts(x):
        for _, upstream in layouts(dy):
            y, found = with_gradient(lambda t: pooling.max_pool2d(t, kernel, stride, padding, dilation), arranged, upstream)
            np.testing.assert_array_equal(y, expected)
            assert_close(found, dx, rtol=1e-5 if dtype == "float32" else 1e-10, atol=1e-6 if dtype == "float32" else 1e-12)
            assert y.dtype == found.dtype == dtype
        _, places = pooling.max_pool2d(Tensor(arranged), kernel, stride, padding, dilation, return_indices=True)
        np.testing.assert_array_equal(places.array, indices)


def test_the_last_nan_of_a_window_wins_in_strips(small_strips):
    x = np.zeros((1, 2, 8, 8), np.float32)
    x[0, 1, 5, 4] = x[0, 1, 5, 5] = np.nan
    for _, arranged in layouts(x):
        y, places = pooling.max_pool2d(Tensor(arranged), 2, return_indices=True)
        assert np.isnan(y.array).sum() == 1
        assert places.array[0, 1, 2, 2] == 5 * 8 + 5
        assert places.array[0, 0, 2, 2] == 4 * 8 + 4


def test_ties_go_to_the_first_and_minus_infinity_never_to_padding(small_strips):
    for value in (0.0, -np.inf, 3.0):
        for _, x in layouts(np.full((2, 3, 6, 7), value)):
            _, places = pooling.max_pool2d(Tensor(x), 2, return_indices=True)
            assert places.array[1, 2].tolist() == [[r * 7 + c for c in (0, 2, 4)] for r in (0, 2, 4)]
            _, places = pooling.max_pool2d(Tensor(x), 3, 2, 1, return_indices=True)
            assert places.array[0, 1].tolist() == [[r * 7 + c for c in (0, 1, 3, 5)] for r in (0, 1, 3)]


def test_gradients_that_are_infinite_reach_the_winners_alone():
    f = pooling.MaxPool(2)
    f.forward(np.arange(16.0).reshape(1, 1, 4, 4))
    dx = f.backward(np.full((1, 1, 2, 2), np.inf))
    assert dx[0, 0].tolist() == [[0, 0, 0, 0], [0, np.inf, 0, np.inf], [0, 0, 0, 0], [0, np.inf, 0, np.inf]]


def test_pooling_keeps_no_winners_where_no_gradient_is_wanted():
    f = pooling.MaxPool(2)
    f(Tensor(np.zeros((1, 1, 4, 4))))
    assert f.winner is None
    assert f.decisions() == {}


@pytest.mark.parametrize("settings", [(2,), (3, 2, 1), (3, 1, 1, False, False), (2, 2, 1, True, False), ((3, 2), 4)])
def test_avg_pool_in_strips(small_strips, settings, rng):
    x = rng.standard_normal((2, 3, 9, 11))
    y = reference.avg_pool2d(x, *settings)
    dy, other = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    expected = (dy * reference.avg_pool2d(other, *settings)).sum()  # the gradient is the transpose
    for _, arranged in layouts(x):
        found = with_gradient(lambda t: pooling.avg_pool2d(t, *settings), arranged, dy)
        assert_close(found[0], y)
        assert_close((found[1] * other).sum(), expected)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), ((2, 3), (3, 4), (1, 0)), (3, 3, 1)])
def test_unpooling_in_strips_is_writing_at_the_indices(small_strips, kernel, stride, padding, rng):
    image = tie_free((2, 3, 9, 11), rng)
    pooled, indices = pooling.max_pool2d(Tensor(image), kernel, stride, padding, return_indices=True)
    x, dy = rng.standard_normal(pooled.shape), rng.standard_normal(image.shape)
    expected, plane = np.zeros((2, 3, 99)), (2, 3, -1)
    np.put_along_axis(expected, indices.array.reshape(plane), x.reshape(plane), axis=2)
    dx = np.take_along_axis(dy.reshape(plane), indices.array.reshape(plane), axis=2).reshape(x.shape)
    for _, arranged in layouts(x):
        for _, upstream in layouts(dy):
            call = lambda t: unpooling.max_unpool2d(t, indices, kernel, stride, padding, output_size=(9, 11))  # noqa: E731
            y, found = with_gradient(call, arranged, upstream)
            np.testing.assert_array_equal(y, expected.reshape(image.shape))
            np.testing.assert_array_equal(found, dx)


def test_unpooling_with_indices_of_another_window(small_strips):
    x, indices = Tensor(np.array([[[[1.0, 2.0], [3.0, 4.0]]]])), np.array([[[[15, 0], [7, 2]]]])
    y = unpooling.max_unpool2d(x, Tensor(indices), 2)
    assert y.array[0, 0].tolist() == [[2, 0, 4, 0], [0, 0, 0, 3], [0, 0, 0, 0], [0, 0, 0, 1]]
    with pytest.raises(ValueError, match="index 16 lies outside"):
        unpooling.max_unpool2d(x, Tensor(indices + 1), 2)


@pytest.mark.parametrize("size", [(18, 22), (7, 25), (27, 33), (9, 11), (1, 1)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("align", [None, True])
def test_interpolation_in_strips_is_its_matrices(small_strips, monkeypatch, size, mode, align, rng):
    if mode == "nearest" and align:
        return
    x, dy = rng.standard_normal((2, 3, 9, 11)), rng.standard_normal((2, 3, *size))
    for way, shortest in (("bands", 0), ("runs", 0), ("gathered", 1 << 11)):
        if way == "runs":
            monkeypatch.setattr(upsampling.AxisMatrix, "bands", [])
        monkeypatch.setattr("minivision.functions.axis_matrix.SHORTEST", shortest)
        for _, arranged in layouts(x):
            leaf = Tensor(arranged, requires_grad=True)
            y = upsampling.interpolate(leaf, size, mode=mode, align_corners=align)
            down, across = (m.dense() for m in y.grad_fn.matrices)
            assert_close(y, down @ x @ across.T)
            assert_close(grad(y, leaf, Tensor(dy))[0], down.T @ dy @ across)


def test_the_runs_of_a_matrix_are_its_rows():
    for size, out in ((5, 10), (4, 12), (7, 3), (6, 17), (1, 4)):
        for matrix in (upsampling.linear_weights(size, out), upsampling.nearest_weights(size, out)):
            for m in (matrix, matrix.transposed()):
                seen = np.zeros((len(m.sources), m.columns))
                for run in m.runs:
                    for sources, weights in zip(run.sources, run.weights, strict=True):
                        for i, j in enumerate(run.outputs):
                            weight = weights[i] if isinstance(weights, np.ndarray) else weights
                            seen[j, sources[i if len(sources) > 1 else 0]] += weight
                assert_close(seen, m.dense())


@pytest.mark.parametrize(("size", "out"), [(5, 10), (45, 90), (61, 100), (200, 400), (90, 45), (7, 3), (1, 4)])
def test_the_bands_of_a_matrix_are_its_rows(size, out):
    for m in (upsampling.linear_weights(size, out), upsampling.cubic_weights(size, out, True)):
        for matrix in (m, m.transposed()):
            seen = np.zeros((len(matrix.sources), matrix.columns))
            assert matrix.bands or max(size, out) < 8
            for band in matrix.bands:
                assert band.matrix.shape[0] <= 32
                assert band.matrix.shape[1] <= 40
                seen[band.outputs, band.sources] += band.matrix
            np.testing.assert_array_equal(seen, matrix.dense())


def test_no_bands_where_outputs_have_many_sources():
    assert upsampling.linear_weights(4, 900).transposed().bands == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinity_and_nan_stay_where_they_are(dtype, rng):
    """Bands would multiply them by zeros; they are not taken where there are any."""
    x = rng.standard_normal((1, 2, 37, 41)).astype(dtype)
    finite = upsampling.interpolate(Tensor(x), scale_factor=2, mode="bilinear").array
    x[0, 0, 10, 10], x[0, 1, 3, 40], x[0, 1, 30, 5] = np.inf, np.nan, -np.inf
    for _, arranged in layouts(x):
        y = upsampling.interpolate(Tensor(arranged), scale_factor=2, mode="bilinear").array
        reached = ~np.isfinite(y)
        assert [int(n) for n in reached.sum(axis=(0, 2, 3))] == [16, 12 + 16]
        np.testing.assert_allclose(y[~reached], finite[~reached], rtol=1e-5, atol=1e-5)


def test_enlarging_by_two_has_few_runs():
    assert len(upsampling.linear_weights(64, 128).runs) == 4
    assert len(upsampling.nearest_weights(64, 128).runs) == 2


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_cat_in_strips(small_strips, axis, rng):
    a = rng.standard_normal((2, 3, 5, 4))
    b = rng.standard_normal([n + 2 if i == axis else n for i, n in enumerate(a.shape)])
    for _, first in layouts(a):
        for _, second in layouts(b):
            y = shape.cat([Tensor(first), Tensor(second)], axis)
            np.testing.assert_array_equal(y.array, np.concatenate([a, b], axis))


def test_cat_takes_the_order_of_most_of_its_values():
    planes, last = np.zeros((1, 8, 4, 4)), np.zeros((1, 4, 4, 8)).transpose(0, 3, 1, 2)
    assert MemoryOrder.of(shape.cat([Tensor(planes), Tensor(last[:, :4])], 1).array).planes
    assert not MemoryOrder.of(shape.cat([Tensor(planes[:, :4]), Tensor(last)], 1).array).planes


@pytest.mark.parametrize("amounts", [(1, 2, 3, 0), (-1, 2, 0, -2), (0, 0, 1, 1, -1, 0)])
def test_padding_in_strips(small_strips, amounts, rng):
    x = rng.standard_normal((2, 4, 5, 6))
    pairs = [(0, 0)] * (4 - len(amounts) // 2) + [amounts[i : i + 2] for i in range(len(amounts) - 2, -2, -2)]
    cropped = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True))]
    y = np.pad(cropped, [(max(a, 0), max(b, 0)) for a, b in pairs], constant_values=7)
    dy = rng.standard_normal(y.shape)
    dx = numerical_gradient(lambda v: padding.pad(Tensor(v), amounts, value=7).array, x, dy)
    for _, arranged in layouts(x):
        found = with_gradient(lambda t: padding.pad(t, amounts, value=7), arranged, dy)
        np.testing.assert_array_equal(found[0], y)
        assert_close(found[1], dx, rtol=1e-6, atol=1e-8)


def test_what_leaves_channels_last_memory_is_channels_last(rng):
    x = Tensor(rng.standard_normal((2, 8, 8, 8)).transpose(0, 3, 1, 2), requires_grad=True)
    y, indices = pooling.max_pool2d(x, 2, return_indices=True)
    results = [
        y, indices, unpooling.max_unpool2d(y, indices, 2), upsampling.interpolate(y, scale_factor=2, mode="bilinear"),
        padding.pad(x, (1, 1)), activation.relu(x), dropout.dropout(x), shape.cat([x, x], 1), pooling.avg_pool2d(x, 2),
    ]  # fmt: skip
    assert not any(MemoryOrder.of(t.array).planes for t in results)
    for t in (t for t in results if t is not indices):
        (dx,) = grad(t, x, Tensor(np.ones_like(t.array)), retain_graph=True)
        assert not MemoryOrder.of(dx.array).planes
    (dx,) = grad(shape.center_crop(x, 4), x, Tensor(np.ones((2, 8, 4, 4)).transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)))
    assert not MemoryOrder.of(dx.array).planes


SMOOTH = {
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "logsigmoid": lambda x: -np.log1p(np.exp(-x)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_activations_in_blocks(name, rng):
    op, definition = getattr(functions, name, None) or getattr(smooth_activation, name, None), SMOOTH[name]
    op = op or getattr(activation, name)
    x = rng.standard_normal((3, 16, 90, 70))
    dy = rng.standard_normal(x.shape)
    slope = (definition(x + 1e-6) - definition(x - 1e-6)) / 2e-6
    smooth = np.abs(x) > 1e-5
    for _, arranged in layouts(x):
        for upstream in (dy, np.concatenate([dy, dy], 1)[:, 8:24]):
            y, dx = with_gradient(op, arranged, upstream)
            assert_close(y, definition(x), rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(dx[smooth], (upstream * slope)[smooth], rtol=1e-5, atol=1e-6)


def test_extreme_values_stay_what_they_are():
    x = np.array([-np.inf, -1e4, -0.0, 0.0, 1e4, np.inf, np.nan], np.float32)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(activation.sigmoid(Tensor(x)).array[[0, 1, 4, 5]], [0, 0, 1, 1])
        np.testing.assert_array_equal(activation.relu(Tensor(x)).array, [0, 0, 0, 0, 1e4, np.inf, np.nan])
        np.testing.assert_array_equal(smooth_activation.softplus(Tensor(x)).array[[0, 4, 5, 6]], [0, 1e4, np.inf, np.nan])
        np.testing.assert_array_equal(activation.leaky_relu(Tensor(x), 0.5).array, [-np.inf, -5e3, 0, 0, 1e4, np.inf, np.nan])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_select_is_where(dtype, rng):
    a = rng.standard_normal(1000).astype(dtype)
    a[:4] = np.nan, np.inf, -np.inf, -0.0
    b, keep = a[::-1].copy(), rng.random(1000) < 0.5
    out = np.empty_like(a)
    take_where(keep, a, b, out)
    np.testing.assert_array_equal(out.view(f"u{out.itemsize}"), np.where(keep, a, b).view(f"u{out.itemsize}"))
    keep_only(keep, a, out)
    np.testing.assert_array_equal(out, np.where(keep, a, dtype and out.dtype.type(0)))


def test_a_seed_means_one_mask_for_every_order_of_memory():
    from minivision.backend import Generator

    x = np.ones((2, 16, 80, 70), np.float32)
    masks = [dropout.dropout(Tensor(a), 0.3, generator=Generator(7)).array for _, a in layouts(x)]
    drawn = Generator(7).rng.random(x.shape, dtype=np.float32) >= 0.3
    for mask in masks:
        np.testing.assert_array_equal(mask != 0, drawn)
        assert_close(mask[drawn], np.full(drawn.sum(), 1 / 0.7, np.float32), rtol=1e-6)


def test_blocks_of_arrays_with_gaps_are_cut_and_cover_everything():
    whole = np.zeros((3, 4, 50, 100))
    part, seen = whole[:, 1:3], []

    def work(a):
        seen.append(a.shape)
        a += 1

    in_blocks(work, part, block=1000)
    assert whole.sum() == part.size == part.sum()
    assert len(seen) > 5
    assert all(np.prod(s) <= 1000 for s in seen)


@pytest.mark.parametrize("planes", [True, False])
@pytest.mark.parametrize("size", [(1, 1, 4), (9, 3, 2), (1, 600, 900), (2, 1, 4000), (3, 70, 40), (0, 3, 5)])
def test_strips_meet_everything_once(planes, size):
    seen = np.zeros(size, int)

    def work(strip: Strip) -> None:
        seen[strip] += 1

    in_strips(work, MemoryOrder(planes), size, per_row=STRIP // 1000)
    assert (seen == 1).all()
