"""Losses for numbers: absolute, squared, and the two that go from one to the other (smooth L1, Huber)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.arithmetic import abs_, square, sub
from minivision.functions.loss import check_reduction, reduced
from minivision.functions.operands import as_tensor, check_broadcast, need_same_device, number


class SmoothL1(Function):
    """y = d^2 / (2 beta) where |d| < beta, else |d| - beta / 2;  dd = dy d / beta there, else dy sign(d)"""

    def __init__(self, beta: float = 1.0):
        self.beta = beta

    def forward(self, d: Array) -> Array:
        xp = xp_of(d)
        size = abs(d)
        self.near = size < self.beta
        self.slope = xp.where(self.near, d / self.beta, xp.sign(d))
        return xp.where(self.near, d * d / (2 * self.beta), size - self.beta / 2)

    def backward(self, dy: Array) -> Array:
        return dy * self.slope

    def decisions(self) -> dict[str, Array]:
        return {"near": self.near}


# ---- what users call ----


def mse_loss(
    input: Any, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean", weight: Any = None
) -> Tensor:
    """The squared difference, elementwise; "mean", "sum" or "none".

    Shapes should be equal; others are broadcast with a warning, as in PyTorch. `weight` (the input's shape) multiplies the
    losses, and "mean" then divides by its sum. Raises ValueError for shapes that do not broadcast and for unknown reductions.
    """
    op = "mse_loss"
    check_reduction(op, reduction, size_average, reduce)
    w = _checked_weight(op, input, weight)
    return _weighted(op, square(_difference(op, input, target)), w, reduction)


def l1_loss(
    input: Any, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean", weight: Any = None
) -> Tensor:
    """The absolute difference, elementwise; "mean", "sum" or "none". Shapes, `weight` and errors as in `mse_loss`."""
    op = "l1_loss"
    check_reduction(op, reduction, size_average, reduce)
    w = _checked_weight(op, input, weight)
    return _weighted(op, abs_(_difference(op, input, target)), w, reduction)


def smooth_l1_loss(
    input: Any, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """The loss of box regression: d^2 / (2 beta) where the difference d is below beta, |d| - beta / 2 elsewhere.

    beta = 0 is `l1_loss`. Girshick 2015 (arXiv:1504.08083), where beta is 1. Shapes as in `mse_loss`. Raises ValueError for a
    negative beta.
    """
    op = "smooth_l1_loss"
    check_reduction(op, reduction, size_average, reduce)
    beta = number(op, "beta", beta)
    if beta < 0:
        raise ValueError(f"{op}: beta={beta} is a distance and must not be negative")
    d = _difference(op, input, target)
    return reduced(op, SmoothL1(beta)(d) if beta else abs_(d), reduction)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Tensor:
    """d^2 / 2 where the difference d is at most delta, delta (|d| - delta / 2) elsewhere: delta times smooth L1.

    Huber 1964. Shapes as in `mse_loss`; `weight` (the input's shape) multiplies the losses, and "mean" is over their number.
    Raises ValueError unless delta is positive.
    """
    op = "huber_loss"
    check_reduction(op, reduction)
    delta = number(op, "delta", delta)
    if delta <= 0:
        raise ValueError(f"{op}: delta={delta} is the distance where the parabola ends and must be positive")
    w = _checked_weight(op, input, weight)
    losses = SmoothL1(delta)(_difference(op, input, target)) * delta
    return reduced(op, losses if w is None else losses * w, reduction)


def _difference(op: str, input: Any, target: Any) -> Tensor:
    x, t = as_tensor(op, "input", input), as_tensor(op, "target", target)
    if not (x.is_floating_point() or t.is_floating_point()):
        raise TypeError(f"{op}: input is {x.dtype} {x.shape} and target {t.dtype} {t.shape}; convert them with .float()")
    if x.dtype == np.bool_:
        raise TypeError(f"{op}: input is bool {x.shape}, but must be numbers; convert it with .float()")
    t = t.to(x.dtype) if t.dtype == np.bool_ else t  # a mask as target: 0 and 1
    need_same_device(op, input=x, target=t)
    if x.shape != t.shape:
        check_broadcast(op, [x.shape, t.shape], ("input", "target"))
        warnings.warn(
            f"{op}: input has shape {x.shape}, but target has {t.shape}; they are broadcast, which is rarely meant; give both "
            "the same shape",
            stacklevel=3,
        )
    return sub(x, t)


def _weighted(op: str, losses: Tensor, w: Tensor | None, reduction: str) -> Tensor:
    if w is None:
        return reduced(op, losses, reduction)
    losses = losses * w
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.sum() / w.sum()


def _checked_weight(op: str, input: Any, weight: Any) -> Tensor | None:
    if weight is None:
        return None
    x, w = as_tensor(op, "input", input), as_tensor(op, "weight", weight)
    need_same_device(op, input=x, weight=w)
    if w.shape != x.shape:
        raise ValueError(f"{op}: weight has shape {w.shape}, but input has {x.shape}; each number needs a weight")
    return w
