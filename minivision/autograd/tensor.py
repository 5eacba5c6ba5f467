"""`Tensor`: an array that remembers which operation made it.

This file knows no operation. `+`, `@`, `[]`, `.sum()` and the other operators are installed by `minivision.functions`, from one
table in `minivision/functions/methods.py`.
"""

from __future__ import annotations

import itertools
import operator
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minivision.autograd.dtypes import as_dtype, is_floating, scalar_dtype
from minivision.autograd.memory_format import MemoryFormat, contiguous_format, is_arranged, preserve_format
from minivision.backend import Array, Device, device_of, is_array, to_device, to_numpy
from minivision.blocks import in_blocks

if TYPE_CHECKING:
    from minivision.autograd.function import Function

LARGE = 1 << 18  # elements; adding fewer takes one thread no longer than sharing them out


# The clock of the graph: every recorded operation and every change in place takes the next number.
ticks = itertools.count(1)

_new = object.__new__


class Tensor:
    """An N-dimensional array with a gradient, as `torch.Tensor`.

    `Tensor(array)` shares the memory of a NumPy or CuPy array; `minivision.tensor(data)` copies. A nested list of Python floats
    becomes float32.

    Attributes
    ----------
    array: the NumPy or CuPy array itself. Writing into it is not noticed by autograd; write into the Tensor instead.
    grad: the gradient that `backward()` accumulated (a Tensor of the same shape and dtype), or None.
    grad_fn: the operation that made the tensor, None for a leaf.
    """

    __slots__ = ("__weakref__", "_hooks", "_output", "_requires_grad", "_version", "array", "grad", "grad_fn")

    # NumPy must leave `ndarray + Tensor` to Tensor.__radd__ instead of making an array of objects.
    __array_ufunc__ = None

    array: Array
    grad: Tensor | None
    grad_fn: Function | None

    edges: ClassVar[tuple[()]] = ()  # as a node of the graph, a leaf sends nothing on

    def __init__(self, data: Any, requires_grad: bool = False, device: str | Device | None = None, dtype: Any = None):
        array = as_array(data, dtype)
        self.array = array if device is None else to_device(array, device)
        self.grad = None
        self.grad_fn = None
        self._output = 0
        # when the memory was last changed in place, and which it is; shared by every tensor that looks at it
        self._version: list[Any] = [0, None]
        self._hooks: dict[int, list[Any]] | None = None
        self._requires_grad = False
        if requires_grad:
            self.requires_grad = True

    @staticmethod
    def _wrap(array: Array) -> Tensor:
        """A new leaf around an array, without checks: the way operations make their outputs."""
        tensor = _new(Tensor)
        # NumPy answers a number, not a 0-d array, where the result has no axes.
        tensor.array = np.asarray(array) if isinstance(array, np.generic) else array
        tensor.grad = None
        tensor.grad_fn = None
        tensor._output = 0
        tensor._version = [0, None]
        tensor._hooks = None
        tensor._requires_grad = False
        return tensor

    # ---- what it is ----

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def device(self) -> Device:
        return device_of(self.array)

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        if dim is None:
            return self.shape
        try:
            place = None if isinstance(dim, bool) else operator.index(dim)
        except (TypeError, ValueError):
            place = None
        if place is None:
            raise TypeError(f"size: dim={dim!r} must be an int, not {type(dim).__name__}")
        if not -self.ndim <= place < self.ndim:
            legal = f"legal are {-self.ndim} .. {self.ndim - 1}" if self.ndim else "it has no axes"
            raise IndexError(f"size: dim {place} is out of range for shape {self.shape}; {legal}")
        return self.shape[place]

    def dim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    nelement = numel

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating one."""
        return is_floating(self.dtype)

    def is_contiguous(self, memory_format: MemoryFormat = contiguous_format) -> bool:
        """Whether the memory is in row-major order, or in that of `minivision.channels_last`."""
        if not isinstance(memory_format, MemoryFormat) or memory_format is preserve_format:
            raise TypeError(f"is_contiguous: memory_format={memory_format!r} is no order; use contiguous_format or channels_last")
        return is_arranged(self.array, memory_format)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: a 0-d tensor is a single number and has no length; .item() is its value")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        body = np.array2string(to_numpy(self.array), precision=4, separator=", ", prefix="tensor(")
        details = "" if self.dtype in (np.float32, np.int64, np.bool_) else f", dtype={self.dtype}"
        if self.is_cuda:
            details += f", device={str(self.device)!r}"
        if self.grad_fn is not None:
            details += f", grad_fn={self.grad_fn!r}"
        elif self.requires_grad:
            details += ", requires_grad=True"
        return f"tensor({body}{details})"

    # ---- out of the graph, into Python and NumPy ----

    def numpy(self) -> np.ndarray:
        """The values as a NumPy array, outside the graph; on the CPU it shares the tensor's memory.

        PyTorch asks for `.detach()` first when the tensor requires a gradient; here that is not needed.
        """
        return to_numpy(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.requires_grad:
            raise RuntimeError(
                f"numpy: a tensor of shape {self.shape} that requires a gradient is being turned into a NumPy array, which would "
                "cut it off from the graph; use .detach().numpy() if that is meant, or minivision's cat, stack or where to stay "
                "in it"
            )
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> Any:
        """The value of a one-element tensor as a Python number."""
        return self._only_value("item")

    def _only_value(self, op: str) -> Any:
        if self.array.size != 1:
            raise ValueError(
                f"{op}: a tensor of shape {self.shape} has {self.array.size} elements; only one-element tensors have an item, so "
                "index it or reduce it first (.sum(), .mean()), or take .tolist()"
            )
        return self.array.item()

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        return self.array.tolist()

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise ValueError(
                f"bool: the truth of a tensor of shape {self.shape} is ambiguous; use .any() or .all(), or compare one element"
            )
        return bool(self.array.item())

    def __float__(self) -> float:
        return float(self._only_value("float"))

    def __int__(self) -> int:
        value = self._only_value("int")
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"int: the tensor holds {value}, which is no integer")
        return int(value)

    def __index__(self) -> int:
        value = self.array.item() if self.array.size == 1 else None
        if not isinstance(value, int):
            raise TypeError(
                f"index: only integer tensors of one element can be used as an index, not {self.dtype} {self.shape}; convert "
                "with int()"
            )
        return value

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.array.size == 1 and spec else str(self)

    def __contains__(self, value: Any) -> bool:
        if not isinstance(value, (bool, int, float, np.generic, Tensor)):
            raise TypeError(f"in: a tensor holds numbers, but {value!r} is {type(value).__name__}; compare with == for arrays")
        if isinstance(value, Tensor) and value.array.size != 1:
            raise ValueError(f"in: a tensor holds numbers, but the value has shape {value.shape}; use (x == value).any()")
        return bool((self == value).array.any())

    # Tensors are compared element by element, so identity is what a dictionary or a set can use.
    __hash__ = object.__hash__

    # ---- the graph ----

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, (bool, np.bool_)):
            shown = f"a tensor of shape {value.shape}" if isinstance(value, Tensor) else repr(value)
            raise TypeError(f"requires_grad: {shown} must be True or False, not {type(value).__name__}")
        if value and not is_floating(self.dtype):
            raise RuntimeError(
                f"requires_grad: only floating tensors can require a gradient, not {self.dtype} {self.shape}; convert with "
                ".float()"
            )
        if not value and not self.is_leaf:
            raise RuntimeError(
                f"requires_grad: it can be switched off for leaves only, and this tensor of shape {self.shape} was computed by "
                f"{self.grad_fn!r}; use .detach() for the same values outside the graph"
            )
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor itself."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self.grad_fn is None

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Add the gradient of this tensor with respect to every leaf to the leaf's `.grad`.

        `gradient` is the upstream gradient (same shape); a scalar may leave it out, which means 1. The graph is freed as the walk
        goes, unless `retain_graph`, which is `create_graph` when not given.

        With `create_graph` the gradients are computed with recorded operations: each `.grad` is then a tensor with a graph of its
        own and can be differentiated again. That graph leads to the leaf and the leaf to its `.grad`, a cycle which Python only
        finds when it collects garbage: set `.grad` to None afterwards, or use `autograd.grad`, which stores nothing.

        Raises RuntimeError when the tensor is not a scalar and no gradient is given, when nothing that led to it was recorded,
        when the graph was freed by an earlier call, and when an array that the gradient needs was changed in place. Raises
        NotImplementedError, before anything is added, when `create_graph` meets an operation without a rule for it.
        """
        from minivision.autograd import engine

        engine.backward(self, gradient, retain_graph, create_graph)

    def detach(self) -> Tensor:
        """The same values in the same memory, outside the graph."""
        tensor = Tensor._wrap(self.array)
        tensor._version = self._version
        return tensor

    @property
    def data(self) -> Tensor:
        """The same as `detach()`. Changing it in place changes this tensor, and is noticed by a pending backward."""
        return self.detach()

    @data.setter
    def data(self, value: Any) -> None:
        array = value.array if isinstance(value, Tensor) else as_array(value, self.dtype, "data")
        if array is not self.array and array.shape != self.shape and self.grad_fn is not None:
            raise RuntimeError(f"data: the tensor is part of a graph with shape {self.shape} and cannot become {array.shape}")
        self.array = array

    def retain_grad(self) -> None:
        """Keep `.grad` for this tensor too, although it is not a leaf."""
        if not self.requires_grad:
            raise RuntimeError(
                f"retain_grad: this tensor of shape {self.shape} does not require a gradient, so it will never get one; call "
                ".requires_grad_() on what it is computed from"
            )
        if self.is_leaf:
            return
        # Through a weak reference: the graph must not keep the tensor alive that keeps the graph alive.
        reference = weakref.ref(self)

        def keep(gradient: Tensor) -> None:
            tensor = reference()
            if tensor is not None:
                tensor._accumulate(gradient)

        self.register_hook(keep)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call `hook(gradient)` when this tensor's gradient is known; what it returns, if anything, takes the gradient's place.

        Returns a handle whose `remove()` takes the hook away again.
        """
        if not self.requires_grad:
            raise RuntimeError(
                f"register_hook: this tensor of shape {self.shape} does not require a gradient, so the hook would never be "
                "called; call .requires_grad_() on what it is computed from"
            )
        owner: Any = self if self.grad_fn is None else self.grad_fn
        if owner._hooks is None:
            owner._hooks = {}
        hooks = owner._hooks.setdefault(self._output, [])
        hooks.append(hook)
        return RemovableHandle(hooks, hook)

    def _note_change(self) -> None:
        """The memory was written to: operations recorded before now must not use what they kept of it."""
        array = self.array
        memory = array.base if type(array.base) is type(array) else array
        self._version[:] = next(ticks), weakref.ref(memory)

    def _edge(self) -> tuple[Any, int]:
        """Where a gradient of this tensor goes: (the operation that made it, which output) or (the leaf itself, 0)."""
        return (self, 0) if self.grad_fn is None else (self.grad_fn, self._output)

    @property
    def _outputs(self) -> list[tuple[tuple[int, ...], np.dtype]]:
        """What the leaf looks like, as a node of the graph: one output, of this shape and dtype."""
        return [(self.array.shape, self.array.dtype)]

    def _accumulate(self, gradient: Tensor) -> None:
        if gradient.requires_grad:  # create_graph: the sum is part of the new graph
            self.grad = gradient.clone() if self.grad is None else self.grad + gradient
        elif self.grad is None:
            # A copy, since an operation may hand the same array to several inputs.
            self.grad = Tensor._wrap(gradient.array.copy(order="K"))
        elif self.grad.requires_grad:  # the graph of an earlier create_graph may still need the old values
            self.grad = Tensor._wrap(self.grad.array + gradient.array)
        else:
            add_in_place(self.grad.array, gradient.array)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                f"deepcopy: only leaves can be copied, and this tensor of shape {self.shape} was computed by {self.grad_fn!r}; "
                "use .detach().clone(), or .clone() to stay in the graph"
            )
        copy = type(self).__new__(type(self))
        Tensor.__init__(copy, self.array.copy(), requires_grad=self.requires_grad)
        memo[id(self)] = copy
        if self.grad is not None:
            copy.grad = Tensor._wrap(self.grad.array.copy())
        return copy

    if TYPE_CHECKING:
        # Installed by minivision.functions; declared here so that type checkers and editors know they exist.
        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __neg__(self) -> Tensor: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...


def add_in_place(total: Array, part: Array) -> None:
    """`total += part`, for arrays of one shape; large ones by all threads."""
    if total.size < LARGE:
        total += part
    else:
        in_blocks(operator.iadd, total, part)


class RemovableHandle:
    """What `register_hook` returns: `remove()` takes the hook away; also a context manager."""

    def __init__(self, hooks: list[Any], hook: Any):
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def as_array(data: Any, dtype: Any = None, op: str = "tensor") -> Array:
    """`data` as an array, shared where possible. Python floats become float32; NumPy data keeps its dtype.

    Raises TypeError for data that is not numeric, ValueError for ragged nested lists and for integers that `dtype` cannot hold.
    """
    dtype = None if dtype is None else as_dtype(op, dtype)
    if isinstance(data, Tensor):
        data = data.array
    if is_array(data):
        if data.dtype.kind not in "biuf":
            raise TypeError(f"{op}: an array of {data.dtype} is not numeric; a tensor holds bools, integers or floats")
        return data if dtype is None else data.astype(dtype, copy=False)
    if isinstance(data, (bool, int, float)) and not isinstance(data, np.generic) and dtype is None:
        if isinstance(data, int) and not -(2**63) <= data < 2**63:
            raise ValueError(f"{op}: {data} does not fit into 64 bits; write it as a float")
        return np.asarray(data, dtype=scalar_dtype(data))
    try:
        array = np.asarray(data)
    except ValueError:
        raise ValueError(
            f"{op}: the nested lists do not form a regular array; on each level all lists must have the same length"
        ) from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{op}: data of type {type(data).__name__} is not numeric (NumPy reads it as {array.dtype})")
    if dtype is not None and array.dtype.kind in "iu" and dtype.kind in "iu" and array.size:
        limits, low, high = np.iinfo(dtype), int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            raise ValueError(
                f"{op}: the values {low} .. {high} do not fit into {dtype}, which holds {limits.min} .. {limits.max}"
            )
    if dtype is None and array.dtype == np.float64 and not isinstance(data, np.generic):
        dtype = np.dtype(np.float32)
    return array if dtype is None else array.astype(dtype, copy=False)
