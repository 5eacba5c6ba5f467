"""What `minivision info` prints: versions, and what the machine offers."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import numpy as np

from minivision import __version__, backend
from minivision.data.optional import require

LIBRARIES = ("Pillow", "matplotlib", "tqdm", "safetensors", "scipy")


def collect() -> dict[str, Any]:
    """Return versions and what the machine offers, as JSON can hold it."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "minivision": __version__,
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "NumPy": np.__version__,
        "BLAS": f"{blas.get('name', 'unknown')} {blas.get('version', '')}{blas_threads()}",
        "cores": usable_cores(),
        "memory": memory(),
        "devices": {"cpu": "yes", "cuda": backend.describe_gpus()},
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "missing (pip install 'minivision[train]')"


def blas_threads() -> str:
    """Return how many threads the BLAS uses, if threadpoolctl is there to ask."""
    try:
        pools = require("threadpoolctl", "counting threads").threadpool_info()
    except ImportError:
        return ""
    return "".join(f", {pool['num_threads']} threads" for pool in pools if pool["user_api"] == "blas")


def usable_cores() -> int:
    """Return the cores that this process may use, which a container or a batch system may have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    except (AttributeError, ValueError, OSError):  # not on Windows
        return "unknown"
