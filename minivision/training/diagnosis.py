"""Where a NaN comes from: the same batch once more, with somebody watching every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minivision.autograd import Tensor
from minivision.backend import Array, to_numpy, xp_of
from minivision.blocks import in_blocks
from minivision.nn import Module


class NonFiniteLossError(ArithmeticError):
    """The loss, or what an update made of the model, is NaN or infinite. The update was undone.

    Attributes
    ----------
    epoch, batch, step: where it happened, counted from 1; `step` counts over all epochs.
    layer: the dotted name of the layer or parameter in which it first appeared, None if it was not in the model.
    """

    def __init__(self, message: str, epoch: int, batch: int, step: int, layer: str | None):
        super().__init__(message)
        self.epoch, self.batch, self.step, self.layer = epoch, batch, step, layer


def first_nonfinite(
    model: Module, loss_fn: Callable[..., Tensor], images: Tensor, *targets: Tensor, spoiled: list[str]
) -> tuple[str | None, str]:
    """Find where the first NaN or infinity of a training step arises; returns the layer's name and a sentence.

    Looks, in the order of the step, at the parameters, the batch, the output of every layer, the loss, the gradients; what is
    left is the update, which is known to spoil the entries named in `spoiled`. Runs forward and backward in the mode that the
    model is in, and so draws random numbers and changes running statistics.
    """
    for name, parameter in model.named_parameters():
        if not is_finite(parameter.array):
            return name, (
                f"parameter {name} held {_what(parameter.array)} before this step already; an earlier update, or the file it was "
                "loaded from, put it there"
            )
    for part, tensor in zip(("image", *("target",) * len(targets)), (images, *targets), strict=True):
        for sample in range(len(tensor)):
            if not is_finite(tensor.array[sample]):
                return None, f"{part} {sample} of the batch holds {_what(tensor.array[sample])}; look at the file it came from"

    found: list[tuple[str, str]] = []
    handles = [module.register_forward_hook(_watch(name, found)) for name, module in model.named_modules()]
    try:
        loss = loss_fn(model(images), *targets)
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return found[0]
    if not is_finite(loss.array):
        return None, f"every layer's output is finite, and the loss function makes {_what(loss.array)} of it"

    loss.backward()
    # backward runs from the last layer to the first
    for name, parameter in reversed(list(model.named_parameters())):
        if parameter.grad is not None and not is_finite(parameter.grad.array):
            return name, f"the loss is finite, and the gradient of {name} is the first that holds {_what(parameter.grad.array)}"
    if spoiled:
        return spoiled[0], f"loss and gradients are finite, and the update makes {', '.join(spoiled[:3])} not finite"
    return None, "run again, the same batch gives finite values, so the cause lies in something random outside the model"


def is_finite(array: Array) -> bool:
    """Whether a floating array has neither NaN nor infinity; every other array has none."""
    if array.dtype.kind != "f":
        return True
    answers: list[Any] = []
    in_blocks(lambda part: answers.append(xp_of(part).isfinite(part).all()), array)
    return all(map(bool, answers))


def _watch(name: str, found: list[tuple[str, str]]) -> Callable[[Module, tuple[Any, ...], Any], None]:
    def hook(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        if found or all(is_finite(t.array) for t in tensors_in(output)):
            return
        given = [t.array for t in tensors_in(inputs)]
        if all(is_finite(array) for array in given):
            largest = max((_largest(array) for array in given), default=0.0)
            bad = next(t.array for t in tensors_in(output) if not is_finite(t.array))
            layer = f"layer {name}" if name else "the model's own forward"
            sentence = f"{layer} ({type(module).__name__}) is the first whose output holds {_what(bad)}"
            found.append((name, f"{sentence}; its input is finite, of magnitude {largest:.3g} at most"))

    return hook


def tensors_in(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, lists and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)


def _largest(array: Array) -> float:
    return float(abs(to_numpy(array)).max()) if array.size else 0.0


def _what(array: Array) -> str:
    return "NaN" if bool(np.isnan(to_numpy(array)).any()) else "infinity"
