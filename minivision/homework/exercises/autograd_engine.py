# ---
# title: A tiny autograd engine
# topic: autograd
# level: 3
# points: 20
# ---

# %% [markdown]
# # A tiny autograd engine
#
# So far you wrote one backward per layer, and somebody had to call them in the right order. An *autograd engine* does that by
# itself: while the forward pass computes, it takes notes of what was made from what, and walks the notes backwards. Behind
# every library, this one and PyTorch too, there is what you now write in some fifty lines.
#
# **The notes.** A `Value` (given below) holds an array, `data`; a gradient, `grad`, which begins as zeros; the values it was
# made from, its `parents`, in the order of the arguments; and `pull`, a function: given
# $g = \partial L/\partial\,\text{data}$, it returns a tuple with the gradient for each parent. An input or a weight has no
# parents; it is a *leaf*.
#
# **Operations** make a new `Value`. With $g$ of the shape of the result:
#
# | function | result | gradients for the parents |
# |---|---|---|
# | `add(a, b)` | $a + b$ | $g,\ g$ |
# | `mul(a, b)` | $a \cdot b$, entry by entry | $g\, b,\ g\, a$ |
# | `matmul(a, b)` | $A B$, matrices $(n, m)$, $(m, k)$ | $g\, B^\top,\ A^\top g$ |
# | `relu(a)` | $\max(a, 0)$ | $g \cdot [a > 0]$ |
# | `total(a)` | the sum of all entries, shape `()` | $g$ in every entry |
#
# **Broadcasting.** `add` and `mul` follow NumPy: a bias $(3,)$ plus a matrix $(2, 3)$ is used in both rows. What was used
# several times gets the *sum* of the gradients. So $g$, of shape $(2, 3)$, must be summed down to the shape $(3,)$ of the
# bias: `sum_to(g, shape)`. Two rules do it: sum away the axes that the shape does not have (they are in front), and sum the
# axes where the shape has a 1, keeping the 1.
#
# **The order.** A value may be used by several others. Its gradient is complete only when all of those have sent their share;
# only then may it be passed on. So go through the values in reverse *topological order*: a list in which each value stands
# after all of its parents, once each.
#
# **Backward.** Begin with the gradient of the root (1 for a loss). Go through the list from the back; pass the gradient of
# each value to its `pull`, and *add* what comes out to the gradients of the parents. At the end, each leaf *adds* its
# gradient to its `grad`: a second `backward` adds to the first, as in PyTorch.
#
# **An example by hand**: $a = 2$, $b = -3$, $p = a b = -6$, $z = p + a = -4$. The order is $a, b, p, z$. Backward: $z$ gets 1
# and sends 1 to $p$ and 1 to $a$. $p$ sends $1 \cdot b = -3$ to $a$ and $1 \cdot a = 2$ to $b$. Together $a$ has
# $1 - 3 = -2$, and $b$ has $2$. (Indeed $z = a(b + 1)$, so $\partial z/\partial a = b + 1$.) Calling `backward(z)` once more
# makes it $-4$ and $4$.

# %%
import numpy as np


class Value:
    """An array that remembers what it was made from."""

    def __init__(self, data, parents=(), pull=None):
        self.data = np.asarray(data, dtype=float)
        self.grad = np.zeros_like(self.data)
        self.parents = parents  # tuple of Values
        self.pull = pull  # g, of the shape of data -> tuple of the gradients for the parents


# %% tags=["task"]
def sum_to(g, shape):
    """g, an array whose shape comes from broadcasting `shape` -> g summed over what was repeated, of this shape."""
    # BEGIN SOLUTION
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    repeated = tuple(axis for axis, n in enumerate(shape) if n == 1)
    return g.sum(axis=repeated, keepdims=True)
    # END SOLUTION


# %% tags=["task"]
def add(a, b):
    """Values a, b, whose shapes broadcast -> Value a + b."""

    # BEGIN SOLUTION
    def pull(g):
        return sum_to(g, a.data.shape), sum_to(g, b.data.shape)

    return Value(a.data + b.data, (a, b), pull)
    # END SOLUTION


