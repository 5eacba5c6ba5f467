"""Max unpooling: values back to the places that max pooling remembered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.convolution.geometry import axis_name, per_axis
from minivision.functions.operands import as_tensor, integers, need_same_device
from minivision.functions.pooling import left_out, pool_input
from minivision.functions.strips import MemoryOrder
from minivision.memory import scratch
from minivision.threads import for_each, spans

BLOCK = 1 << 17  # values at a time: few enough to find their places in the cache, and so many that no thread waits for another


class MaxUnpool(Function):
    """y = 0 except y[n,c,indices[n,c,o]] = x[n,c,o];  dx gathers dy at the same places.

    Where an index occurs twice (overlapping pooling windows), the last one in row-major order is written and both gather, as in
    PyTorch: the gradient is then not that of the forward.
    """

    def __init__(self, indices: Array, size: tuple[int, ...], op: str = "max_unpool"):
        self.indices, self.size, self.op = indices, size, op

    def forward(self, x: Array) -> Array:
        self._need_inside()
        self.shape, self.order = x.shape, MemoryOrder.of(x)
        xp = xp_of(x, self.indices)
        if xp is np:
            return put_in_planes(self.indices, x, self.size, self.order)
        y = xp.zeros((*x.shape[:2], math.prod(self.size)), x.dtype)
        xp.put_along_axis(y, _flat_plane(self.indices), _flat_plane(x), axis=2)
        return y.reshape(*x.shape[:2], *self.size)

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        if xp is np:
            return take_from_planes(self.indices, dy, self.order)
        return xp.take_along_axis(_flat_plane(dy), _flat_plane(self.indices), axis=2).reshape(self.shape)

    def _need_inside(self) -> None:
        if not self.indices.size:
            return
        lowest, highest, plane = int(self.indices.min()), int(self.indices.max()), math.prod(self.size)
        if lowest < 0 or highest >= plane:
            worst = highest if highest >= plane else lowest
            raise ValueError(
                f"{self.op}: index {worst} lies outside the output plane {self.size} of {plane} positions; pass the size before "
                "pooling as output_size"
            )


def _flat_plane(x: Array) -> Array:
    """(N, C, H, W) -> (N, C, H W)"""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


# ---- on the CPU: indices become places in the memory of several planes, so that one assignment serves them all ----


def put_in_planes(
    indices: np.ndarray, x: np.ndarray, size: tuple[int, ...], order: MemoryOrder, adding: bool = False
) -> np.ndarray:
    """(N, C, *size) in this order of memory: x (N, C, *out) at its indices in the planes, zeros elsewhere.

    Where an index occurs twice, the last value in row-major order is the one that stays, or all are added. So no plane may be
    shared by threads.
    """
    y = order.empty(x.shape[0], x.shape[1], size, x.dtype)
    values, inside, target = _cut(order.arranged(x), order), _cut(order.arranged(indices), order), _cut(y, order)

    def write(part: slice) -> None:
        target[part] = 0
        memory = target[part].reshape(-1)
        for rows, places in _places(inside[part], target[part], order):
            if adding:
                np.add.at(memory, places.reshape(-1), values[part, rows].reshape(-1))
            else:
                memory[places.reshape(-1)] = values[part, rows].reshape(-1)

    for_each(write, _parts(values))
    return order.names(y)


def take_from_planes(indices: np.ndarray, y: np.ndarray, order: MemoryOrder) -> np.ndarray:
    """(N, C, *out) in this order of memory: the values of y (N, C, *size) at their indices, the way back."""
    x = order.empty(indices.shape[0], indices.shape[1], indices.shape[2:], y.dtype)
    source, inside, target = _cut(order.arranged(y), order), _cut(order.arranged(indices), order), _cut(x, order)

    def read(part: slice) -> None:
        memory = source[part].reshape(-1)
        for rows, places in _places(inside[part], source[part], order):
            memory.take(places, out=target[part, rows], mode="wrap")  # all lie inside; the mode saves NumPy a second array

    for_each(read, _parts(target))
    return order.names(x)


def _cut(x: np.ndarray, order: MemoryOrder) -> np.ndarray:
    """x in the order of memory, its first axis counting what no index leads out of: planes, or channels-last whole images."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]) if order.planes else x


