"""``vivavoce demo``, ``ask`` and ``transcribe``: talk to the model from the command line."""

from pathlib import Path
from typing import Annotated

import typer

from vivavoce.cli.options import Consent, Ears, Identity, Json, Like, Mind, Model, Seed, Speaker, VoiceWords, voice_of


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to write.")] = Path("demo-out"),
    fast: Annotated[bool, typer.Option("--fast", help="Take the recordings in faster than real time.")] = False,
    model: Model = None,
) -> None:
    """Holds a whole spoken conversation from recordings and shows what came of it."""
    import json

    from rich.console import Console

    from vivavoce.assistant.demo import Line, demonstrate
    from vivavoce.assistant.model import load
    from vivavoce.assistant.turn import Called, Finished, Happening, Saying, Understood
    from vivavoce.core.places import BUNDLED

    console = Console(highlight=False)
    shown = {"turn": 0, "saying": False}

    def tell(number: int, line: Line, happening: Happening) -> None:
        if shown["turn"] != number:
            shown.update(turn=number, saying=False)
            console.print(f"\n[bold]{number}[/]  a recording of: {line.says}")
        if isinstance(happening, Understood):
            console.print(f"   [cyan]heard[/]   {happening.transcript.transcript}")
        elif isinstance(happening, Called):
            console.print(f"   [yellow]calls[/]   {happening.name} {json.dumps(happening.arguments)}")
        elif isinstance(happening, Saying):
            console.print(happening.delta if shown["saying"] else f"   [green]says[/]    {happening.delta}", end="")
            shown["saying"] = True
        elif isinstance(happening, Finished):
            turn = happening.turn
            sounds = line.voice.description or "the voice of a clip"
            first = "no sound" if turn.first_audio_ms is None else f"first sound after {turn.first_audio_ms:.0f} ms"
            speed = "" if turn.rtf is None else f", real-time factor {turn.rtf:.2f}"
            console.print(f"\n           [dim]{first}{speed}; voice: {sounds}[/]")

    console.print("A customer orders at the counter; everything you see is worked out now, on this machine.")
    turns = demonstrate(load(model or BUNDLED), out, fast=fast, tell=tell)
    console.print(f"\nWrote {len(turns)} replies, conversation.wav, conversation.json and conversation.png to {out}/.")
    console.print("Next: [bold]vivavoce talk[/] to speak with it yourself, [bold]vivavoce ask[/] with a recording,")
    console.print('or [bold]vivavoce say "Welcome!" --voice "an old wizard, slow" -o welcome.wav[/]')


def ask(
    files: Annotated[
        list[Path], typer.Argument(help="Recordings of questions or orders; a .txt file is a written one.")
    ],
    voice: VoiceWords = "",
    like: Like = None,
    consent: Consent = "",
    identity: Identity = 0,
    conversation: Annotated[bool, typer.Option("--conversation", help="The files are turns of one talk.")] = False,
    text_only: Annotated[bool, typer.Option("--text-only", help="Do not speak the answers.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the spoken answers.")] = None,
    json: Json = False,
    seed: Seed = 0,
    model: Model = None,
    ears: Ears = "",
    mind: Mind = "",
    speaker: Speaker = "",
) -> None:
    """Answers recordings (or texts): one independent spoken turn per file."""
    import json as formats

    import torch

    from vivavoce.assistant.model import finished, load, question_of
    from vivavoce.audio.files import SYNTHETIC, write_audio
    from vivavoce.core.errors import VivavoceError
    from vivavoce.core.places import BUNDLED
    from vivavoce.runtime.model import RATE

    sounding = voice_of(voice, like, consent, identity)
    loaded = load(model or BUNDLED, ears=ears, mind=mind, speaker=speaker)
    talk = loaded.conversation(voice=sounding, seed=seed)
    failed = False
    written: set[Path] = set()
    for number, path in enumerate(files):
        try:
            question, warning = question_of(path)
            if not conversation and number:
                talk = loaded.conversation(voice=sounding, seed=seed)
            turn = finished(talk.ask(question, speak=not text_only))
            turn.warning = warning
            audio = None
            if len(turn.audio):
                audio = _answer_file(out or Path("answers"), path.stem, written)
                write_audio(audio, torch.from_numpy(turn.audio), RATE, comment=SYNTHETIC)
        except VivavoceError as error:
            failed = True
            _fault(path, error, json)
            continue
        _warn(path, turn.warning)
        found = {"path": str(path), **turn.json(audio=None if audio is None else str(audio))}
        if json:
            typer.echo(formats.dumps(found))
        else:
            typer.echo(f"{path}\n  heard  {turn.transcript}\n  says   {turn.reply}")
            for why in turn.unsaid:
                typer.echo(f"vivavoce: {path}: a part of the answer was not spoken: {why}", err=True)
            for call in turn.calls:
                typer.echo(f"  calls  {call['name']} {formats.dumps(call['arguments'])}")
            if audio is not None:
                typer.echo(f"  wrote  {audio}")
    if failed:
        raise typer.Exit(2)


def _fault(path: Path, error: Exception, as_json: bool) -> None:
    """Says what is wrong with one of several files; the others go on."""
    import json

    if as_json:
        typer.echo(json.dumps({"path": str(path), "error": str(error)}))
    else:
        typer.echo(f"vivavoce: {path}: {error}", err=True)


def _warn(path: Path, warning: str) -> None:
    """Says on the error stream what was wrong with a recording that was read all the same."""
    if warning:
        typer.echo(f"vivavoce: {path}: {warning}", err=True)


def _answer_file(folder: Path, stem: str, written: set[Path]) -> Path:
    """Where an answer goes; two questions of one name do not overwrite each other's."""
    file, count = folder / f"{stem}.answer.wav", 1
    while file in written:
        count += 1
        file = folder / f"{stem}-{count}.answer.wav"
    written.add(file)
    return file


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Recordings of speech.")],
    json: Json = False,
    model: Model = None,
    ears: Ears = "",
    language: Annotated[str, typer.Option("--language", help="A code such as de; found out if left out.")] = "auto",
    prompt: Annotated[str, typer.Option("--prompt", help="Text that shows style and spelling.")] = "",
    keyword: Annotated[list[str] | None, typer.Option("--keyword", help="A word that is likely; repeatable.")] = None,
    translate: Annotated[bool, typer.Option("--translate", help="Into English.")] = False,
) -> None:
    """Writes down what is said in recordings, with the time and confidence of every word."""
    import json as formats

    from vivavoce.assistant.model import load
    from vivavoce.core.errors import VivavoceError
    from vivavoce.core.places import BUNDLED
    from vivavoce.runtime.model import HearingOptions

    loaded = load(model or BUNDLED, ears=ears)
    options = HearingOptions(language=language, prompt=prompt, keywords=tuple(keyword or ()), translate=translate)
    failed = False
    for path in files:
        try:
            heard = loaded.transcribe(path, options=options)
        except VivavoceError as error:
            failed = True
            _fault(path, error, json)
            continue
        _warn(path, heard.warning)
        if json:
            typer.echo(formats.dumps({"path": str(path), **heard.json()}))
        else:
            typer.echo(heard.transcript if len(files) == 1 else f"{path}: {heard.transcript}")
    if failed:
        raise typer.Exit(2)
