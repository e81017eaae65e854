"""Double-entry bookkeeping in one SQLite file."""
