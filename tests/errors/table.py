"""The form of the table: a call as a student would type it, the exception, and its whole message.

In a call, `x(2, 3)` is a float32 tensor of that shape, `x64(2, 3)` a float64 one, `labels(2, 3)` an int64 one of zeros,
`mask(2, 3)` a bool one; `minivision`, `F`, `nn` and `ops` are what they always are.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any

import minivision
from minivision import nn, ops


@dataclass(frozen=True)
class Bad:
    """`operation` is the public name that the message starts with, as `conv2d`, `ops.roi_align` or `Tensor.view`."""

    operation: str
    call: str
    exception: type[Exception]
    message: str

    def run(self, device: Any = "cpu") -> Any:
        def ones(dtype: Any) -> Any:
            return lambda *shape: minivision.ones(shape, dtype=dtype, device=device)

        names = {
            "minivision": minivision,
            "nn": nn,
            "F": nn.functional,
            "ops": ops,
            "x": ones(minivision.float32),
            "x64": ones(minivision.float64),
            "labels": lambda *shape: minivision.zeros(shape, dtype=minivision.int64, device=device),
            "mask": ones(minivision.bool),
            "device": device,
        }
        return eval(self.call, names)


def topics() -> dict[str, list[Bad]]:
    """The tables by topic: `BAD` of every module tests/errors/TOPIC.py."""
    import tests.errors as package

    names = sorted(m.name for m in pkgutil.iter_modules(package.__path__))
    modules = {
        name: importlib.import_module(f"tests.errors.{name}") for name in names if not name.startswith(("test_", "__", "table"))
    }
    return {name: module.BAD for name, module in modules.items()}
