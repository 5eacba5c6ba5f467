"""Losses: cross-entropy in all its settings, squared and absolute error."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest

from minivision import reference, threads
from minivision.autograd import Tensor, grad, no_grad
from minivision.functions.activation import log_softmax, softmax
from minivision.functions.loss import CrossEntropy, cross_entropy, weighted_cross_entropy
from minivision.functions.regression_loss import l1_loss, mse_loss
from tests.helpers import assert_close, layouts, numerical_gradient, to_device, to_numpy


def tensor(array, device="cpu", **kw):
    return Tensor(to_device(np.asarray(array, np.float64), device), **kw)


def labels(array, device="cpu"):
    return Tensor(to_device(np.asarray(array, np.int64), device))


LOGITS, TARGET, WEIGHT = [[1, 2, 3], [1, 0, -1], [0, 0, 0]], [2, -100, 0], [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, 0.753109),
        ({"weight": WEIGHT}, 0.580358),
        ({"weight": WEIGHT, "label_smoothing": 0.1}, 0.630966),
        ({"label_smoothing": 0.1}, 0.803109),
        ({"weight": WEIGHT, "reduction": "sum"}, 2.321430),
        ({"weight": WEIGHT, "reduction": "none"}, [1.222818, 0, 1.098612]),
    ],
)
def test_fixture(arguments, expected, device):
    arguments = {k: tensor(v, device) if k == "weight" else v for k, v in arguments.items()}
    assert_close(
        cross_entropy(tensor(LOGITS, device), labels(TARGET, device), **arguments), np.array(expected), rtol=0, atol=6e-7
    )


@pytest.mark.parametrize(
    ("weighted", "by_pixel", "ignoring", "smoothing", "reduction"),
    list(itertools.product((False, True), (False, True), (False, True), (0.0, 0.3), ("mean", "sum", "none"))),
)
def test_every_setting_per_pixel(weighted, by_pixel, ignoring, smoothing, reduction, rng, device):
    """Class weights x pixel weights x ignored pixels holding infinities x smoothing x reduction, values and gradients."""
    x, t = rng.standard_normal((2, 3, 2, 3)) * 2, rng.integers(0, 3, (2, 2, 3))
    weight = rng.uniform(0.2, 2, 3) if weighted else None
    pixels = rng.uniform(0.2, 2, t.shape) if by_pixel else None
    if ignoring:
        t[0, 1, 2] = t[1, 0, 0] = 255

    def loss(scores, **kw):
        given = {"ignore_index": 255, "label_smoothing": smoothing, "reduction": reduction}
        given |= {} if weight is None else {"weight": tensor(weight, device)}
        if pixels is None:
            return cross_entropy(
                tensor(scores, device, **kw) if isinstance(scores, np.ndarray) else scores, labels(t, device), **given
            )
        scores = tensor(scores, device, **kw) if isinstance(scores, np.ndarray) else scores
        return weighted_cross_entropy(scores, labels(t, device), tensor(pixels, device), **given)

    expected = reference.cross_entropy(x, t, weight, 255, reduction, smoothing, pixels)
    for _, arranged in layouts(x):
        assert_close(loss(arranged), np.asarray(expected), atol=1e-12)
    upstream = rng.standard_normal(np.shape(expected))
    numerical = numerical_gradient(loss, x, upstream)
    infinite = x.copy()
    if ignoring:
        infinite[0, :, 1, 2] = [np.inf, 1, 2]
        infinite[1, :, 0, 0] = [np.nan, -np.inf, np.inf]
    leaf = tensor(infinite, device, requires_grad=True)
    with np.errstate(invalid="ignore"):
        y = loss(leaf)
    assert_close(y, np.asarray(expected), atol=1e-12)
    y.backward(tensor(upstream, device))
    np.testing.assert_allclose(to_numpy(leaf.grad), numerical, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("classes", "expected"), [(21, 3.04452), (2, 0.693147)])
def test_untrained_network(classes, expected, device):
    loss = cross_entropy(tensor(np.zeros((2, classes, 3, 2)), device), labels(np.ones((2, 3, 2)), device))
    assert abs(loss.item() - expected) < 5e-6


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_every_label_ignored(smoothing, rng, device):
    """0 with a gradient of 0 and a warning; only "mean" has something to divide by, so only it warns."""
    x = tensor(rng.standard_normal((2, 3, 2)), device, requires_grad=True)
    t = labels(np.full((2, 2), 255), device)
    with pytest.warns(UserWarning, match="every label is ignore_index=255"):
        loss = cross_entropy(x, t, ignore_index=255, label_smoothing=smoothing)
    loss.backward()
    assert loss.item() == 0
    assert_close(x.grad, np.zeros((2, 3, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cross_entropy(x, t, ignore_index=255, reduction="sum").item() == 0
        assert_close(cross_entropy(x, t, ignore_index=255, reduction="none"), np.zeros((2, 2)))


def test_classes_of_weight_zero(device):
    """Pixels of a class with weight 0 do not count; when there are no others, the mean is 0."""
    x, w = tensor([[1, 2], [3, 1]], device, requires_grad=True), tensor([0, 1], device)
    loss = cross_entropy(x, labels([0, 1], device), weight=w)
    assert_close(loss, reference.cross_entropy(to_numpy(x), np.array([1, 1]), np.array([0, 1]))
                 * 0 + math.log(math.exp(3) + math.exp(1)) - 1)  # fmt: skip
    loss.backward()
    assert_close(to_numpy(x.grad)[0], [0.0, 0])
    assert cross_entropy(x, labels([0, 0], device), weight=w).item() == 0


def test_no_score_overflows(device):
    x = tensor([[1e4, 0], [0, -1e4]], device, requires_grad=True)
    loss = cross_entropy(x, labels([1, 0], device), reduction="none")
    assert_close(loss, [1e4, 0])
    loss.sum().backward()
    assert_close(x.grad, [[1.0, -1], [0, 0]])


def test_probability_targets(rng, device):
    """-sum t ln p, divided by the number of pixels; one-hot probabilities give what labels give."""
    x, t = rng.standard_normal((2, 3, 4)), rng.dirichlet(np.ones(3), (2, 4)).swapaxes(1, 2)
    log_p = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    assert_close(cross_entropy(tensor(x, device), tensor(t, device)), np.array(-(t * log_p).sum() / 8), rtol=1e-12)
    w = np.array([1.0, 2, 3])
    weighted = -(w[None, :, None] * t * log_p).sum() / 8
    assert_close(cross_entropy(tensor(x, device), tensor(t, device), weight=tensor(w, device)), np.array(weighted), rtol=1e-12)
    y = rng.integers(0, 3, (2, 4))
    one_hot = np.moveaxis(np.eye(3)[y], -1, 1)
    for smoothing, reduction in itertools.product((0.0, 0.2), ("none", "sum", "mean")):
        arguments = {"label_smoothing": smoothing, "reduction": reduction}
        by_label = cross_entropy(tensor(x, device), labels(y, device), **arguments)
        assert_close(cross_entropy(tensor(x, device), tensor(one_hot, device), **arguments), by_label, rtol=1e-12)


def test_unbatched_and_empty(rng, device):
    x = rng.standard_normal(4)
    expected = reference.cross_entropy(x[None], np.array([2]))
    assert_close(cross_entropy(tensor(x, device), labels(2, device)), np.array(expected))
    assert cross_entropy(tensor(x, device), labels(2, device), reduction="none").shape == ()
    empty = tensor(np.zeros((0, 3, 2)), device, requires_grad=True)
    loss = cross_entropy(empty, labels(np.zeros((0, 2)), device))
    loss.backward()
    assert loss.item() == 0
    assert empty.grad is not None
    assert empty.grad.shape == (0, 3, 2)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64])
def test_labels_of_any_integer_kind(kind, rng, device):
    x = rng.standard_normal((3, 2))
    t = Tensor(to_device(np.array([0, 1, 255 if kind == np.uint8 else 1], kind), device))
    assert_close(
        cross_entropy(tensor(x, device), t, ignore_index=255), np.array(reference.cross_entropy(x, to_numpy(t), None, 255))
    )


def test_single_precision(rng, device):
    x = Tensor(to_device(rng.standard_normal((2, 3, 4)).astype(np.float32), device), requires_grad=True)
    w = Tensor(to_device(np.ones(3, np.float32), device))
    for reduction, smoothing in itertools.product(("mean", "sum", "none"), (0.0, 0.1)):
        loss = cross_entropy(x, labels(np.ones((2, 4)), device), w, reduction=reduction, label_smoothing=smoothing)
        assert loss.dtype == np.float32
        loss.sum().backward()
    pixels = tensor(np.ones((2, 4)), device)
    assert weighted_cross_entropy(x, labels(np.ones((2, 4)), device), pixels).dtype == np.float32


def test_pixel_weights_of_the_paper(rng, device):
    """Constant weights change nothing in the mean, and scale the sum."""
    x, t = tensor(rng.standard_normal((2, 3, 4)), device), labels(rng.integers(0, 3, (2, 4)), device)
    seven = tensor(np.full((2, 4), 7.0), device)
    assert_close(weighted_cross_entropy(x, t, seven), cross_entropy(x, t), rtol=1e-12)
    assert_close(weighted_cross_entropy(x, t, seven, reduction="sum"), 7 * cross_entropy(x, t, reduction="sum"), rtol=1e-12)


def test_squared_and_absolute(rng, device):
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    for function, definition in ((mse_loss, (a - b) ** 2), (l1_loss, abs(a - b))):
        assert_close(function(tensor(a, device), tensor(b, device), reduction="none"), definition)
        assert_close(function(tensor(a, device), tensor(b, device)), np.array(definition.sum() / 12))
        assert_close(function(tensor(a, device), tensor(b, device), reduction="sum"), np.array(definition.sum()))
    x = tensor([1, 2], device, requires_grad=True)
    l1_loss(x, tensor([1, 0], device), reduction="sum").backward()
    assert_close(x.grad, [0.0, 1])


X, T = np.zeros((2, 3, 4, 5)), np.zeros((2, 4, 5), np.int64)
ERRORS = [
    (
        lambda x, t: cross_entropy(x, t[:, None]),
        ValueError,
        ["cross_entropy", "(2, 3, 4, 5)", "(2, 4, 5)", "(2, 1, 4, 5)", "squeeze(1)"],
    ),
    (lambda x, t: cross_entropy(x, t[:1]), ValueError, ["cross_entropy", "target", "(1, 4, 5)"]),
    (lambda x, t: cross_entropy(x, x.long()), ValueError, ["cross_entropy", "one-hot", "argmax(1)"]),
    (lambda x, t: cross_entropy(x, t + 3), ValueError, ["cross_entropy", "label 3", "target[0, 0, 0]", "3 classes", "0 .. 2"]),
    (lambda x, t: cross_entropy(x, t + 255), ValueError, ["label 255", "ignore_index=255"]),
    (lambda x, t: cross_entropy(x, t - 1), ValueError, ["label -1"]),
    (lambda x, t: cross_entropy(x, t, weight=np.ones(4)), ValueError, ["cross_entropy", "weight", "(4,)", "3 classes"]),
    (lambda x, t: cross_entropy(x, t, weight=np.ones(3, np.float32)), TypeError, ["cross_entropy", "weight", "float32"]),
    (lambda x, t: cross_entropy(x, t, reduction="average"), ValueError, ["cross_entropy", "'average'", "'mean'"]),
    (lambda x, t: cross_entropy(x, t, label_smoothing=2), ValueError, ["cross_entropy", "label_smoothing=2"]),
    (lambda x, t: cross_entropy(x.long(), t), TypeError, ["cross_entropy", "input", "int64"]),
    (lambda x, t: cross_entropy(x, x[:, :2]), ValueError, ["cross_entropy", "probabilities", "(2, 3, 4, 5)", "(2, 2, 4, 5)"]),
    (lambda x, t: cross_entropy(x.sum(), t), ValueError, ["cross_entropy", "class axis"]),
    (
        lambda x, t: weighted_cross_entropy(x, t, np.ones((2, 4))),
        ValueError,
        ["weighted_cross_entropy", "pixel_weight", "(2, 4)", "(2, 4, 5)"],
    ),
    (lambda x, t: weighted_cross_entropy(x, x, np.ones((2, 4, 5))), TypeError, ["weighted_cross_entropy", "integer labels"]),
    (lambda x, t: mse_loss(x, x[:, :2]), ValueError, ["mse_loss", "(2, 3, 4, 5)", "(2, 2, 4, 5)", "axis -3"]),
    (lambda x, t: l1_loss(x, x, reduction="no"), ValueError, ["l1_loss", "'no'"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), ERRORS)
def test_errors_name_what_is_wrong(call, kind, words):
    with pytest.raises(kind) as error:
        call(Tensor(X), Tensor(T))
    for word in words:
        assert word in str(error.value)


# ---- large scores, which are worked on in blocks ----


SCORES = [(1, 21, 67, 71), (3, 2, 61, 83), (300, 3, 5, 4), (5, 4, 40, 33), (3000, 7), (2, 150, 9, 41)]


@pytest.mark.parametrize("shape", SCORES, ids=str)
@pytest.mark.parametrize("threads_used", [1, 3])
def test_blocks_of_pixels(shape, threads_used, rng, device):
    """Loss and gradient by the definition over whole arrays; every reduction, with weights, smoothing and ignored labels."""
    x, classes = rng.standard_normal(shape) * 3, shape[1]
    t = rng.integers(0, classes, (shape[0], *shape[2:]))
    t.reshape(-1)[::5] = 255
    w, valid = rng.uniform(0.5, 2, classes), t != 255
    upstream = rng.standard_normal(t.shape)
    row = (1, classes, *[1] * (len(shape) - 2))
    log_p = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    one_hot = np.moveaxis(np.eye(classes)[np.where(valid, t, 0)], -1, 1)
    before = threads.get_num_threads()
    threads.set_num_threads(threads_used)
    try:
        for smoothing, weighted, reduction in itertools.product((0.0, 0.1), (False, True), ("mean", "none")):
            weight = w if weighted else np.ones(classes)
            q = (one_hot * (1 - smoothing) + smoothing / classes) * weight.reshape(row) * valid[:, None]
            divisor = (weight[np.where(valid, t, 0)] * valid).sum() if reduction == "mean" else 1
            losses = -(q * log_p).sum(axis=1)
            dy = np.ones(t.shape) if reduction == "mean" else upstream
            dx = (np.exp(log_p) * q.sum(axis=1, keepdims=True) - q) * dy[:, None] / divisor
            for _, arranged in layouts(x):
                leaf = tensor(arranged, device, requires_grad=True)
                loss = cross_entropy(
                    leaf, labels(t, device), tensor(w, device) if weighted else None, ignore_index=255, reduction=reduction,
                    label_smoothing=smoothing,
                )  # fmt: skip
                loss.backward(None if reduction == "mean" else tensor(upstream, device))
                assert_close(loss, losses if reduction == "none" else np.array(losses.sum() / divisor), rtol=1e-11, atol=1e-11)
                assert_close(leaf.grad, dx, rtol=1e-10, atol=1e-13)
    finally:
        threads.set_num_threads(before)


@pytest.mark.parametrize("shape", [(2, 5, 31, 43), (30, 3, 5, 16), (900, 7)], ids=str)
@pytest.mark.parametrize("ignoring", [False, True])
@pytest.mark.parametrize("threads_used", [1, 2, 3])
def test_many_blocks_of_pixels(shape, ignoring, threads_used, rng, monkeypatch):
    """Blocks so small that several are needed, shared out over threads; what is kept is the gradient of the losses."""
    monkeypatch.setattr("minivision.functions.class_blocks.BLOCK", 1500)
    monkeypatch.setattr("minivision.functions.class_blocks.SHARED", 0)
    monkeypatch.setattr("minivision.functions.class_blocks.SMALLEST", 1)
    x, t = rng.standard_normal(shape) * 3, rng.integers(0, shape[1], (shape[0], *shape[2:]))
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    if ignoring:
        t.reshape(-1)[::3] = -1
    valid, label = t >= 0, np.maximum(t, 0)
    losses = -np.log(np.take_along_axis(p, label[:, None], axis=1)[:, 0]) * valid
    dx = (p - np.moveaxis(np.eye(shape[1])[label], -1, 1)) * valid[:, None]
    before = threads.get_num_threads()
    threads.set_num_threads(threads_used)
    try:
        for _, arranged in layouts(x):
            for reduction, divisor in (("none", 1), ("sum", 1), ("mean", valid.sum())):
                f = CrossEntropy(t, reduction=reduction)
                loss = f.forward(arranged)
                assert_close(loss, losses if reduction == "none" else losses.sum() / divisor, rtol=1e-11)
                assert_close(f.p, p, rtol=1e-9, atol=1e-13)
                upstream = rng.standard_normal(t.shape if reduction == "none" else ())
                expected = dx * (upstream[:, None] if reduction == "none" else upstream) / divisor
                assert_close(f.backward(upstream), expected, rtol=1e-9, atol=1e-13)
    finally:
        threads.set_num_threads(before)


@pytest.mark.parametrize("shape", [(1, 21, 31, 43), (200, 3, 5, 6)], ids=str)
def test_blocks_of_probabilities(shape, rng, device):
    x, t = rng.standard_normal(shape), rng.uniform(0, 1, shape)
    log_p = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    for (_, arranged), needed in itertools.product(layouts(x), (False, True)):
        leaf, target = tensor(arranged, device, requires_grad=True), tensor(t, device, requires_grad=needed)
        loss = cross_entropy(leaf, target, reduction="sum")
        loss.backward()
        assert_close(loss, np.array(-(t * log_p).sum()), rtol=1e-11)
        assert_close(leaf.grad, np.exp(log_p) * t.sum(axis=1, keepdims=True) - t, rtol=1e-10, atol=1e-13)
        if needed:
            assert_close(target.grad, -log_p, rtol=1e-10)


@pytest.mark.parametrize("shape", [(1, 21, 31, 43), (200, 3, 5, 6), (4000, 5)], ids=str)
def test_blocks_of_softmax(shape, rng, device):
    x, dy = rng.standard_normal(shape) * 40, rng.standard_normal(shape)
    centred = x - x.max(axis=1, keepdims=True)
    log_p = centred - np.log(np.exp(centred).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    for (_, arranged), (_, upstream) in itertools.product(layouts(x), layouts(dy)):
        for function, y, dx in (
            (softmax, p, p * (dy - (dy * p).sum(axis=1, keepdims=True))),
            (log_softmax, log_p, dy - p * dy.sum(axis=1, keepdims=True)),
        ):
            leaf = tensor(arranged, device, requires_grad=True)
            result = function(leaf, dim=1)
            result.backward(tensor(upstream, device))
            assert_close(result, y, rtol=1e-11, atol=1e-14)
            assert_close(leaf.grad, dx, rtol=1e-10, atol=1e-13)


def test_large_and_infinite_scores_in_blocks(rng, device):
    """No score overflows, and what is infinite on ignored pixels counts neither for the loss nor for the gradient."""
    x = rng.standard_normal((1, 3, 70, 60))
    t = rng.integers(0, 3, (1, 70, 60))
    t[0, :2] = 255
    expected = to_numpy(cross_entropy(tensor(x, device), labels(t, device), ignore_index=255))
    x[0, :, 0, 0], x[0, :, 0, 1], x[0, 0, 1, 1] = np.inf, np.nan, -np.inf
    leaf = tensor(x + 1e4, device, requires_grad=True)
    with np.errstate(invalid="ignore"):
        loss = cross_entropy(leaf, labels(t, device), ignore_index=255)
    loss.backward()
    assert_close(loss, expected, rtol=1e-9)
    assert_close(to_numpy(leaf.grad)[0, :, :2], np.zeros((3, 2, 60)))
    assert np.isfinite(to_numpy(leaf.grad)).all()
    with no_grad(), np.errstate(invalid="ignore"):
        assert_close(cross_entropy(tensor(x, device), labels(t, device), ignore_index=255), expected, rtol=1e-9)


def test_labels_changed_after_the_forward_pass(rng, device):
    """The loss keeps labels of its own."""
    x, t = tensor(rng.standard_normal((1, 3, 60, 61)), device, requires_grad=True), labels(np.ones((1, 60, 61)), device)
    loss = cross_entropy(x, t)
    expected = grad(loss, x, retain_graph=True)[0]
    t.array[...] = 0
    assert_close(grad(loss, x)[0], expected)
