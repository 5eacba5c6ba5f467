"""The tables, one module for each topic, with `CASES` that must agree with PyTorch and `REJECTED`, which PyTorch refuses too.

What PyTorch answers for a topic is in `TOPIC.npz` beside its module.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def topics() -> dict[str, ModuleType]:
    """Every topic by name."""
    return {m.name: importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)}
