"""The two frameworks that run the cases in this process, under one face."""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import platform
from typing import Any

import numpy as np

MODULES = {"minivision": "minivision", "PyTorch": "torch"}


def load(name: str) -> Any:
    """The framework's module; SystemExit with what to install if it is not there."""
    try:
        return importlib.import_module(MODULES[name])
    except ImportError as error:
        raise SystemExit(f"{name} is missing ({error}): pip install -e '.[bench]', or use `make bench`") from None


def set_threads(name: str, threads: int) -> None:
    if name == "minivision":
        from minivision import threads as pool

        pool.set_num_threads(threads)
    else:
        load(name).set_num_threads(threads)


def keep_heap() -> bool:
    """Let the C library keep the memory that is freed instead of giving it back to the system; whether it can (glibc can).

    By default it depends on the sizes that a process has freed before whether an array's memory is fresh each time, with a page
    fault for every 4 kB. The same operation of PyTorch then takes up to five times as long in one run as in the next.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    trim_threshold, mmap_threshold = -1, -3
    return bool(mallopt(mmap_threshold, 32 << 20) and mallopt(trim_threshold, 2**31 - 1))


def reset() -> None:
    """Give back what the last case left, so that no case inherits another's memory."""
    from minivision import memory

    gc.collect()
    memory.clear()


def versions() -> dict[str, str]:
    known = {"Python": platform.python_version(), "NumPy": np.__version__}
    for name in MODULES:
        known[name] = str(load(name).__version__)
    try:
        import torchvision  # type: ignore[import-not-found, unused-ignore]

        known["torchvision"] = str(torchvision.__version__)
    except (ImportError, RuntimeError, OSError):  # missing, or built for another PyTorch
        known["torchvision"] = "none (RoIAlign by grid_sample)"
    return known


def machine() -> dict[str, Any]:
    """What the numbers depend on and nobody else can know."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as lines:
            model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"system": platform.platform(), "processor": model, "cores": cores}
