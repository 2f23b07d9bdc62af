"""Live conversations with a duplex model: the outputs of a conversation by turns, and a history of what was played."""

import asyncio
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from test_codec import tiny_codec
from test_duplex import DEPTH, TRUNK
from torch import Tensor

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core.errors import CapacityError, SpecError
from vivavoce.core.streaming import State, Timing
from vivavoce.core.talk import Frame
from vivavoce.models.codec import mel_codec
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.runtime import api
from vivavoce.runtime.duplex import DuplexEngine
from vivavoce.runtime.engine import LiveEngine
from vivavoce.runtime.fake import fake_model, silence, utter
from vivavoce.runtime.model import Duplex, Pcm
from vivavoce.runtime.seats import Seat
from vivavoce.systems.moshi import Moshi, MoshiConfig
from vivavoce.text.bpe import learn

HOP = 960
CONFIG = api.SessionConfig()


@dataclass
class ParrotState(State):
    """How many frames of somebody's voice were heard, and how many were answered."""

    heard: Tensor
    said: Tensor


class Parrot:
    """Says "word" for each frame of voice, four frames a word, as soon as nobody speaks; a model in all else."""

    timing = Timing(rate=Fraction(24_000), hop=HOP)

    def init_state(self, rows: int) -> ParrotState:
        return ParrotState(torch.zeros(rows), torch.zeros(rows))

    def begin(self, state: ParrotState, row: int, seed: int) -> None:
        state.reset(torch.arange(len(state.heard)) == row)

    def step(self, heard: Tensor, state: ParrotState, active: Tensor | None = None) -> list[Frame]:
        found = []
        for row, pcm in enumerate(heard):
            if active is not None and not active[row]:
                found.append(Frame(torch.zeros(0)))
                continue
            if float(pcm[0]) > 2:
                raise RuntimeError("too loud")
            loud = float(pcm.square().mean()) > 1e-4
            speaks = not loud and state.said[row] < 4 * state.heard[row]
            begins = speaks and state.said[row] % 4 == 0
            state.heard[row] += loud
            state.said[row] += speaks
            sound = 0.1 * torch.ones(HOP) if speaks else torch.zeros(HOP)
            found.append(Frame(sound, " word" if begins else ""))
        return found


def voice(frames: int) -> Pcm:
    return np.full(frames * HOP, 0.1, np.float32)


def run(engine: DuplexEngine, *seats: Seat) -> list[list[api.Output]]:
    while engine.step():
        pass
    found: list[list[api.Output]] = []
    for seat in seats:
        found.append([])
        while seat.outputs:
            found[-1].append(seat.read())
    return found


def of(kind: type, outputs: list[api.Output]) -> list:
    return [output for output in outputs if isinstance(output, kind)]


