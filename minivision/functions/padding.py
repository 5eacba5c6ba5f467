"""Padding: constant (zeros) and reflect. Negative amounts crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, scatter_add, xp_of
from minivision.functions.operands import as_tensor

Pair = tuple[int, int]


class ConstantPad(Function):
    """y = x with a constant around it;  dx = the middle of dy"""

    def __init__(self, pairs: Sequence[Pair], value: float):
        self.pairs, self.value = pairs, value  # one (before, after) for each axis of x

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        kept = x[_kept(self.pairs, x.shape)]
        y = xp_of(x).full([n + a + b for n, (a, b) in zip(x.shape, self.pairs, strict=True)], self.value, x.dtype)
        y[self._region(y.shape)] = kept
        return y

    def backward(self, dy: Array) -> Array:
        dx = xp_of(dy).zeros(self.shape, dy.dtype)
        dx[_kept(self.pairs, self.shape)] = dy[self._region(dy.shape)]
        return dx

    def _region(self, shape: Sequence[int]) -> tuple[slice, ...]:
        return tuple(slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(shape, self.pairs, strict=True))


class ReflectPad(Function):
    """y[i] = x[mirror(i)], the edge not repeated;  dx[j] sums dy over all i that mirror to j"""

    is_view = True  # where nothing is added

    def __init__(self, pairs: Sequence[Pair]):
        self.pairs = pairs

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        for axis, (n, pair) in enumerate(zip(x.shape, self.pairs, strict=True)):
            if pair != (0, 0):
                x = xp_of(x).take(x, self._mirror(n, pair, x), axis=axis)
        return x

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        for axis, (n, pair) in reversed(list(enumerate(zip(self.shape, self.pairs, strict=True)))):
            if pair != (0, 0):
                front = xp.moveaxis(dy, axis, 0)
                dx = xp.zeros((n, *front.shape[1:]), dy.dtype)
                scatter_add(dx, self._mirror(n, pair, dy), front)
                dy = xp.moveaxis(dx, 0, axis)
        return dy

    def _mirror(self, n: int, pair: Pair, like: Array) -> Array:
        position = np.abs(np.arange(-pair[0], n + pair[1]))
        return xp_of(like).asarray(np.where(position >= n, 2 * (n - 1) - position, position))


def _kept(pairs: Sequence[Pair], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(shape, pairs, strict=True))


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Add entries at both ends of the last axes.

    `pad` is (left, right), (left, right, top, bottom), ...: two numbers for each axis, from the last one backwards, as in
    PyTorch. Negative numbers crop. `mode` is "constant" (with `value`, 0 unless given) or "reflect" (the image mirrored at its
    edge without repeating it, so each amount must be smaller than the axis).

    Raises ValueError for an odd number of amounts, more than the axes, and for mirrors longer than the image.
    """
    x = as_tensor("pad", "input", input)
    amounts = [int(p) for p in pad]
    if len(amounts) % 2 or len(amounts) > 2 * x.ndim:
        raise ValueError(
            f"pad: pad={tuple(amounts)} must hold two numbers (before, after) for each padded axis, last axis first; input "
            f"is {x.shape}"
        )
    given = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    pairs = ([(0, 0)] * (x.ndim - len(given))) + given[::-1]
    for n, (before, after) in zip(x.shape, pairs, strict=True):
        if n + before + after < 0 or min(before, 0) + min(after, 0) < -n:
            raise ValueError(f"pad: pad={tuple(amounts)} crops more than there is; input is {x.shape}")
    if mode == "constant":
        return ConstantPad(pairs, 0 if value is None else value)(x)
    if mode == "reflect":
        for n, (before, after) in zip(x.shape, pairs, strict=True):
            if max(before, after) >= n and max(before, after) > 0:
                raise ValueError(
                    f"pad: reflecting {max(before, after)} positions needs an axis longer than that, but the axis has {n}; "
                    f"input is {x.shape}"
                )
        cropping = [(min(a, 0), min(b, 0)) for a, b in pairs]
        if any(pair != (0, 0) for pair in cropping):
            x = ConstantPad(cropping, 0)(x)
        return ReflectPad([(max(a, 0), max(b, 0)) for a, b in pairs])(x)
    raise ValueError(f"pad: mode={mode!r} is unknown; use 'constant' or 'reflect'")
