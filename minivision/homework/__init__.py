"""Exercises with checks that name the mistake, hints, and the student's own operations inside real networks.

    minivision homework start relu          # writes relu.py
    minivision homework check relu.py

and in a notebook

    from minivision import homework

    homework.check("relu")                  # the functions defined in the notebook
    homework.hint("relu")
    with homework.use(relu=(relu_forward, relu_backward)):
        scores = unet(images)               # the network runs on the student's code

An exercise is one file in `exercises/`, from which all versions are made; `source` describes its form, `sandbox` says how the
student's code is run, and what that protects.
"""

from minivision.homework import expect
from minivision.homework.checking import Check, checked
from minivision.homework.class_view import class_view
from minivision.homework.exercise import Exercise, check, check_file, hint, list, load, start
from minivision.homework.grading import NotPassed, require
from minivision.homework.platforms import TARGETS, build
from minivision.homework.result import CheckResult, Result
from minivision.homework.use import use

__all__ = [
    "TARGETS",
    "Check",
    "CheckResult",
    "Exercise",
    "NotPassed",
    "Result",
    "build",
    "check",
    "check_file",
    "checked",
    "class_view",
    "expect",
    "hint",
    "list",
    "load",
    "require",
    "start",
    "use",
]
