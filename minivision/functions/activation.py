"""Activations and the softmax family."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.operands import as_tensor, axis, float_tensor, need_float, number


class ReLU(Function):
    """y = max(x, 0);  dx = dy where x > 0, so 0 at 0"""

    def forward(self, x: Array) -> Array:
        self.positive = x > 0
        return xp_of(x).maximum(x, 0)

    def backward(self, dy: Array) -> Array:
        return dy * self.positive

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.positive}


class LeakyReLU(Function):
    """y = x where x > 0, else slope x;  dx = dy where x > 0, else slope dy"""

    def __init__(self, slope: float):
        self.slope = slope

    def forward(self, x: Array) -> Array:
        self.positive = x > 0
        return xp_of(x).where(self.positive, x, self.slope * x)

    def backward(self, dy: Array) -> Array:
        return xp_of(dy).where(self.positive, dy, self.slope * dy)

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.positive}


class Sigmoid(Function):
    """y = 1 / (1 + e^-x);  dx = dy y (1 - y)"""

    def forward(self, x: Array) -> Array:
        # e^-|x| cannot overflow: y = 1 / (1 + e^-|x|) for x >= 0, and e^-|x| times that for x < 0
        xp = xp_of(x)
        e = xp.exp(-abs(x))
        self.y = xp.where(x >= 0, xp.ones_like(e), e) / (1 + e)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y * (1 - self.y)


class Tanh(Function):
    """y = tanh x;  dx = dy (1 - y^2)"""

    def forward(self, x: Array) -> Array:
        self.y = xp_of(x).tanh(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (1 - self.y * self.y)


class Softmax(Function):
    """y_i = e^(x_i) / sum_j e^(x_j) along an axis;  dx = y (dy - sum_j dy_j y_j): every output depends on every input"""

    def __init__(self, axis: int):
        self.axis = axis

    def forward(self, x: Array) -> Array:
        e = xp_of(x).exp(x - x.max(axis=self.axis, keepdims=True))  # subtracting the maximum changes nothing but overflow
        self.y = e / e.sum(axis=self.axis, keepdims=True)
        return self.y

    def backward(self, dy: Array) -> Array:
        weighted = dy * self.y
        return weighted - self.y * weighted.sum(axis=self.axis, keepdims=True)


class LogSoftmax(Function):
    """y_i = x_i - ln(sum_j e^(x_j)) along an axis;  dx = dy - e^y sum_j dy_j"""

    def __init__(self, axis: int):
        self.axis = axis

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        centred = x - x.max(axis=self.axis, keepdims=True)
        self.y = centred - xp.log(xp.exp(centred).sum(axis=self.axis, keepdims=True))
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy - xp_of(dy).exp(self.y) * dy.sum(axis=self.axis, keepdims=True)


# ---- what users call ----


def relu(input: Any, inplace: bool = False) -> Tensor:
    """max(input, 0), elementwise; the derivative at 0 is 0. `inplace` is accepted for PyTorch's sake and changes nothing."""
    x = as_tensor("relu", "input", input)
    if x.dtype == np.bool_:
        raise TypeError(f"relu: input is bool {x.shape}, which has no zero to cut at; convert it with .float()")
    return ReLU()(x)


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
