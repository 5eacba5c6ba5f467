"""Convolution as a matrix: C @ x is the convolution, C.T @ dy its gradient to the input, which is the transposed convolution.

Row (f, o) of C is the kernel w[f], laid over the input positions that output position o sees; nearly all its entries are 0, so
C is a sparse matrix (SciPy's; without SciPy, a NumPy array with all its zeros). `conv_matrix` shows it.

As a function of w the convolution is another matrix, made of x. Its rows are the windows of x, and they too come from x by a
matrix: the convolution with all kernels that are 1 at one position and 0 elsewhere. Call it U, for unfolding:

    y = w @ (U x)    so    dw = dy @ (U x)^T
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.functions.convolution.choice import Problem
from minivision.functions.convolution.faces import Finish
from minivision.functions.convolution.geometry import Window
from minivision.functions.layout import channels_first, channels_last

LARGEST = 1 << 24  # entries of a matrix; to make it takes some 50 bytes for each. Beyond it, the algorithm does not apply


def applies(problem: Problem) -> bool:
    """On the CPU, as long as the matrix can be held in memory."""
    outputs, taps = problem.out_channels * math.prod(problem.out), math.prod(problem.kernel)
    inputs = problem.channels * math.prod(problem.size)
    if _dense():
        entries, to_unfold = outputs * inputs, math.prod(problem.out) * taps * inputs
    else:
        entries, to_unfold = outputs * (problem.channels // problem.window.groups) * taps, math.prod(problem.out) * taps * taps
    return problem.on_cpu and max(entries, to_unfold) <= LARGEST


def correlate(x: Array, w: Array, window: Window, out: Sequence[int], finish: Finish | None = None) -> Array:
    """x (N, C, *size), w (F, C/groups, *kernel) -> y (N, F, *out)."""
    dtype = np.result_type(x, w)
    matrix = _matrix(w, x.shape[2:], window)
    # (F prod(out), C prod(size)) @ (C prod(size), N) -> (F prod(out), N)
    y = (matrix @ _columns(x, matrix.shape[1])).T.reshape(x.shape[0], w.shape[0], *out)
    y = np.ascontiguousarray(channels_last(y), dtype)
    if finish is not None:
        finish(y)
    return channels_first(y)


def correlate_transposed(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """dy (N, F, *out), w (F, C/groups, *kernel) -> dx (N, C, *size)."""
    matrix = _matrix(w, size, window)
    # (C prod(size), F prod(out)) @ (F prod(out), N) -> (C prod(size), N)
    dx = (matrix.T @ _columns(dy, matrix.shape[0])).T.reshape(dy.shape[0], w.shape[1] * window.groups, *size)
    return channels_first(np.ascontiguousarray(channels_last(dx), np.result_type(dy, w)))


def correlate_kernel(x: Array, dy: Array, kernel: Sequence[int], window: Window) -> Array:
    """x (N, C, *size), dy (N, F, *out) -> dw (F, C/groups, *kernel)."""
    batch, channels, out_channels, groups = x.shape[0], x.shape[1], dy.shape[1], window.groups
    taps, pixels, positions = math.prod(kernel), math.prod(x.shape[2:]), math.prod(dy.shape[2:])
    one_at_each = np.eye(taps, dtype=x.dtype).reshape(taps, 1, *kernel)
    unfold = _matrix(one_at_each, x.shape[2:], window._replace(groups=1))  # (K prod(out), prod(size)), 0 or 1
    windows = unfold @ _columns(x.reshape(batch * channels, pixels), pixels)  # (K prod(out), N C)
    windows = windows.T.reshape(batch, groups, channels // groups * taps, positions)
    upstream = _precise(dy).reshape(batch, groups, out_channels // groups, positions)
    # (N, g, F/g, positions) @ (N, g, positions, K C/g) -> (N, g, F/g, K C/g), and the sum over the images
    dw = (upstream @ windows.swapaxes(2, 3)).sum(axis=0)
    return dw.astype(np.result_type(x, dy), copy=False).reshape(out_channels, channels // groups, *kernel)


def _matrix(w: Array, size: Sequence[int], window: Window) -> Any:
    from minivision.functions.matrix import matrix_of_window  # it stands above the convolutions, since it compares them

    return matrix_of_window("convolution", _precise(w), size, window, dense=_dense())


def _columns(x: Array, length: int) -> Array:
    """(N, ...) -> (length, N): each sample as a column, flattened in row-major order."""
    return _precise(x).reshape(x.shape[0], length).T


def _precise(x: Array) -> Array:
    """Sparse matrices cannot hold float16."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def _dense() -> bool:
    try:
        import scipy.sparse  # noqa: F401
    except ImportError:
        return True
    return False
