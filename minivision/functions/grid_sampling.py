"""grid_sample and affine_grid: the two halves of a spatial transformer (Jaderberg et al., arXiv:1506.02025).

A grid says for each output pixel where to look; the image is interpolated there. Along each axis a position meets a few pixels,
each with a weight, and the weight of a pixel of the image is the product over its axes. So the value is

    y = sum over pixels p of x[p] * product over axes a of w_a(p_a)

and the derivative to a position along axis a has that axis' weights replaced by their slopes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, scatter_add, xp_of
from minivision.functions.axis_matrix import keys_kernel, keys_slope
from minivision.functions.operands import as_tensor, check_choice, check_flags, integers, need_float


class Taps(NamedTuple):
    """The pixels that one axis of the grid meets: for each tap arrays (N, *out)."""

    pixels: list[Array]  # int64, inside the axis
    weights: list[Array]  # 0 where the pixel is outside and padding is zeros
    slopes: list[Array | None]  # d weight / d grid; None where it is 0 everywhere


class GridSample(Function):
    """y[n,c,o] = x[n,c] interpolated at grid[n,o];  dx spreads dy by the same weights, dgrid weighs dy by their slopes

    The grid's last axis holds x before y (before z): position -1 is the first edge of the image and 1 the last.
    """

    def __init__(self, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False):
        self.mode, self.padding_mode, self.align_corners = mode, padding_mode, align_corners

    def forward(self, x: Array, grid: Array) -> Array:
        xp = xp_of(x, grid)
        self.shape = x.shape
        ndim = x.ndim - 2
        self.taps = [self._axis_taps(grid[..., ndim - 1 - a], x.shape[2 + a]) for a in range(ndim)]
        self.rows = xp.moveaxis(x, 1, -1).reshape(-1, x.shape[1])  # (N P, C), so that a pixel is one run of channels
        y = xp.zeros((*grid.shape[:-1], x.shape[1]), x.dtype)
        for tap, row in self._every_tap():
            y += self.rows[row] * self._weight(tap)[..., None]
        return xp.moveaxis(y, -1, 1)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        xp = xp_of(dy)
        need_x, need_grid = self.needs_input_grad[0], self.needs_input_grad[1]
        batch, channels, *size = self.shape
        upstream = xp.ascontiguousarray(xp.moveaxis(dy, 1, -1))  # (N, *out, C)
        dx = xp.zeros((batch * math.prod(size), channels), dy.dtype) if need_x else None
        slopes = [xp.zeros(upstream.shape[:-1], dy.dtype) for _ in size]
        for tap, row in self._every_tap():
            if need_x:
                scatter_add(dx, row, upstream * self._weight(tap)[..., None])
            if need_grid and self.mode != "nearest":
                through = (upstream * self.rows[row]).sum(axis=-1)
                for axis, total in enumerate(slopes):
                    total += through * self._weight(tap, axis)
        dgrid = xp.stack(slopes[::-1], axis=-1) if need_grid else None
        return None if dx is None else xp.moveaxis(dx.reshape(batch, *size, channels), -1, 1), dgrid

    def _every_tap(self) -> Iterator[tuple[tuple[int, ...], Array]]:
        """For each choice of one tap per axis: the choice, and the rows of x that it meets (N, *out)."""
        xp = xp_of(self.rows)
        batch, _, *size = self.shape
        first = (xp.arange(batch) * math.prod(size)).reshape(-1, *(1,) * len(size))
        for tap in itertools.product(*(range(len(t.pixels)) for t in self.taps)):
            flat = 0
            for t, taps, n in zip(tap, self.taps, size, strict=True):
                flat = flat * n + taps.pixels[t]
            yield tap, flat + first

    def _weight(self, tap: Sequence[int], slope_of: int | None = None) -> Array:
        """The product of the weights of a choice of taps, the factor of one axis replaced by its slope."""
        product: Any = None
        for axis, (t, taps) in enumerate(zip(tap, self.taps, strict=True)):
            factor = taps.slopes[t] if axis == slope_of else taps.weights[t]
            product = factor if product is None else product * factor
        return product

    def _axis_taps(self, grid: Array, n: int) -> Taps:
        """Which pixels of an axis of length n the positions in -1 .. 1 meet, with what weights, and the slopes of these."""
        xp = xp_of(grid)
        # the corners -1 and 1 are the centres of the outer pixels, or their outer edges
        scale = (n - 1) / 2 if self.align_corners else n / 2
        position = (grid + 1) * scale - (0.0 if self.align_corners else 0.5)
        offsets: tuple[int, ...]
        if self.mode == "bicubic":
            left = xp.floor(position)
            t = position - left
            offsets = (-1, 0, 1, 2)
            weights, slopes = [keys_kernel(t - k, -0.75) for k in offsets], [keys_slope(t - k, -0.75) * scale for k in offsets]
        else:
            position, inner = self._moved_inside(position, n)
            left = xp.rint(position) if self.mode == "nearest" else xp.floor(position)
            t = position - left
            offsets, weights, slopes = (0, 1), [1 - t, t], [-scale * inner, scale * inner]
            if self.mode == "nearest":
                offsets, weights, slopes = (0,), [xp.ones_like(t)], [None]
        pixels = []
        for k, offset in enumerate(offsets):
            pixel = left + offset
            if self.mode == "bicubic":  # its four pixels are moved one by one
                pixel = self._moved_inside(pixel, n)[0]
            inside = (pixel >= 0) & (pixel <= n - 1)
            weights[k] = weights[k] * inside
            slopes[k] = None if slopes[k] is None else slopes[k] * inside
            pixels.append(xp.where(inside, pixel, 0).astype(np.int64))
        return Taps(pixels, weights, slopes)

    def _moved_inside(self, position: Array, n: int) -> tuple[Array, Array]:
        """(position, its derivative) after the padding mode moved it into the image; at the border the derivative is 0."""
        xp = xp_of(position)
        slope = xp.ones_like(position)
        if self.padding_mode == "zeros":
            return position, slope
        if self.padding_mode == "reflection":
            low, high = (0.0, n - 1.0) if self.align_corners else (-0.5, n - 0.5)
            if high == low:
                return xp.zeros_like(position), xp.zeros_like(position)
            distance = xp.abs(position - low)
            flips = xp.floor(distance / (high - low))
            rest = distance - flips * (high - low)
            odd = flips % 2 == 1
            slope = xp.where((position < low) ^ odd, -slope, slope)
            position = xp.where(odd, high - rest, rest + low)
        at_border = (position <= 0) | (position >= n - 1)
        return xp.clip(position, 0, n - 1), xp.where(at_border, 0 * slope, slope)


# ---- what users call ----

MODES = ("bilinear", "nearest", "bicubic")
PADDING_MODES = ("zeros", "border", "reflection")


def grid_sample(
    input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """Look the image up at the positions of a grid; `align_corners` is False unless given.

    Parameters
    ----------
    input: (N, C, H, W), or (N, C, D, H, W).
    grid: (N, H', W', 2) with the position (x, y) of each output pixel, or (N, D', H', W', 3) with (x, y, z). -1 and 1 are the
        left and right (top and bottom) edges of the image, or, with align_corners=True, the centres of its outer pixels.
    mode: "bilinear" (trilinear for volumes), "nearest" (halves to the even pixel), or "bicubic" (a = -3/4, images only).
    padding_mode: what lies outside: "zeros"; "border", the nearest border pixel; or "reflection", the image mirrored at its edge.

    Returns (N, C, H', W'), with gradients to the image and to the grid (0 for "nearest", and where "border" holds a position).

    Raises ValueError when shapes do not fit and for unknown modes, TypeError for integer or mixed dtypes.
    """
    op = "grid_sample"
    x, g = as_tensor(op, "input", input), as_tensor(op, "grid", grid)
    check_choice(op, "mode", mode, MODES)
    check_choice(op, "padding_mode", padding_mode, PADDING_MODES)
    if align_corners is not None:
        check_flags(op, align_corners=align_corners)
    if x.ndim not in (4, 5) or 0 in x.shape[1:]:
        way_out = "; for a single image, input.unsqueeze(0)" if x.ndim == 3 else ""
        raise ValueError(
            f"{op}: input has shape {x.shape}, but must be (N, C, H, W) or (N, C, D, H, W), of positive size{way_out}"
        )
    axes = x.ndim - 2
    if g.ndim != x.ndim or g.shape[-1] != axes or g.shape[0] != x.shape[0]:
        layout = "(N, H', W', 2)" if axes == 2 else "(N, D', H', W', 3)"
        raise ValueError(f"{op}: grid has shape {g.shape}, but for input {x.shape} it must be {layout} with N = {x.shape[0]}")
    if mode == "bicubic" and axes != 2:
        raise ValueError(f"{op}: mode='bicubic' is for images (N, C, H, W), but input has shape {x.shape}; use 'bilinear'")
    need_float(op, input=x, grid=g)
    return GridSample(mode, padding_mode, bool(align_corners))(x, g)


def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid of an affine map: for each output pixel the position theta (x, y, 1)^T to look at; for `grid_sample`.

    Parameters
    ----------
    theta: (N, 2, 3), or (N, 3, 4) for volumes; [[1, 0, 0], [0, 1, 0]] is the identity.
    size: the size of the output image, (N, C, H, W) or (N, C, D, H, W).
    align_corners: that of grid_sample: whether -1 and 1 are the centres of the outer pixels or the edges of the image.

    Returns (N, H, W, 2), or (N, D, H, W, 3). Raises ValueError when shapes do not fit.
    """
    op = "affine_grid"
    t = as_tensor(op, "theta", theta)
    need_float(op, theta=t)
    legal = "the size of the output, (N, C, H, W) or (N, C, D, H, W)"
    lengths = integers(op, "size", size, legal, minimum=1)
    axes = len(lengths) - 2
    if axes not in (2, 3):
        raise ValueError(f"{op}: size={lengths} must be {legal}")
    if align_corners is not None:
        check_flags(op, align_corners=align_corners)
    if t.shape != (lengths[0], axes, axes + 1):
        raise ValueError(
            f"{op}: theta has shape {t.shape}, but for size={lengths} it must be {(lengths[0], axes, axes + 1)}: a matrix "
            f"{axes} x {axes + 1} for each image"
        )
    steps = [_steps(n, bool(align_corners)) for n in lengths[2:]]
    positions = np.meshgrid(*steps, indexing="ij")[::-1]  # x first
    homogeneous = np.stack([*positions, np.ones(lengths[2:])], axis=-1).reshape(-1, axes + 1)
    base = Tensor(xp_of(t.array).asarray(homogeneous.astype(t.dtype)))
    # (P, axes + 1) @ (N, axes + 1, axes) -> (N, P, axes)
    return (base @ t.transpose(1, 2)).reshape(lengths[0], *lengths[2:], axes)


def _steps(n: int, align_corners: bool) -> np.ndarray:
    """The positions of n pixels in -1 .. 1: their centres, or with align_corners from end to end."""
    if align_corners:
        return np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    return (2 * np.arange(n) + 1) / n - 1
