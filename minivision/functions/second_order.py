"""The gradient of a gradient: how each operation's backward is itself differentiated. Loaded when `create_graph=True` needs it.

A `backward` works on arrays, so nothing records what it does. A *rule* says the same with recorded operations: from the node f
and the gradient g of its output, as Tensors, it computes the gradients of the inputs, as Tensors. What was computed by recorded
operations can be differentiated like anything else, and since those operations have rules too, so can the gradient of the
gradient. There are three kinds of operations.

Linear: y = A x, so dx = A^T g, whatever x was. As a function of g this is linear again, and its derivative is A. `LinearMap`
holds both directions; A^T is the node's own backward.

Linear once the choices are made: ReLU and max pooling multiply by 0 and 1, and the same values are taken again for a g next
door. The second derivative is 0 wherever it exists; PyTorch has it so too. They are treated as linear.

All others: dx depends on g and on x. The rule is the formula of the backward, with x (or y) as a Tensor in its place of the
graph, which `f.as_input(f.x)` makes of the array that forward kept. A node that kept something else, a product of x perhaps,
has its place taken by `_recall`: a call whose result is known.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

from minivision.autograd import Function, Tensor
from minivision.backend import Array, is_array, scatter_add, xp_of
from minivision.functions import (
    activation,
    adaptive_pooling,
    arithmetic,
    aspect,
    attention,
    bilinear_form,
    checkpointing,
    clamping,
    contraction,
    conversion,
    corner_pooling,
    differences,
    division,
    dropout,
    elementwise,
    embedding,
    floating_point,
    fused,
    gamma_function,
    gathering,
    grid_sampling,
    likelihood_loss,
    linear,
    local_response,
    loss,
    margin_loss,
    normalization,
    norms,
    padding,
    piecewise_activation,
    pooling,
    probability_loss,
    rearranging,
    recurrent,
    reduction,
    regression_loss,
    roi,
    scanning,
    scattering,
    segmentation_loss,
    shape,
    smooth_activation,
    sorting,
    statistics,
    transcendental,
    unfolding,
    unpooling,
    upsampling,
)
from minivision.functions.activation import sigmoid
from minivision.functions.arithmetic import where
from minivision.functions.contraction import einsum
from minivision.functions.convolution.direct import Convolution
from minivision.functions.convolution.faces import correlate, correlate_kernel, correlate_transposed
from minivision.functions.convolution.transposed import TransposedConvolution
from minivision.functions.layout import channels_first, channels_last
from minivision.functions.linear import matmul

Node = Any  # a recorded Function, with the attributes that its forward kept
Rule = Callable[..., Any]  # (node, gradient of each output) -> the gradient of the input, or a tuple of them

RULES: dict[type[Function], Rule] = {}
operation: type[Function]


# ---- linear operations ----


class LinearMap(Function):
    """y = A x, for a linear map A given by what it does to an array, and its transpose A^T;  dx = A^T dy"""

    is_view = True

    def __init__(self, apply: Callable[[Array], Array], transpose: Callable[[Array], Array]):
        self.apply, self.transpose = apply, transpose

    def forward(self, x: Array) -> Array:
        return self.apply(x)

    def backward(self, dy: Array) -> Array:
        return self.transpose(dy)


def _transposed(apply: Callable[[Node, Array], Array]) -> Rule:
    """The rule of y = A x, where `apply(f, v)` is A v on arrays: dx = A^T g, A^T being the node's backward."""

    def rule(f: Node, g: Tensor, *of_places: Tensor) -> Tensor:
        f = _unrecorded(f)
        return LinearMap(lambda dy: f.backward(dy, *of_places), lambda v: apply(f, v))(g)

    return rule


def _unrecorded(f: Node) -> Node:
    """The same operation with what its forward kept, outside the graph: it stays when the node is released."""
    f = copy.copy(f)
    f.edges = (None,) * len(f._inputs)
    return f


def _by_forward(f: Node, v: Array) -> Array:
    """A v for an operation whose forward is A itself."""
    return copy.copy(f).forward(v)  # a copy: forward overwrites what is kept


def _by_backward(f: Node, v: Array) -> Array:
    """A v for an operation that multiplies each value by a number, where A is its own transpose."""
    return f.backward(v)


def _without_value(f: Node, v: Array) -> Array:
    """Padding with zeros: a constant has no derivative."""
    return padding.ConstantPad(f.pairs, 0).forward(v)


def _nothing(f: Node, *gradients: Tensor) -> tuple[Tensor, ...]:
    """The rule of operations that are constant between their jumps."""
    xp = xp_of(gradients[0].array)
    return tuple(Tensor._wrap(xp.zeros(*spec)) for spec in f._inputs)


RULES[LinearMap] = lambda f, g: LinearMap(f.transpose, f.apply)(g)

for operation in (
    # every value is multiplied by a number: 0, 1, -1, a slope
    arithmetic.Neg, arithmetic.Abs, activation.ReLU, activation.LeakyReLU, clamping.Clamp, conversion.Clone,
    conversion.Contiguous, division.Frac, dropout.Dropout, elementwise.NanToNum, piecewise_activation.Hardtanh,
    piecewise_activation.Hardsigmoid, piecewise_activation.Hardshrink, piecewise_activation.Softshrink,
    piecewise_activation.Threshold, rearranging.Tril, rearranging.Triu, margin_loss.HingeEmbedding,
):  # fmt: skip
    RULES[operation] = _transposed(_by_backward)

for operation in (
    reduction.Sum, reduction.Mean, scanning.CumSum, shape.Reshape, shape.Permute, shape.Index, shape.Flip, gathering.Gather,
    rearranging.Roll, differences.Diff, rearranging.Diagonal, rearranging.DiagonalMatrix, conversion.Cast, conversion.Transfer,
    pooling.AvgPool, adaptive_pooling.AdaptiveAvgPool, upsampling.Interpolate, upsampling.BedOfNails, unfolding.Unfold,
    unfolding.Fold, padding.ReflectPad, padding.ReplicatePad, padding.CircularPad, loss.NegativeLogLikelihood,
):  # fmt: skip
    RULES[operation] = _transposed(_by_forward)

RULES[padding.ConstantPad] = _transposed(_without_value)
RULES[shape.Expand] = lambda f, g: g  # the walk sums over the axes that were repeated, as it does for a backward
for operation in (arithmetic.Rounding, division.RoundedQuotient, norms.Count):
    RULES[operation] = _nothing


def _cat(f: Node, g: Tensor) -> tuple[Tensor, ...]:
    """Each part receives its section."""
    sections, start = [], 0
    for n in f.sizes:
        sections.append(g[(slice(None),) * f.axis + (slice(start, start + n),)])
        start += n
    return tuple(sections)


RULES[shape.Cat] = _cat


def _look_up(f: Node, v: Array) -> Array:
    """The rows of a table, each times the factor that the backward gives it."""
    xp = xp_of(v)
    factor = xp.ones((f.shape[0], 1), v.dtype)
    if f.by_frequency:
        factor /= xp.maximum(xp.bincount(f.index.reshape(-1), minlength=f.shape[0]), 1).astype(v.dtype)[:, None]
    if f.padding is not None:
        factor[f.padding] = 0
    return (v * factor)[f.index]


