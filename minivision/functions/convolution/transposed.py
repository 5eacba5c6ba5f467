"""Transposed convolution: convolution's gradient to its input, used as a layer of its own."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array
from minivision.functions.convolution.direct import Shape, checked_inputs, way_out
from minivision.functions.convolution.faces import correlate_transposed, gradients_of_transposed
from minivision.functions.convolution.finishing import Finishing
from minivision.functions.convolution.geometry import (
    AXES,
    Window,
    axis_name,
    per_axis,
    sliding_window,
    transposed_output_size,
)
from minivision.functions.layout import channel_sums, channels_last
from minivision.functions.operands import integer


class TransposedConvolution(Function):
    """y = C^T x, where C is the matrix of the convolution with the same weight that maps y's size to x's.

    Each x[n,c,o] stamps its kernel w[c] onto y at s o - p, and overlapping stamps add up. As a linear map it is the convolution's
    backward, so its own backward is the convolution: dx = conv(dy, w), and dw swaps the roles of x and dy.
    """

    def __init__(
        self, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
        op: str = "transposed convolution",
    ):  # fmt: skip
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.groups, self.dilation, self.op = groups, dilation, op

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        self.check_channels(x.shape, w.shape, None if b is None else b.shape)
        self.window, self.size = self.geometry(x.shape, w.shape)
        self.x = x if self.needs_input_grad[1] else None
        self.w, self.has_bias, self.out = w, b is not None, x.shape[2:]
        y = correlate_transposed(x, w, self.size, self.window)
        if b is not None and channels_last(y).flags.c_contiguous:
            Finishing(b)(channels_last(y))
        elif b is not None:
            y += b.reshape(-1, *(1,) * len(self.size))
        return y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        need_x, need_w, need_b = self.needs_input_grad[0], self.needs_input_grad[1], self.has_bias and self.needs_input_grad[2]
        dx, dw = gradients_of_transposed(self.x if need_w else None, dy, self.w, self.out, self.window, need_x)
        db = channel_sums(dy) if need_b else None
        return (dx, dw, db) if self.has_bias else (dx, dw)

    def check_channels(self, x: Shape, w: Shape, b: Shape | None) -> None:
        """Raise ValueError unless channels, groups and bias fit together."""
        channels, per_group, groups = w[0], w[1], integer(self.op, "groups", self.groups, minimum=1)
        if x[1] != channels:
            swapped = "; transposed weights have the input channels first: weight.transpose(0, 1)" if x[1] == per_group else ""
            raise ValueError(
                f"{self.op}: input has {x[1]} channels (N, C, {AXES[len(x) - 2]}) = {x}, "
                f"but weight (in, out/groups, *kernel) = {w} expects {channels}{swapped or way_out(x, channels)}"
            )
        if channels % groups:
            raise ValueError(f"{self.op}: groups={groups} must divide the input's {channels} channels; input is {x}, weight {w}")
        if b is not None and b != (per_group * groups,):
            out = per_group * groups
            raise ValueError(
                f"{self.op}: bias has shape {b}, but weight (in, out/groups, *kernel) = {w} with groups {groups} gives {out} "
                f"channels, so it must be ({out},)"
            )

    def geometry(self, x: Shape, w: Shape) -> tuple[Window, Shape]:
        """The window of the convolution that is transposed, and the size of its input, which is the output here."""
        pads = per_axis(self.op, "padding", self.padding, len(w) - 2)  # no "same": it would not say how much to cut off
        window = sliding_window(self.op, w[2:], self.stride, pads, self.dilation, self.groups)
        extra = per_axis(self.op, "output_padding", self.output_padding, len(w) - 2)
        for axis, (e, s, d) in enumerate(zip(extra, window.stride, window.dilation, strict=True)):
            if e >= max(s, d):
                raise ValueError(
                    f"{self.op}: output_padding {e} along {axis_name(axis, len(extra))} must be smaller than the "
                    f"stride {s} or the dilation {d}; it says which of the sizes that the convolution maps to one is meant"
                )
        # output_padding cuts that much less off the far end
        window = window._replace(padding=tuple((a, b - e) for (a, b), e in zip(window.padding, extra, strict=True)))
        size = transposed_output_size(x[2:], w[2:], window)
        if min(size) < 1:
            raise ValueError(
                f"{self.op}: the output would have size {size}, since padding {self.padding} cuts off everything; input {x}, "
                f"weight {w}. A size is (n - 1) stride - 2 padding + dilation (k - 1) + 1 + output_padding"
            )
        return window, size


# ---- what users call ----


def conv_transpose1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """As `conv_transpose2d`, over inputs (N, C, L) with weights (C, F/groups, k)."""
    return _transpose("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """Upsample with a learnable kernel: each input pixel stamps its kernel onto the output, and overlapping stamps add up.

    Parameters
    ----------
    input: (N, C, H, W), or (C, H, W) for a single image.
    weight: (C, F/groups, kh, kw): the weight of the convolution F -> C that this one transposes.
    bias: (F,) or None.
    stride: the distance between stamps, an int or (vertical, horizontal).
    padding: how much is cut off each side of the result: the zeros that the convolution would have added.
    output_padding: computed rows and columns added at the bottom and right, fewer than the stride (or the dilation). For
        stride > 1 the convolution maps several sizes to one, and this says which of them is meant.

    Returns (N, F, H', W') with H' = (H - 1) stride - 2 padding + dilation (kh - 1) + 1 + output_padding.

    Raises ValueError when channels, groups or sizes do not fit, TypeError for integer or mixed dtypes; each names the shapes.

    Why the gradient of convolution can serve as upsampling: with the same arguments, convolution is a matrix C from the large
    image to the small one, its gradient is C^T, and C^T maps small to large. See Dumoulin & Visin (arXiv:1603.07285), section 4.
    """
    return _transpose("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1,
    dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """As `conv_transpose2d`, over volumes (N, C, D, H, W) with weights (C, F/groups, kd, kh, kw)."""
    return _transpose("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _transpose(
    op: str, ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int,
    dilation: Any,
) -> Tensor:  # fmt: skip
    x, w, b = checked_inputs(op, ndim, input, weight, bias, "(in, out/groups, *kernel)")
    single = x.ndim == ndim + 1
    if single:
        x = x.unsqueeze(0)
    function = TransposedConvolution(stride, padding, output_padding, groups, dilation, op)
    y = function(x, w) if b is None else function(x, w, b)
    return y.squeeze(0) if single else y
