"""``vivavoce train``: the recipes behind the bundled model; a killed run goes on where it was."""

import time
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Train a part of the model. What was begun in --out goes on; at the end the part lies there with its card.",
)

RunT = TypeVar("RunT")
_Out = Annotated[Path, typer.Option("--out", help="Folder of the run: checkpoints, curves, and the part itself.")]
_Speech = Annotated[
    Path,
    typer.Option("--speech", envvar="VIVAVOCE_SPEECH", help="Recordings of people with a manifest.jsonl."),
]
_MoreSpeech = Annotated[
    Path | None,
    typer.Option("--speech", envvar="VIVAVOCE_SPEECH", help="Recordings whose texts are used too."),
]
_Set = Annotated[
    list[str] | None, typer.Option("--set", help="Change a number of the recipe: steps=2000, model.trunk.layers=4.")
]

_RECIPES = Path(__file__).parents[1] / "recipes"


def _with(text: str) -> list[str]:
    """The recipes whose files have this in them; they are read and not imported, which would take seconds."""
    return sorted(path.stem for path in _RECIPES.glob("*.py") if text in path.read_text())


_Device = Annotated[str, typer.Option("--device", help="Where to train: cpu, cuda.")]


def _edited(run: RunT, changes: list[str] | None) -> RunT:
    """A recipe's numbers with the changes of ``--set``."""
    from vivavoce.core.config import edit

    for change in changes or ():
        run = edit(run, change)
    return run


def _wrote(
    out: Path,
    part: str,
    run: object,
    *,
    speech: Path | None = None,
    measured: Path | None = None,
    begun: float | None = None,
) -> None:
    """Completes the card of the part and says where it is."""
    from vivavoce.recipes.card import complete

    typer.echo(f"wrote {complete(out, part, run, speech=speech, measured=measured, begun=begun)}")


@app.command()
def listener(
    speech: _Speech,
    spans: Annotated[
        Path | None, typer.Option("--spans", help="Alignments of the recordings: spans.safetensors of a speaker's run.")
    ] = None,
    speaker: Annotated[
        Path | None,
        typer.Option(
            "--speaker", help="A folder with a speaker and a codec: says sentences in the recordings' voices."
        ),
    ] = None,
    noise: Annotated[Path | None, typer.Option("--noise", help="Recordings of noise with a manifest.jsonl.")] = None,
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Go on from the listener in this folder; it also aligns, without --spans."),
    ] = None,
    out: _Out = Path("runs/listener"),
    device: _Device = "cpu",
    changes: _Set = None,
) -> None:
    """Sound to phones; first makes what it learns from, by running the synthesis programs."""
    from vivavoce.core.parts import load_part
    from vivavoce.recipes.flywheel import turn
    from vivavoce.recipes.listener import ListenerRun, export, train
    from vivavoce.recipes.listener_data import prepare

    run, begun = _edited(ListenerRun(), changes), time.monotonic()
    aligner = None if start is None else load_part(start, "listener")
    prepare(speech, out / "data", spans=spans, aligner=aligner, noise=noise, say=typer.echo)
    own = out / "data" / "train-own.safetensors"
    if speaker is not None and not own.exists():
        spoken, drawn = turn(speech, speaker / "cache", speaker, count=30000)
        drawn.save(out / "drawn.safetensors")
        spoken.save(own)
        typer.echo("train own: sentences in the voices of the recordings")
    train(run, out / "data", out, start=start, device=device)
    export(run, out, out, {})
    _wrote(out, "listener", run, speech=speech, measured=out / "dev.jsonl", begun=begun)


@app.command()
def asides(
    speech: _Speech,
    start: Annotated[Path, typer.Option("--from", help="The folder with the listener.")] = Path("runs/listener"),
    speaker: Annotated[
        Path | None,
        typer.Option("--speaker", help="What `train speaker` wrote: says the words in the voices of the recordings."),
    ] = None,
    out: _Out = Path("runs/asides"),
    changes: _Set = None,
) -> None:
    """The listener's head that tells "mhm", "okay" and coughs from what is meant for us; the rest stays as it is."""
    from vivavoce.recipes.asides import AsidesRun, make

    make(_edited(AsidesRun(), changes), speech, start, out, speaker=speaker, say=typer.echo)
    typer.echo(f"wrote {out / 'listener.json'}")


