# ---
# title: Anchors and matching
# topic: boxes
# level: 2
# points: 14
# ---

# %% [markdown]
# # Anchors and matching
#
# A detector looks at every cell of a feature map and asks: is there an object in one of these few boxes around me? The boxes
# are the *anchors*. For training, each anchor needs the right answer: object (1), no object (0), or "do not care" ($-1$). Two
# tasks.
#
# **Anchors.** The map has $H \times W$ cells, and one cell stands for `stride` pixels of the image, so the centre of cell
# $(i, j)$ lies at
#
# $$x = (j + \tfrac12) \cdot \text{stride},\qquad y = (i + \tfrac12) \cdot \text{stride}.$$
#
# Around it there is one anchor for each size $s$ and each ratio $r$ (height to width). All anchors of one size have the same
# area $s^2$:
#
# $$w = s / \sqrt r,\qquad h = s \sqrt r.$$
#
# They are listed as corners $(x_1, y_1, x_2, y_2)$, row by row of the map, in each row cell by cell, in each cell size by
# size, and for each size ratio by ratio. That is $H W S R$ rows for $S$ sizes and $R$ ratios. Anchors may reach over the edge
# of the image.
#
# **Matching.** Given the IoU of every anchor with every object, $(A, G)$:
#
# 1. The object of an anchor is the one with the largest IoU; of equal ones, the first.
# 2. An anchor whose largest IoU is at least `high` gets label $1$; one whose largest IoU is below `low` gets $0$; between the
#    two $-1$.
# 3. An object that is small, or oddly shaped, may have no anchor with an IoU of `high`, and would never be learned. So the
#    anchor with the largest IoU *for an object* gets label $1$ as well, whatever that IoU is, unless it is $0$. If several
#    anchors share the maximum, all of them do. (Their object stays the one of rule 1.)
# 4. Without any object, all labels are $0$, and the index of the object is $0$ too, which nobody looks at.
#
# **An example by hand**, five anchors, two objects, `high` $= 0.7$, `low` $= 0.3$:
#
# | anchor | IoU with object 0 | with object 1 | largest | label | object |
# |---|---|---|---|---|---|
# | 0 | $0.8$ | $0.1$ | $0.8$ | $1$ (rule 2) | $0$ |
# | 1 | $0.5$ | $0.0$ | $0.5$ | $-1$ | $0$ |
# | 2 | $0.2$ | $0.1$ | $0.2$ | $0$ | $0$ |
# | 3 | $0.0$ | $0.4$ | $0.4$ | $1$ (rule 3: the best of object 1) | $1$ |
# | 4 | $0.0$ | $0.0$ | $0.0$ | $0$ | $0$ |

# %%
import numpy as np


# %% tags=["task"]
def make_anchors(height, width, stride, sizes, ratios):
    """A map of height x width cells, sizes (S,) in pixels, ratios (R,) -> anchors (height width S R, 4) as corners, floats."""
    # BEGIN SOLUTION
    s, r = np.array(sizes, float)[:, None], np.array(ratios, float)
    half_w, half_h = (s / np.sqrt(r)).ravel() / 2, (s * np.sqrt(r)).ravel() / 2
    shapes = np.stack([-half_w, -half_h, half_w, half_h], axis=1)  # (SR, 4): the anchors around (0, 0)
    y, x = np.meshgrid((np.arange(height) + 0.5) * stride, (np.arange(width) + 0.5) * stride, indexing="ij")
    centers = np.stack([x, y, x, y], axis=-1)  # (H, W, 4)
    return (centers[:, :, None, :] + shapes).reshape(-1, 4)  # (H, W, SR, 4)
    # END SOLUTION


# %% tags=["task"]
def match(iou, high=0.7, low=0.3):
    """iou (A, G) of anchors with objects -> (labels, objects), integers (A,): labels 1, 0 or -1; objects 0 .. G - 1."""
    # BEGIN SOLUTION
    if iou.shape[1] == 0:
        return np.zeros(len(iou), int), np.zeros(len(iou), int)
    objects, best = iou.argmax(axis=1), iou.max(axis=1)
    labels = np.full(len(iou), -1)
    labels[best < low] = 0
    labels[best >= high] = 1
    best_of_object = iou.max(axis=0, initial=0)  # (G,); initial for a map without anchors
    labels[((iou == best_of_object) & (iou > 0)).any(axis=1)] = 1
    return labels, objects
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Anchors: four loops, one inside the other (rows, columns, sizes, ratios), that append
# $(x - w/2,\ y - h/2,\ x + w/2,\ y + h/2)$ to a list are a good solution. Mind that $x$ belongs to the column $j$.

