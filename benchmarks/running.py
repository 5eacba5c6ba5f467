"""Running cases: check that all compute the same, take turns, make rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks import frameworks, limits, peak
from benchmarks.case import Case, Different, Results, Step, Target, check_equal
from benchmarks.peers.environment import PEERS, ROOT, Missing
from benchmarks.peers.remote import CannotRun, Remote
from benchmarks.report import Row
from benchmarks.timing import Local, Times, in_turns, ratio

# minivision should be four times as fast as the frameworks that are written in NumPy, three times as a first step.
BESIDE_NUMPY = Target(0.25, 0.33)


class Bench:
    """The frameworks to compare with and the machine's limits; `rows` measures one case."""

    def __init__(self, threads: Sequence[int], rounds: int = 15, seconds: float = 3.0, peers: Sequence[str] = ()):
        self.rounds, self.seconds = rounds, seconds
        self.limits = {number: limits.measure(number) for number in threads}
        self.notes: list[str] = []  # what could not be run, and why
        self.remotes: list[Remote] = []
        for name in peers:
            try:
                self.remotes.append(Remote(name))
            except Missing as error:
                self.notes.append(str(error))

    def close(self) -> None:
        for remote in self.remotes:
            remote.close()

    def rows(self, case: Case, threads: int) -> Iterator[Row]:
        """One row beside PyTorch and one beside each other framework that can run the case; raises Different."""
        if case.memory:
            yield memory_row(case, threads)
            return
        steps, error = prepared(case, threads)
        programs: dict[str, Any] = {name: Local(step) for name, step in steps.items()}
        if case.peer is not None:
            # of a new program, since a training step has changed the weights of the one that was compared
            expected = case.build(frameworks.load("PyTorch"), case.inputs())() if self.remotes else {}
            programs |= self._others(case, threads, expected)
        times = in_turns(programs, self.rounds, self.seconds)
        ours = times.pop("minivision")
        bound = self.limits[threads].seconds(case.work())
        for name, theirs in times.items():
            target = case.target if name == "PyTorch" else BESIDE_NUMPY
            yield timed_row(case, threads, ours, theirs, name, target, bound, error)

    def _others(self, case: Case, threads: int, expected: Results) -> dict[str, Remote]:
        """The workers that have the case ready, with the results that are expected."""
        arrays = {**case.inputs(), **(case.parameters() if case.parameters else {})}
        ready = {}
        for remote in self.remotes:
            try:
                check_equal(case, remote.prepare(case.peer or {}, arrays, threads), expected, (remote.title, "PyTorch"))
                ready[remote.title] = remote
            except (CannotRun, Different) as error:
                self.notes.append(f"{case.name}, {threads} thr.: {error}")
        return ready


def prepared(case: Case, threads: int) -> tuple[dict[str, Step], float]:
    """The case's program in each framework, and by how much their first results differ; raises Different if that is too much."""
    frameworks.reset()
    steps = {}
    for name in frameworks.MODULES:
        frameworks.set_threads(name, threads)
        steps[name] = case.build(frameworks.load(name), case.inputs())
    return steps, check_equal(case, steps["minivision"](), steps["PyTorch"]())


def timed_row(
    case: Case, threads: int, ours: Times, theirs: Times, peer: str, target: Target | None, bound: float, error: float
) -> Row:
    """`bound`: the time that the machine's limits allow."""
    middle, low, high = ratio(ours, theirs)
    return Row(
        case.name, case.title, threads, ours.median, theirs.median, middle, low, high, len(ours.seconds), peer=peer,
        **_fields(target), share=bound / ours.median, their_share=bound / theirs.median, error=error,
        extra={"seconds": ours.seconds, "their seconds": theirs.seconds},
    )  # fmt: skip


def memory_row(case: Case, threads: int) -> Row:
    """Peak memory of whole processes; `extra` has what lies beyond the memory that the import took."""
    ours, theirs = (peak.measure(case.name, name, threads) for name in frameworks.MODULES)
    whole = ours["peak"] / theirs["peak"]
    beyond = [p["peak"] - p["imported"] for p in (ours, theirs)]
    extra = {
        "imported": ours["imported"], "their imported": theirs["imported"], "ratio beyond the import": beyond[0] / beyond[1],
    }  # fmt: skip
    return Row(
        case.name, case.title, threads, ours["peak"], theirs["peak"], whole, whole, whole, 1, unit="B", **_fields(case.target),
        extra=extra,
    )  # fmt: skip


def _fields(target: Target | None) -> dict[str, Any]:
    return {} if target is None else {"goal": target.goal, "first_step": target.first_step}


def counts(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """The counts of minivision's side of the cases (`counting.py`), in a process of their own."""
    names = [case.name for case in cases if not case.memory]
    command = [sys.executable, "-m", "benchmarks.counting", *names]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"counting failed: {done.stderr.strip()[-500:]}")
    return [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]


OTHERS = tuple(PEERS)
