"""Writing into a copy: at indices, where a mask is true, over a slice or a diagonal, and reductions of what meets at a place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, is_array, scatter_add, xp_of
from minivision.functions.gathering import _corner, _in_corner, _line, _mask, _places, _vector, nonzero, places
from minivision.functions.operands import (
    as_tensor,
    axes,
    axis,
    check_broadcast,
    check_choice,
    index_array,
    integer,
    need_same_device,
)
from minivision.functions.rearranging import diagonal_places, movedim
from minivision.functions.shape import clean_index, expand, partial_view, reshape


class IndexPut(Function):
    """y = x, with y[index] = v;  dx = dy, but 0 where y was written;  dv = dy[index]

    With `accumulate` it is y[index] += v, where values that meet add up, and dx = dy. v broadcasts to the shape of y[index]; the
    base class sums over its repeats.
    """

    broadcasts = True

    def __init__(self, index: tuple[Any, ...], accumulate: bool = False):
        self.index, self.accumulate = index, accumulate

    def forward(self, x: Array, v: Array) -> Array:
        y = x.copy()
        view, gather = partial_view(y, self.index)
        if self.accumulate and any(is_array(entry) and entry.dtype != bool for entry in gather):
            scatter_add(view, gather, v)
        elif self.accumulate:
            view[gather or ...] += v
        else:
            view[gather or ...] = v
        return y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        view, gather = partial_view(dy, self.index)
        dv = view[gather] if gather else view.copy()
        if self.accumulate:
            return dy, dv
        dx = dy.copy()
        view, gather = partial_view(dx, self.index)
        view[gather or ...] = 0
        return dx, dv


class MaskedScatter(Function):
    """y = x, with values of `source` where the mask is true, in row-major order;  dx = dy elsewhere,  dsource = dy there"""

    def __init__(self, mask: Array):
        self.mask = mask

    def forward(self, x: Array, source: Array) -> Array:
        self.source = source.shape
        y = x.copy()
        self.count = int(self.mask.sum())
        y[self.mask] = source.reshape(-1)[: self.count]
        return y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        xp = xp_of(dy)
        dsource = xp.zeros(int(np.prod(self.source)), dy.dtype)
        dsource[: self.count] = dy[self.mask]
        return xp.where(self.mask, xp.zeros_like(dy), dy), dsource.reshape(self.source)


class _ScatterReduction(Function):
    """y = x, where at each place the sources that meet there are reduced, together with x itself unless `include_self` is False.

    A place that no source reaches keeps its x, and passes its dy on to it.
    """

    start: float  # what the reduction begins with in the place of an x that is not included

    def __init__(self, axis: int, index: Array, include_self: bool = True):
        self.axis, self.index, self.include_self = axis, index, include_self
        self.places = places(index, axis)

    def forward(self, x: Array, source: Array) -> Array:
        self.source = source.shape
        values = source[_corner(self.index.shape)]
        y = x.copy()
        if not self.include_self:
            y[self.places] = self.begin(x.dtype)
        return self.reduce(x, y, values)

    def begin(self, dtype: Any) -> Any:
        """The neutral element of the reduction in this dtype."""
        return dtype.type(self.start)

    def reduce(self, x: Array, y: Array, values: Array) -> Array:
        """y with the values reduced into it."""
        raise NotImplementedError

    def backward(self, dy: Array) -> tuple[Array, Array]:
        dx, dvalues = self.shares(dy)
        if not self.include_self:
            dx = dx.copy()
            dx[self.places] = 0
            dx = xp_of(dy).where(self.untouched(dy), dy, dx)
        return dx, _in_corner(dvalues, self.source)

    def shares(self, dy: Array) -> tuple[Array, Array]:
        """The gradients of x, where it is included, and of the values."""
        raise NotImplementedError

    def total(self, like: Array, values: Array) -> Array:
        """The sum of the values that meet at each place."""
        result = xp_of(like).zeros(like.shape, values.dtype)
        scatter_add(result, self.places, values)
        return result

    def untouched(self, like: Array) -> Array:
        """Where no source arrives."""
        mask = xp_of(like).ones(like.shape, bool)
        mask[self.places] = False
        return mask


class ScatterMean(_ScatterReduction):
    """y = the mean of x and the n values that meet there, (x + sum) / (n + 1), or of the values alone;  each gets its share"""

    start = 0

    def reduce(self, x: Array, y: Array, values: Array) -> Array:
        xp = xp_of(x)
        ones = xp.ones(self.index.shape, np.int64)
        self.count = xp.maximum(self.total(x, ones) + self.include_self, 1)
        scatter_add(y, self.places, values)
        return (y / self.count.astype(y.dtype)) if y.dtype.kind == "f" else y // self.count.astype(y.dtype)

    def shares(self, dy: Array) -> tuple[Array, Array]:
        share = dy / self.count.astype(dy.dtype)
        return share, share[self.places]


class ScatterProduct(_ScatterReduction):
    """y = the product of x and the values that meet there;  each receives dy times the product of the others

    The zeros of a place are left out and counted: with none the others are y / x, with one only the zero itself has a gradient.
    """

    start = 1

    def reduce(self, x: Array, y: Array, values: Array) -> Array:
        xp = xp_of(x)
        self.x, self.values = y, values
        nonzero_x, nonzero_values = (xp.where(v == 0, xp.ones_like(v), v) for v in (y, values))
        self.zeros = (y == 0).astype(np.int64) + self.total(y, (values == 0).astype(np.int64))
        self.product = nonzero_x.copy()
        # one row of the index after the other: within a row no two places are equal
        for i in range(self.index.shape[self.axis]):
            row = (slice(None),) * self.axis + (slice(i, i + 1),)
            at = tuple(p[row] if a == self.axis else p for a, p in enumerate(self.places))
            self.product[at] = self.product[at] * nonzero_values[row]
        return xp.where(self.zeros == 0, self.product, xp.zeros_like(self.product))

    def shares(self, dy: Array) -> tuple[Array, Array]:
        return (
            self.share(dy, self.x, self.product, self.zeros),
            self.share(dy[self.places], self.values, self.product[self.places], self.zeros[self.places]),
        )

    def share(self, dy: Array, factor: Array, product: Array, zeros: Array) -> Array:
        """dy times the other factors of the place."""
        xp = xp_of(dy)
        zero = factor == 0
        others = xp.where(zero, product, product / xp.where(zero, xp.ones_like(factor), factor))
        return dy * others * (zeros == zero)


class _ScatterExtreme(_ScatterReduction):
    """y = the largest (or smallest) of x and the values that meet there;  those that tie share the gradient evenly"""

    ufunc: str
    sign: int

    def begin(self, dtype: Any) -> Any:
        if dtype.kind == "f":
            return dtype.type(self.sign * np.inf)
        return np.iinfo(dtype).max if self.sign > 0 else np.iinfo(dtype).min

    def reduce(self, x: Array, y: Array, values: Array) -> Array:
        self.x, self.values = x, values
        getattr(xp_of(y), self.ufunc).at(y, self.places, values)
        self.y = y
        return y

    def shares(self, dy: Array) -> tuple[Array, Array]:
        x_wins, value_wins = self.x == self.y, self.values == self.y[self.places]
        if not self.include_self:
            x_wins = x_wins & self.untouched(dy)
        winners = x_wins.astype(dy.dtype) + self.total(dy, value_wins.astype(dy.dtype))
        share = dy / xp_of(dy).maximum(winners, 1)
        return share * x_wins, share[self.places] * value_wins

    def decisions(self) -> dict[str, Array]:
        return {"values that win": self.values == self.y[self.places]}


class ScatterMax(_ScatterExtreme):
    """y = the largest of x and the values that meet there"""

    ufunc, sign = "maximum", -1


class ScatterMin(_ScatterExtreme):
    """y = the smallest of x and the values that meet there"""

    ufunc, sign = "minimum", 1


class ScatterSum(_ScatterReduction):
    """y = x plus the values that meet there, or their sum alone;  every value receives dy"""

    start = 0

    def reduce(self, x: Array, y: Array, values: Array) -> Array:
        scatter_add(y, self.places, values)
        return y

    def shares(self, dy: Array) -> tuple[Array, Array]:
        return dy, dy[self.places]


REDUCTIONS = {"sum": ScatterSum, "prod": ScatterProduct, "mean": ScatterMean, "amax": ScatterMax, "amin": ScatterMin}


class Overwrite(Function):
    """y = v everywhere, in the shape of x;  dx = 0,  dv = the sum of dy"""

    def forward(self, x: Array, v: Array) -> Array:
        return xp_of(x, v).zeros_like(x) + v

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return xp_of(dy).zeros_like(dy), dy.sum()


# ---- what users call: at indices ----


def index_put(input: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Tensor:
    """`input`, with `values` at the places `indices`, as `x[indices] = values` would write them, or added with `accumulate`.

    `indices` is a tuple of int64 tensors or bool masks, None for a whole axis. Where several values meet and are not added up,
    it is not defined which stays. Raises IndexError for places that do not exist, ValueError when `values` do not fit.
    """
    return _put("index_put", input, indices, values, accumulate)


def _put(op: str, input: Any, indices: Sequence[Any], values: Any, accumulate: bool) -> Tensor:
    x, v = as_tensor(op, "input", input), as_tensor(op, "values", values)
    need_same_device(op, input=x, values=v)
    if v.dtype != x.dtype:
        raise TypeError(f"{op}: input is {x.dtype}, but values are {v.dtype}; convert one of them")
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"{op}: indices must be a tuple of tensors, not {type(indices).__name__}; write (index,)")
    index = tuple(slice(None) if i is None else _at_least_vector(op, i, x) for i in indices)
    _check_index(op, index, x)
    wanted = _shape_at(x, index)
    if v.ndim > len(wanted) or any(n not in (1, m) for n, m in zip(v.shape[::-1], wanted[::-1], strict=False)):
        raise ValueError(f"{op}: values have shape {v.shape}, which does not broadcast to the places {wanted} in input {x.shape}")
    return IndexPut(index, accumulate)(x, v)


def _at_least_vector(op: str, index: Any, x: Tensor) -> Any:
    array = index_array(index)
    if array.dtype.kind not in "iub" or array.dtype == np.uint8:
        raise TypeError(
            f"{op}: an index is {array.dtype} {array.shape}, but must hold int64, int32 or bool; convert with .long()"
        )
    return array if array.ndim else clean_index(index, x)[0]


def _check_index(op: str, index: tuple[Any, ...], x: Tensor) -> None:
    """Raise IndexError for places that do not exist; CuPy would wrap them around."""
    along = 0
    for entry in index:
        mask = is_array(entry) and entry.dtype == bool
        if along + (entry.ndim if mask else 1) > x.ndim:
            raise IndexError(f"{op}: too many indices for input {x.shape}")
        if mask:
            if entry.shape != x.shape[along : along + entry.ndim]:
                raise IndexError(
                    f"{op}: a mask has shape {entry.shape}, but input {x.shape} has {x.shape[along : along + entry.ndim]}"
                )
            along += entry.ndim
            continue
        length = x.shape[along]
        low, high = (int(entry.min()), int(entry.max())) if is_array(entry) and entry.size else (0, -1)
        if isinstance(entry, int):
            low = high = entry
        if not isinstance(entry, slice) and low <= high and not -length <= low <= high < length:
            raise IndexError(
                f"{op}: an index has values {low} .. {high}, but axis {along} of input {x.shape} has length {length}"
            )
        along += 1


def _shape_at(x: Tensor, index: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of x[index]."""
    view, gather = partial_view(x.array, index)
    return view[gather].shape if gather else view.shape