# %% tags=["task"]
def mul(a, b):
    """Values a, b, whose shapes broadcast -> Value a * b, entry by entry."""

    # BEGIN SOLUTION
    def pull(g):
        return sum_to(g * b.data, a.data.shape), sum_to(g * a.data, b.data.shape)

    return Value(a.data * b.data, (a, b), pull)
    # END SOLUTION


# %% tags=["task"]
def matmul(a, b):
    """Values a (n, m), b (m, k) -> Value a @ b (n, k)."""

    # BEGIN SOLUTION
    def pull(g):
        return g @ b.data.T, a.data.T @ g  # (n, k) (k, m) and (m, n) (n, k)

    return Value(a.data @ b.data, (a, b), pull)
    # END SOLUTION


# %% tags=["task"]
def relu(a):
    """Value a -> Value max(a, 0)."""

    # BEGIN SOLUTION
    def pull(g):
        return (g * (a.data > 0),)

    return Value(np.maximum(a.data, 0), (a,), pull)
    # END SOLUTION


# %% tags=["task"]
def total(a):
    """Value a -> Value of shape (): the sum of all entries."""

    # BEGIN SOLUTION
    def pull(g):
        return (np.ones(a.data.shape) * g,)

    return Value(a.data.sum(), (a,), pull)
    # END SOLUTION


# %% tags=["task"]
def topological_order(root):
    """Value root -> list of all Values it was made from, and itself: each once, and after all of its parents."""
    # BEGIN SOLUTION
    order, seen = [], set()

    def visit(value):
        if value not in seen:
            seen.add(value)
            for parent in value.parents:
                visit(parent)
            order.append(value)

    visit(root)
    return order
    # END SOLUTION


# %% tags=["task"]
def backward(root, gradient=1.0):
    """Add to the `grad` of each leaf the derivative of sum(gradient * root); gradient has the shape of root.data."""
    # BEGIN SOLUTION
    order = topological_order(root)
    gradients = {value: np.zeros_like(value.data) for value in order}  # of this call
    gradients[root] = gradients[root] + gradient
    for value in reversed(order):
        if value.parents:
            for parent, g in zip(value.parents, value.pull(gradients[value])):
                gradients[parent] = gradients[parent] + g
        else:
            value.grad = value.grad + gradients[value]
    # END SOLUTION


# %% [markdown] tags=["hint"]
# Each operation has the same three lines: define `pull(g)`, then `return Value(result, (a, b), pull)`. `pull` finds `a` and
# `b` by itself, because it is defined inside. It returns a tuple, for one parent too: `return (g * mask,)`, with the comma.

# %% [markdown] tags=["hint"]
# The order: `visit(value)` does nothing if the value was seen before; otherwise it marks it as seen, visits the parents, and
# *then* appends the value to the list. A value stands in the list after everything it needs.

# %% [markdown] tags=["hint"]
# `sum_to`: with `g.ndim - len(shape)` extra axes in front, `g.sum(axis=tuple(range(extra)))`. Then for the axes where `shape`
# has a 1, `g.sum(axis=..., keepdims=True)`. `g.sum(axis=())` sums nothing, so there is no special case.

# %% [markdown] tags=["hint"]
# `backward`: keep the gradients of this call in a dictionary (a `Value` may be a key), zeros for each value of the order. Go
# through `reversed(order)`; a value with parents adds to theirs, a value without adds to its own `.grad`. If you collect in
# `.grad` of the values in between, a second call finds what the first left there.

# %% tags=["figure"]
# A network of two layers that learns two moons, trained by the engine: scores and boundary, and the loss.
rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, 160)
label = np.arange(160) % 2
points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
points[1::2] = [1, 0.4] - points[1::2]
points = points + 0.12 * rng.standard_normal(points.shape)
sign = Value(np.where(label, 1.0, -1.0)[:, None])
weights = [
    Value(rng.standard_normal((2, 16))),
    Value(np.zeros(16)),
    Value(0.3 * rng.standard_normal((16, 1))),
    Value(np.zeros(1)),
]


def network(x):
    hidden = relu(add(matmul(x, weights[0]), weights[1]))
    return add(matmul(hidden, weights[2]), weights[3])


