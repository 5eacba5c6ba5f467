"""A segmentation problem that trains in milliseconds, with everything random that a run can have."""

from __future__ import annotations

from typing import Any

import numpy as np

import minivision
from minivision import nn, optim
from minivision.data import DataLoader, Dataset
from minivision.optim import lr_scheduler
from minivision.training import Trainer

CLASSES = 3


class Blocks(Dataset):
    """Images (2, 6, 8) whose brighter half is of class 1 or 2; noise and flips are drawn anew in every epoch."""

    def __init__(self, count: int = 10, noise: float = 0.3):
        self.count, self.noise = count, noise

    def __len__(self) -> int:
        return self.count

    def get(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        mask = np.zeros((6, 8), np.int64)
        mask[:, 4:] = 1 + index % 2
        mask[0, 0] = 255
        image = np.stack([mask == 1, mask == 2]).astype(np.float32) + rng.normal(0, self.noise, (2, 6, 8)).astype(np.float32)
        return (image[:, :, ::-1].copy(), mask[:, ::-1].copy()) if rng.random() < 0.5 else (image, mask)


def small_model(dropout: float = 0.3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(dropout), nn.Conv2d(4, CLASSES, 1)
    )  # fmt: skip


def small_trainer(folder: Any = None, seed: int = 0, **options: Any) -> Trainer:
    """Shuffling, random transforms, dropout, batch norm, momentum, and a schedule that steps after every batch."""
    minivision.manual_seed(seed)
    model = options.pop("model", None) or small_model()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
    options.setdefault("train_loader", DataLoader(Blocks(), batch_size=3, shuffle=True, seed=5))
    settings: dict[str, Any] = {
        "scheduler": lr_scheduler.PolynomialLR(optimizer, total_iters=100, power=0.9),
        "scheduler_step": "batch",
        "val_loader": DataLoader(Blocks(4), batch_size=3, seed=6),
        "num_classes": CLASSES,
        "folder": folder,
        "progress": False,
    }
    return Trainer(model, options.pop("train_loader"), optimizer, **(settings | options))


def weights_of(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.array.copy() for name, tensor in model.state_dict().items()}


def everything(trainer: Trainer) -> dict[str, Any]:
    """All that two equal runs must have in common, times aside."""
    optimizer = trainer.optimizer.state_dict()
    return {
        "weights": weights_of(trainer.model),
        "momentum": [s["momentum_buffer"].copy() for s in optimizer["state"].values()],
        "settings": optimizer["param_groups"],
        "scheduler": None if trainer.scheduler is None else trainer.scheduler.state_dict(),
        "random": minivision.default_generator.get_state(),
        "history": [{k: v for k, v in row.items() if k != "seconds"} for row in trainer.history],
        "best": trainer.state.best_score,
    }


def assert_same(a: Any, b: Any) -> None:
    """Equal to the last bit, through dictionaries and lists."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert set(a) == set(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert a.tobytes() == b.tobytes()
    else:
        assert a == b
