"""Regions of interest, boxes, and what detectors do with them."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "roi_align",
        "ops.roi_align(x(4, 5, 6), x(1, 5), 2)",
        ValueError,
        "roi_align: input has shape (4, 5, 6), but must be (N, C, H, W)",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 0, 6), x(1, 5), 2)",
        ValueError,
        "roi_align: input has shape (2, 4, 0, 6); the feature map (C, H, W) must not be empty",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(labels(2, 4, 5, 6), x(1, 5), 2)",
        TypeError,
        "roi_align: input is int64 (2, 4, 5, 6), but must be floating; convert it with .float()",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), x(1, 4), 2)",
        ValueError,
        (
            "roi_align: boxes has shape (1, 4), but must be (K, 5) rows of image index, x1, y1, x2, y2; or pass a list with "
            "one (L, 4) tensor per image"
        ),
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), x64(1, 5), 2)",
        TypeError,
        "roi_align: input is float32, but boxes is float64; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), minivision.tensor([[2.0, 1.0, 1.0, 4.0, 4.0]], device=device), 2)",
        ValueError,
        (
            "roi_align: boxes[0, 0] = 2.0 is not the index of one of the 2 images of input (2, 4, 5, 6); rows are (image "
            "index, x1, y1, x2, y2)"
        ),
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), minivision.tensor([[0.5, 1.0, 1.0, 4.0, 4.0]], device=device), 2)",
        ValueError,
        (
            "roi_align: boxes[0, 0] = 0.5 is not the index of one of the 2 images of input (2, 4, 5, 6); rows are (image "
            "index, x1, y1, x2, y2)"
        ),
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), minivision.tensor([[0.0, 1.0, 1.0, 4.0, float('nan')]], device=device), 2)",
        ValueError,
        "roi_align: box 0 is [1.0, 1.0, 4.0, nan]; coordinates must be finite, and below 2147483647 once scaled",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), [x(1, 4)], 2)",
        ValueError,
        "roi_align: boxes is a list of 1, but input (2, 4, 5, 6) has 2 images; give one each",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), [x(1, 4), x(1, 5)], 2)",
        ValueError,
        "roi_align: boxes[1] has shape (1, 5), but must be (L, 4) as x1, y1, x2, y2; (0, 4) for no box",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), None, 2)",
        TypeError,
        "roi_align: boxes is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), x(1, 5), 0)",
        ValueError,
        "roi_align: output_size=0 must be a positive int, or two of them (h, w)",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), x(1, 5), (2, 2, 2))",
        ValueError,
        "roi_align: output_size=(2, 2, 2) has 3 entries, but must be a positive int, or two of them (h, w)",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), x(1, 5), 2.5)",
        TypeError,
        (
            "roi_align: output_size=2.5 must be a positive int, or two of them (h, w), not float; for whole numbers divide "
            "with //, or round with int()"
        ),
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), x(1, 5), 2, spatial_scale=0)",
        ValueError,
        "roi_align: spatial_scale=0 must be positive",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), x(1, 5), 2, spatial_scale='1/16')",
        TypeError,
        "roi_align: spatial_scale='1/16' must be a number, not str",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), x(1, 5), 2, sampling_ratio=1.5)",
        TypeError,
        (
            "roi_align: sampling_ratio=1.5 must be an int (0 or less adapts it to the size of the bins), not float; for whole "
            "numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), x(1, 5), 2, aligned='yes')",
        TypeError,
        "roi_align: aligned='yes' must be True or False, not str",
    ),
    Bad(
        "roi_align",
        "ops.roi_align(x(2, 4, 5, 6), x(1, 5), 2, reduction='sum')",
        ValueError,
        "roi_align: reduction='sum' is unknown; use 'mean' or 'max'",
    ),
    Bad(
        "roi_pool",
        "ops.roi_pool(x(4, 5, 6), x(1, 5), 2)",
        ValueError,
        "roi_pool: input has shape (4, 5, 6), but must be (N, C, H, W)",
    ),
    Bad(
        "roi_pool",
        "ops.roi_pool(x(2, 4, 0, 6), x(1, 5), 2)",
        ValueError,
        "roi_pool: input has shape (2, 4, 0, 6); the feature map (C, H, W) must not be empty",
    ),
    Bad(
        "roi_pool",
        "ops.roi_pool(x(2, 4, 5, 6), x(1, 4), 2)",
        ValueError,
        (
            "roi_pool: boxes has shape (1, 4), but must be (K, 5) rows of image index, x1, y1, x2, y2; or pass a list with "
            "one (L, 4) tensor per image"
        ),
    ),
    Bad(
        "roi_pool",
        "ops.roi_pool(x(2, 4, 5, 6), minivision.tensor([[2.0, 1.0, 1.0, 4.0, 4.0]], device=device), 2)",
        ValueError,
        (
            "roi_pool: boxes[0, 0] = 2.0 is not the index of one of the 2 images of input (2, 4, 5, 6); rows are (image "
            "index, x1, y1, x2, y2)"
        ),
    ),
    Bad(
        "roi_pool",
        "ops.roi_pool(x(2, 4, 5, 6), minivision.tensor([[0.0, 1.0, 1.0, 4.0, float('nan')]], device=device), 2)",
        ValueError,
        "roi_pool: box 0 is [1.0, 1.0, 4.0, nan]; coordinates must be finite, and below 2147483647 once scaled",
    ),
    Bad(
        "roi_pool",
        "ops.roi_pool(x(2, 4, 5, 6), [x(1, 4), x(1, 5)], 2)",
        ValueError,
        "roi_pool: boxes[1] has shape (1, 5), but must be (L, 4) as x1, y1, x2, y2; (0, 4) for no box",
    ),
    Bad(
        "roi_pool",
        "ops.roi_pool(x(2, 4, 5, 6), x(1, 5), 0)",
        ValueError,
        "roi_pool: output_size=0 must be a positive int, or two of them (h, w)",
    ),
    Bad(
        "roi_pool",
        "ops.roi_pool(x(2, 4, 5, 6), x(1, 5), 2, spatial_scale=0)",
        ValueError,
        "roi_pool: spatial_scale=0 must be positive",
    ),
    Bad(
        "prroi_pool",
        "ops.prroi_pool(x(4, 5, 6), x(1, 5), 2)",
        ValueError,
        "prroi_pool: input has shape (4, 5, 6), but must be (N, C, H, W)",
    ),
    Bad(
        "prroi_pool",
        "ops.prroi_pool(labels(2, 4, 5, 6), x(1, 5), 2)",
        TypeError,
        "prroi_pool: input is int64 (2, 4, 5, 6), but must be floating; convert it with .float()",
    ),
    Bad(
        "prroi_pool",
        "ops.prroi_pool(x(2, 4, 5, 6), x(1, 4), 2)",
        ValueError,
        (
            "prroi_pool: boxes has shape (1, 4), but must be (K, 5) rows of image index, x1, y1, x2, y2; or pass a list with "
            "one (L, 4) tensor per image"
        ),
    ),
    Bad(
        "prroi_pool",
        "ops.prroi_pool(x(2, 4, 5, 6), minivision.tensor([[0.5, 1.0, 1.0, 4.0, 4.0]], device=device), 2)",
        ValueError,
        (
            "prroi_pool: boxes[0, 0] = 0.5 is not the index of one of the 2 images of input (2, 4, 5, 6); rows are (image "
            "index, x1, y1, x2, y2)"
        ),
    ),
    Bad(
        "prroi_pool",
        "ops.prroi_pool(x(2, 4, 5, 6), [x(1, 4)], 2)",
        ValueError,
        "prroi_pool: boxes is a list of 1, but input (2, 4, 5, 6) has 2 images; give one each",
    ),
    Bad(
        "prroi_pool",
        "ops.prroi_pool(x(2, 4, 5, 6), x(1, 5), (2, 2, 2))",
        ValueError,
        "prroi_pool: output_size=(2, 2, 2) has 3 entries, but must be a positive int, or two of them (h, w)",
    ),
    Bad(
        "prroi_pool",
        "ops.prroi_pool(x(2, 4, 5, 6), x(1, 5), 2, spatial_scale='1/16')",
        TypeError,
        "prroi_pool: spatial_scale='1/16' must be a number, not str",
    ),
    Bad(
        "prroi_pool",
        "ops.prroi_pool(x(2, 4, 5, 6), x(1, 5), 2, aligned=None)",
        TypeError,
        "prroi_pool: aligned=None must be True or False",
    ),
    Bad(
        "ps_roi_align",
        "ops.ps_roi_align(x(4, 5, 6), x(1, 5), 2)",
        ValueError,
        "ps_roi_align: input has shape (4, 5, 6), but must be (N, C, H, W)",
    ),
    Bad(
        "ps_roi_align",
        "ops.ps_roi_align(x(2, 4, 5, 6), x64(1, 5), 2)",
        TypeError,
        ("ps_roi_align: input is float32, but boxes is float64; convert one of them (.float(), .double(), or module.double())"),
    ),
    Bad(
        "ps_roi_align",
        "ops.ps_roi_align(x(2, 4, 5, 6), minivision.tensor([[2.0, 1.0, 1.0, 4.0, 4.0]], device=device), 2)",
        ValueError,
        (
            "ps_roi_align: boxes[0, 0] = 2.0 is not the index of one of the 2 images of input (2, 4, 5, 6); rows are (image "
            "index, x1, y1, x2, y2)"
        ),
    ),
    Bad(
        "ps_roi_align",
        "ops.ps_roi_align(x(2, 4, 5, 6), x(1, 5), 2.5)",
        TypeError,
        (
            "ps_roi_align: output_size=2.5 must be a positive int, or two of them (h, w), not float; for whole numbers divide "
            "with //, or round with int()"
        ),
    ),
    Bad(
        "ps_roi_align",
        "ops.ps_roi_align(x(2, 4, 5, 6), x(1, 5), 2, sampling_ratio='2')",
        TypeError,
        "ps_roi_align: sampling_ratio='2' must be an int (0 or less adapts it to the size of the bins), not str",
    ),
    Bad(
        "ps_roi_align",
        "ops.ps_roi_align(x(1, 3, 5, 6), x(1, 5), 2)",
        ValueError,
        "ps_roi_align: input (1, 3, 5, 6) has 3 channels, which must be a multiple of the 2 x 2 bins = 4",
    ),
    Bad(
        "box_area",
        "ops.box_area(x(2, 5))",
        ValueError,
        "box_area: boxes has shape (2, 5), but must be (N, 4); leave out the image index with boxes[..., 1:]",
    ),
    Bad(
        "box_area",
        "ops.box_area(x(4))",
        ValueError,
        "box_area: boxes has shape (4,), but must be (N, 4); one box is boxes[None]",
    ),
    Bad(
        "box_area",
        "ops.box_area(x(2, 4), fmt='yxyx')",
        ValueError,
        "box_area: fmt='yxyx' is unknown; use 'xyxy', 'xywh' or 'cxcywh'",
    ),
    Bad(
        "box_area",
        "ops.box_area(None)",
        TypeError,
        "box_area: boxes is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "box_area",
        "ops.box_area(mask(2, 4))",
        TypeError,
        "box_area: boxes is bool (2, 4), but must hold coordinates",
    ),
    Bad(
        "box_convert",
        "ops.box_convert(x(2, 3), 'xyxy', 'xywh')",
        ValueError,
        "box_convert: boxes has shape (2, 3), but must be (..., 4); (0, 4) for no box",
    ),
    Bad(
        "box_convert",
        "ops.box_convert(x(2, 4), 'coco', 'xyxy')",
        ValueError,
        "box_convert: in_fmt='coco' is unknown; use 'xyxy', 'xywh' or 'cxcywh'",
    ),
    Bad(
        "box_convert",
        "ops.box_convert(x(2, 4), 'xyxy', None)",
        ValueError,
        "box_convert: out_fmt=None is unknown; use 'xyxy', 'xywh' or 'cxcywh'",
    ),
    Bad(
        "box_iou",
        "ops.box_iou(x(2, 4), x(3, 5))",
        ValueError,
        "box_iou: boxes2 has shape (3, 5), but must be (N, 4); leave out the image index with boxes2[..., 1:]",
    ),
    Bad(
        "box_iou",
        "ops.box_iou(x(4), x(3, 4))",
        ValueError,
        "box_iou: boxes1 has shape (4,), but must be (N, 4); one box is boxes1[None]",
    ),
    Bad(
        "box_iou",
        "ops.box_iou(x(2, 4), x64(3, 4))",
        TypeError,
        "box_iou: boxes1 is float32, but boxes2 is float64; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "box_iou",
        "ops.box_iou(x(2, 4), x(3, 4), fmt='corners')",
        ValueError,
        "box_iou: fmt='corners' is unknown; use 'xyxy', 'xywh' or 'cxcywh'",
    ),
    Bad(
        "generalized_box_iou",
        "ops.generalized_box_iou(x(2, 3), x(3, 4))",
        ValueError,
        "generalized_box_iou: boxes1 has shape (2, 3), but must be (N, 4); (0, 4) for no box",
    ),
    Bad(
        "generalized_box_iou",
        "ops.generalized_box_iou(x(2, 4), None)",
        TypeError,
        "generalized_box_iou: boxes2 is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "generalized_box_iou",
        "ops.generalized_box_iou(x64(2, 4), x(3, 4))",
        TypeError,
        (
            "generalized_box_iou: boxes1 is float64, but boxes2 is float32; convert one of them (.float(), .double(), or "
            "module.double())"
        ),
    ),
    Bad(
        "distance_box_iou",
        "ops.distance_box_iou(x(4), x(3, 4))",
        ValueError,
        "distance_box_iou: boxes1 has shape (4,), but must be (N, 4); one box is boxes1[None]",
    ),
    Bad(
        "distance_box_iou",
        "ops.distance_box_iou(x(2, 4), x(3, 4), eps=-1)",
        ValueError,
        "distance_box_iou: eps=-1 must not be negative",
    ),
    Bad(
        "distance_box_iou",
        "ops.distance_box_iou(x(2, 4), x(3, 4), eps=None)",
        TypeError,
        "distance_box_iou: eps=None must be a number",
    ),
    Bad(
        "complete_box_iou",
        "ops.complete_box_iou(x(2, 4), x(12))",
        ValueError,
        "complete_box_iou: boxes2 has shape (12,), but must be (N, 4); (0, 4) for no box",
    ),
    Bad(
        "complete_box_iou",
        "ops.complete_box_iou(x(2, 4), x(3, 4), eps='1e-7')",
        TypeError,
        "complete_box_iou: eps='1e-7' must be a number, not str",
    ),
    Bad(
        "complete_box_iou",
        "ops.complete_box_iou(x(2, 4), x(3, 4), eps=float('nan'))",
        ValueError,
        "complete_box_iou: eps=nan must be a finite number",
    ),
    Bad(
        "clip_boxes_to_image",
        "ops.clip_boxes_to_image(x(2, 5), (4, 6))",
        ValueError,
        "clip_boxes_to_image: boxes has shape (2, 5), but must be (..., 4); leave out the image index with boxes[..., 1:]",
    ),
    Bad(
        "clip_boxes_to_image",
        "ops.clip_boxes_to_image(x(2, 4), 4)",
        ValueError,
        "clip_boxes_to_image: size=4 must be (height, width)",
    ),
    Bad(
        "clip_boxes_to_image",
        "ops.clip_boxes_to_image(x(2, 4), (3, 4, 6))",
        ValueError,
        "clip_boxes_to_image: size=(3, 4, 6) must be (height, width)",
    ),
    Bad(
        "clip_boxes_to_image",
        "ops.clip_boxes_to_image(x(2, 4), (4, 0))",
        ValueError,
        "clip_boxes_to_image: width=0 must be positive",
    ),
    Bad(
        "remove_small_boxes",
        "ops.remove_small_boxes(x(4), 1)",
        ValueError,
        "remove_small_boxes: boxes has shape (4,), but must be (N, 4); one box is boxes[None]",
    ),
    Bad(
        "remove_small_boxes",
        "ops.remove_small_boxes(x(2, 4), -1)",
        ValueError,
        "remove_small_boxes: min_size=-1 must not be negative",
    ),
    Bad(
        "remove_small_boxes",
        "ops.remove_small_boxes(x(2, 4), None)",
        TypeError,
        "remove_small_boxes: min_size=None must be a number",
    ),
    Bad(
        "masks_to_boxes",
        "ops.masks_to_boxes(mask(4, 5))",
        ValueError,
        "masks_to_boxes: masks has shape (4, 5), but must be (N, H, W)",
    ),
    Bad(
        "masks_to_boxes",
        "ops.masks_to_boxes(labels(2, 4, 5))",
        ValueError,
        "masks_to_boxes: mask 0 of 2 is empty and has no box; leave it out",
    ),
    Bad(
        "masks_to_boxes",
        "ops.masks_to_boxes('mask.png')",
        TypeError,
        "masks_to_boxes: masks is 'mask.png' (str), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "nms",
        "ops.nms(x(3, 5), x(3), 0.5)",
        ValueError,
        "nms: boxes has shape (3, 5), but must be (N, 4); leave out the image index with boxes[..., 1:]",
    ),
    Bad(
        "nms",
        "ops.nms(x(3, 4), x(2), 0.5)",
        ValueError,
        "nms: boxes has shape (3, 4), so scores must be (3,), one for each box, not (2,)",
    ),
    Bad(
        "nms",
        "ops.nms(x(3, 4), x64(3), 0.5)",
        TypeError,
        "nms: boxes is float32, but scores is float64; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "nms",
        "ops.nms(labels(3, 4), x(3), 0.5)",
        TypeError,
        "nms: boxes is int64 (3, 4), but must be floating; convert it with .float()",
    ),
    Bad(
        "nms",
        "ops.nms(x(3, 4) * float('nan'), x(3), 0.5)",
        ValueError,
        "nms: boxes holds NaN, which has no order; look for a diverged training or 0/0 before this call",
    ),
    Bad(
        "nms",
        "ops.nms(x(3, 4), x(3), 50)",
        ValueError,
        "nms: iou_threshold=50 is compared with an intersection over union and must lie in [0, 1]",
    ),
    Bad(
        "nms",
        "ops.nms(x(3, 4), x(3), '0.5')",
        TypeError,
        "nms: iou_threshold='0.5' must be a number, not str",
    ),
    Bad(
        "batched_nms",
        "ops.batched_nms(x(3, 4), x(3), labels(2), 0.5)",
        ValueError,
        "batched_nms: idxs has shape (2,), but must be (3,), one category for each box",
    ),
    Bad(
        "batched_nms",
        "ops.batched_nms(x(3, 4), x(3), x(3), 0.5)",
        TypeError,
        "batched_nms: idxs is float32 (3,), but must hold integer categories; use .long()",
    ),
    Bad(
        "batched_nms",
        "ops.batched_nms(x(3, 4), x(3, 1), labels(3), 0.5)",
        ValueError,
        "batched_nms: boxes has shape (3, 4), so scores must be (3,), one for each box, not (3, 1)",
    ),
    Bad(
        "batched_nms",
        "ops.batched_nms(x(3, 4), x(3), labels(3), -0.5)",
        ValueError,
        "batched_nms: iou_threshold=-0.5 is compared with an intersection over union and must lie in [0, 1]",
    ),
    Bad(
        "generalized_box_iou_loss",
        "ops.generalized_box_iou_loss(x(2, 4), x(3, 4))",
        ValueError,
        "generalized_box_iou_loss: boxes1 has shape (2, 4), but boxes2 has (3, 4); box i is compared with box i",
    ),
    Bad(
        "generalized_box_iou_loss",
        "ops.generalized_box_iou_loss(x(2, 4), x(2, 4), reduction='avg')",
        ValueError,
        "generalized_box_iou_loss: reduction='avg' is unknown; use 'none', 'mean' or 'sum'",
    ),
    Bad(
        "generalized_box_iou_loss",
        "ops.generalized_box_iou_loss(labels(2, 4), x(2, 4))",
        TypeError,
        "generalized_box_iou_loss: boxes1 is int64 (2, 4), but must be floating; convert it with .float()",
    ),
    Bad(
        "distance_box_iou_loss",
        "ops.distance_box_iou_loss(x(2, 5), x(2, 4))",
        ValueError,
        ("distance_box_iou_loss: boxes1 has shape (2, 5), but must be (..., 4); leave out the image index with boxes1[..., 1:]"),
    ),
    Bad(
        "distance_box_iou_loss",
        "ops.distance_box_iou_loss(x(2, 4), x(4))",
        ValueError,
        "distance_box_iou_loss: boxes1 has shape (2, 4), but boxes2 has (4,); box i is compared with box i",
    ),
    Bad(
        "distance_box_iou_loss",
        "ops.distance_box_iou_loss(x(2, 4), x(2, 4), eps=-1)",
        ValueError,
        "distance_box_iou_loss: eps=-1 must not be negative",
    ),
    Bad(
        "complete_box_iou_loss",
        "ops.complete_box_iou_loss(x(2, 4), x64(2, 4))",
        TypeError,
        (
            "complete_box_iou_loss: boxes1 is float32, but boxes2 is float64; convert one of them (.float(), .double(), or "
            "module.double())"
        ),
    ),
    Bad(
        "complete_box_iou_loss",
        "ops.complete_box_iou_loss(x(2, 4), None)",
        TypeError,
        "complete_box_iou_loss: boxes2 is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "complete_box_iou_loss",
        "ops.complete_box_iou_loss(x(2, 4), x(2, 4), reduction=None)",
        ValueError,
        "complete_box_iou_loss: reduction=None is unknown; use 'none', 'mean' or 'sum'",
    ),
    Bad(
        "sigmoid_focal_loss",
        "ops.sigmoid_focal_loss(x(2, 3), x(2, 4))",
        ValueError,
        "sigmoid_focal_loss: inputs has shape (2, 3), but targets has (2, 4); they must be equal",
    ),
    Bad(
        "sigmoid_focal_loss",
        "ops.sigmoid_focal_loss(labels(2, 3), x(2, 3))",
        TypeError,
        "sigmoid_focal_loss: inputs is int64 (2, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "sigmoid_focal_loss",
        "ops.sigmoid_focal_loss(x(2, 3), x(2, 3), alpha=1.5)",
        ValueError,
        "sigmoid_focal_loss: alpha=1.5 must lie in 0 .. 1, or be -1 for no weighting",
    ),
    Bad(
        "sigmoid_focal_loss",
        "ops.sigmoid_focal_loss(x(2, 3), x(2, 3), gamma=-2)",
        ValueError,
        "sigmoid_focal_loss: gamma=-2 must not be negative",
    ),
    Bad(
        "sigmoid_focal_loss",
        "ops.sigmoid_focal_loss(x(2, 3), x(2, 3), reduction='average')",
        ValueError,
        "sigmoid_focal_loss: reduction='average' is unknown; use 'none', 'mean' or 'sum'",
    ),
    Bad(
        "RoIAlign",
        "ops.RoIAlign(0, 1.0, 2)",
        ValueError,
        "RoIAlign: output_size=0 must be a positive int, or two of them (h, w)",
    ),
    Bad(
        "RoIAlign",
        "ops.RoIAlign(2, -1.0, 2)",
        ValueError,
        "RoIAlign: spatial_scale=-1.0 must be positive",
    ),
    Bad(
        "RoIAlign",
        "ops.RoIAlign(2, 1.0, 1.5)",
        TypeError,
        "RoIAlign: sampling_ratio=1.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "RoIPool",
        "ops.RoIPool((2, 2, 2), 1.0)",
        ValueError,
        "RoIPool: output_size=(2, 2, 2) has 3 entries, but must be a positive int, or two of them (h, w)",
    ),
    Bad(
        "RoIPool",
        "ops.RoIPool(2, None)",
        TypeError,
        "RoIPool: spatial_scale=None must be a number",
    ),
    Bad(
        "RoIPool",
        "ops.RoIPool('2', 1.0)",
        TypeError,
        "RoIPool: output_size='2' must be a positive int, or two of them (h, w), not str",
    ),
    Bad(
        "PSRoIAlign",
        "ops.PSRoIAlign(2.0, 1.0, 2)",
        TypeError,
        (
            "PSRoIAlign: output_size=2.0 must be a positive int, or two of them (h, w), not float; for whole numbers divide "
            "with //, or round with int()"
        ),
    ),
    Bad(
        "PSRoIAlign",
        "ops.PSRoIAlign(2, 0, 2)",
        ValueError,
        "PSRoIAlign: spatial_scale=0 must be positive",
    ),
    Bad(
        "PSRoIAlign",
        "ops.PSRoIAlign(2, 1.0, None)",
        TypeError,
        "PSRoIAlign: sampling_ratio=None must be an int",
    ),
]
