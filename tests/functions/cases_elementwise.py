"""Gradient checks for elementwise functions, norms, scans, sorting, gathering, rearranging and sums of products."""

from __future__ import annotations

import numpy as np

from minivision.functions import (
    clamping,
    contraction,
    division,
    elementwise,
    gathering,
    norms,
    rearranging,
    scanning,
    sorting,
    transcendental,
)
from tests.functions.cases import case

ABOVE_ZERO = {"low": 0.5, "high": 2.0}
ABOVE_ONE = {"low": 1.2, "high": 3.0}
INSIDE_ONE = {"low": -0.9, "high": 0.9}
WIDE = {"low": -3.0, "high": 3.1}
INDEX = np.array([[2, 0, 2], [1, 1, 0]])
ROWS = np.array([2, 0, 2])
DISTINCT = np.array([3, 0, 2])
PERMUTED = np.array([[2, 0, 1], [1, 2, 0]])

CASES = [
    # one operand
    *[case("", f, (3, 5), **ABOVE_ZERO) for f in (
        transcendental.Log1p, transcendental.Log2, transcendental.Log10, transcendental.Reciprocal, transcendental.Rsqrt)],
    *[case("", f, (3, 5), **INSIDE_ONE) for f in (
        transcendental.Expm1, transcendental.Exp2, transcendental.Tan, transcendental.Asin, transcendental.Acos,
        transcendental.Atan, transcendental.Sinh, transcendental.Cosh, transcendental.Asinh, transcendental.Atanh)],
    case("", transcendental.Acosh, (3, 5), **ABOVE_ONE),
    case("", transcendental.Erf, (3, 5), **WIDE),
    case("", transcendental.Erfc, (3, 5), **WIDE),
    case("", transcendental.Sinc, (3, 5), **WIDE),
    case("", division.Frac, (3, 5), low=-2.45, high=2.35),
    case("", elementwise.NanToNum, (3, 5), args=(0.0, 1.0, -1.0)),
    # two operands
    case("broadcast", division.Remainder, values=([[3.7], [-2.3]], [1.5, -0.9, 0.7])),
    case("broadcast", division.Fmod, values=([[3.7], [-2.3]], [1.5, -0.9, 0.7])),
    case("floor", division.RoundedQuotient, values=([[3.7], [-2.3]], [1.5, -0.9, 0.7]), args=("floor",)),
    case("trunc", division.RoundedQuotient, values=([[3.7], [-2.3]], [1.5, -0.9, 0.7]), args=("trunc",)),
    case("broadcast", elementwise.Atan2, (3, 1), (2, 1, 4)),
    case("broadcast", elementwise.Hypot, (3, 1), (2, 1, 4)),
    case("broadcast", elementwise.LogAddExp, (3, 1), (2, 1, 4)),
    case("broadcast", elementwise.XLogY, (3, 1), (2, 1, 4), **ABOVE_ZERO),
    case("broadcast", elementwise.Lerp, (3, 1), (4,), (2, 3, 4)),
    case("both", clamping.ClampBetween, values=([-2.0, 0.1, 2.0], [[-1.0], [0.5]], [1.0])),
    case("exchanged", clamping.ClampBetween, values=([-2.0, 0.1, 2.0], [[0.5], [-1.0]], [-0.3])),
    # norms
    case("3", norms.PNorm, (2, 3, 4), args=((0, 2), False, 3.0)),
    case("half", norms.PNorm, (2, 3), args=((1,), True, 0.5), **ABOVE_ZERO),
    case("1", norms.PNorm, (2, 3), args=((0, 1), False, 1.0)),
    case("largest", norms.ExtremeNorm, (2, 3, 4), args=((0, 2), False), **ABOVE_ZERO),
    case("smallest", norms.ExtremeNorm, (2, 3, 4), args=((1,), True, False), low=-2.0, high=-0.5),
    case("", norms.Count, (2, 3), args=((1,), True)),
    # scans
    case("", scanning.CumSum, (2, 3, 4), args=(1,)),
    case("", scanning.CumProd, (2, 3, 4), args=(2,)),
    case("zeros", scanning.CumProd, values=([[2.0, 0.0, -1.5, 0.0, 3.0], [1.0, 2.0, 3.0, 4.0, 0.0]],), args=(1,)),
    case("", scanning.Prod, (2, 3, 4), args=(1,)),
    case("zeros", scanning.Prod, values=([[2.0, 0.0, -1.5], [0.0, 2.0, 0.0], [1.0, 2.0, 3.0]],), args=(1,)),
    case("", scanning.CumMax, (2, 5, 3), args=(1,)),
    case("", scanning.CumMin, (2, 5, 3), args=(2,)),
    case("", scanning.LogCumSumExp, (2, 5, 3), args=(1,)),
    # order
    case("", sorting.Sort, (2, 5, 3), args=(1,)),
    case("descending", sorting.Sort, (2, 5), args=(0, True)),
    case("", sorting.TopK, (2, 5, 3), args=(1, 2)),
    case("smallest", sorting.TopK, (2, 5), args=(1, 3, False)),
    case("", sorting.KthValue, (2, 5, 3), args=(1, 2)),
    case("", sorting.MedianAlong, (2, 4, 3), args=(1,)),
    case("", sorting.Median, (3, 5)),
    # places
    case("duplicates", gathering.Gather, (3, 4), args=(0, INDEX)),
    case("smaller", gathering.Gather, (3, 4), args=(1, INDEX)),
    case("", gathering.Scatter, (3, 4), (2, 3), args=(1, PERMUTED)),
    case("part of the source", gathering.Scatter, (3, 4), (3, 4), args=(1, PERMUTED)),
    case("duplicates", gathering.ScatterAdd, (3, 4), (2, 3), args=(0, INDEX)),
    case("part of the source", gathering.ScatterAdd, (3, 4), (3, 3), args=(1, INDEX)),
    case("duplicates", gathering.IndexAdd, (2, 4), (2, 3), args=(1, ROWS, 1.5)),
    case("", gathering.IndexCopy, (2, 4), (2, 3), args=(1, DISTINCT)),
    # axes and entries
    case("", rearranging.Roll, (2, 3, 4), args=((1, -2), (0, 2))),
    case("", rearranging.Tril, (2, 3, 4), args=(1,)),
    case("", rearranging.Triu, (3, 4), args=(-1,)),
    case("above", rearranging.Diagonal, (2, 3, 4), args=(2,)),
    case("below", rearranging.Diagonal, (4, 3), args=(-1,)),
    case("", rearranging.DiagonalMatrix, (2, 3), args=(-1,)),
    # sums of products
    case("", contraction.Einsum, (2, 3, 4), (4, 3), (3,), args=(("abc", "cb", "b"), "ba")),
    case("one", contraction.Einsum, (2, 3), args=(("ab",), "ba")),
]  # fmt: skip
