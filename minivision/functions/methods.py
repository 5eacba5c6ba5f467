"""The operators and methods of Tensor that are operations: one table, installed when `minivision.functions` is imported."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Tensor
from minivision.functions import (
    activation,
    arithmetic,
    clamping,
    contraction,
    conversion,
    division,
    elementwise,
    gathering,
    inplace,
    linear,
    norms,
    piecewise_activation,
    rearranging,
    reduction,
    sampling,
    scanning,
    shape,
    sorting,
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

METHODS: dict[str, Any] = {
    # Python's own names cannot be used for module-level functions, so these are renamed
    "abs": arithmetic.abs_,
    "unfold": unfolding.tensor_unfold,  # `functional.unfold` is another operation
    "float": conversion.float_,
    "int": conversion.int_,
    "bool": conversion.bool_,
    **{
        name: getattr(arithmetic, name)
        for name in [
            "add",
            "sub",
            "mul",
            "div",
            "pow",
            "neg",
            "exp",
            "log",
            "sqrt",
            "square",
            "sin",
            "cos",
            "sign",
            "floor",
            "ceil",
            "round",
            "maximum",
            "minimum",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "isnan",
            "isinf",
            "isfinite",
            "logical_and",
            "logical_or",
            "logical_not",
            "subtract",
            "multiply",
            "divide",
            "true_divide",
            "negative",
            "absolute",
            "fix",
            "trunc",
            "sgn",
        ]
    },
    **{name: getattr(sampling, name) for name in ["bernoulli", "multinomial"]},
    **{name: getattr(clamping, name) for name in ["clamp", "clamp_min", "clamp_max", "clip"]},
    **{name: getattr(division, name) for name in ["remainder", "fmod", "floor_divide", "frac"]},
    **{
        name: getattr(elementwise, name)
        for name in [
            "addcdiv",
            "addcmul",
            "allclose",
            "arctan2",
            "atan2",
            "bitwise_and",
            "bitwise_not",
            "bitwise_or",
            "bitwise_xor",
            "equal",
            "hypot",
            "isclose",
            "lerp",
            "logaddexp",
            "logical_xor",
            "nan_to_num",
            "positive",
            "xlogy",
        ]
    },
    **{
        name: getattr(transcendental, name)
        for name in [
            "acos",
            "acosh",
            "arccos",
            "arccosh",
            "arcsin",
            "arcsinh",
            "arctan",
            "arctanh",
            "asin",
            "asinh",
            "atan",
            "atanh",
            "cosh",
            "deg2rad",
            "erf",
            "erfc",
            "exp2",
            "expm1",
            "log1p",
            "log2",
            "log10",
            "rad2deg",
            "reciprocal",
            "rsqrt",
            "sinc",
            "sinh",
            "tan",
        ]
    },
    **{
        name: getattr(reduction, name)
        for name in [
            "sum",
            "mean",
            "var",
            "std",
            "max",
            "min",
            "amax",
            "amin",
            "argmax",
            "argmin",
            "logsumexp",
            "aminmax",
            "count_nonzero",
            "nanmean",
            "nansum",
            "all",
            "any",
        ]
    },
    **{
        name: getattr(shape, name)
        for name in [
            "reshape",
            "view",
            "view_as",
            "flatten",
            "squeeze",
            "unsqueeze",
            "permute",
            "transpose",
            "t",
            "expand",
            "expand_as",
            "repeat",
            "split",
            "chunk",
            "unbind",
            "narrow",
            "flip",
        ]
    },
    **{name: getattr(linear, name) for name in ["matmul", "mm", "bmm"]},
    **{
        name: getattr(contraction, name)
        for name in [
            "addbmm",
            "addmm",
            "addmv",
            "addr",
            "baddbmm",
            "dot",
            "ger",
            "inner",
            "kron",
            "mv",
            "outer",
            "vdot",
        ]
    },
    **{
        name: getattr(gathering, name)
        for name in [
            "gather",
            "index_add",
            "index_copy",
            "index_fill",
            "index_select",
            "masked_fill",
            "masked_select",
            "nonzero",
            "scatter",
            "scatter_add",
            "take",
            "take_along_dim",
        ]
    },
    **{
        name: getattr(norms, name)
        for name in [
            "dist",
            "norm",
        ]
    },
    **{
        name: getattr(rearranging, name)
        for name in [
            "broadcast_to",
            "diag",
            "diag_embed",
            "diagflat",
            "diagonal",
            "dsplit",
            "fliplr",
            "flipud",
            "hsplit",
            "moveaxis",
            "movedim",
            "ravel",
            "repeat_interleave",
            "roll",
            "rot90",
            "select",
            "swapaxes",
            "swapdims",
            "tensor_split",
            "tile",
            "trace",
            "tril",
            "triu",
            "unflatten",
            "vsplit",
        ]
    },
    **{
        name: getattr(scanning, name)
        for name in [
            "cummax",
            "cummin",
            "cumprod",
            "cumsum",
            "logcumsumexp",
            "prod",
        ]
    },
    **{
        name: getattr(sorting, name)
        for name in [
            "argsort",
            "kthvalue",
            "median",
            "msort",
            "sort",
            "topk",
        ]
    },
    **{name: getattr(piecewise_activation, name) for name in ["hardshrink", "prelu"]},
    **{name: getattr(activation, name) for name in ["relu", "sigmoid", "tanh", "softmax", "log_softmax"]},
    **{
        name: getattr(conversion, name)
        for name in ["to", "cpu", "cuda", "half", "double", "long", "byte", "type_as", "clone", "contiguous"]
    },
    **{
        name: getattr(inplace, name)
        for name in [
            *["add_", "sub_", "mul_", "div_", "clamp_", "fill_", "zero_", "copy_", "normal_", "uniform_"],
            *["pow_", "exp_", "log_", "sqrt_", "neg_", "abs_", "floor_", "ceil_", "round_", "relu_", "sigmoid_", "tanh_"],
            *["masked_fill_", "scatter_", "scatter_add_", "index_add_", "index_copy_", "index_fill_"],
            *["lerp_", "addcmul_", "addcdiv_"],
        ]
    },
}

PROPERTIES: dict[str, Any] = {
    "T": lambda x: shape.permute(x, *reversed(range(x.ndim))),
    "mT": lambda x: shape.transpose(x, -1, -2),
}


def install() -> None:
    """Give Tensor its operators and methods."""
    for name, function in (OPERATORS | METHODS).items():
        setattr(Tensor, name, function)
    for name, getter in PROPERTIES.items():
        setattr(Tensor, name, property(getter))


install()
