"""Work along the class axis of scores (N, C, *size) on the CPU, in blocks of pixels, shared out over threads.

A softmax takes several steps along the classes of each pixel. A block holds all classes of some pixels as a matrix (C, pixels),
whatever the order of memory of the scores: so every step is a loop over neighbouring pixels, and the block stays in the cache
from the first step to the last. Channels-last scores are turned over on the way in, and results on the way out.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minivision.backend import Array
from minivision.functions.channel_blocks import short_buffer
from minivision.functions.layout import channels_first, channels_last
from minivision.memory import empty, scratch
from minivision.threads import for_each, in_turn, spans

BLOCK = 1 << 19  # elements: few enough for the cache, many enough that threads are not busy with waking each other
SMALLEST = 1 << 13  # elements below which a few calls on the whole array are the fastest
SHARED = 1 << 19  # elements below which waking another thread costs more than it brings


def worth_blocks(x: Array) -> bool:
    """Whether x is an array that this module takes: NumPy's, float32 or float64, and large enough."""
    return type(x) is np.ndarray and x.ndim > 1 and x.size >= SMALLEST and x.dtype.char in "fd"


class ClassBlocks:
    """The blocks of scores in the shape of `like`, each some samples with all their positions, or some positions of a sample."""

    def __init__(self, like: Array):
        self.n, self.classes = like.shape[:2]
        self.size = like.shape[2:]
        self.positions = math.prod(self.size)
        self.last = channels_last(like).flags.c_contiguous  # then all samples are one, with N times as many positions
        samples, positions = (1, self.n * self.positions) if self.last else (self.n, self.positions)
        self.shared = like.size >= SHARED
        pixels = max(1, BLOCK // self.classes)
        if not self.shared:
            self.jobs = [(slice(0, samples), slice(0, positions))]
        elif positions <= pixels and samples > 1:
            self.jobs = [(part, slice(0, positions)) for part in spans(samples, max(1, pixels // max(positions, 1)))]
        else:
            parts = spans(positions, pixels, aligned=16)
            self.jobs = [(slice(n, n + 1), part) for n in range(samples) for part in parts]

    def run(
        self, work: Callable[..., Any], scores: Sequence[Array | None], pixels: Sequence[Array | None],
        matrices: Sequence[Array | None] = (),
    ) -> None:  # fmt: skip
        """Call `work(*scores, *pixels, *matrices)` for every block: of (N, C, *size) a view (C, n, l), of (N, *size) one (n l,).

        `matrices` are in an order of memory of our own, block after block, from `new_matrices`; of them, a part is (C, n l).
        Parts may be written to; None stays None.
        """
        planes = [None if a is None else self.planes(a) for a in scores]
        flat = [None if a is None else a.reshape((1, -1) if self.last else (self.n, -1)) for a in pixels]

        def one(job: tuple[slice, slice]) -> None:
            n, part = job
            count = (n.stop - n.start) * (part.stop - part.start)
            start = (n.start * self.positions + part.start) * self.classes
            with short_buffer(part.stop - part.start):
                work(
                    *(None if a is None else a[:, n, part] for a in planes),
                    *(None if a is None else a[n, part].reshape(-1) for a in flat),
                    *(None if a is None else a[start : start + count * self.classes].reshape(-1, count) for a in matrices),
                )

        (for_each if self.shared else in_turn)(one, self.jobs)

    def planes(self, a: Array) -> Array:
        """(N, C, *size) as (C, N, positions), or channels-last (C, 1, N positions): a view wherever possible, else a copy."""
        if channels_last(a).flags.c_contiguous:
            a = channels_last(a).reshape(self.n, self.positions, self.classes).transpose(2, 0, 1)
        else:
            a = a.reshape(self.n, self.classes, self.positions).swapaxes(0, 1)
        return a.reshape(self.classes, 1, -1) if self.last else a

    def like_scores(self, dtype: Any) -> Array:
        """An array (N, C, *size) of undefined values, in the order of memory of the scores."""
        if self.last:
            return channels_first(empty((self.n, *self.size, self.classes), dtype))
        return empty((self.n, self.classes, *self.size), dtype)

    def like_blocks(self, dtype: Any) -> Array:
        """The same in the order that blocks are worked on, for what stays until backward."""
        if self.last:
            return empty((self.classes, self.n, *self.size), dtype).swapaxes(0, 1)
        return empty((self.n, self.classes, *self.size), dtype)

    def new_matrices(self, dtype: Any) -> Array:
        """As many undefined values, for `run`."""
        return empty((self.n * self.classes * self.positions,), dtype)


def numbers_from_0(count: int) -> Array:
    """0, 1, ... count - 1, not to be written to."""
    return _first_numbers(1 << count.bit_length())[:count]


@functools.lru_cache(maxsize=2)
def _first_numbers(count: int) -> Array:
    return np.arange(count)


def matrix(name: str, part: Array) -> Array:
    """A workspace (C, pixels) for a part (C, n, l)."""
    return scratch(name, (part.shape[0], part.shape[1] * part.shape[2]), part.dtype)


def loaded(name: str, part: Array) -> Array:
    """A part (C, n, l) as a matrix (C, pixels) in a workspace."""
    values = matrix(name, part)
    values.reshape(part.shape)[...] = part
    return values


def store(part: Array, values: Array) -> None:
    """A matrix (C, pixels) into a part (C, n, l)."""
    values = values.reshape(part.shape)
    if len(part) > 8:
        part[...] = values
    else:  # NumPy would loop over the few classes of each pixel
        for target, row in zip(part, values, strict=True):
            target[...] = row


def subtract_maximum(part: Array, e: Array) -> Array:
    """A part (C, n, l) minus the largest score of each pixel, as a matrix e: that changes no softmax, and nothing overflows."""
    centred = e.reshape(part.shape)
    if part.strides[2] != part.itemsize:  # channels-last
        centred[...] = part
        part = centred
    np.subtract(part, part.max(axis=0), out=centred)
    return e


def sum_of_classes(e: Array) -> Array:
    """(C, pixels) -> (pixels,), by a row of ones times the matrix."""
    return np.ones(len(e), e.dtype) @ e


def softmax(x: Array, logarithm: bool = False) -> Array:
    """e^(x_c) / sum_k e^(x_k) over the classes c of each pixel of x (N, C, *size), or its logarithm."""
    blocks = ClassBlocks(x)
    y = blocks.like_scores(x.dtype)

    def work(x: Array, y: Array) -> None:
        centred = subtract_maximum(x, matrix("class scores", x))
        e = np.exp(centred, out=matrix("class gradients", x) if logarithm else centred)
        total = sum_of_classes(e)
        store(y, np.subtract(centred, np.log(total), out=centred) if logarithm else np.multiply(e, 1 / total, out=e))

    blocks.run(work, (x, y), ())
    return y


def softmax_gradient(y: Array, dy: Array, logarithm: bool = False) -> Array:
    """dx = y (dy - sum_k dy_k y_k) for y = softmax(x), dx = dy - e^y sum_k dy_k for its logarithm."""
    blocks = ClassBlocks(y)
    dx = blocks.like_scores(y.dtype)

    def work(y: Array, dy: Array, dx: Array) -> None:
        p, g = loaded("class scores", y), loaded("class gradients", dy)
        if logarithm:
            np.exp(p, out=p)
            np.multiply(p, sum_of_classes(g), out=p)
            np.subtract(g, p, out=g)
        else:
            g -= np.einsum("cp,cp->p", g, p)
            g *= p
        store(dx, g)

    blocks.run(work, (y, dy, dx), ())
    return dx
