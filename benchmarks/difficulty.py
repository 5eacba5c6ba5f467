"""How well the demo's networks do at each difficulty of `ShapesWorld`: mean IoU on 100 scenes, after training on 800 others.

The recipe is the demo's (`minivision.demo.STANDARD`), on scenes in memory instead of files. One run each, with the seed given,
so a number is good to a few hundredths. All networks at all difficulties take about half an hour on two cores; the default is
the U-Net alone.
"""

from __future__ import annotations

import argparse
import time

from minivision import data, demo, models, training
from minivision.backend import manual_seed
from minivision.optim import Adam
from minivision.optim.lr_scheduler import OneCycleLR


def mean_iou(difficulty: str, name: str, seed: int, epochs: int) -> float:
    """Train network `name` at one difficulty and measure it on scenes of another seed."""
    recipe = demo.STANDARD
    train_world = data.ShapesWorld.preset(difficulty, recipe.train_images, seed=2 * seed)
    test_world = data.ShapesWorld.preset(difficulty, recipe.test_images, seed=2 * seed + 1)
    manual_seed(seed)
    classes = train_world.classes
    model = models.create(name, num_classes=len(classes), **recipe.networks[name])
    loader = data.DataLoader(data.SceneSegmentation(train_world), recipe.batch_size, shuffle=True, seed=seed)
    optimizer = Adam(model.parameters())
    schedule = OneCycleLR(optimizer, recipe.max_lr, total_steps=epochs * len(loader))
    training.fit(model, loader, optimizer, epochs=epochs, scheduler=schedule, scheduler_step="batch", progress=False)
    test_loader = data.DataLoader(data.SceneSegmentation(test_world), recipe.batch_size)
    return training.evaluate(model, test_loader, len(classes)).mean_iou


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--difficulties", nargs="+", choices=data.DIFFICULTIES, default=list(data.DIFFICULTIES))
    parser.add_argument("--networks", nargs="+", choices=list(demo.TITLES), default=["unet"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longer", type=int, default=1, help="train this many times as long as the demo (default: %(default)s)")
    arguments = parser.parse_args()
    for difficulty in arguments.difficulties:
        for name in arguments.networks:
            if name != "unet" and data.ShapesWorld.preset(difficulty, 1).size[0] % 32:
                continue  # the FCNs take multiples of 32
            epochs = arguments.longer * demo.STANDARD.epochs[name]
            started = time.perf_counter()
            score = mean_iou(difficulty, name, arguments.seed, epochs)
            steps = epochs * demo.STANDARD.train_images // demo.STANDARD.batch_size
            print(
                f"{difficulty:8} {demo.TITLES[name]:8} mIoU {score:.3f}   {steps} steps, {time.perf_counter() - started:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
