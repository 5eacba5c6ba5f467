"""Activations without a corner, apart from one at 0: the exponential units, the gated ones (GELU, SiLU, Mish, GLU), softplus."""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.activation import Sigmoid, Softmax, normalized, sigmoid
from minivision.functions.error_function import error_function
from minivision.functions.operands import axis, check_choice, float_tensor, number, promoted
from minivision.functions.shape import split


class ELU(Function):
    """y = scale x where x > 0, else scale alpha (e^(s x) - 1);  dx = dy scale, else dy scale alpha s e^(s x)"""

    def __init__(self, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0):
        self.alpha, self.scale, self.input_scale = alpha, scale, input_scale

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.positive = x > 0
        exponent = xp.minimum(x, 0) * self.input_scale
        self.slope = xp.where(self.positive, self.scale, self.scale * self.alpha * self.input_scale * xp.exp(exponent))
        return xp.where(self.positive, self.scale * x, self.scale * self.alpha * xp.expm1(exponent))

    def backward(self, dy: Array) -> Array:
        return dy * self.slope

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.positive}


class GELU(Function):
    """y = x P(x), with P(x) = (1 + erf(x / sqrt 2)) / 2 the normal distribution;  dx = dy (P(x) + x e^(-x^2/2) / sqrt(2 pi))"""

    def forward(self, x: Array) -> Array:
        self.x, self.p = x, 0.5 * (1 + error_function(x * math.sqrt(0.5)))
        return x * self.p

    def backward(self, dy: Array) -> Array:
        density = xp_of(dy).exp(-0.5 * self.x * self.x) * (1 / math.sqrt(2 * math.pi))
        return dy * (self.p + self.x * density)


class TanhGELU(Function):
    """y = x (1 + t) / 2, t = tanh u, u = sqrt(2 / pi) (x + 0.044715 x^3);  dx = dy ((1 + t) / 2 + x (1 - t^2) u' / 2)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        self.t = xp_of(x).tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))
        return 0.5 * x * (1 + self.t)

    def backward(self, dy: Array) -> Array:
        x, t = self.x, self.t
        du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
        return dy * 0.5 * (1 + t + x * (1 - t * t) * du)


class SiLU(Function):
    """y = x s, with s = 1 / (1 + e^-x);  dx = dy s (1 + x (1 - s))"""

    def forward(self, x: Array) -> Array:
        self.x, self.s = x, Sigmoid().forward(x)
        return x * self.s

    def backward(self, dy: Array) -> Array:
        return dy * self.s * (1 + self.x * (1 - self.s))


class Mish(Function):
    """y = x t, with t = tanh(ln(1 + e^x));  dx = dy (t + x (1 - t^2) / (1 + e^-x))"""

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.x, self.t = x, xp.tanh(xp.logaddexp(x, xp.zeros_like(x)))
        return x * self.t

    def backward(self, dy: Array) -> Array:
        return dy * (self.t + self.x * (1 - self.t * self.t) * Sigmoid().forward(self.x))


class Softplus(Function):
    """y = ln(1 + e^(b x)) / b, and x itself where b x > threshold;  dx = dy / (1 + e^(-b x)), and dy there"""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.scaled = x * self.beta
        self.linear = self.scaled > self.threshold
        return xp.where(self.linear, x, xp.logaddexp(self.scaled, xp.zeros_like(x)) / self.beta)

    def backward(self, dy: Array) -> Array:
        return xp_of(dy).where(self.linear, dy, dy * Sigmoid().forward(self.scaled))

    def decisions(self) -> dict[str, Array]:
        return {"linear": self.linear}


class LogSigmoid(Function):
    """y = ln(1 / (1 + e^-x)) = -ln(1 + e^-x);  dx = dy / (1 + e^x)"""

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.x = x
        return -xp.logaddexp(-x, xp.zeros_like(x))

    def backward(self, dy: Array) -> Array:
        return dy * Sigmoid().forward(-self.x)


class Logit(Function):
    """y = ln(x / (1 - x)), the inverse of the sigmoid;  dx = dy / (x (1 - x))

    With eps, x is first limited to eps .. 1 - eps, outside which dx = 0. Without it, there is no derivative outside 0 .. 1: NaN.
    """

    def __init__(self, eps: float | None = None):
        self.eps = eps

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        if self.eps is None:
            self.x, self.inside = x, (x >= 0) & (x <= 1)
        else:
            self.x = xp.minimum(xp.maximum(x, self.eps), 1 - self.eps)
            self.inside = (x >= self.eps) & (x <= 1 - self.eps)
        return xp.log(self.x / (1 - self.x))

    def backward(self, dy: Array) -> Array:
        outside = xp_of(dy).full_like(dy, float("nan") if self.eps is None else 0)
        return xp_of(dy).where(self.inside, dy / (self.x * (1 - self.x)), outside)

    def decisions(self) -> dict[str, Array]:
        return {"inside": self.inside}


class Softsign(Function):
    """y = x / (1 + |x|);  dx = dy / (1 + |x|)^2"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return x / (1 + abs(x))

    def backward(self, dy: Array) -> Array:
        return dy / (1 + abs(self.x)) ** 2


