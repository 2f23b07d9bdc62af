"""The command line: short commands that import what they need inside."""
