"""Running the checks of an exercise on a student's functions, in this process; `sandbox` does it in another one.

A check is a function of the student's functions. It passes when it returns None or a report that is ok, and fails when it raises
AssertionError or returns a report that is not.

The student's code shares the process with the checks, so some care is taken that it cannot decide about itself by accident, or by
a simple trick. The checks and all they need are loaded before the student's code. Arguments are copied, and put back where a
function changed them, so that the right result is computed from what was passed. Results are taken as plain arrays (`expect`).
After each check, NumPy, this package and Python's builtins are compared with how they were before; what was replaced is put back,
and the check counts as failed. None of this is a lock: code that runs in the process can find the checks in memory.
"""

from __future__ import annotations

import builtins
import functools
import gc
import math
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minivision.check import AdjointReport, GradientReport
from minivision.homework.result import CheckResult
from minivision.homework.source import Source, SourceError
from minivision.homework.submission import Loaded, passed_through

# ---- checks ----


@dataclass(frozen=True)
class Check:
    """One check of an exercise: what it is about, in words, its points, and the function of the student's functions."""

    title: str
    points: int
    function: Callable[[Any], Any]


def checked(title: str, points: int) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Make a function of `student` a check, worth some points. The title says what is looked at: "backward: the gradient"."""
    if not isinstance(title, str) or not title:
        raise TypeError(f'checked: title={title!r} must be a text such as "forward: the definition"')
    if type(points) is not int or points < 1:
        raise ValueError(f"checked: points={points!r} must be a whole number of at least 1")

    def mark(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        function.check = Check(title, points, function)  # type: ignore[attr-defined]
        return function

    return mark


def load_checks(source: Source) -> list[Check]:
    """The checks of an exercise, in their order.

    Raises SourceError if there are none, if two have one title, or if their points do not add up to those of the header.
    """
    names = _run_cells(source, ("checks",))
    checks = [value.check for value in names.values() if isinstance(getattr(value, "check", None), Check)]
    titles = [check.title for check in checks]
    if not checks:
        raise SourceError(f"{source.name}: no function of the checks is decorated with @checked(title, points=...)")
    if len(set(titles)) != len(titles):
        raise SourceError(f"{source.name}: two checks have the same title, {next(t for t in titles if titles.count(t) > 1)!r}")
    total = sum(check.points for check in checks)
    if total != source.points:
        raise SourceError(f"{source.name}: the checks have {total} points together, but the header says points: {source.points}")
    return checks


def load_mutants(source: Source) -> tuple[dict[str, str], dict[str, str]]:
    """(wrong solutions, other right solutions) by name, as source that replaces some of the functions."""
    names = _run_cells(source, ("mutants",))
    return dict(names.get("MUTANTS", {})), dict(names.get("RIGHT", {}))


def _run_cells(source: Source, tags: Iterable[str]) -> dict[str, Any]:
    """What the cells with these tags define; the cells without tags, which hold the imports, run before them."""
    names: dict[str, Any] = {"__name__": f"checks of {source.name}"}
    wanted = set(tags)
    for cell in source.cells:
        if cell.kind == "code" and (not cell.tags or wanted & set(cell.tags)):
            placed = "\n" * (cell.line - 1) + cell.text  # so that line numbers are those of the file
            exec(compile(placed, f"<checks of {source.name}>", "exec", dont_inherit=True), names)
    return names


# ---- the student's functions ----


class NotDefined(NotImplementedError):
    """The student's code does not define a function that a check asks for."""


@dataclass
class Watch:
    """What happened in the student's functions during one check."""

    last: str = ""  # what the last call returned, in words
    changed: list[str] = field(default_factory=list)
    unwritten: NotImplementedError | None = None
    error: BaseException | None = None


class Student:
    """The functions and classes of a student, as attributes."""

    def __init__(self, names: dict[str, Any], watch: Watch):
        self._names, self._watch = names, watch

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            self._watch.unwritten = NotDefined(f"{name} is not defined")
            raise self._watch.unwritten
        value = self._names[name]
        return _watched(value, self._watch) if isinstance(value, types.FunctionType) else value


