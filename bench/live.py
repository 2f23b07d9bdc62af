"""How soon does a live conversation answer, and how many can be held at once?

Each conversation sends recorded speech at the speed of time, 40 ms a message. Measured at 1, 2, 4 and 8
conversations on one engine: from the last sample of speech to the first sound of the answer that is not silent, less
the silence that the client asked us to wait for (500 ms); which share of the steps of the clock took longer than the
40 ms they have, and how often an answer's sound came too late to be played without a gap; how many answers had been
prepared during the silence; from the onset of an interruption to the end of our sound; the processor's time per second
of conversation; and the bytes of state a conversation takes. ``--model fake`` measures the machinery alone.
``--alone`` lets time go by as the processor works and not as the clock on the wall does: everything on one thread, as
if the machine had one core and nothing else to do, which is how a busy machine can be measured.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from _report import publish, spread
from vivavoce.runtime import api
from vivavoce.runtime.activity import SileroActivity
from vivavoce.runtime.api import SessionConfig, TurnConfig
from vivavoce.runtime.engine import LiveEngine, Seat
from vivavoce.runtime.fake import fake_model, utter
from vivavoce.runtime.model import FRAME, RATE, Pcm
from vivavoce.runtime.seats import LiveSession

SILENCE_MS = 500
SILENT = 1e-3


class Caller:
    """Somebody who speaks, waits for the answer, and interrupts the last one."""

    def __init__(self, session: LiveSession, speech: Pcm) -> None:
        self.session, self.speech = session, speech
        self.first_audio: list[float] = []
        self.silenced: list[float] = []
        self.spoke_until: float | None = None
        self.onset: float | None = None
        self.answered = asyncio.Event()
        self.clock = time.perf_counter()
        self.gaps = 0
        self._played_until = 0.0

    def _play(self, output: api.AudioOut, now: float) -> None:
        """A loudspeaker that begins 40 ms after the first sound."""
        if output.at == 0:
            self._played_until = now + FRAME / RATE
        elif now > self._played_until:
            self.gaps += 1
            self._played_until = now
        self._played_until += len(output.pcm) / RATE

    async def listen(self) -> None:
        """Notes when sound begins and ends."""
        async for output in self.session.events():
            now = time.perf_counter()
            if isinstance(output, api.AudioOut):
                self._play(output, now)
            if isinstance(output, api.AudioOut) and self.spoke_until is not None and np.abs(output.pcm).max() > SILENT:
                lead = int(np.argmax(np.abs(output.pcm) > SILENT)) / RATE
                self.first_audio.append(1000 * (now - self.spoke_until + lead) - SILENCE_MS)
                self.spoke_until = None
                self.answered.set()
            if isinstance(output, api.Silenced) and self.onset is not None:
                self.silenced.append(1000 * (now - self.onset))
                self.onset = None

    async def send(self, pcm: Pcm) -> None:
        """At the speed of time."""
        for begin in range(0, len(pcm), FRAME):
            await self.session.send(api.AudioIn(pcm[begin : begin + FRAME]))
            self.clock = max(self.clock + len(pcm[begin : begin + FRAME]) / RATE, time.perf_counter() - 0.2)
            await asyncio.sleep(max(0.0, self.clock - time.perf_counter()))

    async def hold(self, turns: int) -> None:
        """So many questions; all but the first interrupt the answer before."""
        hush = np.zeros(FRAME, np.float32)
        for turn in range(turns):
            self.answered.clear()
            if turn:
                self.onset = time.perf_counter()
            await self.send(self.speech)
            self.spoke_until = time.perf_counter()
            while not self.answered.is_set():
                await self.send(hush)
            await self.send(np.zeros(RATE // 2, np.float32))


def spoken(pcm: Pcm) -> Pcm:
    """A recording without the silence at its end: answers are timed from the last sound."""
    loud = np.flatnonzero(np.abs(pcm) > 0.02 * np.abs(pcm).max())
    return pcm[: int(loud[-1]) + 1]


class Script:
    """A caller on the processor's own time: speaks, waits for the answer, interrupts the last one."""

    def __init__(self, seat: Seat, speech: Pcm, turns: int, begin: float) -> None:
        self.seat, self.speech, self.turns, self.due = seat, speech, turns, begin
        self.first_audio: list[float] = []
        self.silenced: list[float] = []
        self.spoke_until: float | None = None
        self.onset: float | None = None
        self._at = 0
        self._rest: int | None = None
        self.gaps = 0
        self._played_until = 0.0

    @property
    def over(self) -> bool:
        """Whether all was asked and answered."""
        return not self.turns

    def give(self) -> None:
        """The next frame of the microphone."""
        pcm = np.zeros(FRAME, np.float32)
        if self._rest is None or self._rest <= 0:
            if self._at == 0 and self.first_audio:
                self.onset = self.due
            piece = self.speech[self._at : self._at + FRAME]
            pcm[: len(piece)] = piece
            self._at += FRAME
            if self._at >= len(self.speech):
                self.spoke_until = self.due + len(piece) / RATE
                self._at, self._rest = 0, 1 << 30
        else:
            self._rest -= FRAME
            if self._rest <= 0:
                self.turns -= 1
        self.seat.push(api.AudioIn(pcm))
        self.due += FRAME / RATE

    def read(self, now: float) -> None:
        """What came out by now."""
        while self.seat.outputs:
            output = self.seat.read()
            if isinstance(output, api.AudioOut):
                if output.at == 0:
                    self._played_until = now + FRAME / RATE
                elif now > self._played_until:
                    self.gaps, self._played_until = self.gaps + 1, now
                self._played_until += len(output.pcm) / RATE
                if self.spoke_until is not None and np.abs(output.pcm).max() > SILENT:
                    lead = int(np.argmax(np.abs(output.pcm) > SILENT)) / RATE
                    self.first_audio.append(1000 * (now + lead - self.spoke_until) - SILENCE_MS)
                    self.spoke_until, self._rest = None, RATE
            if isinstance(output, api.Silenced) and self.onset is not None:
                self.silenced.append(1000 * (now - self.onset))
                self.onset = None


