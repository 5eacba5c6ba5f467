"""Normalisation over a batch, a layer, a group or an instance, with gamma and beta."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minivision.check.mistakes.operation import Mistake, Operation, Scene, along, bias_mistakes

EPS = (1e-5, 0.0, 1e-3, 1e-8, 1e-6, 1e-4, 1e-12, 1e-7, 1e-2, 1e-10)


class Normalisation(Operation):
    """y = gamma * (x - mean) / sqrt(var + eps) + beta, with mean and var over some axes of x, seen in groups of channels."""

    called = "normalisation"

    def __init__(
        self, x: np.ndarray, kind: str, shape: tuple[int, ...], axes: tuple[int, ...], eps: float, position: int
    ) -> None:
        self.x, self.kind, self.shape, self.axes, self.eps = x, kind, shape, axes, eps  # `shape`: that in which `axes` count
        self.roles = {"x": position}
        centred = x.reshape(shape) - x.reshape(shape).mean(axis=axes, keepdims=True)
        self.var = (centred**2).mean(axis=axes, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.xhat = (centred / np.sqrt(self.var + eps)).reshape(x.shape)
        self.gamma = np.ones((1,) * x.ndim)
        self.channel: int | None = None  # the axis of gamma

    @property
    def name(self) -> str:
        return f"{self.kind} with eps {self.eps:g}"

    @classmethod
    def of(cls, scene: Scene) -> Normalisation | None:
        for position, x in scene.arrays(2, 3, 4):
            if x.shape != scene.y.shape:
                continue
            for kind, shape, axes in kinds(x.shape):
                rough = cls(x, kind, shape, axes, 1e-5, position)
                for gamma, beta in rough.affine(scene):
                    for eps in (*scene.numbers(), *EPS):
                        found = cls(x, kind, shape, axes, eps, position)
                        found.take(scene, gamma, beta)
                        with np.errstate(invalid="ignore"):
                            if scene.is_the_output(found.gamma * found.xhat + found.beta):
                                return found
                    fitted = rough.fitted_eps(scene, gamma, beta)
                    if fitted is not None:
                        found = cls(x, kind, shape, axes, fitted, position)
                        found.take(scene, gamma, beta)
                        if scene.is_the_output(found.gamma * found.xhat + found.beta):
                            return found
        return None

    def affine(self, scene: Scene) -> Iterator[tuple[int | None, int | None]]:
        """The positions that gamma and beta may have among the arguments."""
        axis = 1 if self.x.ndim > 1 else 0
        vectors = [at for at, _ in scene.vector(self.x.shape[axis])]
        for gamma in vectors:
            for beta in vectors:
                if gamma != beta:
                    yield gamma, beta
        yield None, None

    def take(self, scene: Scene, gamma: int | None, beta: int | None) -> None:
        self.beta = np.zeros((1,) * self.x.ndim)
        if gamma is not None and beta is not None:
            self.channel = 1
            self.gamma, self.beta = (along(scene.arguments[at], 1, self.x.ndim) for at in (gamma, beta))
            self.roles |= {"gamma": gamma, "beta": beta}

    def fitted_eps(self, scene: Scene, gamma: int | None, beta: int | None) -> float | None:
        """The eps that the output shows: (y - beta) / gamma = centred / sqrt(var + eps)."""
        self.take(scene, gamma, beta)
        with np.errstate(all="ignore"):
            seen = (scene.y - self.beta) / self.gamma
            centred = (self.xhat.reshape(self.shape) * np.sqrt(self.var + self.eps)).reshape(self.x.shape)
            k = np.unravel_index(np.argmax(np.abs(centred)), centred.shape)
            var = np.broadcast_to(self.var, self.shape).reshape(self.x.shape)[k]
            eps = float((centred[k] / seen[k]) ** 2 - var)
        return eps if np.isfinite(eps) and eps > -1e-9 else None

    def mean(self, t: np.ndarray, axes: tuple[int, ...] | None = None) -> np.ndarray:
        """The mean over the normalised set, at every entry."""
        split = t.reshape(self.shape)
        mean = split.mean(axis=self.axes if axes is None else axes, keepdims=True)
        return np.broadcast_to(mean, self.shape).reshape(t.shape)

    def dx(
        self,
        g: np.ndarray,
        gamma: np.ndarray | None = None,
        of_mean: float = 1.0,
        of_var: float = 1.0,
        axes: tuple[int, ...] | None = None,
    ) -> np.ndarray:
        dxhat = g * (self.gamma if gamma is None else gamma)
        inner = dxhat - of_mean * self.mean(dxhat, axes) - of_var * self.xhat * self.mean(dxhat * self.xhat, axes)
        return np.asarray((inner.reshape(self.shape) / np.sqrt(self.var + self.eps)).reshape(g.shape))

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        rest = tuple(a for a in range(g.ndim) if a != 1)
        if role == "beta":
            yield "has the factor gamma once too often: beta is added after gamma", (g * self.gamma).sum(axis=rest)
            yield from bias_mistakes(g)
            return
        if role == "gamma":
            yield "uses x where the normalised x (xhat) belongs", (g * self.x).sum(axis=rest)
            yield (
                "uses the output y where the normalised x (xhat) belongs",
                (g * (self.gamma * self.xhat + self.beta)).sum(axis=rest),
            )
            yield (
                "uses the centred x, not divided by the standard deviation: the normalised x (xhat) belongs there",
                (g * (self.x - self.mean(self.x))).sum(axis=rest),
            )
            yield "is the sum of dout alone, as dbeta is: dout times the normalised x (xhat) is to be summed", g.sum(axis=rest)
            yield "has the factor gamma once too often", (g * self.gamma * self.xhat).sum(axis=rest)
            yield from ((text, array) for text, array in bias_mistakes(g * self.xhat))
            return
        count = int(np.prod([self.shape[a] for a in self.axes]))
        std = np.broadcast_to(np.sqrt(self.var + self.eps), self.shape).reshape(g.shape)
        right = "dx = (dxhat - mean(dxhat) - xhat mean(dxhat xhat)) / std"
        yield f"has the term through the mean missing, -mean(dxhat): {right}", self.dx(g, of_mean=0)
        yield f"has the term through the variance missing, -xhat mean(dxhat xhat): {right}", self.dx(g, of_var=0)
        yield (
            f"treats mean and variance as constants, their own derivatives are missing: {right}",
            self.dx(g, of_mean=0, of_var=0),
        )
        yield f"treats mean and variance as constants, and gamma is missing: {right}", self.dx(g, np.ones_like(self.gamma), 0, 0)
        if count > 1:
            n = count / (count - 1)
            yield "has n - 1 for n in the variance term: the forward divides by n", self.dx(g, of_var=n)
            yield "has n - 1 for n in both means: the forward divides by n", self.dx(g, of_mean=n, of_var=n)
        yield f"has sums where means belong, the 1/n is forgotten: {right}", self.dx(g, of_mean=count, of_var=count)
        yield (
            f"has a sum for the mean in the term through the mean, the 1/n is forgotten there: {right}",
            self.dx(g, of_mean=count),
        )
        yield (
            f"has a sum for the mean in the term through the variance, the 1/n is forgotten there: {right}",
            self.dx(g, of_var=count),
        )
        yield f"has the term through the mean with the wrong sign: {right}", self.dx(g, of_mean=-1)
        yield f"has the term through the variance with the wrong sign: {right}", self.dx(g, of_var=-1)
        yield f"has the term through the variance twice: {right}", self.dx(g, of_var=2)
        yield f"has the term through the mean twice: {right}", self.dx(g, of_mean=2)
        without = self.dx(g) * std
        if self.eps:
            yield "has eps missing under the square root: std = sqrt(var + eps)", without / np.sqrt(std**2 - self.eps)
            yield "has eps outside the square root: std = sqrt(var + eps)", without / (np.sqrt(std**2 - self.eps) + self.eps)
        yield f"is divided by the variance, not by its square root, the standard deviation: {right}", without / std**2
        yield f"is not divided by the standard deviation: {right}", without
        yield f"is multiplied by the standard deviation, not divided: {right}", without * std
        yield f"adds the variance term, which is to be subtracted (sign): {right}", self.dx(g, of_var=-1)
        yield f"adds the mean term, which is to be subtracted (sign): {right}", self.dx(g, of_mean=-1)
        if self.channel is not None:
            yield "lacks the factor gamma: dxhat = dout * gamma", self.dx(g, np.ones_like(self.gamma))
            yield "has the factor gamma twice", self.dx(g, self.gamma**2)
            yield "is divided by gamma instead of multiplied", self.dx(g, 1 / self.gamma)
            for k in range(2, self.gamma.size):
                if self.gamma.size % k == 0:
                    wrong = np.resize(self.gamma.ravel()[:k], self.gamma.size)
                    yield (
                        "takes gamma by the channel's place in its group: every channel has a gamma of its own",
                        self.dx(g, along(wrong, 1, g.ndim)),
                    )
            yield "takes gamma[0] for every channel", self.dx(g, np.full_like(self.gamma, self.gamma.flat[0]))
        for kind, shape, axes in kinds(self.x.shape):
            if shape == self.shape and axes != self.axes:
                yield (
                    f"takes its means over the axes {axes} ({kind}), but the forward over {self.axes} ({self.kind})",
                    self.dx(g, axes=axes),
                )
        if self.x.ndim == 4 and self.shape == self.x.shape:
            yield (
                f"takes its means over the batch alone, axis 0, but the forward over the axes {self.axes}",
                self.dx(g, axes=(0,)),
            )


def kinds(shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """(name, the shape in which it counts, axes of the mean)"""
    rest = tuple(range(2, len(shape)))
    yield "batch normalisation", shape, (0, *rest)
    yield "layer normalisation", shape, (1, *rest)
    if rest:
        yield "instance normalisation", shape, rest
        yield "layer normalisation over the last axis", shape, (len(shape) - 1,)
    n, c, *_ = shape
    for groups in range(2, c):
        if c % groups == 0:
            split = (n, groups, c // groups, *shape[2:])
            yield f"group normalisation in {groups} groups", split, tuple(range(2, len(split)))
