"""Helpers on parameters: gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

from minivision.autograd import Tensor
from minivision.backend import Array, xp_of
from minivision.blocks import in_blocks


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in given if p.grad is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients by one factor so that their joint norm is at most `max_norm`; returns the norm before.

    `norm_type` is the p of the norm, 2 for the Euclidean one; `math.inf` takes the largest magnitude. Raises RuntimeError, before
    anything is scaled, for a norm that is NaN or infinite, if `error_if_nonfinite`.
    """
    gradients = _gradients(parameters)
    if not gradients:
        return Tensor(0.0)
    xp = xp_of(*(g.array for g in gradients))
    sums: list[Any] = []

    def part(g: Array) -> None:
        magnitude = abs(g.astype("float64"))  # so that many small gradients are not lost beside a large one
        sums.append(magnitude.max() if norm_type == math.inf else (magnitude**norm_type).sum())

    for g in gradients:
        if g.array.size:
            in_blocks(part, g.array)
    if not sums:
        return Tensor(0.0)
    # sorted, since blocks are done in any order, and the rounding must be the same in every run
    parts = xp.sort(xp.stack(sums))
    total = parts.max() if norm_type == math.inf else parts.sum() ** (1 / norm_type)
    if error_if_nonfinite and not bool(xp.isfinite(total)):
        raise RuntimeError(
            f"clip_grad_norm_: the norm of the gradients is {float(total)}, and no factor makes that finite; lower the learning "
            "rate, or look for the operation that gave the first NaN or infinity"
        )
    factor = xp.minimum(max_norm / (total + 1e-6), 1.0)
    for g in gradients:
        in_blocks(partial(_scale, factor=factor.astype(g.dtype)), g.array)
    return Tensor(xp.asarray(total).astype(gradients[0].dtype))


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit every entry of every gradient to -clip_value .. clip_value."""
    for g in _gradients(parameters):
        in_blocks(partial(_limit, limit=clip_value), g.array)


def _scale(part: Array, factor: Any) -> None:
    part *= factor


def _limit(part: Array, limit: float) -> None:
    part[...] = xp_of(part).clip(part, -limit, limit)
