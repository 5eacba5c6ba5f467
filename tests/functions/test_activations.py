"""Activations as their formulas read, number by number; the error function; layer, instance and local response normalisation."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minivision as mv
from minivision import nn, reference
from minivision.autograd import Tensor
from minivision.functions.error_function import error_function
from minivision.nn import functional as F
from tests.helpers import assert_close, layouts, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def relu6(x):
    return min(max(x, 0), 6)


def elu(x, a=1.0):
    return x if x > 0 else a * (math.exp(x) - 1)


FORMULAS = [
    (F.elu, {}, elu),
    (F.elu, {"alpha": 0.3}, lambda x: elu(x, 0.3)),
    (F.selu, {}, lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772)),
    (F.celu, {"alpha": 2.0}, lambda x: max(0, x) + min(0, 2 * (math.exp(x / 2) - 1))),
    (F.gelu, {}, lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
    (F.gelu, {"approximate": "tanh"},
     lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    (F.silu, {}, lambda x: x * sigmoid(x)),
    (F.mish, {}, lambda x: x * math.tanh(math.log(1 + math.exp(x)))),
    (F.softplus, {"beta": 2, "threshold": 3}, lambda x: x if 2 * x > 3 else math.log(1 + math.exp(2 * x)) / 2),
    (F.softsign, {}, lambda x: x / (1 + abs(x))),
    (F.logsigmoid, {}, lambda x: math.log(sigmoid(x))),
    (F.tanhshrink, {}, lambda x: x - math.tanh(x)),
    (F.hardtanh, {"min_val": -2, "max_val": 0.5}, lambda x: min(max(x, -2), 0.5)),
    (F.relu6, {}, relu6),
    (F.hardsigmoid, {}, lambda x: relu6(x + 3) / 6),
    (F.hardswish, {}, lambda x: x * relu6(x + 3) / 6),
    (F.hardshrink, {"lambd": 1.0}, lambda x: x if abs(x) > 1 else 0),
    (F.softshrink, {"lambd": 1.0}, lambda x: x - 1 if x > 1 else x + 1 if x < -1 else 0),
    (F.threshold, {"threshold": 0.5, "value": 7.0}, lambda x: x if x > 0.5 else 7.0),
]  # fmt: skip


@pytest.mark.parametrize(("function", "arguments", "formula"), FORMULAS, ids=lambda v: getattr(v, "__name__", ""))
def test_formula(function, arguments, formula, rng, device):
    x = rng.uniform(-8, 8, (3, 5, 7))
    expected = np.vectorize(formula, otypes=[float])(x)
    for _, arranged in layouts(x):
        assert_close(function(tensor(arranged, device), **arguments), expected, rtol=1e-12, atol=1e-14)
    single = function(Tensor(to_device(x.astype(np.float32), device)), **arguments)
    assert single.dtype == np.float32
    assert_close(single, expected, rtol=1e-3, atol=1e-5)


def test_error_function(device):
    """Against the C library, on every piece and at the seams."""
    x = np.concatenate([np.linspace(-7, 7, 4001), [0.46875, -4, 4, 0, 1e-300, 60, np.inf, -np.inf]])
    y = to_numpy(error_function(to_device(x, device)))
    np.testing.assert_allclose(y, [math.erf(v) for v in x], rtol=1e-15 * 2, atol=0)
    assert np.isnan(error_function(np.array([np.nan]))[0])


KINKS = [
    (F.hardtanh, [-1.0, 1.0], [0, 0]),
    (F.relu6, [0.0, 6.0], [0, 0]),
    (F.hardsigmoid, [-3.0, 3.0], [0, 0]),
    (F.hardswish, [-3.0, 3.0], [0, 1]),
    (F.hardshrink, [-0.5, 0.5], [0, 0]),
    (F.softshrink, [-0.5, 0.5], [0, 0]),
    (lambda x: F.threshold(x, 0.5, 1.0), [0.5, 0.6], [0, 1]),
    (lambda x: F.elu(x, 0.7), [0.0, -0.0], [0.7, 0.7]),
    (lambda x: F.prelu(x, tensor([0.3])), [0.0, -0.0], [0.3, 0.3]),
]


@pytest.mark.parametrize(("function", "at", "slopes"), KINKS)
def test_derivatives_at_kinks(function, at, slopes):
    x = tensor(at, requires_grad=True)
    function(x).sum().backward()
    assert_close(x.grad, np.array(slopes, float))


def test_nothing_overflows(device):
    x = tensor([-1e4, 1e4], device, requires_grad=True)
    with np.errstate(over="raise", invalid="raise"):
        for function, expected in ((F.silu, [0, 1e4]), (F.mish, [0, 1e4]), (F.softplus, [0, 1e4]), (F.logsigmoid, [-1e4, 0]),
                                   (F.elu, [-1, 1e4]), (F.gelu, [0, 1e4])):  # fmt: skip
            y = function(x)
            assert_close(y, np.array(expected, float))
            y.sum().backward()
    assert np.isfinite(to_numpy(x.grad)).all()


def test_prelu_has_a_slope_for_each_channel(rng, device):
    x, w = rng.standard_normal((2, 3, 4)), np.array([0.1, -0.5, 2.0])
    expected = np.array([[[v if v > 0 else w[c] * v for v in x[n, c]] for c in range(3)] for n in range(2)])
    assert_close(F.prelu(tensor(x, device), tensor(w, device)), expected)
    leaf = tensor(w, device, requires_grad=True)
    F.prelu(tensor(x, device), leaf).sum().backward()
    assert_close(leaf.grad, [x[:, c][x[:, c] <= 0].sum() for c in range(3)])


def test_glu_and_softmin(rng, device):
    x = rng.standard_normal((2, 6, 3))
    assert_close(F.glu(tensor(x, device), dim=1), x[:, :3] / (1 + np.exp(-x[:, 3:])))
    e = np.exp(-x)
    assert_close(F.softmin(tensor(x, device), dim=2), e / e.sum(axis=2, keepdims=True))


def test_layer_norm(rng, device):
    x, w, b = rng.standard_normal((2, 3, 4, 5)) * 3 + 1, rng.standard_normal((4, 5)), rng.standard_normal((4, 5))
    expected = np.zeros(x.shape)
    for n, c in np.ndindex(2, 3):
        v = x[n, c]
        expected[n, c] = (v - v.mean()) / math.sqrt(((v - v.mean()) ** 2).mean() + 1e-5) * w + b
    for _, arranged in layouts(x):
        assert_close(F.layer_norm(tensor(arranged, device), (4, 5), tensor(w, device), tensor(b, device)), expected)


def test_instance_norm_keeps_running_statistics(rng, device):
    """The averages over the batch of mean and unbiased variance of each sample's channel."""
    x = rng.standard_normal((3, 2, 4, 5)) * 2 + 1
    mean, var = tensor([0.5, -0.5], device), tensor([1.5, 2.0], device)
    parts = [(n, slice(c, c + 1)) for n in range(3) for c in range(2)]
    y = F.instance_norm(tensor(x, device), mean, var, momentum=0.2)
    assert_close(y, reference.standardize(x, parts, np.ones(2), np.zeros(2), 1e-5))
    new_mean = 0.8 * np.array([0.5, -0.5]) + 0.2 * x.mean((2, 3)).mean(0)
    new_var = 0.8 * np.array([1.5, 2.0]) + 0.2 * x.var((2, 3), ddof=1).mean(0)
    assert_close(mean, new_mean)
    assert_close(var, new_var)
    fixed = F.instance_norm(tensor(x, device), mean, var, use_input_stats=False)
    assert_close(fixed, (x - new_mean[:, None, None]) / np.sqrt(new_var + 1e-5)[:, None, None])
    assert_close(mean, new_mean)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_local_response_norm(size, rng, device):
    x = rng.standard_normal((2, 5, 3, 4))
    expected = np.zeros(x.shape)
    for c in range(5):
        window = x[:, max(0, c - size // 2) : c + (size - 1) // 2 + 1]
        expected[:, c] = x[:, c] / (1.5 + 0.4 * (window**2).sum(1) / size) ** 0.6
    for _, arranged in layouts(x):
        assert_close(F.local_response_norm(tensor(arranged, device), size, 0.4, 0.6, 1.5), expected)


def test_dropout_of_channels_and_alpha_dropout(device):
    mv.manual_seed(2)
    for function, shape in ((F.dropout1d, (40, 10, 6)), (F.dropout3d, (40, 10, 2, 3, 2)), (F.dropout1d, (400, 6))):
        y = to_numpy(function(tensor(np.ones(shape), device), 0.25))
        axes = tuple(range(2, len(shape))) if len(shape) > 2 else (1,)
        assert set(np.unique(y.mean(axis=axes).round(6))) == {0.0, round(1 / 0.75, 6)}
        assert (y == 0).mean() == pytest.approx(0.25, abs=0.06)
    x = np.random.default_rng(0).standard_normal(200_000)
    y = to_numpy(F.alpha_dropout(tensor(x, device), 0.3, training=True))
    assert y.mean() == pytest.approx(0, abs=0.01)
    assert y.std() == pytest.approx(1, abs=0.01)
    limit, a = -1.7580993408473766, 1 / math.sqrt(0.7 * (1 + 0.3 * 1.7580993408473766**2))
    dropped = np.isclose(y, a * limit - 0.3 * a * limit)
    assert dropped.mean() == pytest.approx(0.3, abs=0.01)
    assert_close(y[~dropped], a * x[~dropped] - 0.3 * a * limit)


LAYERS = [
    (nn.ELU(0.5), F.elu, {"alpha": 0.5}), (nn.CELU(0.5), F.celu, {"alpha": 0.5}), (nn.SELU(), F.selu, {}),
    (nn.GELU("tanh"), F.gelu, {"approximate": "tanh"}), (nn.SiLU(True), F.silu, {}), (nn.Mish(), F.mish, {}),
    (nn.Softplus(2, 1), F.softplus, {"beta": 2, "threshold": 1}), (nn.Softsign(), F.softsign, {}),
    (nn.LogSigmoid(), F.logsigmoid, {}), (nn.Tanhshrink(), F.tanhshrink, {}),
    (nn.Hardtanh(-0.3, 0.2), F.hardtanh, {"min_val": -0.3, "max_val": 0.2}), (nn.ReLU6(), F.relu6, {}),
    (nn.Hardsigmoid(), F.hardsigmoid, {}), (nn.Hardswish(), F.hardswish, {}),
    (nn.Hardshrink(0.2), F.hardshrink, {"lambd": 0.2}), (nn.Softshrink(0.2), F.softshrink, {"lambd": 0.2}),
    (nn.Threshold(0.1, 5), F.threshold, {"threshold": 0.1, "value": 5}), (nn.GLU(1), F.glu, {"dim": 1}),
    (nn.Softmin(1), F.softmin, {"dim": 1}), (nn.Softmax2d(), F.softmax, {"dim": 1}),
    (nn.LocalResponseNorm(3, 0.5, 0.6, 2), F.local_response_norm, {"size": 3, "alpha": 0.5, "beta": 0.6, "k": 2}),
    (nn.LayerNorm((3, 5)).double(), F.layer_norm, {"normalized_shape": (3, 5)}),
    (nn.InstanceNorm2d(4, eps=0.1).double(), F.instance_norm, {"eps": 0.1}),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "function", "arguments"), LAYERS, ids=lambda v: type(v).__name__)
def test_a_layer_is_its_function(layer, function, arguments, rng):
    x = tensor(rng.standard_normal((2, 4, 3, 5)))
    assert_close(layer(x), function(x, **arguments), rtol=0, atol=0)
    assert type(layer).__name__ in repr(layer)


def test_layers_with_state(rng):
    prelu = nn.PReLU(4, 0.1).double()
    x = tensor(rng.standard_normal((2, 4, 3)))
    assert_close(prelu(x), F.prelu(x, tensor([0.1] * 4)), rtol=1e-7)
    norm = nn.InstanceNorm1d(4, affine=True, track_running_stats=True).double()
    assert set(norm.state_dict()) == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert_close(norm(x[0]), norm(x)[0])
    norm.eval()
    mean, var = to_numpy(norm.running_mean), to_numpy(norm.running_var)
    assert abs(mean).min() > 0
    assert_close(norm(x), (to_numpy(x) - mean[:, None]) / np.sqrt(var + 1e-5)[:, None])
    volume = tensor(rng.standard_normal((2, 3, 2, 3, 2)))
    for layer in (nn.BatchNorm3d(3).double(), nn.InstanceNorm3d(3).double()):
        own = (0, 2, 3, 4) if isinstance(layer, nn.BatchNorm3d) else (2, 3, 4)
        y = to_numpy(volume)
        expected = (y - y.mean(own, keepdims=True)) / np.sqrt(y.var(own, keepdims=True) + 1e-5)
        assert_close(layer(volume), expected)
    plain = nn.LayerNorm(3, bias=False)
    assert plain.bias is None
    assert nn.LayerNorm(3, elementwise_affine=False).weight is None
    for layer, shape in ((nn.Dropout1d(1.0), (2, 3, 4)), (nn.Dropout3d(1.0), (2, 3, 2, 2, 2)), (nn.AlphaDropout(1.0), (4,))):
        ones = tensor(np.ones(shape))
        assert_close(layer(ones), np.zeros(shape))
        assert layer.eval()(ones) is ones


ERRORS = [
    (lambda x: F.elu(x.long()), TypeError, ["elu", "input", "int64", "float"]),
    (lambda x: F.celu(x, 0), ValueError, ["celu", "alpha=0"]),
    (lambda x: F.gelu(x, "fast"), ValueError, ["gelu", "'fast'", "'tanh'"]),
    (lambda x: F.softplus(x, 0), ValueError, ["softplus", "beta=0"]),
    (lambda x: F.glu(x, 1), ValueError, ["glu", "(2, 3, 4)", "even"]),
    (lambda x: F.hardtanh(x, 2, 1), ValueError, ["hardtanh", "min_val=2", "max_val=1"]),
    (lambda x: F.softshrink(x, -1), ValueError, ["softshrink", "lambd=-1"]),
    (lambda x: F.prelu(x, np.ones(4)), ValueError, ["prelu", "weight", "(4,)", "(2, 3, 4)", "3 channels, (3,)"]),
    (lambda x: F.layer_norm(x, 3), ValueError, ["layer_norm", "(2, 3, 4)", "(3,)", "last axes"]),
    (lambda x: F.layer_norm(x, 4, np.ones(3)), ValueError, ["layer_norm", "weight", "(3,)", "(4,)"]),
    (lambda x: F.instance_norm(x[:, :, :1]), ValueError, ["instance_norm", "more than one value", "(2, 3, 1)"]),
    (lambda x: F.instance_norm(x, use_input_stats=False), ValueError, ["instance_norm", "running_mean", "needed"]),
    (lambda x: F.instance_norm(x, Tensor(np.ones(2))), ValueError, ["instance_norm", "running_mean", "(2,)", "3 channels"]),
    (lambda x: F.local_response_norm(x[0], 2), ValueError, ["local_response_norm", "(3, 4)", "3 axes"]),
    (lambda x: F.local_response_norm(x, 0), ValueError, ["local_response_norm", "size=0"]),
    (lambda x: F.dropout1d(x[0, 0]), ValueError, ["dropout1d", "(4,)", "(N, C, L)"]),
    (lambda x: F.dropout3d(x), ValueError, ["dropout3d", "(2, 3, 4)", "(N, C, D, H, W)"]),
    (lambda x: F.alpha_dropout(x, 2), ValueError, ["alpha_dropout", "p=2"]),
    (lambda x: nn.Hardtanh(1, 1), ValueError, ["Hardtanh", "min_val=1"]),
    (lambda x: nn.Softmax2d()(x[0]), ValueError, ["Softmax2d", "(3, 4)"]),
    (lambda x: nn.InstanceNorm1d(2)(x), ValueError, ["InstanceNorm1d", "(2, 3, 4)", "C = 2"]),
    (lambda x: nn.BatchNorm3d(3)(x), ValueError, ["BatchNorm3d", "(2, 3, 4)", "(N, C, D, H, W)"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(np.ones((2, 3, 4))))
    for word in words:
        assert word in str(error.value)
