"""`DataLoader`: batches out of a dataset, in an order and with contents that depend on the seed alone."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.data.datasets import Indexable, fetch

ORDER, SAMPLE = 0, 1  # what a random stream is for; keeps the streams of one seed apart


class DataLoader:
    """Iterate over a dataset in batches, as `torch.utils.data.DataLoader`; each loop over the loader is one epoch.

    The order is drawn from (seed, epoch), the random transforms of a sample from (seed, epoch, index): every run, whatever
    the number of workers, gives the same batches.

    Parameters
    ----------
    dataset : anything with `len` and integer indexing. A `minivision.data.Dataset` gets `get(index, rng)` called.
    batch_size : samples in a batch; the last batch may be smaller, unless `drop_last`.
    shuffle : take the samples in a random order, another one in every epoch.
    num_workers : threads that load ahead; 0 loads in the loop itself. Worth it where loading waits for files or spends its
        time in Pillow, SciPy or NumPy, which let other threads run.
    collate_fn : makes a batch out of a list of samples; `default_collate` by default.
    prefetch_factor : batches that each worker may be ahead.
    check_finite : raise `ValueError` naming the sample when it has NaN or infinite values.

    Notes
    -----
    `epoch` is the number of the next loop; `set_epoch` changes it. `state_dict()`, also in the middle of a loop, notes which
    batch comes next; after `load_state_dict` the first loop starts there, and gives what is left of its epoch.

    An exception that a sample raises reaches the loop with a note that names its index. When the loop is left, by an exception
    or `break`, the threads end.

    Raises `ValueError` for an empty dataset, or sizes that leave no batch.
    """

    def __init__(
        self,
        dataset: Indexable,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        drop_last: bool = False,
        seed: int = 0,
        prefetch_factor: int = 2,
        check_finite: bool = True,
    ) -> None:
        if len(dataset) == 0:
            raise ValueError("DataLoader: the dataset is empty")
        if batch_size < 1 or num_workers < 0 or prefetch_factor < 1 or seed < 0:
            raise ValueError(
                f"DataLoader: batch_size {batch_size} and prefetch_factor {prefetch_factor} must be at least 1, num_workers"
                f" {num_workers} and seed {seed} at least 0"
            )
        if drop_last and len(dataset) < batch_size:
            raise ValueError(
                f"DataLoader: drop_last=True leaves no batch, as the dataset has {len(dataset)} samples and batch_size is"
                f" {batch_size}"
            )
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.num_workers, self.prefetch_factor, self.check_finite = num_workers, prefetch_factor, check_finite
        self.collate_fn = collate_fn or default_collate
        self.seed = seed
        self.epoch = 0
        self._first = 0  # the batch at which the next loop starts; not 0 only after load_state_dict
        self._next = (0, 0)  # epoch and batch that a loop in progress would give next

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return len(self.dataset) // self.batch_size if self.drop_last else -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        epoch, first = self.epoch, self._first
        self.epoch, self._first = epoch + 1, 0
        self._next = (epoch, first)
        return self._loop(epoch, first)

    def set_epoch(self, epoch: int) -> None:
        """Make the next loop the epoch of this number, from its first batch on."""
        self.epoch, self._first, self._next = epoch, 0, (epoch, 0)

    def state_dict(self) -> dict[str, int]:
        """Return where the loader stands: the seed, and the epoch and number of the batch that comes next."""
        epoch, batch = self._next
        return {"seed": self.seed, "epoch": epoch, "batch": batch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a state of `state_dict`; dataset and batch size must be those of the loader that saved it."""
        missing = {"seed", "epoch", "batch"} - set(state)
        if missing:
            raise ValueError(f"DataLoader.load_state_dict: the state has no {', '.join(sorted(missing))}")
        self.seed, self.epoch, self._first = state["seed"], state["epoch"], state["batch"]
        self._next = (self.epoch, self._first)

    def _loop(self, epoch: int, first: int) -> Iterator[Any]:
        order = np.arange(len(self.dataset))
        if self.shuffle:
            order = np.random.default_rng((ORDER, self.seed, epoch)).permutation(order)
        batches = [
            order[number * self.batch_size : (number + 1) * self.batch_size].tolist() for number in range(first, len(self))
        ]
        for number, batch in enumerate(self._load_all(batches, epoch), start=first + 1):
            self._next = (epoch, number) if number < len(self) else (epoch + 1, 0)
            yield batch

    def _load_all(self, batches: list[list[int]], epoch: int) -> Iterator[Any]:
        """Yield the loaded batches in order; threads work on the next ones, never more than the prefetch ahead."""
        if self.num_workers == 0:
            yield from (self._load(indices, epoch) for indices in batches)
            return
        pool = ThreadPoolExecutor(self.num_workers, thread_name_prefix="DataLoader")
        pending: deque[Future[Any]] = deque()
        try:
            for indices in batches:
                pending.append(pool.submit(self._load, indices, epoch))
                if len(pending) > self.num_workers * self.prefetch_factor:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _load(self, indices: list[int], epoch: int) -> Any:
        samples = [self._load_sample(index, epoch) for index in indices]
        try:
            return self.collate_fn(samples)
        except Exception as error:
            error.add_note(f"raised while making a batch of the samples {indices}")
            raise

    def _load_sample(self, index: int, epoch: int) -> Any:
        try:
            sample = fetch(self.dataset, index, np.random.default_rng((SAMPLE, self.seed, epoch, index)))
        except Exception as error:
            error.add_note(f"raised while loading sample {index}")
            raise
        if self.check_finite:
            check_finite(sample, f"sample {index}")
        return sample


