"""``vivavoce tokens``: sound to tokens, tokens to sound, and a picture of both."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vivavoce.assistant.tokens import Tokenizer

app = typer.Typer(no_args_is_help=True, help="Turn sound into tokens and back, and look at them.")

_Out = Annotated[Path, typer.Option("--out", "-o", help="The file to write.")]
_Model = Annotated[
    str,
    typer.Option(
        "--model",
        help="speech (bundled), a folder with a codec or units, or hf:OWNER/NAME that was fetched.",
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
    recording: Annotated[Path, typer.Argument(help="A sound file.")],
    out: _Out,
    books: _Books = None,
    model: _Model = "",
    pack: _Pack = None,
) -> None:
    """Writes the tokens of a recording as an .npz file, entropy-coded if it is said by what."""
    from vivavoce.assistant import tokens
    from vivavoce.core.errors import SpecError

    if out.suffix != ".npz":
        raise SpecError(f"tokens are written as .npz, got {out.name}; give -o {out.with_suffix('.npz').name}")
    codec = _tokenizer(model)
    coded = tokens.encode(codec, recording, books)
    coded.save(out, None if pack is None else tokens.open_coder(pack))
    _, made, frames = coded.codes.data.shape
    seconds = coded.samples / tokens.plain(codec).config.sample_rate
    typer.echo(f"{out}: {made} books x {frames} frames, {seconds:.2f} s")


@app.command()
def decode(
    file: Annotated[Path, typer.Argument(help="Tokens that `encode` wrote.")],
    out: _Out,
    books: _Books = None,
    model: _Model = "",
    pack: _Pack = None,
) -> None:
    """Writes the sound of tokens; packed ones need what packed them."""
    from vivavoce.assistant import tokens
    from vivavoce.audio.files import SYNTHETIC, write_audio

    codec = _tokenizer(model)
    codec = tokens.sounding(codec)
    coder = None if pack is None else tokens.open_coder(pack)
    wave = tokens.decode(codec, tokens.load(codec, file, coder), books)
    rate = tokens.plain(codec).config.sample_rate
    write_audio(out, wave, rate, comment=SYNTHETIC)
    typer.echo(f"{out}: {wave.shape[-1] / rate:.2f} s")


@app.command()
def corpus(
    speech: Annotated[Path, typer.Argument(help="A folder of recordings with a manifest.jsonl.")],
    parts: Annotated[list[str], typer.Option("--part", help="A folder with a codec, or phones; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The corpus' folder.")],
) -> None:
    """Writes the tokens of many recordings for language models to learn from; what is there and fits is kept."""
    from vivavoce.assistant.tokens import corpus as make

    make(speech, parts, out, typer.echo)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A sound file, or tokens that `encode` wrote.")],
    out: _Out,
    model: _Model = "",
    pack: _Pack = None,
) -> None:
    """Draws waveform, spectrogram and token streams as a PNG."""
    from vivavoce.assistant import tokens
    from vivavoce.audio.files import read_audio
    from vivavoce.core.errors import SpecError

    if out.suffix != ".png":
        raise SpecError(f"pictures are written as .png, got {out.name}; give -o {out.with_suffix('.png').name}")
    codec = _tokenizer(model)
    if file.suffix == ".npz":
        coded = tokens.load(codec, file, None if pack is None else tokens.open_coder(pack))
        wave = tokens.decode(tokens.sounding(codec), coded)
        wave = wave if wave.ndim == 1 else wave.mean(0)
    else:
        coded = tokens.encode(codec, file)
        wave = read_audio(file, tokens.plain(codec).config.sample_rate, allow_silent=True)[0]
    tokens.draw(codec, wave, coded, out)
    typer.echo(str(out))


def _tokenizer(model: str) -> "Tokenizer":
    from vivavoce.assistant.tokens import open_tokenizer
    from vivavoce.core.places import BUNDLED

    return open_tokenizer(model or BUNDLED)
