# ---
# title: Convolution with im2col
# topic: convolution
# level: 3
# points: 20
# ---

# %% [markdown]
# # Convolution with im2col
#
# Loops over all pixels in Python take minutes where a matrix product takes milliseconds. The trick of nearly all libraries:
# write every window of the image as one *column* of a matrix. Then a convolution is a single matrix product, its backward is
# two, and both come from the same code.
#
# **im2col.** For $x$, $(N, C, H, W)$, and a window of $k_h \times k_w$ there are $L = H' W'$ windows, with $H' = H - k_h + 1$
# and $W' = W - k_w + 1$. For each image, put the $C k_h k_w$ numbers of each window into a column:
#
# $$\text{cols}_{n,\,(c, k, l),\,(i, j)} = x_{n,c,\,i+k,\,j+l}, \qquad \text{of shape } (N,\; C k_h k_w,\; L).$$
#
# Rows are ordered by $c$, then $k$, then $l$, as `w.reshape(O, -1)` orders a kernel; columns by $i$, then $j$. (This is
# PyTorch's `unfold`.) For one channel and $2 \times 2$ windows:
#
# $$x = \begin{pmatrix} 1&2&3\\4&5&6\\7&8&9 \end{pmatrix} \quad\Longrightarrow\quad
# \text{cols} = \begin{pmatrix} 1&2&4&5\\2&3&5&6\\4&5&7&8\\5&6&8&9 \end{pmatrix}$$
#
# The first column is the window at the top left; the first row is what the upper left corner of the window sees on its way.
#
# **Convolution** with $w$, $(O, C, k_h, k_w)$, as a matrix $(O, C k_h k_w)$: $\ Y_n = w\, \text{cols}_n + b$, which is
# $(O, L)$, to be reshaped to $(O, H', W')$.
#
# **Backward.** For a matrix product, with $G_n$ the upstream gradient as a matrix $(O, L)$,
#
# $$\partial w = \sum_n G_n\, \text{cols}_n^\top, \qquad \partial\, \text{cols}_n = w^\top G_n, \qquad
# \partial b = \textstyle\sum_{n, L} G_n .$$
#
# **col2im** takes $\partial\,\text{cols}$ back to $\partial x$. A pixel was copied into every window that holds it, so it gets
# the *sum* of what comes back from all of them. col2im is therefore not the inverse of im2col but its transpose. For the
# example,
#
# $$\text{col2im}(\text{cols}) = \begin{pmatrix} 1&2\cdot2&3\\2\cdot4&4\cdot5&2\cdot6\\7&2\cdot8&9 \end{pmatrix}:$$
#
# each pixel times the number of windows it lies in.
#
# Loops over the *kernel's* positions are fine (there are only $k_h k_w$); loops over images, channels or pixels are not: the
# last check counts the steps that Python takes, which must not grow with the image.

# %%
import numpy as np


# %% tags=["task"]
def im2col(x, kh, kw):
    """x (N, C, H, W) -> cols (N, C kh kw, L), the windows as columns: rows in the order c, k, l; columns in the order i, j."""
    # BEGIN SOLUTION
    N, C, H, W = x.shape
    h, v = H - kh + 1, W - kw + 1
    cols = np.empty((N, C, kh, kw, h, v), x.dtype)
    for k, l in np.ndindex(kh, kw):
        cols[:, :, k, l] = x[:, :, k : k + h, l : l + v]
    return cols.reshape(N, C * kh * kw, h * v)
    # END SOLUTION


# %% tags=["task"]
def col2im(cols, shape, kh, kw):
    """cols (N, C kh kw, L), shape = (N, C, H, W) -> x of that shape: each pixel is the sum of its entries in all columns."""
    # BEGIN SOLUTION
    N, C, H, W = shape
    h, v = H - kh + 1, W - kw + 1
    cols = cols.reshape(N, C, kh, kw, h, v)
    x = np.zeros(shape, cols.dtype)
    for k, l in np.ndindex(kh, kw):
        x[:, :, k : k + h, l : l + v] += cols[:, :, k, l]
    return x
    # END SOLUTION


