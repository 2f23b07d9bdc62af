"""``vivavoce models``: what is bundled and how it was made, and other people's models by name."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup


class Listing(TyperGroup):
    """Lists when no command is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """``vivavoce models`` is ``vivavoce models list``."""
        return super().parse_args(ctx, args or ["list"])


app = typer.Typer(
    cls=Listing, help="What is bundled, what was fetched, and what can be: other people's models by name."
)

_Json = Annotated[bool, typer.Option("--json", help="Print the cards as one JSON object.")]


@app.command("list")
def listed(
    folder: Annotated[Path | None, typer.Argument(help="A model's folder; all that is known if left out.")] = None,
    json: _Json = False,
) -> None:
    """Lists models with their parts, sizes and cards, and what `get` knows."""
    import json as formats

    from vivavoce.core.errors import PartError
    from vivavoce.core.parts import read_card
    from vivavoce.core.places import WEIGHTS

    folders = [folder] if folder else sorted({path.parent for path in WEIGHTS.glob("*/*.safetensors")})
    parts = [path for place in folders for path in sorted(place.glob("*.safetensors"))]
    if not parts:
        raise PartError(f"there are no models in {folder or WEIGHTS}; give a folder with .safetensors files")
    sizes = {path: path.stat().st_size for path in parts}
    cards = {path: read_card(path.parent, path.stem) for path in parts}
    if json:
        found: dict[str, dict[str, object]] = {}
        for path in parts:
            found.setdefault(path.parent.name, {})[path.stem] = {"bytes": sizes[path], "card": cards[path]}
        typer.echo(formats.dumps(found if folder else found | {"catalogue": _catalogue()}))
        return
    for place in folders:
        own = [path for path in parts if path.parent == place]
        typer.echo(f"{place.name}: {sum(sizes[path] for path in own) / 2**20:.1f} MiB")
        for path in own:
            brief = [f"{key}={value}" for key, value in cards[path].items() if isinstance(value, str | int | float)]
            typer.echo(f"  {path.stem:10} {sizes[path] / 2**20:6.2f} MiB  {'  '.join(brief)[:100]}")
    if folder is None:
        for name, made_of in _sets().items():
            typer.echo(f"{name}: {', '.join(made_of)}")
        typer.echo("\nby name (vivavoce models get NAME):")
        for name, known in _catalogue().items():
            here = "here" if known["here"] else "    "
            size = f"{known['bytes'] / 1e6:4.0f} MB"
            typer.echo(f"  {name:28} {here}  {known['kind']:8} {size}  {known['licence']:11} {known['title']}")


def _catalogue() -> dict[str, dict[str, Any]]:
    from vivavoce.hub.catalogue import catalogue
    from vivavoce.hub.fetch import is_here

    return {
        model.name: {
            "kind": model.kind,
            "title": model.title,
            "bytes": model.bytes,
            "licence": model.licence,
            "credit": model.credit,
            "repository": model.repository,
            "here": is_here(model),
        }
        for model in catalogue()
    }


def _sets() -> dict[str, list[str]]:
    """Bundled models that consist of other people's or stand on them, and of which."""
    from vivavoce.assistant.described import FILE
    from vivavoce.core.places import WEIGHTS

    found = {path.parent.name: _parts_of(path.parent.name) for path in sorted(WEIGHTS.glob(f"*/{FILE}"))}
    return {name: parts for name, parts in found.items() if parts}


def _parts_of(name: str) -> list[str]:
    """The models that a set is made of (``open``) or stands on, or the one of this name."""
    from vivavoce.assistant.described import FILE, read_model
    from vivavoce.core.places import WEIGHTS
    from vivavoce.hub.salmonn import below

    if not (WEIGHTS / name / FILE).is_file():
        return [name]
    described = read_model(name)
    return [part for part in below((described.ears, described.mind, described.speaker)) if part != "mini"]


