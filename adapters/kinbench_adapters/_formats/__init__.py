"""Readers of file formats: bytes to declared arrays, nothing converted."""
