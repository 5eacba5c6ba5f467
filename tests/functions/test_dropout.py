"""Dropout."""

from __future__ import annotations

import numpy as np
import pytest

from minivision.autograd import Tensor
from minivision.backend import Generator
from minivision.functions.dropout import dropout, dropout2d
from tests.helpers import assert_close, to_device, to_numpy


def test_values_gradient_and_rate(device):
    """What is kept is divided by 1 - p, the gradient has the same mask, and the share is p to 5 standard deviations."""
    x = Tensor(to_device(np.full((100, 100), 3.0), device), requires_grad=True)
    y = dropout(x, 0.3, generator=Generator(1))
    kept = to_numpy(y) != 0
    assert_close(to_numpy(y)[kept], np.full(kept.sum(), 3 / 0.7))
    assert abs(1 - kept.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 1e4)
    y.backward(Tensor(to_device(np.full((100, 100), 2.0), device)))
    assert_close(x.grad, np.where(kept, 2 / 0.7, 0))


def test_a_seed_repeats_on_every_device(device):
    x = np.ones((4, 5), np.float32)
    first = dropout(Tensor(to_device(x, device)), generator=Generator(7))
    assert_close(first, to_numpy(dropout(Tensor(x), generator=Generator(7))))
    assert first.dtype == np.float32
    assert (to_numpy(first) != to_numpy(dropout(Tensor(x), generator=Generator(8)))).any()


def test_whole_channels(device):
    y = to_numpy(dropout2d(Tensor(to_device(np.ones((8, 16, 3, 4)), device)), 0.5, generator=Generator(3)))
    flat = y.reshape(8, 16, 12)
    assert (flat == flat[..., :1]).all()
    assert set(np.unique(y)) == {0.0, 2.0}
    assert dropout2d(Tensor(np.ones((16, 3, 4))), generator=Generator(3)).shape == (16, 3, 4)


def test_off(rng, device):
    x = Tensor(to_device(rng.standard_normal((3, 4)), device))
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0) is x
    assert_close(dropout(x, 1.0), np.zeros((3, 4)))


@pytest.mark.parametrize(("function", "argument"), [(dropout, 1.5), (dropout, -0.1), (dropout2d, 2)])
def test_errors(function, argument):
    with pytest.raises(ValueError, match=rf"{function.__name__}: p={argument} "):
        function(Tensor(np.ones((1, 2, 3))), argument)


def test_more_errors():
    with pytest.raises(ValueError, match=r"dropout2d: input has shape \(2, 3\)"):
        dropout2d(Tensor(np.ones((2, 3))))
    with pytest.raises(TypeError, match="dropout: input is int64"):
        dropout(Tensor(np.ones((2, 3), np.int64)))