def masked_scatter(input: Any, mask: Any, source: Any) -> Tensor:
    """`input`, with the elements of `source`, one after the other, where `mask` is true. Input and mask broadcast.

    Raises ValueError when `source` has fewer elements than the mask has True.
    """
    op = "masked_scatter"
    x, m, s = as_tensor(op, "input", input), _mask(op, mask), as_tensor(op, "source", source)
    need_same_device(op, input=x, mask=m, source=s)
    if s.dtype != x.dtype:
        raise TypeError(f"{op}: input is {x.dtype}, but source is {s.dtype}; convert one of them")
    check_broadcast(op, [x.shape, m.shape], ["input", "mask"])
    shape = np.broadcast_shapes(x.shape, m.shape)
    full = xp_of(m.array).broadcast_to(m.array, shape)
    if int(full.sum()) > s.numel():
        raise ValueError(
            f"{op}: mask {m.shape} is true at {int(full.sum())} places, but source {s.shape} has {s.numel()} elements"
        )
    return MaskedScatter(full)(x if x.shape == shape else expand(x, shape), s)


# ---- what users call: reductions ----


def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Tensor:
    """`input`, where the elements of `src` that meet at a place `index` along `dim` are reduced into it.

    `reduce` is "sum", "prod", "mean", "amax" or "amin"; without `include_self` the element of `input` itself does not count.
    Elements that no source reaches stay. The mean of integers is rounded down. Raises IndexError for places that do not exist,
    ValueError when `index` reaches beyond `input` or `src`.
    """
    op = "scatter_reduce"
    x, source = as_tensor(op, "input", input), as_tensor(op, "src", src)
    need_same_device(op, input=x, src=source)
    along, array = _places(op, x, dim, index, source)
    return _reduced(op, x, along, array, source, reduce, include_self, tuple(REDUCTIONS))


