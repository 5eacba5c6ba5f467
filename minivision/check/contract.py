"""What every backward owes, before any number is compared: one gradient for each input, of its shape and dtype, finite, a new
array, linear in the upstream, the same when asked again, and nothing of the caller's changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minivision.check.subjects import Call, Subject, WrongCount


@dataclass
class Broken:
    """A promise that was not kept: by which input's gradient (None: by the whole), and what it says, in a sentence."""

    input: str | None
    kind: str
    sentence: str


@dataclass
class Contract:
    """The gradients at the point, where they could be had, and the promises that were broken."""

    upstream: list[np.ndarray]
    gradients: list[np.ndarray | None]
    returned: list[np.ndarray | None] = field(default_factory=list)  # as they came, of whatever shape
    broken: list[Broken] = field(default_factory=list)
    precision: str = "f8"
    notes: list[str] = field(default_factory=list)


def examine(subject: Subject, rng: np.random.Generator) -> Contract:
    """Run forward and backward a few times and hold them to their promises."""
    call, outputs, broken = _forward(subject)
    if broken:
        return Contract([], [None] * len(subject.names), broken=broken)
    upstream = [_random_like(y, rng) for y in outputs]
    contract = Contract(upstream, [None] * len(subject.names))
    if all(np.asarray(y).dtype == np.float32 for y in call.outputs):
        contract.precision = "f4"
        contract.notes.append(
            "forward computes in float32 although its inputs are float64, so the differences are rough: errors up to 1e-2 pass"
        )
    first = _backward(subject, upstream, contract, watch=True)
    if first is None:
        return Contract([], contract.gradients, broken=contract.broken, notes=contract.notes)
    contract.returned = first
    usable = [_checked(subject, i, g, contract) for i, g in enumerate(first)]
    contract.gradients = usable
    _repeatable(subject, upstream, usable, contract)
    _linear(subject, outputs, usable, contract, rng)
    return contract


def _forward(subject: Subject) -> tuple[Call, list[np.ndarray], list[Broken]]:
    values = [p.copy() for p in subject.point]
    call = subject.call(values)
    outputs = [np.array(y) for y in call.outputs]
    broken = []
    for name, value, point in zip(subject.names, values, subject.point, strict=True):
        if not _same(value, point):
            broken.append(Broken(name, "input modified", f"forward changes its input {name} in place; work on {name}.copy()"))
    for number, y in enumerate(outputs):
        which = "the output" if len(outputs) == 1 else f"output {number}"
        if y.dtype.kind != "f":
            broken.append(
                Broken(None, "output dtype", f"{which} of forward is {y.dtype}, and only a floating output has a gradient")
            )
        elif not np.isfinite(y).all():
            index = tuple(int(i) for i in np.argwhere(~np.isfinite(y))[0])
            broken.append(
                Broken(None, "not finite", f"{which} of forward is {y[index]} at {index}; choose inputs where it is finite")
            )
    again = [np.array(y) for y in subject.call([p.copy() for p in subject.point]).outputs]
    if not broken and not all(_same(a, b) for a, b in zip(outputs, again, strict=True)):
        broken.append(
            Broken(
                None, "forward not deterministic",
                "forward gives another output when it is called again with the same input; draw random numbers from a generator "
                "that is passed in, or fix its seed",
            )
        )  # fmt: skip
    return call, outputs, broken


def _backward(subject: Subject, upstream: list[np.ndarray], contract: Contract, watch: bool = False) -> list[Any] | None:
    """The gradients from a fresh forward pass; with `watch`, whether inputs and upstream were left alone."""
    values = [p.copy() for p in subject.point]
    call = subject.call(values)
    values_before = [v.copy() for v in values]
    given = [_as_given(g, y) for g, y in zip(upstream, call.outputs, strict=True)]
    try:
        gradients = call.pull(given)
    except WrongCount as error:
        contract.broken.append(Broken(None, "wrong count", str(error)))
        return None
    if not watch:
        return gradients
    for name, value, before in zip(subject.names, values, values_before, strict=True):
        if not _same(value, before):
            contract.broken.append(
                Broken(name, "input modified", f"backward changes the input {name} in place; work on {name}.copy()")
            )
    if not all(_same(a, _as_given(b, y)) for a, b, y in zip(given, upstream, call.outputs, strict=True)):
        contract.broken.append(
            Broken(
                None,
                "upstream modified",
                "backward changes the upstream gradient in place, which other branches still need; work on a copy",
            )
        )
    for name, gradient in zip(subject.names, gradients, strict=True):
        for g in given:
            if isinstance(gradient, np.ndarray) and isinstance(g, np.ndarray) and _is_the_same_memory(gradient, g):
                contract.broken.append(
                    Broken(
                        name,
                        "aliasing",
                        f"{gradient_name(name)} is the upstream array itself; adding to one changes the other: return a copy",
                    )
                )
            if gradient is not None and isinstance(gradient, np.ndarray) and any(np.shares_memory(gradient, v) for v in values):
                contract.broken.append(
                    Broken(name, "aliasing", f"{gradient_name(name)} lies in the memory of an input; return a new array")
                )
    return [None if g is None else np.array(g) for g in gradients]


