"""What moves pixels, against loops, fixtures and adjoints: cubic and smooth interpolation, bins, windows, padding, sampling."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from minivision import nn, reference
from minivision.autograd import Tensor
from minivision.functions.axis_matrix import (
    antialiased_weights,
    cubic_weights,
    keys_kernel,
    nearest_exact_weights,
    triangle_kernel,
)
from minivision.nn import functional as F
from tests.helpers import assert_close, layouts, tie_free, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (8, 9), (4, 5), (13, 2)])
def test_bicubic_is_its_definition(size, rng, device):
    x = rng.standard_normal((2, 3, 4, 5))
    for _, arranged in layouts(x):
        for align in (False, True):
            y = F.interpolate(tensor(arranged, device), size, mode="bicubic", align_corners=align)
            assert_close(y, reference.interpolate(x, size, "bicubic", align), atol=1e-11)


FIXTURES = [
    ([1, 2, 4], {"size": 5}, [1, 1, 2, 2, 4]),
    ([1, 2, 4], {"size": 5, "mode": "nearest-exact"}, [1, 1, 2, 4, 4]),
    (range(5), {"size": 3, "mode": "area"}, [0.5, 2, 3.5]),
]


@pytest.mark.parametrize(("x", "arguments", "expected"), FIXTURES)
def test_fixtures(x, arguments, expected, device):
    assert_close(F.interpolate(tensor([[list(x)]], device), **arguments), [[expected]], atol=1e-12)


def test_cubic_impulse_response(device):
    """2x: the eight values that one pixel spreads along a row."""
    x = np.zeros((1, 1, 1, 9))
    x[..., 4] = 1
    half = [-0.03515625, -0.10546875, 0.26171875, 0.87890625]
    row = to_numpy(F.interpolate(tensor(x, device), size=(1, 18), mode="bicubic"))[0, 0, 0]
    assert_close(row, [0] * 5 + half + half[::-1] + [0] * 5, atol=1e-14)


def test_what_keys_kernel_reproduces():
    """a = -1/2 quadratics, a = -3/4 not even a ramp: 0.296875 at a quarter."""
    t = 0.25
    for a, function, value in [(-0.5, lambda i: i * i, t * t), (-0.5, lambda i: i, t), (-0.75, lambda i: i, 0.296875)]:
        assert abs(sum(keys_kernel(np.array(t - i), a) * function(i) for i in range(-1, 3)) - value) < 1e-14


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area", "bilinear", "bicubic"])
def test_constants_are_kept(mode, device):
    x = tensor(np.full((1, 2, 3, 5), 7.0), device)
    for size in ((8, 3), (1, 1), (2, 11)):
        assert_close(F.interpolate(x, size, mode=mode), np.full((1, 2, *size), 7.0), atol=1e-12)
        if mode in ("bilinear", "bicubic"):
            assert_close(F.interpolate(x, size, mode=mode, antialias=True), np.full((1, 2, *size), 7.0), atol=1e-12)


def test_antialiasing_counts_every_pixel():
    """Shrinking by 4, the plain matrix has empty columns and the smooth one none; enlarging, both are the same inside."""
    assert (cubic_weights(32, 4).dense().any(axis=0)).sum() == 16
    assert antialiased_weights(32, 4, triangle_kernel, 1).dense().any(axis=0).all()
    weights = antialiased_weights(8, 4, triangle_kernel, 1).dense()
    assert_close(weights[1], [0, 0.125, 0.375, 0.375, 0.125, 0, 0, 0], atol=1e-15)
    smooth, plain = (
        antialiased_weights(6, 12, triangle_kernel, 1).dense(),
        F.interpolate(tensor(np.eye(6)[:, None]), 12, mode="linear"),
    )
    assert_close(smooth, to_numpy(plain)[:, 0].T, atol=1e-14)


def test_matrices():
    for n, m in [(1, 4), (4, 1), (3, 7), (7, 3)]:
        for matrix in (nearest_exact_weights(n, m), cubic_weights(n, m), cubic_weights(n, m, False, 1.3),
                       antialiased_weights(n, m, triangle_kernel, 1)):  # fmt: skip
            assert_close(matrix.dense().sum(axis=1), np.ones(m), atol=1e-14)
            np.testing.assert_array_equal(matrix.transposed().dense(), matrix.dense().T)


# ---- adaptive pooling, unpooling, bed of nails ----


@pytest.mark.parametrize("out", [(1, 1), (2, 3), (5, 7), (8, 2)])
def test_adaptive_max_pool_is_its_definition(out, rng, device):
    x = tie_free((2, 3, 5, 7), rng)
    values, where = np.zeros((2, 3, *out)), np.zeros((2, 3, *out), np.int64)
    for n, c, i, j in np.ndindex((2, 3, *out)):
        bins = [range(math.floor(k * m / p), math.ceil((k + 1) * m / p)) for k, m, p in zip((i, j), (5, 7), out, strict=True)]
        best = max(itertools.product(*bins), key=lambda at: x[(n, c, *at)])
        values[n, c, i, j], where[n, c, i, j] = x[(n, c, *best)], best[0] * 7 + best[1]
    for _, arranged in layouts(x):
        y, indices = F.adaptive_max_pool2d(tensor(arranged, device), out, return_indices=True)
        assert_close(y, values, rtol=0, atol=0)
        np.testing.assert_array_equal(to_numpy(indices), where)


def test_adaptive_max_pool_ties_go_to_the_first(device):
    x = tensor(np.ones((1, 1, 3, 3)), device, requires_grad=True)
    F.adaptive_max_pool2d(x, 2).sum().backward()
    assert_close(x.grad, [[[[1, 1, 0], [1, 1, 0], [0, 0, 0]]]])


def test_adaptive_pools_of_other_axes(rng, device):
    x = rng.standard_normal((2, 3, 5))
    assert_close(F.adaptive_avg_pool1d(tensor(x, device), 3), reference.adaptive_avg_pool(x, (3,)), atol=1e-12)
    assert_close(F.adaptive_avg_pool1d(tensor([[range(5)]], device), 3), [[[0.5, 2, 3.5]]], atol=1e-12)
    x = rng.standard_normal((1, 2, 3, 2, 5))
    y = F.adaptive_avg_pool3d(tensor(x, device), (2, None, 3))
    assert_close(y, reference.adaptive_avg_pool(x, (2, 2, 3)), atol=1e-12)


def test_unpool_slide(device):
    x = tensor([[[[1, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]]]], device)
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    assert_close(y, [[[[5, 6], [7, 8]]]])
    unpooled = F.max_unpool2d(tensor([[[[1, 2], [3, 4]]]], device), indices, 2)
    assert_close(unpooled, [[[[0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]]]])


@pytest.mark.parametrize(("axes", "shape"), [(1, (2, 3, 7)), (3, (1, 2, 4, 5, 2))])
def test_unpool_of_other_axes(axes, shape, rng, device):
    x = tie_free(shape, rng)
    y, indices = getattr(F, f"max_pool{axes}d")(tensor(x, device), 2, return_indices=True)
    restored = getattr(F, f"max_unpool{axes}d")(y, indices, 2, output_size=shape[2:])
    assert_close(restored, reference.max_unpool(to_numpy(y), to_numpy(indices), shape[2:]), rtol=0, atol=0)


def test_bed_of_nails(rng, device):
    assert_close(F.bed_of_nails(tensor([[[[1, 2], [3, 4]]]], device), 2),
                 [[[[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]]])  # fmt: skip
    x = tensor(rng.standard_normal((2, 1, 3, 4)), device)
    one_hot = np.zeros((1, 1, 2, 3))
    one_hot[..., 0, 0] = 1
    assert_close(F.bed_of_nails(x, (2, 3)), F.conv_transpose2d(x, tensor(one_hot, device), stride=(2, 3)))


# ---- windows as columns ----


@pytest.mark.parametrize(("kernel", "dilation", "padding", "stride"),
                         [((2, 3), (1, 1), (0, 0), (1, 1)), ((3, 2), (1, 2), (1, 0), (2, 1)),
                          ((2, 2), (2, 3), (2, 1), (3, 2))])  # fmt: skip
def test_unfold_is_its_definition(kernel, dilation, padding, stride, rng, device):
    x = rng.standard_normal((2, 3, 5, 6))
    out = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, d, p, s in zip((5, 6), kernel, dilation, padding, stride, strict=True)
    ]
    expected = np.zeros((2, 3 * math.prod(kernel), math.prod(out)))
    for n, c, u, v, i, j in np.ndindex((2, 3, *kernel, *out)):
        row, column = i * stride[0] + u * dilation[0] - padding[0], j * stride[1] + v * dilation[1] - padding[1]
        if 0 <= row < 5 and 0 <= column < 6:
            expected[n, (c * kernel[0] + u) * kernel[1] + v, i * out[1] + j] = x[n, c, row, column]
    for _, arranged in layouts(x):
        assert_close(F.unfold(tensor(arranged, device), kernel, dilation, padding, stride), expected, rtol=0, atol=0)


def test_fold_is_the_transpose_of_unfold(rng, device):
    arguments = {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (1, 0), "stride": (2, 1)}
    x = rng.standard_normal((2, 3, 5, 6))
    columns = to_numpy(F.unfold(tensor(x, device), **arguments))
    y = rng.standard_normal(columns.shape)
    folded = to_numpy(F.fold(tensor(y, device), (5, 6), **arguments))
    assert abs(np.vdot(columns, y) - np.vdot(x, folded)) < 1e-11


def test_convolution_is_a_product_with_the_columns(rng, device):
    x, w = tensor(rng.standard_normal((2, 3, 5, 6)), device), tensor(rng.standard_normal((4, 3, 3, 2)), device)
    product = (w.flatten(1) @ F.unfold(x, (3, 2), padding=1)).reshape(2, 4, 5, 7)
    assert_close(product, F.conv2d(x, w, padding=1), atol=1e-12)


# ---- padding ----


@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
def test_padding_modes(mode, numpy_mode, rng, device):
    x = rng.standard_normal((2, 3, 4, 5))
    for _, arranged in layouts(x):
        y = F.pad(tensor(arranged, device), (2, 1, 3, 0), mode=mode)
        assert_close(y, np.pad(x, [(0, 0), (0, 0), (3, 0), (2, 1)], mode=numpy_mode), rtol=0, atol=0)
    assert_close(F.pad(tensor([[1, 2, 3]], device), (-1, 2), mode=mode),
                 {"reflect": [[2, 3, 2, 1]], "replicate": [[2, 3, 3, 3]], "circular": [[2, 3, 2, 3]]}[mode])  # fmt: skip


# ---- shuffling ----


def test_pixel_shuffle_is_its_definition(rng, device):
    x = rng.standard_normal((2, 12, 3, 5))
    expected = np.zeros((2, 3, 6, 10))
    for n, c, u, v, i, j in np.ndindex((2, 3, 2, 2, 3, 5)):
        expected[n, c, 2 * i + u, 2 * j + v] = x[n, 4 * c + 2 * u + v, i, j]
    y = F.pixel_shuffle(tensor(x, device), 2)
    assert_close(y, expected, rtol=0, atol=0)
    assert_close(F.pixel_unshuffle(y, 2), x, rtol=0, atol=0)
    shuffled = F.channel_shuffle(tensor(np.arange(6.0).reshape(1, 6, 1), device), 2)
    assert_close(shuffled, np.reshape([0.0, 3, 1, 4, 2, 5], (1, 6, 1)))


# ---- grid sampling ----


@pytest.mark.parametrize("align", [False, True])
def test_the_identity_grid_gives_the_image_back(align, rng, device):
    x = tensor(rng.standard_normal((2, 3, 4, 5)), device)
    grid = F.affine_grid(tensor([[[1, 0, 0], [0, 1, 0]]] * 2, device), (2, 3, 4, 5), align_corners=align)
    for mode in ("bilinear", "nearest", "bicubic"):
        assert_close(F.grid_sample(x, grid, mode=mode, align_corners=align), to_numpy(x), atol=1e-12)
    larger = F.affine_grid(tensor([[[1, 0, 0], [0, 1, 0]]] * 2, device), (2, 3, 7, 9), align_corners=align)
    resized = F.interpolate(x, (7, 9), mode="bilinear", align_corners=align)
    assert_close(F.grid_sample(x, larger, padding_mode="border", align_corners=align), to_numpy(resized), atol=1e-12)


def test_grid_sample_by_hand(device):
    """2 x 2 pixels [[0, 1], [2, 3]], cells: the centre, a corner of the image (a quarter of the corner pixel), far outside."""
    x = tensor([[[[0, 1], [2, 3]]]], device)
    grid = tensor([[[[0, 0], [1, 1], [9, 0]]]], device)
    assert_close(F.grid_sample(x, grid), [[[[1.5, 0.75, 0]]]])
    assert_close(F.grid_sample(x, grid, padding_mode="border"), [[[[1.5, 3, 2]]]])
    assert_close(F.grid_sample(x, grid, align_corners=True), [[[[1.5, 3, 0]]]])


def test_affine_grid_flips(device):
    flip = tensor([[[-1, 0, 0], [0, 1, 0]]], device)
    grid = F.affine_grid(flip, (1, 1, 1, 4), align_corners=True)
    assert_close(grid, [[[[1, 0], [1 / 3, 0], [-1 / 3, 0], [-1, 0]]]], atol=1e-15)


# ---- layers, dtypes, errors ----

LAYERS = [
    (nn.AdaptiveAvgPool1d(3), F.adaptive_avg_pool1d, (2, 4, 6), (3,)),
    (nn.AdaptiveMaxPool2d((2, None)), F.adaptive_max_pool2d, (2, 4, 6, 5), ((2, None),)),
    (nn.AdaptiveMaxPool3d(2), F.adaptive_max_pool3d, (1, 4, 6, 5, 3), (2,)),
    (nn.MaxPool1d(2, padding=1), F.max_pool1d, (2, 4, 6), (2, None, 1)),
    (nn.AvgPool1d(2, 1), F.avg_pool1d, (2, 4, 6), (2, 1)),
    (nn.AvgPool3d(2, divisor_override=3), F.avg_pool3d, (2, 4, 4, 3, 2), (2, None, 0, False, True, 3)),
    (nn.LPPool2d(2, 3), F.lp_pool2d, (2, 4, 6, 5), (2, 3)),
    (nn.Unfold(2, stride=2), F.unfold, (2, 4, 6, 5), (2, 1, 0, 2)),
    (nn.Fold((3, 4), 2), F.fold, (2, 8, 6), ((3, 4), 2)),
    (nn.PixelShuffle(2), F.pixel_shuffle, (2, 4, 3, 2), (2,)),
    (nn.PixelUnshuffle(2), F.pixel_unshuffle, (2, 4, 6, 2), (2,)),
    (nn.ChannelShuffle(2), F.channel_shuffle, (2, 4, 6), (2,)),
    (nn.ReplicationPad1d(2), F.pad, (2, 4, 6), ((2, 2), "replicate")),
    (nn.CircularPad3d((1, 0, 2, 1, 0, 1)), F.pad, (1, 2, 3, 4, 3), ((1, 0, 2, 1, 0, 1), "circular")),
    (nn.ReflectionPad3d(1), F.pad, (1, 2, 3, 4, 3), ((1,) * 6, "reflect")),
    (nn.ConstantPad1d((1, 2), 5.0), F.pad, (2, 4, 6), ((1, 2), "constant", 5.0)),
    (nn.ZeroPad3d(1), F.pad, (1, 2, 3, 4, 3), ((1,) * 6,)),
]


@pytest.mark.parametrize(("layer", "function", "shape", "arguments"), LAYERS, ids=lambda v: type(v).__name__)
def test_a_layer_is_its_function(layer, function, shape, arguments, rng, device):
    x = tensor(rng.uniform(0.5, 1, shape), device)
    assert_close(layer(x), function(x, *arguments), rtol=0, atol=0)


def test_unpool_layers(rng, device):
    x = tensor(rng.standard_normal((2, 3, 7)), device)
    y, indices = nn.MaxPool1d(2, return_indices=True)(x)
    assert_close(nn.MaxUnpool1d(2)(y, indices, output_size=x.shape), F.max_unpool1d(y, indices, 2, output_size=(7,)))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_is_kept(dtype, device):
    x = Tensor(to_device(np.ones((1, 4, 4, 6), dtype), device))
    grid = Tensor(to_device(np.zeros((1, 2, 3, 2), dtype), device))
    results = [F.interpolate(x, 3, mode="bicubic", antialias=True), F.adaptive_max_pool2d(x, 2), F.unfold(x, 2),
               F.pixel_shuffle(x, 2), F.bed_of_nails(x, 2), F.pad(x, (1, 1), "circular"), F.grid_sample(x, grid),
               F.grid_sample(x, grid, "bicubic", "reflection"), F.lp_pool2d(x, 2, 2)]  # fmt: skip
    assert [y.dtype for y in results] == [dtype] * len(results)


ERRORS = [
    (lambda x: F.interpolate(x[0], 3, mode="bicubic"), ["interpolate", "'bicubic'", "2 spatial axes", "(2, 3, 4)", "'linear'"]),
    (lambda x: F.interpolate(x, 3, mode="area", align_corners=True), ["interpolate", "align_corners", "'area'"]),
    (lambda x: F.interpolate(x, 3, antialias=True), ["interpolate", "antialias", "'bilinear'", "'nearest'"]),
    (lambda x: F.interpolate(x, 3, recompute_scale_factor=True), ["interpolate", "recompute_scale_factor", "size=3"]),
    (lambda x: F.adaptive_max_pool2d(x, 0), ["adaptive_max_pool2d", "output_size=0", "(h, w)"]),
    (lambda x: F.adaptive_avg_pool2d(x[..., :0], 2), ["adaptive_avg_pool2d", "(1, 2, 3, 0)", "length 0"]),
    (lambda x: F.max_unpool1d(x[0], np.zeros((2, 3, 3), int), 2), ["max_unpool1d", "(2, 3, 3)", "(2, 3, 4)", "max_pool1d"]),
    (lambda x: F.max_unpool1d(x[0], np.zeros((2, 3, 4), int), 2, output_size=(1, 1, 1, 8)), ["max_unpool1d", "(1, 1, 1, 8)"]),
    (lambda x: F.bed_of_nails(x, 0), ["bed_of_nails", "scale_factor=0", "at least 1"]),
    (lambda x: F.bed_of_nails(x[0, 0], 2), ["bed_of_nails", "(3, 4)", "(N, C, H, W)"]),
    (lambda x: F.unfold(x, 4), ["unfold", "height", "kernel"]),
    (lambda x: F.fold(x[0], 4, 2), ["fold", "(2, 3, 4)", "2 * 2 = 4"]),
    (lambda x: F.fold(x.reshape(1, 4, 6), 4, 2), ["fold", "6 columns", "3 * 3 = 9", "(4, 4)"]),
    (lambda x: F.pad(x, (5, 0), "circular"), ["pad", "5 positions", "has 4", "(1, 2, 3, 4)"]),
    (lambda x: F.pad(x[..., :0], (1, 0), "replicate"), ["pad", "edge", "(1, 2, 3, 0)"]),
    (lambda x: F.pad(x, (1, 0), "reflect", 2.0), ["pad", "value=2.0", "'reflect'"]),
    (lambda x: F.pixel_shuffle(x, 2), ["pixel_shuffle", "2 channels", "2^2 = 4"]),
    (lambda x: F.pixel_unshuffle(x, 2), ["pixel_unshuffle", "3 x 4", "downscale_factor = 2"]),
    (lambda x: F.channel_shuffle(x, 3), ["channel_shuffle", "groups=3", "2 channels"]),
    (lambda x: F.grid_sample(x, np.zeros((1, 2, 2, 3))), ["grid_sample", "(1, 2, 2, 3)", "(N, H', W', 2)"]),
    (lambda x: F.grid_sample(x, np.zeros((1, 2, 2, 2)), "cubic"), ["grid_sample", "'cubic'", "'bicubic'"]),
    (lambda x: F.affine_grid(x, (1, 2, 3, 4)), ["affine_grid", "(1, 2, 3, 4)", "(1, 2, 3)"]),
    (lambda x: F.lp_pool2d(x, 0, 2), ["lp_pool2d", "norm_type"]),
    (lambda x: x.unfold(1, 5, 1), ["unfold", "size=5", "axis 1", "(1, 2, 3, 4)"]),
    (lambda x: nn.ReplicationPad1d((1, 2, 3)), ["ReplicationPad1d", "(1, 2, 3)", "2"]),
    (lambda x: nn.Conv2d(1, 1, 3, padding_mode="mirror"), ["Conv2d", "'mirror'", "'circular'"]),
]


@pytest.mark.parametrize(("call", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, words):
    with pytest.raises(ValueError, match=words[0]) as error:
        call(Tensor(np.ones((1, 2, 3, 4))))
    for word in words:
        assert word in str(error.value)
