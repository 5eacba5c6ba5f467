"""Negative log-likelihoods of numbers: of a normal distribution with known variance, and of counts (Poisson)."""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.loss import check_reduction, reduced
from minivision.functions.operands import as_tensor, check_broadcast, check_flags, need_float, number, positive


class GaussianLikelihood(Function):
    """l = (ln v + (x - t)^2 / v) / 2;  dx = dl (x - t) / v,  dt = -dx,  dv = dl (1 - (x - t)^2 / v) / (2 v)

    A variance below eps counts as eps; its gradient is that of eps.
    """

    broadcasts = True

    def __init__(self, eps: float = 1e-6):
        self.eps = eps

    def forward(self, x: Array, t: Array, v: Array) -> Array:
        xp = xp_of(x, t, v)
        self.d, self.v = x - t, xp.maximum(v, self.eps)
        return (xp.log(self.v) + self.d * self.d / self.v) / 2

    def backward(self, dy: Array) -> tuple[Array, Array, Array | None]:
        dx = dy * self.d / self.v
        return dx, -dx, dy * (1 - self.d * self.d / self.v) / (2 * self.v) if self.needs_input_grad[2] else None


class PoissonLikelihoodOfLog(Function):
    """l = e^x - t x, for x the logarithm of the expected count;  dx = dl (e^x - t),  dt = -dl x"""

    broadcasts = True

    def forward(self, x: Array, t: Array) -> Array:
        self.x, self.t, self.rate = x, t, xp_of(x, t).exp(x)
        return self.rate - t * x

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return dy * (self.rate - self.t), -dy * self.x


class PoissonLikelihood(Function):
    """l = x - t ln(x + eps), for x the expected count;  dx = dl (1 - t / (x + eps)),  dt = -dl ln(x + eps)"""

    broadcasts = True

    def __init__(self, eps: float = 1e-8):
        self.eps = eps

    def forward(self, x: Array, t: Array) -> Array:
        self.t, self.rate = t, x + self.eps
        self.log_rate = xp_of(x, t).log(self.rate)
        return x - t * self.log_rate

    def backward(self, dy: Array) -> tuple[Array, Array]:
        return dy * (1 - self.t / self.rate), -dy * self.log_rate


class Stirling(Function):
    """y = t ln t - t + ln(2 pi t) / 2, nearly ln t!, where t > 1, else 0;  dt = dy (ln t + 1 / (2 t)) there, else 0"""

    def forward(self, t: Array) -> Array:
        xp = xp_of(t)
        self.large = t > 1
        self.t = xp.where(self.large, t, xp.ones_like(t))
        self.log_t = xp.log(self.t)
        value = self.t * self.log_t - self.t + (self.log_t + math.log(2 * math.pi)) / 2
        return xp.where(self.large, value, xp.zeros_like(t))

    def backward(self, dy: Array) -> Array:
        return dy * self.large * (self.log_t + 1 / (2 * self.t))

    def decisions(self) -> dict[str, Array]:
        return {"larger than 1": self.large}


# ---- what users call ----


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """(ln var + (input - target)^2 / var) / 2: how unlikely `target` is under a normal distribution that the network predicts.

    Parameters
    ----------
    input, target: the predicted mean and the observation, broadcast.
    var: the predicted variance: a number, a tensor of the input's shape, or one without its last axis or with length 1 there.
        Below eps it counts as eps.
    full: add the constant ln(2 pi) / 2.

    Nix & Weigend 1994. Raises ValueError for a negative variance and for shapes that do not fit.
    """
    op = "gaussian_nll_loss"
    x, t = as_tensor(op, "input", input), as_tensor(op, "target", target)
    if isinstance(var, (int, float)):
        var = Tensor._wrap(xp_of(x.array).full((), var, x.dtype))
    v = as_tensor(op, "var", var)
    need_float(op, input=x, target=t, var=v)
    check_broadcast(op, [x.shape, t.shape], ["input", "target"])
    eps = positive(op, "eps", eps)
    check_flags(op, full=full)
    check_reduction(op, reduction)
    if v.ndim and v.shape != x.shape:
        if v.shape == x.shape[:-1]:
            v = v.unsqueeze(-1)
        elif v.ndim != x.ndim or sum(n != m for n, m in zip(v.shape, x.shape, strict=True)) > 1 or 1 not in v.shape:
            raise ValueError(
                f"{op}: var has shape {v.shape}, but input has {x.shape}; var must have that shape, lack its last axis, or have "
                "length 1 along one axis"
            )
        check_broadcast(op, [x.shape, v.shape], ["input", "var"])
    if bool((v.array < 0).any()):
        raise ValueError(
            f"{op}: var has negative values, the smallest {float(v.array.min()):g}; predict its logarithm and use exp"
        )
    losses = GaussianLikelihood(eps)(x, t, v)
    return reduced(op, losses + math.log(2 * math.pi) / 2 if full else losses, reduction)


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, size_average: None = None, eps: float = 1e-8,
    reduce: None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """e^input - target * input: how unlikely the count `target` is under a Poisson distribution; the two broadcast.

    Parameters
    ----------
    log_input: `input` is the logarithm of the expected count; else the count itself, and the loss input - target ln(input + eps).
    full: add Stirling's formula for ln(target!) where target is above 1.
    """
    op = "poisson_nll_loss"
    x, t = as_tensor(op, "input", input), as_tensor(op, "target", target)
    t = t if t.is_floating_point() else t.to(x.dtype)
    need_float(op, input=x, target=t)
    check_broadcast(op, [x.shape, t.shape], ["input", "target"])
    check_flags(op, log_input=log_input, full=full)
    eps = number(op, "eps", eps)
    check_reduction(op, reduction)
    losses = PoissonLikelihoodOfLog()(x, t) if log_input else PoissonLikelihood(eps)(x, t)
    return reduced(op, losses + Stirling()(t) if full else losses, reduction)
