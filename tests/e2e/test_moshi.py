"""A duplex model in miniature: it learns two conversations by heart, hears which it is in, and speaks in its turn."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vivavoce.assistant.demo import LINES, RECORDINGS
from vivavoce.audio.files import read_audio
from vivavoce.core.parts import load_part
from vivavoce.evals.sphinx import Sphinx
from vivavoce.evals.word_errors import distance, plain
from vivavoce.generate.samplers import GREEDY
from vivavoce.recipes.moshi import PAIRS, debug, miniature
from vivavoce.runtime import api
from vivavoce.runtime.duplex import DuplexEngine
from vivavoce.runtime.model import RATE
from vivavoce.systems.moshi import Moshi

pytestmark = pytest.mark.slow
TEXTS = dict(LINES)


def test_it_hears_waits_and_says_what_it_learnt(tmp_path: Path) -> None:
    found, conversations = debug(tmp_path), miniature()
    assert found["after"] < found["before"] and found["right"] > 0.99, found
    codec = load_part(tmp_path, "codec")
    moshi = Moshi(load_part(tmp_path, "moshi"), codec, text=GREEDY, sound=GREEDY)
    hop, size = codec.config.hop, max(len(one.heard) for one in conversations)
    size += -size % codec.config.hop
    heard = torch.stack([torch.nn.functional.pad(one.heard, (0, size - len(one.heard))) for one in conversations])
    state = moshi.init_state(len(conversations))
    said: list[list[Tensor]] = [[] for _ in conversations]
    texts = ["" for _ in conversations]
    for piece in heard.split(hop, dim=1):  # as it is in a live conversation: frame by frame, both rows in one pass
        for row, frame in enumerate(moshi.step(piece, state)):
            said[row].append(frame.pcm)
            texts[row] += frame.text
    words = wrong = codec_wrong = 0
    for row, (one, (_, answered)) in enumerate(zip(conversations, PAIRS, strict=True)):
        wave, wanted = torch.cat(said[row])[codec.delay :], codec.resynthesize(one.own[None])[0]
        begin = len(read_audio(RECORDINGS / PAIRS[row][0], RATE)[0])
        assert float(wave[:begin].square().mean()) < 0.01 * float(wave[begin:].square().mean())  # it lets one finish
        assert len(one.words) > 2 and texts[row].split() == [word for word, _ in one.words]
        words += len(plain(TEXTS[answered]))
        wrong += distance(plain(TEXTS[answered]), Sphinx().words(wave, RATE))
        codec_wrong += distance(plain(TEXTS[answered]), Sphinx().words(wanted, RATE))
    assert (wrong - codec_wrong) / words <= 0.05, (wrong, codec_wrong, words)
    live = DuplexEngine(moshi, rows=len(conversations), threads=0)
    seats = [live.sit(api.SessionConfig()) for _ in conversations]
    for seat, sound in zip(seats, heard, strict=True):
        seat.push(api.AudioIn(sound.numpy()))
    while live.step():
        pass
    for seat, one in zip(seats, conversations, strict=True):
        outputs = [seat.read() for _ in range(len(seat.outputs))]
        text = "".join(output.delta for output in outputs if isinstance(output, api.TextOut))
        assert text.split() == [word for word, _ in one.words]
