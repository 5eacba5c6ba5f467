"""Checks of derivatives, for minivision's operations and for anyone's NumPy code.

`check.backward(forward, backward, *inputs)` compares a backward written by hand with differences and, when it is wrong, names the
mistake; `check.gradient(fn, *inputs)` does so for functions of Tensors, modules and `Function`s; `check.adjoint` tests whether
two linear operations are each other's transpose, without any step size. `numerical_gradient` and `relative_error` are the parts.
"""

from minivision.check.adjoint import AdjointReport, adjoint
from minivision.check.gradient import backward, gradient, tie_free
from minivision.check.numerical import numerical_gradient, relative_error
from minivision.check.report import GradientReport, InputReport

__all__ = [
    "AdjointReport",
    "GradientReport",
    "InputReport",
    "adjoint",
    "backward",
    "gradient",
    "numerical_gradient",
    "relative_error",
    "tie_free",
]
