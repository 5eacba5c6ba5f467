"""`import minivision` needs NumPy and the standard library, nothing else, and every public name is there."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys

import pytest

import minivision

SCRIPT = """
import json, sys
import numpy
before = set(sys.modules)
import minivision
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


@pytest.fixture(scope="module")
def pulled_in() -> set[str]:
    """The top-level modules that `import minivision` loads in a fresh interpreter, NumPy's own aside."""
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def test_only_numpy_and_the_standard_library(pulled_in):
    assert pulled_in - sys.stdlib_module_names <= {"minivision", "numpy"}


@pytest.mark.parametrize("module", ["multiprocessing", "subprocess", "socket", "concurrent", "asyncio", "unittest"])
def test_nothing_that_a_browser_lacks_or_that_is_slow(pulled_in, module):
    assert module not in pulled_in


MODULES = ["minivision", *(module.name for module in pkgutil.walk_packages(minivision.__path__, "minivision."))]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_imports_and_its_public_names_resolve(name):
    if name.endswith("__main__"):
        return
    module = importlib.import_module(name)
    missing = [public for public in getattr(module, "__all__", []) if not hasattr(module, public)]
    assert missing == []


def test_the_package_says_what_is_public():
    assert len(minivision.__all__) == len(set(minivision.__all__))
    assert {"Tensor", "nn", "optim", "no_grad", "manual_seed"} <= set(dir(minivision))
