"""Elementwise arithmetic: values, kinks, broadcasting, powers at 0, comparisons, errors."""

from __future__ import annotations

import numpy as np
import pytest

from minivision.autograd import Tensor
from minivision.functions import arithmetic as F
from minivision.functions import clamping
from tests.helpers import assert_close, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


def gradient(function, *arrays, device):
    """The gradients of the sum of function(*arrays)."""
    leaves = [tensor(a, device, requires_grad=True) for a in arrays]
    function(*leaves).sum().backward()
    return [to_numpy(x.grad) for x in leaves]


@pytest.mark.parametrize(
    ("function", "definition"),
    [
        (F.add, np.add),
        (F.sub, np.subtract),
        (F.mul, np.multiply),
        (F.div, np.divide),
        (F.maximum, np.maximum),
        (F.minimum, np.minimum),
    ],
)
@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((2, 1, 4), (3, 1)), ((), (2, 3)), ((0, 3), (1, 3))])
def test_two_operands(function, definition, shapes, rng, device):
    a, b = (rng.standard_normal(s) for s in shapes)
    assert_close(function(tensor(a, device), tensor(b, device)), definition(a, b))
    assert_close(function(tensor(a, device), 2.5), definition(a, 2.5))
    assert_close(function(-3, tensor(b, device)), definition(-3, b))


@pytest.mark.parametrize(
    ("function", "definition"),
    [(F.neg, np.negative), (F.exp, np.exp), (F.abs_, np.abs), (F.sin, np.sin), (F.cos, np.cos), (F.square, np.square),
     (F.floor, np.floor), (F.ceil, np.ceil), (F.round, np.round), (F.sign, np.sign), (F.isnan, np.isnan), (F.isinf, np.isinf),
     (F.isfinite, np.isfinite), (F.logical_not, np.logical_not)],
)  # fmt: skip
def test_one_operand(function, definition, rng, device):
    x = np.append(rng.standard_normal((7,)) * 3, [0.0, 0.5, 1.5, -2.5])
    assert_close(function(tensor(x, device)), definition(x))
    assert function(tensor(x[0], device)).shape == ()


def test_log_and_sqrt(rng, device):
    x = rng.uniform(0.1, 3, (2, 3))
    assert_close(F.log(tensor(x, device)), np.log(x))
    assert_close(F.sqrt(tensor(x, device)), np.sqrt(x))


KINKS = [
    (F.abs_, [[-2.0, 0, 3]], [[-1.0, 0, 1]]),
    (F.maximum, [[1.0, 2, 3], [1.0, 3, 2]], [[0.5, 0, 1], [0.5, 1, 0]]),
    (F.minimum, [[1.0, 2, 3], [1.0, 3, 2]], [[0.5, 1, 0], [0.5, 0, 1]]),
    (lambda x: clamping.clamp(x, -1, 1), [[-2.0, -1, 0, 1, 2]], [[0.0, 1, 1, 1, 0]]),
    (lambda x: clamping.clamp(x, min=0), [[-1.0, 0, 1]], [[0.0, 1, 1]]),
    (F.floor, [[0.5, 1]], [[0.0, 0]]),
    (F.sign, [[0.0, 1]], [[0.0, 0]]),
    (lambda x: F.pow(x, 0), [[0.0, 2]], [[0.0, 0]]),
    (lambda x: F.pow(x, 1), [[0.0, 2]], [[1.0, 1]]),
    (lambda x: F.pow(x, 2), [[0.0, -2]], [[0.0, -4]]),
    (F.pow, [[0.0, 0, 2], [0.0, 2, 0]], [[0.0, 0, 0], [0.0, 0, np.log(2)]]),
    (lambda x: F.pow(0, x), [[0.0, 2]], [[0.0, 0]]),
]


@pytest.mark.parametrize(("function", "arrays", "expected"), KINKS)
def test_gradients_at_kinks(function, arrays, expected, device):
    for actual, e in zip(gradient(function, *arrays, device=device), expected, strict=True):
        assert_close(actual, e)


