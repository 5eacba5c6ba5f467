# ---
# title: Batch normalisation
# topic: normalisation
# level: 2
# points: 15
# ---

# %% [markdown]
# # Batch normalisation
#
# The input $x$ is $(N, C, H, W)$. For each channel $c$ we take the mean and the variance of its $m = NHW$ numbers, over all
# images and all pixels of the batch, and shift and scale the channel so that its mean is 0 and its variance 1. Two learned
# numbers per channel, $\gamma_c$ and $\beta_c$, then give it the scale and the mean that the network likes:
#
# $$\mu_c = \frac1m \sum_{n,i,j} x_{ncij},\qquad \sigma_c^2 = \frac1m \sum_{n,i,j} (x_{ncij} - \mu_c)^2,\qquad
# \hat x_{ncij} = \frac{x_{ncij} - \mu_c}{\sqrt{\sigma_c^2 + \varepsilon}},\qquad y_{ncij} = \gamma_c\, \hat x_{ncij} + \beta_c.$$
#
# The small $\varepsilon$ stands under the root, so that a channel that is constant does not divide by 0.
#
# **Why in segmentation.** Nearly every encoder has this layer after each convolution. However the layers before it scale
# their outputs, the next one gets numbers of size 1, so large learning rates work. It also explains a common surprise: with
# small batches $\mu$ and $\sigma$ are noisy, and segmentation networks, whose images are large, have small batches.
#
# **Backward.** Let $g = \partial L / \partial y$. The two learned numbers are easy: $\gamma_c$ multiplies $\hat x$, $\beta_c$
# is added, both everywhere in their channel:
#
# $$\frac{\partial L}{\partial \beta_c} = \sum_{n,i,j} g_{ncij},\qquad
# \frac{\partial L}{\partial \gamma_c} = \sum_{n,i,j} g_{ncij}\, \hat x_{ncij}.$$
#
# For $x$ there are three ways from $x_{ncij}$ to the loss: directly, through $\mu_c$, and through $\sigma_c^2$. All three
# together are
#
# $$\frac{\partial L}{\partial x} = \frac{\gamma_c}{\sqrt{\sigma_c^2 + \varepsilon}}
# \Bigl( g - \underbrace{\tfrac1m \textstyle\sum g}_{\text{through } \mu} - \hat x \cdot
# \underbrace{\tfrac1m \textstyle\sum g\, \hat x}_{\text{through } \sigma^2} \Bigr),$$
#
# with the sums over $n, i, j$ of the channel. Derive it once on paper. It has a meaning: a shift or a stretch of the whole
# channel does not change $y$ (but for $\varepsilon$), so the parts of $g$ that would ask for one are taken out.
#
# **An example by hand**: one image, one channel, four pixels, $\gamma = 2$, $\beta = 10$, $\varepsilon = 0$.
#
# | | | | | | |
# |---|---|---|---|---|---|
# | $x$ | $1$ | $1$ | $3$ | $3$ | $\mu = 2,\ \sigma^2 = 1$ |
# | $\hat x$ | $-1$ | $-1$ | $1$ | $1$ | |
# | $y$ | $8$ | $8$ | $12$ | $12$ | |
# | $g$ | $1$ | $0$ | $0$ | $3$ | mean of $g$: $1$; mean of $g \hat x$: $\tfrac12$ |
# | $\partial L/\partial x$ | $1$ | $-1$ | $-3$ | $3$ | $2\,(g - 1 - \tfrac12 \hat x)$ |
#
# and $\partial L / \partial \beta = 4$, $\partial L / \partial \gamma = 2$.
#
# **Evaluation.** When the network is used, one image must not depend on which others are in its batch. So a mean and a
# variance that were collected during training take the place of $\mu$ and $\sigma^2$: that is the third function.

# %%
import numpy as np


