# ---
# title: Pixel cross-entropy
# topic: loss
# level: 2
# points: 15
# ---

# %% [markdown]
# # Pixel cross-entropy
#
# A segmentation network gives $C$ scores for every pixel, an array $(N, C, H, W)$; the truth is one label for every pixel,
# $(N, H, W)$. The loss is softmax cross-entropy with the pixels as samples, and two things that every data set makes necessary.
#
# **Ignored pixels.** Nobody can say exactly where a horse ends. In Pascal VOC a border around each object has the label 255,
# *not annotated*; those pixels must add nothing to the loss, receive no gradient, and not count in the mean.
#
# **Class weights.** Road covers a third of a street scene, a pedestrian one pixel in a hundred. A weight $w_c$ for each class
# lets the rare ones count more.
#
# With $p = \text{softmax}(x)$ over the $C$ scores of each pixel, $y_i$ the label of pixel $i$, and sums over the pixels of all
# $N$ images that are **not ignored**,
#
# $$L = \frac{\sum_i w_{y_i} \ell_i}{\sum_i w_{y_i}}, \qquad \ell_i = -\ln p_{i y_i}, \qquad
# \frac{\partial L}{\partial x_{ic}} = \frac{w_{y_i}}{\sum_j w_{y_j}} \bigl(p_{ic} - [c = y_i]\bigr).$$
#
# The divisor is the *sum of the weights*, not the number of pixels: it is a weighted mean, as in PyTorch. Without weights,
# $w = 1$ and it is the number of pixels that count. If no pixel counts, $L = 0$ and all gradients are 0.
#
# **An example by hand**: one image of $1 \times 3$ pixels, $C = 2$, weights $w = (1, 3)$, the same scores $(0, \ln 3)$ at each
# pixel, hence $p = (\frac14, \frac34)$, and the labels $0, 1, 255$.
#
# | pixel | label | $\ell$ | $w_y$ | gradient to the two scores, for an upstream of 1 |
# |---|---|---|---|---|
# | 0 | 0 | $\ln 4$ | 1 | $\frac14 (\frac14 - 1, \frac34) = (-\frac3{16}, \frac3{16})$ |
# | 1 | 1 | $\ln \frac43$ | 3 | $\frac34 (\frac14, \frac34 - 1) = (\frac3{16}, -\frac3{16})$ |
# | 2 | 255 | | | $(0, 0)$ |
#
# $L = (\ln 4 + 3 \ln \frac43) / 4 = 0.5623$.
#
# As in *Softmax cross-entropy*, subtract the largest score of each pixel before the exponential, so that nothing overflows, and
# take $\ell = \ln \sum_k e^{z_k} - z_y$. Real images have a million pixels: write no loop over pixels.

# %%
import numpy as np


# %% tags=["task"]
def pixel_cross_entropy_forward(scores, labels, weight=None, ignore_index=255):
    """The weighted mean of -ln softmax at the labels, over all pixels that are not ignored.

    scores (N, C, H, W); labels (N, H, W), integers of any dtype, in 0 .. C-1 or ignore_index; weight (C,), or None for all 1.
    Returns (loss, cache); the loss is a number, 0 where all pixels are ignored.
    """
    # BEGIN SOLUTION
    counts = labels != ignore_index  # (N, H, W)
    label = np.where(counts, labels, 0)[:, None]  # (N, 1, H, W), any valid index where ignored
    weight = np.ones(scores.shape[1], scores.dtype) if weight is None else weight
    own = np.where(counts, weight[label[:, 0]], 0)  # (N, H, W), w_y, and 0 where ignored
    total = own.sum()
    if total == 0:
        total = 1  # then own is 0 as well, and so are loss and gradient

    z = scores - scores.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))  # (N, C, H, W)
    losses = -np.take_along_axis(log_p, label, axis=1)[:, 0]
    return (own * losses).sum() / total, (log_p, label, own / total)
    # END SOLUTION


# %% tags=["task"]
def pixel_cross_entropy_backward(dout, cache):
    """dout, a number: the gradient to the loss -> dscores (N, C, H, W), the gradient to the scores; 0 at ignored pixels."""
    # BEGIN SOLUTION
    log_p, label, share = cache
    dscores = np.exp(log_p)
    true = np.take_along_axis(dscores, label, axis=1)
    np.put_along_axis(dscores, label, true - 1, axis=1)
    return dout * share[:, None] * dscores
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Begin with a mask, `counts = labels != ignore_index`. 255 is no valid index, so before you index anything with the labels,
# replace it by some class, in a copy: `np.where(counts, labels, 0)`. What is computed at those pixels is then multiplied by 0.

# %% [markdown] tags=["hint"]
# `weight[label]` looks up the weight of every pixel at once. Multiply it by the mask: the result, `own`, is the weight in the
# numerator, and its sum is the divisor.

