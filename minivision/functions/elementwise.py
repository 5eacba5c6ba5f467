"""Elementwise operations of two and three operands beyond arithmetic, and tests that compare values."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.arithmetic import Add, Div, Mul, truths, with_factor
from minivision.functions.operands import (
    Scalar,
    as_tensor,
    check_broadcast,
    check_flags,
    need_float,
    need_same_device,
    not_negative,
    number,
    operand,
    same_dtype,
)


class Atan2(Function):
    """y = the angle of the point (b, a);  da = dy b / (a^2 + b^2),  db = -dy a / (a^2 + b^2), and 0 at the origin"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return xp_of(a, b).arctan2(a, b)

    def backward(self, dy: Array) -> tuple[Array, Array]:
        square = self.a * self.a + self.b * self.b
        share = dy / (square + (square == 0))
        return share * self.b, -share * self.a


class Hypot(Function):
    """y = sqrt(a^2 + b^2);  da = dy a / y,  db = dy b / y"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b, self.y = a, b, xp_of(a, b).hypot(a, b)
        return self.y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return dy * (self.a / self.y), dy * (self.b / self.y)


class LogAddExp(Function):
    """y = ln(e^a + e^b), without overflow;  da = dy / (1 + e^(b-a)),  db = dy / (1 + e^(a-b))"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return xp_of(a, b).logaddexp(a, b)

    def backward(self, dy: Array) -> tuple[Array, Array]:
        xp = xp_of(dy)
        return dy / (1 + xp.exp(self.b - self.a)), dy / (1 + xp.exp(self.a - self.b))


