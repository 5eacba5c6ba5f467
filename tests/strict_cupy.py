"""A strict stand-in for CuPy: NumPy underneath, CuPy's refusals on top, so that GPU code is tested without a GPU.

`strict_cupy` is put in the place of the module that `minivision.backend.cupy()` returns (pytest --device strict). It
has the names and the keywords of the real CuPy 14 and no others (cupy_names.txt), and behaves as CuPy does where that
differs from NumPy:

- No array crosses over by itself. NumPy's functions refuse a stand-in array and the stand-in's functions refuse a NumPy
  array, also as an index, which CuPy would copy to the device on every call. `asarray` and `.get()` are the two ways.
- Reductions and element access give 0-d arrays, not numbers; 0-d arrays are no Python indices.
- Integer index arrays wrap around instead of raising IndexError. Where `a[index] = values` writes an element twice, the
  first value stays: CuPy leaves it open, and NumPy's users lean on the last.
- ufuncs return C-contiguous arrays whatever the inputs' layout, and warn of nothing. `empty` is filled with garbage.
- `random` raises: the same seed means other numbers than NumPy's, so minivision draws on the host.

It cannot show faults of CUDA kernels, races, speed, or what CuPy's kernels do for unusual dtypes. `calls` lists what
was called, with the shapes of the array arguments.
"""

from __future__ import annotations

import collections
import functools
import operator
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.cupy_names import NAMES, VERSION

NUMBERS = (bool, int, float, complex, np.generic)
CALLS: collections.deque[tuple[str, tuple[tuple[int, ...], ...]]] = collections.deque(maxlen=100_000)

# Functions that copy a layout on purpose; every other fresh result is C-contiguous.
KEEPS_LAYOUT = {"astype", "copy", "asfortranarray", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like"}
# NumPy answers these with a bool or an int, CuPy with a 0-d array.
ZERO_D = {"allclose", "array_equal", "array_equiv", "count_nonzero"}
# Parameters of these names take an array and nothing else, except in the functions listed after them.
ARRAY_PARAMETERS = {"a", "b", "a1", "a2", "x1", "x2", "array", "arr", "ary", "x", "condition", "m", "prototype"}
ALSO_NUMBERS = {"ndim", "shape", "isclose", "allclose", "min_scalar_type", "round", "around"}
SCATTERED = ("int32", "int64", "uint32", "uint64", "float16", "float32", "float64")


class CUDARuntimeError(RuntimeError):
    """CuPy's error for what the CUDA runtime refuses."""


class Device:
    """`cupy.cuda.Device`; only number 0 exists."""

    def __init__(self, device: int | Device | None = None):
        self.id = 0 if device is None else int(device)

    def use(self) -> None:
        if self.id != 0:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def synchronize(self) -> None:
        self.use()

    def __enter__(self) -> Device:
        self.use()
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


class Flags:
    """`cupy.ndarray.flags`: three flags, none of which can be set."""

    def __init__(self, flags: Any):
        self._values = {name: flags[name] for name in ("C_CONTIGUOUS", "F_CONTIGUOUS", "OWNDATA")}

    def __getitem__(self, name: str) -> bool:
        return self._values[name]

    c_contiguous = property(lambda self: self["C_CONTIGUOUS"])
    f_contiguous = property(lambda self: self["F_CONTIGUOUS"])
    owndata = property(lambda self: self["OWNDATA"])
    fnc = property(lambda self: self.f_contiguous and not self.c_contiguous)
    forc = property(lambda self: self.f_contiguous or self.c_contiguous)


class ndarray:
    """`cupy.ndarray`. A wrapper, not a subclass of numpy.ndarray, or NumPy would look inside without asking."""

    __slots__ = ("__weakref__", "_host", "base")
    __array_ufunc__ = None  # numpy.add(x, 1) raises; numpy.ones(3) + x comes to __radd__ below, which refuses
    __hash__ = None

    def __init__(self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"):
        if memptr is not None or strides is not None:
            raise NotImplementedError("the stand-in has no memory pointers")
        self._host, self.base = _garbage(np.empty(shape, dtype, order)), None
        _owners[id(self._host)] = self

    # -- the ways in and out

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_function__(self, func: Callable[..., Any], *rest: Any) -> Any:
        raise TypeError(f"numpy.{func.__name__} was called with a CuPy array; use the xp of the array")

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        if out is not None:
            out[...] = self._host
            return out
        return np.array(self._host, order=order)

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if arr.dtype != self.dtype or arr.shape != self.shape:
            raise ValueError(f"{arr.dtype} {arr.shape} cannot be set to {self.dtype} {self.shape}")
        self._host[...] = arr

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __complex__(self) -> complex:
        return complex(self._host)

    def __bytes__(self) -> bytes:
        return bytes(self._host)

    def __repr__(self) -> str:
        return repr(self._host)

    def __str__(self) -> str:
        return str(self._host)

    def __format__(self, spec: str) -> str:
        return format(self._host, spec)

    def __copy__(self) -> ndarray:
        return _wrap(self._host.copy())

    def __deepcopy__(self, memo: Any) -> ndarray:
        return _wrap(self._host.copy())

    def __reduce__(self) -> Any:
        return _asarray, (self._host.copy(),)

    # -- what it is

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: Flags(self._host.flags))
    device = property(lambda self: Device(0))
    data = property(lambda self: types.SimpleNamespace(ptr=self._host.ctypes.data, device=Device(0)))
    T = property(lambda self: _wrap(self._host.T))
    mT = property(lambda self: _wrap(self._host.mT))
    real = property(lambda self: _wrap(self._host.real))
    imag = property(lambda self: _wrap(self._host.imag))

    # -- elements

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[ndarray]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key: Any) -> ndarray:
        key, _ = _index(self._host, key)
        selected = self._host[key]
        return _wrap(selected if isinstance(selected, np.ndarray) else self._host[(*key, ...)])

    def __setitem__(self, key: Any, value: Any) -> None:
        key, gathers = _index(self._host, key)
        value = _operand("setitem", value)
        if gathers:
            places = np.arange(self.size).reshape(self.shape)[key]
            if np.unique(places).size < np.size(places):
                values = np.broadcast_to(value, places.shape)
                self._host.flat[places.ravel()[::-1]] = values.ravel()[::-1]
                return
        self._host[key] = value


