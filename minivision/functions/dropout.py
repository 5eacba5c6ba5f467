"""Dropout: a random part of the values is set to zero in training."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, Generator, default_generator, xp_of
from minivision.functions.operands import as_tensor, need_float


class Dropout(Function):
    """y = x keep / (1 - p) with a random 0/1 mask `keep`;  dx = dy keep / (1 - p)"""

    def __init__(self, p: float, keep: Array):
        self.p, self.keep = p, keep

    def forward(self, x: Array) -> Array:
        return self._masked(x)

    def backward(self, dy: Array) -> Array:
        return self._masked(dy)

    def _masked(self, x: Array) -> Array:
        y = x * self.keep
        if self.p < 1:
            y *= 1 / (1 - self.p)
        return y


def dropout(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Set each value to zero with probability `p` and divide the others by 1 - p, in training only.

    Srivastava et al. 2014. Raises ValueError for a p outside [0, 1].
    """
    x = as_tensor("dropout", "input", input)
    return _drop("dropout", x, p, training, x.shape, generator)


def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """As `dropout`, for whole channels of input (N, C, H, W): neighbouring pixels are alike, so single ones say little."""
    x = as_tensor("dropout2d", "input", input)
    if x.ndim < 3:
        raise ValueError(f"dropout2d: input has shape {x.shape}, but must be (N, C, H, W) or (C, H, W)")
    channels = x.shape[: x.ndim - 2]
    return _drop("dropout2d", x, p, training, (*channels, 1, 1), generator)


def _drop(op: str, x: Tensor, p: float, training: bool, shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    need_float(op, input=x)
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p={p} is a probability and must lie in [0, 1]")
    if not training or p == 0:
        return x
    keep = (generator or default_generator).rng.random(shape, dtype="float32") >= p
    return Dropout(p, xp_of(x.array).asarray(keep))(x)
