"""How fast minivision is, beside PyTorch and others, and beside what the machine could do: `python -m benchmarks --help`."""
