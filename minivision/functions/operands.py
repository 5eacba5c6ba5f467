"""What every operation asks of its arguments: tensors out of numbers and arrays, one dtype, legal axes, clear errors."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.autograd.dtypes import as_dtype, is_floating, result_type
from minivision.backend import Device, Generator, check_same_device, cuda, default_generator, is_array, why_no_gpu

Scalar = bool | int | float


def as_tensor(op: str, name: str, value: Any) -> Tensor:
    """`value` as a Tensor; arrays, numbers and nested lists become constants."""
    if isinstance(value, Tensor):
        return value
    try:
        x = None if _holds_tensors(value) else Tensor(value)  # tensors in a list would lose their gradients
    except (TypeError, ValueError, RuntimeError):
        x = None
    if x is None:
        raise TypeError(f"{op}: {name} is {_no_tensor(value)}")
    if x.dtype.kind not in "biuf":
        raise TypeError(f"{op}: {name} is an array of {x.dtype}, but must hold real numbers")
    return x


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) for v in value)


def _no_tensor(value: Any) -> str:
    """What `value` is, in words, when it cannot become a tensor."""
    if isinstance(value, int):
        return f"{shown(value)}, which does not fit into 64 bits; write it as a float"
    if not isinstance(value, (list, tuple)):
        kind = "" if value is None else f" ({type(value).__name__})"
        return f"{shown(value)}{kind}, but must be a tensor (or an array, or numbers)"
    if _holds_tensors(value):
        return f"a {type(value).__name__} of tensors, but must be one tensor; join them with minivision.stack or minivision.cat"
    strangers = [v for v in _leaves(value) if not isinstance(v, (bool, int, float, np.generic, np.ndarray))]
    if strangers:
        return f"{shown(value)}, in which {shown(strangers[0])} ({type(strangers[0]).__name__}) is no number"
    return f"{shown(value)}, but nested lists must form a regular table of numbers: every row of the same length"


def _leaves(value: Any) -> Iterator[Any]:
    """What stands in nested lists."""
    for v in value:
        yield from _leaves(v) if isinstance(v, (list, tuple)) else (v,)


def operand(value: Any, op: str = "tensor", name: str = "data") -> Tensor | Scalar:
    """A Tensor, or a Python number: numbers do not decide the dtype of an elementwise operation."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, (bool, int, float)) else as_tensor(op, name, value)


def alike(input: Any, other: Any) -> bool:
    """Whether the operands need no preparation: floating tensors of one shape and dtype, or such a tensor and a float."""
    # Most operands are alike, and small networks feel each check: no call where a look will do.
    if isinstance(input, Tensor):
        a = input.array
        if isinstance(other, Tensor):
            b = other.array
            return type(a) is type(b) and a.dtype is b.dtype and a.shape == b.shape and a.dtype.kind == "f"
        return type(other) is float and a.dtype.kind == "f"
    return False


def same_dtype(
    op: str, input: Any, other: Any, floating: bool = False, names: tuple[str, str] = ("input", "other"), fit: bool = True
) -> tuple[Any, Any]:
    """Both operands of an elementwise operation, of their common dtype (see `result_type`), on one device, known to broadcast.

    With `floating`, integers become float32 first, as in a division. Unless `fit` is False, a number must fit into the dtype.
    """
    if alike(input, other):
        return input, other
    operands = (operand(input, op, names[0]), operand(other, op, names[1]))
    tensors = [v for v in operands if isinstance(v, Tensor)]
    dtype = result_type(*(v.array if isinstance(v, Tensor) else v for v in operands))
    if floating and not is_floating(dtype):
        dtype = np.dtype(np.float32)
    if len(tensors) > 1:
        need_same_device(op, **dict(zip(names, tensors, strict=True)))
        if tensors[0].shape != tensors[1].shape:
            check_broadcast(op, [v.shape for v in tensors], names)
    elif fit or dtype.kind == "f":
        for name, v in zip(names, operands, strict=True):
            # small numbers fit into every floating dtype
            if not isinstance(v, Tensor) and (dtype.kind != "f" or (type(v) is int and not -999 < v < 999)):
                check_fits(op, name, v, dtype)
    if not tensors:
        return Tensor(np.asarray(operands[0], dtype)), operands[1]
    a, b = (v.to(dtype) if isinstance(v, Tensor) and v.dtype != dtype else v for v in operands)
    return a, b


