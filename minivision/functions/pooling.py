"""Max and average pooling over any number of spatial axes.

Each loops over the positions inside the window (the taps), never over output positions: a tap meets all windows at once as one
strided slice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.arithmetic import pow
from minivision.functions.convolution.faces import tap_slices
from minivision.functions.convolution.geometry import Window, need_samples, output_size, per_axis, sliding_window, span
from minivision.functions.layout import channels_first, channels_last, padded, unpadded_region
from minivision.functions.operands import as_tensor, check_flags, integer, need_float, number


class _Pool(Function):
    """A window moving over x (N, C, *size); the stride is the kernel size unless given."""

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, op: str = "pool"
    ):
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.ceil_mode, self.op = ceil_mode, op

    def place_windows(self, size: Sequence[int]) -> None:
        """Work out the kernel, the window and the output size for an input of this size."""
        ndim = len(size)
        self.kernel = per_axis(self.op, "kernel_size", self.kernel_size, ndim, minimum=1)
        pads = per_axis(self.op, "padding", self.padding, ndim)
        for p, k in zip(pads, self.kernel, strict=True):
            if p > k // 2:
                raise ValueError(
                    f"{self.op}: padding {p} must be at most half of kernel_size {k}, so {k // 2}, or a window could see nothing "
                    "but padding"
                )
        stride = self.kernel if left_out(self.stride) else self.stride
        window = sliding_window(self.op, self.kernel, stride, pads, self.dilation)
        if self.ceil_mode:
            window = _extended(window, size, self.kernel)
        self.window, self.out = window, output_size(self.op, size, self.kernel, window)

    def taps(self) -> Iterator[tuple[int, tuple[slice, ...]]]:
        """For each position in the window, in row-major order: its number, and the slice of padded input that it meets."""
        for place, tap in enumerate(itertools.product(*map(range, self.kernel))):
            yield place, (slice(None), *tap_slices(tap, self.out, self.window))

    def spread_back(self, size: Sequence[int], batch: int, channels: int, contributions: Any, dtype: Any, xp: Any) -> Array:
        """Add each tap's contribution (N, *out, C) to the padded input positions it met; then take the padding off."""
        full = [n + a + b for n, (a, b) in zip(size, self.window.padding, strict=True)]
        dx = xp.zeros((batch, *full, channels), dtype)
        for place, met in self.taps():
            dx[met] += contributions(place)
        return channels_first(dx[unpadded_region(self.window.padding, full)])


