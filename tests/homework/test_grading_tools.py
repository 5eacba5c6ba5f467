"""Homework in the hands of nbgrader and Otter themselves: what their students see, and the points that they give."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minivision import homework
from minivision.homework import exercise, source

MODULES = {"nbgrader": "nbgrader", "otter-grader": "otter"}
MISSING = [name for name, module in MODULES.items() if importlib.util.find_spec(module) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}: make test-grading")

NAMES = [path.stem.replace("_", "-") for path in sorted(exercise.FOLDER.glob("*.py"))]
WRONG = "the upstream forgotten"  # a mutant of relu that passes the checks of the forward, 4 points of 10
POINTS_OF_WRONG = [1, 3, 0, 0, 0]


def run(folder, *command):
    """A command of this environment's Python, which is on the PATH too: nbgrader calls alembic by name."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "JUPYTER_PLATFORM_DIRS": "1", "HOME": str(folder)}
    python = [sys.executable, "-m", *command]
    done = subprocess.run(python, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def handed_in(notebook, mutant=None):
    """A student's notebook with the tasks written: as in the solution, or in part as in a mutant."""
    loaded = homework.load("relu")
    written = {ast.parse(cell.text).body[0].name: cell.text for cell in loaded.cells(solution=True) if "task" in cell.tags}
    if mutant is not None:
        written |= {node.name: ast.unparse(node) for node in ast.parse(loaded.mutants[mutant]).body}
    content = json.loads(notebook.read_text(encoding="utf-8"))
    tasks = [cell for cell in content["cells"] if "task" in cell["metadata"].get("tags", [])]
    assert len(tasks) == 2
    for cell in tasks:
        assert "raise NotImplementedError(" in "".join(cell["source"])
        cell["source"] = written[ast.parse("".join(cell["source"])).body[0].name]
    return json.dumps(content)


def test_nbgrader(tmp_path):
    """Released, handed in right, wrong and unwritten, autograded: the points in the gradebook, the reasons in the notebook."""
    from nbgrader.api import Gradebook

    homework.build("relu", "nbgrader", tmp_path)
    run(tmp_path, "nbgrader", "generate_assignment", "relu", f"--course-dir={tmp_path}")
    released = tmp_path / "release" / "relu" / "relu.ipynb"
    assert not [line for line in source.solution_lines(homework.load("relu").source) if line in released.read_text()]
    submissions = {"right": handed_in(released), "wrong": handed_in(released, WRONG), "unwritten": released.read_text()}
    for student, text in submissions.items():
        folder = tmp_path / "submitted" / student / "relu"
        folder.mkdir(parents=True)
        (folder / "relu.ipynb").write_text(text, encoding="utf-8")
    run(tmp_path, "nbgrader", "autograde", "relu", "--create", f"--course-dir={tmp_path}")

    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as gradebook:
        found = {
            submission.student.id: [grade.auto_score for book in submission.notebooks for grade in sorted(book.grades, key=_name)]
            for submission in gradebook.assignment_submissions("relu")
        }
        most = {submission.max_score for submission in gradebook.assignment_submissions("relu")}
    assert found == {"right": [1, 3, 1, 4, 1], "wrong": POINTS_OF_WRONG, "unwritten": [0, 0, 0, 0, 0]}
    assert most == {10}
    cells = json.loads((tmp_path / "autograded" / "wrong" / "relu" / "relu.ipynb").read_text(encoding="utf-8"))["cells"]
    reasons = [output["traceback"] for cell in cells for output in cell.get("outputs", []) if output["output_type"] == "error"]
    assert len(reasons) == 3
    assert "dx is the mask alone: multiply by the upstream gradient dout" in reasons[1][0]
    assert not any("minivision/homework" in line for lines in reasons for line in lines)  # the message, not the way to it


def _name(grade):
    return grade.name


@pytest.mark.parametrize("name", NAMES)
def test_nbgrader_takes_every_exercise(name, tmp_path):
    import nbformat
    from nbgrader.nbgraderformat import MetadataValidator
    from nbgrader.preprocessors import ClearSolutions

    loaded = homework.load(name)
    (file,) = homework.build(name, "nbgrader", tmp_path).files
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    MetadataValidator().validate_nb(notebook)
    cleared, _ = ClearSolutions().preprocess(notebook, {})
    tasks = [cell.source for cell in cleared.cells if "task" in cell.metadata.get("tags", [])]
    unwritten = [source.without_solutions(cell) for cell in loaded.source.tagged("task")]
    assert len(tasks) == len(unwritten)
    for given, wanted in zip(tasks, unwritten, strict=True):
        theirs = [line for line in given.splitlines() if line.strip() != "# YOUR CODE HERE"]
        ours = [line.partition("(")[0] + "()" if "raise NotImplementedError(" in line else line for line in wanted.splitlines()]
        assert theirs == ours


def test_otter(tmp_path):
    """Assigned, and run on a right and a wrong submission."""
    homework.build("relu", "otter", tmp_path)
    folder = tmp_path / "otter" / "relu"
    run(folder, "otter", "assign", "relu.ipynb", "dist")  # runs the tests on the solution, and fails if one does
    (autograder,) = (folder / "dist" / "autograder").glob("*.zip")
    student = folder / "dist" / "student" / "relu.ipynb"
    assert not [line for line in source.solution_lines(homework.load("relu").source) if line in student.read_text()]
    assert "_Points:_ 10" in student.read_text()
    verdicts = {}
    for name, mutant in (("right", None), ("wrong", WRONG)):
        (folder / f"{name}.ipynb").write_text(handed_in(student, mutant), encoding="utf-8")
        (folder / name).mkdir()
        run(folder, "otter", "run", "--autograder", str(autograder), "--output-dir", name, f"{name}.ipynb")
        tests = json.loads((folder / name / "results.json").read_text(encoding="utf-8"))["tests"]
        (verdicts[name],) = [test for test in tests if test["name"] == "relu"]
    assert [(verdicts[name]["score"], verdicts[name]["max_score"]) for name in verdicts] == [(10, 10), (4, 10)]
    said = verdicts["wrong"]["output"]
    assert [f"relu - {i} message: {'' if p else 'not '}passed:" in said for i, p in enumerate(POINTS_OF_WRONG, 1)] == [True] * 5
    assert "dx is the mask alone: multiply by the upstream gradient dout" in said


@pytest.mark.parametrize("name", NAMES)
def test_otter_takes_every_exercise(name, tmp_path):
    """What Otter leaves of the tasks is what our own student's file has; its tests have the points of the checks."""
    import nbformat
    from otter.assign.assignment import Assignment
    from otter.assign.notebook_transformer import NotebookTransformer
    from otter.assign.solutions import strip_solutions_and_output
    from otter.assign.tests_manager import AssignmentTestsManager

    loaded = homework.load(name)
    (file,) = homework.build(name, "otter", tmp_path).files
    assignment = Assignment({"master": file, "lang": "python"})
    assignment.master, assignment.lang = file, "python"
    manager = AssignmentTestsManager(assignment)
    transformed = NotebookTransformer(assignment, manager).transform_notebook(nbformat.read(file, as_version=4))
    student = strip_solutions_and_output(assignment, transformed.transformed_nb)
    tasks = [cell.source for cell in student.cells if "task" in cell.metadata.get("tags", [])]
    assert tasks == [source.without_solutions(cell) for cell in loaded.source.tagged("task")]
    cases = manager._tests_by_question[name]
    assert [case.points for case in cases] == [check.points for check in loaded.checks]
