# ---
# title: Skip connection
# topic: joining
# level: 1
# points: 12
# ---

# %% [markdown]
# # Skip connection
#
# U-Net shrinks the image to learn *what* is in it, and enlarges the result again to say *where*. On the way down the exact
# place of edges is lost. So each step of the way up also gets the features of the same size from the way down, past
# everything in between: the skip connection.
#
# Two arrays meet: `skip`, $(N, C_1, H, W)$, from the way down, and `up`, $(N, C_2, h, w)$, from below. In the original U-Net
# the convolutions have no padding and eat the border, so `up` is smaller: $h \le H$, $w \le W$. Hence two steps:
#
# 1. **Crop** the middle of `skip` to $h \times w$. It begins at row $t = \lfloor (H - h) / 2 \rfloor$ and column
#    $l = \lfloor (W - w) / 2 \rfloor$; if the difference is odd, one more row is cut off at the bottom than at the top.
# 2. **Concatenate** along the channels, the cropped `skip` first, then `up`:
#
# $$y_{ncij} = \begin{cases} \text{skip}_{n,\,c,\,t+i,\,l+j} & c < C_1 \\ \text{up}_{n,\,c-C_1,\,i,\,j} & c \ge C_1 \end{cases}
# \qquad\text{of shape } (N, C_1 + C_2, h, w).$$
#
# **Backward.** Nothing is computed, each number is only put somewhere else, or dropped. So the gradient goes back to where
# its number came from, and numbers that were dropped get 0. The gradient to `skip` has the full size $H \times W$ again.
#
# **An example by hand**: one image, $C_1 = C_2 = 1$, `skip` is $4 \times 3$ and `up` is $1 \times 2$, so
# $t = \lfloor 3/2 \rfloor = 1$ and $l = \lfloor 1/2 \rfloor = 0$:
#
# $$\text{skip} = \begin{pmatrix} 1&2&3\\4&5&6\\7&8&9\\10&11&12 \end{pmatrix},\quad
# \text{up} = \begin{pmatrix} 20&30 \end{pmatrix}
# \quad\Longrightarrow\quad y = \text{the two channels } \begin{pmatrix} 4&5 \end{pmatrix}, \begin{pmatrix} 20&30 \end{pmatrix}.$$
#
# With the gradients $(1\ \ 2)$ to the first channel and $(3\ \ 4)$ to the second one,
#
# $$\frac{\partial L}{\partial\, \text{skip}} = \begin{pmatrix} 0&0&0\\1&2&0\\0&0&0\\0&0&0 \end{pmatrix},\qquad
# \frac{\partial L}{\partial\, \text{up}} = \begin{pmatrix} 3&4 \end{pmatrix}.$$

# %%
import numpy as np


# %% tags=["task"]
def center_crop(x, height, width):
    """x (N, C, H, W) -> its middle (N, C, height, width), from row (H - height) // 2 and column (W - width) // 2."""
    # BEGIN SOLUTION
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]
    # END SOLUTION


# %% tags=["task"]
def skip_forward(skip, up):
    """skip (N, C1, H, W), up (N, C2, h, w) -> (out, cache): the cropped skip, then up, (N, C1 + C2, h, w)."""
    # BEGIN SOLUTION
    cropped = center_crop(skip, up.shape[2], up.shape[3])
    return np.concatenate([cropped, up], axis=1), skip.shape
    # END SOLUTION


# %% tags=["task"]
def skip_backward(dout, cache):
    """dout (N, C1 + C2, h, w) -> (dskip, dup): the gradients to skip (N, C1, H, W) and up (N, C2, h, w)."""
    # BEGIN SOLUTION
    N, C1, H, W = cache
    h, w = dout.shape[2:]
    top, left = (H - h) // 2, (W - w) // 2
    dskip = np.zeros((N, C1, H, W), dout.dtype)
    dskip[:, :, top : top + h, left : left + w] = dout[:, :C1]
    dup = dout[:, C1:].copy()
    return dskip, dup
    # END SOLUTION


