"""Max and average pooling with their gradients, and the ways back up: bed of nails and max unpooling.

As for convolution, o, k and i are positions with a number for each spatial axis, whatever their count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.reference.convolution import meeting_place
from minivision.reference.loops import inside, per_axis, positions

Array = np.ndarray
Ints = Sequence[int]


def max_pool(
    x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> tuple[Array, Array]:
    """y[n,c,o] = the largest x in the window at s o - p;  indices says where it stood, as row W + col

    x (N, C, *size) -> y and int64 indices, both (N, C, *size'). The first largest value in row-major order wins, NaN wins over
    everything, and padding never wins. The stride is the kernel size unless given.
    """
    size, kernel = x.shape[2:], per_axis(kernel_size, x.ndim - 2)
    stride = kernel if stride is None else stride
    y = np.zeros((*x.shape[:2], *pooled_size(size, kernel, stride, padding, dilation, ceil_mode)))
    indices = np.zeros(y.shape, np.int64)
    for n, c, *o in positions(*y.shape):
        best = None
        for k in positions(*kernel):
            i = meeting_place(o, k, stride, padding, dilation)
            if inside(i, size):
                value = x[n, c, *i]
                if best is None or value > best or np.isnan(value):
                    best, indices[n, c, *o] = value, np.ravel_multi_index(i, size)
        y[n, c, *o] = best
    return y, indices


def max_pool_backward(dy: Array, indices: Array, size: Any) -> Array:
    """dy goes to the winners: dx[n,c] at indices[n,c,o] += dy[n,c,o]

    Added, not written: where windows overlap, one pixel may win several of them. `size` is that of the input, (H, W).
    """
    size = per_axis(size, dy.ndim - 2)
    dx = np.zeros((*dy.shape[:2], *size))
    for n, c, *o in positions(*dy.shape):
        dx[n, c, *np.unravel_index(indices[n, c, *o], size)] += dy[n, c, *o]
    return dx


def avg_pool(
    x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor: int | None = None,
) -> Array:  # fmt: skip
    """y[n,c,o] = (sum of x over the window at s o - p) / (its number of positions);  padding counts as zeros

    x (N, C, *size) -> (N, C, *size'). The stride is the kernel size unless given. With `count_include_pad` off, padding is not
    counted; a `divisor` replaces the count.
    """
    size, kernel = x.shape[2:], per_axis(kernel_size, x.ndim - 2)
    stride = kernel if stride is None else stride
    y = np.zeros((*x.shape[:2], *pooled_size(size, kernel, stride, padding, 1, ceil_mode)))
    for n, c, *o in positions(*y.shape):
        count = divisor or window_count(o, size, kernel, stride, padding, count_include_pad)
        for k in positions(*kernel):
            i = meeting_place(o, k, stride, padding, 1)
            if inside(i, size):
                y[n, c, *o] += x[n, c, *i] / count
    return y


def avg_pool_backward(
    dy: Array, size: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True,
    divisor: int | None = None,
) -> Array:  # fmt: skip
    """Every pixel of a window receives dy / count; `size` is that of the input, (H, W)."""
    axes = dy.ndim - 2
    size, kernel = per_axis(size, axes), per_axis(kernel_size, axes)
    stride = kernel if stride is None else stride
    dx = np.zeros((*dy.shape[:2], *size))
    for n, c, *o in positions(*dy.shape):
        count = divisor or window_count(o, size, kernel, stride, padding, count_include_pad)
        for k in positions(*kernel):
            i = meeting_place(o, k, stride, padding, 1)
            if inside(i, size):
                dx[n, c, *i] += dy[n, c, *o] / count
    return dx


def adaptive_avg_pool(x: Array, output_size: Any) -> Array:
    """y[n,c,o] = the mean of x over bin o, which spans floor(o n / m) .. ceil((o + 1) n / m) - 1 for n pixels in m bins

    x (N, C, *size) -> (N, C, *output_size). Neighbouring bins share pixels where m does not divide n.
    """
    y = np.zeros((*x.shape[:2], *per_axis(output_size, x.ndim - 2)))
    for n, c, *o in positions(*y.shape):
        bins = [range(j * size // m, -(-(j + 1) * size // m)) for j, size, m in zip(o, x.shape[2:], y.shape[2:], strict=True)]
        y[n, c, *o] = x[n, c][np.ix_(*bins)].mean()
    return y


def max_unpool(x: Array, indices: Array, size: Any) -> Array:
    """y = 0 except at the remembered places: y[n,c] at indices[n,c,o] = x[n,c,o]

    x and indices (N, C, *size), `size` the one before pooling, (H', W'). Where an index occurs twice, the last value stays.
    """
    size = per_axis(size, x.ndim - 2)
    y = np.zeros((*x.shape[:2], *size))
    for n, c, *o in positions(*x.shape):
        y[n, c, *np.unravel_index(indices[n, c, *o], size)] = x[n, c, *o]
    return y


def max_unpool_backward(dy: Array, indices: Array) -> Array:
    """dx[n,c,o] = dy[n,c] at indices[n,c,o]: each value gathers from the place it was written to"""
    dx = np.zeros(indices.shape)
    for n, c, *o in positions(*indices.shape):
        dx[n, c, *o] = dy[n, c, *np.unravel_index(indices[n, c, *o], dy.shape[2:])]
    return dx


def bed_of_nails(x: Array, factor: Any) -> Array:
    """y[n, c, s o] = x[n,c,o], 0 elsewhere: each value at the first corner, the top left, of its cell of s pixels

    x (N, C, *size) -> (N, C, *size times s).
    """
    steps = per_axis(factor, x.ndim - 2)
    y = np.zeros((*x.shape[:2], *(s * n for s, n in zip(steps, x.shape[2:], strict=True))))
    for n, c, *o in positions(*x.shape):
        y[n, c, *(s * i for s, i in zip(steps, o, strict=True))] = x[n, c, *o]
    return y


def bed_of_nails_backward(dy: Array, factor: Any) -> Array:
    """dx[n,c,o] = dy[n, c, s o]: what fell between the nails is lost"""
    steps = per_axis(factor, dy.ndim - 2)
    dx = np.zeros((*dy.shape[:2], *(m // s for s, m in zip(steps, dy.shape[2:], strict=True))))
    for n, c, *o in positions(*dx.shape):
        dx[n, c, *o] = dy[n, c, *(s * i for s, i in zip(steps, o, strict=True))]
    return dx


# under the names that say for how many spatial axes
max_pool1d = max_pool2d = max_pool3d = max_pool
max_pool1d_backward = max_pool2d_backward = max_pool3d_backward = max_pool_backward
avg_pool1d = avg_pool2d = avg_pool3d = avg_pool
avg_pool1d_backward = avg_pool2d_backward = avg_pool3d_backward = avg_pool_backward
adaptive_avg_pool1d = adaptive_avg_pool2d = adaptive_avg_pool3d = adaptive_avg_pool
max_unpool1d = max_unpool2d = max_unpool3d = max_unpool
max_unpool1d_backward = max_unpool2d_backward = max_unpool3d_backward = max_unpool_backward


# ---- sizes and counts ----


def pooled_size(size: Ints, kernel: Ints, stride: Any, padding: Any, dilation: Any, ceil_mode: bool = False) -> tuple[int, ...]:
    """floor((n + 2p - d (k - 1) - 1) / s) + 1 along each axis; with `ceil_mode` the ceiling

    Then a last window may hang over the end. One that starts in the padding on the right is dropped.
    """
    out = []
    settings = [per_axis(value, len(size)) for value in (stride, padding, dilation)]
    for n, k, s, p, d in zip(size, kernel, *settings, strict=True):
        steps = (n + 2 * p - d * (k - 1) - 1) / s
        windows = (math.ceil(steps) if ceil_mode else math.floor(steps)) + 1
        out.append(windows - 1 if ceil_mode and (windows - 1) * s >= n + p else windows)
    return tuple(out)


def window_count(o: Ints, size: Ints, kernel: Ints, stride: Any, padding: Any, count_include_pad: bool) -> int:
    """How many positions of the window at o lie on the image, or on the image and its padding."""
    margin = per_axis(padding, len(o)) if count_include_pad else (0,) * len(o)
    count = 0
    for k in positions(*kernel):
        i = meeting_place(o, k, stride, padding, 1)
        count += all(-p <= i_a < n + p for i_a, n, p in zip(i, size, margin, strict=True))
    return count
