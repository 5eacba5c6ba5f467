# ---
# title: RoI align
# topic: regions
# level: 3
# points: 20
# ---

# %% [markdown]
# # RoI align
#
# RoI pooling rounds boxes to cells of the feature map. With a map of stride 16 that moves an edge by up to 8 pixels, which a
# class does not mind but a mask does. Mask R-CNN rounds nothing: it reads the map *between* its cells, at regularly spaced
# points of the box, by bilinear interpolation. And because nothing is rounded, the output changes little by little when the
# box moves (it jumps only where a sample leaves the map), so the box gets a gradient.
#
# The input is $x$, $(N, C, H, W)$, and `boxes`, $(K, 5)$, with rows $(n, x_1, y_1, x_2, y_2)$: the image and the corners, in
# pixels of the image. `scale` is cells of the map per pixel. The output has $P \times Q$ bins with $s \times s$ samples in
# each: $(K, C, P, Q)$. Since the two axes do not mix, take one at a time. The steps for the columns ($x_1, x_2$, $Q$ bins,
# $W$ cells); the rows go likewise:
#
# **1. Positions.** Cell $j$ of the map has its centre at $j + \tfrac12$, so the box reaches from
# $a = x_1 \cdot \text{scale} - \tfrac12$ to $b = x_2 \cdot \text{scale} - \tfrac12$, measured in cells. (Libraries call this
# `aligned=True`; the first versions forgot the half.) There are $Qs$ samples, in the middles of $Qs$ equal parts:
#
# $$u_k = a + (b - a) f_k,\qquad f_k = \frac{k + 1/2}{Q s},\qquad k = 0, \ldots, Qs - 1.$$
#
# **2. Interpolation.** A position $u$ between the cells $j$ and $j + 1$, $u = j + t$ with $0 \le t < 1$, reads $(1 - t)$ of
# cell $j$ and $t$ of cell $j + 1$. Write this as a matrix $A$, $(Qs, W)$, with the row $k$ for the sample $k$:
# $A_{kj} = 1 - t$, $A_{k,j+1} = t$, else 0. At the edges:
#
# - $-1 \le u \le 0$ reads cell $0$ alone, and $W - 1 \le u \le W$ reads cell $W - 1$ alone (weight 1);
# - a position further outside reads nothing: a row of zeros.
#
# The *slope* is the derivative of the row with respect to $u$: $-1$ for cell $j$ and $+1$ for cell $j + 1$ where
# $0 < u < W - 1$, and zeros elsewhere, where the row is constant.
#
# **3. The mean of the samples** of a bin: $B$, $(Q, W)$, whose row $q$ is the mean of the $s$ rows $qs, \ldots, qs + s - 1$
# of $A$. With $B^y$, $(P, H)$, for the rows,
#
# $$y_{kc} = B^y\, x_{nc}\, (B^x)^\top,\qquad (P, H)\,(H, W)\,(W, Q).$$
#
# **Backward.** With $g = \partial L/\partial y_{kc}$, $(P, Q)$, by the rule for products of matrices,
#
# $$\frac{\partial L}{\partial x_{nc}} \mathrel{+}= (B^y)^\top g\, B^x,\qquad
# \frac{\partial L}{\partial B^y} = \sum_c g\, B^x x_{nc}^\top,\qquad
# \frac{\partial L}{\partial B^x} = \sum_c g^\top B^y x_{nc}.$$
#
# Each row of $A$ gets $1/s$ of what its bin's row of $B$ gets. Row $k$ depends on $u_k$ by the slope, and $u_k$ on the
# corners:
#
# $$\frac{\partial L}{\partial u_k} = \sum_j \frac{\partial L}{\partial A_{kj}} \cdot \text{slope}_{kj},\qquad
# \frac{\partial L}{\partial x_1} = \text{scale} \sum_k \frac{\partial L}{\partial u_k} (1 - f_k),\qquad
# \frac{\partial L}{\partial x_2} = \text{scale} \sum_k \frac{\partial L}{\partial u_k} f_k.$$
#
# The index $n$ of the image gets the gradient 0.
#
# **An example by hand**: one channel, the box $(0,\ 0.5,\ 0.5,\ 2.5,\ 1.5)$, scale 1, $P = 1$, $Q = 2$, $s = 1$.
#
# $$x = \begin{pmatrix} 0&4&8\\2&6&10 \end{pmatrix},\qquad u^x = (0.5,\ 1.5),\quad u^y = (0.5),$$
#
# $$B^x = \begin{pmatrix} \tfrac12&\tfrac12&0\\0&\tfrac12&\tfrac12 \end{pmatrix},\quad
# B^y = \begin{pmatrix} \tfrac12&\tfrac12 \end{pmatrix},\qquad y = \begin{pmatrix} 3&7 \end{pmatrix}.$$
#
# With $g = (1\ \ 0)$ the four cells around the first sample get $\tfrac14$ each. That sample would change by $4$ per cell to
# the right and by $2$ per cell down, $f_0 = \tfrac14$ for the columns and $\tfrac12$ for the rows: the gradient to the box is
# $(0,\ 4 \cdot \tfrac34,\ 2 \cdot \tfrac12,\ 4 \cdot \tfrac14,\ 2 \cdot \tfrac12) = (0, 3, 1, 1, 1)$.

