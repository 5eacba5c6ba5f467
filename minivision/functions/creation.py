"""New tensors: from data, filled, counted, drawn at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minivision.autograd import Tensor
from minivision.autograd.dtypes import as_dtype, float32, float64, int64
from minivision.autograd.memory_format import MemoryFormat, arranged, as_memory_format, preserve_format
from minivision.autograd.tensor import as_array
from minivision.backend import Array, Device, Generator, to_device, xp_of
from minivision.functions import operands
from minivision.functions.operands import (
    LARGEST_ARRAY,
    as_device,
    check_fits,
    check_flags,
    integer,
    lengths,
    must_be,
    number,
    rng_of,
    times,
)

_OTHER_DTYPE = "take another dtype"


class _Wanted(NamedTuple):
    """What every function here is asked for, checked before anything is made."""

    op: str
    dtype: np.dtype
    device: Device | None
    requires_grad: bool

    def make(self, build: Callable[..., Any], *shape: int) -> np.ndarray:
        """`build(shape, dtype)`, known to fit into memory."""
        if math.prod(shape) * self.dtype.itemsize <= LARGEST_ARRAY:
            try:
                return build(shape, self.dtype)
            except MemoryError:
                pass
        size = math.prod(shape) * self.dtype.itemsize / 2**30
        raise RuntimeError(
            f"{self.op}: size {shape} of {self.dtype} takes {times((*shape, self.dtype.itemsize))} bytes, {size:.0f} GiB, more "
            "than there is"
        )

    def tensor(self, array: np.ndarray) -> Tensor:
        """The array as a tensor of the wanted dtype, on the wanted device."""
        self.check_gradient(array.shape)
        array = array if array.dtype == self.dtype else array.astype(self.dtype)
        return Tensor(array, device=self.device, requires_grad=self.requires_grad)

    def check_gradient(self, shape: tuple[int, ...]) -> None:
        """Raise RuntimeError for integers that are to require a gradient."""
        if self.requires_grad and self.dtype.kind != "f":
            raise RuntimeError(
                f"{self.op}: only floating tensors can require a gradient, not {self.dtype} {shape}; pass "
                "dtype=minivision.float32"
            )


def _wanted(
    op: str, dtype: Any, device: Any, requires_grad: bool = False, default: Any = float32, kinds: str = "biuf"
) -> _Wanted:
    kind = default if dtype is None else as_dtype(op, dtype)
    if kind.kind not in kinds:
        legal = "floating" if kinds == "f" else "an integer type" if kinds == "iu" else "an integer or a floating type"
        example = "int64" if kinds == "iu" else "float32"
        raise TypeError(f"{op}: dtype={kind} must be {legal}; take dtype=minivision.{example} and convert the result")
    if type(requires_grad) is not bool:
        check_flags(op, requires_grad=requires_grad)
    return _Wanted(op, kind, None if device is None else as_device(op, device), bool(requires_grad))


def tensor(data: Any, *, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`: numbers, nested lists, an array. Python floats become float32, ints int64.

    Raises TypeError for data that is not numeric, ValueError for ragged lists.
    """
    return _from_data("tensor", data, dtype, device, requires_grad)


