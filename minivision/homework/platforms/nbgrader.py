"""The source notebook of an nbgrader assignment (metadata of schema version 3).

Each task is a solution cell whose solution stands between ### BEGIN SOLUTION and ### END SOLUTION. Each check is a locked
autograder-test cell with its points: so a submission earns them one by one, and where one fails the cell shows why. A cell runs
one check, in a process of its own with a time limit, and stays below the 30 s that nbgrader gives a cell.
"""

from __future__ import annotations

from typing import Any

from minivision.homework import source
from minivision.homework.checking import Check
from minivision.homework.exercise import Exercise
from minivision.homework.platforms.cells import notebook, quoted, slug
from minivision.homework.source import Cell


def nbgrader_notebook(exercise: Exercise) -> str:
    """The source notebook, with solutions, for the course's folder source/."""
    cells: list[tuple[Cell, dict[str, Any]]] = []
    for cell in source.shown_cells(exercise.source):
        if "task" in cell.tags:
            written = Cell(cell.kind, _with_markers(cell.text), cell.tags)
            tasks = "-".join(region.task for region in source.regions(cell, exercise.name))
            cells.append((written, _metadata(f"write-{slug(tasks)}", solution=True)))
        else:
            cells.append((cell, {}))
    cells.append((Cell("markdown", "## Checks\n\nEach cell is worth its points when it runs without an error."), {}))
    for number, check in enumerate(exercise.checks, start=1):
        cells.append((_test_cell(exercise, check), _metadata(f"check-{number}-{slug(check.title)}", points=check.points)))
    return notebook(cells, exercise)


def _with_markers(text: str) -> str:
    """The text of a task with nbgrader's markers in place of ours."""
    markers = {source.BEGIN: "### BEGIN SOLUTION", source.END: "### END SOLUTION"}
    return "\n".join(
        line.replace(line.strip(), markers[line.strip()]) if line.strip() in markers else line for line in text.splitlines()
    )


def _test_cell(exercise: Exercise, check: Check) -> Cell:
    points = "1 point" if check.points == 1 else f"{check.points} points"
    text = f"# {check.title} ({points})\nfrom minivision import homework\n\n"
    return Cell("code", f"{text}homework.require({quoted(exercise.name)}, {quoted(check.title)})", ("check",))


def _metadata(grade_id: str, solution: bool = False, points: int | None = None) -> dict[str, Any]:
    """nbgrader's metadata of a cell: a solution, or a test with points, which students cannot change."""
    entries = {
        "schema_version": 3, "grade_id": grade_id, "grade": points is not None, "solution": solution,
        "locked": not solution, "task": False, "cell_type": "code",
    }  # fmt: skip
    return {"nbgrader": entries if points is None else {**entries, "points": points}}
