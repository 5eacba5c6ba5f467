"""docs/operations.md, made from the docstrings and from the calls of the registry: `python -m tests.registry.documentation`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from minivision import reference
from minivision.autograd import Function, Tensor
from tests.registry import calls, checks
from tests.registry.operations import OPERATIONS, SYMBOLS, Operation, layers

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
RENEW = "run `python -m tests.registry.documentation` to bring docs/operations.md up to date"

HEAD = """# Operations

Every operation, by lecture topic. `F` is `minivision.nn.functional`, `ops` is `minivision.ops`, `x` is a `Tensor`. Names,
arguments and defaults are PyTorch's (for `ops` torchvision's), unless the table says "ours".

- **Gradient**: to which arguments, and its formula where one `Function` does the work; `dy` is the upstream gradient, and what
  holds at a kink is PyTorch's choice. "through" lists the Functions that a composition calls; "none" means that no graph is
  recorded.
- **Tiers**: *definition*, the loops of [`minivision.reference`](../minivision/reference); *matrix*, made by the function that is
  named. Every operation has the *fast* form, in the file of the last column.

Of every operation `tests/registry` checks that the gradient of the public call agrees with central differences, that the
memory layout (strided, reversed, transposed, channels-last) changes nothing, that float32 and float64 stay what they are, that
inputs are not written to, that a wrong call is answered with a message, and that it stands here. This page is made by
`python -m tests.registry.documentation`.
"""

TOPICS = {
    "Convolution": "convolution.direct convolution.transposed matrix",
    "Pooling and unpooling": "pooling adaptive_pooling unpooling corner_pooling",
    "Upsampling, sampling, padding": "upsampling grid_sampling shuffling unfolding padding",
    "Regions and boxes": "roi ops.boxes ops.suppression",
    "Normalisation and dropout": "normalization local_response dropout",
    "Activations": "activation piecewise_activation smooth_activation",
    "Losses": "loss segmentation_loss probability_loss regression_loss margin_loss likelihood_loss ops.losses",
    "Recurrence": "recurrent",
    "Linear layers, products, distances": "linear bilinear_form embedding attention contraction distance norms",
    "Arithmetic": "arithmetic division clamping elementwise floating_point",
    "Functions of one number": "transcendental gamma_function",
    "Reductions, scans, order": "reduction statistics scanning differences sorting searching",
    "Shape": "shape rearranging",
    "Places: gather and scatter": "gathering scattering",
    "New tensors, dtypes, devices": "creation sampling conversion",
    "In place": "inplace",
}

OURS = (
    "bed_of_nails center_crop dice_loss focal_loss weighted_cross_entropy conv_matrix conv_transpose_matrix linear_matrix "
    "top_pool bottom_pool left_pool right_pool prroi_pool"
)

DEFINITIONS = set(reference.__all__) - {"bilinear"}  # there it is a step of RoIAlign, here a layer
MATRICES = {
    "conv_matrix": "conv1d conv2d conv3d",
    "conv_transpose_matrix": "conv_transpose1d conv_transpose2d conv_transpose3d",
    "linear_matrix": "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "max_unpool1d max_unpool2d max_unpool3d interpolate upsample upsample_nearest upsample_bilinear bed_of_nails "
    "grid_sample fold unfold pixel_shuffle pixel_unshuffle channel_shuffle roi_align prroi_pool ps_roi_align",
}

# Where a call in calls.py is not written plainly.
RECEIVERS = {
    "cat": "tensors",
    "stack": "tensors",
    "where": "input other",
    "roi_pool": "input",
    "roi_align": "input boxes",
    "prroi_pool": "input boxes",
    "ps_roi_align": "input boxes",
    "lstm_cell": "input hx w_ih w_hh b_ih b_hh",
    "rnn_tanh": "input hx params",
    "rnn_relu": "input hx params",
    "gru": "input hx params",
    "lstm": "input hx params",
}

# The gradient of the Functions that explain it beside the code and not in their first sentence.
GRADIENTS = {
    "Amax": "values that tie share dy evenly",
    "Amin": "values that tie share dy evenly",
    "BatchNorm": "through mean and variance too",
    "Convolution": "dx is the transposed convolution of dy, dw the correlation of x with dy, db the sum of dy",
    "CumMax": "dy goes to the place that won, of equal ones the last",
    "CumMin": "dy goes to the place that won, of equal ones the last",
    "Expand": "dx = the sum of dy over the repeats",
    "Einsum": "the gradient of an operand is the einsum of dy with all others",
    "GRU": "back through every step, from the last to the first",
    "GroupNorm": "through mean and variance too",
    "KthValue": "dy goes to the place it stood at",
    "LSTM": "back through every step, from the last to the first",
    "LayerNorm": "through mean and variance too",
    "LocalResponseNorm": "through the sums of the neighbours too",
    "MaxAlong": "dy goes to the first maximum",
    "Maximum": "dy goes to the larger, half to each where they tie",
    "MedianAlong": "dy goes to the place it stood at",
    "MinAlong": "dy goes to the first minimum",
    "Minimum": "dy goes to the smaller, half to each where they tie",
    "Mode": "dy goes to the place it stood at",
    "NanMedianAlong": "dy goes to the place it stood at",
    "PrRoIPool": "in closed form",
    "RNN": "back through every step, from the last to the first",
    "RMSNorm": "through the mean square too",
    "RoIAlign": "in closed form; at a sample on a cell's border, the derivative from the right",
    "Sort": "dy goes back to where the values stood",
    "TopK": "dy goes back to where the values stood",
    "TransposedConvolution": "dx is the convolution of dy, dw the correlation of dy with x, db the sum of dy",
}


def page() -> str:
    """The whole text."""
    sections = [HEAD]
    for title, operations in by_topic().items():
        sections.append(f"## {title}\n")
        sections.append("| Operation | Found as | Computes | Gradient | PyTorch | Tiers | Written in |")
        sections.append("|---|---|---|---|---|---|---|")
        sections += [line(operation) for operation in operations]
        sections.append("")
    return "\n".join(sections).rstrip() + "\n"


def by_topic() -> dict[str, list[Operation]]:
    """The operations by section; a file that no section names makes one of its own, under its docstring."""
    sections: dict[str, list[Operation]] = {title: [] for title in TOPICS}
    title_of = {file: title for title, files in TOPICS.items() for file in files.split()}
    files = [*title_of, *sorted({_file(o) for o in OPERATIONS.values()} - set(title_of))]
    for operation in sorted(OPERATIONS.values(), key=lambda o: (files.index(_file(o)), o.function.__code__.co_firstlineno)):
        title = title_of.get(_file(operation)) or _sentence(inspect.getmodule(operation.function))
        sections.setdefault(title, []).append(operation)
    return {title: operations for title, operations in sections.items() if operations}


def line(operation: Operation) -> str:
    """One row of the table."""
    cells = [
        f"`{heading(operation)}`",
        ", ".join(f"`{name}`" for name in places(operation)),
        computes(operation),
        gradient(operation),
        counterpart(operation),
        tiers(operation),
        where(operation),
    ]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def heading(operation: Operation) -> str:
    """What stands in the first column, and in no other row: "relu", "x.add_", "x[index]"."""
    name = operation.name.removeprefix("Tensor.")
    if name.startswith("__"):
        return SYMBOLS[name.strip("_")]
    return f"x.{name}" if all(n.startswith("Tensor.") for n in operation.names) else name


def places(operation: Operation) -> list[str]:
    """Every name, as users write it, and the layers."""
    found = []
    for name in operation.names:
        place, _, bare = name.partition(".")
        if bare.startswith("__"):
            found += [SYMBOLS[bare.strip("_")]] if bare.strip("_") in SYMBOLS else []  # `2 + x` goes without saying
        else:
            found.append(f"x.{bare}" if place == "Tensor" else name)
    return found + [layer for layer, name in LAYERS.items() if name == operation.name]


def computes(operation: Operation) -> str:
    """The first sentence of the docstring; behind it the formula, where one short one says it all."""
    sentence = _sentence(operation.function)
    functions = recorded(operation)
    formula = _sentence(functions[0]).partition(";")[0].strip(" .") if len(functions) == 1 else ""
    if formula.startswith(("y = ", "y[", "y_")) and len(formula) <= 75 and formula.removeprefix("y = ") not in sentence:
        sentence += f" `{formula}`"
    return sentence


def gradient(operation: Operation) -> str:
    """To which arguments, and how; or why there is none."""
    reasons = {name: reason for reason, line in calls.WITHOUT_GRADIENT.items() for name in line.split()}
    if operation.in_place:
        return "none: in place, outside the graph"
    if operation.name in reasons:
        return f"none: {reasons[operation.name]}"
    functions, receivers = recorded(operation), differentiable(operation)
    how = f"through {', '.join(f.__name__ for f in functions)}" if functions else "dx = dy"
    if len(functions) == 1:
        how = GRADIENTS.get(functions[0].__name__) or _sentence(functions[0]).partition(";")[2].strip(" .")
    return ": ".join(part for part in ("to " + ", ".join(receivers) if receivers else "", how) if part)


def recorded(operation: Operation) -> list[type[Function]]:
    """The Functions in the graph of its first call that has one, from the inputs on; those that only move values left out."""
    for case in calls.CALLS.get(operation.name, []):
        nodes: list[Any] = [
            y.grad_fn for y in checks.run(case, "cpu", backward=False).outputs if isinstance(y, Tensor) and y.grad_fn
        ]
        found: list[type[Function]] = []
        while nodes:
            node = nodes.pop()
            if isinstance(node, Function):
                found.append(type(node))
                nodes += [edge[0] for edge in node.edges or () if edge]
        if found:
            kinds = list(dict.fromkeys(reversed(found)))
            moving = ("Cast", "Cat", "Clone", "Contiguous", "Expand", "Index", "Permute", "Reshape")
            return [kind for kind in kinds if kind.__name__ not in moving] or kinds
    return []


def differentiable(operation: Operation) -> list[str]:
    """The arguments that received a gradient in any of the calls that are written plainly."""
    if operation.name in RECEIVERS:
        return RECEIVERS[operation.name].split()
    parameters = inspect.signature(operation.function).parameters.values()
    positional = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    found: set[str] = set()
    for case in calls.CALLS.get(operation.name, []):
        if isinstance(case.op, str):
            leaves = iter(checks.run(case, "cpu").leaves)
            for position, spec in enumerate(case.inputs):
                if checks.is_leaf(spec) and next(leaves).grad is not None:
                    found.add(positional[min(position, len(positional) - 1)])
    return [name for name in positional if name in found]


def counterpart(operation: Operation) -> str:
    """PyTorch's name for it."""
    if operation.name in OURS.split():
        return "ours"
    place, _, bare = operation.names[0].partition(".")
    best = next((n for n in operation.names if n.partition(".")[2] == operation.name), f"{place}.{bare}")
    place, _, bare = best.partition(".")
    package = {"minivision": "torch", "F": "torch.nn.functional", "ops": "torchvision.ops", "Tensor": "torch.Tensor"}[place]
    return f"`{package}.{bare}`"


def tiers(operation: Operation) -> str:
    matrix = [f"matrix (`{maker}`)" for maker, line in MATRICES.items() if operation.name in line.split()]
    return ", ".join((["definition"] if operation.name in DEFINITIONS else []) + matrix)


def where(operation: Operation) -> str:
    path = Path(inspect.getsourcefile(inspect.unwrap(operation.function)) or "").relative_to(ROOT)
    return f"[{path.relative_to('minivision')}](../{path})"


def _file(operation: Operation) -> str:
    return operation.function.__module__.removeprefix("minivision.").removeprefix("functions.")


def _sentence(documented: Any) -> str:
    """The first sentence of a docstring, on one line."""
    paragraph = " ".join((inspect.getdoc(documented) or "").partition("\n\n")[0].split())
    return re.split(r"(?<=[.!])\s+(?=[A-Z`])", paragraph)[0]


LAYERS = layers()

if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    print(f"{PAGE}: {len(OPERATIONS)} operations")