RULES[embedding.Embedding] = _transposed(_look_up)


def _written(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Scatter and its kin: x is multiplied by numbers, a source collects g at the place it was written to, times a number."""
    needs, f = f.needs_input_grad, _unrecorded(f)
    f.needs_input_grad = (True, True)
    corner = tuple(slice(n) for n in g.array[f.places].shape)  # the part of the source that is written
    weight = f.backward(xp_of(g.array).ones_like(g.array))[1]

    def to_x(v: Array) -> Array:
        return f.backward(v)[0]

    def to_source(v: Array) -> Array:
        return f.backward(v)[1]

    def from_source(v: Array) -> Array:
        y = xp_of(v).zeros(g.shape, v.dtype)
        scatter_add(y, f.places, (v * weight)[corner])
        return y

    return LinearMap(to_x, to_x)(g) if needs[0] else None, LinearMap(to_source, from_source)(g) if needs[1] else None


def _jointly(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
    """Operations that are linear in all their inputs together: A v for one of them is the forward with 0 for the others."""
    needs, f = f.needs_input_grad, _unrecorded(f)

    def share(k: int) -> Tensor:
        def apply(v: Array) -> Array:
            others = [xp_of(v).zeros(*spec) for spec in f._inputs]
            return copy.copy(f).forward(*others[:k], v, *others[k + 1 :])

        return LinearMap(lambda dy: f.backward(dy)[k], apply)(g)

    return tuple(share(k) if needed else None for k, needed in enumerate(needs))


for operation in (
    gathering.Scatter, gathering.ScatterAdd, gathering.IndexAdd, gathering.IndexCopy, scattering.ScatterSum,
    scattering.ScatterMean, scattering.ScatterMax, scattering.ScatterMin,
):  # fmt: skip
    RULES[operation] = _written
for operation in (scattering.IndexPut, scattering.MaskedScatter):
    RULES[operation] = _jointly
RULES[scattering.Overwrite] = lambda f, g: (g * 0, g.sum())
RULES[rearranging.BlockDiagonal] = lambda f, g: tuple(g[place] for place in f.places)


# ---- operations that choose ----


def _winners_along(f: Node, v: Array) -> Array:
    """The values of v where forward found the largest, or the sorted, ones."""
    values = xp_of(v).take_along_axis(v, f.position, axis=f.axis)
    return values if f.keepdim else values.squeeze(f.axis)


def _winners_in_plane(f: Node, v: Array) -> Array:
    """The values of v where pooling found the largest ones."""
    places = f.indices()
    plane = v.reshape(*v.shape[:2], math.prod(v.shape[2:]))
    taken = xp_of(v).take_along_axis(plane, places.reshape(*places.shape[:2], math.prod(places.shape[2:])), axis=2)
    return taken.reshape(places.shape)


def _winners_in_scan(f: Node, v: Array) -> Array:
    """Corner pooling: at each position the value of v that was the maximum so far."""
    y = xp_of(v).empty_like(v)
    source, target, new = f._in_scan_order(v), f._in_scan_order(y), f._in_scan_order(f.new)
    target[:1] = source[:1]
    for i in range(1, len(source)):
        target[i] = xp_of(v).where(new[i], source[i], target[i - 1])
    return y


def _winners_in_regions(f: Node, v: Array) -> Array:
    """RoI pooling: the values of v that were the largest of their bin, 0 in empty bins."""
    xp = xp_of(v)
    _, channels, height, width = f.shape
    cells = channels_last(v).reshape(-1)
    image = xp.asarray(f.images)[:, None, None, None]
    won = f.winner >= 0
    place = (image * (height * width) + xp.where(won, f.winner, 0)) * channels + xp.arange(channels)
    return channels_first(cells[place] * won)


for operation in (reduction.MaxAlong, reduction.MinAlong):
    RULES[operation] = _transposed(_winners_along)
for operation in (sorting.Sort, sorting.TopK, sorting.KthValue, sorting.MedianAlong, statistics.NanMedianAlong, statistics.Mode):
    RULES[operation] = _transposed(lambda f, v: xp_of(v).take_along_axis(v, f.places, axis=f.axis))
for operation in (scanning.CumMax, scanning.CumMin):
    RULES[operation] = _transposed(lambda f, v: v[gathering.places(f.places, f.axis)])
for operation in (pooling.MaxPool, adaptive_pooling.AdaptiveMaxPool):
    RULES[operation] = _transposed(_winners_in_plane)
RULES[corner_pooling.CornerPool] = _transposed(_winners_in_scan)


def _max_unpool(f: Node, g: Tensor) -> Tensor:
    """dx gathers g at the places; where a place occurs twice, the transpose of that adds, and is not the forward."""
    places = f.indices.reshape(*f.indices.shape[:2], math.prod(f.indices.shape[2:]))
    return gathering.Gather(2, places)(g.reshape(*g.shape[:2], math.prod(f.size))).reshape(f.shape)


RULES[unpooling.MaxUnpool] = _max_unpool


def _shared(f: Node, g: Tensor) -> Tensor:
    """Values that tie share the gradient evenly."""
    winners = _constant(f.winner, g)
    return _spread(f, g / winners.sum(f.axes, keepdim=f.keepdim), winners.shape) * winners


def _largest_size(f: Node, g: Tensor) -> Tensor:
    """As `shared`, with the sign of x."""
    return _shared(f, g) * Tensor._wrap(xp_of(f.x).sign(f.x))


def _median(f: Node, g: Tensor) -> Tensor:
    """As `shared`, of all values."""
    winners = _constant(f.winner, g)
    return winners * (g / winners.sum())


def _extremum(f: Node, g: Tensor) -> tuple[Tensor, Tensor]:
    """The larger operand takes all; a tie is cut in half."""
    da = g * (_constant(f.first, g) + _constant(f.tie, g) / 2)
    return da, g - da


RULES[reduction.Amax] = RULES[reduction.Amin] = _shared
RULES[norms.ExtremeNorm] = _largest_size
RULES[sorting.Median] = RULES[statistics.NanMedian] = _median
RULES[arithmetic.Maximum] = RULES[arithmetic.Minimum] = _extremum
RULES[arithmetic.Where] = lambda f, g: (where(Tensor._wrap(f.condition), g, 0.0), where(Tensor._wrap(f.condition), 0.0, g))
RULES[floating_point.FMax] = RULES[floating_point.FMin] = lambda f, g: (g * _constant(f.first, g), g * _constant(~f.first, g))
RULES[floating_point.CopySign] = lambda f, g: (g * _constant(f.flip, g), g * 0)
RULES[clamping.ClampBetween] = lambda f, g: tuple(g * _constant(mask, g) for mask in (f.inside, f.below, f.above))


# ---- Tensors in their place of the graph ----


def _constant(array: Array, like: Tensor) -> Tensor:
    """A mask, or other numbers without a gradient, in the dtype of `like`."""
    return Tensor._wrap(array.astype(like.dtype))


def _spread(f: Node, values: Tensor, shape: tuple[int, ...]) -> Tensor:
    """One value per reduced group, repeated over the group it came from."""
    if not f.keepdim:
        values = values.reshape([1 if i in f.axes else n for i, n in enumerate(shape)])
    return values.expand(shape)


def _unknown(f: Node, index: int = 0) -> Tensor:
    """Input `index`, which forward did not keep: its place in the graph is right, its values are NaN. For `_recall`."""
    shape, dtype = f._inputs[index]
    array = next(a for a in vars(f).values() if is_array(a))
    xp = xp_of(array)
    return f.as_input(xp.broadcast_to(xp.asarray(math.nan, dtype), shape), index)


def _recall(y: Array, function: Node, *inputs: Tensor) -> Tensor:
    """`function(*inputs)`, recorded but not computed: its result y is known, and its gradient needs nothing but y."""
    function.y = y
    function.forward = lambda *unknown_values: y
    return function(*inputs)


def _recall_difference(y: Array, f: Node, a: int = 0, b: int = 1) -> Tensor:
    """Input a minus input b, whose value y is known."""
    return _recall(y, arithmetic.Sub(), _unknown(f, a), _unknown(f, b))


# ---- arithmetic ----

RULES[arithmetic.Add] = lambda f, g: (g, g)
RULES[arithmetic.Sub] = lambda f, g: (g, -g)


def _mul(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """Each factor receives g times the other one."""
    needs = f.needs_input_grad
    return g * f.as_input(f.b, 1) if needs[0] else None, g * f.as_input(f.a, 0) if needs[1] else None


def _div(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """da = g / b, db = -g a / b^2"""
    needs, b = f.needs_input_grad, f.as_input(f.b, 1)
    return g / b if needs[0] else None, -g * f.as_input(f.a, 0) / (b * b) if needs[1] else None


def _pow(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """da = g b a^(b-1), db = g y ln a; both 0 where the factor in front is"""
    needs, a, b, y = f.needs_input_grad, f.as_input(f.a, 0), f.as_input(f.b, 1), f.as_output(f.y)
    da = db = None
    if needs[0]:
        none = Tensor._wrap(f.b == 0)
        da = g * where(none, 0.0, b * a ** where(none, 1.0, b - 1))
    if needs[1]:
        db = g * y * arithmetic.log(where(Tensor._wrap((f.a == 0) & (f.b >= 0)), 1.0, a))
    return da, db


def _power(f: Node, g: Tensor) -> Tensor:
    """dx = g p x^(p-1), and 0 for p = 0"""
    return g * (f.p * f.as_input(f.x) ** (f.p - 1)) if f.p else g * 0


RULES[arithmetic.Mul], RULES[arithmetic.Div], RULES[arithmetic.Pow], RULES[arithmetic.Power] = _mul, _div, _pow, _power
RULES[arithmetic.Exp] = lambda f, g: g * f.as_output(f.y)
RULES[arithmetic.Log] = lambda f, g: g / f.as_input(f.x)
RULES[arithmetic.Sqrt] = lambda f, g: g / (2 * f.as_output(f.y))
RULES[arithmetic.Sin] = lambda f, g: g * f.as_input(f.x).cos()
RULES[arithmetic.Cos] = lambda f, g: -g * f.as_input(f.x).sin()

# ---- functions of one operand ----

RULES[transcendental.Log1p] = lambda f, g: g / (1 + f.as_input(f.x))
RULES[transcendental.Log2] = lambda f, g: g / (f.as_input(f.x) * math.log(2))
RULES[transcendental.Log10] = lambda f, g: g / (f.as_input(f.x) * math.log(10))
RULES[transcendental.Expm1] = lambda f, g: g * (f.as_output(f.y) + 1)
RULES[transcendental.Exp2] = lambda f, g: g * f.as_output(f.y) * math.log(2)
RULES[transcendental.Reciprocal] = lambda f, g: -g * f.as_output(f.y) ** 2
RULES[transcendental.Rsqrt] = lambda f, g: g * f.as_output(f.y) ** 3 / -2
RULES[transcendental.Tan] = lambda f, g: g * (1 + f.as_output(f.y) ** 2)
RULES[transcendental.Asin] = lambda f, g: g / (1 - f.as_input(f.x) ** 2).sqrt()
RULES[transcendental.Acos] = lambda f, g: -g / (1 - f.as_input(f.x) ** 2).sqrt()
RULES[transcendental.Atan] = lambda f, g: g / (1 + f.as_input(f.x) ** 2)
RULES[transcendental.Sinh] = lambda f, g: g * f.as_input(f.x).cosh()
RULES[transcendental.Cosh] = lambda f, g: g * f.as_input(f.x).sinh()
RULES[transcendental.Asinh] = lambda f, g: g / (f.as_input(f.x) ** 2 + 1).sqrt()
RULES[transcendental.Acosh] = lambda f, g: g / (f.as_input(f.x) ** 2 - 1).sqrt()
RULES[transcendental.Atanh] = lambda f, g: g / (1 - f.as_input(f.x) ** 2)
RULES[transcendental.Erf] = lambda f, g: g * (-(f.as_input(f.x) ** 2)).exp() * (2 / math.sqrt(math.pi))
RULES[transcendental.Erfc] = lambda f, g: g * (-(f.as_input(f.x) ** 2)).exp() * (-2 / math.sqrt(math.pi))


def _sinc(f: Node, g: Tensor) -> Tensor:
    """dx = g (cos(pi x) - y) / x; near 0 that is -g pi^2 x / 3, and exactly so in the limit"""
    x, zero = f.as_input(f.x), Tensor._wrap(f.x == 0)
    slope = ((math.pi * x).cos() - f.as_output(f.y)) / where(zero, 1.0, x)
    return g * where(zero, x * (-(math.pi**2) / 3), slope)


RULES[transcendental.Sinc] = _sinc
RULES[gamma_function.LogGamma] = lambda f, g: g * gamma_function.Digamma()(f.as_input(f.x))

# ---- functions of two and three operands ----


def _atan2(f: Node, g: Tensor) -> tuple[Tensor, Tensor]:
    """da = g b / (a^2 + b^2), db = -g a / (a^2 + b^2), and 0 at the origin"""
    a, b = f.as_input(f.a, 0), f.as_input(f.b, 1)
    origin = Tensor._wrap((f.a == 0) & (f.b == 0))
    share = g / where(origin, 1.0, a * a + b * b)
    return share * b, -share * a


def _aspect_angle(f: Node, g: Tensor) -> tuple[Tensor, Tensor]:
    """dw = g h / (w^2 + h^2), dh = -g w / (w^2 + h^2), both 0 for a box of size 0"""
    w, h = f.as_input(f.w, 0), f.as_input(f.h, 1)
    share = g / where(Tensor._wrap((f.w == 0) & (f.h == 0)), 1.0, w * w + h * h)
    return share * h, -share * w


def _log_add_exp(f: Node, g: Tensor) -> tuple[Tensor, Tensor]:
    """da = g / (1 + e^(b-a)), db = g / (1 + e^(a-b))"""
    difference = f.as_input(f.a, 0) - f.as_input(f.b, 1)
    return g * sigmoid(difference), g * sigmoid(-difference)


def _log_add_exp2(f: Node, g: Tensor) -> tuple[Tensor, Tensor]:
    """The same to base 2"""
    difference = (f.as_input(f.a, 0) - f.as_input(f.b, 1)) * math.log(2)
    return g * sigmoid(difference), g * sigmoid(-difference)


def _x_log_y(f: Node, g: Tensor) -> tuple[Tensor, Tensor]:
    """da = g ln b (0 where a = 0 >= b), db = g a / b"""
    b = f.as_input(f.b, 1)
    return g * arithmetic.log(where(Tensor._wrap((f.a == 0) & (f.b <= 0)), 1.0, b)), g * f.as_input(f.a, 0) / b


def _lerp(f: Node, g: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """da = g (1 - w), db = g w, dw = g (b - a)"""
    w = f.as_input(f.w, 2)
    dw = g * _recall_difference(f.difference, f, 1, 0) if f.needs_input_grad[2] else None
    return g * (1 - w), g * w, dw


def _remainder(f: Node, g: Tensor) -> tuple[Tensor, Tensor | None]:
    """da = g, db = -g times the rounded quotient, which is constant between its jumps"""
    return g, -g * Tensor._wrap(f.quotient) if f.needs_input_grad[1] else None


RULES[floating_point.LogAddExp2] = _log_add_exp2
RULES[elementwise.Atan2], RULES[aspect.AspectAngle], RULES[elementwise.LogAddExp] = _atan2, _aspect_angle, _log_add_exp
RULES[elementwise.Hypot] = lambda f, g: tuple(g * (f.as_input(x, i) / f.as_output(f.y)) for i, x in enumerate((f.a, f.b)))
RULES[elementwise.XLogY], RULES[elementwise.Lerp] = _x_log_y, _lerp
RULES[division.Remainder] = RULES[division.Fmod] = _remainder

# ---- products of matrices, and sums of products ----


def _mat_mul(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """dA = G B^T, dB = A^T G"""
    needs = f.needs_input_grad
    da = matmul(g, f.as_input(f.b, 1).transpose(-1, -2)) if needs[0] else None
    return da, matmul(f.as_input(f.a, 0).transpose(-1, -2), g) if needs[1] else None


def _linear_layer(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
    """dx = g W, dW = g^T x, db = the sum of g"""
    needs = f.needs_input_grad
    rows = g.reshape(math.prod(g.shape[:-1]), g.shape[-1])
    dx = matmul(rows, f.as_input(f.w, 1)).reshape(f.shape) if needs[0] else None
    dw = None
    if needs[1]:
        dw = matmul(rows.transpose(0, 1), f.as_input(f.x, 0).reshape(rows.shape[0], f.shape[-1]))
    return (dx, dw, rows.sum(0) if needs[2] else None) if f.has_bias else (dx, dw)


def _sum_of_products(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
    """The same kind of sum, with g in the place of the operand"""
    operands = [f.as_input(x, k) for k, x in enumerate(f.operands)]

    def gradient(k: int) -> Tensor:
        letters = (f.out, *f.letters[:k], *f.letters[k + 1 :])
        return contraction.Einsum(letters, f.letters[k])(g, *operands[:k], *operands[k + 1 :])

    return tuple(gradient(k) if f.needs_input_grad[k] else None for k in range(len(operands)))


def _bilinear(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
    """Linear in each of a, b and the weight, so each gradient is such a form of g and the other two"""
    needs = f.needs_input_grad
    a, b, w = f.as_input(f.a, 0), f.as_input(f.b, 1), f.as_input(f.weight, 2)
    da = einsum("nk,kij,nj->ni", g, w, b) if needs[0] else None
    db = einsum("nk,kij,ni->nj", g, w, a) if needs[1] else None
    dw = einsum("nk,ni,nj->kij", g, a, b) if needs[2] else None
    return (da, db, dw, g.sum(0)) if f.has_bias else (da, db, dw)


def _cross(f: Node, g: Tensor) -> tuple[Tensor, Tensor]:
    """da = b x g, db = g x a"""
    return contraction.Cross(f.axis)(f.as_input(f.b, 1), g), contraction.Cross(f.axis)(g, f.as_input(f.a, 0))


def _attend(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
    """dV = P^T G, dP = G V^T, dS = P (dP - sum over keys of P dP), dQ = scale dS K, dK = scale dS^T Q, dmask = dS"""
    q, k, v = f.as_input(f.q, 0), f.as_input(f.k, 1), f.as_input(f.v, 2)
    scores = matmul(q, k.transpose(-1, -2)) * f.scale  # their values do not matter, only where they came from
    p = _recall(f.p, activation.Softmax(f.p.ndim - 1), scores + _unknown(f, 3) if f.masked else scores)
    dp = f._dropped(matmul(g, v.transpose(-1, -2)))
    ds = p * (dp - (p * dp).sum(-1, keepdim=True))
    dq, dk = matmul(ds, k) * f.scale, matmul(ds.transpose(-1, -2), q) * f.scale
    dv = matmul(f._dropped(p).transpose(-1, -2), g)
    return (dq, dk, dv, ds) if f.masked else (dq, dk, dv)


RULES[linear.MatMul], RULES[linear.Linear] = _mat_mul, _linear_layer
RULES[contraction.Einsum], RULES[bilinear_form.Bilinear] = _sum_of_products, _bilinear
RULES[contraction.Cross], RULES[attention.Attention] = _cross, _attend


# ---- convolution: three faces, each linear in two arguments, each the derivative of the other two ----


class _Face(Function):
    """One face of the convolution that takes inputs of this size, with a kernel of this size and this window."""

    def __init__(self, size: tuple[int, ...], kernel: tuple[int, ...], window: Any):
        self.size, self.kernel, self.window = size, kernel, window

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a if self.needs_input_grad[1] else None, b if self.needs_input_grad[0] else None
        return self.face(a, b)

    def face(self, a: Array, b: Array) -> Array:
        raise NotImplementedError

    def other(self, kind: type[_Face]) -> _Face:
        """Another face of the same convolution."""
        return kind(self.size, self.kernel, self.window)


class Correlation(_Face):
    """y = conv(x, w);  dx = the second face of (dy, w), dw the third of (x, dy)"""

    def face(self, x: Array, w: Array) -> Array:
        return correlate(x, w, self.window)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        needs = self.needs_input_grad
        dx = self.other(TransposedCorrelation).face(dy, self.b) if needs[0] else None
        return dx, self.other(KernelCorrelation).face(self.a, dy) if needs[1] else None


class TransposedCorrelation(_Face):
    """x = conv^T(y, w);  dy = the first face of (dx, w), dw the third of (dx, y)"""

    def face(self, y: Array, w: Array) -> Array:
        return correlate_transposed(y, w, self.size, self.window)

    def backward(self, dx: Array) -> tuple[Array | None, Array | None]:
        needs = self.needs_input_grad
        dy = self.other(Correlation).face(dx, self.b) if needs[0] else None
        return dy, self.other(KernelCorrelation).face(dx, self.a) if needs[1] else None


class KernelCorrelation(_Face):
    """w = the kernel that weighs each window of x by its y;  dx = the second face of (y, dw), dy the first of (x, dw)"""

    def face(self, x: Array, y: Array) -> Array:
        return correlate_kernel(x, y, self.kernel, self.window)

    def backward(self, dw: Array) -> tuple[Array | None, Array | None]:
        needs = self.needs_input_grad
        dx = self.other(TransposedCorrelation).face(self.b, dw) if needs[0] else None
        return dx, self.other(Correlation).face(self.a, dw) if needs[1] else None


def _correlation(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """The backward of `Correlation`, recorded; the two below likewise."""
    needs = f.needs_input_grad
    dx = f.other(TransposedCorrelation)(g, f.as_input(f.b, 1)) if needs[0] else None
    return dx, f.other(KernelCorrelation)(f.as_input(f.a, 0), g) if needs[1] else None


def _transposed_correlation(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    needs = f.needs_input_grad
    dy = f.other(Correlation)(g, f.as_input(f.b, 1)) if needs[0] else None
    return dy, f.other(KernelCorrelation)(g, f.as_input(f.a, 0)) if needs[1] else None


def _kernel_correlation(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    needs = f.needs_input_grad
    dx = f.other(TransposedCorrelation)(f.as_input(f.b, 1), g) if needs[0] else None
    return dx, f.other(Correlation)(f.as_input(f.a, 0), g) if needs[1] else None


def _convolution(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
    """dx is the second face of (g, w), dw the third of (x, g), db the sum of g over all but the channels"""
    needs, w = f.needs_input_grad, f.as_input(f.w, 1)
    face = _Face(f.size, f.w.shape[2:], f.window)
    dx = face.other(TransposedCorrelation)(g, w) if needs[0] else None
    dw = face.other(KernelCorrelation)(f.as_input(f.x, 0), g) if needs[1] else None
    return (dx, dw, _sum_of_channels(g) if needs[2] else None) if f.has_bias else (dx, dw)


def _transposed_convolution(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
    """dx is the first face of (g, w), dw the third of (g, x)"""
    needs, w = f.needs_input_grad, f.as_input(f.w, 1)
    face = _Face(f.size, f.w.shape[2:], f.window)
    dx = face.other(Correlation)(g, w) if needs[0] else None
    dw = face.other(KernelCorrelation)(g, f.as_input(f.x, 0)) if needs[1] else None
    return (dx, dw, _sum_of_channels(g) if needs[2] else None) if f.has_bias else (dx, dw)


def _sum_of_channels(g: Tensor) -> Tensor:
    """(N, C, *size) -> (C,)"""
    return g.sum((0, *range(2, g.ndim)))


RULES[Correlation], RULES[TransposedCorrelation], RULES[KernelCorrelation] = (
    _correlation, _transposed_correlation, _kernel_correlation,
)  # fmt: skip


def _after_relu(rule: Rule) -> Rule:
    """The rule of an operation with ReLU behind it in one: of g, it sees what ReLU lets through."""
    return lambda f, g: rule(f, g * _constant(f.y > 0, g))


def _scaled_convolution(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
    """Each channel of the convolution's output was multiplied by a constant."""
    scale = Tensor._wrap(f.scale.astype(g.dtype).reshape(-1, *(1,) * (g.ndim - 2)))
    return _convolution(f, (g * _constant(f.y > 0, g) if f.relu else g) * scale)


RULES[Convolution], RULES[TransposedConvolution] = _convolution, _transposed_convolution
RULES[fused.ConvolutionReLU], RULES[fused.ConvolutionNorm] = _after_relu(_convolution), _scaled_convolution

# ---- activations ----


def _softmax(f: Node, g: Tensor) -> Tensor:
    """dx = y (g - sum of g y)"""
    y = f.as_output(f.y)
    _weighted = g * y
    return _weighted - y * _weighted.sum(f.axis, keepdim=True)


def _elu(f: Node, g: Tensor) -> Tensor:
    """dx = g scale where x > 0, else g c e^(s x), which is its own derivative but for the factor s"""
    exponential = _recall(f.slope, arithmetic.Exp(), _unknown(f) * f.input_scale)
    return g * where(Tensor._wrap(f.positive), Tensor._wrap(f.slope), exponential)


def _gelu(f: Node, g: Tensor) -> Tensor:
    """dx = g (P(x) + x p(x)), with the normal distribution P and its density p"""
    x = f.as_input(f.x)
    probability = 0.5 * (1 + transcendental.erf(x * math.sqrt(0.5)))
    return g * (probability + x * (x * x * -0.5).exp() * (1 / math.sqrt(2 * math.pi)))


def _tanh_gelu(f: Node, g: Tensor) -> Tensor:
    """dx = g ((1 + t) / 2 + x (1 - t^2) u' / 2), t = tanh u"""
    x = f.as_input(f.x)
    t = (math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)).tanh()
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return g * 0.5 * (1 + t + x * (1 - t * t) * du)


