# ---
# title: Affine layer
# topic: linear
# level: 1
# points: 10
# ---

# %% [markdown]
# # Affine layer
#
# Each of $N$ samples has $D$ features, the row $x_n$. The layer makes $M$ scores of them: a weighted sum for each score, plus a
# constant,
#
# $$y_{nm} = \sum_{d} x_{nd}\, w_{md} + b_m, \qquad\text{as matrices}\quad Y = X W^\top + b.$$
#
# $X$ is $(N, D)$, $W$ is $(M, D)$ with one row of weights for each output, $b$ is $(M,)$ and is added to every row, $Y$ is
# $(N, M)$.
#
# **Why in segmentation.** The last layer of FCN and of U-Net, the $1 \times 1$ convolution, is just this layer with the pixels
# as samples: it turns the $D$ features of a pixel into a score for each of $M$ classes. The figure below does so with $D = 3$
# colours.
#
# **Backward.** Given $G = \partial L / \partial Y$, of shape $(N, M)$, what is the loss's derivative to the three inputs?
# Follow each number to everywhere it went, and add up:
#
# - $x_{nd}$ went into the $M$ scores of its own sample, into score $m$ with weight $w_{md}$:
#   $\ \partial L/\partial x_{nd} = \sum_m g_{nm}\, w_{md}$;
# - $w_{md}$ went into score $m$ of all $N$ samples: $\ \partial L/\partial w_{md} = \sum_n g_{nm}\, x_{nd}$;
# - $b_m$ went into score $m$ of all $N$ samples, with weight 1: $\ \partial L/\partial b_m = \sum_n g_{nm}$.
#
# **An example by hand**, with $N = 2$, $D = 3$, $M = 2$:
#
# $$X = \begin{pmatrix} 1 & 2 & 3 \\ 0 & 1 & -1 \end{pmatrix},\quad
# W = \begin{pmatrix} 1 & 0 & 2 \\ 0 & 1 & -1 \end{pmatrix},\quad b = (10, 20)
# \quad\Longrightarrow\quad Y = \begin{pmatrix} 17 & 19 \\ 8 & 22 \end{pmatrix},$$
#
# for instance $y_{00} = 1 \cdot 1 + 2 \cdot 0 + 3 \cdot 2 + 10 = 17$. With the upstream gradient $G$,
#
# $$G = \begin{pmatrix} 1 & 0 \\ 2 & -1 \end{pmatrix}
# \quad\Longrightarrow\quad \partial X = \begin{pmatrix} 1 & 0 & 2 \\ 2 & -1 & 5 \end{pmatrix},\quad
# \partial W = \begin{pmatrix} 1 & 4 & 1 \\ 0 & -1 & 1 \end{pmatrix},\quad \partial b = (3, -1).$$
#
# Write both functions. What `forward` puts into its `cache` for `backward` is your choice.

# %%
import numpy as np


# %% tags=["task"]
def affine_forward(x, w, b):
    """x (N, D), w (M, D), b (M,) -> (out, cache): out[n, m] = sum_d x[n, d] w[m, d] + b[m], of shape (N, M) and x's dtype."""
    # BEGIN SOLUTION
    out = x @ w.T + b  # (N, D) (D, M) + (M,)
    return out, (x, w)
    # END SOLUTION


# %% tags=["task"]
def affine_backward(dout, cache):
    """dout (N, M), the gradient to out -> (dx, dw, db): the gradients to x (N, D), w (M, D) and b (M,)."""
    # BEGIN SOLUTION
    x, w = cache
    dx = dout @ w  # (N, M) (M, D)
    dw = dout.T @ x  # (M, N) (N, D)
    db = dout.sum(axis=0)
    return dx, dw, db
    # END SOLUTION


# %% [markdown] tags=["hint"]
# The shapes tell most of it. A gradient has the shape of what it is the gradient of. From `dout` $(N, M)$ and `w` $(M, D)$,
# which product gives $(N, D)$? Note which index is summed away in each of the three formulas.

# %% [markdown] tags=["hint"]
# A sum over the index that two matrices share is a matrix product: $\sum_m g_{nm} w_{md}$ is `dout @ w`, for the other one you
# have to transpose first. `b` was added to each row (broadcast), so its gradient sums the rows.

# %% [markdown] tags=["hint"]
# `out = x @ w.T + b`; `dw = dout.T @ x`; `db = dout.sum(axis=0)`. Keep `x` and `w` in the cache.

