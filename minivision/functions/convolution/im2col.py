"""Convolution by im2col: every window becomes a row of a matrix, and the convolution one matrix product.

    y[o, f] = sum_q columns[o, q] w[f, q]        q counts the kernel positions and channels of a window

(Chellapilla, Puri & Simard 2006.) A 3x3 window matrix holds every input value nine times, so it is never made as a whole. Each
thread takes a block of output rows, pads what they see, and goes on in pieces: the windows of some rows are copied into a
workspace that stays in the cache, and multiplied at once; the next piece uses the same workspace.

A window is gathered in one of two orders, whichever copies the longer runs of memory:

    rows    (positions, *kernel, C): runs of kw C values, from channels-last memory
    planes  (C, *kernel, positions): runs of W values, from memory in which each channel is a plane; for images of few channels,
            and where there is much more weight, whose own order (F, C, *kernel) this is, than image

BLAS multiplies a matrix just as well when it lies transposed, so both give channels-last outputs.

Windows below one another share all of their lines but one. So where it pays, a window is taken apart into *layers* along the
first axis of the kernel, and a line of layers is gathered once: with columns[i, j] = x[i, j .. j + kw, :], and w in layers too,

    y[i, j] = sum_u columns[i + u, j] w_u

Layer u of all windows is the same workspace, begun u lines further down. A 7x7 kernel's windows then take a seventh of the
copies, in exchange for seven products to be added up, each of a size at which BLAS is quicker besides.

The gradient to x is a convolution of dy with the flipped kernel. With a stride s it falls into s x s of them, one for every phase
of x: positions that are equal modulo s meet the same kernel positions, every s-th. Nothing is multiplied by inserted zeros.
Two other ways to it begin with products of each dy and the kernels: `_mosaic`, where these do not overlap, and `_stamped`.
Where both gradients are wanted and the stride is 1, they come from the same windows of dy: see `gradients`.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minivision.backend import Array, xp_of
from minivision.functions.convolution.choice import Problem
from minivision.functions.convolution.faces import Finish, tap_slices
from minivision.functions.convolution.geometry import Window, span
from minivision.functions.convolution.products import AT_ONCE, boxes
from minivision.functions.layout import channels_first, channels_last, copy_across, joined, lies_in_planes
from minivision.memory import empty, scratch
from minivision.threads import for_each, get_num_threads, pieces

CPU_BLOCK = 1 << 19  # elements at a time of input and output: 2 MB of float32
CPU_PIECE = 1 << 19  # elements at a time of the window matrix and what it is multiplied to
GPU_PIECE = 1 << 26
FEW_POSITIONS = 384  # a piece has at least so many rows where there is much weight, which BLAS has to arrange for each piece
NOT_SHARED_OUT = 700_000  # nanoseconds on one core: with less to do, threads spend their time on waiting for each other
MOST_STAMPED = 1024  # columns of the weight, at a time
MANY_FILTERS = 256  # from here on BLAS is as quick at a product whose long side is the other one
FEWEST_ROWS = 32  # that are worth a product of their own
FEWEST_APART = 256  # the same where the values of one row lie far apart in memory, as in planes, and BLAS had better arrange them
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
    if _stamps_lie_apart(dy, w, size, window):
        return _mosaic(dy, w, size)
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


def _stamps_lie_apart(dy: Array, w: Array, size: Sequence[int], window: Window) -> bool:
    """Whether each dx comes from one dy, since the stride is the kernel's length; and whether BLAS is quick at `_mosaic`."""
    kernel, out = w.shape[2:], dy.shape[2:]
    apart = window.stride == kernel and set(window.dilation) == {1} and not any(map(any, window.padding))
    whole = all(n == o * k for n, o, k in zip(size, out, kernel, strict=True))
    few = out[-1] * w.shape[0] * w.shape[1] * kernel[-1] <= AT_ONCE
    return apart and whole and few and window.groups == 1 and math.prod(kernel) > 1


