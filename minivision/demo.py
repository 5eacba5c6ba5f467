"""`minivision demo`: write a labelled set of image files, train four networks on it, and show what they have learned."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minivision import data, models, training, viz
from minivision.autograd import Tensor
from minivision.backend import manual_seed
from minivision.nn import Module
from minivision.optim import Adam
from minivision.optim.lr_scheduler import OneCycleLR

TITLES = {"unet": "U-Net", "fcn32s": "FCN-32s", "fcn16s": "FCN-16s", "fcn8s": "FCN-8s"}
FCNS = ("fcn32s", "fcn16s", "fcn8s")
SHOWN = 5  # held-out images in the pictures


@dataclass(frozen=True)
class Recipe:
    """What is trained on what, and for how long."""

    train_images: int
    test_images: int
    difficulty: str  # of `data.ShapesWorld.preset`
    size: int  # of the images, in pixels
    batch_size: int
    max_lr: float  # Adam, up and down in one cycle
    networks: Mapping[str, Mapping[str, Any]]  # arguments of `models.create`
    epochs: Mapping[str, int]
    least_miou: float | None  # claimed of the U-Net, beside FCN-8s > FCN-16s > FCN-32s; None claims nothing


# One or two upright objects, and shape decides the class. Networks small enough for two cores, with four levels or more: what
# a unit of the lowest one sees must be larger than the objects.
FCN = {"widths": (16, 32, 48, 64, 64), "layers": (2, 2, 2, 2, 2), "fc": 96, "norm": "batch", "dropout": 0.0}
STANDARD = Recipe(
    train_images=800,
    test_images=100,
    difficulty="easy",
    size=64,
    batch_size=8,
    max_lr=1e-2,
    networks={"unet": {"widths": (8, 16, 32, 64)}, **dict.fromkeys(FCNS, FCN)},
    epochs={"unet": 6, **dict.fromkeys(FCNS, 3)},
    least_miou=0.90,
)

# A look at the machinery, in seconds; the networks learn next to nothing.
TINY_FCN = {**FCN, "widths": (4, 8, 8, 8, 8), "layers": (1, 1, 1, 1, 1), "fc": 8}
QUICK = replace(
    STANDARD,
    train_images=16,
    test_images=6,
    networks={"unet": {"widths": (4, 8)}, **dict.fromkeys(FCNS, TINY_FCN)},
    epochs=dict.fromkeys(TITLES, 1),
    least_miou=None,
)


class RecordingTrainer(training.Trainer):
    """A trainer that keeps the loss of every update, for the loss curve."""

    losses: list[float]

    def train_step(self, images: Tensor, *targets: Tensor) -> float:
        loss = super().train_step(images, *targets)
        self.losses.append(loss)
        return loss


def run(
    out: str | os.PathLike[str] = "demo", recipe: Recipe = STANDARD, seed: int = 0, device: str = "cpu"
) -> dict[str, dict[str, Any]]:
    """Run the whole demo into the folder `out`, printing what happens, and return the results by network.

    Leaves `data` (image files in the Pascal VOC layout), `checkpoints/NAME.safetensors`, pictures, and `results.json`: for unet,
    fcn32s, fcn16s and fcn8s the miou and pixel_accuracy on held-out images, the seconds of training, and the parameters.

    Raises KeyboardInterrupt when a training was stopped by Ctrl-C; what was finished before stays.
    """
    folder = data.make_folder(out)
    started = time.perf_counter()

    heading(1, f"Image files in the Pascal VOC layout: {folder / 'data'}")
    classes = write_files(folder / "data", recipe, seed)
    train_set = data.VOCSegmentation(folder / "data", image_set="train")
    test_set = data.VOCSegmentation(folder / "data", image_set="val")
    print(f"{len(train_set)} images to learn from and {len(test_set)} held out, {recipe.size} x {recipe.size} pixels")
    print(f"classes: {', '.join(classes)}; colours are drawn at random, only the shape tells them apart")

    images, masks = zip(*(test_set[i] for i in range(min(SHOWN, len(test_set)))), strict=True)  # the first, not the best ones
    results, confusions, histories, losses, predictions = {}, {}, {}, {}, {}
    for number, (name, title) in enumerate(TITLES.items(), start=2):
        manual_seed(seed)
        model = models.create(name, num_classes=len(classes), **recipe.networks[name])
        parameters = sum(parameter.numel() for parameter in model.parameters())
        heading(number, f"{title}: {parameters:,} parameters, epochs: {recipe.epochs[name]}")
        model.to(device)
        trainer, seconds = train(model, train_set, test_set, recipe, name, seed)
        histories[title], losses[title] = trainer.history, trainer.losses
        confusions[name] = training.evaluate(model, data.DataLoader(test_set, recipe.batch_size), len(classes), names=classes)
        predictions[name] = predict(model, images)
        results[name] = {
            "miou": confusions[name].mean_iou,
            "pixel_accuracy": confusions[name].pixel_accuracy,
            "seconds": seconds,
            "parameters": parameters,
        }
        path = data.make_folder(folder / "checkpoints") / f"{name}.safetensors"
        training.save_checkpoint(path, model, classes=classes, results=results[name])

    heading(len(TITLES) + 2, f"Pictures and numbers: {folder}")
    figures = {
        "unet.png": viz.segmentation_panels(images, masks, predictions["unet"], classes, title="U-Net on held-out images"),
        "fcn.png": viz.compare_models(images, masks, {TITLES[name]: predictions[name] for name in FCNS}, classes),
        "loss.png": viz.loss_curve(histories, losses),
        "confusion.png": viz.confusion_matrix(confusions["unet"], title="U-Net: where the pixels of each class go, %"),
    }
    for file, figure in figures.items():
        viz.save(figure, folder / file)
    write_json(folder / "results.json", results)
    print(report(results, recipe))
    print(f"\n{time.perf_counter() - started:.0f} s in all. Look at {', '.join(str(folder / file) for file in figures)}.")
    example = test_set.images[0]
    print(f"Try: minivision predict {folder / 'checkpoints' / 'unet.safetensors'} {example} --out {folder / 'predictions'}")
    return results


def heading(number: int, text: str) -> None:
    print(f"\n[{number}/{len(TITLES) + 2}] {text}", flush=True)


def write_files(folder: Path, recipe: Recipe, seed: int) -> tuple[str, ...]:
    """Write the splits `train` and `val`, out of two different worlds, and return the names of the classes."""
    for split, length, world_seed in (("train", recipe.train_images, 2 * seed), ("val", recipe.test_images, 2 * seed + 1)):
        world = data.ShapesWorld.preset(recipe.difficulty, length, seed=world_seed, size=recipe.size)
        data.write_voc(folder, world, split)
    return world.classes


def train(
    model: Module, train_set: data.VOCSegmentation, test_set: data.VOCSegmentation, recipe: Recipe, name: str, seed: int
) -> tuple[RecordingTrainer, float]:
    """Train `model`; return its trainer and the seconds. The held-out images are measured on, but nothing is chosen by them."""
    train_loader = data.DataLoader(train_set, recipe.batch_size, shuffle=True, num_workers=1, seed=seed)
    optimizer = Adam(model.parameters(), lr=recipe.max_lr)
    trainer = RecordingTrainer(
        model,
        train_loader,
        optimizer,
        scheduler=OneCycleLR(optimizer, recipe.max_lr, total_steps=recipe.epochs[name] * len(train_loader)),
        scheduler_step="batch",
        val_loader=data.DataLoader(test_set, recipe.batch_size, num_workers=1),
        classes=train_set.classes,
    )
    trainer.losses = []
    started = time.perf_counter()
    if trainer.fit(recipe.epochs[name]).interrupted:
        raise KeyboardInterrupt
    return trainer, time.perf_counter() - started


def predict(model: Module, images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the n label maps (H, W) that the model gives to n images (3, H, W)."""
    with training.evaluation_mode(model):
        return list(model(Tensor(np.stack(images)).to(model.device)).argmax(1).numpy())


