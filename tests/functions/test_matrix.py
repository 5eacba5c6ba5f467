"""Linear operations as matrices: against the loops, against the operations themselves, and the lecture's theorem."""

from __future__ import annotations

import builtins

import numpy as np
import pytest

import minivision as mv
import minivision.nn.functional as F
from minivision import ops, reference
from minivision.autograd import Tensor
from minivision.functions import matrix
from minivision.functions.matrix import (
    conv_matrix,
    conv_transpose_matrix,
    format_matrix,
    linear_matrix,
    transposed_convolution_three_ways,
)
from minivision.functions.upsampling import bed_of_nails
from tests.helpers import assert_close

SETTINGS = [
    # stride, padding, dilation, groups
    ((1, 1), (0, 0), (1, 1), 1),
    ((2, 1), (1, 0), (1, 1), 1),
    ((1, 3), (2, 1), (2, 1), 1),
    ((3, 2), (0, 3), (1, 2), 2),
    ((2, 2), (1, 1), (1, 1), 4),
    ((5, 4), (3, 2), (1, 1), 1),
]


def test_the_matrix_of_the_lecture():
    """A 2x2 kernel on a 3x3 image: the rows are the kernel, shifted."""
    c = conv_matrix([[[[1, 2], [3, 4]]]], 3)
    assert format_matrix(c).splitlines() == [
        "1 2 . 3 4 . . . .",
        ". 1 2 . 3 4 . . .",
        ". . . 1 2 . 3 4 .",
        ". . . . 1 2 . 3 4",
    ]


