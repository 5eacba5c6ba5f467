"""Work by channel on the CPU, in blocks that fit a core's cache, shared out over threads.

Normalisation subtracts, multiplies and adds numbers that belong to a channel, and sums over everything but the channels. Done on
whole arrays, each of these steps would carry the array from memory once. Here a block of it is carried once, and all steps are
done on it; where the sums decide what comes next, twice.

An array (N, C, *size) comes in one of two orders of memory:

- *columns*: channels last, a matrix (positions, C) with a number over each column. So that NumPy's loops are long, several
  positions side by side make one row, and the numbers are repeated as often. Sums are a row of ones times the matrix, by BLAS.
- *rows*: a matrix (N C, positions), each row one channel of one sample, with a number beside it. Small images in this order are
  taken as columns, of C times positions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.functions.layout import channels_last
from minivision.memory import empty_like, scratch
from minivision.threads import for_each, spans

BLOCK = 1 << 20  # bytes of each array at a time: few enough for a core's share of the cache, many enough for Python to be in time
ROW = 1 << 10  # elements of a row of columns, or nearly
SHARED = 1 << 22  # bytes below which waking another thread costs more than it brings
SMALLEST = 1 << 14  # elements that share numbers; with fewer, a few calls on the whole array are the fastest

Work = Callable[..., Any]


def worth_blocks(x: Array, per_sample: bool = False) -> bool:
    """Whether x is an array that this module takes: NumPy's, float32 or float64, and large enough."""
    if type(x) is not np.ndarray or x.dtype.char not in "fd" or not x.size:
        return False
    return x.size >= SMALLEST * (len(x) if per_sample else 1)


def arranged(x: Array) -> Array:
    """x itself where its memory is row-major or channels-last without gaps, else a copy that is."""
    if x.flags.c_contiguous or channels_last(x).flags.c_contiguous:
        return x
    return ordered_like(x, x)


def ordered_like(a: Array, x: Array) -> Array:
    """a, with its elements in the same order of memory as x's: itself, or a copy."""
    for order in (lambda v: v, channels_last):
        if order(a).flags.c_contiguous and order(x).flags.c_contiguous:
            return a
    copy = empty_like(x)
    copy[...] = a
    return copy