class Tanhshrink(Function):
    """y = x - tanh x;  dx = dy tanh^2 x"""

    def forward(self, x: Array) -> Array:
        self.t = xp_of(x).tanh(x)
        return x - self.t

    def backward(self, dy: Array) -> Array:
        return dy * self.t * self.t


# ---- what users call ----


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where positive, alpha (e^input - 1) elsewhere; the derivative at 0 is alpha. Clevert et al. 2016 (arXiv:1511.07289).

    `inplace` is accepted for PyTorch's sake and changes nothing, here and below.
    """
    return ELU(number("elu", "alpha", alpha))(float_tensor("elu", "input", input))


def selu(input: Any, inplace: bool = False) -> Tensor:
    """ELU, scaled so that mean 0 and variance 1 pass from layer to layer. Klambauer et al. 2017 (arXiv:1706.02515)."""
    return ELU(1.6732632423543772848170429916717, 1.0507009873554804934193349852946)(float_tensor("selu", "input", input))


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where positive, alpha (e^(input / alpha) - 1) elsewhere: ELU made smooth at 0. Barron 2017 (arXiv:1704.07483).

    Raises ValueError for alpha = 0.
    """
    alpha = number("celu", "alpha", alpha)
    if alpha == 0:
        raise ValueError("celu: alpha=0 divides the input; use a positive alpha, or relu, its limit")
    return ELU(alpha, 1.0, 1 / alpha)(float_tensor("celu", "input", input))


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """input times the probability that a standard normal number is below it. Hendrycks & Gimpel 2016 (arXiv:1606.08415).

    `approximate` is "none" (exact, with the error function) or "tanh" (the paper's approximation). ValueError for others.
    """
    check_choice("gelu", "approximate", approximate, ("none", "tanh"))
    return (GELU if approximate == "none" else TanhGELU)()(float_tensor("gelu", "input", input))


def silu(input: Any, inplace: bool = False) -> Tensor:
    """input times its sigmoid, also known as swish. Elfwing et al. 2017 (arXiv:1702.03118)."""
    return SiLU()(float_tensor("silu", "input", input))


def mish(input: Any, inplace: bool = False) -> Tensor:
    """input * tanh(softplus(input)). Misra 2019 (arXiv:1908.08681)."""
    return Mish()(float_tensor("mish", "input", input))


def softplus(input: Any, beta: float = 1, threshold: float = 20) -> Tensor:
    """ln(1 + e^(beta input)) / beta, a smooth ReLU; the input itself where beta * input exceeds `threshold`."""
    beta, threshold = number("softplus", "beta", beta), number("softplus", "threshold", threshold, infinite=True)
    if beta == 0:
        raise ValueError("softplus: beta=0 divides the result; use a positive beta")
    return Softplus(beta, threshold)(float_tensor("softplus", "input", input))


def logsigmoid(input: Any) -> Tensor:
    """The logarithm of the sigmoid, computed without taking the logarithm of a small number."""
    return LogSigmoid()(float_tensor("logsigmoid", "input", input))


def logit(input: Any, eps: float | None = None) -> Tensor:
    """ln(input / (1 - input)): the score whose sigmoid `input` is. With eps, the input is first limited to eps .. 1 - eps."""
    if eps is not None:
        eps = number("logit", "eps", eps)
        if not 0 <= eps <= 0.5:
            raise ValueError(f"logit: eps={eps} limits the input to eps .. 1 - eps and must lie in [0, 0.5]")
    return Logit(eps)(promoted("logit", input))


def softsign(input: Any) -> Tensor:
    """input / (1 + |input|)."""
    return Softsign()(float_tensor("softsign", "input", input))


def tanhshrink(input: Any) -> Tensor:
    """input - tanh(input)."""
    return Tanhshrink()(float_tensor("tanhshrink", "input", input))


def softmin(input: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """The softmax of -input along `dim`: the smallest value gets the largest weight. `_stacklevel` plays no part."""
    x = float_tensor("softmin", "input", input)
    return normalized("softmin", Softmax, -x, dim, dtype)


def glu(input: Any, dim: int = -1) -> Tensor:
    """The first half of the input along `dim` times the sigmoid of the second half. Dauphin et al. 2016 (arXiv:1612.08083).

    Raises ValueError when the axis has an odd length, or the input no axis.
    """
    x = float_tensor("glu", "input", input)
    along = axis("glu", dim, x.shape)
    if x.ndim == 0 or x.shape[along] % 2:
        raise ValueError(f"glu: input has shape {x.shape}, but axis dim={dim} must have an even length to be cut in halves")
    half = x.shape[along] // 2
    values, gates = split(x, [half, half], along)
    return values * sigmoid(gates)
