"""The losses beside cross-entropy as loops over their definitions; distances, embedding, bilinear form; their modules."""

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


def labels(array, device="cpu"):
    return Tensor(to_device(np.asarray(array, np.int64), device))


def reduce(losses, reduction, divisor=None):
    losses = np.asarray(losses)
    total = losses.sum()
    return losses if reduction == "none" else total if reduction == "sum" else total / (divisor or losses.size)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_per_pixel(reduction, rng, device):
    x, t, w = rng.standard_normal((2, 3, 2, 4)), rng.integers(0, 3, (2, 2, 4)), np.array([0.5, 1.0, 2.0])
    t[0, 1, 2] = t[1, 0, 0] = 255
    losses, weights = np.zeros(t.shape), np.zeros(t.shape)
    for n, i, j in np.ndindex(t.shape):
        if t[n, i, j] != 255:
            weights[n, i, j] = w[t[n, i, j]]
            losses[n, i, j] = -weights[n, i, j] * x[n, t[n, i, j], i, j]
    for _, arranged in layouts(x):
        y = F.nll_loss(tensor(arranged, device), labels(t, device), tensor(w, device), ignore_index=255, reduction=reduction)
        assert_close(y, np.asarray(reduce(losses, reduction, weights.sum())))


def test_nll_of_log_softmax_is_cross_entropy(rng, device):
    x, t = tensor(rng.standard_normal((2, 3, 4)), device), labels(rng.integers(0, 3, (2, 4)), device)
    assert_close(F.nll_loss(F.log_softmax(x, 1), t), F.cross_entropy(x, t))


def test_every_label_ignored(device):
    """As in cross_entropy: 0 with a gradient of 0 and a warning, even where a probability is 0."""
    x = tensor(np.full((2, 3), -np.inf), device, requires_grad=True)
    with pytest.warns(UserWarning, match="nll_loss: every label is ignore_index=1"):
        loss = F.nll_loss(x, labels([1, 1], device), ignore_index=1)
    loss.backward()
    assert loss.item() == 0
    assert_close(x.grad, np.zeros((2, 3)))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_binary_cross_entropy(reduction, rng, device):
    x, t, w, c = rng.standard_normal((2, 3, 4)), rng.random((2, 3, 4)), rng.random((3, 1)), np.array([[0.5], [1.0], [3.0]])
    p = 1 / (1 + np.exp(-x))
    plain, weighted = np.zeros(x.shape), np.zeros(x.shape)
    for n, i, j in np.ndindex(x.shape):
        positive, negative = t[n, i, j] * math.log(p[n, i, j]), (1 - t[n, i, j]) * math.log(1 - p[n, i, j])
        plain[n, i, j] = -w[i, 0] * (positive + negative)
        weighted[n, i, j] = -w[i, 0] * (c[i, 0] * positive + negative)
    target, weight = tensor(t, device), tensor(w, device)
    y = F.binary_cross_entropy(tensor(p, device), target, weight, reduction=reduction)
    assert_close(y, np.asarray(reduce(plain, reduction)), rtol=1e-9)
    y = F.binary_cross_entropy_with_logits(tensor(x, device), target, weight, reduction=reduction, pos_weight=tensor(c, device))
    assert_close(y, np.asarray(reduce(weighted, reduction)))


def test_logarithms_of_nothing_are_bounded(device):
    """100 is the loss of a certainty that is wrong; from scores it is exact."""
    assert_close(F.binary_cross_entropy(tensor([0, 1, 0], device), tensor([1, 0, 0], device), reduction="none"), [100.0, 100, 0])
    single = Tensor(to_device(np.zeros(1, np.float32), device))
    assert F.binary_cross_entropy(single, single + 1).item() == 100
    scores = tensor([-1e4, 1e4], device, requires_grad=True)
    y = F.binary_cross_entropy_with_logits(scores, tensor([1, 0], device), reduction="sum")
    y.backward()
    assert y.item() == 2e4
    assert_close(scores.grad, [-1.0, 1])


