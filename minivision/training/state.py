"""How far a run has come, and the way back: a step that fails leaves everything as it was before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from minivision.autograd import Tensor
from minivision.backend import Array, default_generator, device_of, is_array
from minivision.nn import Module
from minivision.optim import Optimizer
from minivision.optim.lr_scheduler import LRScheduler
from minivision.training.diagnosis import is_finite


class History(list[dict[str, Any]]):
    """One dictionary of measures per epoch. `interrupted` says whether Ctrl-C ended the run early."""

    interrupted = False


@dataclass
class RunState:
    """The position in a run, and what has been measured so far."""

    epoch: int = 0  # whole epochs behind us
    batch: int = 0  # batches of the present epoch behind us
    step: int = 0  # updates in all
    loss_sum: float = 0.0  # over the images of the present epoch
    images: int = 0
    seconds: float = 0.0
    lr: float = 0.0  # of the last update
    best_score: float | None = None
    history: History = field(default_factory=History)

    def count(self, loss: float, images: int, seconds: float, lr: float) -> None:
        """One batch more."""
        self.batch += 1
        self.step += 1
        self.loss_sum += loss * images
        self.images += images
        self.seconds += seconds
        self.lr = lr

    def end_epoch(self, row: dict[str, Any]) -> None:
        """One epoch more, with these measures."""
        self.history.append(row)
        self.epoch += 1
        self.batch, self.loss_sum, self.images, self.seconds = 0, 0.0, 0, 0.0

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(replace(self, history=History())), "history": list(self.history)}

    def copy_from(self, values: dict[str, Any]) -> None:
        """Take over the result of `to_dict`; the history stays the same object."""
        for name, value in values.items():
            if name == "history":
                self.history[:] = value
            else:
                setattr(self, name, value)


class Snapshot:
    """A copy of all that a training step changes: weights, optimizer, schedule, random numbers, position."""

    def __init__(self, model: Module, optimizer: Optimizer, scheduler: LRScheduler | None, state: RunState):
        self.model, self.optimizer, self.scheduler, self.state = model, optimizer, scheduler, state
        self.arrays: dict[tuple[Any, ...], Array] = {}
        self.take()

    def take(self) -> None:
        """Copy the present state, into the memory of the copy before it: large arrays are costly to allocate."""
        saved = self.optimizer.state_dict()
        self.weights = {name: self._copy(tensor.array, "weights", name) for name, tensor in self.model.state_dict().items()}
        self.settings = {
            "param_groups": saved["param_groups"],
            "state": {
                number: {name: self._copy(value, number, name) if is_array(value) else value for name, value in entries.items()}
                for number, entries in saved["state"].items()
            },
        }
        self.schedule = None if self.scheduler is None else self.scheduler.state_dict()
        self.random = default_generator.get_state()
        self.position = self.state.to_dict()

    def _copy(self, array: Array, *place: Any) -> Array:
        copy = self.arrays.get(place)
        if copy is None or copy.shape != array.shape or copy.dtype != array.dtype or device_of(copy) != device_of(array):
            copy = self.arrays[place] = array.copy(order="K")
        else:
            copy[...] = array
        return copy

    def restore(self) -> None:
        """Put everything back; gradients are forgotten."""
        while True:
            try:
                self.model.load_state_dict({name: Tensor(array) for name, array in self.weights.items()})
                if self.scheduler is not None:
                    self.scheduler.load_state_dict(self.schedule or {})
                self.optimizer.load_state_dict(self.settings)
                self.optimizer.zero_grad()
                self.model.zero_grad()
                default_generator.set_state(self.random)
                self.state.copy_from(self.position)
            except KeyboardInterrupt:
                continue  # an impatient second Ctrl-C: half a state is no use to anybody, and this takes milliseconds
            return

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """The block happens entirely or, if anything is raised in it (a Ctrl-C too), not at all."""
        self.take()
        try:
            yield
        except BaseException:
            self.restore()
            raise

    def spoiled(self) -> list[str]:
        """The names of the weights and running statistics that are NaN or infinite now and were not then."""
        now = {name: tensor.array for name, tensor in self.model.state_dict().items()}
        return [name for name, array in now.items() if not is_finite(array) and is_finite(self.weights[name])]
