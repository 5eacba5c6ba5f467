"""Interpolation: an image is resized one axis after the other, each by a sparse matrix; the gradient applies the transposed ones.

Bed of nails, the upsampling that leaves gaps.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from minivision.functions.axis_matrix import (
    AxisMatrix,
    antialiased_weights,
    cubic_weights,
    keys_kernel,
    linear_weights,
    nearest_exact_weights,
    nearest_weights,
    triangle_kernel,
)
from minivision.functions.convolution.geometry import per_axis
from minivision.functions.operands import LARGEST, as_tensor, check_choice, check_flags, integer, need_float, positive, shown
from minivision.functions.strips import MemoryOrder, Strip, in_strips
from minivision.memory import scratch


class Interpolate(Function):
    """y = A_h x A_w^T, one interpolation matrix per spatial axis;  dx = A_h^T dy A_w"""

    def __init__(self, matrices: Sequence[AxisMatrix]):
        self.matrices = matrices

    def forward(self, x: Array) -> Array:
        return _apply(x, self.matrices)

    def backward(self, dy: Array) -> Array:
        return _apply(dy, [m.transposed() for m in self.matrices])


def _apply(x: Array, matrices: Sequence[AxisMatrix]) -> Array:
    """One axis after the other, strip by strip: what lies between two axes never leaves the cache."""
    order, out = MemoryOrder.of(x), [len(m.sources) for m in matrices]
    if type(x) is not np.ndarray:
        seen = order.view(x)
        for axis, matrix in enumerate(matrices):
            seen = matrix.apply(seen, order.axis(axis))
        return order.names(seen)
    y, seen = order.empty(x.shape[0], x.shape[1], out, x.dtype), order.view(x)
    in_bands = [m.sources.shape[1] > 1 and len(m.bands) > 0 for m in matrices]  # a single tap is copied faster
    if any(in_bands) and not _surely_finite(seen):
        in_bands = [False] * len(matrices)

    def resize(strip: Strip) -> None:
        everywhere = (slice(None),) * (len(out) - 1)
        part = seen[order.index(strip, (slice(None), *everywhere))]
        for number, matrix in enumerate(matrices):
            axis, rows = order.axis(number), strip.rows if number == 0 else slice(0, out[number])
            if number == len(out) - 1:
                target = y[order.index(strip, (strip.rows, *everywhere))]
            else:
                shape = (*part.shape[:axis], rows.stop - rows.start, *part.shape[axis + 1 :])
                target = scratch(f"resized along axis {number}", shape, x.dtype)
            (matrix.multiply_into if in_bands[number] else matrix.apply_into)(target, part, axis, rows)
            part = target

    in_strips(resize, order, (x.shape[0], x.shape[1], out[0]), math.prod(out[1:]))
    return order.names(y)


def _surely_finite(x: np.ndarray) -> bool:
    """Whether no value is infinite or NaN; False also where values are so large that the sum is, or that of their squares."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.vdot(x, x) if x.flags.c_contiguous else x.sum()))


class BedOfNails(Function):
    """y[n,c,k i] = x[n,c,i], zero between;  dx[n,c,i] = dy[n,c,k i]: the transpose of taking every k-th pixel"""

    def __init__(self, steps: Sequence[int]):
        self.steps = steps

    def forward(self, x: Array) -> Array:
        size = [n * k for n, k in zip(x.shape[2:], self.steps, strict=True)]
        y = xp_of(x).zeros((*x.shape[:2], *size), x.dtype)
        y[self._nails()] = x
        return y

    def backward(self, dy: Array) -> Array:
        return dy[self._nails()]

    def _nails(self) -> tuple[Any, ...]:
        return (..., *(slice(None, None, k) for k in self.steps))


# ---- what users call ----

# mode: (the matrix of an axis, for how many spatial axes; None: any)
MODES: dict[str, tuple[str, int | None]] = {
    "nearest": ("nearest", None),
    "nearest-exact": ("nearest-exact", None),
    "area": ("area", None),
    "linear": ("linear", 1),
    "bilinear": ("linear", 2),
    "trilinear": ("linear", 3),
    "bicubic": ("cubic", 2),
}
AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}