# %% [markdown] tags=["hint"]
# Matching: `iou.max(axis=1)` is the best of each anchor, `iou.max(axis=0)` is the best of each object. Rules 1 and 2 need the
# first, rule 3 the second. Apply rule 3 last, for it overrules the others.

# %% [markdown] tags=["hint"]
# Rule 3: `iou == iou.max(axis=0)` compares each column with its own maximum. An anchor gets label 1 if that is true in any of
# its columns where the IoU is above 0. An array $(A, 0)$ has no maximum: return early when there is no object.

# %% tags=["figure"]
# The anchors of one cell, and which anchors of the whole map learn two objects: best IoU at least 0.6, or the best of an object.
sizes, ratios, stride = (16, 32), (0.5, 1, 2), 8
anchors = make_anchors(8, 12, stride, sizes, ratios)
objects = np.array([[12.0, 10.0, 40.0, 42.0], [60.0, 24.0, 71.0, 58.0]])
low_corner, high_corner = np.maximum(anchors[:, None, :2], objects[:, :2]), np.minimum(anchors[:, None, 2:], objects[:, 2:])
shared = np.clip(high_corner - low_corner, 0, None).prod(axis=2)
areas = [(b[:, 2:] - b[:, :2]).prod(axis=1) for b in (anchors, objects)]
labels, which = match(shared / (areas[0][:, None] + areas[1] - shared), high=0.6, low=0.3)

fig, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained")
cell = np.arange(len(anchors)) // 6 == 4 * 12 + 6
panels = ((cell, "the six anchors of one cell"), (labels == 1, "label 1, by object"), (labels == -1, "label -1"))
for ax, (chosen, title) in zip(axes, panels):
    for box, k in [*zip(anchors[chosen], which[chosen]), *((box, 2) for box in objects if title != panels[0][1])]:
        color = "black" if k == 2 else "tab:gray" if title == panels[0][1] else f"C{k}"
        (x1, y1, x2, y2), wide = box, 2.5 if k == 2 else 0.8
        ax.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, lw=wide))
    ys, xs = np.mgrid[4:64:8, 4:96:8]
    ax.plot(xs.ravel(), ys.ravel(), ".", color="silver", ms=2)
    ax.set(title=f"{title}: {chosen.sum()}", xlim=(-8, 104), ylim=(72, -8), xticks=[], yticks=[])

# %% tags=["checks"]
from minivision.homework import checked, expect

IOU = np.array([[0.8, 0.1], [0.5, 0.0], [0.2, 0.1], [0.0, 0.4], [0.0, 0.0]])


def anchors_one_by_one(height, width, stride, sizes, ratios):
    rows = []
    for i, j in np.ndindex(height, width):
        for s in sizes:
            for r in ratios:
                w, h = (s * s / r) ** 0.5, (s * s * r) ** 0.5
                x, y = stride * (2 * j + 1) / 2, stride * (2 * i + 1) / 2
                rows.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return np.array(rows)


def matched_one_by_one(iou, high, low):
    anchors, count = iou.shape
    labels, objects = np.zeros(anchors, int), np.zeros(anchors, int)
    for a in range(anchors):
        row = iou[a].tolist()
        if row:
            objects[a] = row.index(max(row))
            labels[a] = 1 if max(row) >= high else 0 if max(row) < low else -1
    for g in range(count):
        for a in range(anchors):
            if iou[a, g] > 0 and all(iou[a, g] >= iou[other, g] for other in range(anchors)):
                labels[a] = 1
    return labels, objects


def compare(student, iou, high, low, what):
    result = student.match(iou.copy(), high, low)
    expect.that(type(result) is tuple and len(result) == 2, "match must return two arrays: return labels, objects")
    right = matched_one_by_one(iou, high, low)
    expect.equal(f"labels {what}", result[0], right[0])
    expect.equal(f"objects {what}", result[1], right[1])


@checked("anchors: one cell", points=2)
def anchors_of_one_cell(student):
    right = np.array([[-4.0, -4.0, 12.0, 12.0], [0.0, -12.0, 8.0, 20.0]])  # 16 x 16 and 8 x 32 around (4, 4)
    expect.close("anchors of size 16, ratios 1 and 4, stride 8", student.make_anchors(1, 1, 8, [16], [1, 4]), right)


@checked("anchors: places, order, areas", points=4)
def anchors_values(student):
    for arguments in ((2, 3, 16, (32, 64), (0.5, 1.0, 2.0)), (3, 2, 8, (10,), (1.0, 3.0)), (1, 4, 5, (7.0, 9.0, 2.0), (0.25,))):
        right = anchors_one_by_one(*arguments)
        expect.close(f"make_anchors{arguments}", student.make_anchors(*arguments), right)


