"""Non-maximum suppression: of boxes that overlap, the one with the highest score stays."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import device_of, to_device, to_numpy
from minivision.functions.operands import as_tensor, need_float, need_same_device, number
from minivision.ops.boxes import as_boxes


def nms(boxes: Any, scores: Any, iou_threshold: float) -> Tensor:
    """The indices (int64) of the boxes that stay, by falling score: a box goes when a better one has IoU > threshold with it.

    boxes (N, 4), scores (N,), of one floating dtype. An IoU of exactly the threshold does not suppress; equal scores keep their
    order; a box without area overlaps nothing. The steps depend on each other, so they run on the host also for the GPU.
    Raises ValueError for shapes that do not fit, for NaN and for a threshold outside [0, 1].
    """
    b, s, threshold = _checked("nms", boxes, scores, iou_threshold)
    return _indices(_nms(to_numpy(b.array), to_numpy(s.array), threshold), b)


def batched_nms(boxes: Any, scores: Any, idxs: Any, iou_threshold: float) -> Tensor:
    """`nms` within each category: boxes suppress only those of the same number in `idxs` (N,). By falling score over all."""
    op = "batched_nms"
    b, s, threshold = _checked(op, boxes, scores, iou_threshold)
    groups = as_tensor(op, "idxs", idxs)
    need_same_device(op, boxes=b, idxs=groups)
    category = to_numpy(groups.array)
    if category.shape != s.shape:
        raise ValueError(f"{op}: idxs has shape {category.shape}, but must be {s.shape}, one category for each box")
    if category.dtype.kind not in "iu":
        raise TypeError(f"{op}: idxs is {category.dtype} {category.shape}, but must hold integer categories; use .long()")
    corners, score = to_numpy(b.array), to_numpy(s.array)
    kept = np.zeros(len(score), bool)
    for c in np.unique(category):
        own = np.flatnonzero(category == c)
        kept[own[_nms(corners[own], score[own], threshold)]] = True
    order = np.argsort(-score, kind="stable")
    return _indices(order[kept[order]], b)


def _nms(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float) -> np.ndarray:
    order = np.argsort(-scores, kind="stable")
    threshold = np.float64(iou_threshold)  # compared in double precision, as torchvision does for boxes in single
    kept = []
    x1, y1, x2, y2 = boxes[order].T  # best first
    area = (x2 - x1) * (y2 - y1)
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if not alive[i]:
            continue
        kept.append(order[i])
        rest = slice(i + 1, None)
        width = np.maximum(np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest]), 0)
        height = np.maximum(np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest]), 0)
        intersection = width * height
        union = area[i] + area[rest] - intersection
        iou = intersection / np.where(union == 0, 1, union)
        alive[rest] &= ~(iou > threshold)
    return np.array(kept, np.int64)


def _checked(op: str, boxes: Any, scores: Any, iou_threshold: Any) -> tuple[Tensor, Tensor, float]:
    b, s = as_boxes(op, "boxes", boxes, rows=True), as_tensor(op, "scores", scores)
    if s.shape != b.shape[:1]:
        raise ValueError(f"{op}: boxes has shape {b.shape}, so scores must be {b.shape[:1]}, one for each box, not {s.shape}")
    need_float(op, boxes=b, scores=s)
    for name, t in (("boxes", b), ("scores", s)):
        if bool(t.isnan().any()):
            raise ValueError(f"{op}: {name} holds NaN, which has no order; look for a diverged training or 0/0 before this call")
    threshold = number(op, "iou_threshold", iou_threshold)
    if not 0 <= threshold <= 1:
        raise ValueError(f"{op}: iou_threshold={threshold} is compared with an intersection over union and must lie in [0, 1]")
    return b, s, threshold


def _indices(kept: np.ndarray, like: Tensor) -> Tensor:
    return Tensor._wrap(to_device(kept, device_of(like.array)))
