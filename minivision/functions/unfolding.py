"""unfold (im2col) and fold (col2im): every window of an image as a column, and its transpose, which adds the columns up again.

Convolution is one matrix product on the columns: y = w.reshape(F, -1) @ unfold(x).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.convolution.faces import tap_slices, window_rows
from minivision.functions.convolution.geometry import Window, output_size, per_axis, sliding_window
from minivision.functions.layout import channels_first, channels_last, padded, unpadded_region
from minivision.functions.operands import as_tensor, axis, integer, need_float


class Unfold(Function):
    """y[n, (c, k), o] = x[n, c, s o + d k - p];  dx adds up every window: fold"""

    def __init__(self, kernel: Sequence[int], window: Window):
        self.kernel, self.window = kernel, window

    def forward(self, x: Array) -> Array:
        self.size = x.shape[2:]
        return columns_of(x, self.kernel, self.window)

    def backward(self, dy: Array) -> Array:
        return stamped(dy, self.size, self.kernel, self.window)


class Fold(Function):
    """y[n, c, i] = sum of x[n, (c, k), o] over all (k, o) with s o + d k - p = i;  dx looks into every window: unfold"""

    def __init__(self, size: Sequence[int], kernel: Sequence[int], window: Window):
        self.size, self.kernel, self.window = size, kernel, window

    def forward(self, x: Array) -> Array:
        return stamped(x, self.size, self.kernel, self.window)

    def backward(self, dy: Array) -> Array:
        return columns_of(dy, self.kernel, self.window)


def columns_of(x: Array, kernel: Sequence[int], window: Window) -> Array:
    """x (N, C, *size) -> (N, C K, L): a column for each of the L window positions."""
    out = output_size("unfold", x.shape[2:], kernel, window)
    rows = window_rows(padded(channels_last(x), window.padding), kernel, window, out)
    # (N, *out, *kernel, C) -> (N, C, *kernel, *out)
    spatial = len(kernel)
    columns = rows.transpose(0, 2 * spatial + 1, *range(spatial + 1, 2 * spatial + 1), *range(1, spatial + 1))
    return xp_of(x).ascontiguousarray(columns).reshape(x.shape[0], x.shape[1] * math.prod(kernel), math.prod(out))


def stamped(columns: Array, size: Sequence[int], kernel: Sequence[int], window: Window) -> Array:
    """columns (N, C K, L) -> (N, C, *size): every column is added onto the positions its window covers."""
    out = output_size("fold", size, kernel, window)
    channels = columns.shape[1] // math.prod(kernel)
    windows = columns.reshape(columns.shape[0], channels, *kernel, *out)
    full = [n + a + b for n, (a, b) in zip(size, window.padding, strict=True)]
    y = xp_of(columns).zeros((columns.shape[0], *full, channels), columns.dtype)
    for tap in itertools.product(*map(range, kernel)):
        y[(slice(None), *tap_slices(tap, out, window))] += channels_last(windows[(slice(None), slice(None), *tap)])
    return channels_first(y[unpadded_region(window.padding, full)])


# ---- what users call ----


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Lay every window of an image out as a column (im2col).

    Parameters
    ----------
    input: (N, C, H, W), or (C, H, W) for a single image.
    kernel_size, dilation, padding, stride: those of `conv2d`, an int or (vertical, horizontal).

    Returns (N, C kh kw, L) with L = H' W', the number of window positions in row-major order; the channel varies slowest.
    `conv2d(x, w)` is `w.flatten(1) @ unfold(x, ...)`, reshaped to (N, F, H', W'), and `fold` is the transpose of `unfold`.

    Raises ValueError when the window does not fit. See Chellapilla et al., High performance convolutional neural networks for
    document processing (2006).
    """
    op = "unfold"
    x = as_tensor(op, "input", input)
    need_float(op, input=x)
    if x.ndim not in (3, 4) or 0 in x.shape[-3:]:
        raise ValueError(
            f"{op}: input has shape {x.shape}, but must be (N, C, H, W), or (C, H, W) for a single image, with at least one "
            "channel and one pixel"
        )
    kernel = per_axis(op, "kernel_size", kernel_size, 2, minimum=1)
    window = sliding_window(op, kernel, stride, per_axis(op, "padding", padding, 2), dilation)
    output_size(op, x.shape[-2:], kernel, window)
    if x.ndim == 3:
        return Unfold(kernel, window)(x.unsqueeze(0)).squeeze(0)
    return Unfold(kernel, window)(x)


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Add columns up to an image (col2im): the transpose of `unfold`, not its inverse, for windows may overlap.

    Parameters
    ----------
    input: (N, C kh kw, L), or (C kh kw, L) for a single image.
    output_size: (H, W), or an int for both.
    kernel_size, dilation, padding, stride: those of the `unfold` it transposes.

    Returns (N, C, H, W). `fold(unfold(x))` is x times the number of windows that see each pixel.

    Raises ValueError unless C kh kw is a multiple of kh kw and L is the number of window positions in (H, W).
    """
    op = "fold"
    x = as_tensor(op, "input", input)
    need_float(op, input=x)
    if x.ndim not in (2, 3) or 0 in x.shape[-2:]:
        raise ValueError(
            f"{op}: input has shape {x.shape}, but must be (N, C kh kw, L), or (C kh kw, L) for a single image, not empty"
        )
    size = per_axis(op, "output_size", output_size, 2, minimum=1)
    kernel = per_axis(op, "kernel_size", kernel_size, 2, minimum=1)
    window = sliding_window(op, kernel, stride, per_axis(op, "padding", padding, 2), dilation)
    _check_columns(op, x.shape, size, kernel, window)
    if x.ndim == 2:
        return Fold(size, kernel, window)(x.unsqueeze(0)).squeeze(0)
    return Fold(size, kernel, window)(x)


def _check_columns(op: str, shape: Sequence[int], size: Sequence[int], kernel: Sequence[int], window: Window) -> None:
    rows, columns = shape[-2:]
    if rows % math.prod(kernel):
        raise ValueError(
            f"{op}: input {tuple(shape)} has columns of {rows} numbers, which is no multiple of kernel_size "
            f"{kernel[0]} * {kernel[1]} = {math.prod(kernel)}"
        )
    out = output_size(op, size, kernel, window)
    if columns != math.prod(out):
        raise ValueError(
            f"{op}: input {tuple(shape)} has {columns} columns, but a kernel {tuple(kernel)} has {out[0]} * {out[1]} = "
            f"{math.prod(out)} positions in output_size {tuple(size)} with these arguments; give those of the unfold, and the "
            "size of its input"
        )


def tensor_unfold(input: Any, dimension: int, size: int, step: int) -> Tensor:
    """`Tensor.unfold`: every section of `size` entries along one axis, `step` apart, in a new last axis.

    (..., L, ...) -> (..., (L - size) // step + 1, ..., size). Unlike PyTorch's it is a copy, not a view.
    Raises ValueError for a section longer than the axis, and for a step that is not positive.
    """
    op = "Tensor.unfold"
    x = as_tensor(op, "input", input)
    along = axis(op, dimension, x.shape, "dimension")
    length = x.shape[along] if x.ndim else 1
    size, step = integer(op, "size", size, minimum=0), integer(op, "step", step, minimum=1)
    if size > length:
        raise ValueError(f"{op}: sections of size={size} do not fit into axis {along} of {x.shape}, which has length {length}")
    if x.ndim == 0:
        return x.reshape(1)[:size]
    taken = np.arange(0, length - size + 1, step)[:, None] + np.arange(size)
    sections = x[(slice(None),) * along + (Tensor(xp_of(x.array).asarray(taken)),)]
    return sections.permute(*(i for i in range(sections.ndim) if i != along + 1), along + 1)
