# ---
# title: Transposed convolution
# topic: upsampling
# level: 2
# points: 15
# ---

# %% [markdown]
# # Transposed convolution
#
# Convolution *reads* a window for each output. Transposed convolution *writes* one for each input: every pixel of $x$ stamps
# its kernel into the output, times its value, and the stamps of neighbouring pixels lie $s$ pixels apart. Where they overlap,
# they add up.
#
# With $x$ $(N, C, H, W)$, kernels $w$ $(C, O, k_h, k_w)$, **inputs first**, as in PyTorch, stride $s$ and bias $b$ $(O,)$,
#
# $$y_{n,o,\,is+k,\,js+l} \mathrel{+}= x_{ncij}\, w_{cokl} \quad\text{for all } n, c, o, i, j, k, l,
# \qquad\text{then}\quad y_{no} \mathrel{+}= b_o.$$
#
# The last stamp begins at $(H - 1)s$ and is $k_h$ high. So the board of all stamps has $(H-1)s + k_h$ rows, and likewise
# columns. With **padding** $p$, a frame of $p$ pixels is cut *off* on all sides before the bias is added (it undoes the frame
# that convolution puts on):
#
# $$H' = (H - 1)s + k_h - 2p, \qquad W' = (W - 1)s + k_w - 2p.$$
#
# **Why in segmentation.** This is upsampling with weights that are learned. In U-Net every step up is a transposed convolution
# with $2 \times 2$ kernels and stride 2: its stamps lie side by side. With $3 \times 3$ and stride 2 they overlap unevenly,
# which is where checkerboard patterns come from (see the figure).
#
# **Backward.** Pixel $(i, j)$ wrote to the window that begins at $(is, js)$; there it reads the gradient back. So it is an
# ordinary convolution with stride $s$, of the upstream gradient $g$, which first gets a frame of $p$ zeros where the output was
# cut:
#
# $$\partial x_{ncij} = \sum_{o,k,l} g_{n,o,\,is+k,\,js+l}\, w_{cokl}, \qquad
# \partial w_{cokl} = \sum_{n,i,j} x_{ncij}\, g_{n,o,\,is+k,\,js+l}, \qquad
# \partial b_o = \sum_{n,i,j} g_{noij}$$
#
# (in $\partial b$ the sum is over the output as it is, without the frame).
#
# **An example by hand**, one channel, $b = 0$, $p = 0$:
#
# $$x = w = \begin{pmatrix} 1&2\\3&4 \end{pmatrix}: \qquad
# s = 2 \Rightarrow y = \begin{pmatrix} 1&2&2&4\\3&4&6&8\\3&6&4&8\\9&12&12&16 \end{pmatrix}, \qquad
# s = 1 \Rightarrow y = \begin{pmatrix} 1&4&4\\6&20&16\\9&24&16 \end{pmatrix}.$$
#
# With $s = 1$ all four stamps meet in the middle: $1\cdot4 + 2\cdot3 + 3\cdot2 + 4\cdot1 = 20$. With $s = 1$ and $p = 1$ only
# this $20$ would be left.

# %%
import numpy as np


# %% tags=["task"]
def conv_transpose_forward(x, w, b, stride=1, padding=0):
    """x (N, C, H, W), w (C, O, kh, kw), b (O,) -> (out, cache): out (N, O, (H-1) stride + kh - 2 padding, and so for W)."""
    # BEGIN SOLUTION
    (N, _, H, W), (_, O, kh, kw) = x.shape, w.shape
    board = np.zeros((N, O, (H - 1) * stride + kh, (W - 1) * stride + kw), x.dtype)
    for i, j in np.ndindex(H, W):
        top, left = i * stride, j * stride
        stamp = np.einsum("nc,cokl->nokl", x[:, :, i, j], w)
        board[:, :, top : top + kh, left : left + kw] += stamp
    height, width = board.shape[2:]
    out = board[:, :, padding : height - padding, padding : width - padding] + b[:, None, None]
    return out, (x, w, stride, padding)
    # END SOLUTION


