"""Non-maximum suppression against two loops over pairs, ties, thresholds and degenerate boxes."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import ops
from minivision.autograd import Tensor
from tests.helpers import layouts, to_device, to_numpy


def tensor(array, device, dtype=np.float64):
    return Tensor(to_device(np.asarray(array, dtype), device))


def run(boxes, scores, threshold, device, dtype=np.float64):
    kept = ops.nms(tensor(boxes, device, dtype), tensor(scores, device, dtype), threshold)
    assert kept.dtype == np.int64
    return to_numpy(kept).tolist()


def nms_loop(boxes, scores, threshold):
    """A box stays unless a better one that stays overlaps it too much."""
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):  # stable
        for j in kept:
            width = min(boxes[i][2], boxes[j][2]) - max(boxes[i][0], boxes[j][0])
            height = min(boxes[i][3], boxes[j][3]) - max(boxes[i][1], boxes[j][1])
            common = max(width, 0) * max(height, 0)
            union = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (boxes[i], boxes[j])) - common
            if union > 0 and common / union > threshold:
                break
        else:
            kept.append(i)
    return kept


def random_boxes(rng, count, decimals=None):
    corner, size = rng.uniform(0, 60, (count, 2)), rng.uniform(1, 40, (count, 2))
    boxes = np.concatenate([corner, corner + size], axis=1)
    return boxes if decimals is None else boxes.round(decimals)


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_definition(threshold, rng, device):
    boxes, scores = random_boxes(rng, 300), rng.integers(0, 40, 300) / 40  # many equal scores
    for (_, b), (_, s) in zip(layouts(boxes), [*layouts(scores), ("again", scores)], strict=True):
        assert run(b, s, threshold, device) == nms_loop(boxes, scores, threshold)


@pytest.mark.parametrize(("threshold", "kept"), [(0.5, [0, 1, 3]), (0.3, [0, 2, 3]), (0.2, [0, 3])])
def test_ranked_boxes(threshold, kept, device):
    """The fixture of chainercv, where no IoU equals a threshold."""
    boxes = [[0, 0, 4, 4], [1, 1, 5, 5], [2, 1, 6, 5], [4, 0, 8, 4]]
    assert run(boxes, [4, 3, 2, 1], threshold, device) == kept


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exactly_the_threshold_does_not_suppress(dtype, device):
    boxes = [[0, 0, 2, 1], [0, 0, 1, 1]]  # IoU = 1/2
    assert run(boxes, [1, 0.5], 0.5, device, dtype) == [0, 1]
    assert run(boxes, [1, 0.5], 0.5 - 1e-5, device, dtype) == [0]
    assert run([[0, 0, 2, 1], [0, 0, 1 + 2e-5, 1]], [1, 0.5], 0.5, device, dtype) == [0]  # 1e-5 above


def test_single_precision_is_compared_with_the_exact_threshold(device):
    """IoU 1/5 in single precision is 0.2000000030, above the threshold 0.2: torchvision's kernel suppresses too."""
    assert run([[0, 0, 5, 1], [0, 0, 1, 1]], [1, 0.5], 0.2, device, np.float32) == [0]


def test_equal_scores_keep_their_order(device):
    boxes = [[0, 0, 4, 4], [0, 0, 4, 4.1], [9, 9, 10, 10], [0, 0, 4, 4]]
    assert run(boxes, [0.5, 0.5, 0.5, 0.9], 0.5, device) == [3, 2]
    assert run(boxes, [0.5, 0.5, 0.5, 0.5], 0.5, device) == [0, 2]


def test_degenerate(device):
    assert run(np.zeros((0, 4)), np.zeros(0), 0.5, device) == []
    assert run([[1, 1, 1, 1]] * 3, [1, 2, 3], 0.5, device) == [2, 1, 0]  # boxes without area suppress nothing


def test_batched(rng, device):
    """Each category for itself; negative coordinates too, where adding offsets to the boxes would go wrong."""
    boxes, scores = random_boxes(rng, 200) - 50, rng.integers(0, 20, 200) / 20
    category = rng.integers(0, 4, 200)
    kept = ops.batched_nms(tensor(boxes, device), tensor(scores, device), tensor(category, device, np.int64), 0.4)
    expected = []
    for c in range(4):
        own = np.flatnonzero(category == c)
        expected += own[nms_loop(boxes[own], scores[own], 0.4)].tolist()
    expected.sort(key=lambda i: (-scores[i], i))
    assert to_numpy(kept).tolist() == expected
    none = ops.batched_nms(tensor(boxes[:0], device), tensor(scores[:0], device), tensor(category[:0], device, np.int64), 0.4)
    assert none.shape == (0,)
    assert none.dtype == np.int64
