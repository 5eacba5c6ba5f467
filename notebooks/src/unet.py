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
# # U-Net
#
# Ronneberger, Fischer and Brox, *U-Net: convolutional networks for biomedical image segmentation* (2015,
# [arXiv:1505.04597](https://arxiv.org/abs/1505.04597)): a contracting path that finds out what is there, an expanding path that
# finds out where, and at each level a copy across. This notebook follows the paper: its figure, its sizes, its tiles, its
# deformations, its loss weights. On the way it trains a network that finds the coins in a photograph, and one that separates
# touching cells.
#
# Each claim in the text is an `assert` in the code under it.

# %%
import numpy as np
import skimage.data
from matplotlib.patches import Rectangle
from scipy import ndimage
from skimage.filters import threshold_local, threshold_otsu

import minivision  # in Colab: %pip install "minivision[train]" scikit-image
from minivision import data, metrics, models, no_grad, optim, tensor, training, viz
from minivision.nn import functional as F
from minivision.viz.figures import new_figure, show_picture

minivision.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## 1 The figure of the paper, in sizes
#
# The paper's convolutions are *valid*: a 3 x 3 convolution without padding loses one pixel on each side, so an image of
# 572 x 572 pixels ends as a map of 388 x 388. The sizes depend on the depth alone and not on the channels, so a net with few
# channels can show them. A hook on each layer notes what goes through.

# %%
paper = models.UNet(in_channels=1, num_classes=2, padding="valid", norm=None)
print(f"the paper's network: {sum(p.numel() for p in paper.parameters()):,} parameters, 572 -> {paper.output_size(572)}")
del paper

narrow = models.UNet(in_channels=1, num_classes=2, widths=(2, 4, 8, 16, 32), padding="valid", norm=None)
sizes = {}
for name, module in narrow.named_modules():
    if not list(module.children()):

        def note(module, inputs, output, name=name):
            sizes.setdefault(name, []).append(output.shape[-1])

        module.register_forward_hook(note)

with no_grad():
    scores = narrow(minivision.rand(1, 1, 572, 572))
assert scores.shape == (1, 2, 388, 388)

# %% [markdown]
# Level by level: the size of the copy at the end of the contracting step, the size of the map that comes up to meet it, and
# what has to be cropped from the copy on each side.