# %%
import numpy as np


# %% tags=["task"]
def sample_positions(low, high, count):
    """A box from low to high, in cells -> (count,): the middles of count equal parts."""
    # BEGIN SOLUTION
    fraction = (np.arange(count) + 0.5) / count
    return low + (high - low) * fraction
    # END SOLUTION


# %% tags=["task"]
def interpolation(positions, length):
    """positions (n,) on an axis of `length` cells -> (A, slope), each (n, length): the weights, and their derivatives."""
    # BEGIN SOLUTION
    A, slope = np.zeros((len(positions), length)), np.zeros((len(positions), length))
    for k, u in enumerate(positions):
        if 0 < u < length - 1:
            j = int(np.floor(u))
            A[k, j], A[k, j + 1] = 1 - (u - j), u - j
            slope[k, j], slope[k, j + 1] = -1, 1
        elif -1 <= u <= 0:
            A[k, 0] = 1
        elif length - 1 <= u <= length:
            A[k, -1] = 1
    return A, slope
    # END SOLUTION


# %% tags=["task"]
def roi_align_forward(x, boxes, output_size, scale=1.0, samples=2):
    """x (N, C, H, W), boxes (K, 5), output_size (P, Q) -> (out, cache): out (K, C, P, Q) of x's dtype."""
    # BEGIN SOLUTION
    (_, C, H, W), (P, Q) = x.shape, output_size
    out, axes = np.zeros((len(boxes), C, P, Q), x.dtype), []
    for k, (n, x1, y1, x2, y2) in enumerate(boxes):
        Ay, slope_y = interpolation(sample_positions(y1 * scale - 0.5, y2 * scale - 0.5, P * samples), H)
        Ax, slope_x = interpolation(sample_positions(x1 * scale - 0.5, x2 * scale - 0.5, Q * samples), W)
        By = Ay.reshape(P, samples, H).mean(axis=1)
        Bx = Ax.reshape(Q, samples, W).mean(axis=1)
        out[k] = By @ x[int(n)] @ Bx.T  # (P, H) (C, H, W) (W, Q): matmul does it for each channel
        axes.append((By, slope_y, Bx, slope_x))
    return out, (x, boxes, axes, scale, samples)
    # END SOLUTION


