"""The bilinear form: a number that is linear in each of two vectors."""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.operands import as_tensor, need_float


class Bilinear(Function):
    """y_k = a^T A_k b + bias_k;  da = sum_k dy_k A_k b,  db = sum_k dy_k A_k^T a,  dA_k = dy_k a b^T,  dbias = dy"""

    def forward(self, a: Array, b: Array, weight: Array, bias: Array | None = None) -> Array:
        # a: (N, I), b: (N, J), weight: (K, I, J)
        self.a, self.b, self.weight, self.has_bias = a, b, weight, bias is not None
        y = xp_of(a).einsum("ni,kij,nj->nk", a, weight, b, optimize=True)
        return y if bias is None else y + bias

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        einsum, needs = xp_of(dy).einsum, self.needs_input_grad
        da = einsum("nk,kij,nj->ni", dy, self.weight, self.b, optimize=True) if needs[0] else None
        db = einsum("nk,kij,ni->nj", dy, self.weight, self.a, optimize=True) if needs[1] else None
        dweight = einsum("nk,ni,nj->kij", dy, self.a, self.b, optimize=True) if needs[2] else None
        if not self.has_bias:
            return da, db, dweight
        return da, db, dweight, dy.sum(axis=0) if needs[3] else None


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """input1 (..., I) and input2 (..., J) with weight (K, I, J) and bias (K,): y_k = input1^T weight_k input2 + bias_k (..., K).

    Raises ValueError when the shapes do not fit.
    """
    op = "bilinear"
    a, b, w = as_tensor(op, "input1", input1), as_tensor(op, "input2", input2), as_tensor(op, "weight", weight)
    c = None if bias is None else as_tensor(op, "bias", bias)
    need_float(op, input1=a, input2=b, weight=w, bias=c)
    if w.ndim != 3:
        raise ValueError(f"{op}: weight has shape {w.shape}, but must be (out, in1, in2)")
    if min(a.ndim, b.ndim) < 1 or a.shape[:-1] != b.shape[:-1] or (a.shape[-1], b.shape[-1]) != w.shape[1:]:
        raise ValueError(
            f"{op}: input1 has shape {a.shape}, input2 {b.shape} and weight (out, in1, in2) = {w.shape}; the last axes must have "
            "lengths in1 and in2, the others must agree"
        )
    if c is not None and c.shape != (w.shape[0],):
        raise ValueError(
            f"{op}: bias has shape {c.shape}, but weight (out, in1, in2) = {w.shape} has {w.shape[0]} outputs, so it must be "
            f"({w.shape[0]},)"
        )
    leading = a.shape[:-1]
    count = math.prod(leading)
    rows = (a.reshape(count, a.shape[-1]), b.reshape(count, b.shape[-1]), w)
    return Bilinear()(*rows, *(() if c is None else (c,))).reshape(*leading, w.shape[0])
