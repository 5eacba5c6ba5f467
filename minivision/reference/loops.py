"""What the loops share: one number for each axis, and the positions to loop over."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any


def per_axis(value: Any, axes: int) -> tuple[Any, ...]:
    """2 -> (2, 2) for two axes; (2, 3) stays."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes


def positions(*lengths: int) -> Iterator[tuple[int, ...]]:
    """Every index of an array of that shape, in row-major order: nested `for` loops in one line."""
    return itertools.product(*map(range, lengths))


def inside(position: Sequence[int], size: Sequence[int]) -> bool:
    """Whether a position lies on a map of that size."""
    return all(0 <= i < n for i, n in zip(position, size, strict=True))
