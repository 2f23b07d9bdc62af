"""The stock @openai/agents-realtime on Node holds a turn with a tool call; skipped where Node or the package is
missing.

The package is looked for in ``VIVAVOCE_NODE_MODULES`` or in ``node_modules`` of the checkout:
``npm install @openai/agents-realtime zod``.
"""

import asyncio
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from vivavoce.runtime.fake import silence, utter

HERE = Path(__file__).parent
MODULES = Path(os.environ.get("VIVAVOCE_NODE_MODULES", HERE.parent.parent / "node_modules"))
NODE = shutil.which("node")


@pytest.mark.skipif(not NODE, reason="node is not installed")
@pytest.mark.skipif(
    not (MODULES / "@openai/agents-realtime").is_dir(), reason="npm install @openai/agents-realtime zod"
)
async def test_a_turn_with_a_tool_call(address, tmp_path):
    assert NODE
    (tmp_path / "node_modules").symlink_to(MODULES.resolve())
    shutil.copy(HERE / "agents.mjs", tmp_path)
    sound = np.concatenate([silence(200), utter("a large latte please."), silence(900)])
    (tmp_path / "sound.pcm").write_bytes((sound * 32767).astype("<i2").tobytes())
    url = address.replace("http", "ws") + "/v1/realtime?model=gpt-realtime"
    process = await asyncio.create_subprocess_exec(
        NODE, "agents.mjs", url, "sound.pcm", cwd=tmp_path, stdout=-1, stderr=-1
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, err.decode()[-2000:]
    said = json.loads(out.decode().splitlines()[-1])
    assert said["errors"] == [] and said["done"] == 2 and said["bytes"] > 50_000
    assert said["calls"] == [{"coffeeDrink": "latte", "size": "large"}]
    texts = [item["text"] for item in said["history"] if item["type"] == "message"]
    assert texts == ["a large latte please.", "one large latte coming.", "the kitchen says ready at nine."]
