"""Writing into copies, sets and searching, order statistics, differences, floating point, small shape operations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.oracle.cases import Case, Constant, Fixed, Given, Normal, Row, table

INF, NAN = float("inf"), float("nan")
PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3, 4), (3, 4)),
    ((3, 1), (2, 1, 4)),
    ((), (2, 3)),
    ((), ()),
    ((0, 3), (3,)),
]
INDEX = np.array([[2, 0, 2], [1, 1, 0]])
MASK = np.arange(12).reshape(3, 4) % 5 == 1


def written() -> Iterator[Row]:
    rows, twice = np.array([2, 0]), np.array([2, 0, 2])
    for accumulate in (False, True):
        settings = {"accumulate": accumulate}
        yield "index_put", [(3, 4), Given((rows,)), (2, 4)], settings
        yield "index_put", [(3, 4), Given((rows,)), (4,)], settings
        yield "index_put", [(3, 4), Given((rows,)), ()], settings
        yield "index_put", [(3, 4), Given((rows, np.array([-1, 1]))), (2,)], settings
        yield "index_put", [(3, 2, 4), Given((rows[:, None], np.array([0, 1]))), (2, 2, 4)], settings
        yield "index_put", [(3, 4), Given((MASK,)), (3,)], settings
        yield "index_put", [(3, 4), Given((MASK,)), (1,)], settings
        yield "put", [(3, 4), Given(np.array([[1, -2], [7, 0]])), (2, 2)], settings
    yield "index_put", [(3, 4), Given((twice,)), (3, 4)], {"accumulate": True}
    yield "put", [(3, 4), Given(np.array([1, 1])), (2,)], {"accumulate": True}
    yield "masked_scatter", [(3, 4), Given(MASK), (5,)], {}
    yield "masked_scatter", [(3, 4), Given(MASK[:, :1] | True), (3, 5)], {}
    yield "masked_scatter", [(4,), Given(MASK), (3,)], {}
    for reduce, include_self in itertools.product(("sum", "prod", "mean", "amax", "amin"), (True, False)):
        settings_: dict[str, Any] = {"reduce": reduce, "include_self": include_self}
        for dim in (0, 1, -1):
            yield "scatter_reduce", [(3, 4), Given(dim), Given(INDEX), (2, 3)], settings_
        yield "scatter_reduce", [(3,), Given(0), Given(np.array([0, 0, 2])), Fixed([1.0, 1.0, 2.0])], settings_
        line = np.array([1, 1, 2, 2, 3])
        yield "scatter_reduce", [Fixed([0.0, 2.0, 3.0, 1.0]), Given(0), Given(line), Fixed([0.0, 4.0, 0.0, 5.0, 0.0])], settings_
        yield "scatter_reduce", [(), Given(0), Given(np.array(0)), ()], settings_
        integers = [Given(np.array([7, -8, 9])), Given(0), Given(np.array([0, 1, 1])), Given(np.array([2, 3, -6]))]
        yield "scatter_reduce", integers, settings_
        if reduce != "sum":
            yield "index_reduce", [(3, 4), Given(0), Given(twice), (3, 4)], settings_
            yield "index_reduce", [(3, 4), Given(1), Given(np.array([3, 3])), (3, 2)], settings_
    for dim, index in ((0, 1), (1, -1), (2, 0)):
        shape = tuple(n for a, n in enumerate((2, 3, 4)) if a != dim)
        yield "select_scatter", [(2, 3, 4), shape, Given(dim), Given(index)], {}
    yield "slice_scatter", [(4, 5), (2, 5)], {"start": 1, "end": 3}
    yield "slice_scatter", [(4, 5), (4, 2)], {"dim": 1, "start": -4, "step": 2}
    yield "slice_scatter", [(4, 5), (4, 5)], {"dim": -1}
    for offset, dims in itertools.product((-1, 0, 2), ((0, 1), (1, 0))):
        yield "diagonal_scatter", [(3, 4), _diagonal((3, 4), offset, dims)], {"offset": offset, "dim1": dims[0], "dim2": dims[1]}
    yield "diagonal_scatter", [(2, 3, 4), (3, 2)], {"dim1": 0, "dim2": 2}
    yield "fill", [(2, 3), Given(0.1)], {}
    yield "fill", [(2, 3), ()], {}
    yield "unravel_index", [Given(np.array([[0, 5], [11, -1]])), Given((3, 4))], {}
    yield "argwhere", [Given(np.array([[0, 1, 2], [3, 0, 0]]))], {}


def _diagonal(shape: tuple[int, int], offset: int, dims: tuple[int, int]) -> tuple[int]:
    return (len(np.diagonal(np.zeros(shape), offset, *dims)),)


def sets() -> Iterator[Row]:
    repeated = np.array([[3, 1, 1], [3, 3, 2], [3, 1, 1]])
    for inverse, counts, dim in itertools.product((False, True), (False, True), (None, 0, 1)):
        settings = {"return_inverse": inverse, "return_counts": counts, "dim": dim}
        for values in (repeated, repeated.astype(float), np.zeros((0, 2))):
            if not values.size and dim == 1:
                continue  # PyTorch refuses it
            yield "unique", [Given(values)], settings
            yield "unique_consecutive", [Given(values)], settings
    yield "unique", [Given(np.array([NAN, 1.0, NAN]))], {"return_counts": True}
    yield "unique", [Given(np.array(2))], {"return_inverse": True}
    yield "bincount", [Given(np.array([3, 0, 3, 1]))], {}
    yield "bincount", [Given(np.array([3, 0, 3, 1]))], {"minlength": 6}
    yield "bincount", [Given(np.array([3, 0, 3])), Given(np.array([0.5, 1.5, 2.0]))], {}
    yield "bincount", [Given(np.array([3, 0, 3])), Given(np.array([1, 2, 3]))], {"minlength": 5}
    yield "bincount", [Given(np.array([], np.int64))], {"minlength": 2}
    for bins, low, high in ((4, 0, 0), (5, -1, 1), (3, 0.5, 0.5), (100, 0, 2)):
        yield "histc", [Constant((3, 5), -1.0, 2.0)], {"bins": bins, "min": low, "max": high}
    yield "histc", [Given(np.array([0.0, 1.0, 2.0, 3.0, 4.0, NAN]))], {"bins": 4, "min": 0, "max": 4}
    yield "histc", [Given(np.array([2.0, 2.0]))], {"bins": 2}
    edges = np.array([-0.5, 0.0, 0.0, 1.0])
    values = np.array([[-1.0, 0.0, 0.3], [1.0, -0.5, 2.0]])
    for right, out_int32 in itertools.product((False, True), (False, True)):
        yield "bucketize", [Given(values), Given(edges)], {"right": right, "out_int32": out_int32}
        yield "searchsorted", [Given(edges), Given(values)], {"right": right}
        yield "searchsorted", [Given(np.stack([edges, edges + 1])), Given(values)], {"right": right}
    yield "searchsorted", [Given(edges[::-1].copy()), Given(values)], {"sorter": None, "side": "right"}
    yield "searchsorted", [Given(edges), Given(0.2)], {}
    for invert in (False, True):
        yield "isin", [Given(repeated), Given(np.array([1, 2]))], {"invert": invert}
        yield "isin", [Given(repeated), Given(3)], {"invert": invert}


def statistics() -> Iterator[Row]:
    holes = Fixed([[NAN, 1.0, 2.0, 0.5], [3.0, NAN, NAN, 1.0], [1.0, 2.0, 3.0, 4.0]])
    for interpolation in ("linear", "lower", "higher", "midpoint", "nearest"):
        for dim, keepdim in ((None, False), (1, True), (0, False)):
            settings = {"dim": dim, "keepdim": keepdim, "interpolation": interpolation}
            yield "quantile", [(3, 4), Given(0.3)], settings
            yield "quantile", [(3, 4), Given(np.array([0.0, 0.5, 1.0]))], settings
            yield "nanquantile", [holes, Given(0.3)], settings
    yield "quantile", [holes, Given(0.5)], {"dim": 1}
    yield "quantile", [(), Given(0.5)], {}
    for dim, keepdim in itertools.product((0, 1), (False, True)):
        yield "nanmedian", [holes, Given(dim), Given(keepdim)], {}
        yield "mode", [Fixed([[2.0, 1.0, 1.0, 2.0], [3.0, 1.0, 3.0, 0.0]]), Given(dim), Given(keepdim)], {}
    yield "nanmedian", [holes], {}
    yield "nanmedian", [Fixed([NAN, NAN])], {}
    yield "nanmedian", [Fixed([NAN, 2.0, 2.0, 1.0, 3.0])], {}
    yield "mode", [()], {}
    frequencies, reliability = np.array([1, 3, 2, 1]), Normal((4,), 0.2, 2.0)
    for correction in (0, 1, 2):
        yield "cov", [(3, 4)], {"correction": correction}
        yield frequencies_of, [(3, 4), Given(frequencies)], {"correction": correction}
        yield reliabilities_of, [(3, 4), reliability], {"correction": correction}
    yield "cov", [(5,)], {}
    yield "cov", [(1, 5)], {}
    yield both_of, [(3, 4), Given(frequencies), reliability], {}
    yield "corrcoef", [(3, 4)], {}
    yield "corrcoef", [(4,)], {}
    for p, dim, limit in itertools.product((1.0, 2.0, INF), (0, 1), (0.5, 2.0)):
        yield "renorm", [(3, 4), Given(p), Given(dim), Given(limit)], {}
    yield "norm", [(3, 4)], {"p": "nuc"}
    yield "norm", [(2, 3, 4)], {"p": "nuc", "dim": (0, 2), "keepdim": True}
    yield "norm", [(2, 3, 4)], {"p": "nuc", "dim": (2, 1)}


def frequencies_of(library: Any, x: Any, f: Any, **settings: Any) -> Any:
    return library.cov(x, fweights=f, **settings)


def reliabilities_of(library: Any, x: Any, a: Any, **settings: Any) -> Any:
    return library.cov(x, aweights=a, **settings)


def both_of(library: Any, x: Any, f: Any, a: Any) -> Any:
    return library.cov(x, fweights=f, aweights=a)


def numbers() -> Iterator[Row]:
    for a, b in PAIRS:
        for op in ("copysign", "fmax", "fmin", "logaddexp2", "ldexp"):
            yield op, [a, b], {}
        yield "float_power", [Normal(a, 0.2, 3.0), b], {}
    yield "copysign", [Fixed([0.0, 1.0, -1.0, 2.0]), Fixed([-1.0, -0.0, 0.0, -3.0])], {}
    yield "copysign", [(3,), Given(-2.0)], {}
    for op in ("fmax", "fmin"):
        yield op, [Fixed([1.0, NAN, 2.0, NAN, 3.0]), Fixed([1.0, 2.0, NAN, NAN, 5.0])], {}
    yield "heaviside", [Given(np.array([-1.0, 0.0, 2.0, NAN])), Given(np.array([0.5, 0.5, 0.5, 0.5]))], {}
    for op in ("signbit", "isposinf", "isneginf", "isreal"):
        yield op, [Given(np.array([-1.0, -0.0, 0.0, INF, -INF]))], {}
        yield op, [Given(np.array([-1, 0, 2]))], {}
    yield "float_power", [Given(np.array([1, 2, 3])), Given(2)], {}
    yield "float_power", [Given(0.1), (3,)], {}
    for op in ("gcd", "lcm"):
        yield op, [Given(np.array([12, -18, 0, 0])), Given(np.array([18, 12, 5, 0]))], {}
    for op in ("bitwise_left_shift", "bitwise_right_shift"):
        yield op, [Given(np.array([12, -18, 7])), Given(np.array([1, 2, 0]))], {}
        yield op, [Given(np.array([12, -18, 7])), Given(2)], {}
    yield "lgamma", [Fixed([-3.3, -0.5, 1e-3, 0.5, 1.0, 1.5, 2.0, 3.7, 30.0, 1e5])], {}
    yield "digamma", [Normal((3, 4), 1.6, 20.0)], {}
    yield "lgamma", [Given(np.array([0.0, -1.0, INF]))], {}
    yield "digamma", [Given(np.array([0.0, -1.0, INF]))], {}
    yield "rsub", [(3, 4), (4,)], {"alpha": 2}
    yield "rsub", [(3, 4), Given(1.5)], {}


def curves() -> Iterator[Row]:
    for n, dim in itertools.product((0, 1, 2, 5), (0, -1)):
        yield "diff", [(3, 4)], {"n": n, "dim": dim}
    yield joined, [(3, 4), (3, 2), (3, 1)], {}
    yield "diff", [Given(np.array([True, False, False]))], {}
    yield "diff", [Given(np.array([3, 1, 4]))], {}
    for op in ("trapezoid", "cumulative_trapezoid", "trapz"):
        yield op, [(3, 4)], {}
        yield op, [(3, 4)], {"dx": 0.5, "dim": 0}
        yield op, [(3, 4), (4,)], {}
        yield op, [(3, 4), (3, 4)], {"dim": 0}
        yield op, [(3, 4), (3,)], {"dim": 0}
        yield op, [(2, 3, 4), (1, 3, 4)], {}
    for dim in (0, None):
        yield "cross", [(3, 4), (3, 4)], {"dim": dim}
    yield "cross", [(2, 3), (2, 3)], {"dim": -1}
    yield "cross", [(2, 3), (1, 3)], {"dim": 1}


def joined(library: Any, x: Any, before: Any, behind: Any) -> Any:
    return library.diff(x, prepend=before, append=behind)


def shapes() -> Iterator[Row]:
    yield "reshape_as", [(2, 6), Constant((3, 4))], {}
    yield "split_with_sizes", [(5, 2), Given((1, 4))], {}
    yield "split_with_sizes", [(2, 5), Given((2, 3))], {"dim": 1}
    for size in ((3, 1), (4,), (1, 1), (), (2, 3, 4)):
        yield "sum_to_size", [(2, 3, 4), Given(size)], {}
    yield "block_diag", [(2, 3), (), (2,), (1, 2)], {}
    for r, again in itertools.product((0, 1, 2, 3, 5), (False, True)):
        yield "combinations", [(4,)], {"r": r, "with_replacement": again}
    like = Constant((2, 2))
    yield "new_zeros", [like, Given((2, 3))], {}
    yield "new_ones", [like, Given((2, 3))], {}
    yield "new_full", [like, Given((2, 3)), Given(0.1)], {}
    yield "new_tensor", [like, Given([1.0, 2.0])], {}
    yield "scalar_tensor", [Given(0.5)], {}


CASES = table(written, sets, statistics, numbers, curves, shapes)

REJECTED = [
    Case(f"{number:02d} {op}", op, tuple(inputs), arguments)
    for number, (op, inputs, arguments) in enumerate(
        [
            ("index_put", [(3, 4), Given((np.array([3]),)), (4,)], {}),
            ("index_put", [(3, 4), Given((np.array([0, 1]),)), (3, 4)], {}),
            ("index_put", [(3, 4), Given((MASK[:2],)), ()], {}),
            ("index_put", [(3,), Given((np.array([0]), np.array([0]))), ()], {}),
            ("index_put", [(3, 4), Given((np.array([0.5]),)), (4,)], {}),
            ("put", [(3, 4), Given(np.array([0, 1])), (3,)], {}),
            ("masked_scatter", [(3, 4), Given(MASK), (2,)], {}),
            ("masked_scatter", [(3, 4), Given(np.ones((3, 4))), (12,)], {}),
            ("scatter_reduce", [(3, 4), Given(0), Given(INDEX), (2, 3)], {"reduce": "max"}),
            ("scatter_reduce", [(3, 4), Given(0), Given(INDEX + 1), (2, 3)], {"reduce": "sum"}),
            ("scatter_reduce", [(3, 4), Given(0), Given(INDEX), (1, 3)], {"reduce": "sum"}),
            ("index_reduce", [(3, 4), Given(0), Given(np.array([0])), (2, 4)], {"reduce": "mean"}),
            ("index_reduce", [(3, 4), Given(0), Given(np.array([0])), (1, 4)], {"reduce": "sum"}),
            ("select_scatter", [(3, 4), (3,), Given(0), Given(0)], {}),
            ("select_scatter", [(3, 4), (4,), Given(0), Given(3)], {}),
            ("slice_scatter", [(3, 4), (2, 4)], {"start": 2}),
            ("slice_scatter", [(3, 4), (3, 4)], {"step": 0}),
            ("diagonal_scatter", [(3, 4), (4,)], {}),
            ("fill", [(3, 4), (4,)], {}),
            ("bincount", [Given(np.array([-1, 0]))], {}),
            ("bincount", [Given(np.array([[1, 0]]))], {}),
            ("bincount", [Given(np.array([1, 0])), Given(np.array([1.0]))], {}),
            ("histc", [(3,)], {"bins": 0}),
            ("histc", [(3,)], {"min": 2, "max": 1}),
            ("searchsorted", [Given(np.zeros((2, 3))), Given(np.zeros((3, 3)))], {}),
            ("bucketize", [Given(np.zeros(3)), Given(np.zeros((2, 3)))], {}),
            ("quantile", [(3, 4), Given(1.5)], {}),
            ("quantile", [(3, 4), Given(0.5)], {"interpolation": "cubic"}),
            ("quantile", [Given(np.arange(3)), Given(0.5)], {}),
            ("nanmedian", [(2, 0), Given(1)], {}),
            ("mode", [(2, 0), Given(1)], {}),
            ("cov", [(2, 3, 4)], {}),
            ("corrcoef", [(2, 3, 4)], {}),
            ("renorm", [(3,), Given(2.0), Given(0), Given(1.0)], {}),
            ("norm", [(3,)], {"p": "nuc"}),
            ("gcd", [(3,), Given(2)], {}),
            ("bitwise_left_shift", [Given(np.array([True])), Given(np.array([True]))], {}),
            ("diff", [()], {}),
            ("diff", [(3,)], {"n": -1}),
            ("cross", [(2, 4), (2, 4)], {}),
            ("cross", [(3, 4), (3, 4)], {"dim": 1}),
            ("trapezoid", [(3, 4), (3,)], {}),
            ("sum_to_size", [(3, 4), Given((3,))], {}),
            ("block_diag", [(2, 3, 4)], {}),
            ("combinations", [(2, 3)], {}),
        ]
    )
]
