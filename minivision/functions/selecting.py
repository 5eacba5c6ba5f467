"""Choosing between two values, element by element, without a branch.

`where(keep, a, b)` and `copyto(..., where=keep)` ask for every element which way to go. Where the answers look random, as in the
masks of a ReLU or of dropout, the processor guesses wrong half the time, and NumPy's loops take twenty times as long as an
addition. So the choice is computed instead, in whole numbers: the bits of a float are read as an integer, and with k = 0 or 1

    b + (a - b) k

is exactly b or a, whatever bits they are (NaN and infinities, which a multiplication of floats would carry over, included).
"""

from __future__ import annotations

import numpy as np

from minivision.backend import Array, xp_of
from minivision.memory import scratch

BLOCK = 1 << 18  # elements: the steps are so short that two threads would wait for each other at every one of smaller blocks


def take_where(keep: Array, a: Array, b: Array, out: Array) -> None:
    """out = a where `keep`, else b; arrays of one shape and dtype. `out` may be one of them."""
    if type(a) is not np.ndarray:
        out[...] = xp_of(a).where(keep, a, b)
        return
    bits = _integers(a.dtype)
    first, second = a.view(bits), b.view(bits)
    difference, factor = scratch("difference", a.shape, bits), scratch("factor", a.shape, bits)
    np.subtract(first, second, out=difference)
    factor[...] = keep
    difference *= factor
    np.add(second, difference, out=out.view(bits))


def keep_only(keep: Array, a: Array, out: Array) -> None:
    """out = a where `keep`, else 0."""
    bits = _integers(a.dtype)
    if type(a) is np.ndarray:
        factor = scratch("factor", a.shape, bits)
        factor[...] = keep
    else:
        factor = keep.astype(bits)
    xp_of(a).multiply(a.view(bits), factor, out=out.view(bits))


def _integers(dtype: np.dtype) -> np.dtype:
    """The integers of the same number of bytes."""
    return np.dtype(f"i{dtype.itemsize}")
