"""Searching in sorted values, and sets: where a value belongs, which values there are, what is among them. No gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import Array, xp_of
from minivision.functions.operands import as_tensor, axis, need_same_device, operand


def searchsorted(
    sorted_sequence: Any, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Any = None,
) -> Tensor:  # fmt: skip
    """Where each value of `input` could be put into `sorted_sequence` so that it stays sorted along its last axis.

    Parameters
    ----------
    sorted_sequence: (n,), or (..., n), one sequence for each row of input (..., m).
    right: behind equal values (`side="right"`), else before them (`side="left"`).
    sorter: the int64 `argsort` of a sequence that is not sorted.

    Returns the places 0 .. n, in the shape of `input`. Raises ValueError when the axes in front differ.
    """
    op = "searchsorted"
    sequence = as_tensor(op, "sorted_sequence", sorted_sequence)
    if isinstance(input, (int, float)):
        input = Tensor._wrap(xp_of(sequence.array).asarray(input))
    x = as_tensor(op, "input", input)
    need_same_device(op, sorted_sequence=sequence, input=x)
    if side not in (None, "left", "right"):
        raise ValueError(f"{op}: side={side!r} is unknown; use 'left' or 'right'")
    if side == "left" and right:
        raise ValueError(f"{op}: side='left' and right=True contradict each other; give one of them")
    if not sequence.ndim:
        raise ValueError(f"{op}: sorted_sequence is a single number, but must be (n,) or (..., n)")
    if sequence.ndim > 1 and (x.ndim != sequence.ndim or x.shape[:-1] != sequence.shape[:-1]):
        raise ValueError(
            f"{op}: sorted_sequence has shape {sequence.shape} and input {x.shape}; all axes but the last must be equal"
        )
    xp = xp_of(sequence.array)
    rows = sequence.array
    if sorter is not None:
        order = as_tensor(op, "sorter", sorter)
        need_same_device(op, sorted_sequence=sequence, sorter=order)
        if order.shape != sequence.shape or order.dtype != np.int64:
            raise ValueError(f"{op}: sorter is {order.dtype} {order.shape}, but must be int64 {sequence.shape}, from argsort")
        rows = xp.take_along_axis(rows, order.array, axis=-1)
    where_ = "right" if right or side == "right" else "left"
    dtype = np.int32 if out_int32 else np.int64
    if rows.ndim == 1:
        return Tensor._wrap(xp.asarray(xp.searchsorted(rows, x.array.reshape(-1), side=where_)).reshape(x.shape).astype(dtype))
    places = xp.empty(x.shape, dtype)
    for row in np.ndindex(x.shape[:-1]):
        places[row] = xp.searchsorted(rows[row], x.array[row], side=where_)
    return Tensor._wrap(places)


def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """In which interval between sorted `boundaries` (n,) each value lies: i where boundaries[i-1] < value <= boundaries[i].

    With `right` it is boundaries[i-1] <= value < boundaries[i]. Returns 0 .. n, in the shape of `input`.
    """
    edges = as_tensor("bucketize", "boundaries", boundaries)
    if edges.ndim != 1:
        raise ValueError(f"bucketize: boundaries have shape {edges.shape}, but must be a vector")
    return searchsorted(edges, input, out_int32=out_int32, right=right)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Where `elements` are among `test_elements` (or are not, with `invert`): a bool tensor of the shape of `elements`."""
    a, b = operand(elements), operand(test_elements)
    given = [v for v in (a, b) if isinstance(v, Tensor)]
    if not given:
        raise TypeError("isin: elements and test_elements are both numbers; at least one of them must be a tensor")
    need_same_device("isin", **dict(zip(("elements", "test_elements"), given, strict=False)))
    xp = xp_of(given[0].array)
    first, second = (v.array if isinstance(v, Tensor) else xp.asarray(v) for v in (a, b))
    return Tensor._wrap(xp.isin(first, second, assume_unique=assume_unique, invert=invert))


def unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The values that occur, in ascending order; with `dim`, the slices along it that occur, in lexicographic order.

    Also, if asked for, where each element of the input stands among them (`return_inverse`: the shape of the input, or one
    number for each slice) and how often each occurs (`return_counts`). NaN is unequal to itself. The result is always sorted.
    """
    x = as_tensor("unique", "input", input)
    xp = xp_of(x.array)
    along = None if dim is None else axis("unique", dim, x.shape)
    rows, inverse_shape = _rows(x.array, along)
    order = _lexicographic(rows)
    starts = _run_starts(rows[order])
    values = _taken(x.array, along, order[starts])
    run = xp.cumsum(starts.astype(np.int64)) - 1
    inverse = xp.zeros(len(order), np.int64)
    inverse[order] = run
    return _answer(values, inverse.reshape(inverse_shape), run, return_inverse, return_counts)


def unique_consecutive(input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The input without elements (or slices along `dim`) that equal the one before; the rest as in `unique`."""
    x = as_tensor("unique_consecutive", "input", input)
    xp = xp_of(x.array)
    along = None if dim is None else axis("unique_consecutive", dim, x.shape)
    rows, inverse_shape = _rows(x.array, along)
    starts = _run_starts(rows)
    values = _taken(x.array, along, xp.nonzero(starts)[0])
    run = xp.cumsum(starts.astype(np.int64)) - 1
    return _answer(values, run.reshape(inverse_shape), run, return_inverse, return_counts)


def _rows(x: Array, along: int | None) -> tuple[Array, tuple[int, ...]]:
    """What is compared, one row for each: elements (n, 1), or the slices along an axis (n, m); and the shape of their numbers."""
    if along is None:
        return x.reshape(-1, 1), x.shape
    length = x.shape[along]
    return xp_of(x).moveaxis(x, along, 0).reshape(length, x.size // length if length else 0), (length,)


def _lexicographic(rows: Array) -> Array:
    """The order of the rows (n, m) by their first column, then by their second, ..: a stable sort by each, from the last on."""
    xp = xp_of(rows)
    order = xp.arange(len(rows))
    for column in reversed(range(rows.shape[1])):
        order = order[xp.argsort(rows[order, column], kind="stable")]
    return order


def _run_starts(rows: Array) -> Array:
    """Where a row (n, m) differs from the one before."""
    xp = xp_of(rows)
    starts = xp.ones(len(rows), bool)
    if len(rows) > 1:
        starts[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return starts


def _taken(x: Array, along: int | None, places: Array) -> Array:
    return x.reshape(-1)[places] if along is None else xp_of(x).take(x, places, axis=along)


def _answer(values: Array, inverse: Array, run: Array, return_inverse: bool, return_counts: bool) -> Any:
    """The values, and what else was asked for."""
    answer = [values]
    if return_inverse:
        answer.append(inverse)
    if return_counts:
        answer.append(xp_of(run).bincount(run).astype(np.int64))
    tensors = tuple(Tensor._wrap(a) for a in answer)
    return tensors if len(tensors) > 1 else tensors[0]
