"""The backward walk: from the outputs to the leaves, each node once, after everything that depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minivision.autograd.function import Function
from minivision.autograd.grad_mode import enable_grad
from minivision.autograd.tensor import Tensor
from minivision.backend import check_same_device, xp_of

Node = Function | Tensor  # an operation, or a leaf that collects its gradient
Edge = tuple[Node, int]
Rule = Callable[..., Any]  # (node, gradient of each output as a Tensor) -> gradients of its inputs, by recorded operations


def run_backward(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor],
    retain_graph: bool = False,
    wanted: Sequence[Tensor] | None = None,
    create_graph: bool = False,
) -> list[Tensor | None]:
    """Propagate `gradients` from `outputs` back through the graph.

    Without `wanted`, gradients are added to the `.grad` of the leaves. With it, they are returned, one per wanted tensor (None
    for one the outputs do not depend on), no `.grad` is touched, and nodes that lead to none of them are left out.

    The walk carries arrays, and each node runs its `backward`. With `create_graph` it carries Tensors, and each node follows its
    rule, whose operations are recorded: so the gradients have a graph of their own.
    """
    roots = [output._edge() for output in outputs]
    waiting = _count_uses(node for node, _ in roots)
    targets = [tensor._edge() for tensor in wanted or ()]
    useful = None if wanted is None else _leading_to([node for node, _ in targets], waiting)
    rules: dict[Node, Rule] = {}
    if create_graph:  # looked up before anything is accumulated
        rules = {node: _rule_of(node) for node in waiting if isinstance(node, Function) and any(_edges(node, useful))}

    # The gradients that arrived so far: node -> output index -> (gradient, whether the array is ours to add to in place)
    pending: dict[Node, dict[int, tuple[Any, bool]]] = {}
    found: dict[Edge, Tensor | None] = dict.fromkeys(targets)
    for (node, index), gradient in zip(roots, gradients, strict=True):
        _add(pending, node, index, gradient if create_graph else gradient.array)
    ready: list[Node] = list(dict.fromkeys(node for node, _ in roots if waiting[node] == 0))

    while ready:
        node = ready.pop()
        del waiting[node]
        arrived = {i: _through_hooks(node, i, gradient) for i, (gradient, _) in pending.pop(node, {}).items()}
        for index, gradient in arrived.items():
            if (node, index) in found:
                found[node, index] = _as_tensor(gradient)
        if isinstance(node, Tensor):
            if arrived and wanted is None:
                node._accumulate(_as_tensor(arrived[0]))
            continue
        edges = _edges(node, useful)
        if arrived and (any(edges) or not edges):
            results = node._run_backward(arrived, rules.get(node), [edge is not None for edge in edges])
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
    return [found[edge] for edge in targets]


def _count_uses(roots: Iterable[Node]) -> dict[Node, int]:
    """For every node reachable from the roots, how many recorded uses of its outputs wait to send a gradient."""
    uses: dict[Node, int] = dict.fromkeys(roots, 0)
    stack = list(uses)
    while stack:
        for edge in _edges(stack.pop()):
            if edge is not None:
                if edge[0] not in uses:
                    uses[edge[0]] = 0
                    stack.append(edge[0])
                uses[edge[0]] += 1
    return uses


def _leading_to(targets: Iterable[Node], nodes: Iterable[Node]) -> set[Node]:
    """The targets and those of the nodes from which the walk comes to one of them."""
    users: dict[Node, list[Node]] = {}
    freed: list[Node] = []
    for node in nodes:
        for edge in _edges(node):
            if edge is not None:
                users.setdefault(edge[0], []).append(node)
        if isinstance(node, Function) and not node.edges:
            freed.append(node)  # may have led to a target, and will say that it was freed
    stack = [*targets, *freed]
    leading = set(stack)
    while stack:
        for node in users.get(stack.pop(), ()):
            if node not in leading:
                leading.add(node)
                stack.append(node)
    return leading


def _edges(node: Node, useful: set[Node] | None = None) -> Sequence[Edge | None]:
    """Where the gradient of each input goes: None for an input that needs none, or leads to no useful node."""
    if isinstance(node, Tensor):
        return ()
    if useful is None:
        return node.edges or ()
    return [edge if edge is not None and edge[0] in useful else None for edge in node.edges or ()]


def _add(pending: dict[Node, dict[int, tuple[Any, bool]]], node: Node, index: int, gradient: Any) -> None:
    gradients = pending.setdefault(node, {})
    if index not in gradients:
        gradients[index] = (gradient, False)
        return
    total, ours = gradients[index]
    if isinstance(total, Tensor):
        total = total + gradient  # recorded
    elif ours:
        total += gradient
    else:
        total = xp_of(total).asarray(total + gradient)
    gradients[index] = (total, True)


def _through_hooks(node: Node, index: int, gradient: Any) -> Any:
    hooks = node._hooks if isinstance(node, Tensor) else node.hooks
    for hook in list((hooks or {}).get(index, ())):
        replacement = hook(_as_tensor(gradient))
        if replacement is not None:
            gradient = replacement if isinstance(gradient, Tensor) else replacement.array
    return gradient


def _as_tensor(gradient: Any) -> Tensor:
    return gradient if isinstance(gradient, Tensor) else Tensor._wrap(gradient)


# ---- the rules of create_graph: this floor knows no operation, so the one above brings them ----


def _without_rules(node: Function) -> Rule:
    raise NotImplementedError(f"create_graph=True: {node.name} has no rule, since minivision.functions is not imported")


_rule_of: Callable[[Function], Rule] = _without_rules


def take_rules_from(find: Callable[[Function], Rule]) -> None:
    """Ask `find` for the rule of an operation from now on; it raises NotImplementedError for one that has none."""
    global _rule_of
    _rule_of = find


# ---- what users call ----


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of `outputs` with respect to `inputs`, returned instead of being added to `.grad`, as `torch.autograd.grad`.

    With `create_graph` the gradients are tensors with a graph of their own, to be differentiated again: for a penalty on the
    length of a gradient, or the product of a Hessian with a vector, `grad(grad(loss, w, create_graph=True)[0], w, vector)`.
    `retain_graph` keeps the graph of the outputs for another backward; it is `create_graph` when not given.

    Raises RuntimeError when an input does not require a gradient, or is not part of the graph (unless `allow_unused`), and
    NotImplementedError when `create_graph` meets an operation without a rule for it.
    """
    outs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    ins = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    given: list[Any] = (
        [None] * len(outs) if grad_outputs is None else [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    )
    for i, x in enumerate(ins):
        if not x.requires_grad:
            raise RuntimeError(f"grad: input {i} of shape {x.shape} does not require a gradient; call .requires_grad_() first")
    found = _walk(outs, given, retain_graph, create_graph, wanted=ins)
    for i, gradient in enumerate(found):
        if gradient is None and not allow_unused:
            raise RuntimeError(
                f"grad: the outputs do not depend on input {i} of shape {ins[i].shape}; pass allow_unused=True to get None for it"
            )
    return tuple(found)


def backward(tensor: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
    """`Tensor.backward`: see there."""
    _walk([tensor], [gradient], retain_graph, create_graph)


def _walk(
    outputs: Sequence[Tensor], given: Sequence[Any], retain_graph: bool | None, create_graph: bool, wanted: Any = None
) -> list[Tensor | None]:
    upstream = [upstream_gradient(y, g) for y, g in zip(outputs, given, strict=True)]
    retain = create_graph if retain_graph is None else retain_graph
    if not create_graph:
        return run_backward(outputs, upstream, retain, wanted)
    with enable_grad():
        return run_backward(outputs, upstream, retain, wanted, create_graph=True)


def upstream_gradient(tensor: Tensor, gradient: Any) -> Tensor:
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
        return Tensor._wrap(xp.ones_like(tensor.array))
    given = gradient if isinstance(gradient, Tensor) else Tensor._wrap(xp.asarray(gradient, dtype=tensor.dtype))
    check_same_device("backward", {"the tensor": tensor.array, "gradient": given.array})
    if given.shape != tensor.shape:
        raise RuntimeError(f"backward: gradient has shape {given.shape}, but the tensor has shape {tensor.shape}")
    if given.dtype != tensor.dtype:
        raise RuntimeError(f"backward: gradient is {given.dtype}, but the tensor is {tensor.dtype}; convert one with .to(dtype)")
    return given
