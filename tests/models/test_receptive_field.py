"""The receptive-field table: golden values of the literature, and networks whose support is measured with positive weights."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import minivision as mv
import minivision.nn.functional as F
from minivision import nn
from minivision.models import VGG, FCN8s, FCN32s, UNet
from minivision.models.receptive_field import receptive_field


def test_vgg16_to_pool5():
    """212 pixels, stride 32: the numbers of the literature; widths do not matter."""
    table = receptive_field(VGG(1, 2, widths=(1, 1, 1, 1, 1), fc=2))
    pool5 = table["features.30"]
    assert (pool5.kind, pool5.size, pool5.stride) == ("MaxPool2d", (212, 212), (32, 32))
    assert [table[f"features.{i}"].size[0] for i in (0, 2, 4, 9, 16, 23)] == [3, 5, 6, 16, 44, 100]
    assert [table[f"features.{i}"].stride[0] for i in (4, 9, 16, 23)] == [2, 4, 8, 16]
    assert table["classifier.0"].size == (math.inf, math.inf)


def test_fcn32s_sees_404():
    """The 7 x 7 convolution on pool5 adds 6 strides of 32."""
    table = receptive_field(FCN32s(1, 2, widths=(1,) * 5, fc=2))
    assert table["fc6"].size == (404, 404)
    assert table["score"].stride == (32, 32)
    assert table["final"].stride == (1, 1)
    assert table["(output)"].size[0] == 404 + 32  # two scores overlap under a kernel of twice the stride


def test_the_unet_of_the_paper():
    table = receptive_field(UNet(1, 2, widths=(1,) * 5, padding="valid", norm=None))
    assert (table["bottom.3"].size, table["bottom.3"].stride) == ((140, 140), (16, 16))
    assert table["(output)"].stride == (1, 1)
    # backwards, two 3x3 convolutions and an up-convolution per level: 1, 5 | 3, 7 | 4, 8 | 5, 9 | 5 positions of the bottom
    assert table["(output)"].size == (140 + 4 * 16, 140 + 4 * 16)
    assert receptive_field(UNet(3, 2, widths=(2,) * 5))["bottom.5"].size == (140, 140)


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_a_chain_of_3x3_convolutions(layers):
    """1 + 2 L."""
    table = receptive_field(nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1) for _ in range(layers))))
    assert table[-1].size == (1 + 2 * layers, 1 + 2 * layers)
    assert table[-1].start == (-layers, -layers)
    assert len(table) == layers + 1


def test_unequal_axes_dilation_and_one_axis():
    table = receptive_field(
        nn.Sequential(nn.Conv2d(2, 1, (3, 1), stride=(2, 1), padding=(0, 2)), nn.Conv2d(1, 1, 3, dilation=(1, 4)))
    )
    assert table["0"].size == (3, 1)
    assert table["1"].size == (3 + 2 * 2, 1 + 4 * 2)
    assert table["1"].stride == (2, 1)
    assert table["1"].start == (0, -2)
    assert table["1"].sees(3, 5) == ((6, 12), (3, 11))
    assert receptive_field(nn.Sequential(nn.Conv1d(3, 2, 5, stride=2), nn.Conv1d(2, 2, 3)), (1, 3, 40))[-1].size == (9,)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 1)

    def forward(self, x):
        return F.relu(self.a(x) + self.b(x))


class Functional(nn.Module):
    """Everything without modules: pad, pool, interpolate, crop."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, x):
        small = F.avg_pool2d(self.conv(F.pad(x, (1, 1, 1, 1))), 2)
        return F.center_crop(F.interpolate(small, scale_factor=2, mode="bilinear"), (12, 12)) + x[:, :, 2:-2, 2:-2]


