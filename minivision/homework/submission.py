"""The student's code: read from a file or a notebook, or gathered from a notebook that is running; and executed."""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import json
import linecache
import re
import sys
import textwrap
import traceback
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

LEFT_OUT = ("figure", "check")  # tags of cells that are for looking, not for checking
# What would do the exercise for the student. A reminder, not a lock: importlib knows ways round it.
NOT_ALLOWED = ("minivision", "torch", "tensorflow", "jax", "keras", "cupy", "scipy", "skimage", "cv2")
_ALWAYS = ("minivision.homework", "minivision.check")
_LARGEST_ARRAY = 10_000  # entries of an array that is carried over from a notebook
_MODULE = "student"


@dataclass(frozen=True)
class Chunk:
    """A piece of code, and the name that tracebacks give it: the file, a cell of a notebook, a function."""

    label: str
    text: str


@dataclass
class Submission:
    """What a student handed in: where it comes from, for which exercise it says to be, and its code."""

    file: str
    chunks: list[Chunk]
    exercise: str | None = None
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {"file": self.file, "chunks": [[c.label, c.text] for c in self.chunks], "exercise": self.exercise}

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Submission:
        return cls(entries["file"], [Chunk(*c) for c in entries["chunks"]], entries["exercise"])


# ---- files ----


def read(path: str | Path) -> Submission:
    """Read a student's .py or .ipynb file.

    Which exercise it is stands in the header (the metadata of a notebook); without one, the name of the file is taken for it.
    Cells with the tags figure and check are left out; the line numbers stay those of the file.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return _read_notebook(path, text)
    if path.suffix != ".py":
        raise ValueError(f"{path} is neither a Python file (.py) nor a notebook (.ipynb)")
    named = re.search(r"^# exercise:\s*(\S+)\s*$", text, re.MULTILINE)
    return Submission(str(path), [Chunk(path.name, _without_left_out(text))], named[1] if named else _named_by_file(path))


def _named_by_file(path: Path) -> str:
    return path.stem.replace("_", "-").lower()


def _without_left_out(text: str) -> str:
    lines, leave_out = [], False
    for line in text.splitlines():
        if line.startswith("# %%"):
            tags = re.search(r"\btags\s*=\s*\[(.*)\]", line)
            leave_out = bool(tags) and any(f'"{tag}"' in tags[1] for tag in LEFT_OUT) if tags else False
        lines.append("" if leave_out else line)
    return "\n".join(lines) + "\n"


def _read_notebook(path: Path, text: str) -> Submission:
    try:
        notebook = json.loads(text)
        cells = notebook["cells"]
        metadata = notebook.get("metadata", {}).get("minivision", {})
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is not a Jupyter notebook of version 4 ({type(error).__name__}: {error})") from error
    chunks = []
    for number, cell in enumerate((c for c in cells if c.get("cell_type") == "code"), start=1):
        if set(cell.get("metadata", {}).get("tags", [])) & set(LEFT_OUT):
            continue
        source = cell.get("source", "")
        code = source if isinstance(source, str) else "".join(source)
        if code.lstrip().startswith("%%"):
            continue
        # %magic and !commands belong to the notebook, not to Python
        plain = "\n".join("" if re.match(r"\s*[%!]", line) else line for line in code.splitlines())
        chunks.append(Chunk(f"{path.name}, code cell {number}", plain + "\n"))
    raw = "\n".join("".join(cell.get("source", "")) for cell in cells if cell.get("cell_type") == "raw")
    header = re.search(r"^exercise:\s*(\S+)\s*$", raw, re.MULTILINE)  # where jupytext puts the header of a .py
    return Submission(str(path), chunks, metadata.get("exercise") or (header[1] if header else _named_by_file(path)))


# ---- a notebook that is running ----


class SourceUnavailable(Exception):
    """Something that the student's functions use cannot be written down again."""


def from_namespace(names: Sequence[str], namespace: dict[str, Any], exercise: str) -> Submission:
    """The source of functions that live in a notebook, and of everything in the notebook that they use.

    So they can be run in a process of their own, and hidden state, such as a deleted cell, does not count. Imports are repeated,
    functions and classes are taken as source, plain values and small arrays by value. Raises SourceUnavailable, with the name,
    for anything else: an open file, a random generator.
    """
    chunks: list[Chunk] = []
    seen: set[str] = set()

    def gather(name: str) -> None:
        if name in seen or name not in namespace:
            return
        seen.add(name)
        value = namespace[name]
        if _is_own(value, namespace):
            text = _source_of(name, value)
            for used in _globals_of(text):
                gather(used)
            chunks.append(Chunk(name, text))
            if value.__name__ != name:
                chunks.append(Chunk(name, f"{name} = {value.__name__}"))
        else:
            chunks.append(Chunk(name, _written_down(name, value)))

    for name in names:
        gather(name)
    return Submission("", chunks, exercise)


def _is_own(value: Any, namespace: dict[str, Any]) -> bool:
    """Whether a function or class was written in this notebook, and not imported."""
    if isinstance(value, types.FunctionType):
        return value.__globals__ is namespace
    return isinstance(value, type) and value.__module__ == namespace.get("__name__", "__main__")


