"""Convolution by shifted matrix products: one product for each kernel position, on views of the image. No window is copied.

Lay a padded channels-last image out as a matrix f, a row of C channels for each of its H W pixels. The pixel that kernel position
(u, v) meets lies a fixed number of rows further on, at every pixel the same: shift = u W + v. So the whole convolution is

    y[r] = sum over u, v of f[r + shift(u, v)] @ w[u, v]        f[shift:] is a view, w[u, v] a (C, F) matrix

(the low-memory GEMM of Anderson, Vasudevan, Keane & Gregg 2017). At the end of each image row a window reaches into the next one;
these few columns are computed for nothing and cropped.

Rows are worked off in blocks, so that the running sum stays in the cache. The input gradient is such a sum too, over dy and the
transposed w[u, v], with the shifts counted backwards; the weight gradient is dw[u, v] = f[shift:].T @ dy, with zeros in dy where
forward crops.

A stride s cuts the image into s x s phases first, the pixels that are equal modulo s: each window position meets one phase only,
with shifts of its own ("polyphase"). Dilation only makes the shifts larger.

An infinity or a NaN in x reaches all of dw, because what forward crops is multiplied by 0 here, and 0 * inf is NaN.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minivision.backend import Array
from minivision.functions.convolution.choice import Problem
from minivision.functions.convolution.faces import Finish
from minivision.functions.convolution.geometry import Window
from minivision.functions.layout import channels_first, channels_last, copy_across
from minivision.memory import empty, scratch
from minivision.threads import for_each, spans

BLOCK = 3 << 16  # elements of a block's input, product and running sum: 768 KB of float32
DEPTHWISE_BLOCK = 4 * BLOCK  # where there is no matrix product, threads need more work between two steps of Python
FEW_ROWS, MANY_ROWS = 256, 2048  # of a matrix product: with fewer, BLAS spends its time on arranging the weights

LONG_LOOP = 1024  # elements, beside which the start of one of NumPy's inner loops costs nothing


def applies(problem: Problem) -> bool:
    return problem.on_cpu


def correlate(x: Array, w: Array, window: Window, out: Sequence[int], finish: Finish | None = None) -> Array:
    """x (N, C, *size), w (F, C/groups, *kernel) -> y (N, F, *out)."""
    y = empty((x.shape[0], *out, w.shape[0]), np.result_type(x, w))
    taps, grid = _taps(w.shape[2:], window), _grid(w.shape[2:], window, out)
    phases = _phases(x, window, taps, grid)
    weights = _matrices(w, window.groups)
    terms = [Term(phases[tap.phase], _flat(tap.shift, grid), weights[tap.number]) for tap in taps]
    _sum_into(y, terms, grid, finish)
    return channels_first(y)


def correlate_transposed(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """dy (N, F, *out), w (F, C/groups, *kernel) -> dx (N, C, *size).

    Tap k carries dy[o] to x[s o + d k - p]. With d k = s q + r, position g of phase r, s g + r - p of x, gets w[k] dy[g - q].
    """
    dx = empty((dy.shape[0], *size, w.shape[1] * window.groups), np.result_type(dy, w))
    taps = _taps(w.shape[2:], window)
    weights = _matrices(w, window.groups).swapaxes(2, 3)
    # per axis and phase: the first of its positions in x, and the g that it has
    firsts = [[(r - a) % s for r in range(s)] for s, (a, _) in zip(window.stride, window.padding, strict=True)]
    starts = [
        [(i - r + a) // s for r, i in enumerate(first)]
        for first, s, (a, _) in zip(firsts, window.stride, window.padding, strict=True)
    ]
    # dy with zeros around it, so far that every g - q lies within
    lengths = [[len(range(i, n, s)) for i in first] for first, n, s in zip(firsts, size, window.stride, strict=True)]
    reach = [max(d * (k - 1) // s, 0) for k, s, d in zip(w.shape[2:], window.stride, window.dilation, strict=True)]
    low = [min(start) - q for start, q in zip(starts, reach, strict=True)]
    grid = [max(map(sum, zip(start, m, strict=True))) - at for start, m, at in zip(starts, lengths, low, strict=True)]
    around = _spread(channels_last(dy), low, (1,) * len(grid), grid)

    for phase in itertools.product(*map(range, window.stride)):
        part = dx[(slice(None), *(slice(i[r], None, s) for i, r, s in zip(firsts, phase, window.stride, strict=True)))]
        terms = [
            Term(around, _flat([g[r] - q - at for g, r, q, at in zip(starts, phase, tap.shift, low, strict=True)], grid),
                 weights[tap.number])
            for tap in taps if tap.phase == phase
        ]  # fmt: skip
        if terms:
            _sum_into(part, terms, grid)
        else:
            part[...] = 0  # no tap reaches this phase
    return channels_first(dx)


def correlate_kernel(x: Array, dy: Array, kernel: Sequence[int], window: Window) -> Array:
    """x (N, C, *size), dy (N, F, *out) -> dw (F, C/groups, *kernel)."""
    channels, filters, groups, dtype = x.shape[1], dy.shape[1], window.groups, np.result_type(x, dy)
    taps, grid = _taps(kernel, window), _grid(kernel, window, dy.shape[2:])
    phases = _phases(x, window, taps, grid)
    upstream = _spread(channels_last(dy), (0,) * len(grid), (1,) * len(grid), grid)
    shifts = [_flat(tap.shift, grid) for tap in taps]
    rows = max(upstream.shape[0] - max(shifts), 0)  # after the last window there are only zeros

    step = DEPTHWISE_BLOCK // (3 * channels) + 1 if channels == filters == groups else MANY_ROWS
    # each has sums of its own, which are added at the end
    shares = spans(rows, rows) if rows > step else [slice(0, rows)]
    sums = np.zeros((len(shares), len(taps), groups, channels // groups, filters // groups), dtype)

    def add_up(share: int) -> None:
        part = shares[share]
        for start in range(part.start, part.stop, step):
            stop = min(start + step, part.stop)
            for total, tap, shift in zip(sums[share], taps, shifts, strict=True):
                _add_outer(total, phases[tap.phase][start + shift : stop + shift], upstream[start:stop])

    for_each(add_up, range(len(shares)))
    # (K, g, C/g, F/g) -> (g, F/g, C/g, K)
    dw = sums.sum(axis=0).transpose(1, 3, 2, 0)
    return np.ascontiguousarray(dw).reshape(filters, channels // groups, *kernel)


# ---- kernel positions, phases, the grid of rows ----


class Tap(NamedTuple):
    """A kernel position: s g + d k = s (g + shift) + phase, so it meets the phase `shift` further on."""

    number: int
    phase: tuple[int, ...]
    shift: tuple[int, ...]


class Term(NamedTuple):
    """One product of the sum: `rows[shift + r] @ weight`, for all rows r."""

    rows: Array  # (N prod(grid), C)
    shift: int
    weight: Array  # (groups, C/g, F/g)


def _taps(kernel: Sequence[int], window: Window) -> list[Tap]:
    taps = []
    for number, tap in enumerate(itertools.product(*map(range, kernel))):
        pairs = [divmod(d * k, s) for k, s, d in zip(tap, window.stride, window.dilation, strict=True)]
        taps.append(Tap(number, tuple(r for _, r in pairs), tuple(q for q, _ in pairs)))
    return taps


def _grid(kernel: Sequence[int], window: Window, out: Sequence[int]) -> list[int]:
    """The positions of each phase that windows can meet."""
    return [o + d * (k - 1) // s for o, k, s, d in zip(out, kernel, window.stride, window.dilation, strict=True)]


def _flat(shift: Sequence[int], grid: Sequence[int]) -> int:
    """How many rows further on: (u, v) -> u W + v."""
    total = 0
    for step, length in zip(shift, grid, strict=True):
        total = total * length + step
    return total


def _phases(x: Array, window: Window, taps: Sequence[Tap], grid: Sequence[int]) -> dict[tuple[int, ...], Array]:
    """Each phase that is met, as a matrix of rows."""
    return {
        phase: _spread(
            channels_last(x), [r - a for r, (a, _) in zip(phase, window.padding, strict=True)], window.stride, grid
        )
        for phase in {tap.phase for tap in taps}
    }  # fmt: skip


def _spread(x: Array, start: Sequence[int], stride: Sequence[int], grid: Sequence[int]) -> Array:
    """x (N, *size, C) at start, start + stride, ... along each axis, zero outside of x, as a matrix (N prod(grid), C) of rows.

    A view where that is x as it lies in memory, else the only copy that is made of x.
    """
    inside, source = [], []
    for n, first, step, length in zip(x.shape[1:-1], start, stride, grid, strict=True):
        low = min(max(0, -(first // step)), length)  # the first and the last g with 0 <= first + step g < n
        high = max(low, min(length, (n - first + step - 1) // step))
        inside.append(slice(low, high))
        source.append(slice(first + step * low, max(first + step * high, 0), step) if high > low else slice(0, 0))
    part = x[(slice(None), *source)]
    if part.shape[1:-1] == tuple(grid) and part.flags.c_contiguous:
        return part.reshape(math.prod(part.shape[:-1]), x.shape[-1])
    spread = empty((x.shape[0], *grid, x.shape[-1]), x.dtype)
    whole = (slice(None),)
    for axis, (middle, length) in enumerate(zip(inside, grid, strict=True)):
        for margin in (slice(0, middle.start), slice(middle.stop, length)):
            spread[(*whole, *inside[:axis], margin)] = 0
    target = spread[(*whole, *inside)]
    if part.size > BLOCK:
        jobs = [(n, lines) for n in range(x.shape[0]) for lines in spans(part.shape[1], 1 + BLOCK // part[0, 0].size)]
        for_each(lambda job: copy_across(target[job], part[job]), jobs)
    else:
        target[...] = part
    return spread.reshape(-1, x.shape[-1]) if spread.size else spread.reshape(0, x.shape[-1])


def _matrices(w: Array, groups: int) -> Array:
    """w (F, C/g, *kernel) -> (K, g, C/g, F/g): a matrix for each kernel position and group."""
    filters, channels, *kernel = w.shape
    grouped = w.reshape(groups, filters // groups, channels, math.prod(kernel))
    return np.ascontiguousarray(grouped.transpose(3, 0, 2, 1))


# ---- the sums ----


def _sum_into(y: Array, terms: Sequence[Term], grid: Sequence[int], finish: Finish | None = None) -> None:
    """Fill y (N, *out, F), any view of memory: in row r of the grid, the sum over the terms of rows[r + shift] @ weight."""
    filters, (height, *rest) = y.shape[-1], y.shape[1:-1]
    line, image = math.prod(grid[1:]), math.prod(grid)  # rows of f for each step along the first axis, and for each image
    last = _flat([0, *(n - 1 for n in rest)], grid) + 1  # of them, as far as the last that is wanted
    in_place = y.flags.c_contiguous and (height, *rest) == tuple(grid)  # nothing to crop: products go to their place

    def fill(block: tuple[slice, slice]) -> None:
        images, lines = block
        count = (images.stop - images.start - 1) * image + (lines.stop - lines.start - 1) * line + last
        first = images.start * image + lines.start * line
        target = y[block]
        if in_place:
            total = target.reshape(-1, filters)
        else:
            whole = image if images.stop - images.start > 1 else (lines.stop - lines.start) * line
            total = scratch("shifted sum", ((images.stop - images.start) * whole, filters), y.dtype)
        product = scratch("shifted product", (count, filters), y.dtype)
        for number, term in enumerate(terms):
            rows = term.rows[first + term.shift : first + term.shift + count]
            _multiply(rows, term.weight, product if number else total[:count])
            if number:
                total[:count] += product
        if not in_place:
            cropped = total.reshape(images.stop - images.start, -1, *grid[1:], filters)
            target[...] = cropped[(slice(None), *(slice(n) for n in target.shape[1:-1]))]
        if finish is not None:
            finish(target)

    channels = terms[0].rows.shape[1]
    block = BLOCK
    if terms[0].weight.shape[1:] == (1, 1):
        block, several = DEPTHWISE_BLOCK, 1 + LONG_LOOP // channels
        terms = [term._replace(weight=np.tile(term.weight, (several, 1, 1))) for term in terms]
    for_each(fill, list(_blocks(y.shape, max(FEW_ROWS, block // (channels + 2 * filters)), line, image)))


def _blocks(shape: Sequence[int], rows: int, line: int, image: int) -> Iterator[tuple[slice, slice]]:
    """y (N, *out, F) in blocks of about so many rows: several images, or lines of one."""
    images, height = shape[:2]
    if not math.prod(shape):
        return
    if images * image <= rows:  # too little to share out
        yield slice(0, images), slice(0, height)
    elif image <= rows:
        yield from ((part, slice(0, height)) for part in spans(images, rows // image))
    else:
        lines = spans(height, max(1, rows // line))
        yield from ((slice(n, n + 1), part) for n in range(images) for part in lines)


def _multiply(rows: Array, weight: Array, out: Array) -> None:
    """rows (r, C) times weight (g, C/g, F/g), group by group -> out (r, F)."""
    groups, c, f = weight.shape
    if c == f == 1:  # depthwise: the matrix of all groups is diagonal, and repeated for several rows that are scaled at once
        diagonal, flat, result = weight.reshape(-1), rows.reshape(-1), out.reshape(-1)
        end = flat.size // groups * groups
        np.multiply(flat[:end].reshape(-1, groups), diagonal, out=result[:end].reshape(-1, groups))
        np.multiply(flat[end:], diagonal[: flat.size - end], out=result[end:])
        return
    for g in range(groups):
        np.matmul(rows[:, g * c : (g + 1) * c], weight[g], out=out[:, g * f : (g + 1) * f])


def _add_outer(total: Array, rows: Array, upstream: Array) -> None:
    """total (g, C/g, F/g) += rows (r, C).T @ upstream (r, F), group by group."""
    groups, c, f = total.shape
    if c == f == 1:
        product = np.multiply(rows, upstream, out=scratch("shifted product", rows.shape, total.dtype))
        total.reshape(groups)[...] += np.ones(len(rows), total.dtype) @ product
        return
    for g in range(groups):
        total[g] += rows[:, g * c : (g + 1) * c].T @ upstream[:, g * f : (g + 1) * f]
