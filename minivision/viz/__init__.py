"""Figures computed from real arrays. Needs matplotlib: pip install 'minivision[train]'.

Every figure comes in two parts: a function that computes what is to be seen (`colorize`, `error_map`, ...), which a test can
check by value, and a function that draws it and returns a `matplotlib.figure.Figure`. No figure needs a display or pyplot.
"""

from minivision.viz.colours import CLASS_COLOURS, as_rgb, colorize, error_map, outlines, overlay
from minivision.viz.curves import loss_curve
from minivision.viz.figures import save
from minivision.viz.matrices import confusion_matrix
from minivision.viz.networks import feature_maps, kernels
from minivision.viz.segmentation import compare_models, segmentation_panels

__all__ = [
    "CLASS_COLOURS",
    "as_rgb",
    "colorize",
    "compare_models",
    "confusion_matrix",
    "error_map",
    "feature_maps",
    "kernels",
    "loss_curve",
    "outlines",
    "overlay",
    "save",
    "segmentation_panels",
]
