"""Losses as modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minivision.autograd import Tensor
from minivision.functions.dropout import probability
from minivision.functions.loss import REDUCTIONS, check_reduction
from minivision.functions.operands import check_flags, float_tensor, integer, not_negative, positive
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
        name = "CrossEntropyLoss"
        check_reduction(name, reduction, size_average, reduce)
        self.register_buffer("weight", kept_weight(name, "weight", weight, by_class=True))
        self.ignore_index, self.reduction = integer(name, "ignore_index", ignore_index), reduction
        self.label_smoothing = probability(name, "label_smoothing", label_smoothing)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


def kept_weight(op: str, name: str, weight: Any, by_class: bool = False) -> Tensor | None:
    """A weight that a loss keeps: None, or a floating tensor, with one number for each class when `by_class` says so."""
    if weight is None:
        return None
    w = float_tensor(op, name, weight)
    if by_class and w.ndim != 1:
        raise ValueError(f"{op}: {name} has shape {w.shape}, but must hold one number for each class, (C,)")
    return w


class _Pairwise(Module):
    function: Any

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean"):
        super().__init__()
        check_reduction(type(self).__name__, reduction, size_average, reduce)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return type(self).function(input, target, reduction=self.reduction)


class MSELoss(_Pairwise):
    """The mean squared difference."""

    function = F.mse_loss


class L1Loss(_Pairwise):
    """The mean absolute difference."""

    function = F.l1_loss


class NLLLoss(Module):
    """The negative log-likelihood of labels (N, ...) for log-probabilities (N, C, ...); see `functional.nll_loss`."""

    def __init__(
        self, weight: Tensor | None = None, size_average: None = None, ignore_index: int = -100, reduce: None = None,
        reduction: str = "mean",
    ):  # fmt: skip
        super().__init__()
        check_reduction("NLLLoss", reduction, size_average, reduce)
        self.register_buffer("weight", kept_weight("NLLLoss", "weight", weight, by_class=True))
        self.ignore_index, self.reduction = integer("NLLLoss", "ignore_index", ignore_index), reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(Module):
    """Binary cross-entropy of probabilities; see `functional.binary_cross_entropy`."""

    def __init__(self, weight: Tensor | None = None, size_average: None = None, reduce: None = None, reduction: str = "mean"):
        super().__init__()
        check_reduction("BCELoss", reduction, size_average, reduce)
        self.register_buffer("weight", kept_weight("BCELoss", "weight", weight))
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Module):
    """Binary cross-entropy of scores; see `functional.binary_cross_entropy_with_logits`."""

    def __init__(
        self, weight: Tensor | None = None, size_average: None = None, reduce: None = None, reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ):  # fmt: skip
        super().__init__()
        name = "BCEWithLogitsLoss"
        check_reduction(name, reduction, size_average, reduce)
        self.register_buffer("weight", kept_weight(name, "weight", weight))
        self.register_buffer("pos_weight", kept_weight(name, "pos_weight", pos_weight))
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class SmoothL1Loss(Module):
    """Squared below beta, absolute above; see `functional.smooth_l1_loss`."""

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean", beta: float = 1.0):
        super().__init__()
        check_reduction("SmoothL1Loss", reduction, size_average, reduce)
        self.reduction, self.beta = reduction, not_negative("SmoothL1Loss", "beta", beta)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Module):
    """Squared up to delta, absolute beyond; see `functional.huber_loss`."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0):
        super().__init__()
        check_reduction("HuberLoss", reduction)
        self.reduction, self.delta = reduction, positive("HuberLoss", "delta", delta)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, self.reduction, self.delta)


