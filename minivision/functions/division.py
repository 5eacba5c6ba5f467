"""Quotients that are rounded, remainders, and the parts of a number before and behind the point."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.operands import float_tensor, need_numbers, same_dtype, shown


class Remainder(Function):
    """y = a - b floor(a / b), of the sign of b;  da = dy,  db = -dy floor(a / b)"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        xp = xp_of(a, b)
        if self.needs_input_grad[1]:
            self.quotient = xp.floor_divide(a, b)
        return xp.remainder(a, b)

    def backward(self, dy: Array) -> tuple[Array, Array | None]:
        return dy, -dy * self.quotient if self.needs_input_grad[1] else None


class Fmod(Function):
    """y = a - b trunc(a / b), of the sign of a;  da = dy,  db = -dy trunc(a / b)"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        xp = xp_of(a, b)
        if self.needs_input_grad[1]:
            self.quotient = xp.trunc(a / b)
        return xp.fmod(a, b)

    def backward(self, dy: Array) -> tuple[Array, Array | None]:
        return dy, -dy * self.quotient if self.needs_input_grad[1] else None


class Frac(Function):
    """y = x - trunc x;  dx = dy"""

    def forward(self, x: Array) -> Array:
        return x - xp_of(x).trunc(x)

    def backward(self, dy: Array) -> Array:
        return dy


class RoundedQuotient(Function):
    """y = floor(a / b), or trunc(a / b): constant between its jumps, so both gradients are 0"""

    broadcasts = True

    def __init__(self, rounding_mode: str):
        self.rounding_mode = rounding_mode

    def forward(self, a: Array, b: Array) -> Array:
        xp = xp_of(a, b)
        if self.rounding_mode == "floor":
            return xp.floor_divide(a, b)
        quotient = xp.trunc(xp.true_divide(a, b))
        return quotient.astype(xp.floor_divide(a, b).dtype)

    def backward(self, dy: Array) -> tuple[Array, Array]:
        zeros = xp_of(dy).zeros_like(dy)
        return zeros, zeros


# ---- what users call ----


def remainder(input: Any, other: Any) -> Tensor:
    """What is left of `input` after division by `other`, of the sign of `other`, as Python's %."""
    return Remainder()(*_whole("remainder", input, other))


def fmod(input: Any, other: Any) -> Tensor:
    """What is left of `input` after division by `other`, of the sign of `input`, as C's fmod."""
    return Fmod()(*_whole("fmod", input, other))


def floor_divide(input: Any, other: Any) -> Tensor:
    """floor(input / other): integers stay integers; without gradient."""
    return rounded_quotient("floor_divide", input, other, "floor").detach()


def rounded_quotient(op: str, input: Any, other: Any, rounding_mode: str) -> Tensor:
    """input / other, rounded down ("floor") or towards 0 ("trunc"); integers stay integers."""
    if not isinstance(rounding_mode, str) or rounding_mode not in ("floor", "trunc"):
        raise ValueError(f"{op}: rounding_mode={shown(rounding_mode)} is unknown; use None, 'floor' or 'trunc'")
    return RoundedQuotient(rounding_mode)(*_whole(op, input, other))


def _whole(op: str, input: Any, other: Any) -> tuple[Any, Any]:
    """Both operands, not bool; an integer division by 0 has no answer."""
    a, b = same_dtype(op, input, other)
    reference = a if isinstance(a, Tensor) else b
    if reference.dtype.kind == "b":
        need_numbers(op, input=a, other=b)
    if not reference.is_floating_point() and (bool((b.array == 0).any()) if isinstance(b, Tensor) else b == 0):
        where = f", of shape {b.shape}, has zeros" if isinstance(b, Tensor) else " is 0"
        raise RuntimeError(
            f"{op}: an integer is divided by 0: input is {reference.dtype} and other{where}; convert to floats for inf and NaN"
        )
    return a, b


def frac(input: Any) -> Tensor:
    """The part of a number behind the point, with its sign. Raises TypeError for integers, which have none."""
    return Frac()(float_tensor("frac", "input", input))
