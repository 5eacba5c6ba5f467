"""Embedding: rows of a table, looked up by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, scatter_add, xp_of
from minivision.functions.operands import as_tensor, float_tensor, need_same_device


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
    op = "embedding"
    i, w = as_tensor(op, "input", input), float_tensor(op, "weight", weight)
    need_same_device(op, input=i, weight=w)
    if i.dtype not in (np.int32, np.int64):
        raise TypeError(f"{op}: input is {i.dtype} {i.shape}, but must hold row numbers; convert it with .long()")
    if w.ndim != 2:
        raise ValueError(f"{op}: weight has shape {w.shape}, but must be a table (V, D)")
    rows = w.shape[0]
    wrong = (i.array < 0) | (i.array >= rows)
    if bool(wrong.any()):
        first = int(i.array.reshape(-1)[int(xp_of(i.array).argmax(wrong.reshape(-1)))])
        raise IndexError(f"{op}: input holds {first}, which is not one of the rows 0 .. {rows - 1} of weight {w.shape}")
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"{op}: padding_idx={padding_idx} is not one of the {rows} rows of weight {w.shape}")
    if max_norm is not None and i.numel():
        _shorten(w, i.array, max_norm, norm_type)
    padding = None if padding_idx is None else padding_idx % rows
    return Embedding(i.array.astype(np.int64), padding, scale_grad_by_freq)(w)


def _shorten(w: Tensor, index: Array, max_norm: float, norm_type: float) -> None:
    """Scale the rows that `index` names down to `max_norm`, in place and outside the graph."""
    xp = xp_of(w.array, index)
    used = xp.unique(index)
    rows = w.array[used]
    length = (abs(rows) ** norm_type).sum(axis=1, keepdims=True) ** (1 / norm_type)
    w.array[used] = xp.where(length > max_norm, rows * (max_norm / (length + 1e-7)), rows)
    w._version[0] += 1
