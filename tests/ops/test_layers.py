"""The layers for regions: the arguments reach the functions, under torchvision's names."""

from __future__ import annotations

import numpy as np

from minivision.autograd import Tensor
from minivision.functions.roi import ps_roi_align, roi_align, roi_pool
from minivision.ops import PSRoIAlign, RoIAlign, RoIPool
from tests.helpers import assert_close, to_device


def test_layers_are_their_functions(rng, device):
    x = Tensor(to_device(rng.standard_normal((1, 12, 7, 5)), device))
    boxes = Tensor(to_device(np.array([[0, 1.2, 0.7, 7.9, 9.6], [0, 3.1, 2.2, 8.8, 5.3]]), device))
    size = (3, 2)
    assert_close(RoIPool(size, 0.7)(x, boxes), roi_pool(x, boxes, size, 0.7), rtol=0)
    assert_close(RoIAlign(size, 0.7, 3, aligned=True)(x, boxes), roi_align(x, boxes, size, 0.7, 3, True), rtol=0)
    assert_close(RoIAlign(size, 0.7, -1)(x, boxes), roi_align(x, boxes, size, 0.7), rtol=0)
    assert_close(PSRoIAlign(size, 0.7, 3)(x, boxes), ps_roi_align(x, boxes, size, 0.7, 3), rtol=0)


def test_repr():
    assert repr(RoIAlign(7, 0.25, 2)) == "RoIAlign(output_size=7, spatial_scale=0.25, sampling_ratio=2, aligned=False)"
    assert repr(RoIPool((7, 5), 0.25)) == "RoIPool(output_size=(7, 5), spatial_scale=0.25)"
    assert repr(PSRoIAlign(7, 0.25, 2)) == "PSRoIAlign(output_size=7, spatial_scale=0.25, sampling_ratio=2)"
