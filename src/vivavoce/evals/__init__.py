"""Measuring: metrics as plain functions, suites, reports with intervals."""
