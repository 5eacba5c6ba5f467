"""Losses with a margin: what is right must score higher than what is wrong by a margin, and beyond it nothing is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, check_same_device, scatter_add, xp_of
from minivision.functions.activation import Sigmoid
from minivision.functions.arithmetic import minimum, sqrt, where
from minivision.functions.clamping import clamp
from minivision.functions.distance import pairwise_distance
from minivision.functions.loss import check_reduction, reduced
from minivision.functions.operands import (
    as_tensor,
    check_broadcast,
    float_tensor,
    need_float,
    need_same_device,
    number,
    shown,
)
from minivision.functions.smooth_activation import logsigmoid


class MarginRanking(Function):
    """l = max(0, m - t (a - b));  where that is at least 0: da = -dl t,  db = dl t,  dt = -dl (a - b)"""

    broadcasts = True

    def __init__(self, margin: float = 0.0):
        self.margin = margin

    def forward(self, a: Array, b: Array, t: Array) -> Array:
        self.difference, self.t = a - b, t
        missing = self.margin - t * self.difference
        self.violated = missing >= 0
        return xp_of(a, b, t).maximum(missing, 0)

    def backward(self, dy: Array) -> tuple[Array, Array, Array]:
        share = dy * self.violated
        return -share * self.t, share * self.t, -share * self.difference

    def decisions(self) -> dict[str, Array]:
        return {"violated": self.violated}


class HingeEmbedding(Function):
    """l = x for similar pairs (t = 1), max(0, m - x) for dissimilar ones (t = -1);  dx = dl, and -dl where m - x >= 0"""

    def __init__(self, target: Array, margin: float = 1.0):
        # a target that is neither counts as both, as in PyTorch
        self.similar, self.dissimilar, self.margin = target != -1, target != 1, margin

    def forward(self, x: Array) -> Array:
        missing = self.margin - x
        self.near = missing >= 0
        return x * self.similar + xp_of(x).maximum(missing, 0) * self.dissimilar

    def backward(self, dy: Array) -> Array:
        return dy * self.similar - dy * (self.dissimilar & self.near)

    def decisions(self) -> dict[str, Array]:
        return {"nearer than the margin": self.near}


class SoftMargin(Function):
    """l = ln(1 + e^(-t x)), the logistic loss for t = 1 and -1;  dx = -dl t / (1 + e^(t x))"""

    def __init__(self, target: Array):
        self.t = target

    def forward(self, x: Array) -> Array:
        self.tx = self.t * x
        return xp_of(x).logaddexp(-self.tx, xp_of(x).zeros_like(x))

    def backward(self, dy: Array) -> Array:
        return -dy * self.t * Sigmoid().forward(-self.tx)


class MultiMargin(Function):
    """l = w_y / C sum over j != y of max(0, m - x_y + x_j)^p: the hinge loss of a label y among C classes

    With h_j = m - x_y + x_j where that is positive:  dx_j = dl w_y / C p h_j^(p-1),  dx_y = -(the sum of these).
    """

    def __init__(self, target: Array, p: int = 1, margin: float = 1.0, class_weight: Array | None = None):
        self.label, self.p, self.margin, self.class_weight = target, p, margin, class_weight  # target: (N,) labels

    def forward(self, x: Array) -> Array:
        xp = xp_of(x, self.label)
        self.own = xp.expand_dims(self.label, 1)  # (N, 1)
        h = xp.maximum(self.margin - xp.take_along_axis(x, self.own, axis=1) + x, 0)
        xp.put_along_axis(h, self.own, xp.zeros(self.own.shape, h.dtype), axis=1)
        self.h = h
        weight = xp.ones((x.shape[1],), x.dtype) if self.class_weight is None else self.class_weight
        self.share = weight[self.label] / x.shape[1]
        return (h if self.p == 1 else h * h).sum(axis=1) * self.share

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        slope = (self.h > 0).astype(dy.dtype) if self.p == 1 else 2 * self.h
        dx = xp.expand_dims(dy * self.share, 1) * slope
        xp.put_along_axis(dx, self.own, -dx.sum(axis=1, keepdims=True), axis=1)
        return dx

    def decisions(self) -> dict[str, Array]:
        return {"violated": self.h > 0}


class MultiLabelMargin(Function):
    """l = 1/C sum over the labels y and the other classes j of max(0, 1 - x_y + x_j): every label before every other class

    For each pair that is nearer than 1:  dx_y -= dl / C,  dx_j += dl / C.
    """

    def __init__(self, times: Array):
        self.times = times  # (N, C): how often a class is among the labels of the sample, mostly 0 or 1

    def forward(self, x: Array) -> Array:
        xp = xp_of(x, self.times)
        missing = 1 - xp.expand_dims(x, 2) + xp.expand_dims(x, 1)  # (N, C labels, C others)
        pairs = xp.expand_dims(self.times, 2) * xp.expand_dims(self.times == 0, 1)
        self.violated = (missing > 0) * pairs.astype(x.dtype)
        return (missing * self.violated).sum(axis=(1, 2)) / x.shape[1]

    def backward(self, dy: Array) -> Array:
        share = xp_of(dy).expand_dims(dy / self.times.shape[1], 1)
        return share * (self.violated.sum(axis=1) - self.violated.sum(axis=2))

    def decisions(self) -> dict[str, Array]:
        return {"violated": self.violated}


# ---- what users call: pairs and triplets ----


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: None = None, reduce: None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, margin - target (input1 - input2)): target 1 wants input1 to be the larger, -1 input2.

    The three have equally many axes and broadcast. Raises ValueError when they do not.
    """
    op = "margin_ranking_loss"
    a, b = as_tensor(op, "input1", input1), as_tensor(op, "input2", input2)
    need_float(op, input1=a, input2=b)
    t = _signs(op, target, a)
    if not a.ndim == b.ndim == t.ndim:
        raise ValueError(
            f"{op}: input1 has shape {a.shape}, input2 {b.shape} and target {t.shape}; they must have equally many axes"
        )
    check_broadcast(op, [a.shape, b.shape, t.shape], ["input1", "input2", "target"])
    check_reduction(op, reduction)
    return reduced(op, MarginRanking(number(op, "margin", margin))(a, b, t), reduction)


