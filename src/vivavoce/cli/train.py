"""``vivavoce train``: the recipes behind the bundled model; a killed run goes on where it was."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Train a part of the model; what was begun in --out goes on.")

_Out = Annotated[Path, typer.Option("--out", help="Folder of the run: checkpoints, curves, and the part itself.")]
_Speech = Annotated[
    Path,
    typer.Option("--speech", envvar="VIVAVOCE_SPEECH", help="Recordings of people with a manifest.jsonl."),
]
_Set = Annotated[
    list[str] | None, typer.Option("--set", help="Change a number of the recipe: steps=2000, model.trunk.layers=4.")
]


@app.command()
def listener(
    speech: _Speech,
    spans: Annotated[
        Path | None, typer.Option("--spans", help="Alignments of the recordings: spans.safetensors of a speaker's run.")
    ] = None,
    out: _Out = Path("runs/listener"),
    changes: _Set = None,
) -> None:
    """Sound to phones; first makes what it learns from, by running the synthesis programs."""
    from vivavoce.core.config import edit
    from vivavoce.recipes.listener import ListenerRun, export, train
    from vivavoce.recipes.listener_data import prepare

    run = ListenerRun()
    for change in changes or ():
        run = edit(run, change)
    prepare(speech, out / "data", spans=spans, say=typer.echo)
    train(run, out / "data", out)
    typer.echo(f"wrote {export(run, out, out, {'recipe': 'listener'})}")


@app.command()
def words(
    speech: Annotated[
        Path | None,
        typer.Option("--speech", envvar="VIVAVOCE_SPEECH", help="Recordings whose transcripts are counted too."),
    ] = None,
    out: _Out = Path("runs/words"),
    changes: _Set = None,
) -> None:
    """What words there are and what follows what; counted, not trained."""
    from vivavoce.core.config import edit
    from vivavoce.recipes.words import WordsRun, export, make, transcripts_of

    run = WordsRun()
    for change in changes or ():
        run = edit(run, change)
    made = make(run, transcripts_of(speech / "manifest.jsonl") if speech else ())
    typer.echo(f"wrote {export(made, out, {'recipe': 'words'})}")


@app.command()
def mind(
    speech: Annotated[
        Path | None, typer.Option("--speech", envvar="VIVAVOCE_SPEECH", help="Recordings whose texts are read too.")
    ] = None,
    out: _Out = Path("runs/mind"),
    changes: _Set = None,
) -> None:
    """The dialogue as text to the reply and the call."""
    from vivavoce.core.config import edit
    from vivavoce.recipes.mind import MindRecipe, train
    from vivavoce.recipes.words import transcripts_of

    recipe = MindRecipe()
    for change in changes or ():
        recipe = edit(recipe, change)
    read = transcripts_of(speech / "manifest.jsonl") if speech else ()
    train(out, recipe=recipe, read=read, weights=out)


@app.command()
def speaker(speech: _Speech, out: _Out = Path("runs/speaker"), changes: _Set = None) -> None:
    """Text to log-mel, in any voice."""
    from vivavoce.core.config import edit
    from vivavoce.recipes.speaker import SpeakerRun, prepare, train

    run = SpeakerRun()
    for change in changes or ():
        run = edit(run, change)
    train(run, prepare(speech, out / "cache", run, say=typer.echo), out)


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
    changes: _Set = None,
) -> None:
    """Sound to tokens and back."""
    from vivavoce.core.config import edit
    from vivavoce.recipes import codec as recipes

    recipe = recipes.CodecRecipe()
    for change in changes or ():
        recipe = edit(recipe, change)
    if polish is None:
        recipes.train(recipe, speech, out, teacher=teacher)
    else:
        recipes.polish(recipe, speech, out, start=polish, teacher=teacher)


@app.command()
def tiny(
    part: Annotated[str, typer.Argument(help="listener, mind, speaker or codec.")],
    out: _Out = Path("runs/tiny"),
) -> None:
    """A whole recipe in miniature, in under a minute: shows that its number moves."""
    from vivavoce.core.errors import ConfigError
    from vivavoce.recipes import codec, listener, mind, speaker

    recipes = {"listener": listener.debug, "mind": mind.debug, "speaker": speaker.debug, "codec": codec.debug}
    if part not in recipes:
        raise ConfigError(f"there is no recipe {part!r} in miniature; there are {', '.join(recipes)}")
    found = recipes[part](out / part)
    typer.echo(f"{part}: {found['before']:.3f} before, {found['after']:.3f} after training")