def test_kullback_leibler(rng, device):
    p, q = rng.dirichlet(np.ones(4), 3), rng.dirichlet(np.ones(4), 3)
    p[0] = [0.5, 0.5, 0, 0]
    expected = sum(a * math.log(a / b) for a, b in zip(p.ravel(), q.ravel(), strict=True) if a > 0)
    log_q = tensor(np.log(q), device)
    assert_close(F.kl_div(log_q, tensor(p, device), reduction="sum"), np.array(expected))
    assert_close(F.kl_div(log_q, tensor(p, device), reduction="batchmean"), np.array(expected / 3))
    logs = F.kl_div(log_q, tensor(np.log(q[::-1]), device), log_target=True, reduction="sum")
    assert_close(logs, np.array((q[::-1] * np.log(q[::-1] / q)).sum()))


def test_box_regression_losses(rng, device):
    a, b = rng.standard_normal((3, 4)) * 2, rng.standard_normal((3, 4)) * 2
    d = abs(a - b)
    for size in (0.5, 1.0, 3.0):
        smooth = np.vectorize(lambda v, s=size: v * v / (2 * s) if v < s else v - s / 2)(d)
        huber = np.vectorize(lambda v, s=size: v * v / 2 if v <= s else s * (v - s / 2))(d)
        for reduction in ("mean", "sum", "none"):
            x, t = tensor(a, device), tensor(b, device)
            assert_close(F.smooth_l1_loss(x, t, reduction=reduction, beta=size), np.asarray(reduce(smooth, reduction)))
            assert_close(F.huber_loss(x, t, reduction, size), np.asarray(reduce(huber, reduction)))
    x = tensor([0.0, -2, 2], device, requires_grad=True)
    F.smooth_l1_loss(x, tensor(np.zeros(3), device), reduction="sum", beta=0).backward()
    assert_close(x.grad, [0.0, -1, 1])


def test_broadcasting_is_done_and_told(device):
    with pytest.warns(UserWarning, match=r"mse_loss: input has shape \(2, 3\), but target has \(3,\); they are broadcast"):
        loss = F.mse_loss(tensor([[1, 2, 3], [4, 5, 6]], device), tensor([1, 2, 3], device))
    assert loss.item() == 4.5
    w = tensor([[1, 0, 0], [0, 0, 3]], device)
    assert F.mse_loss(w * 0, w * 0 + 2, weight=w).item() == 4
    assert F.l1_loss(w * 0, w, weight=w, reduction="sum").item() == 10


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss(gamma, rng, device):
    x, t, w = rng.standard_normal((2, 3, 4)) * 2, rng.integers(0, 3, (2, 4)), np.array([0.25, 1.0, 2.0])
    t[0, 1] = 255
    losses, weights = np.zeros(t.shape), np.zeros(t.shape)
    for n, i in np.ndindex(t.shape):
        if t[n, i] != 255:
            p = np.exp(x[n, t[n, i], i]) / np.exp(x[n, :, i]).sum()
            weights[n, i] = w[t[n, i]]
            losses[n, i] = -weights[n, i] * (1 - p) ** gamma * math.log(p)
    for reduction in ("mean", "sum", "none"):
        y = F.focal_loss(tensor(x, device), labels(t, device), tensor(w, device), gamma, 255, reduction)
        assert_close(y, np.asarray(reduce(losses, reduction, weights.sum())))
    if gamma == 0:
        given = {"weight": tensor(w, device), "ignore_index": 255}
        assert_close(y.sum(), F.cross_entropy(tensor(x, device), labels(t, device), reduction="sum", **given))
    certain = tensor([[800, 0], [-800, 0]], device, requires_grad=True)
    F.focal_loss(certain, labels([0, 0], device), gamma=gamma, reduction="sum").backward()
    assert_close(certain.grad, [[0.0, 0], [-1, 1]])


