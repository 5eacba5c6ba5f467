"""Derivatives by differences, and how far they can be believed.

A *probe* moves the inputs along one direction v, a single entry or a random mixture of all, and compares three things: the slope
to the right (f(x + hv) - f(x)) / h, the slope to the left (f(x) - f(x - hv)) / h, and the gradient's <g, v>. Where f is smooth
the two slopes differ by h f'' and their mean, the central difference, is right to O(h^2). At a kink (a ReLU at 0, a tie under a
maximum) they differ by a fixed amount however small h is, and at a jump by more the smaller h is: there no difference is a
derivative, and the probe says so instead of judging.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from minivision.check.subjects import Subject

STEP = {"f8": 1e-5, "f4": 1e-2}  # by the precision in which forward computes: the cube root of its rounding, about
TOLERANCE = {"f8": 1e-6, "f4": 1e-2}
ROUNDING = {"f8": 2.2e-16, "f4": 6e-8}

RIGHT, WRONG, KINK, UNSURE = "right", "wrong", "kink", "unsure"


@dataclass
class Probe:
    """One direction, what the differences say of it, and what the gradient says."""

    input: int
    index: tuple[int, ...] | None  # the entry; None for a direction through all entries
    numeric: float
    analytic: float
    outcome: str
    error: float  # relative
    sides: tuple[float, float] = (np.nan, np.nan)  # the slopes to the left and to the right, where they differ
    choices: tuple[str, ...] = ()  # the decisions that changed within the step


@dataclass
class Differences:
    """The function around its point: weights on the outputs, the step, and the Jacobian as far as it was measured."""

    subject: Subject
    upstream: list[np.ndarray]
    precision: str = "f8"
    complex_step: bool = False
    here: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.weights = _flat(self.upstream)
        self.here = self._at(self.subject.point)
        self.decisions = self.subject.call([p.copy() for p in self.subject.point]).decisions()

    def probe(
        self, which: int, direction: np.ndarray, claimed: float, scale: float, index: tuple[int, ...] | None = None
    ) -> Probe:
        """Compare the slope along `direction` of input number `which` with the gradient's `claimed` one.

        `scale` is the size that such slopes have in this input: errors are relative to it where the slope itself is near 0.
        """
        if self.complex_step:
            slope = self._complex_slope(which, direction)
            return Probe(which, index, slope, claimed, *self._judged(slope, claimed, scale, 1e-12))
        h = STEP[self.precision] * max(1.0, float(np.max(np.abs(self.subject.point[which] * (direction != 0)), initial=0)))
        found: list[tuple[float, float, float, float]] = []  # left, right, central, noise; for smaller and smaller steps
        changed: tuple[str, ...] = ()
        for step in (h, h / 10, h / 100):
            above, changed_above = self._moved(which, direction, step)
            below, changed_below = self._moved(which, direction, -step)
            changed = (*changed, *changed_above, *changed_below)
            noise = self._noise(above) / step
            left, right = (self.weights @ (self.here - below)) / step, (self.weights @ (above - self.here)) / step
            bend = np.max(np.abs(above - 2 * self.here + below), initial=0) / step  # of any single output: weights could hide it
            slope = np.max(np.abs(above - below), initial=0) / (2 * step)
            found.append((float(left), float(right), float((left + right) / 2), float(noise)))
            crossed = changed_above or changed_below
            smooth = bend <= 30 * step / h * 1e-4 * max(slope, 1e-3 * scale) + noise
            if smooth and not crossed:
                numeric = found[-1][2]
                outcome, error = self._judged(numeric, claimed, scale, noise)
                if outcome == WRONG and not self._confirmed(found, which, direction, step, claimed):
                    outcome = UNSURE
                return Probe(which, index, numeric, claimed, outcome, error)
        return self._rough(which, index, found, claimed, scale, tuple(dict.fromkeys(changed)))

    def _rough(
        self, which: int, index: tuple[int, ...] | None, found: list[tuple[float, float, float, float]], claimed: float,
        scale: float, changed: tuple[str, ...],
    ) -> Probe:  # fmt: skip
        """No step was smooth: strongly curved (the central differences still agree), or a kink."""
        central = [c for _, _, c, _ in found]
        left, right, numeric, noise = found[-1]
        bends = [abs(right - left) for left, right, _, _ in found]
        curved = bends[2] < 0.2 * bends[1] < 0.04 * bends[0] + 5 * noise
        outcome, error = self._judged(numeric, claimed, scale, noise + abs(central[1] - central[2]))
        if curved and not changed:
            return Probe(which, index, numeric, claimed, outcome, error)
        if outcome == RIGHT:  # left and right cancel in the weights, or the kink lay beyond the smallest step
            return Probe(which, index, numeric, claimed, RIGHT, error)
        return Probe(which, index, numeric, claimed, KINK, error, (left, right), changed)

    def _judged(self, numeric: float, claimed: float, scale: float, noise: float) -> tuple[str, float]:
        size = max(abs(numeric), abs(claimed), 1e-3 * scale, 1e-300)
        error = abs(numeric - claimed) / size
        tolerance = 1e-9 if self.complex_step else TOLERANCE[self.precision]
        right = error <= tolerance or abs(numeric - claimed) <= 20 * noise
        return (RIGHT if right else WRONG), float(error)

    def _confirmed(
        self, found: list[tuple[float, float, float, float]], which: int, direction: np.ndarray, step: float, claimed: float
    ) -> bool:
        """Whether another step gives nearly the same slope: the difference to the claim is not one of the differences' own."""
        other = 4 * step if len(found) == 1 else step / 4
        above, _ = self._moved(which, direction, other)
        below, _ = self._moved(which, direction, -other)
        again = float(self.weights @ (above - below)) / (2 * other)
        return abs(again - found[-1][2]) <= 0.2 * abs(found[-1][2] - claimed)

    def _noise(self, outputs: np.ndarray) -> float:
        """What rounding in the outputs can do to their weighted sum."""
        return 4 * ROUNDING[self.precision] * float(np.sqrt(np.sum((self.weights * outputs) ** 2)))

    def _moved(self, which: int, direction: np.ndarray, step: float) -> tuple[np.ndarray, tuple[str, ...]]:
        """The outputs a step away, and which decisions are different there."""
        values = [p.copy() for p in self.subject.point]
        values[which] = values[which] + step * direction
        call = self.subject.call(values)
        changed: tuple[str, ...] = ()
        if self.decisions:
            there = call.decisions()
            changed = tuple(name for name, choice in self.decisions.items() if not np.array_equal(choice, there.get(name, ())))
        return _flat([np.asarray(y, np.float64) for y in call.outputs]), changed

    def jacobian(self, which: int, others: dict[int, np.ndarray] | None = None) -> np.ndarray:
        """d outputs / d entries of one input, (outputs, entries), by central differences; `others` replace other inputs."""
        at = [(others or {}).get(i, p) for i, p in enumerate(self.subject.point)]
        point = at[which]
        columns = []
        for index in np.ndindex(point.shape):
            direction = np.zeros_like(point)
            direction[index] = 1.0
            h = STEP[self.precision] * max(1.0, abs(float(point[index])))
            above, below = (self._at([*at[:which], point + s * h * direction, *at[which + 1 :]]) for s in (1, -1))
            columns.append((above - below) / (2 * h))
        return np.stack(columns, axis=1) if columns else np.zeros((self.here.size, 0))

    def _complex_slope(self, which: int, direction: np.ndarray) -> float:
        step = 1e-30
        values: list[np.ndarray] = [p.astype(np.complex128) for p in self.subject.point]
        values[which] = values[which] + 1j * step * direction
        outputs = np.concatenate([np.asarray(y).ravel() for y in self.subject.call(values).outputs])
        return float(self.weights @ outputs.imag) / step

    def _at(self, values: Sequence[np.ndarray]) -> np.ndarray:
        return _flat(self.subject.outputs(values))


def _flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.asarray(a).ravel() for a in arrays]) if arrays else np.zeros(0)