def _parts(x: np.ndarray) -> list[slice]:
    """The first axis in parts of about BLOCK values."""
    if x.size <= BLOCK:
        return [slice(0, len(x))]
    return spans(len(x), max(1, BLOCK // math.prod(x.shape[1:])))


def _places(indices: np.ndarray, target: np.ndarray, order: MemoryOrder) -> Iterator[tuple[slice, np.ndarray]]:
    """Some rows after the others, and where in the memory of `target` their indices lead."""
    count, length, *inner = indices.shape
    first = np.arange(count).reshape(count, *(1,) * (indices.ndim - 1)) * math.prod(target.shape[1:])
    channels = 1 if order.planes else target.shape[-1]
    if channels > 1:
        first = first + np.arange(channels)
    step = max(1, BLOCK // max(1, count * math.prod(inner)))
    for start in range(0, length, step):
        rows = slice(start, min(start + step, length))
        places = scratch("places", (count, rows.stop - start, *inner), np.int64)
        if channels > 1:
            np.multiply(indices[:, rows], channels, out=places, dtype=np.int64, casting="unsafe")
            places += first
        else:
            np.add(indices[:, rows], first, out=places, dtype=np.int64, casting="unsafe")
        yield rows, places


# ---- what users call ----


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Sequence[int] | None = None
) -> Tensor:
    """As `max_unpool2d`, over inputs (N, C, L)."""
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Sequence[int] | None = None
) -> Tensor:
    """Put each value where its maximum stood, zeros elsewhere: the partner of `max_pool2d(..., return_indices=True)`.

    Parameters
    ----------
    input, indices: (N, C, H, W) or (C, H, W); indices are flat positions in the output plane.
    kernel_size, stride, padding: those of the pooling.
    output_size: the size before pooling, (H, W) or the whole shape; needed where several sizes pool to one. Each length must lie
        within one stride of (H - 1) stride - 2 padding + kernel_size, the default.

    Raises ValueError for an output size outside that interval and for indices outside the plane. An index that occurs twice (from
    overlapping windows) keeps the last value written.
    """
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Sequence[int] | None = None
) -> Tensor:
    """As `max_unpool2d`, over volumes (N, C, D, H, W)."""
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)


def _max_unpool(
    op: str, ndim: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Sequence[int] | None
) -> Tensor:
    x, single = pool_input(op, ndim, input)
    places = as_tensor(op, "indices", indices)
    need_same_device(op, input=x, indices=places)
    where = places.array
    pool = f"max_pool{ndim}d"
    if where.dtype.kind not in "iu":
        raise TypeError(f"{op}: indices are {where.dtype}, but must be integers from {pool}(..., return_indices=True)")
    if single and where.ndim == ndim + 1:
        where = where[None]
    if where.shape != x.shape:
        shapes = f"indices have shape {places.shape}, but input has {x.shape[1:] if single else x.shape}"
        raise ValueError(f"{op}: {shapes}; both come from one {pool}(..., return_indices=True)")
    kernel = per_axis(op, "kernel_size", kernel_size, ndim, minimum=1)
    strides = kernel if left_out(stride) else per_axis(op, "stride", stride, ndim, minimum=1)
    pads = per_axis(op, "padding", padding, ndim)
    default = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[2:], strides, pads, kernel, strict=True))
    if 0 in x.shape[2:] or (output_size is None and min(default) < 1):
        raise ValueError(
            f"{op}: the output would have size {default} = (n - 1) stride - 2 padding + kernel_size, but every length must be at "
            f"least 1; input is {places.shape}, kernel_size {kernel}, stride {strides}, padding {pads}"
        )
    size = default if output_size is None else _checked_size(op, output_size, default, strides, places.shape)
    y = MaxUnpool(where, size, op)(x)
    return y.squeeze(0) if single else y


def _checked_size(
    op: str, output_size: Sequence[int], default: Sequence[int], strides: Sequence[int], shape: Sequence[int]
) -> tuple[int, ...]:
    ndim = len(default)
    legal = f"{ndim} lengths, or the whole shape before pooling"
    given = integers(op, "output_size", output_size, legal)
    if len(given) not in (ndim, len(shape)):
        raise ValueError(f"{op}: output_size={given} must be {legal}")
    size = given[-ndim:]
    for axis, (n, d, s) in enumerate(zip(size, default, strides, strict=True)):
        if not d - s < n < d + s:
            raise ValueError(
                f"{op}: output_size {n} along {axis_name(axis, ndim)} is outside [{d - s + 1}, {d + s - 1}], the sizes that "
                f"pool to {shape[axis - ndim]}"
            )
    return size
