# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How convolution gets fast
#
# Convolution is one line of mathematics,
#
# $$y_{n,f,i,j} = \sum_{c,u,v} w_{f,c,u,v}\; x_{n,c,\,i+u,\,j+v}$$
#
# and seven loops of Python. This notebook begins with the loops and ends at the speed of the library, in steps short enough to
# be read aloud. No step needs a compiler: what changes is the order in which the same sums are computed, and, towards the end,
# which sums.
#
# At each step we count before we measure: **operations**, because a processor can only do so many in a second, and **bytes**,
# because memory can only deliver so many. What a step computes is compared with the definition by an `assert`; how long it took
# is printed, and holds for the machine that ran this notebook.

# %%
import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import minivision  # in Colab: %pip install "minivision[train]"
from minivision import conv_algorithm, models, no_grad, reference, tensor
from minivision.nn import functional as F
from minivision.viz.curves import LINE_COLOURS
from minivision.viz.figures import new_figure

minivision.set_num_threads(1)  # one core, for NumPy's matrix products too; the second joins in section 8
rng = np.random.default_rng(0)

# %% [markdown]
# Our example is a layer as it stands in U-Net and VGG: 3 x 3 kernels, 64 channels in, 64 out, padded so that the image keeps
# its size.

# %%
channels, filters, height, width = 64, 64, 128, 128
x = rng.standard_normal((channels, height, width), np.float32)
w = rng.standard_normal((filters, channels, 3, 3), np.float32) / 24
planes = np.pad(x, ((0, 0), (1, 1), (1, 1)))  # (C, H + 2, W + 2), with the padding's zeros around each plane

MULTIPLICATIONS = filters * height * width * channels * 3 * 3
print(f"{MULTIPLICATIONS / 1e6:.0f} million multiplications, and as many additions")
print(f"image {x.nbytes / 1e6:.1f} MB, kernels {w.nbytes / 1e6:.2f} MB, result {4 * filters * height * width / 1e6:.1f} MB")
assert MULTIPLICATIONS == 603_979_776

# %% [markdown]
# Two helpers. `seconds` times a call, and takes the best of several: whatever else the machine does makes a call slower, never
# faster. `note` keeps the books: for each step its time, the operations it does, and the bytes that its NumPy calls read and
# write, each operand of a call counted once.


