"""Speaking: text becomes a plan, the plan a spectrum, the spectrum tokens, the tokens sound, 80 ms at a time.

Everything that is spoken passes through the codec's tokens, so `say`, `ask` and live sessions sound alike, and a reply
can be kept as 200 tokens a second.
"""

import logging
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Lock

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vivavoce.assistant.reading import Reading
from vivavoce.audio.files import read_recording
from vivavoce.audio.formants import depth
from vivavoce.audio.pitch import track_pitch
from vivavoce.core.description import understood
from vivavoce.core.errors import AudioError, VoiceError
from vivavoce.core.streaming import State
from vivavoce.core.talk import Word
from vivavoce.core.voice import Voice
from vivavoce.models.codec import Codec
from vivavoce.models.manner import Manner, manner_of
from vivavoce.models.plan import FIRST_PAUSE, LAST_PAUSE, STACK, Plan
from vivavoce.models.script import script_from
from vivavoce.models.speak import Speaker, SpeakerState
from vivavoce.models.voices import cast
from vivavoce.nn.style import VoicePrint, change_of_voice
from vivavoce.runtime.model import RATE, Pcm, Spoken
from vivavoce.text.normalise import Phrase
from vivavoce.text.phrases import LONGEST

log = logging.getLogger(__name__)

_TOKENS = 2
"""Token frames of one step."""
_SHORTEST_CLIP_SECONDS = 1.5
_SHORTEST_PROSODY_SECONDS = 0.3
"""Of speech, whose pace and melody are taken; a word or two have them."""
_LONGEST_CLIP_SECONDS = 30
_LEAST_VOICED, _HARDLY_VOICED = 0.1, 0.25
"""The share of loud frames with a pitch: .32 or more in 821 recordings of people, less than .1 in 19 of 30 noises, .11
to .15 in whispers made of speech, and in some low voices of our own, which are not as shallow (`depth`)."""
_SHALLOW = 0.3
_PERHAPS_TWO, _TWO_PEOPLE = 0.5, 0.65
"""A change of voice from which on two people are warned of, and refused: of 821 recordings of one 5 have the first and
none the second, of 285 of two women or two men 154 and 96, of a woman and a man 259 and 225."""
_KEPT_VOICES = 32


@dataclass(frozen=True, slots=True)
class Quiet:
    """A silence that the text asks for, in steps."""

    steps: int


@dataclass
class SpeakerRow(Reading):
    """What one row is saying: phrases that are not planned yet, plans, and how far the first of them has come."""

    who: VoicePrint = field(kw_only=True)
    manner: Manner = field(kw_only=True)
    plans: deque[Plan | Quiet] = field(default_factory=deque)
    step: int = 0
    planned: int = 0
    """Samples given out before the first plan began."""
    reported: int = 0
    """Words of the first plan that were given out."""
    begun: bool = False
    ended: bool = False

    @property
    def drawing(self) -> Plan | None:
        """The plan that is drawn now, if one is."""
        return self.plans[0] if self.plans and isinstance(self.plans[0], Plan) else None

    def drawn(self, steps: int, hop: int) -> list[Word]:
        """So many steps of the first plan were drawn, of mel frames of ``hop`` samples; gives the words that begin in
        them."""
        plan, words = self.plans[0], list[Word]()
        self.step += steps
        times = plan.word_times() if isinstance(plan, Plan) else ()
        while self.reported < len(times) and times[self.reported].begin < self.step * STACK:
            word = times[self.reported]
            begin, end = self.planned + word.begin * hop, self.planned + word.end * hop
            words.append(Word(word.word, begin, end, span=word.span))
            self.reported += 1
        if self.step >= plan.steps:
            self.plans.popleft()
            self.planned += self.step * STACK * hop
            self.step = self.reported = 0
        return words

    def breath(self) -> list[Phrase]:
        """Takes what is said in one breath: a sentence that is not too long, or its beginning where nothing else is
        left to say; nothing where more of it is waited for."""
        count = 0
        for phrase in self.phrases:
            if count and phrase.end - self.phrases[0].begin > LONGEST:
                break
            count += 1
            if phrase.ends_sentence or phrase.pause:
                break
        else:
            count = count if self.last or not self.plans else 0
        return [self.phrases.popleft() for _ in range(count)]


@dataclass
class MouthState(State):
    """Networks' states of all rows, and what each row is saying."""

    speaker: SpeakerState
    encode: State
    decode: State
    rows_: list[SpeakerRow | None]

    def reset(self, rows: Bool[Tensor, " B"] | None = None) -> None:
        """Falls silent on these rows (or all)."""
        for part in (self.speaker, self.encode, self.decode):
            part.reset(rows)
        for index in range(len(self.rows_)):
            if rows is None or bool(rows[index]):
                self.rows_[index] = None


