"""The operations as their definitions read: plain loops over output positions. NumPy only, slow, independent of minivision."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

Ints = Sequence[int]


def positions(size: Ints) -> itertools.product:
    """Every index of an array of that size."""
    return itertools.product(*map(range, size))


def conv(x, w, b=None, stride: Ints = (1,), padding: Ints = (0,), dilation: Ints = (1,), groups: int = 1):
    """y[n,f,o] = b[f] + sum_c,k w[f,c,k] x[n, first channel of the group + c, s o + d k - p], where x is 0 outside."""
    size, kernel = x.shape[2:], w.shape[2:]
    out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)]
    y = np.zeros((x.shape[0], w.shape[0], *out), x.dtype)
    for n, f in positions(y.shape[:2]):
        first = f // (w.shape[0] // groups) * w.shape[1]
        for o in positions(out):
            total = 0.0 if b is None else b[f]
            for c in range(w.shape[1]):
                for k in positions(kernel):
                    at = tuple(s * i + d * j - p for i, j, s, p, d in zip(o, k, stride, padding, dilation, strict=True))
                    if all(0 <= a < m for a, m in zip(at, size, strict=True)):
                        total += w[(f, c, *k)] * x[(n, first + c, *at)]
            y[(n, f, *o)] = total
    return y


def conv_transpose(
    x, w, b=None, stride: Ints = (1,), padding: Ints = (0,), extra: Ints = (0,), dilation: Ints = (1,), groups: int = 1
):
    """Every x[n,c,o] stamps its kernel w[c], scaled by its value, onto y at s o - p; what falls outside y is lost."""
    kernel = w.shape[2:]
    size = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, k, s, p, e, d in zip(x.shape[2:], kernel, stride, padding, extra, dilation, strict=True)
    ]
    y = np.zeros((x.shape[0], w.shape[1] * groups, *size), x.dtype)
    for n, c in positions(x.shape[:2]):
        first = c // (x.shape[1] // groups) * w.shape[1]
        for o in positions(x.shape[2:]):
            for f in range(w.shape[1]):
                for k in positions(kernel):
                    at = tuple(s * i + d * j - p for i, j, s, p, d in zip(o, k, stride, padding, dilation, strict=True))
                    if all(0 <= a < m for a, m in zip(at, size, strict=True)):
                        y[(n, first + f, *at)] += x[(n, c, *o)] * w[(c, f, *k)]
    return y if b is None else y + b.reshape(-1, *[1] * len(kernel))


def pooled_size(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """floor or ceil of (n + 2p - d (k - 1) - 1) / s, plus 1; with ceil, windows that start in the right padding are dropped."""
    steps = (n + 2 * p - d * (k - 1) - 1) / s
    out = (math.ceil(steps) if ceil_mode else math.floor(steps)) + 1
    return out - 1 if ceil_mode and (out - 1) * s >= n + p else out


def max_pool(x, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil_mode: bool = False):
    """(values, flat indices): the first largest value among the real positions of each window; NaN counts as the largest."""
    size = x.shape[2:]
    out = [pooled_size(*sizes, ceil_mode) for sizes in zip(size, kernel, stride, padding, dilation, strict=True)]
    y, where = np.zeros((*x.shape[:2], *out), x.dtype), np.zeros((*x.shape[:2], *out), np.int64)
    for n, c in positions(x.shape[:2]):
        for o in positions(out):
            best = None
            for k in positions(kernel):
                at = tuple(s * i + d * j - p for i, j, s, p, d in zip(o, k, stride, padding, dilation, strict=True))
                if all(0 <= a < m for a, m in zip(at, size, strict=True)):
                    value = x[(n, c, *at)]
                    if best is None or value > best or np.isnan(value):
                        best, flat = value, int(np.ravel_multi_index(at, size))
            y[(n, c, *o)], where[(n, c, *o)] = best, flat
    return y, where


def avg_pool(x, kernel: Ints, stride: Ints, padding: Ints, ceil_mode: bool = False, count_include_pad: bool = True, divisor=None):
    """The sum over each window / the number of its positions, those beyond the padding never counted."""
    size = x.shape[2:]
    out = [pooled_size(n, k, s, p, 1, ceil_mode) for n, k, s, p in zip(size, kernel, stride, padding, strict=True)]
    y = np.zeros((*x.shape[:2], *out), x.dtype)
    for n, c in positions(x.shape[:2]):
        for o in positions(out):
            total, count = 0.0, 0
            for k in positions(kernel):
                at = tuple(s * i + j - p for i, j, s, p in zip(o, k, stride, padding, strict=True))
                real = all(0 <= a < m for a, m in zip(at, size, strict=True))
                total += x[(n, c, *at)] if real else 0.0
                in_padding = all(-p <= a < m + p for a, m, p in zip(at, size, padding, strict=True))
                count += real or (count_include_pad and in_padding)
            y[(n, c, *o)] = total / (divisor or count)
    return y


def adaptive_avg_pool(x, out: Ints):
    """Bin i is the mean over floor(i L / P) .. ceil((i + 1) L / P)."""
    y = np.zeros((*x.shape[:2], *out))
    for o in positions(out):
        bins = [slice(math.floor(i * n / p), math.ceil((i + 1) * n / p)) for i, n, p in zip(o, x.shape[2:], out, strict=True)]
        y[(slice(None), slice(None), *o)] = x[(slice(None), slice(None), *bins)].mean(axis=tuple(range(2, x.ndim)))
    return y


def max_unpool(x, indices, size: Ints):
    """Each value is written at its flat index, the last one wins."""
    y = np.zeros((*x.shape[:2], *size), x.dtype)
    for n, c in positions(x.shape[:2]):
        for o in positions(x.shape[2:]):
            y[(n, c, *np.unravel_index(indices[(n, c, *o)], size))] = x[(n, c, *o)]
    return y


def source_position(j: int, n: int, out: int, align_corners: bool, scale: float | None = None) -> float:
    """Where output pixel j lies in the input."""
    if align_corners:
        return j * (n - 1) / (out - 1) if out > 1 else 0.0
    return max((j + 0.5) * (n / out if scale is None else 1 / scale) - 0.5, 0.0)


def linear_interpolate(x, size: Ints, align_corners: bool = False):
    """Each output pixel is the weighted mean of the 2^axes input pixels around its position."""
    y = np.zeros((*x.shape[:2], *size))
    for o in positions(size):
        at = [source_position(j, n, m, align_corners) for j, n, m in zip(o, x.shape[2:], size, strict=True)]
        for corner in itertools.product((0, 1), repeat=len(size)):
            weight = math.prod(
                (a - math.floor(a)) if right else 1 - (a - math.floor(a)) for a, right in zip(at, corner, strict=True)
            )
            pixel = [min(math.floor(a) + right, n - 1) for a, right, n in zip(at, corner, x.shape[2:], strict=True)]
            y[(slice(None), slice(None), *o)] += weight * x[(slice(None), slice(None), *pixel)]
    return y


def nearest_interpolate(x, size: Ints):
    """Output pixel j shows input pixel floor(j in / out)."""
    y = np.zeros((*x.shape[:2], *size))
    for o in positions(size):
        pixel = [j * n // m for j, n, m in zip(o, x.shape[2:], size, strict=True)]
        y[(slice(None), slice(None), *o)] = x[(slice(None), slice(None), *pixel)]
    return y


def reflect(i: int, n: int) -> int:
    """The index in 0 .. n - 1 that i is mirrored to, the edge not repeated."""
    while not 0 <= i < n:
        i = -i if i < 0 else 2 * (n - 1) - i
    return i


def pad(x, pairs: Sequence[tuple[int, int]], mode: str = "constant", value: float = 0.0):
    """One (before, after) for each axis of x."""
    y = np.full([n + a + b for n, (a, b) in zip(x.shape, pairs, strict=True)], value, x.dtype)
    for o in positions(y.shape):
        at = [i - a for i, (a, _) in zip(o, pairs, strict=True)]
        if mode == "reflect":
            at = [reflect(i, n) for i, n in zip(at, x.shape, strict=True)]
        if all(0 <= i < n for i, n in zip(at, x.shape, strict=True)):
            y[o] = x[tuple(at)]
    return y


def cross_entropy(
    x, target, weight=None, ignore_index: int = -100, reduction: str = "mean", smoothing: float = 0.0, pixel_weight=None
):
    """-sum_c w_c q_c ln p_c for each pixel, q the smoothed label; the mean divides by the summed weights of the labels."""
    classes = x.shape[1]
    weight = np.ones(classes) if weight is None else weight
    losses, weights = np.zeros(target.shape), np.zeros(target.shape)
    for at in positions(target.shape):
        if target[at] == ignore_index:
            continue
        scores = x[(at[0], slice(None), *at[1:])]
        log_p = scores - scores.max() - math.log(sum(math.exp(s - scores.max()) for s in scores))
        scale = 1.0 if pixel_weight is None else pixel_weight[at]
        for c in range(classes):
            q = (1 - smoothing) * (c == target[at]) + smoothing / classes
            losses[at] -= scale * weight[c] * q * log_p[c]
        weights[at] = scale * weight[target[at]]
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.sum() / weights.sum()


def normalize(x, groups_of: Sequence[tuple], weight, bias, eps: float):
    """Each group of positions of x loses its mean and is divided by its standard deviation; then scale and shift by channel."""
    y = np.zeros(x.shape)
    for group in groups_of:
        values = x[group]
        mean = values.sum() / values.size
        y[group] = (values - mean) / math.sqrt(((values - mean) ** 2).sum() / values.size + eps)
    per_channel = (1, -1, *[1] * (x.ndim - 2))
    return y * weight.reshape(per_channel) + bias.reshape(per_channel)
