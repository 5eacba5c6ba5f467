"""Work by channel on the CPU, in blocks that fit a core's cache, shared out over threads.

Normalisation subtracts, multiplies and adds numbers that belong to a channel, and sums over everything but the channels. Done on
whole arrays, each of these steps would carry the array from memory once. Here a block of it is carried once, and all steps are
done on it; where the sums decide what comes next, twice. But once is enough where all that shares a mean lies in one block.

An array (N, C, *size) comes in one of two orders of memory, and is looked at as a stack of matrices:

- *rows*, (N, C, positions): each row is one channel of one sample, with a number beside it.
- *columns*, (samples, positions, C), channels last, with a number over each column. So that NumPy's loops are long, several
  positions side by side make one row, and the numbers are repeated as often. Sums are a row of ones times the matrix, by BLAS.
  Small images in row-major memory are taken as columns, too, of C times positions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.functions.layout import channels_last
from minivision.memory import empty_like
from minivision.threads import for_each, get_num_threads, in_turn, one_blas_thread, pieces, spans

BLOCK = 1 << 21  # bytes of each array at a time: few enough for the cache, many enough for Python to be in time
ROW = 1 << 11  # elements of a row of columns, or nearly
SHARED = 1 << 22  # bytes below which waking another thread costs more than it brings
SMALLEST = 1 << 14  # elements; with fewer, a few calls on the whole array are the fastest

WHOLE = (slice(None),) * 3
NOTHING = np.zeros(0)

Work = Callable[..., Any]


def worth_blocks(x: Array) -> bool:
    """Whether x is an array that this module takes: NumPy's, float32 or float64, and large enough."""
    return type(x) is np.ndarray and x.size >= SMALLEST and x.dtype.char in "fd"


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


def parts_of(like: Array, groups: int, per_sample: bool) -> Sequence[Part]:
    """What to do all steps on, one after another: blocks of a few whole groups of channels, if each fits the cache, else all."""
    last = channels_last(like).flags.c_contiguous
    threads = get_num_threads() if like.nbytes >= SHARED else 1
    return _parts_of(like.shape, like.dtype, last, groups, per_sample, BLOCK, threads)


