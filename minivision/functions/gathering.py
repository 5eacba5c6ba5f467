"""Reading and writing at computed places: gather and scatter are each other's backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, check_same_device, xp_of
from minivision.backend import scatter_add as add_at
from minivision.functions.arithmetic import where
from minivision.functions.operands import (
    Scalar,
    as_tensor,
    axis,
    check_broadcast,
    check_flags,
    counted,
    fill_value,
    index_array,
    need_bool,
    need_one_dtype,
    need_same_device,
    number,
    operand,
    shown,
)
from minivision.functions.shape import Index, broadcast_tensors, reshape


def places(index: Array, along: int) -> tuple[Array, ...]:
    """The full index of the elements that `index` names along one axis: each keeps its own place along the others."""
    xp = xp_of(index)
    grid = [xp.arange(n).reshape([-1 if i == a else 1 for i in range(index.ndim)]) for a, n in enumerate(index.shape)]
    grid[along] = index
    return tuple(grid)


class Gather(Function):
    """y[i, j] = x[index[i, j], j] along axis 0, likewise along others;  dx[index[i, j], j] += dy[i, j]"""

    def __init__(self, axis: int, index: Array):
        self.places = places(index, axis)

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x[self.places]

    def backward(self, dy: Array) -> Array:
        dx = xp_of(dy).zeros(self.shape, dy.dtype)
        add_at(dx, self.places, dy)
        return dx


class Scatter(Function):
    """y = x, with y[index[i, j], j] = source[i, j];  dx = dy, but 0 where y was written;  dsource = dy at those places

    Where two sources meet, one of them stays; both receive the gradient of the place, as in PyTorch.
    """

    def __init__(self, axis: int, index: Array):
        self.places, self.shape = places(index, axis), index.shape

    def forward(self, x: Array, source: Array) -> Array:
        self.source = source.shape
        y = x.copy()
        y[self.places] = source[_corner(self.shape)]
        return y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        dx = dy.copy()
        dx[self.places] = 0
        return dx, _in_corner(dy[self.places], self.source)


class ScatterAdd(Function):
    """y = x, with y[index[i, j], j] += source[i, j];  dx = dy,  dsource = dy at those places"""

    def __init__(self, axis: int, index: Array):
        self.places, self.shape = places(index, axis), index.shape

    def forward(self, x: Array, source: Array) -> Array:
        self.source = source.shape
        y = x.copy()
        add_at(y, self.places, source[_corner(self.shape)])
        return y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return dy, _in_corner(dy[self.places], self.source)


class IndexAdd(Function):
    """y = x, with y[index[i]] += scale source[i] along an axis;  dx = dy,  dsource[i] = scale dy[index[i]]"""

    def __init__(self, axis: int, index: Array, scale: float = 1):
        self.places, self.scale = (slice(None),) * axis + (index,), scale

    def forward(self, x: Array, source: Array) -> Array:
        y = x.copy()
        add_at(y, self.places, (source * self.scale).astype(x.dtype))
        return y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return dy, dy[self.places] * self.scale


class IndexCopy(Function):
    """y = x, with y[index[i]] = source[i] along an axis;  dx = dy, but 0 where y was written;  dsource[i] = dy[index[i]]"""

    def __init__(self, axis: int, index: Array):
        self.places = (slice(None),) * axis + (index,)

    def forward(self, x: Array, source: Array) -> Array:
        y = x.copy()
        y[self.places] = source
        return y

    def backward(self, dy: Array) -> tuple[Array, Array]:
        dx = dy.copy()
        dx[self.places] = 0
        return dx, dy[self.places]


def _corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The index of the part of that shape from the origin on."""
    return tuple(slice(n) for n in shape)


def _in_corner(values: Array, shape: tuple[int, ...]) -> Array:
    """The values from the origin on, zeros elsewhere."""
    if values.shape == shape:
        return values
    result = xp_of(values).zeros(shape, values.dtype)
    result[_corner(values.shape)] = values
    return result


# ---- what users call ----


