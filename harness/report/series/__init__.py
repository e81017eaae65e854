"""A series on the terminal and as a page: has the model moved, and what did it cost to know."""
