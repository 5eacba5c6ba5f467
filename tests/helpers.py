"""Helpers that tests share: moving arrays, comparing them, differentiating numerically, varying the memory layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minivision import backend


def to_device(array: Any, device: str) -> Any:
    """The array on `device` ("cpu" or "cuda") in the same memory layout, which a plain transfer would not keep."""
    array = np.asarray(array)
    if device == "cpu" or array.flags.c_contiguous:
        return backend.to_device(array, device)
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))  # slowest axis first
    packed = array.transpose(order)
    on_device = backend.to_device(np.ascontiguousarray(packed), device)
    if not packed.flags.c_contiguous:  # more than a permutation: every second element from the end, as `layouts` has it
        xp = backend.xp_of(on_device)
        spread = xp.zeros((*packed.shape[:-1], 2 * packed.shape[-1]), dtype=array.dtype)[..., ::-2]
        spread[...] = on_device
        on_device = spread
    return on_device.transpose(np.argsort(order).tolist())


def to_numpy(x: Any) -> np.ndarray:
    """A Tensor, an array of any device, or a number, as a NumPy array."""
    if hasattr(x, "requires_grad"):
        x = x.data
    return x.get() if hasattr(x, "get") else np.asarray(x)


def assert_close(actual: Any, expected: Any, rtol: float = 1e-10, atol: float = 1e-12) -> None:
    """Assert that shapes are equal and values agree to the tolerances; NaN equals NaN and inf equals inf."""
    actual, expected = to_numpy(actual), to_numpy(expected)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def numerical_gradient(fn: Callable[[np.ndarray], Any], x: np.ndarray, upstream: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """The gradient of sum(upstream * fn(x)) to x by central differences in float64: (f(x + h) - f(x - h)) / 2h.

    The error is O(h^2) from the series and O(eps / h) from rounding: about 1e-9 for values near 1 and h = 1e-6.
    `fn` gets a NumPy array and may return a Tensor or an array of any device.
    """
    x = np.array(x, dtype=np.float64)  # a C-ordered copy, so that the caller's array is never disturbed
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        centre = x[index]
        x[index] = centre + h
        above = to_numpy(fn(x.copy())).astype(np.float64)
        x[index] = centre - h
        below = to_numpy(fn(x.copy())).astype(np.float64)
        x[index] = centre
        gradient[index] = np.sum(upstream * (above - below)) / (2 * h)
    return gradient


def layouts(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The same values in three memory layouts, as (name, array): no operation may depend on which one it gets.

    C-contiguous; channels-last memory (axis 1 runs fastest); every second element, from the far end, of a larger
    buffer along the last axis, so that strides are neither positive nor those of a contiguous array.
    """
    yield "contiguous", np.ascontiguousarray(array).reshape(array.shape)
    if array.ndim > 1:
        yield "channels_last", np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    if array.ndim > 0:
        buffer = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), dtype=array.dtype)
        view = buffer[..., ::-2]
        view[...] = array
        yield "strided", view


def tie_free(shape: int | tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """float64 values in random order, spaced evenly over [-1, 1]: no two equal, none nearer to 0 than a quarter step.

    A step is 2 / count. That is what max pooling and ReLU need for a numerical gradient that crosses no kink.
    """
    count = int(np.prod(shape))
    values = (2 * np.arange(count) + 1) / count - 1
    if count % 2:
        values = values + 0.5 / count  # the middle one would be 0
    return rng.permutation(values).reshape(shape)
