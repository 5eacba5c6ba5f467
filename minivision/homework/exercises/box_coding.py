# ---
# title: Coding boxes
# topic: boxes
# level: 1
# points: 12
# ---

# %% [markdown]
# # Coding boxes
#
# A detector does not predict the four corners of a box. It starts from a fixed box, the *anchor*, and predicts four numbers
# that say how to move and stretch it. These *deltas* are small numbers near 0, whatever the size of the object, which is what
# a network predicts best.
#
# Boxes and anchors are rows $(x_1, y_1, x_2, y_2)$. First turn corners into centre and size; with the index $a$ for the
# anchor:
#
# $$x = \tfrac12 (x_1 + x_2),\quad y = \tfrac12 (y_1 + y_2),\quad w = x_2 - x_1,\quad h = y_2 - y_1.$$
#
# **Encoding**, from a box (that somebody drew) and its anchor to the deltas (that the network shall learn to say):
#
# $$t_x = \frac{x - x_a}{w_a},\qquad t_y = \frac{y - y_a}{h_a},\qquad t_w = \ln \frac{w}{w_a},\qquad t_h = \ln \frac{h}{h_a}.$$
#
# The shift is measured in sizes of the anchor, so far away means the same for large and small ones. The logarithm makes twice
# as wide and half as wide equally far from 0; and however wrong the network is, $e^{t_w}$ is never a negative width.
#
# **Decoding** solves this for the box:
#
# $$x = x_a + t_x w_a,\qquad y = y_a + t_y h_a,\qquad w = w_a\, e^{\min(t_w,\, T)},\qquad h = h_a\, e^{\min(t_h,\, T)},$$
#
# and then back to corners. The cut at $T = \ln(1000/16) \approx 4.135$ keeps one bad prediction early in training from
# becoming infinite: no box gets more than $62.5$ times as wide as its anchor.
#
# **Clipping** moves corners that lie outside the image, $0 \le x \le W$ and $0 \le y \le H$, onto its edge.
#
# **An example by hand**: the anchor $(0, 0, 4, 8)$ has its centre at $(2, 4)$, $w_a = 4$, $h_a = 8$. The box $(1, 2, 9, 6)$
# has its centre at $(5, 4)$, $w = 8$, $h = 4$. So
#
# $$t = \Bigl( \frac{5 - 2}{4},\ \frac{4 - 4}{8},\ \ln \frac84,\ \ln \frac48 \Bigr) = (0.75,\ 0,\ 0.693,\ -0.693),$$
#
# and decoding gives back $x = 2 + 0.75 \cdot 4 = 5$, $w = 4 \cdot 2 = 8$, and so on. In an image with $H = 5$ and $W = 7$ the
# box is clipped to $(1, 2, 7, 5)$.

# %%
import numpy as np

LARGEST = float(np.log(1000 / 16))  # T; a plain number, beside which float32 stays float32


# %% tags=["task"]
def encode(boxes, anchors):
    """boxes (N, 4), anchors (N, 4), both as corners -> deltas (N, 4): tx, ty, tw, th of each box to the anchor in its row."""
    # BEGIN SOLUTION
    center, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]  # (N, 2): x and y
    anchor_center, anchor_size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    shift = (center - anchor_center) / anchor_size
    return np.concatenate([shift, np.log(size / anchor_size)], axis=1)
    # END SOLUTION


# %% tags=["task"]
def decode(deltas, anchors):
    """deltas (N, 4), anchors (N, 4) as corners -> boxes (N, 4) as corners; tw and th count as LARGEST where they are above it."""
    # BEGIN SOLUTION
    anchor_center, anchor_size = (anchors[:, :2] + anchors[:, 2:]) / 2, anchors[:, 2:] - anchors[:, :2]
    center = anchor_center + deltas[:, :2] * anchor_size
    size = anchor_size * np.exp(np.minimum(deltas[:, 2:], LARGEST))
    return np.concatenate([center - size / 2, center + size / 2], axis=1)
    # END SOLUTION


