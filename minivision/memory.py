"""Memory on the CPU that is used again.

The first write to fresh memory costs more than the arithmetic of most operations: the system has to find each page and fill it
with zeros. A training step asks for the same sizes again and again, so large arrays come from blocks that earlier ones gave back.

    y = empty(shape, dtype)     an array as `numpy.empty` makes it; its block is free again when the last view of it is gone
    b = scratch("tiles", ...)   a thread's own workspace of that name, valid until it is asked for again
"""

from __future__ import annotations

import collections
import math
import os
import sys
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.backend import Array, xp_of

SMALLEST = 1 << 18  # bytes; smaller arrays are cheap, since the system's own allocator keeps them
GRAIN = 1 << 16  # bytes; sizes are rounded up to multiples, so that nearly equal ones share blocks
KEPT = 1 << 30  # bytes that may lie idle, waiting to be used again
SLACK = 1 / 8  # how far blocks that lie idle may raise the memory in use above what arrays alone took at their peak


class _Blocks:
    """Blocks of memory by size. A block is lent as the memory of an array, and comes back when nothing looks at it.

    What lies idle must not make the program larger than it has to be: together with what is lent it stays below the most that
    was ever lent at one moment (and a little), so the peak is that of the arrays. The blocks that are dropped for it are those
    of a size that was not returned for the longest time.
    """

    def __init__(self) -> None:
        self._idle: dict[int, list[np.ndarray]] = {}
        self._lent: dict[int, tuple[Any, np.ndarray]] = {}
        self._returned: collections.deque[np.ndarray] = collections.deque()  # not yet among the idle ones
        self.idle = self.lent = self.peak = 0  # bytes
        self.unlock()

    def unlock(self) -> None:
        self._lock = threading.Lock()

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        size = -(-math.prod(shape) * dtype.itemsize // GRAIN) * GRAIN
        with self._lock:
            self._sort_in()
            blocks = self._idle.get(size)
            block = blocks.pop() if blocks else None
            if block is not None:
                self.idle -= size
            self.lent += size
            self.peak = max(self.peak, self.lent)
            if block is None:
                self._drop(int(self.peak * (1 + SLACK)) - self.lent)
        if block is None:
            block = np.empty(size, np.uint8)
        # NumPy lets every view refer to `owner`, not to `block`, because between the two lies a memoryview
        owner = np.frombuffer(memoryview(block), np.uint8)
        reference = weakref.ref(owner, self._take_back)
        self._lent[id(reference)] = (reference, block)
        return np.ndarray(shape, dtype, buffer=owner)

    def _take_back(self, reference: Any) -> None:
        # An array may go at any moment, also while this very thread is in here: then its block waits for the next one who comes.
        self._returned.append(self._lent.pop(id(reference))[1])
        if self._lock.acquire(blocking=False):
            try:
                self._sort_in()
            finally:
                self._lock.release()

    def _sort_in(self) -> None:
        """Put the blocks that came back among the idle ones."""
        while self._returned:
            block = self._returned.popleft()
            self.lent -= block.size
            self.idle += block.size
            # at the end of the dictionary, whose first size is then the one that was not returned for the longest time
            self._idle[block.size] = [*self._idle.pop(block.size, ()), block]
            self._drop(KEPT)

    def _drop(self, most: int) -> None:
        """Give idle blocks back to the system until at most so many bytes lie idle."""
        while self.idle > max(most, 0):
            size = next(iter(self._idle))
            if self._idle[size]:
                self._idle[size].pop()
                self.idle -= size
            else:
                del self._idle[size]

    def is_lent(self, owner: Any) -> bool:
        """Whether `owner` is the array through which one of the blocks is lent."""
        return any(id(reference) in self._lent for reference in weakref.getweakrefs(owner))

    def clear(self) -> None:
        """Give the idle blocks back to the system."""
        with self._lock:
            self._sort_in()
            self._drop(0)
            self._idle.clear()
            self.peak = self.lent


_blocks = _Blocks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_blocks.unlock)  # which another thread may have held that the child has not


def empty(shape: Sequence[int], dtype: Any, xp: Any = np) -> Array:
    """An array of undefined values, in row-major order, as `xp.empty`; large ones of NumPy's in memory that was used before."""
    dtype = np.dtype(dtype)
    if xp is not np or math.prod(shape) * dtype.itemsize < SMALLEST:
        return xp.empty(tuple(shape), dtype)
    return _blocks.array(tuple(shape), dtype)


def empty_like(x: Array, dtype: Any = None) -> Array:
    """As `empty`, of the shape of x and with its elements in the same order of memory (channels-last stays channels-last)."""
    if x.nbytes < SMALLEST and type(x) is np.ndarray:
        return np.empty_like(x, dtype)
    dtype = x.dtype if dtype is None else dtype
    if x.flags.c_contiguous or not x.ndim:
        return empty(x.shape, dtype, xp_of(x))
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    y = empty([x.shape[axis] for axis in order], dtype, xp_of(x))
    return y.transpose([order.index(axis) for axis in range(x.ndim)])


class _Workspaces:
    """One thread's workspaces by name: the whole memory, and the array that was made of it last."""

    def __init__(self) -> None:
        self.by_name: dict[str, tuple[np.ndarray, np.ndarray]] = {}


_thread = threading.local()  # .workspaces
_all_workspaces: weakref.WeakSet[_Workspaces] = weakref.WeakSet()


def scratch(name: str, shape: Sequence[int], dtype: Any) -> np.ndarray:
    """This thread's workspace of that name, of undefined values. What asked for the same name before must be done with it."""
    try:
        workspaces = _thread.workspaces.by_name
    except AttributeError:
        _thread.workspaces = _Workspaces()
        _all_workspaces.add(_thread.workspaces)
        workspaces = _thread.workspaces.by_name
    flat, last = workspaces.get(name, (None, None))
    if last is not None and last.shape == shape and last.dtype == dtype:  # as for every block but the last one
        return last
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if flat is None or flat.size < size:
        flat = np.empty(size, np.uint8)
    last = flat[:size].view(dtype).reshape(shape)
    workspaces[name] = (flat, last)
    return last


def clear() -> None:
    """Give memory that lies idle back to the system, workspaces included, as `torch.cuda.empty_cache` does for a GPU's."""
    _blocks.clear()
    for workspaces in list(_all_workspaces):
        workspaces.by_name.clear()


# ---- whose memory it is ----


def sole_owner(array: Array) -> bool:
    """Whether the variable that the caller passes is all that refers to this array, and the array all that refers to its memory.

    Then writing into it, or handing it on as somebody's own, surprises nobody. Python counts the references to each object, and
    every view of an array refers to it. False where that cannot be known: on the GPU, for a view of foreign memory, and in a
    Python that does not count.
    """
    if type(array) is not np.ndarray or _references(array) > _alone["array"]:
        return False
    base = array.base
    if base is not None:
        if type(base) is not np.ndarray or _references(base) > _alone["base"]:
            return False
        if base.base is not None and not _blocks.is_lent(base):
            return False
    return array.flags.writeable


_references = getattr(sys, "getrefcount", lambda _: sys.maxsize)
# What the count is for a fresh array in one variable, and for the base of a fresh view: each Python version counts the variables
# of a call in progress in its own way. (Nobody holds fewer than none.)
_alone = {"array": 0, "base": 0}


def _learn_to_count(most: int = 10) -> None:
    fresh, view = np.empty(1), np.empty(2)[:1]
    while _alone["array"] < most and not sole_owner(fresh):
        _alone["array"] += 1
    while _alone["base"] < most and not sole_owner(view):
        _alone["base"] += 1


_learn_to_count()
