"""Batch, group and instance normalisation."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import reference
from minivision.autograd import Tensor
from minivision.functions.normalization import batch_norm, group_norm, instance_norm
from tests.helpers import assert_close, layouts, to_device, to_numpy

EPS = 1e-5


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4), (2, 3, 4, 5), (2, 3, 2, 3, 2)])
def test_batch_norm(shape, rng, device):
    """Each channel by its mean over batch and positions; the running variance takes the unbiased estimate."""
    x, w, b = rng.standard_normal(shape) * 3 + 2, rng.standard_normal(3), rng.standard_normal(3)
    expected = reference.standardize(x, [(slice(None), c) for c in range(3)], w, b, EPS)
    for _, arranged in layouts(x):
        mean, var = tensor([1, 2, 3], device), tensor([4, 5, 6], device)
        y = batch_norm(tensor(arranged, device), mean, var, tensor(w, device), tensor(b, device), training=True, momentum=0.3)
        assert_close(y, expected, atol=1e-12)
        channels = [x[:, c].ravel() for c in range(3)]
        assert_close(mean, 0.7 * np.array([1, 2, 3]) + 0.3 * np.array([c.mean() for c in channels]))
        assert_close(var, 0.7 * np.array([4, 5, 6]) + 0.3 * np.array([c.var(ddof=1) for c in channels]))
    mean, var = rng.standard_normal(3), rng.uniform(0.5, 2, 3)
    y = batch_norm(tensor(x, device), tensor(mean, device), tensor(var, device), tensor(w, device), tensor(b, device))
    c = (1, 3, *[1] * (len(shape) - 2))
    by_hand = (x - mean.reshape(c)) / np.sqrt(var.reshape(c) + EPS) * w.reshape(c) + b.reshape(c)
    assert_close(y, by_hand, atol=1e-12)


@pytest.mark.parametrize(
    ("groups", "shape"), [(1, (2, 4, 3, 5)), (2, (2, 4, 3, 5)), (4, (2, 4, 3, 5)), (3, (2, 6, 4)), (2, (3, 6))]
)
def test_group_norm(groups, shape, rng, device):
    channels = shape[1]
    x, w, b = rng.standard_normal(shape) * 3 + 2, rng.standard_normal(channels), rng.standard_normal(channels)
    size = channels // groups
    parts = [(n, slice(g * size, (g + 1) * size)) for n in range(shape[0]) for g in range(groups)]
    expected = reference.standardize(x, parts, w, b, EPS)
    for _, arranged in layouts(x):
        assert_close(group_norm(tensor(arranged, device), groups, tensor(w, device), tensor(b, device)), expected, atol=1e-12)
    if groups == channels:
        assert_close(instance_norm(tensor(x, device), weight=tensor(w, device), bias=tensor(b, device)), expected, atol=1e-12)


def test_weight_or_bias_alone(rng, device):
    x, w = rng.standard_normal((4, 3, 2)), rng.standard_normal(3)
    ones, zeros = np.ones(3), np.zeros(3)
    channels = [(slice(None), c) for c in range(3)]
    y = batch_norm(tensor(x, device), None, None, tensor(w, device), None, training=True)
    assert_close(y, reference.standardize(x, channels, w, zeros, EPS), atol=1e-12)
    bias = tensor([1, np.nan, 2], device, requires_grad=True)
    y = batch_norm(tensor(x, device), None, None, None, bias, training=True)
    assert_close(y, reference.standardize(x, channels, ones, np.array([1, np.nan, 2]), EPS), atol=1e-12)
    y.sum().backward()
    assert_close(bias.grad, [8.0, 8, 8])


def test_shifting_the_input_changes_nothing(rng, device):
    """So the gradient of the input sums to zero over everything that shares a mean."""
    x = tensor(rng.standard_normal((3, 2, 4)), device, requires_grad=True)
    y = batch_norm(x, None, None, training=True)
    y.backward(tensor(rng.standard_normal((3, 2, 4)), device))
    assert_close(to_numpy(x.grad).sum(axis=(0, 2)), np.zeros(2), atol=1e-12)
    assert_close(batch_norm(tensor(to_numpy(x) + 5, device), None, None, training=True), y, atol=1e-9)


def test_running_statistics_keep_their_dtype_and_are_updated_once(device):
    x = Tensor(to_device(np.arange(12, dtype=np.float64).reshape(4, 3), device))
    mean, var = (Tensor(to_device(np.zeros(3, np.float32), device)) for _ in range(2))
    batch_norm(x, mean, var, training=True)
    assert mean.dtype == np.float32
    assert_close(mean, np.array([0.45, 0.55, 0.65], np.float32), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_empty_batch(dtype, device):
    w = Tensor(to_device(np.ones(4, dtype), device), requires_grad=True)
    x = Tensor(to_device(np.ones((0, 4, 3), dtype), device), requires_grad=True)
    mean, var = Tensor(to_device(np.zeros(4, dtype), device)), Tensor(to_device(np.ones(4, dtype), device))
    for y in (batch_norm(x, mean, var, w, w), group_norm(x, 2, w, w)):
        assert (y.shape, y.dtype) == ((0, 4, 3), dtype)
        y.sum().backward()
    assert w.grad is not None
    assert_close(w.grad, np.zeros(4, dtype))


ERRORS = [
    (lambda x: batch_norm(x[:1, :, 0], None, None, training=True), ValueError, ["batch_norm", "(1, 4)", "more than one value"]),
    (lambda x: batch_norm(x, None, None), ValueError, ["batch_norm", "running_mean", "running_var"]),
    (
        lambda x: batch_norm(x, Tensor(np.ones(3)), None, training=True),
        ValueError,
        ["batch_norm", "running_mean", "(3,)", "4 channels"],
    ),
    (lambda x: batch_norm(x, None, None, np.ones(3), training=True), ValueError, ["batch_norm", "weight", "(3,)", "4 channels"]),
    (lambda x: batch_norm(x, None, None, np.ones(4, np.float32), training=True), TypeError, ["batch_norm", "float32", "weight"]),
    (lambda x: batch_norm(x[0, 0], None, None, training=True), ValueError, ["batch_norm", "input", "(3,)", "(N, C, *)"]),
    (lambda x: group_norm(x, 3), ValueError, ["group_norm", "num_groups=3", "4 channels", "(2, 4, 3)"]),
    (lambda x: group_norm(x, 0), ValueError, ["group_norm", "num_groups=0"]),
    (lambda x: group_norm(x.long(), 2), TypeError, ["group_norm", "input", "int64"]),
    (lambda x: instance_norm(x, bias=np.ones((4, 1))), ValueError, ["instance_norm", "bias", "(4, 1)"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(np.ones((2, 4, 3))))
    for word in words:
        assert word in str(error.value)
