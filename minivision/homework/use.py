"""The student's own operation inside a real network.

    with homework.use(conv2d=(conv_forward, conv_backward), relu=MyReLU):
        scores = unet(images)       # runs the student's forward
        loss(scores, masks).backward()       # and the student's backward

Inside the block every call of the operation, by a module, by `functional`, as a method of Tensor or by a name that was imported
from there, goes to the student's code. (A `functools.partial` made before keeps what it holds.) Afterwards, also after an error,
all is as it was. Only the code that runs in the block sees it: other threads go on with the library's operations, and so does
the student's operation, should it call itself by the library's name.

An operation may be given as

- a pair `(forward, backward)` of NumPy functions: `out, cache = forward(...)` and `dx, dw, db = backward(dout, cache)`; a forward
  that returns `out` alone goes with `backward(dout, *arrays)`;
- a class with `forward` and `backward`, whose objects serve one call: `f = MyConv(stride, padding)`, `out = f.forward(x, w, b)`,
  `dx, dw, db = f.backward(dout)`; a class whose `__init__` takes nothing gets the settings in forward, after the arrays. A
  subclass of `Function` is such a class;
- a function of Tensors, which is called exactly as the library's is.

What a pair, or a class, gets, in this order:

| operation | arrays | settings |
|---|---|---|
| conv2d, conv_transpose2d | x, w, b | stride, padding |
| max_pool2d, avg_pool2d | x | kernel_size, stride |
| max_unpool2d | x, indices | size (H, W) of the output |
| relu | x | |
| linear | x, w, b | |
| softmax, log_softmax | x | axis |
| batch_norm | x, gamma, beta | eps |
| cross_entropy | scores, target | |
| interpolate | x | size (H, W) of the output; or the factor, if the parameter is called scale |
| roi_align | x, boxes (K, 5) | output_size, spatial_scale, sampling_ratio |
| cat | the arrays, as one list | axis |

One number stands for two equal ones: stride 2 for (2, 2). b is zeros where the layer has no bias. A forward that takes fewer
settings, such as conv_forward(x, w, b), is good for layers with the defaults of the others. The library's remaining settings
(dilation, groups, mode, ignore_index, the padding of max_pool2d ...) are passed by keyword if forward (or `__init__`) has a
parameter of that name; if it has none, they too must have their defaults. batch_norm stands for training: the library keeps
the running statistics, and evaluates with them.

What comes back is compared with the shape and dtype that the library's operation gives, which is run once for each new
combination of shapes and settings; so allocate in the dtype of x: a network is float32.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minivision.autograd import Function, Tensor
from minivision.autograd.grad_mode import no_grad
from minivision.functions import roi, shape
from minivision.nn import functional

# ---- what the operations are ----


@dataclass(frozen=True)
class Operation:
    """The library's function, and which of its arguments a pair gets: arrays, settings in order, the others by keyword."""

    name: str
    original: Callable[..., Any]
    arrays: tuple[str, ...]  # as the library calls them
    called: tuple[str, ...]  # as the student does
    settings: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()  # arguments that say nothing

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.original)


def _operation(original: Any, arrays: str, called: str, settings: str = "", ignored: str = "") -> Operation:
    words = [tuple(text.split()) for text in (arrays, called, settings, ignored)]
    return Operation(original.__name__, original, *words)


F = functional
OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        _operation(F.conv2d, "input weight bias", "x w b", "stride padding"),
        _operation(F.conv_transpose2d, "input weight bias", "x w b", "stride padding"),
        _operation(F.max_pool2d, "input", "x", "kernel_size stride", "return_indices"),
        _operation(F.avg_pool2d, "input", "x", "kernel_size stride"),
        _operation(F.max_unpool2d, "input indices", "x indices", "size", "kernel_size stride output_size"),
        _operation(F.relu, "input", "x", "", "inplace"),
        _operation(F.linear, "input weight bias", "x w b"),
        _operation(F.softmax, "input", "x", "dim", "dtype"),
        _operation(F.log_softmax, "input", "x", "dim", "dtype"),
        _operation(F.batch_norm, "input weight bias", "x gamma beta", "eps", "running_mean running_var training momentum"),
        _operation(F.cross_entropy, "input target", "scores target", "", "size_average reduce"),
        _operation(F.interpolate, "input", "x", "size", "scale_factor recompute_scale_factor"),
        _operation(roi.roi_align, "input boxes", "x boxes", "output_size spatial_scale sampling_ratio"),
        _operation(shape.cat, "tensors", "arrays", "dim"),
    )
}

