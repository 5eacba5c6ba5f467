"""Corner pooling (Law and Deng, CornerNet, ECCV 2018): a corner of a box has nothing of the object at its place, only beside it.

Each position takes the maximum of everything from there to one edge of the map. A top-left corner is found by the sum of
`top_pool` (all below it) and `left_pool` (all to its right), a bottom-right one by `bottom_pool` and `right_pool`.
"""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.operands import as_tensor, need_float


class CornerPool(Function):
    """y = the running maximum of x along an axis;  dx = the sum of dy over the positions at which that x was the maximum.

    `backwards` scans from the last position to the first. A tie keeps the value that was scanned first, as in CornerNet.
    """

    def __init__(self, axis: int, backwards: bool):
        self.axis, self.backwards = axis, backwards

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        source = self._in_scan_order(x)
        y = xp.empty_like(x)
        self.new = xp.ones(x.shape, bool)  # where the maximum changes hands
        largest, new = self._in_scan_order(y), self._in_scan_order(self.new)
        largest[:1] = source[:1]
        for i in range(1, len(source)):
            new[i] = source[i] > largest[i - 1]
            largest[i] = xp.where(new[i], source[i], largest[i - 1])
        return y

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        dx = xp.zeros_like(dy)
        upstream, target, new = self._in_scan_order(dy), self._in_scan_order(dx), self._in_scan_order(self.new)
        owed = xp.zeros(upstream.shape[1:], dy.dtype)  # what later positions send to the maximum they inherited
        for i in reversed(range(len(upstream))):
            owed = owed + upstream[i]
            target[i] = owed * new[i]
            owed = owed * ~new[i]
        return dx

    def decisions(self) -> dict[str, Array]:
        return {"new maximum": self.new}

    def _in_scan_order(self, x: Array) -> Array:
        """A view with the scanned axis first, in the order of the scan."""
        moved = xp_of(x).moveaxis(x, self.axis, 0)
        return moved[::-1] if self.backwards else moved


# ---- what users call ----


def top_pool(input: Any) -> Tensor:
    """y[..., i, j] = max of input[..., i:, j]: everything below. Input (N, C, H, W) or (C, H, W)."""
    return _corner_pool("top_pool", input, -2, backwards=True)


def bottom_pool(input: Any) -> Tensor:
    """y[..., i, j] = max of input[..., :i + 1, j]: everything above. Input (N, C, H, W) or (C, H, W)."""
    return _corner_pool("bottom_pool", input, -2, backwards=False)


def left_pool(input: Any) -> Tensor:
    """y[..., i, j] = max of input[..., i, j:]: everything to the right. Input (N, C, H, W) or (C, H, W)."""
    return _corner_pool("left_pool", input, -1, backwards=True)


def right_pool(input: Any) -> Tensor:
    """y[..., i, j] = max of input[..., i, :j + 1]: everything to the left. Input (N, C, H, W) or (C, H, W)."""
    return _corner_pool("right_pool", input, -1, backwards=False)


def _corner_pool(op: str, input: Any, axis: int, backwards: bool) -> Tensor:
    x = as_tensor(op, "input", input)
    need_float(op, input=x)
    if x.ndim not in (3, 4):
        raise ValueError(f"{op}: input has shape {x.shape}, but must be (N, C, H, W), or (C, H, W) for a single image")
    return CornerPool(axis, backwards)(x)