# %% tags=["task"]
def conv_transpose_backward(dout, cache):
    """dout, of out's shape -> (dx, dw, db): the gradients to x, w and b."""
    # BEGIN SOLUTION
    x, w, stride, p = cache
    kh, kw = w.shape[2:]
    board = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i, j in np.ndindex(x.shape[2:]):
        top, left = i * stride, j * stride
        g = board[:, :, top : top + kh, left : left + kw]  # (N, O, kh, kw)
        dx[:, :, i, j] = np.einsum("nokl,cokl->nc", g, w)
        dw += np.einsum("nc,nokl->cokl", x[:, :, i, j], g)
    return dx, dw, dout.sum(axis=(0, 2, 3))
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Loop over the pixels of the *input*. Begin with a board of zeros that is large enough for all stamps, add each stamp to its
# place, cut off the frame, add the bias.

# %% [markdown] tags=["hint"]
# The stamp of pixel $(n, c, i, j)$ in output channel $o$ is `x[n, c, i, j] * w[c, o]`, of shape $(k_h, k_w)$, and is added at
# `board[n, o, i * s : i * s + kh, j * s : j * s + kw]`. Four loops more, over $n$, $c$ and $o$, are fine;
# `np.einsum("nc,cokl->nokl", x[:, :, i, j], w)` makes all of them at once.

# %% [markdown] tags=["hint"]
# Backward: put the frame on `dout` with `np.pad`, loop over the same $(i, j)$, read the window `g` where forward wrote. The sum
# of `g * w[c]` over $o, k, l$ is `dx[n, c, i, j]`; `dw[c, o]` gains `x[n, c, i, j] * g[n, o]`.

# %% [markdown] tags=["hint"]
# Cut with `board[:, :, p : height - p, p : width - p]`; `p:-p` is empty for $p = 0$. The bias is added after the cut, so `db`
# sums `dout` as it is.

# %% tags=["figure"]
# How many stamps overlap: an input of ones and a kernel of ones.
settings = ((2, 2, 0), (3, 2, 1), (4, 2, 1), (3, 1, 1), (5, 3, 1), (2, 3, 0))
fig, axes = plt.subplots(2, 3, figsize=(9, 4.6), layout="constrained")
for ax, (k, s, p) in zip(axes.flat, settings):
    out, _ = conv_transpose_forward(np.ones((1, 1, 6, 8)), np.ones((1, 1, k, k)), np.zeros(1), s, p)
    shown = ax.imshow(out[0, 0], cmap="viridis", vmin=0)
    fig.colorbar(shown, ax=ax)
    ax.set_title(f"kernel {k}, stride {s}, padding {p}: {out.shape[2]} x {out.shape[3]}", fontsize=9)
    ax.set(xticks=[], yticks=[])

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

X = np.array([[1.0, 2.0], [3.0, 4.0]])[None, None]


def drawn(x_shape, w_shape, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape, w_shape[1:2]))


