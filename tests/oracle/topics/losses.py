"""Losses, distances, the embedding and the bilinear form."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.oracle.cases import Case, Constant, Fixed, Given, Labels, Normal, Row, table

REDUCTIONS = ("mean", "sum", "none")
PROBABILITY = (0.05, 0.95)


def log_likelihood() -> Iterator[Row]:
    for shape, reduction in itertools.product(((5, 4), (2, 3, 6), (2, 3, 2, 4), (1, 3, 2, 1, 2), (4,)), REDUCTIONS):
        target, classes = (shape[0], *shape[2:]) if len(shape) > 1 else (), shape[1] if len(shape) > 1 else shape[0]
        yield "nll_loss", [shape, Labels(target, classes)], {"reduction": reduction}
        yield "nll_loss", [shape, Labels(target, classes)], {"reduction": reduction, "weight": Constant((classes,))}
        if len(shape) > 1:
            yield "nll_loss", [shape, Labels(target, classes, 1)], {"reduction": reduction, "ignore_index": 1}
            arguments = {"reduction": reduction, "weight": Constant((classes,)), "ignore_index": -7}
            yield "nll_loss", [shape, Labels(target, classes, -7)], arguments
    yield "nll_loss", [Fixed([[-np.inf, 0.0], [0.0, -np.inf]]), Given(np.array([1, 0]))], {}
    yield "nll_loss", [(0, 3), Labels((0,), 3)], {"reduction": "sum"}
    yield "nll_loss", [(0, 3, 2), Labels((0, 2), 3)], {"reduction": "none"}


def more_cross_entropy() -> Iterator[Row]:
    for shape, reduction, smoothing in itertools.product(((4, 3), (2, 3, 2, 2), (5,)), REDUCTIONS, (0.0, 0.3)):
        classes = shape[1] if len(shape) > 1 else shape[0]
        arguments: dict[str, Any] = {"reduction": reduction, "label_smoothing": smoothing}
        yield "cross_entropy", [shape, Normal(shape, *PROBABILITY)], arguments
        yield "cross_entropy", [shape, Normal(shape, *PROBABILITY)], {**arguments, "weight": Constant((classes,))}
    for smoothing in (0.0, 0.3, 1.0):
        yield "cross_entropy", [(3, 4), Labels((3,), 4)], {"weight": Constant((4,)), "label_smoothing": smoothing}


def binary() -> Iterator[Row]:
    for shape, reduction in itertools.product(((3, 4), (2, 3, 2), (5,), ()), REDUCTIONS):
        p, t = Normal(shape, *PROBABILITY), Normal(shape, 0.0, 1.0)
        yield "binary_cross_entropy", [p, t], {"reduction": reduction}
        yield "binary_cross_entropy_with_logits", [Normal(shape, -4.0, 4.0), t], {"reduction": reduction}
        for weight in {shape, shape[-1:], (1,) * len(shape)}:
            yield "binary_cross_entropy", [p, t], {"reduction": reduction, "weight": Constant(weight)}
            scores = Normal(shape, -4.0, 4.0)
            yield "binary_cross_entropy_with_logits", [scores, t], {"reduction": reduction, "weight": Constant(weight)}
            yield (
                "binary_cross_entropy_with_logits",
                [scores, t],
                {"reduction": reduction, "pos_weight": Constant(weight, 0.5, 3.0), "weight": Constant(shape)},
            )
    yield "binary_cross_entropy", [(0, 3), (0, 3)], {"reduction": "sum"}
    # values alone: PyTorch's gradient has the bound 1e-12 in single precision
    yield (
        "binary_cross_entropy",
        [Given(np.array([0.0, 1.0, 0.0, 1.0])), Given(np.array([0.0, 1.0, 1.0, 0.0]))],
        {"reduction": "none"},
    )
    yield "binary_cross_entropy", [Given(np.array([1e-50, 1e-9])), Given(np.array([1.0, 0.5]))], {"reduction": "none"}
    extreme = [Fixed([-800.0, 800.0, -800.0, 800.0, 0.0]), Fixed([0.0, 1.0, 1.0, 0.0, 0.5])]
    yield "binary_cross_entropy_with_logits", extreme, {"reduction": "none"}
    pos_weight = {"pos_weight": Constant((3, 1, 1), 0.5, 4.0)}
    yield "binary_cross_entropy_with_logits", [(2, 3, 2, 4), Normal((2, 3, 2, 4), 0.0, 1.0)], pos_weight


def divergence() -> Iterator[Row]:
    for log_target, reduction in itertools.product((False, True), (*REDUCTIONS, "batchmean")):
        arguments = {"log_target": log_target, "reduction": reduction}
        for a, b in [((3, 4), (3, 4)), ((2, 3, 2), (3, 2)), ((4,), (3, 4)), ((), ()), ((2, 1), (1, 3))]:
            yield "kl_div", [a, b if log_target else Normal(b, *PROBABILITY)], arguments
    yield "kl_div", [Normal((2, 2)), Given(np.array([[0.0, 1.0], [0.5, 0.5]]))], {"reduction": "none"}


def regression() -> Iterator[Row]:
    pairs = [((3, 4), (3, 4)), ((2, 3), (3,)), ((3, 1), (1, 4)), ((), ()), ((), (3,)), ((0, 2), (0, 2)), ((2, 3, 2), (1, 3, 1))]
    ops: list[tuple[str, list[dict[str, Any]]]] = [
        ("mse_loss", [{}]),
        ("l1_loss", [{}]),
        ("smooth_l1_loss", [{}, {"beta": 0.5}, {"beta": 0}, {"beta": 2}]),
        ("huber_loss", [{}, {"delta": 0.5}, {"delta": 3.0}]),
    ]
    for op, every in ops:
        for arguments, (a, b), reduction in itertools.product(every, pairs, REDUCTIONS):
            if 0 not in a or reduction != "mean":
                yield op, [a, b], {**arguments, "reduction": reduction}
        for reduction in REDUCTIONS if op != "smooth_l1_loss" else ():
            yield op, [(2, 3), (2, 3)], {"weight": Constant((2, 3)), "reduction": reduction}
    kinks = [Fixed([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0]), Given(np.zeros(7))]
    for op, every in ops:
        for arguments in every:
            yield op, kinks, {**arguments, "reduction": "none"}


def vectors() -> Iterator[Row]:
    for shape, dim in [((3, 4), 1), ((3, 4), 0), ((2, 3, 4), -1), ((5,), 0), ((2, 3, 2, 2), 1)]:
        for p in (1.0, 2.0, 2):
            yield "normalize", [shape], {"p": p, "dim": dim}
    yield "normalize", [(3, 4)], {}
    yield "normalize", [(3, 4)], {"eps": 3.0}
    yield "normalize", [(2, 3, 4)], {"dim": (1, 2)}
    yield "normalize", [Fixed([[0.0, 0.0], [3.0, 4.0]])], {}
    for a, b, dim in [((3, 4), (3, 4), 1), ((3, 4), (3, 4), 0), ((4,), (4,), 0), ((2, 3, 4), (3, 1), -1), ((4,), (3, 4), 1),
                      ((2, 1, 3), (1, 4, 3), 2), ((2, 3, 4), (2, 3, 4), -2), ((1, 3), (2, 3), 0), ((), (), 0)]:  # fmt: skip
        yield "cosine_similarity", [a, b], {"dim": dim}
        yield "cosine_similarity", [a, b], {"dim": dim, "eps": 1.3}
    yield "cosine_similarity", [(3, 4), (3, 4)], {}
    yield "cosine_similarity", [Fixed([[0.0, 0.0], [3.0, 4.0]]), (2, 2)], {}
    for a, b in [((3, 4), (3, 4)), ((4,), (4,)), ((3, 4), (4,)), ((2, 1, 3), (1, 4, 3)), ((1, 4), (3, 4))]:
        for p, keepdim in itertools.product((1.0, 2.0), (False, True)):
            yield "pairwise_distance", [a, b], {"p": p, "keepdim": keepdim}
    yield "pairwise_distance", [(3, 4), (3, 4)], {"eps": 0.1}
    yield twice, [(3, 4)], {}


def twice(library: Any, x: Any) -> Any:
    return library.pairwise_distance(x, x)


def tables() -> Iterator[Row]:
    for index in (
        np.array(2),
        np.array([1, 0, 1]),
        np.array([[4, 4], [0, 3]]),
        np.zeros((0, 2), np.int64),
        np.array([[1]], np.int32),
    ):
        yield "embedding", [Given(index), (5, 3)], {}
        for padding in (1, -1, 4):
            yield "embedding", [Given(index), (5, 3)], {"padding_idx": padding}
        yield "embedding", [Given(index), (5, 3)], {"scale_grad_by_freq": True}
        yield "embedding", [Given(index), (5, 3)], {"scale_grad_by_freq": True, "padding_idx": 1}
        for norm_type in (1.0, 2.0, 3.0):
            yield shortened, [Given(index), Constant((5, 3), -1.0, 1.0)], {"max_norm": 0.8, "norm_type": norm_type}


def shortened(library: Any, index: Any, weight: Any, **arguments: Any) -> Any:
    return library.embedding(index, weight, **arguments), weight


def forms() -> Iterator[Row]:
    for leading in ((5,), (2, 4), (), (0,), (2, 1, 3)):
        yield "bilinear", [(*leading, 3), (*leading, 2), (4, 3, 2), (4,)], {}
        yield "bilinear", [(*leading, 3), (*leading, 2), (4, 3, 2)], {}


CASES = table(log_likelihood, more_cross_entropy, binary, divergence, regression, vectors, tables, forms)

REJECTED = [
    Case(f"{number:02d} {op}", op, tuple(inputs), arguments)
    for number, (op, inputs, arguments) in enumerate(
        [
            ("nll_loss", [(2, 3), Labels((3,), 3)], {}),
            ("nll_loss", [(2, 3), (2,)], {}),
            ("nll_loss", [(2, 3), Given(np.array([0, 3]))], {}),
            ("nll_loss", [(2, 3), Given(np.array([0, -1]))], {}),
            ("nll_loss", [(2, 3), Labels((2,), 3)], {"weight": Constant((2,))}),
            ("nll_loss", [(2, 3), Labels((2,), 3)], {"reduction": "all"}),
            ("nll_loss", [(), Labels((), 3)], {}),
            ("binary_cross_entropy", [Normal((2, 3), 0.1, 0.9), Normal((3,), 0.1, 0.9)], {}),
            ("binary_cross_entropy", [Fixed([0.5, 1.5]), Fixed([0.0, 1.0])], {}),
            ("binary_cross_entropy", [Fixed([0.5, -0.1]), Fixed([0.0, 1.0])], {}),
            ("binary_cross_entropy", [Fixed([0.5, 0.1]), Given(np.array([0, 1]))], {}),
            ("binary_cross_entropy", [Fixed([0.5, 0.1]), Fixed([0.0, 1.0])], {"weight": Constant((3,))}),
            ("binary_cross_entropy_with_logits", [(2, 3), (2, 1)], {}),
            ("binary_cross_entropy_with_logits", [(2, 3), (2, 3)], {"pos_weight": Constant((2,))}),
            ("binary_cross_entropy_with_logits", [(2, 3), (2, 3)], {"reduction": "average"}),
            ("kl_div", [(2, 3), (2, 4)], {}),
            ("kl_div", [(2, 3), (2, 3)], {"reduction": "batch"}),
            ("mse_loss", [(2, 3), (2, 4)], {}),
            ("mse_loss", [(2, 3), (2, 3)], {"weight": Constant((3,))}),
            ("l1_loss", [(2, 3), (2, 3)], {"reduction": "average"}),
            ("smooth_l1_loss", [(2, 3), (2, 3)], {"beta": -1.0}),
            ("smooth_l1_loss", [(2, 3), (2,)], {}),
            ("huber_loss", [(2, 3), (2, 3)], {"delta": 0.0}),
            ("huber_loss", [(2, 3), (2, 3)], {"weight": Constant((2,))}),
            ("cosine_similarity", [(2, 3), (2, 4)], {}),
            ("cosine_similarity", [(2, 3), (2, 3)], {"dim": 2}),
            ("pairwise_distance", [(2, 3), (3, 3)], {}),
            ("embedding", [Given(np.array([0, 5])), (5, 2)], {}),
            ("embedding", [Given(np.array([0, -1])), (5, 2)], {}),
            ("embedding", [(2,), (5, 2)], {}),
            ("embedding", [Given(np.array([0])), (5, 2)], {"padding_idx": 5}),
            ("bilinear", [(2, 3), (2, 2), (4, 2, 3)], {}),
            ("bilinear", [(2, 3), (3, 2), (4, 3, 2)], {}),
            ("bilinear", [(2, 3), (2, 2), (4, 3, 2), (3,)], {}),
        ]
    )
]