def _silu(f: Node, g: Tensor) -> Tensor:
    """dx = g s (1 + x (1 - s)), with s the sigmoid"""
    x = f.as_input(f.x)
    s = sigmoid(x)
    return g * s * (1 + x * (1 - s))


def _mish(f: Node, g: Tensor) -> Tensor:
    """dx = g (t + x (1 - t^2) s), with t = tanh(softplus x) and s the sigmoid"""
    x = f.as_input(f.x)
    t = smooth_activation.softplus(x).tanh()
    return g * (t + x * (1 - t * t) * sigmoid(x))


def _softplus(f: Node, g: Tensor) -> Tensor:
    """dx = g / (1 + e^(-b x)), and g beyond the threshold"""
    x = f.as_input(f.scaled / f.beta)
    return where(Tensor._wrap(f.linear), g, g * sigmoid(x * f.beta))


def _logit(f: Node, g: Tensor) -> Tensor:
    """dx = g / (x (1 - x)) inside"""
    x = f.as_input(f.x)
    return where(Tensor._wrap(f.inside), g / (x * (1 - x)), math.nan if f.eps is None else 0.0)


def _tanhshrink(f: Node, g: Tensor) -> Tensor:
    """dx = g tanh^2 x"""
    t = _recall(f.t, activation.Tanh(), _unknown(f))
    return g * t * t


