"""Logged outcomes of agents on items: reading, checking, and laying out as arrays.

One row is one attempt. What was not observed (a blank cell, an errored sample, a void) has no
row: a missing outcome is never a 0.
"""

from harness.responses.outcomes import Responses, from_matrix
from harness.responses.read import read_responses

__all__ = ["Responses", "from_matrix", "read_responses"]
