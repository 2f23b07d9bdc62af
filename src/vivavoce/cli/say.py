"""``vivavoce say``: a text, or a scene for several voices, as sound with the times of its words."""

from pathlib import Path
from typing import Annotated, Any

import typer

from vivavoce.cli.options import Consent, Identity, Like, Model, Seed, Speaker, VoiceWords, known_voice, voice_of


def say(
    text: Annotated[str, typer.Argument(help="What to say.")] = "",
    out: Annotated[Path, typer.Option("-o", "--out", help="The audio file to write.")] = Path("said.wav"),
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
    from vivavoce.assistant.saying import sayer
    from vivavoce.audio.files import SYNTHETIC, write_audio
    from vivavoce.core.atomic import atomic_write
    from vivavoce.core.errors import TextError, VoiceError
    from vivavoce.runtime.model import RATE
    from vivavoce.text.playscript import read_playscript

    if script is not None and (text or voice or like or identity):
        raise VoiceError("a script has its own text and voices; leave out the text, --voice, --like and --identity")
    if lines is not None and script is None:
        raise TextError("--lines writes the lines of a script; give --script FILE")
    prosody = voice_of("", prosody_like, consent) if prosody_like else None
    said = sayer(
        speaker, model, prosody=prosody, scene=scene, notify=lambda line: typer.echo(f"vivavoce: {line}", err=True)
    )
    found: dict[str, Any]
    if script is None:
        pcm, words = said(text, voice_of(voice, like, consent if like or not prosody else "", identity), seed)
        found = {"sample_rate": RATE, "text": text, "words": word_times(words)}
    else:
        try:
            written = script.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TextError(f"the script {script} cannot be read ({error}); give a text file in UTF-8") from error
        performed = []
        for number, one in enumerate(perform(read_playscript(written, script.parent), known_voice, said, seed), 1):
            performed.append(one)
            typer.echo(f"{one.start / RATE:6.2f} s  {one.line.who}: {one.line.text}")
            if lines is not None:
                lines.mkdir(parents=True, exist_ok=True)
                write_audio(
                    lines / f"{number:03}-{_file_name(one.line.who)}.wav",
                    torch.from_numpy(one.pcm),
                    RATE,
                    comment=SYNTHETIC,
                )
        pcm = mixed(performed)
        found = {"sample_rate": RATE, "lines": [one.json() for one in performed]}
    write_audio(out, torch.from_numpy(pcm), RATE, comment=SYNTHETIC)
    if times is not None:
        with atomic_write(times) as path:
            path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    typer.echo(f"wrote {out}: {len(pcm) / RATE:.1f} s")


def _file_name(who: str) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in who.lower())
