"""Batch, layer and group normalisation with gamma and beta."""

from __future__ import annotations

import numpy as np

from tests.mutants.exercise import Exercise

rng = np.random.default_rng(8)
EPS = 1e-3  # large enough to be missed when it is forgotten


def along_channels(v, x):
    return v.reshape(1, -1, *(1,) * (x.ndim - 2))


def normalise(x, gamma, beta, axes):
    """x is (N, groups, C / groups, ...) for a group norm, and gamma runs along x's own channels."""
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    xhat = (x - mean) / np.sqrt(var + EPS)
    return along_channels(gamma, x) * xhat + along_channels(beta, x), (x, xhat, gamma, var, axes)


def normalise_backward(dout, cache):
    x, xhat, gamma, var, axes = cache
    rest = (0, *range(2, x.ndim))
    dxhat = dout * along_channels(gamma, x)
    mean = lambda t: t.mean(axis=axes, keepdims=True)  # noqa: E731
    dx = (dxhat - mean(dxhat) - xhat * mean(dxhat * xhat)) / np.sqrt(var + EPS)
    return dx, (dout * xhat).sum(axis=rest), dout.sum(axis=rest)


def point(*shape):
    return 1.5 * rng.standard_normal(shape) + 0.7, rng.standard_normal(shape[1]) + 1.5, rng.standard_normal(shape[1])


images = Exercise("batch norm of images", normalise, *point(3, 2, 3, 4), (0, 2, 3))
rows = Exercise("batch norm of rows", normalise, *point(5, 3), (0,))
layer = Exercise("layer norm of rows", normalise, *point(4, 6), (1,))
ALL = [images, rows, layer]

for op in ALL:
    op.accepts()(normalise_backward)

    @op.accepts()
    def step_by_step(dout, cache):
        """Backwards through the graph, one node at a time."""
        x, xhat, gamma, var, axes = cache
        count = np.prod([x.shape[a] for a in axes])
        rest = (0, *range(2, x.ndim))
        centred = x - x.mean(axis=axes, keepdims=True)
        std = np.sqrt(var + EPS)
        dxhat = along_channels(gamma, x) * dout
        dvar = (dxhat * centred).sum(axis=axes, keepdims=True) * -0.5 * std**-3
        dmean = -dxhat.sum(axis=axes, keepdims=True) / std - 2 * dvar * centred.mean(axis=axes, keepdims=True)
        dx = dxhat / std + dvar * 2 * centred / count + dmean / count
        return {"dx": dx, "dgamma": np.sum(dout * xhat, axis=rest), "dbeta": np.sum(dout, axis=rest)}

    @op.accepts(forward=lambda x, gamma, beta, axes: normalise(x, gamma, beta, axes)[0])
    def everything_again_from_x(dout, x, gamma, beta, axes):
        return list(normalise_backward(dout, normalise(x, gamma, beta, axes)[1]))


