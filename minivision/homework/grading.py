"""What runs where marks are given: one check in a notebook of nbgrader or Otter, all checks of a submission on Gradescope."""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from minivision.homework import exercise as exercises
from minivision.homework import submission
from minivision.homework.exercise import Exercise
from minivision.homework.result import CheckResult, Result

# ---- nbgrader and Otter ----


class NotPassed(AssertionError):
    """A check did not pass; the message says why. A notebook shows the message alone, without the way through this package."""

    def _render_traceback_(self) -> list[str]:  # asked for by IPython
        return [f"{type(self).__name__}: {self}"]


def require(name: str, title: str, namespace: dict[str, Any] | None = None) -> None:
    """Run one check of an exercise on the functions of a notebook, and raise NotPassed unless it passes.

    `title` is that of the check, `namespace` where the functions are: the caller's global names unless given. For test cells of
    graders, which give points for each check that passes, and show the message where one does not.
    """
    namespace = sys._getframe(1).f_globals if namespace is None else namespace
    result = exercises.check(name, namespace, only=title)
    for check in result.checks:
        if not check.passed:
            raise NotPassed("\n".join([f"{check.name}: {check.status}", check.message, *result.notes]))


# ---- Gradescope ----

MEMORY_LIMIT = 400 << 20  # bytes; a small container has 768 MB, and whoever takes more is ended without a word
UNFINISHED = "The autograder was ended before it had finished; hand in again, or tell your instructor."
BROKEN = "The autograder itself has failed; please tell your instructor. This says nothing about your work."


class NotHandedIn(Exception):
    """No file to be checked was found; the message, for the student, says what was."""


def gradescope(name: str, root: str | Path = "/autograder") -> None:
    """Check what lies in ROOT/submission, and write ROOT/results/results.json.

    Each check is one test with its points, and with its message as output. The file is written first as that of a run without an
    end, then once more when everything is known; it is there whatever happens. What students print goes nowhere near it.
    """
    results = Path(root) / "results" / "results.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    _write(results, {"score": 0, "output": UNFINISHED, "tests": []})
    try:
        exercise = exercises.load(name)
        try:
            code = read(handed_in(Path(root) / "submission", exercise))
            verdict = _results(exercises.judge(exercise, code, memory_limit=MEMORY_LIMIT))
        except NotHandedIn as error:
            verdict = {
                "score": 0,
                "output": str(error),
                "tests": [_not_run(check, n) for n, check in enumerate(exercise.checks, 1)],
            }
    except Exception:
        traceback.print_exc()  # instructors see it, students do not
        verdict = {"score": 0, "output": BROKEN, "tests": []}
    _write(results, verdict)


def handed_in(folder: Path, exercise: Exercise) -> Path:
    """The file of a submission that belongs to the exercise: the one whose header or name says so, or else the only one."""
    every = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _is_hidden(path.relative_to(folder))]
    files = [path for path in every if path.suffix in (".py", ".ipynb")]
    mine = [path for path in files if _exercise_of(path) == exercise.name]
    chosen = mine or files
    if len(chosen) == 1:
        return chosen[0]
    wanted = f"{exercise.path.stem}.py or {exercise.path.stem}.ipynb"
    names = ", ".join(str(path.relative_to(folder)) for path in chosen or every)
    if len(chosen) > 1:
        which = f"several files are for {exercise.name}" if mine else f"none of the files says that it is for {exercise.name}"
        raise NotHandedIn(f"Nothing was checked, because {which}: {names}. Hand in one file, {wanted}.")
    raise NotHandedIn(f"Nothing was checked: hand in {wanted}. There was {names or 'no file at all'}.")


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "__")) for part in path.parts)  # such as .ipynb_checkpoints and __MACOSX


def _exercise_of(path: Path) -> str | None:
    try:
        return read(path).exercise
    except NotHandedIn:
        return None


def read(path: Path) -> submission.Submission:
    """The code of a file; whatever is wrong with the file is the student's to know."""
    try:
        return submission.read(path)
    except Exception as error:
        raise NotHandedIn(f"Nothing was checked, because {path.name} cannot be read: {error}") from error


def _results(result: Result) -> dict[str, Any]:
    said = [*result.notes, *([f"Your code printed:\n{result.printed}"] if result.printed else [])]
    tests = [_test(check, number) for number, check in enumerate(result.checks, start=1)]
    return {"score": result.score, "output": "\n\n".join(said), "output_format": "text", "visibility": "visible", "tests": tests}


def _test(check: CheckResult, number: int) -> dict[str, Any]:
    status = "" if check.status in ("passed", "failed") else f"{check.status}: "
    return {
        "number": str(number),
        "name": check.name,
        "score": check.earned,
        "max_score": check.points,
        "status": "passed" if check.passed else "failed",
        "output": status + check.message,
        "output_format": "text",
        "visibility": "visible",
    }


def _not_run(check: Any, number: int) -> dict[str, Any]:
    return _test(CheckResult(check.title, check.points, "not run", "see above"), number)


def _write(file: Path, content: dict[str, Any]) -> None:
    """Write JSON in one step, so that there is never half a file."""
    new = file.with_name(file.name + ".new")
    new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(new, file)
