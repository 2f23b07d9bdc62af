"""``vivavoce sound``: sounds from words."""

from pathlib import Path
from typing import Annotated

import typer


def sound(
    words: Annotated[str, typer.Argument(help='What should be heard: "rain on a roof".')],
    out: Annotated[Path, typer.Option("-o", "--out", help="The audio file to write.")],
    model: Annotated[
        Path, typer.Option("--model", help="A folder with an AudioLDM: vivavoce train audioldm makes it.")
    ],
    under: Annotated[
        Path | None, typer.Option("--under", help="A recording of speech that the sound is put under.")
    ] = None,
    snr: Annotated[float, typer.Option("--snr", help="How many decibels the speech is above it.")] = 12.0,
    like: Annotated[Path | None, typer.Option("--from", help="A sound that is changed towards the words.")] = None,
    strength: Annotated[float, typer.Option("--strength", help="How much of that sound is changed, up to 1.")] = 0.5,
    guidance: Annotated[float, typer.Option("--guidance", help="How closely the words are followed.")] = 2.5,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps from noise to sound.")] = 100,
    candidates: Annotated[int, typer.Option("--candidates", min=1, help="Sounds of which the best is kept.")] = 3,
    seed: Annotated[int, typer.Option("--seed", help="For what is drawn at random.")] = 0,
) -> None:
    """Makes a sound of what is said in words: the noises of a scene."""
    from vivavoce.assistant.scenes import scene
    from vivavoce.audio.files import SYNTHETIC_SOUND, write_audio

    wave, rate = scene(
        model, words, under=under, snr_db=snr, like=like, strength=strength, guidance=guidance, steps=steps,
        candidates=candidates, seed=seed,
    )  # fmt: skip
    write_audio(out, wave, rate, comment=SYNTHETIC_SOUND)
    typer.echo(f"wrote {out} ({wave.shape[-1] / rate:.2f} s)")
