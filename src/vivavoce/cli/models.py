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
