"""U-Net: the paper's sizes, its structure, and the errors for images it cannot take."""

from __future__ import annotations

import numpy as np
import pytest

import minivision as mv
from minivision import nn
from minivision.models import UNet, create
from tests.helpers import assert_close


def test_sizes_of_the_paper():
    net = UNet(1, 2, widths=(2, 2, 2, 2, 2), padding="valid", norm=None)
    assert net.output_size(572) == 388
    assert [n for n in range(1, 260) if net.output_size(n)] == [188, 204, 220, 236, 252]
    assert net.output_size(188) == 4


@pytest.mark.parametrize(("depth", "rest", "step", "smallest"), [(2, 0, 4, 44), (3, 4, 8, 92), (4, 12, 16, 188)])
def test_legal_sizes_of_valid_convolutions(depth, rest, step, smallest):
    net = UNet(1, 2, (2,) * (depth + 1), padding="valid")
    legal = [n for n in range(1, 400) if net.output_size(n)]
    assert legal[0] == smallest
    assert net.output_size(smallest) == 4
    assert {n % step for n in legal} == {rest}
    assert all(n - net.output_size(n) == 12 * 2**depth - 8 for n in legal)


def test_572_to_388_for_real_with_the_crops_of_the_paper():
    net = UNet(1, 2, widths=(1, 1, 1, 1, 1), padding="valid", norm=None).eval()
    copies, crops = [], []
    for block in net.down:
        block.register_forward_hook(lambda m, i, y: copies.append(y.shape[2]))
    for merge in net.merge:
        merge.register_forward_pre_hook(lambda m, i: crops.append((copies[-1 - len(crops)] - i[0].shape[2]) // 2))
    with mv.no_grad():
        y = net(mv.zeros(1, 1, 572, 572))
    assert y.shape == (1, 2, 388, 388)
    assert copies == [568, 280, 136, 64]
    assert crops == [4, 16, 40, 88]


def test_the_receptive_field_of_an_output_pixel(rng):
    """With one pooling and positive kernels, output (0, 0) sees exactly the first 18 x 18 input pixels.

    Backwards from one pixel: head 1, two 3x3 convolutions 5, the 2x2 up-convolution 3 at half resolution, two 3x3 there 7, the
    pooling 14, two 3x3 convolutions 18.
    """
    net = UNet(1, 2, widths=(2, 3), padding="valid", norm=None).double()
    with mv.no_grad():
        for p in net.parameters():
            p.copy_(mv.tensor(rng.uniform(0.1, 1, p.shape)))
    x = mv.tensor(np.ones((1, 1, 20, 24)), requires_grad=True)
    # a smooth mean in place of the max, so that no pixel is left out
    net.pool = nn.AvgPool2d(2)
    y = net(x)
    assert y.shape == (1, 2, 4, 8)
    y[0, 1, 0, 0].backward()
    touched = x.grad.numpy()[0, 0] != 0
    assert touched[:18, :18].all()
    assert touched.sum() == 18 * 18


def test_parameter_count_of_the_paper_widths():
    assert sum(p.numel() for p in UNet(3, 2).parameters()) == 31_037_698


def test_skip_comes_first_and_reaches_the_output(rng):
    """With the expanding path's kernels zeroed for the upsampled half, the output still depends on the copy alone."""
    net = UNet(1, 1, widths=(2, 4), norm=None).double()
    with mv.no_grad():
        net.up[0].weight.zero_()
        net.up[0].bias.zero_()
    x = mv.tensor(rng.normal(size=(1, 1, 6, 8)))
    copy = net.down[0](x)
    expected = net.head(net.merge[0](mv.cat([copy, copy * 0], dim=1)))
    assert_close(net(x), expected)


def test_wrong_sizes_name_the_nearest_legal_ones():
    same = UNet(3, 2, widths=(2, 2, 2))
    with pytest.raises(ValueError, match=r"height 30 of input \(1, 3, 30, 32\).*multiple of 2\^2 = 4.*28 or 32"):
        same(mv.zeros(1, 3, 30, 32))
    with pytest.raises(ValueError, match=r"width 2 of .*nearest legal sizes are 4$"):
        same(mv.zeros(1, 3, 4, 2))
    valid = UNet(1, 2, widths=(2,) * 5, padding="valid")
    with pytest.raises(ValueError, match=r"height 570.*n = 12 mod 16.*556 or 572"):
        valid(mv.zeros(1, 1, 570, 572))
    with pytest.raises(ValueError, match=r"nearest legal sizes are 188"):
        valid(mv.zeros(1, 1, 140, 188))
    with pytest.raises(ValueError, match=r"has 1 channels, but the network was built for 3"):
        same(mv.zeros(1, 1, 32, 32))
    with pytest.raises(ValueError, match=r"must be images \(N, C, H, W\)"):
        same(mv.zeros(3, 32, 32))


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="padding='full'"):
        UNet(padding="full", widths=(2, 2))
    with pytest.raises(ValueError, match="norm='layer'"):
        UNet(norm="layer", widths=(2, 2))
    with pytest.raises(ValueError, match="depth=3"):
        UNet(widths=(2, 2), depth=3)
    assert UNet(widths=2, depth=2).widths == (2, 4, 8)


def test_config_builds_the_same_network_again(rng):
    net = UNet(2, 3, widths=(2, 3, 4), norm="batch", dropout=0.1)
    again = create(**net.config)
    again.load_state_dict(net.state_dict())
    x = mv.tensor(rng.normal(size=(1, 2, 8, 12)).astype(np.float32))
    assert_close(net.eval()(x), again.eval()(x), rtol=0, atol=0)
    with pytest.raises(ValueError, match="'unett' is unknown; use one of unet, fcn32s"):
        create("unett")


def test_learns_a_tiny_set_by_heart(rng):
    mv.manual_seed(0)
    net = UNet(1, 3, widths=(4, 8))
    x = mv.tensor(rng.normal(size=(2, 1, 8, 12)).astype(np.float32))
    t = mv.tensor(rng.integers(0, 3, (2, 8, 12)))
    optimizer = mv.optim.Adam(net.parameters(), lr=0.02)
    first = None
    for _ in range(120):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), t)
        loss.backward()
        optimizer.step()
        first = first or loss.item()
    assert first > 0.9
    assert loss.item() < 0.1
