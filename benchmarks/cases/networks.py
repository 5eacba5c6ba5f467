"""Whole networks: a training step (forward, cross entropy over pixels, backward, optimizer), inference, and peak memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import networks
from benchmarks.case import Arrays, Case, Step, Target, Work

FAST = Target(1.0, 1.3)
SMALL = Target(1.5, 2.5)
MEMORY = Target(1.1, 1.5)
# An error of 1e-5 in the values sends about as large a share of the gradients another way; the root mean square of that is 3e-3.
# Batch norm over few positions makes ten times as much of it.
KINKS = 5e-2

Network = Callable[[Any], Any]
Shape = tuple[int, int, int, int]


def arrays_of(shape: Shape, classes: int) -> Callable[[np.random.Generator], Arrays]:
    def arrays(rng: np.random.Generator) -> Arrays:
        batch, _, height, width = shape
        return {"x": rng.standard_normal(shape, np.float32), "target": rng.integers(0, classes, (batch, height, width))}

    return arrays


def training(network: Network, optimizer: str) -> Callable[[Any, Arrays], Step]:
    """Adam, or SGD with momentum, with a small rate: the loss stays about where it is for as long as the timing lasts."""

    def build(torch: Any, arrays: Arrays) -> Step:
        model = networks.with_weights(torch, network(torch))
        x, target = torch.from_numpy(arrays["x"]), torch.from_numpy(arrays["target"])
        if optimizer == "adam":
            rule = torch.optim.Adam(model.parameters(), lr=1e-5)
        else:
            rule = torch.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)
        named = dict(model.named_parameters())

        def step() -> dict[str, Any]:
            rule.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), target)
            loss.backward()
            rule.step()
            return {"loss": loss, **{f"grad {name}": p.grad for name, p in named.items()}}

        return step

    return build


def inference(network: Network) -> Callable[[Any, Arrays], Step]:
    def build(torch: Any, arrays: Arrays) -> Step:
        model = networks.with_weights(torch, network(torch)).eval()
        x = torch.from_numpy(arrays["x"])

        def step() -> dict[str, Any]:
            with torch.no_grad():
                return {"scores": model(x)}

        return step

    return build


def work_of(network: Network, shape: Shape, training: bool) -> Callable[[], Work]:
    def work() -> Work:
        import minivision

        model = network(minivision)
        flops, moved, parameters = networks.work_of(minivision, model, minivision.zeros(shape))
        if not training:
            return Work(flops, moved)
        # backward: each product once for the input's gradient and once for the weight's, each array once more for each;
        # the optimizer reads parameter, gradient and state and writes two of them
        return Work(3 * flops, 3 * moved + 4 * 5 * parameters)

    return work


def cases_of(
    name: str, title: str, network: Network, shape: Shape, classes: int, target: Target, *,
    optimizer: str = "adam", peer: dict[str, Any] | None = None,
) -> list[Case]:  # fmt: skip
    where = f"{title}, {' x '.join(map(str, shape))}"
    arrays = arrays_of(shape, classes)
    train, infer = training(network, optimizer), inference(network)
    needs, needs_less = work_of(network, shape, True), work_of(network, shape, False)
    return [
        Case(
            f"{name}-train", ("networks", "train", *(("peers",) if peer else ())), f"training step, {where}", arrays, train,
            needs, target, KINKS, kinks=True, peer=peer, parameters=lambda: networks.initial_weights(network),
        ),
        Case(f"{name}-inference", ("networks", "inference"), f"inference, {where}", arrays, infer, needs_less, target),
        Case(f"{name}-memory", ("memory",), f"peak memory, training, {where}", arrays, train, needs, MEMORY, memory=True),
    ]  # fmt: skip


def unet(widths: tuple[int, ...], classes: int = 2, norm: bool = False, channels: int = 3, checkpoint: bool = False) -> Network:
    return lambda torch: networks.unet(torch, widths, channels, classes, norm, checkpoint)


PAPER, MEDIUM, DEMO = networks.PAPER, (64, 128, 256), (16, 32, 64)

CASES = [
    *cases_of("unet-paper", "U-Net 64..1024", unet(PAPER, channels=1), (1, 1, 252, 252), 2, FAST),
    *cases_of("unet-medium", "U-Net 64-128-256", unet(MEDIUM), (2, 3, 128, 128), 2, FAST),
    *cases_of("unet-small", "U-Net 16-32-64", unet(DEMO, 4), (8, 3, 64, 64), 4, SMALL, peer={"work": "unet", "widths": DEMO}),
    *cases_of("unet-small-odd", "U-Net 16-32-64", unet(DEMO, 4), (3, 3, 61, 93), 4, SMALL),
    *cases_of("unet-paper-norm", "U-Net 64..1024, batch norm", unet(PAPER, 2, True, 1), (1, 1, 252, 252), 2, FAST),
    *cases_of("unet-medium-norm", "U-Net 64-128-256, batch norm", unet(MEDIUM, 2, True), (2, 3, 128, 128), 2, FAST),
    *cases_of("unet-small-norm", "U-Net 16-32-64, batch norm", unet(DEMO, 4, True), (8, 3, 64, 64), 4, SMALL),
    *cases_of("fcn8s", "FCN-8s, VGG-16", networks.fcn8s, (1, 3, 256, 256), 21, FAST, optimizer="sgd"),
]
# What checkpointing takes in time and gives in memory; inference is the same with and without.
CASES += [
    case
    for case in cases_of("checkpoint", "U-Net 64-128-256, checkpoints", unet(MEDIUM, checkpoint=True), (2, 3, 128, 128), 2, FAST)
    if not case.name.endswith("inference")
]
CASES += [
    Case(
        f"pixels-{size}", ("pixels",), f"training step, U-Net 16-32-64, batch 1, {size} px", arrays_of((1, 3, size, size), 4),
        training(unet(DEMO, 4), "adam"), work_of(unet(DEMO, 4), (1, 3, size, size), True), None, KINKS,
        kinks=True, pixels=size * size,
    )
    for size in (64, 128, 256, 512, 1024)
]  # fmt: skip
