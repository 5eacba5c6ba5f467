"""Every public operation with all its names, and every layer with its operation: found, not listed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import minivision
from minivision import nn, ops
from minivision.functions import methods

NOT_OPERATIONS = {
    "checkpoint": "runs any function, and says how to go back through it",
    "is_tensor": "asks what kind of object it got",
    "is_grad_enabled": "asks whether calls are recorded",
    "get_num_threads": "asks how many threads work",
    "set_num_threads": "says how many threads work",
    "manual_seed": "sets the state of the random numbers",
    "bfloat16": "is always an error, which says what there is instead",
}

SYMBOLS = {
    "neg": "-x", "abs": "abs(x)", "add": "x + y", "iadd": "x += y", "sub": "x - y", "isub": "x -= y", "mul": "x * y",
    "imul": "x *= y", "truediv": "x / y", "itruediv": "x /= y", "floordiv": "x // y", "mod": "x % y", "pow": "x ** y",
    "matmul": "x @ y", "eq": "x == y", "ne": "x != y", "lt": "x < y", "le": "x <= y", "gt": "x > y", "ge": "x >= y",
    "pos": "+x", "invert": "~x", "and": "x & y", "or": "x | y", "xor": "x ^ y", "lshift": "x << y", "rshift": "x >> y",
    "getitem": "x[index]",
    "setitem": "x[index] = value",
}  # fmt: skip

LAYERS_WITHOUT_OPERATION = {"Identity", "Module", "ModuleDict", "ModuleList", "Parameter", "Sequential"}


@dataclass(frozen=True)
class Operation:
    """`names` are all the places where users meet it: "minivision.relu", "F.relu", "Tensor.relu"; `name` is the shortest."""

    name: str
    function: Callable[..., Any]
    names: tuple[str, ...]

    @property
    def in_place(self) -> bool:
        return self.name.endswith("_") and not self.name.endswith("__")


def public_names() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every name that is an operation: the top level, `functional`, `ops`, and the methods and operators of Tensor."""
    for prefix, module in (("minivision", minivision), ("F", nn.functional), ("ops", ops)):
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and not isinstance(value, (type, ModuleType)) and name not in NOT_OPERATIONS:
                yield f"{prefix}.{name}", value
    for name, value in (methods.METHODS | methods.OPERATORS).items():
        if name not in NOT_OPERATIONS:
            yield f"Tensor.{name}", value


def discover(names: Iterable[tuple[str, Callable[..., Any]]]) -> dict[str, Operation]:
    """The operations by name; functions that are one and the same object are one operation."""
    names = list(names)
    functions = dict(names)
    found: dict[int, tuple[Callable[..., Any], list[str]]] = {}
    for name, function in names:
        original = functions.get(_not_wrapped(name), function)
        found.setdefault(id(original), (original, []))[1].append(name)
    operations: dict[str, Operation] = {}
    for function, places in found.values():
        name = _shortest(function, places, operations)
        operations[name] = Operation(name, function, tuple(places))
    return operations


def _not_wrapped(name: str) -> str:
    """`2 + x` and `x == y` stand in the table of operators as small functions around the operation."""
    reflected = re.fullmatch(r"Tensor\.__r(\w+)__", name)
    if reflected:
        return f"Tensor.__{reflected[1]}__"
    return {"Tensor.__eq__": "Tensor.eq", "Tensor.__ne__": "Tensor.ne"}.get(name, name)


def _shortest(function: Callable[..., Any], places: list[str], taken: dict[str, Operation]) -> str:
    bare = [place.partition(".")[2] for place in places]
    own = function.__name__
    name = next((n for n in (own, own.rstrip("_")) if n in bare), bare[0])
    return places[0] if name in taken else name


OPERATIONS = discover(public_names())


def by_any_name(name: str, operations: dict[str, Operation] = OPERATIONS) -> Operation | None:
    """The operation that is called "conv2d", "F.conv2d", "ops.roi_align", "Tensor.view" or "x += y"; None if none is."""
    name = next((f"Tensor.__{bare}__" for bare, symbol in SYMBOLS.items() if symbol == name), name)
    if name in operations:
        return operations[name]
    places = [o for o in operations.values() if name in o.names]
    aliases = [o for o in operations.values() if name in [place.partition(".")[2] for place in o.names]]
    return next(iter(places + aliases), None)


# ---- layers ----


def layers() -> dict[str, str | None]:
    """The name of the operation that each class of `nn` and `ops` calls, by "nn.Conv2d" and the like."""
    found = {}
    for prefix, module in (("nn", nn), ("ops", ops)):
        for name in module.__all__:
            value = getattr(module, name)
            if isinstance(value, type) and name not in LAYERS_WITHOUT_OPERATION:
                operation = operation_of(value)
                found[f"{prefix}.{name}"] = operation.name if operation else None
    return found


def operation_of(layer: type) -> Operation | None:
    """The operation of a layer: its attribute `function`, or what its docstring refers to, or the one of the same name."""
    for candidate in layer.__mro__:
        function = vars(candidate).get("function")
        if isinstance(function, staticmethod):
            return next((o for o in OPERATIONS.values() if o.function is function.__func__), None)
        referred = re.search(r"`(?:functional|F|ops)\.(\w+)`", vars(candidate).get("__doc__") or "")
        if referred:
            return by_any_name(f"F.{referred[1]}") or by_any_name(referred[1])
        own_name = candidate.__name__.lower().removesuffix("2d")
        same = [o for name, o in OPERATIONS.items() if name.replace("_", "") == own_name]
        if same:
            return same[0]
    referred = re.search(r"`functional\.(\w+)`", inspect.getdoc(inspect.getmodule(layer)) or "")
    return by_any_name(f"F.{referred[1]}") if referred else None
