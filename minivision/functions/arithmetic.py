"""Elementwise arithmetic with broadcasting: each derivative is one line."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.blocks import in_blocks
from minivision.functions.division import rounded_quotient
from minivision.functions.operands import (
    Scalar,
    alike,
    as_tensor,
    check_broadcast,
    check_fits,
    integer,
    need_bool,
    need_numbers,
    need_same_device,
    number,
    operand,
    promoted,
    same_dtype,
)
from minivision.memory import empty_like

LARGE = 1 << 16  # elements; sharing out fewer takes longer than it saves


def is_small(a: Any) -> bool:
    """Whether an operand is a number, or an array that is best worked on as it is."""
    return type(a) is not np.ndarray or a.size < LARGE


def in_parts(ufunc: Any, a: Array, b: Array) -> Array:
    """`ufunc(a, b)`; for large arrays of one shape, or one and a number, in blocks over the threads, into recycled memory."""
    if a.dtype.kind == "f":
        if type(b) is np.ndarray and b.shape == a.shape and b.dtype == a.dtype:
            y = empty_like(a)
            in_blocks(lambda a, b, y: ufunc(a, b, out=y), a, b, y)
            return y
        if type(b) in (int, float):
            y = empty_like(a)
            in_blocks(lambda a, y: ufunc(a, b, out=y), a, y)
            return y
    return getattr(xp_of(a, b), ufunc.__name__)(a, b)


# ---- two operands; the base class sums a gradient over the axes along which its operand was broadcast ----


class Add(Function):
    """y = a + b;  da = dy,  db = dy"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        return a + b if is_small(a) else in_parts(np.add, a, b)

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return dy, dy


class Sub(Function):
    """y = a - b;  da = dy,  db = -dy"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        return a - b if is_small(a) else in_parts(np.subtract, a, b)

    def backward(self, dy: Array) -> tuple[Array, Array | None]:
        if not self.needs_input_grad[1]:
            return dy, None
        return dy, -dy if is_small(dy) else in_parts(np.multiply, dy, -1.0)


class Mul(Function):
    """y = a b;  da = dy b,  db = dy a"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        # each factor is kept only for the other one's gradient
        self.a = a if self.needs_input_grad[1] else None
        self.b = b if self.needs_input_grad[0] else None
        return a * b if is_small(a) else in_parts(np.multiply, a, b)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        if is_small(dy):
            return None if self.b is None else dy * self.b, None if self.a is None else dy * self.a
        da = None if self.b is None else in_parts(np.multiply, dy, self.b)
        return da, None if self.a is None else in_parts(np.multiply, dy, self.a)


class Div(Function):
    """y = a / b;  da = dy / b,  db = -dy a / b^2"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a if self.needs_input_grad[1] else None, b
        return a / b if is_small(a) else in_parts(np.divide, a, b)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        da = None
        if self.needs_input_grad[0]:
            da = dy / self.b if is_small(dy) else in_parts(np.divide, dy, self.b)
        db = -dy * self.a / (self.b * self.b) if self.needs_input_grad[1] else None
        return da, db


class Pow(Function):
    """y = a^b;  da = dy b a^(b-1),  db = dy y ln a  (both 0 where the factor in front is: b = 0, or a = 0 < b)"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        self.y = a**b
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        xp = xp_of(dy)
        a, b, y = self.a, self.b, self.y
        da = db = None
        if self.needs_input_grad[0]:
            da = dy * xp.where(b == 0, xp.zeros_like(y), b * a ** xp.where(b == 0, xp.ones_like(y), b - xp.ones_like(y)))
        if self.needs_input_grad[1]:
            safe = xp.where((a == 0) & (b >= 0), xp.ones_like(y), a + xp.zeros_like(y))
            db = dy * y * xp.log(safe)
        return da, db


class Power(Function):
    """y = x^p for a number p;  dx = dy p x^(p-1), and 0 for p = 0"""

    def __init__(self, p: Scalar):
        self.p = p

    def forward(self, x: Array) -> Array:
        self.x = x
        return x**self.p

    def backward(self, dy: Array) -> Array:
        return dy * (self.p * self.x ** (self.p - 1)) if self.p else xp_of(dy).zeros_like(dy)


