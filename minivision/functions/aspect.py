"""The aspect ratio of a box as an angle, which the complete IoU compares."""

from __future__ import annotations

from minivision.autograd import Function
from minivision.backend import Array, xp_of


class AspectAngle(Function):
    """y = atan(w / h);  dw = dy h / (w^2 + h^2),  dh = -dy w / (w^2 + h^2), both 0 for a box of size 0"""

    def forward(self, w: Array, h: Array) -> Array:
        self.w, self.h = w, h
        xp = xp_of(w, h)
        return xp.arctan2(xp.where(h < 0, -w, w), abs(h))  # atan(w / h) for any sign of h, and h = 0 without a division

    def backward(self, dy: Array) -> tuple[Array, Array]:
        xp = xp_of(dy)
        square = self.w * self.w + self.h * self.h
        share = xp.where(square > 0, dy / xp.where(square > 0, square, xp.ones_like(square)), xp.zeros_like(dy))
        return share * self.h, -share * self.w