def index_reduce(input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True) -> Tensor:
    """`input`, where the slices of `source` that meet at a place `index` (a vector) along `dim` are reduced into it.

    `reduce` is "prod", "mean", "amax" or "amin"; for sums there is `index_add`. `include_self` and errors as in `scatter_reduce`.
    """
    op = "index_reduce"
    x, s = as_tensor(op, "input", input), as_tensor(op, "source", source)
    need_same_device(op, input=x, source=s)
    along = axis(op, dim, x.shape)
    line = _line(op, index, x, along)
    x1, s1 = _vector(x), _vector(s)
    wanted = (*x1.shape[:along], len(line), *x1.shape[along + 1 :])
    if s1.shape != wanted:
        raise ValueError(f"{op}: source has shape {s.shape}, but input {x.shape} with {len(line)} places takes {wanted}")
    # index[j] names the whole slice j: the same place for each of its elements
    xp = xp_of(line)
    array = xp.broadcast_to(line.reshape([-1 if a == along else 1 for a in range(len(wanted))]), wanted)
    return _reduced(op, x, along, array, s, reduce, include_self, ("prod", "mean", "amax", "amin"))


def _reduced(
    op: str, x: Tensor, along: int, array: Array, source: Tensor, reduce: str, include_self: bool, legal: tuple[str, ...]
) -> Tensor:
    check_choice(op, "reduce", reduce, legal)
    if source.dtype != x.dtype:
        raise TypeError(f"{op}: input is {x.dtype}, but the source is {source.dtype}; convert one of them")
    if not array.size:
        return x.clone()
    return reshape(REDUCTIONS[reduce](along, array, include_self)(_vector(x), _vector(source)), x.shape)


