"""Elementwise functions, norms, scans, sorting, gathering and scattering, rearranging, sums of products."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.oracle.cases import Case, Constant, Fixed, Given, Normal, Row, table

INF, NAN = float("inf"), float("nan")
KINKS = Fixed([-3.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0])
SHAPES: list[tuple[int, ...]] = [(3, 4), (2, 1, 3), (), (0, 3)]
PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((3, 4), (3, 4)), ((3, 1), (2, 1, 4)), ((), (2, 3)), ((2, 3), ()),
                                                        ((), ()), ((0, 3), (3,))]  # fmt: skip
RANGES = {
    "log1p": (-0.9, 4), "expm1": (-3, 3), "log2": (0.1, 4), "log10": (0.1, 4), "exp2": (-3, 3), "rsqrt": (0.1, 4),
    "reciprocal": (0.1, 4), "tan": (-1.5, 1.5), "asin": (-1, 1), "acos": (-1, 1), "atan": (-4, 4), "sinh": (-3, 3),
    "cosh": (-3, 3), "asinh": (-4, 4), "acosh": (1.1, 4), "atanh": (-0.99, 0.99), "erf": (-4, 4), "erfc": (-4, 9),
    "sinc": (-3, 3), "deg2rad": (-180, 180), "rad2deg": (-4, 4), "frac": (-4, 4), "trunc": (-4, 4),
    "positive": (-4, 4), "absolute": (-4, 4), "negative": (-4, 4),
}  # fmt: skip


def one_operand() -> Iterator[Row]:
    for op, (low, high) in RANGES.items():
        for shape in SHAPES:
            yield op, [Normal(shape, low, high)], {}
        if op not in ("positive", "frac", "absolute", "negative", "cosh", "erf", "erfc"):  # there in float32
            yield op, [Given(np.array([0, 1, 1]))], {}
    for op in ("erf", "sinc", "frac", "trunc", "absolute", "expm1", "atan", "tan", "asinh"):
        yield op, [KINKS], {}
    yield "erfc", [Fixed([-30.0, -0.46875, 0.0, 0.46875, 4.0, 12.0, 26.0, 40.0])], {}
    for decimals in (0, 2, -1):
        yield "round", [Normal((3, 4), -40, 40)], {"decimals": decimals}
    yield "nan_to_num", [Fixed([NAN, INF, -INF, 1.5])], {}
    yield "nan_to_num", [Fixed([NAN, INF, -INF, 1.5])], {"nan": 2.0, "posinf": 3.0, "neginf": -4.0}
    yield "nan_to_num", [Given(np.arange(3))], {}


def two_operands() -> Iterator[Row]:
    for a, b in PAIRS:
        for op in ("atan2", "hypot", "logaddexp", "arctan2", "multiply", "subtract", "divide", "true_divide"):
            yield op, [a, b], {}
        for op in ("remainder", "fmod", "xlogy"):
            yield op, [Normal(a, -5, 5), Normal(b, 0.3, 2)], {}
        for mode in ("floor", "trunc", None):
            yield "div", [Normal(a, -5, 5), Normal(b, -2, -0.3)], {"rounding_mode": mode}
    for op in ("remainder", "fmod", "floor_divide"):
        yield op, [Constant((3, 4), -5, 5), Given(0.7)], {}
        yield op, [Given(np.array([-7, 7, -6])), Given(3)], {}
        yield op, [Given(np.array([-7, 7, -6])), Given(np.array([2, -2, 4]))], {}
    for op in ("remainder", "fmod"):
        yield op, [Fixed([-3.0, 3.0, -2.5, 2.5, 0.0]), Fixed([1.5, -1.5, 2.0, -2.0, 1.0])], {}
    for mode in ("floor", "trunc"):
        yield "div", [Given(np.array([-7, 7, -6])), Given(2)], {"rounding_mode": mode}
    yield "atan2", [Fixed([0.0, 1.0, 0.0]), Fixed([0.0, 0.0, -1.0])], {}
    yield "xlogy", [Fixed([0.0, 0.0, 0.0, 2.0]), Fixed([0.0, -1.0, 3.0, 2.0])], {}
    yield "xlogy", [(3,), Given(2.0)], {}
    yield "xlogy", [Given(2), Normal((3,), 0.1, 2)], {}
    for op in ("logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"):
        yield op, [Given(np.array([True, True, False])), Given(np.array([True, False, False]))], {}
    for op in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        yield op, [Given(np.array([5, 6, -1])), Given(np.array([3, 1, 12]))], {}
        yield op, [Given(np.array([5, 6, -1])), Given(3)], {}
    yield "bitwise_not", [Given(np.array([5, -6]))], {}
    yield "bitwise_not", [Given(np.array([True, False]))], {}
    for equal_nan in (False, True):
        yield (
            "isclose",
            [Given(np.array([1.0, 1.0, NAN, INF])), Given(np.array([1.0 + 1e-6, 1.1, NAN, INF]))],
            {"equal_nan": equal_nan},
        )


def three_operands() -> Iterator[Row]:
    for weight in (0.3, 0, 1, 1.5):
        yield "lerp", [(3, 1), (4,), Given(weight)], {}
    for shapes in (((3, 4), (3, 4), (3, 4)), ((3, 1), (4,), (2, 1, 1)), ((), (), ()), ((0, 2), (2,), ())):
        yield "lerp", list(shapes), {}
        yield "addcmul", list(shapes), {"value": 1.5}
        yield "addcmul", list(shapes), {}
        yield "addcdiv", [*shapes[:2], Normal(shapes[2], 0.5, 2)], {"value": -2}
    for low, high in ((-1.0, 1), (None, 0.5), (-0.5, None), (1.0, -1.0)):
        yield "clamp", [KINKS], {"min": low, "max": high}
        yield "clip", [KINKS], {"min": low, "max": high}
    yield "clamp_min", [KINKS, Given(0.5)], {}
    yield "clamp_max", [KINKS, Given(0.5)], {}
    yield "clamp", [Given(np.arange(-2, 3)), Given(-1), Given(1)], {}
    yield "clamp", [Given(np.arange(-2, 3)), Given(-0.5)], {}
    for shapes in (((3, 4), (4,), (3, 1)), ((3, 4), (3, 4), ()), ((), (2,), (2,)), ((0, 2), (2,), ())):
        yield "clamp", list(shapes), {}
    yield "clamp", [(3, 4), (4,)], {}
    yield "clamp_min", [(3, 4), (4,)], {}
    yield "clamp_max", [(3, 4), (3, 1)], {}
    yield "clamp", [Fixed([0.0, 1.0, 2.0, 3.0]), Fixed([0.0, 2.0, 3.0, 1.0]), Fixed([1.0, 2.0, 2.0, 0.5])], {}


def statistics() -> Iterator[Row]:
    for op in ("var", "std", "var_mean", "std_mean"):
        yield op, [(3, 4)], {}
        yield op, [(3, 4), Given(True)], {}
        yield op, [(3, 4), Given(False)], {}
        yield op, [(2, 3, 4), Given(1), Given(True), Given(True)], {}
        yield op, [(2, 3, 4), Given((0, 2)), Given(False), Given(False)], {}
        for correction in (0, 1, 2, 0.5, None):
            yield op, [(2, 3, 4)], {"dim": (0, -1), "correction": correction, "keepdim": True}
    yield "var", [Constant((3, 2))], {"dim": 1, "correction": 5}
    for p in ("fro", 2, 1, 0, 3, 0.5, 1.5, -1, INF, -INF, 2.5):
        for dim, keepdim in ((None, False), (1, True), ((0, 2), False), (-1, False)):
            yield "norm", [(2, 3, 4)], {"p": p, "dim": dim, "keepdim": keepdim}
        yield "norm", [Fixed([[0.0, 0.0], [3.0, 0.0], [-2.0, 2.0]])], {"p": p, "dim": 1}
        yield "norm", [()], {"p": p}
        if p not in ("fro", 0):
            yield "dist", [(3, 4), (4,)], {"p": p}
    yield "norm", [(2, 3)], {}
    for p in (2.0, 1.0, 3.0, INF):
        yield "cdist", [(2, 4, 3), (2, 5, 3)], {"p": p}
        yield "cdist", [(4, 3), (5, 3)], {"p": p}
    for dim in (None, 0, -1):
        yield "aminmax", [(3, 4)], {"dim": dim, "keepdim": dim == 0}
        yield "count_nonzero", [Given(np.array([[0.0, 1.0, NAN], [0.0, 0.0, 2.0]]))], {"dim": dim}
        yield "nansum", [Fixed([[NAN, 1.0, 2.0], [NAN, NAN, NAN]])], {"dim": dim}
        yield "nanmean", [Fixed([[NAN, 1.0, 2.0], [3.0, NAN, 1.0]])], {"dim": dim}
    yield "argmax", [Constant(())], {"dim": 0}
    yield "argmin", [Constant(())], {"dim": -1, "keepdim": True}


def scans() -> Iterator[Row]:
    zeros = Fixed([[2.0, 0.0, -1.5, 0.0, 3.0], [1.0, 2.0, 3.0, 4.0, 0.5], [0.0, 2.0, 3.0, 4.0, 1.0]])
    ties = Fixed([1.0, 3.0, 3.0, 2.0, 3.0, 4.0, 4.0])
    for op in ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"):
        for shape, dim in (((2, 5, 3), 1), ((2, 5, 3), -1), ((4,), 0), ((), 0), ((0, 3), 0), ((3, 0), 0), ((2, 9), 1)):
            yield op, [shape, Given(dim)], {}
        yield op, [zeros, Given(1)], {}
        yield op, [zeros, Given(0)], {}
        yield op, [ties, Given(0)], {}
    yield "cummin", [Fixed([3.0, 1.0, 1.0, 2.0, 1.0]), Given(0)], {}
    yield "cummax", [Given(np.array([1.0, NAN, 3.0, NAN, 5.0])), Given(0)], {}
    yield "cummax", [Given(np.array([2, 1, 2, 3])), Given(0)], {}
    yield "cumsum", [Given(np.array([True, True, False])), Given(0)], {}
    yield "cumsum", [Given(np.arange(6).reshape(2, 3)), Given(1)], {"dtype": None}
    yield "logcumsumexp", [Fixed([1000.0, -1000.0, 999.0, 1001.0]), Given(0)], {}
    for inputs in (zeros, Fixed([[0.0, 2.0], [0.0, 0.0], [3.0, 4.0]]), Normal((2, 3)), Normal(()), Normal((0,))):
        yield "prod", [inputs], {}
    for dim, keepdim in itertools.product((0, 1, -1), (False, True)):
        yield "prod", [zeros, Given(dim), Given(keepdim)], {}
    yield "prod", [(), Given(0)], {}
    yield "prod", [(0, 3), Given(0)], {}
    yield "prod", [Given(np.array([2, 3]))], {}


def order() -> Iterator[Row]:
    ties = Fixed([[2.0, 1.0, 2.0, 1.0, 3.0], [1.0, 1.0, 1.0, 0.0, 0.0]])
    for shape, dim, descending in itertools.product(((2, 5, 3), (4, 3)), (0, 1, -1), (False, True)):
        yield "sort", [shape, Given(dim), Given(descending)], {}
        yield "argsort", [Constant(shape), Given(dim), Given(descending)], {}
    for descending in (False, True):
        yield "sort", [ties], {"dim": 1, "descending": descending, "stable": True}
        yield "argsort", [Given(np.array([[3, 1, 3], [2, 2, 2]]))], {"dim": 1, "descending": descending, "stable": True}
        yield "sort", [()], {"descending": descending}
        yield "sort", [(0, 3)], {"dim": 0, "descending": descending}
    yield "sort", [Given(np.array([2.0, NAN, 1.0]))], {}
    yield "msort", [(4, 3)], {}
    for k, dim, largest in itertools.product((1, 3), (0, -1), (True, False)):
        yield "topk", [(4, 5), Given(k)], {"dim": dim, "largest": largest, "sorted": True}
    yield "topk", [(), Given(1)], {}
    yield "topk", [(3, 4), Given(0)], {}
    for k, dim, keepdim in itertools.product((1, 3), (0, 1), (False, True)):
        yield "kthvalue", [(4, 5), Given(k), Given(dim), Given(keepdim)], {}
        yield "median", [(4, 5), Given(dim), Given(keepdim)], {}
    yield "kthvalue", [(), Given(1)], {}
    for shape in ((3, 5), (4,), ()):
        yield "median", [shape], {}
    yield "median", [Fixed([1.0, 2.0, 2.0, 2.0, 5.0])], {}
    yield "median", [(), Given(0), Given(True)], {}
    yield "median", [Given(np.array([[1.0, NAN, 0.0], [3.0, 1.0, 2.0]])), Given(1)], {}


def places() -> Iterator[Row]:
    index = np.array([[2, 0, 2], [1, 1, 0]])
    apart = np.array([[2, 0, 1], [1, 2, 0]])
    for dim in (0, 1, -1):
        yield "gather", [(3, 4), Given(dim), Given(index)], {}
        yield "scatter_add", [(3, 4), Given(dim), Given(index), (2, 3)], {}
        yield "scatter_add", [(3, 4), Given(dim), Given(index), Constant((3, 4))], {}
        yield "scatter", [(3, 4), Given(dim), Given(index)], {"value": 1.5}
    yield "gather", [(3, 4), Given(0), Given(np.zeros((0, 4), np.int64))], {}
    yield "gather", [(3,), Given(0), Given(np.array([0, 0, 2]))], {}
    yield "gather", [(), Given(0), Given(np.array([0]))], {}
    yield "gather", [(), Given(0), Given(np.array(0))], {}
    yield "scatter", [(3, 4), Given(1), Given(apart), (2, 3)], {}
    yield "scatter", [(3, 4), Given(1), Given(apart), Constant((3, 4))], {}
    yield "scatter", [(), Given(0), Given(np.array(0)), ()], {}
    yield "scatter_add", [(), Given(0), Given(np.array(0)), ()], {}
    yield "scatter_add", [(), Given(0), Given(np.array([0])), (1,)], {}
    yield "scatter", [Constant((3, 4)), Given(1), Given(index), Constant((2, 3))], {"reduce": "add"}
    yield "scatter", [Constant((3, 4)), Given(1), Given(index), Constant((2, 3))], {"reduce": "multiply"}
    yield "scatter", [Constant((3, 4)), Given(0), Given(index)], {"value": 3.0, "reduce": "multiply"}
    rows = np.array([2, 0, 2])
    for dim in (0, 1, -1):
        yield "index_select", [(3, 4), Given(dim), Given(rows)], {}
        yield "index_fill", [(3, 4), Given(dim), Given(rows), Given(2.5)], {}
        yield "index_fill", [(3, 4), Given(dim), Given(rows), ()], {}
    yield "index_select", [(), Given(0), Given(np.array([0]))], {}
    yield "index_select", [(3, 4), Given(1), Given(np.array(2))], {}
    yield "index_select", [(3, 4), Given(1), Given(np.array([], np.int64))], {}
    yield "index_add", [(3, 4), Given(0), Given(rows), (3, 4)], {}
    yield "index_add", [(3, 4), Given(1), Given(rows), (3, 3)], {"alpha": 2}
    yield "index_add", [(), Given(0), Given(np.array([0])), ()], {}
    yield "index_copy", [(3, 4), Given(1), Given(np.array([3, 0])), (3, 2)], {}
    mask = np.array([[True, False, True], [False, False, True]])
    for m in (mask, mask[0], np.array(True), mask[:, :1]):
        yield "masked_fill", [(2, 3), Given(m), Given(-INF)], {}
        yield "masked_fill", [(2, 3), Given(m), ()], {}
        yield "masked_select", [(2, 3), Given(m)], {}
    yield "masked_select", [(), Given(mask)], {}
    yield "take_along_dim", [(3, 4), Given(index)], {}
    for dim in (0, 1):
        yield "take_along_dim", [(3, 4) if dim else (3, 3), Given(index if not dim else apart[:1]), Given(dim)], {}
    yield "take_along_dim", [(3, 4), Given(np.array([[-1, -2]])), Given(1)], {}
    yield "take", [(3, 4), Given(np.array([[0, 11], [-1, 5]]))], {}
    yield "nonzero", [Given(np.array([[0, 1, 2], [3, 0, 0]]))], {}
    yield "nonzero", [Given(np.array([[0, 1, 2], [3, 0, 0]]))], {"as_tuple": True}
    yield "nonzero", [Given(np.array(2.0))], {}


def axes() -> Iterator[Row]:
    for source, target in ((0, 2), (-1, 0), ((0, 1), (2, 0)), ((2, 0), (0, 1)), ((0, 1, 2), (2, 1, 0))):
        yield "movedim", [(2, 3, 4), Given(source), Given(target)], {}
    yield "swapaxes", [(2, 3, 4), Given(0), Given(-1)], {}
    yield "swapdims", [(2, 3, 4), Given(1), Given(2)], {}
    for shifts, dims in ((1, 0), (-2, 1), ((1, 2), (0, 2)), (7, -1), (3, ()), ((1, 1), (1, 1))):
        yield "roll", [(2, 3, 4), Given(shifts), Given(dims)], {}
    yield "roll", [(2, 3), Given(2)], {}
    yield "roll", [(), Given(2)], {}
    for k in (-3, -1, 0, 1, 5):
        yield "tril", [(2, 3, 4), Given(k)], {}
        yield "triu", [(4, 3), Given(k)], {}
        yield "diagonal", [(4, 3), Given(k)], {}
        yield "diagonal", [(2, 3, 4)], {"offset": k, "dim1": -1, "dim2": 0}
        yield "diag", [(3,), Given(k)], {}
        yield "diag", [(3, 4), Given(k)], {}
        yield "diag_embed", [(2, 3)], {"offset": k, "dim1": 0, "dim2": 2}
        yield "rot90", [(2, 3, 4), Given(k), Given((0, 2))], {}
    yield "diag_embed", [(2, 3)], {}
    yield "diagflat", [(2, 3), Given(1)], {}
    yield "trace", [(3, 4)], {}
    yield "unflatten", [(2, 12), Given(1), Given((3, -1))], {}
    yield "unflatten", [(6, 2), Given(-2), Given((2, 3))], {}
    yield "ravel", [(2, 3)], {}
    yield "select", [(2, 3, 4), Given(1), Given(-1)], {}
    yield "broadcast_to", [(3, 1), Given((2, 3, 4))], {}
    yield "broadcast_tensors", [(3, 1), (2, 1, 4), ()], {}
    for op in ("atleast_1d", "atleast_2d", "atleast_3d"):
        for shape in ((), (3,), (2, 3), (2, 3, 4)):
            yield op, [shape], {}
    for repeats, dim in ((2, None), (2, 0), (0, 1), (np.array([1, 0, 2]), 1), (np.array([3]), 0)):
        yield "repeat_interleave", [(2, 3), Given(repeats)], {"dim": dim}
    yield "repeat_interleave", [(), Given(2)], {}
    for times in ((2,), (2, 1, 3), (), (0, 2)):
        yield "tile", [(2, 3), Given(times)], {}
    for sections, dim in ((3, 0), (2, 1), ((1, 3), 0), ((2, 9), 1), ((3, 1), 0), (7, 0)):
        yield "tensor_split", [(5, 4), Given(sections), Given(dim)], {}
    yield "hsplit", [(4, 6), Given(3)], {}
    yield "vsplit", [(4, 6), Given((1, 2))], {}
    yield "dsplit", [(2, 2, 4), Given(2)], {}
    for op, shapes in itertools.product((hstack, vstack, dstack, column_stack), (((3,), (3,)), ((2, 3), (2, 3)), ((), ()))):
        yield op, list(shapes), {}
    for indexing in ("ij", "xy"):
        yield "meshgrid", [(3,), (2,), ()], {"indexing": indexing}
        yield "meshgrid", [(3,)], {"indexing": indexing}
    yield "cartesian_prod", [(2,), (3,)], {}
    yield "flip", [(2, 3)], {"dims": (0, 1)}


def hstack(library: Any, *parts: Any) -> Any:
    return library.hstack(parts)


def vstack(library: Any, *parts: Any) -> Any:
    return library.vstack(parts)


def dstack(library: Any, *parts: Any) -> Any:
    return library.dstack(parts)


def column_stack(library: Any, *parts: Any) -> Any:
    return library.column_stack(parts)


def products() -> Iterator[Row]:
    for equation, shapes in (
        ("i,i->", [(4,), (4,)]), ("i,j->ij", [(2,), (3,)]), ("ij,jk", [(2, 3), (3, 4)]), ("bij,bjk->bik", [(2, 2, 3), (2, 3, 4)]),
        ("ii", [(3, 3)]), ("ii->i", [(3, 3)]), ("ij->ji", [(2, 3)]), ("ij->", [(2, 3)]), ("ba", [(2, 3)]),
        ("ij,ij->i", [(2, 3)] * 2),
        ("...ij,...jk->...ik", [(2, 2, 3), (3, 4)]), ("...ij->...ji", [(2, 3, 2, 2)]), ("i...->...", [(2, 3)]),
        ("...,...", [(2, 1), (3,)]), ("bn,anm,bm->ba", [(2, 3), (4, 3, 5), (2, 5)]), ("ij,kj->ik", [(2, 3), (4, 3)]),
        ("i,i,i->i", [(3,)] * 3), ("iji->j", [(2, 3, 2)]), ("ij,j->ij", [(2, 3), (3,)]), ("ij,k->ik", [(2, 3), (2,)]),
        ("ij,ij->ij", [(2, 1), (2, 3)]), ("Ab,bC", [(2, 3), (3, 2)]), (" i j , j -> i ", [(2, 3), (3,)]), (",i->i", [(), (3,)]),
        ("i->i", [(0,)]), ("ij,jk->ik", [(2, 0), (0, 3)]), ("...a,...a->...", [(2, 3, 4), (4,)]),
        ("iij,jkk->ik", [(2, 2, 3), (3, 4, 4)]),
        ("i...,i...->i...", [(2, 3), (2, 1)]), ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ):  # fmt: skip
        yield "einsum", [Given(equation), *shapes], {}
    yield "einsum", [(2, 3), Given((0, 1)), (3, 4), Given((1, 2)), Given((0, 2))], {}
    yield "einsum", [(2, 3), Given((0, 1)), (3, 4), Given((1, 2))], {}
    for dims in (0, 1, 2):
        yield "tensordot", [(2, 3, 4), (3, 4, 5) if dims == 2 else (4, 3)], {"dims": dims}
    yield "tensordot", [(2, 3, 4), (4, 5, 2)], {"dims": ((0, 2), (2, 0))}
    yield "tensordot", [(2, 3, 4), (4, 5, 2)], {"dims": ((-1,), (0,))}
    yield "outer", [(2,), (3,)], {}
    yield "ger", [(2,), (0,)], {}
    yield "dot", [(3,), (3,)], {}
    yield "vdot", [(3,), (3,)], {}
    yield "mv", [(2, 3), (3,)], {}
    yield "inner", [(2, 3), (4, 3)], {}
    yield "inner", [(2, 3), ()], {}
    for shapes in (((2, 3), (4, 5)), ((2,), (3, 2)), ((2, 3, 1), (2,)), ((), (2, 3))):
        yield "kron", list(shapes), {}
    for arguments in ({}, {"beta": 0.5, "alpha": 2}, {"beta": 0, "alpha": -1}):
        for shape in ((2, 4), (4,), (), (2, 1)):
            yield "addmm", [shape, (2, 3), (3, 4)], arguments
        yield "addmv", [(2,), (2, 3), (3,)], arguments
        yield "addmv", [(), (2, 3), (3,)], arguments
        yield "addr", [(2, 3), (2,), (3,)], arguments
        yield "baddbmm", [(2, 2, 4), (2, 2, 3), (2, 3, 4)], arguments
        yield "baddbmm", [(4,), (2, 2, 3), (2, 3, 4)], arguments
        yield "addbmm", [(2, 4), (2, 2, 3), (2, 3, 4)], arguments
        yield "addbmm", [(), (2, 2, 3), (2, 3, 4)], arguments


CASES = table(one_operand, two_operands, three_operands, statistics, scans, order, places, axes, products)

REJECTED = [
    Case(f"{number:02d} {op}", op, tuple(inputs), arguments)
    for number, (op, inputs, arguments) in enumerate(
        [
            ("div", [(2,), (2,)], {"rounding_mode": "up"}),
            ("floor_divide", [Given(np.array([1, 2])), Given(0)], {}),
            ("remainder", [Given(np.array([1, 2])), Given(np.array([1, 0]))], {}),
            ("positive", [Given(np.array([True]))], {}),
            ("bitwise_and", [Constant((2,)), Constant((2,))], {}),
            ("bitwise_not", [Constant((2,))], {}),
            ("clamp", [(2, 3)], {}),
            ("lerp", [(2,), (3,), Given(0.5)], {}),
            ("norm", [(0,)], {"p": INF}),
            ("norm", [(2, 3)], {"dim": 2}),
            ("cdist", [(3,), (2, 3)], {}),
            ("cdist", [(2, 3), (2, 4)], {}),
            ("cumsum", [(2, 3), Given(2)], {}),
            ("cummax", [(2, 3), Given(-3)], {}),
            ("prod", [(2, 3), Given(2)], {}),
            ("topk", [(2, 3), Given(4)], {}),
            ("topk", [(2, 3), Given(-1)], {}),
            ("kthvalue", [(2, 3), Given(0)], {}),
            ("kthvalue", [(2, 3), Given(4)], {}),
            ("median", [(2, 0), Given(1)], {}),
            ("sort", [(2, 3), Given(2)], {}),
            ("gather", [(3, 4), Given(0), Given(np.array([0]))], {}),
            ("gather", [(3, 4), Given(0), Given(np.array([[3]]))], {}),
            ("gather", [(3, 4), Given(0), Given(np.array([[-1]]))], {}),
            ("gather", [(3, 4), Given(0), Given(np.array([[0.5]]))], {}),
            ("gather", [(3, 2), Given(0), Given(np.zeros((1, 3), np.int64))], {}),
            ("scatter", [(3, 4), Given(0), Given(np.zeros((2, 5), np.int64)), (2, 5)], {}),
            ("scatter", [(3, 4), Given(0), Given(np.zeros((2, 3), np.int64)), (1, 3)], {}),
            ("scatter", [(3, 4), Given(0), Given(np.array([[3]])), (1, 1)], {}),
            ("scatter", [(3, 4), Given(0), Given(np.array([[0]])), (1, 1)], {"reduce": "mean"}),
            ("scatter_add", [(3, 4), Given(0), Given(np.array([[4]])), (1, 1)], {}),
            ("index_select", [(3, 4), Given(0), Given(np.array([3]))], {}),
            ("index_select", [(3, 4), Given(0), Given(np.array([[0]]))], {}),
            ("index_add", [(3, 4), Given(0), Given(np.array([0])), (2, 4)], {}),
            ("index_add", [(3, 4), Given(0), Given(np.array([3])), (1, 4)], {}),
            ("masked_fill", [(2, 3), Given(np.array([0, 1, 0])), Given(0.0)], {}),
            ("masked_fill", [(2, 3), Given(np.array([True, False])), Given(0.0)], {}),
            ("masked_fill", [(3,), Given(np.array([True, False, True])), (2,)], {}),
            ("masked_select", [(2, 3), Given(np.array([True, False]))], {}),
            ("take", [(3, 4), Given(np.array([12]))], {}),
            ("movedim", [(2, 3), Given((0, 1)), Given((0,))], {}),
            ("movedim", [(2, 3), Given((0, 0)), Given((0, 1))], {}),
            ("roll", [(2, 3), Given((1, 2)), Given((0,))], {}),
            ("tril", [(3,)], {}),
            ("triu", [()], {}),
            ("diagonal", [(3,)], {}),
            ("diagonal", [(3, 3)], {"dim1": 0, "dim2": 0}),
            ("diag", [(2, 2, 2)], {}),
            ("trace", [(2, 2, 2)], {}),
            ("unflatten", [(2, 12), Given(1), Given((5, -1))], {}),
            ("select", [(2, 3), Given(1), Given(3)], {}),
            ("repeat_interleave", [(2, 3), Given(np.array([1, 2]))], {"dim": 1}),
            ("tensor_split", [(2, 3), Given(0)], {}),
            ("hsplit", [(2, 3), Given(2)], {}),
            ("meshgrid", [(2,), (3,)], {"indexing": "yx"}),
            ("einsum", [Given("ij,jk->ik"), (2, 3)], {}),
            ("einsum", [Given("ij,jk->ik"), (2, 3), (4, 2)], {}),
            ("einsum", [Given("ijk->ij"), (2, 3)], {}),
            ("einsum", [Given("ij->k"), (2, 3)], {}),
            ("einsum", [Given("ij->ii"), (2, 3)], {}),
            ("einsum", [Given("i1"), (2, 3)], {}),
            ("einsum", [Given("ii->i"), (2, 3)], {}),
            ("tensordot", [(2, 3), (4, 3)], {"dims": 1}),
            ("outer", [(2, 2), (3,)], {}),
            ("dot", [(2,), (3,)], {}),
            ("mv", [(2, 3), (2,)], {}),
            ("addmm", [(3, 4), (2, 3), (3, 4)], {}),
            ("addmm", [(2, 4), (2, 3), (2, 4)], {}),
            ("baddbmm", [(2, 4), (2, 3), (3, 4)], {}),
        ]
    )
]
