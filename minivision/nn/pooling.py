"""Pooling and unpooling layers, for one, two and three spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minivision.autograd import Tensor
from minivision.functions.adaptive_pooling import check_output_size
from minivision.functions.convolution.geometry import per_axis
from minivision.functions.operands import check_flags, number
from minivision.functions.pooling import left_out
from minivision.nn import functional as F
from minivision.nn.module import Module


class _Pool(Module):
    """A layer that calls the function of its name with `axes` spatial axes; `shown` are the settings that repr shows."""

    axes: int
    shown: tuple[str, ...] = ("kernel_size", "stride", "padding")

    def check(self, padding: Any = 0, **positive: Any) -> None:
        """Raise what the function would raise for settings that are no ints, or too small, already where the layer is made."""
        name = type(self).__name__
        per_axis(name, "padding", padding, self.axes)
        for setting, value in positive.items():
            if not (setting == "stride" and left_out(value)):
                per_axis(name, setting, value, self.axes, minimum=1)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)


class _MaxPool(_Pool):
    shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, return_indices: bool = False,
        ceil_mode: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.check(padding, kernel_size=kernel_size, stride=stride, dilation=dilation)
        check_flags(type(self).__name__, return_indices=return_indices, ceil_mode=ceil_mode)
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.stride = kernel_size if stride is None else stride
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        function = getattr(F, f"max_pool{self.axes}d")
        return function(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)


class MaxPool1d(_MaxPool):
    """The largest value of each window of (N, C, L); see `functional.max_pool1d`."""

    axes = 1


class MaxPool2d(_MaxPool):
    """The largest value of each window; see `functional.max_pool2d`."""

    axes = 2


class MaxPool3d(_MaxPool):
    """The largest value of each window of a volume; see `functional.max_pool3d`."""

    axes = 3


class AvgPool1d(_Pool):
    """The mean of each window of (N, C, L); see `functional.avg_pool1d`."""

    axes = 1

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
    ):
        super().__init__()
        self.check(padding, kernel_size=kernel_size, stride=stride)
        check_flags(type(self).__name__, ceil_mode=ceil_mode, count_include_pad=count_include_pad)
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(AvgPool1d):
    """The mean of each window; see `functional.avg_pool2d`."""

    axes = 2

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):  # fmt: skip
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        function = getattr(F, f"avg_pool{self.axes}d")
        return function(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override
        )


class AvgPool3d(AvgPool2d):
    """The mean of each window of a volume; see `functional.avg_pool3d`."""

    axes = 3


class _LPPool(_Pool):
    shown = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False):
        super().__init__()
        self.check(kernel_size=kernel_size, stride=stride)
        check_flags(type(self).__name__, ceil_mode=ceil_mode)
        norm_type = number(type(self).__name__, "norm_type", norm_type, infinite=True)
        self.norm_type, self.kernel_size, self.stride, self.ceil_mode = norm_type, kernel_size, stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, f"lp_pool{self.axes}d")(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)


class LPPool1d(_LPPool):
    """The p-norm of each window of (N, C, L); see `functional.lp_pool1d`."""

    axes = 1


class LPPool2d(_LPPool):
    """The p-norm of each window; see `functional.lp_pool2d`."""

    axes = 2


class LPPool3d(_LPPool):
    """The p-norm of each window of a volume; see `functional.lp_pool3d`."""

    axes = 3


class _AdaptiveAvgPool(_Pool):
    shown = ("output_size",)

    def __init__(self, output_size: Any):
        super().__init__()
        check_output_size(type(self).__name__, output_size, self.axes)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Any:
        return getattr(F, f"adaptive_avg_pool{self.axes}d")(input, self.output_size)


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean over each of `output_size` bins of (N, C, L); see `functional.adaptive_avg_pool1d`."""

    axes = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean over a grid of `output_size` bins; see `functional.adaptive_avg_pool2d`."""

    axes = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean over a grid of `output_size` bins of a volume; see `functional.adaptive_avg_pool3d`."""

    axes = 3


class _AdaptiveMaxPool(_Pool):
    shown = ("output_size",)

    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__()
        check_output_size(type(self).__name__, output_size, self.axes)
        check_flags(type(self).__name__, return_indices=return_indices)
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        return getattr(F, f"adaptive_max_pool{self.axes}d")(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest value in each of `output_size` bins of (N, C, L); see `functional.adaptive_max_pool1d`."""

    axes = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest value in a grid of `output_size` bins; see `functional.adaptive_max_pool2d`."""

    axes = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest value in a grid of `output_size` bins of a volume; see `functional.adaptive_max_pool3d`."""

    axes = 3


class _MaxUnpool(_Pool):
    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0):
        super().__init__()
        self.check(padding, kernel_size=kernel_size, stride=stride)
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        function = getattr(F, f"max_unpool{self.axes}d")
        return function(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(_MaxUnpool):
    """Values of (N, C, L) back to where their maxima stood; see `functional.max_unpool1d`."""

    axes = 1


class MaxUnpool2d(_MaxUnpool):
    """Values back to where their maxima stood; see `functional.max_unpool2d`."""

    axes = 2


class MaxUnpool3d(_MaxUnpool):
    """Values of a volume back to where their maxima stood; see `functional.max_unpool3d`."""

    axes = 3
