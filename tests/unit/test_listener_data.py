"""What the listener learns from: noise, short words, recordings that an earlier listener aligned, voices by share."""

import pytest
import torch

from vivavoce.core import rng
from vivavoce.core.errors import SpecError
from vivavoce.data.aligned import aligned
from vivavoce.data.manifest import Record
from vivavoce.data.sentences import everyday, short
from vivavoce.data.sheet import find_sheet, load_sheet
from vivavoce.models.listener import Listener, ListenerConfig, ListenerOutputs
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.recipes import gate, listener
from vivavoce.recipes.flywheel import some_of_each
from vivavoce.recipes.listener_data import background, nobody, texts_of_a_day, texts_of_orders
from vivavoce.text.normalise import normalise
from vivavoce.text.phones import PHONE_IDS


def test_noise_has_no_phones() -> None:
    made = list(nobody(40, 1))
    levels = [float(one.mel.mean()) for one in made]
    assert len({one.mel.shape[1] for one in made}) > 30 and max(levels) - min(levels) > 4
    for one in (*made, *background([torch.randn(40000)], 1.5)):
        assert one.phones == [] and int(one.labels.max()) == 0
        assert len(one.labels) == -(-one.mel.shape[1] // 2)


def test_words_of_a_day_can_be_read() -> None:
    draw = rng.stream(1, "day")
    lines = [everyday(draw) for _ in range(300)]
    assert len(set(lines)) > 250
    for text in (*lines, *(short(draw) for _ in range(300))):
        assert normalise(text) == text.split()
    assert any(text == "stop" for text in texts_of_a_day(400, 2))


def _small() -> Listener:
    torch.manual_seed(0)
    return ListenerConfig(trunk=ConformerConfig(dim=32, layers=1, heads=2)).build().eval()


def test_a_text_is_laid_where_a_listener_hears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(mel: torch.Tensor, *_: object) -> ListenerOutputs:
        """Hears "stop" from 0.2 to 0.52 s."""
        scores = torch.full((1, -(-mel.shape[2] // 2), 40), -8.0)
        scores[0, :, 0] = 0.0
        for place, phone in enumerate(("S", "T", "AA", "P")):
            begin = 10 + 4 * place
            scores[0, begin : begin + 4] = -8.0
            scores[0, begin : begin + 4, PHONE_IDS[phone]] = 0.0
        return ListenerOutputs(scores, scores.log_softmax(-1), torch.zeros(1, 1, 1))

    knows = _small()
    monkeypatch.setattr(knows, "forward", stop)
    one, score = aligned(knows, torch.randn(16000), "stop")
    assert one.phones == [PHONE_IDS[phone] for phone in ("S", "T", "AA", "P")]
    assert one.labels[:10].max() == 0 and one.labels[26:].max() == 0
    assert one.labels[10:26:4].tolist() == one.phones
    _, poor = aligned(knows, torch.randn(16000), "goodbye everybody")
    assert score > poor + 1
    with pytest.raises(SpecError, match="too few"):
        aligned(knows, torch.randn(1600), "much too long for so short a recording")


def test_aligning_works_with_a_real_listener() -> None:
    one, _ = aligned(_small(), torch.randn(20000), "hello there")
    assert len(one.phones) in (7, 8) and len(one.labels) == -(-one.mel.shape[1] // 2)


def test_some_of_each_person() -> None:
    def clip(number: int, who: str) -> Record:
        about = {"path": "", "split": "train", "seconds": 1.0, "sample_rate": 16000, "licence": ""}
        return Record(id=str(number), speaker=who, **about)

    people = [clip(n, "a") for n in range(9)] + [clip(9, "b")] + [clip(n, "x:unknown") for n in range(10, 30)]
    chosen = [one.speaker for one in some_of_each(people, 2, nameless=5)]
    assert (chosen.count("a"), chosen.count("b"), chosen.count("x:unknown")) == (2, 1, 5)


def test_orders_are_those_of_the_character() -> None:
    porter = load_sheet(find_sheet("porter"))
    own, default = (" ".join(texts_of_orders(60, 3, sheet)).split() for sheet in (porter, None))
    assert "latte" in default and not {"latte", "espresso", "mocha"} & set(own)
    assert {"night", "nights"} & set(own)
    assert all(hasattr(recipe.RECIPE.settings, "character") for recipe in (listener, gate))