# %%
levels = range(narrow.depth)
copies = [sizes[f"down.{level}.2"][0] for level in levels]
ups = [sizes[f"up.{narrow.depth - 1 - level}"][0] for level in levels]
crops = [(copy - up) // 2 for copy, up in zip(copies, ups, strict=True)]

print("level   copy     up   crop per side")
for level, row in enumerate(zip(copies, ups, crops, strict=True)):
    print("{:5} {:6} {:6} {:6}".format(level, *row))
assert copies == [568, 280, 136, 64] and ups == [392, 200, 104, 56] and crops == [88, 40, 16, 4]

# %%
path = [572]
for level in levels:
    path += [sizes[f"down.{level}.{i}"][0] for i in (0, 2)] + [sizes["pool"][level]]
path += [sizes[f"bottom.{i}"][0] for i in (0, 2)]
for level in levels:
    path += [sizes[f"up.{level}"][0]] + [sizes[f"merge.{level}.{i}"][0] for i in (0, 2)]
assert len(path) == 27 and path[-1] == 388

figure = new_figure(8, 3.2, "Height of the maps along U-Net's path, from 572 down to 28 and up to 388")
axes = figure.subplots()
axes.plot(path, "o:", color="#0072b2", markersize=4, linewidth=0.8)
for place, size in enumerate(path):
    label = axes.annotate(size, (place, size), (0, 5), textcoords="offset points", ha="center", fontsize=7)
    label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
for level in levels:
    here, there = 2 + 3 * level, len(path) - 3 - 3 * level
    arrow = {"arrowstyle": "->", "color": "#d55e00", "shrinkA": 8, "shrinkB": 8}
    axes.annotate("", (there, path[there]), (here, path[here]), arrowprops=arrow)
    middle = np.sqrt(path[here] * path[there])
    axes.annotate(f"copy, crop {crops[level]}", (13, middle), (0, 5), textcoords="offset points", ha="center", fontsize=8)
axes.set(yscale="log", yticks=[], xticks=[], ylim=(24, 800))
axes.set(ylabel="height = width (log)", xlabel="two convolutions and a pooling, ..., an up-convolution and two convolutions")
axes.minorticks_off()
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# ## 2 Legal sizes
#
# Each pooling needs an even size, or the way up does not meet the way down. Through two convolutions a size loses 4, so not
# every size stays even four times. Which do? The network knows, and says so before it computes anything.

# %%
legal = [n for n in range(1, 1000) if narrow.output_size(n)]
print("legal:", *legal[:6], "...")
assert legal[0] == 188 and all(n % 16 == 12 for n in legal) and len(legal) == len(range(188, 1000, 16))

try:
    narrow(minivision.rand(1, 1, 570, 570))
except ValueError as error:
    message = str(error)
print(message)
assert "556 or 572" in message

# %% [markdown]
# What is lost from input to output follows from adding up: $S(d) = 12 \cdot 2^d - 8$ pixels for $d$ poolings, for the paper's
# four 184. With `padding="same"` nothing is lost, and any multiple of $2^d$ will do; at the price of zeros that the network
# sees beyond the border.

# %%
for depth in (1, 2, 3, 4):
    net = models.UNet(1, 2, widths=2, depth=depth, padding="valid")
    n = next(n for n in range(500, 600) if net.output_size(n))
    assert n - net.output_size(n) == 12 * 2**depth - 8

same = models.UNet(1, 2, widths=2, depth=4, padding="same")
assert [n for n in range(1, 100) if same.output_size(n)] == [16, 32, 48, 64, 80, 96]

# %% [markdown]
# ## 3 Overlap-tile
#
# A large image does not fit into memory, or not into the network. Because every output pixel of a valid network has seen
# nothing but image, one may compute the output in tiles and put these side by side. Each tile needs input beyond its edges:
# inputs overlap, outputs do not. At the border of the image there is nothing beyond, and the paper mirrors the image there.


# %%
def predict_in_tiles(net, image, tile, step=None):
    """Scores (C, H, W) of an image (channels, H, W), from inputs of tile x tile pixels at distances of `step`."""
    size = net.output_size(tile)
    step, border = step or size, (tile - size) // 2
    height, width = image.shape[1:]
    # one tile more at the bottom and on the right, for what remains
    padded = np.pad(image, ((0, 0), (border, border + size), (border, border + size)), mode="reflect")
    scores = np.zeros((net.num_classes, height + size, width + size), np.float32)
    with no_grad():
        for y in range(0, height, step):
            for x in range(0, width, step):
                patch = tensor(padded[None, :, y : y + tile, x : x + tile])
                scores[:, y : y + size, x : x + size] = net(patch).numpy()[0]
    return scores[:, :height, :width]


# %% [markdown]
# Is the result what the network would have said about the whole image at once? Exactly, if the tiles start at multiples of
# $2^d$. A pooling takes pixels in pairs; a tile that starts in the middle of a pair pools other pairs. The paper's own tiles
# are such ones: $388 = 24 \cdot 16 + 4$, so with steps of 388 the phase changes from tile to tile. Steps 4 shorter are exact.

# %%
net = models.UNet(1, 2, widths=(4, 8, 16, 32), padding="valid", norm=None).eval()  # depth 3: phases of 8
picture = skimage.data.coins()[None, :100, :130].astype(np.float32) / 255

whole = predict_in_tiles(net, picture, tile=220)  # 220 -> 132: a single tile
difference = {}
for step in (44, 40):
    tiled = predict_in_tiles(net, picture, tile=132, step=step)  # 132 -> 44
    difference[step] = abs(tiled - whole).max(axis=0) / abs(whole).max()
    worst = difference[step].max()
    print(f"steps of {step} = {step // 8} * 8 + {step % 8}: relative difference to the whole up to {worst:.1e}")
    assert (worst < 1e-5) == (step % 8 == 0)

# %%
figure = new_figure(7, 2.1, "The mirrored image with one input tile and its output, and where tiles differ from the whole")
left, *others = figure.subplots(1, 3, width_ratios=[218, 170, 170])
show_picture(left, np.pad(picture[0], 44, mode="reflect"), "mirrored image", cmap="gray")
for x, y, width, height, colour in [(44, 44, 130, 100, "white"), (40, 40, 132, 132, "#e69f00"), (84, 84, 44, 44, "#e69f00")]:
    left.add_patch(Rectangle((x - 0.5, y - 0.5), width, height, fill=width == 44, alpha=0.35, color=colour, linewidth=0))
    left.add_patch(Rectangle((x - 0.5, y - 0.5), width, height, fill=False, edgecolor=colour, linewidth=1.5))
for axes, (step, values) in zip(others, difference.items(), strict=True):
    show_picture(axes, values, f"error, steps of {step}", cmap="magma", vmin=0, vmax=difference[44].max())
figure

# %% [markdown]
# Left: the image (white), an input tile (orange), and the part of it for which the network answers (filled). Right: with steps
# of 44, tiles whose row or column starts at an odd multiple of 44 are out of phase.

# %% [markdown]
# ## 4 Elastic deformation
#
# Thirty annotated images were all the paper had. Tissue is soft, so it invents more by bending them: random displacements on
# a coarse 3 x 3 grid, interpolated smoothly to every pixel. Image and mask move together, and the mask keeps its labels.

# %%
scene = data.TouchingCells(length=1, size=(96, 96), seed=5, cells=(20, 20))[0]
image, mask = scene.pair()
lines = np.full((1, 96, 96), 1.0, np.float32)
lines[:, 4::8], lines[:, :, 4::8] = 0.2, 0.2

bend = data.ElasticDeformation(std=6, points=3)
bent_lines, _ = bend(lines, None, np.random.default_rng(4))
bent_image, bent_mask = bend(image, mask, np.random.default_rng(4))  # the same seed: the same deformation
assert bent_image.shape == image.shape and set(np.unique(bent_mask)) == {0, 1}
assert 0.8 < bent_mask.mean() / mask.mean() < 1.25

figure = new_figure(7, 1.6, "Grid, cells and mask before and after an elastic deformation")
panels = {"grid": lines, "bent": bent_lines, "cells": image, "bent ": bent_image, "mask": mask, "bent  ": bent_mask}
for axes, (name, panel) in zip(figure.subplots(1, 6), panels.items(), strict=True):
    show_picture(axes, panel if panel.ndim == 2 else panel[0], name, cmap="gray", vmin=0, vmax=1)
figure

# %% [markdown]
# ## 5 A photograph
#
# Enough of theory: `coins` is a photograph of Greek coins from Pompeii that scikit-image brings along. It is lit unevenly: in
# the upper left corner even the background lies above a global threshold. Labels come from a classical recipe: a threshold that
# follows the local brightness, holes filled, specks removed. So the network will learn to imitate this recipe, from pixels
# alone. The left half is for training, the right half for testing.

# %%
photograph = skimage.data.coins()
above = photograph > threshold_local(photograph, block_size=101, offset=-10)
solid = ndimage.binary_opening(ndimage.binary_fill_holes(above), iterations=2)
pieces, count = ndimage.label(solid)
large = np.bincount(pieces.ravel()) >= 300
large[0] = False  # 0 is what lies between the pieces
labels = large[pieces].astype(np.int64)
assert large.sum() == 24
assert photograph[:20, :100].mean() > threshold_otsu(photograph)

half = photograph.shape[1] // 2
pixels = photograph[None].astype(np.float32) / 255
normalize = data.Normalize(mean=float(pixels[:, :, :half].mean()), std=float(pixels[:, :, :half].std()))
normal, _ = normalize(pixels)

figure = new_figure(4, 3.2, "The photograph with its labels; a line separates the training half from the test half")
axes = figure.subplots()
show_picture(axes, viz.overlay(photograph, labels, alpha=0.35))
axes.axvline(half - 0.5, color="white", linewidth=1.5)
axes.text(half - 6, 298, "training", color="white", ha="right", fontsize=9)
axes.text(half + 6, 298, "test", color="white", fontsize=9)
figure

# %% [markdown]
# One photograph is a data set if one cuts patches from it: mirrored at the border, at random places, flipped and bent. A patch
# is what the network sees, 124 pixels; its label is the middle, the 84 pixels for which the network answers.


# %%
class Patches(data.Dataset):
    """`length` random patches of one image: (image (C, tile, tile), mask (size, size))."""

    def __init__(self, image, mask, tile, size, length):
        self.tile, self.border, self.length = tile, (tile - size) // 2, length
        sides = (self.border, self.border)
        self.image, self.mask = np.pad(image, ((0, 0), sides, sides), mode="reflect"), np.pad(mask, sides[0], mode="reflect")
        self.change = data.Compose([
            data.RandomCrop(tile), data.RandomHorizontalFlip(), data.RandomVerticalFlip(), data.ElasticDeformation(4, points=4),
        ])  # fmt: skip

    def __len__(self):
        return self.length

    def get(self, index, rng):
        image, mask = self.change(self.image, self.mask, rng)
        inner = slice(self.border, self.tile - self.border)
        return image, mask[inner, inner]


minivision.manual_seed(0)
coin_net = models.UNet(in_channels=1, num_classes=2, widths=(8, 16, 32), padding="valid")
patches = Patches(normal[:, :, :half], labels[:, :half], tile=124, size=coin_net.output_size(124), length=64)
loader = data.DataLoader(patches, batch_size=4, seed=0)

epochs = 5
optimizer = optim.Adam(coin_net.parameters())
schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=epochs * len(loader))
history = training.fit(coin_net, loader, optimizer, epochs=epochs, scheduler=schedule, scheduler_step="batch")