# %% tags=["task"]
def roi_align_backward(dout, cache):
    """dout (K, C, P, Q) -> (dx, dboxes): the gradients to x (N, C, H, W) and to boxes (K, 5), whose first column is 0."""
    # BEGIN SOLUTION
    x, boxes, axes, scale, samples = cache
    dx, dboxes = np.zeros_like(x), np.zeros_like(boxes)

    def to_corners(dB, slope):
        """dB (bins, length) and slope (bins * samples, length) -> the gradients to the low and the high corner."""
        dA = np.repeat(dB, samples, axis=0) / samples  # each row of A has 1/samples of the row of B
        du = (dA * slope).sum(axis=1)
        fraction = (np.arange(len(du)) + 0.5) / len(du)
        return scale * (du * (1 - fraction)).sum(), scale * (du * fraction).sum()

    for k, (By, slope_y, Bx, slope_x) in enumerate(axes):
        features, g = x[int(boxes[k, 0])], dout[k]  # (C, H, W), (C, P, Q)
        dx[int(boxes[k, 0])] += By.T @ g @ Bx  # (H, P) (C, P, Q) (Q, W)
        dBy = (g @ Bx @ features.transpose(0, 2, 1)).sum(axis=0)  # (C, P, Q) (Q, W) (C, W, H), summed over the channels
        dBx = (g.transpose(0, 2, 1) @ By @ features).sum(axis=0)  # (C, Q, P) (P, H) (C, H, W)
        dboxes[k, 2], dboxes[k, 4] = to_corners(dBy, slope_y)
        dboxes[k, 1], dboxes[k, 3] = to_corners(dBx, slope_x)
    return dx, dboxes
    # END SOLUTION


# %% [markdown] tags=["hint"]
# The first two functions know nothing about images: one axis, one box. Begin with them, and with the example. In
# `interpolation`, test the inside first, `0 < u < length - 1`: there `j = floor(u)` and `j + 1` are both cells of the map.
# The other cases have one weight, or none, and no slope.

# %% [markdown] tags=["hint"]
# Forward: $A$ of shape $(Qs, W)$ becomes $B$ by `A.reshape(Q, s, W).mean(axis=1)`. `By @ x[n] @ Bx.T` does all channels at
# once, as matrix products take the last two axes.

# %% [markdown] tags=["hint"]
# Backward to the features is the same product with both matrices transposed, added with `+=` into image `n` (boxes overlap).
# Keep `By`, `Bx`, both slopes and `x` in the cache.

# %% [markdown] tags=["hint"]
# Backward to the box, for the columns: `dBx = (g.transpose(0, 2, 1) @ By @ x[n]).sum(axis=0)`, then
# `dA = np.repeat(dBx, s, axis=0) / s`, then `du = (dA * slope).sum(axis=1)`; $x_1$ gets `scale * (du * (1 - f)).sum()` and
# $x_2$ gets `scale * (du * f).sum()`.

# %% tags=["figure"]
# A box that looks for the blob: it follows its gradient, so that the mean of its features grows.
rows, columns = np.mgrid[:30, :40]
x = np.exp(-((rows - 13) ** 2 / 60 + (columns - 25) ** 2 / 120))[None, None]
box, path = np.array([[0.0, 3.0, 17.0, 17.0, 29.0]]), []
for _ in range(26):
    path.append(box[0, 1:].copy())
    out, cache = roi_align_forward(x, box, (2, 2), 1.0, 2)
    dx, dboxes = roi_align_backward(np.ones_like(out), cache)
    box = box + 6 * dboxes
fig, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained")
left.imshow(x[0, 0], cmap="viridis", extent=(0, 40, 30, 0))
for i in range(0, 26, 5):
    x1, y1, x2, y2 = path[i]
    left.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=plt.cm.autumn(i / 25), lw=1.5))
left.set(title="the box climbs, from red to yellow", xticks=[], yticks=[])
out, cache = roi_align_forward(x, box, (4, 5), 1.0, 2)
middle.imshow(out[0, 0], cmap="viridis", vmin=0, vmax=1)
middle.set(title="the last box, 4 x 5 bins", xticks=[], yticks=[])
right.imshow(roi_align_backward(np.ones_like(out), cache)[0][0, 0], cmap="viridis", extent=(0, 40, 30, 0))
right.set(title="which cells it reads: gradient to x", xticks=[], yticks=[])

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect

MAP = np.array([[0.0, 4.0, 8.0], [2.0, 6.0, 10.0]])[None, None]
BOX = np.array([[0.0, 0.5, 0.5, 2.5, 1.5]])
BOXES = np.array(
    [
        [1.0, 2.3, 4.1, 11.7, 9.2],
        [0.0, 0.4, 0.7, 13.1, 11.6],
        [1.0, 3.2, 5.3, 4.9, 6.6],
        [0.0, 5.2, 1.3, 9.7, 10.9],
        [1.0, 2.9, 4.4, 11.2, 9.8],
    ]
)
OUTSIDE = np.array(
    [[0.0, -9.3, -7.1, 6.2, 5.4], [1.0, 9.1, 6.3, 30.7, 25.2], [0.0, 40.0, 2.0, 50.0, 9.0], [1.0, 3.3, 4.7, 3.3, 4.7]]
)


