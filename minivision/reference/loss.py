"""Softmax and cross-entropy, per pixel: the class axis is axis 1, as in (N, K) and (N, K, H, W)."""

from __future__ import annotations

import math

import numpy as np

from minivision.reference.loops import positions

Array = np.ndarray


def softmax(scores: Array) -> Array:
    """p[k] = exp(s[k]) / sum over l of exp(s[l]), at every pixel

    scores (N, K, ...) -> (N, K, ...). The largest score is taken off first; that cancels, and no exponential overflows.
    """
    rows = np.moveaxis(scores, 1, -1)  # (N, ..., K): one row of scores for each pixel
    p = np.zeros(rows.shape)
    for pixel in positions(*rows.shape[:-1]):
        s = rows[pixel]
        e = [math.exp(s_k - max(s)) for s_k in s]
        p[pixel] = [e_k / sum(e) for e_k in e]
    return np.moveaxis(p, -1, 1)


def log_softmax(scores: Array) -> Array:
    """log p[k] = s[k] - log(sum over l of exp(s[l])), at every pixel; finite where p itself would be rounded to 0"""
    rows = np.moveaxis(scores, 1, -1)
    log_p = np.zeros(rows.shape)
    for pixel in positions(*rows.shape[:-1]):
        s = rows[pixel]
        log_sum = max(s) + math.log(sum(math.exp(s_k - max(s)) for s_k in s))
        log_p[pixel] = [s_k - log_sum for s_k in s]
    return np.moveaxis(log_p, -1, 1)


def cross_entropy(
    scores: Array, target: Array, weight: Array | None = None, ignore_index: int = -100, reduction: str = "mean",
    label_smoothing: float = 0.0, pixel_weight: Array | None = None,
) -> float | Array:  # fmt: skip
    """loss = -(sum over pixels of w[t] log p[t]) / (sum over pixels of w[t]), t the label of the pixel

    scores (N, K, ...), target (N, ...) of class numbers, weight (K,). Pixels labelled `ignore_index` are left out of both sums.
    With `label_smoothing` e, the label is a mixture: log p[t] gives way to the sum over k of q[k] log p[k], each with its own
    w[k], where q is e/K for every class and 1 - e more for t. `pixel_weight` (N, ...) weighs each pixel in both sums. reduction
    "sum" leaves out the division; "none" gives the losses of the pixels, 0 where ignored.
    """
    log_p, classes = log_softmax(scores), scores.shape[1]
    losses, weights = np.zeros(target.shape), np.zeros(target.shape)
    for n, *pixel in positions(*target.shape):
        t = target[n, *pixel]
        if t != ignore_index:
            own = 1 if pixel_weight is None else pixel_weight[n, *pixel]
            weights[n, *pixel] = own * (1 if weight is None else weight[t])
            for k in range(classes):
                q = label_smoothing / classes + (1 - label_smoothing if k == t else 0)
                if q > 0:
                    losses[n, *pixel] -= own * (1 if weight is None else weight[k]) * q * log_p[n, k, *pixel]
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / weights.sum()


def cross_entropy_backward(scores: Array, target: Array, weight: Array | None = None, ignore_index: int = -100) -> Array:
    """ds[k] = w[t] (p[k] - (1 if k is t else 0)) / (sum over pixels of w[t]): the probabilities, minus the truth

    The gradient of the mean to the scores, (N, K, ...); 0 at ignored pixels.
    """
    p, ds, total = softmax(scores), np.zeros(scores.shape), 0.0
    for n, *pixel in positions(*target.shape):
        t = target[n, *pixel]
        if t != ignore_index:
            w = 1.0 if weight is None else weight[t]
            total += w
            for k in range(scores.shape[1]):
                ds[n, k, *pixel] = w * (p[n, k, *pixel] - (k == t))
    return ds / total
