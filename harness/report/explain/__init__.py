"""Pages that explain failures: of an agent, and on a task."""
