"""Checks in a process of their own, with a time limit for each check and a memory limit, ended as a group.

The parent starts Python, isolated (`-I`), and writes the job to its stdin. The child loads the checks, limits itself, runs the
student's code, then check after check, and tells the parent what it is at. A check that takes too long is interrupted by a
signal, so that the line can be named where it was. When the child stays silent even so, or is gone, the parent ends it with all
processes that it has started, judges that one check, and begins again with the next; so it does where a check leaves threads or
processes running.

Results come back over the child's former stdout. What the student's code prints goes elsewhere: file descriptor 1 is pointed to
stderr before, so prints cannot mix with results. Each message bears a random token of this run; lines without it are dropped.

What is protected: the tool, the other checks and the other students' results, from endless loops, exits, crashes, large arrays,
endless output, processes and threads left behind, and from code that replaces parts of NumPy or of the checks (see `checking`).

What is not: the student's code runs as the same user, in the process in which the checks run. Code that looks for it can find the
token in memory and forge a result, escape from the group with setsid, use the network, and read or write the user's files.
Opening the installed solutions and sending signals to other processes is refused inside Python, which stops an innocent try, not
a determined one. For marks that matter, run the checks in a container, as an unprivileged user, and read what was handed in.
Memory is limited on Linux only; time everywhere but in the browser, where there are no processes and checks run in place.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minivision.homework import source as sources
from minivision.homework.checking import Check, Guard, Interrupted, load_checks, run_check
from minivision.homework.result import CheckResult
from minivision.homework.source import Source
from minivision.homework.submission import Submission, execute

TIME_LIMIT = 10.0  # seconds for each check, and for loading the file
MEMORY_LIMIT = 1 << 30  # bytes beyond what Python, NumPy and the checks take
_START_LIMIT = 120.0  # seconds for the child to import all that; a slow disk is not the student's fault
_GRACE = 1.0  # seconds for the child to end a check by itself, and to say where it was
_LARGEST_MESSAGE = 1 << 20
_KEPT_OUTPUT = 10_000  # characters of what the student's code prints
_LARGEST_FILE = 100 << 20  # bytes that it may write into one file
_SEVERAL_LINES = 20_000  # characters of a message that are passed on

inside = False  # true in the child, where homework.check does nothing

_BOOT = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from minivision.homework import sandbox; sandbox.serve()"


# ---- the parent ----


def run(
    source: Source,
    text: str,
    submission: Submission,
    *,
    time_limit: float = TIME_LIMIT,
    memory_limit: int | None = MEMORY_LIMIT,
    only: str | None = None,
) -> tuple[list[CheckResult], list[str], str]:
    """Run all checks of an exercise, or `only` the one with this title, on what a student handed in.

    Returns the results in the order of the checks, notes, and the beginning of what the student's code printed. `text` is that of
    the exercise's source. Raises RuntimeError when the child cannot even start.
    """
    if not (isinstance(time_limit, (int, float)) and 0 < time_limit < math.inf):
        raise ValueError(f"homework.check: time_limit={time_limit!r} must be a positive number of seconds")
    checks = load_checks(source)
    wanted = _chosen(checks, only)
    results: dict[int, CheckResult] = {}
    notes: list[str] = []
    printed = ""
    while left := [i for i in wanted if i not in results]:
        child = _Child(source.name, text, submission, left, time_limit, memory_limit)
        try:
            ended = child.follow(checks, results, notes)
        finally:
            child.end()
        printed += child.printed()
        if ended is None:  # it has finished, or asks for a new process
            continue
        stage, status, message = ended
        if stage == "starting":
            raise RuntimeError(f"homework.check: the process for the checks did not start: {message}\n{child.printed()}")
        at = left if stage == "loading" else [stage]
        if stage == "loading":
            message = f"while your code was loaded, before any check: {message}"
        for i in at:
            results[i] = CheckResult(checks[i].title, checks[i].points, status, message, seconds=child.waited)
    return [results[i] for i in wanted], list(dict.fromkeys(notes)), printed[:_KEPT_OUTPUT]


def _chosen(checks: list[Check], only: str | None) -> list[int]:
    """The numbers of the checks to be run. Raises ValueError for a title that none of them has."""
    chosen = [i for i, check in enumerate(checks) if only is None or check.title == only]
    if not chosen:
        raise ValueError(f"there is no check {only!r}; there are {', '.join(repr(check.title) for check in checks)}")
    return chosen


class _Child:
    """A process that runs checks, and what it says."""

    def __init__(
        self, name: str, text: str, submission: Submission, left: list[int], time_limit: float, memory_limit: int | None
    ) -> None:
        self.time_limit, self.waited = time_limit, 0.0
        self._token = secrets.token_hex(16)
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._output: list[bytes] = []
        here = str(Path(__file__).parents[2])  # where this very package lies, whatever else is installed
        path = [here, *(entry for entry in sys.path if entry not in ("", ".", here, os.getcwd()))]
        if submission.file:  # for modules of the student's own; last, so that a file random.py there hides nothing
            path.append(str(Path(submission.file).resolve().parent))
        threads = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}  # each would reserve memory
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-X", "utf8", "-c", _BOOT, json.dumps(path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **threads}, start_new_session=os.name == "posix",
        )  # fmt: skip
        job = {
            "token": self._token, "name": name, "source": text, "submission": submission.to_dict(), "checks": left,
            "time_limit": time_limit, "memory_limit": memory_limit,
        }  # fmt: skip
        for target, stream in ((self._listen, self._process.stdout), (self._keep, self._process.stderr)):
            threading.Thread(target=target, args=(stream,), daemon=True).start()
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:  # type: ignore[union-attr]
            stdin.write(json.dumps(job).encode())

    def _listen(self, stream: Any) -> None:
        start = self._token.encode() + b" "
        while line := stream.readline(_LARGEST_MESSAGE):
            if line.startswith(start):
                with contextlib.suppress(ValueError):
                    self._messages.put(json.loads(line[len(start) :]))
        self._messages.put(None)

    def _keep(self, stream: Any) -> None:
        kept = 0
        while part := os.read(stream.fileno(), 1 << 16):
            if kept < _KEPT_OUTPUT:
                self._output.append(part)
                kept += len(part)

    def printed(self) -> str:
        return b"".join(self._output).decode("utf-8", "replace")[:_KEPT_OUTPUT]

    def follow(self, checks: list[Check], results: dict[int, CheckResult], notes: list[str]) -> tuple[Any, str, str] | None:
        """Collect results until the child has finished or wants a successor (None), or is given up: (where, status, why)."""
        stage: Any = "starting"
        while True:
            limits = {"starting": _START_LIMIT, "loading": self.time_limit}
            message = self._next(limits.get(stage, self.time_limit + _GRACE))
            if message == "silent":
                return stage, "timeout", _too_long(self.time_limit)
            if not isinstance(message, dict):
                return stage, "crashed", self._how_it_ended()
            event = message.get("event")
            if event in ("done", "again"):
                return None
            if event == "loading":
                stage = "loading"
            elif event == "loaded":
                notes += message["notes"]
            elif event == "check":
                stage = message["check"]
            elif event == "result":
                i = message["check"]
                results[i] = CheckResult(**{**message["result"], "name": checks[i].title, "points": checks[i].points})

    def _next(self, limit: float) -> Any:
        """The next message, "silent" when none came within the limit, None when the child is gone."""
        began = time.monotonic()
        while True:
            self.waited = time.monotonic() - began
            with contextlib.suppress(queue.Empty):
                return self._messages.get(timeout=min(0.05, max(limit - self.waited, 0.001)))
            if self._is_gone():  # a process that it left behind may keep the pipe open
                with contextlib.suppress(queue.Empty):
                    return self._messages.get(timeout=0.2)
                return None
            if self.waited > limit:
                return "silent"

    def _is_gone(self) -> bool:
        """Whether the child has ended. It is not waited for yet: as long as it is not, its group keeps its number."""
        if sys.platform != "win32" and hasattr(os, "waitid"):
            return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return self._process.poll() is not None

    def _how_it_ended(self) -> str:
        for _ in range(20):  # the pipe closes a little before the process ends
            if self._is_gone():
                break
            time.sleep(0.05)
        else:
            return "the process does not answer any more; does your code close files that are not its own?"
        self.end()
        code = self._process.returncode
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            return f"the process was ended by {name}{_WHY.get(name, '')}"
        return f"the process ended with exit code {code} in the middle of it; does your code call os._exit()?"

    def end(self) -> None:
        """End the child and every process of its group."""
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._process.kill()
        self._process.wait()


_WHY = {
    "SIGKILL": ": it ended itself with os.kill, or the system ended it for lack of memory",
    "SIGSEGV": ": an access to memory that is not there, as by a very deep recursion or a library called with wrong arguments",
    "SIGABRT": ": a library gave up, mostly for lack of memory",
    "SIGXCPU": ": it used more time than all checks together may take",
}


def _too_long(limit: float) -> str:
    return f"no result within {limit:g} s; is there a loop that does not end, or one over far too many entries?"


# ---- the child ----


def serve() -> None:
    """Run the job that comes in on stdin; the parent starts this as the program of a new process."""
    global inside
    inside = True
    job = json.loads(sys.stdin.buffer.read())
    channel = _Channel(job["token"])
    source = sources.parse(job["source"], job["name"])
    checks = load_checks(source)
    submission = Submission.from_dict(job["submission"])
    _limit(job["memory_limit"], int((len(checks) + 2) * max(job["time_limit"], 1)))
    sys.addaudithook(_refusals())
    guard = Guard()
    leave = os._exit
    channel.send({"event": "loading"})
    loaded = execute(submission, source.allowed)
    notes = []
    if replaced := guard.restore():
        notes.append(
            f"your code replaces {', '.join(replaced[:3])}, which was put back; leave NumPy, Python and the checks as they are"
        )
    if loaded.error is not None:
        notes.append(f"your code stopped with {loaded.message}\n  what it defined until then was checked")
    channel.send({"event": "loaded", "notes": notes})
    for i in job["checks"]:
        channel.send({"event": "check", "check": i})
        threads = set(threading.enumerate())
        with alarm(job["time_limit"]):
            result = run_check(checks[i], loaded, guard)
        still_there = _left_running(threads)
        if result.passed and (still_there or replaced):
            result.status, result.message = "failed", still_there or notes[0]
        result.message = result.message[:_SEVERAL_LINES]
        channel.send({"event": "result", "check": i, "result": asdict(result)})
        if still_there:
            channel.send({"event": "again"})
            break
    else:
        channel.send({"event": "done"})
    leave(0)  # without waiting for threads that the student's code has left


class _Channel:
    """The way back to the parent: what was stdout, under a new number, while stdout becomes what stderr is."""

    def __init__(self, token: str) -> None:
        self._token, self._process = token.encode(), os.getpid()
        self._to = os.dup(1)  # not inherited by programs that the student's code starts
        os.dup2(2, 1)
        sys.stdout.reconfigure(line_buffering=True, errors="replace")  # type: ignore[union-attr]
        self._write, self._getpid, self._dumps, self._exit = os.write, os.getpid, json.dumps, os._exit

    def send(self, message: dict[str, Any]) -> None:
        if self._getpid() != self._process:  # a fork that the student's code made has come back here
            self._exit(1)
        line = b"\n" + self._token + b" " + self._dumps(message).encode() + b"\n"
        while line:
            line = line[self._write(self._to, line) :]


def _limit(memory: int | None, seconds: int) -> None:
    """Limits that the system keeps, where it can: memory, processor time (should the parent be gone), files, no core dumps."""
    try:
        import resource
    except ImportError:  # Windows
        return

    def limit(which: int, value: int) -> None:
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (value, value))

    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, _LARGEST_FILE)
    limit(resource.RLIMIT_CPU, seconds + 60)
    with contextlib.suppress(OSError, AttributeError):
        if memory is not None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit(resource.RLIMIT_AS, pages * resource.getpagesize() + memory)


def _refusals() -> Any:
    """An audit hook: the exercises' sources, with their solutions and checks, stay closed, and other processes alone."""
    folder = str(Path(__file__).resolve().parent / "exercises")
    abspath, isinstance_, me = os.path.abspath, isinstance, os.getpid()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance_(arguments[0], str) and abspath(arguments[0]).startswith(folder):
            raise PermissionError("the exercises' sources hold the solutions, and are closed while checks run")
        if event in ("os.kill", "os.killpg") and arguments[0] not in (0, me):
            raise PermissionError("your code sends a signal to another process; leave the others alone")

    return hook


