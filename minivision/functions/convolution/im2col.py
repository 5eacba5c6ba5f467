"""Convolution by im2col: every window of the input becomes a row of a matrix, and the convolution one matrix product.

Windows are copied as rows on channels-last memory (Chellapilla et al. 2006), and the sum over channels and kernel positions is
one matrix product per block of rows. A block is small enough to stay in the cache.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minivision.backend import Array, xp_of
from minivision.functions.convolution.choice import Problem
from minivision.functions.convolution.faces import Finish, tap_slices, window_rows
from minivision.functions.convolution.geometry import Window, span
from minivision.functions.layout import channels_first, channels_last, padded

CPU_BLOCK = 1 << 20  # elements of the window matrix at a time: 4 MB of float32, about a core's share of the cache
GPU_BLOCK = 1 << 26


def applies(problem: Problem) -> bool:
    return True


def correlate(x: Array, w: Array, window: Window, out: Sequence[int], finish: Finish | None = None) -> Array:
    """x (N, C, *size), w (F, C/groups, *kernel) -> y (N, F, *out)."""
    xp = xp_of(x, w)
    out_channels, kernel, groups = w.shape[0], w.shape[2:], window.groups
    rows = window_rows(padded(channels_last(x), window.padding), kernel, window, out)  # (N, *out, *kernel, C)
    w_rows = _kernel_matrix(w, groups)  # (groups, K C/g, F/g)

    y = xp.empty((x.shape[0], *out, out_channels), xp.result_type(x, w))
    for block in _blocks(rows.shape, len(out), xp):
        columns, target = rows[block], y[block]
        for group, (c, f) in enumerate(_groups(x.shape[1], out_channels, groups)):
            # (positions, K C/g) @ (K C/g, F/g) -> (positions, F/g)
            product = _as_matrix(columns[..., c], len(out)) @ w_rows[group]
            target[..., f] = product.reshape(*target.shape[:-1], -1)
        if finish is not None:
            finish(target)
    return channels_first(y)


def correlate_transposed(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """dy (N, F, *out), w (F, C/groups, *kernel) -> dx (N, C, *size), for the input size that the convolution was given."""
    if all(s == 1 for s in window.stride):
        return _as_full_correlation(dy, w, size, window)
    xp = xp_of(dy, w)
    out_channels, kernel, out, groups = w.shape[0], w.shape[2:], dy.shape[2:], window.groups
    channels = w.shape[1] * groups
    w_rows = _kernel_matrix(w, groups)

    # every dy stamps its kernel, scaled, onto the positions its window covered; overlapping stamps add up
    dy_last = channels_last(dy)
    full = [n + a + max(b, 0) for n, (a, b) in zip(size, window.padding, strict=True)]
    stamped = xp.zeros((dy.shape[0], *full, channels), xp.result_type(dy, w))
    for group, (c, f) in enumerate(_groups(channels, out_channels, groups)):
        per_image = int(np.prod(out)) * w_rows.shape[1]
        step = max(1, (_block_elements(xp) * 4) // max(per_image, 1))
        for start in range(0, dy.shape[0], step):
            images = slice(start, start + step)
            part = dy_last[images, ..., f]
            # (positions, F/g) @ (F/g, K C/g) -> (positions, K C/g)
            stamps = part.reshape(-1, part.shape[-1]) @ w_rows[group].T
            stamps = stamps.reshape(*part.shape[:-1], -1, w.shape[1])
            for index, tap in enumerate(itertools.product(*map(range, kernel))):
                stamped[(images, *tap_slices(tap, out, window), c)] += stamps[..., index, :]
    middle = tuple(slice(a, a + n) for n, (a, _) in zip(size, window.padding, strict=True))
    return channels_first(stamped[(slice(None), *middle)])


def correlate_kernel(x: Array, dy: Array, kernel: Sequence[int], window: Window) -> Array:
    """x (N, C, *size), dy (N, F, *out) -> dw (F, C/groups, *kernel)."""
    xp = xp_of(x, dy)
    channels, out_channels, out, groups = x.shape[1], dy.shape[1], dy.shape[2:], window.groups
    rows = window_rows(padded(channels_last(x), window.padding), kernel, window, out)
    dy_last = channels_last(dy)
    taps = int(np.prod(kernel))

    dw = xp.zeros((groups, taps * (channels // groups), out_channels // groups), xp.result_type(x, dy))
    for block in _blocks(rows.shape, len(out), xp):
        columns, upstream = rows[block], dy_last[block]
        for group, (c, f) in enumerate(_groups(channels, out_channels, groups)):
            # (K C/g, positions) @ (positions, F/g) -> (K C/g, F/g)
            part = upstream[..., f]
            dw[group] += _as_matrix(columns[..., c], len(out)).T @ part.reshape(-1, part.shape[-1])
    # (g, K, C/g, F/g) -> (g, F/g, C/g, K) -> (F, C/g, *kernel)
    dw = dw.reshape(groups, taps, channels // groups, out_channels // groups).transpose(0, 3, 2, 1)
    return xp.ascontiguousarray(dw).reshape(out_channels, channels // groups, *kernel)


def _as_full_correlation(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """With stride 1 the second face is the first one again: dy padded, the kernel flipped, in- and out-channels swapped."""
    groups, kernel = window.groups, w.shape[2:]
    flipped = w[(slice(None), slice(None), *(slice(None, None, -1) for _ in kernel))]
    # (F, C/g, *k) -> (g, F/g, C/g, *k) -> (g, C/g, F/g, *k) -> (C, F/g, *k)
    grouped = flipped.reshape(groups, w.shape[0] // groups, w.shape[1], *kernel).swapaxes(1, 2)
    swapped = grouped.reshape(groups * w.shape[1], w.shape[0] // groups, *kernel)
    padding = []
    for n, length, k, d, (before, _) in zip(size, dy.shape[2:], kernel, window.dilation, window.padding, strict=True):
        first = span(k, d) - 1 - before
        padding.append((first, n - length - first + span(k, d) - 1))  # so that exactly n positions come out
    return correlate(dy, swapped, window._replace(padding=tuple(padding)), size)


def _kernel_matrix(w: Array, groups: int) -> Array:
    """w (F, C/g, *kernel) -> (g, K C/g, F/g): row (k, c), column f, in the order of the window rows."""
    xp = xp_of(w)
    grouped = w.reshape(groups, w.shape[0] // groups, w.shape[1], -1).transpose(0, 3, 2, 1)
    return xp.ascontiguousarray(grouped).reshape(groups, -1, w.shape[0] // groups)


def _groups(channels: int, out_channels: int, groups: int) -> Iterator[tuple[slice, slice]]:
    """For each group, its slice of the input channels and its slice of the output channels."""
    c, f = channels // groups, out_channels // groups
    return ((slice(g * c, (g + 1) * c), slice(g * f, (g + 1) * f)) for g in range(groups))


def _as_matrix(windows: Array, spatial: int) -> Array:
    """(*positions, *kernel, C) -> (positions, K C); this is where the windows are copied."""
    positions = int(np.prod(windows.shape[: windows.ndim - spatial - 1]))
    return windows.reshape(positions, int(np.prod(windows.shape[windows.ndim - spatial - 1 :])))


def _blocks(shape: Sequence[int], spatial: int, xp: Any) -> Iterator[tuple[Any, ...]]:
    """Indices over (N, first spatial axis) that cut window rows (N, *out, *kernel, C) into blocks of bounded size."""
    images, height = shape[0], shape[1]
    per_row = int(np.prod(shape[2:]))
    rows = max(1, _block_elements(xp) // max(per_row, 1))
    if rows >= height:
        step = max(1, rows // max(height, 1))
        for start in range(0, images, step):
            yield (slice(start, start + step),)
        return
    for image in range(images):
        for top in range(0, height, rows):
            yield (slice(image, image + 1), slice(top, top + rows))


def _block_elements(xp: Any) -> int:
    return CPU_BLOCK if xp is np else GPU_BLOCK