def measure_alone(engine: LiveEngine, count: int, speech: list[Pcm], turns: int) -> dict[str, object]:
    engine.stats.ready = engine.stats.unready = 0
    config = SessionConfig(turns=TurnConfig(silence_duration_ms=SILENCE_MS), plays_here=True)
    scripts = [
        Script(engine.sit(config), speech[number % len(speech)], turns, 0.17 * number) for number in range(count)
    ]
    now, used, steps = 0.0, 0.0, []
    while not all(script.over for script in scripts):
        for script in scripts:
            while not script.over and script.due <= now:
                script.give()
        began = time.process_time()
        did = engine.step()
        took = time.process_time() - began
        now, used = now + took, used + took
        for script in scripts:
            script.read(now)
        if did:
            steps.append(took)
        else:
            now = max(now, min((script.due for script in scripts if not script.over), default=now))
    for script in scripts:
        engine.leave(script.seat)
    engine.step()
    return row(engine, count, scripts, steps, used / now)


async def measure(engine: LiveEngine, count: int, speech: list[Pcm], turns: int) -> dict[str, object]:
    engine.stats.steps.clear()
    engine.stats.ready = engine.stats.unready = 0
    began, used = time.perf_counter(), time.process_time()
    config = SessionConfig(turns=TurnConfig(silence_duration_ms=SILENCE_MS), plays_here=True)
    callers = [Caller(await engine.open(config), speech[number % len(speech)]) for number in range(count)]
    ears = [asyncio.create_task(caller.listen()) for caller in callers]

    async def begin(number: int) -> None:
        await asyncio.sleep(number * 0.17)  # people do not speak in unison
        await callers[number].hold(turns)

    await asyncio.gather(*(begin(number) for number in range(count)))
    for caller in callers:
        await caller.session.close()
    await asyncio.gather(*ears)
    lasted = time.perf_counter() - began
    return row(engine, count, callers, list(engine.stats.steps), (time.process_time() - used) / lasted)


def row(
    engine: LiveEngine, count: int, callers: Sequence[Caller | Script], steps: list[float], load: float
) -> dict[str, object]:
    """What was measured with so many conversations."""
    stats = engine.stats
    return {
        "conversations": count,
        "first audio ms": spread([ms for caller in callers for ms in caller.first_audio]),
        "prepared": stats.ready / max(1, stats.ready + stats.unready),
        "interruption to silence ms": spread([ms for caller in callers for ms in caller.silenced] or [float("nan")]),
        "step ms": spread([1000 * step for step in steps]),
        "late steps": sum(step > FRAME / RATE for step in steps) / max(1, len(steps)),
        "gaps in sound": sum(caller.gaps for caller in callers),
        "CPU per second": load,
        "state KiB": engine.state_bytes() // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--at", default="1,2,4,8", help="how many conversations at once")
    parser.add_argument("--alone", action="store_true", help="on the processor's own time, one thread")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    if options.model == "fake":
        model, speech = fake_model(), [utter("tell me of dragons.")]
    else:
        import vivavoce
        from vivavoce.audio.files import read_audio

        loaded = vivavoce.load(options.model) if options.model else vivavoce.load()
        folder = vivavoce.__path__[0] + "/assistant/recordings"
        waves = [read_audio(f"{folder}/{number}.ogg", RATE)[0] for number in (1, 2, 3)]
        model = replace(loaded.abilities, activity=SileroActivity())
        speech = [spoken(wave.numpy()) for wave in waves]
    apart = options.model != "fake" and sys.platform == "linux"  # as `vivavoce serve` does
    engine = LiveEngine(model, rows=8, threads=0 if options.alone else 2, forked=apart)

    def measured(count: int, turns: int) -> dict[str, object]:
        if options.alone:
            return measure_alone(engine, count, speech, turns)
        return asyncio.run(measure(engine, count, speech, turns))

    measured(1, 1)  # warm
    rows = [measured(int(count), options.turns) for count in options.at.split(",")]
    engine.stop()
    config = {"model": options.model or "mini", "turns": options.turns, "silence_ms": SILENCE_MS}
    publish("live", config | {"alone": options.alone}, rows, tails=True)


if __name__ == "__main__":
    main()
