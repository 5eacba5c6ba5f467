"""Between dtypes and devices, and copies: the values stay, the gradient is converted back."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.autograd.dtypes import is_floating
from minivision.backend import Array, Device, device_of, to_device, xp_of


class Cast(Function):
    """y = x in another floating dtype;  dx = dy in x's dtype"""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype

    def forward(self, x: Array) -> Array:
        self.original = x.dtype
        return x.astype(self.dtype)

    def backward(self, dy: Array) -> Array:
        return dy.astype(self.original)


class Transfer(Function):
    """y = x on another device;  dx = dy on x's device"""

    def __init__(self, device: Device):
        self.device = device

    def forward(self, x: Array) -> Array:
        self.original = device_of(x)
        return to_device(x, self.device)

    def backward(self, dy: Array) -> Array:
        return to_device(dy, self.original)


class Clone(Function):
    """y = a copy of x;  dx = dy"""

    def forward(self, x: Array) -> Array:
        return x.copy(order="K")

    def backward(self, dy: Array) -> Array:
        return dy


class Contiguous(Function):
    """y = x in row-major memory;  dx = dy"""

    is_view = True

    def forward(self, x: Array) -> Array:
        return xp_of(x).ascontiguousarray(x)

    def backward(self, dy: Array) -> Array:
        return dy


def to(input: Tensor, *args: Any, dtype: Any = None, device: str | Device | None = None, **ignored: Any) -> Tensor:
    """`input` in another dtype and/or on another device, as `torch.Tensor.to`; itself when nothing changes.

    `x.to("cuda")`, `x.to(torch.float64)`, `x.to(other_tensor)`, `x.to(device="cpu", dtype=...)`. Gradients flow back through the
    conversion. Raises RuntimeError for "cuda" where no GPU answers.
    """
    for argument in args:
        if isinstance(argument, Tensor):
            dtype, device = argument.dtype, argument.device
        elif isinstance(argument, (str, Device)):
            device = argument
        elif not isinstance(argument, bool):  # non_blocking and copy, which mean nothing here
            dtype = argument
    unknown = set(ignored) - {"non_blocking", "copy", "memory_format"}
    if unknown:
        raise TypeError(f"to: unknown arguments {sorted(unknown)}; it takes dtype and device")
    result = input
    if dtype is not None and np.dtype(dtype) != input.dtype:
        target = np.dtype(dtype)
        differentiable = is_floating(target) and is_floating(input.dtype)
        result = Cast(target)(input) if differentiable else Tensor._wrap(input.array.astype(target))
    if device is not None and Device(device) != input.device:
        result = Transfer(Device(device))(result)
    return result


def cpu(input: Tensor) -> Tensor:
    """The tensor in the computer's main memory."""
    return to(input, device="cpu")


def cuda(input: Tensor, device: int | None = None) -> Tensor:
    """The tensor on the GPU. Raises RuntimeError where none answers."""
    return to(input, device=Device("cuda", device))


def _caster(name: str, dtype: str) -> Any:
    def cast(input: Tensor) -> Tensor:
        return to(input, dtype=np.dtype(dtype))

    cast.__name__ = cast.__qualname__ = name
    cast.__doc__ = f"The tensor as {dtype}."
    return cast


half = _caster("half", "float16")
float_ = _caster("float", "float32")
double = _caster("double", "float64")
int_ = _caster("int", "int32")
long = _caster("long", "int64")
bool_ = _caster("bool", "bool")
byte = _caster("byte", "uint8")


def type_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the dtype and on the device of `other`."""
    return to(input, other)


def clone(input: Tensor) -> Tensor:
    """A copy with memory of its own; gradients flow back through it."""
    return Clone()(input)


def contiguous(input: Tensor) -> Tensor:
    """The tensor in row-major memory: itself when it already is."""
    return input if input.is_contiguous() else Contiguous()(input)
