"""Measurements of who converses: what is understood and answered, and who speaks when."""

from pathlib import Path
from typing import Annotated

import typer

from vivavoce.cli.eval_options import AsJson, Ears, Mind, People, Speaker, give, parts_of


def mini(
    model: Annotated[
        str,
        typer.Option(help="A bundled model (open: other people's ears and mind) or a folder; mini if left out."),
    ] = "",
    ears: Ears = "",
    mind: Mind = "",
    speaker: Speaker = "",
    speech: Annotated[
        Path | None,
        typer.Option(
            envvar="VIVAVOCE_SPEECH", help="Recordings of people with a manifest.jsonl, for the rows that need them."
        ),
    ] = None,
    noise: Annotated[
        Path | None,
        typer.Option(envvar="VIVAVOCE_NOISE", help="Recordings of places where nobody speaks, beside those made here."),
    ] = None,
    only: Annotated[str, typer.Option(help="Parts to measure, comma-separated; all if left out.")] = "",
    orders: Annotated[int, typer.Option(min=1, help="Spoken orders per engine and noise level.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the sentences, voices and noises.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Parts measured at a time; what is timed is measured alone.")] = 1,
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/mini.json"),
    add: Annotated[bool, typer.Option("--add", help="Keep the other tables of the report that is there.")] = False,
) -> None:
    """Orders, calls, words, replies, voices, codec and speed of the default model."""
    from functools import partial

    import vivavoce
    from vivavoce.core.places import BUNDLED
    from vivavoce.evals import mini as suites
    from vivavoce.evals.report import tables_of

    if add:
        tables_of(out, "mini")
    parts = parts_of(only, "mini", suites.PARTS)
    suite = suites.MiniSuite(orders=orders, seed=seed, parts=parts)
    load = partial(vivavoce.load, model or BUNDLED, ears=ears, mind=mind, speaker=speaker)
    if jobs > 1:
        report = suites.run_apart(load, suite, speech, jobs, noise)
    else:
        report = suites.run(load(), suite, speech, lambda line: typer.echo(line, err=True), noise)
    give(report, out, json, add=add)


def orders(
    model: Annotated[str, typer.Option(help="A model's name or folder; the default one if left out.")] = "",
    ears: Ears = "",
    mind: Mind = "",
    count: Annotated[int, typer.Option("--count", min=1, help="Spoken orders of each group of voices.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the orders and voices.")] = 0,
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/orders.json"),
) -> None:
    """What the model's character gets right of held-out spoken orders, by voices that it never heard."""
    import vivavoce
    from vivavoce.core.places import BUNDLED
    from vivavoce.evals.held_out import HeldOut, run

    loaded = vivavoce.load(model or BUNDLED, ears=ears, mind=mind)
    suite = HeldOut(orders=count, seed=seed)
    report = run(loaded, loaded.character, suite, lambda line: typer.echo(line, err=True))
    give(report, out, json)


def turns(
    speech: People,
    model: Annotated[
        str,
        typer.Option(help="A bundled model (open: other people's ears and mind) or a folder; mini if left out."),
    ] = "",
    ears: Ears = "",
    each: Annotated[int, typer.Option(min=1, help="Scenes of each kind.")] = 40,
    only: Annotated[str, typer.Option(help="Kinds of scenes to play, comma-separated; all if left out.")] = "",
    seed: Annotated[int, typer.Option(help="Of the scenes.")] = 0,
    server_vad: Annotated[bool, typer.Option("--server-vad", help="Turns by sound instead of by meaning.")] = False,
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/turns.json"),
) -> None:
    """Pauses, interruptions, coughs, hums, noise and echo: who speaks when, on the sample clock."""
    import json as formats
    from dataclasses import asdict

    import vivavoce
    from vivavoce.audio.resample import resample
    from vivavoce.core.errors import ConfigError
    from vivavoce.core.places import BUNDLED
    from vivavoce.evals.people import measured_on
    from vivavoce.evals.scenes import scenes, spoken
    from vivavoce.evals.turns import report, simulate
    from vivavoce.runtime.activity import SileroActivity
    from vivavoce.runtime.api import TurnConfig
    from vivavoce.runtime.model import RATE

    loaded = vivavoce.load(model or BUNDLED, ears=ears)
    clips = [clip for clip in measured_on(speech) if clip.lossless]
    sounds = [resample(clip.wave[None], clip.sample_rate, RATE)[0].numpy() for clip in clips]
    config = TurnConfig(kind="server_vad" if server_vad else "semantic_vad")
    todo = scenes(sounds, each, seed, spoken(each, seed, loaded.character))
    if only:
        kinds, known = [kind.strip() for kind in only.split(",")], sorted({scene.kind for scene in todo})
        if unknown := sorted(set(kinds) - set(known)):
            raise ConfigError(f"there are no scenes of kind {unknown[0]!r}; the kinds are {', '.join(known)}")
        todo = [scene for scene in todo if scene.kind in kinds]
    found = report(simulate(SileroActivity(), loaded.ears, todo, turns=config, seed=seed))
    typer.echo(formats.dumps(asdict(found)) if json else found.text())
    found.write(out, {"each": each, "seed": seed, "turns": config.kind, "only": only})
    typer.echo(f"written to {out}", err=True)


