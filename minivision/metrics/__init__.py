"""How good a prediction is, accumulated over a data set."""

from minivision.metrics.confusion import ConfusionMatrix, mean_iou, pixel_accuracy

__all__ = ["ConfusionMatrix", "mean_iou", "pixel_accuracy"]
