"""Gradient checks for losses with a margin and likelihoods, attention, the root mean square, the logit."""

from __future__ import annotations

import numpy as np

from minivision.functions import attention, likelihood_loss, margin_loss, normalization, smooth_activation
from tests.functions.cases import case

SIGNS = np.array([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0]])
LABELS = np.array([2, 0, 1, 1])
WEIGHT = np.array([0.5, 1.0, 2.0])
TIMES = np.array([[1, 0, 0, 1, 0], [0, 2, 0, 0, 0], [0, 0, 0, 0, 0]])
KEEP = np.array([[True, False, True, True], [True, True, False, True], [False, True, True, True]])
MASK = [[0.3, -0.5, 0.1, 0.7]]

CASES = [
    case("broadcast", margin_loss.MarginRanking, (3, 1), (4,), (2, 3, 4), args=(0.231,)),
    case("", margin_loss.HingeEmbedding, (2, 3), args=(SIGNS, 0.431)),
    case("", margin_loss.SoftMargin, (2, 3), args=(SIGNS,), low=-3.0, high=3.0),
    case("", margin_loss.MultiMargin, (4, 3), args=(LABELS, 1, 0.77)),
    case("squares, weights", margin_loss.MultiMargin, (4, 3), args=(LABELS, 2, 0.77, WEIGHT)),
    case("", margin_loss.MultiLabelMargin, (3, 5), args=(TIMES,)),
    case("broadcast", likelihood_loss.GaussianLikelihood, (3, 4), (4,), (3, 1), low=0.5, high=2.0),
    case("", likelihood_loss.PoissonLikelihoodOfLog, (3, 4), (4,)),
    case("", likelihood_loss.PoissonLikelihood, (3, 4), (3, 1), low=0.5, high=2.0),
    case("", likelihood_loss.Stirling, (3, 5), low=0.2, high=4.0),
    case("", attention.Attention, (2, 3, 5), (2, 4, 5), (2, 4, 2), args=(0.6,)),
    case("broadcast heads", attention.Attention, (3, 5), (2, 1, 4, 5), (3, 4, 2), args=(0.6,)),
    case("mask", attention.Attention, (2, 3, 5), (2, 4, 5), (2, 4, 2), (1, 4), args=(0.6,)),
    case("dropout", attention.Attention, (2, 3, 5), (2, 4, 5), (2, 4, 2), args=(0.6, 0.25, KEEP)),
    case("", normalization.RMSNorm, (4, 2, 3), (2, 3), args=(2, 1e-3)),
    case("no weight", normalization.RMSNorm, (4, 5), args=(1, 1e-3)),
    case("", smooth_activation.Logit, (3, 5), low=0.1, high=0.9),
    case("eps", smooth_activation.Logit, (3, 5), args=(0.213,), low=0.1, high=0.9),
]
