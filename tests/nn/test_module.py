"""Module: registration, walking, state, modes, moving, hooks, repr."""

from __future__ import annotations

import copy
import gc
import weakref

import numpy as np
import pytest

import minivision as mv
from minivision import nn
from tests.helpers import assert_close


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 3, 3)
        self.stack = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
        self.scale = nn.Parameter(mv.ones(1))
        self.register_buffer("offset", mv.zeros(1))
        self.register_buffer("scratch", mv.zeros(1), persistent=False)
        self.note = "not state"

    def forward(self, x):
        return self.stack(self.first(x)) * self.scale + self.offset


NAMES = [
    "scale", "offset", "first.weight", "first.bias", "stack.0.weight", "stack.0.bias", "stack.0.running_mean",
    "stack.0.running_var", "stack.0.num_batches_tracked",
]  # fmt: skip


def test_assignment_registers_and_names_are_dotted():
    net = Net()
    assert list(net.state_dict()) == NAMES
    assert [n for n, _ in net.named_parameters()] == ["scale", "first.weight", "first.bias", "stack.0.weight", "stack.0.bias"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "stack", "stack.0", "stack.1"]
    assert [n for n, _ in net.named_children()] == ["first", "stack"]
    assert "scratch" in dict(net.named_buffers())
    assert net.get_submodule("stack.0") is net.stack[0]


def test_reassigning_and_deleting():
    net = Net()
    net.first = nn.Identity()
    assert "first.weight" not in net.state_dict()
    with pytest.raises(TypeError, match=r"Net\.scale is a Parameter and cannot become Tensor"):
        net.scale = mv.ones(1)
    net.offset = mv.ones(1) * 5
    assert net.state_dict()["offset"].item() == 5
    net.stack = None
    assert net.stack is None
    del net.scale
    with pytest.raises(AttributeError, match="Net has no attribute 'scale'"):
        _ = net.scale


def test_a_module_that_forgot_its_super_init_says_so():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.ReLU()

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\) before assigning 'layer'"):
        Forgetful()


def test_shared_modules_and_parameters_count_once():
    shared = nn.Linear(2, 2)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    assert len(list(net.parameters())) == 2
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = mv.ones(1, 2)
    net(x).sum().backward()
    assert shared.weight.grad is not None


def test_state_dict_shares_memory_and_load_copies_into_it():
    net, other = Net(), Net()
    state = net.state_dict()
    weight = net.first.weight
    net.load_state_dict({k: v.numpy().copy() for k, v in other.state_dict().items()})
    assert net.first.weight is weight
    assert_close(state["first.weight"], other.first.weight.detach())
    assert state["first.weight"].requires_grad is False


def test_load_reports_everything_at_once_and_changes_nothing():
    net = Net()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    bad = {k: v.numpy() + 1 for k, v in net.state_dict().items()}
    del bad["scale"]
    bad["extra"] = np.zeros(1)
    bad["first.bias"] = np.zeros(7)
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(bad)
    for part in (
        "this Net",
        "missing: scale",
        "unexpected: extra",
        "first.bias has shape (7,) in the state, but (3,) in the model",
    ):
        assert part in str(error.value)
    for name, value in net.state_dict().items():
        assert_close(value, before[name], rtol=0, atol=0)
    del bad["first.bias"]
    assert net.load_state_dict(bad, strict=False) == (["scale", "first.bias"], ["extra"])


def test_loading_counts_as_an_in_place_change():
    net = nn.Linear(2, 1)
    loss = (net(mv.ones(1, 2)) ** 2).sum()
    net.load_state_dict({k: v.numpy() * 2 for k, v in net.state_dict().items()})
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_train_and_eval_reach_everything():
    net = Net().eval()
    assert not any(m.training for m in net.modules())
    assert net.train().stack[0].training


def test_to_moves_and_converts_in_place(device):
    net = Net()
    weight = net.first.weight
    net(mv.ones(1, 2, 4, 5)).sum().backward()
    assert net.to(device) is net
    assert net.first.weight is weight
    assert str(net.device).startswith(device)
    assert weight.grad.device == weight.device
    net.double()
    assert weight.dtype == np.float64
    assert weight.grad.dtype == np.float64
    assert net.stack[0].num_batches_tracked.dtype == np.int64
    y = net(mv.ones(1, 2, 4, 5, dtype=np.float64).to(device))
    assert y.dtype == np.float64
    assert y.device == weight.device
    net.cpu().float()
    assert weight.dtype == np.float32
    with pytest.raises(TypeError, match="int64 is not floating"):
        net.to(mv.int64)


def test_cuda_without_a_gpu_says_so_and_moves_nothing(monkeypatch):
    monkeypatch.setattr(mv.backend, "cupy", lambda: None)
    net = Net()
    with pytest.raises(RuntimeError, match=r"device 'cuda': no GPU answers .*use device='cpu'"):
        net.cuda()
    assert net.device == "cpu"


