"""One small pool of threads for work on the CPU.

NumPy's copies, elementwise loops and matrix products let go of Python's lock while they run. So one operation can be cut into
blocks that fit a core's cache, and the blocks shared out over threads. While they work, BLAS keeps to one thread in each of
them: the cores are ours to give away once, not twice.

The caller always works along, so `n` threads are `n - 1` helpers, which start with the first work that needs them.
"""

from __future__ import annotations

import atexit
import contextvars
import functools
import itertools
import operator
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

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
    if _CAN_START_THREADS:
        _pool.resize(wanted)
        _blas.set_default(wanted)


def get_num_threads() -> int:
    """How many threads one operation on the CPU may use, as in `torch`."""
    return 1 if getattr(_inside, "working", False) else _pool.size


def for_each(work: Work, jobs: Sequence[Any]) -> None:
    """Call `work(job)` for every job, in any order, shared out over the threads; returns when all are done.

    Jobs must not write to the same memory. A job that shares out work itself does it alone. When one raises, those not yet begun
    are left out, and the exception is raised here, after the last of those begun has ended; so it is with Ctrl-C. Every job runs
    in the context of the caller: `no_grad` and `numpy.errstate` hold in all threads.
    """
    threads = min(get_num_threads(), len(jobs))
    if threads <= 1:
        in_turn(work, jobs)
        return
    shared = _Shared(work, jobs)
    try:
        _blas.limit(shared)
        _pool.run(shared, threads - 1)
    finally:
        _to_the_end(lambda: _blas.release(shared))
    if shared.error is not None:
        error, shared.error = shared.error, None
        try:
            raise error
        finally:
            del error  # or the traceback would refer to this call, which refers to the error, and keep all arrays alive


def in_turn(work: Work, jobs: Iterable[Any]) -> None:
    """The same by the caller alone, for work that is done before another thread has woken up; BLAS keeps to one thread, too."""
    with one_blas_thread():
        for job in jobs:
            work(job)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it, BLAS keeps to one thread, as it does while jobs are shared out.

    Around work of many steps, some shared out and some not: the threads that BLAS wakes for a product of its own wait for the
    next one on a busy core, and whoever shares out jobs meanwhile has that core only by half.
    """
    if _pool.size == 1 or getattr(_inside, "working", False):
        yield
        return
    user = object()
    try:
        _blas.limit(user)
        yield
    finally:
        _to_the_end(lambda: _blas.release(user))


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


@functools.lru_cache(maxsize=1 << 10)
def pieces(length: int, step: int) -> tuple[slice, ...]:
    """`length` items as slices of `step`, the last of them shorter where it has to be."""
    return tuple(slice(start, min(start + step, length)) for start in range(0, length, step))


def _to_the_end(step: Callable[[], None]) -> None:
    """Run a step that may be begun anew at any point, again if Ctrl-C comes in between; raise that afterwards."""
    interrupt: KeyboardInterrupt | None = None
    while True:
        try:
            step()
            break
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt


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
            self.fail(error)
        finally:
            _inside.working = False

    def fail(self, error: BaseException) -> None:
        """Let nobody begin another job. Of several errors the first is told."""
        if self.error is None:
            self.error = error


class _Pool:
    """Threads that wait for shared jobs. They start when first needed, and end at exit or when the size changes."""

    def __init__(self, size: int):
        self.size = size
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._helpers: list[threading.Thread] = []

    def run(self, shared: _Shared, helpers: int) -> None:
        """Work at shared jobs with so many helpers. No helper is at them any more when this returns, nor when it raises."""
        tickets: list[_Ticket] = []
        done: queue.SimpleQueue[None] = queue.SimpleQueue()

        def wait() -> None:
            # A ticket that no helper has begun is taken back: with all of them busy elsewhere, the caller did the work alone.
            for ticket in tickets:
                if not ticket.take("caller"):
                    while not ticket.over:
                        done.get()

        try:
            self._start(helpers)
            _cores.keep_apart(self._helpers)
            waiting = self._waiting
            for _ in range(min(helpers, len(self._helpers))):
                tickets.append(_Ticket(shared, done))
                waiting.put(tickets[-1])
            shared.take_part()
        except BaseException as error:  # Ctrl-C between two of these steps
            shared.fail(error)
        try:
            _to_the_end(wait)
        except KeyboardInterrupt as error:
            shared.fail(error)
        _inside.working = False

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
            if helper is not threading.current_thread() and helper.is_alive():
                helper.join()

    def _start(self, wanted: int) -> None:
        if len(self._helpers) >= wanted:
            return
        with self._lock:
            while len(self._helpers) < wanted:
                helper = threading.Thread(
                    target=_help, args=(self._waiting,), name=f"minivision-{len(self._helpers) + 1}", daemon=True
                )
                self._helpers.append(helper)
                try:
                    helper.start()
                except RuntimeError:  # the system gives no more threads: work with those there are
                    self._helpers.remove(helper)
                    return


class _Ticket:
    """One helper's invitation to shared jobs. It is taken once: by a helper, or back by the caller."""

    def __init__(self, shared: _Shared, done: queue.SimpleQueue[None]):
        self._work: Callable[[], None] | None = functools.partial(contextvars.copy_context().run, shared.take_part)
        self._done = done
        self._taker: dict[str, str] = {}
        self.over = False

    def take(self, who: str) -> bool:
        """Whether it is this one that has the ticket; asked again, the answer is the same."""
        taken = self._taker.setdefault("by", who) == who  # one step of the interpreter
        if taken and who == "caller":
            self._work = None  # the ticket may lie in the queue for long, and need not keep the arrays
        return taken

    def work(self) -> None:
        try:
            if self._work is not None:
                self._work()
        finally:
            self._work = None
            self.over = True
            self._done.put(None)


