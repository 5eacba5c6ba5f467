"""Which algorithm computes a convolution.

Every algorithm is a module of this package with the same functions:

    applies(problem)                                       whether it can compute this convolution at all
    correlate(x, w, window, out, finish)                   the three faces; see `faces.py`
    correlate_transposed(dy, w, size, window)
    correlate_kernel(x, dy, kernel, window)

All of them give the same result but for rounding. Which one runs is decided by the shapes alone, by the rule in `fastest`,
unless `conv_algorithm` asks for one by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minivision.backend import Array
from minivision.functions.convolution.geometry import Window

ALGORITHMS = ("im2col",)

_asked_for: ContextVar[str | None] = ContextVar("conv_algorithm", default=None)


class Problem(NamedTuple):
    """What the choice depends on: the shapes of one convolution x (N, C, *size) -> y (N, F, *out)."""

    batch: int
    channels: int
    out_channels: int
    size: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    window: Window
    dtype: np.dtype
    on_cpu: bool

    @classmethod
    def of(cls, batch: int, size: Any, out: Any, w: Array, window: Window) -> Problem:
        kernel, channels = w.shape[2:], w.shape[1] * window.groups
        return cls(batch, channels, w.shape[0], tuple(size), tuple(out), kernel, window, w.dtype, type(w) is np.ndarray)


@contextmanager
def conv_algorithm(name: str | None) -> Iterator[None]:
    """Compute convolutions with this algorithm wherever it applies; elsewhere, and with None, by the rule."""
    if name is not None and name not in ALGORITHMS:
        raise ValueError(
            f"conv_algorithm: {name!r} is unknown; use one of {', '.join(map(repr, ALGORITHMS))}, or None for the rule"
        )
    token = _asked_for.set(name)
    try:
        yield
    finally:
        _asked_for.reset(token)


def algorithm_for(face: str, problem: Problem) -> ModuleType:
    """The module that computes this face of the convolution."""
    wanted = _asked_for.get()
    if wanted is not None and _module(wanted).applies(problem):
        return _module(wanted)
    return _module(fastest(face, problem))


def fastest(face: str, problem: Problem) -> str:
    """The rule: the name of the algorithm that was measured to be the fastest for such shapes."""
    return "im2col"


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"minivision.functions.convolution.{name}")
