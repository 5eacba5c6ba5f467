"""`Module`: parameters, buffers and submodules under one roof, as `torch.nn.Module`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from minivision.autograd import Function, Tensor, is_grad_enabled
from minivision.autograd.dtypes import is_floating
from minivision.autograd.memory_format import MemoryFormat, arranged, preserve_format
from minivision.autograd.tensor import RemovableHandle
from minivision.backend import Device, device_of, to_device
from minivision.nn.parameter import Parameter


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` could not place."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """The base of all layers and networks.

    A subclass calls `super().__init__()`, assigns Parameters and Modules as attributes (which registers them) and writes
    `forward`. Calling the module runs forward and its hooks.
    """

    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _not_saved: set[str]
    _forward_hooks: list[Any]
    _forward_pre_hooks: list[Any]
    _backward_hooks: list[Any]

    def __init__(self) -> None:
        # past __setattr__, which needs these to exist
        for name, value in (
            ("_parameters", {}),
            ("_buffers", {}),
            ("_modules", {}),
            ("_not_saved", set()),
            ("_forward_hooks", []),
            ("_forward_pre_hooks", []),
            ("_backward_hooks", []),
            ("training", True),
        ):
            object.__setattr__(self, name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for pre_hook in list(self._forward_pre_hooks):
            changed = pre_hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        watch = _GradientWatch(self) if self._backward_hooks else None
        if watch:
            args = watch.on_the_way_in(args)
        result = self.forward(*args, **kwargs)
        if watch:
            result = watch.on_the_way_out(result)
        for hook in list(self._forward_hooks):
            changed = hook(self, args, result)
            if changed is not None:
                result = changed
        return result

    # ---- registration ----

    def __setattr__(self, name: str, value: Any) -> None:
        if "_parameters" not in self.__dict__:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning {name!r}")
            object.__setattr__(self, name, value)
            return
        registry = self._registry_for(name, value)
        for other in (self._parameters, self._modules, self._buffers, self.__dict__):
            if other is not registry:
                other.pop(name, None)
        if registry is self.__dict__:
            object.__setattr__(self, name, value)  # which knows properties
        else:
            registry[name] = value

    def _registry_for(self, name: str, value: Any) -> dict[str, Any]:
        """Where an attribute of this name and value belongs."""
        if isinstance(value, Parameter):
            return self._parameters
        if isinstance(value, Module) or (value is None and name in self._modules):
            return self._modules
        if name in self._parameters:
            if value is not None:
                kind = type(value).__name__
                raise TypeError(f"{type(self).__name__}.{name} is a Parameter and cannot become {kind}; wrap it in Parameter")
            return self._parameters
        if name in self._buffers and (value is None or isinstance(value, Tensor)):
            return self._buffers
        return self.__dict__

    def __getattr__(self, name: str) -> Any:
        for registry in ("_parameters", "_buffers", "_modules"):
            entries = self.__dict__.get(registry, {})
            if name in entries:
                return entries[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        for registry in (self._parameters, self._buffers, self._modules):
            if name in registry:
                del registry[name]
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter by name; None reserves the name (a layer without bias)."""
        self.__dict__.pop(name, None)
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that belongs to the module's state but is not learned; saved with it if `persistent`."""
        self._buffers[name] = tensor
        (self._not_saved.discard if persistent else self._not_saved.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a submodule by name."""
        self._modules[name] = module

    add_module = register_module

    def register_forward_hook(self, hook: Callable[[Module, tuple[Any, ...], Any], Any]) -> RemovableHandle:
        """Call `hook(module, inputs, output)` after each forward; what it returns, if anything, becomes the output."""
        self._forward_hooks.append(hook)
        return RemovableHandle(self._forward_hooks, hook)

    def register_forward_pre_hook(self, hook: Callable[[Module, tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call `hook(module, inputs)` before each forward; what it returns, if anything, becomes the inputs."""
        self._forward_pre_hooks.append(hook)
        return RemovableHandle(self._forward_pre_hooks, hook)

    def register_full_backward_hook(self, hook: Callable[[Module, tuple[Any, ...], tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the module's inputs are known.

        Both are tuples of Tensors, None for inputs that need no gradient. What the hook returns, if anything, takes the place
        of grad_input.
        """
        self._backward_hooks.append(hook)
        return RemovableHandle(self._backward_hooks, hook)

    # ---- walking the tree ----

    def named_modules(self, memo: set[int] | None = None, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and everything below it, each once, with dotted names."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        memo.add(id(self))
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """This module and everything below it."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules with their names."""
        return ((name, module) for name, module in self._modules.items() if module is not None)

    def children(self) -> Iterator[Module]:
        """The direct submodules."""
        return (module for _, module in self.named_children())

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """All parameters with dotted names; one that is shared appears once."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """All buffers with dotted names."""
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named(self, registry: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for path, module in self.named_modules(prefix=prefix) if recurse else [(prefix, self)]:
            for name, value in getattr(module, registry).items():
                if value is not None and id(value) not in seen:
                    seen.add(id(value))
                    yield (f"{path}.{name}" if path else name), value

    def get_submodule(self, target: str) -> Module:
        """The submodule with a dotted name."""
        module = self
        for name in target.split(".") if target else []:
            module = module._modules[name]
        return module

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every submodule and on this module, children first."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # ---- state ----

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and persistent buffers by dotted name, sharing memory with the module."""
        state: dict[str, Tensor] = {}
        for path, module in self._paths():
            for name, value in (*module._parameters.items(), *module._buffers.items()):
                if value is not None and name not in module._not_saved:
                    state[f"{path}.{name}" if path else name] = value.detach()
        return state

    def _paths(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Every path to every module; unlike `named_modules`, a shared module appears under each of its names."""
        yield prefix, self
        for name, module in self.named_children():
            yield from module._paths(f"{prefix}.{name}" if prefix else name)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy tensors or arrays into the parameters and buffers of the same names.

        Raises RuntimeError that lists every missing, unexpected (unless not `strict`) and misshapen entry; then nothing is
        copied.
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        given = {name: state_dict[name] for name in own if name in state_dict}
        for name, value in given.items():
            if tuple(value.shape) != own[name].shape:
                problems.append(f"{name} has shape {tuple(value.shape)} in the state, but {own[name].shape} in the model")
        if problems:
            raise RuntimeError(f"load_state_dict: the state does not fit this {type(self).__name__}; " + "; ".join(problems))
        for name, value in given.items():
            target = own[name]
            array = value.array if isinstance(value, Tensor) else np.asarray(value)
            target.array[...] = to_device(array, target.device).astype(target.dtype, copy=False)
            target._note_change()
        return IncompatibleKeys(missing, unexpected)

    def train(self, mode: bool = True) -> Self:
        """Training mode (dropout drops, batch norm uses the batch) for this module and all below."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Evaluation mode for this module and all below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Whether the parameters take part in learning."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters (or fill them with zeros)."""
        for parameter in self.parameters():
            if set_to_none or parameter.grad is None:
                parameter.grad = None
            else:
                parameter.grad.zero_()

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: str | Device | None = None,
        memory_format: MemoryFormat = preserve_format,
        **ignored: Any,
    ) -> Self:
        """Move parameters and buffers to a device, and floating ones to a dtype, in place; returns the module.

        `module.to("cuda")`, `module.to(torch.float64)`, `module.to(device=..., dtype=...)`. `memory_format=torch.channels_last`
        arranges those with four axes, the weights of convolutions. Raises RuntimeError for "cuda" where no GPU answers; then
        nothing is moved.
        """
        for argument in args:
            if isinstance(argument, Tensor):
                dtype, device = argument.dtype, argument.device
            elif isinstance(argument, (str, Device)):
                device = argument
            elif not isinstance(argument, bool):
                dtype = argument
        if dtype is not None and not is_floating(np.dtype(dtype)):
            raise TypeError(f"Module.to: dtype {np.dtype(dtype)} is not floating; parameters must be")

        def convert(array: Any) -> Any:
            if dtype is not None and is_floating(array.dtype):
                array = array.astype(dtype, copy=False)
            array = array if device is None else to_device(array, device)
            return arranged(array, memory_format) if memory_format.ndim in (None, array.ndim) else array

        tensors = {id(t): t for t in (*self.parameters(), *self.buffers())}.values()
        converted = [(t, convert(t.array), None if t.grad is None else convert(t.grad.array)) for t in tensors]
        for tensor, array, gradient in converted:
            tensor.array = array
            if tensor.grad is not None:
                tensor.grad = Tensor._wrap(gradient)
        return self

    def float(self) -> Self:
        """Floating parameters and buffers become float32."""
        return self.to(np.dtype("float32"))

    def double(self) -> Self:
        """Floating parameters and buffers become float64."""
        return self.to(np.dtype("float64"))

    def cpu(self) -> Self:
        """Move to the computer's main memory."""
        return self.to(device="cpu")

    def cuda(self, device: int | None = None) -> Self:
        """Move to the GPU. Raises RuntimeError where none answers."""
        return self.to(device=Device("cuda", device))

    @property
    def device(self) -> Device:
        """Where the first parameter or buffer lives; the CPU for a module without any."""
        first = next((t for t in (*self.parameters(), *self.buffers())), None)
        return Device("cpu") if first is None else device_of(first.array)

    # ---- what it looks like ----

    def extra_repr(self) -> str:
        """What a layer shows of itself between the brackets of its repr."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self.named_children()]
        extra = self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({extra})"
        body = "".join(f"\n  {line}" for line in ([extra] if extra else []) + lines)
        return f"{type(self).__name__}({body}\n)"


class _Tap(Function):
    """y = x, dx = see(dy): a place in the graph where gradients can be seen, and replaced"""

    is_view = True

    def __init__(self, see: Callable[[tuple[Any, ...]], tuple[Any, ...]]):
        self.see = see

    def forward(self, *x: Any) -> Any:
        return x

    def backward(self, *dy: Any) -> Any:
        return self.see(dy)


class _GradientWatch:
    """Sees the gradients that enter and leave one call of a module, and tells its backward hooks."""

    def __init__(self, module: Module):
        self.module = module
        self.outgoing: tuple[Any, ...] = ()

    def on_the_way_in(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments; those that need a gradient pass through a tap."""
        self.count = len(args)
        self.places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad and is_grad_enabled()]
        if not self.places:
            return args
        tapped = dict(zip(self.places, _Tap(self._leave)(*(args[i] for i in self.places)), strict=True))
        return tuple(tapped.get(i, a) for i, a in enumerate(args))

    def on_the_way_out(self, result: Any) -> Any:
        """The result, a Tensor or nested tuples of them as an LSTM returns; through a tap."""
        outputs = list(_tensors_of(result))
        if not any(y.requires_grad for y in outputs):
            return result
        tapped = iter(_Tap(self._enter)(*outputs))

        def rebuilt(part: Any) -> Any:
            if isinstance(part, (tuple, list)):
                inner = [rebuilt(p) for p in part]
                return type(part)(*inner) if hasattr(part, "_fields") else type(part)(inner)
            return next(tapped) if isinstance(part, Tensor) else part

        return rebuilt(result)

    def _enter(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        self.outgoing = tuple(Tensor._wrap(g) for g in gradients)
        if not self.places:  # nothing leaves on the other side, so this is the moment
            self._tell((None,) * self.count)
        return gradients

    def _leave(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        incoming: list[Any] = [None] * self.count
        for place, gradient in zip(self.places, gradients, strict=True):
            incoming[place] = Tensor._wrap(gradient)
        told = self._tell(tuple(incoming))
        return tuple(told[place].array for place in self.places)

    def _tell(self, incoming: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in list(self.module._backward_hooks):
            changed = hook(self.module, incoming, self.outgoing)
            if changed is not None:
                incoming = changed if isinstance(changed, tuple) else (changed,)
        return incoming


def _tensors_of(result: Any) -> Iterator[Tensor]:
    if isinstance(result, (tuple, list)):
        for part in result:
            yield from _tensors_of(part)
    elif isinstance(result, Tensor):
        yield result