def _help(waiting: queue.SimpleQueue[Any]) -> None:
    while (ticket := waiting.get()) is not None:
        if ticket.take("helper"):
            ticket.work()
        del ticket  # or the last job's arrays would live on while this thread waits


class _Cores:
    """Keeps helpers off the core that their caller is on.

    A thread that wakes up needs a core, and Linux looks for an idle one. But an idle core of a virtual machine goes back to the
    host at once, and then does not count as idle; so a helper is often put on the core of its caller, and for milliseconds they
    take turns, while the other core waits. (OpenMP's threads never leave their cores: they wait for work in a busy loop.)
    """

    def __init__(self) -> None:
        self._current = _current_core() if hasattr(os, "sched_setaffinity") else None
        self._avoided: tuple[int, list[threading.Thread]] | None = None  # the core, and the helpers that avoid it

    def keep_apart(self, helpers: list[threading.Thread]) -> None:
        """Let these helpers run anywhere but on the core of the calling thread, which is seldom another one than last time."""
        if self._current is None:
            return
        core = self._current()
        if self._avoided == (core, helpers):
            return
        try:
            allowed = os.sched_getaffinity(0)
            others = allowed - {core}
            for helper in helpers:
                if helper.native_id is not None:
                    # with more threads than cores they have to share
                    os.sched_setaffinity(helper.native_id, others if len(others) >= len(helpers) else allowed)
        except ProcessLookupError:  # somebody else has just changed the number of threads
            return
        except OSError:  # the system does not let us
            self._current = None
        self._avoided = core, [*helpers]


def _current_core() -> Callable[[], int] | None:
    """A function that tells on which core it is called; None where the C library has none."""
    try:
        import ctypes

        return cast("Callable[[], int]", ctypes.PyDLL(None).sched_getcpu)  # PyDLL: it keeps Python's lock
    except (ImportError, OSError, AttributeError, TypeError):
        return None


class _Blas:
    """NumPy's BLAS, as far as its threads go; found by threadpoolctl when first needed."""

    def __init__(self) -> None:
        self._libraries: list[Any] | None = None
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._users: set[Any] = set()
        self._before: list[int] = []

    def libraries(self) -> list[Any]:
        """What controls each BLAS that is loaded. Without threadpoolctl none: then all works, with more threads than cores."""
        if self._libraries is None:
            try:
                from threadpoolctl import ThreadpoolController  # takes as long to load as our own package: only where needed
            except ImportError:
                self._libraries = []
            else:
                self._libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        return self._libraries

    def limit(self, user: Any) -> None:
        """Keep BLAS to one thread until the last of those who asked for it is done; then it has what it had before."""
        with self._lock:
            if not self._users:
                self._before = [library.get_num_threads() for library in self.libraries()]
                self._users.add(user)
                self._set([1 if before > 1 else None for before in self._before])
            self._users.add(user)

    def release(self, user: Any) -> None:
        with self._lock:
            if self._users == {user}:
                self._set([before if before > 1 else None for before in self._before])
            self._users.discard(user)

    def set_default(self, threads: int) -> None:
        with self._lock:
            wanted = [threads] * len(self.libraries())
            if self._users:
                self._before = wanted
            else:
                self._set(wanted)

    def _set(self, numbers: Sequence[int | None]) -> None:
        """None where there is nothing to change; each call of a library takes a microsecond."""
        for library, number in zip(self.libraries(), numbers, strict=True):
            if number is not None:
                library.set_num_threads(number)


_CAN_START_THREADS = sys.platform not in ("emscripten", "wasi")


def _default_size() -> int:
    """How many threads to begin with: what OMP_NUM_THREADS says, else the cores that this process may use."""
    if not _CAN_START_THREADS:
        return 1
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if said.isdecimal() and int(said) > 0:
        return int(said)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _granted(cores)))


def _granted(cores: int, folder: Path = Path("/sys/fs/cgroup")) -> int:
    """How many cores' time Linux grants to this container, which sees all cores; `cores` where there is no such limit."""
    for files in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # version 2 of cgroups, and version 1
        try:
            quota, period = " ".join((folder / name).read_text() for name in files).split()
            return max(1, round(int(quota) / int(period))) if int(quota) > 0 else cores
        except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
            continue
    return cores


def _begin_anew() -> None:
    """A forked child has no threads but the one that forked, and locks may be held by those it lacks."""
    _pool._forget()
    _blas._forget()


_pool = _Pool(_default_size())
_cores = _Cores()
_blas = _Blas()
atexit.register(_pool.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pool.stop, after_in_child=_begin_anew)
