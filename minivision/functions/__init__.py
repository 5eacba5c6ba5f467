"""Every differentiable operation, its forward and its backward written out: one file per lecture topic.

A file holds the `Function` classes (the mathematics) and, under them, the callables that users meet as `minivision.NAME` or
`minivision.nn.functional.NAME`. The classes serve by hand too, on plain arrays:

    f = MaxPool(2)
    y = f.forward(x)
    dx = f.backward(dy)
"""

from typing import Any

from minivision.autograd import Function
from minivision.autograd.engine import take_rules_from
from minivision.functions import methods as methods  # gives Tensor its operators
from minivision.functions.activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from minivision.functions.adaptive_pooling import AdaptiveAvgPool, AdaptiveMaxPool
from minivision.functions.convolution import Convolution, TransposedConvolution
from minivision.functions.corner_pooling import CornerPool
from minivision.functions.dropout import Dropout
from minivision.functions.grid_sampling import GridSample
from minivision.functions.linear import Linear, MatMul
from minivision.functions.loss import CrossEntropy
from minivision.functions.normalization import BatchNorm, GroupNorm
from minivision.functions.padding import CircularPad, ConstantPad, ReflectPad, ReplicatePad
from minivision.functions.pooling import AvgPool, MaxPool
from minivision.functions.recurrent import GRU, LSTM, RNN
from minivision.functions.roi import PrRoIPool, RoIAlign, RoIPool
from minivision.functions.shape import center_crop
from minivision.functions.unfolding import Fold, Unfold
from minivision.functions.unpooling import MaxUnpool
from minivision.functions.upsampling import BedOfNails, Interpolate

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool",
    "AdaptiveMaxPool",
    "AvgPool",
    "BatchNorm",
    "BedOfNails",
    "CircularPad",
    "ConstantPad",
    "Convolution",
    "CornerPool",
    "CrossEntropy",
    "Dropout",
    "Fold",
    "GridSample",
    "GroupNorm",
    "Interpolate",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "MaxUnpool",
    "PrRoIPool",
    "ReLU",
    "ReflectPad",
    "ReplicatePad",
    "RoIAlign",
    "RoIPool",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "TransposedConvolution",
    "Unfold",
    "center_crop",
]


def _rule_of(node: Function) -> Any:
    """The rule for the gradient of a gradient; loaded when the first `create_graph=True` asks for one."""
    from minivision.functions.second_order import rule_of

    return rule_of(node)


take_rules_from(_rule_of)
