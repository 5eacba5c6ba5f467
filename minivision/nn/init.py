"""Initialisers, in place: He (kaiming), Xavier, constants, and the bilinear kernel of FCN."""

from __future__ import annotations

import math

import numpy as np

from minivision.autograd import Tensor, no_grad
from minivision.backend import Generator


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity shrinks the standard deviation of its input, inverted."""
    if nonlinearity in (
        "linear",
        "sigmoid",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
    ):
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    raise ValueError(f"calculate_gain: nonlinearity {nonlinearity!r} is unknown; use linear, sigmoid, tanh, relu or leaky_relu")


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, *kernel): how many values each output sums, and each input feeds."""
    if tensor.ndim < 2:
        raise ValueError(f"init: a weight needs at least 2 axes (out, in, *kernel) to have fans, but has shape {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> Tensor:
    """N(0, gain^2 / fan): keeps the variance through layers of ReLU (He et al. 2015, arXiv:1502.01852)."""
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Generator | None = None
) -> Tensor:
    """U(-b, b) with the variance of `kaiming_normal_`."""
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, 2 gain^2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fans(tensor))), generator)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """U(-b, b) with the variance of `xavier_normal_`."""
    bound = gain * math.sqrt(6.0 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Numbers from N(mean, std^2)."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Numbers from U(a, b)."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere."""
    with no_grad():
        return tensor.fill_(val)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def bilinear_kernel(size: int) -> np.ndarray:
    """The (size, size) kernel with which a transposed convolution interpolates bilinearly; size = 2 f - f % 2 for factor f.

    A tent (1 - |i - c| / f)(1 - |j - c| / f) around the centre c (Long, Shelhamer & Darrell 2015).
    """
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    tent = 1 - np.abs(np.arange(size) - centre) / factor
    return np.outer(tent, tent)


def bilinear_(tensor: Tensor) -> Tensor:
    """Fill the weight (C, C, k, k) of a transposed convolution so that it upsamples each channel bilinearly by itself.

    The kernel stands on the diagonal of the channel axes, zeros elsewhere; for (C, 1, k, k), a transposed convolution with
    groups = C, it stands everywhere. Raises ValueError for other shapes.
    """
    if tensor.ndim != 4 or tensor.shape[2] != tensor.shape[3] or tensor.shape[1] not in (1, tensor.shape[0]):
        raise ValueError(f"bilinear_: the weight must be (C, C, k, k), or (C, 1, k, k) with groups, but has shape {tensor.shape}")
    channels, columns, size, _ = tensor.shape
    weight = np.zeros(tensor.shape, tensor.dtype)
    weight[np.arange(channels), np.arange(channels) % columns] = bilinear_kernel(size)
    with no_grad():
        return tensor.copy_(Tensor(weight, device=tensor.device))


def _fan(tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"init: mode={mode!r} is unknown; use 'fan_in' or 'fan_out'")
    return fans(tensor)[mode == "fan_out"]
