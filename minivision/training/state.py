"""How far a run has come, and the way back: a step that fails leaves everything as it was before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from minivision.autograd import Tensor
from minivision.backend import Array, default_generator, is_array
from minivision.blocks import in_blocks
from minivision.memory import empty_like
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
    """What a training step changes, as it was before: weights, optimizer, schedule, random numbers, position.

    Weights and what the optimizer remembers of them are large, three times the network with Adam, and only the update writes to
    them. So they are copied when `optimizer.step()` is called, as far as it is going to overwrite them, and the copies are given
    up with the end of the block: at that time the activations are gone, and the copies take their place.

    A step of one's own may also write to weights before the update, or without the optimizer. So the first blocks copy
    everything at the beginning, until one of them has shown an update and no other change; and should there be one later, all
    blocks after it do so again.
    """

    def __init__(self, model: Module, optimizer: Optimizer, scheduler: LRScheduler | None, state: RunState):
        self.model, self.optimizer, self.scheduler, self.state = model, optimizer, scheduler, state
        self.only_updates = False  # whether weights may be left alone until the update
        self.others_write = False

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """The block happens entirely or, if anything is raised in it (a Ctrl-C too), not at all."""
        self._take()
        hook = self.optimizer.register_step_pre_hook(self._before_update)
        try:
            yield
            self.others_write |= self._someone_wrote()
            self.only_updates = (self.only_updates or self.updating is not None) and not self.others_write
        except BaseException:
            self.restore()
            raise
        finally:
            hook.remove()
            del self.weights, self.settings, self.found

    def _take(self) -> None:
        """Copy the present state; of the parameters only where they lie, if nobody writes to them before the update."""
        parameters = list(self.model.parameters())
        self.found = [(p, p.array, p._version[0]) for p in parameters]
        self.updating: set[int] | None = None  # the weights that an update overwrites, by the identity of their arrays
        later = {id(p.array) for p in parameters} if self.only_updates else set()
        self.weights = {
            name: tensor.array if id(tensor.array) in later else _copy(tensor.array)
            for name, tensor in self.model.state_dict().items()
        }
        self.settings = self.optimizer.state_dict()
        if not self.only_updates:
            _copy_state(self.settings["state"].values())
        self.schedule = None if self.scheduler is None else self.scheduler.state_dict()
        self.random = default_generator.get_state()
        self.position = self.state.to_dict()

    def _before_update(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Copy what `optimizer.step()` is going to overwrite."""
        if self.updating is not None:
            return  # the second update of one block
        self.others_write |= self._someone_wrote()
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if self.only_updates:
            updating = {id(p.array) for p in parameters if p.grad is not None}
            copies = {id(a): _copy(a) for a in self.weights.values() if id(a) in updating}  # once, whatever its names
            self.weights = {name: copies.get(id(array), array) for name, array in self.weights.items()}
            _copy_state(self.settings["state"].get(i, {}) for i, p in enumerate(parameters) if p.grad is not None)
        self.updating = {id(p.array) for p in parameters}

    def _someone_wrote(self) -> bool:
        """Whether weights have changed since the beginning of the block but for the update."""
        return any(
            p.array is not array or p._version[0] != version
            for p, array, version in self.found
            if self.updating is None or id(array) not in self.updating
        )

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

    def spoiled(self) -> list[str]:
        """The names of the weights and running statistics that are NaN or infinite now and were not then."""
        now = {name: tensor.array for name, tensor in self.model.state_dict().items()}
        return [name for name, array in now.items() if not is_finite(array) and is_finite(self.weights[name])]


def _copy(array: Array) -> Array:
    copy = empty_like(array)
    in_blocks(_assign, copy, array)
    return copy


def _assign(target: Array, source: Array) -> None:
    target[...] = source


def _copy_state(states: Iterable[dict[str, Any]]) -> None:
    """Put copies in the place of the arrays in an optimizer's memory of some parameters."""
    for entries in states:
        entries.update({name: _copy(value) for name, value in entries.items() if is_array(value)})
