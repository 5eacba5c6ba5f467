"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.operands import as_tensor, need_float, need_numbers, need_one_dtype, need_same_device


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
    check_factors("matmul", input=a, other=b)
    row, column = a.ndim == 1, b.ndim == 1
    _check_inner("matmul", "other", a.shape, b.shape)
    a = a.unsqueeze(0) if row else a
    b = b.unsqueeze(1) if column else b
    for n, m in zip(a.shape[-3::-1], b.shape[-3::-1], strict=False):
        if n != m and 1 not in (n, m):
            raise ValueError(
                f"matmul: the batch axes of input {a.shape} and other {b.shape} do not broadcast: {n} against {m}, which must be "
                "equal or 1"
            )
    y = MatMul()(a, b)
    if row:
        y = y.squeeze(-2)
    return y.squeeze(-1) if column else y


def check_factors(op: str, **factors: Tensor) -> None:
    """Raise unless all factors are on one device and of one dtype, which is not bool: truth values have no sum."""
    need_same_device(op, **factors)
    need_one_dtype(op, **factors)
    need_numbers(op, **factors)


def _check_inner(op: str, other: str, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """Raise ValueError unless the rows of the first factor are as long as the columns of the second."""
    rows, columns = a[-1], b[-2] if len(b) > 1 else b[0]
    if rows != columns:
        raise ValueError(
            f"{op}: the inner lengths differ: {rows} of input {a} against {columns} of {other} {b}; (..., n, m) @ (..., m, k) is "
            "needed"
        )


def mm(input: Any, mat2: Any) -> Tensor:
    """The product of two matrices."""
    return _product("mm", input, mat2, 2)


def bmm(input: Any, mat2: Any) -> Tensor:
    """The products of two batches of matrices, (N, n, m) @ (N, m, k)."""
    return _product("bmm", input, mat2, 3)


def _product(op: str, input: Any, mat2: Any, ndim: int) -> Tensor:
    a, b = as_tensor(op, "input", input), as_tensor(op, "mat2", mat2)
    if a.ndim != ndim or b.ndim != ndim:
        raise ValueError(
            f"{op}: input has shape {a.shape} and mat2 {b.shape}, but they must have {ndim} axes, "
            f"{'(n, m) and (m, k)' if ndim == 2 else '(N, n, m) and (N, m, k)'}; use matmul for other cases"
        )
    if a.shape[:-2] != b.shape[:-2]:
        raise ValueError(
            f"{op}: the batches differ: {a.shape[0]} matrices of input {a.shape} against {b.shape[0]} of mat2 {b.shape}; matmul "
            "broadcasts a batch of 1"
        )
    check_factors(op, input=a, mat2=b)
    _check_inner(op, "mat2", a.shape, b.shape)
    return matmul(a, b)


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """input (..., in) @ weight (out, in) transposed + bias (out,) -> (..., out).

    Raises ValueError when the lengths do not fit.
    """
    x, w = as_tensor("linear", "input", input), as_tensor("linear", "weight", weight)
    b = None if bias is None else as_tensor("linear", "bias", bias)
    need_float("linear", input=x, weight=w, bias=b)
    if w.ndim != 2:
        raise ValueError(f"linear: weight has shape {w.shape}, but must be a matrix (out, in)")
    if x.ndim < 1 or x.shape[-1] != w.shape[1]:
        features = f"{x.shape[-1]} features" if x.ndim else "no axis"
        raise ValueError(
            f"linear: input (..., in) = {x.shape} has {features}, but weight (out, in) = {w.shape} expects {w.shape[1]}"
            f"{_way_out(x.shape, w.shape[1])}"
        )
    if b is not None and b.shape != (w.shape[0],):
        raise ValueError(
            f"linear: bias has shape {b.shape}, but weight (out, in) = {w.shape} has {w.shape[0]} outputs, so it must be "
            f"({w.shape[0]},)"
        )
    return Linear()(x, w) if b is None else Linear()(x, w, b)


def _way_out(shape: tuple[int, ...], expected: int) -> str:
    """What a student who gave a wrong number of features may have meant."""
    if len(shape) > 2 and math.prod(shape[1:]) == expected:
        return f"; flatten each sample first: {' * '.join(map(str, shape[1:]))} = {expected}, input.flatten(1)"
    if len(shape) > 2:
        return f"; flattened, with input.flatten(1), each sample has {math.prod(shape[1:])}"
    return f"; make the layer with in_features={shape[-1]}" if shape else ""
