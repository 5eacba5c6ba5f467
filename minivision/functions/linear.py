"""Matrix products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array
from minivision.functions.operands import as_tensor, need_float, need_numbers, need_one_dtype, need_same_device
from minivision.memory import empty
from minivision.threads import for_each, get_num_threads, one_blas_thread, spans


class MatMul(Function):
    """Y = A B over the last two axes, broadcast over the others;  dA = dY B^T,  dB = A^T dY"""

    broadcasts = True

    def forward(self, a: Array, b: Array) -> Array:
        # each factor is kept only for the other one's gradient
        self.a = a if self.needs_input_grad[1] else None
        self.b = b if self.needs_input_grad[0] else None
        return product(a, b)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        # (..., n, m) @ (..., m, k) -> (..., n, k)
        da = None if self.b is None else product(dy, self.b.mT)
        # (..., k, n) @ (..., n, m) -> (..., k, m)
        db = None if self.a is None else product(self.a.mT, dy)
        return da, db


BLAS_ALONE = 1 << 18  # multiplications; OpenBLAS does a product of fewer in the caller's thread
MANY = 1 << 22  # multiplications; a product of fewer takes one core less than a tenth of a millisecond


def product(a: Array, b: Array, finish: Callable[[Array], Any] | None = None) -> Array:
    """A B over the last two axes, broadcast over the others; large ones shared out over the threads, single-threaded in each.

    So BLAS never starts threads of its own, which after a product would go on waiting for the next one on the cores where our
    threads work. `finish` gets the result, or blocks of its rows, and may change them in place.
    """
    if a.ndim == 2 == b.ndim and a.size * b.shape[1] <= BLAS_ALONE:
        y = a.dot(b)  # the same as `a @ b` for matrices, and NumPy starts it three times faster
    elif type(a) is not np.ndarray or a.dtype.kind != "f" or a.size * b.shape[-1] <= MANY or get_num_threads() == 1:
        with one_blas_thread():
            y = a @ b
    elif a.ndim == 2 == b.ndim:
        return _shared_product(a, b, finish)
    elif a.shape[:-2] == b.shape[:-2]:
        y = _shared_products(a, b)
    else:
        y = a @ b
    if finish is not None:
        finish(y)
    return y


def _shared_product(a: Array, b: Array, finish: Callable[[Array], Any] | None) -> Array:
    """A B for two matrices; each thread computes some of the rows, or of the columns."""
    rows, columns = a.shape[0], b.shape[1]
    y = empty((rows, columns), a.dtype)
    if rows < columns and finish is None:
        for_each(lambda part: np.matmul(a, b[:, part], out=y[:, part]), _parts(columns, 16))
        return y

    def some_rows(part: slice) -> None:
        np.matmul(a[part], b, out=y[part])
        if finish is not None:
            finish(y[part])

    for_each(some_rows, _parts(rows, 16))
    return y


def _shared_products(a: Array, b: Array) -> Array:
    """A B for matrix after matrix of two stacks; each thread computes some of them, or a part of each."""
    y = empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    # (..., n, m) @ (..., m, k) -> (..., n, k), with all leading axes as one
    first, second, results = (v.reshape(-1, *v.shape[-2:]) for v in (a, b, y))
    if len(first) < 2 * get_num_threads():  # few and large
        for i in range(len(first)):
            results[i] = product(first[i], second[i])
    else:
        for_each(lambda part: np.matmul(first[part], second[part], out=results[part]), _parts(len(first), 1))
    return y


def _parts(length: int, aligned: int) -> list[slice]:
    """One part for each thread."""
    return spans(length, -(-length // get_num_threads()), aligned)


class Linear(Function):
    """y = x W^T + b over the last axis;  dx = dy W,  dW = dy^T x and db = dy summed over all other axes"""

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        self.x = x if self.needs_input_grad[1] else None
        self.w, self.shape, self.has_bias = w, x.shape, b is not None

        def add_bias(rows: Array) -> None:
            rows += b

        # (N, in) @ (in, out) -> (N, out)
        y = product(_rows(x), w.T, None if b is None else add_bias)
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], w.shape[0])

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        rows = _rows(dy)
        # (N, out) @ (out, in) -> (N, in)
        dx = product(rows, self.w).reshape(self.shape) if self.needs_input_grad[0] else None
        # (out, N) @ (N, in) -> (out, in)
        dw = None if self.x is None else product(rows.T, _rows(self.x))
        if not self.has_bias:
            return dx, dw
        return dx, dw, rows.sum(axis=0) if self.needs_input_grad[2] else None


def _rows(x: Array) -> Array:
    """(..., n) -> (N, n): all leading axes as one."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def matmul(input: Any, other: Any) -> Tensor:
    """The matrix product `input @ other`, with PyTorch's rules for vectors (1 axis) and batches (more than 2).

    Raises ValueError when the inner lengths differ or the batch axes do not broadcast.
    """
    a = input if isinstance(input, Tensor) else as_tensor("matmul", "input", input)
    b = other if isinstance(other, Tensor) else as_tensor("matmul", "other", other)
    left, right = a.array.shape, b.array.shape
    if not left or not right:
        raise ValueError(
            f"matmul: both operands need at least one axis, but have shapes {a.shape} and {b.shape}; use * for scalars"
        )
    if not _are_alike(a.array, b.array):
        check_factors("matmul", input=a, other=b)
    if left[-1] != (right[-2] if len(right) > 1 else right[0]):
        _check_inner("matmul", "other", left, right)
    if len(left) == len(right) == 2:
        return MatMul()(a, b)
    row, column = len(left) == 1, len(right) == 1
    a = a.unsqueeze(0) if row else a
    b = b.unsqueeze(1) if column else b
    for n, m in zip(left[-3::-1], right[-3::-1], strict=False):
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


def _are_alike(a: Array, b: Array) -> bool:
    """Whether two factors can be multiplied as they are: numbers of one dtype on one device."""
    return type(a) is type(b) and a.dtype == b.dtype and a.dtype.kind != "b"


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
    if not (_are_alike(x.array, w.array) and x.array.dtype.kind == "f" and (b is None or _are_alike(b.array, w.array))):
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
