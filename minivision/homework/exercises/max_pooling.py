# ---
# title: Max pooling
# topic: pooling
# level: 2
# points: 12
# ---

# %% [markdown]
# # Max pooling
#
# A window slides over each channel and only the largest number in it goes on. With $x$ $(N, C, H, W)$, a square window of
# $k \times k$ pixels and steps of $s$ pixels,
#
# $$y_{ncij} = \max_{0 \le a,\, b < k} x_{n,c,\,is+a,\,js+b}, \qquad H' = \Bigl\lfloor \frac{H - k}{s} \Bigr\rfloor + 1, \quad
# W' = \Bigl\lfloor \frac{W - k}{s} \Bigr\rfloor + 1.$$
#
# Each channel is pooled on its own. Rows and columns that fill no whole window are left out.
#
# **Why in segmentation.** Pooling makes the image small, so that later layers see far. But it forgets *where* in the window the
# maximum stood, which is exactly what a mask needs: U-Net brings the lost detail back over skip connections, SegNet remembers
# the places (exercise *Max unpooling*).
#
# **Backward.** Only the winner of a window had any influence on its output, with factor 1, so it gets the whole gradient of
# that output, and the others get 0. Where windows overlap ($s < k$) one pixel may win several of them; then its gradients add
# up. If two pixels of a window are equally large, one of them gets everything; which one is your choice.
#
# **An example by hand**, $k = s = 2$:
#
# $$x = \begin{pmatrix} 1&3&2&0\\4&2&1&5\\0&1&7&2\\3&0&2&6 \end{pmatrix} \Rightarrow
# y = \begin{pmatrix} 4&5\\3&7 \end{pmatrix}, \qquad
# g = \begin{pmatrix} 10&20\\30&40 \end{pmatrix} \Rightarrow
# \partial x = \begin{pmatrix} 0&0&0&0\\10&0&0&20\\0&0&40&0\\30&0&0&0 \end{pmatrix}.$$
#
# With $k = 3$, $s = 1$ on the same $x$, the $7$ wins all four windows: $y$ is all $7$, and with the same $g$ it gets
# $10 + 20 + 30 + 40 = 100$.

# %%
import numpy as np


# %% tags=["task"]
def max_pool_forward(x, size, stride):
    """x (N, C, H, W); windows of size x size pixels, `stride` apart -> (out, cache): out (N, C, H', W'), of x's dtype."""
    # BEGIN SOLUTION
    N, C, H, W = x.shape
    out = np.zeros((N, C, (H - size) // stride + 1, (W - size) // stride + 1), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        top, left = i * stride, j * stride
        out[n, c, i, j] = x[n, c, top : top + size, left : left + size].max()
    return out, (x, size, stride)
    # END SOLUTION


# %% tags=["task"]
def max_pool_backward(dout, cache):
    """dout (N, C, H', W') -> dx (N, C, H, W): each entry of dout added to the winner of its window."""
    # BEGIN SOLUTION
    x, size, stride = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dout.shape):
        top, left = i * stride, j * stride
        window = x[n, c, top : top + size, left : left + size]
        a, b = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, top + a, left + b] += dout[n, c, i, j]
    return dx
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Loop over the output, as in convolution: `np.ndindex(out.shape)` gives all $(n, c, i, j)$. The window of an output begins at
# row $is$ and column $js$ of the input.

# %% [markdown] tags=["hint"]
# For the backward you must know where in its window the maximum stood. `window.argmax()` counts through the window row by row;
# `np.unravel_index(window.argmax(), window.shape)` makes a row and a column of it.

# %% [markdown] tags=["hint"]
# `dx[n, c, i * stride + a, j * stride + b] += dout[n, c, i, j]`. With `=` in place of `+=` all is well until windows overlap.
# With a mask `window == window.max()` all equal maxima would get the gradient.

# %% tags=["figure"]
# What is left of a picture, and which pixels would learn from it.
rows, columns = np.mgrid[:32, :48]
image = np.exp(-((np.hypot(rows - 15, columns - 17) - 9) ** 2) / 6) + 0.8 * np.exp(-((rows - columns / 2 - 4) ** 2) / 5)
image += 0.05 * np.random.default_rng(0).standard_normal(image.shape)
small, cache = max_pool_forward(image[None, None], 4, 4)
winners = max_pool_backward(np.ones_like(small), cache)
overlapping, cache = max_pool_forward(image[None, None], 5, 2)
won = max_pool_backward(np.ones_like(overlapping), cache)
pictures = {"x": image, "size 4, stride 4": small[0, 0], "its winners": winners[0, 0], "size 5, stride 2: windows won": won[0, 0]}
fig, axes = plt.subplots(1, 4, figsize=(11, 2.2), layout="constrained")
for ax, (title, picture), colours in zip(axes, pictures.items(), ("gray", "gray", "magma", "magma")):
    ax.imshow(picture, cmap=colours)
    ax.set(title=title, xticks=[], yticks=[])

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

