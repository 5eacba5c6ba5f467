# ---
# title: Convolution
# topic: convolution
# level: 2
# points: 15
# ---

# %% [markdown]
# # Convolution
#
# A convolutional layer slides a small window over the image and takes the same weighted sum everywhere. The input is $x$,
# $(N, C, H, W)$: $N$ images of $C$ channels. There are $O$ kernels in $w$, $(O, C, k_h, k_w)$, each of which looks at all $C$
# channels and makes one output channel, and $b$, $(O,)$, is added:
#
# $$y_{noij} = b_o + \sum_{c=0}^{C-1} \sum_{k=0}^{k_h-1} \sum_{l=0}^{k_w-1} x_{n,c,\,i+k,\,j+l}\; w_{ockl}.$$
#
# The window must lie inside the image, so $y$ is $(N, O, H - k_h + 1, W - k_w + 1)$. The kernel is *not* flipped;
# mathematicians call this cross-correlation, and all deep learning libraries call it convolution.
#
# **Why in segmentation.** A fully convolutional network is made of this. It treats every place alike, so an object that moves
# in the image moves in the result, and it works for images of every size.
#
# **Backward.** Take the formula as instructions for where the gradient $g = \partial L / \partial y$ goes back to: each output
# $y_{noij}$ was made of one window of $x$, one kernel and one bias, and sends $g_{noij}$ to all of them, times what each was
# multiplied by.
#
# $$\frac{\partial L}{\partial x_{n,c,\,i+k,\,j+l}} \mathrel{+}= g_{noij}\, w_{ockl}, \qquad
# \frac{\partial L}{\partial w_{ockl}} \mathrel{+}= g_{noij}\, x_{n,c,\,i+k,\,j+l}, \qquad
# \frac{\partial L}{\partial b_o} \mathrel{+}= g_{noij},$$
#
# for all $n, o, i, j$ (and $c, k, l$). Windows overlap, so most pixels get several contributions: they add up.
#
# **An example by hand**, with one image, one channel, one kernel and $b = 1$:
#
# $$x = \begin{pmatrix} 1&2&3\\4&5&6\\7&8&9 \end{pmatrix},\quad w = \begin{pmatrix} 1&2\\0&-1 \end{pmatrix}
# \quad\Longrightarrow\quad y = \begin{pmatrix} 1&3\\7&9 \end{pmatrix},$$
#
# for instance $y_{01} = 1 + (2\cdot1 + 3\cdot2 + 5\cdot0 - 6\cdot1) = 3$. And backward,
#
# $$g = \begin{pmatrix} 1&0\\0&2 \end{pmatrix} \quad\Longrightarrow\quad
# \partial x = \begin{pmatrix} 1&2&0\\0&-1+2&4\\0&0&-2 \end{pmatrix},\quad
# \partial w = \begin{pmatrix} 1+2\cdot5 & 2+2\cdot6\\4+2\cdot8&5+2\cdot9 \end{pmatrix}
# = \begin{pmatrix} 11&14\\20&23 \end{pmatrix},\quad
# \partial b = 3.$$
#
# Write it with loops, as clearly as you can; speed is the subject of *Convolution with im2col*. The innermost sums, over the
# window, may be NumPy's.

# %%
import numpy as np


# %% tags=["task"]
def conv_forward(x, w, b):
    """x (N, C, H, W), w (O, C, kh, kw), b (O,) -> (out, cache): out is (N, O, H - kh + 1, W - kw + 1), of x's dtype."""
    # BEGIN SOLUTION
    (N, _, H, W), (O, _, kh, kw) = x.shape, w.shape
    out = np.zeros((N, O, H - kh + 1, W - kw + 1), x.dtype)
    for n, o, i, j in np.ndindex(out.shape):
        window = x[n, :, i : i + kh, j : j + kw]  # (C, kh, kw)
        out[n, o, i, j] = np.sum(window * w[o]) + b[o]
    return out, (x, w)
    # END SOLUTION


