"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import Any

from minivision.backend import Array, xp_of
from minivision.blocks import in_blocks
from minivision.functions.operands import must_be, number
from minivision.optim.optimizer import Optimizer, Params, need, need_not_negative
from minivision.optim.together import BLOCK, elementwise, zeros_like

_BETAS = "it must be two numbers, at least 0 and below 1"


class Adam(Optimizer):
    """Adaptive moments (Kingma & Ba 2015, arXiv:1412.6980), as `torch.optim.Adam`.

    g = gradient + weight_decay w
    m = beta1 m + (1 - beta1) g               the mean gradient
    v = beta2 v + (1 - beta2) g^2             its mean square
    w = w - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    Both means start at 0; dividing by 1 - beta^t makes up for that. Raises ValueError for settings out of range.
    """

    decoupled = False

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
    ):
        name = type(self).__name__
        need_not_negative(name, lr=lr, eps=eps, weight_decay=weight_decay)
        if not isinstance(betas, (tuple, list)):
            raise TypeError(f"{name}: {must_be('betas', betas, 'a tuple of two numbers, such as (0.9, 0.999)')}")
        need(name, len(betas) == 2 and all(0 <= number(name, "betas", b) < 1 for b in betas), _BETAS, betas=betas)
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})

    @elementwise
    def update(self, parameter: Array, gradient: Array, group: dict[str, Any], state: dict[str, Any]) -> None:
        lr, (beta1, beta2), eps, decay = group["lr"], group["betas"], group["eps"], group["weight_decay"]
        if not state:
            state.update(step=0, exp_avg=zeros_like(parameter), exp_avg_sq=zeros_like(parameter))
        state["step"] += 1
        t = state["step"]
        correction1, correction2 = 1 - beta1**t, math.sqrt(1 - beta2**t)
        xp = xp_of(parameter)

        def part(w: Array, g: Array, m: Array, v: Array) -> None:
            if self.decoupled:
                w *= 1 - lr * decay
            elif decay:
                g = g + decay * w
            m *= beta1
            m += (1 - beta1) * g
            v *= beta2
            v += (1 - beta2) * (g * g)
            denominator = xp.sqrt(v)
            denominator /= correction2
            denominator += eps
            w -= (lr / correction1) * (m / denominator)

        # the square root and the divisions take long enough for each number to share out fewer than usual
        in_blocks(part, parameter, gradient, state["exp_avg"], state["exp_avg_sq"], block=BLOCK, shared=0)


class AdamW(Adam):
    """Adam whose weight decay shrinks the weights directly, w = (1 - lr weight_decay) w, instead of joining the gradient.

    Loshchilov & Hutter 2019 (arXiv:1711.05101), as `torch.optim.AdamW`.
    """

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(params, lr, betas, eps, weight_decay)
