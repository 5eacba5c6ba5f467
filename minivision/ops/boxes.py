"""Boxes: area, overlap, conversion, clipping. Differentiable, except where whole boxes are chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import xp_of
from minivision.functions.arithmetic import maximum, minimum, where
from minivision.functions.aspect import AspectAngle
from minivision.functions.clamping import clamp
from minivision.functions.operands import as_tensor, check_choice, need_float, need_same_device, not_negative, positive, shown
from minivision.functions.shape import stack, unbind

FORMATS = ("xyxy", "xywh", "cxcywh")


def box_convert(boxes: Any, in_fmt: str, out_fmt: str) -> Tensor:
    """Boxes (..., 4) in another format: "xyxy" corners, "xywh" top left and size, "cxcywh" centre and size.

    Always a new tensor. Raises ValueError for an unknown format.
    """
    op = "box_convert"
    x = as_boxes(op, "boxes", boxes)
    check_choice(op, "in_fmt", in_fmt, FORMATS)
    check_choice(op, "out_fmt", out_fmt, FORMATS)
    if in_fmt == out_fmt:
        return x.clone()
    a, b, c, d = unbind(x, -1)
    if in_fmt == "xyxy":
        corners = (a, b, c, d)
    elif in_fmt == "xywh":
        corners = (a, b, a + c, b + d)
    else:
        corners = (a - 0.5 * c, b - 0.5 * d, a + 0.5 * c, b + 0.5 * d)
    x1, y1, x2, y2 = corners
    if out_fmt == "xyxy":
        return stack(corners, -1)
    if out_fmt == "xywh":
        return stack((x1, y1, x2 - x1, y2 - y1), -1)
    return stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), -1)


def box_area(boxes: Any, fmt: str = "xyxy") -> Tensor:
    """(x2 - x1) (y2 - y1) of boxes (N, 4), given in the format `fmt`: (N,)."""
    x = _in_corners("box_area", "boxes", boxes, fmt)
    return _area(x)


def box_iou(boxes1: Any, boxes2: Any, fmt: str = "xyxy") -> Tensor:
    """Intersection over union of every pair: (N, 4), (M, 4) -> (N, M). Two boxes without area have IoU 0 (torchvision: NaN)."""
    a, b = _pairs("box_iou", boxes1, boxes2, fmt)
    return ratio(*_intersection_and_union(a, b))


def generalized_box_iou(boxes1: Any, boxes2: Any) -> Tensor:
    """IoU - (hull - union) / hull of every pair, the hull being the smallest box around both: (N, 4), (M, 4) -> (N, M).

    It lies in -1 .. 1; below 0 it still says how far apart the boxes are. Rezatofighi et al. 2019 (arXiv:1902.09630).
    """
    a, b = _pairs("generalized_box_iou", boxes1, boxes2)
    intersection, union = _intersection_and_union(a, b)
    size = _clamped_hull(a, b)
    area = size[..., 0] * size[..., 1]
    return ratio(intersection, union) - ratio(area - union, area)


def distance_box_iou(boxes1: Any, boxes2: Any, eps: float = 1e-7) -> Tensor:
    """IoU - (distance of the centres)^2 / (diagonal of the hull)^2 of every pair: (N, 4), (M, 4) -> (N, M).

    Zheng et al. 2020 (arXiv:1911.08287). `eps` is added to the diagonal.
    """
    a, b = _pairs("distance_box_iou", boxes1, boxes2)
    eps = not_negative("distance_box_iou", "eps", eps)
    return ratio(*_intersection_and_union(a, b)) - centre_distance(a, b, _clamped_hull(a, b), eps)


def complete_box_iou(boxes1: Any, boxes2: Any, eps: float = 1e-7) -> Tensor:
    """`distance_box_iou` - a v of every pair, where v compares the aspect ratios and the weight a is taken as constant.

    v = 4 / pi^2 (atan(w1 / h1) - atan(w2 / h2))^2, a = v / (1 - IoU + v + eps). Zheng et al. 2020 (arXiv:1911.08287).
    """
    a, b = _pairs("complete_box_iou", boxes1, boxes2)
    eps = not_negative("complete_box_iou", "eps", eps)
    iou = ratio(*_intersection_and_union(a, b))
    return iou - centre_distance(a, b, _clamped_hull(a, b), eps) - aspect_penalty(a, b, iou, eps)


def clip_boxes_to_image(boxes: Any, size: Sequence[int]) -> Tensor:
    """Boxes (..., 4) with every corner moved into the image of `size` (height, width)."""
    op = "clip_boxes_to_image"
    x = as_boxes(op, "boxes", boxes)
    if not isinstance(size, (tuple, list)) or len(size) != 2:
        raise ValueError(f"{op}: size={shown(size)} must be (height, width)")
    height, width = (positive(op, name, n) for name, n in zip(("height", "width"), size, strict=True))
    limits = (width, height, width, height)
    return stack([clamp(c, min=0, max=limit) for c, limit in zip(unbind(x, -1), limits, strict=True)], -1)


def remove_small_boxes(boxes: Any, min_size: float) -> Tensor:
    """The indices (int64) of the boxes (N, 4) of which both sides are at least `min_size`."""
    x = as_boxes("remove_small_boxes", "boxes", boxes, rows=True).array
    min_size = not_negative("remove_small_boxes", "min_size", min_size)
    keep = (x[:, 2] - x[:, 0] >= min_size) & (x[:, 3] - x[:, 1] >= min_size)
    return Tensor._wrap(xp_of(x).nonzero(keep)[0].astype(np.int64))


def masks_to_boxes(masks: Any) -> Tensor:
    """The box around each mask (N, H, W): (N, 4) float32 *indices* of its first and last column and row, as in torchvision.

    A mask of one pixel gives x1 = x2; add 1 to x2 and y2 for the continuous coordinates of the other operations.
    Raises ValueError for a mask without a pixel.
    """
    op = "masks_to_boxes"
    m = as_tensor(op, "masks", masks)
    if m.ndim != 3:
        raise ValueError(f"{op}: masks has shape {m.shape}, but must be (N, H, W)")
    xp = xp_of(m.array)
    inside = m.array != 0
    if m.shape[0] == 0:
        return Tensor._wrap(xp.zeros((0, 4), np.float32))
    columns, rows = inside.any(axis=1), inside.any(axis=2)  # (N, W), (N, H)
    found = columns.any(axis=1)
    if not bool(found.all()):
        raise ValueError(f"{op}: mask {int(found.argmin())} of {m.shape[0]} is empty and has no box; leave it out")
    ends = [(line.argmax(axis=1), line.shape[1] - 1 - xp.flip(line, 1).argmax(axis=1)) for line in (columns, rows)]
    (x1, x2), (y1, y2) = ends
    return Tensor._wrap(xp.stack([x1, y1, x2, y2], axis=1).astype(np.float32))


# ---- what these and the losses share; a and b are boxes (..., 4) that broadcast ----


def as_boxes(op: str, name: str, value: Any, rows: bool = False) -> Tensor:
    """`value` as a tensor (..., 4), or (N, 4) when `rows` says so."""
    x = as_tensor(op, name, value)
    if x.ndim == 0 or x.shape[-1] != 4 or (rows and x.ndim != 2):
        way_out = "(0, 4) for no box"
        if x.ndim and x.shape[-1] == 5:
            way_out = f"leave out the image index with {name}[..., 1:]"
        elif x.shape == (4,):
            way_out = f"one box is {name}[None]"
        raise ValueError(f"{op}: {name} has shape {x.shape}, but must be {'(N, 4)' if rows else '(..., 4)'}; {way_out}")
    if x.dtype == np.bool_:
        raise TypeError(f"{op}: {name} is bool {x.shape}, but must hold coordinates")
    return x


def wide_enough(x: Tensor) -> Tensor:
    """float16 as float32, short integers as int32: products of coordinates must not overflow."""
    if x.dtype == np.float16:
        return x.to(np.float32)
    return x.to(np.int32) if x.dtype.kind in "biu" and x.dtype.itemsize < 4 else x


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 where whole is 0."""
    return part / where(whole != 0, whole, 1)


