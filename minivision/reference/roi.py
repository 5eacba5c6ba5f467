"""Regions of interest: a box of any size becomes a grid of P x Q numbers per channel.

RoIPool (Girshick 2015, arXiv:1504.08083) rounds the box to whole pixels, RoIAlign (He et al. 2017, arXiv:1703.06870) samples the
map between them, PrRoIPool (Jiang et al. 2018, arXiv:1807.11590) takes the exact mean of the map, read as a bilinear surface.

Everywhere x is (N, C, H, W), and boxes are (R, 5), each (image, x1, y1, x2, y2) in pixels of the original image; `spatial_scale`
brings them into the coordinates of x. Returns (R, C, P, Q) for output_size (P, Q).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision.reference.loops import per_axis, positions

Array = np.ndarray


# ---- RoIPool ----


def roi_pool(x: Array, boxes: Array, output_size: Any, spatial_scale: float = 1.0) -> tuple[Array, Array]:
    """y[r,c,i,j] = the largest x in bin (i, j) of box r;  indices says where it stood, as row W + col, -1 for an empty bin

    The corners are rounded to pixels, halves away from zero, and both ends count. For bins of length b, bin i spans the rows
    floor(i b) .. ceil((i + 1) b) - 1, so neighbours may share one. What lies outside the map is left out; a bin with nothing left
    is 0.
    """
    (P, Q), (height, width) = per_axis(output_size, 2), x.shape[2:]
    y = np.zeros((len(boxes), x.shape[1], P, Q))
    indices = np.full(y.shape, -1, np.int64)
    for r, (n, x1, y1, x2, y2) in enumerate(boxes):
        rows = whole_bins(spatial_scale * y1, spatial_scale * y2, P, height)
        cols = whole_bins(spatial_scale * x1, spatial_scale * x2, Q, width)
        for c, i, j in positions(x.shape[1], P, Q):
            best = None
            for row in rows[i]:
                for col in cols[j]:
                    value = x[int(n), c, row, col]
                    if best is None or value > best:
                        best, indices[r, c, i, j] = value, row * width + col
            y[r, c, i, j] = 0 if best is None else best
    return y, indices


def roi_pool_backward(dy: Array, indices: Array, boxes: Array, shape: Any) -> Array:
    """dy goes to the winners of the bins. The boxes receive nothing: rounded, they do not move. `shape` is that of x."""
    dx = np.zeros(shape)
    for r, c, i, j in positions(*dy.shape):
        if indices[r, c, i, j] >= 0:
            row, col = divmod(int(indices[r, c, i, j]), shape[3])
            dx[int(boxes[r, 0]), c, row, col] += dy[r, c, i, j]
    return dx


def whole_bins(low: float, high: float, bins: int, length: int) -> list[range]:
    """Along one axis, the pixels of each bin that lie on the map."""
    start, end = round_half_away(low), round_half_away(high)
    bin_length = max(end - start + 1, 1) / bins
    return [
        range(max(start + math.floor(p * bin_length), 0), min(start + math.ceil((p + 1) * bin_length), length))
        for p in range(bins)
    ]


def round_half_away(v: float) -> int:
    """0.5 -> 1, 2.5 -> 3, -0.5 -> -1: as C rounds, where Python takes the even neighbour."""
    return int(math.copysign(math.floor(abs(v) + 0.5), v))


# ---- RoIAlign ----


def roi_align(
    x: Array, boxes: Array, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = -1, aligned: bool = False,
    reduction: str = "mean",
) -> Array:  # fmt: skip
    """y[r,c,i,j] = the mean of x[image of r, c] at g x g points, spread evenly over bin (i, j) of box r; nothing is rounded

    g is `sampling_ratio`, or ceil(bin length) if that is not positive. aligned shifts by half a pixel, since pixel centres lie at
    i + 1/2; without it (the first version of the paper's code) boxes are also at least one pixel large. Points that lie more than
    one pixel outside x count as 0. reduction "max" takes the largest of the points in place of their mean.
    """
    (P, Q), settings = per_axis(output_size, 2), (spatial_scale, sampling_ratio, aligned)
    y = np.zeros((len(boxes), x.shape[1], P, Q))
    for r, (n, x1, y1, x2, y2) in enumerate(boxes):
        rows, cols = samples(y1, y2, P, *settings), samples(x1, x2, Q, *settings)
        for c, i, j in positions(x.shape[1], P, Q):
            values = [sampled(x[int(n), c], row, col) for row, _, _ in rows[i] for col, _, _ in cols[j]]
            if values:
                y[r, c, i, j] = max(values) if reduction == "max" else sum(values) / len(values)
    return y


def roi_align_backward(
    dy: Array, x: Array, boxes: Array, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = -1,
    aligned: bool = False,
) -> tuple[Array, Array]:  # fmt: skip
    """The chain rule, read off roi_align: each point sends its share of dy to the pixels around it, and to the box that holds it.

    Returns dx like x, and dboxes (R, 5), whose first column, the image, is 0. Moving a point along the rows changes its value by
    the difference of the pixels below and above it; how it moves with y1 and y2, `samples` says.
    """
    (P, Q), settings = per_axis(output_size, 2), (spatial_scale, sampling_ratio, aligned)
    dx, dboxes = np.zeros(x.shape), np.zeros(boxes.shape)
    for r, (n, x1, y1, x2, y2) in enumerate(boxes):
        n = int(n)
        rows, cols = samples(y1, y2, P, *settings), samples(x1, x2, Q, *settings)
        for c, i, j in positions(x.shape[1], P, Q):
            for row, row_by_y1, row_by_y2 in rows[i]:
                for col, col_by_x1, col_by_x2 in cols[j]:
                    if not on_the_map(row, col, x.shape[2:]):
                        continue
                    share = dy[r, c, i, j] / (len(rows[i]) * len(cols[j]))
                    for k, weight_k, slope_k in neighbours(row, x.shape[2]):
                        for m, weight_m, slope_m in neighbours(col, x.shape[3]):
                            dx[n, c, k, m] += share * weight_k * weight_m
                            d_row = share * slope_k * weight_m * x[n, c, k, m]
                            d_col = share * weight_k * slope_m * x[n, c, k, m]
                            dboxes[r, 1:] += [d_col * col_by_x1, d_row * row_by_y1, d_col * col_by_x2, d_row * row_by_y2]
    return dx, dboxes


def ps_roi_align(x: Array, boxes: Array, output_size: Any, spatial_scale: float = 1.0, sampling_ratio: int = -1) -> Array:
    """y[r,c,i,j] = `roi_align` of input channel (c P + i) Q + j, in its bin (i, j): each bin has a channel of its own

    x (N, C P Q, H, W) -> (R, C, P, Q), aligned (Li et al. 2017, arXiv:1711.07264).
    """
    P, Q = per_axis(output_size, 2)
    every_bin = roi_align(x, boxes, (P, Q), spatial_scale, sampling_ratio, aligned=True)
    y = np.zeros((len(boxes), x.shape[1] // (P * Q), P, Q))
    for r, c, i, j in positions(*y.shape):
        y[r, c, i, j] = every_bin[r, (c * P + i) * Q + j, i, j]
    return y


def samples(
    low: float, high: float, bins: int, spatial_scale: float, sampling_ratio: int, aligned: bool
) -> list[list[tuple[float, float, float]]]:
    """Along one axis, the points of each bin: where, and how fast they move with the low and with the high end of the box.

    A point at fraction t of the box lies at (1 - t) low + t high. A box enlarged to one pixel moves with its low end alone.
    """
    shift = 0.5 if aligned else 0.0
    start, end = spatial_scale * low - shift, spatial_scale * high - shift
    enlarged = not aligned and end - start < 1
    length = 1.0 if enlarged else end - start
    bin_length = length / bins
    g = sampling_ratio if sampling_ratio > 0 else max(math.ceil(bin_length), 0)
    found = []
    for p in range(bins):
        places = [(start + p * bin_length + (i + 0.5) * bin_length / g, (p + (i + 0.5) / g) / bins) for i in range(g)]
        found.append([(u, spatial_scale * (1 if enlarged else 1 - t), 0 if enlarged else spatial_scale * t) for u, t in places])
    return found


def sampled(image: Array, row: float, col: float) -> float:
    """`bilinear`, but 0 more than one pixel outside."""
    return bilinear(image, row, col) if on_the_map(row, col, image.shape) else 0.0


def on_the_map(row: float, col: float, size: Any) -> bool:
    """Whether a point lies no more than one pixel outside the first and the last centre."""
    return -1 <= row <= size[0] and -1 <= col <= size[1]


# ---- the map between its pixels ----


def bilinear(image: Array, row: float, col: float) -> float:
    """The image (H, W) between its pixels: the mean of the four around (row, col), each weighted by how near it is

    (1-t)(1-s) a + (1-t) s b + t (1-s) c + t s d, with t and s the fractions of row and col. Pixel centres are whole numbers;
    before the first and behind the last centre the border is repeated.
    """
    return sum(
        weight_i * weight_j * image[i, j]
        for i, weight_i, _ in neighbours(row, image.shape[0])
        for j, weight_j, _ in neighbours(col, image.shape[1])
    )


def neighbours(u: float, length: int) -> list[tuple[int, float, float]]:
    """Along one axis, the pixels around u, as (pixel, weight, derivative of the weight to u): 1 - t and t.

    At a pixel's centre the derivative is that to the right. Beyond the outermost centres the value does not change with u.
    """
    if u < 0:
        return [(0, 1.0, 0.0)]
    if u >= length - 1:
        return [(length - 1, 1.0, 0.0)]
    i = math.floor(u)
    t = u - i
    return [(i, 1 - t, -1.0), (i + 1, t, 1.0)]


# ---- PrRoIPool ----


def prroi_pool(x: Array, boxes: Array, output_size: Any, spatial_scale: float = 1.0, aligned: bool = False) -> Array:
    """y[r,c,i,j] = (integral of the bilinear surface over bin (i, j) of box r) / (area of the bin), 0 for a bin without area

    Four neighbouring pixel centres span a patch, on which the surface is linear along each axis; so its mean over any rectangle
    inside is its value in the middle. The integral is the sum over the patches that the bin meets. Outside the map x is 0.
    """
    (P, Q), shift = per_axis(output_size, 2), 0.5 if aligned else 0.0
    y = np.zeros((len(boxes), x.shape[1], P, Q))
    for r, (n, *corners) in enumerate(boxes):
        x1, y1, x2, y2 = (spatial_scale * v - shift for v in corners)
        bin_height, bin_width = max(y2 - y1, 0) / P, max(x2 - x1, 0) / Q
        if bin_height == 0 or bin_width == 0:
            continue
        for c, i, j in positions(x.shape[1], P, Q):
            framed = np.pad(x[int(n), c], 1)  # the zeros around the map
            for top, bottom in pieces(y1 + i * bin_height, y1 + (i + 1) * bin_height, x.shape[2]):
                for left, right in pieces(x1 + j * bin_width, x1 + (j + 1) * bin_width, x.shape[3]):
                    middle = bilinear(framed, (top + bottom) / 2 + 1, (left + right) / 2 + 1)
                    y[r, c, i, j] += middle * (bottom - top) * (right - left) / (bin_height * bin_width)
    return y


def pieces(low: float, high: float, length: int) -> list[tuple[float, float]]:
    """The parts of low .. high between one pixel centre and the next, from the zero at -1 to the zero at `length`."""
    cut = [(max(low, k), min(high, k + 1)) for k in range(-1, length)]
    return [(a, b) for a, b in cut if a < b]
