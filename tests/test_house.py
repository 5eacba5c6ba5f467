"""The house rule: imports run downward only. A room may import itself and the floors below, never beside or above.

Imports inside functions and under TYPE_CHECKING count too. The floors are those of the table in CONTRIBUTING.md.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "minivision"
ROOT = "minivision/__init__"  # gathers the public names of the floors under it

FLOORS: dict[str, float] = {
    "backend": 0,
    "threads": 0,
    "memory": 0.5,  # of floor 0, but asks `backend` where an array lives
    "blocks": 0.5,  # of floor 0, but shares its work out over `threads`
    "kernels": 0,
    "reference": 0,
    "autograd": 1,
    "profiling": 1.5,  # of floor 1, around its calls
    "functions": 2,
    "nn": 3,
    "optim": 3,
    "utils": 3,
    "ops": 3.5,  # of floor 3, but its RoIAlign and RoIPool are modules
    "models": 4,
    "data": 4,
    "metrics": 4,
    "viz": 5,
    "check": 5.25,  # of floor 5, but its reports draw themselves with `viz`
    "homework": 5.5,  # of floor 5, but its checks are those of `check`
    "training": 5,
    "demo": 6,
    ROOT: 7,
    "info": 8,
    "cli": 9,
    "__main__": 10,
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    """`minivision.nn.layers` -> `nn`; the package itself -> ROOT."""
    return [*module.split("."), ROOT][1]


def dotted_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def imports(source: str, module: str, is_package: bool) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything that a module imports, relative names resolved."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"


def target_room(name: str) -> str | None:
    """The room that an imported name belongs to; None for other libraries.

    `from minivision import nn` names a room, `from minivision import Tensor` names the package itself.
    """
    if name.split(".")[0] != "minivision":
        return None
    room = room_of(name)
    is_module = (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file()
    return room if is_module or room in FLOORS else ROOT


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    room = room_of(module)
    if room not in FLOORS:
        return [f"{module}: the room {room!r} has no floor; give it one in tests/test_house.py and CONTRIBUTING.md"]
    found = []
    for line, name in imports(source, module, is_package):
        other = target_room(name)
        if other is None or other == room:
            continue
        if other not in FLOORS or FLOORS[other] >= FLOORS[room]:
            place = "the package itself" if other == ROOT else f"{other!r} (floor {FLOORS.get(other)})"
            found.append(f"{module}:{line} imports {name}: {room!r} (floor {FLOORS[room]}) may not know {place}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_imports_run_downward(path):
    assert violations(path.read_text(), dotted_name(path), path.name == "__init__.py") == []


@pytest.mark.parametrize("path", MODULES, ids=dotted_name)
def test_other_libraries(path):
    """At module level NumPy and the standard library only; CuPy in backend.py only; PyTorch nowhere."""
    tree = ast.parse(path.read_text())
    allowed_on_top = sys.stdlib_module_names | {"numpy", "minivision"}
    on_top = ast.unparse(ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], []))
    is_package = path.name == "__init__.py"
    top_names = {name.split(".")[0] for _, name in imports(on_top, dotted_name(path), is_package)}
    every_name = {name.split(".")[0] for _, name in imports(path.read_text(), dotted_name(path), is_package)}
    assert top_names - allowed_on_top == set()
    assert "torch" not in every_name
    if room_of(dotted_name(path)) not in ("backend", "kernels"):
        assert not every_name & {"cupy", "cupyx"}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("minivision.autograd.tensor", "from minivision.functions import arithmetic"),
        ("minivision.autograd.tensor", "def f():\n    import minivision.functions.arithmetic"),
        ("minivision.autograd.tensor", "from ..functions.arithmetic import add"),
        ("minivision.autograd.tensor", "from .. import functions"),
        ("minivision.autograd.tensor", "if TYPE_CHECKING:\n    from minivision import nn"),
        ("minivision.nn.layers", "from minivision import Tensor"),
        ("minivision.nn.layers", "import minivision"),
        ("minivision.nn.layers", "from minivision.ops import nms"),
        ("minivision.backend", "from minivision.autograd import Tensor"),
        ("minivision.training.fit", "from minivision import cli"),
        ("minivision.attic", "import numpy"),
    ],
)
def test_the_rule_sees(module, source):
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("minivision.autograd.tensor", "import numpy as np\nfrom .function import Function\nfrom .. import backend"),
        ("minivision.nn.layers", "from minivision.functions.convolution import conv2d\nfrom .module import Module"),
        ("minivision.cli", "from minivision import __version__, training"),
    ],
)
def test_the_rule_allows(module, source):
    assert violations(source, module) == []