# %% [markdown] tags=["hint"]
# The crop is one slice: rows `top` to `top + height`, columns `left` to `left + width`. Avoid `x[:, :, top:-top]`: it is
# empty for `top = 0`, and wrong for an odd difference. `np.concatenate(..., axis=1)` puts channels one after the other.

# %% [markdown] tags=["hint"]
# Backward needs the shape of `skip`, nothing else; put it into the cache. The first $C_1$ channels of `dout` belong to
# `skip`, the remaining ones to `up`.

# %% [markdown] tags=["hint"]
# Make zeros of the shape of `skip` and of the dtype of `dout`, and write `dout[:, :C1]` into the very slice that the crop
# took. Return copies: `dout[:, C1:]` alone is a view into the caller's array.

# %% tags=["figure"]
# A skip connection from 15 x 15 to 8 x 10: what goes in, the two channels that come out, and where the gradient arrives.
rows, columns = np.mgrid[:15, :15]
skip = (np.hypot(rows - 6, columns - 8) < 5).astype(float)[None, None]
up = (rows[:8, :10] + columns[:8, :10]).astype(float)[None, None] / 16
out, cache = skip_forward(skip, up)
dskip, dup = skip_backward(np.ones_like(out), cache)
fig, axes = plt.subplots(1, 5, figsize=(10, 2.3), layout="constrained")
panels = {
    "skip": skip, "up": up, "out, channel 0": out[:, :1], "out, channel 1": out[:, 1:], "gradient to skip, of ones": dskip,
}  # fmt: skip
for ax, (title, values) in zip(axes, panels.items()):
    ax.imshow(values[0, 0], cmap="viridis", vmin=0, vmax=1)
    ax.set_title(title, fontsize=9)

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

SKIP = np.arange(1.0, 13.0).reshape(1, 1, 4, 3)
UP = np.array([[20.0, 30.0]]).reshape(1, 1, 1, 2)


def place_by_place(skip, up):
    (n, c1, big_h, big_w), (_, c2, h, w) = skip.shape, up.shape
    top, left = int((big_h - h) / 2), int((big_w - w) / 2)
    out = np.zeros((n, c1 + c2, h, w), skip.dtype)
    for image, c, i, j in np.ndindex(out.shape):
        out[image, c, i, j] = skip[image, c, top + i, left + j] if c < c1 else up[image, c - c1, i, j]
    return out


@checked("crop: the middle", points=2)
def crop_values(student):
    x = check.tie_free(2, 3, 7, 6)
    for height, width in ((7, 6), (5, 4), (4, 3), (6, 5), (1, 6), (7, 2), (2, 1)):
        right = np.zeros((2, 3, height, width))
        for i, j in np.ndindex(height, width):
            right[:, :, i, j] = x[:, :, (7 - height) // 2 + i, (6 - width) // 2 + j]
        expect.equal(f"7 x 6 cropped to {height} x {width}", student.center_crop(x, height, width), right)


@checked("forward: the example by hand", points=1)
def forward_example(student):
    out, _ = student.skip_forward(SKIP.copy(), UP.copy())
    expect.equal("out", out, np.array([4.0, 5.0, 20.0, 30.0]).reshape(1, 2, 1, 2))


@checked("forward: the definition", points=3)
def forward_values(student):
    cases = (
        ((2, 3, 7, 6), (2, 2, 4, 5)),
        ((1, 2, 5, 5), (1, 3, 5, 5)),
        ((2, 2, 4, 6), (2, 2, 4, 3)),
        ((3, 1, 6, 3), (3, 4, 3, 3)),
    )
    for big, small in cases:
        for dtype in (np.float64, np.float32):
            skip, up = check.tie_free(*big).astype(dtype), check.tie_free(*small, seed=1, low=2, high=3).astype(dtype)
            expect.equal(f"out for skip {big} and up {small}", student.skip_forward(skip, up)[0], place_by_place(skip, up))


@checked("backward: the example by hand", points=1)
def backward_example(student):
    _, cache = student.skip_forward(SKIP.copy(), UP.copy())
    gradients = student.skip_backward(np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 2, 1, 2), cache)
    expect.that(type(gradients) is tuple and len(gradients) == 2, "skip_backward must return two arrays: return dskip, dup")
    dskip, dup = gradients
    right = np.zeros((1, 1, 4, 3))
    right[0, 0, 1, :2] = 1.0, 2.0
    expect.equal("dskip", dskip, right)
    expect.equal("dup", dup, np.array([[3.0, 4.0]]).reshape(1, 1, 1, 2))


