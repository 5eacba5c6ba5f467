# ---
# title: Convolution with stride and padding
# topic: convolution
# level: 2
# points: 15
# ---

# %% [markdown]
# # Convolution with stride and padding
#
# Two numbers change how the window moves over the image.
#
# - **Padding** $p$: the image gets a frame of $p$ zeros on all four sides first, so that windows may reach over its edge. With
#   a $3 \times 3$ kernel and $p = 1$ the output is as large as the input.
# - **Stride** $s$: the window moves by $s$ pixels at a time, not by one, so the output is about $s$ times smaller in both
#   directions.
#
# $$y_{noij} = b_o + \sum_{c,k,l} \tilde x_{n,c,\,is+k,\,js+l}\; w_{ockl}, \qquad \tilde x = x \text{ with its frame of zeros},$$
#
# with $x$ $(N, C, H, W)$, $w$ $(O, C, k_h, k_w)$, $b$ $(O,)$. As many outputs are computed as there are whole windows:
#
# $$H' = \Bigl\lfloor \frac{H + 2p - k_h}{s} \Bigr\rfloor + 1, \qquad W' = \Bigl\lfloor \frac{W + 2p - k_w}{s} \Bigr\rfloor + 1.$$
#
# If the division leaves a rest, the last rows and columns are read by no window.
#
# **Why in segmentation.** The encoder of a network shrinks the image with stride 2 so that later layers see more of it at once.
# The decoder has to undo that, and *transposed convolution* is precisely the way from $\partial y$ to $\partial x$ in this
# exercise. Who knows where stride and padding put each pixel will not be surprised by masks that are shifted by one.
#
# **Backward** is as for plain convolution: each output sends $g_{noij}$ times the kernel back to its window, in $\tilde x$.
# Afterwards the frame is cut off: nobody needs the gradient of zeros that were put there. Pixels that no window reads get 0.
#
# **An example by hand**: $x$ holds $1 \ldots 16$ row by row, $4 \times 4$; the kernel is $3 \times 3$, all ones, $b = 0$;
# $s = 2$, $p = 1$. Then $H' = \lfloor (4 + 2 - 3)/2 \rfloor + 1 = 2$, and
#
# $$x = \begin{pmatrix} 1&2&3&4\\5&6&7&8\\9&10&11&12\\13&14&15&16 \end{pmatrix} \Longrightarrow
# y = \begin{pmatrix} 14&30\\57&99 \end{pmatrix}, \qquad
# g = \begin{pmatrix} 1&10\\100&1000 \end{pmatrix} \Longrightarrow
# \partial x = \begin{pmatrix} 1&11&10&10\\101&1111&1010&1010\\100&1100&1000&1000\\100&1100&1000&1000 \end{pmatrix}.$$
#
# The first window covers rows $-1, 0, 1$ and the same columns: $1 + 2 + 5 + 6 = 14$. The pixel $6$ lies in all four windows and
# gets $1111$.

# %%
import numpy as np


# %% tags=["task"]
def conv_output_size(length, kernel, stride, padding):
    """The number of outputs along an axis of `length` pixels: whole windows of `kernel` pixels, in steps of `stride`."""
    # BEGIN SOLUTION
    return (length + 2 * padding - kernel) // stride + 1
    # END SOLUTION


# %% tags=["task"]
def conv_forward(x, w, b, stride=1, padding=0):
    """x (N, C, H, W), w (O, C, kh, kw), b (O,); stride and padding, for both directions -> (out, cache): out (N, O, H', W')."""
    # BEGIN SOLUTION
    (N, _, H, W), (O, _, kh, kw) = x.shape, w.shape
    p = padding
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    out = np.zeros((N, O, conv_output_size(H, kh, stride, p), conv_output_size(W, kw, stride, p)), x.dtype)
    for i, j in np.ndindex(out.shape[2:]):
        top, left = i * stride, j * stride
        window = padded[:, :, top : top + kh, left : left + kw]  # (N, C, kh, kw)
        out[:, :, i, j] = np.einsum("nckl,ockl->no", window, w) + b
    return out, (padded, w, stride, padding)
    # END SOLUTION


