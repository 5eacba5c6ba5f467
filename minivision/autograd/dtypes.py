"""Data types under PyTorch's names, and PyTorch's promotion rule."""

from __future__ import annotations

from typing import Any

import numpy as np

float16 = np.dtype("float16")
float32 = np.dtype("float32")
float64 = np.dtype("float64")
uint8 = np.dtype("uint8")
int8 = np.dtype("int8")
int16 = np.dtype("int16")
int32 = np.dtype("int32")
int64 = np.dtype("int64")
bool_ = np.dtype("bool")

_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def as_dtype(op: str, dtype: Any) -> np.dtype:
    """`dtype` as one of the types that a tensor can have, given as itself, as Python's or NumPy's type, or by its name."""
    if isinstance(dtype, (np.dtype, type, str)):
        try:
            result = np.dtype(dtype)
        except (TypeError, ValueError, SyntaxError):  # NumPy reads text such as "a, b" as a record
            result = None
        if result is not None and result.kind in "biuf":
            return result
    shown = f"a tensor of shape {dtype.shape}" if hasattr(dtype, "shape") and not isinstance(dtype, np.dtype) else repr(dtype)
    raise TypeError(
        f"{op}: dtype={shown} is no type of a tensor; use minivision.float32, float64, float16, int64, int32, int16, int8, "
        "uint8 or bool"
    )


def is_floating(dtype: np.dtype) -> bool:
    """Whether a tensor of this dtype can require a gradient."""
    return dtype.kind == "f"


def scalar_dtype(value: bool | int | float) -> np.dtype:
    """The dtype that a Python scalar has when it becomes a tensor of its own: bool, int64 or float32."""
    if isinstance(value, bool):
        return bool_
    return int64 if isinstance(value, int) else float32


def result_type(*operands: Any) -> np.dtype:
    """The dtype of an elementwise operation on arrays and Python scalars.

    The highest kind (bool < integer < floating) among the operands decides; within it, arrays with axes outrank 0-d arrays,
    which outrank Python scalars. So `int64 array * float32 array` is float32, where NumPy would answer float64.
    """
    best = (-1, -1)
    dtypes: list[np.dtype] = []
    for x in operands:
        dtype = getattr(x, "dtype", None)
        priority = 0 if dtype is None else 2 if x.ndim else 1
        dtype = scalar_dtype(x) if dtype is None else dtype
        if dtype.kind not in _RANK:
            raise TypeError(f"dtype {dtype} is not supported; use bool, an integer or a floating type")
        key = (_RANK[dtype.kind], priority)
        if key > best:
            best, dtypes = key, [dtype]
        elif key == best:
            dtypes.append(dtype)
    return np.result_type(*dtypes)
