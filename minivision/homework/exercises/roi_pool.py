# ---
# title: RoI pooling
# topic: regions
# level: 2
# points: 15
# ---

# %% [markdown]
# # RoI pooling
#
# Fast R-CNN computes one feature map for the whole image and then looks at many boxes in it, the *regions of interest*
# (RoIs). The layers behind want the same number of features for each box, however large it is. So each box is divided into a
# fixed grid of $P \times Q$ bins, and of each bin the maximum is taken.
#
# The input is $x$, $(N, C, H, W)$, and `boxes`, $(K, 5)$, with rows $(n, x_1, y_1, x_2, y_2)$: $n$ is the image that the box
# lies on, the corners are in pixels of the image. The map is smaller than the image by `scale` (for instance $1/16$). The
# output is $(K, C, P, Q)$. For one box and its columns:
#
# 1. **Snap** to cells: the first column is $a = \lfloor x_1 \cdot \text{scale} + \tfrac12 \rfloor$, the last one
#    $b = \lfloor x_2 \cdot \text{scale} + \tfrac12 \rfloor$ (rounded, halves up). The last one belongs to the box, so it has
#    $\ell = \max(b - a + 1,\ 1)$ columns.
# 2. **Divide**: bin $q$ has the columns from $a + \lfloor q \ell / Q \rfloor$ to $a + \lceil (q + 1) \ell / Q \rceil$, the
#    last one excluded. If $\ell$ is no multiple of $Q$, some neighbours share a column.
# 3. **Clip** both ends to $0 \ldots W$. A bin outside the map has no columns.
#
# Rows likewise with $y_1, y_2$, $P$ and $H$. Then, for each channel,
#
# $$y_{kcpq} = \max_{i \in \text{rows of } p,\ j \in \text{columns of } q} x_{ncij},\qquad 0 \text{ for a bin without cells.}$$
#
# **Backward** as in max pooling: the gradient of a bin goes to the cell that was its maximum, of several equal ones to the
# first, row by row. One cell can be the maximum of many bins, in one box and in different boxes: the gradients add up. The
# boxes get no gradient: snapping is a step function, its derivative is 0 or does not exist. That is what *RoI align* was
# invented for.
#
# **An example by hand**: one channel, the box $(0, 0, 0, 3, 2)$, scale 1, $P = Q = 2$. The box has the columns $0 \ldots 3$
# and the rows $0 \ldots 2$. Four columns divide evenly; of the three rows, the bins get $0, 1$ and $1, 2$:
#
# $$x = \begin{pmatrix} 1&9&3&4\\5&6&12&8\\2&10&11&7 \end{pmatrix} \quad\Longrightarrow\quad
# y = \begin{pmatrix} 9&12\\10&12 \end{pmatrix},$$
#
# $$g = \begin{pmatrix} 1&2\\3&4 \end{pmatrix} \quad\Longrightarrow\quad
# \frac{\partial L}{\partial x} = \begin{pmatrix} 0&1&0&0\\0&0&2+4&0\\0&3&0&0 \end{pmatrix}.$$

# %%
import numpy as np


# %% tags=["task"]
def bin_edges(low, high, bins, length, scale):
    """The bins of a box from low to high, along one axis of a map with `length` cells.

    Returns (starts, ends), integers (bins,) each: bin q has the cells starts[q] <= i < ends[q].
    """
    # BEGIN SOLUTION
    first, last = np.floor(low * scale + 0.5), np.floor(high * scale + 0.5)
    size = max(last - first + 1, 1)
    number = np.arange(bins)
    starts = first + np.floor(number * size / bins)
    ends = first + np.ceil((number + 1) * size / bins)
    return np.clip(starts, 0, length).astype(int), np.clip(ends, 0, length).astype(int)
    # END SOLUTION


# %% tags=["task"]
def roi_pool_forward(x, boxes, output_size, scale=1.0):
    """x (N, C, H, W), boxes (K, 5), output_size (P, Q) -> (out, cache): out (K, C, P, Q) of x's dtype."""
    # BEGIN SOLUTION
    (_, C, H, W), (P, Q) = x.shape, output_size
    out = np.zeros((len(boxes), C, P, Q), x.dtype)
    winners = np.full((len(boxes), C, P, Q, 2), -1)  # row and column; -1 for a bin without cells
    for k, (n, x1, y1, x2, y2) in enumerate(boxes):
        tops, bottoms = bin_edges(y1, y2, P, H, scale)
        lefts, rights = bin_edges(x1, x2, Q, W, scale)
        for c, p, q in np.ndindex(C, P, Q):
            cells = x[int(n), c, tops[p] : bottoms[p], lefts[q] : rights[q]]
            if cells.size:
                i, j = np.unravel_index(cells.argmax(), cells.shape)
                out[k, c, p, q] = cells[i, j]
                winners[k, c, p, q] = tops[p] + i, lefts[q] + j
    return out, (winners, boxes, x.shape)
    # END SOLUTION


