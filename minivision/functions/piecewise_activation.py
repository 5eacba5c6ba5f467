"""Activations made of straight pieces (and one parabola): hardtanh, ReLU6, the shrinkages, threshold, PReLU."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, Generator, default_generator, xp_of
from minivision.functions.activation import LeakyReLU
from minivision.functions.operands import as_tensor, check_flags, float_tensor, need_float, number, shown


class Hardtanh(Function):
    """y = min(max(x, low), high);  dx = dy where low < x < high, bounds excluded, else 0"""

    def __init__(self, low: float = -1.0, high: float = 1.0):
        self.low, self.high = low, high

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.inside = (x > self.low) & (x < self.high)
        return xp.minimum(xp.maximum(x, self.low), self.high)

    def backward(self, dy: Array) -> Array:
        return dy * self.inside

    def decisions(self) -> dict[str, Array]:
        return {"inside": self.inside}


class Hardsigmoid(Hardtanh):
    """y = min(max(x + 3, 0), 6) / 6;  dx = dy / 6 where -3 < x < 3, else 0"""

    def __init__(self) -> None:
        super().__init__(-3.0, 3.0)

    def forward(self, x: Array) -> Array:
        return (super().forward(x) + 3) / 6

    def backward(self, dy: Array) -> Array:
        return super().backward(dy) / 6


class Hardswish(Function):
    """y = x min(max(x + 3, 0), 6) / 6;  dx = 0 up to -3, dy from 3 on, and dy (2 x + 3) / 6 between"""

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.x, self.above, self.below = x, x >= 3, x <= -3
        return x * xp.minimum(xp.maximum(x + 3, 0), 6) / 6

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        between = xp.where(self.below, xp.zeros_like(dy), dy * ((2 * self.x + 3) / 6))
        return xp.where(self.above, dy, between)

    def decisions(self) -> dict[str, Array]:
        return {"above": self.above, "below": self.below}


class Hardshrink(Function):
    """y = x where |x| > lambd, else 0;  dx = dy there, else 0"""

    def __init__(self, lambd: float = 0.5):
        self.lambd = lambd

    def forward(self, x: Array) -> Array:
        xp = xp_of(x)
        self.outside = ~((x >= -self.lambd) & (x <= self.lambd))
        return xp.where(self.outside, x, xp.zeros_like(x))

    def backward(self, dy: Array) -> Array:
        return dy * self.outside

    def decisions(self) -> dict[str, Array]:
        return {"outside": self.outside}


class Softshrink(Hardshrink):
    """y = x - lambd where x > lambd, x + lambd where x < -lambd, else 0;  dx = dy outside, else 0"""

    def forward(self, x: Array) -> Array:
        return super().forward(x) - self.lambd * (xp_of(x).sign(x) * self.outside)


class Threshold(Function):
    """y = x where x > threshold, else value;  dx = dy there, else 0"""

    def __init__(self, threshold: float, value: float):
        self.threshold, self.value = threshold, value

    def forward(self, x: Array) -> Array:
        self.above = ~(x <= self.threshold)
        return xp_of(x).where(self.above, x, self.value)

    def backward(self, dy: Array) -> Array:
        return dy * self.above

    def decisions(self) -> dict[str, Array]:
        return {"above": self.above}


class PReLU(Function):
    """y = x where x > 0, else w x, with a learned slope w;  dx = dy where x > 0, else w dy;  dw = sum of dy x where x <= 0"""

    broadcasts = True

    def forward(self, x: Array, w: Array) -> Array:
        self.x, self.w, self.positive = x, w, x > 0
        return xp_of(x, w).where(self.positive, x, w * x)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        xp = xp_of(dy)
        dx = xp.where(self.positive, dy, self.w * dy) if self.needs_input_grad[0] else None
        dw = xp.where(self.positive, xp.zeros_like(dy), dy * self.x) if self.needs_input_grad[1] else None
        return dx, dw

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.positive}


# ---- what users call ----


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """input limited to min_val .. max_val; unlike `clamp`, its derivative at the bounds is 0.

    `inplace` is accepted for PyTorch's sake and changes nothing, here and below. Raises ValueError for min_val > max_val.
    """
    min_val, max_val = (
        number("hardtanh", name, value, infinite=True) for name, value in (("min_val", min_val), ("max_val", max_val))
    )
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val={min_val} is greater than max_val={max_val}; exchange them")
    return Hardtanh(min_val, max_val)(float_tensor("hardtanh", "input", input))


def relu6(input: Any, inplace: bool = False) -> Tensor:
    """min(max(input, 0), 6), the ReLU of networks for small integers; the derivative at 0 and 6 is 0."""
    return Hardtanh(0, 6)(float_tensor("relu6", "input", input))


def hardsigmoid(input: Any, inplace: bool = False) -> Tensor:
    """relu6(input + 3) / 6, a sigmoid of three straight pieces."""
    return Hardsigmoid()(float_tensor("hardsigmoid", "input", input))


def hardswish(input: Any, inplace: bool = False) -> Tensor:
    """input * relu6(input + 3) / 6. Howard et al. 2019, MobileNetV3 (arXiv:1905.02244)."""
    return Hardswish()(float_tensor("hardswish", "input", input))


def hardshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """input where |input| > lambd, else 0."""
    return Hardshrink(number("hardshrink", "lambd", lambd))(float_tensor("hardshrink", "input", input))


def softshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """input moved towards 0 by lambd, and 0 where |input| <= lambd. Raises ValueError for a negative lambd."""
    lambd = number("softshrink", "lambd", lambd)
    if lambd < 0:
        raise ValueError(f"softshrink: lambd={lambd} is a distance and must not be negative")
    return Softshrink(lambd)(float_tensor("softshrink", "input", input))


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """input where it exceeds `threshold`, else `value`."""
    op = "threshold"
    bound, value = number(op, "threshold", threshold, infinite=True), number(op, "value", value, infinite=True)
    return Threshold(bound, value)(float_tensor(op, "input", input))


def prelu(input: Any, weight: Any) -> Tensor:
    """input where positive, weight * input elsewhere; the derivative at 0 is the weight. He et al. 2015 (arXiv:1502.01852).

    `weight` holds one slope, or one for each channel of input (N, C, ...). Raises ValueError for any other number.
    """
    x, w = as_tensor("prelu", "input", input), as_tensor("prelu", "weight", weight)
    need_float("prelu", input=x, weight=w)
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.ndim > 1 or w.numel() not in (1, channels):
        by_channel = f", or one for each of its {channels} channels, ({channels},)" if channels > 1 else ""
        raise ValueError(f"prelu: weight has shape {w.shape}, but input {x.shape} needs one slope, (1,){by_channel}")
    per_channel = (-1,) + (1,) * (x.ndim - 2) if x.ndim > 1 else (1,) * x.ndim
    return PReLU()(x, w.reshape(per_channel))


def rrelu(
    input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False, *,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """input where positive, slope * input elsewhere: in training each element draws its slope from lower .. upper, else the mean.

    Xu et al. 2015 (arXiv:1505.00853). Raises ValueError for lower > upper.
    """
    op = "rrelu"
    x = float_tensor(op, "input", input)
    check_flags(op, training=training)
    lower, upper = number(op, "lower", lower), number(op, "upper", upper)
    if lower > upper:
        raise ValueError(f"{op}: lower={lower} is greater than upper={upper}; exchange them")
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"{op}: generator={shown(generator)} must be a minivision.Generator")
    if not training:
        return LeakyReLU((lower + upper) / 2)(x)
    slopes = (generator or default_generator).rng.uniform(lower, upper, x.shape)
    return PReLU()(x, Tensor._wrap(xp_of(x.array).asarray(slopes.astype(x.dtype))))
