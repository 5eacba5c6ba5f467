"""The operators and methods of Tensor that are operations: one table, installed when `minivision.functions` is imported."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from minivision.autograd import Tensor
from minivision.functions import (
    activation,
    arithmetic,
    clamping,
    contraction,
    conversion,
    creation,
    differences,
    division,
    elementwise,
    floating_point,
    gamma_function,
    gathering,
    inplace,
    linear,
    norms,
    piecewise_activation,
    rearranging,
    reduction,
    sampling,
    scanning,
    scattering,
    searching,
    shape,
    smooth_activation,
    sorting,
    statistics,
    transcendental,
    unfolding,
)


def _equality(compare: Any) -> Any:
    """`x == None` and the like are answered by Python: unequal."""

    def operator(x: Tensor, y: Any) -> Any:
        return NotImplemented if y is None or isinstance(y, str) else compare(x, y)

    return operator


OPERATORS: dict[str, Any] = {
    "__neg__": arithmetic.neg,
    "__abs__": arithmetic.abs_,
    "__add__": arithmetic.add,
    "__radd__": lambda x, y: arithmetic.add(y, x),
    "__iadd__": inplace.iadd,
    "__sub__": arithmetic.sub,
    "__rsub__": lambda x, y: arithmetic.sub(y, x),
    "__isub__": inplace.isub,
    "__mul__": arithmetic.mul,
    "__rmul__": lambda x, y: arithmetic.mul(y, x),
    "__imul__": inplace.imul,
    "__truediv__": arithmetic.div,
    "__floordiv__": division.floor_divide,
    "__rfloordiv__": lambda x, y: division.floor_divide(y, x),
    "__mod__": division.remainder,
    "__rmod__": lambda x, y: division.remainder(y, x),
    "__rtruediv__": lambda x, y: arithmetic.div(y, x),
    "__itruediv__": inplace.itruediv,
    "__pow__": arithmetic.pow,
    "__rpow__": lambda x, y: arithmetic.pow(y, x),
    "__matmul__": linear.matmul,
    "__rmatmul__": lambda x, y: linear.matmul(y, x),
    "__eq__": _equality(arithmetic.eq),
    "__ne__": _equality(arithmetic.ne),
    "__lt__": arithmetic.lt,
    "__le__": arithmetic.le,
    "__gt__": arithmetic.gt,
    "__ge__": arithmetic.ge,
    "__lshift__": elementwise.bitwise_left_shift,
    "__rlshift__": lambda x, y: elementwise.bitwise_left_shift(y, x),
    "__rshift__": elementwise.bitwise_right_shift,
    "__rrshift__": lambda x, y: elementwise.bitwise_right_shift(y, x),
    "__pos__": elementwise.positive,
    "__invert__": elementwise.bitwise_not,
    "__and__": elementwise.bitwise_and,
    "__rand__": elementwise.bitwise_and,
    "__or__": elementwise.bitwise_or,
    "__ror__": elementwise.bitwise_or,
    "__xor__": elementwise.bitwise_xor,
    "__rxor__": elementwise.bitwise_xor,
    "__getitem__": shape.getitem,
    "__setitem__": inplace.setitem,
}


def _named(topic: ModuleType, names: str) -> dict[str, Any]:
    """The functions of a topic that are methods under their own names."""
    return {name: getattr(topic, name) for name in names.split()}


METHODS: dict[str, Any] = {
    # Python's own names cannot be used for module-level functions, so these are renamed
    "abs": arithmetic.abs_,
    "unfold": unfolding.tensor_unfold,  # `functional.unfold` is another operation
    "float": conversion.float_,
    "int": conversion.int_,
    "bool": conversion.bool_,
    **_named(
        arithmetic,
        "add sub mul div pow neg exp log sqrt square sin cos sign floor ceil round maximum minimum eq ne "
        "lt le gt ge isnan isinf isfinite logical_and logical_or logical_not subtract multiply divide "
        "true_divide negative absolute fix trunc sgn rsub",
    ),
    **_named(sampling, "bernoulli multinomial"),
    **_named(clamping, "clamp clamp_min clamp_max clip"),
    **_named(division, "remainder fmod floor_divide frac"),
    **_named(
        elementwise,
        "addcdiv addcmul allclose arctan2 atan2 bitwise_and bitwise_not bitwise_or bitwise_xor equal "
        "hypot isclose lerp logaddexp logical_xor nan_to_num positive xlogy bitwise_left_shift "
        "bitwise_right_shift gcd lcm",
    ),
    **_named(
        transcendental,
        "acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh cosh deg2rad erf "
        "erfc exp2 expm1 log1p log2 log10 rad2deg reciprocal rsqrt sinc sinh tan",
    ),
    **_named(
        reduction,
        "sum mean var std max min amax amin argmax argmin logsumexp aminmax count_nonzero nanmean nansum all any",
    ),
    **_named(
        shape,
        "reshape view view_as flatten squeeze unsqueeze permute transpose t expand expand_as repeat split "
        "chunk unbind narrow flip reshape_as split_with_sizes sum_to_size",
    ),
    **_named(
        floating_point,
        "copysign float_power fmax fmin heaviside isneginf isposinf isreal ldexp logaddexp2 signbit",
    ),
    **_named(gamma_function, "digamma lgamma"),
    **_named(differences, "diff"),
    **_named(smooth_activation, "logit"),
    **_named(linear, "matmul mm bmm"),
    **_named(contraction, "addbmm addmm addmv addr baddbmm cross dot ger inner kron mv outer vdot"),
    **_named(
        gathering,
        "gather index_add index_copy index_fill index_select masked_fill masked_select nonzero scatter "
        "scatter_add take take_along_dim",
    ),
    **_named(
        scattering,
        "argwhere diagonal_scatter index_put index_reduce masked_scatter put scatter_reduce select_scatter slice_scatter",
    ),
    **_named(searching, "unique unique_consecutive"),
    **_named(statistics, "bincount corrcoef cov histc mode nanmedian nanquantile quantile"),
    **_named(norms, "dist norm renorm"),
    **_named(
        rearranging,
        "broadcast_to diag diag_embed diagflat diagonal dsplit fliplr flipud hsplit moveaxis movedim "
        "ravel repeat_interleave roll rot90 select swapaxes swapdims tensor_split tile trace tril triu "
        "unflatten vsplit",
    ),
    **_named(scanning, "cummax cummin cumprod cumsum logcumsumexp prod"),
    **_named(sorting, "argsort kthvalue median msort sort topk"),
    **_named(piecewise_activation, "hardshrink prelu"),
    **_named(activation, "relu sigmoid tanh softmax log_softmax"),
    **_named(conversion, "to cpu cuda half double long short char byte bfloat16 type_as clone contiguous"),
    **_named(creation, "new_empty new_full new_ones new_tensor new_zeros"),
    **_named(
        inplace,
        "add_ sub_ mul_ div_ clamp_ fill_ zero_ copy_ normal_ uniform_ pow_ exp_ log_ sqrt_ neg_ abs_ "
        "floor_ ceil_ round_ relu_ sigmoid_ tanh_ masked_fill_ scatter_ scatter_add_ index_add_ "
        "index_copy_ index_fill_ lerp_ addcmul_ addcdiv_ index_put_ masked_scatter_ scatter_reduce_ "
        "index_reduce_",
    ),
}

PROPERTIES: dict[str, Any] = {
    "T": lambda x: shape.permute(x, *reversed(range(x.ndim))),
    "mT": shape.matrix_transpose,
}


def install() -> None:
    """Give Tensor its operators and methods."""
    for name, function in (OPERATORS | METHODS).items():
        setattr(Tensor, name, function)
    for name, getter in PROPERTIES.items():
        setattr(Tensor, name, property(getter))


install()