class MaxPool(_Pool):
    """y[n,c,o] = max of x over the window at s o - p;  dy goes to the first maximum in row-major order. Padding never wins."""

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.shape = x.shape
        self.place_windows(x.shape[2:])
        around = padded(channels_last(x), self.window.padding, -np.inf)
        y = xp.full((x.shape[0], *self.out, x.shape[1]), -np.inf, x.dtype)
        self.winner = self._first_real_taps(y.shape, xp)  # where all values are -inf, the first of them wins, never the padding
        for place, met in self.taps():
            value = around[met]
            better = (value > y) | (value != value)  # NaN wins, and stays
            xp.copyto(y, value, where=better)
            xp.copyto(self.winner, self.winner.dtype.type(place), where=better)
        return channels_first(y)

    def backward(self, dy: Array) -> Array:
        batch, channels, *size = self.shape
        upstream = channels_last(dy)
        return self.spread_back(size, batch, channels, lambda tap: upstream * (self.winner == tap), dy.dtype, xp_of(dy))

    def decisions(self) -> dict[str, Array]:
        return {"winner": channels_first(self.winner)}

    def indices(self) -> Array:
        """Where each winner stands, as a flat index into the unpadded plane: (N, C, *out) int64."""
        xp = xp_of(self.winner)
        size = self.shape[2:]
        flat = xp.zeros(self.winner.shape, np.int64)
        rest = self.winner.astype(np.int64)
        positions = []
        for axis in reversed(range(len(size))):  # the last axis varies fastest
            starts = xp.arange(self.out[axis]) * self.window.stride[axis] - self.window.padding[axis][0]
            along = starts.reshape([-1 if i == axis + 1 else 1 for i in range(rest.ndim)])
            positions.append(along + (rest % self.kernel[axis]) * self.window.dilation[axis])
            rest //= self.kernel[axis]
        for axis, position in enumerate(reversed(positions)):
            flat = flat * size[axis] + position
        return channels_first(flat)

    def _first_real_taps(self, shape: Sequence[int], xp: Any) -> Array:
        """(N, *out, C): the number of the first tap of each window that does not lie on the padding."""
        number = np.zeros((1,) * len(self.out), np.int64)
        for axis, (out, s, (before, _), d) in enumerate(
            zip(self.out, self.window.stride, self.window.padding, self.window.dilation, strict=True)
        ):
            in_padding = np.maximum(before - np.arange(out) * s, 0)
            first = -(-in_padding // d)
            number = number * self.kernel[axis] + first.reshape([-1 if i == axis else 1 for i in range(len(self.out))])
        dtype = np.uint8 if math.prod(self.kernel) <= 256 else np.int32
        winner = xp.empty(shape, dtype)
        winner[...] = xp.asarray(number.astype(dtype))[..., None]
        return winner


class AvgPool(_Pool):
    """y[n,c,o] = (sum of x over the window) / divisor;  every x in the window receives dy / divisor"""

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None, op: str = "avg_pool",
    ):  # fmt: skip
        super().__init__(kernel_size, stride, padding, 1, ceil_mode, op)
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.shape = x.shape
        self.place_windows(x.shape[2:])
        around = padded(channels_last(x), self.window.padding)
        y = xp.zeros((x.shape[0], *self.out, x.shape[1]), x.dtype)
        for _, met in self.taps():
            y += around[met]
        y /= self._divisor(x.dtype, xp)
        return channels_first(y)

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        batch, channels, *size = self.shape
        share = channels_last(dy) / self._divisor(dy.dtype, xp)
        return self.spread_back(size, batch, channels, lambda tap: share, dy.dtype, xp)

    def _divisor(self, dtype: Any, xp: Any) -> Array:
        """How many values each window divides by, (*out, 1)."""
        divisor = np.full(self.out, float(self.divisor_override or 1))
        if self.divisor_override is None:
            for axis, (n, k, s, (before, _)) in enumerate(
                zip(self.shape[2:], self.kernel, self.window.stride, self.window.padding, strict=True)
            ):
                start = np.arange(self.out[axis]) * s - before
                # windows of ceil_mode that reach over the padded edge count only what lies within it
                low, high = (-before, n + before) if self.count_include_pad else (0, n)
                counts = np.minimum(start + k, high) - np.maximum(start, low)
                divisor = divisor * counts.reshape([-1 if i == axis else 1 for i in range(len(self.out))])
        return xp.asarray(divisor.astype(dtype))[..., None]


# ---- what users call ----


def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """As `max_pool2d`, over inputs (N, C, L)."""
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest value of each window.

    Parameters
    ----------
    input: (N, C, H, W), or (C, H, W) for a single image.
    kernel_size, stride, dilation: an int, or (vertical, horizontal); the stride is the kernel size unless given.
    padding: an implicit -inf on each side, at most half the kernel size.
    ceil_mode: keep a last window that reaches over the right or bottom edge, if it starts inside the input.
    return_indices: also return where each maximum stands, as flat int64 indices into the unpadded H x W plane.

    The first maximum in row-major order wins a tie and receives the whole gradient; NaN wins over everything.
    Raises ValueError when the window does not fit.
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """As `max_pool2d`, over volumes (N, C, D, H, W)."""
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_pool(
    op: str, ndim: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool,
    return_indices: bool,
) -> Any:  # fmt: skip
    x, single = pool_input(op, ndim, input)
    check_flags(op, ceil_mode=ceil_mode, return_indices=return_indices)
    function = MaxPool(kernel_size, stride, padding, dilation, ceil_mode, op)
    y = function(x)
    if not return_indices:
        return y.squeeze(0) if single else y
    positions = Tensor._wrap(function.indices())
    return (y.squeeze(0), positions.squeeze(0)) if single else (y, positions)