class _Extremum(Function):
    """The larger (or smaller) of two operands; on a tie each receives half the gradient."""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        xp = xp_of(a, b)
        self.first, self.tie = self.wins(a, b), a == b
        return self.choose(xp, a, b)

    def wins(self, a: Array, b: Array) -> Array:
        raise NotImplementedError

    def choose(self, xp: Any, a: Array, b: Array) -> Array:
        raise NotImplementedError

    def backward(self, dy: Array) -> tuple[Array, Array]:
        xp = xp_of(dy)
        half = xp.where(self.tie, dy / 2, xp.zeros_like(dy))
        da = xp.where(self.first, dy, half)
        return da, dy - da

    def decisions(self) -> dict[str, Array]:
        return {"first operand wins": self.first, "tie": self.tie}


class Maximum(_Extremum):
    """y = max(a, b)"""

    def wins(self, a: Array, b: Array) -> Array:
        return a > b

    def choose(self, xp: Any, a: Array, b: Array) -> Array:
        return xp.maximum(a, b)


class Minimum(_Extremum):
    """y = min(a, b)"""

    def wins(self, a: Array, b: Array) -> Array:
        return a < b

    def choose(self, xp: Any, a: Array, b: Array) -> Array:
        return xp.minimum(a, b)


class Where(Function):
    """y = a where condition else b;  the gradient follows the choice"""

    broadcasts = True

    def __init__(self, condition: Array):
        self.condition = condition

    def forward(self, a: Array, b: Array) -> Array:
        return xp_of(self.condition).where(self.condition, a, b)

    def backward(self, dy: Array) -> tuple[Array, Array]:
        xp = xp_of(dy)
        return xp.where(self.condition, dy, xp.zeros_like(dy)), xp.where(self.condition, xp.zeros_like(dy), dy)

    def decisions(self) -> dict[str, Array]:
        return {"condition": self.condition}


# ---- one operand ----


class Neg(Function):
    """y = -x;  dx = -dy"""

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, dy: Array) -> Array:
        return -dy


