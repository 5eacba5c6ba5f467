"""Activations without a corner, apart from one at 0: the exponential units, the gated ones (GELU, SiLU, Mish, GLU), softplus."""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.blocks import in_blocks
from minivision.functions.activation import Softmax, logistic, normalized, sigmoid
from minivision.functions.error_function import error_function
from minivision.functions.operands import axis, check_choice, float_tensor, number, promoted
from minivision.functions.selecting import take_where
from minivision.functions.shape import split
from minivision.memory import empty_like


class ELU(Function):
    """y = scale x where x > 0, else scale alpha (e^(s x) - 1);  dx = dy scale, else dy scale alpha s e^(s x)"""

    def __init__(self, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0):
        self.alpha, self.scale, self.input_scale = alpha, scale, input_scale

    def forward(self, x: Array) -> Array:
        y, self.slope, self.positive = empty_like(x), empty_like(x), empty_like(x, bool)
        in_blocks(self._bend, x, y, self.slope, self.positive)
        return y

    def _bend(self, x: Array, y: Array, slope: Array, positive: Array) -> None:
        xp = xp_of(x)
        xp.greater(x, 0, out=positive)
        exponent = xp.minimum(x, 0) * self.input_scale
        below = xp.exp(exponent)
        below *= self.scale * self.alpha * self.input_scale
        take_where(positive, xp.full_like(x, self.scale), below, slope)
        below = xp.expm1(exponent)
        below *= self.scale * self.alpha
        take_where(positive, self.scale * x, below, y)

    def backward(self, dy: Array) -> Array:
        dx = empty_like(self.slope)
        in_blocks(lambda dy, slope, dx: xp_of(dy).multiply(dy, slope, out=dx), dy, self.slope, dx)
        return dx

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.positive}


class GELU(Function):
    """y = x P(x), with P(x) = (1 + erf(x / sqrt 2)) / 2 the normal distribution;  dx = dy (P(x) + x e^(-x^2/2) / sqrt(2 pi))"""

    def forward(self, x: Array) -> Array:
        self.x, self.p, y = x, empty_like(x), empty_like(x)
        in_blocks(self._weigh, x, self.p, y, shared=0)  # the error function takes long for each number
        return y

    def _weigh(self, x: Array, p: Array, y: Array) -> None:
        p[...] = 0.5 * (1 + error_function(x * math.sqrt(0.5)))
        xp_of(x).multiply(x, p, out=y)

    def backward(self, dy: Array) -> Array:
        dx = empty_like(self.p)
        in_blocks(self._slope, dy, self.x, self.p, dx)
        return dx

    def _slope(self, dy: Array, x: Array, p: Array, dx: Array) -> None:
        xp = xp_of(dy)
        xp.multiply(x, x, out=dx)
        dx *= -0.5
        xp.exp(dx, out=dx)
        dx *= 1 / math.sqrt(2 * math.pi)
        dx *= x
        dx += p
        dx *= dy


class TanhGELU(Function):
    """y = x (1 + t) / 2, t = tanh u, u = sqrt(2 / pi) (x + 0.044715 x^3);  dx = dy ((1 + t) / 2 + x (1 - t^2) u' / 2)"""

    def forward(self, x: Array) -> Array:
        self.x, self.t, y = x, empty_like(x), empty_like(x)
        in_blocks(self._bend, x, self.t, y)
        return y

    def _bend(self, x: Array, t: Array, y: Array) -> None:
        xp_of(x).tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x), out=t)
        y[...] = 0.5 * x * (1 + t)

    def backward(self, dy: Array) -> Array:
        dx = empty_like(self.t)
        in_blocks(self._slope, dy, self.x, self.t, dx)
        return dx

    def _slope(self, dy: Array, x: Array, t: Array, dx: Array) -> None:
        du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
        dx[...] = dy * 0.5 * (1 + t + x * (1 - t * t) * du)