def _watched(function: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    """The function, noting what it returns and raises; arrays that it changes are noted and put back."""
    name = function.__name__

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        arguments: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
        arrays = [(which, a) for which, a in arguments if type(a) is np.ndarray and not a.dtype.hasobject]
        before = [a.tobytes() for _, a in arrays]
        try:
            result = function(*args, **kwargs)
        except NotImplementedError as error:
            watch.unwritten = error
            raise
        except BaseException as error:
            watch.error = error
            raise
        for (which, array), content in zip(arrays, before, strict=True):
            if array.tobytes() != content:
                watch.changed.append(f"{name} changes its argument {_parameter(function, which)} in place; work on a copy")
                result = _apart_from(array, result)
                array[...] = np.frombuffer(content, array.dtype).reshape(array.shape)
        watch.last = f"{name} returned {_in_words(result)}"
        return result

    return call


def _apart_from(array: np.ndarray, result: Any) -> Any:
    """The result, with copies of what lies in the memory of an array that is going to be put back."""
    if type(result) is tuple:
        return tuple(_apart_from(array, part) for part in result)
    if isinstance(result, np.ndarray) and np.may_share_memory(array, result):
        return result.copy()
    return result


def _parameter(function: types.FunctionType | Any, which: int | str) -> str:
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return which if isinstance(which, str) else names[which] if which < len(names) else f"number {which + 1}"


def _in_words(value: Any) -> str:
    if type(value) is np.ndarray:
        return f"an array {value.shape}"
    if type(value) is tuple:
        return f"({', '.join(_in_words(v) for v in value[:4])}{', ...' if len(value) > 4 else ''})"
    return "None" if value is None else type(value).__name__


# ---- keeping NumPy and the checks as they are ----


class Guard:
    """How some modules were: their attributes, those of their classes, and the code of their functions."""

    def __init__(self) -> None:
        own = [m for n, m in sys.modules.items() if n.startswith(("minivision.check", "minivision.homework")) and m is not None]
        also = ("numpy", "numpy.linalg", "numpy.testing", "numpy.random", "numpy.lib.stride_tricks")
        libraries = [sys.modules[name] for name in also if name in sys.modules]
        # kept as locals of this object: what the student's code may replace is not asked for again
        self._modules = [(module, dict(vars(module))) for module in [*own, *libraries, builtins, math, time, gc]]
        everything = [(m.__name__, v) for m in own for v in vars(m).values() if getattr(v, "__module__", None) == m.__name__]
        classes = {id(v): v for _, v in everything if isinstance(v, type)}
        self._classes = [(cls, dict(vars(cls))) for cls in classes.values()]
        methods = [v for _, entries in self._classes for v in entries.values()]
        functions = {id(f): f for f in [*(v for _, v in everything), *methods] if type(f) is types.FunctionType}
        self._functions = [(f, f.__code__, f.__defaults__, f.__kwdefaults__) for f in functions.values()]

    def restore(self) -> list[str]:
        """Put back what was replaced, and return the names."""
        found = []
        for module, before in self._modules:
            now = vars(module)
            for name, value in before.items():
                if now.get(name, self) is not value and name not in ("_", "__warningregistry__"):
                    found.append(f"{module.__name__}.{name}")
                    now[name] = value
        for cls, entries in self._classes:
            now_ = dict(vars(cls))
            for name in now_.keys() | entries.keys():
                if now_.get(name, self) is not entries.get(name, self) and not name.startswith(("__annot", "__abstract", "_abc")):
                    found.append(f"{cls.__module__}.{cls.__name__}.{name}")
                    if name in entries:
                        setattr(cls, name, entries[name])
                    else:
                        delattr(cls, name)
        for function, code, defaults, keywords in self._functions:
            if (function.__code__, function.__defaults__, function.__kwdefaults__) != (code, defaults, keywords):
                found.append(f"{function.__module__}.{function.__qualname__}")
                function.__code__, function.__defaults__, function.__kwdefaults__ = code, defaults, keywords
        return found


# ---- one check ----


def run_check(check: Check, loaded: Loaded, guard: Guard) -> CheckResult:
    """Run one check and judge it. Whatever the student's code raises, SystemExit included, becomes a result."""
    watch = Watch()
    began = time.perf_counter()
    status, message, report = _judge(check, loaded, watch)
    replaced = guard.restore()
    if replaced:
        names = ", ".join(replaced[:3]) + (", ..." if len(replaced) > 3 else "")
        status, message = "failed", f"your code replaces {names}; leave NumPy, Python and the checks as they are"
    return CheckResult(check.title, check.points, status, message, report, round(time.perf_counter() - began, 3))


def _judge(check: Check, loaded: Loaded, watch: Watch) -> tuple[str, str, dict[str, Any] | None]:
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            returned = check.function(Student(loaded.names, watch))
    except (Interrupted, MemoryError) as error:
        return *_ended(error, loaded), None
    except BaseException as error:
        return *_stopped(error, loaded, watch), None
    if isinstance(watch.error, (Interrupted, MemoryError)):  # and somebody caught it
        return *_ended(watch.error, loaded), None
    if watch.unwritten is not None:
        return "not written", _sentence(watch.unwritten, loaded), None
    status, message, report = _verdict(returned)
    if status == "failed" and watch.error is not None:
        message += "\n" + loaded.traceback(watch.error)
    if status == "passed" and watch.changed:
        status, message = "failed", watch.changed[0]
    return status, message, report


class Interrupted(BaseException):
    """The time limit of a check has passed; raised by whoever watches the clock."""


def _ended(error: BaseException, loaded: Loaded) -> tuple[str, str]:
    status, message = "timeout", str(error)
    if isinstance(error, MemoryError):
        said = f" ({error})" if str(error) else ""
        status, message = "memory", f"your code asks for more memory than there is{said}; is an array larger than it should be?"
    _, *where = loaded.traceback(error).split("\n")
    return status, "\n".join([message, *where])


def _verdict(returned: Any) -> tuple[str, str, dict[str, Any] | None]:
    if returned is None:
        return "passed", "", None
    if type(returned) is GradientReport:
        return "passed" if returned.ok else "failed", "" if returned.ok else str(returned), returned.to_dict()
    if type(returned) is AdjointReport:
        return "passed" if returned.ok else "failed", "" if returned.ok else str(returned), {"summary": str(returned)}
    raise TypeError(f"a check must return None or a report of minivision.check, but this one returned {type(returned).__name__}")


def _stopped(error: BaseException, loaded: Loaded, watch: Watch) -> tuple[str, str]:
    """The status and the message for an exception that ended the check."""
    if isinstance(error, NotImplementedError):
        return "not written", _sentence(error, loaded)
    if passed_through(error, loaded.chunks):
        advice = ""
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            advice = "\nexit(), quit() and sys.exit() end the program; use return"
        if isinstance(error, EOFError):
            advice = "\ninput() gets no answer here; take everything from the arguments"
        return "error", loaded.traceback(error) + advice
    if isinstance(error, AssertionError):
        return "failed", str(error) or "the check failed"
    # the check itself could not go on: mostly because a function returned something of another form
    last = f"; the last call: {watch.last}" if watch.last else ""
    return "error", f"the check could not use what your functions returned ({type(error).__name__}: {error}){last}"


def _sentence(error: NotImplementedError, loaded: Loaded) -> str:
    said = str(error) or "a function raises NotImplementedError"
    if isinstance(error, NotDefined) and loaded.error is not None:
        return f"{said}, because your code stopped before: {loaded.message}"
    return said


def run_all(checks: Iterable[Check], loaded: Loaded, guard: Guard) -> list[CheckResult]:
    """All checks, one after the other, in this process and without limits; for tests, and where there are no processes."""
    return [run_check(check, loaded, guard) for check in checks]
