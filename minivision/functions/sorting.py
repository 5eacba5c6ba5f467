"""Order: sort, the k largest, the k-th smallest, the median. The gradient goes back to the places the values came from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.operands import as_tensor, axis, check_flags, integer, need_numbers
from minivision.functions.reduction import ValuesIndices
from minivision.functions.shape import reshape


class _Selection(Function):
    """y = values of x along an axis, picked by `locate`, and their places;  dx is dy at those places, 0 elsewhere"""

    def __init__(self, axis: int):
        self.axis = axis

    def forward(self, x: Array) -> tuple[Array, Array]:
        self.shape = x.shape
        self.places = self.locate(x).astype(np.int64)
        return xp_of(x).take_along_axis(x, self.places, axis=self.axis), self.places

    def backward(self, dy: Array, _: Array) -> Array:
        xp = xp_of(dy)
        dx = xp.zeros(self.shape, dy.dtype)
        xp.put_along_axis(dx, self.places, dy, axis=self.axis)
        return dx

    def locate(self, x: Array) -> Array:
        raise NotImplementedError

    def order(self, x: Array, descending: bool = False) -> Array:
        """The places of the values in ascending or descending order; equal values keep theirs, NaN counts as the largest."""
        xp = xp_of(x)
        if not descending:
            return xp.argsort(x, axis=self.axis, kind="stable")
        # sorted from the far end and read from the far end: equal values are turned around twice
        reverse = xp.argsort(xp.flip(x, self.axis), axis=self.axis, kind="stable")
        return x.shape[self.axis] - 1 - xp.flip(reverse, self.axis)

    def section(self, x: Array, start: int, stop: int) -> Array:
        """The entries from start to stop along the axis."""
        return x[(slice(None),) * self.axis + (slice(start, stop),)]

    def decisions(self) -> dict[str, Array]:
        return {"places": self.places}


class Sort(_Selection):
    """y = x in ascending or descending order along an axis"""

    def __init__(self, axis: int, descending: bool = False):
        super().__init__(axis)
        self.descending = descending

    def locate(self, x: Array) -> Array:
        return self.order(x, self.descending)


class TopK(_Selection):
    """y = the k largest (or smallest) values along an axis, the most extreme first"""

    def __init__(self, axis: int, k: int, largest: bool = True):
        super().__init__(axis)
        self.k, self.largest = k, largest

    def locate(self, x: Array) -> Array:
        return self.section(self.order(x, self.largest), 0, self.k)


class KthValue(_Selection):
    """y = the k-th smallest value along an axis, k from 1"""

    def __init__(self, axis: int, k: int):
        super().__init__(axis)
        self.k = k

    def locate(self, x: Array) -> Array:
        return self.section(self.order(x), self.k - 1, self.k)


class MedianAlong(_Selection):
    """y = the middle value along an axis, of two the smaller; NaN where the values contain one"""

    def locate(self, x: Array) -> Array:
        xp = xp_of(x)
        rank = (x.shape[self.axis] - 1) // 2
        middle = self.section(self.order(x), rank, rank + 1)
        unknown = x != x
        first = xp.expand_dims(unknown.argmax(axis=self.axis), self.axis)
        return xp.where(unknown.any(axis=self.axis, keepdims=True), first, middle)


class Median(Function):
    """y = the middle value of all, of two the smaller;  values that equal it share the gradient evenly"""

    def forward(self, x: Array) -> Array:
        y = self.middle(x.reshape(-1)).reshape(())
        self.winner = (x == y) | ((x != x) & (y != y))
        return y

    def middle(self, x: Array) -> Array:
        """The middle value of a vector, as (1,)."""
        return MedianAlong(0).forward(x)[0]

    def backward(self, dy: Array) -> Array:
        return self.winner * (dy / self.winner.sum().astype(dy.dtype))

    def decisions(self) -> dict[str, Array]:
        return {"winner": self.winner}


# ---- what users call ----


def _selected(op: str, make: Callable[[int], _Selection], x: Tensor, dim: int, keepdim: bool = True) -> ValuesIndices:
    """(values, indices) of the selection that `make` answers for the axis; a number counts as a vector of length 1."""
    along = axis(op, dim, x.shape)
    check_flags(op, keepdim=keepdim)
    pair = make(along)(x if x.ndim else reshape(x, 1))
    if not x.ndim:
        return ValuesIndices(*(reshape(y, ()) for y in pair))
    return ValuesIndices(*(pair if keepdim else (y.squeeze(along) for y in pair)))


def _length(op: str, x: Tensor, dim: int) -> int:
    return (x.shape or (1,))[axis(op, dim, x.shape)]


def sort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> ValuesIndices:
    """(values, indices) in ascending or descending order along `dim`. Equal values keep their order; NaN is the largest."""
    return _sorted("sort", input, dim, descending, stable)


def _sorted(op: str, input: Any, dim: int, descending: bool = False, stable: bool = False) -> ValuesIndices:
    x = as_tensor(op, "input", input)
    check_flags(op, descending=descending, stable=stable)
    return _selected(op, lambda along: Sort(along, descending), x, dim)


def argsort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices that `sort` answers."""
    return _sorted("argsort", input, dim, descending, stable).indices


def msort(input: Any) -> Tensor:
    """`input` in ascending order along its first axis."""
    return _sorted("msort", input, 0).values


def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """(values, indices) of the k largest (or smallest) along `dim`, the most extreme first.

    Raises ValueError when there are fewer than k.
    """
    x = as_tensor("topk", "input", input)
    need_numbers("topk", input=x)
    check_flags("topk", largest=largest, sorted=sorted)
    count, n = integer("topk", "k", k), _length("topk", x, dim)
    if not 0 <= count <= n:
        raise ValueError(f"topk: k={count} is out of range for dim {dim} of input {x.shape}, of length {n}; legal are 0 .. {n}")
    return _selected("topk", lambda along: TopK(along, count, largest), x, dim)


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """(values, indices) of the k-th smallest along `dim`, counted from 1."""
    x = as_tensor("kthvalue", "input", input)
    need_numbers("kthvalue", input=x)
    rank, n = integer("kthvalue", "k", k), _length("kthvalue", x, dim)
    if not 1 <= rank <= n:
        legal = f"k counts from 1, so legal are 1 .. {n}" if n else "nothing has no k-th smallest value"
        raise ValueError(f"kthvalue: k={rank} is out of range for dim {dim} of input {x.shape}, of length {n}; {legal}")
    return _selected("kthvalue", lambda along: KthValue(along, rank), x, dim, keepdim)


def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle value of all, or (values, indices) along `dim`: of two middle values the smaller. NaN where there is one.

    Without `dim`, values that tie share the gradient; along `dim` one of them takes it.
    """
    x = as_tensor("median", "input", input)
    need_numbers("median", input=x)
    if dim is None:
        check_flags("median", keepdim=keepdim)
        if keepdim:
            raise TypeError("median: keepdim=True is for median(input, dim), but no dim is given; leave keepdim away")
        if not x.numel() and not x.is_floating_point():
            raise ValueError(f"median: input of shape {x.shape} has no elements, and {x.dtype} has no NaN to say so")
        if not x.numel():
            return Tensor._wrap(xp_of(x.array).full((), float("nan"), x.dtype))
        return Median()(x)
    if not _length("median", x, dim):
        raise IndexError(f"median: dim {dim} of input {x.shape} has no elements, and nothing has no median")
    return _selected("median", MedianAlong, x, dim, keepdim)
