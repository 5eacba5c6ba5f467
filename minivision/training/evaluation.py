"""Evaluation: a model's predictions over a data set, counted into a confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from minivision.autograd import Tensor, no_grad
from minivision.backend import Device
from minivision.metrics import ConfusionMatrix
from minivision.nn import Module
from minivision.training.progress import Progress

Loss = Callable[..., Tensor]


def evaluate(
    model: Module,
    loader: Iterable[Any],
    num_classes: int,
    *,
    ignore_index: int | None = 255,
    names: Sequence[str] | None = None,
    device: str | Device | None = None,
    progress: bool = False,
) -> ConfusionMatrix:
    """Count how the model's predictions, the classes of the highest score, agree with the masks.

    The model runs in evaluation mode without a graph and comes back in the mode it was in. A loader of minivision starts with its
    epoch 0, so that every evaluation sees the same images.

    Parameters
    ----------
    loader: batches of images (N, C, H, W) and masks (N, H, W).
    num_classes, ignore_index, names: see `ConfusionMatrix`.
    device: where to compute, "cpu" or "cuda"; by default where the model is, and otherwise the model moves there.

    Raises ValueError when the model's scores have another number of classes, and for an empty loader.
    """
    if device is not None:
        model.to(device)
    return validate(model, loader, num_classes, None, ignore_index, names, progress)[0]


def validate(
    model: Module,
    loader: Iterable[Any],
    num_classes: int,
    loss_fn: Loss | None,
    ignore_index: int | None = 255,
    names: Sequence[str] | None = None,
    progress: bool = False,
) -> tuple[ConfusionMatrix, float]:
    """`evaluate`, with the mean loss over the images beside it (nan without `loss_fn`)."""
    confusion, loss_sum, images_seen = ConfusionMatrix(num_classes, ignore_index, names), 0.0, 0
    start_epoch(loader, 0)
    with evaluation_mode(model), Progress(progress, batch_count(loader)) as bar:
        for batch in loader:
            images, *targets = on_device(batch, model.device)
            scores = model(images)
            if scores.ndim < 2 or scores.shape[1] != num_classes:
                raise ValueError(
                    f"evaluate: num_classes is {num_classes}, but the model's scores (N, classes, H, W) have shape {scores.shape}"
                )
            confusion.update(scores.argmax(1).numpy(), targets[0].numpy())
            if loss_fn is not None:
                loss_sum += loss_fn(scores, *targets).item() * len(images)
            images_seen += len(images)
            bar.advance("evaluate")
    if images_seen == 0:
        raise ValueError("evaluate: the loader gave no batch")
    return confusion, loss_sum / images_seen if loss_fn is not None else float("nan")


@contextmanager
def evaluation_mode(model: Module) -> Iterator[None]:
    """The model in evaluation mode and no graph inside the block; afterwards every layer is in its own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def on_device(batch: Any, device: Device) -> list[Tensor]:
    """The parts of a batch (images, masks, ...) as Tensors on `device`."""
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise TypeError(f"a batch must be a tuple (images, masks), but the loader gave a {type(batch).__name__}")
    return [(part if isinstance(part, Tensor) else Tensor(part)).to(device) for part in batch]


def start_epoch(loader: Any, epoch: int) -> None:
    """Let a loader that counts epochs begin with this one."""
    if hasattr(loader, "set_epoch"):
        loader.set_epoch(epoch)


def batch_count(loader: Any) -> int | None:
    """How many batches the loader has, None if it cannot tell."""
    return len(loader) if hasattr(loader, "__len__") else None
