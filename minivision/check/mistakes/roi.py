"""RoIPool and RoIAlign. A box is (x1, y1, x2, y2), with the number of its image in front or apart."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from minivision.check.mistakes.operation import Mistake, Operation, Scene

SCALES = (1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32)


class RoIAlign(Operation):
    """Each bin is the mean of `ratio` x `ratio` bilinear samples; (N, C, H, W) -> (K, C, P, Q)."""

    called = "RoIAlign"

    def __init__(
        self, x: np.ndarray, images: np.ndarray, boxes: np.ndarray, size: tuple[int, ...], scale: float, ratio: int, aligned: bool
    ) -> None:
        self.x, self.images, self.boxes, self.size = x, images, boxes, size
        self.scale, self.ratio, self.aligned = scale, ratio, aligned
        self.roles: dict[str, int] = {}
        self.first_column = 0

    @property
    def name(self) -> str:
        return f"{self.called} with spatial_scale {self.scale:g}, sampling_ratio {self.ratio}, aligned={self.aligned}"

    @classmethod
    def of(cls, scene: Scene) -> RoIAlign | None:
        for at_x, x, at_boxes, column, images, boxes in places(scene):
            scales = dict.fromkeys((*(v for v in scene.numbers() if 0 < v <= 1), *SCALES))
            for scale, ratio, aligned in itertools.product(scales, (2, 1, 3, 4), (True, False)):
                found = cls(x, images, boxes, scene.y.shape[2:], scale, ratio, aligned)
                if scene.is_the_output(found.forward()):
                    found.roles, found.first_column = {"x": at_x, "boxes": at_boxes}, column
                    return found
        return None

    def matrices(self, k: int, **changes: Any) -> list[np.ndarray]:
        """For box k the weights of rows (P, ratio, H) and of columns (Q, ratio, W), then their derivatives to the position."""
        scale, ratio, aligned = (changes.get(name, getattr(self, name)) for name in ("scale", "ratio", "aligned"))
        boxes = changes.get("boxes", self.boxes)
        x1, y1, x2, y2 = boxes[k] * scale - (0.5 if aligned else 0)
        rows = self._along(y1, y2, self.size[0], self.x.shape[2], ratio, aligned)
        columns = self._along(x1, x2, self.size[1], self.x.shape[3], ratio, aligned)
        return [rows[0], columns[0], rows[1], columns[1]]

    @staticmethod
    def _along(low: float, high: float, bins: int, length: int, ratio: int, aligned: bool) -> tuple[np.ndarray, np.ndarray]:
        extent = high - low if aligned else max(high - low, 1.0)
        at = low + extent * fractions(bins, ratio)
        there = (at >= -1) & (at <= length)
        at = np.maximum(at, 0)
        below = np.minimum(at.astype(int), length - 1)
        above = np.minimum(below + 1, length - 1)
        fraction = np.where(below == above, 0, at - below)
        eye = np.eye(length)
        weights = (1 - fraction)[..., None] * eye[below] + fraction[..., None] * eye[above]
        return weights * there[..., None], (eye[above] - eye[below]) * there[..., None]

    def forward(self) -> np.ndarray:
        y = np.empty((len(self.boxes), self.x.shape[1], *self.size))
        for k in range(len(self.boxes)):
            a, b, *_ = self.matrices(k)
            y[k] = a.mean(axis=1) @ self.x[self.images[k]] @ b.mean(axis=1).T
        return y

    def dx(self, g: np.ndarray, images: np.ndarray | None = None, change: Any = lambda m: m, **changes: Any) -> np.ndarray:
        dx = np.zeros_like(self.x)
        for k, n in enumerate(self.images if images is None else images):
            a, b, *_ = self.matrices(k, **changes)
            dx[n] += change(a).mean(axis=1).T @ g[k] @ change(b).mean(axis=1)
        return dx

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        if role == "boxes":
            for what, gradient in self._of_boxes(g):
                full = np.zeros((len(self.boxes), 4 + self.first_column))
                full[:, self.first_column :] = gradient
                yield what, full
            return
        yield (
            f"is that of aligned={not self.aligned}, but the forward has aligned={self.aligned}: half a pixel off",
            self.dx(g, aligned=not self.aligned),
        )
        yield (
            f"is too large by the factor {self.ratio**2}: a sum over the samples of a bin, where the mean belongs",
            self.dx(g) * self.ratio**2,
        )
        yield f"ignores spatial_scale, {self.scale:g}", self.dx(g, scale=1.0)
        for ratio in (1, 2, 3, 4):
            if ratio != self.ratio:
                yield (
                    f"takes {ratio} sample{'s' * (ratio > 1)} along each side of a bin; the forward has "
                    f"sampling_ratio {self.ratio}",
                    self.dx(g, ratio=ratio),
                )
        yield "goes to image 0 for every box: the batch index of the box is ignored", self.dx(g, np.zeros_like(self.images))
        yield "has x and y of the boxes swapped: a box is (x1, y1, x2, y2)", self.dx(g, boxes=self.boxes[:, [1, 0, 3, 2]])
        yield (
            "goes to the nearest pixel alone: a sample has four neighbours, each with its weight",
            self.dx(g, change=lambda m: one_of(m, m.argmax(-1))),
        )
        yield (
            "goes to the nearest pixel alone (half is rounded up): a sample has four neighbours, each with its weight",
            self.dx(g, change=lambda m: one_of(m, m.shape[-1] - 1 - m[..., ::-1].argmax(-1))),
        )
        yield (
            "goes to the upper left neighbour alone: a sample has four neighbours, each with its weight",
            self.dx(g, change=lambda m: one_of(m, (m > 0).argmax(-1))),
        )
        yield "has the weights of x and y swapped: the row's fraction belongs to the rows", self._sample_by_sample(g, swap=True)
        yield "keeps only one of the contributions that overlap: = where += belongs", self._sample_by_sample(g, add=False)
        yield (
            "reads the bins of dout transposed: rows and columns swapped",
            self.dx(g.swapaxes(2, 3)) if g.shape[2] == g.shape[3] else self.dx(g),
        )
        for k in dict.fromkeys((0, len(g) - 1)):
            yield (
                f"uses only box {k} of dout: the sum over the boxes is missing",
                self.dx(np.where(np.arange(len(g))[:, None, None, None] == k, g, 0)),
            )

    def _sample_by_sample(self, g: np.ndarray, swap: bool = False, add: bool = True) -> np.ndarray:
        dx = np.zeros_like(self.x)
        for k, n in enumerate(self.images):
            a, b, *_ = self.matrices(k)
            for i, j, s, t in np.ndindex(*self.size, self.ratio, self.ratio):
                part = g[k, :, i, j] / self.ratio**2
                rows, columns = neighbours(a[i, s]), neighbours(b[j, t])
                if rows is None or columns is None:
                    continue
                (y0, y1, fy), (x0, x1, fx) = rows, columns
                fy, fx = (fx, fy) if swap else (fy, fx)
                for r, c, weight in (
                    (y0, x0, (1 - fy) * (1 - fx)),
                    (y0, x1, (1 - fy) * fx),
                    (y1, x0, fy * (1 - fx)),
                    (y1, x1, fy * fx),
                ):
                    dx[n, :, r, c] = part * weight + (dx[n, :, r, c] if add else 0)
        return dx

    def dboxes(self, g: np.ndarray, **changes: Any) -> np.ndarray:
        """To x1, y1, x2, y2: a sample at the fraction t of the box moves by 1 - t with the first corner, by t with the second."""
        db = np.zeros((len(self.boxes), 4))
        scale = changes.pop("factor", self.scale)
        for k, n in enumerate(self.images):
            a, b, da, dcolumns = self.matrices(k, **changes)
            ty, tx = fractions(self.size[0], a.shape[1]), fractions(self.size[1], b.shape[1])
            for column, fy, fx in ((0, 1, 1 - tx), (1, 1 - ty, 1), (2, 1, tx), (3, ty, 1)):
                rows = da * np.asarray(fy)[..., None] if column % 2 else a
                columns = b if column % 2 else dcolumns * np.asarray(fx)[..., None]
                db[k, column] = scale * np.sum(g[k] * (rows.mean(axis=1) @ self.x[n] @ columns.mean(axis=1).T))
        return db

    def _of_boxes(self, g: np.ndarray) -> Iterator[Mistake]:
        right = self.dboxes(g)
        yield (
            f"ignores spatial_scale: the coordinates were multiplied by {self.scale:g}, so the gradient is too",
            right / self.scale,
        )
        yield "has spatial_scale twice", right * self.scale
        yield "has the columns of x and y swapped: a box is (x1, y1, x2, y2)", right[:, [1, 0, 3, 2]]
        yield "has the two corners exchanged: (x1, y1) and (x2, y2)", right[:, [2, 3, 0, 1]]
        moved = right[:, :2] + right[:, 2:]
        zero = np.zeros_like(moved)
        yield (
            "only moves the box by its first corner: the size of the box, and so the second corner (x2, y2), is forgotten",
            np.hstack([moved, zero]),
        )
        yield (
            "is the gradient to a box as (x1, y1, w, h), its corner, width and height: h = y2 - y1 needs the chain rule",
            np.hstack([moved, right[:, 2:]]),
        )
        yield (
            "gives both corners the whole gradient: a sample moves by 1 - t with the first, by t with the second",
            np.hstack([moved, moved]),
        )
        yield (
            f"is too large by the factor {self.ratio**2}: a sum over the samples of a bin, where the mean belongs",
            right * self.ratio**2,
        )
        yield (
            f"is that of aligned={not self.aligned}, but the forward has aligned={self.aligned}: half a pixel off",
            self.dboxes(g, aligned=not self.aligned),
        )
        for ratio in (1, 2, 3, 4):
            if ratio != self.ratio:
                yield (
                    f"takes {ratio} sample{'s' * (ratio > 1)} along each side of a bin; the forward has "
                    f"sampling_ratio {self.ratio}",
                    self.dboxes(g, ratio=ratio),
                )
        first = np.zeros_like(g)
        first[:, 0] = g[:, 0]
        yield "uses only channel 0 of dout: the sum over the channels is missing", self.dboxes(first)


class RoIPool(Operation):
    """Each bin is the maximum over whole pixels; (N, C, H, W) -> (K, C, P, Q)."""

    called = "RoIPool"

    def __init__(self, x: np.ndarray, images: np.ndarray, boxes: np.ndarray, size: tuple[int, ...], scale: float) -> None:
        self.x, self.images, self.boxes, self.size, self.scale = x, images, boxes, size, scale
        self.roles: dict[str, int] = {}

    @property
    def name(self) -> str:
        return f"{self.called} with spatial_scale {self.scale:g}"

    @classmethod
    def of(cls, scene: Scene) -> RoIPool | None:
        for at_x, x, _, _, images, boxes in places(scene):
            for scale in dict.fromkeys((*(v for v in scene.numbers() if 0 < v <= 1), *SCALES)):
                found = cls(x, images, boxes, scene.y.shape[2:], scale)
                y = np.zeros_like(scene.y)
                for k, i, j, n, rows, columns in found.bins(scale):
                    y[k, :, i, j] = x[n, :, rows, columns].max(axis=(1, 2))
                if scene.is_the_output(y):
                    found.roles = {"x": at_x}
                    return found
        return None

    def bins(self, scale: float) -> Iterator[tuple[int, int, int, int, slice, slice]]:
        """(box, i, j, image, rows, columns) of every bin that is not empty."""
        for k, n in enumerate(self.images):
            x1, y1, x2, y2 = (int(np.round(v)) for v in self.boxes[k] * scale)
            h, w = max(y2 - y1 + 1, 1) / self.size[0], max(x2 - x1 + 1, 1) / self.size[1]
            for i, j in np.ndindex(*self.size):
                top, bottom = np.clip([y1 + int(np.floor(i * h)), y1 + int(np.ceil((i + 1) * h))], 0, self.x.shape[2])
                left, right = np.clip([x1 + int(np.floor(j * w)), x1 + int(np.ceil((j + 1) * w))], 0, self.x.shape[3])
                if bottom > top and right > left:
                    yield k, i, j, int(n), slice(int(top), int(bottom)), slice(int(left), int(right))

    def dx(
        self,
        g: np.ndarray,
        share: Any = None,
        scale: float | None = None,
        image: int | None = None,
        corner: bool = True,
        add: bool = True,
    ) -> np.ndarray:
        """`share(region)`: what part of the gradient each entry gets; (C, h, w)."""
        dx = np.zeros_like(self.x)
        for k, i, j, n, rows, columns in self.bins(self.scale if scale is None else scale):
            part = (share or winner)(self.x[n, :, rows, columns]) * g[k, :, i, j, None, None]
            if not corner:
                rows, columns = slice(0, part.shape[1]), slice(0, part.shape[2])
            target = dx[n if image is None else image, :, rows, columns]
            target[:] = target + part if add else np.where(part != 0, part, target)
        return dx

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        yield "gives the gradient to every entry of the bin: only the maximum gets it", self.dx(g, np.ones_like)
        yield (
            "follows the rule of average pooling: only the maximum gets the gradient, and all of it",
            self.dx(g, lambda r: np.full_like(r, 1 / r[0].size)),
        )
        yield "goes to the smallest entry of the bin, its minimum", self.dx(g, lambda r: winner(-r))
        yield (
            "goes to the first entry of the bin, its top left corner, whoever won",
            self.dx(g, lambda r: winner(np.zeros_like(r))),
        )
        yield "goes to image 0 for every box: the batch index of the box is ignored", self.dx(g, image=0)
        yield (
            "takes the winner's index in the bin for its index in the plane: the offset of the bin's corner is missing",
            self.dx(g, corner=False),
        )
        yield f"ignores spatial_scale, {self.scale:g}", self.dx(g, scale=1.0)
        yield "keeps only the last of the boxes that overlap: = where += belongs", self.dx(g, add=False)
        yield "is the mask of the winners alone: multiply by the upstream gradient dout", self.dx(np.ones_like(g))
        if g.shape[2] == g.shape[3]:
            yield "reads the bins of dout transposed: rows and columns swapped", self.dx(g.swapaxes(2, 3))
        for k in dict.fromkeys((0, len(g) - 1)):
            yield (
                f"uses only box {k} of dout: the sum over the boxes is missing",
                self.dx(np.where(np.arange(len(g))[:, None, None, None] == k, g, 0)),
            )


def places(scene: Scene) -> Iterator[tuple[int, np.ndarray, int, int, np.ndarray, np.ndarray]]:
    """(position of x, x, position of the boxes, their first column, number of the image of each, boxes (K, 4))"""
    if scene.y.ndim != 4:
        return
    for at_x, x in scene.arrays(4):
        for at, boxes in enumerate(scene.arguments):
            if (
                not isinstance(boxes, np.ndarray)
                or boxes.ndim != 2
                or len(boxes) != len(scene.y)
                or x.shape[1] != scene.y.shape[1]
            ):
                continue
            if boxes.shape[1] == 5 and boxes[:, 0].max(initial=0) < len(x):
                yield at_x, x, at, 1, boxes[:, 0].astype(int), boxes[:, 1:].astype(float)
            elif boxes.shape[1] == 4:
                for images in [*scene.integers((len(boxes),)), np.zeros(len(boxes), int)]:
                    if images.max(initial=0) < len(x):
                        yield at_x, x, at, 0, images, boxes.astype(float)


def fractions(bins: int, ratio: int) -> np.ndarray:
    """Where the samples lie, as fractions of the box: (bins, ratio)."""
    return (np.arange(bins)[:, None] + (np.arange(ratio) + 0.5) / ratio) / bins


def one_of(weights: np.ndarray, best: np.ndarray) -> np.ndarray:
    return np.eye(weights.shape[-1])[best] * (weights.sum(axis=-1, keepdims=True) > 0)


def neighbours(weights: np.ndarray) -> tuple[int, int, float] | None:
    """(lower, upper, weight of the upper) from a row of weights; None where the sample lies off the map."""
    there = np.flatnonzero(weights)
    if len(there) == 0:
        return None
    low = int(there[0])
    return (low, int(there[-1]), float(weights[there[-1]])) if len(there) > 1 else (low, min(low + 1, len(weights) - 1), 0.0)


def winner(region: np.ndarray) -> np.ndarray:
    """1 at the first maximum of each channel."""
    flat = region.reshape(len(region), -1)
    return np.eye(flat.shape[1])[flat.argmax(axis=1)].reshape(region.shape)
