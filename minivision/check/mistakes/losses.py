"""Cross-entropy of classes and of pixels, with an ignored label and class weights; binary cross-entropy of logits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minivision.check.mistakes.elementwise import logistic, softmax
from minivision.check.mistakes.operation import Mistake, Operation, Scene, along


class CrossEntropy(Operation):
    """loss = sum over the pixels of weight[label] * -log softmax(x)[label], divided by `divisor`."""

    called = "cross-entropy"

    def __init__(
        self, x: np.ndarray, labels: np.ndarray, keep: np.ndarray, weight: np.ndarray, divisor: str, position: int
    ) -> None:
        self.x, self.labels, self.keep, self.weight, self.divisor, self.roles = x, labels, keep, weight, divisor, {"x": position}
        self.p, self.classes = softmax(x, 1), x.shape[1]
        self.w = np.where(keep, weight[np.where(keep, labels, 0)], 0)  # of each pixel

    @property
    def name(self) -> str:
        text = (
            f"{self.called} over axis 1, divided by {self.divisor}"
            if self.divisor != "1"
            else f"{self.called} over axis 1, summed"
        )
        text += f", {np.sum(~self.keep)} labels ignored" if not self.keep.all() else ""
        return text + (", with class weights" if (self.weight != 1).any() else "")

    @classmethod
    def of(cls, scene: Scene) -> CrossEntropy | None:
        if scene.y.size != 1:
            return None
        for position, x in scene.arrays(2, 3, 4):
            if x.shape[1] < 2:
                continue
            for labels in cls._labels(scene, position, x):
                keep = (labels >= 0) & (labels < x.shape[1])
                for ignored in (None, *np.unique(labels[keep])):  # a label within the range may be the ignored one
                    kept = keep if ignored is None else keep & (labels != ignored)
                    for _, weight in [(0, np.ones(x.shape[1])), *scene.vector(x.shape[1])]:
                        found = cls(x, labels, kept, weight, "1", position)
                        for divisor, value in found.divisors().items():
                            if value and abs(found.total() / value - scene.y.item()) <= 1e-8 * abs(scene.y.item()):
                                found.divisor = divisor
                                return found
        return None

    @staticmethod
    def _labels(scene: Scene, position: int, x: np.ndarray) -> Iterator[np.ndarray]:
        shape = (x.shape[0], *x.shape[2:])
        yield from scene.integers(shape)
        gradient = scene.measured.get(
            position
        )  # where the labels are hidden, the right gradient shows them: it is negative there
        if gradient is not None and np.isfinite(gradient).all():
            silent = np.abs(gradient).max(axis=1) < 1e-9 * np.abs(gradient).max(initial=1e-300)
            yield np.where(silent, -1, (gradient * np.sign(scene.g.item())).argmin(axis=1))

    def total(self) -> float:
        chosen = np.take_along_axis(self.p, np.where(self.keep, self.labels, 0)[:, None], axis=1)[:, 0]
        return float(-(self.w * np.log(chosen)).sum())

    def divisors(self) -> dict[str, float]:
        found = {"the sum of the weights of the labels": float(self.w.sum())} if (self.weight != 1).any() else {}
        found[
            "the number of labels that are not ignored"
            if not self.keep.all()
            else "N"
            if self.x.ndim == 2
            else "N * H * W, the number of pixels"
        ] = float(self.keep.sum())
        if self.x.ndim > 2:
            found["N, the number of images in the batch"] = float(len(self.x))
        if not self.keep.all():
            found["the number of all labels, ignored ones too"] = float(self.keep.size)
        return found | {"1": 1.0}

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        p, w, keep, c = self.p, self.w[:, None], self.keep[:, None], self.classes
        scale = g.item() / self.divisors()[self.divisor]
        hot = self._one_hot(self.labels)
        right = "dx = (softmax - one-hot) / divisor"
        gradient = scale * w * (p - hot)
        yield f"is the softmax alone: the one-hot of the labels (minus 1 at the true class) is missing; {right}", scale * w * p
        yield f"is minus the one-hot alone: the softmax is missing; {right}", -scale * w * hot
        yield f"has plus one at the true class, where 1 is to be subtracted; {right}", scale * w * (p + hot)
        yield "is the whole loss's, without dout: multiply by the upstream gradient", gradient / g.item()
        for name, value in self.divisors().items():
            if name != self.divisor and value:
                changed = gradient * self.divisors()[self.divisor] / value
                if name == "1":
                    yield (
                        f"is too large by the factor {self.divisors()[self.divisor]:g}: it is not divided by "
                        f"{self.divisor}, though the loss is",
                        changed,
                    )
                elif self.divisor == "1":
                    yield (
                        f"is too small by the factor {value:g}: it is divided by {name}, a mean over the labels, "
                        "but the loss is a sum",
                        changed,
                    )
                else:
                    yield (
                        f"is divided by {name} ({value:g}), but the loss by {self.divisor} ({self.divisors()[self.divisor]:g})",
                        changed,
                    )
        if self.divisor == "1":
            yield (
                f"is too small by the factor {self.keep.sum()}: it is a mean over the labels, but the loss is a sum",
                gradient / self.keep.sum(),
            )
        yield (
            f"is too large or too small: it is divided by the number of classes, {c}, and not by {self.divisor}",
            g.item() / c * w * (p - hot),
        )
        x = self.x
        yield f"has the logits where the softmax belongs: {right}", scale * w * (x - hot)
        yield f"has exp(x) where the softmax belongs, not divided by its sum: {right}", scale * w * (np.exp(x) - hot)
        yield f"has the log-softmax where the softmax belongs: {right}", scale * w * (np.log(p) - hot)
        yield f"is zero at the other classes: the coupling through the softmax is missing; {right}", scale * w * hot * (p - 1)
        yield (
            "is -1/p at the true class, the gradient to the probabilities: the derivative of the softmax is missing",
            -scale * w * hot / p,
        )
        yield "has only the one-hot divided, not the softmax: the mean belongs to both", g.item() * w * p - scale * w * hot
        yield "has only the softmax divided, not the one-hot: the mean belongs to both", scale * w * p - g.item() * w * hot
        for step in (-1, 1):
            yield f"has the labels off by one ({step:+d})", scale * w * (p - self._one_hot((self.labels + step) % c))
        if x.ndim == 2:
            counts = self._one_hot(self.labels).max(axis=0, keepdims=True)
            yield (
                "has 1 subtracted in every row, the whole column dx[:, labels]; index with [np.arange(N), labels]",
                scale * w * (p - counts),
            )
        for axis in range(x.ndim):
            if axis != 1 and x.shape[axis] > 1:
                yield f"has the softmax along the wrong axis, {axis} instead of 1", scale * w * (softmax(x, axis) - hot)
        if not self.keep.all():
            yield "gives the ignored labels a gradient; theirs is 0: they receive nothing", scale * (p - np.where(keep, hot, 0))
            for k, what in ((0, "class 0, the background"), (c - 1, f"the last class, {c - 1} (clipped, or read from the end)")):
                counted = self._one_hot(np.where(self.keep, self.labels, k))
                yield f"counts the ignored labels as {what}", scale * (p - counted)
        if (self.weight != 1).any():
            yield "has the class weights forgotten", g.item() / self.keep.sum() * keep * (p - hot)
            yield "has the class weights forgotten, except in the divisor", scale * keep * (p - hot)
            by_class = along(self.weight, 1, x.ndim)
            yield (
                "has each channel times its own class's weight: a pixel's weight is that of its label, for all its channels",
                scale * by_class * keep * (p - hot),
            )
            yield "has the weight on the one-hot only: it belongs to the softmax too", scale * (keep * p - w * hot)
            yield "has the weight squared: it is multiplied in twice", scale * w * w * (p - hot)

    def _one_hot(self, labels: np.ndarray) -> np.ndarray:
        return np.moveaxis((labels[..., None] == np.arange(self.classes)).astype(float), -1, 1)


class BinaryCrossEntropy(Operation):
    """loss = -(t log p + (1 - t) log(1 - p)) with p = sigmoid(x), summed or the mean."""

    called = "binary cross-entropy of logits"

    def __init__(self, x: np.ndarray, t: np.ndarray, divisor: float, position: int) -> None:
        self.x, self.t, self.divisor, self.roles = x, t, divisor, {"x": position}

    @classmethod
    def of(cls, scene: Scene) -> BinaryCrossEntropy | None:
        if scene.y.size != 1:
            return None
        for position, x in scene.arrays(*range(9)):
            gradient = scene.measured.get(position)
            targets = [
                a.astype(float) for a in scene.arguments if isinstance(a, np.ndarray) and a.shape == x.shape and a is not x
            ]
            if gradient is not None and np.isfinite(gradient).all():
                targets.append((gradient * np.sign(scene.g.item()) < 0).astype(float))
            for t in targets:
                total = float((np.logaddexp(0, x) - t * x).sum())
                for divisor in (x.size, 1, len(x) if x.ndim else 1):
                    if abs(total / divisor - scene.y.item()) <= 1e-8 * abs(scene.y.item()):
                        return cls(x, t, divisor, position)
        return None

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        x, t, p = self.x, self.t, logistic(self.x)
        scale, right = g.item() / self.divisor, "dx = (sigmoid(x) - t) / count"
        if self.divisor != 1:
            yield f"is too large by the factor {self.divisor:g}: the mean's 1/{self.divisor:g} is forgotten", g.item() * (p - t)
        for count, what in (
            (len(x), "N, the length of the batch"),
            (x.shape[-1], "the length of the last axis"),
            (x.size, "the number of entries"),
        ):
            if count != self.divisor:
                factor = self.divisor / count
                size = f"too large by the factor {factor:g}" if factor > 1 else f"too small by the factor {1 / factor:g}"
                yield f"is {size}: divided by {what} ({count}), but the loss by {self.divisor:g}", g.item() / count * (p - t)
        yield f"has the logits x where sigmoid(x) belongs: {right}", scale * (x - t)
        yield f"does not subtract the target: {right}", scale * p
        yield f"is minus the target alone: sigmoid(x) is missing; {right}", -scale * t
        yield (
            "is the gradient to the probabilities p: multiply by the sigmoid's derivative p (1 - p)",
            scale * (p - t) / (p * (1 - p)),
        )
        yield (
            f"has the sigmoid's derivative p (1 - p) once too often: it has cancelled already; {right}",
            scale * (p - t) * p * (1 - p),
        )
        yield "is zero where the target is 0: the term (1 - t) log(1 - p) of the negative class is missing", scale * t * (p - 1)
        yield "is zero where the target is 1: the term t log p of the positive class is missing", scale * (1 - t) * p
        yield "has the target inverted: 1 - t in place of t", scale * (p - (1 - t))
        yield f"has the prediction rounded at 0.5 where the probability belongs: {right}", scale * ((p > 0.5) - t)
