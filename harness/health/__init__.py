"""The health of a benchmark: what its outcomes say is wrong with it, and what to do."""