# %% tags=["task"]
def clip_to_image(boxes, height, width):
    """boxes (N, 4) as corners -> boxes (N, 4) with x1, x2 within 0 .. width and y1, y2 within 0 .. height."""
    # BEGIN SOLUTION
    limits = np.array([width, height, width, height], boxes.dtype)
    return np.clip(boxes, 0, limits)
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Do x and y at once: `boxes[:, :2]` are the upper left corners and `boxes[:, 2:]` the lower right ones, so half their sum is
# the centre and their difference the size, each $(N, 2)$. `np.concatenate([a, b], axis=1)` makes $(N, 4)$ of two such arrays.

# %% [markdown] tags=["hint"]
# Decoding: the new centre is that of the anchor plus the shift *times the anchor's size*. The corners lie half the *new* size
# away from the new centre. Take the minimum with `LARGEST` before `np.exp`, not after.

# %% [markdown] tags=["hint"]
# `np.clip(boxes, 0, [width, height, width, height])`: NumPy compares column by column. x belongs to the width, y to the
# height.

# %% tags=["figure"]
# One anchor, and the boxes that deltas make of it: each delta by itself.
anchor = np.array([[20.0, 14.0, 40.0, 26.0]])
fig, axes = plt.subplots(1, 4, figsize=(10, 2.2), layout="constrained")
for column, (ax, name) in enumerate(zip(axes, ("t_x", "t_y", "t_w", "t_h"))):
    for value in (-0.6, -0.3, 0.3, 0.6):
        deltas = np.zeros((1, 4))
        deltas[0, column] = value
        x1, y1, x2, y2 = clip_to_image(decode(deltas, anchor), 40, 60)[0]
        color = plt.cm.coolwarm(value + 0.5)
        ax.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, lw=1.5))
        ax.plot([], [], color=color, label=f"{value}")
    x1, y1, x2, y2 = anchor[0]
    ax.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="black", lw=2))
    ax.set(title=f"${name}$", xlim=(0, 60), ylim=(40, 0), xticks=[], yticks=[])
axes[0].legend(fontsize=7, loc="lower left", ncols=2)

# %% tags=["checks"]
import math

from minivision.homework import checked, expect

ANCHOR, BOX = np.array([[0.0, 0.0, 4.0, 8.0]]), np.array([[1.0, 2.0, 9.0, 6.0]])
DELTAS = np.array([[0.75, 0.0, math.log(2), -math.log(2)]])
CUT = math.log(1000 / 16)


