"""What comes out: lines of a table while the cases run, a JSON file, a plot."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.case import Target

UNITS = {
    "s": [(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")],
    "B": [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")],
}
PER_PIXEL = 1.3  # the largest ratio of the times per pixel of two image sizes
MARKS = {"met": "met", "first step": "first step", "missed": "MISSED", "": ""}


@dataclass
class Row:
    """One measured case. `unit` says what `ours` and `theirs` are: seconds, bytes."""

    name: str
    title: str
    threads: int
    ours: float
    theirs: float
    ratio: float
    low: float  # quartiles of the rounds' ratios
    high: float
    rounds: int
    unit: str = "s"
    goal: float | None = None
    first_step: float | None = None
    share: float | None = None  # of the physical limit that minivision reaches
    their_share: float | None = None
    error: float | None = None  # largest relative difference of the results
    peer: str = "PyTorch"
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> Target | None:
        return None if self.goal is None or self.first_step is None else Target(self.goal, self.first_step)

    @property
    def verdict(self) -> str:
        return "" if self.target is None else self.target.verdict(self.ratio)


HEADER = (
    f"{'case':<26} {'threads':>7} {'minivision':>11} {'peer':>11} {'':<9} {'ratio':>6}  {'quartiles':<13} {'target':>6} "
    f"{'first':>6}  {'':<10} {'share of the limit':<18}"
)


def line(row: Row) -> str:
    """One line of the table."""
    target = f"{row.goal:>6.2g} {row.first_step:>6.2g}" if row.target else f"{'':>6} {'':>6}"
    shares = "" if row.share is None else f"{row.share:>5.0%}"
    shares += "" if row.their_share is None else f" ({row.their_share:.0%})"
    if "ratio beyond the import" in row.extra:
        shares = f"{row.extra['ratio beyond the import']:.2f} without the import"
    spread = f"{row.low:.2f}..{row.high:.2f}"
    return (
        f"{row.name:<26} {row.threads:>7} {amount(row.ours, row.unit):>11} {amount(row.theirs, row.unit):>11} {row.peer:<9}"
        f" {row.ratio:>6.2f}  {spread:<13} {target}  {MARKS[row.verdict]:<10} {shares}"
    ).rstrip()


def amount(value: float, unit: str) -> str:
    """Three digits and a unit that suits them."""
    if not math.isfinite(value):
        return "-"
    scale, name = next(((s, n) for s, n in UNITS[unit] if value >= s), UNITS[unit][-1])
    return f"{value / scale:.3g} {name}" if value / scale < 999.5 else f"{value / scale:.0f} {name}"


def summary(rows: Sequence[Row]) -> str:
    """How many targets are met, and those that miss even the first step."""
    judged = [row for row in rows if row.target]
    if not judged:
        return ""
    count = {verdict: sum(row.verdict == verdict for row in judged) for verdict in ("met", "first step", "missed")}
    text = f"{len(judged)} targets: {count['met']} met, {count['first step']} at the first step, {count['missed']} missed"
    worst = sorted((row for row in judged if row.verdict != "met"), key=lambda row: row.ratio / (row.goal or 1), reverse=True)
    if worst:
        text += "; furthest from the target: " + ", ".join(
            f"{r.name} ({r.threads} thr., {r.peer}) {r.ratio:.2f}" for r in worst[:8]
        )
    return text


def per_pixel(rows: Sequence[Row], pixels: Mapping[str, int]) -> list[str]:
    """How far the time per pixel varies over a series of image sizes; `pixels` says how many each of its cases has."""
    lines = []
    for threads in sorted({row.threads for row in rows}):
        series = [row for row in rows if row.name in pixels and row.threads == threads and row.peer == "PyTorch"]
        if len(series) < 2:
            continue
        for name, values in (("minivision", [row.ours for row in series]), ("PyTorch", [row.theirs for row in series])):
            each = [1e9 * seconds / pixels[row.name] for row, seconds in zip(series, values, strict=True)]
            spread = max(each) / min(each)
            verdict = f", target {PER_PIXEL}: {'met' if spread <= PER_PIXEL else 'MISSED'}" if name == "minivision" else ""
            numbers = " ".join(f"{ns:.0f}" for ns in each)
            lines.append(f"time per pixel, {threads} thr., {name:<10} {numbers} ns, within {spread:.2f}{verdict}")
    return lines


COUNTS_HEADER = (
    f"{'counted':<26} {'calls':>7} {'functions':>9} {'products':>15} {'of needed':>9} {'moved':>9} {'of needed':>9} {'fresh':>9} "
    f"{'reordered':>9}"
)


def counts_line(count: Mapping[str, Any]) -> str:
    """The counts of one case; see `counting.py` for the columns. "of needed": times what the definition needs.

    Under it, the operations that moved most bytes, and the lines of source that made most new arrays and reordered copies.
    """
    products, moved = count["products"], count["moved"]
    pairs = ((products, count["flops"]), (moved, count["bytes"]))
    share = [f"{made / needed:.2f}x" if made and needed else "-" for made, needed in pairs]
    extra = [f"{'':<4}{key}: {_most(count[key])}" for key in ("moved by", "fresh at", "reordered at") if count[key]]
    line = (
        f"{count['name']:<26} {count['calls']:>7} {count['functions']:>9} {products / 1e9:>9.2f} GFLOP {share[0]:>9} "
        f"{amount(moved, 'B'):>9} {share[1]:>9} {amount(count['fresh'], 'B'):>9} "
        f"{amount(count['reordered'], 'B'):>9}"
    )
    return "\n".join([line, *extra])


def _most(sizes: Mapping[str, int]) -> str:
    """The five largest, those of a hundredth of all or more."""
    large = [(name, size) for name, size in sizes.items() if size >= sum(sizes.values()) / 100]
    return ", ".join(f"{name} {amount(size, 'B')}" for name, size in large[:5])


def write_json(path: Path, run: dict[str, Any], rows: Sequence[Row]) -> None:
    """`run` describes the machine, versions, settings and limits of the run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**run, "rows": [{**asdict(row), "verdict": row.verdict} for row in rows]}, indent=1) + "\n")


def read_json(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """What `write_json` wrote."""
    run = json.loads(path.read_text())
    rows = [Row(**{key: value for key, value in row.items() if key != "verdict"}) for row in run.pop("rows")]
    return run, rows


def plot(path: Path, rows: Sequence[Row], title: str) -> None:
    """Ratios as bars on a logarithmic axis, with the quartiles of the rounds; a tick at each target."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    colors = {"met": "tab:green", "first step": "tab:orange", "missed": "tab:red", "": "tab:gray"}
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.24 * len(rows)), layout="constrained")
    for y, row in enumerate(rows):
        axes.barh(y, row.ratio - 1, left=1, color=colors[row.verdict], height=0.7)
        axes.plot([row.low, row.high], [y, y], color="black", linewidth=1)
        if row.goal is not None:
            axes.plot([row.goal, row.goal], [y - 0.45, y + 0.45], color="black", linewidth=2)
    axes.set_yticks(range(len(rows)), [f"{row.name}, {row.threads} thr., {row.peer}" for row in rows], fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("minivision / peer (left of 1: minivision is faster, or smaller); tick: target; line: quartiles")
    axes.set_title(title, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