def _mosaic(dy: Array, w: Array, size: Sequence[int]) -> Array:
    """`correlate_transposed` where stamps lie side by side: matrix products that are written to their places at once.

    With a kernel of k x l, dx[n, k i + u, l j + v, c] is the sum over f of dy[n,f,i,j] w[f,c,u,v]. In channels-last memory dx is,
    for each n, i and u, a matrix with a row for each j and a column for each v and c: (j, f) times (f, v c).
    """
    xp, filters = xp_of(dy, w), w.shape[0]
    (*outer, length), (*taps, last) = dy.shape[2:], w.shape[2:]
    dx = empty((dy.shape[0], *size, w.shape[1]), xp.result_type(dy, w), xp)
    # all but the last spatial axis become two: one of positions, one of taps
    products = dx.reshape(len(dx), *itertools.chain(*zip(outer, taps, strict=True)), length, last * w.shape[1])
    rows = channels_last(dy)[(slice(None), *(slice(None), None) * len(outer))]
    by_tap = w.transpose(*range(2, w.ndim - 1), 0, w.ndim - 1, 1)  # (*taps, F, l, C)
    weights = by_tap.reshape(*itertools.chain(*((1, k) for k in taps)), filters, -1)

    def multiply(block: tuple[slice, slice]) -> None:
        # (N, o, 1, ..., length, F) @ (1, k, ..., F, l C) -> (N, o, k, ..., length, l C)
        xp.matmul(rows[block], weights, out=products[block])

    multiplications = dy.size * w.size // filters
    threads = get_num_threads() if xp is np and multiplications > 10 * AT_ONCE else 1
    _share_out(multiply, boxes(len(dy), dy.shape[2], 1, len(dy) * dy.shape[2], threads), xp is np)
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
    block = CPU_PIECE if xp is np else GPU_PIECE
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
        columns, part = matrix.whole(), _as_matrix(upstream)

        def multiply(f: slice) -> None:
            # (F, positions) @ (positions, K C) -> (F, K C), some F at a time
            xp.matmul(part[:, f].T, columns, out=dw[f])

        _share_out(multiply, matrix.filters_for_each(), matrix.on_cpu)
        return matrix.as_kernel(dw)
    blocks = matrix.blocks()
    # Each share of the blocks has a sum of its own, and the sums are added at the end. A sum (K C/g, F) is what BLAS is quick
    # at; with many filters it is as quick at the order of the weights, which then need not be turned around.
    shares = min(get_num_threads(), len(blocks)) if matrix.on_cpu else 1
    upright = filters >= MANY_FILTERS
    layers, width = matrix.layers, matrix.width
    sums = xp.zeros((shares, *((filters, layers, width) if upright else (layers, width, filters))), dtype)

    def add_up(share: int) -> None:
        for block in blocks[share::shares]:
            part = _in_rows(upstream[block])  # (N, *out, F)
            for group, (_, f) in enumerate(matrix.groups()):
                for some, layer, columns in matrix.pieces(block, group):
                    rows = part[some].reshape(*columns.shape[:2], -1)[..., f]
                    if upright:
                        _add_upright_products(sums[share, f, layer], columns, rows)
                    else:
                        _add_products(sums[share, layer, :, f], columns, rows)

    _share_out(add_up, range(shares), matrix.on_cpu)
    total = sums.sum(axis=0) if shares != 1 else sums[0]
    return matrix.as_kernel(total.reshape(filters, -1) if upright else total.reshape(-1, filters).T)


# ---- both gradients from one matrix of windows ----


def shares_windows(dy: Array, w: Array, size: Sequence[int], window: Window) -> bool:
    """Whether `gradients` is the way to both gradients of a convolution: it has a stride of 1, and dx is not stamped."""
    if window.groups > 1 or any(s > 1 for s in window.stride) or math.prod(w.shape[2:]) == 1:
        return False
    return _many_windows(dy.shape[0] * math.prod(size), w.shape[1]) and not _stamps_pay(dy, w, window)


