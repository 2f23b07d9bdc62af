"""``vivavoce tokens``: sound to tokens, tokens to sound, and a picture of both."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivavoce.cli.options import Consent, Seed, voice_of

if TYPE_CHECKING:
    from vivavoce.assistant.token_files import FileOutcome, Tally
    from vivavoce.assistant.tokens import Tokenizer

app = typer.Typer(no_args_is_help=True, help="Turn sound into tokens and back, and look at them.")

_Out = Annotated[Path, typer.Option("--out", "-o", help="The file to write.")]
_OutOrFolder = Annotated[Path, typer.Option("--out", "-o", help="The file to write; of many, their folder.")]
_Model = Annotated[
    str,
    typer.Option(
        "--model",
        help="speech (bundled), a folder with a codec or units, or hf:OWNER/NAME that was fetched; the codec of "
        "vivavoce-mini if left out.",
    ),
]
_Pack = Annotated[
    Path | None,
    typer.Option(
        "--pack", help="A folder of `train token-counts` or `entropy-lm`, by which the ids are entropy-coded."
    ),
]
_Books = Annotated[int | None, typer.Option("--books", min=1, help="Use only the first so many books.")]


@app.command()
def encode(
    recording: Annotated[Path, typer.Argument(help="A sound file, a folder of them, or a manifest.jsonl.")],
    out: _OutOrFolder,
    books: _Books = None,
    model: _Model = "",
    pack: _Pack = None,
) -> None:
    """Writes the tokens of a recording as an .npz file; --pack has them entropy-coded.

    Of a folder or a manifest each recording becomes a file under the folder -o. What is there and fits is kept, so that
    work which was ended goes on; exit status 2 if any recording could not be read.
    """
    from vivavoce.assistant import token_files, tokens

    coder = None if pack is None else tokens.open_coder(pack)
    if token_files.is_many(recording):
        _to_folder(out)
        listed = token_files.recordings_in(recording, out)
        _tell(listed.left_out())
        outcomes = token_files.encode_all(_tokenizer(model), listed, books, coder)
        _work(outcomes, len(listed.pairs), out, "token files")
        return
    _to_file(out, ".npz", "tokens", recording)
    codec = _tokenizer(model)
    coded = tokens.encode(codec, recording, books)
    coded.save(out, coder, token_files.recording_digest(recording))
    _, made, frames = coded.codes.data.shape
    seconds = coded.samples / tokens.plain(codec).config.sample_rate
    typer.echo(f"{out}: {made} books x {frames} frames, {seconds:.2f} s")


@app.command()
def decode(
    file: Annotated[Path, typer.Argument(help="What `encode` wrote, a file or a folder; or a token corpus.")],
    out: _OutOrFolder,
    books: _Books = None,
    model: _Model = "",
    pack: _Pack = None,
) -> None:
    """Writes the sound of tokens; packed ones need what packed them.

    Of a folder or a token corpus each becomes a .wav file under the folder -o; exit status 2 if any could not be read.
    """
    from vivavoce.assistant import token_files, tokens
    from vivavoce.audio.files import SYNTHETIC, write_audio
    from vivavoce.core.errors import SpecError

    codec = tokens.sounding(_tokenizer(model))
    coder = None if pack is None else tokens.open_coder(pack)
    if file.is_dir():
        _to_folder(out)
        if out.resolve() == file.resolve():
            raise SpecError(f"the sound of {file} may not be written over what is there; give -o another folder")
        if token_files.is_corpus(file):
            number, outcomes = token_files.decode_corpus(codec, file, out, books)
        else:
            listed = token_files.tokens_in(file, out)
            _tell(listed.left_out())
            number, outcomes = len(listed.pairs), token_files.decode_all(codec, listed, books, coder)
        _work(outcomes, number, out, "sound files")
        return
    wave = tokens.decode(codec, tokens.load(codec, file, coder), books)
    rate = tokens.plain(codec).config.sample_rate
    write_audio(out, wave, rate, comment=SYNTHETIC)
    typer.echo(f"{out}: {wave.shape[-1] / rate:.2f} s")


@app.command()
def corpus(
    speech: Annotated[Path, typer.Argument(help="A folder of recordings with a manifest.jsonl.")],
    parts: Annotated[
        list[str],
        typer.Option(
            "--part",
            help="speech (bundled), a folder with a codec or units (FOLDER:units where it has both), hf:OWNER/NAME "
            "that was fetched, or phones; may be repeated.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The corpus' folder.")],
) -> None:
    """Writes the tokens of many recordings for language models to learn from; what is there and fits is kept.

    Work that was ended goes on. Recordings that cannot be read are left out; exit status 2 if there are any.
    """
    from vivavoce.assistant.token_corpora import corpus as make

    if make(speech, parts, out, typer.echo, _watch):
        raise typer.Exit(2)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A sound file, or tokens that `encode` wrote.")],
    out: _Out,
    model: _Model = "",
    pack: _Pack = None,
) -> None:
    """Draws waveform, spectrogram and token streams as a PNG; of tokens that make no sound, these alone."""
    from vivavoce.assistant import tokens
    from vivavoce.audio.files import read_audio

    _to_file(out, ".png", "pictures", file)
    codec = _tokenizer(model)
    if file.suffix == ".npz":
        coded = tokens.load(codec, file, None if pack is None else tokens.open_coder(pack))
        wave = tokens.heard(codec, coded)
    else:
        coded = tokens.encode(codec, file)
        wave = read_audio(file, tokens.plain(codec).config.sample_rate, allow_silent=True)[0]
    tokens.draw(codec, wave, coded, out)
    typer.echo(str(out))


@app.command("continue")
def go_on(
    recording: Annotated[Path, typer.Argument(help="A recording of somebody who speaks.")],
    out: _Out,
    model: Annotated[Path, typer.Option("--model", help="A folder of `vivavoce train audiolm`.")],
    consent: Consent = "",
    prompt: Annotated[float, typer.Option(min=0.5, max=30, help="Seconds of the recording that are gone on from.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, max=30, help="Seconds that follow at most.")] = 4,
    seed: Seed = 0,
) -> None:
    """Goes on as a recording begins, with its voice, by the tokens of an AudioLM; writes both one after the other."""
    from vivavoce.audio.files import SYNTHETIC, check_target, read_recording, write_audio
    from vivavoce.core.errors import AudioError, PartError
    from vivavoce.core.streams import sound
    from vivavoce.systems.audiolm import AudioLM

    check_target(out)
    if not (model / "audiolm.json").is_file():
        raise PartError(f"{model} has no AudioLM; train one: vivavoce train audiolm")
    clip = voice_of("", recording, consent).clip
    system = AudioLM.load(model)
    rate = system.codec.config.sample_rate
    wave = read_recording(clip, rate, name=str(recording), first_seconds=prompt).wave
    if len(wave) < rate // 2:
        raise AudioError(f"{recording} lasts {len(wave) / rate:.2f} s; give half a second or more to go on from")
    made = system.go_on(sound(wave, rate), seconds, seeds=[seed]).data[0, 0]
    write_audio(out, made, rate, comment=SYNTHETIC)
    typer.echo(f"{out}: {len(made) / rate:.2f} s, the first {len(wave) / rate:.2f} s as they were")


def _to_file(out: Path, suffix: str, what: str, source: Path) -> None:
    """SpecError where a result is to go to something else than a file of this kind."""
    from vivavoce.core.errors import SpecError

    if out.suffix != suffix:
        better = out / f"{source.stem}{suffix}" if out.is_dir() else out.with_suffix(suffix).name
        raise SpecError(f"{what} are written as {suffix}, got {out.name or out}; give -o {better}")


def _to_folder(out: Path) -> None:
    """SpecError where many results are to go to a file."""
    from vivavoce.core.errors import SpecError

    if out.is_file() or out.suffix in (".npz", ".wav"):
        raise SpecError(f"many files are written to a folder, got {out}; give -o FOLDER")


def _tell(line: str) -> None:
    """Says something beside the results."""
    if line:
        typer.echo(f"vivavoce: {line}", err=True)


def _work(outcomes: "Iterator[FileOutcome]", number: int, out: Path, what: str) -> None:
    """Watches work to its end and says what came of it; exit status 2 if anything could not be done."""
    tally = _watch(outcomes, number, what)
    first, *rest = tally.lines(what)
    typer.echo("\n".join([f"{out}: {first}", *rest]))
    if tally.failed:
        raise typer.Exit(2)


def _watch(outcomes: "Iterator[FileOutcome]", number: int, what: str) -> "Tally":
    """Takes the outcomes as they come, with a bar where somebody looks, and says what is wrong with which file."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from vivavoce.assistant.token_files import Tally

    console, tally = Console(stderr=True), Tally()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=number)
        for done, one in enumerate(outcomes, 1):
            tally.add(one)
            _tell(one.error)
            bar.update(task, completed=done)
            if not console.is_terminal and done % 500 == 0:
                _tell(f"{what}: {done} of {number}")
    return tally


def _tokenizer(model: str) -> "Tokenizer":
    from vivavoce.assistant.tokens import open_tokenizer
    from vivavoce.core.places import BUNDLED

    return open_tokenizer(model or BUNDLED)