# %% [markdown] tags=["hint"]
# The class axis is axis 1. `np.take_along_axis(log_p, label[:, None], axis=1)` picks the entry of the true class at each pixel
# and `np.put_along_axis` writes it. Comparing `label[:, None] == np.arange(C)[:, None, None]` gives one-hot labels
# $(N, C, H, W)$, with which everything becomes a multiplication.

# %% [markdown] tags=["hint"]
# Gradient: `(p - one_hot) * own[:, None] / total * dout`. Beware of `total == 0`: divide by 1 then.

# %% tags=["figure"]
# Which pixels pull? The size of the gradient at each pixel, for a network that is unsure everywhere.
rows, columns = np.mgrid[:40, :60]
far = np.hypot(rows - 18, columns - 20) - 12  # the distance to a disc
labels = (far < 0).astype(int)
labels[(rows > 27) & (columns > 46)] = 2  # a small object
labels[abs(far) < 1.5] = 255  # the border is not annotated
scores = np.random.default_rng(0).standard_normal((1, 3, 40, 60))
pixels = np.array([(labels == c).sum() for c in range(3)])
fig, axes = plt.subplots(1, 3, figsize=(10, 2.5), layout="constrained")
axes[0].imshow(np.where(labels == 255, 3, labels), cmap="tab10", vmin=0, vmax=9)
axes[0].set_title("labels (red: ignored)")
for ax, weight, title in zip(axes[1:], (None, pixels.sum() / pixels), ("without weights", "weights 1 / frequency")):
    loss, cache = pixel_cross_entropy_forward(scores, labels[None], weight)
    size = np.abs(pixel_cross_entropy_backward(1.0, cache)).sum(axis=1)[0]
    shown = ax.imshow(size, cmap="magma")
    ax.set_title(f"|gradient| {title}, loss {loss:.2f}", fontsize=9)
    fig.colorbar(shown, ax=ax)
for ax in axes:
    ax.set(xticks=[], yticks=[])

# %% tags=["checks"]
from math import fsum, log

from minivision import check
from minivision.homework import checked, expect

SCORES = np.zeros((1, 2, 1, 3))
SCORES[:, 1] = np.log(3)
LABELS = np.array([[[0, 1, 255]]])


def drawn(n, c, h, w, seed, ignored=0.3, ignore_index=255, dtype=np.float64):
    rng = np.random.default_rng(seed)
    scores = (2 * rng.standard_normal((n, c, h, w))).astype(dtype)
    labels = rng.integers(0, c, (n, h, w))
    labels[rng.random((n, h, w)) < ignored] = ignore_index
    return scores, labels


def pixel_by_pixel(scores, labels, weight, ignore_index):
    terms, weights = [], []
    for n, i, j in np.ndindex(labels.shape):
        y = labels[n, i, j]
        if y != ignore_index:
            x = scores[n, :, i, j].astype(float)
            weights.append(1.0 if weight is None else float(weight[y]))
            terms.append(weights[-1] * (log(fsum(np.exp(x))) - x[y]))
    return fsum(terms) / fsum(weights)


@checked("forward: the example by hand", points=1)
def forward_example(student):
    loss, _ = student.pixel_cross_entropy_forward(SCORES.copy(), LABELS.copy(), np.array([1.0, 3.0]), 255)
    expect.close("loss", loss, (log(4) + 3 * log(4 / 3)) / 4)


@checked("forward: no weights, nothing ignored", points=2)
def forward_plain(student):
    for n, c, h, w, dtype in ((2, 4, 3, 5, np.float64), (1, 2, 1, 4, np.float64), (3, 3, 3, 3, np.float32)):
        scores, labels = drawn(n, c, h, w, 0, ignored=0, dtype=dtype)
        loss, _ = student.pixel_cross_entropy_forward(scores, labels)
        rtol = 1e-5 if dtype == np.float32 else None
        expect.close(
            f"loss for {dtype.__name__} scores {scores.shape}", loss, pixel_by_pixel(scores, labels, None, 255), rtol=rtol
        )
    loss, _ = student.pixel_cross_entropy_forward(np.zeros((2, 21, 3, 4)), np.full((2, 3, 4), 20))
    expect.close("loss of 21 equal scores (ln 21)", loss, log(21))


@checked("forward: ignored pixels do not count", points=2)
def forward_ignored(student):
    for ignore_index, dtype in ((255, np.uint8), (-100, np.int64), (0, np.int64), (255, np.int64)):
        scores, labels = drawn(2, 3, 5, 4, 1, ignore_index=ignore_index)
        loss, _ = student.pixel_cross_entropy_forward(scores, labels.astype(dtype), None, ignore_index)
        expect.close(f"loss with ignore_index={ignore_index}", loss, pixel_by_pixel(scores, labels, None, ignore_index))
    other = np.where((labels == 255)[:, None], 50.0, scores)
    again, _ = student.pixel_cross_entropy_forward(other, labels)
    expect.close("loss after changing the scores of ignored pixels", again, float(loss))