def duplex(
    speech: People,
    folder: Annotated[
        str, typer.Option("--duplex", help="A model that hears and speaks at once: a folder of `vivavoce train moshi`.")
    ] = "",
    model: Annotated[str, typer.Option(help="Who takes turns beside it; the bundled model if left out.")] = "",
    each: Annotated[int, typer.Option(min=1, help="Scenes of each kind.")] = 40,
    seed: Annotated[int, typer.Option(help="Of the scenes.")] = 0,
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/duplex.json"),
) -> None:
    """Pauses, signs of listening, turns and interruptions: turn machine, silence timer as quick, duplex model."""
    import vivavoce
    from vivavoce.assistant.duplex import is_duplex, load_duplex
    from vivavoce.audio.resample import resample
    from vivavoce.core.errors import ConfigError
    from vivavoce.core.places import BUNDLED
    from vivavoce.evals.duplex import DuplexSuite, run
    from vivavoce.evals.people import measured_on
    from vivavoce.evals.scenes import scenes, spoken
    from vivavoce.runtime.activity import SileroActivity
    from vivavoce.runtime.model import RATE

    if folder and not is_duplex(folder):
        raise ConfigError(
            f"there is no model that hears and speaks at once in {folder}; vivavoce train moshi makes one"
        )
    loaded = vivavoce.load(model or BUNDLED)
    clips = [clip for clip in measured_on(speech) if clip.lossless]
    sounds = [resample(clip.wave[None], clip.sample_rate, RATE)[0].numpy() for clip in clips]
    suite = DuplexSuite(seed=seed, model=load_duplex(Path(folder)) if folder else None, name=Path(folder).name)
    todo = scenes(sounds, each, seed, spoken(each, seed, loaded.character))
    report = run(suite, SileroActivity(), loaded.ears, todo, lambda line: typer.echo(line, err=True))
    give(report, out, json)


def opened(
    model: Annotated[str, typer.Option(help="A model's name or folder; the bundled one if left out.")] = "",
    ears: Ears = "",
    mind: Mind = "",
    speaker: Speaker = "",
    speech: Annotated[
        Path | None, typer.Option(envvar="VIVAVOCE_SPEECH", help="Recordings of people with a manifest.jsonl.")
    ] = None,
    noise: Annotated[
        Path | None,
        typer.Option(envvar="VIVAVOCE_NOISE", help="Recordings of places where nobody speaks, beside those made here."),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Recordings of people at most.")] = 300,
    noise_seconds: Annotated[float, typer.Option(min=1, help="Of sounds that nobody speaks.")] = 600,
    tuned: Annotated[bool, typer.Option("--tuned", help="Use the lists that choices were made by.")] = False,
    turns: Annotated[int, typer.Option(min=1, help="Questions that a live conversation has.")] = 20,
    only: Annotated[str, typer.Option(help="Parts to measure, comma-separated; all if left out.")] = "",
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/open.json"),
    add: Annotated[bool, typer.Option("--add", help="Keep the other tables of the report that is there.")] = False,
) -> None:
    """Ears, mind and voice of one's choice, beside our own, on pinned lists of open speech."""
    from vivavoce.evals import open as suite
    from vivavoce.evals.open_ears import Sounds
    from vivavoce.evals.report import tables_of

    if add:
        tables_of(out, "open")
    parts = parts_of(only, "open", suite.PARTS)
    sounds = Sounds(speech=speech, noise=noise, clips=clips, noise_seconds=noise_seconds)
    chosen = suite.Chosen(
        model=model, ears=ears, mind=mind, speaker=speaker, turns=turns, held_out=not tuned, sounds=sounds
    )
    report = suite.run(chosen, parts, lambda line: typer.echo(line, err=True))
    give(report, out, json, add=add)