def read(feature, u, length):
    """The feature (length,) at u."""
    return 0.0 if u < -1 or u > length else np.interp(u, np.arange(length), feature)


def sample_by_sample(x, boxes, output_size, scale, samples):
    (_, channels, height, width), (p_bins, q_bins) = x.shape, output_size
    out = np.zeros((len(boxes), channels, p_bins, q_bins), x.dtype)
    for k, (n, x1, y1, x2, y2) in enumerate(boxes):
        for c, p, q in np.ndindex(out.shape[1:]):
            total = 0.0
            for i, j in np.ndindex(samples, samples):
                v = y1 * scale - 0.5 + (y2 - y1) * scale * (p + (i + 0.5) / samples) / p_bins
                u = x1 * scale - 0.5 + (x2 - x1) * scale * (q + (j + 0.5) / samples) / q_bins
                line = np.array([read(row, u, width) for row in x[int(n), c].astype(np.float64)])
                total += read(line, v, height)
            out[k, c, p, q] = total / samples**2
    return out


@checked("positions: the definition", points=2)
def positions_values(student):
    expect.close("positions", student.sample_positions(0.0, 2.0, 2), np.array([0.5, 1.5]))
    expect.close("positions", student.sample_positions(-3.0, 4.5, 5), np.array([-2.25, -0.75, 0.75, 2.25, 3.75]))
    expect.close("positions in a box without width", student.sample_positions(2.5, 2.5, 3), np.array([2.5, 2.5, 2.5]))


@checked("interpolation: the weights", points=3)
def interpolation_weights(student):
    for length, positions in (
        (6, [0.3, 4.9, 2.0, 0.0, 5.0, 3.75, 3.2]),
        (4, [-1.0, -0.6, -1.001, 3.4, 4.0, 4.001, -7.0, 12.0]),
        (1, [-0.5, 0.0, 0.8, 1.5]),
    ):
        weights, _ = student.interpolation(np.array(positions), length)
        expect.shape("A", weights, (len(positions), length))
        right = np.array([[read(cell, u, length) for cell in np.eye(length)] for u in positions])
        expect.close(f"A for the positions {positions} on {length} cells", weights, right)


@checked("interpolation: the slopes", points=2)
def interpolation_slopes(student):
    positions = np.array([0.3, 2.8, 3.99, -0.4, -3.0, 4.2, 6.0, 1.5])
    _, slope = student.interpolation(positions.copy(), 5)
    moved = [np.array([[read(cell, u + h, 5) for cell in np.eye(5)] for u in positions]) for h in (1e-6, -1e-6)]
    expect.close(f"slope for the positions {positions.tolist()} on 5 cells", slope, np.round((moved[0] - moved[1]) / 2e-6))


@checked("forward: the example by hand", points=1)
def forward_example(student):
    out, _ = student.roi_align_forward(MAP.copy(), BOX.copy(), (1, 2), 1.0, 1)
    expect.close("out", out, np.array([[3.0, 7.0]])[None, None])


@checked("forward: the definition", points=3)
def forward_values(student):
    x = check.tie_free(2, 3, 6, 7)
    for output_size, scale, samples in (((2, 3), 0.5, 2), ((3, 2), 0.5, 1), ((1, 1), 0.25, 3)):
        out, _ = student.roi_align_forward(x, BOXES.copy(), output_size, scale, samples)
        right = sample_by_sample(x, BOXES, output_size, scale, samples)
        expect.close(f"out for {output_size} bins, scale {scale}, {samples} samples", out, right)


