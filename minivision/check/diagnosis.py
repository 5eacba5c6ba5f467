"""What a wrong gradient looks like: each known mistake is a hypothesis, `the gradient that this mistake would give`, and the one
that reproduces the wrong numbers has found the bug.

Here are the mistakes that can be told from the function alone, whatever it computes. They need the Jacobian J of the outputs y to
the entries of the input, measured by differences: the right gradient is J^T g for the upstream gradient g, and a mistake is
another reading of J and g. The mistakes of single operations (a stride forgotten in a convolution) are in `mistakes/`.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from minivision.check.contract import Contract, gradient_name
from minivision.check.differences import WRONG, Differences
from minivision.check.mistakes import Operation, Scene, recognise
from minivision.check.report import InputReport
from minivision.check.subjects import Subject

JACOBIAN_UP_TO = 1_500_000  # entries
SECONDS = 0.9  # of this process, for all the Jacobians of one diagnosis
Hypothesis = tuple[str, np.ndarray]  # what is said of the gradient, and the gradient that it would be


@dataclass
class Evidence:
    """All that is known when a gradient turned out wrong."""

    subject: Subject
    contract: Contract
    differences: Differences
    inputs: list[InputReport]
    seconds: float = SECONDS  # what is left of them
    _jacobians: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def upstream(self) -> np.ndarray:
        """g, for the outputs one after the other."""
        return self.differences.weights

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of the only output, or of all of them flattened."""
        shapes = [g.shape for g in self.contract.upstream]
        return shapes[0] if len(shapes) == 1 else (self.upstream.size,)

    def jacobian(self, which: int) -> np.ndarray | None:
        """(outputs, entries of the input), or None if it is too large to be measured."""
        if self.subject.point[which].size * self.upstream.size > JACOBIAN_UP_TO:
            return None
        if which not in self._jacobians:
            found = self.jacobian_at(which, {})
            if found is None:
                return None
            self._jacobians[which] = found
        return self._jacobians[which]

    def jacobian_at(self, which: int, others: dict[int, np.ndarray]) -> np.ndarray | None:
        """With `others` in place of other inputs; None if the time does not suffice."""
        if 2.2 * self.subject.point[which].size * self._seconds_per_call > self.seconds:
            return None
        began = time.process_time()
        found = self.differences.jacobian(which, others)
        self.seconds -= time.process_time() - began
        return found

    @cached_property
    def _seconds_per_call(self) -> float:
        times = [time.perf_counter()]
        for _ in range(3):
            self.subject.outputs(self.subject.point)
            times.append(time.perf_counter())
        return float(np.diff(times).min())

    @cached_property
    def operation(self) -> Operation | None:
        """What forward computes, if it is a known operation."""
        if len(self.contract.upstream) != 1:
            return None
        arguments, names = list(self.subject.arguments), [""] * len(self.subject.arguments)
        for i, position in enumerate(self.subject.positions):
            arguments[position], names[position] = self.subject.point[i], self.subject.names[i]
        g = self.contract.upstream[0]
        measured = {p: self.truth(i) for i, p in enumerate(self.subject.positions)} if g.size == 1 else {}
        return recognise(Scene(arguments, names, self.differences.here.reshape(g.shape), g, measured))

    def truth(self, which: int) -> np.ndarray:
        """The right gradient, NaN where it is not known."""
        if np.isfinite(self.inputs[which].numeric).all() and self.inputs[which].analytic is not None:
            return self.inputs[which].numeric
        jacobian = self.jacobian(which)
        if jacobian is None:
            return self.inputs[which].numeric
        return (jacobian.T @ self.upstream).reshape(self.subject.point[which].shape)