def check_fits(op: str, name: str, value: Any, dtype: np.dtype, fraction: bool = False, way_out: str | None = None) -> None:
    """Raise unless a number can be stored in `dtype`: it lies in its range, and is no float where that holds integers.

    With `fraction`, a finite float may lose what stands behind its point.
    """
    if dtype.kind == "f":
        if isinstance(value, int) and abs(value) > 65504 and abs(value) > float(np.finfo(dtype).max):  # 65504: float16 ends
            raise ValueError(f"{op}: {name}={shown(value)} is too large for {dtype}")
        return
    if isinstance(value, float) and not (fraction and math.isfinite(value)):
        what = "no fractions" if math.isfinite(value) else "neither NaN nor infinity"
        raise TypeError(
            f"{op}: {name}={shown(value)} does not fit into {dtype}, which holds {what}; "
            f"{way_out or 'convert the tensor with .float()'}"
        )
    if dtype.kind != "b" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        legal = f"{np.iinfo(dtype).min} .. {np.iinfo(dtype).max}"
        raise ValueError(
            f"{op}: {name}={shown(value)} does not fit into {dtype}, which holds {legal}; "
            f"{way_out or 'convert the tensor with .int()'}"
        )


def check_broadcast(op: str, shapes: Sequence[tuple[int, ...]], names: Sequence[str] = ()) -> None:
    """Raise ValueError, naming the axis, unless the shapes broadcast against each other."""
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        width = max(len(s) for s in shapes)
        padded = [(1,) * (width - len(s)) + s for s in shapes]
        axis = next(i for i in range(width) if len({s[i] for s in padded} - {1}) > 1)
        lengths = " against ".join(str(s[axis]) for s in padded)
        subject = " and ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True)) if names else ""
        raise ValueError(
            f"{op}: {subject or 'shapes ' + ' and '.join(map(str, shapes))} do not broadcast: {lengths} at axis {axis - width}, "
            f"where lengths must be equal or 1{_axes_in_front(shapes, names)}"
        ) from None


def _axes_in_front(shapes: Sequence[tuple[int, ...]], names: Sequence[str]) -> str:
    """The way out where the shorter of two shapes was meant to match the first axes of the longer one, not the last."""
    if len(shapes) != 2 or len(names) != 2 or any(" " in name for name in names):
        return ""
    short = min((0, 1), key=lambda i: len(shapes[i]))
    short_shape, long_shape = shapes[short], shapes[1 - short]
    missing = len(long_shape) - len(short_shape)
    if not missing or any(n not in (1, m) and m != 1 for n, m in zip(short_shape, long_shape, strict=False)):
        return ""
    reshaped = short_shape + (1,) * missing
    return f"; to match the first axes, write {names[short]}.reshape({', '.join(map(str, reshaped))})"


def need_same_device(op: str, **tensors: Any) -> None:
    """Raise RuntimeError, naming the call that helps, unless all given tensors are on one device."""
    check_same_device(op, {name: t.array for name, t in tensors.items() if isinstance(t, Tensor)})


def several(op: str, tensors: Any, name: str = "tensors") -> list[Tensor]:
    """A sequence of tensors, at least one, on one device."""
    if not isinstance(tensors, (tuple, list)):
        example = f"{op}([a, b])"
        raise (ValueError if isinstance(tensors, Tensor) else TypeError)(
            f"{op}: {name} must be a sequence of at least one tensor, such as {example}, but is {shown(tensors)}"
        )
    if not tensors:
        raise ValueError(f"{op}: {name} is empty, but must be a sequence of at least one tensor")
    parts = [x if isinstance(x, Tensor) else as_tensor(op, f"{name}[{i}]", x) for i, x in enumerate(tensors)]
    if any(type(x.array) is not type(parts[0].array) for x in parts):
        need_same_device(op, **{f"{name}[{i}]": x for i, x in enumerate(parts)})
    return parts


