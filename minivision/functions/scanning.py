"""Running sums, products and extrema along an axis, and the product of all: each result depends on everything before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, scatter_add, xp_of
from minivision.functions.gathering import places
from minivision.functions.operands import as_tensor, axis, check_flags, in_dtype, promoted
from minivision.functions.reduction import ValuesIndices
from minivision.functions.shape import reshape


class _Scan(Function):
    """Runs along one axis."""

    def __init__(self, axis: int):
        self.axis = axis

    def from_the_end(self, scan: Callable[[Array], Array], x: Array) -> Array:
        """The scan in the other direction: from the last position to the first."""
        xp = xp_of(x)
        return xp.flip(scan(xp.flip(x, self.axis)), self.axis)

    def sums(self, x: Array) -> Array:
        """The running sums."""
        return xp_of(x).cumsum(x, axis=self.axis)

    def section(self, start: int | None, stop: int | None) -> tuple[slice, ...]:
        """The index of a part of the axis."""
        return (slice(None),) * self.axis + (slice(start, stop),)


class CumSum(_Scan):
    """y_i = x_1 + ... + x_i;  dx_k = sum of dy_i over i >= k: the running sum from the end"""

    def forward(self, x: Array) -> Array:
        return self.sums(x)

    def backward(self, dy: Array) -> Array:
        return self.from_the_end(self.sums, dy)


class CumProd(_Scan):
    """y_i = x_1 ... x_i;  dx_k = (sum of dy_i y_i over i >= k) / x_k

    Past the first zero z every y is 0. At z itself the factor is left out instead of divided by: dx_z = sum of dy_i y'_i over
    i >= z, where y' are the products with 1 in the place of x_z. Behind z the gradient is 0.
    """

    def forward(self, x: Array) -> Array:
        self.x, self.y = x, xp_of(x).cumprod(x, axis=self.axis)
        return self.y

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        x, zero = self.x, self.x == 0
        dx = self.from_the_end(self.sums, dy * self.y) / xp.where(zero, xp.ones_like(x), x)
        if bool(zero.any()):
            first = zero & (xp.cumsum(zero, axis=self.axis) == 1)
            others = xp.cumprod(xp.where(first, xp.ones_like(x), x), axis=self.axis)
            started = xp.cumsum(first, axis=self.axis) > 0
            rest = self.from_the_end(self.sums, xp.where(started, dy * others, xp.zeros_like(dy)))
            dx = xp.where(first, rest, xp.where(zero, xp.zeros_like(dx), dx))
        return dx


class Prod(_Scan):
    """y = the product along an axis;  dx_k = dy times all others: those before k times those behind k, without a division"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return x.prod(axis=self.axis)

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        before = self.before(self.x)
        behind = self.from_the_end(self.before, self.x)
        return xp.expand_dims(dy, self.axis) * before * behind

    def before(self, x: Array) -> Array:
        """At each place the product of what stands before it."""
        xp = xp_of(x)
        result = xp.ones_like(x)
        result[self.section(1, None)] = xp.cumprod(x[self.section(None, -1)], axis=self.axis)
        return result


class _RunningExtreme(_Scan):
    """y_i = the largest (or smallest) of x_1 .. x_i, and its place, on ties the last;  dx = the sum of dy where x_k is it"""

    def forward(self, x: Array) -> tuple[Array, Array]:
        xp = xp_of(x)
        y = x.copy()
        shape = [-1 if a == self.axis else 1 for a in range(x.ndim)]
        self.places = xp.zeros(x.shape, np.int64) + xp.arange(x.shape[self.axis]).reshape(shape)
        reach = 1  # y_i is the extreme of the last `reach` values; each round doubles them
        while reach < x.shape[self.axis]:
            later, earlier = self.section(reach, None), self.section(None, -reach)
            keep = self.holds(y[later], y[earlier])
            y[later], self.places[later] = (
                xp.where(keep, y[later], y[earlier]),
                xp.where(keep, self.places[later], self.places[earlier]),
            )
            reach *= 2
        return y, self.places

    def backward(self, dy: Array, _: Array) -> Array:
        dx = xp_of(dy).zeros_like(dy)
        scatter_add(dx, places(self.places, self.axis), dy)
        return dx

    def holds(self, later: Array, earlier: Array) -> Array:
        """Where the later value stays against the earlier one."""
        raise NotImplementedError

    def decisions(self) -> dict[str, Array]:
        return {"places": self.places}


