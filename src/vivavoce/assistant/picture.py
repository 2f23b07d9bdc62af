"""A conversation as a picture: both channels' spectrograms with words and calls where they were said."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core.atomic import atomic_write
from vivavoce.runtime.model import RATE

_NAMES = ("customer", "clerk")


def draw(channels: Float32[np.ndarray, "2 N"], turns: list[dict[str, Any]], path: Path) -> None:
    """Writes the picture of a conversation; ``turns`` as in conversation.json."""
    from matplotlib.figure import Figure

    config = LogMelConfig()
    mel = config.build()
    seconds = channels.shape[1] / RATE
    figure = Figure(figsize=(min(max(seconds * 0.9, 10), 60), 6.4), layout="constrained")
    rows = figure.subplots(2, 1, sharex=True)
    usable = channels.shape[1] // config.hop * config.hop
    for axes, channel, name in zip(rows, channels, _NAMES, strict=True):
        frames = mel(torch.from_numpy(channel[:usable])[None])[0].numpy()
        axes.imshow(
            frames, origin="lower", aspect="auto", extent=(0, usable / RATE, 0, config.bins), cmap="magma", vmin=-10
        )
        axes.set_yticks([])
        axes.set_ylabel(name)
        axes.set_ylim(0, config.bins * 1.35)
        axes.set_facecolor("black")
    for turn in turns:
        spoken = ((rows[0], turn["words"], turn["starts"]), (rows[1], turn["reply_words"], turn["reply_starts"]))
        for axes, words, begins in spoken:
            for place, word in enumerate(words):
                height = config.bins * (1.04 + 0.07 * (place % 3))
                axes.text(begins + word["start"], height, word["word"], fontsize=7, color="white", clip_on=True)
        for place, call in enumerate(turn["calls"]):
            text = call["name"] + "\n" + "\n".join(f"{key}: {value}" for key, value in call["arguments"].items())
            rows[1].text(
                turn["reply_starts"] + 3 * place, 4, text, fontsize=7, color="black", va="bottom",
                bbox={"facecolor": "gold", "alpha": 0.85, "boxstyle": "round"},
            )  # fmt: skip
    rows[1].set_xlabel("seconds")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=100)
