"""The exercises that come with minivision: finding them, starting one, hints, and checking what a student wrote."""

from __future__ import annotations

import builtins
import contextlib
import difflib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from minivision.homework import sandbox, source, submission
from minivision.homework.checking import Check, load_checks, load_mutants
from minivision.homework.result import Result
from minivision.homework.source import Cell, Source

FOLDER = Path(__file__).parent / "exercises"
REMEMBERED = ".minivision-hints.json"


@dataclass(frozen=True)
class Exercise:
    """One exercise; `source` is what was read from its file."""

    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def source(self) -> Source:
        return source.parse(self.text, self.path.stem.replace("_", "-"), self.path.name)

    @property
    def name(self) -> str:
        """As in commands: max-pooling."""
        return self.source.name

    @property
    def title(self) -> str:
        return self.source.title

    @property
    def topic(self) -> str:
        return self.source.topic

    @property
    def level(self) -> int:
        return self.source.level

    @property
    def points(self) -> int:
        return self.source.points

    @property
    def hints(self) -> tuple[str, ...]:
        return self.source.hints

    @cached_property
    def checks(self) -> builtins.list[Check]:
        return load_checks(self.source)

    @cached_property
    def mutants(self) -> dict[str, str]:
        """Wrong solutions by name, each the source of one or more functions; the checks reject every one."""
        return load_mutants(self.source)[0]

    @cached_property
    def right(self) -> dict[str, str]:
        """Right solutions in other styles, which the checks accept."""
        return load_mutants(self.source)[1]

    def cells(self, solution: bool = False) -> builtins.list[Cell]:
        return source.solution_cells(self.source) if solution else source.student_cells(self.source)

    def student(self, notebook: bool = False) -> str:
        """The text of the file that a student gets, a .py in cells or a .ipynb."""
        return self._written(self.cells(), notebook)

    def solution(self, notebook: bool = False) -> str:
        """The same with the tasks written."""
        return self._written(self.cells(solution=True), notebook)

    def _written(self, cells: builtins.list[Cell], notebook: bool) -> str:
        return (source.to_notebook if notebook else source.to_python)(cells, source.shown_header(self.source))

    def __repr__(self) -> str:
        return f"<exercise {self.name}: {self.title}, {self.points} points>"


class Listing(tuple[Exercise, ...]):
    """All exercises, by topic and level; shown as a table."""

    def topics(self) -> dict[str, builtins.list[Exercise]]:
        found: dict[str, builtins.list[Exercise]] = {}
        for exercise in self:
            found.setdefault(exercise.topic, []).append(exercise)
        return found

    def __str__(self) -> str:
        if not self:
            return "no exercises"
        width = max(len(exercise.name) for exercise in self)
        lines = []
        for topic, exercises in self.topics().items():
            lines.append(topic)
            lines += [f"  {e.name:<{width}}  level {e.level}  {e.points:>3} points  {e.title}" for e in exercises]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


