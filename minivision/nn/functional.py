"""The operations under the names of `torch.nn.functional`."""

from minivision.functions.activation import leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from minivision.functions.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from minivision.functions.dropout import dropout, dropout2d
from minivision.functions.linear import linear
from minivision.functions.loss import cross_entropy, l1_loss, mse_loss, weighted_cross_entropy
from minivision.functions.normalization import batch_norm, group_norm, instance_norm
from minivision.functions.padding import pad
from minivision.functions.pooling import (
    adaptive_avg_pool2d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool2d,
)
from minivision.functions.shape import center_crop
from minivision.functions.upsampling import interpolate

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "center_crop",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "dropout",
    "dropout2d",
    "group_norm",
    "instance_norm",
    "interpolate",
    "l1_loss",
    "leaky_relu",
    "linear",
    "log_softmax",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool2d",
    "mse_loss",
    "pad",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
    "weighted_cross_entropy",
]
