"""Losses as modules."""

from __future__ import annotations

from typing import Any

from minivision.autograd import Tensor
from minivision.nn import functional as F
from minivision.nn.module import Module


class CrossEntropyLoss(Module):
    """Cross-entropy of scores (N, C, ...) and labels (N, ...); see `functional.cross_entropy`."""

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class _Pairwise(Module):
    function: Any

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return type(self).function(input, target, reduction=self.reduction)


class MSELoss(_Pairwise):
    """The mean squared difference."""

    function = F.mse_loss


class L1Loss(_Pairwise):
    """The mean absolute difference."""

    function = F.l1_loss
