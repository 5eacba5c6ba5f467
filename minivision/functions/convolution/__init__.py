"""Convolution and transposed convolution, of one set of three faces (see `faces.py`)."""

from minivision.functions.convolution.direct import Convolution, conv1d, conv2d, conv3d
from minivision.functions.convolution.transposed import (
    TransposedConvolution,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)

__all__ = [
    "Convolution",
    "TransposedConvolution",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]