class Ufunc:
    """A `cupy.ufunc`: arrays and numbers in, C-contiguous arrays out, no `where`, few methods."""

    def __init__(self, name: str, methods: frozenset[str]):
        self.name, self.__name__ = name, name
        self._numpy = getattr(np, name)
        self._methods = methods
        self.nin, self.nout, self.nargs = self._numpy.nin, self._numpy.nout, self._numpy.nargs

    def __call__(self, *args: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind") -> Any:
        inputs, targets = args[: self.nin], args[self.nin :]
        if out is not None:
            targets = out if isinstance(out, tuple) else (out,)
        targets = targets or (None,) * self.nout
        for target in targets:
            if target is not None and not isinstance(target, ndarray):
                raise TypeError(f"cupy.{self.name}: out is a {type(target).__name__}, not a cupy.ndarray")
        _record(self.name, inputs)
        hosts = [_operand(self.name, value) for value in inputs]
        target_hosts = tuple(None if target is None else target._host for target in targets)
        with np.errstate(all="ignore"):
            results = self._numpy(*hosts, out=target_hosts, dtype=dtype, casting=casting)
        results = results if self.nout > 1 else (results,)
        results = tuple(_fresh(r) if target is None else target for r, target in zip(results, targets, strict=True))
        return results if self.nout > 1 else results[0]

    def _require(self, method: str) -> None:
        if method not in self._methods:
            raise NotImplementedError(f"`{self.name}.{method}` is not supported yet")

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        self._require("at")
        _require_array(f"{self.name}.at", a)
        if a.dtype.name not in SCATTERED:
            raise TypeError(f"cupy.{self.name}.at supports {', '.join(SCATTERED)}, but not {a.dtype}")
        _record(f"{self.name}.at", (a, b))
        key, _ = _index(a._host, indices)
        self._numpy.at(a._host, key, _operand(f"{self.name}.at", b))

    def reduce(self, array: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        self._require("reduce")
        return _call(f"{self.name}.reduce", self._numpy.reduce, (array, axis, dtype, out, keepdims), {})

    def accumulate(self, array: ndarray, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        self._require("accumulate")
        return _call(f"{self.name}.accumulate", self._numpy.accumulate, (array, axis, dtype, out), {})

    def reduceat(self, array: ndarray, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
        self._require("reduceat")
        return _call(f"{self.name}.reduceat", self._numpy.reduceat, (array, indices, axis, dtype, out), {})

    def outer(self, A: ndarray, B: ndarray, **kwargs: Any) -> Any:
        return self(A[(..., *(None,) * B.ndim)], B, **kwargs)


# -- crossing the border ----------------------------------------------------------------------------------------------


_owners: weakref.WeakValueDictionary[int, ndarray] = weakref.WeakValueDictionary()  # by the identity of the host array


def _wrap(host: np.ndarray) -> ndarray:
    array = object.__new__(ndarray)
    array._host, array.base = host, None
    if isinstance(host.base, np.ndarray):  # a view keeps the array that owns its memory
        owner = _owners.get(id(host.base))
        array.base = _wrap(host.base) if owner is None or owner._host is not host.base else owner
    else:
        _owners[id(host)] = array
    return array


def _fresh(host: Any) -> ndarray:
    host = np.asarray(host)
    return _wrap(host if host.flags.c_contiguous else host.copy(order="C"))


def _garbage(host: np.ndarray) -> np.ndarray:
    if host.dtype.kind in "fc":
        host.fill(np.nan)
    elif host.dtype.kind in "iu":
        host.fill(np.iinfo(host.dtype).max - 1)
    return host


def _refuse(name: str, value: Any) -> TypeError:
    return TypeError(f"cupy.{name}: Unsupported type {type(value)}; pass CuPy arrays and numbers only")


def _operand(name: str, value: Any) -> Any:
    """What an elementwise operation takes: stand-in arrays and numbers."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, NUMBERS):
        return value
    raise _refuse(name, value)


def _require_array(name: str, value: Any) -> None:
    if not isinstance(value, ndarray):
        raise _refuse(name, value)


def _unwrap(name: str, value: Any) -> Any:
    """Any argument of a function: arrays of the host are refused, also inside sequences."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise _refuse(name, value)
    if type(value) in (list, tuple):
        return type(value)(_unwrap(name, item) for item in value)
    return value


def _record(name: str, args: Any) -> None:
    CALLS.append((name, tuple(a.shape for a in args if isinstance(a, ndarray))))


def _index(host: np.ndarray, key: Any) -> tuple[tuple[Any, ...], bool]:
    """The key for the NumPy array underneath, out-of-range entries of integer arrays wrapped; whether it has any."""
    parts = list(key) if isinstance(key, tuple) else [key]
    for i, part in enumerate(parts):
        if isinstance(part, np.ndarray):
            raise TypeError("a NumPy array as index of a CuPy array would be copied to the device in every call")
        if isinstance(part, ndarray):
            parts[i] = part._host
        elif isinstance(part, list):
            parts[i] = np.asarray(_unwrap("getitem", part), dtype=None if part else np.intp)
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    masks = [part for part in arrays if part.dtype.kind == "b"]
    if len(masks) > 1:
        raise NotImplementedError("CuPy takes one boolean array in an index, not several")

    def axes(part: Any) -> int:
        if part is None or part is Ellipsis or isinstance(part, bool):
            return 0
        return part.ndim if isinstance(part, np.ndarray) and part.dtype.kind == "b" else 1

    axis, spare = 0, host.ndim - sum(map(axes, parts))
    for i, part in enumerate(parts):
        if isinstance(part, np.ndarray) and part.dtype.kind in "iu" and axis < host.ndim and host.shape[axis]:
            parts[i] = part % host.shape[axis]
        axis += spare if part is Ellipsis else axes(part)
    return tuple(parts), len(arrays) > len(masks)


# -- functions --------------------------------------------------------------------------------------------------------


def _check(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise TypeError for arguments that CuPy's function `name` does not take."""
    try:
        bound = NAMES[name].signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"cupy.{name}() {error}") from None
    if name not in ALSO_NUMBERS:
        for parameter in ARRAY_PARAMETERS & bound.arguments.keys():
            if bound.arguments[parameter] is not None:
                _require_array(name, bound.arguments[parameter])


def _call(name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call NumPy's function on what lies inside the stand-in arrays and wrap what comes out."""
    arguments = [*args, *kwargs.values()]
    _record(name, arguments)
    hosts = [_unwrap(name, value) for value in args]
    named = {key: _unwrap(name, value) for key, value in kwargs.items()}
    with np.errstate(all="ignore"):
        result = function(*hosts, **named)
    given = [value for value in arguments if isinstance(value, ndarray)]
    return _wrap_result(name, result, given)


def _wrap_result(name: str, result: Any, given: list[ndarray]) -> Any:
    short = name.removeprefix("ndarray.")
    if isinstance(result, tuple | list):
        parts = [_wrap_result(name, item, given) for item in result]
        return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    if isinstance(result, np.generic) or short in ZERO_D:
        return _wrap(np.asarray(result))
    if not isinstance(result, np.ndarray):
        return result
    for array in given:
        if array._host is result:  # `out`, or an array that needed no conversion
            return array
    is_view = any(np.may_share_memory(result, array._host) for array in given)
    return _wrap(result) if is_view or short in KEEPS_LAYOUT else _fresh(result)


def _function(name: str, target: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(target, assigned=("__name__", "__doc__"))
    def call(*args: Any, **kwargs: Any) -> Any:
        _check(name, args, kwargs)
        return _call(name, target, args, kwargs)

    return call


def _array(
    obj: Any,
    dtype: Any = None,
    copy: bool = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    if isinstance(obj, ndarray):
        return _wrap(np.array(obj._host, dtype=dtype, copy=copy or None, order=order, ndmin=ndmin))
    if isinstance(obj, np.ndarray) and order in ("K", "A"):
        order = "F" if obj.flags.fnc else "C"  # a transfer keeps no other layout
    elif isinstance(obj, list | tuple):
        obj = _unwrap("array", obj) if _holds_device_arrays(obj) else obj
    return _wrap(np.array(obj, dtype=dtype, copy=True, order=order, ndmin=ndmin))


def _holds_device_arrays(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_device_arrays(item) for item in value)
    return isinstance(value, ndarray)


def _asarray(a: Any, dtype: Any = None, order: str | None = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    if isinstance(a, ndarray):
        host = np.asarray(a._host, dtype=dtype, order=order, copy=copy)
        return a if host is a._host else _wrap(host)
    return _array(a, dtype, order=order or "K")


def _asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get(stream, order, out, blocking) if isinstance(a, ndarray) else np.asarray(a, order=order)


def _get_array_module(*args: Any) -> types.ModuleType:
    return strict_cupy if any(isinstance(a, ndarray) for a in args) else np


def _take(a: ndarray, indices: Any, axis: int | None = None, out: Any = None) -> ndarray:
    _require_array("take", a)
    return _call("take", functools.partial(np.take, mode="wrap"), (a, indices, axis, out), {})


def _where(condition: ndarray, x: Any = None, y: Any = None) -> Any:
    _require_array("where", condition)
    if x is None and y is None:
        return _call("nonzero", np.nonzero, (condition,), {})
    _record("where", (condition, x, y))
    return _fresh(np.where(condition._host, _operand("where", x), _operand("where", y)))


def _random(name: str, *args: Any, **kwargs: Any) -> None:
    raise RuntimeError(f"cupy.{name} draws other numbers than NumPy from the same seed; draw on the host and copy")


def _kernel(*args: Any, **kwargs: Any) -> None:
    raise NotImplementedError("CUDA sources do not run on the strict stand-in for CuPy")


SPECIAL: dict[str, Any] = {
    "ndarray": ndarray,
    "ufunc": Ufunc,
    "array": _array,
    "asarray": _asarray,
    "asanyarray": _asarray,
    "asnumpy": _asnumpy,
    "get_array_module": _get_array_module,
    "take": _take,
    "where": _where,
    "empty": lambda shape, dtype=float, order="C": ndarray(shape, dtype, order=order),
    "empty_like": lambda prototype, dtype=None, order="K", subok=None, shape=None: _wrap(
        _garbage(np.empty_like(_unwrap("empty_like", prototype), dtype, order, shape=shape))
    ),
    "is_available": lambda: True,
    "fuse": lambda *args, **kwargs: args[0] if args else lambda function: function,
    "get_default_memory_pool": lambda: types.SimpleNamespace(
        free_all_blocks=lambda stream=None: None, used_bytes=lambda: 0, total_bytes=lambda: 0
    ),
    "RawKernel": _kernel,
    "RawModule": _kernel,
    "ElementwiseKernel": _kernel,
    "ReductionKernel": _kernel,
    "cuda.is_available": lambda: True,
    "cuda.Device": Device,
    "cuda.get_device_id": lambda: 0,
    "cuda.get_current_stream": lambda: types.SimpleNamespace(synchronize=lambda: None),
    "cuda.Stream": types.SimpleNamespace(null=types.SimpleNamespace(synchronize=lambda: None)),
    "cuda.runtime.getDevice": lambda: 0,
    "cuda.runtime.getDeviceCount": lambda: 1,
    "cuda.runtime.getDeviceProperties": lambda device: {"name": b"strict stand-in for CuPy", "totalGlobalMem": 1 << 33},
    "cuda.runtime.memGetInfo": lambda: (1 << 33, 1 << 33),
    "cuda.runtime.deviceSynchronize": lambda: None,
    "cuda.runtime.driverGetVersion": lambda: 13000,
    "cuda.runtime.runtimeGetVersion": lambda: 13000,
    "cuda.runtime.CUDARuntimeError": CUDARuntimeError,
}
# Functions whose NumPy namesake has another default.
TARGETS = {"lib.stride_tricks.sliding_window_view": functools.partial(np.lib.stride_tricks.sliding_window_view, writeable=True)}
NAMESPACES = {"linalg", "fft", "random", "lib", "lib.stride_tricks", "cuda", "cuda.runtime"}


class Namespace(types.ModuleType):
    """CuPy or one of its submodules: each name is made when it is first asked for."""

    def __init__(self, path: str):
        super().__init__(f"cupy.{path}" if path else "cupy")
        self._path = path

    def __getattr__(self, name: str) -> Any:
        path = f"{self._path}.{name}" if self._path else name
        if path not in NAMES and path not in NAMESPACES:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = _make(path)
        setattr(self, name, value)
        return value


def _make(path: str) -> Any:
    if path in NAMESPACES:
        return Namespace(path)
    entry = NAMES[path]
    if path.startswith("random."):
        return functools.partial(_random, path)
    if path in SPECIAL:
        return SPECIAL[path]
    if entry.methods is not None:
        return Ufunc(path, entry.methods)
    try:
        target = TARGETS.get(path) or operator.attrgetter(path)(np)
    except AttributeError:
        raise AttributeError(f"CuPy has {path!r}, but NumPy 2 or its stand-in does not") from None
    return target if entry.signature is None else _function(path, target)


class StrictCupy(Namespace):
    """The module `cupy` as `minivision.backend.cupy()` returns it."""

    __version__ = VERSION
    calls = CALLS


strict_cupy = StrictCupy("")

# -- operators and methods of the array, from the ufuncs and functions above ------------------------------------------

OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "divmod": "divmod",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}
COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
UNARY = {"neg": "negative", "pos": "positive", "abs": "absolute", "invert": "invert"}


def _method(path: str) -> Callable[..., Any]:
    name = path.removeprefix("ndarray.")

    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        _check(path, (self, *args), kwargs)
        return _call(path, getattr(np.ndarray, name), (self, *args), kwargs)

    method.__name__ = name
    return method


def _complete_array_class() -> None:
    """Give the array CuPy's operators and methods: those of NumPy that cupy_names.txt lists."""

    def binary(ufunc: Any) -> dict[str, Callable[..., Any]]:
        return {
            "": lambda self, other: ufunc(self, other),
            "r": lambda self, other: ufunc(other, self),
            "i": lambda self, other: ufunc(self, other, out=self),
        }

    def unary(ufunc: Any) -> Callable[..., Any]:
        return lambda self: ufunc(self)

    for short, name in OPERATORS.items():
        for prefix, function in binary(getattr(strict_cupy, name)).items():
            if f"ndarray.__{prefix}{short}__" in NAMES:
                setattr(ndarray, f"__{prefix}{short}__", function)
    for short, name in COMPARISONS.items():
        setattr(ndarray, f"__{short}__", binary(getattr(strict_cupy, name))[""])
    for short, name in UNARY.items():
        setattr(ndarray, f"__{short}__", unary(getattr(strict_cupy, name)))
    for path, entry in NAMES.items():
        owner, _, name = path.rpartition(".")
        if owner == "ndarray" and entry.signature and name not in vars(ndarray) and hasattr(np.ndarray, name):
            setattr(ndarray, name, _method(path))
    ndarray.take = lambda self, indices, axis=None, out=None: _take(self, indices, axis, out)


_complete_array_class()
