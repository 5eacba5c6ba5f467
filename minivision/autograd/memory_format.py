"""Memory formats under PyTorch's names: in which order the elements of a tensor lie in memory. The shape does not show it.

An image (N, C, H, W) in `contiguous_format` has its pixels side by side, channel after channel; in `channels_last` the memory is
that of (N, H, W, C): the channels of a pixel side by side, which convolutions and pooling like best.
"""

from __future__ import annotations

from typing import Any

from minivision.backend import Array


class MemoryFormat:
    """One of `contiguous_format`, `preserve_format`, `channels_last` (images) and `channels_last_3d` (volumes)."""

    __slots__ = ("name", "ndim")

    def __init__(self, name: str, ndim: int | None = None):
        self.name, self.ndim = name, ndim  # the number of axes that it is for

    def __repr__(self) -> str:
        return f"minivision.{self.name}"


contiguous_format = MemoryFormat("contiguous_format")
preserve_format = MemoryFormat("preserve_format")
channels_last = MemoryFormat("channels_last", 4)
channels_last_3d = MemoryFormat("channels_last_3d", 5)


def as_memory_format(op: str, memory_format: Any, shape: tuple[int, ...]) -> MemoryFormat:
    """The memory format of that name, PyTorch's own constants included; raises unless it is one for so many axes."""
    named = {f.name: f for f in (contiguous_format, preserve_format, channels_last, channels_last_3d)}
    found = named.get(str(memory_format).rpartition(".")[2])
    if found is None:
        raise TypeError(f"{op}: memory_format={memory_format!r} is unknown; use minivision.channels_last or contiguous_format")
    if found.ndim not in (None, len(shape)):
        meaning = {4: "images (N, C, H, W)", 5: "volumes (N, C, D, H, W)"}[found.ndim]
        raise RuntimeError(f"{op}: memory_format={found} is for {meaning}, but the shape is {shape}")
    return found


def is_arranged(array: Array, memory_format: MemoryFormat) -> bool:
    """Whether the elements lie in memory in this order, without gaps."""
    if memory_format is preserve_format:
        return True
    if memory_format is contiguous_format:
        return bool(array.flags.c_contiguous)
    return array.ndim == memory_format.ndim and bool(_rows(array).flags.c_contiguous)


def arranged(array: Array, memory_format: MemoryFormat, copy: bool = False) -> Array:
    """The array with its elements in this order: itself where they lie so already, unless a copy is asked for."""
    if memory_format is preserve_format:
        return array.copy(order="K") if copy else array
    if not copy and is_arranged(array, memory_format):
        return array
    if memory_format is contiguous_format:
        return array.copy(order="C")
    rows = _rows(array).copy(order="C")  # (N, *size, C)
    return rows.transpose(0, array.ndim - 1, *range(1, array.ndim - 1))


def _rows(array: Array) -> Array:
    """(N, C, *size) -> (N, *size, C), as a view."""
    return array.transpose(0, *range(2, array.ndim), 1)
