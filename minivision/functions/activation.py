"""Activations and the softmax family."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.blocks import in_blocks
from minivision.functions import class_blocks
from minivision.functions.operands import as_tensor, axis, float_tensor, need_float, number
from minivision.functions.overwriting import overwrite
from minivision.functions.selecting import BLOCK, keep_only, take_where
from minivision.memory import empty_like


class ReLU(Function):
    """y = max(x, 0);  dx = dy where x > 0, so 0 at 0

    Backward asks where x > 0, which is where y > 0. So it keeps its output: the next layer mostly keeps that array too, as its
    input, and then it takes no memory at all; a mask would be one more array to write, to keep and to read. It is also what lets
    `inplace` write y over x.
    """

    def __init__(self, inplace: bool = False):
        self.inplace = self.is_view = inplace

    def forward(self, x: Array) -> Array:
        if x.size <= _MANY and not self.inplace:
            self.y = y = xp_of(x).maximum(x, _zero_like(x))
            return y
        self.y = x if self.inplace else empty_like(x)
        in_blocks(_maximum_with_zero, x, self.y, block=BLOCK)
        return self.y

    def backward(self, dy: Array) -> Array:
        if dy.size <= _MANY:
            xp, zero = xp_of(dy), _zero_like(dy)
            return xp.where(xp.greater(self.y, zero), dy, zero)
        dx = empty_like(self.y, dy.dtype)
        in_blocks(lambda dy, y, dx: keep_only(y > 0, dy, dx), dy, self.y, dx, block=BLOCK)
        return dx

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.y > 0}


def _zero_like(x: Array) -> Any:
    # NumPy takes a number to pieces first; an array of no axes it takes as it is, in a third of the time
    return _ZERO if type(x) is np.ndarray and x.dtype == _ZERO.dtype else 0


def _maximum_with_zero(x: Array, y: Array) -> None:
    # NumPy takes the maximum of two arrays three times faster than that of an array and a number
    few = type(x) is not np.ndarray or not x.ndim or x.size <= _MANY or x.shape[-1] > len(_ZEROS)
    xp_of(x).maximum(x, 0 if few or x.dtype != _ZEROS.dtype else _ZEROS[: x.shape[-1]], out=y)


_MANY = 1 << 10
_ZERO = np.zeros((), np.float32)
_ZEROS = np.zeros(BLOCK + 16, np.float32)


class LeakyReLU(Function):
    """y = x where x > 0, else slope x;  dx = dy where x > 0, else slope dy"""

    def __init__(self, slope: float):
        self.slope = slope

    def forward(self, x: Array) -> Array:
        y, self.positive = empty_like(x), empty_like(x, bool)
        in_blocks(self._bend, x, self.positive, y, block=BLOCK)
        return y

    def backward(self, dy: Array) -> Array:
        dx = empty_like(self.positive, dy.dtype)
        in_blocks(self._scale, dy, self.positive, dx, block=BLOCK)
        return dx

    def _bend(self, x: Array, positive: Array, y: Array) -> None:
        xp = xp_of(x)
        xp.greater(x, 0, out=positive)
        if 0 < self.slope <= 1:
            xp.multiply(x, self.slope, out=y)
            xp.maximum(x, y, out=y)
        else:
            self._scale(x, positive, y)

    def _scale(self, x: Array, positive: Array, y: Array) -> None:
        xp_of(x).multiply(x, self.slope, out=y)
        take_where(positive, x, y, y)

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.positive}


class Sigmoid(Function):
    """y = 1 / (1 + e^-x);  dx = dy y (1 - y)"""

    def forward(self, x: Array) -> Array:
        self.y = empty_like(x)
        in_blocks(logistic, x, self.y)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx = empty_like(self.y)
        in_blocks(_times_logistic_slope, dy, self.y, dx)
        return dx


def logistic(x: Array, y: Array) -> None:
    """y = 1 / (1 + e^-x), without overflow: e^-|x| <= 1, and y = 1 / (1 + e^-|x|) for x >= 0, e^-|x| times that for x < 0."""
    xp = xp_of(x)
    e = xp.exp(-abs(x))
    xp.maximum(e, x >= 0, out=y)  # 1 or e
    y /= 1 + e


def _times_logistic_slope(dy: Array, y: Array, dx: Array) -> None:
    xp_of(y).subtract(1, y, out=dx)
    dx *= y
    dx *= dy


class Tanh(Function):
    """y = tanh x;  dx = dy (1 - y^2)"""

    def forward(self, x: Array) -> Array:
        self.y = empty_like(x)
        in_blocks(lambda x, y: xp_of(x).tanh(x, out=y), x, self.y)
        return self.y

    def backward(self, dy: Array) -> Array:
        dx = empty_like(self.y)
        in_blocks(_times_tanh_slope, dy, self.y, dx)
        return dx


def _times_tanh_slope(dy: Array, y: Array, dx: Array) -> None:
    xp = xp_of(y)
    xp.multiply(y, y, out=dx)
    xp.subtract(1, dx, out=dx)
    dx *= dy


class Softmax(Function):
    """y_i = e^(x_i) / sum_j e^(x_j) along an axis;  dx = y (dy - sum_j dy_j y_j): every output depends on every input"""

    def __init__(self, axis: int):
        self.axis = axis

    def forward(self, x: Array) -> Array:
        if self.axis == 1 and class_blocks.worth_blocks(x):
            self.y = class_blocks.softmax(x)
            return self.y
        e = xp_of(x).exp(x - x.max(axis=self.axis, keepdims=True))  # subtracting the maximum changes nothing but overflow
        self.y = e / e.sum(axis=self.axis, keepdims=True)
        return self.y

    def backward(self, dy: Array) -> Array:
        if self.axis == 1 and class_blocks.worth_blocks(self.y):
            return class_blocks.softmax_gradient(self.y, dy)
        weighted = dy * self.y
        return weighted - self.y * weighted.sum(axis=self.axis, keepdims=True)


class LogSoftmax(Function):
    """y_i = x_i - ln(sum_j e^(x_j)) along an axis;  dx = dy - e^y sum_j dy_j"""

    def __init__(self, axis: int):
        self.axis = axis

    def forward(self, x: Array) -> Array:
        if self.axis == 1 and class_blocks.worth_blocks(x):
            self.y = class_blocks.softmax(x, logarithm=True)
            return self.y
        xp = xp_of(x)
        centred = x - x.max(axis=self.axis, keepdims=True)
        self.y = centred - xp.log(xp.exp(centred).sum(axis=self.axis, keepdims=True))
        return self.y

    def backward(self, dy: Array) -> Array:
        if self.axis == 1 and class_blocks.worth_blocks(self.y):
            return class_blocks.softmax_gradient(self.y, dy, logarithm=True)
        return dy - xp_of(dy).exp(self.y) * dy.sum(axis=self.axis, keepdims=True)


# ---- what users call ----


def relu(input: Any, inplace: bool = False) -> Tensor:
    """max(input, 0), elementwise; the derivative at 0 is 0.

    With `inplace` the result takes the input's place, in memory and in the graph, and is returned: an activation less to keep.
    Raises RuntimeError where the input's values must stay: for a leaf that requires a gradient, and for a view of another tensor
    of the graph. An earlier operation that needs them says so at its backward.
    """
    return rectified("relu", input, inplace)


def rectified(op: str, input: Any, inplace: bool) -> Tensor:
    """The ReLU, under the name that error messages shall give."""
    x = as_tensor(op, "input", input)
    if x.dtype == np.bool_:
        raise TypeError(f"{op}: input is bool {x.shape}, which has no zero to cut at; convert it with .float()")
    return overwrite(op, ReLU(inplace=True), x) if inplace else ReLU()(x)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input where positive, `negative_slope` * input elsewhere; the derivative at 0 is the slope."""
    op = "leaky_relu"
    return LeakyReLU(number(op, "negative_slope", negative_slope))(float_tensor(op, "input", input))


