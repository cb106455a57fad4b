"""Codecs: size and speed."""
