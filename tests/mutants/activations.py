"""ReLU, leaky ReLU, sigmoid, and binary cross-entropy on top of it."""

from __future__ import annotations

import numpy as np

from tests.mutants.exercise import Exercise

rng = np.random.default_rng(2)
X = rng.standard_normal((3, 4, 5))


def relu(x):
    return np.maximum(0, x), x


op = Exercise("relu", relu, X)


@op.accepts()
def mask_of_x(dout, x):
    return dout * (x > 0)


@op.accepts()
def copy_and_zero(dout, x):
    dx = dout.copy()
    dx[x <= 0] = 0
    return dx


@op.accepts(forward=lambda x: (x * (x > 0), (x > 0)))
def mask_as_cache(dout, mask):
    return np.where(mask, dout, 0.0)


@op.accepts()
def one_entry_at_a_time(dout, x):
    dx = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        if x[index] > 0:
            dx[index] = dout[index]
    return dx


@op.accepts(forward=lambda x: (np.where(x >= 0, x, 0), np.maximum(0, x)))
def mask_of_y(dout, y):
    return dout * (y > 0)


op.with_kinks(np.where(np.abs(X) < 0.7, 0.0, X))
op.with_kinks(np.zeros((3, 4)))


@op.rejects("mask", "dout")
def mask_of_the_upstream(dout, x):
    return dout * (dout > 0)


@op.rejects("mask", "dout")
def mask_of_both(dout, x):
    return dout * (dout > 0) * (x > 0)


@op.rejects("mask", "invert|wrong way")
def mask_inverted(dout, x):
    return dout * (x < 0)


@op.rejects("passed through unchanged")
def no_mask(dout, x):
    return dout.copy()


@op.rejects("upstream")
def only_the_mask(dout, x):
    return (x > 0).astype(float)


@op.rejects("y")
def the_output_for_the_mask(dout, x):
    return dout * np.maximum(0, x)


@op.rejects("x")
def x_for_the_mask(dout, x):
    return dout * x


@op.rejects("not linear|relu")
def relu_of_the_upstream_too(dout, x):
    return np.maximum(0, dout) * (x > 0)


@op.rejects("upstream", "in place")
def writes_into_the_upstream(dout, x):
    dout[x <= 0] = 0
    return dout


@op.rejects("sign")
def with_a_minus(dout, x):
    return -dout * (x > 0)


@op.rejects("sign of x|np.sign|sign")
def as_if_it_were_abs(dout, x):
    return dout * np.sign(x)


@op.rejects("mask", "threshold|1")
def mask_with_another_threshold(dout, x):
    return dout * (x > 1)


@op.rejects("x", "in place", forward=lambda x: (np.maximum(x, 0, out=x), x))
def forward_in_place(dout, x):
    return dout * (x > 0)


# ---- leaky ReLU ----


def leaky(x, slope):
    return np.where(x > 0, x, slope * x), (x, slope)


leak = Exercise("leaky relu", leaky, X, 0.1)


@leak.accepts()
def where(dout, cache):
    x, slope = cache
    return dout * np.where(x > 0, 1.0, slope)


@leak.accepts()
def in_two_steps(dout, cache):
    x, slope = cache
    dx = np.array(dout)
    dx[x < 0] *= slope
    return dx


leak.with_kinks(np.where(np.abs(X) < 0.7, 0.0, X), 0.1)


@leak.rejects("slope", "zero|missing|0")
def no_slope(dout, cache):
    return dout * (cache[0] > 0)


@leak.rejects("slope", "wrong side")
def slope_on_the_wrong_side(dout, cache):
    x, slope = cache
    return dout * np.where(x > 0, slope, 1.0)


@leak.rejects("slope", "everywhere|both")
def slope_on_both_sides(dout, cache):
    return dout * cache[1]


@leak.rejects("passed through unchanged")
def the_slope_forgotten(dout, cache):
    return 1.0 * dout


@leak.rejects("slope", "squared|twice")
def slope_twice(dout, cache):
    x, slope = cache
    return dout * np.where(x > 0, 1.0, slope**2)


@leak.rejects("slope")
def slope_inverted(dout, cache):
    x, slope = cache
    return dout * np.where(x > 0, 1.0, 1 / slope)


@leak.rejects("slope", "sign|minus")
def slope_with_a_minus(dout, cache):
    x, slope = cache
    return dout * np.where(x > 0, 1.0, -slope)


@leak.rejects("upstream")
def no_upstream_where_positive(dout, cache):
    x, slope = cache
    return np.where(x > 0, 1.0, slope * dout)


@leak.rejects("mask", "dout")
def leaky_mask_of_the_upstream(dout, cache):
    return dout * np.where(dout > 0, 1.0, cache[1])


