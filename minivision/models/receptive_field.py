"""What each layer of a network sees of the image: size, stride and start of its receptive field, skips included.

The network is run once on a small image, and the recorded graph is followed from the image to every layer. Along one axis, an
operation says which positions of its input each output position takes; where branches join (a U-Net's copies, an FCN's sums), the
field is the hull of both. That is what can reach a position, whatever the weights; the support of a gradient is the same where
all weights are positive, which is how the tests measure it. See Araujo, Norris & Sim, Computing Receptive Fields of Convolutional
Neural Networks (Distill 2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from minivision import nn
from minivision.autograd import Function, Tensor, enable_grad
from minivision.backend import xp_of
from minivision.functions.operands import integer, integers, shown

SIZES = (32, 64, 96, 128, 160, 188, 192, 224, 256, 512, 572)  # tried when no input_size is given


@dataclass(frozen=True)
class Field:
    """What the positions of a map see of the image, along one axis: position j the pixels first[j] .. last[j].

    It repeats: `len(first)` positions further on, everything lies `shift` pixels further on. Behind a strided transposed
    convolution the positions differ in what they see, so one position is not enough to describe all. Pixels outside the image (in
    the padding) count; a position that sees nothing has first = inf, last = -inf.
    """

    first: tuple[float, ...]
    last: tuple[float, ...]
    shift: int

    @property
    def period(self) -> int:
        return len(self.first)

    @property
    def stride(self) -> Fraction:
        """How far the field moves from one position to the next, on average."""
        return Fraction(self.shift, self.period)

    @property
    def size(self) -> float:
        """The number of pixels that the position with the largest field sees; inf where every position sees the whole image."""
        return max(0, *(b - a + 1 for a, b in zip(self.first, self.last, strict=True)))

    def sees(self, position: int) -> tuple[float, float]:
        periods, rest = divmod(position, self.period)
        return self.first[rest] + periods * self.shift, self.last[rest] + periods * self.shift


PIXELS = Field((0,), (0,), 1)  # the image itself: pixel j sees pixel j
WHOLE = Field((-math.inf,), (math.inf,), 0)


@dataclass(frozen=True)
class LayerField:
    """One row of the table: the receptive field of a layer's output.

    Attributes
    ----------
    name, kind: the path of the module and its class.
    output: the shape of its output for the input that was used.
    size, stride, start: one number per spatial axis, in pixels of the image: how much one position sees, how far its field moves
        to the next position, and where the field of position 0 begins (negative: in the padding).
    """

    name: str
    kind: str
    output: tuple[int, ...]
    fields: tuple[Field, ...]

    @property
    def size(self) -> tuple[float, ...]:
        return tuple(f.size for f in self.fields)

    @property
    def stride(self) -> tuple[Fraction, ...]:
        return tuple(f.stride for f in self.fields)

    @property
    def start(self) -> tuple[float, ...]:
        return tuple(f.sees(0)[0] for f in self.fields)

    def sees(self, *position: int) -> tuple[tuple[float, float], ...]:
        """(first, last) pixel along each axis that one position (row, column) of the layer's output sees, padding included."""
        if len(position) != len(self.fields):
            raise ValueError(f"sees: {self.name!r} has {len(self.fields)} spatial axes, but got the position {position}")
        return tuple(f.sees(p) for f, p in zip(self.fields, position, strict=True))


@dataclass(frozen=True)
class ReceptiveFields:
    """The table: a sequence of `LayerField`, one for each call of a layer, also found by name; the last one is the network's."""

    input: tuple[int, ...]
    rows: tuple[LayerField, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[LayerField]:
        return iter(self.rows)

    def __getitem__(self, key: int | str) -> LayerField:
        """By number, or by the module's name; of a module that is called several times, the last call."""
        if isinstance(key, int):
            return self.rows[key]
        found = [row for row in self.rows if row.name == key]
        if not found:
            raise KeyError(f"no layer is called {key!r}; there are {', '.join(dict.fromkeys(row.name for row in self.rows))}")
        return found[-1]

    def __str__(self) -> str:
        lines = [("layer", "kind", "output", "size", "stride", "start")]
        for row in self.rows:
            output = "x".join(map(str, row.output[2:])) or "-"
            lines.append((row.name, row.kind, output, _text(row.size), _text(row.stride), _text(row.start)))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))).rstrip()
            for line in lines
        )


