"""One module a study; what they share is in ``common``, and how pages are written in ``pages``."""
