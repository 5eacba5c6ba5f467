"""Batch, group and instance normalisation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minivision import reference
from minivision.autograd import Tensor
from minivision.functions.normalization import (
    BatchNorm,
    BatchNormReLU,
    GroupNorm,
    GroupNormReLU,
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)
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


# ---- large arrays, which are worked on in blocks ----

LARGE = [(2, 16, 43, 39), (3, 7, 63, 71), (64, 48, 7, 7), (9000, 3), (2, 6, 5003), (1, 2, 600, 501), (3, 4, 5, 31, 33)]


def by_definition(kind, x, w, b, dy, groups=1):
    """y, dx, dw, db and mean and variance by the formulas on whole arrays, in at least float64."""
    x, w, b, dy = (a.astype(np.longdouble) for a in (x, w, b, dy))
    n, c = x.shape[:2]
    parts = x.reshape(n, groups, -1) if kind == "group" else x
    axes = (2,) if kind == "group" else (0, *range(2, x.ndim))
    w, b = (p.reshape(1, c, *[1] * (x.ndim - 2)) for p in (w, b))
    mean, var = parts.mean(axes, keepdims=True), parts.var(axes, keepdims=True)
    inverse_std = 1 / np.sqrt(var + EPS)
    xhat = (parts - mean) * inverse_std
    g = (dy * w).reshape(parts.shape)
    dx = (g - g.mean(axes, keepdims=True) - xhat * (g * xhat).mean(axes, keepdims=True)) * inverse_std
    xhat, rest = xhat.reshape(x.shape), (0, *range(2, x.ndim))
    return xhat * w + b, dx.reshape(x.shape), (dy * xhat).sum(rest), dy.sum(rest), mean.ravel(), var.ravel()


@pytest.mark.parametrize("shape", LARGE, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 2e-5)])
def test_blocks_give_what_the_formulas_give(shape, dtype, tolerance, rng, device, number_of_threads):
    channels = shape[1]
    offsets, scales = rng.standard_normal((2, 1, channels, *[1] * (len(shape) - 2)))
    x, dy = (rng.standard_normal(shape) * scales + 3 * offsets).astype(dtype), rng.standard_normal(shape).astype(dtype)
    w, b = rng.standard_normal((2, channels)).astype(dtype)
    groups = channels // 2 if channels % 2 == 0 else 1
    cases = [("batch", groups)] + [("group", groups)] * (shape[1:] != (3,))
    for kind, groups in cases:
        expected = by_definition(kind, x, w, b, dy, groups)
        for _, arranged in layouts(x):
            leaves = [Tensor(to_device(a, device), requires_grad=True) for a in (arranged, w, b)]
            running = [Tensor(to_device(np.zeros(channels, dtype), device)) for _ in range(2)]
            if kind == "batch":
                y = batch_norm(leaves[0], *running, *leaves[1:], training=True, momentum=1.0)
            else:
                y = group_norm(leaves[0], groups, *leaves[1:])
            y.backward(Tensor(to_device(dy, device)))
            assert y.dtype == dtype
            for actual, exact in zip([y, *(t.grad for t in leaves)], expected, strict=False):
                scale = max(1.0, float(abs(exact).max()))
                assert_close(to_numpy(actual) / scale, exact.astype(np.float64) / scale, rtol=0, atol=tolerance)
            if kind == "batch":
                count = x.size // channels
                assert_close(running[0], expected[4].astype(np.float64), rtol=tolerance, atol=tolerance)
                assert_close(running[1], (expected[5] * (count / (count - 1))).astype(np.float64), rtol=10 * tolerance)


@pytest.mark.parametrize("shape", [(4, 3, 65, 61), (40, 3, 2)], ids=str)
@pytest.mark.parametrize("kind", ["batch", "group"])
def test_a_mean_far_from_zero(kind, shape, rng, device):
    """The variance comes from deviations: a mean of 1e4 beside a standard deviation of 1 costs it nothing."""
    x = (rng.standard_normal(shape) + 1e4).astype(np.float32)
    w, b, dy = np.ones(3, np.float32), np.zeros(3, np.float32), rng.standard_normal(shape).astype(np.float32)
    y_exact, dx_exact, *_ = by_definition(kind, x, w, b, dy)
    for _, arranged in layouts(x):
        leaf = Tensor(to_device(arranged, device), requires_grad=True)
        y = batch_norm(leaf, None, None, training=True) if kind == "batch" else group_norm(leaf, 1)
        y.backward(Tensor(to_device(dy, device)))
        rounding = 1e-3 if x.size < 1000 else 2e-5  # float32 has steps of 1e-3 at 1e4: what the mean itself can be off by
        assert_close(y, y_exact.astype(np.float64), rtol=0, atol=rounding)
        assert_close(leaf.grad, dx_exact.astype(np.float64), rtol=0, atol=10 * rounding)


@pytest.mark.parametrize("shape", [(1, 96, 61, 45), (3, 8, 13, 97), (2, 16, 31, 37)], ids=str)
def test_a_mean_of_a_thousand(shape, rng, device):
    """The same with several channels in each group, whose means lie apart, and affine."""
    channels = shape[1]
    own = np.arange(channels).reshape(1, channels, 1, 1) / channels
    x = (rng.standard_normal(shape) + 1e3 + own).astype(np.float32)
    dy, (w, b) = rng.standard_normal(shape).astype(np.float32), rng.standard_normal((2, channels)).astype(np.float32)
    y_exact, dx_exact, dw_exact, *_ = (v.astype(np.float64) for v in by_definition("group", x, w, b, dy, 8))
    for _, arranged in layouts(x):
        leaves = [leaf32(a, device) for a in (arranged, w, b)]
        y = group_norm(leaves[0], 8, *leaves[1:])
        y.backward(Tensor(to_device(dy, device)))
        assert_close(y, y_exact, rtol=0, atol=2e-5)
        assert_close(leaves[0].grad, dx_exact, rtol=0, atol=2e-5)
        assert_close(to_numpy(leaves[1].grad) / abs(dw_exact).max(), dw_exact / abs(dw_exact).max(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", [(3, 8, 37, 41), (2, 4, 5000), (40, 16, 5, 7)], ids=str)
@pytest.mark.parametrize("offset", [0, 100])
def test_many_blocks(shape, offset, rng, monkeypatch, number_of_threads):
    """Blocks so small that every axis is cut, shared out over threads."""
    monkeypatch.setattr("minivision.functions.channel_blocks.SHARED", 0)
    monkeypatch.setattr("minivision.functions.channel_blocks.SMALLEST", 1)
    channels = shape[1]
    x, dy, (w, b) = rng.standard_normal(shape) + offset, rng.standard_normal(shape), rng.standard_normal((2, channels))
    for block, (kind, groups) in itertools.product((1 << 10, 1 << 13), (("batch", channels), ("group", channels // 4))):
        monkeypatch.setattr("minivision.functions.channel_blocks.BLOCK", block)
        expected = [v.astype(np.float64) for v in by_definition(kind, x, w, b, dy, groups)]
        positive = expected[0] > 0
        through_relu = [v.astype(np.float64) for v in by_definition(kind, x, w, b, dy * positive, groups)]
        for _, arranged in layouts(x):
            for relu, (y_exact, *exact) in ((False, expected), (True, [expected[0] * positive, *through_relu[1:]])):
                f = {"batch": (BatchNorm, BatchNormReLU), "group": (GroupNorm, GroupNormReLU)}[kind][relu](
                    *([groups] if kind == "group" else []), EPS
                )
                assert_close(f.forward(arranged, w, b), y_exact, rtol=1e-9, atol=1e-10)
                for actual, value in zip(f.backward(dy), exact, strict=False):
                    assert_close(actual, value, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("shape", [(3, 8, 37, 41), (1, 12, 61, 45), (2, 16, 9, 7)], ids=str)
@pytest.mark.parametrize("shared", [0, 1 << 30])
def test_blocks_of_whole_groups(shape, shared, rng, monkeypatch, number_of_threads):
    """One or a few groups at a time; some blocks have a mean far from zero, and their neighbours have not."""
    monkeypatch.setattr("minivision.functions.channel_blocks.SHARED", shared)
    monkeypatch.setattr("minivision.functions.channel_blocks.SMALLEST", 1)
    monkeypatch.setattr("minivision.functions.channel_blocks.ROW", 1)
    channels = shape[1]
    far = np.where(np.arange(channels) // 4 == 1, 300.0, 0.0).reshape(1, channels, 1, 1)
    x, dy, (w, b) = rng.standard_normal(shape) + far, rng.standard_normal(shape), rng.standard_normal((2, channels))
    for kind, groups in (("batch", channels), ("group", channels // 4), ("group", channels)):
        y_exact, *exact = (v.astype(np.float64) for v in by_definition(kind, x, w, b, dy, groups))
        units = groups if kind == "batch" else groups * shape[0]
        for together in (1, 3, units):
            monkeypatch.setattr("minivision.functions.channel_blocks.BLOCK", together * x.nbytes // units)
            f = BatchNorm(EPS) if kind == "batch" else GroupNorm(groups, EPS)
            assert_close(f.forward(x, w, b), y_exact, rtol=1e-9, atol=1e-10)
            assert len(f.parts) >= -(-units // together)
            assert len(f.centres) == sum((abs(f.mean.ravel()[p.units]) > 9).any() for p in f.parts) > 0
            for actual, value in zip(f.backward(dy), exact, strict=False):
                assert_close(actual, value, rtol=1e-8, atol=1e-9)


def test_outliers_where_the_pivot_is_looked_for(rng, device):
    """The few values that say where the mean may be need not be right: then the mean itself is looked from."""
    x = rng.standard_normal((1, 2, 20000)).astype(np.float32) + 500
    x[:, :, ::1251] = -3e4
    for kind in ("batch", "group"):
        y = batch_norm(leaf32(x, device), None, None, training=True) if kind == "batch" else group_norm(leaf32(x, device), 2)
        exact = by_definition(kind, x, np.ones(2), np.zeros(2), x, 2)[0]
        assert_close(y, exact.astype(np.float64), rtol=1e-5, atol=1e-5)


def leaf32(array, device):
    return Tensor(to_device(array.astype(np.float32), device), requires_grad=True)


def test_constant_channels_and_nan_stay_in_their_channel(rng, device):
    x = rng.standard_normal((2, 4, 50, 51)).astype(np.float32)
    x[:, 0] = 0.1
    x[:, 1, 3, 3] = np.nan
    leaf = leaf32(x, device)
    with np.errstate(invalid="ignore"):
        y = batch_norm(leaf, None, None, training=True)
        y.backward(leaf32(x[::-1], device))
    values, gradient = to_numpy(y), to_numpy(leaf.grad)
    assert abs(values[:, 0]).max() < 1e-4
    assert np.isnan(values[:, 1]).all()
    assert np.isfinite(values[:, 2:]).all()
    assert np.isfinite(gradient[:, 2:]).all()


def test_evaluation_in_blocks(rng, device, number_of_threads):
    shape = (2, 5, 61, 53)
    x, dy, w, b = rng.standard_normal(shape), rng.standard_normal(shape), rng.standard_normal(5), rng.standard_normal(5)
    mean, var, c = rng.standard_normal(5) + 50, rng.uniform(0.5, 2, 5), (1, 5, 1, 1)
    xhat = (x - mean.reshape(c)) / np.sqrt(var + EPS).reshape(c)
    for _, arranged in layouts(x):
        leaves = [tensor(a, device, requires_grad=True) for a in (arranged, w, b)]
        y = batch_norm(leaves[0], tensor(mean, device), tensor(var, device), *leaves[1:])
        y.backward(tensor(dy, device))
        assert_close(y, xhat * w.reshape(c) + b.reshape(c), rtol=1e-10, atol=1e-11)
        assert_close(leaves[0].grad, dy * (w / np.sqrt(var + EPS)).reshape(c), rtol=1e-10)
        assert_close(leaves[1].grad, (dy * xhat).sum((0, 2, 3)), rtol=1e-9, atol=1e-9)
        assert_close(leaves[2].grad, dy.sum((0, 2, 3)), rtol=1e-9, atol=1e-9)


def test_the_input_is_kept_and_not_changed(rng):
    """Of large arrays only x stays for backward: the output of the layer before, which is there anyway."""
    x = rng.standard_normal((4, 8, 40, 40)).astype(np.float32)
    before, f = x.copy(), BatchNorm()
    f.forward(x, np.ones(8, np.float32), np.zeros(8, np.float32))
    np.testing.assert_array_equal(x, before)
    large = [v for v in vars(f).values() if isinstance(v, np.ndarray) and v.nbytes >= x.nbytes]
    assert len(large) == 1
    assert large[0] is x


@pytest.mark.parametrize(("shape", "ndim"), [((70, 33, 17), 1), ((9, 40, 61), 2), ((3, 5, 20000), 1), ((30000, 3), 1)], ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-4)])
@pytest.mark.parametrize("offset", [0, 1e3])
def test_layer_and_rms_norm_in_blocks(shape, ndim, dtype, tolerance, offset, rng, device, number_of_threads):
    """Against the formulas in more digits; large matrices with long and with short rows."""
    x = (rng.standard_normal(shape) * 2 + offset).astype(dtype)
    dy, (w, b) = rng.standard_normal(shape).astype(dtype), rng.standard_normal((2, *shape[-ndim:])).astype(dtype)
    axes, rest = tuple(range(len(shape) - ndim, len(shape))), tuple(range(len(shape) - ndim))
    for centred in (True, False):
        exact = x.astype(np.longdouble)
        eps = 0.1  # rows of 3 may have hardly any variance
        middle = exact - exact.mean(axes, keepdims=True) if centred else exact
        inverse_std = 1 / np.sqrt((middle**2).mean(axes, keepdims=True) + eps)
        xhat, g = middle * inverse_std, dy.astype(np.longdouble) * w
        dx = (g - centred * g.mean(axes, keepdims=True) - xhat * (g * xhat).mean(axes, keepdims=True)) * inverse_std
        expected = [xhat * w + centred * b, dx, (dy * xhat).sum(rest), dy.sum(rest, dtype=np.longdouble)]
        for _, arranged in layouts(x):
            leaves = [Tensor(to_device(a, device), requires_grad=True) for a in (arranged, w, b)]
            if centred:
                y = layer_norm(leaves[0], shape[-ndim:], *leaves[1:], eps=eps)
            else:
                y = rms_norm(leaves[0], shape[-ndim:], leaves[1], eps=eps)
            y.backward(Tensor(to_device(dy, device)))
            for actual, value in zip([y, *(t.grad for t in leaves[: 3 if centred else 2])], expected, strict=False):
                scale = max(1.0, float(abs(value).max()))
                bound = tolerance * (1 + offset / 10)
                assert_close(to_numpy(actual) / scale, value.astype(np.float64) / scale, rtol=0, atol=bound)
