"""Regions of interest, boxes, their losses and non-maximum suppression, against torchvision's compiled operations.

Left out is what torchvision answers with NaN, an error of its allocator, or nothing reliable: 0 / 0 for boxes without area, and
inverted boxes under an adaptive number of samples. minivision gives 0 there; tests/functions/test_roi.py and tests/ops have it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from tests.oracle.cases import Case, Fixed, Given, Normal, Row, table, uniform

# along an axis of 7 cells (and, shorter, of 5): low and high end of a box
ENDS = {
    "inside": (1.3, 4.6),
    "the whole axis": (0.0, 7.0),
    "across the low border": (-2.4, 2.1),
    "across the high border": (5.2, 11.7),
    "far outside, low": (-30.0, -9.5),
    "far outside, high": (9.5, 30.0),
    "within a cell": (2.6, 2.9),
    "whole numbers": (1.0, 3.0),
    "halves": (0.5, 3.5),
    "a cell outside": (-1.0, 8.0),
    "longer than the map": (-20.0, 26.0),
    "tiny": (2.25, 2.25 + 1e-6),
    "a point": (3.0, 3.0),
    "inverted": (4.2, 1.7),
}
PLAIN = list(ENDS.values())[:-2]
SIZED = list(ENDS.values())[:-1]
EVERY = list(ENDS.values())


def rois(ends: list[tuple[float, float]], scale: float, shift: int) -> Given:
    """(K, 5): the ends along y are those along x, some places further down the list; images 0 and 1 in turn."""
    rows = [[k % 2, x1, y1, x2, y2] for k, ((x1, x2), (y1, y2)) in enumerate(zip(ends, ends[shift:] + ends[:shift], strict=True))]
    return Given(np.array(rows) / [1, *[scale] * 4])


def aligning() -> Iterator[Row]:
    shifts = itertools.cycle((0, 1, 3, 5))
    for ratio, aligned, scale in itertools.product((-1, 0, 1, 2, 3), (False, True), (1.0, 0.25, 0.7)):
        ends = SIZED if aligned and ratio <= 0 else EVERY
        arguments = {"output_size": (3, 2), "spatial_scale": scale, "sampling_ratio": ratio, "aligned": aligned}
        yield "roi_align", [(2, 2, 7, 5), rois(ends, scale, next(shifts))], arguments
    for ratio, scale in itertools.product((-1, 1, 2), (1.0, 0.7)):
        ends = PLAIN if ratio <= 0 else EVERY
        arguments = {"output_size": (2, 3), "spatial_scale": scale, "sampling_ratio": ratio}
        yield "ps_roi_align", [(2, 12, 7, 5), rois(ends, scale, next(shifts))], arguments
    for shape in ((2, 1, 1, 1), (2, 1, 1, 6), (2, 1, 6, 1)):
        yield "roi_align", [shape, rois(EVERY, 1.0, 2), Given(2)], {"sampling_ratio": 2}
    per_image = (np.array([[0.6, 1.2, 3.9, 5.7], [1.0, 0.0, 4.0, 2.0]]), np.zeros((0, 4)), np.array([[0.3, 2.2, 3.7, 6.1]]))
    yield "roi_align", [(3, 2, 7, 5), Given(per_image), Given(2)], {"aligned": True}
    yield "roi_align", [(2, 2, 7, 5), Given(np.zeros((0, 5))), Given(2)], {}


def snapping() -> Iterator[Row]:
    for size, scale, shift in itertools.product(((3, 2), (1, 1), (4, 7), (2, 2)), (1.0, 0.25, 0.7), (0, 3)):
        yield "roi_pool", [(2, 2, 7, 5), rois(EVERY, scale, shift), Given(size)], {"spatial_scale": scale}
    ties = Fixed(np.floor(uniform("ties", (2, 2, 7, 5), 0, 3)))
    yield "roi_pool", [ties, rois(EVERY, 1.0, 1), Given((3, 2))], {}
    halves = [[0, 0.5, 0.5, 2.5, 1.5], [1, -0.5, 1.5, -0.5, 3.5], [0, 1.5, -1.5, 3.5, 0.5]]
    yield "roi_pool", [(2, 1, 5, 5), Given(np.array(halves)), Given(2)], {}
    yield "roi_pool", [(2, 1, 1, 6), rois(EVERY, 1.0, 4), Given(2)], {}


# inside each other, apart, touching at an edge and at a corner, equal, crossing, without area, negative coordinates
A = [[0.0, 0.0, 4.0, 4.0], [1.1, 0.3, 4.2, 5.1], [-3.1, -2.2, -1.4, 0.7], [1.1, 1.2, 9.3, 2.4], [0.0, 0.0, 2.0, 0.0]]
B = [[1.0, 1.0, 2.0, 3.0], [4.0, 0.0, 6.0, 4.0], [4.0, 4.0, 5.0, 7.0], [0.0, 0.0, 4.0, 4.0], [6.2, 7.1, 8.3, 9.4]]
HIGH = [*A[:4], [0.5, 1.5, 0.5, 2.0]]  # every height positive, as the complete IoU's ratio needs it
INVERTED = [[4.0, 1.0, 1.0, 3.0], [0.5, 6.0, 2.5, 1.0], [7.0, 9.0, 3.0, 2.0]]


def overlapping() -> Iterator[Row]:
    for op in ("box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou"):
        first = HIGH if op.startswith("complete") else A
        yield op, [Fixed(first), Fixed(B)], {}
        yield op, [Fixed(B), Fixed(first[:2])], {}
        yield op, [Fixed(np.zeros((0, 4))), Fixed(B)], {}
        if not op.startswith("generalized"):
            yield op, [Fixed(INVERTED), Fixed(B)], {}
    for op, reduction in itertools.product(("generalized", "distance", "complete"), ("none", "mean", "sum")):
        first = HIGH if op == "complete" else A
        yield f"{op}_box_iou_loss", [Fixed(first), Fixed(B)], {"reduction": reduction}
        eps = {} if op == "complete" else {"eps": 1e-3}  # torchvision hands it on to the aspect term alone
        yield f"{op}_box_iou_loss", [Fixed(INVERTED), Fixed(B[:3])], {"reduction": reduction, **eps}
        yield f"{op}_box_iou_loss", [Fixed(first[1]), Fixed(B[0])], {"reduction": reduction}
    yield "box_area", [Fixed(A)], {}
    yield "box_area", [Given(np.array([[0, 0, 300, 200], [5, 5, 5, 9]]))], {}


def converting() -> Iterator[Row]:
    for source, target in itertools.product(("xyxy", "xywh", "cxcywh"), repeat=2):
        yield "box_convert", [Fixed(A), Given(source), Given(target)], {}
    for size in ((3, 5), (4, 4), (9, 1)):
        yield "clip_boxes_to_image", [Fixed(A), Given(size)], {}
        yield "clip_boxes_to_image", [Fixed(np.zeros((0, 4))), Given(size)], {}
    for least in (0.0, 1.0, 2.0, 3.5):
        yield "remove_small_boxes", [Given(np.array(A + INVERTED)), Given(least)], {}
    masks = uniform("masks", (4, 6, 9), 0, 1) > 0.9
    masks[:, 2, 3] = True
    yield "masks_to_boxes", [Given(masks)], {}
    yield "masks_to_boxes", [Given(masks[:0])], {}


def focal() -> Iterator[Row]:
    for alpha, gamma, reduction in itertools.product((0.25, -1, 0.6), (2, 0, 1.5), ("none", "mean", "sum")):
        arguments = {"alpha": alpha, "gamma": gamma, "reduction": reduction}
        yield "sigmoid_focal_loss", [Normal((3, 4), -6.0, 6.0), Given(np.floor(uniform("labels", (3, 4), 0, 2)))], arguments
    yield "sigmoid_focal_loss", [Normal((3, 4), -60.0, 60.0), Given(uniform("shares", (3, 4), 0, 1))], {}


def suppressing() -> Iterator[Row]:
    for seed, threshold in itertools.product("abc", (0.0, 0.2, 0.5, 0.8, 1.0)):
        corner, size = uniform(f"corner {seed}", (60, 2), 0, 60), uniform(f"size {seed}", (60, 2), 0, 40)
        boxes = np.concatenate([corner, corner + size], axis=1).round(0 if seed == "c" else 3)
        scores = np.floor(uniform(f"scores {seed}", (60,), 0, 30)) / 30  # many equal ones
        yield "nms", [Given(boxes), Given(scores), Given(threshold)], {}
        if seed != "c":  # torchvision moves the categories apart, which rounds
            category = np.floor(uniform(f"category {seed}", (60,), 0, 4)).astype(np.int64)
            yield "batched_nms", [Given(boxes), Given(scores), Given(category), Given(threshold)], {}
    halves = np.array([[0, 0, 2, 1], [0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]], float)
    yield "nms", [Given(halves), Given(np.array([0.9, 0.8, 0.7, 0.6])), Given(0.5)], {}
    yield "nms", [Given(np.zeros((0, 4))), Given(np.zeros(0)), Given(0.5)], {}


CASES = table(aligning, snapping, overlapping, converting, focal, suppressing)

MAP = (2, 4, 5, 6)
REJECTED = [
    Case(f"{number:02d} {op}", op, tuple(inputs), arguments)
    for number, (op, inputs, arguments) in enumerate(
        [
            ("roi_align", [MAP, Given(np.zeros((3, 4))), Given(2)], {}),
            ("roi_pool", [MAP, Given(np.zeros((3, 4))), Given(2)], {}),
            ("ps_roi_align", [MAP, Given(np.zeros((3, 5))), Given(3)], {}),
            ("roi_align", [MAP, Given((np.zeros((1, 4)), np.zeros((1, 5)))), Given(2)], {}),
            ("box_convert", [Given(np.zeros((3, 4))), Given("xyxy"), Given("yxhw")], {}),
            ("generalized_box_iou_loss", [Given(np.array(A)), Given(np.array(B))], {"reduction": "average"}),
            ("distance_box_iou_loss", [Given(np.array(A)), Given(np.array(B[:2]))], {}),
            ("complete_box_iou_loss", [Given(np.array(A)), Given(np.array(B))], {"reduction": "max"}),
            ("sigmoid_focal_loss", [Given(np.zeros(3)), Given(np.zeros(3))], {"alpha": 1.5}),
            ("sigmoid_focal_loss", [Given(np.zeros(3)), Given(np.zeros(3))], {"reduction": "median"}),
            ("nms", [Given(np.zeros((3, 4))), Given(np.zeros(2)), Given(0.5)], {}),
            ("nms", [Given(np.zeros((3, 5))), Given(np.zeros(3)), Given(0.5)], {}),
        ]
    )
]
