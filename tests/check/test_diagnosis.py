"""Each known mistake, made once on purpose, is called by its name.

The mistakes of single operations are made here with the library's own functions: the gradient of a *different* operation, or of
different settings, is returned. So neither forward nor backward shares code with the tables that name them.
"""

from __future__ import annotations

import numpy as np
import pytest

import minivision.nn.functional as F
from minivision import check, ops
from minivision.autograd import Tensor
from minivision.autograd.engine import grad
from minivision.check import tie_free


def values(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def said(report):
    assert report.verdict == "wrong", report
    return " ".join(sentence for _, sentence in report.diagnosis)


def pair(right, wrong):
    """(forward, backward) with the forward of one function of Tensors and the gradient of another."""

    def forward(*inputs):
        return right(*(Tensor(a) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in inputs)).numpy()

    def backward(dout, *inputs):
        leaves = [Tensor(a).requires_grad_() if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in inputs]
        floating = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        y = wrong(*leaves)
        found = grad([y], floating, [Tensor(np.asarray(dout).reshape(y.shape))], allow_unused=True)
        return [np.zeros(leaf.shape) if g is None else g.numpy() for g, leaf in zip(found, floating, strict=True)]

    return forward, backward


X, IMAGE = values(3, 4), values(2, 3, 6, 5)
W, B = values(4, 3, 3, 2, seed=1), values(4, seed=2)
LABELS, PIXELS = np.array([1, 0, 3]), np.random.default_rng(3).integers(0, 3, (2, 6, 5))
PIXELS[0, 1, 2] = 255
GAMMA, BETA = 1 + values(3, seed=4) ** 2, values(3, seed=5)
BOXES = np.array([[0, 1.2, 0.3, 7.9, 6.1], [1, 0.4, 2.2, 8.1, 9.3]])


def conv(stride=1, padding=0, dilation=1, groups=1):
    return lambda x, w, b: F.conv2d(x, w, b, stride, padding, dilation, groups)


def flip(w):
    return w.flip((2, 3))


def norm(x, gamma, beta, eps=1e-2, dims=(0, 2, 3), unbiased=False):
    mean, var = x.mean(dims, keepdim=True), x.var(dims, unbiased=unbiased, keepdim=True)
    return (x - mean) / (var + eps).sqrt() * gamma.reshape(1, 3, 1, 1) + beta.reshape(1, 3, 1, 1)


# name: right function, the function whose gradient is returned instead, inputs, words
OPERATIONS = {
    "ReLU: |x|": (F.relu, lambda x: x.abs(), (X,), ["sign(x)"]),
    "ReLU: mask inverted": (F.relu, lambda x: -F.relu(-x), (X,), ["inverted"]),
    "leaky ReLU: no slope": (lambda x: F.leaky_relu(x, 0.2), F.relu, (X,), ["slope is missing"]),
    "leaky ReLU: slope squared": (lambda x: F.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.04), (X,), ["slope squared"]),
    "sigmoid: tanh": (F.sigmoid, F.tanh, (X,), []),
    "softmax: wrong axis": (lambda x: F.softmax(x, 1), lambda x: F.softmax(x, 0), (X,), []),
    "log-softmax: softmax": (
        lambda x: F.log_softmax(x, 1),
        lambda x: F.softmax(x, 1),
        (X,),
        ["of softmax, not of its logarithm"],
    ),
    "cross-entropy: sum for mean": (
        F.cross_entropy,
        lambda x, t: F.cross_entropy(x, t, reduction="sum"),
        (X, LABELS),
        ["too large", "N"],
    ),
    "cross-entropy: mean for sum": (
        lambda x, t: F.cross_entropy(x, t, reduction="sum"),
        F.cross_entropy,
        (X, LABELS),
        ["too small", "a mean over the labels"],
    ),
    "cross-entropy: labels off by one": (
        F.cross_entropy,
        lambda x, t: F.cross_entropy(x, (t + 1) % 4),
        (X, LABELS),
        ["off by one"],
    ),
    "cross-entropy: NLL of the logits": (F.cross_entropy, F.nll_loss, (X, LABELS), ["the softmax is missing"]),
    "pixels: ignored label clipped": (
        lambda x, t: F.cross_entropy(x, t, ignore_index=255),
        lambda x, t: F.cross_entropy(x, np.minimum(t, 2), ignore_index=255) * (60 / 59),
        (IMAGE, PIXELS),
        ["last class"],
    ),
    "pixels: divided by the images": (
        lambda x, t: F.cross_entropy(x, t, ignore_index=255),
        lambda x, t: F.cross_entropy(x, t, ignore_index=255, reduction="sum") / 2,
        (IMAGE, PIXELS),
        ["the number of images"],
    ),
    "BCE: target inverted": (
        lambda x: F.binary_cross_entropy_with_logits(x, Tensor((X > 0.3) * 1.0)),
        lambda x: F.binary_cross_entropy_with_logits(x, Tensor((X <= 0.3) * 1.0)),
        (values(3, 4, seed=9),),
        ["inverted"],
    ),
    "convolution: flipped": (
        conv(2, 1),
        lambda x, w, b: F.conv2d(x, flip(w), b, 2, 1),
        (IMAGE, W, B),
        ["dx", "w flipped in both", "dw", "flipped in both axes"],
    ),
    "convolution: off by one": (
        conv(1, 1),
        lambda x, w, b: F.conv2d(F.pad(x, (0, 2, 1, 1)), w, b),
        (IMAGE, W, B),
        ["off by one pixel"],
    ),
    "convolution: dilation for stride": (
        conv(1, 1, (2, 1)),
        lambda x, w, b: F.conv2d(F.pad(x, (1, 1, 1, -1)), w, b, 1),
        (IMAGE, W, B),
        ["ignores the dilation"],
    ),
    "transposed: kernel flipped": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, 2),
        lambda x, w, b: F.conv_transpose2d(x, flip(w), b, 2),
        (values(2, 4, 3, 3), values(4, 2, 2, 2), values(2)),
        ["dx", "w flipped in both", "dw", "flipped in both axes"],
    ),
    "max pooling: average": (
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 2),
        (tie_free(2, 3, 4, 6),),
        ["average pooling"],
    ),
    "max pooling: every entry": (
        lambda x: F.max_pool2d(x, 3, 1),
        lambda x: 9 * F.avg_pool2d(x, 3, 1),
        (tie_free(2, 3, 4, 6),),
        ["every entry"],
    ),
    "max pooling: minimum": (
        lambda x: F.max_pool2d(x, 3, 2),
        lambda x: -F.max_pool2d(-x, 3, 2),
        (tie_free(2, 3, 7, 5),),
        ["smallest"],
    ),
    "average pooling: sum": (lambda x: F.avg_pool2d(x, 3, 2, 1), lambda x: 9 * F.avg_pool2d(x, 3, 2, 1), (IMAGE,), ["divisor"]),
    "average pooling: maximum": (
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.max_pool2d(x, 2),
        (tie_free(2, 3, 4, 6),),
        ["max pooling"],
    ),
    "nearest: mean": (
        lambda x: F.interpolate(x, scale_factor=2),
        lambda x: F.interpolate(x, scale_factor=2) / 4,
        (IMAGE,),
        ["mean of each block"],
    ),
    "bilinear: align_corners": (
        lambda x: F.interpolate(x, (9, 11), mode="bilinear", align_corners=False),
        lambda x: F.interpolate(x, (9, 11), mode="bilinear", align_corners=True),
        (IMAGE,),
        ["align_corners=True, but the forward has align_corners=False"],
    ),
    "bilinear: nearest": (
        lambda x: F.interpolate(x, (9, 11), mode="bilinear", align_corners=True),
        lambda x: F.interpolate(x, (9, 11)),
        (IMAGE,),
        ["nearest neighbour"],
    ),
    "batch norm: eps": (norm, lambda x, c, b: norm(x, c, b, 0.0), (IMAGE, GAMMA, BETA), []),
    "batch norm: n - 1": (norm, lambda x, c, b: norm(x, c, b, unbiased=True), (IMAGE, GAMMA, BETA), []),
    "batch norm: gamma": (norm, lambda x, c, b: norm(x, c * 0 + 1, b), (IMAGE, GAMMA, BETA), ["lacks the factor gamma"]),
    "batch norm: constants": (
        norm,
        lambda x, c, b: (
            (x - x.mean((0, 2, 3), keepdim=True).detach())
            / (x.var((0, 2, 3), unbiased=False, keepdim=True).detach() + 1e-2).sqrt()
            * c.reshape(1, 3, 1, 1)
            + b.reshape(1, 3, 1, 1)
        ),
        (IMAGE, GAMMA, BETA),
        ["mean and variance as constants"],
    ),
    "batch norm: no mean term": (
        norm,
        lambda x, c, b: (
            (x - x.mean((0, 2, 3), keepdim=True).detach())
            / (x.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-2).sqrt()
            * c.reshape(1, 3, 1, 1)
            + b.reshape(1, 3, 1, 1)
        ),
        (IMAGE, GAMMA, BETA),
        ["mean missing"],
    ),
    "RoIAlign: aligned": (
        lambda x, r: ops.roi_align(x, r, 2, 0.5, 2, True),
        lambda x, r: ops.roi_align(x, r, 2, 0.5, 2, False),
        (IMAGE, BOXES),
        ["aligned=False, but the forward has aligned=True"],
    ),
    "RoIAlign: scale": (
        lambda x, r: ops.roi_align(x, r, 2, 0.5, 2, True),
        lambda x, r: ops.roi_align(x, r, 2, 1.0, 2, True),
        (IMAGE, BOXES),
        ["ignores spatial_scale"],
    ),
    "RoIAlign: samples": (
        lambda x, r: ops.roi_align(x, r, 2, 0.5, 2, True),
        lambda x, r: ops.roi_align(x, r, 2, 0.5, 1, True),
        (IMAGE, BOXES),
        ["1 sample along each side"],
    ),
    "RoIAlign: image 0": (
        lambda x, r: ops.roi_align(x, r, 2, 0.5, 2, True),
        lambda x, r: ops.roi_align(x, r * np.array([0.0, 1, 1, 1, 1]), 2, 0.5, 2, True),
        (IMAGE, BOXES),
        ["image 0 for every box"],
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_mistakes_of_an_operation(name):
    right, wrong, inputs, words = OPERATIONS[name]
    wrt = 0 if "RoI" in name else None
    report = check.backward(*pair(right, wrong), *inputs, wrt=wrt, names=["x", "w", "b"][: len(inputs)])
    text = said(report)
    for word in words:
        assert word in text, report


# ---- mistakes that can be told of any operation: here one that no table knows ----


def any_forward(x, w):
    """y[n, o, i, j] with every input used several times, by no standard operation."""
    return np.einsum("ncij,oc->noij", np.sin(x) + np.roll(x, 1, axis=3), w) ** 3 / 10


def any_backward(dout, x, w):
    z = np.einsum("ncij,oc->noij", np.sin(x) + np.roll(x, 1, axis=3), w)
    g = dout * 3 * z**2 / 10
    dz = np.einsum("noij,oc->ncij", g, w)
    return dz * np.cos(x) + np.roll(dz, -1, axis=3), np.einsum("noij,ncij->oc", g, np.sin(x) + np.roll(x, 1, axis=3))


def without(changed):
    def backward(dout, x, w):
        dx, dw = any_backward(dout, x, w)
        return changed(dx, dw, dout, x, w)

    return backward


def upstream(change):
    return lambda dout, x, w: any_backward(change(dout), x, w)


def only(array, at):
    kept = np.zeros_like(array)
    kept[at] = array[at]
    return kept


GENERIC = {
    "sign": (without(lambda dx, dw, *_: (-dx, dw)), ["dx has the wrong sign"]),
    "zero": (without(lambda dx, dw, *_: (dx, 0 * dw)), ["dw is zero everywhere"]),
    "batch": (without(lambda dx, dw, *_: (dx, dw / 4)), ["dw", "too small by the factor 4, N, the size of the batch"]),
    "positions": (without(lambda dx, dw, *_: (dx * 15, dw)), ["dx", "too large by the factor 15", "positions"]),
    "half": (without(lambda dx, dw, *_: (dx / 2, dw)), ["dx", "half of what it should be"]),
    "a constant": (without(lambda dx, dw, *_: (1.23 * dx, dw)), ["dx", "the right one times 1.23"]),
    "flipped": (without(lambda dx, dw, *_: (dx[:, :, ::-1].copy(), dw)), ["dx equals the right one", "flipped along axis 2"]),
    "transposed": (without(lambda dx, dw, *_: (dx, dw.T.copy())), ["dw equals the right one", "transposed"]),
    "reshaped": (
        without(lambda dx, dw, *_: (dx.transpose(0, 2, 3, 1).reshape(dx.shape), dw)),
        ["dx holds the right numbers in the wrong places"],
    ),
    "permuted": (
        without(lambda dx, dw, *_: (dx[:, [1, 0, 2]], dw)),
        ["dx has the channels along axis 1 in the wrong order: [1, 0, 2]"],
    ),
    "rolled": (without(lambda dx, dw, *_: (np.roll(dx, 1, 3), dw)), ["dx is rolled by +1 along axis 3"]),
    "shifted": (
        without(lambda dx, dw, *_: (np.pad(dx, ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1], dw)),
        ["dx is shifted by a pixel"],
    ),
    "passed through": (without(lambda dx, dw, dout, x, w: (dout.copy(), dw)), ["dx is the upstream gradient passed through"]),
    "one sample": (upstream(lambda d: only(d, np.s_[0:1])), ["uses only sample 0 of dout: the sum over the batch is missing"]),
    "one too few": (upstream(lambda d: only(d, np.s_[:-1])), ["leaves out the last sample of dout"]),
    "ones": (upstream(np.ones_like), ["ignores the upstream gradient"]),
    "mean": (upstream(lambda d: np.broadcast_to(d.mean(1, keepdims=True), d.shape)), ["the mean of dout along axis 1"]),
    "dout flipped": (upstream(lambda d: d[:, :, :, ::-1]), ["reads dout flipped along axis 3"]),
    "dout transposed": (upstream(lambda d: d.transpose(0, 2, 3, 1).reshape(d.shape)), ["reads dout reshaped from axes"]),
    "decay": (
        without(lambda dx, dw, dout, x, w: (dx, dw + 0.01 * w)),
        ["dw contains an extra term 0.01 * w, as weight decay adds"],
    ),
    "plus dout": (without(lambda dx, dw, dout, x, w: (dx + dout, dw)), ["dx contains dout once too often"]),
    "border": (
        without(lambda dx, dw, *_: (only(dx, np.s_[:, :, 1:-1, 1:-1]), dw)),
        ["dx is right inside, but zero at the border"],
    ),
    "a channel": (without(lambda dx, dw, *_: (only(dx, np.s_[:, :2]), dw)), ["dx is zero for channel 2"]),
    "transposed shape": (
        without(lambda dx, dw, *_: (dx.transpose(0, 2, 3, 1), dw)),
        ["dx has shape (4, 3, 5, 3)", ".transpose(0, 3, 1, 2)"],
    ),
    "no sum": (
        lambda d, x, w: (any_backward(d, x, w)[0], np.stack([any_backward(d[n : n + 1], x[n : n + 1], w)[1] for n in range(4)])),
        ["dw has shape (4, 3, 3)", "the sum over the batch is missing"],
    ),
    "padding": (without(lambda dx, dw, *_: (np.pad(dx, ((0, 0), (0, 0), (1, 1), (1, 1))), dw)), ["the padding is not removed"]),
    "flat": (without(lambda dx, dw, *_: (dx.reshape(4, -1), dw)), ["to be reshaped to the input's shape"]),
}


@pytest.mark.parametrize("name", GENERIC)
def test_mistakes_of_any_operation(name):
    backward, words = GENERIC[name]
    report = check.backward(any_forward, backward, values(4, 3, 3, 5), values(3, 3, seed=1))
    text = said(report)
    for word in words:
        assert word in text, report
    assert check.backward(any_forward, any_backward, values(4, 3, 3, 5), values(3, 3, seed=1)).ok


def overlapping(x):
    """Windows of four with a step of two, of a row."""
    return np.stack([np.sin(x[i : i + 4]).sum() * (i + 1) for i in range(0, len(x) - 3, 2)])


def test_written_over():
    def assigned(dout, x):
        dx = np.zeros_like(x)
        for k, i in enumerate(range(0, len(x) - 3, 2)):
            dx[i : i + 4] = dout[k] * np.cos(x[i : i + 4]) * (i + 1)
        return dx

    assert "dx keeps only the last of the contributions that overlap: = where += belongs" in said(
        check.backward(overlapping, assigned, values(11))
    )


def test_the_diagonal_alone():
    def forward(x):
        return x / np.sqrt(1 + (x**2).sum(axis=1, keepdims=True))

    def backward(dout, x):
        r = 1 / np.sqrt(1 + (x**2).sum(axis=1, keepdims=True))
        return dout * (r - x**2 * r**3)

    assert "dx takes only the diagonal of the Jacobian" in said(check.backward(forward, backward, X))


def test_the_wrong_order_of_returning():
    report = check.backward(
        lambda a, b: a * np.exp(b), lambda d, a, b: (d * a * np.exp(b), d * np.exp(b)), X, values(3, 4, seed=1)
    )
    assert "da is the right gradient of b: returned in the wrong order" in said(report)


def test_the_jacobian_not_transposed():
    a = values(4, 4)
    report = check.backward(lambda x: np.tanh(a @ x), lambda d, x: a @ (d * (1 - np.tanh(a @ x) ** 2)), values(4))
    assert report.verdict == "wrong"
    report = check.backward(lambda x: a @ x, lambda d, x: a @ d, values(4))
    assert "applies the forward operation to dout, J g, where its transpose belongs" in said(report)


# ---- recognising ----

SCENES = {
    "a convolution with stride (2, 1), padding (1, 0)": (lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 0)), (IMAGE, W, B)),
    "a convolution with stride 1, padding 0, dilation 2": (lambda x, w, b: F.conv2d(x, w, b, 1, 0, 2), (IMAGE, W, B)),
    "a convolution with stride 1, padding 0, 3 groups": (
        lambda x, w: F.conv2d(x, w, None, 1, 0, 1, 3),
        (IMAGE, values(6, 1, 2, 3)),
    ),
    "a transposed convolution with stride 2, padding 1": (
        lambda x, w: F.conv_transpose2d(x, w, None, 2, 1),
        (IMAGE, values(3, 2, 3, 3)),
    ),
    "max pooling over windows of 3 x 3 with stride 2, padding 1": (lambda x: F.max_pool2d(x, 3, 2, 1), (tie_free(2, 3, 6, 5),)),
    "average pooling over windows of 2 x 2 with stride 2": (lambda x: F.avg_pool2d(x, 2), (IMAGE,)),
    "nearest neighbour upsampling by 3 x 2": (lambda x: F.interpolate(x, (18, 10)), (IMAGE,)),
    "bilinear interpolation to 4 x 7 with align_corners=True": (
        lambda x: F.interpolate(x, (4, 7), mode="bilinear", align_corners=True),
        (IMAGE,),
    ),
    "batch normalisation with eps 0.01": (norm, (IMAGE, GAMMA, BETA)),
    "instance normalisation with eps 1e-05": (F.instance_norm, (IMAGE,)),
    "softmax along axis 1": (lambda x: F.softmax(x, 1), (IMAGE,)),
    "cross-entropy over axis 1, divided by N": (lambda x: F.cross_entropy(x, LABELS), (X,)),
    "cross-entropy over axis 1, divided by the number of labels that are not ignored, 1 labels ignored": (
        lambda x: F.cross_entropy(x, PIXELS, ignore_index=255),
        (IMAGE,),
    ),
    "leaky ReLU with slope 0.3": (lambda x: F.leaky_relu(x, 0.3), (X,)),
    "RoIAlign with spatial_scale 0.5, sampling_ratio 2, aligned=True": (
        lambda x, r: ops.roi_align(x, r, 2, 0.5, 2, True),
        (IMAGE, BOXES),
    ),
}


@pytest.mark.parametrize("name", SCENES)
def test_operations_are_recognised(name):
    right, inputs = SCENES[name]
    report = check.backward(*pair(right, lambda *a: 1.7 * right(*a)), *inputs, wrt=0)
    assert f"forward computes {name}" in report.notes, report
    assert "1.7" in said(report)


def test_what_is_no_known_operation_is_not_recognised():
    report = check.backward(any_forward, without(lambda dx, dw, *_: (dx * 1.7, dw)), values(4, 3, 3, 5), values(3, 3))
    assert not any("forward computes" in note for note in report.notes)


def test_nothing_is_made_up():
    """A gradient that is wrong in no known way gets no name."""
    noise = values(4, 3, 3, 5, seed=8)
    report = check.backward(any_forward, without(lambda dx, dw, *_: (dx + noise * dx, dw)), values(4, 3, 3, 5), values(3, 3))
    assert report.verdict == "wrong"
    assert report.diagnosis == []
    assert "differences" in report.summary