def drawn(count, seed):
    """Boxes of all places and shapes."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-20, 80, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(2, 50, (count, 2))], axis=1)


def decoded_one_by_one(deltas, anchors):
    boxes = []
    for (tx, ty, tw, th), (x1, y1, x2, y2) in zip(deltas, anchors):
        w, h = (x2 - x1) * math.exp(min(tw, CUT)), (y2 - y1) * math.exp(min(th, CUT))
        x, y = x1 + (0.5 + tx) * (x2 - x1), y1 + (0.5 + ty) * (y2 - y1)
        boxes.append([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
    return np.array(boxes)


@checked("encode: the example by hand, and a box that is its anchor", points=1)
def encode_example(student):
    expect.close("deltas", student.encode(BOX.copy(), ANCHOR.copy()), DELTAS)
    boxes = drawn(5, 0)
    expect.close("deltas of boxes that are their anchors", student.encode(boxes, boxes.copy()), np.zeros((5, 4)), atol=1e-12)


@checked("encode: the definition", points=3)
def encode_values(student):
    boxes, anchors = drawn(9, 1), drawn(9, 2)
    right = []
    for (x1, y1, x2, y2), (a1, b1, a2, b2) in zip(boxes, anchors):
        aw, ah = a2 - a1, b2 - b1
        x, y = (x1 + x2 - a1 - a2) / 2, (y1 + y2 - b1 - b2) / 2
        right.append([x / aw, y / ah, math.log(x2 - x1) - math.log(aw), math.log(y2 - y1) - math.log(ah)])
    expect.close("deltas", student.encode(boxes, anchors), np.array(right))


@checked("decode: the example by hand, and deltas of 0", points=1)
def decode_example(student):
    expect.close("boxes", student.decode(DELTAS.copy(), ANCHOR.copy()), BOX)
    anchors = drawn(5, 3)
    expect.close("boxes from deltas of 0", student.decode(np.zeros((5, 4)), anchors), anchors)


@checked("decode: the definition", points=2)
def decode_values(student):
    deltas, anchors = np.random.default_rng(4).normal(0, 1, (9, 4)), drawn(9, 5)
    expect.close("boxes", student.decode(deltas, anchors), decoded_one_by_one(deltas, anchors))


@checked("decode: the cut, of sizes only and from above only", points=1)
def decode_cut(student):
    deltas = np.array([[9.0, -7.0, 5.0, 0.5], [0.1, 6.0, 4.0, 1000.0], [0.0, 0.3, -8.0, -5.0]])
    anchors = drawn(3, 6)
    expect.close("boxes", student.decode(deltas, anchors), decoded_one_by_one(deltas, anchors))


@checked("round trip, there and back", points=2)
def round_trip(student):
    boxes, anchors = drawn(12, 7), drawn(12, 8)
    expect.close("decode(encode(boxes))", student.decode(student.encode(boxes, anchors), anchors), boxes)
    deltas = np.random.default_rng(9).uniform(-2, 2, (12, 4))
    expect.close("encode(decode(deltas))", student.encode(student.decode(deltas, anchors), anchors), deltas)


@checked("clip: each coordinate to its own limit", points=1)
def clip_values(student):
    expect.equal("the example clipped", student.clip_to_image(BOX.copy(), 5, 7), np.array([[1.0, 2.0, 7.0, 5.0]]))
    boxes = np.array([[-3.0, -2.0, 50.0, 90.0], [45.0, 5.0, 70.0, 20.0], [30.0, -9.0, 35.0, -1.0], [1.5, 2.5, 3.5, 4.5]])
    right = np.array([[0.0, 0.0, 40.0, 30.0], [40.0, 5.0, 40.0, 20.0], [30.0, 0.0, 35.0, 0.0], [1.5, 2.5, 3.5, 4.5]])
    expect.equal("boxes clipped to 30 x 40", student.clip_to_image(boxes, 30, 40), right)


@checked("no boxes, and float32", points=1)
def few(student):
    none = np.zeros((0, 4))
    results = {
        "encode": student.encode(none, none),
        "decode": student.decode(none, none),
        "clip": student.clip_to_image(none, 4, 5),
    }
    for name, result in results.items():
        expect.shape(f"the result of {name} for no boxes", result, (0, 4))
    boxes, anchors = drawn(6, 10).astype(np.float32), drawn(6, 11).astype(np.float32)
    deltas = student.encode(boxes, anchors)
    expect.that(expect.array("deltas", deltas).dtype == np.float32, f"deltas of float32 boxes are {deltas.dtype}, not float32")
    expect.close("decode(encode(boxes)) in float32", student.decode(deltas, anchors), boxes)


# %% tags=["mutants"]
_ENCODE = """
def encode(boxes, anchors):
    aw, ah = anchors[:, 2] - anchors[:, 0], anchors[:, 3] - anchors[:, 1]
    ax, ay = anchors[:, 0] + aw / 2, anchors[:, 1] + ah / 2
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    x, y = boxes[:, 0] + w / 2, boxes[:, 1] + h / 2
    return np.stack([(x - ax) / aw, (y - ay) / ah, np.log(w / aw), np.log(h / ah)], axis=1)
