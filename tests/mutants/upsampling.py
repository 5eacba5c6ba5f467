"""The way up without weights: max unpooling, nearest neighbour, bed of nails, and bilinear in both conventions."""

from __future__ import annotations

import numpy as np

from tests.mutants.exercise import Exercise

rng = np.random.default_rng(7)

# ---- max unpooling: x goes to the places where the maxima were ----


def unpool(x, indices, size):
    n, c = x.shape[:2]
    y = np.zeros((n, c, size[0] * size[1]))
    np.put_along_axis(y, indices.reshape(n, c, -1), x.reshape(n, c, -1), axis=2)
    return y.reshape(n, c, *size), (x.shape, indices)


def unpool_backward(dout, cache):
    shape, indices = cache
    n, c = shape[:2]
    return np.take_along_axis(dout.reshape(n, c, -1), indices.reshape(n, c, -1), axis=2).reshape(shape)


def places(n, c, h, w, size):
    return np.stack([np.sort(rng.permutation(size[0] * size[1])[: h * w]) for _ in range(n * c)]).reshape(n, c, h, w)


SIZE = (5, 6)
INDICES = places(2, 3, 2, 3, SIZE)
unpooling = Exercise("max unpooling", unpool, rng.standard_normal((2, 3, 2, 3)), INDICES, SIZE)
unpooling.accepts()(unpool_backward)


