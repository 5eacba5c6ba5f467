"""Losses between probabilities: binary cross-entropy, of probabilities and of scores, and the Kullback-Leibler divergence."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.activation import Sigmoid
from minivision.functions.loss import REDUCTIONS, check_reduction, reduced
from minivision.functions.operands import as_tensor, check_broadcast, check_flags, need_float


class BinaryCrossEntropy(Function):
    """l = -t ln p - (1 - t) ln(1 - p), each logarithm at least -100;  dp = dl (p - t) / (p (1 - p)),  dt = dl (ln(1 - p) - ln p)

    The bound keeps the loss finite at p = 0 and 1; the gradient divides by 1e-12 at least.
    """

    def forward(self, p: Array, t: Array) -> Array:
        xp = xp_of(p, t)
        self.p, self.t = p, t
        impossible, certain = p == 0, p == 1  # whose logarithms would be infinite
        self.log_p = xp.where(impossible, -100, xp.maximum(xp.log(xp.where(impossible, 1, p)), -100))
        self.log_q = xp.where(certain, -100, xp.maximum(xp.log1p(-xp.where(certain, 0, p)), -100))
        return (t - 1) * self.log_q - t * self.log_p

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        xp = xp_of(dy)
        p, t = self.p, self.t
        dp = dy * (p - t) / xp.maximum(p * (1 - p), 1e-12) if self.needs_input_grad[0] else None
        return dp, dy * (self.log_q - self.log_p) if self.needs_input_grad[1] else None


class BinaryCrossEntropyWithLogits(Function):
    """l = (1 - t) x + c ln(1 + e^-x), c = 1 + (w - 1) t;  dx = dl (1 - t - c / (1 + e^x)),  dt = dl ((w - 1) ln(1 + e^-x) - x)

    This is -w t ln s - (1 - t) ln(1 - s) for s = 1 / (1 + e^-x), without a logarithm that could see 0.
    """

    def __init__(self, positive_weight: Array | float = 1.0):
        self.w = positive_weight

    def forward(self, x: Array, t: Array) -> Array:
        xp = xp_of(x, t)
        self.x, self.t = x, t
        self.softplus = xp.logaddexp(-x, xp.zeros_like(x))
        self.c = 1 + (self.w - 1) * t
        return (1 - t) * x + self.c * self.softplus

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        dx = dy * (1 - self.t - self.c * Sigmoid().forward(-self.x)) if self.needs_input_grad[0] else None
        return dx, dy * ((self.w - 1) * self.softplus - self.x) if self.needs_input_grad[1] else None


class KLDivergence(Function):
    """l = t (ln t - x), 0 where t = 0, for x the logarithm of a probability;  dx = -dl t,  dt = dl (ln t + 1 - x)"""

    broadcasts = True

    def forward(self, x: Array, t: Array) -> Array:
        xp = xp_of(x, t)
        self.x, self.t = x, t
        self.log_t = xp.log(xp.where(t == 0, xp.ones_like(t), t))
        return t * self.log_t - t * x

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        dx = -dy * self.t if self.needs_input_grad[0] else None
        return dx, dy * (self.log_t + 1 - self.x) if self.needs_input_grad[1] else None


class KLDivergenceOfLogs(Function):
    """l = e^t (t - x), for x and t the logarithms of probabilities;  dx = -dl e^t,  dt = dl e^t (t - x + 1)"""

    broadcasts = True

    def forward(self, x: Array, t: Array) -> Array:
        self.p, self.difference = xp_of(x, t).exp(t), t - x
        return self.p * self.difference

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        dx = -dy * self.p if self.needs_input_grad[0] else None
        return dx, dy * self.p * (self.difference + 1) if self.needs_input_grad[1] else None


# ---- what users call ----


def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: None = None, reduce: None = None, reduction: str = "mean"
) -> Tensor:
    """-target ln input - (1 - target) ln(1 - input), for probabilities; a logarithm below -100 counts as -100.

    Parameters
    ----------
    input, target: probabilities in [0, 1], of one shape. For scores, `binary_cross_entropy_with_logits` is exact.
    weight: multiplies the losses; broadcast to their shape. "mean" divides by their number all the same.

    `weight` receives no gradient.

    Raises ValueError for different shapes, for a weight that does not broadcast and for an input or target outside [0, 1].
    """
    op = "binary_cross_entropy"
    check_reduction(op, reduction, size_average, reduce)
    p, t = _same_shape(op, input, target)
    w = None if weight is None else _constant(op, "weight", weight, p)
    _check_probabilities(op, p, t)
    return reduced(op, _times(BinaryCrossEntropy()(p, t), w), reduction)


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(input), computed from the scores so that nothing overflows.

    Parameters
    ----------
    input, target: scores and probabilities (or 0 and 1), of one floating dtype and one shape.
    weight: multiplies the losses; broadcast to their shape.
    pos_weight: multiplies the loss of the positive part; broadcast, so (C, 1, 1) for scores (N, C, H, W). Above 1 it trades
        precision for recall. Neither weight receives a gradient.

    Raises ValueError for different shapes and for weights that do not broadcast.
    """
    op = "binary_cross_entropy_with_logits"
    check_reduction(op, reduction, size_average, reduce)
    x, t = _same_shape(op, input, target)
    w = None if weight is None else _constant(op, "weight", weight, x)
    p = None if pos_weight is None else _constant(op, "pos_weight", pos_weight, x)
    losses = BinaryCrossEntropyWithLogits(1.0 if p is None else p.array)(x, t)
    return reduced(op, _times(losses, w), reduction)


