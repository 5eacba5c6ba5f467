"""Moving values about: reshape, permute, index, join, split, crop. The gradient moves back the same way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.autograd.dtypes import result_type
from minivision.backend import Array, check_same_device, is_array, scatter_add, xp_of
from minivision.functions.layout import lies_in_planes
from minivision.functions.operands import (
    LARGEST_ARRAY,
    as_tensor,
    axes,
    axis,
    check_broadcast,
    counted,
    integer,
    integers,
    lengths,
    must_be,
    several,
    shown,
    times,
)
from minivision.functions.strips import STRIP, MemoryOrder, copy_into, empty_in_order_of, overwrite_with


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
        if dy.ndim == len(self.shape) > 2 and not any(is_array(entry) for entry in self.index):
            dx = empty_in_order_of(dy, self.shape)  # a crop of an image that is channels-last: so is its gradient
            overwrite_with(dx, 0)
            copy_into(dx[self.index], dy)
            return dx
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
        if parts[0].ndim < 3 or type(parts[0]) is not np.ndarray:
            return xp_of(*parts).concatenate(parts, axis=self.axis)
        # in the order of memory that most of the values have already
        in_planes = [p.size if lies_in_planes(p) else -p.size for p in parts]
        order = MemoryOrder(sum(in_planes) >= 0)
        n, c, *size = (sum(self.sizes) if i == self.axis else length for i, length in enumerate(parts[0].shape))
        y = order.names(order.empty(n, c, size, parts[0].dtype))
        if y.size <= STRIP and abs(sum(in_planes)) == y.size:  # all of them, and few: one call copies all
            return np.concatenate(parts, axis=self.axis, out=y)
        for part, section in zip(parts, self.sections(y), strict=True):
            copy_into(section, part)
        return y

    def backward(self, dy: Array) -> tuple[Array, ...]:
        # Views: the walk adds to a gradient in place only where it made the array itself.
        return tuple(self.sections(dy))

    def sections(self, y: Array) -> list[Array]:
        """The part of each, as a view."""
        ends = itertools.accumulate(self.sizes)
        return [_section(y, self.axis, end - n, end) for n, end in zip(self.sizes, ends, strict=True)]


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


def reshape(input: Any, *lengths_: Any, shape: Any = None) -> Tensor:
    """The same values in another shape, given as numbers, as a tuple or by name; one length may be -1 and is then worked out."""
    wanted = lengths("reshape", "shape", lengths_ if shape is None else (shape,))
    return _reshaped("reshape", as_tensor("reshape", "input", input), wanted)


def _reshaped(op: str, x: Tensor, wanted: tuple[int, ...]) -> Tensor:
    size, known = x.numel(), math.prod(wanted)
    if -1 in wanted and wanted.count(-1) == 1:
        known = -known  # the product of the others
        if known > 0 and size % known == 0:
            return Reshape(tuple(size // known if n == -1 else n for n in wanted))(x)
    elif known == size and min(wanted, default=0) >= 0:
        return Reshape(wanted)(x)
    raise ValueError(f"{op}: input of shape {x.shape} has {times(x.shape)} elements, but {misfit('shape', wanted, size)}")


def misfit(name: str, wanted: tuple[int, ...], size: int) -> str:
    """Why lengths, one of which may be -1, do not multiply to `size`."""
    negative = [n for n in wanted if n < -1]
    known = math.prod(n for n in wanted if n != -1)
    if negative:
        reason = f"{negative[0]} is no length; only -1 has a meaning, the length that fits"
    elif wanted.count(-1) > 1:
        reason = "only one length can be -1, to be worked out from the others"
    elif -1 in wanted and not known:
        reason = "with a length of 0 among the others, every length fits in the place of -1; write it out"
    elif -1 in wanted:
        others = times(n for n in wanted if n != -1)
        reason = f"{size} cannot be divided by {others}, so no length fits in the place of -1"
    else:
        return f"{name} {wanted} {'take' if name == 'sizes' else 'takes'} {times(wanted)}"
    return f"{name} {wanted} {'are' if name == 'sizes' else 'is'} asked for: {reason}"


def view(input: Tensor, *shape: Any) -> Tensor:
    """As `reshape`; unlike PyTorch's it copies where the memory order asks for it instead of raising."""
    if len(shape) == 1 and isinstance(shape[0], np.dtype):
        raise TypeError("view: reinterpreting memory as another dtype is not supported; use .to(dtype)")
    return _reshaped("view", as_tensor("view", "input", input), lengths("view", "shape", shape))


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the shape of `other`."""
    return _reshaped("view_as", as_tensor("view_as", "input", input), _shape_of("view_as", other, "view"))


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the shape of `other`."""
    return _reshaped("reshape_as", as_tensor("reshape_as", "input", input), _shape_of("reshape_as", other, "reshape"))