def test_zero_grad_and_requires_grad():
    net = Net()
    net(mv.ones(2, 2, 4, 5)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert float(net.scale.grad.abs().sum()) == 0
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.first.requires_grad_(False)
    net(mv.ones(2, 2, 4, 5)).sum().backward()
    assert net.first.weight.grad is None
    assert net.scale.grad is not None


def test_forward_hooks_see_and_may_replace():
    net = nn.Sequential(nn.ReLU(), nn.Identity())
    seen = []
    handle = net[0].register_forward_hook(lambda m, inputs, output: seen.append((type(m).__name__, float(inputs[0].sum()))))
    pre = net[0].register_forward_pre_hook(lambda m, inputs: (inputs[0] + 1,))
    late = net.register_forward_hook(lambda m, inputs, output: output * 10)
    assert net(mv.tensor([1.0])).item() == 20
    assert seen == [("ReLU", 2.0)]
    for h in (handle, pre, late):
        h.remove()
    assert net(mv.tensor([1.0])).item() == 1
    assert len(seen) == 1


def test_full_backward_hooks_see_both_ends_and_may_replace(rng):
    inner, outer = nn.Linear(3, 2).double(), nn.Linear(2, 1).double()
    seen = []
    handle = inner.register_full_backward_hook(lambda m, gi, go: seen.append((gi[0].numpy().copy(), go[0].numpy().copy())))
    x = mv.tensor(rng.normal(size=(4, 3)), requires_grad=True)
    outer(inner(x)).sum().backward()
    ((grad_input, grad_output),) = seen
    assert_close(grad_output, np.ones((4, 1)) @ outer.weight.detach().numpy())
    assert_close(grad_input, grad_output @ inner.weight.detach().numpy())
    assert_close(x.grad, grad_input)
    handle.remove()

    inner.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10,))
    x.grad = None
    outer(inner(x)).sum().backward()
    assert_close(x.grad, 10 * grad_input)


def test_a_backward_hook_on_the_first_layer_has_no_gradient_to_its_input():
    layer, seen = nn.Conv2d(1, 2, 3), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].shape)))
    layer(mv.ones(1, 1, 4, 5)).sum().backward()
    assert seen == [((None,), (1, 2, 2, 3))]
    assert layer.weight.grad is not None
    with mv.no_grad():
        layer(mv.ones(1, 1, 4, 5))
    assert len(seen) == 1


def test_apply_visits_children_first():
    order = []
    Net().apply(lambda m: order.append(type(m).__name__))
    assert order == ["Conv2d", "BatchNorm2d", "ReLU", "Sequential", "Net"]


def test_deepcopy_is_independent():
    net = Net()
    twin = copy.deepcopy(net)
    with mv.no_grad():
        twin.scale.fill_(9)
    assert net.scale.item() == 1
    assert isinstance(twin.scale, nn.Parameter)
    assert list(twin.state_dict()) == NAMES


def test_a_network_is_freed_without_the_cycle_collector():
    gc.disable()
    try:
        net = Net()
        reference = weakref.ref(net.first.weight)
        loss = net(mv.ones(1, 2, 4, 5)).sum()
        del net, loss
        assert reference() is None
    finally:
        gc.enable()


def test_repr_shows_the_tree():
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Conv2d(2, 3, kernel_size=(3, 3), stride=(1, 1))\n"
        "  (stack): Sequential(\n"
        "    (0): BatchNorm2d(3, eps=1e-05, momentum=0.1)\n"
        "    (1): ReLU()\n"
        "  )\n"
        ")"
    )


def test_containers():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    seq = nn.Sequential(a, b).append(c)
    assert list(seq) == [a, b, c]
    assert list(seq[1:]) == [b, c]
    assert seq[-1] is c
    assert list(nn.Sequential({"x": a, "y": b})._modules) == ["x", "y"]
    modules = nn.ModuleList([a])
    modules.extend([b])
    modules.insert(0, c)
    assert list(modules) == [c, a, b]
    modules[-1] = a
    assert modules[2] is a
    assert len(modules[:2]) == 2
    named = nn.ModuleDict({"one": a, "two": b})
    del named["one"]
    assert list(named.items()) == [("two", b)]
    assert "two" in named
    for make in (lambda: nn.Sequential(3), lambda: nn.ModuleList([None]), lambda: nn.ModuleDict({"a": "b"})):
        with pytest.raises(TypeError, match="not a Module"):
            make()


def test_full_backward_hooks_see_nested_outputs(rng):
    """An LSTM returns (y, (h, c)): the hook sees the gradients of all three."""
    layer, seen = nn.LSTM(3, 4), []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi[0].shape, [g.shape for g in go])))
    x = mv.Tensor(rng.standard_normal((5, 2, 3)).astype(np.float32), requires_grad=True)
    y, (h, _) = layer(x)
    (y.sum() + h.sum()).backward()
    assert seen == [((5, 2, 3), [(5, 2, 4), (1, 2, 4), (1, 2, 4)])]
