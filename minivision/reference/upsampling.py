"""Interpolation: which place of the input an output pixel shows, and what is there."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.reference.loops import pair, positions
from minivision.reference.roi import bilinear

Array = np.ndarray


def interpolate(x: Array, size: Any, mode: str = "nearest", align_corners: bool = False) -> Array:
    """y[n,c,i,j] = x[n,c] at the place that (i, j) has in the input: its nearest pixel, or the bilinear mean of four

    x (N, C, H, W) -> (N, C, *size); mode is "nearest" or "bilinear".
    """
    (height, width), y = x.shape[2:], np.zeros((*x.shape[:2], *pair(size)))
    for n, c, i, j in positions(*y.shape):
        if mode == "nearest":
            y[n, c, i, j] = x[n, c, i * height // y.shape[2], j * width // y.shape[3]]  # floor(i H / H')
        elif mode == "bilinear":
            row = source_position(i, height, y.shape[2], align_corners)
            col = source_position(j, width, y.shape[3], align_corners)
            y[n, c, i, j] = bilinear(x[n, c], row, col)
        else:
            raise ValueError(f"interpolate: mode={mode!r} is unknown; use 'nearest' or 'bilinear'")
    return y


def source_position(i: int, length: int, out: int, align_corners: bool = False) -> float:
    """Where output pixel i of `out` lies among `length` input pixels whose centres are 0, 1, 2, ...

    Pixels are cells (align_corners=False): the centre i + 1/2 is scaled by length/out, and nothing lies before the first centre.
    Pixels are points (align_corners=True): the first falls on the first, the last on the last.
    """
    if align_corners:
        return i * (length - 1) / (out - 1) if out > 1 else 0.0
    return max((i + 0.5) * length / out - 0.5, 0.0)
