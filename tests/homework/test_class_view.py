"""The view of a whole class: counts and mistakes from results that are made here, broken files among them."""

from __future__ import annotations

import json

import pytest

from minivision import cli, homework
from minivision.homework import exercise, sandbox
from minivision.homework.result import CheckResult, Result


def report(folder, student, *checks, exercise="pooling"):
    """Write a student's result, of (check, status, message, diagnosis)."""
    results = []
    for name, status, message, *diagnosis in checks:
        told = {"diagnosis": [{"input": "x", "sentence": sentence} for sentence in diagnosis]} if diagnosis else None
        results.append(CheckResult(name, 2, status, message, told))
    file = folder / f"{student}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(Result(exercise, "Title", "", results).to_json(), encoding="utf-8")
    return file


def mistakes(view):
    return [(found.students, found.exercise, found.mistake, found.named) for found in view.misconceptions]


def test_counts_and_shares(tmp_path):
    report(tmp_path, "a", ("forward: f", "passed", ""), ("backward: b", "passed", ""))
    report(tmp_path, "b", ("forward: f", "passed", ""), ("backward: b", "not written", "Task: write b"))
    report(tmp_path, "group/c", ("forward: f", "failed", "out is wrong"), ("backward: b", "error", "TypeError: no"))
    report(tmp_path, "d", ("forward: f", "passed", ""), exercise="affine")
    view = homework.class_view(tmp_path)
    assert view.reports == 4
    assert [(r.exercise, r.check, r.passed, r.reports, r.not_written) for r in view.checks] == [
        ("affine", "forward: f", 1, 1, 0),
        ("pooling", "forward: f", 2, 3, 0),
        ("pooling", "backward: b", 1, 3, 1),
    ]
    assert view.checks[1].share == 2 / 3
    text = str(view)
    assert text.startswith(f"{tmp_path}: 4 results\n")
    assert "pooling   forward: f      2/3   67%" in text
    assert view.misconceptions[0].files == ["group/c.json"]
    assert json.loads(json.dumps(view.to_dict()))["checks"][0]["share"] == 1.0
    assert "<td>2/3</td><td>67%</td>" in view._repr_html_()


def test_one_mistake_is_counted_once_for_each_student(tmp_path):
    """It fails several checks; the diagnosis is believed, what else differs is taken for its consequence."""
    for number, student in enumerate("abc", start=1):
        report(
            tmp_path, student,
            ("backward: by hand", "failed", f"dx differs in {number} of 9 entries; at [1, 2] it is 3 where -1e-05 is right"),
            ("backward: the gradient", "failed", "wrong: ...", "dx is flipped", "less sure"),
            ("backward: again", "failed", "wrong: ...", "dx is flipped"),
        )  # fmt: skip
    report(tmp_path, "d", ("backward: by hand", "failed", "dx differs in all 9 entries; at [0, 0] it is nan where 1 is right"))
    report(tmp_path, "e", ("backward: by hand", "failed", "dx differs in 2 of 9 entries; at [0, 1] it is 0 where 1 is right"))
    gradient = "wrong: dx is wrong in 3 of 9 entries; at [2, 1] it says 1.5, the differences -2e-09\n    more"
    report(tmp_path, "f", ("backward: the gradient", "failed", gradient), ("forward: f", "failed", "out is of type <list>"))
    view = homework.class_view(tmp_path)
    assert mistakes(view) == [
        (3, "pooling", "dx is flipped", True),
        (2, "pooling", "dx differs (backward: by hand)", False),
        (1, "pooling", "dx is wrong (backward: the gradient)", False),
        (1, "pooling", "out is of type <list> (forward: f)", False),
    ]
    assert view.misconceptions[0].files == ["a.json", "b.json", "c.json"]
    assert "out is of type &lt;list&gt;" in view._repr_html_()


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        ("timeout", "no result within 10 s", "takes too long"),
        ("memory", "your code asks for more memory", "takes too much memory"),
        ("crashed", "the process was ended by SIGSEGV", "ends the process"),
        ("error", "ZeroDivisionError: division by zero\n  a.py, line 3", "stops with ZeroDivisionError"),
        ("error", "the check could not use what your functions returned", "the check could not use what your functions returned"),
        ("failed", "", "fails"),
    ],
)
def test_other_ends(status, message, said, tmp_path):
    report(tmp_path, "a", ("forward: f", status, message))
    assert mistakes(homework.class_view(tmp_path)) == [(1, "pooling", f"{said} (forward: f)", False)]


def test_real_results(tmp_path):
    """The named mistakes of real wrong solutions arrive as the checks name them."""
    relu = homework.load("relu")
    made = {"a": "the mask of the upstream", "b": "the mask of the upstream", "c": "no mask at all", "d": ""}
    for student, mutant in made.items():
        results = sandbox.run_here(relu.source, exercise.replaced(relu, relu.mutants.get(mutant, "")))
        (tmp_path / f"{student}.json").write_text(Result(relu.name, relu.title, "", results).to_json(), encoding="utf-8")
    view = homework.class_view(tmp_path)
    assert [row.check for row in view.checks] == [check.title for check in relu.checks]
    named = [found for found in view.misconceptions if found.named]
    assert [found.files for found in named] == [["a.json", "b.json"], ["c.json"]]
    assert "mask of dout" in named[0].mistake


