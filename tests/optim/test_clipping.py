"""Gradient clipping against the definition and against PyTorch's values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from minivision.autograd import Tensor
from minivision.nn import Parameter
from minivision.nn.utils import clip_grad_norm_, clip_grad_value_
from tests.helpers import assert_close, to_device, to_numpy
from tests.optim.cases import CLIPS, clip_gradients

GOLDEN = np.load(Path(__file__).with_name("golden.npz"))


def with_gradients(gradients, device: str = "cpu") -> list[Parameter]:
    parameters = [Parameter(to_device(np.zeros_like(g), device)) for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = Tensor(to_device(g.copy(), device))
    return parameters


@pytest.mark.parametrize("name", CLIPS)
def test_norm_and_gradients_are_those_of_pytorch(name, device):
    parameters = with_gradients(clip_gradients(), device)
    norm = clip_grad_norm_(parameters, *CLIPS[name])
    assert_close(norm, GOLDEN[f"clip_{name}/norm"])
    for i, p in enumerate(parameters):
        assert_close(p.grad, GOLDEN[f"clip_{name}/{i}"])


def test_the_direction_stays_and_the_norm_becomes_max_norm(rng):
    gradients = [rng.standard_normal((4, 3)), 10 * rng.standard_normal(7)]
    total = math.sqrt(sum(float(x) ** 2 for g in gradients for x in g.ravel()))
    parameters = with_gradients(gradients)
    assert clip_grad_norm_(parameters, 0.5).item() == pytest.approx(total, rel=1e-12)
    for p, g in zip(parameters, gradients, strict=True):
        assert_close(p.grad, g * 0.5 / (total + 1e-6))


def test_a_norm_below_the_limit_changes_nothing(rng):
    gradients = [rng.standard_normal(5)]
    parameters = with_gradients(gradients)
    clip_grad_norm_(parameters, 1e6)
    assert np.array_equal(parameters[0].grad.array, gradients[0])


def test_the_sum_of_squares_does_not_overflow_in_float32():
    parameters = with_gradients([np.full(4, 1e25, np.float32)])
    norm = clip_grad_norm_(parameters, 1.0)
    assert norm.dtype == np.float32
    assert norm.item() == pytest.approx(2e25, rel=1e-6)
    assert_close(parameters[0].grad, np.full(4, 0.5, np.float32), rtol=1e-6)


def test_parameters_without_gradient_do_not_count():
    parameters = [Parameter(np.zeros(3)), *with_gradients([np.array([3.0, 4.0])])]
    assert clip_grad_norm_(parameters, 100.0).item() == 5.0
    assert clip_grad_norm_(parameters[:1], 1.0).item() == 0.0
    assert clip_grad_norm_(parameters[1], 1.0).item() == 5.0  # a single tensor will do


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite(bad):
    gradients = [np.array([1.0, bad]), np.array([2.0])]
    parameters = with_gradients(gradients)
    with pytest.raises(RuntimeError, match=rf"the norm of the gradients is {bad}"):
        clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    for p, g in zip(parameters, gradients, strict=True):
        assert np.array_equal(p.grad.array, g, equal_nan=True)


def test_clip_grad_value(rng, device):
    gradients = [3 * rng.standard_normal((3, 4)), rng.standard_normal(2)]
    parameters = with_gradients(gradients, device)
    clip_grad_value_(parameters, 0.7)
    for p, g in zip(parameters, gradients, strict=True):
        assert_close(p.grad, np.array([min(max(x, -0.7), 0.7) for x in g.ravel()]).reshape(g.shape))


@pytest.mark.parametrize("norm_type", [2.0, 1.0, math.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_gradients_in_blocks(norm_type, dtype, device, rng):
    gradients = [
        rng.standard_normal((50, 41, 70)).astype(dtype),
        rng.standard_normal((3, 300, 200)).astype(dtype).transpose(1, 2, 0),
    ]
    exact = [g.astype("float64") for g in gradients]
    total = np.linalg.norm(np.concatenate([g.ravel() for g in exact]), norm_type)
    norms = []
    for _ in range(5):
        parameters = with_gradients(gradients, device)
        norms.append(clip_grad_norm_(parameters, 0.5, norm_type).item())
        for p, g in zip(parameters, exact, strict=True):
            assert_close(p.grad, g * (0.5 / (total + 1e-6)), rtol=1e-6 if dtype == "float32" else 1e-12)
    assert norms[0] == pytest.approx(total, rel=1e-6 if dtype == "float32" else 1e-12)
    assert set(norms) == {norms[0]}
    parameters = with_gradients(gradients, device)
    clip_grad_value_(parameters, 0.7)
    for p, g in zip(parameters, gradients, strict=True):
        assert np.array_equal(to_numpy(p.grad), np.minimum(np.maximum(g, -0.7), 0.7))