@checked("forward: boxes that reach outside or have no area, float32, no boxes", points=1)
def forward_edges(student):
    x = check.tie_free(2, 2, 6, 8, low=1, high=3)
    out, _ = student.roi_align_forward(x, OUTSIDE.copy(), (3, 2), 0.5, 2)
    expect.close("out", out, sample_by_sample(x, OUTSIDE, (3, 2), 0.5, 2))
    small = x.astype(np.float32)
    out, _ = student.roi_align_forward(small, BOXES.astype(np.float32), (2, 2), 0.5, 2)
    expect.close("out in float32", out, sample_by_sample(small, BOXES, (2, 2), 0.5, 2))
    out, cache = student.roi_align_forward(x, np.zeros((0, 5)), (3, 2), 0.5, 2)
    expect.shape("out without boxes", out, (0, 2, 3, 2))
    dx, dboxes = student.roi_align_backward(out, cache)
    expect.equal("dx without boxes", dx, np.zeros_like(x))
    expect.shape("dboxes without boxes", dboxes, (0, 5))


@checked("backward: the example by hand", points=1)
def backward_example(student):
    _, cache = student.roi_align_forward(MAP.copy(), BOX.copy(), (1, 2), 1.0, 1)
    gradients = student.roi_align_backward(np.array([[1.0, 0.0]])[None, None], cache)
    expect.that(type(gradients) is tuple and len(gradients) == 2, "roi_align_backward must return two arrays: return dx, dboxes")
    expect.close("dx", gradients[0], np.array([[0.25, 0.25, 0.0], [0.25, 0.25, 0.0]])[None, None])
    expect.close("dboxes", gradients[1], np.array([[0.0, 3.0, 1.0, 1.0, 1.0]]))


@checked("backward: the gradient to the features", points=3)
def backward_features(student):
    x, boxes = check.tie_free(2, 2, 6, 7), np.concatenate([BOXES, OUTSIDE])
    return check.backward(student.roi_align_forward, student.roi_align_backward, x, boxes, (2, 3), 0.5, 2, wrt="x")


@checked("backward: the gradient to the boxes", points=4)
def backward_boxes(student):
    images = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    corners = np.concatenate([BOXES, OUTSIDE[:1]])[:, 1:]
    x = check.tie_free(2, 2, 6, 7, seed=1)

    def forward(boxes):
        return student.roi_align_forward(x, np.column_stack([images, boxes]), (2, 3), 0.5, 2)

    def backward(dout, cache):
        dboxes = student.roi_align_backward(dout, cache)[1]
        expect.shape("dboxes", dboxes, (6, 5))
        expect.that(not dboxes[:, 0].any(), "the first column of dboxes, for the image, must be 0")
        return dboxes[:, 1:].copy()

    return check.backward(forward, backward, corners)


