"""Where things are kept on this machine."""

import os
from pathlib import Path


def data_folder() -> Path:
    """The folder of voices, consents and fetched models: VIVAVOCE_DATA, or the user's data folder."""
    chosen = os.environ.get("VIVAVOCE_DATA")
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "vivavoce"
