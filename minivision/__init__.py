"""minivision: segmentation and detection networks from scratch on NumPy, every derivative written out.

Public names are PyTorch's, so that `import minivision as torch` carries a teaching model across: `minivision.nn`,
`minivision.nn.functional`, `minivision.optim`, `minivision.ops`. The other rooms, `check`, `reference`, `models`, `data`,
`metrics`, `training` and `viz`, are loaded when they are first asked for; some need more than NumPy and say so then.
"""

import importlib
from typing import TYPE_CHECKING

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
from minivision.autograd.memory_format import MemoryFormat as memory_format
from minivision.autograd.memory_format import channels_last, channels_last_3d, contiguous_format, preserve_format
from minivision.backend import Device as device
from minivision.backend import Generator, cuda, default_generator, manual_seed
from minivision.functions.activation import log_softmax, relu, sigmoid, softmax, tanh
from minivision.functions.adaptive_pooling import adaptive_avg_pool1d, adaptive_max_pool1d
from minivision.functions.arithmetic import (
    abs_ as abs,
)
from minivision.functions.arithmetic import (
    absolute,
    add,
    ceil,
    cos,
    div,
    divide,
    eq,
    exp,
    fix,
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
    multiply,
    ne,
    neg,
    negative,
    pow,
    round,
    rsub,
    sgn,
    sign,
    sin,
    sqrt,
    square,
    sub,
    subtract,
    true_divide,
    trunc,
    where,
)
from minivision.functions.bilinear_form import bilinear
from minivision.functions.checkpointing import checkpoint
from minivision.functions.clamping import clamp, clamp_max, clamp_min, clip
from minivision.functions.contraction import (
    addbmm,
    addmm,
    addmv,
    addr,
    baddbmm,
    cross,
    dot,
    einsum,
    ger,
    inner,
    kron,
    mv,
    outer,
    tensordot,
    vdot,
)
from minivision.functions.conversion import clone
from minivision.functions.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from minivision.functions.convolution.choice import conv_algorithm
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
    logspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    scalar_tensor,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)
