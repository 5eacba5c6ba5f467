"""Normalisation: a group of values loses its mean and is divided by its standard deviation.

Batch normalisation (Ioffe & Szegedy 2015, arXiv:1502.03167) takes a channel over all images as a group, instance normalisation a
channel of one image, layer normalisation one whole image, group normalisation (Wu & He 2018, arXiv:1803.08494) some channels of
one image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.reference.loops import positions

Array = np.ndarray


def standardize(
    x: Array, groups: Sequence[Any], weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    """y = weight[c] (x - mean) / sqrt(var + eps) + bias[c], mean and variance over the group that x belongs to

    x (N, C, ...), weight and bias (C,) -> like x. `groups` lists indices into x that together take every value once; those of
    x[:, c] for each c are batch normalisation. The variance is the biased one: the mean squared distance from the mean.
    """
    y = np.zeros(x.shape)
    for group in groups:
        mean, deviation = statistics(x[group], eps)
        y[group] = (x[group] - mean) / deviation
    for c in range(x.shape[1]):
        y[:, c] = y[:, c] * (1 if weight is None else weight[c]) + (0 if bias is None else bias[c])
    return y


def standardize_backward(
    dy: Array, x: Array, groups: Sequence[Any], weight: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """dx = (g - mean(g) - x' mean(g x')) / sqrt(var + eps), with x' the normalised x and g = weight[c] dy

    A group's mean and variance depend on all its values: the two means take back what moving them would add. Returns dx like x,
    dweight[c] = sum of dy x' and dbias[c] = sum of dy, over everything in channel c.
    """
    g, normalized, dx = np.zeros(x.shape), np.zeros(x.shape), np.zeros(x.shape)
    for c in range(x.shape[1]):
        g[:, c] = dy[:, c] * (1 if weight is None else weight[c])
    for group in groups:
        mean, deviation = statistics(x[group], eps)
        normalized[group] = (x[group] - mean) / deviation
        through_mean = g[group].mean()
        through_var = (g[group] * normalized[group]).mean()
        dx[group] = (g[group] - through_mean - normalized[group] * through_var) / deviation
    dweight = np.array([(dy[:, c] * normalized[:, c]).sum() for c in range(x.shape[1])])
    dbias = np.array([dy[:, c].sum() for c in range(x.shape[1])])
    return dx, dweight, dbias


def batch_norm(x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """`standardize` as in training: a group is a channel, over all images and positions."""
    return standardize(x, channels(x), weight, bias, eps)


def batch_norm_backward(dy: Array, x: Array, weight: Array | None = None, eps: float = 1e-5) -> tuple[Array, Array, Array]:
    """`standardize_backward` for batch normalisation."""
    return standardize_backward(dy, x, channels(x), weight, eps)


def instance_norm(x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """`standardize` with a group for each channel of each image."""
    return standardize(x, list(positions(*x.shape[:2])), weight, bias, eps)


def group_norm(x: Array, num_groups: int, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """`standardize` with `num_groups` groups of neighbouring channels in each image; a single one is the whole image."""
    share = x.shape[1] // num_groups
    groups = [(n, slice(g * share, (g + 1) * share)) for n, g in positions(x.shape[0], num_groups)]
    return standardize(x, groups, weight, bias, eps)


def channels(x: Array) -> list[Any]:
    """The indices x[:, c]."""
    return [(slice(None), c) for c in range(x.shape[1])]


def statistics(values: Array, eps: float) -> tuple[float, float]:
    """The mean, and sqrt(var + eps)."""
    mean = sum(values.flat) / values.size
    var = sum((value - mean) ** 2 for value in values.flat) / values.size
    return mean, math.sqrt(var + eps)
