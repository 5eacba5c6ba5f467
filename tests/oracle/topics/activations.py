"""Activations, layer and instance and local response normalisation, dropout where it is certain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.oracle.cases import Case, Constant, Fixed, Given, Normal, Row, table

WIDE = (-5.0, 5.0)
KINKS = Fixed([-4.0, -3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 4.0, 6.0, 7.0])
FAR = Fixed([-800.0, -30.0, 30.0, 800.0])
SHAPES: list[tuple[int, ...]] = [(3, 4), (2, 1, 3), (), (0, 3)]

PLAIN = (
    "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign", "hardtanh", "relu6", "hardswish",
    "hardshrink", "softshrink", "tanhshrink", "logsigmoid",
)  # fmt: skip


def plain() -> Iterator[Row]:
    for op in PLAIN:
        for shape in SHAPES:
            yield op, [Normal(shape, *WIDE)], {}
        yield op, [KINKS], {}
        yield op, [FAR], {}
        yield op, [Given(np.array([np.nan, 1.0]))], {}


def hardsigmoid() -> Iterator[Row]:
    """Values alone: PyTorch's gradient has 1/6 in single precision."""
    for shape in SHAPES:
        yield "hardsigmoid", [Constant(shape, *WIDE)], {}
    yield "hardsigmoid", [Given(np.array(KINKS.values))], {"inplace": False}
    yield "hardsigmoid", [Given(np.array([-800.0, np.nan, 800.0]))], {}


def settings() -> Iterator[Row]:
    for alpha in (0.5, 2.0, -1.5, 1):
        for op in ("elu", "celu"):
            yield op, [Normal((3, 4), *WIDE)], {"alpha": alpha}
            yield op, [KINKS], {"alpha": alpha}
    yield "elu", [Normal((3, 4), *WIDE)], {"alpha": 0.0}
    yield "elu", [Normal((3, 4), *WIDE)], {"inplace": False}
    for op in ("selu", "silu", "mish", "relu6", "hardswish"):
        yield op, [Normal((3, 4), *WIDE)], {"inplace": False}
    for inputs in (Normal((3, 4), *WIDE), FAR, KINKS):
        yield "gelu", [inputs], {"approximate": "tanh"}
        yield "gelu", [inputs], {"approximate": "none"}
    for beta, threshold in ((2, 20), (0.5, 1), (3, 0.2), (-1.5, 20), (1, -10)):
        yield "softplus", [Normal((3, 4), *WIDE)], {"beta": beta, "threshold": threshold}
        yield "softplus", [KINKS], {"beta": beta, "threshold": threshold}
    for low, high in ((-0.5, 0.5), (0, 3), (-3, -1.0), (1.0, 1.0)):
        yield "hardtanh", [KINKS], {"min_val": low, "max_val": high}
    for lambd in (0, 0.5, 3, 1.0):
        yield "hardshrink", [KINKS], {"lambd": lambd}
        yield "softshrink", [KINKS], {"lambd": lambd}
    yield "hardshrink", [KINKS], {"lambd": -1.0}
    for at, value in ((0, 7), (0.5, -2.5), (-3.0, 0.0), (10, 1)):
        yield "threshold", [KINKS, Given(at), Given(value)], {}
        yield "threshold", [Normal((2, 3), *WIDE)], {"threshold": at, "value": value}
    yield "threshold", [Normal((), *WIDE), Given(0.1), Given(5.0)], {}


def slopes() -> Iterator[Row]:
    for shape, count in [((3, 4), 4), ((3, 4), 1), ((2, 3, 4), 3), ((2, 3, 4, 2), 3), ((2, 3, 4), 1), ((5,), 1), ((), 1),
                         ((0, 3, 2), 3), ((1, 2, 1, 2, 1), 2)]:  # fmt: skip
        yield "prelu", [shape, (count,)], {}
    yield "prelu", [(2, 3), ()], {}
    yield "prelu", [(), ()], {}
    yield "prelu", [Fixed([[-2.0, 0.0, 3.0]]), Fixed([0.25, -0.5, 2.0])], {}


def halves() -> Iterator[Row]:
    for shape, dim in [
        ((4,), 0),
        ((4,), -1),
        ((2, 6), 1),
        ((4, 3), 0),
        ((2, 4, 3), 1),
        ((2, 4, 3), -2),
        ((0, 4), 1),
        ((3, 0), 1),
    ]:
        yield "glu", [shape], {"dim": dim}
    yield "glu", [(3, 4)], {}
    for shape, dim in [((3, 4), 0), ((3, 4), -1), ((2, 3, 4), 1), ((), 0), ((), -1), ((0, 3), 1)]:
        yield "softmin", [shape], {"dim": dim}


