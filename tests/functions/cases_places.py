"""Gradient checks for writing into copies, order statistics, differences, floating point, the gamma function."""

from __future__ import annotations

import numpy as np

from minivision.functions import (
    contraction,
    differences,
    floating_point,
    gamma_function,
    norms,
    rearranging,
    scattering,
    statistics,
)
from tests.functions.cases import GradientCase, case

ROWS = np.array([2, 0])
TWICE = np.array([2, 0, 2])
INDEX = np.array([[2, 0, 2], [1, 1, 0]])
MASK = np.arange(12).reshape(3, 4) % 5 == 1
EVERY = slice(None)
REDUCTIONS = (
    scattering.ScatterSum, scattering.ScatterMean, scattering.ScatterProduct, scattering.ScatterMax, scattering.ScatterMin,
)  # fmt: skip

CASES = [
    # written into a copy
    GradientCase("rows", lambda put: scattering.IndexPut((put(ROWS),)), ((3, 4), (2, 4))),
    GradientCase("broadcast", lambda put: scattering.IndexPut((put(ROWS), EVERY)), ((3, 4), (2, 1))),
    GradientCase(
        "two arrays", lambda put: scattering.IndexPut((put(ROWS[:, None]), EVERY, put(ROWS))), ((3, 2, 4), (2, 2, 2)),
    ),
    GradientCase("mask", lambda put: scattering.IndexPut((put(MASK),)), ((3, 4), (3,))),
    GradientCase("slice", lambda put: scattering.IndexPut((EVERY, slice(1, None, 2))), ((3, 4), (3, 2))),
    GradientCase("added", lambda put: scattering.IndexPut((put(TWICE),), True), ((3, 4), (3, 4))),
    GradientCase("added slice", lambda put: scattering.IndexPut((1,), True), ((3, 4), (4,))),
    case("", scattering.MaskedScatter, (3, 4), (2, 3), args=(MASK,)),
    case("", scattering.Overwrite, (3, 4), ()),
    *[case("duplicates", f, (3, 4), (2, 3), args=(0, INDEX)) for f in REDUCTIONS],
    *[case("larger source", f, (3, 4), (3, 5), args=(1, INDEX)) for f in REDUCTIONS],
    *[case("sources alone", f, (3, 4), (2, 3), args=(0, INDEX, False)) for f in REDUCTIONS],
    case("zeros", scattering.ScatterProduct, values=([0.0, 2.0, 3.0, 0.0], [0.0, 4.0, 0.0, 5.0, 0.0]),
         args=(0, np.array([1, 1, 2, 2, 3]))),
    case("", rearranging.BlockDiagonal, (2, 3), (1, 1), (3, 2)),
    # order
    case("", statistics.NanMedianAlong, (2, 4, 3), args=(1,)),
    case("", statistics.NanMedian, (3, 5)),
    case("", statistics.Mode, (2, 4, 3), args=(1,)),
    # differences and products
    case("", differences.Diff, (2, 4, 3), args=(1,)),
    case("", contraction.Cross, (2, 3, 4), (3, 1), args=(-2,)),
    case("", norms.NuclearNorm, (2, 3, 4)),
    # floating point, gamma
    case("broadcast", floating_point.CopySign, (3, 1), (2, 1, 4)),
    case("broadcast", floating_point.LogAddExp2, (3, 1), (2, 1, 4)),
    case("broadcast", floating_point.FMax, values=([[0.1], [0.9]], [0.5, -0.5, 0.7])),
    case("broadcast", floating_point.FMin, values=([[0.1], [0.9]], [0.5, -0.5, 0.7])),
    case("", gamma_function.LogGamma, (3, 5), low=0.3, high=6.0),
    case("negative", gamma_function.LogGamma, values=([-0.4, -1.7, -3.3, 0.2],)),
    case("", gamma_function.Digamma, (3, 5), low=0.5, high=6.0),
    case("negative", gamma_function.Digamma, values=([-0.4, -1.7, -3.3, 0.2],)),
]  # fmt: skip
