"""What a check found, in the forms in which it is wanted: a page of text, a table in a notebook, a figure, JSON, an assert."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minivision.check.contract import Broken, gradient_name
from minivision.check.differences import KINK, RIGHT, UNSURE, WRONG, Probe

VERDICTS = ("right", "wrong", "inconclusive")


@dataclass
class InputReport:
    """What was found about the gradient to one input.

    Attributes
    ----------
    name, shape: of the input.
    probes: the directions that were tried, single entries first.
    analytic: the gradient that backward gave; None where it could not be compared.
    numeric: the differences, NaN where none was taken.
    """

    name: str
    shape: tuple[int, ...]
    probes: list[Probe]
    analytic: np.ndarray | None
    numeric: np.ndarray

    def count(self, outcome: str, entries: bool | None = None) -> int:
        return sum(p.outcome == outcome for p in self.probes if entries is None or (p.index is not None) == entries)

    @property
    def worst(self) -> Probe | None:
        """The probe with the largest error among the wrong ones; if none is wrong, among all that were judged."""
        judged = [p for p in self.probes if p.outcome in (RIGHT, WRONG)]
        wrong = [p for p in judged if p.outcome == WRONG]
        entries = [p for p in wrong or judged if p.index is not None]
        return max(entries or wrong or judged, key=lambda p: (p.error, abs(p.numeric - p.analytic)), default=None)

    @property
    def error(self) -> float:
        return self.worst.error if self.worst else 0.0


@dataclass
class GradientReport:
    """The result of `check.gradient` and `check.backward`; true in an `if` when the gradient is right.

    Attributes
    ----------
    verdict: "right", "wrong" or "inconclusive".
    operation: what was checked.
    inputs: one `InputReport` for each gradient.
    broken: the promises that backward did not keep, such as a wrong shape.
    diagnosis: the mistakes that the gradient looks like, as (input, sentence); the surest first.
    notes: kinks that were met, precision, advice.
    """

    operation: str
    inputs: list[InputReport]
    broken: list[Broken] = field(default_factory=list)
    diagnosis: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    method: str = ""

    @property
    def verdict(self) -> str:
        if self.broken or any(i.count(WRONG) for i in self.inputs):
            return "wrong"
        probes = [p for i in self.inputs for p in i.probes]
        blind = sum(p.outcome in (KINK, UNSURE) for p in probes)
        unchecked = any(i.analytic is not None and i.analytic.size and not i.count(RIGHT) for i in self.inputs)
        return "inconclusive" if unchecked or blind > 0.2 * len(probes) else "right"

    @property
    def ok(self) -> bool:
        return self.verdict == "right"

    def __bool__(self) -> bool:
        return self.ok

    @property
    def summary(self) -> str:
        """The verdict in one line, with the mistake's name where it has one."""
        return f"{self.verdict}: {self._reason()}"

    def _reason(self) -> str:
        if self.verdict == "wrong":
            if self.diagnosis:
                return self.diagnosis[0][1]
            if self.broken:
                return self.broken[0].sentence
            worst = max((i for i in self.inputs if i.count(WRONG)), key=lambda i: i.error)
            return f"{gradient_name(worst.name)} is wrong in {self._share(worst)}; {self._worst(worst)}"
        if self.verdict == "inconclusive":
            return self.notes[0] if self.notes else "too few entries could be judged"
        checked = sum(len(i.probes) for i in self.inputs)
        largest = max((i.error for i in self.inputs), default=0.0)
        gradients = ", ".join(gradient_name(i.name) for i in self.inputs)
        agree = "agree" if len(self.inputs) > 1 else "agrees"
        kinks = any(i.count(KINK) for i in self.inputs)
        where = "wherever there is a derivative" if kinks else f"in all {checked} directions"
        return f"{gradients} {agree} with the differences {where}, largest relative error {largest:.1e}"

    def _share(self, found: InputReport) -> str:
        entries = [p for p in found.probes if p.index is not None]
        wrong = found.count(WRONG, entries=True)
        if not wrong:
            return "a sum over all entries"
        return f"{wrong} of {len(entries)} entries" + ("" if len(entries) == np.prod(found.shape) else " that were sampled")

    def _worst(self, found: InputReport) -> str:
        p = found.worst
        if p is None:
            return ""
        where = f"at {_index(p.index)}" if p.index is not None else "along a random direction"
        return f"{where} it says {p.analytic:.6g}, the differences {p.numeric:.6g}"

    def __str__(self) -> str:
        lines = [self.summary, f"    {self.operation}, {self.method}"]
        rows = [("gradient", "shape", "checked", "wrong", "worst at", "says", "differences", "error")]
        for i in self.inputs:
            p = i.worst
            rows.append(
                (
                    gradient_name(i.name), str(i.shape), str(len(i.probes)), str(i.count(WRONG)),
                    "" if p is None else _index(p.index) if p.index is not None else "(direction)",
                    "" if p is None else f"{p.analytic:.6g}", "" if p is None else f"{p.numeric:.6g}",
                    "" if p is None else f"{p.error:.1e}",
                )
            )  # fmt: skip
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines += [
            "",
            *("    " + "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows),
            "",
        ]
        said = self._reason()
        lines += [f"  - {text}" for text in self._remarks() if text != said]
        return "\n".join(lines).rstrip()

    def _remarks(self) -> list[str]:
        places = [f"{gradient_name(i.name)} is wrong {text}" for i in self.inputs if i.count(WRONG) and (text := where_wrong(i))]
        remarks = [sentence for _, sentence in self.diagnosis] + [b.sentence for b in self.broken] + places + self.notes
        return list(dict.fromkeys(remarks))

    def _repr_html_(self) -> str:
        colour = {"right": "#1a7f37", "wrong": "#cf222e", "inconclusive": "#9a6700"}[self.verdict]
        head, *rest = str(self).split("\n")
        return (
            f'<div><b style="color:{colour}">{html.escape(head)}</b>'
            f'<pre style="margin-top:0.3em">{html.escape(chr(10).join(rest).strip(chr(10)))}</pre></div>'
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, in types that JSON knows."""
        return {
            "operation": self.operation,
            "verdict": self.verdict,
            "summary": self.summary,
            "method": self.method,
            "inputs": [
                {
                    "name": i.name,
                    "shape": list(i.shape),
                    "checked": len(i.probes),
                    "wrong": i.count(WRONG),
                    "kinks": i.count(KINK),
                    "unsure": i.count(UNSURE),
                    "worst": None if i.worst is None else _probe_dict(i.worst),
                }
                for i in self.inputs
            ],
            "broken": [{"input": b.input, "kind": b.kind, "sentence": b.sentence} for b in self.broken],
            "diagnosis": [{"input": name, "sentence": sentence} for name, sentence in self.diagnosis],
            "notes": list(self.notes),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    def plot(self, which: str | None = None) -> Any:
        """Draw the gradient to one input (the worst, unless named): what backward says, the differences, and the error.

        Two axes as they are; more are laid out as a row of panels, one for each leading index, eight at most. Returns the
        matplotlib Figure. Raises ImportError without matplotlib.
        """
        from minivision.viz.figures import new_figure

        comparable = [i for i in self.inputs if i.analytic is not None]
        if which is not None:
            comparable = [i for i in comparable if i.name == which]
        if not comparable:
            raise ValueError(f"plot: no gradient {which or ''} that could be compared; there are {[i.name for i in self.inputs]}")
        found = max(comparable, key=lambda i: (i.count(WRONG), i.error))
        assert found.analytic is not None
        says, is_ = _panels(found.analytic), _panels(found.numeric)
        title = f"{gradient_name(found.name)} {found.shape} of {self.operation}: {self.verdict}"
        figure = new_figure(1.6 + 1.7 * len(says), 5.2, alt=f"What backward says, the differences, and the error. {title}")
        axes = figure.subplots(3, len(says), squeeze=False)
        limit = float(np.nanmax(np.abs([*says, *is_]), initial=0)) or 1.0
        largest = float(np.nanmax([np.abs(a - b) for a, b in zip(says, is_, strict=True)], initial=0)) or 1.0
        for column, (a, b) in enumerate(zip(says, is_, strict=True)):
            signed = axes[0, column].imshow(a, cmap="RdBu_r", vmin=-limit, vmax=limit)
            axes[1, column].imshow(b, cmap="RdBu_r", vmin=-limit, vmax=limit)
            wrong = axes[2, column].imshow(np.abs(a - b), cmap="magma", vmin=0, vmax=largest)
            axes[0, column].set_title(f"{column}" if len(says) > 1 else "", fontsize=8)
        for row, text in enumerate(("backward says", "differences", "|error|")):
            axes[row, 0].set_ylabel(text)
        for ax in axes.flat:
            ax.set_xticks([])
            ax.set_yticks([])
        figure.colorbar(signed, ax=axes[:2], shrink=0.8)
        figure.colorbar(wrong, ax=axes[2], shrink=0.8)
        figure.suptitle(title, fontsize=10)
        return figure

    def assert_ok(self) -> None:
        """Raise AssertionError with the whole report unless the gradient is right; for pytest."""
        if not self.ok:
            raise AssertionError(str(self))


def where_wrong(found: InputReport) -> str:
    """Where the wrong entries lie, if there is a pattern: one channel, the border, the last sample ..."""
    entries = [p for p in found.probes if p.index is not None]
    wrong = np.array([p.index for p in entries if p.outcome == WRONG])
    fine = np.array([p.index for p in entries if p.outcome == RIGHT])
    if len(wrong) == 0:
        return ""
    if len(fine) == 0:
        return "everywhere"
    for axis in range(len(found.shape)):
        bad, good = set(wrong[:, axis]), set(fine[:, axis])
        if not bad & good and found.shape[axis] > 1:
            where = ", ".join(str(int(i)) for i in sorted(bad))
            return (
                f"exactly where index {axis} is {where}"
                if len(bad) <= 4
                else f"in {len(bad)} of {found.shape[axis]} positions of axis {axis}"
            )
    if len(found.shape) >= 2:
        edge = np.array(found.shape[-2:]) - 1
        on_border = lambda at: bool(((at[-2:] == 0) | (at[-2:] == edge)).any())  # noqa: E731
        if all(on_border(at) for at in wrong) and not all(on_border(at) for at in fine):
            return "only at the border of the last two axes"
        if not any(on_border(at) for at in wrong) and any(on_border(at) for at in fine):
            return "only inside, not at the border of the last two axes"
    return ""


def _panels(x: np.ndarray) -> list[np.ndarray]:
    """An array of any number of axes as at most eight pictures."""
    if x.ndim < 2:
        return [x.reshape(1, -1)]
    flat = x.reshape(-1, *x.shape[-2:])
    if x.shape[-1] * x.shape[-2] == 1:
        return [x.reshape(x.shape[0], -1)]
    return list(flat[:8])


def _probe_dict(p: Probe) -> dict[str, Any]:
    index = None if p.index is None else list(p.index)
    return {"index": index, "analytic": p.analytic, "numeric": p.numeric, "error": p.error, "outcome": p.outcome}


def _index(index: tuple[int, ...] | None) -> str:
    return "[" + ", ".join(map(str, index or ())) + "]"