def _checked(subject: Subject, i: int, gradient: np.ndarray | None, contract: Contract) -> np.ndarray | None:
    """The gradient if it can be compared with numbers; else None, and why."""
    name, point = subject.names[i], subject.point[i]

    def refuse(kind: str, sentence: str) -> None:
        contract.broken.append(Broken(name, kind, sentence))

    if gradient is None:
        refuse(
            "none",
            f"{gradient_name(name)} is None: backward gives {name} no gradient (the graph is cut, or the result "
            "was not returned)",
        )
        return None
    if gradient.dtype.kind not in "fiu":
        refuse("dtype", f"{gradient_name(name)} is {gradient.dtype}; it must be {point.dtype} like {name}")
        return None
    if gradient.shape != point.shape:
        try:
            np.broadcast_shapes(gradient.shape, point.shape)
            aside = " (the two would broadcast, which hides the mistake in a difference)"
        except ValueError:
            aside = ""
        advice = ""
        if gradient.ndim == point.ndim:
            larger = [axis for axis in range(point.ndim) if gradient.shape[axis] > point.shape[axis]]
            if larger:
                advice = f"; along axis {', '.join(map(str, larger))} it is longer: is padding not taken off, or a sum missing?"
        elif gradient.ndim > point.ndim:
            advice = "; it has more axes: is the sum over the batch (or over another repeated axis) missing?"
        refuse("shape", f"{gradient_name(name)} has shape {gradient.shape}, but {name} has {point.shape}{aside}{advice}")
        return None
    if not np.isfinite(gradient).all():
        index = tuple(int(k) for k in np.argwhere(~np.isfinite(gradient))[0])
        refuse(
            "not finite",
            f"{gradient_name(name)} is {gradient[index]} at {index}, and in {np.mean(~np.isfinite(gradient)):.0%} of its entries",
        )
        return None
    if gradient.dtype != point.dtype and contract.precision == "f8":
        refuse(
            "dtype",
            f"{gradient_name(name)} is {gradient.dtype}, but {name} is {point.dtype}; allocate it with np.zeros_like({name})",
        )
    return gradient.astype(np.float64)


def _repeatable(subject: Subject, upstream: list[np.ndarray], first: Sequence[Any], contract: Contract) -> None:
    fresh = _backward(subject, upstream, contract)
    if fresh is not None and not _agree(first, fresh):
        contract.broken.append(
            Broken(
                None,
                "backward not deterministic",
                "backward gives another gradient after a second, equal forward pass; it keeps something, or draws random numbers",
            )
        )
        return
    call = subject.call([p.copy() for p in subject.point])
    given = [_as_given(g, y) for g, y in zip(upstream, call.outputs, strict=True)]
    once = [None if g is None else np.array(g) for g in call.pull(given)]
    given = [_as_given(g, y) for g, y in zip(upstream, call.outputs, strict=True)]
    try:
        twice = call.pull(given)
    except Exception as error:  # whatever foreign code raises
        twice, why = None, f" ({type(error).__name__}: {error})"
    else:
        why = ""
    if twice is None or not _agree(once, twice):
        contract.broken.append(
            Broken(
                None,
                "second call different",
                f"backward called twice with the same cache does not give the same gradient{why}; it must not change the cache",
            )
        )


def _linear(
    subject: Subject, outputs: list[np.ndarray], first: Sequence[Any], contract: Contract, rng: np.random.Generator
) -> None:
    """backward(a + 2 b) = backward(a) + 2 backward(b): every derivative is linear in the upstream."""
    other = [_random_like(y, rng) for y in outputs]
    second = _backward(subject, other, contract)
    mixed = _backward(subject, [a + 2 * b for a, b in zip(contract.upstream, other, strict=True)], contract)
    if second is None or mixed is None:
        return
    largest = max((float(np.max(np.abs(a), initial=0)) for a in first if a is not None), default=0.0)
    for i, name in enumerate(subject.names):
        a, b, c = first[i], second[i], mixed[i]
        if a is None or b is None or c is None or not (a.shape == np.shape(b) == np.shape(c)):
            continue
        b, c = np.asarray(b, np.float64), np.asarray(c, np.float64)
        size = np.max(np.abs(a), initial=0) + np.max(np.abs(b), initial=0)
        if size <= 1e-12 * largest:  # zero up to rounding, as a bias before batch normalisation
            continue
        tolerance = (1e-9 if contract.precision == "f8" else 1e-4) * size
        if np.max(np.abs(a - b), initial=0) <= tolerance:
            contract.broken.append(
                Broken(
                    name,
                    "upstream ignored",
                    f"{gradient_name(name)} is the same for every upstream gradient; multiply by dout (the chain rule)",
                )
            )
        elif np.max(np.abs(c - a - 2 * b), initial=0) > tolerance:
            contract.broken.append(
                Broken(
                    name, "not linear",
                    f"{gradient_name(name)} is not linear in the upstream gradient: backward(a + 2 b) is not "
                    "backward(a) + 2 backward(b), as the chain rule demands; "
                    "dout enters squared, under a nonlinear function, or something is added to it",
                )
            )  # fmt: skip


def gradient_name(name: str) -> str:
    """dx for x, d(0.weight) for 0.weight."""
    return f"d{name}" if name.isidentifier() else f"d({name})"


def _random_like(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random, never ones: with ones, mistakes that only move contributions around cancel in the sum."""
    return rng.standard_normal(y.shape)


def _as_given(upstream: np.ndarray, output: Any) -> Any:
    """A copy of the upstream in the form of the output: a plain number where forward returned one."""
    dtype = getattr(output, "dtype", np.dtype(np.float64))
    copy = upstream.astype(dtype, copy=True)
    return copy if isinstance(output, np.ndarray) else copy[()]


def _same(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def _agree(first: Sequence[Any], second: Sequence[Any]) -> bool:
    """Equal up to the order of sums, which threads may change."""
    for a, b in zip(first, second, strict=True):
        if a is None or b is None:
            continue
        if np.shape(a) != np.shape(b) or not np.allclose(a, b, rtol=1e-7, atol=1e-9, equal_nan=True):
            return False
    return True


def _is_the_same_memory(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.shares_memory(a, b) and a.ctypes.data == b.ctypes.data and a.strides == b.strides
