"""New tensors: from data, filled, counted, drawn at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.autograd.tensor import as_array
from minivision.backend import Device, Generator, default_generator, to_device


def tensor(data: Any, *, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`: numbers, nested lists, an array. Python floats become float32, ints int64.

    Raises TypeError for data that is not numeric, ValueError for ragged lists.
    """
    return Tensor(as_array(data, dtype).copy(), requires_grad=requires_grad, device=device)


def as_tensor(data: Any, dtype: Any = None, device: str | Device | None = None) -> Tensor:
    """`data` as a tensor, sharing memory where possible."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    return Tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expects a NumPy array, not {type(ndarray).__name__}; use minivision.tensor(data)")
    return Tensor(ndarray)


def _make(array: np.ndarray, device: str | Device | None, requires_grad: bool) -> Tensor:
    return Tensor(array, device=device, requires_grad=requires_grad)


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else tuple(int(n) for n in size)


def zeros(*size: Any, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`."""
    return _make(np.zeros(_shape(size), dtype or np.float32), device, requires_grad)


def ones(*size: Any, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return _make(np.ones(_shape(size), dtype or np.float32), device, requires_grad)


def empty(*size: Any, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor whose values are whatever the memory held."""
    return _make(np.empty(_shape(size), dtype or np.float32), device, requires_grad)


def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor filled with one value."""
    return _make(np.full(size, fill_value, dtype or as_array(fill_value).dtype), device, requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False
) -> Tensor:
    """The n x m identity matrix."""
    return _make(np.eye(n, m, dtype=dtype or np.float32), device, requires_grad)


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... up to but without end; `arange(n)` counts from 0. int64 unless a float is given."""
    start, end = (0, start) if end is None else (start, end)
    floating = any(isinstance(v, float) for v in (start, end, step))
    return _make(np.arange(start, end, step, dtype=dtype or (np.float32 if floating else np.int64)), device, requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False
) -> Tensor:
    """`steps` values evenly spaced from start to end, both included."""
    return _make(np.linspace(float(start), float(end), steps, dtype=dtype or np.float32), device, requires_grad)


def logspace(
    start: float, end: float, steps: int, base: float = 10.0, *, dtype: Any = None, device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` powers of `base`, their exponents evenly spaced from start to end, both included."""
    exponents = np.linspace(float(start), float(end), steps)
    return _make((float(base) ** exponents).astype(dtype or np.float32), device, requires_grad)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: str | Device | None = None) -> Tensor:
    """Rows and columns of the lower triangle of a matrix: (2, count)."""
    return _make(np.stack(np.tril_indices(row, offset, col)).astype(dtype or np.int64), device, False)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: str | Device | None = None) -> Tensor:
    """Rows and columns of the upper triangle of a matrix: (2, count)."""
    return _make(np.stack(np.triu_indices(row, offset, col)).astype(dtype or np.int64), device, False)


def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers drawn evenly from [0, 1)."""
    # drawn in the wanted precision: a double just below 1 would be rounded up to 1
    precision = np.float64 if dtype is not None and np.dtype(dtype) == np.float64 else np.float32
    draw = (generator or default_generator).rng.random(_shape(size), dtype=precision)
    return _make(draw.astype(dtype or np.float32), device, requires_grad)


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers drawn from the standard normal distribution."""
    draw = (generator or default_generator).rng.standard_normal(_shape(size))
    return _make(draw.astype(dtype or np.float32), device, requires_grad)


def randint(
    low: int, high: int | None = None, size: Any = (), *, generator: Generator | None = None, dtype: Any = None,
    device: str | Device | None = None,
) -> Tensor:  # fmt: skip
    """Integers drawn evenly from low .. high - 1; `randint(high, size)` starts at 0."""
    if isinstance(high, (tuple, list)):
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    draw = (generator or default_generator).rng.integers(low, high, tuple(size))
    return _make(draw.astype(dtype or np.int64), device, False)


def randperm(n: int, *, generator: Generator | None = None, device: str | Device | None = None) -> Tensor:
    """0 .. n - 1 in random order."""
    return _make((generator or default_generator).rng.permutation(n), device, False)


def zeros_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape, dtype and device of `input`."""
    return _like(np.zeros, input, dtype, device, requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape, dtype and device of `input`."""
    return _like(np.ones, input, dtype, device, requires_grad)


def empty_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """An uninitialised tensor in the shape, dtype and device of `input`."""
    return _like(np.empty, input, dtype, device, requires_grad)


def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """One value in the shape, dtype and device of `input`."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def rand_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`rand` in the shape, dtype and device of `input`."""
    return rand(*input.shape, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`randn` in the shape, dtype and device of `input`."""
    return randn(*input.shape, dtype=dtype or input.dtype, device=device or input.device, requires_grad=requires_grad)


def _like(make: Any, input: Tensor, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    array = make(input.shape, dtype or input.dtype)
    return Tensor(to_device(array, device or input.device), requires_grad=requires_grad)
