"""Options that several commands have, and what those of a voice mean together."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vivavoce.core.voice import Voice

VoiceWords = Annotated[
    str,
    typer.Option(
        "--voice",
        help='How it should sound, in words: "a gruff old innkeeper"; or a name that `vivavoce voices` lists.',
    ),
]
Like = Annotated[Path | None, typer.Option("--like", help="A clip of a voice to imitate; needs --consent.")]
Consent = Annotated[str, typer.Option("--consent", help="Who agreed that the clip's voice is imitated.")]
Identity = Annotated[
    int, typer.Option("--identity", min=0, help="Which of the people whom the words fit; the same number is the same.")
]
Seed = Annotated[int, typer.Option("--seed", help="For what is drawn at random.")]
Model = Annotated[
    Path | None,
    typer.Option("--model", help="A bundled model (open: other people's ears and mind) or a folder; mini if left out."),
]
Ears = Annotated[
    str, typer.Option("--ears", help="Who finds the words: mini, whisper-base, a folder, or hf:OWNER/NAME.")
]
Mind = Annotated[
    str,
    typer.Option(
        "--mind",
        help="Who decides what is said: mini, a chat model's name, folder, FILE.gguf or hf:OWNER/NAME, or http://HOST:PORT/v1#MODEL.",
    ),
]
Speaker = Annotated[
    str,
    typer.Option(
        "--speaker",
        help="Whose voice: mini, kokoro, a folder, hf:OWNER/NAME, or http://HOST:PORT/v1#MODEL, any server of speech.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per file.")]


def voice_of(words: str, like: Path | None, consent: str, identity: int = 0) -> "Voice":
    """The voice that is asked for: a clip's, one that was saved under this name, a character's, or one in words.

    Raises VoiceError where options do not go together.
    """
    from dataclasses import replace

    from vivavoce.core.errors import VoiceError
    from vivavoce.core.gallery import GALLERY
    from vivavoce.core.voice import Consent as Agreed
    from vivavoce.core.voice import Voice

    if consent and like is None:
        raise VoiceError("--consent says who agreed to a clip, but there is no clip; give --like CLIP, or leave it out")
    if like is not None:
        if identity:
            raise VoiceError("a clip is of one person, so --identity says nothing; leave it out")
        if words and words.lower() not in GALLERY and known_voice(words):
            raise VoiceError(f"{words!r} is a voice that was saved, and the clip is another one; leave one of them out")
        return Voice.like(like, consent=Agreed(consent) if consent else None, description=words)
    if not words:
        return Voice.described("", identity) if identity else Voice()
    found = known_voice(words) or Voice.described(words)
    return replace(found, identity=identity) if identity else found


def known_voice(name: str) -> "Voice | None":
    """A voice that was saved under this name, or a character of the gallery."""
    from vivavoce.core.gallery import GALLERY
    from vivavoce.core.places import data_folder
    from vivavoce.core.voice import Voice
    from vivavoce.server.voices import DATABASE, VoiceStore

    if (data_folder() / DATABASE).exists():
        store = VoiceStore(data_folder())
        try:
            if store.named(name) is not None:
                return store.find(name)
        finally:
            store.close()
    return Voice.preset(name.lower()) if name.lower() in GALLERY else None