losses = []
for _ in range(300):
    margin = add(Value(1.0), mul(Value(-1.0), mul(sign, network(Value(points)))))  # 1 - sign * score
    loss = mul(Value(1 / 160), total(relu(margin)))
    losses.append(float(loss.data))
    backward(loss)
    for w in weights:
        w.data, w.grad = w.data - 0.3 * w.grad, np.zeros_like(w.grad)
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
gx, gy = np.meshgrid(np.linspace(-1.6, 2.6, 80), np.linspace(-1.1, 1.6, 60))
scores = network(Value(np.stack([gx.ravel(), gy.ravel()], axis=1))).data.reshape(gx.shape)
left.contourf(gx, gy, scores, levels=[-99, -1, 0, 1, 99], cmap="coolwarm", alpha=0.6)
left.scatter(*points.T, c=label, cmap="coolwarm", s=12, edgecolor="black", linewidth=0.4)
left.set(title="what the network says", xticks=[], yticks=[])
right.plot(losses)
right.set(title="loss", xlabel="step", ylim=(0, None))

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect


def compared(student, name, build, *arrays):
    """The gradients that the engine finds for what `build` makes of Values, compared with differences."""

    def forward(*arrays):
        leaves = [student.Value(x) for x in arrays]
        root = build(*leaves)
        return root.data.copy(), (leaves, root)

    def back(dout, cache):
        leaves, root = cache
        for leaf in leaves:
            leaf.grad = np.zeros_like(leaf.data)
        student.backward(root, dout)
        return tuple(np.array(leaf.grad) for leaf in leaves)

    back.__name__ = f"backward({name})"
    return check.backward(forward, back, *arrays, names="abcde"[: len(arrays)])


def gradients(student, build, *arrays):
    leaves = [student.Value(x) for x in arrays]
    student.backward(build(*leaves))
    return [leaf.grad for leaf in leaves]


@checked("sum_to: what broadcasting repeated", points=2)
def sum_to_values(student):
    g = check.tie_free(4, 2, 3)
    for shape in ((4, 2, 3), (2, 3), (3,), (), (1, 3), (2, 1), (4, 1, 3), (1, 1, 1), (1,)):
        right = np.zeros(shape)
        sources = np.broadcast_to(np.arange(right.size).reshape(shape), g.shape)
        for index in np.ndindex(g.shape):
            right.reshape(-1)[sources[index]] += g[index]
        expect.close(f"sum_to(g, {shape}) for g of the shape {g.shape}", student.sum_to(g, shape), right, atol=1e-12)
    expect.close("sum_to(g, (1, 3)) for g of the shape (1, 3)", student.sum_to(g[0, :1], (1, 3)), g[0, :1])


@checked("operations: the results and the notes", points=2)
def results(student):
    a, b, m = (student.Value(check.tie_free(*shape)) for shape in ((2, 3), (3,), (3, 4)))
    made = {
        "add(a, b)": (student.add(a, b), a.data + b.data, (a, b)),
        "mul(a, b)": (student.mul(a, b), a.data * b.data, (a, b)),
        "matmul(a, m)": (student.matmul(a, m), np.einsum("ij,jk->ik", a.data, m.data), (a, m)),
        "relu(a)": (student.relu(a), np.where(a.data > 0, a.data, 0.0), (a,)),
        "total(a)": (student.total(a), np.array(sum(a.data.ravel())), (a,)),
    }
    for name, (value, right, parents) in made.items():
        expect.that(type(value) is student.Value, f"{name} must return a Value, but returned a {type(value).__name__}")
        expect.close(f"{name}.data", value.data, right)
        same = len(value.parents) == len(parents) and all(p is q for p, q in zip(value.parents, parents))
        expect.that(same, f"the parents of {name} must be the Values it was made from, in their order")


