"""A labelled picture: everything that the vision systems of the course are trained to find in it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Scene:
    """One picture with its annotations; n objects in painting order (a later object covers the earlier ones).

    Pixel (i, j), row i from the top and column j from the left, covers the square [j, j+1] x [i, i+1] of the picture.

    Attributes
    ----------
    image     : (H, W, 3) uint8, RGB
    semantic  : (H, W) uint8, 0 = background, 1..K = class of the object seen at the pixel
    masks     : (n, H, W) bool, the visible pixels of each object; no pixel belongs to two
    boxes     : (n, 4) float32, (x1, y1, x2, y2) tight around the visible pixels; width is x2 - x1
    labels    : (n,) int64, class 1..K of each object
    keypoints : (n, k, 3) float32, (x, y, v); v = 2 visible, 1 hidden behind another object, 0 absent (x = y = 0)
    captions  : (n, t) int64, word numbers in the data set's `vocabulary`
    depth     : (H, W) float32, distance from the camera in metres; 0 where there is no measurement
    stuff     : (H, W) uint8, region behind the objects: 0 = none, 1.. = class of the data set's `stuff_classes`
    """

    image: np.ndarray
    semantic: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    keypoints: np.ndarray
    captions: np.ndarray
    depth: np.ndarray
    stuff: np.ndarray

    @property
    def instances(self) -> np.ndarray:
        """Instance map (H, W) int64: 0 = background, i + 1 = object i."""
        return instance_map(self.masks)

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what a segmentation network is trained on: image (3, H, W) float32 in [0, 1], mask (H, W) int64."""
        return np.moveaxis(self.image, -1, 0).astype(np.float32) / 255, self.semantic.astype(np.int64)


def instance_map(masks: np.ndarray) -> np.ndarray:
    """Turn masks (n, H, W) into one map (H, W) int64: 0 = background, i + 1 = object i; the last mask lies on top."""
    instances = np.zeros(masks.shape[1:], np.int64)
    for number, mask in enumerate(masks, start=1):
        instances[mask] = number
    return instances


def boxes_of(masks: np.ndarray) -> np.ndarray:
    """Return the tight boxes (n, 4) float32 (x1, y1, x2, y2) around masks (n, H, W), each with at least one pixel."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box[:] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return boxes
