"""All algorithms of convolution give what the loops give, in all three faces; and `conv_algorithm` chooses among them.

Parametrised over ALGORITHMS: a new module is tested by being listed there.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import itertools
import math
import sys
import threading

import numpy as np
import pytest

import minivision
from minivision import reference
from minivision.autograd import Tensor
from minivision.functions.convolution import (
    choice,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    definition,
    fft,
    im2col,
    matrix,
    shifted,
)
from minivision.functions.convolution import faces as convolution_faces
from minivision.functions.convolution.choice import ALGORITHMS, Problem, algorithm_for, conv_algorithm
from minivision.functions.convolution.geometry import Window, output_size
from minivision.functions.convolution.products import boxes
from minivision.functions.layout import channels_first, channels_last
from tests.helpers import assert_close, layouts, to_device, to_numpy

FACES = ("correlate", "correlate_transposed", "correlate_kernel")

# The loops are the oracle in float64. In float32 an error is measured against the largest value: what the algorithms that
# transform (Winograd, FFT) round is small beside that, not beside each value. Sums here have at most some hundred terms.
EXACT = 1e-10
SINGLE = 1e-5


class Case:
    """One convolution, in x (N, C, *size), w (F, C/groups, *kernel); padding (before, after) for each axis."""

    def __init__(self, x, w, stride=1, padding=(0, 0), dilation=1, groups=1):
        axes = len(x) - 2
        each = [v if isinstance(v, tuple) else (v,) * axes for v in (stride, dilation)]
        padding = padding if isinstance(padding[0], tuple) else (padding,) * axes
        self.x, self.w, self.window = x, w, Window(each[0], padding, each[1], groups)
        self.out = output_size("test", x[2:], w[2:], self.window)

    def problem(self, dtype):
        return Problem(self.x[0], self.x[1], self.w[0], self.x[2:], self.out, self.w[2:], self.window, np.dtype(dtype), True)

    def arrays(self, dtype=np.float64):
        """x, w, dy, the same ones each time."""
        rng = np.random.default_rng(math.prod(self.x) + math.prod(self.w))
        return tuple(rng.standard_normal(shape).astype(dtype) for shape in (self.x, self.w, (self.x[0], self.w[0], *self.out)))

    def __repr__(self):
        return f"{self.x}*{self.w}-{tuple(self.window)[:4]}".replace(" ", "")


CASES = [
    Case((2, 3, 5, 7), (4, 3, 3, 3), padding=(1, 1)),
    Case((3, 2, 7, 5), (3, 2, 3, 3)),
    Case((1, 2, 8, 9), (3, 2, 3, 3), padding=((1, 1), (0, 2))),
    Case((2, 2, 9, 6), (3, 2, 3, 3), padding=((2, 2), (2, 2))),
    Case((2, 2, 6, 7), (2, 2, 3, 3), padding=((-1, 1), (1, -2))),
    Case((1, 3, 7, 8), (2, 3, 3, 3), stride=2, padding=(1, 1)),
    Case((2, 2, 7, 6), (3, 2, 3, 2), stride=(2, 1), padding=((1, 0), (0, 2))),
    Case((1, 2, 9, 9), (2, 2, 3, 3), stride=3, padding=(0, 1)),
    Case((1, 2, 9, 8), (2, 2, 2, 2), stride=3, padding=(0, 0)),
    Case((2, 1, 9, 8), (2, 1, 3, 3), padding=(2, 2), dilation=2),
    Case((1, 2, 9, 8), (2, 2, 3, 2), stride=(2, 3), padding=((2, 0), (-1, 3)), dilation=(2, 3)),
    Case((1, 2, 6, 7), (2, 2, 2, 4), padding=((0, 1), (1, 2))),  # "same" for an even kernel
    Case((2, 4, 5, 6), (6, 2, 3, 3), padding=(1, 1), groups=2),
    Case((2, 4, 5, 6), (4, 1, 3, 3), padding=(1, 1), groups=4),
    Case((1, 3, 6, 5), (6, 1, 3, 2), stride=2, padding=(1, 1), groups=3),
    Case((2, 4, 5, 7), (4, 1, 2, 3), stride=(1, 2), groups=4),
    Case((2, 3, 5, 4), (4, 3, 1, 1)),
    Case((2, 3, 5, 4), (4, 3, 1, 1), stride=2),
    Case((2, 4, 5, 4), (4, 2, 1, 1), stride=(2, 3), padding=(1, 1), groups=2),
    Case((1, 2, 2, 3), (2, 2, 5, 4), padding=((2, 2), (3, 1))),  # larger than the image
    Case((1, 1, 3, 3), (1, 1, 3, 3)),  # one window
    Case((1, 2, 1, 9), (2, 2, 1, 3), padding=((0, 0), (1, 1))),
    Case((1, 1, 12, 15), (2, 1, 7, 9), padding=((3, 3), (4, 4))),
    Case((0, 2, 5, 4), (3, 2, 3, 3), padding=(1, 1)),
    Case((2, 2, 9), (3, 2, 3), stride=2, padding=(1, 1)),
    Case((1, 2, 15), (4, 1, 4), padding=(3, 0), dilation=2, groups=2),
    Case((2, 3, 10), (3, 1, 3), groups=3),
    Case((1, 2, 3, 4, 5), (3, 2, 2, 3, 1), stride=(1, 2, 1), padding=((1, 0), (1, 1), (0, 0))),
    Case((2, 1, 4, 3, 4), (2, 1, 3, 3, 3), padding=(1, 1)),
    Case((2, 3, 8, 6), (4, 3, 2, 2), stride=2),  # windows that lie side by side
    Case((1, 2, 4, 6, 8), (3, 2, 2, 3, 2), stride=(2, 3, 2)),
    Case((2, 3, 12), (4, 3, 3), stride=3),
    Case((2, 3, 8, 5), (4, 3, 2, 1), stride=(2, 1)),
    Case((2, 3, 15, 9), (3, 3, 3, 2), stride=(2, 1), padding=((1, 2), (0, 1)), dilation=(3, 1)),
]


@functools.cache
def expected(case):
    """y, dx, dw of the loops."""
    x, w, dy = case.arrays()
    window, before = case.window, tuple(a for a, _ in case.window.padding)
    around = np.pad(x, [(0, 0), (0, 0), *((max(a, 0), max(b, 0)) for a, b in window.padding)])
    crop = (slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(around.shape[2:], window.padding, strict=True))
    y = reference.conv(around[(..., *crop)], w, None, window.stride, 0, window.dilation, window.groups)
    dx, dw, _ = reference.conv_backward(dy, x, w, window.stride, before, window.dilation, window.groups)
    return y, dx, dw


def module(name):
    return importlib.import_module(f"minivision.functions.convolution.{name}")


def faces(algorithm, case, x, w, dy):
    """All three faces, by one module."""
    return (
        algorithm.correlate(x, w, case.window, case.out),
        algorithm.correlate_transposed(dy, w, case.x[2:], case.window),
        algorithm.correlate_kernel(x, dy, case.w[2:], case.window),
    )


def applying(name, case, dtype=np.float64):
    """The module; or None where it does not apply, and then the choice is another one and says why."""
    problem = case.problem(dtype)
    if module(name).applies(problem):
        return module(name)
    with conv_algorithm(name):
        for face in FACES:
            assert algorithm_for(face, problem) is not module(name)
            assert f"{name!r} was asked for and does not apply" in choice.choose(face, problem).reason
    return None


@pytest.fixture
def small_blocks(monkeypatch):
    """So that small images are cut into several blocks and tiles."""
    monkeypatch.setattr(shifted, "BLOCK", 30)
    monkeypatch.setattr(shifted, "DEPTHWISE_BLOCK", 30)
    monkeypatch.setattr(shifted, "FEW_ROWS", 4)
    monkeypatch.setattr(shifted, "MANY_ROWS", 5)
    monkeypatch.setattr(shifted, "LONG_LOOP", 7)
    monkeypatch.setattr(fft, "SCALES", (1.3,))
    monkeypatch.setattr(fft, "AT_ONCE", 1)
    monkeypatch.setattr(fft, "FEW_TILES", 3)
    monkeypatch.setattr(im2col, "CPU_BLOCK", 60)
    monkeypatch.setattr(im2col, "CPU_PIECE", 30)
    monkeypatch.setattr(im2col, "FEW_POSITIONS", 1)
    monkeypatch.setattr(im2col, "NOT_SHARED_OUT", 1)


# ---- blocks ----


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_boxes_hold_every_row_once(threads):
    for images, rows, per_row, most in itertools.product((0, 1, 2, 3, 8), (1, 2, 5, 61), (1, 7), (1, 6, 40, 450, 10_000)):
        seen = np.zeros((images, rows), int)
        for block in boxes(images, rows, per_row, most, threads):
            seen[block] += 1
            assert seen[block].size * per_row <= max(most, per_row)
        assert (seen == 1).all()


def test_boxes_are_as_much_for_each_thread():
    cases = ((1, 9999, 2), (3, 9999, 2), (4, 9999, 2), (3, 110, 4), (6, 100, 6), (8, 200, 4), (3, 25, 12))
    for images, most, blocks in cases:
        shares = boxes(images, 20, 5, most, threads=2)
        assert len(shares) == blocks
        rows = [sum((i.stop - i.start) * (r.stop - r.start) for i, r in shares[t::2]) for t in (0, 1)]
        assert rows == [images * 10] * 2


# ---- both gradients of a small convolution at once ----


def test_small_gradients_are_computed_side_by_side(set_threads, monkeypatch):
    """Each waits for the other to begin."""
    set_threads(2)
    monkeypatch.setattr(convolution_faces, "TOO_LITTLE", 0)
    barrier = threading.Barrier(2, timeout=20)
    for face in ("correlate_transposed", "correlate_kernel"):
        original = getattr(convolution_faces, face)
        monkeypatch.setattr(convolution_faces, face, lambda *a, original=original: (barrier.wait(), original(*a))[1])
    x, w = (Tensor(np.ones(s), requires_grad=True) for s in ((1, 2, 5, 5), (3, 2, 3, 3)))
    conv2d(x, w).sum().backward()
    assert_close(x.grad[0, 0, 2], [3, 6, 9, 6, 3] * np.array(3))
    assert_close(w.grad, np.full((3, 2, 3, 3), 9.0))


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("side_by_side", [0, 1e12])
def test_gradients_side_by_side_or_not(side_by_side, number, set_threads, monkeypatch):
    set_threads(number)
    monkeypatch.setattr(convolution_faces, "TOO_LITTLE", 0)
    monkeypatch.setattr(convolution_faces, "SIDE_BY_SIDE", side_by_side)
    for case in CASES:
        if case.window.algorithm is None and len(case.x) == 4 and case.x[0] and all(a == b for a, b in case.window.padding):
            values, dy = case.arrays()[:2], case.arrays()[2]
            x, w = (Tensor(v, requires_grad=True) for v in values)
            padding = tuple(a for a, _ in case.window.padding)
            conv2d(x, w, None, case.window.stride, padding, case.window.dilation, case.window.groups).backward(Tensor(dy))
            for actual, wanted in zip((x.grad, w.grad), expected(case)[1:], strict=True):
                assert_close(actual, wanted, rtol=EXACT, atol=EXACT)


def test_an_error_in_one_gradient_is_raised(set_threads, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("not today")

    set_threads(2)
    monkeypatch.setattr(convolution_faces, "TOO_LITTLE", 0)
    monkeypatch.setattr(convolution_faces, "correlate_kernel", fail)
    x, w = (Tensor(np.ones(s), requires_grad=True) for s in ((1, 2, 5, 5), (3, 2, 3, 3)))
    with pytest.raises(RuntimeError, match="not today"):
        conv2d(x, w).sum().backward()


# ---- both gradients from the same windows ----


def at_once(case):
    """Whether im2col can compute both gradients of the convolution at once, and of the transposed convolution."""
    return case.window.groups == 1 and set(case.window.stride) == {1}, case.window.groups == 1


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradients_from_the_same_windows(dtype, number, set_threads, small_blocks, device):
    set_threads(number)
    tolerance = {np.float64: EXACT, np.float32: SINGLE}[dtype]
    for case in CASES:
        direct, transposed = at_once(case)
        y, dx, dw = expected(case)
        for arrays in zip(*map(layouts, case.arrays(dtype)), strict=True):
            x, w, dy = (to_device(array, device) for _, array in arrays)
            found = [*zip(im2col.gradients(x, dy, w, case.window), (dx, dw), strict=True)] if direct else []
            if transposed:  # here x is what arrives, and dy went in
                found += zip(im2col.gradients_of_transposed(dy, x, w, case.window), (y, dw), strict=True)
            for actual, values in found:
                assert actual.dtype == dtype
                assert_close(actual, values, rtol=tolerance, atol=tolerance * max(1, abs(values).max(initial=0)))
            for array, values in zip((x, w, dy), case.arrays(dtype), strict=True):
                np.testing.assert_array_equal(to_numpy(array), values)  # inputs stay as they are


def test_where_the_same_windows_serve(monkeypatch):
    """For enough channels and a stride of 1, or a transposed convolution; where both gradients are wanted, and by im2col."""
    gathered, original = [], im2col.WindowMatrix._gathered
    monkeypatch.setattr(im2col.WindowMatrix, "_gathered", lambda *a: gathered.append(1) or original(*a))

    def count(function, x, w, wanted=(True, True), **settings):
        x, w = (Tensor(np.ones(s, "f"), requires_grad=wish) for s, wish in zip((x, w), wanted, strict=True))
        y = function(x, w, **settings).sum()
        gathered.clear()
        y.backward()
        return len(gathered)

    x, w = (1, 16, 9, 8), (16, 16, 3, 3)
    assert count(conv2d, x, w) == 1
    assert count(conv2d, x, w, padding=1, dilation=2) == 1
    assert count(conv_transpose2d, x, w, stride=2) == 1
    assert count(conv2d, x, w, (True, False)) == 1
    assert count(conv2d, x, w, stride=2) == 5  # the gradient to x in four phases
    for function in (conv2d, conv_transpose2d):
        assert count(function, (1, 32, 9, 8), (32, 16, 3, 3), groups=2) == 4  # each gradient for each group
    with conv_algorithm("definition"):
        assert count(conv2d, x, w) == 0
    assert count(conv2d, (1, 16, 3, 4), w, padding=1) == 2  # fewer positions than filters


# ---- windows in layers ----


@pytest.fixture(params=["rows", "planes"])
def in_layers(monkeypatch, request):
    if request.param == "rows":
        monkeypatch.setattr(im2col, "FEW_CHANNELS", 0)  # few channels are always gathered in planes
    monkeypatch.setattr(im2col.WindowMatrix, "_layers_pay", lambda matrix, *sizes: matrix.kernel[0] > 1)


@pytest.mark.parametrize("blocks", ["one", "many"])
@pytest.mark.parametrize("case", CASES, ids=repr)
def test_windows_in_layers(case, blocks, in_layers, set_threads, request):
    """Every kernel, stride and dilation, in every order of memory, one image and several, whole and in pieces."""
    if blocks == "many":
        request.getfixturevalue("small_blocks")
    direct, transposed = at_once(case)
    y, dx, dw = expected(case)
    for number in (1, 2, 3):
        set_threads(number)
        for (_, x), (_, w), (_, dy) in zip(*map(layouts, case.arrays()), strict=True):
            found = [*zip(faces(im2col, case, x, w, dy), (y, dx, dw), strict=True)]
            if direct:
                found += zip(im2col.gradients(x, dy, w, case.window), (dx, dw), strict=True)
            if transposed:
                found += zip(im2col.gradients_of_transposed(dy, x, w, case.window), (y, dw), strict=True)
            for actual, values in found:
                assert_close(actual, values, rtol=EXACT, atol=EXACT)


def test_many_filters_in_layers(in_layers, set_threads, rng):
    """The sum for the weight has another order then."""
    case = Case((2, 3, 20, 9), (256, 3, 3, 2), padding=(1, 0))
    x, w, dy = case.arrays()
    for number in (1, 2):
        set_threads(number)
        for (_, xs), (_, dys) in zip(layouts(x), layouts(dy), strict=True):
            assert_close(im2col.correlate_kernel(xs, dys, (3, 2), case.window), faces(matrix, case, x, w, dy)[2], atol=1e-10)


def test_when_windows_are_taken_apart(set_threads):
    """Where more is saved in copies than the sums cost: for large images, wide layers and few filters."""

    def layers(x, w, **settings):
        case = Case(x, w, **settings)
        return im2col.WindowMatrix(np.zeros(x, "f"), w, case.window, case.out).layers

    set_threads(1)
    assert layers((1, 16, 70, 67), (16, 16, 3, 3)) == 3
    assert layers((1, 16, 70, 67), (16, 16, 7, 7), stride=2) == 7
    assert layers((1, 16, 70, 67), (16, 16, 3, 3), stride=2) == 1  # two of three lines would be read anyway
    assert layers((1, 16, 12, 13), (16, 16, 3, 3)) == 1
    assert layers((4, 3, 128, 128), (64, 3, 3, 3)) == 1
    assert layers((1, 64, 70, 67), (64, 64, 1, 3)) == 1
    assert layers((1, 32, 36, 32), (32, 32, 5, 5), padding=(2, 2)) == 5
    set_threads(2)  # which wait for each other at each product
    assert layers((1, 32, 36, 32), (32, 32, 5, 5), padding=(2, 2)) == 1


def test_the_windows_of_every_group_count(set_threads):
    """Many groups are many windows to copy, and so are shared out."""

    def threads(groups, batch=4):
        case = Case((batch, 64, 64, 61), (64, 64 // groups, 3, 3), padding=(1, 1), groups=groups)
        return im2col.WindowMatrix(np.zeros(case.x, "f"), case.w, case.window, case.out).threads

    set_threads(2)
    assert [threads(groups) for groups in (1, 4, 16)] == [2, 2, 2]
    assert threads(16, batch=1) == 1
    set_threads(1)
    assert threads(16) == 1


# ---- every algorithm is the definition ----


@pytest.mark.parametrize("case", CASES, ids=repr)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_all_faces_are_the_loops(name, case):
    algorithm = applying(name, case)
    if algorithm is None:
        return
    x, w, dy = case.arrays()
    for (_, xs), (_, ws), (_, dys) in zip(layouts(x), layouts(w), layouts(dy), strict=True):
        for actual, values in zip(faces(algorithm, case, xs, ws, dys), expected(case), strict=True):
            assert actual.dtype == np.float64
            assert_close(actual, values, rtol=EXACT, atol=EXACT)
        for array, values in zip((xs, ws, dys), case.arrays(), strict=True):
            np.testing.assert_array_equal(array, values)  # inputs stay as they are


@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "strided"])
@pytest.mark.parametrize("case", CASES, ids=repr)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_in_single_precision(name, case, layout):
    algorithm = applying(name, case, np.float32)
    if algorithm is None:
        return
    x, w, dy = (dict(layouts(a))[layout] for a in case.arrays(np.float32))
    for actual, values in zip(faces(algorithm, case, x, w, dy), expected(case), strict=True):
        assert actual.dtype == np.float32
        assert_close(actual, values, rtol=0, atol=SINGLE * max(1, np.abs(values).max(initial=0)))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_half_precision_stays_half(name):
    case = CASES[0]
    algorithm = applying(name, case, np.float16)
    if algorithm is None:
        return
    for actual, values in zip(faces(algorithm, case, *case.arrays(np.float16)), expected(case), strict=True):
        assert actual.dtype == np.float16
        assert_close(actual, values, rtol=0, atol=0.02 * np.abs(values).max())


@pytest.mark.parametrize("case", CASES, ids=repr)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_many_blocks_and_threads(name, case, small_blocks, set_threads):
    """The size of the blocks changes nothing, and neither does the number of threads, but for rounding."""
    algorithm = applying(name, case)
    if algorithm is None or algorithm in (definition, matrix):  # these have neither
        return
    for number in (1, 2, 3):
        set_threads(number)
        for actual, values in zip(faces(algorithm, case, *case.arrays()), expected(case), strict=True):
            assert_close(actual, values, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("blocks", ["one", "many"])
@pytest.mark.parametrize("case", [c for c in CASES if c.x[0] != 1], ids=repr)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_finish_meets_every_position_once(name, case, blocks, request):
    if blocks == "many":
        request.getfixturevalue("small_blocks")
    algorithm = applying(name, case)
    if algorithm is None:
        return
    x, w, _ = case.arrays()
    shift = np.arange(1.0, w.shape[0] + 1)  # another for each channel, so that they come last

    def finish(block):
        assert block.shape[-1] == w.shape[0]
        block += shift  # in place: the block is memory of y

    y = algorithm.correlate(x, w, case.window, case.out, finish)
    assert_close(channels_last(y), channels_last(expected(case)[0]) + shift, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("case", CASES, ids=repr)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_faces_are_each_others_transposes(name, case):
    """<conv(x, w), dy> = <x, dx> = <w, dw>: the convolution is linear in x, and in w."""
    algorithm = applying(name, case)
    if algorithm is None:
        return
    x, w, dy = case.arrays()
    y, dx, dw = faces(algorithm, case, x, w, dy)
    size = np.linalg.norm(x) * np.linalg.norm(w) * np.linalg.norm(dy)
    assert abs(np.vdot(y, dy) - np.vdot(x, dx)) <= 1e-13 * size
    assert abs(np.vdot(y, dy) - np.vdot(w, dw)) <= 1e-13 * size


LARGE = [
    Case((2, 5, 37, 41), (6, 5, 3, 3), padding=(1, 1)),
    Case((1, 8, 33, 35), (4, 8, 3, 3), padding=((1, 0), (0, 2))),
    Case((1, 2, 30, 37), (3, 2, 7, 9), padding=((3, 3), (4, 4))),
    Case((9, 4, 20, 21), (4, 1, 5, 5), stride=2, padding=(2, 2), groups=4),
    Case((2, 4, 40, 31), (6, 2, 5, 3), stride=(2, 1), padding=(2, 1), dilation=(1, 3), groups=2),
    Case((1, 3, 400), (4, 3, 31), padding=(15, 15)),
    Case((1, 16, 70, 67), (16, 16, 3, 3), padding=(1, 1)),  # its windows are gathered in layers
    Case((2, 16, 64, 61), (8, 16, 7, 7), stride=2, padding=(3, 3)),
]


@pytest.mark.parametrize("case", LARGE, ids=repr)
@pytest.mark.parametrize("name", [n for n in ALGORITHMS if n not in ("definition", "matrix")])
def test_larger_images(name, case):
    """The matrix, which the test above proves to be the loops, is fast enough for these."""
    algorithm = applying(name, case)
    if algorithm is None:
        return
    x, w, dy = case.arrays()
    for actual, values in zip(faces(algorithm, case, x, w, dy), faces(matrix, case, x, w, dy), strict=True):
        assert_close(actual, values, rtol=EXACT, atol=EXACT)
    x, w, dy = case.arrays(np.float32)
    for actual, values in zip(faces(algorithm, case, x, w, dy), faces(matrix, case, *case.arrays()), strict=True):
        assert_close(actual, values, rtol=0, atol=SINGLE * np.abs(values).max())


# ---- what one algorithm does for itself ----


def test_the_matrix_without_scipy(monkeypatch):
    """Then it is a NumPy array with all its zeros."""
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    for case in (CASES[0], CASES[6], CASES[12], CASES[24]):
        for actual, values in zip(faces(matrix, case, *case.arrays()), expected(case), strict=True):
            assert_close(actual, values, rtol=EXACT, atol=EXACT)
    assert matrix.applies(Case((1, 4, 24, 24), (4, 4, 3, 3)).problem(np.float32))
    assert not matrix.applies(Case((1, 32, 32, 32), (32, 32, 3, 3)).problem(np.float32))


def test_a_matrix_must_fit_into_memory():
    assert matrix.applies(Case((1, 32, 32, 32), (32, 32, 3, 3)).problem(np.float32))
    assert not matrix.applies(Case((1, 64, 128, 128), (64, 64, 3, 3)).problem(np.float32))


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_fft_does_not_spread_what_is_not_finite(bad):
    """A transform would carry it to the whole tile; im2col carries it to the windows that see it."""
    case = Case((1, 2, 24, 20), (3, 2, 7, 7), padding=(3, 3))
    for poisoned in range(3):
        arrays = case.arrays(np.float32)
        arrays[poisoned].reshape(-1)[7] = bad
        for actual, values in zip(faces(fft, case, *arrays), faces(im2col, case, *arrays), strict=True):
            assert_close(actual, values, rtol=1e-4, atol=1e-4)


def test_good_sizes_of_transforms():
    assert [fft.good_size(n) for n in (1, 2, 7, 11, 13, 17, 23, 31, 33, 97, 127, 257)] == [
        2, 2, 8, 12, 16, 18, 24, 32, 36, 100, 128, 270,
    ]  # fmt: skip


def test_a_tile_is_not_larger_than_needed():
    plan = fft.Tiles(1, (12, 12), (5, 5), (1, 1), 64, 64, 1)
    assert all(t <= 16 for t in plan.size)
    many = fft.Tiles(1, (500, 500), (5, 5), (1, 1), 64, 64, 1)
    assert all(t < 100 for t in many.size)  # the image is cut
    assert sum(math.prod(s.stop - s.start for s in many.kept(t)[1:]) for ts in many.together() for t in ts) == 500 * 500


def test_1x1_and_unpadded_images_are_not_copied(rng):
    """The matrix of rows is the image itself where nothing is around it and its memory is channels-last."""
    x = np.moveaxis(rng.standard_normal((2, 5, 6, 3)), -1, 1)
    rows = shifted._spread(channels_last(x), (0, 0), (1, 1), (5, 6))
    assert rows.shape == (60, 3)
    assert np.shares_memory(rows, x)


# ---- conv_algorithm ----

PUBLIC = [
    (conv1d, conv_transpose1d, (2, 3, 9), (4, 3, 3), (2, 4, 5)),
    (conv2d, conv_transpose2d, (2, 3, 7, 9), (4, 3, 3, 3), (2, 4, 4, 5)),
    (conv3d, conv_transpose3d, (1, 2, 4, 3, 5), (3, 2, 3, 3, 3), (1, 3, 2, 2, 3)),
]
SETTINGS = [{"stride": 2, "padding": 1}, {"padding": 1}, {"padding": 2, "dilation": 2}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize(("convolve", "transpose", "x", "w", "small"), PUBLIC, ids=["1d", "2d", "3d"])
@pytest.mark.parametrize("name", [None, *ALGORITHMS])
def test_public_functions(name, convolve, transpose, x, w, small, settings, rng, device):
    """Forward and all gradients; on a device where an algorithm does not apply, another one takes over."""
    x, w, b, c, small = (rng.standard_normal(s) for s in (x, w, w[0], w[1], small))
    for function, loops, loops_backward, image, bias in (
        (convolve, reference.conv, reference.conv_backward, x, b),
        (transpose, reference.conv_transpose, reference.conv_transpose_backward, small, c),
    ):
        tensors = [Tensor(to_device(a, device), requires_grad=True) for a in (image, w, bias)]
        with conv_algorithm(name):
            y = function(*tensors, **settings)
        assert_close(y, loops(image, w, bias, **settings), rtol=EXACT, atol=EXACT)
        dy = rng.standard_normal(y.shape)
        y.backward(Tensor(to_device(dy, device)))
        for tensor, values in zip(tensors, loops_backward(dy, image, w, **settings), strict=True):
            assert_close(tensor.grad, values, rtol=EXACT, atol=EXACT)


def calls_of(monkeypatch, *names):
    """A list to which every call of a face of these modules adds (algorithm, face)."""
    called = []
    for name, face in itertools.product(names, FACES):
        original = getattr(module(name), face)
        monkeypatch.setattr(module(name), face, lambda *a, o=original, entry=(name, face): called.append(entry) or o(*a))
    return called


def small_tensors(rng):
    return (Tensor(rng.standard_normal(s), requires_grad=True) for s in ((1, 1, 3, 3), (1, 1, 2, 2)))


def test_gradients_are_computed_by_what_forward_was_asked_for(rng, monkeypatch):
    called = calls_of(monkeypatch, "definition", "matrix")
    x, w = small_tensors(rng)
    with conv_algorithm("matrix"):
        y = conv2d(x, w).sum()
    y.backward()
    assert called == [("matrix", face) for face in FACES]
    called.clear()
    with conv_algorithm("matrix"):
        y = conv2d(x, w).sum()
    with conv_algorithm("definition"):
        y.backward()
    assert called == [("matrix", face) for face in FACES]
    called.clear()
    y = conv_transpose2d(x, w).sum()
    with conv_algorithm("definition"):
        y.backward()
    assert called == [("definition", "correlate"), ("definition", "correlate_kernel")]
    called.clear()
    with conv_algorithm(None):
        y = conv2d(x, w).sum()
    with conv_algorithm("definition"):
        y.backward()
    assert called == []  # the rule was asked for


def test_gradients_of_gradients_too(rng, monkeypatch):
    called = calls_of(monkeypatch, "matrix")
    x, w = small_tensors(rng)
    with conv_algorithm("matrix"):
        y = (conv2d(x, w) ** 2).sum()
    (dx,) = minivision.autograd.grad(y, [x], create_graph=True)
    called.clear()
    (dx**2).sum().backward()
    assert {name for name, _ in called} == {"matrix"}
    assert len(called) >= 4


def test_blocks_nest_and_end(rng):
    one = conv_algorithm("fft")
    assert choice.asked_for() is None
    with one:
        assert choice.asked_for() == "fft"
        with conv_algorithm("matrix"):
            assert choice.asked_for() == "matrix"
            with one:  # the same object inside itself
                assert choice.asked_for() == "fft"
            assert choice.asked_for() == "matrix"
        with conv_algorithm(None):
            explained = conv_algorithm.explain((1, 1, 9, 9), (1, 1, 3, 3))
            assert explained.forward.reason == "the fastest by the rule"
        with pytest.raises(KeyError), conv_algorithm("shifted"):
            raise KeyError
        assert choice.asked_for() == "fft"
    assert choice.asked_for() is None


def test_as_a_decorator():
    @conv_algorithm("matrix")
    def inside(n):
        """What it says."""
        return [choice.asked_for(), *(inside(n - 1) if n else [])]

    assert inside(2) == ["matrix"] * 3
    assert inside.__doc__ == "What it says."
    assert choice.asked_for() is None


def test_each_thread_and_each_task_has_its_own():
    seen = {}

    def ask(name):
        with conv_algorithm(name):
            ready.wait()
            seen[name] = choice.asked_for()

    ready = threading.Barrier(2)
    with conv_algorithm("fft"):
        workers = [threading.Thread(target=ask, args=(name,)) for name in ("matrix", "shifted")]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert choice.asked_for() == "fft"
    assert seen == {"matrix": "matrix", "shifted": "shifted"}

    async def task(name):
        with conv_algorithm(name):
            await asyncio.sleep(0)
            return choice.asked_for()

    async def both():
        return await asyncio.gather(task("matrix"), task("shifted"))

    assert asyncio.run(both()) == ["matrix", "shifted"]


def test_it_is_public():
    assert minivision.conv_algorithm is conv_algorithm
    for name in ALGORITHMS:
        assert f'"{name}"' in conv_algorithm.__doc__


@pytest.mark.parametrize("name", ["direct", "FFT", "", 3, ["fft"]])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=r"conv_algorithm: name=.* is unknown") as error:
        conv_algorithm(name)
    for known in ALGORITHMS:
        assert repr(known) in str(error.value)


# ---- which one, and why ----


def names(explanation):
    return [face.algorithm for face in explanation]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_explain_says_what_would_run(name):
    shapes = (1, 4, 12, 10), (6, 4, 3, 3)
    with conv_algorithm(name):
        explained = conv_algorithm.explain(*shapes, padding=1)
    assert explained == ((name, "asked for"),) * 3


def test_explain_by_the_rule():
    assert names(conv_algorithm.explain((1, 64, 64, 64), (64, 64, 31, 31), padding=15)) == ["fft"] * 3
    assert names(conv_algorithm.explain((1, 16, 128, 128), (16, 16, 15, 15), padding=7)) == ["fft"] * 3
    assert names(conv_algorithm.explain((1, 1, 256, 256), (1, 1, 7, 7), padding=3)) == ["im2col"] * 3
    assert names(conv_algorithm.explain((1, 32, 28, 28), (32, 1, 3, 3), padding=1, groups=32)) == ["shifted"] * 3
    exact = Tensor(np.zeros((64, 64, 31, 31)))
    assert names(conv_algorithm.explain((1, 64, 64, 64), exact, padding=15)) == ["im2col"] * 3  # float64: nothing transformed
    assert names(conv_algorithm.explain((1, 8, 20), (8, 8, 3), stride=2)) == ["im2col"] * 3


def test_explain_what_does_not_apply():
    with conv_algorithm("winograd"):
        explained = conv_algorithm.explain((1, 8, 20, 20), (8, 8, 3, 3), stride=2)
    assert names(explained) == ["im2col"] * 3
    assert "'winograd' was asked for and does not apply here" in explained.weight_gradient.reason
    assert str(explained).splitlines() == [
        f"{face:<16}im2col      'winograd' was asked for and does not apply here; the fastest by the rule"
        for face in ("forward", "input gradient", "weight gradient")
    ]


def test_explain_on_another_device(device):
    x, w = (Tensor(to_device(np.zeros(s, np.float32), device)) for s in ((1, 8, 9, 9), (8, 8, 3, 3)))
    with conv_algorithm("definition"):
        explained = conv_algorithm.explain(x, w)
        actual = to_numpy(conv2d(x, w))
    assert names(explained) == ["definition" if device == "cpu" else "im2col"] * 3
    assert not actual.any()


def test_explain_refuses_what_conv2d_refuses():
    with pytest.raises(ValueError, match=r"conv_algorithm\.explain: input has 3 channels .*expects 4"):
        conv_algorithm.explain((1, 3, 9, 9), (8, 4, 3, 3))
    with pytest.raises(ValueError, match=r"conv_algorithm\.explain: the kernel does not fit"):
        conv_algorithm.explain((1, 3, 2, 2), (8, 3, 3, 3))
    with pytest.raises(ValueError, match=r"conv_algorithm\.explain: input \(3, 9, 9\) and weight \(8, 3, 3, 3\)"):
        conv_algorithm.explain((3, 9, 9), (8, 3, 3, 3))


def test_results_lie_channels_last():
    """So that what follows finds them in the order of memory that spatial operations work on."""
    case = CASES[0]
    for name in ALGORITHMS:
        y, dx, _ = faces(module(name), case, *case.arrays())
        for result in (y, dx):
            assert channels_last(result).flags.c_contiguous, name
            assert channels_first(channels_last(result)).shape == result.shape
