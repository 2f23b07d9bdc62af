"""A duplex model in miniature: it learns two conversations by heart, hears which it is in, and speaks in its turn."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vivavoce.assistant.demo import LINES, RECORDINGS
from vivavoce.assistant.model import BUNDLED, load
from vivavoce.audio.files import read_audio
from vivavoce.core.parts import load_part
from vivavoce.evals.scenes import Scene
from vivavoce.evals.sphinx import Sphinx
from vivavoce.evals.words import distance, plain
from vivavoce.generate.samplers import GREEDY
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.moshi import Conversation, MoshiRun, channels, train
from vivavoce.systems.moshi import Moshi
from vivavoce.text.bpe import learn

pytestmark = pytest.mark.slow
RATE = 24_000
TEXTS = dict(LINES)
PAIRS = (("5.ogg", "3.ogg"), ("3.ogg", "4.ogg"))
"""Questions and answers; what is an answer in one is the question of the other."""
RUN = MoshiRun(
    trunk=TransformerConfig(dim=160, layers=2, heads=4, kv_heads=4, hidden=320, window=200),
    depth=TransformerConfig(dim=128, layers=1, heads=4, kv_heads=4, hidden=256, window=9, rotary=False),
    semantic=1.0, text=1.0, steps=200, warmup=10, lr=3e-3, ema=0.0,
)  # fmt: skip


def recorded(name: str) -> Tensor:
    return read_audio(RECORDINGS / name, RATE)[0]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Conversation]]:
    folder, conversations = tmp_path_factory.mktemp("moshi"), []
    for number, (asked, answered) in enumerate(PAIRS):
        words = [(word.text, word.start) for word in load().transcribe(RECORDINGS / answered).words]
        hum = 0.02 * torch.sin(torch.arange(4800) * 0.05).numpy() if number else None
        scene = Scene(
            kind="backchannel", question=recorded(asked).numpy(), answer=recorded(answered).numpy(), intrusion=hum
        )
        conversations.append(channels(scene, RATE, words))
    bpe = learn([f" {word}" for one in conversations for word, _ in one.words] * 3, 300)
    torch.manual_seed(0)
    run = train(RUN, conversations, bpe, BUNDLED, folder)
    assert run.losses["right"] > 0.99, run.losses
    return folder, conversations


def test_it_hears_waits_and_says_what_it_learnt(learnt: tuple[Path, list[Conversation]]) -> None:
    folder, conversations = learnt
    codec = load_part(folder, "codec")
    moshi = Moshi(load_part(folder, "moshi"), codec, text=GREEDY, sound=GREEDY)
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
        begin = len(recorded(PAIRS[row][0]))
        assert float(wave[:begin].square().mean()) < 0.01 * float(wave[begin:].square().mean())  # it lets one finish
        assert texts[row].split() == [word for word, _ in one.words]
        words += len(plain(TEXTS[answered]))
        wrong += distance(plain(TEXTS[answered]), Sphinx().words(wave, RATE))
        codec_wrong += distance(plain(TEXTS[answered]), Sphinx().words(wanted, RATE))
    assert (wrong - codec_wrong) / words <= 0.05, (wrong, codec_wrong, words)
