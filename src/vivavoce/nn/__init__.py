"""Building blocks: one idea a file, its configuration and its module."""
