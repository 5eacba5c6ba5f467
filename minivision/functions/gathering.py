"""Reading and writing at computed places: gather and scatter are each other's backward."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, check_same_device, xp_of
from minivision.backend import scatter_add as add_at
from minivision.functions.arithmetic import where
from minivision.functions.operands import Scalar, as_tensor, axis, check_broadcast, index_array, need_same_device
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
    """An index tensor as an array of integers on the device of x."""
    array = index_array(index)
    if not array.size:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or array.dtype == np.uint8:
        raise TypeError(f"{op}: {name} is {array.dtype} {array.shape}, but indices must be int64 or int32; convert with .long()")
    check_same_device(op, {"input": x.array, name: array})
    return array


def _in_range(op: str, name: str, index: Array, length: int, where: str) -> None:
    """Raise IndexError for places that do not exist; NumPy would count negative ones from the end, CuPy wrap all around."""
    if index.size and (int(index.min()) < 0 or int(index.max()) >= length):
        raise IndexError(
            f"{op}: {name} has values {int(index.min())} .. {int(index.max())}, but {where} has length {length}; legal are "
            f"0 .. {length - 1}"
        )


def _places(op: str, x: Tensor, dim: int, index: Any, source: Tensor | None = None) -> tuple[int, Array]:
    """The axis and the index of gather and scatter, checked. Numbers without axes count as vectors of length 1."""
    array = _index(op, "index", index, x)
    along = axis(op, dim, x.ndim)
    array = array.reshape(array.shape or (1,))
    if not array.size:
        return along, array
    given = {"input": x.shape or (1,)} | ({} if source is None else {"src": source.shape or (1,)})
    for name, shape in given.items():
        if len(shape) != array.ndim:
            raise ValueError(f"{op}: index has shape {array.shape} and {name} {shape}; they must have equally many axes")
        for a, (n, m) in enumerate(zip(array.shape, shape, strict=True)):
            if n > m and (name == "src" or a != along):
                raise ValueError(f"{op}: index {array.shape} reaches beyond {name} {shape} at axis {a}: {n} > {m}")
    _in_range(op, "index", array, given["input"][along], f"axis {dim} of input {x.shape}")
    return along, array


def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Tensor:
    """For each element of `index`, the element of `input` at that place along `dim`, and at the same place along other axes.

    `index` has as many axes as `input` and the result its shape. Raises IndexError for places that do not exist.
    """
    x = as_tensor("gather", "input", input)
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
    if dim is None:
        x, array, along = reshape(x, -1), array.reshape(-1), 0
    else:
        along = axis("take_along_dim", dim, x.ndim)
    if array.ndim != x.ndim:
        raise ValueError(f"take_along_dim: input {x.shape} and indices {array.shape} must have equally many axes")
    shapes = [tuple(n for a, n in enumerate(s) if a != along) for s in (x.shape, array.shape)]
    check_broadcast("take_along_dim (all axes but dim)", shapes)
    others = np.broadcast_shapes(*shapes)
    x = x.expand((*others[:along], x.shape[along], *others[along:]))
    array = xp_of(array).where(array < 0, array + x.shape[along], array)
    return gather(x, along, Tensor(xp_of(array).broadcast_to(array, (*others[:along], array.shape[along], *others[along:]))))


def scatter(input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
    """`input`, with the elements of `src` (or one number) written to the places `index` along `dim`: `gather` backwards.

    `reduce` "add" or "multiply" combines them with what stands there. Which source stays where several meet is not defined.
    Raises IndexError for places that do not exist, ValueError when `index` reaches beyond `input` or `src`.
    """
    x = as_tensor("scatter", "input", input)
    if (src is None) == (value is None):
        raise ValueError("scatter: give either src, a tensor, or value, a number")
    source = src if isinstance(src, Tensor) else None
    along, array = _places("scatter", x, dim, index, source)
    if source is None:
        number = value if src is None else src
        number = number.item() if isinstance(number, Tensor) else number
        source = Tensor._wrap(xp_of(x.array).full(array.shape, number, x.dtype))
    if source.dtype != x.dtype:
        raise TypeError(f"scatter: input is {x.dtype}, but src is {source.dtype}; convert one of them")
    need_same_device("scatter", input=x, src=source)
    if not array.size:
        return x.clone()
    base = _vector(x)
    if reduce is None:
        return reshape(Scatter(along, array)(base, _vector(source)), x.shape)
    if reduce == "add":
        return reshape(ScatterAdd(along, array)(base, _vector(source)), x.shape)
    if reduce == "multiply":
        return reshape(_scatter_product(base, along, array, _vector(source)), x.shape)
    raise ValueError(f"scatter: reduce={reduce!r} is unknown; use None, 'add' or 'multiply'")


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
    if source.dtype != x.dtype:
        raise TypeError(f"scatter_add: input is {x.dtype}, but src is {source.dtype}; convert one of them")
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
    along = axis("index_select", dim, x.ndim)
    y = Index((slice(None),) * along + (_line("index_select", index, x, along),))(_vector(x))
    return y if x.ndim else reshape(y, ())


def _with_source(op: str, input: Any, dim: int, index: Any, source: Any) -> tuple[Tensor, int, Array, Tensor]:
    """input, axis, index and source of `index_add` and `index_copy`; a source without the axis gets it."""
    x, s = as_tensor(op, "input", input), as_tensor(op, "source", source)
    need_same_device(op, input=x, source=s)
    along = axis(op, dim, x.ndim)
    array = _line(op, index, x, along)
    if s.dtype != x.dtype:
        raise TypeError(f"{op}: input is {x.dtype}, but source is {s.dtype}; convert one of them")
    wanted = (*x.shape[:along], len(array), *x.shape[along + 1 :])
    if not x.ndim or not s.ndim:
        s = reshape(s, (1,) * max(x.ndim, 1)) if s.numel() == 1 else s
    if s.shape != (wanted if x.ndim else (1,)):
        raise ValueError(f"{op}: source has shape {s.shape}, but input {x.shape} with {len(array)} places takes {wanted}")
    return x, along, array, s


def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Scalar = 1) -> Tensor:
    """`input`, with `alpha` times the slices of `source` added at the places `index` along `dim`; those that meet add up."""
    x, along, array, s = _with_source("index_add", input, dim, index, source)
    return reshape(IndexAdd(along, array, alpha)(_vector(x), s), x.shape)


def index_copy(input: Any, dim: int, index: Any, source: Any) -> Tensor:
    """`input`, with the slices of `source` written to the places `index` along `dim`."""
    x, along, array, s = _with_source("index_copy", input, dim, index, source)
    return reshape(IndexCopy(along, array)(_vector(x), s), x.shape)


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Tensor:
    """`input`, with one value at the places `index` along `dim`."""
    x = as_tensor("index_fill", "input", input)
    along = axis("index_fill", dim, x.ndim)
    array = _line("index_fill", index, x, along)
    mask = xp_of(x.array).zeros(x.shape or (1,), bool)
    mask[(slice(None),) * along + (array,)] = True
    return masked_fill(x, Tensor._wrap(mask.reshape(x.shape)), value)


def masked_fill(input: Any, mask: Any, value: Any) -> Tensor:
    """`input`, with `value` (a number or a 0-d tensor) where `mask` is true; the mask broadcasts."""
    x, m = as_tensor("masked_fill", "input", input), _mask("masked_fill", mask)
    need_same_device("masked_fill", input=x, mask=m)
    if isinstance(value, Tensor):
        if value.ndim:
            raise ValueError(f"masked_fill: value has shape {value.shape}, but must be a number; use where for a tensor")
        value = value.to(x.dtype)
    elif isinstance(value, float) and not x.is_floating_point():
        raise TypeError(f"masked_fill: input is {x.dtype} and cannot hold {value}; convert it with .float()")
    check_broadcast("masked_fill", [x.shape, m.shape])
    return where(m, value, x)


def masked_select(input: Any, mask: Any) -> Tensor:
    """The elements of `input` where `mask` is true, as a vector; the two broadcast."""
    x, m = as_tensor("masked_select", "input", input), _mask("masked_select", mask)
    need_same_device("masked_select", input=x, mask=m)
    check_broadcast("masked_select", [x.shape, m.shape])
    x, m = broadcast_tensors(x, m)
    return Index((m.array.reshape(-1),))(reshape(x, -1))


def _mask(op: str, mask: Any) -> Tensor:
    m = as_tensor(op, "mask", mask)
    if m.dtype != np.bool_:
        raise TypeError(f"{op}: mask is {m.dtype} {m.shape}, but must be bool; write a comparison such as x > 0")
    return m


def take(input: Any, index: Any) -> Tensor:
    """The elements of the flattened `input` at the places `index`, in its shape; negative places count from the end."""
    x = as_tensor("take", "input", input)
    array = _index("take", "index", index, x)
    size = x.numel()
    _in_range("take", "index", xp_of(array).where(array < 0, array + size, array), size, f"the flattened input {x.shape}")
    return reshape(Index((array.reshape(-1),))(reshape(x, -1)), array.shape)


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The places of the elements that are not 0: (count, axes) of int64, or one tensor per axis with `as_tuple`."""
    x = as_tensor("nonzero", "input", input).array
    xp = xp_of(x)
    found = xp.nonzero(x.reshape(x.shape or (1,)))
    if as_tuple:
        return tuple(Tensor._wrap(places_.astype(np.int64)) for places_ in found)
    return Tensor._wrap(xp.stack(found, axis=1).astype(np.int64)[:, : x.ndim])
