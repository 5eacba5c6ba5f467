"""The derivative by its definition, and how far two arrays are apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minivision.autograd import Tensor, no_grad
from minivision.backend import Array, device_of, to_device, to_numpy
from minivision.functions.operands import as_tensor, positive, shown


def numerical_gradient(fn: Callable[[Any], Any], x: Any, upstream: Any = None, h: float = 1e-5) -> Any:
    """The gradient of sum(upstream * fn(x)) to x by central differences: (f(x + h) - f(x - h)) / 2h, one entry of x at a time.

    Parameters
    ----------
    fn: gets what `x` is, a Tensor or an array, of x's shape; a copy each time. It may return either, or a number.
    x: of floating dtype. The differences are taken in float64, whatever x is.
    upstream: of the shape of fn(x); may be left out where fn(x) is a single number. Best drawn at random: with ones, errors
        of opposite sign cancel.
    h: the step. The error is O(h^2) from the series plus O(1e-16 / h) from rounding, least near 1e-5 for values near 1.

    Returns the gradient in float64, as a Tensor or an array like x.

    It is wrong within h of a kink (a ReLU near 0, two nearly equal values under a maximum). Raises TypeError for integers,
    ValueError for an upstream that does not have the shape of fn(x).
    """
    if not callable(fn):
        raise TypeError(f"numerical_gradient: fn={shown(fn)} must be a function of x")
    numbers = as_tensor("numerical_gradient", "x", x)
    given = numbers.array if hasattr(x, "dtype") else np.asarray(x, np.float64)
    if given.dtype.kind != "f":
        raise TypeError(f"numerical_gradient: x is {given.dtype} {given.shape}, but a step of {h} needs a floating dtype")
    h = positive("numerical_gradient", "h", h)
    device = device_of(given)

    def like_x(values: np.ndarray) -> Any:
        array = to_device(values, device)
        return Tensor(array) if isinstance(x, Tensor) else array

    def f(values: np.ndarray) -> np.ndarray:
        with no_grad():
            return as_numpy(fn(like_x(values.copy()))).astype(np.float64)

    point = np.array(to_numpy(given), np.float64)
    shape = f(point).shape
    if upstream is None and np.prod(shape) != 1:
        raise ValueError(f"numerical_gradient: fn(x) has shape {shape}, not a single number; pass an upstream of that shape")
    weights = np.ones(shape) if upstream is None else as_numpy(upstream)
    if weights.shape != shape:
        raise ValueError(f"numerical_gradient: upstream has shape {weights.shape}, but fn(x) has {shape}")

    gradient = np.empty_like(point)
    for index in np.ndindex(point.shape):
        centre = point[index]
        point[index] = centre + h
        above = f(point)
        point[index] = centre - h
        below = f(point)
        point[index] = centre
        gradient[index] = np.sum(weights * (above - below)) / (2 * h)
    return like_x(gradient)


def relative_error(a: Any, b: Any, floor: float = 1e-8) -> float:
    """The largest |a - b| / (|a| + |b|) over all entries, as in CS231n; 0 where they agree, 1 where the signs differ.

    `floor` is the least denominator, so that noise around 0 does not count as an error of 100 %. Raises ValueError for different
    shapes; NaN in either makes the result NaN. As a rule, in float64: below 1e-7 is right, above 1e-2 is wrong, and in between
    are kinks.
    """
    first, second = (as_tensor("relative_error", name, v).numpy() for name, v in (("a", a), ("b", b)))
    floor = positive("relative_error", "floor", floor)
    if first.shape != second.shape:
        raise ValueError(f"relative_error: a has shape {first.shape}, but b has {second.shape}")
    first, second = first.astype(np.float64), second.astype(np.float64)
    if not first.size:
        return 0.0
    return float(np.max(abs(first - second) / np.maximum(abs(first) + abs(second), floor)))


def as_numpy(value: Tensor | Array | float) -> np.ndarray:
    """A Tensor, an array of any device, or a number, as a NumPy array."""
    if isinstance(value, Tensor):
        return value.numpy()
    return to_numpy(value) if hasattr(value, "dtype") and hasattr(value, "get") else np.asarray(value)
