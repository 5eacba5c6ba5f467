"""Differences and integrals of samples along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.elementwise import logical_xor
from minivision.functions.operands import as_tensor, axis, check_broadcast, integer, need_same_device, promoted
from minivision.functions.scanning import cumsum
from minivision.functions.shape import broadcast_tensors, cat, narrow


class Diff(Function):
    """y_i = x_(i+1) - x_i along an axis;  dx_i = dy_(i-1) - dy_i, the missing ones counting as 0"""

    def __init__(self, axis: int):
        self.axis = axis

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x[self.section(1, None)] - x[self.section(None, -1)]

    def backward(self, dy: Array) -> Array:
        dx = xp_of(dy).zeros(self.shape, dy.dtype)
        dx[self.section(1, None)] += dy
        dx[self.section(None, -1)] -= dy
        return dx

    def section(self, start: int | None, stop: int | None) -> tuple[slice, ...]:
        """The index of a part of the axis."""
        return (slice(None),) * self.axis + (slice(start, stop),)


# ---- what users call ----


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """The n-th differences of neighbours along `dim`, which becomes shorter by n; of bools, where neighbours differ.

    `prepend` and `append` are joined to the input first.
    """
    x = as_tensor("diff", "input", input)
    along, n = axis("diff", dim, x.shape), integer("diff", "n", n, minimum=0)
    if not x.ndim:
        raise ValueError("diff: input is a single number; differences need an axis")
    if n == 0:
        return x.clone()
    ends = {name: as_tensor("diff", name, v) for name, v in (("prepend", prepend), ("append", append)) if v is not None}
    need_same_device("diff", input=x, **ends)
    for name, v in ends.items():
        if v.ndim != x.ndim or any(a != along and n != m for a, (n, m) in enumerate(zip(v.shape, x.shape, strict=True))):
            raise ValueError(f"diff: {name} has shape {v.shape}, but input has {x.shape}; they may differ in axis {along} only")
    if ends:
        x = cat([v for v in (ends.get("prepend"), x, ends.get("append")) if v is not None], along)
    for _ in range(min(n, x.shape[along])):
        if x.dtype == np.bool_:
            length = x.shape[along] - 1
            x = logical_xor(narrow(x, along, 1, length), narrow(x, along, 0, length))
        else:
            x = Diff(along)(x)
    return x


def _panels(op: str, y: Any, x: Any, dx: Any, dim: int) -> tuple[Tensor, int]:
    """The areas (y_i + y_(i+1)) / 2 (x_(i+1) - x_i) under the straight lines between samples, and their axis."""
    values = promoted(op, y)
    if not values.ndim:
        raise ValueError(f"{op}: y is a single number; an integral needs an axis of samples")
    along = axis(op, dim, values.shape)
    length = values.shape[along]
    if not length:
        return values, along
    left, right = narrow(values, along, 0, length - 1), narrow(values, along, 1, length - 1)
    if x is None:
        return (left + right) * (dx / 2), along
    places = as_tensor(op, "x", x)
    need_same_device(op, y=values, x=places)
    if places.ndim == 1:
        if places.shape != (length,):
            raise ValueError(f"{op}: x has shape {places.shape}, but y {values.shape} has {length} samples along dim {dim}")
        places = places.reshape([-1 if a == along else 1 for a in range(values.ndim)])
    check_broadcast(op, [values.shape, places.shape], ["y", "x"])
    axis_of_x = along - values.ndim
    if places.ndim < -axis_of_x or places.shape[axis_of_x] not in (1, length):
        raise ValueError(f"{op}: x has shape {places.shape}, but y {values.shape} has {length} samples along dim {dim}")
    values_, places = broadcast_tensors(values, places)
    width = Diff(values_.ndim + axis_of_x)(places)
    panels = (left + right) / 2 * width
    return panels, panels.ndim + axis_of_x


def trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """The integral of samples y along `dim` by the trapezoidal rule: straight lines between the samples.

    The samples lie at `x` (a vector, or a shape that broadcasts with y), or `dx` apart.
    """
    panels, along = _panels("trapezoid", y, x, dx, dim)
    return panels.sum(along)


trapz = trapezoid


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """The integrals of `trapezoid` from the first sample to the second, the third, ...: shorter than y by one."""
    panels, along = _panels("cumulative_trapezoid", y, x, dx, dim)
    return cumsum(panels, along)
