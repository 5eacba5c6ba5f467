"""In-place changes, outside the graph: `x += 1`, `x.zero_()`, `x.copy_(y)`; only `relu_` is recorded, see `overwriting.py`.

Each change is counted on the memory it touches, so that a backward which still needs the old values says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minivision.autograd import Tensor, is_grad_enabled, no_grad
from minivision.backend import Generator, check_same_device, is_array, xp_of
from minivision.functions import activation, arithmetic, clamping, elementwise, gathering, scattering
from minivision.functions.operands import check_fits, fill_value, need_float, not_negative, number, operand, rng_of
from minivision.functions.overwriting import check_writable
from minivision.functions.shape import check_index, clean_index, partial_view


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


def write(target: Tensor, value: Any, op: str = "x[...] = value") -> Tensor:
    """Overwrite the target's memory with `value` (a Tensor, an array or a number) and count the change."""
    check_writable(op, target)
    source = _source(op, target, value)
    _check_reach(op, source, target.shape, target.shape)
    target.array[...] = source
    target._note_change()
    return target


def _source(op: str, target: Tensor, value: Any, name: str = "value") -> Any:
    """`value` as something that can be assigned into the target's array."""
    source = operand(value, op, name)
    if not isinstance(source, Tensor):
        check_fits(op, name, source, target.dtype, fraction=True)
        return source
    if isinstance(value, Tensor) or is_array(value):
        check_same_device(op, {"x": target.array, name: source.array})
        return source.array
    return xp_of(target.array).asarray(source.array)


def _check_reach(op: str, source: Any, places: tuple[int, ...], shape: tuple[int, ...], name: str = "value") -> None:
    """Raise ValueError unless the source broadcasts to the shape of the places that it is written to."""
    given: tuple[int, ...] = getattr(source, "shape", ())
    while len(given) > len(places) and given[0] == 1:
        given = given[1:]
    if len(given) > len(places) or any(n not in (1, m) for n, m in zip(given[::-1], places[::-1], strict=False)):
        where = f"x of shape {shape}" if places == shape else f"the places {places} of x of shape {shape}"
        raise ValueError(f"{op}: {name} has shape {source.shape}, which does not broadcast to {where}")


_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def _check_result(op: str, target: Tensor, result: Tensor) -> None:
    """Raise unless the target can hold the result: its shape, and a dtype of its kind or a lower one."""
    if _RANK[result.dtype.kind] > _RANK[target.dtype.kind]:
        raise TypeError(
            f"{op}: the result is {result.dtype}, which x of {target.dtype} cannot hold; convert x first, "
            f"with .to(minivision.{result.dtype})"
        )
    if result.shape != target.shape:
        raise ValueError(
            f"{op}: the result has shape {result.shape}, which does not fit into x of shape {target.shape}; in place, x keeps "
            "its shape"
        )


def _store(target: Tensor, result: Tensor) -> Tensor:
    """The target with the result, which is known to fit, in its memory."""
    target.array[...] = result.array
    target._note_change()
    return target


