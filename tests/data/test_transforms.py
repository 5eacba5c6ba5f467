"""Transforms: image and mask stay in register, and each does what its definition says."""

import math

import numpy as np
import pytest

from minivision.data import (
    CenterCrop,
    Compose,
    ElasticDeformation,
    Normalize,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    Resize,
)

EVERY = [
    RandomHorizontalFlip(),
    RandomVerticalFlip(),
    RandomCrop(6),
    RandomCrop((12, 20), pad_if_needed=True),
    CenterCrop((6, 20)),
    Pad((1, 2, 3, 4)),
    Resize(7),
    Resize((13, 6)),
    Normalize(0.5, (0.1, 0.2, 0.3)),
    ElasticDeformation(std=2.0),
    Compose([RandomHorizontalFlip(), RandomCrop(5)]),
]


@pytest.fixture
def image(rng):
    return rng.random((3, 9, 14), np.float32)


@pytest.fixture
def mask(rng):
    return rng.integers(0, 4, (9, 14))


def seeded(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("transform", EVERY, ids=repr)
def test_contract(transform, image, mask):
    """Types stay, sizes agree, the same generator gives the same result, the input is not touched, no mask stays no mask."""
    before = image.copy(), mask.copy()
    new_image, new_mask = transform(image, mask, seeded())
    assert (new_image.dtype, new_mask.dtype) == (np.float32, np.int64)
    assert new_image.shape[1:] == new_mask.shape
    assert set(np.unique(new_mask)) <= {0, 1, 2, 3, 255}
    again, nothing = transform(image, None, seeded())
    assert nothing is None
    np.testing.assert_array_equal(again, new_image)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize("transform", [t for t in EVERY if not isinstance(t, Normalize | Resize | ElasticDeformation)], ids=repr)
def test_image_and_mask_move_together(transform, mask):
    """With the mask itself as the image, the same pixels must come out (and 0 for what is 255 in the mask)."""
    image, moved = transform(np.stack([mask] * 3).astype(np.float32), mask, seeded())
    np.testing.assert_array_equal(image[1], np.where(moved == 255, 0, moved))


@pytest.mark.parametrize("transform", [t for t in EVERY if getattr(t, "random", False)], ids=repr)
def test_random_transform_without_generator(transform, image):
    with pytest.raises(ValueError, match=rf"{type(transform).__name__} draws at random: pass rng="):
        transform(image)


def test_wrong_shapes(image, mask):
    with pytest.raises(ValueError, match=r"Pad: image must be \(C, H, W\), but its shape is \(9, 14\)"):
        Pad(1)(image[0])
    with pytest.raises(ValueError, match=r"Pad: mask \(H, W\) = \(8, 14\) does not fit image \(C, H, W\) = \(3, 9, 14\)"):
        Pad(1)(image, mask[1:])


def test_flips(image, mask):
    flipped, flipped_mask = RandomHorizontalFlip(p=1)(image, mask, seeded())
    np.testing.assert_array_equal(flipped[:, :, 0], image[:, :, 13])
    np.testing.assert_array_equal(flipped_mask[:, 3], mask[:, 10])
    flipped, flipped_mask = RandomVerticalFlip(p=1)(image, mask, seeded())
    np.testing.assert_array_equal(flipped[:, 0], image[:, 8])
    np.testing.assert_array_equal(flipped_mask[2], mask[6])
    for flip in (RandomHorizontalFlip, RandomVerticalFlip):
        assert flip(p=0)(image, mask, seeded())[0] is image
        rng, flips = seeded(), 0
        for _ in range(400):
            flips += flip(p=0.25)(image, mask, rng)[0] is not image
        assert 70 < flips < 130


def test_pad(image, mask):
    padded, padded_mask = Pad((1, 2, 3, 4), fill=0.5)(image, mask)
    assert padded.shape == (3, 9 + 6, 14 + 4)
    np.testing.assert_array_equal(padded[:, 2:-4, 1:-3], image)
    np.testing.assert_array_equal(padded_mask[2:-4, 1:-3], mask)
    assert (padded[:, :2] == 0.5).all()
    assert (padded_mask[-4:] == 255).all()
    assert Pad((2, 3))(image)[0].shape == (3, 9 + 6, 14 + 4)
    mirrored, mirrored_mask = Pad(2, padding_mode="reflect")(image, mask)
    np.testing.assert_array_equal(mirrored[:, 0, 2:-2], image[:, 2])
    np.testing.assert_array_equal(mirrored_mask[1, 2:-2], mask[1])
    with pytest.raises(ValueError, match=r"padding \(1, 2, 3\) must be"):
        Pad((1, 2, 3))


def test_center_crop(image, mask):
    cut, cut_mask = CenterCrop((5, 4))(image, mask)
    np.testing.assert_array_equal(cut, image[:, 2:7, 5:9])
    np.testing.assert_array_equal(cut_mask, mask[2:7, 5:9])
    wide, wide_mask = CenterCrop((9, 17))(image, mask)
    np.testing.assert_array_equal(wide[:, :, 1:15], image)
    assert (wide_mask[:, 0] == 255).all()
    assert (wide_mask[:, 15:] == 255).all()


def test_random_crop_reaches_every_place(image, mask):
    rng, places = seeded(), set()
    for _ in range(300):
        cut, cut_mask = RandomCrop((7, 12))(image, mask, rng)
        found = [(i, j) for i in range(3) for j in range(3) if np.array_equal(cut, image[:, i : i + 7, j : j + 12])]
        assert len(found) == 1
        i, j = found[0]
        np.testing.assert_array_equal(cut_mask, mask[i : i + 7, j : j + 12])
        places.add((i, j))
    assert len(places) == 9


def test_random_crop_of_a_small_image(image, mask):
    with pytest.raises(ValueError, match=r"cannot cut \(10, 10\) out of an image \(C, H, W\) = \(3, 9, 14\); pass pad_if_needed"):
        RandomCrop(10)(image, mask, seeded())
    cut, cut_mask = RandomCrop(10, pad_if_needed=True)(image, mask, seeded())
    assert cut.shape == (3, 10, 10)
    assert (cut_mask[-1] == 255).all()  # the odd row is added at the bottom
    assert (cut[:, -1] == 0).all()


def bilinear_at(plane, y, x):
    """Value at the continuous place (y, x) where pixel (i, j) has its centre at (i + .5, j + .5), clamped at the border."""
    height, width = plane.shape
    y, x = min(max(y - 0.5, 0), height - 1), min(max(x - 0.5, 0), width - 1)
    i, j = min(int(y), height - 2), min(int(x), width - 2)
    a, b = y - i, x - j
    top = (1 - b) * plane[i, j] + b * plane[i, j + 1]
    bottom = (1 - b) * plane[i + 1, j] + b * plane[i + 1, j + 1]
    return (1 - a) * top + a * bottom


@pytest.mark.parametrize("size", [(18, 28), (4, 5), (13, 6), (9, 14), (1, 1)])
def test_resize(image, mask, size):
    resized, resized_mask = Resize(size)(image, mask)
    assert resized.shape == (3, *size)
    for i in range(size[0]):
        for j in range(size[1]):
            y, x = (i + 0.5) * 9 / size[0], (j + 0.5) * 14 / size[1]
            assert resized[1, i, j] == pytest.approx(bilinear_at(image[1], y, x), abs=1e-6)
            assert resized_mask[i, j] == mask[int(y), int(x)]


@pytest.mark.oracle
@pytest.mark.parametrize("size", [(18, 28), (4, 5), (13, 6)])
def test_resize_is_that_of_pytorch(image, mask, size):
    import torch
    from torch.nn import functional as F

    resized, resized_mask = Resize(size)(image, mask)
    expected = F.interpolate(torch.tensor(image)[None], size, mode="bilinear", align_corners=False)[0]
    nearest = F.interpolate(torch.tensor(mask)[None, None].double(), size, mode="nearest-exact")[0, 0]
    np.testing.assert_allclose(resized, expected, atol=1e-6)
    np.testing.assert_array_equal(resized_mask, nearest)


def test_resize_of_the_shorter_side(image):
    assert Resize(18)(image)[0].shape == (3, 18, 28)
    assert Resize(18)(image.transpose(0, 2, 1))[0].shape == (3, 28, 18)
    with pytest.raises(ValueError, match="Resize: size 0 must be positive"):
        Resize(0)


def test_normalize(image, mask):
    normal, same = Normalize((0.1, 0.2, 0.3), (1, 2, 4))(image, mask)
    np.testing.assert_allclose(normal[2], (image[2] - 0.3) / 4, rtol=1e-5)
    assert same is mask
    np.testing.assert_allclose(Normalize(0.5, 0.25)(image)[0], (image - 0.5) / 0.25, rtol=1e-6)
    with pytest.raises(ValueError, match=r"mean has 2 and std 1 values, but image \(C, H, W\) = \(3, 9, 14\) has 3 channels"):
        Normalize((0.1, 0.2), 1)(image)
    with pytest.raises(ValueError, match=r"std \(1, 0, 1\) must be positive"):
        Normalize(0.5, (1, 0, 1))


class Fixed:
    """A generator that always draws the given displacements."""

    def __init__(self, values):
        self.values = values

    def normal(self, mean, std, shape):
        return np.broadcast_to(np.asarray(self.values, float), shape)


def test_elastic_deformation_without_displacement(image, mask):
    same, same_mask = ElasticDeformation(std=0)(image, mask, seeded())
    np.testing.assert_array_equal(same, image)
    np.testing.assert_array_equal(same_mask, mask)


def test_elastic_deformation_by_a_constant(image, mask):
    """Every pixel shows what lies 2 below and 3 to the right; beyond the border, the mirror image."""
    moved, moved_mask = ElasticDeformation()(image, mask, Fixed([[[2]], [[3]]]))
    rows, columns = [*range(2, 9), 8, 7], [*range(3, 14), 13, 12, 11]
    np.testing.assert_allclose(moved, image[:, rows][:, :, columns], atol=1e-5)
    np.testing.assert_array_equal(moved_mask, mask[rows][:, columns])


def test_elastic_deformation_interpolates_displacements_smoothly(image, mask):
    """A linear displacement on the grid is a stretch: bicubic interpolation reproduces it away from the mirrored ends."""
    grid = np.zeros((2, 5, 5))
    grid[1] = np.array([0, 0.5, 1, 1.5, 2])  # columns move by 0..2 pixels from left to right
    moved, moved_mask = ElasticDeformation(points=5)(image, mask, Fixed(grid))
    for j in range(4, 9):
        x = j + 0.5 + 2 * j / 13
        for i in range(9):
            assert moved[0, i, j] == pytest.approx(bilinear_at(image[0], i + 0.5, x), abs=0.02)
            if abs(x % 1 - 0) > 0.03:
                assert moved_mask[i, j] == mask[i, int(x)]


def test_elastic_deformation_has_the_stated_size():
    """On a ramp image the displacement can be read off: at the grid's middle its standard deviation is `std`."""
    ramp = np.broadcast_to(np.arange(61, dtype=np.float32), (1, 61, 61))
    transform, rng = ElasticDeformation(std=4.0), seeded()
    shifts = [transform(ramp, None, rng)[0][0, 30, 30] - 30 for _ in range(300)]
    assert np.std(shifts) == pytest.approx(4.0, rel=0.12)
    assert abs(np.mean(shifts)) < 4 * 4.0 / math.sqrt(300)


def test_compose_runs_in_order_and_takes_functions(image, mask):
    def double(image, mask, rng):
        return image * 2, mask

    result, _ = Compose([double, Normalize(1.0, 1.0)])(image, mask, seeded())
    np.testing.assert_allclose(result, image * 2 - 1, rtol=1e-6)
    assert repr(Compose([Resize(3)])) == "Compose([Resize(size=3)])"