def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Tensor:
    """For distances `input`: the distance itself where target is 1 (similar), max(0, margin - input) where it is -1.

    Raises ValueError for different shapes.
    """
    op = "hinge_embedding_loss"
    x, t = _scores_and_signs(op, input, target)
    check_reduction(op, reduction)
    return reduced(op, HingeEmbedding(t.array, number(op, "margin", margin))(x), reduction)


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0, size_average: None = None, reduce: None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """With the cosine c of each pair of vectors: 1 - c where target is 1 (similar), max(0, c - margin) where it is -1.

    Shapes: two tensors (N, D) with a target (N,), or two vectors (D,) with a target (). Raises ValueError for others.
    """
    op = "cosine_embedding_loss"
    a, b = as_tensor(op, "input1", input1), as_tensor(op, "input2", input2)
    need_float(op, input1=a, input2=b)
    t = as_tensor(op, "target", target)
    need_same_device(op, input1=a, target=t)
    if t.ndim > 1 or not a.ndim == b.ndim == t.ndim + 1:
        raise ValueError(
            f"{op}: input1 {a.shape}, input2 {b.shape} and target {t.shape} must be (N, D), (N, D) and (N,), or (D,), (D,) and ()"
        )
    check_broadcast(op, [a.shape, b.shape], ["input1", "input2"])
    vectors = np.broadcast_shapes(a.shape, b.shape)[:-1]
    check_broadcast(op, [vectors, t.shape], ["the cosines", "target"])
    margin = number(op, "margin", margin)
    check_reduction(op, reduction)
    length = sqrt(((a * a).sum(-1) + 1e-12) * ((b * b).sum(-1) + 1e-12))
    cosine = (a * b).sum(-1) / length
    losses = where(t == 1, 1 - cosine, 0) + where(t == -1, clamp(cosine - margin, min=0), 0)
    return reduced(op, losses, reduction)


