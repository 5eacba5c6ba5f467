"""Max and average pooling with their gradients, and the ways back up: bed of nails and max unpooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.reference.convolution import conv_size, meeting_place
from minivision.reference.loops import pair, positions

Array = np.ndarray


def max_pool2d(x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> tuple[Array, Array]:
    """y[n,c,i,j] = the largest x in the window at (s i - p, s j - p);  indices says where it stood, as row W + col

    x (N, C, H, W) -> y and int64 indices, both (N, C, H', W'). The first largest value in row-major order wins, NaN wins over
    everything, and padding never wins. The stride is the kernel size unless given.
    """
    kernel, stride = pair(kernel_size), kernel_size if stride is None else stride
    y = np.zeros((*x.shape[:2], *conv_size(x.shape[2:], kernel, stride, padding, dilation)))
    indices = np.zeros(y.shape, np.int64)
    for n, c, i, j in positions(*y.shape):
        best = None
        for u, v in positions(*kernel):
            row, col = meeting_place(i, j, u, v, stride, padding, dilation)
            if 0 <= row < x.shape[2] and 0 <= col < x.shape[3]:
                value = x[n, c, row, col]
                if best is None or value > best or np.isnan(value):
                    best, indices[n, c, i, j] = value, row * x.shape[3] + col
        y[n, c, i, j] = best
    return y, indices


def max_pool2d_backward(dy: Array, indices: Array, size: Any) -> Array:
    """dy goes to the winners: dx[n,c] at indices[n,c,i,j] += dy[n,c,i,j]

    Added, not written: where windows overlap, one pixel may win several of them. `size` is the (H, W) of the input.
    """
    height, width = pair(size)
    dx = np.zeros((*dy.shape[:2], height, width))
    for n, c, i, j in positions(*dy.shape):
        row, col = divmod(int(indices[n, c, i, j]), width)
        dx[n, c, row, col] += dy[n, c, i, j]
    return dx


def avg_pool2d(x: Array, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """y[n,c,i,j] = (sum of x over the window at (s i - p, s j - p)) / (kh kw);  padding counts as zeros

    x (N, C, H, W) -> (N, C, H', W'). The stride is the kernel size unless given.
    """
    (kh, kw), stride = pair(kernel_size), kernel_size if stride is None else stride
    y = np.zeros((*x.shape[:2], *conv_size(x.shape[2:], (kh, kw), stride, padding, 1)))
    for n, c, i, j in positions(*y.shape):
        for u, v in positions(kh, kw):
            row, col = meeting_place(i, j, u, v, stride, padding, 1)
            if 0 <= row < x.shape[2] and 0 <= col < x.shape[3]:
                y[n, c, i, j] += x[n, c, row, col] / (kh * kw)
    return y


def avg_pool2d_backward(dy: Array, size: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Array:
    """Every pixel of a window receives dy / (kh kw); `size` is the (H, W) of the input."""
    (kh, kw), (height, width), stride = pair(kernel_size), pair(size), kernel_size if stride is None else stride
    dx = np.zeros((*dy.shape[:2], height, width))
    for n, c, i, j in positions(*dy.shape):
        for u, v in positions(kh, kw):
            row, col = meeting_place(i, j, u, v, stride, padding, 1)
            if 0 <= row < height and 0 <= col < width:
                dx[n, c, row, col] += dy[n, c, i, j] / (kh * kw)
    return dx


def max_unpool2d(x: Array, indices: Array, size: Any) -> Array:
    """y = 0 except at the remembered places: y[n,c] at indices[n,c,i,j] = x[n,c,i,j]

    x and indices (N, C, H, W), size the (H', W') before pooling. Where an index occurs twice, the last value stays.
    """
    height, width = pair(size)
    y = np.zeros((*x.shape[:2], height, width))
    for n, c, i, j in positions(*x.shape):
        row, col = divmod(int(indices[n, c, i, j]), width)
        y[n, c, row, col] = x[n, c, i, j]
    return y


def bed_of_nails(x: Array, factor: Any) -> Array:
    """y[n, c, s i, s j] = x[n,c,i,j], 0 elsewhere: each value at the top left of its s x s cell

    x (N, C, H, W) -> (N, C, s H, s W).
    """
    sh, sw = pair(factor)
    y = np.zeros((*x.shape[:2], sh * x.shape[2], sw * x.shape[3]))
    for n, c, i, j in positions(*x.shape):
        y[n, c, sh * i, sw * j] = x[n, c, i, j]
    return y