# %% tags=["task"]
def conv_backward(dout, cache):
    """dout (N, O, H', W') -> (dx, dw, db): the gradients to x (without the frame), w and b."""
    # BEGIN SOLUTION
    padded, w, stride, p = cache
    kh, kw = w.shape[2:]
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(dout.shape[2:]):
        top, left = i * stride, j * stride
        g = dout[:, :, i, j]  # (N, O)
        window = padded[:, :, top : top + kh, left : left + kw]
        dpadded[:, :, top : top + kh, left : left + kw] += np.einsum("no,ockl->nckl", g, w)
        dw += np.einsum("no,nckl->ockl", g, window)
    height, width = padded.shape[2:]
    dx = dpadded[:, :, p : height - p, p : width - p]
    return dx, dw, dout.sum(axis=(0, 2, 3))
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Two changes to plain convolution: pad first (`np.pad` with `((0, 0), (0, 0), (p, p), (p, p))`: nothing for images and
# channels), and let the window of output $(i, j)$ begin at row $is$, column $js$. The output has the size of the formula, and
# the loops run over the output.

# %% [markdown] tags=["hint"]
# Keep the padded image in the cache. Backward computes the gradient of *that*, with `+=` on windows that begin at $(is, js)$,
# and `dw` reads windows of it too. Only at the very end the frame comes off.

# %% [markdown] tags=["hint"]
# Cutting the frame off: `dpadded[:, :, p : p + H, p : p + W]`. The tempting `dpadded[:, :, p:-p, p:-p]` is empty for $p = 0$.

# %% tags=["figure"]
# Which pixels are read how often: the gradient of the sum of all outputs, for a kernel of ones.
settings = ((3, 1, 0), (3, 1, 1), (3, 2, 1), (2, 2, 0), (3, 3, 0), (5, 2, 2))
fig, axes = plt.subplots(2, 3, figsize=(9, 4.6), layout="constrained")
for ax, (k, s, p) in zip(axes.flat, settings):
    out, cache = conv_forward(np.zeros((1, 1, 12, 17)), np.ones((1, 1, k, k)), np.zeros(1), s, p)
    dx, _, _ = conv_backward(np.ones_like(out), cache)
    shown = ax.imshow(dx[0, 0], cmap="viridis", vmin=0)
    fig.colorbar(shown, ax=ax)
    ax.set(title=f"kernel {k}, stride {s}, padding {p}: {out.shape[2]} x {out.shape[3]}", xticks=[], yticks=[])
    ax.title.set_fontsize(9)

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

X = np.arange(1.0, 17.0).reshape(1, 1, 4, 4)
W, B = np.ones((1, 1, 3, 3)), np.zeros(1)
SETTINGS = (
    ((2, 3, 5, 7), (2, 3, 3, 2), 2, 1),
    ((2, 2, 7, 6), (3, 2, 2, 3), 3, 2),
    ((1, 2, 6, 4), (2, 2, 2, 2), 2, 0),
    ((2, 1, 4, 5), (2, 1, 3, 3), 1, 1),
)


def drawn(x_shape, w_shape, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape, w_shape[:1]))


def whole_windows(length, kernel, stride, padding):
    return sum(1 for start in range(-padding, length + padding, stride) if start + kernel <= length + padding)


def number_by_number(x, w, b, stride, padding):
    (n, _, h, v), (o, _, kh, kw) = x.shape, w.shape
    out = np.zeros((n, o, whole_windows(h, kh, stride, padding), whole_windows(v, kw, stride, padding)), x.dtype)
    for m, i, j in np.ndindex(out.shape[1:]):
        total = np.full(n, b[m])
        for k, l in np.ndindex(kh, kw):
            row, column = i * stride + k - padding, j * stride + l - padding
            if 0 <= row < h and 0 <= column < v:
                total = total + (x[:, :, row, column] * w[m, :, k, l]).sum(axis=1)
        out[:, m, i, j] = total
    return out


@checked("the output size", points=1)
def output_size(student):
    for length in range(3, 12):
        for kernel, stride, padding in ((1, 1, 0), (3, 1, 1), (3, 2, 1), (2, 2, 0), (3, 3, 0), (3, 4, 2)):
            size = student.conv_output_size(length, kernel, stride, padding)
            right = whole_windows(length, kernel, stride, padding)
            expect.that(
                type(size) is int and size == right,
                f"conv_output_size({length}, {kernel}, {stride}, {padding}) is {size!r}, but {right} whole windows fit",
            )


@checked("forward: the example by hand", points=1)
def forward_example(student):
    out, _ = student.conv_forward(X.copy(), W.copy(), B.copy(), 2, 1)
    expect.close("out", out, np.array([[14.0, 30.0], [57.0, 99.0]])[None, None])


@checked("forward: the definition", points=4)
def forward_values(student):
    for x_shape, w_shape, s, p in SETTINGS:
        x, w, b = drawn(x_shape, w_shape, 0)
        out, _ = student.conv_forward(x, w, b, s, p)
        expect.close(f"out for x {x_shape}, w {w_shape}, stride {s}, padding {p}", out, number_by_number(x, w, b, s, p))


