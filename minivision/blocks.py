"""Elementwise work in blocks that fit a core's cache, shared out over threads.

An operation of several steps over a large array would carry the whole array from memory for each step. Block by block, only the
first step does; the others find their operands in the cache.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.threads import for_each, in_turn, spans

BLOCK = 1 << 16  # elements of each array at a time; with a few arrays of float32, about a core's own cache
FEW = 1 << 12  # elements whose order of memory does not matter
SHARED = 1 << 19  # elements from which on threads share the blocks: one thread adds up fewer before another one is at work


def in_blocks(work: Callable[..., Any], *arrays: Array, block: int = BLOCK, shared: int = SHARED) -> None:
    """Call `work(*parts)` for corresponding parts of arrays of one shape, of which it writes into some.

    The parts are one-dimensional runs of memory where all arrays have the same order of memory without gaps; else they are cut
    along the axes that are the outermost in the last of the arrays. Small arrays come whole, and those on the GPU as they are.

    `shared`: from how many elements on to use all threads; fewer than usual for work that takes long for each.
    """
    if arrays[0].size <= FEW or not all(type(a) is np.ndarray for a in arrays):
        work(*arrays)
        return
    flat = _flattened(arrays)
    if arrays[0].size <= 2 * block:  # a block for each of two threads would cost more time to hand over than it saves
        work(*(arrays if flat is None else flat))
        return
    share_out = for_each if arrays[0].size >= shared else in_turn
    if flat is not None:
        share_out(lambda part: work(*(a[part] for a in flat)), spans(flat[0].size, block, aligned=16))
        return
    views = _in_order_of(arrays[-1], arrays)
    share_out(lambda part: work(*(v[part] for v in views)), _slabs(views[0].shape, block))


def _flattened(arrays: tuple[Array, ...]) -> list[Array] | None:
    """The arrays as one-dimensional views in the order of memory; None unless they have one order in common."""
    if all(a.flags.c_contiguous for a in arrays):
        return [a.reshape(-1) for a in arrays]
    views = _in_order_of(arrays[0], arrays)
    return [v.reshape(-1) for v in views] if all(v.flags.c_contiguous for v in views) else None


def _in_order_of(first: Array, arrays: tuple[Array, ...]) -> list[Array]:
    """The arrays with their axes in the order in which those of `first` lie in memory, the innermost last."""
    order = sorted(range(first.ndim), key=lambda axis: -first.strides[axis])
    return [a.transpose(order) for a in arrays]


def _slabs(shape: tuple[int, ...], block: int) -> list[Any]:
    """Indices that cut an array of this shape into parts of about `block` elements, by its outermost axes."""
    axis, inside = 0, math.prod(shape[1:])
    while axis < len(shape) - 1 and inside > block:
        axis += 1
        inside //= shape[axis]
    cuts = spans(shape[axis], max(1, block // max(inside, 1)))
    return [(*outer, cut) for outer in itertools.product(*map(range, shape[:axis])) for cut in cuts]
