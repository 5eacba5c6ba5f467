"""The training loop."""

from __future__ import annotations

import functools
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import Device, default_generator
from minivision.data import DataLoader
from minivision.data.files import make_folder
from minivision.nn import Module
from minivision.nn import functional as F
from minivision.nn.utils import clip_grad_norm_
from minivision.optim import Optimizer
from minivision.optim.lr_scheduler import LRScheduler
from minivision.training.checkpoint import Checkpoint, config_of, load_checkpoint, save_checkpoint
from minivision.training.diagnosis import NonFiniteLossError, first_nonfinite
from minivision.training.evaluation import Loss, batch_count, on_device, start_epoch, validate
from minivision.training.progress import Progress
from minivision.training.state import History, RunState, Snapshot
from minivision.training.tensor_file import CheckpointError

BEST, LAST = "best.safetensors", "last.safetensors"


class Trainer:
    """Trains a model on batches of images and masks.

    `Trainer(model, loader, optimizer, ...).fit(epochs)`; `train_step` is the lesson, and the place to change for another kind of
    network. Each update happens entirely or not at all: after a Ctrl-C, a NaN or an error in the middle of one, model, optimizer
    and random numbers are as they were before it.

    Parameters
    ----------
    train_loader: batches (images, masks), or (images, masks, pixel weights). Epoch e of the training is epoch e of a minivision
        `DataLoader`, however often it has been used before.
    loss_fn: called with the scores and all parts of the batch but the images; cross-entropy with ignore_index 255 by default. The
        loss of an epoch is the mean over its images.
    scheduler, scheduler_step: a schedule of the learning rate, and whether it counts an "epoch" or a "batch" as its step.
    clip_norm: the largest allowed norm of all gradients together.
    val_loader: evaluated after every epoch; needs to know the number of classes, from `num_classes`, `classes` or `model.config`.
    classes, normalization: names of the classes and normalisation of the images, noted in the checkpoints.
    device: "cpu" or "cuda": model and batches move there; by default the batches move to where the model is.
    folder: gets `last.safetensors` after every epoch and after a Ctrl-C, and `best.safetensors` (without the optimizer) when the
        mean IoU on `val_loader` is the best so far.
    on_epoch_end: called with the trainer after every epoch; when it returns True, training ends there.
    progress: whether to tell how it goes; see `Progress`.
    """

    def __init__(
        self,
        model: Module,
        train_loader: Iterable[Any],
        optimizer: Optimizer,
        *,
        loss_fn: Loss | None = None,
        scheduler: LRScheduler | None = None,
        scheduler_step: str = "epoch",
        clip_norm: float | None = None,
        val_loader: Iterable[Any] | None = None,
        num_classes: int | None = None,
        classes: Sequence[str] | None = None,
        normalization: Mapping[str, Any] | None = None,
        device: str | Device | None = None,
        folder: str | os.PathLike[str] | None = None,
        on_epoch_end: Callable[[Trainer], bool | None] | None = None,
        progress: bool = True,
    ):
        if scheduler_step not in ("epoch", "batch"):
            raise ValueError(f"Trainer: scheduler_step={scheduler_step!r} is unknown; use 'epoch' or 'batch'")
        if clip_norm is not None and not clip_norm > 0:
            raise ValueError(f"Trainer: clip_norm={clip_norm} must be positive")
        self.model, self.train_loader, self.val_loader = model, train_loader, val_loader
        self.optimizer, self.scheduler, self.scheduler_step = optimizer, scheduler, scheduler_step
        self.loss_fn = loss_fn or functools.partial(F.cross_entropy, ignore_index=255)
        self.clip_norm = clip_norm
        self.classes, self.normalization = classes, normalization
        self.num_classes = _number_of_classes(model, num_classes, classes, needed=val_loader is not None)
        self.folder = None if folder is None else Path(folder)
        self.on_epoch_end = on_epoch_end
        self.progress = progress
        self.state = RunState()
        if device is not None:
            model.to(device)

    @property
    def history(self) -> History:
        """The measures of every epoch so far."""
        return self.state.history

    @property
    def parameters(self) -> list[Tensor]:
        """What the optimizer changes; others of the model keep the gradients of all steps, which must not count in the norm."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    # ---- the lesson ----

    def train_step(self, images: Tensor, *targets: Tensor) -> float:
        """One update of the weights from one batch; returns the loss."""
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.model(images), *targets)
        loss.backward()
        if self.clip_norm is not None:
            clip_grad_norm_(self.parameters, self.clip_norm)
        self.optimizer.step()
        return loss.item()

    def fit(self, epochs: int, *, resume: bool = False) -> History:
        """Train until `epochs` epochs are behind us, and return the history: a dictionary of measures per epoch.

        The keys are epoch (from 1), step, loss, lr and seconds, and with a `val_loader` val_loss, mean_iou and pixel_accuracy.

        With `resume` the run goes on from `last.safetensors`, in the middle of an epoch if it was left there, and ends with the
        same weights, bit for bit, as a run that was never interrupted. Ctrl-C ends the training with a checkpoint; the history
        has `interrupted` set then.

        Raises NonFiniteLossError when loss or weights become NaN or infinite, saying where; FileNotFoundError when there is
        nothing to resume, CheckpointError when the checkpoint does not belong to this run, and OSError when checkpoints cannot
        be written. No file with good weights is lost in any of these cases.
        """
        self._prepare_folder()
        if resume:
            self.resume()
        self.history.interrupted = False
        self.model.train()
        self.before = Snapshot(self.model, self.optimizer, self.scheduler, self.state)
        batches = batch_count(self.train_loader)
        total, done = (None, 0) if batches is None else (epochs * batches, self.state.epoch * batches + self.state.batch)
        with Progress(self.progress, total, done) as progress:
            try:
                stop = False
                while self.state.epoch < epochs and not stop:
                    self._train_epoch(epochs, progress)
                    self._end_epoch(epochs, progress)
                    stop = self.on_epoch_end is not None and self.on_epoch_end(self) is True
            except KeyboardInterrupt:
                self.history.interrupted = True
                self._save_last()
                progress.line(self._farewell())
        return self.history

    # ---- around it ----

    def _train_epoch(self, epochs: int, progress: Progress) -> None:
        started = time.perf_counter()
        for batch in self._remaining_batches():
            images, *targets = on_device(batch, self.model.device)
            loss = self._guarded_step(images, targets, started)
            started = time.perf_counter()
            progress.advance(f"epoch {self.state.epoch + 1}/{epochs}", f"loss {loss:.4f}")
        if self.state.batch == 0:
            raise ValueError("Trainer: train_loader gave no batch")

    def _guarded_step(self, images: Tensor, targets: list[Tensor], started: float) -> float:
        """`train_step` and its bookkeeping, or an error and no change at all."""
        rate = self.optimizer.param_groups[0]["lr"]
        # NumPy's warnings about overflow would only be in the way of the explanation below
        with self.before.all_or_nothing(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            loss = self.train_step(images, *targets)
            spoiled = self.before.spoiled()
            if math.isfinite(loss) and not spoiled:
                if self.scheduler is not None and self.scheduler_step == "batch":
                    self.scheduler.step()
                self.state.count(loss, len(images), time.perf_counter() - started, rate)
                return loss
            self.before.restore()
            layer, cause = first_nonfinite(self.model, self.loss_fn, images, *targets, spoiled=spoiled)
            raise self._nonfinite(loss, layer, cause)

    def _end_epoch(self, epochs: int, progress: Progress) -> None:
        """Validate, step the schedule, write the checkpoints, say how it went."""
        state, started = self.state, time.perf_counter()
        row: dict[str, Any] = {
            "epoch": state.epoch + 1, "step": state.step, "loss": state.loss_sum / state.images, "lr": state.lr,
        }  # fmt: skip
        best = False
        if self.val_loader is not None and self.num_classes is not None:
            confusion, row["val_loss"] = validate(self.model, self.val_loader, self.num_classes, self.loss_fn, names=self.classes)
            row["mean_iou"], row["pixel_accuracy"] = confusion.mean_iou, confusion.pixel_accuracy
            best = row["mean_iou"] > (-math.inf if state.best_score is None else state.best_score)
        row["seconds"] = state.seconds + time.perf_counter() - started
        if best and self.folder is not None:
            self.save(self.folder / BEST, results=row, resumable=False)
        with self.before.all_or_nothing():
            if self.scheduler is not None and self.scheduler_step == "epoch":
                self.scheduler.step()
            if best:
                state.best_score = row["mean_iou"]
            state.end_epoch(row)
        self._save_last()
        progress.line(describe(row, epochs) + ("  (best)" if best else ""))

    def _remaining_batches(self) -> Iterator[Any]:
        """The batches of the present epoch that have not been learned from."""
        epoch, done = self.state.epoch, self.state.batch
        if isinstance(self.train_loader, DataLoader):
            self.train_loader.load_state_dict({"seed": self.train_loader.seed, "epoch": epoch, "batch": done})
            return iter(self.train_loader)
        start_epoch(self.train_loader, epoch)
        return islice(self.train_loader, done, None)

    def _nonfinite(self, loss: float, layer: str | None, cause: str) -> NonFiniteLossError:
        epoch, batch, step = self.state.epoch + 1, self.state.batch + 1, self.state.step + 1
        what = "the weights became NaN or infinite" if math.isfinite(loss) else f"the loss became {loss}"
        advice = f"lower the learning rate (now {self.optimizer.param_groups[0]['lr']:g})"
        advice += " or clip_norm" if self.clip_norm else " or pass clip_norm=1.0"
        return NonFiniteLossError(
            f"{what} in epoch {epoch}, batch {batch} (step {step}): {cause}. The update was not made, the model has the weights "
            f"from before it. If the data is right, {advice}",
            epoch, batch, step, layer,
        )  # fmt: skip

    # ---- checkpoints ----

    def save(self, path: str | os.PathLike[str], *, results: Mapping[str, Any] | None = None, resumable: bool = True) -> None:
        """Write a checkpoint, with all that a resumed run needs if `resumable`."""
        results = results or (self.history[-1] if self.history else None)
        training = {
            **self.state.to_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "random": default_generator.get_state(),
            "loader": {"seed": getattr(self.train_loader, "seed", None), "batches": batch_count(self.train_loader)},
        }
        save_checkpoint(
            path,
            self.model,
            optimizer=self.optimizer if resumable else None,
            classes=self.classes,
            normalization=self.normalization,
            results=results,
            training=training if resumable else None,
        )

    def resume(self) -> None:
        """Take over everything from `last.safetensors`. When that fails, nothing is changed."""
        if self.folder is None:
            raise ValueError("Trainer: resume=True needs the folder of the run")
        path = self.folder / LAST
        if not path.exists():
            raise FileNotFoundError(f"there is nothing to resume, {path} does not exist; start with resume=False")
        checkpoint = load_checkpoint(path)
        training, settings = self._checked(checkpoint)
        with Snapshot(self.model, self.optimizer, self.scheduler, self.state).all_or_nothing():
            checkpoint.load_into(self.model)
            try:
                self.optimizer.load_state_dict(settings)
                if self.scheduler is not None:
                    self.scheduler.load_state_dict(training["scheduler"])
                default_generator.set_state(training["random"])
                self.state.copy_from({name: training[name] for name in self.state.to_dict()})
            except (KeyError, TypeError, ValueError) as error:
                raise CheckpointError(f"{path} does not fit this run: {error}") from error
        if isinstance(self.train_loader, DataLoader):
            self.train_loader.seed = training["loader"]["seed"]

    def _checked(self, checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parts about the run, or CheckpointError where they belong to another kind of run."""
        path, training, settings = checkpoint.path, checkpoint.training, checkpoint.optimizer_state
        if training is None or settings is None:
            raise CheckpointError(f"{path} holds a model, but no run that could be resumed")
        own = type(self.optimizer).__name__
        if settings["type"] != own:
            raise CheckpointError(f"{path} was trained with {settings['type']}, but the optimizer is {own}")
        if (training["scheduler"] is None) != (self.scheduler is None):
            was, now = ("with", "none is given") if training["scheduler"] else ("without", "one is given")
            raise CheckpointError(f"{path} was trained {was} a schedule of the learning rate, but {now}")
        loader, batches = training["loader"], batch_count(self.train_loader)
        if training["batch"] and loader["batches"] != batches:
            raise CheckpointError(
                f"{path} was left after batch {training['batch']} of {loader['batches']}, but train_loader has {batches}; "
                "resume with the same data and batch size"
            )
        if isinstance(self.train_loader, DataLoader) and loader["seed"] is None:
            raise CheckpointError(f"{path} was trained from another kind of loader; resume with the same")
        return training, settings

    def _save_last(self) -> None:
        if self.folder is not None:
            self.save(self.folder / LAST)

    def _prepare_folder(self) -> None:
        """Find out before the work, not after it, that checkpoints cannot be written."""
        if self.folder is None:
            return
        make_folder(self.folder)
        try:
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise type(error)(error.errno, f"cannot write checkpoints into the folder {self.folder}: {error.strerror}") from error

    def _farewell(self) -> str:
        epoch, batch = self.state.epoch + 1, self.state.batch
        where = f"interrupted in epoch {epoch} after {batch} of its batches" if batch else f"interrupted before epoch {epoch}"
        if self.folder is None:
            return f"{where}; nothing was saved, as no folder was given"
        return f"{where}; saved as {self.folder / LAST}, go on with resume=True"


