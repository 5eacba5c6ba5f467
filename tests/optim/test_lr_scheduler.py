"""Schedules against their formulas, against PyTorch's rates, and against themselves after saving."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minivision import optim
from minivision.nn import Parameter
from minivision.optim import lr_scheduler
from tests.helpers import assert_close
from tests.optim.cases import SCHEDULES, STEPS

GOLDEN = np.load(Path(__file__).with_name("golden.npz"))


def two_groups(momentum: float = 0.9) -> optim.SGD:
    groups = [{"params": [Parameter(np.zeros(1))]}, {"params": [Parameter(np.zeros(1))], "lr": 0.05}]
    return optim.SGD(groups, lr=0.4, momentum=momentum)


def settings_of(optimizer: optim.Optimizer) -> list[list[float]]:
    return [[g["lr"], g["momentum"]] for g in optimizer.param_groups]


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rates_are_those_of_pytorch(name):
    kind, settings = SCHEDULES[name]
    optimizer = two_groups()
    schedule = getattr(lr_scheduler, kind)(optimizer, **settings)
    path = []
    for _ in range(STEPS + 1):
        path.append(settings_of(optimizer))
        if not (kind == "OneCycleLR" and schedule.last_epoch == schedule.total_steps):
            schedule.step()
    assert_close(np.array(path), GOLDEN[name], rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize(
    ("make", "factor"),
    [
        (lambda o: lr_scheduler.StepLR(o, 3, 0.5), lambda t: 0.5 ** (t // 3)),
        (lambda o: lr_scheduler.MultiStepLR(o, [7, 2], 0.1), lambda t: 1 if t < 2 else 0.1 if t < 7 else 0.01),
        (lambda o: lr_scheduler.PolynomialLR(o, 8, 2.0), lambda t: (1 - t / 8) ** 2 if t < 8 else 0),
        (lambda o: lr_scheduler.CosineAnnealingLR(o, 12), lambda t: (1 + math.cos(math.pi * t / 12)) / 2),
        (lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: 1 / (1 + t)),
    ],
)
def test_the_formulas(make, factor):
    optimizer = two_groups()
    schedule = make(optimizer)
    for t in range(12):
        assert schedule.get_last_lr() == pytest.approx([0.4 * factor(t), 0.05 * factor(t)], rel=1e-12, abs=1e-17)
        schedule.step()


def test_one_cycle_starts_peaks_and_ends_where_it_says():
    optimizer = two_groups()
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=101, pct_start=0.5, div_factor=10, final_div_factor=100)
    rates = []
    for _ in range(101):
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    assert rates[0] == pytest.approx(0.1)
    # the peak lies at step 0.5 * 101 - 1 = 49.5, between two steps
    assert max(rates) == pytest.approx(max(rates[49], rates[50]))
    assert max(rates) == pytest.approx(1.0, abs=1e-3)
    assert rates[-1] == pytest.approx(0.1 / 100)


def test_one_cycle_drives_adams_first_beta():
    optimizer = optim.Adam([Parameter(np.zeros(1))], betas=(0.9, 0.999))
    schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=20, pct_start=0.5)
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.999)
    for _ in range(9):
        schedule.step()
    assert optimizer.param_groups[0]["betas"] == (pytest.approx(0.85), 0.999)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_saved_schedule_goes_on_exactly(name):
    kind, settings = SCHEDULES[name]
    optimizer, other = two_groups(), two_groups()
    schedule = getattr(lr_scheduler, kind)(optimizer, **settings)
    for _ in range(9):
        schedule.step()
    resumed = getattr(lr_scheduler, kind)(other, **settings)
    resumed.load_state_dict(json.loads(json.dumps(schedule.state_dict())))
    for _ in range(12):
        assert settings_of(other) == settings_of(optimizer)
        schedule.step()
        resumed.step()


def test_a_state_of_other_groups_changes_nothing():
    schedule = lr_scheduler.StepLR(two_groups(), 3)
    with pytest.raises(ValueError, match="the state has 1 groups, but the optimizer has 2"):
        schedule.load_state_dict({"last_epoch": 7, "base_lrs": [0.1]})
    assert schedule.last_epoch == 0
    assert schedule.get_last_lr() == [0.4, 0.05]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_lr": 1.0}, "pass total_steps, or both epochs and steps_per_epoch"),
        ({"max_lr": 1.0, "epochs": 3}, "steps_per_epoch"),
        ({"max_lr": 1.0, "total_steps": 0}, "total_steps=0"),
        ({"max_lr": 1.0, "total_steps": 5, "pct_start": 1.5}, "pct_start=1.5"),
        ({"max_lr": 1.0, "total_steps": 5, "anneal_strategy": "sine"}, "anneal_strategy=sine"),
        ({"max_lr": [1.0, 1.0, 1.0], "total_steps": 5}, "3 values of max_lr for 2 parameter groups"),
    ],
)
def test_bad_settings_of_one_cycle(settings: dict[str, Any], message):
    with pytest.raises(ValueError, match=message):
        lr_scheduler.OneCycleLR(two_groups(), **settings)


def test_one_cycle_ends():
    schedule = lr_scheduler.OneCycleLR(two_groups(), max_lr=1.0, total_steps=4)
    for _ in range(4):
        schedule.step()
    with pytest.raises(ValueError, match="step 5 is beyond total_steps=4"):
        schedule.step()
