"""What the machine can do: the rates that no program on it can exceed, measured where and when the cases are.

sgemm       float32 operations a second of NumPy's BLAS on square matrices; each thread multiplies its own
copy        bytes a second, read and written, of np.copyto: within a core's cache, and from memory
page fault  seconds for a megabyte of fresh memory, beyond writing it: the system finds its pages and clears them
call        seconds of one NumPy operation on four numbers: what it takes however little there is to compute
wake        seconds until a sleeping thread is at work: sharing out less than that takes longer than doing it
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.case import Work
from benchmarks.timing import PAUSE

CACHED = 1 << 17  # bytes of each of two arrays that lie in one core's cache
LARGE = 1 << 26  # bytes of each of two arrays that do not lie in any
SHARED_CACHE = 1 << 23  # bytes of a case's arrays up to which the rate of the cache is its limit


@dataclass(frozen=True)
class Limits:
    threads: int
    sgemm: float  # operations a second
    cache: float  # bytes a second
    memory: float  # bytes a second
    page_faults: float  # seconds for a megabyte
    call: float = 0.0  # seconds
    wake: float = 0.0  # seconds

    def seconds(self, work: Work) -> float:
        """The time that the definition's work takes at these rates: arithmetic, bytes or calls, whichever takes longest."""
        rate = self.cache if work.bytes <= SHARED_CACHE else self.memory
        return max(work.flops / self.sgemm, work.bytes / rate, work.calls * self.call)

    def as_dict(self) -> dict[str, float]:
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.threads} thread{'s' if self.threads > 1 else ''}: sgemm {self.sgemm / 1e9:.0f} GFLOP/s, copy in cache "
            f"{self.cache / 1e9:.0f} GB/s, from memory {self.memory / 1e9:.0f} GB/s, fresh memory "
            f"{1e6 * self.page_faults:.0f} us/MB, a NumPy call {1e6 * self.call:.2f} us, waking a thread {1e6 * self.wake:.0f} us"
        )


def measure(threads: int, size: int = 1024, repeats: int = 15) -> Limits:
    """The limits of so many threads, each with a BLAS of one thread."""
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:

        def seconds(work: list[Callable[[], None]]) -> float:
            """The shortest time of all of `work` at once, one to each thread: a limit is what can be reached."""
            times = []
            for _ in range(repeats):
                begin = time.perf_counter()
                for _ in pool.map(lambda call: call(), work):
                    pass
                times.append(time.perf_counter() - begin)
            return min(times)

        time.sleep(PAUSE)
        matrices = [[np.full((size, size), 1.0, np.float32) for _ in range(3)] for _ in range(threads)]
        products = seconds([lambda m=m: np.matmul(m[0], m[1], out=m[2]) for m in matrices])
        small = [(np.ones(CACHED, np.uint8), np.ones(CACHED, np.uint8)) for _ in range(threads)]
        again = 200

        def copies(a: np.ndarray, b: np.ndarray) -> None:
            for _ in range(again):
                np.copyto(b, a)

        cached = seconds([lambda p=p: copies(*p) for p in small])
        large = [(np.ones(LARGE // threads, np.uint8), np.ones(LARGE // threads, np.uint8)) for _ in range(threads)]
        from_memory = seconds([lambda p=p: np.copyto(p[1], p[0]) for p in large])
        used = large[0][0]
        faults = seconds([lambda: np.empty(used.size, np.uint8).fill(1)]) - seconds([lambda: used.fill(1)])
    return Limits(
        threads,
        threads * 2 * size**3 / products,
        threads * again * 2 * CACHED / cached,
        2 * LARGE / from_memory,
        max(faults, 0.0) / (used.size / 1e6),
        _call(),
        _wake(),
    )


def _call(times: int = 10_000) -> float:
    a, b = np.ones(4, np.float32), np.ones(4, np.float32)
    seconds = []
    for _ in range(10):
        begin = time.perf_counter()
        for _ in range(times):
            np.add(a, b)
        seconds.append((time.perf_counter() - begin) / times)
    return min(seconds)


def _wake(times: int = 200) -> float:
    """Half of what a question to another thread and its answer take; the median, since some find it awake."""
    there: queue.SimpleQueue[bool] = queue.SimpleQueue()
    back: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def answer() -> None:
        while there.get():
            back.put(True)

    helper = threading.Thread(target=answer)
    helper.start()
    seconds = []
    for _ in range(times):
        time.sleep(0.0005)  # so that it sleeps
        begin = time.perf_counter()
        there.put(True)
        back.get()
        seconds.append((time.perf_counter() - begin) / 2)
    there.put(False)
    helper.join()
    return sorted(seconds)[times // 2]
