"""Differences against derivatives known on paper, and the relative error's rules."""

from __future__ import annotations

import numpy as np
import pytest

import minivision as mv
from minivision.autograd import Tensor
from minivision.check import numerical_gradient, relative_error
from tests.helpers import assert_close, to_device


def test_a_polynomial(rng):
    x, upstream = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    gradient = numerical_gradient(lambda v: v**3, x, upstream)
    assert isinstance(gradient, np.ndarray)
    assert_close(gradient, 3 * x**2 * upstream, rtol=1e-8, atol=1e-9)


def test_a_single_number_needs_no_upstream(rng):
    x = rng.standard_normal(5)
    assert_close(numerical_gradient(lambda v: float(np.sum(np.sin(v))), x), np.cos(x), rtol=1e-8)
    assert_close(numerical_gradient(lambda v: v * v, np.array(3.0)), np.array(6.0), rtol=1e-9)


def test_tensors_stay_tensors_on_their_device(rng, device):
    x, dy = rng.standard_normal((2, 3)), rng.standard_normal(3)
    gradient = numerical_gradient(lambda v: v.exp().sum(dim=0), Tensor(to_device(x, device)), Tensor(to_device(dy, device)))
    assert isinstance(gradient, Tensor)
    assert gradient.device.type == device
    assert_close(gradient, np.exp(x) * dy, rtol=1e-8)


def test_single_precision_is_checked_in_double():
    gradient = numerical_gradient(lambda v: v**2, np.array([1.0, 2.0], np.float32), np.ones(2))
    assert gradient.dtype == np.float64
    assert_close(gradient, [2.0, 4.0], rtol=1e-9)


def test_the_input_is_left_alone_even_by_a_function_that_writes(rng):
    x = rng.standard_normal(4)
    before = x.copy()

    def double_in_place(v):
        v *= 2
        return v

    assert_close(numerical_gradient(double_in_place, x, np.ones(4)), np.full(4, 2.0), rtol=1e-9)
    np.testing.assert_array_equal(x, before)


def test_no_graph_is_kept(rng):
    seen = []
    w = Tensor(rng.standard_normal(3), requires_grad=True)
    numerical_gradient(lambda v: seen.append((v * w).requires_grad) or (v * w).sum(), mv.ones(3).double())
    assert set(seen) == {False}


def test_at_a_kink_it_is_the_mean_of_both_sides():
    assert_close(numerical_gradient(lambda v: np.maximum(v, 0), np.array([0.0]), np.ones(1)), [0.5])


def test_relative_error():
    assert relative_error([1.0, 2.0], [1.0, 2.0]) == 0
    assert relative_error(np.array([1.0, 3.0]), np.array([1.0, 1.0])) == 0.5
    assert relative_error([1.0], [-1.0]) == 1
    assert relative_error([0.0], [0.0]) == 0
    assert relative_error([1e-10], [0.0]) == pytest.approx(1e-2)  # 1e-10 / 1e-8
    assert relative_error(Tensor([2.0]), np.array([1.0])) == pytest.approx(1 / 3)
    assert relative_error(np.zeros((0, 2)), np.zeros((0, 2))) == 0
    assert np.isnan(relative_error([np.nan, 1.0], [1.0, 1.0]))


ERRORS = [
    (lambda: numerical_gradient(lambda v: v, np.ones(3)), ValueError, ["fn(x) has shape (3,)", "upstream"]),
    (lambda: numerical_gradient(lambda v: v, np.ones(3), np.ones(2)), ValueError, ["upstream has shape (2,)", "(3,)"]),
    (lambda: numerical_gradient(lambda v: v, np.arange(3)), TypeError, ["int64 (3,)", "floating"]),
    (lambda: numerical_gradient(lambda v: v, np.ones(1), h=0), ValueError, ["h=0", "positive"]),
    (lambda: relative_error(np.ones((2, 1)), np.ones(2)), ValueError, ["(2, 1)", "(2,)"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call()
    for word in words:
        assert word in str(error.value)
