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
# # Quickstart
#
# minivision is a small framework for learning how segmentation networks work: NumPy underneath, PyTorch's names on top, and
# every derivative written out where one can read it. This notebook goes once through all of it, from a gradient to a trained
# U-Net: tensors, one operation by hand, a gradient check, a data set of image files, training, predictions, checkpoints.
#
# What the text claims, the code under it asserts.

# %%
import inspect
import tempfile
from pathlib import Path

import numpy as np

import minivision  # in Colab: %pip install "minivision[train]"
from minivision import data, models, no_grad, optim, tensor, training, viz
from minivision.functions.linear import Linear
from minivision.nn import functional as F
from minivision.viz.figures import new_figure, show_picture

minivision.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## 1 Tensors and gradients
#
# A tensor is an array that remembers which operation made it. `backward()` walks back through these operations and leaves, in
# `.grad`, the derivative with respect to each tensor that asked for it. For $L = \sum_i (w x_i + b - t_i)^2$:

# %%
x, t = tensor([0.0, 1.0, 2.0]), tensor([1.0, 3.0, 4.0])
w, b = tensor(1.0, requires_grad=True), tensor(0.0, requires_grad=True)

error = w * x + b - t
loss = (error**2).sum()
loss.backward()

print(loss, w.grad, b.grad)
assert w.grad.item() == (2 * error * x).sum().item() == -12  # dL/dw = sum of 2 (w x + b - t) x
assert b.grad.item() == (2 * error).sum().item() == -10

# %% [markdown]
# Those who know PyTorch know the rest already: `import minivision as torch` is meant to work for a plain teaching model.
#
# ## 2 One operation by hand
#
# Every operation is a class with two methods on plain arrays, as in the CS231n assignments: `forward` computes the output and
# keeps what backward will need, `backward` receives the gradient of the loss with respect to the output and returns it with
# respect to each input. The fully connected layer $Y = X W^\top + b$ reads:

# %%
print(inspect.getsource(Linear))

# %%
X, W, bias = rng.normal(size=(4, 3)), rng.normal(size=(2, 3)), rng.normal(size=2)

f = Linear()
Y = f.forward(X, W, bias)
dY = rng.normal(size=Y.shape)  # in a network, this comes from the layers above
dX, dW, dbias = f.backward(dY)

assert np.allclose(Y, X @ W.T + bias)
assert np.allclose(dX, dY @ W) and np.allclose(dW, dY.T @ X) and np.allclose(dbias, dY.sum(axis=0))

# %% [markdown]
# ## 3 Is the gradient right?
#
# Change one input a little in both directions and see how the output moves. For $L = \sum Y \odot dY$ the derivative is what
# `backward(dY)` claims:
#
# $$\frac{\partial L}{\partial x_i} \approx \frac{L(x_i + h) - L(x_i - h)}{2h}.$$
#
# In float64, with $h = 10^{-5}$, about ten digits should agree.


