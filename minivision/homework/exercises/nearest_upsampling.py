# ---
# title: Nearest neighbours and bed of nails
# topic: upsampling
# level: 1
# points: 10
# ---

# %% [markdown]
# # Nearest neighbours and bed of nails
#
# The two simplest ways to make an image $r$ times larger in both directions, from $x$ $(N, C, H, W)$ to $y$ $(N, C, rH, rW)$.
#
# **Nearest neighbour** repeats each pixel in a block of $r \times r$. **Bed of nails** puts it into the upper left corner of
# its block and leaves the rest 0, as nails stand out of a board:
#
# $$y^\text{near}_{ncij} = x_{n,c,\lfloor i/r \rfloor, \lfloor j/r \rfloor}, \qquad
# y^\text{nails}_{ncij} = \begin{cases} x_{n,c,\,i/r,\,j/r} & \text{if } r \text{ divides } i \text{ and } j,\\
# 0 & \text{else.} \end{cases}$$
#
# **Why in segmentation.** The decoder must get from small feature maps back to the size of the image. Nearest neighbour
# followed by a convolution is a common way to do so, without the checkerboard patterns of transposed convolution. And a bed of
# nails followed by a convolution *is* transposed convolution with stride $r$; so this is half of it.
#
# **Backward.** Follow each pixel to where it went, and add up the gradients from there: with nearest neighbour it went to all
# $r^2$ pixels of its block, with nails only to the corner.
#
# **An example by hand**, $r = 2$:
#
# $$x = \begin{pmatrix} 1&2\\3&4 \end{pmatrix} \Rightarrow
# y^\text{near} = \begin{pmatrix} 1&1&2&2\\1&1&2&2\\3&3&4&4\\3&3&4&4 \end{pmatrix},\quad
# y^\text{nails} = \begin{pmatrix} 1&0&2&0\\0&0&0&0\\3&0&4&0\\0&0&0&0 \end{pmatrix}.$$
#
# With the upstream gradient
#
# $$g = \begin{pmatrix} 1&2&3&4\\5&6&7&8\\9&10&11&12\\13&14&15&16 \end{pmatrix} \Rightarrow
# \partial x^\text{near} = \begin{pmatrix} 14&22\\46&54 \end{pmatrix},\quad
# \partial x^\text{nails} = \begin{pmatrix} 1&3\\9&11 \end{pmatrix};$$
#
# $14 = 1 + 2 + 5 + 6$ is a sum, not a mean.

# %%
import numpy as np


# %% tags=["task"]
def nearest_forward(x, scale):
    """x (N, C, H, W), scale an integer r >= 1 -> (out, cache): out (N, C, rH, rW), each pixel repeated in a block of r x r."""
    # BEGIN SOLUTION
    out = x.repeat(scale, axis=2).repeat(scale, axis=3)
    return out, scale
    # END SOLUTION


# %% tags=["task"]
def nearest_backward(dout, cache):
    """dout (N, C, rH, rW) -> dx (N, C, H, W): the gradient to x."""
    # BEGIN SOLUTION
    r = cache
    N, C, H, W = dout.shape
    blocks = dout.reshape(N, C, H // r, r, W // r, r)
    return blocks.sum(axis=(3, 5))
    # END SOLUTION


# %% tags=["task"]
def bed_of_nails_forward(x, scale):
    """x (N, C, H, W), scale an integer r >= 1 -> (out, cache): out (N, C, rH, rW), each pixel in the corner of its block."""
    # BEGIN SOLUTION
    N, C, H, W = x.shape
    out = np.zeros((N, C, scale * H, scale * W), x.dtype)
    out[:, :, ::scale, ::scale] = x
    return out, scale
    # END SOLUTION


# %% tags=["task"]
def bed_of_nails_backward(dout, cache):
    """dout (N, C, rH, rW) -> dx (N, C, H, W): the gradient to x, a new array."""
    # BEGIN SOLUTION
    scale = cache
    return dout[:, :, ::scale, ::scale].copy()
    # END SOLUTION


# %% [markdown] tags=["hint"]
# NumPy has two functions that sound alike: `np.repeat` makes `1 1 2 2` of `1 2`, `np.tile` makes `1 2 1 2`. Which one is
# needed, and along which axes? For nails, a slice with a step, `::r`, may stand on the left side of an assignment.

# %% [markdown] tags=["hint"]
# The sum over blocks: give each image six axes, `dout.reshape(N, C, H, r, W, r)`. Row $i = r \cdot a + b$ of the image is now
# row $b$ of block $a$. Which two axes are to be summed?

# %% [markdown] tags=["hint"]
# `x.repeat(r, axis=2).repeat(r, axis=3)`, and backward `dout.reshape(N, C, H, r, W, r).sum(axis=(3, 5))`. Nails:
# `out[:, :, ::r, ::r] = x`, and backward `dout[:, :, ::r, ::r].copy()`.

# %% tags=["figure"]
# Both of them; and the nails after a convolution with a tent of 3 x 3 weights, which interpolates between them.
x = np.random.default_rng(3).random((1, 1, 4, 6))
near, nails = nearest_forward(x, 2)[0][0, 0], bed_of_nails_forward(x, 2)[0][0, 0]
framed = np.pad(nails, 1)
tent = np.outer([0.5, 1, 0.5], [0.5, 1, 0.5])
smooth = sum(tent[k, l] * framed[k : k + 8, l : l + 12] for k in range(3) for l in range(3))
fig, axes = plt.subplots(1, 4, figsize=(11, 2.2), layout="constrained")
for ax, picture, title in zip(axes, (x[0, 0], near, nails, smooth), ("x", "nearest", "bed of nails", "nails, convolved")):
    ax.imshow(picture, cmap="viridis", vmin=0, vmax=1)
    ax.set(title=f"{title} {picture.shape}", xticks=[], yticks=[])

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

X = np.array([[1.0, 2.0], [3.0, 4.0]])[None, None]
G = np.arange(1.0, 17.0).reshape(1, 1, 4, 4)
CASES = (
    ((2, 3, 3, 5), 2, np.float64),
    ((2, 1, 4, 3), 3, np.float32),
    ((1, 2, 2, 3), 1, np.float64),
    ((1, 1, 1, 1), 4, np.float64),
)


@checked("nearest: the example by hand", points=1)
def nearest_example(student):
    out, cache = student.nearest_forward(X.copy(), 2)
    right = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]], float)[None, None]
    expect.equal("out", out, right)
    expect.close("dx", student.nearest_backward(G.copy(), cache), np.array([[14.0, 22.0], [46.0, 54.0]])[None, None])