class XLogY(Function):
    """y = a ln b, and 0 where a = 0;  da = dy ln b (0 where a = 0 >= b),  db = dy a / b"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        xp = xp_of(a, b)
        self.a, self.b = a, b
        # where a is 0 the logarithm is not asked for; a NaN in b still shows
        return a * xp.log(xp.where((a == 0) & (b == b), xp.ones_like(b), b))

    def backward(self, dy: Array) -> tuple[Array, Array]:
        xp = xp_of(dy)
        return dy * xp.log(xp.where((self.a == 0) & (self.b <= 0), xp.ones_like(self.b), self.b)), dy * self.a / self.b


class Lerp(Function):
    """y = a + w (b - a);  da = dy (1 - w),  db = dy w,  dw = dy (b - a)"""

    broadcasts = True

    def forward(self, a: Array, b: Array, w: Any) -> Array:
        self.difference, self.w = b - a, w
        return a + w * self.difference

    def backward(self, dy: Array) -> tuple[Array, Array, Array | None]:
        return dy * (1 - self.w), dy * self.w, dy * self.difference if self.needs_input_grad[2] else None


class NanToNum(Function):
    """y = x with numbers in the place of NaN, inf and -inf;  dx = dy where x is finite, else 0"""

    def __init__(self, nan: float, posinf: float, neginf: float):
        self.nan, self.posinf, self.neginf = nan, posinf, neginf

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.finite = xp.isfinite(x)
        return xp.nan_to_num(x, nan=self.nan, posinf=self.posinf, neginf=self.neginf)

    def backward(self, dy: Array) -> Array:
        return dy * self.finite

    def decisions(self) -> dict[str, Array]:
        return {"finite": self.finite}


# ---- what users call ----


def _pair(op: str, input: Any, other: Any, floating: bool = False) -> list[Tensor]:
    """Both as tensors of one dtype."""
    a, b = same_dtype(op, input, other, floating)
    like = (a if isinstance(a, Tensor) else b).array
    return [v if isinstance(v, Tensor) else Tensor._wrap(xp_of(like).asarray(v, like.dtype)) for v in (a, b)]


def _floating_pair(op: str, input: Any, other: Any) -> list[Tensor]:
    """Both as floating tensors of one dtype; integers become float32."""
    return _pair(op, input, other, floating=True)


def _pair_of_floats(op: str, input: Any, other: Any) -> list[Tensor]:
    """Both as floating tensors of one dtype. Raises TypeError where both are integers."""
    a, b = _pair(op, input, other)
    if not a.is_floating_point():
        raise TypeError(f"{op}: input and other are {a.dtype}, but one must be floating; convert it with .float()")
    return [a, b]


def atan2(input: Any, other: Any) -> Tensor:
    """The angle of the point (other, input) in -pi .. pi: `input` is the ordinate. Its gradient at the origin is 0."""
    return Atan2()(*_floating_pair("atan2", input, other))


arctan2 = atan2


def hypot(input: Any, other: Any) -> Tensor:
    """sqrt(input^2 + other^2), without overflow."""
    return Hypot()(*_pair_of_floats("hypot", input, other))


def logaddexp(input: Any, other: Any) -> Tensor:
    """ln(e^input + e^other), without overflow."""
    return LogAddExp()(*_pair_of_floats("logaddexp", input, other))


def xlogy(input: Any, other: Any) -> Tensor:
    """input * ln(other), and 0 where `input` is 0, as entropies need it."""
    return XLogY()(*_floating_pair("xlogy", input, other))


def lerp(input: Any, end: Any, weight: Any) -> Tensor:
    """input + weight * (end - input): the point at `weight` on the way from `input` to `end`; all three broadcast.

    Raises TypeError unless all are floating and of one dtype.
    """
    operands = {name: operand(v, "lerp", name) for name, v in (("input", input), ("end", end), ("weight", weight))}
    first, share = operands["input"], operands["weight"]
    if not isinstance(first, Tensor) and not isinstance(operands["end"], Tensor):
        raise TypeError(f"lerp: input={first} and end={operands['end']} are numbers, but one of them must be a tensor")
    if isinstance(first, Tensor) and isinstance(share, Tensor) and not share.ndim:
        operands["weight"] = share.to(first.dtype)  # a number does not decide the dtype
    tensors = {name: v for name, v in operands.items() if isinstance(v, Tensor)}
    need_float("lerp", **tensors)
    check_broadcast("lerp", [v.shape for v in tensors.values()], list(tensors))
    a, b = same_dtype("lerp", operands["input"], operands["end"], floating=True)
    return Lerp()(a, b, operands["weight"])


def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Scalar = 1) -> Tensor:
    """input + value * tensor1 * tensor2, elementwise with broadcasting."""
    return _plus("addcmul", input, Mul()(*_factors("addcmul", input, tensor1, tensor2)), value, "tensor1 * tensor2")


def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Scalar = 1) -> Tensor:
    """input + value * tensor1 / tensor2, elementwise with broadcasting. Raises TypeError for a quotient of integers."""
    a, b = _factors("addcdiv", input, tensor1, tensor2)
    if not (a if isinstance(a, Tensor) else b).is_floating_point():
        raise TypeError("addcdiv: tensor1 and tensor2 are integers, but a quotient is floating; convert one with .float()")
    return _plus("addcdiv", input, Div()(a, b), value, "tensor1 / tensor2")


def _factors(op: str, input: Any, tensor1: Any, tensor2: Any) -> tuple[Any, Any]:
    """tensor1 and tensor2, of one dtype, all three known to broadcast."""
    a, b = same_dtype(op, tensor1, tensor2, names=("tensor1", "tensor2"))
    given = {"input": operand(input, op, "input"), "tensor1": a, "tensor2": b}
    tensors = {name: v for name, v in given.items() if isinstance(v, Tensor)}
    need_same_device(op, **tensors)
    check_broadcast(op, [v.shape for v in tensors.values()], list(tensors))
    return a, b


def _plus(op: str, input: Any, other: Tensor, value: Scalar, name: str) -> Tensor:
    """input + value * other."""
    return Add()(*with_factor(op, *same_dtype(op, input, other, names=("input", name)), value, "value"))


def nan_to_num(input: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """`input` with `nan` (0), `posinf` (the largest number) and `neginf` (the smallest) in the place of NaN, inf and -inf."""
    x = as_tensor("nan_to_num", "input", input)
    given = {"nan": nan, "posinf": posinf, "neginf": neginf}
    chosen = {k: number("nan_to_num", k, v, infinite=True, nan=True) for k, v in given.items() if v is not None}
    if not x.is_floating_point():
        return x.clone()
    limits = np.finfo(x.dtype)
    return NanToNum(**{"nan": 0.0, "posinf": float(limits.max), "neginf": float(limits.min)} | chosen)(x)


def positive(input: Any) -> Tensor:
    """`input` itself. Raises RuntimeError for bools."""
    x = as_tensor("positive", "input", input)
    if x.dtype == np.bool_:
        raise RuntimeError("positive: input is bool, which has no sign; convert it with .int()")
    return x


# ---- comparisons and bits: no gradient, so plain array code ----


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """Where |input - other| <= atol + rtol * |other|: a bool tensor. Raises ValueError for negative tolerances."""
    return _close("isclose", input, other, rtol, atol, equal_nan)


def _close(op: str, input: Any, other: Any, rtol: float, atol: float, equal_nan: bool) -> Tensor:
    a, b = _pair(op, input, other)
    rtol, atol = float(not_negative(op, "rtol", rtol)), float(not_negative(op, "atol", atol))
    check_flags(op, equal_nan=equal_nan)
    xp = xp_of(a.array)
    return Tensor._wrap(xp.asarray(xp.isclose(a.array, b.array, rtol=rtol, atol=atol, equal_nan=equal_nan)))


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether `isclose` holds everywhere."""
    return bool(_close("allclose", input, other, rtol, atol, equal_nan).array.all())


