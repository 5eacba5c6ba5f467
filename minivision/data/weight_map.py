"""The per-pixel loss weights of the U-Net paper."""

from collections.abc import Mapping, Sequence

import numpy as np

from minivision.data.optional import require


def unet_weight_map(
    instances: np.ndarray,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: Sequence[float] | Mapping[int, float] | None = None,
    labels: np.ndarray | None = None,
) -> np.ndarray:
    """Weigh the narrow gaps between cells: w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2)).

    d1 and d2 are the distances in pixels, between pixel centres, to the nearest and to the second nearest cell. The
    exponential is added on background pixels only, and needs two cells; with fewer the map is w_c.

    Parameters
    ----------
    instances : (H, W) integers, 0 = background, every cell its own number. Cells must be told apart: a binary mask has one
        "cell" only. Cells that touch without a gap leave no pixel to weigh.
    w0, sigma : height and width (in pixels) of the exponential.
    class_weights : w_c for each class, by number; 1 for all by default. Without `labels` the classes are 0, background, and
        1, any cell.
    labels : (H, W) class map, when there are more than the two classes.

    Returns
    -------
    (H, W) float32. As the mean weight is not 1, the loss should be divided by the sum of the weights.

    Raises `ValueError` for a map that is not (H, W) integers, sigma <= 0, or a class without a weight.

    Source: Ronneberger, Fischer, Brox: U-Net, 2015, equation 2.
    """
    instances = np.asarray(instances)
    if instances.ndim != 2 or instances.dtype.kind not in "iu":
        raise ValueError(
            f"unet_weight_map: instances must be an integer map (H, W), but it is {instances.dtype} of shape {instances.shape}"
        )
    if sigma <= 0:
        raise ValueError(f"unet_weight_map: sigma is {sigma}, but must be positive")
    weights = _class_weight_map((instances > 0).astype(np.int64) if labels is None else labels, class_weights)
    if weights.shape != instances.shape:
        raise ValueError(f"unet_weight_map: labels {weights.shape} and instances {instances.shape} differ in shape")

    ndimage = require("scipy.ndimage", "unet_weight_map")
    nearest = second = np.full(instances.shape, np.inf)
    for cell in np.unique(instances[instances != 0]):
        distance = ndimage.distance_transform_edt(instances != cell)
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    gap = np.exp(-((nearest + second) ** 2) / (2 * sigma**2))  # exp(-inf) = 0 with fewer than two cells
    return (weights + w0 * gap * (instances == 0)).astype(np.float32)


def _class_weight_map(labels: np.ndarray, class_weights: Sequence[float] | Mapping[int, float] | None) -> np.ndarray:
    """Return w_c (H, W) float64."""
    if class_weights is None:
        return np.ones(labels.shape)
    table = dict(class_weights) if isinstance(class_weights, Mapping) else dict(enumerate(class_weights))
    weights = np.zeros(labels.shape)
    for label in np.unique(labels):
        if label not in table:
            raise ValueError(f"unet_weight_map: class {label} has no weight; class_weights knows {sorted(table)}")
        weights[labels == label] = table[label]
    return weights