X = np.array([[1, 3, 2, 0], [4, 2, 1, 5], [0, 1, 7, 2], [3, 0, 2, 6]], float)[None, None]
G = np.array([[10.0, 20.0], [30.0, 40.0]])[None, None]


@checked("forward: the examples by hand", points=1)
def forward_example(student):
    expect.equal(
        "out for size 2, stride 2", student.max_pool_forward(X.copy(), 2, 2)[0], np.array([[4.0, 5.0], [3.0, 7.0]])[None, None]
    )
    expect.equal("out for size 3, stride 1", student.max_pool_forward(X.copy(), 3, 1)[0], np.full((1, 1, 2, 2), 7.0))


@checked("forward: the definition", points=3)
def forward_values(student):
    for shape, size, stride, dtype in (
        ((2, 3, 6, 8), 2, 2, np.float64),
        ((2, 3, 5, 8), 3, 1, np.float64),
        ((2, 2, 7, 10), 3, 2, np.float64),
        ((1, 2, 9, 8), 2, 3, np.float32),
        ((2, 1, 3, 4), 1, 1, np.float64),
        ((2, 2, 3, 5), 3, 2, np.float64),
    ):
        x = check.tie_free(*shape, low=-3, high=-1 if size == 3 else 1).astype(dtype)  # some all negative
        # the largest of the images shifted by all places of the window
        starts = shape[2] - size + 1, shape[3] - size + 1
        shifted = [x[:, :, a : a + starts[0], b : b + starts[1]] for a in range(size) for b in range(size)]
        right = np.max(shifted, axis=0)[:, :, ::stride, ::stride]
        out, _ = student.max_pool_forward(x, size, stride)
        expect.equal(f"out for x {shape}, size {size}, stride {stride}", out, right)


@checked("backward: the examples by hand", points=1)
def backward_example(student):
    _, cache = student.max_pool_forward(X.copy(), 2, 2)
    right = np.zeros((1, 1, 4, 4))
    right[0, 0, [1, 1, 3, 2], [0, 3, 0, 2]] = 10, 20, 30, 40
    expect.equal("dx for size 2, stride 2", student.max_pool_backward(G.copy(), cache), right)
    _, cache = student.max_pool_forward(X.copy(), 3, 1)
    right = np.zeros((1, 1, 4, 4))
    right[0, 0, 2, 2] = 100
    expect.equal("dx for size 3, stride 1", student.max_pool_backward(G.copy(), cache), right)


@checked("backward: the gradient, windows side by side", points=2)
def backward_gradient(student):
    return check.backward(student.max_pool_forward, student.max_pool_backward, check.tie_free(2, 3, 5, 6), 2, 2)


@checked("backward: the gradient, windows that overlap", points=3)
def backward_overlap(student):
    return check.backward(student.max_pool_forward, student.max_pool_backward, check.tie_free(2, 2, 7, 6, seed=1), 3, 2)