def avg_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """As `avg_pool2d`, over inputs (N, C, L)."""
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of each window.

    Input (N, C, H, W) or (C, H, W); the stride is the kernel size unless given. Padding adds zeros, which count in the divisor
    unless `count_include_pad` is False; `divisor_override` replaces it. Raises ValueError when the window does not fit.
    """
    return _avg_pool("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """As `avg_pool2d`, over volumes (N, C, D, H, W)."""
    return _avg_pool("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg_pool(
    op: str, ndim: int, input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, include_pad: bool,
    override: int | None,
) -> Tensor:  # fmt: skip
    x, single = pool_input(op, ndim, input)
    check_flags(op, ceil_mode=ceil_mode, count_include_pad=include_pad)
    override = None if override is None else integer(op, "divisor_override", override)
    if override == 0:
        raise ValueError(f"{op}: divisor_override=0 divides the sums of the windows; give another one, or None for their size")
    y = AvgPool(kernel_size, stride, padding, ceil_mode, include_pad, override, op)(x)
    return y.squeeze(0) if single else y


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """As `lp_pool2d`, over inputs (N, C, L)."""
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """(sum of x^p over each window)^(1/p), p being `norm_type`: the sum for p = 1, the largest |x| for p = inf.

    Input (N, C, H, W) or (C, H, W); the stride is the kernel size unless given. As in PyTorch, x^p is not |x|^p, and a window of
    zeros has no finite gradient for p > 1. Raises ValueError when the window does not fit, and for p = 0.
    """
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """As `lp_pool2d`, over volumes (N, C, D, H, W)."""
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(op: str, ndim: int, input: Any, p: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Tensor:
    p = number(op, "norm_type", p, infinite=True)
    if p == 0:
        raise ValueError(f"{op}: norm_type=0 would take the root of order 0; use 1 for sums, 2 for lengths, inf for maxima")
    x = as_tensor(op, "input", input)
    pool_input(op, ndim, x)
    check_flags(op, ceil_mode=ceil_mode)
    if math.isinf(p):
        largest = _max_pool(op, ndim, abs(x) if p > 0 else -abs(x), kernel_size, stride, 0, 1, ceil_mode, False)
        return largest if p > 0 else -largest
    kernel = per_axis(op, "kernel_size", kernel_size, ndim, minimum=1)
    mean = _avg_pool(op, ndim, pow(x, p), kernel, stride, 0, ceil_mode, True, None)
    mean = mean * (mean != 0)  # the values stay; PyTorch's gradient is 0 where the mean is
    return pow(mean * math.prod(kernel), 1 / p)


def pool_input(op: str, ndim: int, input: Any) -> tuple[Tensor, bool]:
    """The input with a batch axis, and whether that had to be added."""
    x = as_tensor(op, "input", input)
    need_float(op, input=x)
    need_samples(op, x, ndim)
    single = x.ndim == ndim + 1
    if x.shape[-ndim - 1] == 0:
        raise ValueError(f"{op}: input has shape {x.shape}, which has no channel; only the batch may be empty")
    return (x.unsqueeze(0) if single else x), single


def left_out(setting: Any) -> bool:
    """Whether a stride is not given: None, or empty as in PyTorch."""
    return setting is None or (isinstance(setting, (tuple, list)) and not setting)


def _extended(window: Window, size: Sequence[int], kernel: Sequence[int]) -> Window:
    """With ceil_mode: as much padding behind as the last window needs, if it starts before the padding there."""
    padding = []
    for n, k, s, (p, _), d in zip(size, kernel, window.stride, window.padding, window.dilation, strict=True):
        count = -(-(n + 2 * p - span(k, d)) // s) + 1
        if (count - 1) * s >= n + p:
            count -= 1
        padding.append((p, max((count - 1) * s + span(k, d) - n - p, p)))
    return window._replace(padding=tuple(padding))
