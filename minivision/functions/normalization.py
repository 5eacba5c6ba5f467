"""Normalisation: subtract a mean, divide by a standard deviation, scale and shift by channel.

Batch, instance, group, layer norm differ only in which values share a mean: over the batch and the image, over a group of
channels, over a whole sample.
"""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.layout import channel_sums
from minivision.functions.operands import (
    as_tensor,
    check_flags,
    integer,
    integers,
    need_float,
    need_same_device,
    not_negative,
    number,
    positive,
    shown,
)


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

    def aligned(self, parameter: Array, ndim: int) -> Array:
        """weight or bias, shaped so that it broadcasts against x: one number for each channel."""
        return parameter.reshape((1, -1) + (1,) * (ndim - 2))

    def parameter_sums(self, values: Array) -> Array:
        """The sum over everything that shares one number of weight or bias."""
        return channel_sums(values)

    def scale_and_shift(self, xhat: Array, weight: Array | None, bias: Array | None) -> Array:
        self.weight = None if weight is None else self.aligned(weight, xhat.ndim)
        self.affine = (weight is not None) + (bias is not None)
        y = xhat if weight is None else xhat * self.weight
        if bias is not None:
            y = y + self.aligned(bias, xhat.ndim)
        return y.copy() if y is xhat else y

    def with_parameter_gradients(self, dx: Array | None, dy: Array) -> tuple[Array | None, ...]:
        """dx, and behind it the gradients of weight and bias as far as there are such."""
        dweight = self.parameter_sums(dy * self.xhat) if self.affine > 0 and self.needs_input_grad[1] else None
        dbias = self.parameter_sums(dy) if self.affine > 1 and self.needs_input_grad[2] else None
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
        if not x.size:
            return xp_of(x).zeros((n, c, *ones), x.dtype)
        by_channel = x.mean(axis=tuple(range(2, x.ndim)))
        by_group = by_channel.reshape(n, self.groups, c // self.groups).mean(axis=2, keepdims=True)
        return xp_of(x).broadcast_to(by_group, (n, self.groups, c // self.groups)).reshape(n, c, *ones)


class LayerNorm(_Normalize):
    """The last `ndim` axes of each sample are normalised together; weight and bias hold a number for every position there."""

    def __init__(self, ndim: int, eps: float = 1e-5):
        super().__init__(eps)
        self.ndim = ndim

    def average(self, x: Array) -> Array:
        axes = tuple(range(x.ndim - self.ndim, x.ndim))
        return x.mean(axis=axes, keepdims=True) if x.size else x.sum(axis=axes, keepdims=True)

    def aligned(self, parameter: Array, ndim: int) -> Array:
        return parameter

    def parameter_sums(self, values: Array) -> Array:
        return values.sum(axis=tuple(range(values.ndim - self.ndim)))


class RMSNorm(LayerNorm):
    """y = weight xhat with xhat = x / sqrt(mean of x^2 + eps) over the last `ndim` axes; no mean is subtracted

    With g = dy weight: dx = (g - xhat average(g xhat)) / sqrt(mean of x^2 + eps).
    """

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        self.inverse_std = 1 / xp_of(x).sqrt(self.average(x * x) + self.eps)
        self.xhat = x * self.inverse_std
        return self.scale_and_shift(self.xhat, weight, bias)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        dx = None
        if self.needs_input_grad[0]:
            g = dy if self.weight is None else dy * self.weight
            dx = (g - self.xhat * self.average(g * self.xhat)) * self.inverse_std
        return self.with_parameter_gradients(dx, dy)


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
    check_flags(op, training=training)
    momentum, eps = number(op, "momentum", momentum), not_negative(op, "eps", eps)
    if as_tensor(op, "input", input).shape == (0,):
        return as_tensor(op, "input", input).clone()  # PyTorch lets an empty vector pass
    x, parameters = _parameters(op, input, weight, bias)
    _check_statistics(op, x, running_mean, running_var)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(
                f"{op}: running_mean and running_var are needed, because without training=True they are what to normalise by"
            )
        return FixedNorm(running_mean.array, running_var.array, eps)(x, *parameters)
    eps = positive(op, "eps", eps)
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


def _check_statistics(op: str, x: Tensor, running_mean: Tensor | None, running_var: Tensor | None) -> None:
    statistics = {"running_mean": running_mean, "running_var": running_var}
    for name, s in statistics.items():
        if s is None:
            continue
        if not isinstance(s, Tensor) or not s.is_floating_point():
            raise TypeError(f"{op}: {name} is {shown(s)}, but must be a floating tensor, which training writes into")
        if s.shape != (x.shape[1],):
            raise ValueError(
                f"{op}: {name} has shape {s.shape}, but input {x.shape} has {x.shape[1]} channels, so it must be ({x.shape[1]},)"
            )
    if (running_mean is None) != (running_var is None):
        given, missing = ("running_var", "running_mean") if running_mean is None else ("running_mean", "running_var")
        raise ValueError(f"{op}: {given} is given, but {missing} is None; give both or neither")
    need_same_device(op, input=x, **statistics)


def _update(running: Tensor, new: Array, momentum: float) -> None:
    running.array *= 1 - momentum
    running.array += (momentum * new).astype(running.dtype)
    running._version[0] += 1


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Normalise each of `num_groups` groups of channels of each sample of input (N, C, *); the batch plays no part.

    Wu & He 2018 (arXiv:1803.08494). Raises ValueError when the groups do not divide the channels.
    """
    op = "group_norm"
    num_groups, eps = integer(op, "num_groups", num_groups, minimum=1), number(op, "eps", eps)
    x, parameters = _parameters(op, input, weight, bias)
    if x.shape[1] % num_groups:
        raise ValueError(f"{op}: num_groups={num_groups} must divide the {x.shape[1]} channels of input {x.shape}")
    return GroupNorm(num_groups, eps)(x, *parameters)


def instance_norm(
    input: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each sample of input (N, C, *) by itself, or by the running statistics.

    With `use_input_stats` it is group norm with one channel in each group; the running tensors (C,), when given, move by
    `momentum` towards the averages over the batch of these means and unbiased variances. Without it the running statistics take
    the place of the sample's own, as in `batch_norm`. Ulyanov et al. 2016 (arXiv:1607.08022).

    Raises ValueError when there is only one value per channel, and when weight, bias or statistics are not (C,).
    """
    op = "instance_norm"
    check_flags(op, use_input_stats=use_input_stats)
    momentum, eps = number(op, "momentum", momentum), number(op, "eps", eps)
    x, parameters = _parameters(op, input, weight, bias)
    _check_statistics(op, x, running_mean, running_var)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ValueError(
                f"{op}: running_mean and running_var are needed, because without use_input_stats=True they are what to normalise "
                "by"
            )
        return FixedNorm(running_mean.array, running_var.array, eps)(x, *parameters)
    n, c = x.shape[:2]
    count = math.prod(x.shape[2:])
    if count == 1:
        raise ValueError(
            f"{op}: each channel of a sample needs more than one value to have a variance, but input (N, C, *) = {x.shape} has "
            "one; use a larger image, or batch_norm"
        )
    function = GroupNorm(c, eps)
    y = function(x, *parameters)
    if x.numel() and running_mean is not None:
        _update(running_mean, function.mean.reshape(n, c).mean(axis=0), momentum)
    if x.numel() and running_var is not None:
        _update(running_var, function.var.reshape(n, c).mean(axis=0) * (count / (count - 1)), momentum)
    return y


def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Normalise each sample over its last axes, whose lengths are `normalized_shape` (an int or a sequence).

    weight and bias have that shape. Ba et al. 2016 (arXiv:1607.06450). Raises ValueError when the shapes do not fit.
    """
    op = "layer_norm"
    shape, eps = normalized_lengths(op, normalized_shape), number(op, "eps", eps)
    x = as_tensor(op, "input", input)
    if x.shape[-len(shape) :] != shape:
        raise ValueError(
            f"{op}: input has shape {x.shape}, but normalized_shape={shape} must be the lengths of its last axes, which are "
            f"{x.shape[-len(shape) :]}"
        )
    return LayerNorm(len(shape), eps)(x, *_weight_and_bias(op, x, weight, bias, shape, f"normalized_shape is {shape}"))


def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    """Divide each sample by the root mean square over its last axes, whose lengths are `normalized_shape`.

    weight has that shape; eps=None means the smallest step of the dtype at 1 (1.2e-7 for float32). Zhang & Sennrich 2019
    (arXiv:1910.07467). Raises ValueError when the shapes do not fit.
    """
    op = "rms_norm"
    shape = normalized_lengths(op, normalized_shape)
    eps = None if eps is None else number(op, "eps", eps)
    x = as_tensor(op, "input", input)
    need_float(op, input=x)
    if x.shape[-len(shape) :] != shape:
        raise ValueError(
            f"{op}: input has shape {x.shape}, but normalized_shape={shape} must be the lengths of its last axes, which are "
            f"{x.shape[-len(shape) :]}"
        )
    step = float(xp_of(x.array).finfo(x.dtype).eps) if eps is None else eps
    return RMSNorm(len(shape), step)(x, *_weight_and_bias(op, x, weight, None, shape, f"normalized_shape is {shape}"))


def normalized_lengths(op: str, normalized_shape: Any) -> tuple[int, ...]:
    """`normalized_shape` as a tuple of at least one length."""
    legal = "an int or a sequence of them, the lengths of the input's last axes"
    if not isinstance(normalized_shape, (tuple, list)):
        return (integer(op, "normalized_shape", normalized_shape, minimum=0, meaning=legal),)
    shape = integers(op, "normalized_shape", normalized_shape, legal, minimum=0)
    if not shape:
        raise ValueError(f"{op}: normalized_shape=() must be {legal}")
    return shape


def _parameters(op: str, input: Any, weight: Any, bias: Any) -> tuple[Tensor, list[Tensor]]:
    x = as_tensor(op, "input", input)
    if x.ndim < 2:
        raise ValueError(f"{op}: input has shape {x.shape}, but needs a channel axis: (N, C, *)")
    return x, _weight_and_bias(op, x, weight, bias, (x.shape[1],), f"input {x.shape} has {x.shape[1]} channels")


def _weight_and_bias(op: str, x: Tensor, weight: Any, bias: Any, shape: tuple[int, ...], reason: str) -> list[Tensor]:
    """Those of the two that are given, as tensors of the right shape; a bias alone gets a weight of ones."""
    w = None if weight is None else as_tensor(op, "weight", weight)
    b = None if bias is None else as_tensor(op, "bias", bias)
    need_float(op, input=x, weight=w, bias=b)
    for name, p in (("weight", w), ("bias", b)):
        if p is not None and p.shape != shape:
            raise ValueError(f"{op}: {name} has shape {p.shape}, but {reason}, so it must be {shape}")
    if w is None and b is not None:
        w = Tensor._wrap(xp_of(b.array).ones_like(b.array))
    return [p for p in (w, b) if p is not None]
