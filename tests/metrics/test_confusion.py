"""The confusion matrix and its measures against published fixtures and their definitions as loops."""

import math
import warnings

import numpy as np
import pytest

from minivision import Tensor
from minivision.metrics import ConfusionMatrix, mean_iou, pixel_accuracy


@pytest.fixture(autouse=True)
def no_numpy_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def counted(prediction, target, num_classes=2, **settings):
    confusion = ConfusionMatrix(num_classes, **settings)
    confusion.update(np.array(prediction), np.array(target))
    return confusion


def test_fixture_of_the_fcn_score():
    confusion = counted([[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, -1, 1]], ignore_index=-1)
    assert confusion.matrix.tolist() == [[2, 1], [0, 2]]
    np.testing.assert_allclose(confusion.iou, [2 / 3, 2 / 3])
    np.testing.assert_allclose(confusion.class_accuracy, [2 / 3, 1])
    np.testing.assert_allclose(confusion.dice, [4 / 5, 4 / 5])
    assert confusion.pixel_accuracy == pytest.approx(4 / 5)
    assert confusion.mean_accuracy == pytest.approx(5 / 6)
    assert confusion.frequency_weighted_iou == pytest.approx(2 / 3)


def test_everything_wrong():
    confusion = counted(np.zeros((2, 3), int), np.ones((2, 3), int))
    np.testing.assert_array_equal(confusion.iou, [0, 0])
    np.testing.assert_array_equal(confusion.class_accuracy, [np.nan, 0])
    np.testing.assert_array_equal(confusion.dice, [0, 0])
    assert confusion.mean_iou == confusion.pixel_accuracy == confusion.frequency_weighted_iou == 0


def definition(prediction, target, num_classes, ignore_index):
    """Every measure by counting pixels one at a time."""
    pairs = [(t, p) for t, p in zip(target.ravel().tolist(), prediction.ravel().tolist(), strict=True) if t != ignore_index]
    iou, dice, accuracy, weighted = [], [], [], 0.0
    for c in range(num_classes):
        both = sum(t == c and p == c for t, p in pairs)
        either = sum(t == c or p == c for t, p in pairs)
        there = sum(t == c for t, _ in pairs)
        iou.append(both / either if either else math.nan)
        dice.append(2 * both / (there + sum(p == c for _, p in pairs)) if either else math.nan)
        accuracy.append(both / there if there else math.nan)
        weighted += there / len(pairs) * iou[-1] if there else 0
    mean = lambda values: sum(v for v in values if v == v) / sum(v == v for v in values)  # noqa: E731
    return {
        "pixel_accuracy": sum(t == p for t, p in pairs) / len(pairs),
        "mean_accuracy": mean(accuracy),
        "mean_iou": mean(iou),
        "mean_dice": mean(dice),
        "frequency_weighted_iou": weighted,
        "class_accuracy": accuracy,
        "iou": iou,
        "dice": dice,
    }


@pytest.mark.parametrize("ignore_index", [255, 0, None])
def test_definition_accumulated_over_a_data_set(rng, ignore_index):
    """Class 4 is nowhere, class 3 is predicted only; images of different sizes."""
    confusion = ConfusionMatrix(5, ignore_index)
    images = []
    for shape in ((7, 9), (2, 4, 5), (1, 1)):
        target = rng.integers(0, 3, shape)
        if ignore_index == 255:
            target[rng.random(shape) < 0.2] = 255
        prediction = np.where(rng.random(shape) < 0.7, np.minimum(target, 3), rng.integers(0, 4, shape))
        confusion.update(prediction.astype(np.uint8), target)
        images.append((prediction.ravel(), target.ravel()))
    prediction, target = (np.concatenate(parts) for parts in zip(*images, strict=True))
    expected = definition(prediction, target, 5, ignore_index)
    assert list(confusion.compute()) == list(expected)
    for name, value in confusion.compute().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-12, err_msg=name)
    assert math.isnan(confusion.iou[4])
    assert confusion.iou[3] == 0
    assert math.isnan(confusion.class_accuracy[3])


