"""Datasets: indexing, subsets, splits."""

import numpy as np
import pytest

from minivision.data import Dataset, Subset, TensorDataset, random_split


class Noisy(Dataset[float]):
    """A dataset with random samples: index plus a draw."""

    def __len__(self):
        return 5

    def get(self, index, rng):
        return index + rng.random()


def test_get_is_enough_and_indexing_is_repeatable():
    noisy = Noisy()
    assert noisy[2] == noisy[2] == 2 + np.random.default_rng(2).random()
    assert noisy[-1] == noisy[4]
    assert noisy.get(2, np.random.default_rng(7)) == 2 + np.random.default_rng(7).random()
    assert list(noisy) == [noisy[index] for index in range(5)]


def test_index_out_of_range():
    for index in (5, -6):
        with pytest.raises(IndexError, match=f"index {index} is out of range for a dataset of 5 samples"):
            Noisy()[index]


def test_dataset_without_samples_says_what_to_define():
    class Nothing(Dataset):
        def __len__(self):
            return 1

    with pytest.raises(NotImplementedError, match=r"Nothing must define __getitem__\(index\) or get\(index, rng\)"):
        Nothing()[0]


def test_tensor_dataset():
    images, labels = np.arange(12).reshape(3, 2, 2), np.array([5, 6, 7])
    dataset = TensorDataset(images, labels)
    image, label = dataset[-2]
    assert len(dataset) == 3
    np.testing.assert_array_equal(image, [[4, 5], [6, 7]])
    assert label == 6


def test_tensor_dataset_of_unequal_lengths():
    with pytest.raises(ValueError, match=r"the first axes must be equal, but the shapes are \[\(3, 2\), \(4,\)\]"):
        TensorDataset(np.zeros((3, 2)), np.zeros(4))
    with pytest.raises(ValueError, match="at least one array"):
        TensorDataset()


def test_subset_passes_the_generator_on():
    subset = Subset(Noisy(), [3, -1])
    assert len(subset) == 2
    assert subset[0] == Noisy()[3]
    assert subset.get(1, np.random.default_rng(7)) == 4 + np.random.default_rng(7).random()
    with pytest.raises(IndexError):
        subset[2]
    with pytest.raises(IndexError, match="index 9 is out of range"):
        Subset(Noisy(), [9])


@pytest.mark.parametrize(
    ("total", "lengths", "counts"),
    [
        (10, [7, 3], [7, 3]),
        (10, [0.75, 0.25], [8, 2]),
        (11, [1 / 3] * 3, [4, 4, 3]),
        (5, [5, 0], [5, 0]),
        (1, [0.5, 0.5], [1, 0]),
    ],
)
def test_random_split_is_a_partition(total, lengths, counts):
    parts = random_split(range(total), lengths, generator=3)
    assert [len(part) for part in parts] == counts
    assert sorted(sample for part in parts for sample in part) == list(range(total))


def test_random_split_depends_on_the_generator_alone():
    split = [list(part) for part in random_split(range(50), [25, 25], generator=1)]
    assert split == [list(part) for part in random_split(range(50), [25, 25], np.random.default_rng(1))]
    assert split != [list(part) for part in random_split(range(50), [25, 25], generator=2)]


@pytest.mark.parametrize("lengths", [[7, 4], [0.5, 0.4], [1.5, -0.5], [12, -2], []])
def test_random_split_that_does_not_add_up(lengths):
    with pytest.raises(ValueError, match="must sum to the dataset's 10 samples, or to 1"):
        random_split(range(10), lengths)
