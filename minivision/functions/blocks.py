"""Elementwise work in blocks that fit a core's cache, shared out over threads.

An operation of several steps over a large array would carry the whole array from memory for each step. Block by block, only the
first step does; the others find their operands in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.threads import for_each, spans

BLOCK = 1 << 16  # elements of each array at a time; with a few arrays of float32, about a core's own cache


def in_blocks(work: Callable[..., Any], *arrays: Array, block: int = BLOCK) -> None:
    """Call `work(*parts)` for corresponding parts of arrays of one shape, of which it writes into some.

    The parts are one-dimensional runs of memory where all arrays have the same order of memory without gaps; else, and on the
    GPU, `work` gets the arrays as they are.
    """
    flat = None if arrays[0].size <= block else _flattened(arrays)
    if flat is None:
        work(*arrays)
        return
    for_each(lambda part: work(*(a[part] for a in flat)), spans(flat[0].size, block, aligned=16))


def _flattened(arrays: tuple[Array, ...]) -> list[Array] | None:
    """The arrays as one-dimensional views in the order of memory; None unless they have one order in common."""
    if not all(type(a) is np.ndarray for a in arrays):
        return None
    first = arrays[0]
    order = sorted(range(first.ndim), key=lambda axis: -first.strides[axis])
    views = [a.transpose(order) for a in arrays]
    if not all(v.flags.c_contiguous for v in views):
        return None
    return [v.reshape(-1) for v in views]