def diagnose(evidence: Evidence) -> list[tuple[str, str]]:
    """(input, sentence) for every gradient that is wrong in a known way."""
    found = []
    for which, name in enumerate(evidence.subject.names):
        claimed = evidence.contract.returned[which]
        if claimed is None or not np.issubdtype(claimed.dtype, np.number) or not np.isfinite(claimed).all():
            continue
        wrong_shape = claimed.shape != evidence.subject.point[which].shape
        if not wrong_shape and not evidence.inputs[which].count(WRONG):
            continue
        told = of_wrong_shape(evidence, which, claimed) if wrong_shape else of_right_shape(evidence, which, claimed)
        if told is not None:
            found.append((name, f"{gradient_name(name)} {told}"))
    return found


def of_right_shape(evidence: Evidence, which: int, claimed: np.ndarray) -> str | None:
    truth = evidence.truth(which)
    for hypotheses in SOURCES:
        # the operation's own mistakes are computed, not measured, and so agree to the last digits
        tolerance = 1e-7 if hypotheses is of_the_operation and evidence.contract.precision == "f8" else 2e-5
        for sentence, gradient in hypotheses(evidence, which, truth):
            if gradient.shape == truth.shape and explains(gradient, claimed, truth, tolerance):
                return sentence
    return None


def explains(gradient: np.ndarray, claimed: np.ndarray, truth: np.ndarray, tolerance: float = 2e-5) -> bool:
    """Whether the hypothetical gradient is the claimed one, and is not the right one."""
    known = np.isfinite(gradient)
    if known.sum() < min(3, truth.size):
        return False
    size = max(float(np.max(np.abs(claimed[known]), initial=0)), 1e-300)
    if np.max(np.abs(gradient[known] - claimed[known]), initial=0) > tolerance * size:
        return False
    both = known & np.isfinite(truth)
    return bool(np.max(np.abs(gradient[both] - truth[both]), initial=0) > tolerance * size)


# ---- mistakes of the operation that it is ----


