"""TouchingCells: a gap of one pixel, and no less."""

import numpy as np
import pytest

from minivision.data import TouchingCells
from minivision.data.cells import separate


def touching_pairs(instances):
    """Pairs of numbers that meet at an edge or a corner, by looking at all eight neighbours of every pixel."""
    height, width = instances.shape
    pairs = set()
    for i in range(height):
        for j in range(width):
            for k in range(max(i - 1, 0), min(i + 2, height)):
                for m in range(max(j - 1, 0), min(j + 2, width)):
                    if 0 != instances[i, j] != instances[k, m] != 0:
                        pairs.add(frozenset((int(instances[i, j]), int(instances[k, m]))))
    return pairs


def test_separate_on_a_small_map():
    apart = separate(np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 3, 0]]))
    np.testing.assert_array_equal(apart, [[1, 1, 0, 2], [1, 1, 0, 2], [0, 0, 0, 0]])


@pytest.mark.parametrize("size", [64, (50, 70)])
def test_cells_never_touch_but_nearly_do(size):
    near = 0
    for scene in TouchingCells(6, size=size):
        instances = scene.instances
        assert touching_pairs(instances) == set()
        height, width = instances.shape
        for i in range(height):
            for j in range(1, width - 1):
                near += 0 != instances[i, j - 1] != instances[i, j + 1] != 0
    assert near > 50  # places where exactly one background pixel lies between two cells of a row


def test_annotations():
    world = TouchingCells(5, seed=3)
    for scene in world:
        n = len(scene.labels)
        assert n >= 3
        assert (scene.labels == 1).all()
        np.testing.assert_array_equal(scene.semantic, scene.masks.any(axis=0))
        assert scene.keypoints.shape == (n, 0, 3)
        assert scene.captions.shape == (n, 0)
        assert (np.ptp(scene.image, axis=2) == 0).all()  # grey
        assert scene.image[scene.semantic == 1].mean() > scene.image[scene.semantic == 0].mean() + 25
    np.testing.assert_array_equal(world[2].image, TouchingCells(3, seed=3)[2].image)
    assert world.classes == ("background", "cell")


def test_no_cells():
    scene = TouchingCells(1, cells=(0, 0))[0]
    assert scene.masks.shape == (0, 64, 64)
    assert scene.boxes.shape == (0, 4)


def test_bad_settings():
    with pytest.raises(ValueError, match=r"cells \(5, 2\) must be \(fewest, most\)"):
        TouchingCells(1, cells=(5, 2))