def _run(op: str, name: str, operation: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """The result of the operation, outside the graph. Its messages start with its name, and here with `op`."""
    try:
        with no_grad():
            return operation(*args, **kwargs)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        if not str(error).startswith((f"{name}:", f"{name}(")):
            raise
        raise type(error)(op + str(error).removeprefix(name)) from None


def _method(name: str, operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        forbid_in_graph(name, self, *args, *kwargs.values())
        check_writable(name, self)
        result = _run(name, name[:-1], operation, self, *args, **kwargs)
        _check_result(name, self, result)
        return _store(self, result)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`{operation.__name__.rstrip('_')}`, written into this tensor's own memory; outside the graph only."
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
sigmoid_ = _method("sigmoid_", activation.sigmoid)
tanh_ = _method("tanh_", activation.tanh)
masked_fill_ = _method("masked_fill_", gathering.masked_fill)
scatter_ = _method("scatter_", gathering.scatter)
scatter_add_ = _method("scatter_add_", gathering.scatter_add)
index_add_ = _method("index_add_", gathering.index_add)
index_copy_ = _method("index_copy_", gathering.index_copy)
index_fill_ = _method("index_fill_", gathering.index_fill)
index_put_ = _method("index_put_", scattering.index_put)
masked_scatter_ = _method("masked_scatter_", scattering.masked_scatter)
scatter_reduce_ = _method("scatter_reduce_", scattering.scatter_reduce)
index_reduce_ = _method("index_reduce_", scattering.index_reduce)
lerp_ = _method("lerp_", elementwise.lerp)
addcmul_ = _method("addcmul_", elementwise.addcmul)
addcdiv_ = _method("addcdiv_", elementwise.addcdiv)


def relu_(self: Tensor) -> Tensor:
    """`relu`, written into this tensor's own memory, and recorded: inside the graph too, where the tensor is no leaf."""
    return activation.rectified("relu_", self, inplace=True)


def _augmented(symbol: str, operation: Callable[..., Tensor]) -> Callable[[Tensor, Any], Tensor]:
    def augmented(self: Tensor, other: Any) -> Tensor:
        recorded = self.requires_grad or (isinstance(other, Tensor) and other.requires_grad)
        if is_grad_enabled() and recorded and not (self.is_leaf and self.requires_grad):
            return operation(self, other)
        op = f"x {symbol} y"
        forbid_in_graph(op, self, other)
        check_writable(op, self)
        result = _run(op, operation.__name__, operation, self, other)
        _check_result(op, self, result)
        return _store(self, result)

    augmented.__name__ = augmented.__qualname__ = f"x {symbol} y"
    augmented.__doc__ = f"`x {symbol} y`: in place outside the graph; inside it the name is bound to a new, recorded tensor."
    return augmented


iadd = _augmented("+=", arithmetic.add)
isub = _augmented("-=", arithmetic.sub)
imul = _augmented("*=", arithmetic.mul)
itruediv = _augmented("/=", arithmetic.div)


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """`x[index] = value`, outside the graph."""
    op = "x[index] = value"
    forbid_in_graph(op, self, value)
    check_writable(op, self)
    cleaned, source = clean_index(index, self, op), _source(op, self, value)
    try:
        view, gather = partial_view(self.array, cleaned)
        view[gather or ...] = source
    except (IndexError, TypeError, ValueError):
        check_index(op, cleaned, self.shape)  # says what NumPy or CuPy refused
        view, gather = partial_view(self.array, cleaned)
        _check_reach(op, source, view[gather].shape if gather else view.shape, self.shape)
        raise
    self._note_change()


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to `value`, a number or a 0-d tensor."""
    forbid_in_graph("fill_", self, value)
    if isinstance(value, Tensor) and value.ndim:
        raise ValueError(f"fill_: value has shape {value.shape}, but must be a number; use copy_ for a tensor")
    return write(self, fill_value("fill_", "value", value, self.dtype, fraction=True), "fill_")


def zero_(self: Tensor) -> Tensor:
    """Set every element to 0."""
    forbid_in_graph("zero_", self)
    return write(self, 0, "zero_")


def copy_(self: Tensor, source: Any) -> Tensor:
    """Copy `source` into this tensor: broadcast to its shape, converted to its dtype, brought to its device."""
    forbid_in_graph("copy_", self, source)
    check_writable("copy_", self)
    values = _source("copy_", self, source.detach().to(device=self.device) if isinstance(source, Tensor) else source, "source")
    _check_reach("copy_", values, self.shape, self.shape, "source")
    self.array[...] = values
    self._note_change()
    return self


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers from a normal distribution."""
    forbid_in_graph("normal_", self)
    need_float("normal_", x=self)
    center, width = number("normal_", "mean", mean), not_negative("normal_", "std", std)
    draw = rng_of("normal_", generator).normal(center, width, self.shape)
    return write(self, xp_of(self.array).asarray(draw.astype(self.dtype)), "normal_")


def uniform_(self: Tensor, a: float = 0.0, b: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Fill with numbers from a uniform distribution over [a, b)."""
    forbid_in_graph("uniform_", self)
    need_float("uniform_", x=self)
    low, high = number("uniform_", "a", a), number("uniform_", "b", b)
    if low > high:
        raise ValueError(f"uniform_: a={low} lies above b={high}; the numbers are drawn from a .. b")
    draw = rng_of("uniform_", generator).uniform(low, high, self.shape)
    return write(self, xp_of(self.array).asarray(draw.astype(self.dtype)), "uniform_")
