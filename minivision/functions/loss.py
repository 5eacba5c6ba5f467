"""Cross-entropy. It takes scores (logits) with the classes in axis 1, for images (N, C) as for pixels (N, C, H, W)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.backend import Array, xp_of
from minivision.functions.class_blocks import (
    ClassBlocks,
    loaded,
    matrix,
    numbers_from_0,
    store,
    subtract_maximum,
    sum_of_classes,
    worth_blocks,
)
from minivision.functions.operands import as_tensor, check_choice, integer, need_float, need_same_device, number, shown
from minivision.memory import empty, scratch

REDUCTIONS = ("mean", "sum", "none")


class CrossEntropy(Function):
    """l = -sum_c t_c ln p_c per pixel, with p = softmax(x) over the classes;  dx_c = (p_c sum_k t_k - t_c) dl

    Here t_c = w_c q_c: the target distribution q (for a label y: 1 - e at y, plus e/C everywhere) times the class weights w and
    the weight of the pixel. Computed from x - max x, so that no score overflows.

    Softmax, logarithm and choice are one operation: an array as large as the scores is all that is kept, and the gradient comes
    from it in one step. For many pixels it is the gradient of -ln p_y itself, which is p_c, minus 1 at the label: then what is
    left for backward is to multiply it by the weight of the pixel.
    """

    def __init__(
        self, target: Array, class_weight: Array | None = None, pixel_weight: Array | None = None, smoothing: float = 0.0,
        reduction: str = "mean",
    ):  # fmt: skip
        # target: (N, *size) labels, with -1 where the pixel is ignored
        self.target, self.class_weight, self.pixel_weight = target, class_weight, pixel_weight
        self.smoothing, self.reduction = smoothing, reduction

    kept: Any  # the probabilities, or in blocks the gradients of -ln p_y; None where nobody will ask for a gradient
    blocks: ClassBlocks | None = None
    factor: Any = None  # (N, *size), what -ln p_y counts: w_y (1 - e) times the pixel's weight, 0 where ignored; None for 1
    everyone: Any = None  # (N, *size), what each class counts besides: e/C times the pixel's weight; None without smoothing

    def forward(self, x: Array) -> Array:
        xp = xp_of(x, self.target)
        self.weight = xp.ones((x.shape[1],), x.dtype) if self.class_weight is None else self.class_weight
        self.divisor = self.weigh_pixels(x)
        losses = self.losses_in_blocks(x) if worth_blocks(x) else self.losses(x)
        total = losses.sum()
        if not bool(xp.isfinite(total)):  # an infinite score on an ignored pixel must not turn 0 * inf into NaN
            losses = xp.where(self.valid, losses, xp.zeros_like(losses))
            total = losses.sum()
            self.forget_ignored()
        return losses if self.reduction == "none" else total / self.divisor

    def weigh_pixels(self, x: Array) -> Array:
        """What the sum of the losses is divided by, after what each pixel counts was found out."""
        xp = xp_of(x, self.target)
        weighted = self.class_weight is not None or self.pixel_weight is not None or self.smoothing
        if not weighted and self.target.size and int(self.target.min()) >= 0:
            return xp.asarray(self.target.size if self.reduction == "mean" else 1, x.dtype)
        pixel = self.valid.astype(x.dtype)
        if self.pixel_weight is not None:
            pixel *= self.pixel_weight
        own = pixel if self.class_weight is None else self.weight[self.label] * pixel
        self.factor = own * (1 - self.smoothing) if self.smoothing else own
        self.everyone = pixel * (self.smoothing / x.shape[1]) if self.smoothing else None
        return _divisor(own, self.reduction)

    @property
    def valid(self) -> Array:
        """Which pixels are not ignored."""
        return self.target >= 0

    @property
    def label(self) -> Array:
        """The labels, 0 where they are ignored."""
        return xp_of(self.target).maximum(self.target, 0)

    @property
    def own(self) -> Array:
        """(N, *size): `factor` written out."""
        return xp_of(self.target).ones(self.target.shape, self.weight.dtype) if self.factor is None else self.factor

    def losses(self, x: Array) -> Array:
        """own (ln sum e^x - x_y) + everyone sum_c w_c (ln sum e^x - x_c)"""
        xp = xp_of(x)
        centred = x - x.max(axis=1, keepdims=True)
        p = self.kept = xp.exp(centred)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        log_total = xp.log(total[:, 0])
        losses = log_total - xp.take_along_axis(centred, xp.expand_dims(self.label, 1), axis=1)[:, 0]
        if self.factor is not None:
            losses *= self.factor
        if self.smoothing:
            losses += self.everyone * (log_total * self.weight.sum() - (self.along_classes(x) * centred).sum(axis=1))
        return losses

    def backward(self, dy: Array) -> Array:
        if self.reduction != "none":
            dy = dy / self.divisor
        if self.blocks is not None:
            return self.gradient_in_blocks(dy)
        xp = xp_of(dy)
        label = xp.expand_dims(self.label, 1)
        own = xp.expand_dims(dy * self.own, 1)  # (N, 1, *size)
        dx = self.kept * own
        xp.put_along_axis(dx, label, xp.take_along_axis(dx, label, axis=1) - own, axis=1)
        if self.smoothing:
            everyone = xp.expand_dims(dy * self.everyone, 1)
            dx += self.kept * (everyone * self.weight.sum()) - everyone * self.along_classes(self.kept)
        return dx

    def along_classes(self, x: Array) -> Array:
        """The class weights, shaped to stand along x's class axis."""
        return self.weight.reshape(1, -1, *(1,) * (x.ndim - 2))

    # ---- the same, a block of pixels at a time: matrices (C, pixels) ----

    def losses_in_blocks(self, x: Array) -> Array:
        self.blocks = ClassBlocks(x)
        self.kept = self.blocks.new_matrices(x.dtype) if self.needs_input_grad[0] else None
        losses = empty(self.target.shape, x.dtype)

        def work(x: Array, target: Array, factor: Any, everyone: Any, losses: Array, kept: Array | None) -> None:
            e = subtract_maximum(x, matrix("class scores", x) if kept is None else kept)
            places = _places(target, self.factor is None)
            chosen = e.reshape(-1).take(places, mode="wrap")
            by_class = self.weight @ e if self.smoothing else None
            np.exp(e, out=e)
            total = sum_of_classes(e)
            log_total = np.log(total)
            np.subtract(log_total, chosen, out=losses)
            if factor is not None:
                losses *= factor
            if self.smoothing:
                losses += everyone * (log_total * self.weight.sum() - by_class)
            if kept is not None:
                np.multiply(e, np.reciprocal(total, out=total), out=e)
                _add_at(e, places, -1)

        self.blocks.run(work, (x,), (self.target, self.factor, self.everyone, losses), (self.kept,))
        return losses

    def gradient_in_blocks(self, dy: Array) -> Array:
        blocks = self.blocks
        assert blocks is not None
        dx = blocks.like_scores(self.kept.dtype)
        scale = None if self.reduction != "none" else np.ascontiguousarray(dy)

        def work(dx: Array, target: Array, factor: Any, everyone: Any, scale: Any, kept: Array) -> None:
            scale = dy if scale is None else scale
            own = scale if factor is None else factor * scale
            if self.smoothing:
                everyone = everyone * scale
                all_classes = everyone * self.weight.sum()
                d = np.multiply(kept, own + all_classes, out=matrix("class gradients", dx))  # own + all_classes = sum_k t_k dl
                _add_at(d, _places(target), all_classes)
                store(dx, np.subtract(d, everyone * self.weight[:, None], out=d))
            else:
                np.multiply(kept.reshape(dx.shape), own if own.ndim == 0 else own.reshape(dx.shape[1:]), out=dx)

        blocks.run(work, (dx,), (self.target, self.factor, self.everyone, scale), (self.kept,))
        return dx

    @property
    def p(self) -> Array:
        """The probabilities, (N, C, *size)."""
        if self.blocks is None:
            return self.kept
        p = self.blocks.like_scores(self.kept.dtype)

        def work(p: Array, target: Array, kept: Array) -> None:
            values = kept.copy()
            _add_at(values, _places(target), 1)
            store(p, values)

        self.blocks.run(work, (p,), (self.target,), (self.kept,))
        return p

    def forget_ignored(self) -> None:
        """Write zeros where the pixel is ignored, into what is kept for backward."""
        if self.kept is None:
            return
        if self.blocks is None:
            xp = xp_of(self.kept)
            self.kept = xp.where(xp.expand_dims(self.valid, 1), self.kept, xp.zeros_like(self.kept))
        else:

            def work(target: Array, kept: Array) -> None:
                kept[:, target < 0] = 0

            self.blocks.run(work, (), (self.target,), (self.kept,))


