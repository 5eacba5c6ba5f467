"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.autograd.dtypes import result_type
from minivision.backend import Array, xp_of
from minivision.functions.operands import as_tensor, check_broadcast, need_float, need_same_device


class MatMul(Function):
    """Y = A B over the last two axes, broadcast over the others;  dA = dY B^T,  dB = A^T dY"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        # each factor is kept only for the other one's gradient
        self.a = a if self.needs_input_grad[1] else None
        self.b = b if self.needs_input_grad[0] else None
        return xp_of(a, b).matmul(a, b)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        xp = xp_of(dy)
        # (..., n, m) @ (..., m, k) -> (..., n, k)
        da = None if self.b is None else xp.matmul(dy, self.b.swapaxes(-1, -2))
        # (..., k, n) @ (..., n, m) -> (..., k, m)
        db = None if self.a is None else xp.matmul(self.a.swapaxes(-1, -2), dy)
        return da, db


class Linear(Function):
    """y = x W^T + b over the last axis;  dx = dy W,  dW = dy^T x and db = dy summed over all other axes"""

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        self.x = x if self.needs_input_grad[1] else None
        self.w, self.shape, self.has_bias = w, x.shape, b is not None
        # (N, in) @ (in, out) -> (N, out)
        y = (_rows(x) @ w.T).reshape(*x.shape[:-1], w.shape[0])
        return y if b is None else y + b

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        rows = _rows(dy)
        # (N, out) @ (out, in) -> (N, in)
        dx = (rows @ self.w).reshape(self.shape) if self.needs_input_grad[0] else None
        # (out, N) @ (N, in) -> (out, in)
        dw = None if self.x is None else rows.T @ _rows(self.x)
        if not self.has_bias:
            return dx, dw
        return dx, dw, rows.sum(axis=0) if self.needs_input_grad[2] else None


def _rows(x: Array) -> Array:
    """(..., n) -> (N, n): all leading axes as one."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def matmul(input: Any, other: Any) -> Tensor:
    """The matrix product `input @ other`, with PyTorch's rules for vectors (1 axis) and batches (more than 2).

    Raises ValueError when the inner lengths differ or the batch axes do not broadcast.
    """
    a, b = as_tensor("matmul", "input", input), as_tensor("matmul", "other", other)
    if a.ndim == 0 or b.ndim == 0:
        raise ValueError(
            f"matmul: both operands need at least one axis, but have shapes {a.shape} and {b.shape}; use * for scalars"
        )
    need_same_device("matmul", input=a, other=b)
    dtype = result_type(a.array, b.array)
    row, column = a.ndim == 1, b.ndim == 1
    a = a.to(dtype).unsqueeze(0) if row else a.to(dtype)
    b = b.to(dtype).unsqueeze(1) if column else b.to(dtype)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"matmul: the inner lengths differ: {a.shape[-1]} of input {as_tensor('matmul', 'input', input).shape} against "
            f"{b.shape[-2]} of other {as_tensor('matmul', 'other', other).shape}; (..., n, m) @ (..., m, k) is needed"
        )
    check_broadcast(f"matmul of {a.shape} and {b.shape}, batch axes", [a.shape[:-2], b.shape[:-2]])
    y = MatMul()(a, b)
    if row:
        y = y.squeeze(-2)
    return y.squeeze(-1) if column else y


def mm(input: Any, mat2: Any) -> Tensor:
    """The product of two matrices."""
    return _product("mm", input, mat2, 2)


def bmm(input: Any, mat2: Any) -> Tensor:
    """The products of two batches of matrices, (N, n, m) @ (N, m, k)."""
    return _product("bmm", input, mat2, 3)


def _product(op: str, input: Any, mat2: Any, ndim: int) -> Tensor:
    a, b = as_tensor(op, "input", input), as_tensor(op, "mat2", mat2)
    if a.ndim != ndim or b.ndim != ndim or a.shape[:-2] != b.shape[:-2]:
        raise ValueError(f"{op}: needs two tensors of {ndim} axes, but got {a.shape} and {b.shape}; use matmul for other cases")
    return matmul(a, b)


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """input (..., in) @ weight (out, in) transposed + bias (out,) -> (..., out).

    Raises ValueError when the lengths do not fit.
    """
    x, w = as_tensor("linear", "input", input), as_tensor("linear", "weight", weight)
    b = None if bias is None else as_tensor("linear", "bias", bias)
    need_float("linear", input=x, weight=w, bias=b)
    if w.ndim != 2 or x.ndim < 1 or x.shape[-1] != w.shape[1]:
        raise ValueError(
            f"linear: input has shape {x.shape} and weight (out, in) = {w.shape}; the input's last axis must have length in"
        )
    if b is not None and b.shape != (w.shape[0],):
        raise ValueError(f"linear: bias has shape {b.shape}, but weight {w.shape} has {w.shape[0]} outputs")
    return Linear()(x, w) if b is None else Linear()(x, w, b)
