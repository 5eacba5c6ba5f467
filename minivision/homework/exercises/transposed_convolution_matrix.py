# ---
# title: Transposed convolution as a matrix
# topic: upsampling
# level: 3
# points: 15
# ---

# %% [markdown]
# # Transposed convolution as a matrix
#
# Why is it called *transposed*? Convolution is linear in the image: each output is a weighted sum of pixels, and the weights do
# not depend on the image. So for images of a given size there is a matrix $M$, made of the kernel alone, with
#
# $$\operatorname{vec}(\text{conv}(x)) = M \operatorname{vec}(x),$$
#
# where $\operatorname{vec}$ writes an array as one long vector, row by row (`x.ravel()`). This exercise shows that three things
# are one:
#
# 1. multiplying by the transposed matrix, $M^\top$;
# 2. the backward of convolution, which takes the gradient of the output to the gradient of the input;
# 3. stamping kernels into the output, that is, transposed convolution.
#
# **The matrix.** One image $x$ $(C, H, W)$, kernels $w$ $(O, C, k_h, k_w)$, stride $s$, no padding, so that
# $H' = \lfloor (H - k_h)/s \rfloor + 1$ and $W' = \lfloor (W - k_w)/s \rfloor + 1$. $M$ has a row for each output $(o, i, j)$
# and a column for each pixel $(c, a, b)$, in the order in which `ravel` counts them: $O H' W'$ rows and $C H W$ columns, and
#
# $$M_{(o,i,j),\,(c,\,is+k,\,js+l)} = w_{ockl}, \qquad \text{all other entries } 0.$$
#
# **Examples by hand.** One row of pixels, the kernel $(1, 2, 3)$. For 4 pixels and stride 1, 5 pixels and stride 2, 6 pixels
# and stride 2:
#
# $$\begin{pmatrix} 1&2&3&0\\0&1&2&3 \end{pmatrix}, \qquad
# \begin{pmatrix} 1&2&3&0&0\\0&0&1&2&3 \end{pmatrix}, \qquad
# \begin{pmatrix} 1&2&3&0&0&0\\0&0&1&2&3&0 \end{pmatrix}.$$
#
# The transpose of the second takes $(1, 10)$ to $(1, 2, 3 + 10, 20, 30)$: each number stamps the kernel, 2 pixels apart, and
# where stamps overlap they add up. And look at the third: 5 pixels and 6 pixels both give 2 outputs, so the way back must be
# told the size. In PyTorch that is what `output_padding` is for.
#
# **Why in segmentation.** The encoder goes down by convolution with stride, the decoder goes up by its transpose: same kernel
# shape, same stride, sizes that fit. Note that $w$ $(O, C, \ldots)$ has the channels of the *small* image first; read as the
# kernel of a transposed convolution, from $O$ to $C$ channels, it is "inputs first", as PyTorch has it.
#
# Transposed is not inverse: $M^\top M x$ has the shape of $x$, but is something else.
#
# Write the matrix; both directions with it; and, last, the backward of convolution to its input with loops that stamp, without
# any matrix (real images would need one of terabytes).

# %%
import numpy as np


# %% tags=["task"]
def conv_matrix(w, height, width, stride=1):
    """The matrix of a convolution without padding: w (O, C, kh, kw), images (C, height, width) -> M (O H' W', C height width)."""
    # BEGIN SOLUTION
    O, C, kh, kw = w.shape
    h, v = (height - kh) // stride + 1, (width - kw) // stride + 1
    matrix = np.zeros((O, h, v, C, height, width), w.dtype)
    for i, j in np.ndindex(h, v):
        top, left = i * stride, j * stride
        matrix[:, i, j, :, top : top + kh, left : left + kw] = w
    return matrix.reshape(O * h * v, C * height * width)
    # END SOLUTION


