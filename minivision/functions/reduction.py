"""Sums, means, variances, extrema: many values become one, and the gradient goes back to those that took part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.arithmetic import Maximum, Minimum, where
from minivision.functions.operands import (
    as_tensor,
    axes,
    axis,
    check_flags,
    in_dtype,
    need_float,
    need_numbers,
    number,
    same_dtype,
    shown,
)

Dim = int | Sequence[int] | None


class _Reduction(Function):
    """Reduces over `axes`; `keepdim` leaves them with length 1."""

    def __init__(self, axes: tuple[int, ...], keepdim: bool = False):
        self.axes, self.keepdim = axes, keepdim

    def spread(self, values: Array, shape: tuple[int, ...]) -> Array:
        """One value per reduced group, repeated (as a view) over the group it came from."""
        xp = xp_of(values)
        if not self.keepdim:
            values = values.reshape([1 if i in self.axes else n for i, n in enumerate(shape)])
        return xp.broadcast_to(values, shape)

    def count(self, shape: tuple[int, ...]) -> int:
        """How many values each result is made of."""
        return int(np.prod([shape[a] for a in self.axes], dtype=np.int64))


class Sum(_Reduction):
    """y = sum of x;  every x receives dy"""

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.sum(axis=self.axes, keepdims=self.keepdim)

    def backward(self, dy: Array) -> Array:
        return self.spread(dy, self.shape)


class Mean(_Reduction):
    """y = (sum of x) / n;  every x receives dy / n"""

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.mean(axis=self.axes, keepdims=self.keepdim)

    def backward(self, dy: Array) -> Array:
        return self.spread(dy / self.count(self.shape), self.shape)


class Var(_Reduction):
    """y = sum of (x - mean)^2 / (n - correction);  dx = dy 2 (x - mean) / (n - correction)"""

    def __init__(self, axes: tuple[int, ...], keepdim: bool, correction: float):
        super().__init__(axes, keepdim)
        self.correction = correction

    def forward(self, x: Array) -> Array:
        self.centred = x - x.mean(axis=self.axes, keepdims=True)
        degrees = self.count(x.shape) - self.correction
        self.share = 1 / degrees if degrees > 0 else float("inf")
        total = (self.centred * self.centred).sum(axis=self.axes, keepdims=self.keepdim)
        if degrees > 0:
            return total * self.share
        return xp_of(x).where(total == 0, total + float("nan"), total + self.share)  # too few values have no variance

    def backward(self, dy: Array) -> Array:
        return self.spread(dy * (2 * self.share), self.centred.shape) * self.centred


class Std(Var):
    """y = sqrt(var x);  dx = dy (x - mean) / ((n - correction) y), and 0 where y = 0"""

    def forward(self, x: Array) -> Array:
        self.y = xp_of(x).sqrt(super().forward(x))
        return self.y

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        return super().backward(xp.where(self.y == 0, xp.zeros_like(dy), dy / (2 * _nonzero(self.y))))


def _nonzero(y: Array) -> Array:
    """y with 1 in the place of 0, to divide by."""
    return xp_of(y).where(y == 0, xp_of(y).ones_like(y), y)


class _Extreme(_Reduction):
    """The largest (or smallest) value of each group; values that tie share the gradient evenly."""

    def forward(self, x: Array) -> Array:
        y = self.reduce(x)
        self.winner = x == self.spread(y, x.shape)
        return y

    def backward(self, dy: Array) -> Array:
        winners = self.winner.sum(axis=self.axes, keepdims=self.keepdim).astype(dy.dtype)
        return self.spread(dy / winners, self.winner.shape) * self.winner

    def reduce(self, x: Array) -> Array:
        raise NotImplementedError

    def decisions(self) -> dict[str, Array]:
        return {"winner": self.winner}


class Amax(_Extreme):
    """y = max of x"""

    def reduce(self, x: Array) -> Array:
        return x.max(axis=self.axes, keepdims=self.keepdim)


class Amin(_Extreme):
    """y = min of x"""

    def reduce(self, x: Array) -> Array:
        return x.min(axis=self.axes, keepdims=self.keepdim)


class _ExtremeAlong(Function):
    """The largest (or smallest) value along one axis and its position; the first winner receives the whole gradient."""

    def __init__(self, axis: int, keepdim: bool):
        self.axis, self.keepdim = axis, keepdim

    def forward(self, x: Array) -> tuple[Array, Array]:
        xp = xp_of(x)
        self.shape = x.shape
        self.position = xp.expand_dims(self.locate(x).astype(np.int64), self.axis)
        values = xp.take_along_axis(x, self.position, axis=self.axis)
        if self.keepdim:
            return values, self.position
        return values.squeeze(self.axis), self.position.squeeze(self.axis)

    def backward(self, dy: Array, _: Array) -> Array:
        xp = xp_of(dy)
        dx = xp.zeros(self.shape, dy.dtype)
        xp.put_along_axis(dx, self.position, dy if self.keepdim else xp.expand_dims(dy, self.axis), axis=self.axis)
        return dx

    def locate(self, x: Array) -> Array:
        raise NotImplementedError

    def decisions(self) -> dict[str, Array]:
        return {"winner": self.position}


class MaxAlong(_ExtremeAlong):
    """y = max of x along one axis, and the first index where it stands"""

    def locate(self, x: Array) -> Array:
        return x.argmax(axis=self.axis)


class MinAlong(_ExtremeAlong):
    """y = min of x along one axis, and the first index where it stands"""

    def locate(self, x: Array) -> Array:
        return x.argmin(axis=self.axis)


class LogSumExp(_Reduction):
    """y = ln(sum of e^x), computed as m + ln(sum of e^(x-m)) with m = max x;  dx = dy e^(x-y)"""

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        m = x.max(axis=self.axes, keepdims=True)
        m = xp.where(xp.isfinite(m), m, xp.zeros_like(m))
        total = xp.exp(x - m).sum(axis=self.axes, keepdims=True)
        y = xp.log(total) + m
        self.x, self.y = x, y
        return y if self.keepdim else y.squeeze(self.axes)

    def backward(self, dy: Array) -> Array:
        return self.spread(dy, self.x.shape) * xp_of(dy).exp(self.x - self.y)


class ValuesIndices(NamedTuple):
    """What `max`, `min` along an axis return."""

    values: Tensor
    indices: Tensor


# ---- what users call ----


def sum(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` (an axis, several, or all). Integers and bools are summed as int64."""
    return _sum("sum", as_tensor("sum", "input", input), dim, keepdim, dtype)