# %% tags=["mutants"]
_POSITIONS = """
def sample_positions(low, high, count):
    return low + (high - low) * (np.arange(count) + 0.5) / count
"""
_INTERPOLATION = """
def interpolation(positions, length):
    A, slope = np.zeros((len(positions), length)), np.zeros((len(positions), length))
    for k, u in enumerate(positions):
        if u < -1 or u > length:
            continue
        clamped = min(max(u, 0), length - 1)
        j = min(int(clamped), max(length - 2, 0))
        t = clamped - j
        A[k, j] += 1 - t
        if length > 1:
            A[k, j + 1] += t
            if 0 < u < length - 1:
                slope[k, j], slope[k, j + 1] = -1, 1
    return A, slope
"""
_FORWARD = """
def roi_align_forward(x, boxes, output_size, scale=1.0, samples=2):
    (P, Q), (H, W) = output_size, x.shape[2:]
    out, axes = np.zeros((len(boxes), x.shape[1], P, Q), x.dtype), []
    for k in range(len(boxes)):
        n, x1, y1, x2, y2 = boxes[k]
        n = int(n)
        Ay, slope_y = interpolation(sample_positions(y1 * scale - 0.5, y2 * scale - 0.5, P * samples), H)
        Ax, slope_x = interpolation(sample_positions(x1 * scale - 0.5, x2 * scale - 0.5, Q * samples), W)
        By, Bx = Ay.reshape(P, samples, H).mean(axis=1), Ax.reshape(Q, samples, W).mean(axis=1)
        out[k] = np.einsum("ph,chw,qw->cpq", By, x[n], Bx)
        axes.append((By, slope_y, Bx, slope_x))
    return out, (x, boxes, axes, scale, samples)
"""
_BACKWARD = """
def roi_align_backward(dout, cache):
    x, boxes, axes, scale, samples = cache
    dx, dboxes = np.zeros_like(x), np.zeros_like(boxes)
    for k, (By, slope_y, Bx, slope_x) in enumerate(axes):
        n = int(boxes[k, 0])
        dx[n] += np.einsum("ph,cpq,qw->chw", By, dout[k], Bx)
        dBy = np.einsum("cpq,chw,qw->ph", dout[k], x[n], Bx)
        dBx = np.einsum("cpq,chw,ph->qw", dout[k], x[n], By)
        for dB, slope, low, high in ((dBx, slope_x, 1, 3), (dBy, slope_y, 2, 4)):
            du = (np.repeat(dB, samples, axis=0) / samples * slope).sum(axis=1)
            f = (np.arange(len(du)) + 0.5) / len(du)
            dboxes[k, low] = scale * (du * (1 - f)).sum()
            dboxes[k, high] = scale * (du * f).sum()
    return dx, dboxes
"""
MUTANTS = {
    "samples at the starts of the parts": _POSITIONS.replace(" + 0.5", ""),
    "samples at both ends": _POSITIONS.replace("(np.arange(count) + 0.5) / count", "np.arange(count) / max(count - 1, 1)"),
    "samples at the inner ends": _POSITIONS.replace("(np.arange(count) + 0.5) / count", "(np.arange(count) + 1) / (count + 1)"),
    "the box's low end forgotten": _POSITIONS.replace("low + (high", "(high"),
    "the nearest cell": _INTERPOLATION.replace("t = clamped - j", "t = round(clamped - j)"),
    "the two weights exchanged": _INTERPOLATION.replace("+= 1 - t", "+= t").replace("A[k, j + 1] += t", "A[k, j + 1] += 1 - t"),
    "zeros everywhere outside the centres": _INTERPOLATION.replace("if u < -1 or u > length:", "if u < 0 or u > length - 1:"),
    "never zeros: the border everywhere": _INTERPOLATION.replace("if u < -1 or u > length:", "if False:"),
    "outside from half a cell on": _INTERPOLATION.replace("if u < -1 or u > length:", "if u < -0.5 or u > length - 0.5:"),
    "slopes also where the position is clamped": _INTERPOLATION.replace("if 0 < u < length - 1:", "if True:"),
    "the slopes' signs": _INTERPOLATION.replace("= -1, 1", "= 1, -1"),
    "the weights as slopes": _INTERPOLATION.replace("= -1, 1", "= 1 - t, t"),
    "half a cell off": _FORWARD.replace(" - 0.5", ""),
    "half a cell to the other side": _FORWARD.replace(" - 0.5", " + 0.5"),
    "the half before the scale": _FORWARD.replace("1 * scale - 0.5", "1 * scale - 0.5 * scale").replace(
        "2 * scale - 0.5", "2 * scale - 0.5 * scale"
    ),
    "divided by the scale": _FORWARD.replace("* scale", "/ scale"),
    "the box rounded to cells": _FORWARD.replace("n = int(n)", "n, x1, y1, x2, y2 = (int(round(v)) for v in boxes[k])"),
    "x and y exchanged": _FORWARD.replace("n, x1, y1, x2, y2 = boxes[k]", "n, y1, x1, y2, x2 = boxes[k]"),
    "the sum of the samples": _FORWARD.replace(".mean(axis=1)", ".sum(axis=1)"),
    "the samples of a bin far apart": _FORWARD.replace(
        "reshape(P, samples, H).mean(axis=1)", "reshape(samples, P, H).mean(axis=0)"
    ).replace("reshape(Q, samples, W).mean(axis=1)", "reshape(samples, Q, W).mean(axis=0)"),
    "one sample per bin": _FORWARD.replace("axes = np.zeros", "samples, axes = np.zeros").replace(
        "x.dtype), []", "x.dtype), 1, []"
    ),
    "always the first image": _FORWARD.replace("n = int(n)", "n = 0"),
    "box k on image k": _FORWARD.replace("n = int(n)", "n = k % len(x)"),
    "always float64": _FORWARD.replace("P, Q), x.dtype)", "P, Q))"),
    "= in place of +=": _BACKWARD.replace("dx[n] +=", "dx[n] ="),
    "backward into the first image": _BACKWARD.replace("dx[n] +=", "dx[0] +="),
    "no gradient to the boxes": _BACKWARD.replace("return dx, dboxes", "return dx, np.zeros_like(dboxes)"),
    "no gradient to the boxes at all": _BACKWARD.replace("return dx, dboxes", "return dx, None"),
    "the first channel alone moves the box": _BACKWARD.replace(
        '"cpq,chw,qw->ph", dout[k], x[n]', '"cpq,chw,qw->ph", dout[k, :1], x[n, :1]'
    ),
    "the scale forgotten": _BACKWARD.replace("scale * (du", "(du"),
    "divided by the scale in backward": _BACKWARD.replace("scale * (du", "1 / scale * (du"),
    "the number of samples forgotten": _BACKWARD.replace("axis=0) / samples", "axis=0)"),
    "tiled in place of repeated": _BACKWARD.replace("np.repeat(dB, samples, axis=0)", "np.tile(dB, (samples, 1))"),
    "both corners get all": _BACKWARD.replace("(du * (1 - f))", "du").replace("(du * f)", "du"),
    "both corners get half": _BACKWARD.replace("(du * (1 - f))", "(du / 2)").replace("(du * f)", "(du / 2)"),
    "the two corners exchanged": _BACKWARD.replace("slope_x, 1, 3", "slope_x, 3, 1").replace("slope_y, 2, 4", "slope_y, 4, 2"),
    "the axes of the boxes exchanged": _BACKWARD.replace("slope_x, 1, 3", "slope_x, 2, 4").replace(
        "slope_y, 2, 4", "slope_y, 1, 3"
    ),
    "dboxes without the image": _BACKWARD.replace("return dx, dboxes", "return dx, dboxes[:, 1:].copy()"),
}
RIGHT = {
    "sums over indices": _POSITIONS + _INTERPOLATION + _FORWARD + _BACKWARD,
    "hat functions": """
def interpolation(positions, length):
    u = np.asarray(positions)[:, None]
    cells = np.arange(length)
    inside = (u >= -1) & (u <= length)
    A = np.maximum(0, 1 - np.abs(np.clip(u, 0, length - 1) - cells)) * inside
    slope = np.where((np.abs(u - cells) < 1) & (u > 0) & (u < length - 1), np.sign(cells - u), 0.0)
    return A, slope
""",
    "sample by sample": """
def roi_align_forward(x, boxes, output_size, scale=1.0, samples=2):
    (P, Q), (H, W), s = output_size, x.shape[2:], samples
    out, cells = np.zeros((len(boxes), x.shape[1], P, Q), x.dtype), []
    for k, (n, x1, y1, x2, y2) in enumerate(boxes):
        ys = interpolation(sample_positions(y1 * scale - 0.5, y2 * scale - 0.5, P * s), H)
        xs = interpolation(sample_positions(x1 * scale - 0.5, x2 * scale - 0.5, Q * s), W)
        for i, j in np.ndindex(P * s, Q * s):
            weight = np.outer(ys[0][i], xs[0][j]) / s**2
            down, across = np.outer(ys[1][i], xs[0][j]) / s**2, np.outer(ys[0][i], xs[1][j]) / s**2
            out[k, :, i // s, j // s] += (x[int(n)] * weight).sum(axis=(1, 2)).astype(x.dtype)
            cells.append((k, int(n), i, j, weight, down, across))
    return out, (x, boxes, cells, scale, s)

def roi_align_backward(dout, cache):
    x, boxes, cells, scale, s = cache
    dx, dboxes = np.zeros_like(x), np.zeros_like(boxes)
    P, Q = dout.shape[2:]
    for k, n, i, j, weight, down, across in cells:
        g = dout[k, :, i // s, j // s][:, None, None]
        dx[n] += g * weight
        dv, du = (g * x[n] * down).sum() * scale, (g * x[n] * across).sum() * scale
        fy, fx = (i + 0.5) / (P * s), (j + 0.5) / (Q * s)
        dboxes[k] += [0, du * (1 - fx), dv * (1 - fy), du * fx, dv * fy]
    return dx, dboxes
""",
}
