"""What a check of a student's file found: one line for each check, the points, and the same as HTML and as JSON."""

from __future__ import annotations

import html
import json
from dataclasses import asdict, dataclass, field
from typing import Any

# "failed": the results are wrong; "error": the student's code stopped with an exception; "timeout", "memory", "crashed" (the
# whole process is gone): it was ended from outside
STATUSES = ("passed", "failed", "not written", "error", "timeout", "memory", "crashed")
_SHOWN = 2000  # characters of what the student's code printed


@dataclass
class CheckResult:
    """The outcome of one check: full points or none, and a message whose first line says all in short."""

    name: str
    points: int
    status: str
    message: str = ""
    report: dict[str, Any] | None = None  # of a gradient check, as its to_dict()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return self.status == "passed"

    @property
    def earned(self) -> int:
        return self.points if self.passed else 0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "earned": self.earned}


@dataclass
class Result:
    """The outcome of all checks of an exercise; true in an `if` when every one has passed.

    Attributes
    ----------
    exercise, title: which one, max-pooling, and its heading.
    file: what was checked; "" for the functions of a notebook.
    checks: one `CheckResult` for each, in the order of the exercise.
    notes: what else is to be said, such as an error on loading the file.
    printed: the beginning of what the student's code printed meanwhile.
    """

    exercise: str
    title: str
    file: str
    checks: list[CheckResult]
    notes: list[str] = field(default_factory=list)
    printed: str = ""

    @property
    def score(self) -> int:
        return sum(check.earned for check in self.checks)

    @property
    def max_score(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"{self.title}: {self.score} of {self.max_score} points"]
        for check in self.checks:
            first, *rest = check.message.split("\n") if check.message else [""]
            lines.append(f"  {check.status:<11}  {check.earned:>2}/{check.points:<2}  {check.name}")
            lines += [f"      {line}".rstrip() for line in ([first] if first else []) + rest]
        lines += [f"  note: {note}" for note in self.notes]
        if self.printed:
            lines += ["  your code printed:", *(f"      {line}".rstrip() for line in self._shown().splitlines())]
        return "\n".join(lines)

    def _shown(self) -> str:
        return self.printed if len(self.printed) <= _SHOWN else self.printed[:_SHOWN] + " ..."

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        rows = []
        for check in self.checks:
            colour = "#1a7f37" if check.passed else "#57606a" if check.status == "not written" else "#cf222e"
            said = f'<pre style="white-space:pre-wrap">{html.escape(check.message)}</pre>' if check.message else ""
            rows.append(
                f'<tr><td style="color:{colour};vertical-align:top"><b>{check.status}</b></td>'
                f'<td style="vertical-align:top">{check.earned}/{check.points}</td>'
                f'<td style="text-align:left">{html.escape(check.name)}{said}</td></tr>'
            )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        printed = f"<p>your code printed:</p><pre>{html.escape(self._shown())}</pre>" if self.printed else ""
        head = f"<b>{html.escape(self.title)}: {self.score} of {self.max_score} points</b>"
        return f"<div>{head}<table>{''.join(rows)}</table>{notes}{printed}</div>"

    def to_dict(self) -> dict[str, Any]:
        """Everything in types that JSON knows."""
        return {
            "exercise": self.exercise,
            "title": self.title,
            "file": self.file,
            "score": self.score,
            "max_score": self.max_score,
            "checks": [check.to_dict() for check in self.checks],
            "notes": list(self.notes),
            "printed": self.printed,
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2)
