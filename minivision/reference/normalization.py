"""Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167), as in training."""

from __future__ import annotations

import math

import numpy as np

from minivision.reference.loops import positions

Array = np.ndarray


def batch_norm(x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """y = weight[c] (x - mean[c]) / sqrt(var[c] + eps) + bias[c], mean and variance over all images and positions of channel c

    x (N, C, ...), weight and bias (C,) -> like x. The variance is the biased one: the mean squared distance from the mean.
    """
    y = np.zeros(x.shape)
    for c in range(x.shape[1]):
        values = [x[(n, c, *at)] for n, *at in positions(x.shape[0], *x.shape[2:])]
        mean = sum(values) / len(values)
        var = sum((value - mean) ** 2 for value in values) / len(values)
        for n, *at in positions(x.shape[0], *x.shape[2:]):
            normalized = (x[(n, c, *at)] - mean) / math.sqrt(var + eps)
            y[(n, c, *at)] = normalized * (1 if weight is None else weight[c]) + (0 if bias is None else bias[c])
    return y