@functools.lru_cache(maxsize=256)
def _parts_of(
    shape: tuple[int, ...], dtype: np.dtype, last: bool, groups: int, per_sample: bool, block: int, threads: int
) -> Sequence[Part]:
    """The same, found out once for all arrays of a shape; `threads` are those that `spans` cuts for."""
    n, channels = shape[:2]
    units = n * groups if per_sample else groups
    each = math.prod(shape) * dtype.itemsize // units  # bytes
    whole = ChannelBlocks(shape, dtype, last, per_sample)
    if whole.in_columns or each > block:
        return [whole]
    stack = (1, n * channels, -1) if per_sample else (n, channels, -1)
    parts = spans(units, block // each) if threads > 1 else pieces(units, block // each)
    return [GroupBlock(stack, part, channels // groups) for part in parts]


def one_by_one(work: Callable[[Any], None], parts: Sequence[Part], like: Array) -> None:
    """Call `work(part)` for all parts of arrays like this; shared out over threads if that is worth it."""
    (in_turn if like.nbytes < SHARED else for_each)(work, parts)


def _each_channel(numbers: np.ndarray, shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
    """Numbers (groups, 1) or (groups, channels of a group), for each channel of all groups, in this shape."""
    each = np.empty((len(numbers), math.prod(shape) // len(numbers)), dtype)
    each[...] = numbers
    return each.reshape(shape)


class GroupBlock:
    """A few whole groups of channels of arrays (N, C, *size) in row-major memory, as one stack of matrices of their rows.

    All steps on it together are some thirty calls of NumPy on a few numbers, which cost 60 to 100 us whatever its size. So it is
    as large as the cache that the cores share allows; blocks for a core's own cache were slower.
    `units` are the groups: of all samples one after another if each sample has groups of its own.
    """

    def __init__(self, stack: tuple[int, int, int], units: slice, size: int):
        self.stack, self.units = stack, units
        self.rows = slice(units.start * size, units.stop * size)

    def run(self, work: Work, arrays: Sequence[Array], numbers: Sequence[np.ndarray], sums: int = 0) -> np.ndarray:
        """As `ChannelBlocks.run`, in one call; the sums are (sums, 1, rows), in float64 only where more than one were added."""
        parts = [a.reshape(self.stack)[:, self.rows] for a in arrays]
        samples, rows, width = parts[0].shape
        dtype = parts[0].dtype
        total = np.empty((sums, samples, rows), dtype)
        if numbers:
            with short_buffer(width):
                work(_row_sums(total), *parts, *[_each_channel(c, (1, rows, 1), dtype) for c in numbers])
        else:
            work(_row_sums(total), *parts)
        return total if samples == 1 else total.sum(axis=1, keepdims=True, dtype=np.float64)


class ChannelBlocks:
    """The blocks of arrays (N, C, *size) in row-major memory, or with `last` in channels-last memory.

    The sums by channel are (S, C): with S = 1 all samples share them, else S = N and each sample has its own. Numbers for the
    channels are (groups, 1) or (groups, channels of a group), where the groups of all S samples follow one another.
    """

    units = WHOLE[0]  # all groups

    def __init__(self, shape: Sequence[int], dtype: np.dtype, last: bool = False, per_sample: bool = False):
        self.n, self.channels = shape[:2]
        positions = math.prod(shape[2:])
        self.samples = self.n if per_sample else 1
        self.last = last
        self.inner = 1  # how many neighbours in a row of columns belong to the same channel
        if not self.last and not per_sample and self.channels * positions <= ROW:
            self.inner = positions
        self.in_columns = self.last or self.inner > 1
        self.stack = (self.n, self.channels, positions)
        self.times = 1  # how often the numbers of the channels stand in a row of columns
        if self.in_columns:
            period = self.channels * self.inner
            rows = self.n * self.channels * positions // (self.samples * period)
            self.stack = (self.samples, rows, period)
            self.times = _side_by_side(rows, max(1, min(ROW // period, rows)))
        self.shared = math.prod(shape) * dtype.itemsize >= SHARED
        self.block = BLOCK // dtype.itemsize
        self.dtype = dtype

    def run(self, work: Work, arrays: Sequence[Array], numbers: Sequence[Array], sums: int = 0) -> np.ndarray:
        """Call `work(add, *parts, *numbers)` for every block: stacks of matrices, which may be written to, and what broadcasts
        with them.

        `add(k, a)` adds a part's values by channel to the k-th of the `sums`, and `add(k, a, b)` those of the product of two.
        They are returned as (sums, S, C), float64.
        """
        stacks = list(zip(*map(self._stacks, arrays), strict=True))
        beside = [self._beside(_each_channel(c, (self.samples, self.channels, 1), self.dtype)) for c in numbers]

        def one(stack: Sequence[Array], block: Any) -> Array:
            parts = stack if block is None else [a[block] for a in stack]
            samples, rows, width = parts[0].shape
            total = np.zeros((sums, samples, width if self.in_columns else rows), self.dtype)
            add = (_column_sums if self.in_columns else _row_sums)(total)
            if beside:
                with short_buffer(width):
                    work(add, *parts, *(_belonging(b, block, width) for b in beside))
            else:
                work(add, *parts)
            return total

        if not self.shared:
            with one_blas_thread():
                found = [(None, one(stack, None)) for stack in stacks]
            return self._total(found) if sums else NOTHING
        jobs = [(stack, block) for stack in stacks for block in self._blocks(stack[0].shape)]
        if not sums:
            jobs.reverse()  # after a pass for the sums, what that has read last is still in the cache
            for_each(lambda job: one(*job), jobs)
            return NOTHING
        by_job: list[Any] = [None] * len(jobs)

        def numbered(number: int) -> None:
            by_job[number] = one(*jobs[number])

        for_each(numbered, range(len(jobs)))
        return self._total([(block, part) for (_, block), part in zip(jobs, by_job, strict=True)])

    def _blocks(self, shape: tuple[int, ...]) -> list[Any]:
        """Indices that cut a stack of matrices into blocks along its outermost axes."""
        n, rows, width = shape
        if n > 1 and rows * width <= self.block:
            return [(part, *WHOLE[1:]) for part in spans(n, self.block // (rows * width))]
        each = [slice(i, i + 1) for i in range(n)]
        if self.in_columns or width <= 2 * self.block:
            return [(i, part, WHOLE[2]) for i in each for part in spans(rows, max(1, self.block // width))]
        each_row = [slice(r, r + 1) for r in range(rows)]
        return [(i, r, part) for i in each for r in each_row for part in spans(width, self.block, aligned=16)]

    def _stacks(self, a: Array) -> list[Array]:
        """One stack of matrices; of columns two, if positions are left that do not fill a row."""
        if not self.in_columns:
            return [a.reshape(self.stack)]
        samples, rows, period = self.stack
        narrow = (channels_last(a) if self.last else a).reshape(self.stack)
        rest = rows % self.times
        wide = narrow[:, : rows - rest].reshape(samples, -1, period * self.times)
        return [wide, narrow[:, rows - rest :]] if rest else [wide]

    def _beside(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers (S, C, 1) as they are beside rows, or (S, 1, width) over columns."""
        if not self.in_columns:
            return numbers
        repeated = np.empty((self.samples, self.times, self.channels, self.inner), numbers.dtype)
        repeated[...] = numbers[:, None]
        return repeated.reshape(self.samples, 1, -1)

    def _total(self, found: list[tuple[Any, np.ndarray]]) -> np.ndarray:
        """(sums, S, C): the sums over all blocks, from those of each."""
        total = np.zeros((len(found[0][1]), self.samples if self.in_columns else self.n, self.channels))
        for block, part in found:
            samples, rows, _ = block or WHOLE
            if self.in_columns:
                each = part.reshape(*part.shape[:2], -1, self.channels, self.inner)
                total[:, samples] += each.sum(axis=(2, 4), dtype=np.float64)
            else:
                total[:, samples, rows] += part
        return total if total.shape[1] == self.samples else total.sum(axis=1, keepdims=True)


Part = ChannelBlocks | GroupBlock


@functools.lru_cache(maxsize=256)
def _side_by_side(rows: int, most: int) -> int:
    """How many of the rows to make one of: nearly as many as allowed, and so that none is left, if possible."""
    return next((times for times in range(most, most // 2, -1) if rows % times == 0), most)


def _belonging(numbers: Array, block: Any, width: int) -> Array:
    """The part of the numbers (S, C, 1) or (S, 1, width) that belongs to a block; where a length is 1, they belong to all."""
    samples, rows, _ = block or WHOLE
    return numbers[samples if len(numbers) > 1 else WHOLE[0], rows if numbers.shape[1] > 1 else WHOLE[1], :width]


def _column_sums(total: Array) -> Callable[..., None]:
    """`add` for matrices whose columns belong to channels: (n, rows, width) -> (n, width)."""

    def add(k: int, a: Array, b: Array | None = None) -> None:
        if b is None:
            np.matmul(constants(1, a.shape[1], a.dtype.char), a, out=total[k])
        else:
            np.einsum("npc,npc->nc", a, b, out=total[k])

    return add


def _row_sums(total: Array) -> Callable[..., None]:
    """`add` for matrices whose rows do: (n, rows, width) -> (n, rows)."""

    def add(k: int, a: Array, b: Array | None = None) -> None:
        if b is None:
            np.matmul(a, constants(1, a.shape[2], a.dtype.char), out=total[k])
        else:
            np.vecdot(a, b, out=total[k])

    return add


def constants(value: int, count: int, kind: str) -> Array:
    """So many ones, or zeros, not to be written to."""
    return _constants(value, 1 << count.bit_length(), kind)[:count]


@functools.lru_cache(maxsize=8)
def _constants(value: int, count: int, kind: str) -> Array:
    return np.full(count, value, kind)


def zeros_below(part: Array) -> Array:
    """A row of zeros to compare a block with: NumPy does it three times faster than with a number."""
    return constants(0, part.shape[-1], part.dtype.char)


def short_buffer(length: int) -> AbstractContextManager[None]:
    """Let NumPy broadcast one row of numbers, or one column, without writing them out for every row first.

    That is what it does where several rows fit into its buffer of 8192 elements, so as to call its loop for all of them at once.
    """
    return _ShortBuffer() if 256 <= length < 8192 else nullcontext()


class _ShortBuffer:
    def __enter__(self) -> None:
        self.before = np.setbufsize(16)

    def __exit__(self, *error: object) -> None:
        np.setbufsize(self.before)


def in_rows(work: Work, columns: int, *arrays: Any) -> None:
    """Call `work(*parts)` for blocks of rows of arrays in row-major memory: matrices of so many columns, or of one.

    The first array has the columns, and None stays None. As many rows as it has, all others have too.
    """
    matrices: list[Any] = [None if a is None else a.reshape(arrays[0].size // columns, -1) for a in arrays]
    rows, step, few = len(matrices[0]), max(1, BLOCK // (columns * arrays[0].itemsize)), arrays[0].nbytes < SHARED
    parts = pieces(rows, step) if few else spans(rows, step)

    def one(part: slice) -> None:
        with short_buffer(columns):
            work(*(None if a is None else a[part] for a in matrices))

    (in_turn if few else for_each)(one, parts)
