"""minivision and PyTorch as the case table sees them: how to make a tensor, and where an operation of a given name is."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import numpy as np

import minivision.functions
import minivision.ops
from minivision.autograd import Tensor
from tests.oracle.cases import Library


def minivision_library(device: str = "cpu") -> Library:
    """minivision, with every tensor on `device`."""
    operations = public_operations()

    def tensor(array: np.ndarray, requires_grad: bool) -> Tensor:
        x = Tensor(array.copy()).to(device)
        return x.requires_grad_() if requires_grad else x

    def find(name: str) -> Callable[..., Any]:
        found = operations.get(name) or operations.get(f"{name}_") or getattr(minivision.ops, name, None)
        return found or getattr(Tensor, name)

    return Library(tensor, find)


def public_operations() -> dict[str, Callable[..., Any]]:
    """Every callable that the files of minivision.functions define for users, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for module in operation_modules():
        for name, value in vars(module).items():
            own = getattr(value, "__module__", "").startswith("minivision.functions")
            if callable(value) and own and not name.startswith("_") and not isinstance(value, type):
                found.setdefault(name, value)
    return found


def operation_modules() -> list[Any]:
    """The modules of minivision.functions, all the way down."""
    package = minivision.functions
    names = [m.name for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [importlib.import_module(name) for name in sorted(names)]


def torch_library() -> Library:
    """PyTorch, and torchvision for the operations on boxes and regions."""
    import torch
    import torch.nn.functional as F

    def tensor(array: np.ndarray, requires_grad: bool) -> Any:
        return torch.from_numpy(np.array(array)).requires_grad_(requires_grad)

    def find(name: str) -> Callable[..., Any]:
        for place in (F, torch, torch.Tensor):
            if hasattr(place, name):
                return getattr(place, name)
        if hasattr(minivision.ops, name):
            return getattr(torchvision_ops(), name)
        raise AttributeError(f"PyTorch has no operation {name}")

    return Library(tensor, find)


def torchvision_ops() -> Any:
    """`torchvision.ops`, its compiled operations included."""
    import torch

    try:
        from torchvision import extension, ops

        extension._assert_has_ops()
    except (ImportError, RuntimeError, OSError) as error:  # also: installed, but built for another PyTorch
        raise ImportError(
            f"operations on boxes and regions are compared with torchvision, which does not work here ({error}); install the "
            f"release that goes with PyTorch {torch.__version__}: pip install torchvision"
        ) from error
    return ops
