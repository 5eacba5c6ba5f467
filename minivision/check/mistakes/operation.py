"""An operation that was recognised by its numbers, and the mistakes that are known of its backward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

Mistake = tuple[str, np.ndarray]  # what is said of the gradient, and the gradient that it would be


@dataclass
class Scene:
    """One call of an unknown function: its arguments by position, its output y, and the upstream gradient g."""

    arguments: list[Any]
    names: list[str]
    y: np.ndarray
    g: np.ndarray
    measured: dict[int, np.ndarray]  # the right gradients, by the position of the argument; NaN where not known

    def arrays(self, *ndims: int) -> Iterator[tuple[int, np.ndarray]]:
        """The floating arguments with so many axes."""
        for position, a in enumerate(self.arguments):
            if isinstance(a, np.ndarray) and a.dtype.kind == "f" and a.ndim in ndims and a.size:
                yield position, a

    def integers(self, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
        """The integer arrays of one shape: labels, indices."""
        for a in self.arguments:
            if isinstance(a, np.ndarray) and a.dtype.kind in "iub" and a.shape == shape:
                yield a.astype(np.int64)

    def vector(self, length: int, after: int = -1, skip: tuple[int, ...] = ()) -> Iterator[tuple[int, np.ndarray]]:
        """The floating vectors of one length."""
        for position, a in self.arrays(1):
            if len(a) == length and position > after and position not in skip:
                yield position, a

    def numbers(self) -> list[float]:
        """The plain numbers among the arguments, such as a scale or an eps."""
        return [float(a) for a in self.arguments if isinstance(a, (int, float)) and not isinstance(a, bool)]

    def is_the_output(self, y: np.ndarray | None) -> bool:
        if y is None or y.shape != self.y.shape:
            return False
        size = max(float(np.max(np.abs(self.y), initial=0)), 1e-300)
        return bool(np.max(np.abs(y - self.y), initial=0) <= 1e-6 * size)


class Operation:
    """`of` looks whether a call is this operation; `mistakes` yields the known wrong gradients of one of its inputs.

    `roles` says which argument plays which part: {"x": 0, "w": 1}.
    """

    called: ClassVar[str]
    roles: dict[str, int]

    @classmethod
    def of(cls, scene: Scene) -> Operation | None:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """With its settings, as in "a convolution with stride 2"."""
        return self.called

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        raise NotImplementedError


def along(v: np.ndarray, axis: int, ndim: int) -> np.ndarray:
    """A vector shaped to run along one axis."""
    return v.reshape([-1 if a == axis else 1 for a in range(ndim)])


def bias_mistakes(g: np.ndarray, axis: int = 1) -> Iterator[Mistake]:
    """The gradient of a vector that is added along one axis is the sum of g over all other axes."""
    rest = tuple(a for a in range(g.ndim) if a != axis)
    if not rest:
        return
    right = g.sum(axis=rest)
    count = g.size // max(g.shape[axis], 1)
    positions = "N" if g.ndim == 2 else "N * H * W, all images and positions" if g.ndim == 4 else "the number of its outputs"
    yield (
        f"is too small by the factor {count} ({positions}): a mean where a sum belongs, since every output to "
        "which it was added counts",
        right / count,
    )
    yield (
        "is the sum over everything, all channels together; sum over every axis but that of the channels",
        np.full_like(right, g.sum()),
    )
    yield "is that of channel 0 for every channel", np.full_like(right, right[0])
    if g.ndim == 4:
        for i, j in ((0, 0), (-1, -1)):
            yield (
                "takes dout at one position only, as if summed over axis 0 (the batch) alone; sum over the axes "
                "of the positions too",
                g.sum(axis=0)[:, i, j],
            )
        yield (
            "is the mean over the positions of each image, summed over the batch: every position contributes once",
            right / count * len(g),
        )
    for other in rest:
        if g.shape[other] == g.shape[axis] and g.ndim == 2:
            yield f"is summed over the wrong axis, {axis} instead of {other}", g.sum(axis=axis)


def extreme(values: np.ndarray, axis: int, smallest: bool = False) -> np.ndarray:
    """1 at the first maximum along an axis, else 0."""
    best = values.argmin(axis=axis) if smallest else values.argmax(axis=axis)
    return np.moveaxis(np.eye(values.shape[axis])[best], -1, axis)