"""
_DECODE = """
def decode(deltas, anchors):
    aw, ah = anchors[:, 2] - anchors[:, 0], anchors[:, 3] - anchors[:, 1]
    ax, ay = anchors[:, 0] + aw / 2, anchors[:, 1] + ah / 2
    tx, ty, tw, th = deltas.T
    tw, th = np.minimum(tw, LARGEST), np.minimum(th, LARGEST)
    x, y, w, h = ax + tx * aw, ay + ty * ah, aw * np.exp(tw), ah * np.exp(th)
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)
"""
MUTANTS = {
    "corners in place of centres": _ENCODE.replace("+ aw / 2", "")
    .replace("+ w / 2", "")
    .replace("+ ah / 2", "")
    .replace("+ h / 2", ""),
    "corners in place of centres, both ways": _ENCODE.replace(
        "boxes[:, 0] + w / 2, boxes[:, 1] + h / 2", "boxes[:, 0], boxes[:, 1]"
    ).replace("anchors[:, 0] + aw / 2, anchors[:, 1] + ah / 2", "anchors[:, 0], anchors[:, 1]")
    + _DECODE.replace("anchors[:, 0] + aw / 2, anchors[:, 1] + ah / 2", "anchors[:, 0], anchors[:, 1]").replace(
        "[x - w / 2, y - h / 2, x + w / 2, y + h / 2]", "[x, y, x + w, y + h]"
    ),
    "the shift by the size of the box": _ENCODE.replace("(x - ax) / aw, (y - ay) / ah", "(x - ax) / w, (y - ay) / h"),
    "the shift in pixels, both ways": _ENCODE.replace("(x - ax) / aw, (y - ay) / ah", "x - ax, y - ay")
    + _DECODE.replace("tx * aw", "tx").replace("ty * ah", "ty"),
    "no logarithm": _ENCODE.replace("np.log(w / aw), np.log(h / ah)", "w / aw, h / ah"),
    "no logarithm and no exponential": _ENCODE.replace("np.log(w / aw), np.log(h / ah)", "w / aw, h / ah")
    + _DECODE.replace("np.exp(tw)", "tw").replace("np.exp(th)", "th"),
    "the logarithm to base 2, both ways": _ENCODE.replace("np.log(", "np.log2(") + _DECODE.replace("np.exp(", "np.exp2("),
    "box and anchor exchanged": _ENCODE.replace("encode(boxes, anchors)", "encode(anchors, boxes)"),
    "the sign of the shift": _ENCODE.replace("(x - ax)", "(ax - x)").replace("(y - ay)", "(ay - y)"),
    "x over the height": _ENCODE.replace("(x - ax) / aw, (y - ay) / ah", "(x - ax) / ah, (y - ay) / aw"),
    "sizes with + 1, both ways": _ENCODE.replace("anchors[:, 0], anch", "anchors[:, 0] + 1, anch").replace(
        "boxes[:, 0], boxes[:, 3]", "boxes[:, 0] + 1, boxes[:, 3]"
    )
    + _DECODE.replace("anchors[:, 0], anch", "anchors[:, 0] + 1, anch"),
    "the order of the deltas": _ENCODE.replace(
        "[(x - ax) / aw, (y - ay) / ah, np.log(w / aw), np.log(h / ah)]",
        "[(y - ay) / ah, (x - ax) / aw, np.log(h / ah), np.log(w / aw)]",
    ),
    "the deltas as rows": _ENCODE.replace("axis=1", "axis=0"),
    "the variances of SSD": _ENCODE.replace("(x - ax) / aw, (y - ay) / ah", "10 * (x - ax) / aw, 10 * (y - ay) / ah"),
    "centre and size returned": _DECODE.replace("[x - w / 2, y - h / 2, x + w / 2, y + h / 2]", "[x, y, w, h]"),
    "the size not halved": _DECODE.replace("[x - w / 2, y - h / 2, x + w / 2, y + h / 2]", "[x - w, y - h, x + w, y + h]"),
    "half of the anchor's size": _DECODE.replace(
        "[x - w / 2, y - h / 2, x + w / 2, y + h / 2]", "[x - aw / 2, y - ah / 2, x + aw / 2, y + ah / 2]"
    ),
    "the shift in new sizes": _DECODE.replace(
        "ax + tx * aw, ay + ty * ah", "ax + tx * aw * np.exp(tw), ay + ty * ah * np.exp(th)"
    ),
    "the shift from the corner": _DECODE.replace(
        "ax + tx * aw, ay + ty * ah", "anchors[:, 0] + tx * aw, anchors[:, 1] + ty * ah"
    ),
    "no cut": _DECODE.replace("tw, th = np.minimum(tw, LARGEST), np.minimum(th, LARGEST)", ""),
    "the cut of the width alone": _DECODE.replace("np.minimum(th, LARGEST)", "th"),
    "the cut of all four": _DECODE.replace("deltas.T", "np.minimum(deltas, LARGEST).T"),
    "the cut on both sides": _DECODE.replace(
        "np.minimum(tw, LARGEST), np.minimum(th, LARGEST)", "np.clip((tw, th), -LARGEST, LARGEST)"
    ),
    "the cut after the exponential": _DECODE.replace("tw, th = np.minimum(tw, LARGEST), np.minimum(th, LARGEST)", "")
    .replace("np.exp(tw)", "np.minimum(np.exp(tw), LARGEST)")
    .replace("np.exp(th)", "np.minimum(np.exp(th), LARGEST)"),
    "the deltas are cut in place": """
