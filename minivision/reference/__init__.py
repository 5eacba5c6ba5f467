"""The definitions: the operations that lectures teach, as loops that read like their formulas. NumPy only, and slow on purpose.

Every function takes and returns NumPy arrays, (N, C, H, W) for images. Nothing here knows the rest of minivision, so it serves as
the oracle of the tests and as the first cell of a notebook; `minivision.nn.functional` has the same operations fast. An int for
a stride, a padding or a size means the same number along both axes.
"""

from minivision.reference.convolution import (
    conv1d,
    conv2d,
    conv2d_backward,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose2d_backward,
)
from minivision.reference.loss import cross_entropy, cross_entropy_backward, log_softmax, softmax
from minivision.reference.normalization import batch_norm
from minivision.reference.pooling import (
    avg_pool2d,
    avg_pool2d_backward,
    bed_of_nails,
    max_pool2d,
    max_pool2d_backward,
    max_unpool2d,
)
from minivision.reference.roi import bilinear, roi_align
from minivision.reference.upsampling import interpolate, source_position

__all__ = [
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "bed_of_nails",
    "bilinear",
    "conv1d",
    "conv2d",
    "conv2d_backward",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "interpolate",
    "log_softmax",
    "max_pool2d",
    "max_pool2d_backward",
    "max_unpool2d",
    "roi_align",
    "softmax",
    "source_position",
]
