"""ReLU and leaky ReLU, sigmoid, softmax and log-softmax, and y = x w + b."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minivision.check.mistakes.operation import Mistake, Operation, Scene, bias_mistakes


class Relu(Operation):
    """y = x where x > 0, slope * x elsewhere."""

    called = "ReLU"

    def __init__(self, x: np.ndarray, slope: float, position: int) -> None:
        self.x, self.slope, self.roles = x, slope, {"x": position}

    @property
    def name(self) -> str:
        return f"leaky ReLU with slope {self.slope:g}" if self.slope else "ReLU"

    @classmethod
    def of(cls, scene: Scene) -> Relu | None:
        for position, x in scene.arrays(*range(9)):
            if x.shape != scene.y.shape or not (x < 0).any() or not (x > 0).any():
                continue
            k = np.unravel_index(np.argmin(x), x.shape)
            slope = float(np.round(scene.y[k] / x[k], 9))
            if slope != 1 and scene.is_the_output(np.where(x > 0, x, slope * x)):
                return cls(x, slope, position)
        return None

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        x, slope = self.x, self.slope
        yield "takes the mask of dout (dout > 0) instead of that of x (x > 0)", g * np.where(g > 0, 1, slope)
        yield (
            "takes the mask of dout (dout > 0) as well as that of x: the mask x > 0 alone decides",
            np.where(g > 0, g, 0) * np.where(x > 0, 1, slope),
        )
        yield "has the mask inverted: it passes where x < 0 and stops where x > 0", g * np.where(x < 0, 1, 0)
        yield "is dout * sign(x), the derivative of |x|: where x < 0 the gradient is 0", g * np.sign(x)
        for threshold in (1.0, 0.5, -1.0):
            yield f"has the mask x > {threshold:g}; the threshold is 0", g * np.where(x > threshold, 1, slope)
        yield "is dout * x: the mask (x > 0) is missing, and the factor is not x but 1", g * x
        yield "is dout * y: the factor is the mask (x > 0), not the output", g * np.where(x > 0, x, slope * x)
        yield "is the mask alone: multiply by the upstream gradient dout", np.where(x > 0, 1.0, slope)
        if slope:
            yield "is zero where x < 0: there the slope is missing", g * (x > 0)
            yield "has the slope on the wrong side: it belongs where x < 0", g * np.where(x > 0, slope, 1)
            yield "has the slope everywhere; where x > 0 the factor is 1", g * slope
            yield "has the slope squared: it is multiplied in twice", g * np.where(x > 0, 1, slope**2)
            yield "has 1 / slope in place of the slope", g * np.where(x > 0, 1, 1 / slope)
            yield "has the slope with the wrong sign", g * np.where(x > 0, 1, -slope)
            yield "lacks the upstream gradient where x > 0", np.where(x > 0, 1, g * slope)
            yield "lacks the upstream gradient where x < 0", np.where(x > 0, g, slope)


class Sigmoid(Operation):
    """y = 1 / (1 + exp(-x)), dy/dx = y (1 - y)."""

    called = "sigmoid"

    def __init__(self, x: np.ndarray, y: np.ndarray, position: int) -> None:
        self.x, self.y, self.roles = x, y, {"x": position}

    @classmethod
    def of(cls, scene: Scene) -> Sigmoid | None:
        for position, x in scene.arrays(*range(9)):
            if scene.is_the_output(logistic(x)):
                return cls(x, scene.y, position)
        return None

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        x, y = self.x, self.y
        yield "is y (1 - y) alone: multiply by the upstream gradient dout", y * (1 - y)
        yield "is dout * y: the factor 1 - y is missing", g * y
        yield "is dout * (1 - y): the factor y is missing", g * (1 - y)
        yield "has x (1 - x), with x where y belongs: the derivative is y (1 - y)", g * x * (1 - x)
        s = logistic(y)
        yield "applies the sigmoid twice: y is already the sigmoid, the derivative is y (1 - y)", g * s * (1 - s)
        yield "is dout * (1 - y^2), the derivative of tanh; that of the sigmoid is y (1 - y)", g * (1 - y**2)
        yield "is dout * (1 - dout): the derivative y (1 - y) is missing", g * (1 - g)
        yield "has y squared: the derivative is y (1 - y)", g * y * y


class Softmax(Operation):
    """y = exp(x) / sum exp(x) along an axis; dx = y (dout - sum(dout y))."""

    called = "softmax"

    def __init__(self, x: np.ndarray, axis: int, position: int) -> None:
        self.x, self.axis, self.y, self.roles = x, axis, softmax(x, axis), {"x": position}

    @property
    def name(self) -> str:
        return f"{self.called} along axis {self.axis}"

    @classmethod
    def of(cls, scene: Scene) -> Softmax | None:
        for position, x in scene.arrays(1, 2, 3, 4):
            for axis in range(x.ndim):
                y = softmax(x, axis)
                if x.shape == scene.y.shape and x.shape[axis] > 1 and scene.is_the_output(y if cls is Softmax else np.log(y)):
                    return cls(x, axis, position)
        return None

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        y, axis = self.y, self.axis

        def total(t: np.ndarray, over: int | None = axis) -> np.ndarray:
            return np.asarray(t.sum(axis=over, keepdims=True))

        right = "dx = y (dout - sum(dout y))"
        yield f"is dout * y: the coupling of the classes is missing, the sum over dout * y; {right}", g * y
        yield f"is only the diagonal, dout y (1 - y): the coupling of the classes is missing; {right}", g * y * (1 - y)
        yield f"subtracts the sum of dout where the sum of dout * y belongs; {right}", y * (g - total(g))
        yield f"lacks the factor y in front: {right}", g - total(g * y)
        yield f"adds the sum where a minus belongs: {right}", y * (g + total(g * y))
        yield f"has the mean over the classes where the sum belongs: {right}", y * (g - total(g * y) / y.shape[axis])
        yield f"subtracts the mean of dout where the sum of dout * y belongs; {right}", y * (g - g.mean(axis=axis, keepdims=True))
        yield f"takes the sum over all axes: sum along axis {axis} only", y * (g - total(g * y, None))
        for other in range(y.ndim):
            if other != axis:
                yield f"takes the sum along the wrong axis, {other} instead of {axis}", y * (g - total(g * y, other))
        yield "is y - dout, as after cross-entropy, where dout is taken for the target", y - g


class LogSoftmax(Softmax):
    """y = x - log sum exp(x); dx = dout - exp(y) sum(dout)."""

    called = "log-softmax"

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        p, axis = self.y, self.axis
        y, total = np.log(p), g.sum(axis=axis, keepdims=True)
        right = "dx = dout - exp(y) sum(dout)"
        yield f"multiplies by dout where the sum of dout over the classes belongs: {right}", g - p * g
        yield f"has dout summing to one: {right}", g - p
        yield f"has y where exp(y), the probabilities, belong: {right}", g - y * total
        yield f"has the mean of dout over the classes where the sum belongs: {right}", g - p * g.mean(axis=axis, keepdims=True)
        yield f"is the gradient of softmax, not of its logarithm: {right}", p * (g - (g * p).sum(axis=axis, keepdims=True))
        for other in range(y.ndim):
            if other != axis:
                yield f"takes the sum along the wrong axis, {other} instead of {axis}", g - p * g.sum(axis=other, keepdims=True)


class Affine(Operation):
    """y = x w + b, or x w^T + b with the weight as nn.Linear keeps it."""

    called = "a matrix product"

    def __init__(self, x: np.ndarray, w: np.ndarray, flipped: bool, roles: dict[str, int]) -> None:
        self.x, self.w, self.flipped, self.roles = x, w, flipped, roles

    @classmethod
    def of(cls, scene: Scene) -> Affine | None:
        if scene.y.ndim != 2:
            return None
        for at_x, x in scene.arrays(2):
            for at_w, w in scene.arrays(2):
                for flipped, product in ((False, w), (True, w.T)):
                    if at_x == at_w or x.shape[1] != product.shape[0] or (len(x), product.shape[1]) != scene.y.shape:
                        continue
                    rest = scene.y - x @ product
                    if np.allclose(rest, rest[:1], atol=1e-9):
                        roles = {"x": at_x, "w": at_w}
                        biases = [at for at, b in scene.arrays(1, 2) if at not in (at_x, at_w) and b.size == rest.shape[1]]
                        roles |= {"b": biases[0]} if biases else {}
                        return cls(x, w, flipped, roles)
        return None

    def mistakes(self, role: str, g: np.ndarray) -> Iterator[Mistake]:
        w = self.w.T if self.flipped else self.w
        if role == "x" and w.shape[0] == w.shape[1]:
            yield "uses w not transposed: y = x w gives dx = dout w^T", g @ w
        elif role == "w":
            if len(g) == self.x.shape[1] and len(g) == len(self.x):
                yield "uses x not transposed: y = x w gives dw = x^T dout", (self.x @ g).T if self.flipped else self.x @ g
        elif role == "b":
            yield from bias_mistakes(g)


def logistic(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -x))


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(e / e.sum(axis=axis, keepdims=True))