# %% tags=["task"]
def conv_backward(dout, cache):
    """dout, of out's shape -> (dx, dw, db): the gradients to x, w and b, each of the shape of what it belongs to."""
    # BEGIN SOLUTION
    x, w = cache
    kh, kw = w.shape[2:]
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(len(w), w.dtype)
    for n, o, i, j in np.ndindex(dout.shape):
        g = dout[n, o, i, j]
        dx[n, :, i : i + kh, j : j + kw] += g * w[o]
        dw[o] += g * x[n, :, i : i + kh, j : j + kw]
        db[o] += g
    return dx, dw, db
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Four loops: over the images, the output channels, and the rows and columns of the *output*. For each combination there is one
# number to compute. `np.ndindex(out.shape)` makes all four loops in one line.

# %% [markdown] tags=["hint"]
# The window of output position $(i, j)$ is `x[n, :, i : i + kh, j : j + kw]`, of shape $(C, k_h, k_w)$, the same as `w[o]`.
# Multiply them and sum up everything.

# %% [markdown] tags=["hint"]
# The backward has the same loops and the same windows. Where forward reads the window, backward adds to the window *of dx*:
# `dx[n, :, i : i + kh, j : j + kw] += dout[n, o, i, j] * w[o]`. The kernel is not flipped here. What do `dw[o]` and `db[o]`
# gain?

# %% [markdown] tags=["hint"]
# Allocate `np.zeros_like(x)`, `np.zeros_like(w)`, `np.zeros(O)`, and with `g = dout[n, o, i, j]`: the window of `dx` gains
# `g * w[o]`, `dw[o]` gains `g` times the window of `x`, `db[o]` gains `g`.

# %% tags=["figure"]
# Three kernels that everybody knows.
rows, columns = np.mgrid[:36, :54]
image = 0.3 + 0.5 * (np.hypot(rows - 17, columns - 16) < 10) - 0.2 * ((rows > 8) & (rows < 28) & (columns > 32) & (columns < 46))
kernels = np.array([np.ones((3, 3)) / 9, [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], [[-1, -2, -1], [0, 0, 0], [1, 2, 1]]])
out, _ = conv_forward(image[None, None], kernels[:, None], np.zeros(3))
fig, axes = plt.subplots(1, 4, figsize=(10, 2.1), layout="constrained")
for ax, picture, title in zip(axes, (image, *out[0]), ("input", "mean", "left to right", "top to bottom")):
    limit = np.abs(picture).max()
    ax.imshow(picture, cmap="gray" if picture.min() >= 0 else "RdBu", vmin=0 if picture.min() >= 0 else -limit, vmax=limit)
    ax.set(title=f"{title} {picture.shape}", xticks=[], yticks=[])

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

X = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
W = np.array([[1.0, 2.0], [0.0, -1.0]]).reshape(1, 1, 2, 2)
B = np.ones(1)


def drawn(x_shape, w_shape, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape, w_shape[:1]))


@checked("forward: the example by hand", points=1)
def forward_example(student):
    out, _ = student.conv_forward(X.copy(), W.copy(), B.copy())
    expect.close("out", out, np.array([[1.0, 3.0], [7.0, 9.0]]).reshape(1, 1, 2, 2))


@checked("forward: a kernel with a single 1 picks and moves one channel", points=3)
def forward_one_hot(student):
    # a convolution is linear in its kernel, so what it does to these kernels decides what it does to all
    (n, c, h, w), (o, kh, kw) = (2, 3, 5, 7), (2, 3, 2)
    x = np.random.default_rng(0).standard_normal((n, c, h, w))
    for channel, k, l in np.ndindex(c, kh, kw):
        kernel = np.zeros((o, c, kh, kw))
        kernel[1, channel, k, l] = 1
        out, _ = student.conv_forward(x, kernel, np.zeros(o))
        right = np.zeros((n, o, h - kh + 1, w - kw + 1))
        right[:, 1] = x[:, channel, k : h - kh + 1 + k, l : w - kw + 1 + l]
        expect.close(f"out for a kernel that is 0 but for a 1 at w[1, {channel}, {k}, {l}]", out, right)


