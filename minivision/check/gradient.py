"""Is this backward the derivative of this forward? And if not, what is wrong with it?

report = check.backward(conv_forward, conv_backward, x, w, b)
print(report)
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function
from minivision.check import subjects
from minivision.check.contract import Contract, examine
from minivision.check.diagnosis import Evidence, diagnose
from minivision.check.differences import KINK, STEP, UNSURE, WRONG, Differences, Probe
from minivision.check.report import GradientReport, InputReport
from minivision.check.subjects import Subject

SECONDS = 0.8  # for the differences of one check; a check as a whole stays well under 2 s
EVERY_ENTRY_UP_TO = 4000
SAMPLED_ENTRIES = 60
DIRECTIONS = 4


def gradient(
    fn: Any,
    *inputs: Any,
    wrt: Any = None,
    parameters: Any = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    method: str = "central",
) -> GradientReport:
    """Check the gradient of a function of Tensors, a Module, a loss, or a `Function`, against differences.

    Parameters
    ----------
    fn: a function of Tensors (its recorded graph is checked); an nn.Module (its parameters are checked too); a `Function` class
        or instance, or any class with `forward(*arrays)` and `backward(dout)`; a function of PyTorch's tensors, if the inputs
        are such.
    inputs: arrays or Tensors; the floating ones are differentiated, in float64 copies. Labels, sizes and other settings are
        passed on as they are.
    wrt: names or positions of the inputs to check; all floating ones unless given.
    parameters: what fn uses from outside and is to be checked too: an nn.Module, Tensors in a list, or by name in a dict.
    seed: of the random upstream gradient and of the random directions.
    method: "central" differences, or "complex" steps, which have no rounding error, for a `Function` whose forward is analytic
        (no abs, no comparison).

    Returns a `GradientReport`: `print` it, look at `.ok`, `.verdict` ("right", "wrong", "inconclusive"), `.plot()`, or call
    `.assert_ok()` in a test. Inputs, parameters, buffers and random generators are left as found.

    Each entry of each input is moved both ways, or, in large inputs, a sample of entries and random directions through all of
    them. At a kink, where there is no derivative, nothing is passed silently: the report says how many there were, and is
    inconclusive if they are more than a fifth.
    """
    if subjects.is_torch(*inputs):
        subject = subjects.of_torch(fn, inputs, wrt)
    elif isinstance(fn, Function):
        subject = subjects.of_object(lambda: copy.deepcopy(fn), inputs, wrt, type(fn).__name__)
    elif isinstance(fn, type) and hasattr(fn, "forward") and hasattr(fn, "backward"):
        subject = subjects.of_object(fn, inputs, wrt, fn.__name__)
    else:
        subject = subjects.of_tensors(fn, inputs, wrt, parameters, names)
    return _check(subject, seed, method)


def backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    *inputs: Any,
    wrt: Any = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    method: str = "central",
) -> GradientReport:
    """Check a backward written in NumPy against its forward, in the style of CS231n.

    Parameters
    ----------
    forward: `out, cache = forward(*inputs)`; or `out = forward(*inputs)`.
    backward: `dx, dw, ... = backward(dout, cache)`; or, where forward returns no cache, `backward(dout, *inputs)`. It returns
        one gradient per input, or per floating input, or a dict by name.
    inputs: arrays, of which the floating ones are differentiated; everything else is passed on as it is.
    wrt, seed, method: as in `gradient`.
    names: of the inputs; taken from forward's signature unless given.

    Returns a `GradientReport`, as `gradient` does. Raises TypeError when no input is floating.
    """
    return _check(subjects.of_pair(forward, backward, inputs, wrt, names), seed, method)


def tie_free(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """Random values that are all different, equally spaced between `low` and `high`, and none of them 0.

    At such a point a maximum has one winner and a ReLU one side, so a gradient check meets no kink.
    """
    count = int(np.prod(shape))
    values = low + (high - low) * (np.arange(count) + 0.5) / max(count, 1)
    if count and np.min(np.abs(values)) < 0.1 * (high - low) / count:
        values = values + 0.25 * (high - low) / count
    return np.random.default_rng(seed).permutation(values).reshape(shape)


def _check(subject: Subject, seed: int, method: str) -> GradientReport:
    if method not in ("central", "complex"):
        raise ValueError(f"check: method={method!r} is unknown; use 'central' or 'complex'")
    # not default_rng(seed): who draws the inputs from that would get an upstream equal to the input, which hides mistakes
    rng = np.random.default_rng((seed, 20261))
    contract = examine(subject, rng)
    if not contract.upstream:
        return GradientReport(subject.operation, [], contract.broken, notes=contract.notes, method="nothing was compared")
    differences = Differences(subject, contract.upstream, contract.precision, method == "complex")
    if method == "complex":
        _refuse_unless_analytic(differences, rng)
    inputs = _compare(subject, contract, differences, rng)
    report = GradientReport(subject.operation, inputs, contract.broken, notes=list(contract.notes))
    report.method = _describe(inputs, contract, method, seed)
    report.notes += _blind_spots(inputs)
    if report.verdict == "wrong":
        evidence = Evidence(subject, contract, differences, inputs)
        report.diagnosis = diagnose(evidence)
        if evidence.operation is not None:
            report.notes.append(f"forward computes {evidence.operation.name}")
    return report


def _compare(subject: Subject, contract: Contract, differences: Differences, rng: np.random.Generator) -> list[InputReport]:
    seconds = min(_seconds(subject) for _ in range(3))
    affordable = SECONDS / max(2.2 * seconds, 1e-6)
    total = sum(p.size for p, g in zip(subject.point, contract.gradients, strict=True) if g is not None)
    everything = total <= min(affordable, EVERY_ENTRY_UP_TO)
    sampled = int(np.clip(affordable / max(len(subject.point), 1) - DIRECTIONS, 6, SAMPLED_ENTRIES))
    sizes = [0.0 if g is None else float(np.sqrt(np.mean(g**2))) if g.size else 0.0 for g in contract.gradients]
    reports = []
    for which, (name, point, claimed) in enumerate(zip(subject.names, subject.point, contract.gradients, strict=True)):
        numeric = np.full(point.shape, np.nan)
        probes: list[Probe] = []
        if claimed is not None and point.size:
            scale = max(sizes[which], 1e-9 * max(sizes))
            entries = list(np.ndindex(point.shape)) if everything else _sample(point.shape, claimed, rng, sampled)
            for index in entries:
                direction = np.zeros(point.shape)
                direction[index] = 1.0
                probe = differences.probe(which, direction, float(claimed[index]), scale, tuple(int(i) for i in index))
                if probe.outcome not in (KINK, UNSURE):
                    numeric[index] = probe.numeric
                probes.append(probe)
            directions = [np.ones(point.shape)] if point.size > 1 else []
            directions += [] if everything else [rng.standard_normal(point.shape) for _ in range(DIRECTIONS)]
            for direction in directions:
                size = scale * float(np.linalg.norm(direction))
                probe = differences.probe(which, direction, float(np.vdot(claimed, direction)), size)
                probes.append(probe)
        reports.append(InputReport(name, point.shape, probes, claimed, numeric))
    return reports


def _seconds(subject: Subject) -> float:
    began = time.perf_counter()
    subject.outputs(subject.point)
    return time.perf_counter() - began


def _sample(shape: tuple[int, ...], claimed: np.ndarray, rng: np.random.Generator, count: int) -> list[tuple[int, ...]]:
    """Entries from everywhere: the corners, the largest and the smallest gradients, and random ones."""
    flat: list[int] = []
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), axis=-1).reshape(-1, len(shape))
    flat += [int(np.ravel_multi_index(tuple(c), shape)) for c in corners[rng.permutation(len(corners))[: count // 4]]]
    order = np.argsort(np.abs(claimed), axis=None)
    flat += [int(i) for i in order[-(count // 6 + 1) :]] + [int(i) for i in order[: count // 6]]
    flat += [int(i) for i in rng.integers(0, claimed.size, 4 * count)]
    chosen = list(dict.fromkeys(flat))[:count]
    return [tuple(int(k) for k in np.unravel_index(i, shape)) for i in chosen]


def _refuse_unless_analytic(differences: Differences, rng: np.random.Generator) -> None:
    """Compare one complex step with one central difference, in a direction through everything."""
    for which, point in enumerate(differences.subject.point):
        direction = rng.standard_normal(point.shape)
        try:
            with np.errstate(all="ignore"):
                slope = differences._complex_slope(which, direction)
        except Exception as error:
            raise TypeError(
                f"check: method='complex' needs a forward that runs on complex numbers, but {differences.subject.operation} "
                f"raises {type(error).__name__}: {error}; use method='central'"
            ) from error
        differences.complex_step = False
        central = differences.probe(which, direction, slope, abs(slope))
        differences.complex_step = True
        if central.outcome == WRONG:
            raise ValueError(
                f"check: method='complex' gives a slope of {slope:.6g} along {differences.subject.names[which]}, "
                "differences give "
                f"{central.numeric:.6g}: forward is not analytic (it uses abs, a maximum, .real, or a real buffer); use "
                "method='central'"
            )


def _describe(inputs: list[InputReport], contract: Contract, method: str, seed: int) -> str:
    entries = sum(p.index is not None for i in inputs for p in i.probes)
    size = sum(int(np.prod(i.shape)) for i in inputs if i.analytic is not None)
    which = f"all {entries} entries" if entries == size else f"{entries} of {size} entries and random directions"
    step = "complex steps" if method == "complex" else f"central differences, h = {STEP[contract.precision]:.0e}"
    return f"random upstream (seed {seed}), {step}, {which}"


def _blind_spots(inputs: list[InputReport]) -> list[str]:
    notes = []
    for i in inputs:
        kinks = [p for p in i.probes if p.outcome == KINK]
        if kinks:
            why = sorted({choice for p in kinks for choice in p.choices})
            because = f" ({'; '.join(why[:3])} changes within the step)" if why else ""
            notes.append(
                f"{len(kinks)} of {len(i.probes)} directions of {i.name} meet a kink or a jump{because}, where "
                "there is no derivative to "
                "compare with; draw values without ties, check.tie_free(*shape), to check them too"
            )
        if unsure := i.count(UNSURE):
            notes.append(
                f"in {unsure} of {len(i.probes)} directions of {i.name} the differences change with the step as "
                "much as they differ "
                "from the gradient, so they decide nothing; is forward in float64, smooth, and of moderate size?"
            )
    return sorted(notes, key=lambda n: -int(n.split()[0]) if n[0].isdigit() else 0)
