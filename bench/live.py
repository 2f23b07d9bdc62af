"""How soon does a live conversation answer, and how many can be held at once?

Each conversation sends recorded speech at the speed of time, 40 ms a message. Measured at 1, 2, 4 and 8
conversations on one engine: from the last sample of speech to the first sound of the answer that is not silent, less
the silence that the client asked us to wait for (200 ms); which share of the steps of the clock took longer than the
40 ms they have, and how often an answer's sound came too late to be played without a gap; how many answers had been
prepared during the silence; from the onset of an interruption to the end of our sound; the processor's time per second
of conversation; and the bytes of state a conversation takes. ``--model fake`` measures the machinery alone.
"""

import argparse
import asyncio
import time

import numpy as np

from _report import publish, spread
from vivavoce.runtime import api
from vivavoce.runtime.api import SessionConfig, TurnConfig
from vivavoce.runtime.engine import LiveEngine, LiveSession
from vivavoce.runtime.fake import fake_model, utter
from vivavoce.runtime.model import FRAME, RATE, Pcm

SILENCE_MS = 200
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


async def measure(engine: LiveEngine, count: int, speech: list[Pcm], turns: int) -> dict[str, object]:
    engine.stats.steps.clear()
    engine.stats.late = engine.stats.ready = engine.stats.unready = 0
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
    steps = engine.stats.steps
    lasted = time.perf_counter() - began
    return {
        "conversations": count,
        "first audio ms": spread([ms for caller in callers for ms in caller.first_audio]),
        "prepared": engine.stats.ready / max(1, engine.stats.ready + engine.stats.unready),
        "interruption to silence ms": spread([ms for caller in callers for ms in caller.silenced] or [float("nan")]),
        "step ms": spread([1000 * step for step in steps]),
        "late steps": engine.stats.late / max(1, len(steps)),
        "gaps in sound": sum(caller.gaps for caller in callers),
        "CPU per second": (time.process_time() - used) / lasted,
        "state KiB": engine.state_bytes() // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="")
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--at", default="1,2,4,8", help="how many conversations at once")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    if options.model == "fake":
        engine, speech = LiveEngine(fake_model(), rows=8), [utter("tell me of dragons.")]
    else:
        import vivavoce
        from vivavoce.audio.files import mono, read_audio

        loaded = vivavoce.load(options.model) if options.model else vivavoce.load()
        folder = vivavoce.__path__[0] + "/assistant/recordings"
        waves = [read_audio(f"{folder}/{number}.ogg", RATE)[0] for number in (1, 2, 3)]
        engine, speech = loaded.engine(8), [spoken(mono(wave).numpy()) for wave in waves]
    asyncio.run(measure(engine, 1, speech, 1))  # warm
    counts = [int(count) for count in options.at.split(",")]
    rows = [asyncio.run(measure(engine, count, speech, options.turns)) for count in counts]
    engine.stop()
    publish(
        "live", {"model": options.model or "mini", "turns": options.turns, "silence_ms": SILENCE_MS}, rows, tails=True
    )


if __name__ == "__main__":
    main()
