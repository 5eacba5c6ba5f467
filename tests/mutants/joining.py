"""Where paths of a network meet: the skip connection of a ResNet, and crop and concatenation of a U-Net."""

from __future__ import annotations

import numpy as np

from tests.mutants.exercise import Exercise

rng = np.random.default_rng(9)

# ---- y = x + tanh(x w): x is used twice ----


def block(x, w):
    h = np.tanh(x @ w)
    return x + h, (x, w, h)


def block_backward(dout, cache):
    x, w, h = cache
    dz = dout * (1 - h**2)
    return dout + dz @ w.T, x.T @ dz


skip = Exercise("skip connection", block, rng.standard_normal((4, 3)), rng.standard_normal((3, 3)))
skip.accepts()(block_backward)


@skip.accepts()
def accumulated(dout, cache):
    x, w, h = cache
    dx = np.array(dout)
    dz = dout * (1 - h * h)
    dx += np.einsum("nm,dm->nd", dz, w)
    return [dx, np.einsum("nd,nm->dm", x, dz)]


@skip.rejects("dx", "dout", "missing|skip")
def the_skip_forgotten(dout, cache):
    x, w, h = cache
    dz = dout * (1 - h**2)
    return dz @ w.T, x.T @ dz


@skip.rejects("dx", "passed through unchanged")
def the_branch_forgotten(dout, cache):
    return dout.copy(), block_backward(dout, cache)[1]


@skip.rejects("dx", "upstream array itself")
def the_upstream_returned(dout, cache):
    x, w, h = cache
    dw = x.T @ (dout * (1 - h**2))
    dout += (dout * (1 - h**2)) @ w.T
    return dout, dw


@skip.rejects("dx", "dout")
def the_skip_twice(dout, cache):
    dx, dw = block_backward(dout, cache)
    return dx + dout, dw


@skip.rejects("dx", "half")
def the_mean_of_the_branches(dout, cache):
    dx, dw = block_backward(dout, cache)
    return dx / 2, dw


@skip.rejects()
def tanh_forgotten(dout, cache):
    x, w, _h = cache
    return dout + dout @ w.T, x.T @ dout


@skip.rejects()
def y_for_h(dout, cache):
    x, w, h = cache
    dz = dout * (1 - (x + h) ** 2)
    return dout + dz @ w.T, x.T @ dz


@skip.rejects()
def the_kernel_not_transposed(dout, cache):
    x, w, h = cache
    dz = dout * (1 - h**2)
    return dout + dz @ w, x.T @ dz


@skip.rejects("dw", "too small", "N")
def dw_a_mean(dout, cache):
    dx, dw = block_backward(dout, cache)
    return dx, dw / len(dout)


@skip.rejects("dw", "sign")
def dw_sign(dout, cache):
    dx, dw = block_backward(dout, cache)
    return dx, -dw


# ---- the middle of `down` beside `up`, along the channels ----


def join(down, up):
    h, w = up.shape[2:]
    i, j = (down.shape[2] - h) // 2, (down.shape[3] - w) // 2
    return np.concatenate([down[:, :, i : i + h, j : j + w], up], axis=1), (down.shape, i, j)


def join_backward(dout, cache):
    shape, i, j = cache
    ddown = np.zeros(shape)
    ddown[:, :, i : i + dout.shape[2], j : j + dout.shape[3]] = dout[:, : shape[1]]
    return ddown, dout[:, shape[1] :].copy()


unet = Exercise("crop and concatenation", join, rng.standard_normal((2, 3, 6, 8)), rng.standard_normal((2, 2, 3, 4)))
same = Exercise("concatenation", join, rng.standard_normal((2, 2, 4, 4)), rng.standard_normal((2, 2, 4, 4)))

for op in (unet, same):
    op.accepts()(join_backward)

    @op.accepts()
    def by_padding(dout, cache):
        (_n, c, h, w), i, j = cache
        ddown, dup = np.split(dout, [c], axis=1)
        room = ((0, 0), (0, 0), (i, h - i - dout.shape[2]), (j, w - j - dout.shape[3]))
        return [np.pad(ddown, room), np.array(dup)]


@unet.rejects("ddown", "shape")
def not_padded(dout, cache):
    return dout[:, :3].copy(), dout[:, 3:].copy()


@unet.rejects("ddown", "crop|shifted")
def padded_at_the_corner(dout, cache):
    return join_backward(dout, (cache[0], 0, 0))


@unet.rejects("ddown", "crop|shifted")
def padded_one_off(dout, cache):
    return join_backward(dout, (cache[0], cache[1] + 1, cache[2]))


@unet.rejects("ddown", "transposed|shifted|crop")
def the_offsets_exchanged(dout, cache):
    return join_backward(dout, (cache[0], cache[2], cache[1]))


@unet.rejects("dup", "channel")
def the_first_channels_for_both(dout, cache):
    return join_backward(dout, cache)[0], dout[:, :2].copy()


@unet.rejects("ddown", "zero everywhere")
def ddown_forgotten(dout, cache):
    return np.zeros(cache[0]), dout[:, 3:].copy()


@unet.rejects("ddown", "channel")
def the_channels_the_wrong_way_round(dout, cache):
    _ddown, dup = join_backward(dout, cache)
    return join_backward(np.concatenate([dout[:, 2:], dout[:, :2]], axis=1), cache)[0], dup


@unet.rejects("dup", "half")
def halved(dout, cache):
    ddown, dup = join_backward(dout, cache)
    return ddown, dup / 2


@unet.rejects("dup", "None")
def up_forgotten(dout, cache):
    return join_backward(dout, cache)[0], None


@unet.rejects("ddown", "border|edge")
def the_border_filled(dout, cache):
    _shape, i, j = cache
    _ddown, dup = join_backward(dout, cache)
    return np.pad(dout[:, :3], ((0, 0), (0, 0), (i, 6 - i - 3), (j, 8 - j - 4)), mode="edge"), dup


@same.rejects("wrong order")
def the_two_exchanged(dout, cache):
    ddown, dup = join_backward(dout, cache)
    return dup, ddown


@same.rejects("ddown", "channel|axis 1|slice")
def every_second_channel(dout, cache):
    return dout[:, ::2].copy(), dout[:, 1::2].copy()


@same.rejects("ddown", "sum|both")
def both_get_the_sum(dout, cache):
    ddown, dup = join_backward(dout, cache)
    return ddown + dup, ddown + dup


@same.rejects("upstream", "in place")
def the_upstream_modified(dout, cache):
    dup = dout[:, 2:].copy()
    dout[:, 2:] = 0
    return dout[:, :2].copy(), dup


EXERCISES = [skip, unet, same]
