"""Max pooling and average pooling, (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from minivision.check.mistakes.operation import Mistake, Operation, Scene, extreme
from minivision.check.mistakes.windows import Pair, Windows, negative, settings, shown

KERNELS = [(k, k) for k in (2, 3, 4, 5, 7)] + [(a, b) for a in range(1, 5) for b in range(1, 5) if a != b] + [(1, 1)]


class MaxPooling(Operation):
    called = "max pooling"

    def __init__(self, x: np.ndarray, at: Windows, position: int) -> None:
        self.x, self.at, self.roles = x, at, {"x": position}

    @property
    def name(self) -> str:
        padding = f", padding {shown(negative(self.at.start))}" if self.at.start != (0, 0) else ""
        kh, kw = self.at.kernel
        return f"{self.called} over windows of {kh} x {kw} with stride {shown(self.at.stride)}{padding}"

    @classmethod
    def of(cls, scene: Scene):
        if scene.y.ndim != 4:
            return None
        for position, x in scene.arrays(4):
            if x.shape[:2] != scene.y.shape[:2] or any(m > n + 1 for m, n in zip(scene.y.shape[2:], x.shape[2:], strict=True)):
                continue
            for kernel in KERNELS:
                for stride, padding, dilation in settings(x.shape[2:], kernel, scene.y.shape[2:]):
                    if dilation != (1, 1) or any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
                        continue
                    found = cls(x, Windows(kernel, scene.y.shape[2:], stride, start=negative(padding)), position)
                    if scene.is_the_output(found.forward()):
                        return found
        return None

    def forward(self) -> np.ndarray:
        return np.asarray(self.at.read(self.x, -np.inf).max(axis=(2, 3)))

    def shares(self, x: np.ndarray | None = None, smallest: bool = False, **changes: Pair) -> np.ndarray:
        """1 at each window's first maximum, (N, C, kh, kw, OH, OW)."""
        seen = self.at.but(**changes).read(self.x if x is None else x, np.inf if smallest else -np.inf)
        n, c, kh, kw, *count = seen.shape
        return extreme(seen.reshape(n, c, kh * kw, *count), 2, smallest).reshape(seen.shape)

    def dx(self, parts: np.ndarray, **changes: Pair) -> np.ndarray:
        return self.at.but(**changes).add(parts, self.x.shape[2:])

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        share = self.shares()
        h, w = self.x.shape[2:]
        spread = g[:, :, None, None]
        area = self.at.kernel[0] * self.at.kernel[1]
        yield "gives the gradient to every entry of the window: only the maximum gets it", self.dx(np.ones_like(share) * spread)
        yield (
            "follows the rule of average pooling: only the maximum gets the gradient, and all of it",
            self.dx(np.ones_like(share) * spread / area),
        )
        yield "goes to the smallest entry of the window, its minimum", self.dx(self.shares(smallest=True) * spread)
        yield (
            "goes to the last maximum's mirror image: the winner's index is read backwards",
            self.dx(share[:, :, ::-1, ::-1] * spread),
        )
        corner = np.zeros_like(share)
        corner[:, :, 0, 0] = 1
        yield "goes to the first entry of the window, its top left corner, whoever won", self.dx(corner * spread)
        best = share.reshape(*share.shape[:2], area, -1).argmax(axis=2)
        plane = np.zeros((*self.x.shape[:2], h * w))
        for n, c in np.ndindex(*self.x.shape[:2]):
            np.add.at(plane[n, c], best[n, c] % (h * w), g[n, c].ravel())
        yield (
            "takes the winner's index in the window for its index in the plane: add the window's own corner",
            plane.reshape(self.x.shape),
        )
        yield (
            "lets only positive dout through: the mask of dout is taken as well (a ReLU does that, not a maximum)",
            self.dx(share * np.maximum(spread, 0)),
        )
        yield "is multiplied by the maximum y itself: the factor is 1", self.dx(share * spread) * self.x
        yield "is the mask of the winners alone: multiply by the upstream gradient dout", self.dx(share)
        yield (
            "is 1 at the winners however often they won, without the upstream gradient dout: only the mask",
            (self.dx(share) > 0).astype(float),
        )
        if self.at.kernel[0] == self.at.kernel[1]:
            yield "has rows and columns of the winner swapped", self.dx(share.swapaxes(2, 3) * spread)
        for axis, what in ((1, "channel"), (0, "sample")):
            if self.x.shape[axis] > 1:
                first = np.repeat(np.take(share, [0], axis), self.x.shape[axis], axis)
                yield f"takes the winners of {what} 0 for every {what}", self.dx(first * spread)
        if self.at.kernel != self.at.stride:
            changes: dict[str, Any] = {"stride": self.at.kernel}
            wide = self.at.but(**changes).read(np.ones_like(self.x)) * self.shares(**changes)
            yield (
                "moves the windows by their own size: the kernel size is taken for the stride",
                self.dx(wide * spread, **changes),
            )
        if self.at.stride != (1, 1):
            changes = {"stride": (1, 1)}
            yield (
                "ignores the stride: window (i, j) begins at (i * stride, j * stride)",
                self.dx(self.shares(**changes) * spread, **changes),
            )
            yield (
                "ignores the stride where it writes, though not where it looks for the maximum",
                self.dx(share * spread, **changes),
            )
        yield "keeps only the last window where windows overlap: = where += belongs", self.at.write(share * spread, (h, w))
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                if (i, j) != (0, 0):
                    yield (
                        f"is off by one pixel, ({i}, {j}) in rows and columns",
                        self.dx(share * spread, start=(self.at.start[0] + i, self.at.start[1] + j)),
                    )


class AveragePooling(MaxPooling):
    called = "average pooling"

    def forward(self) -> np.ndarray:
        return np.asarray(self.at.read(self.x).mean(axis=(2, 3)))

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        (kh, kw), size = self.at.kernel, self.x.shape[2:]
        spread = np.ones((*self.x.shape[:2], kh, kw, *self.at.count)) * g[:, :, None, None]
        yield f"is too large by the factor {kh * kw}: the divisor, the size of the window, is forgotten", self.dx(spread)
        yield f"is too large by the factor {kw}: divided by k instead of k * k", self.dx(spread) / kh
        yield "is divided by the size of the window twice", self.dx(spread) / (kh * kw) ** 2
        for k, where in (
            ((0, 0), "first entry of the window, its top left corner"),
            ((kh // 2, kw // 2), "middle of the window"),
        ):
            corner = np.zeros_like(spread)
            corner[:, :, k[0], k[1]] = g
            yield f"goes to the {where}, alone: every entry gets its share", self.dx(corner)
            yield f"goes to the {where}, alone, and divided: every entry gets its share", self.dx(corner) / (kh * kw)
        yield (
            "follows the rule of max pooling: every entry of the window gets its share, not the maximum alone",
            self.dx(self.shares() * spread),
        )
        yield "is the mean of dout, the same everywhere", np.full(self.x.shape, g.mean())
        if self.at.stride != (1, 1):
            yield (
                "ignores the stride: window (i, j) begins at (i * stride, j * stride)",
                self.dx(spread, stride=(1, 1)) / (kh * kw),
            )
        if self.at.kernel != self.at.stride:
            yield (
                "moves the windows by their own size: the kernel size is taken for the stride",
                self.dx(spread, stride=(kh, kw)) / (kh * kw),
            )
        yield "keeps only the last window where windows overlap: = where += belongs", self.at.write(spread, size) / (kh * kw)
