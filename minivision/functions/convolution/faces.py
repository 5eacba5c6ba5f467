"""The three faces of convolution, on arrays with any number of spatial axes.

    y  = correlate(x, w)              y[n,f,o] = sum_c,k  w[f,c,k] x[n,c, s o + d k - p]
    dx = correlate_transposed(dy, w)  the same sum, read as a matrix C acting on x, with C^T acting on dy
    dw = correlate_kernel(x, dy)      the same sum, with w unknown: each window of x weighted by its dy

Each is linear in both arguments, and each is the derivative of the other two. Transposed convolution *is* the second.

Several algorithms compute them, each in a module of its own beside this one; `choice.py` says which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minivision.backend import Array, xp_of
from minivision.functions.convolution.choice import Problem, algorithm_for
from minivision.functions.convolution.geometry import Window, output_size, span

Finish = Callable[
    [Array], Any
]  # what is still to be done, in place, to each finished block of y, while it is in the cache: (..., F)


def correlate(x: Array, w: Array, window: Window, op: str = "convolution", finish: Finish | None = None) -> Array:
    """x (N, C, *size), w (F, C/groups, *kernel) -> y (N, F, *out).

    `finish` gets blocks of y with the channels last, (..., F), every position once, and may change them in place.
    """
    out = output_size(op, x.shape[2:], w.shape[2:], window)
    problem = Problem.of(x.shape[0], x.shape[2:], out, w, window)
    return algorithm_for("correlate", problem).correlate(x, w, window, out, finish)


def correlate_transposed(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """dy (N, F, *out), w (F, C/groups, *kernel) -> dx (N, C, *size), for the input size that the convolution was given."""
    _need_positions(dy, size, w.shape[2:], window)
    problem = Problem.of(dy.shape[0], size, dy.shape[2:], w, window)
    return algorithm_for("correlate_transposed", problem).correlate_transposed(dy, w, size, window)


def correlate_kernel(x: Array, dy: Array, kernel: Sequence[int], window: Window) -> Array:
    """x (N, C, *size), dy (N, F, *out) -> dw (F, C/groups, *kernel)."""
    _need_positions(dy, x.shape[2:], kernel, window)
    problem = Problem(
        x.shape[0], x.shape[1], dy.shape[1], x.shape[2:], dy.shape[2:], tuple(kernel), window, x.dtype, type(x) is np.ndarray
    )
    return algorithm_for("correlate_kernel", problem).correlate_kernel(x, dy, kernel, window)


def _need_positions(dy: Array, size: Sequence[int], kernel: Sequence[int], window: Window) -> None:
    out = output_size("convolution", size, kernel, window)
    if dy.shape[2:] != out:
        raise ValueError(
            f"convolution: the gradient (N, F, *out) = {dy.shape} and the input's size {tuple(size)} do not fit: with a "
            f"kernel of {tuple(kernel)} such an input has {out} positions"
        )


def window_rows(x: Array, kernel: Sequence[int], window: Window, out: Sequence[int]) -> Array:
    """Every window of a padded x (N, *size, C) as a view (N, *out, *kernel, C): no copy, the strides do it."""
    for n, o, k, s, d in zip(x.shape[1:], out, kernel, window.stride, window.dilation, strict=False):
        if (o - 1) * s + span(k, d) > n:  # as_strided would read memory that is not x's
            raise ValueError(f"convolution: {tuple(out)} windows of {tuple(kernel)} do not fit into a padded {x.shape[1:-1]}")
    batch, *spatial, channel = x.strides
    return xp_of(x).lib.stride_tricks.as_strided(
        x,
        shape=(x.shape[0], *out, *kernel, x.shape[-1]),
        strides=(
            batch,
            *(stride * step for stride, step in zip(spatial, window.stride, strict=True)),
            *(stride * step for stride, step in zip(spatial, window.dilation, strict=True)),
            channel,
        ),
    )


def tap_slices(tap: Sequence[int], out: Sequence[int], window: Window) -> tuple[slice, ...]:
    """The positions of the padded input that one kernel position (a tap) meets, over all windows."""
    return tuple(
        slice(t * d, t * d + (n - 1) * s + 1, s) for t, n, s, d in zip(tap, out, window.stride, window.dilation, strict=True)
    )
