"""How a whole class did: from the results of many students, which checks fail, and which mistakes are behind it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minivision.homework.result import STATUSES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class CheckRow:
    """How often a check passed: `reports` students were checked, `passed` did, `not_written` had not begun."""

    exercise: str
    check: str
    reports: int = 0
    passed: int = 0
    not_written: int = 0

    @property
    def share(self) -> float:
        return self.passed / self.reports


@dataclass
class Misconception:
    """A mistake, and the reports in which it was found, by their file names.

    named: the gradient check told the mistake; else this is how the result differs.
    """

    exercise: str
    mistake: str
    named: bool
    files: list[str] = field(default_factory=list)

    @property
    def students(self) -> int:
        return len(self.files)


@dataclass
class ClassView:
    """A class, as `class_view` found it; as text, as tables in a notebook, as a figure.

    Attributes
    ----------
    reports: how many results were read.
    checks: one row for each check of each exercise, in the order in which checks run.
    misconceptions: the most frequent first.
    skipped: (file, why it was not read).
    """

    folder: str
    reports: int
    checks: list[CheckRow]
    misconceptions: list[Misconception]
    skipped: list[tuple[str, str]]

    def __str__(self) -> str:
        lines = [f"{self.folder}: {_count(self.reports, 'result')}"]
        if self.checks:
            rows = [("exercise", "check", "passed", "", "not written"), *map(_check_cells, self.checks)]
            lines += ["", *_aligned(rows, right=(2, 3, 4))]
        if self.misconceptions:
            rows = [("students", "exercise", "mistake"), *map(_mistake_cells, self.misconceptions)]
            lines += ["", *_aligned(rows, right=(0,))]
        lines += ["", *(f"skipped {file}: {why}" for file, why in self.skipped)] if self.skipped else []
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        checks = _html_table(("exercise", "check", "passed", "", "not written"), map(_check_cells, self.checks))
        mistakes = _html_table(("students", "exercise", "mistake"), map(_mistake_cells, self.misconceptions))
        skipped = "".join(f"<p>skipped {html.escape(file)}: {html.escape(why)}</p>" for file, why in self.skipped)
        return f"<div><b>{html.escape(self.folder)}: {_count(self.reports, 'result')}</b>{checks}{mistakes}{skipped}</div>"

    def to_dict(self) -> dict[str, Any]:
        """Everything in types that JSON knows."""
        return {
            "reports": self.reports,
            "checks": [{**vars(row), "share": row.share} for row in self.checks],
            "misconceptions": [{**vars(found), "students": found.students} for found in self.misconceptions],
            "skipped": [{"file": file, "why": why} for file, why in self.skipped],
        }

    def plot(self, most: int = 15) -> Figure:
        """Draw the share of students who pass each check, and the `most` frequent mistakes. Needs matplotlib.

        Raises ValueError when no result was read.
        """
        if not self.checks:
            raise ValueError(f"class_view: {self.folder} holds no result, so there is nothing to draw")
        from minivision.homework.class_figure import draw

        return draw(self, most)


def class_view(folder: str | Path) -> ClassView:
    """Read all results in a folder, and count which checks pass and which mistakes are made.

        minivision homework check anna/relu.py --json > results/anna.json
        minivision homework class results

    Every .json file counts, also those in folders within, as the result of one student for one exercise; hidden files do not.
    A file that is no such result is left out and named in `skipped`. Raises FileNotFoundError or NotADirectoryError for a folder
    that is none, ValueError when there is no .json file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        kind, what = (NotADirectoryError, "is no folder") if folder.exists() else (FileNotFoundError, "does not exist")
        raise kind(f"class_view: {folder} {what}; name the folder that holds the results of `minivision homework check --json`")
    files = [p for p in sorted(folder.rglob("*.json")) if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    if not files:
        raise ValueError(
            f"class_view: {folder} holds no .json file; write one for each student: "
            "minivision homework check FILE --json > FOLDER/STUDENT.json"
        )
    rows: dict[tuple[str, str], CheckRow] = {}
    found: dict[tuple[str, str], Misconception] = {}
    skipped: list[tuple[str, str]] = []
    for file in files:
        name = file.relative_to(folder).as_posix()
        try:
            result = _read(file)
        except (OSError, ValueError) as error:
            skipped.append((name, str(error)))
            continue
        _count_checks(result, rows)
        _collect_mistakes(result, name, found)
    checks = sorted(rows.values(), key=lambda row: row.exercise)  # a stable sort: the checks keep their order
    mistakes = sorted(found.values(), key=lambda m: (-m.students, not m.named, m.exercise, m.mistake))
    return ClassView(str(folder), len(files) - len(skipped), checks, mistakes, skipped)


# ---- reading ----


def _read(file: Path) -> dict[str, Any]:
    """One result. Raises ValueError that says what is wrong with the file."""
    try:
        result = json.loads(file.read_bytes())  # from bytes: what PowerShell writes is UTF-16
    except RecursionError:
        raise ValueError("nested too deeply for a result") from None
    except ValueError as error:
        raise ValueError(f"not JSON ({error}); was writing it interrupted?") from None
    if not isinstance(result, dict) or not isinstance(result.get("exercise"), str) or not isinstance(result.get("checks"), list):
        raise ValueError("JSON, but not the result of `minivision homework check --json`: it has no exercise with checks")
    for check in result["checks"]:
        if not isinstance(check, dict) or not isinstance(check.get("name"), str) or check.get("status") not in STATUSES:
            raise ValueError("JSON, but not the result of `minivision homework check --json`: a check has no name or no status")
    return result


# ---- counting ----


def _count_checks(result: dict[str, Any], rows: dict[tuple[str, str], CheckRow]) -> None:
    for check in result["checks"]:
        row = rows.setdefault((result["exercise"], check["name"]), CheckRow(result["exercise"], check["name"]))
        row.reports += 1
        row.passed += check["status"] == "passed"
        row.not_written += check["status"] == "not written"


def _collect_mistakes(result: dict[str, Any], name: str, found: dict[tuple[str, str], Misconception]) -> None:
    """Add the mistakes of one result.

    One mistake fails many checks. So of the checks that begin with one word, such as "backward: ", those that name a mistake are
    believed; where none does, the first one says how the result differs, and the others are taken for its consequences.
    """
    wrong = [check for check in result["checks"] if check["status"] not in ("passed", "not written")]
    parts: dict[str, list[dict[str, Any]]] = {}
    for check in wrong:
        parts.setdefault(check["name"].partition(":")[0], []).append(check)
    for checks in parts.values():
        named = {sentence for check in checks if (sentence := _diagnosis(check))}
        for mistake in sorted(named) or [_in_general(checks[0])]:
            new = Misconception(result["exercise"], mistake, named=bool(named))
            entry = found.setdefault((result["exercise"], mistake), new)
            if name not in entry.files:
                entry.files.append(name)


def _diagnosis(check: dict[str, Any]) -> str:
    """The mistake that the gradient check is surest of; "" if it has none."""
    report = check.get("report")
    entries = report.get("diagnosis") if isinstance(report, dict) else None
    first = entries[0] if isinstance(entries, list) and entries else None
    sentence = first.get("sentence") if isinstance(first, dict) else None
    return sentence if isinstance(sentence, str) else ""


_DETAILS = (  # what differs from student to student with the same mistake
    (re.compile(r"^(wrong|inconclusive): "), ""),
    (re.compile(r";? (at \[[^\]]*\]|along a random direction) it (is \S+ where \S+ is right|says \S+ the differences \S+)"), ""),
    (re.compile(r" in (all )?\d+( of \d+)? entries| in its only entry"), ""),
)


def _in_general(check: dict[str, Any]) -> str:
    """What is wrong with a check that has no diagnosis, without the numbers of this one student; and which check it is."""
    status, message = check["status"], check.get("message")
    said = message.split("\n")[0] if isinstance(message, str) else ""
    if status == "error":
        kind = re.match(r"(\w+(?:Error|Exception|Exit|Interrupt))\b", said)
        said = f"stops with {kind[1]}" if kind else said
    elif status != "failed":
        said = {"timeout": "takes too long", "memory": "takes too much memory", "crashed": "ends the process"}[status]
    for pattern, instead in _DETAILS:
        said = pattern.sub(instead, said)
    return f"{said.strip() or 'fails'} ({check['name']})"


# ---- showing ----


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _check_cells(row: CheckRow) -> tuple[str, ...]:
    return row.exercise, row.check, f"{row.passed}/{row.reports}", f"{row.share:.0%}", str(row.not_written or "")


def _mistake_cells(found: Misconception) -> tuple[str, ...]:
    return str(found.students), found.exercise, found.mistake


def _aligned(rows: list[tuple[str, ...]], right: tuple[int, ...]) -> list[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    signs = [">" if k in right else "<" for k in range(len(widths))]
    lines = ["  ".join(f"{cell:{sign}{w}}" for cell, sign, w in zip(row, signs, widths, strict=True)) for row in rows]
    return [line.rstrip() for line in lines]


def _html_table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr>{body}</table>" if body else ""
