# ---
# title: Softmax cross-entropy
# topic: loss
# level: 1
# points: 12
# ---

# %% [markdown]
# # Softmax cross-entropy
#
# A network answers with $C$ scores for each of $N$ samples, in the row $x_n$; scores are any real numbers. **Softmax** turns
# them into probabilities, and **cross-entropy** asks how surprised these are by the true label $y_n$:
#
# $$p_{nc} = \frac{e^{x_{nc}}}{\sum_k e^{x_{nk}}}, \qquad \ell_n = -\ln p_{n y_n}, \qquad L = \frac1N \sum_n \ell_n.$$
#
# If the true class has probability 1 the loss is 0; if all $C$ classes are equally likely it is $\ln C$, which is what an
# untrained network should show.
#
# **Why in segmentation.** A segmentation network is a classifier with a sample at each pixel. This loss is what nearly all of
# them are trained with; the exercise *Pixel cross-entropy* goes on from here.
#
# **Without overflow.** $e^{1000}$ is too large for any float, and $\ln$ of a probability that was rounded to 0 is $-\infty$.
# But adding a constant to all scores of a sample changes no probability. So subtract the largest score first,
# $z_{nc} = x_{nc} - \max_k x_{nk}$; then every $e^{z}$ lies in $[0, 1]$ and one of them is 1. And never take the logarithm of a
# small probability, but use
#
# $$\ell_n = \ln \sum_k e^{z_{nk}} - z_{n y_n}.$$
#
# **Backward.** The upstream gradient is a single number here, $g$, since $L$ is one. With $[c = y_n]$ for 1 at the true class
# and 0 elsewhere, the gradient to the scores is
#
# $$g\, \frac{\partial L}{\partial x_{nc}} = \frac{g}{N}\, \bigl(p_{nc} - [c = y_n]\bigr).$$
#
# So a step of gradient descent pushes every score down by its probability, and the true one up by 1. (Derive it: from
# $\ell_n = \ln \sum_k e^{x_{nk}} - x_{n y_n}$ it takes one line.)
#
# **An example by hand**, $N = 2$, $C = 3$, labels $y = (1, 2)$:
#
# | $x_n$ | $e^{x_n}$ | $p_n$ | $y_n$ | $\ell_n$ | gradient for $g = 1$ |
# |---|---|---|---|---|---|
# | $0, \ln 2, 0$ | $1, 2, 1$ | $\frac14, \frac12, \frac14$ | 1 | $\ln 2$ | $\frac18, -\frac14, \frac18$ |
# | $\ln 3, 0, 0$ | $3, 1, 1$ | $\frac35, \frac15, \frac15$ | 2 | $\ln 5$ | $\frac3{10}, \frac1{10}, -\frac4{10}$ |
#
# and $L = (\ln 2 + \ln 5) / 2 = 1.1513$.

# %%
import numpy as np


# %% tags=["task"]
def softmax(scores):
    """scores (N, C) -> probabilities (N, C) of the same dtype, whose rows sum to 1; right for scores of any size."""
    # BEGIN SOLUTION
    z = scores - scores.max(axis=1, keepdims=True)
    e = np.exp(z)
    return e / e.sum(axis=1, keepdims=True)
    # END SOLUTION


# %% tags=["task"]
def softmax_cross_entropy_forward(scores, labels):
    """scores (N, C), labels (N,) integers in 0 .. C-1 -> (loss, cache): the mean of -ln softmax(scores)[n, labels[n]]."""
    # BEGIN SOLUTION
    n = np.arange(len(scores))
    z = scores - scores.max(axis=1, keepdims=True)
    losses = np.log(np.exp(z).sum(axis=1)) - z[n, labels]  # (N,)
    return losses.mean(), (scores, labels)
    # END SOLUTION


