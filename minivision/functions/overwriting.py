"""Operations that write their result into the memory of their input and are recorded: `relu_`, `relu(x, inplace=True)`.

Afterwards the tensor *is* the result: its place in the graph is the output of the operation, and the operation's input is what
the tensor was before. So the gradient flows through as if the result had a name of its own, as long as nobody needs the old
values. An operation before this one that kept them notices at its backward, because every change of memory is counted.
"""

from __future__ import annotations

import gc
import sys

import numpy as np

from minivision.autograd import Function, Tensor, is_grad_enabled


def overwrite(op: str, function: Function, x: Tensor) -> Tensor:
    """x after `function`, which returns the array that it is given, with other values; recorded where x requires a gradient.

    Raises RuntimeError for a leaf that requires a gradient, since its old values would be lost and it would be no leaf any more,
    and where another tensor of the graph looks at the same memory, since that one would not know of the change.
    """
    check_writable(op, x)
    if is_grad_enabled() and x.requires_grad:
        if x.is_leaf:
            raise RuntimeError(
                f"{op}: this leaf of shape {x.shape} requires a gradient, so a change in place would have to be recorded; "
                "update parameters inside `with no_grad():`"
            )
        if _shares_memory_in_graph(x):
            raise RuntimeError(
                f"{op}: another tensor of the graph looks at the memory of x, of shape {x.shape} (one of them is a view of the "
                "other), and would not know of the change; leave the input as it is, without inplace=True, or change a .clone()"
            )
    x._note_change()  # before the call: what that keeps has the new values
    y = function(x)
    if y.grad_fn is not None:
        x.grad_fn, x._output, x._requires_grad = y.grad_fn, y._output, True
    return x


def _shares_memory_in_graph(x: Tensor) -> bool:
    """Whether a tensor that requires a gradient is a view of x, or x of it: they count their changes in one list."""
    if sys.getrefcount(x._version) <= 2:  # that of x, and this call's: nobody else knows the list
        return False
    return any(isinstance(t, Tensor) and t is not x and t.requires_grad for t in gc.get_referrers(x._version))


def check_writable(op: str, target: Tensor) -> None:
    """Raise RuntimeError where one element in memory stands for several of the tensor, or the memory may not be changed."""
    array = target.array
    if isinstance(array, np.ndarray) and array.flags.writeable:
        return
    if array.size and any(step == 0 and n > 1 for step, n in zip(array.strides, array.shape, strict=True)):
        raise RuntimeError(
            f"{op}: x of shape {target.shape} was expanded, so several of its elements are one in memory; change a .clone()"
        )
    if isinstance(array, np.ndarray):
        raise RuntimeError(f"{op}: the NumPy array under x of shape {target.shape} is read-only; change a .clone()")
