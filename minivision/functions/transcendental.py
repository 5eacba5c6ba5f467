"""Logarithms, exponentials, roots, circular and hyperbolic functions of one operand: each derivative is one line."""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.error_function import complementary_error_function, error_function
from minivision.functions.operands import promoted


class Log1p(Function):
    """y = ln(1 + x), exact for small x;  dx = dy / (1 + x)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).log1p(x)

    def backward(self, dy: Array) -> Array:
        return dy / (1 + self.x)


class Log2(Function):
    """y = log2 x;  dx = dy / (x ln 2)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).log2(x)

    def backward(self, dy: Array) -> Array:
        return dy / (self.x * math.log(2))


class Log10(Function):
    """y = log10 x;  dx = dy / (x ln 10)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).log10(x)

    def backward(self, dy: Array) -> Array:
        return dy / (self.x * math.log(10))


class Expm1(Function):
    """y = e^x - 1, exact for small x;  dx = dy (y + 1)"""

    def forward(self, x: Array) -> Array:
        self.y = xp_of(x).expm1(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (self.y + 1)


class Exp2(Function):
    """y = 2^x;  dx = dy y ln 2"""

    def forward(self, x: Array) -> Array:
        self.y = xp_of(x).exp2(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y * math.log(2)


class Reciprocal(Function):
    """y = 1 / x;  dx = -dy y^2"""

    def forward(self, x: Array) -> Array:
        self.y = 1 / x
        return self.y

    def backward(self, dy: Array) -> Array:
        return -dy * self.y * self.y


class Rsqrt(Function):
    """y = 1 / sqrt x;  dx = -dy y^3 / 2"""

    def forward(self, x: Array) -> Array:
        self.y = 1 / xp_of(x).sqrt(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y**3 / -2


class Tan(Function):
    """y = tan x;  dx = dy (1 + y^2)"""

    def forward(self, x: Array) -> Array:
        self.y = xp_of(x).tan(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (1 + self.y * self.y)


class Asin(Function):
    """y = arcsin x;  dx = dy / sqrt(1 - x^2)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).arcsin(x)

    def backward(self, dy: Array) -> Array:
        return dy / xp_of(dy).sqrt(1 - self.x * self.x)


class Acos(Function):
    """y = arccos x;  dx = -dy / sqrt(1 - x^2)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).arccos(x)

    def backward(self, dy: Array) -> Array:
        return -dy / xp_of(dy).sqrt(1 - self.x * self.x)


class Atan(Function):
    """y = arctan x;  dx = dy / (1 + x^2)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).arctan(x)

    def backward(self, dy: Array) -> Array:
        return dy / (1 + self.x * self.x)


class Sinh(Function):
    """y = sinh x = (e^x - e^-x) / 2;  dx = dy cosh x"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).sinh(x)

    def backward(self, dy: Array) -> Array:
        return dy * xp_of(dy).cosh(self.x)


class Cosh(Function):
    """y = cosh x = (e^x + e^-x) / 2;  dx = dy sinh x"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).cosh(x)

    def backward(self, dy: Array) -> Array:
        return dy * xp_of(dy).sinh(self.x)


class Asinh(Function):
    """y = arsinh x;  dx = dy / sqrt(x^2 + 1)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).arcsinh(x)

    def backward(self, dy: Array) -> Array:
        return dy / xp_of(dy).sqrt(self.x * self.x + 1)


class Acosh(Function):
    """y = arcosh x;  dx = dy / sqrt(x^2 - 1)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).arccosh(x)

    def backward(self, dy: Array) -> Array:
        return dy / xp_of(dy).sqrt(self.x * self.x - 1)


class Atanh(Function):
    """y = artanh x;  dx = dy / (1 - x^2)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return xp_of(x).arctanh(x)

    def backward(self, dy: Array) -> Array:
        return dy / (1 - self.x * self.x)


class Erf(Function):
    """y = erf x = 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x;  dx = dy 2 / sqrt(pi) e^(-x^2)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return error_function(x)

    def backward(self, dy: Array) -> Array:
        return dy * xp_of(dy).exp(-self.x * self.x) * (2 / math.sqrt(math.pi))


