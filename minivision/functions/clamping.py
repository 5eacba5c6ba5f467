"""Values limited to a range, whose ends are numbers or tensors."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.autograd.dtypes import result_type
from minivision.backend import Array, xp_of
from minivision.functions.operands import Scalar, as_tensor, check_broadcast, need_same_device, operand


class Clamp(Function):
    """y = min(max(x, low), high);  dx = dy where low <= x <= high, bounds included, else 0"""

    def __init__(self, low: Scalar | None, high: Scalar | None):
        self.low, self.high = low, high

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.inside = xp.ones(x.shape, bool)
        y = x
        if self.low is not None:
            self.inside &= x >= self.low
            y = xp.maximum(y, self.low)
        if self.high is not None:
            self.inside &= x <= self.high
            y = xp.minimum(y, self.high)
        return y

    def backward(self, dy: Array) -> Array:
        return dy * self.inside

    def decisions(self) -> dict[str, Array]:
        return {"inside the bounds": self.inside}


class ClampBetween(Function):
    """y = min(max(x, low), high);  the gradient goes to x where low <= x <= high, else to the bound that took its place"""

    broadcasts = True

    def forward(self, x: Array, low: Array | None = None, high: Array | None = None) -> Array:
        xp = xp_of(x)
        y = x
        self.inside = xp.ones(x.shape, bool)
        self.below = self.above = ~self.inside
        if low is not None:
            self.inside, self.below, y = x >= low, x < low, xp.maximum(y, low)
        if high is not None:
            self.inside, self.above, y = self.inside & (x <= high), x > high, xp.minimum(y, high)
        if low is not None and high is not None:
            self.below, self.above = self.below & (low < high), self.above | (low > high)
        return y

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        return dy * self.inside, dy * self.below, dy * self.above

    def decisions(self) -> dict[str, Array]:
        return {"inside": self.inside, "below": self.below, "above": self.above}


# ---- what users call ----


def clamp(input: Any, min: Any = None, max: Any = None) -> Tensor:
    """`input` limited to `min` .. `max`, which are numbers or tensors that broadcast; where min > max the result is `max`.

    The gradient goes to `input` inside and at the bounds, and outside to the bound, where that is a tensor.
    """
    if min is None and max is None:
        raise ValueError("clamp: give min, max, or both")
    x = as_tensor("clamp", "input", input)
    bounds: list[Any] = [None if b is None else operand(b) for b in (min, max)]
    dtype = result_type(x.array, *(b.array if isinstance(b, Tensor) else b for b in bounds if b is not None))
    x = x.to(dtype)
    if not any(isinstance(b, Tensor) for b in bounds):
        return Clamp(*bounds)(x)
    xp = xp_of(x.array)
    low, high = (b if b is None else b.to(dtype) if isinstance(b, Tensor) else Tensor._wrap(xp.asarray(b, dtype)) for b in bounds)
    given = {"input": x} | {name: b for name, b in (("min", low), ("max", high)) if b is not None}
    need_same_device("clamp", **given)
    check_broadcast("clamp", [v.shape for v in given.values()])
    return ClampBetween()(x, low, high)


clip = clamp


def clamp_min(input: Any, min: Any) -> Tensor:
    """`input`, but not less than `min`."""
    return clamp(input, min=min)


def clamp_max(input: Any, max: Any) -> Tensor:
    """`input`, but not more than `max`."""
    return clamp(input, max=max)
