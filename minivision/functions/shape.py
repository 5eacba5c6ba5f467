"""Moving values about: reshape, permute, index, join, split, crop. The gradient moves back the same way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, check_same_device, is_array, scatter_add, xp_of
from minivision.functions.operands import as_tensor, axes, axis, check_broadcast


class Reshape(Function):
    """The same values in another shape;  dx = dy in the old shape"""

    is_view = True

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    def forward(self, x: Array) -> Array:
        self.original = x.shape
        return x.reshape(self.shape)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.original)


class Permute(Function):
    """Axes in another order;  dx = dy with the order undone"""

    is_view = True

    def __init__(self, order: tuple[int, ...]):
        self.order = order

    def forward(self, x: Array) -> Array:
        return x.transpose(self.order)

    def backward(self, dy: Array) -> Array:
        return dy.transpose(sorted(range(dy.ndim), key=self.order.__getitem__))


class Expand(Function):
    """Axes of length 1 repeated, without copying;  the base class sums over the repeats"""

    is_view = True
    broadcasts = True

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    def forward(self, x: Array) -> Array:
        return xp_of(x).broadcast_to(x, self.shape)

    def backward(self, dy: Array) -> Array:
        return dy


class Index(Function):
    """y = x[index];  dx[index] += dy, zero elsewhere"""

    is_view = True

    def __init__(self, index: tuple[Any, ...]):
        self.index = index

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        view, gather = partial_view(x, self.index)
        return view[gather] if gather else view

    def backward(self, dy: Array) -> Array:
        dx = xp_of(dy).zeros(self.shape, dy.dtype)
        view, gather = partial_view(dx, self.index)
        if any(is_array(entry) and entry.dtype != bool for entry in gather):
            scatter_add(view, gather, dy)  # index arrays may name an element twice
        else:
            view[gather or ...] = dy
        return dx


def partial_view(x: Array, index: tuple[Any, ...]) -> tuple[Array, tuple[Any, ...]]:
    """The view of x that the integers, slices and None of an index choose, and the rest of the index, to be applied to it.

    Applied in one go, NumPy counts an integer beside index arrays as one more index array and moves axes; PyTorch does not.
    """
    if not any(entry is Ellipsis for entry in index):
        index = (*index, ...)  # so that NumPy answers a 0-d view, not a number, where every axis has an integer
    if not any(is_array(entry) for entry in index):
        return x[index], ()
    basic: list[Any] = []
    gather: list[Any] = []
    for entry in index:
        if is_array(entry):
            basic += [slice(None)] * (entry.ndim if entry.dtype == bool else 1)
            gather.append(entry)
        else:
            basic.append(entry)
            if not isinstance(entry, (int, np.integer)):
                gather.append(entry if entry is Ellipsis else slice(None))
    return x[tuple(basic)], tuple(gather)


class Cat(Function):
    """Tensors joined along an axis;  each receives its part of dy"""

    def __init__(self, axis: int):
        self.axis = axis

    def forward(self, *parts: Array) -> Array:
        self.sizes = [p.shape[self.axis] for p in parts]
        return xp_of(*parts).concatenate(parts, axis=self.axis)

    def backward(self, dy: Array) -> tuple[Array, ...]:
        ends = list(np.cumsum(self.sizes))
        return tuple(_section(dy, self.axis, int(end) - n, int(end)) for n, end in zip(self.sizes, ends, strict=True))


class Flip(Function):
    """Axes reversed;  dx = dy reversed"""

    def __init__(self, axes: tuple[int, ...]):
        self.axes = axes

    def forward(self, x: Array) -> Array:
        return xp_of(x).flip(x, self.axes).copy()  # a copy, as in PyTorch, not a view with negative strides

    def backward(self, dy: Array) -> Array:
        return xp_of(dy).flip(dy, self.axes)


def _section(array: Array, axis: int, start: int, stop: int) -> Array:
    return array[(slice(None),) * axis + (slice(start, stop),)]


# ---- what users call ----


def reshape(input: Any, *shape: Any) -> Tensor:
    """The same values in another shape; one length may be -1 and is then worked out."""
    x = as_tensor("reshape", "input", input)
    wanted = _shape_arguments(shape)
    known = math.prod(n for n in wanted if n != -1)
    size = x.numel()
    if wanted.count(-1) == 1 and known and size % known == 0:
        wanted = tuple(size // known if n == -1 else n for n in wanted)
    if any(n < 0 for n in wanted) or math.prod(wanted) != size:
        raise ValueError(f"reshape: {x.shape} has {size} elements, which do not fill the shape {_shape_arguments(shape)}")
    return Reshape(wanted)(x)


def view(input: Tensor, *shape: Any) -> Tensor:
    """As `reshape`; unlike PyTorch's it copies where the memory order asks for it instead of raising."""
    if len(shape) == 1 and isinstance(shape[0], np.dtype):
        raise TypeError("view: reinterpreting memory as another dtype is not supported; use .to(dtype)")
    return reshape(input, *shape)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the shape of `other`."""
    return reshape(input, other.shape)


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from `start_dim` to `end_dim` become one."""
    x = as_tensor("flatten", "input", input)
    first, last = axis("flatten", start_dim, x.ndim), axis("flatten", end_dim, x.ndim)
    if first > last:
        raise ValueError(f"flatten: start_dim={start_dim} lies behind end_dim={end_dim} for shape {x.shape}")
    return reshape(x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


def squeeze(input: Any, dim: Any = None) -> Tensor:
    """Without the axes of length 1 (all, or those of `dim` that have it)."""
    x = as_tensor("squeeze", "input", input)
    named = () if dim == () else axes("squeeze", dim, x.ndim)
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if n != 1 or i not in named))