class Text(str):
    """A text that a notebook shows as it is meant, with its formulas."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


def list() -> Listing:
    """All exercises, ordered by topic (the easiest first) and level."""
    found = [Exercise(path) for path in sorted(FOLDER.glob("*.py")) if path.name != "__init__.py"]
    easiest: dict[str, int] = {}
    for exercise in found:
        easiest[exercise.topic] = min(exercise.level, easiest.get(exercise.topic, exercise.level))
    return Listing(sorted(found, key=lambda e: (easiest[e.topic], e.topic, e.level, e.name)))


def load(name: str) -> Exercise:
    """The exercise of this name, "max-pooling" or "max_pooling". Raises ValueError that names the nearest ones."""
    path = FOLDER / f"{name.replace('-', '_')}.py"
    if not name.replace("-", "").replace("_", "").isalnum() or not path.is_file():
        names = [p.stem.replace("_", "-") for p in sorted(FOLDER.glob("*.py"))]
        near = difflib.get_close_matches(name.replace("_", "-"), names, 3, 0.5)
        way_out = f"did you mean {' or '.join(near)}?" if near else "`minivision homework list` shows all"
        raise ValueError(f"there is no exercise {name!r}; {way_out}")
    return Exercise(path)


def start(name: str, path: str | Path | None = None, notebook: bool = False) -> Path:
    """Write the student's file of an exercise, and return where it is.

    `path` is a file or a folder; unless given, it is NAME.py (NAME.ipynb) in the current folder. Nothing is ever overwritten:
    raises FileExistsError when the file is there.
    """
    exercise = load(name)
    suffix = ".ipynb" if notebook else ".py"
    file = Path(exercise.path.stem + suffix) if path is None else Path(path)
    if path is not None and (file.is_dir() or str(path).endswith(("/", os.sep))):
        file = file / (exercise.path.stem + suffix)
    if file.suffix != suffix:
        raise ValueError(f"{file} must end in {suffix}, as it is {'a notebook' if notebook else 'a Python file'}")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(file, "x", encoding="utf-8", newline="\n") as target:
            target.write(exercise.student(notebook))
    except FileExistsError:
        raise FileExistsError(
            f"{file} is there already and is never overwritten; to begin anew rename or remove it, or write the file elsewhere "
            f"(start {exercise.name} --path OTHER{suffix})"
        ) from None
    return file


def hint(name: str, folder: str | Path = ".") -> Text:
    """The next hint of an exercise; after the last one, all of them again.

    How many were opened is remembered in the file .minivision-hints.json of `folder`, the one where the student works.
    """
    exercise = load(name)
    opened = _opened(folder)
    number = opened.get(exercise.name, 0) + 1
    count = len(exercise.hints)
    if number > count:
        every = "\n\n".join(f"{i}. {text}" for i, text in enumerate(exercise.hints, start=1))
        return Text(f"All {count} hints of {exercise.name} are open:\n\n{every}" if count else f"{exercise.name} has no hints.")
    opened[exercise.name] = number
    with contextlib.suppress(OSError):  # where nothing can be written, the hint is shown all the same
        (Path(folder) / REMEMBERED).write_text(json.dumps(opened, indent=1) + "\n", encoding="utf-8")
    left = count - number
    more = "this was the last one" if not left else f"{left} more {'is' if left == 1 else 'are'} left"
    return Text(f"Hint {number} of {count} for {exercise.name} ({more}):\n\n{exercise.hints[number - 1]}")


def _opened(folder: str | Path) -> dict[str, int]:
    try:
        found = json.loads((Path(folder) / REMEMBERED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, int) and v >= 0} if isinstance(found, dict) else {}


def check(
    name_or_file: str | Path,
    namespace: dict[str, Any] | None = None,
    *,
    time_limit: float = sandbox.TIME_LIMIT,
    memory_limit: int | None = sandbox.MEMORY_LIMIT,
    only: str | None = None,
) -> Result:
    """Check what a student wrote.

        homework.check("relu")             # in a notebook: the functions that are defined there
        homework.check("relu.py")          # a file, or a notebook's file

    Parameters
    ----------
    name_or_file: an exercise, or a .py or .ipynb file, in whose header the exercise stands.
    namespace: where to take the functions from; the caller's global names unless given.
    time_limit: seconds for each check. memory_limit: bytes for all that the student's code allocates, None for no limit.
    only: the title of one check, which alone is run; of a namespace's functions.

    The checks run in a process of their own (see `sandbox`). From a notebook the source of the functions is taken there, with
    all that they use. Where that cannot be had, as for functions made by other functions or a random generator that they use,
    they run in the notebook's own process, with a time limit only; the result says so.

    Raises ValueError for an unknown exercise or a file of another kind, and where none of the functions is defined.
    """
    if sandbox.inside:  # the student's file calls this on its own: it is being checked already
        return Result(str(name_or_file), str(name_or_file), "", [], ["the file is being checked already"])
    if namespace is None and str(name_or_file).endswith((".py", ".ipynb")):
        return check_file(name_or_file, time_limit=time_limit, memory_limit=memory_limit)
    if namespace is None:
        namespace = sys._getframe(1).f_globals
    return _check_namespace(load(str(name_or_file)), namespace, time_limit, memory_limit, only)


def check_file(
    path: str | Path, *, time_limit: float = sandbox.TIME_LIMIT, memory_limit: int | None = sandbox.MEMORY_LIMIT
) -> Result:
    """`check` of a .py or .ipynb file."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; `minivision homework start NAME` writes one")
    handed_in = submission.read(path)
    try:
        exercise = load(handed_in.exercise or "")
    except ValueError as error:
        raise ValueError(
            f"{path}: which exercise is it? Its header names none, and {error}; add the line '# exercise: NAME' at the top"
        ) from None
    return judge(exercise, handed_in, time_limit=time_limit, memory_limit=memory_limit)


def _check_namespace(
    exercise: Exercise, namespace: dict[str, Any], time_limit: float, memory_limit: int | None, only: str | None
) -> Result:
    wanted = [name for name in exercise.source.functions if name in namespace]
    if not wanted:
        names = ", ".join(exercise.source.functions)
        raise ValueError(
            f"homework.check: {exercise.name} asks for {names}, and none of them is defined here; run the cells "
            "that define them, or name a file"
        )
    try:
        handed_in = submission.from_namespace(wanted, namespace, exercise.name)
    except submission.SourceUnavailable as error:
        results = sandbox.run_here(
            exercise.source, submission.Submission("", []), time_limit=time_limit, names=namespace, only=only
        )
        note = f"checked inside this process, without a memory limit, because {error}"
        return Result(exercise.name, exercise.title, "", results, [note])
    return judge(exercise, handed_in, time_limit=time_limit, memory_limit=memory_limit, only=only)


def judge(
    exercise: Exercise,
    handed_in: submission.Submission,
    *,
    time_limit: float = sandbox.TIME_LIMIT,
    memory_limit: int | None = sandbox.MEMORY_LIMIT,
    only: str | None = None,
) -> Result:
    """The result of the checks, or of `only` one, on code that was read; whatever exercise its header names."""
    if sys.platform == "emscripten" or not hasattr(subprocess, "Popen"):  # a browser has no processes
        results = sandbox.run_here(exercise.source, handed_in, time_limit=None, only=only)
        notes, printed = ["checked without limits"], ""
    else:
        results, notes, printed = sandbox.run(
            exercise.source, exercise.text, handed_in, time_limit=time_limit, memory_limit=memory_limit, only=only
        )
    return Result(exercise.name, exercise.title, handed_in.file, results, notes, printed)


def replaced(exercise: Exercise, replacement: str) -> submission.Submission:
    """The exercise's solution with some of its functions replaced: a mutant, or another style, as if it was handed in."""
    cells = [c for c in exercise.cells(solution=True) if c.kind == "code" and not set(c.tags) & set(submission.LEFT_OUT)]
    chunks = [
        *(submission.Chunk(f"{exercise.name}.py", cell.text) for cell in cells),
        submission.Chunk("replacement", replacement),
    ]
    return submission.Submission("", chunks, exercise.name)
