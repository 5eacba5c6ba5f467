# ---
# title: Bilinear upsampling
# topic: upsampling
# level: 3
# points: 15
# ---

# %% [markdown]
# # Bilinear upsampling
#
# Make an image of any size from an image of any other size, by interpolating linearly between its pixels. Along one axis first,
# from $n$ numbers $x_0 \ldots x_{n-1}$ to $m$ numbers $y_0 \ldots y_{m-1}$.
#
# **Where is output $i$ in the input?** Think of pixels as squares of area, not points: pixel $i$ covers the interval from $i$
# to $i + 1$ and its centre is at $i + \frac12$. Both images cover the same stretch, so the centre $i + \frac12$ of $m$ pixels
# is at $(i + \frac12) \frac nm$ of $n$ pixels, which in numbers of input pixels is
#
# $$u_i = \Bigl(i + \frac12\Bigr) \frac nm - \frac12, \qquad \text{then limited to } 0 \le u_i \le n - 1,$$
#
# because beyond the first and the last centre there is nothing to interpolate with; the border value is continued. (PyTorch
# calls this `align_corners=False`. Whoever forgets the halves shifts the image by a part of a pixel, which in a mask is seen at
# once.)
#
# **The value** is mixed of the two neighbours, $k = \lfloor u_i \rfloor$ and $k + 1$, with the fraction $t = u_i - k$:
#
# $$y_i = (1 - t)\, x_k + t\, x_{k+1}.$$
#
# **As a matrix.** Each $y_i$ is a weighted sum of the $x$, so $y = A x$ with a matrix $A$ of shape $(m, n)$ that does not
# depend on $x$: row $i$ holds $1 - t$ in column $k$ and $t$ in column $k + 1$, and 0 elsewhere. For an image, one matrix acts
# on the rows and one on the columns:
#
# $$Y = A_h\, X\, A_w^\top, \qquad (H', W') = (H', H)\,(H, W)\,(W, W'), \qquad\text{and backward}\quad
# \partial X = A_h^\top\, G\, A_w,$$
#
# for each image and channel alone. Backward is not the same as making $G$ smaller by interpolation.
#
# **Why in segmentation.** FCN, DeepLab and PSPNet compute class scores at $\frac18$ or less of the image's size, and the last
# step to the full size is this. Forward and backward must be exact, since all gradients of the network pass through here.
#
# **An example by hand**, $n = 2$, $m = 4$: $u = -0.25,\ 0.25,\ 0.75,\ 1.25$, limited to $0,\ 0.25,\ 0.75,\ 1$:
#
# $$A = \begin{pmatrix} 1&0\\0.75&0.25\\0.25&0.75\\0&1 \end{pmatrix}, \quad x = (0, 8) \Rightarrow y = (0, 2, 6, 8), \quad
# g = (1, 2, 3, 4) \Rightarrow A^\top g = (3.25,\ 6.75).$$

# %%
import numpy as np


