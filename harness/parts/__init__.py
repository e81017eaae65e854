"""Ability from the parts of an agent: its model, its scaffold and its date."""