# %%
def numerical_gradient(function, array, h=1e-5):
    """Central differences of function(), which reads `array`, for each element of the array."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + h
        above = function()
        array[index] = value - h
        below = function()
        array[index] = value
        gradient[index] = (above - below) / (2 * h)
    return gradient


def total():
    return (Linear().forward(X, W, bias) * dY).sum()


for name, array, gradient in [("dX", X, dX), ("dW", W, dW), ("db", bias, dbias)]:
    numerical = numerical_gradient(total, array)
    relative = abs(gradient - numerical).max() / abs(numerical).max()
    print(f"{name}: relative error {relative:.1e}")
    assert relative < 1e-8

# %% [markdown]
# An operation of your own is the same two methods. Called on tensors, it takes part in the graph like any other.


# %%
class Swish(minivision.Function):
    """y = x s(x) with s the logistic sigmoid;  dx = (s + x s (1 - s)) dy"""

    def forward(self, x):
        self.x, self.s = x, 1 / (1 + np.exp(-x))
        return x * self.s

    def backward(self, dy):
        return (self.s + self.x * self.s * (1 - self.s)) * dy


x = rng.normal(size=(3, 4))
numerical = numerical_gradient(lambda: Swish().forward(x).sum(), x)

leaf = tensor(x, requires_grad=True)
Swish()(leaf).sum().backward()
assert np.allclose(leaf.grad.numpy(), numerical, atol=1e-9)

# %% [markdown]
# ## 4 Pictures to learn from
#
# ShapesWorld generates labelled pictures from a seed. The class of an object is its shape; its colour says nothing. Each scene
# comes with everything that the systems of the course need: a class for each pixel, a mask for each object, boxes, captions.

# %%
world = data.ShapesWorld.preset("small", length=400, seed=1)
scene = world[7]
print(world.classes, [world.caption(scene, i) for i in range(len(scene.labels))])

figure = new_figure(7.2, 2.0, "A scene of ShapesWorld: image, classes, objects, boxes")
axes = figure.subplots(1, 4)
show_picture(axes[0], scene.image, "image")
show_picture(axes[1], viz.colorize(scene.semantic), "class of each pixel")
show_picture(axes[2], viz.overlay(scene.image, scene.instances), "objects")
show_picture(axes[3], scene.image, "boxes")
for x1, y1, x2, y2 in scene.boxes - 0.5:  # imshow puts the centre of the first pixel at 0
    axes[3].plot([x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1], color="white", linewidth=1.5)
figure

# %% [markdown]
# Real data lie in files, so let these do so too. `write_voc` writes the layout of Pascal VOC: JPEG images, palette PNG masks, a
# text file that lists each split. `VOCSegmentation` reads it, as it reads the real VOC 2012.

# %%
workplace = tempfile.TemporaryDirectory()
root = Path(workplace.name)
data.write_voc(root, world, split="train")
data.write_voc(root, data.ShapesWorld.preset("small", length=64, seed=2), split="val")

for folder in sorted(path for path in root.rglob("*") if path.is_dir()):
    files = sorted(path.name for path in folder.iterdir() if path.is_file())
    if files:
        print(f"{folder.relative_to(root)}: {len(files)} files, {files[0]} ...")

# %% [markdown]
# A sample is an image $(3, H, W)$ with values in $[0, 1]$ and a mask $(H, W)$ of labels. Transforms change both together: a
# picture that is flipped needs its mask flipped. The loader makes batches, in an order that depends on its seed alone.

# %%
normalization = {"mean": 0.5, "std": 0.25}
augment = data.Compose([data.RandomHorizontalFlip(), data.Normalize(**normalization)])
train_set = data.VOCSegmentation(root, image_set="train", transforms=augment)
val_set = data.VOCSegmentation(root, image_set="val", transforms=data.Normalize(**normalization))
train_loader = data.DataLoader(train_set, batch_size=8, shuffle=True, seed=0)
val_loader = data.DataLoader(val_set, batch_size=16)

images, labels = next(iter(train_loader))
print(images.shape, images.dtype, labels.shape, labels.dtype)
assert images.shape == (8, 3, 48, 48) and labels.shape == (8, 48, 48)

# %% [markdown]
# ## 5 A U-Net
#
# Down the contracting path the resolution is halved three times, up the expanding path doubled again; at each level the finer
# map is copied across. `print(model)` shows the whole tree. The loss is cross-entropy per pixel.

# %%
model = models.UNet(in_channels=3, num_classes=4, widths=(8, 16, 32, 64))
print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters")

scores = model(images)
loss = F.cross_entropy(scores, labels)
assert scores.shape == (8, 4, 48, 48)  # a score for each class at each pixel

# %% [markdown]
# Training is this loop:
#
# ```python
# for images, labels in train_loader:
#     optimizer.zero_grad()
#     loss = F.cross_entropy(model(images), labels, ignore_index=255)
#     loss.backward()
#     optimizer.step()
#     schedule.step()
# ```
#
# `training.fit` runs it for some epochs and looks after everything around it: progress, validation, checkpoints, Ctrl-C, a loss
# that turns NaN.

# %%
epochs = 6
optimizer = optim.Adam(model.parameters())
schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=epochs * len(train_loader))
history = training.fit(
    model, train_loader, optimizer, epochs=epochs, scheduler=schedule, scheduler_step="batch", val_loader=val_loader,
    classes=world.classes, normalization=normalization, folder=root / "run",
)  # fmt: skip

# %%
viz.loss_curve(history)

# %% [markdown]
# ## 6 What it learned
#
# Mean IoU averages, over the classes, the overlap of prediction and truth divided by their union. For each class, on the
# pictures it has not seen:

# %%
confusion = training.evaluate(model, val_loader, num_classes=4, names=world.classes)
print(confusion)
assert confusion.mean_iou == history[-1]["mean_iou"] > 0.75

# %%
images, labels = next(iter(val_loader))
with no_grad():
    predicted = model.eval()(images).argmax(dim=1)
pictures = images.numpy() * normalization["std"] + normalization["mean"]
viz.segmentation_panels(pictures[:4].clip(0, 1), labels[:4], predicted[:4], world.classes)

# %% [markdown]
# ## 7 Save, load, predict
#
# `fit` kept the best epoch in `best.safetensors`. A checkpoint knows how to build its network and how its images were
# normalised, so that it can be used without the code above. (The command `minivision predict` does that for whole folders.)

# %%
path = root / "run" / "best.safetensors"
loaded = training.load_model(path)
checkpoint = training.load_checkpoint(path)
print(checkpoint.config, checkpoint.classes, checkpoint.normalization)

image = data.read_image(val_set.images[0])
prepared, _ = data.Normalize(**checkpoint.normalization)(image)
with no_grad():
    mask = loaded(tensor(prepared).unsqueeze(0)).argmax(dim=1).numpy()[0]
data.save_mask(root / "prediction.png", mask)

again = training.evaluate(loaded, val_loader, num_classes=4)
assert again.mean_iou == max(row["mean_iou"] for row in history)
assert np.array_equal(data.read_mask(root / "prediction.png"), mask)

# %%
figure = new_figure(3.6, 1.9, "An image file and the mask predicted for it")
left, right = figure.subplots(1, 2)
show_picture(left, viz.as_rgb(image), val_set.images[0].name)
show_picture(right, viz.overlay(image, data.read_mask(root / "prediction.png"), alpha=0.6), "prediction.png")
figure

# %%
workplace.cleanup()

# %% [markdown]
# ## Where to go next
#
# - `fcn`: from a classifier to dense prediction, and why transposed convolution is convolution's backward.
# - `unet`: the paper's figure in code, and a U-Net for a real photograph.
# - `minivision/functions/`: every operation, one file per lecture topic. Read `convolution/` and `loss.py` first.
# - `minivision demo` on the command line: a U-Net and three FCNs, trained on image files, with pictures.
