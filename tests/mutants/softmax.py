"""Softmax, log-softmax, and cross-entropy: of classes, and of pixels with an ignored label and class weights."""

from __future__ import annotations

import numpy as np

from tests.mutants.exercise import Exercise

rng = np.random.default_rng(3)


def p_of(x, axis=1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def softmax(x):
    y = p_of(x)
    return y, y


op = Exercise("softmax", softmax, rng.standard_normal((3, 5)))


@op.accepts()
def minus_the_weighted_sum(dout, y):
    return y * (dout - (dout * y).sum(axis=1, keepdims=True))


@op.accepts()
def the_whole_jacobian(dout, y):
    return np.stack([(np.diag(p) - np.outer(p, p)) @ g for p, g in zip(y, dout, strict=True)])


@op.accepts()
def einsum(dout, y):
    return np.einsum("ni,ni->ni", y, dout) - np.einsum("ni,nj,nj->ni", y, y, dout)


@op.rejects("diagonal|coupling")
def only_the_diagonal(dout, y):
    return dout * y * (1 - y)


@op.rejects("coupling|sum over")
def the_sum_forgotten(dout, y):
    return dout * y


@op.rejects("zero everywhere")
def returns_zero(dout, y):
    return np.zeros_like(y)


@op.rejects("axis 0|over the batch|wrong axis")
def the_sum_over_the_wrong_axis(dout, y):
    return y * (dout - (dout * y).sum(axis=0, keepdims=True))


@op.rejects("everything|all axes|wrong axis")
def the_sum_over_everything(dout, y):
    return y * (dout - (dout * y).sum())


@op.rejects("sum of dout", "y")
def the_sum_not_weighted(dout, y):
    return y * (dout - dout.sum(axis=1, keepdims=True))


@op.rejects("factor y|y is missing|lacks")
def y_in_front_missing(dout, y):
    return dout - (dout * y).sum(axis=1, keepdims=True)


@op.rejects("sign")
def with_a_minus(dout, y):
    return -y * (dout - (dout * y).sum(axis=1, keepdims=True))


@op.rejects("adds", "minus")
def plus_for_minus(dout, y):
    return y * (dout + (dout * y).sum(axis=1, keepdims=True))


@op.rejects("passed through unchanged")
def passed_through(dout, y):
    return dout * 1.0


@op.rejects("upstream|linear")
def as_if_after_cross_entropy(dout, y):
    return y - dout


@op.rejects("mean")
def a_mean_for_the_sum(dout, y):
    return y * (dout - (dout * y).mean(axis=1, keepdims=True))


@op.rejects(forward=lambda x: (np.exp(x) / np.exp(x).sum(), p_of(x)))
def forward_over_everything(dout, y):
    return y * (dout - (dout * y).sum(axis=1, keepdims=True))


# ---- over the channels of images ----

pixels = Exercise("softmax of pixels", softmax, rng.standard_normal((2, 4, 3, 2)))
pixels.accepts()(minus_the_weighted_sum)


@pixels.rejects("diagonal|coupling")
def pixels_only_the_diagonal(dout, y):
    return dout * y * (1 - y)


@pixels.rejects("wrong axis|axis")
def pixels_over_the_last_axis(dout, y):
    return y * (dout - (dout * y).sum(axis=-1, keepdims=True))


@pixels.rejects("coupling|sum over")
def pixels_without_the_sum(dout, y):
    return dout * y


# ---- log-softmax ----


def log_softmax(x):
    y = x - x.max(axis=1, keepdims=True)
    y = y - np.log(np.exp(y).sum(axis=1, keepdims=True))
    return y, y


logs = Exercise("log softmax", log_softmax, rng.standard_normal((3, 5)))


@logs.accepts()
def exp_of_y(dout, y):
    return dout - np.exp(y) * dout.sum(axis=1, keepdims=True)


@logs.accepts()
def class_by_class(dout, y):
    dx = dout.copy()
    for k in range(y.shape[1]):
        dx[:, k] -= np.exp(y[:, k]) * np.sum(dout, axis=1)
    return dx


@logs.rejects("sum")
def the_sum_of_dout_forgotten(dout, y):
    return dout - np.exp(y) * dout


@logs.rejects("linear|upstream")
def as_if_dout_summed_to_one(dout, y):
    return dout - np.exp(y)


@logs.rejects("exp|probabilities")
def y_for_exp_y(dout, y):
    return dout - y * dout.sum(axis=1, keepdims=True)


@logs.rejects("passed through")
def logs_passed_through(dout, y):
    return dout.copy()


@logs.rejects("mean")
def the_mean_of_dout(dout, y):
    return dout - np.exp(y) * dout.mean(axis=1, keepdims=True)


@logs.rejects("softmax")
def the_backward_of_softmax(dout, y):
    p = np.exp(y)
    return p * (dout - (dout * p).sum(axis=1, keepdims=True))


@logs.rejects("wrong axis|axis")
def logs_over_the_batch(dout, y):
    return dout - np.exp(y) * dout.sum(axis=0, keepdims=True)


# ---- cross-entropy ----

LABELS = np.array([2, 0, 4, 2])


def cross_entropy(x, labels):
    p = p_of(x)
    return -np.log(p[np.arange(len(x)), labels]).mean(), (p, labels)


def cross_entropy_backward(dout, cache):
    p, labels = cache
    dx = p.copy()
    dx[np.arange(len(p)), labels] -= 1
    return dout * dx / len(p)


loss = Exercise("cross-entropy", cross_entropy, rng.standard_normal((4, 5)), LABELS)
loss.accepts()(cross_entropy_backward)


@loss.accepts()
def with_one_hot(dout, cache):
    p, labels = cache
    return dout * (p - np.eye(p.shape[1])[labels]) / p.shape[0]


@loss.accepts(forward=lambda x, labels: -np.mean([np.log(p_of(row[None]))[0, k] for row, k in zip(x, labels, strict=True)]))
def with_loops(dout, x, labels):
    dx = np.zeros_like(x)
    for n in range(x.shape[0]):
        for k in range(x.shape[1]):
            dx[n, k] = p_of(x[n : n + 1])[0, k] - (k == labels[n])
    return dx * float(dout) / len(x)


@loss.accepts()
def through_softmax_backward(dout, cache):
    p, labels = cache
    dp = np.zeros_like(p)
    dp[np.arange(len(p)), labels] = -dout / p[np.arange(len(p)), labels] / len(p)
    return p * (dp - (dp * p).sum(axis=1, keepdims=True))


@loss.rejects("one-hot|minus 1", "missing")
def the_one_hot_forgotten(dout, cache):
    p, _labels = cache
    return dout * p / len(p)


@loss.rejects("too large", "N")
def not_divided_by_n(dout, cache):
    return len(cache[0]) * cross_entropy_backward(dout, cache)


@loss.rejects("upstream")
def ce_upstream_ignored(dout, cache):
    return cross_entropy_backward(1.0, cache)


@loss.rejects("sign")
def ce_sign(dout, cache):
    return -cross_entropy_backward(dout, cache)


@loss.rejects("logits|softmax")
def logits_for_probabilities(dout, cache):
    x, labels = cache
    dx = x.copy()
    dx[np.arange(len(x)), labels] -= 1
    return dout * dx / len(x)


loss.wrong[-1].forward = lambda x, labels: (cross_entropy(x, labels)[0], (x, labels))


@loss.rejects("coupling|other classes|1/p")
def only_the_true_class(dout, cache):
    p, labels = cache
    dx = np.zeros_like(p)
    dx[np.arange(len(p)), labels] = p[np.arange(len(p)), labels] - 1
    return dout * dx / len(p)


@loss.rejects("1 / p|1/p|softmax")
def the_gradient_to_p(dout, cache):
    p, labels = cache
    dx = np.zeros_like(p)
    dx[np.arange(len(p)), labels] = -1 / p[np.arange(len(p)), labels]
    return dout * dx / len(p)


@loss.rejects("plus|+1|added")
def plus_one(dout, cache):
    p, labels = cache
    dx = p.copy()
    dx[np.arange(len(p)), labels] += 1
    return dout * dx / len(p)


@loss.rejects("one-hot", "divided|1/N|mean")
def only_the_one_hot_divided(dout, cache):
    p, labels = cache
    return dout * (p - np.eye(p.shape[1])[labels] / len(p))


@loss.rejects("too large|too small", "channels|classes")
def divided_by_the_classes(dout, cache):
    p, labels = cache
    return dout * (p - np.eye(p.shape[1])[labels]) / p.shape[1]


@loss.rejects("label", "one")
def labels_off_by_one(dout, cache):
    p, labels = cache
    return dout * (p - np.eye(p.shape[1])[labels - 1]) / len(p)


@loss.rejects("every row|each row|whole column|indexing|[:, labels]")
def the_whole_column(dout, cache):
    p, labels = cache
    dx = p.copy()
    dx[:, labels] -= 1
    return dout * dx / len(p)


# ---- of pixels, label 255 ignored ----

MASKS = rng.integers(0, 4, (2, 3, 5))
MASKS[0, 0, :2] = MASKS[1, 2, 4] = 255
WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0])


