# ---
# title: U-Net's weight map
# topic: loss
# level: 2
# points: 14
# ---

# %% [markdown]
# # U-Net's weight map
#
# Cells under a microscope nearly touch, and what lies between two of them is a line of background one or two pixels wide. A
# network that closes the line gets nearly all pixels right, but counts two cells as one. So the authors of U-Net multiply the
# loss of each pixel $x$ by a weight that is large there:
#
# $$w(x) = w_c(x) + w_0 \exp\Bigl( -\frac{(d_1(x) + d_2(x))^2}{2 \sigma^2} \Bigr) \cdot [x \text{ is background}].$$
#
# The input is `instances`, an integer array $(H, W)$: 0 is background, and each cell has a number of its own
# ($1, 5, 7, \ldots$; not necessarily all of them).
#
# - **Class balance** $w_c$. There are two classes, background and cell. Of the $HW$ pixels, $n_k$ have class $k$. With $K$
#   classes that occur (2, or 1 if all pixels are alike) each pixel of class $k$ gets $w_c = \dfrac{HW}{K n_k}$. So both
#   classes have the same total weight, and the mean weight is 1.
# - **Distances**. $d_1(x)$ is the distance of pixel $x$ to the nearest cell, $d_2(x)$ to the second nearest one. The distance
#   to a cell is the one to its nearest pixel, as the crow flies, $\sqrt{(i - i')^2 + (j - j')^2}$ between the centres. It is
#   0 in the cell itself. A cell that does not exist is infinitely far away: with one cell alone, $d_2 = \infty$ and the
#   exponential is $0$.
# - The exponential is added on background only: within a cell there is no line to keep open.
#
# **An example by hand**, one row of five pixels, with $w_0 = 10$ and $\sigma = 2$:
#
# | `instances` | 1 | 0 | 0 | 0 | 2 |
# |---|---|---|---|---|---|
# | $w_c$ | $5/4$ | $5/6$ | $5/6$ | $5/6$ | $5/4$ |
# | distance to cell 1 | $0$ | $1$ | $2$ | $3$ | $4$ |
# | distance to cell 2 | $4$ | $3$ | $2$ | $1$ | $0$ |
# | $d_1 + d_2$ | $4$ | $4$ | $4$ | $4$ | $4$ |
# | $w$ | $1.25$ | $2.187$ | $2.187$ | $2.187$ | $1.25$ |
#
# There are three pixels of background, so $w_c = 5/(2 \cdot 3)$, and two of cells, $w_c = 5/(2 \cdot 2)$. In the gap
# $w = 5/6 + 10\, e^{-16/8} = 0.833 + 1.353$.

# %%
import numpy as np


# %% tags=["task"]
def class_balance(instances):
    """instances (H, W), integers -> w_c (H, W), floats: HW / (K n_k) for each pixel of class k (0 background, 1 any cell)."""
    # BEGIN SOLUTION
    is_cell = instances > 0
    weights = np.ones(instances.shape)
    classes = 2 if is_cell.any() and not is_cell.all() else 1
    for members in (is_cell, ~is_cell):
        if members.any():
            weights[members] = instances.size / (classes * members.sum())
    return weights
    # END SOLUTION


# %% tags=["task"]
def two_distances(instances):
    """instances (H, W) -> (d1, d2), each (H, W) floats: to the nearest and to the second nearest cell; inf if there is none."""
    # BEGIN SOLUTION
    H, W = instances.shape
    rows, columns = np.mgrid[:H, :W]
    distances = [np.full((H, W), np.inf), np.full((H, W), np.inf)]  # two cells that do not exist
    for cell in np.unique(instances[instances > 0]):
        cell_rows, cell_columns = np.nonzero(instances == cell)  # (P,) each
        down = rows[:, :, None] - cell_rows  # (H, W, P)
        across = columns[:, :, None] - cell_columns
        distances.append(np.sqrt(down**2 + across**2).min(axis=2))
    nearest = np.sort(distances, axis=0)  # (cells + 2, H, W)
    return nearest[0], nearest[1]
    # END SOLUTION


# %% tags=["task"]
def weight_map(instances, w0=10.0, sigma=5.0):
    """instances (H, W) -> w (H, W), floats: class balance, plus on background w0 exp(-(d1 + d2)^2 / (2 sigma^2))."""
    # BEGIN SOLUTION
    d1, d2 = two_distances(instances)
    gap = w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2))
    return class_balance(instances) + gap * (instances == 0)
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Take the tasks one by one; `weight_map` calls the other two. For the class balance, `instances > 0` is the mask of class 1,
# and `mask.sum()` counts. Mind the image without a cell: $n_1 = 0$.

