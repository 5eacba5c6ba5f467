"""ShapesWorld: every annotation against its definition, computed another way."""

import dataclasses
import math

import numpy as np
import pytest

from minivision.data import DIFFICULTIES, ShapesWorld
from minivision.data.shapes import SHAPES, Thing
from minivision.data.shapes_world import COLOURS, _keypoints

MANY = {"objects": (0, 5), "rotation": math.pi, "shapes": ("disk", "square", "triangle", "ring"), "radius": (6, 14)}


def fields(scene):
    return {field.name: getattr(scene, field.name) for field in dataclasses.fields(scene)}


def assert_same(a, b):
    for name, value in fields(a).items():
        np.testing.assert_array_equal(value, fields(b)[name], err_msg=name)


def test_scene_depends_on_seed_and_index_alone():
    world = ShapesWorld(9, seed=4, **MANY)
    backwards = [world[index] for index in range(8, -1, -1)][::-1]
    for index, scene in enumerate(ShapesWorld(20, seed=4, **MANY)):
        if index < 9:
            assert_same(scene, backwards[index])
    assert (ShapesWorld(1, seed=5)[0].image != ShapesWorld(1, seed=4)[0].image).any()
    assert (world[0].image != world[1].image).any()


def test_pinned_scene():
    """The picture that seed 0 means; a change here changes every published number."""
    scene = ShapesWorld(1)[0]
    assert scene.labels.tolist() == [3, 1]
    assert scene.boxes.tolist() == [[4, 13, 30, 48], [20, 24, 51, 55]]
    assert np.bincount(scene.semantic.ravel()).tolist() == [2995, 738, 0, 363]
    assert [ShapesWorld(1).caption(scene, index) for index in range(2)] == ["a large cyan triangle", "a large yellow disk"]


def test_sequence_protocol():
    world = ShapesWorld(3)
    assert len(world) == len(list(world)) == 3
    assert_same(world[-1], world[2])
    for index in (3, -4):
        with pytest.raises(IndexError, match="out of range for a dataset of 3"):
            world[index]
    assert list(ShapesWorld(0)) == []


@pytest.mark.parametrize("size", [64, (48, 80), (61, 67)])
def test_shapes_and_types(size):
    height, width = (size, size) if isinstance(size, int) else size
    world = ShapesWorld(30, size=size, **MANY)
    counts = set()
    for scene in world:
        n = len(scene.labels)
        counts.add(n)
        expected = {
            "image": ((height, width, 3), np.uint8),
            "semantic": ((height, width), np.uint8),
            "masks": ((n, height, width), np.bool_),
            "boxes": ((n, 4), np.float32),
            "labels": ((n,), np.int64),
            "keypoints": ((n, 4, 3), np.float32),
            "captions": ((n, 4), np.int64),
            "depth": ((height, width), np.float32),
            "stuff": ((height, width), np.uint8),
        }
        assert {name: (value.shape, value.dtype.type) for name, value in fields(scene).items()} == expected
    assert counts >= {0, 1, 4}
    assert world.classes == ("background", "disk", "square", "triangle", "ring")


def test_masks_boxes_and_semantic_agree():
    for scene in ShapesWorld(40, **MANY):
        assert scene.masks.sum(axis=0).max(initial=0) <= 1
        semantic = np.zeros_like(scene.semantic)
        for mask, box, label in zip(scene.masks, scene.boxes, scene.labels, strict=True):
            places = [(i, j) for i in range(64) for j in range(64) if mask[i, j]]
            rows, columns = [i for i, _ in places], [j for _, j in places]
            assert box.tolist() == [min(columns), min(rows), max(columns) + 1, max(rows) + 1]
            semantic[mask] = label
        np.testing.assert_array_equal(scene.semantic, semantic)
        np.testing.assert_array_equal(scene.instances > 0, semantic > 0)
        for number, mask in enumerate(scene.masks, start=1):
            np.testing.assert_array_equal(scene.instances == number, mask)


def test_pair():
    scene = ShapesWorld(1, size=(52, 50))[0]
    image, mask = scene.pair()
    assert (image.shape, image.dtype, mask.dtype) == ((3, 52, 50), np.float32, np.int64)
    assert image[2, 7, 9] == np.float32(scene.image[7, 9, 2]) / np.float32(255)
    np.testing.assert_array_equal(mask, scene.semantic)


def inside(thing, x, y):
    """Whether a point lies in a shape, by angles and cross products instead of signed distances."""
    distance = math.hypot(x - thing.x, y - thing.y)
    if thing.shape.corners == 0:
        return thing.shape.hole * thing.reach < distance < thing.reach
    corners = thing.keypoints()
    edges = np.roll(corners, -1, axis=0) - corners
    to_point = np.array([x, y]) - corners
    cross = edges[:, 0] * to_point[:, 1] - edges[:, 1] * to_point[:, 0]
    return bool((cross > 0).all())  # clockwise corners, y pointing down


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("angle", [0.0, 0.7, -2.5])
def test_distance_is_negative_exactly_inside(name, angle):
    thing = Thing(1, SHAPES[name], x=20.3, y=15.8, radius=9.1, angle=angle, colour=0, rgb=np.zeros(3))
    x, y = np.arange(40) + 0.5, np.arange(31)[:, None] + 0.5
    expected = [[inside(thing, j + 0.5, i + 0.5) for j in range(40)] for i in range(31)]
    np.testing.assert_array_equal(thing.distance(x, y) < 0, expected)


