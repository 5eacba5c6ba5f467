"""The source of an exercise: one Python file in cells, from which every version that people see is made.

    # ---
    # title: ReLU
    # topic: activation
    # level: 1
    # points: 10
    # ---

    # %% [markdown]
    # # ReLU

    # %% tags=["task"]
    def relu_forward(x):
        # BEGIN SOLUTION
        return np.maximum(x, 0), x
        # END SOLUTION

This is jupytext's percent format, of which only what exercises need is read here: a header of `key: value` lines, and cells
that begin with `# %%`, `[markdown]` if they hold text, and tags. What a cell is for stands in its tags: `task` (the student
writes it), `hint`, `figure`, `checks`, `mutants`; a cell without tags is shown as it is.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

TAGS = ("task", "hint", "figure", "checks", "mutants")
WITHHELD = ("hint", "checks", "mutants")  # tags of cells that no student sees in the file
REQUIRED = ("title", "topic", "level", "points")
BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"


class SourceError(ValueError):
    """The source of an exercise is not well formed; the message names the file and the line."""


@dataclass(frozen=True)
class Cell:
    """One cell: its text, without the comment signs if it is markdown, and the line of the file where that text begins."""

    kind: str  # "code" or "markdown"
    text: str
    tags: tuple[str, ...] = ()
    line: int = 1


@dataclass(frozen=True)
class Source:
    """A source that was read: the header's entries, and the cells in their order."""

    name: str  # as in commands: max-pooling
    header: dict[str, str]
    cells: tuple[Cell, ...]

    @property
    def title(self) -> str:
        return self.header["title"]

    @property
    def topic(self) -> str:
        return self.header["topic"]

    @property
    def level(self) -> int:
        return int(self.header["level"])

    @property
    def points(self) -> int:
        return int(self.header["points"])

    @property
    def allowed(self) -> tuple[str, ...]:
        """Libraries beside NumPy that solutions may import: the header's `allow: scipy`."""
        return tuple(re.split(r"[,\s]+", self.header["allow"])) if self.header.get("allow") else ()

    @property
    def hints(self) -> tuple[str, ...]:
        return tuple(cell.text for cell in self.tagged("hint"))

    @property
    def tasks(self) -> tuple[str, ...]:
        """What the student writes, in order: `max_pool_forward`, or `Value.backward` for a method."""
        return tuple(region.task for cell in self.tagged("task") for region in regions(cell, self.name))

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions and classes that the task cells define, which is what the checks ask for."""
        kinds = (ast.FunctionDef, ast.ClassDef)
        return tuple(node.name for cell in self.tagged("task") for node in ast.parse(cell.text).body if isinstance(node, kinds))

    def tagged(self, tag: str) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if tag in cell.tags)


# ---- reading ----

_MARKER = re.compile(r"^# %%(?P<rest>.*)$")
_TAGS = re.compile(r"\btags\s*=\s*(?P<list>\[.*\])")


def read(path: str | Path) -> Source:
    """Read a source file; its name, in kebab-case, is the exercise's."""
    path = Path(path)
    return parse(path.read_text(encoding="utf-8"), path.stem.replace("_", "-"), path.name)


def parse(text: str, name: str, file: str | None = None) -> Source:
    """Take the text of a source apart.

    Raises SourceError, with the line, for a header without an end or without one of title, topic, level and points; an unknown
    tag; code that is not Python; a solution region without an end, outside a task or outside a function; a task without one.
    """
    file = file or f"{name}.py"
    lines = text.splitlines()
    header, first = _header(lines, file)
    cells = tuple(_cells(lines, first, file))
    source = Source(name, header, cells)
    for cell in cells:
        _check_cell(cell, file)
    for tag, wanted in (("task", "something to write"), ("checks", "something to check it with")):
        if not source.tagged(tag):
            raise _error(file, len(lines), f'there is no cell with tags=["{tag}"]; an exercise needs {wanted}')
    return source


def _error(file: str, line: int, what: str) -> SourceError:
    return SourceError(f"{file}, line {line}: {what}")


def _header(lines: Sequence[str], file: str) -> tuple[dict[str, str], int]:
    """The entries between the two `# ---`, and the index of the line after the second one."""
    if not lines or lines[0].rstrip() != "# ---":
        raise _error(file, 1, "the header is missing; begin with '# ---', '# title: ...', and so on, and end it with '# ---'")
    header: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() == "# ---":
            break
        entry = re.match(r"^# (\w+):\s*(.*?)\s*$", line)
        if not entry:
            raise _error(
                file, number, f"{line!r} is no header entry, such as '# title: Max pooling'; or the closing '# ---' is missing"
            )
        header[entry[1]] = entry[2]
    else:
        raise _error(file, len(lines), "the header that begins in line 1 has no closing '# ---'")
    for key in REQUIRED:
        if not header.get(key):
            raise _error(file, number, f"the header has no entry '# {key}: ...'")
    for key in ("level", "points"):
        if not header[key].isdecimal() or int(header[key]) < 1:
            raise _error(file, 2 + list(header).index(key), f"{key}: {header[key]!r} is not a whole number of at least 1")
    return header, number