# %% [markdown] tags=["hint"]
# For the distances: `for cell in np.unique(instances)` but 0. `np.nonzero(instances == cell)` gives the rows and columns of
# its pixels. The distance of pixel $(i, j)$ to the cell is the minimum over those. Keep one array $(H, W)$ per cell, and sort
# them at the end.

# %% [markdown] tags=["hint"]
# `np.sort(distances, axis=0)` sorts the list of arrays pixel by pixel: `[0]` is $d_1$, `[1]` is $d_2$. If the list begins
# with two arrays of `np.inf`, images with one cell or none need no special case: $e^{-\infty} = 0$.

# %% [markdown] tags=["hint"]
# The last line: `class_balance(instances) + w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2)) * (instances == 0)`. The sum is
# squared, not each.

# %% tags=["figure"]
# Cells that nearly touch, their distances, and the map.
rng = np.random.default_rng(3)
rows, columns = np.mgrid[:48, :64]
centres = [(14, 14), (15, 33), (33, 22), (32, 42), (14, 54)]
away = np.stack([np.hypot(rows - r, columns - c) for r, c in centres])
cells = np.where(np.sort(away, axis=0)[1] - away.min(axis=0) > 2.5, away.argmin(axis=0) + 1, 0)  # a gap between neighbours
cells[away.min(axis=0) > 11] = 0
d1, d2 = two_distances(cells)
fig, axes = plt.subplots(1, 4, figsize=(11, 2.3), layout="constrained")
panels = ((cells, "instances"), (d1, "$d_1$"), (d2, "$d_2$"), (weight_map(cells), "weight_map"))
for ax, (values, title) in zip(axes, panels):
    shown = ax.imshow(values, cmap="tab10" if title == "instances" else "viridis")
    ax.set(title=title, xticks=[], yticks=[])
    fig.colorbar(shown, ax=ax)

# %% tags=["checks"]
import math

from minivision.homework import checked, expect

ROW = np.array([[1, 0, 0, 0, 2]])


def scattered(seed, shape=(7, 9), cells=4):
    """Cells of several pixels, not connected, with numbers that are not consecutive."""
    rng = np.random.default_rng(seed)
    numbers = np.array([0, 0, 0, *(3 * np.arange(1, cells + 1) + 2)])
    return rng.choice(numbers, size=shape)


def distances_pixel_by_pixel(instances):
    height, width = instances.shape
    d1, d2 = np.full(instances.shape, np.inf), np.full(instances.shape, np.inf)
    pixels = [(r, c, int(instances[r, c])) for r in range(height) for c in range(width) if instances[r, c] > 0]
    for i, j in np.ndindex(height, width):
        nearest = {}
        for r, c, cell in pixels:
            nearest[cell] = min(nearest.get(cell, math.inf), math.hypot(r - i, c - j))
        closest = sorted(nearest.values())
        d1[i, j] = closest[0] if closest else math.inf
        d2[i, j] = closest[1] if len(closest) > 1 else math.inf
    return d1, d2


def balance_pixel_by_pixel(instances):
    classes = [int(v > 0) for v in instances.ravel()]
    shares = {k: len(classes) / (len(set(classes)) * classes.count(k)) for k in set(classes)}
    return np.array([shares[k] for k in classes]).reshape(instances.shape)


def map_pixel_by_pixel(instances, w0, sigma):
    d1, d2 = distances_pixel_by_pixel(instances)
    right = balance_pixel_by_pixel(instances)
    for index in np.ndindex(right.shape):
        if instances[index] == 0:
            right[index] += w0 * math.exp(-((d1[index] + d2[index]) ** 2) / (2 * sigma**2))
    return right


@checked("class balance: the example and the definition", points=2)
def balance_values(student):
    expect.close("w_c", student.class_balance(ROW.copy()), np.array([[5 / 4, 5 / 6, 5 / 6, 5 / 6, 5 / 4]]))
    for instances in (scattered(0), scattered(1, (3, 8), 1)):
        expect.close("w_c", student.class_balance(instances), balance_pixel_by_pixel(instances))


@checked("class balance: no cell, no background", points=1)
def balance_of_one_class(student):
    for value in (0, 3):
        instances = np.full((3, 4), value)
        expect.close(f"w_c where all pixels are {value}", student.class_balance(instances), np.ones((3, 4)))


@checked("distances: the example by hand", points=1)
def distances_example(student):
    d1, d2 = student.two_distances(ROW.copy())
    expect.close("d1", d1, np.array([[0.0, 1.0, 2.0, 1.0, 0.0]]))
    expect.close("d2", d2, np.array([[4.0, 3.0, 2.0, 3.0, 4.0]]))


