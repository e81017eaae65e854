"""The health of a benchmark as sections of a page; one module a part of it."""
