"""A finished dataset read again: verified, compared with its archive, repaired."""
