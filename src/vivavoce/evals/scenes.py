"""Scenes for the simulator of turn-taking: people who pause, interrupt, cough, hum or are only an echo.

In each, somebody asks a question and we answer; what happens around that is the scene: a pause inside the question or
after an order that is whole already, words in the middle of our answer, or something that is not meant for us. Real
interruptions are of several kinds: whole sentences of people, short urgent words, voices that start softly, and any of
them over our own echo.

The people read books, digits and names, of which the default model understands little: what it does about their
pauses shows how it judges by sound. The orders show how it judges by meaning.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vivavoce.core import rng
from vivavoce.data.sheet import Sheet, load_sheet
from vivavoce.evals.noise import noise
from vivavoce.evals.orders import orders_of
from vivavoce.runtime.model import FRAME, RATE, Pcm

Kind = Literal[
    "pause", "interruption", "urgent", "soft", "double_talk",
    "backchannel", "cough", "noise", "echo", "echo_backchannel",
    "order", "order_pause", "order_more",
]  # fmt: skip
REAL: tuple[Kind, ...] = ("interruption", "urgent", "soft", "double_talk")
HARMLESS: tuple[Kind, ...] = ("backchannel", "cough", "noise", "echo", "echo_backchannel")
ECHOING: tuple[Kind, ...] = ("echo", "double_talk", "echo_backchannel")
PAUSES: tuple[Kind, ...] = ("pause", "order", "order_pause", "order_more")

HUMS = ("okay", "yeah", "right", "uh-huh", "i see", "yes", "hmm", "sure", "oh", "cool")
URGENT = (
    *("stop", "wait", "no", "no no", "hold on", "excuse me", "hey"),
    *("one moment", "actually no", "cancel that", "sorry", "that's enough"),
)


@dataclass(frozen=True, slots=True)
class Room:
    """The way from our loudspeaker back to the microphone: an impulse response at 24 kHz, its delay included, and how
    far the loudspeaker is driven into saturation (0: not at all)."""

    impulse: Pcm
    drive: float = 0.0

    def speaker(self, pcm: Pcm) -> Pcm:
        """What the loudspeaker makes of a sound."""
        return np.tanh(self.drive * pcm) / self.drive if self.drive else pcm


class Loudspeaker:
    """Our loudspeaker in a room: takes what is played frame by frame, gives what the microphone hears of it."""

    def __init__(self, room: Room) -> None:
        """Nothing was played yet."""
        self._room = room
        self._size = 1 << (len(room.impulse) + FRAME).bit_length()
        self._response = np.fft.rfft(room.impulse, self._size)
        self._coming = np.zeros(self._size)

    def play(self, pcm: Pcm) -> Pcm:
        """The next frame."""
        self._coming += np.fft.irfft(np.fft.rfft(self._room.speaker(pcm), self._size) * self._response, self._size)
        heard = self._coming[:FRAME].astype(np.float32)
        self._coming = np.concatenate((self._coming[FRAME:], np.zeros(FRAME)))
        return heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One short conversation that will be simulated."""

    kind: Kind
    question: Pcm
    answer: Pcm
    rest: Pcm | None = None
    """The second half of a question with a pause."""
    pause: int = 0
    intrusion: Pcm | None = None
    after: int = RATE
    """How much of the answer is heard before something intrudes."""
    room: Room | None = None
    """Where our own answer comes back to the microphone."""
    hiss: float = 0.001


# ---- sounds ----


def level(pcm: Pcm, to: float = 0.07) -> Pcm:
    """The recording at a usual loudness."""
    return (pcm * (to / (np.sqrt(np.mean(pcm**2)) + 1e-9))).astype(np.float32)


