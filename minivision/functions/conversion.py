"""Between dtypes and devices, and copies: the values stay, the gradient is converted back."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.autograd.dtypes import as_dtype, is_floating
from minivision.autograd.memory_format import (
    MemoryFormat,
    arranged,
    as_memory_format,
    contiguous_format,
    is_arranged,
    preserve_format,
)
from minivision.backend import Array, Device, device_of, to_device
from minivision.functions.operands import as_device, as_tensor, check_flags, integer, must_be


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
    """y = a copy of x, in the same memory order or another one;  dx = dy"""

    def __init__(self, memory_format: MemoryFormat = preserve_format):
        self.memory_format = memory_format

    def forward(self, x: Array) -> Array:
        return arranged(x, self.memory_format, copy=True)

    def backward(self, dy: Array) -> Array:
        return dy


class Contiguous(Function):
    """y = x in row-major memory, or in another order;  dx = dy"""

    is_view = True

    def __init__(self, memory_format: MemoryFormat = contiguous_format):
        self.memory_format = memory_format

    def forward(self, x: Array) -> Array:
        return arranged(x, self.memory_format)

    def backward(self, dy: Array) -> Array:
        return dy


def to(
    input: Tensor,
    *args: Any,
    dtype: Any = None,
    device: str | Device | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: MemoryFormat = preserve_format,
    **unknown: Any,
) -> Tensor:
    """`input` in another dtype, on another device or in another memory format, as `torch.Tensor.to`; itself when nothing changes.

    `x.to("cuda")`, `x.to(torch.float64)`, `x.to(other_tensor)`, `x.to(device="cpu", dtype=...)`,
    `x.to(memory_format=torch.channels_last)`. Gradients flow back through the conversion. With `copy` it is never the input
    itself; `non_blocking` plays no part. Raises RuntimeError for "cuda" where no GPU answers, and for a memory format that is for
    another number of axes.
    """
    if unknown:
        raise TypeError(f"to: unknown arguments {sorted(unknown)}; it takes dtype, device, copy and memory_format")
    if type(copy) is not bool or type(non_blocking) is not bool:
        check_flags("to", non_blocking=non_blocking, copy=copy)
    switches = [argument for argument in args if isinstance(argument, bool)]  # non_blocking, copy
    copy = copy or switches[1:] == [True]
    for argument in args:
        if isinstance(argument, Tensor):
            dtype, device = argument.dtype, argument.device
        elif isinstance(argument, (str, Device)):
            device = argument
        elif not isinstance(argument, bool):
            dtype = argument
    memory_format = as_memory_format("to", memory_format, input.shape)
    target, place = dtype if dtype is None else as_dtype("to", dtype), device if device is None else as_device("to", device)
    result = input
    if target is not None and target != input.dtype:
        differentiable = is_floating(target) and is_floating(input.dtype)
        result = Cast(target)(input) if differentiable else Tensor._wrap(input.array.astype(target))
    if place is not None and place != input.device:
        result = Transfer(place)(result)
    if not is_arranged(result.array, memory_format):
        result = Contiguous(memory_format)(result)
    return Clone()(result) if copy and result is input else result


def cpu(input: Tensor) -> Tensor:
    """The tensor in the computer's main memory."""
    return to(input, device="cpu")


def cuda(input: Tensor, device: int | None = None) -> Tensor:
    """The tensor on the GPU. Raises RuntimeError where none answers."""
    if isinstance(device, (str, Device)):
        return to(input, device=as_device("cuda", device))
    index = None if device is None else integer("cuda", "device", device, 0, "the number of a GPU")
    return to(input, device=as_device("cuda", Device("cuda", index)))


def _caster(name: str, dtype: str) -> Any:
    def cast(input: Tensor, memory_format: MemoryFormat = preserve_format) -> Tensor:
        memory_format = as_memory_format(name, memory_format, input.shape)
        return to(input, dtype=np.dtype(dtype), memory_format=memory_format)

    cast.__name__ = cast.__qualname__ = name
    cast.__doc__ = f"The tensor as {dtype}."
    return cast


half = _caster("half", "float16")
float_ = _caster("float", "float32")
double = _caster("double", "float64")
int_ = _caster("int", "int32")
short = _caster("short", "int16")
char = _caster("char", "int8")
long = _caster("long", "int64")
bool_ = _caster("bool", "bool")
byte = _caster("byte", "uint8")


def bfloat16(input: Tensor, memory_format: MemoryFormat = preserve_format) -> Tensor:
    """Raises TypeError: NumPy has no bfloat16."""
    raise TypeError(f"bfloat16: NumPy has no such dtype for this {input.dtype} tensor of {input.shape}; use .half() or .float()")


def type_as(input: Tensor, other: Tensor) -> Tensor:
    """`input` in the dtype and on the device of `other`."""
    if not isinstance(other, Tensor):
        raise TypeError(f"type_as: {must_be('other', other, 'a tensor')}, whose dtype and device are taken; use .to(dtype)")
    return to(input, other)


def clone(input: Tensor, *, memory_format: MemoryFormat = preserve_format) -> Tensor:
    """A copy with memory of its own, in the order of the input's or in another one; gradients flow back through it."""
    x = as_tensor("clone", "input", input)
    memory_format = as_memory_format("clone", memory_format, x.shape)
    return Clone(memory_format)(x)


def contiguous(input: Tensor, memory_format: MemoryFormat = contiguous_format) -> Tensor:
    """The tensor in row-major memory, or in that of `minivision.channels_last`: itself when it already is."""
    memory_format = as_memory_format("contiguous", memory_format, input.shape)
    if memory_format is preserve_format:
        raise ValueError("contiguous: memory_format=preserve_format is no order; use contiguous_format or channels_last")
    return input if is_arranged(input.array, memory_format) else Contiguous(memory_format)(input)
