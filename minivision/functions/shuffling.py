"""Rearrangements between channels and pixels: reshapes and permutations, no arithmetic."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Tensor
from minivision.functions.operands import as_tensor, integer


def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """(*, C r^2, H, W) -> (*, C, H r, W r): the r^2 channels of a group become the r x r pixels of a cell.

    y[c, i r + u, j r + v] = x[c r^2 + u r + v, i, j]: a convolution with r^2 times the channels then serves as upsampling. Shi et
    al., Real-time super-resolution with a sub-pixel convolutional network (arXiv:1609.05158).
    Raises ValueError unless the channels are a multiple of r^2.
    """
    op = "pixel_shuffle"
    x, r = _image(op, input), integer(op, "upscale_factor", upscale_factor, minimum=1)
    *batch, channels, height, width = x.shape
    if channels % (r * r):
        raise ValueError(
            f"{op}: input {x.shape} has {channels} channels, which is no multiple of upscale_factor^2 = {r}^2 = {r * r}"
        )
    n = len(batch)
    cells = x.reshape(*batch, channels // (r * r), r, r, height, width)
    # (*, C, u, v, H, W) -> (*, C, H, u, W, v)
    spread = cells.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return spread.reshape(*batch, channels // (r * r), height * r, width * r)


def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) -> (*, C r^2, H, W): the inverse of `pixel_shuffle`.

    Raises ValueError unless height and width are multiples of r.
    """
    op = "pixel_unshuffle"
    x, r = _image(op, input), integer(op, "downscale_factor", downscale_factor, minimum=1)
    *batch, channels, height, width = x.shape
    if height % r or width % r:
        raise ValueError(f"{op}: input {x.shape} has size {height} x {width}, which is no multiple of downscale_factor = {r}")
    n = len(batch)
    cells = x.reshape(*batch, channels, height // r, r, width // r, r)
    # (*, C, H, u, W, v) -> (*, C, u, v, H, W)
    gathered = cells.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return gathered.reshape(*batch, channels * r * r, height // r, width // r)


def channel_shuffle(input: Any, groups: int) -> Tensor:
    """(N, C, *): channels (group, member) are reordered to (member, group), so that the next grouped convolution mixes groups.

    Zhang et al., ShuffleNet (arXiv:1707.01083). Raises ValueError unless `groups` divides C.
    """
    op = "channel_shuffle"
    x, groups = as_tensor(op, "input", input), integer(op, "groups", groups, minimum=1)
    if x.ndim < 3:
        raise ValueError(f"{op}: input has shape {x.shape}, but must be (N, C, *) with at least one spatial axis")
    if x.shape[1] % groups:
        raise ValueError(f"{op}: groups={groups} must divide the {x.shape[1]} channels of input {x.shape}")
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]).transpose(1, 2).reshape(*x.shape)


def _image(op: str, input: Any) -> Tensor:
    x = as_tensor(op, "input", input)
    if x.ndim < 3:
        raise ValueError(f"{op}: input has shape {x.shape}, but must be (*, C, H, W)")
    return x