# %% tags=["task"]
def softmax_cross_entropy_backward(dout, cache):
    """dout, a number: the gradient to the loss -> dscores (N, C), the gradient to the scores."""
    # BEGIN SOLUTION
    scores, labels = cache
    dscores = softmax(scores)
    dscores[np.arange(len(scores)), labels] -= 1
    return dout * dscores / len(scores)
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Sums and maxima run over the classes, axis 1. `keepdims=True` keeps that axis with length 1, so that the result can be
# subtracted from, or divided into, the $(N, C)$ scores.

# %% [markdown] tags=["hint"]
# "The entry of its label from every row" is one indexing with two integer arrays: `z[np.arange(N), labels]`, which has shape
# $(N,)$. It works on the left side of an assignment as well.

# %% [markdown] tags=["hint"]
# Loss: `np.log(np.exp(z).sum(axis=1)) - z[np.arange(N), labels]`, and then the mean. Gradient: take a *new* array of
# probabilities (if it is the one in your cache, a second backward would find it changed), subtract 1 at the labels, multiply by
# `dout / N`.

# %% tags=["figure"]
# The loss and its slope, as one score moves and the other two stay at 0.
score = np.linspace(-8, 8, 161)
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
for label, name in ((0, "it is the true class"), (1, "another is the true class")):
    losses, slopes = [], []
    for s in score:
        loss, cache = softmax_cross_entropy_forward(np.array([[s, 0.0, 0.0]]), np.array([label]))
        losses.append(loss)
        slopes.append(softmax_cross_entropy_backward(1.0, cache)[0, 0])
    left.plot(score, losses, label=name)
    right.plot(score, slopes, label=name)
left.axhline(np.log(3), color="0.8", zorder=0)
left.set(title="loss (grey: ln 3)", xlabel="score of class 0")
right.set(title="gradient to that score", xlabel="score of class 0")
left.legend()

# %% tags=["checks"]
from math import fsum, log

from minivision import check
from minivision.homework import checked, expect

SCORES = np.array([[0.0, np.log(2), 0.0], [np.log(3), 0.0, 0.0]])
LABELS = np.array([1, 2])


