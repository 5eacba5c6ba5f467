"""Convolution by its definition: seven loops, over image, output channel, row, column, input channel and the kernel's two axes.

The loops are those of `minivision.reference.convolution`, which every faster algorithm is tested against. They compute in
float64, whatever the input's dtype, and take some microseconds for each multiplication.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minivision.backend import Array
from minivision.functions.convolution.choice import Problem
from minivision.functions.convolution.faces import Finish
from minivision.functions.convolution.geometry import Window
from minivision.functions.layout import channels_first, channels_last, padded
from minivision.reference.convolution import conv, conv_backward


def applies(problem: Problem) -> bool:
    return problem.on_cpu


def correlate(x: Array, w: Array, window: Window, out: Sequence[int], finish: Finish | None = None) -> Array:
    """x (N, C, *size), w (F, C/groups, *kernel) -> y (N, F, *out)."""
    around = channels_first(padded(channels_last(x), window.padding))  # the loops know no padding that differs before and after
    y = conv(around, w, None, window.stride, 0, window.dilation, window.groups)
    y = np.ascontiguousarray(channels_last(y), np.result_type(x, w))
    if finish is not None:
        finish(y)
    return channels_first(y)


def correlate_transposed(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """dy (N, F, *out), w (F, C/groups, *kernel) -> dx (N, C, *size)."""
    x = np.zeros((dy.shape[0], w.shape[1] * window.groups, *size))  # dx depends on its shape alone
    dx, _ = _backward(dy, x, w, window)
    return channels_first(np.ascontiguousarray(channels_last(dx), np.result_type(dy, w)))


def correlate_kernel(x: Array, dy: Array, kernel: Sequence[int], window: Window) -> Array:
    """x (N, C, *size), dy (N, F, *out) -> dw (F, C/groups, *kernel)."""
    w = np.zeros((dy.shape[1], x.shape[1] // window.groups, *kernel))  # dw depends on its shape alone
    _, dw = _backward(dy, x, w, window)
    return dw.astype(np.result_type(x, dy), copy=False)


def _backward(dy: Array, x: Array, w: Array, window: Window) -> tuple[Array, Array]:
    """Here the padding before is all that the loops need to know: what lies outside of x, they leave out."""
    before = tuple(a for a, _ in window.padding)
    dx, dw, _ = conv_backward(dy, x, w, window.stride, before, window.dilation, window.groups)
    return dx, dw