def sigmoid(input: Any) -> Tensor:
    """1 / (1 + e^-input), elementwise, without overflow."""
    return Sigmoid()(float_tensor("sigmoid", "input", input))


def tanh(input: Any) -> Tensor:
    """The hyperbolic tangent, elementwise."""
    return Tanh()(float_tensor("tanh", "input", input))


def softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Tensor:
    """Non-negative weights along `dim` that add up to 1. For scores (N, C, H, W) of pixels the class axis is dim=1."""
    return normalized("softmax", Softmax, input, dim, dtype)


def log_softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax`, computed without taking the logarithm of a small number."""
    return normalized("log_softmax", LogSoftmax, input, dim, dtype)


def normalized(op: str, function: Any, input: Any, dim: int | None, dtype: Any) -> Tensor:
    """The softmax or its logarithm, under the name that error messages shall give."""
    x = as_tensor(op, "input", input)
    x = x if dtype is None else x.to(dtype)
    need_float(op, input=x)
    if dim is None:
        raise ValueError(f"{op}: give dim, the axis of the classes (dim=1 for scores (N, C, H, W)); input has shape {x.shape}")
    along = axis(op, dim, x.shape)
    if x.ndim == 0:
        return function(0)(x.reshape(1)).reshape(())
    if x.shape[along] == 0:
        return x.clone()
    return function(along)(x)