def of_the_operation(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    operation = evidence.operation
    if operation is not None:
        for role, position in operation.roles.items():
            if position == evidence.subject.positions[which]:
                with np.errstate(all="ignore"):
                    yield from operation.mistakes(role, evidence.contract.upstream[0])


# ---- mistakes that are another arrangement of the right numbers ----


def zero_or_sign(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    yield (
        "is zero everywhere, although the differences are not: the graph is cut, or the result is never written "
        "(an upstream of ones would have let this pass "
        "wherever the outputs sum to a constant)", np.zeros_like(truth),
    )  # fmt: skip
    yield "has the wrong sign", -truth


def scaled(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    claimed = evidence.contract.returned[which]
    assert claimed is not None
    known = np.isfinite(truth)
    energy = float(np.sum(truth[known] ** 2))
    if energy > 0:
        factor = float(np.sum(claimed[known] * truth[known]) / energy)
        if factor != 0 and math.isfinite(factor):
            yield f"is {_factor_in_words(factor, evidence, which)}", factor * truth


def _factor_in_words(factor: float, evidence: Evidence, which: int) -> str:
    shape, out = evidence.subject.point[which].shape, evidence.output_shape
    names: dict[str, float] = {}
    if len(out) >= 2:
        names["N, the size of the batch"] = out[0]
    if len(out) >= 3:
        names["the number of output positions"] = math.prod(out[2:])
        names["N times the number of output positions"] = out[0] * math.prod(out[2:])
    names["the number of outputs"] = math.prod(out)
    if len(shape) >= 3:
        names["the number of input positions"] = math.prod(shape[2:])
    if len(shape) >= 2:
        names["the number of channels"] = shape[1]
        names["the length of axis 0"] = shape[0]
    names["the number of its entries"] = math.prod(shape)
    for i, other in enumerate(evidence.subject.point):
        if other.ndim >= 3:
            names[f"the number of positions in {evidence.subject.names[i]}"] = math.prod(other.shape[2:])
        if other.ndim >= 2:
            names[f"the length of axis 0 of {evidence.subject.names[i]}"] = other.shape[0]
    for name, value in names.items():
        if value > 1 and math.isclose(factor, value, rel_tol=1e-5):
            twice = "counted twice, or " if value == 2 else ""
            return f"too large by the factor {value:g}, {name}: {twice}a sum where a mean belongs, or a mean's 1/n forgotten"
        if value > 1 and math.isclose(factor, 1 / value, rel_tol=1e-5):
            half = "half of what it should be, " if value == 2 else ""
            return f"{half}too small by the factor {value:g}, {name}: a mean where a sum belongs, or 1/n applied twice"
    if math.isclose(factor, 2, rel_tol=1e-5):
        return "twice too large: a factor 2, or something is counted twice"
    if math.isclose(factor, 0.5, rel_tol=1e-5):
        return "half of what it should be: a factor 2 is missing"
    return f"the right one times {factor:.6g}, the same everywhere: a constant factor is missing or too many"


def rearranged(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    axes = range(truth.ndim)
    is_kernel = truth.ndim >= 3 and any(p.ndim == truth.ndim and p.shape != truth.shape for p in evidence.subject.point)
    for count in range(1, min(truth.ndim, 3) + 1):
        for chosen in itertools.combinations(reversed(axes), count):
            spatial = truth.ndim >= 3 and all(a >= 2 for a in chosen)
            what = "the kernel" if is_kernel and which > 0 else "it"
            where = "in both axes" if spatial and count == 2 and truth.ndim == 4 else f"along axis {_listed(sorted(chosen))}"
            yield f"equals the right one with {what} flipped {where}", np.flip(truth, chosen)
    for i, j in itertools.combinations(axes, 2):
        if truth.shape[i] == truth.shape[j]:
            if truth.ndim >= 3 and (i, j) == (truth.ndim - 2, truth.ndim - 1):
                what = "the spatial axes transposed (rows and columns swapped)"
            elif truth.ndim >= 3 and (i, j) == (0, 1):
                what = "axes 0 and 1 swapped (input and output channels)"
            else:
                what = f"axes {i} and {j} transposed"
            yield f"equals the right one with {what}", np.swapaxes(truth, i, j)
    for order in itertools.permutations(axes) if truth.ndim <= 5 else ():
        if order != tuple(axes):
            moved = truth.transpose(order)
            yield (
                f"holds the right numbers in the wrong places: reshaped from the axes in the order {order} where "
                "they should have been transposed first",
                moved.reshape(truth.shape),
            )
    for axis in axes:
        permutation = _slices_permuted(evidence.contract.returned[which], truth, axis)
        if permutation is not None:
            what = "channels" if (axis == 1 and truth.ndim >= 2) else "samples" if axis == 0 and truth.ndim >= 3 else "slices"
            count, first = len(permutation), permutation[0]
            rolled = -first if 2 * first <= count else count - first
            around = count > 2 and permutation == [(first + k) % count for k in range(count)]
            if around and what == "slices":
                text = f"is rolled by {rolled:+d} along axis {axis}, around the edge (a roll for a shift, or an index off by one)"
            else:
                text = f"has the {what} along axis {axis} in the wrong order: {permutation}"
                text += f", rolled by {rolled:+d}" if around else ""
            yield text, np.take(truth, permutation, axis=axis)
    for steps in itertools.product((0, -1, 1, -2, 2), repeat=min(truth.ndim, 2)):
        if any(steps):
            last = tuple(range(truth.ndim - len(steps), truth.ndim))
            text = " and ".join(f"{s:+d} along axis {a}" for s, a in zip(steps, last, strict=True) if s)
            yield f"is shifted by a pixel: {text} (an off-by-one in padding, crop or slice)", _shifted(truth, steps, last)
            yield f"is shifted around the edge: {text} (a roll instead of a shift)", np.roll(truth, steps, last)


def _slices_permuted(claimed: np.ndarray | None, truth: np.ndarray, axis: int) -> list[int] | None:
    """The order in which the slices of truth along an axis make the claimed gradient; None if they do not."""
    count = truth.shape[axis]
    if claimed is None or not 2 <= count <= 64 or not np.isfinite(truth).all():
        return None
    a, b = (np.moveaxis(x, axis, 0).reshape(count, -1) for x in (claimed, truth))
    order = []
    for row in a:
        distance = np.max(np.abs(b - row), axis=1)
        order.append(int(np.argmin(distance)))
    return order if sorted(order) == list(range(count)) and order != list(range(count)) else None


def _shifted(x: np.ndarray, steps: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    """Moved with nothing coming in: the entries that have no source are not known."""
    y = np.full_like(x, np.nan)
    target, source = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    for s, a in zip(steps, axes, strict=True):
        target[a], source[a] = slice(max(s, 0), x.shape[a] + min(s, 0)), slice(max(-s, 0), x.shape[a] + min(-s, 0))
    y[tuple(target)] = x[tuple(source)]
    return y


def of_another_input(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    for other, name in enumerate(evidence.subject.names):
        if other != which and evidence.subject.point[other].shape == truth.shape:
            yield f"is the right gradient of {name}: returned in the wrong order", evidence.truth(other)


def exchanged(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    """The gradient of something else, or no gradient at all."""
    names = evidence.subject.names
    if evidence.output_shape == truth.shape:
        g = evidence.upstream.reshape(truth.shape)
        y = evidence.differences.here.reshape(truth.shape)
        yield "is the upstream gradient passed through unchanged: the operation's own derivative is missing", g
        yield "is the output y, not a gradient", y
        yield "is dout * y", g * y
        yield "is dout * x", g * evidence.subject.point[which]
    for other, name in enumerate(names):
        v = evidence.subject.point[other]
        factor = _fit_as_factor(v, truth.shape)
        if factor is not None and other != which:
            with np.errstate(divide="ignore", invalid="ignore"):
                yield f"lacks the factor {name}", truth / factor
            yield f"has the factor {name} once too often", truth * factor


def _fit_as_factor(v: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """v as something that multiplies an array of this shape: as it is, or a vector along the channels."""
    if v.shape == shape:
        return v
    if v.ndim == 1 and len(shape) >= 2 and shape[1] == len(v):
        return v.reshape(1, -1, *(1,) * (len(shape) - 2))
    return v if v.ndim <= 1 and shape and v.size in (1, shape[-1]) else None


# ---- mistakes in the sum over the outputs: other readings of J^T g ----


def summed_wrongly(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    jacobian = evidence.jacobian(which)
    if jacobian is None or not evidence.upstream.size:
        return
    g, out = evidence.upstream, evidence.output_shape

    def with_upstream(changed: np.ndarray) -> np.ndarray:
        return (jacobian.T @ changed.ravel()).reshape(truth.shape)

    upstream = g.reshape(out)
    for axis, length in enumerate(out):
        what = {0: "sample", 1: "channel"}.get(axis, f"along axis {axis} index")
        for index in dict.fromkeys((0, length - 1)):
            if length > 1:
                only = np.zeros(out)
                at = (slice(None),) * axis + (index,)
                only[at] = upstream[at]
                missing = "the sum over the batch is missing" if axis == 0 else f"the sum over axis {axis} of dout is missing"
                yield f"uses only {what} {index} of dout: {missing}", with_upstream(only)
    for axis, length in enumerate(out):
        what = {0: "sample", 1: "channel"}.get(axis, f"index along axis {axis}")
        for index in dict.fromkeys((0, length - 1)):
            if length > 1:
                at = (slice(None),) * axis + (index,)
                without = upstream.copy()
                without[at] = 0
                which_one = "first" if index == 0 else "last"
                yield f"leaves out the {which_one} {what} of dout: a loop begins or ends one too soon", with_upstream(without)
    if len(out) >= 3:
        inside = np.zeros(out)
        middle: tuple[Any, ...] = (..., *(slice(1, -1) for _ in out[2:]))
        inside[middle] = upstream[middle]
        yield "leaves out the border of dout: padding is taken off the wrong array", with_upstream(inside)
    yield "takes the sum (or mean) of dout for every single output", with_upstream(np.full(out, upstream.mean()))
    yield "takes the sum of dout for every single output", with_upstream(np.full(out, upstream.sum()))
    yield "ignores the upstream gradient, as if it were ones", with_upstream(np.ones(out))
    for axis in range(len(out)):
        yield (
            f"takes the mean of dout along axis {axis}{' (the channels)' * (axis == 1)} for each of its entries",
            with_upstream(np.broadcast_to(upstream.mean(axis=axis, keepdims=True), out)),
        )
    for count in range(1, min(len(out), 2) + 1):
        for chosen in itertools.combinations(reversed(range(len(out))), count):
            yield f"reads dout flipped along axis {_listed(sorted(chosen))}", with_upstream(np.flip(upstream, chosen))
    for order in itertools.permutations(range(len(out))) if len(out) <= 5 else ():
        if order != tuple(range(len(out))):
            moved = upstream.transpose(order)
            what = f"transposed ({order})" if moved.shape == out else f"reshaped from axes {order} without moving them"
            yield f"reads dout {what}", with_upstream(moved.reshape(out))
    for steps in itertools.product((0, -1, 1), repeat=min(len(out), 2)):
        if any(steps):
            where = tuple(range(len(out) - len(steps), len(out)))
            yield (
                f"reads dout shifted by a pixel ({', '.join(map(str, steps))})",
                with_upstream(np.nan_to_num(_shifted(upstream, steps, where))),
            )


def with_other_inputs(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    """The gradient that would be right if another input were flipped, transposed or of the opposite sign."""
    if evidence.jacobian(which) is None:
        return
    for other, v in enumerate(evidence.subject.point):
        if other == which or v.ndim < 2:
            continue
        name = evidence.subject.names[other]
        last = (v.ndim - 2, v.ndim - 1)
        changes = {f"{name} flipped in both of its last axes": np.flip(v, last)}
        changes |= {f"{name} flipped along axis {axis}": np.flip(v, axis) for axis in reversed(last)}
        if v.shape[-1] == v.shape[-2]:
            changes[f"{name} with its last two axes transposed"] = np.swapaxes(v, *last)
        if v.ndim > 2 and v.shape[0] == v.shape[1]:
            changes[f"{name} with axes 0 and 1 swapped"] = np.swapaxes(v, 0, 1)
        for what, changed in changes.items():
            jacobian = evidence.jacobian_at(which, {other: changed})
            if jacobian is None:
                return
            yield f"is what it would be with {what}", (jacobian.T @ evidence.upstream).reshape(truth.shape)


def written_over(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    """`=` where `+=` belongs: of several contributions to an entry only one survives."""
    jacobian = evidence.jacobian(which)
    if jacobian is None or not evidence.upstream.size:
        return
    out = evidence.output_shape
    contributions = jacobian * evidence.upstream[:, None]  # (outputs, entries)
    reaches = np.abs(jacobian) > 1e-9 * np.max(np.abs(jacobian), initial=0)
    overwritten = "keeps only the {} of the contributions that overlap: = where += belongs"
    groupings: list[tuple[np.ndarray, np.ndarray]] = [(contributions, reaches)]
    if len(out) >= 3:  # a window's channels come together, in one product
        split = (out[0], out[1], -1, truth.size)
        together = contributions.reshape(split).sum(axis=1), reaches.reshape(split).any(axis=1)
        groupings.append((together[0].reshape(-1, truth.size), together[1].reshape(-1, truth.size)))
    for values, there in groupings:
        count = there.sum(axis=0)
        if count.max(initial=0) < 2:
            continue
        entries = np.arange(truth.size)
        last = there.shape[0] - 1 - there[::-1].argmax(axis=0)
        yield overwritten.format("last"), np.where(count > 0, values[last, entries], 0.0).reshape(truth.shape)
        yield overwritten.format("first"), np.where(count > 0, values[there.argmax(axis=0), entries], 0.0).reshape(truth.shape)
        yield (
            "averages the contributions that overlap instead of adding them",
            (values.sum(axis=0) / np.maximum(count, 1)).reshape(truth.shape),
        )
        largest = np.abs(values).argmax(axis=0)
        yield "keeps only the largest of the contributions that overlap", values[largest, entries].reshape(truth.shape)


def uncoupled(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    """Mistakes in a square Jacobian: only its diagonal, or not transposed."""
    jacobian = evidence.jacobian(which)
    if jacobian is None or evidence.output_shape != truth.shape:
        return
    g = evidence.upstream
    diagonal = np.diagonal(jacobian)
    yield (
        "takes only the diagonal of the Jacobian, dy_i/dx_i: the coupling is missing (in softmax the sum over "
        "all classes; in a norm the terms through mean and variance)",
        (diagonal * g).reshape(truth.shape),
    )
    yield "takes the Jacobian without its diagonal", ((jacobian.T @ g) - diagonal * g).reshape(truth.shape)
    yield "applies the forward operation to dout, J g, where its transpose belongs, J^T g", (jacobian @ g).reshape(truth.shape)
    claimed = evidence.contract.returned[which]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = claimed.ravel() / g if claimed is not None else np.zeros(0)
    constant = np.isfinite(ratio).all() and len(ratio) > 3 and truth.ndim >= 2
    if constant and np.allclose(ratio, ratio[0], rtol=1e-6):
        yield (
            f"is dout times {ratio[0]:.6g}, the same everywhere: the operation's own derivative is missing",
            (ratio * g).reshape(truth.shape),
        )
    elif constant:
        # each channel's own factor, times dout: what normalisation gives when its statistics are taken as constants
        by_channel = np.moveaxis(ratio.reshape(truth.shape), 1, 0).reshape(truth.shape[1], -1)
        by_sample = ratio.reshape(truth.shape[0], -1)
        for rows, axis in ((by_channel, 1), (by_sample, 0)):
            if rows.shape[1] > 1 and np.allclose(rows, rows[:, :1], rtol=1e-6):
                yield (
                    f"is dout times one factor for each index of axis {axis}: mean and variance are treated as "
                    "constants, their own derivatives are missing",
                    (ratio * g).reshape(truth.shape),
                )


# ---- mistakes that leave a pattern in part of the gradient ----


def only_part(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    claimed = evidence.contract.returned[which]
    assert claimed is not None
    if truth.ndim >= 2:
        for width in (1, 2):
            inside: tuple[Any, ...] = (..., *(slice(width, -width) for _ in range(2)))
            if min(truth.shape[-2:]) > 2 * width:
                bare = np.zeros_like(truth)
                bare[inside] = truth[inside]
                yield f"is right inside, but zero at the border ({width} wide): padding, or a loop that skips it", bare
                kept = claimed.astype(np.float64, copy=True)
                kept[inside] = truth[inside]
                border = np.ones(truth.shape, bool)
                border[inside] = False
                off = np.abs(claimed - truth) > 1e-5 * np.max(np.abs(truth), initial=0)
                if truth.ndim < 3 or off[border].mean() < 0.5:
                    continue
                yield f"is right inside and wrong only at the border ({width} wide): the padding is handled wrongly", kept
    difference = claimed - truth
    point = evidence.subject.point[which]
    if np.isfinite(difference).all() and float(np.sum(point**2)) > 0:
        factor = float(np.sum(difference * point) / np.sum(point**2))
        if factor:
            yield (
                f"contains an extra term {factor:.4g} * {evidence.subject.names[which]}, as weight decay adds",
                truth + factor * point,
            )
        yield "has the same number added everywhere", truth + difference.mean()
        if evidence.output_shape == truth.shape:
            g = evidence.upstream.reshape(truth.shape)
            share = float(np.sum(difference * g) / np.sum(g * g))
            if math.isclose(share, -1, rel_tol=1e-4):
                yield "lacks the term dout itself: the path around the operation (the skip connection) is missing", truth - g
            elif math.isclose(share, 1, rel_tol=1e-4):
                yield (
                    "contains dout once too often: the path around the operation (the skip connection) is counted twice",
                    truth + g,
                )
            elif share:
                yield f"contains an extra term {share:.4g} * dout", truth + share * g


def by_channel(evidence: Evidence, which: int, truth: np.ndarray) -> Iterator[Hypothesis]:
    """One wrong factor per channel, or some channels or samples missing altogether."""
    claimed = evidence.contract.returned[which]
    if claimed is None or truth.ndim < 2 or not np.isfinite(truth).all():
        return
    for axis in range(min(truth.ndim, 2)):
        rest = tuple(a for a in range(truth.ndim) if a != axis)
        energy = np.sum(truth**2, axis=rest, keepdims=True)
        factor = np.sum(claimed * truth, axis=rest, keepdims=True) / np.where(energy == 0, 1, energy)
        what = "sample" if axis == 0 and truth.ndim >= 3 else "channel" if axis == 1 else f"index of axis {axis}"
        values = factor.ravel()
        if len(values) < 2:
            continue
        missing = np.flatnonzero(np.abs(values) < 1e-9)
        if 0 < len(missing) < len(values):
            yield f"is zero for {what} {_listed(missing.tolist())}, which never receives its share", factor * truth
        yield (
            f"is off by a factor of its own for each {what} "
            f"({', '.join(f'{v:.3g}' for v in values[:4])}{', ...' if len(values) > 4 else ''})",
            factor * truth,
        )


Source = Callable[[Evidence, int, np.ndarray], Iterator[Hypothesis]]
SOURCES: list[Source] = [  # the surest first
    zero_or_sign, of_another_input, of_the_operation, scaled, rearranged, exchanged, uncoupled, summed_wrongly, written_over,
    with_other_inputs, only_part, by_channel,
]  # fmt: skip


# ---- gradients of the wrong shape ----


def of_wrong_shape(evidence: Evidence, which: int, claimed: np.ndarray) -> str | None:
    truth, shape = evidence.truth(which), evidence.subject.point[which].shape
    if not np.isfinite(truth).all():
        return None

    def same(a: np.ndarray) -> bool:
        return a.shape == shape and bool(
            np.max(np.abs(a - truth), initial=0) <= 2e-5 * max(float(np.max(np.abs(truth), initial=0)), 1e-300)
        )

    got = f"has shape {claimed.shape} instead of {shape}"
    if claimed.ndim == len(shape):
        extra = [a - b for a, b in zip(claimed.shape, shape, strict=True)]
        if all(e >= 0 for e in extra):
            crop = tuple(slice(e // 2, e // 2 + n) for e, n in zip(extra, shape, strict=True))
            if same(claimed[crop]):
                return f"{got}: the padding is not removed; take the middle of it"
            first = tuple(slice(0, n) for n in shape)
            if same(claimed[first]):
                return f"{got}: it is longer than the input by {tuple(extra)} at the end"
        repeated = tuple(axis for axis, (a, b) in enumerate(zip(claimed.shape, shape, strict=True)) if b == 1 and a > 1)
        if repeated and same(claimed.sum(axis=repeated, keepdims=True)):
            return f"{got}: sum over axis {_listed(repeated)}, along which the input was broadcast"
    if same(claimed.reshape(shape) if claimed.size == truth.size else claimed):
        return f"{got}: the right numbers, to be reshaped to the input's shape"
    if claimed.ndim == len(shape) and claimed.ndim <= 5:
        for order in itertools.permutations(range(claimed.ndim)):
            if order != tuple(range(claimed.ndim)) and same(claimed.transpose(order)):
                return f"{got}: transposed; the right one is .transpose{order}"
    for count in range(1, claimed.ndim - len(shape) + 1 if claimed.ndim > len(shape) else 0):
        for axes in itertools.combinations(range(claimed.ndim), count):
            if same(claimed.sum(axis=axes)):
                what = "the batch" if axes == (0,) else f"axis {_listed(axes)}"
                return f"{got}: the sum over {what} is missing"
            if same(claimed.mean(axis=axes)):
                return f"{got}: it still has axis {_listed(axes)}"
    return None


def _listed(values: list[int] | tuple[int, ...]) -> str:
    return " and ".join(map(str, values)) if len(values) < 3 else ", ".join(map(str, values))
