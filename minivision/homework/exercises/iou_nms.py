# ---
# title: IoU and non-maximum suppression
# topic: boxes
# level: 1
# points: 14
# ---

# %% [markdown]
# # IoU and non-maximum suppression
#
# A detector proposes far too many boxes: around one dog there are twenty, all a little different, each with a score. To keep
# one of them we must say when two boxes mean the same, and then which one stays.
#
# **Boxes** are rows $(x_1, y_1, x_2, y_2)$: the left, upper, right and lower edge, in continuous coordinates. The width is
# $x_2 - x_1$ (without $+1$), the area is width times height.
#
# **Intersection over union.** The intersection of boxes $a$ and $b$ is again a box, or empty. It begins where the later one
# begins and ends where the earlier one ends:
#
# $$w = \max\bigl(0,\ \min(x_2^a, x_2^b) - \max(x_1^a, x_1^b)\bigr),\qquad h \text{ likewise},\qquad
# \mathrm{IoU}(a, b) = \frac{w h}{\mathrm{area}(a) + \mathrm{area}(b) - w h}.$$
#
# It is 1 for equal boxes and 0 for boxes that do not overlap. Two boxes without area have an IoU of $0/0$; take $0$.
#
# **Non-maximum suppression** (NMS) goes through the boxes from the highest score to the lowest. A box is kept, unless its IoU
# with a box that was *kept* before is larger than the threshold. (A box that was suppressed suppresses nobody.) Of two equal
# scores the one with the smaller index comes first.
#
# **An example by hand**, three boxes of $4 \times 4$ in a row:
#
# | box | $(x_1, y_1, x_2, y_2)$ | score |
# |---|---|---|
# | $a$, index 0 | $(0, 0, 4, 4)$ | $0.7$ |
# | $b$, index 1 | $(2, 0, 6, 4)$ | $0.8$ |
# | $c$, index 2 | $(4, 0, 8, 4)$ | $0.6$ |
#
# $a$ and $b$ share $2 \times 4 = 8$, their union is $16 + 16 - 8 = 24$, so $\mathrm{IoU}(a, b) = 8/24 = 1/3$, and so is
# $\mathrm{IoU}(b, c)$. $a$ and $c$ touch, and touching is not overlapping: $\mathrm{IoU}(a, c) = 0$. With the threshold $0.3$
# NMS takes $b$ first, which suppresses $a$ and $c$: the result is $[1]$. With the threshold $0.5$ all are kept: $[1, 0, 2]$,
# by score.

# %%
import numpy as np


# %% tags=["task"]
def box_area(boxes):
    """boxes (N, 4) as x1, y1, x2, y2 -> their areas (N,)."""
    # BEGIN SOLUTION
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    # END SOLUTION


# %% tags=["task"]
def box_iou(boxes1, boxes2):
    """boxes1 (N, 4), boxes2 (M, 4) -> (N, M): the IoU of every pair; 0 where both boxes have no area. N and M may be 0."""
    # BEGIN SOLUTION
    a, b = boxes1[:, None, :], boxes2[None, :, :]  # (N, 1, 4) and (1, M, 4)
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])  # (N, M)
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    intersection = np.maximum(width, 0) * np.maximum(height, 0)
    union = box_area(boxes1)[:, None] + box_area(boxes2)[None, :] - intersection
    return intersection / np.where(union > 0, union, 1)
    # END SOLUTION


# %% tags=["task"]
def nms(boxes, scores, threshold):
    """boxes (N, 4), scores (N,), threshold -> indices (K,), integers: of the boxes that are kept, the highest score first."""
    # BEGIN SOLUTION
    order = np.argsort(-scores, kind="stable")
    iou = box_iou(boxes, boxes)
    kept = []
    for i in order:
        if all(iou[i, j] <= threshold for j in kept):
            kept.append(i)
    return np.array(kept, dtype=int)
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Draw two boxes along one axis first, as two intervals: where does the overlap begin, and where does it end? If it ends
# before it begins, the difference is negative, and there is no overlap. Both differences can be negative, with a positive
# product; so take the maximum with 0 of each, before you multiply.

# %% [markdown] tags=["hint"]
# For all pairs at once, give `boxes1` the shape $(N, 1, 4)$ and `boxes2` the shape $(1, M, 4)$: `np.minimum` of the two has
# $(N, M, \ldots)$. Or write two loops; that is right too.

