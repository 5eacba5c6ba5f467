"""What follows a convolution in the same breath: a number for each channel to multiply by and to add, and ReLU.

The convolution calls it on each block of its output that is done, while the block still lies in the cache. As operations of their
own, these steps would carry the whole output from memory and back once more.
"""

from __future__ import annotations

import numpy as np

from minivision.backend import Array, xp_of
from minivision.functions.channel_blocks import ROW, short_buffer, zeros_below
from minivision.functions.layout import joined


class Finishing:
    """z -> scale z + shift, and the maximum of that and 0 with `relu`; in place, on blocks (..., F)."""

    def __init__(self, shift: Array | None, scale: Array | None = None, relu: bool = False):
        self.shift, self.scale, self.relu = shift, scale, relu
        self._wide: tuple[int, Finishing] | None = None

    def __call__(self, block: Array) -> None:
        # NumPy's loops over a few channels are short: several positions side by side make one longer row
        channels = block.shape[-1]
        if type(block) is not np.ndarray or 2 * channels > ROW or block.size < 4 * ROW:
            self._apply(block)
            return
        line = joined(block, block.ndim - 2, block.ndim - 1)  # (..., W F)
        if line is not None and 2 * line.shape[-1] > ROW:
            positions = block.shape[-2]
            times = next(n for n in range(-(-ROW // (2 * channels)), positions + 1) if positions % n == 0)
            self._repeated(times)._apply(line.reshape(*line.shape[:-1], -1, times * channels))
        elif block.flags.c_contiguous:
            times = ROW // channels
            rows = block.reshape(-1, channels)
            whole = len(rows) // times * times
            self._repeated(times)._apply(rows[:whole].reshape(-1, times * channels))
            self._apply(rows[whole:])
        else:
            self._apply(block)

    def _apply(self, block: Array) -> None:
        xp = xp_of(block)
        with short_buffer(block.shape[-1]):
            if self.scale is not None:
                xp.multiply(block, self.scale, out=block)
            if self.shift is not None:
                xp.add(block, self.shift, out=block)
            if self.relu:
                xp.maximum(block, zeros_below(block) if xp is np else 0, out=block)

    def _repeated(self, times: int) -> Finishing:
        if self._wide is None or self._wide[0] != times:
            shift, scale = (None if v is None else np.tile(v, times) for v in (self.shift, self.scale))
            self._wide = (times, Finishing(shift, scale, self.relu))
        return self._wide[1]
