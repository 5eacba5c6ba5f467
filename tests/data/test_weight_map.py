"""The U-Net weight map against its definition, written as loops."""

import math

import numpy as np
import pytest

from minivision.data import TouchingCells, unet_weight_map


def definition(instances, w0, sigma, class_weights):
    """w_c + w0 exp(-(d1 + d2)^2 / 2 sigma^2) on background, with distances found by trying all pixels of all cells."""
    height, width = instances.shape
    cells = sorted(set(instances.ravel().tolist()) - {0})
    result = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            result[i, j] = class_weights[int(instances[i, j] > 0)]
            if instances[i, j] == 0 and len(cells) >= 2:
                distances = sorted(
                    min(math.hypot(i - k, j - m) for k in range(height) for m in range(width) if instances[k, m] == cell)
                    for cell in cells
                )
                result[i, j] += w0 * math.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))
    return result


def some_cells():
    return TouchingCells(1, size=(17, 24), seed=2, cells=(4, 4), radius=(3, 5))[0].instances


@pytest.mark.parametrize(("w0", "sigma", "class_weights"), [(10, 5, (1, 1)), (3.5, 1.2, (0.5, 2.0))])
def test_definition(w0, sigma, class_weights):
    instances = some_cells()
    assert len(np.unique(instances)) > 3
    weights = unet_weight_map(instances, w0, sigma, class_weights)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, definition(instances, w0, sigma, class_weights), rtol=1e-6)


def test_two_cells_by_hand():
    """Cells in columns 0 and 4: between them d1 + d2 = 4 everywhere."""
    weights = unet_weight_map(np.array([[7, 0, 0, 0, 3]]), w0=10, sigma=5)
    gap = 1 + 10 * math.exp(-16 / 50)
    np.testing.assert_allclose(weights, [[1, gap, gap, gap, 1]], rtol=1e-6)


@pytest.mark.parametrize("cell", [0, 1])
def test_fewer_than_two_cells_keep_the_class_weights(cell):
    instances = np.zeros((5, 6), np.int64)
    instances[1:3, 2:4] = cell
    np.testing.assert_array_equal(unet_weight_map(instances, class_weights={0: 0.5, 1: 2}), np.where(instances > 0, 2, 0.5))


def test_labels_choose_the_class_weight():
    instances = np.array([[1, 0, 0, 2]])
    weights = unet_weight_map(instances, w0=0, class_weights=[1, 2, 3], labels=np.array([[2, 0, 0, 1]]))
    np.testing.assert_array_equal(weights, [[3, 1, 1, 2]])


def test_bad_input():
    with pytest.raises(ValueError, match=r"instances must be an integer map \(H, W\), but it is float64 of shape \(3, 3\)"):
        unet_weight_map(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="sigma is 0"):
        unet_weight_map(np.zeros((3, 3), int), sigma=0)
    with pytest.raises(ValueError, match=r"class 1 has no weight; class_weights knows \[0\]"):
        unet_weight_map(np.eye(3, dtype=int), class_weights=[1])
    with pytest.raises(ValueError, match=r"labels \(2, 3\) and instances \(3, 3\) differ"):
        unet_weight_map(np.zeros((3, 3), int), labels=np.zeros((2, 3), int))