# %%
coin_net.eval()
test = normal[:, :, half:], labels[:, half:]
predicted = predict_in_tiles(coin_net, test[0], tile=124).argmax(axis=0)  # 124 -> 84, a multiple of 2^2: exact

confusion = metrics.ConfusionMatrix(2, names=("background", "coin"))
confusion.update(predicted, test[1])
print(confusion)
assert confusion.iou[1] > 0.9

viz.segmentation_panels([photograph[:, half:]], [test[1]], [predicted], ["background", "coin"])

# %% [markdown]
# What is wrong lies along the edges, where the labels themselves are uncertain, and in dark parts of a relief: this small network
# sees 20 pixels in each direction, too few to know that it is inside a large coin.

# %% [markdown]
# ## 6 Cells that touch
#
# Coins lie apart; cells do not. Two cells with one missing pixel of background between them are one cell, for whoever counts
# them afterwards. The pixels that matter most are a small part of the image, and plain cross-entropy weighs all alike. The
# paper weighs each pixel by how narrow the gap is in which it lies:
#
# $$w(x) = w_c(x) + w_0 \exp\left(-\frac{(d_1(x) + d_2(x))^2}{2\sigma^2}\right)$$
#
# with $d_1$ and $d_2$ the distances to the nearest and to the second nearest cell, $w_0 = 10$ and $\sigma = 5$ pixels.