def hull(a: Tensor, b: Tensor) -> Tensor:
    """The size (..., 2) of the smallest box around both."""
    return maximum(a[..., 2:], b[..., 2:]) - minimum(a[..., :2], b[..., :2])


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """The size (..., 2) of the intersection, negative along an axis where the boxes are apart."""
    return minimum(a[..., 2:], b[..., 2:]) - maximum(a[..., :2], b[..., :2])


def centre_distance(a: Tensor, b: Tensor, diagonal: Tensor, eps: float) -> Tensor:
    """The squared distance of the centres over the squared diagonal of the hull, whose size (..., 2) is given."""
    apart = (a[..., :2] + a[..., 2:]) / 2 - (b[..., :2] + b[..., 2:]) / 2
    return (apart * apart).sum(-1) / ((diagonal * diagonal).sum(-1) + eps)


def aspect_penalty(a: Tensor, b: Tensor, iou: Tensor, eps: float) -> Tensor:
    """The term a v of the complete IoU."""
    angles = [AspectAngle()(x[..., 2] - x[..., 0], x[..., 3] - x[..., 1]) for x in (a, b)]
    difference = angles[0] - angles[1]
    v = difference * difference * (4 / math.pi**2)
    fixed = v.detach()
    return v * (fixed / (1 - iou.detach() + fixed + eps))


def _area(x: Tensor) -> Tensor:
    return (x[..., 2] - x[..., 0]) * (x[..., 3] - x[..., 1])


def _clamped_hull(a: Tensor, b: Tensor) -> Tensor:
    """`hull`, 0 along an axis where inverted boxes would make it negative."""
    return clamp(hull(a, b), min=0)


def _intersection_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    size = clamp(overlap(a, b), min=0)
    intersection = size[..., 0] * size[..., 1]
    return intersection, _area(a) + _area(b) - intersection


def _in_corners(op: str, name: str, boxes: Any, fmt: str) -> Tensor:
    check_choice(op, "fmt", fmt, FORMATS)
    x = wide_enough(as_boxes(op, name, boxes, rows=True))
    return x if fmt == "xyxy" else box_convert(x, fmt, "xyxy")


def _pairs(op: str, boxes1: Any, boxes2: Any, fmt: str = "xyxy") -> tuple[Tensor, Tensor]:
    """(N, 1, 4) and (M, 4)"""
    a, b = _in_corners(op, "boxes1", boxes1, fmt), _in_corners(op, "boxes2", boxes2, fmt)
    need_same_device(op, boxes1=a, boxes2=b)
    if a.is_floating_point() and b.is_floating_point():
        need_float(op, boxes1=a, boxes2=b)
    return a.unsqueeze(1), b
