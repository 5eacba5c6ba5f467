"""Map-style datasets: what can be counted and indexed can be loaded."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

Sample = TypeVar("Sample")


@runtime_checkable
class Indexable(Protocol):
    """What `DataLoader` needs: a length and integer indexing. Lists and arrays qualify."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Dataset(Generic[Sample]):
    """A sequence of samples: subclasses define `__len__`, and `__getitem__` or `get`.

    `get(index, rng)` is the form for datasets with random transforms: all randomness comes from `rng`. The loader calls it
    with a generator seeded by (seed, epoch, index), so that a sample does not depend on which worker thread made it, nor
    on the samples made before. `dataset[index]` is `get` with a generator seeded by the index alone: always the same draw.
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")

    def __getitem__(self, index: int) -> Sample:
        if type(self).get is Dataset.get:
            raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index) or get(index, rng)")
        position = checked_index(index, len(self))
        return self.get(position, np.random.default_rng(position))

    def get(self, index: int, rng: np.random.Generator) -> Sample:
        """Return sample `index`, with every random choice drawn from `rng`."""
        return self[index]

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))


def checked_index(index: int, length: int) -> int:
    """Return `index` counted from the front (-1 is the last); raise `IndexError` outside [-length, length)."""
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range for a dataset of {length} samples")
    return int(index) % length


def fetch(dataset: Indexable, index: int, rng: np.random.Generator) -> Any:
    """Return sample `index`; a `Dataset` draws its random choices from `rng`, anything else is simply indexed."""
    return dataset.get(index, rng) if isinstance(dataset, Dataset) else dataset[index]


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Samples are rows of arrays or Tensors: `dataset[i]` is `(first[i], second[i], ...)`.

    Raises `ValueError` when the arrays differ in their first axis.
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ValueError("TensorDataset: needs at least one array or Tensor")
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if any(len(shape) == 0 or shape[0] != shapes[0][0] for shape in shapes):
            raise ValueError(f"TensorDataset: the first axes must be equal, but the shapes are {shapes}")
        self.tensors = tensors

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        position = checked_index(index, len(self))
        return tuple(tensor[position] for tensor in self.tensors)


class Subset(Dataset[Any]):
    """The samples of `dataset` at `indices`, in that order.

    Raises `IndexError` when an index lies outside the dataset.
    """

    def __init__(self, dataset: Indexable, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = [checked_index(index, len(dataset)) for index in indices]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[checked_index(index, len(self))]]

    def get(self, index: int, rng: np.random.Generator) -> Any:
        return fetch(self.dataset, self.indices[checked_index(index, len(self))], rng)


def random_split(dataset: Indexable, lengths: Sequence[float], generator: np.random.Generator | int = 0) -> list[Subset]:
    """Split a dataset at random into disjoint subsets.

    Parameters
    ----------
    lengths : whole numbers that sum to `len(dataset)`, or fractions that sum to 1; what rounding down the fractions
        leaves over is dealt out one by one from the first subset on, as in PyTorch.
    generator : a `np.random.Generator`, or the seed for one.

    Raises `ValueError` when the lengths do not add up.
    """
    total = len(dataset)
    counts = [int(length) for length in lengths]
    if math.isclose(sum(lengths), 1):
        counts = [math.floor(total * length) for length in lengths]
        for extra in range(total - sum(counts)):
            counts[extra % len(counts)] += 1
    if sum(counts) != total or min(counts, default=0) < 0:
        raise ValueError(f"random_split: lengths {list(lengths)} must sum to the dataset's {total} samples, or to 1")
    order = np.random.default_rng(generator).permutation(total)
    ends = np.cumsum(counts)
    return [Subset(dataset, order[end - count : end].tolist()) for count, end in zip(counts, ends, strict=True)]
