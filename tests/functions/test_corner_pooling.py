"""Corner pooling against its definition, ties and errors."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import reference
from minivision.autograd import Tensor
from minivision.functions.corner_pooling import bottom_pool, left_pool, right_pool, top_pool
from tests.helpers import assert_close, layouts, to_device

EVERY = pytest.mark.parametrize("op", [top_pool, bottom_pool, left_pool, right_pool], ids=lambda f: f.__name__)


def tensor(array, device, **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


@EVERY
def test_definition_and_ties(op, rng, device):
    """The largest of all that is seen; of equal ones the first that was scanned receives the gradient."""
    x, dy = rng.integers(0, 4, (2, 3, 5, 4)).astype(float), rng.standard_normal((2, 3, 5, 4))
    expected, winners = getattr(reference, op.__name__)(x)
    dx = reference.max_pool2d_backward(dy, winners, (5, 4))
    for _, arranged in layouts(x):
        leaf = tensor(arranged, device, requires_grad=True)
        y = op(leaf)
        assert_close(y, expected, rtol=0)
        y.backward(tensor(dy, device))
        assert_close(leaf.grad, dx)
    assert_close(op(tensor(x[0], device)), expected[0], rtol=0)


def test_slide(device):
    """The example of the paper's figure: 2 1 3 0 2 seen from the right is 3 3 3 2 2."""
    assert_close(left_pool(tensor([[[2, 1, 3, 0, 2]]], device)), [[[3, 3, 3, 2, 2]]])
    assert_close(right_pool(tensor([[[2, 1, 3, 0, 2]]], device)), [[[2, 2, 3, 3, 3]]])


@EVERY
def test_empty(op, device):
    assert op(tensor(np.zeros((0, 2, 3, 4)), device)).shape == (0, 2, 3, 4)
    assert op(tensor(np.zeros((1, 2, 0, 4)), device)).shape == (1, 2, 0, 4)


@EVERY
def test_errors(op, device):
    with pytest.raises(ValueError, match=rf"{op.__name__}: input has shape \(3, 4\), but must be \(N, C, H, W\)"):
        op(tensor(np.zeros((3, 4)), device))
    with pytest.raises(TypeError, match=rf"{op.__name__}: input is int64"):
        op(Tensor(to_device(np.zeros((1, 3, 4), np.int64), device)))