def test_dice_loss(rng, device):
    x, t = rng.standard_normal((2, 3, 2, 5)), rng.integers(0, 2, (2, 2, 5))  # class 2 is absent
    t[0, 0, 0] = 255
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    expected = []
    for c in range(3):
        overlap = size = 0.0
        for n, i, j in np.ndindex(t.shape):
            if t[n, i, j] != 255:
                overlap += p[n, c, i, j] * (t[n, i, j] == c)
                size += p[n, c, i, j] + (t[n, i, j] == c)
        expected.append(1 - (2 * overlap + 0.5) / (size + 0.5))
    for _, arranged in layouts(x):
        y = F.dice_loss(tensor(arranged, device), labels(t, device), 255, 0.5, "none")
        assert_close(y, np.array(expected))
    assert_close(F.dice_loss(tensor(x, device), labels(t, device), 255, 0.5), np.mean(expected))
    perfect = tensor(np.where(np.eye(3)[t % 3].transpose(0, 3, 1, 2), 800.0, 0), device)
    assert F.dice_loss(perfect, labels(t % 3, device)).item() == 0


def test_vectors(rng, device):
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))

    def length(v):
        return math.sqrt((v * v).sum())

    assert_close(F.normalize(tensor(a, device)), [v / length(v) for v in a])
    cosines = [(u * v).sum() / length(u) / length(v) for u, v in zip(a, b, strict=True)]
    assert_close(F.cosine_similarity(tensor(a, device), tensor(b, device)), cosines)
    assert_close(nn.CosineSimilarity()(tensor(a, device), tensor(b, device)), cosines)
    distances = [length(u - v + 1e-6) for u, v in zip(a, b, strict=True)]
    assert_close(F.pairwise_distance(tensor(a, device), tensor(b, device)), distances)
    assert_close(nn.PairwiseDistance(keepdim=True)(tensor(a, device), tensor(b, device)), np.array(distances)[:, None])


def test_bilinear_form(rng, device):
    a, b, w, c = (rng.standard_normal(s) for s in ((2, 5, 3), (2, 5, 2), (4, 3, 2), (4,)))
    expected = np.zeros((2, 5, 4))
    for n, m, k in np.ndindex(expected.shape):
        expected[n, m, k] = c[k] + sum(a[n, m, i] * w[k, i, j] * b[n, m, j] for i, j in itertools.product(range(3), range(2)))
    for (_, u), (_, v) in zip(layouts(a), layouts(b), strict=True):
        assert_close(F.bilinear(tensor(u, device), tensor(v, device), tensor(w, device), tensor(c, device)), expected)
    layer = nn.Bilinear(3, 2, 4)
    assert layer.weight.shape == (4, 3, 2)
    assert abs(to_numpy(layer.weight)).max() <= 1 / math.sqrt(3)


def test_embedding(rng, device):
    w, i = rng.standard_normal((5, 3)), np.array([[4, 0, 4], [1, 4, 2]])
    table = tensor(w, device, requires_grad=True)
    y = F.embedding(labels(i, device), table, padding_idx=1)
    assert_close(y, [[w[r] for r in row] for row in i])
    y.sum().backward()
    assert_close(table.grad, np.outer([1, 0, 1, 0, 3], np.ones(3)))
    table.grad = None
    F.embedding(labels(i, device), table, scale_grad_by_freq=True).sum().backward()
    assert_close(table.grad, np.outer([1, 1, 1, 0, 1], np.ones(3)))
    short = tensor([[3, 4], [0.3, 0.4]], device)
    assert_close(F.embedding(labels([0, 1], device), short, max_norm=1.0), [[0.6, 0.8], [0.3, 0.4]], rtol=1e-6)
    layer = nn.Embedding(4, 2, padding_idx=-1)
    assert (to_numpy(layer.weight)[3] == 0).all()
    assert abs(to_numpy(layer.weight)[:3]).min() > 0
    frozen = nn.Embedding.from_pretrained(tensor(w))
    assert not frozen.weight.requires_grad
    assert_close(frozen(labels([2])), w[2:3])


def test_modules_are_their_functions(rng):
    x, t = tensor(rng.random((2, 3))), tensor(rng.random((2, 3)))
    y, w = labels([0, 2]), tensor([1, 2, 3])
    pairs = [
        (nn.NLLLoss(w, ignore_index=2, reduction="sum")(x, y), F.nll_loss(x, y, w, ignore_index=2, reduction="sum")),
        (nn.BCELoss(w, reduction="sum")(x, t), F.binary_cross_entropy(x, t, w, reduction="sum")),
        (nn.BCEWithLogitsLoss(w, pos_weight=w)(x, t), F.binary_cross_entropy_with_logits(x, t, w, pos_weight=w)),
        (nn.SmoothL1Loss(beta=0.1)(x, t), F.smooth_l1_loss(x, t, beta=0.1)),
        (nn.HuberLoss("sum", 0.1)(x, t), F.huber_loss(x, t, "sum", 0.1)),
        (nn.KLDivLoss(reduction="batchmean", log_target=True)(x, t), F.kl_div(x, t, reduction="batchmean", log_target=True)),
    ]
    for module, function in pairs:
        assert_close(module, function, rtol=0, atol=0)