def trimmed(pcm: Pcm) -> Pcm:
    """The recording without the silence around it, so that its onset is the onset of speech."""
    block = RATE // 100
    loud = np.sqrt((pcm[: len(pcm) // block * block].reshape(-1, block) ** 2).mean(axis=1))
    heard = np.flatnonzero(loud > 0.1 * loud.max())
    return pcm[heard[0] * block : (heard[-1] + 1) * block] if len(heard) else pcm


def click(pcm: Pcm) -> bool:
    """Whether a recording begins with a click or a breath: it falls back below a tenth of its loudest within 60 ms, for
    60 ms and more."""
    block = RATE // 100
    loud = np.sqrt((pcm[: len(pcm) // block * block].reshape(-1, block) ** 2).mean(axis=1))
    quiet = loud <= 0.1 * loud.max()
    return any(quiet[begin : begin + 6].all() for begin in range(1, 7))


def softened(pcm: Pcm) -> Pcm:
    """The recording 6 dB softer, and from 30 dB below that rising to it within 0.4 s."""
    rise = np.minimum(0.0, np.linspace(-30, -30 + 75 * len(pcm) / RATE, len(pcm))) - 6
    return trimmed((pcm * 10 ** (rise / 20)).astype(np.float32))


def _resonance(pcm: np.ndarray, hz: float, width: float) -> np.ndarray:
    """The sound through one resonance of a throat."""
    spectrum, at = np.fft.rfft(pcm), np.fft.rfftfreq(len(pcm), 1 / RATE)
    return np.fft.irfft(spectrum / (1 + ((at - hz) / width) ** 2), len(pcm))


def cough(dice: np.random.Generator) -> Pcm:
    """One to three coughs: a burst of breath through the throat's resonances, and in most of them voice at its end."""
    pieces = []
    throat = [(dice.uniform(500, 900), 250.0), (dice.uniform(1200, 2200), 400.0), (dice.uniform(2800, 4500), 900.0)]
    voiced, pitch = dice.random() < 0.7, dice.uniform(120, 400)
    for _ in range(int(dice.integers(1, 4))):
        length = int(dice.integers(150, 350)) * 24
        at = np.arange(length) / length
        breath = dice.standard_normal(length) * np.exp(-at * dice.uniform(2, 5))
        voice = np.zeros(length)
        if voiced:
            phase = 2 * np.pi * np.cumsum(pitch * (1.15 - 0.3 * at)) / RATE
            buzz = sum(np.cos(k * phase) / k for k in range(1, 20))
            voice = np.asarray(buzz) * np.exp(-(((at - 0.6) / 0.2) ** 2)) * dice.uniform(0.2, 1)
        sound = sum(_resonance(breath + voice, hz, width) for hz, width in throat)
        sound = np.asarray(sound) * np.minimum(1, np.arange(length) / 150) * np.minimum(1, (1 - at) * 10)
        pieces += [sound / np.abs(sound).max() * dice.uniform(0.15, 0.6), np.zeros(int(dice.integers(40, 300)) * 24)]
    return np.concatenate(pieces[:-1]).astype(np.float32)


def hum(dice: np.random.Generator) -> Pcm:
    """A "mhm" or "mm": one or two nasal hums, the second one higher or lower."""
    parts = []
    pitch = dice.uniform(90, 260)
    for factor in (1.0, dice.uniform(0.8, 1.3))[: 1 + int(dice.random() < 0.75)]:
        length = int(dice.integers(110, 200)) * 24
        phase = 2 * np.pi * np.cumsum(pitch * factor * np.linspace(1, dice.uniform(0.9, 1.1), length)) / RATE
        tone = sum(np.sin(k * phase) * dice.uniform(0.5, 0.7) ** k for k in range(1, 8))
        parts += [np.asarray(tone) * np.hanning(length), np.zeros(24 * int(dice.integers(0, 50)))]
    return trimmed(level(np.concatenate(parts).astype(np.float32)))


def disturbance(dice: np.random.Generator) -> Pcm:
    """Two seconds of hiss, a fan or cups and cutlery that begin at once, 6 to 24 dB softer than a voice."""
    name = ("hiss", "pink", "fan", "kitchen")[int(dice.integers(4))]
    made = noise(name, 2 * RATE, RATE, int(dice.integers(1 << 30))).numpy()
    return level(made, 0.07 * 10 ** (-dice.uniform(6, 24) / 20))


def pause_within(pcm: Pcm) -> int:
    """The quietest place in the middle half of a recording, where a speaker may stop to think."""
    block = RATE // 50
    frames = pcm[: len(pcm) // block * block].reshape(-1, block)
    loud = np.convolve((frames**2).mean(axis=1), np.ones(3) / 3, "same")
    low, high = len(frames) // 4, 3 * len(frames) // 4
    return (low + int(np.argmin(loud[low:high]))) * block


def room(dice: np.random.Generator) -> Room:
    """A room that brings sound back 40 to 250 ms later, 6 to 24 dB softer, with reverberation; in every second one
    the loudspeaker distorts."""
    length = int(dice.integers(100, 400)) * 24
    tail = dice.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length) * dice.uniform(0.02, 0.2)
    tail[0] = 1.0
    delay = np.zeros(int(dice.integers(40, 250)) * 24)
    impulse = np.concatenate((delay, tail)) * 10 ** (-dice.uniform(6, 24) / 20)
    return Room(impulse.astype(np.float32), float(dice.uniform(1, 5)) * int(dice.integers(2)))


# ---- what synthesis programs say ----


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSounds:
    """What synthesis programs said, Float[N] at 24 kHz: whole orders, orders that break off before the item, whole
    orders to which something is added, signs of listening and urgent words."""

    orders: tuple[Pcm, ...] = ()
    halves: tuple[tuple[Pcm, Pcm], ...] = ()
    additions: tuple[tuple[Pcm, Pcm], ...] = ()
    hums: tuple[Pcm, ...] = ()
    urgent: tuple[Pcm, ...] = ()


def _texts(sheet: Sheet, count: int, seed: int) -> tuple[list[str], list[tuple[str, str]], list[tuple[str, str]]]:
    """Orders as a whole, with a pause before the item is named, and with a pause before what is said behind it."""
    known = orders_of(sheet)
    dice = rng.stream(seed, "halves")
    drawn = known.orders(8 * count, seed)
    cuts: list[tuple[str, str]] = []
    for order in drawn[count : 2 * count]:
        words = order.text.split()
        before = order.text.split(f" {order.slots[known.item]}")[0].split()
        place = int(dice.integers(2, max(3, len(before) + 1)))
        cuts.append((" ".join(words[:place]), " ".join(words[place:])))
    parted = [order.text.partition(f" {order.slots[known.item]} ") for order in drawn[2 * count :]]
    additions = [(first + item.rstrip(), rest) for first, item, rest in parted if rest]
    return [order.text for order in drawn[:count]], cuts, additions[:count]


def spoken(count: int, seed: int = 0, sheet: Sheet | None = None) -> SceneSounds:
    """So many of each by voices that were kept from training; what is ordered is the character's.

    The default character where there is no sheet; MissingExtra where the programs are not installed.
    """
    from vivavoce.data.synthesis import readings, speak

    whole, cuts, additions = _texts(sheet or load_sheet(), count, seed)
    single = whole + [words[n % len(words)] for words in (HUMS, URGENT) for n in range(count)]
    texts = single + [half for pair in cuts + additions for half in pair]
    made = readings(texts, seed, engines={"espeak-ng": 0.5, "festival": 0.5}, unseen=True)
    for first in range(len(single), len(made), 2):
        made[first + 1] = replace(made[first], text=made[first + 1].text)
    sounds = [level(trimmed(s.wave.astype(np.float32))) for s in speak(made, sample_rate=RATE, workers=1)]
    halves = tuple(zip(sounds[len(single) :: 2], sounds[len(single) + 1 :: 2], strict=True))
    return SceneSounds(
        orders=tuple(sounds[:count]),
        hums=tuple(sounds[count : 2 * count]),
        urgent=tuple(sounds[2 * count : 3 * count]),
        halves=halves[:count],
        additions=halves[count:],
    )


# ---- scenes ----


def scenes(recordings: Sequence[Pcm], each: int, seed: int = 0, said: SceneSounds | None = None) -> list[Scene]:
    """So many scenes of each kind, always the same ones for a seed; Float[N] recordings of 1 s and more at 24 kHz.

    Kinds that synthesis programs speak are left out where ``said`` has nothing of them.
    """
    said = said or SceneSounds()
    dice = rng.stream(seed, "turns")
    clips = [level(trimmed(clip)[: 6 * RATE]) for clip in recordings if len(clip) >= RATE]

    def pick() -> Pcm:
        return clips[int(dice.integers(len(clips)))]

    def answer() -> Pcm:
        return np.concatenate([pick(), pick(), pick()])[: 8 * RATE]

    def halves(kind: Kind, first: Pcm, second: Pcm) -> Scene:
        pause = int(dice.integers(500, 1000)) * 24
        return Scene(kind=kind, question=first, rest=second, pause=pause, answer=answer())

    def intrusions(number: int) -> Iterator[tuple[Kind, Pcm | None]]:
        hums = said.hums[number] if number < len(said.hums) and number % 2 else hum(dice)
        urgent = said.urgent[number] if number < len(said.urgent) else None
        yield "interruption", pick()
        if urgent is not None:
            yield "urgent", urgent
        yield "soft", softened(pick())
        yield "double_talk", pick()
        yield "backchannel", hums
        yield "cough", cough(dice)
        yield "noise", disturbance(dice)
        yield "echo", None
        yield "echo_backchannel", hums if number % 3 else cough(dice)

    found: list[Scene] = []
    for number in range(each):
        whole = pick()
        cut = pause_within(whole)
        # the pause is as long as it is said to be: what is silent around the cut already does not add to it
        found.append(halves("pause", trimmed(whole[:cut]), trimmed(whole[cut:])))
        for kind, intrusion in intrusions(number):
            found.append(
                Scene(
                    kind=kind,
                    question=pick(),
                    answer=answer(),
                    intrusion=intrusion,
                    after=int(dice.integers(500, 2000)) * 24,
                    room=room(dice) if kind in ECHOING or (kind == "urgent" and number % 2) else None,
                )
            )
    found += [Scene(kind="order", question=order, answer=answer()) for order in said.orders[:each]]
    found += [halves("order_pause", *pair) for pair in said.halves[:each]]
    found += [halves("order_more", *pair) for pair in said.additions[:each]]
    return found
