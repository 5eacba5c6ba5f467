"""The confusion matrix, and the measures of semantic segmentation that follow from it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minivision.autograd import Tensor


class ConfusionMatrix:
    """Count how often class i is predicted as class j, over any number of images.

    With n_ij the pixels of class i (target) predicted as j, t_i = sum_j n_ij and p_j = sum_i n_ij:

        pixel_accuracy            sum_i n_ii / sum_i t_i
        class_accuracy            n_ii / t_i                           mean_accuracy  is its mean
        iou                       n_ii / (t_i + p_i - n_ii)            mean_iou       is its mean
        dice                      2 n_ii / (t_i + p_i)                 mean_dice      is its mean
        frequency_weighted_iou    sum_i t_i iou_i / sum_i t_i

    0 / 0 is nan: the IoU and Dice of a class that neither target nor prediction has, the accuracy of one that the target does
    not have. Means leave nan classes out; a class that is predicted but never there counts with IoU 0. Everything is nan as
    long as no pixel has been counted.

    Parameters
    ----------
    num_classes : labels are 0..num_classes-1.
    ignore_index : target pixels of this label are left out; None leaves out none.
    names : class names, for printing.

    `matrix[i, j]` is n_ij, int64. Matrices of parts of a data set add up: `a + b`.

    Source: Long, Shelhamer, Darrell: Fully convolutional networks, 2015, section 5.
    """

    def __init__(self, num_classes: int, ignore_index: int | None = 255, names: Sequence[str] | None = None) -> None:
        if num_classes < 1:
            raise ValueError(f"ConfusionMatrix: num_classes is {num_classes}, but must be at least 1")
        if names is not None and len(names) != num_classes:
            raise ValueError(f"ConfusionMatrix: {len(names)} names for {num_classes} classes")
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.names = tuple(names) if names is not None else tuple(f"class {index}" for index in range(num_classes))
        self.matrix = np.zeros((num_classes, num_classes), np.int64)

    def update(self, prediction: Any, target: Any) -> None:
        """Count the pixels of one image or batch: two integer arrays (or Tensors) of the same shape.

        The prediction at ignored pixels may be anything. Raises `ValueError`, before anything is counted, for different
        shapes, scores instead of labels, or a label out of range.
        """
        prediction, target = _host(prediction), _host(target)
        for name, array in (("prediction", prediction), ("target", target)):
            if array.dtype.kind not in "iub":
                raise ValueError(
                    f"ConfusionMatrix: {name} must be integer labels, but it is {array.dtype} of shape {array.shape}; from"
                    " scores (N, C, H, W) take scores.argmax(1)"
                )
        if prediction.shape != target.shape:
            raise ValueError(f"ConfusionMatrix: prediction {prediction.shape} and target {target.shape} differ in shape")
        if self.ignore_index is not None:
            counted = target != self.ignore_index
            prediction, target = prediction[counted], target[counted]
        self._check_range("prediction", prediction)
        self._check_range("target", target)
        pairs = target.astype(np.int64).ravel() * self.num_classes + prediction.astype(np.int64).ravel()
        self.matrix += np.bincount(pairs, minlength=self.num_classes**2).reshape(self.matrix.shape)

    def reset(self) -> None:
        """Forget everything counted."""
        self.matrix = np.zeros_like(self.matrix)

    @property
    def pixel_accuracy(self) -> float:
        return float(_divide(self._hits.sum(), self.matrix.sum()))

    @property
    def class_accuracy(self) -> np.ndarray:
        return _divide(self._hits, self._targets)

    @property
    def iou(self) -> np.ndarray:
        return _divide(self._hits, self._targets + self._predictions - self._hits)

    @property
    def dice(self) -> np.ndarray:
        return _divide(2 * self._hits, self._targets + self._predictions)

    @property
    def mean_accuracy(self) -> float:
        return _mean(self.class_accuracy)

    @property
    def mean_iou(self) -> float:
        return _mean(self.iou)

    @property
    def mean_dice(self) -> float:
        return _mean(self.dice)

    @property
    def frequency_weighted_iou(self) -> float:
        there = self._targets > 0
        return float(_divide((self._targets[there] * self.iou[there]).sum(), self.matrix.sum()))

    def compute(self) -> dict[str, Any]:
        """Return all measures by name: floats, and arrays (num_classes,) for those that each class has."""
        names = (
            "pixel_accuracy", "mean_accuracy", "mean_iou", "mean_dice", "frequency_weighted_iou",
            "class_accuracy", "iou", "dice",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}

    def __add__(self, other: "ConfusionMatrix") -> "ConfusionMatrix":
        if not isinstance(other, ConfusionMatrix):
            return NotImplemented
        if (self.num_classes, self.ignore_index) != (other.num_classes, other.ignore_index):
            raise ValueError(
                f"ConfusionMatrix: cannot add {self.num_classes} classes ignoring {self.ignore_index} and"
                f" {other.num_classes} classes ignoring {other.ignore_index}"
            )
        total = ConfusionMatrix(self.num_classes, self.ignore_index, self.names)
        total.matrix = self.matrix + other.matrix
        return total

    def __str__(self) -> str:
        """Return a table with a line for each class and one for the means."""
        width = max(len(name) for name in (*self.names, "mean"))
        lines = [f"{'class':{width}}  {'IoU':>6}  {'Dice':>6}  {'accuracy':>8}  {'pixels':>10}"]
        rows = zip(self.names, self.iou, self.dice, self.class_accuracy, self._targets, strict=True)
        means = ("mean", self.mean_iou, self.mean_dice, self.mean_accuracy, self._targets.sum())
        for name, iou, dice, accuracy, pixels in (*rows, means):
            lines.append(f"{name:{width}}  {iou:6.3f}  {dice:6.3f}  {accuracy:8.3f}  {pixels:10d}")
        lines.append(f"pixel accuracy {self.pixel_accuracy:.3f}, frequency-weighted IoU {self.frequency_weighted_iou:.3f}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"ConfusionMatrix({self.num_classes} classes, {self.matrix.sum()} pixels, mean IoU {self.mean_iou:.3f})"

    @property
    def _hits(self) -> np.ndarray:
        return self.matrix.diagonal()

    @property
    def _targets(self) -> np.ndarray:
        return self.matrix.sum(axis=1)

    @property
    def _predictions(self) -> np.ndarray:
        return self.matrix.sum(axis=0)

    def _check_range(self, name: str, labels: np.ndarray) -> None:
        low, high = labels.min(initial=0), labels.max(initial=0)
        if low < 0 or high >= self.num_classes:
            wrong = low if low < 0 else high
            ignored = "no label is ignored" if self.ignore_index is None else f"ignore_index is {self.ignore_index}"
            raise ValueError(
                f"ConfusionMatrix: {name} has label {wrong}, but the classes are 0..{self.num_classes - 1}; {ignored}"
            )


def mean_iou(prediction: Any, target: Any, num_classes: int, ignore_index: int | None = 255) -> float:
    """Return the mean IoU of one pair of label arrays; for a data set accumulate a `ConfusionMatrix` instead."""
    return _counted(prediction, target, num_classes, ignore_index).mean_iou


def pixel_accuracy(prediction: Any, target: Any, num_classes: int, ignore_index: int | None = 255) -> float:
    """Return the share of pixels predicted right in one pair of label arrays, ignored ones left out."""
    return _counted(prediction, target, num_classes, ignore_index).pixel_accuracy


def _counted(prediction: Any, target: Any, num_classes: int, ignore_index: int | None) -> ConfusionMatrix:
    confusion = ConfusionMatrix(num_classes, ignore_index)
    confusion.update(prediction, target)
    return confusion


def _host(labels: Any) -> np.ndarray:
    """Return labels as a NumPy array, from whatever device."""
    return labels.numpy() if isinstance(labels, Tensor) else np.asarray(labels)


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, nan where whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def _mean(values: np.ndarray) -> float:
    """Return the mean of the values that are not nan; nan if none is left."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
