"""The pool of threads: every job once, errors and Ctrl-C, forks, other threads at the same moment, and BLAS kept to one."""

from __future__ import annotations

import _thread
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import minivision
from minivision import threads
from minivision.autograd import is_grad_enabled, no_grad
from minivision.blocks import in_blocks
from minivision.functions.channel_blocks import ChannelBlocks
from minivision.functions.class_blocks import ClassBlocks
from minivision.threads import for_each, get_num_threads, set_num_threads, spans


@pytest.fixture
def two(set_threads):
    set_threads(2)


def run(code, **environment):
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def meet(barrier):
    """A job that ends only when as many as the barrier waits for are at work at the same time."""
    return lambda job: barrier.wait()


# ---- jobs ----


def test_every_job_once(number_of_threads):
    done = []
    for_each(done.append, range(1000))
    assert sorted(done) == list(range(1000))
    for_each(done.append, [])
    assert len(done) == 1000


def test_jobs_run_side_by_side(number_of_threads):
    for_each(meet(threading.Barrier(number_of_threads, timeout=10)), range(number_of_threads))


def test_the_caller_works_along(two):
    names = set()
    barrier = threading.Barrier(2, timeout=10)

    def work(job):
        names.add(threading.current_thread().name)
        barrier.wait()

    for_each(work, range(2))
    assert names == {threading.current_thread().name, "minivision-1"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_do_not_depend_on_the_number(number_of_threads, dtype):
    x = np.random.default_rng(0).standard_normal((7, 33, 41, 13)).astype(dtype)
    for a in (x, x.transpose(0, 3, 1, 2), x[:, ::2], x[:0], x[:1, :1, :1, :1]):
        y = np.empty_like(a)
        in_blocks(lambda a, y: np.multiply(a, a, out=y), a, y, block=1000, shared=0)
        np.testing.assert_array_equal(y, a * a)


def test_work_inside_work_is_done_alone(two):
    inner = []

    def work(job):
        assert get_num_threads() == 1
        here = threading.current_thread()
        for_each(lambda k: inner.append((job, k, threading.current_thread() is here)), range(3))

    for_each(work, range(4))
    assert sorted(inner) == [(job, k, True) for job in range(4) for k in range(3)]
    assert get_num_threads() == 2


@pytest.mark.parametrize("length", [1, 15, 16, 17, 1000, 4097])
@pytest.mark.parametrize("step", [1, 16, 100, 5000])
@pytest.mark.parametrize("aligned", [1, 16])
def test_spans(number_of_threads, length, step, aligned):
    parts = spans(length, step, aligned)
    assert parts[0].start == 0
    assert parts[-1].stop == length
    assert [a.stop for a in parts[:-1]] == [b.start for b in parts[1:]]
    assert all(p.start < p.stop <= length for p in parts)
    assert all(p.start % aligned == 0 for p in parts)
    assert all(p.stop - p.start <= -(-step // aligned) * aligned for p in parts)


# ---- errors ----


def test_an_error_is_raised_here(number_of_threads):
    class Wrong(Exception):
        pass

    def work(job):
        if job == 5:
            raise Wrong(job)

    with pytest.raises(Wrong, match="5"):
        for_each(work, range(100))
    done = []
    for_each(done.append, range(10))
    assert sorted(done) == list(range(10))


def test_after_an_error_nothing_new_is_begun(two):
    begun = []
    barrier = threading.Barrier(2, timeout=10)

    def work(job):
        begun.append(job)
        if job < 2:
            barrier.wait()
        raise ValueError(job)

    with pytest.raises(ValueError, match=r"^[01]$"):
        for_each(work, range(100))
    assert sorted(begun) == [0, 1]


def test_all_jobs_have_ended_when_the_error_is_raised(two):
    ended = []
    barrier = threading.Barrier(2, timeout=10)

    def work(job):
        barrier.wait()
        if threading.current_thread() is threading.main_thread():
            raise ValueError
        time.sleep(0.05)
        ended.append(job)

    with pytest.raises(ValueError, match=r"^$"):
        for_each(work, range(2))
    assert len(ended) == 1


def test_an_error_keeps_nothing_alive(two):
    def attempt():
        a = np.ones(10)
        ref = weakref.ref(a)
        try:
            for_each(lambda job: 1 / 0 * a, range(4))
        except ZeroDivisionError:
            return ref

    gc.collect()
    gc.disable()
    try:
        refs = [attempt() for _ in range(3)]
        time.sleep(0.05)
        assert [r() is None for r in refs] == [True] * 3
    finally:
        gc.enable()


def test_what_was_worked_on_is_not_kept(two):
    """Not even by tickets that no helper had the time to look at."""
    refs = []
    for _ in range(20):
        a = np.ones(10)
        refs.append(weakref.ref(a))
        for_each(lambda job, a=a: a.sum(), range(2))
        del a
    time.sleep(0.05)
    assert [r() is None for r in refs] == [True] * 20


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals go to the main thread")
@pytest.mark.parametrize("again", [False, True], ids=["once", "and while the caller waits"])
def test_ctrl_c_while_helpers_write(again, two):
    """It is raised in the caller, but only when no helper writes any more."""
    writing, barrier = [], threading.Barrier(2, timeout=10)

    def work(job):
        barrier.wait()
        if threading.current_thread() is threading.main_thread():
            _thread.interrupt_main()
            return
        writing.append(True)
        time.sleep(0.1)
        if again:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.2)
        writing.clear()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            for_each(work, range(2))
    finally:
        signal.signal(signal.SIGINT, before)
    assert writing == []
    assert get_num_threads() == 2
    assert not threads._blas._users
    for_each(meet(threading.Barrier(2, timeout=10)), range(2))


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals go to the main thread")
def test_ctrl_c_again_and_again(two):
    """Interrupts that fall anywhere leave the pool as it was, and never hang."""
    stop, wanted = threading.Event(), []

    def interrupt():
        while not stop.wait(0.0003):
            _thread.interrupt_main()

    def raise_if_wanted(number, frame):  # else one that comes late would end the test, or the whole run
        if wanted:
            wanted.pop()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, raise_if_wanted)
    caught, x = 0, np.ones(100_000)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                try:
                    wanted[:] = range(3)  # one each for the call, for `finally` and for `except`, or more than one for the call
                    for_each(lambda part: np.sqrt(x[part]), spans(x.size, 10_000))
                finally:
                    wanted.clear()
            except KeyboardInterrupt:
                caught += 1
    except KeyboardInterrupt:
        caught += 1
    finally:
        stop.set()
        thread.join()
        time.sleep(0.01)  # for the last one to arrive
        signal.signal(signal.SIGINT, before)
    assert caught > 0
    assert get_num_threads() == 2
    for_each(meet(threading.Barrier(2, timeout=10)), range(2))


# ---- what holds for the caller holds for the helpers ----


def test_the_callers_context(two):
    seen = []
    barrier = threading.Barrier(2, timeout=10)

    def work(job):
        barrier.wait()
        seen.append((is_grad_enabled(), np.geterr()["divide"]))

    with no_grad(), np.errstate(divide="raise"):
        for_each(work, range(2))
    assert seen == [(False, "raise")] * 2


# ---- the number ----


def test_set_and_get():
    before = get_num_threads()
    assert minivision.get_num_threads is get_num_threads
    assert minivision.set_num_threads is set_num_threads
    for n in (1, 3, np.int64(2)):
        set_num_threads(n)
        assert get_num_threads() == n
    set_num_threads(before)
    assert get_num_threads() == before


@pytest.mark.parametrize("value", [1.0, "2", None, True])
def test_no_number(value):
    with pytest.raises(TypeError, match=r"set_num_threads: threads=.* must be an int, not"):
        set_num_threads(value)


@pytest.mark.parametrize("value", [0, -3])
def test_too_few(value):
    with pytest.raises(ValueError, match=f"set_num_threads: threads={value} must be at least 1, which is the caller alone"):
        set_num_threads(value)


def test_changing_the_number_ends_helpers(two):
    for_each(meet(threading.Barrier(2, timeout=10)), range(2))
    helpers = list(threads._pool._helpers)
    assert [h.is_alive() for h in helpers] == [True]
    set_num_threads(1)
    assert [h.is_alive() for h in helpers] == [False]
    names = set()
    for_each(lambda job: names.add(threading.current_thread().name), range(50))
    assert names == {threading.current_thread().name}


def test_changing_the_number_while_others_work(two):
    stop, wrong = threading.Event(), []

    def work():
        while not stop.is_set():
            done = []
            for_each(done.append, range(20))
            if sorted(done) != list(range(20)):
                wrong.append(done)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for n in [1, 2, 3, 4] * 10:
        set_num_threads(n)
    stop.set()
    for worker in workers:
        worker.join(20)
    assert [w.is_alive() for w in workers] == [False] * 3
    assert wrong == []


def test_changing_the_number_from_inside(two):
    for_each(lambda job: set_num_threads(1 + job % 3), range(30))
    done = []
    set_num_threads(2)
    for_each(done.append, range(30))
    assert sorted(done) == list(range(30))


def test_many_callers_at_once(two):
    results = {}

    def work(name):
        x = np.arange(100_000, dtype=np.float64) + name
        for _ in range(20):
            y = np.empty_like(x)
            in_blocks(lambda x, y: np.add(x, x, out=y), x, y, block=5000, shared=0)
            if not np.array_equal(y, x + x):
                return
        results[name] = True

    callers = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
    assert results == dict.fromkeys(range(6), True)


@pytest.mark.parametrize(("said", "size"), [("1", 1), ("5", 5), ("3,2", 3), ("0", None), ("many", None), ("", None)])
def test_the_number_to_begin_with(said, size):
    printed = int(run("import minivision; print(minivision.get_num_threads())", OMP_NUM_THREADS=said))
    assert printed == size or (size is None and 1 <= printed <= (os.cpu_count() or 1))


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "nonsense"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
    ],
)
def test_what_a_container_grants(files, cores, tmp_path):
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert threads._granted(8, tmp_path) == cores


