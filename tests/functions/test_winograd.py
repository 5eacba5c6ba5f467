"""Winograd convolution: its matrices, the three faces against the definition, how exact they are, and who chooses it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from minivision import conv_algorithm, reference
from minivision.autograd import Tensor
from minivision.functions.convolution import conv2d, im2col, winograd
from minivision.functions.convolution.choice import Problem, fastest
from minivision.functions.convolution.geometry import Window
from minivision.functions.convolution.winograd import transform_matrices
from tests.helpers import layouts, to_numpy

KERNEL = (3, 3)
SAME = ((1, 1), (1, 1))


def window(padding=SAME, **settings):
    return Window(**{"stride": (1, 1), "padding": padding, "dilation": (1, 1), **settings})


def outputs(size, padding):
    return tuple(n + a + b - 2 for n, (a, b) in zip(size, padding, strict=True))


def operands(rng, batch, channels, out_channels, size, padding=SAME, dtype=np.float64):
    """x, w and dy of one convolution."""
    shapes = (batch, channels, *size), (out_channels, channels, *KERNEL), (batch, out_channels, *outputs(size, padding))
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def faces(algorithm, x, w, dy, padding=SAME):
    """y, dx and dw by an algorithm."""
    return (
        algorithm.correlate(x, w, window(padding), dy.shape[2:]),
        algorithm.correlate_transposed(dy, w, x.shape[2:], window(padding)),
        algorithm.correlate_kernel(x, dy, KERNEL, window(padding)),
    )


def definition(x, w, dy, padding=SAME):
    """y, dx and dw by the loops, on an x that is padded or cropped beforehand."""
    (top, bottom), (left, right) = padding
    around = np.pad(x, ((0, 0), (0, 0), *((max(a, 0), max(b, 0)) for a, b in padding)))
    height, width = around.shape[2:]
    kept = np.s_[:, :, max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)]
    d_kept, dw, _ = reference.conv_backward(dy, around[kept], w)
    d_around = np.zeros(around.shape)
    d_around[kept] = d_kept
    (height, width), (above, before) = x.shape[2:], (max(top, 0), max(left, 0))
    return reference.conv(around[kept], w), d_around[:, :, above : above + height, before : before + width], dw


def error(actual, expected):
    """The largest error, relative to the largest value."""
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


@pytest.fixture(params=["", "pieces"])
def pieces(request, monkeypatch):
    """Once as it is, and once in so small pieces, shared out over threads, that everything is cut that can be cut."""
    if request.param:
        monkeypatch.setattr(winograd, "BLOCK", 0)
        monkeypatch.setattr(winograd, "AT_ONCE", 0)
        monkeypatch.setattr(winograd, "SUMMED", 2)
        monkeypatch.setattr(winograd, "CHUNK", 16)
        monkeypatch.setattr(winograd, "NOT_SHARED_OUT", 0)


# ---- the matrices ----


def test_four_products_instead_of_six():
    """F(2, 3) as the module's docstring has it, but for the sign of the last product."""
    input, kernel, output = transform_matrices(2, 3, (0, 1, -1))
    np.testing.assert_array_equal(input, [[-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]])
    np.testing.assert_array_equal(kernel, [[-1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    np.testing.assert_array_equal(output, [[1, 1, 1, 0], [0, 1, -1, 1]])


def test_the_matrices_of_lavin_and_gray():
    """arXiv:1509.09308, section 4.3."""
    input, kernel, output = transform_matrices(4, 3, (0, 1, -1, 2, -2))
    expected = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0]]
    np.testing.assert_array_equal(input, [*expected, [0, 4, 0, -5, 0, 1]])
    expected = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
    np.testing.assert_allclose(kernel, np.array(expected) / 24, rtol=1e-15)
    np.testing.assert_array_equal(output, [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


@pytest.mark.parametrize(("m", "r"), [(1, 1), (1, 3), (2, 2), (2, 3), (3, 4), (4, 3), (6, 3), (4, 5)])
def test_the_matrices_correlate(m, r, rng):
    points = (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-2), Fraction(1, 2), Fraction(-1, 2))[: m + r - 2]
    input, kernel, output = transform_matrices(m, r, points)
    d, g = rng.standard_normal(m + r - 1), rng.standard_normal(r)
    np.testing.assert_allclose(output @ ((kernel @ g) * (input @ d)), np.correlate(d, g, "valid"), rtol=1e-11, atol=1e-12)


def test_the_points_are_represented_exactly():
    """The matrices of the inputs and the outputs hold no rounded number, not even in float32."""
    for dtype in (np.float32, np.float64):
        matrices = winograd._matrices(np.dtype(dtype))
        input, _, output = transform_matrices(winograd.M, winograd.R, winograd.POINTS)
        assert matrices.input.dtype == dtype
        np.testing.assert_array_equal(matrices.input.astype(np.float64), np.kron(input, input))
        np.testing.assert_array_equal(matrices.output.astype(np.float64), np.kron(output, output))


@pytest.mark.parametrize("points", [(0, 1), (0, 1, -1, 2), (0, 1, 1)])
def test_wrong_points(points):
    with pytest.raises(ValueError, match=r"F\(2, 3\) takes 3 different points besides infinity, not \[0, 1"):
        transform_matrices(2, 3, points)


# ---- the three faces ----


@pytest.mark.parametrize("height", range(1, 14))
def test_every_size_is_its_definition(height, pieces, rng):
    for width in range(1, 14):
        x, w, dy = operands(rng, 1, 2, 1, (height, width))
        for actual, expected in zip(faces(winograd, x, w, dy), definition(x, w, dy), strict=True):
            assert error(actual, expected) < 1e-13


PADDINGS = [
    ((0, 0), (0, 0)),
    ((2, 2), (2, 2)),
    ((0, 1), (2, 0)),  # what lies before differs from what lies after
    ((1, 5), (7, 0)),  # tiles that see zeros alone
    ((9, 9), (4, 4)),
    ((-1, 0), (0, -2)),  # negative amounts crop
    ((-2, 3), (1, -1)),
]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", [(5, 9), (6, 4), (3, 11), (1, 1)])
def test_paddings(padding, size, pieces, rng):
    size = tuple(max(n, 3 - a - b) for n, (a, b) in zip(size, padding, strict=True))  # one output at least
    x, w, dy = operands(rng, 2, 3, 2, size, padding)
    for actual, expected in zip(faces(winograd, x, w, dy, padding), definition(x, w, dy, padding), strict=True):
        scale = max(np.abs(expected).max(), 1e-3)  # 0 where no window sees the image
        assert np.abs(actual - expected).max() < 1e-13 * scale


CHANNELS = [(1, 1), (1, 70), (70, 1), (17, 33), (130, 66), (600, 20)]


@pytest.mark.parametrize(("channels", "out_channels"), CHANNELS)
@pytest.mark.parametrize(("batch", "size"), [(1, (5, 6)), (3, (13, 10)), (2, (1, 70))])
def test_channels(channels, out_channels, batch, size, pieces, rng):
    """More tiles than output channels and fewer, and channels that no piece divides."""
    x, w, dy = operands(rng, batch, channels, out_channels, size)
    for actual, expected in zip(faces(winograd, x, w, dy), faces(im2col, x, w, dy), strict=True):
        assert error(actual, expected) < 1e-13


def test_no_images(rng):
    x, w, dy = operands(rng, 0, 3, 5, (7, 6))
    y, dx, dw = faces(winograd, x, w, dy)
    assert y.shape == dy.shape
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dw, np.zeros(w.shape))


@pytest.mark.parametrize(("channels", "out_channels"), [(40, 6), (6, 40)])
def test_the_memory_layout_changes_nothing(channels, out_channels, rng):
    x, w, dy = operands(rng, 2, channels, out_channels, (9, 7))
    expected = faces(winograd, x, w, dy)
    for (name, xs), (_, ws), (_, dys) in zip(layouts(x), layouts(w), layouts(dy), strict=True):
        before = xs.copy(), ws.copy(), dys.copy()
        for actual, value in zip(faces(winograd, xs, ws, dys), expected, strict=True):
            np.testing.assert_array_equal(actual, value, err_msg=name)
        for array, copy in zip((xs, ws, dys), before, strict=True):
            np.testing.assert_array_equal(array, copy)


def test_outputs_are_channels_last_in_memory(rng):
    x, w, dy = operands(rng, 2, 5, 4, (6, 7))
    y, dx, dw = faces(winograd, x, w, dy)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert dx.transpose(0, 2, 3, 1).flags.c_contiguous
    assert dw.flags.c_contiguous


@pytest.mark.parametrize(("channels", "out_channels"), [(64, 48), (48, 400)])
def test_threads_change_rounding_alone(channels, out_channels, rng, set_threads, monkeypatch):
    monkeypatch.setattr(winograd, "NOT_SHARED_OUT", 0)
    monkeypatch.setattr(winograd, "BLOCK", 1 << 15)
    x, w, dy = operands(rng, 3, channels, out_channels, (21, 30), dtype=np.float32)
    results = {}
    for number in (1, 2, 3):
        set_threads(number)
        results[number] = faces(winograd, x, w, dy)
        for again, value in zip(faces(winograd, x, w, dy), results[number], strict=True):
            np.testing.assert_array_equal(again, value)  # whoever was faster
        for actual, expected in zip(results[number], results[1], strict=True):
            assert error(actual, expected) < 3e-6


def test_each_face_is_the_transpose_of_the_others(pieces, rng):
    """<dy, y> = <dx, x> = <dw, w>"""
    for batch, channels, out_channels, size in [(1, 5, 3, (4, 8)), (2, 3, 40, (11, 6)), (3, 33, 2, (3, 9))]:
        for padding in (SAME, ((0, 0), (2, 1)), ((-1, 2), (3, 0))):
            x, w, dy = operands(rng, batch, channels, out_channels, size, padding)
            y, dx, dw = faces(winograd, x, w, dy, padding)
            scale = np.linalg.norm(dy) * np.linalg.norm(y)
            assert abs(np.vdot(dy, y) - np.vdot(dx, x)) < 1e-13 * scale
            assert abs(np.vdot(dy, y) - np.vdot(dw, w)) < 1e-13 * scale


@pytest.mark.parametrize(("channels", "out_channels"), [(3, 20), (20, 3)])
def test_finish_gets_every_position_once_with_the_channels_last(channels, out_channels, pieces, rng):
    """More output channels than tiles, and fewer."""
    x, w, dy = operands(rng, 2, channels, out_channels, (9, 10))
    sizes = []

    def finish(block):
        assert block.shape[-1] == out_channels
        sizes.append(block.size)
        block += np.arange(out_channels)

    y = winograd.correlate(x, w, window(), dy.shape[2:], finish)
    assert sum(sizes) == y.size
    expected = winograd.correlate(x, w, window(), dy.shape[2:]) + np.arange(out_channels).reshape(-1, 1, 1)
    np.testing.assert_array_equal(y, expected)


def test_nan_stays_in_the_tiles_that_see_it(rng):
    x, w, dy = operands(rng, 2, 3, 2, (12, 12))
    clean = winograd.correlate(x, w, window(), dy.shape[2:])
    x[0, 1, 3, 6] = np.nan  # seen by windows in the rows 2 to 4 and the columns 5 to 7: in the tiles (0, 1) and (1, 1)
    y = winograd.correlate(x, w, window(), dy.shape[2:])
    affected = np.zeros(y.shape, bool)
    affected[0, :, 0:8, 4:8] = True
    np.testing.assert_array_equal(np.isnan(y), affected)
    np.testing.assert_array_equal(y[~affected], clean[~affected])


# ---- how exact ----


@pytest.mark.parametrize(("channels", "size"), [(64, (64, 64)), (256, (32, 32)), (512, (32, 32))])
@pytest.mark.parametrize("values", ["normal", "positive"])
def test_the_error_in_float32(channels, size, values, rng):
    """The bounds that the module's docstring speaks of, with im2col in float64 for the truth."""
    x, w, dy = operands(rng, 2, channels, 64, size, dtype=np.float32)
    if values == "positive":
        x = np.maximum(x, 0)
    truth = faces(im2col, *(a.astype(np.float64) for a in (x, w, dy)))
    results = faces(winograd, x, w, dy)
    assert all(result.dtype == np.float32 for result in results)
    for result, expected in zip(results, truth, strict=True):
        assert error(result, expected) < 4e-6
    for result, expected in zip(faces(winograd, *(a.astype(np.float64) for a in (x, w, dy))), truth, strict=True):
        assert error(result, expected) < 1e-14


# ---- who chooses it ----


def problem(channels=64, out_channels=64, size=(64, 64), batch=1, dtype=np.float32, on_cpu=True, kernel=KERNEL, **settings):
    used = window(**settings)
    out = outputs(size, used.padding)
    return Problem(batch, channels, out_channels, size, out, kernel, used, np.dtype(dtype), on_cpu)


FACES = ("correlate", "correlate_transposed", "correlate_kernel")


def test_where_it_applies():
    assert winograd.applies(problem())
    assert winograd.applies(problem(dtype=np.float64, channels=1, padding=((0, 3), (-1, 2))))
    for other in (
        problem(dtype=np.float16),
        problem(on_cpu=False),
        problem(kernel=(3, 1)),
        problem(kernel=(3,)),
        problem(kernel=(5, 5)),
        problem(stride=(2, 1)),
        problem(dilation=(1, 2)),
        problem(groups=2),
    ):
        assert not winograd.applies(other)


@pytest.mark.parametrize("face", FACES)
def test_the_rule(face):
    for channels, size, batch in [
        (64, (128, 128), 4),
        (64, (252, 252), 1),
        (128, (63, 126), 1),
        (512, (31, 31), 1),
        (512, (15, 15), 1),
    ]:
        assert fastest(face, problem(channels, channels, size, batch)) == "winograd"
        assert fastest(face, problem(channels, channels, size, batch, dtype=np.float64)) != "winograd"
        assert fastest(face, problem(channels, channels, size, batch, dtype=np.float16)) != "winograd"
    assert fastest(face, problem(3, 64, (252, 252))) != "winograd"  # few channels
    assert fastest(face, problem(64, 2, (252, 252))) != "winograd"
    assert fastest(face, problem(512, 512, (4, 4))) != "winograd"  # one tile


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (True, True)])
def test_conv2d_by_winograd(wanted, rng, monkeypatch):
    """Through `conv2d`, with the gradient to the input, to the weight, or to both."""
    x, w, dy = operands(rng, 2, 3, 4, (7, 6))
    called = []
    for face in FACES:
        original = getattr(winograd, face)
        monkeypatch.setattr(winograd, face, lambda *a, face=face, original=original: (called.append(face), original(*a))[1])
    tensors = [Tensor(array, requires_grad=need) for array, need in zip((x, w), wanted, strict=True)]
    with conv_algorithm("winograd"):
        y = conv2d(*tensors, padding="same")
        y.backward(Tensor(dy))
    assert set(called) == {"correlate", *(face for face, need in zip(FACES[1:], wanted, strict=True) if need)}
    expected = definition(x, w, dy)
    assert error(to_numpy(y), expected[0]) < 1e-13
    for tensor, need, gradient in zip(tensors, wanted, expected[1:], strict=True):
        assert (tensor.grad is not None) == need
        if need:
            assert error(to_numpy(tensor.grad), gradient) < 1e-13
