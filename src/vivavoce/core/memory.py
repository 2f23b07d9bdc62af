"""Memory of this process."""

import ctypes


def trim() -> None:
    """Gives what is free back to the system, where the C library can (glibc); it keeps much of what loading used."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