def _left_running(threads_before: set[threading.Thread]) -> str:
    """What the student's code has left running, in words; "" for nothing."""
    left = [thread for thread in threading.enumerate() if thread not in threads_before]
    for thread in left:
        thread.join(0.2)
    if any(thread.is_alive() for thread in left):
        return "your code leaves a thread running; wait for it with .join() before you return"
    if hasattr(os, "WNOHANG"):
        with contextlib.suppress(ChildProcessError):
            while True:
                process, _ = os.waitpid(-1, os.WNOHANG)
                if process == 0:
                    return "your code leaves a process running; wait for it before you return"
    return ""


# ---- without processes ----


def run_here(
    source: Source,
    submission: Submission,
    *,
    time_limit: float | None = TIME_LIMIT,
    names: dict[str, Any] | None = None,
    only: str | None = None,
) -> list[CheckResult]:
    """Run all checks, or `only` one, in this process: on functions that cannot be written down (`names`), or without processes.

    The time limit holds in the main thread, where there are signals; there is no memory limit, and an os._exit() is one.
    """
    from minivision.homework.submission import Loaded

    checks = load_checks(source)
    checks, guard = [checks[i] for i in _chosen(checks, only)], Guard()
    loaded = Loaded(names, []) if names is not None else execute(submission, source.allowed)
    guard.restore()
    results = []
    for check in checks:
        with alarm(time_limit):
            results.append(run_check(check, loaded, guard))
    return results


@contextlib.contextmanager
def alarm(seconds: float | None) -> Iterator[None]:
    """Raise `Interrupted` in the code that runs after so many seconds; where there are no such signals, do nothing."""
    can = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not can:
        yield
        return

    def ring(*_: Any) -> None:
        raise Interrupted(_too_long(seconds))

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
