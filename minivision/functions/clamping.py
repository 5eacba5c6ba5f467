"""Values limited to a range, whose ends are numbers or tensors."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.autograd.dtypes import result_type
from minivision.backend import Array, xp_of
from minivision.functions.operands import (
    Scalar,
    as_tensor,
    check_broadcast,
    check_fits,
    need_numbers,
    need_same_device,
    operand,
)


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
    return _clamped("clamp", input, min, max)


def _clamped(op: str, input: Any, low: Any, high: Any) -> Tensor:
    x = as_tensor(op, "input", input)
    bounds: dict[str, Any] = {name: operand(b, op, name) for name, b in (("min", low), ("max", high)) if b is not None}
    if not bounds:
        raise ValueError(f"{op}: min and max are both None; give min, max, or both")
    dtype = result_type(x.array, *(b.array if isinstance(b, Tensor) else b for b in bounds.values()))
    if dtype.kind == "b":
        need_numbers(op, input=x)
    for name, b in bounds.items():
        if not isinstance(b, Tensor):
            check_fits(op, name, b, dtype)
    tensors = {"input": x} | {name: b for name, b in bounds.items() if isinstance(b, Tensor)}
    need_same_device(op, **tensors)
    check_broadcast(op, [v.shape for v in tensors.values()], list(tensors))
    x = x.to(dtype)
    if len(tensors) == 1:
        return Clamp(bounds.get("min"), bounds.get("max"))(x)
    xp = xp_of(x.array)
    ends = {name: b.to(dtype) if isinstance(b, Tensor) else Tensor._wrap(xp.asarray(b, dtype)) for name, b in bounds.items()}
    return ClampBetween()(x, ends.get("min"), ends.get("max"))


clip = clamp


def clamp_min(input: Any, min: Any) -> Tensor:
    """`input`, but not less than `min`."""
    return _clamped("clamp_min", input, _bound("clamp_min", "min", min), None)


def clamp_max(input: Any, max: Any) -> Tensor:
    """`input`, but not more than `max`."""
    return _clamped("clamp_max", input, None, _bound("clamp_max", "max", max))


def _bound(op: str, name: str, value: Any) -> Any:
    if value is None:
        raise TypeError(f"{op}: {name} is None, but must be a number or a tensor")
    return value