def unsqueeze(input: Any, dim: int) -> Tensor:
    """With a new axis of length 1 at `dim`."""
    x = as_tensor("unsqueeze", "input", input)
    at = axis("unsqueeze", dim, x.ndim + 1)
    return reshape(x, (*x.shape[:at], 1, *x.shape[at:]))


def permute(input: Any, *dims: Any) -> Tensor:
    """The axes in the order `dims`."""
    x = as_tensor("permute", "input", input)
    order = axes("permute", _shape_arguments(dims), x.ndim)
    if len(order) != x.ndim:
        raise ValueError(f"permute: dims {_shape_arguments(dims)} must name each of the {x.ndim} axes of {x.shape} once")
    return Permute(order)(x)


def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor("transpose", "input", input)
    order = list(range(x.ndim))
    a, b = axis("transpose", dim0, x.ndim), axis("transpose", dim1, x.ndim)
    if order:
        order[a], order[b] = order[b], order[a]
    return Permute(tuple(order))(x)


def t(input: Any) -> Tensor:
    """The transpose of a matrix; vectors stay as they are."""
    x = as_tensor("t", "input", input)
    if x.ndim > 2:
        raise ValueError(f"t: expects at most 2 axes, not shape {x.shape}; use transpose or permute")
    return Permute(tuple(reversed(range(x.ndim))))(x)


def expand(input: Any, *sizes: Any) -> Tensor:
    """Axes of length 1 repeated to `sizes` without copying; -1 keeps a length, new axes may come first."""
    x = as_tensor("expand", "input", input)
    wanted = _shape_arguments(sizes)
    extra = len(wanted) - x.ndim
    old = (1,) * max(extra, 0) + x.shape
    new = tuple(o if n == -1 and i >= extra else n for i, (n, o) in enumerate(zip(wanted, old, strict=False)))
    if extra < 0 or any(n < 0 or (o not in (1, n)) for n, o in zip(new, old, strict=True)):
        raise ValueError(f"expand: shape {x.shape} cannot be expanded to {wanted}; only axes of length 1 can be repeated")
    return Expand(new)(x)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors, each expanded to the shape that all have in common."""
    given = [as_tensor("broadcast_tensors", f"tensors[{i}]", x) for i, x in enumerate(tensors)]
    check_broadcast("broadcast_tensors", [x.shape for x in given])
    shape = np.broadcast_shapes(*(x.shape for x in given))
    return tuple(x if x.shape == shape else expand(x, shape) for x in given)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` expanded to the shape of `other`."""
    return expand(input, other.shape)