@leak.rejects("dout * y|y")
def times_the_output(dout, cache):
    x, slope = cache
    return dout * np.where(x > 0, x, slope * x)


# ---- sigmoid ----


def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, y


sig = Exercise("sigmoid", sigmoid, X)


@sig.accepts()
def y_times_one_minus_y(dout, y):
    return dout * y * (1 - y)


@sig.accepts(forward=lambda x: (np.exp(-np.logaddexp(0, -x)), x))
def in_terms_of_x(dout, x):
    return dout * np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))) ** 2


@sig.accepts(forward=lambda x: 0.5 * np.tanh(x / 2) + 0.5)
def through_tanh(dout, x):
    return dout * 0.25 * (1 - np.tanh(x / 2) ** 2)


@sig.rejects("upstream")
def no_upstream(dout, y):
    return y * (1 - y)


@sig.rejects("1 - y")
def one_minus_y_missing(dout, y):
    return dout * y


@sig.rejects("factor y|y is missing|lacks")
def y_missing(dout, y):
    return dout * (1 - y)


@sig.rejects("1 - x|x in place of y|logits|x for y|x where y")
def x_for_y(dout, y):
    x = np.log(y / (1 - y))
    return dout * x * (1 - x)


@sig.rejects("twice|of y", "sigmoid")
def sigmoid_of_y(dout, y):
    s = 1 / (1 + np.exp(-y))
    return dout * s * (1 - s)


@sig.rejects("tanh", "1 - y")
def the_derivative_of_tanh(dout, y):
    return dout * (1 - y**2)


@sig.rejects("passed through unchanged")
def passed_through(dout, y):
    return dout + 0


@sig.rejects("linear")
def on_the_upstream(dout, y):
    return dout * (1 - dout)


@sig.rejects("sign")
def y_times_y_minus_one(dout, y):
    return dout * y * (y - 1)


@sig.rejects("squared|y")
def y_squared(dout, y):
    return dout * y * y


# ---- binary cross-entropy of logits, the mean ----

TARGET = (rng.random((3, 4, 5)) > 0.4).astype(int)


def bce(x, target):
    p = 1 / (1 + np.exp(-x))
    return -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p)), (x, p, target)


loss = Exercise("binary cross-entropy", bce, X, TARGET)


@loss.accepts()
def p_minus_t(dout, cache):
    x, p, t = cache
    return dout * (p - t) / x.size


@loss.accepts()
def chain_of_steps(dout, cache):
    _x, p, t = cache
    dp = dout * (-t / p + (1 - t) / (1 - p)) / p.size
    return dp * p * (1 - p)


@loss.accepts(forward=lambda x, t: np.mean(np.maximum(x, 0) - x * t + np.log1p(np.exp(-np.abs(x)))))
def without_a_cache(dout, x, t):
    return dout / x.size * (0.5 * (1 + np.tanh(x / 2)) - t)


@loss.rejects("too large", "60")
def the_mean_forgotten(dout, cache):
    _x, p, t = cache
    return dout * (p - t)


@loss.rejects("too large", "20")
def divided_by_the_batch_only(dout, cache):
    x, p, t = cache
    return dout * (p - t) / len(x)


@loss.rejects("sign")
def t_minus_p(dout, cache):
    x, p, t = cache
    return dout * (t - p) / x.size


@loss.rejects("logits", "sigmoid")
def the_sigmoid_forgotten(dout, cache):
    x, _p, t = cache
    return dout * (x - t) / x.size


@loss.rejects("target", "missing|subtract|minus")
def the_target_forgotten(dout, cache):
    x, p, _t = cache
    return dout * p / x.size


@loss.rejects("p (1 - p)|p * (1 - p)")
def the_derivative_to_p(dout, cache):
    x, p, t = cache
    return dout * (-t / p + (1 - t) / (1 - p)) / x.size


@loss.rejects("twice|once too often|too many")
def the_sigmoid_derivative_once_too_often(dout, cache):
    x, p, t = cache
    return dout * (p - t) * p * (1 - p) / x.size


@loss.rejects("upstream")
def bce_without_the_upstream(dout, cache):
    x, p, t = cache
    return (p - t) / x.size


@loss.rejects("1 - t|negative")
def only_where_the_target_is_one(dout, cache):
    x, p, t = cache
    return dout * t * (p - 1) / x.size


@loss.rejects("1 - t|target", "swapped|inverted|exchanged")
def target_inverted(dout, cache):
    x, p, t = cache
    return dout * (p - (1 - t)) / x.size


@loss.rejects("rounded|threshold|0.5")
def with_the_prediction_rounded(dout, cache):
    x, p, t = cache
    return dout * ((p > 0.5) - t) / x.size


EXERCISES = [op, leak, sig, loss]
