"""The logarithm of the gamma function, and its derivatives: by recurrence to large arguments, where Stirling's series holds."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.operands import promoted

LARGE = 12.0  # from here on seven terms of a series are exact in float64
EULER = 0.5772156649015329
# B_2k / (2k (2k - 1)), B_2k / 2k and B_2k, with Bernoulli's numbers B_2k
LOG_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
DIGAMMA_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
TRIGAMMA_SERIES = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)


class LogGamma(Function):
    """y = ln |gamma(x)|, so that e^y = (x - 1)! for whole x;  dx = dy digamma(x)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return log_gamma(x)

    def backward(self, dy: Array) -> Array:
        return dy * digamma_of(self.x)


class Digamma(Function):
    """y = the derivative of ln gamma at x;  dx = dy trigamma(x)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return digamma_of(x)

    def backward(self, dy: Array) -> Array:
        return dy * trigamma_of(self.x)


def log_gamma(x: Array) -> Array:
    """ln |gamma(x)|; infinite at 0, -1, -2, ..

    gamma(x) gamma(1 - x) = pi / sin(pi x) brings x < 1/2 to the other side; gamma(x + 1) = x gamma(x) brings the rest to large
    arguments. Near its zeros 1 and 2 the power series takes over, which has no cancellation.
    """
    xp = xp_of(x)
    left = x < 0.5
    a = xp.where(left, 1 - x, x)
    large, product = a, xp.ones_like(a)
    for _ in range(int(LARGE)):
        small = large < LARGE
        product = xp.where(small, product * large, product)
        large = xp.where(small, large + 1, large)
    y = (large - 0.5) * (xp.log(large) - 1) + (math.log(2 * math.pi) - 1) / 2 + _series(LOG_SERIES, large) / large
    y = y - xp.log(product)
    one = abs(a - 1) < 0.3
    y = xp.where(one, _log_gamma_near_1(xp.where(one, a - 1, 0)), y)
    two = abs(a - 2) < 0.3
    z = xp.where(two, a - 2, 0)  # gamma(2 + z) = (1 + z) gamma(1 + z)
    y = xp.where(two, xp.log1p(z) + _log_gamma_near_1(z), y)
    sine = abs(xp.where(left, _of_fraction(xp.sin, x), xp.ones_like(x)))
    y = xp.where(left, math.log(math.pi) - xp.log(sine) - y, y)
    return xp.where(xp.isinf(x), xp.full_like(x, math.inf), y)


def digamma_of(x: Array) -> Array:
    """The derivative of ln gamma: -inf at 0, NaN at -1, -2, .."""
    xp = xp_of(x)
    left = x < 0.5
    large, total = _raised(xp.where(left, 1 - x, x), lambda a: 1 / a)
    y = xp.log(large) - (0.5 + _series(DIGAMMA_SERIES, large) / large) / large - total
    tangent = xp.where(left, _of_fraction(xp.tan, x), xp.ones_like(x))
    y = xp.where(left, y - math.pi / tangent, y)
    y = xp.where(x == 0, -xp.copysign(xp.full_like(x, math.inf), x), y)
    return xp.where((x < 0) & (x == xp.floor(x)), xp.full_like(x, math.nan), y)


def trigamma_of(x: Array) -> Array:
    """The second derivative of ln gamma; infinite at 0, -1, -2, .."""
    xp = xp_of(x)
    left = x < 0.5
    large, total = _raised(xp.where(left, 1 - x, x), lambda a: 1 / (a * a))
    y = (1 + (0.5 + _series(TRIGAMMA_SERIES, large) / large) / large) / large + total
    sine = xp.where(left, _of_fraction(xp.sin, x), xp.ones_like(x))
    return xp.where(left, (math.pi / sine) ** 2 - y, y)


def _of_fraction(function: Any, x: Array) -> Array:
    """The sine or tangent of pi x, up to its sign: of the part behind the point, in which no digit is lost."""
    xp = xp_of(x)
    return function(math.pi * (x - xp.rint(xp.where(xp.isfinite(x), x, xp.zeros_like(x)))))


def _raised(a: Array, term: Any) -> tuple[Array, Array]:
    """The arguments a + n that are at least LARGE, and the sum of term(a), term(a + 1), .. on the way there."""
    xp, total = xp_of(a), xp_of(a).zeros_like(a)
    for _ in range(int(LARGE)):
        small = a < LARGE
        total = xp.where(small, total + term(a), total)
        a = xp.where(small, a + 1, a)
    return a, total


def _series(coefficients: Sequence[float], x: Array) -> Array:
    """c_0 + c_1 / x^2 + c_2 / x^4 + ..., from the last term to the first."""
    inverse, total = 1 / x, xp_of(x).zeros_like(x)
    for c in reversed(coefficients):
        total = total * inverse * inverse + c
    return total


def _log_gamma_near_1(z: Array) -> Array:
    """ln gamma(1 + z) = -0.577.. z + sum over k >= 2 of zeta(k) (-z)^k / k, for |z| < 0.3"""
    total = xp_of(z).zeros_like(z)
    for k in range(30, 1, -1):
        total = (total + zeta(k) / k) * -z
    return (total + EULER) * -z


@functools.cache
def zeta(k: int) -> float:
    """1 + 1/2^k + 1/3^k + ...: some terms, and Euler and Maclaurin's formula for the rest."""
    n = 30
    rest = n ** (1 - k) / (k - 1) + n**-k / 2
    term = k * n ** (-k - 1) / 2  # B_2 = 1/6, B_4 = -1/30, B_6 = 1/42, each over (2 j)!
    rest += term / 6
    term *= (k + 1) * (k + 2) / (3 * 4 * n**2)
    rest -= term / 30
    term *= (k + 3) * (k + 4) / (5 * 6 * n**2)
    rest += term / 42
    return math.fsum(i**-k for i in range(1, n)) + rest


# ---- what users call ----


def lgamma(input: Any) -> Tensor:
    """ln |gamma(input)|, the logarithm of the factorial: lgamma(n + 1) = ln n!"""
    return LogGamma()(promoted("lgamma", input))


def digamma(input: Any) -> Tensor:
    """The derivative of `lgamma`."""
    return Digamma()(promoted("digamma", input))
