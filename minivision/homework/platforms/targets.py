"""The targets by name, and writing their files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minivision.homework.exercise import Exercise, load
from minivision.homework.platforms.gradescope import gradescope_files
from minivision.homework.platforms.nbgrader import nbgrader_notebook
from minivision.homework.platforms.otter import otter_notebook

Files = dict[str, str | bytes]  # by path, relative to the folder that the user names


def _student(exercise: Exercise) -> Files:
    stem = exercise.path.stem
    return {f"{stem}.py": exercise.student(), f"{stem}.ipynb": exercise.student(notebook=True)}


def _solution(exercise: Exercise) -> Files:
    stem = f"{exercise.path.stem}_solution"
    return {f"{stem}.py": exercise.solution(), f"{stem}.ipynb": exercise.solution(notebook=True)}


def _nbgrader(exercise: Exercise) -> Files:
    stem = exercise.path.stem
    return {f"source/{stem}/{stem}.ipynb": nbgrader_notebook(exercise)}


def _otter(exercise: Exercise) -> Files:
    stem = exercise.path.stem
    return {f"otter/{stem}/{stem}.ipynb": otter_notebook(exercise)}


def _gradescope(exercise: Exercise) -> Files:
    return {f"{exercise.path.stem}_gradescope.zip": gradescope_files(exercise)}


@dataclass(frozen=True)
class Target:
    """One form of an exercise: what makes its files, and what to do with them, {stem} being the exercise's file name."""

    files: Callable[[Exercise], Files]
    advice: str


TARGETS = {
    "student": Target(_student, "hand out one of them; check a student's file with: minivision homework check FILE"),
    "solution": Target(_solution, "the tasks are written in these; keep them from the students"),
    "nbgrader": Target(_nbgrader, "in the course's folder: nbgrader generate_assignment {stem}"),
    "otter": Target(_otter, "in that folder: otter assign {stem}.ipynb dist"),
    "gradescope": Target(_gradescope, "upload it: Configure Autograder, Zip file upload; the image needs Python 3.11 or newer"),
}


@dataclass(frozen=True)
class Built:
    """What was written, and what to do with it."""

    files: tuple[Path, ...]
    advice: str

    def __str__(self) -> str:
        return "\n".join([*(f"wrote {file}" for file in self.files), self.advice])


def build(name: str, target: str = "student", out: str | Path = "build") -> Built:
    """Write an exercise in the form that a platform takes into the folder `out`, which is made if need be.

    `target` is student, solution, nbgrader, otter or gradescope. A file that is there already with other content, perhaps edited
    by hand, is never overwritten: FileExistsError names it, and nothing is written. Raises ValueError for an unknown exercise or
    target.
    """
    if target not in TARGETS:
        raise ValueError(f"build: target {target!r} is unknown; there are {', '.join(TARGETS)}")
    exercise = load(name)
    files = {Path(out) / path: _bytes(content) for path, content in TARGETS[target].files(exercise).items()}
    for file, content in files.items():
        if file.exists() and not (file.is_file() and file.read_bytes() == content):
            raise FileExistsError(
                f"build: {file} is there already and differs from what would be written; remove it, or choose another --out"
            )
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return Built(tuple(files), TARGETS[target].advice.format(stem=exercise.path.stem))


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
