"""Losses with a margin, likelihoods, attention, root mean square, one-hot vectors and bags of embeddings."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.oracle.cases import Case, Constant, Fixed, Given, Labels, Normal, Row, table

REDUCTIONS = ("mean", "sum", "none")
SIGNS = np.array([1.0, -1.0, -1.0, 1.0])


def pairs() -> Iterator[Row]:
    signs = np.resize(SIGNS, (3, 4)) * np.array([[1.0], [-1.0], [1.0]])
    for reduction, margin in itertools.product(REDUCTIONS, (0.0, 0.5)):
        settings: dict[str, Any] = {"reduction": reduction, "margin": margin}
        yield "margin_ranking_loss", [(3, 4), (3, 4), Given(signs)], settings
        yield "margin_ranking_loss", [(3, 1), (1, 4), Normal((3, 4))], settings
        yield "hinge_embedding_loss", [(3, 4), Given(signs)], settings
        yield "cosine_embedding_loss", [(4, 3), (4, 3), Given(SIGNS)], settings
    yield "margin_ranking_loss", [Fixed([1.0, 2.0]), Fixed([1.0, 1.0]), Given(np.array([1.0, 1.0]))], {"margin": 1.0}
    yield "margin_ranking_loss", [(), (), Given(np.array(1.0))], {}
    yield "hinge_embedding_loss", [Fixed([1.0, 1.0, 0.5]), Given(np.array([1.0, -1.0, 0.0]))], {"reduction": "none"}
    yield "cosine_embedding_loss", [(3,), (3,), Given(np.array(-1.0))], {}
    yield "cosine_embedding_loss", [(3, 2), (3, 2), Given(np.array([1, -1, 0]))], {"reduction": "none"}
    for reduction in REDUCTIONS:
        yield "soft_margin_loss", [(3, 4), Given(signs)], {"reduction": reduction}
        yield "poisson_nll_loss", [(3, 4), Normal((3, 4), 0.1, 5.0)], {"reduction": reduction}
    yield "soft_margin_loss", [Fixed([-50.0, 50.0, 0.0]), Given(np.array([1.0, 1.0, -1.0]))], {"reduction": "none"}


def triplets() -> Iterator[Row]:
    three = [(4, 3), (4, 3), (4, 3)]
    for reduction, swap, p in itertools.product(REDUCTIONS, (False, True), (2.0, 1.0)):
        yield "triplet_margin_loss", three, {"reduction": reduction, "swap": swap, "p": p, "margin": 1.5}
    yield "triplet_margin_loss", [(3,), (3,), (3,)], {}
    yield "triplet_margin_loss", [(2, 3), (1, 3), (2, 3)], {"eps": 0.1}
    for swap in (False, True):
        yield "triplet_margin_with_distance_loss", three, {"swap": swap}
        yield by_city_block, three, {"swap": swap, "margin": 2.0}


def by_city_block(library: Any, *three: Any, **settings: Any) -> Any:
    def distance(x: Any, y: Any) -> Any:
        return (x - y).abs().sum(-1)

    return library.triplet_margin_with_distance_loss(*three, distance_function=distance, **settings)


def classes() -> Iterator[Row]:
    several = np.array([[3, 0, -1, 1], [1, -1, 2, 3], [-1, 0, 1, 2], [2, 2, -1, 0]])
    for reduction in REDUCTIONS:
        for p, margin in ((1, 1.0), (2, 0.5)):
            settings: dict[str, Any] = {"reduction": reduction, "p": p, "margin": margin}
            yield "multi_margin_loss", [(4, 3), Labels((4,), 3)], settings
            yield "multi_margin_loss", [(4, 3), Labels((4,), 3)], {**settings, "weight": Constant((3,))}
            yield "multi_margin_loss", [(3,), Given(np.array(1))], settings
        yield "multilabel_margin_loss", [(4, 4), Given(several)], {"reduction": reduction}
        yield "multilabel_margin_loss", [(4,), Given(several[0])], {"reduction": reduction}
        target = Normal((4, 3), 0.0, 1.0)
        yield "multilabel_soft_margin_loss", [(4, 3), target], {"reduction": reduction}
        yield "multilabel_soft_margin_loss", [(4, 3), target], {"reduction": reduction, "weight": Constant((3,))}
    yield "multilabel_soft_margin_loss", [(3,), Normal((3,), 0.0, 1.0)], {}


def likelihoods() -> Iterator[Row]:
    for full, reduction in itertools.product((False, True), REDUCTIONS):
        settings: dict[str, Any] = {"full": full, "reduction": reduction}
        for var in ((3, 4), (3, 1), (3,)):
            yield "gaussian_nll_loss", [(3, 4), (3, 4), Normal(var, 0.2, 2.0)], settings
        for log_input in (False, True):
            inputs = [Normal((3, 4), 0.1, 3.0), Normal((3, 4), 0.1, 5.0)]
            yield "poisson_nll_loss", inputs, {**settings, "log_input": log_input}
    yield "gaussian_nll_loss", [(2, 3), (2, 3), Given(0.7)], {}
    yield "gaussian_nll_loss", [(3,), (3,), Fixed([0.0, 1e-8, 2.0])], {"reduction": "none"}
    yield "gaussian_nll_loss", [(3, 4), (4,), Normal((3, 4), 0.2, 2.0)], {"eps": 0.5}
    yield "poisson_nll_loss", [(3, 4), Normal((3, 4), 0.1, 5.0)], {"eps": 0.1, "log_input": True}


def attention() -> Iterator[Row]:
    mask = np.array([[True, False, True, True], [True, True, False, True], [False, False, False, True]])
    for batch in ((), (2,), (2, 3)):
        three = [(*batch, 3, 5), (*batch, 4, 5), (*batch, 4, 2)]
        yield "scaled_dot_product_attention", three, {}
        yield "scaled_dot_product_attention", three, {"is_causal": True}
        yield "scaled_dot_product_attention", three, {"scale": 0.3}
        yield "scaled_dot_product_attention", [*three, Given(mask)], {}
        yield "scaled_dot_product_attention", [*three, Normal((3, 4))], {}
    yield "scaled_dot_product_attention", [(2, 1, 3, 5), (2, 3, 4, 5), (2, 3, 4, 2)], {}
    yield "scaled_dot_product_attention", [(2, 4, 3, 5), (2, 2, 4, 5), (2, 2, 4, 2)], {"enable_gqa": True}
    yield "scaled_dot_product_attention", [(3, 5), (4, 5), (4, 2), Given(mask & np.array([[True], [False], [True]]))], {}


def vectors() -> Iterator[Row]:
    for shape, normalized in (((2, 3, 4), (4,)), ((2, 3, 4), (3, 4)), ((5,), (5,))):
        yield "rms_norm", [shape, Given(normalized)], {}
        yield "rms_norm", [shape, Given(normalized), Normal(normalized)], {"eps": 0.01}
    yield "rms_norm", [Fixed([[0.0, 0.0], [3.0, 4.0]]), Given((2,))], {}
    for shape, classes_ in itertools.product(((4,), (2, 3), ()), (5, -1)):
        yield "one_hot", [Labels(shape, 5)], {"num_classes": classes_}
    for p in (2.0, 1.0, 3.0, 0.0, float("inf")):
        yield "pdist", [(4, 3)], {"p": p}
    yield "pdist", [(1, 3)], {}
    yield "pdist", [Fixed([[1.0, 2.0], [1.0, 2.0], [0.0, 1.0]])], {}
    for training in (False,):
        yield "rrelu", [(3, 4)], {"training": training}
        yield "rrelu", [(3, 4)], {"lower": 0.2, "upper": 0.6, "training": training}
    for eps in (None, 0.2):
        yield "logit", [Fixed([0.0, 0.1, 0.5, 0.8, 0.9, 1.0])], {"eps": eps}
    yield "logit", [Fixed([-0.5, 1.5])], {"eps": 0.1}


def bags() -> Iterator[Row]:
    numbers, offsets = np.array([2, 0, 4, 4, 1, 2]), np.array([0, 2, 2, 5])
    for mode in ("sum", "mean", "max"):
        yield "embedding_bag", [Given(np.array([[2, 0, 2], [1, 3, 4]])), (5, 3)], {"mode": mode}
        yield "embedding_bag", [Given(numbers), (5, 3), Given(offsets)], {"mode": mode}
        yield "embedding_bag", [Given(numbers), (5, 3), Given(offsets)], {"mode": mode, "padding_idx": 4}
        last = np.array([0, 3, 6])
        yield "embedding_bag", [Given(numbers), (5, 3), Given(last)], {"mode": mode, "include_last_offset": True}
        if mode != "max":
            yield "embedding_bag", [Given(numbers), (5, 3), Given(offsets)], {"mode": mode, "scale_grad_by_freq": True}
    yield weighted_bag, [Given(numbers), (5, 3), Given(offsets), (6,)], {}
    yield weighted_bag, [Given(numbers), (5, 3), Given(offsets), (6,)], {"padding_idx": 2}


def weighted_bag(library: Any, numbers: Any, weight: Any, offsets: Any, factors: Any, **settings: Any) -> Any:
    return library.embedding_bag(numbers, weight, offsets, mode="sum", per_sample_weights=factors, **settings)


CASES = table(pairs, triplets, classes, likelihoods, attention, vectors, bags)

REJECTED = [
    Case(f"{number:02d} {op}", op, tuple(inputs), arguments)
    for number, (op, inputs, arguments) in enumerate(
        [
            ("margin_ranking_loss", [(3, 4), (4,), Given(np.ones((3, 4)))], {}),
            ("margin_ranking_loss", [(3,), (3,), Given(np.ones(3))], {"reduction": "average"}),
            ("hinge_embedding_loss", [(3,), Given(np.ones(2))], {}),
            ("cosine_embedding_loss", [(3, 2), (3, 2), Given(np.ones((3, 2)))], {}),
            ("cosine_embedding_loss", [(3, 2), (2,), Given(np.ones(3))], {}),
            ("triplet_margin_loss", [(3, 2), (3, 2), (2,)], {}),
            ("triplet_margin_loss", [(3, 2), (3, 2), (3, 2)], {"margin": 0.0}),
            ("soft_margin_loss", [(3,), Given(np.ones(2))], {}),
            ("multilabel_soft_margin_loss", [(2, 3), (2, 2)], {}),
            ("multi_margin_loss", [(2, 3), Given(np.array([0, 3]))], {}),
            ("multi_margin_loss", [(2, 3), Given(np.array([0, 1]))], {"p": 3}),
            ("multi_margin_loss", [(2, 3), Given(np.array([0, 1]))], {"weight": Constant((2,))}),
            ("multi_margin_loss", [(2, 3), Given(np.array([0, 1, 2]))], {}),
            ("multilabel_margin_loss", [(2, 3), Given(np.array([[0, 3, -1], [0, 1, 2]]))], {}),
            ("multilabel_margin_loss", [(2, 3), Given(np.array([0, 1]))], {}),
            ("gaussian_nll_loss", [(2, 3), (2, 3), Given(np.full((2, 3), -1.0))], {}),
            ("gaussian_nll_loss", [(2, 3), (2, 3), Normal((4, 3), 0.1, 1.0)], {}),
            ("poisson_nll_loss", [(2, 3), (2, 4)], {}),
            ("poisson_nll_loss", [(2, 3), (2, 3)], {"reduction": "average"}),
            ("scaled_dot_product_attention", [(3, 5), (4, 6), (4, 2)], {}),
            ("scaled_dot_product_attention", [(3, 5), (4, 5), (3, 2)], {}),
            ("scaled_dot_product_attention", [(3, 5), (4, 5), (4, 2), Given(np.ones((2, 4), bool))], {}),
            ("scaled_dot_product_attention", [(3, 5), (4, 5), (4, 2), Given(np.ones((3, 4), bool))], {"is_causal": True}),
            ("rms_norm", [(2, 3), Given((2,))], {}),
            ("one_hot", [Given(np.array([0, 3]))], {"num_classes": 3}),
            ("one_hot", [Given(np.array([0, -1]))], {}),
            ("one_hot", [(2,)], {}),
            ("pdist", [(3,)], {}),
            ("pdist", [(3, 2)], {"p": -1.0}),
            ("embedding_bag", [Given(np.array([0, 5])), (5, 3), Given(np.array([0]))], {}),
            ("embedding_bag", [Given(np.array([0, 1])), (5, 3), Given(np.array([1]))], {}),
            ("embedding_bag", [Given(np.array([0, 1])), (5, 3)], {}),
            ("embedding_bag", [Given(np.array([0, 1])), (5, 3), Given(np.array([0]))], {"mode": "min"}),
        ]
    )
]
