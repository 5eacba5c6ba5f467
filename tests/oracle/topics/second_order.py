"""Gradients of gradients: a case computes gradients with `create_graph=True`, and `evaluate` differentiates them once more."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.oracle.cases import Case, Fixed, Given, Normal, Row, table, uniform

POSITIVE = (0.3, 2.0)
INSIDE = (-0.9, 0.9)


def grad(outputs: Any, inputs: Any, **settings: Any) -> Any:
    """`autograd.grad` of the library that the tensor comes from."""
    library = importlib.import_module(type(outputs).__module__.split(".")[0])
    return library.autograd.grad(outputs, inputs, **settings)


def gradients(library: Any, *inputs: Any, operation: str, settings: dict[str, Any] | None = None) -> Any:
    """The gradients of an operation for an upstream gradient that is an input too."""
    y = getattr(library, operation)(*inputs, **(settings or {}))
    y = y[0] if isinstance(y, tuple) else y
    upstream = library.tensor(uniform(operation, tuple(y.shape)), False)
    wanted = [x for x in inputs if getattr(x, "requires_grad", False)]
    return [g for g in grad((y * y * upstream + y * upstream).sum(), wanted, create_graph=True) if g.requires_grad]


def penalty(library: Any, real: Any, fake: Any, kernel: Any, scale: Any, shift: Any, deep: Any, out: Any, *, norm: str) -> Any:
    """The gradient penalty of a critic of images, Gulrajani et al. 2017 (arXiv:1704.00028), equation 3 without lambda."""
    between = 0.3 * real + 0.7 * fake
    h = library.leaky_relu(library.conv2d(between, kernel, stride=2, padding=1), 0.2)
    h = library.layer_norm(h, [3, 4], scale, shift) if norm == "layer" else library.instance_norm(h)
    h = library.leaky_relu(library.conv2d(h, deep, padding=1), 0.2)
    scores = library.linear(h.reshape(h.shape[0], -1), out)
    (slope,) = grad(scores.sum(), between, create_graph=True)
    length = (slope.reshape(slope.shape[0], -1) ** 2).sum(1).sqrt()
    return ((length - 1) ** 2).mean()


def hessian_times_vector(library: Any, image: Any, down: Any, up: Any, last: Any, labels: Any) -> Any:
    """The product of the Hessian of a small U-Net's loss with a vector.

    Its gradient is left out: PyTorch's third derivative of batch_norm does not agree with differences of its second one.
    """
    skip = library.gelu(library.batch_norm(library.conv2d(image, down, padding=1), None, None, training=True))
    deep = library.max_pool2d(skip, 2)
    risen = library.conv_transpose2d(deep, up, stride=2)
    scores = library.conv2d(library.cat([skip, library.relu(risen)], 1), last)
    loss = library.cross_entropy(scores, labels, ignore_index=-1)
    weights = [down, up, last]
    first = grad(loss, weights, create_graph=True)
    vectors = [library.tensor(uniform(f"vector {i}", tuple(w.shape)), False) for i, w in enumerate(weights)]
    total = sum((g * v).sum() for g, v in zip(first, vectors, strict=True))
    return [product.detach() for product in grad(total, weights)]


def one_operand() -> Iterator[Row]:
    for op in ("exp", "sin", "cos", "tan", "atan", "sinh", "cosh", "asinh", "erf", "erfc", "sigmoid", "tanh", "softplus", "gelu",
               "silu", "mish", "elu", "selu", "celu", "logsigmoid", "tanhshrink", "hardswish", "relu", "expm1", "exp2",
               "leaky_relu", "abs", "square"):  # fmt: skip
        yield gradients, [(3, 4)], {"operation": op}
    for op in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal"):
        yield gradients, [Normal((3, 4), *POSITIVE)], {"operation": op}
    for op in ("asin", "acos", "atanh"):
        yield gradients, [Normal((3, 4), *INSIDE)], {"operation": op}
    yield gradients, [(3, 4)], {"operation": "gelu", "settings": {"approximate": "tanh"}}
    yield gradients, [(3, 4)], {"operation": "clamp", "settings": {"min": -0.5, "max": 0.7}}
    yield gradients, [Normal((3, 4)), Given(3)], {"operation": "pow"}
    yield gradients, [Normal((3, 4), *POSITIVE), Given(-0.5)], {"operation": "pow"}
    yield gradients, [Fixed([0.0, 1.5, -2.0]), Given(2)], {"operation": "pow"}
    yield gradients, [Fixed([-1.0, 0.0, 2.0])], {"operation": "relu"}


def two_operands() -> Iterator[Row]:
    for op in ("add", "sub", "mul", "atan2", "hypot", "logaddexp", "maximum", "minimum"):
        yield gradients, [(3, 1), (2, 1, 4)], {"operation": op}
    for op in ("div", "pow", "xlogy"):
        yield gradients, [Normal((3, 1), *POSITIVE), Normal((2, 1, 4), *POSITIVE)], {"operation": op}
    yield gradients, [(2, 3), (2, 3), (2, 3)], {"operation": "lerp"}
    yield gradients, [(2, 3, 4), (4, 2)], {"operation": "matmul"}
    yield gradients, [(4,), (2, 4, 3)], {"operation": "matmul"}
    yield gradients, [(5, 3), (4, 3), (4,)], {"operation": "linear"}
    yield gradients, [(5, 3), (5, 2), (4, 3, 2), (4,)], {"operation": "bilinear"}
    yield gradients, [Given("bij,bjk->ik"), (2, 3, 4), (2, 4, 2)], {"operation": "einsum"}


def reductions() -> Iterator[Row]:
    for op in ("sum", "mean", "var", "std", "amax", "logsumexp", "norm"):
        yield gradients, [(2, 3, 4)], {"operation": op, "settings": {"dim": (0, 2)}}
        yield gradients, [(2, 3, 4)], {"operation": op, "settings": {"dim": 1, "keepdim": True}}
    for op in ("var", "std", "norm", "mean"):
        yield gradients, [(2, 3)], {"operation": op}
    for op in ("softmax", "log_softmax", "cumsum", "cumprod", "prod", "sort", "logcumsumexp", "cummax"):
        yield gradients, [(2, 5, 3)], {"operation": op, "settings": {"dim": 1}}
    yield gradients, [Fixed([[2.0, 0.0, -1.5], [0.0, 2.0, 0.0], [1.0, 2.0, 3.0]])], {"operation": "prod", "settings": {"dim": 1}}
    yield (
        gradients,
        [Fixed([[2.0, 0.0, -1.5], [0.0, 2.0, 0.0], [1.0, 2.0, 3.0]])],
        {"operation": "cumprod", "settings": {"dim": 1}},
    )
    yield gradients, [(3, 4)], {"operation": "norm", "settings": {"p": 3}}


def images() -> Iterator[Row]:
    x, w = (2, 4, 5, 6), (6, 2, 3, 2)
    yield gradients, [x, w, (6,)], {"operation": "conv2d", "settings": {"groups": 2, "stride": (2, 1), "padding": (1, 0)}}
    yield gradients, [x, (3, 4, 3, 2)], {"operation": "conv2d", "settings": {"dilation": (1, 2), "padding": 1}}
    yield gradients, [(2, 4, 7), (3, 4, 2), (3,)], {"operation": "conv1d", "settings": {"stride": 2}}
    yield (
        gradients,
        [x, (4, 3, 3, 2), (6,)],
        {"operation": "conv_transpose2d", "settings": {"groups": 2, "stride": 2, "padding": 1, "output_padding": 1}},
    )
    for op, settings in (
        ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}), ("avg_pool2d", {"kernel_size": (3, 2), "stride": 2}),
        ("adaptive_avg_pool2d", {"output_size": (3, 4)}), ("adaptive_max_pool2d", {"output_size": (3, 4)}),
        ("pad", {"pad": (1, 2, 0, 3), "mode": "reflect"}), ("pad", {"pad": (1, 2, -1, 3), "value": 1.5}),
        ("interpolate", {"scale_factor": 2, "mode": "bilinear"}), ("interpolate", {"size": (7, 3), "mode": "bicubic"}),
        ("unfold", {"kernel_size": 2, "stride": 2}), ("group_norm", {"num_groups": 2}), ("instance_norm", {}),
        ("layer_norm", {"normalized_shape": [5, 6]}), ("local_response_norm", {"size": 3, "alpha": 0.9}),
    ):  # fmt: skip
        yield gradients, [x], {"operation": op, "settings": settings}
    parameters = [(4,), (4,)]
    yield gradients, [x, Given(None), Given(None), *parameters], {"operation": "batch_norm", "settings": {"training": True}}
    running = [Given(np.array([0.1, 0.2, 0.3, 0.4])), Given(np.array([0.5, 1.0, 2.0, 3.0]))]
    yield gradients, [x, *running, *parameters], {"operation": "batch_norm"}
    grid = Given(uniform("grid", (2, 3, 2, 2), -1.2, 1.2))
    yield gradients, [x, grid], {"operation": "grid_sample", "settings": {"align_corners": False}}


def losses() -> Iterator[Row]:
    labels = Given(np.array([[0, -1, 2], [1, 1, 0]]))
    for reduction in ("mean", "sum", "none"):
        settings = {"reduction": reduction, "ignore_index": -1, "label_smoothing": 0.1}
        yield gradients, [(2, 4, 3), labels], {"operation": "cross_entropy", "settings": settings}
    yield gradients, [(2, 4, 3), Normal((2, 4, 3), 0.1, 0.9)], {"operation": "cross_entropy"}
    yield gradients, [(2, 4, 3), labels], {"operation": "nll_loss", "settings": {"ignore_index": -1}}
    for op in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy_with_logits", "kl_div"):
        yield gradients, [(3, 4), Normal((3, 4), 0.1, 0.9)], {"operation": op}
    yield gradients, [Normal((3, 4), 0.1, 0.9), Normal((3, 4), 0.1, 0.9)], {"operation": "binary_cross_entropy"}
    yield gradients, [(3, 4), (3, 4)], {"operation": "cosine_similarity"}


def networks() -> Iterator[Row]:
    images = [(3, 2, 6, 8), (3, 2, 6, 8)]
    critic = [(4, 2, 3, 3), (3, 4), (3, 4), (5, 4, 3, 3), (1, 60)]
    for norm in ("layer", "instance"):
        yield penalty, [*images, *critic], {"norm": norm}
    labels = Given(np.array([[[0, 1, 2, -1]] * 4, [[2, 2, 0, 1]] * 4]))
    yield hessian_times_vector, [(2, 2, 4, 4), (3, 2, 3, 3), (3, 2, 2, 2), (3, 5, 1, 1), labels], {}


CASES = table(one_operand, two_operands, reductions, images, losses, networks)
REJECTED: list[Case] = []
