"""Workers of other frameworks, played here by one that is made of NumPy, in this environment."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest

from benchmarks import running
from benchmarks.case import Case, Work
from benchmarks.peers import environment, remote
from benchmarks.peers.environment import Missing, Peer
from benchmarks.peers.remote import CannotRun, Remote
from benchmarks.peers.worker import old_names

FRAMEWORK = '__version__ = "1.5"\nprint("greetings from the import")\n'
WORKS = """
import numpy as np

def double(work, arrays):
    print("noise between the answers")
    return lambda: {"y": work["factor"] * arrays["x"]}

def broken(work, arrays):
    raise ZeroDivisionError("no such luck")

WORKS = {"double": double, "broken": broken, "unet": "has no concatenation"}
"""


@pytest.fixture
def played(tmp_path, monkeypatch):
    """The worker of a framework `played` that lies in tmp_path, run by this interpreter."""
    folder = tmp_path / "benchmarks" / "peers"
    folder.mkdir(parents=True)
    (tmp_path / "played.py").write_text(FRAMEWORK)
    for path in (environment.ROOT / "benchmarks").glob("*.py"):
        (tmp_path / "benchmarks" / path.name).write_text(path.read_text() if path.name == "timing.py" else "")
    (folder / "__init__.py").write_text("")
    (folder / "worker.py").write_text((environment.ROOT / "benchmarks/peers/worker.py").read_text())
    (folder / "in_played.py").write_text(WORKS)
    monkeypatch.setitem(environment.PEERS, "played", Peer("Played", "played", ()))
    monkeypatch.setattr(remote, "python_of", lambda name: sys.executable)
    monkeypatch.setattr(remote, "ROOT", tmp_path)
    worker = Remote("played")
    yield worker
    worker.close()


def test_a_worker_computes_and_takes_turns(played):
    assert played.versions["played"] == "1.5"
    assert played.versions["NumPy"] == np.__version__
    results = played.prepare({"work": "double", "factor": 2}, {"x": np.arange(3.0)}, threads=1)
    np.testing.assert_array_equal(results["y"], [0, 2, 4])
    assert played.turn(3, True) > 0


def test_a_worker_says_what_it_cannot(played):
    with pytest.raises(CannotRun, match="Played: has no concatenation"):
        played.prepare({"work": "unet"}, {}, 1)
    with pytest.raises(CannotRun, match="ZeroDivisionError: no such luck"):
        played.prepare({"work": "broken"}, {}, 1)
    assert played.prepare({"work": "double", "factor": 1}, {"x": np.ones(1)}, 1)["y"] == 1  # and goes on


def test_a_worker_that_ends_is_noticed(played):
    played._worker.kill()
    with pytest.raises(CannotRun, match="Played: the worker"):
        played.turn(1, False)


def test_results_that_differ_are_noted_and_not_timed(played):
    def build(torch, arrays):
        return lambda: {"y": 3 * arrays["x"]}

    inputs = lambda rng: {"x": rng.standard_normal(4)}  # noqa: E731
    case = Case("thrice", (), "", inputs, build, lambda: Work(1, 1), peer={"work": "double", "factor": 2})
    bench = running.Bench([], peers=[])
    bench.remotes = [played]
    assert bench._others(case, 1, expected=build(None, case.inputs())()) == {}
    assert "y of Played" in bench.notes[0]


def test_what_cannot_be_installed_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "PLACE", environment.ROOT / "build" / "peers-of-a-test")

    def fail(command, **_):
        return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: no wheel for this Python\n")

    monkeypatch.setattr(environment.subprocess, "run", fail)
    with pytest.raises(Missing, match=r"Chainer could not be installed: ERROR: no wheel for this Python"):
        environment.python_of("chainer")
    bench = running.Bench([], peers=["chainer"])
    assert bench.remotes == []
    assert "Chainer could not be installed" in bench.notes[0]


def test_old_names_of_numpy():
    numpy = types.SimpleNamespace(**{name: getattr(np, name) for name in dir(np) if name not in ("sctypes", "float", "int")})
    old_names(numpy)
    assert numpy.int is int
    assert numpy.float is float
    assert np.float32 in numpy.sctypes["float"]
    assert numpy.bool is np.bool  # what there is stays