@checked("order: each value once, after its parents", points=3)
def order_of_graphs(student):
    a, b = student.Value(2.0), student.Value(-3.0)
    product = student.mul(a, b)
    late = student.add(product, a)  # a is used early and late
    chain = a
    for _ in range(12):
        chain = student.add(chain, chain)  # 2 ** 12 paths from the end to a
    graphs = {
        "a single leaf": (a, 1), "a * b + a": (late, 4), "(a * b + a) * b": (student.mul(late, b), 5),
        "a value that is doubled 12 times": (chain, 13),
    }  # fmt: skip
    for name, (root, count) in graphs.items():
        order = student.topological_order(root)
        expect.that(type(order) is list, f"topological_order must return a list, but returned a {type(order).__name__}")
        expect.that(len(order) == count, f"for {name} there are {count} values, but the order has {len(order)}")
        place = {id(value): i for i, value in enumerate(order)}
        expect.that(len(place) == count, f"for {name} the order holds a value twice")
        after = all(id(p) in place and place[id(p)] < place[id(v)] for v in order for p in v.parents)
        expect.that(after, f"for {name} there is a value in the order that stands before one of its parents")


@checked("backward: the example by hand", points=1)
def backward_example(student):
    a, b = student.Value(2.0), student.Value(-3.0)
    z = student.add(student.mul(a, b), a)
    student.backward(z)
    expect.close("a.grad", a.grad, np.array(-2.0))
    expect.close("b.grad", b.grad, np.array(2.0))


@checked("backward: each operation, with broadcasting", points=4)
def backward_operations(student):
    numbers = {"m": (2, 3), "n": (3, 4), "row": (3,), "column": (3, 1), "block": (2, 3, 4), "number": (), "short": (2, 1)}
    x = {name: check.tie_free(*shape, seed=i) for i, (name, shape) in enumerate(numbers.items())}
    for name, operation, arrays in (
        ("m + row", student.add, (x["m"], x["row"])),
        ("column + block", student.add, (x["column"], x["block"])),
        ("m * short", student.mul, (x["m"], x["short"])),
        ("number * m", student.mul, (x["number"], x["m"])),
        ("m @ n", student.matmul, (x["m"], x["n"])),
        ("relu(n)", student.relu, (x["n"],)),
        ("total(m)", student.total, (x["m"],)),
    ):
        report = compared(student, name, operation, *arrays)
        if not report.ok:
            return report
    return None


@checked("backward: a network of two layers", points=4)
def backward_network(student):
    def network(x, w1, b1, w2, b2):
        hidden = student.relu(student.add(student.matmul(x, w1), b1))
        return student.add(student.matmul(hidden, w2), b2)

    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(shape) for shape in ((3, 2), (2, 4), (4,), (4, 2), (2,))]
    return compared(student, "relu(a @ b + c) @ d + e", network, *arrays)


@checked("backward: values that are used several times", points=2)
def backward_shared(student):
    def square(a):
        return student.mul(a, a)

    (grad,) = gradients(student, lambda a: square(square(square(a))), np.array(1.5))  # a ** 8
    expect.close("the gradient of a ** 8", grad, np.array(8 * 1.5**7))

    def tangled(a, b):
        early = student.mul(a, b)
        late = student.add(student.relu(student.mul(early, b)), student.mul(early, a))
        return student.mul(student.add(late, early), student.add(late, b))

    return compared(student, "(late + early) * (late + b)", tangled, check.tie_free(2, 3), check.tie_free(2, 3, seed=1))


@checked("backward: a second call adds to the first", points=2)
def backward_twice(student):
    a, b = student.Value([1.0, -2.0]), student.Value([3.0, 5.0])
    doubled = student.mul(a, b)
    root = student.total(student.mul(doubled, a))  # a a b
    right_a, right_b = 2 * a.data * b.data, a.data**2
    for times in (1, 2, 3):
        student.backward(root)
        expect.close(f"a.grad after {times} calls", a.grad, times * right_a)
        expect.close(f"b.grad after {times} calls", b.grad, times * right_b)
    student.backward(student.total(student.mul(b, b)))  # another graph with the same leaf
    expect.close("b.grad after another graph", b.grad, 3 * right_b + 2 * b.data)


