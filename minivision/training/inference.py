"""Using a trained network on images of any size."""

from __future__ import annotations

import itertools

import numpy as np

from minivision import data
from minivision.autograd import Tensor, no_grad
from minivision.nn import Module


def segment(model: Module, image: np.ndarray) -> np.ndarray:
    """Return the labels (H, W) that the model gives to an image (3, H, W) of any size."""
    padded, _ = ToLegalSize(model)(image)
    with no_grad():
        scores = model(Tensor(padded[None]).to(model.device))  # (1, classes, H', W') with H' >= H, W' >= W
    height, width = image.shape[1:]
    return scores.argmax(1).numpy()[0, :height, :width]


class ToLegalSize(data.transforms.Transform):
    """Extend an image by its mirror image to the next size that a model takes, and its mask by void to that of the scores.

    A network with padding="same" gets the mirror image below and on the right only; one that loses a border gets it on all
    sides, so that the scores begin at the image's first pixel.
    """

    def __init__(self, model: Module) -> None:
        divisor = getattr(model, "size_divisor", 1)
        self.output_size = getattr(model, "output_size", lambda size: size if size % divisor == 0 else None)

    def apply(self, image: np.ndarray, mask: np.ndarray | None, rng: np.random.Generator | None) -> data.transforms.Pair:
        margins, shortage = zip(*(self.margins(size) for size in image.shape[1:]), strict=True)
        image = np.pad(image, ((0, 0), *margins), mode="reflect")
        return image, None if mask is None else np.pad(mask, [(0, n) for n in shortage], constant_values=data.transforms.IGNORE)

    def margins(self, size: int) -> tuple[tuple[int, int], int]:
        """Return the pixels to add before and after `size` pixels, and how many more than `size` the scores will have."""
        sizes = ((n, self.output_size(n) or 0) for n in itertools.count(size))
        taken, given = next((taken, given) for taken, given in sizes if given >= size)
        before = (taken - given) // 2
        return (before, taken - size - before), given - size