@checked("backward: the gradient", points=3)
def backward_gradient(student):
    inputs = check.tie_free(2, 3, 5, 6), check.tie_free(2, 2, 4, 3, seed=1)
    return check.backward(student.skip_forward, student.skip_backward, *inputs)


@checked("backward: nothing to crop, as much as possible to crop, and float32", points=2)
def backward_sizes(student):
    for big, small in (((2, 2, 4, 3), (2, 1, 4, 3)), ((1, 3, 5, 4), (1, 2, 1, 1)), ((2, 1, 4, 5), (2, 2, 4, 2))):
        skip, up = check.tie_free(*big).astype(np.float32), check.tie_free(*small).astype(np.float32)
        out, cache = student.skip_forward(skip, up)
        dout = check.tie_free(*place_by_place(skip, up).shape, seed=2).astype(np.float32)
        expect.shape("out", out, dout.shape)
        dskip, dup = student.skip_backward(dout, cache)
        right = np.zeros(big, np.float32)
        top, left = (big[2] - small[2]) // 2, (big[3] - small[3]) // 2
        for i, j in np.ndindex(small[2:]):
            right[:, :, top + i, left + j] = dout[:, : big[1], i, j]
        expect.equal(f"dskip for skip {big} and up {small}", dskip, right)
        expect.equal(f"dup for skip {big} and up {small}", dup, dout[:, big[1] :])


