"""Max and average pooling over any number of spatial axes.

Each loops over the positions inside the window (the taps), never over output positions: a tap meets all windows of a strip at
once as one strided slice. A tap that would lie on padding is left out there, so nothing is ever padded.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.arithmetic import pow
from minivision.functions.convolution.geometry import Window, need_samples, output_size, per_axis, sliding_window, span
from minivision.functions.operands import as_tensor, check_flags, integer, need_float, number
from minivision.functions.selecting import keep_only
from minivision.functions.strips import MemoryOrder, Strip, in_strips, scratch_like

Places = tuple[slice, ...]


class _Pool(Function):
    """A window moving over x (N, C, *size); the stride is the kernel size unless given."""

    shape: tuple[int, ...]  # of x
    order: MemoryOrder

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

    def taps(self, outputs: slice | None = None, inputs: slice | None = None) -> Iterator[tuple[int, Places, Places]]:
        """For each position in the window, in row-major order: its number, the outputs for which it lies on the image (and not on
        padding), and the inputs that they meet there.

        `outputs` or `inputs` restrict the search to these rows along the first axis.
        """
        along_axes = []
        for axis, (n, out, k, s, (before, _), d) in enumerate(
            zip(self.shape[2:], self.out, self.kernel, self.window.stride, self.window.padding, self.window.dilation, strict=True)
        ):
            low, high = (outputs.start, outputs.stop) if outputs and axis == 0 else (0, out)
            top, end = (inputs.start, inputs.stop) if inputs and axis == 0 else (0, n)
            meetings = []
            for shift in range(-before, k * d - before, d):  # output o meets input o s + shift
                first, stop = max(low, -((shift - top) // s)), min(high, (end - 1 - shift) // s + 1)
                meetings.append((slice(first, stop), slice(first * s + shift, (stop - 1) * s + shift + 1, s)))
            along_axes.append(meetings)
        for tap, met in enumerate(itertools.product(*along_axes)):
            if all(o.start < o.stop for o, _ in met):
                yield tap, tuple(o for o, _ in met), tuple(i for _, i in met)

    @property
    def overlapping(self) -> bool:
        """Whether an input may lie in several windows."""
        return any(s < span(k, d) for s, k, d in zip(self.window.stride, self.kernel, self.window.dilation, strict=True))

    def spread_back(self, dy: Array, contribution: Callable[[int, Places, Any], Array]) -> Array:
        """dx: to each input, the contributions of the outputs whose windows it lies in.

        `contribution(tap, outputs, part)` is what these outputs, `part` of an array in the order of memory, send to the inputs at
        this position of their windows. Each strip of inputs collects what it gets from all taps, so no two threads write to one
        place; where no two windows share an input, there is nothing to add up.
        """
        xp, order = xp_of(dy), self.order
        batch, channels, *size = self.shape
        dx = order.empty(batch, channels, size, dy.dtype, xp)

        def collect(strip: Strip) -> None:
            dx[order.index(strip, (strip.rows, *map(slice, size[1:])))] = 0
            for tap, outputs, inputs in self.taps(inputs=strip.rows):
                part = dx[order.index(strip, inputs)]
                share = contribution(tap, outputs, order.index(strip, outputs))
                if self.overlapping:
                    part += share
                else:
                    part[...] = share

        in_strips(collect, order, self.shape, math.prod(size[1:]), type(dy) is np.ndarray)
        return order.names(dx)


class MaxPool(_Pool):
    """y[n,c,o] = max of x over the window at s o - p;  dy goes to the first maximum in row-major order. Padding never wins.

    For backward it keeps the number of the winner in its window, a byte. Unless someone may ask for it, it is not worked out.
    """

    def __init__(self, *settings: Any, return_indices: bool = False, **named: Any):
        super().__init__(*settings, **named)
        self.return_indices = return_indices

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.shape, self.order = x.shape, MemoryOrder.of(x)
        self.place_windows(x.shape[2:])
        batch, channels, *size = x.shape
        y = self.order.empty(batch, channels, self.out, x.dtype, xp)
        x = self.order.view(x)
        self.winner = winner = None
        if self.needs_input_grad[0] or self.return_indices:
            dtype = np.uint8 if math.prod(self.kernel) <= 256 else np.int32
            winner = self.order.empty(batch, channels, self.out, dtype, xp)
            self.winner = self.order.names(winner)
        on_cpu = type(x) is np.ndarray

        def search(strip: Strip) -> None:
            if not on_cpu or not self._search_by_maximum(x, y, winner, strip):
                self._search_by_comparison(x, y, winner, strip)

        per_row = math.prod(size[1:]) * self.window.stride[0]
        in_strips(search, self.order, (batch, channels, self.out[0]), per_row, on_cpu)
        return self.order.names(y)

    def _search_by_comparison(self, x: Array, y: Array, winner: Array | None, strip: Strip) -> None:
        """The definition, tap by tap: the greatest value so far, and the first tap that had it. NaN wins, and stays."""
        xp = xp_of(x)
        self._begin(y, winner, strip)
        for tap, outputs, inputs in self.taps(outputs=strip.rows):
            here = self.order.index(strip, outputs)
            value = x[self.order.index(strip, inputs)]
            better = (value > y[here]) | (value != value)
            xp.copyto(y[here], value, where=better)
            if winner is not None:
                xp.copyto(winner[here], winner.dtype.type(tap), where=better)

    def _search_by_maximum(self, x: np.ndarray, y: np.ndarray, winner: np.ndarray | None, strip: Strip) -> bool:
        """The same without a branch for each element, ten times as fast; False where there is a NaN, which no comparison finds.

        The taps come in rising order, so the last one that was better than all before it is the largest tap * better.
        """
        everything = self.order.index(strip, (strip.rows, *map(slice, self.out[1:])))
        taps = list(self.taps(outputs=strip.rows))
        if all(before <= 0 for before, _ in self.window.padding):  # all windows have a first tap to begin with
            y[everything] = x[self.order.index(strip, taps.pop(0)[2])]
            if winner is not None:
                winner[everything] = 0
        else:
            self._begin(y, winner, strip)
        for tap, outputs, inputs in taps:
            here = self.order.index(strip, outputs)
            met, best = x[self.order.index(strip, inputs)], y[here]
            value = scratch_like("pooled value", met)
            value[...] = met  # the steps below are faster on a run of memory than on every second pixel
            if winner is not None:
                number = scratch_like("pooled tap", best, winner.dtype)
                if number.itemsize == 1:
                    np.greater(value, best, out=number.view(np.bool_))
                else:
                    number[...] = value > best
                number *= winner.dtype.type(tap)
                np.maximum(winner[here], number, out=winner[here])
            np.maximum(best, value, out=best)
        return winner is None or not np.isnan(y[everything].max(initial=-np.inf))

    def _begin(self, y: Array, winner: Array | None, strip: Strip) -> None:
        """Nothing found yet. Where all values are -inf, the first of them wins, never the padding."""
        everything = self.order.index(strip, (strip.rows, *map(slice, self.out[1:])))
        y[everything] = -np.inf
        if winner is not None:
            first = self._first_real_taps(winner.dtype)[strip.rows]
            winner[everything] = xp_of(y).asarray(first if self.order.planes else first[..., None])

    def backward(self, dy: Array) -> Array:
        upstream, winner = self.order.arranged(dy), self.order.view(self.winner)

        def of_winners(tap: int, outputs: Places, part: Any) -> Array:
            if type(dy) is not np.ndarray:
                return upstream[part] * (winner[part] == tap)
            share, won = scratch_like("won", upstream[part]), scratch_like("winning", winner[part], bool)
            keep_only(np.equal(winner[part], tap, out=won), upstream[part], share)
            return share

        return self.spread_back(dy, of_winners)

    def decisions(self) -> dict[str, Array]:
        return {} if self.winner is None else {"winner": self.winner}

    def indices(self) -> Array:
        """Where each winner stands, as a flat index into the unpadded plane: (N, C, *out) int64."""
        xp, order, winner = xp_of(self.winner), self.order, self.order.view(self.winner)
        corner, steps = (xp.asarray(numbers) for numbers in self._flat_positions())
        flat = order.empty(self.shape[0], self.shape[1], self.out, np.int64, xp)

        def place(strip: Strip) -> None:
            part = order.index(strip, (strip.rows, *map(slice, self.out[1:])))
            if xp is np:
                np.take(steps, winner[part], out=flat[part], mode="clip")  # the mode saves NumPy a second array
            else:
                flat[part] = steps[winner[part].astype(np.int64)]
            flat[part] += corner[strip.rows]

        in_strips(place, order, (*self.shape[:2], self.out[0]), math.prod(self.out[1:]), type(flat) is np.ndarray)
        return order.names(flat)

    def _flat_positions(self) -> tuple[np.ndarray, np.ndarray]:
        """Flat positions in the unpadded plane: those of the windows' corners (*out), and from there to each of the taps."""
        corner, steps, stride = np.zeros((1,) * len(self.out), np.int64), np.zeros(1, np.int64), 1
        for axis in reversed(range(len(self.out))):
            starts = np.arange(self.out[axis]) * self.window.stride[axis] - self.window.padding[axis][0]
            corner = corner + starts.reshape([-1 if i == axis else 1 for i in range(len(self.out))]) * stride
            within = np.arange(self.kernel[axis]) * self.window.dilation[axis] * stride
            steps = (within[:, None] + steps).reshape(-1)
            stride *= self.shape[2 + axis]
        return corner if self.order.planes else corner[..., None], steps

    def _first_real_taps(self, dtype: Any) -> np.ndarray:
        """(*out): the number of the first tap of each window that does not lie on the padding."""
        number = np.zeros((1,) * len(self.out), np.int64)
        for axis, (out, s, (before, _), d) in enumerate(
            zip(self.out, self.window.stride, self.window.padding, self.window.dilation, strict=True)
        ):
            in_padding = np.maximum(before - np.arange(out) * s, 0)
            first = -(-in_padding // d)
            number = number * self.kernel[axis] + first.reshape([-1 if i == axis else 1 for i in range(len(self.out))])
        return number.astype(dtype)


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
        self.shape, self.order = x.shape, MemoryOrder.of(x)
        self.place_windows(x.shape[2:])
        batch, channels, *size = x.shape
        y, order = self.order.empty(batch, channels, self.out, x.dtype, xp), self.order
        x, divisor = order.view(x), self._divisor(x.dtype, xp)

        def average(strip: Strip) -> None:
            part = y[order.index(strip, (strip.rows, *map(slice, self.out[1:])))]
            part[...] = 0
            for _, outputs, inputs in self.taps(outputs=strip.rows):
                y[order.index(strip, outputs)] += x[order.index(strip, inputs)]
            part /= divisor if divisor.size == 1 else divisor[strip.rows]

        per_row = math.prod(size[1:]) * self.window.stride[0]
        in_strips(average, order, (batch, channels, self.out[0]), per_row, type(x) is np.ndarray)
        return order.names(y)

    def backward(self, dy: Array) -> Array:
        upstream, divisor = self.order.arranged(dy), self._divisor(dy.dtype, xp_of(dy))

        def share(tap: int, outputs: Places, part: Any) -> Array:
            divisors = divisor if divisor.size == 1 else divisor[outputs]
            if type(dy) is not np.ndarray:
                return upstream[part] / divisors
            return np.divide(upstream[part], divisors, out=scratch_like("share", upstream[part]))

        return self.spread_back(dy, share)

    def _divisor(self, dtype: Any, xp: Any) -> Array:
        """How many values each window divides by: (*out), with an axis for the channels where they come last; or one for all."""
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
        if (divisor == divisor.flat[0]).all():
            return xp.asarray(divisor.flat[0].astype(dtype))
        return xp.asarray((divisor if self.order.planes else divisor[..., None]).astype(dtype))


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
    function = MaxPool(kernel_size, stride, padding, dilation, ceil_mode, op, return_indices=return_indices)
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
