"""Adaptive pooling: the output size is given, and the bins follow from it.

Along an axis of length L with P bins, bin i is [floor(i L / P), ceil((i + 1) L / P)): neighbours share a pixel where L / P is no
integer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, scatter_add, xp_of
from minivision.blocks import SHARED
from minivision.functions.operands import check_flags, integer, shown
from minivision.functions.pooling import pool_input
from minivision.functions.selecting import take_where
from minivision.functions.strips import MemoryOrder
from minivision.functions.unpooling import put_in_planes
from minivision.memory import scratch
from minivision.threads import for_each, in_turn, spans

BLOCK = 1 << 17  # elements at a time, which a core's cache holds


class AdaptiveAvgPool(Function):
    """y[..., i] = mean of x over bin i: one matrix per axis, y = A_h x A_w^T;  dx = A_h^T dy A_w"""

    def __init__(self, out: tuple[int, ...]):
        self.out = out

    def forward(self, x: Array) -> Array:
        self.size, self.order = x.shape[2:], MemoryOrder.of(x)
        return self._map(x, self.out, [_bin_matrix(n, p).astype(x.dtype) for n, p in self._lengths()])

    def backward(self, dy: Array) -> Array:
        return self._map(dy, self.size, [_bin_matrix(n, p).astype(dy.dtype).T for n, p in self._lengths()])

    def _lengths(self) -> list[tuple[int, int]]:
        """(length, bins) of each axis; of all axes as one where there is but one bin, the whole image."""
        if math.prod(self.out) == 1:
            return [(math.prod(self.size), 1)]
        return list(zip(self.size, self.out, strict=True))

    def _map(self, x: Array, size: tuple[int, ...], matrices: list[np.ndarray]) -> Array:
        """A matrix along each spatial axis of (planes, *spatial, 1) or, channels-last, (images, *spatial, C).

        The most numbers are in the first product of those that shrink, the last of those that grow. That is not the one along the
        innermost axis, for then each matrix is multiplied with whole rows of memory.
        """
        xp, order = xp_of(x), self.order
        y = order.empty(x.shape[0], x.shape[1], size, x.dtype, xp)
        source, target = _cut(order.arranged(x), order, [m.shape[1] for m in matrices]), _cut(y, order, [*map(len, matrices)])
        axes, maps = _axes(source.shape), [xp.asarray(m) for m in matrices]
        if target.size > source.size:
            axes.reverse()

        def work(part: slice) -> None:
            z = source[part]
            for axis in axes:
                z = _along(axis, maps[axis - 1], z, target[part] if axis == axes[-1] else None)

        _in_parts(work, source if source.size > target.size else target)
        return order.names(y)


def _cut(x: Array, order: MemoryOrder, size: Sequence[int]) -> Array:
    """x (in the order of memory), whose planes are of this size, as (planes, *size, 1) or, channels-last, (images, *size, C)."""
    return x.reshape(x.shape[0] * x.shape[1], *size, 1) if order.planes else x.reshape(x.shape[0], *size, x.shape[-1])


def _axes(shape: Sequence[int]) -> list[int]:
    """The spatial axes, the one first along which whole rows of memory meet."""
    axes = [*range(len(shape) - 2, 0, -1)]
    return [*axes[1:], axes[0]] if shape[-1] == 1 else axes


def _in_parts(work: Callable[[slice], None], x: Array, block: int = BLOCK) -> None:
    """Call `work` for parts of the first axis of about so many elements; once for all on the GPU."""
    if type(x) is not np.ndarray or x.size <= block:
        in_turn(work, [slice(0, len(x))])
    else:
        (for_each if x.size >= SHARED else in_turn)(work, spans(len(x), max(1, block // math.prod(x.shape[1:]))))


def _along(axis: int, matrix: Array, x: Array, y: Array | None) -> Array:
    """The product with a matrix along one axis of x, all of whose axes lie in the order of memory; into y if there is one."""
    xp, before, behind = xp_of(x), x.shape[:axis], x.shape[axis + 1 :]
    if y is None:
        y = xp.empty((*before, len(matrix), *behind), x.dtype)
    if matrix.shape[1] == 1:  # one bin, whose pixels all get the same
        y[...] = x * matrix[0, 0]
        return y
    rows, inner = math.prod(before), math.prod(behind)
    if inner == 1:
        xp.matmul(x.reshape(rows, matrix.shape[1]), matrix.T, out=y.reshape(rows, len(matrix)))
    else:
        xp.matmul(matrix, x.reshape(rows, matrix.shape[1], inner), out=y.reshape(rows, len(matrix), inner))
    return y


class AdaptiveMaxPool(Function):
    """y[..., i] = max of x over bin i;  dy goes to the first maximum in row-major order

    The maximum over a box is the maximum over its rows of the maximum within each row, so one axis after the other is reduced.
    For backward the places of the winners in their planes are kept. Unless someone may ask for them, they are not worked out.
    """

    flat: Any = None  # (N, C, *out) int64

    def __init__(self, out: tuple[int, ...], return_indices: bool = False):
        self.out, self.return_indices = out, return_indices

    def forward(self, x: Array) -> Array:
        self.shape, self.order = x.shape, MemoryOrder.of(x)
        if type(x) is not np.ndarray or not x.size:
            return self._search_by_argmax(x)
        order, wanted = self.order, self.needs_input_grad[0] or self.return_indices
        y = order.empty(x.shape[0], x.shape[1], self.out, x.dtype)
        flat = order.empty(x.shape[0], x.shape[1], self.out, np.int64) if wanted else None
        source, best = _cut(order.arranged(x), order, x.shape[2:]), _cut(y, order, self.out)
        places = None if flat is None else _cut(flat, order, self.out)

        def search(part: slice) -> None:
            self._search_by_maximum(source[part], best[part], None if places is None else places[part])

        _in_parts(search, source, 8 * BLOCK)  # the steps are short, and in smaller blocks two threads would wait at every one
        if np.isnan(y).any():  # which no comparison finds
            return self._search_by_argmax(x)
        self.flat = None if flat is None else order.names(flat)
        return order.names(y)

    def _search_by_argmax(self, x: Array) -> Array:
        """One axis after the other from the last: taking the first in a row, then the first row, is row-major order."""
        xp, y = xp_of(x), x
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

    def _search_by_maximum(self, x: np.ndarray, y: np.ndarray, flat: np.ndarray | None) -> None:
        """The same for the planes of `_cut`, without a branch for each element, and from the first axis on: there rows meet."""
        places = None
        if math.prod(self.out) == 1:
            x, places = _largest_of_all(x.reshape(len(x), -1, x.shape[-1]), flat is not None)
        else:
            if flat is not None:
                places = np.arange(math.prod(self.shape[2:])).reshape(1, *self.shape[2:], 1)
            for axis in range(1, x.ndim - 1):
                x, places = _largest_along(x, axis, [*bins(x.shape[axis], self.out[axis - 1])], places)
        y[...] = x.reshape(y.shape)
        if flat is not None and places is not None:
            flat[...] = places.reshape(flat.shape)

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        if xp is np:
            overlapping = any(n % p for n, p in zip(self.shape[2:], self.out, strict=True))
            return put_in_planes(self.flat, dy, self.shape[2:], self.order, adding=overlapping)
        planes, bins_of_plane = math.prod(self.shape[:2]), math.prod(self.out)
        dx = xp.zeros((planes, math.prod(self.shape[2:])), dy.dtype)
        # bins overlap, so one x may have won several of them
        winners = self.flat.reshape(planes, bins_of_plane)
        scatter_add(dx, (xp.arange(planes)[:, None], winners), dy.reshape(planes, bins_of_plane))
        return dx.reshape(self.shape)

    def decisions(self) -> dict[str, Array]:
        return {} if self.flat is None else {"winner": self.flat}

    def indices(self) -> Array:
        """Where each winner stands, as a flat index into the plane: (N, C, *out) int64."""
        return self.flat


def _largest_of_all(x: np.ndarray, tracked: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """(planes, positions, C) -> (planes, C): the maxima over all positions, and if wanted where the first of each stands."""
    best = x.max(axis=1)
    if not tracked:
        return best, None
    if x.shape[2] == 1:
        return best, x[:, :, 0].argmax(axis=1)
    count = x.shape[1]
    left = np.arange(count, 0, -1, dtype=np.int32)[:, None]  # so many positions from here to the end: the most at the first one
    found = np.multiply(x == best[:, None], left, out=scratch("positions left", x.shape, np.int32))
    return best, count - found.max(axis=1)


def _largest_along(
    x: np.ndarray, axis: int, cuts: list[tuple[int, int]], places: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The maxima of the bins (start, stop) along one axis, and the place of each: of equal ones the first in its plane.

    `places` say where the values of x stand: while no axis is reduced one plane is like another, and it is (1, *size, 1). The
    second value of all bins at once is compared with the first, the third with the better of these, and so on.
    """
    starts, stops = np.array(cuts).T
    longest = int((stops - starts).max())
    best, where = x.take(starts, axis), None if places is None else places.take(starts, axis)
    alike = where is not None and where.shape != best.shape  # then it is enough to find the number of the winner in its bin
    number = np.zeros(best.shape, np.uint8 if longest <= 256 else np.int32) if alike else None
    for tap in range(1, longest):
        met = np.minimum(starts + tap, stops - 1)  # a bin that has no more values shows its last one again
        value = x.take(met, axis, out=scratch("pooled value", best.shape, x.dtype), mode="clip")
        if number is not None:
            better = np.greater(value, best).view(np.uint8) * number.dtype.type(tap)
            np.maximum(number, better, out=number)
        elif places is not None and where is not None:
            place = places.take(met, axis, out=scratch("pooled place", where.shape, where.dtype), mode="clip")
            take_where((value > best) | ((value == best) & (place < where)), place, where, out=where)
        np.maximum(best, value, out=best)
    if number is not None and places is not None and where is not None:
        where = where + number * np.int64(math.prod(places.shape[axis + 1 :]))
    return best, where


def bins(size: int, count: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of each bin."""
    return ((i * size // count, -(-(i + 1) * size // count)) for i in range(count))


def _bin_matrix(size: int, count: int) -> np.ndarray:
    matrix = np.zeros((count, size))
    for i, (start, stop) in enumerate(bins(size, count)):
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


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
    function = AdaptiveMaxPool(_output_size(op, x.shape, output_size), return_indices)
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
