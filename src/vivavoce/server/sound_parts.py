"""Sound that stands in a message, for the endpoints that take messages."""

from typing import Literal

import numpy as np
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from vivavoce.audio.pcm import to_int16
from vivavoce.server.items import base64_bytes
from vivavoce.server.sound_files import read_upload
from vivavoce.server.wire.fields import Name


class SoundData(BaseModel):
    """A sound file in base64; its bytes say what it is, so that ``format`` is taken and changes nothing."""

    data: str
    format: Name


class SoundPart(BaseModel):
    """Sound that the user said."""

    type: Literal["input_audio"]
    input_audio: SoundData


async def sound_in(part: SoundPart, where: str, warnings: list[str]) -> np.ndarray:
    """What was said, Int16[N] at 24 kHz; what is wrong with a recording that is read all the same is added."""
    data = base64_bytes(part.input_audio.data, f"{where}.data")
    pcm, warning = await run_in_threadpool(read_upload, data, where, limit_seconds=300.0)
    warnings.append(warning)
    return to_int16(pcm)
