"""One or more gradient checks for every Function: how to make it, and its inputs. `test_gradients.py` runs them.

A new operation without an entry here fails the suite.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minivision.autograd import Function
from minivision.backend import device_of
from minivision.functions import (
    activation,
    arithmetic,
    clamping,
    conversion,
    convolution,
    dropout,
    fused,
    linear,
    loss,
    normalization,
    norms,
    padding,
    pooling,
    reduction,
    shape,
    upsampling,
)
from tests.helpers import tie_free

Put = Callable[[Any], Any]


@dataclass(frozen=True)
class GradientCase:
    """`make(put)` gives a new instance, with arrays it needs brought to the device by `put`; `shapes` are its inputs'.

    Inputs are random values between `low` and `high`, all different and none near 0.
    """

    name: str
    make: Callable[[Put], Function]
    shapes: tuple[tuple[int, ...], ...]
    low: float = -1.0
    high: float = 1.0
    values: tuple[Any, ...] = field(default=())

    def inputs(self, rng: np.random.Generator) -> list[np.ndarray]:
        if self.values:
            return [np.array(v, np.float64) for v in self.values]
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        return [tie_free(s, rng) * half + middle for s in self.shapes]


def case(
    name: str, function: Callable[..., Function], *shapes: tuple[int, ...], args: tuple[Any, ...] = (), **kw: Any
) -> GradientCase:
    return GradientCase(name, lambda put: function(*(put(a) if isinstance(a, np.ndarray) else a for a in args)), shapes, **kw)


ROWS = np.array([2, 0, 2])
MASK = np.arange(12).reshape(3, 4) % 5 == 1
EVERY = slice(None)

SEGMENTATION = [
    # broadcast operands
    case("equal", arithmetic.Add, (3, 4), (3, 4)),
    case("broadcast", arithmetic.Add, (2, 3, 4), (3, 1)),
    case("broadcast", arithmetic.Sub, (4,), (2, 3, 4)),
    case("broadcast", arithmetic.Mul, (3, 1), (1, 4)),
    case("scalar", arithmetic.Mul, (), (2, 3)),
    case("broadcast", arithmetic.Div, (3, 1), (2, 1, 4), low=0.5, high=2.0),
    case("broadcast", arithmetic.Pow, (2, 3), (3,), low=0.5, high=2.0),
    case("cube", arithmetic.Power, (2, 3), args=(3,)),
    case("fraction", arithmetic.Power, (2, 3), args=(-0.5,), low=0.5, high=2.0),
    case("zero", arithmetic.Power, (2, 3), args=(0,)),
    case("broadcast", arithmetic.Maximum, values=([[0.1], [0.9]], [0.5, -0.5, 0.7])),
    case("broadcast", arithmetic.Minimum, values=([[0.1], [0.9]], [0.5, -0.5, 0.7])),
    case("broadcast", arithmetic.Where, (4,), (3, 1), args=(MASK,)),
    # one operand
    case("", arithmetic.Neg, (3, 4)),
    case("", arithmetic.Exp, (3, 4)),
    case("", arithmetic.Log, (3, 4), low=0.5, high=2.0),
    case("", arithmetic.Sqrt, (3, 4), low=0.5, high=2.0),
    case("", arithmetic.Abs, (3, 4)),
    case("", arithmetic.Sin, (3, 4)),
    case("", arithmetic.Cos, (3, 4)),
    case("both", clamping.Clamp, (3, 5), args=(-0.51, 0.43)),
    case("one side", clamping.Clamp, (3, 5), args=(None, 0.43)),
    case("", arithmetic.Rounding, (3, 5), args=("floor",)),
    # reductions
    case("all", reduction.Sum, (2, 3, 4), args=((0, 1, 2),)),
    case("some", reduction.Sum, (2, 3, 4), args=((0, 2),)),
    case("keepdim", reduction.Mean, (2, 3, 4), args=((1,), True)),
    case("all", reduction.Mean, (2, 3), args=((0, 1),)),
    case("unbiased", reduction.Var, (2, 3, 4), args=((0, 2), False, 1)),
    case("biased", reduction.Var, (2, 3), args=((0, 1), True, 0)),
    case("", reduction.Std, (2, 3, 4), args=((1,), False, 1)),
    case("", reduction.Amax, (2, 3, 4), args=((0, 2),)),
    case("", reduction.Amin, (2, 3, 4), args=((1,), True)),
    case("", reduction.MaxAlong, (2, 3, 4), args=(1, False)),
    case("keepdim", reduction.MaxAlong, (2, 3, 4), args=(2, True)),
    case("", reduction.MinAlong, (2, 3, 4), args=(0, False)),
    case("", reduction.LogSumExp, (2, 3, 4), args=((0, 2),)),
    case("", norms.Norm, (2, 3, 4), args=((1,),)),
    case("all", norms.Norm, (2, 3), args=((0, 1), True)),
    # shape
    case("", shape.Reshape, (2, 3, 4), args=((4, 6),)),
    case("", shape.Permute, (2, 3, 4), args=((2, 0, 1),)),
    case("", shape.Expand, (3, 1), args=((2, 3, 4),)),
    case("slices", shape.Index, (3, 4), args=((slice(None, None, 2), slice(1, 3)),)),
    case("integer", shape.Index, (3, 4), args=((1, ..., None),)),
    GradientCase("mask", lambda put: shape.Index((put(MASK),)), ((3, 4),)),
    GradientCase("duplicates", lambda put: shape.Index((put(ROWS),)), ((3, 4),)),
    GradientCase("integer and duplicates", lambda put: shape.Index((1, EVERY, put(ROWS))), ((2, 3, 4),)),
    GradientCase("two arrays", lambda put: shape.Index((put(ROWS[:, None]), EVERY, put(ROWS))), ((3, 2, 4),)),
    case("", shape.Cat, (2, 1, 4), (2, 3, 4), (2, 2, 4), args=(1,)),
    case("", shape.Flip, (2, 3, 4), args=((0, 2),)),
    # products
    case("", linear.MatMul, (3, 4), (4, 2)),
    case("batches", linear.MatMul, (2, 1, 3, 4), (3, 4, 2)),
    case("", linear.Linear, (5, 3), (4, 3), (4,)),
    case("no bias, more axes", linear.Linear, (2, 5, 3), (4, 3)),
    # activations
    case("", activation.ReLU, (3, 5)),
    case("", activation.LeakyReLU, (3, 5), args=(0.2,)),
    case("", activation.Sigmoid, (3, 5)),
    case("", activation.Tanh, (3, 5)),
    case("", activation.Softmax, (2, 3, 4), args=(1,)),
    case("", activation.LogSoftmax, (2, 3, 4), args=(1,)),
    # convolution: H != W, kh != kw, N = 2, channels differ
    case("", convolution.Convolution, (2, 3, 5, 6), (4, 3, 3, 2), (4,)),
    case("stride, padding, dilation", convolution.Convolution, (2, 2, 7, 6), (3, 2, 3, 2), (3,), args=((2, 3), (1, 2), (2, 1))),
    case("groups, no bias", convolution.Convolution, (2, 4, 5, 4), (6, 2, 3, 2), args=((1, 2), (1, 0), 1, 2)),
    case("same: asymmetric", convolution.Convolution, (2, 2, 4, 5), (3, 2, 2, 4), args=(1, "same")),
    case("1-d", convolution.Convolution, (2, 3, 7), (2, 3, 4), (2,), args=(2, 1)),
    case("3-d", convolution.Convolution, (1, 2, 3, 4, 3), (2, 2, 2, 3, 2), args=((1, 2, 1), (1, 0, 0), (1, 1, 2))),
    case("", convolution.TransposedConvolution, (2, 3, 3, 4), (3, 2, 2, 3), (2,)),
    case("stride, padding", convolution.TransposedConvolution, (2, 3, 3, 4), (3, 2, 3, 4), (2,), args=((2, 3), 1)),
    case("output_padding, groups", convolution.TransposedConvolution, (2, 4, 3, 2), (4, 1, 3, 2),
         args=((2, 3), (1, 0), (1, 2), 2)),
    case("output_padding >= stride", convolution.TransposedConvolution, (1, 2, 3, 2), (2, 2, 2, 2),
         args=((1, 2), (0, 1), (2, 3), 1, (3, 4))),
    # pooling
    case("overlapping", pooling.MaxPool, (2, 2, 5, 7), args=((3, 2), (2, 1), (1, 0))),
    case("dilated, ceil", pooling.MaxPool, (1, 2, 6, 5), args=(2, 2, 0, (2, 3), True)),
    case("overlapping", pooling.AvgPool, (2, 2, 5, 6), args=((3, 2), (2, 1), (1, 0))),
    # upsampling, padding
    case("bilinear", upsampling.Interpolate, (2, 2, 3, 4),
         args=([upsampling.linear_weights(3, 5, False), upsampling.linear_weights(4, 3, True)],)),
    case("nearest", upsampling.Interpolate, (2, 2, 3, 4),
         args=([upsampling.nearest_weights(3, 7), upsampling.nearest_weights(4, 2)],)),
    case("", padding.ConstantPad, (2, 3, 4), args=([(0, 0), (1, 2), (2, 0)], 1.5)),
    case("crop", padding.ConstantPad, (2, 3, 4), args=([(0, 0), (-1, 2), (-1, -2)], 0)),
    case("", padding.ReflectPad, (2, 3, 4), args=([(0, 0), (2, 1), (0, 3)],)),
    # normalisation
    case("", normalization.BatchNorm, (3, 2, 2, 3), (2,), (2,), args=(1e-3,)),
    case("no parameters", normalization.BatchNorm, (5, 3), args=(1e-3,)),
    case("", normalization.GroupNorm, (2, 4, 2, 3), (4,), (4,), args=(2, 1e-3)),
    case("no positions", normalization.GroupNorm, (2, 6), (6,), args=(2, 1e-3)),
    case("", normalization.FixedNorm, (2, 3, 2, 2), (3,), (3,),
         args=(np.array([0.1, 0.2, 0.3]), np.array([0.5, 1.0, 2.0]), 1e-3)),
    # several in one
    case("", normalization.BatchNormReLU, (3, 2, 2, 3), (2,), (2,), args=(1e-3,)),
    case("", normalization.GroupNormReLU, (2, 4, 2, 3), (4,), (4,), args=(2, 1e-3)),
    case("", normalization.FixedNormReLU, (2, 3, 2, 2), (3,), (3,),
         args=(np.array([0.1, 0.2, 0.3]), np.array([0.5, 1.0, 2.0]), 1e-3)),
    case("", fused.ConvolutionReLU, (2, 3, 5, 6), (4, 3, 3, 2), (4,)),
    case("groups, no bias", fused.ConvolutionReLU, (2, 4, 5, 4), (6, 2, 3, 2), args=((1, 2), (1, 0), 1, 2)),
    case("", fused.ConvolutionNorm, (2, 2, 4, 3), (3, 2, 3, 2), (3,),
         args=(np.array([0.1, 0.2, 0.3]), np.array([0.5, 1.0, 2.0]), np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.1, 0.2]),
               1e-3, True)),
    case("no ReLU, no bias", fused.ConvolutionNorm, (2, 2, 4, 3), (3, 2, 3, 2),
         args=(np.array([0.1, 0.2, 0.3]), np.array([0.5, 1.0, 2.0]), None, None, 1e-3, False, (1, 1))),
    # losses, dropout, conversion
    *[
        case(f"{reduction_} {smoothing}", loss.CrossEntropy, (2, 3, 2, 2),
             args=(np.array([[[0, -1], [2, 1]], [[1, 1], [-1, 0]]]), np.array([0.5, 1.0, 2.0]), None, smoothing, reduction_))
        for reduction_ in ("mean", "sum", "none") for smoothing in (0.0, 0.2)
    ],
    case("pixel weights", loss.CrossEntropy, (2, 3, 2),
         args=(np.array([[0, 1], [-1, 2]]), None, np.array([[1.0, 2.0], [3.0, 4.0]]), 0.1, "mean")),
    case("", loss.SoftCrossEntropy, (2, 3, 2), (2, 3, 2), low=0.1),
    case("", dropout.Dropout, (3, 4), args=(0.25, MASK)),
    case("", conversion.Cast, (3, 4), args=(np.dtype(np.float64),)),
    case("", conversion.Clone, (3, 4)),
    case("", conversion.Contiguous, (3, 4)),
    GradientCase("", lambda put: conversion.Transfer(device_of(put(MASK))), ((3, 4),)),
]  # fmt: skip


def collected() -> list[GradientCase]:
    """These cases, and those of the other topics: `CASES` of every module tests/functions/cases_TOPIC.py."""
    import tests.functions as package

    others = [m.name for m in pkgutil.iter_modules(package.__path__) if m.name.startswith("cases_")]
    found = [importlib.import_module(f"tests.functions.{name}").CASES for name in sorted(others)]
    return SEGMENTATION + [case for cases in found for case in cases]