def need_float(op: str, **tensors: Tensor | None) -> None:
    """Raise unless all given tensors are of one floating dtype, and on one device."""
    given = {name: t for name, t in tensors.items() if t is not None}
    if not given:
        return
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
    if x.array.dtype.kind != "f":
        need_float(op, **{name: x})  # says what is wrong
    return x


def promoted(op: str, input: Any) -> Tensor:
    """`input` as a floating Tensor: integers and bools become float32, as PyTorch has it for functions with real results."""
    x = as_tensor(op, "input", input)
    return x if x.is_floating_point() else x.to(np.float32)


def need_numbers(op: str, **operands: Any) -> None:
    """Raise TypeError if an operand is bool: masks are not calculated with."""
    for name, v in operands.items():
        if isinstance(v, bool) or (isinstance(v, Tensor) and v.dtype == np.bool_):
            what = f"bool {v.shape}" if isinstance(v, Tensor) else repr(v)
            raise TypeError(f"{op}: {name} is {what}, but must be numbers, not truth values; convert it with .int() or .float()")


def need_one_dtype(op: str, **tensors: Tensor) -> None:
    """Raise TypeError unless all tensors have one dtype: nothing is converted silently."""
    (first, reference), *others = tensors.items()
    for name, t in others:
        if t.dtype != reference.dtype:
            raise TypeError(
                f"{op}: {first} is {reference.dtype} {reference.shape}, but {name} is {t.dtype} {t.shape}; convert one of them, "
                f"{name}.to({first}.dtype)"
            )


def need_bool(op: str, name: str, mask: Tensor) -> None:
    """Raise TypeError unless the mask is bool."""
    if mask.dtype != np.bool_:
        raise TypeError(f"{op}: {name} is {mask.dtype} {mask.shape}, but must be bool; write a comparison such as x > 0")


def in_dtype(op: str, x: Tensor, dtype: Any, floating: bool = False) -> Tensor:
    """`x` in the dtype that the caller asked for, itself when that is None; with `floating`, only floating dtypes are legal."""
    if dtype is None:
        return x
    target = as_dtype(op, dtype)
    if floating and not is_floating(target):
        raise TypeError(f"{op}: dtype={target} must be floating; use minivision.float32 or float64")
    return x.to(target)


def need_ndim(op: str, name: str, tensor: Tensor, legal: Iterable[int], meaning: str) -> None:
    """Raise unless the tensor has one of the legal numbers of axes."""
    if tensor.ndim not in tuple(legal):
        raise ValueError(f"{op}: {name} has shape {tensor.shape}, but must be {meaning}")


def axes(op: str, dim: Any, of: int | tuple[int, ...], name: str = "dim") -> tuple[int, ...]:
    """`dim` (an int, a sequence, or None for all) as non-negative axes; an error for axes that do not exist or repeat.

    `of` is the shape, or the number of axes.
    """
    ndim = len(of) if isinstance(of, tuple) else of
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else () if dim is None else (dim,)
    if not dims:
        return tuple(range(ndim))
    single = "dim" if name == "dims" else name
    result = tuple(axis(op, d, of, single, "an int or a tuple of ints") for d in dims)
    if len(set(result)) != len(result):
        twice = next(a for a in result if result.count(a) > 1)
        whole = f" of shape {of}" if isinstance(of, tuple) else ""
        raise ValueError(f"{op}: {name} {dims}{whole} names axis {twice} twice; give each once")
    return result if ndim else ()  # PyTorch lets a single number be reduced over an axis 0 that it does not have


