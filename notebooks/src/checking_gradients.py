# ---
# jupyter:
#   jupytext:
#     text_representation:
#       format_name: percent
# ---

# %% [markdown]
# # How to check a gradient
#
# You derived a backward pass and wrote it down. Is it right? The usual check compares it with a difference quotient,
#
# $$\frac{\partial L}{\partial x_i} \approx \frac{L(x + h e_i) - L(x - h e_i)}{2h},$$
#
# and prints a number. This notebook shows, one runnable cell each, how that check lets wrong gradients pass and frightens with
# right ones, and what to do instead. The short answer is one call:
#
# ```python
# check.backward(forward, backward, x, w, b)
# ```
#
# It works on plain NumPy functions; nothing in it needs a Tensor.

# %%
import numpy as np

from minivision import check

rng = np.random.default_rng(0)

# %% [markdown]
# ## The usual check
#
# A loss `L = sum(dout * y)`, one entry of `x` moved at a time, and CS231n's relative error. `dout` is the gradient that arrives
# from above; many checkers take ones for it, which is the same as `L = sum(y)`.


# %%
def usual_check(forward, backward, x, dout, h=1e-5):
    numeric = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        moved = x.copy()
        moved[i] = x[i] + h
        above = np.sum(dout * forward(moved))
        moved[i] = x[i] - h
        numeric[i] = (above - np.sum(dout * forward(moved))) / (2 * h)
    return check.relative_error(backward(dout, x), numeric)


# %% [markdown]
# ## Hole 1: an upstream gradient of ones
#
# The 2 x 2, stride 2 transposed convolution with which a U-Net doubles its resolution: every input pixel stamps the kernel onto
# its own four output pixels. Its gradient is `dx[i, j] = sum of dout over the four pixels * kernel`. Here is a backward that
# flips the kernel.


# %%
def up(x, w):
    return np.kron(x, w)


def up_backward_flipped(dout, x, w):
    blocks = dout.reshape(x.shape[0], 2, x.shape[1], 2)  # [i, a, j, b]: pixel (a, b) of the stamp at (i, j)
    dx = np.einsum("iajb,ab->ij", blocks, w[::-1, ::-1])
    dw = np.einsum("iajb,ij->ab", blocks, x)
    return dx, dw


x, w = rng.standard_normal((3, 5)), rng.standard_normal((2, 2))
errors = {}
for name, dout in {"ones": np.ones((6, 10)), "random": rng.standard_normal((6, 10))}.items():
    errors[name] = usual_check(lambda x: up(x, w), lambda dout, x: up_backward_flipped(dout, x, w)[0], x, dout)
    print(f"upstream {name:<7} relative error {errors[name]:.1e}")
assert errors["ones"] < 1e-7 and errors["random"] > 0.5

# %% [markdown]
# With ones, both the right and the flipped gradient are the sum of the kernel: the check passes at rounding level. Any
# mistake that only *moves* contributions around is invisible to it. With a random upstream it is plain, and the checker
# says what it is:

# %%
report = check.backward(up, up_backward_flipped, x, w)
print(report)
assert "w flipped" in report.summary

# %%
report.plot("x")

# %% [markdown]
# Softmax is worse: its outputs sum to 1, so the gradient of their sum is 0, and a backward that returns zeros is "right".


# %%
def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def nothing(dout, x):
    return np.zeros_like(x)


x = rng.standard_normal((3, 4))
ones = np.ones((3, 4))
numeric = check.numerical_gradient(softmax, x, ones)
print(f"upstream ones     largest entry of the numeric gradient {np.abs(numeric).max():.1e}")
print(check.backward(softmax, nothing, x).summary)
assert np.abs(numeric).max() < 1e-9 and not check.backward(softmax, nothing, x).ok

# %% [markdown]
# ## Hole 2: a right gradient that looks wrong
#
# In float32 a step of 1e-5 drowns in rounding. Nothing is wrong with the gradient of $x^3$ here:


# %%
def cube(x):
    return x**3


def cube_backward(dout, x):
    return 3 * x**2 * dout


x32 = rng.standard_normal((3, 4)).astype(np.float32)
single = usual_check(cube, cube_backward, x32, np.ones((3, 4), np.float32))
double = usual_check(cube, cube_backward, x32.astype(float), np.ones((3, 4)))
print(f"float32, h = 1e-5: relative error {single:.1e}")
print(f"float64, h = 1e-5: relative error {double:.1e}")
assert double < 1e-7 < 1e-4 < single

# %% [markdown]
# The error of a central difference has two parts: the curve's own bend, which grows with $h^2$, and rounding, which grows with
# $1 / h$. In float64 they meet near $10^{-5}$, in float32 near $10^{-2}$, and nowhere is float32 good.

# %%
from minivision.viz.figures import new_figure

steps = 10.0 ** np.arange(-10, 0.1, 0.5)
figure = new_figure(
    6,
    3.2,
    alt="Error of the difference quotient over the step: a V for float64 with its minimum near 1e-5, for float32 near 1e-2",
)
axes = figure.subplots()
smallest = {}
for dtype in (np.float64, np.float32):
    x0 = dtype(0.7)
    quotients = [(cube(dtype(x0 + dtype(h))) - cube(dtype(x0 - dtype(h)))) / (2 * h) for h in steps]
    error = np.abs(np.array(quotients, float) / (3 * float(x0) ** 2) - 1) + 1e-17
    smallest[dtype] = steps[error.argmin()]
    axes.loglog(steps, error, "o-", markersize=3, label=np.dtype(dtype).name)
