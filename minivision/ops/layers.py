"""The layers of `torchvision.ops` for regions of interest."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Tensor
from minivision.functions.operands import check_flags, integer, positive
from minivision.functions.roi import number_of_bins, ps_roi_align, roi_align, roi_pool
from minivision.nn.module import Module


def _checked(op: str, output_size: Any, spatial_scale: Any) -> tuple[Any, float]:
    """The two settings as they were given, after the errors that the functions would raise later."""
    number_of_bins(op, output_size)
    return output_size, positive(op, "spatial_scale", spatial_scale)


class RoIPool(Module):
    """See `roi_pool`."""

    def __init__(self, output_size: Any, spatial_scale: float):
        super().__init__()
        self.output_size, self.spatial_scale = _checked("RoIPool", output_size, spatial_scale)

    def forward(self, input: Tensor, rois: Any) -> Tensor:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


class RoIAlign(Module):
    """See `roi_align`."""

    def __init__(self, output_size: Any, spatial_scale: float, sampling_ratio: int, aligned: bool = False):
        super().__init__()
        self.output_size, self.spatial_scale = _checked("RoIAlign", output_size, spatial_scale)
        check_flags("RoIAlign", aligned=aligned)
        self.sampling_ratio, self.aligned = integer("RoIAlign", "sampling_ratio", sampling_ratio), aligned

    def forward(self, input: Tensor, rois: Any) -> Tensor:
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio}, "
            f"aligned={self.aligned}"
        )


class PSRoIAlign(Module):
    """See `ps_roi_align`."""

    def __init__(self, output_size: Any, spatial_scale: float, sampling_ratio: int):
        super().__init__()
        self.output_size, self.spatial_scale = _checked("PSRoIAlign", output_size, spatial_scale)
        self.sampling_ratio = integer("PSRoIAlign", "sampling_ratio", sampling_ratio)

    def forward(self, input: Tensor, rois: Any) -> Tensor:
        return ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, sampling_ratio={self.sampling_ratio}"
