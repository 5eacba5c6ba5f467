"""Segmentation side by side: image, truth, prediction, error; one model beside another."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minivision.data.optional import require
from minivision.metrics import ConfusionMatrix
from minivision.viz.colours import (
    CLASS_COLOURS,
    VOID,
    VOID_COLOUR,
    WRONG_COLOUR,
    as_labels,
    as_rgb,
    colorize,
    error_map,
    outlines,
)
from minivision.viz.figures import HEADING, INK, add_legend, new_figure, show_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = 1.75  # width of one picture in inches


def image_iou(truth: Any, prediction: Any, num_classes: int) -> float:
    """Return the mean IoU over the classes that one image has; 255 in the truth is void.

    Over a data set a class that is predicted but never there counts with IoU 0. In a single image that would let one stray pixel
    weigh as much as an object, so classes that the image does not have are left out; nan if nothing is known of it.
    """
    confusion = ConfusionMatrix(num_classes, VOID)
    confusion.update(prediction, truth)
    there = confusion.matrix.sum(axis=1) > 0
    return float(confusion.iou[there].mean()) if there.any() else float("nan")


def segmentation_panels(
    images: Sequence[Any],
    truths: Sequence[Any],
    predictions: Sequence[Any],
    classes: Sequence[str],
    *,
    palette: np.ndarray | None = None,
    title: str | None = None,
) -> "Figure":
    """Draw one row for each image: the image, its true labels, the predicted ones, and where they differ.

    Parameters
    ----------
    images : n images, each as for `as_rgb`: (3, H, W) in [0, 1], (H, W, 3) uint8, ... An array (n, 3, H, W) will do.
    truths, predictions : n label maps (H, W); 255 in the truth is void, and counts neither as right nor as wrong.
    classes : the names of the labels 0..K-1, for the legend.
    palette : (K, 3) uint8, the colour of each label.

    Under each prediction stands its `image_iou`.

    Raises `ValueError` when the numbers of images or their sizes differ.
    """
    count = _same_length("segmentation_panels", images=images, truths=truths, predictions=predictions)
    figure, grid = _grid(images, 4, f"{count} images with true and predicted segmentation and the pixels that differ", title)
    void_seen = False
    for number, (row, image, truth, prediction) in enumerate(zip(grid, images, truths, predictions, strict=True)):
        first = number == 0
        truth, prediction = as_labels(truth, "segmentation_panels"), as_labels(prediction, "segmentation_panels")
        errors = error_map(image, truth, prediction)
        known = truth != VOID
        wrong = (truth != prediction)[known].mean() if known.any() else float("nan")
        void_seen |= not known.all()
        show_picture(row[0], as_rgb(image), "image" if first else "")
        show_picture(row[1], colorize(truth, _with_void(palette)), "truth" if first else "")
        show_picture(
            row[2],
            colorize(prediction, _with_void(palette)),
            "prediction" if first else "",
            f"IoU {image_iou(truth, prediction, len(classes)):.3f}",
        )
        show_picture(row[3], errors, "error" if first else "", f"{wrong:.1%} of pixels wrong")
    _class_legend(figure, classes, palette, void_seen, wrong=True)
    return figure


def compare_models(
    image: Any,
    truth: Any,
    predictions: Mapping[str, Any],
    classes: Sequence[str],
    *,
    palette: np.ndarray | None = None,
    title: str | None = None,
) -> "Figure":
    """Draw what several models make of the same images: one row for each image, one column for each model.

    Parameters
    ----------
    image, truth : one image as for `as_rgb` and its labels (H, W), or sequences of n of them.
    predictions : for each model's name the labels (H, W), or n of them.
    classes, palette : as in `segmentation_panels`.

    The white line is the outline of the truth: the distance between it and the colours is what upsampling by 32, 16 or 8
    loses. Under each prediction stands its `image_iou`.

    Raises `ValueError` when the numbers of images or their sizes differ.
    """
    if not predictions:
        raise ValueError("compare_models: there are no predictions to compare")
    if np.ndim(truth) == 2:
        image, truth = [image], [truth]
        predictions = {name: [labels] for name, labels in predictions.items()}
    count = _same_length("compare_models", image=image, truth=truth, **predictions)
    alt = f"{count} images segmented by {', '.join(predictions)}, beside the true segmentation"
    figure, grid = _grid(image, 2 + len(predictions), alt, title)
    void_seen = False
    for number, (row, picture) in enumerate(zip(grid, image, strict=True)):
        labels = as_labels(truth[number], "compare_models")
        void_seen |= bool((labels == VOID).any())
        show_picture(row[0], as_rgb(picture), "image" if number == 0 else "")
        show_picture(row[1], colorize(labels, _with_void(palette)), "truth" if number == 0 else "")
        for axes, (name, predicted) in zip(row[2:], predictions.items(), strict=True):
            prediction = as_labels(predicted[number], "compare_models")
            caption = f"IoU {image_iou(labels, prediction, len(classes)):.3f}"
            show_picture(axes, colorize(prediction, _with_void(palette)), name if number == 0 else "", caption)
            _draw_outline(axes, labels)
    _class_legend(figure, classes, palette, void_seen, title="white line: outline of the truth")
    return figure


def _grid(images: Sequence[Any], columns: int, alt: str, title: str | None) -> tuple["Figure", np.ndarray]:
    """Return a figure and its axes (len(images), columns), the panels as high as the images need."""
    sizes = [as_rgb(image).shape for image in images]
    heights = [(PANEL - 0.1) * height / width for height, width, _ in sizes]
    figure = new_figure(PANEL * columns, sum(heights) + 0.3 * len(heights) + 0.5 + 0.3 * bool(title), alt)
    if title:
        figure.suptitle(title, fontsize=HEADING + 1, color=INK)
    grid = figure.subplots(len(images), columns, squeeze=False, height_ratios=heights)
    return figure, grid


def _draw_outline(axes: "Axes", labels: np.ndarray) -> None:
    LineCollection = require("matplotlib.collections", "drawing a figure").LineCollection
    axes.add_collection(LineCollection(list(outlines(labels)), colors="white", linewidths=1.0, capstyle="projecting"))


def _with_void(palette: np.ndarray | None) -> np.ndarray:
    """Return 256 colours: the palette's, the default ones after them, and void's."""
    colours = CLASS_COLOURS.copy()
    if palette is not None:
        colours[: len(palette)] = palette
        colours[VOID] = VOID_COLOUR
    return colours


def _class_legend(
    figure: "Figure",
    classes: Sequence[str],
    palette: np.ndarray | None,
    void: bool,
    wrong: bool = False,
    title: str | None = None,
) -> None:
    colours = list(_with_void(palette)[: len(classes)])
    names = [*classes, *["void"] * void, *["wrong"] * wrong]
    add_legend(figure, names, [*colours, *[VOID_COLOUR] * void, *[WRONG_COLOUR] * wrong], title)


def _same_length(function: str, **sequences: Sequence[Any]) -> int:
    lengths = {name: len(sequence) for name, sequence in sequences.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        counts = ", ".join(f"{length} {name}" for name, length in lengths.items())
        raise ValueError(f"{function}: needs the same number of each, at least one, but there are {counts}")
    return next(iter(lengths.values()))
