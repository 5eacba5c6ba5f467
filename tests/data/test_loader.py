"""DataLoader: the same batches in every run, whatever the workers; errors that say which sample."""

import threading
import time

import numpy as np
import pytest

from minivision import Tensor
from minivision.data import (
    DataLoader,
    Dataset,
    ElasticDeformation,
    RandomHorizontalFlip,
    SceneSegmentation,
    ShapesWorld,
    Subset,
    TensorDataset,
    default_collate,
)


class Draws(Dataset):
    """Sample i is (i, a random number)."""

    def __init__(self, length=10):
        self.length = length

    def __len__(self):
        return self.length

    def get(self, index, rng):
        time.sleep(0.001 * (index % 3))  # so that workers finish out of order
        return index, rng.random()


def flat(loader):
    """All batches of one epoch as nested lists."""
    return [[part.numpy().tolist() for part in batch] for batch in loader]


def loading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("DataLoader")]


@pytest.fixture(autouse=True)
def no_thread_survives():
    yield
    assert loading_threads() == []


def test_batches_in_order():
    batches = list(DataLoader(TensorDataset(np.arange(14).reshape(7, 2), np.arange(7.0)), batch_size=3))
    assert [isinstance(part, Tensor) for batch in batches for part in batch] == [True] * 6
    assert [batch[0].numpy().tolist() for batch in batches] == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]], [[12, 13]]]
    assert [batch[1].numpy().tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [3, 3, 3, 1]), (True, [3, 3, 3])])
def test_drop_last(drop_last, sizes):
    loader = DataLoader(Draws(), batch_size=3, drop_last=drop_last)
    assert len(loader) == len(sizes)
    assert [len(indices) for indices, _ in flat(loader)] == sizes


def test_shuffle_is_a_permutation_that_changes_with_epoch_and_seed():
    loader = DataLoader(Draws(30), batch_size=30, shuffle=True, seed=1)
    first, second = flat(loader)[0][0], flat(loader)[0][0]
    assert sorted(first) == sorted(second) == list(range(30))
    assert first != second
    assert first != list(range(30))
    assert flat(DataLoader(Draws(30), batch_size=30, shuffle=True, seed=1))[0][0] == first
    assert flat(DataLoader(Draws(30), batch_size=30, shuffle=True, seed=2))[0][0] != first


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_change_nothing(workers, shuffle):
    alone = DataLoader(Draws(), batch_size=3, shuffle=shuffle, seed=4)
    together = DataLoader(Draws(), batch_size=3, shuffle=shuffle, seed=4, num_workers=workers, prefetch_factor=1)
    for _ in range(3):
        assert flat(alone) == flat(together)


def test_random_transforms_do_not_depend_on_workers_or_order():
    world = SceneSegmentation(
        ShapesWorld(6, size=52), lambda *pair: ElasticDeformation(3.0)(*RandomHorizontalFlip()(*pair), pair[2])
    )
    alone, together = DataLoader(world, 2), DataLoader(world, 2, num_workers=3)
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a[0].numpy(), b[0].numpy())
        np.testing.assert_array_equal(a[1].numpy(), b[1].numpy())
    draws = dict(zip(*map(np.concatenate, zip(*flat(DataLoader(Draws(), 4)), strict=True)), strict=True))
    shuffled = dict(zip(*map(np.concatenate, zip(*flat(DataLoader(Draws(), 3, shuffle=True)), strict=True)), strict=True))
    assert draws == shuffled


def test_draws_differ_between_samples_epochs_and_seeds():
    loader = DataLoader(Draws(), batch_size=10)
    numbers = [flat(loader)[0][1], flat(loader)[0][1], flat(DataLoader(Draws(), 10, seed=1))[0][1]]
    assert len({value for row in numbers for value in row}) == 30


def test_set_epoch():
    loader = DataLoader(Draws(), batch_size=4, shuffle=True)
    epochs = [flat(loader) for _ in range(3)]
    assert loader.epoch == 3
    loader.set_epoch(1)
    assert flat(loader) == epochs[1]
    assert flat(loader) == epochs[2]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", range(9))
def test_resume_from_any_batch(stop, workers):
    """However many batches were taken, a loader with the saved state gives exactly the ones that were to come."""
    reference = DataLoader(Draws(), batch_size=3, shuffle=True, seed=7)
    expected = [batch for _ in range(3) for batch in flat(reference)]

    loader, taken = DataLoader(Draws(), batch_size=3, shuffle=True, seed=7, num_workers=workers), []
    state = loader.state_dict()
    while len(taken) < stop:
        for batch in loader:
            taken.append([part.numpy().tolist() for part in batch])
            state = loader.state_dict()
            if len(taken) == stop:
                break
    resumed = DataLoader(Draws(), batch_size=3, shuffle=True, num_workers=workers)
    resumed.load_state_dict(state)
    rest = [batch for _ in range(3) for batch in flat(resumed)]
    assert (taken + rest)[: len(expected)] == expected


def test_state_is_plain():
    loader = DataLoader(Draws(), batch_size=4, seed=5)
    assert loader.state_dict() == {"seed": 5, "epoch": 0, "batch": 0}
    flat(loader)
    assert loader.state_dict() == {"seed": 5, "epoch": 1, "batch": 0}
    with pytest.raises(ValueError, match="the state has no batch, seed"):
        loader.load_state_dict({"epoch": 1})


