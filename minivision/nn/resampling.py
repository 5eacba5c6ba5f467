"""Layers that move pixels: upsampling, shuffling, windows to columns and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minivision.autograd import Tensor
from minivision.functions.convolution.geometry import per_axis
from minivision.functions.operands import check_choice, integer, positive, shown
from minivision.functions.upsampling import MODES
from minivision.nn import functional as F
from minivision.nn.module import Module


def _entries(value: Any) -> Sequence[Any]:
    """The numbers in a setting that is a number, a sequence of them, or None."""
    return value if isinstance(value, (tuple, list)) else () if value is None else (value,)


class Upsample(Module):
    """Resize by a factor or to a size; see `functional.interpolate`."""

    def __init__(
        self, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ):  # fmt: skip
        super().__init__()
        name = type(self).__name__
        check_choice(name, "mode", mode, MODES)
        if (size is None) == (scale_factor is None):
            given = f"size={shown(size)}, scale_factor={shown(scale_factor)}"
            raise ValueError(f"{name}: give either size or scale_factor (got {given})")
        for length in _entries(size):
            integer(name, "size", length, minimum=1)
        for factor in _entries(scale_factor):
            positive(name, "scale_factor", factor)
        self.size, self.scale_factor, self.mode, self.align_corners = size, scale_factor, mode, align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)

    def extra_repr(self) -> str:
        target = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{target}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resize an image by repeating pixels."""

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """Resize an image bilinearly with align_corners=True, as PyTorch's layer of this name."""

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, "bilinear", align_corners=True)


class PixelShuffle(Module):
    """(N, C r^2, H, W) -> (N, C, H r, W r), channels becoming pixels; see `functional.pixel_shuffle`."""

    def __init__(self, upscale_factor: int):
        super().__init__()
        self.upscale_factor = integer("PixelShuffle", "upscale_factor", upscale_factor, minimum=1)

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(N, C, H r, W r) -> (N, C r^2, H, W), pixels becoming channels; see `functional.pixel_unshuffle`."""

    def __init__(self, downscale_factor: int):
        super().__init__()
        self.downscale_factor = integer("PixelUnshuffle", "downscale_factor", downscale_factor, minimum=1)

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Mixes the channels of groups; see `functional.channel_shuffle`."""

    def __init__(self, groups: int):
        super().__init__()
        self.groups = integer("ChannelShuffle", "groups", groups, minimum=1)

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class Unfold(Module):
    """Every window of an image as a column; see `functional.unfold`."""

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__()
        for name, value, minimum in (
            ("kernel_size", kernel_size, 1), ("dilation", dilation, 1), ("padding", padding, 0), ("stride", stride, 1),
        ):  # fmt: skip
            per_axis(type(self).__name__, name, value, 2, minimum)
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Unfold):
    """Columns added up to an image; see `functional.fold`."""

    def __init__(self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__(kernel_size, dilation, padding, stride)
        per_axis("Fold", "output_size", output_size, 2, minimum=1)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
