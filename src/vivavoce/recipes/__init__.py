"""Whole trainings: ``vivavoce train NAME`` finds a module with a ``RECIPE``, whose ``debug`` takes under a minute.

The modules named ``…_data`` make what they learn from.
"""
