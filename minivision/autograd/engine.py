"""The backward walk: from the outputs to the leaves, each node once, after everything that depends on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from minivision.autograd.function import Function
from minivision.autograd.tensor import Tensor
from minivision.backend import Array, check_same_device, xp_of

Node = Function | Tensor  # an operation, or a leaf that collects its gradient


def run_backward(
    outputs: Sequence[Tensor],
    gradients: Sequence[Array],
    retain_graph: bool = False,
    wanted: Sequence[Tensor] | None = None,
) -> list[Array | None]:
    """Propagate `gradients` from `outputs` back through the graph.

    Without `wanted`, gradients are added to the `.grad` of the leaves. With it, they are returned, one per wanted tensor (None
    for one the outputs do not depend on), and no `.grad` is touched.
    """
    roots = [output._edge() for output in outputs]
    waiting = _count_uses(node for node, _ in roots)

    # The gradients that arrived so far: node -> output index -> (gradient, whether the array is ours to add to in place)
    pending: dict[Node, dict[int, tuple[Array, bool]]] = {}
    places = {tensor._edge(): i for i, tensor in enumerate(wanted)} if wanted is not None else {}
    found: list[Array | None] = [None] * len(places)

    for (node, index), gradient in zip(roots, gradients, strict=True):
        _add(pending, node, index, gradient)
    ready: list[Node] = list(dict.fromkeys(node for node, _ in roots if waiting[node] == 0))

    while ready:
        node = ready.pop()
        del waiting[node]
        arrived = {i: _through_hooks(node, i, array) for i, (array, _) in pending.pop(node, {}).items()}
        for index, array in arrived.items():
            if (node, index) in places:
                found[places[node, index]] = array
        if isinstance(node, Tensor):
            if arrived and wanted is None:
                node._accumulate(arrived[0])
            continue
        edges = node.edges or ()
        if arrived:
            results = node._run_backward(arrived)
            for edge, result in zip(edges, results, strict=True):
                if edge is not None and result is not None:
                    _add(pending, *edge, result)
            del arrived, results
            if not retain_graph:
                node._release()
        for edge in edges:
            if edge is not None:
                waiting[edge[0]] -= 1
                if waiting[edge[0]] == 0:
                    ready.append(edge[0])
    return found


def _count_uses(roots: Iterable[Node]) -> dict[Node, int]:
    """For every node reachable from the roots, how many recorded uses of its outputs wait to send a gradient."""
    uses: dict[Node, int] = dict.fromkeys(roots, 0)
    stack = list(uses)
    while stack:
        node = stack.pop()
        for edge in () if isinstance(node, Tensor) else node.edges or ():
            if edge is not None:
                if edge[0] not in uses:
                    uses[edge[0]] = 0
                    stack.append(edge[0])
                uses[edge[0]] += 1
    return uses


def _add(pending: dict[Node, dict[int, tuple[Array, bool]]], node: Node, index: int, gradient: Array) -> None:
    gradients = pending.setdefault(node, {})
    if index not in gradients:
        gradients[index] = (gradient, False)
        return
    total, ours = gradients[index]
    if ours:
        total += gradient
    else:
        total = xp_of(total).asarray(total + gradient)
    gradients[index] = (total, True)


def _through_hooks(node: Node, index: int, array: Array) -> Array:
    hooks = node._hooks if isinstance(node, Tensor) else node.hooks
    for hook in list((hooks or {}).get(index, ())):
        replacement = hook(Tensor._wrap(array))
        if replacement is not None:
            array = replacement.array
    return array


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool = False,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of `outputs` with respect to `inputs`, returned instead of being added to `.grad`, as `torch.autograd.grad`.

    Raises RuntimeError when an input does not require a gradient, or is not part of the graph (unless `allow_unused`).
    """
    _no_double_backward(create_graph)
    outs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    ins = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    given: list[Any] = (
        [None] * len(outs) if grad_outputs is None else [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    )
    for i, x in enumerate(ins):
        if not x.requires_grad:
            raise RuntimeError(f"grad: input {i} of shape {x.shape} does not require a gradient; call .requires_grad_() first")
    upstream = [upstream_gradient(y, g) for y, g in zip(outs, given, strict=True)]
    found = run_backward(outs, upstream, retain_graph, wanted=ins)
    for i, array in enumerate(found):
        if array is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {i} of shape {ins[i].shape}; pass allow_unused=True to get None for it"
            )
    return tuple(None if array is None else Tensor._wrap(array) for array in found)


def backward(tensor: Tensor, gradient: Tensor | None = None, retain_graph: bool = False, create_graph: bool = False) -> None:
    """`Tensor.backward`: see there."""
    _no_double_backward(create_graph)
    run_backward([tensor], [upstream_gradient(tensor, gradient)], retain_graph)


def upstream_gradient(tensor: Tensor, gradient: Any) -> Array:
    """The gradient that enters `tensor`: the given one, checked, or 1 for a scalar."""
    if not tensor.requires_grad:
        raise RuntimeError(
            f"backward: the tensor of shape {tensor.shape} does not require a gradient: nothing that led to it was recorded "
            "(no input has requires_grad=True, or it was computed under no_grad() or after detach())"
        )
    xp = xp_of(tensor.array)
    if gradient is None:
        if tensor.array.size != 1:
            raise RuntimeError(
                f"backward: the tensor has shape {tensor.shape}, and only a scalar has an obvious gradient of 1; reduce it "
                "(.sum(), .mean()) or pass gradient=, a tensor of the same shape"
            )
        return xp.ones_like(tensor.array)
    array = gradient.array if isinstance(gradient, Tensor) else xp.asarray(gradient, dtype=tensor.dtype)
    check_same_device("backward", {"the tensor": tensor.array, "gradient": array})
    if array.shape != tensor.shape:
        raise RuntimeError(f"backward: gradient has shape {array.shape}, but the tensor has shape {tensor.shape}")
    if array.dtype != tensor.dtype:
        raise RuntimeError(f"backward: gradient is {array.dtype}, but the tensor is {tensor.dtype}; convert one with .to(dtype)")
    return array


def _no_double_backward(create_graph: bool) -> None:
    if create_graph:
        raise NotImplementedError(
            "create_graph=True: gradients of gradients are not supported; backward works on arrays and records no graph"
        )
