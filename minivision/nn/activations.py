"""Activations as modules; see the functions of the same names, in lower case, in `functional`."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Tensor
from minivision.functions.creation import full
from minivision.functions.operands import as_tensor, check_choice, integer, number
from minivision.nn import functional as F
from minivision.nn.module import Module
from minivision.nn.parameter import Parameter


class _Activation(Module):
    """Calls `function(input, *settings)`, where the settings are the attributes of these names."""

    function: Any
    settings: tuple[str, ...] = ()

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, *(getattr(self, name) for name in self.settings))

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.settings)


class _Switched(_Activation):
    """An activation that takes `inplace` for PyTorch's sake; the input is not changed."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace


class ELU(_Activation):
    """x where positive, alpha (e^x - 1) elsewhere."""

    function, settings = F.elu, ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__()
        self.alpha, self.inplace = number(type(self).__name__, "alpha", alpha), inplace


class CELU(ELU):
    """x where positive, alpha (e^(x / alpha) - 1) elsewhere."""

    function = F.celu


class SELU(_Switched):
    """The self-normalising ELU."""

    function = F.selu


class GELU(_Activation):
    """x times the normal distribution function of x; `approximate` is "none" or "tanh"."""

    function, settings = F.gelu, ("approximate",)

    def __init__(self, approximate: str = "none"):
        super().__init__()
        check_choice("GELU", "approximate", approximate, ("none", "tanh"))
        self.approximate = approximate


class SiLU(_Switched):
    """x times its sigmoid."""

    function = F.silu


class Mish(_Switched):
    """x tanh(softplus x)."""

    function = F.mish


class Softplus(_Activation):
    """ln(1 + e^(beta x)) / beta."""

    function, settings = F.softplus, ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta, self.threshold = number("Softplus", "beta", beta), number("Softplus", "threshold", threshold, infinite=True)


class Softsign(_Activation):
    """x / (1 + |x|)."""

    function = F.softsign


class LogSigmoid(_Activation):
    """The logarithm of the sigmoid."""

    function = F.logsigmoid


class Tanhshrink(_Activation):
    """x - tanh x."""

    function = F.tanhshrink


class Hardtanh(_Activation):
    """x limited to min_val .. max_val."""

    function, settings = F.hardtanh, ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        super().__init__()
        name = type(self).__name__
        min_val, max_val = number(name, "min_val", min_val, infinite=True), number(name, "max_val", max_val, infinite=True)
        if min_val >= max_val:
            raise ValueError(f"{type(self).__name__}: min_val={min_val} must be less than max_val={max_val}")
        self.min_val, self.max_val, self.inplace = min_val, max_val, inplace


class ReLU6(Hardtanh):
    """x limited to 0 .. 6."""

    def __init__(self, inplace: bool = False):
        super().__init__(0.0, 6.0, inplace)


class Hardsigmoid(_Switched):
    """relu6(x + 3) / 6."""

    function = F.hardsigmoid


class Hardswish(_Switched):
    """x relu6(x + 3) / 6."""

    function = F.hardswish


class Hardshrink(_Activation):
    """x where |x| > lambd, else 0."""

    function, settings = F.hardshrink, ("lambd",)

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = number(type(self).__name__, "lambd", lambd)


class Softshrink(Hardshrink):
    """x moved towards 0 by lambd."""

    function = F.softshrink


class Threshold(_Activation):
    """x where it exceeds the threshold, else `value`."""

    function, settings = F.threshold, ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__()
        self.threshold = number("Threshold", "threshold", threshold, infinite=True)
        self.value, self.inplace = number("Threshold", "value", value, infinite=True), inplace


class PReLU(Module):
    """x where positive, else a learned slope times x: one slope, or one for each channel."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25):
        super().__init__()
        self.num_parameters = integer("PReLU", "num_parameters", num_parameters, minimum=1)
        self.init = number("PReLU", "init", init)
        self.weight = Parameter(full((self.num_parameters,), float(self.init)))

    def reset_parameters(self) -> None:
        """The slopes become `init`."""
        self.weight.data.fill_(self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class GLU(_Activation):
    """The first half of x along `dim` times the sigmoid of the second."""

    function, settings = F.glu, ("dim",)

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = integer("GLU", "dim", dim)


class Softmin(_Activation):
    """The softmax of -x along `dim`."""

    function, settings = F.softmin, ("dim",)

    def __init__(self, dim: int | None = None):
        super().__init__()
        self.dim = None if dim is None else integer("Softmin", "dim", dim)


class Softmax2d(Module):
    """The softmax over the channels of images (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor("Softmax2d", "input", input)
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: input has shape {input.shape}, but must be (N, C, H, W) or (C, H, W)")
        return F.softmax(input, dim=-3)


class RReLU(Module):
    """x where positive, else a slope times x, which is drawn for each element in training; see `functional.rrelu`."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}"
