"""This process's side of a worker: it hands over work and takes turns with the programs here."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.case import Arrays
from benchmarks.peers.environment import PEERS, ROOT, Missing, python_of


class CannotRun(RuntimeError):
    """The framework has not what the work needs, or failed at it."""


class Remote:
    """A framework in a worker process. It has a `turn`, as `timing.Local` has one, of the work that was last prepared."""

    def __init__(self, name: str):
        self.name, self.title = name, PEERS[name].title
        python = python_of(name)
        self._folder = tempfile.TemporaryDirectory()
        self._worker = subprocess.Popen(
            [str(python), "-W", "ignore", "-m", "benchmarks.peers.worker", PEERS[name].module],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT,
        )  # fmt: skip
        try:
            self.versions: dict[str, str] = self._ask({"do": "versions"})["versions"]
        except CannotRun as error:
            raise Missing(f"{self.title} was installed but does not start: {error}") from None

    def prepare(self, work: dict[str, Any], arrays: Arrays, threads: int) -> Arrays:
        """Build the work, run it once and return its results; raises CannotRun."""
        inputs, outputs = (Path(self._folder.name) / name for name in ("inputs.npz", "outputs.npz"))
        np.savez(inputs, **arrays)
        self._ask({"do": "prepare", "work": work, "inputs": str(inputs), "outputs": str(outputs), "threads": threads})
        with np.load(outputs) as results:
            return dict(results)

    def turn(self, calls: int, warm_up: bool) -> float:
        return float(self._ask({"do": "turn", "calls": calls, "warm_up": warm_up})["seconds"])

    def close(self) -> None:
        if self._worker.stdin is not None:
            with contextlib.suppress(OSError):  # what was not read by a worker that is gone
                self._worker.stdin.close()  # its loop ends with its input
        self._worker.wait()
        self._folder.cleanup()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        pipes = self._worker.stdin, self._worker.stdout
        if pipes[0] is None or pipes[1] is None:
            raise CannotRun("the worker has no pipes")
        try:
            pipes[0].write(json.dumps(question) + "\n")
            pipes[0].flush()
            answer = pipes[1].readline()
        except OSError as error:
            raise CannotRun(f"{self.title}: the worker is gone ({error})") from None
        if not answer:
            raise CannotRun(f"{self.title}: the worker ended")
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise CannotRun(f"{self.title}: {found['error']}")
        return found