def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize the spatial axes; `align_corners` is False unless given, which means that pixels are cells, not points.

    Parameters
    ----------
    input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
    size: the output size, an int or one per axis; or else
    scale_factor: a float or one per axis; the output size is floor(length * factor), and positions are scaled by the factor as
        given unless `recompute_scale_factor` takes it from the sizes.
    mode: "nearest", output j takes input floor(j in/out); "nearest-exact", the input under the output's centre, as other
        libraries have it; "area", the mean of the inputs that the output covers; "linear" / "bilinear" / "trilinear" for 1, 2 or
        3 spatial axes; "bicubic" for images, Keys' kernel with a = -3/4.
    align_corners: for the linear and cubic modes: whether the centres of the corner pixels stay where they are.
    antialias: for "bilinear" and "bicubic" (then a = -1/2): when shrinking, let every input pixel count, as Pillow does.

    Raises ValueError for an unknown mode, one that does not fit the number of axes or the other arguments, and for both or
    neither of size and factor.
    """
    return _resized("interpolate", input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)


def _resized(
    op: str, input: Any, size: Any, scale_factor: Any, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    x = as_tensor(op, "input", input)
    need_float(op, input=x)
    spatial = x.ndim - 2
    if spatial not in (1, 2, 3):
        way_out = "; for a bare image (H, W), input[None, None]" if x.ndim == 2 else ""
        raise ValueError(f"{op}: input has shape {x.shape}, but must be (N, C, L), (N, C, H, W) or (N, C, D, H, W){way_out}")
    kind = _kind_of_mode(op, mode, x.shape)
    given = {"align_corners": align_corners, "recompute_scale_factor": recompute_scale_factor, "antialias": antialias}
    check_flags(op, **{name: value for name, value in given.items() if value is not None})
    if align_corners is not None and kind in ("nearest", "nearest-exact", "area"):
        raise ValueError(f"{op}: align_corners means nothing with mode={mode!r}; leave it out")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"{op}: antialias is for mode='bilinear' and mode='bicubic', not {mode!r}; leave it out")
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{op}: give either size or scale_factor (got size={shown(size)}, scale_factor={shown(scale_factor)})")
    if size is not None and recompute_scale_factor:
        raise ValueError(
            f"{op}: recompute_scale_factor means nothing with size={shown(size)}; give scale_factor, or leave it out"
        )

    lengths = x.shape[2:]
    scales: Sequence[float | None]
    if size is not None:
        entries = _one_per_axis(op, "size", size, x.shape, "int")
        out = tuple(integer(op, name, n, minimum=1) for name, n in entries)
        scales = [None] * spatial
    else:
        entries = _one_per_axis(op, "scale_factor", scale_factor, x.shape, "number")
        factors = [positive(op, name, f) for name, f in entries]
        out = tuple(math.floor(n * f) for n, f in zip(lengths, factors, strict=True))
        scales = [None] * spatial if recompute_scale_factor else [float(f) for f in factors]
    if min(out) < 1 or max(out) > LARGEST or min(x.shape[1:]) < 1:
        cause = "" if size is not None else f" by scale_factor={shown(scale_factor)}"
        limit = f"at most {LARGEST}" if max(out) > LARGEST else "at least 1"
        raise ValueError(
            f"{op}: cannot resize {tuple(lengths)} to {out}{cause}; every length must be {limit}, and input is {x.shape}"
        )
    if kind == "area":
        return AREA[spatial](x, out)
    kind = f"smooth {kind}" if antialias else kind
    return Interpolate([_matrix(kind, n, o, bool(align_corners), s) for n, o, s in zip(lengths, out, scales, strict=True)])(x)


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """The older name of `interpolate`."""
    return _resized("upsample", input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode="nearest"."""
    return _resized("upsample_nearest", input, size, scale_factor)


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with mode="bilinear" and align_corners=True, which the shorter name always meant in PyTorch."""
    return _resized("upsample_bilinear", input, size, scale_factor, mode="bilinear", align_corners=True)


def bed_of_nails(input: Any, scale_factor: int | Sequence[int]) -> Tensor:
    """Write each value at the first corner (top left) of a cell of `scale_factor` pixels, zeros elsewhere.

    Input (N, C, L), (N, C, H, W) or (N, C, D, H, W), of any dtype; `scale_factor` is an int, or one per spatial axis. It is the
    transposed convolution whose kernel is 1 at its first position, and the transpose of x[..., ::k, ::k].

    Raises ValueError for other shapes and for factors below 1.
    """
    op = "bed_of_nails"
    x = as_tensor(op, "input", input)
    if x.ndim not in (3, 4, 5):
        raise ValueError(f"{op}: input has shape {x.shape}, but must be (N, C, L), (N, C, H, W) or (N, C, D, H, W)")
    return BedOfNails(per_axis(op, "scale_factor", scale_factor, x.ndim - 2, minimum=1))(x)


def _kind_of_mode(op: str, mode: str, shape: Sequence[int]) -> str:
    check_choice(op, "mode", mode, MODES)
    kind, axes = MODES[mode]
    spatial = len(shape) - 2
    if axes not in (None, spatial):
        fitting = next(name for name, (_, n) in MODES.items() if n == spatial)
        raise ValueError(
            f"{op}: mode={mode!r} is for {axes} spatial axes, but input {tuple(shape)} has {spatial}; use {fitting!r}"
        )
    return kind


@functools.lru_cache(maxsize=256)
def _matrix(kind: str, size: int, out: int, align_corners: bool, scale: float | None) -> AxisMatrix:
    if kind == "nearest":
        return nearest_weights(size, out, scale)
    if kind == "nearest-exact":
        return nearest_exact_weights(size, out, scale)
    if kind == "smooth linear":
        return antialiased_weights(size, out, triangle_kernel, 1, align_corners, scale)
    if kind == "smooth cubic":
        return antialiased_weights(size, out, functools.partial(keys_kernel, a=-0.5), 2, align_corners, scale)
    return (linear_weights if kind == "linear" else cubic_weights)(size, out, align_corners, scale)


def _one_per_axis(op: str, name: str, value: Any, shape: Sequence[int], kind: str) -> list[tuple[str, Any]]:
    """The value for each spatial axis, and what a message calls it."""
    axes = len(shape) - 2
    if not isinstance(value, (tuple, list)):
        return [(name, value)] * axes
    if len(value) != axes:
        raise ValueError(
            f"{op}: {name}={shown(value)} has {len(value)} entries, but input {tuple(shape)} has {axes} spatial "
            f"{'axis' if axes == 1 else 'axes'}: one {kind}, or {axes} of them"
            f"{'; for a single image (C, H, W), input.unsqueeze(0)' if len(value) == axes + 1 else ''}"
        )
    return [(f"{name}[{i}]", v) for i, v in enumerate(value)]
