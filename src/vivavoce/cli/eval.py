"""``vivavoce eval``: measurements with intervals."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vivavoce.evals.report import Report

Ears = Annotated[str, typer.Option(help="Who hears, as `vivavoce serve --ears` takes it.")]
Mind = Annotated[str, typer.Option(help="Who thinks, as `vivavoce serve --mind` takes it.")]
Speaker = Annotated[str, typer.Option(help="Who speaks, as `vivavoce serve --speaker` takes it.")]
People = Annotated[Path, typer.Option(envvar="VIVAVOCE_SPEECH", help="Recordings of people with a manifest.jsonl.")]
Listening = Annotated[str, typer.Option(help="The Whisper that listens, fetched before.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]

app = typer.Typer(no_args_is_help=True, help="Measure a model; prints tables and writes JSON.")


def _give(report: "Report", out: Path, as_json: bool) -> None:
    """Writes a report and prints it, as tables or as JSON."""
    import json

    report.write(out)
    typer.echo(json.dumps(report.json()) if as_json else report.text())
    typer.echo(f"written to {out}", err=True)


@app.command()
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
    import json as formats
    from functools import partial

    import vivavoce
    from vivavoce.core.errors import ConfigError
    from vivavoce.core.places import BUNDLED
    from vivavoce.evals import mini as suites

    parts = tuple(part.strip() for part in only.split(",") if part.strip()) or suites.PARTS
    if unknown := sorted(set(parts) - set(suites.PARTS)):
        raise ConfigError(f"the suite mini has no part {unknown[0]!r}; its parts are {', '.join(suites.PARTS)}")
    suite = suites.MiniSuite(orders=orders, seed=seed, parts=parts)
    load = partial(vivavoce.load, model or BUNDLED, ears=ears, mind=mind, speaker=speaker)
    if jobs > 1:
        report = suites.run_apart(load, suite, speech, jobs, noise)
    else:
        report = suites.run(load(), suite, speech, lambda line: typer.echo(line, err=True), noise)
    report.write(out, add=add)
    typer.echo(formats.dumps(report.json()) if json else report.text())
    typer.echo(f"written to {out}", err=True)


@app.command()
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
    _give(report, out, json)


@app.command()
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


@app.command()
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
    _give(report, out, json)


@app.command()
def tts(
    speech: People,
    speaker: Annotated[
        list[str] | None, typer.Option("--speaker", help="Whose voice, as `say --speaker` takes it; may be repeated.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Sentences at most.")] = 30,
    whisper: Listening = "whisper-base",
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/tts.json"),
) -> None:
    """Speakers side by side, cloning people of no training: words, likeness, quality, speed and what fails."""
    from vivavoce.assistant.model import load
    from vivavoce.assistant.saying import sayer
    from vivavoce.core.places import BUNDLED
    from vivavoce.evals.tts import judges, run, tasks

    def log(line: str) -> None:
        typer.echo(line, err=True)

    report = run(
        {name or "mini": sayer(name) for name in speaker or ["mini"]},
        load(BUNDLED).codec,
        tasks(speech, clips),
        judges(speech, whisper, log),
        log,
    )
    _give(report, out, json)


@app.command()
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
    _give(report, out, json)


@app.command("open")
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
    import json as formats

    from vivavoce.core.errors import ConfigError
    from vivavoce.evals import open as suite
    from vivavoce.evals.open_ears import Sounds

    parts = tuple(part.strip() for part in only.split(",") if part.strip()) or tuple(suite.PARTS)
    if unknown := sorted(set(parts) - set(suite.PARTS)):
        raise ConfigError(f"the suite open has no part {unknown[0]!r}; its parts are {', '.join(suite.PARTS)}")
    sounds = Sounds(speech=speech, noise=noise, clips=clips, noise_seconds=noise_seconds)
    chosen = suite.Chosen(
        model=model, ears=ears, mind=mind, speaker=speaker, turns=turns, held_out=not tuned, sounds=sounds
    )
    report = suite.run(chosen, parts, lambda line: typer.echo(line, err=True))
    report.write(out, add=add)
    typer.echo(formats.dumps(report.json()) if json else report.text())
    typer.echo(f"written to {out}", err=True)


@app.command()
def tokens(
    speech: People,
    tokenizers: Annotated[
        list[str] | None, typer.Option("--tokenizer", help="A folder with units or a codec; may be repeated.")
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Fail if units do not pass the gate, or if a control does.")
    ] = False,
    only: Annotated[str, typer.Option(help="Parts to measure, comma-separated; all if left out.")] = "",
    minutes: Annotated[float, typer.Option(min=1, help="Of training speech that probes learn from.")] = 60,
    clips: Annotated[int, typer.Option(min=1, help="Recordings that are decoded, of each group.")] = 20,
    ears: Annotated[str, typer.Option(help="A Whisper that hears what was decoded: whisper-base.")] = "",
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written; a picture beside it.")] = Path(
        "runs/eval/tokens.json"
    ),
    add: Annotated[bool, typer.Option("--add", help="Keep the other tables of the report that is there.")] = False,
) -> None:
    """What tokens carry and what comes back out of them, beside controls; and whether units pass the gate."""
    import json as formats

    from vivavoce.core.errors import ConfigError
    from vivavoce.evals import tokens as suites

    parts = tuple(part.strip() for part in only.split(",") if part.strip()) or suites.PARTS
    if unknown := sorted(set(parts) - {*suites.PARTS, suites.GATE}):
        known = ", ".join((*suites.PARTS, suites.GATE))
        raise ConfigError(f"the suite tokens has no part {unknown[0]!r}; its parts are {known}")
    if gate and {"meaning", suites.GATE}.isdisjoint(parts):
        raise ConfigError("the gate needs the part meaning, or gate alone; leave --only out, or name one")
    suite = suites.TokenSuite(heard_seconds=60 * minutes, clips=clips, ears=ears, parts=parts)
    kept = out.parent / "speech"
    report, found = suites.run(suite, tokenizers or [], speech, kept, lambda line: typer.echo(line, err=True))
    report.write(out, add=add)
    if not {"meaning", suites.GATE}.isdisjoint(parts):
        suites.draw(found, out.with_suffix(".png"))
    typer.echo(formats.dumps(report.json()) if json else report.text())
    lines, right = suites.gate_text(found)
    for line in lines:
        typer.echo(line, err=True)
    typer.echo(f"written to {out}", err=True)
    if gate and not right:
        raise typer.Exit(1)


@app.command("speech-lm")
def speech_lm(
    model: Annotated[Path, typer.Option(help="A folder with a language model that hears: runs/salmonn.")],
    speech: People,
    clips: Annotated[int, typer.Option(min=1, help="Recordings of dev speakers at most.")] = 300,
    scales: Annotated[
        str, typer.Option(help="How much the small maps count, as shares of their scale, comma-separated.")
    ] = "1,0.5,0",
    ears: Annotated[
        str, typer.Option(help="A Whisper to compare with, and to hear what is said in units: whisper-base.")
    ] = "",
    text: Annotated[
        Path | None, typer.Option(help="Lines of text or conversations that a model with units is to read, as before.")
    ] = None,
    llm: Annotated[str, typer.Option(help="The chat model that it grew from, beside it on --text.")] = "",
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/speech-lm.json"),
) -> None:
    """What a language model with ears writes down of people, and says in units, beside what it is compared with."""
    from vivavoce.core.errors import ConfigError
    from vivavoce.evals import speech_lm as suites

    try:
        shares = tuple(float(part) for part in scales.split(",") if part.strip())
    except ValueError as error:
        raise ConfigError(f"--scales is {scales!r}; write numbers with commas between them: 1,0.5,0") from error
    if (text is None) != (not llm):
        raise ConfigError("--text and --llm belong together: lines to read, and the chat model that was begun with")
    lines = None if text is None else (text, llm)
    suite = suites.SpeechLmSuite(clips=clips, scales=shares, ears=ears, text=lines)
    report = suites.run(model, suite, speech, lambda line: typer.echo(line, err=True))
    _give(report, out, json)


@app.command()
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
    _give(report, out, json)


@app.command()
def audiolm(
    model: Annotated[Path, typer.Option(help="A folder with an AudioLM.")],
    speech: People,
    corpus: Annotated[
        Path | None, typer.Option(help="The token corpus that it learnt from, for its losses beside counts.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Recordings at most.")] = 20,
    whisper: Listening = "whisper-base",
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/audiolm.json"),
) -> None:
    """AudioLM on people of no training: whose voice units have alone and after a clip, words, losses by stage."""
    from vivavoce.evals import audiolm as suites

    suite = suites.AudioLMSuite(recordings=clips, whisper=whisper)
    report = suites.run(model, suite, speech, corpus, lambda line: typer.echo(line, err=True))
    _give(report, out, json)


@app.command()
def phones(
    speech: People,
    model: Annotated[list[Path], typer.Option("--model", help="A run of `vivavoce train ctc`; may be repeated.")],
    control: Annotated[
        Path | None, typer.Option(help="A run with `--set control=true`, which learnt nothing before.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Recordings of dev speakers at most.")] = 300,
    device: Annotated[str, typer.Option("--device", help="Where to compute: cpu, cuda.")] = "cpu",
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/phones.json"),
) -> None:
    """Phone errors of encoders that learnt from sound alone and were fine-tuned, beside one that was not."""
    from vivavoce.evals import phones as suites

    report = suites.run(model, control, speech, clips, lambda line: typer.echo(line, err=True), device)
    _give(report, out, json)


@app.command()
def clusters(
    speech: People,
    model: Annotated[
        list[Path], typer.Option("--model", help="A run of hubert, wav2vec2 or w2vbert; may be repeated.")
    ],
    minutes: Annotated[float, typer.Option(min=1, help="Of recordings in which clusters are found.")] = 30,
    sentences: Annotated[int, typer.Option(min=4, help="That each of flite's voices reads.")] = 16,
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/clusters.json"),
) -> None:
    """How much clusters of each layer of an encoder say about phones, beside log-mel, cepstra and random weights."""
    from vivavoce.evals import clusters as suites
    from vivavoce.evals.report import Report

    table = suites.table(model, speech, minutes, sentences, lambda line: typer.echo(line, err=True))
    report = Report("clusters", {"models": [str(one) for one in model], "minutes": minutes}, [table])
    _give(report, out, json)


@app.command("unit-speech")
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
    _give(report, out, json)


@app.command()
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
    _give(report, out, json)


@app.command()
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
    _give(report, out, json)