@checked("forward: stride 1 and padding 0 unless given, padding beyond the kernel, float32", points=1)
def forward_edges(student):
    x, w, b = drawn((2, 2, 4, 6), (3, 2, 2, 3), 1, np.float32)
    expect.close("out without stride and padding", student.conv_forward(x, w, b)[0], number_by_number(x, w, b, 1, 0))
    x, w, b = drawn((1, 2, 3, 2), (2, 2, 1, 1), 2)
    expect.close(
        "out of a 1 x 1 kernel with stride 2, padding 3", student.conv_forward(x, w, b, 2, 3)[0], number_by_number(x, w, b, 2, 3)
    )


@checked("backward: the example by hand", points=1)
def backward_example(student):
    _, cache = student.conv_forward(X.copy(), W.copy(), B.copy(), 2, 1)
    dx, _, db = student.conv_backward(np.array([[1.0, 10.0], [100.0, 1000.0]])[None, None], cache)
    right = [[1, 11, 10, 10], [101, 1111, 1010, 1010], [100, 1100, 1000, 1000], [100, 1100, 1000, 1000]]
    expect.close("dx", dx, np.array(right, float)[None, None])
    expect.close("db", db, np.array([1111.0]))


@checked("backward: the gradient, stride 2 and padding 1", points=4)
def backward_gradient(student):
    return check.backward(student.conv_forward, student.conv_backward, *drawn((2, 3, 5, 4), (4, 3, 3, 2), 3), 2, 1)


@checked("backward: the gradient, where windows leave pixels out", points=2)
def backward_rest(student):
    return check.backward(student.conv_forward, student.conv_backward, *drawn((2, 2, 6, 5), (3, 2, 2, 2), 4), 3, 0)


@checked("backward: the gradient, stride 1 and padding 2", points=1)
def backward_padding(student):
    return check.backward(student.conv_forward, student.conv_backward, *drawn((2, 2, 3, 4), (2, 2, 3, 3), 5), 1, 2)