def pixel_loss(x, labels):
    p = p_of(x)
    keep = labels != 255
    n, i, j = np.nonzero(keep)
    return -np.log(p[n, labels[keep], i, j]).sum() / keep.sum(), (p, labels, keep)


def one_hot(labels, classes):
    return (labels[:, None] == np.arange(classes)[:, None, None]).astype(float)


def pixel_backward(dout, cache):
    p, labels, keep = cache
    return dout * (p - one_hot(labels, p.shape[1])) * keep[:, None] / keep.sum()


pixel = Exercise("per-pixel cross-entropy", pixel_loss, rng.standard_normal((2, 4, 3, 5)), MASKS)
pixel.accepts()(pixel_backward)


@pixel.accepts()
def by_nonzero(dout, cache):
    p, labels, keep = cache
    dx = np.where(keep[:, None], p, 0)
    n, i, j = np.nonzero(keep)
    dx[n, labels[n, i, j], i, j] -= 1
    dx *= dout / len(n)
    return dx


@pixel.accepts()
def flattened(dout, cache):
    p, labels, _keep = cache
    rows = p.transpose(0, 2, 3, 1).reshape(-1, p.shape[1]).copy()
    flat = labels.ravel()
    valid = np.flatnonzero(flat != 255)
    rows[valid, flat[valid]] -= 1
    rows[flat == 255] = 0
    n, c, h, w = p.shape
    return (rows / len(valid) * dout).reshape(n, h, w, c).transpose(0, 3, 1, 2)


