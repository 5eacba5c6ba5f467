# ---
# title: ReLU
# topic: activation
# level: 1
# points: 10
# ---

# %% [markdown]
# # ReLU
#
# The rectified linear unit passes positive numbers and stops all others:
#
# $$y = \max(x, 0), \qquad \frac{\partial L}{\partial x} = \frac{\partial L}{\partial y} \cdot [x > 0].$$
#
# It works on each entry alone, so $x$, $y$ and the two gradients have one shape, whatever it is. At $x = 0$ there is no
# derivative; like PyTorch we take 0 there.
#
# An example by hand:
#
# | | | | | |
# |---|---|---|---|---|
# | $x$ | $-2$ | $-1$ | $0$ | $3$ |
# | $y$ | $0$ | $0$ | $0$ | $3$ |
# | $\partial L / \partial y$ | $5$ | $6$ | $7$ | $8$ |
# | $\partial L / \partial x$ | $0$ | $0$ | $0$ | $8$ |
#
# Write both functions with NumPy. `forward` returns what `backward` will need as its `cache`; what that is, you decide.
# Neither changes the arrays that it gets: other branches of a network still need them.

# %%
import numpy as np


# %% tags=["task"]
def relu_forward(x):
    """x, any shape -> (out, cache): out = max(x, 0), of x's shape and dtype."""
    # BEGIN SOLUTION
    out = np.maximum(x, 0)
    return out, x
    # END SOLUTION


# %% tags=["task"]
def relu_backward(dout, cache):
    """dout, of out's shape -> dx: dout where x > 0, and 0 elsewhere."""
    # BEGIN SOLUTION
    x = cache
    return dout * (x > 0)
    # END SOLUTION


# %% [markdown] tags=["hint"]
# `np.maximum` (not `np.max`) compares entry by entry. For the backward you must know where $x$ was positive; so keep $x$, or the
# mask `x > 0`, in the cache.

# %% [markdown] tags=["hint"]
# The mask is of $x$, not of `dout`: a negative upstream gradient passes where $x$ was positive. `dout * mask` is all of it.

# %% tags=["figure"]
x = np.linspace(-3, 3, 121)
y, cache = relu_forward(x)
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained")
left.plot(x, y)
left.set(title="relu_forward", xlabel="$x$", ylabel="$y$")
right.plot(x, relu_backward(np.ones_like(x), cache))
right.set(title="relu_backward of ones", xlabel="$x$", ylabel="$dy/dx$")

# %% tags=["checks"]
from minivision import check
from minivision.homework import checked, expect


@checked("forward: the example by hand", points=1)
def forward_example(student):
    out, _ = student.relu_forward(np.array([-2.0, -1.0, 0.0, 3.0]))
    expect.equal("out", out, np.array([0.0, 0.0, 0.0, 3.0]))


@checked("forward: every shape and dtype", points=3)
def forward_values(student):
    for shape, dtype in (((2, 3, 5, 7), np.float64), ((4,), np.float32), ((3, 4), np.float64), ((0, 3), np.float64)):
        x = check.tie_free(*shape).astype(dtype)
        right = np.where(x > 0, x, np.zeros_like(x))
        expect.equal(f"out for x {shape}", student.relu_forward(x)[0], right)
    x = check.tie_free(3, 4, 5).transpose(2, 0, 1)
    expect.equal("out for a transposed x", student.relu_forward(x)[0], np.where(x > 0, x, 0.0))


@checked("backward: the example by hand", points=1)
def backward_example(student):
    _, cache = student.relu_forward(np.array([-2.0, -1.0, 0.0, 3.0]))
    dx = student.relu_backward(np.array([5.0, 6.0, 7.0, 8.0]), cache)
    expect.equal("dx", dx, np.array([0.0, 0.0, 0.0, 8.0]))


@checked("backward: the gradient", points=4)
def backward_gradient(student):
    return check.backward(student.relu_forward, student.relu_backward, check.tie_free(2, 3, 4, 5, low=-2, high=2))


@checked("backward: 0 where x is 0, also for negative dout", points=1)
def backward_at_zero(student):
    x = np.array([[0.0, 1.0, -1.0], [2.0, 0.0, 0.5]])
    dout = np.array([[-3.0, -2.0, -1.0], [4.0, 5.0, -6.0]])
    _, cache = student.relu_forward(x)
    expect.equal("dx", student.relu_backward(dout, cache), np.array([[0.0, -2.0, 0.0], [4.0, 0.0, -6.0]]))


# %% tags=["mutants"]
MUTANTS = {
    "the mask of the upstream": """
def relu_backward(dout, cache):
    return dout * (dout > 0)
""",
    "no mask at all": """
def relu_backward(dout, cache):
    return dout.copy()
""",
    "the mask inverted": """
def relu_backward(dout, cache):
    return dout * (cache < 0)
""",
    "the upstream forgotten": """
def relu_backward(dout, cache):
    return (cache > 0).astype(float)
""",
    "x in place of the mask": """
def relu_backward(dout, cache):
    return dout * np.maximum(cache, 0)
""",
    "1 where x is 0": """
def relu_backward(dout, cache):
    return dout * (cache >= 0)
""",
    "the upstream is changed": """
def relu_backward(dout, cache):
    dout[cache <= 0] = 0
    return dout
""",
    "x is changed": """
def relu_forward(x):
    cache = x.copy()
    x[x < 0] = 0
    return x, cache
""",
    "the largest number only": """
def relu_forward(x):
    return np.max(x, initial=0), x
""",
    "the absolute value": """
def relu_forward(x):
    return np.abs(x), x

def relu_backward(dout, cache):
    return dout * np.sign(cache)
""",
    "leaky": """
def relu_forward(x):
    return np.maximum(x, 0.01 * x), x

def relu_backward(dout, cache):
    return dout * np.where(cache > 0, 1, 0.01)
""",
    "always float64": """
def relu_forward(x):
    out = np.zeros(x.shape)
    out[x > 0] = x[x > 0]
    return out, x
""",
    "no cache": """
def relu_forward(x):
    return np.maximum(x, 0)
""",
    "nothing returned": """
def relu_backward(dout, cache):
    dx = dout * (cache > 0)
""",
}
RIGHT = {
    "loops": """
def relu_forward(x):
    out = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        if x[index] > 0:
            out[index] = x[index]
    return out, x

def relu_backward(dout, cache):
    dx = np.zeros_like(dout)
    for index in np.ndindex(cache.shape):
        if cache[index] > 0:
            dx[index] = dout[index]
    return dx
""",
    "the mask as cache": """
def relu_forward(x):
    mask = x > 0
    return x * mask, mask

def relu_backward(dout, mask):
    return np.where(mask, dout, 0.0)
""",
    "the output as cache": """
def relu_forward(x):
    out = x.copy()
    out[out < 0] = 0
    return out, (out,)

def relu_backward(dout, cache):
    (out,) = cache
    dx = dout.copy()
    dx[out <= 0] = 0
    return dx
""",
}
