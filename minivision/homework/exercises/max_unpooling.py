# ---
# title: Max unpooling
# topic: upsampling
# level: 2
# points: 12
# ---

# %% [markdown]
# # Max unpooling
#
# Max pooling keeps the largest number of each window and forgets where it stood. If the place is remembered, a decoder can put
# a value back exactly there, and zeros everywhere else:
#
# 1. pooling notes for each output the *index* of its maximum, the flat position $p = iW + j$ in its channel's plane of
#    $H \times W$ pixels;
# 2. unpooling writes $y_{nc}[p_{nc,ij}] = x_{nc,ij}$ into a plane of zeros.
#
# **Why in segmentation.** This is how DeconvNet and SegNet get sharp borders: the values come from the deep layers of the
# decoder, the places from the encoder, which still knew where the edges were. It costs an index per pooled value in place of
# whole feature maps.
#
# **Shapes.** $x$ and the indices are $(N, C, H', W')$, the result is $(N, C, H, W)$. Each channel of each image has indices of
# its own. The size $H \times W$ must be given: planes with 5 and with 4 rows both pool to 2 rows. Here pooling windows lie side
# by side (stride = size), so no index occurs twice in a plane.
#
# **Backward.** $y[p] = x$ is a copy, so $x$ gets what the gradient says at that place,
# $\partial x_{nc,ij} = g_{nc}[p_{nc,ij}]$; what the gradient says at the zeros goes nowhere. The indices are whole numbers and
# have no gradient. Compare with max pooling: its backward is the *forward* of unpooling and the other way round.
#
# **An example by hand**, windows of $2 \times 2$ on a plane of $3 \times 5$, where the last row and column fill no window:
#
# $$\begin{pmatrix} 1&3&2&0&9\\4&2&1&5&9\\9&9&9&9&9 \end{pmatrix} \;\xrightarrow{\text{pool}}\; \begin{pmatrix} 4&5 \end{pmatrix},
# \text{ indices } \begin{pmatrix} 5&8 \end{pmatrix}, \qquad
# x = \begin{pmatrix} 7&-2 \end{pmatrix} \;\xrightarrow{\text{unpool}}\;
# \begin{pmatrix} 0&0&0&0&0\\7&0&0&-2&0\\0&0&0&0&0 \end{pmatrix}.$$
#
# The $4$ stands in row 1, column 0 of a plane that is 5 wide: $1 \cdot 5 + 0 = 5$; the $5$ at $1 \cdot 5 + 3 = 8$. For an
# upstream gradient that counts $0, 1, 2, \ldots, 14$ through the plane, $\partial x = (5, 8)$.

# %%
import numpy as np