@checked("matching: the example by hand", points=1)
def match_example(student):
    labels, objects = student.match(IOU.copy())
    expect.equal("labels", labels, np.array([1, -1, 0, 1, 0]))
    expect.equal("objects", objects, np.array([0, 0, 0, 1, 0]))


@checked("matching: the rules", points=3)
def match_values(student):
    for seed, shape, high, low in ((0, (40, 3), 0.7, 0.3), (1, (25, 6), 0.5, 0.4), (2, (9, 12), 0.9, 0.1)):
        rng = np.random.default_rng(seed)
        iou = np.round(rng.uniform(0, 1, shape) ** 2, 3)
        iou[rng.uniform(size=shape) < 0.3] = 0
        compare(student, iou, high, low, f"for {shape[0]} anchors and {shape[1]} objects")


@checked("matching: exactly the limits", points=1)
def match_limits(student):
    iou = np.array([[0.7, 0.0], [0.3, 0.0], [0.69, 0.1], [0.29, 0.0], [0.95, 0.0], [0.0, 0.98]])
    compare(student, iou, 0.7, 0.3, "where an IoU equals a limit")


@checked("matching: the best anchor of an object", points=2)
def match_best(student):
    # object 0: two anchors share a poor best; object 1: nothing overlaps it; object 2: its best anchor is nearer to object 3
    iou = np.array([[0.2, 0, 0.0, 0.1], [0.2, 0, 0.0, 0.0], [0.1, 0, 0.0, 0.0], [0.0, 0, 0.25, 0.6], [0.0, 0, 0.2, 0.9]])
    compare(student, iou, 0.7, 0.3, "where the best IoU of an object is poor")
    compare(student, np.array([[0.5, 0.5], [0.2, 0.4], [0.9, 0.9]]), 0.7, 0.3, "where two objects have the same IoU")


@checked("matching: no objects, no anchors", points=1)
def match_none(student):
    compare(student, np.zeros((4, 0)), 0.7, 0.3, "without objects")
    compare(student, np.zeros((4, 2)), 0.7, 0.3, "where nothing overlaps")
    labels, objects = student.match(np.zeros((0, 2)))
    expect.shape("labels without anchors", labels, (0,))
    expect.shape("objects without anchors", objects, (0,))


