"""The picture of a class: two bar charts, the checks and the mistakes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minivision.viz.colours import OKABE_ITO
from minivision.viz.figures import INK, PALE, SMALL, TEXT, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minivision.homework.class_view import ClassView

GREEN, BLUE, ORANGE = (OKABE_ITO[i] / 255 for i in (2, 4, 0))
_ROW = 0.2  # inches for one line of text
_WIDTH = 62  # characters of a label's line


def draw(view: ClassView, most: int) -> Figure:
    """The share of students who pass each check, and the `most` frequent mistakes; named ones in a colour of their own."""
    mistakes = view.misconceptions[:most]
    several = len({row.exercise for row in view.checks}) > 1
    labels = (
        [_wrapped(f"{row.exercise}: {row.check}" if several else row.check) for row in view.checks],
        [_wrapped(f"{m.exercise}: {m.mistake}" if several else m.mistake) for m in mistakes],
    )
    heights = [sum(_ROW * label.count("\n") + 1.6 * _ROW for label in part) for part in labels if part]
    alt = f"{view.folder}: how many students pass each of {len(view.checks)} checks, and their most frequent mistakes"
    figure = new_figure(9.0, sum(heights) + 1.1 * len(heights), alt)
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]

    shares = [100 * row.share for row in view.checks]
    _bars(panels[0], labels[0], shares, [GREEN] * len(shares), [f"{row.passed} of {row.reports}" for row in view.checks])
    panels[0].set(xlim=(0, 115), xticks=[0, 25, 50, 75, 100])
    panels[0].set_xlabel("students who pass (%)", fontsize=SMALL, color=INK)
    if mistakes:
        counts = [m.students for m in mistakes]
        colours = [BLUE if m.named else ORANGE for m in mistakes]
        _bars(panels[1], labels[1], counts, colours, [str(count) for count in counts])
        panels[1].set(xlim=(0, 1.15 * max(counts)))
        panels[1].xaxis.get_major_locator().set_params(integer=True)
        text = "students with this mistake; blue: named by the gradient check, orange: how the result differs"
        panels[1].set_xlabel(text, fontsize=SMALL, color=INK)
    return figure


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _WIDTH))


def _bars(axes: Any, labels: list[str], values: Sequence[float], colours: list[Any], texts: list[str]) -> None:
    """Horizontal bars, the first on top, the room for each as its label needs."""
    rooms = [label.count("\n") + 1.6 for label in labels]
    places = [sum(rooms[:i]) + room / 2 for i, room in enumerate(rooms)]
    axes.barh(places, values, height=1.0, color=colours)
    axes.set_yticks(places, labels, fontsize=SMALL, color=INK)
    axes.set_ylim(sum(rooms), 0)
    for place, value, text in zip(places, values, texts, strict=True):
        axes.annotate(text, (value, place), (4, 0), textcoords="offset points", va="center", fontsize=TEXT, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(axis="x", labelsize=SMALL, colors=PALE)
    axes.tick_params(axis="y", length=0)
