"""``vivavoce voices``: characters by name, and voices of one's own that stay the same."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from vivavoce.cli.models import Listing
from vivavoce.cli.options import Consent, Identity, Like, Model, VoiceWords

if TYPE_CHECKING:
    from vivavoce.core.voice import Voice
    from vivavoce.server.voices import VoiceRecord, VoiceStore

LARGEST_CLIP: Final = 25 * 1024 * 1024
"""Bytes of a clip that is kept, as many as a server takes."""

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
            typer.echo(f"{record.name:20} {_what(record, store)}  (yours)")
        store.close()
    for name, portrait in GALLERY.items():
        typer.echo(f"{name:20} {portrait.description}")


def _what(record: "VoiceRecord", store: "VoiceStore") -> str:
    """How a voice that was saved sounds, or whose it is and who agreed when."""
    if record.kind == "prompt":
        return f"{record.prompt}{f', identity {record.identity}' if record.identity else ''}"
    agreed = store.consent(record.consent or "")
    who = "" if agreed is None else f" of {agreed.name}, who agreed on {date.fromtimestamp(agreed.created)}"
    return f"a clip{who}{f'; {record.prompt}' if record.prompt else ''}"


@app.command()
def save(
    name: Annotated[str, typer.Argument(help="What it is called from now on.")],
    voice: VoiceWords = "",
    identity: Identity = 0,
    like: Like = None,
    consent: Consent = "",
) -> None:
    """Keeps a described voice, or a clip of somebody who agreed, under a name: for say, scripts and a server."""
    from vivavoce.cli.options import voice_of
    from vivavoce.core.description import understood
    from vivavoce.core.errors import VoiceError
    from vivavoce.core.places import data_folder
    from vivavoce.server.voices import DATABASE, VoiceStore
    from vivavoce.text.playscript import NOT_IN_NAMES

    if not name.strip() or not (voice.strip() or like):
        raise VoiceError("a voice has a name and a sound; give NAME and --voice WORDS, or --like CLIP --consent WHO")
    if found := sorted(set(name) & set(NOT_IN_NAMES)):
        raise VoiceError(f"scripts could not say the name {name!r}; leave out {found[0]!r}")
    wanted = voice_of(voice, like, consent, identity)
    if wanted.clip and like is None:
        raise VoiceError(f"{voice!r} is somebody's clip and is kept under its own name")
    words, number = wanted.description, wanted.identity
    if words:
        understood(words)  # says now that no word of it is known, not when it is to speak
    store = VoiceStore(data_folder())
    try:
        if store.named(name) is not None:
            raise VoiceError(f"there is a voice {name!r} already; remove it first: vivavoce voices remove {name!r}")
        if like is not None:
            _try(wanted)
        if wanted.consent is None:
            store.add_voice(name, prompt=words, identity=number)
        else:
            store.add_clip(name, wanted.clip, wanted.consent.who, prompt=words)
    finally:
        store.close()
    if wanted.consent is None:
        typer.echo(f"saved {name}: {words}{f', identity {number}' if number else ''}")
    else:
        kept = f"the whole clip {like} ({len(wanted.clip) / 1000:.0f} kB) and that {wanted.consent.who} agreed"
        typer.echo(
            f"saved {name}: {kept}{f' ({words})' if words else ''}; both are in {data_folder() / DATABASE}, "
            f"which only you may read, until `vivavoce voices remove {name!r}`"
        )


def _try(voice: "Voice") -> None:
    """Raises VoiceError for a clip that cannot be imitated: better now than when it is to speak."""
    from vivavoce.assistant.model import load
    from vivavoce.assistant.speaking import Mouth
    from vivavoce.core.errors import VoiceError
    from vivavoce.core.places import BUNDLED

    if len(voice.clip) > LARGEST_CLIP:
        raise VoiceError(
            f"the clip has {len(voice.clip) / 2**20:.0f} MiB, and all of it would be kept; cut out half a minute of it"
        )
    speaking = load(BUNDLED).speaking
    assert isinstance(speaking, Mouth)  # the bundled one
    speaking.cast(voice)


@app.command()
def remove(name: Annotated[str, typer.Argument(help="A voice that was saved.")]) -> None:
    """Forgets a voice, and with a clip what was noted of its consent."""
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
    from vivavoce.audio.files import SYNTHETIC, check_target, write_audio
    from vivavoce.core.gallery import GALLERY
    from vivavoce.core.places import BUNDLED
    from vivavoce.core.voice import Voice
    from vivavoce.runtime.model import RATE

    check_target(out / f"dwarf.{suffix}")  # before the work
    loaded = load(model or BUNDLED)
    out.mkdir(parents=True, exist_ok=True)
    for name, portrait in GALLERY.items():
        pieces = loaded.say(portrait.line, voice=Voice.preset(name))
        file = out / f"{name.replace(' ', '-')}.{suffix}"
        write_audio(file, torch.cat([torch.from_numpy(piece) for piece in pieces]), RATE, comment=SYNTHETIC)
        typer.echo(f"{file}  {portrait.description}")
