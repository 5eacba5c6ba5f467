"""Losses with a margin, likelihoods, attention and their relatives against loops over their definitions; their modules."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from minivision import nn
from minivision.autograd import Tensor
from minivision.nn import functional as F
from tests.helpers import assert_close, layouts, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


def integers(array, device="cpu"):
    return Tensor(to_device(np.asarray(array, np.int64), device))


@pytest.mark.parametrize("p", [1, 2])
def test_multi_margin(p, rng, device):
    x, y, w = rng.standard_normal((5, 4)), rng.integers(0, 4, 5), rng.random(4)
    expected = np.zeros(5)
    for n, j in np.ndindex(x.shape):
        if j != y[n]:
            expected[n] += w[y[n]] * max(0, 0.8 - x[n, y[n]] + x[n, j]) ** p / 4
    for _, arranged in layouts(x):
        losses = F.multi_margin_loss(tensor(arranged, device), integers(y, device), p, 0.8, tensor(w, device), reduction="none")
        assert_close(losses, expected)


def test_multilabel_margin_stops_at_the_first_minus_one(rng, device):
    x, labels = rng.standard_normal((3, 4)), [[3, 0, -1, 1], [-1, 2, 2, 2], [2, 2, 0, 1]]
    expected = np.zeros(3)
    for n, row in enumerate(labels):
        own = row[: row.index(-1)] if -1 in row else row
        for y, j in itertools.product(own, range(4)):
            if j not in own:
                expected[n] += max(0, 1 - x[n, y] + x[n, j]) / 4
    assert_close(F.multilabel_margin_loss(tensor(x, device), integers(labels, device), reduction="none"), expected)
    assert_close(F.multilabel_margin_loss(tensor(x[0], device), integers(labels[0], device)), expected[0])


def test_triplets_and_pairs(rng, device):
    a, p, n = rng.standard_normal((3, 4, 3))

    def distance(x, y):
        return math.sqrt(sum((u - v + 1e-6) ** 2 for u, v in zip(x, y, strict=True)))

    for swap in (False, True):
        expected = [
            max(0, 1.5 + distance(a[i], p[i]) - min(distance(a[i], n[i]), distance(p[i], n[i]) if swap else math.inf))
            for i in range(4)
        ]
        three = [tensor(v, device) for v in (a, p, n)]
        assert_close(F.triplet_margin_loss(*three, margin=1.5, swap=swap, reduction="none"), expected)
        assert_close(nn.TripletMarginLoss(1.5, swap=swap)(*three), np.mean(expected))
    signs = [1, -1, -1, 1]
    cosines = [u @ v / math.sqrt(u @ u * (v @ v)) for u, v in zip(a, p, strict=True)]
    expected = [1 - c if t == 1 else max(0, c - 0.2) for c, t in zip(cosines, signs, strict=True)]
    assert_close(
        F.cosine_embedding_loss(tensor(a, device), tensor(p, device), integers(signs, device), 0.2, reduction="none"), expected
    )


def test_a_margin_that_is_just_kept_has_a_gradient_as_in_pytorch(device):
    """max(0, z) at z = 0: the derivative is 1 here, 0 in multi_margin_loss."""
    a = tensor([1.0], device, requires_grad=True)
    F.margin_ranking_loss(a, tensor([0.0], device), tensor([1.0], device), margin=1.0).backward()
    assert_close(a.grad, [-1.0])
    x = tensor([[1.0, 0.0]], device, requires_grad=True)
    F.multi_margin_loss(x, integers([0], device), margin=1.0).backward()
    assert_close(x.grad, [[0.0, 0.0]])


def test_scores_that_overflow(device):
    losses = F.soft_margin_loss(tensor([1000.0, -1000.0], device), tensor([-1, 1], device), reduction="none")
    assert_close(losses, [1000.0, 1000.0])
    assert F.soft_margin_loss(tensor([1000.0], device), integers([1], device)).item() == 0


def test_gaussian_likelihood_is_that_of_the_density(rng, device):
    x, t, v = rng.standard_normal((2, 3)), rng.standard_normal((2, 3)), rng.random((2, 3)) + 0.1
    density = np.exp(-((x - t) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
    assert_close(
        F.gaussian_nll_loss(tensor(x, device), tensor(t, device), tensor(v, device), full=True, reduction="none"),
        -np.log(density),
    )
    by_number = F.gaussian_nll_loss(tensor(x, device), tensor(t, device), 0.1)
    assert_close(by_number, F.gaussian_nll_loss(tensor(x, device), tensor(t, device), tensor(np.full((2, 3), 0.1), device)))


def test_poisson_likelihood_is_that_of_the_counts(device):
    counts = np.arange(2, 30.0)
    expected = [7.5 - k * math.log(7.5) + math.lgamma(k + 1) for k in counts]
    x = tensor(np.full(len(counts), math.log(7.5)), device)
    losses = F.poisson_nll_loss(x, tensor(counts, device), full=True, reduction="none")
    assert_close(losses, expected, rtol=0, atol=1 / 23)  # Stirling's formula lacks 1 / 12 k


def test_attention_by_loops(rng, device):
    q, k, v = rng.standard_normal((2, 3, 5)), rng.standard_normal((2, 4, 5)), rng.standard_normal((2, 4, 2))
    mask = np.array([[True, False, True, True], [True, True, False, False], [False, False, False, False]])
    expected = np.zeros((2, 3, 2))
    for n, i in np.ndindex(2, 3):
        e = [math.exp(q[n, i] @ k[n, j] / math.sqrt(5)) if mask[i, j] else 0.0 for j in range(4)]
        for j in range(4):
            expected[n, i] += e[j] / max(sum(e), 1e-300) * v[n, j]
    for variants in zip(*(layouts(a) for a in (q, k, v)), strict=True):
        three = [tensor(a, device) for _, a in variants]
        y = F.scaled_dot_product_attention(*three, attn_mask=Tensor(to_device(mask, device)))
        assert_close(y, expected)


def test_attention_dropout(device):
    """Every weight is dropped or divided by 1 - p; backward passes through the same mask."""
    q = tensor(np.zeros((1, 40, 3)), device)
    v = tensor(np.eye(50)[None], device, requires_grad=True)
    weights = F.scaled_dot_product_attention(q, tensor(np.ones((1, 50, 3)), device), v, dropout_p=0.2)
    kept = to_numpy(weights) > 0
    assert_close(weights, kept / 50 / 0.8)
    assert 0.75 < kept.mean() < 0.85
    weights.sum().backward()
    assert_close(v.grad, np.repeat(kept[0].sum(axis=0)[:, None] / 50 / 0.8, 50, axis=1)[None])


def test_rms_norm(rng, device):
    x, w = rng.standard_normal((2, 3, 4)), rng.standard_normal((3, 4))
    expected = np.zeros(x.shape)
    for n in range(2):
        expected[n] = x[n] / math.sqrt(sum(v * v for v in x[n].flat) / 12 + 0.01) * w
    for _, arranged in layouts(x):
        assert_close(F.rms_norm(tensor(arranged, device), (3, 4), tensor(w, device), eps=0.01), expected)
    layer = nn.RMSNorm((3, 4)).double()
    assert_close(layer(tensor(x)), F.rms_norm(tensor(x), (3, 4)))
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_random_slopes(device):
    x = tensor(np.full((50, 40), -2.0), device, requires_grad=True)
    y = F.rrelu(x, 0.1, 0.4, training=True)
    slopes = to_numpy(y) / -2
    assert 0.1 <= slopes.min() < 0.11
    assert 0.39 < slopes.max() <= 0.4
    y.sum().backward()
    assert_close(x.grad, slopes)
    layer = nn.RReLU(0.1, 0.4).eval()
    assert_close(layer(x), np.full((50, 40), -0.5))


def test_gumbel_softmax(device):
    logits = tensor(np.log(np.tile([0.2, 0.5, 0.3], (4000, 1))), device, requires_grad=True)
    hard = F.gumbel_softmax(logits, tau=0.5, hard=True)
    values = to_numpy(hard)
    np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(values.max(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(values.mean(axis=0), [0.2, 0.5, 0.3], atol=0.03)
    hard[:, 0].sum().backward()
    assert float(np.abs(to_numpy(logits.grad)).max()) > 0  # the gradient of the soft draw
    soft = to_numpy(F.gumbel_softmax(logits, tau=0.5))
    assert soft.min() > 0
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-12)


def test_feature_alpha_dropout_drops_whole_channels(device):
    x = tensor(np.random.default_rng(0).standard_normal((40, 50, 3)), device)
    y = to_numpy(F.feature_alpha_dropout(x, 0.3, training=True))
    dropped = np.ptp(y, axis=2) == 0
    assert 0.27 < dropped.mean() < 0.33
    assert abs(y.mean()) < 0.05
    assert abs(y.std() - 1) < 0.05
    assert nn.FeatureAlphaDropout(0.3).eval()(x) is x


def test_one_hot_and_bags(device):
    numbers = [[2, 0, 2], [1, 3, 3]]
    hot = F.one_hot(integers(numbers, device))
    assert hot.dtype == np.int64
    assert_close(hot, np.eye(4)[np.array(numbers)])
    table = np.arange(12.0).reshape(4, 3)
    layer = nn.EmbeddingBag(4, 3, mode="max").double()
    layer.weight.data[...] = table
    assert_close(layer(integers(numbers)), [table[2], table[3]])
    counts = to_numpy(hot).sum(axis=1)
    assert_close(F.embedding_bag(integers(numbers, device), tensor(table, device), mode="sum"), counts @ table)


LOSSES = [
    (nn.MarginRankingLoss(0.3), F.margin_ranking_loss, ((4,), (4,), "signs"), {"margin": 0.3}),
    (nn.HingeEmbeddingLoss(0.3), F.hinge_embedding_loss, ((4,), "signs"), {"margin": 0.3}),
    (nn.CosineEmbeddingLoss(0.3), F.cosine_embedding_loss, ((4, 3), (4, 3), "signs"), {"margin": 0.3}),
    (nn.SoftMarginLoss(reduction="sum"), F.soft_margin_loss, ((4,), "signs"), {"reduction": "sum"}),
    (nn.MultiMarginLoss(2, 0.3), F.multi_margin_loss, ((4, 3), "labels"), {"p": 2, "margin": 0.3}),
    (nn.MultiLabelMarginLoss(), F.multilabel_margin_loss, ((4,), "labels"), {}),
    (nn.MultiLabelSoftMarginLoss(), F.multilabel_soft_margin_loss, ((4, 3), (4, 3)), {}),
    (nn.GaussianNLLLoss(full=True), F.gaussian_nll_loss, ((4,), (4,), "positive"), {"full": True}),
    (nn.PoissonNLLLoss(full=True), F.poisson_nll_loss, ((4,), "positive"), {"full": True}),
    (nn.TripletMarginLoss(0.3, swap=True), F.triplet_margin_loss, ((4, 3),) * 3, {"margin": 0.3, "swap": True}),
    (nn.TripletMarginWithDistanceLoss(), F.triplet_margin_with_distance_loss, ((4, 3),) * 3, {}),
]


@pytest.mark.parametrize(("module", "function", "inputs", "settings"), LOSSES, ids=lambda v: type(v).__name__)
def test_modules_call_their_functions(module, function, inputs, settings, rng):
    special = {
        "signs": tensor([1.0, -1.0, 1.0, -1.0]),
        "labels": integers([2, 0, 1, 1]),
        "positive": tensor([0.5, 1.5, 2.5, 4.0]),
    }
    given = [special[i] if isinstance(i, str) else tensor(rng.standard_normal(i)) for i in inputs]
    assert_close(module(*given), function(*given, **settings), rtol=0, atol=0)
