"""Max unpooling: values back to the places that max pooling remembered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.convolution.geometry import Window, axis_name, per_axis, symmetric
from minivision.functions.operands import as_tensor, integers, need_same_device
from minivision.functions.pooling import MaxPool, left_out, pool_input
from minivision.functions.strips import MemoryOrder


class MaxUnpool(Function):
    """y = 0 except y[n,c,indices[n,c,o]] = x[n,c,o];  dx gathers dy at the same places.

    Where an index occurs twice (overlapping pooling windows), the last one in row-major order is written and both gather, as in
    PyTorch: the gradient is then not that of the forward.

    `pool` is the pooling without overlaps that the indices come from, when they do: it knows the winners by their number in their
    windows. Then what pooling does backward is forward here, window by window, and nothing jumps through memory.
    """

    def __init__(self, indices: Array, size: tuple[int, ...], pool: MaxPool | None = None):
        self.indices, self.size, self.pool = indices, size, pool

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        if self.pool is not None:
            return self.pool.to_winners(x)
        xp = xp_of(x, self.indices)
        y = xp.zeros((*x.shape[:2], math.prod(self.size)), x.dtype)
        xp.put_along_axis(y, _flat_plane(self.indices), _flat_plane(x), axis=2)
        return y.reshape(*x.shape[:2], *self.size)

    def backward(self, dy: Array) -> Array:
        if self.pool is not None:
            return self.pool.from_winners(dy)
        return xp_of(dy).take_along_axis(_flat_plane(dy), _flat_plane(self.indices), axis=2).reshape(self.shape)


def _flat_plane(x: Array) -> Array:
    """(N, C, H, W) -> (N, C, H W)"""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


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
    plane = math.prod(size)
    found = _pooling_of(where, x.array, size, kernel, strides, pads)
    if found is None and where.size and (int(where.min()) < 0 or int(where.max()) >= plane):
        worst = int(where.max()) if int(where.max()) >= plane else int(where.min())
        raise ValueError(
            f"{op}: index {worst} lies outside the output plane {size} of {plane} positions; pass the size before pooling as "
            "output_size"
        )
    y = MaxUnpool(where, size, found)(x)
    return y.squeeze(0) if single else y


def _pooling_of(
    indices: Array, x: Array, size: tuple[int, ...], kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int]
) -> MaxPool | None:
    """The pooling of an image of this size that gives the indices, if its windows do not overlap."""
    apart = all(s >= k for s, k in zip(strides, kernel, strict=True)) and math.prod(kernel) <= 256
    if type(indices) is not np.ndarray or type(x) is not np.ndarray or not apart or not indices.size:
        return None
    pool = MaxPool(kernel, strides, pads)
    pool.kernel, pool.out, pool.shape, pool.order = tuple(kernel), x.shape[2:], (*x.shape[:2], *size), MemoryOrder.of(x)
    pool.window = Window(tuple(strides), symmetric(pads), (1,) * len(size))
    return pool if pool.recognize(indices) else None


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