class Erfc(Function):
    """y = 1 - erf x, exact for large x too;  dx = -dy 2 / sqrt(pi) e^(-x^2)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return complementary_error_function(x)

    def backward(self, dy: Array) -> Array:
        return dy * xp_of(dy).exp(-self.x * self.x) * (-2 / math.sqrt(math.pi))


class Sinc(Function):
    """y = sin(pi x) / (pi x), and 1 at 0;  dx = dy (cos(pi x) - y) / x, and 0 at 0"""

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        angle = math.pi * xp.where(x == 0, xp.ones_like(x), x)
        self.x, self.y = x, xp.where(x == 0, xp.ones_like(x), xp.sin(angle) / angle)
        return self.y

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        safe = xp.where(self.x == 0, xp.ones_like(self.x), self.x)
        return xp.where(self.x == 0, xp.zeros_like(dy), dy * (xp.cos(math.pi * self.x) - self.y) / safe)


# ---- what users call; integers are converted to float32 first ----


def log1p(input: Any) -> Tensor:
    """ln(1 + input), exact where `input` is small."""
    return Log1p()(promoted("log1p", input))


def log2(input: Any) -> Tensor:
    """The logarithm to base 2."""
    return Log2()(promoted("log2", input))


def log10(input: Any) -> Tensor:
    """The logarithm to base 10."""
    return Log10()(promoted("log10", input))


def expm1(input: Any) -> Tensor:
    """e^input - 1, exact where `input` is small."""
    return Expm1()(promoted("expm1", input))


def exp2(input: Any) -> Tensor:
    """2 to the power of `input`."""
    return Exp2()(promoted("exp2", input))


def reciprocal(input: Any) -> Tensor:
    """1 / input."""
    return Reciprocal()(promoted("reciprocal", input))


def rsqrt(input: Any) -> Tensor:
    """1 / sqrt(input)."""
    return Rsqrt()(promoted("rsqrt", input))


def tan(input: Any) -> Tensor:
    """The tangent."""
    return Tan()(promoted("tan", input))


def asin(input: Any) -> Tensor:
    """The inverse of `sin`, in -pi/2 .. pi/2; NaN outside -1 .. 1."""
    return Asin()(promoted("asin", input))


def acos(input: Any) -> Tensor:
    """The inverse of `cos`, in 0 .. pi; NaN outside -1 .. 1."""
    return Acos()(promoted("acos", input))


def atan(input: Any) -> Tensor:
    """The inverse of `tan`, in -pi/2 .. pi/2."""
    return Atan()(promoted("atan", input))


def sinh(input: Any) -> Tensor:
    """The hyperbolic sine."""
    return Sinh()(promoted("sinh", input))


def cosh(input: Any) -> Tensor:
    """The hyperbolic cosine."""
    return Cosh()(promoted("cosh", input))


def asinh(input: Any) -> Tensor:
    """The inverse of `sinh`."""
    return Asinh()(promoted("asinh", input))


def acosh(input: Any) -> Tensor:
    """The inverse of `cosh`, not negative; NaN below 1."""
    return Acosh()(promoted("acosh", input))


def atanh(input: Any) -> Tensor:
    """The inverse of `tanh`; NaN outside -1 .. 1."""
    return Atanh()(promoted("atanh", input))


def erf(input: Any) -> Tensor:
    """The error function."""
    return Erf()(promoted("erf", input))


def erfc(input: Any) -> Tensor:
    """1 - erf(input), without cancellation where `input` is large."""
    return Erfc()(promoted("erfc", input))


def sinc(input: Any) -> Tensor:
    """sin(pi input) / (pi input), and 1 at 0."""
    return Sinc()(promoted("sinc", input))


def deg2rad(input: Any) -> Tensor:
    """Degrees as radians."""
    return promoted("deg2rad", input) * (math.pi / 180)


def rad2deg(input: Any) -> Tensor:
    """Radians as degrees."""
    return promoted("rad2deg", input) * (180 / math.pi)


arcsin, arccos, arctan = asin, acos, atan
arcsinh, arccosh, arctanh = asinh, acosh, atanh