def _shape_of(op: str, other: Any, alternative: str) -> tuple[int, ...]:
    """The shape of a tensor; who has the shape itself calls the other function."""
    if not isinstance(other, Tensor):
        raise TypeError(f"{op}: {must_be('other', other, 'a tensor, whose shape is taken')}; for a shape use {alternative}")
    return other.shape


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from `start_dim` to `end_dim` become one."""
    x = as_tensor("flatten", "input", input)
    first, last = axis("flatten", start_dim, x.shape, "start_dim"), axis("flatten", end_dim, x.shape, "end_dim")
    if first > last:
        raise ValueError(f"flatten: start_dim={start_dim} lies behind end_dim={end_dim} for shape {x.shape}")
    return reshape(x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


def squeeze(input: Any, dim: Any = None) -> Tensor:
    """Without the axes of length 1 (all, or those of `dim` that have it)."""
    x = as_tensor("squeeze", "input", input)
    named = () if isinstance(dim, (tuple, list)) and not dim else axes("squeeze", dim, x.shape)
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if n != 1 or i not in named))


def unsqueeze(input: Any, dim: int) -> Tensor:
    """With a new axis of length 1 at `dim`."""
    x = as_tensor("unsqueeze", "input", input)
    at = new_axis("unsqueeze", dim, x.shape)
    return reshape(x, (*x.shape[:at], 1, *x.shape[at:]))


def new_axis(op: str, dim: Any, shape: tuple[int, ...], name: str = "dim") -> int:
    """The place of an axis that is added to a tensor of that shape, as a non-negative number."""
    count = len(shape) + 1
    place = integer(op, name, dim)
    if not -count <= place < count:
        raise IndexError(
            f"{op}: {name} {place} is out of range for a new axis beside those of shape {shape}; legal are {-count} .. "
            f"{count - 1}"
        )
    return place % count


def permute(input: Any, *axes_: Any, dims: Any = None) -> Tensor:
    """The axes in another order: `permute(x, 2, 0, 1)`, `permute(x, (2, 0, 1))` or `permute(x, dims=(2, 0, 1))`."""
    x = as_tensor("permute", "input", input)
    named = lengths("permute", "dims", axes_ if dims is None else (dims,))
    order = axes("permute", named, x.shape, "dims")
    if len(named) != x.ndim:
        missing = next((a for a in range(x.ndim) if a not in order or not named), None)
        raise ValueError(
            f"permute: dims {named} must name each of the {x.ndim} axes of shape {x.shape} once; axis {missing} is missing"
        )
    return Permute(order)(x)


def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor("transpose", "input", input)
    return exchanged(x, axis("transpose", dim0, x.shape, "dim0"), axis("transpose", dim1, x.shape, "dim1"))


def exchanged(x: Tensor, a: int, b: int) -> Tensor:
    """x with two axes, which are known to exist, in each other's place."""
    order = list(range(x.ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return Permute(tuple(order))(x)


def matrix_transpose(input: Tensor) -> Tensor:
    """`x.mT`: the last two axes exchanged."""
    if input.ndim < 2:
        raise ValueError(f"mT: the tensor has shape {input.shape}, but needs at least 2 axes (..., rows, columns)")
    return exchanged(input, input.ndim - 2, input.ndim - 1)


def t(input: Any) -> Tensor:
    """The transpose of a matrix; vectors stay as they are."""
    x = as_tensor("t", "input", input)
    if x.ndim > 2:
        raise ValueError(f"t: input has shape {x.shape}, but must have at most 2 axes; use transpose or permute")
    return Permute(tuple(reversed(range(x.ndim))))(x)


def expand(input: Any, *sizes: Any) -> Tensor:
    """Axes of length 1 repeated to `sizes` without copying; -1 keeps a length, new axes may come first."""
    return expanded("expand", as_tensor("expand", "input", input), lengths("expand", "sizes", sizes))


def expanded(op: str, x: Tensor, wanted: tuple[int, ...]) -> Tensor:
    """x with axes of length 1 repeated to the wanted lengths, where -1 keeps one."""
    extra = len(wanted) - x.ndim
    failure = f"{op}: input of shape {x.shape} cannot be expanded to {wanted}"
    if extra < 0:
        raise ValueError(f"{failure}, which has fewer axes ({len(wanted)} < {x.ndim}); give a length, or -1, for each")
    old = (1,) * extra + x.shape
    new = tuple(o if n == -1 and i >= extra else n for i, (n, o) in enumerate(zip(wanted, old, strict=True)))
    for i, (n, o) in enumerate(zip(new, old, strict=True)):
        if n < 0:
            reason = "a new axis has no length to keep" if n == -1 else "only -1, which keeps a length, can be negative"
            raise ValueError(f"{failure}: length {n} at axis {i}: {reason}")
        if o not in (1, n):
            raise ValueError(f"{failure}: axis {i} has length {o}, not {n}; only axes of length 1 can be repeated")
    if math.prod(new) * x.dtype.itemsize > LARGEST_ARRAY:
        raise ValueError(f"{failure}: {times(new)} elements are more than memory can address")
    return Expand(new)(x)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors, each expanded to the shape that all have in common."""
    given = [as_tensor("broadcast_tensors", f"tensors[{i}]", x) for i, x in enumerate(tensors)]
    check_broadcast("broadcast_tensors", [x.shape for x in given], [f"tensors[{i}]" for i in range(len(given))])
    shape = np.broadcast_shapes(*(x.shape for x in given))
    return tuple(x if x.shape == shape else expand(x, shape) for x in given)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that tensors of these shapes (sequences, or ints for one axis) have after broadcasting.

    Raises ValueError when they do not broadcast.
    """
    given = [lengths("broadcast_shapes", f"shapes[{i}]", (s,), minimum=0) for i, s in enumerate(shapes)]
    check_broadcast("broadcast_shapes", given)
    return np.broadcast_shapes(*given)


def sum_to_size(input: Any, *size: Any) -> Tensor:
    """The sum over the axes along which a tensor of shape `size` would be repeated to become the input: `expand` backwards.

    Raises ValueError when `size` does not broadcast to the input's shape.
    """
    from minivision.functions.reduction import Sum

    x = as_tensor("sum_to_size", "input", input)
    wanted = lengths("sum_to_size", "size", size, minimum=0)
    extra = x.ndim - len(wanted)
    if extra < 0 or any(n not in (1, m) for n, m in zip(wanted, x.shape[extra:], strict=True)):
        raise ValueError(f"sum_to_size: size {wanted} does not broadcast to the input's shape {x.shape}")
    repeated = tuple(a for a in range(x.ndim) if a < extra or wanted[a - extra] != x.shape[a])
    return reshape(Sum(repeated)(x), wanted) if repeated else x


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` expanded to the shape of `other`."""
    return expanded("expand_as", as_tensor("expand_as", "input", input), _shape_of("expand_as", other, "expand"))


def repeat(input: Any, *sizes: Any) -> Tensor:
    """The tensor copied `sizes[i]` times along axis i."""
    return repeated("repeat", as_tensor("repeat", "input", input), lengths("repeat", "sizes", sizes, minimum=0))


def repeated(op: str, x: Tensor, copies: tuple[int, ...]) -> Tensor:
    """x copied so many times along its axes."""
    if len(copies) < x.ndim:
        raise ValueError(
            f"{op}: sizes {copies} has {counted(len(copies), 'number')}, but input of shape {x.shape} has "
            f"{counted(x.ndim, 'axis')}; give the number of copies for each, 1 for an axis that stays"
        )
    shape = (1,) * (len(copies) - x.ndim) + x.shape
    if math.prod(copies) * x.numel() * x.dtype.itemsize > LARGEST_ARRAY:
        raise ValueError(f"{op}: sizes {copies} make more copies of input of shape {x.shape} than memory can address")
    if all(n == 1 for n in copies):
        return reshape(x, shape).clone()  # always a copy
    # (n, m) -> (1, n, 1, m) -> (r, n, s, m) -> (r n, s m)
    apart = reshape(x, tuple(length for n in shape for length in (1, n)))
    spread = expand(apart, tuple(length for r, n in zip(copies, shape, strict=True) for length in (r, n)))
    return reshape(spread, tuple(r * n for r, n in zip(copies, shape, strict=True)))


def cat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Tensors joined along `dim`; all other lengths must agree.

    Raises ValueError that names the tensors whose lengths differ.
    """
    return joined("cat", several("cat", tensors), dim)


def joined(op: str, parts: Sequence[Tensor], dim: int, note: str = "") -> Tensor:
    """The parts joined along `dim`; a note on their shapes may end a message."""
    filled = [(i, p) for i, p in enumerate(parts) if p.shape != (0,)] or [(0, parts[0])]  # PyTorch passes over empty 1-D tensors
    start, first = filled[0]
    if first.ndim == 0:
        raise ValueError(f"{op}: tensors[{start}] is 0-d, a single number without an axis to be joined along; use stack")
    along = axis(op, dim, first.shape)
    for i, p in filled:
        if p.ndim != first.ndim:
            raise ValueError(
                f"{op}: along dim {dim}, tensors[{i}] has shape {p.shape}, but tensors[{start}] has {first.shape}; they must "
                f"have equally many axes, here {p.ndim} against {first.ndim}{note}"
            )
        different = [a for a in range(p.ndim) if a != along and p.shape[a] != first.shape[a]]
        if different:
            hint = ""
            if p.ndim == 4 and along == 1:
                hint = "; for a skip connection crop or pad one branch (center_crop, pad), or make H and W divisible by 2^depth"
            a = different[0]
            raise ValueError(
                f"{op}: along dim {dim}, tensors[{i}] has shape {p.shape}, but tensors[{start}] has {first.shape}; they may "
                f"differ in axis {along} only, but axis {a} is {p.shape[a]} against {first.shape[a]}{hint}{note}"
            )
    dtype = first.dtype
    if any(p.dtype != dtype for _, p in filled):
        dtype = result_type(*(p.array for _, p in filled))
    return Cat(along)(*(p if p.dtype == dtype else p.to(dtype) for _, p in filled))


concat = cat


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    return stacked("stack", several("stack", tensors), dim)


def stacked(op: str, parts: Sequence[Tensor], dim: int) -> Tensor:
    """The parts, of one shape, joined along a new axis."""
    for i, p in enumerate(parts):
        if p.shape != parts[0].shape:
            raise ValueError(
                f"{op}: tensors[{i}] has shape {p.shape}, but tensors[0] has {parts[0].shape}; all must be equal (cat joins "
                "tensors of different lengths)"
            )
    at = new_axis(op, dim, parts[0].shape)
    return joined(op, [unsqueeze(p, at) for p in parts], at)


def split(input: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor cut along `dim` into pieces of one size (the last may be shorter) or of the given sizes."""
    x = as_tensor("split", "input", input)
    if isinstance(split_size_or_sections, (tuple, list)):
        return _sections("split", x, "split_size_or_sections", split_size_or_sections, dim)
    along, length = axis_with_length("split", x, dim)
    size = integer("split", "split_size_or_sections", split_size_or_sections, 0, "an int or a tuple of ints")
    if not size and length:
        raise ValueError(
            f"split: split_size_or_sections=0, but pieces of length 0 do not fill axis {dim} of {x.shape}, of length {length}; "
            "pieces must be positive"
        )
    bounds = [(s, min(s + size, length)) for s in range(0, max(length, 1), max(size, 1))]
    return tuple(Index((slice(None),) * along + (slice(a, b),))(x) for a, b in bounds)


def _sections(op: str, x: Tensor, name: str, sizes: Sequence[Any], dim: int) -> tuple[Tensor, ...]:
    """x cut along `dim` into pieces of the given sizes."""
    along, length = axis_with_length(op, x, dim)
    sections = list(lengths(op, name, (tuple(sizes),), minimum=0))
    if sum(sections) != length:
        raise ValueError(
            f"{op}: sizes {sections} add up to {sum(sections)}, but axis {dim} of {x.shape} has length {length}; they must "
            "add up to it"
        )
    bounds = itertools.pairwise(itertools.accumulate([0, *sections]))
    return tuple(Index((slice(None),) * along + (slice(a, b),))(x) for a, b in bounds)


def axis_with_length(op: str, x: Tensor, dim: Any, name: str = "dim") -> tuple[int, int]:
    """One axis of a tensor that must have axes, as a non-negative number, and its length."""
    if not x.ndim:
        raise ValueError(f"{op}: input is a single number of shape (), which has no axis {dim}")
    along = axis(op, dim, x.shape, name)
    return along, x.shape[along]


def split_with_sizes(input: Any, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor cut along `dim` into pieces of the given sizes, as `split`."""
    if not isinstance(split_sizes, (tuple, list)):
        raise TypeError(
            f"split_with_sizes: {must_be('split_sizes', split_sizes, 'a tuple of lengths')}; use split for equal pieces"
        )
    return _sections("split_with_sizes", as_tensor("split_with_sizes", "input", input), "split_sizes", split_sizes, dim)


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """The tensor cut along `dim` into (at most) `chunks` pieces of equal size, the last perhaps shorter."""
    x = as_tensor("chunk", "input", input)
    _, length = axis_with_length("chunk", x, dim)
    return split(x, max(1, -(-length // integer("chunk", "chunks", chunks, 1))), dim)


def unbind(input: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along `dim`, without that axis."""
    x = as_tensor("unbind", "input", input)
    along, length = axis_with_length("unbind", x, dim)
    return tuple(Index((slice(None),) * along + (i,))(x) for i in range(length))


def narrow(input: Any, dim: int, start: int, length: int) -> Tensor:
    """`length` entries along `dim`, from `start` on; a negative `start` counts from the end."""
    x = as_tensor("narrow", "input", input)
    along, available = axis_with_length("narrow", x, dim)
    first, count = integer("narrow", "start", start), integer("narrow", "length", length, 0)
    if not -available <= first <= available:
        raise IndexError(
            f"narrow: start={first} is out of range for axis {dim} of {x.shape}; legal are {-available} .. {available}"
        )
    first += available if first < 0 else 0
    if first + count > available:
        raise ValueError(
            f"narrow: start={start} and length={count} ask for {first} .. {first + count} along axis {dim} of {x.shape}, which "
            f"ends at {available}"
        )
    return Index((slice(None),) * along + (slice(first, first + count),))(x)


def flip(input: Any, *axes_: Any, dims: Any = None) -> Tensor:
    """The tensor with the given axes reversed: `flip(x, 0, 1)`, `flip(x, (0, 1))` or `flip(x, dims=(0, 1))`."""
    x = as_tensor("flip", "input", input)
    named = lengths("flip", "dims", axes_ if dims is None else (dims,))
    return Flip(axes("flip", named, x.shape, "dims"))(x) if named else x.clone()


def center_crop(input: Any, output_size: int | Sequence[int]) -> Tensor:
    """The middle `output_size` (h, w) of the last two axes: the crop of U-Net's copy-and-crop skips.

    An odd remainder loses its extra row or column at the bottom or right, so that the offset is floor((H - h) / 2).
    Raises ValueError when the crop is larger than the input.
    """
    x = as_tensor("center_crop", "input", input)
    size = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    size = integers("center_crop", "output_size", size, "an int or (H, W)", minimum=0)
    if len(size) != 2:
        raise ValueError(f"center_crop: output_size={size} has {len(size)} lengths, but must be an int or (H, W)")
    if x.ndim < 2:
        raise ValueError(f"center_crop: input has shape {x.shape}, but needs at least 2 axes, (..., H, W)")
    height, width = size
    if height > x.shape[-2] or width > x.shape[-1]:
        raise ValueError(
            f"center_crop: cannot cut output_size (H, W) = {size} out of input (..., H, W) = {x.shape}; a crop cannot be larger"
        )
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return Index((..., slice(top, top + height), slice(left, left + width)))(x)


def getitem(input: Tensor, index: Any) -> Tensor:
    """`input[index]` with integers, slices, None, ..., bool masks and index arrays."""
    cleaned = clean_index(index, input)
    try:
        return Index(cleaned)(input)
    except (IndexError, TypeError, ValueError):
        check_index("x[index]", cleaned, input.shape)  # says what NumPy or CuPy refused
        raise


def clean_index(index: Any, input: Tensor, op: str = "x[index]") -> tuple[Any, ...]:
    """An index as a tuple, in which Tensors and lists have become arrays of the input's device.

    NumPy refuses places that do not exist, and `check_index` then says which; CuPy would wrap them around, so it is asked first.
    """
    cleaned = tuple(_clean_entry(entry, input, op) for entry in (index if isinstance(index, tuple) else (index,)))
    arrays = [entry for entry in cleaned if is_array(entry)]
    for array in arrays:
        check_same_device(op, {"x": input.array, "index": array})
        _axes_used(op, array)  # its dtype
    if arrays and not isinstance(input.array, np.ndarray):
        check_index(op, cleaned, input.shape)
    return cleaned


def _clean_entry(entry: Any, input: Tensor, op: str) -> Any:
    if isinstance(entry, Tensor):
        entry = entry.array
    if isinstance(entry, (list, tuple, range)):
        values = as_tensor(op, "index", list(entry)).array if len(entry) else np.zeros(0, np.int64)
        return xp_of(input.array).asarray(values)
    if is_array(entry) and entry.ndim == 0:
        entry = entry.item()
    return None if entry is True else entry  # True chooses everything, as a new axis of length 1


def check_index(op: str, index: tuple[Any, ...], shape: tuple[int, ...]) -> None:
    """Raise IndexError unless every entry of a cleaned index names places that a tensor of that shape has."""
    if sum(entry is Ellipsis for entry in index) > 1:
        raise IndexError(
            f"{op}: the index has more than one '...', and nothing says for how many axes each stands; write : for single axes"
        )
    widths = [_axes_used(op, entry) for entry in index]
    used = sum(widths)
    if used > len(shape):
        raise IndexError(f"{op}: too many indices: they are for {counted(used, 'axis')}, but x {shape} has {len(shape)}")
    along = 0
    for entry, width in zip(index, widths, strict=True):
        if entry is Ellipsis:
            along += len(shape) - used
        elif is_array(entry) and entry.dtype == np.bool_:
            if entry.shape != shape[along : along + width]:
                raise IndexError(
                    f"{op}: the mask has shape {entry.shape}, but x {shape} has {shape[along : along + width]} from axis {along} "
                    "on; a mask must have the shape of what it chooses from"
                )
        elif width and not isinstance(entry, slice):
            _check_places(op, entry, along, shape)
        along += width
    arrays = [entry for entry in index if is_array(entry)]
    if len(arrays) < 2:
        return
    counts = [(int(a.sum()),) if a.dtype == np.bool_ else a.shape for a in arrays]
    try:
        np.broadcast_shapes(*counts)
    except ValueError:
        raise IndexError(
            f"{op}: the index tensors (for a mask, its number of True) have shapes {' and '.join(map(str, counts))}, which do "
            "not broadcast; each chooses one place per element of the result"
        ) from None


def _axes_used(op: str, entry: Any) -> int:
    """How many axes of the tensor an entry of an index is for."""
    if entry is None or entry is Ellipsis or isinstance(entry, (bool, np.bool_)):
        return 0
    if is_array(entry):
        if entry.dtype.kind not in "biu" or entry.dtype == np.uint8:
            way_out = (
                "convert with .bool() for a mask, or .long() for places" if entry.dtype == np.uint8 else "convert with .long()"
            )
            raise IndexError(f"{op}: an index is {entry.dtype} {entry.shape}, but must be int64, int32 or bool; {way_out}")
        return entry.ndim if entry.dtype == np.bool_ else 1
    if isinstance(entry, slice):
        for name in ("start", "stop", "step"):
            value = getattr(entry, name)
            if value is not None:
                integer(op, f"the slice's {name}", value, meaning="an int or None")
        if entry.step is not None and integer(op, "step", entry.step) == 0:
            raise ValueError(f"{op}: the slice's step is 0, which would never get anywhere")
    elif not isinstance(entry, (int, np.integer)):
        way_out = "; for whole numbers divide with //, or round with int()" if isinstance(entry, float) else ""
        raise IndexError(
            f"{op}: {shown(entry)} ({type(entry).__name__}) is no index; use ints, slices, None, ..., masks or tensors of ints"
            f"{way_out}"
        )
    return 1


def _check_places(op: str, places: Any, along: int, shape: tuple[int, ...]) -> None:
    """Raise IndexError unless the axis has all the places that an int or an array of ints names."""
    if is_array(places) and not places.size:
        return
    low, high = (int(places.min()), int(places.max())) if is_array(places) else (places, places)
    length = shape[along]
    if -length <= low and high < length:
        return
    values = f"index {low} is" if low == high else f"indices {low} .. {high} are"
    legal = f"legal are {-length} .. {length - 1}" if length else "it has no places"
    raise IndexError(f"{op}: {values} out of range for axis {along} of x {shape}, which has length {length}; {legal}")
