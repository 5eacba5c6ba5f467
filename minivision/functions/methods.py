"""The operators and methods of Tensor that are operations: one table, installed when `minivision.functions` is imported."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Tensor
from minivision.functions import activation, arithmetic, conversion, inplace, linear, reduction, shape


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
    "__invert__": arithmetic.logical_not,
    "__and__": arithmetic.logical_and,
    "__or__": arithmetic.logical_or,
    "__getitem__": shape.getitem,
    "__setitem__": inplace.setitem,
}

METHODS: dict[str, Any] = {
    # Python's own names cannot be used for module-level functions, so these are renamed
    "abs": arithmetic.abs_,
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
            "clamp",
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
            "norm",
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
    **{name: getattr(activation, name) for name in ["relu", "sigmoid", "tanh", "softmax", "log_softmax"]},
    **{
        name: getattr(conversion, name)
        for name in ["to", "cpu", "cuda", "half", "double", "long", "byte", "type_as", "clone", "contiguous"]
    },
    **{
        name: getattr(inplace, name)
        for name in ["add_", "sub_", "mul_", "div_", "clamp_", "fill_", "zero_", "copy_", "normal_", "uniform_"]
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
