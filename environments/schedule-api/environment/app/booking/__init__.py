"""Booking meeting rooms."""