def repeat(input: Any, *sizes: Any) -> Tensor:
    """The tensor copied `sizes[i]` times along axis i."""
    x = as_tensor("repeat", "input", input)
    times = _shape_arguments(sizes)
    if len(times) < x.ndim:
        raise ValueError(f"repeat: {len(times)} numbers of copies for the {x.ndim} axes of {x.shape}; give one for each axis")
    shape = (1,) * (len(times) - x.ndim) + x.shape
    if all(n == 1 for n in times):
        return reshape(x, shape).clone()  # always a copy
    # (n, m) -> (1, n, 1, m) -> (r, n, s, m) -> (r n, s m)
    apart = reshape(x, tuple(length for n in shape for length in (1, n)))
    spread = expand(apart, tuple(length for r, n in zip(times, shape, strict=True) for length in (r, n)))
    return reshape(spread, tuple(r * n for r, n in zip(times, shape, strict=True)))


def cat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Tensors joined along `dim`; all other lengths must agree.

    Raises ValueError that names the tensors whose lengths differ.
    """
    if isinstance(tensors, Tensor) or not len(tensors):
        raise ValueError("cat: needs a sequence of at least one tensor, such as cat([a, b], dim=1)")
    parts = [as_tensor("cat", f"tensors[{i}]", x) for i, x in enumerate(tensors)]
    filled = [p for p in parts if p.shape != (0,)] or parts[:1]  # PyTorch passes over empty 1-D tensors
    first = filled[0]
    if first.ndim == 0:
        raise ValueError("cat: 0-d tensors have no axis to be joined along; use stack")
    along = axis("cat", dim, first.ndim)
    for i, p in enumerate(parts):
        if not any(p is q for q in filled):
            continue
        others = [n for a, n in enumerate(p.shape) if a != along]
        if p.ndim != first.ndim or others != [n for a, n in enumerate(first.shape) if a != along]:
            hint = ""
            if p.ndim == first.ndim == 4 and along == 1:
                hint = "; for a skip connection crop or pad one branch (center_crop, pad), or make H and W divisible by 2^depth"
            raise ValueError(
                f"cat along dim {dim}: tensors[{i}] has shape {p.shape}, but tensors[0] has {first.shape}; they may differ in "
                f"axis {along} only{hint}"
            )
    dtype = np.result_type(*(p.dtype for p in filled))
    return Cat(along)(*(p.to(dtype) for p in filled))


concat = cat


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    parts = [as_tensor("stack", f"tensors[{i}]", x) for i, x in enumerate(tensors)]
    if not parts:
        raise ValueError("stack: needs at least one tensor")
    for i, p in enumerate(parts):
        if p.shape != parts[0].shape:
            raise ValueError(f"stack: tensors[{i}] has shape {p.shape}, but tensors[0] has {parts[0].shape}; all must be equal")
    at = axis("stack", dim, parts[0].ndim + 1)
    return cat([unsqueeze(p, at) for p in parts], at)


def split(input: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor cut along `dim` into pieces of one size (the last may be shorter) or of the given sizes."""
    x = as_tensor("split", "input", input)
    along = axis("split", dim, x.ndim)
    length = x.shape[along]
    if isinstance(split_size_or_sections, int):
        if split_size_or_sections < 1:
            raise ValueError(f"split: the piece size must be positive, not {split_size_or_sections}")
        starts = list(range(0, max(length, 1), split_size_or_sections))
        bounds = [(s, min(s + split_size_or_sections, length)) for s in starts]
    else:
        sections = list(split_size_or_sections)
        if sum(sections) != length:
            raise ValueError(
                f"split: sizes {sections} add up to {sum(sections)}, but axis {dim} of {x.shape} has length {length}"
            )
        bounds = list(itertools.pairwise(itertools.accumulate([0, *sections])))
    return tuple(Index((slice(None),) * along + (slice(a, b),))(x) for a, b in bounds)


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor cut along `dim` into (at most) `chunks` pieces of equal size, the last perhaps shorter."""
    x = as_tensor("chunk", "input", input)
    if chunks < 1:
        raise ValueError(f"chunk: the number of pieces must be positive, not {chunks}")
    return split(x, max(1, -(-x.shape[axis("chunk", dim, x.ndim)] // chunks)), dim)


def unbind(input: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along `dim`, without that axis."""
    x = as_tensor("unbind", "input", input)
    along = axis("unbind", dim, x.ndim)
    return tuple(Index((slice(None),) * along + (i,))(x) for i in range(x.shape[along]))


