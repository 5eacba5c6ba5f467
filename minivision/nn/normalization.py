"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minivision.autograd import Tensor
from minivision.functions.checkpointing import is_recomputing
from minivision.functions.creation import ones, zeros
from minivision.functions.normalization import normalize_batch, normalize_groups, normalized_lengths
from minivision.functions.operands import as_tensor, check_flags, integer, not_negative, number
from minivision.nn import functional as F
from minivision.nn import init
from minivision.nn.module import Module
from minivision.nn.parameter import Parameter


class _BatchNorm(Module):
    """Normalises each channel over the batch in training, by running statistics in evaluation; see `functional.batch_norm`.

    `momentum=None` averages all batches seen instead of forgetting exponentially.
    """

    axes: tuple[int, ...]
    shape: str

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ):
        super().__init__()
        name = type(self).__name__
        self.num_features = num_features = integer(name, "num_features", num_features, minimum=1)
        self.eps = not_negative(name, "eps", eps)
        self.momentum = None if momentum is None else number(name, "momentum", momentum)
        check_flags(name, affine=affine, track_running_stats=track_running_stats)
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", Parameter(ones(num_features)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_features)) if affine else None)
        self.register_buffer("running_mean", zeros(num_features) if track_running_stats else None)
        self.register_buffer("running_var", ones(num_features) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", zeros((), dtype=np.int64) if track_running_stats else None)

    def forward(self, input: Tensor) -> Tensor:
        return self.fused(input, relu=False)

    def fused(self, input: Tensor, relu: bool = True) -> Tensor:
        """`forward`, and ReLU in the same operation; see `nn/fusing.py`."""
        name = type(self).__name__
        input = as_tensor(name, "input", input)
        if input.ndim not in self.axes or input.shape[1] != self.num_features:
            raise ValueError(f"{name}: input has shape {input.shape}, but must be {self.shape} with C = {self.num_features}")
        use_batch = self.training or self.running_mean is None
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.array += not is_recomputing()
            if momentum is None:
                momentum = 1 / self.num_batches_tracked.item()
        keep = not use_batch or self.training
        return normalize_batch(
            input,
            self.running_mean if keep else None,
            self.running_var if keep else None,
            self.weight,
            self.bias,
            use_batch,
            momentum or 0.0,
            self.eps,
            relu,
        )

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (N, C) or (N, C, L)."""

    axes = (2, 3)
    shape = "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images (N, C, H, W)."""

    axes = (4,)
    shape = "(N, C, H, W)"


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes (N, C, D, H, W)."""

    axes = (5,)
    shape = "(N, C, D, H, W)"


class GroupNorm(Module):
    """Normalises groups of channels of each sample; see `functional.group_norm`."""

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True):
        super().__init__()
        num_groups = integer("GroupNorm", "num_groups", num_groups, minimum=1)
        num_channels = integer("GroupNorm", "num_channels", num_channels, minimum=1)
        check_flags("GroupNorm", affine=affine)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}")
        self.num_groups, self.num_channels, self.affine = num_groups, num_channels, affine
        self.eps = not_negative("GroupNorm", "eps", eps)
        self.register_parameter("weight", Parameter(ones(num_channels)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_channels)) if affine else None)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def fused(self, input: Tensor) -> Tensor:
        """`forward`, and ReLU in the same operation; see `nn/fusing.py`."""
        return normalize_groups(input, self.num_groups, self.weight, self.bias, self.eps, relu=True)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.affine:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class _InstanceNorm(Module):
    """Normalises each channel of each sample by itself; see `functional.instance_norm`. A missing batch axis is allowed.

    With `track_running_stats`, evaluation uses running statistics in the place of the sample's own.
    """

    axes: int
    shape: str

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False,
    ):  # fmt: skip
        super().__init__()
        name = type(self).__name__
        self.num_features = num_features = integer(name, "num_features", num_features, minimum=1)
        self.eps, self.momentum = not_negative(name, "eps", eps), number(name, "momentum", momentum)
        check_flags(name, affine=affine, track_running_stats=track_running_stats)
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", Parameter(ones(num_features)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(num_features)) if affine else None)
        self.register_buffer("running_mean", zeros(num_features) if track_running_stats else None)
        self.register_buffer("running_var", ones(num_features) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", zeros((), dtype=np.int64) if track_running_stats else None)

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor(type(self).__name__, "input", input)
        batched = input.ndim == self.axes
        if input.ndim not in (self.axes - 1, self.axes) or input.shape[-self.axes + 1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: input has shape {input.shape}, but must be {self.shape}, with or without N, and with "
                f"C = {self.num_features}"
            )
        own = self.training or not self.track_running_stats
        y = F.instance_norm(
            input if batched else input.unsqueeze(0), self.running_mean, self.running_var, self.weight, self.bias, own,
            self.momentum, self.eps,
        )  # fmt: skip
        return y if batched else y.squeeze(0)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, affine={self.affine}, track_running_stats={self.track_running_stats}"


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (N, C, L)."""

    axes = 3
    shape = "(N, C, L)"


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of images (N, C, H, W)."""

    axes = 4
    shape = "(N, C, H, W)"


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of volumes (N, C, D, H, W)."""

    axes = 5
    shape = "(N, C, D, H, W)"


class LayerNorm(Module):
    """Normalises each sample over its last axes, of lengths `normalized_shape`; see `functional.layer_norm`."""

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ):
        super().__init__()
        self.normalized_shape = normalized_lengths("LayerNorm", normalized_shape)
        check_flags("LayerNorm", elementwise_affine=elementwise_affine, bias=bias)
        self.eps, self.elementwise_affine = not_negative("LayerNorm", "eps", eps), elementwise_affine
        affine = self.elementwise_affine
        self.register_parameter("weight", Parameter(ones(self.normalized_shape)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(self.normalized_shape)) if affine and bias else None)

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """Divides each sample by the root mean square over its last axes; see `functional.rms_norm`."""

    def __init__(self, normalized_shape: int | Sequence[int], eps: float | None = None, elementwise_affine: bool = True):
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter("weight", Parameter(ones(self.normalized_shape)) if elementwise_affine else None)

    def reset_parameters(self) -> None:
        """Weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """Divides each value by a power of the mean square over neighbouring channels; see `functional.local_response_norm`."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        name = "LocalResponseNorm"
        self.size, self.alpha = integer(name, "size", size, minimum=1), number(name, "alpha", alpha)
        self.beta, self.k = number(name, "beta", beta), number(name, "k", k)

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
