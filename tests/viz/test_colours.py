"""What the segmentation figures show, by value."""

import numpy as np
import pytest

from minivision import viz
from minivision.autograd import Tensor
from minivision.data import voc_palette
from minivision.viz.colours import BACKGROUND_COLOUR, VOID_COLOUR, WRONG_COLOUR

ORANGE, SKY_BLUE = (230, 159, 0), (86, 180, 233)


def test_colorize_takes_each_pixels_colour():
    mask = np.array([[0, 1, 2], [255, 2, 1]])
    colours = viz.colorize(mask)
    assert colours.dtype == np.uint8
    expected = [[BACKGROUND_COLOUR, ORANGE, SKY_BLUE], [VOID_COLOUR, SKY_BLUE, ORANGE]]
    np.testing.assert_array_equal(colours, expected)
    np.testing.assert_array_equal(viz.colorize(Tensor(mask)), expected)
    np.testing.assert_array_equal(viz.colorize(mask, voc_palette())[0, 1], (128, 0, 0))
    assert viz.colorize(np.zeros((0, 4), int)).shape == (0, 4, 3)


def test_the_21_colours_of_voc_classes_differ():
    assert len({tuple(colour) for colour in viz.CLASS_COLOURS[:22]}) == 22
    assert viz.CLASS_COLOURS.shape == (256, 3)


@pytest.mark.parametrize(
    ("mask", "palette", "message"),
    [
        (np.array([[0, 3]]), np.zeros((3, 3)), r"labels are 0\.\.3, but the palette has colours for 0\.\.2"),
        (np.array([[-1, 0]]), None, r"labels are -1\.\.0"),
        (np.zeros((2, 4, 4)), None, r"float64 of shape \(2, 4, 4\); from scores \(C, H, W\) take scores.argmax\(0\)"),
    ],
)
def test_colorize_refuses(mask, palette, message):
    with pytest.raises(ValueError, match=message):
        viz.colorize(mask, palette)


def test_as_rgb_of_every_layout(rng):
    picture = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    planes = np.moveaxis(picture, -1, 0)
    for image in (picture, planes, planes.astype(np.float32) / 255, Tensor(planes / 255.0), picture / 255.0):
        np.testing.assert_array_equal(viz.as_rgb(image), picture)
    grey = picture[..., 0]
    for image in (grey, grey[None], grey / 255):
        np.testing.assert_array_equal(viz.as_rgb(image), np.stack([grey, grey, grey], axis=-1))
    square = rng.integers(0, 256, (3, 3, 3)).astype(np.uint8)
    np.testing.assert_array_equal(viz.as_rgb(square), square)
    np.testing.assert_array_equal(viz.as_rgb(square / 255.0), np.moveaxis(square, 0, -1))


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5, 6)), np.zeros((2, 3, 4, 4)), np.zeros((3, 4, 4), np.int64), np.zeros((3, 4, 4), np.uint16)]
)
def test_as_rgb_refuses_what_is_no_image(image):
    with pytest.raises(ValueError, match=r"image must be \(3, H, W\)"):
        viz.as_rgb(image)


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan])
def test_as_rgb_refuses_normalised_images(value):
    with pytest.raises(ValueError, match="undo Normalize or clip first"):
        viz.as_rgb(np.full((3, 2, 2), value))


def test_overlay_mixes_inside_and_is_solid_on_the_border():
    image = np.full((5, 6, 3), 100, np.uint8)
    mask = np.zeros((5, 6), int)
    mask[1:4, 1:5] = 1  # its inner pixels are those of row 2, columns 2 and 3
    mask[0] = 255
    shown = viz.overlay(image, mask, alpha=0.25)
    expected = image.copy()
    expected[1:4, 1:5] = ORANGE
    expected[2, 2:4] = np.round(0.25 * np.array(ORANGE) + 0.75 * 100)
    np.testing.assert_array_equal(shown, expected)
    np.testing.assert_array_equal(viz.overlay(image, np.full((5, 6), 2), alpha=0), image)
    np.testing.assert_array_equal(viz.overlay(image, np.full((5, 6), 2), alpha=1), np.broadcast_to(SKY_BLUE, (5, 6, 3)))


def test_overlay_refuses():
    with pytest.raises(ValueError, match=r"overlay: mask \(H, W\) = \(4, 5\) does not fit an image of \(H, W\) = \(5, 4\)"):
        viz.overlay(np.zeros((3, 5, 4)), np.zeros((4, 5), int))
    with pytest.raises(ValueError, match=r"alpha is 2"):
        viz.overlay(np.zeros((3, 5, 4)), np.zeros((5, 4), int), alpha=2)


def test_error_map():
    image = np.zeros((3, 2, 3))
    image[1, 0, 0] = 1.0  # pure green: luminance 0.587
    truth = np.array([[0, 1, 255], [2, 2, 0]])
    prediction = np.array([[0, 2, 1], [2, 0, 0]])
    errors = viz.error_map(image, truth, prediction)
    green, black = round(255 - 0.3 * (255 - 0.587 * 255)), round(255 - 0.3 * 255)
    expected = [
        [[green] * 3, WRONG_COLOUR, VOID_COLOUR],
        [[black] * 3, WRONG_COLOUR, [black] * 3],
    ]
    np.testing.assert_array_equal(errors, expected)
    assert (viz.error_map(image, truth, prediction, ignore_index=2)[1, 0] == VOID_COLOUR).all()
    with pytest.raises(ValueError, match="prediction"):
        viz.error_map(image, truth, prediction.T)


def test_outlines_of_one_pixel():
    mask = np.zeros((3, 4), int)
    mask[1, 2] = 1
    lines = {frozenset(map(tuple, line.tolist())) for line in viz.outlines(mask)}
    left_top, right_top, left_bottom, right_bottom = (1.5, 0.5), (2.5, 0.5), (1.5, 1.5), (2.5, 1.5)
    assert lines == {
        frozenset({left_top, right_top}),
        frozenset({left_bottom, right_bottom}),
        frozenset({left_top, left_bottom}),
        frozenset({right_top, right_bottom}),
    }
    assert viz.outlines(np.ones((3, 4), int)).shape == (0, 2, 2)
    assert viz.outlines(np.ones((1, 1), int)).shape == (0, 2, 2)
