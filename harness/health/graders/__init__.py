"""Graders: whether judges agree, are severe, erratic or partial, and contradict each other."""
