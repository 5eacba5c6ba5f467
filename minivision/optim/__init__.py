"""Optimizers and schedules under the names of `torch.optim`."""

from minivision.optim import lr_scheduler
from minivision.optim.adam import Adam, AdamW
from minivision.optim.optimizer import Optimizer
from minivision.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