@checked("backward: with equal maxima one of them gets everything", points=2)
def backward_ties(student):
    x = np.random.default_rng(0).integers(0, 2, (2, 2, 6, 8)).astype(float)
    out, cache = student.max_pool_forward(x, 2, 2)
    dx = student.max_pool_backward(np.ones_like(out), cache)
    expect.shape("dx", dx, x.shape)
    for n, c, i, j in np.ndindex(2, 2, 3, 4):
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        got = dx[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        winners = got != 0
        expect.that(
            int(winners.sum()) == 1 and bool(got.sum() == 1) and bool(window[winners][0] == window.max()),
            f"of the window {window.ravel().tolist()} one maximum must get the gradient 1 and the others 0, "
            f"but dx holds {got.ravel().tolist()}",
        )


# %% tags=["mutants"]
_BACKWARD = """
def max_pool_backward(dout, cache):
    x, size, stride = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dout.shape):
        top, left = i * stride, j * stride
        window = x[n, c, top : top + size, left : left + size]
        a, b = np.unravel_index(window.argmax(), window.shape)
        dx[n, c, top + a, left + b] += dout[n, c, i, j]
    return dx
"""
_FORWARD = """
def max_pool_forward(x, size, stride):
    N, C, H, W = x.shape
    out = np.zeros((N, C, (H - size) // stride + 1, (W - size) // stride + 1), x.dtype)
    for n, c, i, j in np.ndindex(out.shape):
        top, left = i * stride, j * stride
        out[n, c, i, j] = x[n, c, top : top + size, left : left + size].max()
    return out, (x, size, stride)
"""
_WINNER = "dx[n, c, top + a, left + b] += dout[n, c, i, j]"
MUTANTS = {
    "the mean": _FORWARD.replace(".max()", ".mean()"),
    "the maximum of all channels": _FORWARD.replace("x[n, c, top", "x[n, :, top"),
    "the stride is the size": _FORWARD.replace("i * stride, j * stride", "i * size, j * size"),
    "the stride forgotten": _FORWARD.replace("i * stride, j * stride", "i, j"),
    "size // stride for the output": _FORWARD.replace(
        "(H - size) // stride + 1, (W - size) // stride + 1", "H // stride, W // stride"
    ),
    "the size of the output rounded up": _FORWARD.replace(
        "(H - size) // stride + 1, (W - size) // stride + 1", "-((size - H) // stride) + 1, -((size - W) // stride) + 1"
    ),
    "the largest of the window and 0": _FORWARD.replace(".max()", ".max(initial=0)"),
    "a window that is one too small": _FORWARD.replace(
        "top + size, left : left + size", "top + max(size - 1, 1), left : left + max(size - 1, 1)"
    ),
    "rows and columns exchanged": _FORWARD.replace("i * stride, j * stride", "j * stride, i * stride"),
    "always float64": _FORWARD.replace(", x.dtype)", ")"),
    "the absolute value": _FORWARD.replace(
        "left : left + size].max()", "left : left + size].flat[np.abs(x[n, c, top : top + size, left : left + size]).argmax()]"
    ),
    "= in place of +=": _BACKWARD.replace("+= dout", "= dout"),
    "all maxima of a window": _BACKWARD.replace(
        _WINNER, "dx[n, c, top : top + size, left : left + size] += dout[n, c, i, j] * (window == window.max())"
    ),
    "the gradient shared by equal maxima": _BACKWARD.replace(
        _WINNER,
        "mask = window == window.max()\n"
        "        dx[n, c, top : top + size, left : left + size] += dout[n, c, i, j] * mask / mask.sum()",
    ),
    "the whole window": _BACKWARD.replace(_WINNER, "dx[n, c, top : top + size, left : left + size] += dout[n, c, i, j]"),
    "a mean, as in average pooling": _BACKWARD.replace(
        _WINNER, "dx[n, c, top : top + size, left : left + size] += dout[n, c, i, j] / size**2"
    ),
    "the winner by the upstream": _BACKWARD.replace("window.argmax()", "dout[n, c].argmax() % window.size"),
    "row and column of the winner exchanged": _BACKWARD.replace("a, b = np", "b, a = np"),
    "the place in the window only": _BACKWARD.replace("top + a, left + b", "a, b"),
    "the upstream forgotten": _BACKWARD.replace("+= dout[n, c, i, j]", "+= 1"),
    "the winner's value times the upstream": _BACKWARD.replace("+= dout[n, c, i, j]", "+= dout[n, c, i, j] * window.max()"),
    "the smallest": _BACKWARD.replace("argmax", "argmin"),
    "the stride forgotten in backward": _BACKWARD.replace("i * stride, j * stride", "i * size, j * size").replace(
        "a, b = np", "if window.size == 0:\n            continue\n        a, b = np"
    ),
}
RIGHT = {
    "the last of equal maxima, winners remembered": """
def max_pool_forward(x, size, stride):
    N, C, H, W = x.shape
    out = np.zeros((N, C, (H - size) // stride + 1, (W - size) // stride + 1), x.dtype)
    winner = {}
    for n, c, i, j in np.ndindex(out.shape):
        best, place = -np.inf, None
        for a in range(i * stride, i * stride + size):
            for b in range(j * stride, j * stride + size):
                if x[n, c, a, b] >= best:
                    best, place = x[n, c, a, b], (n, c, a, b)
        out[n, c, i, j] = best
        winner[n, c, i, j] = place
    return out, (winner, x.shape, x.dtype)

def max_pool_backward(dout, cache):
    winner, shape, dtype = cache
    dx = np.zeros(shape, dtype)
    for index, place in winner.items():
        dx[place] += dout[index]
    return dx
""",
    "windows by strides": """
def max_pool_forward(x, size, stride):
    windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    flat = windows.reshape(*windows.shape[:4], -1)
    winner = flat.argmax(axis=-1)
    return np.take_along_axis(flat, winner[..., None], -1)[..., 0], (x.shape, x.dtype, winner, size, stride)

def max_pool_backward(dout, cache):
    shape, dtype, winner, size, stride = cache
    n, c, i, j = np.indices(dout.shape)
    dx = np.zeros(shape, dtype)
    np.add.at(dx, (n, c, i * stride + winner // size, j * stride + winner % size), dout)
    return dx
""",
    "the position in the window outside": """
def max_pool_forward(x, size, stride):
    h, w = (x.shape[2] - size) // stride + 1, (x.shape[3] - size) // stride + 1
    out = np.full((*x.shape[:2], h, w), -np.inf, x.dtype)
    for a in range(size):
        for b in range(size):
            out = np.maximum(out, x[:, :, a : a + stride * h : stride, b : b + stride * w : stride][:, :, :h, :w])
    return out, (x, out, size, stride)

def max_pool_backward(dout, cache):
    x, out, size, stride = cache
    h, w = out.shape[2:]
    dx, taken = np.zeros_like(x), np.zeros(out.shape, bool)
    for a in range(size):
        for b in range(size):
            rows, columns = slice(a, a + stride * (h - 1) + 1, stride), slice(b, b + stride * (w - 1) + 1, stride)
            wins = (x[:, :, rows, columns] == out) & ~taken
            dx[:, :, rows, columns] += dout * wins
            taken |= wins
    return dx
""",
}
