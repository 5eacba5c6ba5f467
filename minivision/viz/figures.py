"""What all figures share: making one without pyplot, bare picture panels, legends, saving."""

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minivision.data.files import atomic_write
from minivision.data.optional import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, PALE = "#222222", "#777777"
HEADING, TEXT, SMALL = 10, 9, 8  # font sizes in points


def new_figure(width: float, height: float, alt: str) -> "Figure":
    """Return an empty figure of `width` x `height` inches that neither needs a display nor changes pyplot's state.

    `alt` describes the picture in words; it becomes `figure.alt`, the alternative text in a notebook, and the description in
    a saved PNG. The background is opaque white: dark text stays legible on a dark page.
    """
    figure = require("matplotlib.figure", "drawing a figure").Figure(
        figsize=(width, height), layout="constrained", facecolor="white"
    )
    figure.alt = alt
    figure._repr_png_ = lambda: (encoded(figure), {"alt": alt})  # what Jupyter shows when a cell ends with the figure
    return figure


def encoded(figure: Any, dpi: float = 144) -> bytes:
    """Return the figure as the bytes of a PNG file; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    metadata = {"Description": getattr(figure, "alt", ""), "Software": None}
    figure.savefig(buffer, format="png", dpi=dpi, metadata=metadata, bbox_inches="tight", pad_inches=0.1)
    return buffer.getvalue()


def save(figure: Any, path: str | os.PathLike[str], dpi: float = 144) -> None:
    """Write a figure as a PNG file, in one step: never half of it.

    Raises `ValueError` for another suffix than .png, `OSError` naming the file when it cannot be written.
    """
    if not os.fspath(path).lower().endswith(".png"):
        raise ValueError(f"viz.save: {os.fspath(path)} must end in .png")
    content = encoded(figure, dpi)
    with atomic_write(path, sync=False) as file:
        file.write(content)


def show_picture(axes: "Axes", picture: np.ndarray, heading: str = "", caption: str = "", **options: Any) -> Any:
    """Draw a picture (H, W, 3) or a plane (H, W) pixel by pixel, without ticks; a heading above, a caption below."""
    drawn = axes.imshow(picture, interpolation="nearest", **options)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color="#cccccc", linewidth=0.5)
    if heading:
        axes.set_title(heading, fontsize=HEADING, color=INK, fontweight="bold")
    if caption:
        axes.set_xlabel(caption, fontsize=SMALL, color=INK, labelpad=3)
    return drawn


def add_legend(figure: "Figure", names: Sequence[str], colours: Sequence[Any], title: str | None = None) -> None:
    """Put a row of colour patches with names under the panels; colours are RGB of 0..255."""
    Patch = require("matplotlib.patches", "drawing a figure").Patch
    widths = [0.55 + 0.065 * len(name) for name in names]  # inches for a patch and its name, roughly
    one_row = sum(widths) <= figure.get_figwidth()
    figure.legend(
        handles=[
            Patch(facecolor=np.array(colour) / 255, edgecolor="#888888", linewidth=0.5, label=name)
            for name, colour in zip(names, colours, strict=True)
        ],
        loc="outside lower center",
        ncols=len(names) if one_row else max(1, int(figure.get_figwidth() / max(widths))),
        fontsize=SMALL,
        frameon=False,
        title=title,
        title_fontsize=SMALL,
        handlelength=1.2,
    )