def _from_data(op: str, data: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    wanted = _wanted(op, dtype, device, requires_grad)
    array = as_array(data, dtype, op)
    return wanted._replace(dtype=array.dtype).tensor(array.copy())


def as_tensor(data: Any, dtype: Any = None, device: str | Device | None = None) -> Tensor:
    """`data` as a tensor, sharing memory where possible."""
    wanted = _wanted("as_tensor", dtype, device)
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    return Tensor(as_array(data, dtype, "as_tensor"), device=wanted.device)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expects a NumPy array, not {type(ndarray).__name__}; use minivision.tensor(data)")
    return Tensor(as_array(ndarray, None, "from_numpy"))


# ---- filled and counted ----


def zeros(*size: Any, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`."""
    return _new(_wanted("zeros", dtype, device, requires_grad), np.zeros, size)


def ones(*size: Any, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones."""
    return _new(_wanted("ones", dtype, device, requires_grad), np.ones, size)


def empty(*size: Any, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor whose values are whatever the memory held."""
    return _new(_wanted("empty", dtype, device, requires_grad), np.empty, size)


def _new(wanted: _Wanted, build: Callable[..., Any], size: tuple[Any, ...]) -> Tensor:
    """A tensor of that size, given as lengths or as one sequence of them."""
    return wanted.tensor(wanted.make(build, *lengths(wanted.op, "size", size, minimum=0)))


def full(
    size: Any, fill_value: Any, *, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False
) -> Tensor:
    """A tensor filled with one value, whose type decides the dtype if none is given."""
    return _full("full", size, fill_value, dtype, device, requires_grad)


def _full(op: str, size: Any, fill_value: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    value = _filling(op, fill_value)
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"{op}: {must_be('size', size, 'a tuple of lengths, such as (2, 3)')}")
    wanted = _wanted(op, dtype, device, requires_grad, as_array(value, op=op).dtype)
    check_fits(op, "fill_value", value, wanted.dtype, True, _OTHER_DTYPE)
    return _new(wanted, lambda shape, kind: np.full(shape, value, kind), (size,))


def _filling(op: str, value: Any) -> Any:
    """A Python number, or a bool."""
    if isinstance(value, (Tensor, np.generic, np.ndarray)) and value.ndim == 0:
        value = value.item()
    return value if isinstance(value, bool) else number(op, "fill_value", value, infinite=True, nan=True)


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False
) -> Tensor:
    """The n x m identity matrix."""
    wanted = _wanted("eye", dtype, device, requires_grad)
    rows = integer("eye", "n", n, 0)
    columns = rows if m is None else integer("eye", "m", m, 0)
    return wanted.tensor(wanted.make(lambda shape, kind: np.eye(*shape, dtype=kind), rows, columns))


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... up to but without end; `arange(n)` counts from 0. int64 unless a float is given.

    Raises ValueError when the steps do not lead from start to end.
    """
    start, end = (0, start) if end is None else (start, end)
    first, last, pace = (
        int(v) if isinstance(v, bool) else number("arange", name, v)
        for name, v in (("start", start), ("end", end), ("step", step))
    )
    ends: Any = (first, last, pace)
    floating = any(isinstance(v, float) for v in ends)
    wanted = _wanted("arange", dtype, device, requires_grad, float32 if floating else int64, kinds="iuf")
    if pace == 0 or (first != last and (last > first) != (pace > 0)):
        where = "stays where it is" if pace == 0 else "leads away from it"
        raise ValueError(f"arange: end={last} is never reached from start={first}: step={pace} {where}")
    count = int(min(-(-abs(last - first) // abs(pace)), 2**62))
    if count and wanted.dtype.kind != "f":
        for name, value in (("start", first), ("last value", first + (count - 1) * pace)):
            check_fits("arange", name, value, wanted.dtype, True, _OTHER_DTYPE)
    return wanted.tensor(wanted.make(lambda _, kind: np.arange(*ends, dtype=kind), count))


def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False
) -> Tensor:
    """`steps` values evenly spaced from start to end, both included."""
    wanted = _wanted("linspace", dtype, device, requires_grad, kinds="iuf")
    return wanted.tensor(_evenly(wanted, start, end, steps))


def logspace(
    start: float, end: float, steps: int, base: float = 10.0, *, dtype: Any = None, device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` powers of `base`, their exponents evenly spaced from start to end, both included."""
    wanted = _wanted("logspace", dtype, device, requires_grad, kinds="iuf")
    radix = float(number("logspace", "base", base))
    return wanted.tensor(radix ** _evenly(wanted._replace(dtype=float64), start, end, steps))


def _evenly(wanted: _Wanted, start: Any, end: Any, steps: Any) -> np.ndarray:
    first, last = float(number(wanted.op, "start", start)), float(number(wanted.op, "end", end))
    count = integer(wanted.op, "steps", steps, 0)
    return wanted.make(lambda shape, kind: np.linspace(first, last, *shape, dtype=kind), count)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: str | Device | None = None) -> Tensor:
    """Rows and columns of the lower triangle of a matrix: (2, count)."""
    return _triangle("tril_indices", np.tril_indices, row, col, offset, dtype, device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: str | Device | None = None) -> Tensor:
    """Rows and columns of the upper triangle of a matrix: (2, count)."""
    return _triangle("triu_indices", np.triu_indices, row, col, offset, dtype, device)


def _triangle(op: str, indices: Callable[..., Any], row: Any, col: Any, offset: Any, dtype: Any, device: Any) -> Tensor:
    wanted = _wanted(op, dtype, device, default=int64, kinds="iu")
    rows, columns, k = integer(op, "row", row, 0), integer(op, "col", col, 0), integer(op, "offset", offset)
    return wanted.tensor(wanted.make(lambda shape, _: np.stack(indices(rows, k, columns)), 2, rows, columns))


# ---- drawn at random, always on the host, so that a seed means the same on every device ----


def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers drawn evenly from [0, 1)."""
    return _new(_wanted("rand", dtype, device, requires_grad, kinds="f"), _even(rng_of("rand", generator)), size)


def _even(rng: np.random.Generator) -> Callable[..., Any]:
    # drawn in the wanted precision: a double just below 1 would be rounded up to 1
    return lambda shape, kind: rng.random(shape, dtype=float64 if kind == float64 else float32)


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: str | Device | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Numbers drawn from the standard normal distribution."""
    return _new(_wanted("randn", dtype, device, requires_grad, kinds="f"), _normal(rng_of("randn", generator)), size)


def _normal(rng: np.random.Generator) -> Callable[..., Any]:
    return lambda shape, _: rng.standard_normal(shape)


def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None,
    device: str | Device | None = None,
) -> Tensor:  # fmt: skip
    """Integers drawn evenly from low .. high - 1; `randint(high, size)` starts at 0."""
    op = "randint"
    if isinstance(high, (tuple, list)):
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    first, last = (integer(op, name, v, limit=2**63 - 1) for name, v in (("low", low), ("high", high)))
    if not isinstance(size, (tuple, list)):
        what = "size is missing" if size is None else must_be("size", size, "a tuple of lengths")
        raise TypeError(f"{op}: {what}; write randint({first}, {last}, (2, 3))")
    wanted = _wanted(op, dtype, device, default=int64)
    if first >= last:
        raise ValueError(f"{op}: low={first} .. high={last} holds no integer; high is not drawn itself, so it must be above low")
    for name, value in (("low", first), ("high - 1", last - 1)):
        check_fits(op, name, value, wanted.dtype, way_out=_OTHER_DTYPE)
    rng = rng_of(op, generator)
    return _new(wanted, lambda shape, _: rng.integers(first, last, shape), (size,))


def randperm(n: int, *, generator: Generator | None = None, device: str | Device | None = None) -> Tensor:
    """0 .. n - 1 in random order."""
    wanted, rng = _wanted("randperm", None, device, default=int64), rng_of("randperm", generator)
    return wanted.tensor(wanted.make(lambda shape, _: rng.permutation(*shape), integer("randperm", "n", n, 0)))


def scalar_tensor(s: Any, *, dtype: Any = None, device: str | Device | None = None, requires_grad: bool = False) -> Tensor:
    """A number as a 0-d tensor: float32 unless `dtype` says otherwise."""
    wanted = _wanted("scalar_tensor", dtype, device, requires_grad)
    value = s if isinstance(s, bool) else number("scalar_tensor", "s", s, infinite=True, nan=True)
    check_fits("scalar_tensor", "s", value, wanted.dtype, True, _OTHER_DTYPE)
    return wanted.tensor(np.asarray(value, wanted.dtype))


# ---- in the likeness of a tensor ----


def zeros_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: MemoryFormat = preserve_format,
) -> Tensor:  # fmt: skip
    """Zeros in the shape, dtype, device and memory order of `input`."""
    return _like("zeros_like", input, np.zeros, dtype, device, requires_grad, memory_format)


def ones_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: MemoryFormat = preserve_format,
) -> Tensor:  # fmt: skip
    """Ones in the shape, dtype, device and memory order of `input`."""
    return _like("ones_like", input, np.ones, dtype, device, requires_grad, memory_format)


def empty_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: MemoryFormat = preserve_format,
) -> Tensor:  # fmt: skip
    """An uninitialised tensor in the shape, dtype, device and memory order of `input`."""
    return _like("empty_like", input, np.empty, dtype, device, requires_grad, memory_format)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: MemoryFormat = preserve_format,
) -> Tensor:  # fmt: skip
    """One value in the shape, dtype, device and memory order of `input`."""
    value = _filling("full_like", fill_value)

    def build(shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
        check_fits("full_like", "fill_value", value, kind, True, _OTHER_DTYPE)
        return np.full(shape, value, kind)

    return _like("full_like", input, build, dtype, device, requires_grad, memory_format)


def rand_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: MemoryFormat = preserve_format,
) -> Tensor:  # fmt: skip
    """`rand` in the shape, dtype, device and memory order of `input`."""
    draw = _even(rng_of("rand_like", None))
    return _like("rand_like", input, draw, dtype, device, requires_grad, memory_format, kinds="f")


def randn_like(
    input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False,
    memory_format: MemoryFormat = preserve_format,
) -> Tensor:  # fmt: skip
    """`randn` in the shape, dtype, device and memory order of `input`."""
    draw = _normal(rng_of("randn_like", None))
    return _like("randn_like", input, draw, dtype, device, requires_grad, memory_format, kinds="f")


def _like(
    op: str,
    input: Any,
    build: Callable[..., Any],
    dtype: Any,
    device: Any,
    requires_grad: bool,
    memory_format: MemoryFormat,
    kinds: str = "biuf",
) -> Tensor:
    """What `build` makes on the host, on the device and in the memory order of the input, or those asked for."""
    x = operands.as_tensor(op, "input", input)
    wanted = _wanted(op, dtype, device, requires_grad, x.dtype, kinds)
    wanted.check_gradient(x.shape)
    memory_format = as_memory_format(op, memory_format, x.shape)
    place = x.device if wanted.device is None else wanted.device
    array: Array = to_device(wanted.make(build, *x.shape).astype(wanted.dtype, copy=False), place)
    if memory_format is not preserve_format:
        return Tensor(arranged(array, memory_format), requires_grad=requires_grad)
    if x.array.flags.c_contiguous:
        return Tensor(array, requires_grad=requires_grad)
    same_order = to_device(xp_of(x.array).empty_like(x.array, dtype=array.dtype), place)
    same_order[...] = array
    return Tensor(same_order, requires_grad=requires_grad)


def new_zeros(input: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of shape `size` in the dtype and on the device of `input`."""
    return _new(_beside("new_zeros", input, dtype, device, requires_grad), np.zeros, size)


def new_ones(input: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of shape `size` in the dtype and on the device of `input`."""
    return _new(_beside("new_ones", input, dtype, device, requires_grad), np.ones, size)


def new_empty(input: Tensor, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """An uninitialised tensor of shape `size` in the dtype and on the device of `input`."""
    return _new(_beside("new_empty", input, dtype, device, requires_grad), np.empty, size)


def _beside(op: str, input: Tensor, dtype: Any, device: Any, requires_grad: bool) -> _Wanted:
    """The dtype and the device of the input, unless others are asked for."""
    return _wanted(op, dtype, input.device if device is None else device, requires_grad, input.dtype)


def new_full(
    input: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value in shape `size`, in the dtype and on the device of `input`."""
    kind, place = input.dtype if dtype is None else dtype, input.device if device is None else device
    return _full("new_full", size, fill_value, kind, place, requires_grad)


def new_tensor(input: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`, in the dtype and on the device of `input`."""
    kind, place = input.dtype if dtype is None else dtype, input.device if device is None else device
    return _from_data("new_tensor", data, kind, place, requires_grad)
