"""The mistakes of single operations. First the operation is recognised from its numbers, whatever it is called: does some
stride and padding make a convolution of these inputs equal this output? Then the wrong gradient is compared with what each
known mistake would give.

One module for each topic. An operation is a class with `of(scene)`, which recognises it, and `mistakes(role, g)`, its table of
(sentence, wrong gradient).
"""

from __future__ import annotations

from minivision.check.mistakes.convolution import Convolution, TransposedConvolution
from minivision.check.mistakes.elementwise import Affine, LogSoftmax, Relu, Sigmoid, Softmax
from minivision.check.mistakes.joining import Concatenation
from minivision.check.mistakes.losses import BinaryCrossEntropy, CrossEntropy
from minivision.check.mistakes.normalization import Normalisation
from minivision.check.mistakes.operation import Mistake, Operation, Scene
from minivision.check.mistakes.pooling import AveragePooling, MaxPooling
from minivision.check.mistakes.roi import RoIAlign, RoIPool
from minivision.check.mistakes.upsampling import BedOfNails, Bilinear, MaxUnpooling, Nearest

OPERATIONS: list[type[Operation]] = [
    Relu, Sigmoid, Softmax, LogSoftmax, Affine, CrossEntropy, BinaryCrossEntropy, Convolution, TransposedConvolution,
    MaxUnpooling, Nearest, BedOfNails, MaxPooling, AveragePooling, Bilinear, Normalisation, Concatenation, RoIAlign, RoIPool,
]  # fmt: skip

__all__ = ["OPERATIONS", "Mistake", "Operation", "Scene", "recognise"]


def recognise(scene: Scene) -> Operation | None:
    """The operation that gives this output from these arguments, if it is a known one."""
    for kind in OPERATIONS:
        found = kind.of(scene)
        if found is not None:
            return found
    return None
