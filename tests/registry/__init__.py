"""Every public operation, what must be true of it, and the table of operations in docs/operations.md."""
