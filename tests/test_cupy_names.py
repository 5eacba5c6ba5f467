"""Each `xp.<name>` in minivision, and each keyword given to one, exists in the real CuPy (cupy_names.txt)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cupy_names import MODULES, NAMES, VERSION

PACKAGE = Path(__file__).parents[1] / "minivision"
ARRAY_MODULES = {"xp", "cp"}


def chain(node: ast.AST) -> str | None:
    """`xp.lib.stride_tricks.as_strided` -> `lib.stride_tricks.as_strided`; None when it hangs on something else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return ".".join(names) if names and isinstance(node, ast.Name) and node.id in ARRAY_MODULES else None


def resolve(path: str) -> str | None:
    """The entry of CuPy that `path` begins with, None where CuPy has none: `add.at` -> `add`, `pi.real` -> `pi`."""
    parts = path.split(".")
    for length in range(1, len(parts) + 1):
        prefix = ".".join(parts[:length])
        if prefix not in MODULES:
            break
    if prefix in MODULES:
        return prefix
    entry = NAMES.get(prefix)
    if entry is None or (entry.methods is not None and length < len(parts) and parts[length] not in entry.methods):
        return None
    return prefix


def faults(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        path = chain(node)
        if path is not None and resolve(path) is None:
            yield f"line {node.lineno}: cupy.{path} does not exist"
        if isinstance(node, ast.Call) and (path := chain(node.func)) in NAMES and NAMES[path].signature is not None:
            parameters = NAMES[path].signature.parameters
            takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
            for keyword in node.keywords:
                if keyword.arg is not None and keyword.arg not in parameters and not takes_any:
                    yield f"line {node.lineno}: cupy.{path} has no argument {keyword.arg!r}"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_names_exist_in_cupy(path):
    assert list(faults(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "xp.unstack(x)",
        "with xp.errstate(all='ignore'): pass",
        "f = xp.lib.stride_tricks.no_such",
        "xp.linalg.vecdot(x, x)",
        "xp.maximum.reduce(x)",
        "xp.sum(x, initial=0)",
        "xp.exp(x, where=mask)",
        "backend_of(x); cp.scatter_add(x, i, v)",
        "xp.multiply.at(x, i, v)",
    ],
)
def test_faults_are_seen(source):
    assert len(list(faults(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "xp.sum(x, axis=0, keepdims=True).reshape(-1)",
        "xp.add.at(x, i, v)",
        "xp.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(2, 3))",
        "xp.exp(x, out=x)",
        "xp.linalg.norm(x, axis=1)",
        "isinstance(x, xp.ndarray) and xp.float32(1)",
        "other.unstack(x)",
        "xp.einsum('ij->i', x, optimize=True)",
    ],
)
def test_no_false_alarms(source):
    assert list(faults(source)) == []


def test_the_list_is_of_cupy_14():
    assert VERSION.startswith("14.")
    assert {"sum", "add", "ndarray.sum", "linalg.norm", "lib.stride_tricks.as_strided", "cuda.Device"} <= NAMES.keys()
    assert not {"errstate", "unstack", "scatter_add", "nditer"} & NAMES.keys()