def report(results: Mapping[str, Mapping[str, Any]], recipe: Recipe) -> str:
    """Return the results as a table, and what became of the claims."""
    lines = [f"{'network':8}  {'mIoU':>6}  {'pixel accuracy':>14}  {'training':>9}  {'parameters':>10}"]
    for name, title in TITLES.items():
        r = results[name]
        lines.append(f"{title:8}  {r['miou']:6.3f}  {r['pixel_accuracy']:14.3f}  {r['seconds']:7.1f} s  {r['parameters']:10,}")
    if recipe.least_miou is not None:
        coarse, middle, fine = (results[name]["miou"] for name in FCNS)
        claims = {
            f"U-Net reaches mIoU {recipe.least_miou:.2f}": results["unet"]["miou"] >= recipe.least_miou,
            "FCN-8s is better than FCN-16s, and that better than FCN-32s": fine > middle > coarse,
        }
        lines += [f"{'yes' if holds else 'NO ':3}  {claim}" for claim, holds in claims.items()]
    return "\n".join(lines)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as JSON in one step; arrays become lists, paths strings, and NaN, which JSON does not have, null."""
    with data.atomic_write(path) as file:
        file.write(f"{json.dumps(plain(value), indent=2)}\n".encode())


def plain(value: Any) -> Any:
    """Return `value` with nothing in it that JSON lacks."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(entry) for entry in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
