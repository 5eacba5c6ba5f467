"""Timing several programs that do the same, in turns: A B A B ...

A machine is never quite the same from one minute to the next, so two programs are compared round by round: in each round each
has one turn, and the ratio of two turns of the same round is hardly touched by what slows down both. What is reported is the
ratio of the medians over all rounds, with the quartiles of the rounds' ratios as its spread.

This file needs nothing but Python, since the worker processes of other frameworks, on old Pythons too, import it.
"""

import statistics
import time

# Threads of BLAS and of OpenMP wait for more work in a busy loop, for up to 30 ms, and would take a core from the next program.
PAUSE = 0.04
TURN = 0.03  # seconds that one turn should last at least; short calls are repeated


class Times:
    """Seconds per call, one number for each round."""

    def __init__(self, seconds):
        self.seconds = list(seconds)

    @property
    def median(self):
        return statistics.median(self.seconds)

    @property
    def quartiles(self):
        return quartiles(self.seconds)


def quartiles(values):
    """(first, third) quartile, interpolated between the values as NumPy does."""
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


class Local:
    """A program of this process: `call()` runs it once."""

    def __init__(self, call):
        self.call = call

    def turn(self, calls, warm_up):
        """Seconds per call of `calls` calls, after one that is not counted if `warm_up`."""
        time.sleep(PAUSE)
        if warm_up:
            self.call()
        begin = time.perf_counter()
        for _ in range(calls):
            self.call()
        return (time.perf_counter() - begin) / calls


def in_turns(programs, rounds=15, seconds=3.0):
    """{name: Times} of {name: program with a `turn`}: so many rounds, or fewer once `seconds` are over, but at least 5.

    3 do where 5 rounds would take more than twice the time.
    """
    plans = {}
    begin = time.perf_counter()
    for name, program in programs.items():
        program.turn(1, False)  # the very first call compiles, allocates and plans
        once = program.turn(1, False)
        calls = max(1, min(10_000, round(TURN / max(once, 1e-7))))
        # A call that was fast enough to be repeated wants its caches and threads warm; a long one warms them by itself.
        plans[name] = (calls, calls > 1 or once < 0.1)
    measured = {name: [] for name in programs}
    for done in range(rounds):
        for name, program in programs.items():
            measured[name].append(program.turn(*plans[name]))
        spent = time.perf_counter() - begin
        if done + 1 >= (5 if spent < 2 * seconds else 3) and spent > seconds:
            break
    return {name: Times(values) for name, values in measured.items()}


def ratio(ours, theirs):
    """(ratio of the medians, first and third quartile of the rounds' ratios)."""
    low, high = quartiles([a / b for a, b in zip(ours.seconds, theirs.seconds)])  # noqa: B905 - also for old Pythons
    return ours.median / theirs.median, low, high