def _places(target: Array, all_valid: bool = False) -> Array:
    """Where each pixel's label stands in a matrix (C, pixels), counted along its rows; that of label 0 where it is ignored."""
    places = scratch("places of labels", target.shape, np.int64)
    np.multiply(target if all_valid else np.maximum(target, 0, out=places), target.size, out=places)
    return np.add(places, numbers_from_0(target.size), out=places)


def _add_at(values: Array, places: Array, amount: Any) -> None:
    """Add to a matrix at places, no two of which are the same."""
    flat = values.reshape(-1)
    chosen = flat.take(places, mode="wrap")
    chosen += amount
    flat[places] = chosen


class NegativeLogLikelihood(Function):
    """l = -w_y x_y per pixel, with x the logarithms of probabilities and y the label;  dx_y = -w_y dl, and 0 for other classes"""

    def __init__(self, target: Array, class_weight: Array | None = None, reduction: str = "mean"):
        # target: (N, *size) labels, with -1 where the pixel is ignored
        self.target, self.class_weight, self.reduction = target, class_weight, reduction

    def forward(self, x: Array) -> Array:
        xp = xp_of(x, self.target)
        self.shape = x.shape
        valid = self.target >= 0
        self.label = xp.expand_dims(xp.where(valid, self.target, 0), 1)  # (N, 1, *size)
        weight = xp.ones((x.shape[1],), x.dtype) if self.class_weight is None else self.class_weight
        self.own = weight[self.label[:, 0]] * valid  # w_y, 0 where ignored
        losses = -self.own * xp.take_along_axis(x, self.label, axis=1)[:, 0]
        # a probability of 0 on an ignored pixel must not turn 0 * inf into NaN
        losses = xp.where(valid, losses, xp.zeros_like(losses))
        if self.reduction == "none":
            return losses
        self.divisor = _divisor(self.own, self.reduction)
        return losses.sum() / self.divisor

    def backward(self, dy: Array) -> Array:
        xp = xp_of(dy)
        if self.reduction != "none":
            dy = dy / self.divisor
        dx = xp.zeros(self.shape, self.own.dtype)
        xp.put_along_axis(dx, self.label, xp.expand_dims(-dy * self.own, 1), axis=1)
        return dx


