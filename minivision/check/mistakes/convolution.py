"""Convolution and transposed convolution, (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minivision.check.mistakes.operation import Mistake, Operation, Scene, bias_mistakes
from minivision.check.mistakes.windows import Pair, Windows, negative, settings, shown


class Convolution(Operation):
    """y[n, o, i, j] = sum over c, a, b of x[n, c, i s + a d - p, j s + b d - p] w[o, c, a, b] + bias[o]."""

    called = "a convolution"

    def __init__(self, x: np.ndarray, w: np.ndarray, at: Windows, roles: dict[str, int]) -> None:
        self.x, self.w, self.at, self.roles = x, w, at, roles
        self.groups = x.shape[1] // w.shape[1]

    @property
    def name(self) -> str:
        text = f"{self.called} with stride {shown(self.at.stride)}, padding {shown(negative(self.at.start))}"
        text += f", dilation {shown(self.at.dilation)}" if self.at.dilation != (1, 1) else ""
        return text + (f", {self.groups} groups" if self.groups > 1 else "")

    @classmethod
    def of(cls, scene: Scene) -> Convolution | None:
        if scene.y.ndim != 4:
            return None
        for at_x, x in scene.arrays(4):
            for at_w, w in scene.arrays(4):
                groups = x.shape[1] // max(w.shape[1], 1)
                if (
                    at_x == at_w
                    or w.shape[1] * groups != x.shape[1]
                    or not groups
                    or len(w) % groups
                    or len(w) != scene.y.shape[1]
                ):
                    continue
                for stride, padding, dilation in settings(x.shape[2:], w.shape[2:], scene.y.shape[2:]):
                    windows = Windows(w.shape[2:], scene.y.shape[2:], stride, dilation, negative(padding))
                    found = cls(x, w, windows, {"x": at_x, "w": at_w})
                    if is_a_bias(scene.y - found.forward(), scene, found.roles):
                        return found
        return None

    def forward(self) -> np.ndarray:
        y = np.einsum("ngcklij,gockl->ngoij", self._grouped(self.at.read(self.x)), self._kernel(self.w), optimize=True)
        return np.asarray(y).reshape(len(y), -1, *y.shape[3:])

    def _grouped(self, t: np.ndarray) -> np.ndarray:
        return t.reshape(len(t), self.groups, -1, *t.shape[2:])

    def _kernel(self, w: np.ndarray, in_turn: bool = False) -> np.ndarray:
        """(groups, O / groups, C / groups, kh, kw); `in_turn` deals the kernels out one by one, which is wrong."""
        return w.reshape(-1, self.groups, *w.shape[1:]).swapaxes(0, 1) if in_turn else w.reshape(self.groups, -1, *w.shape[1:])

    def _upstream(self, g: np.ndarray, in_turn: bool = False) -> np.ndarray:
        return g.reshape(len(g), -1, self.groups, *g.shape[2:]).swapaxes(1, 2) if in_turn else self._grouped(g)

    def dx(self, g: np.ndarray, w: np.ndarray | None = None, in_turn: bool = False, **changes: Pair) -> np.ndarray:
        kernel = self._kernel(self.w if w is None else w, in_turn)
        parts = np.einsum("gockl,ngoij->ngcklij", kernel, self._upstream(g, in_turn), optimize=True)
        return self.at.but(**changes).add(parts.reshape(len(g), -1, *parts.shape[3:]), self.x.shape[2:])

    def dw(self, g: np.ndarray, in_turn: bool = False, x: np.ndarray | None = None, **changes: Pair) -> np.ndarray:
        seen = self._grouped(self.at.but(**changes).read(self.x if x is None else x))
        dw = np.asarray(np.einsum("ngcklij,ngoij->gockl", seen, self._upstream(g, in_turn), optimize=True))
        return (dw.swapaxes(0, 1) if in_turn else dw).reshape(self.w.shape)

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        if role == "b":
            yield from bias_mistakes(g)
            return
        gradient = self.dx if role == "x" else self.dw
        for what, changes in wrong_windows(self.at):
            yield what, gradient(g, **changes)
        if self.groups > 1:
            yield (
                "deals the output channels out to the groups in turn (channel modulo groups); the channels of a "
                "group lie together",
                gradient(g, in_turn=True),
            )
        if role == "x":
            for what, kernel in wrong_kernels(self.w):
                if kernel.shape == self.w.shape:
                    yield what, self.dx(g, kernel)
            again = Convolution(g, self.w, self.at, {})
            if g.shape == self.x.shape and self.groups == again.groups == 1:
                yield (
                    "is the forward convolution of dout with w (a correlation): the transpose needs the kernel "
                    "flipped and its in and out channels exchanged",
                    again.forward(),
                )
        else:
            yield from only_the_last_window(self.at, lambda part: self.dw(part), g)
            n = len(g)
            if n > 1:
                for k in (0, n - 1):
                    yield (
                        f"uses only sample {k} of dout: the sum over the batch is missing",
                        self.dw(np.where(np.arange(n)[:, None, None, None] == k, g, 0)),
                    )


class TransposedConvolution(Operation):
    """Every entry of x stamps its kernel w[c] (in, out, kh, kw) into y at (i s - p, j s - p)."""

    called = "a transposed convolution"

    def __init__(self, x: np.ndarray, w: np.ndarray, at: Windows, size: Pair, roles: dict[str, int]) -> None:
        self.x, self.w, self.at, self.size, self.roles = x, w, at, size, roles

    @property
    def name(self) -> str:
        return f"{self.called} with stride {shown(self.at.stride)}, padding {shown(negative(self.at.start))}"

    @classmethod
    def of(cls, scene: Scene) -> TransposedConvolution | None:
        if scene.y.ndim != 4:
            return None
        for at_x, x in scene.arrays(4):
            for at_w, w in scene.arrays(4):
                if at_x == at_w or len(w) != x.shape[1] or w.shape[1] != scene.y.shape[1]:
                    continue
                for stride, padding, dilation in settings(scene.y.shape[2:], w.shape[2:], x.shape[2:]):
                    windows = Windows(w.shape[2:], x.shape[2:], stride, dilation, negative(padding))
                    found = cls(x, w, windows, scene.y.shape[2:], {"x": at_x, "w": at_w})
                    if is_a_bias(scene.y - found.forward(), scene, found.roles):
                        return found
        return None

    def forward(self) -> np.ndarray:
        return self.at.add(np.einsum("ncij,cokl->noklij", self.x, self.w, optimize=True), self.size)

    def dx(self, g: np.ndarray, w: np.ndarray | None = None, **changes: Pair) -> np.ndarray:
        kernel = self.w if w is None else w
        return np.asarray(np.einsum("noklij,cokl->ncij", self.at.but(**changes).read(g), kernel, optimize=True))

    def dw(self, g: np.ndarray, x: np.ndarray | None = None, **changes: Pair) -> np.ndarray:
        return np.asarray(
            np.einsum("noklij,ncij->cokl", self.at.but(**changes).read(g), self.x if x is None else x, optimize=True)
        )

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        if role == "b":
            yield from bias_mistakes(g)
            return
        gradient = self.dx if role == "x" else self.dw
        for what, changes in wrong_windows(self.at):
            yield what, gradient(g, **changes)
        if role == "x":
            area = self.w.shape[2] * self.w.shape[3]
            if area > 1:
                yield f"is too small by the factor {area}: a mean over the kernel where a sum belongs", self.dx(g) / area
            for what, kernel in wrong_kernels(self.w):
                yield what, self.dx(g, kernel)
            corner = np.zeros_like(self.w)
            corner[:, :, 0, 0] = self.w[:, :, 0, 0]
            yield (
                "uses only the entry [0, 0] of the kernel, its top left corner: an entry of x has stamped the whole kernel",
                self.dx(g, corner),
            )
        else:
            yield from only_the_last_window(self.at, lambda part: self.dw(g, part), self.x)
            n = len(g)
            if n > 1:
                for k in (0, n - 1):
                    yield (
                        f"uses only sample {k} of dout: the sum over the batch is missing",
                        self.dw(np.where(np.arange(n)[:, None, None, None] == k, g, 0)),
                    )


def is_a_bias(rest: np.ndarray, scene: Scene, roles: dict[str, int]) -> bool:
    """Whether what is left of y is nothing, or one number for each channel; if that is an argument, it gets the role "b"."""
    size = float(np.max(np.abs(scene.y), initial=0)) + 1e-300
    constant = rest[:1, :, :1, :1]
    if not rest.size or np.max(np.abs(rest - constant)) > 1e-9 * size:
        return False
    for position, b in scene.arrays(1, 2, 3, 4):
        if (
            position not in roles.values()
            and b.size == constant.size
            and np.allclose(b.ravel(), constant.ravel(), atol=1e-8 * size)
        ):
            roles["b"] = position
    return True


def wrong_windows(at: Windows) -> Iterator[tuple[str, dict[str, Any]]]:
    """The windows of a convolution in the wrong places."""
    padding, stride, dilation = negative(at.start), at.stride, at.dilation
    if stride != (1, 1):
        yield f"ignores the stride: window (i, j) begins at (i * {stride[0]}, j * {stride[1]}), not at (i, j)", {"stride": (1, 1)}
        yield "ignores the stride along the rows", {"stride": (1, stride[1])}
        yield "ignores the stride along the columns", {"stride": (stride[0], 1)}
    if at.kernel != stride:
        yield "moves the windows by their own size: the kernel size is taken for the stride", {"stride": at.kernel}
    if stride[0] != stride[1]:
        yield "has the strides of rows and columns exchanged", {"stride": (stride[1], stride[0])}
    if dilation != (1, 1):
        yield f"ignores the dilation: the entries of a window are {shown(dilation)} apart", {"dilation": (1, 1)}
        yield "takes the dilation for the stride", {"stride": dilation, "dilation": stride}
    if padding != (0, 0):
        yield (
            f"ignores the padding: it is cropped (or read) at the corner of the padded array, not at {shown(padding)}",
            {"start": (0, 0)},
        )
        yield (
            "has the padding taken off twice: the crop begins at twice the padding",
            {"start": (-2 * padding[0], -2 * padding[1])},
        )
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            if (i, j) != (0, 0):
                start = (at.start[0] + i, at.start[1] + j)
                yield f"is off by one pixel, ({i}, {j}) in rows and columns: a wrong crop or padding", {"start": start}


def wrong_kernels(w: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    uses = "is what it would be with w"
    yield f"{uses} flipped in both of its last axes", w[:, :, ::-1, ::-1]
    yield f"{uses} flipped upside down", w[:, :, ::-1]
    yield f"{uses} flipped left to right", w[:, :, :, ::-1]
    if w.shape[2] == w.shape[3]:
        yield f"{uses} with its last two axes transposed", w.swapaxes(2, 3)
        yield f"{uses} turned by 90 degrees", np.rot90(w, 1, (2, 3))
    if w.shape[0] == w.shape[1]:
        yield f"{uses} with axes 0 and 1 swapped (in and out channels)", w.swapaxes(0, 1)
        yield f"{uses} flipped in both of its last axes, and with axes 0 and 1 swapped", w.swapaxes(0, 1)[:, :, ::-1, ::-1]


def only_the_last_window(at: Windows, gradient: Callable[[np.ndarray], np.ndarray], t: np.ndarray) -> Iterator[Mistake]:
    """t has one entry for each window; `gradient` sums over them."""
    for (i, j), which in (((-1, -1), "last"), ((0, 0), "first")):
        only = np.zeros_like(t)
        only[:, :, i, j] = t[:, :, i, j]
        yield f"keeps only the {which} window's contribution: = where += belongs", gradient(only)
    rows, columns = np.zeros_like(t), np.zeros_like(t)
    rows[:, :, -1], columns[:, :, :, -1] = t[:, :, -1], t[:, :, :, -1]
    yield "keeps only the last row of windows: = where += belongs", gradient(rows)
    yield "keeps only the last column of windows: = where += belongs", gradient(columns)
