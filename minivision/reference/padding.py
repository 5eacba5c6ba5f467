"""Padding: what stands beyond the border of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minivision.reference.loops import inside, positions

Array = np.ndarray


def pad(x: Array, amounts: Sequence[tuple[int, int]], mode: str = "constant", value: float = 0.0) -> Array:
    """y[o] = x[o - before], and beyond the border what the mode puts there

    amounts: (before, after) for each axis of x; negative ones cut off. mode: "constant" puts `value`, "reflect" mirrors at the
    outermost pixel, "replicate" repeats it, "circular" goes round.
    """
    y = np.full([n + before + after for n, (before, after) in zip(x.shape, amounts, strict=True)], value, np.float64)
    for o in positions(*y.shape):
        i = [source(j - before, n, mode) for j, n, (before, _) in zip(o, x.shape, amounts, strict=True)]
        if inside(i, x.shape):
            y[o] = x[tuple(i)]
    return y


def source(i: int, n: int, mode: str) -> int:
    """Which of the pixels 0 .. n - 1 shows at position i, if any does."""
    if mode == "replicate":
        return min(max(i, 0), n - 1)
    if mode == "circular":
        return i % n
    while mode == "reflect" and not 0 <= i < n:
        i = -i if i < 0 else 2 * (n - 1) - i
    return i
