"""A run that was interrupted and resumed equals one that was not, to the last bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minivision
from minivision import nn, optim
from minivision.data import DataLoader
from minivision.optim import lr_scheduler
from minivision.training import CheckpointError, Trainer, load_checkpoint
from minivision.training.state import Snapshot
from tests.training.small import Blocks, assert_same, everything, small_model, small_trainer, weights_of

EPOCHS = 4


@pytest.fixture(scope="module")
def straight():
    trainer = small_trainer()
    trainer.fit(EPOCHS)
    return everything(trainer)


class InterruptAt(nn.Module):
    """A last layer that raises, as Ctrl-C would, at its n-th call: dropout has drawn and batch norm has counted by then."""

    def __init__(self, call: int):
        super().__init__()
        self.calls, self.call = 0, call

    def forward(self, input):
        self.calls += 1
        if self.calls == self.call:
            raise KeyboardInterrupt
        return input


def resumed(folder, epochs: int = EPOCHS, **options) -> Trainer:
    """What a new process would do: another seed, untrained weights, then the checkpoint."""
    trainer = small_trainer(folder, seed=99, **options)
    trainer.fit(epochs, resume=True)
    return trainer


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_after_whole_epochs(tmp_path, straight, epochs):
    small_trainer(tmp_path).fit(epochs)
    assert_same(everything(resumed(tmp_path)), straight)


def test_with_adam_and_one_cycle_and_clipping(tmp_path):
    def trainer(folder, seed):
        trainer = small_trainer(folder, seed, clip_norm=0.5)
        groups = [{"params": trainer.model[0].parameters(), "betas": (0.8, 0.9)}, {"params": trainer.model[4].parameters()}]
        trainer.optimizer = optim.AdamW(groups, lr=0.01)
        trainer.scheduler = lr_scheduler.OneCycleLR(trainer.optimizer, max_lr=0.05, epochs=EPOCHS, steps_per_epoch=4)
        return trainer

    def outcome(trainer):
        state = trainer.optimizer.state_dict()
        return [weights_of(trainer.model), state["state"], state["param_groups"]]

    straight = trainer(None, 0)
    straight.fit(EPOCHS)
    trainer(tmp_path, 0).fit(2)
    other = trainer(tmp_path, 1)
    other.fit(EPOCHS, resume=True)
    assert_same(outcome(other), outcome(straight))


@pytest.mark.parametrize("workers", [0, 2])
def test_with_other_workers(tmp_path, straight, workers):
    small_trainer(tmp_path).fit(2)
    loader = DataLoader(Blocks(), batch_size=3, shuffle=True, seed=5, num_workers=workers)
    assert_same(everything(resumed(tmp_path, train_loader=loader)), straight)


@pytest.mark.parametrize("call", [1, 2, 6, 7, 10, 11, 13])
def test_after_an_interrupt_in_the_middle_of_a_step(tmp_path, straight, call):
    """Epochs have 4 training batches and 2 for validation, so calls 5, 6 and 11, 12 are validation."""
    model = small_model()
    model.append(InterruptAt(call))
    trainer = small_trainer(tmp_path, model=model)
    minivision.manual_seed(0)  # as small_trainer does for its own model
    fresh = small_model()
    for target, source in zip(model.parameters(), fresh.parameters(), strict=True):
        target.array[...] = source.array
    history = trainer.fit(EPOCHS)
    assert history.interrupted
    assert len(history) == (call - 1) // 6
    other = resumed(tmp_path)
    assert not other.history.interrupted
    assert_same(everything(other), straight)


def test_in_the_same_process(straight):
    """Without a folder: the trainer itself goes on."""
    trainer = small_trainer()
    handle = trainer.model[3].register_forward_hook(_raise_at(3))
    assert trainer.fit(EPOCHS).interrupted
    handle.remove()
    assert not trainer.fit(EPOCHS).interrupted
    assert_same(everything(trainer), straight)


def _raise_at(call):
    calls = []

    def hook(module, inputs, output):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt

    return hook


@pytest.mark.parametrize("place", ["callback", "schedule", "optimizer", "loader", "saving"])
def test_an_interrupt_anywhere(tmp_path, straight, place, monkeypatch):
    trainer = small_trainer(tmp_path)

    def once(function, call):
        calls = []

        def wrapper(*args, **options):
            calls.append(1)
            if len(calls) == call:
                raise KeyboardInterrupt
            return function(*args, **options)

        return wrapper

    if place == "callback":
        trainer.on_epoch_end = once(lambda trainer: None, 2)
    elif place == "schedule":
        monkeypatch.setattr(trainer.scheduler, "apply", once(trainer.scheduler.apply, 6))
    elif place == "optimizer":
        monkeypatch.setattr(trainer.optimizer, "update", once(trainer.optimizer.update, 21))
    elif place == "loader":
        monkeypatch.setattr(trainer.train_loader, "_load", once(trainer.train_loader._load, 6))
    else:
        import minivision.training.checkpoint as module

        monkeypatch.setattr(module, "write_tensors", once(module.write_tensors, 3))
    assert trainer.fit(EPOCHS).interrupted
    monkeypatch.undo()
    assert_same(everything(resumed(tmp_path)), straight)


def test_a_second_ctrl_c_while_the_step_is_undone(tmp_path, straight, monkeypatch):
    trainer = small_trainer(tmp_path)
    trainer.model[3].register_forward_hook(_raise_at(3))
    load = trainer.optimizer.load_state_dict
    presses = iter([True, True])

    def impatient(state):
        if next(presses, False):
            raise KeyboardInterrupt
        load(state)

    monkeypatch.setattr(trainer.optimizer, "load_state_dict", impatient)
    assert trainer.fit(EPOCHS).interrupted
    assert_same(everything(resumed(tmp_path)), straight)


def test_a_second_ctrl_c_while_saving_leaves_the_previous_file(tmp_path, monkeypatch, straight):
    trainer = small_trainer(tmp_path)
    trainer.fit(2)
    before = (tmp_path / "last.safetensors").read_bytes()
    trainer.model[3].register_forward_hook(_raise_at(2))

    def press(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", press)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(EPOCHS)
    monkeypatch.undo()
    assert (tmp_path / "last.safetensors").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.safetensors", "last.safetensors"]
    assert_same(everything(resumed(tmp_path)), straight)


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins with Ctrl-C ignored
from minivision import nn
from tests.training.small import *
trainer = small_trainer(sys.argv[1], progress=True)

class Slow(Blocks):
    def get(self, index, rng):
        import time
        time.sleep(0.01)
        if trainer.state.step == 5:
            print("ready", flush=True)
            time.sleep(20)
        return super().get(index, rng)

trainer.train_loader.dataset = Slow()
history = trainer.fit(4)
print("interrupted" if history.interrupted else "finished", len(history))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT reaches a child of its own only on POSIX")
def test_a_real_ctrl_c(tmp_path, straight):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    child = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in child.stdout:
        if line.startswith("ready"):
            break
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert child.returncode == 0, err
    assert "Traceback" not in err
    assert out.splitlines()[-1] == "interrupted 1"
    saved = tmp_path / "last.safetensors"
    assert f"interrupted in epoch 2 after 1 of its batches; saved as {saved}, go on with resume=True" in out
    assert_same(everything(resumed(tmp_path)), straight)


def test_the_order_of_the_images_goes_on_whatever_the_new_loaders_seed(tmp_path, straight):
    small_trainer(tmp_path).fit(2)
    loader = DataLoader(Blocks(), batch_size=3, shuffle=True, seed=77)
    assert_same(everything(resumed(tmp_path, train_loader=loader)), straight)


def test_a_block_happens_entirely_or_not_at_all():
    trainer = small_trainer()
    trainer.fit(1)
    before = everything(trainer)
    position = trainer.state.to_dict()
    snapshot = Snapshot(trainer.model, trainer.optimizer, trainer.scheduler, trainer.state)
    batch = next(iter(trainer.train_loader))
    trainer.train_step(*batch)
    after_one = everything(trainer)

    def block():
        with snapshot.all_or_nothing():
            trainer.train_step(*batch)
            trainer.scheduler.step()
            trainer.state.count(1.0, 3, 0.1, 0.2)
            trainer.state.end_epoch({"epoch": 2})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        block()
    assert_same(everything(trainer), after_one)
    assert trainer.state.to_dict() == position
    assert not np.array_equal(after_one["weights"]["0.weight"], before["weights"]["0.weight"])


def test_resume_when_everything_is_done(tmp_path):
    small_trainer(tmp_path).fit(2)
    trainer = resumed(tmp_path, epochs=2)
    assert len(trainer.history) == 2
    assert trainer.state.step == 8


def test_lists_of_batches_resume_in_the_middle_too(tmp_path, rng):
    batches = [(rng.standard_normal((2, 2, 4, 5)).astype("float32"), rng.integers(0, 3, (2, 4, 5))) for _ in range(3)]
    trainer = small_trainer(train_loader=batches)
    trainer.fit(2)
    straight = everything(trainer)
    trainer = small_trainer(tmp_path, train_loader=batches)
    trainer.model[3].register_forward_hook(_raise_at(2))
    assert trainer.fit(2).interrupted
    assert_same(everything(resumed(tmp_path, epochs=2, train_loader=batches)), straight)


def untouched(trainer: Trainer):
    before = weights_of(trainer.model)
    random = minivision.default_generator.get_state()

    def check():
        assert_same(weights_of(trainer.model), before)
        assert minivision.default_generator.get_state() == random
        assert trainer.state.step == 0

    return check


def test_nothing_to_resume(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing to resume, .*last.safetensors does not exist; start with resume=False"):
        small_trainer(tmp_path).fit(1, resume=True)


def test_a_checkpoint_of_another_run_changes_nothing(tmp_path):
    interrupted = small_trainer(tmp_path)
    interrupted.model[3].register_forward_hook(_raise_at(2))
    interrupted.fit(2)

    def adam():
        trainer = small_trainer(tmp_path, scheduler=None)
        trainer.optimizer = optim.Adam(trainer.model.parameters())
        return trainer

    wider = nn.Sequential(nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(5, 3, 1))
    cases = [
        (adam, "was trained with SGD, but the optimizer is Adam"),
        (lambda: small_trainer(tmp_path, scheduler=None), "with a schedule of the learning rate, but none is given"),
        (lambda: small_trainer(tmp_path, model=wider), r"0.weight has shape \(4, 2, 3, 3\) in the state, but \(5, 2, 3, 3\)"),
        (
            lambda: small_trainer(tmp_path, train_loader=DataLoader(Blocks(), batch_size=5)),
            "left after batch 1 of 4, but train_loader has 2; resume with the same data and batch size",
        ),
    ]
    for make, message in cases:
        trainer = make()
        check = untouched(trainer)
        with pytest.raises(CheckpointError, match=message):
            trainer.fit(2, resume=True)
        check()


def test_a_truncated_checkpoint_changes_nothing(tmp_path):
    small_trainer(tmp_path).fit(1)
    path = tmp_path / "last.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    trainer = small_trainer(tmp_path, seed=3)
    check = untouched(trainer)
    with pytest.raises(CheckpointError, match=r"last.safetensors is truncated: it should have \d+ bytes"):
        trainer.fit(2, resume=True)
    check()


def test_a_checkpoint_without_a_run(tmp_path):
    trainer = small_trainer(tmp_path)
    trainer.fit(1)
    (tmp_path / "best.safetensors").replace(tmp_path / "last.safetensors")
    with pytest.raises(CheckpointError, match="holds a model, but no run that could be resumed"):
        small_trainer(tmp_path).fit(2, resume=True)


def test_the_disk_is_full(tmp_path, monkeypatch):
    trainer = small_trainer(tmp_path)
    trainer.fit(1)
    before = load_checkpoint(tmp_path / "last.safetensors").weights

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"could not write .*safetensors: No space left on device; the previous file is intact"):
        trainer.fit(2)
    monkeypatch.undo()
    assert_same(load_checkpoint(tmp_path / "last.safetensors").weights, before)
    # with space again, the run in memory goes on where it stopped
    trainer.fit(2)
    straight = small_trainer()
    straight.fit(2)
    assert_same(weights_of(trainer.model), weights_of(straight.model))
    assert not np.array_equal(load_checkpoint(tmp_path / "last.safetensors").weights["0.weight"], before["0.weight"])


def test_weights_are_copied_only_when_the_update_comes():
    """From the second step on; the first one has shown that nobody else writes to them."""
    trainer = small_trainer()
    frozen, learned = trainer.model[0].weight, trainer.model[4].weight
    trainer.optimizer = optim.Adam([learned, trainer.model[4].bias])
    snapshot = Snapshot(trainer.model, trainer.optimizer, None, trainer.state)
    batch = next(iter(trainer.train_loader))
    found = []
    trainer.model[0].register_forward_hook(lambda *args: found.append({n: snapshot.weights[n] for n in ("0.weight", "4.weight")}))
    for _ in range(3):
        with snapshot.all_or_nothing():
            before = learned.array.copy()
            trainer.train_step(*batch)
            assert snapshot.weights["4.weight"] is not learned.array
            assert np.array_equal(snapshot.weights["4.weight"], before)
            assert not np.array_equal(before, learned.array)
        assert not hasattr(snapshot, "weights")
    early = [(f["0.weight"] is not frozen.array, f["4.weight"] is not learned.array) for f in found]
    assert early == [(True, True), (False, False), (False, False)]


def other_steps():
    def by_hand(trainer, images, masks):
        for p in trainer.model.parameters():
            p.array *= 1.01  # which autograd does not notice
        return 0.5

    def before_the_update(trainer, images, masks):
        with minivision.no_grad():
            for p in trainer.model.parameters():
                p.mul_(0.5)
        return Trainer.train_step(trainer, images, masks)

    def two_updates(trainer, images, masks):
        Trainer.train_step(trainer, images, masks)
        return Trainer.train_step(trainer, images, masks)

    def another_optimizer(trainer, images, masks):
        loss = Trainer.train_step(trainer, images, masks)
        trainer.other.step()
        return loss

    return [by_hand, before_the_update, two_updates, another_optimizer]


@pytest.mark.parametrize("step", other_steps())
def test_steps_of_ones_own_are_undone_too(step):
    trainer = small_trainer()
    trainer.other = optim.SGD(trainer.model[0].parameters(), lr=0.1)
    if step.__name__ == "another_optimizer":
        trainer.optimizer = optim.SGD(trainer.model[4].parameters(), lr=0.1, momentum=0.9)
    snapshot = Snapshot(trainer.model, trainer.optimizer, None, trainer.state)
    batch = next(iter(trainer.train_loader))
    for _ in range(3):
        before = everything(trainer)

        def failing():
            with snapshot.all_or_nothing():
                step(trainer, *batch)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            failing()
        assert_same(everything(trainer), before)
        with snapshot.all_or_nothing():
            step(trainer, *batch)
        assert not np.array_equal(weights_of(trainer.model)["4.weight"], before["weights"]["4.weight"])


def test_an_update_that_fails_in_the_middle_is_undone(monkeypatch):
    trainer = small_trainer()
    trainer.fit(1)
    snapshot = Snapshot(trainer.model, trainer.optimizer, trainer.scheduler, trainer.state)
    batch = next(iter(trainer.train_loader))
    with snapshot.all_or_nothing():
        trainer.train_step(*batch)
    before = everything(trainer)
    update, calls = trainer.optimizer.update, []

    def full(*args):
        calls.append(1)
        if len(calls) == 4:
            raise MemoryError
        update(*args)

    monkeypatch.setattr(trainer.optimizer, "update", full)

    def failing():
        with snapshot.all_or_nothing():
            trainer.train_step(*batch)

    with pytest.raises(MemoryError):
        failing()
    assert len(calls) == 4
    assert_same(everything(trainer), before)