@checked("nearest: the definition", points=2)
def nearest_values(student):
    for shape, r, dtype in CASES:
        x = check.tie_free(*shape).astype(dtype)
        rows, columns = np.arange(r * shape[2]) // r, np.arange(r * shape[3]) // r
        out, _ = student.nearest_forward(x, r)
        expect.equal(f"out for x {shape}, scale {r}", out, x[:, :, rows[:, None], columns])


@checked("nearest: the gradient", points=2)
def nearest_gradient(student):
    return check.backward(student.nearest_forward, student.nearest_backward, check.tie_free(2, 3, 2, 4), 3)


@checked("bed of nails: the example by hand", points=1)
def nails_example(student):
    out, cache = student.bed_of_nails_forward(X.copy(), 2)
    right = np.array([[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]], float)[None, None]
    expect.equal("out", out, right)
    expect.close("dx", student.bed_of_nails_backward(G.copy(), cache), np.array([[1.0, 3.0], [9.0, 11.0]])[None, None])


@checked("bed of nails: the definition", points=2)
def nails_values(student):
    for shape, r, dtype in CASES:
        x = check.tie_free(*shape).astype(dtype)
        right = np.zeros((*shape[:2], r * shape[2], r * shape[3]), dtype)
        for n, c, i, j in np.ndindex(shape):
            right[n, c, r * i, r * j] = x[n, c, i, j]
        out, _ = student.bed_of_nails_forward(x, r)
        expect.equal(f"out for x {shape}, scale {r}", out, right)


@checked("bed of nails: the gradient", points=2)
def nails_gradient(student):
    return check.backward(student.bed_of_nails_forward, student.bed_of_nails_backward, check.tie_free(2, 3, 4, 2), 3)