def decode(deltas, anchors):
    deltas[:, 2:] = np.minimum(deltas[:, 2:], LARGEST)
    size = anchors[:, 2:] - anchors[:, :2]
    center = anchors[:, :2] + size * (0.5 + deltas[:, :2])
    size = size * np.exp(deltas[:, 2:])
    return np.concatenate([center - size / 2, center + size / 2], axis=1)
""",
    "x within the height": """
def clip_to_image(boxes, height, width):
    return np.clip(boxes, 0, [height, width, height, width])
""",
    "not below 0 only": """
def clip_to_image(boxes, height, width):
    return np.maximum(boxes, 0)
""",
    "up to the last pixel": """
def clip_to_image(boxes, height, width):
    return np.clip(boxes, 0, [width - 1, height - 1, width - 1, height - 1])
""",
    "boxes outside are left out": """
def clip_to_image(boxes, height, width):
    boxes = np.clip(boxes, 0, [width, height, width, height])
    return boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
""",
    "the lower right corners alone": """
def clip_to_image(boxes, height, width):
    boxes = boxes.copy()
    boxes[:, :2] = np.maximum(boxes[:, :2], 0)
    boxes[:, 2:] = np.minimum(boxes[:, 2:], [width, height])
    return boxes
""",
}
RIGHT = {
    "column by column": _ENCODE
    + _DECODE
    + """
def clip_to_image(boxes, height, width):
    x1, y1, x2, y2 = boxes.T
    inside = [np.minimum(np.maximum(v, 0), limit) for v, limit in ((x1, width), (y1, height), (x2, width), (y2, height))]
    return np.stack(inside, axis=1)
""",
    "row by row": """
def encode(boxes, anchors):
    deltas = np.zeros_like(boxes)
    for n in range(len(boxes)):
        for axis in (0, 1):
            low, high = boxes[n, axis], boxes[n, axis + 2]
            anchor_low, anchor_high = anchors[n, axis], anchors[n, axis + 2]
            deltas[n, axis] = ((low + high) - (anchor_low + anchor_high)) / (2 * (anchor_high - anchor_low))
            deltas[n, axis + 2] = np.log((high - low) / (anchor_high - anchor_low))
    return deltas

def decode(deltas, anchors):
    boxes = np.zeros_like(deltas)
    for n in range(len(deltas)):
        for axis in (0, 1):
            length = anchors[n, axis + 2] - anchors[n, axis]
            middle = anchors[n, axis] + length / 2 + deltas[n, axis] * length
            half = length * np.exp(min(deltas[n, axis + 2], LARGEST)) / 2
            boxes[n, axis], boxes[n, axis + 2] = middle - half, middle + half
    return boxes
""",
}
