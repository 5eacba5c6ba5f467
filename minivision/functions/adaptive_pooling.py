"""Adaptive pooling: the output size is given, and the bins follow from it.

Along an axis of length L with P bins, bin i is [floor(i L / P), ceil((i + 1) L / P)): neighbours share a pixel where L / P is no
integer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, scatter_add, xp_of
from minivision.functions.operands import check_flags, integer, shown
from minivision.functions.pooling import pool_input


class AdaptiveAvgPool(Function):
    """y[..., i] = mean of x over bin i: one matrix per axis, y = A_h x A_w^T;  dx = A_h^T dy A_w"""

    def __init__(self, out: tuple[int, ...]):
        self.out = out

    def forward(self, x: Array) -> Array:
        self.bins = [_bin_matrix(n, p) for n, p in zip(x.shape[2:], self.out, strict=True)]
        return _along_each_axis(x, self.bins)

    def backward(self, dy: Array) -> Array:
        return _along_each_axis(dy, [m.T for m in self.bins])


class AdaptiveMaxPool(Function):
    """y[..., i] = max of x over bin i;  dy goes to the first maximum in row-major order

    The maximum over a box is the maximum over its rows of the maximum within each row, so one axis after the other is reduced.
    Taking the first in a row, then the first row, is row-major order.
    """

    def __init__(self, out: tuple[int, ...]):
        self.out = out

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.shape, y = x.shape, x
        flat = xp.zeros(x.shape, np.int64)  # where each value of y stands in the plane of x
        step = 1
        for axis in range(x.ndim - 1, 1, -1):
            values, places = [], []
            for start, stop in bins(x.shape[axis], self.out[axis - 2]):
                within = (slice(None),) * axis + (slice(start, stop),)
                first = xp.expand_dims(y[within].argmax(axis=axis), axis)
                values.append(xp.take_along_axis(y[within], first, axis=axis))
                places.append(xp.take_along_axis(flat[within], first, axis=axis) + (first + start) * step)
            y, flat = xp.concatenate(values, axis=axis), xp.concatenate(places, axis=axis)
            step *= x.shape[axis]
        self.flat = flat
        return y

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        planes, bins_of_plane = math.prod(self.shape[:2]), math.prod(self.out)
        dx = xp.zeros((planes, math.prod(self.shape[2:])), dy.dtype)
        # bins overlap, so one x may have won several of them
        winners = self.flat.reshape(planes, bins_of_plane)
        scatter_add(dx, (xp.arange(planes)[:, None], winners), dy.reshape(planes, bins_of_plane))
        return dx.reshape(self.shape)

    def decisions(self) -> dict[str, Array]:
        return {"winner": self.flat}

    def indices(self) -> Array:
        """Where each winner stands, as a flat index into the plane: (N, C, *out) int64."""
        return self.flat


def bins(size: int, count: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each bin."""
    return ((i * size // count, -(-(i + 1) * size // count)) for i in range(count))


def _bin_matrix(size: int, count: int) -> np.ndarray:
    matrix = np.zeros((count, size))
    for i, (start, stop) in enumerate(bins(size, count)):
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


def _along_each_axis(x: Array, matrices: Sequence[np.ndarray]) -> Array:
    xp = xp_of(x)
    for axis, matrix in enumerate(matrices, start=2):
        x = xp.moveaxis(xp.tensordot(x, xp.asarray(matrix.astype(x.dtype)), axes=((axis,), (1,))), -1, axis)
    return x


# ---- what users call ----


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Tensor:
    """As `adaptive_avg_pool2d`, over inputs (N, C, L) with an int."""
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Tensor:
    """The mean over a grid of `output_size` (h, w) bins; bin i spans floor(i H / h) .. ceil((i + 1) H / h), so bins may overlap.

    Input (N, C, H, W) or (C, H, W). An int stands for all axes, an entry of None keeps that length.
    Raises ValueError for an output size that is not positive, and for an empty image.
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Tensor:
    """As `adaptive_avg_pool2d`, over volumes (N, C, D, H, W)."""
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """As `adaptive_max_pool2d`, over inputs (N, C, L) with an int."""
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest value in each of `output_size` (h, w) bins, which are those of `adaptive_avg_pool2d`.

    Input (N, C, H, W) or (C, H, W). An int stands for all axes, an entry of None keeps that length. `return_indices` also returns
    where each maximum stands, as flat int64 indices into the H x W plane. The first maximum in row-major order wins a tie and
    receives the whole gradient.
    Raises ValueError for an output size that is not positive, and for an empty image.
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """As `adaptive_max_pool2d`, over volumes (N, C, D, H, W)."""
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


def _adaptive_avg_pool(op: str, ndim: int, input: Any, output_size: Any) -> Tensor:
    x, single = pool_input(op, ndim, input)
    y = AdaptiveAvgPool(_output_size(op, x.shape, output_size))(x)
    return y.squeeze(0) if single else y


def _adaptive_max_pool(op: str, ndim: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    x, single = pool_input(op, ndim, input)
    check_flags(op, return_indices=return_indices)
    function = AdaptiveMaxPool(_output_size(op, x.shape, output_size))
    y = function(x)
    if not return_indices:
        return y.squeeze(0) if single else y
    positions = Tensor._wrap(function.indices())
    return (y.squeeze(0), positions.squeeze(0)) if single else (y, positions)


def _output_size(op: str, shape: Sequence[int], output_size: Any) -> tuple[int, ...]:
    size = tuple(shape[2:])
    wanted = check_output_size(op, output_size, len(size))
    if 0 in size:
        raise ValueError(f"{op}: input has shape {tuple(shape)}, but an axis of length 0 cannot be cut into bins")
    return tuple(n if p is None else int(p) for n, p in zip(size, wanted, strict=True))


def check_output_size(op: str, output_size: Any, axes: int) -> tuple[Any, ...]:
    """The number of bins along each axis, None where the length stays; errors for everything that is no such number."""
    several = isinstance(output_size, (tuple, list))
    wanted = tuple(output_size) if several else (output_size,)
    legal = "a positive int" + {1: "", 2: ", or two of them (h, w)", 3: ", or three of them (d, h, w)"}[axes]
    if len(wanted) not in (1, axes):
        raise ValueError(
            f"{op}: output_size={shown(output_size)} has {len(wanted)} entries, but must be {legal}; None keeps a length"
        )
    for i, p in enumerate(wanted):
        name = f"output_size[{i}]" if several else "output_size"
        if p is not None and integer(op, name, p, meaning=legal) < 1:
            raise ValueError(f"{op}: {name}={p} must be {legal}; None keeps a length")
    return wanted * axes if len(wanted) == 1 else wanted
