"""Write tests/cupy_names.txt: what the real CuPy offers, for the strict stand-in and for test_cupy_names.py.

Run it where CuPy is installed; a GPU is not needed:

    pip install cupy-cuda13x && python tests/generate_cupy_names.py

One line per public name: functions and methods with their parameters, ufuncs with the methods that they implement.
"""

from __future__ import annotations

import inspect
import operator
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import cupy

# Functions that take **kwargs and refuse all but a few of them when called (read in CuPy's source).
EXPLICIT = {
    "einsum": "*operands, dtype=..., optimize=...",
    "meshgrid": "*xi, indexing=..., copy=..., sparse=...",
    "pad": "array, pad_width, mode=..., *, constant_values=..., end_values=..., stat_length=..., reflect_type=...",
    "from_dlpack": "array, *, device=..., copy=...",
    "min_scalar_type": "a",
    "size": "a, axis=...",
    "matmul": "x1, x2, /, out=..., *, axes=..., axis=..., keepdims=..., casting=..., dtype=..., order=...",
}
SUBMODULES = ("linalg", "fft", "random", "lib.stride_tricks", "cuda", "cuda.runtime")
RUNTIME = re.compile("get|driverGetVersion|runtimeGetVersion|memGetInfo|deviceSynchronize")  # of some 80 names


def parameters(signature: inspect.Signature) -> str:
    """`a, axis=..., out=...`: the defaults themselves do not matter, only that there is one."""
    shown = []
    for parameter in signature.parameters.values():
        default = ... if parameter.default is not parameter.empty else parameter.empty
        shown.append(parameter.replace(default=default, annotation=parameter.empty))
    text = str(inspect.Signature(shown)).replace("Ellipsis", "...")
    return re.sub(r" ?= ?", "=", text)[1:-1]


def method_parameters(docstring: str) -> str | None:
    """The parameters of a compiled method, from the signature that Cython puts into the docstring's first line."""
    found = re.match(r"_ndarray_base\.\w+\((.*?)\)( ->|\n|$)", docstring)
    if found is None:
        return None
    shown = []
    for item in filter(None, (part.strip() for part in found[1].split(","))):
        declaration, has_default, _ = item.partition("=")
        shown.append(declaration.split()[-1] + ("=..." if has_default else ""))
    return ", ".join(shown)


def describe(name: str, value: Any) -> str:
    if isinstance(value, cupy.ufunc):
        methods = ["at"] if value._scatter_op else []
        if value.name in ("cupy_add", "cupy_multiply"):
            methods += ["reduce", "accumulate"]
        if value.name == "cupy_add":
            methods += ["reduceat"]
        return " ".join([name, "ufunc", *methods, "outer"])
    if name in EXPLICIT:
        return f"{name}({EXPLICIT[name]})"
    if callable(value) and not inspect.isclass(value):
        try:
            return f"{name}({parameters(inspect.signature(value))})"
        except (TypeError, ValueError):
            return f"{name}(*args, **kwargs)"
    return name


def public(owner: Any) -> list[tuple[str, Any]]:
    members = [(name, getattr(owner, name)) for name in sorted(dir(owner)) if not name.startswith("_")]
    return [(name, value) for name, value in members if not isinstance(value, ModuleType) and name != "annotations"]


def module_lines() -> list[str]:
    result = [describe(name, value) for name, value in public(cupy)]
    for path in SUBMODULES:
        module = operator.attrgetter(path)(cupy)
        for name, value in public(module):
            if path != "cuda.runtime" or RUNTIME.match(name):
                result.append(describe(f"{path}.{name}", value))
    return result


def array_lines() -> list[str]:
    result = [f"ndarray.{name}" for name in sorted(set(dir(cupy.ndarray)) - set(dir(object))) if name.startswith("__")]
    for name, value in public(cupy.ndarray):
        text = method_parameters(value.__doc__ or "")
        result.append(describe(f"ndarray.{name}", value) if text is None else f"ndarray.{name}({text})")
    return result


if __name__ == "__main__":
    target = Path(__file__).with_name("cupy_names.txt")
    header = f"# CuPy {cupy.__version__}; written by generate_cupy_names.py"
    target.write_text("\n".join([header, *module_lines(), *array_lines()]) + "\n")
