"""Max pooling and average pooling, with windows that overlap and with the usual 2 x 2."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minivision.check import tie_free
from tests.mutants.exercise import Exercise


def positions(x, k, s):
    _n, _c, h, w = x.shape
    for i in range((h - k) // s + 1):
        for j in range((w - k) // s + 1):
            yield i, j, (slice(None), slice(None), slice(i * s, i * s + k), slice(j * s, j * s + k))


def max_pool(x, k, s):
    n, c, h, w = x.shape
    y = np.zeros((n, c, (h - k) // s + 1, (w - k) // s + 1))
    for i, j, window in positions(x, k, s):
        y[:, :, i, j] = x[window].max(axis=(2, 3))
    return y, (x, k, s)


def winners(window):
    """1 at the first maximum of each window, else 0."""
    flat = window.reshape(*window.shape[:2], -1)
    return (np.arange(flat.shape[-1]) == flat.argmax(axis=-1)[..., None]).reshape(window.shape)


def max_backward(dout, cache):
    x, k, s = cache
    dx = np.zeros_like(x)
    for i, j, window in positions(x, k, s):
        dx[window] += winners(x[window]) * dout[:, :, i, j, None, None]
    return dx


overlapping = Exercise("max pooling, 3 x 3, stride 2", max_pool, tie_free(2, 3, 7, 5), 3, 2)
usual = Exercise("max pooling, 2 x 2", max_pool, tie_free(2, 3, 4, 6, seed=1), 2, 2)
dense = Exercise("max pooling, 3 x 3, stride 1", max_pool, tie_free(2, 2, 5, 4, seed=2), 3, 1)
ALL = [overlapping, usual, dense]


def indexed(x, k, s):
    n, c, _h, w = x.shape
    seen = sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::s, ::s]
    oh, ow = seen.shape[2:4]
    flat = seen.reshape(n, c, oh, ow, k * k)
    best = flat.argmax(-1)
    rows, columns = np.arange(oh)[:, None] * s + best // k, np.arange(ow) * s + best % k
    return flat.max(-1), (rows * w + columns, x.shape)


for op in ALL:
    op.accepts()(max_backward)

    @op.accepts(forward=indexed)
    def indices_of_the_plane(dout, cache):
        indices, (n, c, h, w) = cache
        dx = np.zeros((n, c, h * w))
        np.add.at(dx, (np.arange(n)[:, None, None], np.arange(c)[:, None], indices.reshape(n, c, -1)), dout.reshape(n, c, -1))
        return dx.reshape(n, c, h, w)

    @op.accepts()
    def nested_loops(dout, cache):
        x, k, s = cache
        dx = np.zeros(x.shape)
        for n, c, i, j in np.ndindex(dout.shape):
            window = x[n, c, i * s : i * s + k, j * s : j * s + k]
            a, e = np.unravel_index(np.argmax(window), window.shape)
            dx[n, c, i * s + a, j * s + e] += dout[n, c, i, j]
        return dx

    @op.accepts()
    def the_last_maximum(dout, cache):
        x, k, s = cache
        dx = np.zeros_like(x)
        for i, j, window in positions(x, k, s):
            dx[window] += winners(x[window][..., ::-1, ::-1])[..., ::-1, ::-1] * dout[:, :, i, j, None, None]
        return dx

    op.with_kinks(np.round(4 * op.inputs[0]), *op.inputs[1:])
    op.with_kinks(np.zeros_like(op.inputs[0]), *op.inputs[1:])


for op in ALL:

    @op.rejects("every entry of the window")
    def to_every_entry_of_the_window(dout, cache):
        x, k, s = cache
        dx = np.zeros_like(x)
        for i, j, window in positions(x, k, s):
            dx[window] += dout[:, :, i, j, None, None]
        return dx

    @op.rejects("average pooling|average-pool")
    def the_rule_of_average_pooling(dout, cache):
        x, k, s = cache
        dx = np.zeros_like(x)
        for i, j, window in positions(x, k, s):
            dx[window] += dout[:, :, i, j, None, None] / k**2
        return dx

    @op.rejects("smallest|minimum|argmin")
    def to_the_minimum(dout, cache):
        return max_backward(dout, (-cache[0], *cache[1:]))

    @op.rejects("window instead of the plane|index in the window|in the window")
    def the_index_in_the_window_taken_for_the_plane(dout, cache):
        x, k, s = cache
        n, c, h, w = x.shape
        dx = np.zeros((n, c, h * w))
        for i, j, window in positions(x, k, s):
            best = x[window].reshape(n, c, -1).argmax(-1)
            for a, e in np.ndindex(n, c):
                dx[a, e, best[a, e]] += dout[a, e, i, j]
        return dx.reshape(x.shape)

    @op.rejects("corner|first entry|top left|top-left")
    def always_to_the_corner(dout, cache):
        x, k, s = cache
        dx = np.zeros_like(x)
        for i, j, _ in positions(x, k, s):
            dx[:, :, i * s, j * s] += dout[:, :, i, j]
        return dx

    @op.rejects("dout", "mask|maximum of dout|largest|upstream|linear")
    def the_maximum_of_the_wrong_array(dout, cache):
        x, k, s = cache
        dx = np.zeros_like(x)
        for i, j, window in positions(x, k, s):
            dx[window] += winners(x[window]) * np.maximum(dout[:, :, i, j, None, None], 0)
        return dx

    @op.rejects("y|value|maximum itself")
    def times_the_maximum(dout, cache):
        x, _k, _s = cache
        return max_backward(dout, cache) * x

    @op.rejects("rows and columns|swapped|transposed")
    def rows_and_columns_of_the_winner_swapped(dout, cache):
        x, k, s = cache
        dx = np.zeros_like(x)
        for i, j, window in positions(x, k, s):
            dx[window] += winners(x[window]).swapaxes(-1, -2) * dout[:, :, i, j, None, None]
        return dx

    @op.rejects("sign")
    def with_a_minus(dout, cache):
        return -max_backward(dout, cache)

    @op.rejects("only the mask|upstream")
    def the_mask_alone(dout, cache):
        return max_backward(np.ones_like(dout), cache)

    @op.rejects("channel")
    def the_winners_of_the_first_channel(dout, cache):
        x, k, s = cache
        return max_backward(dout, (np.repeat(x[:, :1], x.shape[1], axis=1), k, s))

    @op.rejects("last|the sum over axis 2")
    def the_last_row_forgotten(dout, cache):
        g = dout.copy()
        g[:, :, -1] = 0
        return max_backward(g, cache)


for op in (overlapping, dense):

    @op.rejects("= where += belongs")
    def overwritten(dout, cache):
        x, k, s = cache
        dx = np.zeros_like(x)
        for i, j, window in positions(x, k, s):
            dx[window] = np.where(winners(x[window]), dout[:, :, i, j, None, None], dx[window])
        return dx

    @op.rejects("= where += belongs")
    def the_whole_window_overwritten(dout, cache):
        x, k, s = cache
        dx = np.zeros_like(x)
        for i, j, window in positions(x, k, s):
            dx[window] = winners(x[window]) * dout[:, :, i, j, None, None]
        return dx

    @op.rejects("stride")
    def windows_without_overlap(dout, cache):
        x, k, _s = cache
        dx = np.zeros_like(x)
        for i, j in np.ndindex(dout.shape[2:]):
            window = (slice(None), slice(None), slice(i * k, i * k + k), slice(j * k, j * k + k))
            if x[window].size:
                dx[window] += winners(x[window]) * dout[:, :, i, j, None, None]
        return dx


def average_of_ties(dout, cache):
    x, k, s = cache
    dx = np.zeros_like(x)
    for i, j, window in positions(x, k, s):
        equal = x[window] == x[window].max(axis=(2, 3), keepdims=True)
        dx[window] += equal / equal.sum(axis=(2, 3), keepdims=True) * dout[:, :, i, j, None, None]
    return dx


for op in ALL:
    op.accepts()(average_of_ties)

# ---- average pooling ----


def avg_pool(x, k, s):
    n, c, h, w = x.shape
    y = np.zeros((n, c, (h - k) // s + 1, (w - k) // s + 1))
    for i, j, window in positions(x, k, s):
        y[:, :, i, j] = x[window].mean(axis=(2, 3))
    return y, (x.shape, k, s)


def avg_backward(dout, cache):
    shape, k, s = cache
    dx = np.zeros(shape)
    for i, j, window in positions(dx, k, s):
        dx[window] += dout[:, :, i, j, None, None] / k**2
    return dx


rng = np.random.default_rng(6)
avg = Exercise("average pooling, 3 x 3, stride 2", avg_pool, rng.standard_normal((2, 3, 7, 5)), 3, 2)
avg_usual = Exercise("average pooling, 2 x 2", avg_pool, rng.standard_normal((2, 3, 4, 6)), 2, 2)

for op in (avg, avg_usual):
    op.accepts()(avg_backward)

    @op.accepts(forward=lambda x, k, s: sliding_window_view(x, (k, k), axis=(2, 3))[:, :, ::s, ::s].mean((-2, -1)))
    def as_a_convolution(dout, x, k, s):
        spread = np.zeros((*dout.shape[:2], (dout.shape[2] - 1) * s + 1, (dout.shape[3] - 1) * s + 1))
        spread[:, :, ::s, ::s] = dout
        full = np.pad(spread, ((0, 0), (0, 0), (k - 1, k - 1), (k - 1, k - 1)))
        dx = np.zeros_like(x)
        part = sliding_window_view(full, (k, k), axis=(2, 3)).mean((-2, -1))
        dx[:, :, : part.shape[2], : part.shape[3]] = part
        return dx

    @op.rejects("divisor|divided|factor 9|factor 4|too large")
    def the_divisor_forgotten(dout, cache):
        return avg_backward(dout, cache) * cache[1] ** 2

    @op.rejects("k instead of k * k|3 times|too large|factor")
    def divided_by_k(dout, cache):
        return avg_backward(dout, cache) * cache[1]

    @op.rejects("corner|first entry|top left|top-left")
    def to_the_corner(dout, cache):
        shape, k, s = cache
        dx = np.zeros(shape)
        for i, j, _ in positions(dx, k, s):
            dx[:, :, i * s, j * s] += dout[:, :, i, j]
        return dx

    @op.rejects("sign")
    def avg_sign(dout, cache):
        return -avg_backward(dout, cache)

    @op.rejects("max")
    def the_rule_of_max_pooling(dout, cache):
        _x, _k, _s = cache
        return max_backward(dout, cache)

    op.wrong[-1].forward = lambda x, k, s: (avg_pool(x, k, s)[0], (x, k, s))

    @op.rejects("mean of dout|mean (over|along)|everywhere|constant")
    def the_mean_of_everything(dout, cache):
        shape, _k, _s = cache
        return np.full(shape, dout.mean())

    @op.rejects("ones|upstream")
    def avg_without_the_upstream(dout, cache):
        return avg_backward(np.ones_like(dout), cache)

    @op.rejects("only", "sample")
    def only_the_first_sample(dout, cache):
        g = np.zeros_like(dout)
        g[0] = dout[0]
        return avg_backward(g, cache)

    @op.rejects("channel")
    def averaged_over_the_channels_too(dout, cache):
        return avg_backward(np.broadcast_to(dout.mean(axis=1, keepdims=True), dout.shape), cache)

    @op.rejects("upstream", "modified|in place")
    def upstream_divided_in_place(dout, cache):
        dout /= cache[1] ** 2
        return avg_backward(dout * cache[1] ** 2, cache)


@avg.rejects("= where += belongs")
def avg_overwritten(dout, cache):
    shape, k, s = cache
    dx = np.zeros(shape)
    for i, j, window in positions(dx, k, s):
        dx[window] = dout[:, :, i, j, None, None] / k**2
    return dx


@avg.rejects("stride")
def avg_without_the_stride(dout, cache):
    shape, k, _s = cache
    dx = np.zeros(shape)
    for i, j in np.ndindex(dout.shape[2:]):
        dx[:, :, i : i + k, j : j + k] += dout[:, :, i, j, None, None] / k**2
    return dx


EXERCISES = [*ALL, avg, avg_usual]
