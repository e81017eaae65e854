"""A better benchmark: a smaller one, and a bank without what is wrong."""
