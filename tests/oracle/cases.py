"""How a call that is compared with PyTorch is described and run; the tables are in `topics/`.

Inputs are described, not stored: their numbers come from a raw random bit stream, which NumPy guarantees never to change.
Each case is evaluated in float64; the gradients are those of sum(upstream * output) with a random upstream.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Normal(NamedTuple):
    """Random floats, with a gradient; a bare shape in the table means this. No two values are equal, none is 0."""

    shape: Shape
    low: float = -1.5
    high: float = 1.5


class Fixed(NamedTuple):
    """Given floats, with a gradient: for ties, kinks and borders."""

    values: Any


class Labels(NamedTuple):
    """Random class numbers; a share of them is `ignored`, when that is given."""

    shape: Shape
    classes: int
    ignored: int | None = None


class Constant(NamedTuple):
    """Floats without a gradient."""

    shape: Shape
    low: float = 0.1
    high: float = 1.0


class Given(NamedTuple):
    """Any other positional argument; arrays inside become tensors."""

    value: Any


@dataclass(frozen=True)
class Case:
    """`op` is the name of the operation, or a function of (library, *inputs) where a case takes several calls."""

    name: str
    op: str | Callable[..., Any]
    inputs: tuple[Any, ...]
    arguments: dict[str, Any] = field(default_factory=dict)


def uniform(seed: str, shape: Shape, low: float = -1.5, high: float = 1.5) -> np.ndarray:
    """float64 values in (low, high) that depend on `seed` alone."""
    raw = np.random.Philox(key=zlib.crc32(seed.encode())).random_raw(int(np.prod(shape)))
    return (low + (high - low) * ((raw >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53).reshape(shape)


Row = tuple[Any, list[Any], dict[str, Any]]


def table(*groups: Callable[[], Iterator[Row]]) -> list[Case]:
    """The cases of several generators of (operation, inputs, arguments), named after them."""
    found: list[Case] = []
    for group in groups:
        for number, (op, inputs, arguments) in enumerate(group()):
            label = op if isinstance(op, str) else op.__name__
            found.append(Case(f"{group.__name__}/{number:03d} {label}", op, tuple(inputs), arguments))
    return found


class Library:
    """One of the two libraries: makes tensors, finds operations by name, reads results."""

    def __init__(self, tensor: Callable[[np.ndarray, bool], Any], find: Callable[[str], Callable[..., Any]]):
        self.tensor, self.find = tensor, find

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self.find(name)


def call(case: Case, library: Library) -> tuple[list[Any], list[Any]]:
    """The positional inputs of a case, as the library's tensors, and its outputs."""
    inputs = [_make(spec, f"{case.name}/{i}", library) for i, spec in enumerate(case.inputs)]
    arguments = {name: _make(v, f"{case.name}/{name}", library) if isinstance(v, (Constant, Labels)) else v
                 for name, v in case.arguments.items()}  # fmt: skip
    function = library.find(case.op) if isinstance(case.op, str) else lambda *args, **kw: case.op(library, *args, **kw)
    result = function(*inputs, **arguments)
    return inputs, list(result) if isinstance(result, (tuple, list)) else [result]


def evaluate(case: Case, library: Library) -> list[np.ndarray]:
    """The outputs of a case followed by the gradients of its floating inputs, as NumPy arrays."""
    inputs, outputs = call(case, library)
    values = [_numpy(y) for y in outputs]
    total = None
    for i, y in enumerate(outputs):
        if y.requires_grad:
            upstream = library.tensor(uniform(f"{case.name}/upstream/{i}", tuple(y.shape)), False)
            part = (y * upstream).sum()
            total = part if total is None else total + part
    if total is not None:
        total.backward()
    leaves = [
        x for x, spec in zip(inputs, case.inputs, strict=True) if isinstance(spec, (Normal, Fixed, tuple)) and _floats(spec)
    ]
    return values + [_numpy(x.grad) if x.grad is not None else np.zeros(tuple(x.shape)) for x in leaves]


def _floats(spec: Any) -> bool:
    return isinstance(spec, (Normal, Fixed)) or type(spec) is tuple


def _numpy(x: Any) -> np.ndarray:
    x = x.detach().cpu().numpy()
    return x if x.dtype.kind in "iub" else np.asarray(x, np.float64)


def _make(spec: Any, seed: str, library: Library) -> Any:
    if isinstance(spec, Given):
        return _tensors_inside(spec.value, library)
    if isinstance(spec, Labels):
        labels = np.floor(uniform(seed, spec.shape, 0, spec.classes)).astype(np.int64)
        if spec.ignored is not None:
            labels[uniform(seed + "/ignored", spec.shape, 0, 1) < 0.3] = spec.ignored
        return library.tensor(labels, False)
    if isinstance(spec, Constant):
        return library.tensor(uniform(seed, *spec), False)
    if isinstance(spec, Fixed):
        return library.tensor(np.array(spec.values, np.float64), True)
    return library.tensor(uniform(seed, *(spec if isinstance(spec, Normal) else (spec,))), True)


def _tensors_inside(value: Any, library: Library) -> Any:
    if isinstance(value, np.ndarray):
        return library.tensor(value, False)
    if isinstance(value, tuple):
        return tuple(_tensors_inside(v, library) for v in value)
    return value


# ---- the table ----
