"""Work in blocks, for operations: see `minivision/blocks.py`, where the walk of autograd finds it too."""

from minivision.blocks import BLOCK, in_blocks

__all__ = ["BLOCK", "in_blocks"]
