"""Neighbouring layers computed as one operation, where nobody can tell.

A convolution and the ReLU behind it, or a normalisation and its ReLU, read and write the same array one after the other.
`Sequential` lets one operation do both (see `functions/fused.py`): the values and the gradients are those of the parts, but for
rounding.

Somebody could tell if he looked at what passes between the two layers. So they stay apart when one of them has a hook, is of a
class derived from the layer, or got a `forward` of its own; and `with fusion(False):` keeps all layers apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

from minivision.autograd import is_grad_enabled
from minivision.functions.fused import ConvolutionNorm, ConvolutionReLU
from minivision.functions.operands import check_flags
from minivision.nn.convolution import Conv1d, Conv2d, Conv3d
from minivision.nn.layers import ReLU
from minivision.nn.module import Module
from minivision.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm

CONVOLUTIONS = (Conv1d, Conv2d, Conv3d)
BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)  # of the convolutions' outputs, in the same order

_fusing: ContextVar[bool] = ContextVar("fusion", default=True)


@contextmanager
def fusion(enabled: bool = True) -> Iterator[None]:
    """Whether `Sequential` computes neighbouring layers as one operation where it can: `with fusion(False): y = net(x)`.

    The results are the same but for rounding; what changes is the time and the memory they take.
    """
    check_flags("fusion", enabled=enabled)
    token = _fusing.set(enabled)
    try:
        yield
    finally:
        _fusing.reset(token)


def run_in_order(modules: Sequence[Module], input: Any) -> Any:
    """The modules applied one after the other."""
    fusing = _fusing.get()
    at = 0
    while at < len(modules):
        together = _together(modules[at : at + 3]) if fusing else None
        if together is None:
            input = modules[at](input)
            at += 1
        else:
            operation, taken = together
            input = operation(input)
            at += taken
    return input


def _together(modules: Sequence[Module]) -> tuple[Any, int] | None:
    """An operation that stands for the first few of the modules, and for how many; None if there is none."""
    first = modules[0]
    if len(modules) < 2 or not _unseen(first, *CONVOLUTIONS, *BATCH_NORMS, GroupNorm):
        return None
    second: Any = modules[1]
    if type(first) not in CONVOLUTIONS:
        return (first.fused, 2) if _unseen(second, ReLU) else None
    if first.padding_mode != "zeros":
        return None
    if _unseen(second, ReLU):
        return partial(first.fused, kind=ConvolutionReLU), 2
    if _unseen(second, BATCH_NORMS[CONVOLUTIONS.index(type(first))]) and _is_constant(second, first):
        relu = len(modules) > 2 and _unseen(modules[2], ReLU)
        return partial(first.fused, kind=partial(_with_norm, second, relu)), 3 if relu else 2
    return None


def _unseen(module: Module, *classes: type[Module]) -> bool:
    """Whether it is one of these layers as they come, and nobody watches it."""
    return (
        type(module) in classes
        and not (module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)
        and "forward" not in vars(module)
    )


def _is_constant(norm: Any, convolution: Any) -> bool:
    """Whether the norm multiplies and adds constants to the convolution's output: in evaluation, without gradients of its own."""
    tensors = [t for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias) if t is not None]
    return (
        not norm.training
        and norm.running_mean is not None
        and norm.num_features == convolution.out_channels
        and all(t.dtype == convolution.weight.dtype and t.device == convolution.weight.device for t in tensors)
        and not (is_grad_enabled() and any(t.requires_grad for t in tensors))
    )


def _with_norm(norm: Any, relu: bool, *settings: Any) -> ConvolutionNorm:
    weight, bias = (None if t is None else t.array for t in (norm.weight, norm.bias))
    return ConvolutionNorm(norm.running_mean.array, norm.running_var.array, weight, bias, norm.eps, relu, settings)