# %% tags=["mutants"]
_BACKWARD = """
def skip_backward(dout, cache):
    N, C1, H, W = cache
    h, w = dout.shape[2:]
    top, left = (H - h) // 2, (W - w) // 2
    dskip = np.zeros((N, C1, H, W), dout.dtype)
    dskip[:, :, top : top + h, left : left + w] = dout[:, :C1]
    return dskip, dout[:, C1:].copy()
"""
MUTANTS = {
    "crops the corner": """
def center_crop(x, height, width):
    return x[:, :, :height, :width]
""",
    "rounds up": """
def center_crop(x, height, width):
    top, left = (x.shape[2] - height + 1) // 2, (x.shape[3] - width + 1) // 2
    return x[:, :, top : top + height, left : left + width]
""",
    "slices with a negative end": """
def center_crop(x, height, width):
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top:-top, left:-left]
""",
    "cuts as much off below as above": """
def center_crop(x, height, width):
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : x.shape[2] - top, left : x.shape[3] - left]
""",
    "height and width exchanged": """
def center_crop(x, height, width):
    top, left = (x.shape[2] - width) // 2, (x.shape[3] - height) // 2
    return x[:, :, top : top + width, left : left + height]
""",
    "crops the first two axes": """
def center_crop(x, height, width):
    top, left = (x.shape[0] - height) // 2, (x.shape[1] - width) // 2
    return x[top : top + height, left : left + width]
""",
    "up first": """
def skip_forward(skip, up):
    cropped = center_crop(skip, up.shape[2], up.shape[3])
    return np.concatenate([up, cropped], axis=1), skip.shape
""",
    "up first, in both functions": """
def skip_forward(skip, up):
    cropped = center_crop(skip, up.shape[2], up.shape[3])
    return np.concatenate([up, cropped], axis=1), skip.shape

def skip_backward(dout, cache):
    N, C1, H, W = cache
    h, w = dout.shape[2:]
    C2 = dout.shape[1] - C1
    top, left = (H - h) // 2, (W - w) // 2
    dskip = np.zeros((N, C1, H, W), dout.dtype)
    dskip[:, :, top : top + h, left : left + w] = dout[:, C2:]
    return dskip, dout[:, :C2].copy()
""",
    "added in place of concatenated": """
def skip_forward(skip, up):
    return center_crop(skip, up.shape[2], up.shape[3]) + up, skip.shape
""",
    "concatenated along the rows": """
def skip_forward(skip, up):
    cropped = center_crop(skip, up.shape[2], up.shape[3])
    return np.concatenate([cropped, up], axis=2), skip.shape
""",
    "up is padded in place of cropping skip": """
def skip_forward(skip, up):
    rows, columns = skip.shape[2] - up.shape[2], skip.shape[3] - up.shape[3]
    padding = ((0, 0), (0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return np.concatenate([skip, np.pad(up, padding)], axis=1), skip.shape
""",
    "dskip stays small": _BACKWARD.replace("return dskip,", "return dout[:, :C1].copy(),"),
    "dskip in the corner": _BACKWARD.replace("(H - h) // 2, (W - w) // 2", "0, 0"),
    "dskip rounds up": _BACKWARD.replace("(H - h) // 2, (W - w) // 2", "(H - h + 1) // 2, (W - w + 1) // 2"),
    "the channels of dout exchanged": _BACKWARD.replace("= dout[:, :C1]", "= dout[:, -C1:]").replace(
        "dout[:, C1:]", "dout[:, : dout.shape[1] - C1]"
    ),
    "split in the middle": _BACKWARD.replace("h, w = dout.shape[2:]", "h, w = dout.shape[2:]\n    C1 = dout.shape[1] // 2"),
    "dskip is not zero outside": _BACKWARD.replace("np.zeros(", "np.ones("),
    "dskip always float64": _BACKWARD.replace(", dout.dtype)", ")"),
    "the order of the gradients": _BACKWARD.replace("return dskip, dout[:, C1:].copy()", "return dout[:, C1:].copy(), dskip"),
}
RIGHT = {
    "padding back": """
def skip_forward(skip, up):
    rows, columns = skip.shape[2] - up.shape[2], skip.shape[3] - up.shape[3]
    frame = (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)
    cropped = center_crop(skip, *up.shape[2:])
    return np.concatenate([cropped, up], axis=1), (skip.shape[1], frame)

def skip_backward(dout, cache):
    channels, frame = cache
    dskip, dup = np.split(dout, [channels], axis=1)
    return np.pad(dskip, ((0, 0), (0, 0), *frame)), dup.copy()
""",
    "place by place": """
def center_crop(x, height, width):
    out = np.empty((x.shape[0], x.shape[1], height, width), x.dtype)
    for i in range(height):
        for j in range(width):
            out[:, :, i, j] = x[:, :, (x.shape[2] - height) // 2 + i, (x.shape[3] - width) // 2 + j]
    return out

def skip_forward(skip, up):
    out = np.empty((up.shape[0], skip.shape[1] + up.shape[1], up.shape[2], up.shape[3]), up.dtype)
    out[:, : skip.shape[1]] = center_crop(skip, up.shape[2], up.shape[3])
    out[:, skip.shape[1] :] = up
    return out, (skip, up)

def skip_backward(dout, cache):
    skip, up = cache
    dskip = np.zeros_like(skip)
    for i in range(up.shape[2]):
        for j in range(up.shape[3]):
            row, column = (skip.shape[2] - up.shape[2]) // 2 + i, (skip.shape[3] - up.shape[3]) // 2 + j
            dskip[:, :, row, column] = dout[:, : skip.shape[1], i, j]
    return dskip, np.array(dout[:, skip.shape[1] :])
""",
}
