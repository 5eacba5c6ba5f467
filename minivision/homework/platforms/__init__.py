"""An exercise in the forms that course platforms take, all from its one source.

    minivision homework build relu --target nbgrader --out course

| target     | what is written                                 | what to do with it                                         |
|------------|-------------------------------------------------|------------------------------------------------------------|
| student    | relu.py, relu.ipynb                             | hand it out                                                |
| solution   | relu_solution.py, relu_solution.ipynb           | keep it                                                    |
| nbgrader   | source/relu/relu.ipynb                          | `nbgrader generate_assignment relu` in the course's folder |
| otter      | otter/relu/relu.ipynb                           | `otter assign relu.ipynb dist`                             |
| gradescope | relu_gradescope.zip                             | upload it as the autograder                                |

Nothing that was changed by hand is overwritten.
"""

from minivision.homework.platforms.targets import TARGETS, Built, build

__all__ = ["TARGETS", "Built", "build"]
