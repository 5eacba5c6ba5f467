"""Interpolation: which pixels of the input an output pixel is mixed from, and with which weights."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minivision.reference.loops import per_axis, positions

Array = np.ndarray


def interpolate(x: Array, size: Any, mode: str = "nearest", align_corners: bool = False) -> Array:
    """y[n,c,o] = sum over i of weight[o,i] x[n,c,i], the weight a product of one factor for each axis (see `taps`)

    x (N, C, *in) -> (N, C, *size). mode: "nearest", "nearest-exact", "linear" (also called "bilinear", "trilinear"), "bicubic".
    """
    y = np.zeros((*x.shape[:2], *per_axis(size, x.ndim - 2)))
    for n, c, *o in positions(*y.shape):
        for i, weight in mixture(o, x.shape[2:], y.shape[2:], mode, align_corners):
            y[n, c, *o] += weight * x[n, c, *i]
    return y


def interpolate_backward(dy: Array, size: Any, mode: str = "nearest", align_corners: bool = False) -> Array:
    """dx[n,c,i] = sum over o of weight[o,i] dy[n,c,o]: each output returns its gradient to the pixels it was mixed from

    dy (N, C, *out) -> (N, C, *size), `size` being that of the input.
    """
    dx = np.zeros((*dy.shape[:2], *per_axis(size, dy.ndim - 2)))
    for n, c, *o in positions(*dy.shape):
        for i, weight in mixture(o, dx.shape[2:], dy.shape[2:], mode, align_corners):
            dx[n, c, *i] += weight * dy[n, c, *o]
    return dx


def mixture(o: Any, size: Any, out: Any, mode: str, align_corners: bool) -> Iterator[tuple[tuple[int, ...], float]]:
    """The pixels i that output pixel o is mixed from, with their weights."""
    along = [taps(j, n, m, mode, align_corners) for j, n, m in zip(o, size, out, strict=True)]
    for combination in itertools.product(*along):
        yield tuple(i for i, _ in combination), math.prod(weight for _, weight in combination)


def taps(j: int, length: int, out: int, mode: str, align_corners: bool = False) -> list[tuple[int, float]]:
    """Along one axis, the pixels that output pixel j of `out` is mixed from, each with its weight, as (i, weight)

    "nearest" takes pixel floor(j n / m), "nearest-exact" the one under its own centre. "linear" takes the two pixels around its
    position, 1 - t of the left one and t of the right one. "bicubic" takes four, by Keys' kernel, the border pixel repeated.
    """
    if mode == "nearest":
        return [(j * length // out, 1.0)]
    if mode == "nearest-exact":
        return [((2 * j + 1) * length // (2 * out), 1.0)]
    position = source_position(j, length, out, align_corners)
    if mode in ("linear", "bilinear", "trilinear"):
        position = max(position, 0.0)  # nothing lies before the centre of the first pixel
        left = math.floor(position)
        t = position - left
        return [(left, 1 - t), (min(left + 1, length - 1), t)]
    if mode == "bicubic":
        near = [math.floor(position) + step for step in (-1, 0, 1, 2)]
        return [(min(max(i, 0), length - 1), keys_kernel(position - i)) for i in near]
    raise ValueError(f"interpolate: mode={mode!r} is unknown; use 'nearest', 'nearest-exact', 'linear' or 'bicubic'")


def source_position(j: int, length: int, out: int, align_corners: bool = False) -> float:
    """Where output pixel j of `out` lies among `length` input pixels whose centres are 0, 1, 2, ...

    Pixels are cells (align_corners=False): the centre j + 1/2 is scaled by length/out. Pixels are points (align_corners=True):
    the first falls on the first, the last on the last.
    """
    if align_corners:
        return j * (length - 1) / (out - 1) if out > 1 else 0.0
    return (j + 0.5) * length / out - 0.5


def keys_kernel(t: float, a: float = -0.75) -> float:
    """(a+2)|t|^3 - (a+3)|t|^2 + 1 up to 1, then a|t|^3 - 5a|t|^2 + 8a|t| - 4a up to 2, then 0 (R. Keys 1981)

    1 at 0 and 0 at every other whole number, so the pixels themselves are kept.
    """
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0
