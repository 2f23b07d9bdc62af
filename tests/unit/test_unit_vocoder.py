"""The vocoder of units: whom it sounds like, and what a frame knows of those before it."""

from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
import torch

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import Stream, Tokens
from vivavoce.models.durations import DurationsConfig
from vivavoce.models.unit_vocoder import HistoryConfig, UnitVocoder, UnitVocoderConfig
from vivavoce.nn.transformer import TransformerConfig

UNITS = Tokens(name="units", alphabet="units-a", size=12, rate=Fraction(25))
CODES = Tokens(name="codes", alphabet="codec-a", size=16, books=3, rate=Fraction(25))
LOOKS = TransformerConfig(dim=32, layers=1, heads=2, kv_heads=2, hidden=48, window=100, causal=False)
CONFIG = UnitVocoderConfig(
    durations=DurationsConfig(units=UNITS, trunk=LOOKS, voices=2), codes=CODES, trunk=LOOKS,
    depth=replace(LOOKS, window=3, causal=True, rotary=False),
    history=HistoryConfig(trunk=replace(LOOKS, causal=True), width=8), speakers=("ann", "bob"),
)  # fmt: skip


def vocoder(config: UnitVocoderConfig = CONFIG) -> UnitVocoder:
    """One that decides something: embeddings as large as what they are added to."""
    torch.manual_seed(3)
    model = config.build().eval()
    with torch.no_grad():
        for parameter in (getattr(model, "written", None), model.depth.embed):
            if parameter is not None:
                parameter.mul_(50)
    return model


def test_what_is_written_is_what_training_would_score_highest() -> None:
    model = vocoder()
    units = Stream(UNITS, torch.randint(12, (2, 1, 9)), torch.tensor([9, 6]))
    for speaker, history in product(("", "bob"), (True, False)):
        made = model.render(units, speaker=speaker, history=history)
        assert made.spec == CODES and made.lengths.tolist() == [9, 6]
        voices = torch.full((2,), model.voice_of(speaker))
        with torch.no_grad():
            if not history:
                known = model.hidden(model.placed(units.data[:, 0], 9, units.lengths), made.lengths, voices)
                known = model.history(known + model.into(model.nothing).expand_as(known))
                scores = model.depth(known.flatten(0, 1), made.data[:, :-1].transpose(1, 2).flatten(0, 1))
                scores = [one.unflatten(0, (2, 9)) for one in scores]
            else:
                scores = model(model.placed(units.data[:, 0], 9, units.lengths), made.lengths, made.data, voices)
        assert torch.equal(torch.stack([one.argmax(-1) for one in scores], 1), made.data)


def test_the_last_unit_is_held_for_sound_that_comes_late() -> None:
    model = vocoder()
    units = Stream(UNITS, torch.randint(12, (2, 1, 9)), torch.tensor([9, 6]))
    made = model.render(units, more=2)
    assert made.lengths.tolist() == [11, 8]
    alone = model.render(Stream(UNITS, units.data[1:, :, [0, 1, 2, 3, 4, 5, 5, 5]], torch.tensor([8])))
    assert torch.equal(made.data[1, :, :8], alone.data[0]), "what fills up a row is not heard"


def test_frames_know_those_before_them_and_units_that_are_still_to_come() -> None:
    model = vocoder()
    units, codes, lengths = torch.randint(12, (1, 8)), torch.randint(16, (1, 3, 8)), torch.tensor([8])
    with torch.no_grad():
        found = model(units, lengths, codes)[0]
        other = codes.clone()
        other[:, :, 4] = (other[:, :, 4] + 1) % 16
        changed = (model(units, lengths, other)[0] - found).abs().amax((0, 2)) > 1e-6
        assert changed.tolist() == [False] * 5 + [True] * 3
        later = units.clone()
        later[:, 7] = (later[:, 7] + 1) % 12
        assert float((model(later, lengths, codes)[0] - found)[:, 0].abs().max()) > 1e-6


def test_some_rows_of_training_know_nothing_of_what_was_written() -> None:
    model = vocoder(replace(CONFIG, history=HistoryConfig(trunk=replace(LOOKS, causal=True), width=8, blind=0.5)))
    codes = torch.randint(16, (64, 3, 5))
    torch.manual_seed(0)
    seen = model.train()._before(codes)
    blind = (seen == model.into(model.nothing)).all(2)[:, 1:].all(1)
    assert 20 < int(blind.sum()) < 44
    assert not bool((model.eval()._before(codes)[:, 1:] == model.into(model.nothing)).all(2).any())


def test_who_speaks_is_chosen_by_name() -> None:
    model = vocoder()
    units = Stream(replace(UNITS, rate=None), torch.randint(12, (1, 1, 20)), torch.tensor([20]))
    ann, bob = (model.render(model.timed(units, name), speaker=name) for name in ("ann", "bob"))
    assert ann.data.shape != bob.data.shape or not torch.equal(ann.data, bob.data)
    with pytest.raises(SpecError, match="no voice 'eve'; it has ann, bob"):
        model.timed(units, "eve")
    with pytest.raises(ConfigError, match="durations of 2 voices do not fit 0 speakers"):
        replace(CONFIG, speakers=()).build()
    with pytest.raises(ConfigError, match="a history is causal"):
        replace(CONFIG, history=HistoryConfig(trunk=LOOKS)).build()
