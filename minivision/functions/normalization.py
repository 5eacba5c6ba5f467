"""Normalisation: subtract a mean, divide by a standard deviation, scale and shift by channel.

Batch, instance, group norm differ only in which values share a mean: over the batch and the image, or over a group of channels.
"""

from __future__ import annotations

from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.layout import channel_sums
from minivision.functions.operands import as_tensor, need_float, need_same_device


class _Normalize(Function):
    """y = weight xhat + bias with xhat = (x - mean) / sqrt(var + eps), where `average` says which values share a mean.

    With g = dy weight and m values in each mean, the two indirect paths through mean and variance give
    dx = (g - average(g) - xhat average(g xhat)) / sqrt(var + eps).
    """

    def __init__(self, eps: float = 1e-5):
        self.eps = eps

    def average(self, x: Array) -> Array:
        """The mean over the values that are normalised together, broadcastable to x."""
        raise NotImplementedError

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        self.mean = self.average(x)
        centred = x - self.mean
        self.var = self.average(centred * centred)
        self.inverse_std = 1 / xp_of(x).sqrt(self.var + self.eps)
        self.xhat = centred
        self.xhat *= self.inverse_std
        return self.scale_and_shift(self.xhat, weight, bias)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        if not self.needs_input_grad[0]:
            return self.with_parameter_gradients(None, dy)
        g = dy if self.weight is None else dy * self.weight
        dx = self.xhat * -self.average(g * self.xhat)
        dx += g
        dx -= self.average(g)
        dx *= self.inverse_std
        return self.with_parameter_gradients(dx, dy)

    def scale_and_shift(self, xhat: Array, weight: Array | None, bias: Array | None) -> Array:
        per_channel = (1, -1) + (1,) * (xhat.ndim - 2)
        self.weight = None if weight is None else weight.reshape(per_channel)
        self.affine = (weight is not None) + (bias is not None)
        y = xhat if weight is None else xhat * self.weight
        if bias is not None:
            y = y + bias.reshape(per_channel)
        return y.copy() if y is xhat else y

    def with_parameter_gradients(self, dx: Array | None, dy: Array) -> tuple[Array | None, ...]:
        """dx, and behind it the gradients of weight and bias as far as there are such."""
        dweight = channel_sums(dy * self.xhat) if self.affine > 0 and self.needs_input_grad[1] else None
        dbias = channel_sums(dy) if self.affine > 1 and self.needs_input_grad[2] else None
        return (dx, dweight, dbias)[: 1 + self.affine]


class BatchNorm(_Normalize):
    """Each channel is normalised by its mean and variance over the batch and all positions."""

    def average(self, x: Array) -> Array:
        per_channel = (1, -1) + (1,) * (x.ndim - 2)
        return (channel_sums(x) * x.dtype.type(x.shape[1] / max(x.size, 1))).reshape(per_channel)