# %% [markdown] tags=["hint"]
# NMS: `order = np.argsort(-scores, kind="stable")`; a list `kept`; for each `i` of `order`, look at its IoU with those in
# `kept` alone. At the end, `np.array(kept, dtype=int)`: without the dtype, an empty list becomes floats.

# %% tags=["figure"]
# Thirty proposals around three objects, and what NMS leaves of them.
rng = np.random.default_rng(0)
objects = np.array([[8.0, 10.0, 38.0, 40.0], [30.0, 20.0, 62.0, 50.0], [70.0, 8.0, 88.0, 52.0]])
boxes = objects[np.arange(30) % 3] + rng.normal(0, 2.5, (30, 4))
scores = box_iou(boxes, objects).max(axis=1) ** 2
panels = {"all": np.arange(30)} | {f"nms {t}": nms(boxes, scores, t) for t in (0.7, 0.4, 0.05)}
fig, axes = plt.subplots(1, 4, figsize=(11, 2.2), layout="constrained")
for ax, (title, kept) in zip(axes, panels.items()):
    for i in kept:
        x1, y1, x2, y2 = boxes[i]
        ax.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=plt.cm.viridis(scores[i]), lw=1.5))
    ax.plot([], [])
    ax.set(title=f"{title}: {len(kept)} boxes", xlim=(0, 95), ylim=(60, 0), xticks=[], yticks=[])

# %% tags=["checks"]
from minivision.homework import checked, expect

ROW = np.array([[0.0, 0.0, 4.0, 4.0], [2.0, 0.0, 6.0, 4.0], [4.0, 0.0, 8.0, 4.0]])


