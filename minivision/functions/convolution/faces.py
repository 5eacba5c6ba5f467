"""The three faces of convolution, on arrays with any number of spatial axes.

    y  = correlate(x, w)              y[n,f,o] = sum_c,k  w[f,c,k] x[n,c, s o + d k - p]
    dx = correlate_transposed(dy, w)  the same sum, read as a matrix C acting on x, with C^T acting on dy
    dw = correlate_kernel(x, dy)      the same sum, with w unknown: each window of x weighted by its dy

Each is linear in both arguments, and each is the derivative of the other two. Transposed convolution *is* the second.

Several algorithms compute them, each in a module of its own beside this one; `choice.py` says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minivision.backend import Array, xp_of
from minivision.functions.convolution.choice import Problem, algorithm_for
from minivision.functions.convolution.geometry import Window, output_size, span
from minivision.threads import for_each, get_num_threads, one_blas_thread

Face = Callable[[], Array]  # one of them, with all that it needs
# What is still to be done, in place, to each finished block of y, while it is in the cache: (..., F)
Finish = Callable[[Array], Any]

TOO_LITTLE = 500_000  # nanoseconds, for another thread to be woken up for
SIDE_BY_SIDE = 3_000_000  # nanoseconds of a face on one core; from here on two threads share out each of them


def correlate(x: Array, w: Array, window: Window, op: str = "convolution", finish: Finish | None = None) -> Array:
    """x (N, C, *size), w (F, C/groups, *kernel) -> y (N, F, *out).

    `finish` gets blocks of y with the channels last, (..., F), every position once, and may change them in place.
    """
    out = output_size(op, x.shape[2:], w.shape[2:], window)
    problem = Problem.of(x.shape[0], x.shape[2:], out, w, window)
    with one_blas_thread():
        return algorithm_for("correlate", problem).correlate(x, w, window, out, finish)


def correlate_transposed(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """dy (N, F, *out), w (F, C/groups, *kernel) -> dx (N, C, *size), for the input size that the convolution was given."""
    _need_positions(dy, size, w.shape[2:], window)
    problem = Problem.of(dy.shape[0], size, dy.shape[2:], w, window)
    with one_blas_thread():
        return algorithm_for("correlate_transposed", problem).correlate_transposed(dy, w, size, window)


def correlate_kernel(x: Array, dy: Array, kernel: Sequence[int], window: Window) -> Array:
    """x (N, C, *size), dy (N, F, *out) -> dw (F, C/groups, *kernel)."""
    _need_positions(dy, x.shape[2:], kernel, window)
    problem = Problem(
        x.shape[0], x.shape[1], dy.shape[1], x.shape[2:], dy.shape[2:], tuple(kernel), window, x.dtype, type(x) is np.ndarray
    )
    with one_blas_thread():
        return algorithm_for("correlate_kernel", problem).correlate_kernel(x, dy, kernel, window)


def _need_positions(dy: Array, size: Sequence[int], kernel: Sequence[int], window: Window) -> None:
    out = output_size("convolution", size, kernel, window)
    if dy.shape[2:] != out:
        raise ValueError(
            f"convolution: the gradient (N, F, *out) = {dy.shape} and the input's size {tuple(size)} do not fit: with a "
            f"kernel of {tuple(kernel)} such an input has {out} positions"
        )


def gradients(
    x: Array | None, dy: Array, w: Array, size: Sequence[int], window: Window, need_x: bool = True
) -> Sequence[Array | None]:
    """(dx, dw) of y = correlate(x, w), from dy (N, F, *out): the other two faces. Without x (N, C, *size), dw is not needed."""
    if x is not None and need_x:
        algorithm = _of_both(("correlate_transposed", "correlate_kernel"), dy, w, size, window)
        if algorithm is not None and algorithm.shares_windows(dy, w, size, window):
            with one_blas_thread():
                return algorithm.gradients(x, dy, w, window)
    return side_by_side(
        (lambda: correlate_transposed(dy, w, size, window)) if need_x else None,
        (lambda: correlate_kernel(x, dy, w.shape[2:], window)) if x is not None else None,
        dy.size // dy.shape[1],
        w,
        window.groups,
    )


def gradients_of_transposed(
    x: Array | None, dy: Array, w: Array, out: Sequence[int], window: Window, need_x: bool = True
) -> Sequence[Array | None]:
    """(dx, dw) of y = correlate_transposed(x, w), from dy (N, C, *size). Without x (N, F, *out), dw is not needed."""
    if x is not None and need_x:
        algorithm = _of_both(("correlate", "correlate_kernel"), x, w, dy.shape[2:], window)
        if algorithm is not None and algorithm.shares_windows_of_transposed(x, w, window):
            with one_blas_thread():
                return algorithm.gradients_of_transposed(x, dy, w, window)
    return side_by_side(
        (lambda: correlate(dy, w, window)) if need_x else None,
        (lambda: correlate_kernel(dy, x, w.shape[2:], window)) if x is not None else None,
        dy.shape[0] * math.prod(out),
        w,
        window.groups,
    )


def _of_both(faces: Sequence[str], y: Array, w: Array, size: Sequence[int], window: Window) -> Any:
    """The algorithm that computes both faces, if it is one and the same and can do them together; y is (N, F, *out)."""
    _need_positions(y, size, w.shape[2:], window)
    problem = Problem.of(y.shape[0], size, y.shape[2:], w, window)
    first, second = (algorithm_for(face, problem) for face in faces)
    return first if first is second and hasattr(first, "gradients") else None


def side_by_side(first: Face | None, second: Face | None, positions: int, w: Array, groups: int) -> list[Array | None]:
    """The results of two faces that do not need each other's, for a window at so many positions; None for one that is None.

    Where there is little to do, each is left to one thread: to wake another thread up and to wait for it takes as long as a small
    product, and so it is done once, not twice. Else each is shared out over all threads, which then end at the same time.
    """
    found: list[Array | None] = [None, None]
    faces = [(place, face) for place, face in enumerate((first, second)) if face is not None]

    def compute(job: tuple[int, Face]) -> None:
        place, face = job
        found[place] = face()

    # nanoseconds for each face: products, and windows to copy
    on_one_core = positions * w.size * (0.022 + 0.1 * groups / w.shape[0])
    if type(w) is np.ndarray and TOO_LITTLE < on_one_core < SIDE_BY_SIDE * 4 / get_num_threads() ** 2:
        for_each(compute, faces[::-1])  # the caller begins first, and the gradient to the weight takes longer
    else:
        for job in faces:
            compute(job)
    return found


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