def receptive_field(module: nn.Module, input_size: int | Sequence[int] | None = None) -> ReceptiveFields:
    """The receptive field of every layer of a network, as a table; `print` it, or ask it: `receptive_field(net)["bottom"].size`.

    Parameters
    ----------
    module: a network whose input is (N, C, *size). It is run in evaluation mode, without changing it.
    input_size: the shape of an input, (N, C, H, W), or an int for square images; the smallest of a few usual ones that the
        network takes unless given. It hardly matters, because fields are followed beyond the border, but maps that are resized
        or pooled to a fixed size depend on it.

    Normalisations count as pointwise, though in training their statistics see the whole image. Where every position sees
    everything (behind a flatten or a global pooling), the size is inf. What is padded counts as lying beyond the border, also
    where the padding shows pixels of the image.

    Raises ValueError for an operation that moves positions about in a way that is not followed (a flip, an attention, a pixel
    shuffle), naming it, and where branches of different stride join.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"receptive_field: module={shown(module)} must be a minivision.nn.Module")
    x, result, calls = _run(module, input_size)
    states = _follow(x, [y for _, _, y in calls] + result)
    rows = [
        LayerField(name, kind, y.shape, states[id(y.grad_fn)])
        for name, kind, y in [*calls, *(("(output)", type(module).__name__, y) for y in result)]
        if id(y.grad_fn) in states
    ]
    if not rows:
        raise ValueError(f"receptive_field: no output of {type(module).__name__} depends on its input {x.shape}")
    return ReceptiveFields(x.shape, tuple(rows))


# ---- running the network ----


def _run(module: nn.Module, input_size: Any) -> tuple[Tensor, list[Tensor], list[tuple[str, str, Tensor]]]:
    """The input, the outputs, and (name, kind, output) of each call of a layer (a module without children), in their order."""
    calls: list[tuple[str, str, Tensor]] = []

    def note(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                calls.append((name, type(layer).__name__, output))

        return hook

    training = [(m, m.training) for m in module.modules()]
    layers = [(name, m) for name, m in module.named_modules() if name and not list(m.children())]
    handles = [layer.register_forward_hook(note(name)) for name, layer in layers]
    module.eval()
    try:
        failure: Exception | None = None
        for shape in _shapes(module, input_size):
            calls.clear()
            try:
                x = _image(module, shape)
                with enable_grad():
                    result = module(x)
            except (ValueError, RuntimeError) as error:
                if input_size is not None:
                    raise
                failure = failure or error
                continue
            outputs = list(result) if isinstance(result, (tuple, list)) else [result]
            return x, [y for y in outputs if isinstance(y, Tensor)], calls
        raise ValueError(
            f"receptive_field: none of the sizes {SIZES} suits the network; pass input_size ({failure})"
        ) from failure
    finally:
        for handle in handles:
            handle.remove()
        for m, was_training in training:
            m.training = was_training


def _image(module: nn.Module, shape: tuple[int, ...]) -> Tensor:
    parameter = next(iter(module.parameters()), None)
    values = np.random.default_rng(0).standard_normal(shape)
    x = Tensor(values.astype(np.float32 if parameter is None else parameter.dtype))
    return (x if parameter is None else x.to(parameter.device)).requires_grad_()


def _shapes(module: nn.Module, input_size: Any) -> list[tuple[int, ...]]:
    op, legal = "receptive_field", "a whole shape (N, C, H, W), or an int"
    if isinstance(input_size, (tuple, list)):
        shape = integers(op, "input_size", input_size, legal, minimum=1)
        if len(shape) not in (3, 4, 5):
            raise ValueError(f"{op}: input_size={input_size!r} must be {legal}")
        return [shape]
    sizes = SIZES if input_size is None else (integer(op, "input_size", input_size, 1, legal),)
    channels = next((int(m.in_channels) for m in module.modules() if hasattr(m, "in_channels")), 1)
    axes = next((p.ndim - 2 for p in module.parameters() if p.ndim > 2), 2)
    return [(1, channels, *(n,) * axes) for n in sizes]


# ---- following the graph ----

State = tuple[Field, ...]  # one field per spatial axis, which are the last axes of a tensor


def _follow(x: Tensor, targets: list[Tensor]) -> dict[int, State]:
    """The state of each node that depends on x, by its id; from the image downwards, without recursion."""
    states: dict[int, State] = {id(x): (PIXELS,) * (x.ndim - 2)}
    done: set[int] = set()
    stack: list[Any] = [y.grad_fn for y in targets if y.grad_fn is not None]
    while stack:
        node = stack[-1]
        before = [edge[0] for edge in node.edges if edge is not None and isinstance(edge[0], Function)]
        missing = [other for other in before if id(other) not in done]
        if missing:
            stack += missing
            continue
        stack.pop()
        if id(node) in done:
            continue
        done.add(id(node))
        inputs = [(i, states[id(edge[0])]) for i, edge in enumerate(node.edges) if edge is not None and id(edge[0]) in states]
        if inputs:
            states[id(node)] = _through(node, inputs)
    return states


def _through(node: Any, inputs: list[tuple[int, State]]) -> State:
    """The state of a node's output, from those of the inputs (by number) that depend on the image."""
    if any(field is WHOLE for _, state in inputs for field in state):
        return (WHOLE,) * len(inputs[0][1])
    axes = len(inputs[0][1])
    if node.name in RULES:
        return RULES[node.name](node, inputs[0][1])
    source, target = node._inputs[inputs[0][0]][0], node._outputs[0][0]
    flattened = len(target) < len(source) and target[-axes:] != source[-axes:]
    summed_up = set(target[-axes:]) == {1} != set(source[-axes:])
    if flattened or summed_up:
        return (WHOLE,) * axes
    pointwise = all(node._inputs[i][0][-axes:] == target[-axes:] for i, _ in inputs)
    if not pointwise or (node.name not in STATISTICS and not _is_pointwise(node, inputs, axes)):
        raise ValueError(
            f"receptive_field: {node.name} maps {source} to {target} in a way that is not followed: each position may take any "
            "other one, so there is no receptive field"
        )
    return tuple(_hull(node, [state[axis] for _, state in inputs]) for axis in range(axes))


