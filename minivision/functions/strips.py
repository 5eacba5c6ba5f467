"""Spatial work in strips: a batch of images cut into parts that a core's cache can hold, shared out over threads.

A spatial operation reads each image in the order in which it lies in memory and leaves its result in the same order, row-major
(planes, one channel after the other) or channels-last. `MemoryOrder` says which one it is, so that one text serves both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minivision import memory
from minivision.backend import Array, xp_of
from minivision.functions.layout import channels_first, channels_last, copy_across, lies_in_planes
from minivision.threads import for_each, spans

STRIP = 1 << 19  # elements; large enough that two threads do not wait for each other at every step


class Strip(NamedTuple):
    """A part of (N, C, length, ...): all of two of the three first axes, and a slice of the other."""

    images: slice
    channels: slice
    rows: slice


@dataclass(frozen=True)
class MemoryOrder:
    """How an array (N, C, *spatial) lies in memory: in planes (N, C, *spatial), or channels-last (N, *spatial, C)."""

    planes: bool

    @classmethod
    def of(cls, x: Array) -> MemoryOrder:
        return cls(lies_in_planes(x))

    def view(self, x: Array) -> Array:
        """(N, C, *spatial) with its axes in the order of memory."""
        return x if self.planes else channels_last(x)

    def names(self, x: Array) -> Array:
        """The way back: (N, C, *spatial) again."""
        return x if self.planes else channels_first(x)

    def shape(self, batch: int, channels: int, size: Sequence[int]) -> tuple[int, ...]:
        """The lengths of the axes in the order of memory."""
        return (batch, channels, *size) if self.planes else (batch, *size, channels)

    def index(self, strip: Strip, spatial: Sequence[slice]) -> tuple[slice, ...]:
        """The images and channels of the strip, at these positions, in the order of memory."""
        return (strip.images, strip.channels, *spatial) if self.planes else (strip.images, *spatial, strip.channels)

    def axis(self, spatial: int) -> int:
        """Where this spatial axis stands in the order of memory."""
        return spatial + (2 if self.planes else 1)

    def empty(self, batch: int, channels: int, size: Sequence[int], dtype: Any, xp: Any = np) -> Array:
        """An array of undefined values in the order of memory, to be given back as `names(...)`."""
        return memory.empty(self.shape(batch, channels, size), dtype, xp)

    def arranged(self, x: Array) -> Array:
        """x in the order of memory, copied if its elements have another one."""
        seen = self.view(x)
        if type(x) is not np.ndarray or seen.strides[-1] == seen.itemsize or seen.shape[-1] == 1:
            return seen
        y = memory.empty(seen.shape, x.dtype)

        def copy(strip: Strip) -> None:
            part = self.index(strip, (strip.rows, *(slice(None),) * (x.ndim - 3)))
            copy_across(y[part], seen[part])

        in_strips(copy, self, x.shape, math.prod(x.shape[3:]))
        return y


def in_strips(work: Callable[[Strip], Any], order: MemoryOrder, shape: Sequence[int], per_row: int, on_cpu: bool = True) -> None:
    """Call `work` for strips of (N, C, length), each of whose rows stands for `per_row` elements; once for all on the GPU."""
    batch, channels, length = shape[:3]
    whole = Strip(slice(0, batch), slice(0, channels), slice(0, length))
    plane = length * per_row
    if not on_cpu or batch * channels * plane <= STRIP:
        work(whole)
        return
    if channels * plane <= STRIP:
        strips = [whole._replace(images=images) for images in spans(batch, max(1, STRIP // max(channels * plane, 1)))]
    else:
        each = [whole._replace(images=slice(n, n + 1)) for n in range(batch)]
        if not order.planes:
            step = max(1, STRIP // (channels * per_row))
            strips = [image._replace(rows=rows) for image in each for rows in spans(length, step)]
        elif plane <= STRIP:
            strips = [image._replace(channels=some) for image in each for some in spans(channels, STRIP // plane)]
        else:
            step = max(1, STRIP // per_row)
            strips = [
                image._replace(channels=slice(c, c + 1), rows=rows)
                for image in each for c in range(channels) for rows in spans(length, step)
            ]  # fmt: skip
    for_each(work, strips)


def scratch_like(name: str, part: Array, dtype: Any = None) -> np.ndarray:
    """This thread's workspace of the shape of a part, contiguous in the order of its axes."""
    return memory.scratch(name, part.shape, part.dtype if dtype is None else dtype)


def copy_into(target: Array, source: Array) -> None:
    """`target[...] = source` for (N, C, length, ...), in strips of the target's order of memory."""
    if target.ndim < 3 or type(target) is not np.ndarray:
        target[...] = source
        return
    order = MemoryOrder(abs(target.strides[1]) >= abs(target.strides[-1]))
    to, of, rest = order.view(target), order.view(source), (slice(None),) * (target.ndim - 3)

    def copy(strip: Strip) -> None:
        part = order.index(strip, (strip.rows, *rest))
        copy_across(to[part], of[part])

    in_strips(copy, order, target.shape, math.prod(target.shape[3:]))


def overwrite_with(target: Array, value: float) -> None:
    """`target[...] = value`, in strips."""
    if target.ndim < 3 or type(target) is not np.ndarray:
        target[...] = value
        return
    order = MemoryOrder(abs(target.strides[1]) >= abs(target.strides[-1]))
    to, rest = order.view(target), (slice(None),) * (target.ndim - 3)

    def write(strip: Strip) -> None:
        to[order.index(strip, (strip.rows, *rest))] = value

    in_strips(write, order, target.shape, math.prod(target.shape[3:]))


def empty_in_order_of(x: Array, shape: Sequence[int]) -> Array:
    """An array of undefined values of another shape with as many axes as x, channels-last where x is."""
    xp = xp_of(x)
    if len(shape) < 3:
        return memory.empty(shape, x.dtype, xp)
    order = MemoryOrder.of(x)
    return order.names(order.empty(shape[0], shape[1], shape[2:], x.dtype, xp))