# ---- what users call: a part replaced ----


def select_scatter(input: Any, src: Any, dim: int, index: int) -> Tensor:
    """`input`, with `src` in the place of the slice `index` along `dim`: what `select` would take out."""
    x, s = as_tensor("select_scatter", "input", input), as_tensor("select_scatter", "src", src)
    along, index = axis("select_scatter", dim, x.shape), integer("select_scatter", "index", index)
    if not x.ndim or not -x.shape[along] <= index < x.shape[along]:
        raise IndexError(f"select_scatter: index {index} is out of range for axis {dim} of {x.shape}")
    return _replaced("select_scatter", x, s, (slice(None),) * along + (index,))


def slice_scatter(input: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """`input`, with `src` in the place of start:end:step along `dim`."""
    x, s = as_tensor("slice_scatter", "input", input), as_tensor("slice_scatter", "src", src)
    along = axis("slice_scatter", dim, x.shape)
    step = integer("slice_scatter", "step", step, minimum=1)
    return _replaced("slice_scatter", x, s, (slice(None),) * along + (slice(start, end, step),))


def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """`input`, with `src` in the place of the diagonal (i, i + offset) of the plane of two axes, which `diagonal` takes out."""
    op = "diagonal_scatter"
    x, s = as_tensor(op, "input", input), as_tensor(op, "src", src)
    if x.ndim < 2:
        raise ValueError(f"{op}: input has shape {x.shape}, but needs two axes for a diagonal")
    plane = axes(op, (dim1, dim2), x.shape)
    turned = movedim(x, plane, (-2, -1))
    index = (..., *diagonal_places(x.array, turned.shape[-2:], offset))
    return movedim(_replaced(op, turned, s, index), (-2, -1), plane)


def _replaced(op: str, x: Tensor, s: Tensor, index: tuple[Any, ...]) -> Tensor:
    need_same_device(op, input=x, src=s)
    if s.dtype != x.dtype:
        raise TypeError(f"{op}: input is {x.dtype}, but src is {s.dtype}; convert one of them")
    wanted = _shape_at(x, index)
    if s.shape != wanted:
        raise ValueError(f"{op}: src has shape {s.shape}, but the part of input {x.shape} that it replaces has {wanted}")
    return IndexPut(index)(x, s)


# ---- places as numbers ----


def argwhere(input: Any) -> Tensor:
    """The places of the elements that are not 0, as rows (count, axes) of int64: `nonzero`."""
    return nonzero(as_tensor("argwhere", "input", input))


def unravel_index(indices: Any, shape: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The places along each axis of `shape` that belong to places in the flattened tensor: one int64 tensor per axis.

    Negative ones count from the end. Raises IndexError for places that do not exist.
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)
    array = index_array(indices)
    if array.dtype.kind not in "iu":
        raise TypeError(f"unravel_index: indices are {array.dtype} {array.shape}, but must be integers; convert with .long()")
    count = int(np.prod(sizes))
    if array.size and not -count <= int(array.min()) <= int(array.max()) < count:
        raise IndexError(
            f"unravel_index: indices have values {int(array.min())} .. {int(array.max())}, but shape {sizes} has {count} places"
        )
    rest, found = array.astype(np.int64) % max(count, 1), []
    for length in reversed(sizes):
        found.append(Tensor._wrap(rest % max(length, 1)))
        rest = rest // max(length, 1)
    return tuple(reversed(found))


def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Tensor:
    """`input`, with the elements of `source` at the places `index` of the flattened tensor, or added there with `accumulate`."""
    x, s = as_tensor("put", "input", input), as_tensor("put", "source", source)
    array = index_array(index)
    if array.size != s.numel():
        raise ValueError(f"put: index has shape {array.shape}, but source {s.shape}; they must have equally many elements")
    return reshape(_put("put", reshape(x, -1), (array.reshape(-1),), reshape(s, -1), accumulate), x.shape)


def fill(input: Any, value: Any) -> Tensor:
    """A tensor like `input` with `value`, a number or a 0-d tensor, everywhere; the value receives the sum of the gradient."""
    x = as_tensor("fill", "input", input)
    v = value if isinstance(value, Tensor) else Tensor._wrap(xp_of(x.array).asarray(value, x.dtype))
    need_same_device("fill", input=x, value=v)
    if v.ndim:
        raise ValueError(f"fill: value has shape {v.shape}, but must be a number or a 0-d tensor")
    return Overwrite()(x, v.to(x.dtype))
