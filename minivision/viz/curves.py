"""The course of a training run: losses, mean IoU and learning rate over the epochs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minivision.data.optional import require
from minivision.viz.colours import OKABE_ITO
from minivision.viz.figures import HEADING, INK, PALE, SMALL, TEXT, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Sequence[Mapping[str, Any]]
LINE_COLOURS = OKABE_ITO[[4, 5, 2, 6, 0, 1]] / 255  # yellow is too pale for a line on white


def series(history: History, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the epochs (n,) at which `key` was noted, and its values (n,)."""
    rows = [(row["epoch"], row[key]) for row in history if row.get(key) is not None]
    epochs, values = np.array(rows, float).reshape(-1, 2).T
    return epochs, values


def running_mean(values: Sequence[float], window: int) -> np.ndarray:
    """Return the mean of the last `window` values at each place, of as many as there are at the beginning: (n,)."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(sums))
    start = np.maximum(end - window, 0)
    return (sums[end] - sums[start]) / (end - start)


def loss_curve(
    history: History | Mapping[str, History],
    batch_losses: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    *,
    title: str | None = None,
) -> "Figure":
    """Draw how a training went: the loss on training and validation images, the validation mIoU, and the learning rate.

    Parameters
    ----------
    history : what `training.fit` returns, and `history.json` holds: one row for each epoch, with "epoch", "loss", and perhaps
        "val_loss", "mean_iou" and "lr"; or several such histories by name, to be compared.
    batch_losses : the loss of every update, for each history; drawn pale, as a running mean over a twentieth of the run.

    A panel without numbers is left out. A filled dot marks the best mIoU.

    Raises `ValueError` when there is not a single loss.
    """
    runs: dict[str, History] = dict(history) if isinstance(history, Mapping) else {"": history}
    if not any(len(series(rows, "loss")[0]) for rows in runs.values()):
        raise ValueError("loss_curve: the history has no epoch with a loss; train for at least one epoch")
    batches = batch_losses if isinstance(batch_losses, Mapping) else {} if batch_losses is None else {"": batch_losses}
    panels = [(_draw_loss, ("loss", "val_loss")), (_draw_miou, ("mean_iou",)), (_draw_rate, ("lr",))]
    panels = [(draw, keys) for draw, keys in panels if any(len(series(rows, key)[0]) for rows in runs.values() for key in keys)]
    figure = new_figure(3.4 * len(panels) + 0.4, 2.9, f"Training curves: {', '.join(filter(None, runs)) or 'loss'} by epoch")
    figure.suptitle(title or "", fontsize=HEADING + 1, color=INK)
    for axes, (draw, _) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for number, (name, rows) in enumerate(runs.items()):
            colour = LINE_COLOURS[number % len(LINE_COLOURS)]
            if draw is _draw_loss and name in batches:
                _draw_batches(axes, rows, batches[name], colour)
            draw(axes, rows, name, colour)
        _finish(axes)
    return figure


def _draw_loss(axes: "Axes", rows: History, name: str, colour: Any) -> None:
    axes.set_title("loss (dashed: validation)" if name else "loss", fontsize=HEADING, color=INK)
    _draw(axes, series(rows, "loss"), name or "training", colour)
    _draw(axes, series(rows, "val_loss"), "" if name else "validation", colour, linestyle="--")
    values = np.concatenate([line.get_ydata() for line in axes.lines])
    positive = values[values > 0]
    if len(positive) == len(values) and len(values) and positive.max() > 10 * positive.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(require("matplotlib.ticker", "drawing a figure").LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")


def _draw_batches(axes: "Axes", rows: History, losses: Sequence[float], colour: Any) -> None:
    epochs = np.linspace(0, len(rows), len(losses) + 1)[1:]
    axes.plot(epochs, running_mean(losses, max(len(losses) // 20, 1)), color=colour, linewidth=1, alpha=0.4)


def _draw_miou(axes: "Axes", rows: History, name: str, colour: Any) -> None:
    axes.set_title("mean IoU on validation images", fontsize=HEADING, color=INK)
    epochs, values = series(rows, "mean_iou")
    if not len(values) or np.isnan(values).all():
        return
    best = int(np.nanargmax(values))
    _draw(axes, (epochs, values), f"{name}, best {values[best]:.3f}".lstrip(", "), colour)
    axes.plot(epochs[best], values[best], "o", color=colour, markersize=6)
    axes.set_ylim(0, 1.03)


def _draw_rate(axes: "Axes", rows: History, name: str, colour: Any) -> None:
    axes.set_title("learning rate", fontsize=HEADING, color=INK)
    _draw(axes, series(rows, "lr"), "", colour)
    axes.set_ylim(bottom=0)


def _draw(axes: "Axes", points: tuple[np.ndarray, np.ndarray], label: str, colour: Any, linestyle: str = "-") -> None:
    if len(points[0]):
        marker = "." if len(points[0]) <= 40 else ""  # a single epoch is no line
        axes.plot(*points, linestyle, marker=marker, color=colour, linewidth=1.6, label=label)


def _finish(axes: "Axes") -> None:
    axes.xaxis.set_major_locator(require("matplotlib.ticker", "drawing a figure").MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=TEXT, color=INK)
    axes.tick_params(labelsize=SMALL, colors=PALE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e5e5", linewidth=0.6)
    if any(axes.get_legend_handles_labels()[1]):
        axes.legend(fontsize=SMALL, frameon=False)