# %% tags=["task"]
def bilinear_matrix(n_in, n_out):
    """The matrix (n_out, n_in), float64, that interpolates n_in numbers at the centres of n_out pixels over the same length."""
    # BEGIN SOLUTION
    i = np.arange(n_out)
    u = np.clip((i + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    k = np.floor(u).astype(int)
    t = u - k
    matrix = np.zeros((n_out, n_in))
    matrix[i, k] += 1 - t
    matrix[i, np.minimum(k + 1, n_in - 1)] += t  # at the border k + 1 does not exist, and t = 0
    return matrix
    # END SOLUTION


# %% tags=["task"]
def bilinear_forward(x, size):
    """x (N, C, H, W), size = (H', W') -> (out, cache): out (N, C, H', W'), of x's dtype, interpolated along both axes."""
    # BEGIN SOLUTION
    height, width = size
    rows = bilinear_matrix(x.shape[2], height).astype(x.dtype)
    columns = bilinear_matrix(x.shape[3], width).astype(x.dtype)
    out = rows @ x @ columns.T  # (H', H) (N, C, H, W) (W, W')
    return out, (rows, columns)
    # END SOLUTION


# %% tags=["task"]
def bilinear_backward(dout, cache):
    """dout (N, C, H', W') -> dx (N, C, H, W): the gradient to x."""
    # BEGIN SOLUTION
    rows, columns = cache
    return rows.T @ dout @ columns  # (H, H') (N, C, H', W') (W', W)
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Begin with the vector of all positions `u` for `i = np.arange(n_out)`, limited with `np.clip`. Print it for $n = 2$, $m = 4$
# and compare with the example. Its whole part is `np.floor(u).astype(int)`.

# %% [markdown] tags=["hint"]
# `matrix[i, k] = ...` with two arrays of integers writes one entry in each row. At the right border $k = n - 1$ and column
# $k + 1$ does not exist; there $t = 0$, so it does not matter to which column you add it, as long as you *add*: writing 0 with
# `=` into column $n - 1$ would overwrite the 1.

# %% [markdown] tags=["hint"]
# `@` works on the last two axes and leaves the others alone: `rows @ x @ columns.T`. For $Y = A X B^\top$, the gradient to $X$
# is $A^\top G B$: where forward multiplies by a matrix, backward multiplies by its transpose.

# %% tags=["figure"]
# The matrix, what it does to an image, and which input pixels a single output pixel was made of.
x = np.random.default_rng(1).random((1, 1, 4, 6))
out, cache = bilinear_forward(x, (18, 27))
one = np.zeros_like(out)
one[0, 0, 9, 11] = 1
used = bilinear_backward(one, cache)
fig, axes = plt.subplots(1, 4, figsize=(11, 2.4), layout="constrained", width_ratios=(0.7, 1, 1, 1))
axes[0].imshow(bilinear_matrix(6, 27), cmap="magma", aspect="auto")
for ax, picture in zip(axes[1:], (x, out, used)):
    ax.imshow(picture[0, 0], cmap="viridis")
axes[2].plot(11, 9, "r+", markersize=12)
for (i, j), weight in np.ndenumerate(used[0, 0]):
    if weight > 0:
        axes[3].text(j, i, f"{weight:.2f}", ha="center", va="center", color="white" if weight < 0.3 else "black", fontsize=8)
for ax, title in zip(axes, ("bilinear_matrix(6, 27)", "x (4, 6)", "out (18, 27)", "gradient of the pixel +")):
    ax.set(title=title, xticks=[], yticks=[])

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

SIZES = ((2, 4), (3, 7), (5, 12), (4, 4), (7, 3), (6, 2), (1, 5), (5, 1), (8, 9))


def interpolated(values, n_out):
    """By np.interp, at the centres of the output's pixels; it continues the border values."""
    centres_in = np.arange(len(values)) + 0.5
    centres_out = (np.arange(n_out) + 0.5) * len(values) / n_out
    return np.interp(centres_out, centres_in, values)


@checked("the matrix: the example by hand", points=1)
def matrix_example(student):
    expect.close("bilinear_matrix(2, 4)", student.bilinear_matrix(2, 4), np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]))


@checked("the matrix: weights of 0 to 1 that sum to 1, on two neighbours", points=2)
def matrix_weights(student):
    for n, m in SIZES:
        a = student.bilinear_matrix(n, m)
        expect.shape(f"bilinear_matrix({n}, {m})", a, (m, n))
        expect.that(
            bool((a > -1e-12).all()),
            f"bilinear_matrix({n}, {m}) has a negative entry, {a.min():.4g}: that extrapolates; limit the positions",
        )
        expect.close(f"the sum of each row of bilinear_matrix({n}, {m})", a.sum(axis=1), np.ones(m))
        for row in a:
            used = np.flatnonzero(np.abs(row) > 1e-12)
            expect.that(
                used[-1] - used[0] <= 1,
                f"a row of bilinear_matrix({n}, {m}) uses the columns {used.tolist()}, not two neighbours",
            )


@checked("the matrix: the definition", points=4)
def matrix_values(student):
    for n, m in SIZES:
        units = np.eye(n)
        right = np.stack([interpolated(unit, m) for unit in units], axis=1)
        expect.close(f"bilinear_matrix({n}, {m})", student.bilinear_matrix(n, m), right)


@checked("forward: interpolation along both axes", points=3)
def forward_values(student):
    for shape, height, width, dtype in (
        ((2, 3, 3, 4), 7, 6, np.float64),
        ((1, 2, 5, 3), 4, 11, np.float32),
        ((2, 1, 4, 4), 8, 8, np.float64),
        ((1, 1, 1, 6), 3, 2, np.float64),
    ):
        x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
        right = np.apply_along_axis(interpolated, 2, x.astype(np.float64), height)
        right = np.apply_along_axis(interpolated, 3, right, width).astype(dtype)
        out, _ = student.bilinear_forward(x, (height, width))
        expect.close(
            f"out for x {shape} and a size of {height} x {width}", out, right, rtol=1e-4 if dtype == np.float32 else 1e-9
        )


