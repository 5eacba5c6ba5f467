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
# # Fully convolutional networks
#
# A classifier looks at an image and names one thing. Semantic segmentation wants a name for every pixel. This notebook walks
# from the one to the other, along the paper that took the step first: Long, Shelhamer and Darrell, *Fully convolutional
# networks for semantic segmentation* (2015, [arXiv:1411.4038](https://arxiv.org/abs/1411.4038)); in CS231n the lecture
# "Detection and segmentation", in EECS 498 lecture 16.
#
# Each claim in the text is an `assert` in the code under it.

# %%
import math

import numpy as np

import minivision  # in Colab: %pip install "minivision[train]"
from minivision import data, metrics, models, nn, no_grad, optim, tensor, training, viz
from minivision.nn import functional as F
from minivision.viz.figures import new_figure, show_picture

minivision.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## 1 A classifier, slid over an image
#
# A small classifier for patches of 22 x 22 pixels: two convolutions with pooling, then a fully connected layer on the
# flattened 16 x 4 x 4 map.

# %%
features = nn.Sequential(
    nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
)  # fmt: skip
fc = nn.Linear(16 * 4 * 4, 5)


def classify(patches):
    """(N, 3, 22, 22) -> scores (N, 5)"""
    return fc(features(patches).flatten(1))


print(features(minivision.rand(1, 3, 22, 22)).shape)

# %% [markdown]
# Segmentation by sliding: cut a patch around every fourth pixel, classify it, and write the scores where the patch was. It
# works, and computes almost everything many times over, because neighbouring patches overlap.

# %%
image = minivision.rand(1, 3, 46, 70)
stride, window = 4, 22
rows, columns = (46 - window) // stride + 1, (70 - window) // stride + 1

slid = np.zeros((5, rows, columns))
with no_grad():
    for i in range(rows):
        for j in range(columns):
            y, x = stride * i, stride * j
            slid[:, i, j] = classify(image[:, :, y : y + window, x : x + window]).numpy()[0]
print(rows * columns, "patches")

# %% [markdown]
# The fully connected layer multiplies each of its weights with one position of the 16 x 4 x 4 map. So does a convolution with
# a 4 x 4 kernel. The weights are the same numbers in another shape, $(5, 256) \to (5, 16, 4, 4)$. But the convolution also
# accepts larger maps, and then gives a score for every position.

# %%
score = models.convolutionalize(fc, channels=16, kernel_size=4)
with no_grad():
    dense = score(features(image)).numpy()[0]

assert np.array_equal(score.weight.numpy().reshape(5, 256), fc.weight.numpy())
assert dense.shape == slid.shape == (5, rows, columns)
assert np.allclose(dense, slid, atol=1e-6)

pixels_slid, pixels_dense = rows * columns * window**2, 46 * 70
print(f"the sliding classifier read {pixels_slid / pixels_dense:.1f} times as many pixels for the same {dense.shape} scores")

# %% [markdown]
# ## 2 The score map is coarse
#
# In a VGG trunk five poolings halve the resolution, so scores come at a stride of 32 pixels. The network below is a narrow
# VGG whose fully connected layers have been converted in the same way, as in the paper. (It pads its convolutions, so that
# the map of a 96 x 96 image is exactly 3 x 3; the paper pads the image by 100 pixels instead, `padding="paper"`.)

# %%
world = data.ShapesWorld(length=480, size=96, seed=1, radius=(18, 30))
test_world = data.ShapesWorld(length=96, size=96, seed=2, radius=(18, 30))
classes = world.classes
config = dict(num_classes=len(classes), widths=(8, 16, 32, 64, 64), layers=(1, 1, 1, 1, 1), fc=96, norm="batch", dropout=0.0)

fcn32s = models.FCN32s(**config)
for size in [(96, 96), (64, 96), (224, 224)]:
    with no_grad():
        pool3, pool4, scores = fcn32s.trunk(minivision.rand(1, 3, *size))
    print(size, "-> pool3", pool3.shape[2:], " pool4", pool4.shape[2:], " scores", scores.shape[2:])
    assert [n * 32 for n in scores.shape[2:]] == list(size)