axes.set(xlabel="step h", ylabel="relative error of the quotient")
axes.legend(loc="lower right")
assert 1e-7 < smallest[np.float64] < 1e-3 < smallest[np.float32]
figure

# %% [markdown]
# `check.backward` makes float64 copies of its inputs. Integers are refused, because a step of 1e-5 written into an integer
# array vanishes without a word:

# %%
try:
    check.backward(cube, cube_backward, np.arange(4))
except TypeError as error:
    refusal = str(error)
print(refusal)
assert "astype(float)" in refusal

# %% [markdown]
# ## Hole 3: broadcasting hides a wrong shape
#
# The gradient of a bias must have the bias's shape. `keepdims=True` makes it (1, 3), and the difference of (1, 3) and (3,)
# broadcasts:


# %%
def add_bias(x, b):
    return x + b


def add_bias_backward(dout, x, b):
    return dout.copy(), dout.sum(axis=0, keepdims=True)


x, b = rng.standard_normal((4, 3)), rng.standard_normal(3)
dout = rng.standard_normal((4, 3))
print("largest difference:", np.abs(add_bias_backward(dout, x, b)[1] - dout.sum(axis=0)).max())
report = check.backward(add_bias, add_bias_backward, x, b)
print(report.summary)
assert "(1, 3) instead of (3,)" in report.summary

# %% [markdown]
# ## Hole 4: NaN passes
#
# Every comparison with NaN is false, so `assert not error > tolerance` is satisfied.

# %%
error = usual_check(np.sqrt, lambda dout, x: dout * np.nan, np.array([1.0, 2.0]), np.ones(2))
print("error:", error, "   too large?", error > 1e-6)
print(check.backward(np.sqrt, lambda dout, x: dout * np.nan, np.array([1.0, 2.0]), names=["x"]).summary)
assert not error > 1e-6

# %% [markdown]
# ## Hole 5: kind data
#
# 2 x 2 windows with stride 2 do not overlap, so writing a gradient with `=` instead of adding it with `+=` changes nothing.
# Test with windows that overlap.


# %%
def max_pool(x, size, stride):
    rows, columns = ((n - size) // stride + 1 for n in x.shape)
    y = np.zeros((rows, columns))
    for i, j in np.ndindex(rows, columns):
        y[i, j] = x[i * stride : i * stride + size, j * stride : j * stride + size].max()
    return y


def max_pool_backward(dout, x, size, stride):
    dx = np.zeros_like(x)
    for i, j in np.ndindex(dout.shape):
        window = x[i * stride : i * stride + size, j * stride : j * stride + size]
        a, b = np.unravel_index(window.argmax(), window.shape)
        dx[i * stride + a, j * stride + b] = dout[i, j]
    return dx


x = check.tie_free(7, 9)
kind, report = (check.backward(max_pool, max_pool_backward, x, size, 2) for size in (2, 3))
print("2 x 2, stride 2:", kind.summary)
print("3 x 3, stride 2:", report.summary)
assert kind.ok and "+=" in report.summary

# %% [markdown]
# ## Hole 6: kinks
#
# At a tie under a maximum, or a ReLU at 0, there is no derivative: the slopes to the left and to the right differ, and the
# difference quotient gives their mean, which no backward returns. A checker that does not notice calls right code wrong.
# This one compares both slopes, says at how many entries it is blind, and is *inconclusive* when they are too many.


# %%
def max_pool_backward_right(dout, x, size, stride):
    dx = np.zeros_like(x)
    for i, j in np.ndindex(dout.shape):
        window = x[i * stride : i * stride + size, j * stride : j * stride + size]
        a, b = np.unravel_index(window.argmax(), window.shape)
        dx[i * stride + a, j * stride + b] += dout[i, j]
    return dx


flat = rng.integers(0, 2, (7, 9)).astype(float)
with_ties = check.backward(max_pool, max_pool_backward_right, flat, 3, 2)
without = check.backward(max_pool, max_pool_backward_right, check.tie_free(7, 9), 3, 2)
print(with_ties.summary)
print(without.summary)
assert with_ties.verdict == "inconclusive" and without.verdict == "right"

# %% [markdown]
# ## What the checker does
#
# 1. Copies in float64; the random generators are seeded for each call and restored.
# 2. A random upstream gradient.
# 3. Promises first: the shape and dtype of each gradient, nothing changed in place, the same answer twice, linear in `dout`.
# 4. Central differences for every entry, or for a sample and for random directions when there are many.
# 5. When a number is wrong: each known mistake is a hypothesis, "the gradient that this mistake would give", and the one that
#    reproduces the wrong numbers names the bug.
#
# A report is `ok` or not, prints as above, draws itself, and turns into JSON or an `assert`:

# %%
report.plot()

# %% [markdown]
# Functions of Tensors, modules and losses are checked by `check.gradient`, with their parameters:

# %%
from minivision import nn

net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.GroupNorm(1, 3), nn.ReLU(), nn.MaxPool2d(2))
report = check.gradient(net, rng.standard_normal((2, 2, 6, 8)))
print(report)
report.assert_ok()
