"""Interpolation: values against the definition, fixtures, invariants, adjoints, errors."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import reference
from minivision.autograd import Tensor
from minivision.functions.convolution import conv_transpose2d
from minivision.functions.upsampling import interpolate, linear_weights, nearest_weights
from tests.helpers import assert_close, layouts, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


SIZES = [(1, 1), (3, 4), (8, 9), (5, 3), (4, 5), (13, 2)]


@pytest.mark.parametrize("size", SIZES)
def test_interpolate_is_its_definition(size, rng, device):
    x = rng.standard_normal((2, 3, 4, 5))
    for _, arranged in layouts(x):
        assert_close(interpolate(tensor(arranged, device), size), reference.interpolate(x, size))
        for align in (False, True):
            y = interpolate(tensor(arranged, device), size, mode="bilinear", align_corners=align)
            assert_close(y, reference.interpolate(x, size, "linear", align), atol=1e-12)


def test_one_and_three_axes(rng, device):
    x = rng.standard_normal((2, 3, 5))
    assert_close(interpolate(tensor(x, device), 7, mode="linear"), reference.interpolate(x, (7,), "linear"), atol=1e-12)
    x = rng.standard_normal((1, 2, 2, 3, 4))
    assert_close(
        interpolate(tensor(x, device), (3, 5, 2), mode="trilinear"), reference.interpolate(x, (3, 5, 2), "linear"), atol=1e-12
    )
    assert_close(interpolate(tensor(x, device), scale_factor=2), reference.interpolate(x, (4, 6, 8)))


FIXTURES = [
    ([1, 2, 4], {"size": 5}, [1, 1, 2, 2, 4]),
    ([1, 2, 4], {"size": 6, "mode": "linear", "align_corners": False}, [1, 1.25, 1.75, 2.5, 3.5, 4]),
    ([1, 2, 4], {"size": 6, "mode": "linear"}, [1, 1.25, 1.75, 2.5, 3.5, 4]),
    ([1, 2, 4], {"size": 6, "mode": "linear", "align_corners": True}, [1, 1.4, 1.8, 2.4, 3.2, 4]),
    ([1, 2, 4], {"size": 1, "mode": "linear", "align_corners": False}, [2]),
    ([1, 2, 4], {"size": 1, "mode": "linear", "align_corners": True}, [1]),
    (range(5), {"scale_factor": 1.5, "mode": "linear"}, [0, 0.5, 7 / 6, 11 / 6, 2.5, 19 / 6, 23 / 6]),
    (range(5), {"scale_factor": 1.5, "mode": "linear", "recompute_scale_factor": True},
     [0, 4 / 7, 9 / 7, 2, 19 / 7, 24 / 7, 4]),
]  # fmt: skip


@pytest.mark.parametrize(("x", "arguments", "expected"), FIXTURES)
def test_fixtures(x, arguments, expected, device):
    assert_close(interpolate(tensor([[list(x)]], device), **arguments), [[expected]], atol=1e-12)


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_constants_and_ramps(mode, device):
    assert_close(interpolate(tensor(np.full((1, 2, 3, 5), 7.0), device), (8, 3), mode=mode), np.full((1, 2, 8, 3), 7.0))
    ramp = np.arange(6.0) * 3 - 1
    y = to_numpy(interpolate(tensor(ramp.reshape(1, 1, 1, 6), device), (1, 18), mode="bilinear"))[0, 0, 0]
    assert_close(y[1:-1], ((np.arange(18) + 0.5) / 3 - 0.5)[1:-1] * 3 - 1, atol=1e-12)


@pytest.mark.parametrize(
    "arguments",
    [{"size": (7, 3)}, {"size": (7, 3), "mode": "bilinear"}, {"size": (2, 9), "mode": "bilinear", "align_corners": True},
     {"scale_factor": 1.7, "mode": "bilinear"}],
)  # fmt: skip
def test_adjoint_identity(arguments, rng, device):
    x = tensor(rng.standard_normal((2, 3, 4, 5)), device, requires_grad=True)
    y = interpolate(x, **arguments)
    dy = rng.standard_normal(y.shape)
    y.backward(tensor(dy, device))
    assert abs(np.vdot(to_numpy(y), dy) - np.vdot(to_numpy(x), to_numpy(x.grad))) < 1e-12


def test_bilinear_transposed_convolution_is_interpolation_inside(rng, device):
    """k=4, s=2, p=1 with the bilinear kernel: equal in the interior; on the border a quarter of the weight meets zeros."""
    x = rng.standard_normal((1, 1, 5, 6))
    hat = np.array([0.25, 0.75, 0.75, 0.25])
    y = to_numpy(conv_transpose2d(tensor(x, device), tensor(np.outer(hat, hat)[None, None], device), stride=2, padding=1))
    expected = to_numpy(interpolate(tensor(x, device), scale_factor=2, mode="bilinear"))
    assert_close(y[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-12)
    assert_close(y[..., 0, 1:-1], 0.75 * expected[..., 0, 1:-1], atol=1e-12)
    assert_close(y[..., 1:-1, -1], 0.75 * expected[..., 1:-1, -1], atol=1e-12)


def test_matrices(rng):
    """Rows add up to 1; the transposed matrix is the transpose, whatever the sizes."""
    for n, m in [(1, 4), (4, 1), (3, 7), (7, 3), (5, 5)]:
        for matrix in (
            nearest_weights(n, m),
            linear_weights(n, m, False),
            linear_weights(n, m, True),
            linear_weights(n, m, False, 1.3),
        ):
            assert_close(matrix.dense().sum(axis=1), np.ones(m), atol=1e-14)
            np.testing.assert_array_equal(matrix.transposed().dense(), matrix.dense().T)


def test_nearest_is_exact():
    """floor(j in / out) in integers; in floating point 49 * (2 / 98) falls below 1."""
    for n in range(1, 40):
        for m in (1, 7, 49, 66, 98, 110):
            assert nearest_weights(n, m).sources[:, 0].tolist() == [j * n // m for j in range(m)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_and_empty_batch(dtype, device):
    for mode in ("nearest", "bilinear"):
        x = Tensor(to_device(np.ones((0, 2, 3, 4), dtype), device), requires_grad=True)
        y = interpolate(x, (5, 6), mode=mode)
        assert (y.shape, y.dtype) == ((0, 2, 5, 6), dtype)
        y.sum().backward()
        assert x.grad is not None
        assert (x.grad.shape, x.grad.dtype) == ((0, 2, 3, 4), dtype)
        assert interpolate(Tensor(to_device(np.ones((1, 2, 3, 4), dtype), device)), (5, 6), mode=mode).dtype == dtype


ERRORS = [
    (lambda x: interpolate(x), ValueError, ["interpolate", "size", "scale_factor"]),
    (lambda x: interpolate(x, 3, 2), ValueError, ["interpolate", "size=3", "scale_factor=2"]),
    (lambda x: interpolate(x, 3, mode="cubicle"), ValueError, ["interpolate", "'cubicle'", "'bilinear'"]),
    (lambda x: interpolate(x, 3, mode="trilinear"), ValueError, ["interpolate", "'trilinear'", "(1, 2, 3, 4)", "'bilinear'"]),
    (lambda x: interpolate(x, 3, align_corners=False), ValueError, ["interpolate", "align_corners", "nearest"]),
    (lambda x: interpolate(x, (3, 4, 5)), ValueError, ["interpolate", "size=(3, 4, 5)", "2 of them"]),
    (lambda x: interpolate(x, scale_factor=0.1), ValueError, ["interpolate", "(3, 4)", "(0, 0)"]),
    (lambda x: interpolate(x[0, 0], 3), ValueError, ["interpolate", "input", "(3, 4)", "(N, C, H, W)"]),
    (lambda x: interpolate(x.long(), 3), TypeError, ["interpolate", "input", "int64"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(np.ones((1, 2, 3, 4))))
    for word in words:
        assert word in str(error.value)
