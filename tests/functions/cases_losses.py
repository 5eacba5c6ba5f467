"""Gradient checks for the losses, the embedding and the bilinear form."""

from __future__ import annotations

import numpy as np

from minivision.functions import bilinear_form, embedding, loss, probability_loss, regression_loss, segmentation_loss
from tests.functions.cases import case

LABELS = np.array([[[0, -1], [2, 1]], [[1, 1], [-1, 0]]])
ROWS = np.array([[2, 0, 3], [2, 2, 1]])
PROBABILITY = {"low": 0.1, "high": 0.9}

CASES = [
    *[
        case(reduction, loss.NegativeLogLikelihood, (2, 3, 2, 2), args=(LABELS, np.array([0.5, 1.0, 2.0]), reduction))
        for reduction in ("mean", "sum", "none")
    ],
    case("no weights", loss.NegativeLogLikelihood, (2, 3, 2, 2), args=(LABELS,)),
    case("", regression_loss.SmoothL1, (3, 5), args=(0.44,)),
    case("", probability_loss.BinaryCrossEntropy, (3, 4), (3, 4), **PROBABILITY),
    case("", probability_loss.BinaryCrossEntropyWithLogits, (3, 4), (3, 4), low=-3.0, high=3.0),
    case(
        "pos_weight", probability_loss.BinaryCrossEntropyWithLogits, (3, 4), (3, 4), low=-3.0, high=3.0,
        args=(np.array([0.5, 1.0, 2.0, 3.0]),),
    ),
    case("", probability_loss.KLDivergence, (3, 4), (4,), **PROBABILITY),
    case("", probability_loss.KLDivergenceOfLogs, (3, 1), (3, 4)),
    case("", segmentation_loss.Focal, (3, 4), args=(2.0,), low=-3.0, high=-0.01),
    case("fraction", segmentation_loss.Focal, (3, 4), args=(0.5,), low=-3.0, high=-0.01),
    case("", embedding.Embedding, (4, 3), args=(ROWS,)),
    case("", bilinear_form.Bilinear, (5, 3), (5, 2), (4, 3, 2), (4,)),
    case("no bias", bilinear_form.Bilinear, (5, 3), (5, 2), (4, 3, 2)),
]  # fmt: skip
