"""Transposed convolution: convolution's gradient to its input, used as a layer of its own."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array
from minivision.functions.convolution.direct import AXES, checked_inputs
from minivision.functions.convolution.faces import correlate, correlate_kernel, correlate_transposed
from minivision.functions.convolution.geometry import Window, axis_name, per_axis, transposed_output_size
from minivision.functions.layout import channel_sums


class TransposedConvolution(Function):
    """y = C^T x, where C is the matrix of the convolution with the same weight that maps y's size to x's.

    Each x[n,c,o] stamps its kernel w[c] onto y at s o - p, and overlapping stamps add up. As a linear map it is the convolution's
    backward, so its own backward is the convolution: dx = conv(dy, w), and dw swaps the roles of x and dy.
    """

    def __init__(self, window: Window, size: tuple[int, ...]):
        self.window, self.size = window, size

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        self.x = x if self.needs_input_grad[1] else None
        self.w, self.has_bias = w, b is not None
        y = correlate_transposed(x, w, self.size, self.window)
        if b is not None:
            y += b.reshape(-1, *(1,) * len(self.size))
        return y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        need_x, need_w, need_b = self.needs_input_grad[0], self.needs_input_grad[1], self.has_bias and self.needs_input_grad[2]
        dx = correlate(dy, self.w, self.window) if need_x else None
        dw = correlate_kernel(dy, self.x, self.w.shape[2:], self.window) if need_w else None
        db = channel_sums(dy) if need_b else None
        return (dx, dw, db) if self.has_bias else (dx, dw)


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
    strides = per_axis(op, "stride", stride, ndim, minimum=1)
    pads = per_axis(op, "padding", padding, ndim)
    dilations = per_axis(op, "dilation", dilation, ndim, minimum=1)
    extra = per_axis(op, "output_padding", output_padding, ndim)
    # output_padding cuts that much less off the far end
    window = Window(strides, tuple((p, p - e) for p, e in zip(pads, extra, strict=True)), dilations, groups)

    channels, per_group = w.shape[:2]
    if x.shape[1] != channels:
        raise ValueError(
            f"{op}: input has {x.shape[1]} channels (N, C, {AXES[ndim]}) = {x.shape}, but weight (in, out/groups, *kernel) = "
            f"{w.shape} expects {channels}; transposed weights have the input channels first"
        )
    if groups < 1 or channels % groups:
        raise ValueError(f"{op}: groups={groups} must divide the input's {channels} channels")
    if b is not None and b.shape != (per_group * groups,):
        raise ValueError(f"{op}: bias has shape {b.shape}, but the output has {per_group * groups} channels (weight {w.shape})")
    for axis, (e, s, d) in enumerate(zip(extra, strides, dilations, strict=True)):
        if e >= max(s, d):
            raise ValueError(
                f"{op}: output_padding {e} along {axis_name(axis, ndim)} must be smaller than the stride {s} or the dilation {d}"
            )
    size = transposed_output_size(x.shape[2:], w.shape[2:], window)
    if min(size) < 1:
        raise ValueError(
            f"{op}: the output would have size {size}, since padding {padding} cuts off everything; input {x.shape}, "
            f"weight {w.shape}"
        )
    function = TransposedConvolution(window, size)
    y = function(x, w) if b is None else function(x, w, b)
    return y.squeeze(0) if single else y
