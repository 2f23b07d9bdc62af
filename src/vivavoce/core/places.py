"""Where things are kept on this machine."""

import os
from pathlib import Path
from typing import Final

WEIGHTS: Final = Path(__file__).parent.parent / "weights"
"""Of the models that come with the package, each in a folder of its name."""
BUNDLED: Final = WEIGHTS / "mini"
"""Of the one that is used where none is named."""


def bundled_or_path(model: str | Path) -> Path:
    """The folder of a bundled model where a bare name is that of one, else the path as it is."""
    own = WEIGHTS / model
    return own if len(Path(model).parts) == 1 and own.is_dir() else Path(model)


def data_folder() -> Path:
    """The folder of voices, consents and fetched models: VIVAVOCE_DATA, or the user's data folder."""
    chosen = os.environ.get("VIVAVOCE_DATA")
    if chosen:
        return Path(chosen)
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "vivavoce"
