"""Whether what is asked is done: other instructions about the same recordings, with a model that learnt nothing."""

from collections.abc import Sequence

import pytest
import torch

from vivavoce.core.streams import sound
from vivavoce.data.phrasings import phrased
from vivavoce.evals.listening import Clip
from vivavoce.evals.obedience import answers, at_scale, obedience_table, who
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.bridge import BridgeConfig, Bridged
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.lora import LoraLinear
from vivavoce.nn.qformer import WindowQFormerConfig, qformer_trunk
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.miniature import chat_model
from vivavoce.systems.salmonn import Salmonn, SalmonnConfig


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Salmonn:
    llm = load_text_model(chat_model(tmp_path_factory.mktemp("llm"), dim=32, window=400, spread=0.3))
    torch.manual_seed(1)
    trunk = TransformerConfig(dim=24, layers=1, heads=2, kv_heads=2, hidden=48, window=600, causal=False)
    encoder = EncoderConfig(front=WaveFrontConfig(dim=24, kernels=(40, 8), strides=(40, 8)), trunk=trunk).build()
    windows = WindowQFormerConfig(trunk=qformer_trunk(32, 1, 4, 64, 24), window=17)
    config = SalmonnConfig(
        bridge=BridgeConfig(first=encoder.spec(), second=None, width=32, windows=windows), text=llm.text.tokens,
        trunk=llm.lm.config.trunk, seconds=3.0,
    )  # fmt: skip
    model = config.build()
    model.read(llm.lm)
    return Salmonn(model, llm.text, encoder.eval(), None)


def test_answers_written_together_are_those_of_each_recording(system: Salmonn) -> None:
    waves = [sound(torch.randn(16000 * n) * 0.1, 16000) for n in (2, 1)]
    asked = phrased("who", "…")
    found = answers(system, [system.heard(wave) for wave in waves], asked)
    alone = [[*system.answer(wave, asked, system.text.ends, most=24)][-1] for wave in waves]
    assert found == alone


def test_kinds_of_answers_are_counted_at_every_scale(system: Salmonn, monkeypatch: pytest.MonkeyPatch) -> None:
    scales: list[float] = []
    replies = {"man or": "It is a Man.", "fast": "Quickly.", "Say only": "Banana!", "write down": "She said so."}

    def told(found: Salmonn, heard: Sequence[Bridged], question: str, *, most: int) -> list[str]:
        scales.append(found.scale)
        (text,) = [text for name, text in replies.items() if name in question]
        return [text] * len(heard)

    monkeypatch.setattr(Salmonn, "answers", told)
    clips = [Clip("", torch.randn(16000) * 0.1, 16000, "Hello there!", "", True, sex) for sex in ("M", "F", "")]
    own = system.scale
    table = obedience_table(system, clips, (1.0, 0.5), str)
    rows = {row.name: row.value.value for row in table.rows if row.value is not None}
    assert len(rows) == len(table.rows) == 14
    assert rows["asked who speaks: names a man or a woman"] == 1.0 and rows["— the right one"] == 0.5
    assert rows["asked for a word that nobody said: says it"] == 1.0 == rows["asked how fast: names a pace"]
    controls = [value for name, value in rows.items() if "asked for what is said" in name]
    assert controls == [1.0, 0.0, 0.0] * 2, "she is a woman, whoever asks"
    assert set(scales) == {own, own / 2} and system.scale == own


def test_small_maps_count_as_much_as_before_afterwards(system: Salmonn) -> None:
    small = [part for part in system.model.modules() if isinstance(part, LoraLinear)]
    own = system.scale
    with at_scale(system, 0.25):
        assert all(part.scale == own / 4 for part in small)
    assert small and all(part.scale == own for part in small)


def test_a_short_answer_names_one_of_both() -> None:
    assert (who(["a", "man"]), who(["it", "is", "female"])) == ("M", "F")
    assert who("a man or a woman".split()) == "" == who(["man"] * 9) == who([])
