"""What all optimizers share: parameter groups, state, `zero_grad`, saving."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from minivision.autograd import Tensor
from minivision.autograd.tensor import RemovableHandle
from minivision.backend import Array, device_of, is_array, to_device
from minivision.functions.operands import must_be, number, shown
from minivision.memory import empty_like
from minivision.optim.together import Together, bundles, same_order

Params = Iterable[Tensor] | Iterable[dict[str, Any]]
StepHook = Callable[..., Any]  # (optimizer, args, kwargs of step)


class Optimizer:
    """Parameters in groups, each with settings of its own, and what is remembered for each parameter.

    `params` are tensors, or dictionaries `{"params": tensors, "lr": ...}` for groups whose settings differ from the defaults.
    A subclass writes `update(parameter, gradient, group, state)` for one parameter, in place on arrays. `state` is an empty
    dictionary at first. If every value is changed for itself, without a look at the others, `update` may be marked as
    `@elementwise`: then many small parameters are handed to it as one flat array, see `minivision/optim/together.py`.
    """

    _together: list[Together]  # the small parameters of the last step, gathered

    def __init__(self, params: Params, defaults: dict[str, Any]):
        self.defaults = defaults
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        self._together = []
        self._step_hooks: list[StepHook] = []
        entries = self._listed(params)
        if not entries:
            raise ValueError(f"{type(self).__name__}: there are no parameters to optimize; pass model.parameters()")
        for group in entries if isinstance(entries[0], dict) else [{"params": entries}]:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with settings of their own. Raises for non-leaves and for parameters that are in a group already."""
        name = type(self).__name__
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(
                f"{name}: a group of parameters must be a dictionary {{'params': tensors, ...}}, but is {shown(group)}"
            )
        params = self._listed(group["params"])
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{name}: parameters must be Tensors, not {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(
                    f"{name}: a tensor of shape {p.shape} is the result of {p.grad_fn!r}; only leaves can be optimized"
                )
            if not p.is_floating_point():
                raise TypeError(f"{name}: a tensor of shape {p.shape} is {p.dtype}; only floating tensors have gradients")
            if id(p) in known:
                raise ValueError(f"{name}: a parameter of shape {p.shape} is in two groups")
            known.add(id(p))
        unknown = set(group) - {"params", *self.defaults, "initial_lr"}
        if unknown:
            raise TypeError(f"{name}: unknown settings {sorted(unknown)}; it has {sorted(self.defaults)}")
        self.param_groups.append({**self.defaults, **group, "params": params})

    def _listed(self, params: Any) -> list[Any]:
        if not isinstance(params, (Tensor, Iterable)) or isinstance(params, (str, Mapping)):
            raise TypeError(
                f"{type(self).__name__}: {must_be('params', params, 'tensors or groups of them')}; pass model.parameters()"
            )
        return [params] if isinstance(params, Tensor) else list(params)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients (or fill them with zeros). Gradients add up until this is called."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p.grad is None:
                    p.grad = None
                else:
                    p.grad.zero_()

    def step(self, closure: Any = None) -> Any:
        """Change every parameter that has a gradient. `closure`, if given, computes and returns the loss first."""
        loss = None if closure is None else closure()
        for hook in list(self._step_hooks):
            hook(self, (), {})
        together = []
        for group in self.param_groups:
            alone = [p for p in group["params"] if p.grad is not None]
            if getattr(self.update, "elementwise", False):
                gathered, alone = bundles(alone, self.state, self._together)
                for bundle in gathered:
                    bundle.step(self.update, group)
                together += gathered
            for p in alone:
                state = self.state.setdefault(p, {})
                _follow(p.array, state)
                self.update(p.array, _gradient(p), group, state)
                p._note_change()
        self._together = together
        return loss

    def update(self, parameter: Array, gradient: Array, group: dict[str, Any], state: dict[str, Any]) -> None:
        """Change `parameter` in place; all that the next step needs goes into `state`."""
        raise NotImplementedError

    def register_step_pre_hook(self, hook: StepHook) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each update, when the gradients are complete, as in `torch.optim`."""
        self._step_hooks.append(hook)
        return RemovableHandle(self._step_hooks, hook)

    def __getstate__(self) -> dict[str, Any]:
        """For copies: theirs gather the small parameters anew."""
        return {**vars(self), "_together": []}

    def state_dict(self) -> dict[str, Any]:
        """Settings, and the remembered arrays by the parameter's number: all that a resumed run needs."""
        numbers = {id(p): i for i, p in enumerate(self._parameters())}
        return {
            "state": {numbers[id(p)]: dict(s) for p, s in self.state.items()},
            "param_groups": [
                {**{k: v for k, v in g.items() if k != "params"}, "params": [numbers[id(p)] for p in g["params"]]}
                for g in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue where `state_dict()` was taken. Raises ValueError, before changing anything, when the groups do not match."""
        groups, name = state_dict["param_groups"], type(self).__name__
        sizes, own = [len(g["params"]) for g in groups], [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(f"{name}: the state has groups of {sizes} parameters, but this optimizer has {own}")
        for group, saved in zip(self.param_groups, groups, strict=True):
            unknown = set(saved) - set(group) - {"initial_lr"}
            if unknown:
                raise ValueError(f"{name}: the state has settings {sorted(unknown)} of another optimizer; it has {sorted(group)}")
        parameters = dict(enumerate(self._parameters()))
        state: dict[Tensor, dict[str, Any]] = {}
        for place, entries in state_dict["state"].items():
            p = parameters.get(int(place))
            if p is None:
                raise ValueError(f"{name}: the state has a parameter {place}, but this optimizer has {len(parameters)} of them")
            for entry, value in entries.items():
                if is_array(value) and value.shape not in (p.shape, ()):
                    raise ValueError(
                        f"{name}: {entry} of parameter {place} has shape {value.shape}, but the parameter has {p.shape}"
                    )
            state[p] = {entry: to_device(v, p.device).copy() if is_array(v) else v for entry, v in entries.items()}
        self.state = state
        for group, saved in zip(self.param_groups, groups, strict=True):
            # JSON has no tuples: Adam's betas come back as a list
            group.update({k: tuple(v) if isinstance(v, list) else v for k, v in saved.items() if k != "params"})

    def _parameters(self) -> list[Tensor]:
        return [p for g in self.param_groups for p in g["params"]]

    def __repr__(self) -> str:
        groups = [{k: v for k, v in g.items() if k != "params"} | {"parameters": len(g["params"])} for g in self.param_groups]
        return f"{type(self).__name__}({groups})"


def _follow(parameter: Array, state: dict[str, Any]) -> None:
    """Bring the state of a parameter that was moved or converted since the last step after it."""
    for entry, value in state.items():
        if is_array(value) and value.shape == parameter.shape and not same_order(value, parameter):
            moved = empty_like(parameter)
            moved[...] = to_device(value, device_of(parameter))
            state[entry] = moved


def _gradient(parameter: Tensor) -> Array:
    """The gradient, with its elements in the order in which those of the parameter lie in memory."""
    assert parameter.grad is not None
    gradient = parameter.grad.array
    if type(gradient) is not type(parameter.array) or same_order(gradient, parameter.array):
        return gradient
    arranged = empty_like(parameter.array, gradient.dtype)
    arranged[...] = gradient
    return arranged


def need(name: str, condition: bool, legal: str, **setting: Any) -> None:
    """Raise ValueError naming a setting that is out of range, and what is legal."""
    if not condition:
        raise ValueError(f"{name}: {', '.join(f'{k}={v}' for k, v in setting.items())} is out of range; {legal}")


def need_not_negative(name: str, **settings: Any) -> None:
    """Raise unless every setting is a number of at least 0; infinity is legal, NaN is not."""
    for setting, value in settings.items():
        need(name, number(name, setting, value, infinite=True) >= 0, "it must be at least 0", **{setting: value})


def need_optimizer(name: str, optimizer: Any) -> None:
    """Raise TypeError unless a schedule is given the optimizer whose rates it sets."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: {must_be('optimizer', optimizer, 'a minivision.optim.Optimizer')}")
