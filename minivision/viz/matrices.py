"""The confusion matrix as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minivision.viz.colours import as_array
from minivision.viz.figures import HEADING, INK, SMALL, TEXT, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def row_shares(matrix: Any) -> np.ndarray:
    """Return each row of counts (K, K) divided by its sum; nan in the rows of classes that never occur."""
    counts = as_array(matrix).astype(float)
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)


def confusion_matrix(cm: Any, classes: Sequence[str] | None = None, *, title: str | None = None) -> "Figure":
    """Draw how the pixels of each true class (row) are distributed over the predicted classes (columns), in percent.

    Parameters
    ----------
    cm : a `metrics.ConfusionMatrix`, or counts (K, K) with the truth along the rows.
    classes : K names; those of `cm` by default.

    Each row sums to 100 %; the diagonal is the accuracy of the class. Rows of classes without a pixel stay empty.

    Raises `ValueError` when the counts are not (K, K) or the names are not K.
    """
    counts = as_array(getattr(cm, "matrix", cm))
    names = list(classes if classes is not None else getattr(cm, "names", range(len(counts))))
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(names) != len(counts):
        raise ValueError(f"confusion_matrix: needs counts (K, K) and K names, but got {counts.shape} and {len(names)} names")
    shares = row_shares(counts)
    side = 0.62 if len(names) <= 10 else 0.42
    figure = new_figure(side * len(names) + 2.2, side * len(names) + 1.3, "Confusion matrix: true class by predicted class")
    axes = figure.subplots()
    drawn = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(names))
    axes.set_xticks(ticks, names, fontsize=SMALL, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, [f"{name} ({total:,})" for name, total in zip(names, counts.sum(axis=1), strict=True)], fontsize=SMALL)
    axes.set_xlabel("predicted class", fontsize=TEXT, color=INK)
    axes.set_ylabel("true class (pixels)", fontsize=TEXT, color=INK)
    axes.set_title(title or "Where the pixels of each class go, %", fontsize=HEADING, color=INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), share in np.ndenumerate(shares):
        if not np.isnan(share):
            axes.text(
                column, row, _percent(share), ha="center", va="center", fontsize=SMALL if side > 0.5 else SMALL - 2,
                color="white" if share > 0.55 else INK, fontweight="bold" if row == column else "normal",
            )  # fmt: skip
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, ticks=[0, 0.5, 1], format=lambda value, _: f"{value:.0%}")
    bar.ax.tick_params(labelsize=SMALL)
    bar.outline.set_visible(False)
    return figure


def _percent(share: float) -> str:
    """Return 100 * share with one decimal, so that a few wrong pixels are not shown as none: 0, <0.1, 12.3, >99.9, 100."""
    if 0 < share < 0.0005:
        return "<0.1"
    if 0.9995 <= share < 1:
        return ">99.9"
    return f"{100 * share:.1f}" if 0 < share < 1 else f"{100 * share:.0f}"