# %% tags=["figure"]
# A 1 x 1 convolution that learns to tell sky, grass and ball from the colour of each pixel alone.
rng = np.random.default_rng(0)
rows, columns = np.mgrid[:30, :45]
truth = np.where(rows < 14 + 3 * np.sin(columns / 6), 0, 1)
truth[(rows - 17) ** 2 + (columns - 28) ** 2 < 49] = 2
colours = np.array([[0.45, 0.65, 0.95], [0.3, 0.65, 0.25], [0.85, 0.25, 0.2]])
image = colours[truth] + 0.13 * rng.standard_normal((30, 45, 3))

x, target = image.reshape(-1, 3), np.eye(3)[truth.ravel()]  # the pixels are the samples
w, b = np.zeros((3, 3)), np.zeros(3)
for _ in range(300):  # gradient descent on the mean squared error
    scores, cache = affine_forward(x, w, b)
    dx, dw, db = affine_backward(2 * (scores - target) / len(x), cache)
    w, b = w - 0.5 * dw, b - 0.5 * db
found = affine_forward(x, w, b)[0].argmax(axis=1).reshape(truth.shape)

fig, axes = plt.subplots(1, 3, figsize=(9, 2.4), layout="constrained")
for ax, picture, title in zip(axes, (image.clip(0, 1), truth, found), ("image", "truth", "argmax of affine_forward")):
    ax.imshow(picture, cmap="viridis")
    ax.set(title=title, xticks=[], yticks=[])
axes[2].set_xlabel(f"{(found == truth).mean():.1%} of the pixels right")

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

X = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, -1.0]])
W = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]])
B = np.array([10.0, 20.0])


def weighted_sums(x, w, b):
    out = np.zeros((len(x), len(w)), x.dtype)
    for n, m in np.ndindex(out.shape):
        out[n, m] = sum(x[n, d] * w[m, d] for d in range(x.shape[1])) + b[m]
    return out


@checked("forward: the example by hand", points=1)
def forward_example(student):
    out, _ = student.affine_forward(X.copy(), W.copy(), B.copy())
    expect.close("out", out, np.array([[17.0, 19.0], [8.0, 22.0]]))


@checked("forward: the definition", points=2)
def forward_values(student):
    rng = np.random.default_rng(0)
    for n, d, m, dtype in (
        (5, 4, 3, np.float64),
        (3, 3, 3, np.float64),
        (1, 6, 2, np.float64),
        (4, 1, 5, np.float32),
        (0, 4, 3, np.float64),
    ):
        x, w, b = (rng.standard_normal(shape).astype(dtype) for shape in ((n, d), (m, d), (m,)))
        expect.close(f"out for N = {n}, D = {d}, M = {m}", student.affine_forward(x, w, b)[0], weighted_sums(x, w, b))


@checked("forward: pixels as samples", points=1)
def forward_pixels(student):
    rng = np.random.default_rng(1)
    image = rng.standard_normal((3, 4, 5))  # (D, H, W): as an array of pixels it is not contiguous
    w, b = rng.standard_normal((2, 3)), rng.standard_normal(2)
    out, _ = student.affine_forward(image.reshape(3, 20).T, w, b)
    expect.close("out for pixels as samples", out, weighted_sums(image.reshape(3, 20).T, w, b))


@checked("backward: the example by hand", points=1)
def backward_example(student):
    _, cache = student.affine_forward(X.copy(), W.copy(), B.copy())
    gradients = student.affine_backward(np.array([[1.0, 0.0], [2.0, -1.0]]), cache)
    expect.that(type(gradients) is tuple and len(gradients) == 3, "affine_backward must return three arrays: return dx, dw, db")
    dx, dw, db = gradients
    expect.close("dx", dx, np.array([[1.0, 0.0, 2.0], [2.0, -1.0, 5.0]]))
    expect.close("dw", dw, np.array([[1.0, 4.0, 1.0], [0.0, -1.0, 1.0]]))
    expect.close("db", db, np.array([3.0, -1.0]))


@checked("backward: the gradient", points=4)
def backward_gradient(student):
    rng = np.random.default_rng(2)
    x, w, b = rng.standard_normal((5, 4)), rng.standard_normal((3, 4)), rng.standard_normal(3)
    return check.backward(student.affine_forward, student.affine_backward, x, w, b)


