"""Every wrong call a student makes, and what minivision answers: one table per topic, to be read aloud.

`python -m tests.errors` prints it.
"""
