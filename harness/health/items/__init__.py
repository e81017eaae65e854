"""Items: whether they are solved, tell strong agents from weak ones, fit their curves, repeat."""