# ---- putting the student's operation in their place ----

_active: ContextVar[dict[str, StandIn]] = ContextVar("the student's operations", default={})  # noqa: B039  (never changed)
_lock = threading.Lock()
_blocks = 0  # how many blocks are open, in all threads
_places: list[tuple[Any, str, Any]] = []  # (module or class, name, the library's function)


def _dispatcher(operation: Operation) -> Callable[..., Any]:
    """What takes the place of the library's function: it asks whose turn it is."""

    @functools.wraps(operation.original)
    def call(*args: Any, **kwargs: Any) -> Any:
        active = _active.get()
        stand_in = active.get(operation.name)
        if stand_in is None:
            return operation.original(*args, **kwargs)
        others = _active.set({name: other for name, other in active.items() if name != operation.name})
        try:
            return stand_in(*args, **kwargs)
        finally:
            _active.reset(others)

    return call


_dispatchers = {name: _dispatcher(operation) for name, operation in OPERATIONS.items()}


def _install() -> None:
    """Every name in a loaded module, and every method of Tensor, that is one of the operations becomes its dispatcher."""
    by_identity = {id(operation.original): name for name, operation in OPERATIONS.items()}
    modules = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "__dict__", None), dict)]
    for place in [*modules, Tensor]:
        for attribute, value in list(vars(place).items()):
            name = by_identity.get(id(value))
            if name is not None:
                _places.append((place, attribute, value))
                setattr(place, attribute, _dispatchers[name])


def _uninstall() -> None:
    while _places:
        place, attribute, value = _places.pop()
        if vars(place).get(attribute) in _dispatchers.values():
            setattr(place, attribute, value)


class use:
    """The student's operations in place of the library's, within a `with` block; see the module's text for what may be given.

    Raises ValueError for an operation that cannot be replaced, TypeError for what is no operation; inside the block, ValueError
    or TypeError that names the operation where its result has not the shape or dtype that is right.
    """

    def __init__(self, **operations: Any) -> None:
        if not operations:
            raise ValueError("use: give at least one operation, such as use(conv2d=(conv_forward, conv_backward))")
        self._stand_ins = {name: _stand_in(name, given) for name, given in operations.items()}
        self._tokens: list[Token[dict[str, StandIn]]] = []

    def __enter__(self) -> use:
        global _blocks
        with _lock:
            _install()  # also when another block is open: modules may have been loaded since
            _blocks += 1
        self._tokens.append(_active.set({**_active.get(), **self._stand_ins}))
        return self

    def __exit__(self, *_: object) -> None:
        global _blocks
        _active.reset(self._tokens.pop())
        with _lock:
            _blocks -= 1
            if _blocks == 0:
                _uninstall()


# ---- calling it ----

Expected = list[tuple[tuple[int, ...], Any]]  # shape and dtype of each result


@dataclass
class StandIn:
    """A student's operation, called with the arguments of the library's."""

    operation: Operation
    given: Any
    _known: dict[str, Expected] = field(default_factory=dict)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self.operation.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if self.operation.name == "batch_norm":
            if not bound.arguments["training"]:
                return self.operation.original(*args, **kwargs)
            self._known.clear()  # so that the library runs each time, and keeps the running statistics
        return self._run(args, kwargs, bound.arguments, self._right(args, kwargs, bound.arguments))

    def _run(self, args: Any, kwargs: Any, arguments: dict[str, Any], expected: Expected) -> Any:
        raise NotImplementedError

    def _right(self, args: Any, kwargs: Any, arguments: dict[str, Any]) -> Expected:
        """Shape and dtype of the right results, or the library's error for wrong arguments."""
        key = repr({name: _signature(value) for name, value in arguments.items()})
        if key not in self._known:
            with no_grad():
                right = self.operation.original(*args, **kwargs)
            self._known[key] = [(y.shape, y.dtype) for y in (right if isinstance(right, tuple) else (right,))]
        return self._known[key]

    def check_outputs(self, outputs: Sequence[Any], expected: Expected) -> None:
        if len(outputs) != len(expected):
            raise ValueError(f"{self} returned {len(outputs)} results, but the network needs {len(expected)}")
        for what, y, (shape_, dtype) in zip(("out", "indices"), outputs, expected, strict=False):
            self.check("returned", what, y, shape_, dtype)

    def check(self, who: str, what: str, value: Any, shape_: tuple[int, ...], dtype: Any) -> None:
        """Raise TypeError or ValueError unless the value is an array (or Tensor) of this shape and dtype."""
        who = f"{self}{': ' if who.startswith('backward') else ' '}{who}"
        array = value.array if isinstance(value, Tensor) else value
        if not isinstance(array, (np.ndarray, np.generic)) and not hasattr(array, "__cuda_array_interface__"):
            raise TypeError(f"{who} {what} as a {type(value).__name__}; it must be an array of shape {shape_} and dtype {dtype}")
        if array.shape != shape_:
            raise ValueError(f"{who} {what} of shape {array.shape}, but {shape_} is right")
        if array.dtype != dtype:
            raise TypeError(
                f"{who} {what} as {array.dtype}, but {dtype} is right; allocate in the dtype of the input: np.zeros(s, x.dtype)"
            )

    def __str__(self) -> str:
        given = self.given[0] if isinstance(self.given, tuple) else self.given
        return f"{self.operation.name}: your {getattr(given, '__name__', type(given).__name__)}"