# %% tags=["task"]
def conv_forward(x, w, b):
    """x (N, C, H, W), w (O, C, kh, kw), b (O,) -> (out, cache): out (N, O, H - kh + 1, W - kw + 1), of x's dtype."""
    # BEGIN SOLUTION
    (N, _, H, W), (O, _, kh, kw) = x.shape, w.shape
    cols = im2col(x, kh, kw)
    out = w.reshape(O, -1) @ cols + b[:, None]  # (O, C kh kw) (N, C kh kw, L) -> (N, O, L)
    return out.reshape(N, O, H - kh + 1, W - kw + 1), (x.shape, w, cols)
    # END SOLUTION


# %% tags=["task"]
def conv_backward(dout, cache):
    """dout (N, O, H', W') -> (dx, dw, db): the gradients to x, w and b."""
    # BEGIN SOLUTION
    shape, w, cols = cache
    O, _, kh, kw = w.shape
    g = dout.reshape(len(dout), O, -1)  # (N, O, L)
    dw = (g @ cols.transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)  # (N, O, L) (N, L, C kh kw)
    dcols = w.reshape(O, -1).T @ g  # (C kh kw, O) (N, O, L)
    return col2im(dcols, shape, kh, kw), dw, g.sum(axis=(0, 2))
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Do not build the matrix column by column but row by row: what does the window's position $(k, l)$ see, of all images and
# channels at once, while the window moves over all places? It is a rectangle of $x$, of the size of the output.

# %% [markdown] tags=["hint"]
# Give the result six axes at first, `(N, C, kh, kw, h, v)`; then `cols[:, :, k, l] = x[:, :, k : k + h, l : l + v]`, and one
# `reshape(N, C * kh * kw, h * v)` at the end. col2im does the same steps backwards: reshape first, then
# `x[...] += cols[:, :, k, l]`.

# %% [markdown] tags=["hint"]
# `@` multiplies stacks of matrices: `w.reshape(O, -1) @ cols` is $(N, O, L)$, with no loop over $N$. To transpose each matrix
# of a stack, `cols.transpose(0, 2, 1)`. `w` is shared by all images, so its gradient is summed over them.

# %% tags=["figure"]
# The matrix of a small image, and how many windows each pixel lies in.
x = np.add.outer(np.arange(5.0), np.arange(7.0) * 0.7)[None, None]
cols = im2col(x, 3, 3)
count = col2im(np.ones_like(cols), x.shape, 3, 3)
fig, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained", width_ratios=(1, 1.7, 1))
for ax, picture, title in zip(axes, (x[0, 0], cols[0], count[0, 0]), ("x", "im2col(x, 3, 3)", "col2im(ones)")):
    ax.imshow(picture, cmap="viridis")
    ax.set(title=f"{title} {picture.shape}", xticks=[], yticks=[])
for (i, j), number in np.ndenumerate(count[0, 0]):
    axes[2].text(j, i, f"{number:.0f}", ha="center", va="center", color="white" if number < 6 else "black")
axes[1].set(xlabel="windows $(i, j)$", ylabel="$(k, l)$")

# %% tags=["checks"]
import sys

from minivision import check
from minivision.homework import checked, expect

X = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
COLS = np.array([[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]], float)[None]
SIZES = (((2, 3, 5, 7), 3, 2), ((1, 2, 4, 4), 2, 2), ((3, 1, 3, 6), 1, 4), ((2, 2, 4, 5), 1, 1), ((2, 2, 3, 4), 3, 4))


def in_loops(x, w, b):
    (n, _, h, v), (o, _, kh, kw) = x.shape, w.shape
    out = np.zeros((n, o, h - kh + 1, v - kw + 1), x.dtype)
    for a, m, i, j in np.ndindex(out.shape):
        out[a, m, i, j] = np.sum(x[a, :, i : i + kh, j : j + kw] * w[m]) + b[m]
    return out


def drawn(x_shape, w_shape, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape, w_shape[:1]))


@checked("im2col: the example by hand", points=1)
def im2col_example(student):
    expect.equal("cols", student.im2col(X.copy(), 2, 2), COLS)


@checked("im2col: the definition", points=4)
def im2col_values(student):
    for shape, kh, kw in SIZES:
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32 if kh == 1 else np.float64)
        n, _, h, w = shape
        columns = [x[:, :, i : i + kh, j : j + kw].reshape(n, -1) for i in range(h - kh + 1) for j in range(w - kw + 1)]
        expect.equal(f"cols for x {shape}, kh = {kh}, kw = {kw}", student.im2col(x, kh, kw), np.stack(columns, axis=2))


