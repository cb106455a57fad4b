"""Synthetic EnMAP archives in the exact product format, clean or dirty, the same bytes for the same seed."""
