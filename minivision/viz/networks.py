"""What a network computes and what it has learned: feature maps and kernels."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minivision.viz.colours import as_array
from minivision.viz.figures import HEADING, INK, SMALL, new_figure, show_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def feature_maps(
    tensor: Any, *, max_channels: int = 32, columns: int = 8, cmap: str = "magma", title: str | None = None
) -> "Figure":
    """Draw the channels of an activation as a gallery.

    Parameters
    ----------
    tensor : (C, H, W), or (1, C, H, W); for another image of a batch pass `tensor[i]`.
    max_channels : the first so many are drawn.

    Each channel is scaled from its own minimum (dark) to its own maximum (bright); both numbers stand under it.

    Raises `ValueError` for another shape.
    """
    maps = as_array(tensor)
    if maps.ndim == 4 and len(maps) == 1:
        maps = maps[0]
    if maps.ndim != 3 or 0 in maps.shape:
        raise ValueError(f"feature_maps: tensor must be (C, H, W) or (1, C, H, W), but its shape is {as_array(tensor).shape}")
    shown = maps[:max_channels]
    columns = min(columns, len(shown))
    rows = math.ceil(len(shown) / columns)
    height = 1.15 * maps.shape[1] / maps.shape[2] + 0.2
    figure = new_figure(1.15 * columns, height * rows + 0.4, f"{len(shown)} feature maps of {maps.shape[1]} x {maps.shape[2]}")
    figure.suptitle(
        title or f"{len(shown)} of {len(maps)} channels, {maps.shape[1]} x {maps.shape[2]}", fontsize=HEADING, color=INK
    )
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for channel, (axes, plane) in enumerate(zip(grid, shown, strict=False)):
        show_picture(axes, plane, caption=f"{channel}: {plane.min():.2g} to {plane.max():.2g}", cmap=cmap)
        axes.xaxis.label.set_fontsize(SMALL - 2)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    return figure


def kernels(weight: Any, *, max_out: int = 16, max_in: int = 16, title: str | None = None) -> "Figure":
    """Draw the kernels of a convolution.

    Parameters
    ----------
    weight : (out, in, kh, kw), the weight of a Conv2d, or of a ConvTranspose2d with its first two axes swapped; with in = 3 each
        kernel is drawn as one colour picture (0 is mid-grey), otherwise each row is an output, each column an input channel,
        and blue is negative, red positive.
    max_out, max_in : the first so many are drawn.

    All kernels share one scale, symmetric about 0.

    Raises `ValueError` for another shape.
    """
    values = as_array(weight)
    if values.ndim != 4 or 0 in values.shape:
        raise ValueError(f"kernels: weight must be (out, in, kh, kw), but its shape is {values.shape}")
    shown = values[:max_out, : max(max_in, 3) if values.shape[1] == 3 else max_in]
    limit = float(abs(shown).max()) or 1.0
    heading = title or f"weight (out, in, kh, kw) = {values.shape}, from {-limit:.2g} to {limit:.2g}"
    alt = f"Kernels of a convolution, weight of shape {values.shape}"
    if shown.shape[1] == 3:
        heading += ", 0 is grey" * (title is None)
        columns = min(8, len(shown))
        rows = math.ceil(len(shown) / columns)
        figure = new_figure(0.9 * columns, 0.9 * rows + 0.5, alt)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, kernel in zip(grid, shown, strict=False):
            show_picture(axes, np.moveaxis(0.5 + 0.5 * kernel / limit, 0, -1))
        for axes in grid[len(shown) :]:
            axes.set_axis_off()
    else:
        rows, columns = shown.shape[:2]
        figure = new_figure(max(0.55 * columns + 1.0, 3.5), 0.55 * rows + 0.8, alt)
        grid = figure.subplots(rows, columns, squeeze=False)
        drawn: Any = None
        for (row, column), axes in np.ndenumerate(grid):
            drawn = show_picture(axes, shown[row, column], cmap="RdBu_r", vmin=-limit, vmax=limit)
            if row == 0:
                axes.set_title(f"in {column}" if column == 0 else str(column), fontsize=SMALL - 1)
            if column == 0:
                axes.set_ylabel(f"out {row}" if row == 0 else str(row), fontsize=SMALL - 1, rotation=0, ha="right", va="center")
        bar = figure.colorbar(drawn, ax=grid, shrink=0.8, ticks=[-limit, 0, limit], format="%.2g")
        bar.ax.tick_params(labelsize=SMALL)
    figure.suptitle(heading, fontsize=HEADING, color=INK)
    return figure
