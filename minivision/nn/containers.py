"""Modules that hold modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from minivision.functions.operands import shown
from minivision.nn.fusing import run_in_order
from minivision.nn.module import Module


class Sequential(Module):
    """Modules applied one after the other: `Sequential(a, b)` or `Sequential({"name": a, ...})`.

    Neighbours such as a convolution and its ReLU are computed together where nobody can tell; see `nn.fusion`.
    """

    def __init__(self, *modules: Any):
        super().__init__()
        named = modules[0].items() if len(modules) == 1 and isinstance(modules[0], Mapping) else enumerate(modules)
        for name, module in named:
            self._modules[str(name)] = _checked("Sequential", name, module)

    def forward(self, input: Any) -> Any:
        return run_in_order(list(self.children()), input)

    def append(self, module: Module) -> Sequential:
        self._modules[str(len(self))] = _checked("Sequential", len(self), module)
        return self

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Sequential(dict(list(self._modules.items())[index]))
        return list(self._modules.values())[index]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._modules.values()))


class ModuleList(Module):
    """A list of modules, each registered."""

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self.extend(() if modules is None else modules)

    def append(self, module: Module) -> ModuleList:
        self._modules[str(len(self))] = _checked("ModuleList", len(self), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleList: modules={shown(modules)} must be a list of modules")
        for module in modules:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> None:
        entries = list(self._modules.values())
        entries.insert(index, _checked("ModuleList", index, module))
        self._modules.clear()
        self.extend(entries)

    def __getitem__(self, index: int | slice) -> Any:
        entries = list(self._modules.values())[index]
        return ModuleList(entries) if isinstance(index, slice) else entries

    def __setitem__(self, index: int, module: Module) -> None:
        self._modules[str(range(len(self))[index])] = _checked("ModuleList", index, module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(list(self._modules.values()))


class ModuleDict(Module):
    """A dictionary of modules, each registered."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()):
        super().__init__()
        self.update(() if modules is None else modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        try:
            named = dict(modules)
        except (TypeError, ValueError):
            raise TypeError(f"ModuleDict: modules={shown(modules)} must be a dictionary, or pairs (name, module)") from None
        for name, module in named.items():
            self[name] = module

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self._modules[name] = _checked("ModuleDict", name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._modules))

    def keys(self) -> Iterable[str]:
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        return self._modules.items()


def _checked(container: str, name: Any, module: Any) -> Module:
    if not isinstance(module, Module):
        made = isinstance(module, type) and issubclass(module, Module)
        way_out = f"; make one, {module.__name__}(...)" if made else "; only modules can be entries"
        kind = f"the class {module.__name__}" if isinstance(module, type) else type(module).__name__
        raise TypeError(f"{container}: entry {name!r} is {kind}, not a Module{way_out}")
    return module
