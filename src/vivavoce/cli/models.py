"""``vivavoce models``: what is bundled and how it was made."""

from pathlib import Path
from typing import Annotated

import typer


def models(
    folder: Annotated[Path | None, typer.Argument(help="A model's folder; the bundled ones if left out.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the cards as one JSON object.")] = False,
) -> None:
    """Lists models with their parts, sizes and cards."""
    import json as formats

    import vivavoce
    from vivavoce.core.errors import PartError
    from vivavoce.core.parts import read_card

    bundled = Path(vivavoce.__file__).parent / "weights"
    folders = [folder] if folder else sorted(path for path in bundled.glob("*") if path.is_dir())
    parts = [path for place in folders for path in sorted(place.glob("*.safetensors"))]
    if not parts:
        raise PartError(f"there are no models in {folder or bundled}; give a folder with .safetensors files")
    sizes = {path: path.stat().st_size for path in parts}
    cards = {path: read_card(path.parent, path.stem) for path in parts}
    if json:
        found: dict[str, dict[str, object]] = {}
        for path in parts:
            found.setdefault(path.parent.name, {})[path.stem] = {"bytes": sizes[path], "card": cards[path]}
        typer.echo(formats.dumps(found))
        return
    for place in folders:
        own = [path for path in parts if path.parent == place]
        typer.echo(f"{place.name}: {sum(sizes[path] for path in own) / 2**20:.1f} MiB")
        for path in own:
            brief = [f"{key}={value}" for key, value in cards[path].items() if isinstance(value, str | int | float)]
            typer.echo(f"  {path.stem:10} {sizes[path] / 2**20:6.2f} MiB  {'  '.join(brief)[:100]}")


def export(
    source: Annotated[Path, typer.Argument(help="A folder with parts, of a run or of a model.")],
    out: Annotated[Path, typer.Argument(help="The folder of the model to write them to.")],
    part: Annotated[list[str] | None, typer.Option("--part", help="Only this part; all if left out.")] = None,
    bits: Annotated[int, typer.Option("--bits", min=8, max=32, help="8, 16 or 32 per weight.")] = 16,
) -> None:
    """Writes parts into a model's folder at another precision."""
    import torch

    from vivavoce.core.errors import ConfigError, PartError
    from vivavoce.core.parts import load_weights, read_card, save_part

    kinds = {8: torch.int8, 16: torch.float16, 32: None}
    if bits not in kinds:
        raise ConfigError(f"weights are stored with 8, 16 or 32 bits, got {bits}")
    names = part or sorted(path.stem for path in source.glob("*.safetensors") if path.with_suffix(".json").exists())
    if not names:
        raise PartError(f"there are no parts in {source}; give the folder of a run or of a model")
    for name in names:
        config, state = load_weights(source, name)
        written = save_part(out, name, config, state, read_card(source, name), kinds[bits])
        typer.echo(f"{written}: {written.with_suffix('.safetensors').stat().st_size / 2**20:.2f} MiB")