@pixel.accepts()
def pixel_by_pixel(dout, cache):
    p, labels, keep = cache
    dx = np.zeros(p.shape)
    for n, i, j in np.argwhere(keep):
        dx[n, :, i, j] = p[n, :, i, j]
        dx[n, labels[n, i, j], i, j] -= 1
    return dout * dx / keep.sum()


@pixel.rejects("ignored", "gradient|receive")
def ignored_pixels_get_gradient(dout, cache):
    p, labels, keep = cache
    return dout * (p - one_hot(labels, p.shape[1])) / keep.sum()


@pixel.rejects("too small|divided", "ignored|N * H * W|pixels")
def divided_by_all_pixels(dout, cache):
    p, labels, keep = cache
    return dout * (p - one_hot(labels, p.shape[1])) * keep[:, None] / keep.size


@pixel.rejects("too large", "27|pixels")
def not_divided(dout, cache):
    p, labels, keep = cache
    return dout * (p - one_hot(labels, p.shape[1])) * keep[:, None]


@pixel.rejects("N|batch", "divided|too large")
def divided_by_the_images(dout, cache):
    p, labels, keep = cache
    return dout * (p - one_hot(labels, p.shape[1])) * keep[:, None] / len(p)


@pixel.rejects("one-hot|minus 1", "missing")
def pixel_one_hot_forgotten(dout, cache):
    p, _labels, keep = cache
    return dout * p * keep[:, None] / keep.sum()


@pixel.rejects("last class|class 3|clip")
def ignored_label_clipped(dout, cache):
    p, labels, keep = cache
    return dout * (p - one_hot(np.minimum(labels, 3), 4)) / keep.sum()


@pixel.rejects("class 0|background|label 0")
def ignored_counted_as_background(dout, cache):
    p, labels, keep = cache
    return dout * (p - one_hot(np.where(keep, labels, 0), 4)) / keep.sum()


@pixel.rejects("sign")
def pixel_sign(dout, cache):
    return -pixel_backward(dout, cache)


@pixel.rejects("upstream")
def pixel_upstream_ignored(dout, cache):
    return pixel_backward(1.0, cache)


@pixel.rejects("wrong places|reshape")
def reshaped_without_the_transpose(dout, cache):
    dx = pixel_backward(dout, cache)
    return dx.transpose(0, 2, 3, 1).reshape(dx.shape)


@pixel.rejects("wrong axis", "3")
def softmax_over_the_width(dout, cache):
    x, labels, keep = cache
    return dout * (p_of(x, axis=3) - one_hot(labels, 4)) * keep[:, None] / keep.sum()


pixel.wrong[-1].forward = lambda x, labels: (pixel_loss(x, labels)[0], (x, labels, labels != 255))


# ---- with class weights ----


def weighted_loss(x, labels, weight):
    p = p_of(x)
    n, i, j = np.indices(labels.shape)
    w = weight[labels]
    return -(w * np.log(p[n, labels, i, j])).sum() / w.sum(), (p, labels, w)


weighted = Exercise(
    "weighted cross-entropy", weighted_loss, rng.standard_normal((2, 4, 3, 5)), rng.integers(0, 4, (2, 3, 5)), WEIGHTS, wrt="x"
)


@weighted.accepts()
def weights_of_the_labels(dout, cache):
    p, labels, w = cache
    return dout * w[:, None] * (p - one_hot(labels, 4)) / w.sum(), None, None


@weighted.rejects("weight", "forgotten|missing")
def weights_forgotten(dout, cache):
    p, labels, _w = cache
    return dout * (p - one_hot(labels, 4)) / labels.size, None, None


@weighted.rejects("weight", "divided|number of pixels|sum of the weights")
def divided_by_the_pixels(dout, cache):
    p, labels, w = cache
    return dout * w[:, None] * (p - one_hot(labels, 4)) / labels.size, None, None


@weighted.rejects("weight", "class|channel")
def weights_by_channel(dout, cache):
    p, labels, w = cache
    return dout * WEIGHTS[:, None, None] * (p - one_hot(labels, 4)) / w.sum(), None, None


@weighted.rejects("weight", "one-hot")
def weights_on_the_one_hot_only(dout, cache):
    p, labels, w = cache
    return dout * (p - w[:, None] * one_hot(labels, 4)) / w.sum(), None, None


EXERCISES = [op, pixels, logs, loss, pixel, weighted]
