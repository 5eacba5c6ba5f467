"""Activations and the softmax family."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minivision.autograd import Tensor
from minivision.functions.activation import leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from tests.helpers import assert_close, layouts, to_device


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


@pytest.mark.parametrize(
    ("function", "definition"),
    [
        (relu, lambda v: v if v > 0 else 0.0),
        (leaky_relu, lambda v: v if v > 0 else 0.01 * v),
        (lambda x: leaky_relu(x, 0.3), lambda v: v if v > 0 else 0.3 * v),
        (sigmoid, lambda v: 1 / (1 + math.exp(-v))),
        (tanh, math.tanh),
    ],
)
def test_is_its_definition(function, definition, rng, device):
    x = np.append(rng.standard_normal((2, 3, 5)) * 3, np.zeros((2, 3, 1)), axis=-1)
    for _, arranged in layouts(x):
        assert_close(function(tensor(arranged, device)), np.vectorize(definition)(x), atol=1e-15)
    assert_close(function(tensor(1.5, device)), np.array(definition(1.5)))


def test_gradients_at_the_kink(device):
    for function, expected in ((relu, [0.0, 0, 1]), (lambda x: leaky_relu(x, 0.2), [0.2, 0.2, 1])):
        x = tensor([-1, 0, 2], device, requires_grad=True)
        function(x).sum().backward()
        assert_close(x.grad, expected)


def test_nothing_overflows(device):
    with np.errstate(over="raise"):
        assert_close(sigmoid(tensor([-1e4, 0, 1e4], device)), [0, 0.5, 1])
        assert_close(softmax(tensor([1e4, 0], device), 0), [1.0, 0])
        assert_close(log_softmax(tensor([1e4, 0], device), 0), [0, -1e4])


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax(dim, rng, device):
    x = rng.standard_normal((2, 3, 4))
    expected = np.exp(x) / np.exp(x).sum(axis=dim, keepdims=True)
    for _, arranged in layouts(x):
        assert_close(softmax(tensor(arranged, device), dim), expected)
        assert_close(log_softmax(tensor(arranged, device), dim), np.log(expected), atol=1e-14)


def test_masked_scores(device):
    """-inf is a probability of 0, and gets no gradient."""
    x = tensor([[0, -np.inf, 0]], device, requires_grad=True)
    y = softmax(x, 1)
    assert_close(y, [[0.5, 0, 0.5]])
    y.backward(tensor([[1, 5, 3]], device))
    assert_close(x.grad, [[-0.5, 0, 0.5]])


def test_shapes_at_the_edge(device):
    assert softmax(tensor(3, device), 0).item() == 1
    assert softmax(tensor(np.zeros((2, 0)), device), 1).shape == (2, 0)
    assert softmax(tensor(np.zeros((0, 2)), device), 1).shape == (0, 2)


def test_dtype(device):
    x = Tensor(to_device(np.ones(3, np.float32), device))
    for y in (relu(x), leaky_relu(x), sigmoid(x), tanh(x), softmax(x, 0), log_softmax(x, 0)):
        assert y.dtype == np.float32
    assert softmax(Tensor(to_device(np.ones(3, np.int64), device)), 0, dtype=np.float64).dtype == np.float64


ERRORS = [
    (lambda x: softmax(x), ValueError, ["softmax", "dim", "(2, 3)"]),
    (lambda x: log_softmax(x, 2), IndexError, ["log_softmax", "dim 2", "-2 .. 1"]),
    (lambda x: softmax(x.long(), 0), TypeError, ["softmax", "input", "int64"]),
    (lambda x: sigmoid(x.long()), TypeError, ["sigmoid", "input", "int64"]),
    (lambda x: leaky_relu(x.long()), TypeError, ["leaky_relu", "input", "int64"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(np.ones((2, 3))))
    for word in words:
        assert word in str(error.value)
