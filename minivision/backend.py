"""NumPy or CuPy: the only module that knows which.

The array module follows the array, never a global mode: every operation asks `xp_of(its arrays)` and then writes one text
for both libraries. CuPy is imported lazily and counts as present only when a device answers.
"""

from __future__ import annotations

import functools
import operator
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray or cupy.ndarray


@functools.cache
def cupy() -> ModuleType | None:
    """The CuPy module when a GPU answers, else None. Tests put a strict stand-in in this function's place."""
    try:
        import cupy as module
    except ImportError:
        return None
    return module if module.cuda.is_available() else None


def xp_of(*arrays: Array) -> ModuleType:
    """The array module (`numpy` or `cupy`) that all `arrays` belong to; values that are not arrays are passed over.

    Raises TypeError when NumPy and CuPy arrays are mixed: nothing is ever copied between devices silently.
    """
    cp = cupy()
    if cp is None:
        return np
    kinds = [isinstance(a, cp.ndarray) for a in arrays if isinstance(a, (np.ndarray, cp.ndarray))]
    if any(kinds):
        if not all(kinds):
            places = ", ".join("cuda" if on_gpu else "cpu" for on_gpu in kinds)
            raise TypeError(f"arrays lie on different devices ({places}); bring them together with .to(device)")
        return cp
    return np


def is_array(value: object) -> bool:
    """Whether `value` is a NumPy or CuPy array."""
    if isinstance(value, np.ndarray):
        return True
    cp = cupy()
    return cp is not None and isinstance(value, cp.ndarray)


class Device:
    """Where an array lives: `Device("cpu")`, `Device("cuda")` or `Device("cuda:1")`, as `torch.device`."""

    __slots__ = ("index", "type")

    def __init__(self, name: str | Device = "cpu", index: int | None = None):
        kind, _, number = str(name).partition(":")
        if kind not in ("cpu", "cuda") or (number and not number.isdecimal()):
            raise ValueError(f"device: {str(name)!r} is unknown; use 'cpu', 'cuda' or 'cuda:0'")
        self.type = kind
        self.index = int(number) if number else index if kind == "cuda" else None

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = Device(other)
        return isinstance(other, Device) and (self.type, self.index or 0) == (other.type, other.index or 0)

    def __hash__(self) -> int:
        return hash((self.type, self.index or 0))


def device_of(array: Array) -> Device:
    """The device on which `array` lives."""
    return Device("cpu") if isinstance(array, np.ndarray) else Device("cuda", array.device.id)


def check_same_device(op: str, arrays: dict[str, Array]) -> None:
    """Raise RuntimeError unless the arrays, given by argument name, are all NumPy's or all CuPy's.

    The message says where each of them is and which call brings them together.
    """
    names = list(arrays)
    stray = next((n for n in names if type(arrays[n]) is not type(arrays[names[0]])), None)
    if stray is not None:
        places = ", ".join(f"{name} is on {device_of(array)}" for name, array in arrays.items())
        raise RuntimeError(f"{op}: {places}; call {stray}.to({str(device_of(arrays[names[0]]))!r})")


def to_device(array: Array, device: str | Device) -> Array:
    """`array` on `device`: itself when it is there already, else a copy.

    Raises RuntimeError for "cuda" where no GPU answers.
    """
    device = Device(device)
    if device.type == "cpu":
        return to_numpy(array)
    cp = cupy()
    if cp is None:
        raise RuntimeError(f"device {str(device)!r}: no GPU answers ({why_no_gpu()}); use device='cpu'")
    with cp.cuda.Device(device.index or 0):
        return cp.asarray(array)


def to_numpy(array: Array) -> np.ndarray:
    """`array` as a NumPy array: itself when it is one, else a copy from the GPU."""
    return array if isinstance(array, np.ndarray) else array.get()


def describe_gpus() -> str:
    """The names of the GPUs that answer, or why none does."""
    module = cupy()
    if module is None:
        return f"no GPU answers ({why_no_gpu()})"
    runtime = module.cuda.runtime
    names = (runtime.getDeviceProperties(index)["name"].decode() for index in range(runtime.getDeviceCount()))
    return f"{', '.join(names)} (CuPy {module.__version__})"


def why_no_gpu() -> str:
    """What keeps CuPy from being used, in words."""
    try:
        import cupy as module
    except ImportError:
        return "CuPy is not installed: pip install 'minivision[gpu]'"
    return f"CuPy {module.__version__} is installed, but finds no device or no driver"


class cuda:
    """`cuda.is_available()` and `cuda.device_count()`, as in `torch.cuda`."""

    @staticmethod
    def is_available() -> bool:
        """Whether CuPy is installed and a GPU answers."""
        return cupy() is not None

    @staticmethod
    def device_count() -> int:
        """How many GPUs answer."""
        cp = cupy()
        return 0 if cp is None else int(cp.cuda.runtime.getDeviceCount())


def scatter_add(target: Array, index: Any, source: Array) -> None:
    """`target[index] += source`, where an index that occurs several times adds each of its contributions."""
    xp_of(target, source).add.at(target, index, source)


def may_share_memory(a: Array, b: Array) -> bool:
    """Whether two arrays of one device may look at the same memory (bounds only, so False is certain)."""
    return bool(xp_of(a, b).may_share_memory(a, b))


class Generator:
    """A stream of random numbers with `torch.Generator`'s methods, drawn on the host.

    Numbers are drawn by NumPy and copied to the device, so that a seed means the same weights on CPU and GPU.
    `rng` is the `numpy.random.Generator` underneath.
    """

    def __init__(self, seed: int | None = None):
        self._seed: int | None = None
        self._rng: np.random.Generator | None = None
        if seed is not None:
            self.manual_seed(seed)

    @property
    def rng(self) -> np.random.Generator:
        if self._rng is None:  # made when first used: loading numpy.random would be a tenth of `import minivision`
            self._rng = np.random.default_rng(self._seed)
        return self._rng

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream that belongs to `seed`, an int that is not negative."""
        try:
            number = None if isinstance(seed, bool) else operator.index(seed)
        except (TypeError, ValueError):
            number = None
        if number is None:
            raise TypeError(f"manual_seed: the seed must be an int, but is {seed!r} ({type(seed).__name__})")
        if number < 0:
            raise ValueError(f"manual_seed: the seed must not be negative, but is {number}")
        self._seed, self._rng = number, None
        return self

    def get_state(self) -> dict[str, Any]:
        """The state of the stream, as a dictionary that JSON can hold."""
        return dict(self.rng.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue exactly where `get_state` was called."""
        self.rng.bit_generator.state = state


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the generator that initialisers, dropout and `randn` draw from; a run then repeats exactly."""
    return default_generator.manual_seed(seed)
