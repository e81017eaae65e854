"""Invoices: reading them, showing them."""
