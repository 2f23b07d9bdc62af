"""JSON in the one spelling that grammars accept."""

import json
from typing import Any


def written(value: Any) -> bytes:
    """A value in the one spelling."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace")