def _divisor(weights: Array, reduction: str) -> Array:
    """What the sum of the losses is divided by: for "mean" the summed weights, or 1 where they are 0; for "sum" 1."""
    xp = xp_of(weights)
    total = xp.asarray(weights.sum())
    return xp.where((total == 0) | (reduction == "sum"), xp.ones_like(total), total)


class SoftCrossEntropy(Function):
    """The same for targets that are distributions: l = -sum_c t_c ln p_c,  dx_c = (p_c sum_k t_k - t_c) dl"""

    def forward(self, x: Array, t: Array) -> Array:
        xp = xp_of(x, t)
        self.t = t
        if worth_blocks(x):
            return self.losses_in_blocks(x, t)
        centred = x - x.max(axis=1, keepdims=True)
        self.log_p = centred - xp.log(xp.exp(centred).sum(axis=1, keepdims=True))
        return -(t * self.log_p).sum(axis=1)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        xp = xp_of(dy)
        if worth_blocks(self.log_p) and not self.needs_input_grad[1]:
            return self.gradient_in_blocks(dy), None
        dy = xp.expand_dims(dy, 1)
        dx = dy * (xp.exp(self.log_p) * self.t.sum(axis=1, keepdims=True) - self.t) if self.needs_input_grad[0] else None
        return dx, -dy * self.log_p if self.needs_input_grad[1] else None

    def losses_in_blocks(self, x: Array, t: Array) -> Array:
        self.blocks = ClassBlocks(x)
        self.log_p = self.blocks.like_blocks(x.dtype)
        losses = empty((x.shape[0], *x.shape[2:]), x.dtype)

        def work(x: Array, t: Array, log_p: Array, losses: Array) -> None:
            centred = subtract_maximum(x, matrix("class scores", x))
            e = np.exp(centred, out=matrix("class gradients", x))
            centred -= np.log(sum_of_classes(e))
            store(log_p, centred)
            centred *= loaded("class gradients", t)
            np.negative(sum_of_classes(centred), out=losses)

        self.blocks.run(work, (x, t, self.log_p), (losses,))
        return losses

    def gradient_in_blocks(self, dy: Array) -> Array:
        dx = self.blocks.like_scores(self.log_p.dtype)

        def work(log_p: Array, t: Array, dx: Array, dy: Array) -> None:
            p = np.exp(log_p, out=matrix("class scores", log_p).reshape(log_p.shape)).reshape(len(log_p), -1)
            t = loaded("class gradients", t)
            p *= sum_of_classes(t)
            p -= t
            p *= dy
            store(dx, p)

        self.blocks.run(work, (self.log_p, self.t, dx), (np.ascontiguousarray(dy),))
        return dx


