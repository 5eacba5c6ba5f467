"""Operations computed as one: equal to their parts one after the other, in values and gradients."""

from __future__ import annotations

import numpy as np
import pytest

from minivision.autograd import Tensor, grad
from minivision.functions.activation import relu
from minivision.functions.convolution import conv2d
from minivision.functions.convolution.direct import convolve
from minivision.functions.convolution.finishing import Finishing
from minivision.functions.fused import ConvolutionNorm, ConvolutionReLU
from minivision.functions.normalization import batch_norm, group_norm, normalize_batch, normalize_groups
from tests.helpers import assert_close, layouts, to_device, to_numpy

SMALL, LARGE = (2, 6, 5, 4), (3, 6, 41, 37)  # a few whole arrays; and blocks


def leaf(array, device, dtype=np.float64):
    return Tensor(to_device(np.asarray(array).astype(dtype), device), requires_grad=True)


def both(together, apart, arrays, device, dtype=np.float64, **tolerance):
    """Values and gradients of two functions of the same arrays; an upstream gradient that differs everywhere."""
    results = []
    for function in (together, apart):
        inputs = [Tensor(to_device(a, device).astype(dtype, copy=False), requires_grad=True) for a in arrays]
        y = function(*inputs)
        upstream = np.cos(np.arange(np.prod(y.shape))).reshape(y.shape).astype(dtype)
        y.backward(Tensor(to_device(upstream, device)))
        assert y.dtype == dtype
        results.append([y, *(t.grad for t in inputs)])
    for one, other in zip(*results, strict=True):
        assert_close(one, other, **tolerance)


@pytest.mark.parametrize("shape", [SMALL, LARGE])
def test_convolution_and_relu(shape, rng, device, number_of_threads):
    x, w, b = rng.standard_normal(shape), rng.standard_normal((5, 6, 3, 2)), rng.standard_normal(5)
    settings = ((2, 1), (1, 0), 1, 1)
    for _, arranged in layouts(x):
        both(
            lambda x, w, b: convolve("conv2d", 2, x, w, b, *settings, ConvolutionReLU),
            lambda x, w, b: relu(conv2d(x, w, b, *settings)),
            [arranged, w, b], device, rtol=1e-12, atol=1e-12,
        )  # fmt: skip


