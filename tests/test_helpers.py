"""The test helpers themselves: layouts, numerical gradients, values without ties, the device fixture."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import backend
from tests.helpers import assert_close, layouts, numerical_gradient, tie_free, to_device, to_numpy


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3), (7,), (2, 0, 3), ()])
def test_layouts_hold_the_same_values(shape, rng, device):
    array = rng.standard_normal(shape)
    names = []
    for name, variant in layouts(array):
        names.append(name)
        np.testing.assert_array_equal(variant, array)
        there = to_device(variant, device)
        if array.size:
            assert there.strides == variant.strides
        assert_close(there, array)
    assert names[0] == "contiguous"
    assert len(names) == min(len(shape), 2) + 1


def test_layouts_differ_in_memory():
    contiguous, channels_last, strided = (variant for _, variant in layouts(np.zeros((2, 3, 4, 5))))
    assert contiguous.strides == (480, 160, 40, 8)
    assert channels_last.strides == (480, 8, 120, 24)
    assert strided.strides == (960, 320, 80, -16)


def test_device_fixture(device, request):
    kind = request.config.getoption("--device")
    x = to_device(np.ones(3), device)
    assert isinstance(x, np.ndarray) == (kind == "cpu")
    assert backend.xp_of(x) is (np if kind == "cpu" else backend.cupy())
    assert isinstance(to_numpy(x), np.ndarray)


def test_rng_repeats(rng):
    assert rng.integers(1 << 62) == np.random.default_rng(2917374939).integers(1 << 62)


def test_numerical_gradient_of_a_cubic(rng):
    x, upstream = rng.standard_normal((2, 3)), rng.standard_normal((2, 3))
    before = x.copy()
    assert_close(numerical_gradient(lambda v: v**3, x, upstream), 3 * x**2 * upstream, rtol=1e-7)
    np.testing.assert_array_equal(x, before)


def test_numerical_gradient_sums_over_outputs():
    x, upstream = np.array([1.0, 2.0]), np.array([1.0, 10.0])
    gradient = numerical_gradient(lambda v: np.stack([v.sum(), (v * v).sum()]), x, upstream)
    assert_close(gradient, [21.0, 41.0], rtol=1e-7)


@pytest.mark.parametrize("shape", [(4, 5), (3, 3), (1,), 6])
def test_tie_free(shape, rng):
    values = tie_free(shape, rng)
    assert values.shape == np.empty(shape).shape
    step = 2 / values.size
    assert np.abs(values).min() >= 0.2499 * step
    ordered = np.sort(values, axis=None)
    assert_close(np.diff(ordered), np.full(values.size - 1, step))


def test_assert_close_sees_shapes_and_values():
    with pytest.raises(AssertionError, match=r"shape \(2,\), expected \(1, 2\)"):
        assert_close([1.0, 2.0], [[1.0, 2.0]])
    with pytest.raises(AssertionError):
        assert_close([1.0], [1.0 + 1e-8])
    assert_close([np.nan, np.inf], [np.nan, np.inf])