def layers() -> Iterator[Row]:
    for shape, normalized in [((4, 3), [3]), ((2, 3, 4), (4,)), ((2, 3, 4), (3, 4)), ((2, 3, 4), (2, 3, 4)), ((5,), (5,)),
                              ((0, 3), (3,)), ((2, 1), (1,)), ((1, 2, 3), [2, 3])]:  # fmt: skip
        size = tuple(normalized)
        yield "layer_norm", [shape, Given(list(normalized))], {}
        yield "layer_norm", [shape, Given(list(normalized)), size, size], {}
        yield "layer_norm", [shape, Given(list(normalized)), size, size], {"eps": 0.3}
        yield "layer_norm", [shape, Given(list(normalized)), size], {}
        yield "layer_norm", [shape, Given(list(normalized)), Given(None), size], {}


def instances() -> Iterator[Row]:
    for shape in ((2, 3, 4), (2, 3, 4, 2), (1, 3, 2, 2, 2)):
        yield "instance_norm", [shape], {}
        yield "instance_norm", [shape], {"eps": 0.2}
        yield weighted_instance_norm, [shape, (3,), (3,)], {}
        for own, momentum in itertools.product((True, False), (0.1, 0.6)):
            arguments = {"use_input_stats": own, "momentum": momentum}
            yield running_instance_norm, [shape, Constant((3,)), Constant((3,)), (3,), (3,)], arguments
    yield "instance_norm", [(2, 3, 4), Constant((3,)), Constant((3,))], {"use_input_stats": False}


def weighted_instance_norm(library: Any, x: Any, w: Any, b: Any) -> Any:
    return library.instance_norm(x, weight=w, bias=b)


def running_instance_norm(library: Any, x: Any, mean: Any, var: Any, w: Any, b: Any, **arguments: Any) -> Any:
    y = library.instance_norm(x, mean, var, w, b, **arguments)
    return y, mean, var


def responses() -> Iterator[Row]:
    for shape in ((2, 5, 3), (2, 4, 3, 2), (1, 3, 2, 2, 2), (0, 3, 2)):
        for size in (1, 2, 3, 4, 9):
            yield "local_response_norm", [shape, Given(size)], {}
            yield "local_response_norm", [shape, Given(size)], {"alpha": 0.8, "beta": 0.6, "k": 2.0}
    yield "local_response_norm", [(2, 5, 3)], {"size": 3, "alpha": 1, "beta": 1, "k": 1}


def certain_dropout() -> Iterator[Row]:
    shapes = {"dropout1d": [(2, 3, 4), (3, 4)], "dropout3d": [(2, 3, 2, 2, 2), (3, 2, 2, 2)], "alpha_dropout": [(3, 4)]}
    for op, every in shapes.items():
        for shape in every:
            yield op, [shape], {"p": 0.4, "training": False}
            yield op, [shape], {"p": 1.0, "training": True}
            yield op, [shape], {"p": 0.0, "training": True}


CASES = table(plain, hardsigmoid, settings, slopes, halves, layers, instances, responses, certain_dropout)

REJECTED = [
    Case(f"{number:02d} {op}", op, tuple(inputs), arguments)
    for number, (op, inputs, arguments) in enumerate(
        [
            ("celu", [(2, 3)], {"alpha": 0}),
            ("gelu", [(2, 3)], {"approximate": "erf"}),
            ("gelu", [Given(np.arange(3))], {}),
            ("silu", [Given(np.arange(3) > 1)], {}),
            ("hardtanh", [(2, 3)], {"min_val": 1.0, "max_val": 0.5}),
            ("softshrink", [(2, 3)], {"lambd": -0.5}),
            ("prelu", [(2, 3), (2,)], {}),
            ("prelu", [(2, 3), (3, 1)], {}),
            ("glu", [(2, 3)], {}),
            ("glu", [()], {}),
            ("glu", [(2, 4)], {"dim": 2}),
            ("softmin", [(2, 4)], {"dim": 2}),
            ("layer_norm", [(2, 3), Given([2])], {}),
            ("layer_norm", [(2, 3), Given([3]), (2,)], {}),
            ("layer_norm", [(2, 3), Given([])], {}),
            ("instance_norm", [(2, 3, 1)], {}),
            ("instance_norm", [(2, 3, 4)], {"use_input_stats": False}),
            ("instance_norm", [(2, 3, 4), Constant((2,)), Constant((2,))], {}),
            ("local_response_norm", [(2, 3), Given(2)], {}),
            ("dropout1d", [(4,)], {}),
            ("dropout3d", [(2, 3, 4)], {"p": -0.1}),
            ("alpha_dropout", [(2, 3, 4)], {"p": 1.5, "training": True}),
        ]
    )
]