class Odd(nn.Module):
    """Strided transposed convolutions with a remainder: the fields of neighbours differ."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 1, 3, stride=3, padding=1), nn.ConvTranspose2d(1, 1, 4, stride=3, padding=1)
        self.last = nn.Conv2d(1, 1, 2, stride=2)

    def forward(self, x):
        return self.last(self.up(self.down(x)))


class Unpooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        y, indices = F.max_pool2d(self.conv(x), 2, return_indices=True)
        return self.conv(F.max_unpool2d(y, indices, 2))


def small_unet():
    net = UNet(1, 2, widths=(2, 2, 2), padding="same", norm=None)
    net.pool = nn.AvgPool2d(2)
    return net


def small_valid_unet():
    net = UNet(1, 1, widths=(1, 2), padding="valid", norm=None)
    net.pool = nn.AvgPool2d(2)
    return net


def small_fcn():
    net = FCN8s(1, 1, widths=(1,) * 5, layers=(1,) * 5, fc=1, dropout=0.0)
    for block in (net.block1, net.block2, net.block3, net.block4, net.block5):
        setattr(block, str(len(block) - 1), nn.AvgPool2d(2))
    net.fc6 = nn.Conv2d(1, 1, 3, padding=1)  # so that an inner position exists on a small image
    return net


MEASURED = {
    "residual": (Residual, 9, (4, 4)),
    "functional": (Functional, 16, None),
    "odd strides": (Odd, 42, None),
    "U-Net": (small_unet, 64, None),
    "valid U-Net": (small_valid_unet, 44, None),
    "FCN-8s": (small_fcn, 256, (125, 131)),
}


@pytest.mark.parametrize("name", MEASURED)
def test_the_table_says_what_a_gradient_finds(name, rng):
    """All weights positive and means in place of maxima: then exactly the pixels of the field get a gradient."""
    make, n, only = MEASURED[name]
    net = positive(make(), rng)
    row = receptive_field(net, (1, 1, n, n))[-1]
    x = mv.tensor(np.ones((1, 1, n, n)), requires_grad=True)
    y = net(x)
    assert row.output == y.shape
    middle = y.shape[2] // 2
    for i, j in [only] if only else [(middle + a, middle + 3 - a) for a in range(4)]:
        x.grad = None
        y[0, 0, i, j].backward(retain_graph=True)
        touched = np.nonzero(x.grad.numpy()[0, 0])
        assert row.sees(i, j) == tuple((t.min(), t.max()) for t in touched)
        assert all(t.min() > 0 and t.max() < n - 1 for t in touched) or name == "functional", "the field reaches the border"
        assert max(b - a + 1 for a, b in row.sees(i, j)) <= max(row.size)


def positive(net, rng):
    """In float64, every weight positive, so that no contribution cancels another."""
    net = net.double().eval()
    with mv.no_grad():
        for p in net.parameters():
            p.copy_(mv.tensor(rng.uniform(0.1, 1, p.shape)))
    return net


def small_vgg():
    net = VGG(1, 2, layers=(2, 1, 1, 1, 2), widths=(1, 1, 1, 1, 1), fc=1)
    for name, layer in net.features.named_children():
        if isinstance(layer, nn.MaxPool2d):
            setattr(net.features, name, nn.AvgPool2d(2))
    return net.features


EVERY_LAYER = {
    "VGG": (small_vgg, 192),
    "U-Net": (small_unet, 96),
    "valid U-Net": (small_valid_unet, 60),
    "FCN-8s": (small_fcn, 256),
}


@pytest.mark.parametrize("name", EVERY_LAYER)
def test_every_row_of_the_table(name, rng):
    """Layer by layer: the support of the gradient of a position in the middle of its output."""
    make, n = EVERY_LAYER[name]
    net = positive(make(), rng)
    table, outputs = receptive_field(net, (1, 1, n, n)), []
    layers = [m for m in net.modules() if not list(m.children())]
    handles = [m.register_forward_hook(lambda layer, inputs, output: outputs.append(output)) for m in layers]
    x = mv.tensor(np.ones((1, 1, n, n)), requires_grad=True)
    outputs.append(net(x))
    for handle in handles:
        handle.remove()
    assert len(outputs) == len(table)
    inner = 0
    for row, y in zip(table, outputs, strict=True):
        assert row.output == y.shape
        i, j = y.shape[2] // 2, y.shape[3] // 2 - 1
        x.grad = None
        y[0, 0, i, j].backward(retain_graph=True)
        touched = [(t.min(), t.max()) for t in np.nonzero(x.grad.numpy()[0, 0])]
        for (first, last), (low, high) in zip(row.sees(i, j), touched, strict=True):
            assert first <= low
            assert high <= last
            if first > 0 and last < n - 1:
                assert (first, last) == (low, high), row.name
                inner += 1
    assert inner > len(table)


class Branches(nn.Module):
    """A sum of two convolutions, a concatenation, or a way down and up again beside a crop of its input."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.mix = kind, nn.Conv2d(2, 1, 1)
        self.near, self.far = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=2, dilation=2)
        self.up = nn.ConvTranspose2d(1, 1, 2, 2)

    def forward(self, x):
        if self.kind == "sum":
            return self.near(x) + self.far(x)
        if self.kind == "cat":
            return self.mix(mv.cat([x, self.far(x)], 1))
        y = self.up(F.avg_pool2d(x, 2))
        return y + x[:, :, : y.shape[2], : y.shape[3]]