def axis(op: str, dim: Any, of: int | tuple[int, ...], name: str = "dim", meaning: str = "an int") -> int:
    """One axis as a non-negative number. `of` is the shape, or the number of axes."""
    ndim = len(of) if isinstance(of, tuple) else of
    dim, size = integer(op, name, dim, meaning=meaning), max(ndim, 1)
    if not -size <= dim < size:
        count = counted(ndim, "axis")
        whole = f"shape {of}, which has {count}" if isinstance(of, tuple) else count
        raise IndexError(
            f"{op}: {name}{' ' if name == 'dim' else '='}{dim} is out of range for {whole}; legal are {-size} .. {size - 1}"
        )
    return dim % size


def as_device(op: str, device: Any) -> Device:
    """`device`, a Device or its name, known to answer."""
    if isinstance(device, str):
        try:
            device = Device(device)
        except ValueError as error:
            is_dtype = device in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
            way_out = f"; to convert to a dtype, pass minivision.{device}" if is_dtype else ""
            raise ValueError(f"{op}: {str(error).replace('device: ', 'device ', 1)}{way_out}") from None
    if not isinstance(device, Device):
        meaning = "a name such as 'cpu', 'cuda' or 'cuda:0'"
        raise TypeError(f"{op}: {must_be('device', device, meaning)}")
    if device.type == "cuda" and not cuda.is_available():
        raise RuntimeError(f"{op}: device {str(device)!r}: no GPU answers ({why_no_gpu()}); use device='cpu'")
    if device.index and device.index >= cuda.device_count():
        raise RuntimeError(
            f"{op}: device {str(device)!r} does not exist; GPUs that answer: {cuda.device_count()}, from 'cuda:0' on"
        )
    return device


def rng_of(op: str, generator: Any) -> np.random.Generator:
    """The stream of random numbers of a `minivision.Generator`, or of the one that all share."""
    if generator is None:
        return default_generator.rng
    if not isinstance(generator, Generator):
        raise TypeError(
            f"{op}: {must_be('generator', generator, 'a minivision.Generator')}; write minivision.Generator().manual_seed(0)"
        )
    return generator.rng


def index_array(value: Any) -> Any:
    """The array of an integer argument (labels, indices) given as Tensor, array or list."""
    return value.array if isinstance(value, Tensor) else value if is_array(value) else np.asarray(value)


# ---- settings: the arguments that are no tensors ----

LARGEST = 2**31 - 1  # of a size, a stride, ...: products of a few of them must not overflow


def integer(op: str, name: str, value: Any, minimum: int | None = None, meaning: str = "an int", limit: int = LARGEST) -> int:
    """A setting as an int: also of NumPy's integers and of integer tensors of one element, but not of bools and floats."""
    if type(value) is int and (-limit if minimum is None else minimum) <= value <= limit:
        return value
    if isinstance(value, Tensor):
        value = value.item() if value.numel() == 1 else value
    whole = None if isinstance(value, (bool, np.bool_)) else _index(value)
    if whole is None:
        way_out = "; for whole numbers divide with //, or round with int()" if isinstance(value, (float, np.floating)) else ""
        raise TypeError(f"{op}: {must_be(name, value, meaning)}{way_out}")
    if minimum is not None and whole < minimum:
        raise ValueError(f"{op}: {name}={whole} must be at least {minimum}")
    if abs(whole) > limit:
        raise ValueError(f"{op}: {name}={whole} is too large; the limit is {limit}")
    return whole


LARGEST_ARRAY = 2**47  # bytes: more than that no process can address


def lengths(op: str, name: str, given: tuple[Any, ...], minimum: int | None = None) -> tuple[int, ...]:
    """A shape, or numbers one for each axis, given as one sequence or one by one: `f(2, 3)` and `f((2, 3))` mean the same."""
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = tuple(given[0])
    if all(type(n) is int for n in given) and (minimum is None or min(given, default=minimum) >= minimum):
        return given
    return tuple(integer(op, f"{name}[{i}]", n, minimum, limit=2**63 - 1) for i, n in enumerate(given))


