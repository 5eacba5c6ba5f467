"""Every differentiable operation, its forward and its backward written out: one file per lecture topic.

A file holds the `Function` classes (the mathematics) and, under them, the callables that users meet as `minivision.NAME` or
`minivision.nn.functional.NAME`.
"""

from minivision.functions import methods as methods  # gives Tensor its operators
from minivision.functions.shape import center_crop

__all__ = ["center_crop"]