def test_a_toeplitz_matrix_with_a_stride():
    """One axis: each row is shifted by the stride, and the padding cuts the first row off on the left."""
    c = conv_matrix(np.array([[[1.0, 2.0, 3.0]]]), (5,), stride=2, padding=1, dense=True)
    np.testing.assert_array_equal(c, [[2, 3, 0, 0, 0], [0, 1, 2, 3, 0], [0, 0, 0, 1, 2]])


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), SETTINGS)
def test_c_x_is_the_convolution(stride, padding, dilation, groups, rng):
    x, w = rng.standard_normal((4, 5, 7)), rng.standard_normal((8, 4 // groups, 3, 2))
    expected = reference.conv(x[None], w, None, stride, padding, dilation, groups)[0]
    for dense in (False, True):
        c = conv_matrix(w, (5, 7), stride, padding, dilation, groups, dense=dense)
        assert c.shape == (expected.size, x.size)
        assert_close(c @ x.ravel(), expected.ravel(), atol=1e-11)


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), SETTINGS)
@pytest.mark.parametrize("extra", [0, 1])
def test_its_transpose_is_the_transposed_convolution(stride, padding, dilation, groups, extra, rng):
    extra = tuple(min(extra, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
    y, w = rng.standard_normal((8, 3, 4)), rng.standard_normal((8, 4 // groups, 3, 2))
    expected = reference.conv_transpose(y[None], w, None, stride, padding, extra, groups, dilation)[0]
    for dense in (False, True):
        t = conv_transpose_matrix(w, (3, 4), stride, padding, extra, groups, dilation, dense=dense)
        assert_close(t @ y.ravel(), expected.ravel(), atol=1e-11)
    if all(e < s for e, s in zip(extra, stride, strict=True)):  # the sizes that the convolution maps back to 3 x 4
        c = conv_matrix(w, expected.shape[1:], stride, padding, dilation, groups, dense=True)
        np.testing.assert_array_equal(c.T, t)


def test_one_and_three_axes_and_same(rng):
    x, w = rng.standard_normal((2, 9)), rng.standard_normal((3, 2, 4))
    expected = F.conv1d(Tensor(x), Tensor(w), padding="same", dilation=2).numpy()
    assert_close(conv_matrix(w, 9, padding="same", dilation=2) @ x.ravel(), expected.ravel())
    x, w = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((2, 2, 2, 3, 2))
    expected = reference.conv(x[None], w, None, (1, 2, 1), (1, 0, 2), (1, 1, 2))
    assert_close(conv_matrix(w, (3, 4, 5), (1, 2, 1), (1, 0, 2), (1, 1, 2)) @ x.ravel(), expected.ravel())


def test_dtype_and_sparsity(rng):
    w = rng.standard_normal((3, 2, 3, 3)).astype(np.float32)
    c = conv_matrix(Tensor(w), (6, 7))
    assert (c.dtype, c.format, c.nnz) == (np.float32, "csr", 3 * 4 * 5 * 2 * 9)
    assert conv_matrix(w.astype(int), 6).dtype == int


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), SETTINGS)
def test_three_ways_to_transpose(stride, padding, dilation, groups, rng):
    """The theorem: C^T y = conv_transpose(y, w) = the gradient of conv to its input."""
    w = rng.standard_normal((8, 4 // groups, 3, 2))
    ways = transposed_convolution_three_ways(w, (6, 7), None, stride, padding, dilation, groups)
    assert ways.by_matrix.shape == (4, 6, 7)
    assert np.abs(ways.by_matrix).max() > 0.1
    assert_close(ways.by_conv_transpose, ways.by_matrix, atol=1e-11)
    assert_close(ways.by_gradient, ways.by_matrix, atol=1e-11)


def test_three_ways_with_a_given_y_and_same_padding(rng):
    w, y = rng.standard_normal((1, 1, 2)), rng.standard_normal((1, 5))
    ways = transposed_convolution_three_ways(w, 5, y, padding="same")  # pads one position at the end
    expected = reference.conv_transpose(y[None], w, None)[0, :, :5]
    for way in ways:
        assert_close(way, expected)
    ribbon = transposed_convolution_three_ways([[[1.0, 2.0, 3.0]]], 5, [[1.0, 10.0]], stride=2)
    for way in ribbon:
        np.testing.assert_array_equal(way, [[1, 2, 13, 20, 30]])


INDICES = np.array([[[[3, 2], [8, 20]]]])
BOXES = np.array([[0, 1.3, 0.4, 9.1, 7.7], [0, -2.2, 3.1, 5.9, 14.2], [0, 4, 4, 4, 4]])
GRID = np.random.default_rng(1).uniform(-1.3, 1.3, (1, 3, 2, 2))
INTERPOLATIONS = {
    f"{mode} to {size}, corners={corners}, antialias={smooth}": (
        lambda x, size=size, mode=mode, c=corners, a=smooth: F.interpolate(x, size, mode=mode, align_corners=c, antialias=a),
        (1, 1, 4, 5),
    )
    for size in ((7, 3), (2, 9), (1, 1))
    for mode in ("nearest", "nearest-exact", "area", "bilinear", "bicubic")
    for corners in ((False, True) if mode in ("bilinear", "bicubic") else (None,))
    for smooth in ((False, True) if mode in ("bilinear", "bicubic") else (False,))
}
LINEAR = {
    **INTERPOLATIONS,
    "trilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"), (1, 1, 2, 3, 2)),
    "conv1d": (lambda x: F.conv1d(x, np.arange(6.0).reshape(1, 2, 3), dilation=2), (1, 2, 7)),
    "conv_transpose2d": (
        lambda x: F.conv_transpose2d(x, np.arange(12.0).reshape(1, 2, 2, 3), stride=(2, 1), padding=1, output_padding=(1, 0)),
        (1, 1, 3, 4),
    ),
    "avg_pool1d": (lambda x: F.avg_pool1d(x, 3, 2, 1), (1, 2, 8)),
    "adaptive 1d": (lambda x: F.adaptive_avg_pool1d(x, 3), (1, 2, 7)),
    "max_unpool1d": (lambda x: F.max_unpool1d(x, np.array([[[1, 2, 6]]]), 2, output_size=(7,)), (1, 1, 3)),
    "bed_of_nails": (lambda x: bed_of_nails(x, (2, 3)), (1, 2, 3, 2)),
    "replicate": (lambda x: F.pad(x, (2, 3, 1, 0), mode="replicate"), (1, 2, 3, 4)),
    "circular": (lambda x: F.pad(x, (2, 3, 1, 0), mode="circular"), (1, 2, 3, 4)),
    "roi_align": (lambda x: ops.roi_align(x, BOXES, (3, 2), 0.5, aligned=True), (1, 2, 6, 7)),
    "prroi_pool": (lambda x: ops.prroi_pool(x, BOXES, (3, 2), 0.5), (1, 2, 6, 7)),
    "ps_roi_align": (lambda x: ops.ps_roi_align(x, BOXES, 2, 0.5, 2), (1, 4, 5, 7)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), (1, 8, 2, 3)),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2), (1, 2, 4, 6)),
    "unfold": (lambda x: F.unfold(x, (2, 3), dilation=(2, 1), padding=1, stride=(1, 2)), (1, 2, 4, 5)),
    "fold": (lambda x: F.fold(x, (4, 5), (2, 3), stride=(2, 1)), (1, 6, 6)),
    "grid_sample": (lambda x: F.grid_sample(x, GRID, align_corners=False), (1, 2, 4, 5)),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), (1, 2, 4, 5)),
    "avg_pool2d, ceil": (lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False), (1, 1, 4, 5)),
    "adaptive": (lambda x: F.adaptive_avg_pool2d(x, (2, 3)), (1, 1, 5, 4)),
    "max_unpool2d": (lambda x: F.max_unpool2d(x, INDICES, 2, output_size=(5, 5)), (1, 1, 2, 2)),
    "nearest": (lambda x: F.interpolate(x, size=(5, 3)), (1, 1, 2, 4)),
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), (1, 1, 3, 2)),
    "bilinear, corners": (lambda x: F.interpolate(x, size=(4, 7), mode="bilinear", align_corners=True), (1, 1, 3, 2)),
    "pad": (lambda x: F.pad(x, (1, 2, 0, -1)), (1, 2, 3, 3)),
    "reflect": (lambda x: F.pad(x, (2, 1), mode="reflect"), (1, 2, 4)),
    "conv2d": (lambda x: F.conv2d(x, np.arange(12.0).reshape(2, 1, 2, 3), stride=2, padding=1), (1, 1, 4, 5)),
    "crop": (lambda x: F.center_crop(x, (2, 3)), (1, 1, 5, 4)),
    "mean": (lambda x: x.mean(dim=1), (3, 4)),
    "scalar": (lambda x: x.sum(), (3, 2)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_the_matrix_of_anything_linear(name, rng):
    """A @ x is fn(x), and A^T @ dy is the gradient that fn's backward gives."""
    fn, size = LINEAR[name]
    a = linear_matrix(fn, size)
    x = Tensor(rng.standard_normal(size), requires_grad=True)
    y = fn(x)
    dy = rng.standard_normal(y.shape)
    assert a.shape == (y.numel(), x.numel())
    assert_close(a @ x.detach().numpy().ravel(), y.detach().numpy().ravel())
    y.backward(Tensor(np.asarray(dy)))
    assert_close(a.T @ np.ravel(dy), x.grad.numpy().ravel())


def test_pairs_of_matrices():
    """What undoes an operation, or is its transpose, as an equation between matrices."""

    def matrix_of(fn, size):
        return linear_matrix(fn, size, dense=True)

    shuffled = matrix_of(lambda x: F.pixel_shuffle(x, 2), (1, 4, 2, 3))
    np.testing.assert_array_equal(shuffled.T, matrix_of(lambda x: F.pixel_unshuffle(x, 2), (1, 1, 4, 6)))
    np.testing.assert_array_equal(shuffled.T @ shuffled, np.eye(24))  # a permutation
    unfolded = matrix_of(lambda x: F.unfold(x, 2), (1, 1, 3, 4))
    np.testing.assert_array_equal(unfolded.T, matrix_of(lambda x: F.fold(x, (3, 4), 2), (1, 4, 6)))
    nails = matrix_of(lambda x: bed_of_nails(x, (2, 3)), (1, 1, 2, 2))
    np.testing.assert_array_equal(nails.T, matrix_of(lambda x: x[..., ::2, ::3], (1, 1, 4, 6)))
    nearest = matrix_of(lambda x: F.interpolate(x, scale_factor=2), (1, 1, 2, 3))
    assert_close(nearest.T / 4, matrix_of(lambda x: F.avg_pool2d(x, 2), (1, 1, 4, 6)))
    unpooled = matrix_of(lambda x: F.max_unpool2d(x, INDICES, 2, output_size=(5, 5)), (1, 1, 2, 2))
    np.testing.assert_array_equal(unpooled.T @ unpooled, np.eye(4))  # every value comes back from its own place


def test_values_of_the_matrix():
    np.testing.assert_array_equal(
        linear_matrix(lambda x: F.avg_pool1d(x, 2), (1, 1, 4), dense=True), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    )
    up = linear_matrix(lambda x: F.interpolate(x, scale_factor=2, mode="linear"), (1, 1, 3))
    assert format_matrix(up).splitlines() == [
        "   1    .    .",
        "0.75 0.25    .",
        "0.25 0.75    .",
        "   . 0.75 0.25",
        "   . 0.25 0.75",
        "   .    .    1",
    ]


def test_batched_is_the_same(rng, monkeypatch):
    w = rng.standard_normal((2, 3, 3, 2))
    monkeypatch.setattr(matrix, "COLUMNS_AT_ONCE", 7)
    batched = linear_matrix(lambda x: F.conv2d(x, w, stride=2), (3, 5, 4), batched=True)
    assert_close(batched.toarray(), conv_matrix(w, (5, 4), stride=2, dense=True), atol=1e-15)


def test_it_is_public():
    assert mv.conv_matrix is conv_matrix
    assert mv.linear_matrix is linear_matrix


GENERATOR = np.random.default_rng(0)
NOT_LINEAR = [
    (lambda x: x + 1, ["fn(0) is not 0", "reaches 1", "bias"]),
    (lambda x: x.relu(), ["fn(-1000 x)", "ReLU"]),
    (lambda x: x.clamp(-10, 10), ["fn(-1000 x)", "clamp"]),
    (lambda x: x.amax(dim=1) + x.amin(dim=1), ["fn(x + y)", "maximum"]),
    (lambda x: F.dropout(x, 0.5), ["asked twice", "eval()"]),
    (lambda x: x * float("nan"), ["fn(0) is not 0"]),
]


@pytest.mark.parametrize(("fn", "words"), NOT_LINEAR)
def test_what_is_not_linear_says_which_property_fails(fn, words):
    mv.manual_seed(0)
    with pytest.raises(ValueError, match="linear_matrix") as error:
        linear_matrix(fn, (3, 4))
    for word in words:
        assert word in str(error.value)


ERRORS = [
    (lambda: conv_matrix(np.ones((2, 2)), 5), ValueError, ["conv_matrix", "(2, 2)", "kernel[None, None]"]),
    (lambda: conv_matrix(np.ones((1, 1, 3, 3)), 2), ValueError, ["conv_matrix", "height", "2 + 0 + 0 = 2", "= 3"]),
    (lambda: conv_matrix(np.ones((1, 1, 3, 3)), (3, 5, 5)), ValueError, ["conv_matrix", "input_size=(3, 5, 5)", "2 ints"]),
    (lambda: conv_matrix(np.ones((3, 1, 3, 3)), 5, groups=2), ValueError, ["conv_matrix", "groups=2", "3 output channels"]),
    (lambda: conv_transpose_matrix(np.ones((1, 1, 3)), 5, output_padding=1), ValueError, ["matrix", "output_padding 1"]),
    (lambda: linear_matrix(lambda x: x, ()), ValueError, ["linear_matrix", "input_size=()"]),
    (lambda: linear_matrix(lambda x: (x, x), (2,)), TypeError, ["linear_matrix", "one tensor", "tuple"]),
    (lambda: linear_matrix(lambda x: x.sum(dim=0, keepdim=True), (2,), batched=True), ValueError, ["batched=True", "first axis"]),
    (lambda: transposed_convolution_three_ways(np.ones((1, 1, 2)), 5, np.ones(3)), ValueError, ["(3,)", "(1, 4)"]),
    (lambda: transposed_convolution_three_ways(np.ones((1, 1, 2), int), 5), TypeError, ["weight", "int64", ".float()"]),
    (lambda: format_matrix(np.ones(3)), ValueError, ["format_matrix", "(3,)"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    for word in words:
        assert word in str(error.value)
    assert "np." not in str(error.value)


def test_without_scipy(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("scipy"):
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"conv_matrix needs scipy: pip install 'minivision\[train\]', or pass dense=True"):
        conv_matrix(np.ones((1, 1, 2)), 3)
    np.testing.assert_array_equal(conv_matrix(np.ones((1, 1, 2)), 3, dense=True), [[1, 1, 0], [0, 1, 1]])
