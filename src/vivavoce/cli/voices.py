"""``vivavoce voices``: characters by name, and voices of one's own that stay the same."""

from pathlib import Path
from typing import Annotated

import typer

from vivavoce.cli.models import Listing
from vivavoce.cli.options import Identity, Model

app = typer.Typer(cls=Listing, help="Characters by name, and voices of your own: described once, the same ever after.")


@app.command("list")
def listed() -> None:
    """Lists voices that were saved, and the characters of the gallery."""
    from vivavoce.core.gallery import GALLERY
    from vivavoce.core.places import data_folder
    from vivavoce.server.voices import DATABASE, VoiceStore

    if (data_folder() / DATABASE).exists():
        store = VoiceStore(data_folder())
        for record in store.voices():
            what = record.prompt if record.kind == "prompt" else "a clip"
            typer.echo(f"{record.name:20} {what}{f', identity {record.identity}' if record.identity else ''}  (yours)")
        store.close()
    for name, portrait in GALLERY.items():
        typer.echo(f"{name:20} {portrait.description}")


@app.command()
def save(
    name: Annotated[str, typer.Argument(help="What it is called from now on.")],
    voice: Annotated[str, typer.Option("--voice", help="How it sounds, in words, or a character's name.")],
    identity: Identity = 0,
) -> None:
    """Keeps a voice under a name, for `say --voice NAME`, scripts, and clients of a server."""
    from vivavoce.cli.options import known_voice
    from vivavoce.core.description import understood
    from vivavoce.core.errors import VoiceError
    from vivavoce.core.places import data_folder
    from vivavoce.core.voice import Voice
    from vivavoce.server.voices import VoiceStore

    if not name.strip() or not voice.strip():
        raise VoiceError("a voice has a name and a description; give NAME and --voice WORDS")
    known = known_voice(voice) or Voice.described(voice)
    store = VoiceStore(data_folder())
    try:
        if store.named(name) is not None:
            raise VoiceError(f"there is a voice {name!r} already; remove it first: vivavoce voices remove {name!r}")
        if known.clip:
            raise VoiceError(f"{voice!r} is somebody's clip and is kept under its own name")
        words, number = known.description, identity or known.identity
        understood(words)  # says now that no word of it is known, not when it is to speak
        store.add_voice(name, prompt=words, identity=number)
    finally:
        store.close()
    typer.echo(f"saved {name}: {words}{f', identity {number}' if number else ''}")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="A voice that was saved.")]) -> None:
    """Forgets a voice."""
    from vivavoce.core.errors import VoiceError
    from vivavoce.core.places import data_folder
    from vivavoce.server.voices import VoiceStore

    store = VoiceStore(data_folder())
    try:
        record = store.named(name)
        if record is None:
            raise VoiceError(f"no voice {name!r} was saved; `vivavoce voices` lists those that were")
        store.delete_voice(record.id)
    finally:
        store.close()
    typer.echo(f"removed {name}")


@app.command()
def gallery(
    out: Annotated[Path, typer.Argument(help="The folder to write to.")] = Path("gallery"),
    suffix: Annotated[str, typer.Option("--suffix", help="wav, flac or ogg.")] = "wav",
    model: Model = None,
) -> None:
    """Lets every character of the gallery say a line."""
    import torch

    from vivavoce.assistant.model import load
    from vivavoce.audio.files import SYNTHETIC, write_audio
    from vivavoce.core.gallery import GALLERY
    from vivavoce.core.places import BUNDLED
    from vivavoce.core.voice import Voice
    from vivavoce.runtime.model import RATE

    loaded = load(model or BUNDLED)
    out.mkdir(parents=True, exist_ok=True)
    for name, portrait in GALLERY.items():
        pieces = loaded.say(portrait.line, voice=Voice.preset(name))
        file = out / f"{name.replace(' ', '-')}.{suffix}"
        write_audio(file, torch.cat([torch.from_numpy(piece) for piece in pieces]), RATE, comment=SYNTHETIC)
        typer.echo(f"{file}  {portrait.description}")