def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2, eps: float = 1e-6, swap: bool = False,
    size_average: None = None, reduce: None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), with the distance `pairwise_distance` of power p.

    Parameters
    ----------
    anchor, positive, negative: vectors (N, D) or (D,); the positive belongs to the anchor, the negative does not.
    swap: take d(positive, negative) instead where it is the smaller one (Balntas et al. 2016).

    Schroff et al. 2015 (arXiv:1503.03832), there with squared distances. Raises ValueError unless the margin is positive and the
    three have equally many axes.
    """

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return pairwise_distance(x, y, p, eps)

    return _triplet("triplet_margin_loss", anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Any, positive: Any, negative: Any, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`triplet_margin_loss` with a distance of your own: `distance_function(x, y)`; `pairwise_distance` when none is given."""
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet("triplet_margin_with_distance_loss", anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    op: str, anchor: Any, positive: Any, negative: Any, distance: Callable[[Tensor, Tensor], Tensor], margin: float, swap: bool,
    reduction: str,
) -> Tensor:  # fmt: skip
    given = {"anchor": anchor, "positive": positive, "negative": negative}
    tensors = {name: as_tensor(op, name, value) for name, value in given.items()}
    need_float(op, **tensors)
    if number(op, "margin", margin) <= 0:
        raise ValueError(f"{op}: margin={margin} must be positive, or equal distances would do")
    if not callable(distance):
        raise TypeError(f"{op}: distance_function={shown(distance)} must be a function of two tensors")
    a, p, n = tensors.values()
    if not a.ndim == p.ndim == n.ndim:
        raise ValueError(
            f"{op}: anchor has shape {a.shape}, positive {p.shape} and negative {n.shape}; they must have equally many axes"
        )
    check_broadcast(op, [x.shape for x in tensors.values()], list(tensors))
    check_reduction(op, reduction)
    to_negative = distance(a, n)
    if swap:
        to_negative = minimum(to_negative, distance(p, n))
    return reduced(op, clamp(margin + distance(a, p) - to_negative, min=0), reduction)


# ---- what users call: scores of classes ----


