"""The backward walk: from the outputs to the leaves, each node once, after everything that depends on it.

Operations are numbered as they are recorded, so an operation has a higher number than those that made its inputs. The walk
always goes on with the highest number among the nodes that a gradient has arrived at: then no other gradient is still to come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

from minivision.autograd.function import Edge, Function
from minivision.autograd.grad_mode import enable_grad
from minivision.autograd.tensor import LARGE, Tensor, add_in_place
from minivision.backend import Array, check_same_device, xp_of
from minivision.memory import GRAIN, sole_owner
from minivision.threads import one_blas_thread

Node = Function | Tensor  # an operation, or a leaf that collects its gradient
Gradients = dict[int, Any]  # by output of a node: an array, or a Tensor with create_graph
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
    targets = [tensor._edge() for tensor in wanted or ()]
    found: dict[Edge, Tensor | None] = dict.fromkeys(targets)
    useful: set[Node] | None = None
    rules: dict[Node, Rule] = {}
    if wanted is not None or create_graph:
        nodes = _reachable(node for node, _ in roots)
        useful = None if wanted is None else _leading_to([node for node, _ in targets], nodes)
        if create_graph:  # looked up before anything is accumulated
            rules = {node: _rule_of(node) for node in nodes if isinstance(node, Function) and any(_edges(node, useful))}

    arrived: dict[int, tuple[Function, Gradients]] = {}  # by the node's number
    numbers: list[int] = []  # the same numbers as a heap; negative, since a heap gives the smallest first
    leaves: dict[Tensor, Gradients] = {}  # those that wait for all of their gradient
    sums: set[Edge] = set()  # where the walk itself made the array that arrived, and may add to it
    edges: Sequence[Edge | None] = roots
    results = [gradient if create_graph else gradient.array for gradient in gradients]
    while True:
        # Send the results on. Each is popped, so that nothing here refers to it any longer and `sole_owner` can be true.
        for edge in reversed(edges):
            if edge is None or results[-1] is None:
                results.pop()
                continue
            node, index = edge
            if isinstance(node, Tensor):
                if wanted is None and node._hooks is None:
                    _store(node, results.pop())
                else:
                    _meet(leaves.setdefault(node, {}), edge, results.pop(), sums)
                continue
            number = node._number
            if number in arrived:
                _meet(arrived[number][1], edge, results.pop(), sums)
            else:
                arrived[number] = (node, {index: results.pop()})
                heappush(numbers, -number)
        if not numbers:
            break
        # Run the operation that was recorded last: all that its outputs went to has run by now.
        node, upstream = arrived.pop(-heappop(numbers))
        if node._hooks is not None:
            _through_hooks(node._hooks, upstream)
        if found:
            found.update({(node, i): _as_tensor(g) for i, g in upstream.items() if (node, i) in found})
        edges = (node.edges or ()) if useful is None else _edges(node, useful)
        if useful is not None and edges and not any(edges):
            edges = ()
            continue
        results = node._run_backward(upstream, rules.get(node) if create_graph else None, edges)
        upstream.clear()
        if not retain_graph:
            node._release()

    for leaf, upstream in leaves.items():
        if leaf._hooks is not None:
            _through_hooks(leaf._hooks, upstream)
        if wanted is None:
            _store(leaf, upstream.pop(0))
        elif (leaf, 0) in found:
            found[leaf, 0] = _as_tensor(upstream[0])
    return [found[edge] for edge in targets]


def _meet(there: Gradients, edge: Edge, gradient: Any, sums: set[Edge]) -> None:
    """Put a gradient where others of its node, or of the same output, may have arrived already: then their sum."""
    index = edge[1]
    total = there.pop(index, None)
    if total is None:
        total = gradient
    elif isinstance(total, Tensor):
        total = total + gradient  # recorded
    elif edge in sums or (total.size >= LARGE and sole_owner(total)):
        add_in_place(total, gradient)
    elif gradient.size >= LARGE and sole_owner(gradient):
        add_in_place(gradient, total)
        total = gradient
    else:
        total = xp_of(total).asarray(total + gradient)
        sums.add(edge)
    there[index] = total


def _store(leaf: Tensor, gradient: Any) -> None:
    """Add a gradient to the `.grad` of a leaf: the array itself where nobody else can know it, else a copy."""
    total = leaf.grad
    if isinstance(gradient, Tensor) or (total is not None and total._requires_grad):  # create_graph, now or before
        leaf._accumulate(_as_tensor(gradient))
    elif total is None:
        # to copy a small array takes no longer than to ask whose it is
        mine = gradient.size >= LARGE and sole_owner(gradient) and _is_compact(gradient)
        leaf.grad = Tensor._wrap(gradient if mine else gradient.copy(order="K"))
    else:
        add_in_place(total.array, gradient)


def _is_compact(array: Array) -> bool:
    """Whether an array keeps no more memory alive than it needs, as a part of a larger one would."""
    return array.base is None or array.base.nbytes < array.nbytes + GRAIN


def _reachable(roots: Iterable[Node]) -> dict[Node, None]:
    """Every node that the walk from the roots could come to, as a set that keeps its order."""
    nodes: dict[Node, None] = dict.fromkeys(roots)
    stack = list(nodes)
    while stack:
        for edge in stack.pop().edges or ():
            if edge is not None and edge[0] not in nodes:
                nodes[edge[0]] = None
                stack.append(edge[0])
    return nodes


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
    if useful is None:
        return node.edges or ()
    return [edge if edge is not None and edge[0] in useful else None for edge in node.edges or ()]


def _through_hooks(hooks: dict[int, list[Any]], gradients: Gradients) -> None:
    """Show each gradient to the hooks on its output, and replace it by what they return."""
    for index, gradient in gradients.items():
        for hook in list(hooks.get(index, ())):
            replacement = hook(_as_tensor(gradient))
            if replacement is not None:
                gradients[index] = gradient = replacement if isinstance(gradient, Tensor) else replacement.array


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
        with one_blas_thread():
            return run_backward(outputs, upstream, retain, wanted)
    with enable_grad(), one_blas_thread():
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
