"""Embedding: rows of a table, looked up by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, scatter_add, to_numpy, xp_of
from minivision.functions.gathering import index_add
from minivision.functions.operands import (
    as_tensor,
    check_choice,
    check_flags,
    float_tensor,
    integer,
    need_float,
    need_same_device,
    number,
    positive,
)
from minivision.functions.scattering import index_reduce
from minivision.functions.shape import Index


class Embedding(Function):
    """y[...] = w[i[...]];  dw[r] = sum of dy over the places where i = r, divided by their number with `by_frequency`

    The row `padding` receives no gradient. The lookup is the product of one-hot rows with the table, without the zeros.
    """

    def __init__(self, index: Array, padding: int | None = None, by_frequency: bool = False):
        self.index, self.padding, self.by_frequency = index, padding, by_frequency

    def forward(self, w: Array) -> Array:
        self.shape = w.shape
        return w[self.index]

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        dw = xp.zeros(self.shape, dy.dtype)
        scatter_add(dw, self.index, dy)
        if self.by_frequency:
            count = xp.bincount(self.index.reshape(-1), minlength=self.shape[0])
            dw /= xp.maximum(count, 1).astype(dw.dtype)[:, None]
        if self.padding is not None:
            dw[self.padding] = 0
        return dw


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of weight (V, D) that the integers of input (*) name: (*, D).

    Parameters
    ----------
    padding_idx: a row that stands for nothing and receives no gradient; counted from the end when negative.
    max_norm: rows that are looked up and whose `norm_type`-norm is larger are first scaled down to it, *in place*.
    scale_grad_by_freq: divide the gradient of a row by the number of times it was looked up.
    sparse: accepted for PyTorch's sake; the gradient is a full array all the same.

    Raises IndexError for a number that is no row, naming it, and TypeError for an input that is not int32 or int64.
    """
    return _looked_up("embedding", input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)


def _looked_up(
    op: str, input: Any, weight: Any, padding_idx: int | None, max_norm: float | None, norm_type: float, by_frequency: bool,
    sparse: bool,
) -> Tensor:  # fmt: skip
    """`embedding` under the name that error messages shall give."""
    i, w = as_tensor(op, "input", input), float_tensor(op, "weight", weight)
    need_same_device(op, input=i, weight=w)
    if i.dtype not in (np.int32, np.int64):
        raise TypeError(f"{op}: input is {i.dtype} {i.shape}, but must hold row numbers; convert it with .long()")
    if w.ndim != 2:
        raise ValueError(f"{op}: weight has shape {w.shape}, but must be a table (V, D)")
    rows = w.shape[0]
    padding_idx = None if padding_idx is None else integer(op, "padding_idx", padding_idx)
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"{op}: padding_idx={padding_idx} is not one of the rows {-rows} .. {rows - 1} of weight {w.shape}")
    max_norm = None if max_norm is None else positive(op, "max_norm", max_norm)
    norm_type = number(op, "norm_type", norm_type)
    if norm_type == 0:
        raise ValueError(f"{op}: norm_type=0 would take the root of order 0; use 1 for sums, 2 for lengths")
    check_flags(op, scale_grad_by_freq=by_frequency, sparse=sparse)
    wrong = (i.array < 0) | (i.array >= rows)
    if bool(wrong.any()):
        first = int(i.array.reshape(-1)[int(xp_of(i.array).argmax(wrong.reshape(-1)))])
        raise IndexError(f"{op}: input holds {first}, which is not one of the rows 0 .. {rows - 1} of weight {w.shape}")
    if max_norm is not None and i.numel():
        _shorten(w, i.array, max_norm, norm_type)
    padding = None if padding_idx is None else padding_idx % rows
    return Embedding(i.array.astype(np.int64), padding, by_frequency)(w)


def _shorten(w: Tensor, index: Array, max_norm: float, norm_type: float) -> None:
    """Scale the rows that `index` names down to `max_norm`, in place and outside the graph."""
    xp = xp_of(w.array, index)
    used = xp.unique(index)
    rows = w.array[used]
    length = (abs(rows) ** norm_type).sum(axis=1, keepdims=True) ** (1 / norm_type)
    w.array[used] = xp.where(length > max_norm, rows * (max_norm / (length + 1e-7)), rows)
    w._note_change()