# %% tags=["task"]
def roi_pool_backward(dout, cache):
    """dout (K, C, P, Q) -> dx (N, C, H, W), of dout's dtype."""
    # BEGIN SOLUTION
    winners, boxes, shape = cache
    dx = np.zeros(shape, dout.dtype)
    for k, c, p, q in np.ndindex(dout.shape):
        i, j = winners[k, c, p, q]
        if i >= 0:
            dx[int(boxes[k, 0]), c, i, j] += dout[k, c, p, q]
    return dx
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Do one axis of one box first, `bin_edges`, and check it with the example: columns `[0 2]`, `[2 4]`, rows `[0 1]`, `[2 3]`.
# The rounding is `np.floor(v + 0.5)`; `np.round` takes halves to the *even* neighbour.

# %% [markdown] tags=["hint"]
# Forward: a loop over boxes, and in it over channels and bins. `x[int(n), c, top:bottom, left:right]` are the cells of a bin.
# It is empty if the bin lies outside, and an empty array has no maximum.

# %% [markdown] tags=["hint"]
# Backward needs to know where each maximum was: `np.unravel_index(cells.argmax(), cells.shape)` is its place *within the
# bin*; add `top` and `left`. Use `+=` on `dx`, and the image `n` of the box.

# %% tags=["figure"]
# One box, its bins at different grids, and how much gradient each cell gets: dark lines are the edges of the bins.
rng = np.random.default_rng(0)
rows, columns = np.mgrid[:14, :20]
x = (np.sin(rows / 2.2) * np.cos(columns / 2.7) + 0.15 * rng.standard_normal((14, 20)))[None, None]
box = np.array([[0.0, 2.3, 1.8, 16.2, 11.1]])
fig, axes = plt.subplots(2, 3, figsize=(9, 4.4), layout="constrained")
for (top, bottom), size in zip(axes.T, ((2, 3), (4, 4), (3, 7))):
    out, cache = roi_pool_forward(x, box, size)
    dx = roi_pool_backward(np.ones_like(out), cache)
    top.imshow(x[0, 0], cmap="viridis", vmin=-1.2, vmax=1.2)
    for y in bin_edges(box[0, 2], box[0, 4], size[0], 14, 1.0):
        top.hlines(y - 0.5, 1.5, 16.5, color="black", lw=0.8)
    for edge in bin_edges(box[0, 1], box[0, 3], size[1], 20, 1.0):
        top.vlines(edge - 0.5, 1.5, 11.5, color="black", lw=0.8)
    i, j = np.nonzero(dx[0, 0])
    top.scatter(j, i, s=12 * dx[0, 0][i, j], color="red")
    top.set(title=f"{size[0]} x {size[1]} bins, winners red", xticks=[], yticks=[])
    bottom.imshow(out[0, 0], cmap="viridis", vmin=-1.2, vmax=1.2)
    bottom.set(title="roi_pool_forward", xticks=[], yticks=[])

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

MAP = np.array([[1.0, 9.0, 3.0, 4.0], [5.0, 6.0, 12.0, 8.0], [2.0, 10.0, 11.0, 7.0]])[None, None]
WHOLE = np.array([[0.0, 0.0, 0.0, 3.0, 2.0]])
BOXES = np.array([
    [1.0, 2.0, 4.0, 11.0, 9.0], [0.0, 0.0, 0.0, 15.0, 13.0], [1.0, 3.0, 5.0, 3.5, 5.5], [0.0, 5.0, 1.0, 9.0, 12.0],
    [1.0, 2.0, 4.0, 11.0, 9.0],
])  # fmt: skip
OUTSIDE = np.array(
    [[0.0, -9.0, -7.0, 6.0, 5.0], [1.0, 9.0, 6.0, 30.0, 25.0], [0.0, 40.0, 2.0, 50.0, 9.0], [1.0, -30.0, -30.0, -20.0, -20.0]]
)