def test_upright_keypoints():
    def corners(name):
        thing = Thing(1, SHAPES[name], x=30, y=20, radius=10 / SHAPES[name].scale, angle=0.0, colour=0, rgb=np.zeros(3))
        return thing.keypoints()

    h = 10 * math.sqrt(0.5)
    np.testing.assert_allclose(corners("square"), [[30 - h, 20 - h], [30 + h, 20 - h], [30 + h, 20 + h], [30 - h, 20 + h]])
    np.testing.assert_allclose(corners("disk"), [[30, 10], [40, 20], [30, 30], [20, 20]])
    np.testing.assert_allclose(corners("triangle"), [[30, 10], [30 + 5 * math.sqrt(3), 25], [30 - 5 * math.sqrt(3), 25]])


def test_positive_angle_turns_clockwise():
    quarter = Thing(1, SHAPES["triangle"], x=0, y=0, radius=1 / 1.55, angle=np.pi / 2, colour=0, rgb=np.zeros(3))
    np.testing.assert_allclose(quarter.keypoints()[0], [1, 0], atol=1e-12)  # from the top to the right


def test_keypoints_lie_at_the_corners_of_the_box():
    """An unoccluded upright square fills its box, and its keypoints are the box's corners to within a pixel."""
    for scene in ShapesWorld(10, objects=(1, 1), shapes=("square",)):
        x1, y1, x2, y2 = scene.boxes[0]
        expected = [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]
        np.testing.assert_allclose(scene.keypoints[0, :, :2], expected, atol=0.51)
        assert (scene.keypoints[0, :, 2] == 2).all()
        assert scene.masks[0, int(y1) : int(y2), int(x1) : int(x2)].all()


def disk(x, y, radius):
    return Thing(1, SHAPES["disk"], x, y, radius, angle=0.0, colour=0, rgb=np.zeros(3))


def test_hidden_keypoints():
    """Of two overlapping disks the farther one's right point is hidden; nothing hides the nearer one's."""
    far, near = disk(20, 20, 10), disk(30, 20, 12)
    things = [disk(50, 50, 3), far, near]
    assert _keypoints(far, things)[:, 2].tolist() == [2, 1, 2, 2]
    assert _keypoints(near, things)[:, 2].tolist() == [2, 2, 2, 2]


