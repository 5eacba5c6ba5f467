"""Padding: with a constant, or with what the image itself has at its edges. Negative amounts crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, scatter_add, xp_of
from minivision.functions.operands import as_tensor, check_choice, integers, number
from minivision.functions.strips import copy_into, empty_in_order_of, overwrite_with

Pair = tuple[int, int]


class ConstantPad(Function):
    """y = x with a constant around it;  dx = the middle of dy"""

    def __init__(self, pairs: Sequence[Pair], value: float):
        self.pairs, self.value = pairs, value  # one (before, after) for each axis of x

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        y = empty_in_order_of(x, [n + a + b for n, (a, b) in zip(x.shape, self.pairs, strict=True)])
        overwrite_with(y, self.value)
        copy_into(y[self._region(y.shape)], x[_kept(self.pairs, x.shape)])
        return y

    def backward(self, dy: Array) -> Array:
        dx = empty_in_order_of(dy, self.shape)
        if any(amount < 0 for pair in self.pairs for amount in pair):
            overwrite_with(dx, 0)
        copy_into(dx[_kept(self.pairs, self.shape)], dy[self._region(dy.shape)])
        return dx

    def _region(self, shape: Sequence[int]) -> tuple[slice, ...]:
        return tuple(slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(shape, self.pairs, strict=True))


class _IndexPad(Function):
    """y[i] = x[source(i)] along each axis;  dx[j] sums dy over all i that came from j"""

    is_view = True  # where nothing is added

    def __init__(self, pairs: Sequence[Pair]):
        self.pairs = pairs

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        for axis, (n, pair) in enumerate(zip(x.shape, self.pairs, strict=True)):
            if pair != (0, 0):
                x = xp_of(x).take(x, xp_of(x).asarray(self.sources(n, pair)), axis=axis)
        return x

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        for axis, (n, pair) in reversed(list(enumerate(zip(self.shape, self.pairs, strict=True)))):
            if pair != (0, 0):
                front = xp.moveaxis(dy, axis, 0)
                dx = xp.zeros((n, *front.shape[1:]), dy.dtype)
                scatter_add(dx, xp.asarray(self.sources(n, pair)), front)
                dy = xp.moveaxis(dx, 0, axis)
        return dy

    def sources(self, n: int, pair: Pair) -> np.ndarray:
        """For each position of the padded axis, the position 0 .. n - 1 that it repeats; negative amounts leave positions out."""
        raise NotImplementedError


class ReflectPad(_IndexPad):
    """y[i] = x[mirror(i)], the edge not repeated;  dx[j] sums dy over all i that mirror to j"""

    def sources(self, n: int, pair: Pair) -> np.ndarray:
        position = np.abs(np.arange(-pair[0], n + pair[1]))
        return np.where(position >= n, 2 * (n - 1) - position, position)


class ReplicatePad(_IndexPad):
    """y[i] = x at the position nearest to i;  the edge collects dy of everything beyond it"""

    def sources(self, n: int, pair: Pair) -> np.ndarray:
        return np.clip(np.arange(-pair[0], n + pair[1]), 0, n - 1)


class CircularPad(_IndexPad):
    """y[i] = x[i mod n], as if x went round;  dx[j] sums dy over all i that equal j modulo n. What is cropped goes first."""

    def sources(self, n: int, pair: Pair) -> np.ndarray:
        first, stop = max(-pair[0], 0), n - max(-pair[1], 0)
        return first + np.arange(-max(pair[0], 0), stop - first + max(pair[1], 0)) % (stop - first)


def _kept(pairs: Sequence[Pair], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(shape, pairs, strict=True))


MODES: dict[str, type[_IndexPad]] = {"reflect": ReflectPad, "replicate": ReplicatePad, "circular": CircularPad}


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Add entries at both ends of the last axes.

    `pad` is (left, right), (left, right, top, bottom), ...: two numbers for each axis, from the last one backwards, as in
    PyTorch. Negative numbers crop. Input of any dtype and any number of axes. `mode` is

    - "constant": `value`, 0 unless given;
    - "reflect": the image mirrored at its edge without repeating it, so each amount must be smaller than the axis;
    - "replicate": the edge repeated;
    - "circular": the other end, so each amount is at most the axis.

    Raises ValueError for an odd number of amounts, more than the axes, more cropped than there is, and too long mirrors.
    """
    return _padded("pad", input, pad, mode, value)


def constant_pad_nd(input: Any, pad: Sequence[int], value: float = 0) -> Tensor:
    """The constant mode of `pad`, under the name it has beside the functional interface in PyTorch."""
    return _padded("constant_pad_nd", input, pad, "constant", value)


def _padded(op: str, input: Any, pad: Any, mode: str, value: Any) -> Tensor:
    x = as_tensor(op, "input", input)
    legal = "two numbers (before, after) for each padded axis, the last axis first"
    amounts = integers(op, "pad", pad, legal)
    if len(amounts) % 2 or len(amounts) > 2 * x.ndim:
        raise ValueError(f"{op}: pad={amounts} has {len(amounts)} entries, but must hold {legal}; input is {x.shape}")
    check_choice(op, "mode", mode, ("constant", *MODES))
    given = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    pairs = ([(0, 0)] * (x.ndim - len(given))) + given[::-1]
    for n, (before, after) in zip(x.shape, pairs, strict=True):
        if n + before + after < 0 or (min(before, 0) + min(after, 0) < -n and mode != "replicate"):
            raise ValueError(
                f"{op}: pad={amounts} crops more than there is: an axis would have {n} + {before} + {after} positions; input is "
                f"{x.shape}"
            )
    value = None if value is None else number(op, "value", value, infinite=True, nan=True)
    if mode == "constant":
        return ConstantPad(pairs, _fitting(op, x, 0 if value is None else value))(x)
    if value is not None and value != 0:
        raise ValueError(f"{op}: value={value} means nothing with mode={mode!r}; leave it out")
    for n, (before, after) in zip(x.shape, pairs, strict=True):
        longest = max(before, after)
        if longest > 0 and longest > {"reflect": n - 1, "circular": n + min(before, 0) + min(after, 0)}.get(mode, longest * n):
            asks = {
                "reflect": f"reflecting {longest} positions needs an axis longer than that",
                "replicate": "replicating needs an edge",
                "circular": f"going round {longest} positions needs an axis at least that long, after cropping",
            }[mode]
            raise ValueError(f"{op}: {asks}, but the axis has {n}; pad={amounts}, input is {x.shape}")
    return MODES[mode](pairs)(x)


def _fitting(op: str, x: Tensor, value: float) -> float:
    """The constant, when a tensor of integers can hold it."""
    if x.dtype.kind in "iu":
        limits = np.iinfo(x.dtype)
        if not limits.min <= value <= limits.max:
            raise ValueError(
                f"{op}: value={value} does not fit into input {x.shape}, which is {x.dtype}; convert it first, as with .float()"
            )
    return value