def kl_div(
    input: Any,
    target: Any,
    size_average: None = None,
    reduce: None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """The Kullback-Leibler divergence target (ln target - input), elementwise with broadcasting.

    `input` holds *logarithms* of probabilities (`log_softmax`); so does `target` with `log_target`. The reduction "batchmean",
    the sum divided by the length of axis 0, is the divergence by its definition; "mean" divides by the number of elements.
    Kullback & Leibler 1951.
    """
    op = "kl_div"
    check_reduction(op, reduction, size_average, reduce, ("batchmean", *REDUCTIONS))
    check_flags(op, log_target=log_target)
    x, t = as_tensor(op, "input", input), as_tensor(op, "target", target)
    need_float(op, input=x, target=t)
    check_broadcast(op, [x.shape, t.shape], ("input", "target"))
    losses = (KLDivergenceOfLogs if log_target else KLDivergence)()(x, t)
    if reduction == "batchmean":
        return losses.sum() / x.shape[0] if x.ndim else losses.sum()
    return reduced(op, losses, reduction)


def _same_shape(op: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    x, t = as_tensor(op, "input", input), as_tensor(op, "target", target)
    need_float(op, input=x, target=t)
    if x.shape != t.shape:
        hint = ""
        if x.numel() == t.numel():
            hint = f"; use target.reshape({', '.join(map(str, x.shape))})"
        raise ValueError(f"{op}: input has shape {x.shape}, but target has {t.shape}; they must be equal{hint}")
    return x, t


def _check_probabilities(op: str, p: Tensor, t: Tensor) -> None:
    outside = [~((x.array >= 0) & (x.array <= 1)) for x in (p, t)]
    if not bool((outside[0] | outside[1]).any()):  # one answer from the GPU
        return
    name, x, wrong = ("input", p, outside[0]) if bool(outside[0].any()) else ("target", t, outside[1])
    value = float(x.array.reshape(-1)[int(xp_of(x.array).argmax(wrong.reshape(-1)))])
    way_out = {
        "input": "give the sigmoid of scores, or use binary_cross_entropy_with_logits",
        "target": "give 0 and 1, as in (mask > 0).float()",
    }[name]
    raise ValueError(f"{op}: {name} holds {value:g}, which is no probability in [0, 1]; {way_out}")


def _constant(op: str, name: str, value: Any, x: Tensor) -> Tensor:
    """A weight: of the input's dtype and device, broadcastable to its shape."""
    w = as_tensor(op, name, value)
    need_float(op, input=x, **{name: w})
    if w.ndim > x.ndim or any(a not in (1, b) for a, b in zip(w.shape[::-1], x.shape[::-1], strict=False)):
        raise ValueError(f"{op}: {name} has shape {w.shape}, which does not broadcast to input {x.shape}")
    return w.detach()


def _times(losses: Tensor, weight: Tensor | None) -> Tensor:
    return losses if weight is None else losses * weight