# %% [markdown]
# Three by three scores for 96 x 96 pixels: the network knows *what* but hardly *where*. The scores have to be enlarged. The layer
# for that can be learned, and it is convolution's own mirror image.
#
# ## 3 Transposed convolution is convolution's backward
#
# Forward, a convolution with stride 2 gathers: each output is a weighted sum of a window, and windows are 2 apart. Transposed,
# it stamps: each input lays its multiple of the kernel onto the output, stamps are 2 apart, and where they overlap they add
# up. By hand, for the input $(1, 10)$ and the kernel $(1, 2, 3)$:

# %%
x, kernel, stride = np.array([1.0, 10.0]), np.array([1.0, 2.0, 3.0]), 2

stamped = np.zeros((len(x) - 1) * stride + len(kernel))
for i, value in enumerate(x):
    stamped[i * stride : i * stride + len(kernel)] += value * kernel
    print(f"after stamp {i}: {stamped}")

assert stamped.tolist() == [1, 2, 13, 20, 30]
layer = F.conv_transpose1d(tensor(x).view(1, 1, -1), tensor(kernel).view(1, 1, -1), stride=2)
assert np.array_equal(layer.numpy().ravel(), stamped)

# %% [markdown]
# `padding` cuts off what the convolution's padding would have added, and `output_padding` computes more positions at the end:
# a convolution with stride 2 maps an input of length 3 as well as one of length 4 to an output of length 2, so the way back
# needs to be told which one is meant. The length is
#
# $$L_\text{out} = (L - 1)\,s - 2p + k + \text{output\_padding} \qquad \text{(without dilation).}$$


# %%
def conv_transpose(x, kernel, **settings):
    return F.conv_transpose1d(tensor(x).view(1, 1, -1), tensor(kernel).view(1, 1, -1), **settings).numpy().ravel().tolist()


assert conv_transpose(x, kernel, stride=2, padding=1) == [2, 13, 20]
assert conv_transpose(x, kernel, stride=2, padding=1, output_padding=1) == [2, 13, 20, 30]

square = tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 2)
ones = minivision.ones(1, 1, 3, 3)
enlarged = F.conv_transpose2d(square, ones, stride=2, padding=1, output_padding=1)
assert enlarged.tolist()[0][0] == [[1, 3, 2, 2], [4, 10, 6, 6], [3, 7, 4, 4], [3, 7, 4, 4]]
print(enlarged.numpy()[0, 0])

# %% [markdown]
# Why is this *the transposed* convolution? A convolution is linear, so it is a matrix: column $i$ is what it makes of the
# $i$-th unit vector. Backpropagation through $y = Cx$ multiplies by $C^\top$. So does the stamping.

# %%
length = 7
weight = tensor(kernel).view(1, 1, -1)
unit_vectors = tensor(np.eye(length)).view(length, 1, length)  # a batch of 7 signals
C = F.conv1d(unit_vectors, weight, stride=2).numpy()[:, 0].T  # (3, 7): each row is a window, shifted by the stride
print(C)

y = rng.normal(size=len(C))
stamps = conv_transpose(y, kernel, stride=2)
assert np.allclose(C.T @ y, stamps)  # transposed convolution multiplies by the transposed matrix

signal = tensor(rng.normal(size=(1, 1, length)), requires_grad=True)
F.conv1d(signal, weight, stride=2).backward(tensor(y).view(1, 1, -1))
assert np.allclose(signal.grad.numpy().ravel(), stamps)  # and so does the backward of convolution

# %%
figure = new_figure(5, 2.8, "The matrix of a convolution with stride 2, and its transpose")
panels = zip(figure.subplots(1, 2, width_ratios=[7, 3]), (C, C.T), ("C: 7 values to 3", "C, transposed: 3 to 7"), strict=True)
for axes, matrix, name in panels:
    show_picture(axes, matrix, name, cmap="Blues", vmin=0, vmax=5)
    for (i, j), value in np.ndenumerate(matrix):
        axes.text(j, i, f"{value:g}", ha="center", va="center", fontsize=7, color="#222222" if value else "#bbbbbb")
