"""What is optimized in the tests, and with which settings: shared by the tests and by the script that asks PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = 25
SHAPES = [(3, 4), (5,)]

# name -> (class, settings, settings of the second group; None for a single group)
OPTIMIZERS: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None]] = {
    "sgd": ("SGD", {"lr": 0.1}, None),
    "sgd_momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}, None),
    "sgd_dampening": ("SGD", {"lr": 0.05, "momentum": 0.8, "dampening": 0.3}, None),
    "sgd_decay": ("SGD", {"lr": 0.05, "weight_decay": 0.02}, None),
    "sgd_nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, None),
    "sgd_groups": ("SGD", {"lr": 0.05, "momentum": 0.9}, {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.1}),
    "adam": ("Adam", {"lr": 0.05}, None),
    "adam_settings": ("Adam", {"lr": 0.02, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}, None),
    "adam_groups": ("Adam", {"lr": 0.05}, {"lr": 0.005, "betas": (0.0, 0.99), "weight_decay": 0.3}),
    "adamw": ("AdamW", {"lr": 0.05}, None),
    "adamw_settings": ("AdamW", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4, "weight_decay": 0.3}, None),
}

# name -> (class, settings); every schedule drives SGD with momentum and two groups, rates 0.4 and 0.05
SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "step": ("StepLR", {"step_size": 3}),
    "step_gamma": ("StepLR", {"step_size": 7, "gamma": 0.5}),
    "multistep": ("MultiStepLR", {"milestones": [2, 9, 9, 14], "gamma": 0.3}),
    "polynomial": ("PolynomialLR", {"total_iters": 20, "power": 0.9}),
    "polynomial_linear": ("PolynomialLR", {}),
    "cosine": ("CosineAnnealingLR", {"T_max": 10}),
    "cosine_floor": ("CosineAnnealingLR", {"T_max": 25, "eta_min": 0.01}),
    "one_cycle": ("OneCycleLR", {"max_lr": 0.3, "total_steps": 26}),
    "one_cycle_linear": ("OneCycleLR", {"max_lr": [0.3, 0.1], "epochs": 13, "steps_per_epoch": 2, "anneal_strategy": "linear"}),
    "one_cycle_three": ("OneCycleLR", {"max_lr": 1.0, "total_steps": 30, "pct_start": 0.4, "three_phase": True, "div_factor": 8}),
    "one_cycle_still": ("OneCycleLR", {"max_lr": 1.0, "total_steps": 40, "cycle_momentum": False, "final_div_factor": 10}),
}

CLIPS = {"large": (1.0, 2.0), "small": (1e3, 2.0), "one": (0.5, 1.0), "three": (0.5, 3.0), "largest": (0.5, float("inf"))}


def starting_point() -> list[np.ndarray]:
    """The parameters before the first step, float64."""
    rng = np.random.default_rng(1)
    return [rng.standard_normal(shape) for shape in SHAPES]


def gradients_at(step: int, parameters: list[np.ndarray]) -> list[np.ndarray]:
    """Gradients of a bumpy function that changes from step to step, as those of batches do."""
    rng = np.random.default_rng((2, step))
    return [np.sin(3 * p) + 0.5 * p + 0.3 * rng.standard_normal(p.shape) for p in parameters]


def clip_gradients() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.standard_normal(shape) for shape in SHAPES]