def _index(op: str, name: str, index: Any, x: Tensor) -> Array:
    """An index tensor as an array of integers on the device of x; a list is put there."""
    array = as_tensor(op, name, index).array
    if isinstance(index, (list, tuple, int)) and not isinstance(index, bool):
        array = xp_of(x.array).asarray(array)
    if not array.size:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or array.dtype == np.uint8:
        way_out = "to choose with a mask, use masked_select or x[mask]" if array.dtype == np.bool_ else "convert with .long()"
        raise TypeError(f"{op}: {name} is {array.dtype} {array.shape}, but indices must be int64 or int32; {way_out}")
    check_same_device(op, {"input": x.array, name: array})
    return array


def _in_range(op: str, name: str, index: Array, length: int, where: str, negative: bool = False) -> None:
    """Raise IndexError for places that do not exist; NumPy would count negative ones from the end, CuPy wrap all around.

    With `negative`, places from -length on are legal.
    """
    if not index.size:
        return
    low, high, first = int(index.min()), int(index.max()), -length if negative else 0
    if low < first or high >= length:
        legal = f"legal are {first} .. {length - 1}" if length else "it has no places"
        raise IndexError(f"{op}: {name} has values {low} .. {high}, but {where} has length {length}; {legal}")


def _places(op: str, x: Tensor, dim: int, index: Any, source: Tensor | None = None) -> tuple[int, Array]:
    """The axis and the index of gather and scatter, checked. Numbers without axes count as vectors of length 1."""
    array = _index(op, "index", index, x)
    along = axis(op, dim, x.shape)
    array = array.reshape(array.shape or (1,))
    if not array.size:
        return along, array
    given = {"input": x.shape or (1,)} | ({} if source is None else {"src": source.shape or (1,)})
    for name, shape in given.items():
        if len(shape) != array.ndim:
            way_out = "; to choose whole slices, use index_select" if op == "gather" and array.ndim == 1 else ""
            raise ValueError(
                f"{op}: index has shape {array.shape} and {name} {shape}, {array.ndim} and {len(shape)} axes; they must have "
                f"equally many{way_out}"
            )
        for a, (n, m) in enumerate(zip(array.shape, shape, strict=True)):
            if n > m and (name == "src" or a != along):
                legal = "along every axis" if name == "src" else f"along every axis but dim {dim}"
                raise ValueError(
                    f"{op}: index {array.shape} reaches beyond {name} {shape} along axis {a}: {n} > {m}; {legal} it must be at "
                    "most as long"
                )
    _in_range(op, "index", array, given["input"][along], f"axis {dim} of input {x.shape}")
    return along, array


def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Tensor:
    """For each element of `index`, the element of `input` at that place along `dim`, and at the same place along other axes.

    `index` has as many axes as `input` and the result its shape. Raises IndexError for places that do not exist.
    """
    x = as_tensor("gather", "input", input)
    check_flags("gather", sparse_grad=sparse_grad)
    along, array = _places("gather", x, dim, index)
    shape = index_array(index).shape
    if not array.size:
        return reshape(Index((slice(0),))(reshape(x, -1)), shape)
    return reshape(Gather(along, array)(_vector(x)), shape)


def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Tensor:
    """As `gather`, with `input` and `indices` broadcast along the other axes; without `dim`, `input` is flattened.

    Negative places count from the end.
    """
    x = as_tensor("take_along_dim", "input", input)
    array = _index("take_along_dim", "indices", indices, x)
    where = f"the flattened input {x.shape}" if dim is None else f"axis {dim} of input {x.shape}"
    if dim is None:
        x, array, along = reshape(x, -1), array.reshape(-1), 0
    else:
        along = axis("take_along_dim", dim, x.shape)
    if array.ndim != x.ndim:
        raise ValueError(
            f"take_along_dim: input {x.shape} and indices {array.shape} have {x.ndim} and {array.ndim} axes; they must have "
            "equally many"
        )
    for a, (n, m) in enumerate(zip(x.shape, array.shape, strict=True)):
        if a != along and n != m and 1 not in (n, m):
            raise ValueError(
                f"take_along_dim: input {x.shape} and indices {array.shape} do not broadcast: {n} against {m} at axis {a}, where "
                f"lengths must be equal or 1, as on all axes but dim {along}"
            )
    shapes = [tuple(n if a != along else 1 for a, n in enumerate(s)) for s in (x.shape, array.shape)]
    _in_range("take_along_dim", "indices", array, (x.shape or (1,))[along], where, negative=True)
    others = list(np.broadcast_shapes(*shapes))
    x = x.expand((*others[:along], *x.shape[along : along + 1], *others[along + 1 :]))
    array = xp_of(array).where(array < 0, array + (x.shape or (1,))[along], array)
    length = array.shape[along : along + 1]
    return gather(x, along, Tensor(xp_of(array).broadcast_to(array, (*others[:along], *length, *others[along + 1 :]))))


