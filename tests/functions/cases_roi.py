"""Gradient checks of the operations on regions. The boxes keep their samples away from the centres of cells and the borders."""

from __future__ import annotations

import numpy as np

from minivision.functions import aspect, corner_pooling, roi
from tests.functions.cases import GradientCase, case

IMAGES = np.array([1, 0, 1])
FEATURES = np.random.default_rng(3).permutation(2 * 2 * 5 * 6).reshape(2, 2, 5, 6) / 60 - 1
# inside; partly outside, flat; smaller than a cell
BOXES = [[0.63, 0.31, 4.27, 3.94], [-2.13, 1.57, 3.02, 2.87], [2.91, 1.37, 3.44, 1.72]]


def region(name, function, *settings, boxes=BOXES):
    return GradientCase(name, lambda put: function(IMAGES, (2, 3), *settings), ((), ()), values=(FEATURES, boxes))


CASES = [
    region("two samples", roi.RoIAlign, 0.9, 2, False),
    region("three samples, aligned", roi.RoIAlign, 1.0, 3, True),
    region("adaptive, aligned", roi.RoIAlign, 1.1, 0, True),
    region("adaptive", roi.RoIAlign, 1.1, -1, False),
    region("maximum", roi.RoIAlign, 1.0, 2, True, "max"),
    region("maximum, adaptive", roi.RoIAlign, 1.0, -1, False, "max"),
    region("", roi.PrRoIPool, 0.9),
    region("aligned", roi.PrRoIPool, 1.0, True),
    region("", roi.RoIPool, 0.9),
    case("down", corner_pooling.CornerPool, (2, 2, 4, 5), args=(-2, False)),
    case("up", corner_pooling.CornerPool, (2, 2, 4, 5), args=(-2, True)),
    case("to the left", corner_pooling.CornerPool, (2, 4, 5), args=(-1, True)),
    case("", aspect.AspectAngle, (2, 3), (2, 3), low=0.5, high=2.0),
]
