"""Losses for classes that occupy few pixels: the Dice loss counts overlap, the focal loss looks at what is still wrong."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.activation import log_softmax, softmax
from minivision.functions.loss import check_reduction, class_labels, negative_log_likelihood, reduced
from minivision.functions.operands import as_tensor, integer, need_float, need_same_device, not_negative, number


class Focal(Function):
    """y = (1 - p)^gamma l, with l = ln p;  dl = dy (1 - p)^gamma (1 - gamma p l / (1 - p))"""

    def __init__(self, gamma: float = 2.0):
        self.gamma = gamma

    def forward(self, log_p: Array) -> Array:
        xp = xp_of(log_p)
        self.log_p, self.rest = log_p, -xp.expm1(log_p)  # 1 - p
        self.factor = self.rest**self.gamma
        return self.factor * log_p

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        one = xp.ones_like(self.rest)
        # l / (1 - p) -> -1 for p -> 1, and p l -> 0 for p -> 0
        ratio = xp.where(self.rest == 0, -one, self.log_p / xp.where(self.rest == 0, one, self.rest))
        p = 1 - self.rest
        return dy * self.factor * (1 - self.gamma * xp.where(p == 0, xp.zeros_like(p), p * ratio))


# ---- what users call ----


def focal_loss(
    input: Any, target: Any, weight: Any = None, gamma: float = 2.0, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """-(1 - p)^gamma ln p, with p the softmax probability of the true class: pixels that are right already count little.

    Lin et al. 2017 (arXiv:1708.02002), for any number of classes; gamma = 0 is `cross_entropy`. The shapes, `weight` (the paper's
    alpha, one for each class), `ignore_index` and `reduction` are those of `cross_entropy`.

    Raises ValueError for a negative gamma, for shapes that do not belong together and for labels out of range.
    """
    op = "focal_loss"
    x, t = as_tensor(op, "input", input), as_tensor(op, "target", target)
    need_float(op, input=x)
    need_same_device(op, input=x, target=t)
    check_reduction(op, reduction)
    gamma = number(op, "gamma", gamma)
    if gamma < 0:
        raise ValueError(f"{op}: gamma={gamma} must not be negative; 0 gives cross_entropy, 2 is the paper's")
    if x.ndim == 0:
        raise ValueError(f"{op}: input is a single number; scores need a class axis: (N, C) or (N, C, H, W)")
    if t.is_floating_point():
        raise TypeError(f"{op}: target is {t.dtype} {t.shape}, but must hold integer labels; convert it with .long()")
    log_p = log_softmax(x, dim=min(x.ndim - 1, 1))
    return negative_log_likelihood(op, Focal(gamma)(log_p), t, weight, ignore_index, reduction)


def dice_loss(input: Any, target: Any, ignore_index: int = -100, smooth: float = 1.0, reduction: str = "mean") -> Tensor:
    """1 - (2 sum p q + smooth) / (sum p + sum q + smooth) for each class, with p the softmax and q the one-hot labels.

    The sums run over all pixels of the batch that are not ignored, so a class counts the same whether it covers much or little.
    `smooth` keeps a class that is absent from dividing 0 by 0: its loss is then 0. Milletari et al. 2016 (arXiv:1606.04797),
    with plain sums in the denominator as in most implementations.

    Parameters
    ----------
    input: scores (N, C, ...); not probabilities.
    target: integer labels (N, ...) in 0 .. C-1.
    reduction: over the classes: "mean", "sum" or "none", which gives (C,).

    Raises ValueError for shapes that do not belong together and for labels out of range.
    """
    op = "dice_loss"
    x, t = as_tensor(op, "input", input), as_tensor(op, "target", target)
    need_float(op, input=x)
    need_same_device(op, input=x, target=t)
    if x.ndim < 2:
        raise ValueError(f"{op}: input has shape {x.shape}, but scores need a batch and a class axis: (N, C) or (N, C, H, W)")
    if t.is_floating_point():
        raise TypeError(f"{op}: target is {t.dtype} {t.shape}, but must hold integer labels; convert it with .long()")
    check_reduction(op, reduction)
    smooth = not_negative(op, "smooth", smooth)
    labels = class_labels(op, x, t, integer(op, "ignore_index", ignore_index))
    xp = xp_of(labels)
    classes = xp.arange(x.shape[1]).reshape(-1, *(1,) * (x.ndim - 2))
    one_hot = Tensor._wrap((xp.expand_dims(labels, 1) == classes).astype(x.dtype))  # (N, C, *size), 0 where ignored
    counted = Tensor._wrap(xp.expand_dims(labels >= 0, 1).astype(x.dtype))
    p = softmax(x, dim=1) * counted
    pixels = (0, *range(2, x.ndim))
    overlap = (p * one_hot).sum(pixels)  # (C,)
    size = p.sum(pixels) + one_hot.sum(pixels)
    return reduced(op, 1 - (2 * overlap + smooth) / (size + smooth), reduction)