figure

# %% [markdown]
# An equivalent statement, which needs no matrix and serves as a test of any pair of forward and backward:
# $\langle Cx, y\rangle = \langle x, C^\top y\rangle$ for all $x$ and $y$.

# %%
image, scores = rng.normal(size=(1, 2, 9, 12)), rng.normal(size=(1, 3, 4, 5))
weight = tensor(rng.normal(size=(3, 2, 3, 4)))
forward = F.conv2d(tensor(image), weight, stride=2)
back = F.conv_transpose2d(tensor(scores), weight, stride=2)
assert forward.shape == scores.shape and back.shape == image.shape
assert abs((forward.numpy() * scores).sum() - (image * back.numpy()).sum()) < 1e-10

# %% [markdown]
# One thing to know before using it: when the kernel is not a multiple of the stride, some outputs get more stamps than
# others. Constant input, constant kernel, and still a pattern, the *checkerboard*. With $k = 4$ and $s = 2$ every interior
# output gets the same number.

# %%
flat = minivision.ones(1, 1, 6, 6)
counts = {k: F.conv_transpose2d(flat, minivision.ones(1, 1, k, k), stride=2).numpy()[0, 0] for k in (2, 3, 4)}
assert set(counts[2].ravel()) == {1} and set(counts[4][2:-2, 2:-2].ravel()) == {4}
assert set(counts[3][2:-2, 2:-2].ravel()) == {1, 2, 4}

figure = new_figure(6.5, 2.3, "Number of stamps on each output of a transposed convolution with stride 2")
for axes, (k, count) in zip(figure.subplots(1, 3), counts.items(), strict=True):
    numbers = ", ".join(f"{n:g}" for n in np.unique(count[2:-2, 2:-2]))
    show_picture(axes, count, f"k = {k}, stride 2", f"stamps inside: {numbers}", cmap="magma", vmin=0, vmax=4)
figure

# %% [markdown]
# ## 4 Start as bilinear interpolation
#
# FCN does not let the upsampling start at random: its kernel starts as a tent, with which stamping *is* bilinear
# interpolation. For a factor $s$ the tent is $k = 2s$ wide, so that two neighbouring tents overlap and sum to 1 everywhere
# between their centres:
#
# $$w_{ij} = \bigl(1 - |i - c| / s\bigr)\bigl(1 - |j - c| / s\bigr), \qquad c = s - \tfrac12.$$

# %%
tent = nn.init.bilinear_kernel(4)
print(tent)
assert np.array_equal(tent, np.outer([0.25, 0.75, 0.75, 0.25], [0.25, 0.75, 0.75, 0.25]))

figure = new_figure(8, 2.4, "Bilinear kernels for factors 2, 8 and 32, and the tents of neighbouring stamps")
*panels, line = figure.subplots(1, 4, width_ratios=[1, 1, 1, 1.7])
for axes, factor in zip(panels, (2, 8, 32), strict=True):
    show_picture(axes, nn.init.bilinear_kernel(2 * factor), f"s = {factor}", f"k = {2 * factor}", cmap="magma", vmin=0)
total, row = np.zeros(40), nn.init.bilinear_kernel(16).sum(axis=0) / 8
for start in (0, 8, 16, 24):
    line.plot(np.arange(start, start + 16), row, ".-", markersize=4)
    total[start : start + 16] += row
line.plot(total, color="#222222", linewidth=1)
line.set_title("s = 8: stamps and their sum", fontsize=10)
assert np.allclose(total[8:32], 1)
figure

# %% [markdown]
# Away from the border, this equals `interpolate`. At the border it does not: the transposed convolution has no neighbour
# there to overlap with, so values fade, while interpolation repeats the last value.

