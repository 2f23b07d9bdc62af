"""The voices of the synthesis programs: which there are, what they can change, and which are kept for testing.

espeak-ng and flite teach, festival only tests: nothing of it is ever in training. Of the teaching engines some voices
are kept back too, so that "a voice it never heard" can be told from "a program it never heard".
"""

from dataclasses import dataclass
from typing import Final

ENGINES: Final = ("espeak-ng", "flite", "festival")

_ACCENTS: Final = (
    "en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-029", "en-gb-x-gbclan", "en-gb-x-gbcwmd",
)  # fmt: skip
# Variants of the throat that stay intelligible; robots, demons and loudspeaker announcements are left out.
_VARIANTS: Final = (
    "", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5", "Alex", "Alicia",
    "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Jacky", "Lee", "Marco",
    "Mario", "Michael", "Mike", "Mr serious", "Nguyen", "RicishayMax", "RicishayMax2", "RicishayMax3", "Storm",
    "Tweaky", "adam", "anika", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "croak", "david",
    "ed", "edward", "edward2", "grandma", "grandpa", "gustave", "iven", "iven2", "iven3", "iven4", "john",
    "kaukovalta", "klatt", "klatt2", "klatt3", "klatt4", "klatt5", "klatt6", "linda", "marcelo", "max",
    "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro", "shelby",
    "steph", "steph2", "steph3", "travis", "victor", "whisper", "whisperf", "zac",
)  # fmt: skip
_FLITE: Final = ("slt", "rms", "kal16", "awb")
_FESTIVAL: Final = ("cmu_us_slt_arctic_hts", "kal_diphone", "ked_diphone")

_HELD_OUT_ACCENTS: Final = frozenset({"en-gb-x-gbclan"})
_HELD_OUT_VARIANTS: Final = frozenset(
    {
        "m4",
        "f3",
        "Andy",
        "Denis",
        "linda",
        "klatt4",
        "travis",
        "grandma",
        "Hugo",
        "belinda",
        "quincy",
        "steph2",
        "Alicia",
    }
)
_HELD_OUT_FLITE: Final = frozenset({"awb"})
_FEMALE: Final = frozenset(
    "f1 f2 f3 f4 f5 Alicia Andrea Annie aunty belinda linda steph steph2 steph3 anika whisperf grandma".split()
)


@dataclass(frozen=True, slots=True)
class SynthesisVoice:
    """A voice of a synthesis program, by the name that the program knows."""

    engine: str
    name: str

    @property
    def held_out(self) -> bool:
        """Whether it is kept for testing."""
        return held_out(self.engine, self.name)

    @property
    def sex(self) -> str:
        """F or M, as the program says."""
        return "F" if "slt" in self.name or self.name.partition("+")[2] in _FEMALE else "M"


def held_out(engine: str, voice: str) -> bool:
    """Whether a voice is for testing only: all of festival, and a fixed part of the others."""
    if engine == "festival":
        return True
    if engine == "flite":
        return voice in _HELD_OUT_FLITE
    accent, _, variant = voice.partition("+")
    return accent in _HELD_OUT_ACCENTS or variant in _HELD_OUT_VARIANTS


def training_voices(engine: str) -> list[SynthesisVoice]:
    """The voices of an engine that may teach; none for festival."""
    return [voice for voice in _all(engine) if not voice.held_out]


def unseen_voices(engine: str) -> list[SynthesisVoice]:
    """The voices of an engine that are kept for testing."""
    return [voice for voice in _all(engine) if voice.held_out]


def _all(engine: str) -> list[SynthesisVoice]:
    if engine == "espeak-ng":
        names = [f"{accent}+{variant}" if variant else accent for accent in _ACCENTS for variant in _VARIANTS]
    else:
        names = list({"flite": _FLITE, "festival": _FESTIVAL}.get(engine, ()))
    return [SynthesisVoice(engine, name) for name in names]
