"""Transposed convolution: with overlaps, padding and output padding; and the 2 x 2, stride 2 of every U-Net."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tests.mutants.exercise import Exercise

rng = np.random.default_rng(5)


def up(x, w, b, stride, padding, output_padding):
    """Every entry of x stamps its kernel; w is (in, out, kh, kw)."""
    (n, _, h, wd), (_, o, kh, kw) = x.shape, w.shape
    y = np.zeros((n, o, (h - 1) * stride + kh + output_padding, (wd - 1) * stride + kw + output_padding))
    for i in range(h):
        for j in range(wd):
            y[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] += np.einsum("nc,cokl->nokl", x[:, :, i, j], w)
    p = padding
    return y[:, :, p : y.shape[2] - p, p : y.shape[3] - p] + b[:, None, None], (x, w, stride, padding, output_padding)


def up_backward(dout, cache, *, kernel=None, step=None, start=0, add=True):
    x, w, stride, p, _extra = cache
    kernel = w if kernel is None else kernel
    step = stride if step is None else step
    g = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
    kh, kw = w.shape[2:]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            seen = g[:, :, i * step + start : i * step + start + kh, j * step + start : j * step + start + kw]
            a, e = seen.shape[2:]
            dx[:, :, i, j] = np.einsum("nokl,cokl->nc", seen, kernel[:, :, :a, :e])
            part = np.einsum("nc,nokl->cokl", x[:, :, i, j], seen)
            dw[:, :, :a, :e] = dw[:, :, :a, :e] + part if add else part
    return dx, dw, dout.sum(axis=(0, 2, 3))


def inputs(n, c, h, w, o, kh, kw, stride, padding=0, output_padding=0):
    return (
        rng.standard_normal((n, c, h, w)),
        rng.standard_normal((c, o, kh, kw)),
        rng.standard_normal(o),
        stride,
        padding,
        output_padding,
    )


overlapping = Exercise("transposed convolution", up, *inputs(2, 3, 3, 4, 2, 3, 2, 2, 1, 1))
unet = Exercise("2 x 2 up-convolution", up, *inputs(2, 4, 3, 3, 2, 2, 2, 2))
same = Exercise("transposed convolution, square", up, *inputs(2, 3, 4, 4, 3, 3, 3, 2, 1))
ALL = [overlapping, unet, same]

for op in ALL:
    op.accepts()(up_backward)

    @op.accepts()
    def as_a_convolution_of_the_upstream(dout, cache):
        x, w, stride, p, _extra = cache
        g = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
        seen = sliding_window_view(g, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride][:, :, : x.shape[2], : x.shape[3]]
        return {
            "dx": np.einsum("nohwkl,cokl->nchw", seen, w),
            "dw": np.einsum("nchw,nohwkl->cokl", x, seen),
            "db": dout.sum((0, 2, 3)),
        }


@unet.accepts(
    forward=lambda x, w, b, *_: (
        np.einsum("nchw,cokl->nohkwl", x, w).reshape(len(x), -1, 2 * x.shape[2], 2 * x.shape[3]) + b[:, None, None], (x, w)
    )
)  # fmt: skip
def blocks_by_reshape(dout, cache):
    x, w = cache
    n, _c, h, wd = x.shape
    g = dout.reshape(n, -1, h, 2, wd, 2)
    return np.einsum("nohkwl,cokl->nchw", g, w), np.einsum("nchw,nohkwl->cokl", x, g), np.einsum("nohkwl->o", g)


@overlapping.accepts(forward=lambda *a: up(*a)[0])
def without_a_cache(dout, *arguments):
    return up_backward(
        dout, (arguments[0], *(np.asarray(a) if i == 0 else a for i, a in enumerate(arguments[1:2])), *arguments[3:])
    )


for op in ALL:

    @op.rejects("dx", "flipped")
    def dx_with_the_kernel_flipped(dout, cache):
        _dx, dw, db = up_backward(dout, cache)
        return up_backward(dout, cache, kernel=cache[1][:, :, ::-1, ::-1])[0], dw, db

    @op.rejects("dw", "flipped in both axes")
    def dw_flipped(dout, cache):
        dx, dw, db = up_backward(dout, cache)
        return dx, dw[:, :, ::-1, ::-1].copy(), db

    @op.rejects("dx", "stride")
    def dx_without_the_stride(dout, cache):
        _dx, dw, db = up_backward(dout, cache)
        return up_backward(dout, cache, step=1)[0], dw, db

    @op.rejects("dw", "stride")
    def dw_without_the_stride(dout, cache):
        dx, _dw, db = up_backward(dout, cache)
        return dx, up_backward(dout, cache, step=1)[1], db

    @op.rejects("dw", "= where += belongs")
    def dw_overwritten(dout, cache):
        dx, _dw, db = up_backward(dout, cache)
        return dx, up_backward(dout, cache, add=False)[1], db

    @op.rejects("dx", "off by one|pixel|padding")
    def dx_one_pixel_off(dout, cache):
        _dx, dw, db = up_backward(dout, cache)
        return up_backward(dout, cache, start=1)[0], dw, db

    @op.rejects("db", "too small", "mean", "positions")
    def db_a_mean(dout, cache):
        dx, dw, _db = up_backward(dout, cache)
        return dx, dw, dout.mean(axis=(0, 2, 3))

    @op.rejects("dw", "only", "sample")
    def dw_of_the_first_sample(dout, cache):
        x, *rest = cache
        dx, _dw, db = up_backward(dout, cache)
        return dx, up_backward(dout[:1], (x[:1], *rest))[1], db

    @op.rejects("db", "channel|axis")
    def db_over_the_batch_only(dout, cache):
        dx, dw, _db = up_backward(dout, cache)
        return dx, dw, dout.sum(axis=0)[:, 0, 0]

    @op.rejects("dx", "mean|too small", "kernel|positions")
    def dx_a_mean_over_the_kernel(dout, cache):
        dx, dw, db = up_backward(dout, cache)
        return dx / (cache[1].shape[2] * cache[1].shape[3]), dw, db

    @op.rejects("dx", "one entry|top left|corner|[0, 0]")
    def dx_of_the_first_kernel_entry(dout, cache):
        _dx, dw, db = up_backward(dout, cache)
        kernel = np.zeros_like(cache[1])
        kernel[:, :, 0, 0] = cache[1][:, :, 0, 0]
        return up_backward(dout, cache, kernel=kernel)[0], dw, db


for op in (unet, same):

    @op.rejects("dx", "w", "transposed")
    def dx_with_the_kernel_transposed(dout, cache):
        _dx, dw, db = up_backward(dout, cache)
        return up_backward(dout, cache, kernel=cache[1].transpose(0, 1, 3, 2))[0], dw, db

    @op.rejects("dw", "transposed")
    def dw_with_rows_and_columns_exchanged(dout, cache):
        dx, dw, db = up_backward(dout, cache)
        return dx, dw.transpose(0, 1, 3, 2), db


for op in (overlapping, same):

    @op.rejects("dx", "padding|crop")
    def the_crop_forgotten(dout, cache):
        x, w, stride, p, _extra = cache
        _dx, dw, db = up_backward(dout, cache)
        late = np.pad(dout, ((0, 0), (0, 0), (0, 2 * p), (0, 2 * p)))
        return up_backward(late, (x, w, stride, 0, 0))[0], dw, db

    @op.rejects("dw", "padding|crop")
    def the_crop_forgotten_in_dw(dout, cache):
        x, w, stride, p, _extra = cache
        dx, _dw, db = up_backward(dout, cache)
        late = np.pad(dout, ((0, 0), (0, 0), (0, 2 * p), (0, 2 * p)))
        return dx, up_backward(late, (x, w, stride, 0, 0))[1], db


@same.rejects("dx", "axes 0 and 1 swapped|in and out|input and output channels")
def channels_of_the_kernel_swapped(dout, cache):
    _dx, dw, db = up_backward(dout, cache)
    return up_backward(dout, cache, kernel=cache[1].transpose(1, 0, 2, 3))[0], dw, db


@same.rejects("dw", "swapped")
def dw_with_the_channels_swapped(dout, cache):
    dx, dw, db = up_backward(dout, cache)
    return dx, dw.transpose(1, 0, 2, 3), db


@unet.rejects("dx", "wrong places|order|reshaped")
def dx_reshaped_from_channels_last(dout, cache):
    dx, dw, db = up_backward(dout, cache)
    return dx.transpose(0, 2, 3, 1).reshape(dx.shape), dw, db


EXERCISES = ALL
