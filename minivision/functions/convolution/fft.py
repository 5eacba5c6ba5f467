"""Convolution by the Fourier transform: for large kernels.

The convolution theorem: what is a sum over the kernel in space is one product for each frequency. For images x and w of one
size t, with F the discrete Fourier transform along the spatial axes and the indices counted around the ends,

    y[o] = sum_k w[k] x[o + k]    <=>    F y = conj(F w) * F x

so y costs three transforms, however large the kernel is, and at each frequency one matrix product over the channels:

    Y[q] (tiles, F) = X[q] (tiles, C) @ conj(W[q]) (C, F)

An image is cut into tiles of size t that overlap by the kernel's span - 1, and of each result, the t - span + 1 positions that
do not reach around the end are kept (overlap-save; Mathieu, Henaff & LeCun 2014). The input gradient is the same with the flipped
kernel; the weight gradient has one product more in common with it, X[q].T @ conj(dY[q]), summed over all tiles. Holes of dilation
are zeros in the kernel and cost nothing. With a stride, everything between is computed and dropped: waste.

The rounding error is spread evenly over a tile: small beside the largest values, not beside each. In float32 it is 2e-7 of the
largest |y|, less than what the long sums of im2col round. An infinity or a NaN would spread over its tile too, so such arrays are
left to im2col.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from minivision.backend import Array
from minivision.functions.convolution import im2col
from minivision.functions.convolution.choice import Problem
from minivision.functions.convolution.faces import Finish
from minivision.functions.convolution.geometry import Window, span
from minivision.functions.layout import channels_first, channels_last, padded
from minivision.memory import empty
from minivision.threads import for_each, spans

AT_ONCE = 1 << 22  # complex numbers of the tiles that are transformed together: 32 MB of complex64
FEW_TILES = 32  # fewer make slow matrix products
SCALES = (1.5, 2, 3, 4, 6, 8, 12, 16)  # the tiles that are considered, in spans of the kernel
# nanoseconds for each number of a tile, as measured on one core in float32: there, back, and a product at one frequency
FORTH, BACK, PRODUCT = 7.0, 4.0, 0.07


def applies(problem: Problem) -> bool:
    return problem.on_cpu


def nanoseconds(problem: Problem) -> float:
    """About what forward costs on one core, in float32; the gradients cost the same."""
    window = problem.window
    dense = [(n - 1) * s + 1 for n, s in zip(problem.out, window.stride, strict=True)]
    channels, filters = problem.channels, problem.out_channels
    plan = Tiles(problem.batch, dense, problem.kernel, window.dilation, channels, filters, window.groups)
    return plan.cost(plan.size, channels, filters, window.groups)


def correlate(x: Array, w: Array, window: Window, out: Sequence[int], finish: Finish | None = None) -> Array:
    """x (N, C, *size), w (F, C/groups, *kernel) -> y (N, F, *out)."""
    dense = [(n - 1) * s + 1 for n, s in zip(out, window.stride, strict=True)]  # with a stride of 1
    y = empty((x.shape[0], *dense, w.shape[0]), np.result_type(x, w))
    before = [a for a, _ in window.padding]
    if not _correlate_into(y, channels_last(x), w, before, window.dilation, window.groups):
        return im2col.correlate(x, w, window, out, finish)
    y = np.ascontiguousarray(y[(slice(None), *(slice(None, None, s) for s in window.stride))])
    if finish is not None:
        for_each(finish, [y[n : n + 1] for n in range(len(y))])
    return channels_first(y)


def correlate_transposed(dy: Array, w: Array, size: Sequence[int], window: Window) -> Array:
    """dy (N, F, *out), w (F, C/groups, *kernel) -> dx (N, C, *size): the convolution of dy with the flipped kernel."""
    groups, (filters, channels, *kernel) = window.groups, w.shape
    flipped = w[(slice(None), slice(None), *(slice(None, None, -1) for _ in kernel))]
    # (F, C/g, *k) -> (g, F/g, C/g, *k) -> (g, C/g, F/g, *k) -> (C, F/g, *k)
    swapped = flipped.reshape(groups, filters // groups, channels, *kernel).swapaxes(1, 2)
    swapped = swapped.reshape(groups * channels, filters // groups, *kernel)
    before = [span(k, d) - 1 - a for k, d, (a, _) in zip(kernel, window.dilation, window.padding, strict=True)]
    dx = empty((dy.shape[0], *size, groups * channels), np.result_type(dy, w))
    if not _correlate_into(dx, _with_holes(channels_last(dy), window.stride), swapped, before, window.dilation, groups):
        return im2col.correlate_transposed(dy, w, size, window)
    return channels_first(dx)


def correlate_kernel(x: Array, dy: Array, kernel: Sequence[int], window: Window) -> Array:
    """x (N, C, *size), dy (N, F, *out) -> dw (F, C/groups, *kernel)."""
    groups, channels, filters = window.groups, x.shape[1], dy.shape[1]
    upstream = _with_holes(channels_last(dy), window.stride)
    plan = Tiles(len(x), upstream.shape[1:-1], kernel, window.dilation, channels, filters, groups)
    around = padded(channels_last(x), plan.padding(x.shape[2:], [a for a, _ in window.padding]))
    total = np.zeros((plan.frequencies, groups, channels // groups, filters // groups), _complex(x, dy))
    for tiles in plan.together():
        seen = plan.spectra([around[plan.seen(tile)] for tile in tiles], groups)  # (frequencies, g, tiles, C/g)
        received = plan.spectra([upstream[plan.kept(tile)] for tile in tiles], groups)  # (frequencies, g, tiles, F/g)
        if not _finite(seen, received):
            return im2col.correlate_kernel(x, dy, kernel, window)

        def add(q: slice, seen: Array = seen, received: Array = received) -> None:
            # (C/g, tiles) @ (tiles, F/g) -> (C/g, F/g), for each frequency and group
            total[q] += seen[q].swapaxes(2, 3) @ received[q].conj()

        for_each(add, spans(plan.frequencies, 64))
    # dw[k] = sum_o x[o + k] dy[o]: once more a correlation, of which only the kernel's positions are wanted
    dw = np.empty((groups, channels // groups, *plan.span, filters // groups), np.result_type(x, dy))

    def back(pair: tuple[int, int]) -> None:
        dw[pair] = plan.image(total[:, pair[0], pair[1]], plan.span)

    for_each(back, list(np.ndindex(groups, channels // groups)))
    dw = dw[(slice(None), slice(None), *(slice(None, None, d) for d in window.dilation))]
    # (g, C/g, *k, F/g) -> (g, F/g, C/g, *k)
    return np.ascontiguousarray(np.moveaxis(dw, -1, 1)).reshape(filters, channels // groups, *kernel)


def _correlate_into(y: Array, x: Array, w: Array, before: Sequence[int], dilation: Sequence[int], groups: int) -> bool:
    """Fill y (N, *out, F) with the correlation of x (N, *size, C), moved by `before`, and w (F, C/g, *kernel), with stride 1.

    False if there is an infinity or a NaN in x or w; y is then to be filled otherwise.
    """
    filters, channels, *kernel = w.shape
    plan = Tiles(len(y), y.shape[1:-1], kernel, dilation, channels * groups, filters, groups)
    around = padded(x, plan.padding(x.shape[1:-1], before))
    weights = plan.spectra([_with_holes(f[None], dilation)[0] for f in channels_last(w)])  # (frequencies, 1, F, C/g)
    if not _finite(weights):
        return False
    weights = weights.reshape(plan.frequencies, groups, filters // groups, channels).conj()
    for tiles in plan.together():
        seen = plan.spectra([around[plan.seen(tile)] for tile in tiles], groups)  # (frequencies, g, tiles, C/g)
        if not _finite(seen):
            return False
        results = empty((plan.frequencies, groups, len(tiles), filters // groups), seen.dtype)

        def multiply(q: slice, seen: Array = seen, results: Array = results) -> None:
            # (tiles, C/g) @ (C/g, F/g) -> (tiles, F/g), for each frequency and group
            np.matmul(seen[q], weights[q].swapaxes(2, 3), out=results[q])

        for_each(multiply, spans(plan.frequencies, 64))

        def back(number: int, tiles: Sequence[tuple[int, ...]] = tiles, results: Array = results) -> None:
            target = y[plan.kept(tiles[number])]
            spectrum = results[:, :, number].reshape(plan.frequencies, filters)
            target[...] = plan.image(spectrum, target.shape[:-1])

        for_each(back, range(len(tiles)))
    return True


class Tiles:
    """How `images` images of size `out`, which a kernel sees, are cut into tiles; and the transforms of tiles."""

    def __init__(
        self, images: int, out: Sequence[int], kernel: Sequence[int], dilation: Sequence[int], channels: int, filters: int,
        groups: int,
    ):  # fmt: skip
        self.images, self.out = images, tuple(out)
        self.span = tuple(span(k, d) for k, d in zip(kernel, dilation, strict=True))
        self.numbers = channels + filters  # of a pixel
        self.size = min(self._sizes(), key=lambda size: self.cost(size, channels, filters, groups))
        self.keep = tuple(t - k + 1 for t, k in zip(self.size, self.span, strict=True))
        self.spectrum = (*self.size[:-1], self.size[-1] // 2 + 1)  # of real numbers, half the frequencies tell all
        self.frequencies = math.prod(self.spectrum)
        self.axes = tuple(range(len(self.size)))

    def _sizes(self) -> Iterator[tuple[int, ...]]:
        for scale in SCALES:
            yield tuple(good_size(min(math.ceil(scale * k), n + k - 1)) for k, n in zip(self.span, self.out, strict=True))

    def cost(self, size: Sequence[int], channels: int, filters: int, groups: int) -> float:
        """Nanoseconds for y, as far as the transforms and the products go."""
        tiles = self.images * math.prod(-(-n // (t - k + 1)) for n, t, k in zip(self.out, size, self.span, strict=True))
        kernels = channels * filters // groups
        return math.prod(size) * (tiles * (channels * FORTH + filters * BACK + kernels * PRODUCT) + kernels * FORTH)

    def padding(self, size: Sequence[int], before: Sequence[int]) -> list[tuple[int, int]]:
        """Zeros around images of that size, so that all tiles see something."""
        axes = zip(self.out, self.keep, self.size, size, before, strict=True)
        return [(a, (-(-n // keep) - 1) * keep + t - length - a) for n, keep, t, length, a in axes]

    def together(self) -> Iterator[list[tuple[int, ...]]]:
        """The tiles (image, row, column), as many at a time as memory should hold."""
        counts = (-(-n // keep) for n, keep in zip(self.out, self.keep, strict=True))
        tiles = list(itertools.product(range(self.images), *map(range, counts)))
        step = max(AT_ONCE // (self.frequencies * self.numbers), FEW_TILES)
        return (tiles[start : start + step] for start in range(0, len(tiles), step))

    def seen(self, tile: Sequence[int]) -> tuple[int | slice, ...]:
        """What a tile sees of the padded images."""
        places = zip(tile[1:], self.keep, self.size, strict=True)
        return (tile[0], *(slice(i * keep, i * keep + t) for i, keep, t in places))

    def kept(self, tile: Sequence[int]) -> tuple[int | slice, ...]:
        """The part of the result that it gives."""
        places = zip(tile[1:], self.keep, self.out, strict=True)
        return (tile[0], *(slice(i * keep, min((i + 1) * keep, n)) for i, keep, n in places))

    def spectra(self, tiles: Sequence[Array], groups: int = 1) -> Array:
        """The transforms of tiles (*size, C), smaller ones with zeros at their ends, as (frequencies, g, tiles, C/g)."""
        channels = tiles[0].shape[-1]
        spectra = empty((self.frequencies, groups, len(tiles), channels // groups), _complex(tiles[0]))

        def forth(number: int) -> None:
            with np.errstate(invalid="ignore"):  # see `_finite`
                spectrum = np.fft.rfftn(tiles[number], self.size, self.axes)
            spectra[:, :, number] = spectrum.reshape(self.frequencies, groups, -1)

        for_each(forth, range(len(tiles)))
        return spectra

    def image(self, spectrum: Array, size: Sequence[int]) -> Array:
        """The first positions, as many as `size`, of the image with that spectrum (frequencies, C)."""
        image = np.fft.irfftn(spectrum.reshape(*self.spectrum, -1), self.size, self.axes)
        return image[tuple(slice(n) for n in size)]


def good_size(n: int) -> int:
    """The next even number that has no prime factor above 5: transforms of such lengths are fast."""
    n += n % 2
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2


def _with_holes(x: Array, step: Sequence[int]) -> Array:
    """x (N, *size, C) with step - 1 zeros between neighbours along each spatial axis."""
    if all(s == 1 for s in step):
        return x
    spread = np.zeros((len(x), *((n - 1) * s + 1 for n, s in zip(x.shape[1:-1], step, strict=True)), x.shape[-1]), x.dtype)
    spread[(slice(None), *(slice(None, None, s) for s in step))] = x
    return spread


def _complex(*arrays: Array) -> np.dtype:
    return np.result_type(*arrays, np.complex64)


def _finite(*spectra: Array) -> bool:
    """Whether the tiles hold only finite numbers: at frequency 0 stand their sums."""
    return all(bool(np.isfinite(s[0]).all()) for s in spectra)