class CumMax(_RunningExtreme):
    """y_i = max(x_1 .. x_i) and the last place where it stands"""

    def holds(self, later: Array, earlier: Array) -> Array:
        return (later >= earlier) | (later != later)  # NaN, once seen, stays


class CumMin(_RunningExtreme):
    """y_i = min(x_1 .. x_i) and the last place where it stands"""

    def holds(self, later: Array, earlier: Array) -> Array:
        return (later <= earlier) | (later != later)


class LogCumSumExp(_Scan):
    """y_i = ln(e^x_1 + ... + e^x_i);  dx_k = sum of dy_i e^(x_k - y_i) over i >= k, computed in logarithms"""

    def forward(self, x: Array) -> Array:
        self.x, self.y = x, self.scan(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        parts = []
        for share in (dy, -dy):  # only positive numbers have logarithms
            positive = share > 0
            logarithm = xp.where(positive, xp.log(xp.where(positive, share, xp.ones_like(share))) - self.y, -xp.inf)
            parts.append(xp.exp(self.from_the_end(self.scan, logarithm.astype(dy.dtype)) + self.x))
        return parts[0] - parts[1]

    def scan(self, x: Array) -> Array:
        xp = xp_of(x)
        y = x.copy()
        reach = 1
        while reach < x.shape[self.axis]:
            y[self.section(reach, None)] = xp.logaddexp(y[self.section(reach, None)], y[self.section(None, -reach)])
            reach *= 2
        return y


# ---- what users call ----


def _scanned(op: str, function: type[_Scan], x: Tensor, dim: int) -> Any:
    """The scan along `dim`; a number is a vector of length 1, and an empty tensor stays as it is."""
    along = axis(op, dim, x.shape)
    y = function(along)(x if x.ndim else reshape(x, 1))
    if x.ndim:
        return y
    return tuple(reshape(part, ()) for part in y) if isinstance(y, tuple) else reshape(y, ())


def _summable(op: str, input: Any, dtype: Any) -> Tensor:
    """The input in `dtype`; integers and bools become int64 when none is given."""
    x = as_tensor(op, "input", input)
    return in_dtype(op, x, dtype) if dtype is not None else x if x.is_floating_point() else x.to(np.int64)


def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Tensor:
    """The running sums along `dim`."""
    return _scanned("cumsum", CumSum, _summable("cumsum", input, dtype), dim)


def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Tensor:
    """The running products along `dim`; the gradient is right for zeros too."""
    return _scanned("cumprod", CumProd, _summable("cumprod", input, dtype), dim)


def cummax(input: Any, dim: int) -> ValuesIndices:
    """(values, indices) of the running maxima along `dim`; of equal values the last takes index and gradient."""
    return ValuesIndices(*_scanned("cummax", CumMax, as_tensor("cummax", "input", input), dim))


def cummin(input: Any, dim: int) -> ValuesIndices:
    """(values, indices) of the running minima along `dim`; of equal values the last takes index and gradient."""
    return ValuesIndices(*_scanned("cummin", CumMin, as_tensor("cummin", "input", input), dim))


def logcumsumexp(input: Any, dim: int) -> Tensor:
    """ln of the running sums of e^input along `dim`, without overflow."""
    return _scanned("logcumsumexp", LogCumSumExp, promoted("logcumsumexp", input), dim)


def prod(input: Any, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The product of all elements, or along `dim`; the gradient is right for zeros too."""
    x = _summable("prod", input, dtype)
    check_flags("prod", keepdim=keepdim)
    if keepdim and dim is None:
        raise TypeError("prod: keepdim=True is for prod(input, dim), but no dim is given; leave keepdim away")
    along = 0 if dim is None else axis("prod", dim, x.shape)
    y = Prod(along)(reshape(x, -1) if dim is None or not x.ndim else x)
    if dim is None or not x.ndim:
        return reshape(y, (1,) * x.ndim if keepdim else ())
    return y.unsqueeze(along) if keepdim else y
