"""Dropout: a random part of the values is set to zero in training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, Generator, default_generator, xp_of
from minivision.blocks import BLOCK, in_blocks
from minivision.functions.arithmetic import where
from minivision.functions.operands import as_tensor, check_flags, need_float, number, shown
from minivision.functions.strips import copy_into
from minivision.memory import empty, empty_like

SELU_LIMIT = 1.0507009873554804934193349852946 * 1.6732632423543772848170429916717  # SELU of minus infinity, without its sign


class Dropout(Function):
    """y = x keep / (1 - p) with a random 0/1 mask `keep`, a byte for each value;  dx = dy keep / (1 - p)"""

    def __init__(self, p: float, keep: Array):
        self.p, self.keep = p, keep

    def forward(self, x: Array) -> Array:
        return self._masked(x)

    def backward(self, dy: Array) -> Array:
        return self._masked(dy)

    def _masked(self, x: Array) -> Array:
        y = empty_like(x)
        in_blocks(self._multiply, x, xp_of(x).broadcast_to(self.keep, x.shape), y)
        return y

    def _multiply(self, x: Array, keep: Array, y: Array) -> None:
        xp_of(x).multiply(x, keep, out=y)
        if self.p < 1:
            y *= 1 / (1 - self.p)


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
    return _drop_to_limit("alpha_dropout", x, p, training, x.shape, generator)


def feature_alpha_dropout(
    input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """As `alpha_dropout`, for whole channels of input (N, C, ...)."""
    x = as_tensor("feature_alpha_dropout", "input", input)
    if x.ndim < 2:
        raise ValueError(f"feature_alpha_dropout: input has shape {x.shape}, but needs a channel axis: (N, C, ...)")
    return _drop_to_limit("feature_alpha_dropout", x, p, training, x.shape[:2] + (1,) * (x.ndim - 2), generator)


def _drop_to_limit(op: str, x: Tensor, p: float, training: bool, shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    p = _checked(op, x, p, training, generator)
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0
    a = 1 / math.sqrt((1 - p) * (1 + p * SELU_LIMIT**2))
    return where(Tensor._wrap(_mask(x, p, shape, generator)), x, -SELU_LIMIT) * a + SELU_LIMIT * a * p


def _drop_channels(op: str, input: Any, p: float, training: bool, axes: int, legal: str, generator: Generator | None) -> Tensor:
    x = as_tensor(op, "input", input)
    if x.ndim < axes + 1 or (x.ndim > axes + 2 and axes != 2):
        raise ValueError(f"{op}: input has shape {x.shape}, but must be {legal}")
    return _drop(op, x, p, training, x.shape[: x.ndim - axes] + (1,) * axes, generator)


def _drop(op: str, x: Tensor, p: float, training: bool, shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    p = _checked(op, x, p, training, generator)
    return Dropout(p, _mask(x, p, shape, generator))(x) if training and p else x


def _checked(op: str, x: Tensor, p: Any, training: Any, generator: Any) -> float:
    """The probability; errors for it and for the other arguments."""
    need_float(op, input=x)
    check_flags(op, training=training)
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"{op}: generator={shown(generator)} must be a minivision.Generator")
    return probability(op, "p", p)


def probability(op: str, name: str, value: Any) -> float:
    """A setting as a number in [0, 1]."""
    p: float = number(op, name, value)
    if not 0 <= p <= 1:
        raise ValueError(f"{op}: {name}={p} is a probability and must lie in [0, 1]")
    return p


def _mask(x: Tensor, p: float, shape: tuple[int, ...], generator: Generator | None) -> Array:
    """True with probability 1 - p, on the device of x.

    The numbers are drawn in the order of the shape, so that a seed means the same mask for every order of memory; block by block,
    for only the mask is kept. Then it takes the order of x.
    """
    rng, count = (generator or default_generator).rng, math.prod(shape)
    keep = empty(shape, bool)
    flat, drawn = keep.reshape(-1), np.empty(min(count, BLOCK), np.float32)
    for start in range(0, count, BLOCK):
        part = drawn[: count - start]
        rng.random(out=part, dtype=np.float32)
        np.greater_equal(part, p, out=flat[start : start + BLOCK])
    if type(x.array) is not np.ndarray or shape != x.shape:
        return xp_of(x.array).asarray(keep)
    arranged = empty_like(x.array, bool)
    if arranged.strides == keep.strides:
        return keep
    copy_into(arranged, keep)
    return arranged
