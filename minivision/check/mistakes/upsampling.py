"""Max unpooling, nearest neighbour, bed of nails and bilinear interpolation, (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minivision.check.mistakes.operation import Mistake, Operation, Scene


class MaxUnpooling(Operation):
    """y[n, c].flat[indices[n, c]] = x[n, c], zero elsewhere."""

    called = "max unpooling"

    def __init__(self, x: np.ndarray, indices: np.ndarray, size: tuple[int, ...], adds: bool, position: int) -> None:
        self.x, self.indices, self.size, self.adds, self.roles = x, indices, size, adds, {"x": position}

    @classmethod
    def of(cls, scene: Scene) -> MaxUnpooling | None:
        if scene.y.ndim != 4:
            return None
        for position, x in scene.arrays(4):
            for indices in scene.integers(x.shape):
                size = scene.y.shape[2:]
                if x.shape[:2] == scene.y.shape[:2] and indices.min() >= 0 and indices.max() < size[0] * size[1]:
                    for adds in (False, True):
                        found = cls(x, indices, size, adds, position)
                        if scene.is_the_output(found.forward()):
                            return found
        return None

    def forward(self) -> np.ndarray:
        y = np.zeros((*self.x.shape[:2], self.size[0] * self.size[1]))
        for plane in np.ndindex(*self.x.shape[:2]):
            if self.adds:
                np.add.at(y[plane], self.indices[plane].ravel(), self.x[plane].ravel())
            else:
                y[plane][self.indices[plane].ravel()] = self.x[plane].ravel()
        return y.reshape(*self.x.shape[:2], *self.size)

    def gather(self, g: np.ndarray, indices: np.ndarray | None = None) -> np.ndarray:
        at = self.indices if indices is None else indices
        n, c = g.shape[:2]
        return np.take_along_axis(g.reshape(n, c, -1), at.reshape(n, c, -1) % (g.shape[2] * g.shape[3]), axis=2).reshape(
            self.x.shape
        )

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        k, (h, w) = self.indices, self.size
        n, c = g.shape[:2]
        flat = g.ravel()
        sample, channel = np.arange(n).reshape(-1, 1, 1, 1), np.arange(c).reshape(-1, 1, 1)
        yield "reads every channel from the first plane: the offset of the channel, (n * C + c) * H * W, is forgotten", flat[k]
        yield "forgets the offset of the channel: it reads channel 0 of each sample", flat[k + sample * c * h * w]
        yield "forgets the offset of the sample: it reads sample 0 of each channel", flat[k + channel * h * w]
        yield "has the offset sample * H * W instead of (n * C + c) * H * W", flat[k + sample * h * w]
        rows, columns = k // h, k % h
        yield (
            "splits the indices with the height: row = index // H; it is index // W, the length of a row (the width)",
            g[sample, channel, np.minimum(rows, h - 1), np.minimum(columns, w - 1)],
        )
        yield "reads dout column by column: rows and columns are swapped", self.gather(np.ascontiguousarray(g.swapaxes(2, 3)))
        for step in (1, -1):
            yield f"has the indices off by one ({step:+d})", self.gather(g, k + step)
        if c > 1:
            yield "takes the indices of channel 0 for all channels", self.gather(g, np.repeat(k[:, :1], c, axis=1))
        if n > 1:
            yield "takes the indices of sample 0 for the whole batch", self.gather(g, np.repeat(k[:1], n, axis=0))
        yield (
            "reads dout in the order of its own entries: the indices are ignored",
            self.gather(g, np.arange(k[0, 0].size).reshape(k.shape[2:]) + 0 * k),
        )
        for start in ((0, 0), (0, 1), (1, 0), (1, 1)):
            slices = g[:, :, start[0] :: 2, start[1] :: 2][:, :, : k.shape[2], : k.shape[3]]
            if slices.shape == k.shape:
                yield "reads every second entry of dout, as after a bed of nails: the indices are ignored", slices
        a, b = 2 * k.shape[2], 2 * k.shape[3]
        if a <= h and b <= w:
            blocks = g[:, :, :a, :b].reshape(n, c, k.shape[2], 2, k.shape[3], 2)
            yield "is the sum of each 2 x 2 block, as after nearest neighbour: the indices are ignored", blocks.sum(axis=(3, 5))
            yield "is the mean of each 2 x 2 block: the indices are ignored", blocks.mean(axis=(3, 5))
        for axes in ((3,), (2,), (2, 3)):
            yield (
                f"is gathered in reverse order along axis {axes[0] if len(axes) == 1 else '2 and 3'}",
                np.flip(self.gather(g), axes),
            )
        yield from self._twice(g)

    def _twice(self, g: np.ndarray) -> Iterator[Mistake]:
        """Where an index occurs twice, the later value overwrites the earlier one, which then has no influence."""
        first, last = np.ones(self.x.shape, bool), np.ones(self.x.shape, bool)
        for plane in np.ndindex(*self.x.shape[:2]):
            flat = self.indices[plane].ravel()
            first[plane].flat[:] = [at not in flat[:i] for i, at in enumerate(flat)]
            last[plane].flat[:] = [at not in flat[i + 1 :] for i, at in enumerate(flat)]
        if not last.all() and not self.adds:
            yield (
                "is a plain gather: where an index occurs twice, the value that was overwritten has no influence, and gets 0",
                self.gather(g),
            )
            yield (
                "gives the gradient to the first where an index occurs twice: the last one written has stayed",
                np.where(first, self.gather(g), 0),
            )


class Nearest(Operation):
    """Every entry becomes a block of s x s equal ones."""

    called = "nearest neighbour upsampling"

    def __init__(self, x: np.ndarray, scale: tuple[int, int], position: int) -> None:
        self.x, self.scale, self.roles = x, scale, {"x": position}

    @property
    def name(self) -> str:
        return f"{self.called} by {self.scale[0]} x {self.scale[1]}"

    @classmethod
    def of(cls, scene: Scene):
        for position, x in scene.arrays(4):
            if scene.y.ndim == 4 and x.shape[:2] == scene.y.shape[:2]:
                (a, rest), (b, left) = (divmod(m, n) for m, n in zip(scene.y.shape[2:], x.shape[2:], strict=True))
                found = cls(x, (a, b), position)
                if a * b > 1 and not rest and not left and scene.is_the_output(found.forward()):
                    return found
        return None

    def forward(self) -> np.ndarray:
        return self.x.repeat(self.scale[0], axis=2).repeat(self.scale[1], axis=3)

    def blocks(self, g: np.ndarray) -> np.ndarray:
        """(N, C, h, w, s, s)"""
        n, c, h, w = self.x.shape
        return g.reshape(n, c, h, self.scale[0], w, self.scale[1]).swapaxes(3, 4)

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        blocks, (s, t) = self.blocks(g), self.scale
        right = "sum each block"
        yield f"is too small by the factor {s * t}: the mean of each block; {right}", blocks.mean(axis=(4, 5))
        yield f"is the first entry of each block, its top left corner; {right}", blocks[..., 0, 0]
        yield f"is the last entry of each block: = where += belongs; {right}", blocks[..., -1, -1]
        yield f"is the middle of each block; {right}", blocks[..., s // 2, t // 2]
        yield f"is the largest entry of each block, its maximum; {right}", blocks.max(axis=(4, 5))
        for k in (0, -1):
            yield f"sums only the rows of each block, along one column; {right}", blocks[..., k].sum(axis=4)
            yield f"sums only the columns of each block, along one row; {right}", blocks[..., k, :].sum(axis=4)
        n, c, h, w = self.x.shape
        tiles = g.reshape(n, c, s, h, t, w).sum(axis=(2, 4))
        yield "splits the axes the wrong way round, (s, H) for (H, s): that sums entries of different blocks (the reshape)", tiles
        summed = blocks.sum(axis=(4, 5))
        yield "is the mean over the batch, the same for every sample", np.broadcast_to(summed.mean(axis=0), summed.shape)


class BedOfNails(Nearest):
    """Every entry goes to the corner of a block of s x s zeros."""

    called = "bed of nails upsampling"

    def forward(self) -> np.ndarray:
        y = np.zeros((*self.x.shape[:2], self.x.shape[2] * self.scale[0], self.x.shape[3] * self.scale[1]))
        y[:, :, :: self.scale[0], :: self.scale[1]] = self.x
        return y

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        blocks, (s, t) = self.blocks(g), self.scale
        h, w = self.x.shape[2:]
        right = "only the corner of each block was written, dx = dout[:, :, ::s, ::s]"
        yield f"is the sum of each block, as after nearest neighbour; {right}", blocks.sum(axis=(4, 5))
        yield f"is the mean of each block, as after average pooling; {right}", blocks.mean(axis=(4, 5))
        yield f"is the maximum of each block; {right}", blocks.max(axis=(4, 5))
        for a, b in np.ndindex(s, t):
            if (a, b) != (0, 0):
                yield f"is off by ({a}, {b}) pixels within the block; {right}", blocks[..., a, b]
        yield f"is the upper left part of dout, without the stride; {right}", g[:, :, :h, :w]
        yield f"is too large by the factor {s * t}, the size of a block; {right}", blocks[..., 0, 0] * s * t


class Bilinear(Operation):
    """y = A x B^T: each new row, and each new column, is a mixture of two old ones."""

    called = "bilinear interpolation"

    def __init__(self, x: np.ndarray, size: tuple[int, ...], corners: bool, position: int) -> None:
        self.x, self.size, self.corners, self.roles = x, size, corners, {"x": position}

    @property
    def name(self) -> str:
        return f"{self.called} to {self.size[0]} x {self.size[1]} with align_corners={self.corners}"

    @classmethod
    def of(cls, scene: Scene) -> Bilinear | None:
        for position, x in scene.arrays(4):
            if scene.y.ndim == 4 and x.shape[:2] == scene.y.shape[:2] and x.shape != scene.y.shape:
                for corners in (False, True):
                    found = cls(x, scene.y.shape[2:], corners, position)
                    a, b = found.matrices(corners)
                    if scene.is_the_output(a @ x @ b.T):
                        return found
        return None

    def matrices(self, corners: bool, half: float = 0.5, change=lambda m: m) -> tuple[np.ndarray, np.ndarray]:
        a, b = (change(interpolation(n, m, corners, half)) for n, m in zip(self.x.shape[2:], self.size, strict=True))
        return a, b

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        a, b = self.matrices(self.corners)

        def back(two: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
            return np.asarray(two[0].T @ g @ two[1])

        (h, w), (p, q) = self.x.shape[2:], self.size
        yield (
            f"is that of align_corners={not self.corners}, but the forward has align_corners={self.corners}",
            back(self.matrices(not self.corners)),
        )
        yield (
            "is that of nearest neighbour: every output has up to four neighbours, each with its weight",
            back((np.eye(h)[np.arange(p) * h // p], np.eye(w)[np.arange(q) * w // q])),
        )
        yield (
            "is that of the nearest neighbour, rounded: every output has up to four neighbours, each with its weight",
            back(self.matrices(self.corners, change=lambda m: np.eye(m.shape[1])[m.argmax(axis=1)])),
        )
        yield (
            "has the two weights swapped: the nearer neighbour gets the larger weight, 1 - fraction",
            back(self.matrices(self.corners, change=swapped)),
        )
        yield (
            "gives all neighbours the same weight 1: the weights are missing",
            back(self.matrices(self.corners, change=lambda m: (m > 0) * 1.0)),
        )
        yield (
            "gives all neighbours the same weight: their mean",
            back(self.matrices(self.corners, change=lambda m: (m > 0) / (m > 0).sum(axis=1, keepdims=True))),
        )
        only_first = self.matrices(
            self.corners, change=lambda m: np.where(np.arange(m.shape[1]) == (m > 0).argmax(axis=1)[:, None], m, 0)
        )
        yield "goes to the upper left neighbour (the floor) only, with its weight: the other three are missing", back(only_first)
        yield (
            "goes to the upper left neighbour (the floor) only, with weight 1: the other three are missing",
            back(self.matrices(self.corners, change=lambda m: np.eye(m.shape[1])[(m > 0).argmax(axis=1)])),
        )
        c, d = (interpolation(n, m, self.corners) for n, m in zip(self.size, self.x.shape[2:], strict=True))
        yield (
            "samples dout at the old positions, that is, resizes it down: the transpose of the interpolation is "
            "needed, not its inverse",
            c @ g @ d.T,
        )
        if not self.corners:
            yield (
                "forgets the half pixel: the position is (i + 0.5) / scale - 0.5, not i / scale",
                back(self.matrices(False, half=0)),
            )
            inner = self.matrices(False, change=lambda m: m * ((m > 0).sum(axis=1, keepdims=True) > 1))
            yield "drops the outputs whose position was clamped at the border: they belong to the border's entry", back(inner)
        yield (
            f"is too small by the factor {p * q / (h * w):g}, divided by the scale's area: a mean where a sum belongs",
            back((a, b)) * h * w / (p * q),
        )
        for text, flipped in (("rows", g[:, :, ::-1]), ("columns", g[:, :, :, ::-1])):
            yield f"reads the {text} of dout flipped", a.T @ flipped @ b
        for order in (1, -1):
            last = np.zeros(self.x.shape)
            for i in range(p)[::order]:
                for j in range(q)[::order]:
                    for k in np.flatnonzero(a[i]):
                        for m in np.flatnonzero(b[j]):
                            last[:, :, k, m] = a[i, k] * b[j, m] * g[:, :, i, j]
            yield "keeps only one of the contributions to each entry: = where += belongs", last


def interpolation(n: int, m: int, corners: bool, half: float = 0.5) -> np.ndarray:
    """(m, n): row i mixes the two of n samples between which new sample i lies."""
    if corners:
        at = np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0.0)
    else:
        at = np.clip((np.arange(m) + half) * (n / m) - half, 0, None)
    low = np.minimum(np.floor(at).astype(int), n - 1)
    high = np.minimum(low + 1, n - 1)
    matrix = np.zeros((m, n))
    np.add.at(matrix, (np.arange(m), low), 1 - (at - low))
    np.add.at(matrix, (np.arange(m), high), at - low)
    return matrix


def swapped(matrix: np.ndarray) -> np.ndarray:
    """Each row's two weights exchanged."""
    result = np.zeros_like(matrix)
    for i, row in enumerate(matrix):
        there = np.flatnonzero(row)
        result[i, there] = row[there[::-1]]
    return result