@checked("forward: class weights", points=2)
def forward_weights(student):
    scores, labels = drawn(2, 3, 5, 4, 2)
    weight = np.array([0.2, 1.0, 5.0])
    loss, _ = student.pixel_cross_entropy_forward(scores, labels, weight)
    expect.close("loss with weights", loss, pixel_by_pixel(scores, labels, weight, 255))
    twice, _ = student.pixel_cross_entropy_forward(scores, labels, 2 * weight)
    expect.close("loss with all weights doubled, which is the same mean,", twice, float(loss))


@checked("forward: large scores", points=1)
def forward_large(student):
    scores = np.array([[1000.0, 0.0], [0.0, -900.0], [5.0, -900.0]]).reshape(3, 2, 1, 1)
    labels = np.array([0, 1, 1]).reshape(3, 1, 1)
    loss, _ = student.pixel_cross_entropy_forward(scores, labels)
    expect.close("loss of scores between -900 and 1000", loss, (0.0 + 900.0 + 905.0) / 3)


@checked("backward: the example by hand", points=1)
def backward_example(student):
    _, cache = student.pixel_cross_entropy_forward(SCORES.copy(), LABELS.copy(), np.array([1.0, 3.0]), 255)
    right = np.array([[-3 / 16, 3 / 16, 0.0], [3 / 16, -3 / 16, 0.0]]).reshape(1, 2, 1, 3)
    expect.close("dscores", student.pixel_cross_entropy_backward(1.0, cache), right)
    expect.close("dscores for dout = -2", student.pixel_cross_entropy_backward(-2.0, cache), -2 * right)


@checked("backward: the gradient", points=3)
def backward_gradient(student):
    scores, labels = drawn(2, 3, 4, 5, 3)
    return check.backward(student.pixel_cross_entropy_forward, student.pixel_cross_entropy_backward, scores, labels)


@checked("backward: the gradient with weights", points=2)
def backward_weights(student):
    scores, labels = drawn(2, 4, 3, 5, 4)
    weight = np.array([0.2, 1.0, 0.0, 5.0])
    forward, backward = student.pixel_cross_entropy_forward, student.pixel_cross_entropy_backward
    return check.backward(forward, backward, scores, labels, weight, wrt="scores")


@checked("everything ignored: 0, not NaN", points=1)
def all_ignored(student):
    scores, labels = drawn(1, 3, 2, 3, 5, ignored=2)
    loss, cache = student.pixel_cross_entropy_forward(scores, labels)
    expect.close("loss", loss, 0.0)
    expect.equal("dscores", student.pixel_cross_entropy_backward(1.0, cache), np.zeros_like(scores))