def one_hot(tensor: Any, num_classes: int = -1) -> Tensor:
    """For class numbers (*) the int64 tensor (*, num_classes) that is 1 at the class and 0 elsewhere.

    num_classes=-1 means the largest number that occurs plus one. Raises TypeError for anything but int64, ValueError for negative
    numbers and for those that are no class.
    """
    op = "one_hot"
    x = as_tensor(op, "tensor", tensor)
    num_classes = integer(op, "num_classes", num_classes, minimum=-1)
    if x.dtype != np.int64:
        raise TypeError(f"{op}: tensor is {x.dtype} {x.shape}, but must hold int64 class numbers; convert it with .long()")
    if not x.numel() and num_classes < 1:
        raise ValueError(f"{op}: tensor {x.shape} is empty, so num_classes cannot be seen from it; give it")
    low, high = (int(x.array.min()), int(x.array.max())) if x.numel() else (0, 0)
    classes = high + 1 if num_classes == -1 else num_classes
    if low < 0:
        raise ValueError(f"{op}: tensor has values {low} .. {high}, but the classes start at 0; take pixels to ignore out first")
    if x.numel() and high >= classes:
        raise ValueError(f"{op}: tensor has values {low} .. {high}, but legal are the classes 0 .. {classes - 1}")
    xp = xp_of(x.array)
    return Tensor._wrap((xp.expand_dims(x.array, -1) == xp.arange(classes)).astype(np.int64))


def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of the rows of weight (V, D) in each bag of row numbers: (B, D). An empty bag gives 0.

    Parameters
    ----------
    input: the row numbers, (B, N) for bags of one size, or (M,) for all bags one behind the other.
    offsets: (B,), where each bag begins in input (M,); with `include_last_offset` (B + 1,), the last one being M.
    mode: "sum", "mean" or "max".
    per_sample_weights: a factor for each row number, of the input's shape, for "sum" only.
    padding_idx: a row that counts in no bag and receives no gradient.

    The other parameters and errors are those of `embedding`. Raises ValueError for offsets that do not fit.
    """
    op = "embedding_bag"
    i, w = as_tensor(op, "input", input), float_tensor(op, "weight", weight)
    check_choice(op, "mode", mode, ("sum", "mean", "max"))
    check_flags(op, include_last_offset=include_last_offset)
    padding_idx = None if padding_idx is None else integer(op, "padding_idx", padding_idx)
    numbers, bag, bags = _bags(op, i, offsets, include_last_offset)
    factors = None
    if per_sample_weights is not None:
        factors = as_tensor(op, "per_sample_weights", per_sample_weights)
        need_float(op, weight=w, per_sample_weights=factors)
        if mode != "sum" or factors.shape != i.shape:
            raise ValueError(
                f"{op}: per_sample_weights {factors.shape} need mode='sum' and the shape of input {i.shape}; mode is {mode!r}"
            )
        factors = factors.reshape(-1)
    rows = _looked_up(op, numbers, w, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    if padding_idx is not None:
        kept = xp_of(i.array).nonzero(numbers.array != padding_idx % w.shape[0])[0]
        rows, bag = Index((kept,))(rows), bag[kept]
        factors = None if factors is None else Index((kept,))(factors)
    if factors is not None:
        rows = rows * factors.unsqueeze(-1)
    xp = xp_of(w.array)
    empty = Tensor._wrap(xp.zeros((bags, w.shape[1]), w.dtype))
    if mode == "max":
        return index_reduce(empty, 0, Tensor._wrap(bag), rows, "amax", include_self=False)
    sums = index_add(empty, 0, Tensor._wrap(bag), rows)
    if mode == "sum":
        return sums
    count = xp.maximum(xp.bincount(bag, minlength=bags), 1).astype(w.dtype)
    return sums / Tensor._wrap(count.reshape(-1, 1))


def _bags(op: str, i: Tensor, offsets: Any, include_last: bool) -> tuple[Tensor, Array, int]:
    """The row numbers as a vector, the bag of each, and how many bags there are."""
    xp = xp_of(i.array)
    if i.ndim == 2:
        if offsets is not None:
            raise ValueError(f"{op}: input {i.shape} is one bag for each row and takes no offsets; flatten it, or leave them out")
        return i.reshape(-1), xp.repeat(xp.arange(i.shape[0]), i.shape[1]), i.shape[0]
    if i.ndim != 1 or offsets is None:
        raise ValueError(f"{op}: input has shape {i.shape}, but must be (B, N), or (M,) together with offsets")
    o = as_tensor(op, "offsets", offsets)
    need_same_device(op, input=i, offsets=o)
    if o.ndim != 1 or o.dtype.kind not in "iu" or not o.numel():
        raise ValueError(f"{op}: offsets are {o.dtype} {o.shape}, but must be a vector of integers, one for each bag")
    starts, total = to_numpy(o.array), i.shape[0]
    if starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] > total or (include_last and starts[-1] != total):
        last = f", the last one {total}" if include_last else ""
        raise ValueError(f"{op}: offsets must begin with 0 and ascend to at most {total}, the length of input{last}")
    bag = xp.searchsorted(o.array, xp.arange(total), side="right") - 1
    return i, bag, len(starts) - include_last
