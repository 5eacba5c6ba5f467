"""Environments for other frameworks: made when a benchmark first asks for one, kept in `.venv/peers`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".venv" / "peers"

# Chainer and DeZero use names that NumPy 1.24 and 2.0 took away. The last NumPy before that runs on Python 3.11 and older; on
# newer Pythons they get the newest NumPy, and the worker gives the names back (`old_names` in worker.py).
OLD_NUMPY = ("numpy<1.24; python_version < '3.12'", "numpy; python_version >= '3.12'")
# Chainer's setup.py imports pkg_resources, which setuptools dropped, so it is built with an older one instead of the newest.
BUILD_TOOLS = ("setuptools<80", "wheel")


class Peer(NamedTuple):
    title: str
    module: str
    requirements: tuple[str, ...]
    before: tuple[str, ...] = ()  # what must be there before the requirements are built


PEERS = {
    "chainer": Peer("Chainer", "chainer", ("chainer==7.8.1", "threadpoolctl", *OLD_NUMPY), (*BUILD_TOOLS, *OLD_NUMPY)),
    "dezero": Peer("DeZero", "dezero", ("dezero==0.0.13", "matplotlib", "threadpoolctl", *OLD_NUMPY)),
    "mygrad": Peer("MyGrad", "mygrad", ("mygrad==2.5.0", "threadpoolctl")),
}


class Missing(RuntimeError):
    """A framework that could not be installed, and why."""


def python_of(name: str) -> Path:
    """The interpreter of the framework's environment, which is made if it is not there; raises Missing with the reason."""
    peer, place = PEERS[name], PLACE / name
    python = place / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    recipe = f"{sys.version}\n{place}\n{peer}\n"
    if python.exists() and _read(place / "recipe") == recipe:
        return python
    print(f"making an environment for {peer.title} in {place.relative_to(ROOT)}", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([sys.executable, "-m", "venv", str(place)], peer)
    if peer.before:
        _run([*pip, *peer.before], peer)
    _run([*pip, *(["--no-build-isolation"] if peer.before else []), *peer.requirements], peer)
    (place / "recipe").write_text(recipe)
    return python


def _run(command: list[str], peer: Peer) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{peer.title} could not be installed: {error}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
        reason = lines[-1].strip() if lines else f"exit status {done.returncode}"
        raise Missing(f"{peer.title} could not be installed: {reason}")


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