def scatter(input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
    """`input`, with the elements of `src` (or one number) written to the places `index` along `dim`: `gather` backwards.

    `reduce` "add" or "multiply" combines them with what stands there. Which source stays where several meet is not defined.
    Raises IndexError for places that do not exist, ValueError when `index` reaches beyond `input` or `src`.
    """
    x = as_tensor("scatter", "input", input)
    if (src is None) == (value is None):
        given = "neither is given" if src is None else "both are given"
        raise ValueError(f"scatter: what is written is either src, a tensor, or value, a number, but {given}")
    if reduce is not None and not (isinstance(reduce, str) and reduce in ("add", "multiply")):
        raise ValueError(f"scatter: reduce={shown(reduce)} is unknown; use None, 'add' or 'multiply'")
    written = value if src is None else operand(src, "scatter", "src")
    source = written if src is not None and isinstance(written, Tensor) else None
    along, array = _places("scatter", x, dim, index, source)
    if source is None:
        written = fill_value("scatter", "value" if src is None else "src", written, x.dtype)
        source = Tensor._wrap(xp_of(x.array).full(array.shape, written, x.dtype))
    need_one_dtype("scatter", input=x, src=source)
    need_same_device("scatter", input=x, src=source)
    if not array.size:
        return x.clone()
    base = _vector(x)
    if reduce is None:
        return reshape(Scatter(along, array)(base, _vector(source)), x.shape)
    if reduce == "add":
        return reshape(ScatterAdd(along, array)(base, _vector(source)), x.shape)
    return reshape(_scatter_product(base, along, array, _vector(source)), x.shape)


def _scatter_product(x: Tensor, along: int, index: Array, source: Tensor) -> Tensor:
    """One place after another along the axis, since neither library multiplies at repeated places; without gradient."""
    y, places_ = x.array.copy(), places(index, along)
    values = source.array[_corner(index.shape)]
    for i in range(index.shape[along]):
        row = (slice(None),) * along + (slice(i, i + 1),)
        where_ = tuple(p[row] if p.shape[along] > 1 or a == along else p for a, p in enumerate(places_))
        y[where_] = y[where_] * values[row]
    return Tensor._wrap(y)


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Tensor:
    """`input`, with the elements of `src` added at the places `index` along `dim`; those that meet add up."""
    x, source = as_tensor("scatter_add", "input", input), as_tensor("scatter_add", "src", src)
    need_same_device("scatter_add", input=x, src=source)
    along, array = _places("scatter_add", x, dim, index, source)
    need_one_dtype("scatter_add", input=x, src=source)
    if not array.size:
        return x.clone()
    return reshape(ScatterAdd(along, array)(_vector(x), _vector(source)), x.shape)


def _vector(x: Tensor) -> Tensor:
    return x if x.ndim else reshape(x, 1)


def _line(op: str, index: Any, x: Tensor, along: int) -> Array:
    """The index of `index_select` and its relatives: one axis, or none for a single place."""
    array = _index(op, "index", index, x)
    if array.ndim > 1:
        raise ValueError(f"{op}: index has shape {array.shape}, but must be a vector; use gather, or x[index], for more axes")
    _in_range(op, "index", array, (x.shape or (1,))[along], f"axis {along} of input {x.shape}")
    return array.reshape(-1)


def index_select(input: Any, dim: int, index: Any) -> Tensor:
    """The slices of `input` at the places `index` (a vector) along `dim`, in that order."""
    x = as_tensor("index_select", "input", input)
    along = axis("index_select", dim, x.shape)
    y = Index((slice(None),) * along + (_line("index_select", index, x, along),))(_vector(x))
    return y if x.ndim else reshape(y, ())


def _with_source(op: str, input: Any, dim: int, index: Any, source: Any) -> tuple[Tensor, int, Array, Tensor]:
    """input, axis, index and source of `index_add` and `index_copy`; a source without the axis gets it."""
    x, s = as_tensor(op, "input", input), as_tensor(op, "source", source)
    need_same_device(op, input=x, source=s)
    along = axis(op, dim, x.shape)
    array = _line(op, index, x, along)
    need_one_dtype(op, input=x, source=s)
    wanted = (*x.shape[:along], len(array), *x.shape[along + 1 :])
    if not x.ndim or not s.ndim:
        s = reshape(s, (1,) * max(x.ndim, 1)) if s.numel() == 1 else s
    if s.shape != (wanted if x.ndim else (1,)):
        raise ValueError(
            f"{op}: source has shape {s.shape}, but index names {counted(len(array), 'place')} along dim {along} of input "
            f"{x.shape}, so it must be {wanted}"
        )
    return x, along, array, s


def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Scalar = 1) -> Tensor:
    """`input`, with `alpha` times the slices of `source` added at the places `index` along `dim`; those that meet add up."""
    x, along, array, s = _with_source("index_add", input, dim, index, source)
    return reshape(IndexAdd(along, array, number("index_add", "alpha", alpha))(_vector(x), s), x.shape)