@checked("col2im: the example by hand", points=1)
def col2im_example(student):
    right = np.array([[1, 4, 3], [8, 20, 12], [7, 16, 9]], float)[None, None]
    expect.close("col2im(cols)", student.col2im(COLS.copy(), (1, 1, 3, 3), 2, 2), right)


@checked("col2im: the transpose of im2col", points=4)
def col2im_adjoint(student):
    for shape, kh, kw in SIZES:
        forward, back = (lambda x: student.im2col(x, kh, kw)), (lambda cols: student.col2im(cols, shape, kh, kw))
        columns = (shape[0], shape[1] * kh * kw, (shape[2] - kh + 1) * (shape[3] - kw + 1))
        expect.shape("cols", forward(np.zeros(shape)), columns)
        expect.shape("col2im(cols)", back(np.zeros(columns)), shape)
        report = check.adjoint(forward, back, shape, arrays=True)
        if not report.ok:
            return report
    return report


@checked("forward: equal to loops", points=3)
def forward_values(student):
    for shape, kh, kw in SIZES:
        x, w, b = drawn(shape, (4, shape[1], kh, kw), 1, np.float32 if kh == 1 else np.float64)
        expect.close(f"out for x {x.shape}, w {w.shape}", student.conv_forward(x, w, b)[0], in_loops(x, w, b))


@checked("backward: the gradient", points=4)
def backward_gradient(student):
    return check.backward(student.conv_forward, student.conv_backward, *drawn((3, 2, 5, 4), (4, 2, 3, 2), 2))


@checked("backward: a square kernel, as many channels out as in", points=1)
def backward_square(student):
    return check.backward(student.conv_forward, student.conv_backward, *drawn((2, 3, 4, 5), (3, 3, 3, 3), 3))


def python_steps(run):
    """How many lines the Python interpreter executes, each turn of a loop anew; what NumPy does inside is one."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        count += event in ("call", "line")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return count


@checked("no loop over images, channels or pixels", points=2)
def vectorised(student):
    steps = {"conv_forward": [], "conv_backward": []}
    for shape in ((1, 2, 6, 5), (4, 4, 14, 18)):
        x, w, b = drawn(shape, (shape[1], shape[1], 3, 3), 4)
        out, cache = student.conv_forward(x, w, b)
        steps["conv_forward"].append(python_steps(lambda: student.conv_forward(x, w, b)))
        steps["conv_backward"].append(python_steps(lambda: student.conv_backward(np.ones_like(out), cache)))
    for name, (small, large) in steps.items():
        expect.that(
            large < 1.5 * small,
            f"{name} takes {small} steps of Python for one image of 6 x 5 and {large} for four of 14 x 18; with loops over the "
            "positions of the kernel only it would be the same number",
        )


# %% tags=["mutants"]
MUTANTS = {
    "rows in the order k, l, c": """
def im2col(x, kh, kw):
    N, C, H, W = x.shape
    h, v = H - kh + 1, W - kw + 1
    cols = np.empty((N, kh, kw, C, h, v), x.dtype)
    for k, l in np.ndindex(kh, kw):
        cols[:, k, l] = x[:, :, k : k + h, l : l + v]
    return cols.reshape(N, C * kh * kw, h * v)
""",
    "columns in the order j, i": """
def im2col(x, kh, kw):
    N, C, H, W = x.shape
    h, v = H - kh + 1, W - kw + 1
    cols = np.empty((N, C, kh, kw, v, h), x.dtype)
    for k, l in np.ndindex(kh, kw):
        cols[:, :, k, l] = x[:, :, k : k + h, l : l + v].swapaxes(2, 3)
    return cols.reshape(N, C * kh * kw, h * v)
""",
    "windows as rows": """
def im2col(x, kh, kw):
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(x), -1, x.shape[1] * kh * kw)
""",
    "reshaped without transposing": """
def im2col(x, kh, kw):
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))
    return windows.reshape(len(x), x.shape[1] * kh * kw, -1)
""",
    "the window beside the window: no overlap": """
def im2col(x, kh, kw):
    N, C, H, W = x.shape
    h, v = H - kh + 1, W - kw + 1
    cols = np.zeros((N, C, kh, kw, h, v), x.dtype)
    for k, l in np.ndindex(kh, kw):
        part = x[:, :, k::kh, l::kw][:, :, :h, :v]
        cols[:, :, k, l, : part.shape[2], : part.shape[3]] = part
    return cols.reshape(N, C * kh * kw, h * v)