# %%
upsample = nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, bias=False)
nn.init.bilinear_(upsample.weight)
small = minivision.randn(1, 4, 6, 8)
with no_grad():
    stamped = upsample(small).numpy()
resized = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False).numpy()

difference = abs(stamped - resized).max(axis=(0, 1))
assert stamped.shape == resized.shape == (1, 4, 12, 16)
assert difference[1:-1, 1:-1].max() < 1e-6  # the interior
assert difference[0].max() > 0.1 and difference[:, -1].max() > 0.1  # the border, one pixel wide

viz.kernels(upsample.weight, title="The weight (4, 4, 4, 4): a tent for each class, nothing between classes")

# %% [markdown]
# ## 5 Cross-entropy, pixel by pixel
#
# The loss is the classifier's, averaged over pixels. Three numbers to know by heart, or rather by computation.
#
# *The start.* FCN's score layer starts at zero, so all classes are equally likely and the loss is $\ln C$. (Zero is harmless
# for this last layer: its gradient does not vanish, as long as the layers under it are not zero too.)


# %%
def pairs(scenes):
    return data.SceneSegmentation(list(scenes), transforms=data.Normalize(0.5, 0.25))


train_set = pairs(world)
test_set = pairs(test_world)
loader = data.DataLoader(train_set, batch_size=4, shuffle=True, drop_last=True, seed=0)
test_loader = data.DataLoader(test_set, batch_size=16)

images, labels = next(iter(test_loader))
loss = F.cross_entropy(fcn32s(images), labels)
print(f"{loss.item():.6f}, and ln {len(classes)} = {math.log(len(classes)):.6f}")
assert abs(loss.item() - math.log(len(classes))) < 1e-6

loss.backward()
assert abs(fcn32s.score.weight.grad.numpy()).max() > 0

# %% [markdown]
# *The ignored label.* Real data sets mark the outlines of objects as void, 255, because there nobody can tell. Void pixels
# contribute neither loss nor gradient, and do not count in the mean.

# %%
scores = minivision.randn(1, 3, 2, 2, requires_grad=True)
target = tensor(np.array([[[0, 2], [255, 1]]]))
F.cross_entropy(scores, target, ignore_index=255).backward()

log_p = scores.detach().log_softmax(dim=1).numpy()[0]
by_hand = -(log_p[0, 0, 0] + log_p[2, 0, 1] + log_p[1, 1, 1]) / 3  # three pixels count
assert abs(F.cross_entropy(scores, target, ignore_index=255).item() - by_hand) < 1e-6
assert np.all(scores.grad.numpy()[0, :, 1, 0] == 0) and np.all(scores.grad.numpy()[0, :, 1, 1] != 0)

# %% [markdown]
# *The learning rate belongs to the reduction.* The authors' code sums the loss over all pixels instead of averaging, which is
# why its learning rates look absurd: $10^{-10}$ for FCN-32s. With $N H W$ pixels the gradient of the sum is $N H W$ times that
# of the mean. A rate that is copied without its reduction is too large or too small by this factor: the loss becomes NaN, or
# nothing is learned.

# %%
scores = minivision.randn(4, 21, 50, 60, requires_grad=True)
target = minivision.randint(0, 21, (4, 50, 60))
gradient = {}
for reduction in ("mean", "sum"):
    scores.grad = None
    F.cross_entropy(scores, target, reduction=reduction).backward()
    gradient[reduction] = scores.grad.numpy()
ratio = np.linalg.norm(gradient["sum"]) / np.linalg.norm(gradient["mean"])
print(f"gradient of the sum / gradient of the mean = {ratio:.1f}")
assert abs(ratio / (4 * 50 * 60) - 1) < 1e-4

# %% [markdown]
# ## 6 The measure: mean intersection over union
#
# Pixel accuracy flatters: where most pixels are background, a network that sees nothing scores well. The paper's measure
# counts, for every class, $n_{ij}$, the pixels of class $i$ predicted as $j$, and takes
#
# $$\text{mIoU} = \frac1C \sum_i \frac{n_{ii}}{\sum_j n_{ij} + \sum_j n_{ji} - n_{ii}} .$$

