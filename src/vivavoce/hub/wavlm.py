"""WavLM (arXiv:2110.13900) with published weights: the body of wav2vec 2.0 with gated relative position biases."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from vivavoce.hub import wav2vec2
from vivavoce.models.encoder import Encoder
from vivavoce.nn.attention import RelativeConfig


def encoder(published: Mapping[str, Any], state: Mapping[str, Tensor], *, standardize: bool = True) -> Encoder:
    """A base model, or the base of one that recognises, whose head is left out."""
    relative = RelativeConfig(buckets=published["num_buckets"], farthest=published["max_bucket_distance"])
    config = wav2vec2.config_of(published, standardize=standardize, relative=relative)
    return wav2vec2.adapted(config, state, "wavlm.")
