"""`profile`: which operation takes how much time and memory.

While a profile runs, every call of an operation and every backward of one is timed. The time is the operation's own: what it
spends in other operations that it calls counts for those. When no profile runs, nothing is measured, and nothing is slower.
"""

from __future__ import annotations

import html
import math
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.autograd.function import kept_arrays, share_memory
from minivision.backend import Array, cupy, is_array

OUTSIDE = "(between operations)"


@dataclass
class Row:
    """What the calls of one operation took together. Times are in seconds.

    name: the operation's, as in `grad_fn` and in error messages. shapes: those of its inputs, where rows are told apart by them.
    made: bytes of the outputs, but for those that look at the memory of an input. kept: bytes that stay for backward, each array
    once per call, but for those of leaves (parameters, data), which are there anyway.
    """

    name: str
    shapes: str = ""
    forward_calls: int = 0
    forward_time: float = 0.0
    backward_calls: int = 0
    backward_time: float = 0.0
    made: int = 0
    kept: int = 0

    @property
    def time(self) -> float:
        """Of forward and backward together."""
        return self.forward_time + self.backward_time

    def add(self, other: Row) -> None:
        self.forward_calls += other.forward_calls
        self.forward_time += other.forward_time
        self.backward_calls += other.backward_calls
        self.backward_time += other.backward_time
        self.made += other.made
        self.kept += other.kept