# ---- where threads cannot be had ----


def test_where_threads_cannot_start(monkeypatch):
    """As in a browser: everything works, alone."""
    monkeypatch.setattr(threads, "_CAN_START_THREADS", False)
    monkeypatch.setattr(threads, "_pool", threads._Pool(threads._default_size()))
    assert get_num_threads() == 1
    set_num_threads(4)
    assert get_num_threads() == 1
    done = []
    for_each(done.append, range(10))
    assert done == list(range(10))


def test_when_the_system_gives_no_more(monkeypatch):
    monkeypatch.setattr(threads, "_pool", threads._Pool(4))

    def start(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    done = []
    for_each(done.append, range(10))
    assert done == list(range(10))
    assert threads._pool._helpers == []


def test_without_threadpoolctl(monkeypatch):
    monkeypatch.setattr(threads, "_blas", threads._Blas())
    monkeypatch.setattr(threads, "_pool", threads._Pool(2))
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)  # importing it fails
    done = []
    for_each(done.append, range(10))
    assert sorted(done) == list(range(10))
    threads._pool.stop()


# ---- cores ----


@pytest.fixture
def core(monkeypatch):
    """The core that callers are said to be on, one of several that this thread may use."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(allowed) < 2:
        pytest.skip("a system that has several cores, and tells which")
    monkeypatch.setattr(threads, "_cores", threads._Cores())
    threads._cores._current = lambda: allowed[-1]
    before = get_num_threads()
    yield allowed[-1]
    set_num_threads(before)


def test_helpers_keep_off_the_core_of_their_caller(core):
    allowed = os.sched_getaffinity(0)
    set_num_threads(2)
    for other in (core, min(allowed)):
        threads._cores._current = lambda core=other: core
        for_each(lambda job: None, range(2))
        assert [os.sched_getaffinity(h.native_id) for h in threads._pool._helpers] == [allowed - {other}]
    assert os.sched_getaffinity(0) == allowed  # the caller's own


def test_with_more_threads_than_cores_helpers_go_anywhere(core):
    allowed = os.sched_getaffinity(0)
    set_num_threads(len(allowed) + 1)
    for_each(lambda job: None, range(20))
    assert {frozenset(os.sched_getaffinity(h.native_id)) for h in threads._pool._helpers} == {frozenset(allowed)}


def test_where_the_system_does_not_let_us_choose_cores(core, monkeypatch):
    asked = []

    def refuse(thread, cores):
        asked.append(thread)
        raise PermissionError

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    set_num_threads(2)
    done = []
    for _ in range(3):
        for_each(done.append, range(10))
    assert sorted(done) == sorted([*range(10)] * 3)
    assert len(asked) == 1


def test_the_current_core_is_one_that_this_thread_may_use():
    current = threads._current_core()
    if current is not None:
        assert current() in os.sched_getaffinity(0)


# ---- BLAS ----


def test_blas_keeps_to_one_thread_meanwhile(two):
    libraries = threads._blas.libraries()
    if not libraries:
        pytest.skip("threadpoolctl knows no BLAS here")
    before = [library.get_num_threads() for library in libraries]
    assert before == [2] * len(libraries)
    inside = []
    for_each(lambda job: inside.extend(library.get_num_threads() for library in libraries), range(4))
    assert set(inside) == {1}
    with threads.one_blas_thread():
        assert [library.get_num_threads() for library in libraries] == [1] * len(libraries)
        for_each(lambda job: None, range(4))
        assert [library.get_num_threads() for library in libraries] == [1] * len(libraries)
        set_num_threads(3)
        assert [library.get_num_threads() for library in libraries] == [1] * len(libraries)
    assert [library.get_num_threads() for library in libraries] == [3] * len(libraries)


def test_blas_keeps_to_one_thread_where_nothing_is_shared_out(two):
    """Or the threads that it wakes wait in a busy loop on the core that the next operation needs."""
    libraries = threads._blas.libraries()
    if not libraries:
        pytest.skip("threadpoolctl knows no BLAS here")

    def work(*arguments):
        inside.append([library.get_num_threads() for library in libraries])

    x = np.ones((2, 32, 32, 32), np.float32)  # few enough for one thread
    for share_out in (
        lambda: for_each(work, range(1)),
        lambda: threads.in_turn(work, range(1)),
        lambda: ChannelBlocks(x.shape, x.dtype).run(work, (x,), ()),
        lambda: ClassBlocks(x).run(work, (x,), ()),
    ):
        inside = []
        share_out()
        assert inside == [[1] * len(libraries)]
        assert [library.get_num_threads() for library in libraries] == [2] * len(libraries)


# ---- processes ----


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_threads_of_its_own():
    code = """