# %% tags=["task"]
def max_pool_with_indices(x, size):
    """The maxima of windows of size x size pixels, side by side, and where they stand.

    x (N, C, H, W) -> (out, indices), both (N, C, H // size, W // size). An index is the flat position i * W + j in the plane
    of x, an integer; of equal maxima that of any one.
    """
    # BEGIN SOLUTION
    N, C, H, W = x.shape
    out = np.zeros((N, C, H // size, W // size), x.dtype)
    indices = np.zeros(out.shape, int)
    for n, c, i, j in np.ndindex(out.shape):
        top, left = i * size, j * size
        window = x[n, c, top : top + size, left : left + size]
        a, b = np.unravel_index(window.argmax(), window.shape)
        out[n, c, i, j] = window[a, b]
        indices[n, c, i, j] = (top + a) * W + left + b
    return out, indices
    # END SOLUTION


# %% tags=["task"]
def max_unpool_forward(x, indices, size):
    """x and indices (N, C, H', W'), size = (H, W) -> (out, cache): out (N, C, H, W), x at its indices and 0 elsewhere."""
    # BEGIN SOLUTION
    N, C = x.shape[:2]
    height, width = size
    places = indices.reshape(N, C, -1)
    out = np.zeros((N, C, height * width), x.dtype)
    np.put_along_axis(out, places, x.reshape(N, C, -1), axis=2)
    return out.reshape(N, C, height, width), (places, x.shape)
    # END SOLUTION


# %% tags=["task"]
def max_unpool_backward(dout, cache):
    """dout (N, C, H, W) -> dx (N, C, H', W'): the gradient to x."""
    # BEGIN SOLUTION
    places, shape = cache
    planes = dout.reshape(*shape[:2], -1)  # (N, C, H W)
    return np.take_along_axis(planes, places, axis=2).reshape(shape)
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Pooling: `window.argmax()` counts inside the window. Take it apart with `np.unravel_index(window.argmax(), window.shape)`, add
# the window's own row and column, and make a flat position of the *large* plane, whose rows are $W$ long.

# %% [markdown] tags=["hint"]
# Unpooling: begin with planes that are flat, `np.zeros((N, C, height * width))`, write, and reshape at the end. With two loops
# over images and channels it is one line each: `out[n, c, indices[n, c]] = x[n, c]`.

# %% [markdown] tags=["hint"]
# Without loops, `np.put_along_axis(out, places, values, axis=2)` writes, and `np.take_along_axis(planes, places, axis=2)`
# reads; all of them $(N, C, \text{something})$. The backward is the reading one.

# %% tags=["figure"]
# Pooled to a quarter and back: with the places remembered, and with each value simply repeated.
rows, columns = np.mgrid[:32, :48]
image = (np.hypot(rows - 15, columns - 16) < 11) * 0.6 + ((rows > 5) & (rows < 27) & (abs(columns - 38) < 4 + rows / 8)) * 0.9
image = np.maximum(image - 0.25 * (np.hypot(rows - 11, columns - 13) < 4), 0) + 0.02 * np.random.default_rng(0).random(
    image.shape
)
pooled, indices = max_pool_with_indices(image[None, None], 4)
back, _ = max_unpool_forward(pooled, indices, image.shape)
pictures = {"x": image, "pooled": pooled[0, 0], "unpooled": back[0, 0], "repeated": pooled[0, 0].repeat(4, 0).repeat(4, 1)}
fig, axes = plt.subplots(1, 4, figsize=(11, 2.2), layout="constrained")
for ax, (title, picture) in zip(axes, pictures.items()):
    ax.imshow(picture, cmap="magma", vmin=0)
    if picture.shape == image.shape:
        ax.contour(image > 0.3, [0.5], colors="c", linewidths=0.7)
    ax.set(title=f"{title} {picture.shape}", xticks=[], yticks=[])

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

X = np.array([[1, 3, 2, 0, 9], [4, 2, 1, 5, 9], [9, 9, 9, 9, 9]], float)[None, None]


def places(n, c, h, w, height, width, seed):
    """Different indices for every plane, none twice in a plane, in no order."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(height * width)[: h * w] for _ in range(n * c)]).reshape(n, c, h, w)


@checked("pooling: the example by hand", points=1)
def pool_example(student):
    out, indices = student.max_pool_with_indices(X.copy(), 2)
    expect.equal("out", out, np.array([[4.0, 5.0]])[None, None])
    expect.equal("indices", indices, np.array([[5, 8]])[None, None])


@checked("pooling: indices of the maxima", points=3)
def pool_values(student):
    for shape, size, dtype in (
        ((2, 3, 5, 8), 2, np.float64),
        ((2, 2, 7, 9), 3, np.float32),
        ((1, 2, 3, 4), 1, np.float64),
        ((2, 1, 4, 4), 4, np.float64),
    ):
        x = check.tie_free(*shape, low=-2, high=0).astype(dtype)
        out, indices = student.max_pool_with_indices(x, size)
        (n, c, h, w), case = shape, f"for x {shape}, size {size}"
        blocks = x[:, :, : h // size * size, : w // size * size].reshape(n, c, h // size, size, w // size, size)
        right = blocks.max(axis=(3, 5))
        expect.equal(f"out {case}", out, right)
        numbers = np.arange(n * c * h * w).reshape(n * c, h * w)  # which entry of x holds this value?
        at = np.array(
            [
                [np.flatnonzero(x.ravel()[plane] == value)[0] for value in row]
                for plane, row in zip(numbers, right.reshape(n * c, -1))
            ]
        )
        expect.equal(f"indices {case}", indices, at.reshape(right.shape))


@checked("unpooling: the example by hand", points=1)
def unpool_example(student):
    out, cache = student.max_unpool_forward(np.array([[7.0, -2.0]])[None, None], np.array([[5, 8]])[None, None], (3, 5))
    right = np.zeros((1, 1, 3, 5))
    right[0, 0, 1, [0, 3]] = 7, -2
    expect.equal("out", out, right)
    expect.equal(
        "dx", student.max_unpool_backward(np.arange(15.0).reshape(1, 1, 3, 5), cache), np.array([[5.0, 8.0]])[None, None]
    )


@checked("unpooling: the definition", points=3)
def unpool_values(student):
    for (n, c, h, w), (height, width), dtype in (
        ((2, 3, 2, 3), (5, 7), np.float64),
        ((3, 2, 3, 3), (6, 6), np.float32),
        ((1, 1, 1, 2), (2, 3), np.float64),
    ):
        x, indices = check.tie_free(n, c, h, w).astype(dtype), places(n, c, h, w, height, width, 0)
        right = np.zeros((n, c, height, width), dtype)
        for a, m, i, j in np.ndindex(x.shape):
            right[a, m, indices[a, m, i, j] // width, indices[a, m, i, j] % width] = x[a, m, i, j]
        out, _ = student.max_unpool_forward(x, indices, (height, width))
        expect.equal(f"out for x {x.shape} and a plane of {height} x {width}", out, right)


@checked("pooling undoes unpooling", points=1)
def round_trip(student):
    x = check.tie_free(2, 3, 7, 5, low=1, high=2)
    out, indices = student.max_pool_with_indices(x, 2)
    back, _ = student.max_unpool_forward(out, indices, (7, 5))
    kept = expect.array("out", back) != 0
    expect.equal("x where out is not 0", x[kept] if kept.shape == x.shape else back, back[kept])
    again, _ = student.max_pool_with_indices(back, 2)
    expect.equal("pooled again", again, out)


@checked("backward: the gradient", points=3)
def backward_gradient(student):
    x = np.random.default_rng(2).standard_normal((2, 3, 2, 3))
    return check.backward(student.max_unpool_forward, student.max_unpool_backward, x, places(2, 3, 2, 3, 5, 7, 1), (5, 7))


# %% tags=["mutants"]
_POOL = """
def max_pool_with_indices(x, size):
    N, C, H, W = x.shape
    out = np.zeros((N, C, H // size, W // size), x.dtype)
    indices = np.zeros(out.shape, int)
    for n, c, i, j in np.ndindex(out.shape):
        top, left = i * size, j * size
        window = x[n, c, top : top + size, left : left + size]
        a, b = np.unravel_index(window.argmax(), window.shape)
        out[n, c, i, j] = window[a, b]
        indices[n, c, i, j] = (top + a) * W + left + b
    return out, indices
"""
_FORWARD = """
def max_unpool_forward(x, indices, size):
    height, width = size
    out = np.zeros((*x.shape[:2], height * width), x.dtype)
    for n, c in np.ndindex(x.shape[:2]):
        out[n, c, indices[n, c]] = x[n, c]
    return out.reshape(*x.shape[:2], height, width), (indices.reshape(*x.shape[:2], -1), x.shape)
"""
_BACKWARD = """
def max_unpool_backward(dout, cache):
    places, shape = cache
    planes = dout.reshape(*shape[:2], -1)
    return np.take_along_axis(planes, places, axis=2).reshape(shape)
"""
_PLACE = "(top + a) * W + left + b"
MUTANTS = {
    "the index inside the window": _POOL.replace(_PLACE, "window.argmax()"),
    "rows as long as the plane is high": _POOL.replace(_PLACE, "(top + a) * H + left + b"),
    "rows as long as the covered part": _POOL.replace(_PLACE, "(top + a) * (W // size * size) + left + b"),
    "rows and columns exchanged": _POOL.replace(_PLACE, "(left + b) * W + top + a"),
    "column by column": _POOL.replace(_PLACE, "(left + b) * H + top + a"),
    "the corner of the window": _POOL.replace(_PLACE, "top * W + left"),
    "an index in the whole batch": _POOL.replace(_PLACE, "((n * C + c) * H + top + a) * W + left + b"),
    "the rest of the plane has windows too": _POOL.replace(
        "H // size, W // size), x.dtype", "-(-H // size), -(-W // size)), x.dtype"
    ),
    "the indices as floats": _POOL.replace("np.zeros(out.shape, int)", "np.zeros(out.shape)"),
    "the smallest": _POOL.replace("argmax", "argmin"),
    "the indices of the first image and channel for all": _FORWARD.replace("indices[n, c]] =", "indices[0, 0]] ="),
    "the indices of the first channel for all": _FORWARD.replace("indices[n, c]] =", "indices[n, 0]] ="),
    "values in the order of their places": _FORWARD.replace(
        "out[n, c, indices[n, c]] = x[n, c]", "out[n, c, np.sort(indices[n, c].ravel())] = x[n, c].ravel()"
    ),
    "the planes turned": _FORWARD.replace(
        "return out.reshape(*x.shape[:2], height, width)", "return out.reshape(*x.shape[:2], width, height).swapaxes(2, 3)"
    ),
    "ones in place of the values": _FORWARD.replace("= x[n, c]\n", "= 1\n"),
    "always float64": _FORWARD.replace(", x.dtype)", ")"),
    "every value at the corner of its window": """
def max_unpool_forward(x, indices, size):
    height, width = size
    out = np.zeros((*x.shape[:2], height, width), x.dtype)
    sh, sw = height // x.shape[2], width // x.shape[3]
    out[:, :, : sh * x.shape[2] : sh, : sw * x.shape[3] : sw] = x
    return out, (indices.reshape(*x.shape[:2], -1), x.shape)
""",
    "the size by doubling": """
def max_unpool_forward(x, indices, size):
    height, width = size
    N, C, H, W = x.shape
    out = np.zeros((N, C, 4 * H * W), x.dtype)
    np.put_along_axis(out, indices.reshape(N, C, -1), x.reshape(N, C, -1), axis=2)
    return out.reshape(N, C, 2 * H, 2 * W), (indices.reshape(N, C, -1), x.shape)
""",
    "one flat array for all planes": """
def max_unpool_forward(x, indices, size):
    height, width = size
    out = np.zeros(x.shape[0] * x.shape[1] * height * width, x.dtype)
    out[indices.ravel()] = x.ravel()
    return out.reshape(*x.shape[:2], height, width), (indices.reshape(*x.shape[:2], -1), x.shape)
""",
    "backward reads the first plane": _BACKWARD.replace(
        "planes, places", "planes, np.broadcast_to(places[:1, :1], places.shape)"
    ),
    "backward pools": """
def max_unpool_backward(dout, cache):
    places, shape = cache
    h, w = dout.shape[2] // shape[2], dout.shape[3] // shape[3]
    blocks = dout[:, :, : h * shape[2], : w * shape[3]].reshape(*shape[:3], h, shape[3], w)
    return blocks.max(axis=(3, 5))
""",
    "backward gives the places": _BACKWARD.replace("np.take_along_axis(planes, places, axis=2)", "places.astype(float)"),
    "backward reads the planes column by column": _BACKWARD.replace("dout.reshape", "dout.swapaxes(2, 3).reshape"),
    "backward passes the first entries": _BACKWARD.replace(
        "np.take_along_axis(planes, places, axis=2)", "planes[:, :, : places.shape[2]].copy()"
    ),
    "backward with the shape of the output": """
def max_unpool_backward(dout, cache):
    places, shape = cache
    mask = np.zeros((*shape[:2], dout.shape[2] * dout.shape[3]))
    np.put_along_axis(mask, places, 1, axis=2)
    return dout * mask.reshape(dout.shape)
""",
    "backward multiplies by the values": """
def max_unpool_forward(x, indices, size):
    height, width = size
    N, C = x.shape[:2]
    out = np.zeros((N, C, height * width), x.dtype)
    np.put_along_axis(out, indices.reshape(N, C, -1), x.reshape(N, C, -1), axis=2)
    return out.reshape(N, C, height, width), (indices.reshape(N, C, -1), x)

def max_unpool_backward(dout, cache):
    places, x = cache
    return x * np.take_along_axis(dout.reshape(*x.shape[:2], -1), places, axis=2).reshape(x.shape)
""",
}
RIGHT = {
    "loops over everything": """
def max_unpool_forward(x, indices, size):
    height, width = size
    out = np.zeros((x.shape[0], x.shape[1], height, width), x.dtype)
    for n, c, i, j in np.ndindex(x.shape):
        row, column = divmod(indices[n, c, i, j], width)
        out[n, c, row, column] = x[n, c, i, j]
    return out, indices

def max_unpool_backward(dout, indices):
    dx = np.zeros(indices.shape, dout.dtype)
    for n, c, i, j in np.ndindex(indices.shape):
        row, column = divmod(indices[n, c, i, j], dout.shape[3])
        dx[n, c, i, j] = dout[n, c, row, column]
    return dx
""",
    "pooling by blocks, unpooling by one index into everything": """
def max_pool_with_indices(x, size):
    N, C, H, W = x.shape
    h, w = H // size, W // size
    numbers = np.arange(H * W).reshape(H, W)[: h * size, : w * size]
    blocks = lambda a: a.reshape(*a.shape[:-2], h, size, w, size).swapaxes(-2, -3).reshape(*a.shape[:-2], h, w, -1)
    values = blocks(x[:, :, : h * size, : w * size])
    best = values.argmax(axis=-1)[..., None]
    numbers = np.broadcast_to(blocks(numbers), values.shape)
    return np.take_along_axis(values, best, -1)[..., 0], np.take_along_axis(numbers, best, -1)[..., 0]

def max_unpool_forward(x, indices, size):
    height, width = size
    N, C = x.shape[:2]
    planes = np.arange(N * C).reshape(N, C, 1, 1) * height * width
    out = np.zeros(N * C * height * width, x.dtype)
    out[(planes + indices).ravel()] = x.ravel()
    return out.reshape(N, C, height, width), planes + indices

def max_unpool_backward(dout, places):
    return dout.ravel()[places]
""",
}