def test_truth_against_itself():
    target = np.array([[0, 1, 3], [3, 255, 1]])
    confusion = counted(np.where(target == 255, 0, target), target, 4)
    np.testing.assert_array_equal(confusion.iou, [1, 1, np.nan, 1])
    assert all(confusion.compute()[name] == 1 for name in ("pixel_accuracy", "mean_iou", "mean_dice", "frequency_weighted_iou"))


@pytest.mark.parametrize("target", [np.full((2, 3), 255), np.zeros((0, 3), int)])
def test_nothing_counted_is_nan(target):
    confusion = counted(np.zeros(target.shape, int), target, 3)
    for name, value in confusion.compute().items():
        assert np.isnan(value).all(), name
    assert "nan" in str(confusion)


def test_prediction_at_ignored_pixels_may_be_anything():
    assert counted([0, 99], [0, 255]).matrix.tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("prediction", "target", "settings", "message"),
    [
        ([0, 1, 2], [0, 1, 1], {}, r"prediction has label 2, but the classes are 0..1; ignore_index is 255"),
        ([0, 1, 1], [0, -1, 1], {}, r"target has label -1, but the classes are 0..1"),
        ([0, 1, 1], [0, 255, 1], {"ignore_index": None}, r"target has label 255, but .*; no label is ignored"),
        ([0, 1], [[0], [1]], {}, r"prediction \(2,\) and target \(2, 1\) differ in shape"),
        ([0.1, 0.9], [0, 1], {}, r"prediction must be integer labels, but it is float64 of shape \(2,\); .*argmax"),
    ],
)
def test_bad_input_counts_nothing(prediction, target, settings, message):
    confusion = ConfusionMatrix(2, **settings)
    with pytest.raises(ValueError, match=message):
        confusion.update(np.array(prediction), np.array(target))
    assert confusion.matrix.sum() == 0


def test_bad_settings():
    with pytest.raises(ValueError, match="num_classes is 0"):
        ConfusionMatrix(0)
    with pytest.raises(ValueError, match="1 names for 2 classes"):
        ConfusionMatrix(2, names=["one"])


def test_tensors_are_accepted():
    confusion = ConfusionMatrix(2)
    confusion.update(Tensor(np.array([0, 1])), Tensor(np.array([1, 1])))
    assert confusion.matrix.tolist() == [[0, 0], [1, 1]]


def test_parts_add_up():
    a, b = counted([0, 1, 1], [0, 1, 0]), counted([1, 1], [1, 255])
    whole = counted([0, 1, 1, 1, 1], [0, 1, 0, 1, 255])
    assert (a + b).matrix.tolist() == whole.matrix.tolist()
    assert a.matrix.sum() == 3
    with pytest.raises(ValueError, match="cannot add 2 classes ignoring 255 and 3 classes ignoring 255"):
        a + ConfusionMatrix(3)
    with pytest.raises(TypeError):
        a + 1


def test_reset():
    confusion = counted([0, 1], [0, 1])
    confusion.reset()
    assert confusion.matrix.tolist() == [[0, 0], [0, 0]]
    assert math.isnan(confusion.mean_iou)


def test_table():
    confusion = counted([[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 255, 1]], names=["background", "disk"])
    assert str(confusion).splitlines() == [
        "class          IoU    Dice  accuracy      pixels",
        "background   0.667   0.800     0.667           3",
        "disk         0.667   0.800     1.000           2",
        "mean         0.667   0.800     0.833           5",
        "pixel accuracy 0.800, frequency-weighted IoU 0.667",
    ]
    assert repr(confusion) == "ConfusionMatrix(2 classes, 5 pixels, mean IoU 0.667)"


def test_functions_for_one_pair():
    prediction, target = np.array([0, 1, 1, 0]), np.array([0, 0, 1, 255])
    assert mean_iou(prediction, target, 2) == pytest.approx(0.5)
    assert pixel_accuracy(prediction, target, 2) == pytest.approx(2 / 3)
    assert pixel_accuracy(prediction, np.array([0, 0, 1, 1]), 2, ignore_index=None) == pytest.approx(0.5)