@checked("backward: a square layer and float32", points=1)
def backward_square(student):
    rng = np.random.default_rng(3)
    x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, 3), (3, 3), (3,)))
    dout = rng.standard_normal((3, 3)).astype(np.float32)
    _, cache = student.affine_forward(x, w, b)
    dx, dw, db = student.affine_backward(dout, cache)
    # y is linear in each input: moving it by v moves y by f(v) - f(0), and <dout, that> is <gradient, v>
    for name, gradient, i in (("dx", dx, 0), ("dw", dw, 1), ("db", db, 2)):
        inputs = [x, w, b]
        expect.shape(name, gradient, inputs[i].shape)
        right = np.zeros_like(inputs[i])
        nothing = weighted_sums(*[np.zeros_like(a) if k == i else a for k, a in enumerate(inputs)])
        for index in np.ndindex(right.shape):
            unit = np.zeros_like(right)
            unit[index] = 1
            moved = weighted_sums(*[unit if k == i else a for k, a in enumerate(inputs)])
            right[index] = ((moved - nothing) * dout).sum()
        expect.close(name, gradient, right)


# %% tags=["mutants"]
MUTANTS = {
    "no bias": """
def affine_forward(x, w, b):
    return x @ w.T, (x, w)
""",
    "w is not transposed": """
def affine_forward(x, w, b):
    return x @ w + b, (x, w)
""",
    "the bias as a column": """
def affine_forward(x, w, b):
    return x @ w.T + b[:, None], (x, w)
""",
    "the mean of the products": """
def affine_forward(x, w, b):
    return x @ w.T / x.shape[1] + b, (x, w)
""",
    "db is not summed": """
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w, dout.T @ x, dout
""",
    "db keeps its axis": """
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w, dout.T @ x, dout.sum(axis=0, keepdims=True)
""",
    "db over the outputs": """
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w, dout.T @ x, dout.sum(axis=1)
""",
    "db a mean": """
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w, dout.T @ x, dout.mean(axis=0)
""",
    "db a number": """
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w, dout.T @ x, dout.sum()
""",
    "dw transposed": """
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w, x.T @ dout, dout.sum(axis=0)
""",
    "dw divided by N": """
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w, dout.T @ x / len(x), dout.sum(axis=0)
""",
    "dw of the first sample": """
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w, np.outer(dout[0], x[0]), dout.sum(axis=0)
""",
    "dx with w transposed": """
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w.T, dout.T @ x, dout.sum(axis=0)
""",
    "dx forgets the upstream": """
def affine_backward(dout, cache):
    x, w = cache
    return np.ones_like(dout) @ w, dout.T @ x, dout.sum(axis=0)
""",
    "dw and dx exchanged": """
def affine_backward(dout, cache):
    x, w = cache
    return dout.T @ x, dout @ w, dout.sum(axis=0)
""",
    "db forgotten": """
def affine_backward(dout, cache):
    x, w = cache
    return dout @ w, dout.T @ x
""",
    "w is changed": """
def affine_backward(dout, cache):
    x, w = cache
    dw = dout.T @ x
    dx = dout @ w
    w -= 0.1 * dw
    return dx, dw, dout.sum(axis=0)
""",
    "always float64": """
def affine_forward(x, w, b):
    out = np.zeros((len(x), len(w)))
    out += x @ w.T + b
    return out, (x, w)
""",
}
RIGHT = {
    "einsum": """
def affine_forward(x, w, b):
    return np.einsum("nd,md->nm", x, w) + b, (x, w)

def affine_backward(dout, cache):
    x, w = cache
    return np.einsum("nm,md->nd", dout, w), np.einsum("nm,nd->md", dout, x), np.einsum("nm->m", dout)
""",
    "loops": """
def affine_forward(x, w, b):
    N, D = x.shape
    M = w.shape[0]
    out = np.zeros((N, M), x.dtype)
    for n in range(N):
        for m in range(M):
            out[n, m] = np.dot(x[n], w[m]) + b[m]
    return out, (x, w, b)

def affine_backward(dout, cache):
    x, w, b = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for n in range(len(x)):
        for m in range(len(w)):
            dx[n] += dout[n, m] * w[m]
            dw[m] += dout[n, m] * x[n]
            db[m] += dout[n, m]
    return dx, dw, db
""",
    "a column of ones": """
def affine_forward(x, w, b):
    ones = np.ones((len(x), 1), x.dtype)
    extended = np.concatenate([x, ones], axis=1)
    weights = np.concatenate([w, b[:, None]], axis=1)
    return extended @ weights.T, (extended, weights)

def affine_backward(dout, cache):
    extended, weights = cache
    gradient = dout.T @ extended
    return (dout @ weights)[:, :-1], gradient[:, :-1], gradient[:, -1]
""",
}
