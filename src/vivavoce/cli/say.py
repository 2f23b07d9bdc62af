"""``vivavoce say``: a text, or a scene for several voices, as sound with the times of its words."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivavoce.cli.options import Consent, Identity, Like, Model, Seed, Speaker, VoiceWords, known_voice, voice_of

if TYPE_CHECKING:
    from vivavoce.assistant.performance import Performed
    from vivavoce.core.talk import Word
    from vivavoce.runtime.model import Pcm


def say(
    text: Annotated[str, typer.Argument(help="What to say.")] = "",
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The audio file to write; - is a WAV stream to the next program.")
    ] = Path("said.wav"),
    voice: VoiceWords = "",
    like: Like = None,
    consent: Consent = "",
    identity: Identity = 0,
    prosody_like: Annotated[
        Path | None, typer.Option("--prosody-like", help="A clip whose pace and melody are taken; needs --consent.")
    ] = None,
    scene: Annotated[
        str, typer.Option("--scene", help="Where it should sound, in words; for speakers that know.")
    ] = "",
    script: Annotated[
        Path | None, typer.Option("--script", help="Lines for several voices, see docs/voices.md; in place of a text.")
    ] = None,
    times: Annotated[
        Path | None, typer.Option("--times", help="Where to write when every word is said, as JSON.")
    ] = None,
    lines: Annotated[
        Path | None, typer.Option("--lines", help="A folder for each line of a script as a file of its own.")
    ] = None,
    seed: Seed = 0,
    speaker: Speaker = "",
    model: Model = None,
) -> None:
    """Speaks a text in a described or imitated voice, or a script in several."""
    import json

    import torch

    from vivavoce.assistant.performance import mixed, perform, word_times
    from vivavoce.assistant.saying import streamer, together, whole
    from vivavoce.audio.files import SYNTHETIC, check_target, write_audio
    from vivavoce.core.atomic import atomic_write, check_writable
    from vivavoce.core.errors import StorageError, TextError, VoiceError
    from vivavoce.runtime.model import RATE
    from vivavoce.text.playscript import read_playscript

    if script is not None and (text or voice or like or identity):
        raise VoiceError("a script has its own text and voices; leave out the text, --voice, --like and --identity")
    if script is not None and consent and not prosody_like:
        raise VoiceError("a script says itself who agreed: NAME = like CLIP, agreed by WHO; leave --consent out")
    if lines is not None and script is None:
        raise TextError("--lines writes the lines of a script; give --script FILE")
    streamed = str(out) == "-"
    if streamed and script is not None:
        raise StorageError("a scene is mixed when all of it is said; give -o FILE")
    if streamed and sys.stdout.isatty():
        raise StorageError('sound is no text; hand it on (vivavoce say "Hello" -o - | aplay), or give -o FILE')
    if not streamed:
        check_target(out)  # before the work, not after it
    for path in filter(None, (times, lines and lines / "001.wav")):
        check_writable(path)
    prosody = voice_of("", prosody_like, consent) if prosody_like else None
    stream = streamer(
        speaker, model, prosody=prosody, scene=scene, notify=lambda line: typer.echo(f"vivavoce: {line}", err=True)
    )
    if script is None:
        wanted = voice_of(voice, like, consent if like or not prosody else "", identity)
        pieces = stream(text, wanted, seed)
        pcm, words = together(_handed_on(pieces) if streamed else pieces)
        found: dict[str, Any] = {"text": text, "words": word_times(words)}
    else:
        scripted = read_playscript(_read(script), script.parent)
        performed: list[Performed] = []
        told: list[dict[str, Any]] = []
        for number, one in enumerate(perform(scripted, known_voice, whole(stream), seed), 1):
            performed.append(one)
            told.append(one.json())
            typer.echo(f"{one.start / RATE:6.2f} s  {one.line.who}: {one.line.text}")
            if lines is not None:
                told[-1]["file"] = f"{number:03}-{_file_name(one.line.who)}.wav"
                write_audio(lines / told[-1]["file"], torch.from_numpy(one.pcm), RATE, comment=SYNTHETIC)
        pcm = mixed(performed)
        found = {"lines": told}
    if not streamed:
        write_audio(out, torch.from_numpy(pcm), RATE, comment=SYNTHETIC)
    if times is not None:
        sound = {"audio": out.name, "comment": SYNTHETIC, "sample_rate": RATE, "seconds": round(len(pcm) / RATE, 3)}
        with atomic_write(times) as path:
            path.write_text(json.dumps({**sound, **found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    typer.echo(f"wrote {'the sound' if streamed else out}: {len(pcm) / RATE:.1f} s", err=streamed)


def _handed_on(pieces: "Iterable[tuple[Pcm, Sequence[Word]]]") -> "Iterator[tuple[Pcm, Sequence[Word]]]":
    """The same pieces, each written to standard output as it comes, as a WAV of unknown length."""
    from vivavoce.server.sound_files import FileEncoder

    encoder, to = FileEncoder("wav"), typer.get_binary_stream("stdout")
    for pcm, words in pieces:
        to.write(encoder(pcm))
        to.flush()
        yield pcm, words


def _read(script: Path) -> str:
    from vivavoce.core.errors import TextError

    try:
        return script.read_text(encoding="utf-8-sig")  # editors may begin a file with a mark
    except OSError as error:
        raise TextError(f"the script {script} cannot be read ({error.strerror}); give a text file") from error
    except UnicodeDecodeError as error:
        raise TextError(f"the script {script} is no text in UTF-8; save it as such") from error


def _file_name(who: str) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in who.lower())