def on_a_grid(count, seed, size=9):
    """Boxes with whole numbers as corners, so that areas can be counted in unit squares."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, size - 3, (count, 2))
    return np.concatenate([corners, corners + rng.integers(1, 6, (count, 2))], axis=1).astype(float)


def unit_squares(box):
    x1, y1, x2, y2 = (int(v) for v in box)
    return {(x, y) for x in range(x1, x2) for y in range(y1, y2)}


def iou_by_counting(boxes1, boxes2):
    out = np.zeros((len(boxes1), len(boxes2)))
    for i, j in np.ndindex(out.shape):
        a, b = unit_squares(boxes1[i]), unit_squares(boxes2[j])
        out[i, j] = len(a & b) / len(a | b) if a | b else 0.0
    return out


def nms_by_definition(boxes, scores, threshold):
    iou, kept = iou_by_counting(boxes, boxes), []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if not any(iou[i, j] > threshold for j in kept):
            kept.append(i)
    return np.array(kept, int)


@checked("area and IoU: the example by hand", points=1)
def iou_example(student):
    expect.close("box_area", student.box_area(ROW.copy()), np.array([16.0, 16.0, 16.0]))
    right = np.array([[1, 1 / 3, 0], [1 / 3, 1, 1 / 3], [0, 1 / 3, 1]])
    expect.close("box_iou of a, b, c with themselves", student.box_iou(ROW.copy(), ROW.copy()), right)


@checked("area and IoU: the definition", points=4)
def iou_values(student):
    boxes1, boxes2 = on_a_grid(7, 0), on_a_grid(5, 1)
    areas = np.array([float(len(unit_squares(box))) for box in boxes1])
    expect.close("box_area", student.box_area(boxes1), areas)
    expect.close("box_iou of 7 and 5 boxes", student.box_iou(boxes1, boxes2), iou_by_counting(boxes1, boxes2))
    # the IoU does not change when everything is moved and enlarged
    expect.close(
        "box_iou of shifted boxes of fractions",
        student.box_iou(boxes1 / 8 - 0.7, boxes2 / 8 - 0.7),
        iou_by_counting(boxes1, boxes2),
    )


@checked("IoU: one inside the other, far apart, along both axes", points=1)
def iou_places(student):
    boxes1 = np.array([[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 2.0, 2.0]])
    boxes2 = np.array([[2.0, 3.0, 6.0, 5.0], [5.0, 6.0, 7.0, 9.0], [0.0, 5.0, 2.0, 7.0]])
    expect.close("box_iou", student.box_iou(boxes1, boxes2), iou_by_counting(boxes1, boxes2))


@checked("IoU: no boxes, and boxes without area", points=2)
def iou_degenerate(student):
    none = np.zeros((0, 4))
    for n, m in ((0, 3), (3, 0), (0, 0)):
        expect.equal(
            f"box_iou of {n} and {m} boxes",
            student.box_iou(none if n == 0 else ROW.copy(), none if m == 0 else ROW.copy()),
            np.zeros((n, m)),
        )
    flat = np.array([[1.0, 1.0, 1.0, 1.0], [2.0, 0.0, 2.0, 4.0], [0.0, 0.0, 4.0, 4.0]])
    right = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    expect.equal("box_iou with boxes without area", student.box_iou(flat, flat), right)


@checked("NMS: the example by hand", points=1)
def nms_example(student):
    scores = np.array([0.7, 0.8, 0.6])
    for threshold, right in ((0.3, [1]), (0.5, [1, 0, 2])):
        expect.equal(f"nms with threshold {threshold}", student.nms(ROW.copy(), scores, threshold), np.array(right))


@checked("NMS: the definition", points=3)
def nms_values(student):
    for seed, count, threshold in ((2, 25, 0.3), (3, 40, 0.5), (4, 12, 0.05), (5, 30, 0.0)):
        boxes = on_a_grid(count, seed)
        scores = np.random.default_rng(seed).permutation(count) / count
        right = nms_by_definition(boxes, scores, threshold)
        expect.equal(f"nms of {count} boxes with threshold {threshold}", student.nms(boxes, scores, threshold), right)


@checked("NMS: a suppressed box suppresses nobody, an IoU that equals the threshold, equal scores", points=1)
def nms_rules(student):
    expect.equal("nms of a chain", student.nms(ROW.copy(), np.array([0.9, 0.8, 0.7]), 0.3), np.array([0, 2]))
    halves = np.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 2.0]])  # their IoU is 1/2
    expect.equal("nms where an IoU equals the threshold", student.nms(halves, np.array([0.5, 0.9]), 0.5), np.array([1, 0]))
    same = ROW[[0, 0, 0, 2]]
    expect.equal("nms of equal boxes with equal scores", student.nms(same, np.array([0.4, 0.6, 0.6, 0.6]), 0.5), np.array([1, 3]))


@checked("NMS: no boxes, one box", points=1)
def nms_few(student):
    expect.equal("nms of no boxes", student.nms(np.zeros((0, 4)), np.zeros(0), 0.5), np.zeros(0, int))
    expect.equal("nms of one box", student.nms(ROW[:1], np.array([0.1]), 0.5), np.array([0]))


# %% tags=["mutants"]
_IOU = """
def box_iou(boxes1, boxes2):
    a, b = boxes1[:, None], boxes2[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    size = np.clip(high - low, 0, None)
    intersection = size[..., 0] * size[..., 1]
    union = box_area(boxes1)[:, None] + box_area(boxes2) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
"""
_NMS = """
def nms(boxes, scores, threshold):
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(first)
        order = order[box_iou(boxes[[first]], boxes[order])[0] <= threshold]
    return np.array(kept, dtype=int)
"""
MUTANTS = {
    "pixels counted with + 1": """
def box_area(boxes):
    return (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
""",
    "boxes as x, y, width, height": """
def box_area(boxes):
    return boxes[:, 2] * boxes[:, 3]
""",
    "width times width": """
def box_area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) ** 2
""",
    "negative overlaps are not cut": _IOU.replace("np.clip(high - low, 0, None)", "high - low"),
    "the product is cut, not each side": _IOU.replace("np.clip(high - low, 0, None)", "high - low").replace(
        "size[..., 0] * size[..., 1]", "np.maximum(size[..., 0] * size[..., 1], 0)"
    ),
    "the absolute value of the overlap": _IOU.replace("np.clip(high - low, 0, None)", "np.abs(high - low)"),
    "the hull in place of the intersection": _IOU.replace("np.maximum(a", "np.minimum( a").replace(
        "np.minimum(a", "np.maximum(a"
    ),
    "the intersection is counted twice": _IOU.replace(" - intersection\n", "\n"),
    "over the smaller area": _IOU.replace(
        "box_area(boxes1)[:, None] + box_area(boxes2) - intersection", "np.minimum(box_area(boxes1)[:, None], box_area(boxes2))"
    ),
    "over the area of the hull": _IOU.replace(
        "box_area(boxes1)[:, None] + box_area(boxes2) - intersection",
        "np.prod(np.maximum(a[..., 2:], b[..., 2:]) - np.minimum(a[..., :2], b[..., :2]), axis=-1)",
    ),
    "the intersection with + 1": _IOU.replace("np.clip(high - low, 0, None)", "np.clip(high - low + 1, 0, None)"),
    "row by row in place of all pairs": """
def box_iou(boxes1, boxes2):
    low, high = np.maximum(boxes1[:, :2], boxes2[:, :2]), np.minimum(boxes1[:, 2:], boxes2[:, 2:])
    size = np.clip(high - low, 0, None)
    intersection = size[:, 0] * size[:, 1]
    return intersection / (box_area(boxes1) + box_area(boxes2) - intersection)
""",
    "transposed": _IOU.replace("where=union > 0)", "where=union > 0).T"),
    "0 / 0 is not a number": _IOU.replace(
        "np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)", "intersection / union"
    ),
    "fails without boxes": _IOU.replace("    a, b", "    scale = max(boxes1.max(), boxes2.max())\n    a, b"),
    "the lowest score first": _NMS.replace("np.argsort(-scores", "np.argsort(scores"),
    "in the order of the input": _NMS.replace('np.argsort(-scores, kind="stable")', "np.arange(len(scores))"),
    "the last of equal scores first": _NMS.replace(
        'np.argsort(-scores, kind="stable")', 'np.argsort(scores, kind="stable")[::-1]'
    ),
    "at least the threshold": _NMS.replace("<= threshold", "< threshold"),
    "keeps those that overlap": _NMS.replace("<= threshold", "> threshold"),
    "the boxes, not their indices": _NMS.replace("return np.array(kept, dtype=int)", "return boxes[kept]"),
    "places in the sorted order": """
def nms(boxes, scores, threshold):
    boxes = boxes[np.argsort(-scores, kind="stable")]
    iou, kept = box_iou(boxes, boxes), []
    for i in range(len(boxes)):
        if not kept or iou[i, kept].max() <= threshold:
            kept.append(i)
    return np.array(kept, dtype=int)
""",
    "a suppressed box still suppresses": """
def nms(boxes, scores, threshold):
    order = np.argsort(-scores, kind="stable")
    iou = box_iou(boxes, boxes)[order][:, order]
    better = np.tril(iou, -1)
    return order[(better <= threshold).all(axis=1)]
""",
    "compares with the last kept box alone": """
def nms(boxes, scores, threshold):
    iou, kept = box_iou(boxes, boxes), []
    for i in np.argsort(-scores, kind="stable"):
        if not kept or iou[i, kept[-1]] <= threshold:
            kept.append(i)
    return np.array(kept, dtype=int)
""",
    "sorted by index at the end": _NMS.replace("np.array(kept, dtype=int)", "np.sort(np.array(kept, dtype=int))"),
    "a list": _NMS.replace("np.array(kept, dtype=int)", "kept"),
    "no boxes give floats": _NMS.replace("np.array(kept, dtype=int)", "np.array(kept)"),
    "the best box alone": _NMS.replace("while len(order):", "if len(order):"),
    "scores are changed": """
def nms(boxes, scores, threshold):
    iou, kept = box_iou(boxes, boxes), []
    while (scores > -np.inf).any():
        i = int(scores.argmax())
        kept.append(i)
        scores[i] = -np.inf
        scores[iou[i] > threshold] = -np.inf
    return np.array(kept, dtype=int)
""",
}
RIGHT = {
    "loops over the pairs": """
def box_area(boxes):
    return np.array([(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes])

def box_iou(boxes1, boxes2):
    out = np.zeros((len(boxes1), len(boxes2)))
    for i, (ax1, ay1, ax2, ay2) in enumerate(boxes1):
        for j, (bx1, by1, bx2, by2) in enumerate(boxes2):
            w = max(0.0, min(ax2, bx2) - max(ax1, bx1))
            h = max(0.0, min(ay2, by2) - max(ay1, by1))
            union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - w * h
            if union > 0:
                out[i, j] = w * h / union
    return out
""",
    "the remaining boxes shrink": _IOU + _NMS,
    "a mask of those alive": """
def nms(boxes, scores, threshold):
    iou = box_iou(boxes, boxes)
    alive = np.ones(len(boxes), bool)
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if alive[i]:
            kept.append(i)
            alive &= iou[i] <= threshold
            alive[i] = False
    return np.array(kept, dtype=np.int64)
""",
}