def test_what_the_model_says_is_a_reply_with_the_usual_outputs():
    engine = DuplexEngine(Parrot(), rows=2, threads=0)
    one, two = engine.sit(CONFIG), engine.sit(CONFIG)
    one.push(api.AudioIn(np.concatenate([voice(3), silence(2000), voice(1), silence(2000)])))
    two.push(api.AudioIn(np.concatenate([silence(80), voice(2), silence(600)])))
    said, other = run(engine, one, two)
    kinds = [type(output) for output in said if not isinstance(output, api.TextOut | api.AudioOut)]
    assert kinds == 2 * [api.TurnStarted, api.EntryAdded, api.EntryDone, api.TurnEnded]
    first, second = (done.entry for done in of(api.EntryDone, said))
    assert (first.text, second.text) == (" word word word", " word")
    assert [(word.text, word.start, word.end) for word in first.words[:2]] == [
        ("word", 0, 4 * HOP), ("word", 4 * HOP, 8 * HOP),
    ]  # fmt: skip
    sound = of(api.AudioOut, said)
    assert sum(len(out.pcm) for out in sound if out.turn == 1) == first.samples == len(first.audio)
    assert [out.at for out in sound if out.turn == 2] == [HOP * n for n in range(second.samples // HOP)]
    assert [entry.text for entry in one.conversation.history.entries] == [first.text, second.text]
    assert [out.delta for out in of(api.TextOut, other)] == [" word", " word"] and not of(api.TurnEnded, other)


@pytest.mark.parametrize("duplex", [True, False])
def test_what_is_sent_waits_until_it_is_heard_and_is_counted_once(duplex, monkeypatch):
    engine: DuplexEngine | LiveEngine
    engine = DuplexEngine(Parrot(), rows=2, threads=0) if duplex else LiveEngine(fake_model(), rows=2, threads=0)
    seat, other = engine.sit(CONFIG), engine.sit(CONFIG)
    other.push(api.AudioIn(voice(1)))
    sent = 0
    for pcm in (voice(3), silence(1000), voice(1)[:-7]):
        seat.push(api.AudioIn(pcm))
        sent += len(pcm)
    assert seat.backlog == sent
    mic = seat.conversation.microphone
    while engine.step():
        assert seat.backlog == sent - mic.now, "in the inbox or at the microphone, not in both"
        seat.outputs.clear()
        seat.waiting_audio = 0
    assert 0 < seat.backlog < HOP and other.backlog == 0  # what fills no frame

    async def too_much() -> None:
        session = await engine.open(CONFIG)
        monkeypatch.setattr("vivavoce.runtime.seats.MOST_BACKLOG", 2 * HOP)
        session.push(api.AudioIn(voice(3)))
        assert session.backlog == 3 * HOP
        with pytest.raises(CapacityError, match="wait to be heard"):
            session.push(api.AudioIn(voice(1)))

    engine.leave(other)
    engine.step()
    asyncio.run(too_much())


def test_history_ends_where_playing_ended():
    for stop, played in ((api.Hush(), 5 * HOP), (None, 5 * HOP)):
        engine = DuplexEngine(Parrot(), rows=1, threads=0)
        seat = engine.sit(CONFIG)
        seat.push(api.AudioIn(np.concatenate([voice(5), silence(600)])))
        (begun,) = run(engine, seat)
        item = of(api.EntryAdded, begun)[0].entry.id
        seat.push(api.Played(1, played))
        seat.push(stop or api.Truncate(item, played))
        seat.push(api.AudioIn(silence(2000)))
        (rest,) = run(engine, seat)
        assert of(api.Silenced, rest) == [api.Silenced(1)] and not of(api.AudioOut, rest)
        assert of(api.TurnEnded, rest)[0].why == "client_cancelled" and of(api.EntryTruncated, rest)
        (entry,) = seat.conversation.history.entries
        assert entry.text == " word" and entry.samples == played and entry.status == "incomplete"


def test_a_reply_that_was_stopped_is_not_taken_up_again_before_the_model_falls_silent():
    engine = DuplexEngine(Parrot(), rows=1, threads=0)
    seat = engine.sit(CONFIG)
    seat.push(api.AudioIn(np.concatenate([voice(4), silence(200)])))
    run(engine, seat)
    seat.push(api.Stop())
    seat.push(api.AudioIn(np.concatenate([silence(3000), voice(1), silence(1600)])))
    (outputs,) = run(engine, seat)
    assert [ended.why for ended in of(api.TurnEnded, outputs)] == ["client_cancelled", "completed"]
    assert [out.delta for out in of(api.TextOut, outputs)] == [" word"]
    seat.push(api.Stop(tag="t"))
    (outputs,) = run(engine, seat)
    assert [(o.code, o.tag) for o in of(api.Refused, outputs)] == [("response_cancel_not_active", "t")]


def test_what_it_cannot_do_is_refused_and_what_breaks_ends_the_reply_only():
    engine = DuplexEngine(Parrot(), rows=1, threads=0)
    seat = engine.sit(CONFIG)
    seat.push(api.TextIn("hello"))
    (outputs,) = run(engine, seat)
    assert "takes sound alone, no TextIn" in of(api.Refused, outputs)[0].message
    seat.push(api.AudioIn(np.concatenate([voice(4), silence(200), np.full(HOP, 9, np.float32)])))
    (outputs,) = run(engine, seat)
    assert of(api.TurnEnded, outputs)[0].why == "failed" and of(api.Refused, outputs)[0].code == "server_error"
    seat.push(api.AudioIn(np.concatenate([voice(1), silence(1200)])))
    assert of(api.TurnEnded, run(engine, seat)[0])[0].why == "completed"
    with pytest.raises(CapacityError):
        engine.sit(CONFIG)
    engine.leave(seat)
    engine.step()
    fresh = engine.sit(CONFIG)
    fresh.push(api.AudioIn(silence(400)))
    assert run(engine, fresh) == [[]]


def test_a_stream_gives_every_frame_as_it_is_and_is_quiet_when_told_to_be() -> None:
    engine = DuplexEngine(Parrot(), rows=1, threads=0)
    seat = engine.sit(replace(CONFIG, frames=True))
    seat.push(api.AudioIn(np.concatenate([voice(3), silence(200)])))
    (first,) = run(engine, seat)
    frames = of(api.Framed, first)
    assert first == frames and [frame.at for frame in frames] == [HOP * n for n in range(1, 9)]
    assert [bool(frame.pcm.any()) for frame in frames] == [False] * 3 + [True] * 5
    assert [frame.text for frame in frames] == ["", "", "", " word", "", "", "", " word"]
    seat.push(api.Hush())
    seat.push(api.AudioIn(np.concatenate([silence(1400), voice(1), silence(400)])))
    (rest,) = run(engine, seat)
    quiet = [frame for frame in of(api.Framed, rest) if frame.at <= HOP * (8 + 35)]
    assert len(quiet) == 35 and not any(frame.pcm.any() or frame.text for frame in quiet)
    assert [frame.text for frame in of(api.Framed, rest) if frame.text] == [" word"]  # the model had fallen silent
    assert not seat.waiting_audio


def moshi() -> Moshi:
    """The miniature, untrained, on a codec with 40 ms a frame at 24 kHz."""
    torch.manual_seed(0)
    thin = ConvNeXtConfig(dim=16, depth=1)
    mel = LogMelConfig(sample_rate=24_000, bins=12, hop=240, window=960, n_fft=1024)
    codec = mel_codec(
        mel=mel, encode_fine=thin, encode_coarse=thin, decode_coarse=thin, decode_fine=thin, books=3, size=16,
        code_dim=4,
    ).build()  # fmt: skip
    codec.quantizer.start(torch.randn(4, 16, 64))
    config = MoshiConfig(codes=codec.eval().tokens, bpe=learn(["so it is"] * 3, 262), trunk=TRUNK, depth=DEPTH)
    model = config.build()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return Moshi(model, codec)


def test_moshi_is_live_through_this_seam():
    model = moshi()
    assert isinstance(model, Duplex)
    hop = model.timing.hop
    engine = DuplexEngine(model, rows=2, threads=0)
    sounds = [utter("is it so?", 400), utter("so it is.", 700)]
    seats = [engine.sit(api.SessionConfig(seed=seed)) for seed in (3, 4)]
    outputs: list[list[api.Output]] = [[], []]
    for begin in range(0, max(map(len, sounds)), 1000):  # pieces that are no frames
        for seat, sound in zip(seats, sounds, strict=True):
            seat.push(api.AudioIn(sound[begin : begin + 1000]))
        for found, more in zip(outputs, run(engine, *seats), strict=True):
            found += more
    for found, sound, seed in zip(outputs, sounds, (3, 4), strict=True):
        state = model.init_state(1)
        model.begin(state, 0, seed)
        whole = torch.from_numpy(sound[: len(sound) // hop * hop])[None]
        frames = [model.step(piece, state)[0] for piece in whole.split(hop, dim=1)]
        text = "".join(out.delta for out in of(api.TextOut, found))
        assert text.split() == "".join(frame.text for frame in frames).split() and text.strip()
        heard, said = torch.cat([frame.pcm for frame in frames]).numpy(), of(api.AudioOut, found)
        assert said
        for out in said:
            places = np.flatnonzero(np.isclose(heard, out.pcm[0], atol=1e-5))
            assert any(np.allclose(heard[at : at + len(out.pcm)], out.pcm, atol=1e-4) for at in places)


def test_a_model_at_another_rate_is_refused():
    with pytest.raises(SpecError, match="2400"):
        codec = tiny_codec()
        config = MoshiConfig(codes=codec.tokens, bpe=learn(["so it is"] * 3, 262), trunk=TRUNK, depth=DEPTH)
        DuplexEngine(Moshi(config.build(), codec), rows=1, threads=0)