def _cells(lines: Sequence[str], first: int, file: str) -> Iterator[Cell]:
    starts = [i for i in range(first, len(lines)) if _MARKER.match(lines[i])]
    for number, line in enumerate(lines[first : starts[0] if starts else None], start=first + 1):
        if line.strip():
            raise _error(file, number, f"{line.strip()!r} stands before the first cell, which begins with '# %%'")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        marker = _MARKER.match(lines[start])
        assert marker is not None
        rest = marker["rest"].strip()
        markdown = rest.startswith("[markdown]")
        tags = _tags(rest, file, start + 1)
        body = list(lines[start + 1 : end])
        at = start + 2
        while body and not body[0].strip():
            body, at = body[1:], at + 1
        while body and not body[-1].strip():
            body.pop()
        if markdown:
            for number, line in enumerate(body, start=at):
                if line.strip() and not line.startswith("#"):
                    raise _error(file, number, f"{line!r} stands in a markdown cell, where each line begins with '# '")
            body = [line[2:] if line.startswith("# ") else line[1:] for line in body]
        yield Cell("markdown" if markdown else "code", "\n".join(body), tags, at)


def _tags(rest: str, file: str, line: int) -> tuple[str, ...]:
    found = _TAGS.search(rest)
    if not found:
        leftover = rest.removeprefix("[markdown]").strip()
        if "tags" in leftover:
            raise _error(file, line, f'{leftover!r} is not understood; tags are written tags=["task"]')
        return ()
    try:
        tags = json.loads(found["list"])
    except json.JSONDecodeError as error:
        raise _error(file, line, f'the tags {found["list"]} are not a list of strings such as ["task"]') from error
    for tag in tags:
        if tag not in TAGS:
            raise _error(file, line, f"the tag {tag!r} is unknown; there are {', '.join(TAGS)}")
    return tuple(tags)


def _check_cell(cell: Cell, file: str) -> None:
    if cell.kind == "markdown":
        if BEGIN in cell.text or "task" in cell.tags or "checks" in cell.tags or "mutants" in cell.tags:
            raise _error(
                file, cell.line, "tasks, checks, mutants and solution regions belong in code cells, but this one is [markdown]"
            )
        return
    if "hint" in cell.tags:
        raise _error(file, cell.line, "a hint is text: begin its cell with '# %% [markdown] tags=[\"hint\"]'")
    try:
        ast.parse(cell.text)
    except SyntaxError as error:
        raise _error(file, cell.line + (error.lineno or 1) - 1, f"this is not Python: {error.msg}") from error
    found = regions(cell, file)
    if "task" not in cell.tags:
        if found:
            raise _error(file, cell.line + found[0].begin, f'{BEGIN!r} outside a task; tag the cell with tags=["task"]')
    elif not found:
        raise _error(file, cell.line, f"this task has no region between {BEGIN!r} and {END!r}, so there is nothing to write")
    else:
        try:
            ast.parse(without_solutions(cell, file))
        except SyntaxError as error:
            where = cell.line + found[0].begin
            raise _error(file, where, f"without the solution the cell is not Python any more: {error.msg}") from error


# ---- solution regions ----


@dataclass(frozen=True)
class Region:
    """The lines `begin` to `end` of a cell's text, markers included, counted from 0; and what is to be written there."""

    begin: int
    end: int
    indent: str
    task: str


def regions(cell: Cell, file: str) -> list[Region]:
    """The solution regions of a cell. Raises SourceError for markers that do not pair up or that stand outside a function."""
    if cell.kind != "code" or (BEGIN not in cell.text and END not in cell.text):
        return []
    found: list[Region] = []
    begin: int | None = None
    lines = cell.text.splitlines()
    for number, line in enumerate(lines):
        if line.strip() == BEGIN:
            if begin is not None:
                raise _error(file, cell.line + number, f"a second {BEGIN!r} before the {END!r} of line {cell.line + begin}")
            begin = number
        elif line.strip() == END:
            if begin is None:
                raise _error(file, cell.line + number, f"{END!r} without a {BEGIN!r} before it")
            indent = lines[begin][: len(lines[begin]) - len(lines[begin].lstrip())]
            task = _function_around(cell.text, begin + 1)
            if task is None:
                raise _error(file, cell.line + begin, "the solution stands outside a function; a task is the body of a function")
            found.append(Region(begin, number, indent, task))
            begin = None
    if begin is not None:
        raise _error(file, cell.line + begin, f"{BEGIN!r} without an {END!r} in the same cell")
    return found