def soft_margin_loss(input: Any, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean") -> Tensor:
    """ln(1 + e^(-target * input)) for targets 1 and -1, without overflow. Raises ValueError for different shapes."""
    op = "soft_margin_loss"
    x, t = _scores_and_signs(op, input, target)
    return reduced(op, SoftMargin(t.array)(x), reduction)


def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Tensor:
    """`binary_cross_entropy_with_logits` averaged over the classes, for samples that may belong to several.

    Shapes: scores (N, C) or (C,) with targets 0 and 1 of the same shape; weight (C,), or that of the input.
    "none" gives (N,) losses.
    """
    op = "multilabel_soft_margin_loss"
    x, t = as_tensor(op, "input", input), as_tensor(op, "target", target)
    t = t if t.is_floating_point() else t.to(x.dtype)
    need_float(op, input=x, target=t)
    if x.shape != t.shape or not x.ndim:
        raise ValueError(f"{op}: input has shape {x.shape} and target {t.shape}; both must be (N, C), or both (C,)")
    losses = -(t * logsigmoid(x) + (1 - t) * logsigmoid(-x))
    if weight is not None:
        w = weight if isinstance(weight, Tensor) and weight.shape == x.shape else _class_weight(op, weight, x)
        losses = losses * w
    return reduced(op, losses.sum(-1) / x.shape[-1], reduction)


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, size_average: None = None,
    reduce: None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The hinge loss of classification: sum over the wrong classes j of max(0, margin - x_y + x_j)^p, divided by C.

    Parameters
    ----------
    input: scores (N, C), or (C,) for a single sample.
    target: int64 labels y (N,), or ().
    p: 1 or 2.
    weight: (C,), the weight of each label; it receives no gradient.

    Crammer & Singer 2001. Raises ValueError for other p, shapes that do not belong together and labels out of range.
    """
    op = "multi_margin_loss"
    x, t = float_tensor(op, "input", input), _integers(op, target)
    need_same_device(op, input=x, target=t)
    if number(op, "p", p) not in (1, 2):
        raise ValueError(f"{op}: p={p} is not supported; use 1 or 2")
    margin = number(op, "margin", margin)
    check_reduction(op, reduction)
    rows = _rows(op, x)
    if t.shape not in ({rows.shape[:1]} if x.ndim == 2 else {(), (1,)}):
        raise ValueError(f"{op}: input {x.shape} needs a target of shape {x.shape[: x.ndim - 1]}, but target has {t.shape}")
    w = None if weight is None else _class_weight(op, weight, x).array
    labels = t.array.reshape(-1).astype(np.int64)
    _check_labels(op, labels, rows.shape[1], lowest=0)
    losses = MultiMargin(labels, p, margin, w)(rows)
    return reduced(op, losses if x.ndim == 2 else losses.reshape(()), reduction)


def multilabel_margin_loss(
    input: Any, target: Any, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Tensor:
    """The hinge loss of samples with several labels: sum over labels y and other classes j of max(0, 1 - x_y + x_j), over C.

    Shapes: scores (N, C) with int64 labels (N, C), or both (C,). The labels of a sample stand first, -1 ends them.
    Raises ValueError for different shapes and for labels out of range.
    """
    op = "multilabel_margin_loss"
    x, t = float_tensor(op, "input", input), _integers(op, target)
    need_same_device(op, input=x, target=t)
    check_reduction(op, reduction)
    if x.shape != t.shape:
        raise ValueError(
            f"{op}: input has shape {x.shape}, but target has {t.shape}; they must be equal, with -1 after the labels"
        )
    rows = _rows(op, x)
    labels = t.array.reshape(rows.shape).astype(np.int64)
    _check_labels(op, labels, rows.shape[1], lowest=-1)
    losses = MultiLabelMargin(_times(labels))(rows)
    return reduced(op, losses if x.ndim == 2 else losses.reshape(()), reduction)


def _times(labels: Array) -> Array:
    """How often each class stands among the labels of a row before the first -1: (N, C) int64."""
    xp = xp_of(labels)
    counts = xp.cumsum(labels < 0, axis=1) == 0
    times = xp.zeros(labels.shape, np.int64)
    row = xp.arange(labels.shape[0]).reshape(-1, 1)
    scatter_add(times, (row, xp.where(counts, labels, 0)), counts.astype(np.int64))
    return times


def _scores_and_signs(op: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    x = float_tensor(op, "input", input)
    t = _signs(op, target, x)
    if x.shape != t.shape:
        raise ValueError(f"{op}: input has shape {x.shape}, but target has {t.shape}; they must be equal")
    return x, t


def _signs(op: str, target: Any, x: Tensor) -> Tensor:
    """A target of 1 and -1, given as integers or floats, in the dtype of x."""
    t = as_tensor(op, "target", target)
    need_same_device(op, input=x, target=t)
    if t.dtype == np.bool_:
        raise TypeError(f"{op}: target is bool {t.shape}, but must hold 1 and -1; write 2 * target.float() - 1")
    return t.to(x.dtype)


def _integers(op: str, target: Any) -> Tensor:
    t = as_tensor(op, "target", target)
    if t.dtype.kind not in "iu":
        raise TypeError(f"{op}: target is {t.dtype} {t.shape}, but must hold integer labels; convert it with .long()")
    return t


def _rows(op: str, x: Tensor) -> Tensor:
    """Scores as (N, C)."""
    if x.ndim > 2 or not (x.shape or (1,))[-1]:
        raise ValueError(f"{op}: input has shape {x.shape}, but must be (N, C) or (C,), with at least one class")
    return x if x.ndim == 2 else x.reshape(1, -1)


def _class_weight(op: str, weight: Any, x: Tensor) -> Tensor:
    """The weight of each class: of the input's dtype and device, outside the graph."""
    w = as_tensor(op, "weight", weight)
    check_same_device(op, {"input": x.array, "weight": w.array})
    classes = (x.shape or (1,))[-1]
    if w.shape != (classes,):
        raise ValueError(f"{op}: weight has shape {w.shape}, but input {x.shape} has {classes} classes")
    return w.detach().to(x.dtype)


def _check_labels(op: str, labels: Array, classes: int, lowest: int) -> None:
    if labels.size and not lowest <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"{op}: target has labels {int(labels.min())} .. {int(labels.max())}, but legal are {lowest} .. {classes - 1} for "
            f"{classes} classes"
        )