def _sum(op: str, x: Tensor, dim: Dim, keepdim: bool, dtype: Any = None) -> Tensor:
    over = _over(op, x, dim, keepdim)
    if dtype is not None or not x.is_floating_point():
        x = in_dtype(op, x, np.dtype(np.int64) if dtype is None else dtype)
    return Sum(*over)(x)


def _over(op: str, x: Tensor, dim: Dim, keepdim: bool) -> tuple[tuple[int, ...], bool]:
    """The axes and `keepdim`, checked."""
    if type(keepdim) is not bool:
        check_flags(op, keepdim=keepdim)
    return axes(op, dim, x.shape), keepdim


def mean(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` (an axis, several, or all). Raises TypeError for integers."""
    x = in_dtype("mean", as_tensor("mean", "input", input), dtype, floating=True)
    need_float("mean", input=x)
    return Mean(*_over("mean", x, dim, keepdim))(x)


def var(
    input: Any, dim: Dim = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = 1
) -> Tensor:
    """The variance over `dim`, divided by n - `correction` (1: unbiased, 0: the mean square deviation)."""
    return _deviation("var", Var, input, dim, unbiased, keepdim, correction)


def std(
    input: Any, dim: Dim = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = 1
) -> Tensor:
    """The standard deviation over `dim`: the square root of `var`; where it is 0, so is its gradient."""
    return _deviation("std", Std, input, dim, unbiased, keepdim, correction)


def var_mean(
    input: Any, dim: Dim = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = 1
) -> tuple[Tensor, Tensor]:
    """(var, mean) over `dim`."""
    y = _deviation("var_mean", Var, input, dim, unbiased, keepdim, correction)
    return y, mean(input, None if isinstance(dim, bool) else dim, keepdim)


def std_mean(
    input: Any, dim: Dim = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = 1
) -> tuple[Tensor, Tensor]:
    """(std, mean) over `dim`."""
    y = _deviation("std_mean", Std, input, dim, unbiased, keepdim, correction)
    return y, mean(input, None if isinstance(dim, bool) else dim, keepdim)


def _deviation(
    op: str, function: type[Var], input: Any, dim: Dim, unbiased: bool | None, keepdim: bool, correction: float | None
) -> Tensor:
    x = as_tensor(op, "input", input)
    need_float(op, input=x)
    if isinstance(dim, bool):  # PyTorch's other form: var(x, unbiased)
        dim, unbiased = None, dim
    if unbiased is not None:
        check_flags(op, unbiased=unbiased)
        correction = int(unbiased)
    return function(*_over(op, x, dim, keepdim), 1 if correction is None else number(op, "correction", correction))(x)


def amax(input: Any, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The largest value over `dim`; values that tie share the gradient evenly."""
    return _extremum("amax", Amax, as_tensor("amax", "input", input), dim, keepdim)


def amin(input: Any, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The smallest value over `dim`; values that tie share the gradient evenly."""
    return _extremum("amin", Amin, as_tensor("amin", "input", input), dim, keepdim)


def _extremum(op: str, function: type[_Extreme], x: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    reduced, keepdim = _over(op, x, dim, keepdim)
    return function(_not_empty(op, reduced, x), keepdim)(x)


def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """`max(x)`: the largest value of all, ties share the gradient. `max(x, dim)`: (values, indices) along one axis, the first
    winner takes the whole gradient. `max(x, other)`: elementwise, as `maximum`."""
    return _extreme("max", input, dim, keepdim)


def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """`min(x)`, `min(x, dim)`, `min(x, other)`: as `max`, for the smallest value."""
    return _extreme("min", input, dim, keepdim)


def _extreme(name: str, input: Any, dim: Any, keepdim: bool) -> Any:
    x = as_tensor(name, "input", input)
    check_flags(name, keepdim=keepdim)
    if keepdim and (dim is None or isinstance(dim, Tensor)):
        what = "no dim is given" if dim is None else f"the second argument is {shown(dim)}, with which input is compared"
        raise TypeError(f"{name}: keepdim=True is for {name}(input, dim), but {what}; leave keepdim away")
    if isinstance(dim, Tensor):
        return (Maximum if name == "max" else Minimum)()(*same_dtype(name, x, dim))
    if dim is None:
        return _extremum(name, Amax if name == "max" else Amin, x)
    along = axis(name, dim, x.shape, meaning="an int (an axis), or a tensor to compare with")
    if x.ndim == 0:
        return ValuesIndices(*(y.reshape(()) for y in _extreme(name, x.reshape(1), 0, False)))
    _not_empty(name, (along,), x)
    operation = MaxAlong if name == "max" else MinAlong
    return ValuesIndices(*operation(along, keepdim)(x))


class MinMax(NamedTuple):
    """What `aminmax` returns."""

    min: Tensor
    max: Tensor


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """(min, max), as `amin` and `amax`."""
    x = as_tensor("aminmax", "input", input)
    over = () if dim is None else axis("aminmax", dim, x.shape)
    return MinMax(_extremum("aminmax", Amin, x, over, keepdim), _extremum("aminmax", Amax, x, over, keepdim))


def nansum(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over `dim` of what is not NaN."""
    return _sum("nansum", _numbers("nansum", input), dim, keepdim, dtype)


def nanmean(input: Any, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean over `dim` of what is not NaN."""
    x = in_dtype("nanmean", as_tensor("nanmean", "input", input), dtype, floating=True)
    need_float("nanmean", input=x)
    numbers = Tensor._wrap((x.array == x.array).astype(x.dtype))
    return _sum("nanmean", _numbers("nanmean", x), dim, keepdim) / _sum("nanmean", numbers, dim, keepdim)


def _numbers(op: str, input: Any) -> Tensor:
    """The input with 0 in the place of NaN."""
    x = as_tensor(op, "input", input)
    return where(Tensor._wrap(x.array == x.array), x, 0) if x.is_floating_point() else x


def count_nonzero(input: Any, dim: Dim = None) -> Tensor:
    """How many elements (along `dim`) are not 0: int64, without gradient."""
    x = as_tensor("count_nonzero", "input", input).array
    return Tensor._wrap(xp_of(x).asarray((x != 0).sum(axis=axes("count_nonzero", dim, x.shape)).astype(np.int64)))


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first largest value, along `dim` or in the flattened tensor: int64, without gradient."""
    return _arg("argmax", input, dim, keepdim)


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the first smallest value, along `dim` or in the flattened tensor: int64, without gradient."""
    return _arg("argmin", input, dim, keepdim)


def _arg(name: str, input: Any, dim: int | None, keepdim: bool) -> Tensor:
    x = as_tensor(name, "input", input)
    need_numbers(name, input=x)
    check_flags(name, keepdim=keepdim)
    along = None if dim is None else axis(name, dim, x.shape)
    if x.ndim == 0:
        along = None
    _not_empty(name, tuple(range(x.ndim)) if along is None else (along,), x)
    xp = xp_of(x.array)
    position = xp.asarray(getattr(x.array, name)(axis=along)).astype(np.int64)
    if keepdim:
        position = position.reshape([1] * x.ndim) if along is None else xp.expand_dims(position, along)
    return Tensor._wrap(position)


def logsumexp(input: Any, dim: Dim, keepdim: bool = False) -> Tensor:
    """ln(sum of e^input) over `dim`, without overflow."""
    x = as_tensor("logsumexp", "input", input)
    need_float("logsumexp", input=x)
    over, keepdim = _over("logsumexp", x, dim, keepdim)
    if 0 in [x.shape[a] for a in over]:
        return _sum("logsumexp", x, dim, keepdim) - math.inf  # the logarithm of a sum of nothing
    return LogSumExp(over, keepdim)(x)


def all(input: Any, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether every element (along `dim`) is true: a bool tensor."""
    x = as_tensor("all", "input", input)
    over, keepdim = _over("all", x, dim, keepdim)
    return Tensor._wrap(xp_of(x.array).asarray(x.array.astype(bool).all(axis=over, keepdims=keepdim)))


def any(input: Any, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether some element (along `dim`) is true: a bool tensor."""
    x = as_tensor("any", "input", input)
    over, keepdim = _over("any", x, dim, keepdim)
    return Tensor._wrap(xp_of(x.array).asarray(x.array.astype(bool).any(axis=over, keepdims=keepdim)))


def _not_empty(op: str, reduced: tuple[int, ...], x: Tensor) -> tuple[int, ...]:
    empty = [a for a in reduced if x.shape[a] == 0]
    if empty:
        raise ValueError(
            f"{op}: input of shape {x.shape} has no elements along axis {empty[0]}, so there is none to choose; check "
            "x.numel() first"
        )
    return reduced