class Exp(Function):
    """y = e^x;  dx = dy y"""

    def forward(self, x: Array) -> Array:
        self.y = xp_of(x).exp(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y


class Log(Function):
    """y = ln x;  dx = dy / x"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).log(x)

    def backward(self, dy: Array) -> Array:
        return dy / self.x


class Sqrt(Function):
    """y = sqrt x;  dx = dy / (2 y)"""

    def forward(self, x: Array) -> Array:
        self.y = xp_of(x).sqrt(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy / (2 * self.y)


class Abs(Function):
    """y = |x|;  dx = dy sign(x), which is 0 at 0"""

    def forward(self, x: Array) -> Array:
        self.sign = xp_of(x).sign(x)
        return abs(x)

    def backward(self, dy: Array) -> Array:
        return dy * self.sign

    def decisions(self) -> dict[str, Array]:
        return {"sign": self.sign}


class Sin(Function):
    """y = sin x;  dx = dy cos x"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).sin(x)

    def backward(self, dy: Array) -> Array:
        return dy * xp_of(dy).cos(self.x)


class Cos(Function):
    """y = cos x;  dx = -dy sin x"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).cos(x)

    def backward(self, dy: Array) -> Array:
        return -dy * xp_of(dy).sin(self.x)


# ---- what users call ----


def add(input: Any, other: Any, *, alpha: Scalar = 1) -> Tensor:
    """`input + alpha * other`, elementwise with broadcasting, as `torch.add`."""
    a, b = same_dtype("add", input, other)
    if type(alpha) is not int or alpha != 1:
        a, b = with_factor("add", a, b, alpha)
    return Add()(a, b)


def sub(input: Any, other: Any, *, alpha: Scalar = 1) -> Tensor:
    """`input - alpha * other`, elementwise with broadcasting, as `torch.sub`. Raises TypeError for bools."""
    return _difference("sub", input, other, alpha, ("input", "other"))


def _difference(op: str, input: Any, other: Any, alpha: Scalar, names: tuple[str, str]) -> Tensor:
    if alike(input, other) and type(alpha) is int and alpha == 1:
        return Sub()(input, other)
    a, b = operand(input, op, names[0]), operand(other, op, names[1])
    for name, v in zip(names, (a, b), strict=True):
        if isinstance(v, bool) or (isinstance(v, Tensor) and v.dtype == np.bool_):
            raise TypeError(
                f"{op}: {name} is {f'bool {v.shape}' if isinstance(v, Tensor) else v}, and truth values have no difference; use "
                "~ for the opposite of a mask, ^ for where two masks differ, or convert with .int()"
            )
    return Sub()(*with_factor(op, *same_dtype(op, a, b, names=names), alpha))


def with_factor(op: str, input: Any, other: Any, factor: Scalar, name: str = "alpha") -> tuple[Any, Any]:
    """`input` and `factor * other`, for two operands of one dtype, which must be able to hold the factor."""
    if type(factor) is int and factor == 1:
        return input, other
    factor = number(op, name, factor)
    dtype = (input if isinstance(input, Tensor) else other).dtype
    check_fits(op, name, factor, dtype)
    if isinstance(other, Tensor):
        return input, Mul()(other, factor)
    check_fits(op, f"{name} * other", other * factor, dtype)
    return input, other * factor


def rsub(input: Any, other: Any, *, alpha: Scalar = 1) -> Tensor:
    """`other - alpha * input`: `sub` with its operands exchanged."""
    return _difference("rsub", other, input, alpha, ("other", "input"))


def mul(input: Any, other: Any) -> Tensor:
    """`input * other`, elementwise with broadcasting."""
    a, b = same_dtype("mul", input, other)
    return Mul()(a, b)


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """`input / other`, elementwise with broadcasting; integers are converted to float32 first.

    With `rounding_mode` "floor" or "trunc" the quotient is rounded down or towards 0, integers stay, and the gradient is 0.
    """
    if rounding_mode is not None:
        return rounded_quotient("div", input, other, rounding_mode)
    return Div()(*same_dtype("div", input, other, floating=True))


def pow(input: Any, exponent: Any) -> Tensor:
    """`input ** exponent`, elementwise with broadcasting. Raises ValueError for a negative power of an integer, a fraction."""
    base, power = same_dtype("pow", input, exponent, names=("input", "exponent"))
    dtype = (base if isinstance(base, Tensor) else power).dtype
    if dtype == np.bool_:
        need_numbers("pow", input=base, exponent=power)
    if dtype.kind == "i" and bool((power.array < 0).any() if isinstance(power, Tensor) else power < 0):
        raise ValueError(
            f"pow: exponent{' has negative values' if isinstance(power, Tensor) else f'={power} is negative'}, but input is "
            f"{dtype}, and the negative power of an integer is a fraction; convert input with .float()"
        )
    return Pow()(base, power) if isinstance(power, Tensor) else Power(power)(base)


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two tensors, elementwise; a tie splits the gradient in half."""
    return Maximum()(*same_dtype("maximum", input, other))


def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two tensors, elementwise; a tie splits the gradient in half."""
    return Minimum()(*same_dtype("minimum", input, other))


def where(condition: Any, input: Any, other: Any) -> Tensor:
    """`input` where `condition` is true, else `other`; all three broadcast."""
    test = as_tensor("where", "condition", condition)
    need_bool("where", "condition", test)
    a, b = same_dtype("where", input, other)
    if isinstance(input, (bool, int, float)) and not isinstance(b, Tensor):
        a = a.to(device=test.device)  # of two numbers
    given = {name: v for name, v in (("condition", test), ("input", a), ("other", b)) if isinstance(v, Tensor)}
    need_same_device("where", **given)
    check_broadcast("where", [v.shape for v in given.values()], list(given))
    return Where(test.array)(a, b)


def neg(input: Any) -> Tensor:
    """`-input`. Raises TypeError for bools."""
    x = as_tensor("neg", "input", input)
    if x.dtype == np.bool_:
        raise TypeError(f"neg: input is bool {x.shape}, which has no negative; use ~ for the opposite of a mask")
    return Neg()(x)


def exp(input: Any) -> Tensor:
    """e to the power of `input`."""
    return Exp()(promoted("exp", input))


def log(input: Any) -> Tensor:
    """The natural logarithm."""
    return Log()(promoted("log", input))


def sqrt(input: Any) -> Tensor:
    """The square root."""
    return Sqrt()(promoted("sqrt", input))


def abs_(input: Any) -> Tensor:
    """The absolute value; its derivative at 0 is 0."""
    return Abs()(_numbers("abs", input))


def sin(input: Any) -> Tensor:
    """The sine."""
    return Sin()(promoted("sin", input))


def cos(input: Any) -> Tensor:
    """The cosine."""
    return Cos()(promoted("cos", input))


def square(input: Any) -> Tensor:
    """`input * input`."""
    x = as_tensor("square", "input", input)
    return mul(x, x)


# ---- comparisons and tests: no gradient, so plain array code ----


def _comparison(name: str, symbol: str) -> Any:
    def compare(input: Any, other: Any) -> Tensor:
        a, b = same_dtype(name, input, other, fit=False)
        ufunc = getattr(xp_of(*(x.array for x in (a, b) if isinstance(x, Tensor))), _UFUNCS[name])
        return Tensor._wrap(ufunc(*(x.array if isinstance(x, Tensor) else x for x in (a, b))))

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"`input {symbol} other`, elementwise with broadcasting: a bool tensor, without gradient."
    return compare


_UFUNCS = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}

eq = _comparison("eq", "==")
ne = _comparison("ne", "!=")
lt = _comparison("lt", "<")
le = _comparison("le", "<=")
gt = _comparison("gt", ">")
ge = _comparison("ge", ">=")


def _array_function(name: str, doc: str, *, ufunc: str | None = None) -> Any:
    def apply(input: Any) -> Tensor:
        x = as_tensor(name, "input", input).array
        return Tensor._wrap(getattr(xp_of(x), ufunc or name)(x))

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = doc
    return apply


isnan = _array_function("isnan", "Where `input` is NaN: a bool tensor.")
isinf = _array_function("isinf", "Where `input` is infinite: a bool tensor.")
isfinite = _array_function("isfinite", "Where `input` is neither NaN nor infinite: a bool tensor.")
logical_not = _array_function("logical_not", "Where `input` is zero or False: a bool tensor.")


def logical_and(input: Any, other: Any) -> Tensor:
    """Where both are true: a bool tensor."""
    a, b = truths("logical_and", input, other)
    return Tensor._wrap(xp_of(a, b).logical_and(a, b))


def logical_or(input: Any, other: Any) -> Tensor:
    """Where at least one is true: a bool tensor."""
    a, b = truths("logical_or", input, other)
    return Tensor._wrap(xp_of(a, b).logical_or(a, b))


def truths(op: str, input: Any, other: Any) -> tuple[Array, Array]:
    """The arrays of two operands of any dtypes, on one device, known to broadcast."""
    a, b = as_tensor(op, "input", input), as_tensor(op, "other", other)
    need_same_device(op, input=a, other=b)
    check_broadcast(op, [a.shape, b.shape], ("input", "other"))
    return a.array, b.array


class Rounding(Function):
    """floor, ceil, trunc, rint, sign: piecewise constant, so dx = 0, also (by definition) at the jumps"""

    def __init__(self, name: str):
        self.rounding = name

    def forward(self, x: Array) -> Array:
        return getattr(xp_of(x), self.rounding)(x).astype(x.dtype)

    def backward(self, dy: Array) -> Array:
        return xp_of(dy).zeros_like(dy)


def floor(input: Any) -> Tensor:
    """The largest integer not above `input`; its gradient is 0."""
    return Rounding("floor")(_numbers("floor", input))


def ceil(input: Any) -> Tensor:
    """The smallest integer not below `input`; its gradient is 0."""
    return Rounding("ceil")(_numbers("ceil", input))


def trunc(input: Any) -> Tensor:
    """The integer part, without what is behind the point; its gradient is 0."""
    return Rounding("trunc")(_numbers("trunc", input))


def _numbers(op: str, input: Any) -> Tensor:
    """`input` as a Tensor that is not bool."""
    x = as_tensor(op, "input", input)
    need_numbers(op, input=x)
    return x


def round(input: Any, *, decimals: int = 0) -> Tensor:
    """The nearest integer, or multiple of 10^-decimals, halves to the even one; its gradient is 0."""
    x, places = _numbers("round", input), integer("round", "decimals", decimals)
    if places == 0:
        return Rounding("rint")(x)
    if not x.is_floating_point():
        raise TypeError(f"round: decimals={places} is for floats, but input is {x.dtype} {x.shape}; convert it with .float()")
    if abs(places) > 300:
        raise ValueError(f"round: decimals={places} is beyond the digits of a float; legal are -300 .. 300")
    return div(Rounding("rint")(mul(x, 10.0**places)), 10.0**places)


def sign(input: Any) -> Tensor:
    """-1, 0 or 1; its gradient is 0."""
    x = as_tensor("sign", "input", input)
    return x.clone() if x.dtype == np.bool_ else Rounding("sign")(x)


subtract, multiply, divide, true_divide, negative, absolute, fix, sgn = sub, mul, div, div, neg, abs_, trunc, sign


def is_tensor(value: object) -> bool:
    """Whether `value` is a Tensor."""
    return isinstance(value, Tensor)
