"""Windows that slide over a plane: reading them out, and its transpose, adding them back in. Convolutions and pools are made of
these two, and most of their mistakes are one of the two with another stride, dilation or start.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

Pair = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """Where each window lies: entry (a, b) of window (i, j) at row start + i stride + a dilation, and so for columns."""

    kernel: Pair
    count: Pair
    stride: Pair
    dilation: Pair = (1, 1)
    start: Pair = (0, 0)  # minus the padding

    def but(self, **changes: Pair) -> Windows:
        return replace(self, **changes)

    def indices(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, each to be broadcast to (kh, kw, OH, OW)."""
        rows, columns = (
            self.start[k] + np.arange(self.kernel[k])[:, None] * self.dilation[k] + np.arange(self.count[k]) * self.stride[k]
            for k in (0, 1)
        )
        return rows[:, None, :, None], columns[None, :, None, :]

    def read(self, x: np.ndarray, outside: float = 0.0) -> np.ndarray:
        """(N, C, H, W) -> (N, C, kh, kw, OH, OW); entries beyond the edge are `outside`."""
        rows, columns = self.indices()
        h, w = x.shape[2:]
        there = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
        return np.where(there, x[:, :, np.clip(rows, 0, h - 1), np.clip(columns, 0, w - 1)], outside)

    def add(self, parts: np.ndarray, size: Pair) -> np.ndarray:
        """(N, C, kh, kw, OH, OW) -> (N, C, *size): each entry is added where it was read; beyond the edge it is dropped."""
        rows, columns = np.broadcast_arrays(*self.indices())
        there = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
        x = np.zeros((*parts.shape[:2], *size))
        places = (slice(None), slice(None), rows[there], columns[there])
        np.add.at(x, places, parts[:, :, there])  # type: ignore[arg-type]
        return x

    def write(self, parts: np.ndarray, size: Pair) -> np.ndarray:
        """As `add`, but window after window with `=`: the last one stays."""
        rows, columns = np.broadcast_arrays(*self.indices())
        x = np.zeros((*parts.shape[:2], *size))
        for i, j in np.ndindex(*self.count):
            r, c = rows[:, :, i, j], columns[:, :, i, j]
            there = (r >= 0) & (r < size[0]) & (c >= 0) & (c < size[1])
            x[:, :, r[there], c[there]] = parts[:, :, :, :, i, j][:, :, there]
        return x


def settings(length: Pair, kernel: Pair, count: Pair) -> Iterator[tuple[Pair, Pair, Pair]]:
    """(stride, padding, dilation) with which windows of this size fit `count` times into a plane; likely ones first."""
    along = []
    for n, k, m in zip(length, kernel, count, strict=True):
        fitting = [
            (s, p, d)
            for d, s, p in itertools.product(range(1, 5 if k > 1 else 2), range(1, max(k, 4) + 1), range(2 * k))
            if (n + 2 * p - d * (k - 1) - 1) // s + 1 == m and n + 2 * p >= d * (k - 1) + 1
        ]
        along.append(fitting)
    both = itertools.product(*along)
    for vertical, horizontal in sorted(both, key=lambda two: (two[0] != two[1], sum(two[0]) + sum(two[1]))):
        (s, p, d), (t, q, e) = vertical, horizontal
        yield (s, t), (p, q), (d, e)


def negative(pair: Pair) -> Pair:
    return -pair[0], -pair[1]


def shown(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else str(pair)
