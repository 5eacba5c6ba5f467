"""Gradient checks for the activations and for normalisation."""

from __future__ import annotations

from minivision.functions import local_response, normalization, piecewise_activation, smooth_activation
from tests.functions.cases import case

WIDE = {"low": -4.0, "high": 4.1}

CASES = [
    case("", smooth_activation.ELU, (3, 5), args=(0.7,), **WIDE),
    case("scaled", smooth_activation.ELU, (3, 5), args=(0.7, 1.3, 1 / 0.7), **WIDE),
    case("", smooth_activation.GELU, (3, 5), **WIDE),
    case("", smooth_activation.TanhGELU, (3, 5), **WIDE),
    case("", smooth_activation.SiLU, (3, 5), **WIDE),
    case("", smooth_activation.Mish, (3, 5), **WIDE),
    case("", smooth_activation.Softplus, (3, 5), **WIDE),
    case("threshold", smooth_activation.Softplus, (3, 5), args=(2.0, 1.05), **WIDE),
    case("", smooth_activation.LogSigmoid, (3, 5), **WIDE),
    case("", smooth_activation.Softsign, (3, 5), **WIDE),
    case("", smooth_activation.Tanhshrink, (3, 5), **WIDE),
    case("", piecewise_activation.Hardtanh, (3, 5), args=(-0.51, 2.3), **WIDE),
    case("", piecewise_activation.Hardsigmoid, (3, 5), **WIDE),
    case("", piecewise_activation.Hardswish, (3, 5), **WIDE),
    case("", piecewise_activation.Hardshrink, (3, 5), args=(0.7,), **WIDE),
    case("", piecewise_activation.Softshrink, (3, 5), args=(0.7,), **WIDE),
    case("", piecewise_activation.Threshold, (3, 5), args=(0.3, 20.0), **WIDE),
    case("one slope", piecewise_activation.PReLU, (3, 5), (1,)),
    case("channels", piecewise_activation.PReLU, (2, 3, 4), (3, 1)),
    case("", normalization.LayerNorm, (2, 3, 4), (4,), (4,), args=(1, 1e-3)),
    case("two axes", normalization.LayerNorm, (2, 3, 4), (3, 4), (3, 4), args=(2, 1e-3)),
    case("no parameters", normalization.LayerNorm, (5, 3), args=(1, 1e-3)),
    case("odd", local_response.LocalResponseNorm, (2, 5, 3), args=(3, 0.9, 0.75, 1.5)),
    case("even", local_response.LocalResponseNorm, (2, 5, 2, 2), args=(4, 0.9, 0.6, 1.0)),
    case("more than there are", local_response.LocalResponseNorm, (1, 2, 3), args=(7, 0.9, 0.75, 1.0)),
]
