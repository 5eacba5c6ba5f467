"""Bilinear sampling, and RoIAlign on top of it (He et al. 2017, arXiv:1703.06870)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision.reference.loops import pair, positions

Array = np.ndarray


def bilinear(image: Array, row: float, col: float) -> float:
    """The image (H, W) between its pixels: the mean of the four around (row, col), each weighted by how near it is

    (1-t)(1-s) a + (1-t) s b + t (1-s) c + t s d, with t and s the fractions of row and col. Pixel centres are whole numbers;
    before the first and behind the last centre the border is repeated.
    """
    height, width = image.shape
    row, col = min(max(row, 0.0), height - 1), min(max(col, 0.0), width - 1)
    top, left = math.floor(row), math.floor(col)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    t, s = row - top, col - left
    return (
        (1 - t) * (1 - s) * image[top, left] + (1 - t) * s * image[top, right]
        + t * (1 - s) * image[bottom, left] + t * s * image[bottom, right]
    )  # fmt: skip


def roi_align(
    x: Array, boxes: Array, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = -1, aligned: bool = False
) -> Array:
    """y[r,c,i,j] = the mean of x[image of r, c] at g x g points, spread evenly over bin (i, j) of box r; nothing is rounded

    x (N, C, H, W); boxes (R, 5), each (image, x1, y1, x2, y2) in pixels of the original image -> (R, C, *output_size).

    spatial_scale brings boxes into the coordinates of x. g is `sampling_ratio`, or ceil(bin length) if that is not positive.
    aligned shifts by half a pixel, since pixel centres lie at i + 1/2; without it (the first version of the paper's code) boxes
    are also at least one pixel large. Points more than one pixel outside x count as 0.
    """
    (P, Q), (height, width) = pair(output_size), x.shape[2:]
    y = np.zeros((len(boxes), x.shape[1], P, Q))
    for r, box in enumerate(boxes):
        shift = 0.5 if aligned else 0.0
        x1, y1, x2, y2 = (spatial_scale * float(v) - shift for v in box[1:])
        box_h, box_w = (y2 - y1, x2 - x1) if aligned else (max(y2 - y1, 1.0), max(x2 - x1, 1.0))
        rows = sampling_ratio if sampling_ratio > 0 else math.ceil(box_h / P)
        cols = sampling_ratio if sampling_ratio > 0 else math.ceil(box_w / Q)
        for c, i, j in positions(x.shape[1], P, Q):
            for u, v in positions(max(rows, 0), max(cols, 0)):
                row = y1 + (i + (u + 0.5) / rows) * box_h / P
                col = x1 + (j + (v + 0.5) / cols) * box_w / Q
                if -1 <= row <= height and -1 <= col <= width:
                    y[r, c, i, j] += bilinear(x[int(box[0]), c], row, col) / (rows * cols)
    return y
