"""What the graph itself costs: many operations on arrays so small that computing them takes no time."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.case import Arrays, Case, Step, Target, Work

OPERATIONS = 1000
BACKWARD = (
    7  # operations on arrays for the gradients of four: of - one, of * two, of ReLU one, and three sums in w.grad and x.grad
)


def _arrays(rng: np.random.Generator) -> Arrays:
    return {"x": rng.uniform(0.5, 1.5, 4).astype(np.float32), "w": rng.uniform(0.5, 1.5, 4).astype(np.float32)}


def _build(torch: Any, arrays: Arrays) -> Step:
    """y = ((x * w) + x) * ..., a chain of 1,000 operations, each with a gradient to both of its operands."""
    x, w = torch.from_numpy(arrays["x"]).requires_grad_(), torch.from_numpy(arrays["w"]).requires_grad_()

    def step() -> dict[str, Any]:
        x.grad = w.grad = None
        y = x
        for _ in range(OPERATIONS // 4):
            y = torch.relu((y - w) * x) + w
        y.sum().backward()
        return {"y": y, "grad x": x.grad, "grad w": w.grad}

    return step


CASES = [
    Case(
        "tiny-operations", ("graph",), f"{OPERATIONS:,} operations on 4 numbers, forward and backward", _arrays, _build,
        lambda: Work(3.0 * 4 * OPERATIONS, 0.0, OPERATIONS + BACKWARD * OPERATIONS // 4), Target(1.0, 1.5),
    )
]  # fmt: skip
