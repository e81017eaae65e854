"""A small HTTP service that stores and serves quotes."""
