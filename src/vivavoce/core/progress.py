"""Where long work says how far it is."""

from collections.abc import Callable

Log = Callable[[str], None]
"""Takes a line for whoever waits."""
