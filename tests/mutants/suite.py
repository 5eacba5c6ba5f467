"""All exercises."""

from __future__ import annotations

from tests.mutants import activations, affine, convolution, joining, normalization, pooling, roi, softmax, transposed, upsampling
from tests.mutants.exercise import Exercise, Solution

MODULES = (affine, activations, softmax, convolution, transposed, pooling, upsampling, normalization, joining, roi)
EXERCISES: list[Exercise] = [exercise for module in MODULES for exercise in module.EXERCISES]
RIGHT: list[Solution] = [solution for exercise in EXERCISES for solution in exercise.right]
WRONG: list[Solution] = [solution for exercise in EXERCISES for solution in exercise.wrong]
AT_KINKS: list[Solution] = [solution for exercise in EXERCISES for solution in exercise.at_kinks]