def cells_of(low, high, bins, length, scale):
    """The cells of each bin, as lists."""
    first, last = int((low * scale + 0.5) // 1), int((high * scale + 0.5) // 1)
    size = max(last - first + 1, 1)
    return [
        [i for i in range(first + q * size // bins, first - (-(q + 1) * size // bins)) if 0 <= i < length] for q in range(bins)
    ]


def cell_by_cell(x, boxes, output_size, scale):
    """The output, and the place of each maximum."""
    (_, channels, height, width), (p_bins, q_bins) = x.shape, output_size
    out = np.zeros((len(boxes), channels, p_bins, q_bins), x.dtype)
    places = {}
    for k, (n, x1, y1, x2, y2) in enumerate(boxes):
        rows, columns = cells_of(y1, y2, p_bins, height, scale), cells_of(x1, x2, q_bins, width, scale)
        for c, p, q in np.ndindex(channels, p_bins, q_bins):
            best = None
            for i in rows[p]:
                for j in columns[q]:
                    if best is None or x[int(n), c, i, j] > x[(int(n), c, *best)]:
                        best = (i, j)
            if best is not None:
                out[k, c, p, q] = x[(int(n), c, *best)]
                places[k, c, p, q] = (int(n), c, *best)
    return out, places


@checked("bins: the definition", points=3)
def bins_values(student):
    for low, high, bins, length, scale in (
        (0.0, 3.0, 2, 4, 1.0), (0.0, 2.0, 2, 3, 1.0), (1.0, 7.0, 3, 9, 1.0), (3.0, 12.0, 4, 8, 0.5),
        (2.5, 4.5, 2, 9, 1.0), (1.0, 2.0, 5, 6, 1.0), (5.0, 5.0, 2, 8, 1.0), (-4.0, 3.0, 3, 5, 1.0),
        (2.0, 20.0, 4, 6, 0.5), (30.0, 40.0, 2, 6, 1.0), (6.0, 2.0, 2, 9, 1.0),
    ):  # fmt: skip
        starts, ends = student.bin_edges(low, high, bins, length, scale)
        right = cells_of(low, high, bins, length, scale)
        expect.shape("starts", starts, (bins,))
        expect.shape("ends", ends, (bins,))
        given = [list(range(int(a), int(b))) for a, b in zip(starts, ends)]
        expect.that(
            given == right,
            f"bin_edges({low}, {high}, {bins}, {length}, {scale}) gives bins with the cells {given} where {right} is right",
        )


@checked("forward: the example by hand", points=1)
def forward_example(student):
    out, _ = student.roi_pool_forward(MAP.copy(), WHOLE.copy(), (2, 2))
    expect.equal("out", out, np.array([[9.0, 12.0], [10.0, 12.0]])[None, None])


@checked("forward: the definition", points=3)
def forward_values(student):
    for output_size, scale, dtype in (
        ((2, 3), 0.5, np.float64),
        ((3, 2), 0.5, np.float32),
        ((1, 1), 0.5, np.float64),
        ((2, 4), 0.25, np.float64),
    ):
        x = check.tie_free(2, 3, 7, 8).astype(dtype)
        right, _ = cell_by_cell(x, BOXES, output_size, scale)
        out, _ = student.roi_pool_forward(x, BOXES.copy(), output_size, scale)
        expect.equal(f"out for {output_size} bins, scale {scale}", out, right)


@checked("forward: boxes that reach outside, and no boxes", points=1)
def forward_outside(student):
    x = check.tie_free(2, 2, 6, 8, low=-3, high=-1)  # all negative: a bin of no cells is the only 0
    out, _ = student.roi_pool_forward(x, OUTSIDE.copy(), (3, 2), 0.5)
    expect.equal("out", out, cell_by_cell(x, OUTSIDE, (3, 2), 0.5)[0])
    out, _ = student.roi_pool_forward(x, np.zeros((0, 5)), (3, 2), 0.5)
    expect.shape("out without boxes", out, (0, 2, 3, 2))


@checked("backward: the example by hand", points=1)
def backward_example(student):
    _, cache = student.roi_pool_forward(MAP.copy(), WHOLE.copy(), (2, 2))
    dx = student.roi_pool_backward(np.array([[1.0, 2.0], [3.0, 4.0]])[None, None], cache)
    expect.equal("dx", dx, np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 6.0, 0.0], [0.0, 3.0, 0.0, 0.0]])[None, None])


@checked("backward: the gradient", points=4)
def backward_gradient(student):
    x = check.tie_free(2, 2, 6, 7)
    return check.backward(student.roi_pool_forward, student.roi_pool_backward, x, BOXES.copy(), (2, 3), 0.5, wrt="x")


