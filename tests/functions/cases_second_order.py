"""Gradient checks of the operations that the rules of second derivatives bring along: a linear map, the faces of convolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from minivision.functions import second_order
from minivision.functions.convolution.geometry import Window
from tests.functions.cases import GradientCase, Put

MATRIX = np.arange(12.0).reshape(3, 4) - 5
SIZE, KERNEL, OUT = (5, 4), (3, 2), (3, 3)
WINDOW = Window((2, 1), ((1, 1), (0, 1)), (1, 2), 2)  # stride, padding, dilation, groups
IMAGE, WEIGHT, RESULT = (2, 4, *SIZE), (6, 2, *KERNEL), (2, 6, *OUT)


def times_matrix(put: Put) -> second_order.LinearMap:
    matrix = put(MATRIX)
    return second_order.LinearMap(
        lambda x: matrix.astype(x.dtype) @ x, lambda y: matrix.T.astype(y.dtype) @ y
    )  # (3, 4) @ (4, n) -> (3, n)


def face(kind: Any, *shapes: tuple[int, ...]) -> GradientCase:
    return GradientCase("", lambda put: kind(SIZE, KERNEL, WINDOW), shapes)


CASES = [
    GradientCase("", times_matrix, ((4, 2),)),
    face(second_order.Correlation, IMAGE, WEIGHT),
    face(second_order.TransposedCorrelation, RESULT, WEIGHT),
    face(second_order.KernelCorrelation, IMAGE, RESULT),
]