@app.command()
def get(
    names: Annotated[
        list[str],
        typer.Argument(help="Names that `vivavoce models` lists, a set of them (open), or hf:OWNER/NAME[/FILE.gguf]."),
    ],
) -> None:
    """Fetches models, verifies every file and keeps them in the data folder (VIVAVOCE_DATA).

    What is there and whole is not fetched again; of a repository (hf:), its state then is kept until it is removed.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from vivavoce.hub.catalogue import find
    from vivavoce.hub.fetch import fetched, folder_of
    from vivavoce.hub.fetch import get as fetch
    from vivavoce.hub.repository import PREFIX, repository_of

    parts = [part for name in names for part in _parts_of(name)]
    here = {part: model for part in parts if part.startswith(PREFIX) and (model := fetched(part))}
    wanted = [here.get(part) or (repository_of(part) if part.startswith(PREFIX) else find(part)) for part in parts]
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    for model in wanted:
        if model.name in here:
            size = f"{model.bytes / 1e6:.0f} MB, revision {model.revision}"
            typer.echo(f"{model.name}: {folder_of(model.name)} is here and whole ({size}); nothing was fetched")
            continue
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(model.name, total=model.bytes)
            folder = fetch(model, lambda name, done, total, task=task: progress.update(task, completed=done))
        typer.echo(f"{model.name}: {folder} ({model.bytes / 1e6:.0f} MB, {model.licence}; {model.credit})")


@app.command()
def remove(names: Annotated[list[str], typer.Argument(help="Models that were fetched.")]) -> None:
    """Deletes fetched models."""
    from vivavoce.hub.fetch import remove as delete

    for name in names:
        typer.echo(f"{name}: {delete(name) / 1e6:.0f} MB freed")


_FINER = {"mind": ("lm.embed",)}
"""Weights that stay in 16 bits where the others of a part have 8: a mind's replies are equally likely so often that
coarser tables change which is said. Where that was measured and does no harm, ``--embeddings 8`` takes 8 there too."""


def export(
    source: Annotated[Path, typer.Argument(help="A folder with parts, of a run or of a model.")],
    out: Annotated[Path, typer.Argument(help="The folder of the model to write them to.")],
    part: Annotated[list[str] | None, typer.Option("--part", help="Only this part; all if left out.")] = None,
    bits: Annotated[int, typer.Option("--bits", min=8, max=32, help="8, 16 or 32 per weight.")] = 16,
    embeddings: Annotated[
        int, typer.Option("--embeddings", min=8, max=16, help="With --bits 8: 8 or 16 in a mind's embeddings.")
    ] = 16,
    character: Annotated[str, typer.Option("--character", help="Whose model it is: a name or a sheet.")] = "",
    ears: Annotated[str, typer.Option("--ears", help="Who hears, by name; mini: its own parts.")] = "",
    mind: Annotated[str, typer.Option("--mind", help="Who decides what is said.")] = "",
    speaker: Annotated[str, typer.Option("--speaker", help="Who speaks.")] = "",
    voice: Annotated[str, typer.Option("--voice", help="How it sounds, in words.")] = "",
    to: Annotated[str, typer.Option("--to", help="hf: the codec as EncodecModel or MimiModel load it, no more.")] = "",
) -> None:
    """Writes parts into a model's folder at another precision, and the model.json that says what the model is made of.

    Parts that are not there are taken from the default model.
    """
    if to:
        _export_to(to, source, out)
        return
    from dataclasses import replace

    import torch

    from vivavoce.assistant.described import SYSTEMS, read_model
    from vivavoce.core.errors import ConfigError, PartError
    from vivavoce.core.parts import load_weights, read_card, save_part
    from vivavoce.hub.salmonn import PART, copy_beside

    kinds = {8: torch.int8, 16: torch.float16, 32: None}
    if bits not in kinds:
        raise ConfigError(f"weights are stored with 8, 16 or 32 bits, got {bits}")
    if embeddings not in (8, 16):
        raise ConfigError(f"embeddings are stored with 8 or 16 bits, got {embeddings}")
    if embeddings == 8 and bits != 8:
        raise ConfigError(f"embeddings of 8 bits go with --bits 8, got --bits {bits}")
    names = part or sorted(path.stem for path in source.glob("*.safetensors") if path.with_suffix(".json").exists())
    if not names:
        raise PartError(f"there are no parts in {source}; give the folder of a run or of a model")
    for name in names:
        config, state = load_weights(source, name)
        finer = _FINER.get(name, ()) if bits == 8 and embeddings == 16 else ()
        state = {key: value.half() if key.startswith(finer) else value for key, value in state.items()}
        written = save_part(out, name, config, state, read_card(source, name), kinds[bits], exact=finer)
        if name == PART:
            copy_beside(source, out)
        typer.echo(f"{written}: {written.with_suffix('.safetensors').stat().st_size / 2**20:.2f} MiB")
    described = read_model(out)
    given = {"character": character, "ears": ears, "mind": mind, "speaker": speaker, "voice": voice}
    own = SYSTEMS[described.system]
    missing = {name for name in own if not (out / f"{name}.json").exists()}
    missing |= {"codec"} & set(own) if "speaker" in missing else set()  # who speaks does so in tokens of its own codec
    elsewhere = {name: described.parts.get(name, "mini") for name in own if name in missing}
    changed = replace(described, parts=elsewhere, **{key: value for key, value in given.items() if value})
    typer.echo(changed.write())


def _export_to(to: str, source: Path, out: Path) -> None:
    """Writes the codec of a folder in another library's form."""
    from vivavoce.assistant.tokens import open_codec
    from vivavoce.core.errors import ConfigError
    from vivavoce.hub.codecs import write
    from vivavoce.systems.facodec import Facodec

    if to != "hf":
        raise ConfigError(f"parts are written to hf, got --to {to}; leave it out for a model's folder of our own")
    codec = open_codec(source)
    if isinstance(codec, Facodec):
        raise ConfigError(f"{source} holds a FACodec, of which hf has no class; EnCodec and Mimi are written")
    typer.echo(write(codec, out))
