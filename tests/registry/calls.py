"""At least one good call for every operation: those that are compared with PyTorch, and here the rest.

An operation that is new needs a `row` here (or a stored call in tests/oracle/topics) with an image (N, C, H, W) where it takes
one, and a float input that is random or at least away from kinks; all tests of the registry are made from these calls.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minivision
from tests.oracle.cases import Case, Constant, Fixed, Given, Labels, Normal
from tests.oracle.topics import topics
from tests.registry.checks import moved
from tests.registry.operations import OPERATIONS, by_any_name

IMAGE = (2, 3, 2, 4)  # small, H != W
POSITIVE = Normal(IMAGE, 0.2, 2.0)
PROBABILITY = Normal(IMAGE, 0.1, 0.9)
CONSTANT = Constant(IMAGE)
WHOLE = Labels(IMAGE, 7)
MASK = np.arange(48).reshape(IMAGE) % 3 == 1
PLACES = np.arange(48).reshape(IMAGE)[:, ::-1, :, ::-1] % 2  # indices along an axis of length 2 or more
BOXES = np.array([[1.0, 2.0, 5.5, 7.0], [0.5, 0.3, 3.2, 4.1], [6.0, 1.0, 9.0, 3.5]])
OTHERS = np.array([[2.2, 1.1, 6.3, 5.2], [0.7, 0.6, 3.9, 3.3], [7.0, 7.0, 9.0, 9.5]])

STORED_AT_MOST = 10  # calls of one operation, spread evenly over the stored ones


def row(operation: str, *inputs: Any, form: Callable[..., Any] | None = None, **arguments: Any) -> tuple[str, Any]:
    """One call: `operation(*inputs, **arguments)`, or `form(operation, *inputs, **arguments)` where it is written differently."""
    if form is None:
        return operation, Case(operation, operation, inputs, arguments)
    return operation, Case(operation, lambda library, *args, **kw: form(library.find(operation), *args, **kw), inputs, arguments)


def each(operations: str, *inputs: Any, **arguments: Any) -> Iterator[tuple[str, Any]]:
    """The same call of several operations."""
    return (row(operation, *inputs, **arguments) for operation in operations.split())


def elementwise() -> Iterator[tuple[str, Any]]:
    yield from each(
        "abs neg exp sin cos square floor ceil round sign trunc frac positive deg2rad rad2deg exp2 expm1 atan sinh cosh asinh "
        "erf erfc sinc nan_to_num relu sigmoid tanh leaky_relu elu selu celu gelu silu mish softplus softsign hardtanh relu6 "
        "hardsigmoid hardswish hardshrink softshrink tanhshrink logsigmoid isfinite isinf isnan isneginf isposinf "
        "isreal signbit logical_not",
        IMAGE,
    )
    yield from each("log sqrt log1p log2 log10 rsqrt reciprocal digamma lgamma", POSITIVE)
    yield from each("asin acos atanh tan", Normal(IMAGE, -0.9, 0.9))
    yield row("acosh", Normal(IMAGE, 1.2, 3.0))
    yield from each(
        "add sub rsub mul maximum minimum fmax fmin atan2 hypot copysign logaddexp logaddexp2 ldexp", IMAGE, (3, 1, 1)
    )
    yield from each(
        "eq ne lt le gt ge isclose allclose equal logical_and logical_or logical_xor floor_divide heaviside", IMAGE, IMAGE
    )
    yield from each("div remainder fmod xlogy pow float_power", POSITIVE, Normal((3, 1, 1), 0.5, 1.5))
    yield from each("bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift gcd lcm", WHOLE, WHOLE)
    yield row("bitwise_not", WHOLE)
    yield from each("lerp addcmul", IMAGE, IMAGE, Normal((3, 1, 1)))
    yield row("addcdiv", IMAGE, IMAGE, POSITIVE)
    yield row("logit", PROBABILITY)
    yield row("rrelu", IMAGE, training=True)
    yield row("clamp", IMAGE, min=-0.51, max=0.43)
    yield row("clamp_min", IMAGE, Given(-0.51))
    yield row("clamp_max", IMAGE, Given(0.43))
    yield row("threshold", IMAGE, Given(0.1), Given(-2.0))
    yield row("where", IMAGE, (2, 4), Given(MASK), form=lambda where, a, b, mask: where(mask, a, b))
    yield from each("__iadd__ __isub__ __imul__ __itruediv__", POSITIVE, POSITIVE, form=lambda f, x, y: f(x.clone(), y))


def reductions() -> Iterator[tuple[str, Any]]:
    yield from each("all any count_nonzero nanmean nansum", IMAGE, dim=1)
    yield from each("aminmax prod median", IMAGE, dim=2)
    yield from each("kthvalue topk", IMAGE, Given(2), dim=2)
    yield from each("mode nanmedian", IMAGE, dim=2)
    yield from each("quantile nanquantile", IMAGE, Given(0.3), dim=1)
    yield row("msort", IMAGE)
    yield from each("diff trapezoid cumulative_trapezoid", IMAGE, dim=1)
    yield from each("cov corrcoef", (3, 4))
    yield row("histc", IMAGE, bins=5)
    yield row("bincount", Labels((9,), 4), Constant((9,)))
    yield from each("bucketize", IMAGE, Given(np.array([-1.0, 0.0, 0.5])))
    yield row("searchsorted", Given(np.sort(BOXES)), Constant((3, 2)))
    yield row("isin", WHOLE, Labels((3,), 7))
    yield row("isin", CONSTANT, CONSTANT)
    yield from each("unique unique_consecutive", WHOLE, return_inverse=True, return_counts=True)
    yield from each("unique unique_consecutive", CONSTANT)
    yield from each("renorm", IMAGE, Given(2.0), Given(1), Given(2.0))
    yield from each("argsort argmax argmin", IMAGE, dim=1)
    yield from each("nonzero argwhere", Given(MASK))
    yield from each("nonzero argwhere", CONSTANT)
    yield row("dist", IMAGE, (2, 4))


def places() -> Iterator[tuple[str, Any]]:
    index = np.array([1, 0])
    yield from each("gather take_along_dim", IMAGE, form=lambda f, x: f(x, dim=2, **_index(f, x, PLACES)))
    yield from each("scatter scatter_add", IMAGE, Given(2), Given(PLACES[:, :, :1]), (2, 3, 1, 4))
    yield row("index_select", IMAGE, Given(1), Given(index))
    yield row("index_fill", IMAGE, Given(1), Given(index), ())
    yield from each("index_add index_copy", IMAGE, Given(1), Given(index), (2, 2, 2, 4))
    yield row("masked_fill", IMAGE, Given(MASK), ())
    yield row("masked_select", IMAGE, Given(MASK))
    yield row("take", IMAGE, Given(np.array([[0, 40], [-1, 5]])))
    yield row("__getitem__", IMAGE, Given((slice(None), np.array([2, 0]), ..., slice(None, None, 2))))
    yield row("__getitem__", IMAGE, Given(MASK))
    yield from each("put", IMAGE, Given(np.array([[0, 40], [7, 5]])), (2, 2))
    yield row("index_put", IMAGE, Given((index, index)), (2, 2, 4))
    yield row("index_reduce", IMAGE, Given(1), Given(index), (2, 2, 2, 4), Given("mean"))
    yield row("scatter_reduce", IMAGE, Given(2), Given(PLACES[:, :, :1]), (2, 3, 1, 4), Given("prod"))
    yield row("masked_scatter", IMAGE, Given(MASK), (20,))
    yield row("select_scatter", IMAGE, (2, 3, 4), Given(2), Given(1))
    yield row("slice_scatter", IMAGE, (2, 2, 2, 4), dim=1, start=0, end=3, step=2)
    yield row("diagonal_scatter", IMAGE, (2, 4, 2))
    yield row("fill", IMAGE, ())
    yield row("one_hot", Labels((2, 3, 2), 5), Given(5))
    yield row("unravel_index", Labels((2, 3, 2), 12), Given((3, 4)))
    yield row("embedding_bag", Labels((2, 3), 5), (5, 3))
    yield row("embedding", Labels((2, 3, 2), 5), (5, 3))


def _index(function: Callable[..., Any], x: Any, index: np.ndarray) -> dict[str, Any]:
    name = "index" if function.__name__ == "gather" else "indices"
    return {name: minivision.Tensor(index).to(x.device)}


def shapes() -> Iterator[tuple[str, Any]]:
    yield from each("ravel fliplr flipud clone contiguous diagonal triu tril", IMAGE)
    yield row("diag_embed", (2, 3, 2))
    yield row("diagflat", (2, 3, 2))
    yield row("unsqueeze", IMAGE, dim=2)
    yield row("expand", (2, 3, 1, 4), Given(2), Given(3), Given(5), Given(4))
    yield row("broadcast_to", (2, 3, 1, 4), Given((2, 3, 5, 4)))
    yield row("broadcast_tensors", (2, 3, 1, 4), (5, 1))
    yield row("repeat", IMAGE, Given(1), Given(2), Given(1), Given(1))
    yield row("repeat_interleave", IMAGE, Given(2), dim=3)
    yield row("tile", IMAGE, Given((2, 1)))
    yield row("narrow", IMAGE, dim=1, start=1, length=2)
    yield row("split_with_sizes", IMAGE, Given((1, 2)), Given(1))
    yield row("sum_to_size", IMAGE, Given((3, 1, 4)))
    yield row("block_diag", (2, 3), (3,))
    yield row("combinations", (4,))
    yield row("broadcast_shapes", Given((3, 1)), Given((2, 1, 4)))
    yield from each("split tensor_split chunk", IMAGE, Given(2), dim=3)
    yield row("vsplit", IMAGE, Given(2))
    yield row("hsplit", IMAGE, Given(3))
    yield row("unbind", IMAGE, dim=1)
    yield row("unflatten", IMAGE, Given(3), Given((2, 2)))
    yield from each("view_as reshape_as", IMAGE, Constant((6, 8)))
    yield row("expand_as", (2, 3, 1, 4), Constant((2, 3, 5, 4)))
    yield from each("cat stack", IMAGE, IMAGE, form=lambda join, a, b: join((a, b), dim=1))
    yield from each("hstack vstack dstack", IMAGE, IMAGE, form=lambda join, a, b: join((a, b)))
    yield row("column_stack", (2, 3, 2), (2, 1, 2), form=lambda join, a, b: join((a, b)))
    yield row("center_crop", (2, 2, 5, 6), Given((2, 3)))
    yield row("pad", IMAGE, Given((1, 2, 0, 1)))
    yield row("Tensor.unfold", IMAGE, dimension=3, size=3, step=1)


def products() -> Iterator[tuple[str, Any]]:
    yield row("inner", (2, 3, 2), (3, 2))
    yield row("kron", (2, 3, 2), (2, 2))
    yield row("cross", IMAGE, IMAGE, dim=1)
    yield row("pdist", (4, 3))
    yield row("scaled_dot_product_attention", (1, 2, 3, 2), (1, 2, 4, 2), (1, 2, 4, 3))
    yield row("conv_matrix", Constant((2, 3, 2, 2)), form=lambda f, w: f(w, (3, 4), dense=True))
    yield row("conv_transpose_matrix", Constant((2, 3, 2, 2)), form=lambda f, w: f(w, (3, 4), dense=True))
    yield row("linear_matrix", form=lambda f: f(lambda x: x.sum(0), (2, 3), dense=True))


def networks() -> Iterator[tuple[str, Any]]:
    yield from each("dropout dropout2d alpha_dropout feature_alpha_dropout", IMAGE, p=0.4, training=True)
    yield row("gumbel_softmax", IMAGE, dim=1)
    yield row("rms_norm", IMAGE, Given((2, 4)), (2, 4))
    yield row("batch_norm", IMAGE, (3,), (3,), form=lambda f, x, w, b: f(x, None, None, w, b, training=True))
    yield row("batch_norm", IMAGE, Constant((3,)), Constant((3,)), (3,), (3,))
    yield row("bed_of_nails", IMAGE, Given((2, 3)))
    # where maxima stood in windows of 2, on planes of 6, of 4 x 6 and of 2 x 4 x 4
    yield row("max_unpool1d", (1, 2, 3), Given(np.array([[[1, 2, 5], [0, 3, 4]]])), Given(2))
    yield row("max_unpool2d", (1, 2, 2, 3), Given(np.array([[[[1, 2, 11], [12, 21, 16]]] * 2])), Given(2))
    yield row("max_unpool3d", (1, 2, 1, 2, 2), Given(np.array([[[[[1, 18], [8, 27]]]] * 2])), Given(2))
    yield from each("cross_entropy focal_loss dice_loss", IMAGE, Labels((2, 2, 4), 3, 255), ignore_index=255)
    yield row("weighted_cross_entropy", IMAGE, Labels((2, 2, 4), 3), Constant((2, 2, 4)))
    yield from each("mse_loss l1_loss smooth_l1_loss huber_loss", IMAGE, IMAGE)
    yield row("kl_div", IMAGE, PROBABILITY)
    yield from each("binary_cross_entropy binary_cross_entropy_with_logits", PROBABILITY, PROBABILITY)
    yield row("sigmoid_focal_loss", IMAGE, Labels(IMAGE, 2))
    signs = np.where(MASK, 1.0, -1.0)
    yield from each("hinge_embedding_loss soft_margin_loss", IMAGE, Given(signs))
    yield row("margin_ranking_loss", IMAGE, IMAGE, Given(signs))
    yield row("cosine_embedding_loss", (4, 3), (4, 3), Given(np.array([1, -1, -1, 1])))
    yield from each("triplet_margin_loss triplet_margin_with_distance_loss", (2, 3, 4), (2, 3, 4), (2, 3, 4))
    yield row("multi_margin_loss", (4, 3), Labels((4,), 3))
    yield row("multilabel_margin_loss", (2, 4), Given(np.array([[3, 0, -1, 1], [1, -1, 2, 0]])))
    yield row("multilabel_soft_margin_loss", IMAGE, Labels(IMAGE, 2))
    yield row("poisson_nll_loss", IMAGE, PROBABILITY)
    yield row("gaussian_nll_loss", IMAGE, IMAGE, POSITIVE)


def recurrence() -> Iterator[tuple[str, Any]]:
    for name, gates in (("rnn_tanh", 1), ("rnn_relu", 1), ("gru", 3), ("lstm", 4)):
        states = 2 if name == "lstm" else 1
        weights = [(2 * gates, 3), (2 * gates, 2), (2 * gates,), (2 * gates,)]
        yield row(f"{name}_cell", (2, 3), *[(2, 2)] * states, *weights, form=_one_step)
        yield row(name, (3, 2, 3), *[(1, 2, 2)] * states, *weights, form=_sequence)


def _one_step(cell: Callable[..., Any], x: Any, *others: Any) -> Any:
    states, weights = others[:-4], others[-4:]
    return cell(x, states if len(states) == 2 else states[0], *weights)


def _sequence(layer: Callable[..., Any], x: Any, *others: Any) -> Any:
    states, weights = others[:-4], others[-4:]
    return layer(x, states if len(states) == 2 else states[0], list(weights), True, 1, 0.0, True, False, False)


def regions() -> Iterator[tuple[str, Any]]:
    yield from each("top_pool bottom_pool left_pool right_pool", (2, 3, 3, 4))
    boxes = Fixed([[0.7, 0.4, 3.8, 4.1], [1.1, 1.3, 5.2, 3.6]])
    yield from each("roi_pool prroi_pool", (1, 2, 5, 6), boxes, form=lambda f, x, b: f(x, [b], (2, 3)))
    yield row("roi_align", (1, 2, 5, 6), boxes, form=lambda f, x, b: f(x, [b], (2, 3), sampling_ratio=2, aligned=True))
    yield row("ps_roi_align", (1, 6, 4, 5), boxes, form=lambda f, x, b: f(x, [b], (1, 3), sampling_ratio=2))
    yield row("box_area", Fixed(BOXES))
    yield row("box_convert", Fixed([BOXES, OTHERS]), Given("xyxy"), Given("cxcywh"))
    yield row("clip_boxes_to_image", Fixed([BOXES, OTHERS]), Given((5, 8)))
    yield from each("box_iou generalized_box_iou distance_box_iou complete_box_iou", Fixed(BOXES), Fixed(OTHERS))
    pairs = Fixed([BOXES, BOXES]), Fixed([OTHERS, BOXES + 0.7])
    yield from each("generalized_box_iou_loss distance_box_iou_loss complete_box_iou_loss", *pairs)
    yield row("remove_small_boxes", Given(BOXES), Given(3.0))
    yield row("masks_to_boxes", Given(np.arange(60).reshape(3, 4, 5) % 7 == 2))
    yield row("nms", Given(BOXES), Given(np.array([0.3, 0.9, 0.5])), Given(0.2))
    yield row("batched_nms", Given(BOXES), Given(np.array([0.3, 0.9, 0.5])), Given(np.array([0, 1, 0])), Given(0.2))


def creation() -> Iterator[tuple[str, Any]]:
    yield from each("zeros ones rand randn", Given((2, 3)))
    yield row("empty", Given((2, 3)), form=lambda empty, size: empty(size).zero_())
    yield row("full", Given((2, 3)), Given(1.5))
    yield row("scalar_tensor", Given(1.5))
    yield from each("new_zeros new_ones", CONSTANT, Given((2, 3)))
    yield row("new_full", CONSTANT, Given((2, 3)), Given(1.5))
    yield row("new_empty", CONSTANT, Given((2, 3)), form=lambda f, x, size: f(x, size).zero_())
    yield row("new_tensor", CONSTANT, Given([0.5, 1.5]))
    yield row("eye", Given(3))
    yield from each("arange randperm", Given(5))
    yield from each("linspace logspace", Given(0.0), Given(1.0), Given(4))
    yield row("randint", Given(0), Given(5), Given((2, 3)))
    yield from each("tril_indices triu_indices", Given(3), Given(4))
    yield from each("zeros_like ones_like rand_like randn_like tensor as_tensor", CONSTANT)
    yield row("as_tensor", IMAGE)
    yield row("empty_like", CONSTANT, form=lambda f, x: f(x).zero_())
    yield row("full_like", CONSTANT, Given(1.5))
    yield row("from_numpy", CONSTANT, form=lambda f, x: f(x.numpy()))
    yield row("bernoulli", CONSTANT)
    yield row("normal", CONSTANT, CONSTANT)
    yield row("multinomial", Constant((3, 5)), Given(2))


def conversion() -> Iterator[tuple[str, Any]]:
    yield from each("float half double int long short char bool byte cpu", IMAGE)
    yield row("to", IMAGE, form=lambda to, x: to(x, minivision.float64))
    yield row("type_as", IMAGE, form=lambda type_as, x: type_as(x, x.detach().double()))
    yield row("cuda", IMAGE, form=lambda cuda, x: cuda(x) if x.is_cuda else x.clone())  # without a GPU it is an error


def in_place() -> Iterator[tuple[str, Any]]:
    yield from each("add_ sub_ mul_ div_ pow_ copy_", CONSTANT, CONSTANT)
    yield from each("exp_ log_ sqrt_ neg_ floor_ ceil_ round_ sigmoid_ tanh_ zero_ normal_ uniform_", CONSTANT)
    yield from each("abs_ relu_", Constant(IMAGE, -1.0, 1.0))
    yield row("clamp_", CONSTANT, min=0.3, max=0.6)
    yield row("fill_", CONSTANT, Given(2.5))
    yield row("masked_fill_", CONSTANT, Given(MASK), Given(-1.0))
    yield from each("scatter_ scatter_add_", CONSTANT, Given(2), Given(PLACES[:, :, :1]), Constant((2, 3, 1, 4)))
    yield from each("index_add_ index_copy_", CONSTANT, Given(1), Given(np.array([2, 0])), Constant((2, 2, 2, 4)))
    yield row("index_fill_", CONSTANT, Given(1), Given(np.array([2, 0])), Given(2.5))
    yield row("index_put_", CONSTANT, Given((np.array([1, 0]), np.array([2, 0]))), Constant((2, 2, 4)))
    yield row("index_reduce_", CONSTANT, Given(1), Given(np.array([2, 0])), Constant((2, 2, 2, 4)), Given("mean"))
    yield row("scatter_reduce_", CONSTANT, Given(2), Given(PLACES[:, :, :1]), Constant((2, 3, 1, 4)), Given("prod"))
    yield row("masked_scatter_", CONSTANT, Given(MASK), Constant((20,)))
    yield row("lerp_", CONSTANT, CONSTANT, Given(0.3))
    yield from each("addcmul_ addcdiv_", CONSTANT, CONSTANT, CONSTANT)
    yield row("__setitem__", CONSTANT, Constant((2, 2)), form=_assign)


def _assign(setitem: Callable[..., Any], x: Any, value: Any) -> Any:
    setitem(x, (slice(None), 1, 0, slice(None, None, 2)), value)
    return x


# ---- what an operation cannot have, by reason; everything else is asked of it ----

# These record no graph, which is tested.
WITHOUT_GRADIENT = {
    "the answer is a truth value": "all any eq ne lt le gt ge isclose allclose equal isfinite isinf isnan "
    "isneginf isposinf isreal isin signbit logical_and logical_or logical_xor logical_not",
    "the answer is a whole number of times": "floor_divide",
    "the answer is a place or a number of elements": "argmax argmin argsort nonzero argwhere count_nonzero bincount histc "
    "bucketize searchsorted unravel_index one_hot nms batched_nms remove_small_boxes masks_to_boxes",
    "whole numbers and truth values alone": "bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift "
    "bitwise_right_shift gcd lcm int long short char bool byte",
    "constant between its jumps": "heaviside unique unique_consecutive",
    "the answer is a shape": "broadcast_shapes",
    "makes a new tensor": "zeros ones empty full eye arange linspace logspace randint randperm tril_indices triu_indices rand "
    "randn zeros_like ones_like empty_like full_like rand_like randn_like tensor from_numpy normal "
    "scalar_tensor new_zeros new_ones new_full new_empty new_tensor",
    "a random choice, from which no gradient comes back": "bernoulli multinomial",
    "the answer is an array, to look at and to multiply with": "conv_matrix conv_transpose_matrix linear_matrix",
    "in place, outside the graph": "__setitem__",  # and every name with an underscore at its end
}

# These have a gradient that central differences cannot see.
NOT_THE_DERIVATIVE = {
    "rounds to a shorter dtype; the gradient is in tests/functions/test_conversion.py": "float half",
    "one factor is taken as constant; the gradient is in tests/ops/test_boxes.py": "complete_box_iou complete_box_iou_loss",
}

WITHOUT_TENSOR = {
    "takes sizes and numbers": "zeros ones empty full eye arange linspace logspace randint randperm tril_indices triu_indices "
    "rand randn scalar_tensor broadcast_shapes",
    "takes a function": "linear_matrix",
}

# No input has the axes (N, C, H, W), nor three axes.
WITHOUT_IMAGE = {
    "one step of a sequence: (N, features)": "rnn_tanh_cell rnn_relu_cell gru_cell lstm_cell",
    "pairs of vectors, or scores: (N, features)": "cosine_embedding_loss multi_margin_loss multilabel_margin_loss "
    "embedding_bag pdist",
    "a vector or a matrix": "bincount block_diag combinations corrcoef cov searchsorted "
    "dot vdot mv mm addmm addmv addr outer t diag trace multinomial cartesian_prod meshgrid",
    "rows of boxes": "box_area box_iou generalized_box_iou distance_box_iou complete_box_iou remove_small_boxes nms batched_nms",
}

WITHOUT_FLOAT = {
    "whole numbers and truth values alone": "bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift "
    "bitwise_right_shift gcd lcm masks_to_boxes one_hot unravel_index",
}

# No call with tensors is wrong.
WITHOUT_ERROR = {"takes nothing but a tensor": "cpu"}

# The dtype of the answer does not follow that of the input.
OWN_DTYPE = {
    "made for that": "float half double to type_as float_power",
}

# Drawn from another stream of random numbers in float32 than in float64.
DRAWN = {"drawn in the precision asked for": "rand_like"}


def names(table: dict[str, str]) -> set[str]:
    return {name for line in table.values() for name in line.split()}


# ---- all of them ----


def own() -> dict[str, list[Case]]:
    """The calls of this file, by operation."""
    found: dict[str, list[Case]] = defaultdict(list)
    groups = (elementwise, reductions, places, shapes, products, networks, recurrence, regions, creation, conversion, in_place)
    for group in groups:
        for name, case in group():
            found[name].append(case)
    return found


def stored() -> dict[str, list[Case]]:
    """The calls compared with PyTorch, by operation, without those made for ties and kinks."""
    found: dict[str, list[Case]] = defaultdict(list)
    for module in topics().values():
        for case in module.CASES:
            operation = by_any_name(case.op) if isinstance(case.op, str) else None
            if operation and not any(isinstance(x, Fixed) for x in case.inputs):
                found[operation.name].append(case)
    return {name: _some(cases) for name, cases in found.items()}


def _some(cases: list[Case]) -> list[Case]:
    """At most STORED_AT_MOST of them, spread evenly, and one more if only that has channels."""
    chosen = cases[:: -(-len(cases) // STORED_AT_MOST)]
    with_channels = (case for case in cases if moved(case, "channels_last"))
    return chosen if any(moved(case, "channels_last") for case in chosen) else chosen + list(itertools.islice(with_channels, 1))


def collected() -> dict[str, list[Case]]:
    """Every call, by operation; an empty list is what `test_every_operation_is_registered` reports."""
    here, there = own(), stored()
    return {name: here.get(name, []) + there.get(name, []) for name in OPERATIONS}


CALLS = collected()
