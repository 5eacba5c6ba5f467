"""The loop against the same loop written out, and what it leaves behind."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import minivision
from minivision import nn, optim
from minivision.autograd import Tensor, no_grad
from minivision.data import DataLoader
from minivision.nn import functional as F
from minivision.nn.utils import clip_grad_norm_
from minivision.optim import lr_scheduler
from minivision.training import fit, load_checkpoint
from tests.helpers import to_numpy
from tests.training.small import CLASSES, Blocks, assert_same, everything, small_model, small_trainer, weights_of


@pytest.mark.parametrize("scheduler_step", ["batch", "epoch"])
@pytest.mark.parametrize("clip_norm", [None, 0.3])
def test_it_is_the_loop_that_everybody_writes(scheduler_step, clip_norm):
    minivision.manual_seed(1)
    model = small_model()
    optimizer = optim.AdamW(model.parameters(), lr=0.02)
    scheduler = lr_scheduler.StepLR(optimizer, 2, 0.5)
    loader = DataLoader(Blocks(), batch_size=3, shuffle=True, seed=2)
    losses, rates = [], []
    for _ in range(3):
        total, images_seen = 0.0, 0
        for images, masks in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), masks, ignore_index=255)
            loss.backward()
            if clip_norm is not None:
                clip_grad_norm_(model.parameters(), clip_norm)
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if scheduler_step == "batch":
                scheduler.step()
            total += loss.item() * len(images)
            images_seen += len(images)
        if scheduler_step == "epoch":
            scheduler.step()
        losses.append(total / images_seen)
    by_hand = weights_of(model)

    minivision.manual_seed(1)
    model = small_model()
    optimizer = optim.AdamW(model.parameters(), lr=0.02)
    history = fit(
        model, DataLoader(Blocks(), batch_size=3, shuffle=True, seed=2), optimizer, epochs=3, clip_norm=clip_norm,
        scheduler=lr_scheduler.StepLR(optimizer, 2, 0.5), scheduler_step=scheduler_step, progress=False,
    )  # fmt: skip
    assert_same(weights_of(model), by_hand)
    assert [row["loss"] for row in history] == losses
    assert [row["lr"] for row in history] == [rates[3], rates[7], rates[11]]
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 4), (2, 8), (3, 12)]


def test_it_learns():
    trainer = small_trainer(model=small_model(dropout=0.0))
    history = trainer.fit(12)
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[-1]["mean_iou"] > 0.9
    assert all(row["seconds"] > 0 for row in history)


def test_two_runs_from_one_seed_are_equal_and_the_loaders_past_does_not_matter():
    loader = DataLoader(Blocks(), batch_size=3, shuffle=True, seed=5)
    next(iter(loader))  # to look at a batch before training
    first, second = small_trainer(), small_trainer(train_loader=loader)
    first.fit(3)
    first_run = everything(first)
    minivision.manual_seed(0)
    small_model()
    second.fit(3)
    assert_same(weights_of(second.model), first_run["weights"])


def test_validation_measures_are_those_of_the_definition():
    trainer = small_trainer()
    row = trainer.fit(1)[0]
    loader = DataLoader(Blocks(4), batch_size=3, seed=6)
    hits = labelled = 0
    together, either = np.zeros(CLASSES), np.zeros(CLASSES)
    losses = []
    trainer.model.eval()
    for images, masks in loader:
        with no_grad():  # as evaluation does, or other operations would be computed as one, and rounded otherwise
            scores = trainer.model(images)
        losses += [F.cross_entropy(scores, masks, ignore_index=255).item()] * len(images)
        guesses, truth = scores.detach().numpy().argmax(1), masks.numpy()
        for guess, true in zip(guesses.ravel(), truth.ravel(), strict=True):
            if true != 255:
                labelled += 1
                hits += guess == true
                together[true] += guess == true
                either[true] += 1
                either[guess] += guess != true
    assert row["pixel_accuracy"] == pytest.approx(hits / labelled)
    assert row["mean_iou"] == pytest.approx(np.mean(together / either))
    assert row["val_loss"] == pytest.approx(np.mean(losses), rel=1e-12)


def test_best_and_last(tmp_path):
    scores = iter([0.5, 0.8, 0.6, 0.8])
    folder = tmp_path / "runs" / "one"
    trainer = small_trainer(folder)
    states = []

    def remember(trainer):
        states.append(weights_of(trainer.model))

    trainer.on_epoch_end = remember

    class Fake:
        pixel_accuracy = 0.5

        def __init__(self):
            self.mean_iou = next(scores)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minivision.training.trainer.validate", lambda *args, **options: (Fake(), 1.0))
        trainer.fit(4)
    assert_same(load_checkpoint(folder / "last.safetensors").weights, states[3])
    best = load_checkpoint(folder / "best.safetensors")
    assert_same(best.weights, states[1])
    assert best.results["mean_iou"] == 0.8
    assert best.results["epoch"] == 2
    assert best.optimizer_state is None
    assert sorted(p.name for p in folder.iterdir()) == ["best.safetensors", "last.safetensors"]


def test_what_the_checkpoint_says(tmp_path):
    trainer = small_trainer(tmp_path, classes=["ground", "red", "green"], normalization={"mean": [0.5, 0.5], "std": [0.2, 0.3]})
    trainer.fit(1)
    checkpoint = load_checkpoint(tmp_path / "best.safetensors")
    assert checkpoint.classes == ["ground", "red", "green"]
    assert checkpoint.num_classes == 3
    assert checkpoint.normalization == {"mean": [0.5, 0.5], "std": [0.2, 0.3]}


def test_the_callback_can_end_the_training():
    seen = []

    def callback(trainer):
        seen.append(trainer.history[-1]["epoch"])
        return len(seen) == 2

    assert len(small_trainer(on_epoch_end=callback).fit(5)) == 2
    assert seen == [1, 2]


def test_fit_twice_goes_on():
    once = small_trainer()
    once.fit(4)
    straight = everything(once)
    twice = small_trainer()
    twice.fit(1)
    twice.fit(4)
    assert_same(everything(twice), straight)


def test_any_iterable_of_batches_will_do(rng):
    batches = [(rng.standard_normal((2, 2, 4, 5)).astype("float32"), rng.integers(0, 3, (2, 4, 5))) for _ in range(3)]
    trainer = small_trainer(train_loader=batches, val_loader=None)
    history = trainer.fit(2)
    assert [row["step"] for row in history] == [3, 6]
    assert "mean_iou" not in history[0]


def test_pixel_weights_reach_the_loss(rng):
    images, masks = rng.standard_normal((2, 2, 4, 5)).astype("float32"), rng.integers(0, 3, (2, 4, 5))
    weights = rng.random((2, 4, 5)).astype("float32")
    seen = []

    def loss(scores, target, pixel_weight):
        seen.append(pixel_weight.numpy())
        return F.weighted_cross_entropy(scores, target, pixel_weight)

    small_trainer(train_loader=[(images, masks, weights)], val_loader=None, loss_fn=loss).fit(1)
    assert np.array_equal(seen[0], weights)


def test_a_batch_without_labels_changes_nothing_and_warns_once(rng):
    images = rng.standard_normal((2, 2, 4, 5)).astype("float32")
    void = np.full((2, 4, 5), 255)
    minivision.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 1))
    before = weights_of(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        history = fit(model, [(images, void)] * 3, optim.SGD(model.parameters(), lr=1.0), epochs=2, progress=False)
    assert [row["loss"] for row in history] == [0.0, 0.0]
    assert_same(weights_of(model), before)
    assert len([w for w in caught if "every label is ignore_index=255" in str(w.message)]) == 1


def test_on_a_device(device):
    trainer = small_trainer(device=device)
    trainer.fit(2)
    on_cpu = small_trainer()
    on_cpu.fit(2)
    assert trainer.model.device == device
    for name, tensor in trainer.model.state_dict().items():
        np.testing.assert_allclose(to_numpy(tensor), on_cpu.model.state_dict()[name].array, rtol=1e-4, atol=1e-6)


def test_a_device_that_does_not_answer(monkeypatch):
    monkeypatch.setattr("minivision.backend.cupy", lambda: None)
    with pytest.raises(RuntimeError, match="'cuda': no GPU answers"):
        small_trainer(device="cuda")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheduler_step": "iteration"}, "scheduler_step='iteration' is unknown"),
        ({"clip_norm": 0.0}, "clip_norm=0.0 must be positive"),
        ({"classes": ["a", "b"]}, "num_classes means 3 classes but classes means 2 classes"),
        ({"num_classes": None}, "pass num_classes or classes"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ValueError, match=message):
        small_trainer(**options)


def test_bad_loaders():
    with pytest.raises(ValueError, match="gave no batch"):
        small_trainer(train_loader=[]).fit(1)
    with pytest.raises(TypeError, match=r"must be a tuple \(images, masks\), but the loader gave a dict"):
        small_trainer(train_loader=[{"image": 1}]).fit(1)
    with pytest.raises(ValueError, match="resume=True needs the folder"):
        small_trainer().fit(1, resume=True)


def test_an_error_in_a_step_leaves_everything_as_it_was(rng):
    images = rng.standard_normal((2, 2, 4, 5)).astype("float32")
    good, bad = rng.integers(0, 3, (2, 4, 5)), np.full((2, 4, 5), 7)
    trainer = small_trainer(train_loader=[(images, good), (images, bad)])
    with pytest.raises(ValueError, match="label 7"):
        trainer.fit(1)
    after = everything(trainer)
    assert trainer.state.batch == 1

    expected = small_trainer(train_loader=[(images, good), (images, good)])
    images, good = Tensor(images), Tensor(good)
    expected.model.train()
    expected.train_step(images, good)
    expected.scheduler.step()
    assert_same(after, everything(expected))


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    trainer = small_trainer(tmp_path / "file")
    with pytest.raises(FileExistsError, match="a file of that name exists"):
        trainer.fit(1)
    assert trainer.state.step == 0


def test_a_folder_without_permission(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    trainer = small_trainer(tmp_path)
    with pytest.raises(PermissionError, match=r"cannot write checkpoints into the folder .*Permission denied"):
        trainer.fit(1)
    assert trainer.state.step == 0
