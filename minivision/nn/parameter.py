"""`Parameter`: a tensor that a module learns."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Tensor


class Parameter(Tensor):
    """A leaf tensor that requires a gradient and registers itself when it becomes an attribute of a Module."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        super().__init__(data, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
