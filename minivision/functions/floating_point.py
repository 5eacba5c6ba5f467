"""What floating point numbers are made of: signs, exponents, infinities and NaN; extrema that pass over NaN; steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.arithmetic import mul, pow
from minivision.functions.elementwise import _floating_pair
from minivision.functions.operands import as_tensor, promoted, same_dtype


class CopySign(Function):
    """y = |a| with the sign of b;  da = dy where a has that sign, -dy where not, 0 at a = 0;  db = 0"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        xp = xp_of(a, b)
        y = xp.copysign(a, b)
        self.flip = xp.sign(a) * xp.sign(y)
        return y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return dy * self.flip, xp_of(dy).zeros_like(dy)

    def decisions(self) -> dict[str, Array]:
        return {"sign kept": self.flip}


class LogAddExp2(Function):
    """y = log2(2^a + 2^b), without overflow;  da = dy / (1 + 2^(b-a)),  db = dy / (1 + 2^(a-b))"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return xp_of(a, b).logaddexp2(a, b)

    def backward(self, dy: Array) -> tuple[Array, Array]:
        xp = xp_of(dy)
        return dy / (1 + xp.exp2(self.b - self.a)), dy / (1 + xp.exp2(self.a - self.b))


class _ExtremumOfNumbers(Function):
    """The larger (or smaller) of two operands, or the number where the other is NaN; on a tie the first receives the gradient."""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        self.first = self.wins(a, b) | (b != b)
        return xp_of(a, b).where(self.first, a, b)

    def wins(self, a: Array, b: Array) -> Array:
        raise NotImplementedError

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return dy * self.first, dy * ~self.first

    def decisions(self) -> dict[str, Array]:
        return {"first operand wins": self.first}


class FMax(_ExtremumOfNumbers):
    """y = max(a, b), of a number and NaN the number"""

    def wins(self, a: Array, b: Array) -> Array:
        return a >= b


class FMin(_ExtremumOfNumbers):
    """y = min(a, b), of a number and NaN the number"""

    def wins(self, a: Array, b: Array) -> Array:
        return a <= b


# ---- what users call ----


def _pair(op: str, input: Any, other: Any) -> list[Tensor]:
    """Both as tensors of one dtype."""
    a, b = same_dtype(op, input, other)
    like = (a if isinstance(a, Tensor) else b).array
    return [v if isinstance(v, Tensor) else Tensor._wrap(xp_of(like).asarray(v, like.dtype)) for v in (a, b)]


def copysign(input: Any, other: Any) -> Tensor:
    """The size of `input` with the sign of `other`; -0.0 has a sign too. Its gradient at 0 is 0."""
    return CopySign()(*_floating_pair("copysign", input, other))


def logaddexp2(input: Any, other: Any) -> Tensor:
    """log2(2^input + 2^other), without overflow."""
    return LogAddExp2()(*_floating_pair("logaddexp2", input, other))


def fmax(input: Any, other: Any) -> Tensor:
    """The larger of two tensors, elementwise, and of a number and NaN the number; on a tie `input` receives the gradient."""
    return FMax()(*_pair("fmax", input, other))


def fmin(input: Any, other: Any) -> Tensor:
    """The smaller of two tensors, elementwise, and of a number and NaN the number; on a tie `input` receives the gradient."""
    return FMin()(*_pair("fmin", input, other))


def ldexp(input: Any, other: Any) -> Tensor:
    """input * 2^other: the number with that mantissa and exponent."""
    x = promoted("ldexp", input)
    same_dtype("ldexp", x, other)  # their shapes broadcast
    two = Tensor._wrap(xp_of(x.array).asarray(2, x.dtype))
    return mul(x, pow(two, other))


def float_power(input: Any, exponent: Any) -> Tensor:
    """`input ** exponent`, always computed in float64."""
    base, power = (v.to(np.float64) if isinstance(v, Tensor) else v for v in (input, exponent))
    if not isinstance(base, Tensor):
        like = xp_of(power.array) if isinstance(power, Tensor) else np
        base = Tensor._wrap(like.asarray(base, np.float64))
    return pow(*same_dtype("float_power", base, power))


def heaviside(input: Any, values: Any) -> Tensor:
    """The step: 1 where `input` is positive, `values` where it is 0, else 0; without gradient."""
    a, b = (v.array for v in _pair("heaviside", input, values))
    xp = xp_of(a, b)
    return Tensor._wrap(xp.where(a == 0, b, (a > 0).astype(a.dtype)))


def signbit(input: Any) -> Tensor:
    """Where the sign is negative, also that of -0.0: a bool tensor."""
    x = as_tensor("signbit", "input", input).array
    return Tensor._wrap(xp_of(x).signbit(x) if x.dtype.kind == "f" else x < 0)


def isposinf(input: Any) -> Tensor:
    """Where `input` is +inf: a bool tensor."""
    return Tensor._wrap(as_tensor("isposinf", "input", input).array == math.inf)


def isneginf(input: Any) -> Tensor:
    """Where `input` is -inf: a bool tensor."""
    return Tensor._wrap(as_tensor("isneginf", "input", input).array == -math.inf)


def isreal(input: Any) -> Tensor:
    """True everywhere: there are no complex tensors here."""
    x = as_tensor("isreal", "input", input).array
    return Tensor._wrap(xp_of(x).ones(x.shape, bool))