@checked("backward: equal maxima, boxes outside, no boxes", points=2)
def backward_edges(student):
    x = np.round(check.tie_free(2, 2, 6, 8), 0)  # many ties: the first cell gets all
    boxes = np.concatenate([BOXES, OUTSIDE])
    out, cache = student.roi_pool_forward(x, boxes, (2, 3), 0.5)
    right_out, places = cell_by_cell(x, boxes, (2, 3), 0.5)
    dout = np.arange(1.0, right_out.size + 1).reshape(right_out.shape)
    expect.shape("out", out, dout.shape)
    right = np.zeros_like(x)
    for at, place in places.items():
        right[place] += dout[at]
    expect.close("dx", student.roi_pool_backward(dout, cache), right)
    _, cache = student.roi_pool_forward(x, np.zeros((0, 5)), (2, 3), 0.5)
    expect.equal("dx without boxes", student.roi_pool_backward(np.zeros((0, 2, 2, 3)), cache), np.zeros_like(x))


# %% tags=["mutants"]
_BINS = """
def bin_edges(low, high, bins, length, scale):
    first, last = int(np.floor(low * scale + 0.5)), int(np.floor(high * scale + 0.5))
    size = max(last - first + 1, 1)
    starts = np.array([first + int(np.floor(q * size / bins)) for q in range(bins)])
    ends = np.array([first + int(np.ceil((q + 1) * size / bins)) for q in range(bins)])
    return np.clip(starts, 0, length), np.clip(ends, 0, length)
"""
_FORWARD = """
def roi_pool_forward(x, boxes, output_size, scale=1.0):
    (N, C, H, W), (P, Q) = x.shape, output_size
    out = np.zeros((len(boxes), C, P, Q), x.dtype)
    winners = np.full((*out.shape, 2), -1)
    for k in range(len(boxes)):
        n, x1, y1, x2, y2 = boxes[k]
        n = int(n)
        rows, columns = bin_edges(y1, y2, P, H, scale), bin_edges(x1, x2, Q, W, scale)
        for p in range(P):
            for q in range(Q):
                top, bottom, left, right = rows[0][p], rows[1][p], columns[0][q], columns[1][q]
                if top >= bottom or left >= right:
                    continue
                cells = x[n, :, top:bottom, left:right].reshape(C, -1)
                winner = cells.argmax(axis=1)
                out[k, :, p, q] = cells.max(axis=1)
                row, column = top + winner // (right - left), left + winner % (right - left)
                winners[k, :, p, q] = np.stack([row, column], axis=1)
    return out, (winners, boxes, x.shape)
"""
_BACKWARD = """
def roi_pool_backward(dout, cache):
    winners, boxes, shape = cache
    dx = np.zeros(shape, dout.dtype)
    for k, c, p, q in np.ndindex(dout.shape):
        i, j = winners[k, c, p, q]
        if i >= 0:
            dx[int(boxes[k, 0]), c, i, j] += dout[k, c, p, q]
    return dx
"""
MUTANTS = {
    "cut off, not rounded": _BINS.replace("np.floor(low * scale + 0.5)", "np.floor(low * scale)").replace(
        "np.floor(high * scale + 0.5)", "np.floor(high * scale)"
    ),
    "halves to the even neighbour": _BINS.replace("np.floor(low * scale + 0.5)", "np.round(low * scale)").replace(
        "np.floor(high * scale + 0.5)", "np.round(high * scale)"
    ),
    "the last cell left out": _BINS.replace("last - first + 1", "last - first"),
    "an inverted box has no cells": _BINS.replace("max(last - first + 1, 1)", "last - first + 1"),
    "both ends rounded down: no shared cells": _BINS.replace("np.ceil(", "np.floor("),
    "bins of equal size, rest left out": _BINS.replace("size / bins", "(size // bins)"),
    "the rest in the last bin": _BINS.replace(
        "np.ceil((q + 1) * size / bins)", "(q + 1) * (size // bins) if q + 1 < bins else size"
    ).replace("np.floor(q * size / bins)", "q * (size // bins)"),
    "one cell too many": _BINS.replace("np.ceil((q + 1) * size / bins)", "np.floor((q + 1) * size / bins) + 1"),
    "not clipped": _BINS.replace("np.clip(starts, 0, length), np.clip(ends, 0, length)", "starts, ends"),
    "clipped to the last cell": _BINS.replace(
        "np.clip(starts, 0, length), np.clip(ends, 0, length)", "np.clip(starts, 0, length - 1), np.clip(ends, 1, length)"
    ),
    "the scale forgotten": _BINS.replace("* scale", "* 1"),
    "divided by the scale": _BINS.replace("* scale", "/ scale"),
    "x and y exchanged": _FORWARD.replace("n, x1, y1, x2, y2 = boxes[k]", "n, y1, x1, y2, x2 = boxes[k]"),
    "P and Q exchanged": _FORWARD.replace("(P, Q) = x.shape, output_size", "(Q, P) = x.shape, output_size"),
    "boxes as x1, x2, y1, y2": _FORWARD.replace("n, x1, y1, x2, y2 = boxes[k]", "n, x1, x2, y1, y2 = boxes[k]"),
    "always the first image": _FORWARD.replace("n = int(n)", "n = 0"),
    "image k for box k": _FORWARD.replace("n = int(n)", "n = k % N"),
    "the mean": _FORWARD.replace("cells.max(axis=1)", "cells.mean(axis=1)"),
    "the maximum over all channels": _FORWARD.replace("cells.max(axis=1)", "cells.max()"),
    "an empty bin is minus infinity": _FORWARD.replace(
        "np.zeros((len(boxes), C, P, Q), x.dtype)", "np.full((len(boxes), C, P, Q), -np.inf, x.dtype)"
    ),
    "never below 0": _FORWARD.replace("cells.max(axis=1)", "np.maximum(cells.max(axis=1), 0)"),
    "fails for an empty bin": _FORWARD.replace("if top >= bottom or left >= right:", "if False:"),
    "always float64": _FORWARD.replace("(len(boxes), C, P, Q), x.dtype", "(len(boxes), C, P, Q)"),
    "the last of equal maxima": _FORWARD.replace(
        "winner = cells.argmax(axis=1)", "winner = cells.shape[1] - 1 - cells[:, ::-1].argmax(axis=1)"
    ),
    "the place within the bin": _FORWARD.replace(
        "top + winner // (right - left), left + winner % (right - left)", "winner // (right - left), winner % (right - left)"
    ),
    "the place by the width of the map": _FORWARD.replace(
        "top + winner // (right - left), left + winner % (right - left)", "top + winner // W, left + winner % W"
    ),
    "= in place of +=": _BACKWARD.replace("] += dout", "] = dout"),
    "+= with a list of places": """
def roi_pool_backward(dout, cache):
    winners, boxes, shape = cache
    k, c, p, q = np.nonzero(winners[..., 0] >= 0)
    dx = np.zeros(shape, dout.dtype)
    i, j = winners[k, c, p, q].T
    dx[boxes[k, 0].astype(int), c, i, j] += dout[k, c, p, q]
    return dx
""",
    "-1 is a place": _BACKWARD.replace("if i >= 0", "if True"),
    "backward into the first image": _BACKWARD.replace("int(boxes[k, 0])", "0"),
    "the upstream forgotten": _BACKWARD.replace("+= dout[k, c, p, q]", "+= 1"),
    "every maximum of a bin gets all": """
def roi_pool_forward(x, boxes, output_size, scale=1.0):
    (N, C, H, W), (P, Q) = x.shape, output_size
    out, masks = np.zeros((len(boxes), C, P, Q), x.dtype), []
    for k, (n, x1, y1, x2, y2) in enumerate(boxes):
        rows, columns = bin_edges(y1, y2, P, H, scale), bin_edges(x1, x2, Q, W, scale)
        for c, p, q in np.ndindex(C, P, Q):
            place = int(n), c, slice(rows[0][p], rows[1][p]), slice(columns[0][q], columns[1][q])
            if x[place].size:
                out[k, c, p, q] = x[place].max()
                masks.append(((k, c, p, q), place, x[place] == x[place].max()))
    return out, (masks, x.shape)

def roi_pool_backward(dout, cache):
    masks, shape = cache
    dx = np.zeros(shape, dout.dtype)
    for at, place, mask in masks:
        dx[place] += dout[at] * mask
    return dx
""",
}
RIGHT = {
    "all channels at once": _BINS + _FORWARD,
    "the step first, and np.add.at": """
def bin_edges(low, high, bins, length, scale):
    first, last = np.floor(np.array([low, high]) * scale + 0.5).astype(int)
    step = max(last - first + 1, 1) / bins
    edges = [(first + np.floor(q * step), first + np.ceil((q + 1) * step)) for q in range(bins)]
    starts, ends = np.array(edges).astype(int).T
    return np.minimum(np.maximum(starts, 0), length), np.minimum(np.maximum(ends, 0), length)

def roi_pool_backward(dout, cache):
    winners, boxes, shape = cache
    dx = np.zeros(shape, dout.dtype)
    k, c, p, q = np.nonzero(winners[..., 0] >= 0)
    i, j = winners[k, c, p, q].T
    np.add.at(dx, (boxes[k, 0].astype(int), c, i, j), dout[k, c, p, q])
    return dx
""",
}