def test_broken_files_are_named_and_skipped(tmp_path):
    good = report(tmp_path, "good", ("forward: f", "passed", ""))
    (tmp_path / "cut.json").write_bytes(good.read_bytes()[:50])
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\xff\x80\x81")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "list.json").write_text("[1, 2]")
    (tmp_path / "other.json").write_text('{"exercise": "relu", "checks": "none"}')
    (tmp_path / "status.json").write_text('{"exercise": "relu", "checks": [{"name": "f", "status": "splendid"}]}')
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "windows.json").write_bytes(good.read_text(encoding="utf-8").encode("utf-16"))  # PowerShell's `>`
    (tmp_path / ".hints.json").write_text("{}")  # hidden files are not meant
    (tmp_path / "notes.txt").write_text("not meant either")
    view = homework.class_view(tmp_path)
    assert view.reports == 2
    assert (view.checks[0].passed, view.checks[0].reports) == (2, 2)
    names = ["bytes", "cut", "deep", "empty", "folder", "list", "other", "status"]
    assert [file for file, _ in view.skipped] == [f"{name}.json" for name in names]
    why = dict(view.skipped)
    assert "was writing it interrupted?" in why["cut.json"]
    assert "it has no exercise with checks" in why["list.json"]
    assert "a check has no name or no status" in why["status.json"]
    assert all(f"skipped {name}.json: " in str(view) for name in names)


def test_odd_reports_inside_are_taken_as_they_are(tmp_path):
    for number, told in enumerate(("text", {"diagnosis": None}, {"diagnosis": [None]}, {"diagnosis": [{"sentence": 3}]})):
        checks = [{"name": "f", "status": "failed", "message": None, "report": told}]
        (tmp_path / f"{number}.json").write_text(json.dumps({"exercise": "e", "checks": checks}))
    assert mistakes(homework.class_view(tmp_path)) == [(4, "e", "fails (f)", False)]


def test_folders_without_results(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"class_view: .*nowhere does not exist; name the folder"):
        homework.class_view(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is no folder"):
        homework.class_view(tmp_path / "file")
    with pytest.raises(ValueError, match=r"holds no \.json file; write one for each student: minivision homework check"):
        homework.class_view(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    view = homework.class_view(tmp_path)
    assert (view.reports, view.checks, len(view.skipped)) == (0, [], 1)
    with pytest.raises(ValueError, match="holds no result, so there is nothing to draw"):
        view.plot()


def test_the_plot(tmp_path):
    pytest.importorskip("matplotlib")
    for i in range(3):
        report(tmp_path, f"a{i}", ("forward: f", "passed", ""), ("backward: b", "failed", "", f"mistake {i // 2}"))
    report(tmp_path, "b", ("forward: f", "failed", "out is wrong"), ("backward: b", "passed", ""))
    view = homework.class_view(tmp_path)
    figure = view.plot()
    checks, found = figure.axes
    assert [bar.get_width() for bar in checks.patches] == [75, 25]
    assert [label.get_text() for label in checks.get_yticklabels()] == ["forward: f", "backward: b"]
    assert [text.get_text() for text in checks.texts] == ["3 of 4", "1 of 4"]
    assert [bar.get_width() for bar in found.patches] == [2, 1, 1]
    assert [label.get_text() for label in found.get_yticklabels()] == ["mistake 0", "mistake 1", "out is wrong (forward: f)"]
    colours = [bar.get_facecolor() for bar in found.patches]
    assert colours[0] == colours[1] != colours[2]  # named, and not
    assert [len(ax.patches) for ax in view.plot(most=1).axes] == [2, 1]
    report(tmp_path, "c", ("forward: f", "passed", ""), exercise="affine")
    assert homework.class_view(tmp_path).plot().axes[0].get_yticklabels()[0].get_text() == "affine: forward: f"


def test_a_plot_without_mistakes(tmp_path):
    pytest.importorskip("matplotlib")
    report(tmp_path, "a", ("forward: f", "passed", ""))
    (axes,) = homework.class_view(tmp_path).plot().axes
    assert [bar.get_width() for bar in axes.patches] == [100]


def test_the_command(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    results = tmp_path / "results"
    report(results, "a", ("forward: f", "failed", "out is wrong"))
    (results / "b.json").write_text("{")
    assert cli.main(["homework", "class", str(results), "--plot", str(tmp_path / "class.png")]) == 0
    said = capsys.readouterr().out
    assert "0/1" in said
    assert "skipped b.json: not JSON" in said
    assert said.endswith(f"wrote {tmp_path / 'class.png'}\n")
    assert (tmp_path / "class.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main(["homework", "class", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err
