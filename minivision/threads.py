"""One small pool of threads for work on the CPU.

NumPy's copies, elementwise loops and matrix products let go of Python's lock while they run. So one operation can be cut into
blocks that fit a core's cache, and the blocks shared out over threads. While they work, BLAS keeps to one thread in each of
them: the cores are ours to give away once, not twice.

The caller always works along, so `n` threads are `n - 1` helpers, which start with the first work that needs them.
"""

from __future__ import annotations

import atexit
import itertools
import operator
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Work = Callable[[Any], Any]

_inside = threading.local()  # .working: whether this thread is in the middle of a shared job


def set_num_threads(threads: int) -> None:
    """Use so many threads for one operation on the CPU, the caller's included; 1 switches the pool off. As in `torch`.

    BLAS gets the same number for the matrix products that minivision leaves to it. The results do not depend on the number but
    for rounding. Raises TypeError unless it is an int, ValueError unless it is at least 1.
    """
    try:
        wanted = None if isinstance(threads, bool) else operator.index(threads)
    except TypeError:
        wanted = None
    if wanted is None:
        raise TypeError(f"set_num_threads: threads={threads!r} must be an int, not {type(threads).__name__}")
    if wanted < 1:
        raise ValueError(f"set_num_threads: threads={wanted} must be at least 1, which is the caller alone")
    _pool.resize(wanted if _CAN_START_THREADS else 1)
    _blas.set_default(wanted)


def get_num_threads() -> int:
    """How many threads one operation on the CPU may use, as in `torch`."""
    return 1 if getattr(_inside, "working", False) else _pool.size


def for_each(work: Work, jobs: Sequence[Any]) -> None:
    """Call `work(job)` for every job, in any order, shared out over the threads; returns when all are done.

    Jobs must not write to the same memory. A job that shares out work itself does it alone. When one raises, those not yet begun
    are left out, and the exception is raised here.
    """
    threads = min(get_num_threads(), len(jobs))
    if threads <= 1:
        for job in jobs:
            work(job)
        return
    with _blas.one_thread():
        _pool.run(_Shared(work, jobs), threads - 1)


def spans(length: int, step: int, aligned: int = 1) -> list[slice]:
    """`length` items as slices of about `step` (a multiple of `aligned`), as many for one thread as for another."""
    if length <= step and get_num_threads() == 1:
        return [slice(0, length)]
    threads = get_num_threads()
    parts = max(1, -(-length // max(step, 1)))
    parts = -(-parts // threads) * threads  # an equal number for each
    size = -(-length // parts)
    size = max(1, -(-size // aligned) * aligned)
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


class _Shared:
    """Jobs that several threads take from one list, each the next that nobody has."""

    def __init__(self, work: Work, jobs: Sequence[Any]):
        self.work, self.jobs = work, jobs
        self.next = itertools.count()  # next() is one step of the interpreter: no two threads get the same number
        self.error: BaseException | None = None

    def take_part(self) -> None:
        _inside.working = True
        try:
            while self.error is None and (number := next(self.next)) < len(self.jobs):
                self.work(self.jobs[number])
        except BaseException as error:
            self.error = error
        finally:
            _inside.working = False


class _Pool:
    """Threads that wait for shared jobs. They start when first needed, and end at exit or when the size changes."""

    def __init__(self, size: int):
        self.size = size
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._helpers: list[threading.Thread] = []

    def run(self, shared: _Shared, helpers: int) -> None:
        self._start(helpers)
        done: queue.SimpleQueue[None] = queue.SimpleQueue()
        helpers = min(helpers, len(self._helpers))
        waiting = self._waiting
        tickets = [_Ticket(shared, done) for _ in range(helpers)]
        for ticket in tickets:
            waiting.put(ticket)
        shared.take_part()
        # A ticket that no helper has begun is taken back: with all of them busy elsewhere, the caller did the work alone.
        for ticket in tickets:
            if not ticket.take():
                done.get()
        if shared.error is not None:
            raise shared.error

    def resize(self, size: int) -> None:
        with self._lock:
            self.size = size
        self.stop()

    def stop(self) -> None:
        """End all helpers, after the work they are at."""
        with self._lock:
            helpers, waiting = self._helpers, self._waiting
            self._forget()
        for _ in helpers:
            waiting.put(None)
        for helper in helpers:
            if helper is not threading.current_thread():
                helper.join()

    def _start(self, wanted: int) -> None:
        if len(self._helpers) >= wanted:
            return
        with self._lock:
            while len(self._helpers) < wanted:
                helper = threading.Thread(
                    target=_help, args=(self._waiting,), name=f"minivision-{len(self._helpers) + 1}", daemon=True
                )
                try:
                    helper.start()
                except RuntimeError:  # the system gives no more threads: work with those there are
                    return
                self._helpers.append(helper)


class _Ticket:
    """One helper's invitation to shared jobs. It is taken once: by a helper, or back by the caller."""

    def __init__(self, shared: _Shared, done: queue.SimpleQueue[None]):
        self.shared, self.done = shared, done
        self._taken = threading.Lock()

    def take(self) -> bool:
        """Whether the caller is the first to ask."""
        return self._taken.acquire(blocking=False)


def _help(waiting: queue.SimpleQueue[Any]) -> None:
    while (ticket := waiting.get()) is not None:
        if ticket.take():
            ticket.shared.take_part()
            ticket.done.put(None)
        del ticket  # or the last job's arrays would live on while this thread waits


class _Blas:
    """NumPy's BLAS, as far as its threads go; found by threadpoolctl when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._libraries: list[Any] | None = None
        self._users = 0
        self._before: list[int] = []

    def libraries(self) -> list[Any]:
        if self._libraries is None:
            from threadpoolctl import ThreadpoolController  # takes as long to load as our own package: only where needed

            self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        return self._libraries

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """Keep BLAS to one thread until the last of those who asked for it is done; then it has what it had before."""
        with self._lock:
            if self._users == 0:
                self._before = [library.get_num_threads() for library in self.libraries()]
                self._set([1] * len(self._before))
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._set(self._before)

    def set_default(self, threads: int) -> None:
        with self._lock:
            wanted = [threads] * len(self.libraries())
            if self._users:
                self._before = wanted
            else:
                self._set(wanted)

    def _set(self, numbers: list[int]) -> None:
        for library, number in zip(self.libraries(), numbers, strict=True):
            if library.get_num_threads() != number:
                library.set_num_threads(number)


_CAN_START_THREADS = sys.platform not in ("emscripten", "wasi")


def _cores() -> int:
    """How many threads to begin with: what OMP_NUM_THREADS says, else the cores that this process may use."""
    if not _CAN_START_THREADS:
        return 1
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if said.isdecimal() and int(said) > 0:
        return int(said)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_pool = _Pool(_cores())
_blas = _Blas()
atexit.register(_pool.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool._forget)  # a forked child has no threads but the one that forked