# %% tags=["task"]
def conv_by_matrix(x, w, stride=1):
    """x (N, C, H, W), w (O, C, kh, kw) -> the convolution (N, O, H', W'), as a product with conv_matrix."""
    # BEGIN SOLUTION
    N, _, H, W = x.shape
    O, _, kh, kw = w.shape
    matrix = conv_matrix(w, H, W, stride)
    y = x.reshape(N, -1) @ matrix.T  # (N, C H W) (C H W, O H' W'): an image in each row
    return y.reshape(N, O, (H - kh) // stride + 1, (W - kw) // stride + 1)
    # END SOLUTION


# %% tags=["task"]
def conv_transpose_by_matrix(y, w, height, width, stride=1):
    """y (N, O, H', W'), w (O, C, kh, kw) -> (N, C, height, width), as a product with the transpose of conv_matrix."""
    # BEGIN SOLUTION
    N, C = len(y), w.shape[1]
    matrix = conv_matrix(w, height, width, stride)
    return (y.reshape(N, -1) @ matrix).reshape(N, C, height, width)  # (N, O H' W') (O H' W', C H W)
    # END SOLUTION


# %% tags=["task"]
def conv_input_gradient(dy, w, height, width, stride=1):
    """Convolution's backward to its input, without a matrix: dy (N, O, H', W'), w (O, C, kh, kw) -> dx (N, C, height, width)."""
    # BEGIN SOLUTION
    kh, kw = w.shape[2:]
    dx = np.zeros((len(dy), w.shape[1], height, width), dy.dtype)
    for i, j in np.ndindex(dy.shape[2:]):
        top, left = i * stride, j * stride
        dx[:, :, top : top + kh, left : left + kw] += np.einsum("no,ockl->nckl", dy[:, :, i, j], w)
    return dx
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Build the matrix with six axes, `(O, h, v, C, height, width)`; then `matrix[o, i, j, c, a, b]` can be read as "how much of
# pixel $(c, a, b)$ is in output $(o, i, j)$", and one `reshape` at the end makes rows and columns in the right order.

# %% [markdown] tags=["hint"]
# For output position $(i, j)$ the kernel lies at rows $is \ldots is + k_h - 1$ and columns $js \ldots js + k_w - 1$ of the
# image: `matrix[:, i, j, :, i * s : i * s + kh, j * s : j * s + kw] = w`, for all $o$ and $c$ at once.

# %% [markdown] tags=["hint"]
# $N$ images are $N$ vectors. As the rows of `x.reshape(N, -1)` they are multiplied from the right: $(Mx)^\top = x^\top M^\top$,
# so convolution is `x.reshape(N, -1) @ M.T` and its transpose is `y.reshape(N, -1) @ M`.

# %% [markdown] tags=["hint"]
# The gradient: loop over the outputs $(i, j)$. Each sends `dy[n, o, i, j] * w[o]` back to its window of `dx`, with `+=`.

# %% tags=["figure"]
# The matrices of a 3 x 3 kernel on 6 x 7 pixels with stride 1 and 2. The stripes are the kernel's rows.
kernel = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
y = np.zeros((1, 1, 2, 3))
y[0, 0, 0, 0], y[0, 0, 1, 2], y[0, 0, 0, 1] = 1, 1, 0.5
fig, axes = plt.subplots(1, 4, figsize=(12, 2.6), layout="constrained", width_ratios=(2, 2, 0.7, 1))
pictures = (conv_matrix(kernel, 6, 7), conv_matrix(kernel, 6, 7, 2), y[0, 0], conv_transpose_by_matrix(y, kernel, 6, 7, 2)[0, 0])
titles = ("M, stride 1", "M, stride 2", "y", "$M^T$ y, stride 2")
for ax, picture, title in zip(axes, pictures, titles):
    ax.imshow(
        np.where(picture == 0, np.nan, picture),
        cmap="viridis",
        interpolation="nearest",
        aspect="auto" if title[0] == "M" else "equal",
    )
    ax.set(title=f"{title} {picture.shape}", xticks=[], yticks=[])

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

ROW = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
CASES = (
    ((2, 3, 5, 4), (2, 3, 3, 2), 1),
    ((2, 2, 6, 5), (3, 2, 2, 3), 2),
    ((1, 2, 4, 4), (2, 2, 2, 2), 2),
    ((3, 1, 7, 6), (2, 1, 3, 2), 3),
    ((1, 2, 2, 3), (1, 2, 2, 3), 1),
)


def drawn(x_shape, w_shape, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(w_shape).astype(dtype)


def convolution(x, w, stride):
    (n, _, h, v), (o, _, kh, kw) = x.shape, w.shape
    y = np.zeros((n, o, (h - kh) // stride + 1, (v - kw) // stride + 1), x.dtype)
    for a, m, i, j in np.ndindex(y.shape):
        y[a, m, i, j] = np.sum(x[a, :, i * stride : i * stride + kh, j * stride : j * stride + kw] * w[m])
    return y


@checked("the matrix: the examples by hand", points=1)
def matrix_example(student):
    expect.equal(
        "the matrix for 4 pixels, stride 1", student.conv_matrix(ROW.copy(), 1, 4), np.array([[1, 2, 3, 0], [0, 1, 2, 3]], float)
    )
    expect.equal(
        "the matrix for 6 pixels, stride 2",
        student.conv_matrix(ROW.copy(), 1, 6, 2),
        np.array([[1, 2, 3, 0, 0, 0], [0, 0, 1, 2, 3, 0]], float),
    )


@checked("the matrix: times an image it is the convolution", points=4)
def matrix_values(student):
    for x_shape, w_shape, stride in CASES:
        x, w = drawn(x_shape, w_shape, 0)
        right = convolution(x, w, stride)
        matrix = student.conv_matrix(w, *x_shape[2:], stride)
        case = f"for w {w_shape}, images {x_shape[1:]}, stride {stride}"
        expect.shape(f"the matrix {case}", matrix, (right[0].size, x[0].size))
        for image, y in zip(x, right, strict=True):
            expect.close(f"matrix @ image.ravel() {case}", matrix @ image.ravel(), y.ravel())


@checked("convolution by the matrix", points=2)
def conv_values(student):
    for x_shape, w_shape, stride in CASES:
        x, w = drawn(x_shape, w_shape, 1, np.float32 if stride == 3 else np.float64)
        case = f"conv_by_matrix for x {x_shape}, w {w_shape}, stride {stride}"
        expect.close(case, student.conv_by_matrix(x, w, stride), convolution(x, w, stride))


@checked("the transpose: the example by hand", points=1)
def transpose_example(student):
    y = np.array([1.0, 10.0]).reshape(1, 1, 1, 2)
    for name in ("conv_transpose_by_matrix", "conv_input_gradient"):
        f = getattr(student, name)
        expect.close(
            f"{name} for 5 pixels", f(y.copy(), ROW.copy(), 1, 5, 2), np.array([1.0, 2.0, 13.0, 20.0, 30.0]).reshape(1, 1, 1, 5)
        )
        expect.close(
            f"{name} for 6 pixels",
            f(y.copy(), ROW.copy(), 1, 6, 2),
            np.array([1.0, 2.0, 13.0, 20.0, 30.0, 0.0]).reshape(1, 1, 1, 6),
        )


def _adjoint(up):
    for x_shape, w_shape, stride in CASES:
        _, w = drawn(x_shape, w_shape, 2)
        y_shape = convolution(np.zeros(x_shape), w, stride).shape

        def back(y):
            return up(y, w, *x_shape[2:], stride)

        expect.shape(f"the result for y {y_shape}, w {w_shape}, stride {stride}", back(np.zeros(y_shape)), x_shape)
        report = check.adjoint(lambda x: convolution(x, w, stride), back, x_shape, arrays=True)
        if not report.ok:
            return report
    return report


@checked("the transpose by the matrix is adjoint to convolution", points=2)
def transpose_adjoint(student):
    return _adjoint(student.conv_transpose_by_matrix)


@checked("the gradient by stamps is adjoint to convolution", points=2)
def stamps_adjoint(student):
    return _adjoint(student.conv_input_gradient)


@checked("convolution and its transpose are each other's backward", points=2)
def each_others_backward(student):
    x, w = drawn((2, 3, 5, 6), (2, 3, 2, 3), 3)
    report = check.backward(
        lambda x: student.conv_by_matrix(x, w, 2),
        lambda dout, x: student.conv_transpose_by_matrix(dout, w, 5, 6, 2),
        x,
        names=["x"],
    )
    if not report.ok:
        return report
    y = student.conv_by_matrix(x, w, 2)
    expect.close(
        "conv_input_gradient, compared with conv_transpose_by_matrix,",
        student.conv_input_gradient(y, w, 5, 6, 2), student.conv_transpose_by_matrix(y, w, 5, 6, 2),
    )  # fmt: skip
    return check.backward(
        lambda y: student.conv_transpose_by_matrix(y, w, 5, 6, 2),
        lambda dout, y: student.conv_by_matrix(dout, w, 2),
        y,
        names=["y"],
    )


@checked("float32 stays float32", points=1)
def dtypes(student):
    x, w = drawn((2, 2, 4, 5), (3, 2, 2, 2), 4, np.float32)
    y = convolution(x, w, 1)
    for name, result in (
        ("conv_matrix", student.conv_matrix(w, 4, 5)),
        ("conv_transpose_by_matrix", student.conv_transpose_by_matrix(y, w, 4, 5)),
        ("conv_input_gradient", student.conv_input_gradient(y, w, 4, 5)),
    ):
        expect.that(expect.array(name, result).dtype == np.float32, f"{name} gives {result.dtype} for float32 inputs")


# %% tags=["mutants"]
_MATRIX = """
def conv_matrix(w, height, width, stride=1):
    O, C, kh, kw = w.shape
    h, v = (height - kh) // stride + 1, (width - kw) // stride + 1
    matrix = np.zeros((O, h, v, C, height, width), w.dtype)
    for i, j in np.ndindex(h, v):
        top, left = i * stride, j * stride
        matrix[:, i, j, :, top : top + kh, left : left + kw] = w
    return matrix.reshape(O * h * v, C * height * width)
"""
_STAMPS = """
def conv_input_gradient(dy, w, height, width, stride=1):
    kh, kw = w.shape[2:]
    dx = np.zeros((len(dy), w.shape[1], height, width), dy.dtype)
    for i, j in np.ndindex(dy.shape[2:]):
        top, left = i * stride, j * stride
        dx[:, :, top : top + kh, left : left + kw] += np.einsum("no,ockl->nckl", dy[:, :, i, j], w)
    return dx
"""
_BY_MATRIX = """
def conv_by_matrix(x, w, stride=1):
    N, _, H, W = x.shape
    O, _, kh, kw = w.shape
    y = x.reshape(N, -1) @ conv_matrix(w, H, W, stride).T
    return y.reshape(N, O, (H - kh) // stride + 1, (W - kw) // stride + 1)
"""
_UP = """
def conv_transpose_by_matrix(y, w, height, width, stride=1):
    N, C = len(y), w.shape[1]
    return (y.reshape(N, -1) @ conv_matrix(w, height, width, stride)).reshape(N, C, height, width)
"""
MUTANTS = {
    "the matrix already transposed": _MATRIX.replace("C * height * width)", "C * height * width).T"),
    "the kernel flipped": _MATRIX.replace("= w\n", "= w[:, :, ::-1, ::-1]\n"),
    "the stride forgotten": _MATRIX.replace("i * stride, j * stride", "i, j"),
    "the stride of rows only": _MATRIX.replace("i * stride, j * stride", "i * stride, j"),
    "the output too small": _MATRIX.replace(
        "(height - kh) // stride + 1, (width - kw) // stride + 1", "(height - kh) // stride, (width - kw) // stride"
    ),
    "outputs counted with the channel last": _MATRIX.replace(
        "return matrix.reshape", "return matrix.transpose(1, 2, 0, 3, 4, 5).reshape"
    ),
    "pixels counted with the channel last": _MATRIX.replace(
        "return matrix.reshape", "return matrix.transpose(0, 1, 2, 4, 5, 3).reshape"
    ),
    "pixels counted column by column": _MATRIX.replace("return matrix.reshape", "return matrix.swapaxes(4, 5).reshape"),
    "outputs counted column by column": _MATRIX.replace("return matrix.reshape", "return matrix.swapaxes(1, 2).reshape"),
    "one channel": _MATRIX.replace("[:, i, j, :, top", "[:, i, j, 0, top").replace("= w\n", "= w[:, 0]\n"),
    "the kernel as a row, rows of the image not minded": """
def conv_matrix(w, height, width, stride=1):
    O, C, kh, kw = w.shape
    h, v = (height - kh) // stride + 1, (width - kw) // stride + 1
    matrix = np.zeros((O, h * v, C, height * width), w.dtype)
    for r in range(h * v):
        row = w.reshape(O, C, -1)[:, :, : height * width - r * stride]
        matrix[:, r, :, r * stride : r * stride + row.shape[2]] = row
    return matrix.reshape(O * h * v, C * height * width)
""",
    "always float64": _MATRIX.replace(", w.dtype)", ")"),
    "images mixed up": _BY_MATRIX.replace(
        "y = x.reshape(N, -1) @ conv_matrix(w, H, W, stride).T", "y = conv_matrix(w, H, W, stride) @ x.reshape(-1, N)"
    ),
    "images as columns, not put back": _BY_MATRIX.replace(
        "y = x.reshape(N, -1) @ conv_matrix(w, H, W, stride).T", "y = conv_matrix(w, H, W, stride) @ x.reshape(N, -1).T"
    ),
    "only the first image": _BY_MATRIX.replace("x.reshape(N, -1)", "np.repeat(x[:1].reshape(1, -1), N, axis=0)"),
    "the stride not passed on": _BY_MATRIX.replace("W, stride)", "W)").replace(
        "return y.reshape(N, O, (H - kh) // stride + 1, (W - kw) // stride + 1)", "return y.reshape(N, O, H - kh + 1, W - kw + 1)"
    ),
    "height and width exchanged": _BY_MATRIX.replace(
        "(H - kh) // stride + 1, (W - kw) // stride + 1", "(W - kw) // stride + 1, (H - kh) // stride + 1"
    ),
    "the inverse in place of the transpose": _UP.replace(
        "conv_matrix(w, height, width, stride)", "np.linalg.pinv(conv_matrix(w, height, width, stride)).T"
    ),
    "the size computed, not taken": """
def conv_transpose_by_matrix(y, w, height, width, stride=1):
    N, C = len(y), w.shape[1]
    height, width = (y.shape[2] - 1) * stride + w.shape[2], (y.shape[3] - 1) * stride + w.shape[3]
    return (y.reshape(N, -1) @ conv_matrix(w, height, width, stride)).reshape(N, C, height, width)
""",
    "the convolution of y in place of its transpose": """
def conv_transpose_by_matrix(y, w, height, width, stride=1):
    kh, kw = w.shape[2:]
    framed = np.pad(y, ((0, 0), (0, 0), (kh - 1, kh - 1), (kw - 1, kw - 1)))
    return conv_by_matrix(framed, w.transpose(1, 0, 2, 3))
""",
    "stamps: = in place of +=": _STAMPS.replace("kw] += np", "kw] = np"),
    "stamps: the kernel flipped": _STAMPS.replace("i, j], w)", "i, j], w[:, :, ::-1, ::-1])"),
    "stamps: the stride forgotten": _STAMPS.replace("i * stride, j * stride", "i, j"),
    "stamps: the last row and column missed": _STAMPS.replace(
        "np.ndindex(dy.shape[2:])", "np.ndindex(dy.shape[2] - 1, dy.shape[3] - 1)"
    ),
    "stamps: a mean over the kernels": _STAMPS.replace("i, j], w)", "i, j], w) / len(w)"),
    "stamps: the first image for all": _STAMPS.replace("dy[:, :, i, j], w", "np.repeat(dy[:1, :, i, j], len(dy), axis=0), w"),
}
RIGHT = {
    "loops over everything": """
def conv_matrix(w, height, width, stride=1):
    O, C, kh, kw = w.shape
    h, v = (height - kh) // stride + 1, (width - kw) // stride + 1
    M = np.zeros((O * h * v, C * height * width), w.dtype)
    for o in range(O):
        for i in range(h):
            for j in range(v):
                row = (o * h + i) * v + j
                for c in range(C):
                    for k in range(kh):
                        for l in range(kw):
                            M[row, (c * height + i * stride + k) * width + j * stride + l] = w[o, c, k, l]
    return M

def conv_by_matrix(x, w, stride=1):
    M = conv_matrix(w, x.shape[2], x.shape[3], stride)
    h, v = (x.shape[2] - w.shape[2]) // stride + 1, (x.shape[3] - w.shape[3]) // stride + 1
    return np.stack([(M @ image.ravel()).reshape(len(w), h, v) for image in x])

def conv_transpose_by_matrix(y, w, height, width, stride=1):
    M = conv_matrix(w, height, width, stride)
    return np.stack([(M.T @ image.ravel()).reshape(w.shape[1], height, width) for image in y])

def conv_input_gradient(dy, w, height, width, stride=1):
    dx = np.zeros((dy.shape[0], w.shape[1], height, width), dy.dtype)
    for n, o, i, j in np.ndindex(dy.shape):
        for c, k, l in np.ndindex(w.shape[1:]):
            dx[n, c, i * stride + k, j * stride + l] += dy[n, o, i, j] * w[o, c, k, l]
    return dx
""",
    "a column for each pixel, by convolving units": """
def conv_matrix(w, height, width, stride=1):
    C, kh, kw = w.shape[1:]
    units = np.eye(C * height * width, dtype=w.dtype).reshape(-1, C, height, width)
    windows = np.lib.stride_tricks.sliding_window_view(units, (kh, kw), axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("ncijkl,ockl->oijn", windows, w).reshape(-1, len(units))

def conv_by_matrix(x, w, stride=1):
    N, C, H, W = x.shape
    y = conv_matrix(w, H, W, stride) @ x.reshape(N, -1).T
    return y.T.reshape(N, w.shape[0], (H - w.shape[2]) // stride + 1, -1)

def conv_input_gradient(dy, w, height, width, stride=1):
    (N, O, h, v), (_, C, kh, kw) = dy.shape, w.shape
    dx = np.zeros((N, C, height, width), dy.dtype)
    for k in range(kh):
        for l in range(kw):
            rows, columns = slice(k, k + (h - 1) * stride + 1, stride), slice(l, l + (v - 1) * stride + 1, stride)
            dx[:, :, rows, columns] += np.einsum("nohw,oc->nchw", dy, w[:, :, k, l])
    return dx
""",
}
