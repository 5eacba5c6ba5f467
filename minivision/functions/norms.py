"""Lengths of vectors: the p-norm for every p."""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Tensor
from minivision.backend import Array, xp_of
from minivision.functions.operands import axes, promoted
from minivision.functions.reduction import Dim, _Reduction


class Norm(_Reduction):
    """y = sqrt(sum of x^2);  dx = dy x / y, and 0 where y = 0"""

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.x = x
        self.y = xp.sqrt((x * x).sum(axis=self.axes, keepdims=self.keepdim))
        return self.y

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        return self.spread(dy / xp.where(self.y == 0, xp.ones_like(self.y), self.y), self.x.shape) * self.x


class PNorm(_Reduction):
    """y = (sum of |x|^p)^(1/p);  dx = dy sign(x) (|x| / y)^(p-1), and 0 where x = 0"""

    def __init__(self, axes: tuple[int, ...], keepdim: bool, p: float):
        super().__init__(axes, keepdim)
        self.p = p

    def forward(self, x: Array) -> Array:
        self.x = x
        self.y = (abs(x) ** self.p).sum(axis=self.axes, keepdims=self.keepdim) ** (1 / self.p)
        return self.y

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        x, y = self.x, self.spread(self.y, self.x.shape)
        some = (x != 0) & (y != 0)
        ratio = xp.where(some, abs(x), xp.ones_like(x)) / xp.where(some, y, xp.ones_like(x))
        return self.spread(dy, x.shape) * some * xp.sign(x) * ratio ** (self.p - 1)


class ExtremeNorm(_Reduction):
    """y = max |x| (p = inf) or min |x| (p = -inf);  dx = dy sign(x) where |x| = y; values that tie share it evenly"""

    def __init__(self, axes: tuple[int, ...], keepdim: bool, largest: bool = True):
        super().__init__(axes, keepdim)
        self.largest = largest

    def forward(self, x: Array) -> Array:
        size = abs(x)
        y = getattr(size, "max" if self.largest else "min")(axis=self.axes, keepdims=self.keepdim)
        self.x, self.winner = x, size == self.spread(y, x.shape)
        return y

    def backward(self, dy: Array) -> Array:
        winners = self.winner.sum(axis=self.axes, keepdims=self.keepdim).astype(dy.dtype)
        return self.spread(dy / winners, self.x.shape) * self.winner * xp_of(dy).sign(self.x)

    def decisions(self) -> dict[str, Array]:
        return {"winner": self.winner}


class Count(_Reduction):
    """y = how many x are not 0 (p = 0): piecewise constant, so dx = 0"""

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return (x != 0).sum(axis=self.axes, keepdims=self.keepdim).astype(x.dtype)

    def backward(self, dy: Array) -> Array:
        return self.spread(xp_of(dy).zeros_like(dy), self.shape)


def norm(input: Any, p: float | str | None = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The p-norm of the vectors along `dim` (an axis, several, or all): (sum of |x|^p)^(1/p).

    "fro" and None mean 2, the Euclidean length; inf and -inf the largest and smallest size; 0 counts what is not 0. The
    gradient is 0 where the norm is. Raises TypeError for integers.
    """
    x = promoted("norm", input) if dtype is None else promoted("norm", input).to(dtype)
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"norm: p={p!r} is not supported; use a number, inf or 'fro'")
    power = 2.0 if p is None or p == "fro" else float(p)
    reduced = axes("norm", dim, x.ndim)
    if math.isinf(power):
        if 0 in [x.shape[a] for a in reduced]:
            raise ValueError(f"norm: the input of shape {x.shape} has no elements over axes {reduced}, and so no maximum")
        return ExtremeNorm(reduced, keepdim, power > 0)(x)
    if power == 0:
        return Count(reduced, keepdim)(x)
    return Norm(reduced, keepdim)(x) if power == 2 else PNorm(reduced, keepdim, power)(x)


def dist(input: Any, other: Any, p: float = 2) -> Tensor:
    """The p-norm of input - other."""
    return norm(promoted("dist", input) - promoted("dist", other), p)


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "") -> Tensor:
    """The p-norm of every vector of x1 (..., P, M) minus every vector of x2 (..., R, M): (..., P, R)."""
    a, b = promoted("cdist", x1), promoted("cdist", x2)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"cdist: x1 is {a.shape} and x2 {b.shape}; they must be (..., P, M) and (..., R, M)")
    return norm(a.unsqueeze(-2) - b.unsqueeze(-3), p, -1)
