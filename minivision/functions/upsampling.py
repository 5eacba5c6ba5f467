"""Interpolation. Along one axis it is a sparse matrix: each output position is a weighted sum of a few input positions.

An image is interpolated one axis after the other; the gradient applies the transposed matrices.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.layout import channels_first, channels_last
from minivision.functions.operands import as_tensor, need_float


class AxisMatrix(NamedTuple):
    """A sparse (out, in) matrix, row by row: y[j] = sum over t of weights[j, t] * x[sources[j, t]]."""

    sources: np.ndarray  # (out, taps) int
    weights: np.ndarray  # (out, taps) float64
    columns: int  # the input length

    def dense(self) -> np.ndarray:
        """The (out, in) matrix written out."""
        matrix = np.zeros((len(self.sources), self.columns))
        np.add.at(matrix, (np.arange(len(self.sources))[:, None], self.sources), self.weights)
        return matrix

    def transposed(self) -> AxisMatrix:
        """The (in, out) matrix: which outputs each input took part in."""
        j, t = np.nonzero(self.weights)
        source, weight = self.sources[j, t], self.weights[j, t]
        order = np.argsort(source, kind="stable")
        j, source, weight = j[order], source[order], weight[order]
        uses = np.bincount(source, minlength=self.columns)
        place = np.arange(len(source)) - np.repeat(np.cumsum(uses) - uses, uses)  # 0, 1, ... within each source
        sources = np.zeros((self.columns, max(uses.max(initial=0), 1)), np.int64)
        weights = np.zeros(sources.shape)
        sources[source, place], weights[source, place] = j, weight
        return AxisMatrix(sources, weights, len(self.sources))

    def apply(self, x: Array, axis: int) -> Array:
        """The matrix times x along one axis."""
        xp = xp_of(x)
        along = [-1 if i == axis else 1 for i in range(x.ndim)]
        y = None
        for tap in range(self.sources.shape[1]):
            taken = xp.take(x, xp.asarray(self.sources[:, tap]), axis=axis)
            if (self.weights[:, tap] != 1).any():
                taken *= xp.asarray(self.weights[:, tap].astype(x.dtype)).reshape(along)
            y = taken if y is None else y.__iadd__(taken)
        return y


class Interpolate(Function):
    """y = A_h x A_w^T, one interpolation matrix per spatial axis;  dx = A_h^T dy A_w"""

    def __init__(self, matrices: Sequence[AxisMatrix]):
        self.matrices = matrices

    def forward(self, x: Array) -> Array:
        return _apply(x, self.matrices)

    def backward(self, dy: Array) -> Array:
        return _apply(dy, [m.transposed() for m in self.matrices])


def _apply(x: Array, matrices: Sequence[AxisMatrix]) -> Array:
    y = channels_last(x)
    for axis, matrix in enumerate(matrices, start=1):
        y = matrix.apply(y, axis)
    return channels_first(y)


def nearest_matrix(size: int, out: int, scale: float | None = None) -> AxisMatrix:
    """Output j takes input floor(j in/out), or floor(j / scale)."""
    j = np.arange(out)
    if scale is None:
        sources = j * size // out
    else:  # single precision, as in PyTorch: where j / scale is nearly an integer, rounding decides
        sources = np.minimum(np.floor(j.astype(np.float32) * np.float32(1 / scale)).astype(np.int64), size - 1)
    return AxisMatrix(sources[:, None], np.ones((out, 1)), size)


def linear_matrix(size: int, out: int, align_corners: bool = False, scale: float | None = None) -> AxisMatrix:
    """Output j lies at `src` between two inputs, which share it: 1 - t for the left one, t for the right one.

    align_corners=False: pixels are cells, src = (j + 1/2) in/out - 1/2, and positions outside the first and last centre take
    the border value. align_corners=True: pixels are points, src = j (in - 1) / (out - 1).
    """
    j = np.arange(out)
    if align_corners:
        source = j * ((size - 1) / (out - 1)) if out > 1 else np.zeros(1)
    else:
        source = np.maximum((j + 0.5) * (size / out if scale is None else 1 / scale) - 0.5, 0)
    left = np.minimum(np.floor(source).astype(np.int64), size - 1)
    right = np.minimum(left + 1, size - 1)
    t = np.where(right == left, 0.0, source - left)
    return AxisMatrix(np.stack([left, right], axis=1), np.stack([1 - t, t], axis=1), size)


MODES = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "trilinear": "linear"}
AXES_OF_MODE = {"linear": 1, "bilinear": 2, "trilinear": 3}


def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Tensor:
    """Resize the spatial axes; `align_corners` is False unless given, which means that pixels are cells, not points.

    Parameters
    ----------
    input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
    size: the output size, an int or one per axis; or else
    scale_factor: a float or one per axis; the output size is floor(length * factor), and positions are scaled by the factor as
        given unless `recompute_scale_factor` takes it from the sizes.
    mode: "nearest", or "linear" / "bilinear" / "trilinear" for 1, 2 or 3 spatial axes.

    Raises ValueError for an unknown mode, one that does not fit the number of axes, and for both or neither of size and factor.
    """
    op = "interpolate"
    x = as_tensor(op, "input", input)
    need_float(op, input=x)
    spatial = x.ndim - 2
    if spatial not in (1, 2, 3):
        raise ValueError(f"{op}: input has shape {x.shape}, but must be (N, C, L), (N, C, H, W) or (N, C, D, H, W)")
    if mode not in MODES:
        raise ValueError(f"{op}: mode={mode!r} is unknown; use one of {', '.join(map(repr, MODES))}")
    if AXES_OF_MODE.get(mode, spatial) != spatial:
        fitting = next(name for name, n in AXES_OF_MODE.items() if n == spatial)
        raise ValueError(
            f"{op}: mode={mode!r} is for {AXES_OF_MODE[mode]} spatial axes, but input {x.shape} has {spatial}; use {fitting!r}"
        )
    if align_corners is not None and mode == "nearest":
        raise ValueError(f"{op}: align_corners means nothing with mode='nearest'; leave it out")
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{op}: give either size or scale_factor (got size={size}, scale_factor={scale_factor})")

    lengths = x.shape[2:]
    scales: Sequence[float | None]
    if size is not None:
        out = _one_per_axis(op, "size", size, spatial)
        scales = [None] * spatial
    else:
        factors = _one_per_axis(op, "scale_factor", scale_factor, spatial)
        out = tuple(math.floor(n * f) for n, f in zip(lengths, factors, strict=True))
        scales = [None] * spatial if recompute_scale_factor else factors
    if min(out) < 1 or min(lengths) < 1:
        raise ValueError(f"{op}: cannot resize {tuple(lengths)} to {tuple(out)}; every length must be at least 1")
    matrices = [_matrix(MODES[mode], n, int(o), bool(align_corners), s) for n, o, s in zip(lengths, out, scales, strict=True)]
    return Interpolate(matrices)(x)


@functools.lru_cache(maxsize=256)
def _matrix(kind: str, size: int, out: int, align_corners: bool, scale: float | None) -> AxisMatrix:
    return nearest_matrix(size, out, scale) if kind == "nearest" else linear_matrix(size, out, align_corners, scale)


def _one_per_axis(op: str, name: str, value: Any, axes: int) -> tuple[Any, ...]:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(values) != axes:
        raise ValueError(f"{op}: {name}={value} must be a number or {axes} numbers, one for each spatial axis")
    return values
