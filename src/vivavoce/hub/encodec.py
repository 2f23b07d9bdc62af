"""EnCodec's published weights (arXiv:2210.13438) in our codec, and ours as EnCodec's, in the form of ``EncodecModel``.

24 kHz: causal, mono. 48 kHz: looks both ways, stereo, in chunks that overlap, each brought to one loudness
(`systems.encodec.ChunkedCodec`).
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from math import ceil
from typing import Any

import torch
from torch import Tensor

from vivavoce.core.errors import PartError
from vivavoce.hub.adapter import Rule, normalised, published
from vivavoce.hub.seanet import both, decoder_places, encodec_name, encoder_places, memory_rules, net_of
from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import Codec, CodecConfig
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.nn.quantize import ResidualConfig
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.systems.encodec import Chunks

TYPE = "encodec"
_EDGES = {"reflect": "reflect", "constant": "zeros", "replicate": "replicate"}


def config_of(given: Mapping[str, Any]) -> CodecConfig:
    """Our configuration of a ``config.json``; PartError for what we cannot hold."""
    causal, ratio = given["use_causal_conv"], given.get("trim_right_ratio", 1.0)
    if causal and ratio != 1.0:
        raise PartError(f"a causal decoder cut by {ratio} on the right is not known; wanted trim_right_ratio 1")
    if given.get("pad_mode", "reflect") not in _EDGES:
        raise PartError(f"padding by {given['pad_mode']!r} is not known; known are {', '.join(_EDGES)}")
    net = replace(
        net_of(given),
        memory="lstm",
        memory_layers=given["num_lstm_layers"],
        causal=causal,
        edge=_EDGES[given.get("pad_mode", "reflect")],
        trim="right" if causal else "both",
        normed=given["norm_type"] == "time_group_norm",
    )
    if given.get("codebook_dim") not in (None, net.dim):
        raise PartError(f"entries of {given['codebook_dim']} numbers for vectors of {net.dim} are not known")
    size = given["codebook_size"]
    per_book = ceil(given["sampling_rate"] / net.hop) * ceil((size - 1).bit_length())
    books = int(1000 * given["target_bandwidths"][-1] // per_book)
    return CodecConfig(
        front=SeanetFrontConfig(net=net, sample_rate=given["sampling_rate"]),
        quantizer=ResidualConfig(
            dim=net.dim, code_dim=0, books=books, size=size, dead_below=2.0, fewer_books=0.0,
            choices=tuple(max(1, int(1000 * rate // per_book)) for rate in given["target_bandwidths"]),
        ),
        back=SeanetBackConfig(net=net),
    )  # fmt: skip


def chunks_of(given: Mapping[str, Any]) -> Chunks | None:
    """How sound is cut and levelled; None where it is not."""
    if given.get("chunk_length_s") is None:
        if given.get("normalize"):
            raise PartError("a codec that levels whole recordings is not known; wanted chunk_length_s with normalize")
        return None
    samples = int(given["chunk_length_s"] * given["sampling_rate"])
    step = max(1, int((1.0 - given["overlap"]) * samples)) if given.get("overlap") is not None else samples
    return Chunks(samples=samples, step=step, levelled=bool(given["normalize"]))


def given_chunks(chunks: Chunks, sample_rate: int) -> dict[str, Any]:
    """What a ``config.json`` says of chunks; `chunks_of` reads it."""
    length, overlap = chunks.samples / sample_rate, 1 - chunks.step / chunks.samples
    if int(length * sample_rate) != chunks.samples:  # half a sample more than what is rounded down
        length = (chunks.samples + 0.5) / sample_rate
    if int((1.0 - overlap) * chunks.samples) != chunks.step:
        overlap = 1 - (chunks.step + 0.5) / chunks.samples
    return {"normalize": chunks.levelled, "chunk_length_s": length, "overlap": overlap}


def rules(config: CodecConfig) -> tuple[Rule, ...]:
    """How its tensors, weight normalisation folded, become a `Codec`'s."""
    made: list[Rule] = []
    for theirs, ours, place in _layers(config):
        if place == "memory":
            made += memory_rules(theirs, ours, _net(config).memory_layers)
            continue
        made += both(theirs, ours)
        if _net(config).normed:
            made += both(f"{theirs.removesuffix('.conv')}.norm", f"{ours}.norm")
    quantizer = config.quantizer
    books = tuple(rf"quantizer\.layers\.{book}\.codebook\.embed" for book in range(quantizer.books))
    entries = (quantizer.size, config.front.dim)
    made.append(Rule(books, ("quantizer.entries",), shape=(quantizer.books, *entries), was=entries))
    made.append(Rule((r"quantizer\.layers\.\d+\.codebook\.(?:cluster_size|embed_avg|inited)",)))
    return tuple(made)


