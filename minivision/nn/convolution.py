"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Tensor
from minivision.functions import convolution as F
from minivision.functions.convolution.direct import convolve
from minivision.functions.convolution.geometry import (
    Window,
    axis_name,
    per_axis,
    sliding_window,
    symmetric,
    transposed_output_size,
)
from minivision.functions.creation import empty
from minivision.functions.operands import as_tensor, check_choice, check_flags, integer, integers
from minivision.functions.padding import MODES, pad
from minivision.nn import init
from minivision.nn.module import Module
from minivision.nn.parameter import Parameter


class _Convolution(Module):
    """Weight, bias and settings of a convolution with `axes` spatial axes."""

    axes: int
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
    ):
        super().__init__()
        name = type(self).__name__
        in_channels = integer(name, "in_channels", in_channels, minimum=1)
        out_channels = integer(name, "out_channels", out_channels, minimum=1)
        groups = integer(name, "groups", groups, minimum=1)
        check_flags(name, bias=bias)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.axes, minimum=1)
        self.stride = per_axis(name, "stride", stride, self.axes, minimum=1)
        self.dilation = per_axis(name, "dilation", dilation, self.axes, minimum=1)
        words = isinstance(padding, str) and not self.transposed  # "same" or "valid"
        self.padding: Any = padding if words else per_axis(name, "padding", padding, self.axes)
        sliding_window(name, self.kernel_size, self.stride, self.padding, self.dilation)  # for its errors
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(empty(first, second // groups, *self.kernel_size))
        self.bias: Parameter | None
        if bias:
            self.bias = Parameter(empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """PyTorch's default: uniform within 1 / sqrt(fan_in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(init.fans(self.weight)[0])
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * self.axes:
            text += f", padding={self.padding!r}"
        if self.dilation != (1,) * self.axes:
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text + (", bias=False" if self.bias is None else "")


class _Direct(_Convolution):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
    ):  # fmt: skip
        check_choice(type(self).__name__, "padding_mode", padding_mode, ("zeros", *MODES))
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.padding_mode = padding_mode

    def forward(self, input: Tensor) -> Tensor:
        function = getattr(F, f"conv{self.axes}d")
        if self.padding_mode == "zeros":
            return function(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        around = [amount for pair in reversed(self._pairs()) for amount in pair]
        return function(pad(input, around, self.padding_mode), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def fused(self, input: Tensor, kind: Any) -> Tensor:
        """`forward` with another kind of convolution, which does more at once; see `nn/fusing.py`."""
        op = f"conv{self.axes}d"
        return convolve(op, self.axes, input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups, kind)

    def _pairs(self) -> list[tuple[int, int]]:
        if self.padding == "valid":
            return [(0, 0)] * self.axes
        if self.padding == "same":
            total = [d * (k - 1) for k, d in zip(self.kernel_size, self.dilation, strict=True)]
            return [(n // 2, n - n // 2) for n in total]
        return [(p, p) for p in self.padding]


class _Transposed(_Convolution):
    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
        groups: int = 1, bias: bool = True, dilation: Any = 1,
    ):  # fmt: skip
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        self.output_padding = per_axis(type(self).__name__, "output_padding", output_padding, self.axes)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        function = getattr(F, f"conv_transpose{self.axes}d")
        return function(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """The output_padding that leads to `output_size`, or an error with the sizes that can be had."""
        name, x = type(self).__name__, as_tensor(type(self).__name__, "input", input)
        if x.ndim not in (self.axes + 1, self.axes + 2):
            raise ValueError(f"{name}: input has shape {x.shape}, but must have {self.axes + 2} axes, one less without a batch")
        legal = f"the size of the output, {self.axes} lengths, or the whole shape"
        given = integers(name, "output_size", output_size, legal)
        if len(given) not in (self.axes, self.axes + 1, self.axes + 2):
            raise ValueError(f"{name}: output_size={given} must be {legal}")
        wanted = given[-self.axes :]
        window = Window(self.stride, symmetric(self.padding), self.dilation, self.groups)
        smallest = transposed_output_size(x.shape[-self.axes :], self.kernel_size, window)
        for axis, (n, low, s, d) in enumerate(zip(wanted, smallest, self.stride, self.dilation, strict=True)):
            high = low + max(s, d) - 1
            if not low <= n <= high:
                raise ValueError(
                    f"{name}: output_size {n} along {axis_name(axis, self.axes)} is outside [{low}, {high}], "
                    f"the sizes that input {x.shape} can be upsampled to with kernel {self.kernel_size}, stride {self.stride}"
                )
        return tuple(n - low for n, low in zip(wanted, smallest, strict=True))

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text + (f", output_padding={self.output_padding}" if any(self.output_padding) else "")


class Conv1d(_Direct):
    """1-D convolution of (N, C, L); see `functional.conv1d`."""

    axes = 1


class Conv2d(_Direct):
    """2-D convolution of images (N, C, H, W); see `functional.conv2d`."""

    axes = 2


class Conv3d(_Direct):
    """3-D convolution of volumes (N, C, D, H, W); see `functional.conv3d`."""

    axes = 3


class ConvTranspose1d(_Transposed):
    """1-D transposed convolution of (N, C, L); see `functional.conv_transpose1d`."""

    axes = 1


class ConvTranspose2d(_Transposed):
    """2-D transposed convolution of (N, C, H, W); see `functional.conv_transpose2d`."""

    axes = 2


class ConvTranspose3d(_Transposed):
    """3-D transposed convolution of (N, C, D, H, W); see `functional.conv_transpose3d`."""

    axes = 3
