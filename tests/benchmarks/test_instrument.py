"""The benchmarks measure what they say: statistics, comparison of results, table, files, choice of cases. No time is asserted."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest

import minivision
from benchmarks import __main__ as command
from benchmarks import limits, peak, report, timing
from benchmarks.case import Case, Different, Target, Work, check_equal, chosen
from benchmarks.cases import CASES
from benchmarks.report import Row
from benchmarks.timing import Times


def row(**changes):
    known = {
        "name": "conv", "title": "a convolution", "threads": 2, "ours": 0.011, "theirs": 0.01, "ratio": 1.1, "low": 1.05,
        "high": 1.25, "rounds": 5, "goal": 0.9, "first_step": 1.3, "share": 0.5, "their_share": 0.55,
    }  # fmt: skip
    return Row(**(known | changes))


# ---- statistics ----


class Scripted:
    """A program whose turns take given times, and that notes when it had them."""

    def __init__(self, name, seconds, log):
        self.name, self.seconds, self.log = name, itertools.chain([1.0, 1.0], seconds), log

    def turn(self, calls, warm_up):
        self.log.append((self.name, calls, warm_up))
        return next(self.seconds)


def test_quartiles_are_numpys(rng):
    for size in (1, 2, 3, 4, 7, 10):
        values = rng.standard_normal(size)
        np.testing.assert_allclose(timing.quartiles(list(values)), np.quantile(values, [0.25, 0.75]), rtol=1e-12)


def test_programs_take_turns_and_ratios_are_of_rounds():
    log = []
    # the machine becomes ten times slower in the last two rounds: for both
    programs = {"a": Scripted("a", [2, 2, 2, 20, 20], log), "b": Scripted("b", [1, 1, 1, 10, 10], log)}
    times = timing.in_turns(programs, rounds=5, seconds=100)
    assert [name for name, *_ in log[4:]] == ["a", "b"] * 5
    assert times["a"].seconds == [2, 2, 2, 20, 20]
    assert timing.ratio(times["a"], times["b"]) == (2, 2, 2)


def test_few_rounds_when_time_is_over():
    def constant(log):
        return {"a": Scripted("a", itertools.repeat(1.0), log)}

    assert len(timing.in_turns(constant([]), rounds=9, seconds=0)["a"].seconds) == 3
    assert len(timing.in_turns(constant([]), rounds=9, seconds=100)["a"].seconds) == 9


def test_short_calls_are_repeated_after_a_warm_up(monkeypatch):
    monkeypatch.setattr(timing, "PAUSE", 0)
    calls = []
    program = timing.Local(lambda: calls.append(1))
    assert program.turn(4, True) > 0
    assert len(calls) == 5
    assert program.turn(3, False) > 0
    assert len(calls) == 8


# ---- the check before the timing ----


def scaled(factor):
    def build(torch, arrays):
        x = torch.from_numpy(arrays["x"]).requires_grad_()

        def step():
            x.grad = None
            y = (x * factor).sum()
            y.backward()
            return {"y": y, "grad x": x.grad}

        return step

    return Case("scaled", ("test",), "", lambda rng: {"x": rng.standard_normal(6, np.float32)}, build, lambda: Work(1, 1))


def test_equal_results_pass_and_say_how_equal():
    ours, theirs = (scaled(factor).build(minivision, scaled(1).inputs())() for factor in (2, 2 + 1e-5))
    assert 1e-6 < check_equal(scaled(2), ours, theirs) < 1e-5
    assert check_equal(scaled(2), ours, ours) == 0


def test_another_network_does_not_pass():
    ours, theirs = (scaled(factor).build(minivision, scaled(1).inputs())() for factor in (2, 2.001))
    with pytest.raises(Different, match=r"scaled: y of minivision is .* off PyTorch's"):
        check_equal(scaled(2), ours, theirs)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda results: results.pop("grad x"), "returned"),
        (lambda results: results.update({"grad x": np.zeros(5)}), "shape"),
        (lambda results: results.update({"grad x": np.full(6, np.nan)}), "not finite"),
        (lambda results: results.update({"grad x": -results["grad x"].numpy()}), "grad x"),
    ],
)
def test_what_else_does_not_pass(change, words):
    ours, theirs = (dict(scaled(2).build(minivision, scaled(1).inputs())()) for _ in range(2))
    change(ours)
    with pytest.raises(Different, match=words):
        check_equal(scaled(2), ours, theirs)


def test_a_gradient_that_is_rounding_is_measured_by_the_others():
    case = scaled(1)
    theirs = {"grad weight": np.ones(3), "grad bias": np.full(3, 1e-9)}
    assert check_equal(case, {"grad weight": np.ones(3), "grad bias": np.full(3, -1e-9)}, theirs) < 1e-5


def test_behind_kinks_single_gradients_may_differ_but_not_many():
    case = dataclasses.replace(scaled(1), kinks=True, tolerance=5e-2)
    theirs = {"grad x": np.ones(10_000)}
    few, many = np.ones(10_000), np.ones(10_000)
    few[:10] = 0
    many[:100] = 0
    assert check_equal(case, {"grad x": few}, theirs) < 5e-2
    with pytest.raises(Different):
        check_equal(case, {"grad x": many}, theirs)


# ---- table and files ----


@pytest.mark.parametrize(("ratio", "verdict"), [(0.9, "met"), (0.91, "first step"), (1.3, "first step"), (1.31, "missed")])
def test_verdicts(ratio, verdict):
    assert Target(0.9, 1.3).verdict(ratio) == verdict
    assert row(ratio=ratio).verdict == verdict


def test_a_line_of_the_table():
    assert report.line(row()).split() == [
        "conv", "2", "11", "ms", "10", "ms", "PyTorch", "1.10", "1.05..1.25", "0.9", "1.3", "first", "step", "50%", "(55%)",
    ]  # fmt: skip
    assert "MISSED" in report.line(row(ratio=2.0))
    without = report.line(row(goal=None, first_step=None, share=None, their_share=None, unit="B", ours=2.5e8, theirs=1e9))
    assert without.split() == ["conv", "2", "250", "MB", "1", "GB", "PyTorch", "1.10", "1.05..1.25"]


def test_amounts():
    assert [report.amount(v, "s") for v in (1.234, 0.0999, 2.5e-6, 0.0)] == ["1.23 s", "99.9 ms", "2.5 us", "0 ns"]
    assert [report.amount(v, "B") for v in (5, 4.2e6, 7e12)] == ["5 B", "4.2 MB", "7000 GB"]


def test_the_summary_counts_and_names_the_furthest():
    rows = [row(ratio=0.5), row(name="far", ratio=9.0), row(name="near", ratio=1.0), row(name="free", goal=None, ratio=99.0)]
    text = report.summary(rows)
    assert text.startswith("3 targets: 1 met, 1 at the first step, 1 missed")
    assert text.index("far") < text.index("near")
    assert "free" not in text
    assert report.summary([rows[-1]]) == ""


def test_time_per_pixel():
    rows = [row(name="p64", ours=1.0, theirs=1.0), row(name="p128", ours=4.4, theirs=8.0)]
    ours, theirs = report.per_pixel(rows, {"p64": 64**2, "p128": 128**2})
    assert ours.endswith("within 1.10, target 1.3: met")
    assert theirs.endswith("within 2.00")
    assert report.per_pixel(rows[:1], {"p64": 64**2}) == []


def test_json_round_trip(tmp_path):
    rows = [row(extra={"seconds": [1.0, 2.0]}), row(name="memory", unit="B", share=None)]
    run = {"machine": {"cores": 2}, "versions": {"NumPy": np.__version__}}
    path = tmp_path / "results" / "bench.json"
    report.write_json(path, run, rows)
    assert report.read_json(path) == (run, rows)
    assert json.loads(path.read_text())["rows"][0]["verdict"] == "first step"


def test_the_plot_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "bench.png"
    report.plot(path, [row(), row(name="other", goal=None, first_step=None, ratio=0.3)], "title")
    assert path.read_bytes().startswith(b"\x89PNG")


# ---- choosing cases ----


def test_names_are_unique_and_every_group_of_the_targets_is_there():
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    groups = {group for case in CASES for group in case.groups}
    assert groups >= {
        "conv3x3",
        "conv3x3-few",
        "conv-other",
        "layers",
        "train",
        "inference",
        "memory",
        "graph",
        "pixels",
        "peers",
    }


def test_choosing():
    assert [case.name for case in chosen(CASES, ["unet-small"])][:3] == [
        "unet-small-train", "unet-small-inference", "unet-small-memory",
    ]  # fmt: skip
    assert {case.name for case in chosen(CASES, ["conv3x3"])} >= {"conv3x3-64", "conv3x3-odd-512", "conv3x3-s2-64"}
    assert all("memory" in case.groups for case in chosen(CASES, ["memory"]))
    assert [case.name for case in chosen(CASES, ["relu", "c?t"])] == ["cat", "relu"]
    with pytest.raises(ValueError, match="'nothing' names no case"):
        chosen(CASES, ["relu", "nothing"])


def test_list(capsys):
    assert command.main(["--list"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n{case.name} " in text for case in CASES)
    assert command.main(["--list", "layers"]) == 0
    assert "conv3x3-64" not in capsys.readouterr().out


def test_a_name_that_is_none_stops_the_command(capsys):
    assert command.main(["no-such-case"]) == 2
    assert "no-such-case" in capsys.readouterr().err


LIGHT = [case for case in CASES if not {"networks", "memory", "pixels"} & set(case.groups)]


@pytest.mark.parametrize("case", LIGHT, ids=lambda case: case.name)
def test_every_case_has_a_need(case):
    work = case.work()
    assert work.flops > 0
    assert work.bytes >= 0


def test_the_work_of_a_convolution_counts_its_loops():
    case = next(case for case in CASES if case.name == "conv3x3-odd-128")
    n, c, k, h, w = 2, 128, 128, 61, 45
    assert case.work().flops == 3 * 2 * n * k * h * w * c * 9
    x = y = n * c * h * w
    assert case.work().bytes == 4 * (3 * x + 3 * y + 3 * k * c * 9)


# ---- limits and memory ----


def test_limits_are_of_a_machine():
    found = limits.measure(1, size=64, repeats=1)
    assert found.threads == 1
    assert found.sgemm > 0
    assert found.cache > 0
    assert found.memory > 0
    assert found.page_faults >= 0
    assert 0 < found.call < found.wake


def test_the_limit_is_the_slower_of_arithmetic_and_memory():
    bound = limits.Limits(1, sgemm=100.0, cache=50.0, memory=10.0, page_faults=0.0)
    assert bound.seconds(Work(flops=1000.0, bytes=1.0)) == 10
    assert bound.seconds(Work(flops=1.0, bytes=100.0)) == 2
    assert bound.seconds(Work(flops=1.0, bytes=1e9)) == 1e8
    bound = limits.Limits(1, sgemm=100.0, cache=50.0, memory=10.0, page_faults=0.0, call=0.5)
    assert bound.seconds(Work(flops=1.0, bytes=1.0, calls=4)) == 2


def test_peak_memory_counts_what_was_given_back():
    before = peak.resident()
    size = max(1 << 26, int(before["peak"] - before["now"]) + (1 << 26))
    np.ones(size, np.uint8)
    after = peak.resident()
    assert after["peak"] >= before["now"] + 0.9 * size
    assert after["peak"] >= after["now"]


def test_times():
    assert (Times([3.0, 1.0, 2.0]).median, Times([3.0, 1.0, 2.0]).quartiles) == (2.0, (1.5, 2.5))
