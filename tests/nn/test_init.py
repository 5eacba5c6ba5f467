"""Initialisers: their moments, their bounds, and the bilinear kernel to the last digit."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minivision as mv
from minivision import nn
from minivision.nn import functional as F
from minivision.nn import init
from tests.helpers import assert_close

SHAPE = (64, 32, 3, 3)
FAN_IN, FAN_OUT = 32 * 9, 64 * 9


@pytest.mark.parametrize(
    ("fill", "std", "bound"),
    [
        (lambda w: init.kaiming_normal_(w, nonlinearity="relu"), math.sqrt(2 / FAN_IN), None),
        (lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / FAN_OUT), None),
        (lambda w: init.kaiming_normal_(w, a=0.2), math.sqrt(2 / 1.04 / FAN_IN), None),
        (lambda w: init.kaiming_uniform_(w, nonlinearity="relu"), math.sqrt(2 / FAN_IN), math.sqrt(6 / FAN_IN)),
        (lambda w: init.xavier_normal_(w), math.sqrt(2 / (FAN_IN + FAN_OUT)), None),
        (lambda w: init.xavier_uniform_(w, gain=2), 2 * math.sqrt(2 / (FAN_IN + FAN_OUT)), 2 * math.sqrt(6 / (FAN_IN + FAN_OUT))),
        (lambda w: init.normal_(w, 0, 0.01), 0.01, None),
        (lambda w: init.uniform_(w, -3, 3), math.sqrt(3), 3),
    ],
)
def test_moments_and_bounds(fill, std, bound):
    mv.manual_seed(0)
    w = nn.Parameter(mv.empty(*SHAPE))
    assert fill(w) is w
    values = w.detach().numpy()
    assert values.std() == pytest.approx(std, rel=0.02)
    assert abs(values.mean()) < 0.03 * std
    if bound is not None:
        assert np.abs(values).max() <= bound
    assert w.requires_grad
    assert w.is_leaf


def test_he_initialisation_keeps_the_signal_through_twenty_layers():
    mv.manual_seed(0)
    x = mv.randn(64, 256)
    for _ in range(20):
        w = init.kaiming_normal_(mv.empty(256, 256), nonlinearity="relu")
        x = F.relu(F.linear(x, w))
    assert 0.3 < float((x**2).mean()) < 3


def test_constants():
    w = mv.empty(2, 3)
    assert (init.zeros_(w).numpy() == 0).all()
    assert (init.ones_(w).numpy() == 1).all()
    assert (init.constant_(w, 2.5).numpy() == 2.5).all()


def test_bilinear_kernel_of_size_4():
    row = [0.25, 0.75, 0.75, 0.25]
    assert_close(init.bilinear_kernel(4), np.outer(row, row))
    assert_close(init.bilinear_kernel(4)[0], [0.0625, 0.1875, 0.1875, 0.0625])
    assert_close(init.bilinear_kernel(3), np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]))


def test_bilinear_transposed_convolution_is_interpolation_inside_but_not_at_the_border(rng, device):
    layer = nn.ConvTranspose2d(3, 3, 4, stride=2, padding=1, bias=False).double()
    init.bilinear_(layer.weight)
    layer.to(device)
    x = mv.tensor(rng.normal(size=(2, 3, 5, 7))).to(device)
    up, reference = layer(x), F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert_close(up[inside], reference[inside], atol=1e-14)
    assert np.abs((up - reference).detach().cpu().numpy()[:, :, 0]).max() > 1e-3


def test_bilinear_by_groups(rng):
    layer = nn.ConvTranspose2d(3, 3, 4, stride=2, padding=1, groups=3, bias=False).double()
    init.bilinear_(layer.weight)
    full = init.bilinear_(mv.empty(3, 3, 4, 4, dtype=np.float64))
    x = mv.tensor(rng.normal(size=(1, 3, 4, 5)))
    assert_close(layer(x), F.conv_transpose2d(x, full, stride=2, padding=1))


def test_errors():
    with pytest.raises(ValueError, match=r"\(C, C, k, k\).*has shape \(3, 2, 4, 4\)"):
        init.bilinear_(mv.empty(3, 2, 4, 4))
    with pytest.raises(ValueError, match="at least 2 axes"):
        init.xavier_uniform_(mv.empty(3))
    with pytest.raises(ValueError, match="mode='fan_sum'"):
        init.kaiming_normal_(mv.empty(3, 3), mode="fan_sum")
    with pytest.raises(ValueError, match="'swish' is unknown"):
        init.calculate_gain("swish")
