"""y = x w + b, for samples in rows; also with samples that are images to be flattened."""

from __future__ import annotations

import numpy as np

from tests.mutants.exercise import Exercise

rng = np.random.default_rng(1)


def affine(x, w, b):
    return x @ w + b, (x, w)


def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


op = Exercise("affine", affine, rng.standard_normal((4, 5)), rng.standard_normal((5, 3)), rng.standard_normal(3))
op.accepts()(affine_backward)


@op.accepts(forward=lambda x, w, b: ((np.einsum("nd,dm->nm", x, w) + b), {"x": x, "w": w}))
def einsum_and_a_dict(dout, cache):
    return {
        "dx": np.einsum("nm,dm->nd", dout, cache["w"]),
        "dw": np.einsum("nd,nm->dm", cache["x"], dout),
        "db": np.einsum("nm->m", dout),
    }


@op.accepts(forward=lambda x, w, b: x @ w + b)
def no_cache_returns_a_list(dout, x, w, b):
    return [np.dot(dout, w.T), np.dot(x.T, dout), np.add.reduce(dout, axis=0)]


@op.accepts()
def loops(dout, cache):
    x, w = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1])
    for n in range(x.shape[0]):
        for m in range(w.shape[1]):
            db[m] += dout[n, m]
            for d in range(x.shape[1]):
                dx[n, d] += dout[n, m] * w[d, m]
                dw[d, m] += dout[n, m] * x[n, d]
    return dx, dw, db


@op.accepts()
def fortran_order(dout, cache):
    x, w = cache
    return np.asfortranarray(dout @ w.T), (dout.T @ x).T, np.ones(len(x)) @ dout


class Cache:
    """What a student's class keeps."""

    def __init__(self, **kept):
        self.__dict__.update(kept)


@op.accepts(forward=lambda x, w, b: (x.dot(w) + b[None], Cache(x=x, w=w)))
def a_class_as_cache(dout, cache):
    return dout.dot(cache.w.T), np.tensordot(cache.x, dout, axes=(0, 0)), dout.sum(0)


@op.rejects("transposed", "dw")
def dw_transposed(dout, cache):
    x, w = cache
    return dout @ w.T, dout.T @ x, dout.sum(axis=0)


@op.rejects("db", "too small", "N")
def db_a_mean(dout, cache):
    dx, dw, _ = affine_backward(dout, cache)
    return dx, dw, dout.mean(axis=0)


@op.rejects("db", "sum over the batch")
def db_not_summed(dout, cache):
    dx, dw, _ = affine_backward(dout, cache)
    return dx, dw, dout.copy()


@op.rejects("db", "shape", "(1, 3)")
def db_keepdims(dout, cache):
    dx, dw, _ = affine_backward(dout, cache)
    return dx, dw, dout.sum(axis=0, keepdims=True)


@op.rejects("db", "shape")
def db_summed_over_everything(dout, cache):
    dx, dw, _ = affine_backward(dout, cache)
    return dx, dw, dout.sum()


@op.rejects("dw", "too small", "N")
def dw_divided_by_the_batch(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, dw / len(dout), db


@op.rejects("dw", "only", "sample")
def dw_of_the_last_sample(dout, cache):
    x, w = cache
    dw = np.zeros_like(w)
    for n in range(len(x)):
        dw = np.outer(x[n], dout[n])
    return dout @ w.T, dw, dout.sum(axis=0)


@op.rejects("dw", "last sample", "loop")
def a_loop_ends_one_too_soon(dout, cache):
    x, w = cache
    dw = np.zeros_like(w)
    for n in range(len(x) - 1):
        dw += np.outer(x[n], dout[n])
    return dout @ w.T, dw, dout.sum(axis=0)


@op.rejects("dx", "zero everywhere")
def dx_never_written(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return np.zeros_like(dx), dw, db


@op.rejects("dw", "sign")
def dw_with_a_minus(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, -dw, db


@op.rejects("dw", "upstream")
def dw_without_the_upstream(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ np.ones_like(dout), dout.sum(axis=0)


@op.rejects("dw", "weight decay")
def dw_with_weight_decay(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, dw + 0.1 * cache[1], db


@op.rejects("dw", "float32")
def dw_in_float32(dout, cache):
    dx, dw, db = affine_backward(dout, cache)
    return dx, dw.astype(np.float32), db


@op.rejects("upstream", "in place")
def writes_into_the_upstream(dout, cache):
    x, w = cache
    dx, dw = dout @ w.T, x.T @ dout
    dout *= 0.5
    return dx, dw, 2 * dout.sum(axis=0)


@op.rejects("db", "None")
def db_forgotten(dout, cache):
    dx, dw, _ = affine_backward(dout, cache)
    return dx, dw, None


@op.rejects("2 gradients", "3 inputs")
def db_not_returned(dout, cache):
    return affine_backward(dout, cache)[:2]


@op.rejects("db", "half")
def forward_adds_the_bias_twice(dout, cache):
    return affine_backward(dout, cache)


op.wrong[-1].forward = lambda x, w, b: (x @ w + 2 * b, (x, w))

# ---- all sizes equal, as students like to try ----

square = Exercise("affine, square", affine, rng.standard_normal((4, 4)), rng.standard_normal((4, 4)), rng.standard_normal(4))
square.accepts()(affine_backward)


@square.rejects("dx", "w", "transposed")
def dx_without_the_transpose(dout, cache):
    x, w = cache
    return dout @ w, x.T @ dout, dout.sum(axis=0)


@square.rejects("dw", "transposed")
def dw_transposed_in_a_square(dout, cache):
    x, w = cache
    return dout @ w.T, dout.T @ x, dout.sum(axis=0)


@square.rejects("dw", "x", "transposed")
def dw_with_x_not_transposed(dout, cache):
    x, w = cache
    return dout @ w.T, x @ dout, dout.sum(axis=0)


@square.rejects("wrong order")
def dw_and_dx_exchanged(dout, cache):
    x, w = cache
    return x.T @ dout, dout @ w.T, dout.sum(axis=0)


@square.rejects("db", "wrong axis")
def db_over_the_wrong_axis(dout, cache):
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=1)


@square.rejects("dx", "dx|dout", "transposed")
def dx_transposed(dout, cache):
    x, w = cache
    return w @ dout.T, x.T @ dout, dout.sum(axis=0)


# ---- images, flattened in forward ----


def flat_affine(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w)


flat = Exercise(
    "affine of images", flat_affine, rng.standard_normal((3, 2, 2, 3)), rng.standard_normal((12, 4)), rng.standard_normal(4)
)


@flat.accepts()
def a_reshaped_view(dout, cache):
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)


@flat.rejects("dx", "reshape")
def dx_not_reshaped(dout, cache):
    x, w = cache
    return dout @ w.T, x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)


@flat.rejects("dx", "wrong places|reshape")
def dx_reshaped_from_channels_last(dout, cache):
    x, w = cache
    n, c, h, wd = x.shape
    dx = (dout @ w.T).reshape(n, c, h, wd).transpose(0, 2, 3, 1).reshape(n, c, h, wd)
    return dx, x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)


@flat.rejects("dw", "wrong order|wrong places|x")
def dw_from_x_flattened_the_other_way(dout, cache):
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.transpose(0, 2, 3, 1).reshape(len(x), -1).T @ dout, dout.sum(axis=0)


EXERCISES = [op, square, flat]