# %%
cells = data.TouchingCells(length=160, seed=1, noise=0.06)
scene = cells[3]
weights = data.unet_weight_map(scene.instances, w0=10, sigma=5)

# By the formula, at the background pixel of the largest weight.
place = np.unravel_index(weights.argmax(), weights.shape)
distances = sorted(np.hypot(*(np.argwhere(mask) - place).T).min() for mask in scene.masks)
by_hand = 1 + 10 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * 5**2))
assert scene.instances[place] == 0 and np.isclose(weights[place], by_hand, rtol=1e-6)
assert np.all(weights[scene.instances > 0] == 1)

figure = new_figure(6.4, 2.2, "Touching cells: image, instances, weight map")
axes = figure.subplots(1, 3)
show_picture(axes[0], scene.image, "image")
show_picture(axes[1], viz.colorize(scene.instances), f"{len(scene.masks)} cells")
figure.colorbar(show_picture(axes[2], weights, "weight of each pixel", cmap="magma", vmin=0), ax=axes[2], shrink=0.75)
figure

# %% [markdown]
# `weighted_cross_entropy` takes the map beside the labels. It divides by the sum of the weights, so the map changes what
# counts, not how large the steps are.

# %%
scores = minivision.randn(1, 2, 64, 64)
target = tensor(scene.semantic[None].astype(np.int64))
each = F.cross_entropy(scores, target, reduction="none").numpy()[0]
weighted = F.weighted_cross_entropy(scores, target, tensor(weights[None])).item()
assert np.isclose(weighted, (weights * each).sum() / weights.sum(), rtol=1e-5)

