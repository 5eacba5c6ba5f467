"""`Module`: parameters, buffers and submodules under one roof, as `torch.nn.Module`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from minivision.autograd import Tensor
from minivision.autograd.dtypes import is_floating
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

    def __init__(self) -> None:
        # past __setattr__, which needs these to exist
        for name, value in (
            ("_parameters", {}),
            ("_buffers", {}),
            ("_modules", {}),
            ("_not_saved", set()),
            ("_forward_hooks", []),
            ("_forward_pre_hooks", []),
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
        result = self.forward(*args, **kwargs)
        for hook in list(self._forward_hooks):
            changed = hook(self, args, result)
            if changed is not None:
                result = changed
        return result

    # ---- registration ----

    def __setattr__(self, name: str, value: Any) -> None:
        registries = [self.__dict__.get(r) for r in ("_parameters", "_modules", "_buffers")]
        if registries[0] is None:
            if isinstance(value, (Parameter, Module)):
                raise AttributeError(f"{type(self).__name__}: call super().__init__() before assigning {name!r}")
            object.__setattr__(self, name, value)
            return
        parameters, modules, buffers = registries
        kind = parameters if isinstance(value, Parameter) else modules if isinstance(value, Module) else None
        if kind is None and name in parameters:
            if value is not None:
                raise TypeError(
                    f"{type(self).__name__}.{name} is a Parameter and cannot become {type(value).__name__}; wrap it in Parameter"
                )
            kind = parameters
        elif kind is None and name in modules and value is None:
            kind = modules
        elif kind is None and name in buffers and (value is None or isinstance(value, Tensor)):
            kind = buffers
        for registry in (parameters, modules, buffers, self.__dict__):
            if registry is not kind:
                registry.pop(name, None)
        if kind is None:
            object.__setattr__(self, name, value)
        else:
            kind[name] = value

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

        Raises RuntimeError that lists every missing, unexpected (unless not `strict`) and misshapen entry; nothing is copied then.
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
            target._version[0] += 1
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

    def to(self, *args: Any, dtype: Any = None, device: str | Device | None = None, **ignored: Any) -> Self:
        """Move parameters and buffers to a device, and floating ones to a dtype, in place; returns the module.

        `module.to("cuda")`, `module.to(torch.float64)`, `module.to(device=..., dtype=...)`. Raises RuntimeError for "cuda" where no
        GPU answers; nothing is moved then.
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
            return array if device is None else to_device(array, device)

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
