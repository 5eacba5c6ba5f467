"""minivision: segmentation and detection networks from scratch on NumPy, every derivative written out.

Public names are PyTorch's, so that `import minivision as torch` carries a teaching model across: `minivision.nn`,
`minivision.nn.functional`, `minivision.optim`. The rooms that need more than NumPy are imported by name:
`minivision.data`, `minivision.models`, `minivision.metrics`, `minivision.training`, `minivision.viz`.
"""

from minivision import autograd, nn, optim
from minivision.autograd import Function, Tensor, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from minivision.autograd.dtypes import (
    bool_ as bool,
)
from minivision.autograd.dtypes import (
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from minivision.backend import Device as device
from minivision.backend import Generator, cuda, default_generator, manual_seed
from minivision.functions.activation import log_softmax, relu, sigmoid, softmax, tanh
from minivision.functions.arithmetic import (
    abs_ as abs,
)
from minivision.functions.arithmetic import (
    add,
    ceil,
    clamp,
    cos,
    div,
    eq,
    exp,
    floor,
    ge,
    gt,
    is_tensor,
    isfinite,
    isinf,
    isnan,
    le,
    log,
    logical_and,
    logical_not,
    logical_or,
    lt,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    pow,
    round,
    sign,
    sin,
    sqrt,
    square,
    sub,
    where,
)
from minivision.functions.conversion import clone
from minivision.functions.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from minivision.functions.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from minivision.functions.linear import bmm, matmul, mm
from minivision.functions.reduction import all, amax, amin, any, argmax, argmin, logsumexp, max, mean, min, norm, std, sum, var
from minivision.functions.shape import (
    cat,
    chunk,
    concat,
    flatten,
    flip,
    narrow,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    t,
    transpose,
    unbind,
    unsqueeze,
)

__version__ = "0.1.0"

# PyTorch's short names for dtypes
half, float, double = float16, float32, float64
short, int, long = int16, int32, int64

__all__ = [name for name in dir() if not name.startswith("_")]