# %% tags=["mutants"]
_ANCHORS = """
def make_anchors(height, width, stride, sizes, ratios):
    rows = []
    for i in range(height):
        for j in range(width):
            x, y = (j + 0.5) * stride, (i + 0.5) * stride
            for s in sizes:
                for r in ratios:
                    w, h = s / np.sqrt(r), s * np.sqrt(r)
                    rows.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return np.array(rows)
"""
_MATCH = """
def match(iou, high=0.7, low=0.3):
    count, objects = iou.shape
    if objects == 0 or count == 0:
        return np.zeros(count, int), np.zeros(count, int)
    best = iou.max(axis=1)
    labels = np.where(best >= high, 1, np.where(best < low, 0, -1))
    for g in range(objects):
        if iou[:, g].max() > 0:
            labels[iou[:, g] == iou[:, g].max()] = 1
    return labels, iou.argmax(axis=1)
"""
MUTANTS = {
    "the corner of the cell": _ANCHORS.replace("(j + 0.5) * stride, (i + 0.5) * stride", "j * stride, i * stride"),
    "half a pixel in place of half a cell": _ANCHORS.replace(
        "(j + 0.5) * stride, (i + 0.5) * stride", "j * stride + 0.5, i * stride + 0.5"
    ),
    "rows and columns exchanged": _ANCHORS.replace(
        "x, y = (j + 0.5) * stride, (i + 0.5) * stride", "y, x = (j + 0.5) * stride, (i + 0.5) * stride"
    ),
    "column by column": _ANCHORS.replace(
        "for i in range(height):\n        for j in range(width):", "for j in range(width):\n        for i in range(height):"
    ),
    "the ratio is width to height": _ANCHORS.replace("s / np.sqrt(r), s * np.sqrt(r)", "s * np.sqrt(r), s / np.sqrt(r)"),
    "no root: the area grows": _ANCHORS.replace("s / np.sqrt(r), s * np.sqrt(r)", "s, s * r"),
    "no root, and the area changes with the ratio": _ANCHORS.replace("s / np.sqrt(r), s * np.sqrt(r)", "s / r, s * r"),
    "the size as the area": _ANCHORS.replace("s / np.sqrt(r), s * np.sqrt(r)", "np.sqrt(s / r), np.sqrt(s * r)"),
    "the size as half the side": _ANCHORS.replace("w / 2", "w").replace("h / 2", "h"),
    "ratio by ratio": _ANCHORS.replace(
        "for s in sizes:\n                for r in ratios:", "for r in ratios:\n                for s in sizes:"
    ),
    "centre and size": _ANCHORS.replace("[x - w / 2, y - h / 2, x + w / 2, y + h / 2]", "[x, y, w, h]"),
    "clipped at 0": _ANCHORS.replace("np.array(rows)", "np.maximum(np.array(rows), 0)"),
    "the stride forgotten": _ANCHORS.replace("* stride", "* 1"),
    "the map's axes kept": _ANCHORS.replace("np.array(rows)", "np.array(rows).reshape(height, width, -1, 4)"),
    "y before x": _ANCHORS.replace(
        "[x - w / 2, y - h / 2, x + w / 2, y + h / 2]", "[y - h / 2, x - w / 2, y + h / 2, x + w / 2]"
    ),
    "rule 3 forgotten": _MATCH.replace("iou[:, g].max() > 0", "False"),
    "rule 3 also for an IoU of 0": _MATCH.replace("iou[:, g].max() > 0", "True"),
    "rule 3 for the first of equal anchors": _MATCH.replace(
        "labels[iou[:, g] == iou[:, g].max()] = 1", "labels[iou[:, g].argmax()] = 1"
    ),
    "rule 3 before rule 2": """
def match(iou, high=0.7, low=0.3):
    count, objects = iou.shape
    if objects == 0 or count == 0:
        return np.zeros(count, int), np.zeros(count, int)
    best, labels = iou.max(axis=1), np.full(count, -1)
    labels[(iou == iou.max(axis=0)).any(axis=1) & (best > 0)] = 1
    labels[best >= high] = 1
    labels[best < low] = 0
    return labels, iou.argmax(axis=1)
""",
    "rule 3 changes the object": _MATCH.replace("labels = np.where", "chosen = iou.argmax(axis=1)\n    labels = np.where")
    .replace("iou[:, g].max()] = 1", "iou[:, g].max()] = 1\n            chosen[iou[:, g] == iou[:, g].max()] = g")
    .replace("labels, iou.argmax(axis=1)", "labels, chosen"),
    "rule 3 only above the lower limit": _MATCH.replace("iou[:, g].max() > 0", "iou[:, g].max() >= low"),
    "nothing between the limits": _MATCH.replace("np.where(best < low, 0, -1)", "0"),
    "in between and background exchanged": _MATCH.replace("np.where(best < low, 0, -1)", "np.where(best < low, -1, 0)"),
    "more than the upper limit": _MATCH.replace("best >= high", "best > high"),
    "at most the lower limit": _MATCH.replace("best < low", "best <= low"),
    "the upper limit alone": _MATCH.replace("best < low", "best < high"),
    "background before it is known": _MATCH.replace("best < low", "iou.min(axis=1) < low"),
    "the last of equal objects": _MATCH.replace("iou.argmax(axis=1)", "objects - 1 - iou[:, ::-1].argmax(axis=1)"),
    "the anchor of each object": _MATCH.replace("labels, iou.argmax(axis=1)", "labels, iou.argmax(axis=0)"),
    "no object is an error": _MATCH.replace("if objects == 0 or count == 0:", "if count == 0:"),
    "no object is to be ignored": _MATCH.replace("return np.zeros(count, int), np", "return np.full(count, -1), np"),
    "object -1 for background": _MATCH.replace(
        "labels, iou.argmax(axis=1)", "labels, np.where(labels == 1, iou.argmax(axis=1), -1)"
    ),
    "labels as floats": _MATCH.replace("return labels,", "return labels.astype(float),"),
    "the limits fixed": _MATCH.replace("best >= high", "best >= 0.7").replace("best < low", "best < 0.3"),
}
RIGHT = {
    "loops": _ANCHORS + _MATCH,
    "repeat and tile": """
def make_anchors(height, width, stride, sizes, ratios):
    each = len(sizes) * len(ratios)
    s, r = np.repeat(np.asarray(sizes, float), len(ratios)), np.tile(np.asarray(ratios, float), len(sizes))
    w, h = np.tile(s * r**-0.5, height * width), np.tile(s * r**0.5, height * width)
    cells = np.repeat(np.arange(height * width), each)
    x, y = (cells % width + 0.5) * stride, (cells // width + 0.5) * stride
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2]).T

def match(iou, high=0.7, low=0.3):
    padded = np.pad(iou, ((0, 1), (0, 1)))  # an anchor and an object that overlap nothing
    best = padded[:-1].max(axis=1)
    rescued = (padded[:-1] == padded.max(axis=0)) & (padded[:-1] > 0)
    labels = (best >= high).astype(int) - ((best >= low) & (best < high))
    return np.where(rescued.any(axis=1), 1, labels), padded[:-1].argmax(axis=1)
""",
}
