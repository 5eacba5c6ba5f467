"""Label maps and images as colours: the data layer of the segmentation figures. Needs NumPy only."""

from typing import Any

import numpy as np

VOID = 255
VOID_COLOUR = (170, 170, 170)
BACKGROUND_COLOUR = (40, 40, 44)
WRONG_COLOUR = (200, 0, 60)

# Okabe & Ito, Color Universal Design, 2008: told apart with every common form of colour blindness.
OKABE_ITO = np.array([(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)])


def _class_colours() -> np.ndarray:
    """Return (256, 3) uint8: label 0 dark grey, 255 light grey; between them seven hues, pure, then dark, then light."""
    shades = np.concatenate([OKABE_ITO, OKABE_ITO * 0.55, 255 - (255 - OKABE_ITO) * 0.45])
    colours = np.resize(shades, (256, 3)).round().astype(np.uint8)
    colours = np.roll(colours, 1, axis=0)
    colours[0], colours[VOID] = BACKGROUND_COLOUR, VOID_COLOUR
    return colours


CLASS_COLOURS = _class_colours()


def colorize(mask: Any, palette: np.ndarray | None = None) -> np.ndarray:
    """Return labels (H, W) as colours (H, W, 3) uint8.

    Parameters
    ----------
    palette : (K, 3) uint8, the colour of each label; by default `CLASS_COLOURS`, which has 256. `data.voc_palette()` gives
        Pascal VOC's.

    Raises `ValueError` for scores instead of labels, or a label without a colour.
    """
    mask = as_labels(mask, "colorize")
    palette = CLASS_COLOURS if palette is None else np.asarray(palette, np.uint8)
    if mask.min(initial=0) < 0 or mask.max(initial=0) >= len(palette):
        raise ValueError(
            f"colorize: labels are {mask.min()}..{mask.max()}, but the palette has colours for 0..{len(palette) - 1}"
        )
    return palette[mask]


def overlay(image: Any, mask: Any, alpha: float = 0.5, palette: np.ndarray | None = None) -> np.ndarray:
    """Return the image with each object's colour laid over it, (H, W, 3) uint8; background and void stay as they are.

    Parameters
    ----------
    image : as for `as_rgb`.
    mask : labels (H, W), 0 = background, 255 = void.
    alpha : from 0, only the image, to 1, only the colour. Where two labels meet, the object's border is drawn solid.

    Raises `ValueError` when image and mask differ in size, or alpha is outside [0, 1].
    """
    rgb, mask = as_rgb(image), as_labels(mask, "overlay")
    if not 0 <= alpha <= 1:
        raise ValueError(f"overlay: alpha is {alpha}, but must lie in [0, 1]")
    _check_size("overlay", rgb, mask=mask)
    strength = np.where(_is_border(mask), 1.0, alpha)[..., None]
    mixed = strength * colorize(mask, palette) + (1 - strength) * rgb
    thing = ((mask != 0) & (mask != VOID))[..., None]
    return np.where(thing, mixed, rgb).round().astype(np.uint8)


def error_map(image: Any, truth: Any, prediction: Any, ignore_index: int = VOID) -> np.ndarray:
    """Return where a prediction is wrong, (H, W, 3) uint8.

    Wrong pixels are crimson, pixels that the truth does not know (`ignore_index`) grey, and right ones show the image, grey
    and pale, so that one sees what lies there.

    Raises `ValueError` when the sizes differ.
    """
    rgb, truth, prediction = as_rgb(image), as_labels(truth, "error_map"), as_labels(prediction, "error_map")
    _check_size("error_map", rgb, truth=truth, prediction=prediction)
    luminance = rgb @ np.array([0.299, 0.587, 0.114])  # (H, W, 3) @ (3,) -> (H, W), ITU-R BT.601
    shown = np.repeat((255 - 0.3 * (255 - luminance))[..., None], 3, axis=2).round().astype(np.uint8)
    shown[truth != prediction] = WRONG_COLOUR
    shown[truth == ignore_index] = VOID_COLOUR
    return shown


