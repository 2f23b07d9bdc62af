"""Decoding: samplers, search, constraints."""
