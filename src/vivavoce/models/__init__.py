"""Families of models, made of blocks."""
