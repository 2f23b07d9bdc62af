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
    data: Annotated[Path, typer.Option("--data", help="Folder with train-*.safetensors and dev-*.safetensors.")],
    out: _Out = Path("runs/listener"),
    changes: _Set = None,
) -> None:
    """Sound to phones."""
    from vivavoce.core.config import edit
    from vivavoce.recipes.listener import ListenerRun, train

    run = ListenerRun()
    for change in changes or ():
        run = edit(run, change)
    train(run, data, out)


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
    import torch

    from vivavoce.core.config import edit
    from vivavoce.core.parts import save_part
    from vivavoce.recipes.words import WordsRun, make, transcripts_of

    run = WordsRun()
    for change in changes or ():
        run = edit(run, change)
    made = make(run, transcripts_of(speech / "manifest.jsonl") if speech else ())
    typer.echo(f"wrote {save_part(out, 'words', made.config, made, {'recipe': 'words'}, torch.float16)}")


@app.command()
def mind(out: _Out = Path("runs/mind"), changes: _Set = None) -> None:
    """The dialogue as text to the reply and the call."""
    from vivavoce.core.config import edit
    from vivavoce.recipes.mind import MindRecipe, train

    recipe = MindRecipe()
    for change in changes or ():
        recipe = edit(recipe, change)
    train(out, recipe=recipe, weights=out)


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
    changes: _Set = None,
) -> None:
    """Sound to tokens and back."""
    from vivavoce.core.config import edit
    from vivavoce.recipes import codec as recipes

    recipe = recipes.CodecRecipe()
    for change in changes or ():
        recipe = edit(recipe, change)
    if polish is None:
        recipes.train(recipe, speech, out)
    else:
        recipes.polish(recipe, polish, speech, out)
