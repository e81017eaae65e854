"""Three ways to feed a session: agents in sandboxes, logged outcomes, simulated agents."""
