"""Memory on the CPU that is used again.

The first write to fresh memory costs more than the arithmetic of most operations: the system has to find each page and fill it
with zeros. A training step asks for the same sizes again and again, so large arrays come from blocks that earlier ones gave back.

    y = empty(shape, dtype)     an array as `numpy.empty` makes it; its block is free again when the last view of it is gone
    b = scratch("tiles", ...)   a thread's own workspace of that name, valid until it is asked for again
"""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.backend import Array, xp_of

SMALLEST = 1 << 18  # bytes; smaller arrays are cheap, since the system's own allocator keeps them
GRAIN = 1 << 16  # bytes; sizes are rounded up to multiples, so that nearly equal ones share blocks
KEPT = 1 << 28  # bytes that may lie idle, waiting to be used again


class _Blocks:
    """Blocks of memory by size. A block is lent as the memory of an array, and comes back when nothing looks at it."""

    def __init__(self) -> None:
        self._free: dict[int, list[Any]] = {}
        self._lent: dict[int, Any] = {}
        self._idle = 0

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        size = -(-math.prod(shape) * dtype.itemsize // GRAIN) * GRAIN
        try:
            block = self._free[size].pop()  # one step of the interpreter, so no two threads get the same block
            self._idle -= size
        except (KeyError, IndexError):
            block = np.empty(size, np.uint8)
        # NumPy lets every view refer to `owner`, not to `block`, because between the two lies a memoryview
        owner = np.frombuffer(memoryview(block), np.uint8)
        reference = weakref.ref(owner, self._returned)
        self._lent[id(reference)] = (reference, block)
        return np.ndarray(shape, dtype, buffer=owner)

    def _returned(self, reference: Any) -> None:
        _, block = self._lent.pop(id(reference))
        if self._idle + block.size > KEPT:
            self.clear()
        if block.size <= KEPT:
            self._idle += block.size
            self._free.setdefault(block.size, []).append(block)

    def clear(self) -> None:
        """Give the idle blocks back to the system."""
        self._free.clear()
        self._idle = 0


_blocks = _Blocks()
_thread = threading.local()


def empty(shape: Sequence[int], dtype: Any, xp: Any = np) -> Array:
    """An array of undefined values, in row-major order, as `xp.empty`; large ones of NumPy's in memory that was used before."""
    dtype = np.dtype(dtype)
    if xp is not np or math.prod(shape) * dtype.itemsize < SMALLEST:
        return xp.empty(tuple(shape), dtype)
    return _blocks.array(tuple(shape), dtype)


def empty_like(x: Array, dtype: Any = None) -> Array:
    """As `empty`, of the shape of x and with its elements in the same order of memory (channels-last stays channels-last)."""
    dtype = x.dtype if dtype is None else dtype
    if x.flags.c_contiguous or not x.ndim:
        return empty(x.shape, dtype, xp_of(x))
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    y = empty([x.shape[axis] for axis in order], dtype, xp_of(x))
    return y.transpose([order.index(axis) for axis in range(x.ndim)])


def scratch(name: str, shape: Sequence[int], dtype: Any) -> np.ndarray:
    """This thread's workspace of that name, of undefined values. What asked for the same name before must be done with it."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    kept: dict[str, np.ndarray] = _thread.__dict__
    flat = kept.get(name)
    if flat is None or flat.size < size:
        flat = kept[name] = np.empty(size, np.uint8)
    return flat[:size].view(dtype).reshape(shape)


def clear() -> None:
    """Give memory that lies idle back to the system, as `torch.cuda.empty_cache` does for a GPU's."""
    _blocks.clear()
    _thread.__dict__.clear()
