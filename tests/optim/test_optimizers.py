"""Optimizers against loops over single numbers, against PyTorch's paths, and against themselves after saving."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minivision import optim
from minivision.autograd import Tensor
from minivision.nn import Parameter
from tests.helpers import assert_close, to_device, to_numpy
from tests.optim.cases import OPTIMIZERS, SCHEDULES, STEPS, gradients_at, starting_point

GOLDEN = np.load(Path(__file__).with_name("golden.npz"))


def build(kind: str, settings: dict[str, Any], second: dict[str, Any] | None = None, device: str = "cpu"):
    parameters = [Parameter(to_device(p, device)) for p in starting_point()]
    groups: Any = parameters if second is None else [{"params": parameters[:1]}, {"params": parameters[1:], **second}]
    return parameters, getattr(optim, kind)(groups, **settings)


def give_gradients(parameters: list[Parameter], step: int, device: str = "cpu") -> None:
    for p, g in zip(parameters, gradients_at(step, [to_numpy(p) for p in parameters]), strict=True):
        p.grad = Tensor(to_device(g.astype(p.dtype), device))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_path_is_that_of_pytorch(name, device):
    kind, settings, second = OPTIMIZERS[name]
    parameters, optimizer = build(kind, settings, second, device)
    for step in range(STEPS):
        give_gradients(parameters, step, device)
        optimizer.step()
        for i, p in enumerate(parameters):
            assert_close(p, GOLDEN[f"{name}/{i}"][step], rtol=1e-11, atol=1e-13)


def sgd_by_hand(w: float, gradients: Any, lr: float, momentum: float, dampening: float, decay: float, nesterov: bool) -> float:
    v = None
    for step in range(STEPS):
        g = gradients(step, w) + decay * w
        v = g if v is None else momentum * v + (1 - dampening) * g
        w = w - lr * ((g + momentum * v) if nesterov else v)
    return w


def adam_by_hand(w: float, gradients: Any, lr: float, betas: tuple[float, float], eps: float, decay: float, own: bool) -> float:
    m = v = 0.0
    for t in range(1, STEPS + 1):
        g = gradients(t - 1, w)
        if own:
            w = w - lr * decay * w
        else:
            g = g + decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        w = w - lr * (m / (1 - betas[0] ** t)) / (math.sqrt(v / (1 - betas[1] ** t)) + eps)
    return w


def bowl(step: int, w: float) -> float:
    """The gradient of a parabola whose minimum wanders."""
    return 1.3 * w - 0.2 * math.sin(step)


def run_bowl(optimizer_class: Any, **settings: Any) -> float:
    p = Parameter(np.array([1.7]))
    optimizer = optimizer_class([p], **settings)
    for step in range(STEPS):
        p.grad = Tensor(np.array([bowl(step, float(p.array[0]))]))
        optimizer.step()
    return float(p.array[0])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("dampening", [0.0, 0.4])
@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_sgd_by_hand(momentum, dampening, decay):
    # without momentum there is nothing to dampen: PyTorch takes the plain gradient
    by_hand = sgd_by_hand(1.7, bowl, 0.1, momentum, dampening if momentum else 0.0, decay, nesterov=False)
    result = run_bowl(optim.SGD, lr=0.1, momentum=momentum, dampening=dampening, weight_decay=decay)
    assert result == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_nesterov_by_hand(decay):
    by_hand = sgd_by_hand(1.7, bowl, 0.1, 0.9, 0.0, decay, nesterov=True)
    assert run_bowl(optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=decay) == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize(("name", "own"), [("Adam", False), ("AdamW", True)])
@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_adam_by_hand(name, own, decay):
    by_hand = adam_by_hand(1.7, bowl, 0.1, (0.8, 0.95), 1e-6, decay, own)
    result = run_bowl(getattr(optim, name), lr=0.1, betas=(0.8, 0.95), eps=1e-6, weight_decay=decay)
    assert result == pytest.approx(by_hand, rel=1e-12)


def test_defaults_are_those_of_pytorch():
    p = [Parameter(np.zeros(1))]
    assert optim.SGD(p).defaults == {"lr": 1e-3, "momentum": 0, "dampening": 0, "weight_decay": 0, "nesterov": False}
    assert optim.Adam(p).defaults == {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0}
    assert optim.AdamW(p).defaults == {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_saved_optimizer_goes_on_bit_for_bit(name, dtype):
    kind, settings, second = OPTIMIZERS[name]

    def typed(parameters):
        for p in parameters:
            p.array = p.array.astype(dtype)

    parameters, optimizer = build(kind, settings, second)
    typed(parameters)
    others, other = build(kind, settings, second)
    typed(others)
    for step in range(STEPS):
        if step == 11:
            for p, q in zip(parameters, others, strict=True):
                q.array[...] = p.array
            state = optimizer.state_dict()
            # the settings pass through JSON, as in a checkpoint
            other.load_state_dict({"state": state["state"], "param_groups": json.loads(json.dumps(state["param_groups"]))})
            assert other.state_dict()["param_groups"] == state["param_groups"]
        for these, stepping in ((parameters, optimizer), (others, other)) if step >= 11 else ((parameters, optimizer),):
            give_gradients(these, step)
            stepping.step()
    for p, q in zip(parameters, others, strict=True):
        assert p.dtype == dtype
        assert np.array_equal(p.array, q.array)


def test_a_loaded_state_is_a_copy():
    parameters, optimizer = build("SGD", {"lr": 0.1, "momentum": 0.9})
    give_gradients(parameters, 0)
    optimizer.step()
    state = optimizer.state_dict()
    others, other = build("SGD", {"lr": 0.1, "momentum": 0.9})
    other.load_state_dict(state)
    before = other.state[others[0]]["momentum_buffer"].copy()
    give_gradients(parameters, 1)
    optimizer.step()
    assert np.array_equal(other.state[others[0]]["momentum_buffer"], before)


def test_a_state_that_does_not_fit_changes_nothing():
    parameters, optimizer = build("Adam", {"lr": 0.1})
    give_gradients(parameters, 0)
    optimizer.step()
    good = optimizer.state_dict()
    group = good["param_groups"][0]
    bad = [
        ({**good, "param_groups": [{**group, "params": [0]}]}, r"groups of \[1\] parameters, but this optimizer has \[2\]"),
        ({**good, "state": {0: {"exp_avg": np.zeros((2, 2))}}}, r"exp_avg of parameter 0 has shape \(2, 2\).*\(3, 4\)"),
        ({**good, "state": {7: {"step": 1}}}, "parameter 7, but this optimizer has 2"),
        ({**good, "param_groups": [{**group, "momentum": 0.9, "lr": 5.0}]}, r"settings \['momentum'\] of another optimizer"),
    ]
    for state, message in bad:
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert optimizer.state[parameters[0]]["step"] == 1
    assert optimizer.state[parameters[0]]["exp_avg"].shape == (3, 4)


def test_a_parameter_without_gradient_stays():
    parameters, optimizer = build("SGD", {"lr": 0.1, "weight_decay": 0.5})
    before = [p.array.copy() for p in parameters]
    give_gradients(parameters, 0)
    parameters[1].grad = None
    optimizer.step()
    assert not np.array_equal(parameters[0].array, before[0])
    assert np.array_equal(parameters[1].array, before[1])


def test_zero_grad():
    parameters, optimizer = build("SGD", {"lr": 0.1})
    give_gradients(parameters, 0)
    optimizer.zero_grad(set_to_none=False)
    assert [float(np.abs(p.grad.array).max()) for p in parameters] == [0.0, 0.0]
    optimizer.zero_grad()
    assert [p.grad for p in parameters] == [None, None]


def test_step_returns_the_loss_of_a_closure():
    p = Parameter(np.array([3.0]))
    optimizer = optim.SGD([p], lr=0.5)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert p.array[0] == 0.0  # 3 - 0.5 * 2 * 3


def test_add_param_group():
    p, q = Parameter(np.ones(1)), Parameter(np.ones(1))
    optimizer = optim.SGD([p], lr=0.5)
    optimizer.add_param_group({"params": q, "lr": 0.25})
    p.grad, q.grad = Tensor(np.ones(1)), Tensor(np.ones(1))
    optimizer.step()
    assert (p.array[0], q.array[0]) == (0.5, 0.75)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: optim.SGD([]), ValueError, "no parameters"),
        (lambda p: optim.SGD([p], lr=-1), ValueError, "SGD: lr=-1 is out of range"),
        (lambda p: optim.SGD([p], lr=float("nan")), ValueError, "lr=nan"),
        (lambda p: optim.SGD([p], momentum=-0.1), ValueError, "momentum=-0.1"),
        (lambda p: optim.SGD([p], weight_decay=-1), ValueError, "weight_decay=-1"),
        (lambda p: optim.SGD([p], nesterov=True), ValueError, "nesterov needs momentum"),
        (lambda p: optim.SGD([p], nesterov=True, momentum=0.9, dampening=0.1), ValueError, "nesterov"),
        (lambda p: optim.Adam([p], betas=(0.9, 1.0)), ValueError, r"betas=\(0.9, 1.0\)"),
        (lambda p: optim.Adam([p], eps=-1e-8), ValueError, "eps"),
        (lambda p: optim.AdamW([p], weight_decay=-1), ValueError, "AdamW: weight_decay"),
        (lambda p: optim.SGD([p, p]), ValueError, "in two groups"),
        (lambda p: optim.SGD([{"params": [p]}, {"params": [p]}]), ValueError, "in two groups"),
        (lambda p: optim.SGD([p * 2]), ValueError, "only leaves"),
        (lambda p: optim.SGD([np.ones(2)]), TypeError, "must be Tensors"),
        (lambda p: optim.SGD([{"params": [p], "beta": 1}]), TypeError, r"unknown settings \['beta'\]"),
    ],
)
def test_bad_settings(make, error, message):
    with pytest.raises(error, match=message):
        make(Parameter(np.ones(2)))


@pytest.mark.oracle
def test_the_golden_values_are_what_pytorch_answers_now():
    from tests.optim.generate import optimizer_path, schedule_path

    for name, case in OPTIMIZERS.items():
        for i, path in enumerate(optimizer_path(*case)):
            assert_close(path, GOLDEN[f"{name}/{i}"], rtol=1e-11, atol=1e-13)
    for name, schedule in SCHEDULES.items():
        assert_close(schedule_path(*schedule), GOLDEN[name], rtol=1e-11, atol=1e-15)
