"""Normalisation: subtract a mean, divide by a standard deviation, scale and shift by channel.

Batch, instance, group, layer norm differ only in which values share a mean: over the batch and the image, over a group of
channels, over a whole sample.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.channel_blocks import (
    Part,
    arranged,
    constants,
    in_rows,
    one_by_one,
    ordered_like,
    parts_of,
    short_buffer,
    worth_blocks,
    zeros_below,
)
from minivision.functions.checkpointing import is_recomputing
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
from minivision.functions.selecting import keep_only
from minivision.memory import empty_like, scratch


class _Normalize(Function):
    """y = weight xhat + bias with xhat = (x - mean) / sqrt(var + eps), where `average` says which values share a mean.

    With g = dy weight and m values in each mean, the two indirect paths through mean and variance give
    dx = (g - average(g) - xhat average(g xhat)) / sqrt(var + eps).

    Kept is x, which the operation before has made anyway; backward computes xhat from it again. With `relu`, y = max(y, 0) on the
    way, and dy counts where y > 0.
    """

    relu = False

    def __init__(self, eps: float = 1e-5):
        self.eps = eps

    def average(self, x: Array) -> Array:
        """The mean over the values that are normalised together, broadcastable to x."""
        raise NotImplementedError

    def forward(self, x: Array, weight: Array | None = None, bias: Array | None = None) -> Array:
        self.x = x
        self.weight = None if weight is None else self.aligned(weight, x.ndim)
        self.affine = (weight is not None) + (bias is not None)
        y = self.normalize(x, None if bias is None else self.aligned(bias, x.ndim))
        if self.relu:
            self.y = y
        return y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        needs = self.needs_input_grad
        need_weight, need_bias = self.affine > 0 and needs[1], self.affine > 1 and needs[2]
        return self.gradients(dy, needs[0], need_weight, need_bias)[: 1 + self.affine]

    def normalize(self, x: Array, bias: Array | None) -> Array:
        xhat = self.standardized(x)
        y = xhat if self.weight is None else xhat * self.weight
        if bias is not None:
            y = y + bias
        return xp_of(y).maximum(y, 0) if self.relu else y

    def gradients(self, dy: Array, need_x: bool, need_weight: bool, need_bias: bool) -> tuple[Array | None, ...]:
        """Of x, weight and bias, as far as they are needed."""
        if self.relu:
            dy = dy * (self.y > 0)
        xhat = self.xhat() if need_x or need_weight else None
        dweight = self.parameter_sums(dy * xhat) if need_weight else None
        dbias = self.parameter_sums(dy) if need_bias else None
        return self.to_input(dy if self.weight is None else dy * self.weight, xhat) if need_x else None, dweight, dbias

    def standardized(self, x: Array) -> Array:
        """xhat, computed anew, with its statistics kept."""
        self.mean = self.average(x)
        centred = x - self.mean
        rest = self.average(centred)  # what rounding left of the mean, where that is large beside the deviations from it
        self.mean = self.mean + rest
        centred -= rest
        self.var = self.average(centred * centred)
        self.inverse_std = 1 / xp_of(x).sqrt(self.var + self.eps)
        centred *= self.inverse_std
        return centred

    def xhat(self) -> Array:
        return (self.x - self.mean) * self.inverse_std

    def to_input(self, g: Array, xhat: Array) -> Array:
        """dx, from g = dy weight."""
        dx = xhat * -self.average(g * xhat)
        dx += g
        dx -= self.average(g)
        dx *= self.inverse_std
        return dx

    def aligned(self, parameter: Array, ndim: int) -> Array:
        """weight or bias, shaped so that it broadcasts against x: one number for each channel."""
        return parameter.reshape((1, -1) + (1,) * (ndim - 2))

    def parameter_sums(self, values: Array) -> Array:
        """The sum over everything that shares one number of weight or bias."""
        return channel_sums(values)

    def decisions(self) -> dict[str, Array]:
        return {"positive": self.y > 0} if self.relu else {}


class _ChannelNorm(_Normalize):
    """Normalisation whose means belong to groups of channels, of each sample or of the whole batch.

    Large arrays on the CPU are worked on in blocks. With a = weight / sqrt(var + eps), and averages over the values that are
    normalised together,

    - y = a x + b, where b = bias - mean a;
    - dx = a dy - (q x + d), where q = average(a dy (x - mean)) / (var + eps), d = average(a dy) - mean q, which is the formula
      above, sorted by what multiplies dy and x. Both averages follow from each channel's sums of dy and of dy (x - mean), which
      are the gradients of bias and weight, too.

    So each value takes a multiplication and an addition forward, two and two backward; all else is numbers of channels, in
    float64. They are (units, 1) or (units, channels of a group), where a unit is a group of channels with a mean of its own: of
    each sample if `per_sample`, else of the batch. The sums come before y and dx: each block is read twice in each direction. But
    a unit that fits the cache is a block, and then the second time it is still there.

    A mean far from zero beside the standard deviation would cancel most digits of a x + b; then x - centre takes the place of x,
    with the centre near the mean.
    """

    per_sample = False

    def groups_of(self, channels: int) -> int:
        """How many groups of channels have a mean of their own."""
        return channels

    def moments(self, part: Part, x: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Mean and variance of each unit of a part, (units, 1), float64, and the centre if one is needed.

        In one pass over x, with d = x - centre: var = average(d^2) - average(d)^2. The difference loses digits when the centre is
        far from the mean, beside the standard deviation (Chan, Golub & LeVeque 1983). What networks make is near zero, so that is
        the first centre, which costs no subtraction. Where a mean turns out to be far away, the pass is done again, from there.
        """
        mean, square = self.averages(part.run(_powers, (x,), (), sums=2))
        var = square - mean * mean
        if not _far(mean, var):
            return mean, np.maximum(var, 0), None
        centre = mean.astype(x.dtype)
        rest, square = self.averages(part.run(_deviations, (x,), (centre,), sums=2))
        return centre + rest, np.maximum(square - rest * rest, 0), centre

    def averages(self, sums: np.ndarray) -> np.ndarray:
        """Sums by channel, of one unit after another -> (k, units, 1): averages over the values that are normalised together."""
        by_unit = sums.reshape(len(sums), -1, self.scale.shape[1])
        return np.vecdot(by_unit, constants(1, by_unit.shape[2], "d"))[:, :, None] / self.values

    def normalize(self, x: Array, bias: Array | None) -> Array:
        if not worth_blocks(x):
            return super().normalize(x, bias)
        self.x = x = arranged(x)
        y = empty_like(x)
        channels = x.shape[1]
        samples, groups = len(x) if self.per_sample else 1, self.groups_of(channels)
        self.parts = parts_of(x, groups, self.per_sample)
        by_unit = (samples * groups, channels // groups)
        self.values = x.size // (samples * groups)  # that are normalised together
        mean, var, inverse_std = self.statistics = np.empty((3, samples * groups, 1))
        self.mean, self.var, self.inverse_std = self.statistics.reshape(3, samples, groups, *(1,) * (x.ndim - 2))
        self.scale = np.empty(by_unit)  # a
        self.centres: dict[int, np.ndarray] = {}  # of parts that need one, by the first of their units
        weight = None if self.weight is None else _repeated(self.weight, by_unit)
        shift = None if bias is None else _repeated(bias, by_unit)

        def one(part: Part) -> None:
            units = part.units
            mean[units], var[units], centre = self.moments(part, x)
            inverse_std[units] = 1 / np.sqrt(var[units] + self.eps)
            self.scale[units] = a = inverse_std[units] if weight is None else weight[units] * inverse_std[units]
            if centre is not None:
                self.centres[units.start] = centre
            b = (0 if shift is None else shift[units]) - self.off_centre(part) * a
            work = _scale_and_shift_positive if self.relu else _scale_and_shift
            part.run(work, (x, y), (a, b, *self.centre_of(part)))

        one_by_one(one, self.parts, x)
        return y

    def gradients(self, dy: Array, need_x: bool, need_weight: bool, need_bias: bool) -> tuple[Array | None, ...]:
        x = self.x
        if not worth_blocks(x):
            return super().gradients(dy, need_x, need_weight, need_bias)
        dy = ordered_like(dy, x)
        dx = empty_like(x) if need_x or self.relu else None
        sums = np.empty((2, *self.scale.shape))  # by channel: of dy, and of dy (x - mean)

        def one(part: Part) -> None:
            if self.relu:
                found = part.run(_sum_positive, (dy, x, self.y, dx), self.centre_of(part), sums=2)  # dx: what passes
            else:
                found = part.run(_sum_products, (dy, x), self.centre_of(part), sums=2)
            plain, products = found.reshape(2, -1, sums.shape[2])
            sums[0, part.units] = plain
            sums[1, part.units] = products - self.off_centre(part) * plain
            if need_x:
                self.to_input_in_blocks(part, dx if self.relu else dy, dx, sums[:, part.units])

        one_by_one(one, self.parts, x)
        sums[1] *= self.statistics[2]
        by_sample = sums.reshape(2, -1, x.shape[1])
        dbias, dweight = np.add.reduce(by_sample, axis=1).astype(x.dtype)
        return dx if need_x else None, dweight if need_weight else None, dbias if need_bias else None

    def to_input_in_blocks(self, part: Part, dy: Array, dx: Array, sums: np.ndarray) -> None:
        """dx, from the channels' sums of dy and of dy (x - mean)."""
        a, inverse_std = self.scale[part.units], self.statistics[2, part.units]
        average, average_centred = self.averages(a * sums)
        q = average_centred * (inverse_std * inverse_std)
        d = average - self.off_centre(part) * q
        part.run(_combine, (dy, self.x, dx), (a, q, d, *self.centre_of(part)))

    def centre_of(self, part: Part) -> tuple[np.ndarray, ...]:
        """The centre of each unit of a part; nothing if it has none."""
        return (self.centres[part.units.start],) if part.units.start in self.centres else ()

    def off_centre(self, part: Part) -> np.ndarray:
        """The part of the means that is not subtracted from x: with a centre, what rounding it to x's dtype took away."""
        mean = self.statistics[0, part.units]
        return mean - self.centres[part.units.start] if part.units.start in self.centres else mean


def _repeated(parameter: Array, by_unit: tuple[int, int]) -> np.ndarray:
    """weight or bias for each unit: those of a sample are the same in the next one."""
    each = np.empty((by_unit[0] * by_unit[1] // parameter.size, parameter.size))
    each[...] = parameter.reshape(-1)
    return each.reshape(by_unit)


def _far(mean: np.ndarray, var: np.ndarray) -> bool:
    """Whether a mean is more than 4 standard deviations from zero."""
    return bool(np.count_nonzero(mean * mean > 16 * var))


def _powers(add: Any, x: Array) -> None:
    add(0, x)
    add(1, x, x)


def _deviations(add: Any, x: Array, centre: Array) -> None:
    d = _centred(x, (centre,))
    add(0, d)
    add(1, d, d)


def _centred(x: Array, centre: tuple[Array, ...]) -> Array:
    """x, or x minus the centre, if there is one, in a workspace."""
    return np.subtract(x, centre[0], out=scratch("centred", x.shape, x.dtype)) if centre else x


def _scale_and_shift(add: Any, x: Array, y: Array, a: Array, b: Array, *centre: Array) -> None:
    np.multiply(np.subtract(x, centre[0], out=y) if centre else x, a, out=y)
    np.add(y, b, out=y)


def _scale_and_shift_positive(add: Any, x: Array, y: Array, a: Array, b: Array, *centre: Array) -> None:
    _scale_and_shift(add, x, y, a, b, *centre)
    np.maximum(y, zeros_below(y), out=y)


def _sum_products(add: Any, dy: Array, x: Array, *centre: Array) -> None:
    """The sums of dy and of dy (x - centre)."""
    add(0, dy)
    add(1, _centred(x, centre), dy)


def _sum_positive(add: Any, dy: Array, x: Array, y: Array, passed: Array, *centre: Array) -> None:
    """The same for what passes through ReLU."""
    with short_buffer(y.shape[-1]):
        keep_only(np.greater(y, zeros_below(y)), dy, passed)
    _sum_products(add, passed, x, *centre)


def _scale(add: Any, dy: Array, dx: Array, a: Array) -> None:
    np.multiply(dy, a, out=dx)


def _combine(add: Any, dy: Array, x: Array, dx: Array, a: Array, q: Array, d: Array, *centre: Array) -> None:
    indirect = np.multiply(_centred(x, centre), q, out=scratch("channel work", x.shape, x.dtype))
    np.add(indirect, d, out=indirect)
    np.multiply(dy, a, out=dx)
    np.subtract(dx, indirect, out=dx)


class BatchNorm(_ChannelNorm):
    """Each channel is normalised by its mean and variance over the batch and all positions."""

    def average(self, x: Array) -> Array:
        per_channel = (1, -1) + (1,) * (x.ndim - 2)
        return (channel_sums(x) * x.dtype.type(x.shape[1] / max(x.size, 1))).reshape(per_channel)


class GroupNorm(_ChannelNorm):
    """Each group of channels of each sample is normalised by its own mean and variance."""

    per_sample = True

    def __init__(self, groups: int, eps: float = 1e-5):
        super().__init__(eps)
        self.groups = groups

    def groups_of(self, channels: int) -> int:
        return self.groups

    def average(self, x: Array) -> Array:
        n, c = x.shape[:2]
        if not x.size:
            return xp_of(x).zeros((n, c, *(1,) * (x.ndim - 2)), x.dtype)
        by_channel = x.mean(axis=tuple(range(2, x.ndim)))
        by_group = by_channel.reshape(n, self.groups, -1).mean(axis=2, keepdims=True)
        each = xp_of(x).broadcast_to(by_group, (n, self.groups, c // self.groups))
        return each.reshape(n, c, *(1,) * (x.ndim - 2))


class LayerNorm(_Normalize):
    """The last `ndim` axes of each sample are normalised together; weight and bias hold a number for every position there.

    As a matrix (rows, columns), each row is a sample of its own. Large ones on the CPU are cut into blocks of rows.
    """

    centred = True  # whether a mean is subtracted

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

    def normalize(self, x: Array, bias: Array | None) -> Array:
        if not worth_blocks(x):
            return super().normalize(x, bias)
        self.x = x = np.ascontiguousarray(x)
        outer, columns = x.shape[: x.ndim - self.ndim], math.prod(x.shape[x.ndim - self.ndim :])
        y = empty_like(x)
        self.mean, self.inverse_std = (np.empty((*outer, *(1,) * self.ndim), x.dtype) for _ in range(2))
        weight, bias = (None if v is None else v.reshape(-1) for v in (self.weight, bias))
        negligible = float(np.finfo(x.dtype).eps) ** 2 * 100 / columns

        def work(x: Array, y: Array, mean: Array, inverse_std: Array) -> None:
            ones = np.ones(columns, x.dtype)
            if self.centred:
                np.divide((x @ ones)[:, None], columns, out=mean)
                x = np.subtract(x, mean, out=y)
                rest = (x @ ones)[:, None] / columns  # what rounding left of the mean; it counts where the mean is far from 0
                if bool((rest * rest > negligible * np.vecdot(x, x)[:, None]).any()):
                    mean += rest
                    x -= rest
            inverse_std[:, 0] = 1 / np.sqrt(np.vecdot(x, x) / columns + self.eps)
            np.multiply(x, inverse_std, out=y)
            if weight is not None:
                y *= weight
            if bias is not None:
                y += bias

        in_rows(work, columns, x, y, self.mean, self.inverse_std)
        return y

    def gradients(self, dy: Array, need_x: bool, need_weight: bool, need_bias: bool) -> tuple[Array | None, ...]:
        if not worth_blocks(self.x):
            return super().gradients(dy, need_x, need_weight, need_bias)
        columns = math.prod(dy.shape[dy.ndim - self.ndim :])
        weight = None if self.weight is None else self.weight.reshape(-1)
        dx = empty_like(self.x) if need_x else None
        dweights: list[Array] = []  # of each block
        dbiases: list[Array] = []

        def work(x: Array, dy: Array, mean: Array, inverse_std: Array, dx: Array | None) -> None:
            xhat = scratch("xhat", x.shape, x.dtype)
            np.multiply(np.subtract(x, mean, out=xhat) if self.centred else x, inverse_std, out=xhat)
            if need_weight:
                dweights.append(np.einsum("rc,rc->c", dy, xhat))
            if need_bias:
                dbiases.append(np.ones(len(dy), dy.dtype) @ dy)
            if dx is None:
                return
            g = dy if weight is None else np.multiply(dy, weight, out=scratch("g", x.shape, x.dtype))
            np.multiply(xhat, np.vecdot(g, xhat)[:, None] / columns, out=xhat)
            np.subtract(g, xhat, out=dx)
            if self.centred:
                dx -= (g @ np.ones(columns, x.dtype))[:, None] / columns
            dx *= inverse_std

        in_rows(work, columns, self.x, np.ascontiguousarray(dy), self.mean, self.inverse_std, dx)
        shape = dy.shape[dy.ndim - self.ndim :]
        dweight, dbias = (np.sum(parts, axis=0).reshape(shape) if parts else None for parts in (dweights, dbiases))
        return dx, dweight, dbias


class RMSNorm(LayerNorm):
    """y = weight xhat with xhat = x / sqrt(mean of x^2 + eps) over the last `ndim` axes; no mean is subtracted

    With g = dy weight: dx = (g - xhat average(g xhat)) / sqrt(mean of x^2 + eps).
    """

    centred = False

    def standardized(self, x: Array) -> Array:
        self.inverse_std = 1 / xp_of(x).sqrt(self.average(x * x) + self.eps)
        return self.xhat()

    def xhat(self) -> Array:
        return self.x * self.inverse_std

    def to_input(self, g: Array, xhat: Array) -> Array:
        return (g - xhat * self.average(g * xhat)) * self.inverse_std


class FixedNorm(_ChannelNorm):
    """Batch norm in evaluation: mean and variance are constants (the running ones), so dx = dy weight / sqrt(var + eps)"""

    def __init__(self, mean: Array, var: Array, eps: float = 1e-5):
        super().__init__(eps)
        self.fixed_mean, self.fixed_var = mean, var

    def standardized(self, x: Array) -> Array:
        per_channel = (1, -1) + (1,) * (x.ndim - 2)
        self.mean = self.fixed_mean.reshape(per_channel).astype(x.dtype)
        self.inverse_std = (1 / xp_of(x).sqrt(self.fixed_var + self.eps)).reshape(per_channel).astype(x.dtype)
        return self.xhat()

    def to_input(self, g: Array, xhat: Array) -> Array:
        return g * self.inverse_std

    def moments(self, part: Part, x: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        mean, var = (v.reshape(-1, 1)[part.units].astype(np.float64) for v in (self.fixed_mean, self.fixed_var))
        return mean, var, mean.astype(x.dtype) if _far(mean, var) else None

    def to_input_in_blocks(self, part: Part, dy: Array, dx: Array, sums: np.ndarray) -> None:
        part.run(_scale, (dy, dx), (self.scale[part.units],))


class BatchNormReLU(BatchNorm):
    """y = max(weight xhat + bias, 0): `BatchNorm` and ReLU with one pass over memory less in each direction"""

    relu = True


class GroupNormReLU(GroupNorm):
    """y = max(weight xhat + bias, 0): `GroupNorm` and ReLU with one pass over memory less in each direction"""

    relu = True


class FixedNormReLU(FixedNorm):
    """y = max(weight xhat + bias, 0): `FixedNorm` and ReLU with one pass over memory less in each direction"""

    relu = True


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
    return normalize_batch(input, running_mean, running_var, weight, bias, training, momentum, eps)


def normalize_batch(
    input: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, training: bool, momentum: Any, eps: Any,
    relu: bool = False,
) -> Tensor:  # fmt: skip
    """`batch_norm`, and `relu` of it in the same operation if asked for."""
    op = "batch_norm"
    check_flags(op, training=training)
    momentum, eps = number(op, "momentum", momentum), not_negative(op, "eps", eps)
    if as_tensor(op, "input", input).shape == (0,):
        return as_tensor(op, "input", input).clone()  # PyTorch lets an empty vector pass; ReLU has nothing to do
    x, parameters = _parameters(op, input, weight, bias)
    _check_statistics(op, x, running_mean, running_var)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError(
                f"{op}: running_mean and running_var are needed, because without training=True they are what to normalise by"
            )
        return (FixedNormReLU if relu else FixedNorm)(running_mean.array, running_var.array, eps)(x, *parameters)
    eps = positive(op, "eps", eps)
    count = x.numel() // max(x.shape[1], 1)
    if count == 1:
        raise ValueError(
            f"{op}: in training each channel needs more than one value to have a variance, but input {x.shape} has one per "
            "channel; use a larger batch, group_norm, or module.eval()"
        )
    function = (BatchNormReLU if relu else BatchNorm)(eps)
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
    if is_recomputing():
        return  # `checkpoint` runs a layer twice, but the batch is one
    running.array *= 1 - momentum
    running.array += (momentum * new).astype(running.dtype)
    running._note_change()


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Normalise each of `num_groups` groups of channels of each sample of input (N, C, *); the batch plays no part.

    Wu & He 2018 (arXiv:1803.08494). Raises ValueError when the groups do not divide the channels.
    """
    return normalize_groups(input, num_groups, weight, bias, eps)


def normalize_groups(input: Any, num_groups: int, weight: Any, bias: Any, eps: Any, relu: bool = False) -> Tensor:
    """`group_norm`, and `relu` of it in the same operation if asked for."""
    op = "group_norm"
    num_groups, eps = integer(op, "num_groups", num_groups, minimum=1), number(op, "eps", eps)
    x, parameters = _parameters(op, input, weight, bias)
    if x.shape[1] % num_groups:
        raise ValueError(f"{op}: num_groups={num_groups} must divide the {x.shape[1]} channels of input {x.shape}")
    return (GroupNormReLU if relu else GroupNorm)(num_groups, eps)(x, *parameters)


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