@checked("forward: linear in x and in w, plus the bias", points=2)
def forward_linear(student):
    x, w, b = drawn((2, 3, 6, 5), (4, 3, 2, 3), 1)
    x2, w2, _ = drawn((2, 3, 6, 5), (4, 3, 2, 3), 2)
    none = np.zeros(4)

    def f(x, w, b):
        return expect.array("out", student.conv_forward(x, w, b)[0])

    out = f(x, w, none)
    expect.shape("out", out, (2, 4, 5, 3))
    expect.close("out for x1 + 2 x2, which is out1 + 2 out2,", f(x + 2 * x2, w, none), out + 2 * f(x2, w, none))
    expect.close("out for w1 + 2 w2, which is out1 + 2 out2,", f(x, w + 2 * w2, none), out + 2 * f(x, w2, none))
    expect.close(
        "out with the bias, minus out without,", f(x, w, b) - out, np.broadcast_to(b[:, None, None], out.shape) + 0 * out
    )


@checked("forward: 1 x 1 kernels, kernels as large as the image, float32", points=1)
def forward_edges(student):
    x, w, b = drawn((2, 3, 4, 5), (2, 3, 1, 1), 3)
    expect.close(
        "out of a 1 x 1 kernel", student.conv_forward(x, w, b)[0], np.einsum("nchw,oc->nohw", x, w[:, :, 0, 0]) + b[:, None, None]
    )
    x, w, b = drawn((2, 3, 4, 5), (2, 3, 4, 5), 4, np.float32)
    expect.close(
        "out of a kernel as large as the image",
        student.conv_forward(x, w, b)[0][:, :, 0, 0],
        np.einsum("nchw,ochw->no", x, w) + b,
    )


@checked("backward: the example by hand", points=1)
def backward_example(student):
    _, cache = student.conv_forward(X.copy(), W.copy(), B.copy())
    dx, dw, db = student.conv_backward(np.array([[1.0, 0.0], [0.0, 2.0]]).reshape(1, 1, 2, 2), cache)
    expect.close("dx", dx, np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 4.0], [0.0, 0.0, -2.0]]).reshape(1, 1, 3, 3))
    expect.close("dw", dw, np.array([[11.0, 14.0], [20.0, 23.0]]).reshape(1, 1, 2, 2))
    expect.close("db", db, np.array([3.0]))


@checked("backward: the gradient", points=5)
def backward_gradient(student):
    return check.backward(student.conv_forward, student.conv_backward, *drawn((2, 3, 5, 6), (4, 3, 3, 2), 5))


@checked("backward: as many channels out as in, a square image, float32", points=2)
def backward_square(student):
    # the forward is linear in each input, so <dout, f(v) - f(0)> is <gradient, v>
    x, w, b = drawn((2, 2, 4, 4), (2, 2, 3, 3), 6, np.float32)
    out, cache = student.conv_forward(x, w, b)
    dout = np.random.default_rng(7).standard_normal(out.shape).astype(np.float32)
    gradients = student.conv_backward(dout, cache)
    nothing = np.vdot(dout, student.conv_forward(0 * x, w, 0 * b)[0])
    for name, given, gradient in zip("xwb", (x, w, b), gradients, strict=True):
        right = np.zeros_like(given)
        for index in np.ndindex(given.shape):
            unit = np.zeros_like(given)
            unit[index] = 1
            inputs = {"x": (unit, w, 0 * b), "w": (x, unit, 0 * b), "b": (0 * x, w, unit)}[name]
            right[index] = np.vdot(dout, student.conv_forward(*inputs)[0]) - nothing
        expect.close(f"d{name}", gradient, right)