# %% [markdown]
# Two networks from the same random weights, on the same batches: one trained with the plain loss, one with the map. The
# data set hands the map out as the third part of a sample; `fit` passes on to the loss whatever comes after the image.


# %%
def samples(scenes):
    """Arrays of grey images (N, 1, H, W), masks (N, H, W) and weight maps (N, H, W)."""
    images, masks = zip(*(scene.pair() for scene in scenes), strict=True)
    maps = [data.unet_weight_map(scene.instances) for scene in scenes]
    return (np.stack(images)[:, :1] - 0.5) / 0.25, np.stack(masks), np.stack(maps)


def train_on_cells(loss, net):
    loader = data.DataLoader(data.TensorDataset(*train_arrays), batch_size=4, shuffle=True, seed=0)
    optimizer = optim.Adam(net.parameters())
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=2 * len(loader))
    training.fit(net, loader, optimizer, epochs=2, scheduler=schedule, scheduler_step="batch", loss_fn=loss, progress=False)
    with no_grad():
        return net.eval()(tensor(test_arrays[0])).argmax(1).numpy()


def new_net():
    minivision.manual_seed(2)
    return models.UNet(in_channels=1, num_classes=2, widths=(8, 16, 32))


test_cells = data.TouchingCells(length=32, seed=2, noise=0.06)
train_arrays, test_arrays = samples(list(cells)), samples(list(test_cells))
cell_net = new_net()
predictions = {
    "plain": train_on_cells(lambda scores, masks, maps: F.cross_entropy(scores, masks), new_net()),
    "weighted": train_on_cells(F.weighted_cross_entropy, cell_net),
}

# %% [markdown]
# Count cells as a biologist would: connected pieces of foreground. A cell is found if a piece covers it with an IoU above 0.5.


# %%
def cells_found(prediction, masks):
    pieces, count = ndimage.label(prediction)
    ious = [[np.sum(mask & (pieces == n)) / np.sum(mask | (pieces == n)) for n in range(1, count + 1)] for mask in masks]
    return sum(max(row, default=0) > 0.5 for row in ious)


cells_in_all = sum(len(scene.masks) for scene in test_cells)
found, foreground = {}, {}


def report(name):
    confusion = metrics.ConfusionMatrix(2)
    confusion.update(predictions[name], test_arrays[1])
    foreground[name] = confusion.iou[1]
    found[name] = sum(cells_found(p, scene.masks) for p, scene in zip(predictions[name], test_cells, strict=True))
    print(f"{name:24} IoU of the foreground {foreground[name]:.3f}, cells found {found[name]} of {cells_in_all}")