@checked("distances: the definition", points=3)
def distances_values(student):
    corner = np.zeros((6, 8), int)
    corner[0, 0], corner[5, 7], corner[1, 6] = 1, 2, 9
    for instances in (corner, scattered(2), scattered(3, (8, 5), 3)):
        d1, d2 = student.two_distances(instances)
        right = distances_pixel_by_pixel(instances)
        expect.close("d1", d1, right[0])
        expect.close("d2", d2, right[1])


@checked("distances: one cell, and none", points=1)
def distances_of_few(student):
    instances = np.zeros((4, 5), int)
    for count in (0, 1):
        instances[1, 2] = 7 * count
        d1, d2 = student.two_distances(instances)
        right = distances_pixel_by_pixel(instances)
        expect.close(f"d1 with {count} cells", d1, right[0])
        expect.close(f"d2 with {count} cells", d2, right[1])


@checked("weight map: the example by hand", points=1)
def map_example(student):
    gap = 5 / 6 + 10 * math.exp(-2)
    expect.close("w", student.weight_map(ROW.copy(), 10.0, 2.0), np.array([[1.25, gap, gap, gap, 1.25]]))


@checked("weight map: the definition", points=4)
def map_values(student):
    for seed, w0, sigma in ((4, 10.0, 5.0), (5, 3.0, 1.5), (6, 100.0, 0.7)):
        instances = scattered(seed)
        expect.close(
            f"w for w0 = {w0}, sigma = {sigma}",
            student.weight_map(instances, w0, sigma),
            map_pixel_by_pixel(instances, w0, sigma),
        )
    expect.close("w for w0 and sigma as they are by default", student.weight_map(ROW.copy()), map_pixel_by_pixel(ROW, 10.0, 5.0))


@checked("weight map: one cell, none, and nothing else", points=1)
def map_of_few(student):
    for title, instances in (("one cell", ROW * (ROW == 1)), ("no cell", ROW * 0), ("no background", np.array([[1, 1], [2, 2]]))):
        expect.close(f"w with {title}", student.weight_map(instances), map_pixel_by_pixel(instances, 10.0, 5.0))


