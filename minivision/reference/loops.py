"""What the loops share: pairs of numbers, and the positions to loop over."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any


def pair(value: Any) -> tuple[Any, Any]:
    """2 -> (2, 2); (2, 3) stays."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def positions(*lengths: int) -> Iterator[tuple[int, ...]]:
    """Every index of an array of that shape, in row-major order: nested `for` loops in one line."""
    return itertools.product(*map(range, lengths))
