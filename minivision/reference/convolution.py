"""Convolution, transposed convolution and their gradients (Dumoulin & Visin, arXiv:1603.07285).

Four loops over one sum: y, dx and dw read the same product w[f,c,k] x[n,c,i] with another of the three unknown.

One text serves signals, images and volumes: o, k and i stand for a position, a number for each spatial axis. For an image, o is
(row, column), and s o + d k - p is taken along both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.reference.loops import inside, per_axis, positions

Array = np.ndarray
Ints = Sequence[int]


def conv(
    x: Array, w: Array, b: Array | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Array:
    """y[n,f,o] = b[f] + sum over c, k of w[f,c,k] x[n, c, s o + d k - p];  x is 0 outside

    x (N, C, *size), w (F, C/groups, *kernel), b (F,) -> y (N, F, *size'). With groups, output channel f sees only the C/groups
    input channels of its own group.
    """
    y = np.zeros((x.shape[0], w.shape[0], *conv_size(x.shape[2:], w.shape[2:], stride, padding, dilation)))
    for n, f, *o in positions(*y.shape):
        y[n, f, *o] = 0 if b is None else b[f]
        first = f // (w.shape[0] // groups) * w.shape[1]  # the first channel of f's group
        for c, *k in positions(*w.shape[1:]):
            i = meeting_place(o, k, stride, padding, dilation)
            if inside(i, x.shape[2:]):
                y[n, f, *o] += w[f, c, *k] * x[n, first + c, *i]
    return y


def conv_backward(
    dy: Array, x: Array, w: Array, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> tuple[Array, Array, Array]:
    """The chain rule, read off conv: each product w x in y[n,f,o] sends dy w to x and dy x to w.

    dy (N, F, *size') -> dx like x, dw like w, db (F,), the sum of dy over images and positions.
    """
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(w.shape[0])
    for n, f, *o in positions(*dy.shape):
        db[f] += dy[n, f, *o]
        first = f // (w.shape[0] // groups) * w.shape[1]
        for c, *k in positions(*w.shape[1:]):
            i = meeting_place(o, k, stride, padding, dilation)
            if inside(i, x.shape[2:]):
                dx[n, first + c, *i] += dy[n, f, *o] * w[f, c, *k]
                dw[f, c, *k] += dy[n, f, *o] * x[n, first + c, *i]
    return dx, dw, db


def conv_transpose(
    x: Array, w: Array, b: Array | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Array:  # fmt: skip
    """Each x[n,c,o] stamps its kernel w[c], scaled by its value, onto y at s o - p; stamps add up where they overlap.

    x (N, C, *size), w (C, F/groups, *kernel), b (F,) -> y (N, F, *size'). What falls outside y is lost: `padding` cuts that much
    off each side, `output_padding` puts some of it back at the end.
    """
    size = conv_transpose_size(x.shape[2:], w.shape[2:], stride, padding, output_padding, dilation)
    y = np.zeros((x.shape[0], w.shape[1] * groups, *size))
    for n, c, *o in positions(*x.shape):
        first = c // (x.shape[1] // groups) * w.shape[1]
        for f, *k in positions(*w.shape[1:]):
            i = meeting_place(o, k, stride, padding, dilation)
            if inside(i, size):
                y[n, first + f, *i] += x[n, c, *o] * w[c, f, *k]
    for f in range(y.shape[1]):
        y[:, f] += 0 if b is None else b[f]
    return y


def conv_transpose_backward(
    dy: Array, x: Array, w: Array, stride: Any = 1, padding: Any = 0, groups: int = 1, dilation: Any = 1
) -> tuple[Array, Array, Array]:
    """Each x gathers dy under its stamp, weighted by the kernel: that is the convolution of dy. dw gathers the products x dy.

    dy (N, F, *size') -> dx like x, dw like w, db (F,).
    """
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for n, c, *o in positions(*x.shape):
        first = c // (x.shape[1] // groups) * w.shape[1]
        for f, *k in positions(*w.shape[1:]):
            i = meeting_place(o, k, stride, padding, dilation)
            if inside(i, dy.shape[2:]):
                dx[n, c, *o] += dy[n, first + f, *i] * w[c, f, *k]
                dw[c, f, *k] += dy[n, first + f, *i] * x[n, c, *o]
    db = np.array([dy[:, f].sum() for f in range(dy.shape[1])])
    return dx, dw, db


# under the names that say for how many spatial axes
conv1d = conv2d = conv3d = conv
conv1d_backward = conv2d_backward = conv3d_backward = conv_backward
conv_transpose1d = conv_transpose2d = conv_transpose3d = conv_transpose
conv_transpose1d_backward = conv_transpose2d_backward = conv_transpose3d_backward = conv_transpose_backward


# ---- sizes and positions ----


def meeting_place(o: Ints, k: Ints, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    """Where kernel entry k of the window at o lies on the large image: s o + d k - p along each axis."""
    axes = len(o)
    settings = zip(o, k, per_axis(stride, axes), per_axis(padding, axes), per_axis(dilation, axes), strict=True)
    return tuple(s * o_a + d * k_a - p for o_a, k_a, s, p, d in settings)


def conv_size(size: Ints, kernel: Ints, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    """floor((n + 2p - d (k - 1) - 1) / s) + 1 along each axis"""
    axes = len(size)
    settings = zip(size, kernel, per_axis(stride, axes), per_axis(padding, axes), per_axis(dilation, axes), strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in settings)


def conv_transpose_size(
    size: Ints, kernel: Ints, stride: Any, padding: Any, output_padding: Any, dilation: Any
) -> tuple[int, ...]:
    """(n - 1) s - 2p + d (k - 1) + output_padding + 1 along each axis"""
    settings = [per_axis(value, len(size)) for value in (stride, padding, output_padding, dilation)]
    return tuple((n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, e, d in zip(size, kernel, *settings, strict=True))
