"""The source notebook of an Otter assignment, for `otter assign` (Otter-Grader 6 and 7).

The exercise is one question: its tasks stand in the solution block, its checks in the tests block, as exception-based tests with
their points. Otter knows no time limit for a test; `homework.require` has its own.
"""

from __future__ import annotations

from minivision.homework import source
from minivision.homework.checking import Check
from minivision.homework.exercise import Exercise
from minivision.homework.platforms.cells import notebook, quoted, slug
from minivision.homework.source import Cell


def otter_notebook(exercise: Exercise) -> str:
    """The notebook from which `otter assign` makes the student's notebook and the autograder."""
    shown = source.shown_cells(exercise.source)
    tasks = [i for i, cell in enumerate(shown) if "task" in cell.tags]
    question = f"# BEGIN QUESTION\nname: {exercise.name}\npoints: {exercise.points}"
    cells = [_raw(_assignment(exercise)), _raw(question)]
    for cell in shown[: tasks[-1] + 1]:
        # each task has its own block: text inside one counts as solution, and students would not see it
        task = "task" in cell.tags
        cells += [_raw("# BEGIN SOLUTION"), _written(cell, exercise.name), _raw("# END SOLUTION")] if task else [cell]
    cells += [_raw("# BEGIN TESTS")]
    cells += [_test_cell(exercise, check, number) for number, check in enumerate(exercise.checks, start=1)]
    cells += [_raw("# END TESTS"), _raw("# END QUESTION"), *shown[tasks[-1] + 1 :]]
    return notebook([(cell, {}) for cell in cells], exercise)


def _raw(text: str) -> Cell:
    return Cell("raw", text)


def _assignment(exercise: Exercise) -> str:
    """The assignment's settings: no PDF, which would need LaTeX; exceptions as tests, so that students see the messages."""
    return f"""\
# ASSIGNMENT CONFIG
name: {exercise.name}
export_cell:
  pdf: false
requirements:
  - minivision[train]
show_question_points: true
tests:
  ok_format: false"""


def _written(cell: Cell, name: str) -> Cell:
    """A task with its solutions, and what Otter puts in their place for the student."""
    lines = cell.text.splitlines()
    for region in reversed(source.regions(cell, name)):
        indent = region.indent
        lines[region.begin] = f"{indent}# BEGIN SOLUTION NO PROMPT"
        lines[region.end : region.end + 1] = [
            f"{indent}# END SOLUTION",
            f'{indent}""" # BEGIN PROMPT',
            f'{indent}raise NotImplementedError("Task: write {region.task}")',
            f'{indent}"""; # END PROMPT',
        ]
    return Cell(cell.kind, "\n".join(lines), cell.tags)


def _test_cell(exercise: Exercise, check: Check, number: int) -> Cell:
    """A test case: a function of the environment that raises. Otter takes its messages as they are, quotes must not occur."""
    title = check.title.replace("\\", "/").replace('"', "'")
    text = f'''\
""" # BEGIN TEST CONFIG
points: {check.points}
success_message: {quoted(f"passed: {title}")}
failure_message: {quoted(f"not passed: {title}")}
""" # END TEST CONFIG
def test_{number}_{slug(title).replace("-", "_")}(env):
    from minivision import homework
    homework.require({quoted(exercise.name)}, {quoted(check.title)}, env)'''
    return Cell("code", text, ("check",))
