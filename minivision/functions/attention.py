"""Attention: every query takes a weighted mean of the values, weighted by how well its key fits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, default_generator, xp_of
from minivision.functions.operands import as_tensor, check_flags, need_float, need_same_device, number
from minivision.functions.rearranging import repeat_interleave


class Attention(Function):
    """Y = P V with P = softmax(scale Q K^T + mask) over the keys

    dV = P^T dY,  dP = dY V^T,  dS = P (dP - sum over keys of P dP),  dQ = scale dS K,  dK = scale dS^T Q,  dmask = dS.
    `keep` is the mask of dropout on P. A query whose every key is masked takes nothing: its row of P is 0.
    """

    broadcasts = True  # over the axes in front of the matrices

    def __init__(self, scale: float, dropout: float = 0.0, keep: Array | None = None):
        self.scale, self.dropout, self.keep = scale, dropout, keep

    def forward(self, q: Array, k: Array, v: Array, mask: Array | None = None) -> Array:
        xp = xp_of(q, k, v)
        self.q, self.k, self.v, self.masked = q, k, v, mask is not None
        s = (q @ k.swapaxes(-1, -2)) * q.dtype.type(self.scale)  # (L, E) @ (E, S) -> (L, S)
        if mask is not None:
            s = s + mask
        top = s.max(axis=-1, keepdims=True) if s.shape[-1] else xp.zeros((*s.shape[:-1], 1), s.dtype)
        p = xp.exp(s - xp.where(xp.isneginf(top), xp.zeros_like(top), top))
        total = p.sum(axis=-1, keepdims=True)
        self.p = p / xp.where(total == 0, xp.ones_like(total), total)
        return self._dropped(self.p) @ v  # (L, S) @ (S, Ev) -> (L, Ev)

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        wanted, scale = self.needs_input_grad, self.q.dtype.type(self.scale)
        dp = self._dropped(dy @ self.v.swapaxes(-1, -2))  # (L, Ev) @ (Ev, S) -> (L, S)
        ds = self.p * (dp - (self.p * dp).sum(axis=-1, keepdims=True))
        dq = ds @ self.k * scale if wanted[0] else None  # (L, S) @ (S, E) -> (L, E)
        dk = ds.swapaxes(-1, -2) @ self.q * scale if wanted[1] else None  # (S, L) @ (L, E) -> (S, E)
        dv = self._dropped(self.p).swapaxes(-1, -2) @ dy if wanted[2] else None  # (S, L) @ (L, Ev) -> (S, Ev)
        return (dq, dk, dv, ds) if self.masked else (dq, dk, dv)

    def _dropped(self, p: Array) -> Array:
        return p if self.keep is None else p * self.keep * p.dtype.type(1 / (1 - self.dropout) if self.dropout < 1 else 0)


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """softmax(query key^T / sqrt(E) + mask) value.

    Parameters
    ----------
    query: (..., L, E), L queries. key: (..., S, E), S keys. value: (..., S, Ev). The axes in front broadcast (batch, heads).
    attn_mask: broadcast to (..., L, S): bool, True where a key takes part; or floats that are added to the scores.
    dropout_p: set each weight to zero with this probability. Applied whenever it is not 0, so pass 0 in evaluation.
    is_causal: query i sees the keys 0 .. i; not together with attn_mask.
    scale: takes the place of 1 / sqrt(E).
    enable_gqa: several heads of `query` (axis -3) share each head of `key` and `value`.

    Returns (..., L, Ev). Vaswani et al. 2017 (arXiv:1706.03762). Raises ValueError for shapes that do not fit.
    """
    op = "scaled_dot_product_attention"
    q, k, v = as_tensor(op, "query", query), as_tensor(op, "key", key), as_tensor(op, "value", value)
    need_float(op, query=q, key=k, value=v)
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(
            f"{op}: query {q.shape}, key {k.shape} and value {v.shape} must be (..., L, E), (..., S, E), (..., S, Ev)"
        )
    check_flags(op, is_causal=is_causal, enable_gqa=enable_gqa)
    if not 0 <= number(op, "dropout_p", dropout_p) <= 1:
        raise ValueError(f"{op}: dropout_p={dropout_p} is a probability and must lie in [0, 1]")
    if is_causal and attn_mask is not None:
        raise ValueError(
            f"{op}: is_causal=True makes the mask itself; leave attn_mask={tuple(attn_mask.shape)} out, or combine them"
        )
    if enable_gqa:
        k, v = _shared_heads(op, q, k), _shared_heads(op, q, v)
    try:
        shape = (*np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2]), q.shape[-2], k.shape[-2])
    except ValueError:
        raise ValueError(
            f"{op}: the axes in front of the last two of query {q.shape}, key {k.shape} and value {v.shape} do not broadcast; "
            "their lengths must be equal or 1"
        ) from None
    xp = xp_of(q.array)
    if is_causal:
        attn_mask = Tensor._wrap(xp.tril(xp.ones(shape[-2:], bool)))
    keep = None
    if dropout_p:
        keep = xp.asarray(default_generator.rng.random(shape, dtype="float32") >= dropout_p)
    factor = 1 / math.sqrt(max(q.shape[-1], 1)) if scale is None else number(op, "scale", scale)
    attention = Attention(factor, dropout_p, keep)
    return attention(q, k, v) if attn_mask is None else attention(q, k, v, _added(op, attn_mask, q, shape))


def _added(op: str, attn_mask: Any, q: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The mask as numbers that are added to the scores: 0 where a key takes part, -inf where it does not."""
    mask = as_tensor(op, "attn_mask", attn_mask)
    need_same_device(op, query=q, attn_mask=mask)
    if mask.ndim > len(shape) or any(n not in (1, m) for n, m in zip(mask.shape[::-1], shape[::-1], strict=False)):
        raise ValueError(f"{op}: attn_mask has shape {mask.shape}, which does not broadcast to the scores (..., L, S) = {shape}")
    if mask.dtype == np.bool_:
        xp = xp_of(mask.array)
        return Tensor._wrap(xp.where(mask.array, 0.0, -xp.inf).astype(q.dtype))
    need_float(op, query=q, attn_mask=mask)
    return mask


def _shared_heads(op: str, q: Tensor, x: Tensor) -> Tensor:
    """Each head of key or value (axis -3) as often as queries share it."""
    if q.ndim < 3 or x.ndim < 3 or not x.shape[-3] or q.shape[-3] % x.shape[-3]:
        raise ValueError(
            f"{op}: enable_gqa needs heads of query {q.shape} that are a multiple of those of key and value {x.shape}"
        )
    return repeat_interleave(x, q.shape[-3] // x.shape[-3], -3)