def index_copy(input: Any, dim: int, index: Any, source: Any) -> Tensor:
    """`input`, with the slices of `source` written to the places `index` along `dim`."""
    x, along, array, s = _with_source("index_copy", input, dim, index, source)
    return reshape(IndexCopy(along, array)(_vector(x), s), x.shape)


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Tensor:
    """`input`, with one value at the places `index` along `dim`."""
    x = as_tensor("index_fill", "input", input)
    along = axis("index_fill", dim, x.shape)
    array = _line("index_fill", index, x, along)
    mask = xp_of(x.array).zeros(x.shape or (1,), bool)
    mask[(slice(None),) * along + (array,)] = True
    return _filled("index_fill", x, Tensor._wrap(mask.reshape(x.shape)), value)


def masked_fill(input: Any, mask: Any, value: Any) -> Tensor:
    """`input`, with `value` (a number or a 0-d tensor) where `mask` is true; the mask broadcasts."""
    x, m = as_tensor("masked_fill", "input", input), _mask("masked_fill", mask)
    need_same_device("masked_fill", input=x, mask=m)
    check_broadcast("masked_fill", [x.shape, m.shape], ("input", "mask"))
    return _filled("masked_fill", x, m, value)


def _filled(op: str, x: Tensor, mask: Tensor, value: Any) -> Tensor:
    """x, with `value` where the mask is true."""
    if not isinstance(value, Tensor):
        return where(mask, fill_value(op, "value", value, x.dtype), x)
    if value.ndim:
        raise ValueError(f"{op}: value has shape {value.shape}, but must be a number; use where for a tensor")
    return where(mask, value.to(device=x.device, dtype=x.dtype), x)


def masked_select(input: Any, mask: Any) -> Tensor:
    """The elements of `input` where `mask` is true, as a vector; the two broadcast."""
    x, m = as_tensor("masked_select", "input", input), _mask("masked_select", mask)
    need_same_device("masked_select", input=x, mask=m)
    check_broadcast("masked_select", [x.shape, m.shape], ("input", "mask"))
    x, m = broadcast_tensors(x, m)
    return Index((m.array.reshape(-1),))(reshape(x, -1))


def _mask(op: str, mask: Any) -> Tensor:
    m = as_tensor(op, "mask", mask)
    need_bool(op, "mask", m)
    return m


def take(input: Any, index: Any) -> Tensor:
    """The elements of the flattened `input` at the places `index`, in its shape; negative places count from the end."""
    x = as_tensor("take", "input", input)
    array = _index("take", "index", index, x)
    _in_range("take", "index", array, x.numel(), f"the flattened input {x.shape}", negative=True)
    return reshape(Index((array.reshape(-1),))(reshape(x, -1)), array.shape)


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The places of the elements that are not 0: (count, axes) of int64, or one tensor per axis with `as_tuple`."""
    x = as_tensor("nonzero", "input", input).array
    check_flags("nonzero", as_tuple=as_tuple)
    xp = xp_of(x)
    found = xp.nonzero(x.reshape(x.shape or (1,)))
    if as_tuple:
        return tuple(Tensor._wrap(places_.astype(np.int64)) for places_ in found)
    return Tensor._wrap(xp.stack(found, axis=1).astype(np.int64)[:, : x.ndim])
