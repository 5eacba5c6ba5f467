"""Losses of detectors: 1 - IoU in its variants, box against box, and the focal loss. The default reduction is "none"."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Tensor
from minivision.functions.activation import sigmoid
from minivision.functions.arithmetic import where
from minivision.functions.operands import as_tensor, check_choice, need_float, need_same_device, not_negative, number
from minivision.functions.probability_loss import binary_cross_entropy_with_logits
from minivision.ops.boxes import as_boxes, aspect_penalty, centre_distance, hull, overlap, wide_enough

REDUCTIONS = ("none", "mean", "sum")


def generalized_box_iou_loss(boxes1: Any, boxes2: Any, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """1 - generalized IoU of boxes1[i] and boxes2[i], (N, 4) or (4,): 0 .. 2, and it pulls boxes together that do not touch.

    `eps` is added to the areas that are divided by. Rezatofighi et al. 2019 (arXiv:1902.09630).
    Raises ValueError for different shapes and an unknown reduction.
    """
    a, b, eps = _matched("generalized_box_iou_loss", boxes1, boxes2, reduction, eps)
    iou, union = _iou_and_union(a, b, eps)
    size = hull(a, b)
    area = size[..., 0] * size[..., 1]
    return _reduced(1 - iou + (area - union) / (area + eps), reduction)


def distance_box_iou_loss(boxes1: Any, boxes2: Any, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """1 - IoU + (distance of the centres)^2 / (diagonal of the hull)^2 of boxes1[i] and boxes2[i], (N, 4) or (4,).

    Zheng et al. 2020 (arXiv:1911.08287). Raises ValueError for different shapes and an unknown reduction.
    """
    a, b, eps = _matched("distance_box_iou_loss", boxes1, boxes2, reduction, eps)
    iou, _ = _iou_and_union(a, b, eps)
    return _reduced(1 - iou + centre_distance(a, b, hull(a, b), eps), reduction)


def complete_box_iou_loss(boxes1: Any, boxes2: Any, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """`distance_box_iou_loss` plus a term for the aspect ratio (see `complete_box_iou`), of boxes1[i] and boxes2[i].

    Zheng et al. 2020 (arXiv:1911.08287). Raises ValueError for different shapes and an unknown reduction.
    """
    a, b, eps = _matched("complete_box_iou_loss", boxes1, boxes2, reduction, eps)
    iou, _ = _iou_and_union(a, b, eps)
    return _reduced(1 - iou + centre_distance(a, b, hull(a, b), eps) + aspect_penalty(a, b, iou, eps), reduction)


def sigmoid_focal_loss(inputs: Any, targets: Any, alpha: float = 0.25, gamma: float = 2, reduction: str = "none") -> Tensor:
    """-a (1 - p)^gamma ln p, with p the probability that sigmoid(inputs) gives to the binary target: RetinaNet's loss.

    inputs are scores of any shape, targets 0 or 1 of the same; a is `alpha` for 1 and 1 - `alpha` for 0, or 1 for alpha = -1.
    Lin et al. 2017 (arXiv:1708.02002). Raises ValueError for different shapes, an alpha outside 0 .. 1 and an unknown reduction.
    """
    op = "sigmoid_focal_loss"
    x, t = as_tensor(op, "inputs", inputs), as_tensor(op, "targets", targets)
    need_float(op, inputs=x)
    need_same_device(op, inputs=x, targets=t)
    if x.shape != t.shape:
        raise ValueError(f"{op}: inputs has shape {x.shape}, but targets has {t.shape}; they must be equal")
    alpha, gamma = number(op, "alpha", alpha), not_negative(op, "gamma", gamma)
    if alpha != -1 and not 0 <= alpha <= 1:
        raise ValueError(f"{op}: alpha={alpha} must lie in 0 .. 1, or be -1 for no weighting")
    check_choice(op, "reduction", reduction, REDUCTIONS)
    t = t if t.dtype == x.dtype else t.to(x.dtype)
    p = sigmoid(x)
    wrong = p + t - 2 * p * t  # 1 - p where the target is 1, p where it is 0
    loss = binary_cross_entropy_with_logits(x, t, reduction="none") * wrong**gamma
    if alpha != -1:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()


def _matched(op: str, boxes1: Any, boxes2: Any, reduction: str, eps: Any) -> tuple[Tensor, Tensor, float]:
    a, b = as_boxes(op, "boxes1", boxes1), as_boxes(op, "boxes2", boxes2)
    check_choice(op, "reduction", reduction, REDUCTIONS)
    eps = not_negative(op, "eps", eps)
    if a.shape != b.shape:
        raise ValueError(f"{op}: boxes1 has shape {a.shape}, but boxes2 has {b.shape}; box i is compared with box i")
    need_float(op, boxes1=a, boxes2=b)
    return wide_enough(a), wide_enough(b), eps


def _iou_and_union(a: Tensor, b: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Boxes that only touch, or are apart, have no intersection and no gradient through it."""
    size = overlap(a, b)
    product = size[..., 0] * size[..., 1]
    intersection = where((size > 0).all(-1), product, product.detach() * 0)
    areas = [(x[..., 2] - x[..., 0]) * (x[..., 3] - x[..., 1]) for x in (a, b)]
    union = areas[0] + areas[1] - intersection
    return intersection / (union + eps), union


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean" and loss.numel():
        return loss.mean()
    return loss if reduction == "none" else loss.sum()  # the mean over no box is 0
