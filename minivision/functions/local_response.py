"""Local response normalisation: AlexNet's competition between neighbouring channels."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.operands import float_tensor, integer, not_negative, number


class LocalResponseNorm(Function):
    """y_c = x_c s_c^-beta, s_c = k + alpha / n (sum of x_j^2 over the n channels j around c, zeros beyond the ends)

    dx_c = dy_c s_c^-beta - (2 alpha beta / n) x_c (sum of dy_j y_j / s_j over the channels j around which c is one)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k
        self.before, self.after = size // 2, (size - 1) // 2

    def forward(self, x: Array) -> Array:
        self.x = x
        self.s = self.k + self.alpha / self.size * window_sums(x * x, self.before, self.after)
        self.y = x * self.s**-self.beta
        return self.y

    def backward(self, dy: Array) -> Array:
        around = window_sums(dy * self.y / self.s, self.after, self.before)
        return dy * self.s**-self.beta - (2 * self.alpha * self.beta / self.size) * self.x * around


def window_sums(x: Array, before: int, after: int) -> Array:
    """y_c = x_(c-before) + ... + x_(c+after) along axis 1, where x is 0 beyond its ends."""
    y, channels = xp_of(x).zeros_like(x), x.shape[1]
    for shift in range(max(-before, 1 - channels), min(after, channels - 1) + 1):
        low, high = max(0, -shift), min(channels, channels - shift)
        y[:, low:high] += x[:, low + shift : high + shift]
    return y


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """input (N, C, *) divided by (k + alpha times the mean square over `size` neighbouring channels) to the power of beta.

    Krizhevsky et al. 2012, where alpha stands for the sum and not for the mean. Raises ValueError for fewer than 3 axes and
    for a size below 1.
    """
    op = "local_response_norm"
    x = float_tensor(op, "input", input)
    if x.ndim < 3:
        raise ValueError(f"{op}: input has shape {x.shape}, but must be (N, C, *) with at least 3 axes")
    size = integer(op, "size", size, minimum=1)  # a number of channels
    alpha, beta, k = not_negative(op, "alpha", alpha), number(op, "beta", beta), not_negative(op, "k", k)
    return LocalResponseNorm(size, alpha, beta, k)(x)
