"""Other frameworks, each in a process and an environment of its own, so that old ones find the old NumPy that they need."""