class KLDivLoss(Module):
    """The Kullback-Leibler divergence from log-probabilities; see `functional.kl_div`."""

    def __init__(self, size_average: None = None, reduce: None = None, reduction: str = "mean", log_target: bool = False):
        super().__init__()
        check_reduction("KLDivLoss", reduction, size_average, reduce, ("batchmean", *REDUCTIONS))
        check_flags("KLDivLoss", log_target=log_target)
        self.reduction, self.log_target = reduction, log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class GaussianNLLLoss(Module):
    """The negative log-likelihood of a normal distribution; see `functional.gaussian_nll_loss`."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean"):
        super().__init__()
        self.full, self.eps, self.reduction = full, eps, reduction

    def forward(self, input: Tensor, target: Tensor, var: Tensor) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(Module):
    """The negative log-likelihood of counts; see `functional.poisson_nll_loss`."""

    def __init__(
        self, log_input: bool = True, full: bool = False, size_average: None = None, eps: float = 1e-8, reduce: None = None,
        reduction: str = "mean",
    ):  # fmt: skip
        super().__init__()
        self.log_input, self.full, self.eps, self.reduction = log_input, full, eps, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(input, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction)


class MarginRankingLoss(Module):
    """One number shall be larger than another by a margin; see `functional.margin_ranking_loss`."""

    def __init__(self, margin: float = 0.0, size_average: None = None, reduce: None = None, reduction: str = "mean"):
        super().__init__()
        self.margin, self.reduction = margin, reduction

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, self.margin, reduction=self.reduction)


class HingeEmbeddingLoss(Module):
    """Distances of similar pairs small, of others beyond a margin; see `functional.hinge_embedding_loss`."""

    def __init__(self, margin: float = 1.0, size_average: None = None, reduce: None = None, reduction: str = "mean"):
        super().__init__()
        self.margin, self.reduction = margin, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(Module):
    """Similar vectors in one direction, others not; see `functional.cosine_embedding_loss`."""

    def __init__(self, margin: float = 0.0, size_average: None = None, reduce: None = None, reduction: str = "mean"):
        super().__init__()
        self.margin, self.reduction = margin, reduction

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, self.margin, reduction=self.reduction)


class SoftMarginLoss(_Pairwise):
    """The logistic loss of targets 1 and -1; see `functional.soft_margin_loss`."""

    function = F.soft_margin_loss


class MultiLabelMarginLoss(_Pairwise):
    """The hinge loss of samples with several labels; see `functional.multilabel_margin_loss`."""

    function = F.multilabel_margin_loss


class MultiLabelSoftMarginLoss(Module):
    """Binary cross-entropy of each class, averaged over the classes; see `functional.multilabel_soft_margin_loss`."""

    def __init__(self, weight: Tensor | None = None, size_average: None = None, reduce: None = None, reduction: str = "mean"):
        super().__init__()
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)


class MultiMarginLoss(Module):
    """The hinge loss of classification; see `functional.multi_margin_loss`."""

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, size_average: None = None, reduce: None = None,
        reduction: str = "mean",
    ):  # fmt: skip
        super().__init__()
        self.register_buffer("weight", weight)
        self.p, self.margin, self.reduction = p, margin, reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, reduction=self.reduction)


class TripletMarginLoss(Module):
    """An anchor nearer to its positive than to its negative, by a margin; see `functional.triplet_margin_loss`."""

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, size_average: None = None,
        reduce: None = None, reduction: str = "mean",
    ):  # fmt: skip
        super().__init__()
        self.margin, self.p, self.eps, self.swap, self.reduction = margin, p, eps, swap, reduction

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, reduction=self.reduction
        )


class TripletMarginWithDistanceLoss(Module):
    """`TripletMarginLoss` with a distance of your own; see `functional.triplet_margin_with_distance_loss`."""

    def __init__(
        self, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0, swap: bool = False,
        reduction: str = "mean",
    ):  # fmt: skip
        super().__init__()
        self.distance_function, self.margin, self.swap, self.reduction = distance_function, margin, swap, reduction

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor, positive, negative, distance_function=self.distance_function, margin=self.margin, swap=self.swap,
            reduction=self.reduction,
        )  # fmt: skip