def _function_around(text: str, line: int) -> str | None:
    """The qualified name of the function that holds a line (counted from 1): the outermost one, with its class."""

    def look(body: Iterable[ast.stmt], prefix: str) -> str | None:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.lineno <= line <= (node.end_lineno or 0) + 1:
                inside = look(node.body, f"{prefix}{node.name}.") if isinstance(node, ast.ClassDef) else None
                if inside or isinstance(node, ast.FunctionDef):
                    return inside or prefix + node.name
        return None

    return look(ast.parse(text).body, "")


def without_solutions(cell: Cell, file: str = "source") -> str:
    """The text of a task with `raise NotImplementedError("Task: write ...")` in place of each solution."""
    lines = cell.text.splitlines()
    for region in reversed(regions(cell, file)):
        lines[region.begin : region.end + 1] = [f'{region.indent}raise NotImplementedError("Task: write {region.task}")']
    return "\n".join(lines)


def with_solutions(cell: Cell) -> str:
    """The text of a task with its solutions, without the markers."""
    return "\n".join(line for line in cell.text.splitlines() if line.strip() not in (BEGIN, END))


def solution_lines(source: Source) -> list[str]:
    """Every line of the solution regions, stripped; what a student's version must not hold."""
    found = []
    for cell in source.tagged("task"):
        lines = cell.text.splitlines()
        for region in regions(cell, source.name):
            found += [line.strip() for line in lines[region.begin + 1 : region.end] if line.strip()]
    return found


# ---- the versions ----


def student_cells(source: Source) -> list[Cell]:
    """What the student gets: the tasks unwritten; no hints, checks or mutants; at the end a cell that checks."""
    unwritten = [replace(c, text=without_solutions(c, source.name)) if "task" in c.tags else c for c in shown_cells(source)]
    return [*unwritten, check_cell(source.name)]


def solution_cells(source: Source) -> list[Cell]:
    """The same with the tasks written."""
    written = [replace(c, text=with_solutions(c)) if "task" in c.tags else c for c in shown_cells(source)]
    return [*written, check_cell(source.name)]


def shown_cells(source: Source) -> list[Cell]:
    """The cells that the student sees; the first figure imports what figures need."""
    shown = [cell for cell in source.cells if not set(cell.tags) & set(WITHHELD)]
    first = next((i for i, cell in enumerate(shown) if "figure" in cell.tags), None)
    if first is not None and "import matplotlib" not in "".join(cell.text for cell in shown):
        shown[first] = replace(shown[first], text=f"import matplotlib.pyplot as plt\n\n{shown[first].text}")
    return shown


def check_cell(name: str) -> Cell:
    """The last cell of the student's file. In a notebook its value is shown, as a table."""
    return Cell("code", f'from minivision import homework\n\nhomework.check("{name}")', ("check",))


def to_python(cells: Iterable[Cell], header: dict[str, str]) -> str:
    """Cells as a Python file in the percent format, with the entries of `header` on top."""
    parts = ["\n".join(["# ---", *(f"# {key}: {value}" for key, value in header.items()), "# ---"])]
    for cell in cells:
        kind = " [markdown]" if cell.kind == "markdown" else ""
        tags = f" tags={json.dumps(list(cell.tags))}" if cell.tags else ""
        text = cell.text
        if cell.kind == "markdown":
            text = "\n".join(f"# {line}".rstrip() for line in text.splitlines())
        parts.append(f"# %%{kind}{tags}\n{text}")
    return "\n\n".join(parts) + "\n"


def to_notebook(cells: Iterable[Cell], header: dict[str, str]) -> str:
    """Cells as a Jupyter notebook (nbformat 4.5), the header's entries in the metadata under "minivision"."""
    entries: list[dict[str, Any]] = []
    for number, cell in enumerate(cells):
        digest = hashlib.sha256(f"{number} {cell.text}".encode()).hexdigest()[:8]  # the same notebook each time it is made
        metadata = {"tags": list(cell.tags)} if cell.tags else {}
        entry: dict[str, Any] = {"cell_type": cell.kind, "id": digest, "metadata": metadata, "source": cell.text.splitlines(True)}
        if cell.kind == "code":
            entry |= {"execution_count": None, "outputs": []}
        entries.append(entry)
    notebook = {
        "cells": entries,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "minivision": dict(header),
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def shown_header(source: Source) -> dict[str, str]:
    """The header of the student's file: which exercise it is, first, so that `minivision homework check FILE` knows."""
    return {"exercise": source.name, **{key: source.header[key] for key in REQUIRED}}