def default_collate(samples: Sequence[Any]) -> Any:
    """Turn a list of samples into one batch.

    Arrays and Tensors of equal shape are stacked along a new first axis into a Tensor; numbers become a Tensor (n,) of int64
    or float32; tuples, lists and dictionaries are collated part by part. Anything else stays a list.

    Raises `ValueError` when shapes or structures differ.
    """
    first = samples[0]
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, tuple | list):
        if any(len(sample) != len(first) for sample in samples):
            raise ValueError(f"DataLoader: the samples of a batch have {[len(sample) for sample in samples]} parts")
        return tuple(default_collate(part) for part in zip(*samples, strict=True))
    if isinstance(first, Tensor):
        return default_collate([sample.detach().numpy() for sample in samples])
    if isinstance(first, np.ndarray | np.generic):
        return Tensor(_stack([np.asarray(sample) for sample in samples]))
    if isinstance(first, bool | int | float):
        return Tensor(np.array(samples, np.float32 if any(isinstance(sample, float) for sample in samples) else None))
    return list(samples)


def check_finite(sample: Any, name: str) -> None:
    """Raise `ValueError` when a floating-point array in `sample` (an array, or a tuple, list or dict of them) is not finite.

    The message gives `name`, how many values are NaN or infinite, and where the first one is.
    """
    if isinstance(sample, Mapping):
        sample = tuple(sample.values())
    if isinstance(sample, tuple | list):
        for part in sample:
            check_finite(part, name)
    elif isinstance(sample, np.ndarray) and sample.dtype.kind == "f":
        bad = ~np.isfinite(sample)
        if bad.any():
            place = tuple(int(index) for index in np.argwhere(bad)[0])
            raise ValueError(
                f"{name}: {bad.sum()} of {sample.size} values of an array of shape {sample.shape} are NaN or infinite, the"
                f" first at {place}"
            )


def _stack(arrays: list[np.ndarray]) -> np.ndarray:
    shapes = [array.shape for array in arrays]
    if len(set(shapes)) > 1:
        raise ValueError(
            f"DataLoader: cannot stack samples of different shapes {shapes} into a batch; bring them to one size with"
            " Resize or RandomCrop, or use batch_size=1"
        )
    return np.stack(arrays)
