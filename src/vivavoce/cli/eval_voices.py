"""Measurements of what speaks, and of sounds that are made from words."""

from pathlib import Path
from typing import Annotated

import typer

from vivavoce.cli.eval_options import AsJson, Listening, People, give


def gallery(
    speech: Annotated[
        Path | None, typer.Option(envvar="VIVAVOCE_SPEECH", help="Recordings of people with a manifest.jsonl.")
    ] = None,
    model: Annotated[str, typer.Option(help="A model's folder; the bundled one if left out.")] = "",
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/gallery.json"),
) -> None:
    """Whether the characters of `vivavoce voices` are told apart, sound as described, and are nobody's clones."""
    import vivavoce
    from vivavoce.core.places import BUNDLED
    from vivavoce.evals.gallery import run

    report = run(vivavoce.load(model or BUNDLED), speech, lambda line: typer.echo(line, err=True))
    give(report, out, json)


def tts(
    speech: People,
    speaker: Annotated[
        list[str] | None, typer.Option("--speaker", help="Whose voice, as `say --speaker` takes it; may be repeated.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Sentences at most.")] = 30,
    own: Annotated[bool, typer.Option("--own", help="In the speakers' own voices, imitating nobody.")] = False,
    minutes: Annotated[
        float, typer.Option(min=0, max=15, help="Each speaker reads for so long too; what becomes of its voice.")
    ] = 0.0,
    sounds: Annotated[Path | None, typer.Option(help="A folder for everything that was said, to listen to.")] = None,
    whisper: Listening = "whisper-base",
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/tts.json"),
) -> None:
    """Speakers side by side, cloning people of no training: words, likeness, quality, speed and what fails."""
    from vivavoce.assistant.model import load
    from vivavoce.assistant.saying import streamer
    from vivavoce.core.places import BUNDLED
    from vivavoce.evals.tts import TtsSuite, judges, run, tasks

    def log(line: str) -> None:
        typer.echo(line, err=True)

    report = run(
        {name or "mini": streamer(name) for name in speaker or ["mini"]},
        load(BUNDLED).codec,
        tasks(speech, clips),
        judges(speech, whisper, log),
        TtsSuite(own=own, minutes=minutes, sounds=sounds),
        log,
    )
    give(report, out, json)


def valle(
    model: Annotated[Path, typer.Option(help="A folder with a VALL-E.")],
    speech: People,
    clips: Annotated[int, typer.Option(min=1, help="Sentences at most.")] = 20,
    whisper: Listening = "whisper-base",
    means: Annotated[
        bool, typer.Option("--means", help="Hear the mean of the other books' vectors, not the likeliest one.")
    ] = False,
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/valle.json"),
) -> None:
    """VALL-E after clips of people of no training, beside its codec and its second model alone: words and voices."""
    from vivavoce.evals import valle as suites

    suite = suites.ValleSuite(sentences=clips, whisper=whisper, means=means)
    report = suites.run(model, suite, speech, lambda line: typer.echo(line, err=True))
    give(report, out, json)


def unit_speech(
    speech: People,
    model: Annotated[Path, typer.Option(help="A run of `vivavoce train unit-vocoder`.")],
    units: Annotated[str, typer.Option(help="A folder with the units that it speaks, or a bundled model.")] = "speech",
    speaker: Annotated[str, typer.Option(help="One of the vocoder's speakers; everybody's voice if left out.")] = "",
    clips: Annotated[int, typer.Option(min=1, help="Recordings of each group.")] = 24,
    only: Annotated[str, typer.Option(help="Groups, comma-separated: dev, test.")] = "dev,test",
    ears: Annotated[str, typer.Option(help="A Whisper that hears what was spoken, fetched before.")] = "whisper-base",
    temperature: Annotated[float, typer.Option(min=0, help="Of the tokens that are drawn; 0: the likeliest.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0, max=1, help="Tokens are drawn of the likeliest with this mass.")] = 1.0,
    history: Annotated[bool, typer.Option(help="Whether frames know those before them.")] = True,
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/unit-speech.json"),
) -> None:
    """What others hear in speech that was made from units alone, beside what the codec makes of true tokens."""
    from vivavoce.core.errors import ConfigError
    from vivavoce.core.places import bundled_or_path
    from vivavoce.evals import unit_speech as suites

    groups = tuple(part.strip() for part in only.split(",") if part.strip())
    if not groups or not set(groups) <= set(suites.GROUPS):
        raise ConfigError(f"cannot read --only {only!r}; the groups are {', '.join(suites.GROUPS)}")
    suite = suites.UnitSpeechSuite(
        clips=clips, ears=ears, speaker=speaker, temperature=temperature, top_p=top_p, history=history, groups=groups
    )
    report = suites.run(model, bundled_or_path(units), suite, speech, lambda line: typer.echo(line, err=True))
    give(report, out, json)


def descriptions(
    speaker: Annotated[Path, typer.Option(help="A folder with a speaker that can be described: runs/parler.")],
    sentences: Annotated[int, typer.Option(min=3, help="How many are said, each as another description asks.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the descriptions.")] = 0,
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/descriptions.json"),
) -> None:
    """What was asked of a voice in words beside what is measured of it: pitch and pace, and shuffled descriptions."""
    from vivavoce.evals import descriptions as suites

    suite = suites.DescriptionSuite(sentences=sentences, seed=seed)
    report = suites.run(speaker, suite, lambda line: typer.echo(line, err=True))
    give(report, out, json)


def sounds(
    model: Annotated[Path, typer.Option(help="A folder with an AudioLDM.")],
    each: Annotated[int, typer.Option("--each", min=1, help="Sounds of each scene.")] = 20,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps from noise to sound.")] = 50,
    guidance: Annotated[float, typer.Option("--guidance", help="How closely the words are followed.")] = 2.5,
    candidates: Annotated[int, typer.Option("--candidates", min=1, help="Sounds of which the best is kept.")] = 3,
    seed: Annotated[int, typer.Option(help="Of the sounds.")] = 0,
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/sounds.json"),
) -> None:
    """Whether sounds that are made from words are what the words say, by a classifier that shares nothing with them."""
    from vivavoce.evals.sounds import measure
    from vivavoce.systems.audioldm import AudioLdm

    report = measure(AudioLdm.load(model), each=each, steps=steps, guidance=guidance, candidates=candidates, seed=seed)
    give(report, out, json)