for op in ALL:

    @op.rejects("dx", "mean", "missing")
    def the_mean_term_missing(dout, cache):
        x, xhat, gamma, var, axes = cache
        _, dgamma, dbeta = normalise_backward(dout, cache)
        dxhat = dout * along_channels(gamma, x)
        return (dxhat - xhat * (dxhat * xhat).mean(axis=axes, keepdims=True)) / np.sqrt(var + EPS), dgamma, dbeta

    @op.rejects("dx", "variance", "missing")
    def the_variance_term_missing(dout, cache):
        x, _xhat, gamma, var, axes = cache
        _, dgamma, dbeta = normalise_backward(dout, cache)
        dxhat = dout * along_channels(gamma, x)
        return (dxhat - dxhat.mean(axis=axes, keepdims=True)) / np.sqrt(var + EPS), dgamma, dbeta

    @op.rejects("dx", "constants|mean and variance")
    def the_statistics_taken_as_constants(dout, cache):
        x, _xhat, gamma, var, _axes = cache
        _, dgamma, dbeta = normalise_backward(dout, cache)
        return dout * along_channels(gamma, x) / np.sqrt(var + EPS), dgamma, dbeta

    @op.rejects("dx", "n - 1|N - 1")
    def n_minus_one_for_n(dout, cache):
        x, xhat, gamma, var, axes = cache
        count = np.prod([x.shape[a] for a in axes])
        _, dgamma, dbeta = normalise_backward(dout, cache)
        dxhat = dout * along_channels(gamma, x)
        share = (dxhat * xhat).sum(axis=axes, keepdims=True) / (count - 1)
        return (dxhat - dxhat.mean(axis=axes, keepdims=True) - xhat * share) / np.sqrt(var + EPS), dgamma, dbeta

    @op.rejects("dx", "eps")
    def eps_missing(dout, cache):
        _x, _xhat, _gamma, var, _axes = cache
        _, dgamma, dbeta = normalise_backward(dout, cache)
        return normalise_backward(dout, cache)[0] * np.sqrt(var + EPS) / np.sqrt(var), dgamma, dbeta

    @op.rejects("dx", "gamma")
    def gamma_missing(dout, cache):
        x, xhat, gamma, var, axes = cache
        _, dgamma, dbeta = normalise_backward(dout, cache)
        return normalise_backward(dout, (x, xhat, np.ones_like(gamma), var, axes))[0], dgamma, dbeta

    @op.rejects("dx", "square root|sqrt|variance")
    def the_square_root_missing(dout, cache):
        _x, _xhat, _gamma, var, _axes = cache
        dx, dgamma, dbeta = normalise_backward(dout, cache)
        return dx / np.sqrt(var + EPS), dgamma, dbeta

    @op.rejects("dgamma", "x", "normalised|xhat")
    def dgamma_with_x_for_xhat(dout, cache):
        x, _xhat, _gamma, _var, _axes = cache
        dx, _, dbeta = normalise_backward(dout, cache)
        return dx, (dout * x).sum(axis=(0, *range(2, x.ndim))), dbeta

    @op.rejects("dgamma", "too small")
    def dgamma_a_mean(dout, cache):
        x, xhat, _gamma, _var, _axes = cache
        dx, _, dbeta = normalise_backward(dout, cache)
        return dx, (dout * xhat).mean(axis=(0, *range(2, x.ndim))), dbeta

    @op.rejects("wrong order", "gamma", "beta")
    def dgamma_and_dbeta_exchanged(dout, cache):
        dx, dgamma, dbeta = normalise_backward(dout, cache)
        return dx, dbeta, dgamma

    @op.rejects("dbeta", "gamma")
    def dbeta_with_gamma(dout, cache):
        dx, dgamma, dbeta = normalise_backward(dout, cache)
        return dx, dgamma, dbeta * cache[2]

    @op.rejects("dx", "zero everywhere")
    def dx_zero(dout, cache):
        dx, dgamma, dbeta = normalise_backward(dout, cache)
        return np.zeros_like(dx), dgamma, dbeta

    @op.rejects("dx", "sign|plus|variance")
    def the_variance_term_added(dout, cache):
        x, xhat, gamma, var, axes = cache
        _, dgamma, dbeta = normalise_backward(dout, cache)
        dxhat = dout * along_channels(gamma, x)
        share = (dxhat * xhat).mean(axis=axes, keepdims=True)
        return (dxhat - dxhat.mean(axis=axes, keepdims=True) + xhat * share) / np.sqrt(var + EPS), dgamma, dbeta

    @op.rejects("dx", "dgamma|gamma", "twice|once too often")
    def gamma_twice(dout, cache):
        x, xhat, gamma, var, axes = cache
        _dx, dgamma, dbeta = normalise_backward(dout, cache)
        return normalise_backward(dout, (x, xhat, gamma**2, var, axes))[0], dgamma, dbeta


@images.rejects("dx", "axes|batch|image")
def the_mean_over_each_image(dout, cache):
    _dx, dgamma, dbeta = normalise_backward(dout, cache)
    return normalise_backward(dout, (*cache[:4], (2, 3)))[0], dgamma, dbeta


@images.rejects("dx", "axes|batch")
def the_mean_over_the_batch_only(dout, cache):
    _dx, dgamma, dbeta = normalise_backward(dout, cache)
    return normalise_backward(dout, (*cache[:4], (0,)))[0], dgamma, dbeta


@images.rejects("dgamma", "shape", "sum")
def dgamma_summed_over_the_batch_only(dout, cache):
    dx, _dgamma, dbeta = normalise_backward(dout, cache)
    return dx, (dout * cache[1]).sum(axis=0), dbeta


@layer.rejects("dx", "axis|batch")
def as_batch_norm(dout, cache):
    _dx, dgamma, dbeta = normalise_backward(dout, cache)
    return normalise_backward(dout, (*cache[:4], (0,)))[0], dgamma, dbeta


# ---- group norm ----


def group_norm(x, gamma, beta, groups):
    n, _c, _h, _w = x.shape
    split = x.reshape(n, groups, -1)
    mean, var = split.mean(axis=2, keepdims=True), split.var(axis=2, keepdims=True)
    xhat = ((split - mean) / np.sqrt(var + EPS)).reshape(x.shape)
    return gamma[:, None, None] * xhat + beta[:, None, None], (xhat, gamma, var, groups)