""",
    "kh and kw exchanged": """
def im2col(x, kh, kw):
    N, C, H, W = x.shape
    h, v = H - kw + 1, W - kh + 1
    cols = np.empty((N, C, kw, kh, h, v), x.dtype)
    for k, l in np.ndindex(kw, kh):
        cols[:, :, k, l] = x[:, :, k : k + h, l : l + v]
    return cols.reshape(N, C * kh * kw, h * v)
""",
    "the kernel flipped": """
def im2col(x, kh, kw):
    N, C, H, W = x.shape
    h, v = H - kh + 1, W - kw + 1
    cols = np.empty((N, C, kh, kw, h, v), x.dtype)
    for k, l in np.ndindex(kh, kw):
        cols[:, :, kh - 1 - k, kw - 1 - l] = x[:, :, k : k + h, l : l + v]
    return cols.reshape(N, C * kh * kw, h * v)
""",
    "col2im: = in place of +=": """
def col2im(cols, shape, kh, kw):
    N, C, H, W = shape
    h, v = H - kh + 1, W - kw + 1
    cols = cols.reshape(N, C, kh, kw, h, v)
    x = np.zeros(shape, cols.dtype)
    for k, l in np.ndindex(kh, kw):
        x[:, :, k : k + h, l : l + v] = cols[:, :, k, l]
    return x
""",
    "col2im as the inverse: a mean": """
def col2im(cols, shape, kh, kw):
    N, C, H, W = shape
    h, v = H - kh + 1, W - kw + 1
    cols = cols.reshape(N, C, kh, kw, h, v)
    x, count = np.zeros(shape, cols.dtype), np.zeros(shape, cols.dtype)
    for k, l in np.ndindex(kh, kw):
        x[:, :, k : k + h, l : l + v] += cols[:, :, k, l]
        count[:, :, k : k + h, l : l + v] += 1
    return x / count
""",
    "col2im with the axes in another order": """
def col2im(cols, shape, kh, kw):
    N, C, H, W = shape
    h, v = H - kh + 1, W - kw + 1
    cols = cols.reshape(N, kh, kw, C, h, v)
    x = np.zeros(shape, cols.dtype)
    for k, l in np.ndindex(kh, kw):
        x[:, :, k : k + h, l : l + v] += cols[:, k, l]
    return x
""",
    "col2im flipped": """
def col2im(cols, shape, kh, kw):
    N, C, H, W = shape
    h, v = H - kh + 1, W - kw + 1
    cols = cols.reshape(N, C, kh, kw, h, v)
    x = np.zeros(shape, cols.dtype)
    for k, l in np.ndindex(kh, kw):
        x[:, :, k : k + h, l : l + v] += cols[:, :, kh - 1 - k, kw - 1 - l]
    return x
""",
    "images and channels mixed up": """
def conv_forward(x, w, b):
    (N, _, H, W), (O, _, kh, kw) = x.shape, w.shape
    cols = im2col(x, kh, kw)
    flat = cols.transpose(1, 0, 2).reshape(cols.shape[1], -1)
    out = w.reshape(O, -1) @ flat + b[:, None]  # (O, N L)
    return out.reshape(N, O, H - kh + 1, W - kw + 1), (x.shape, w, cols)
""",
    "no bias": """
def conv_forward(x, w, b):
    (N, _, H, W), (O, _, kh, kw) = x.shape, w.shape
    cols = im2col(x, kh, kw)
    out = w.reshape(O, -1) @ cols
    return out.reshape(N, O, H - kh + 1, W - kw + 1), (x.shape, w, cols)
""",
    "the output's height and width exchanged": """
def conv_forward(x, w, b):
    (N, _, H, W), (O, _, kh, kw) = x.shape, w.shape
    cols = im2col(x, kh, kw)
    out = w.reshape(O, -1) @ cols + b[:, None]
    return out.reshape(N, O, W - kw + 1, H - kh + 1), (x.shape, w, cols)
""",
    "dw of the last image": """
def conv_backward(dout, cache):
    shape, w, cols = cache
    O, _, kh, kw = w.shape
    g = dout.reshape(len(dout), O, -1)
    for n in range(len(g)):
        dw = (g[n] @ cols[n].T).reshape(w.shape)
    return col2im(w.reshape(O, -1).T @ g, shape, kh, kw), dw, g.sum(axis=(0, 2))
