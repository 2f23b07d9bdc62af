"""``vivavoce train``: every recipe as a command; a killed run goes on where it was."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from vivavoce.train.recipe import Recipe

app = typer.Typer(
    no_args_is_help=True,
    help="Train a part of the model. What was begun in --out goes on; at the end the part lies there with its card.",
)

SettingsT = TypeVar("SettingsT")
_RECIPES = Path(__file__).parents[1] / "recipes"


def _command(name: str) -> str:
    return name.replace("_", "-")


def _names() -> dict[str, str]:
    """Recipes with the first line of each; files are read and not imported, which would take seconds."""
    texts = {path.stem: path.read_text() for path in sorted(_RECIPES.glob("*.py"))}
    return {name: text.splitlines()[0].strip('"') for name, text in texts.items() if "\nRECIPE = " in text}


def _recipe(name: str) -> "Recipe[Any]":
    from importlib import import_module

    return import_module(f"vivavoce.recipes.{name}").RECIPE


def _edited(settings: SettingsT, changes: list[str] | None) -> SettingsT:
    """A recipe's settings with the changes of ``--set``."""
    from vivavoce.core.edits import edit

    return edit(settings, *(changes or ()))


def _seconds(limits: str) -> list[float]:
    """The numbers of ``--within``."""
    from vivavoce.core.errors import ConfigError

    try:
        found = [float(one) for one in limits.split(",")]
    except ValueError:
        found = [0.0]
    if min(found) <= 0 or max(found) > 1e9:
        raise ConfigError(f"cannot read --within {limits!r}; write seconds as 60 or 60,120")
    return found


@app.command()
def tiny(
    recipe: Annotated[str, typer.Argument(help=f"One of {', '.join(map(_command, _names()))}.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")] = Path("runs/tiny"),
) -> None:
    """A whole recipe in miniature, in about a minute: shows that its number moves."""
    from vivavoce.core.errors import ConfigError

    names = {_command(name): name for name in _names()}
    if recipe not in names:
        raise ConfigError(f"there is no recipe {recipe!r}; there are {', '.join(names)}")
    found = _recipe(names[recipe]).debug(out / recipe)
    typer.echo(f"{recipe}: {found['before']:.3f} before, {found['after']:.3f} after training")


def _add(name: str, about: str) -> None:
    """The command of a recipe: what it is handed is the same for all of them."""
    folder = Path("runs") / _command(name)

    def command(
        speech: Annotated[
            Path | None,
            typer.Option("--speech", envvar="VIVAVOCE_SPEECH", help="Recordings of people with a manifest.jsonl."),
        ] = None,
        out: Annotated[
            Path, typer.Option("--out", help="Folder of the run: checkpoints, curves, and the part itself.")
        ] = folder,
        start: Annotated[
            Path | None, typer.Option("--from", help="Go on from the part in this folder, or a bundled model's.")
        ] = None,
        others: Annotated[
            list[str] | None,
            typer.Option(
                "--with",
                help="What else the recipe takes: corpus=runs/tokens, units=speech. Bundled models go by name.",
            ),
        ] = None,
        character: Annotated[
            str, typer.Option("--character", help="For which character, by name or sheet: words, mind, listener, gate.")
        ] = "",
        stage: Annotated[
            int, typer.Option("--stage", min=1, help="Which stage, where a paper has several: speechgpt, salmonn.")
        ] = 1,
        limits: Annotated[
            str,
            typer.Option(
                "--within",
                help="End by the clock, whatever the steps: seconds of each training in the recipe, as 60 or 60,120.",
            ),
        ] = "",
        device: Annotated[str, typer.Option("--device", help="Where to train: cpu, cuda.")] = "cpu",
        changes: Annotated[
            list[str] | None,
            typer.Option("--set", help="Change a setting of the recipe: steps=2000, trunk.layers=4, levels=8,5,5."),
        ] = None,
    ) -> None:
        from vivavoce.core.errors import ConfigError
        from vivavoce.core.places import bundled_or_path
        from vivavoce.recipes.card import complete
        from vivavoce.train import within
        from vivavoce.train.recipe import MEASURED, Given

        recipe, begun, paths = _recipe(name), time.monotonic(), {}
        if character and not hasattr(recipe.settings, "character"):
            raise ConfigError(f"{_command(name)} is the same for every character; leave --character out")
        if stage > 1 and not hasattr(recipe.settings, "stage"):
            raise ConfigError(f"{_command(name)} has no stages; leave --stage out")
        named = [f"character={character}"] if character else []
        named += [f"stage={stage}"] if stage > 1 else []
        settings = _edited(recipe.settings, [*named, *(changes or ())])
        for other in others or ():
            key, equals, path = other.partition("=")
            if not equals:
                raise ConfigError(f"cannot read --with {other!r}; write it as name=PATH")
            paths[key] = bundled_or_path(path)
        start = None if start is None else bundled_or_path(start)
        used = speech if "speech" in {**recipe.needs, **recipe.takes} else None
        given = Given(out=out, speech=used, start=start, others=paths, device=device, say=typer.echo)
        with within(_seconds(limits)) if limits else nullcontext():
            recipe.run(settings, given)
        card = complete(
            out,
            recipe.part,
            settings,
            speech=used,
            measured=None if recipe.entry else out / MEASURED,
            begun=begun,
            entry=recipe.entry,
        )
        typer.echo(f"wrote {card}")

    app.command(_command(name), help=about)(command)


for _name, _about in _names().items():
    _add(_name, _about)
