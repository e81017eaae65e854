"""Predictions for tasks and agents that nobody has run, as pages."""
