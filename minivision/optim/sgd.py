"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from minivision.backend import Array
from minivision.blocks import in_blocks
from minivision.functions.operands import check_flags, number
from minivision.optim.optimizer import Optimizer, Params, need_not_negative
from minivision.optim.together import BLOCK, elementwise, zeros_like


class SGD(Optimizer):
    """Gradient descent with momentum, as `torch.optim.SGD`.

    g = gradient + weight_decay w
    v = momentum v + (1 - dampening) g        (v = g at the first step)
    w = w - lr v                              (with nesterov: w - lr (g + momentum v))

    Raises ValueError for settings out of range, and for Nesterov without momentum or with dampening.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
    ):
        need_not_negative("SGD", lr=lr, momentum=momentum, weight_decay=weight_decay)
        number("SGD", "dampening", dampening)
        check_flags("SGD", nesterov=nesterov)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError(f"SGD: nesterov needs momentum > 0 and dampening 0, not {momentum} and {dampening}")
        super().__init__(
            params,
            {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov},
        )

    @elementwise
    def update(self, parameter: Array, gradient: Array, group: dict[str, Any], state: dict[str, Any]) -> None:
        lr, momentum, decay, nesterov = group["lr"], group["momentum"], group["weight_decay"], group["nesterov"]
        kept = 1 - group["dampening"]
        if momentum and "momentum_buffer" not in state:
            state["momentum_buffer"], kept = zeros_like(parameter), 1.0  # so that v becomes g

        def part(w: Array, g: Array, *buffer: Array) -> None:
            if decay:
                g = g + decay * w
            if momentum:
                (v,) = buffer
                v *= momentum
                v += g if kept == 1 else kept * g
                g = g + momentum * v if nesterov else v
            w -= lr * g

        in_blocks(part, parameter, gradient, *([state["momentum_buffer"]] if momentum else []), block=BLOCK, shared=0)