def fit(
    model: Module, train_loader: Iterable[Any], optimizer: Optimizer, *, epochs: int, resume: bool = False, **options: Any
) -> History:
    """Train `model` and return the history: `Trainer(model, train_loader, optimizer, **options).fit(epochs, resume=resume)`.

    >>> history = fit(model, train_loader, optimizer, epochs=10, val_loader=val_loader, folder="runs/unet")  # doctest: +SKIP
    >>> history[-1]["mean_iou"]  # doctest: +SKIP
    """
    return Trainer(model, train_loader, optimizer, **options).fit(epochs, resume=resume)


def describe(row: Mapping[str, Any], epochs: int) -> str:
    """One epoch's measures in one line."""
    parts = [f"epoch {row['epoch']:{len(str(epochs))}}/{epochs}", f"loss {row['loss']:.4f}"]
    if "mean_iou" in row:
        parts += [f"val loss {row['val_loss']:.4f}", f"mIoU {row['mean_iou']:.3f}", f"pixel accuracy {row['pixel_accuracy']:.3f}"]
    return "  ".join([*parts, f"lr {row['lr']:.3g}", f"{row['seconds']:.1f} s"])


def _number_of_classes(model: Module, given: int | None, classes: Sequence[str] | None, needed: bool) -> int | None:
    """From what the caller and the model say, which must agree."""
    said = {
        "num_classes": given,
        "classes": None if classes is None else len(classes),
        "model.config": (config_of(model) or {}).get("num_classes"),
    }
    known = {name: number for name, number in said.items() if number is not None}
    if len(set(known.values())) > 1:
        raise ValueError("Trainer: " + " but ".join(f"{name} means {number} classes" for name, number in known.items()))
    if needed and not known:
        raise ValueError("Trainer: to validate, the number of classes must be known; pass num_classes or classes")
    return next(iter(known.values()), None)
