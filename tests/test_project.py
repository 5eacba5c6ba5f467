"""The files around the package agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import minivision

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_one_version():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited is not None
    assert cited[1] == PROJECT["version"] == minivision.__version__
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_core_depends_on_numpy_and_what_tells_its_blas_how_many_threads():
    assert [re.match(r"\w+", requirement)[0] for requirement in PROJECT["dependencies"]] == ["numpy", "threadpoolctl"]
    every_extra = {"train", "gpu", "notebooks", "test", "docs", "bench", "oracle", "grading"}
    assert PROJECT["optional-dependencies"].keys() == every_extra


def test_pythons_of_the_classifiers_are_those_of_the_workflow():
    classified = [c.rpartition(" :: ")[2] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    tested = re.search(r"python: \[(.+)\]", workflow)
    assert tested is not None
    assert re.findall(r"[\d.]+", tested[1]) == classified
    assert PROJECT["requires-python"] == f">={classified[0]}"


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for file in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".ci/run", "benchmarks/README.md"):
        named = set(re.findall(r"(?:`|\s)make ([a-z-]+)(?:`|$)", (ROOT / file).read_text(), re.MULTILINE))
        assert named <= targets, f"{file} names make targets that do not exist: {sorted(named - targets)}"