class ChannelBlocks:
    """The blocks of arrays (N, C, *size) in the order of memory of `like`.

    The numbers of channels are (S, C): with S = 1 all samples share them, else S = N and each sample has its own.
    """

    def __init__(self, like: Array, per_sample: bool = False):
        self.n, self.channels = like.shape[:2]
        self.positions = math.prod(like.shape[2:])
        self.samples = self.n if per_sample else 1
        self.last = channels_last(like).flags.c_contiguous
        self.inner = 1  # how many neighbours in a row of columns belong to the same channel
        if not self.last and not per_sample and self.channels * self.positions <= ROW:
            self.inner = self.positions
        self.in_columns = self.last or self.inner > 1
        self.period = self.channels * self.inner
        self.times = max(1, ROW // self.period)  # how often the numbers of the channels stand in a row of columns
        self.block = BLOCK // like.itemsize
        self.ones = constant(1, like.dtype.char)

    def run(self, work: Work, arrays: Sequence[Array], numbers: Sequence[Array], sums: int = 0) -> np.ndarray:
        """Call `work(add, *parts, *numbers)` for every block: matrices, which may be written to, and what broadcasts with them.

        `add(k, a)` adds a part's values by channel to the k-th of the `sums`, and `add(k, a, b)` those of the product of two.
        They are returned as (sums, S, C), float64.
        """
        if self.in_columns:
            views = [(channels_last(a) if self.last else a).reshape(self.samples, -1) for a in arrays]
            beside = [np.tile(np.repeat(c, self.inner, axis=1), self.times) for c in numbers]
        else:
            views = [a.reshape(self.n * self.channels, self.positions) for a in arrays]
            beside = [np.broadcast_to(c, (self.n, self.channels)).reshape(-1, 1) for c in numbers]
        jobs, perform = (self._strips(), self._on_columns) if self.in_columns else (self._row_blocks(), self._on_rows)
        found: list[Any] = [None] * len(jobs)

        def one(index: int) -> None:
            found[index] = perform(work, jobs[index], views, beside, sums)

        if arrays[0].nbytes < SHARED:
            for index in range(len(jobs)):
                one(index)
        else:
            for_each(one, range(len(jobs)))
        return self._total(jobs, found, sums)

    def _total(self, jobs: list[Any], found: list[np.ndarray], sums: int) -> np.ndarray:
        """The sums over all blocks, from those of each."""
        samples = self.samples if self.in_columns else self.n
        total = np.zeros((sums, samples, self.channels))
        if sums:
            by_place = total if self.in_columns else total.reshape(sums, -1)  # by sample, or by row
            for (place, _), part in zip(jobs, found, strict=True):
                by_place[:, place] += part
        return total if samples == self.samples else total.sum(axis=1, keepdims=True)

    def some(self, x: Array) -> np.ndarray:
        """The mean of a few values of every channel, from places all over x: (S, C), in x's dtype."""
        samples = slice(None, None, 1 if self.samples > 1 else max(1, self.n // 4))
        positions = (slice(None, None, max(1, n // 16) | 1) for n in x.shape[2:])
        few = x[(samples, slice(None), *positions)]
        axes = tuple(range(2, x.ndim)) if self.samples > 1 else (0, *range(2, x.ndim))
        return few.mean(axis=axes, dtype=np.float64).reshape(self.samples, self.channels).astype(x.dtype)

    # ---- columns: the channels' numbers lie over them, several times ----

    def _strips(self) -> list[Any]:
        """(sample, elements)"""
        length = self.n * self.channels * self.positions // self.samples
        parts = spans(length, self.block, aligned=self.period * self.times)
        return [(sample, part) for sample in range(self.samples) for part in parts]

    def _on_columns(self, work: Work, job: Any, views: list[Array], beside: list[Array], sums: int) -> np.ndarray:
        sample, part = job
        wide = self.period * self.times
        rest = part.stop - (part.stop - part.start) % wide  # from here on, positions do not fill a wide row
        totals = np.zeros((2, sums, wide), self.ones.dtype)
        for total, start, stop, width in ((totals[0], part.start, rest, wide), (totals[1], rest, part.stop, self.period)):
            if start < stop:
                matrices = (v[sample, start:stop].reshape(-1, width) for v in views)
                with short_buffer(width):
                    work(_column_sums(total[:, :width], self.ones), *matrices, *(b[sample, :width] for b in beside))
        by_channel = totals.reshape(2, sums, self.times, self.channels, self.inner)
        return by_channel.sum(axis=(0, 2, 4), dtype=np.float64)

    # ---- rows: each has its channel's number beside it ----

    def _row_blocks(self) -> list[Any]:
        """(rows, positions)"""
        rows = self.n * self.channels
        if self.positions <= 2 * self.block:
            return [(part, slice(None)) for part in spans(rows, max(1, self.block // max(self.positions, 1)))]
        return [(slice(row, row + 1), part) for row in range(rows) for part in spans(self.positions, self.block, aligned=16)]

    def _on_rows(self, work: Work, job: Any, views: list[Array], beside: list[Array], sums: int) -> np.ndarray:
        matrices = [v[job] for v in views]
        totals = np.zeros((sums, len(matrices[0])), self.ones.dtype)
        with short_buffer(self.positions):
            work(_row_sums(totals, self.ones), *matrices, *(b[job[0]] for b in beside))
        return totals


def _column_sums(total: Array, ones: Array) -> Callable[..., None]:
    """`add` for matrices whose columns belong to channels."""

    def add(k: int, a: Array, b: Array | None = None) -> None:
        if b is None:
            np.dot(ones[: len(a)], a, out=total[k])
        else:
            np.einsum("pc,pc->c", a, b, out=total[k])

    return add


def _row_sums(total: Array, ones: Array) -> Callable[..., None]:
    """`add` for matrices whose rows do."""

    def add(k: int, a: Array, b: Array | None = None) -> None:
        if b is None:
            np.dot(a, ones[: a.shape[1]], out=total[k])
        else:
            np.vecdot(a, b, out=total[k])

    return add


@functools.cache
def constant(value: int, kind: str) -> Array:
    """As many ones, or zeros, as a row or a column of a block may have."""
    constant = np.full(2 * BLOCK // np.dtype(kind).itemsize, value, kind)
    constant.flags.writeable = False
    return constant


def zeros_below(part: Array) -> Array:
    """A row of zeros to compare a block with: NumPy does it three times faster than with a number."""
    width = part.shape[1]
    zeros = constant(0, part.dtype.char)
    return zeros[:width] if width <= len(zeros) else np.zeros(width, part.dtype)


@contextmanager
def short_buffer(length: int) -> Iterator[None]:
    """Let NumPy broadcast one row of numbers, or one column, without writing them out for every row first.

    That is what it does where several rows fit into its buffer of 8192 elements, so as to call its loop for all of them at once.
    """
    if not 256 <= length < 8192:
        yield
        return
    before = np.setbufsize(16)
    try:
        yield
    finally:
        np.setbufsize(before)


def in_rows(work: Work, columns: int, *arrays: Any) -> None:
    """Call `work(*parts)` for blocks of rows of arrays in row-major memory: matrices of so many columns, or of one.

    The first array has the columns, and None stays None. As many rows as it has, all others have too.
    """
    matrices: list[Any] = [None if a is None else a.reshape(arrays[0].size // columns, -1) for a in arrays]
    parts = spans(len(matrices[0]), max(1, BLOCK // (columns * arrays[0].itemsize)))

    def one(part: slice) -> None:
        with short_buffer(columns):
            work(*(None if a is None else a[part] for a in matrices))

    if arrays[0].nbytes < SHARED:
        for part in parts:
            one(part)
    else:
        for_each(one, parts)


def channel_moments(x: Array, per_sample: bool = False) -> tuple[np.ndarray, np.ndarray, bool]:
    """The mean of each channel and the sum of the squared deviations from it, both (S, C), float64; and whether all is near zero.

    In one pass over x, with d = x - pivot: sum (x - mean)^2 = sum d^2 - (sum d)^2 / n. The difference loses digits when the pivot
    is far from the mean, beside the standard deviation (Chan, Golub & LeVeque 1983). What networks make is near zero, so that is
    the first pivot, which costs no subtraction. Where a mean turns out to be far away, the pass is done again, from near it.
    """
    blocks = ChannelBlocks(x, per_sample)
    count = x.size // (blocks.samples * blocks.channels)
    total, squares = blocks.run(_powers, (x,), (), sums=2)
    pivot = np.zeros((1, 1), x.dtype)
    near_zero = not _far(total, squares, count)
    if not near_zero:
        pivot = blocks.some(x)
        total, squares = blocks.run(_deviations, (x,), (pivot,), sums=2)
        if _far(total, squares, count):  # a few values said little about the mean, but now it is known
            pivot = (pivot + total / count).astype(x.dtype)
            total, squares = blocks.run(_deviations, (x,), (pivot,), sums=2)
    return pivot + total / count, np.maximum(squares - total * total / count, 0), near_zero


def _far(total: np.ndarray, squares: np.ndarray, count: int) -> bool:
    """Whether a channel's mean is more than 4 standard deviations from the pivot: its square is then most of the mean square."""
    return bool((total * total > 16 / 17 * count * squares).any())


def _powers(add: Any, x: Array) -> None:
    add(0, x)
    add(1, x, x)


def _deviations(add: Any, x: Array, pivot: Array) -> None:
    d = np.subtract(x, pivot, out=scratch("channel work", x.shape, x.dtype))
    add(0, d)
    add(1, d, d)
