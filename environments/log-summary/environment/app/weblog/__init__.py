"""Figures from the log files of our web services."""
