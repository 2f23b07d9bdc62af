"""What a duplex model learns from: two channels with all that makes conversations hard; and where it begins."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from vivavoce.core import rng
from vivavoce.core.errors import PartError, SpecError, TrainingError
from vivavoce.core.layout import read
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED, WEIGHTS
from vivavoce.core.streams import Tokens, sound
from vivavoce.models.codec import Codec
from vivavoce.models.lm import StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import moshi as recipe
from vivavoce.recipes.miniature import recordings
from vivavoce.recipes.moshi import MoshiRun, weighted
from vivavoce.recipes.moshi_data import Mix, Utterance, dialogue, dialogues
from vivavoce.recipes.moshi_start import SpeechLM, is_speech_lm
from vivavoce.systems.moshi import NEXT, PAD, Moshi, MoshiConfig, letters
from vivavoce.systems.speechgpt import SpeechGPTConfig
from vivavoce.text.bpe import learn
from vivavoce.train.recipe import Given

RATE = 24_000
NOTHING = Mix(pause=0.0, listening=0.0, overlap=0.0, backchannel=0.0, interruption=0.0, echo=0.0, turns=2)


def tone(seconds: float, hz: float) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


ASKED = Utterance(tone(3, 300), (("what", 0),))
ANSWERED = Utterance(tone(2, 500), (("this", 2400), ("and", 24_000), ("that", 45_600)))
EXCHANGES = [(ASKED, ANSWERED)] * 2


def loud(side: torch.Tensor) -> np.ndarray:
    return np.flatnonzero(side[: len(side) // 240 * 240].reshape(-1, 240).square().mean(1).numpy() > 1e-4)


def stretches(side: torch.Tensor) -> list[int]:
    """Lengths of what is said between silences of 100 ms and more, in 10 ms."""
    found = loud(side)
    return [len(part) for part in np.split(found, np.flatnonzero(np.diff(found) > 10) + 1)]


def made(seed: int = 0, **mix: float) -> tuple[torch.Tensor, torch.Tensor, tuple[tuple[str, int], ...]]:
    one = dialogue(EXCHANGES, RATE, rng.stream(seed, "d"), replace(NOTHING, **mix))
    assert len(one.heard) == len(one.own)
    return one.heard, one.own, one.words


def test_each_thing_happens_where_it_is_asked_for() -> None:
    heard, own, words = made()
    assert np.allclose(stretches(heard), [300, 300], atol=2) and np.allclose(stretches(own), [200, 200], atol=2)
    assert not set(loud(heard)) & set(loud(own))
    begin = loud(own)[0] * 240
    assert [word for word, _ in words] == ["this", "and", "that"] * 2
    assert abs(words[0][1] - begin - 2400) < 500
    heard, own, _ = made(pause=1.0)
    assert len(stretches(heard)) == 4  # each question in two halves
    heard, own, _ = made(listening=1.0)
    assert len(stretches(own)) >= 4 and set(loud(heard)) & set(loud(own))
    heard, own, _ = made(overlap=1.0)
    assert 5 <= len(set(loud(heard)) & set(loud(own))) <= 45
    heard, own, _ = made(backchannel=1.0)
    assert len(stretches(heard)) >= 4 and np.allclose(stretches(own), [200, 200], atol=2)
    heard, own, words = made(interruption=1.0)
    first, second = stretches(own)
    assert first < 190 and second in range(198, 203)  # the last question has nobody who interrupts it
    assert [word for word, _ in words][-3:] == ["this", "and", "that"] and len(words) < 6
    heard, own, _ = made(echo=1.0)
    assert len(loud(heard + 0)) and float(heard.std()) > float(made()[0].std())


def test_conversations_are_the_same_for_the_same_seed_and_stop_being_made_when_nobody_wants_more() -> None:
    utterances = [ASKED, ANSWERED, Utterance(tone(1.5, 200))]
    first, again = (list(dialogues(utterances, RATE, 2, seed=3)) for _ in range(2))
    assert all(torch.equal(a.heard, b.heard) and torch.equal(a.own, b.own) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].heard, first[1].heard[: len(first[0].heard)])


def test_what_counts_how_much() -> None:
    codes = Tokens(name="codes", alphabet="codec-x", size=8, books=2, rate=Fraction(25))
    trunk = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=1, hidden=16, window=20)
    config = MoshiConfig(codes=codes, bpe=learn(["so it is"] * 3, 262), trunk=trunk, depth=replace(trunk, rotary=False))
    text = letters(config, [("so", 3)], 8)
    sound = torch.zeros(2, 8, dtype=torch.long)
    grid = config.layout.pack({"text": text, "own": sound, "heard": sound})
    batch = weighted([grid], config, MoshiRun(text=10.0, semantic=7.0, padding=0.5))
    assert torch.equal(read(config.layout, batch.ids[0])["text"], text)
    lanes = batch.weights[0, :, 1:9]
    silent = (text[0] == PAD) | (text[0] == NEXT)
    assert torch.equal(lanes[0], torch.where(silent, 5.0, 10.0))
    assert set(lanes[1].tolist()) == {7.0} and set(lanes[2, 1:].tolist()) == {1.0} and not lanes[3:].any()


def test_every_lane_of_the_small_transformer_has_its_own_weights() -> None:
    depth = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=2, hidden=16, window=3, rotary=False)
    trunk = replace(depth, window=8)
    lm = StreamLMConfig(trunk=trunk, lanes=(5, 4, 4), depth=depth, depth_own=True).build()
    hidden, before = torch.randn(2, 16), torch.tensor([[1, 2], [3, 0]])
    assert lm.depth is not None
    known = lm.depth(hidden, before)
    with torch.no_grad():
        lm.depth.trunk.layers[0].up.weight[1] += 1.0
    changed = lm.depth(hidden, before)
    assert torch.equal(known[0], changed[0]) and not torch.equal(known[1], changed[1])


@pytest.fixture(scope="module")
def codec() -> Codec:
    return load_part(WEIGHTS / "speech", "codec")


def test_what_hears_several_frames_at_once_is_given_them_at_once(codec: Codec) -> None:
    trunk = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=1, hidden=16, window=20)
    depth = replace(trunk, window=1 + codec.tokens.books, rotary=False)
    config = MoshiConfig(codes=codec.tokens, bpe=learn(["so it is"] * 3, 262), trunk=trunk, depth=depth)
    model = Moshi(config.build(), codec)
    hop = model.timing.hop
    assert hop == 4 * codec.config.hop  # units of a listener that hears 160 ms at once
    state, wave = model.init_state(1), 0.1 * torch.randn(1, 2 * hop, generator=torch.Generator().manual_seed(0))
    said = [model.step(piece, state)[0] for piece in wave.split(hop, dim=1)]
    assert [len(frame.pcm) for frame in said] == [3 * codec.config.hop, hop]
    row = state.writer.rows_[0]
    assert row is not None
    found = read(model.layout, torch.tensor(row.written).T)["heard"]
    whole = codec.encode(sound(wave[0], RATE)).data[0]
    assert found.shape[1] == 7 and torch.equal(found, whole[:, :7])
    with pytest.raises(SpecError, match="buffer the rest"):
        model.step(wave[:, : codec.config.hop], state)


def test_a_speech_language_model_lends_its_trunk_and_what_its_units_are_like(tmp_path: Path, codec: Codec) -> None:
    copy_part(WEIGHTS / "speech", "units", tmp_path)
    units = load_part(tmp_path, "units").tokens
    trunk = TransformerConfig(dim=16, layers=1, heads=2, kv_heads=1, hidden=16, window=20)
    text = Tokens(name="text", alphabet="chat-x", size=9)
    known = SpeechGPTConfig(text=text, units=replace(units, rate=None), trunk=trunk, stage=3).build()
    for weight in known.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    save_part(tmp_path, "speechgpt", known.config, known)
    assert is_speech_lm(tmp_path)
    lent = SpeechLM(tmp_path)
    depth = replace(trunk, window=9, rotary=False)
    config = MoshiConfig(codes=codec.tokens, bpe=learn(["so it is"] * 3, 262), trunk=lent.trunk, depth=depth)
    model = config.build()
    assert lent.begin(model, codec) == units.size
    x = torch.randn(1, 5, 16)
    assert torch.allclose(model.lm.trunk(x), known.eval().lm.trunk(x), atol=1e-5)  # small maps and all
    column = torch.zeros(1, len(config.layout.sizes), 1, dtype=torch.long)
    other = column.clone()
    lane, id = 1 + codec.tokens.books, 7
    other[0, lane] = config.layout.vocabs[lane].range(config.layout.segments[2].alphabet(0)).start + id
    added = model.lm.embedded(other) - model.lm.embedded(column)
    assert isinstance(known.lm.embed, torch.Tensor) and isinstance(model.lm.embed, torch.Tensor)
    begin = known.config.whole.vocabs[0].range(f"{units.alphabet}:0").start
    silence = model.lm.embed[model.lm.starts[lane]]
    assert torch.allclose(added[0, 0], known.lm.embed[begin + id] - silence, atol=1e-5)
    mini = load_part(WEIGHTS / "mini", "codec")  # no units in it: only the trunk is taken over
    other_config = replace(config, codes=mini.tokens, depth=replace(depth, window=1 + mini.tokens.books))
    assert lent.begin(other_config.build(), mini) == 0


def test_what_is_missing_is_said_before_anything_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "heard_by_us", lambda _: pytest.fail("it listened first"))
    speech = recordings(tmp_path / "speech", splits=("dev",))
    nowhere, codec = {"codec": tmp_path / "none"}, {"codec": BUNDLED}
    with pytest.raises(PartError, match="codec"):
        recipe.RECIPE.run(MoshiRun(), Given(out=tmp_path / "run", speech=speech, others=nowhere))
    with pytest.raises(PartError, match="moshi"):
        recipe.RECIPE.run(MoshiRun(), Given(out=tmp_path / "run", speech=speech, start=tmp_path, others=codec))
    with pytest.raises(TrainingError, match="no recordings of the split train to make conversations of"):
        recipe.RECIPE.run(MoshiRun(), Given(out=tmp_path / "run", speech=speech, others=codec))
