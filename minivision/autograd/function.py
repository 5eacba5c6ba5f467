"""`Function`: one differentiable operation, its forward and its backward, and one node of the recorded graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from minivision.autograd.dtypes import is_floating
from minivision.autograd.grad_mode import is_grad_enabled
from minivision.autograd.tensor import Tensor
from minivision.backend import Array, check_same_device, is_array, may_share_memory, xp_of


class _Always:
    """`needs_input_grad` of a Function used without the graph: every gradient is wanted."""

    def __getitem__(self, index: int) -> bool:
        return True


class Function:
    """One differentiable operation.

    A subclass writes `forward(*arrays)` and `backward(*gradients)`: arrays in, arrays out. Settings (a stride, an axis) go
    to `__init__`; what backward needs, and nothing else, is kept on `self` by forward. An instance serves one call, either

    - recorded: `y = MaxPool(2)(x)` with Tensors, where the instance becomes a node of the graph, or
    - by hand: `f = MaxPool(2); y = f.forward(x); dx = f.backward(dy)` with plain arrays.

    `backward` receives one gradient per output and returns one per input: a tuple, or the bare array where there is a single
    input; None where no gradient exists. `self.needs_input_grad[i]` says whether the gradient of input i is wanted; the others
    may be returned as None and should cost nothing.

    A gradient of a gradient (`create_graph=True`) takes a rule: a function of the node and one Tensor per output that returns
    what `backward` returns, computed with recorded operations. `minivision/functions/second_order.py` holds the rules.

    Class attributes a subclass may set: `broadcasts`, for elementwise operations whose inputs are broadcast against each other:
    the base class then sums each gradient over the axes along which its input was repeated. `is_view`, for operations whose
    output may look at the memory of its input.
    """

    broadcasts: ClassVar[bool] = False
    is_view: ClassVar[bool] = False

    needs_input_grad: Any = _Always()
    edges: tuple[tuple[Function | Tensor, int] | None, ...] | None = None
    _inputs: list[Any]  # (shape, dtype) of the inputs and outputs, when recorded
    _outputs: list[Any]
    _watched: dict[int, Any]
    # hooks on this node's outputs: output index -> functions of the gradient
    hooks: dict[int, list[Any]] | None = None

    def forward(self, *inputs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}.forward is not written")

    def backward(self, *gradients: Array) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no backward; its result cannot be differentiated")

    def decisions(self) -> dict[str, Array]:
        """The discrete choices forward made (winners of a max, signs of a ReLU), by name; empty for smooth operations."""
        return {}

    def __call__(self, *inputs: Any) -> Any:
        """Run forward on Tensors (or plain arrays and numbers, as constants) and record it when a gradient is wanted."""
        if self.edges is not None:
            raise RuntimeError(f"{self.name}: this instance already recorded a call; make a new one for each call")
        self._check_devices(inputs)
        arrays = [x.array if isinstance(x, Tensor) else x for x in inputs]
        needs = tuple(isinstance(x, Tensor) and x.requires_grad for x in inputs)
        recording = is_grad_enabled() and any(needs)
        self.needs_input_grad = needs if recording else (False,) * len(needs)

        result = self.forward(*arrays)
        several = isinstance(result, tuple)
        outputs = [Tensor._wrap(a) for a in (result if several else (result,))]
        if self.is_view:
            for x, array in zip(inputs, arrays, strict=True):
                for y in outputs:
                    if isinstance(x, Tensor) and may_share_memory(array, y.array):
                        y._version = x._version
        if recording:
            self._record(inputs, arrays, outputs)
        return tuple(outputs) if several else outputs[0]

    @property
    def name(self) -> str:
        """The operation's name in error messages."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # ---- the node of the graph ----

    def _record(self, inputs: tuple[Any, ...], arrays: list[Any], outputs: list[Tensor]) -> None:
        self.edges = tuple(x._edge() if needed else None for x, needed in zip(inputs, self.needs_input_grad, strict=True))
        self._inputs = [(a.shape, a.dtype) if is_array(a) else None for a in arrays]
        self._outputs = [(y.shape, y.dtype) for y in outputs]
        for index, y in enumerate(outputs):
            if is_floating(y.dtype):
                y.grad_fn, y._output, y._requires_grad = self, index, True
        # An array kept for backward must still hold the same values then: remember the version of its tensor.
        kept = list(_arrays_in(vars(self).values()))
        self._watched = {
            i: (x._version, x._version[0], x.shape)
            for i, x in enumerate((*inputs, *outputs))
            if isinstance(x, Tensor) and any(type(a) is type(x.array) and may_share_memory(a, x.array) for a in kept)
        }

    def as_input(self, array: Any, index: int = 0) -> Any:
        """Input `index` as a Tensor in its place of the graph again, made of the array that forward kept; for rules.

        So nothing more is kept in ordinary training. A number stays a number.
        """
        return self._recalled(array, index, self.edges[index] if self.edges else None)

    def as_output(self, array: Array, index: int = 0) -> Tensor:
        """Output `index` as a Tensor in its place of the graph again, made of the array that forward kept; for rules."""
        return self._recalled(array, len(self._inputs) + index, (self, index))

    def _recalled(self, array: Any, place: int, edge: Any) -> Any:
        if not (is_array(array) or isinstance(array, np.generic)):
            return array
        tensor = Tensor._wrap(array)
        if edge is not None:
            tensor.grad_fn, tensor._output = edge
            tensor._requires_grad = True
        if place in self._watched:
            tensor._version = self._watched[place][0]
        return tensor

    def _run_backward(
        self, gradients: dict[int, Any], rule: Callable[..., Any] | None = None, needs: Sequence[bool] = ()
    ) -> tuple[Any, ...]:
        """backward() as the engine calls it, with the gradients that arrived by output index: guarded before, checked after.

        With a rule the gradients are Tensors, and the rule takes the place of `backward`; it sees `needs` as `needs_input_grad`.
        """
        if not hasattr(self, "_watched"):
            raise RuntimeError(
                f"backward() was already run through {self.name}, and the graph was freed to give its memory back; pass "
                "retain_graph=True to the first backward(), or run the forward pass again"
            )
        for version, expected, shape in self._watched.values():
            if version[0] != expected:
                raise RuntimeError(
                    f"{self.name}: a tensor of shape {shape} that its backward needs was changed in place after the forward "
                    f"pass (version {version[0]}, saved at version {expected}); change it after backward(), or work on a "
                    ".clone()"
                )
        # An output that nothing used contributes a gradient of zeros.
        upstream = [gradients[i] if i in gradients else self._zeros(i, gradients) for i in range(len(self._outputs))]
        result = self.backward(*upstream) if rule is None else self._follow(rule, upstream, needs)
        results = result if isinstance(result, tuple) else (result,)
        if len(results) != len(self._inputs):
            raise RuntimeError(f"{self.name}.backward returned {len(results)} gradients for {len(self._inputs)} inputs")
        return tuple(
            self._checked(i, g) if needed else None
            for i, (g, needed) in enumerate(zip(results, self.needs_input_grad, strict=True))
        )

    def _follow(self, rule: Callable[..., Any], upstream: list[Any], needs: Sequence[bool]) -> Any:
        recorded, self.needs_input_grad = self.needs_input_grad, tuple(needs)
        try:
            return rule(self, *upstream)
        finally:
            self.needs_input_grad = recorded

    def _zeros(self, index: int, gradients: dict[int, Any]) -> Any:
        like = next(iter(gradients.values()))
        if isinstance(like, Tensor):
            return Tensor._wrap(xp_of(like.array).zeros(*self._outputs[index]))
        return xp_of(like).zeros(*self._outputs[index])

    def _checked(self, index: int, gradient: Any) -> Any:
        if gradient is None:
            return None
        shape, dtype = self._inputs[index]
        if isinstance(gradient, np.generic):  # NumPy's result of arithmetic on 0-d arrays
            gradient = np.asarray(gradient)
        if self.broadcasts and gradient.shape != shape:
            gradient = unbroadcast(gradient, shape)
        if gradient.shape != shape or gradient.dtype != dtype:
            raise RuntimeError(
                f"{self.name}.backward: the gradient of {self._argument(index)} is {gradient.dtype} {gradient.shape}, but the "
                f"input is {dtype} {shape}"
            )
        return gradient

    def _release(self) -> None:
        """Forget everything forward kept; a later backward through this node explains itself."""
        vars(self).clear()
        self.edges = ()

    def _argument(self, index: int) -> str:
        import inspect  # takes longer to load than the rest of this package's floor, and only errors need it

        names = list(inspect.signature(self.forward).parameters)
        return names[index] if index < len(names) and not names[index].startswith("*") else f"input {index}"

    def _check_devices(self, inputs: tuple[Any, ...]) -> None:
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        if any(type(x.array) is not type(tensors[0].array) for x in tensors):
            check_same_device(self.name, {self._argument(i): x.array for i, x in enumerate(inputs) if isinstance(x, Tensor)})


def unbroadcast(gradient: Any, shape: tuple[int, ...]) -> Any:
    """The gradient of an input of `shape` that was broadcast: the sum over every axis along which it was repeated.

    Broadcasting makes copies; the total derivative adds up what each copy contributes.
    """
    extra = gradient.ndim - len(shape)
    repeated = tuple(range(extra)) + tuple(
        axis + extra for axis, n in enumerate(shape) if n == 1 and gradient.shape[axis + extra] != 1
    )
    return gradient.sum(repeated).reshape(shape) if repeated else gradient


def _arrays_in(values: Iterable[Any]) -> Iterator[Array]:
    """The arrays among the values, and those in lists and tuples."""
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _arrays_in(value)
        elif is_array(value):
            yield value
