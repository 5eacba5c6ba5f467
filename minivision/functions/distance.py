"""Lengths, angles and distances of vectors along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.functions.clamping import clamp
from minivision.functions.norms import norm
from minivision.functions.operands import (
    as_tensor,
    axes,
    axis,
    check_broadcast,
    check_flags,
    float_tensor,
    need_float,
    not_negative,
    number,
)


def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """input divided by its p-norm along `dim`, so that each vector there has length 1; a norm below eps counts as eps."""
    op = "normalize"
    x = float_tensor(op, "input", input)
    p, eps = number(op, "p", p, infinite=True), not_negative(op, "eps", eps)
    return x / clamp(norm(x, p, axes(op, dim, x.shape), keepdim=True), min=eps)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between the vectors of x1 and x2 along `dim`: the product of the vectors, normalised.

    The two are broadcast. A norm below eps counts as eps. Raises ValueError when the shapes do not broadcast.
    """
    op = "cosine_similarity"
    a, b = as_tensor(op, "x1", x1), as_tensor(op, "x2", x2)
    need_float(op, x1=a, x2=b)
    eps = not_negative(op, "eps", eps)
    check_broadcast(op, [a.shape, b.shape], ("x1", "x2"))
    ndim = max(a.ndim, b.ndim)
    # counted from the end, where broadcasting aligns the axes
    along = axis(op, dim, np.broadcast_shapes(a.shape, b.shape)) - ndim
    if ndim:
        a, b = (v.reshape((1,) * (ndim - v.ndim) + v.shape) for v in (a, b))
        length = max(a.shape[along], b.shape[along])  # the norms are those of the broadcast vectors
        a, b = (v.expand((*v.shape[:along], length, *v.shape[along:][1:])) for v in (a, b))
    unit = [v / _at_least(norm(v, 2, along if ndim else None, keepdim=True), eps) for v in (a, b)]
    return (unit[0] * unit[1]).sum(along if ndim else None)


def _at_least(x: Tensor, low: float) -> Tensor:
    """max(x, low), through which the gradient passes unchanged, as PyTorch has it in cosine_similarity."""
    return x + clamp(low - x.detach(), min=0)


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis, broadcast; eps keeps the derivative finite for equal vectors.

    Raises ValueError when the shapes do not broadcast, or when there is no axis.
    """
    op = "pairwise_distance"
    a, b = as_tensor(op, "x1", x1), as_tensor(op, "x2", x2)
    need_float(op, x1=a, x2=b)
    p, eps = number(op, "p", p, infinite=True), number(op, "eps", eps)
    check_flags(op, keepdim=keepdim)
    check_broadcast(op, [a.shape, b.shape], ("x1", "x2"))
    if not max(a.ndim, b.ndim):
        raise ValueError(f"{op}: x1 and x2 have no axes; give vectors (D,) or (N, D)")
    return norm(a - b + eps, p, -1, keepdim)