# %%
truth = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 255]])
guess = np.array([[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 1], [0, 0, 0, 1]])
confusion = metrics.ConfusionMatrix(2, ignore_index=255)
confusion.update(guess, truth)
print(confusion.matrix)

hits = np.diag(confusion.matrix)
iou = hits / (confusion.matrix.sum(axis=1) + confusion.matrix.sum(axis=0) - hits)
assert confusion.matrix.tolist() == [[10, 1], [1, 3]]
assert np.allclose(iou, [10 / 12, 3 / 5]) and math.isclose(confusion.mean_iou, iou.mean())

nothing = metrics.ConfusionMatrix(len(classes))
for _, labels in test_loader:
    nothing.update(np.zeros(labels.shape, int), labels)
print(f"a network that always says background: accuracy {nothing.pixel_accuracy:.3f}, mIoU {nothing.mean_iou:.3f}")
assert nothing.pixel_accuracy > 3 * nothing.mean_iou

# %% [markdown]
# How good can a segmentation be that has one label for each block of $s \times s$ pixels? The paper asks this too. Take the
# most frequent true label of each block, and measure.


# %%
def in_blocks(labels, s):
    """The most frequent label of each s x s block, at every pixel of the block."""
    n, height, width = labels.shape
    blocks = labels.reshape(n, height // s, s, width // s, s)
    counts = np.stack([(blocks == c).sum(axis=(2, 4)) for c in range(len(classes))])  # (C, N, H/s, W/s)
    return counts.argmax(axis=0).repeat(s, axis=1).repeat(s, axis=2)


truth = np.stack([mask for _, mask in test_set])
yardstick = {s: metrics.mean_iou(in_blocks(truth, s), truth, len(classes)) for s in (32, 16, 8)}
print({f"stride {s}": round(value, 3) for s, value in yardstick.items()})
assert yardstick[32] < yardstick[16] < yardstick[8] < 1

# %% [markdown]
# Our images are small, so a stride of 32 hurts more than in the paper, whose images are about 500 pixels wide. (The numbers are
# a yardstick and no strict bound: between two scores, bilinear upsampling can put an edge inside a block.)
#
# ## 7 FCN-32s
#
# Now train. ShapesWorld draws disks, squares and triangles whose colour says nothing about their class, so a network has to
# look at outlines. One function serves all stages: Adam, with a learning rate that rises and falls once (`OneCycleLR`). As in
# the paper, the last upsampling stays the bilinear one, while those before it are learned.

# %%
figure = new_figure(6.6, 1.3, "Six images of ShapesWorld")
for axes, scene in zip(figure.subplots(1, 6), world, strict=False):
    show_picture(axes, scene.image)
figure


# %%
def train(network, epochs, peak):
    network.final.weight.requires_grad_(False)
    optimizer = optim.Adam(parameter for parameter in network.parameters() if parameter.requires_grad)
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=epochs * len(loader))
    loader.set_epoch(0)
    history = training.fit(network, loader, optimizer, epochs=epochs, scheduler=schedule, scheduler_step="batch", progress=False)
    return f"loss {history[-1]['loss']:.3f}"


def evaluate(network):
    return training.evaluate(network, test_loader, len(classes), names=classes)


minivision.manual_seed(1)
fcn32s = models.FCN32s(**config)
print(train(fcn32s, epochs=2, peak=1e-2))
results = {"FCN-32s": evaluate(fcn32s)}
print(results["FCN-32s"])

# %% [markdown]
# ## 8 Skips: FCN-16s and FCN-8s
#
# *Where* has not been lost, it is still there in the finer maps before the last poolings. FCN-16s scores pool4, at stride 16,
# with a 1 x 1 convolution of its own, adds these scores to the coarse ones enlarged by 2, and enlarges the sum by 16. FCN-8s
# does it once more with pool3.
#
# The new score layers start at zero. So a finer network starts with what the coarser one predicts, and can only improve
# on it; the paper trains its three networks in this order, each from the last. To be exact: at its start, FCN-16s enlarges the
# scores of FCN-32s in two steps, by 2 and by 16, instead of by 32 at once.