def times(numbers: Iterable[Any]) -> str:
    """A product, as in `2 * 3 = 6`."""
    factors = tuple(numbers)
    return f"{' * '.join(map(str, factors))} = {math.prod(factors)}" if len(factors) > 1 else str(math.prod(factors))


def integers(op: str, name: str, value: Any, meaning: str, minimum: int | None = None) -> tuple[int, ...]:
    """A setting that holds several ints, as a tuple; `meaning` says what they stand for."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{op}: {must_be(name, value, meaning)}")
    return tuple(integer(op, f"{name}[{i}]", v, minimum) for i, v in enumerate(value))


def number(op: str, name: str, value: Any, infinite: bool = False, nan: bool = False) -> Any:
    """A setting as a Python number, which leaves the dtype of arrays alone, as NumPy's numbers would not.

    NaN and infinity are refused unless they are allowed.
    """
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise TypeError(
                f"{op}: {name} is a tensor that requires a gradient, but is a setting, which gets none; pass {name}.item()"
            )
        value = value.item() if value.numel() == 1 else value
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{op}: {must_be(name, value, 'a number')}")
    if (value != value and not nan) or (abs(value) == math.inf and not infinite):
        raise ValueError(f"{op}: {name}={value} must be a finite number{' or infinity' if infinite else ''}")
    return value


def fill_value(op: str, name: str, value: Any, dtype: np.dtype, fraction: bool = False) -> Any:
    """A number to be written into a tensor of that dtype: bools, NaN and infinity are legal, as far as the dtype holds them."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, Tensor) and value.dtype == np.bool_ and value.numel() == 1:
        return bool(value.item())
    value = number(op, name, value, infinite=True, nan=True)
    check_fits(op, name, value, dtype, fraction)
    return bool(value) if dtype == np.bool_ else value


def positive(op: str, name: str, value: Any) -> Any:
    """A setting as a finite Python number above 0."""
    value = number(op, name, value)
    if value <= 0:
        raise ValueError(f"{op}: {name}={value} must be positive")
    return value


def not_negative(op: str, name: str, value: Any) -> Any:
    """A setting as a finite Python number of at least 0."""
    value = number(op, name, value)
    if value < 0:
        raise ValueError(f"{op}: {name}={value} must not be negative")
    return value


def check_flags(op: str, **flags: Any) -> None:
    """Raise TypeError unless every setting is True or False: any text is true in an `if`, also "False"."""
    for name, value in flags.items():
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{op}: {must_be(name, value, 'True or False')}")


def check_choice(op: str, name: str, value: Any, legal: Iterable[str]) -> None:
    """Raise ValueError unless a setting is one of the words that are legal."""
    words = tuple(legal)
    if not isinstance(value, str) or value not in words:
        known = ", ".join(map(repr, words[:-1])) + f" or {words[-1]!r}"
        raise ValueError(f"{op}: {name}={shown(value)} is unknown; use {known}")


def shown(value: Any) -> str:
    """A value in an error message: short, and tensors and arrays by their dtype and shape."""
    if isinstance(value, Tensor) or is_array(value):
        kind = f"{value.dtype} {'tensor' if isinstance(value, Tensor) else 'array'}"
        return f"{'an' if kind[0] == 'i' else 'a'} {kind} of shape {value.shape}"
    if isinstance(value, np.generic):
        return repr(value.item())
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def counted(n: int, noun: str) -> str:
    """A number with its noun, as in `1 axis` and `2 axes`."""
    return f"{n} {noun}" if n == 1 else f"{n} {'axes' if noun == 'axis' else noun + 's'}"


def must_be(name: str, value: Any, meaning: str) -> str:
    """That a setting must be something else; its type is named where the value alone could mislead."""
    if isinstance(value, Tensor) or is_array(value):
        return f"{name} is {shown(value)}, but must be {meaning}"
    return f"{name}={shown(value)} must be {meaning}{'' if value is None else f', not {type(value).__name__}'}"


def _index(value: Any) -> int | None:
    """`value` as an int, or None where it is none."""
    try:
        return operator.index(value)
    except (TypeError, ValueError):
        return None