class Mouth:
    """Speaking for the runtime, from the parts ``speaker`` and ``codec``."""

    def __init__(self, speaker: Speaker, codec: Codec) -> None:
        """Remembers the prints of the last voices."""
        self.speaker = speaker
        self.codec = codec
        self._prints: OrderedDict[bytes, VoicePrint] = OrderedDict()
        self._lock = Lock()
        self._mel = speaker.config.mel.build()

    def init_state(self, rows: int) -> MouthState:
        """Silent rows."""
        return MouthState(
            self.speaker.init_state(rows), self.codec.init_encode(rows), self.codec.init_decode(rows), [None] * rows
        )

    def begin(self, state: MouthState, row: int, voice: Voice, seed: int) -> None:
        """A new reply on this row, in this voice. Raises VoiceError for a clip that cannot be imitated."""
        del seed  # the plan is the likeliest one; nothing is drawn
        who, manner = self.cast(voice)
        chosen = torch.arange(len(state.rows_)) == row
        state.reset(chosen)
        state.rows_[row] = SpeakerRow(who=who, manner=manner)

    def feed(self, state: MouthState, row: int, text: str, last: bool) -> None:
        """More text; whole sentences are planned at once, the rest when it is whole or nothing else is left to say."""
        saying = state.rows_[row]
        if saying is None or saying.last:
            return
        saying.read(text, last)

    def stop(self, state: MouthState, row: int) -> None:
        """Drops the rest of the reply."""
        state.rows_[row] = None

    @torch.inference_mode()
    def step(self, state: MouthState, active: Bool[Tensor, " B"]) -> list[Spoken | None]:
        """80 ms of sound of every active row that has something to say."""
        ready = [self._ready(state.rows_[row]) if on else False for row, on in enumerate(active.tolist())]
        given: list[Spoken | None] = [None] * len(ready)
        for row, saying in enumerate(state.rows_):
            if saying is not None and saying.ended and active[row]:
                given[row] = Spoken(np.zeros(0, np.float32), (), True)
                state.rows_[row] = None
        if not any(ready):
            return given
        steps = _TOKENS * self.codec.config.hop // (STACK * self.speaker.config.mel.hop)
        chosen = torch.tensor(ready).nonzero()[:, 0]
        speaking = [saying for on, saying in zip(ready, state.rows_, strict=True) if on and saying is not None]
        blank = torch.zeros(1, steps, self.speaker.config.inputs)
        inputs = [
            self.speaker.inputs_of(plan, saying.step, steps) if (plan := saying.drawing) else blank
            for saying in speaking
        ]
        # only rows that speak are computed: one conversation costs the same on an engine of any size
        speaker, encode, decode = state.speaker.rows(chosen), state.encode.rows(chosen), state.decode.rows(chosen)
        mel = self.speaker.step(torch.cat(inputs), speaker)
        for place, saying in enumerate(speaking):
            if saying.drawing is None:
                mel[place] = self.speaker.typical_mean[:, None] - 6.0  # a silence, or the codec's delay is flushed
        sound = self.codec.decode_step(self.codec.encode_mel_step(mel, encode), decode)
        state.speaker.put(chosen, speaker)
        state.encode.put(chosen, encode)
        state.decode.put(chosen, decode)
        for row, saying, pcm in zip(chosen.tolist(), speaking, sound, strict=True):
            given[row] = spoken = self._give(saying, pcm, steps)
            if spoken.done:
                state.rows_[row] = None
        return given

    def _ready(self, saying: SpeakerRow | None) -> bool:
        """Plans what can be planned; whether there is something to draw."""
        if saying is None or saying.ended:
            return False
        while len(saying.plans) < 2 and (breath := saying.breath()):
            saying.unsaid += [phrase.refusal for phrase in breath if phrase.refusal]
            words = [word for phrase in breath for word in phrase.words]
            if words:
                saying.plans.append(self.speaker.plan(script_from(words), saying.who, saying.manner))
            if (pause := sum(phrase.pause for phrase in breath)) and (quiet := self._quiet(saying, pause)).steps:
                saying.plans.append(quiet)
        if saying.plans:
            return True
        if saying.last and not saying.begun:
            saying.ended = True
            if saying.written:
                raise saying.nothing()
        return saying.last and not saying.ended

    def _quiet(self, saying: SpeakerRow, seconds: float) -> Quiet:
        """A silence after the last plan that lasts so long together with the pauses that plans begin and end with."""
        step = _TOKENS * self.codec.config.hop // (STACK * self.speaker.config.mel.hop)
        frames = seconds * float(self.speaker.config.mel.rate) - FIRST_PAUSE
        if saying.begun or saying.plans:
            frames -= LAST_PAUSE
        if saying.plans and isinstance(plan := saying.plans[-1], Plan):
            frames -= STACK * (-plan.steps % step)
        return Quiet(step * max(0, round(frames / (step * STACK))))

    def _give(self, saying: SpeakerRow, sound: Tensor, steps: int) -> Spoken:
        """The sound of a step without the codec's delay, and the words that begin in it."""
        pcm = sound.numpy()
        if not saying.begun:
            saying.begun = True
            pcm = pcm[self.codec.delay :]
        elif not saying.plans:
            pcm = pcm[: self.codec.delay]
        pcm = _at_gain(pcm, saying.manner.gain_db)
        saying.ended = not saying.plans
        words = [] if saying.ended else saying.drawn(steps, self.speaker.config.mel.hop)
        return Spoken(np.ascontiguousarray(pcm, dtype=np.float32), tuple(words), saying.ended, saying.refusals())

    # ---- who speaks ----

    def cast(self, voice: Voice) -> tuple[VoicePrint, Manner]:
        """Who speaks and how: the print that the speaker draws with, and rate, pitch and loudness."""
        traits = understood(voice.description.replace("|", ","))
        manner = manner_of(traits, voice.speed)
        if voice.clip:
            return self._print_of(voice.clip), manner
        if voice.name in self.speaker.config.voices:
            return self.speaker.preset(voice.name), manner
        return cast(self.speaker, traits, voice.identity), manner

    def _print_of(self, clip: bytes) -> VoicePrint:
        key = blake2b(clip, digest_size=16).digest()
        with self._lock:  # a voice may be tried on one thread while others speak
            if key not in self._prints:
                self._prints[key] = self.imitate(clip)
                while len(self._prints) > _KEPT_VOICES:
                    self._prints.popitem(last=False)
            self._prints.move_to_end(key)
            return self._prints[key]

    @torch.inference_mode()
    def imitate(self, clip: bytes) -> VoicePrint:
        """The print of the voice in an audio file's bytes; VoiceError when there is too little of it, or two people.

        Where it is not clear whether two people speak a warning says so; nothing else is known of who they are.
        """
        return self.speaker.listen(*self._one_voice(clip, "the clip", _SHORTEST_CLIP_SECONDS))

    @torch.inference_mode()
    def check_prosody(self, clip: bytes) -> None:
        """Raises VoiceError as `imitate` does, for a clip whose pace and melody are taken and which may be shorter."""
        self._one_voice(clip, "the clip of the prosody", _SHORTEST_PROSODY_SECONDS)

    def _one_voice(self, clip: bytes, name: str, shortest: float) -> tuple[Float[Tensor, "T M"], Float[Tensor, " T"]]:
        """Mel frames and pitch of a clip in which one person speaks so many seconds; errors call it by this name."""
        try:
            read = read_recording(clip, RATE, name=name, allow_silent=True, first_seconds=_LONGEST_CLIP_SECONDS)
        except AudioError as error:
            raise VoiceError(str(error)) from error
        if read.warning:
            log.warning("%s: %s", name, read.warning)
        sound = read.wave
        sound = torch.nn.functional.pad(sound, (0, -len(sound) % self._mel.config.hop))
        mel = self._mel(sound[None])[0].T
        level = mel.mean(1)
        loud = level > level.max() - 4.0 if len(level) and float(sound.abs().max()) > 1e-3 else level > float("inf")
        seconds = int(loud.sum()) * self._mel.config.hop / RATE
        if seconds < shortest:
            raise VoiceError(
                f"{name} has {seconds:.1f} s of speech, but imitating it takes at least {shortest} s; give a longer or "
                "louder recording"
            )
        hz = track_pitch(sound, RATE).hz
        frames = min(len(mel), len(hz))
        loud = loud[:frames]
        voiced, deep = float((hz[:frames][loud] > 0).float().mean()), depth(mel[:frames][loud])
        if voiced < _LEAST_VOICED or (voiced < _HARDLY_VOICED and deep < _SHALLOW):
            raise VoiceError(
                f"nobody is heard to speak aloud in {name}, only noise, or a whisper, by which nobody can be told; "
                "give a recording of somebody who speaks aloud in a quiet place"
            )
        change = change_of_voice(self.speaker.reference, mel[:frames][loud], hz[:frames][loud])
        if change > _TWO_PEOPLE:
            raise VoiceError(f"two people speak in {name}; cut out what one of them says, five seconds are enough")
        if change > _PERHAPS_TWO:
            log.warning(
                "perhaps two people speak in %s, and a mixture of them is imitated; cut out what one of them says", name
            )
        return mel[:frames], hz[:frames]


def _at_gain(pcm: Pcm, gain_db: float) -> Pcm:
    """Louder or quieter sound; what is raised is bent at full scale, not cut off."""
    factor = 10 ** (gain_db / 20)
    return np.tanh(pcm * factor) if gain_db > 0 else pcm * np.float32(factor)
