"""Images of sizes that a network does not take: extended, segmented, cut back."""

from __future__ import annotations

import numpy as np
import pytest

import minivision
from minivision import training
from minivision.nn import Module


class Shrinking(Module):
    """Sizes 10, 14, 18, ... lose 3 pixels before and 3 after; the scores of class 1 are the image itself."""

    def output_size(self, size):
        return size - 6 if size >= 10 and size % 4 == 2 else None

    def forward(self, x):
        assert all(self.output_size(size) for size in x.shape[2:])
        return minivision.cat([0 * x[:, :1, 3:-3, 3:-3] + 0.5, x[:, :1, 3:-3, 3:-3]], dim=1)


class Dividing(Module):
    size_divisor = 8

    def forward(self, x):
        assert all(size % 8 == 0 for size in x.shape[2:])
        return minivision.cat([0 * x[:, :1] + 0.5, x[:, :1]], dim=1)


@pytest.mark.parametrize("model", [Shrinking(), Dividing()], ids=["loses a border", "needs a multiple of 8"])
@pytest.mark.parametrize("size", [(1, 1), (5, 16), (8, 10), (13, 3)])
def test_scores_lie_where_the_image_is(model, size, rng):
    image = rng.random((3, *size), dtype=np.float32)
    np.testing.assert_array_equal(training.segment(model, image), image[0] > 0.5)
    padded, mask = training.ToLegalSize(model)(image, np.ones(size, np.int64))
    assert model(minivision.Tensor(padded[None])).shape[2:] == mask.shape
    assert (mask[: size[0], : size[1]] == 1).all()
    assert (mask == 1).sum() == size[0] * size[1]
    assert set(np.unique(mask)) <= {1, 255}


def test_the_image_is_continued_by_its_mirror_image():
    image = np.arange(5, dtype=np.float32)[None, None].repeat(3, axis=0)
    padded, _ = training.ToLegalSize(Dividing())(image)
    np.testing.assert_array_equal(padded[2], np.tile([0, 1, 2, 3, 4, 3, 2, 1], (8, 1)))
