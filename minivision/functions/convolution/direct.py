"""Convolution with its explicit backward (what deep learning calls convolution: the kernel is not flipped)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array
from minivision.functions.convolution.faces import correlate, gradients
from minivision.functions.convolution.finishing import Finishing
from minivision.functions.convolution.geometry import AXES, need_samples, sliding_window
from minivision.functions.layout import channel_sums
from minivision.functions.operands import as_tensor, integer, need_float

Shape = tuple[int, ...]


class Convolution(Function):
    """y[n,f,o] = b[f] + sum_c,k w[f,c,k] x[n,c, s o + d k - p]

    dx is the transposed convolution of dy, dw the correlation of x with dy, db the sum of dy over all but the channels.
    """

    def __init__(self, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1, op: str = "convolution"):
        self.stride, self.padding, self.dilation, self.groups, self.op = stride, padding, dilation, groups, op

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        self.window = sliding_window(self.op, w.shape[2:], self.stride, self.padding, self.dilation, self.groups)
        self.check_channels(x.shape, w.shape, None if b is None else b.shape)
        self.x = x if self.needs_input_grad[1] else None
        self.w = w
        self.size, self.has_bias = x.shape[2:], b is not None
        return correlate(x, w, self.window, self.op, self.finishing(b))

    def finishing(self, b: Array | None) -> Finishing | None:
        """What is done to each block of y while it is in the cache: the bias is added."""
        return None if b is None else Finishing(b)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        need_x, need_w, need_b = self.needs_input_grad[0], self.needs_input_grad[1], self.has_bias and self.needs_input_grad[2]
        dx, dw = gradients(self.x if need_w else None, dy, self.w, self.size, self.window, need_x)
        db = channel_sums(dy) if need_b else None
        return (dx, dw, db) if self.has_bias else (dx, dw)

    def check_channels(self, x: Shape, w: Shape, b: Shape | None) -> None:
        """Raise ValueError unless channels, groups and bias fit together."""
        channels, out, per_group, groups = x[1], w[0], w[1], integer(self.op, "groups", self.groups, minimum=1)
        if channels % groups or out % groups:
            raise ValueError(
                f"{self.op}: groups={groups} must divide the input's {channels} channels and the weight's {out} output channels; "
                f"input is {x}, weight {w}"
            )
        if channels != per_group * groups:
            of_groups = f" * groups {groups} = {per_group * groups}" if groups > 1 else ""
            raise ValueError(
                f"{self.op}: input has {channels} channels (N, C, {AXES[len(x) - 2]}) = {x}, but "
                f"weight (out, in/groups, *kernel) = {w} expects {per_group}{of_groups}"
                f"{way_out(x, per_group * groups, groups)}"
            )
        if b is not None and b != (out,):
            raise ValueError(f"{self.op}: bias has shape {b}, but weight {w} has {out} output channels, so it must be ({out},)")


def way_out(x: Shape, expected: int, groups: int = 1) -> str:
    """What a student who gave an input of the wrong number of channels may have meant."""
    if x[-1] == expected and len(x) > 2:
        order = (0, len(x) - 1, *range(1, len(x) - 1))
        return f"; if the channels are last, bring them forward with input.permute{order}"
    if groups == 1:
        return f"; give it {expected} channels, or make the layer with in_channels={x[1]}"
    return f"; the weight's axis 1 must be in_channels / groups = {x[1]} / {groups} = {x[1] // groups}"


# ---- what users call ----


def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """As `conv2d`, over inputs (N, C, L) with weights (F, C/groups, k)."""
    return convolve("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Slide a bank of kernels over an image.

    y[n,f,i,j] = bias[f] + sum over c, u, v of weight[f,c,u,v] * input[n, c, i*stride + u*dilation - padding, j*...]

    Parameters
    ----------
    input: (N, C, H, W), or (C, H, W) for a single image.
    weight: (F, C/groups, kh, kw).
    bias: (F,) or None.
    stride, dilation: an int, or (vertical, horizontal).
    padding: zeros on each side, an int or (vertical, horizontal); "same" (stride 1: the output has the input's size, an odd
        remainder is padded at the bottom and right) or "valid" (none).
    groups: input and output channels are cut into this many groups that do not see each other.

    Returns (N, F, H', W') with H' = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1.

    Raises ValueError when channels, groups or sizes do not fit, TypeError for integer or mixed dtypes; each names the shapes.

    The convolution is a matrix acting on the image; its gradient to the input, the transposed matrix, is `conv_transpose2d`.
    See Dumoulin & Visin, A guide to convolution arithmetic for deep learning (arXiv:1603.07285).
    """
    return convolve("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """As `conv2d`, over volumes (N, C, D, H, W) with weights (F, C/groups, kd, kh, kw)."""
    return convolve("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def convolve(
    op: str, ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int,
    kind: Callable[..., Convolution] = Convolution,
) -> Tensor:  # fmt: skip
    """`conv1d` to `conv3d`, or another kind of convolution with the same settings."""
    x, w, b = checked_inputs(op, ndim, input, weight, bias, "(out, in/groups, *kernel)")
    single = x.ndim == ndim + 1
    if single:
        x = x.unsqueeze(0)
    function = kind(stride, padding, dilation, groups, op)
    y = function(x, w) if b is None else function(x, w, b)
    return y.squeeze(0) if single else y


def checked_inputs(op: str, ndim: int, input: Any, weight: Any, bias: Any, layout: str) -> tuple[Tensor, Tensor, Tensor | None]:
    """Input, weight and bias as Tensors of one floating dtype and the right number of axes."""
    x, w = as_tensor(op, "input", input), as_tensor(op, "weight", weight)
    b = None if bias is None else as_tensor(op, "bias", bias)
    if w.ndim != ndim + 2:
        raise ValueError(f"{op}: weight has shape {w.shape}, but must have {ndim + 2} axes, {layout} with {ndim} for the kernel")
    need_samples(op, x, ndim)
    if 0 in w.shape:
        raise ValueError(f"{op}: weight {layout} = {w.shape} has an axis of length 0; every length must be at least 1")
    need_float(op, input=x, weight=w, bias=b)
    return x, w, b