class profile:
    """Measure the operations that run in the block, and show a table of them.

        with minivision.profile() as p:
            loss = F.cross_entropy(model(x), y)
            loss.backward()
        print(p)                   # or p as the last line of a notebook's cell
        print(p.table(by="shape", sort="kept", limit=10))

    A profile sees the operations of the thread that entered it. Profiles may be nested: each sees all that happens inside. One
    may be entered again, and adds to what it has. Time that passes outside of all operations (Python, the walk of backward, the
    optimizer) stands in a line of its own. On the GPU each operation is waited for, so that its time is its own.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._rows: dict[tuple[str, str], Row] = {}
        self._entered: list[tuple[float, Token[Any]]] = []

    def __enter__(self) -> profile:
        if self._entered:
            raise RuntimeError("profile: this one is running already; make another with minivision.profile()")
        _switch_on()
        self._entered.append((time.perf_counter(), _running.set((*_running.get(), self))))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        began, token = self._entered.pop()
        _running.reset(token)
        self.total += time.perf_counter() - began
        _switch_off()

    def rows(self, by: str = "name", sort: str = "time") -> list[Row]:
        """One row per operation, or, with `by="shape"`, per operation and shapes of its inputs; the largest first.

        `sort` is "time", "forward_time", "backward_time", "forward_calls", "backward_calls", "made", "kept" or "name".
        """
        _check("by", by, ("name", "shape"))
        _check("sort", sort, SORTED_BY)
        rows: dict[tuple[str, str], Row] = {}
        for (name, shapes), row in self._rows.items():
            key = (name, shapes if by == "shape" else "")
            rows.setdefault(key, Row(*key)).add(row)
        if sort == "name":
            return sorted(rows.values(), key=lambda row: (row.name, row.shapes))
        return sorted(rows.values(), key=lambda row: (-getattr(row, sort), row.name, row.shapes))

    def sum(self) -> Row:
        """All operations together."""
        result = Row("total")
        for row in self._rows.values():
            result.add(row)
        return result

    def table(self, by: str = "name", sort: str = "time", limit: int | None = None) -> str:
        """The rows as text, `limit` of them at most, and the totals."""
        heads, lines = self._cells(by, sort, limit)
        columns = list(zip(heads, *lines, strict=True))
        widths = [max(map(len, column)) for column in columns]
        is_text = [head in ("operation", "shapes") for head in heads]

        def line(cells: list[str]) -> str:
            padded = (c.ljust(w) if t else c.rjust(w) for c, w, t in zip(cells, widths, is_text, strict=True))
            return "  ".join(padded).rstrip()

        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([line(heads), rule, *map(line, lines[:-2]), rule, *map(line, lines[-2:])])

    def _cells(self, by: str, sort: str, limit: int | None) -> tuple[list[str], list[list[str]]]:
        """The table as text in cells; the last two lines are what passed between operations, and the totals."""
        rows, together = self.rows(by, sort), self.sum()
        whole = max(self.total, together.time) or 1.0
        heads = ["operation", "shapes", "calls", "forward", "calls", "backward", "time", "share", "outputs", "kept"]

        def cells(row: Row) -> list[str]:
            return [
                row.name, row.shapes, str(row.forward_calls), _seconds(row.forward_time), str(row.backward_calls),
                _seconds(row.backward_time), _seconds(row.time), f"{row.time / whole:.1%}", _bytes(row.made), _bytes(row.kept),
            ]  # fmt: skip

        lines = [cells(row) for row in rows[:limit]]
        if limit is not None and len(rows) > limit:
            rest = Row(f"({len(rows) - limit} more)")
            for row in rows[limit:]:
                rest.add(row)
            lines.append(cells(rest))
        outside = max(self.total - together.time, 0.0)
        lines.append([OUTSIDE, *[""] * 5, _seconds(outside), f"{outside / whole:.1%}", "", ""])
        lines.append([*cells(together)[:6], _seconds(whole if self.total else 0.0), "100.0%", *cells(together)[8:]])
        if by == "name":
            heads, *lines = [[*line[:1], *line[2:]] for line in (heads, *lines)]
        return heads, lines

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<profile of {self.sum().forward_calls} calls in {_seconds(self.total)}>"

    def _repr_html_(self) -> str:
        heads, lines = self._cells("name", "time", None)
        left = ' style="text-align: left"'

        def row(tag: str, cells: list[str]) -> str:
            return "<tr>" + "".join(f"<{tag}{'' if i else left}>{html.escape(c)}</{tag}>" for i, c in enumerate(cells)) + "</tr>"

        body = "".join(row("td", line) for line in lines[:-1])
        return f"<table><thead>{row('th', heads)}</thead><tbody>{body}</tbody><tfoot>{row('th', lines[-1])}</tfoot></table>"

    def _take(self, row: Row) -> None:
        self._rows.setdefault((row.name, row.shapes), Row(row.name, row.shapes)).add(row)


SORTED_BY = ("time", "forward_time", "backward_time", "forward_calls", "backward_calls", "made", "kept", "name")


def _check(name: str, value: Any, legal: tuple[str, ...]) -> None:
    if value not in legal:
        raise ValueError(f"profile: {name}={value!r} is unknown; use one of {', '.join(map(repr, legal))}")


def _seconds(seconds: float) -> str:
    """A time with three digits, in the unit that suits it."""
    unit, size = next(((u, s) for u, s in (("s", 1.0), ("ms", 1e-3)) if seconds >= s), ("us", 1e-6))
    value = seconds / size
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1 << 30), ("MB", 1 << 20), ("KB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"


# ---- the measuring: these stand in the places of two methods of Function while a profile runs ----

_running: ContextVar[tuple[profile, ...]] = ContextVar("minivision_profiles", default=())
_inner: ContextVar[list[float]] = ContextVar("minivision_profiled_inside")  # [time spent in the operations called so far]
_plain_call: Callable[..., Any] = Function.__call__
_plain_backward: Callable[..., Any] = Function._run_backward
_lock = threading.Lock()
_users = 0


def _switch_on() -> None:
    global _users
    with _lock:
        _users += 1
        Function.__call__ = _measured_call  # type: ignore[assignment, method-assign]
        Function._run_backward = _measured_backward  # type: ignore[assignment, method-assign]


def _switch_off() -> None:
    global _users
    with _lock:
        _users -= 1
        if not _users:
            Function.__call__ = _plain_call  # type: ignore[method-assign]
            Function._run_backward = _plain_backward  # type: ignore[method-assign]


def _measured_call(node: Function, *inputs: Any) -> Any:
    profiles = _running.get()
    if not profiles:  # of another thread
        return _plain_call(node, *inputs)
    result, seconds = _timed(_plain_call, node, *inputs)
    outputs = [y.array for y in (result if isinstance(result, tuple) else (result,))]
    arrays = [x.array if isinstance(x, Tensor) else x for x in inputs]
    leaves = [x.array for x in inputs if isinstance(x, Tensor) and x.grad_fn is None]
    row = Row(node.name, _shown([a.shape if is_array(a) else None for a in arrays]), 1, seconds)
    row.made = sum(_size(y) for y in outputs if not _looks_at(y, arrays))
    if node.edges is not None:
        row.kept = sum(_size(a) for a in _distinct(kept_arrays(node)) if not _looks_at(a, leaves))
    for p in profiles:
        p._take(row)
    return result


def _measured_backward(node: Function, *args: Any) -> Any:
    profiles = _running.get()
    if not profiles:
        return _plain_backward(node, *args)
    shapes = _shown([spec and spec[0] for spec in node._inputs])
    results, seconds = _timed(_plain_backward, node, *args)
    for p in profiles:
        p._take(Row(node.name, shapes, backward_calls=1, backward_time=seconds))
    return results


def _shown(shapes: list[Any]) -> str:
    return " ".join("number" if shape is None else str(shape) for shape in shapes)


def _looks_at(array: Array, others: list[Any]) -> bool:
    """Whether the array lies in the memory of one of the others."""
    return any(type(array) is type(other) and share_memory(array, other) for other in others)


def _distinct(arrays: list[Array]) -> list[Array]:
    """The arrays without those that look at the memory of a larger one among them."""
    found: list[Array] = []
    for array in sorted(arrays, key=_size, reverse=True):
        if not _looks_at(array, found):
            found.append(array)
    return found


def _size(array: Array) -> int:
    """Bytes of memory; an axis along which values are repeated (its step is 0) takes none."""
    return array.itemsize * math.prod(n for n, step in zip(array.shape, array.strides, strict=True) if step or n == 0)


def _timed(run: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """What `run` returns, and how many seconds it took, less those of the operations that it called."""
    inside = [0.0]
    token = _inner.set(inside)
    began = time.perf_counter()
    try:
        result = run(*args)
        _wait_for_gpu()
    finally:
        whole = time.perf_counter() - began
        _inner.reset(token)
        around = _inner.get(None)
        if around is not None:
            around[0] += whole
    return result, whole - inside[0]


def _wait_for_gpu() -> None:
    module = cupy()
    if module is not None:
        module.cuda.Device().synchronize()