def _signature(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.shape, str(value.dtype)
    return [_signature(v) for v in value] if isinstance(value, (list, tuple)) else value


class OfTensors(StandIn):
    """A function of Tensors, with the library's arguments."""

    def _run(self, args: Any, kwargs: Any, arguments: dict[str, Any], expected: Expected) -> Any:
        result = self.given(*args, **kwargs)
        results = result if isinstance(result, tuple) else (result,)
        for y in results:
            if not isinstance(y, Tensor):
                raise TypeError(
                    f"{self} returned a {type(y).__name__}, but a function of Tensors returns a Tensor; give NumPy functions as "
                    f"a pair: use({self.operation.name}=(forward, backward))"
                )
        self.check_outputs(results, expected)
        return result


class OfArrays(StandIn):
    """A pair of functions, or a class, of NumPy arrays."""

    def _run(self, args: Any, kwargs: Any, arguments: dict[str, Any], expected: Expected) -> Any:
        tensors, absent = self._tensors(arguments, expected)
        settings, keywords = self._arranged(arguments, expected)
        return _Bridge(self, settings, keywords, absent, expected)(*tensors)

    def _tensors(self, arguments: dict[str, Any], expected: Expected) -> tuple[list[Any], list[bool]]:
        """The arrays as Tensors, and which of them the layer does not have."""
        if self.operation.name == "cat":
            return list(arguments["tensors"]), [False] * len(arguments["tensors"])
        values = [arguments[name] for name in self.operation.arrays]
        x = values[0]
        if isinstance(x, Tensor) and not isinstance(x.array, np.ndarray):
            raise TypeError(f"{self} is NumPy code, but the input is on the GPU; run the network with .to('cpu')")
        if self.operation.name == "roi_align" and not isinstance(values[1], Tensor):
            parts = [
                shape.cat([Tensor(np.full((len(b), 1), i, x.dtype)), b], 1)
                for i, b in enumerate(values[1])
                if isinstance(b, Tensor)
            ]
            values[1] = shape.cat(parts)
        axes = {"conv2d": 4, "conv_transpose2d": 4, "max_pool2d": 4, "avg_pool2d": 4, "max_unpool2d": 4}.get(self.operation.name)
        if axes and x.ndim != axes:
            raise ValueError(f"{self} gets images (N, C, H, W), but the input has shape {x.shape}; add the batch axis: x[None]")
        absent = [value is None for value in values]
        length = expected[0][0][-1 if self.operation.name == "linear" else 1] if any(absent) else 0
        for i, value in enumerate(values):
            if value is None:
                fill = np.ones if self.operation.called[i] == "gamma" else np.zeros
                values[i] = Tensor(fill(length, x.dtype))
        return values, absent

    def _arranged(self, arguments: dict[str, Any], expected: Expected) -> tuple[list[Any], dict[str, Any]]:
        """The settings as the student's code takes them: those of the table in their order, the others by keyword.

        What it does not take must have the default: a forward(x, w, b) is good for stride 1 without padding.
        """
        op = self.operation
        names, room = self._parameters()
        others = [n for n in op.signature.parameters if n not in (*op.arrays, *op.settings, *op.ignored)]
        keywords = {n: _plain(arguments[n]) for n in others if n in names}
        settings = _settings(self, arguments, expected)
        if op.name == "interpolate" and "scale" in names:
            settings = [_scale(self, arguments["input"].shape[2:], settings[0])]
        taken = len(settings) if room is None else max(room - len(keywords), 0)
        left_out = dict(zip(op.settings[taken:], settings[taken:], strict=True)) | {
            n: _plain(arguments[n]) for n in others if n not in keywords
        }
        for name, value in left_out.items():
            default = op.signature.parameters[name].default if name != "size" else None
            if name == "stride" and default is None:
                default = _plain(arguments["kernel_size"])
            harmless = (
                name == "mode"  # without it, the operation stands for the mode that the network asks for
                or (name == "align_corners" and value is False)
                or (name == "ignore_index" and not (arguments["target"].array == value).any())
            )
            if value != default and not harmless:
                raise ValueError(
                    f"{self} takes no {name}, but the network asks for {name}={value!r}, and {default!r} is what an operation "
                    f"without it does; give it a parameter {name}"
                )
        return settings[:taken], keywords

    def _parameters(self) -> tuple[list[str], int | None]:
        """The parameters of what takes the settings, and how many are left for them; None for any number."""
        count = 1 if self.operation.name == "cat" else len(self.operation.arrays)
        function: Any
        if not isinstance(self.given, type):
            function = self.given[0]
        elif self._is_made_with_settings():
            function, count = self.given, 0
        else:
            function, count = self.given.forward, count + 1  # type: ignore[attr-defined]  # and self
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):  # a builtin
            return [], None
        names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        anything = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        return names, None if anything else max(len(names) - count, 0)

    def _is_made_with_settings(self) -> bool:
        return self.given.__init__ is not object.__init__ and bool(inspect.signature(self.given).parameters)

    def made(self, settings: list[Any], keywords: dict[str, Any]) -> tuple[Any, list[Any], dict[str, Any]]:
        """An object of the student's class, and the settings that go to its forward."""
        if self._is_made_with_settings():
            return self.given(*settings, **keywords), [], {}
        return self.given(), settings, keywords