def equal(input: Any, other: Any) -> bool:
    """Whether shapes and all values are the same."""
    a, b = as_tensor("equal", "input", input), as_tensor("equal", "other", other)
    need_same_device("equal", input=a, other=b)
    return a.shape == b.shape and bool((a.array == b.array).all())


def logical_xor(input: Any, other: Any) -> Tensor:
    """Where exactly one is true: a bool tensor."""
    a, b = truths("logical_xor", input, other)
    return Tensor._wrap(xp_of(a, b).logical_xor(a, b))


def _bits(op: str, *values: Any) -> list[Any]:
    """The arrays of integers or bools, of one dtype."""
    given = {name: operand(v, op, name) for name, v in zip(("input", "other"), values, strict=False)}
    operands = same_dtype(op, given["input"], given["other"]) if len(given) == 2 else (as_tensor(op, "input", values[0]),)
    for name, v in given.items():
        if isinstance(v, float) or (isinstance(v, Tensor) and v.is_floating_point()):
            what = f"{v.dtype} {v.shape}" if isinstance(v, Tensor) else v
            raise TypeError(
                f"{op}: {name} is {what}, but bits are those of integers and bools; for a mask write a comparison such as x > 0"
            )
    return [v.array if isinstance(v, Tensor) else v for v in operands]


def bitwise_and(input: Any, other: Any) -> Tensor:
    """The bits that both have; for bools, where both are true."""
    a, b = _bits("bitwise_and", input, other)
    return Tensor._wrap(xp_of(a, b).bitwise_and(a, b))


def bitwise_or(input: Any, other: Any) -> Tensor:
    """The bits that at least one has; for bools, where at least one is true."""
    a, b = _bits("bitwise_or", input, other)
    return Tensor._wrap(xp_of(a, b).bitwise_or(a, b))


def bitwise_xor(input: Any, other: Any) -> Tensor:
    """The bits that exactly one has; for bools, where they differ."""
    a, b = _bits("bitwise_xor", input, other)
    return Tensor._wrap(xp_of(a, b).bitwise_xor(a, b))


def bitwise_not(input: Any) -> Tensor:
    """Every bit the other way round; for bools, the opposite."""
    (x,) = _bits("bitwise_not", input)
    return Tensor._wrap(xp_of(x).invert(x))


# ---- integers: without gradient ----


def _integers(op: str, input: Any, other: Any) -> list[Any]:
    """The arrays of integers, of one dtype."""
    a, b = same_dtype(op, input, other)
    dtype = (a if isinstance(a, Tensor) else b).dtype
    if dtype.kind not in "iu":
        raise TypeError(f"{op}: operands are {dtype}, but must be integers; convert with .long()")
    return [v.array if isinstance(v, Tensor) else v for v in (a, b)]


def gcd(input: Any, other: Any) -> Tensor:
    """The greatest common divisor of integers, elementwise with broadcasting; gcd(0, 0) is 0."""
    a, b = _integers("gcd", input, other)
    return Tensor._wrap(xp_of(a, b).gcd(a, b))


def lcm(input: Any, other: Any) -> Tensor:
    """The least common multiple of integers, elementwise with broadcasting; 0 where one of them is 0."""
    a, b = _integers("lcm", input, other)
    return Tensor._wrap(xp_of(a, b).lcm(a, b))


def bitwise_left_shift(input: Any, other: Any) -> Tensor:
    """input * 2^other, for integers: the bits moved to the left."""
    a, b = _integers("bitwise_left_shift", input, other)
    return Tensor._wrap(xp_of(a, b).left_shift(a, b))


def bitwise_right_shift(input: Any, other: Any) -> Tensor:
    """floor(input / 2^other), for integers: the bits moved to the right, the sign kept."""
    a, b = _integers("bitwise_right_shift", input, other)
    return Tensor._wrap(xp_of(a, b).right_shift(a, b))
