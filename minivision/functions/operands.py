"""What every operation asks of its arguments: tensors out of numbers and arrays, one dtype, legal axes, clear errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.autograd.dtypes import is_floating, result_type
from minivision.backend import check_same_device, is_array

Scalar = bool | int | float


def as_tensor(op: str, name: str, value: Any) -> Tensor:
    """`value` as a Tensor; arrays, numbers and nested lists become constants."""
    if isinstance(value, Tensor):
        return value
    try:
        return Tensor(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{op}: {name} must be a tensor, an array or numbers, not {type(value).__name__} ({error})") from None


def operand(value: Any) -> Tensor | Scalar:
    """A Tensor, or a Python number: numbers do not decide the dtype of an elementwise operation."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, (bool, int, float)) else Tensor(value)


def same_dtype(op: str, input: Any, other: Any, floating: bool = False) -> tuple[Any, Any]:
    """Both operands of an elementwise operation, of their common dtype (see `result_type`), on one device, known to broadcast.

    With `floating`, integers become float32 first, as in a division.
    """
    operands = (operand(input), operand(other))
    tensors = [v for v in operands if isinstance(v, Tensor)]
    dtype = result_type(*(v.array if isinstance(v, Tensor) else v for v in operands))
    if floating and not is_floating(dtype):
        dtype = np.dtype(np.float32)
    if len(tensors) > 1:
        need_same_device(op, **dict(zip(("input", "other"), tensors, strict=True)))
        if tensors[0].shape != tensors[1].shape:
            check_broadcast(op, [v.shape for v in tensors])
    if not tensors:
        return Tensor(np.asarray(operands[0], dtype)), operands[1]
    a, b = (v.to(dtype) if isinstance(v, Tensor) and v.dtype != dtype else v for v in operands)
    return a, b


def check_broadcast(op: str, shapes: Sequence[tuple[int, ...]]) -> None:
    """Raise ValueError, naming the axis, unless the shapes broadcast against each other."""
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        width = max(len(s) for s in shapes)
        padded = [(1,) * (width - len(s)) + s for s in shapes]
        axis = next(i for i in range(width) if len({s[i] for s in padded} - {1}) > 1)
        lengths = " against ".join(str(s[axis]) for s in padded)
        raise ValueError(
            f"{op}: shapes {' and '.join(map(str, shapes))} do not broadcast: {lengths} at axis {axis - width}, "
            "where lengths must be equal or 1"
        ) from None


def need_same_device(op: str, **tensors: Any) -> None:
    """Raise RuntimeError, naming the call that helps, unless all given tensors are on one device."""
    check_same_device(op, {name: t.array for name, t in tensors.items() if isinstance(t, Tensor)})


def need_float(op: str, **tensors: Tensor | None) -> None:
    """Raise unless all given tensors are of one floating dtype, and on one device."""
    given = {name: t for name, t in tensors.items() if t is not None}
    need_same_device(op, **given)
    for name, t in given.items():
        if not is_floating(t.dtype):
            raise TypeError(f"{op}: {name} is {t.dtype} {t.shape}, but must be floating; convert it with .float()")
    (first, reference), *others = given.items()
    for name, t in others:
        if t.dtype != reference.dtype:
            raise TypeError(
                f"{op}: {first} is {reference.dtype}, but {name} is {t.dtype}; convert one of them (.float(), .double(), or "
                "module.double())"
            )


def float_tensor(op: str, name: str, value: Any) -> Tensor:
    """`value` as a Tensor, which must be floating."""
    x = as_tensor(op, name, value)
    need_float(op, **{name: x})
    return x


def promoted(op: str, input: Any) -> Tensor:
    """`input` as a floating Tensor: integers and bools become float32, as PyTorch has it for functions with real results."""
    x = as_tensor(op, "input", input)
    return x if x.is_floating_point() else x.to(np.float32)


def need_ndim(op: str, name: str, tensor: Tensor, legal: Iterable[int], meaning: str) -> None:
    """Raise unless the tensor has one of the legal numbers of axes."""
    if tensor.ndim not in tuple(legal):
        raise ValueError(f"{op}: {name} has shape {tensor.shape}, but must be {meaning}")


def axes(op: str, dim: Any, ndim: int) -> tuple[int, ...]:
    """`dim` (an int, a sequence, or None for all) as non-negative axes; an error for axes that do not exist or repeat."""
    if dim is None:
        return tuple(range(ndim))
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if not dims:
        return tuple(range(ndim))
    result = tuple(axis(op, d, ndim) for d in dims)
    if len(set(result)) != len(result):
        raise ValueError(f"{op}: dim {dims} names an axis twice")
    return result if ndim else ()  # PyTorch lets a single number be reduced over an axis 0 that it does not have


def axis(op: str, dim: int, ndim: int) -> int:
    """One axis as a non-negative number."""
    size = max(ndim, 1)
    if not -size <= dim < size:
        raise IndexError(f"{op}: dim {dim} is out of range for {ndim} axes; legal are {-size} .. {size - 1}")
    return dim % size


def index_array(value: Any) -> Any:
    """The array of an integer argument (labels, indices) given as Tensor, array or list."""
    return value.array if isinstance(value, Tensor) else value if is_array(value) else np.asarray(value)
