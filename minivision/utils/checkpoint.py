"""Gradient checkpointing under its names in PyTorch; it lives in `minivision/functions/checkpointing.py`."""

from minivision.functions.checkpointing import checkpoint, checkpoint_sequential

__all__ = ["checkpoint", "checkpoint_sequential"]
