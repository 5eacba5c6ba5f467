"""Convolution by im2col: every window becomes a row of a matrix, and the convolution one matrix product.

    y[o, f] = sum_q columns[o, q] w[f, q]        q counts the kernel positions and channels of a window

(Chellapilla, Puri & Simard 2006.) A 3x3 window matrix holds every input value nine times, so it is never made as a whole: a block
of output rows at a time is copied into a workspace that stays in a core's cache, and multiplied at once. Blocks are shared out
over threads.

A window is gathered in one of two orders, whichever copies the longer runs of memory:

    rows    (positions, *kernel, C): runs of kw C values, from channels-last memory
    planes  (C, *kernel, positions): runs of W values, from memory in which each channel is a plane; for images of few channels,
            and where there is much more weight, whose own order (F, C, *kernel) this is, than image

BLAS multiplies a matrix just as well when it lies transposed, so both give channels-last outputs.

The gradient to x is a convolution of dy with the flipped kernel. With a stride s it falls into s x s of them, one for every phase
of x: positions that are equal modulo s meet the same kernel positions, every s-th. Nothing is multiplied by inserted zeros.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minivision.backend import Array, xp_of
from minivision.functions.convolution.choice import Problem
from minivision.functions.convolution.faces import Finish, tap_slices
from minivision.functions.convolution.geometry import Window, span
from minivision.functions.convolution.products import AT_ONCE, pieces
from minivision.functions.layout import channels_first, channels_last, copy_across, joined, lies_in_planes
from minivision.memory import empty, scratch
from minivision.threads import for_each, get_num_threads, spans

CPU_BLOCK = 1 << 20  # elements at a time of the window matrix and what it is multiplied to: 4 MB of float32
GPU_BLOCK = 1 << 26
FEW_POSITIONS = 384  # a block has at least so many rows where there is much weight, which BLAS has to arrange for each block
NOT_SHARED_OUT = 1 << 16  # elements of a window matrix that is done before a second thread has woken up
MOST_STAMPED = 1024  # columns of the weight, at a time
MANY_FILTERS = 256  # from here on BLAS is as quick at a product whose long side is the other one
FEWEST_ROWS = 32  # that are worth a product of their own
FEW_CHANNELS = 12  # rows of kw C values are then shorter than those of most images


def applies(problem: Problem) -> bool:
    return True


def correlate(x: Array, w: Array, window: Window, out: Sequence[int], finish: Finish | None = None) -> Array:
    """x (N, C, *size), w (F, C/groups, *kernel) -> y (N, F, *out)."""
    xp = xp_of(x, w)
    y = empty((x.shape[0], *out, w.shape[0]), xp.result_type(x, w), xp)
    _correlate_into(y, x, w, window, finish)
    return channels_first(y)


def correlate_transposed(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """dy (N, F, *out), w (F, C/groups, *kernel) -> dx (N, C, *size)."""
    if _stamps_pay(dy, w, window):
        return _stamped(dy, w, size, window)
    xp = xp_of(dy, w)
    dx = empty((dy.shape[0], *size, w.shape[1] * window.groups), xp.result_type(dy, w), xp)
    swapped = _swapped(w, window.groups)
    axes = zip(size, w.shape[2:], window.stride, window.padding, window.dilation, strict=True)
    for phases in itertools.product(*(list(_phases(n, k, s, before, d)) for n, k, s, (before, _), d in axes)):
        part = dx[(slice(None), *(p.positions for p in phases))]
        if any(p.taps is None for p in phases):
            part[...] = 0  # no window reaches these positions
            continue
        kernel = swapped[(slice(None), slice(None), *(p.taps for p in phases))]
        shifts = tuple((p.before, 0) for p in phases)
        _correlate_into(part, dy, kernel, Window((1,) * len(size), shifts, tuple(p.dilation for p in phases), window.groups))
    return channels_first(dx)


def _stamps_pay(dy: Array, w: Array, window: Window) -> bool:
    """Whether stamping is cheaper than gathering windows of dy and turning the kernels around; in nanoseconds an element.

    So for images of few channels, whose gradient would be gathered from windows of many filters, and for weights that are much
    more than the image.
    """
    filters, channels, positions = w.shape[0], w.shape[1] * window.groups, dy.size // max(dy.shape[1], 1)
    gathered = filters * w.shape[1] + 0.2 * positions * filters
    return math.prod(w.shape[2:]) > 1 and gathered > 2 * positions * channels and all(a >= 0 for a, _ in window.padding)


def _stamped(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """`correlate_transposed` the other way round: every dy stamps its kernels onto the positions its window saw.

    Stamps overlap, and are added up; a thread works on channels that no other writes to.
    """
    xp = xp_of(dy, w)
    kernel, out, channels, filters = w.shape[2:], dy.shape[2:], w.shape[1], w.shape[0] // window.groups
    dx = empty((dy.shape[0], channels * window.groups, *size), xp.result_type(dy, w), xp)
    reach = [
        max(before + n, (o - 1) * s + span(k, d))
        for n, o, k, s, (before, _), d in zip(size, out, kernel, window.stride, window.padding, window.dilation, strict=True)
    ]
    kept = tuple(slice(before, before + n) for n, (before, _) in zip(size, window.padding, strict=True))
    taps = list(itertools.product(*map(range, kernel)))
    block = CPU_BLOCK if xp is np else GPU_BLOCK
    rows = max(1, min(out[0], block // (len(taps) * math.prod(out[1:]))))
    together = max(1, min(channels, block // (len(taps) * rows * math.prod(out[1:])), MOST_STAMPED // len(taps)))

    def stamp(job: tuple[int, int, slice]) -> None:
        image, group, c = job
        f = slice(group * filters, (group + 1) * filters)
        kernels = w[f, c].reshape(filters, -1).T  # (c K, F/g)
        planes = _workspace("planes", (c.stop - c.start, *reach), dx.dtype, xp)
        planes[...] = 0
        for top in range(0, out[0], rows):
            part = channels_last(dy[image : image + 1, f, top : top + rows])
            # (c K, F/g) @ (F/g, positions) -> (c K, positions)
            stamps = _workspace("stamps", (kernels.shape[0], part.size // filters), dx.dtype, xp)
            xp.matmul(kernels, _as_matrix(part).T, out=stamps)
            by_tap = stamps.reshape(len(planes), len(taps), *part.shape[1:-1])
            below = planes[:, top * window.stride[0] :]
            for number, tap in enumerate(taps):
                below[(slice(None), *tap_slices(tap, part.shape[1:-1], window))] += by_tap[:, number]
        dx[image, group * channels + c.start : group * channels + c.stop] = planes[(slice(None), *kept)]

    jobs = itertools.product(range(dy.shape[0]), range(window.groups), pieces(channels, together))
    _share_out(stamp, list(jobs), on_cpu=xp is np)
    return dx


def correlate_kernel(x: Array, dy: Array, kernel: Sequence[int], window: Window) -> Array:
    """x (N, C, *size), dy (N, F, *out) -> dw (F, C/groups, *kernel)."""
    xp = xp_of(x, dy)
    filters, dtype = dy.shape[1], xp.result_type(x, dy)
    matrix = WindowMatrix(x, (filters, x.shape[1] // window.groups, *kernel), window, dy.shape[2:])
    upstream = channels_last(dy)
    if matrix.is_small_beside_the_weight:
        dw = empty((filters, matrix.width), dtype, xp)
        columns, part = matrix.columns((slice(None),)), _as_matrix(upstream)

        def multiply(f: slice) -> None:
            # (F, positions) @ (positions, K C) -> (F, K C), some F at a time
            xp.matmul(part[:, f].T, columns, out=dw[f])

        _share_out(multiply, spans(filters, filters) if matrix.on_cpu else [slice(0, filters)], matrix.on_cpu)
        return matrix.as_kernel(dw)
    blocks = matrix.blocks()
    # Each share of the blocks has a sum of its own, and the sums are added at the end. A sum (K C/g, F) is what BLAS is quick
    # at; with many filters it is as quick at the order of the weights, which then need not be turned around.
    shares = spans(len(blocks), len(blocks)) if matrix.on_cpu else [slice(0, len(blocks))]
    upright = filters >= MANY_FILTERS
    sums = xp.zeros((len(shares), *((filters, matrix.width) if upright else (matrix.width, filters))), dtype)

    def add_up(share: int) -> None:
        for block in blocks[shares[share]]:
            part = _as_matrix(upstream[block])  # (positions, F)
            for group, (_, f) in enumerate(matrix.groups()):
                columns, dy_part = matrix.columns(block, group), part[:, f]
                if upright:
                    # (F/g, positions) @ (positions, K C/g) -> (F/g, K C/g)
                    sums[share, f] += xp.matmul(dy_part.T, columns, out=_workspace("product", sums[share, f].shape, dtype, xp))
                else:
                    # (K C/g, positions) @ (positions, F/g) -> (K C/g, F/g)
                    _add_product(sums[share, :, f], columns.T, dy_part)

    _share_out(add_up, range(len(shares)), matrix.on_cpu)
    total = sums.sum(axis=0) if len(shares) != 1 else sums[0]
    return matrix.as_kernel(total if upright else total.T)


def _correlate_into(y: Array, x: Array, w: Array, window: Window, finish: Finish | None = None) -> None:
    """Fill y (N, *out, F), any view of memory, with the convolution of x (N, C, *size) and w."""
    matrix = WindowMatrix(x, w.shape, window, y.shape[1:-1])
    weights = matrix.of_kernel(w).T  # (K C/g, F)
    if weights.size * FEWEST_ROWS <= AT_ONCE:
        weights = matrix.xp.ascontiguousarray(weights)
    whole = window.groups == 1 and y.flags.c_contiguous  # products can be written to their place

    if whole and matrix.is_small_beside_the_weight:
        columns, product = matrix.columns((slice(None),)), y.reshape(-1, y.shape[-1])

        def multiply(f: slice) -> None:
            # (positions, K C) @ (K C, F) -> (positions, F), some F at a time
            matrix.xp.matmul(columns, weights[:, f], out=product[:, f])

        _share_out(multiply, spans(y.shape[-1], y.shape[-1]) if matrix.on_cpu else [slice(0, y.shape[-1])], matrix.on_cpu)
        if finish is not None:
            finish(y)
        return

    def fill(block: tuple[slice, ...]) -> None:
        target = y[block]
        for group, (_, f) in enumerate(matrix.groups()):
            # (positions, K C/g) @ (K C/g, F/g) -> (positions, F/g)
            columns = matrix.columns(block, group)
            if whole:
                _multiply(columns, weights, target.reshape(-1, y.shape[-1]))
            else:
                product = _workspace("product", (columns.shape[0], f.stop - f.start), y.dtype, matrix.xp)
                _multiply(columns, weights[:, f], product)
                target[..., f] = product.reshape(*target.shape[:-1], -1)
        if finish is not None:
            finish(target)

    _share_out(fill, matrix.blocks(), matrix.on_cpu)


class WindowMatrix:
    """The windows of x (N, C, *size) as rows of a matrix (N *out, K C/g), for each group of channels, made block by block."""

    def __init__(self, x: Array, kernel_shape: Sequence[int], window: Window, out: Sequence[int]):
        self.x, self.window, self.out, self.kernel = x, window, tuple(out), tuple(kernel_shape[2:])
        self.filters, self.channels = kernel_shape[:2]  # of all groups, of one
        self.width = self.channels * math.prod(self.kernel)
        self.xp = xp_of(x)
        self.on_cpu = self.xp is np
        self.pointwise = all(k == s == 1 for k, s in zip(self.kernel, window.stride, strict=True))
        positions = x.shape[0] * math.prod(out)
        # then its one block is shared out by filters, so that each thread reads a part of the weight only
        self.is_small_beside_the_weight = 0 < positions <= self.filters and window.groups == 1
        self.in_planes = self.channels <= FEW_CHANNELS or (
            all(s == 1 for s in window.stride) and (lies_in_planes(x) or self.is_small_beside_the_weight)
        )
        # of the axes (F, C/g, *kernel) of a weight, the order in which it meets the columns
        taps = range(2, x.ndim)
        self.order = (0, 1, *taps) if self.in_planes else (0, *taps, 1)

    def blocks(self) -> list[tuple[slice, ...]]:
        """Slices of (N, first spatial axis) that cut the rows of the matrix into blocks of bounded size."""
        images, height, per_row = self.x.shape[0], self.out[0], math.prod(self.out[1:])
        if not images:
            return []
        fewest = FEW_POSITIONS if self.width * self.filters > CPU_BLOCK else 1
        positions = max((CPU_BLOCK if self.on_cpu else GPU_BLOCK) // (self.width + self.filters), fewest)
        threads = get_num_threads() if self.on_cpu and images * height * per_row * self.width >= NOT_SHARED_OUT else 1
        if positions >= height * per_row:
            images_at_once = min(positions // (height * per_row), -(-images // threads))
            if images >= threads:
                return [(part,) for part in pieces(images, images_at_once)]
        # a multiple of the number of threads, so that each has as much to do
        parts = -(-height // max(1, positions // per_row))
        while parts < height and images * parts % threads:
            parts += 1
        return [(slice(n, n + 1), rows) for n in range(images) for rows in pieces(height, -(-height // parts))]

    def groups(self) -> Iterator[tuple[slice, slice]]:
        """For each group, its slice of the input channels and its slice of the output channels."""
        c, f = self.channels, self.filters // self.window.groups
        return ((slice(g * c, (g + 1) * c), slice(g * f, (g + 1) * f)) for g in range(self.window.groups))

    def columns(self, block: tuple[slice, ...], group: int = 0) -> Array:
        """The rows of one block, (positions, K C/g): in a workspace, or the memory of x itself for 1x1 kernels."""
        x = self.x[block[0], group * self.channels : (group + 1) * self.channels]
        places = [*block[1:], *(slice(0, n) for n in self.out[len(block) - 1 :])]
        out = [place.stop - place.start for place in places]
        starts = [p.start * s - before for p, s, (before, _) in zip(places, self.window.stride, self.window.padding, strict=True)]
        reach = [
            (o - 1) * s + span(k, d)
            for o, s, k, d in zip(out, self.window.stride, self.kernel, self.window.dilation, strict=True)
        ]
        if self.in_planes:
            strip = _region(x.swapaxes(0, 1), 2, starts, reach)  # (C, N, *reach)
            columns = joined(strip, 1, strip.ndim - 1) if self.pointwise else None
            if columns is None:
                c, n, *steps = strip.strides
                shape = (strip.shape[0], *self.kernel, strip.shape[1], *out)
                columns = self._copied(strip, shape, (c, *self._taps(steps), n, *self._moves(steps)))
            return columns.reshape(self.width, -1).T
        strip = _region(channels_last(x), 1, starts, reach)  # (N, *reach, C)
        columns = joined(strip, 0, strip.ndim - 2) if self.pointwise else None
        if columns is None:
            n, *steps, c = strip.strides
            shape = (strip.shape[0], *out, *self.kernel, strip.shape[-1])
            columns = self._copied(strip, shape, (n, *self._moves(steps), *self._taps(steps), c))
        return columns.reshape(-1, self.width)

    def _taps(self, steps: Sequence[int]) -> list[int]:
        return [step * d for step, d in zip(steps, self.window.dilation, strict=True)]

    def _moves(self, steps: Sequence[int]) -> list[int]:
        return [step * s for step, s in zip(steps, self.window.stride, strict=True)]

    def _copied(self, strip: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
        """The windows of a strip, overlapping views until here, in memory of their own."""
        if self.on_cpu and strip.flags.c_contiguous:
            windows = np.ndarray(shape, strip.dtype, strip, 0, strides)  # what as_strided does, in a tenth of the time
        else:
            windows = self.xp.lib.stride_tricks.as_strided(strip, shape, strides)
        columns = _workspace("columns", shape, strip.dtype, self.xp)
        columns[...] = windows
        return columns

    def of_kernel(self, w: Array) -> Array:
        """w (F, C/g, *kernel) -> (F, K C/g), in the order of the columns."""
        return w.transpose(self.order).reshape(self.filters, self.width)

    def as_kernel(self, matrix: Array) -> Array:
        """The inverse of `of_kernel`, in row-major memory."""
        shape = (self.filters, self.channels, *self.kernel)
        ordered = matrix.reshape([shape[axis] for axis in self.order])
        return self.xp.ascontiguousarray(ordered.transpose([self.order.index(axis) for axis in range(len(shape))]))


class _Phase(NamedTuple):
    """The positions of x that are equal modulo the stride, and how dy reaches them."""

    positions: slice
    taps: slice | None  # of the kernel: those that meet these positions, the last first; None where there are none
    dilation: int  # between dy's values at neighbouring taps
    before: int  # how far before dy the first window of this phase begins


def _phases(n: int, kernel: int, stride: int, before: int, dilation: int) -> Iterator[_Phase]:
    """Cut the n positions of one axis of x into phases.

    dx[i] is the sum of w[k] dy[o] over all s o + d k - p = i. For i = s q + a these are the k for which s divides a + p - d k,
    and o = q + (a + p - d k) / s: a convolution over q, with dy's values d / gcd(s, d) apart.
    """
    for a in range(min(stride, n)):
        taps = [k for k in range(kernel) if (a + before - dilation * k) % stride == 0]
        if not taps:
            yield _Phase(slice(a, n, stride), None, 1, 0)
            continue
        step = stride // math.gcd(stride, dilation)  # between one such k and the next
        taps_backwards = slice(taps[-1], None, -step)
        yield _Phase(
            slice(a, n, stride), taps_backwards, dilation * step // stride, -((a + before - dilation * taps[-1]) // stride)
        )


def _swapped(w: Array, groups: int) -> Array:
    """w (F, C/g, *kernel) -> (C, F/g, *kernel): what was output becomes input, in each group."""
    kernel = w.shape[2:]
    # (g, F/g, C/g, *k) -> (g, C/g, F/g, *k)
    grouped = w.reshape(groups, w.shape[0] // groups, w.shape[1], *kernel).swapaxes(1, 2)
    return grouped.reshape(groups * w.shape[1], w.shape[0] // groups, *kernel)


def _region(x: Array, first_axis: int, starts: Sequence[int], lengths: Sequence[int]) -> Array:
    """A part of x along the axes from `first_axis` on, zero where it lies outside x; its last axis is dense in memory.

    A view where nothing has to be added, else a workspace.
    """
    ahead = (slice(None),) * first_axis
    inside = [
        (max(start, 0), min(start + length, n)) for start, length, n in zip(starts, lengths, x.shape[first_axis:], strict=False)
    ]
    part = x[(*ahead, *(slice(a, max(a, b)) for a, b in inside))]
    covered = all(b - a == length for (a, b), length in zip(inside, lengths, strict=True))
    if covered and part.strides[-1] == x.itemsize:
        return part
    shape = (*x.shape[:first_axis], *lengths, *x.shape[first_axis + len(lengths) :])
    strip = _workspace("strip", shape, x.dtype, xp_of(x))
    target = [slice(a - start, max(a, b) - start) for (a, b), start in zip(inside, starts, strict=True)]
    for axis, (t, length) in enumerate(zip(target, lengths, strict=True)):
        for outside in (slice(0, max(t.start, 0)), slice(max(t.stop, 0), length)):
            strip[(*ahead, *(slice(None),) * axis, outside)] = 0
    if part.size:
        copy_across(strip[(*ahead, *target)], part)
    return strip


def _as_matrix(x: Array) -> Array:
    """(N, *out, F) -> (positions, F): a view of channels-last memory, and of the planes of one image; else in a workspace."""
    matrix = joined(x, 0, x.ndim - 2)
    if matrix is None:
        copy = _workspace("upstream", x.shape, x.dtype, xp_of(x))
        copy_across(copy, x)
        matrix = copy.reshape(-1, x.shape[-1])
    return matrix


def _multiply(a: Array, b: Array, result: Array) -> None:
    """result = a @ b, some rows of a at a time."""
    rows = _at_once(a, len(a), b.size)
    whole = len(a) // rows * rows
    # (n, rows, k) @ (k, j) -> (n, rows, j)
    xp_of(a).matmul(a[:whole].reshape(-1, rows, len(b)), b, out=result[:whole].reshape(-1, rows, b.shape[1]))
    if whole < len(a):
        xp_of(a).matmul(a[whole:], b, out=result[whole:])


def _add_product(total: Array, a: Array, b: Array) -> None:
    """total += a @ b, some rows of b at a time."""
    rows = _at_once(a, len(b), total.size)
    whole = len(b) // rows * rows
    # (n, i, rows) @ (n, rows, j) -> (n, i, j)
    left = a[:, :whole].reshape(len(a), -1, rows).swapaxes(0, 1)
    products = _workspace("products", (len(left), *total.shape), total.dtype, xp_of(a))
    xp_of(a).matmul(left, b[:whole].reshape(-1, rows, b.shape[1]), out=products)
    total += products[0] if len(products) == 1 else products.sum(axis=0)
    if whole < len(b):
        total += a[:, whole:] @ b[whole:]


def _at_once(a: Array, positions: int, others: int) -> int:
    """How many positions make a product that BLAS begins at once; all, where these would be few, and on the GPU."""
    rows = AT_ONCE // max(others, 1)
    return positions if rows < FEWEST_ROWS or type(a) is not np.ndarray else min(rows, positions)


def _share_out(work: Callable[[Any], None], jobs: Sequence[Any], on_cpu: bool) -> None:
    """Call `work` for every job, on the CPU shared out over threads."""
    if on_cpu:
        for_each(work, jobs)
    else:
        for job in jobs:
            work(job)


def _workspace(name: str, shape: Sequence[int], dtype: Any, xp: Any) -> Array:
    return scratch(f"im2col {name}", shape, dtype) if xp is np else xp.empty(shape, dtype)