def test_convolution_and_relu_in_single_precision(rng, device):
    x, w = rng.standard_normal((2, 16, 33, 31)), rng.standard_normal((24, 16, 3, 3)) / 12
    both(
        lambda x, w: convolve("conv2d", 2, x, w, None, 1, 1, 1, 1, ConvolutionReLU), lambda x, w: relu(conv2d(x, w, None, 1, 1)),
        [x, w], device, np.float32, rtol=1e-4, atol=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("shape", [SMALL, LARGE])
@pytest.mark.parametrize("norm", ["batch", "group", "running"])
def test_normalisation_and_relu(norm, shape, rng, device, number_of_threads):
    x, w, b = rng.standard_normal(shape) + 0.3, rng.standard_normal(6), rng.standard_normal(6)
    mean, var = rng.standard_normal(6), rng.uniform(0.5, 2, 6)

    def statistics():
        return Tensor(to_device(mean, device)), Tensor(to_device(var, device))

    def together(x, w, b):
        if norm == "group":
            return normalize_groups(x, 3, w, b, 1e-5, relu=True)
        return normalize_batch(x, *statistics(), w, b, norm == "batch", 0.1, 1e-5, relu=True)

    def apart(x, w, b):
        return relu(group_norm(x, 3, w, b) if norm == "group" else batch_norm(x, *statistics(), w, b, norm == "batch"))

    for _, arranged in layouts(x):
        both(together, apart, [arranged, w, b], device, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("rectified", [False, True])
def test_convolution_and_batch_norm_in_evaluation(rectified, rng, device):
    x, w, b = rng.standard_normal(LARGE), rng.standard_normal((4, 6, 3, 3)), rng.standard_normal(4)
    mean, var, weight, bias = (to_device(a, device) for a in (b * 2, b * b + 0.5, b - 1, b + 1))

    def apart(x, w, b):
        y = batch_norm(conv2d(x, w, b, 1, 1), Tensor(mean), Tensor(var), Tensor(weight), Tensor(bias))
        return relu(y) if rectified else y

    both(
        lambda x, w, b: ConvolutionNorm(mean, var, weight, bias, 1e-5, rectified, (1, 1))(x, w, b), apart,
        [x, w, b], device, rtol=1e-11, atol=1e-11,
    )  # fmt: skip


def test_gradient_of_the_gradient(rng, device):
    x, w, b = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)

    def twice(function):
        inputs = [leaf(a, device) for a in (x, w, b)]
        first = grad((function(*inputs) ** 2).sum(), inputs, create_graph=True)
        return grad(sum((g * g).sum() for g in first), inputs)

    pairs = [
        (lambda x, w, b: convolve("conv2d", 2, x, w, b, 1, 1, 1, 1, ConvolutionReLU),
         lambda x, w, b: relu(conv2d(x, w, b, 1, 1))),
        (lambda x, w, b: normalize_groups(conv2d(x, w, None, 1, 1), 2, b, b, 1e-2, relu=True),
         lambda x, w, b: relu(group_norm(conv2d(x, w, None, 1, 1), 2, b, b, 1e-2))),
    ]  # fmt: skip
    for together, apart in pairs:
        for one, other in zip(twice(together), twice(apart), strict=True):
            assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_decisions_and_kink(device):
    """At 0 the gradient is 0, as for ReLU alone, and the sign is shown to checkers."""
    x, w = Tensor(to_device(np.array([[[1.0, -1, 0]]]), device), requires_grad=True), to_device(np.ones((1, 1, 1)), device)
    f = ConvolutionReLU()
    y = f(x, Tensor(w))
    y.sum().backward(retain_graph=True)
    assert_close(y, [[[1.0, 0, 0]]])
    assert_close(x.grad, [[[1.0, 0, 0]]])
    np.testing.assert_array_equal(to_numpy(f.decisions()["positive"]), [[[True, False, False]]])


def test_nan_stays(device):
    x = np.array([[[1.0, np.nan, -2]]])
    y = convolve("conv1d", 1, leaf(x, device), leaf(np.ones((1, 1, 1)), device), None, 1, 0, 1, 1, ConvolutionReLU)
    assert_close(y, [[[1.0, np.nan, 0]]])


@pytest.mark.parametrize("channels", [1, 3, 64, 700])
def test_finishing_blocks_of_any_shape(channels, rng, device):
    """Rows of a few channels are taken several at a time; what is left over, and memory in another order, row by row."""
    scale, shift = rng.standard_normal(channels), rng.standard_normal(channels)
    for positions in ((7,), (1, 5, 1201), (0, 4)):
        z = rng.standard_normal((*positions, channels))
        for array in (z, np.asfortranarray(z)):
            block = to_device(array.copy(order="K"), device)
            Finishing(to_device(shift, device), to_device(scale, device), relu=True)(block)
            assert_close(block, np.maximum(z * scale + shift, 0))
            block = to_device(array.copy(order="K"), device)
            Finishing(to_device(shift, device))(block)
            assert_close(block, z + shift)


@pytest.mark.parametrize("channels", [1, 16, 100])
def test_finishing_some_rows_of_every_image(channels, rng, device):
    """A block of y: its rows lie in memory without gaps, its images do not. What is not of the block stays as it is."""
    shift = rng.standard_normal(channels)
    for columns in (3, 93, 97):
        y = rng.standard_normal((3, 20, columns, channels))
        actual, expected = to_device(y, device), y.copy()
        Finishing(to_device(shift, device), relu=True)(actual[:, 4:17])
        expected[:, 4:17] = np.maximum(expected[:, 4:17] + shift, 0)
        assert_close(actual, expected)
