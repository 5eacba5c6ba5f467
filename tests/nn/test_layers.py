"""Each layer is its function with its own parameters; defaults and initial values are PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minivision as mv
from minivision import nn
from minivision.nn import functional as F
from tests.helpers import assert_close

SIMPLE = [
    (nn.ReLU(), F.relu, {}),
    (nn.LeakyReLU(0.2), F.leaky_relu, {"negative_slope": 0.2}),
    (nn.Sigmoid(), F.sigmoid, {}),
    (nn.Tanh(), F.tanh, {}),
    (nn.Softmax(dim=1), F.softmax, {"dim": 1}),
    (nn.LogSoftmax(dim=1), F.log_softmax, {"dim": 1}),
    (nn.MaxPool2d(2, padding=1, ceil_mode=True), F.max_pool2d, {"kernel_size": 2, "padding": 1, "ceil_mode": True}),
    (nn.MaxPool2d(3, 1, dilation=2), F.max_pool2d, {"kernel_size": 3, "stride": 1, "dilation": 2}),
    (nn.AvgPool2d(3, 2, 1, False, False), F.avg_pool2d,
     {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
    (nn.AdaptiveAvgPool2d((2, None)), F.adaptive_avg_pool2d, {"output_size": (2, None)}),
    (nn.Upsample(scale_factor=2), F.interpolate, {"scale_factor": 2}),
    (nn.Upsample(size=(9, 4), mode="bilinear"), F.interpolate, {"size": (9, 4), "mode": "bilinear"}),
    (nn.UpsamplingBilinear2d(scale_factor=2), F.interpolate, {"scale_factor": 2, "mode": "bilinear", "align_corners": True}),
    (nn.UpsamplingNearest2d(size=11), F.interpolate, {"size": 11}),
    (nn.ZeroPad2d((1, 2, 3, 0)), F.pad, {"pad": (1, 2, 3, 0)}),
    (nn.ConstantPad2d(1, 4.0), F.pad, {"pad": (1, 1, 1, 1), "value": 4.0}),
    (nn.ReflectionPad2d(2), F.pad, {"pad": (2, 2, 2, 2), "mode": "reflect"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "function", "arguments"), SIMPLE, ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else ""
)
def test_a_layer_without_parameters_is_its_function(layer, function, arguments, rng, device):
    x = mv.tensor(rng.normal(size=(2, 3, 5, 7))).to(device)
    assert_close(layer(x), function(x, **arguments), rtol=0, atol=0)


@pytest.mark.parametrize("bias", [True, False])
def test_convolutions_pass_every_setting_on(bias, rng, device):
    x = mv.tensor(rng.normal(size=(2, 4, 7, 6))).to(device)
    conv = nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2, bias=bias).double().to(device)
    assert conv.weight.shape == (6, 2, 3, 2)
    assert_close(conv(x), F.conv2d(x, conv.weight, conv.bias, (2, 1), (1, 0), (1, 2), 2), rtol=0, atol=0)
    up = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, bias=bias, dilation=2).double().to(device)
    assert up.weight.shape == (4, 3, 3, 3)
    assert_close(up(x), F.conv_transpose2d(x, up.weight, up.bias, 2, 1, 1, 2, 2), rtol=0, atol=0)


@pytest.mark.parametrize(("mode", "kernel", "padding"), [("reflect", 3, 1), ("reflect", (2, 4), "same"), ("zeros", 4, "same")])
def test_padding_modes(mode, kernel, padding, rng):
    x = mv.tensor(rng.normal(size=(1, 2, 6, 7)))
    conv = nn.Conv2d(2, 3, kernel, padding=padding, padding_mode=mode).double()
    y = conv(x)
    assert y.shape == (1, 3, 6, 7)
    kh, kw = conv.kernel_size
    pads = ((0, 0), (0, 0), ((kh - 1) // 2, kh // 2), ((kw - 1) // 2, kw // 2))
    around = np.pad(x.numpy(), pads, mode="reflect" if mode == "reflect" else "constant")
    assert_close(y, F.conv2d(mv.tensor(around), conv.weight, conv.bias))


def test_conv_transpose_output_size(rng):
    up = nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1).double()
    x = mv.tensor(rng.normal(size=(1, 1, 3, 4)))
    assert up(x).shape == (1, 1, 5, 7)
    exact = up(x, output_size=(6, 7))
    assert_close(exact, F.conv_transpose2d(x, up.weight, up.bias, 2, 1, (1, 0)))
    with pytest.raises(ValueError, match=r"output_size 7 along height is outside \[5, 6\]"):
        up(x, output_size=(7, 7))


@pytest.mark.parametrize("make", [lambda: nn.Conv2d(4, 8, 3), lambda: nn.ConvTranspose2d(4, 8, 3), lambda: nn.Linear(36, 8)])
def test_default_initialisation_is_uniform_within_one_over_root_fan_in(make):
    mv.manual_seed(3)
    layer = make()
    fan_in = math.prod(layer.weight.shape[1:])
    bound = 1 / math.sqrt(fan_in)
    for p in layer.parameters():
        values = p.detach().numpy()
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.7 * bound
    spread = layer.weight.detach().numpy().std()
    assert spread == pytest.approx(bound / math.sqrt(3), rel=0.1)


def test_manual_seed_repeats_exactly():
    def numbers():
        mv.manual_seed(11)
        layer = nn.Conv2d(2, 2, 3)
        return [layer.weight.detach().numpy(), F.dropout(mv.ones(50), 0.5).numpy(), mv.randn(4).numpy(), mv.randperm(9).numpy()]

    for a, b in zip(numbers(), numbers(), strict=True):
        assert (a == b).all()


def test_batch_norm_layer_keeps_running_statistics(rng, device):
    x = rng.normal(2, 3, size=(4, 3, 5, 6))
    bn = nn.BatchNorm2d(3, momentum=0.2).double().to(device)
    y = bn(mv.tensor(x).to(device))
    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    assert_close(y, (x - mean[:, None, None]) / np.sqrt(var[:, None, None] + 1e-5))
    count = 4 * 5 * 6
    assert_close(bn.running_mean, 0.2 * mean)
    assert_close(bn.running_var, 0.8 + 0.2 * var * count / (count - 1))
    assert bn.num_batches_tracked.item() == 1
    bn.eval()
    expected = (x - 0.2 * mean[:, None, None]) / np.sqrt((0.8 + 0.2 * var * count / (count - 1))[:, None, None] + 1e-5)
    assert_close(bn(mv.tensor(x).to(device)), expected)
    assert bn.num_batches_tracked.item() == 1


def test_batch_norm_with_cumulative_average_and_without_statistics(rng):
    bn = nn.BatchNorm2d(2, momentum=None, affine=False).double()
    batches = [rng.normal(size=(3, 2, 4, 4)) for _ in range(3)]
    for b in batches:
        bn(mv.tensor(b))
    assert_close(bn.running_mean, np.mean([b.mean((0, 2, 3)) for b in batches], axis=0))
    free = nn.BatchNorm2d(2, track_running_stats=False).double().eval()
    x = batches[0]
    assert_close(free(mv.tensor(x)).detach().numpy().mean((0, 2, 3)), np.zeros(2), atol=1e-12)
    assert list(free.state_dict()) == ["weight", "bias"]


def test_group_and_instance_norm(rng):
    x = rng.normal(size=(2, 6, 3, 5))
    groups = x.reshape(2, 3, 2, 3, 5)
    normal = (groups - groups.mean((2, 3, 4), keepdims=True)) / np.sqrt(groups.var((2, 3, 4), keepdims=True) + 1e-5)
    assert_close(nn.GroupNorm(3, 6).double()(mv.tensor(x)), normal.reshape(x.shape))
    single = (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-5)
    assert_close(nn.InstanceNorm2d(6).double()(mv.tensor(x)), single)


def test_dropout_only_in_training():
    mv.manual_seed(0)
    x = mv.ones(2, 400, 4, 4)
    for layer, grain in ((nn.Dropout(0.25), 1), (nn.Dropout2d(0.25), 16)):
        y = layer(x).numpy()
        assert set(np.unique(y)) <= {np.float32(0), np.float32(1 / 0.75)}
        assert (y == 0).mean() == pytest.approx(0.25, abs=0.05)
        per_channel = (y == 0).reshape(800, 16).mean(1)
        assert set(per_channel) == {0.0, 1.0} if grain == 16 else 0 < per_channel[0] < 1
        layer.eval()
        assert layer(x) is x


def test_losses_are_their_functions(rng):
    x, t = mv.tensor(rng.normal(size=(2, 3, 4, 5))), mv.tensor(rng.integers(0, 3, (2, 4, 5)))
    w = mv.tensor([1.0, 2.0, 3.0]).double()
    loss = nn.CrossEntropyLoss(weight=w, ignore_index=1, label_smoothing=0.1, reduction="sum")
    assert_close(loss(x, t), F.cross_entropy(x, t, w, ignore_index=1, label_smoothing=0.1, reduction="sum"), rtol=0, atol=0)
    z = mv.tensor(rng.normal(size=(2, 3)))
    y = mv.tensor(rng.normal(size=(2, 3)))
    assert nn.MSELoss()(z, y).item() == pytest.approx(((z.numpy() - y.numpy()) ** 2).mean())
    assert nn.L1Loss(reduction="sum")(z, y).item() == pytest.approx(np.abs(z.numpy() - y.numpy()).sum())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(3, 4, 0), r"Conv2d: kernel_size=0 must be at least 1"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), r"Conv2d: groups=2 must divide in_channels=3"),
        (lambda: nn.Conv2d(0, 4, 3), r"Conv2d: in_channels=0"),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="mirror"), r"Conv2d: padding_mode='mirror' is unknown"),
        (lambda: nn.GroupNorm(4, 6), r"GroupNorm: num_groups=4 must divide num_channels=6"),
        (lambda: nn.Dropout(1.5), r"Dropout: p=1.5 is a probability"),
        (lambda: nn.BatchNorm2d(3)(mv.zeros(2, 4, 5, 5)), r"input has shape \(2, 4, 5, 5\), but must be .* with C = 3"),
        (lambda: nn.BatchNorm2d(3)(mv.zeros(1, 3, 1, 1)), r"batch_norm: in training each channel needs more than one value"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused_where_they_are_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()