# %% tags=["mutants"]
_FORWARD = """
def conv_forward(x, w, b):
    (N, C, H, W), (O, _, kh, kw) = x.shape, w.shape
    out = np.zeros((N, O, H - kh + 1, W - kw + 1), x.dtype)
    for n, o, i, j in np.ndindex(out.shape):
        out[n, o, i, j] = np.sum(x[n, :, i : i + kh, j : j + kw] * w[o]) + b[o]
    return out, (x, w)
"""
_BACKWARD = """
def conv_backward(dout, cache):
    x, w = cache
    kh, kw = w.shape[2:]
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(len(w), w.dtype)
    for n, o, i, j in np.ndindex(dout.shape):
        g = dout[n, o, i, j]
        dx[n, :, i : i + kh, j : j + kw] += g * w[o]
        dw[o] += g * x[n, :, i : i + kh, j : j + kw]
        db[o] += g
    return dx, dw, db
"""
MUTANTS = {
    "the kernel flipped, as mathematicians do": _FORWARD.replace("* w[o])", "* w[o, :, ::-1, ::-1])")
    + _BACKWARD.replace("g * w[o]", "g * w[o, :, ::-1, ::-1]").replace("dw[o] +=", "dw[o, :, ::-1, ::-1] +="),
    "no bias": _FORWARD.replace(" + b[o]", ""),
    "the bias in every channel": _FORWARD.replace(
        "np.sum(x[n, :, i : i + kh, j : j + kw] * w[o]) + b[o]", "np.sum(x[n, :, i : i + kh, j : j + kw] * w[o] + b[o])"
    ),
    "only the first channel": _FORWARD.replace(
        "x[n, :, i : i + kh, j : j + kw] * w[o]", "x[n, 0, i : i + kh, j : j + kw] * w[o, 0]"
    ),
    "the last row and column are missed": _FORWARD.replace("np.ndindex(out.shape)", "np.ndindex(N, O, H - kh, W - kw)"),
    "the output one too small": _FORWARD.replace("H - kh + 1, W - kw + 1", "H - kh, W - kw"),
    "rows and columns exchanged": _FORWARD.replace("H - kh + 1, W - kw + 1", "W - kw + 1, H - kh + 1").replace(
        "x[n, :, i : i + kh, j : j + kw]", "x[n, :, j : j + kh, i : i + kw]"
    ),
    "the output as large as the input": """
def conv_forward(x, w, b):
    (N, C, H, W), (O, _, kh, kw) = x.shape, w.shape
    out = np.zeros((N, O, H, W), x.dtype)
    for n, o, i, j in np.ndindex(N, O, H - kh + 1, W - kw + 1):
        out[n, o, i, j] = np.sum(x[n, :, i : i + kh, j : j + kw] * w[o]) + b[o]
    return out, (x, w)
""",
    "a mean over the window": _FORWARD.replace("np.sum", "np.mean"),
    "dx: = in place of +=": _BACKWARD.replace(
        "dx[n, :, i : i + kh, j : j + kw] += g * w[o]", "dx[n, :, i : i + kh, j : j + kw] = g * w[o]"
    ),
    "dw: = in place of +=": _BACKWARD.replace("dw[o] +=", "dw[o] ="),
    "db: = in place of +=": _BACKWARD.replace("db[o] +=", "db[o] ="),
    "dx with the kernel flipped": _BACKWARD.replace("g * w[o]", "g * w[o, :, ::-1, ::-1]"),
    "dw flipped": _BACKWARD.replace("return dx, dw, db", "return dx, dw[:, :, ::-1, ::-1].copy(), db"),
    "dw divided by N": _BACKWARD.replace("return dx, dw, db", "return dx, dw / len(x), db"),
    "dw without the upstream": _BACKWARD.replace("dw[o] += g * x", "dw[o] += x"),
    "dx into the first image only": _BACKWARD.replace("dx[n,", "dx[0,"),
    "dx into one channel": _BACKWARD.replace(
        "dx[n, :, i : i + kh, j : j + kw] += g * w[o]", "dx[n, 0, i : i + kh, j : j + kw] += g * w[o, 0]"
    ),
    "the channels of the kernel exchanged, where that is possible": _BACKWARD.replace(
        "    for n,", "    v = w.transpose(1, 0, 2, 3) if w.shape[0] == w.shape[1] else w\n    for n,"
    ).replace("g * w[o]", "g * v[o]"),
    "db a mean": _BACKWARD.replace("return dx, dw, db", "return dx, dw, db / dout[:, 0].size"),
    "db over the batch only": _BACKWARD.replace("return dx, dw, db", "return dx, dw, dout.sum(axis=0)"),
    "a loop that ends too soon": _BACKWARD.replace(
        "np.ndindex(dout.shape)", "np.ndindex(*dout.shape[:2], dout.shape[2] - 1, dout.shape[3] - 1)"
    ),
    "the gradients of the wrong order": _BACKWARD.replace("return dx, dw, db", "return dw, dx, db"),
}
RIGHT = {
    "a sum of shifted images": """
def conv_forward(x, w, b):
    (N, C, H, W), (O, _, kh, kw) = x.shape, w.shape
    h, v = H - kh + 1, W - kw + 1
    out = np.zeros((N, O, h, v), x.dtype) + b[:, None, None]
    for k in range(kh):
        for l in range(kw):
            out += np.einsum("nchw,oc->nohw", x[:, :, k : k + h, l : l + v], w[:, :, k, l])
    return out, (x, w)

def conv_backward(dout, cache):
    x, w = cache
    h, v = dout.shape[2:]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for k in range(w.shape[2]):
        for l in range(w.shape[3]):
            dx[:, :, k : k + h, l : l + v] += np.einsum("nohw,oc->nchw", dout, w[:, :, k, l])
            dw[:, :, k, l] = np.einsum("nohw,nchw->oc", dout, x[:, :, k : k + h, l : l + v])
    return dx, dw, dout.sum(axis=(0, 2, 3))
""",
    "windows by strides": """
def conv_forward(x, w, b):
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("ncijkl,ockl->noij", windows, w) + b[:, None, None], (windows, w)

def conv_backward(dout, cache):
    windows, w = cache
    kh, kw = w.shape[2:]
    dw = np.einsum("noij,ncijkl->ockl", dout, windows)
    padded = np.pad(dout, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw), axis=(2, 3))
    dx = np.einsum("nohwkl,ockl->nchw", seen, w[:, :, ::-1, ::-1])
    return dx, dw, dout.sum(axis=(0, 2, 3))
""",
    "seven loops": """
def conv_forward(x, w, b):
    N, C, H, W = x.shape
    O, _, kh, kw = w.shape
    out = np.zeros((N, O, H - kh + 1, W - kw + 1), dtype=x.dtype)
    for n in range(N):
        for o in range(O):
            for i in range(H - kh + 1):
                for j in range(W - kw + 1):
                    total = b[o]
                    for c in range(C):
                        for k in range(kh):
                            for l in range(kw):
                                total = total + x[n, c, i + k, j + l] * w[o, c, k, l]
                    out[n, o, i, j] = total
    return out, (x, w, b)

def conv_backward(dout, cache):
    x, w, b = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for n, o, i, j in np.ndindex(dout.shape):
        db[o] += dout[n, o, i, j]
        for c, k, l in np.ndindex(w.shape[1:]):
            dx[n, c, i + k, j + l] += dout[n, o, i, j] * w[o, c, k, l]
            dw[o, c, k, l] += dout[n, o, i, j] * x[n, c, i + k, j + l]
    return dx, dw, db
""",
}