import os, threading, warnings
warnings.simplefilter("error")
from minivision.threads import for_each, set_num_threads
set_num_threads(2)
def both(): for_each(lambda job: barrier.wait(), range(2))
barrier = threading.Barrier(2, timeout=10)
both()
child = os.fork()
barrier = threading.Barrier(2, timeout=10)
both()
if child == 0: os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert run(code) == "7"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_while_another_thread_works():
    code = """
import os, threading
import numpy as np
from minivision import memory
from minivision.threads import for_each, set_num_threads
set_num_threads(2)
stop = threading.Event()
def work():
    while not stop.is_set():
        for_each(lambda job: memory.empty((300, 300), np.float32).fill(0), range(8))
worker = threading.Thread(target=work)
worker.start()
codes = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        for_each(lambda job: memory.empty((300, 300), np.float32).fill(0), range(8))
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
worker.join()
print(set(codes))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "{0}"


def test_the_program_ends():
    code = """
import threading
from minivision.threads import for_each, set_num_threads
set_num_threads(3)
for_each(lambda job: barrier.wait(), [barrier := threading.Barrier(3, timeout=10)] * 3)
print(threading.active_count())
import atexit
atexit._run_exitfuncs()
print(threading.active_count())
for_each(print, ["a"])
"""
    assert run(code).split() == ["3", "1", "a"]


def test_work_at_exit():
    """Registered before the pool is, so it runs when the pool has ended already."""
    code = """
import atexit
def late():
    done = []
    for_each(done.append, range(20))
    print(sorted(done) == list(range(20)))
atexit.register(late)
from minivision.threads import for_each, set_num_threads
set_num_threads(2)
for_each(lambda job: None, range(2))
"""
    assert run(code) == "True"


def test_importing_loads_no_threadpoolctl_and_starts_nothing():
    code = "import sys, threading, minivision; print('threadpoolctl' in sys.modules, threading.active_count())"
    assert run(code) == "False 1"
