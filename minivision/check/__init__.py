"""Checks of derivatives: the adjoint test of linear operations, differences, relative errors. Floor 5."""

from minivision.check.adjoint import AdjointReport, adjoint
from minivision.check.numerical import numerical_gradient, relative_error

__all__ = ["AdjointReport", "adjoint", "numerical_gradient", "relative_error"]