class SiLU(Function):
    """y = x s, with s = 1 / (1 + e^-x);  dx = dy s (1 + x (1 - s))"""

    def forward(self, x: Array) -> Array:
        self.x, self.s, y = x, empty_like(x), empty_like(x)
        in_blocks(self._weigh, x, self.s, y)
        return y

    def _weigh(self, x: Array, s: Array, y: Array) -> None:
        logistic(x, s)
        xp_of(x).multiply(x, s, out=y)

    def backward(self, dy: Array) -> Array:
        dx = empty_like(self.s)
        in_blocks(self._slope, dy, self.x, self.s, dx)
        return dx

    def _slope(self, dy: Array, x: Array, s: Array, dx: Array) -> None:
        xp_of(s).subtract(1, s, out=dx)
        dx *= x
        dx += 1
        dx *= s
        dx *= dy


class Mish(Function):
    """y = x t, with t = tanh(ln(1 + e^x));  dx = dy (t + x (1 - t^2) / (1 + e^-x))"""

    def forward(self, x: Array) -> Array:
        self.x, self.t, y = x, empty_like(x), empty_like(x)
        in_blocks(self._weigh, x, self.t, y)
        return y

    def _weigh(self, x: Array, t: Array, y: Array) -> None:
        xp = xp_of(x)
        xp.tanh(log_of_one_plus_exp(x), out=t)
        xp.multiply(x, t, out=y)

    def backward(self, dy: Array) -> Array:
        dx = empty_like(self.t)
        in_blocks(self._slope, dy, self.x, self.t, dx)
        return dx

    def _slope(self, dy: Array, x: Array, t: Array, dx: Array) -> None:
        logistic(x, dx)
        dx *= x
        dx *= 1 - t * t
        dx += t
        dx *= dy


class Softplus(Function):
    """y = ln(1 + e^(b x)) / b, and x itself where b x > threshold;  dx = dy / (1 + e^(-b x)), and dy there"""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        self.beta, self.threshold = beta, threshold

    def forward(self, x: Array) -> Array:
        y, self.scaled, self.linear = empty_like(x), empty_like(x), empty_like(x, bool)
        in_blocks(self._bend, x, self.scaled, self.linear, y)
        return y

    def _bend(self, x: Array, scaled: Array, linear: Array, y: Array) -> None:
        xp = xp_of(x)
        xp.multiply(x, self.beta, out=scaled)
        xp.greater(scaled, self.threshold, out=linear)
        take_where(linear, x, log_of_one_plus_exp(scaled) / self.beta, y)

    def backward(self, dy: Array) -> Array:
        dx = empty_like(self.scaled)
        in_blocks(self._slope, dy, self.scaled, self.linear, dx)
        return dx

    def _slope(self, dy: Array, scaled: Array, linear: Array, dx: Array) -> None:
        logistic(scaled, dx)
        dx *= dy
        take_where(linear, dy, dx, dx)

    def decisions(self) -> dict[str, Array]:
        return {"linear": self.linear}


def log_of_one_plus_exp(x: Array) -> Array:
    """ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|), which cannot overflow; NumPy's logaddexp is twenty times slower."""
    xp = xp_of(x)
    y = empty_like(x)
    xp.abs(x, out=y)
    xp.negative(y, out=y)
    xp.exp(y, out=y)
    xp.log1p(y, out=y)
    y += xp.maximum(x, 0)
    return y


class LogSigmoid(Function):
    """y = ln(1 / (1 + e^-x)) = -ln(1 + e^-x);  dx = dy / (1 + e^x)"""

    def forward(self, x: Array) -> Array:
        self.x, y = x, empty_like(x)
        in_blocks(lambda x, y: xp_of(x).negative(log_of_one_plus_exp(xp_of(x).negative(x, out=y)), out=y), x, y)
        return y

    def backward(self, dy: Array) -> Array:
        dx = empty_like(self.x)
        in_blocks(self._slope, dy, self.x, dx)
        return dx

    def _slope(self, dy: Array, x: Array, dx: Array) -> None:
        logistic(-x, dx)
        dx *= dy


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