# %% tags=["mutants"]
MUTANTS = {
    "tile in place of repeat": "def nearest_forward(x, scale):\n    return np.tile(x, (1, 1, scale, scale)), scale\n",
    "rows only": "def nearest_forward(x, scale):\n    return x.repeat(scale, axis=2), scale\n",
    "images and channels repeated": """
def nearest_forward(x, scale):
    return x.repeat(scale, axis=0).repeat(scale, axis=1), scale
""",
    "repeat without an axis": """
def nearest_forward(x, scale):
    N, C, H, W = x.shape
    return x.repeat(scale * scale).reshape(N, C, scale * H, scale * W), scale
""",
    "divided by r squared": """
def nearest_forward(x, scale):
    return x.repeat(scale, axis=2).repeat(scale, axis=3) / scale**2, scale
""",
    "always 2": "def nearest_forward(x, scale):\n    return x.repeat(2, axis=2).repeat(2, axis=3), 2\n",
    "the mean of the blocks": """
def nearest_backward(dout, cache):
    N, C, H, W = dout.shape
    return dout.reshape(N, C, H // cache, cache, W // cache, cache).mean(axis=(3, 5))
""",
    "the corner of the blocks": "def nearest_backward(dout, cache):\n    return dout[:, :, ::cache, ::cache].copy()\n",
    "blocks by a wrong reshape": """
def nearest_backward(dout, cache):
    N, C, H, W = dout.shape
    return dout.reshape(N, C, cache, H // cache, cache, W // cache).sum(axis=(2, 4))
""",
    "the sum over rows only": """
def nearest_backward(dout, cache):
    N, C, H, W = dout.shape
    return dout.reshape(N, C, H // cache, cache, W // cache, cache).sum(axis=3)[..., 0]
""",
    "the maximum of the blocks": """
def nearest_backward(dout, cache):
    N, C, H, W = dout.shape
    return dout.reshape(N, C, H // cache, cache, W // cache, cache).max(axis=(3, 5))
""",
    "= in place of +=": """
def nearest_backward(dout, cache):
    N, C, H, W = dout.shape
    dx = np.zeros((N, C, H // cache, W // cache))
    for i in range(H):
        for j in range(W):
            dx[:, :, i // cache, j // cache] = dout[:, :, i, j]
    return dx
""",
    "nails in the last corner": """
def bed_of_nails_forward(x, scale):
    N, C, H, W = x.shape
    out = np.zeros((N, C, scale * H, scale * W), x.dtype)
    out[:, :, scale - 1 :: scale, scale - 1 :: scale] = x
    return out, scale

def bed_of_nails_backward(dout, cache):
    return dout[:, :, cache - 1 :: cache, cache - 1 :: cache].copy()
""",
    "no zeros after the last nail": """
def bed_of_nails_forward(x, scale):
    N, C, H, W = x.shape
    out = np.zeros((N, C, scale * (H - 1) + 1, scale * (W - 1) + 1), x.dtype)
    out[:, :, ::scale, ::scale] = x
    return out, scale
""",
    "all nails in the first corner": """
def bed_of_nails_forward(x, scale):
    N, C, H, W = x.shape
    out = np.zeros((N, C, scale * H, scale * W), x.dtype)
    out[:, :, :H, :W] = x
    return out, scale

def bed_of_nails_backward(dout, cache):
    return dout[:, :, : dout.shape[2] // cache, : dout.shape[3] // cache].copy()
""",
    "memory that nobody cleared": """
def bed_of_nails_forward(x, scale):
    out = np.ones((*x.shape[:2], scale * x.shape[2], scale * x.shape[3]), x.dtype)
    out[:, :, ::scale, ::scale] = x
    return out, scale
""",
    "nails r squared high": """
def bed_of_nails_forward(x, scale):
    out = np.zeros((*x.shape[:2], scale * x.shape[2], scale * x.shape[3]), x.dtype)
    out[:, :, ::scale, ::scale] = scale**2 * x
    return out, scale

def bed_of_nails_backward(dout, cache):
    return cache**2 * dout[:, :, ::cache, ::cache]
""",
    "always float64": """
def bed_of_nails_forward(x, scale):
    out = np.zeros((*x.shape[:2], scale * x.shape[2], scale * x.shape[3]))
    out[:, :, ::scale, ::scale] = x
    return out, scale
""",
    "the sum of the blocks for nails": "def bed_of_nails_backward(dout, cache):\n    return nearest_backward(dout, cache)\n",
    "the gradient one further": "def bed_of_nails_backward(dout, cache):\n    return dout[:, :, 1::cache, 1::cache].copy()\n",
    "a gradient as large as the output": """
def bed_of_nails_backward(dout, cache):
    mask = np.zeros_like(dout)
    mask[:, :, ::cache, ::cache] = 1
    return dout * mask
""",
}
RIGHT = {
    "loops": """
def nearest_forward(x, scale):
    N, C, H, W = x.shape
    out = np.zeros((N, C, H * scale, W * scale), dtype=x.dtype)
    for i in range(H * scale):
        for j in range(W * scale):
            out[:, :, i, j] = x[:, :, i // scale, j // scale]
    return out, (x, scale)

def nearest_backward(dout, cache):
    x, scale = cache
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dx[:, :, i // scale, j // scale] += dout[:, :, i, j]
    return dx

def bed_of_nails_backward(dout, cache):
    dx = np.zeros((dout.shape[0], dout.shape[1], dout.shape[2] // cache, dout.shape[3] // cache), dout.dtype)
    for i in range(dx.shape[2]):
        for j in range(dx.shape[3]):
            dx[:, :, i, j] = dout[:, :, i * cache, j * cache]
    return dx
""",
    "Kronecker products": """
def nearest_forward(x, scale):
    return np.kron(x, np.ones((1, 1, scale, scale), x.dtype)), scale

def nearest_backward(dout, cache):
    rows = np.add.reduceat(dout, np.arange(0, dout.shape[2], cache), axis=2)
    return np.add.reduceat(rows, np.arange(0, dout.shape[3], cache), axis=3)

def bed_of_nails_forward(x, scale):
    nail = np.zeros((1, 1, scale, scale), x.dtype)
    nail[..., 0, 0] = 1
    return np.kron(x, nail), scale
""",
    "slices": """
def nearest_forward(x, scale):
    out = np.empty((*x.shape[:2], scale * x.shape[2], scale * x.shape[3]), x.dtype)
    for a in range(scale):
        for b in range(scale):
            out[:, :, a::scale, b::scale] = x
    return out, scale

def nearest_backward(dout, cache):
    return sum(dout[:, :, a::cache, b::cache] for a in range(cache) for b in range(cache))
""",
}
