"""What a case of the benchmark is: inputs, a program written once for every framework with PyTorch's names, and its targets."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Results = dict[str, Any]  # tensors by name: values and gradients
Step = Callable[[], Results]


VALUES = 1e-4  # how far the values of two frameworks may differ; see `check_equal`


@dataclass(frozen=True)
class Work:
    """What the definition needs: multiplications and additions, bytes if each array is read or written once per use, and
    operations on arrays, where these are so small that nothing else counts."""

    flops: float
    bytes: float
    calls: float = 0


@dataclass(frozen=True)
class Target:
    """Of the time (or memory) in units of PyTorch's: what is aimed at, and what would do as a first step."""

    goal: float
    first_step: float

    def verdict(self, ratio: float) -> str:
        return "met" if ratio <= self.goal else "first step" if ratio <= self.first_step else "missed"


@dataclass(frozen=True)
class Case:
    """One row of the table.

    `build(torch, arrays)` gets the framework's module, `torch` or `minivision`, and returns a function that runs the work once
    and returns its results by name. Those of the first run are compared before anything is timed: see `check_equal`.
    """

    name: str
    groups: tuple[str, ...]
    title: str
    arrays: Callable[[np.random.Generator], Arrays]
    build: Callable[[Any, Arrays], Step]
    work: Callable[[], Work]
    target: Target | None = None
    tolerance: float = 1e-4  # of the gradients
    kinks: bool = False  # rounding may move a value over a kink (of a ReLU, a pooling), and change a gradient there by all of it
    peer: dict[str, Any] | None = None  # the same work as the workers of other frameworks read it (`peers/in_*.py`)
    parameters: Callable[[], Arrays] | None = None  # further arrays that those need: a network's weights
    pixels: int = 0  # for cases that belong to a series over image sizes
    memory: bool = False  # what is measured is the peak memory of a process, not time

    def inputs(self, seed: int = 0) -> Arrays:
        return self.arrays(np.random.default_rng(seed))


def chosen(cases: Iterable[Case], patterns: Iterable[str]) -> list[Case]:
    """The cases that any of the patterns names: a case, a group, the words that a name begins with, or a glob.

    Raises ValueError for a pattern that names nothing.
    """
    cases, patterns = list(cases), list(patterns)
    matched: set[str] = set()
    for pattern in patterns:
        found = {
            case.name
            for case in cases
            if pattern in case.groups or case.name.startswith(f"{pattern}-") or fnmatch.fnmatchcase(case.name, pattern)
        }
        if not found:
            raise ValueError(f"{pattern!r} names no case and no group; --list shows them all")
        matched |= found
    return [case for case in cases if case.name in matched]


class Different(AssertionError):
    """Two frameworks did not compute the same."""


def check_equal(case: Case, ours: Results, theirs: Results, names: tuple[str, str] = ("minivision", "PyTorch")) -> float:
    """The largest relative error of all results; raises Different when a value or gradient is too far off.

    Relative means to the largest value of a result. Behind kinks it is the root mean square instead, of error and values: the few
    gradients of a network that rounding sends another way would hide a mistake in all the others, or be taken for one. A gradient
    that is zero but for rounding (a bias before a batch normalisation has none) is measured by the largest gradient of all.
    """
    first, second = ({k: as_array(v) for k, v in results.items()} for results in (ours, theirs))
    if first.keys() != second.keys():
        raise Different(f"{case.name}: {names[0]} returned {sorted(first)}, {names[1]} {sorted(second)}")
    size = _root_mean_square if case.kinks else _largest
    scale = max((size(b) for key, b in second.items() if key.startswith("grad")), default=0.0)
    worst = 0.0
    for key, b in second.items():
        a = first[key]
        if a.shape != b.shape:
            raise Different(f"{case.name}: {key} has shape {a.shape} in {names[0]}, {b.shape} in {names[1]}")
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            raise Different(f"{case.name}: {key} is not finite")
        floor = 1e-3 * scale if key.startswith("grad") else 0.0
        error = size(np.subtract(a, b, dtype=np.float64)) / max(size(b), floor, 1e-30)
        allowed = case.tolerance if key.startswith("grad") else VALUES
        if error > allowed:
            raise Different(f"{case.name}: {key} of {names[0]} is {error:.1e} off {names[1]}'s, allowed is {allowed:.0e}")
        worst = max(worst, error)
    return worst


def _largest(x: np.ndarray) -> float:
    return float(np.abs(x).max(initial=0))


def _root_mean_square(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) if x.size else 0.0


def as_array(value: Any) -> np.ndarray:
    """A tensor of any framework, or a number, as a NumPy array of its own memory, as row-major as may be."""
    value = value.detach().numpy() if hasattr(value, "detach") else value
    return np.array(value, order="C")
