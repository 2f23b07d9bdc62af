"""The speaker: whole equals chunked, rows are independent, paused rows rest, nothing gives nothing; plans hold."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.errors import TextError, VoiceError
from vivavoce.core.streaming import Streaming
from vivavoce.models.manner import Manner
from vivavoce.models.plan import STACK, Plan
from vivavoce.models.script import script_of
from vivavoce.models.speak import Speaker, SpeakerConfig
from vivavoce.nn.style import ReferenceEncoderConfig, VoicePrint

CONFIG = SpeakerConfig(
    text_width=16, text_blocks=1, width=24, blocks=2, voice=8, reference=ReferenceEncoderConfig(width=12, vector=6)
)


def speaker() -> Speaker:
    torch.manual_seed(3)
    return CONFIG.build().eval()


def someone(model: Speaker, seed: int = 0) -> VoicePrint:
    draw = torch.Generator().manual_seed(seed)
    mel = torch.randn(120, model.config.mel.bins, generator=draw) - 4
    return model.listen(mel, 150 + 20 * torch.rand(120, generator=draw))


def plan(model: Speaker, text: str = "Hello there, my friend. How are you?", manner: Manner | None = None) -> Plan:
    with torch.no_grad():
        return model.plan(script_of(text), someone(model), manner or Manner())


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=8))
def test_chunked_is_whole(sizes: list[int]) -> None:
    model = speaker()
    assert isinstance(model, Streaming)
    made = plan(model)
    with torch.no_grad():
        whole = model.speak(made, steps=made.steps)
        state, at, pieces = model.init_state(1), 0, []
        for size in [*sizes, made.steps]:
            size = min(size, made.steps - at)
            pieces.append(model.step(model.inputs_of(made, at, size), state) if size else whole[None, :, :0])
            at += size
    assert torch.allclose(torch.cat(pieces, dim=2)[0], whole, atol=1e-4)
    assert whole.shape == (model.config.mel.bins, STACK * made.steps)


def test_rows_are_independent_and_may_pause() -> None:
    model = speaker()
    first, second = plan(model, "One of us."), plan(model, "Nobody else speaks, though.")
    with torch.no_grad():
        x = torch.cat((model.inputs_of(first, 0, 10), model.inputs_of(second, 0, 10)))
        y = torch.cat((model.inputs_of(first, 10, 10), model.inputs_of(second, 10, 10)))
        state = model.init_state(2)
        both = model.step(x, state)
        alone = model.init_state(1)
        assert torch.allclose(model.step(x[1:], alone), both[1:], atol=1e-5)
        before = state.clone()
        model.step(y, state, torch.tensor([True, False]))
        assert all(torch.equal(a[1], b[1]) for a, b in zip(state.past, before.past, strict=True))
        assert not torch.equal(state.past[0][0], before.past[0][0])
        assert torch.allclose(model.step(y[1:], state.rows(slice(1, 2))), model.step(y[1:], alone), atol=1e-5)


def test_nothing_in_gives_nothing_out() -> None:
    model = speaker()
    state = model.init_state(2)
    before = state.clone()
    assert model.step(torch.zeros(2, 0, model.config.inputs), state).shape == (2, model.config.mel.bins, 0)
    assert all(torch.equal(a, b) for a, b in zip(state.tensors(), before.tensors(), strict=True))


def test_words_have_times_in_order() -> None:
    model = speaker()
    made = plan(model, "Two lattes, please!")
    times = made.word_times()
    assert [t.word for t in times] == ["two", "lattes", "please"]
    assert all(a.end <= b.begin for a, b in itertools.pairwise(times))
    assert times[1].end < times[2].begin  # the comma is a pause
    assert times[-1].end < STACK * made.steps


def test_manner_is_obeyed() -> None:
    model = speaker()
    plain = plan(model)
    slow, high = plan(model, manner=Manner(rate=0.7)), plan(model, manner=Manner(octaves=0.5))
    assert slow.steps > 1.2 * plain.steps
    assert torch.allclose(high.table.octaves - plain.table.octaves, torch.tensor(0.5), atol=1e-4)
    assert plan(model, manner=Manner(liveliness=0.0)).table.octaves.std() < 1e-5
    assert plan(model, manner=Manner(gain_db=-6.0)).gain_db == -6.0


def test_presets_are_kept_and_unknown_ones_named() -> None:
    model = SpeakerConfig(
        text_width=16, text_blocks=1, width=24, blocks=1, voice=8, voices=("ann",), reference=CONFIG.reference
    ).build()
    who = someone(model)
    with torch.no_grad():
        model.bring("ann", who)
    assert torch.equal(model.preset("ann").mean, who.mean)
    with pytest.raises(VoiceError, match="ann"):
        model.preset("bob")


def test_text_without_words_is_refused() -> None:
    with pytest.raises(TextError):
        script_of("...")