def narrow(input: Any, dim: int, start: int, length: int) -> Tensor:
    """`length` entries along `dim`, from `start` on."""
    x = as_tensor("narrow", "input", input)
    along = axis("narrow", dim, x.ndim)
    if start < 0 or length < 0 or start + length > x.shape[along]:
        raise ValueError(f"narrow: {start} .. {start + length} leaves axis {dim} of {x.shape}")
    return Index((slice(None),) * along + (slice(start, start + length),))(x)


def flip(input: Any, *axes_: Any, dims: Any = None) -> Tensor:
    """The tensor with the given axes reversed: `flip(x, 0, 1)`, `flip(x, (0, 1))` or `flip(x, dims=(0, 1))`."""
    x = as_tensor("flip", "input", input)
    named = _shape_arguments(axes_) if dims is None else _shape_arguments((dims,))
    return Flip(axes("flip", named, x.ndim))(x) if named else x.clone()


def center_crop(input: Any, output_size: int | Sequence[int]) -> Tensor:
    """The middle `output_size` (h, w) of the last two axes: the crop of U-Net's copy-and-crop skips.

    An odd remainder loses its extra row or column at the bottom or right, so that the offset is floor((H - h) / 2).
    Raises ValueError when the crop is larger than the input.
    """
    x = as_tensor("center_crop", "input", input)
    height, width = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
    if x.ndim < 2 or height > x.shape[-2] or width > x.shape[-1] or min(height, width) < 0:
        raise ValueError(f"center_crop: cannot cut {(height, width)} (H, W) out of input {x.shape}; a crop cannot be larger")
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return Index((..., slice(top, top + height), slice(left, left + width)))(x)


def getitem(input: Tensor, index: Any) -> Tensor:
    """`input[index]` with integers, slices, None, ..., bool masks and index arrays."""
    return Index(clean_index(index, input))(input)


def clean_index(index: Any, input: Tensor) -> tuple[Any, ...]:
    """An index as a tuple, in which Tensors and lists have become arrays of the input's device."""
    cleaned = tuple(_clean_entry(entry, input) for entry in (index if isinstance(index, tuple) else (index,)))
    for entry in cleaned:
        if is_array(entry):
            check_same_device("x[index]", {"x": input.array, "index": entry})
    return cleaned


def _clean_entry(entry: Any, input: Tensor) -> Any:
    if isinstance(entry, Tensor):
        entry = entry.array
    if isinstance(entry, (list, range)):
        return xp_of(input.array).asarray(np.asarray(entry, dtype=None if len(entry) else np.int64))
    return entry.item() if is_array(entry) and entry.ndim == 0 else entry


def _shape_arguments(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    if len(sizes) == 1 and not isinstance(sizes[0], (int, np.integer, Tensor)):
        sizes = tuple(sizes[0])
    return tuple(int(n) for n in sizes)
