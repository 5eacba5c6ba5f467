"""Non-maximum suppression: of boxes that overlap, the one with the highest score stays."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import device_of, to_device, to_numpy
from minivision.functions.operands import as_tensor, index_array, need_float
from minivision.ops.boxes import as_boxes


def nms(boxes: Any, scores: Any, iou_threshold: float) -> Tensor:
    """The indices (int64) of the boxes that stay, by falling score: a box goes when a better one has IoU > threshold with it.

    boxes (N, 4), scores (N,), of one floating dtype. An IoU of exactly the threshold does not suppress; equal scores keep their
    order; a box without area overlaps nothing. The steps depend on each other, so they run on the host also for the GPU.
    Raises ValueError for shapes that do not fit and for NaN.
    """
    b, s = _checked("nms", boxes, scores)
    return _indices(_nms(to_numpy(b.array), to_numpy(s.array), iou_threshold), b)


def batched_nms(boxes: Any, scores: Any, idxs: Any, iou_threshold: float) -> Tensor:
    """`nms` within each category: boxes suppress only those of the same number in `idxs` (N,). By falling score over all."""
    op = "batched_nms"
    b, s = _checked(op, boxes, scores)
    category = to_numpy(index_array(idxs))
    if category.shape != s.shape:
        raise ValueError(f"{op}: idxs has shape {category.shape}, but must be {s.shape}, one category for each box")
    corners, score = to_numpy(b.array), to_numpy(s.array)
    kept = np.zeros(len(score), bool)
    for c in np.unique(category):
        own = np.flatnonzero(category == c)
        kept[own[_nms(corners[own], score[own], iou_threshold)]] = True
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


def _checked(op: str, boxes: Any, scores: Any) -> tuple[Tensor, Tensor]:
    b, s = as_boxes(op, "boxes", boxes, rows=True), as_tensor(op, "scores", scores)
    if s.shape != b.shape[:1]:
        raise ValueError(f"{op}: boxes has shape {b.shape}, so scores must be {b.shape[:1]}, one for each box, not {s.shape}")
    need_float(op, boxes=b, scores=s)
    for name, t in (("boxes", b), ("scores", s)):
        if bool(t.isnan().any()):
            raise ValueError(f"{op}: {name} holds NaN, which has no order; look for a diverged training or 0/0 before this call")
    return b, s


def _indices(kept: np.ndarray, like: Tensor) -> Tensor:
    return Tensor._wrap(to_device(kept, device_of(like.array)))
