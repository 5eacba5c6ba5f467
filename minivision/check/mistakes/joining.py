"""Concatenation along the channels, with the middle cropped out of the larger input, as in a U-Net."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minivision.check.mistakes.operation import Mistake, Operation, Scene


class Concatenation(Operation):
    """y = concatenate([crop(a), crop(b)], axis=1)."""

    called = "concatenation along the channels"

    def __init__(self, parts: list[tuple[int, tuple[int, ...], int, int, int]], size: tuple[int, ...]) -> None:
        self.parts, self.size = parts, size  # (first channel, shape, first row, first column) of each, beside its position
        self.roles = {f"part {k}": part[0] for k, part in enumerate(parts)}

    @classmethod
    def of(cls, scene: Scene) -> Concatenation | None:
        if scene.y.ndim != 4:
            return None
        inputs = [(at, x) for at, x in scene.arrays(4) if x.shape[0] == scene.y.shape[0]]
        h, w = scene.y.shape[2:]
        if len(inputs) < 2 or sum(x.shape[1] for _, x in inputs) != scene.y.shape[1]:
            return None
        parts, channel = [], 0
        for at, x in inputs:
            part = scene.y[:, channel : channel + x.shape[1]]
            found = [
                (i, j)
                for i in range(x.shape[2] - h + 1)
                for j in range(x.shape[3] - w + 1)
                if np.array_equal(x[:, :, i : i + h, j : j + w], part)
            ]
            if not found:
                return None
            parts.append((at, x.shape, channel, *found[0]))
            channel += x.shape[1]
        return cls(parts, (h, w))

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        number = list(self.roles).index(role)
        _, shape, first, i, j = self.parts[number]
        count, (h, w) = shape[1], self.size

        def placed(part: np.ndarray, i: int = i, j: int = j) -> np.ndarray:
            dx = np.zeros(shape)
            if part.shape[1] == count and i + h <= shape[2] and j + w <= shape[3]:
                dx[:, :, i : i + h, j : j + w] = part
            return dx

        for start in range(g.shape[1] - count + 1):
            if start != first:
                yield (
                    f"reads the channels {start} to {start + count - 1} of dout; its own are {first} to {first + count - 1}",
                    placed(g[:, start : start + count]),
                )
        step = len(self.parts)
        for start in range(step):
            yield (
                f"reads every {'second' if step == 2 else f'{step}rd'} channel of dout; its own lie together, "
                f"{first} to {first + count - 1}",
                placed(g[:, start::step]),
            )
        own = g[:, first : first + count]
        if all(part[1] == shape for part in self.parts):
            total = sum(placed(g[:, part[2] : part[2] + count]) for part in self.parts)
            yield (
                "is the sum of the gradients of both inputs, as after an addition: each gets its own channels only",
                np.asarray(total),
            )
        for top, left in ((0, 0), (j, i), (i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1), (i + 1, j + 1), (i - 1, j - 1)):
            if (top, left) != (i, j) and top >= 0 and left >= 0:
                yield f"is put in the wrong place: at ({top}, {left}), but it was cropped at ({i}, {j})", placed(own, top, left)
        room = ((0, 0), (0, 0), (i, shape[2] - i - h), (j, shape[3] - j - w))
        yield "has dout repeated at the border: what was cropped off gets 0", np.pad(own, room, mode="edge")
