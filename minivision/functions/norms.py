"""Lengths of vectors: the p-norm for every p; the nuclear norm of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.arithmetic import Sub, where
from minivision.functions.operands import (
    as_tensor,
    axes,
    axis,
    check_broadcast,
    check_choice,
    check_flags,
    float_tensor,
    in_dtype,
    need_float,
    number,
    same_dtype,
)
from minivision.functions.rearranging import movedim
from minivision.functions.reduction import Dim, _Reduction
from minivision.functions.shape import Index


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


class NuclearNorm(Function):
    """y = the sum of the singular values of the matrices in the last two axes;  dx = dy U V^T, for x = U S V^T"""

    def forward(self, x: Array) -> Array:
        u, s, vt = xp_of(x).linalg.svd(x, full_matrices=False)
        self.directions = u @ vt  # (..., m, k) @ (..., k, n) -> (..., m, n)
        return s.sum(axis=-1)

    def backward(self, dy: Array) -> Array:
        return self.directions * dy[..., None, None]


def norm(input: Any, p: float | str | None = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The p-norm of the vectors along `dim` (an axis, several, or all): (sum of |x|^p)^(1/p).

    "fro" and None mean 2, the Euclidean length; inf and -inf the largest and smallest size; 0 counts what is not 0; "nuc" is the
    sum of the singular values of a matrix, whose two axes `dim` names. The gradient is 0 where the norm is.
    """
    return _norm("norm", in_dtype("norm", as_tensor("norm", "input", input), dtype, floating=True), p, dim, keepdim)


def _norm(op: str, x: Tensor, p: Any, dim: Dim = None, keepdim: bool = False) -> Tensor:
    need_float(op, input=x)
    check_flags(op, keepdim=keepdim)
    if isinstance(p, str) and p == "nuc":
        return _nuclear_norm(x, dim, keepdim)
    if isinstance(p, str) and p != "fro":
        raise ValueError(f"{op}: p={p!r} is not supported; use a number, inf, 'fro' or 'nuc'")
    power = 2.0 if p is None or isinstance(p, str) else float(number(op, "p", p, infinite=True))
    reduced = axes(op, dim, x.shape)
    if math.isinf(power):
        if 0 in [x.shape[a] for a in reduced]:
            raise ValueError(
                f"{op}: input of shape {x.shape} has no elements over dim {reduced}, so none is the largest or smallest"
            )
        return ExtremeNorm(reduced, keepdim, power > 0)(x)
    if power == 0:
        return Count(reduced, keepdim)(x)
    return Norm(reduced, keepdim)(x) if power == 2 else PNorm(reduced, keepdim, power)(x)


def _nuclear_norm(x: Tensor, dim: Dim, keepdim: bool) -> Tensor:
    plane = axes("norm", dim, x.shape)
    if len(plane) != 2:
        raise ValueError(
            f"norm: p='nuc' is the norm of a matrix, but dim={dim} names {len(plane)} of the axes of input {x.shape}; name two"
        )
    y = NuclearNorm()(movedim(x, plane, (-2, -1)))
    return y.reshape([1 if a in plane else n for a, n in enumerate(x.shape)]) if keepdim else y


def dist(input: Any, other: Any, p: float = 2) -> Tensor:
    """The p-norm of input - other. Raises TypeError for integers."""
    a, b = same_dtype("dist", as_tensor("dist", "input", input), as_tensor("dist", "other", other))
    need_float("dist", input=a, other=b)
    return _norm("dist", Sub()(a, b), p)


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "") -> Tensor:
    """The p-norm of every vector of x1 (..., P, M) minus every vector of x2 (..., R, M): (..., P, R).

    `compute_mode` plays no part: the differences themselves are computed. Raises TypeError for integers.
    """
    a, b = as_tensor("cdist", "x1", x1), as_tensor("cdist", "x2", x2)
    need_float("cdist", x1=a, x2=b)
    p = _distance_power("cdist", p)
    check_choice("cdist", "compute_mode", compute_mode, _COMPUTE_MODES)
    for name, x, shape in (("x1", a, "(..., P, M)"), ("x2", b, "(..., R, M)")):
        if x.ndim < 2:
            raise ValueError(f"cdist: {name} has shape {x.shape}, but must be {shape}; a single vector takes .unsqueeze(0)")
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"cdist: the vectors of x1 (..., P, M) = {a.shape} have M = {a.shape[-1]} elements, but those of x2 (..., R, M) = "
            f"{b.shape} have {b.shape[-1]}; they must have equally many"
        )
    check_broadcast("cdist", [a.shape[:-2], b.shape[:-2]], ("the leading axes of x1", "those of x2"))
    return _norm("cdist", a.unsqueeze(-2) - b.unsqueeze(-3), p, -1)


_COMPUTE_MODES = (
    "", "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist",
)  # fmt: skip


def _distance_power(op: str, p: Any) -> float:
    """The p of a distance: at least 0, inf included."""
    power = number(op, "p", p, infinite=True)
    if power < 0:
        raise ValueError(f"{op}: p={power} must not be negative; use 2 for lengths, 1 for sums, inf for the largest")
    return float(power)


def pdist(input: Any, p: float = 2.0) -> Tensor:
    """The p-norm of the difference of every two rows of input (N, M): (N (N - 1) / 2,), pairs (0, 1), (0, 2), .. (1, 2), .."""
    x, p = float_tensor("pdist", "input", input), _distance_power("pdist", p)
    if x.ndim != 2:
        raise ValueError(f"pdist: input has shape {x.shape}, but must be rows (N, M)")
    first, second = (xp_of(x.array).asarray(i) for i in np.triu_indices(x.shape[0], 1))
    return _norm("pdist", Index((first,))(x) - Index((second,))(x), p, -1)


def renorm(input: Any, p: float, dim: int, maxnorm: float) -> Tensor:
    """`input`, with each slice along `dim` whose p-norm exceeds `maxnorm` scaled down to it."""
    x = float_tensor("renorm", "input", input)
    p, maxnorm = number("renorm", "p", p, infinite=True), number("renorm", "maxnorm", maxnorm)
    along = axis("renorm", dim, x.shape)
    if x.ndim < 2:
        raise ValueError(f"renorm: input has shape {x.shape}, but needs at least 2 axes, so that its slices are vectors")
    if p <= 0 or maxnorm < 0:
        raise ValueError(f"renorm: p={p} must be positive and maxnorm={maxnorm} not negative")
    length = norm(x, p, [a for a in range(x.ndim) if a != along], keepdim=True)
    return x * where(length > maxnorm, maxnorm / (length + 1e-7), 1.0)