# %% tags=["mutants"]
_BALANCE = """
def class_balance(instances):
    cells = instances > 0
    weights, size = np.ones(instances.shape), instances.size
    classes = int(cells.any()) + int((~cells).any())
    for members in (cells, ~cells):
        if members.any():
            weights[members] = size / (classes * members.sum())
    return weights
"""
_DISTANCES = """
def two_distances(instances):
    rows, columns = np.indices(instances.shape)
    found = [np.full(instances.shape, np.inf)] * 2
    for cell in np.unique(instances):
        if cell == 0:
            continue
        r, c = np.nonzero(instances == cell)
        distance = np.sqrt((rows[..., None] - r) ** 2 + (columns[..., None] - c) ** 2).min(axis=-1)
        found = [*found, distance]
    found = np.sort(found, axis=0)
    return found[0], found[1]
"""
_MAP = """
def weight_map(instances, w0=10.0, sigma=5.0):
    d1, d2 = two_distances(instances)
    return class_balance(instances) + w0 * np.exp(-((d1 + d2) ** 2) / (2 * sigma**2)) * (instances == 0)
"""
MUTANTS = {
    "frequencies in place of their inverse": _BALANCE.replace("size / (classes * members.sum())", "members.sum() / size"),
    "not divided by the number of classes": _BALANCE.replace("(classes * members.sum())", "members.sum()"),
    "always divided by two": _BALANCE.replace("classes = int(cells.any()) + int((~cells).any())", "classes = 2"),
    "each cell a class of its own": """
def class_balance(instances):
    weights, numbers = np.ones(instances.shape), np.unique(instances)
    for number in numbers:
        members = instances == number
        weights[members] = instances.size / (len(numbers) * members.sum())
    return weights
""",
    "divides by zero for an image without cells": """
def class_balance(instances):
    cells = instances > 0
    balance = instances.size / (2 * np.array([(~cells).sum(), cells.sum()]))
    return balance[cells.astype(int)]
""",
    "integers": _BALANCE.replace("np.ones(instances.shape)", "np.ones_like(instances)"),
    "background counts as a cell": _DISTANCES.replace("if cell == 0:\n            continue", "pass"),
    "the second and the third nearest": _DISTANCES.replace("found[0], found[1]", "found[1], found[2]"),
    "city blocks": _DISTANCES.replace(
        "np.sqrt((rows[..., None] - r) ** 2 + (columns[..., None] - c) ** 2)",
        "(np.abs(rows[..., None] - r) + np.abs(columns[..., None] - c)).astype(float)",
    ),
    "the larger of the two differences": _DISTANCES.replace(
        "np.sqrt((rows[..., None] - r) ** 2 + (columns[..., None] - c) ** 2)",
        "np.maximum(np.abs(rows[..., None] - r), np.abs(columns[..., None] - c)).astype(float)",
    ),
    "the root forgotten": _DISTANCES.replace("np.sqrt((rows", "1.0 * ((rows"),
    "to the centre of the cell": _DISTANCES.replace("(rows[..., None] - r)", "(rows[..., None] - r.mean())").replace(
        "(columns[..., None] - c)", "(columns[..., None] - c.mean())"
    ),
    "to the farthest pixel of the cell": _DISTANCES.replace(".min(axis=-1)", ".max(axis=-1)"),
    "the two nearest pixels, of whatever cell": """
def two_distances(instances):
    rows, columns = np.indices(instances.shape)
    r, c = np.nonzero(instances)
    distance = np.sqrt((rows[..., None] - r) ** 2 + (columns[..., None] - c) ** 2)
    nowhere = np.full((*instances.shape, 2), np.inf)
    distance = np.sort(np.concatenate([distance, nowhere], axis=-1), axis=-1)
    return distance[..., 0], distance[..., 1]
""",
    "numbers up to the count of cells only": _DISTANCES.replace(
        "np.unique(instances)", "range(1, len(np.unique(instances[instances > 0])) + 1)"
    ).replace(
        "r, c = np.nonzero(instances == cell)",
        "r, c = np.nonzero(instances == cell)\n        if not len(r):\n            continue",
    ),
    "fails with fewer than two cells": _DISTANCES.replace("[np.full(instances.shape, np.inf)] * 2", "[]"),
    "a missing cell at distance 0": _DISTANCES.replace("[np.full(instances.shape, np.inf)] * 2", "[]").replace(
        "found = np.sort", "found = [*found, *[np.zeros(instances.shape)] * (2 - len(found))]\n    found = np.sort"
    ),
    "added everywhere": _MAP.replace(" * (instances == 0)", ""),
    "added on the cells": _MAP.replace("(instances == 0)", "(instances > 0)"),
    "each distance squared": _MAP.replace("((d1 + d2) ** 2)", "(d1**2 + d2**2)"),
    "not squared": _MAP.replace("((d1 + d2) ** 2)", "(d1 + d2)"),
    "the 2 forgotten": _MAP.replace("(2 * sigma**2)", "sigma**2"),
    "sigma not squared": _MAP.replace("(2 * sigma**2)", "(2 * sigma)"),
    "the sign forgotten": _MAP.replace("np.exp(-((", "np.exp((("),
    "the difference of the distances": _MAP.replace("(d1 + d2)", "(d2 - d1)"),
    "the first distance alone": _MAP.replace("(d1 + d2)", "d1"),
    "multiplied in place of added": _MAP.replace(") + w0", ") * w0"),
    "w0 fixed": _MAP.replace(") + w0 *", ") + 10 *"),
}
RIGHT = {
    "pixel by pixel": """
def class_balance(instances):
    cells = np.count_nonzero(instances)
    background = instances.size - cells
    if cells == 0 or background == 0:
        return np.ones(instances.shape)
    return np.where(instances > 0, instances.size / (2 * cells), instances.size / (2 * background))

def two_distances(instances):
    d1 = np.full(instances.shape, np.inf)
    d2 = np.full(instances.shape, np.inf)
    pixels = {}
    for i, j in zip(*np.nonzero(instances)):
        pixels.setdefault(instances[i, j], []).append((i, j))
    for i, j in np.ndindex(instances.shape):
        for members in pixels.values():
            d = min(((i - r) ** 2 + (j - c) ** 2) ** 0.5 for r, c in members)
            if d < d1[i, j]:
                d1[i, j], d2[i, j] = d, d1[i, j]
            elif d < d2[i, j]:
                d2[i, j] = d
    return d1, d2

def weight_map(instances, w0=10.0, sigma=5.0):
    weights = class_balance(instances)
    d1, d2 = two_distances(instances)
    for i, j in np.argwhere(instances == 0):
        weights[i, j] += w0 * np.exp(-(d1[i, j] + d2[i, j]) ** 2 / (2 * sigma**2))
    return weights
""",
    "all pixels against all": """
def two_distances(instances):
    places = np.argwhere(np.ones_like(instances))  # (HW, 2)
    apart = np.linalg.norm(places[:, None] - places, axis=-1)  # (HW, HW)
    flat = instances.ravel()
    each = [apart[:, flat == cell].min(axis=1) for cell in set(flat.tolist()) - {0}]
    each += [np.full(instances.size, np.inf)] * 2
    first, second = np.partition(np.array(each), 1, axis=0)[:2]
    return first.reshape(instances.shape), second.reshape(instances.shape)
""",
}