def outlines(mask: Any) -> np.ndarray:
    """Return the lines between pixels of different labels: (n, 2, 2), n segments from (x, y) to (x, y).

    Coordinates are matplotlib's for images: the centre of the pixel in row i and column j is (j, i), its edges are half a
    pixel away.
    """
    mask = as_labels(mask, "outlines")
    i, j = np.nonzero(mask[:, 1:] != mask[:, :-1])  # the right neighbour differs: an upright line
    upright = np.stack([np.stack([j + 0.5, i - 0.5], -1), np.stack([j + 0.5, i + 0.5], -1)], axis=1)
    i, j = np.nonzero(mask[1:] != mask[:-1])  # the lower neighbour differs: a level line
    level = np.stack([np.stack([j - 0.5, i + 0.5], -1), np.stack([j + 0.5, i + 0.5], -1)], axis=1)
    return np.concatenate([upright, level])


def as_rgb(image: Any) -> np.ndarray:
    """Return an image as (H, W, 3) uint8.

    Parameters
    ----------
    image : an array or Tensor: (3, H, W), (1, H, W), (H, W, 3) or (H, W); uint8, or floating point in [0, 1].

    Raises `ValueError` for another shape or type, and for values outside [0, 1], such as those of a normalised image.
    """
    image = as_array(image)
    shape = image.shape
    if image.ndim == 2:
        image = image[None]
    # (3, H, 3) could be either: arrays of the network's side are floating point, pictures of image libraries are uint8
    elif image.ndim == 3 and shape[2] == 3 and (shape[0] not in (1, 3) or (shape[0] == 3 and image.dtype == np.uint8)):
        image = np.moveaxis(image, -1, 0)
    if image.ndim != 3 or len(image) not in (1, 3) or not (image.dtype.kind == "f" or image.dtype == np.uint8):
        raise ValueError(
            f"image must be (3, H, W), (H, W, 3) or (H, W), uint8 or floating point in [0, 1], but it is {image.dtype} of"
            f" shape {shape}"
        )
    if image.dtype.kind == "f":
        if not (image.min(initial=0) >= 0 and image.max(initial=1) <= 1):
            raise ValueError("image: values must lie in [0, 1] and not be NaN; undo Normalize or clip first")
        image = (image * 255).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(np.moveaxis(image, 0, -1), (*image.shape[1:], 3)))


def as_labels(mask: Any, name: str) -> np.ndarray:
    """Return an integer array (H, W) out of an array or Tensor; raise `ValueError` in the name of function `name` otherwise."""
    mask = as_array(mask)
    if mask.ndim != 2 or mask.dtype.kind not in "iub":
        raise ValueError(
            f"{name}: labels must be integers (H, W), but they are {mask.dtype} of shape {mask.shape}; from scores (C, H, W)"
            " take scores.argmax(0)"
        )
    return mask.astype(np.int64, copy=False)


def as_array(values: Any) -> np.ndarray:
    """Return a NumPy array out of an array, a list, or a Tensor wherever it lives."""
    return np.asarray(values.detach().cpu().numpy() if hasattr(values, "detach") else values)


def _is_border(mask: np.ndarray) -> np.ndarray:
    """Return where (H, W) a pixel has a neighbour, left, right, above or below, of another label."""
    border = np.zeros(mask.shape, bool)
    differs = mask[:, 1:] != mask[:, :-1]
    border[:, 1:] |= differs
    border[:, :-1] |= differs
    differs = mask[1:] != mask[:-1]
    border[1:] |= differs
    border[:-1] |= differs
    return border


def _check_size(name: str, rgb: np.ndarray, **masks: np.ndarray) -> None:
    for which, mask in masks.items():
        if mask.shape != rgb.shape[:2]:
            raise ValueError(f"{name}: {which} (H, W) = {mask.shape} does not fit an image of (H, W) = {rgb.shape[:2]}")
