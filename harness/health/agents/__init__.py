"""Agents whose outcomes one ability does not explain."""