def _source_of(name: str, value: Any) -> str:
    try:
        text = _class_source(value) if isinstance(value, type) else textwrap.dedent(inspect.getsource(value))
        defined = ast.parse(text).body[0]
    except (OSError, TypeError, StopIteration, SyntaxError, IndexError) as error:
        raise SourceUnavailable(f"the source of {name} is not there") from error
    # code that was executed from a string has no lines of its own; inspect may then find those of the program
    if isinstance(value, types.FunctionType) and value.__name__ not in ("<lambda>", getattr(defined, "name", None)):
        raise SourceUnavailable(f"the source of {name} is not there")
    return text + "\n"


def _class_source(cls: type) -> str:
    """The source of a class of a notebook, which has no file to be looked up in; its methods remember their cell."""
    code = next(member.__code__ for member in vars(cls).values() if isinstance(member, types.FunctionType))
    lines = linecache.getlines(code.co_filename)
    nodes = [node for node in ast.parse("".join(lines)).body if isinstance(node, ast.ClassDef) and node.name == cls.__name__]
    node = next(n for n in nodes if n.lineno <= code.co_firstlineno <= (n.end_lineno or 0))
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return "".join(lines[first - 1 : node.end_lineno])


def _globals_of(text: str) -> Iterator[str]:
    """The global names that a piece of code reads, on its top level and in its functions."""
    codes = [compile(text, "source", "exec")]
    while codes:
        code = codes.pop()
        yield from (i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]


def _written_down(name: str, value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return f"import {value.__name__} as {name}" if "." in value.__name__ or value.__name__ != name else f"import {name}"
    if type(value) is np.ndarray and value.size <= _LARGEST_ARRAY and value.dtype.kind in "biufc":
        values = repr(value.ravel().tolist()).replace("inf", "float('inf')").replace("nan", "float('nan')")
        return f"import numpy\n{name} = numpy.array({values}, dtype='{value.dtype.str}').reshape({value.shape})"
    if type(value) is float:
        return f"{name} = float('{value!r}')"  # infinities and NaN too
    try:
        if ast.literal_eval(repr(value)) == value:
            return f"{name} = {value!r}"
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    module, own_name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if module and own_name and getattr(sys.modules.get(module), own_name, None) is value and module != "__main__":
        return f"from {module} import {own_name} as {name}"
    raise SourceUnavailable(f"{name} is a {type(value).__name__}, which cannot be written down again")


# ---- running it ----


@dataclass
class Loaded:
    """The names that a student's code defined, and the error that stopped it, if one did."""

    names: dict[str, Any]
    chunks: list[Chunk]
    error: BaseException | None = None
    message: str = ""

    def traceback(self, error: BaseException) -> str:
        """The exception in one line, and the student's own lines that led to it."""
        return describe(error, self.chunks)


def execute(submission: Submission, allowed: Sequence[str] = ()) -> Loaded:
    """Run the student's code in a new module. What it defined before an error counts."""
    module = types.ModuleType(_MODULE)
    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import_unless_forbidden(submission, allowed)}
    sys.modules[_MODULE] = module  # where dataclasses look for it
    loaded = Loaded(vars(module), submission.chunks)
    for chunk in submission.chunks:
        try:
            exec(compile(chunk.text, chunk.label, "exec", dont_inherit=True), loaded.names)
        except BaseException as error:
            loaded.error, loaded.message = error, loaded.traceback(error)
            break
    return loaded


def _import_unless_forbidden(submission: Submission, allowed: Sequence[str]) -> Any:
    real, forbidden = builtins.__import__, set(NOT_ALLOWED) - set(allowed)

    def import_(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if level == 0 and name.split(".")[0] in forbidden:
            wanted = [f"{name}.{part}" for part in fromlist or ()] if name == "minivision" else [name]
            if not wanted or not all(w.startswith(_ALWAYS) for w in wanted):
                raise ImportError(f"this exercise is to be written with NumPy, so {name} cannot be imported here")
        return real(name, globals, locals, fromlist, level)

    return import_


def describe(error: BaseException, chunks: Sequence[Chunk]) -> str:
    """`TypeError: ...`, then the frames that lie in the student's code, each with its line."""
    text = {chunk.label: chunk.text.splitlines() for chunk in chunks}
    said = " ".join(f"{error}".split())
    lines = [f"{type(error).__name__}: {said}" if said else type(error).__name__]
    if isinstance(error, SyntaxError) and error.filename in text:
        lines[0] = f"{type(error).__name__}: {error.msg}"
        lines.append(f"  {error.filename}, line {error.lineno}: {(error.text or '').strip()}")
    own = [(name, at, function) for name, at, function in _frames(error) if name in text]
    left_out = len(own) - 6
    for number, (name, at, function) in enumerate(own):
        if left_out > 0 and 3 <= number < 3 + left_out:  # a deep recursion
            lines += [f"  ... {left_out} more"] if number == 3 else []
            continue
        source = text[name][at - 1].strip() if 0 < at <= len(text[name]) else ""
        lines.append(f"  {name}, line {at}{'' if function in ('<module>', name) else f', in {function}'}: {source}")
    return "\n".join(lines)


def passed_through(error: BaseException, chunks: Sequence[Chunk]) -> bool:
    """Whether an exception came out of the student's code."""
    labels = {chunk.label for chunk in chunks}
    return any(name in labels for name, _, _ in _frames(error))


def _frames(error: BaseException) -> Iterator[tuple[str, int, str]]:
    """(file, line, function) of each call on the way to the exception, outermost first."""
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield frame.f_code.co_filename, line, frame.f_code.co_name
