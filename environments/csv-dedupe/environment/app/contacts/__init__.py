"""Clean address lists that come as CSV files."""
