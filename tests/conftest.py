"""What every test may ask for: a device, seeded random numbers, and the marks `gpu` and `oracle`."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from minivision import backend, threads
from tests.strict_cupy import strict_cupy

# The same examples in every run; `device` and `rng` may be shared by the examples of one test.
settings.register_profile(
    "minivision", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("minivision")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        choices=("cpu", "strict", "cuda"),
        default="cpu",
        help="where tests with the `device` fixture run: NumPy, the strict stand-in for CuPy, or a real GPU",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpu: needs a real GPU; runs under --device cuda only")
    config.addinivalue_line("markers", "oracle: compares with PyTorch; needs the `oracle` extra")
    if config.getoption("--device") == "cuda" and backend.cupy() is None:
        raise pytest.UsageError(
            "--device cuda: no GPU answers; it takes a CUDA device, its driver and pip install 'minivision[gpu]'"
        )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--device") != "cuda":
        needs_gpu = pytest.mark.skip(reason="needs a GPU: pytest --device cuda")
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(needs_gpu)
    if importlib.util.find_spec("torch") is None:
        needs_torch = pytest.mark.skip(reason="needs PyTorch: pip install -e '.[oracle]'")
        for item in items:
            if item.get_closest_marker("oracle"):
                item.add_marker(needs_torch)


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """`set_num_threads`, undone at the end."""
    before = threads.get_num_threads()
    yield threads.set_num_threads
    threads.set_num_threads(before)


@pytest.fixture(params=[1, 2, 3], ids="{} threads".format)
def number_of_threads(request: pytest.FixtureRequest, set_threads: Callable[[int], None]) -> int:
    """So many threads, which are set."""
    set_threads(request.param)
    return request.param


@pytest.fixture
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The device to run on, as `Tensor.to` takes it: "cpu" or "cuda"."""
    choice = request.config.getoption("--device")
    if choice == "strict":
        strict_cupy.calls.clear()
        monkeypatch.setattr(backend, "cupy", lambda: strict_cupy)
    return "cpu" if choice == "cpu" else "cuda"


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that are the same in every run of this test and different from every other test's."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))