# ---- what users call ----


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """How surprised the softmax of the scores is by the true labels.

    Parameters
    ----------
    input: scores (N, C), (N, C, H, W) or (N, C, ...), or (C,) for a single sample; not probabilities.
    target: int64 labels (N,), (N, H, W), ... in 0 .. C-1; or probabilities of the input's shape.
    weight: (C,) weight of each class.
    ignore_index: a label whose pixels do not count (255 in segmentation data).
    reduction: "mean" divides by the summed weights of the pixels that count (their number, without weights); "sum"; "none".
        With probabilities, "mean" divides by their number.
    label_smoothing: e in [0, 1]: the target becomes 1 - e for the label plus e / C for every class.

    When every pixel is ignored, the mean is 0 with a gradient of 0, and a warning is given (PyTorch answers NaN).
    An untrained network that prefers no class has loss ln C.

    Raises ValueError for shapes that do not belong together and for labels out of range, naming the label and where it stands.
    """
    check_reduction("cross_entropy", reduction, size_average, reduce)
    return _cross_entropy("cross_entropy", input, target, weight, None, ignore_index, reduction, label_smoothing)


def weighted_cross_entropy(
    input: Any,
    target: Any,
    pixel_weight: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """`cross_entropy` with a weight for every pixel, as U-Net's border map (Ronneberger et al. 2015, equation 1).

    `pixel_weight` has the shape of `target`. "mean" divides by the summed weights of the pixels that count, so the scale of the
    map does not matter; "sum" is the paper's energy.
    """
    return _cross_entropy("weighted_cross_entropy", input, target, weight, pixel_weight, ignore_index, reduction, label_smoothing)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log-likelihood of the labels: `cross_entropy` for an input that went through `log_softmax` already.

    Shapes, weights, ignored labels, reductions and errors are those of `cross_entropy`; the target holds integer labels.
    """
    check_reduction("nll_loss", reduction, size_average, reduce)
    return negative_log_likelihood("nll_loss", input, target, weight, ignore_index, reduction)


def negative_log_likelihood(op: str, input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Tensor:
    """`nll_loss` under the name that error messages shall give."""
    x, t, w, ignore_index = _class_scores(op, input, target, weight, ignore_index, reduction)
    if t.is_floating_point():
        raise TypeError(f"{op}: target is {t.dtype} {t.shape}, but must hold integer labels; use cross_entropy for probabilities")
    if x.ndim == 1:
        _check_single(op, x, t)
        loss = negative_log_likelihood(op, x.unsqueeze(0), t.unsqueeze(0), w, ignore_index, reduction)
        return loss.squeeze(0) if reduction == "none" else loss
    labels = class_labels(op, x, t, ignore_index)
    _warn_if_all_ignored(op, labels, ignore_index, reduction)
    return NegativeLogLikelihood(labels, None if w is None else w.array, reduction)(x)


def _class_scores(
    op: str, input: Any, target: Any, weight: Any, ignore_index: Any, reduction: str
) -> tuple[Tensor, Tensor, Tensor | None, int]:
    """Input, target and class weights as tensors, and the label to ignore, checked as far as cross_entropy and nll_loss agree."""
    x, t = as_tensor(op, "input", input), as_tensor(op, "target", target)
    w = None if weight is None else as_tensor(op, "weight", weight)
    need_float(op, input=x, weight=w)
    need_same_device(op, input=x, target=t)
    check_reduction(op, reduction)
    if x.ndim == 0:
        raise ValueError(f"{op}: input is a single number; scores need a class axis: (N, C) or (N, C, H, W)")
    classes = x.shape[min(x.ndim - 1, 1)]
    if classes == 0:
        raise ValueError(f"{op}: input (N, C, ...) = {x.shape} has no class; its axis {min(x.ndim - 1, 1)} must have a length")
    if w is not None and w.shape != (classes,):
        raise ValueError(
            f"{op}: weight has shape {w.shape}, but input (N, C, ...) = {x.shape} has {classes} classes, so it must be "
            f"({classes},)"
        )
    return x, t, w, integer(op, "ignore_index", ignore_index)


def _check_single(op: str, x: Tensor, t: Tensor) -> None:
    """Raise ValueError unless the target fits to the scores (C,) of a single sample: one label, or its probabilities."""
    if t.ndim != int(t.is_floating_point()):
        raise ValueError(
            f"{op}: input {x.shape} holds the scores of a single sample, so target must be one label, of shape (), but has "
            f"{t.shape}; give a batch of {t.numel()} an input of shape ({t.numel()}, C)"
        )


def _warn_if_all_ignored(op: str, labels: Array, ignore_index: int, reduction: str) -> None:
    if reduction == "mean" and labels.size and int(labels.reshape(-1)[0]) < 0 and not bool((labels >= 0).any()):
        warnings.warn(f"{op}: every label is ignore_index={ignore_index}; the loss is 0 with a gradient of 0", stacklevel=4)


def _cross_entropy(
    op: str, input: Any, target: Any, weight: Any, pixel_weight: Any, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:
    x, t, w, ignore_index = _class_scores(op, input, target, weight, ignore_index, reduction)
    need_same_device(op, input=x, pixel_weight=pixel_weight)
    smoothing = number(op, "label_smoothing", smoothing)
    if not 0 <= smoothing <= 1:
        raise ValueError(f"{op}: label_smoothing={smoothing} is the share that the other classes get and must lie in [0, 1]")
    if x.ndim == 1:
        _check_single(op, x, t)
        loss = _cross_entropy(op, x.unsqueeze(0), t.unsqueeze(0), w, pixel_weight, ignore_index, reduction, smoothing)
        return loss.squeeze(0) if reduction == "none" else loss
    if t.is_floating_point():
        if pixel_weight is not None:
            raise TypeError(f"{op}: target is {t.dtype} {t.shape}, but must hold integer labels; convert it with .long()")
        return _with_probabilities(op, x, t, w, reduction, smoothing)

    labels = class_labels(op, x, t, ignore_index)
    pixel = None
    if pixel_weight is not None:
        given = as_tensor(op, "pixel_weight", pixel_weight)
        need_same_device(op, input=x, pixel_weight=given)
        if given.shape != t.shape:
            raise ValueError(f"{op}: pixel_weight has shape {given.shape}, but target has {t.shape}; each pixel needs a weight")
        pixel = given.array.astype(x.dtype, copy=False)
    _warn_if_all_ignored(op, labels, ignore_index, reduction)
    return CrossEntropy(labels, None if w is None else w.array, pixel, smoothing, reduction)(x)


def class_labels(op: str, x: Tensor, t: Tensor, ignore_index: int) -> Array:
    """The labels as int64, with -1 where they are ignored."""
    expected = (x.shape[0], *x.shape[2:])
    if t.dtype == np.bool_:
        raise TypeError(f"{op}: target is bool {t.shape}, but must hold integer labels; convert it with .long()")
    if t.shape != expected:
        hint = ""
        if t.ndim == x.ndim and t.shape[1] == 1:
            hint = "; remove the channel axis with target.squeeze(1)"
        elif x.ndim > 2 and t.shape == x.shape[:-1]:
            order = (0, x.ndim - 1, *range(1, x.ndim - 1))
            hint = f"; if the classes are last, bring them forward with input.permute{order}"
        elif t.shape == x.shape:
            hint = "; turn one-hot targets into labels with target.argmax(1), or make them floating probabilities"
        raise ValueError(
            f"{op}: input (N, C, ...) = {x.shape} needs a target of shape {expected}, but target has {t.shape}{hint}"
        )
    xp = xp_of(x.array, t.array)
    labels, classes = t.array.astype(np.int64), x.shape[1]  # a copy
    without_sign = labels.view(np.uint64)  # negative numbers are very large ones
    if not 0 <= ignore_index < classes and labels.size and int(without_sign.max()) < classes:
        return labels
    ignored = labels == ignore_index
    wrong = (without_sign >= classes) & ~ignored
    if bool(wrong.any()):
        first = int(xp.argmax(wrong.reshape(-1)))
        label = int(labels.reshape(-1)[first])
        place = tuple(int(i) for i in np.unravel_index(first, labels.shape))
        hint = {
            255: " (255 usually marks void pixels: pass ignore_index=255)",
            classes: " (labels count from 0)",
            -1: " (if -1 marks pixels to leave out, pass ignore_index=-1)",
        }.get(label, "")
        raise ValueError(
            f"{op}: label {label} at target[{', '.join(map(str, place))}] is not one of the {classes} classes 0 .. "
            f"{classes - 1}, nor ignore_index={ignore_index}{hint}"
        )
    labels[ignored] = -1
    return labels


def _with_probabilities(op: str, x: Tensor, t: Tensor, w: Tensor | None, reduction: str, smoothing: float) -> Tensor:
    if t.shape != x.shape:
        hint = "; labels must be integers: target.long()" if t.shape == (x.shape[0], *x.shape[2:]) else ""
        raise ValueError(
            f"{op}: target is {t.dtype} {t.shape}; floating targets are probabilities and must have the input's shape "
            f"{x.shape}{hint}"
        )
    need_float(op, input=x, target=t)
    if smoothing:
        t = t * (1 - smoothing) + smoothing / x.shape[1]
    if w is not None:
        t = t * w.reshape(1, -1, *(1,) * (x.ndim - 2))
    losses = SoftCrossEntropy()(x, t)
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.sum() / max(losses.numel(), 1)


def check_reduction(
    op: str, reduction: str, size_average: None = None, reduce: None = None, legal: Sequence[str] = REDUCTIONS
) -> None:
    """Raise ValueError unless the reduction is a known one, and the two older arguments, which came before it, are left out."""
    check_choice(op, "reduction", reduction, legal)
    for name, value in (("size_average", size_average), ("reduce", reduce)):
        if value is not None:
            raise ValueError(
                f"{op}: {name}={shown(value)} is a setting of old programs that reduction has replaced; name the argument, as in "
                "reduction='sum'"
            )


def reduced(op: str, losses: Tensor, reduction: str) -> Tensor:
    """The losses themselves, their mean or their sum."""
    check_reduction(op, reduction)
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()
