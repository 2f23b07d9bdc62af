"""HuBERT (arXiv:2106.07447) with published weights: the body of wav2vec 2.0."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from vivavoce.hub import wav2vec2
from vivavoce.models.encoder import Encoder


def encoder(published: Mapping[str, Any], state: Mapping[str, Tensor], *, standardize: bool = True) -> Encoder:
    """A base model, or the base of one that recognises, whose head is left out."""
    return wav2vec2.adapted(wav2vec2.config_of(published, standardize=standardize), state, "hubert.")
