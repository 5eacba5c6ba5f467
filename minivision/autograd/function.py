"""`Function`: one differentiable operation, its forward and its backward, and one node of the recorded graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from minivision.autograd.grad_mode import is_recording
from minivision.autograd.tensor import Tensor, ticks
from minivision.backend import Array, check_same_device, is_array, may_share_memory, xp_of

Edge = tuple["Function | Tensor", int]
Spec = tuple[tuple[int, ...], np.dtype]  # of an array: its shape and its dtype


_NEVER_CHANGED = [0, None]  # the version of a number


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
    is_view: bool = False

    needs_input_grad: Any = _Always()
    # Where the gradient of each input goes, when recorded: to an output of the node that made it, or to a leaf
    edges: Sequence[Edge | None] | None = None
    # When recorded, what each input and each output looked like; None for a number
    _inputs: Sequence[Any] = ()
    _outputs: Sequence[Spec] = ()
    # The version of each input and each output, see `Tensor._note_change`; None again when the graph was freed
    _watched: Sequence[list[Any]] | None = None
    _number: int  # when it was recorded
    # hooks on this node's outputs: output index -> functions of the gradient
    _hooks: dict[int, list[Any]] | None = None

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
        # A network of small arrays spends its time here, not in the arithmetic: plain loops, and no call where a look will do.
        arrays: list[Any] = []
        wanted: list[bool] = []
        on_cpu = True
        for x in inputs:
            if isinstance(x, Tensor):
                array = x.array
                arrays.append(array)
                wanted.append(x._requires_grad)
                if type(array) is not np.ndarray:
                    on_cpu = False
            else:
                arrays.append(x)
                wanted.append(False)
        if not on_cpu:
            self._check_devices(inputs)
        recording = True in wanted and is_recording()
        self.needs_input_grad = tuple(wanted) if recording else (False,) * len(wanted)

        result = self.forward(*arrays)
        several = isinstance(result, tuple)
        outputs = tuple([Tensor._wrap(a) for a in result]) if several else (Tensor._wrap(result),)
        if self.is_view:
            _share_versions(inputs, outputs)
        if recording:
            self._record(inputs, outputs)
        return outputs if several else outputs[0]

    @property
    def name(self) -> str:
        """The operation's name in error messages."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # ---- the node of the graph ----

    def _record(self, inputs: tuple[Any, ...], outputs: tuple[Tensor, ...]) -> None:
        edges: list[Edge | None] = []
        looks: list[Spec | None] = []
        watched: list[list[Any]] = []
        for x in inputs:
            if not isinstance(x, Tensor):
                edges.append(None)
                looks.append((x.shape, x.dtype) if is_array(x) else None)
                watched.append(_NEVER_CHANGED)
                continue
            watched.append(x._version)
            if x.grad_fn is not None and x._requires_grad:
                node, output = edge = x.grad_fn, x._output
                edges.append(edge)
                looks.append(node._outputs[output])
            else:
                edges.append((x, 0) if x._requires_grad else None)
                looks.append((x.array.shape, x.array.dtype))
        made: list[Spec] = []
        for y in outputs:
            dtype = y.array.dtype
            if dtype.kind == "f":
                y.grad_fn, y._output, y._requires_grad = self, len(made), True
            made.append((y.array.shape, dtype))
            watched.append(y._version)
        self._inputs, self._outputs, self._watched, self._number = looks, made, watched, next(ticks)
        self.edges = edges

    def as_input(self, array: Any, index: int = 0) -> Any:
        """Input `index` as a Tensor in its place of the graph again, made of the array that forward kept; for rules.

        So nothing more is kept in ordinary training. A number stays a number.
        """
        return self._recalled(array, index, self.edges[index] if self.edges else None)

    def as_output(self, array: Array, index: int = 0) -> Tensor:
        """Output `index` as a Tensor in its place of the graph again, made of the array that forward kept; for rules."""
        return self._recalled(array, len(self.edges or ()) + index, (self, index))

    def _recalled(self, array: Any, place: int, edge: Any) -> Any:
        if not (is_array(array) or isinstance(array, np.generic)):
            return array
        tensor = Tensor._wrap(array)
        if edge is not None:
            tensor.grad_fn, tensor._output = edge
            tensor._requires_grad = True
        if self._watched and self._watched[place] is not _NEVER_CHANGED:
            tensor._version = self._watched[place]
        return tensor

    def _run_backward(
        self, gradients: dict[int, Any], rule: Callable[..., Any] | None = None, useful: Sequence[Edge | None] = ()
    ) -> list[Any]:
        """backward() as the engine calls it, with the gradients that arrived by output index: guarded before, checked after.

        With a rule the gradients are Tensors, and the rule takes the place of `backward`, to compute those with a `useful` edge.
        """
        if self._watched is None:
            raise RuntimeError(
                f"backward() was already run through {self.name}, and the graph was freed to give its memory back; pass "
                "retain_graph=True to the first backward(), or run the forward pass again"
            )
        recorded = self._number
        for version in self._watched:
            if version[0] > recorded:
                self._check_kept(version[1]())
        if rule is None and len(self._outputs) == 1:
            results = self.backward(gradients[0])
        else:
            # An output that nothing used contributes a gradient of zeros.
            upstream = [gradients[i] if i in gradients else self._zeros(i, gradients) for i in range(len(self._outputs))]
            results = self.backward(*upstream) if rule is None else self._follow(rule, upstream, useful)
        if not isinstance(results, tuple):
            results = (results,)
        edges = self.edges or ()
        if len(results) != len(edges):
            raise RuntimeError(f"{self.name}.backward returned {len(results)} gradients for {len(edges)} inputs")
        checked = [*results]
        for place, gradient in enumerate(results):
            if gradient is not None and edges[place] is not None:
                shape, dtype = self._inputs[place]
                if type(gradient) is not np.ndarray or gradient.dtype is not dtype or gradient.shape != shape:
                    checked[place] = self._fitted(place, gradient, shape, dtype)
        return checked

    def _follow(self, rule: Callable[..., Any], upstream: list[Any], useful: Sequence[Edge | None]) -> Any:
        recorded, self.needs_input_grad = self.needs_input_grad, tuple(edge is not None for edge in useful)
        try:
            return rule(self, *upstream)
        finally:
            self.needs_input_grad = recorded

    def _check_kept(self, changed: Array | None) -> None:
        """Raise when forward kept an array that lies in memory which was changed in place since."""
        for a in kept_arrays(self):
            if changed is not None and share_memory(a, changed):
                raise RuntimeError(
                    f"{self.name}: a tensor of shape {a.shape} that its backward needs was changed in place after the forward "
                    "pass; change it after backward(), or work on a .clone()"
                )

    def _zeros(self, index: int, gradients: dict[int, Any]) -> Any:
        like = next(iter(gradients.values()))
        if isinstance(like, Tensor):
            return Tensor._wrap(xp_of(like.array).zeros(*self._outputs[index]))
        return xp_of(like).zeros(*self._outputs[index])

    def _fitted(self, index: int, gradient: Any, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """A gradient that does not look like its input: summed where the input was broadcast. Raises unless it fits then."""
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
        self.__dict__ = {"edges": (), "_number": self._number, "_outputs": self._outputs}

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


def _share_versions(inputs: tuple[Any, ...], outputs: tuple[Tensor, ...]) -> None:
    """Let outputs that look at the memory of an input count changes together with it."""
    for x in inputs:
        for y in outputs:
            if isinstance(x, Tensor) and share_memory(x.array, y.array):
                y._version = x._version


def kept_arrays(node: Function) -> list[Array]:
    """The arrays that forward kept on the node, also those in lists and tuples."""
    kept: list[Array] = []
    for value in node.__dict__.values():
        if type(value) is np.ndarray:
            kept.append(value)
        elif value is not None and value is not node.needs_input_grad:
            kept += _arrays_in(value)
    return kept


def _arrays_in(value: Any) -> list[Array]:
    if isinstance(value, (list, tuple)):
        return [array for part in value for array in _arrays_in(part)]
    return [value] if is_array(value) else []


def share_memory(a: Array, b: Array) -> bool:
    """Whether two arrays may look at the same memory."""
    if type(a) is not type(b):
        return False
    if type(a) is np.ndarray and a.base is None and b.base is None:
        return a is b  # each has memory of its own
    return may_share_memory(a, b)
