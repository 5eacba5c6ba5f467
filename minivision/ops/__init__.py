"""Operations on boxes and regions under the names of `torchvision.ops`.

Boxes are x1, y1, x2, y2 in continuous coordinates: pixel (i, j) covers j .. j + 1 by i .. i + 1, and the width is x2 - x1.
Corner pooling and `prroi_pool` have no place in torchvision; they stand here beside their kin.

Where torchvision's answer is of no use, this one differs: 0 / 0 is 0 and not NaN (boxes without area, bins without samples),
`masks_to_boxes` refuses an empty mask, `batched_nms` treats each category by itself in place of moving the boxes apart, which
rounds, and `complete_box_iou_loss` adds its `eps` to every denominator. `roi_align` also differentiates the boxes.
"""

from minivision.functions.corner_pooling import bottom_pool, left_pool, right_pool, top_pool
from minivision.functions.roi import prroi_pool, ps_roi_align, roi_align, roi_pool
from minivision.ops.boxes import (
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    masks_to_boxes,
    remove_small_boxes,
)
from minivision.ops.layers import PSRoIAlign, RoIAlign, RoIPool
from minivision.ops.losses import (
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
    sigmoid_focal_loss,
)
from minivision.ops.suppression import batched_nms, nms

__all__ = [
    "PSRoIAlign",
    "RoIAlign",
    "RoIPool",
    "batched_nms",
    "bottom_pool",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "complete_box_iou",
    "complete_box_iou_loss",
    "distance_box_iou",
    "distance_box_iou_loss",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "left_pool",
    "masks_to_boxes",
    "nms",
    "prroi_pool",
    "ps_roi_align",
    "remove_small_boxes",
    "right_pool",
    "roi_align",
    "roi_pool",
    "sigmoid_focal_loss",
    "top_pool",
]
