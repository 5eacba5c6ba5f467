"""Axes moved, tensors rolled, tiled, stacked and cut, triangles and diagonals taken and laid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.autograd.dtypes import result_type
from minivision.backend import Array, to_numpy, xp_of
from minivision.functions.operands import (
    LARGEST_ARRAY,
    as_tensor,
    axes,
    axis,
    check_choice,
    check_flags,
    counted,
    integer,
    integers,
    lengths,
    need_numbers,
    need_one_dtype,
    need_same_device,
    several,
    shown,
)
from minivision.functions.shape import (
    Index,
    Permute,
    axis_with_length,
    broadcast_tensors,
    exchanged,
    expanded,
    flip,
    joined,
    misfit,
    new_axis,
    permute,
    repeated,
    reshape,
    stack,
    transpose,
)


class Roll(Function):
    """Entries moved along axes, those that leave at the end come back at the start;  dx = dy moved back"""

    def __init__(self, shifts: tuple[int, ...], axes: tuple[int, ...]):
        self.shifts, self.axes = shifts, axes

    def forward(self, x: Array) -> Array:
        return xp_of(x).roll(x, self.shifts, self.axes)

    def backward(self, dy: Array) -> Array:
        return xp_of(dy).roll(dy, tuple(-s for s in self.shifts), self.axes)


class Tril(Function):
    """y[i, j] = x[i, j] where j - i <= k, else 0, over the last two axes;  dx = dy there, else 0"""

    def __init__(self, k: int = 0):
        self.k = k

    def forward(self, x: Array) -> Array:
        return xp_of(x).tril(x, self.k)

    def backward(self, dy: Array) -> Array:
        return xp_of(dy).tril(dy, self.k)


class Triu(Function):
    """y[i, j] = x[i, j] where j - i >= k, else 0, over the last two axes;  dx = dy there, else 0"""

    def __init__(self, k: int = 0):
        self.k = k

    def forward(self, x: Array) -> Array:
        return xp_of(x).triu(x, self.k)

    def backward(self, dy: Array) -> Array:
        return xp_of(dy).triu(dy, self.k)


class Diagonal(Function):
    """y[..., i] = x[..., i, i + k];  dx is dy on that diagonal, 0 elsewhere"""

    def __init__(self, k: int = 0):
        self.k = k

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x[(..., *diagonal_places(x, x.shape[-2:], self.k))]

    def backward(self, dy: Array) -> Array:
        dx = xp_of(dy).zeros(self.shape, dy.dtype)
        dx[(..., *diagonal_places(dy, self.shape[-2:], self.k))] = dy
        return dx


class DiagonalMatrix(Function):
    """y[..., i, i + k] = x[..., i], else 0: square matrices;  dx is dy's diagonal"""

    def __init__(self, k: int = 0):
        self.k = k

    def forward(self, x: Array) -> Array:
        size = x.shape[-1] + abs(self.k)
        y = xp_of(x).zeros((*x.shape[:-1], size, size), x.dtype)
        y[(..., *diagonal_places(x, (size, size), self.k))] = x
        return y

    def backward(self, dy: Array) -> Array:
        return dy[(..., *diagonal_places(dy, dy.shape[-2:], self.k))]


def diagonal_places(like: Array, size: tuple[int, ...], k: int) -> tuple[Array, Array]:
    """Row and column of the places (i, i + k) of a matrix of that size, on the device of `like`."""
    first = max(-k, 0)
    i = xp_of(like).arange(first, max(first, min(size[0], size[1] - k)))
    return i, i + k


class BlockDiagonal(Function):
    """Matrices along the diagonal of a matrix of zeros;  each receives its block of dy"""

    def forward(self, *blocks: Array) -> Array:
        ends = list(itertools.accumulate((b.shape for b in blocks), lambda a, b: (a[0] + b[0], a[1] + b[1]), initial=(0, 0)))
        self.places = [(slice(a, c), slice(b, d)) for (a, b), (c, d) in itertools.pairwise(ends)]
        y = xp_of(*blocks).zeros(ends[-1], blocks[0].dtype)
        for place, block in zip(self.places, blocks, strict=True):
            y[place] = block
        return y

    def backward(self, dy: Array) -> tuple[Array, ...]:
        return tuple(dy[place] for place in self.places)