def given_of(config: CodecConfig) -> dict[str, Any]:
    """The ``config.json`` of a codec of this family; PartError for others."""
    net, quantizer, front, back = _net(config), config.quantizer, config.front, config.back
    if (
        not isinstance(front, SeanetFrontConfig)
        or not isinstance(back, SeanetBackConfig)
        or not isinstance(quantizer, ResidualConfig)
        or (front.net, front.trunk, back.trunk, front.stride, back.stride) != (back.net, None, None, 1, 1)
        or (net.memory, quantizer.code_dim, net.activation, net.bounded) != ("lstm", 0, "elu", False)
        or (not net.causal and net.trim != "both")
    ):
        raise PartError("only a codec of EnCodec's form can be written as EnCodec: equal SEANets with an LSTM, no more")
    rate = ceil(config.sample_rate / net.hop)
    bits = (quantizer.size - 1).bit_length()
    choices = quantizer.choices or (quantizer.books,)
    return {
        "model_type": TYPE, "architectures": ["EncodecModel"], "sampling_rate": config.sample_rate,
        "audio_channels": net.wave_channels, "hidden_size": net.dim, "num_filters": net.channels,
        "upsampling_ratios": list(reversed(net.strides)), "kernel_size": net.kernel,
        "last_kernel_size": net.last_kernel, "residual_kernel_size": net.residual_kernel,
        "num_residual_layers": net.residuals, "dilation_growth_rate": net.dilation_base, "compress": net.compress,
        "use_conv_shortcut": net.skip == "conv", "num_lstm_layers": net.memory_layers, "use_causal_conv": net.causal,
        "pad_mode": {edge: name for name, edge in _EDGES.items()}[net.edge], "trim_right_ratio": 1.0,
        "norm_type": "time_group_norm" if net.normed else "weight_norm", "codebook_size": quantizer.size,
        "codebook_dim": net.dim, "target_bandwidths": [count * rate * bits / 1000 for count in choices],
        "normalize": False, "chunk_length_s": None, "overlap": None,
    }  # fmt: skip


def written(codec: Codec) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The ``config.json`` and the tensors of a codec as ``EncodecModel`` loads them."""
    config = codec.config
    given, state = given_of(config), published(codec, rules(config))
    if not _net(config).normed:
        state = normalised(state, [theirs for theirs, _, part in _layers(config) if part != "memory"])
    for book in range(config.books):
        stem = f"quantizer.layers.{book}.codebook"
        entries = state[f"{stem}.embed"]
        state[f"{stem}.embed_avg"] = entries.clone()
        state[f"{stem}.cluster_size"] = torch.ones(len(entries))
        state[f"{stem}.inited"] = torch.ones(1)
    return given, state


def _net(config: CodecConfig) -> SeanetConfig:
    if not isinstance(config.front, SeanetFrontConfig):
        raise PartError(f"a codec with a {type(config.front).__name__} is not one of strided convolutions")
    return config.front.net


def _layers(config: CodecConfig) -> list[tuple[str, str, str]]:
    """Their name, ours and the part of every layer with weights."""
    net = _net(config)
    halves = chain(
        (("encoder", "front", place) for place in encoder_places(net)),
        (("decoder", "back", place) for place in decoder_places(net)),
    )
    return [
        (encodec_name(place, f"{theirs}.layers.{place.number}"), f"{ours}.{place.ours}", place.part)
        for theirs, ours, place in halves
    ]