def test_hidden_keypoints_are_painted_over():
    seen = set()
    for scene in ShapesWorld(60, **MANY):
        for index, (label, points) in enumerate(zip(scene.labels, scene.keypoints, strict=True)):
            if label == 3:
                assert points[3].tolist() == [0, 0, 0]
            for x, y, v in points[: 3 if label == 3 else 4]:
                row, column = min(int(y), 63), min(int(x), 63)
                around = scene.instances[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                seen.add(v)
                assert around.max() > index + 1 if v == 1 else not (around > index + 1).all()
    assert seen == {1.0, 2.0}


def test_depth_tells_the_size_and_the_order():
    for scene in ShapesWorld(20, size=(64, 70), objects=(1, 4), radius=(6, 12)):
        depths = [np.unique(scene.depth[mask]) for mask in scene.masks]
        assert all(len(depth) == 1 for depth in depths)
        values = [depth[0] for depth in depths]
        assert values == sorted(values, reverse=True)  # listed from far to near
        assert min(values) >= 0.5 * 70 / 12
        assert max(values) <= 0.5 * 70 / 6
        np.testing.assert_allclose(scene.depth[scene.semantic == 0], 1.5 * 0.5 * 70 / 6, rtol=1e-6)


def test_depth_of_a_lone_disk():
    """Distance times diameter in pixels is f * 1 m; the box knows the diameter to a pixel."""
    for scene in ShapesWorld(10, objects=(1, 1), shapes=("disk",)):
        diameter = scene.boxes[0, 2] - scene.boxes[0, 0]
        assert scene.depth[scene.masks[0]][0] == pytest.approx(64 / diameter, rel=float(1.2 / diameter))


def test_captions():
    world = ShapesWorld(60, objects=(1, 3), radius=(8, 16))
    words = set()
    for scene in world:
        for index, label in enumerate(scene.labels):
            article, size, colour, shape = world.caption(scene, index).split()
            words |= {size, colour}
            radius = 0.5 * 64 / scene.depth[scene.masks[index]][0]
            assert (article, size, shape) == ("a", "small" if radius < 12 else "large", world.classes[label])
            mean = scene.image[scene.masks[index]].mean(axis=0) / 255
            if scene.masks[index].sum() > 60:
                assert colour == min(COLOURS, key=lambda name: np.abs(np.array(COLOURS[name]) - mean).sum())
    assert words == {"small", "large", *COLOURS}


def test_colour_is_independent_of_class():
    """The mean colour of the three classes over many objects is the palette's mean, within four standard errors."""
    samples = {1: [], 2: [], 3: []}
    for scene in ShapesWorld(400, objects=(1, 1), size=40, radius=(6, 8)):
        samples[int(scene.labels[0])].append(scene.captions[0, 2] - 3)
    for colours in samples.values():
        counts = np.bincount(colours, minlength=len(COLOURS))
        expected = len(colours) / len(COLOURS)
        assert np.abs(counts - expected).max() < 4 * math.sqrt(expected)


def test_stuff():
    world = ShapesWorld(10, stuff=True, objects=(0, 2))
    assert world.stuff_classes == ("none", "sky", "grass")
    for scene in world:
        assert set(np.unique(scene.stuff)) == {1, 2}
        assert (np.diff(scene.stuff.astype(int), axis=0) >= 0).all()  # sky above grass in every column
        boundary = (scene.stuff == 1).sum(axis=0)
        line = np.polyfit(np.arange(64), boundary, 1)
        assert np.abs(np.polyval(line, np.arange(64)) - boundary).max() <= 1.01  # a straight line
        bare = scene.semantic == 0
        assert (scene.depth[bare & (scene.stuff == 1)] == 0).all()
        ground = np.where(bare & (scene.stuff == 2), scene.depth, np.nan)
        assert np.nanmin(ground) >= 0.5 * 64 / 8 - 1e-4  # behind every object
        assert np.nanmax(ground) <= 1.5 * 0.5 * 64 / 8 + 1e-4
        assert np.nanmax(np.diff(ground, axis=0)) < 0  # nearer towards the bottom
    assert (ShapesWorld(1)[0].stuff == 0).all()


def test_marker_is_painted_at_keypoint_zero():
    plain, marked = (ShapesWorld(10, objects=(1, 1), rotation=3.1, noise=0.0, marker=marker) for marker in (False, True))
    for a, b in zip(plain, marked, strict=True):
        np.testing.assert_array_equal(a.semantic, b.semantic)
        rows, columns = np.nonzero((a.image != b.image).any(axis=2))
        middle = np.array([columns.mean(), rows.mean()]) + 0.5
        points = b.keypoints[0][b.keypoints[0, :, 2] > 0, :2]
        assert np.hypot(*(points - middle).T).argmin() == 0


def test_noise_and_edges():
    scene = ShapesWorld(1, noise=0.0)[0]
    wall = scene.image[scene.semantic == 0]
    assert (wall == np.median(wall, axis=0)).all(axis=1).mean() > 0.9  # one colour, but for the smooth edges of objects
    noisy = ShapesWorld(1, noise=0.05)[0]
    quiet = (scene.image == np.median(wall, axis=0)).all(axis=2)
    # Dim backgrounds are clipped at black; channels far enough from it show the noise's full spread.
    channel = np.median(wall, axis=0).argmax()
    assert noisy.image[quiet][:, channel].std() / 255 == pytest.approx(0.05, rel=0.15)


def test_backgrounds():
    for background, spread in (("plain", 1), ("gradient", 20), ("vivid", 1)):
        colours = ShapesWorld(1, objects=(0, 0), background=background, noise=0.0)[0].image.reshape(-1, 3)
        assert (np.ptp(colours.astype(int), axis=0).max() < spread) == (background != "gradient")


def test_entirely_hidden_objects_are_not_listed():
    """A disk of radius 3 that lies behind one of radius 15 is gone from every list."""
    dropped = 0
    for scene in ShapesWorld(300, size=32, objects=(3, 3), radius=(2, 15), shapes=("disk",)):
        dropped += 3 - len(scene.labels)
        assert scene.masks.any(axis=(1, 2)).all()
        assert len(scene.labels) == len(scene.boxes) == len(scene.masks) == len(scene.keypoints) == len(scene.captions)
    assert dropped > 0


@pytest.mark.parametrize("name", DIFFICULTIES)
def test_presets(name):
    world = ShapesWorld.preset(name, 2, seed=1)
    assert_same(world[0], ShapesWorld(1, seed=1, **DIFFICULTIES[name])[0])
    assert ShapesWorld.preset(name, 2, noise=0.0).noise == 0.0


def test_unknown_preset():
    with pytest.raises(ValueError, match="difficulty 'esay' is not one of easy, "):
        ShapesWorld.preset("esay", 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": -1}, "must not be negative"),
        ({"seed": -1}, "must not be negative"),
        ({"objects": (3, 2)}, r"objects \(3, 2\)"),
        ({"objects": (0, 99)}, r"objects \(0, 99\)"),
        ({"radius": (0, 2)}, r"radius \(0, 2\)"),
        ({"shapes": ("disk", "star")}, r"shapes \('disk', 'star'\) must be chosen from \('disk', "),
        ({"shapes": ()}, r"shapes \(\)"),
        ({"background": "pink"}, "background 'pink'"),
        ({"noise": -1}, "noise -1"),
        ({"size": 24}, r"shapes of radius 16 need an image of 49.6 x 49.6 pixels, but size is \(24, 24\)"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        ShapesWorld(**{"length": 1, **settings})