def convolution(y, w, stride, padding):
    """The ordinary convolution from O to C channels, number by number; w is (C, O, kh, kw)."""
    (n, _, h, v), (c, _, kh, kw) = y.shape, w.shape
    out = np.zeros((n, c, (h + 2 * padding - kh) // stride + 1, (v + 2 * padding - kw) // stride + 1))
    for m, i, j, k, l in np.ndindex(*out.shape[1:], kh, kw):
        row, column = i * stride + k - padding, j * stride + l - padding
        if 0 <= row < h and 0 <= column < v:
            out[:, m, i, j] += (y[:, :, row, column] * w[m, :, k, l]).sum(axis=1)
    return out


@checked("forward: the examples by hand", points=1)
def forward_example(student):
    b = np.zeros(1)
    right = np.array([[1, 2, 2, 4], [3, 4, 6, 8], [3, 6, 4, 8], [9, 12, 12, 16]], float)[None, None]
    expect.close("out for stride 2", student.conv_transpose_forward(X.copy(), X.copy(), b, 2, 0)[0], right)
    right = np.array([[1, 4, 4], [6, 20, 16], [9, 24, 16]], float)[None, None]
    expect.close("out for stride 1", student.conv_transpose_forward(X.copy(), X.copy(), b, 1, 0)[0], right)
    expect.close(
        "out for stride 1, padding 1", student.conv_transpose_forward(X.copy(), X.copy(), b, 1, 1)[0], np.full((1, 1, 1, 1), 20.0)
    )


@checked("forward: one pixel stamps one kernel", points=2)
def forward_stamp(student):
    _, w, b = drawn((1, 1, 1, 1), (3, 2, 3, 2), 0)
    x = np.zeros((2, 3, 3, 4))
    x[1, 2, 1, 2] = 2
    out, _ = student.conv_transpose_forward(x, w, b, 2, 0)
    right = np.zeros((2, 2, 7, 8)) + b[:, None, None]
    right[1, :, 2:5, 4:6] += 2 * w[2]
    expect.close("out for an x that is 0 but for a 2 at [1, 2, 1, 2], stride 2", out, right)
    out, _ = student.conv_transpose_forward(x.astype(np.float32), w.astype(np.float32), b.astype(np.float32))
    expect.that(expect.array("out", out).dtype == np.float32, f"out is {out.dtype} for float32 inputs, where float32 is right")


@checked("forward: the transpose of convolution", points=4)
def forward_adjoint(student):
    cases = (
        ((2, 3, 3, 4), (2, 3, 3, 2), 2, 1),
        ((2, 2, 3, 2), (3, 2, 2, 2), 2, 0),
        ((1, 2, 4, 3), (2, 2, 3, 4), 1, 1),
        ((2, 1, 2, 3), (2, 1, 2, 3), 3, 0),
    )
    for (n, _, h, v), (o, c, kh, kw), s, p in cases:
        _, w, _ = drawn((1, 1, 1, 1), (c, o, kh, kw), 1)
        large = (n, o, (h - 1) * s + kh - 2 * p, (v - 1) * s + kw - 2 * p)

        def up(x):
            return student.conv_transpose_forward(x, w, np.zeros(o), s, p)[0]

        expect.shape(f"out for x {(n, c, h, v)}, w {w.shape}, stride {s}, padding {p}", up(np.zeros((n, c, h, v))), large)
        report = check.adjoint(up, lambda y: convolution(y, w, s, p), (n, c, h, v), arrays=True)
        if not report.ok:
            return report
    return report


@checked("backward: the gradient, overlapping stamps and a frame", points=4)
def backward_gradient(student):
    forward, backward = student.conv_transpose_forward, student.conv_transpose_backward
    return check.backward(forward, backward, *drawn((2, 3, 2, 3), (3, 2, 3, 4), 2), 2, 1)


@checked("backward: the gradient of U-Net's 2 x 2 step up", points=2)
def backward_unet(student):
    forward, backward = student.conv_transpose_forward, student.conv_transpose_backward
    return check.backward(forward, backward, *drawn((2, 4, 2, 3), (4, 2, 2, 2), 3), 2, 0)


@checked("backward: the gradient, stamps with gaps, and as many channels out as in", points=2)
def backward_gaps(student):
    forward, backward = student.conv_transpose_forward, student.conv_transpose_backward
    return check.backward(forward, backward, *drawn((2, 2, 3, 2), (2, 2, 2, 1), 4), 3, 0)


# %% tags=["mutants"]
_FORWARD = """
def conv_transpose_forward(x, w, b, stride=1, padding=0):
    (N, C, H, W), (_, O, kh, kw) = x.shape, w.shape
    board = np.zeros((N, O, (H - 1) * stride + kh, (W - 1) * stride + kw), x.dtype)
    for i, j in np.ndindex(H, W):
        top, left = i * stride, j * stride
        stamp = np.einsum("nc,cokl->nokl", x[:, :, i, j], w)
        board[:, :, top : top + kh, left : left + kw] += stamp
    height, width = board.shape[2:]
    out = board[:, :, padding : height - padding, padding : width - padding] + b[:, None, None]
    return out, (x, w, stride, padding)
"""
_BACKWARD = """
def conv_transpose_backward(dout, cache):
    x, w, stride, p = cache
    kh, kw = w.shape[2:]
    board = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i, j in np.ndindex(x.shape[2:]):
        top, left = i * stride, j * stride
        g = board[:, :, top : top + kh, left : left + kw]
        dx[:, :, i, j] = np.einsum("nokl,cokl->nc", g, w)
        dw += np.einsum("nc,nokl->cokl", x[:, :, i, j], g)
    return dx, dw, dout.sum(axis=(0, 2, 3))
"""
_CUT = "board[:, :, padding : height - padding, padding : width - padding]"
MUTANTS = {
    "stamps overwrite each other": _FORWARD.replace("kw] += stamp", "kw] = stamp"),
    "the kernel flipped": _FORWARD.replace("i, j], w)", "i, j], w[:, :, ::-1, ::-1])"),
    "the stride forgotten": _FORWARD.replace("i * stride, j * stride", "i, j"),
    "stamps side by side": _FORWARD.replace("i * stride, j * stride", "i * kh, j * kw").replace(
        "np.zeros((N, O, (H - 1) * stride + kh, (W - 1) * stride + kw)", "np.zeros((N, O, H * kh, W * kw)"
    ),
    "the size H * stride": _FORWARD.replace("(H - 1) * stride + kh, (W - 1) * stride + kw", "H * stride, W * stride").replace(
        "+= stamp", "+= stamp[:, :, : H * stride - top, : W * stride - left]"
    ),
    "the frame is not cut off": _FORWARD.replace(_CUT, "board"),
    "the frame cut off at the end": _FORWARD.replace(_CUT, "board[:, :, : height - 2 * padding, : width - 2 * padding]"),
    "one pixel off": _FORWARD.replace(
        _CUT, "np.roll(board, 1, axis=3)[:, :, padding : height - padding, padding : width - padding]"
    ),
    "p:-p, also for p = 0": _FORWARD.replace(_CUT, "board[:, :, padding:-padding, padding:-padding]"),
    "padded in place of cut": _FORWARD.replace(_CUT, "np.pad(board, ((0, 0), (0, 0), (padding, padding), (padding, padding)))"),
    "no bias": _FORWARD.replace(" + b[:, None, None]", ""),
    "the bias with every stamp": _FORWARD.replace("], w)\n", "], w) + b[:, None, None]\n").replace(
        "padding] + b[:, None, None]", "padding]"
    ),
    "overlaps averaged": _FORWARD.replace(
        "    height, width",
        "    count = np.zeros_like(board)\n"
        "    for i, j in np.ndindex(H, W):\n"
        "        count[:, :, i * stride : i * stride + kh, j * stride : j * stride + kw] += 1\n"
        "    board = board / np.maximum(count, 1)\n"
        "    height, width",
    ),
    "the axes of w exchanged": _FORWARD.replace("], w)\n", "], w.reshape(C, O, kh, kw) if C != O else w.transpose(1, 0, 2, 3))\n")
    + _BACKWARD.replace("g, w)", "g, w if w.shape[0] != w.shape[1] else w.transpose(1, 0, 2, 3))"),
    "dx with the kernel flipped": _BACKWARD.replace('->nc", g, w)', '->nc", g, w[:, :, ::-1, ::-1])'),
    "dx: the stride forgotten": _BACKWARD.replace("i * stride, j * stride", "i, j"),
    "dw: = in place of +=": _BACKWARD.replace("dw += np", "dw = np"),
    "dw of the first image": _BACKWARD.replace('"nc,nokl->cokl", x[:, :, i, j], g', '"nc,nokl->cokl", x[:1, :, i, j], g[:1]'),
    "dw divided by N": _BACKWARD.replace("return dx, dw,", "return dx, dw / len(x),"),
    "no frame on the upstream gradient": _BACKWARD.replace("((p, p), (p, p))", "").replace(
        "np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))", "np.pad(dout, ((0, 0), (0, 0), (0, 2 * p), (0, 2 * p)))"
    ),
    "a frame of copies of the edge": _BACKWARD.replace("(p, p)))", "(p, p)), mode='edge')"),
    "db a mean": _BACKWARD.replace("dout.sum(", "dout.mean("),
    "db over the batch only": _BACKWARD.replace("dout.sum(axis=(0, 2, 3))", "dout.sum(axis=0)"),
    "dx of the kernel's first entry": _BACKWARD.replace('"nokl,cokl->nc", g, w', '"no,co->nc", g[:, :, 0, 0], w[:, :, 0, 0]'),
    "rows and columns of the kernel exchanged, where that is possible": _BACKWARD.replace(
        "kh, kw = w.shape[2:]", "kh, kw = w.shape[2:]\n    v = w.swapaxes(2, 3) if kh == kw else w"
    ).replace("g, w)", "g, v)"),
}
RIGHT = {
    "zeros between the pixels, then a convolution with the kernel flipped": """
def conv_transpose_forward(x, w, b, stride=1, padding=0):
    (N, C, H, W), (_, O, kh, kw) = x.shape, w.shape
    nails = np.zeros((N, C, (H - 1) * stride + 1 + 2 * (kh - 1), (W - 1) * stride + 1 + 2 * (kw - 1)), x.dtype)
    nails[:, :, kh - 1 : nails.shape[2] - kh + 1 : stride, kw - 1 : nails.shape[3] - kw + 1 : stride] = x
    windows = np.lib.stride_tricks.sliding_window_view(nails, (kh, kw), axis=(2, 3))
    out = np.einsum("ncijkl,cokl->noij", windows, w[:, :, ::-1, ::-1])
    out = out[:, :, padding : out.shape[2] - padding, padding : out.shape[3] - padding] + b.reshape(1, -1, 1, 1)
    return out, (x, w, stride, padding)

def conv_transpose_backward(dout, cache):
    x, w, s, p = cache
    board = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
    windows = np.lib.stride_tricks.sliding_window_view(board, w.shape[2:], axis=(2, 3))[:, :, ::s, ::s]
    return np.einsum("noijkl,cokl->ncij", windows, w), np.einsum("ncij,noijkl->cokl", x, windows), dout.sum((0, 2, 3))
""",
    "a loop over the kernel": """
def conv_transpose_forward(x, w, b, stride=1, padding=0):
    (N, C, H, W), (_, O, kh, kw) = x.shape, w.shape
    s, p = stride, padding
    board = np.zeros((N, O, (H - 1) * s + kh, (W - 1) * s + kw), x.dtype)
    for k in range(kh):
        for l in range(kw):
            board[:, :, k : k + (H - 1) * s + 1 : s, l : l + (W - 1) * s + 1 : s] += np.einsum("nchw,co->nohw", x, w[:, :, k, l])
    out = board[:, :, p : board.shape[2] - p, p : board.shape[3] - p]
    out += b[None, :, None, None]
    return out, (x, w, s, p)

def conv_transpose_backward(dout, cache):
    x, w, s, p = cache
    H, W = x.shape[2:]
    board = np.pad(dout, [(0, 0), (0, 0), (p, p), (p, p)])
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for k in range(w.shape[2]):
        for l in range(w.shape[3]):
            part = board[:, :, k : k + (H - 1) * s + 1 : s, l : l + (W - 1) * s + 1 : s]
            dx += np.einsum("nohw,co->nchw", part, w[:, :, k, l])
            dw[:, :, k, l] = np.einsum("nohw,nchw->co", part, x)
    return dx, dw, np.sum(dout, axis=(0, 2, 3))
""",
    "loops over everything": """
def conv_transpose_forward(x, w, b, stride=1, padding=0):
    (N, C, H, W), (_, O, kh, kw) = x.shape, w.shape
    out = np.zeros((N, O, (H - 1) * stride + kh - 2 * padding, (W - 1) * stride + kw - 2 * padding), x.dtype)
    for n, c, o, i, j in np.ndindex(N, C, O, H, W):
        for k, l in np.ndindex(kh, kw):
            r, q = i * stride + k - padding, j * stride + l - padding
            if 0 <= r < out.shape[2] and 0 <= q < out.shape[3]:
                out[n, o, r, q] += x[n, c, i, j] * w[c, o, k, l]
    for o in range(O):
        out[:, o] += b[o]
    return out, (x, w, b, stride, padding)

def conv_transpose_backward(dout, cache):
    x, w, b, stride, padding = cache
    (N, C, H, W), (_, O, kh, kw) = x.shape, w.shape
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for n, c, o, i, j in np.ndindex(N, C, O, H, W):
        for k, l in np.ndindex(kh, kw):
            r, q = i * stride + k - padding, j * stride + l - padding
            if 0 <= r < dout.shape[2] and 0 <= q < dout.shape[3]:
                dx[n, c, i, j] += dout[n, o, r, q] * w[c, o, k, l]
                dw[c, o, k, l] += dout[n, o, r, q] * x[n, c, i, j]
    for o in range(O):
        db[o] = dout[:, o].sum()
    return dx, dw, db
""",
}