@checked("backward: the gradient", points=3)
def backward_gradient(student):
    x = np.random.default_rng(1).standard_normal((2, 3, 3, 4))
    return check.backward(student.bilinear_forward, student.bilinear_backward, x, (7, 6))


@checked("backward: the transpose of forward, larger and smaller", points=2)
def backward_adjoint(student):
    for shape, height, width in (((2, 2, 4, 3), 9, 5), ((1, 2, 7, 5), 3, 4), ((2, 1, 5, 5), 10, 10), ((1, 1, 6, 4), 6, 9)):
        out, cache = student.bilinear_forward(np.zeros(shape), (height, width))
        expect.shape("out", out, (*shape[:2], height, width))
        expect.shape("dx", student.bilinear_backward(np.zeros(out.shape), cache), shape)
        report = check.adjoint(
            lambda x: student.bilinear_forward(x, (height, width))[0],
            lambda y: student.bilinear_backward(y, cache),
            shape,
            arrays=True,
        )
        if not report.ok:
            return report
    return report


# %% tags=["mutants"]
_MATRIX = """
def bilinear_matrix(n_in, n_out):
    i = np.arange(n_out)
    u = np.clip((i + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    k = np.floor(u).astype(int)
    t = u - k
    matrix = np.zeros((n_out, n_in))
    matrix[i, k] += 1 - t
    matrix[i, np.minimum(k + 1, n_in - 1)] += t
    return matrix
"""
_POSITION = "(i + 0.5) * n_in / n_out - 0.5"
_BACKWARD = "def bilinear_backward(dout, cache):\n    rows, columns = cache\n    return {}\n"
MUTANTS = {
    "the halves forgotten": _MATRIX.replace(_POSITION, "i * n_in / n_out"),
    "the corners aligned": _MATRIX.replace(_POSITION, "i * (n_in - 1) / max(n_out - 1, 1)"),
    "only the first half": _MATRIX.replace(_POSITION, "(i + 0.5) * n_in / n_out"),
    "the sign of the halves": _MATRIX.replace(_POSITION, "(i - 0.5) * n_in / n_out + 0.5"),
    "the factor upside down": _MATRIX.replace(_POSITION, "(i + 0.5) * n_out / n_in - 0.5"),
    "the factor as a whole number": _MATRIX.replace(_POSITION, "(i + 0.5) / (n_out // n_in or 1) - 0.5"),
    "t and 1 - t exchanged": _MATRIX.replace("+= 1 - t", "+= t + 0").replace("n_in - 1)] += t", "n_in - 1)] += 1 - t"),
    "= in place of +=": _MATRIX.replace("+=", "="),
    "not limited: extrapolated": """
def bilinear_matrix(n_in, n_out):
    i = np.arange(n_out)
    u = (i + 0.5) * n_in / n_out - 0.5
    k = np.clip(np.floor(u).astype(int), 0, max(n_in - 2, 0))
    t = u - k
    matrix = np.zeros((n_out, n_in))
    matrix[i, k] += 1 - t
    matrix[i, np.minimum(k + 1, n_in - 1)] += t
    return matrix
""",
    "zeros around the image": """
def bilinear_matrix(n_in, n_out):
    matrix = np.zeros((n_out, n_in))
    for i in range(n_out):
        u = (i + 0.5) * n_in / n_out - 0.5
        k = int(np.floor(u))
        for column, weight in ((k, 1 - u + k), (k + 1, u - k)):
            if 0 <= column < n_in:
                matrix[i, column] += weight
    return matrix
""",
    "around the edge": _MATRIX.replace(
        "np.clip((i + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)", "((i + 0.5) * n_in / n_out - 0.5) % n_in"
    ).replace("np.minimum(k + 1, n_in - 1)", "(k + 1) % n_in"),
    "nearest": _MATRIX.replace("t = u - k", "t = np.round(u - k)"),
    "rounded in place of floor": _MATRIX.replace("np.floor(u)", "np.round(u)"),
    "the transpose of the matrix": _MATRIX.replace("return matrix", "return matrix.T"),
    "a tent of width 2 in the output when it gets smaller": """
def bilinear_matrix(n_in, n_out):
    u = (np.arange(n_out) + 0.5) * n_in / n_out - 0.5
    width = max(n_in / n_out, 1)
    weights = np.maximum(1 - np.abs(np.arange(n_in) - u[:, None]) / width, 0)
    return weights / weights.sum(axis=1, keepdims=True)
""",
    "height and width exchanged": """
def bilinear_forward(x, size):
    height, width = size
    rows, columns = bilinear_matrix(x.shape[2], width), bilinear_matrix(x.shape[3], height)
    return rows @ x @ columns.T, (rows, columns)
""",
    "rows only": """
def bilinear_forward(x, size):
    height, width = size
    rows, columns = bilinear_matrix(x.shape[2], height), np.eye(x.shape[3])[np.arange(width) * x.shape[3] // width]
    return rows @ x @ columns.T, (rows, columns)
""",
    "always float64": """
def bilinear_forward(x, size):
    height, width = size
    rows, columns = bilinear_matrix(x.shape[2], height), bilinear_matrix(x.shape[3], width)
    return rows @ x @ columns.T, (rows, columns)
""",
    "backward interpolates": """
def bilinear_backward(dout, cache):
    rows, columns = cache
    return bilinear_matrix(dout.shape[2], rows.shape[1]) @ dout @ bilinear_matrix(dout.shape[3], columns.shape[1]).T
""",
    "backward interpolates and keeps the sum": """
def bilinear_backward(dout, cache):
    rows, columns = cache
    (m, n), (q, p) = rows.shape, columns.shape
    return bilinear_matrix(m, n) @ dout @ bilinear_matrix(q, p).T * (m * q / (n * p))
""",
    "backward by the inverse": _BACKWARD.format("np.linalg.pinv(rows) @ dout @ np.linalg.pinv(columns).T"),
    "backward with the matrices exchanged": _BACKWARD.format("columns.T @ dout @ rows"),
    "backward without transposing": _BACKWARD.format("rows @ dout @ columns.T"),
    "backward divided by the weights": _BACKWARD.format(
        "rows.T @ dout @ columns / (rows.sum(axis=0)[:, None] * columns.sum(axis=0))"
    ),
    "backward as nearest": _BACKWARD.format("(rows > 0.5).T.astype(float) @ dout @ (columns > 0.5).astype(float)"),
}
RIGHT = {
    "tents": """
def bilinear_matrix(n_in, n_out):
    u = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    return np.maximum(0, 1 - np.abs(u[:, None] - np.arange(n_in)))

def bilinear_forward(x, size):
    height, width = size
    A, B = bilinear_matrix(x.shape[2], height), bilinear_matrix(x.shape[3], width)
    return np.einsum("ah,nchw,bw->ncab", A, x, B).astype(x.dtype), (A, B)

def bilinear_backward(dout, cache):
    return np.einsum("ah,ncab,bw->nchw", cache[0], dout, cache[1]).astype(dout.dtype)
""",
    "four neighbours, without the matrix": """
def neighbours(n_in, n_out):
    u = (np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5
    u = np.minimum(np.maximum(u, 0), n_in - 1)
    low = u.astype(int)
    return low, np.minimum(low + 1, n_in - 1), u - low

def bilinear_matrix(n_in, n_out):
    low, high, t = neighbours(n_in, n_out)
    matrix = np.zeros((n_out, n_in))
    for i in range(n_out):
        matrix[i, low[i]] += 1 - t[i]
        matrix[i, high[i]] += t[i]
    return matrix

def bilinear_forward(x, size):
    height, width = size
    top, bottom, t = neighbours(x.shape[2], height)
    left, right, s = neighbours(x.shape[3], width)
    t, s = t.astype(x.dtype)[:, None], s.astype(x.dtype)
    upper = x[:, :, top][..., left] * (1 - s) + x[:, :, top][..., right] * s
    lower = x[:, :, bottom][..., left] * (1 - s) + x[:, :, bottom][..., right] * s
    return upper * (1 - t) + lower * t, x.shape

def bilinear_backward(dout, shape):
    dx = np.zeros(shape, dout.dtype)
    top, bottom, t = neighbours(shape[2], dout.shape[2])
    left, right, s = neighbours(shape[3], dout.shape[3])
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            g = dout[:, :, i, j]
            dx[:, :, top[i], left[j]] += g * (1 - t[i]) * (1 - s[j])
            dx[:, :, top[i], right[j]] += g * (1 - t[i]) * s[j]
            dx[:, :, bottom[i], left[j]] += g * t[i] * (1 - s[j])
            dx[:, :, bottom[i], right[j]] += g * t[i] * s[j]
    return dx
""",
}
