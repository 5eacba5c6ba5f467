"""FCN: convolutionalisation, the size walk and crops of the paper, zero skips, bilinear upsampling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minivision as mv
from minivision import nn
from minivision.models import VGG, FCN8s, FCN16s, FCN32s, convolutionalize
from minivision.nn import functional as F
from tests.helpers import assert_close

TINY = {"widths": (2, 3, 4, 5, 6), "layers": (1, 1, 1, 1, 1), "fc": 7, "num_classes": 3, "dropout": 0.0}


def randomize(model: nn.Module, rng: np.random.Generator) -> None:
    """Scores that are not zero, so that there is something to compare."""
    with mv.no_grad():
        model.score.weight.copy_(mv.tensor(rng.normal(size=model.score.weight.shape)))


def test_a_convolutionalized_layer_is_the_layer_at_its_own_size_and_slides_over_larger_maps(rng):
    linear = nn.Linear(2 * 3 * 3, 5).double()
    conv = convolutionalize(linear, 2, 3).double()
    with mv.no_grad():
        conv.weight.copy_(linear.weight.view(5, 2, 3, 3))
        conv.bias.copy_(linear.bias)
    x = mv.tensor(rng.normal(size=(2, 2, 5, 4)))
    y = conv(x)
    assert y.shape == (2, 5, 3, 2)
    for i in range(3):
        for j in range(2):
            assert_close(y[:, :, i, j], linear(x[:, :, i : i + 3, j : j + 3].flatten(1)))
    with pytest.raises(ValueError, match="18 inputs does not see 3 channels of 3 x 3"):
        convolutionalize(linear, 3, 3)


def test_the_convolutional_network_is_the_classifier_slid_at_stride_32(rng):
    """VGG on a window of 224 pixels equals the fc6-fc7-score stack on the 7 x 7 map; on a larger map it is slid."""
    mv.manual_seed(1)
    vgg = VGG(widths=(1, 1, 2, 2, 2), layers=(1, 1, 1, 1, 1), fc=3, num_classes=4).eval()
    fc6, fc7, score = (vgg.classifier[i] for i in (0, 3, 6))
    stack = nn.Sequential(
        convolutionalize(fc6, 2, 7), nn.ReLU(), convolutionalize(fc7, 3, 1), nn.ReLU(), convolutionalize(score, 3, 1)
    )
    x = mv.tensor(rng.normal(size=(1, 3, 224, 224)).astype(np.float32))
    with mv.no_grad():
        assert_close(stack(vgg.features(x))[:, :, 0, 0], vgg(x), rtol=1e-5, atol=1e-6)
        larger = mv.tensor(rng.normal(size=(1, 2, 8, 9)).astype(np.float32))
        slid = stack(larger)
        assert slid.shape == (1, 4, 2, 3)
        for i in range(2):
            for j in range(3):
                window = larger[:, :, i : i + 7, j : j + 7]
                assert_close(slid[:, :, i, j], vgg.classifier(window.flatten(1)), rtol=1e-5, atol=1e-6)


def test_vgg16_has_the_published_parameters():
    # counted from the layer sizes, without building 138 million numbers
    widths, layers, fc = (64, 128, 256, 512, 512), (2, 2, 3, 3, 3), 4096
    inside = [3, *[w for w, n in zip(widths, layers, strict=True) for _ in range(n)]]
    convs = sum(a * b * 9 + b for a, b in itertools.pairwise(inside))
    assert convs + 512 * 49 * fc + fc + fc * fc + fc + fc * 1000 + 1000 == 138_357_544
    names = [n for n, _ in VGG(widths=(1,) * 5, fc=2, num_classes=2).named_parameters() if n.endswith("weight")]
    assert names[:13] == [f"features.{i}.weight" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]
    assert names[13:] == ["classifier.0.weight", "classifier.3.weight", "classifier.6.weight"]


@pytest.mark.parametrize(
    ("size", "pools", "fc6", "final"),
    [
        (224, [211, 106, 53, 27, 14], 8, {"FCN32s": 288, "FCN16s": 304, "FCN8s": 312}),
        (500, [349, 175, 88, 44, 22], 16, {"FCN32s": 544, "FCN16s": 560, "FCN8s": 568}),
    ],
)
@pytest.mark.parametrize("network", [FCN32s, FCN16s, FCN8s])
def test_size_walk_of_the_paper(network, size, pools, fc6, final):
    net = network(**{**TINY, "widths": (1, 1, 1, 1, 1), "fc": 1}, padding="paper").eval()
    seen: dict[str, int] = {}
    for name, module in net.named_modules():
        module.register_forward_hook(lambda m, i, y, name=name: seen.__setitem__(name, y.shape[2]))
    with mv.no_grad():
        y = net(mv.zeros(1, 3, size, size))
    assert y.shape == (1, 3, size, size)
    assert [seen[f"block{i}"] for i in range(1, 6)] == pools
    assert seen["fc6"] == fc6
    assert seen["final"] == final[network.__name__]
    if network is not FCN32s:
        assert seen["up2"] == 2 * fc6 + 2
    if network is FCN8s:
        assert seen["up_pool4"] == 2 * seen["up2"] + 2


@pytest.mark.parametrize("padding", ["same", "paper"])
def test_at_first_fcn16s_is_the_two_step_upsampling_of_fcn32s_scores(padding, rng):
    """Zero skips change nothing: 16s = bilinear 2x, then bilinear 16x, of the same class map."""
    coarse = FCN32s(**TINY, padding=padding).double()
    randomize(coarse, rng)
    fine = FCN16s(**TINY, padding=padding).double().start_from(coarse)
    x = mv.tensor(rng.normal(size=(1, 3, 64, 96)))
    with mv.no_grad():
        _, _, score = coarse.trunk(x)
        assert float(score.abs().max()) > 1e-3
        step = fine.crop(fine.final(fine.up2(score)), x, 27)
        assert_close(fine(x), step, rtol=0, atol=1e-12)
        # the same by interpolate: exact in the interior, where the transposed kernel does not reach over the border
        if padding == "same":
            by_hand = F.interpolate(F.interpolate(score, scale_factor=2, mode="bilinear"), scale_factor=16, mode="bilinear")
            inside = (slice(None), slice(None), slice(24, -24), slice(24, -24))
            assert_close(fine(x)[inside], by_hand[inside], rtol=0, atol=1e-12)
        assert not np.allclose(coarse(x).numpy(), fine(x).numpy())  # two tents round off what one does not


def test_at_first_fcn8s_is_the_three_step_upsampling(rng):
    coarse = FCN16s(**TINY).double()
    randomize(coarse, rng)
    fine = FCN8s(**TINY).double().start_from(coarse)
    x = mv.tensor(rng.normal(size=(1, 3, 64, 64)))
    with mv.no_grad():
        _, _, score = fine.trunk(x)
        assert_close(fine(x), fine.final(fine.up_pool4(fine.up2(score))), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("factor", "size"), [(2, 4), (8, 16), (16, 32), (32, 64)])
def test_upsampling_layers_are_learnable_and_start_bilinear(factor, size):
    layer = FCN32s(**TINY).upsample(factor)
    assert layer.kernel_size == (size, size)
    assert layer.weight.requires_grad
    assert layer.bias is None
    tent = 1 - np.abs(np.arange(size) - (factor - 0.5)) / factor
    for a in range(3):
        for b in range(3):
            assert_close(layer.weight[a, b].detach().numpy(), np.outer(tent, tent) * (a == b), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("network", [FCN32s, FCN16s, FCN8s])
def test_untrained_loss_is_ln_c_and_every_parameter_can_learn(network, rng):
    net = network(**TINY)
    x = mv.tensor(rng.normal(size=(2, 3, 32, 64)).astype(np.float32))
    target = mv.tensor(rng.integers(0, 3, (2, 32, 64)))
    loss = F.cross_entropy(net(x), target)
    assert loss.item() == pytest.approx(np.log(3), abs=1e-6)
    randomize(net, rng)
    F.cross_entropy(net(x), target).backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not np.abs(p.grad.numpy()).max() > 0]
    assert without == []


def test_sizes_and_arguments():
    with pytest.raises(ValueError, match=r"FCN8s: width 70 of input .*multiple of 32.*64 or 96"):
        FCN8s(**TINY)(mv.zeros(1, 3, 64, 70))
    assert FCN8s(**TINY, padding="paper").eval()(mv.zeros(1, 3, 33, 70)).shape == (1, 3, 33, 70)
    with pytest.raises(ValueError, match="padding='valid' is unknown"):
        FCN8s(**TINY, padding="valid")
    with pytest.raises(RuntimeError, match="does not fit this FCN16s"):
        FCN16s(**TINY).start_from(FCN32s(**{**TINY, "fc": 8}))