# %%
def seconds(call, repeats=5):
    """The shortest time of several calls, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


steps = {}


def note(step, elapsed, operations, touched):
    """Note the time, the operations and the bytes of a step, all for the whole layer."""
    steps[step] = {"seconds": elapsed, "operations": operations, "bytes": touched}
    print(f"{step}: {1e3 * elapsed:,.1f} ms for the layer,", end=" ")
    print(f"{1e9 * elapsed / MULTIPLICATIONS:.3g} ns for each multiplication of the definition")


# %% [markdown]
# ## 1 The definition
#
# Image, filter, row, column, and the sum over channel, kernel row, kernel column. With a counter, to see that the formula for
# the number of multiplications is right.


# %%
def by_definition(x, w):
    """x (N, C, H, W), w (F, C, k, k) -> y (N, F, H - k + 1, W - k + 1) and the number of multiplications."""
    (images, channels, height, width), (filters, _, k, _) = x.shape, w.shape
    y = np.zeros((images, filters, height - k + 1, width - k + 1))
    count = 0
    for n in range(images):
        for f in range(filters):
            for i in range(height - k + 1):
                for j in range(width - k + 1):
                    for c in range(channels):
                        for u in range(k):
                            for v in range(k):
                                y[n, f, i, j] += w[f, c, u, v] * x[n, c, i + u, j + v]
                                count += 1
    return y, count


# %% [markdown]
# For the whole layer we would wait too long. But convolution is local: the upper left corner of the result needs only the upper
# left corner of the image. So the loops get a corner of 8 x 8 positions and four of the filters; the time for the layer is that
# of the corner, multiplied by how much larger the layer is. The sum is taken in float64: this corner is the truth that all
# later steps are held against.

# %%
corner = planes[None, :, :10, :10]
begin = time.perf_counter()
truth_of_corner, count = by_definition(corner, w[:4])
elapsed = time.perf_counter() - begin

assert count == 4 * 8 * 8 * channels * 9 == 147_456
assert np.allclose(truth_of_corner[:, :1], reference.conv(corner, w[:1]))  # the library's own definition
share = count / MULTIPLICATIONS
note("seven loops", elapsed / share, 2 * MULTIPLICATIONS, 4 * 4 * MULTIPLICATIONS)  # w, x and y are read, y is written

# %% [markdown]
# A multiplication and an addition take the processor a fraction of a nanosecond. Everything else is Python: finding out, again
# and again, what kind of object `x` is, what `[n, c, i + u, j + v]` means, and making an object of the answer.
#
# ## 2 Fewer, larger calls
#
# The remedy of NumPy is to say more with each call. The innermost three loops are a dot product of the kernel with a window:


# %%
def dot_per_output(planes, w):
    """planes (C, H + 2, W + 2), w (F, C, 3, 3) -> y (F, H, W)"""
    filters, (height, width) = len(w), (n - 2 for n in planes.shape[1:])
    y = np.empty((filters, height, width), np.float32)
    for f in range(filters):
        kernel = w[f].ravel()
        for i in range(height):
            for j in range(width):
                y[f, i, j] = kernel @ planes[:, i : i + 3, j : j + 3].ravel()
    return y


y = dot_per_output(corner[0], w)
assert np.allclose(y[:4], truth_of_corner[0], atol=1e-5)

share = y.size / (filters * height * width)
# a window is read and written when it is made a vector, and read again with the kernel: 4 numbers for each multiplication
note("a dot per output", seconds(lambda: dot_per_output(corner[0], w)) / share, 2 * MULTIPLICATIONS, 4 * 4 * MULTIPLICATIONS)

# %% [markdown]
# Or the other way round, with the loops over filter, channel and kernel position outside, and the whole image inside: each
# weight multiplies a plane, shifted by its place in the kernel, and is added up.


# %%
def plane_per_weight(planes, w):
    """planes (C, H + 2, W + 2), w (F, C, 3, 3) -> y (F, H, W)"""
    height, width = (n - 2 for n in planes.shape[1:])
    y = np.zeros((len(w), height, width), planes.dtype)
    for f, c, u, v in np.ndindex(w.shape):
        y[f] += w[f, c, u, v] * planes[c, u : u + height, v : v + width]
    return y


begin = time.perf_counter()
y = plane_per_weight(planes, w[:16])
elapsed = time.perf_counter() - begin
assert np.allclose(y[:4, :8, :8], truth_of_corner[0], atol=1e-5)

# read a plane, write the product, read it again, read y, write y: 5 numbers for each multiplication
note("a plane per weight", elapsed * filters / 16, 2 * MULTIPLICATIONS, 5 * 4 * MULTIPLICATIONS)

# %% [markdown]
# The calls are few now, and each has much to do; Python no longer matters. But for one multiplication, five numbers travel
# between the processor and memory. A step is described by its **arithmetic intensity**, operations divided by bytes; this one
# has $2 / 20 = 0.1$ operations to the byte, and waits for bytes, not for arithmetic.
#
# How fast could it be? The machine's own limits: the rate of a large matrix product, which is the most arithmetic we get out of
# NumPy, and the rate of copying, for arrays that fit a cache and for arrays that do not.

# %%
a, b = (rng.standard_normal((1024, 1024), np.float32) for _ in range(2))
SGEMM = 2 * 1024**3 / seconds(lambda: a @ b, repeats=10)


def copy_rate(size):
    """Bytes read and written per second, for arrays of so many bytes."""
    source, target = np.ones(size, np.uint8), np.ones(size, np.uint8)
    again = max(1, 2**22 // size)
    return again * 2 * size / seconds(lambda: [np.copyto(target, source) for _ in range(again)])


sizes = [2**p for p in range(13, 27)]  # 8 KB to 64 MB
copy_rates = [copy_rate(size) for size in sizes]
CACHE, MEMORY = max(copy_rates), copy_rates[-1]

print(f"matrix product: {SGEMM / 1e9:.0f} GFLOP/s on one core")
print(f"copying: {CACHE / 1e9:.0f} GB/s in a cache, {MEMORY / 1e9:.0f} GB/s from memory, read and written")
print(f"so an operation on numbers from memory is free if there are {SGEMM / MEMORY:.1f} of them to the byte")
step = steps["a plane per weight"]
print(f"a plane per weight, at the cache's rate: {1e3 * step['bytes'] / CACHE:.0f} ms; measured: {1e3 * step['seconds']:.0f} ms")
assert step["operations"] / step["bytes"] == 0.1

# %% [markdown]
# A matrix product reads $2 n^2$ numbers for $2 n^3$ operations: it has something to do with each number while that is near. So
# we make convolution one.
#
# ## 3 im2col: one matrix product
#
# Copy each window into a row of a matrix, and the kernels into the columns of another. Their product is the convolution, all
# sums at once (Chellapilla, Puri & Simard 2006). First the whole layer's truth, once and for all, in float64, so that every
# result from here on can be compared with it everywhere:

# %%
truth = sum(np.tensordot(w[:, :, u, v].astype(float), planes[:, u : u + height, v : v + width], 1) for u, v in np.ndindex(3, 3))
assert np.allclose(truth[:4, :8, :8], truth_of_corner[0])


def error(y, truth=truth):
    """The largest error of y (F, H, W) or (H, W, F), relative to the largest value."""
    y = y if y.shape == truth.shape else y.transpose(2, 0, 1)
    return abs(y - truth).max() / abs(truth).max()


# %%
def im2col_of_planes(planes):
    windows = sliding_window_view(planes, (3, 3), axis=(1, 2)).transpose(0, 3, 4, 1, 2)  # (C, 3, 3, H, W), a view
    columns = windows.reshape(channels * 9, height * width)  # this copies
    # (F, 9 C) @ (9 C, H W) -> (F, H W)
    return (w.reshape(filters, -1) @ columns).reshape(filters, height, width)


y = im2col_of_planes(planes)
assert error(y) < 2e-6

matrix = 9 * x.nbytes
print(f"the window matrix holds every number of the image nine times: {matrix / 1e6:.1f} MB")
IM2COL_BYTES = matrix + matrix + matrix + y.nbytes  # read windows, write the matrix, read it, write the result
note("im2col, the whole image", seconds(lambda: im2col_of_planes(planes)), 2 * MULTIPLICATIONS, IM2COL_BYTES)
assert matrix == height * width * 9 * channels * 4
assert 100 < (2 * MULTIPLICATIONS / IM2COL_BYTES) / 0.1 < 110  # times the intensity of the step before

# %% [markdown]
# The matrix costs $3 \cdot 4$ bytes for each number in it, and each number takes part in $F$ multiplications and additions: an
# intensity of about $F/6$. The more filters, the better im2col pays; with 64 it is a hundred times that of the step before.
#
# **Which way round?** Memory is a line. In *row-major* order (C, H, W) it is the neighbours in a row that lie side by side; in
# *channels-last* order (H, W, C), the channels of a pixel. A copy is fast if it can take long runs: `memcpy` for the length of
# a run, bookkeeping between runs. From planes, a row of a window matrix (C, 3, 3, H, W) has runs of $W$; from channels-last
# memory, a window in (H, W, 3, 3, C) has runs of $3C$, three pixels side by side. Turn the order around on the way, and each
# run is one number long. Here is a small image of four channels as it lies in memory, in both orders, with the numbers of one
# window marked:


# %%
def windows_of(image):
    """image (H + 2, W + 2, C), channels-last -> all windows (H, W, 3, 3, C), a view: not a number is copied."""
    return sliding_window_view(image, (3, 3), axis=(0, 1)).transpose(0, 1, 3, 4, 2)


places = np.arange(4 * 5 * 6)  # where each number lies in memory
orders = {
    "row-major (4, 5, 6)": places.reshape(4, 5, 6).transpose(1, 2, 0),
    "channels-last (5, 6, 4)": places.reshape(5, 6, 4),
}
alt = "Memory as a strip of cells: a window is 12 runs of 3 numbers in row-major order, 3 runs of 12 in channels-last order"
figure = new_figure(7, 1.5, alt)
counts = []
for axes, (order, small_image) in zip(figure.subplots(2, 1), orders.items(), strict=True):
    window = windows_of(small_image)[1, 2]  # (3, 3, 4)
    marked = np.isin(places, window)
    counts.append(np.count_nonzero(np.diff(marked.astype(int)) == 1) + marked[0])
    axes.bar(places, 1, width=0.8, color=np.where(marked, "#d55e00", "#dddddd"))
    axes.set_title(f"{order}: {counts[-1]} runs of {window.size // counts[-1]}", fontsize=9, loc="left")
    axes.set(xlim=(-1, 120), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
assert counts == [4 * 3, 3]
figure


# %%
def gather_rates(planes):
    """Bytes per second to copy all windows of planes (C, H + 2, W + 2), by the order of the image and that of the matrix."""
    image = np.ascontiguousarray(planes.transpose(1, 2, 0))
    from_planes, from_pixels = windows_of(planes.transpose(1, 2, 0)), windows_of(image)
    table = {}
    for order, matrix in [("(C, 3, 3, H, W)", (4, 2, 3, 0, 1)), ("(H, W, 3, 3, C)", (0, 1, 2, 3, 4))]:
        target = np.ones([from_planes.shape[axis] for axis in matrix], np.float32)
        for source, windows in [("row-major", from_planes), ("channels-last", from_pixels)]:
            view = windows.transpose(matrix)
            table[source, order] = 2 * target.nbytes / seconds(partial(np.copyto, target, view), repeats=3)
            assert np.array_equal(target, view)
    return table


for_three = gather_rates(rng.standard_normal((3, 450, 450), np.float32))  # a photograph: few channels, long rows
print("                                            GB/s, read and written")
print("image           window matrix     64 channels, rows of 128     3 channels, rows of 448")
for (source, order), rate in gather_rates(planes).items():
    print(f"{source:<16}{order:<18}{rate / 1e9:>24.1f}{for_three[source, order] / 1e9:>28.1f}")

# %% [markdown]
# Where the two orders match, runs are long. With many channels, either pair will do; with three, rows are longer than what
# three pixels have. Channels-last is better at all that follows: any rectangle of the image, and any single kernel position of
# it, is a matrix whose rows are $C$ numbers long. So the library keeps images channels-last between layers; only for images of
# a few channels does it gather from planes. From here on:

# %%
image = np.ascontiguousarray(planes.transpose(1, 2, 0))  # (H + 2, W + 2, C)
weights = np.ascontiguousarray(w.transpose(2, 3, 1, 0))  # (3, 3, C, F)


def im2col(image):
    """image (H + 2, W + 2, C) -> y (H, W, F)"""
    columns = windows_of(image).reshape(-1, 9 * channels)
    return (columns @ weights.reshape(-1, filters)).reshape(height, width, filters)


assert error(im2col(image)) < 2e-6
note("im2col, channels-last", seconds(lambda: im2col(image)), 2 * MULTIPLICATIONS, IM2COL_BYTES)

# %% [markdown]
# ## 4 Blocks that fit the cache
#
# The matrix is written to memory, only to be read from there a moment later; and that is not all. `np.empty` hands out memory
# that does not exist yet: at the first write to a page (4 KB, or 2 MB where the system thinks that it pays), the operating
# system looks for one and fills it with zeros. Each of these *page faults* interrupts the program. Here are both, as many bytes
# as the window matrix has, fresh and used again:

# %%
used = np.ones(matrix // 4, np.float32)
fresh_time, used_time = seconds(lambda: np.empty(matrix // 4, np.float32).fill(0)), seconds(lambda: used.fill(0))
print(f"writing {used.nbytes / 1e6:.1f} MB: {1e3 * fresh_time:.1f} ms to fresh memory, {1e3 * used_time:.1f} ms to used memory")

try:
    import resource  # not on Windows
except ImportError:
    print("this system does not tell how many page faults a program had")
else:

    def page_faults(call):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        call()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    fresh_faults, used_faults = page_faults(lambda: np.empty(matrix // 4, np.float32).fill(0)), page_faults(lambda: used.fill(0))
    print(f"page faults: {fresh_faults:,} in fresh memory, {used_faults:,} in used memory")

# %% [markdown]
# So: a **workspace** that is used again, and **blocks** of image rows, so small that their part of the matrix is still in the
# cache when it is multiplied. Every algorithm from here on is a function that turns a strip of the image into a strip of the
# result, and `in_blocks` calls it for each strip. (How the strips are shared out is an argument: `map` does one after the
# other.)

# %%
workspaces = {}


def workspace(name, *shape):
    """Memory of undefined content, for each thread its own, and the same each time."""
    key, size = (name, threading.get_ident()), math.prod(shape)
    if key not in workspaces or workspaces[key].size < size:
        workspaces[key] = np.empty(size, np.float32)
    return workspaces[key][:size].reshape(shape)


def in_blocks(convolve, image, rows, map=map):
    """Call convolve(strip (rows + 2, W + 2, C), y (rows, W, F)) for each block of rows -> y (H, W, F)"""
    y = workspace("y", height, width, filters)
    tops = range(0, height, rows)
    list(map(lambda top: convolve(image[top : top + rows + 2], y[top : top + rows]), tops))
    return y


def im2col_strip(strip, y):
    windows = windows_of(strip)
    columns = workspace("columns", *windows.shape)
    np.copyto(columns, windows)
    # (rows W, 9 C) @ (9 C, F) -> (rows W, F)
    np.matmul(columns.reshape(-1, 9 * channels), weights.reshape(-1, filters), out=y.reshape(-1, filters))


assert error(in_blocks(im2col_strip, image, rows=5)) < 2e-6  # any number of rows will do

# %% [markdown]
# How large should a block be? Too large, and it falls out of the cache; too small, and the calls have too little to do: BLAS
# rearranges the weights for each product, and wants many rows to use them for. On the left, the machine: the rate of copying an
# array, over its size. Each cache is a step down; at the far left it is the calls themselves that take time. On the right, our
# layer, over the size of the workspace.

# %%
heights = [1, 2, 4, 8, 16, 32, 64, 128]
block_times = [seconds(partial(in_blocks, im2col_strip, image, rows)) for rows in heights]
block_megabytes = [matrix / 1e6 * rows / height for rows in heights]
best_rows = heights[int(np.argmin(block_times))]

alt = "Left: the rate of copying falls with the size of the array. Right: im2col's time over its block size"
figure = new_figure(7.5, 2.8, alt)
left, right = figure.subplots(1, 2)
left.semilogx([2 * size / 1e6 for size in sizes], [rate / 1e9 for rate in copy_rates], ".-", color=LINE_COLOURS[0])
left.set(xlabel="MB of source and target", ylabel="GB/s, read and written", title="copying", ylim=0)
right.semilogx(block_megabytes, [1e3 * t for t in block_times], ".-", color=LINE_COLOURS[1])
whole = 1e3 * steps["im2col, channels-last"]["seconds"]
right.axhline(whole, color="#777777", linestyle=":")
right.annotate("whole image, fresh memory", (block_megabytes[0], whole), (0, 4), textcoords="offset points", fontsize=8)
floor = 1e3 * 2 * MULTIPLICATIONS / SGEMM
right.axhline(floor, color="#777777", linestyle="--")
right.annotate("the arithmetic alone", (block_megabytes[0], floor), (0, -11), textcoords="offset points", fontsize=8)
right.set(xlabel="MB of the window matrix at a time", ylabel="ms", title="im2col in blocks")
right.set_ylim(0, 1.2 * max(whole, 1e3 * max(block_times)))
for axes in (left, right):
    axes.xaxis.set_major_formatter("{x:g}")
    axes.spines[["top", "right"]].set_visible(False)
assert len(block_times) == len(heights) and heights[-1] == height
figure

# %%
note("im2col, in blocks", min(block_times), 2 * MULTIPLICATIONS, IM2COL_BYTES)
print(f"blocks of {best_rows} rows, {matrix / 1e6 * best_rows / height:.1f} MB, were the fastest")
assert error(in_blocks(im2col_strip, image, best_rows)) < 2e-6

# %% [markdown]
# The same operations and the same bytes; but now the bytes come from a cache.
#
# ## 5 Shifted products: no window matrix at all
#
# Lay the padded image out as a matrix with a row for each pixel. What kernel position $(u, v)$ meets lies $u (W + 2) + v$ rows
# further on, at every pixel the same: a slice. So the convolution is the sum of nine matrix products of *views* (Anderson et
# al. 2017). At the end of an image row, the window reaches around into the next one; these two results of each row mean
# nothing, and are left out.


# %%
def shifted_strip(strip, y):
    rows, width, _ = y.shape
    pixels = strip.reshape(-1, channels)  # ((rows + 2) (W + 2), C), a view
    count = rows * (width + 2) - 2
    total, product = workspace("total", count + 2, filters), workspace("product", count, filters)
    for u, v in np.ndindex(3, 3):
        first = u * (width + 2) + v
        # (pixels, C) @ (C, F) -> (pixels, F)
        out = total[:count] if u == v == 0 else product
        np.matmul(pixels[first : first + count], weights[u, v], out=out)
        if out is product:
            total[:count] += product
    y[...] = total.reshape(rows, width + 2, filters)[:, :width]


assert error(in_blocks(shifted_strip, image, rows=8)) < 2e-6
wider = (width + 2) / width  # for the results that mean nothing
shifted_times = {rows: seconds(partial(in_blocks, shifted_strip, image, rows)) for rows in (4, 8, 16, 32)}
# each of nine products reads the image and writes a result; eight read that and add it to the total; at the end a copy
SHIFTED_BYTES = int(wider * (9 * 2 + 8 * 3 + 2) * x.nbytes)
note("shifted products", min(shifted_times.values()), 2 * MULTIPLICATIONS * wider, SHIFTED_BYTES)

# %% [markdown]
# No copies of windows, but a running sum that is read and written eight times; and each product sums over 64 numbers only,
# where im2col's sums over 576. Which of the two wins depends on the layer.
#
# ## 6 Between the two: the windows of one row
#
# im2col copies each number nine times, for one product; shifted products copy none, for nine. Nobody has to go all the way. A
# window that moves down by one row keeps two of its three. So gather windows of one image row only, three pixels side by side,
# and let $w_u$ be the weights of kernel row $u$:
#
# $$\text{columns}_{i,j} = x_{i,\,j \ldots j+2}, \qquad y_{i,j} = \sum_u \text{columns}_{i+u,\,j}\; w_u$$
#
# Along the rows this is im2col; down the columns it is shifted products: what kernel row $u$ meets is the same workspace, begun
# $u$ rows further down.


# %%
def row_windows_strip(strip, y):
    windows = sliding_window_view(strip, 3, axis=1).transpose(0, 1, 3, 2)  # (rows + 2, W, 3, C), a view
    columns = workspace("columns", *windows.shape)
    np.copyto(columns, windows)
    product = workspace("product", *y.shape)
    for u in range(3):
        below, out = columns[u : u + len(y)], product if u else y
        # (rows W, 3 C) @ (3 C, F) -> (rows W, F)
        np.matmul(below.reshape(-1, 3 * channels), weights[u].reshape(-1, filters), out=out.reshape(-1, filters))
        if u:
            y += product


assert error(in_blocks(row_windows_strip, image, rows=5)) < 2e-6
row_times = {rows: seconds(partial(in_blocks, row_windows_strip, image, rows)) for rows in (2, 4, 8, 16)}
row_best = min(row_times, key=row_times.get)
gathered = 3 * x.nbytes * (row_best + 2) / row_best  # two rows at the seam of two blocks are gathered for both
# read windows, write them; three products read three times as much as the image has, and write; two are read and added up
ROW_BYTES = int(2 * gathered + 3 * (3 + 1) * x.nbytes + 2 * 3 * x.nbytes)
note("windows of one row", row_times[row_best], 2 * MULTIPLICATIONS, ROW_BYTES)
print(f"windows in the workspaces: {gathered / 1e6:.1f} MB instead of {matrix / 1e6:.1f} MB")
assert gathered < matrix and ROW_BYTES < SHIFTED_BYTES
saved, paid = 2 * 3 * (3 - 1) * x.nbytes, 4 * (3 - 1) * y.nbytes  # against im2col, but for the seams
assert saved / paid == 3 * channels / (2 * filters) == 1.5

# %% [markdown]
# All $k$ products together read as much as im2col's one. For each pixel, $k (k - 1) C$ numbers fewer are copied, that is, read
# and written. In exchange, $k - 1$ more products write $F$ numbers each, and to add them up takes two reads and a write: together
# $4 (k - 1) F$. What is saved is $k C / 2 F$ times what is paid: 1.5 times in our layer, 3.5 times with a 7 x 7 kernel. So the
# library's im2col takes windows apart like this where a rule, from the shapes, says that it pays. (And it multiplies in pieces of
# less than a million multiplications where it can, which BLAS begins at once, without rearranging its operands.)
#
# So far each step has done at least the definition's 604 million multiplications, and their limit is the rate of a matrix
# product. Whoever wants to get past it must do fewer.
#
# ## 7 Winograd: fewer multiplications
#
# A kernel of length 3 gives two neighbouring outputs from four inputs: $y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2$ and
# $y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2$. Six multiplications? Four will do (Winograd 1980). To count them, here are numbers that
# count how often they are multiplied by each other:


# %%
class Counted(float):
    """A number that counts its products with others of its kind."""

    products = 0

    def __add__(self, other):
        return Counted(float(self) + float(other))

    def __sub__(self, other):
        return Counted(float(self) - float(other))

    def __mul__(self, other):
        Counted.products += isinstance(other, Counted)
        return Counted(float(self) * float(other))


def definition_of_two(d, g):
    return d[0] * g[0] + d[1] * g[1] + d[2] * g[2], d[1] * g[0] + d[2] * g[1] + d[3] * g[2]


def winograd_of_two(d, g):
    # of the kernel alone: once for all positions of the image
    plus, minus = (g[0] + g[1] + g[2]) * 0.5, (g[0] - g[1] + g[2]) * 0.5
    m1 = (d[0] - d[2]) * g[0]
    m2 = (d[1] + d[2]) * plus
    m3 = (d[2] - d[1]) * minus
    m4 = (d[1] - d[3]) * g[2]
    return m1 + m2 + m3, m2 - m3 - m4


d, g = [Counted(n) for n in (3, 1, 4, 1)], [Counted(n) for n in (2, 7, 1)]
answers, counts = [], []
for method in (definition_of_two, winograd_of_two):
    Counted.products = 0
    answers.append(method(d, g))
    counts.append(Counted.products)
print(*answers, counts)
assert answers[0] == answers[1] == (17.0, 31.0) and counts == [6, 4]

# %% [markdown]
# This is $F(2, 3)$: two outputs of a kernel of three. Where do such formulas come from? From polynomials. A product of
# polynomials with $2$ and $3$ coefficients has $4$ coefficients, so its values at $4$ points say all about it; and each *value*
# is one multiplication. Evaluating at the points is a matrix of their powers, and going back from the values to the
# coefficients is the inverse of such a matrix. Correlation is the transpose of that multiplication, which turns the three
# matrices around:
#
# $$y = A^T \left[(G g) \odot (B^T d)\right]$$
#
# One of the points may be infinity, where a polynomial's value is its leading coefficient. (The derivation is in the docstring
# of `minivision/functions/convolution/winograd.py`.)


# %%
def powers(points, count):
    """Row p: 1, p, p^2, ... (count numbers); for infinity, only the last one counts."""
    return np.array([[0.0] * (count - 1) + [1.0] if math.isinf(p) else [p**k for k in range(count)] for p in points])


def winograd_matrices(points, outputs, kernel=3):
    """A^T (outputs, points), G (points, kernel), B^T (points, points)"""
    return powers(points, outputs).T, powers(points, kernel), np.linalg.inv(powers(points, len(points))).T


for points, outputs in [((0, 1, -1, math.inf), 2), ((0, 1, -1, 2, -2, math.inf), 4)]:
    AT, G, BT = winograd_matrices(points, outputs)
    d, g = rng.standard_normal(outputs + 2), rng.standard_normal(3)
    assert np.allclose(AT @ ((G @ g) * (BT @ d)), np.correlate(d, g))
    print(f"F({outputs}, 3): {len(points)} multiplications instead of {3 * outputs}")

# %% [markdown]
# An image has two axes: transform along one, then along the other. $F(4 \times 4, 3 \times 3)$ turns 6 x 6 inputs into 4 x 4
# outputs,
#
# $$Y = A^T \left[(G g G^T) \odot (B^T d B)\right] A$$
#
# with 36 multiplications instead of 144 (Lavin & Gray 2016):

# %%
tile, kernel = rng.standard_normal((6, 6)), rng.standard_normal((3, 3))
transformed = (G @ kernel @ G.T) * (BT @ tile @ BT.T)
assert transformed.size == 36 and 4 * 4 * 3 * 3 == 144
assert np.allclose(AT @ transformed @ AT.T, (windows_of(tile[..., None])[..., 0] * kernel).sum(axis=(2, 3)))

# %% [markdown]
# Where did the other multiplications go? Into the sums before and after. What makes it pay is that these are shared: a tile is
# transformed once for all 64 filters, a kernel once for all tiles, and the products are summed over the channels before
# anything is transformed back. The sum over channels at each of the 36 places of a tile is a matrix product: (tiles, C) @ (C,
# F). The transforms are matrix products too, with the Kronecker product of the small matrix with itself for both axes at once.
# So the whole algorithm is five copies and products:


# %%
def prepare(points):
    """The matrices for both axes at once, in float32, and the transformed kernels."""
    AT, G, BT = winograd_matrices(points, outputs=4)
    kernels = np.kron(G, G) @ weights.reshape(9, -1)  # (36, 9) @ (9, C F) -> (36, C F)
    both_axes = np.kron(BT, BT).astype(np.float32), np.kron(AT, AT).astype(np.float32)
    return *both_axes, kernels.astype(np.float32).reshape(36, channels, filters)


def winograd_strip(strip, y, prepared):
    input_matrix, output_matrix, kernels = prepared
    tiles = sliding_window_view(strip, (6, 6), axis=(0, 1))[::4, ::4]  # (rows / 4, W / 4, C, 6, 6), overlapping by two
    down, across = tiles.shape[:2]
    d = workspace("tiles", 6, 6, down, across, channels)
    np.copyto(d, tiles.transpose(3, 4, 0, 1, 2))
    # (36, 36) @ (36, tiles C) -> (36, tiles C)
    inputs = workspace("inputs", 36, down * across * channels)
    np.matmul(input_matrix, d.reshape(36, -1), out=inputs)
    # 36 times: (tiles, C) @ (C, F) -> (tiles, F)
    products = workspace("products", 36, down * across, filters)
    np.matmul(inputs.reshape(36, -1, channels), kernels, out=products)
    # (16, 36) @ (36, tiles F) -> (16, tiles F)
    outputs = workspace("outputs", 16, down * across * filters)
    np.matmul(output_matrix, products.reshape(36, -1), out=outputs)
    # (4, 4, down, across, F) -> (down, 4, across, 4, F)
    y.reshape(down, 4, across, 4, filters)[...] = outputs.reshape(4, 4, down, across, filters).transpose(2, 0, 3, 1, 4)


prepared = prepare((0, 1, -1, 2, -2, math.inf))


def winograd(strip, y):
    winograd_strip(strip, y, prepared)


assert error(in_blocks(winograd, image, rows=8)) < 2e-5
winograd_times = {rows: seconds(partial(in_blocks, winograd, image, rows)) for rows in (4, 8, 16, 32)}

# %% [markdown]
# The books: multiplications that are left, additions, and bytes. (A transform by a dense matrix multiplies by each entry, the
# zeros too. Lavin & Gray write out a sum for each row instead and need far fewer, but each of these sums would be a call of
# NumPy's that carries all numbers through the cache.)

# %%
tiles = height // 4 * width // 4
products = tiles * 36 * channels * filters
transforms = tiles * (36 * 36 * channels + 16 * 36 * filters)
# for each channel of a tile: read and write 36, three times; for each filter: write and read 36, write 16, read and write 16
WINOGRAD_BYTES = 4 * tiles * (5 * 36 * channels + (2 * 36 + 3 * 16) * filters)

print(f"{'':<22}{'products':>14}{'sums before, after':>20}{'MB':>8}{'operations a byte':>20}")
for name, ours, extra, touched in [
    ("im2col", MULTIPLICATIONS, 0, IM2COL_BYTES), ("shifted products", int(wider * MULTIPLICATIONS), 0, SHIFTED_BYTES),
    ("windows of one row", MULTIPLICATIONS, 0, ROW_BYTES), ("Winograd F(4x4, 3x3)", products, transforms, WINOGRAD_BYTES),
]:  # fmt: skip
    print(f"{name:<22}{ours:>14,}{extra:>20,}{touched / 1e6:>8.0f}{2 * (ours + extra) / touched:>20.1f}")
assert 4 * products == MULTIPLICATIONS
note("Winograd", min(winograd_times.values()), 2 * (products + transforms), WINOGRAD_BYTES)

# %% [markdown]
# **The price is exactness.** The transforms add numbers and subtract them again later; what was rounded in between stays. The
# farther the points are from 1, the larger the powers, and the more is lost. Points may be chosen: the library takes
# $0, \pm 3/4, \pm 3/2, \infty$.

# %%
doubles = image.astype(float), weights.astype(float)


def winograd_in_doubles(points):
    AT, G, BT = winograd_matrices(points, outputs=4)
    tiles = sliding_window_view(doubles[0], (6, 6), axis=(0, 1))[::4, ::4]
    inputs = np.einsum("ai,bj,tsCij->abtsC", BT, BT, tiles, optimize=True)
    kernels = np.einsum("ai,bj,ijCF->abCF", G, G, doubles[1], optimize=True)
    products = np.matmul(inputs.reshape(6, 6, -1, channels), kernels).reshape(6, 6, *tiles.shape[:2], filters)
    return np.einsum("ia,jb,abtsF->tisjF", AT, AT, products, optimize=True).reshape(height, width, filters)


lavin_gray, near_one = (0, 1, -1, 2, -2, math.inf), (0, 0.75, -0.75, 1.5, -1.5, math.inf)
in_float64 = windows_of(doubles[0]).reshape(-1, 9 * channels) @ doubles[1].reshape(-1, filters)
prepared_near_one = prepare(near_one)
errors = {
    "im2col": (error(in_blocks(im2col_strip, image, 8)), error(in_float64.reshape(height, width, filters))),
    "shifted products": (error(in_blocks(shifted_strip, image, 8)), None),
    "windows of one row": (error(in_blocks(row_windows_strip, image, 8)), None),
    "Winograd, 0 1 -1 2 -2 inf": (error(in_blocks(winograd, image, 8)), error(winograd_in_doubles(lavin_gray))),
    "Winograd, 0 3/4 -3/4 3/2 -3/2 inf": (
        error(in_blocks(lambda strip, y: winograd_strip(strip, y, prepared_near_one), image, 8)),
        error(winograd_in_doubles(near_one)),
    ),
}
print(f"{'largest relative error':<36}{'float32':>10}{'float64':>10}")
for name, (single, double) in errors.items():
    print(f"{name:<36}{single:>10.1e}" + ("" if double is None else f"{double:>10.1e}"))
assert errors["im2col"][0] < errors["Winograd, 0 3/4 -3/4 3/2 -3/2 inf"][0] < errors["Winograd, 0 1 -1 2 -2 inf"][0] < 2e-5
assert errors["im2col"][1] < errors["Winograd, 0 3/4 -3/4 3/2 -3/2 inf"][1] < 1e-13

# %% [markdown]
# For training in float32, this is nothing: the noise of a minibatch is larger by orders of magnitude. Who computes in float64,
# on the other hand, wants digits: a gradient check subtracts two nearly equal numbers. So the library uses Winograd in float32
# only, and float64 keeps to an algorithm whose only error is that of the order of a sum.
#
# ## 8 The second core
#
# The strips are independent of each other, and NumPy releases Python's lock while it copies and multiplies. So two threads,
# each with every other strip and workspaces of its own. One thing must be right: BLAS would like to share out each product over
# all cores by itself. Then two threads with two BLAS threads each would fight for two cores. `minivision.set_num_threads` has
# told BLAS to keep to one.

# %%
best = {
    "im2col": (im2col_strip, best_rows),
    "shifted products": (shifted_strip, min(shifted_times, key=shifted_times.get)),
    "windows of one row": (row_windows_strip, row_best),
    "Winograd": (winograd, min(winograd_times, key=winograd_times.get)),
}
print(f"{os.cpu_count()} cores")
with ThreadPoolExecutor(2) as pool:
    for name, (convolve, rows) in best.items():
        alone = in_blocks(convolve, image, rows).copy()
        assert np.allclose(in_blocks(convolve, image, rows, pool.map), alone, rtol=0, atol=1e-5)
        one = seconds(partial(in_blocks, convolve, image, rows))
        two = seconds(partial(in_blocks, convolve, image, rows, pool.map))
        print(f"{name:<20}{1e3 * one:6.1f} ms by one thread, {1e3 * two:6.1f} ms by two: {one / two:.2f} times as fast")
        if name == "Winograd":
            note("Winograd, two threads", two, 2 * (products + transforms), WINOGRAD_BYTES)

# %% [markdown]
# ## 9 Large kernels: Fourier
#
# Winograd's saving grows with the tile, and so does its error. For large kernels there is a transform that keeps its digits,
# because its points lie on the unit circle, where no power grows: Fourier's. At each frequency, a convolution is one product,
#
# $$\hat y_f = \sum_c \hat x_c\, \overline{\hat w_{f,c}}$$
#
# however large the kernel is. (The bar, complex conjugation, is for the kernel that is not flipped: what networks call
# convolution is correlation.)


# %%
def fourier(image, w):
    """image (H + k - 1, W + k - 1, C), w (F, C, k, k) -> y (H, W, F)"""
    size, k = image.shape[:2], w.shape[-1]
    seen = np.fft.rfft2(image, axes=(0, 1))  # (frequencies, C)
    kernels = np.fft.rfft2(w, size).conj().transpose(2, 3, 1, 0)  # (frequencies, C, F)
    # (1, C) @ (C, F) -> (1, F), at each frequency
    products = (seen[:, :, None] @ kernels)[:, :, 0]
    return np.fft.irfft2(products, size, axes=(0, 1))[: size[0] - k + 1, : size[1] - k + 1]  # the rest reaches around


few, side = 16, 64
kernel_sizes = [3, 5, 7, 9, 11, 15, 21, 31]
by_rule, curves = [], {"im2col": [], "fft": [], None: [], "ours": []}
for k in kernel_sizes:
    few_planes, w_k = rng.standard_normal((few, side, side), np.float32), rng.standard_normal((few, few, k, k), np.float32) / k
    around = np.pad(few_planes, ((0, 0), (k // 2, k // 2), (k // 2, k // 2))).transpose(1, 2, 0)
    arguments = tensor(few_planes[None]), tensor(w_k), None, 1, k // 2  # no bias, stride, padding
    exact = F.conv2d(*(a.double() for a in arguments[:2]), *arguments[2:]).numpy()[0]
    assert error(fourier(around, w_k), exact) < 1e-5
    curves["ours"].append(seconds(partial(fourier, around, w_k)))
    for name in ("im2col", "fft", None):  # None: by the library's rule
        with conv_algorithm(name), no_grad():
            assert error(F.conv2d(*arguments).numpy()[0], exact) < 1e-5
            curves[name].append(seconds(partial(F.conv2d, *arguments)))
    by_rule.append(conv_algorithm.explain(*arguments[:2], padding=k // 2).forward.algorithm)
print("the rule takes", dict(zip(kernel_sizes, by_rule, strict=True)))

# %%
figure = new_figure(6, 3.2, "Time over kernel size: im2col grows with the kernel's area, Fourier hardly at all; where they cross")
axes = figure.subplots()
labels = {"im2col": "im2col", "fft": "Fourier, the library's", "ours": "Fourier, as above"}
for number, (name, label) in enumerate(labels.items()):
    axes.plot(kernel_sizes, [1e3 * t for t in curves[name]], ".-", color=LINE_COLOURS[number], label=label)
ring = dict(linestyle="none", marker="o", markersize=10, fillstyle="none", color="#777777")
axes.plot(kernel_sizes, [1e3 * t for t in curves[None]], label="by the library's rule", **ring)
axes.set(xscale="log", yscale="log", xlabel="side of the kernel", ylabel=f"ms, {few} channels, {side} x {side} pixels")
axes.set_xticks(kernel_sizes, kernel_sizes)
axes.minorticks_off()
axes.yaxis.set_major_formatter("{x:g}")
axes.legend(fontsize=8, frameon=False)
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# The bumps of our own curve come from the size that is transformed, $64 + k - 1$: Fourier's transform is fast for lengths with
# small prime factors. The library cuts the image into tiles of handy sizes instead. And it transforms tiles that are not much
# larger than the kernel, so that the transformed kernels, of which there are $C \cdot F$, stay small.

# %% [markdown]
# ## 10 The library
#
# All of this is in minivision, one module for each algorithm, for any kernel, stride, dilation and number of groups, and for
# the two gradients as well: the gradient to the input is the convolution of `dy` with the flipped kernel, the gradient to the
# kernel a product of windows and `dy`. `conv_algorithm` asks for one by name. On a tiny image, all six:

# %%
tiny, tiny_w = tensor(x[None, :8, :12, :12]), tensor(w[:8, :8])
expected = reference.conv(tiny.numpy(), tiny_w.numpy(), padding=1)
for name in ("definition", "matrix", "im2col", "shifted", "winograd", "fft"):
    with conv_algorithm(name), no_grad():
        result = F.conv2d(tiny, tiny_w, padding=1).numpy()
        took = seconds(lambda: F.conv2d(tiny, tiny_w, padding=1), 1 if name == "definition" else 5)
    assert error(result[0], expected[0]) < 1e-5
    print(f"{name:<12}{1e6 * took:10,.0f} us")

# %% [markdown]
# Without a name, a rule decides, by the shapes alone. `explain` tells how, for the result and for both gradients:

# %%
examples = {
    "our layer": ((1, 64, 128, 128), (64, 64, 3, 3), 1),
    "a network's first": ((1, 3, 224, 224), (64, 3, 3, 3), 1),
    "depthwise": ((1, 64, 128, 128), (64, 1, 3, 3), 64),
    "a large kernel": ((1, 16, 128, 128), (16, 16, 31, 31), 1),
}
for name, (image_shape, weight_shape, groups) in examples.items():
    print(f"{name}: {image_shape}, {weight_shape}")
    print(conv_algorithm.explain(image_shape, weight_shape, padding=weight_shape[-1] // 2, groups=groups), end="\n\n")

in_doubles = conv_algorithm.explain(tensor(x[None].astype(float)), tensor(w.astype(float)), padding=1)
assert not {"winograd", "fft"} & {choice.algorithm for choice in in_doubles}  # float64 keeps what is exact
with conv_algorithm("fft"):
    explanation = conv_algorithm.explain((1, 64, 128, 128), (64, 64, 3, 3), padding=1)
assert {choice.algorithm for choice in explanation} == {"fft"}
with conv_algorithm("winograd"):  # has no stride of 2
    assert conv_algorithm.explain((1, 64, 128, 128), (64, 64, 3, 3), stride=2).forward.algorithm != "winograd"

# %% [markdown]
# And our layer, by each algorithm that can do it in a reasonable time, with one thread and with two; forward, and forward with
# both gradients. (The input is channels-last in memory, as it is between the layers of a network; the network's first layer
# pays for turning it around.)

# %%
batch = tensor(x[None]).contiguous(memory_format=minivision.channels_last).requires_grad_()
weight = tensor(w, requires_grad=True)
upstream = minivision.ones(1, filters, height, width).contiguous(memory_format=minivision.channels_last)


def forward():
    with no_grad():
        return F.conv2d(batch, weight, padding=1)


def forward_and_backward():
    batch.grad = weight.grad = None
    F.conv2d(batch, weight, padding=1).backward(upstream)


library = {}
print(f"{'':<12}{'one thread':>28}{'two threads':>28}")
print(f"{'ms':<12}" + 2 * f"{'forward':>12}{'with gradients':>16}")
for name in ("im2col", "shifted", "winograd", "fft", None):
    cells = []
    for threads in (1, 2):
        minivision.set_num_threads(threads)
        with conv_algorithm(name):
            assert error(forward().numpy()[0]) < 1e-5
            library[name, threads] = seconds(forward)
            cells += [library[name, threads], seconds(forward_and_backward, 3)]
    print(f"{name or 'by the rule':<12}" + "{:12.1f}{:16.1f}{:12.1f}{:16.1f}".format(*(1e3 * cell for cell in cells)))
minivision.set_num_threads(1)

# the gradient to the weight, by its definition at one place: the sum of all that this weight was multiplied by
assert np.isclose(weight.grad.numpy()[3, 5, 0, 2], planes[5, :height, 2 : 2 + width].sum(dtype=float), atol=1e-2)

# %% [markdown]
# What is it good for? `minivision.profile` shows where the time of a whole training step goes:

# %%
net = models.UNet(in_channels=3, num_classes=2, widths=(16, 32, 64))
pictures, labels = minivision.rand(4, 3, 64, 64), minivision.randint(0, 2, (4, 64, 64))


def training_step():
    F.cross_entropy(net(pictures), labels).backward()


training_step()
with minivision.profile() as measured:
    training_step()
print(measured.table(limit=6))
assert any("conv" in row.name.lower() for row in measured.rows())

# %% [markdown]
# From seven loops to the library, on a logarithmic scale. (The library's Winograd is that of section 7, with pieces of the size
# that BLAS is quickest at; the docstring of its module tells.)

# %%
chosen = conv_algorithm.explain(batch, weight, padding=1).forward.algorithm
bars = {step: row["seconds"] for step, row in steps.items()}
bars |= {f"library ({chosen}), one thread": library[None, 1], f"library ({chosen}), two threads": library[None, 2]}
rates = [2 * MULTIPLICATIONS / t / 1e9 for t in bars.values()]

small = dict(textcoords="offset points", fontsize=8)
alt = "Operations of the definition per second, from seven loops to the library, as bars on a logarithmic scale"
figure = new_figure(7, 3.6, alt)
axes = figure.subplots()
colours = [LINE_COLOURS[2 if "library" in name else 0] for name in bars]
axes.barh(range(len(bars)), rates, color=colours, log=True)
for place, rate in enumerate(rates):
    number = axes.annotate(f"{rate:.2g}" if rate < 10 else f"{rate:.0f}", (rate, place), (3, 0), va="center", **small)
    number.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
axes.set_yticks(range(len(bars)), bars, fontsize=8)
axes.invert_yaxis()
axes.axvline(SGEMM / 1e9, color="#777777", linestyle="--", linewidth=1)
axes.annotate("matrix product,\none core", (SGEMM / 1e9, 0), (-3, 0), ha="right", va="center", **small)
axes.set(xlabel="GFLOP/s, counting the definition's operations", xlim=(min(rates) / 2, 4 * max(rates)))
axes.spines[["top", "right"]].set_visible(False)
print(f"from the loops to the library with two threads: {bars['seven loops'] / library[None, 2]:,.0f} times as fast")
assert len(bars) == 12
figure

# %% [markdown]
# A bar of Winograd's that reaches beyond the line does not multiply faster than a matrix product; it multiplies less. The
# *roofline* shows how well each step uses the machine (Williams, Waterman & Patterson 2009; with a roof for each level of
# memory, Ilic, Pratas & Sousa 2014). To the right, the operations that a step has for each byte it touches; upwards, the
# operations that it *really* does per second. Under the sloping roofs, a step waits for bytes, from memory or from a cache;
# under the flat one, for arithmetic. Nothing can be above (what is, was helped by a machine that was busy when its roofs were
# measured). Most stay below, because NumPy does one thing after the other: a step that first copies and then multiplies pays
# for both.

# %%
SGEMM = max(SGEMM, 2 * 1024**3 / seconds(lambda: a @ b, repeats=10))  # once more: the machine may have been busy the first time
one_core = {step: row for step, row in steps.items() if "threads" not in step}

alt = "Roofline: the rate of each step over its arithmetic intensity, under the roofs of memory, cache and matrix product"
figure = new_figure(7.5, 3.8, alt)
wide, close = figure.subplots(1, 2, width_ratios=[3, 2])
intensities = np.geomspace(0.05, 300, 1000)
pale = small | dict(color="#666666")
for axes in (wide, close):
    for rate in (CACHE, MEMORY):
        axes.plot(intensities, np.minimum(SGEMM, rate * intensities) / 1e9, color="#999999", linewidth=1.2)
for rate, label, start, side in [(CACHE, "a cache", (0.06, 1.2), "bottom"), (MEMORY, "memory", (0.2, 0.8), "top")]:
    slope = dict(rotation=math.degrees(math.atan(rate / 1e9)), rotation_mode="anchor", transform_rotates_text=True, va=side)
    wide.text(start[0], start[0] * start[1] * rate / 1e9, label, fontsize=8, color="#666666", **slope)
wide.annotate("matrix product, one core", (300, SGEMM / 1e9), (0, 4), ha="right", **pale)
once = 2 * MULTIPLICATIONS / (2 * x.nbytes + w.nbytes)
wide.axvline(once, ymin=0.55, ymax=0.94, color="#999999", linestyle=":", linewidth=1)
wide.annotate("each number\ntouched once", (once, 4), (-3, 0), ha="right", **pale)

palette, beside = [*LINE_COLOURS, "#222222", "#8b4513", "#888888"], {5: (6, 3), 7: (-11, -3)}
print(f"{'':<26}{'ms':>10}{'10^6 operations':>18}{'MB touched':>12}{'operations a byte':>20}{'of the limit':>14}")
for number, (step, row) in enumerate(one_core.items(), 1):
    intensity, rate = row["operations"] / row["bytes"], row["operations"] / row["seconds"] / 1e9
    print(f"{step:<26}{1e3 * row['seconds']:>10,.1f}{row['operations'] / 1e6:>18,.0f}{row['bytes'] / 1e6:>12,.0f}", end="")
    print(f"{intensity:>20.2f}{1e9 * rate / SGEMM:>14.3%}")
    for axes in (wide, close):
        axes.plot(intensity, rate, "o", color=palette[number - 1], markersize=6, label=f"{number}  {step}")
    (wide if number <= 3 else close).annotate(number, (intensity, rate), beside.get(number, (6, -9)), **small)
# Winograd once more, with the operations that the definition would have done in its time
effective = 2 * MULTIPLICATIONS / row["seconds"] / 1e9
arrow = dict(arrowstyle="->", color="#666666", shrinkA=5, shrinkB=5)
close.annotate("", (intensity, effective), (intensity, rate), arrowprops=arrow)
close.plot(intensity, effective, "o", fillstyle="none", color=palette[number - 1], markersize=6)
close.annotate("counted by\nthe definition", (intensity, effective), (8, -4), **small)

wide.set(xscale="log", yscale="log", xlabel="operations for each byte that is touched", ylabel="GFLOP/s, operations really done")
wide.legend(fontsize=8, frameon=False, loc="lower right")
lowest = min(step["operations"] / step["seconds"] / 1e9 for step in list(one_core.values())[3:])
close.set(xscale="log", yscale="log", xlim=(4, 16), ylim=(0.8 * lowest, 1.4 * effective))
close.set_title("steps 4 to 9 close by", fontsize=9)
close.set_xticks([4, 6, 10, 16], [4, 6, 10, 16])
ticks = [tick for tick in (10, 20, 50, 100, 200, 500) if 0.8 * lowest < tick < 1.4 * effective]
close.set_yticks(ticks, ticks)
close.minorticks_off()
for axes in (wide, close):
    axes.spines[["top", "right"]].set_visible(False)
assert steps["seven loops"]["bytes"] > steps["im2col, in blocks"]["bytes"] > steps["Winograd"]["bytes"]
figure

# %% [markdown]
# What we learned, in one line for each step:
#
# 1. Python's loops spend their time on Python. Say more with each call.
# 2. A call that does little with each number waits for memory. Count operations to the byte.
# 3. A matrix product does much with each number. Make one; and copy along the runs that lie in memory.
# 4. What was just written is in the cache, if it is small. Work in blocks, in memory that was used before.
# 5. The best copy is none: a view will do, where it can.
# 6. Between copying everything and copying nothing there is a middle. Count what it saves, and what it costs.
# 7. When the machine is busy with arithmetic, do less of it; and know the digits that this costs.
# 8. Cores are given away once.
# 9. Which algorithm wins is a question of the shapes. Measure, and write down a rule.
#
# `docs/convolution-algorithms.md` says for each algorithm what it costs, how exact it is and when it is the fastest. How the
# library compares with PyTorch, whose convolution is written in C++ and assembler: `make bench NAME=conv3x3` in a clone of the
# repository runs the same layers with both, forward and backward, one after the other on the same machine, and prints the
# ratio. Nothing in this notebook needs PyTorch.
#
# **To try:** Give the layer 8 channels, or 256, and see which step gains (what does $F/6$ say?). Write
# $F(2 \times 2, 3 \times 3)$: how many multiplications, which error? Where does Fourier cross im2col with 64 channels?
