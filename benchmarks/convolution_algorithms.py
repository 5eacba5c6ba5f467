"""The algorithms of convolution side by side: forward, input gradient and weight gradient of each, in milliseconds.

`python -m benchmarks.convolution_algorithms` (a minute or two; `--threads 2`, `--shapes 3x3 large`, `--seconds 0.2`). A star is
at the algorithm that the rule takes. Two more columns: the memory that forward needs besides x, w and y, and the largest error of
any of the three in float32, relative to the largest value. The loops of the definition are timed on the tiny shape alone.
"""

from __future__ import annotations

import argparse
import importlib
import math
import platform
import tracemalloc
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minivision
from benchmarks.timing import Local, in_turns
from minivision import memory
from minivision.functions.convolution.choice import ALGORITHMS, Problem, fastest
from minivision.functions.convolution.geometry import Window, output_size

FACES = ("correlate", "correlate_transposed", "correlate_kernel")
LOOPS_AT_MOST = 100_000  # multiplications of the definition: a second


class Shape(NamedTuple):
    """x (N, C, n, n) and w (F, C/groups, k, k), padded so that stride 1 keeps the size."""

    label: str
    batch: int
    channels: int
    filters: int
    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    groups: int = 1

    @property
    def window(self) -> Window:
        pad = self.dilation * (self.kernel - 1) // 2
        return Window((self.stride,) * 2, ((pad, pad),) * 2, (self.dilation,) * 2, self.groups)

    @property
    def x(self) -> tuple[int, ...]:
        return (self.batch, self.channels, self.size, self.size)

    @property
    def w(self) -> tuple[int, ...]:
        return (self.filters, self.channels // self.groups, self.kernel, self.kernel)

    @property
    def out(self) -> tuple[int, ...]:
        return output_size("benchmark", self.x[2:], self.w[2:], self.window)

    @property
    def multiplications(self) -> int:
        return self.batch * math.prod(self.out) * math.prod(self.w)

    def problem(self, dtype: Any) -> Problem:
        return Problem(
            self.batch, self.channels, self.filters, self.x[2:], self.out, self.w[2:], self.window, np.dtype(dtype), True
        )

    def __str__(self) -> str:
        more = [f"{name} {n}" for name, n in zip(self._fields[6:], self[6:], strict=True) if n != 1]
        kernel, image = f"{self.kernel}x{self.kernel}", f"{self.batch} x {self.size}x{self.size}"
        return ", ".join([f"{self.label}: {kernel}, {self.channels} -> {self.filters}, {image}", *more])


SHAPES = (
    Shape("tiny", 1, 2, 4, 12, 3),
    Shape("3x3 narrow", 8, 16, 16, 64, 3),
    Shape("3x3", 1, 64, 64, 128, 3),
    Shape("3x3 wide", 1, 256, 256, 32, 3),
    Shape("3x3 deep", 1, 512, 512, 16, 3),
    Shape("1x1", 1, 128, 128, 64, 1),
    Shape("strided", 1, 64, 128, 128, 3, stride=2),
    Shape("dilated", 1, 64, 64, 64, 3, dilation=2),
    Shape("depthwise", 1, 64, 64, 64, 3, groups=64),
    Shape("7x7", 1, 64, 64, 64, 7),
    Shape("large 11x11", 1, 64, 64, 64, 11),
    Shape("large 15x15", 1, 16, 16, 128, 15),
    Shape("large 31x31, one channel", 1, 1, 1, 256, 31),
    Shape("large 31x31", 1, 16, 16, 128, 31),
)


def channels_last(array: np.ndarray) -> np.ndarray:
    """(N, C, H, W) as before, channels-last in memory, as it is between the layers of a network."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def faces(name: str, shape: Shape, arrays: tuple[np.ndarray, ...]) -> list[Callable[[], np.ndarray]]:
    """Forward, input gradient and weight gradient by this algorithm, ready to be called."""
    module, (x, w, dy), window = importlib.import_module(f"minivision.functions.convolution.{name}"), arrays, shape.window
    return [
        lambda: module.correlate(x, w, window, shape.out),
        lambda: module.correlate_transposed(dy, w, x.shape[2:], window),
        lambda: module.correlate_kernel(x, dy, w.shape[2:], window),
    ]


def peak_megabytes(call: Callable[[], np.ndarray]) -> float:
    """Memory that the call asks for besides its result; workspaces that are kept for the next call count."""
    memory.clear()
    tracemalloc.start()
    result = call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return max(peak - result.nbytes, 0) / 1e6


def compare(shape: Shape, seconds: float) -> None:
    rng = np.random.default_rng(0)
    exact = tuple(rng.standard_normal(s) for s in (shape.x, shape.w, (shape.batch, shape.filters, *shape.out)))
    x, w, dy = (a.astype(np.float32) for a in exact)
    arrays = channels_last(x), w, channels_last(dy)
    truth = [face() for face in faces("im2col", shape, tuple(a.astype(np.float64) for a in arrays))]
    problem = shape.problem(np.float32)
    ruled = [fastest(face, problem) for face in FACES]

    programs, errors, peaks = {}, {}, {}
    for name in ALGORITHMS:
        applies = importlib.import_module(f"minivision.functions.convolution.{name}").applies(problem)
        if not applies or (name == "definition" and shape.multiplications > LOOPS_AT_MOST):
            continue
        calls = faces(name, shape, arrays)
        pairs = list(zip(calls, truth, strict=True))
        errors[name] = max(float(np.abs(call() - exact).max() / np.abs(exact).max()) for call, exact in pairs)
        peaks[name] = peak_megabytes(calls[0])
        programs |= {(name, number): Local(call) for number, call in enumerate(calls)}
    times = in_turns(programs, rounds=9, seconds=seconds * len(programs))

    print(f"\n{shape}  ({shape.multiplications / 1e6:,.1f} million multiplications by the definition)")
    print(f"  {'':<12}{'forward':>12}{'to input':>12}{'to weight':>12}   {'memory':>9}   {'error':>7}")
    for name in errors:
        cells = (f"{1e3 * times[name, n].median:.2f}{'*' if ruled[n] == name else ' '}" for n in range(3))
        print(f"  {name:<12}{''.join(f'{cell:>12}' for cell in cells)}   {peaks[name]:>6.1f} MB   {errors[name]:.1e}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=0.3, help="for each of the numbers (default: %(default)s)")
    parser.add_argument("--shapes", nargs="+", metavar="WORD", help="only the shapes whose name contains one of these")
    options = parser.parse_args()
    minivision.threads.set_num_threads(options.threads)
    print(
        f"minivision {minivision.__version__}, NumPy {np.__version__}, Python {platform.python_version()}, {platform.machine()}"
    )
    print(f"float32, {options.threads} thread(s), median milliseconds; * is what the rule takes")
    for shape in SHAPES:
        if not options.shapes or any(word in shape.label for word in options.shapes):
            compare(shape, options.seconds)


if __name__ == "__main__":
    main()