def random_scores(n, c, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return (2 * rng.standard_normal((n, c))).astype(dtype), rng.integers(0, c, n)


@checked("softmax: probabilities", points=2)
def softmax_values(student):
    expect.close("softmax of the example", student.softmax(SCORES.copy()), np.array([[0.25, 0.5, 0.25], [0.6, 0.2, 0.2]]))
    for n, c, dtype in ((4, 7, np.float64), (3, 3, np.float64), (2, 1, np.float64), (5, 2, np.float32)):
        scores, _ = random_scores(n, c, 0, dtype)
        before = scores.copy()
        p = student.softmax(scores)
        expect.equal("the scores after softmax", scores, before)
        exponentials = np.exp(scores.astype(np.float64))
        right = exponentials / np.array([[fsum(row)] for row in exponentials])
        expect.close(f"softmax of scores ({n}, {c})", p, right.astype(dtype))


@checked("softmax: no overflow", points=1)
def softmax_large(student):
    scores, _ = random_scores(3, 4, 1)
    right = student.softmax(scores)
    with np.errstate(all="ignore"):
        for shift in (1000.0, -1000.0):
            expect.close(f"softmax of scores {shift:+.0f}", student.softmax(scores + shift), right, rtol=1e-9)
        by_row = np.array([[900.0], [0.0], [-900.0]])
        expect.close("softmax of samples at 900, 0 and -900", student.softmax(scores + by_row), right, rtol=1e-9)


@checked("forward: the example by hand", points=1)
def forward_example(student):
    loss, _ = student.softmax_cross_entropy_forward(SCORES.copy(), LABELS.copy())
    expect.close("loss", loss, (log(2) + log(5)) / 2)


@checked("forward: the definition", points=2)
def forward_values(student):
    for n, c, dtype in ((5, 4, np.float64), (1, 3, np.float64), (7, 2, np.float32)):
        scores, labels = random_scores(n, c, 2, dtype)
        terms = [log(fsum(np.exp(x.astype(float)))) - float(x[y]) for x, y in zip(scores, labels, strict=True)]
        loss, _ = student.softmax_cross_entropy_forward(scores, labels)
        expect.close(f"loss of {n} samples, {dtype.__name__}", loss, fsum(terms) / n, rtol=1e-5 if dtype == np.float32 else None)
    loss, _ = student.softmax_cross_entropy_forward(np.zeros((3, 10)), np.array([0, 9, 4]))
    expect.close("loss of 10 equal scores (ln 10)", loss, log(10))


@checked("forward: large scores", points=2)
def forward_large(student):
    with np.errstate(all="ignore"):
        for scores, label, right in (([1000.0, 0.0], 0, 0.0), ([0.0, 800.0], 0, 800.0), ([-900.0, -901.0], 1, log(1 + np.e))):
            loss, cache = student.softmax_cross_entropy_forward(np.array([scores]), np.array([label]))
            expect.close(f"loss of scores {scores} with label {label}", loss, right, rtol=1e-9, atol=1e-9)
            d = student.softmax_cross_entropy_backward(1.0, cache)
            expect.that(bool(np.isfinite(expect.array("dscores", d)).all()), f"dscores is not finite for scores {scores}")


@checked("backward: the example by hand", points=1)
def backward_example(student):
    _, cache = student.softmax_cross_entropy_forward(SCORES.copy(), LABELS.copy())
    right = np.array([[1 / 8, -1 / 4, 1 / 8], [3 / 10, 1 / 10, -4 / 10]])
    expect.close("dscores", student.softmax_cross_entropy_backward(1.0, cache), right)
    expect.close("dscores for dout = -3", student.softmax_cross_entropy_backward(-3.0, cache), -3 * right)


@checked("backward: the gradient", points=3)
def backward_gradient(student):
    scores, labels = random_scores(5, 4, 3)
    return check.backward(student.softmax_cross_entropy_forward, student.softmax_cross_entropy_backward, scores, labels)


# %% tags=["mutants"]
MUTANTS = {
    "overflow": """
def softmax(scores):
    e = np.exp(scores)
    return e / e.sum(axis=1, keepdims=True)
""",
    "one maximum for all samples": """
def softmax(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum(axis=1, keepdims=True)
""",
    "softmax over the samples": """
def softmax(scores):
    e = np.exp(scores - scores.max(axis=0))
    return e / e.sum(axis=0)
""",
    "divided by the sum of everything": """
def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum()
""",
    "the scores are changed": """
def softmax(scores):
    scores -= scores.max(axis=1, keepdims=True)
    e = np.exp(scores)
    return e / e.sum(axis=1, keepdims=True)
""",
    "the logarithm of a probability that is 0": """
def softmax_cross_entropy_forward(scores, labels):
    p = softmax(scores)
    return -np.log(p[np.arange(len(p)), labels]).mean(), (scores, labels)
""",
    "a small number under the logarithm": """
def softmax_cross_entropy_forward(scores, labels):
    p = softmax(scores)
    return -np.log(p[np.arange(len(p)), labels] + 1e-8).mean(), (scores, labels)
""",
    "the sum, not the mean": """
def softmax_cross_entropy_forward(scores, labels):
    z = scores - scores.max(axis=1, keepdims=True)
    losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]
    return losses.sum(), (scores, labels)

def softmax_cross_entropy_backward(dout, cache):
    scores, labels = cache
    d = softmax(scores)
    d[np.arange(len(d)), labels] -= 1
    return dout * d
""",
    "every label with every sample": """
def softmax_cross_entropy_forward(scores, labels):
    z = scores - scores.max(axis=1, keepdims=True)
    losses = np.log(np.exp(z).sum(axis=1)) - z[:, labels]
    return losses.mean(), (scores, labels)
""",
    "one loss for each sample": """
def softmax_cross_entropy_forward(scores, labels):
    z = scores - scores.max(axis=1, keepdims=True)
    return np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels], (scores, labels)
""",
    "log2": """
def softmax_cross_entropy_forward(scores, labels):
    z = scores - scores.max(axis=1, keepdims=True)
    losses = np.log2(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]
    return losses.mean(), (scores, labels)
""",
    "the 1/N of the mean forgotten": """
def softmax_cross_entropy_backward(dout, cache):
    scores, labels = cache
    d = softmax(scores)
    d[np.arange(len(d)), labels] -= 1
    return dout * d
""",
    "divided by N and C": """
def softmax_cross_entropy_backward(dout, cache):
    scores, labels = cache
    d = softmax(scores)
    d[np.arange(len(d)), labels] -= 1
    return dout * d / d.size
""",
    "the upstream forgotten": """
def softmax_cross_entropy_backward(dout, cache):
    scores, labels = cache
    d = softmax(scores)
    d[np.arange(len(d)), labels] -= 1
    return d / len(d)
""",
    "the upstream forgotten in one term": """
def softmax_cross_entropy_backward(dout, cache):
    scores, labels = cache
    d = dout * softmax(scores)
    d[np.arange(len(d)), labels] -= 1
    return d / len(d)
""",
    "the wrong sign": """
def softmax_cross_entropy_backward(dout, cache):
    scores, labels = cache
    d = -softmax(scores)
    d[np.arange(len(d)), labels] += 1
    return dout * d / len(d)
""",
    "only the probabilities": """
def softmax_cross_entropy_backward(dout, cache):
    scores, labels = cache
    return dout * softmax(scores) / len(scores)
""",
    "1 is subtracted in whole columns": """
def softmax_cross_entropy_backward(dout, cache):
    scores, labels = cache
    d = softmax(scores)
    d[:, labels] -= 1
    return dout * d / len(d)
""",
    "the cache is changed": """
def softmax_cross_entropy_forward(scores, labels):
    z = scores - scores.max(axis=1, keepdims=True)
    losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]
    return losses.mean(), (softmax(scores), labels)

def softmax_cross_entropy_backward(dout, cache):
    p, labels = cache
    p[np.arange(len(p)), labels] -= 1
    return dout * p / len(p)
""",
}
RIGHT = {
    "one-hot labels": """
def softmax_cross_entropy_forward(scores, labels):
    one_hot = np.eye(scores.shape[1], dtype=scores.dtype)[labels]
    z = scores - np.max(scores, axis=1, keepdims=True)
    log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.sum(one_hot * log_p) / len(scores), (np.exp(log_p), one_hot)

def softmax_cross_entropy_backward(dout, cache):
    p, one_hot = cache
    return dout * (p - one_hot) / p.shape[0]
""",
    "loops": """
def softmax(scores):
    p = np.zeros_like(scores)
    for n in range(scores.shape[0]):
        e = np.exp(scores[n] - max(scores[n]))
        p[n] = e / sum(e)
    return p

def softmax_cross_entropy_forward(scores, labels):
    loss = 0.0
    for n, y in enumerate(labels):
        m = scores[n].max()
        loss += m + np.log(np.exp(scores[n] - m).sum()) - scores[n, y]
    return loss / len(labels), (scores, labels)

def softmax_cross_entropy_backward(dout, cache):
    scores, labels = cache
    d = np.zeros_like(scores)
    for n, y in enumerate(labels):
        d[n] = softmax(scores[n : n + 1])[0]
        d[n, y] -= 1
    return dout / len(labels) * d
""",
    "the gradient in the forward": """
def softmax_cross_entropy_forward(scores, labels):
    N = scores.shape[0]
    z = scores - scores.max(axis=1, keepdims=True)
    sums = np.exp(z).sum(axis=1)
    loss = (np.log(sums) - z[range(N), labels]).mean()
    gradient = np.exp(z) / sums[:, None]
    gradient[range(N), labels] -= 1
    return loss, gradient / N

def softmax_cross_entropy_backward(dout, cache):
    return dout * cache
""",
}