# %% tags=["task"]
def batch_norm_forward(x, gamma, beta, eps=1e-5):
    """x (N, C, H, W), gamma (C,), beta (C,) -> (out, cache): each channel normalised over N, H, W; of x's shape and dtype."""
    # BEGIN SOLUTION
    mean = x.mean(axis=(0, 2, 3), keepdims=True)  # (1, C, 1, 1)
    var = ((x - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
    std = np.sqrt(var + eps)
    xhat = (x - mean) / std
    out = gamma[:, None, None] * xhat + beta[:, None, None]  # (C, 1, 1) goes with (N, C, H, W)
    return out, (xhat, std, gamma)
    # END SOLUTION


# %% tags=["task"]
def batch_norm_backward(dout, cache):
    """dout (N, C, H, W) -> (dx, dgamma, dbeta): the gradients to x (N, C, H, W), gamma (C,) and beta (C,)."""
    # BEGIN SOLUTION
    xhat, std, gamma = cache
    dbeta = dout.sum(axis=(0, 2, 3))
    dgamma = (dout * xhat).sum(axis=(0, 2, 3))
    mean_g = dout.mean(axis=(0, 2, 3), keepdims=True)
    mean_gx = (dout * xhat).mean(axis=(0, 2, 3), keepdims=True)
    dx = gamma[:, None, None] / std * (dout - mean_g - xhat * mean_gx)
    return dx, dgamma, dbeta
    # END SOLUTION


# %% tags=["task"]
def batch_norm_evaluate(x, gamma, beta, mean, var, eps=1e-5):
    """x (N, C, H, W); gamma, beta, mean, var (C,) -> y (N, C, H, W), normalised with the given mean and variance."""
    # BEGIN SOLUTION
    scale = gamma / np.sqrt(var + eps)
    return scale[:, None, None] * (x - mean[:, None, None]) + beta[:, None, None]
    # END SOLUTION


# %% [markdown] tags=["hint"]
# `x.mean(axis=(0, 2, 3), keepdims=True)` has the shape $(1, C, 1, 1)$ and goes with `x` in every formula. A vector $(C,)$
# does not: NumPy would set it against the last axis, the columns. `gamma[:, None, None]` is $(C, 1, 1)$.

# %% [markdown] tags=["hint"]
# Backward needs $\hat x$, $\sqrt{\sigma^2 + \varepsilon}$ and $\gamma$: three things for the cache. `dgamma` and `dbeta` are
# sums, not means, without `keepdims`: they have the shape $(C,)$.

# %% [markdown] tags=["hint"]
# Where `dx` comes from: write $\hat x = (x - \mu)/s$. The derivative of $\hat x_k$ to $x_l$ (two of the $m$ numbers of a
# channel) is $\frac1s \bigl(\delta_{kl} - \frac1m - \frac1m \hat x_k \hat x_l\bigr)$. Multiply by $\gamma g_k$ and sum over
# $k$.

# %% [markdown] tags=["hint"]
# `dx = gamma[:, None, None] / std * (dout - dout.mean(...) - xhat * (dout * xhat).mean(...))`, each mean with
# `axis=(0, 2, 3), keepdims=True`.

# %% tags=["figure"]
# What it does to three channels; and why: fitting a plane to features of very different scales by gradient descent.
rng = np.random.default_rng(0)
features = rng.standard_normal((200, 3, 1, 1)) * [[[1.0]], [[0.3]], [[5.0]]] + [[[4.0]], [[-1.0]], [[0.0]]]
normed, _ = batch_norm_forward(features, np.ones(3), np.zeros(3))
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(9.5, 2.8), layout="constrained")
for ax, values, title in ((left, features, "three channels"), (middle, normed, "after batch_norm_forward")):
    for c in range(3):
        ax.hist(values[:, c].ravel(), bins=np.linspace(-8, 8, 49), alpha=0.6, label=f"channel {c}")
    ax.set(title=title, xlabel="value")
left.legend(fontsize=8)

target = features[:, :, 0, 0] @ np.array([1.0, -4.0, 0.3])
for name, rate in (("without", 0.015), ("with batch norm", 0.3)):
    gamma, beta, bias, losses = np.zeros(3), np.zeros(3), 0.0, []
    for _ in range(60):
        if name == "without":
            x, out = features, gamma[:, None, None] * features
        else:
            out, cache = batch_norm_forward(features, gamma, beta)
        error = out.sum(axis=(1, 2, 3)) + bias - target  # the sum of the channels, plus a bias, shall be the target
        losses.append(np.mean(error**2))
        g = np.ones_like(features) * (2 * error / len(error))[:, None, None, None]
        dgamma = (g * x).sum(axis=(0, 2, 3)) if name == "without" else batch_norm_backward(g, cache)[1]
        gamma, bias = gamma - rate * dgamma, bias - rate * 2 * error.mean()
    right.semilogy(losses, label=f"{name}, rate {rate}")
right.set(title="descent", xlabel="step", ylabel="loss", ylim=(1e-8, 1e2))
right.legend(fontsize=8)

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect


def drawn(shape, seed, dtype=np.float64):
    """x with channels of different means and scales, gamma and beta."""
    rng = np.random.default_rng(seed)
    channels = shape[1]
    x = rng.standard_normal(shape) * rng.uniform(0.5, 3, (channels, 1, 1)) + rng.uniform(-2, 2, (channels, 1, 1))
    return x.astype(dtype), rng.uniform(0.5, 2, channels).astype(dtype), rng.standard_normal(channels).astype(dtype)


def channel_by_channel(x, gamma, beta, eps):
    out = np.zeros_like(x)
    for c in range(x.shape[1]):
        numbers = x[:, c].astype(np.float64).ravel()
        mean = sum(numbers) / len(numbers)
        var = sum((v - mean) ** 2 for v in numbers) / len(numbers)
        out[:, c] = gamma[c] * (x[:, c] - mean) / (var + eps) ** 0.5 + beta[c]
    return out


EXAMPLE = np.array([1.0, 1.0, 3.0, 3.0]).reshape(1, 1, 2, 2)


@checked("forward: the example by hand", points=1)
def forward_example(student):
    out, _ = student.batch_norm_forward(EXAMPLE.copy(), np.array([2.0]), np.array([10.0]), 0.0)
    expect.close("out", out, np.array([8.0, 8.0, 12.0, 12.0]).reshape(1, 1, 2, 2))


@checked("forward: the definition", points=3)
def forward_values(student):
    for shape, eps, dtype in (((2, 3, 4, 5), 1e-5, np.float64), ((3, 2, 3, 2), 0.5, np.float64), ((2, 4, 4, 4), 0.1, np.float32)):
        x, gamma, beta = drawn(shape, 0, dtype)
        out, _ = student.batch_norm_forward(x, gamma, beta, eps)
        expect.close(f"out for x {shape}, eps = {eps}", out, channel_by_channel(x, gamma, beta, eps))


@checked("forward: a constant channel, and one far from 0", points=1)
def forward_edges(student):
    x, gamma, beta = drawn((2, 3, 4, 5), 1)
    x[:, 1] = 7.0
    right = channel_by_channel(x, gamma, beta, 1e-5)
    expect.close("out with a constant channel", student.batch_norm_forward(x, gamma, beta)[0], right)
    x, gamma, beta = drawn((2, 3, 4, 5), 2)
    x += 1e6
    right = channel_by_channel(x, gamma, beta, 1e-5)
    expect.close("out for values near a million", student.batch_norm_forward(x, gamma, beta)[0], right)


@checked("backward: the example by hand", points=1)
def backward_example(student):
    _, cache = student.batch_norm_forward(EXAMPLE.copy(), np.array([2.0]), np.array([10.0]), 0.0)
    gradients = student.batch_norm_backward(np.array([1.0, 0.0, 0.0, 3.0]).reshape(1, 1, 2, 2), cache)
    expect.that(
        type(gradients) is tuple and len(gradients) == 3, "batch_norm_backward must return three arrays: return dx, dgamma, dbeta"
    )
    dx, dgamma, dbeta = gradients
    expect.close("dx", dx, np.array([1.0, -1.0, -3.0, 3.0]).reshape(1, 1, 2, 2))
    expect.close("dgamma", dgamma, np.array([2.0]))
    expect.close("dbeta", dbeta, np.array([4.0]))


@checked("backward: the gradient", points=6)
def backward_gradient(student):
    x, gamma, beta = drawn((2, 3, 4, 3), 3)
    return check.backward(student.batch_norm_forward, student.batch_norm_backward, x, gamma, beta, 0.1)


@checked("backward: float32 stays float32", points=1)
def backward_dtype(student):
    x, gamma, beta = drawn((2, 3, 4, 5), 4, np.float32)
    _, cache = student.batch_norm_forward(x, gamma, beta)
    gradients = student.batch_norm_backward(x[::-1].copy(), cache)
    for name, gradient, of in zip(("dx", "dgamma", "dbeta"), gradients, (x, gamma, beta)):
        expect.shape(name, gradient, of.shape)
        expect.that(gradient.dtype == np.float32, f"{name} is {gradient.dtype} where float32 is right, as x is")


@checked("evaluation: each image by itself", points=2)
def evaluation(student):
    x, gamma, beta = drawn((2, 3, 4, 5), 5)
    mean, var = np.array([0.5, -1.0, 2.0]), np.array([1.0, 4.0, 0.25])
    right = np.empty_like(x)
    for c in range(3):
        right[:, c] = (x[:, c] - mean[c]) / (var[c] + 0.2) ** 0.5 * gamma[c] + beta[c]
    expect.close("y", student.batch_norm_evaluate(x, gamma, beta, mean, var, 0.2), right)
    alone = student.batch_norm_evaluate(x[:1], gamma, beta, mean, var, 0.2)
    expect.close("y of the first image alone", alone, right[:1])


# %% tags=["mutants"]
_FORWARD = """
def batch_norm_forward(x, gamma, beta, eps=1e-5):
    axes = (0, 2, 3)
    mean = x.mean(axis=axes, keepdims=True)
    var = x.var(axis=axes, keepdims=True)
    std = np.sqrt(var + eps)
    xhat = (x - mean) / std
    out = gamma[:, None, None] * xhat + beta[:, None, None]
    return out, (xhat, std, gamma)
"""
_BACKWARD = """
def batch_norm_backward(dout, cache):
    xhat, std, gamma = cache
    axes = (0, 2, 3)
    dbeta, dgamma = dout.sum(axis=axes), (dout * xhat).sum(axis=axes)
    mean_g, mean_gx = dout.mean(axis=axes, keepdims=True), (dout * xhat).mean(axis=axes, keepdims=True)
    dx = gamma[:, None, None] / std * (dout - mean_g - xhat * mean_gx)
    return dx, dgamma, dbeta
"""
MUTANTS = {
    "over the batch only": _FORWARD.replace("axes = (0, 2, 3)", "axes = 0"),
    "over each image alone (instance norm)": _FORWARD.replace("axes = (0, 2, 3)", "axes = (2, 3)"),
    "over the channels (layer norm)": _FORWARD.replace("axes = (0, 2, 3)", "axes = (1, 2, 3)"),
    "the unbiased variance": _FORWARD.replace("keepdims=True)\n    std", "keepdims=True, ddof=1)\n    std"),
    "divided by the variance": _FORWARD.replace("np.sqrt(var + eps)", "(var + eps)"),
    "eps outside the root": _FORWARD.replace("np.sqrt(var + eps)", "np.sqrt(var) + eps"),
    "eps squared": _FORWARD.replace("np.sqrt(var + eps)", "np.sqrt(var + eps**2)"),
    "no eps": _FORWARD.replace("np.sqrt(var + eps)", "np.sqrt(var)"),
    "the variance from the mean of the squares": _FORWARD.replace(
        "x.var(axis=axes, keepdims=True)", "(x**2).mean(axis=axes, keepdims=True) - mean**2"
    ),
    "gamma along the columns": _FORWARD.replace("gamma[:, None, None] * xhat + beta[:, None, None]", "gamma * xhat + beta"),
    "gamma and beta forgotten": _FORWARD.replace("gamma[:, None, None] * xhat + beta[:, None, None]", "xhat"),
    "mean and variance taken as constant": _BACKWARD.replace("(dout - mean_g - xhat * mean_gx)", "dout"),
    "the way through the variance forgotten": _BACKWARD.replace(" - xhat * mean_gx", ""),
    "the way through the mean forgotten": _BACKWARD.replace(" - mean_g -", " -"),
    "sums in place of means": _BACKWARD.replace("dout.mean(", "dout.sum(").replace("(dout * xhat).mean(", "(dout * xhat).sum("),
    "gamma forgotten in dx": _BACKWARD.replace("gamma[:, None, None] / std", "1 / std"),
    "multiplied by the deviation": _BACKWARD.replace("/ std", "* std"),
    "dgamma with y in place of the normalised x": _BACKWARD.replace(
        "(dout * xhat).sum(", "(dout * (gamma[:, None, None] * xhat)).sum("
    ),
    "dgamma and dbeta as means": _BACKWARD.replace("dout.sum(", "dout.mean(").replace("xhat).sum(", "xhat).mean("),
    "dgamma and dbeta exchanged": _BACKWARD.replace("return dx, dgamma, dbeta", "return dx, dbeta, dgamma"),
    "dgamma keeps its axes": _BACKWARD.replace("(dout * xhat).sum(axis=axes)", "(dout * xhat).sum(axis=axes, keepdims=True)"),
    "zero, as with an upstream of ones": _BACKWARD.replace("return dx,", "return np.zeros_like(dx),"),
    "evaluation with the batch's own statistics": """
def batch_norm_evaluate(x, gamma, beta, mean, var, eps=1e-5):
    return batch_norm_forward(x, gamma, beta, eps)[0]
""",
    "evaluation with the standard deviation for the variance": """
def batch_norm_evaluate(x, gamma, beta, mean, var, eps=1e-5):
    gamma, beta, mean, var = (v[:, None, None] for v in (gamma, beta, mean, var))
    return gamma * (x - mean) / (var + eps) + beta
""",
}
RIGHT = {
    "channel by channel": """
def batch_norm_forward(x, gamma, beta, eps=1e-5):
    out, saved = np.zeros_like(x), []
    for c in range(x.shape[1]):
        centred = x[:, c] - np.mean(x[:, c])
        inverse = 1 / np.sqrt(np.mean(centred * centred) + eps)
        out[:, c] = gamma[c] * centred * inverse + beta[c]
        saved.append((centred * inverse, inverse, gamma[c]))
    return out, saved

def batch_norm_backward(dout, cache):
    dx, dgamma, dbeta = np.zeros_like(dout), np.zeros(len(cache), dout.dtype), np.zeros(len(cache), dout.dtype)
    for c, (xhat, inverse, gamma) in enumerate(cache):
        g = dout[:, c]
        dbeta[c] = g.sum()
        dgamma[c] = (g * xhat).sum()
        dx[:, c] = gamma * inverse * (g - (dbeta[c] + xhat * dgamma[c]) / g.size)
    return dx, dgamma, dbeta
""",
    "step by step, with the channels last": """
def batch_norm_forward(x, gamma, beta, eps=1e-5):
    n, c, h, w = x.shape
    rows = x.transpose(0, 2, 3, 1).reshape(-1, c)
    centred = rows - rows.mean(axis=0)
    std = np.sqrt((centred**2).mean(axis=0) + eps)
    out = gamma * (centred / std) + beta
    return out.reshape(n, h, w, c).transpose(0, 3, 1, 2), (centred, std, gamma, x.shape)

def batch_norm_backward(dout, cache):
    centred, std, gamma, (n, c, h, w) = cache
    g = dout.transpose(0, 2, 3, 1).reshape(-1, c)
    m = len(g)
    dbeta = g.sum(axis=0)
    dgamma = (g * centred / std).sum(axis=0)
    dxhat = g * gamma
    dstd = -(dxhat * centred).sum(axis=0) / std**2
    dvar = dstd / (2 * std)
    dcentred = dxhat / std + 2 * centred * dvar / m
    drows = dcentred - dcentred.sum(axis=0) / m
    return drows.reshape(n, h, w, c).transpose(0, 3, 1, 2), dgamma, dbeta
""",
}
