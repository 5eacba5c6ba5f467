"""The autograd engine: `Tensor`, `Function`, the backward walk, `no_grad`. It knows no operation."""

from minivision.autograd.engine import grad
from minivision.autograd.function import Function
from minivision.autograd.grad_mode import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from minivision.autograd.tensor import Tensor

__all__ = ["Function", "Tensor", "enable_grad", "grad", "is_grad_enabled", "no_grad", "set_grad_enabled"]
