"""Dropout: a random part of the values is set to zero in training."""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, Generator, default_generator, xp_of
from minivision.functions.arithmetic import where
from minivision.functions.operands import as_tensor, need_float

SELU_LIMIT = 1.0507009873554804934193349852946 * 1.6732632423543772848170429916717  # SELU of minus infinity, without its sign


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


def dropout1d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """As `dropout`, for whole channels of input (N, C, L) or (C, L)."""
    return _drop_channels("dropout1d", input, p, training, 1, "(N, C, L) or (C, L)", generator)


def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """As `dropout`, for whole channels of input (N, C, H, W): neighbouring pixels are alike, so single ones say little."""
    return _drop_channels("dropout2d", input, p, training, 2, "(N, C, H, W) or (C, H, W)", generator)


def dropout3d(
    input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """As `dropout`, for whole channels of input (N, C, D, H, W) or (C, D, H, W)."""
    return _drop_channels("dropout3d", input, p, training, 3, "(N, C, D, H, W) or (C, D, H, W)", generator)


def alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Dropout for networks of SELUs: values become SELU's lower limit, then all are scaled and shifted to keep mean and variance.

    With the limit -1.7581 and q = 1 - p: y = a (x or -1.7581) + b, a = (q + 1.7581^2 p q)^-1/2, b = 1.7581 a p. Klambauer et al.
    2017 (arXiv:1706.02515). Raises ValueError for a p outside [0, 1].
    """
    x = as_tensor("alpha_dropout", "input", input)
    _check("alpha_dropout", x, p)
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0
    a = 1 / math.sqrt((1 - p) * (1 + p * SELU_LIMIT**2))
    return where(Tensor._wrap(_mask(x, p, x.shape, generator)), x, -SELU_LIMIT) * a + SELU_LIMIT * a * p


def _drop_channels(op: str, input: Any, p: float, training: bool, axes: int, legal: str, generator: Generator | None) -> Tensor:
    x = as_tensor(op, "input", input)
    if x.ndim < axes + 1 or (x.ndim > axes + 2 and axes != 2):
        raise ValueError(f"{op}: input has shape {x.shape}, but must be {legal}")
    return _drop(op, x, p, training, x.shape[: x.ndim - axes] + (1,) * axes, generator)


def _drop(op: str, x: Tensor, p: float, training: bool, shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    _check(op, x, p)
    return Dropout(p, _mask(x, p, shape, generator))(x) if training and p else x


def _check(op: str, x: Tensor, p: float) -> None:
    need_float(op, input=x)
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: p={p} is a probability and must lie in [0, 1]")


def _mask(x: Tensor, p: float, shape: tuple[int, ...], generator: Generator | None) -> Array:
    """True with probability 1 - p, on the device of x."""
    return xp_of(x.array).asarray((generator or default_generator).rng.random(shape, dtype="float32") >= p)
