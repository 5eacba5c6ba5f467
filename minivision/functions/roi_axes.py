"""RoIAlign and PrRoIPool along one axis: the matrix (K, bins, length) that takes the cells of the map to the bins of each box.

Cell k of the map contributes through the hat function, hat(u - k) = max(1 - |u - k|, 0): linear interpolation at u.
"""

from __future__ import annotations

import numpy as np

from minivision.backend import Array, to_numpy, xp_of

MOST_SAMPLES = 2**23  # along one axis, over all boxes: an array of them takes 64 MB


def hat(u: Array) -> Array:
    """1 at 0, falling linearly to 0 at -1 and 1."""
    return xp_of(u).maximum(1 - abs(u), 0)


class BinSamples:
    """The samples of RoIAlign along one axis: g in each bin, evenly spaced.

    A sample lies at u = (1 - t) low + t high, with t = (p + (i + 1/2) / g) / bins for sample i of bin p; low and high are the
    box's ends in cells, minus 1/2 when aligned. Its weights are hat(u - k), with u moved into the map when it lies less than a
    cell outside, and 0 farther out. So moving the box gives

        d weight_k / du = -1 at k = floor(u), +1 at k = floor(u) + 1,  du / dlow = scale (1 - t),  du / dhigh = scale t

    and no derivative where u was moved. With `average` the matrix has a row per bin, the mean of the samples' weights; otherwise
    a row per sample.
    """

    def __init__(
        self, low: Array, high: Array, bins: int, length: int, scale: float, aligned: bool, sampling_ratio: int, average: bool
    ):
        xp = xp_of(low)
        self.bins, self.length, self.scale, self.average = bins, length, scale, average
        offset = 0.5 if aligned else 0.0
        start = low * scale - offset
        size = high * scale - offset - start
        self.enlarged = xp.zeros(size.shape, bool) if aligned else size < 1  # to one cell; the far end then follows the near one
        size = size if aligned else xp.maximum(size, 1)
        count = xp.full(size.shape, sampling_ratio, low.dtype) if sampling_ratio > 0 else xp.maximum(xp.ceil(size / bins), 0)
        self.most = max(int(count.max()), 1) if count.size else 1
        if count.size * bins * self.most > MOST_SAMPLES:
            box = int(count.argmax())
            raise ValueError(
                f"roi_align: box {box} reaches over {float(size[box]):.4g} cells of a map of {length}, which takes {self.most} "
                f"samples in each of its {bins} bins; clip the boxes with ops.clip_boxes_to_image, or give a sampling_ratio"
            )

        # all (K, bins, g): one number per sample
        bin_size, g = (size / bins)[:, None, None], xp.maximum(count, 1)[:, None, None]
        p, i = xp.arange(bins, dtype=low.dtype)[:, None], xp.arange(self.most, dtype=low.dtype)
        u = start[:, None, None] + p * bin_size + (i + 0.5) * bin_size / g
        self.t = (p + (i + 0.5) / g) / bins
        self.used = i < count[:, None, None]  # (K, 1, g): boxes of different size take different numbers of samples
        self.share = self.used / g if average else self.used.astype(low.dtype)
        self.valid = self.used & (u >= -1) & (u <= length)
        self.moves = self.valid & (u >= 0) & (u < length - 1)
        self.u = xp.clip(u, 0, length - 1)
        self.cell = xp.floor(self.u).astype(np.int64)

    def matrix(self) -> Array:
        """(K, bins, length), or (K, bins g, length) with a row for each sample."""
        xp = xp_of(self.u)
        k = xp.arange(self.length, dtype=self.u.dtype)
        weight = (self.share * self.valid)[..., None]
        boxes = len(self.u)
        if not self.average:
            return (hat(self.u[..., None] - k) * weight).reshape(boxes, self.bins * self.most, self.length)
        rows = xp.zeros((boxes, self.bins, self.length), self.u.dtype)
        somewhere = self.valid.any(axis=(0, 1))  # long bins reach far beyond the map
        for i in to_numpy(xp.flatnonzero(somewhere)):
            rows += hat(self.u[:, :, i, None] - k) * weight[:, :, i]
        return rows

    def pull(self, gradient: Array) -> tuple[Array, Array]:
        """The gradients to low and high (K,), from that of the matrix."""
        xp = xp_of(gradient)
        boxes, rows, length = gradient.shape
        cell = self.cell.reshape(boxes, rows, self.bins * self.most // rows)
        here = xp.take_along_axis(gradient, cell, axis=2)
        beyond = xp.take_along_axis(gradient, xp.minimum(cell + 1, length - 1), axis=2)
        du = (beyond - here).reshape(self.u.shape) * (self.moves * self.share * self.scale)
        to_high = (du * self.t).sum(axis=(1, 2))
        to_low = (du * (1 - self.t)).sum(axis=(1, 2))
        both, nothing = to_low + to_high, xp.zeros_like(to_high)
        return xp.where(self.enlarged, both, to_low), xp.where(self.enlarged, nothing, to_high)


class BinIntegrals:
    """The bins of PrRoIPool along one axis: bin p lies between edges p and p + 1; edge p is (1 - t) low + t high, t = p / bins.

    The centres of the cells cut a bin into pieces. On a piece, between the centres k and k + 1, the surface is a straight line,
    and its mean is its value in the middle u. So each piece is a sample of RoIAlign, weighted by its share of the bin's length:

        weight_k = share (k + 1 - u),  weight_(k+1) = share (u - k)
        d weight_k / du = -share,  d weight_(k+1) / du = +share,  du / dlow = scale (1 - t),  du / dhigh = scale t

    The cuts stay where they are when the edges move, but the two lines agree there, so that takes nothing away. Cells -1 and
    `length`, outside the map, are 0.
    """

    def __init__(self, low: Array, high: Array, bins: int, length: int, scale: float, aligned: bool):
        xp = xp_of(low)
        self.scale = scale
        offset = 0.5 if aligned else 0.0
        start = low * scale - offset
        size = xp.maximum(high * scale - offset - start, 0)

        # (K, bins + 1) edges; then (K, bins, length + 1): one number per bin and piece
        edges = start[:, None] + xp.arange(bins + 1, dtype=low.dtype) / bins * size[:, None]
        left, right = edges[:, :-1, None], edges[:, 1:, None]
        p, self.k = xp.arange(bins, dtype=low.dtype)[:, None], xp.arange(-1, length, dtype=low.dtype)
        first, last = xp.maximum(left, self.k), xp.minimum(right, self.k + 1)
        width = xp.where(right > left, right - left, xp.ones_like(left))
        self.share = xp.maximum(last - first, 0) / width
        self.u = (first + last) / 2
        self.t = (p + xp.clip((self.u - left) / width, 0, 1)) / bins

    def matrix(self) -> Array:
        """(K, bins, length)"""
        before, after = self.share * (self.k + 1 - self.u), self.share * (self.u - self.k)  # for the cells k and k + 1
        return before[..., 1:] + after[..., :-1]

    def pull(self, gradient: Array) -> tuple[Array, Array]:
        """The gradients to low and high (K,), from that of the matrix."""
        xp = xp_of(gradient)
        framed = xp.pad(gradient, ((0, 0), (0, 0), (1, 1)))  # the cells outside
        du = (framed[..., 1:] - framed[..., :-1]) * (self.share * self.scale)
        return (du * (1 - self.t)).sum(axis=(1, 2)), (du * self.t).sum(axis=(1, 2))
