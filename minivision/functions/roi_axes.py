"""RoIAlign and PrRoIPool along one axis: the matrix (K, bins, length) that takes the cells of the map to the bins of each box.

Cell k of the map contributes through the hat function, hat(u - k) = max(1 - |u - k|, 0): linear interpolation at u.
"""

from __future__ import annotations

import numpy as np

from minivision.backend import Array, xp_of


def hat(u: Array) -> Array:
    """1 at 0, falling linearly to 0 at -1 and 1."""
    return xp_of(u).maximum(1 - abs(u), 0)


def hat_integral(u: Array) -> Array:
    """The integral of the hat from -infinity to u: (1 + u)^2 / 2 up to 0, then 1 - (1 - u)^2 / 2 up to 1."""
    u = xp_of(u).clip(u, -1, 1)
    return 0.5 + u - 0.5 * u * abs(u)


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
        for i in range(self.most):
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

    The weight of cell k is the mean of hat(u - k) over the bin a .. b: M = (F(b - k) - F(a - k)) / (b - a), F the integral of the
    hat. Moving an edge compares what lies there with the mean:

        dM/db = (hat(b - k) - M) / (b - a),  dM/da = (M - hat(a - k)) / (b - a)
    """

    def __init__(self, low: Array, high: Array, bins: int, length: int, scale: float, aligned: bool):
        xp = xp_of(low)
        self.scale = scale
        offset = 0.5 if aligned else 0.0
        start = low * scale - offset
        size = xp.maximum(high * scale - offset - start, 0)
        self.t = xp.arange(bins + 1, dtype=low.dtype) / bins
        edges = start[:, None] + self.t * size[:, None]
        self.distance = edges[:, :, None] - xp.arange(length, dtype=low.dtype)  # (K, bins + 1, length)
        width = (size / bins)[:, None, None]
        self.per_width = xp.where(width > 0, 1 / xp.where(width > 0, width, xp.ones_like(width)), xp.zeros_like(width))

    def matrix(self) -> Array:
        """(K, bins, length)"""
        area = hat_integral(self.distance)
        self.mean = (area[:, 1:] - area[:, :-1]) * self.per_width
        return self.mean

    def pull(self, gradient: Array) -> tuple[Array, Array]:
        """The gradients to low and high (K,), from that of the matrix."""
        xp = xp_of(gradient)
        height = hat(self.distance)
        gradient = gradient * self.per_width
        edge = xp.zeros(self.distance.shape[:2], gradient.dtype)
        edge[:, 1:] += (gradient * (height[:, 1:] - self.mean)).sum(axis=2)
        edge[:, :-1] += (gradient * (self.mean - height[:, :-1])).sum(axis=2)
        return (edge * (1 - self.t)).sum(axis=1) * self.scale, (edge * self.t).sum(axis=1) * self.scale