from minivision.functions.differences import cumulative_trapezoid, diff, trapezoid, trapz
from minivision.functions.distance import cosine_similarity, pairwise_distance
from minivision.functions.division import floor_divide, fmod, frac, remainder
from minivision.functions.dropout import alpha_dropout, dropout, feature_alpha_dropout
from minivision.functions.elementwise import (
    addcdiv,
    addcmul,
    allclose,
    arctan2,
    atan2,
    bitwise_and,
    bitwise_left_shift,
    bitwise_not,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    equal,
    gcd,
    hypot,
    isclose,
    lcm,
    lerp,
    logaddexp,
    logical_xor,
    nan_to_num,
    positive,
    xlogy,
)
from minivision.functions.embedding import embedding_bag
from minivision.functions.floating_point import (
    copysign,
    float_power,
    fmax,
    fmin,
    heaviside,
    isneginf,
    isposinf,
    isreal,
    ldexp,
    logaddexp2,
    signbit,
)
from minivision.functions.gamma_function import digamma, lgamma
from minivision.functions.gathering import (
    gather,
    index_add,
    index_copy,
    index_fill,
    index_select,
    masked_fill,
    masked_select,
    nonzero,
    scatter,
    scatter_add,
    take,
    take_along_dim,
)
from minivision.functions.likelihood_loss import poisson_nll_loss
from minivision.functions.linear import bmm, matmul, mm
from minivision.functions.margin_loss import cosine_embedding_loss, hinge_embedding_loss, margin_ranking_loss, triplet_margin_loss
from minivision.functions.normalization import rms_norm
from minivision.functions.norms import cdist, dist, norm, pdist, renorm
from minivision.functions.padding import constant_pad_nd
from minivision.functions.piecewise_activation import hardshrink, prelu, rrelu, threshold
from minivision.functions.pooling import avg_pool1d, max_pool1d, max_pool2d, max_pool3d
from minivision.functions.rearranging import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    block_diag,
    broadcast_to,
    cartesian_prod,
    column_stack,
    combinations,
    diag,
    diag_embed,
    diagflat,
    diagonal,
    dsplit,
    dstack,
    fliplr,
    flipud,
    hsplit,
    hstack,
    meshgrid,
    moveaxis,
    movedim,
    ravel,
    repeat_interleave,
    roll,
    rot90,
    row_stack,
    select,
    swapaxes,
    swapdims,
    tensor_split,
    tile,
    trace,
    tril,
    triu,
    unflatten,
    vsplit,
    vstack,
)
from minivision.functions.recurrent import (
    gru,
    gru_cell,
    lstm,
    lstm_cell,
    rnn_relu,
    rnn_relu_cell,
    rnn_tanh,
    rnn_tanh_cell,
)
from minivision.functions.reduction import (
    all,
    amax,
    amin,
    aminmax,
    any,
    argmax,
    argmin,
    count_nonzero,
    logsumexp,
    max,
    mean,
    min,
    nanmean,
    nansum,
    std,
    std_mean,
    sum,
    var,
    var_mean,
)
from minivision.functions.sampling import bernoulli, multinomial, normal
from minivision.functions.scanning import (
    cummax,
    cummin,
    cumprod,
    cumsum,
    logcumsumexp,
    prod,
)
from minivision.functions.scattering import (
    argwhere,
    diagonal_scatter,
    fill,
    index_put,
    index_reduce,
    masked_scatter,
    put,
    scatter_reduce,
    select_scatter,
    slice_scatter,
    unravel_index,
)
from minivision.functions.searching import bucketize, isin, searchsorted, unique, unique_consecutive
from minivision.functions.shape import (
    broadcast_shapes,
    broadcast_tensors,
    cat,
    chunk,
    concat,
    flatten,
    flip,
    narrow,
    permute,
    reshape,
    split,
    split_with_sizes,
    squeeze,
    stack,
    t,
    transpose,
    unbind,
    unsqueeze,
)
from minivision.functions.shuffling import channel_shuffle, pixel_shuffle, pixel_unshuffle
from minivision.functions.smooth_activation import celu, logit, selu
from minivision.functions.sorting import (
    argsort,
    kthvalue,
    median,
    msort,
    sort,
    topk,
)
from minivision.functions.statistics import bincount, corrcoef, cov, histc, mode, nanmedian, nanquantile, quantile
from minivision.functions.transcendental import (
    acos,
    acosh,
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctanh,
    asin,
    asinh,
    atan,
    atanh,
    cosh,
    deg2rad,
    erf,
    erfc,
    exp2,
    expm1,
    log1p,
    log2,
    log10,
    rad2deg,
    reciprocal,
    rsqrt,
    sinc,
    sinh,
    tan,
)
from minivision.threads import get_num_threads, set_num_threads

__version__ = "0.1.0"

if TYPE_CHECKING:
    from minivision import check, data, metrics, models, ops, reference, training, utils, viz
    from minivision.functions.matrix import conv_matrix, conv_transpose_matrix, linear_matrix
    from minivision.profiling import profile

_ROOMS = ("check", "data", "metrics", "models", "ops", "reference", "training", "utils", "viz")
_MATRICES = ("conv_matrix", "conv_transpose_matrix", "linear_matrix")
_ON_DEMAND = {room: f"minivision.{room}" for room in _ROOMS} | dict.fromkeys(_MATRICES, "minivision.functions.matrix")
_ON_DEMAND["profile"] = "minivision.profiling"

# PyTorch's short names for dtypes
half, float, double = float16, float32, float64
short, int, long = int16, int32, int64

__all__ = [name for name in dir() if not name.startswith("_") and name not in ("TYPE_CHECKING", "importlib")]
__all__ += _ON_DEMAND


def __getattr__(name: str) -> object:
    """Import on demand: what most programs never use costs nothing at `import minivision`."""
    if name not in _ON_DEMAND:
        raise AttributeError(f"module 'minivision' has no attribute {name!r}")
    module = importlib.import_module(_ON_DEMAND[name])
    return module if _ON_DEMAND[name].endswith(f".{name}") else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ON_DEMAND})
