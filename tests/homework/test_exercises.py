"""Every exercise: its versions are well made, its solution and other right styles pass, the checks reject every known mistake."""

from __future__ import annotations

import ast
import json
import re

import pytest

from minivision import homework
from minivision.homework import exercise, sandbox, source, submission

NAMES = [path.stem.replace("_", "-") for path in sorted(exercise.FOLDER.glob("*.py"))]
SLOW = 2.0  # seconds for a check of a vectorised solution; loops may take a little longer


def cases(kind):
    """(exercise, name of a mutant or of another right solution); an exercise that cannot be read has a test of its own."""
    found = []
    for name in NAMES:
        try:
            found += [(name, other) for other in getattr(homework.load(name), kind)]
        except Exception:
            found.append((name, "(the exercise cannot be read)"))
    return found


def run(loaded, replacement=None):
    """The results of the checks on the solution, with some functions replaced, in this process."""
    handed_in = exercise.replaced(loaded, replacement or "")
    results = sandbox.run_here(loaded.source, handed_in)
    return results, "\n".join(f"{r.status}: {r.name}: {r.message}" for r in results)


@pytest.mark.parametrize("name", NAMES)
def test_the_form(name):
    loaded = homework.load(name)
    assert loaded.name == name
    assert 1 <= loaded.level <= 3
    assert loaded.source.cells[0].kind == "markdown"
    assert loaded.source.cells[0].text.startswith(f"# {loaded.title}")
    assert sum(check.points for check in loaded.checks) == loaded.points
    assert len(loaded.hints) >= 2
    assert all(hint.strip() for hint in loaded.hints)
    assert len(loaded.mutants) >= 5
    assert len(loaded.right) >= 1


@pytest.mark.parametrize("name", NAMES)
def test_every_task_is_said_to_be_unwritten(name):
    loaded = homework.load(name)
    tree = ast.parse(loaded.student())
    raised = [
        node.exc.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and ast.unparse(node.exc.func) == "NotImplementedError"
    ]
    assert sorted(set(raised)) == sorted({f"Task: write {task}" for task in loaded.source.tasks})
    handed_in = submission.Submission("", [submission.Chunk("student", checked_part(loaded.student()))])
    for result in sandbox.run_here(loaded.source, handed_in):
        assert result.status == "not written", f"{result.name}: {result.status}: {result.message}"
        assert result.message.startswith("Task: write ")


def checked_part(text):
    return submission._without_left_out(text)


@pytest.mark.parametrize("name", NAMES)
def test_the_student_does_not_get_solution_checks_or_hints(name):
    loaded = homework.load(name)
    text = loaded.student()
    shown = {line.strip() for cell in loaded.source.cells if not cell.tags for line in cell.text.splitlines()}
    docstrings = {line.strip() for cell in loaded.source.tagged("task") for line in source.without_solutions(cell).splitlines()}
    telling = [line for line in source.solution_lines(loaded.source) if len(line) > 12 and line not in shown | docstrings]
    figures = "\n".join(cell.text for cell in loaded.source.tagged("figure"))
    lines = {line.strip() for line in text.splitlines()}
    assert [line for line in telling if line in lines and line not in figures] == []
    for word in ("BEGIN SOLUTION", "END SOLUTION", "MUTANTS", "@checked"):
        assert word not in text
    assert not any(hint.splitlines()[0] in text for hint in loaded.hints)
    assert f'homework.check("{name}")' in text


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_says_the_same(name):
    loaded = homework.load(name)
    for solution in (False, True):
        notebook = json.loads((loaded.solution if solution else loaded.student)(notebook=True))
        assert ["".join(cell["source"]) for cell in notebook["cells"]] == [cell.text for cell in loaded.cells(solution)]


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_passes(name, tmp_path):
    loaded = homework.load(name)
    file = tmp_path / f"{loaded.path.stem}.py"
    file.write_text(loaded.solution(), encoding="utf-8")
    result = homework.check(file)
    assert result.ok, str(result)
    assert result.score == result.max_score == loaded.points
    assert result.printed == ""
    assert result.notes == []
    assert max(check.seconds for check in result.checks) < SLOW, str([(c.name, c.seconds) for c in result.checks])


@pytest.mark.parametrize(("name", "style"), cases("right"))
def test_other_right_styles_pass(name, style):
    loaded = homework.load(name)
    results, said = run(loaded, loaded.right[style])
    assert all(result.passed for result in results), said


@pytest.mark.parametrize(("name", "mutant"), cases("mutants"))
def test_mutants_are_rejected(name, mutant):
    loaded = homework.load(name)
    replaced = set(re.findall(r"^(?:def|class) (\w+)", loaded.mutants[mutant], re.MULTILINE))
    assert replaced & set(loaded.source.functions), "the mutant replaces none of the functions"
    results, said = run(loaded, loaded.mutants[mutant])
    assert not all(result.passed for result in results), said
    assert all(result.message.strip() for result in results if not result.passed), said


@pytest.mark.parametrize("name", [name for name in NAMES if homework.load(name).source.tagged("figure")])
def test_the_figure_is_drawn_from_the_solution(name):
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    names = {"__name__": "figure"}
    for cell in homework.load(name).cells(solution=True):
        if cell.kind == "code" and "check" not in cell.tags:
            exec(compile(cell.text, f"{name}, line {cell.line}", "exec"), names)
    figure = plt.gcf()
    assert any(ax.has_data() or ax.texts for ax in figure.axes)
    figure.canvas.draw()  # labels with formulas that cannot be set would be errors here
    plt.close("all")
