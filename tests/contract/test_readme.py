"""The client example of the README and of docs/realtime.md, run as it is printed, against a real server."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vivavoce.runtime.fake import silence, utter

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("document", ["README.md", "docs/realtime.md"])
def test_the_example_hears_an_answer(document: str, address: str, tmp_path: Path):
    examples = re.findall(r"^```python\n(.*?)^```", (ROOT / document).read_text(), re.M | re.S)
    code = next(example for example in examples if "AsyncOpenAI" in example)
    sound = np.concatenate([silence(200), utter("a large latte please."), silence(1500)])
    (tmp_path / "question.pcm").write_bytes((sound * 32767).astype("<i2").tobytes())
    changed = code.replace("http://127.0.0.1:8765", address)
    assert changed != code
    done = subprocess.run([sys.executable, "-c", changed], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
