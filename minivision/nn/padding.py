"""Padding layers; see `functional.pad`. The amounts are an int, or (before, after) for each axis, the last axis first."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Tensor
from minivision.functions.operands import integer, integers, number
from minivision.nn import functional as F
from minivision.nn.module import Module


class _Pad(Module):
    axes: int
    mode = "constant"

    def __init__(self, padding: Any):
        super().__init__()
        name, amounts = type(self).__name__, 2 * self.axes
        legal = f"an int or {amounts} of them, (before, after) for each axis, the last axis first"
        if isinstance(padding, (tuple, list)):
            self.padding = integers(name, "padding", padding, legal)
        else:
            self.padding = (integer(name, "padding", padding, meaning=legal),) * amounts
        if len(self.padding) != amounts:
            raise ValueError(f"{name}: padding={self.padding} has {len(self.padding)} entries, but must be {legal}")

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        self.value = number(type(self).__name__, "value", value, infinite=True, nan=True)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ZeroPad1d(_Pad):
    """Zeros around (N, C, L): an int, or (left, right)."""

    axes = 1


class ZeroPad2d(_Pad):
    """Zeros around an image: an int, or (left, right, top, bottom)."""

    axes = 2


class ZeroPad3d(_Pad):
    """Zeros around a volume: an int, or (left, right, top, bottom, front, back)."""

    axes = 3


class ConstantPad1d(_ConstantPad):
    """A constant around (N, C, L): an int, or (left, right)."""

    axes = 1


class ConstantPad2d(_ConstantPad):
    """A constant around an image: an int, or (left, right, top, bottom)."""

    axes = 2


class ConstantPad3d(_ConstantPad):
    """A constant around a volume: an int, or (left, right, top, bottom, front, back)."""

    axes = 3


class ReflectionPad1d(_Pad):
    """(N, C, L) mirrored at its edge: an int, or (left, right)."""

    axes = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """An image mirrored at its edge: an int, or (left, right, top, bottom)."""

    axes = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """A volume mirrored at its edge: an int, or (left, right, top, bottom, front, back)."""

    axes = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """(N, C, L) with its edge repeated: an int, or (left, right)."""

    axes = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """An image with its edge repeated: an int, or (left, right, top, bottom)."""

    axes = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """A volume with its edge repeated: an int, or (left, right, top, bottom, front, back)."""

    axes = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """(N, C, L) going round: an int, or (left, right)."""

    axes = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """An image going round: an int, or (left, right, top, bottom)."""

    axes = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """A volume going round: an int, or (left, right, top, bottom, front, back)."""

    axes = 3
    mode = "circular"
