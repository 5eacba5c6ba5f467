"""Gradient checks of what moves pixels: unpooling, adaptive pooling, interpolation, padding, unfolding, grid sampling."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from minivision.functions import adaptive_pooling, axis_matrix, grid_sampling, padding, unfolding, unpooling, upsampling
from minivision.functions.convolution.geometry import Window
from tests.functions.cases import GradientCase, Put, case

KEYS = functools.partial(axis_matrix.keys_kernel, a=-0.5)

# Positions that lie on no kink: half-way marks and the edges of the image are avoided, some are far outside.
GRID = np.array([[[[-0.63, 0.21], [0.47, -0.83], [1.31, 0.11]], [[0.05, -1.37], [-1.93, 2.27], [0.77, 0.59]]]])
VOLUME_GRID = np.array([[[[[-0.63, 0.21, 0.33]], [[0.47, -0.83, -1.61]]]]])


def sampled(mode: str, padding_mode: str, align_corners: bool, shape: tuple[int, ...], grid: np.ndarray) -> GradientCase:
    values = np.random.default_rng(7).uniform(-1, 1, shape)
    return GradientCase(
        f"{mode}, {padding_mode}, {align_corners}",
        lambda put: grid_sampling.GridSample(mode, padding_mode, align_corners),
        (),
        values=(values, grid),
    )


def unpool(put: Put, indices: Any, size: tuple[int, ...]) -> unpooling.MaxUnpool:
    return unpooling.MaxUnpool(put(np.array(indices)), size)


WINDOW = Window((2, 1), ((1, 1), (0, 0)), (1, 2))

CASES = [
    GradientCase("", lambda put: unpool(put, [[[[5, 0], [11, 9]]]], (3, 4)), ((1, 1, 2, 2),)),
    GradientCase("1-d", lambda put: unpool(put, [[[1, 4], [2, 3]]], (5,)), ((1, 2, 2),)),
    case("", adaptive_pooling.AdaptiveAvgPool, (2, 2, 5, 7), args=((3, 4),)),
    case("3-d", adaptive_pooling.AdaptiveAvgPool, (1, 2, 3, 2, 4), args=((2, 3, 1),)),
    case("overlapping", adaptive_pooling.AdaptiveMaxPool, (2, 2, 5, 7), args=((3, 4),)),
    case("more bins than pixels", adaptive_pooling.AdaptiveMaxPool, (1, 2, 3), args=((5,),)),
    case("3-d", adaptive_pooling.AdaptiveMaxPool, (1, 2, 3, 2, 4), args=((2, 1, 3),)),
    case("bicubic", upsampling.Interpolate, (2, 2, 3, 4),
         args=([axis_matrix.cubic_weights(3, 5), axis_matrix.cubic_weights(4, 3, True)],)),
    case("nearest-exact", upsampling.Interpolate, (1, 2, 5), args=([axis_matrix.nearest_exact_weights(5, 8)],)),
    case("antialiased", upsampling.Interpolate, (2, 2, 7, 3),
         args=([axis_matrix.antialiased_weights(7, 3, axis_matrix.triangle_kernel, 1),
                axis_matrix.antialiased_weights(3, 4, KEYS, 2)],)),
    case("", upsampling.BedOfNails, (2, 3, 2, 4), args=((3, 2),)),
    case("negative", padding.ReflectPad, (2, 3, 4), args=([(0, 0), (2, -1), (-1, 3)],)),
    case("", padding.ReplicatePad, (2, 3, 4), args=([(0, 0), (2, 5), (-1, 3)],)),
    case("", padding.CircularPad, (2, 3, 4), args=([(0, 0), (2, 3), (-1, 3)],)),
    case("", unfolding.Unfold, (2, 3, 4, 5), args=((3, 2), WINDOW)),
    case("", unfolding.Fold, (2, 12, 6), args=((4, 5), (3, 2), WINDOW)),
    *[sampled(mode, outside, align, (1, 2, 4, 5), GRID) for mode in ("bilinear", "nearest", "bicubic")
      for outside in ("zeros", "border", "reflection") for align in (False, True)],
    sampled("bilinear", "zeros", False, (1, 2, 3, 4, 2), VOLUME_GRID),
    sampled("bilinear", "reflection", True, (1, 2, 3, 4, 2), VOLUME_GRID),
]  # fmt: skip
