"""ShapesWorld: seeded pictures of geometric shapes, with the annotations of every system in the course.

Shape decides the class, colour does not: it is drawn independently of the class.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.data.datasets import Dataset, checked_index
from minivision.data.scene import Scene, boxes_of
from minivision.data.shapes import SHAPES, Thing

# The parameters of `ShapesWorld.preset`; how well networks do at each is in the docstring there.
DIFFICULTIES: dict[str, dict[str, Any]] = {
    "easy":    {"objects": (1, 2)},
    "tilted":  {"objects": (1, 2), "rotation": 0.3},
    "small":   {"objects": (1, 2), "size": 48, "radius": (7, 13)},
    "crowded": {"objects": (1, 3)},
    "rotated": {"objects": (1, 3), "rotation": math.pi},
    "hard":    {"objects": (1, 4), "rotation": math.pi, "background": "gradient"},
}  # fmt: skip

# Bright in every channel, so that objects stand out from the dim backgrounds whatever their colour.
COLOURS: dict[str, tuple[float, float, float]] = {
    "red":    (0.95, 0.42, 0.42),
    "orange": (0.98, 0.67, 0.38),
    "yellow": (0.95, 0.93, 0.42),
    "green":  (0.42, 0.85, 0.45),
    "cyan":   (0.42, 0.88, 0.92),
    "blue":   (0.42, 0.55, 0.98),
    "purple": (0.78, 0.45, 0.92),
}  # fmt: skip
COLOUR_JITTER = 0.05
BACKGROUNDS = ("plain", "gradient", "vivid")
STUFF_CLASSES = ("none", "sky", "grass")
SKY, GRASS = np.array([0.65, 0.82, 0.95]), np.array([0.40, 0.55, 0.30])

KEYPOINTS = 4
OBJECT_RADIUS = 0.5  # metres; the same for every object, so that apparent size tells the distance


class ShapesWorld(Dataset[Scene]):
    """A data set of `length` generated scenes; scene i depends on `seed` and i alone.

    Parameters
    ----------
    length : number of scenes.
    size : (H, W) in pixels, or one number for both.
    seed : a non-negative number; another seed gives another world, as for a held-out set.
    objects : fewest and most objects painted; one that ends up entirely hidden is not listed.
    radius : smallest and largest radius in pixels: a disk's; the other shapes are scaled to similar areas. Every object
        lies inside the picture.
    rotation : each object is turned by an angle out of [-rotation, rotation], in radians.
    shapes : the classes 1..K in the order of their labels, out of "disk", "square", "triangle", "ring".
    background : "plain", one dim colour; "gradient", two of them blended along a random direction; "vivid", a colour out
        of the objects' own palette, so that colour does not even tell object from background (much harder).
    noise : standard deviation of the Gaussian pixel noise, where white is 1.
    marker : paint a black spot next to keypoint 0. A shape that looks the same after a turn has no first corner of its own:
        with large rotations only the spot tells which one it is.
    stuff : put sky and grass, split by a slanted line, in place of `background`.

    The annotations are those of `Scene`; in particular

    - keypoints: 4 for each object, the corners clockwise from the top (left) one of the upright shape; of disk and ring
      the top, right, bottom and left; a triangle's fourth is absent (v = 0).
    - captions: four words, such as "a small red disk"; small is below the mean of `radius`. See `caption`.
    - depth: an object of radius r pixels is f * 0.5 m / r away, with f = max(H, W), and nearer objects cover farther
      ones. Behind them is a wall at 1.5 times the distance of the farthest possible object or, with `stuff`, a
      ground plane that reaches this distance at the horizon, under a sky without measurement (0).

    Raises
    ------
    ValueError : a parameter is out of range, or an object of the largest radius does not fit in the picture.
    """

    def __init__(
        self,
        length: int,
        size: int | tuple[int, int] = (64, 64),
        seed: int = 0,
        *,
        objects: tuple[int, int] = (1, 2),
        radius: tuple[float, float] = (8, 16),
        rotation: float = 0.0,
        shapes: Sequence[str] = ("disk", "square", "triangle"),
        background: str = "plain",
        noise: float = 0.03,
        marker: bool = False,
        stuff: bool = False,
    ) -> None:
        self.length = length
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        self.seed = seed
        self.objects, self.radius, self.rotation = objects, radius, rotation
        self.shapes = tuple(shapes)
        self.background, self.noise, self.marker, self.stuff = background, noise, marker, stuff
        self._check()
        self.classes = ("background", *self.shapes)
        self.stuff_classes = STUFF_CLASSES
        self.vocabulary = ("a", "small", "large", *COLOURS, *self.shapes)
        height, width = self.size
        self._x, self._y = np.arange(width) + 0.5, np.arange(height)[:, None] + 0.5  # pixel centres
        self._farthest = max(self.size) * OBJECT_RADIUS / self.radius[0]

    @classmethod
    def preset(cls, difficulty: str, length: int, seed: int = 0, **changes: Any) -> "ShapesWorld":
        """Return a world of a named difficulty; `changes` override its parameters.

        What to expect: the mean IoU of the demo's U-Net on 100 scenes, after 600 steps on 800 others (one run each of
        `benchmarks/difficulty.py`, so good to a few hundredths).

        =========  ==================================  =====
        name       what is hard                        mIoU
        =========  ==================================  =====
        easy       1-2 upright objects                 0.96
        tilted     turned by up to 0.3 rad             0.94
        small      48 x 48 pixels, radius 7-13         0.92
        crowded    1-3 objects                         0.91
        rotated    1-3 objects, turned by any angle    0.69
        hard       1-4, turned, gradient background    0.79
        =========  ==================================  =====

        Raises `ValueError` for an unknown name.
        """
        if difficulty not in DIFFICULTIES:
            raise ValueError(f"ShapesWorld.preset: difficulty {difficulty!r} is not one of {', '.join(DIFFICULTIES)}")
        return cls(length, seed=seed, **{**DIFFICULTIES[difficulty], **changes})

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Scene:
        rng = np.random.default_rng((self.seed, checked_index(index, self.length)))
        count = int(rng.integers(self.objects[0], self.objects[1] + 1))
        colours = rng.permutation(len(COLOURS)).tolist()  # no two things of a scene, nor its background, share one
        things = [self._draw_thing(colour, rng) for colour in colours[:count]]
        things.sort(key=lambda thing: thing.radius)  # a small object is a far one: painted first

        canvas, depth, stuff = self._paint_background(colours[count], rng)
        owner = np.zeros(self.size, np.int64)  # 0 = background, i + 1 = things[i]
        for number, thing in enumerate(things, start=1):
            distance = thing.distance(self._x, self._y)
            _paint(canvas, distance, thing.rgb)
            if self.marker:
                self._paint_marker(canvas, thing, distance)
            owner[distance < 0] = number
            depth[distance < 0] = max(self.size) * OBJECT_RADIUS / thing.radius
        canvas += rng.normal(0.0, self.noise, canvas.shape)

        seen = [number for number in range(1, count + 1) if (owner == number).any()]
        masks = np.array([owner == number for number in seen], bool).reshape(-1, *self.size)
        listed = [things[number - 1] for number in seen]
        return Scene(
            image=(np.clip(canvas, 0, 1) * 255).round().astype(np.uint8),
            semantic=np.array([0, *(thing.label for thing in things)], np.uint8)[owner],
            masks=masks,
            boxes=boxes_of(masks),
            labels=np.array([thing.label for thing in listed], np.int64),
            keypoints=np.array([_keypoints(thing, things) for thing in listed], np.float32).reshape(-1, KEYPOINTS, 3),
            captions=np.array([self._caption_words(thing) for thing in listed], np.int64).reshape(-1, 4),
            depth=depth.astype(np.float32),
            stuff=stuff,
        )

    def caption(self, scene: Scene, index: int) -> str:
        """Return the caption of the scene's object `index` as text."""
        return " ".join(self.vocabulary[word] for word in scene.captions[index])

    def _draw_thing(self, colour: int, rng: np.random.Generator) -> Thing:
        height, width = self.size
        kind = int(rng.integers(len(self.shapes)))
        shape = SHAPES[self.shapes[kind]]
        radius = rng.uniform(*self.radius)
        reach = radius * shape.scale
        return Thing(
            label=kind + 1,
            shape=shape,
            x=rng.uniform(reach, width - reach),
            y=rng.uniform(reach, height - reach),
            radius=radius,
            angle=rng.uniform(-self.rotation, self.rotation),
            colour=colour,
            rgb=_shade(colour, rng),
        )

    def _paint_background(self, colour: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return canvas (H, W, 3), depth (H, W) and stuff (H, W) of the picture without objects."""
        height, width = self.size
        canvas = np.empty((height, width, 3))
        canvas[:] = _shade(colour, rng) if self.background == "vivid" else _dim(rng)
        depth = np.full(self.size, 1.5 * self._farthest)
        stuff = np.zeros(self.size, np.uint8)
        if self.stuff:
            horizon = height * rng.uniform(0.3, 0.7) + rng.uniform(-0.3, 0.3) * (self._x - width / 2)
            below = self._y - horizon  # (H, 1) - (W,) -> (H, W)
            canvas[:] = SKY
            _paint(canvas, -below, GRASS + rng.normal(0.0, 0.06, (height, width, 1)))
            stuff[:] = np.where(below > 0, STUFF_CLASSES.index("grass"), STUFF_CLASSES.index("sky"))
            # On a plane seen in perspective 1 / depth grows linearly with the distance below the horizon.
            nearness = np.interp(below / height, [0, 1], [1 / (1.5 * self._farthest), 1 / self._farthest])
            depth = np.where(below > 0, 1 / nearness, 0.0)
        elif self.background == "gradient":
            angle = rng.uniform(0, 2 * np.pi)
            along = math.cos(angle) * (self._x - width / 2) + math.sin(angle) * (self._y - height / 2)
            blend = (along - along.min()) / np.ptp(along)
            canvas += blend[..., None] * (_dim(rng) - canvas)
        return canvas, depth, stuff

    def _paint_marker(self, canvas: np.ndarray, thing: Thing, distance: np.ndarray) -> None:
        """Paint a black spot halfway between centre (or hole) and keypoint 0, inside the thing."""
        place = (1 + thing.shape.hole) / 2
        x, y = place * thing.keypoints()[0] + (1 - place) * np.array([thing.x, thing.y])
        spot = np.hypot(self._x - x, self._y - y) - 0.18 * thing.reach
        _paint(canvas, np.maximum(spot, distance), np.zeros(3))

    def _caption_words(self, thing: Thing) -> list[int]:
        size = "small" if thing.radius < sum(self.radius) / 2 else "large"
        words = ("a", size, list(COLOURS)[thing.colour], self.shapes[thing.label - 1])
        return [self.vocabulary.index(word) for word in words]

    def _check(self) -> None:
        (fewest, most), (smallest, largest) = self.objects, self.radius
        unknown = [name for name in self.shapes if name not in SHAPES]
        reach = max((SHAPES[name].scale * largest for name in self.shapes if name in SHAPES), default=largest)
        complaints = {
            f"length {self.length} and seed {self.seed} must not be negative": min(self.length, self.seed) < 0,
            f"objects {self.objects} must be (fewest, most) out of 0..5": not 0 <= fewest <= most <= 5,
            f"radius {self.radius} must be (smallest, largest) in pixels": not 0 < smallest <= largest,
            f"shapes {self.shapes} must be chosen from {tuple(SHAPES)}": bool(unknown) or not self.shapes,
            f"background {self.background!r} must be one of {BACKGROUNDS}": self.background not in BACKGROUNDS,
            f"noise {self.noise} must not be negative": self.noise < 0,
            f"shapes of radius {largest} need an image of {2 * reach:g} x {2 * reach:g} pixels, but size is {self.size};"
            " give a smaller radius or a larger size": min(self.size) < 2 * reach,
        }
        for complaint, holds in complaints.items():
            if holds:
                raise ValueError(f"ShapesWorld: {complaint}")


def _shade(colour: int, rng: np.random.Generator) -> np.ndarray:
    """Return the named colour (3,) with a little random variation."""
    base = np.array(list(COLOURS.values())[colour])
    return np.clip(base + rng.uniform(-COLOUR_JITTER, COLOUR_JITTER, 3), 0, 1)


def _dim(rng: np.random.Generator) -> np.ndarray:
    """Return a random dark colour (3,)."""
    return rng.uniform(0, 0.35, 3)


def _paint(canvas: np.ndarray, distance: np.ndarray, rgb: np.ndarray) -> None:
    """Paint where the signed distance in pixels is negative; pixels at the edge are mixed by how much is covered."""
    cover = np.clip(0.5 - distance, 0, 1)[..., None]
    canvas += cover * (rgb - canvas)


def _keypoints(thing: Thing, things: list[Thing]) -> np.ndarray:
    """Return the keypoints (4, 3) of one thing as (x, y, v), given all things in painting order."""
    points = thing.keypoints()
    nearer = things[things.index(thing) + 1 :]
    hidden = np.any([other.distance(*points.T) < 0 for other in nearer], axis=0) if nearer else False
    keypoints = np.zeros((KEYPOINTS, 3))
    keypoints[: len(points), :2] = points
    keypoints[: len(points), 2] = np.where(hidden, 1, 2)
    return keypoints
