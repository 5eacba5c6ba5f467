"""Which algorithm computes a convolution.

Every algorithm is a module of this package with the same functions:

    applies(problem)                                       whether it can compute this convolution at all
    correlate(x, w, window, out, finish)                   the three faces; see `faces.py`
    correlate_transposed(dy, w, size, window)
    correlate_kernel(x, dy, kernel, window)

One that computes both gradients cheaper together than apart has these as well, as im2col does, and `faces.py` asks for them:

    shares_windows(dy, w, size, window), gradients(x, dy, w, window)                              of a convolution
    shares_windows_of_transposed(x, w, window), gradients_of_transposed(x, dy, w, window)         of a transposed one

All of them give the same result but for rounding. Which one runs is decided by the shapes alone, by the rule in `fastest`,
unless `conv_algorithm` asks for one by name.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minivision.backend import Array

if TYPE_CHECKING:
    from minivision.functions.convolution.geometry import Window

ALGORITHMS = ("im2col", "definition", "matrix", "shifted", "winograd", "fft")

BY_RULE = "by rule"  # what `conv_algorithm(None)` asks for
_asked_for: ContextVar[str | None] = ContextVar("minivision_conv_algorithm", default=None)


class Problem(NamedTuple):
    """What the choice depends on: the shapes of one convolution x (N, C, *size) -> y (N, F, *out)."""

    batch: int
    channels: int
    out_channels: int
    size: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    window: Window
    dtype: np.dtype
    on_cpu: bool

    @classmethod
    def of(cls, batch: int, size: Any, out: Any, w: Array, window: Window) -> Problem:
        kernel, channels = w.shape[2:], w.shape[1] * window.groups
        return cls(batch, channels, w.shape[0], tuple(size), tuple(out), kernel, window, w.dtype, type(w) is np.ndarray)


def algorithm_for(face: str, problem: Problem) -> ModuleType:
    """The module that computes this face of the convolution."""
    return _module(choose(face, problem).algorithm)


class Choice(NamedTuple):
    """The algorithm of one face, and why it is this one."""

    algorithm: str
    reason: str


def choose(face: str, problem: Problem) -> Choice:
    """The algorithm that forward was asked for, else the one asked for now; where it does not apply, and without, the rule's."""
    wanted = problem.window.algorithm or _asked_for.get()
    if wanted in (None, BY_RULE):
        return Choice(fastest(face, problem), "the fastest by the rule")
    if _module(wanted).applies(problem):
        return Choice(wanted, "asked for")
    return Choice(fastest(face, problem), f"{wanted!r} was asked for and does not apply here; the fastest by the rule")


def fastest(face: str, problem: Problem) -> str:
    """The rule: the name of the algorithm that was measured to be the fastest for such shapes."""
    if _winograd_pays(face, problem):
        return "winograd"
    if _fft_pays(problem):
        return "fft"
    if problem.on_cpu and _depthwise(problem):
        # im2col goes group by group: 8, 64, 256 groups of 64x64, 64x64, 8x8 pixels take it 1.4, 2.5, 23 times as long
        return "shifted"
    return "im2col"


def _fft_pays(problem: Problem) -> bool:
    """Whether the transforms cost less than a large kernel's products; in float32 alone, as for Winograd's.

    Milliseconds forward by the faster of im2col and shifted | by fft, on one core, one image, padding "same":

        channels    pixels    7x7         11x11       15x15       31x31
        1 -> 1      256       0.5 | 2.2               1.6 | 2.8   6.0 | 2.9
        3 -> 16     128       1.3 | 8.4               4.4 | 7.0   19 | 9.7
        16 -> 16    128       4.7 | 12    11 | 12     20 | 14     96 | 23
        64 -> 64    64        17 | 28     47 | 40     91 | 56     406 | 124

    The gradients likewise, but for the input's where it has 3 channels, which takes im2col twice as long.
    """
    if math.prod(problem.kernel) < 49 or problem.dtype != np.float32 or not problem.on_cpu:
        return False
    return 1.5 * _module("fft").nanoseconds(problem) < _direct_nanoseconds(problem)


def _direct_nanoseconds(problem: Problem) -> float:
    """What it costs without, on one core: each number of a window is copied, and multiplied F/groups times.

    That is whole windows. Where im2col takes them apart into layers it copies fewer, and this is too much: 1.2 to 1.3 times for
    kernels of 7x7 and more with 16 or 32 channels, 1.1 times for 3x3 and 7x7 with 64; about right with more than these.
    """
    windows = problem.batch * problem.channels * math.prod(problem.out) * math.prod(problem.kernel)
    return windows * (0.4 if _depthwise(problem) else 0.1 + 0.022 * problem.out_channels / problem.window.groups)


def _depthwise(problem: Problem) -> bool:
    """Each channel by itself, and enough of them."""
    return problem.channels == problem.out_channels == problem.window.groups >= 8