def test_alpha_and_where(device):
    a, b = tensor([1, 2], device), tensor([10, 20], device)
    assert_close(F.add(a, b, alpha=0.5), [6.0, 12])
    assert_close(F.sub(a, b, alpha=2), [-19.0, -38])
    test = Tensor(to_device(np.array([True, False]), device))
    assert_close(F.where(test, a, b), [1.0, 20])
    assert_close(F.where(test, 5.0, b), [5.0, 20])


@pytest.mark.parametrize(
    ("name", "definition"),
    [
        ("eq", np.equal),
        ("ne", np.not_equal),
        ("lt", np.less),
        ("le", np.less_equal),
        ("gt", np.greater),
        ("ge", np.greater_equal),
    ],
)
def test_comparisons(name, definition, device):
    a, b = np.array([[1.0, 2, 3]]), np.array([[1.0], [3.0]])
    result = getattr(F, name)(tensor(a, device, requires_grad=True), tensor(b, device))
    assert_close(result, definition(a, b))
    assert result.dtype == np.bool_
    assert not result.requires_grad
    assert_close(getattr(F, name)(2, tensor(a, device)), definition(2, a))


def test_equality_with_what_is_no_number():
    x = Tensor(np.ones(3))
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "x") is False


def test_logic(device):
    a = Tensor(to_device(np.array([True, True, False]), device))
    b = Tensor(to_device(np.array([True, False, False]), device))
    assert to_numpy(a & b).tolist() == [True, False, False]
    assert to_numpy(a | b).tolist() == [True, True, False]
    assert to_numpy(~b).tolist() == [False, True, True]


def test_a_kept_factor_is_one_that_is_needed(rng):
    """x * w keeps x only for the gradient of w."""
    x, w = Tensor(rng.standard_normal(3)), Tensor(rng.standard_normal(3), requires_grad=True)
    for y in (x * w, x / w):
        assert y.grad_fn is not None
    y = x * w
    assert y.grad_fn.a is x.array
    assert y.grad_fn.b is None


ERRORS = [
    (lambda x: F.add(x, np.ones((2, 4))), ValueError, ["add", "(2, 3)", "(2, 4)", "3 against 4", "axis -1"]),
    (lambda x: F.mul(x, np.ones((4, 1, 3, 1))), ValueError, ["mul", "(2, 3)", "(4, 1, 3, 1)", "2 against 3", "axis -2"]),
    (lambda x: F.add(x, "1"), TypeError, ["str"]),
    (lambda x: F.exp("1"), TypeError, ["exp", "input", "str"]),
    (lambda x: clamping.clamp(x), ValueError, ["clamp", "min", "max"]),
    (lambda x: F.where(x, x, x), TypeError, ["where", "condition", "float64", "bool"]),
    (lambda x: F.add(x, [[1, 2], [3]]), (TypeError, ValueError), ["lists"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(np.ones((2, 3))))
    for word in words:
        assert word in str(error.value)


def test_the_sign_of_truth_values_is_the_truth_value(device):
    x = Tensor(to_device(np.array([True, False]), device))
    y = F.sign(x)
    assert y.dtype == np.bool_
    assert_close(y, [True, False])


def test_a_choice_between_two_numbers_lies_where_the_condition_does(device):
    condition = Tensor(to_device(np.array([True, False]), device))
    y = F.where(condition, 1.0, 2.0)
    assert y.device == condition.device
    assert_close(y, [1, 2])


def test_a_factor_counts_after_the_operands_have_one_dtype(device):
    whole, real = Tensor(to_device(np.array([1, 3]), device)), Tensor(to_device(np.array([0.5, 0.5]), device))
    assert_close(F.add(real, whole, alpha=0.5), [1.0, 2.0], rtol=1e-15)
    assert F.add(real, whole, alpha=0.5).dtype == np.float64