STATISTICS = ("BatchNorm", "FixedNorm", "GroupNorm", "InstanceNorm", "LayerNorm")


def _is_pointwise(node: Any, inputs: list[tuple[int, State]], axes: int) -> bool:
    """Whether a gradient at one position of the output reaches no other position of the inputs."""
    if len(node._outputs) != 1:
        return True
    shape, dtype = node._outputs[0]
    middle = tuple(n // (2 + axis) for axis, n in enumerate(shape[-axes:]))  # off the diagonal, which a transposition keeps
    kept = [a for a in vars(node).values() if hasattr(a, "dtype") and hasattr(a, "strides")]
    dy = xp_of(*kept).zeros(shape, dtype) if kept else np.zeros(shape, dtype)
    dy[(..., *middle)] = 1
    gradients = node.backward(dy)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    for i, _ in inputs:
        elsewhere = gradients[i].copy()
        elsewhere[(..., *middle)] = 0
        if bool((elsewhere != 0).any()):
            return False
    return True


def _hull(node: Any, fields: list[Field]) -> Field:
    """Of branches that join: from the first to the last pixel that any of them sees."""
    if len({f.stride for f in fields}) > 1:
        strides = " and ".join(str(s) for s in dict.fromkeys(f.stride for f in fields))
        raise ValueError(
            f"receptive_field: branches of stride {strides} join in {node.name}, so their positions drift apart; pass an "
            "input_size that is divided without a remainder"
        )
    period = math.lcm(*(f.period for f in fields))
    seen = [[f.sees(j) for f in fields] for j in range(period)]
    first = tuple(min(a for a, _ in at) for at in seen)
    last = tuple(max(b for _, b in at) for at in seen)
    return Field(first, last, int(fields[0].stride * period))


# ---- which positions of the input an operation takes ----


def _window(field: Field, kernel: int, stride: int = 1, before: int = 0, dilation: int = 1) -> Field:
    """Output j takes the inputs s j + d k - p, for k = 0 .. kernel - 1."""
    inputs = math.lcm(field.period, stride)
    taken = [[field.sees(stride * j + dilation * k - before) for k in range(kernel)] for j in range(inputs // stride)]
    return _field(taken, int(field.stride * inputs))


def _stamps(field: Field, kernel: int, stride: int, before: int, dilation: int) -> Field:
    """Input i stamps s i + d k - p, so output j takes the inputs (j + p - d k) / s where that is whole."""
    taken = [
        [field.sees((j + before - dilation * k) // stride) for k in range(kernel) if (j + before - dilation * k) % stride == 0]
        for j in range(field.period * stride)
    ]
    return _field(taken, field.shift)


def _resized(field: Field, matrix: np.ndarray) -> Field:
    """Output j takes the inputs with a weight in row j; the rows repeat `step` inputs further on after `rows` of them."""
    out, size = matrix.shape
    repeats = math.gcd(out, size)
    rows, step = out // repeats, size // repeats
    inner = repeats // 2  # away from the border, where positions are clamped
    inputs = math.lcm(field.period, step)
    taken = []
    for j in range(inputs // step * rows):
        times, row = divmod(j, rows)
        columns = np.flatnonzero(matrix[row + inner * rows]) + (times - inner) * step
        taken.append([field.sees(int(i)) for i in columns])
    return _field(taken, int(field.stride * inputs))


def _field(taken: list[list[tuple[float, float]]], shift: int) -> Field:
    first = tuple(min((a for a, _ in seen), default=math.inf) for seen in taken)
    return Field(first, tuple(max((b for _, b in seen), default=-math.inf) for seen in taken), shift)


def _convolution(node: Any, state: State) -> State:
    w = node.window
    settings = zip(state, node.w.shape[2:], w.stride, w.padding, w.dilation, strict=True)
    return tuple(_window(f, k, s, p, d) for f, k, s, (p, _), d in settings)


def _transposed_convolution(node: Any, state: State) -> State:
    w = node.window
    settings = zip(state, node.w.shape[2:], w.stride, w.padding, w.dilation, strict=True)
    return tuple(_stamps(f, k, s, p, d) for f, k, s, (p, _), d in settings)


def _pool(node: Any, state: State) -> State:
    w = node.window
    return tuple(
        _window(f, k, s, p, d) for f, k, s, (p, _), d in zip(state, node.kernel, w.stride, w.padding, w.dilation, strict=True)
    )


def _unpool(node: Any, state: State) -> State:
    """Each value lies somewhere in its cell, so every position of the cell may show it."""
    factors = [max(n // m, 1) for n, m in zip(node.size, node.shape[2:], strict=True)]
    return tuple(_stamps(f, factor, factor, 0, 1) for f, factor in zip(state, factors, strict=True))


def _nails(node: Any, state: State) -> State:
    return tuple(_stamps(f, 1, step, 0, 1) for f, step in zip(state, node.steps, strict=True))


def _interpolate(node: Any, state: State) -> State:
    return tuple(_resized(f, m.dense()) for f, m in zip(state, node.matrices, strict=True))


def _adaptive(node: Any, state: State) -> State:
    """Bin i takes floor(i n / m) .. ceil((i + 1) n / m) - 1; a single bin is the whole map."""
    result = []
    for field, n, m in zip(state, node._inputs[0][0][2:], node.out, strict=True):
        i, taken = np.arange(m)[:, None], np.arange(n)
        result.append(WHOLE if m == 1 else _resized(field, (taken >= i * n // m) & (taken < -(-(i + 1) * n // m))))
    return tuple(result)


def _pad(node: Any, state: State) -> State:
    pairs = node.pairs[-len(state) :]
    return tuple(_window(f, 1, before=before) for f, (before, _) in zip(state, pairs, strict=True))


def _index(node: Any, state: State) -> State:
    """Slices: a crop, or every n-th position."""
    shape = node.shape
    index = tuple(e for e in node.index if e is not Ellipsis)
    if Ellipsis in node.index:
        at = node.index.index(Ellipsis)
        index = (*index[:at], *(slice(None),) * (len(shape) - len(index)), *index[at:])
    index = (*index, *(slice(None),) * (len(shape) - len(index)))
    spatial = index[len(shape) - len(state) :]
    if len(index) != len(shape) or not all(isinstance(e, slice) and (e.step or 1) > 0 for e in spatial):
        raise ValueError(f"receptive_field: the index {node.index} into {shape} is not followed; only slices of images are")
    steps = [e.indices(n) for e, n in zip(spatial, shape[len(shape) - len(state) :], strict=True)]
    return tuple(_window(f, 1, step, before=-start) for f, (start, _, step) in zip(state, steps, strict=True))


RULES: dict[str, Callable[[Any, State], State]] = {
    "Convolution": _convolution,
    "TransposedConvolution": _transposed_convolution,
    "MaxPool": _pool,
    "AvgPool": _pool,
    "MaxUnpool": _unpool,
    "AdaptiveAvgPool": _adaptive,
    "AdaptiveMaxPool": _adaptive,
    "BedOfNails": _nails,
    "Interpolate": _interpolate,
    "ConstantPad": _pad,
    "ReflectPad": _pad,
    "ReplicatePad": _pad,
    "CircularPad": _pad,
    "Index": _index,
}


def _text(numbers: tuple[Any, ...]) -> str:
    words = ["all" if n in (math.inf, -math.inf) else str(n if isinstance(n, Fraction) else int(n)) for n in numbers]
    return words[0] if len(set(words)) == 1 else " x ".join(words)
