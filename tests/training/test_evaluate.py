"""Evaluation against counting by hand, and what it must not disturb."""

from __future__ import annotations

import numpy as np
import pytest

from minivision import nn
from minivision.autograd import Tensor, is_grad_enabled
from minivision.data import DataLoader
from minivision.training import evaluate
from tests.training.small import CLASSES, Blocks, assert_same, small_model, weights_of


class Predict(nn.Module):
    """Scores that are highest for a class that the first channel of the image names."""

    def forward(self, images):
        assert not self.training
        assert not is_grad_enabled()
        labels = images.numpy()[:, 0].astype(int)
        scores = np.stack([(labels == c).astype(np.float32) for c in range(CLASSES)], 1)
        return Tensor(scores)


def test_the_counts_are_those_of_a_loop(rng):
    truth = rng.integers(0, CLASSES, (5, 4, 7))
    truth[rng.random(truth.shape) < 0.2] = 255
    guess = rng.integers(0, CLASSES, (5, 4, 7))
    loader = [(guess[a:b, None].astype(np.float32), truth[a:b]) for a, b in ((0, 2), (2, 4), (4, 5))]
    expected = np.zeros((CLASSES, CLASSES), np.int64)
    for t, g in zip(truth.ravel(), guess.ravel(), strict=True):
        if t != 255:
            expected[t, g] += 1
    confusion = evaluate(Predict(), loader, CLASSES, names=["a", "b", "c"])
    assert np.array_equal(confusion.matrix, expected)
    assert confusion.names == ("a", "b", "c")


def test_modes_come_back_layer_by_layer_and_nothing_is_learned():
    model = small_model()
    model[1].eval()  # a frozen batch norm
    before = weights_of(model)
    evaluate(model, DataLoader(Blocks(4), batch_size=3), CLASSES)
    assert [module.training for module in model.modules()] == [True, True, False, True, True, True]
    assert is_grad_enabled()
    assert_same(weights_of(model), before)


def test_modes_come_back_after_an_error():
    model = small_model()
    with pytest.raises(ValueError, match=r"num_classes is 4, but the model's scores .* have shape \(3, 3, 6, 8\)"):
        evaluate(model, DataLoader(Blocks(4), batch_size=3), 4)
    assert all(module.training for module in model.modules())
    assert is_grad_enabled()


def test_random_transforms_are_the_same_every_time():
    model, loader = small_model(), DataLoader(Blocks(6, noise=1.0), batch_size=4)
    first = evaluate(model, loader, CLASSES).matrix
    assert np.array_equal(evaluate(model, loader, CLASSES).matrix, first)


def test_on_a_device(device):
    model = small_model()
    expected = evaluate(model, DataLoader(Blocks(6), batch_size=4), CLASSES).matrix
    confusion = evaluate(model, DataLoader(Blocks(6), batch_size=4), CLASSES, device=device)
    assert np.array_equal(confusion.matrix, expected)


def test_an_empty_loader():
    with pytest.raises(ValueError, match="the loader gave no batch"):
        evaluate(small_model(), [], CLASSES)