""",
    "dw a mean over the images": """
def conv_backward(dout, cache):
    shape, w, cols = cache
    O, _, kh, kw = w.shape
    g = dout.reshape(len(dout), O, -1)
    dw = (g @ cols.transpose(0, 2, 1)).mean(axis=0).reshape(w.shape)
    return col2im(w.reshape(O, -1).T @ g, shape, kh, kw), dw, g.sum(axis=(0, 2))
""",
    "dout reshaped without transposing": """
def conv_backward(dout, cache):
    shape, w, cols = cache
    O, _, kh, kw = w.shape
    flat = dout.reshape(O, -1)
    g = dout.reshape(len(dout), O, -1)
    dw = (flat @ cols.transpose(1, 0, 2).reshape(cols.shape[1], -1).T).reshape(w.shape)
    return col2im(w.reshape(O, -1).T @ g, shape, kh, kw), dw, g.sum(axis=(0, 2))
""",
    "w reshaped where it should be transposed": """
def conv_backward(dout, cache):
    shape, w, cols = cache
    O, _, kh, kw = w.shape
    g = dout.reshape(len(dout), O, -1)
    dw = (g @ cols.transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)
    return col2im(w.reshape(-1, O) @ g, shape, kh, kw), dw, g.sum(axis=(0, 2))
""",
    "db not over the images": """
def conv_backward(dout, cache):
    shape, w, cols = cache
    O, _, kh, kw = w.shape
    g = dout.reshape(len(dout), O, -1)
    dw = (g @ cols.transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)
    return col2im(w.reshape(O, -1).T @ g, shape, kh, kw), dw, g.sum(axis=2)
""",
    "loops after all": """
def conv_forward(x, w, b):
    (N, C, H, W), (O, _, kh, kw) = x.shape, w.shape
    out = np.zeros((N, O, H - kh + 1, W - kw + 1), x.dtype)
    for n, o, i, j in np.ndindex(out.shape):
        out[n, o, i, j] = np.sum(x[n, :, i : i + kh, j : j + kw] * w[o]) + b[o]
    return out, (x.shape, w, im2col(x, kh, kw))
""",
}
RIGHT = {
    "windows by strides": """
def im2col(x, kh, kw):
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))  # (N, C, h, v, kh, kw)
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), x.shape[1] * kh * kw, -1)

def conv_backward(dout, cache):
    shape, w, cols = cache
    O = w.shape[0]
    g = dout.transpose(1, 0, 2, 3).reshape(O, -1)  # (O, N L)
    dw = g @ cols.transpose(1, 0, 2).reshape(cols.shape[1], -1).T
    dcols = np.einsum("oq,nol->nql", w.reshape(O, -1), dout.reshape(shape[0], O, -1))
    return col2im(dcols, shape, w.shape[2], w.shape[3]), dw.reshape(w.shape), dout.sum((0, 2, 3))
""",
    "by tables of indices": """
def positions(C, H, W, kh, kw):
    c, k, l = (a.reshape(-1, 1) for a in np.mgrid[:C, :kh, :kw])
    i, j = (a.reshape(1, -1) for a in np.mgrid[: H - kh + 1, : W - kw + 1])
    return c, k + i, l + j

def im2col(x, kh, kw):
    c, i, j = positions(*x.shape[1:], kh, kw)
    return x[:, c, i, j]

def col2im(cols, shape, kh, kw):
    c, i, j = positions(*shape[1:], kh, kw)
    x = np.zeros(shape, cols.dtype)
    np.add.at(x, (slice(None), c, i, j), cols)
    return x

def conv_forward(x, w, b):
    O, _, kh, kw = w.shape
    cols = im2col(x, kh, kw)
    out = np.einsum("oq,nql->nol", w.reshape(O, -1), cols) + b.reshape(1, O, 1)
    return out.reshape(len(x), O, x.shape[2] - kh + 1, -1), (x, w, cols)

def conv_backward(dout, cache):
    x, w, cols = cache
    g = dout.reshape(*dout.shape[:2], -1)
    dw = np.tensordot(g, cols, axes=([0, 2], [0, 2])).reshape(w.shape)
    dcols = np.matmul(w.reshape(len(w), -1).T[None], g)
    return col2im(dcols, x.shape, *w.shape[2:]), dw, g.sum(axis=0).sum(axis=1)
""",
}