report("plain")
report("weighted")
assert found["weighted"] > 1.3 * found["plain"] and found["weighted"] > 0.75 * cells_in_all
assert abs(foreground["weighted"] - foreground["plain"]) < 0.06

# %%
figure = new_figure(6.4, 2.0, "One test image: the cells, and the pieces found with plain and with weighted loss")
scene, axes = test_cells[0], figure.subplots(1, 4)
show_picture(axes[0], scene.image, "image")
show_picture(axes[1], viz.colorize(scene.instances), "truth", f"{len(scene.masks)} cells")
for panel, (name, prediction) in zip(axes[2:], predictions.items(), strict=True):
    pieces, count = ndimage.label(prediction[0])
    show_picture(panel, viz.colorize(pieces), name, f"{count} pieces")
figure

# %% [markdown]
# By the pixel measure the two networks hardly differ. The gap pixels are few, so IoU does not see them; a count of cells sees
# nothing else. Which measure and which loss are right depends on what the segmentation is for.
#
# ## 7 What the copies contribute
#
# At the top level two maps of the same size are concatenated: the copy from the contracting path, which has seen two pixels
# around each place, and the map that came up from below, which has seen much more of the image, but at half the resolution or
# less. Here are some channels of each.

# %%
seen = {}
handles = [
    cell_net.down[0].register_forward_hook(lambda module, inputs, output: seen.update(copy=output)),
    cell_net.up[-1].register_forward_hook(lambda module, inputs, output: seen.update(up=output)),
]
with no_grad():
    cell_net(tensor(test_arrays[0][:1]))
for handle in handles:
    handle.remove()

both = np.concatenate([seen["copy"].numpy()[0, :6], seen["up"].numpy()[0, :6]])
viz.feature_maps(both, columns=6, title="Six channels of the copy (top), six of what came up from below (bottom)")

# %% [markdown]
# How much do the copies matter? Train the same network without them: a hook sets the copied channels to zero before each
# merging block, in training and in testing.


# %%
def without_copies(net):
    for merge, width in zip(net.merge, reversed(net.widths[:-1]), strict=True):
        keep = tensor(np.repeat([0.0, 1.0], width).astype(np.float32).reshape(1, -1, 1, 1))  # channels: the copy, then the rest
        merge.register_forward_pre_hook(lambda module, inputs, keep=keep: (inputs[0] * keep,))
    return net


predictions["weighted, without copies"] = train_on_cells(F.weighted_cross_entropy, without_copies(new_net()))
for name in predictions:
    report(name)
assert foreground["weighted, without copies"] < foreground["weighted"] - 0.03

truth = test_arrays[1]
figure = new_figure(6.4, 2.2, "A test image, and the pixels that are wrong with and without copies")
image, *others = figure.subplots(1, 3)
show_picture(image, scene.image, "image")
for axes, name in zip(others, ("weighted", "weighted, without copies"), strict=True):
    wrong = (predictions[name] != truth).mean()
    show_picture(axes, viz.error_map(scene.image, truth[0], predictions[name][0]), name, f"{wrong:.1%} of all pixels wrong")
figure

# %% [markdown]
# Without copies the network still knows where the cells are, but no longer where exactly they end: the position within a block of
# 4 x 4 pixels was lost in two poolings, and has to be guessed from what the channels remember of it.
#
# ## Exercises
#
# 1. Train `coin_net` on the right half and test it on the left one, where the corner is bright. Then compare with a global
#    threshold, `skimage.filters.threshold_otsu`. Where does each of them fail?
# 2. Remove the elastic deformation, the flips, or both from `Patches`. How much of the IoU do they carry?
# 3. Set `w0=0` in `samples`, then 1, 3, 30. At which weight do cells begin to come apart, and what does a very large one spoil?
# 4. Replace `predict_in_tiles`' mirroring by zeros (`mode="constant"`). Where, and how far into the image, do scores change?
