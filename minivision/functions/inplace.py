"""In-place changes, outside the graph: `x += 1`, `x.zero_()`, `x.copy_(y)`.

Each change is counted on the memory it touches, so that a backward which still needs the old values says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minivision.autograd import Tensor, is_grad_enabled, no_grad
from minivision.backend import Generator, check_same_device, default_generator, is_array, xp_of
from minivision.functions import activation, arithmetic, clamping, elementwise, gathering
from minivision.functions.shape import clean_index, partial_view


def forbid_in_graph(op: str, target: Tensor, *values: Any) -> None:
    """Raise RuntimeError if changing `target` in place would have to be recorded."""
    if not is_grad_enabled():
        return
    if target.requires_grad and target.is_leaf:
        raise RuntimeError(
            f"{op}: this leaf of shape {target.shape} requires a gradient, so a change in place would have to be recorded; "
            "update parameters inside `with no_grad():`"
        )
    if target.requires_grad or any(isinstance(v, Tensor) and v.requires_grad for v in values):
        raise RuntimeError(
            f"{op}: in-place changes are not recorded, so the graph would be cut here; build a new tensor (x = x + y, where, "
            "cat, stack), or wrap the change in `with no_grad():` if no gradient should flow through it"
        )


def write(target: Tensor, value: Any) -> Tensor:
    """Overwrite the target's memory with `value` (a Tensor, an array or a number) and count the change."""
    target.array[...] = _source("x[...] = value", target, value)
    target._version[0] += 1
    return target


def _source(op: str, target: Tensor, value: Any) -> Any:
    """`value` as something that can be assigned into the target's array."""
    source = value.array if isinstance(value, Tensor) else value
    if is_array(source):
        check_same_device(op, {"x": target.array, "value": source})
    elif not isinstance(source, (bool, int, float)):
        source = xp_of(target.array).asarray(source)
    return source


def _method(name: str, operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        forbid_in_graph(name, self, *args)
        with no_grad():
            return write(self, operation(self, *args, **kwargs))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{operation.__name__}`, written into this tensor's own memory; outside the graph only."
    return method


add_ = _method("add_", arithmetic.add)
sub_ = _method("sub_", arithmetic.sub)
mul_ = _method("mul_", arithmetic.mul)
div_ = _method("div_", arithmetic.div)
clamp_ = _method("clamp_", clamping.clamp)
pow_ = _method("pow_", arithmetic.pow)
exp_ = _method("exp_", arithmetic.exp)
log_ = _method("log_", arithmetic.log)
sqrt_ = _method("sqrt_", arithmetic.sqrt)
neg_ = _method("neg_", arithmetic.neg)
abs_ = _method("abs_", arithmetic.abs_)
floor_ = _method("floor_", arithmetic.floor)
ceil_ = _method("ceil_", arithmetic.ceil)
round_ = _method("round_", arithmetic.round)
relu_ = _method("relu_", activation.relu)
sigmoid_ = _method("sigmoid_", activation.sigmoid)
tanh_ = _method("tanh_", activation.tanh)
masked_fill_ = _method("masked_fill_", gathering.masked_fill)
scatter_ = _method("scatter_", gathering.scatter)
scatter_add_ = _method("scatter_add_", gathering.scatter_add)
index_add_ = _method("index_add_", gathering.index_add)
index_copy_ = _method("index_copy_", gathering.index_copy)
index_fill_ = _method("index_fill_", gathering.index_fill)
lerp_ = _method("lerp_", elementwise.lerp)
addcmul_ = _method("addcmul_", elementwise.addcmul)
addcdiv_ = _method("addcdiv_", elementwise.addcdiv)


def _augmented(symbol: str, operation: Callable[..., Tensor]) -> Callable[[Tensor, Any], Tensor]:
    def augmented(self: Tensor, other: Any) -> Tensor:
        recorded = self.requires_grad or (isinstance(other, Tensor) and other.requires_grad)
        if is_grad_enabled() and recorded and not (self.is_leaf and self.requires_grad):
            return operation(self, other)
        forbid_in_graph(f"x {symbol} y", self, other)
        with no_grad():
            result = operation(self, other)
        if result.is_floating_point() and not self.is_floating_point():
            raise TypeError(f"x {symbol} y: the result is {result.dtype}, which x of {self.dtype} cannot hold; convert x first")
        if result.shape != self.shape:
            raise ValueError(
                f"x {symbol} y: the result has shape {result.shape}, which does not fit into x of shape {self.shape}"
            )
        return write(self, result)

    augmented.__doc__ = f"`x {symbol} y`: in place outside the graph; inside it the name is bound to a new, recorded tensor."
    return augmented


iadd = _augmented("+=", arithmetic.add)
isub = _augmented("-=", arithmetic.sub)
imul = _augmented("*=", arithmetic.mul)
itruediv = _augmented("/=", arithmetic.div)


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """`x[index] = value`, outside the graph."""
    forbid_in_graph("x[index] = value", self, value)
    view, gather = partial_view(self.array, clean_index(index, self))
    view[gather or ...] = _source("x[index] = value", self, value)
    self._version[0] += 1


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to `value`."""
    forbid_in_graph("fill_", self, value)
    return write(self, value)


def zero_(self: Tensor) -> Tensor:
    """Set every element to 0."""
    return fill_(self, 0)


def copy_(self: Tensor, source: Any) -> Tensor:
    """Copy `source` into this tensor: broadcast to its shape, converted to its dtype, brought to its device."""
    forbid_in_graph("copy_", self, source)
    return write(self, source.detach().to(device=self.device) if isinstance(source, Tensor) else source)


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers from a normal distribution."""
    forbid_in_graph("normal_", self)
    draw = (generator or default_generator).rng.normal(mean, std, self.shape)
    return write(self, xp_of(self.array).asarray(draw.astype(self.dtype)))


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers from a uniform distribution over [a, b)."""
    forbid_in_graph("uniform_", self)
    draw = (generator or default_generator).rng.uniform(a, b, self.shape)
    return write(self, xp_of(self.array).asarray(draw.astype(self.dtype)))
