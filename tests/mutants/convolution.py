"""Convolution: with stride and padding, dilated, grouped, and square as students try it first."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from tests.mutants.exercise import Exercise

rng = np.random.default_rng(4)


def conv(x, w, b, stride, padding, dilation, groups):
    """One kernel entry at a time."""
    (n, _, h, wd), (o, cg, kh, kw) = x.shape, w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    oh = (h + 2 * padding - dilation * (kh - 1) - 1) // stride + 1
    ow = (wd + 2 * padding - dilation * (kw - 1) - 1) // stride + 1
    y = np.zeros((n, o, oh, ow)) + b[:, None, None]
    for k in range(o):
        first = k // (o // groups) * cg
        for a in range(kh):
            for e in range(kw):
                seen = xp[:, first : first + cg, a * dilation :: stride, e * dilation :: stride][:, :, :oh, :ow]
                y[:, k] += np.einsum("nchw,c->nhw", seen, w[k, :, a, e])
    return y, (x, w, stride, padding, dilation, groups)


def conv_backward(dout, cache, *, step=None, spread=None, first_of=None, add=True, crop=None, kernel=None):
    """Right as it stands; the keywords put in the mistakes that are in the indices."""
    x, w, stride, padding, dilation, groups = cache
    kernel = w if kernel is None else kernel
    step = stride if step is None else step
    spread = dilation if spread is None else spread
    crop = padding if crop is None else crop
    (_, _, h, wd), (o, cg, kh, kw), (oh, ow) = x.shape, w.shape, dout.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for k in range(o):
        start = (k // (o // groups) if first_of is None else first_of(k)) * cg
        for i in range(oh):
            for j in range(ow):
                at = (
                    slice(None), slice(start, start + cg),
                    slice(i * step, i * step + spread * kh, spread), slice(j * step, j * step + spread * kw, spread),
                )  # fmt: skip
                window = xp[at]
                g = dout[:, k, i, j, None, None, None]
                dw[k, :, : window.shape[2], : window.shape[3]] += (window * g).sum(axis=0)
                part = g * kernel[k, :, : window.shape[2], : window.shape[3]]
                dxp[at] = dxp[at] + part if add else part
    return dxp[:, :, crop : crop + h, crop : crop + wd], dw, dout.sum(axis=(0, 2, 3))


def inputs(n, c, h, w, o, kh, kw, stride=1, padding=0, dilation=1, groups=1):
    return (
        rng.standard_normal((n, c, h, w)), rng.standard_normal((o, c // groups, kh, kw)), rng.standard_normal(o),
        stride, padding, dilation, groups,
    )  # fmt: skip


plain = Exercise("convolution", conv, *inputs(2, 3, 5, 6, 4, 3, 2))
strided = Exercise("convolution, stride 2, padding 1", conv, *inputs(2, 2, 6, 5, 3, 3, 3, stride=2, padding=1))
dilated = Exercise("convolution, dilation 2", conv, *inputs(2, 2, 6, 7, 3, 3, 2, padding=1, dilation=2))
grouped = Exercise("convolution, groups", conv, *inputs(2, 4, 5, 4, 6, 2, 3, padding=1, groups=2))
square = Exercise("convolution, square", conv, *inputs(2, 3, 6, 6, 3, 3, 3, padding=1))
ALL = [plain, strided, dilated, grouped, square]

for op in ALL:
    op.accepts()(conv_backward)

# ---- other right ways ----


def im2col(x, w, b, stride, padding, dilation, groups):
    n, o, kh, kw = len(x), *np.array(w.shape)[[0, 2, 3]]
    xp = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    seen = sliding_window_view(xp, (dilation * (kh - 1) + 1, dilation * (kw - 1) + 1), axis=(2, 3))
    seen = seen[:, :, ::stride, ::stride, ::dilation, ::dilation]  # (n, c, oh, ow, kh, kw)
    oh, ow = seen.shape[2:4]
    columns = seen.transpose(0, 2, 3, 1, 4, 5).reshape(n * oh * ow, groups, -1)
    rows = w.reshape(groups, o // groups, -1)
    y = np.einsum("pgk,gok->pgo", columns, rows).reshape(n, oh, ow, o).transpose(0, 3, 1, 2) + b[:, None, None]
    return y, {"columns": columns, "rows": rows, "xp": xp.shape, "x": x.shape, "w": w.shape, "s": (stride, padding, dilation)}


for op in ALL:

    @op.accepts(forward=im2col)
    def im2col_and_col2im(dout, cache):
        n, _o, oh, ow = dout.shape
        stride, padding, dilation = cache["s"]
        g = dout.transpose(0, 2, 3, 1).reshape(n * oh * ow, len(cache["rows"]), -1)
        dw = np.einsum("pgo,pgk->gok", g, cache["columns"]).reshape(cache["w"])
        dcol = np.einsum("pgo,gok->pgk", g, cache["rows"])
        kh, kw = cache["w"][2:]
        dcol = dcol.reshape(n, oh, ow, -1, kh, kw)
        dxp = np.zeros(cache["xp"])
        for a in range(kh):
            for e in range(kw):
                rows, columns = (
                    slice(a * dilation, a * dilation + stride * oh, stride),
                    slice(e * dilation, e * dilation + stride * ow, stride),
                )
                dxp[:, :, rows, columns] += dcol[..., a, e].transpose(0, 3, 1, 2)
        h, wd = cache["x"][2:]
        return [dxp[:, :, padding : padding + h, padding : padding + wd], dw, dout.sum((0, 2, 3))]


@plain.accepts(forward=lambda x, w, b, *settings: conv(x, w, b, *settings)[0])
def by_full_correlation_without_a_cache(dout, x, w, b, *settings):
    kh, kw = w.shape[2:]
    full = np.pad(dout, ((0, 0), (0, 0), (kh - 1,) * 2, (kw - 1,) * 2))
    turned = w[:, :, ::-1, ::-1]
    dx = np.einsum("nohwab,ocab->nchw", sliding_window_view(full, (kh, kw), axis=(2, 3)), turned)
    dw = np.einsum("nchwij,noij->ochw", sliding_window_view(x, dout.shape[2:], axis=(2, 3)), dout)
    return dx, dw, dout.sum((0, 2, 3))


def fft_conv(x, w, b, stride, padding, dilation, groups):
    (h, wd), (kh, kw) = x.shape[2:], w.shape[2:]
    fx, fw = np.fft.rfft2(x), np.fft.rfft2(w, (h, wd))
    y = np.fft.irfft2(np.einsum("nchw,ochw->nohw", fx, fw.conj()), (h, wd))
    return y[:, :, : h - kh + 1, : wd - kw + 1] + b[None, :, None, None], (fx, fw, x.shape, w.shape)


@plain.accepts(forward=fft_conv)
def by_fft(dout, cache):
    fx, fw, xs, ws = cache
    g = np.fft.rfft2(dout, xs[2:])
    dx = np.fft.irfft2(np.einsum("nohw,ochw->nchw", g, fw), xs[2:])
    dw = np.fft.irfft2(np.einsum("nohw,nchw->ochw", g.conj(), fx), xs[2:])[:, :, : ws[2], : ws[3]]
    return dx, dw, np.einsum("nohw->o", dout)


class ConvCache:
    def __init__(self, windows, w, shape):
        self.windows, self.w, self.shape = windows, w, shape


def strided_conv(x, w, b, stride, padding, dilation, groups):
    xp = np.ascontiguousarray(np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2)).transpose(0, 2, 3, 1))  # channels last
    n, h, wd, c = xp.shape
    kh, kw = w.shape[2:]
    s = xp.strides
    shape = (n, (h - kh) // stride + 1, (wd - kw) // stride + 1, kh, kw, c)
    windows = as_strided(xp, shape, (s[0], s[1] * stride, s[2] * stride, s[1], s[2], s[3]))
    return np.tensordot(windows, w, ((3, 4, 5), (2, 3, 1))).transpose(0, 3, 1, 2) + b[:, None, None], ConvCache(
        windows, w, (x.shape, stride, padding)
    )


for op in (strided, square):

    @op.accepts(forward=strided_conv)
    def as_strided_channels_last(dout, cache):
        (n, c, h, wd), stride, p = cache.shape
        dw = np.tensordot(dout, cache.windows, ((0, 2, 3), (0, 1, 2))).transpose(0, 3, 1, 2)
        dx = np.zeros((n, h + 2 * p, wd + 2 * p, c))
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                block = dx[:, i * stride : i * stride + cache.w.shape[2], j * stride : j * stride + cache.w.shape[3]]
                block += np.tensordot(dout[:, :, i, j], cache.w, 1).transpose(0, 2, 3, 1)
        return dx[:, p : p + h, p : p + wd].transpose(0, 3, 1, 2), dw, dout.sum(3).sum(2).sum(0)


# ---- mistakes that all of them can have ----

for op in ALL:

    @op.rejects("dx", "flipped")
    def dx_with_the_kernel_flipped(dout, cache):
        return conv_backward(dout, cache, kernel=cache[1][:, :, ::-1, ::-1])

    @op.rejects("dw", "flipped in both axes")
    def dw_flipped(dout, cache):
        dx, dw, db = conv_backward(dout, cache)
        return dx, dw[:, :, ::-1, ::-1].copy(), db

    @op.rejects("dx", "= where += belongs")
    def dx_overwritten(dout, cache):
        x, w, stride, padding, dilation, groups = cache
        n, _o, oh, ow = dout.shape
        kh, kw = w.shape[2:]
        dxp = np.zeros((x.shape[0], x.shape[1], x.shape[2] + 2 * padding, x.shape[3] + 2 * padding))
        for i in range(oh):
            for j in range(ow):
                g = dout[:, :, i, j].reshape(n, groups, -1)
                part = np.einsum("ngo,gockl->ngckl", g, w.reshape(groups, -1, *w.shape[1:])).reshape(n, -1, kh, kw)
                dxp[
                    :, :, i * stride : i * stride + kh * dilation : dilation, j * stride : j * stride + kw * dilation : dilation
                ] = part
        dx = dxp[:, :, padding : padding + x.shape[2], padding : padding + x.shape[3]]
        return dx, *conv_backward(dout, cache)[1:]

    @op.rejects("dw", "only", "sample")
    def dw_of_one_sample(dout, cache):
        x, *rest = cache
        dx, _, db = conv_backward(dout, cache)
        return dx, conv_backward(dout[-1:], (x[-1:], *rest))[1], db

    @op.rejects("dw", "too small", "N")
    def dw_a_mean_over_the_batch(dout, cache):
        dx, dw, db = conv_backward(dout, cache)
        return dx, dw / len(dout), db

    @op.rejects("db", "too small", "mean", "positions")
    def db_a_mean(dout, cache):
        dx, dw, _db = conv_backward(dout, cache)
        return dx, dw, dout.mean(axis=(0, 2, 3))

    @op.rejects("db", "shape", "sum over the batch")
    def db_not_summed_over_the_batch(dout, cache):
        dx, dw, _db = conv_backward(dout, cache)
        return dx, dw, dout.sum(axis=(2, 3))

    @op.rejects("db", "shape")
    def db_keepdims(dout, cache):
        dx, dw, db = conv_backward(dout, cache)
        return dx, dw, db[None, :, None, None]

    @op.rejects("dw", "last", "loop")
    def the_last_row_of_windows_forgotten(dout, cache):
        dx, _dw, db = conv_backward(dout, cache)
        bare = dout.copy()
        bare[:, :, -1] = 0
        return dx, conv_backward(bare, cache)[1], db

    @op.rejects("dx", "sign")
    def dx_with_a_minus(dout, cache):
        dx, dw, db = conv_backward(dout, cache)
        return -dx, dw, db

    @op.rejects("dw", "ones|upstream")
    def dw_without_the_upstream(dout, cache):
        dx, _dw, db = conv_backward(dout, cache)
        return dx, conv_backward(np.ones_like(dout), cache)[1], db


for op in (strided, dilated, grouped, square):  # with padding

    @op.rejects("dx", "padding is not removed")
    def padding_not_removed(dout, cache):
        x, w, stride, padding, *rest = cache
        _dx, dw, db = conv_backward(dout, cache)
        xp = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
        return conv_backward(dout, (xp, w, stride, 0, *rest))[0], dw, db

    @op.rejects("dx", "crop|shifted", "padding")
    def cropped_from_the_corner(dout, cache):
        _dx, dw, db = conv_backward(dout, cache)
        return conv_backward(dout, cache, crop=0)[0], dw, db

    @op.rejects("dw", "padding")
    def dw_from_x_without_padding(dout, cache):
        x, w, stride, padding, *rest = cache
        dx, _dw, db = conv_backward(dout, cache)
        grown = np.pad(x, ((0, 0), (0, 0), (0, 2 * padding), (0, 2 * padding)))
        return dx, conv_backward(dout, (grown, w, stride, 0, *rest))[1], db


# ---- mistakes of one kind of convolution ----


@strided.rejects("dx", "stride")
def dx_without_the_stride(dout, cache):
    _dx, dw, db = conv_backward(dout, cache)
    return conv_backward(dout, cache, step=1)[0], dw, db


@strided.rejects("dw", "stride")
def dw_without_the_stride(dout, cache):
    dx, _dw, db = conv_backward(dout, cache)
    return dx, conv_backward(dout, cache, step=1)[1], db


@strided.rejects("dx", "stride")
def both_without_the_stride(dout, cache):
    return conv_backward(dout, cache, step=1)


@strided.rejects("dx", "crop|padding")
def cropped_one_too_far(dout, cache):
    _x, _w, _stride, _padding, *_rest = cache
    dx, dw, db = conv_backward(dout, cache)
    moved = np.zeros_like(dx)
    moved[:, :, :-1, :-1] = dx[:, :, 1:, 1:]
    return moved, dw, db


@dilated.rejects("dx", "dilation")
def dx_without_the_dilation(dout, cache):
    _dx, dw, db = conv_backward(dout, cache)
    return conv_backward(dout, cache, spread=1)[0], dw, db


@dilated.rejects("dw", "dilation")
def dw_without_the_dilation(dout, cache):
    dx, _dw, db = conv_backward(dout, cache)
    return dx, conv_backward(dout, cache, spread=1)[1], db


@dilated.rejects("dx", "stride|dilation")
def dilation_taken_for_the_stride(dout, cache):
    _dx, dw, db = conv_backward(dout, cache)
    _x, _w, _stride, _padding, dilation, _groups = cache
    return conv_backward(dout, cache, step=dilation, spread=1)[0], dw, db


@grouped.rejects("dx", "group")
def dx_with_the_groups_in_turn(dout, cache):
    _dx, dw, db = conv_backward(dout, cache)
    return conv_backward(dout, cache, first_of=lambda k: k % 2)[0], dw, db


@grouped.rejects("dw", "group")
def dw_with_the_groups_in_turn(dout, cache):
    dx, _dw, db = conv_backward(dout, cache)
    return dx, conv_backward(dout, cache, first_of=lambda k: k % 2)[1], db


@grouped.rejects("dx", "group|channel")
def only_the_first_group(dout, cache):
    dx, dw, db = conv_backward(dout, cache)
    dx[:, 2:] = 0
    return dx, dw, db


@grouped.rejects("dx", "group|channel", "order|wrong")
def groups_exchanged(dout, cache):
    dx, dw, db = conv_backward(dout, cache)
    return dx[:, [2, 3, 0, 1]], dw, db


@plain.rejects("db", "channel")
def db_of_one_channel_for_all(dout, cache):
    dx, dw, db = conv_backward(dout, cache)
    return dx, dw, np.full_like(db, db[0])


@plain.rejects("db", "all channels|over everything|every channel")
def db_the_sum_over_everything(dout, cache):
    dx, dw, db = conv_backward(dout, cache)
    return dx, dw, np.full_like(db, dout.sum())


@square.rejects("dx", "axes 0 and 1 swapped|in and out|input and output channels")
def dx_with_the_channels_of_the_kernel_swapped(dout, cache):
    _dx, dw, db = conv_backward(dout, cache)
    return conv_backward(dout, cache, kernel=cache[1].transpose(1, 0, 2, 3))[0], dw, db


@square.rejects("dw", "swapped")
def dw_with_the_channels_swapped(dout, cache):
    dx, dw, db = conv_backward(dout, cache)
    return dx, dw.transpose(1, 0, 2, 3), db


@square.rejects("dw", "transposed")
def dw_with_rows_and_columns_exchanged(dout, cache):
    dx, dw, db = conv_backward(dout, cache)
    return dx, dw.transpose(0, 1, 3, 2), db


@square.rejects("dx", "transposed")
def dx_with_the_kernel_transposed(dout, cache):
    _dx, dw, db = conv_backward(dout, cache)
    return conv_backward(dout, cache, kernel=cache[1].transpose(0, 1, 3, 2))[0], dw, db


@square.rejects("dx", "forward|correlat|not transposed|flipped")
def dx_by_the_forward_convolution(dout, cache):
    _dx, dw, db = conv_backward(dout, cache)
    _x, w, *settings = cache
    return conv(dout, w, np.zeros(3), *settings)[0], dw, db


EXERCISES = ALL