# ---- what users call: axes ----


def movedim(input: Any, source: Any, destination: Any) -> Tensor:
    """The axes `source` (one or several) moved to the places `destination`; the others keep their order."""
    x = as_tensor("movedim", "input", input)
    sources = axes("movedim", _listed(source), x.shape, "source")
    targets = axes("movedim", _listed(destination), x.shape, "destination")
    if len(_listed(source)) != len(_listed(destination)):
        raise ValueError(
            f"movedim: source {source} and destination {destination} name {len(_listed(source))} and {len(_listed(destination))} "
            "axes; they must be equally many"
        )
    if not x.ndim or not _listed(source):
        return Permute(tuple(range(x.ndim)))(x)
    return moved(x, sources, targets)


def moved(x: Tensor, sources: Sequence[int], targets: Sequence[int]) -> Tensor:
    """x with the axes `sources`, which are known to exist, at the places `targets`."""
    order = [a for a in range(x.ndim) if a not in sources]
    for target, source in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source)
    return permute(x, order)


moveaxis = movedim


def _listed(dims: Any) -> tuple[int, ...]:
    return tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)


def swapaxes(input: Any, axis0: int, axis1: int) -> Tensor:
    """Two axes exchanged, as `transpose`."""
    x = as_tensor("swapaxes", "input", input)
    return exchanged(x, axis("swapaxes", axis0, x.shape, "axis0"), axis("swapaxes", axis1, x.shape, "axis1"))


