"""Every differentiable operation, its forward and its backward written out: one file per lecture topic.

A file holds the `Function` classes (the mathematics) and, under them, the callables that users meet as `minivision.NAME` or
`minivision.nn.functional.NAME`. The classes serve by hand too, on plain arrays:

    f = MaxPool(2)
    y = f.forward(x)
    dx = f.backward(dy)
"""

from minivision.functions import methods as methods  # gives Tensor its operators
from minivision.functions.activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from minivision.functions.convolution import Convolution, TransposedConvolution
from minivision.functions.dropout import Dropout
from minivision.functions.linear import Linear, MatMul
from minivision.functions.loss import CrossEntropy
from minivision.functions.normalization import BatchNorm, GroupNorm
from minivision.functions.padding import ConstantPad, ReflectPad
from minivision.functions.pooling import AdaptiveAvgPool, AvgPool, MaxPool, MaxUnpool
from minivision.functions.shape import center_crop
from minivision.functions.upsampling import Interpolate

__all__ = [
    "AdaptiveAvgPool",
    "AvgPool",
    "BatchNorm",
    "ConstantPad",
    "Convolution",
    "CrossEntropy",
    "Dropout",
    "GroupNorm",
    "Interpolate",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "MaxUnpool",
    "ReLU",
    "ReflectPad",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "TransposedConvolution",
    "center_crop",
]
