"""What broke, for the log and for the client."""

import logging

from vivavoce.core.errors import VivavoceError

log = logging.getLogger("vivavoce.runtime")


def log_failure(error: BaseException) -> None:
    """Writes into the log that the model broke; with all details where nobody foresaw it."""
    if isinstance(error, VivavoceError):
        log.warning("%s", error)
    else:
        log.error("the model failed", exc_info=error)


def explained(error: BaseException) -> str:
    """The sentence for the client, without what only we need."""
    return str(error) if isinstance(error, VivavoceError) else f"The model failed ({type(error).__name__})."