class GroupNorm(_Normalize):
    """Each group of channels of each sample is normalised by its own mean and variance."""

    def __init__(self, groups: int, eps: float = 1e-5):
        super().__init__(eps)
        self.groups = groups

    def average(self, x: Array) -> Array:
        n, c = x.shape[:2]
        ones = (1,) * (x.ndim - 2)
        by_channel = x.mean(axis=tuple(range(2, x.ndim)))
        by_group = by_channel.reshape(n, self.groups, c // self.groups).mean(axis=2, keepdims=True)
        return xp_of(x).broadcast_to(by_group, (n, self.groups, c // self.groups)).reshape(n, c, *ones)


class FixedNorm(_Normalize):
    """Batch norm in evaluation: mean and variance are constants (the running ones), so dx = dy weight / sqrt(var + eps)"""

    def __init__(self, mean: Array, var: Array, eps: float = 1e-5):
        super().__init__(eps)
        self.fixed_mean, self.fixed_var = mean, var

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        per_channel = (1, -1) + (1,) * (x.ndim - 2)
        self.inverse_std = (1 / xp_of(x).sqrt(self.fixed_var + self.eps)).reshape(per_channel).astype(x.dtype)
        self.xhat = (x - self.fixed_mean.reshape(per_channel).astype(x.dtype)) * self.inverse_std
        return self.scale_and_shift(self.xhat, weight, bias)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        dx = None
        if self.needs_input_grad[0]:
            dx = dy * self.inverse_std if self.weight is None else dy * (self.weight * self.inverse_std)
        return self.with_parameter_gradients(dx, dy)


# ---- what users call ----


def batch_norm(
    input: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of input (N, C, *): over the batch in training, by the running statistics otherwise.

    In training the running tensors (C,), when given, become (1 - momentum) old + momentum new, with the *unbiased* variance; the
    normalisation itself uses the biased one. Ioffe & Szegedy 2015 (arXiv:1502.03167).

    Raises ValueError in training when there is only one value per channel, and when weight, bias or statistics are not (C,).
    """
    op = "batch_norm"
    x, parameters = _parameters(op, input, weight, bias)
    statistics = {"running_mean": running_mean, "running_var": running_var}
    for name, s in statistics.items():
        if s is not None and s.shape != (x.shape[1],):
            raise ValueError(f"{op}: {name} has shape {s.shape}, but input {x.shape} has {x.shape[1]} channels")
    need_same_device(op, input=x, **statistics)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(f"{op}: without training=True the running_mean and running_var are needed")
        return FixedNorm(running_mean.array, running_var.array, eps)(x, *parameters)
    count = x.numel() // max(x.shape[1], 1)
    if count == 1:
        raise ValueError(
            f"{op}: in training each channel needs more than one value to have a variance, but input {x.shape} has one per "
            "channel; use a larger batch, group_norm, or module.eval()"
        )
    function = BatchNorm(eps)
    y = function(x, *parameters)
    if count and running_mean is not None:
        _update(running_mean, function.mean.reshape(-1), momentum)
    if count and running_var is not None:
        _update(running_var, function.var.reshape(-1) * (count / (count - 1)), momentum)
    return y


def _update(running: Tensor, new: Array, momentum: float) -> None:
    running.array *= 1 - momentum
    running.array += (momentum * new).astype(running.dtype)
    running._version[0] += 1


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Normalise each of `num_groups` groups of channels of each sample of input (N, C, *); the batch plays no part.

    Wu & He 2018 (arXiv:1803.08494). Raises ValueError when the groups do not divide the channels.
    """
    op = "group_norm"
    x, parameters = _parameters(op, input, weight, bias)
    if num_groups < 1 or x.shape[1] % num_groups:
        raise ValueError(f"{op}: num_groups={num_groups} must divide the {x.shape[1]} channels of input {x.shape}")
    return GroupNorm(num_groups, eps)(x, *parameters)


def instance_norm(input: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Normalise each channel of each sample by itself: group norm with one channel in each group."""
    x, parameters = _parameters("instance_norm", input, weight, bias)
    return GroupNorm(x.shape[1], eps)(x, *parameters)


def _parameters(op: str, input: Any, weight: Any, bias: Any) -> tuple[Tensor, list[Tensor]]:
    x = as_tensor(op, "input", input)
    if x.ndim < 2:
        raise ValueError(f"{op}: input has shape {x.shape}, but needs a channel axis: (N, C, *)")
    w = None if weight is None else as_tensor(op, "weight", weight)
    b = None if bias is None else as_tensor(op, "bias", bias)
    need_float(op, input=x, weight=w, bias=b)
    for name, p in (("weight", w), ("bias", b)):
        if p is not None and p.shape != (x.shape[1],):
            raise ValueError(f"{op}: {name} has shape {p.shape}, but input {x.shape} has {x.shape[1]} channels")
    if w is None and b is not None:
        w = Tensor._wrap(xp_of(b.array).ones_like(b.array))
    return x, [p for p in (w, b) if p is not None]