class _Bridge(Function):
    """The student's forward and backward as a node of the graph."""

    def __init__(
        self, stand_in: OfArrays, settings: list[Any], keywords: dict[str, Any], absent: list[bool], expected: Expected
    ) -> None:
        self.stand_in, self.settings, self.keywords = stand_in, settings, keywords
        self.absent, self.expected = absent, expected
        self.is_list = stand_in.operation.name == "cat"

    @property
    def name(self) -> str:
        return str(self.stand_in)

    def forward(self, *arrays: Any) -> Any:
        self.arrays = arrays
        out = self._run([list(arrays)] if self.is_list else list(arrays))
        if len(self.expected) > 1 and not (isinstance(out, tuple) and len(out) == len(self.expected)):
            raise TypeError(f"{self.name}: the network asks for the indices too, so forward must return ((out, indices), cache)")
        self.number = not isinstance(out, (tuple, np.ndarray))  # a loss, mostly
        outputs = [
            np.asarray(y, dtype) if shape_ == () and isinstance(y, (int, float, np.generic)) else y
            for y, (shape_, dtype) in zip(out if isinstance(out, tuple) else (out,), self.expected, strict=False)
        ]
        self.stand_in.check_outputs(outputs, self.expected)
        return tuple(outputs) if len(self.expected) > 1 else outputs[0]

    def _run(self, arguments: list[Any]) -> Any:
        """Call the student's forward, and keep how to call backward: self.pull(dout)."""
        given = self.stand_in.given
        if isinstance(given, type):
            made, settings, keywords = self.stand_in.made(self.settings, self.keywords)
            out = made.forward(*arguments, *settings, **keywords)
            self.pull = made.backward
            return out
        forward, backward = given
        result = forward(*arguments, *self.settings, **self.keywords)
        if isinstance(result, tuple) and len(result) == 2 and not self._has_no_cache(result):
            out, cache = result
            self.pull = lambda dout: backward(dout, cache)
            return out
        self.pull = lambda dout: backward(dout, *arguments, *self.settings)
        return result

    def _has_no_cache(self, result: tuple[Any, ...]) -> bool:
        """Whether a result of two is (out, indices), which is all that forward returned."""
        return len(self.expected) == 2 and all(type(y) is np.ndarray for y in result) and result[1].dtype.kind == "i"

    def backward(self, *gradients: Any) -> Any:
        dout = gradients[0]
        returned = self.pull(dout[()] if self.number else dout)
        names = [f"arrays[{i}]" for i in range(len(self.arrays))] if self.is_list else list(self.stand_in.operation.called)
        if isinstance(returned, dict):
            returned = [returned.get(f"d{name}", returned.get(name)) for name in names]
        found = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        floating = [i for i, a in enumerate(self.arrays) if a.dtype.kind == "f"]
        present = [i for i in floating if not self.absent[i]]
        receivers = next((r for r in (floating, present, range(len(names)), [0]) if len(found) == len(r)), None)
        if receivers is None or (
            len(receivers) < len(present) and any(self.needs_input_grad[i] for i in present[len(receivers) :])
        ):
            wanted = ", ".join(f"d{names[i]}" for i in floating)
            raise ValueError(f"{self.name}: backward returned {len(found)} gradients, but must return {len(floating)}: {wanted}")
        result: list[Any] = [None] * len(self.arrays)
        for i, gradient in zip(receivers, found, strict=True):
            a = self.arrays[i]
            if a.dtype.kind == "f" and not self.absent[i] and self.needs_input_grad[i]:
                if gradient is None:
                    raise TypeError(f"{self.name}: backward returned None for d{names[i]}, which the network needs")
                self.stand_in.check("backward returned", f"d{names[i]}", gradient, a.shape, a.dtype)
                result[i] = gradient
        return tuple(result)