def _hardswish(f: Node, g: Tensor) -> Tensor:
    """dx = 0 below, g above, g (2 x + 3) / 6 between"""
    between = where(Tensor._wrap(f.below), 0.0, g * ((2 * f.as_input(f.x) + 3) / 6))
    return where(Tensor._wrap(f.above), g, between)


def _prelu(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """dx = g where x > 0, else w g; dw = g x where x <= 0"""
    needs, positive = f.needs_input_grad, Tensor._wrap(f.positive)
    dx = where(positive, g, f.as_input(f.w, 1) * g) if needs[0] else None
    return dx, where(positive, 0.0, g * f.as_input(f.x, 0)) if needs[1] else None


RULES[activation.Sigmoid] = lambda f, g: g * f.as_output(f.y) * (1 - f.as_output(f.y))
RULES[activation.Tanh] = lambda f, g: g * (1 - f.as_output(f.y) ** 2)
RULES[activation.Softmax] = _softmax
RULES[activation.LogSoftmax] = lambda f, g: g - f.as_output(f.y).exp() * g.sum(f.axis, keepdim=True)
RULES[smooth_activation.ELU], RULES[smooth_activation.GELU], RULES[smooth_activation.TanhGELU] = _elu, _gelu, _tanh_gelu
RULES[smooth_activation.SiLU], RULES[smooth_activation.Mish], RULES[smooth_activation.Softplus] = _silu, _mish, _softplus
RULES[smooth_activation.LogSigmoid] = lambda f, g: g * sigmoid(-f.as_input(f.x))
RULES[smooth_activation.Softsign] = lambda f, g: g / (1 + abs(f.as_input(f.x))) ** 2
RULES[smooth_activation.Logit], RULES[smooth_activation.Tanhshrink] = _logit, _tanhshrink
RULES[piecewise_activation.Hardswish], RULES[piecewise_activation.PReLU] = _hardswish, _prelu

# ---- reductions and scans ----


def _variance(f: Node, g: Tensor) -> Tensor:
    """dx = g 2 (x - mean) / (n - correction); what was subtracted from x already changes nothing"""
    x = f.as_input(f.centred)
    return _spread(f, g * (2 * f.share), x.shape) * (x - x.mean(f.axes, keepdim=True))


def _standard_deviation(f: Node, g: Tensor) -> Tensor:
    """dx = g (x - mean) / ((n - correction) y), and 0 where y = 0"""
    return _variance(f, _quotient(g, f.as_output(f.y), f.y == 0) / 2)


def _quotient(a: Tensor, b: Tensor, zero: Array) -> Tensor:
    """a / b, and 0 where `zero` says that b is 0."""
    mask = Tensor._wrap(zero)
    return where(mask, 0.0, a / where(mask, 1.0, b))


def _log_sum_exp(f: Node, g: Tensor) -> Tensor:
    """dx = g e^(x-y)"""
    x, y = f.as_input(f.x), f.as_output(f.y if f.keepdim else f.y.squeeze(f.axes))
    return _spread(f, g, x.shape) * (x - _spread(f, y, x.shape)).exp()


def _length(f: Node, g: Tensor) -> Tensor:
    """dx = g x / y, and 0 where y = 0"""
    return _spread(f, _quotient(g, f.as_output(f.y), f.y == 0), f.x.shape) * f.as_input(f.x)


def _p_norm(f: Node, g: Tensor) -> Tensor:
    """dx = g sign(x) (|x| / y)^(p-1), and 0 where x = 0"""
    x, y = f.as_input(f.x), _spread(f, f.as_output(f.y), f.x.shape)
    none = Tensor._wrap((f.x == 0) | (y.array == 0))
    ratio = where(none, 1.0, x.abs()) / where(none, 1.0, y)
    return where(none, 0.0, _spread(f, g, x.shape) * x.sign() * ratio ** (f.p - 1))


def _product(f: Node, g: Tensor) -> Tensor:
    """dx_k = g times the product of the others: a square of them, in which row k has a 1 in the place of x_k"""
    x = f.as_input(f.x).movedim(f.axis, -1)
    return (g.unsqueeze(-1) * _without_own(x).prod(-1)).movedim(-1, f.axis)


def _running_product(f: Node, g: Tensor) -> Tensor:
    """dx_k = the sum of g_i times the product of the first i without x_k, over i >= k; zeros need no case of their own"""
    x = f.as_input(f.x).movedim(f.axis, -1)
    later = rearranging.triu(g.movedim(f.axis, -1).unsqueeze(-2) * _without_own(x).cumprod(-1))  # [..., k, i]
    return later.sum(-1).movedim(-1, f.axis)


def _without_own(x: Tensor) -> Tensor:
    """(..., n) -> (..., n, n): row k holds x with a 1 in place k"""
    own = Tensor._wrap(xp_of(x.array).eye(x.shape[-1], dtype=bool))
    return where(own, 1.0, x.unsqueeze(-2))


def _running_log_sum_exp(f: Node, g: Tensor) -> Tensor:
    """dx_k = the sum of g_i e^(x_k - y_i) over i >= k"""
    x, y = f.as_input(f.x).movedim(f.axis, -1), f.as_output(f.y).movedim(f.axis, -1)
    later = Tensor._wrap(xp_of(x.array).triu(xp_of(x.array).ones((x.shape[-1],) * 2, bool)))  # [k, i]
    share = where(later, x.unsqueeze(-1) - y.unsqueeze(-2), -math.inf).exp()
    return (g.movedim(f.axis, -1).unsqueeze(-2) * share).sum(-1).movedim(-1, f.axis)


RULES[reduction.Var], RULES[reduction.Std], RULES[reduction.LogSumExp] = _variance, _standard_deviation, _log_sum_exp
RULES[norms.Norm], RULES[norms.PNorm] = _length, _p_norm
RULES[scanning.Prod], RULES[scanning.CumProd], RULES[scanning.LogCumSumExp] = _product, _running_product, _running_log_sum_exp

# ---- normalisation ----


def _normalization_by(average: Callable[[Node, Tensor], Tensor]) -> Rule:
    """dx = (h - average(h) - xhat average(h xhat)) / sqrt(var + eps) with h = g weight, all computed again from x."""

    def rule(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
        x = f.as_input(f.x)
        centred = x - average(f, x)
        inverse_std = (average(f, centred * centred) + f.eps) ** -0.5
        xhat = centred * inverse_std
        h = _weighted(f, g)
        dx = (h - average(f, h) - xhat * average(f, h * xhat)) * inverse_std if f.needs_input_grad[0] else None
        return _with_parameters(f, dx, g, xhat)

    return rule


def _rms_normalization(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
    """dx = (h - xhat average(h xhat)) / sqrt(mean of x^2 + eps) with h = g weight"""
    x = f.as_input(f.x)
    inverse_std = (_over_last_axes(f, x * x) + f.eps) ** -0.5
    xhat, h = x * inverse_std, _weighted(f, g)
    return _with_parameters(f, (h - xhat * _over_last_axes(f, h * xhat)) * inverse_std, g, xhat)


def _fixed_normalization(f: Node, g: Tensor) -> tuple[Tensor | None, ...]:
    """dx = g weight / sqrt(var + eps), where mean and variance are constants"""
    mean, inverse_std = (Tensor._wrap(v.astype(f.x.dtype)) for v in (f.mean, f.inverse_std))
    xhat = (f.as_input(f.x) - mean) * inverse_std
    return _with_parameters(f, _weighted(f, g) * inverse_std, g, xhat)


def _over_batch(f: Node, x: Tensor) -> Tensor:
    """The mean of each channel."""
    return x.mean((0, *range(2, x.ndim)), keepdim=True)


def _over_groups(f: Node, x: Tensor) -> Tensor:
    """The mean of each group of channels of each sample."""
    n, c = x.shape[:2]
    mean = x.reshape(n, f.groups, x.numel() // (n * f.groups)).mean(-1, keepdim=True)
    return mean.expand(n, f.groups, c // f.groups).reshape(n, c, *(1,) * (x.ndim - 2))


def _over_last_axes(f: Node, x: Tensor) -> Tensor:
    """The mean over the last axes of each sample."""
    return x.mean(tuple(range(x.ndim - f.ndim, x.ndim)), keepdim=True)


def _weighted(f: Node, g: Tensor) -> Tensor:
    """g weight, with the weight in its place of the graph."""
    if f.weight is None:
        return g
    return g * f.as_input(f.weight.reshape(f._inputs[1][0]), 1).reshape(f.weight.shape)


def _with_parameters(f: Node, dx: Tensor | None, g: Tensor, xhat: Tensor) -> tuple[Tensor | None, ...]:
    """dx, and behind it the gradients of weight and bias as far as there are such."""
    per_sample = isinstance(f, normalization.LayerNorm)
    rest = tuple(range(g.ndim - f.ndim)) if per_sample else (0, *range(2, g.ndim))

    def total(values: Tensor) -> Tensor:
        return values.sum(rest) if rest else values

    dweight = total(g * xhat) if f.affine > 0 and f.needs_input_grad[1] else None
    dbias = total(g) if f.affine > 1 and f.needs_input_grad[2] else None
    return (dx, dweight, dbias)[: 1 + f.affine]


def _local_response_normalization(f: Node, g: Tensor) -> Tensor:
    """dx_c = g_c s_c^-beta - (2 alpha beta / n) x_c (the sum of g_j y_j / s_j around c), with s computed again from x"""
    x = f.as_input(f.x)
    s = f.k + f.alpha / f.size * _sums_around(f, x * x, f.before, f.after)
    shrunk = s**-f.beta
    around = _sums_around(f, g * x * shrunk / s, f.after, f.before)
    return g * shrunk - (2 * f.alpha * f.beta / f.size) * x * around


def _sums_around(f: Node, x: Tensor, before: int, after: int) -> Tensor:
    """The sums over neighbouring channels, whose transpose looks the other way."""
    sums = local_response.window_sums
    return LinearMap(lambda v: sums(v, before, after), lambda v: sums(v, after, before))(x)


RULES[normalization.BatchNorm] = _normalization_by(_over_batch)
RULES[normalization.GroupNorm] = _normalization_by(_over_groups)
RULES[normalization.LayerNorm] = _normalization_by(_over_last_axes)
RULES[normalization.RMSNorm], RULES[normalization.FixedNorm] = _rms_normalization, _fixed_normalization
RULES[normalization.BatchNormReLU] = _after_relu(RULES[normalization.BatchNorm])
RULES[normalization.GroupNormReLU] = _after_relu(RULES[normalization.GroupNorm])
RULES[normalization.FixedNormReLU] = _after_relu(RULES[normalization.FixedNorm])
RULES[local_response.LocalResponseNorm] = _local_response_normalization

# ---- losses ----


def _cross_entropy(f: Node, g: Tensor) -> Tensor:
    """dx_c = (p_c sum_k t_k - t_c) g per pixel, 0 where the pixel is ignored"""
    xp = xp_of(f.p)
    valid = xp.expand_dims(f.valid, 1)
    p = _recall(xp.where(valid, f.p, xp.zeros_like(f.p)), activation.Softmax(1), _unknown(f))
    classes = xp.arange(f.p.shape[1]).reshape(1, -1, *(1,) * (f.p.ndim - 2))
    t = (xp.expand_dims(f.label, 1) == classes) * xp.expand_dims(f.own, 1)  # (N, C, *size), 0 where ignored
    if f.smoothing:
        t = t + xp.expand_dims(f.everyone, 1) * f.along_classes(f.p)
    g = g.unsqueeze(1) if f.reduction == "none" else g / Tensor._wrap(f.divisor)
    return (p * Tensor._wrap(t.sum(axis=1, keepdims=True)) - Tensor._wrap(t)) * g


def _soft_cross_entropy(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """dx_c = (p_c sum_k t_k - t_c) g, dt = -g ln p"""
    needs, t, g = f.needs_input_grad, f.as_input(f.t, 1), g.unsqueeze(1)
    log_p = _recall(f.log_p, activation.LogSoftmax(1), _unknown(f, 0))
    return g * (log_p.exp() * t.sum(1, keepdim=True) - t) if needs[0] else None, -g * log_p if needs[1] else None


def _focal(f: Node, g: Tensor) -> Tensor:
    """dl = g (1 - p)^gamma (1 - gamma p l / (1 - p)), with l = ln p"""
    log_p = f.as_input(f.log_p)
    p = log_p.exp()
    certain = Tensor._wrap(f.rest == 0)
    rest = where(certain, Tensor._wrap(f.rest), -transcendental.expm1(log_p))
    ratio = where(certain, -1.0, log_p / where(certain, 1.0, rest))
    return g * rest**f.gamma * (1 - f.gamma * where(Tensor._wrap(f.rest == 1), 0.0, p * ratio))


def _smooth_l1(f: Node, g: Tensor) -> Tensor:
    """dd = g d / beta where |d| < beta, else g sign(d)"""
    d = f.as_input(f.slope * f.beta)
    return g * where(Tensor._wrap(f.near), d / f.beta, Tensor._wrap(f.slope))


def _binary_cross_entropy(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """dp = g (p - t) / (p (1 - p)), dt = g (ln(1 - p) - ln p), within their bounds"""
    needs, p, t = f.needs_input_grad, f.as_input(f.p, 0), f.as_input(f.t, 1)
    dp = g * (p - t) / arithmetic.maximum(p * (1 - p), 1e-12) if needs[0] else None
    if not needs[1]:
        return dp, None
    log_p = arithmetic.maximum(arithmetic.log(arithmetic.maximum(p, 1e-45)), -100.0)
    log_q = arithmetic.maximum(arithmetic.log(arithmetic.maximum(1 - p, 1e-45)), -100.0)
    return dp, g * (log_q - log_p)


def _binary_cross_entropy_with_logits(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """dx = g (1 - t - c s(-x)), dt = g ((w - 1) ln(1 + e^-x) - x), with c = 1 + (w - 1) t"""
    needs, x, t = f.needs_input_grad, f.as_input(f.x, 0), f.as_input(f.t, 1)
    more = Tensor._wrap(f.w - 1) if is_array(f.w) else f.w - 1
    dx = g * (1 - t - (1 + more * t) * sigmoid(-x)) if needs[0] else None
    return dx, g * (-more * smooth_activation.logsigmoid(x) - x) if needs[1] else None


def _kl_divergence(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """dx = -g t, dt = g (ln t + 1 - x)"""
    needs, x, t = f.needs_input_grad, f.as_input(f.x, 0), f.as_input(f.t, 1)
    dx = -g * t if needs[0] else None
    return dx, g * (arithmetic.log(where(Tensor._wrap(f.t == 0), 1.0, t)) + 1 - x) if needs[1] else None


def _kl_divergence_of_logs(f: Node, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """dx = -g e^t, dt = g e^t (t - x + 1)"""
    needs = f.needs_input_grad
    p = _recall(f.p, arithmetic.Exp(), _unknown(f, 1))
    difference = _recall_difference(f.difference, f, 1, 0)
    return -g * p if needs[0] else None, g * p * (difference + 1) if needs[1] else None


def _gaussian_likelihood(f: Node, g: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """dx = g d / v with d = x - t, dt = -dx, dv = g (1 - d^2 / v) / (2 v)"""
    d, v = _recall_difference(f.d, f), f.as_input(f.v, 2)
    return g * d / v, -g * d / v, g * (1 - d * d / v) / (2 * v) if f.needs_input_grad[2] else None


def _poisson_likelihood(f: Node, g: Tensor) -> tuple[Tensor, Tensor]:
    """dx = g (1 - t / (x + eps)), dt = -g ln(x + eps); x + eps stands for x"""
    rate = f.as_input(f.rate, 0)
    return g * (1 - f.as_input(f.t, 1) / rate), -g * rate.log()


def _poisson_likelihood_of_log(f: Node, g: Tensor) -> tuple[Tensor, Tensor]:
    """dx = g (e^x - t), dt = -g x"""
    x = f.as_input(f.x, 0)
    return g * (x.exp() - f.as_input(f.t, 1)), -g * x


def _stirling(f: Node, g: Tensor) -> Tensor:
    """dt = g (ln t + 1 / (2 t)) where t > 1, else 0"""
    t = f.as_input(f.t)
    return g * _constant(f.large, g) * (t.log() + 1 / (2 * t))


def _margin_ranking(f: Node, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where the margin is violated: da = -g t, db = g t, dt = -g (a - b)"""
    share, t = g * _constant(f.violated, g), f.as_input(f.t, 2)
    return -share * t, share * t, -share * _recall_difference(f.difference, f)


def _multi_label_margin(f: Node, g: Tensor) -> Tensor:
    """dx is g times a number for each class, which the violated pairs decide"""
    return (g / f.times.shape[1]).unsqueeze(1) * Tensor._wrap(f.violated.sum(axis=1) - f.violated.sum(axis=2))


def _multi_margin(f: Node, g: Tensor) -> Tensor:
    """dx_j = g share p h_j^(p-1) where h_j > 0, dx_y = -(the sum of these)"""
    violated = _constant(f.h > 0, g)
    x = _unknown(f)
    h = _recall(f.h, arithmetic.Sub(), x, gathering.Gather(1, f.own)(x))
    others = (g * Tensor._wrap(f.share)).unsqueeze(1) * (violated if f.p == 1 else 2 * h * violated)
    label = _constant(xp_of(f.h).arange(f.h.shape[1]) == f.own, g)
    return others - label * others.sum(1, keepdim=True)


def _soft_margin(f: Node, g: Tensor) -> Tensor:
    """dx = -g t / (1 + e^(t x))"""
    t = Tensor._wrap(f.t)
    return -g * t * sigmoid(-_recall(f.tx, conversion.Clone(), _unknown(f) * t))


RULES[likelihood_loss.GaussianLikelihood], RULES[likelihood_loss.PoissonLikelihood] = _gaussian_likelihood, _poisson_likelihood
RULES[likelihood_loss.PoissonLikelihoodOfLog], RULES[likelihood_loss.Stirling] = _poisson_likelihood_of_log, _stirling
RULES[margin_loss.MarginRanking], RULES[margin_loss.MultiLabelMargin] = _margin_ranking, _multi_label_margin
RULES[margin_loss.MultiMargin], RULES[margin_loss.SoftMargin] = _multi_margin, _soft_margin
RULES[loss.CrossEntropy], RULES[loss.SoftCrossEntropy] = _cross_entropy, _soft_cross_entropy
RULES[segmentation_loss.Focal], RULES[regression_loss.SmoothL1] = _focal, _smooth_l1
RULES[probability_loss.BinaryCrossEntropy] = _binary_cross_entropy
RULES[probability_loss.BinaryCrossEntropyWithLogits] = _binary_cross_entropy_with_logits
RULES[probability_loss.KLDivergence] = _kl_divergence
RULES[probability_loss.KLDivergenceOfLogs] = _kl_divergence_of_logs

# ---- sampling: linear in the features, for constant grids and boxes ----


def _sampled(f: Node, v: Array) -> Array:
    """grid_sample with the taps and weights of the node."""
    f, xp = copy.copy(f), xp_of(v)
    f.rows = xp.moveaxis(v, 1, -1).reshape(-1, v.shape[1])
    y: Any = 0
    for tap, row in f._every_tap():
        y = y + f.rows[row] * f._weight(tap)[..., None]
    return xp.moveaxis(y, -1, 1)


def _aligned(f: Node, v: Array) -> Array:
    """RoI align and precise RoI pooling with the matrices, and the winners, of the node."""
    f = copy.copy(f)
    y = f.project(v)
    if getattr(f, "reduction", "mean") == "mean":
        return channels_first(y)
    boxes, p, down, q, across, channels = f.sampled
    bins = y.reshape(f.sampled).transpose(0, 1, 3, 2, 4, 5).reshape(boxes, p, q, down * across, channels)
    return channels_first(xp_of(v).take_along_axis(bins, f.winner, axis=3)[:, :, :, 0] * f.any)


def _of_features(apply: Callable[[Node, Array], Array]) -> Rule:
    """The rule of an operation with two inputs that is linear in the first one; the second receives nothing."""

    def rule(f: Node, g: Tensor) -> tuple[Tensor, None]:
        f = _unrecorded(f)
        f.needs_input_grad = (True, False)
        return LinearMap(lambda dy: f.backward(dy)[0], lambda v: apply(f, v))(g), None

    return rule


RULES[grid_sampling.GridSample] = _of_features(_sampled)
RULES[roi.RoIAlign] = RULES[roi.PrRoIPool] = _of_features(_aligned)
RULES[roi.RoIPool] = lambda f, g: (_of_features(_winners_in_regions)(f, g)[0], _nothing(f, g)[1])

# These have no rule when their second input, the grid or the boxes, needs a gradient.
OF_FEATURES_ALONE = {grid_sampling.GridSample, roi.RoIAlign, roi.PrRoIPool}

# ---- what has no rule, and why ----

RECURRENT = "it runs through all steps of a sequence at once; write the cell with linear, sigmoid and tanh, step by step"

NO_RULE: dict[type[Function], str] = {
    checkpointing.Checkpoint: "its inner graph lives for the time of one backward; call the function without checkpoint",
    gamma_function.Digamma: "its second derivative, the polygamma function of order 2, is not here",
    norms.NuclearNorm: "the derivative of singular vectors divides by differences of singular values",
    recurrent.RNN: RECURRENT,
    recurrent.LSTM: RECURRENT,
    recurrent.ProjectedLSTM: RECURRENT,
    recurrent.GRU: RECURRENT,
    scattering.ScatterProduct: "its gradient divides by the factors and counts the zeros among them",
}


def rule_of(node: Function) -> Rule:
    """The rule of a recorded operation. Raises NotImplementedError, with the way out, when there is none."""
    kind, edges = type(node), node.edges or ()
    reason = NO_RULE.get(kind, "nobody has written one")
    if kind in OF_FEATURES_ALONE and len(edges) > 1 and edges[1] is not None:
        reason = "only one for a grid, or boxes, without a gradient: detach() them"
    elif kind in RULES:
        return RULES[kind]
    raise NotImplementedError(
        f"create_graph=True: {node.name} has no rule for the gradient of its gradient ({reason}); compute the same with "
        "operations that have one (the keys of minivision.functions.second_order.RULES), detach() what needs no second "
        "derivative, or take differences of the first one (minivision.check.numerical_gradient)"
    )
