"""The geometry of ShapesWorld: regular polygons, disks and rings, and their placement in a picture."""

import math
from dataclasses import dataclass

import numpy as np

DISK_KEYPOINTS = 4


@dataclass(frozen=True)
class Shape:
    """A regular polygon or, with `corners == 0`, a disk; upright, of circumradius 1 around the origin, y pointing down.

    Attributes
    ----------
    scale : circumradius as a multiple of the object's nominal radius, so that all shapes have similar areas.
    first : angle of keypoint 0 in radians, clockwise from the x axis; the others follow clockwise.
    hole  : radius of the hole.
    """

    corners: int
    scale: float
    first: float
    hole: float = 0.0

    def keypoints(self) -> np.ndarray:
        """Return the corners (k, 2) as (x, y); a disk gets its top, right, bottom and left."""
        count = self.corners or DISK_KEYPOINTS
        angles = self.first + 2 * np.pi * np.arange(count) / count
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the signed distance to the outline, negative inside; beyond a polygon's corners, a lower bound."""
        radius = np.hypot(x, y)
        if self.corners == 0:
            return np.maximum(radius - 1, self.hole - radius) if self.hole else radius - 1
        normals = self.first + 2 * np.pi * (np.arange(self.corners) + 0.5) / self.corners
        sides = [math.cos(angle) * x + math.sin(angle) * y for angle in normals]
        return np.max(sides, axis=0) - math.cos(np.pi / self.corners)


SHAPES: dict[str, Shape] = {
    "disk":     Shape(corners=0, scale=1.00, first=-np.pi / 2),
    "square":   Shape(corners=4, scale=1.40, first=-np.pi * 3 / 4),
    "triangle": Shape(corners=3, scale=1.55, first=-np.pi / 2),
    "ring":     Shape(corners=0, scale=1.15, first=-np.pi / 2, hole=0.5),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Thing:
    """One object in a picture: a shape turned by `angle` (radians, clockwise) with its centre at (x, y), in pixels.

    Attributes
    ----------
    label  : class 1..K
    radius : nominal radius in pixels
    colour : number of the colour's name
    rgb    : (3,) the colour it is painted in, in [0, 1]
    """

    label: int
    shape: Shape
    x: float
    y: float
    radius: float
    angle: float
    colour: int
    rgb: np.ndarray

    @property
    def reach(self) -> float:
        """The circumradius in pixels."""
        return self.radius * self.shape.scale

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the signed distance in pixels of the points (x, y) to the outline, negative inside."""
        dx, dy = (x - self.x) / self.reach, (y - self.y) / self.reach
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return self.reach * self.shape.distance(cos * dx + sin * dy, cos * dy - sin * dx)

    def keypoints(self) -> np.ndarray:
        """Return the keypoints (k, 2) as (x, y) in pixels."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        turn = np.array([[cos, sin], [-sin, cos]])
        # (k, 2) @ (2, 2) -> (k, 2)
        return np.array([self.x, self.y]) + self.reach * self.shape.keypoints() @ turn