def _stand_in(name: str, given: Any) -> StandIn:
    operation = OPERATIONS.get(name)
    if operation is None:
        raise ValueError(f"use: {name!r} cannot be replaced; there are {', '.join(OPERATIONS)}")
    if isinstance(given, (tuple, list)):
        if len(given) != 2 or not all(callable(f) for f in given):
            raise TypeError(f"use: {name}={given!r} must be a pair (forward, backward) of functions")
        return OfArrays(operation, tuple(given))
    if isinstance(given, type):
        if not (callable(getattr(given, "forward", None)) and callable(getattr(given, "backward", None))):
            raise TypeError(f"use: {name}={given.__name__} must have the methods forward and backward")
        return OfArrays(operation, given)
    if isinstance(given, Function):
        raise TypeError(f"use: {name} is one object of {type(given).__name__}, which serves a single call; pass the class itself")
    if not callable(given):
        raise TypeError(
            f"use: {name}={given!r} is no operation; pass a pair (forward, backward) of NumPy functions, a class with both, or "
            "a function of Tensors"
        )
    return OfTensors(operation, given)


# ---- settings ----


def _settings(stand_in: StandIn, arguments: dict[str, Any], expected: Expected) -> list[Any]:
    """The settings of the table, in its order."""
    values = []
    for name in stand_in.operation.settings:
        value = expected[0][0][2:] if name == "size" else arguments[name]
        if name == "stride" and value in (None, ()):
            value = arguments["kernel_size"]
        if name == "padding" and isinstance(value, str):
            value = _padding(stand_in, value, arguments)
        values.append(value if name == "size" else _plain(value))
    return values


def _padding(stand_in: StandIn, word: str, arguments: dict[str, Any]) -> tuple[int, ...]:
    """The amounts behind "same" and "valid"."""
    kernel = arguments["weight"].shape[2:]
    dilation = arguments["dilation"] if isinstance(arguments["dilation"], tuple) else (arguments["dilation"],) * 2
    total = [d * (k - 1) if word == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
    if any(n % 2 for n in total):
        raise ValueError(
            f"{stand_in}: padding='same' with a kernel of {kernel} pads one side more than the other; use odd kernels"
        )
    return tuple(n // 2 for n in total)


def _scale(stand_in: StandIn, old: tuple[int, ...], new: tuple[int, ...]) -> Any:
    """The whole number of times that each length is repeated."""
    if any(m % n for m, n in zip(new, old, strict=True)):
        raise ValueError(f"{stand_in} takes a scale, but {old} -> {new} is no whole number of times; give it a parameter size")
    return _plain(tuple(m // n for m, n in zip(new, old, strict=True)))


def _plain(value: Any) -> Any:
    """One number for several equal ones, the array of a Tensor."""
    if isinstance(value, Tensor):
        return value.array
    if isinstance(value, (tuple, list)) and value and all(isinstance(v, (int, float)) and v == value[0] for v in value):
        return value[0]
    return tuple(value) if isinstance(value, list) else value
