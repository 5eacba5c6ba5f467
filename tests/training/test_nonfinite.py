"""A NaN ends the training with its place and leaves the weights of the step before."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from minivision import default_generator, nn
from minivision.autograd import Tensor
from minivision.data import DataLoader
from minivision.training import NonFiniteLossError, load_checkpoint
from tests.training.small import Blocks, assert_same, everything, small_model, small_trainer, weights_of


class LogAt(nn.Module):
    """From its n-th call on, the logarithm of something negative."""

    def __init__(self, call: int):
        super().__init__()
        self.calls, self.call = 0, call

    def forward(self, x):
        self.calls += 1
        return (x * 0 - 1).log() if self.calls >= self.call else x


class Block(nn.Module):
    """The infinity arises in its own forward, between two layers."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.last(self.first(x) / 0.0)


def failure(trainer, epochs: int = 5) -> NonFiniteLossError:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the explanation must not drown in NumPy's warnings
        with pytest.raises(NonFiniteLossError) as caught:
            trainer.fit(epochs)
    return caught.value


def test_it_names_the_step_and_the_layer_and_undoes_the_step(tmp_path):
    model = nn.Sequential(small_model(), LogAt(9))
    trainer = small_trainer(tmp_path, model=model)
    steps = []
    step = trainer.train_step

    def train_step(*batch):
        steps.append(everything(trainer)["weights"])
        return step(*batch)

    trainer.train_step = train_step
    error = failure(trainer)
    # epoch 1 has calls 1-4 and 5, 6 for validation; calls 7 and 8 are the first two steps of epoch 2
    assert (error.epoch, error.batch, error.step, error.layer) == (2, 3, 7, "1")
    message = str(error)
    assert message.startswith("the loss became nan in epoch 2, batch 3 (step 7): layer 1 (LogAt) is the first")
    assert "whose output holds NaN; its input is finite" in message
    assert "lower the learning rate" in message
    assert_same(weights_of(trainer.model), steps[-1])
    assert trainer.state.batch == 2
    # the files are from the end of epoch 1
    for name in ("last", "best"):
        weights = load_checkpoint(tmp_path / f"{name}.safetensors").weights
        assert_same(weights, steps[4])


def test_optimizer_and_random_numbers_are_undone_too():
    trainer = small_trainer(model=nn.Sequential(small_model(), LogAt(3)), val_loader=None)
    other = small_trainer(model=nn.Sequential(small_model(), LogAt(99)), val_loader=None)
    for target, source in zip(other.model.parameters(), trainer.model.parameters(), strict=True):
        target.array[...] = source.array
    states = []
    step = other.train_step

    def train_step(*batch):
        states.append(everything(other))
        return step(*batch)

    other.train_step = train_step
    random = everything(trainer)["random"]
    default_generator.set_state(random)
    other.fit(1)
    default_generator.set_state(random)
    failure(trainer)
    assert_same(everything(trainer), states[2])


def test_a_layer_deep_inside():
    inner = nn.Sequential(nn.Conv2d(2, 3, 1), LogAt(1), nn.ReLU())
    error = failure(small_trainer(model=nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity(), inner))))
    assert error.layer == "1.1.1"
    assert (error.epoch, error.batch, error.step) == (1, 1, 1)


def test_between_two_layers():
    error = failure(small_trainer(model=nn.Sequential(nn.Identity(), Block())))
    assert error.layer == "1"
    assert "layer 1 (Block)" in str(error)
    error = failure(small_trainer(model=Block()))
    assert error.layer == ""
    assert "the model's own forward (Block)" in str(error)


def test_an_image():
    class Spoiled(Blocks):
        def get(self, index, rng):
            image, mask = super().get(index, rng)
            if index == 4:
                image[1, 2, 3] = np.nan
            return image, mask

    loader = DataLoader(Spoiled(), batch_size=3, check_finite=False)
    error = failure(small_trainer(train_loader=loader))
    assert error.layer is None
    assert "epoch 1, batch 2 (step 2): image 1 of the batch holds NaN" in str(error)
    with pytest.raises(ValueError, match="sample 4: 1 of 96 values"):
        small_trainer(train_loader=DataLoader(Spoiled(), batch_size=3)).fit(1)


def test_a_parameter_that_was_bad_before():
    trainer = small_trainer()
    trainer.model[4].weight.array[1, 2] = np.inf
    error = failure(trainer)
    assert error.layer == "4.weight"
    assert "parameter 4.weight held infinity before this step already" in str(error)


def test_the_loss_function():
    def loss(scores, masks):
        return (scores * 0).sum() / 0.0

    error = failure(small_trainer(loss_fn=loss))
    assert error.layer is None
    assert "every layer's output is finite, and the loss function makes NaN of it" in str(error)


def test_a_gradient():
    def loss(scores, masks):
        return ((scores * 0) ** 0.5).sum()  # 0, with a slope of 0 * infinity

    trainer = small_trainer(loss_fn=loss)
    before = weights_of(trainer.model)
    error = failure(trainer)
    assert error.layer == "4.bias"
    assert "the weights became NaN or infinite in epoch 1, batch 1" in str(error)
    assert "the loss is finite, and the gradient of 4.bias is the first that holds NaN" in str(error)
    assert_same(weights_of(trainer.model), before)


def test_the_update_itself():
    trainer = small_trainer(scheduler=None)
    trainer.optimizer.param_groups[0]["lr"] = 1e39
    before = weights_of(trainer.model)
    error = failure(trainer)
    assert error.layer == "0.weight"
    assert "loss and gradients are finite, and the update makes 0.weight" in str(error)
    assert "lower the learning rate (now 1e+39) or pass clip_norm=1.0" in str(error)
    assert_same(weights_of(trainer.model), before)


def test_a_failure_that_does_not_repeat():
    losses = iter([float("nan")])

    def loss(scores, masks):
        return (scores * 0).sum() + next(losses, 1.0)

    assert "run again, the same batch gives finite values" in str(failure(small_trainer(loss_fn=loss)))


def test_running_statistics_count_as_weights():
    class Huge(nn.Module):
        def forward(self, x):
            return x * 1e25  # the variance overflows float32; batch norm makes finite zeros of it

    trainer = small_trainer(model=nn.Sequential(nn.Conv2d(2, 3, 1), Huge(), nn.BatchNorm2d(3)))
    error = failure(trainer)
    assert np.isfinite(trainer.model[2].running_var.array).all()
    assert error.step == 1


def test_a_learning_rate_that_is_much_too_high(tmp_path):
    trainer = small_trainer(tmp_path, scheduler=None, model=nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 3, 1)))
    trainer.optimizer.param_groups[0]["lr"] = 1e8
    error = failure(trainer, 50)
    assert all(np.isfinite(w).all() for w in weights_of(trainer.model).values())
    assert "(step " in str(error)
    if (tmp_path / "last.safetensors").exists():
        assert all(np.isfinite(w).all() for w in load_checkpoint(tmp_path / "last.safetensors").weights.values())


def test_infinity_that_belongs_to_the_model_is_no_failure():
    model = small_model()
    model.register_buffer("mask", Tensor(np.array([0.0, -np.inf], np.float32)))
    assert len(small_trainer(model=model).fit(1)) == 1