def swapdims(input: Any, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged, as `transpose`."""
    x = as_tensor("swapdims", "input", input)
    return exchanged(x, axis("swapdims", dim0, x.shape, "dim0"), axis("swapdims", dim1, x.shape, "dim1"))


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Tensor:
    """The axis `dim` split into axes of the given sizes, one of which may be -1: `flatten` undone."""
    x = as_tensor("unflatten", "input", input)
    along, length = axis_with_length("unflatten", x, dim)
    asked = wanted = lengths("unflatten", "sizes", (sizes,))
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known > 0 and length % known == 0:
        wanted = tuple(length // known if n == -1 else n for n in wanted)
    if not wanted or math.prod(wanted) != length or min(wanted) < 0:
        raise ValueError(f"unflatten: axis {dim} of {x.shape} has length {length}, but {misfit('sizes', asked, length)}")
    return reshape(x, (*x.shape[:along], *wanted, *x.shape[along + 1 :]))


def ravel(input: Any) -> Tensor:
    """All axes as one."""
    return _flat("ravel", input)


def _flat(op: str, input: Any) -> Tensor:
    """The input as a vector."""
    x = as_tensor(op, "input", input)
    return reshape(x, x.numel())


def select(input: Any, dim: int, index: int) -> Tensor:
    """The slice at `index` along `dim`, without that axis."""
    x = as_tensor("select", "input", input)
    along, length = axis_with_length("select", x, dim)
    place = integer("select", "index", index)
    if not -length <= place < length:
        legal = f"legal are {-length} .. {length - 1}" if length else "it has no places"
        raise IndexError(f"select: index {place} is out of range for axis {dim} of {x.shape}, of length {length}; {legal}")
    return Index((slice(None),) * along + (place,))(x)


def broadcast_to(input: Any, shape: Sequence[int]) -> Tensor:
    """`input` expanded to `shape`, without copying."""
    return expanded("broadcast_to", as_tensor("broadcast_to", "input", input), lengths("broadcast_to", "shape", (shape,)))


def atleast_1d(*tensors: Any) -> Any:
    """Numbers as vectors of length 1; others stay as they are."""
    return _each("atleast_1d", tensors, vector)


def atleast_2d(*tensors: Any) -> Any:
    """Numbers and vectors as matrices of one row."""
    return _each("atleast_2d", tensors, matrix)


def atleast_3d(*tensors: Any) -> Any:
    """Numbers as (1, 1, 1), vectors as (1, n, 1), matrices as (n, m, 1)."""
    return _each("atleast_3d", tensors, block)


def vector(x: Tensor) -> Tensor:
    """() -> (1,)"""
    return x if x.ndim else reshape(x, 1)


def matrix(x: Tensor) -> Tensor:
    """() -> (1, 1), (n,) -> (1, n)"""
    return x if x.ndim > 1 else reshape(x, 1, x.numel())


def block(x: Tensor) -> Tensor:
    """() -> (1, 1, 1), (n,) -> (1, n, 1), (n, m) -> (n, m, 1)"""
    return x if x.ndim > 2 else x.unsqueeze(-1) if x.ndim == 2 else reshape(x, 1, x.numel(), 1)


def _each(op: str, tensors: tuple[Any, ...], change: Any) -> Any:
    """One tensor, or a tuple of several (given one by one or as a sequence)."""
    if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
        return change(as_tensor(op, "input", tensors[0]))
    given = tensors[0] if len(tensors) == 1 else tensors
    return tuple(change(as_tensor(op, f"tensors[{i}]", x)) for i, x in enumerate(given))


# ---- entries moved and repeated ----


def roll(input: Any, shifts: Any, dims: Any = None) -> Tensor:
    """Entries moved by `shifts` along `dims`; those that leave at one end come back at the other. Without `dims`, flattened."""
    x = as_tensor("roll", "input", input)
    steps = tuple(integer("roll", "shifts", s, meaning="an int or a tuple of ints", limit=2**63 - 1) for s in _listed(shifts))
    if dims is None or (isinstance(dims, (tuple, list)) and not dims):
        if len(steps) != 1:
            raise ValueError(
                f"roll: shifts={steps} has {counted(len(steps), 'number')}, but without dims the input is flattened and takes "
                "one; give dims, an axis for each"
            )
        return reshape(Roll(steps, (0,))(reshape(x, x.numel())), x.shape)
    if not x.ndim:
        raise IndexError(f"roll: input is a single number of shape (), which has no axis dims={dims}; leave dims away")
    along = tuple(axis("roll", d, x.shape, meaning="an int or a tuple of ints") for d in _listed(dims))
    if len(steps) != len(along):
        raise ValueError(
            f"roll: shifts={shifts} has {counted(len(steps), 'number')}, but dims={dims} names {counted(len(along), 'axis')}; "
            "there must be one for each"
        )
    return Roll(steps, along)(x)


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k quarters in the plane of two axes, from the first towards the second."""
    x, k = as_tensor("rot90", "input", input), integer("rot90", "k", k)
    if not isinstance(dims, (tuple, list)) or len(dims) != 2:
        raise ValueError(f"rot90: dims={shown(dims)}, but there must be two axes, which span the plane, such as (0, 1)")
    if x.ndim < 2:
        raise ValueError(f"rot90: input has shape {x.shape}, but needs at least 2 axes, a plane to be turned in")
    a, b = axes("rot90", dims, x.shape, "dims")
    turned = {0: lambda: x.clone(), 1: lambda: transpose(flip(x, b), a, b), 2: lambda: flip(x, a, b),
              3: lambda: flip(transpose(x, a, b), b)}  # fmt: skip
    return turned[k % 4]()


def fliplr(input: Any) -> Tensor:
    """The second axis reversed."""
    x = as_tensor("fliplr", "input", input)
    if x.ndim < 2:
        raise ValueError(f"fliplr: input has shape {x.shape}, but needs at least 2 axes: the second is reversed; use flip")
    return flip(x, 1)


def flipud(input: Any) -> Tensor:
    """The first axis reversed."""
    x = as_tensor("flipud", "input", input)
    if not x.ndim:
        raise ValueError("flipud: input is a single number of shape (), without an axis to be reversed")
    return flip(x, 0)


def tile(input: Any, *copies_: Any, dims: Any = None) -> Tensor:
    """As `repeat`; numbers of copies that are missing count as 1, from the left."""
    x = as_tensor("tile", "input", input)
    copies = lengths("tile", "dims", copies_ if dims is None else (dims,), minimum=0)
    return repeated("tile", x, (1,) * (x.ndim - len(copies)) + copies)


def repeat_interleave(input: Any, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Each entry along `dim` repeated `repeats` times (a number, or one for each entry), copies side by side."""
    op = "repeat_interleave"
    x = as_tensor(op, "input", input)
    if dim is None:
        x, dim = reshape(x, x.numel()), 0
    along = axis(op, dim, x.shape)
    x = x if x.ndim else reshape(x, 1)
    counts = to_numpy(as_tensor(op, "repeats", repeats).array)
    if counts.dtype.kind not in "iu":
        raise TypeError(f"{op}: repeats is {shown(repeats)}, but must be an int, or integers, one for each entry")
    if counts.ndim > 1 or counts.size not in (1, x.shape[along]):
        raise ValueError(
            f"{op}: repeats has shape {counts.shape}, but axis {dim} of {x.shape} has {x.shape[along]} entries; give one number, "
            "or one for each entry"
        )
    if (counts < 0).any():
        raise ValueError(f"{op}: repeats has the negative number {int(counts.min())}; 0 leaves an entry out")
    total = int(counts.sum(dtype=np.float64)) if counts.size > 1 else int(counts.reshape(-1)[0]) * x.shape[along]
    if output_size is not None and integer(op, "output_size", output_size) != total:
        raise ValueError(f"{op}: output_size={output_size}, but the repeats of axis {dim} of {x.shape} add up to {total}")
    if total * x.dtype.itemsize > LARGEST_ARRAY:
        raise ValueError(f"{op}: repeats make {total} entries, more than memory can address")
    order = np.repeat(np.arange(x.shape[along]), np.broadcast_to(counts.reshape(-1), x.shape[along]))
    return Index((slice(None),) * along + (xp_of(x.array).asarray(order),))(x)


# ---- joined and cut ----


def hstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors side by side: joined along axis 1, vectors along axis 0."""
    parts = [vector(x) for x in several("hstack", tensors)]
    return joined("hstack", parts, 0 if parts[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors one below the other: joined along axis 0, vectors as rows."""
    return _joined("vstack", tensors, matrix, 0, "a vector is a row (1, n)")


row_stack = vstack


def dstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors one behind the other: joined along axis 2."""
    return _joined("dstack", tensors, block, 2, "a matrix is (n, m, 1)")


def column_stack(tensors: Sequence[Any]) -> Tensor:
    """As `hstack`, vectors as columns."""
    return _joined(
        "column_stack", tensors, lambda x: reshape(x, x.numel(), 1) if x.ndim < 2 else x, 1, "a vector is a column (n, 1)"
    )


def _joined(op: str, tensors: Any, change: Callable[[Tensor], Tensor], dim: int, note: str) -> Tensor:
    """The tensors joined along `dim`, each with more axes if it needs them."""
    given = several(op, tensors)
    parts = [change(x) for x in given]
    changed = any(part.shape != x.shape for part, x in zip(parts, given, strict=True))
    return joined(op, parts, dim, f" ({note})" if changed else "")


def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut along `dim` into so many parts, the first ones longer by one where it does not come out even, or at given places."""
    return _cut("tensor_split", as_tensor("tensor_split", "input", input), indices_or_sections, dim)


def _cut(op: str, x: Tensor, indices_or_sections: Any, dim: int) -> tuple[Tensor, ...]:
    along, length = axis_with_length(op, x, dim)
    given = indices_or_sections
    if isinstance(given, Tensor):
        if given.ndim > 1 or given.dtype.kind not in "iu":
            raise TypeError(f"{op}: indices_or_sections is {shown(given)}, but must be an int or a vector of int64")
        given = given.tolist()
    if isinstance(given, (tuple, list)):
        inner = integers(op, "indices_or_sections", given, "a tuple of places")
    else:
        count = integer(op, "indices_or_sections", given, 1, "the number of parts, or a tuple of places")
        if count > max(length, 1) * 1000:
            raise ValueError(
                f"{op}: indices_or_sections={count}, but axis {dim} of {x.shape} has length {length}: nearly all parts are empty"
            )
        inner = tuple(i * (length // count) + min(i, length % count) for i in range(1, count))
    bounds = zip([None, *inner], [*inner, None], strict=True)
    return tuple(Index((slice(None),) * along + (slice(a, b),))(x) for a, b in bounds)


def hsplit(input: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along axis 1, of a vector along axis 0; a number must divide the length."""
    x = as_tensor("hsplit", "input", input)
    return _even_split("hsplit", x, indices_or_sections, 0 if x.ndim == 1 else 1, 1)


def vsplit(input: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along axis 0; a number must divide the length."""
    return _even_split("vsplit", as_tensor("vsplit", "input", input), indices_or_sections, 0, 2)


def dsplit(input: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """`tensor_split` along axis 2; a number must divide the length."""
    return _even_split("dsplit", as_tensor("dsplit", "input", input), indices_or_sections, 2, 3)


def _even_split(op: str, x: Tensor, given: Any, dim: int, least: int) -> tuple[Tensor, ...]:
    if x.ndim < least:
        raise ValueError(f"{op}: input has shape {x.shape}, but needs at least {least} ax{'is' if least == 1 else 'es'}")
    if isinstance(given, Tensor) and given.ndim:
        given = given.tolist()
    if not isinstance(given, (tuple, list)):
        given = integer(op, "indices_or_sections", given, 1, "the number of parts, or a tuple of places")
    if not isinstance(given, (tuple, list)) and x.shape[dim] % given:
        raise ValueError(
            f"{op}: {given} equal parts cannot be made of axis {dim} of {x.shape}, of length {x.shape[dim]}; use tensor_split "
            "for parts that differ by one"
        )
    return _cut(op, x, given, dim)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid: tensor i varies along axis i and is repeated along the others ("xy" exchanges the first two).

    Shapes: vectors (n_1,) .. (n_k,) give k tensors (n_1, .., n_k).
    """
    check_choice("meshgrid", "indexing", indexing, ("ij", "xy"))
    return _grid("meshgrid", tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors, indexing)


def _grid(op: str, tensors: Sequence[Any], indexing: str = "ij") -> tuple[Tensor, ...]:
    lines = several(op, tensors)
    need_one_dtype(op, **{f"tensors[{i}]": x for i, x in enumerate(lines)})
    for i, x in enumerate(lines):
        if x.ndim > 1 or (x.ndim < 1 and op == "cartesian_prod"):
            raise ValueError(f"{op}: tensors[{i}] has shape {x.shape}, but must be a vector of 1 axis")
    placed = [reshape(x, (1,) * i + (-1,) + (1,) * (len(lines) - 1 - i)) for i, x in enumerate(lines)]
    grids = broadcast_tensors(*placed)
    return tuple(transpose(g, 0, 1) for g in grids) if indexing == "xy" and len(lines) > 1 else grids


def cartesian_prod(*tensors: Any) -> Tensor:
    """Every combination of one entry of each vector, as rows."""
    grids = _grid("cartesian_prod", tensors)
    return grids[0] if len(grids) == 1 else stack([reshape(g, g.numel()) for g in grids], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of r entries of a vector, as rows in the order of `itertools.combinations`."""
    x = as_tensor("combinations", "input", input)
    check_flags("combinations", with_replacement=with_replacement)
    if x.ndim != 1:
        raise ValueError(f"combinations: input has shape {x.shape}, but must be a vector")
    r = integer("combinations", "r", r)
    if r < 0:
        raise ValueError(f"combinations: r={r} is the number of entries that are chosen and must not be negative")
    if not r:
        return Index((slice(0),))(x)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.asarray(list(choose(range(x.shape[0]), r)), np.int64).reshape(-1, r)
    return Index((xp_of(x.array).asarray(rows),))(x)


def block_diag(*tensors: Any) -> Tensor:
    """The matrix with the given matrices (vectors as rows, numbers as 1 x 1) along its diagonal and zeros elsewhere."""
    parts = [as_tensor("block_diag", f"tensors[{i}]", x) for i, x in enumerate(tensors)]
    need_same_device("block_diag", **{f"tensors[{i}]": x for i, x in enumerate(parts)})
    for i, x in enumerate(parts):
        if x.ndim > 2:
            raise ValueError(f"block_diag: tensors[{i}] has shape {x.shape}, but must have at most 2 axes")
    blocks = [reshape(x, 1, -1) if x.ndim < 2 else x for x in parts] or [Tensor._wrap(np.zeros((1, 0), np.float32))]
    dtype = result_type(*(x.array for x in blocks))
    return BlockDiagonal()(*(x.to(dtype) for x in blocks))


# ---- triangles and diagonals ----


def tril(input: Any, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two axes, zeros above the given diagonal."""
    return Tril(integer("tril", "diagonal", diagonal))(_matrices("tril", input))


def triu(input: Any, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two axes, zeros below the given diagonal."""
    return Triu(integer("triu", "diagonal", diagonal))(_matrices("triu", input))


def _matrices(op: str, input: Any) -> Tensor:
    x = as_tensor(op, "input", input)
    if x.ndim < 2:
        raise ValueError(f"{op}: input has shape {x.shape}, but needs at least 2 axes (..., rows, columns)")
    return x


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal (i, i + offset) of the plane of two axes, as the last axis. Unlike PyTorch's it is a copy."""
    x = as_tensor("diagonal", "input", input)
    return _diagonal("diagonal", x, offset, dim1, dim2)


def _diagonal(op: str, x: Tensor, offset: int, dim1: int = 0, dim2: int = 1) -> Tensor:
    if x.ndim < 2:
        raise ValueError(f"{op}: input has shape {x.shape}, but needs at least 2 axes")
    a, b = axis(op, dim1, x.shape, "dim1"), axis(op, dim2, x.shape, "dim2")
    if a == b:
        raise ValueError(f"{op}: dim1={dim1} and dim2={dim2} are the same axis of {x.shape}; a diagonal takes two")
    return Diagonal(integer(op, "offset", offset))(moved(x, (a, b), (x.ndim - 2, x.ndim - 1)))


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Square matrices with the last axis of `input` on a diagonal and zeros elsewhere."""
    x = as_tensor("diag_embed", "input", input)
    if not x.ndim:
        raise ValueError("diag_embed: input is a single number of shape (), but must be a vector or vectors (..., n)")
    a, b = new_axis("diag_embed", dim1, x.shape, "dim1"), new_axis("diag_embed", dim2, x.shape, "dim2")
    if a == b:
        raise ValueError(
            f"diag_embed: dim1={dim1} and dim2={dim2} are the same axis of the result, which has {x.ndim + 1}; rows and columns "
            "of a matrix take two"
        )
    return moved(_on_diagonal("diag_embed", "offset", x, offset), (x.ndim - 1, x.ndim), (a, b))


def _on_diagonal(op: str, name: str, x: Tensor, k: Any) -> Tensor:
    """Matrices with the last axis of x on diagonal k."""
    offset = integer(op, name, k)
    size = x.shape[-1] + abs(offset)
    if x.numel() // max(x.shape[-1], 1) * size**2 * x.dtype.itemsize > LARGEST_ARRAY:
        raise ValueError(f"{op}: {name}={offset} asks for matrices of {size} x {size}, more than memory can address")
    return DiagonalMatrix(offset)(x)


def diag(input: Any, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    x = as_tensor("diag", "input", input)
    if x.ndim not in (1, 2):
        raise ValueError(f"diag: input has shape {x.shape}, but must be a vector or a matrix; use diagonal or diag_embed")
    return _on_diagonal("diag", "diagonal", x, diagonal) if x.ndim == 1 else Diagonal(integer("diag", "diagonal", diagonal))(x)


def diagflat(input: Any, offset: int = 0) -> Tensor:
    """The matrix with the flattened input on a diagonal."""
    return _on_diagonal("diagflat", "offset", _flat("diagflat", input), offset)


def trace(input: Any) -> Tensor:
    """The sum of a matrix's diagonal."""
    x = as_tensor("trace", "input", input)
    if x.ndim != 2:
        raise ValueError(f"trace: input has shape {x.shape}, but must be a matrix of 2 axes")
    need_numbers("trace", input=x)
    return Diagonal()(x).sum()
