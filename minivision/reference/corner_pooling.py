"""Corner pooling (Law & Deng 2018, arXiv:1808.01244): the largest value from a position to one edge of the map."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minivision.reference.loops import positions

Array = np.ndarray


def top_pool(x: Array) -> tuple[Array, Array]:
    """y[n,c,i,j] = max of x[n, c, i:, j]: everything below"""
    return corner_pool(x, lambda i, j: [(row, j) for row in reversed(range(i, x.shape[2]))])


def bottom_pool(x: Array) -> tuple[Array, Array]:
    """y[n,c,i,j] = max of x[n, c, :i + 1, j]: everything above"""
    return corner_pool(x, lambda i, j: [(row, j) for row in range(i + 1)])


def left_pool(x: Array) -> tuple[Array, Array]:
    """y[n,c,i,j] = max of x[n, c, i, j:]: everything to the right"""
    return corner_pool(x, lambda i, j: [(i, col) for col in reversed(range(j, x.shape[3]))])


def right_pool(x: Array) -> tuple[Array, Array]:
    """y[n,c,i,j] = max of x[n, c, i, :j + 1]: everything to the left"""
    return corner_pool(x, lambda i, j: [(i, col) for col in range(j + 1)])


def corner_pool(x: Array, scan: Callable[[int, int], list[tuple[int, int]]]) -> tuple[Array, Array]:
    """y[n,c,i,j] = the largest x among the positions scan(i, j);  indices says where it stood, as row W + col

    x (N, C, H, W) -> y and int64 indices like x. The scan comes from the edge of the map to (i, j), and of equal values the first
    one wins. The gradient is that of max pooling: `max_pool_backward(dy, indices, (H, W))`.
    """
    y, indices = np.zeros(x.shape), np.zeros(x.shape, np.int64)
    for n, c, i, j in positions(*x.shape):
        line = scan(i, j)
        best = line[0]
        for at in line:
            if x[n, c, *at] > x[n, c, *best]:
                best = at
        y[n, c, i, j], indices[n, c, i, j] = x[n, c, *best], best[0] * x.shape[3] + best[1]
    return y, indices
