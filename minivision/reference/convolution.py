"""Convolution, transposed convolution and their gradients (Dumoulin & Visin, arXiv:1603.07285).

Four loops over one sum: y, dx and dw read the same product w[f,c,u,v] x[n,c,i',j'] with another of the three unknown.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.reference.loops import pair, positions

Array = np.ndarray


def conv1d(x: Array, w: Array, b: Array | None = None, stride: int = 1, padding: int = 0, dilation: int = 1) -> Array:
    """y[n,f,o] = b[f] + sum over c, k of w[f,c,k] x[n, c, s o + d k - p];  x is 0 outside

    x (N, C, L), w (F, C, K), b (F,) -> y (N, F, L') with L' = floor((L + 2p - d (K - 1) - 1) / s) + 1.
    """
    (N, C, L), (F, _, K) = x.shape, w.shape
    y = np.zeros((N, F, (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1))
    for n, f, o in positions(*y.shape):
        y[n, f, o] = 0 if b is None else b[f]
        for c, k in positions(C, K):
            i = stride * o + dilation * k - padding
            if 0 <= i < L:
                y[n, f, o] += w[f, c, k] * x[n, c, i]
    return y


def conv2d(
    x: Array, w: Array, b: Array | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Array:
    """y[n,f,i,j] = b[f] + sum over c, u, v of w[f,c,u,v] x[n, c, s i + d u - p, s j + d v - p];  x is 0 outside

    x (N, C, H, W), w (F, C/groups, kh, kw), b (F,) -> y (N, F, H', W'). With groups, output channel f sees only the C/groups
    input channels of its own group.
    """
    y = np.zeros((x.shape[0], w.shape[0], *conv_size(x.shape[2:], w.shape[2:], stride, padding, dilation)))
    for n, f, i, j in positions(*y.shape):
        y[n, f, i, j] = 0 if b is None else b[f]
        first = f // (w.shape[0] // groups) * w.shape[1]  # the first channel of f's group
        for c, u, v in positions(*w.shape[1:]):
            row, col = meeting_place(i, j, u, v, stride, padding, dilation)
            if 0 <= row < x.shape[2] and 0 <= col < x.shape[3]:
                y[n, f, i, j] += w[f, c, u, v] * x[n, first + c, row, col]
    return y


def conv2d_backward(
    dy: Array, x: Array, w: Array, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> tuple[Array, Array, Array]:
    """The chain rule, read off conv2d: each product w x in y[n,f,i,j] sends dy w to x and dy x to w.

    dy (N, F, H', W') -> dx like x, dw like w, db (F,), the sum of dy over images and positions.
    """
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(w.shape[0])
    for n, f, i, j in positions(*dy.shape):
        db[f] += dy[n, f, i, j]
        first = f // (w.shape[0] // groups) * w.shape[1]
        for c, u, v in positions(*w.shape[1:]):
            row, col = meeting_place(i, j, u, v, stride, padding, dilation)
            if 0 <= row < x.shape[2] and 0 <= col < x.shape[3]:
                dx[n, first + c, row, col] += dy[n, f, i, j] * w[f, c, u, v]
                dw[f, c, u, v] += dy[n, f, i, j] * x[n, first + c, row, col]
    return dx, dw, db


def conv_transpose1d(
    x: Array, w: Array, b: Array | None = None, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> Array:
    """Each x[n,c,o] stamps its kernel w[c], scaled by its value, onto y at s o - p; stamps add up where they overlap.

    x (N, C, L), w (C, F, K), b (F,) -> y (N, F, L') with L' = (L - 1) s - 2p + d (K - 1) + output_padding + 1.
    """
    (N, C, L), (_, F, K) = x.shape, w.shape
    y = np.zeros((N, F, (L - 1) * stride - 2 * padding + dilation * (K - 1) + output_padding + 1))
    for n, c, o in positions(N, C, L):
        for f, k in positions(F, K):
            i = stride * o + dilation * k - padding
            if 0 <= i < y.shape[2]:
                y[n, f, i] += x[n, c, o] * w[c, f, k]
    return y if b is None else y + b[:, None]


def conv_transpose2d(
    x: Array, w: Array, b: Array | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Array:  # fmt: skip
    """Each x[n,c,i,j] stamps its kernel w[c], scaled by its value, onto y at (s i - p, s j - p); stamps add up.

    x (N, C, H, W), w (C, F/groups, kh, kw), b (F,) -> y (N, F, H', W'). What falls outside y is lost: `padding` cuts that much
    off each side, `output_padding` puts some of it back at the bottom and right.
    """
    size = conv_transpose_size(x.shape[2:], w.shape[2:], stride, padding, output_padding, dilation)
    y = np.zeros((x.shape[0], w.shape[1] * groups, *size))
    for n, c, i, j in positions(*x.shape):
        first = c // (x.shape[1] // groups) * w.shape[1]
        for f, u, v in positions(*w.shape[1:]):
            row, col = meeting_place(i, j, u, v, stride, padding, dilation)
            if 0 <= row < y.shape[2] and 0 <= col < y.shape[3]:
                y[n, first + f, row, col] += x[n, c, i, j] * w[c, f, u, v]
    return y if b is None else y + b[:, None, None]


def conv_transpose2d_backward(
    dy: Array, x: Array, w: Array, stride: Any = 1, padding: Any = 0, groups: int = 1, dilation: Any = 1
) -> tuple[Array, Array, Array]:
    """Each x gathers dy under its stamp, weighted by the kernel: that is conv2d of dy. dw gathers the products x dy.

    dy (N, F, H', W') -> dx like x, dw like w, db (F,).
    """
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for n, c, i, j in positions(*x.shape):
        first = c // (x.shape[1] // groups) * w.shape[1]
        for f, u, v in positions(*w.shape[1:]):
            row, col = meeting_place(i, j, u, v, stride, padding, dilation)
            if 0 <= row < dy.shape[2] and 0 <= col < dy.shape[3]:
                dx[n, c, i, j] += dy[n, first + f, row, col] * w[c, f, u, v]
                dw[c, f, u, v] += dy[n, first + f, row, col] * x[n, c, i, j]
    return dx, dw, dy.sum(axis=(0, 2, 3))


# ---- sizes and positions ----


def meeting_place(i: int, j: int, u: int, v: int, stride: Any, padding: Any, dilation: Any) -> tuple[int, int]:
    """Where kernel entry (u, v) of the window at (i, j) lies on the large image: (s i + d u - p, s j + d v - p)."""
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    return sh * i + dh * u - ph, sw * j + dw * v - pw


def conv_size(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    """floor((n + 2p - d (k - 1) - 1) / s) + 1 along each axis"""
    settings = zip(size, kernel, pair(stride), pair(padding), pair(dilation), strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in settings)


def conv_transpose_size(size: Any, kernel: Any, stride: Any, padding: Any, extra: Any, dilation: Any) -> tuple[int, ...]:
    """(n - 1) s - 2p + d (k - 1) + output_padding + 1 along each axis"""
    settings = zip(size, kernel, pair(stride), pair(padding), pair(extra), pair(dilation), strict=True)
    return tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, e, d in settings)
