"""Axes moved, tensors rolled, tiled, stacked and cut, triangles and diagonals taken and laid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, is_array, to_numpy, xp_of
from minivision.functions.operands import as_tensor, axes, axis, index_array
from minivision.functions.shape import (
    Index,
    Permute,
    _shape_arguments,
    broadcast_tensors,
    cat,
    expand,
    flip,
    permute,
    repeat,
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


# ---- what users call: axes ----


def movedim(input: Any, source: Any, destination: Any) -> Tensor:
    """The axes `source` (one or several) moved to the places `destination`; the others keep their order."""
    x = as_tensor("movedim", "input", input)
    sources, targets = axes("movedim", _listed(source), x.ndim), axes("movedim", _listed(destination), x.ndim)
    if len(_listed(source)) != len(_listed(destination)):
        raise ValueError(f"movedim: source {source} and destination {destination} must name equally many axes")
    if not x.ndim or not _listed(source):
        return Permute(tuple(range(x.ndim)))(x)
    order = [a for a in range(x.ndim) if a not in sources]
    for target, moved in sorted(zip(targets, sources, strict=True)):
        order.insert(target, moved)
    return permute(x, order)


moveaxis = movedim


def _listed(dims: Any) -> tuple[int, ...]:
    return tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)


def swapaxes(input: Any, axis0: int, axis1: int) -> Tensor:
    """Two axes exchanged, as `transpose`."""
    return transpose(input, axis0, axis1)


def swapdims(input: Any, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged, as `transpose`."""
    return transpose(input, dim0, dim1)


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Tensor:
    """The axis `dim` split into axes of the given sizes, one of which may be -1: `flatten` undone."""
    x = as_tensor("unflatten", "input", input)
    along = axis("unflatten", dim, x.ndim)
    length, wanted = x.shape[along], [int(n) for n in _listed(sizes)]
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known and length % known == 0:
        wanted = [length // known if n == -1 else n for n in wanted]
    if math.prod(wanted) != length or min(wanted, default=0) < 0:
        raise ValueError(f"unflatten: sizes {tuple(sizes)} do not multiply to {length}, the length of axis {dim} of {x.shape}")
    return reshape(x, (*x.shape[:along], *wanted, *x.shape[along + 1 :]))


def ravel(input: Any) -> Tensor:
    """All axes as one."""
    return reshape(input, -1)


def select(input: Any, dim: int, index: int) -> Tensor:
    """The slice at `index` along `dim`, without that axis."""
    x = as_tensor("select", "input", input)
    along = axis("select", dim, x.ndim)
    if not x.ndim or not -x.shape[along] <= index < x.shape[along]:
        raise IndexError(f"select: index {index} is out of range for axis {dim} of {x.shape}")
    return Index((slice(None),) * along + (index,))(x)


def broadcast_to(input: Any, size: Sequence[int]) -> Tensor:
    """`input` expanded to the shape `size`, without copying."""
    return expand(input, *_listed(size))


def atleast_1d(*tensors: Any) -> Any:
    """Numbers as vectors of length 1; others stay as they are."""
    return _each(tensors, lambda x: x if x.ndim else reshape(x, 1))


def atleast_2d(*tensors: Any) -> Any:
    """Numbers and vectors as matrices of one row."""
    return _each(tensors, lambda x: x if x.ndim > 1 else reshape(x, 1, -1))


def atleast_3d(*tensors: Any) -> Any:
    """Numbers as (1, 1, 1), vectors as (1, n, 1), matrices as (n, m, 1)."""
    return _each(tensors, lambda x: x if x.ndim > 2 else x.unsqueeze(-1) if x.ndim == 2 else reshape(x, 1, -1, 1))


def _each(tensors: tuple[Any, ...], change: Any) -> Any:
    """One tensor, or a tuple of several (given one by one or as a sequence)."""
    if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
        return change(as_tensor("atleast", "input", tensors[0]))
    several = tensors[0] if len(tensors) == 1 else tensors
    return tuple(change(as_tensor("atleast", "input", x)) for x in several)


# ---- entries moved and repeated ----


def roll(input: Any, shifts: Any, dims: Any = None) -> Tensor:
    """Entries moved by `shifts` along `dims`; those that leave at one end come back at the other. Without `dims`, flattened."""
    x = as_tensor("roll", "input", input)
    steps = _listed(shifts)
    if dims is None or dims == () or dims == []:
        if len(steps) != 1:
            raise ValueError(f"roll: shifts {shifts} need dims, one for each")
        return reshape(Roll(steps, (0,))(reshape(x, -1)), x.shape)
    along = tuple(axis("roll", d, x.ndim) for d in _listed(dims))
    if len(steps) != len(along):
        raise ValueError(f"roll: shifts {shifts} and dims {dims} must be equally many")
    return Roll(steps, along)(x) if x.ndim else x.clone()


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k quarters in the plane of two axes, from the first towards the second."""
    x = as_tensor("rot90", "input", input)
    a, b = axes("rot90", dims, x.ndim)
    turned = {0: lambda: x.clone(), 1: lambda: transpose(flip(x, b), a, b), 2: lambda: flip(x, a, b),
              3: lambda: flip(transpose(x, a, b), b)}  # fmt: skip
    return turned[k % 4]()


def fliplr(input: Any) -> Tensor:
    """The second axis reversed."""
    return flip(input, 1)


def flipud(input: Any) -> Tensor:
    """The first axis reversed."""
    return flip(input, 0)


def tile(input: Any, *dims: Any) -> Tensor:
    """As `repeat`; numbers of copies that are missing count as 1, from the left."""
    x = as_tensor("tile", "input", input)
    times = _shape_arguments(dims)
    return repeat(x, (1,) * (x.ndim - len(times)) + times)


def repeat_interleave(input: Any, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Each entry along `dim` repeated `repeats` times (a number, or one for each entry), copies side by side."""
    x = as_tensor("repeat_interleave", "input", input)
    if dim is None:
        x, dim = reshape(x, -1), 0
    along = axis("repeat_interleave", dim, x.ndim)
    x = x if x.ndim else reshape(x, 1)
    counts = to_numpy(index_array(repeats)) if isinstance(repeats, Tensor) or is_array(repeats) else np.asarray(repeats)
    if counts.ndim > 1 or (counts.size not in (1, x.shape[along])) or (counts < 0).any():
        raise ValueError(
            f"repeat_interleave: repeats has shape {counts.shape}, but must be a number or {x.shape[along]} numbers, none of "
            f"them negative, for axis {dim} of {x.shape}"
        )
    order = np.repeat(np.arange(x.shape[along]), np.broadcast_to(counts.reshape(-1), x.shape[along]))
    return Index((slice(None),) * along + (xp_of(x.array).asarray(order),))(x)


# ---- joined and cut ----


def _parts(op: str, tensors: Any, at_least: Any) -> list[Tensor]:
    parts = at_least(list(tensors))
    if not parts:
        raise ValueError(f"{op}: needs at least one tensor")
    return list(parts)


def hstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors side by side: joined along axis 1, vectors along axis 0."""
    parts = _parts("hstack", tensors, atleast_1d)
    return cat(parts, 0 if parts[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors one below the other: joined along axis 0, vectors as rows."""
    return cat(_parts("vstack", tensors, atleast_2d), 0)


row_stack = vstack


def dstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors one behind the other: joined along axis 2."""
    return cat(_parts("dstack", tensors, atleast_3d), 2)


def column_stack(tensors: Sequence[Any]) -> Tensor:
    """As `hstack`, vectors as columns."""
    parts = [as_tensor("column_stack", f"tensors[{i}]", x) for i, x in enumerate(tensors)]
    return hstack([reshape(x, -1, 1) if x.ndim < 2 else x for x in parts])


def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Cut along `dim` into so many parts, the first ones longer by one where it does not come out even, or at given places."""
    x = as_tensor("tensor_split", "input", input)
    along = axis("tensor_split", dim, x.ndim)
    if not x.ndim:
        raise ValueError("tensor_split: a number has no axis to be cut along")
    length, given = x.shape[along], indices_or_sections
    given = given.tolist() if isinstance(given, Tensor) else given
    if isinstance(given, int):
        if given < 1:
            raise ValueError(f"tensor_split: the number of parts must be positive, not {given}")
        inner = [i * (length // given) + min(i, length % given) for i in range(1, given)]
    else:
        inner = [int(i) for i in given]
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
        raise ValueError(f"{op}: input has shape {x.shape}, but needs at least {least} axes")
    if isinstance(given, int) and (given < 1 or x.shape[dim] % given):
        raise ValueError(f"{op}: {given} parts do not divide axis {dim} of {x.shape}; use tensor_split")
    return tensor_split(x, given, dim)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid: tensor i varies along axis i and is repeated along the others ("xy" exchanges the first two).

    Shapes: vectors (n_1,) .. (n_k,) give k tensors (n_1, .., n_k).
    """
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: indexing={indexing!r} is unknown; use 'ij' or 'xy'")
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    lines = [as_tensor("meshgrid", f"tensors[{i}]", x) for i, x in enumerate(given)]
    for i, x in enumerate(lines):
        if x.ndim > 1:
            raise ValueError(f"meshgrid: tensors[{i}] has shape {x.shape}, but must be a vector")
    placed = [reshape(x, (1,) * i + (-1,) + (1,) * (len(lines) - 1 - i)) for i, x in enumerate(lines)]
    grids = broadcast_tensors(*placed)
    return tuple(transpose(g, 0, 1) for g in grids) if indexing == "xy" and len(lines) > 1 else grids


def cartesian_prod(*tensors: Any) -> Tensor:
    """Every combination of one entry of each vector, as rows."""
    if len(tensors) == 1:
        return as_tensor("cartesian_prod", "tensors[0]", tensors[0])
    return stack([reshape(g, -1) for g in meshgrid(*tensors)], 1)


# ---- triangles and diagonals ----


def tril(input: Any, diagonal: int = 0) -> Tensor:
    """The lower triangle of the last two axes, zeros above the given diagonal."""
    return Tril(diagonal)(_matrices("tril", input))


def triu(input: Any, diagonal: int = 0) -> Tensor:
    """The upper triangle of the last two axes, zeros below the given diagonal."""
    return Triu(diagonal)(_matrices("triu", input))


def _matrices(op: str, input: Any) -> Tensor:
    x = as_tensor(op, "input", input)
    if x.ndim < 2:
        raise ValueError(f"{op}: input has shape {x.shape}, but needs at least 2 axes (..., rows, columns)")
    return x


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal (i, i + offset) of the plane of two axes, as the last axis. Unlike PyTorch's it is a copy."""
    x = as_tensor("diagonal", "input", input)
    a, b = axis("diagonal", dim1, x.ndim), axis("diagonal", dim2, x.ndim)
    if a == b or x.ndim < 2:
        raise ValueError(f"diagonal: dim1={dim1} and dim2={dim2} must be two different axes of {x.shape}")
    return Diagonal(offset)(movedim(x, (a, b), (-2, -1)))


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Square matrices with the last axis of `input` on a diagonal and zeros elsewhere."""
    x = as_tensor("diag_embed", "input", input)
    a, b = axis("diag_embed", dim1, x.ndim + 1), axis("diag_embed", dim2, x.ndim + 1)
    if a == b or not x.ndim:
        raise ValueError(f"diag_embed: dim1={dim1} and dim2={dim2} must be two different axes of the result of {x.shape}")
    return movedim(DiagonalMatrix(offset)(x), (-2, -1), (a, b))


def diag(input: Any, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    x = as_tensor("diag", "input", input)
    if x.ndim not in (1, 2):
        raise ValueError(f"diag: input has shape {x.shape}, but must be a vector or a matrix; use diagonal or diag_embed")
    return (DiagonalMatrix if x.ndim == 1 else Diagonal)(diagonal)(x)


def diagflat(input: Any, offset: int = 0) -> Tensor:
    """The matrix with the flattened input on a diagonal."""
    return diag(reshape(input, -1), offset)


def trace(input: Any) -> Tensor:
    """The sum of a matrix's diagonal."""
    x = as_tensor("trace", "input", input)
    if x.ndim != 2:
        raise ValueError(f"trace: input has shape {x.shape}, but must be a matrix")
    return Diagonal()(x).sum()