def random_layer(rng):
    def two(low, high):
        return tuple(int(v) for v in rng.integers(low, high, 2))

    stride = int(rng.integers(1, 4))
    return [
        lambda: nn.Conv2d(1, 1, two(1, 5), two(1, 4), two(0, 3), two(1, 3)),
        lambda: nn.Conv2d(1, 1, two(1, 5), 1, two(0, 3), two(1, 3)),
        lambda: nn.ConvTranspose2d(1, 1, two(1, 5), stride, int(rng.integers(2)), int(rng.integers(stride))),
        lambda: nn.AvgPool2d(two(2, 4), two(1, 4)),
        lambda: nn.Upsample(scale_factor=int(rng.integers(2, 4)), mode=str(rng.choice(["nearest", "bilinear"]))),
        lambda: nn.ConstantPad2d((*two(0, 3), *two(0, 3)), 0.0),
        lambda: Branches(str(rng.choice(["sum", "cat", "up"]))),
        nn.ReLU,
    ][int(rng.integers(8))]()


def test_random_networks(rng):
    """Strides, dilations, transposed convolutions, interpolation and branches in any order, at positions in any place.

    The field contains what the gradient finds; away from the borders, inner ones too, it is exactly that.
    """
    inner = 0
    for _ in range(150):
        net = positive(nn.Sequential(*(random_layer(rng) for _ in range(rng.integers(1, 6)))), rng)
        size = (46, 54)
        x = mv.tensor(np.ones((1, 1, *size)), requires_grad=True)
        try:
            y = net(x)
        except ValueError:  # a map has become smaller than the next kernel
            continue
        row = receptive_field(net, (1, 1, *size))[-1]
        at = [int(rng.integers(n)) for n in y.shape[2:]]
        y[0, 0, *at].backward()
        touched = np.nonzero(x.grad.numpy()[0, 0])
        if not len(touched[0]):
            continue  # between the stamps, or all in the padding
        for axis, (first, last) in enumerate(row.sees(*at)):
            low, high = touched[axis].min(), touched[axis].max()
            assert first <= low
            assert high <= last
            middle = 0.3 * y.shape[2 + axis] < at[axis] < 0.7 * y.shape[2 + axis]
            if middle and first > 5 and last < size[axis] - 6:
                assert (first, last) == (low, high), net
                inner += 1
    assert inner > 40


