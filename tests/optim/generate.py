"""Ask PyTorch for the golden values of the optimizer tests: python -m tests.optim.generate writes golden.npz."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.optim.cases import CLIPS, OPTIMIZERS, SCHEDULES, STEPS, clip_gradients, gradients_at, starting_point

GOLDEN = Path(__file__).with_name("golden.npz")


def optimizer_path(kind: str, settings: dict[str, Any], second: dict[str, Any] | None) -> list[np.ndarray]:
    """Every parameter after every step, (STEPS, *shape) each."""
    parameters = [torch.nn.Parameter(torch.from_numpy(p)) for p in starting_point()]
    groups: Any = parameters if second is None else [{"params": parameters[:1]}, {"params": parameters[1:], **second}]
    optimizer = getattr(torch.optim, kind)(groups, **settings)
    path = []
    for step in range(STEPS):
        for p, g in zip(parameters, gradients_at(step, [p.detach().numpy() for p in parameters]), strict=True):
            p.grad = torch.from_numpy(g)
        optimizer.step()
        path.append([p.detach().numpy().copy() for p in parameters])
    return [np.stack(values) for values in zip(*path, strict=True)]


def schedule_path(kind: str, settings: dict[str, Any]) -> np.ndarray:
    """(STEPS + 1, 2 groups, rate and momentum)."""
    parameters = [torch.nn.Parameter(torch.from_numpy(p)) for p in starting_point()]
    groups = [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.05}]
    optimizer = torch.optim.SGD(groups, lr=0.4, momentum=0.9)
    schedule = getattr(torch.optim.lr_scheduler, kind)(optimizer, **settings)
    path = []
    for _ in range(STEPS + 1):
        path.append([[float(g["lr"]), float(g["momentum"])] for g in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return np.array(path)


def clipped(max_norm: float, norm_type: float) -> tuple[float, list[np.ndarray]]:
    parameters = [torch.nn.Parameter(torch.from_numpy(p)) for p in starting_point()]
    for p, g in zip(parameters, clip_gradients(), strict=True):
        p.grad = torch.from_numpy(g)
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm, norm_type)
    return float(norm), [p.grad.numpy() for p in parameters]  # type: ignore[union-attr]


def main() -> None:
    golden: dict[str, np.ndarray] = {}
    for name, case in OPTIMIZERS.items():
        for i, path in enumerate(optimizer_path(*case)):
            golden[f"{name}/{i}"] = path
    for name, schedule in SCHEDULES.items():
        golden[name] = schedule_path(*schedule)
    for name, clip in CLIPS.items():
        norm, gradients = clipped(*clip)
        golden[f"clip_{name}/norm"] = np.array(norm)
        for i, gradient in enumerate(gradients):
            golden[f"clip_{name}/{i}"] = gradient
    np.savez_compressed(GOLDEN, **golden)


if __name__ == "__main__":
    main()
