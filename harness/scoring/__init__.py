"""Traces and test results to categories."""
