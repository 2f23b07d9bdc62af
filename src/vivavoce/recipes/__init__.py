"""Whole trainings as functions, each with a debug() that runs in under a minute."""
