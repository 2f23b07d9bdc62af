"""The text side of chat models: what people write is text, whatever is in it, and the oldest turns make room."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vivavoce.assistant.calling import Calling
from vivavoce.assistant.chat import ChatConfig, ChatMind
from vivavoce.core.errors import MindError, PartError
from vivavoce.core.talk import Entry
from vivavoce.hub.chat_model import load_chat
from vivavoce.hub.llama import config_of
from vivavoce.hub.text_model import TextModel, load_text_model
from vivavoce.models.features import SpectrumConfig
from vivavoce.models.units import UnitsConfig
from vivavoce.nn.kmeans import KMeansConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.miniature import chat_model
from vivavoce.runtime.model import Context
from vivavoce.systems.salmonn import pieces_of
from vivavoce.systems.speechgpt import SpeechGPT, SpeechGPTConfig


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> TextModel:
    return load_text_model(chat_model(tmp_path_factory.mktemp("chat"), dim=32))


def test_a_sign_for_what_is_no_text_means_nothing_where_people_write_it(chat: TextModel) -> None:
    text, sign = chat.text, chat.text.hole
    front = SpectrumConfig(stride=4)
    units = UnitsConfig(front=front, quantizer=KMeansConfig(dim=front.dim, size=12)).build()
    trunk = TransformerConfig(dim=32, layers=1, heads=4, kv_heads=4, hidden=48, window=400)
    config = SpeechGPTConfig(text=text.tokens, units=replace(units.tokens, rate=None), trunk=trunk, stage=3)
    system = SpeechGPT(config.build(), text, units)
    past = [{"role": "user", "content": f"One{sign}two"}, {"role": "assistant", "content": "Three"}]
    written = system.given("text to text", [*past, {"role": "user", "content": f"Four{sign}five"}])
    assert "One two" in (read := text.read(written["instruction"][0].tolist())) and "Four five" in read
    heard = torch.tensor([[3, 5]])
    items = system.given("speech to text", [*past, {"role": "user", "content": f"six{sign}"}], heard)
    assert "One two" in text.read(items["instruction"][0].tolist()) and items["asked"] is heard
    before, after = pieces_of(text, f"… who{sign} speaks … here?", past)
    assert "One two" in text.read(before) and "who  speaks … here?" in text.read(after)


def test_the_oldest_turns_make_room_and_the_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VIVAVOCE_DATA", str(tmp_path / "data"))
    mind = ChatMind(load_chat(str(chat_model(tmp_path / "chat", dim=32))), ChatConfig(tokens=20, system_message="Hm."))
    words = [f"{number} " * 60 for number in range(5)]
    entries = tuple(Entry(id=str(n), text=text, role="assistant" if n % 2 else "user") for n, text in enumerate(words))
    calling = Calling(mind.model, ())
    with caplog.at_level(logging.WARNING):
        assert mind._prompt(Context(entries=entries[:1]), calling)
        assert not caplog.text
        read = mind.model.tokenizer.pieces
        asked = b"".join(read[id] for id in mind._prompt(Context(entries=entries), calling)).decode()
    assert "4 4" in asked and "0 0" not in asked and "the context is full: the oldest" in caplog.text
    with pytest.raises(MindError, match="say less"):
        mind._prompt(Context(entries=(Entry(id="long", text="long " * 200),)), calling)


def test_a_configuration_that_lacks_a_number_is_refused() -> None:
    with pytest.raises(PartError, match="does not say 'num_attention_heads'; fetch the model again"):
        config_of({"model_type": "llama"})
