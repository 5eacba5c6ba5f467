"""The error function, which NumPy does not have."""

from __future__ import annotations

from collections.abc import Sequence

from minivision.backend import Array, xp_of

# W. J. Cody, "Rational Chebyshev approximation for the error function", Mathematics of Computation 23 (1969): numerators and
# denominators for |x| < 0.46875, up to 4, and beyond; the highest power comes first.
_SMALL = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
     8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
_LARGE = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1, 1.60837851487422766e-2,
     6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2, 2.33520497626869185e-3),
)  # fmt: skip
_ONE_OVER_ROOT_PI = 5.6418958354775628695e-1


def error_function(x: Array) -> Array:
    """erf x = 2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x, to the last digits of float64."""
    xp = xp_of(x)
    size = abs(x)
    return xp.where(size <= 0.46875, _near_zero(x), (1 - _tail(size)) * xp.sign(x))


def complementary_error_function(x: Array) -> Array:
    """erfc x = 1 - erf x, without cancellation where erf x is close to 1."""
    xp = xp_of(x)
    size = abs(x)
    tail = _tail(size)
    return xp.where(size <= 0.46875, 1 - _near_zero(x), xp.where(x < 0, 2 - tail, tail))


def _near_zero(x: Array) -> Array:
    """erf x for |x| up to 0.46875."""
    xp = xp_of(x)
    near = xp.minimum(xp.maximum(x, -0.46875), 0.46875)
    return near * _ratio(_SMALL, near * near)


def _tail(size: Array) -> Array:
    """erfc of a size from 0.46875 on; beyond 30 it is smaller than any number."""
    xp = xp_of(size)
    middle = xp.minimum(xp.maximum(size, 0.46875), 4.0)
    far = xp.minimum(xp.maximum(size, 4.0), 30.0)
    inverse = 1 / (far * far)
    last = (_ONE_OVER_ROOT_PI - inverse * _ratio(_LARGE, inverse)) / far
    beyond = xp.minimum(size, 30.0)
    return xp.exp(-beyond * beyond) * xp.where(size > 4.0, last, _ratio(_MIDDLE, middle))


def _ratio(coefficients: tuple[Sequence[float], Sequence[float]], x: Array) -> Array:
    """p(x) / q(x) by Horner's rule."""
    values = []
    for polynomial in coefficients:
        value = polynomial[0] + 0 * x
        for coefficient in polynomial[1:]:
            value = value * x + coefficient
        values.append(value)
    return values[0] / values[1]