def group_norm_backward(dout, cache):
    xhat, gamma, var, groups = cache
    n = len(xhat)
    g, h = (dout * gamma[:, None, None]).reshape(n, groups, -1), xhat.reshape(n, groups, -1)
    dx = (g - g.mean(axis=2, keepdims=True) - h * (g * h).mean(axis=2, keepdims=True)) / np.sqrt(var + EPS)
    return dx.reshape(xhat.shape), (dout * xhat).sum((0, 2, 3)), dout.sum((0, 2, 3))


group = Exercise("group norm", group_norm, *point(2, 4, 3, 2), 2)
group.accepts()(group_norm_backward)


@group.accepts()
def group_by_group(dout, cache):
    xhat, gamma, var, groups = cache
    dx = np.zeros_like(xhat)
    per = len(gamma) // groups
    for n, k in np.ndindex(len(xhat), groups):
        at = n, slice(k * per, (k + 1) * per)
        g = dout[at] * gamma[at[1], None, None]
        dx[at] = (g - g.mean() - xhat[at] * np.mean(g * xhat[at])) / np.sqrt(var[n, k, 0] + EPS)
    return dx, (dout * xhat).sum((0, 2, 3)), dout.sum((0, 2, 3))


@group.rejects("dx", "mean", "missing")
def group_mean_missing(dout, cache):
    xhat, gamma, var, groups = cache
    n = len(xhat)
    g, h = (dout * gamma[:, None, None]).reshape(n, groups, -1), xhat.reshape(n, groups, -1)
    dx = (g - h * (g * h).mean(axis=2, keepdims=True)) / np.sqrt(var + EPS)
    return dx.reshape(xhat.shape), *group_norm_backward(dout, cache)[1:]


@group.rejects("dx", "variance", "missing")
def group_variance_missing(dout, cache):
    xhat, gamma, var, groups = cache
    g = (dout * gamma[:, None, None]).reshape(len(xhat), groups, -1)
    dx = (g - g.mean(axis=2, keepdims=True)) / np.sqrt(var + EPS)
    return dx.reshape(xhat.shape), *group_norm_backward(dout, cache)[1:]


@group.rejects("dx", "constants|mean and variance")
def group_constants(dout, cache):
    xhat, gamma, var, groups = cache
    dx = (dout * gamma[:, None, None]).reshape(len(xhat), groups, -1) / np.sqrt(var + EPS)
    return dx.reshape(xhat.shape), *group_norm_backward(dout, cache)[1:]


@group.rejects("dx", "gamma")
def group_gamma_missing(dout, cache):
    xhat, gamma, var, groups = cache
    return group_norm_backward(dout, (xhat, np.ones_like(gamma), var, groups))[0], *group_norm_backward(dout, cache)[1:]


@group.rejects("dx", "gamma|group")
def group_gamma_by_group(dout, cache):
    xhat, gamma, var, groups = cache
    wrong = np.tile(gamma[:2], 2)
    return group_norm_backward(dout, (xhat, wrong, var, groups))[0], *group_norm_backward(dout, cache)[1:]


@group.rejects("dgamma", "shape")
def group_dgamma_per_sample(dout, cache):
    dx, _dgamma, dbeta = group_norm_backward(dout, cache)
    return dx, (dout * cache[0]).sum((2, 3)), dbeta


@group.rejects("dbeta", "too small")
def group_dbeta_mean(dout, cache):
    dx, dgamma, _dbeta = group_norm_backward(dout, cache)
    return dx, dgamma, dout.mean((0, 2, 3))


@group.rejects("dx", "square root|sqrt|variance")
def group_root_missing(dout, cache):
    xhat, _gamma, var, groups = cache
    dx, *rest = group_norm_backward(dout, cache)
    return (dx.reshape(len(xhat), groups, -1) / np.sqrt(var + EPS)).reshape(xhat.shape), *rest


@group.rejects("dx", "sign")
def group_sign(dout, cache):
    dx, *rest = group_norm_backward(dout, cache)
    return -dx, *rest


@group.rejects("dgamma", "normalised|xhat|dbeta|wrong order|beta")
def group_dgamma_without_xhat(dout, cache):
    dx, _dgamma, dbeta = group_norm_backward(dout, cache)
    return dx, dbeta.copy(), dbeta


EXERCISES = [*ALL, group]