# %%
fcn16s = models.FCN16s(**config).start_from(fcn32s).eval()
fcn32s.eval()
images, labels = next(iter(test_loader))
with no_grad():
    scores = fcn32s.trunk(images)[2]
    two_steps = fcn16s.final(fcn16s.up2(scores))
    start, coarse = fcn16s(images), fcn32s(images)

assert np.array_equal(start.numpy(), two_steps.numpy())
same = (start.argmax(1) == coarse.argmax(1)).float().mean().item()
print(f"untrained FCN-16s and FCN-32s agree on {same:.1%} of the pixels")
assert same > 0.9

# %% [markdown]
# One epoch for each stage. A sceptic will object that FCN-16s may gain from the additional epoch rather than from the skip, so
# FCN-32s gets the same epoch too, as a control.

# %%
control = models.FCN32s(**config).start_from(fcn32s)
for name, network in {"FCN-32s, one epoch more": control, "FCN-16s": fcn16s}.items():
    print(name, train(network, epochs=1, peak=5e-3))
    results[name] = evaluate(network)

fcn8s = models.FCN8s(**config).start_from(fcn16s)
print("FCN-8s", train(fcn8s, epochs=1, peak=5e-3))
results["FCN-8s"] = evaluate(fcn8s)

for name, confusion in results.items():
    print(f"{name:25} mIoU {confusion.mean_iou:.3f}   pixel accuracy {confusion.pixel_accuracy:.3f}")
assert results["FCN-8s"].mean_iou > results["FCN-16s"].mean_iou > results["FCN-32s"].mean_iou
assert results["FCN-16s"].mean_iou > results["FCN-32s, one epoch more"].mean_iou


# %%
def predict(network, images):
    network.eval()
    with no_grad():
        return network(images).argmax(1).numpy()


chosen = slice(0, 3)
networks = {"FCN-32s": fcn32s, "FCN-16s": fcn16s, "FCN-8s": fcn8s}
viz.compare_models(
    [scene.image for scene in test_world][chosen],
    labels.numpy()[chosen],
    {name: predict(network, images[chosen]) for name, network in networks.items()},
    classes,
)

# %% [markdown]
# FCN-32s knows what is there and about where; with nine scores per image it cannot draw it. Each skip halves the step. What is
# left is in the confusion matrix: which classes does FCN-8s still take for which?

# %%
viz.confusion_matrix(results["FCN-8s"])

# %% [markdown]
# What did training do to the upsampling that it was allowed to change? The kernels started as tents within a class and zeros
# between classes.

# %%
learned = fcn8s.up2.weight.detach().numpy()
within = np.eye(len(classes), dtype=bool)
print(f"within a class, change of the tent: up to {abs(learned[within] - nn.init.bilinear_kernel(4)).max():.2f}")
print(f"between classes, where zeros were: up to {abs(learned[~within]).max():.2f}")
assert abs(learned[~within]).max() > 0.02
assert np.array_equal(fcn8s.final.weight.numpy()[within], np.repeat(nn.init.bilinear_kernel(16)[None], 4, axis=0).astype("f4"))
by_output = learned.swapaxes(0, 1)  # a transposed convolution keeps its weight as (in, out, k, k)
viz.kernels(by_output, title="First upsampling of FCN-8s after training (in and out: classes)")

# %% [markdown]
# ## Exercises
#
# 1. Train FCN-8s at once, from random weights, for as many epochs as the three stages took together. The paper finds the two
#    ways about equal. Here?
# 2. Let the last upsampling learn too (leave out the line with `requires_grad_`). What becomes of the agreement between the
#    untrained FCN-16s and FCN-32s, and why? How can FCN-32s do so much better now? Look at `viz.kernels(fcn32s.final.weight)`.
# 3. Replace the sum by a concatenation of the maps, and you have invented the copies of the U-Net: see the notebook `unet`.