def gradients(x: Array, dy: Array, w: Array, window: Window) -> tuple[Array, Array]:
    """x (N, C, *size), dy (N, F, *out), w (F, C, *kernel) -> dx (N, C, *size) and dw (F, C, *kernel).

    In words of im2col, dx = D w' with the windows of dy in the rows of D, and w' the kernels turned around. Both sides are linear
    in w', so its gradient is D^T x. Windows that were gathered for one product serve for the other.
    """
    xp, size = xp_of(x, dy, w), x.shape[2:]
    backwards = (slice(None), slice(None), *(slice(None, None, -1) for _ in size))
    shifts = tuple(
        (d * (k - 1) - before, 0) for k, d, (before, _) in zip(w.shape[2:], window.dilation, window.padding, strict=True)
    )
    turned = _swapped(w, 1)[backwards]  # (C, F, *kernel)
    dx = empty((x.shape[0], *size, x.shape[1]), xp.result_type(x, dy, w), xp)
    dturned = _correlate_into(dx, dy, turned, window._replace(padding=shifts), beside=channels_last(x))
    return channels_first(dx), xp.ascontiguousarray(dturned.swapaxes(0, 1)[backwards])


def shares_windows_of_transposed(x: Array, w: Array, window: Window) -> bool:
    """Whether `gradients_of_transposed` is the way to both gradients of a transposed convolution."""
    return window.groups == 1 and math.prod(w.shape[2:]) > 1 and _many_windows(x.size // max(x.shape[1], 1), w.shape[0])


def gradients_of_transposed(x: Array, dy: Array, w: Array, window: Window) -> tuple[Array, Array]:
    """x (N, F, *out), dy (N, C, *size), w (F, C, *kernel) -> dx (N, F, *out) and dw, where x went through `correlate_transposed`.

    dx = D w is the convolution of dy with w; so its gradient to w is D^T x.
    """
    xp = xp_of(x, dy, w)
    dx = empty((x.shape[0], *x.shape[2:], x.shape[1]), xp.result_type(x, dy, w), xp)
    dw = _correlate_into(dx, dy, w, window, beside=channels_last(x))
    return channels_first(dx), dw


def _many_windows(positions: int, filters: int) -> bool:
    return FEW_CHANNELS <= filters < min(MANY_FILTERS, positions)


def _correlate_into(
    y: Array, x: Array, w: Array, window: Window, finish: Finish | None = None, beside: Array | None = None
) -> Any:
    """Fill y (N, *out, F), any view of memory, with the convolution of x (N, C, *size) and w.

    If there is an array `beside` y, of its shape, the sum of each window times what stands there is returned, as (F, C, *kernel).
    """
    matrix = WindowMatrix(x, w.shape, window, y.shape[1:-1], products=1 if beside is None else 2)
    weights = matrix.of_kernel(w).T.reshape(matrix.layers, -1, matrix.filters)  # (layers, K C/g, F)
    if weights[0].size * FEWEST_ROWS <= AT_ONCE:
        weights = matrix.xp.ascontiguousarray(weights)
    whole = window.groups == 1 and y.flags.c_contiguous  # products can be written to their place

    if whole and beside is None and matrix.is_small_beside_the_weight:
        columns, product = matrix.whole(), y.reshape(-1, y.shape[-1])

        def multiply(f: slice) -> None:
            # (positions, K C) @ (K C, F) -> (positions, F), some F at a time
            matrix.xp.matmul(columns, weights[0, :, f], out=product[:, f])

        _share_out(multiply, matrix.filters_for_each(), matrix.on_cpu)
        if finish is not None:
            finish(y)
        return

    def fill(block: tuple[slice, slice], totals: Any = None) -> None:
        target = y[block]
        factors = None if beside is None else _in_rows(beside[block])
        for group, (_, f) in enumerate(matrix.groups()):
            for some, layer, columns in matrix.pieces(block, group):
                # for each image: (positions, K C/g) @ (K C/g, F/g) -> (positions, F/g)
                rows = target[some]
                if whole and not layer:
                    _multiply(columns, weights[0], rows.reshape(len(rows), -1, y.shape[-1]))
                else:
                    product = _workspace("product", (*columns.shape[:2], f.stop - f.start), y.dtype, matrix.xp)
                    _multiply(columns, weights[layer, :, f], product)
                    product = product.reshape(*rows.shape[:-1], -1)
                    if layer:
                        rows[..., f] += product
                    else:
                        rows[..., f] = product
                if factors is not None:
                    _add_products(totals[layer], columns, factors[some].reshape(*columns.shape[:2], -1))
        if finish is not None:
            finish(target)

    if beside is None:
        _share_out(fill, matrix.blocks(), matrix.on_cpu)
        return None
    blocks = matrix.blocks()
    shares = min(get_num_threads(), len(blocks)) if matrix.on_cpu else 1
    sums = matrix.xp.zeros((shares, *weights.shape), y.dtype)

    def fill_share(share: int) -> None:
        for block in blocks[share::shares]:
            fill(block, sums[share])

    _share_out(fill_share, range(shares), matrix.on_cpu)
    return matrix.as_kernel((sums.sum(axis=0) if shares != 1 else sums[0]).reshape(-1, y.shape[-1]).T)


class WindowMatrix:
    """The windows of x (N, C, *size) as rows of a matrix (N *out, K C/g), for each group of channels, made block by block.

    Or as many matrices as a window has `layers`: each has one layer of every window in its rows, and K counts its positions.
    """

    def __init__(self, x: Array, kernel_shape: Sequence[int], window: Window, out: Sequence[int], products: int = 1):
        """`products`: how many there will be with each window."""
        self.x, self.window, self.out, self.kernel = x, window, tuple(out), tuple(kernel_shape[2:])
        self.filters, self.channels = kernel_shape[:2]  # of all groups, of one
        self.xp = xp_of(x)
        self.on_cpu = self.xp is np
        positions, whole = x.shape[0] * math.prod(out), self.channels * math.prod(self.kernel)
        # then its one block is shared out by filters, so that each thread reads a part of the weight only
        self.is_small_beside_the_weight = 0 < positions <= self.filters and window.groups == 1
        self.in_planes = self.channels <= FEW_CHANNELS or (
            all(s == 1 for s in window.stride) and (lies_in_planes(x) or self.is_small_beside_the_weight)
        )
        nanoseconds = positions * whole * (0.1 * window.groups + products * 0.022 * self.filters)
        self.threads = get_num_threads() if self.on_cpu and nanoseconds > NOT_SHARED_OUT else 1
        apart = self.on_cpu and not self.is_small_beside_the_weight and self._layers_pay(positions, whole // self.kernel[0])
        self.layers = self.kernel[0] if apart else 1
        self.width = whole // self.layers
        # The lines of x from a window to the next, and from a layer to the next; a window that is not taken apart is one line.
        self.step, self.between = (window.stride[0], window.dilation[0]) if apart else (1, 1)
        self.phases = _layers_by_phase(self.layers, self.step, self.between)
        self.at_once = self._at_once(self.width)
        # of the axes (F, C/g, *kernel) of a weight, the order in which it meets the columns
        first, *others = range(2, x.ndim)
        self.order = (0, first, *others, 1)
        if self.in_planes:
            self.order = (0, first, 1, *others) if apart else (0, 1, first, *others)

    def _at_once(self, width: int) -> int:
        """How many positions to gather at a time."""
        fewest = FEW_POSITIONS if width * self.filters > CPU_PIECE else 1
        return max((CPU_PIECE if self.on_cpu else GPU_PIECE) // (width + self.filters), fewest)

    def _layers_pay(self, positions: int, width: int) -> bool:
        """Whether to gather layers of windows, and to add up their products, takes less time than to gather windows.

        In nanoseconds an element, and for each layer some more, in which threads wait for each other. Time in layers / time of
        whole windows, measured for y | for both gradients, one core, channels-last memory, by pixels of an image (N of them):

            C = F              16 x 16        32 x 32        64 x 64        4 of 64 x 64
            3x3, 16            1.24 | 1.32    1.00 | 1.05     .90 | .95      .81 | .88
            3x3, 32            1.13 | 1.13    1.02 | 1.03     .90 | .91      .90 | .90
            3x3, 64             .98 | 1.03     .87 | .93      .87 | .93      .87 | .92
            7x7, 16            1.26 | 1.31     .99 | 1.03     .81 | .86      .81 | .85
            7x7, 32             .97 | 1.01     .79 | .84      .74 | .78      .74 | .78
            3x3, 32, stride 2  1.32 | 1.15    1.18 | 1.10    1.10 | 1.05     .98 | .97
        """
        layers, step, between = self.kernel[0], self.window.stride[0], self.window.dilation[0]
        rows = max(1, min(self.out[0], self._at_once(width) // max(1, math.prod(self.out[1:]))))
        lines = min(layers, ((rows - 1) * step + span(layers, between)) / rows)  # to gather, for each row of windows
        saved = 0.2 * (layers - lines) * width - 0.25 * (layers - 1) * self.filters / self.window.groups
        return saved * positions / self.threads > (layers - 1) * (10_000 if self.threads == 1 else 25_000)

    def blocks(self) -> Sequence[tuple[slice, slice]]:
        """Slices of (N, first spatial axis) that cut the rows of the matrix into blocks, each the work of one thread."""
        positions = max(CPU_BLOCK // (self.channels + self.filters), self.at_once)
        return boxes(self.x.shape[0], self.out[0], math.prod(self.out[1:]), positions, self.threads)

    def filters_for_each(self) -> Sequence[slice]:
        """The filters of one group cut into as many parts as threads work at them."""
        return pieces(self.filters, -(-self.filters // self.threads))

    def groups(self) -> Iterator[tuple[slice, slice]]:
        """For each group, its slice of the input channels and its slice of the output channels."""
        c, f = self.channels, self.filters // self.window.groups
        return ((slice(g * c, (g + 1) * c), slice(g * f, (g + 1) * f)) for g in range(self.window.groups))

    def whole(self) -> Array:
        """The matrix of all windows, (N *out, K C), of one group."""
        return self._gathered(self._windows((slice(None), slice(0, self.out[0])))).reshape(-1, self.width)

    def pieces(self, block: tuple[slice, slice], group: int = 0) -> Iterator[tuple[tuple[slice, slice], int, Array]]:
        """The rows of one block, some at a time: their place in the block, the layer, and for each image (positions, K C/g).

        They lie in a workspace, the same for each piece, or for 1x1 kernels in x itself. Of each place layer 0 is the first.
        """
        windows, per_row = self._windows(block, group), math.prod(self.out[1:])
        for images, rows in boxes(len(windows), block[1].stop - block[1].start, per_row, self.at_once, threads=1):
            top, bottom, positions = rows.start * self.step, (rows.stop - 1) * self.step, (rows.stop - rows.start) * per_row
            for layers in self.phases:
                first, last = self.between * layers[0], self.between * layers[-1]
                lines = self._gathered(windows[images, top + first : bottom + last + 1 : self.step])
                for layer in layers:
                    start = (self.between * layer - first) // self.step * per_row
                    yield (images, rows), layer, lines[:, start : start + positions]

    def _windows(self, block: tuple[slice, slice], group: int = 0) -> Array:
        """The windows of one block as a view, (N, *out, *kernel, C/g), or (N, *out, C/g, *kernel) in planes.

        Where they are taken apart, the layers in each line of x that the block sees: (N, lines, *out[1:], *kernel[1:], C/g).
        """
        x = self.x[block[0], group * self.channels : (group + 1) * self.channels]
        out = [block[1].stop - block[1].start, *self.out[1:]]
        part = _part(x.shape[2:], block[1].start, tuple(out), self.kernel, self.window)
        if self.in_planes:
            strip = _region(x.swapaxes(0, 1), 2, part)  # (C, N, *reach)
            c, n, *steps = strip.strides
        else:
            strip = _region(channels_last(x), 1, part)  # (N, *reach, C)
            n, *steps, c = strip.strides
        moves, taps, kernel = self._moves(steps), self._taps(steps), self.kernel
        if self.layers > 1:
            out[0], moves[0] = part.reach[0], steps[0]
            taps, kernel = taps[1:], kernel[1:]
        if self.in_planes:
            shape, strides = (len(x), *out, self.channels, *kernel), (n, *moves, c, *taps)
        else:
            shape, strides = (len(x), *out, *kernel, self.channels), (n, *moves, *taps, c)
        if self.on_cpu and strip.flags.c_contiguous:
            return np.ndarray(shape, strip.dtype, strip, 0, strides)  # what as_strided does, in a tenth of the time
        return self.xp.lib.stride_tricks.as_strided(strip, shape, strides)

    def _taps(self, steps: Sequence[int]) -> list[int]:
        return [step * d for step, d in zip(steps, self.window.dilation, strict=True)]

    def _moves(self, steps: Sequence[int]) -> list[int]:
        return [step * s for step, s in zip(steps, self.window.stride, strict=True)]

    def _gathered(self, windows: Array) -> Array:
        """Windows, overlapping views until here, as (N, positions, K C/g) in memory of their own."""
        images, axes = windows.shape[0], len(self.out) + 1
        if self.width == self.channels:
            lines = joined(windows, 1, axes - 1)
            if lines is not None:  # they do not overlap, and lie in memory as they should
                return lines.reshape(images, -1, self.width)
        if self.in_planes:
            windows = windows.transpose(*range(axes, windows.ndim), *range(axes))
        columns = _workspace("columns", windows.shape, windows.dtype, self.xp)
        columns[...] = windows
        if self.in_planes:
            return columns.reshape(self.width, images, -1).transpose(1, 2, 0)
        return columns.reshape(images, -1, self.width)

    def of_kernel(self, w: Array) -> Array:
        """w (F, C/g, *kernel) -> (F, K C/g), in the order of the columns."""
        return w.transpose(self.order).reshape(self.filters, -1)

    def as_kernel(self, matrix: Array) -> Array:
        """The inverse of `of_kernel`, in row-major memory."""
        shape = (self.filters, self.channels, *self.kernel)
        ordered = matrix.reshape([shape[axis] for axis in self.order])
        return self.xp.ascontiguousarray(ordered.transpose([self.order.index(axis) for axis in range(len(shape))]))


@functools.cache
def _layers_by_phase(layers: int, step: int, between: int) -> tuple[tuple[int, ...], ...]:
    """The layers whose lines are equal modulo the step: among the lines of one of them are those of the others."""
    phases = (tuple(u for u in range(layers) if u * between % step == phase) for phase in range(step))
    return tuple(together for together in phases if together)


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


class _Part(NamedTuple):
    """The part of an image that some windows see: its lengths, which of its positions lie in the image, and where in it."""

    reach: tuple[int, ...]
    inside: tuple[slice, ...]
    seen: tuple[slice, ...]
    covered: bool  # whether all of it lies in the image


@functools.lru_cache(maxsize=1 << 10)
def _part(size: tuple[int, ...], top: int, out: tuple[int, ...], kernel: tuple[int, ...], window: Window) -> _Part:
    """What `out` windows see of an image, the first of them in row `top`."""
    reach, inside, seen = [], [], []
    tops = (top, *(0 for _ in out[1:]))
    axes = zip(size, tops, out, kernel, window.stride, window.padding, window.dilation, strict=True)
    for n, first, o, k, s, (before, _), d in axes:
        start, length = first * s - before, (o - 1) * s + span(k, d)
        begin = max(start, 0)
        end = max(begin, min(start + length, n))
        reach.append(length)
        seen.append(slice(begin, end))
        inside.append(slice(begin - start, end - start))
    covered = all(part.stop - part.start == length for part, length in zip(seen, reach, strict=True))
    return _Part(tuple(reach), tuple(inside), tuple(seen), covered)


def _region(x: Array, first_axis: int, part: _Part) -> Array:
    """A part of x along the axes from `first_axis` on, zero where it lies outside x; its last axis is dense in memory.

    A view where nothing has to be added, else a workspace.
    """
    ahead = (slice(None),) * first_axis
    seen = x[ahead + part.seen]
    if part.covered and seen.strides[-1] == x.itemsize:
        return seen
    shape = (*x.shape[:first_axis], *part.reach, *x.shape[first_axis + len(part.reach) :])
    strip = _workspace("strip", shape, x.dtype, xp_of(x))
    if not part.covered:
        strip[...] = 0  # as a whole: to write its edges alone takes longer, with a call for each
    if seen.size:
        copy_across(strip[ahead + part.inside], seen)
    return strip


def _as_matrix(x: Array) -> Array:
    """(N, *out, F) -> (positions, F): a view of channels-last memory, and of the planes of one image; else in a workspace."""
    matrix = joined(x, 0, x.ndim - 2)
    return _copied(x).reshape(-1, x.shape[-1]) if matrix is None else matrix


def _in_rows(x: Array) -> Array:
    """x (N, *out, F) itself if in each image the positions lie in memory as one axis, as in channels-last memory; else a copy."""
    return _copied(x) if joined(x, 1, x.ndim - 2) is None else x


def _copied(x: Array) -> Array:
    copy = _workspace("upstream", x.shape, x.dtype, xp_of(x))
    copy_across(copy, x)
    return copy


def _merged(*stacks: Array) -> Sequence[Array]:
    """Stacks of matrices (N, positions, k) as stacks of only one (1, N positions, k), if all of them lie so in memory."""
    merged = [stack for stack in (joined(stack, 0, 1) for stack in stacks) if stack is not None]
    return [stack[None] for stack in merged] if len(merged) == len(stacks) else stacks


def _multiply(a: Array, b: Array, result: Array) -> None:
    """result = a @ b for stacks a (N, positions, k) and result (N, positions, j), some positions at a time."""
    a, result = _merged(a, result)
    rows = _at_once(a, a.shape[1], b.size)
    whole = a.shape[1] // rows * rows
    # (N, n, rows, k) @ (k, j) -> (N, n, rows, j)
    shape = (len(a), -1, rows)
    xp_of(a).matmul(a[:, :whole].reshape(*shape, len(b)), b, out=result[:, :whole].reshape(*shape, b.shape[1]))
    if whole < a.shape[1]:
        xp_of(a).matmul(a[:, whole:], b, out=result[:, whole:])


def _add_products(total: Array, a: Array, b: Array) -> None:
    """total (i, j) += a^T @ b, summed over stacks a (N, positions, i) and b (N, positions, j), some positions at a time."""
    a, b = _merged(a, b)
    rows = _at_once(a, a.shape[1], total.size)
    if rows < FEWEST_APART and a.strides[2] != a.itemsize:
        rows = a.shape[1]
    whole = a.shape[1] // rows * rows
    # (N, n, i, rows) @ (N, n, rows, j) -> (N, n, i, j)
    left = a[:, :whole].reshape(len(a), -1, rows, a.shape[2]).swapaxes(2, 3)
    products = _workspace("products", (*left.shape[:2], *total.shape), total.dtype, xp_of(a))
    xp_of(a).matmul(left, b[:, :whole].reshape(len(b), -1, rows, b.shape[2]), out=products)
    total += products[0, 0] if len(products) == products.shape[1] == 1 else products.sum(axis=(0, 1))
    if whole < a.shape[1]:
        rest = a[:, whole:].swapaxes(1, 2) @ b[:, whole:]
        total += rest[0] if len(rest) == 1 else rest.sum(axis=0)


def _add_upright_products(total: Array, a: Array, b: Array) -> None:
    """total (j, i) += b^T @ a, summed over stacks a (N, positions, i) and b (N, positions, j)."""
    product = _workspace("product", total.shape, total.dtype, xp_of(a))
    for rows, others in zip(*_merged(a, b), strict=True):
        total += xp_of(a).matmul(others.T, rows, out=product)


def _at_once(a: Array, positions: int, others: int) -> int:
    """How many positions make a product that BLAS begins at once; all, where these would be few, and on the GPU."""
    rows = AT_ONCE // max(others, 1)
    return positions if rows < FEWEST_ROWS or type(a) is not np.ndarray else _without_rest(positions, rows)


@functools.lru_cache(maxsize=1 << 10)
def _without_rest(length: int, most: int) -> int:
    """The largest step up to `most` that divides the length, if it is more than half of `most`; else `most`."""
    if length <= most:
        return length
    return next((step for step in range(most, most // 2, -1) if length % step == 0), most)


def _share_out(work: Callable[[Any], None], jobs: Sequence[Any], on_cpu: bool) -> None:
    """Call `work` for every job, on the CPU shared out over threads."""
    if on_cpu:
        for_each(work, jobs)
    else:
        for job in jobs:
            work(job)


def _workspace(name: str, shape: Sequence[int], dtype: Any, xp: Any) -> Array:
    return scratch(f"im2col {name}", shape, dtype) if xp is np else xp.empty(shape, dtype)
