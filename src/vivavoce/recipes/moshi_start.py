"""Where a duplex model begins: another one, or a language model that speaks in units already (`recipes.speechgpt`)."""

from dataclasses import replace
from pathlib import Path

import torch

from vivavoce.core.errors import TrainingError
from vivavoce.core.parts import load_part
from vivavoce.models.codec import Codec
from vivavoce.models.units import Units
from vivavoce.nn.given_book import GivenBook
from vivavoce.nn.lora import merge_lora
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.systems.moshi import MoshiModel
from vivavoce.systems.speechgpt import SpeechGPTModel
from vivavoce.train.recipe import begin_from


def is_speech_lm(folder: Path) -> bool:
    """Whether a folder has a language model that speaks in units, and no duplex model."""
    return not (folder / "moshi.json").exists() and (folder / "speechgpt.json").exists()


class SpeechLM:
    """A speech language model, its small maps merged, whose trunk a duplex model takes over."""

    def __init__(self, folder: Path) -> None:
        """From a run's folder; PartError when a part is missing."""
        self.folder = folder
        self.model: SpeechGPTModel = load_part(folder, "speechgpt")
        self.units: Units = load_part(folder, "units")
        merge_lora(self.model)

    @property
    def trunk(self) -> TransformerConfig:
        """The configuration of its trunk, to be learnt further."""
        return replace(self.model.config.trunk, bits=32)

    @torch.no_grad()
    def begin(self, model: MoshiModel, codec: Codec) -> int:
        """Gives a duplex model the trunk, and what each unit is like where these are the codec's first book; says of
        how many units. TrainingError for a trunk of another form."""
        begin_from(model.lm.trunk, self.model.lm.trunk)
        if not same_units(codec, self.units):
            return 0
        known, layout = self.model.config, model.config.layout
        theirs = known.whole.vocabs[0].range(f"{known.units.alphabet}:{known.units.first_book}")
        table, embed = self.model.lm.embed, model.lm.embed
        if not isinstance(table, torch.Tensor) or not isinstance(embed, torch.Tensor):
            raise TrainingError(
                f"the model in {self.folder} has embeddings of 8 bits; go on from the one it was made of"
            )
        for segment, lane in ((layout.segments[1], 1), (layout.segments[2], 1 + model.config.codes.books)):
            begin = int(model.lm.starts[lane]) + layout.vocabs[lane].range(segment.alphabet(0)).start
            embed[begin : begin + len(theirs)] = table[theirs.start : theirs.stop]
        return len(theirs)


def same_units(codec: Codec, units: Units) -> bool:
    """Whether the first book of a codec are these units."""
    if not isinstance(codec.quantizer, GivenBook):
        return False
    own, theirs = codec.quantizer.units.state_dict(), units.quantizer.state_dict()
    return own.keys() == theirs.keys() and all(torch.equal(own[name], theirs[name]) for name in own)