@unpooling.accepts()
def unpool_in_loops(dout, cache):
    shape, indices = cache
    dx = np.zeros(shape)
    for n, c, i, j in np.ndindex(shape):
        dx[n, c, i, j] = dout[n, c, indices[n, c, i, j] // SIZE[1], indices[n, c, i, j] % SIZE[1]]
    return dx


@unpooling.accepts()
def by_ravelled_offsets(dout, cache):
    shape, indices = cache
    planes = np.arange(shape[0] * shape[1]).reshape(shape[0], shape[1], 1, 1) * SIZE[0] * SIZE[1]
    return dout.ravel()[planes + indices]


@unpooling.rejects("offset|first channel|plane")
def without_the_offset_of_the_channel(dout, cache):
    return dout.ravel()[cache[1]]


@unpooling.rejects("offset|channel")
def with_the_offset_of_the_sample_only(dout, cache):
    shape, indices = cache
    start = np.arange(shape[0])[:, None, None, None] * dout[0].size
    return dout.ravel()[start + indices]


@unpooling.rejects("row|width|H for W|height")
def rows_counted_with_the_height(dout, cache):
    n, c = cache[0][:2]
    i, j = cache[1] // SIZE[0], cache[1] % SIZE[0]
    return dout[np.arange(n)[:, None, None, None], np.arange(c)[:, None, None], np.minimum(i, 4), j]


@unpooling.rejects("transposed|column-major|rows and columns")
def gathered_column_by_column(dout, cache):
    turned = dout.swapaxes(2, 3).copy()
    return unpool_backward(turned, cache)


@unpooling.rejects("one", "ind|shift|roll")
def indices_off_by_one(dout, cache):
    return unpool_backward(dout, (cache[0], (cache[1] + 1) % 30))


@unpooling.rejects("indices", "first channel|channel 0|all channels")
def indices_of_the_first_channel(dout, cache):
    return unpool_backward(dout, (cache[0], np.repeat(cache[1][:, :1], 3, axis=1)))


@unpooling.rejects("indices", "first sample|sample 0|batch")
def indices_of_the_first_sample(dout, cache):
    return unpool_backward(dout, (cache[0], np.repeat(cache[1][:1], 2, axis=0)))


@unpooling.rejects("upper left|nearest|every second|slic|ignored|indices")
def by_slicing_as_for_nails(dout, cache):
    return dout[:, :, : 2 * 2 : 2, ::2].copy()


@unpooling.rejects("sum|mean|block|indices")
def the_sum_of_the_first_blocks(dout, cache):
    return dout[:, :, :4].reshape(2, 3, 2, 2, 3, 2).sum(axis=(3, 5))


@unpooling.rejects("sign")
def unpool_sign(dout, cache):
    return -unpool_backward(dout, cache)


@unpooling.rejects("ones|upstream")
def unpool_without_the_upstream(dout, cache):
    return np.ones(cache[0])


@unpooling.rejects("shape")
def the_whole_plane(dout, cache):
    return dout.copy()


@unpooling.rejects("flipped|reverse|wrong order")
def in_reverse_order(dout, cache):
    return unpool_backward(dout, cache)[..., ::-1].copy()


# ---- with indices that occur twice: the last one written stays ----

TWICE = INDICES.copy()
TWICE[0, 0, 0, 0] = TWICE[0, 0, 1, 2]
TWICE[1, 2, 0, 1] = TWICE[1, 2, 0, 2]
duplicates = Exercise("max unpooling, duplicates", unpool, rng.standard_normal((2, 3, 2, 3)), TWICE, SIZE)


@duplicates.accepts()
def only_those_that_stayed(dout, cache):
    shape, indices = cache
    dx = unpool_backward(dout, cache).reshape(-1, 6)
    for plane, at in enumerate(indices.reshape(-1, 6)):
        for k in range(6):
            if at[k] in at[k + 1 :]:
                dx[plane, k] = 0
    return dx.reshape(shape)


@duplicates.rejects("twice|duplicate|overwritten")
def a_plain_gather(dout, cache):
    return unpool_backward(dout, cache)


@duplicates.rejects("twice|duplicate|first")
def the_first_of_two(dout, cache):
    shape, indices = cache
    dx = unpool_backward(dout, cache).reshape(-1, 6)
    for plane, at in enumerate(indices.reshape(-1, 6)):
        for k in range(6):
            if at[k] in at[:k]:
                dx[plane, k] = 0
    return dx.reshape(shape)


def unpool_adding(x, indices, size):
    n, c = x.shape[:2]
    y = np.zeros((n * c, size[0] * size[1]))
    for plane, (at, values) in enumerate(zip(indices.reshape(n * c, -1), x.reshape(n * c, -1), strict=True)):
        np.add.at(y[plane], at, values)
    return y.reshape(n, c, *size), (x.shape, indices)


duplicates.accepts(forward=unpool_adding)(unpool_backward)

# ---- nearest neighbour ----


def nearest(x, s):
    return x.repeat(s, axis=2).repeat(s, axis=3), s


near = Exercise("nearest upsampling", nearest, rng.standard_normal((2, 3, 3, 2)), 3)
near_usual = Exercise("nearest upsampling, 2", nearest, rng.standard_normal((2, 2, 4, 4)), 2)


def blocks(dout, s):
    n, c, h, w = dout.shape
    return dout.reshape(n, c, h // s, s, w // s, s)


for op in (near, near_usual):

    @op.accepts()
    def sum_of_each_block(dout, s):
        return blocks(dout, s).sum(axis=(3, 5))

    @op.accepts()
    def sum_of_slices(dout, s):
        return sum(dout[:, :, a::s, e::s] for a in range(s) for e in range(s))

    @op.accepts(forward=lambda x, s: x[:, :, np.arange(x.shape[2] * s) // s][..., np.arange(x.shape[3] * s) // s])
    def add_at(dout, x, s):
        dx = np.zeros_like(x)
        np.add.at(
            dx, np.ix_(range(len(x)), range(x.shape[1]), np.arange(dout.shape[2]) // s, np.arange(dout.shape[3]) // s), dout
        )
        return dx

    @op.rejects("mean|too small")
    def mean_of_each_block(dout, s):
        return blocks(dout, s).mean(axis=(3, 5))

    @op.rejects("first|corner|= where += belongs|top left")
    def the_corner_of_each_block(dout, s):
        return dout[:, :, ::s, ::s].copy()

    @op.rejects("last|= where += belongs")
    def overwritten(dout, s):
        n, c, h, w = dout.shape
        dx = np.zeros((n, c, h // s, w // s))
        for i in range(h):
            for j in range(w):
                dx[:, :, i // s, j // s] = dout[:, :, i, j]
        return dx

    @op.rejects("largest|maximum")
    def the_maximum_of_each_block(dout, s):
        return blocks(dout, s).max(axis=(3, 5))

    @op.rejects("only the rows|along one axis|columns|rows")
    def only_the_rows_summed(dout, s):
        return blocks(dout, s)[..., 0].sum(axis=3)

    @op.rejects("wrong places|neighbour|tile|interleaved|reshape")
    def blocks_split_the_wrong_way(dout, s):
        n, c, h, w = dout.shape
        return dout.reshape(n, c, s, h // s, s, w // s).sum(axis=(2, 4))

    @op.rejects("sign")
    def near_sign(dout, s):
        return -blocks(dout, s).sum(axis=(3, 5))

    @op.rejects("ones|upstream")
    def near_without_the_upstream(dout, s):
        return np.full((*blocks(dout, s).shape[:3], dout.shape[3] // s), float(s * s))

    @op.rejects("shape")
    def near_not_summed(dout, s):
        return dout.copy()

    @op.rejects("centre|middle|one entry|only|first|last")
    def the_middle_of_each_block(dout, s):
        return dout[:, :, s // 2 :: s, s // 2 :: s].copy()

    @op.rejects("zero everywhere")
    def near_zero(dout, s):
        return np.zeros_like(dout[:, :, ::s, ::s])

    @op.rejects("sample|batch")
    def near_batch_mean(dout, s):
        dx = blocks(dout, s).sum(axis=(3, 5))
        return np.broadcast_to(dx.mean(axis=0), dx.shape).copy()


# ---- bed of nails ----


def nails(x, s):
    y = np.zeros((*x.shape[:2], x.shape[2] * s, x.shape[3] * s))
    y[:, :, ::s, ::s] = x
    return y, s


nail = Exercise("bed of nails", nails, rng.standard_normal((2, 3, 3, 2)), 2)


@nail.accepts()
def every_second(dout, s):
    return dout[:, :, ::s, ::s].copy()


@nail.accepts()
def a_loop(dout, s):
    dx = np.empty((*dout.shape[:2], dout.shape[2] // s, dout.shape[3] // s))
    for i, j in np.ndindex(dx.shape[2:]):
        dx[..., i, j] = dout[..., i * s, j * s]
    return dx


@nail.rejects("nearest|sum of the block|whole block")
def nails_sum_of_the_block(dout, s):
    return blocks(dout, s).sum(axis=(3, 5))


@nail.rejects("average|mean")
def nails_mean_of_the_block(dout, s):
    return blocks(dout, s).mean(axis=(3, 5))


@nail.rejects("off by one|shift|pixel|lower right")
def the_other_corner(dout, s):
    return dout[:, :, 1::s, 1::s].copy()


@nail.rejects("max")
def nails_maximum(dout, s):
    return blocks(dout, s).max(axis=(3, 5))


@nail.rejects("stride|without the step|first|upper left")
def without_the_stride(dout, s):
    return dout[:, :, : dout.shape[2] // s, : dout.shape[3] // s].copy()


@nail.rejects("sign")
def nails_sign(dout, s):
    return -dout[:, :, ::s, ::s]


@nail.rejects("shape")
def nails_all(dout, s):
    return dout.copy()


@nail.rejects("ones|upstream")
def nails_ones(dout, s):
    return np.ones_like(dout[:, :, ::s, ::s])


@nail.rejects("factor 4|too large|twice|factor")
def nails_times_the_area(dout, s):
    return dout[:, :, ::s, ::s] * s * s


@nail.rejects("reshape|wrong places")
def nails_reshaped(dout, s):
    return dout[:, :, ::s, ::s].transpose(0, 2, 3, 1).reshape(dout.shape[0], dout.shape[1], dout.shape[2] // s, -1).copy()


@nail.rejects("upstream", "in place")
def nails_modified(dout, s):
    dout[:, :, 1::s] = 0
    return dout[:, :, ::s, ::s].copy()


# ---- bilinear ----


def weights(n, m, corners):
    """(m, n): each of m new samples as a mixture of n old ones."""
    at = np.arange(m) * ((n - 1) / (m - 1)) if corners else np.clip((np.arange(m) + 0.5) * (n / m) - 0.5, 0, None)
    left = np.minimum(np.floor(at).astype(int), n - 1)
    right = np.minimum(left + 1, n - 1)
    w = np.zeros((m, n))
    np.add.at(w, (np.arange(m), left), 1 - (at - left))
    np.add.at(w, (np.arange(m), right), at - left)
    return w


def bilinear(x, size, corners):
    a, e = weights(x.shape[2], size[0], corners), weights(x.shape[3], size[1], corners)
    return np.einsum("ph,nchw,qw->ncpq", a, x, e), (a, e, x.shape, size)


def back(dout, a, e):
    return np.einsum("ph,ncpq,qw->nchw", a, dout, e)


true = Exercise("bilinear, corners aligned", bilinear, rng.standard_normal((2, 3, 3, 4)), (5, 9), True)
false = Exercise("bilinear, half pixels", bilinear, rng.standard_normal((2, 3, 3, 4)), (5, 9), False)
double = Exercise("bilinear, twice the size", bilinear, rng.standard_normal((2, 2, 3, 3)), (6, 6), False)

for op in (true, false, double):
    corners = op.inputs[2]

    @op.accepts()
    def by_matrices(dout, cache):
        a, e, *_ = cache
        return a.T @ dout @ e

    @op.accepts()
    def four_neighbours(dout, cache):
        a, e, shape, size = cache
        dx = np.zeros(shape)
        for p, q in np.ndindex(*size):
            for i in np.flatnonzero(a[p]):
                for j in np.flatnonzero(e[q]):
                    dx[:, :, i, j] += a[p, i] * e[q, j] * dout[:, :, p, q]
        return dx

    @op.rejects("align_corners")
    def the_other_convention(dout, cache, corners=corners):
        _a, _e, shape, size = cache
        return back(dout, weights(shape[2], size[0], not corners), weights(shape[3], size[1], not corners))

    @op.rejects("nearest")
    def as_nearest(dout, cache):
        _a, _e, shape, size = cache
        dx = np.zeros(shape)
        for p, q in np.ndindex(*size):
            dx[:, :, p * shape[2] // size[0], q * shape[3] // size[1]] += dout[:, :, p, q]
        return dx

    @op.rejects("weights", "swapped|exchanged|wrong neighbour|other way")
    def the_weights_exchanged(dout, cache):
        a, e, shape, size = cache
        dx = np.zeros(shape)
        for p, q in np.ndindex(*size):
            rows, columns = np.flatnonzero(a[p]), np.flatnonzero(e[q])
            for i, wi in zip(rows, a[p, rows[::-1]], strict=True):
                for j, wj in zip(columns, e[q, columns[::-1]], strict=True):
                    dx[:, :, i, j] += wi * wj * dout[:, :, p, q]
        return dx

    @op.rejects("= where += belongs")
    def bilinear_overwritten(dout, cache):
        a, e, shape, size = cache
        dx = np.zeros(shape)
        for p, q in np.ndindex(*size):
            for i in np.flatnonzero(a[p]):
                for j in np.flatnonzero(e[q]):
                    dx[:, :, i, j] = a[p, i] * e[q, j] * dout[:, :, p, q]
        return dx

    @op.rejects("1/4|same weight|equal weight|without the weights|weights")
    def without_the_weights(dout, cache):
        a, e, _shape, _size = cache
        return back(dout, (a > 0).astype(float), (e > 0).astype(float))

    @op.rejects("down|sampl|forward|resiz")
    def by_sampling_the_upstream(dout, cache, corners=corners):
        _a, _e, shape, size = cache
        return np.einsum("hp,ncpq,wq->nchw", weights(size[0], shape[2], corners), dout, weights(size[1], shape[3], corners))

    @op.rejects("upper left|left neighbour|floor|only")
    def only_the_upper_left_neighbour(dout, cache):
        a, e, _shape, _size = cache
        first = lambda m: np.where(np.arange(m.shape[1]) == (m > 0).argmax(axis=1)[:, None], m, 0)  # noqa: E731
        return back(dout, first(a), first(e))

    @op.rejects("sign")
    def bilinear_sign(dout, cache):
        return -back(dout, *cache[:2])

    @op.rejects("ones|upstream")
    def bilinear_without_the_upstream(dout, cache):
        return back(np.ones_like(dout), *cache[:2])

    @op.rejects("too small|mean|divided")
    def divided_by_the_area(dout, cache):
        a, e, shape, size = cache
        return back(dout, a, e) * shape[2] * shape[3] / size[0] / size[1]

    @op.rejects("dout", "flipped")
    def rows_from_below(dout, cache):
        return back(dout[:, :, ::-1], *cache[:2])


for op in (false, double):

    @op.rejects("half", "pixel")
    def without_the_half_pixel(dout, cache):
        _a, _e, shape, size = cache

        def shifted(n, m):
            at = np.arange(m) * (n / m)
            left = np.floor(at).astype(int)
            w = np.zeros((m, n))
            np.add.at(w, (np.arange(m), left), 1 - (at - left))
            np.add.at(w, (np.arange(m), np.minimum(left + 1, n - 1)), at - left)
            return w

        return back(dout, shifted(shape[2], size[0]), shifted(shape[3], size[1]))

    @op.rejects("border|clamp|edge")
    def the_border_dropped(dout, cache):
        a, e, _shape, _size = cache
        single = lambda m: m * ((m > 0).sum(axis=1, keepdims=True) > 1)  # noqa: E731
        return back(dout, single(a), single(e))


@double.rejects("transposed|rows and columns")
def rows_and_columns_exchanged(dout, cache):
    return back(dout, *cache[:2]).swapaxes(2, 3).copy()


EXERCISES = [unpooling, duplicates, near, near_usual, nail, true, false, double]