@app.command()
def gate(
    speech: _Speech,
    noises: Annotated[
        Path | None,
        typer.Option(
            "--noise", envvar="VIVAVOCE_NOISE", help="Recordings of places where nobody speaks, with a manifest."
        ),
    ] = None,
    start: Annotated[Path, typer.Option("--from", help="The folder with the listener.")] = Path("runs/listener"),
    out: _Out = Path("runs/gate"),
    changes: _Set = None,
) -> None:
    """The listener's head that tells speech from all other sound; the rest stays as it is."""
    from vivavoce.recipes.gate import GateRun, make

    make(_edited(GateRun(), changes), speech, start, out, noises=noises, say=typer.echo)
    typer.echo(f"wrote {out / 'listener.json'}")


@app.command()
def codec(
    speech: _Speech,
    out: _Out = Path("runs/codec"),
    polish: Annotated[
        Path | None, typer.Option("--polish", help="Go on from the part in this folder, with judges (second stage).")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", help="A folder with a listener, which teaches the first book.")
    ] = None,
    drawn: Annotated[
        Path | None,
        typer.Option("--drawn", help="Second stage: the drawn.safetensors that `train listener --speaker` wrote."),
    ] = None,
    device: _Device = "cpu",
    changes: _Set = None,
) -> None:
    """Sound to tokens and back."""
    from vivavoce.recipes import codec as recipes

    run, begun = _edited(recipes.CodecRecipe(), changes), time.monotonic()
    if polish is None:
        recipes.train(run, speech, out, teacher=teacher, device=device)
    else:
        recipes.polish(run, speech, out, start=polish, drawn=drawn, device=device)
    _wrote(out, "codec", run, speech=speech, measured=out / "dev.jsonl", begun=begun)


@app.command()
def tiny(
    part: Annotated[str, typer.Argument(help=f"One of {', '.join(_with('def debug('))}.")],
    out: _Out = Path("runs/tiny"),
) -> None:
    """A whole recipe in miniature, in about a minute: shows that its number moves."""
    from importlib import import_module

    from vivavoce.core.errors import ConfigError

    if part not in _with("def debug("):
        raise ConfigError(f"there is no recipe {part!r} in miniature; there are {', '.join(_with('def debug('))}")
    found = import_module(f"vivavoce.recipes.{part}").debug(out / part)
    typer.echo(f"{part}: {found['before']:.3f} before, {found['after']:.3f} after training")


def _add(name: str) -> None:
    """The command of a recipe: what it is handed is the same for all of them."""

    def command(
        speech: _MoreSpeech = None,
        out: _Out = Path("runs") / name,
        start: Annotated[Path | None, typer.Option("--from", help="Go on from the part in this folder.")] = None,
        others: Annotated[
            list[str] | None,
            typer.Option("--with", help="What else the recipe takes: corpus=runs/tokens, codec=runs/codec."),
        ] = None,
        device: _Device = "cpu",
        changes: _Set = None,
    ) -> None:
        from importlib import import_module

        from vivavoce.core.errors import ConfigError
        from vivavoce.train.recipe import MEASURED, Given, Recipe

        recipe: Recipe[Any] = import_module(f"vivavoce.recipes.{name}").RECIPE
        settings, begun, paths = _edited(recipe.settings, changes), time.monotonic(), {}
        for other in others or ():
            key, equals, path = other.partition("=")
            if not equals:
                raise ConfigError(f"cannot read --with {other!r}; write it as name=FOLDER")
            paths[key] = Path(path)
        used = speech if "speech" in {**recipe.needs, **recipe.takes} else None
        given = Given(out=out, speech=used, start=start, others=paths, device=device, say=typer.echo)
        recipe.run(settings, given)
        _wrote(out, recipe.part, settings, speech=used, measured=out / MEASURED, begun=begun)

    source = (_RECIPES / f"{name}.py").read_text()
    app.command(name, help=source.splitlines()[0].strip('"'))(command)


for _name in _with("\nRECIPE = "):
    _add(_name)