# %% tags=["mutants"]
_BACKWARD = """
def backward(root, gradient=1.0):
    order = topological_order(root)
    found = {id(value): np.zeros(value.data.shape) for value in order}
    found[id(root)] += gradient
    for value in order[::-1]:
        g = found[id(value)]
        if not value.parents:
            value.grad = value.grad + g
            continue
        for parent, share in zip(value.parents, value.pull(g)):
            found[id(parent)] = found[id(parent)] + share
"""
_IN_GRAD = """
def backward(root, gradient=1.0):
    order = topological_order(root)
    for value in order:
        if value.parents:
            value.grad = np.zeros_like(value.data)
    root.grad = root.grad + gradient
    for value in reversed(order):
        if value.parents:
            for parent, share in zip(value.parents, value.pull(value.grad)):
                parent.grad = parent.grad + share
"""
_ORDER = """
def topological_order(root):
    order, seen = [], set()
    def visit(value):
        if id(value) in seen:
            return
        seen.add(id(value))
        for parent in value.parents:
            visit(parent)
        order.append(value)
    visit(root)
    return order
"""
_SUM_TO = """
def sum_to(g, shape):
    while g.ndim > len(shape):
        g = g.sum(axis=0)
    for axis, n in enumerate(shape):
        if n == 1:
            g = g.sum(axis=axis, keepdims=True)
    return g
"""
MUTANTS = {
    "sum_to: nothing is summed": """
def sum_to(g, shape):
    return g
""",
    "sum_to: reshaped in place of summed": """
def sum_to(g, shape):
    return np.resize(g, shape)
""",
    "sum_to: the extra axes alone": """
def sum_to(g, shape):
    return g.sum(axis=tuple(range(g.ndim - len(shape))))
""",
    "sum_to: the axes at the end": _SUM_TO.replace("g.sum(axis=0)", "g.sum(axis=-1)"),
    "sum_to: the ones are lost": _SUM_TO.replace(", keepdims=True", "").replace(
        "enumerate(shape)", "reversed(list(enumerate(shape)))"
    ),
    "sum_to: a mean": _SUM_TO.replace("g.sum(", "g.mean("),
    "add: not summed down": """
def add(a, b):
    return Value(a.data + b.data, (a, b), lambda g: (g, g))
""",
    "add: only the second is summed down": """
def add(a, b):
    return Value(a.data + b.data, (a, b), lambda g: (g, sum_to(g, b.data.shape)))
""",
    "mul: the factors are not exchanged": """
def mul(a, b):
    return Value(a.data * b.data, (a, b), lambda g: (sum_to(g * a.data, a.data.shape), sum_to(g * b.data, b.data.shape)))
""",
    "mul: the upstream forgotten": """
def mul(a, b):
    return Value(a.data * b.data, (a, b), lambda g: (sum_to(b.data + 0 * g, a.data.shape), sum_to(a.data + 0 * g, b.data.shape)))
""",
    "mul: summed before it is multiplied": """
def mul(a, b):
    return Value(a.data * b.data, (a, b), lambda g: (sum_to(g, a.data.shape) * b.data, sum_to(g, b.data.shape) * a.data))
""",
    "matmul: not transposed": """
def matmul(a, b):
    return Value(a.data @ b.data, (a, b), lambda g: (g @ b.data, a.data @ g))
""",
    "matmul: entry by entry": """
def matmul(a, b):
    return mul(a, b)
""",
    "matmul: parents exchanged": """
def matmul(a, b):
    return Value(a.data @ b.data, (b, a), lambda g: (g @ b.data.T, a.data.T @ g))
""",
    "relu: the mask of the upstream": """
def relu(a):
    return Value(np.maximum(a.data, 0), (a,), lambda g: (np.maximum(g, 0),))
""",
    "relu: no mask": """
def relu(a):
    return Value(np.maximum(a.data, 0), (a,), lambda g: (g,))
""",
    "relu: no tuple": """
def relu(a):
    return Value(np.maximum(a.data, 0), (a,), lambda g: g * (a.data > 0))
""",
    "total: the mean": """
def total(a):
    return Value(a.data.mean(), (a,), lambda g: (np.full(a.data.shape, g / a.data.size),))
""",
    "total: the upstream forgotten": """
def total(a):
    return Value(a.data.sum(), (a,), lambda g: (np.ones_like(a.data),))
""",
    "total: over the first axis": """
def total(a):
    return Value(a.data.sum(axis=0), (a,), lambda g: (np.ones_like(a.data) * g,))
""",
    "operations: no parents": """
def add(a, b):
    return Value(a.data + b.data)
""",
    "operations: an array": """
def relu(a):
    return np.maximum(a.data, 0)
""",
    "order: a value before its parents": _ORDER.replace("        order.append(value)\n", "").replace(
        "        seen.add(id(value))\n", "        seen.add(id(value))\n        order.append(value)\n"
    ),
    "order: values several times": _ORDER.replace("seen.add(id(value))", "pass"),
    "order: the root forgotten": _ORDER.replace("    visit(root)\n", "    for parent in root.parents:\n        visit(parent)\n"),
    "order: by levels": """
def topological_order(root):
    order, level = [], [root]
    while level:
        order += [value for value in level if value not in order]
        level = [parent for value in level for parent in value.parents]
    return order[::-1]
""",
    "order: the leaves left out": _ORDER.replace(
        "        order.append(value)", "        if value.parents:\n            order.append(value)"
    ),
    "backward: = in place of +=": _BACKWARD.replace("found[id(parent)] + share", "share"),
    "backward: from the front": _BACKWARD.replace("order[::-1]", "order"),
    "backward: the gradient is passed on at once, from path to path": """
def backward(root, gradient=1.0):
    if not root.parents:
        root.grad = gradient
    for parent, share in zip(root.parents, root.pull(np.ones_like(root.data) * gradient) if root.parents else ()):
        backward(parent, share)
""",
    "backward: the leaf is overwritten": _BACKWARD.replace("value.grad = value.grad + g", "value.grad = g"),
    "backward: the gradient of the root is forgotten": _BACKWARD.replace("+= gradient", "+= 1.0"),
    "backward: no seed": _BACKWARD.replace("    found[id(root)] += gradient\n", ""),
    "backward: what is in between keeps the first call's": _IN_GRAD.replace(
        "if value.parents:\n            value.grad = np", "if False:\n            value.grad = np"
    ),
    "backward: grad is cleared first": _IN_GRAD.replace(
        "if value.parents:\n            value.grad = np", "if True:\n            value.grad = np"
    ),
    "backward: += on an array that two share": """
def backward(root, gradient=1.0):
    order = topological_order(root)
    found = {id(root): np.ones_like(root.data) * gradient}
    for value in reversed(order):
        g = found[id(value)]
        if not value.parents:
            value.grad = value.grad + g
            continue
        for parent, share in zip(value.parents, value.pull(g)):
            if id(parent) in found:
                found[id(parent)] += share
            else:
                found[id(parent)] = share

def add(a, b):
    if a.data.shape == b.data.shape:
        return Value(a.data + b.data, (a, b), lambda g: (g, g))
    return Value(a.data + b.data, (a, b), lambda g: (sum_to(g, a.data.shape), sum_to(g, b.data.shape)))
""",
}
RIGHT = {
    "lambdas, and gradients by identity": _SUM_TO
    + """
def add(a, b):
    return Value(a.data + b.data, (a, b), lambda g: (sum_to(g, a.data.shape), sum_to(g, b.data.shape)))

def mul(a, b):
    return Value(a.data * b.data, (a, b), lambda g: (sum_to(g * b.data, a.data.shape), sum_to(g * a.data, b.data.shape)))

def total(a):
    return Value(np.sum(a.data), (a,), lambda g: (np.broadcast_to(g, a.data.shape),))
"""
    + _ORDER
    + _BACKWARD,
    "gradients in grad, cleared in between": _IN_GRAD,
    "an order without recursion": """
def topological_order(root):
    order, done, stack = [], set(), [(root, False)]
    while stack:
        value, parents_done = stack.pop()
        if value in done:
            continue
        if parents_done:
            done.add(value)
            order.append(value)
        else:
            stack.append((value, True))
            stack += [(parent, False) for parent in value.parents]
    return order
""",
}