class Broken(Draws):
    """Sample 5 cannot be loaded."""

    def get(self, index, rng):
        if index == 5:
            raise OSError("corrupt file")
        return super().get(index, rng)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_error_of_a_sample_reaches_the_loop_with_its_index(workers):
    loader, taken = DataLoader(Broken(), batch_size=2, num_workers=workers), []

    def take_all():
        for indices, _ in loader:
            taken.extend(indices.numpy().tolist())

    with pytest.raises(OSError, match="corrupt file") as caught:
        take_all()
    assert caught.value.__notes__ == ["raised while loading sample 5"]
    assert taken == [0, 1, 2, 3]
    assert loading_threads() == []


def test_leaving_the_loop_ends_the_threads():
    loader = DataLoader(Draws(100), batch_size=2, num_workers=3)
    for _ in loader:
        assert len(loading_threads()) > 0
        break
    assert loading_threads() == []

    def fail():
        for _ in loader:
            raise RuntimeError("in the loop")

    with pytest.raises(RuntimeError, match="in the loop"):
        fail()
    assert loading_threads() == []


def test_prefetch_is_bounded():
    loaded = []

    class Counting(Draws):
        def get(self, index, rng):
            loaded.append(index)
            return index

    batches = iter(DataLoader(Counting(100), batch_size=1, num_workers=2, prefetch_factor=2))
    next(batches)
    time.sleep(0.05)
    assert len(loaded) <= 1 + 2 * 2
    batches.close()


def test_generator_reaches_the_dataset_under_a_subset():
    whole, part = DataLoader(Draws(), batch_size=10), DataLoader(Subset(Draws(), [4, 2]), batch_size=2)
    assert flat(part)[0][0] == [4, 2]
    assert flat(part)[0][1] != [flat(whole)[0][1][4], flat(whole)[0][1][2]]  # positions 0 and 1 of the subset seed the draws


def test_anything_indexable_is_a_dataset():
    assert [batch.numpy().tolist() for batch in DataLoader([3, 1, 2], batch_size=2)] == [[3, 1], [2]]

    class Pictures:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return {"image": np.full((2, 2), index, np.float32), "name": f"picture {index}"}

    batch = next(iter(DataLoader(Pictures(), batch_size=3)))
    assert batch["image"].shape == (3, 2, 2)
    assert batch["name"] == ["picture 0", "picture 1", "picture 2"]


def test_scenes_stay_a_list():
    world = ShapesWorld(3)
    (batch,) = DataLoader(world, batch_size=3)
    np.testing.assert_array_equal(batch[2].image, world[2].image)


def test_collate_fn():
    assert list(DataLoader([1, 2, 3], batch_size=2, collate_fn=sum)) == [3, 3]


def test_default_collate():
    image, number, flag = default_collate([(np.ones((2, 3), np.float32), 1.5, True), (np.zeros((2, 3), np.float32), 2, False)])
    assert (image.shape, image.dtype) == ((2, 2, 3), np.float32)
    assert (number.numpy().tolist(), number.dtype) == ([1.5, 2.0], np.float32)
    assert (flag.numpy().tolist(), flag.dtype) == ([True, False], np.bool_)
    assert default_collate([1, 2]).dtype == np.int64
    assert default_collate([np.float64(1), np.float64(2)]).dtype == np.float64
    stacked = default_collate([Tensor(np.ones(3)), Tensor(np.zeros(3))])
    assert stacked.numpy().tolist() == [[1, 1, 1], [0, 0, 0]]
    assert default_collate([None, None]) == [None, None]


def test_samples_of_different_shapes():
    with pytest.raises(
        ValueError, match=r"different shapes \[\(2, 3\), \(2, 4\)\] into a batch; .*RandomCrop.*batch_size=1"
    ) as caught:
        list(DataLoader([np.zeros((2, 3)), np.zeros((2, 4))], batch_size=2))
    assert caught.value.__notes__ == ["raised while making a batch of the samples [0, 1]"]
    assert len(list(DataLoader([np.zeros((2, 3)), np.zeros((2, 4))]))) == 2
    with pytest.raises(ValueError, match=r"the samples of a batch have \[1, 2\] parts"):
        list(DataLoader([(1,), (1, 2)], batch_size=2))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(value):
    images = np.zeros((3, 2, 4), np.float32)
    images[1, 1, 2] = images[1, 1, 3] = value
    dataset = TensorDataset(images, np.arange(3))
    with pytest.raises(
        ValueError, match=r"^sample 1: 2 of 8 values of an array of shape \(2, 4\) are NaN .* the first at \(1, 2\)"
    ):
        list(DataLoader(dataset, batch_size=3))
    assert len(list(DataLoader(dataset, batch_size=3, check_finite=False))) == 1


@pytest.mark.parametrize(
    ("dataset", "settings", "message"),
    [
        ([], {}, "the dataset is empty"),
        ([1], {"batch_size": 0}, "batch_size 0"),
        ([1], {"num_workers": -1}, "num_workers -1"),
        ([1], {"seed": -1}, "seed -1"),
        (
            [1, 2],
            {"batch_size": 3, "drop_last": True},
            "drop_last=True leaves no batch, as the dataset has 2 samples and batch_size is 3",
        ),
    ],
)
def test_bad_settings(dataset, settings, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(dataset, **settings)