# %% tags=["mutants"]
_FORWARD = """
def pixel_cross_entropy_forward(scores, labels, weight=None, ignore_index=255):
    counts = labels != ignore_index
    label = np.where(counts, labels, 0)[:, None]
    weight = np.ones(scores.shape[1], scores.dtype) if weight is None else weight
    own = weight[label[:, 0]] * counts
    total = own.sum() or 1
    z = scores - scores.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    losses = -np.take_along_axis(log_p, label, axis=1)[:, 0]
    return (own * losses).sum() / total, (log_p, label, own / total)
"""
_BACKWARD = """
def pixel_cross_entropy_backward(dout, cache):
    log_p, label, share = cache
    dscores = np.exp(log_p)
    true = np.take_along_axis(dscores, label, axis=1)
    np.put_along_axis(dscores, label, true - 1, axis=1)
    return dout * share[:, None] * dscores
"""
MUTANTS = {
    "ignored pixels count as class 0": _FORWARD.replace("weight[label[:, 0]] * counts", "weight[label[:, 0]]"),
    "the mean over all pixels": _FORWARD.replace("own.sum() or 1", "labels.size"),
    "the mean over the pixels that count, not over their weights": _FORWARD.replace("own.sum() or 1", "counts.sum() or 1"),
    "the mean over the images": _FORWARD.replace("own.sum() or 1", "len(scores)"),
    "NaN when all is ignored": _FORWARD.replace("own.sum() or 1", "own.sum()"),
    "255 whatever ignore_index says": _FORWARD.replace("labels != ignore_index", "labels != 255"),
    "everything below the index counts": _FORWARD.replace("labels != ignore_index", "labels < ignore_index"),
    "the weights are not used": _FORWARD.replace("own = weight[label[:, 0]] * counts", "own = counts.astype(scores.dtype)"),
    "the weights in the divisor only": _FORWARD.replace("(own * losses).sum()", "(counts * losses).sum()"),
    "overflow": _FORWARD.replace("z = scores - scores.max(axis=1, keepdims=True)", "z = scores"),
    "softmax over the row": _FORWARD.replace("sum(axis=1, keepdims=True)", "sum(axis=3, keepdims=True)"),
    "one maximum for the whole batch": _FORWARD.replace("scores.max(axis=1, keepdims=True)", "scores.max()"),
    "the labels are changed": _FORWARD.replace(
        "label = np.where(counts, labels, 0)[:, None]", "labels[~counts] = 0\n    label = labels.astype(int)[:, None]"
    ),
    "one-hot by reshaping channels-first scores": _FORWARD.replace(
        "z = scores -", "scores = scores.reshape(len(scores), *scores.shape[2:], -1).transpose(0, 3, 1, 2)\n    z = scores -"
    ),
    "ignored pixels get a gradient": _BACKWARD.replace("share[:, None] * dscores", "share.max() * dscores"),
    "1 / (pixels) only": """
def pixel_cross_entropy_backward(dout, cache):
    log_p, label, share = cache
    dscores = np.exp(log_p)
    true = np.take_along_axis(dscores, label, axis=1)
    np.put_along_axis(dscores, label, true - 1, axis=1)
    return dout * (share > 0)[:, None] * dscores / (share > 0).sum()
""",
    "the mean forgotten": _BACKWARD.replace("share[:, None] * dscores", "share[:, None] / share.sum() * dscores * share.size"),
    "1 is not subtracted": _BACKWARD.replace("true - 1", "true"),
    "the sign": _BACKWARD.replace("return dout", "return -dout"),
    "the upstream forgotten": _BACKWARD.replace("return dout * ", "return "),
    "minus 1 at the ignored pixels too": """
def pixel_cross_entropy_backward(dout, cache):
    log_p, label, share = cache
    dscores = np.exp(log_p) * share[:, None]
    true = np.take_along_axis(dscores, label, axis=1)
    np.put_along_axis(dscores, label, true - share.max(), axis=1)
    return dout * dscores
""",
}
RIGHT = {
    "pixels as rows": """
def pixel_cross_entropy_forward(scores, labels, weight=None, ignore_index=255):
    shape = scores.shape
    flat = scores.transpose(0, 2, 3, 1).reshape(-1, shape[1])
    y = labels.reshape(-1)
    keep = np.nonzero(y != ignore_index)[0]
    x, y = flat[keep], y[keep].astype(int)
    w = np.ones(shape[1], scores.dtype) if weight is None else weight
    if len(keep) == 0:
        return 0.0, (shape, keep, np.zeros((0, shape[1]), scores.dtype))
    z = x - x.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    share = w[y] / w[y].sum()
    loss = -(share * log_p[np.arange(len(y)), y]).sum()
    d = np.exp(log_p)
    d[np.arange(len(y)), y] -= 1
    return loss, (shape, keep, d * share[:, None])

def pixel_cross_entropy_backward(dout, cache):
    (N, C, H, W), keep, d = cache
    out = np.zeros((N * H * W, C), d.dtype)
    out[keep] = dout * d
    return out.reshape(N, H, W, C).transpose(0, 3, 1, 2)
""",
    "one-hot labels": """
def pixel_cross_entropy_forward(scores, labels, weight=None, ignore_index=255):
    N, C, H, W = scores.shape
    if weight is None:
        weight = np.ones(C)
    classes = np.arange(C)[None, :, None, None]
    one_hot = (labels[:, None] == classes) & (labels != ignore_index)[:, None]
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.sum(e, axis=1, keepdims=True))
    w = (one_hot * weight[None, :, None, None].astype(scores.dtype))
    total = w.sum() if w.sum() > 0 else scores.dtype.type(1)
    return -(w * log_p).sum() / total, (p, one_hot, w, total)

def pixel_cross_entropy_backward(dout, cache):
    p, one_hot, w, total = cache
    return dout * (p - one_hot) * w.sum(axis=1, keepdims=True) / total
""",
    "loops": """
def pixel_cross_entropy_forward(scores, labels, weight=None, ignore_index=255):
    total, loss = 0.0, 0.0
    d = np.zeros_like(scores)
    for n in range(scores.shape[0]):
        for i in range(scores.shape[2]):
            for j in range(scores.shape[3]):
                y = int(labels[n, i, j])
                if y == ignore_index:
                    continue
                w = 1.0 if weight is None else weight[y]
                z = scores[n, :, i, j] - scores[n, :, i, j].max()
                s = np.exp(z).sum()
                loss += w * (np.log(s) - z[y])
                total += w
                d[n, :, i, j] = w * np.exp(z) / s
                d[n, y, i, j] -= w
    if total == 0:
        total = 1.0
    return scores.dtype.type(loss / total), d / scores.dtype.type(total)

def pixel_cross_entropy_backward(dout, cache):
    return dout * cache
""",
}