def _winograd_pays(face: str, problem: Problem) -> bool:
    """Whether F(4x4, 3x3) saves more in the products than its transforms cost: with many channels, and not too few tiles.

    In float32 alone: float64 keeps to algorithms that are exact but for the order of the sums.

    Time of im2col / time of Winograd on one core for each face (y, dx, dw), and by the two estimates that are compared:

        C = F, 1024 tiles or more    8             16             32             64             128            512 (64 tiles)
        measured                     .6 .6 .5      .9 .9 .8       1.3 1.3 1.2    1.6 1.7 1.8    2.6 2.6 2.3    2.4 2.3 2.5
        estimated                    .8            1.2            1.7            2.3            2.9            2.9

        C = F, few tiles             64, 4 tiles   64, 16         256, 4         256, 8         512, 4         512, 9
        measured                     .9 1.1 .7     1.3 1.4 1.3    .9 1.0 .6      1.2 1.5 .9     .9 .7 .6       1.2 1.2 .9
        estimated                    .7            1.5            .7             1.2            .7             1.3

    With fewer than 32 channels on either side Winograd's steps are many and short, and im2col copies fewer windows, neither of
    which the estimates know: 16 channels take Winograd a tenth to a quarter longer.
    """
    winograd = _module("winograd")
    if problem.dtype != np.float32 or not winograd.applies(problem) or min(problem.channels, problem.out_channels) < 32:
        return False
    return winograd.nanoseconds(face, problem) < _direct_nanoseconds(problem)


@functools.cache
def _module(name: str) -> ModuleType:
    return importlib.import_module(f"minivision.functions.convolution.{name}")


def asked_for() -> str | None:
    """What `conv_algorithm` asks for in this thread; None outside of it."""
    return _asked_for.get()


# ---- what users call ----


class Explanation(NamedTuple):
    """Which algorithm computes each of the three faces of one convolution, and why; printed, one line for each."""

    forward: Choice
    input_gradient: Choice
    weight_gradient: Choice

    def __str__(self) -> str:
        lines = zip(self._fields, self, strict=True)
        return "\n".join(f"{face.replace('_', ' '):<16}{choice.algorithm:<12}{choice.reason}" for face, choice in lines)


class conv_algorithm:
    """Compute convolutions by this algorithm: `with conv_algorithm("winograd"): ...`, or `@conv_algorithm("winograd")`.

    All of them compute the same numbers but for rounding:

        "definition"   the seven loops over image, output channel, row, column, input channel and the kernel's two axes
        "matrix"       the convolution is linear, so it is a (sparse) matrix times the image, and its gradient the transposed one
        "im2col"       every window of the image becomes a row of a matrix, and all windows one matrix product
        "shifted"      one matrix product for each kernel position, of a view of the image, shifted; the products are added
        "winograd"     3x3 kernels with a quarter of the multiplications, in exchange for sums before and after
        "fft"          Fourier transforms turn the sum over the kernel into one product at each frequency, for large kernels

    `docs/convolution-algorithms.md` says what each costs, how exact it is and when it is the fastest.

    Where the algorithm does not apply (Winograd's to a stride of 2, say), and with None, the rule decides: what was measured to
    be the fastest for such shapes. Blocks can be nested; the innermost counts. Each thread and each asyncio task has its own.

    The gradients are computed by the algorithm that was asked for in forward, wherever `backward()` is called; if none was, by
    the one asked for around `backward()`.

    `conv_algorithm.explain(x, weight, ...)` tells which algorithm a convolution would use, and why.

    Raises ValueError for an unknown name, and lists the known ones.
    """

    def __init__(self, name: str | None):
        if name is not None and name not in ALGORITHMS:
            raise ValueError(
                f"conv_algorithm: name={name!r} is unknown; use one of {', '.join(map(repr, ALGORITHMS))}, or None for the rule"
            )
        self.name = name
        self._before: list[str | None] = []  # a stack, so that one object can be entered again inside itself

    def __enter__(self) -> None:
        self._before.append(_asked_for.get())
        _asked_for.set(self.name or BY_RULE)

    def __exit__(self, *exc: object) -> None:
        _asked_for.set(self._before.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with conv_algorithm(self.name):  # a new one for each call: several threads may be inside at once
                return function(*args, **kwargs)

        return call

    @staticmethod
    def explain(input: Any, weight: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Explanation:
        """Which algorithm would compute this convolution and its gradients here, and why. Nothing is computed.

            print(conv_algorithm.explain((1, 64, 56, 56), (64, 64, 3, 3), padding=1))

        `input` (N, C, *size) and `weight` (F, C/groups, *kernel) are tensors, or only their shapes, of float32 on the CPU; the
        rest is as in `conv2d`. Returns `forward`, `input_gradient` and `weight_gradient`, each a pair `(algorithm, reason)`.
        A transposed convolution's forward is the input gradient of the convolution that it transposes.

        Raises ValueError where conv2d does.
        """
        # these stand above this module, which decides for them
        from minivision.functions.convolution.direct import Convolution
        from minivision.functions.convolution.geometry import output_size, sliding_window

        op = "conv_algorithm.explain"
        x, w = (tuple(a) if isinstance(a, (tuple, list)) else tuple(a.shape) for a in (input, weight))
        if len(x) != len(w) or len(w) not in (3, 4, 5):
            raise ValueError(
                f"{op}: input {x} and weight {w} must be (N, C, *size) and (F, C/groups, *kernel), with 1 to 3 spatial axes"
            )
        window = sliding_window(op, w[2:], stride, padding, dilation, groups)
        Convolution(groups=groups, op=op).check_channels(x, w, None)
        dtype, on_cpu = np.dtype(getattr(weight, "dtype", np.float32)), str(getattr(weight, "device", "cpu")) == "cpu"
        out = output_size(op, x[2:], w[2:], window)
        problem = Problem(x[0], x[1], w[0], x[2:], out, w[2:], window, dtype, on_cpu)
        return Explanation(*(choose(face, problem) for face in ("correlate", "correlate_transposed", "correlate_kernel")))
