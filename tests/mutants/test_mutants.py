"""The checker on what students hand in: it rejects every mistake, names most of them, and accepts every right way.

To see what it says of one: `pytest tests/mutants -k "overwritten" -s`.
"""

from __future__ import annotations

import time

import pytest

from minivision import check
from tests.mutants.exercise import Solution
from tests.mutants.suite import AT_KINKS, EXERCISES, MODULES, RIGHT, WRONG

SECONDS = 2.0  # of this process: the clock on the wall would count other programs too


def examine(s: Solution) -> check.GradientReport:
    began = time.process_time()
    report = check.backward(s.forward, s.backward, *s.inputs, wrt=s.wrt)
    seconds = time.process_time() - began
    print(f"\n{s}: {report}")
    assert seconds < SECONDS, f"{s}: {seconds:.1f} s"
    return report


def is_named(report: check.GradientReport, words: tuple[str, ...]) -> bool:
    """Whether the sentences hold each of the words, or one of its alternatives."""
    said = " ".join([sentence for _, sentence in report.diagnosis] + [b.sentence for b in report.broken]).lower()
    return all(any(choice.lower() in said for choice in word.split("|")) for word in words)


@pytest.mark.parametrize("solution", RIGHT, ids=str)
def test_right_solutions_are_accepted(solution):
    report = examine(solution)
    assert report.verdict == "right"
    assert report.diagnosis == []


@pytest.mark.parametrize("solution", AT_KINKS, ids=str)
def test_kinks_make_no_right_solution_wrong(solution):
    assert examine(solution).verdict in ("right", "inconclusive")


NAMED: dict[str, bool] = {}


@pytest.mark.parametrize("solution", WRONG, ids=str)
def test_wrong_solutions_are_rejected(solution):
    report = examine(solution)
    assert report.verdict == "wrong"
    if solution.words:
        NAMED[str(solution)] = is_named(report, solution.words)


def test_the_mistakes_are_named():
    """Of those just checked, if they were many: with -k or in parallel workers it is their share alone."""
    if len(NAMED) < 50:
        NAMED.update({str(s): is_named(examine(s), s.words) for s in WRONG[::6] if s.words})
    unnamed = [name for name, is_it in NAMED.items() if not is_it]
    assert len(unnamed) <= 0.05 * len(NAMED), f"{len(unnamed)} of {len(NAMED)} unnamed: {unnamed}"


def test_every_exercise_has_mistakes_and_right_ways():
    by_operation = {e.operation: (len(e.right), len(e.wrong)) for e in EXERCISES}
    assert all(right >= 1 and wrong >= 2 for right, wrong in by_operation.values()), by_operation
    assert all(sum(len(e.wrong) for e in module.EXERCISES) >= 20 for module in MODULES)
    assert len(WRONG) > 500
    assert len({str(s) for s in WRONG}) == len(WRONG)