# %% tags=["mutants"]
_FORWARD = """
def conv_forward(x, w, b, stride=1, padding=0):
    (N, _, H, W), (O, _, kh, kw) = x.shape, w.shape
    p = padding
    padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    out = np.zeros((N, O, conv_output_size(H, kh, stride, p), conv_output_size(W, kw, stride, p)), x.dtype)
    for i, j in np.ndindex(out.shape[2:]):
        top, left = i * stride, j * stride
        window = padded[:, :, top : top + kh, left : left + kw]
        out[:, :, i, j] = np.einsum("nckl,ockl->no", window, w) + b
    return out, (padded, w, stride, padding)
"""
_BACKWARD = """
def conv_backward(dout, cache):
    padded, w, stride, p = cache
    kh, kw = w.shape[2:]
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for i, j in np.ndindex(dout.shape[2:]):
        top, left = i * stride, j * stride
        g = dout[:, :, i, j]
        window = padded[:, :, top : top + kh, left : left + kw]
        dpadded[:, :, top : top + kh, left : left + kw] += np.einsum("no,ockl->nckl", g, w)
        dw += np.einsum("no,nckl->ockl", g, window)
    height, width = padded.shape[2:]
    dx = dpadded[:, :, p : height - p, p : width - p]
    return dx, dw, dout.sum(axis=(0, 2, 3))
"""
_CROP = "dpadded[:, :, p : height - p, p : width - p]"
_SIZE = "def conv_output_size(length, kernel, stride, padding):\n    return {}\n"
MUTANTS = {
    "padding counted once": _SIZE.format("(length + padding - kernel) // stride + 1"),
    "the size rounded up": _SIZE.format("-((length + 2 * padding - kernel) // -stride) + 1"),
    "the size without + 1": _SIZE.format("(length + 2 * padding - kernel) // stride"),
    "the size a float": _SIZE.format("(length + 2 * padding - kernel) / stride + 1"),
    "length / stride": _SIZE.format("length // stride"),
    "padding with the edge's values": _FORWARD.replace("(p, p)))", "(p, p)), mode='edge')"),
    "padding of rows only": _FORWARD.replace("(p, p), (p, p)))", "(p, p), (0, 2 * p)))"),
    "padding at the end only": _FORWARD.replace("((0, 0), (0, 0), (p, p), (p, p))", "((0, 0), (0, 0), (0, 2 * p), (0, 2 * p))"),
    "the stride forgotten": _FORWARD.replace("i * stride, j * stride", "i, j"),
    "the stride of rows only": _FORWARD.replace("i * stride, j * stride", "i * stride, j"),
    "windows beside each other": _FORWARD.replace("i * stride, j * stride", "i * kh, j * kw"),
    "the kernel flipped": _FORWARD.replace("window, w)", "window, w[:, :, ::-1, ::-1])"),
    "no bias": _FORWARD.replace(" + b\n", "\n"),
    "a dilated kernel in place of a stride": _FORWARD.replace(
        "window = padded[:, :, top : top + kh, left : left + kw]",
        "window = np.zeros((N, w.shape[1], kh, kw))\n"
        "        part = padded[:, :, i : i + stride * kh : stride, j : j + stride * kw : stride]\n"
        "        window[:, :, : part.shape[2], : part.shape[3]] = part",
    ),
    "the frame is not cut off": _BACKWARD.replace(_CROP, "dpadded"),
    "the frame cut off at the end": _BACKWARD.replace(_CROP, "dpadded[:, :, : height - 2 * p, : width - 2 * p]"),
    "p:-p, also for p = 0": _BACKWARD.replace(_CROP, "dpadded[:, :, p:-p, p:-p]"),
    "the stride forgotten in backward": _BACKWARD.replace("i * stride, j * stride", "i, j"),
    "dx: = in place of +=": _BACKWARD.replace("left : left + kw] += np", "left : left + kw] = np"),
    "dw: = in place of +=": _BACKWARD.replace("dw += np", "dw = np"),
    "dx with the kernel flipped": _BACKWARD.replace('"no,ockl->nckl", g, w)', '"no,ockl->nckl", g, w[:, :, ::-1, ::-1])'),
    "dw from the image without its frame": _BACKWARD.replace(
        "    for i, j",
        "    height, width = padded.shape[2:]\n"
        "    bare = np.pad(padded[:, :, p : height - p, p : width - p], ((0, 0), (0, 0), (0, 2 * p), (0, 2 * p)))\n"
        "    for i, j",
    ).replace("window = padded[", "window = bare["),
    "db a mean": _BACKWARD.replace("dout.sum(", "dout.mean("),
}
RIGHT = {
    "all positions at once": """
def conv_forward(x, w, b, stride=1, padding=0):
    p, s = padding, stride
    kh, kw = w.shape[2:]
    xp = np.zeros((*x.shape[:2], x.shape[2] + 2 * p, x.shape[3] + 2 * p), x.dtype)
    xp[:, :, p : p + x.shape[2], p : p + x.shape[3]] = x
    windows = np.lib.stride_tricks.sliding_window_view(xp, (kh, kw), axis=(2, 3))[:, :, ::s, ::s]
    out = np.einsum("ncijkl,ockl->noij", windows, w) + b[:, None, None]
    return out, (x.shape, xp, w, s, p)

def conv_backward(dout, cache):
    (N, C, H, W), xp, w, s, p = cache
    h, v = dout.shape[2:]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for k in range(w.shape[2]):
        for l in range(w.shape[3]):
            rows, columns = slice(k, k + s * (h - 1) + 1, s), slice(l, l + s * (v - 1) + 1, s)
            dxp[:, :, rows, columns] += np.einsum("noij,oc->ncij", dout, w[:, :, k, l])
            dw[:, :, k, l] = np.einsum("noij,ncij->oc", dout, xp[:, :, rows, columns])
    return dxp[:, :, p : p + H, p : p + W], dw, dout.sum(axis=(0, 2, 3))
""",
    "only the part of the window inside": """
def conv_forward(x, w, b, stride=1, padding=0):
    (N, C, H, W), (O, _, kh, kw) = x.shape, w.shape
    out = np.zeros((N, O, conv_output_size(H, kh, stride, padding), conv_output_size(W, kw, stride, padding)), x.dtype)
    for n, o, i, j in np.ndindex(out.shape):
        r, c = i * stride - padding, j * stride - padding
        r0, r1, c0, c1 = max(r, 0), max(min(r + kh, H), 0), max(c, 0), max(min(c + kw, W), 0)
        if r1 > r0 and c1 > c0:
            out[n, o, i, j] = np.sum(x[n, :, r0:r1, c0:c1] * w[o, :, r0 - r : r1 - r, c0 - c : c1 - c])
        out[n, o, i, j] += b[o]
    return out, (x, w, b, stride, padding)

def conv_backward(dout, cache):
    x, w, b, stride, padding = cache
    (N, C, H, W), (O, _, kh, kw) = x.shape, w.shape
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for n, o, i, j in np.ndindex(dout.shape):
        g = dout[n, o, i, j]
        r, c = i * stride - padding, j * stride - padding
        r0, r1, c0, c1 = max(r, 0), max(min(r + kh, H), 0), max(c, 0), max(min(c + kw, W), 0)
        db[o] += g
        if r1 > r0 and c1 > c0:
            dx[n, :, r0:r1, c0:c1] += g * w[o, :, r0 - r : r1 - r, c0 - c : c1 - c]
            dw[o, :, r0 - r : r1 - r, c0 - c : c1 - c] += g * x[n, :, r0:r1, c0:c1]
    return dx, dw, db
""",
}
