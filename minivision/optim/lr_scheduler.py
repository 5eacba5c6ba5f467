"""Learning-rate schedules: the rate of each group as a function of the number of steps taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minivision.functions.operands import check_flags, integer, integers, must_be, number, positive
from minivision.optim.optimizer import Optimizer, need, need_optimizer


class LRScheduler:
    """Sets every group's rate to `factor(t)` times its initial rate after t calls of `step()`.

    Rates are computed from t and not from the previous rate, so that a resumed run cannot drift.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        need_optimizer(type(self).__name__, optimizer)
        self.optimizer = optimizer
        self.last_epoch = integer(type(self).__name__, "last_epoch", last_epoch, -1)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.step()

    def factor(self, t: int) -> float:
        """What the initial rate is multiplied by after t steps."""
        raise NotImplementedError

    def rate(self, base: float, t: int) -> float:
        """The rate after t steps of a group that starts at `base`."""
        return base * self.factor(t)

    def step(self) -> None:
        """Count one step (an epoch or an iteration, as the schedule was meant) and set the rates."""
        self.last_epoch += 1
        self.apply()

    def apply(self) -> None:
        """Set every group's rate to that of the present step."""
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.rate(base, self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """The present rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The number of steps taken and the initial rates."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue where `state_dict()` was taken. Raises ValueError, before changing anything, for another number of groups."""
        groups, base_lrs = self.optimizer.param_groups, list(state_dict["base_lrs"])
        if len(base_lrs) != len(groups):
            raise ValueError(f"{type(self).__name__}: the state has {len(base_lrs)} groups, but the optimizer has {len(groups)}")
        self.last_epoch, self.base_lrs = int(state_dict["last_epoch"]), base_lrs
        for group, base in zip(groups, base_lrs, strict=True):
            group["initial_lr"] = base
        self.apply()


class LambdaLR(LRScheduler):
    """The factor is any function of the step."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float], last_epoch: int = -1):
        if not callable(lr_lambda):
            raise TypeError(f"LambdaLR: {must_be('lr_lambda', lr_lambda, 'a function from the step to a factor')}")
        self.lr_lambda = lr_lambda
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        return self.lr_lambda(t)


class StepLR(LRScheduler):
    """The rate is multiplied by `gamma` every `step_size` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        self.step_size, self.gamma = integer("StepLR", "step_size", step_size, 1), number("StepLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        return self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    """The rate is multiplied by `gamma` at each of the `milestones`."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1):
        meaning = "a list of the steps at which the rate changes"
        steps = integers("MultiStepLR", "milestones", milestones, meaning, 0)
        self.milestones, self.gamma = sorted(steps), number("MultiStepLR", "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        return self.gamma ** sum(t >= m for m in self.milestones)


class PolynomialLR(LRScheduler):
    """(1 - t / total_iters)^power, then 0: the "poly" schedule of semantic segmentation (DeepLab uses power 0.9)."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1):
        self.total_iters = integer("PolynomialLR", "total_iters", total_iters, 1)
        self.power = number("PolynomialLR", "power", power)
        super().__init__(optimizer, last_epoch)

    def factor(self, t: int) -> float:
        return max(0.0, 1 - t / self.total_iters) ** self.power


class CosineAnnealingLR(LRScheduler):
    """From the initial rate down to `eta_min` along half a cosine of length `T_max`, and up again after it.

    Loshchilov & Hutter 2017 (arXiv:1608.03983), without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        self.T_max, self.eta_min = (
            integer("CosineAnnealingLR", "T_max", T_max, 1),
            number("CosineAnnealingLR", "eta_min", eta_min),
        )
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, t: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * t / self.T_max)) / 2


class OneCycleLR(LRScheduler):
    """Up from `max_lr / div_factor` to `max_lr` in the first `pct_start` of the steps, then down to (nearly) 0.

    Along cosines, or straight lines with `anneal_strategy="linear"`. Momentum (Adam's first beta) goes the other way round, from
    `max_momentum` to `base_momentum` and back, unless `cycle_momentum=False`. With `three_phase` the way back mirrors the way up,
    and a third phase goes on to (nearly) 0. Call `step()` after every batch; the number of batches is `total_steps`, or
    `epochs * steps_per_epoch`. Smith & Topin 2019 (arXiv:1708.07120), as `torch.optim.lr_scheduler.OneCycleLR`.

    Raises ValueError for settings out of range, and at a step beyond the last one.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        name = "OneCycleLR"
        need_optimizer(name, optimizer)
        check_flags(name, cycle_momentum=cycle_momentum, three_phase=three_phase)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: pass total_steps, or both epochs and steps_per_epoch")
            total_steps = integer(name, "epochs", epochs) * integer(name, "steps_per_epoch", steps_per_epoch)
        total_steps = integer(name, "total_steps", total_steps, 1)
        need(name, 0 <= number(name, "pct_start", pct_start) <= 1, "legal are 0 .. 1", pct_start=pct_start)
        known = isinstance(anneal_strategy, str) and anneal_strategy in ("cos", "linear")
        need(name, known, "use 'cos' or 'linear'", anneal_strategy=anneal_strategy)
        base_momentum, max_momentum = number(name, "base_momentum", base_momentum), number(name, "max_momentum", max_momentum)
        div_factor, final_div_factor = (
            positive(name, "div_factor", div_factor),
            positive(name, "final_div_factor", final_div_factor),
        )
        given = max_lr if isinstance(max_lr, (tuple, list)) else [max_lr] * len(optimizer.param_groups)
        peaks = [number(name, "max_lr", peak) for peak in given]
        if len(peaks) != len(optimizer.param_groups):
            raise ValueError(
                f"OneCycleLR: {len(peaks)} values of max_lr for {len(optimizer.param_groups)} parameter groups; give one number, "
                "or one for each group"
            )
        if cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError("OneCycleLR: the optimizer has no momentum to cycle; pass cycle_momentum=False")

        self.total_steps, self.anneal, self.cycle_momentum = total_steps, anneal_strategy, cycle_momentum
        low, high, final = 1.0, div_factor, 1 / final_div_factor  # in units of the initial rate
        up = pct_start * total_steps - 1
        # (last step of the phase, rate at its end, momentum at its end)
        self.phases = [(up, high, base_momentum)]
        if three_phase:
            self.phases.append((2 * up, low, max_momentum))
        self.phases.append((total_steps - 1, final, max_momentum))
        self.start = (0.0, low, max_momentum)
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["initial_lr"] = peak / div_factor
        super().__init__(optimizer, last_epoch)

    def step(self) -> None:
        if self.last_epoch >= self.total_steps:
            raise ValueError(f"OneCycleLR: step {self.last_epoch + 1} is beyond total_steps={self.total_steps}")
        super().step()

    def factor(self, t: int) -> float:
        return self._at(t)[0]

    def apply(self) -> None:
        super().apply()
        if self.cycle_momentum:
            momentum = self._at(self.last_epoch)[1]
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum

    def _at(self, t: int) -> tuple[float, float]:
        """The factor of the rate, and the momentum, after t steps."""
        begin = self.start
        for end in self.phases:
            if t <= end[0]:
                break
            if end is not self.phases[-1]:
                begin = end
        done = min((t - begin[0]) / (end[0] - begin[0]), 1.0) if end[0] > begin[0] else 1.0
        if self.anneal == "cos":
            done = (1 - math.cos(math.pi * done)) / 2
        return begin[1] + (end[1] - begin[1]) * done, begin[2] + (end[2] - begin[2]) * done