def test_squeeze_and_excitation_sees_everything():
    class Gate(nn.Module):
        def forward(self, x):
            return x * x.mean(dim=(2, 3), keepdim=True)

    table = receptive_field(nn.Sequential(nn.Conv2d(1, 2, 3), Gate()), 16)
    assert (table["0"].size, table["1"].size) == ((3, 3), (math.inf, math.inf))


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_what_is_padded_lies_beyond_the_border(mode):
    class Padded(nn.Module):
        def forward(self, x):
            return F.pad(x, (2, 1, 3, 0), mode)

    row = receptive_field(Padded(), 16)[-1]
    assert (row.start, row.sees(5, 5), row.output) == ((-3, -2), ((2, 2), (3, 3)), (1, 1, 19, 19))


def test_adaptive_pooling():
    """8 -> 3 bins of 3, 4, 3 pixels, which repeat no sooner than the map ends; 9 -> 3 bins of 3; a single one sees all."""
    uneven = receptive_field(nn.Sequential(nn.AdaptiveAvgPool2d(3)), (1, 1, 8, 9))["0"]
    assert [uneven.sees(i, i) for i in range(3)] == [((0, 2), (0, 2)), ((2, 5), (3, 5)), ((5, 7), (6, 8))]
    assert (uneven.size, uneven.stride) == ((4, 3), (Fraction(8, 3), 3))
    assert receptive_field(nn.Sequential(nn.AdaptiveAvgPool2d(1)), 8)["0"].size == (math.inf, math.inf)


def test_unpooling_and_shared_layers():
    """3 -> pool 4 at stride 2 -> unpooled -> a 3x3 there touches two cells: 4 + 2; the module appears once per call."""
    table = receptive_field(Unpooled())
    assert [(row.name, row.size[0]) for row in table] == [("conv", 3), ("conv", 6), ("(output)", 6)]
    assert table["conv"].size == (6, 6)  # the last call


def test_the_table_is_readable():
    text = str(
        receptive_field(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 2)), 32)
    )
    assert text.splitlines() == [
        "layer     kind        output  size  stride  start",
        "0         Conv2d       32x32     3       1     -1",
        "1         MaxPool2d    16x16     4       2     -1",
        "2         Flatten          -   all       0    all",
        "3         Linear           -   all       0    all",
        "(output)  Sequential       -   all       0    all",
    ]


def test_nothing_changes_in_the_network(rng):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    net[1].eval()
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    receptive_field(net)
    assert [m.training for m in net] == [True, False, True]
    assert net.training
    assert all(p.grad is None for p in net.parameters())
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert not net[0]._forward_hooks


class Flipped(nn.Module):
    def forward(self, x):
        return x.flip((3,))


class Transposed(nn.Module):
    def forward(self, x):
        return x.transpose(2, 3)


class Drifting(nn.Module):
    def forward(self, x):
        return x + F.interpolate(F.max_pool2d(x, 2), size=x.shape[2:])


ERRORS = [
    (lambda: receptive_field(Flipped()), ValueError, ["Flip", "(1, 1, 32, 32)", "not followed"]),
    (lambda: receptive_field(Transposed(), 32), ValueError, ["Permute", "not followed"]),
    (lambda: receptive_field(nn.PixelShuffle(2), (1, 4, 8, 8)), ValueError, ["Permute", "not followed"]),
    (lambda: receptive_field(Drifting(), 33), ValueError, ["stride 1 and 32/33", "Add", "input_size"]),
    (lambda: receptive_field(nn.Conv2d(3, 1, 3), (3, 32)), ValueError, ["input_size=(3, 32)", "(N, C, H, W)"]),
    (lambda: receptive_field(UNet(3, 2, widths=(1,) * 3), 30), ValueError, ["UNet", "height 30"]),
    (lambda: receptive_field(nn.Sequential(nn.Conv2d(1, 1, 3)))["head"], KeyError, ["'head'", "(output)"]),
    (lambda: receptive_field(nn.Conv2d(1, 1, 3))[0].sees(1), ValueError, ["2 spatial axes", "(1,)"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    for word in words:
        assert word in str(error.value)