ERRORS = [
    (lambda x, t: F.nll_loss(x, t[:1]), ValueError, ["nll_loss", "(2, 3, 4)", "(1, 4)"]),
    (lambda x, t: F.nll_loss(x, t + 3), ValueError, ["nll_loss", "label 3", "0 .. 2"]),
    (lambda x, t: F.nll_loss(x, x), TypeError, ["nll_loss", "target", "float64", "cross_entropy"]),
    (lambda x, t: F.focal_loss(x, t + 3), ValueError, ["focal_loss", "label 3"]),
    (lambda x, t: F.focal_loss(x, t, gamma=-1), ValueError, ["focal_loss", "gamma=-1"]),
    (lambda x, t: F.dice_loss(x, t - 1), ValueError, ["dice_loss", "label -1"]),
    (lambda x, t: F.dice_loss(x[0, 0], t), ValueError, ["dice_loss", "(4,)", "class axis"]),
    (lambda x, t: F.binary_cross_entropy(x, x[:1]), ValueError, ["binary_cross_entropy", "(2, 3, 4)", "(1, 3, 4)"]),
    (lambda x, t: F.binary_cross_entropy(x + 1, x), ValueError, ["binary_cross_entropy", "holds 2", "sigmoid"]),
    (lambda x, t: F.binary_cross_entropy_with_logits(x, x.reshape(6, 4)), ValueError, ["(6, 4)", "reshape(2, 3, 4)"]),
    (lambda x, t: F.binary_cross_entropy_with_logits(x, x.long()), TypeError, ["target", "int64", ".float()"]),
    (
        lambda x, t: F.binary_cross_entropy_with_logits(x, x, pos_weight=x[0, :, 0]),
        ValueError,
        ["pos_weight", "(3,)", "(2, 3, 4)"],
    ),
    (lambda x, t: F.kl_div(x, x, reduction="batch"), ValueError, ["kl_div", "'batch'", "'batchmean'"]),
    (lambda x, t: F.smooth_l1_loss(x, x, beta=-1), ValueError, ["smooth_l1_loss", "beta=-1"]),
    (lambda x, t: F.huber_loss(x, x, delta=0), ValueError, ["huber_loss", "delta=0"]),
    (lambda x, t: F.mse_loss(x, x, weight=x[0]), ValueError, ["mse_loss", "weight", "(3, 4)", "(2, 3, 4)"]),
    (lambda x, t: F.l1_loss(t, t), TypeError, ["l1_loss", "int64", ".float()"]),
    (lambda x, t: F.cosine_similarity(x, x[:, :2]), ValueError, ["cosine_similarity", "(2, 2, 4)"]),
    (lambda x, t: F.pairwise_distance(x.sum(), x.sum()), ValueError, ["pairwise_distance", "no axes"]),
    (lambda x, t: F.embedding(t + 9, x[0]), IndexError, ["embedding", "holds 9", "0 .. 2"]),
    (lambda x, t: F.embedding(x, x[0]), TypeError, ["embedding", "float64", ".long()"]),
    (lambda x, t: F.embedding(t, x), ValueError, ["embedding", "weight", "(V, D)"]),
    (lambda x, t: F.bilinear(x, x, x), ValueError, ["bilinear", "in1", "(2, 3, 4)"]),
    (lambda x, t: nn.Embedding(3, 2, 3), ValueError, ["Embedding", "padding_idx=3"]),
    (lambda x, t: nn.Bilinear(0, 2, 3), ValueError, ["Bilinear", "in1_features=0"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(np.ones((2, 3, 4))), Tensor(np.zeros((2, 4), np.int64)))
    for word in words:
        assert word in str(error.value)
