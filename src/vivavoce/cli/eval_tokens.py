"""Measurements of speech as tokens: what they carry, and what models make of them."""

from pathlib import Path
from typing import Annotated

import typer

from vivavoce.cli.eval_options import AsJson, Listening, People, give, parts_of


def tokens(
    speech: People,
    tokenizers: Annotated[
        list[str] | None,
        typer.Option(
            "--tokenizer",
            help="speech (bundled), a folder with units or a codec, or hf:OWNER/NAME that was fetched; repeatable.",
        ),
    ] = None,
    gate: Annotated[
        bool, typer.Option("--gate", help="Fail if units do not pass the gate, or if a control does.")
    ] = False,
    only: Annotated[
        str, typer.Option(help="Parts to measure, comma-separated: meaning, sound; gate is that of meaning alone.")
    ] = "",
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
    from vivavoce.evals.report import tables_of

    parts = parts_of(only, "tokens", suites.PARTS, suites.GATE)
    if gate and {"meaning", suites.GATE}.isdisjoint(parts):
        raise ConfigError("the gate needs the part meaning, or gate alone; leave --only out, or name one")
    if add:
        tables_of(out, "tokens")
    suite = suites.TokenSuite(heard_seconds=60 * minutes, clips=clips, ears=ears, parts=parts)
    kept = out.parent / "speech"
    report, found = suites.run(suite, tokenizers or [], speech, kept, lambda line: typer.echo(line, err=True))
    report.write(out, add=add)
    suites.draw(report, out.with_suffix(".png"))
    typer.echo(formats.dumps(report.json()) if json else report.text())
    lines, right = suites.gate_text(found)
    for line in lines:
        typer.echo(line, err=True)
    typer.echo(f"written to {out}", err=True)
    if gate and not right:
        raise typer.Exit(1)


def speech_lm(
    model: Annotated[Path, typer.Option(help="A folder with a language model that hears: runs/salmonn.")],
    speech: People,
    clips: Annotated[int, typer.Option(min=1, help="Recordings of dev speakers at most.")] = 300,
    scales: Annotated[
        str, typer.Option(help="How much the small maps count, as shares of their scale, comma-separated.")
    ] = "1,0.5,0",
    instructions: Annotated[
        int,
        typer.Option(min=0, help="Recordings about which a model with ears is asked other things than their words."),
    ] = 0,
    ears: Annotated[
        str, typer.Option(help="A Whisper to compare with, and to hear what is said in units: whisper-base.")
    ] = "",
    text: Annotated[
        Path | None, typer.Option(help="Lines of text or conversations that a model with units is to read, as before.")
    ] = None,
    llm: Annotated[str, typer.Option(help="The chat model that it grew from, beside it on --text.")] = "",
    orders: Annotated[
        int, typer.Option(min=0, help="Spoken orders that a model with units is to understand and to answer.")
    ] = 0,
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
    suite = suites.SpeechLmSuite(
        clips=clips, scales=shares, instructions=instructions, ears=ears, text=lines, orders=orders
    )
    report = suites.run(model, suite, speech, lambda line: typer.echo(line, err=True))
    give(report, out, json)


def audiolm(
    model: Annotated[Path, typer.Option(help="A folder with an AudioLM.")],
    speech: People,
    corpus: Annotated[
        Path | None, typer.Option(help="The token corpus that it learnt from, for its losses beside counts.")
    ] = None,
    clips: Annotated[int, typer.Option(min=0, help="Recordings at most; 0 leaves voices out.")] = 20,
    words: Annotated[
        int,
        typer.Option(min=0, help="Words of training texts, and as many others, beside what is no word, by Kokoro."),
    ] = 0,
    whisper: Listening = "whisper-base",
    json: AsJson = False,
    out: Annotated[Path, typer.Option(help="Where the JSON is written.")] = Path("runs/eval/audiolm.json"),
) -> None:
    """AudioLM on people of no training: whose voice units have alone and after a clip, words, losses by stage."""
    from vivavoce.evals import audiolm as suites

    suite = suites.AudioLMSuite(recordings=clips, whisper=whisper, words=words)
    report = suites.run(model, suite, speech, corpus, lambda line: typer.echo(line, err=True))
    give(report, out, json)


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
    give(report, out, json)


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
    give(report, out, json)
