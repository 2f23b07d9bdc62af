"""SpeechTokenizer's published layout (arXiv:2308.16692) in our codec: a folder with its ``config.json`` and tensors.

Its weights are published as a pickled file, which is not opened here. Who has it and trusts it converts it once, names
unchanged, into ``model.safetensors``. Names, where n counts layers as we do and b counts books:

=========================================================  ====================================================
theirs                                                     ours
=========================================================  ====================================================
``encoder.model.n.conv.conv``, ``decoder.model.n...``      ``front.layers.n``, ``back.layers.n``
``….n.block.1.conv.conv``, ``.block.3``, ``.shortcut``     ``….n.block.layers.1``, ``.3``, ``….n.shortcut``
``decoder.model.n.convtr.convtr``                          ``back.layers.n``
``….n.lstm.weight_ih_l0``, with ``_reverse`` in the front  the same under ``….n.lstm``
``….alpha`` of a Snake                                     ``….alpha``
``quantizer.vq.layers.b._codebook.embed``                  ``quantizer.entries[b]``
``transform``                                              ``teach``
=========================================================  ====================================================
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vivavoce.core.errors import PartError
from vivavoce.hub.adapter import Rule
from vivavoce.hub.seanet import Place, both, decoder_places, encoder_places, memory_rules
from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import CodecConfig
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.systems.speechtokenizer import speechtokenizer

TYPE = "speechtokenizer"
_ACTIVATIONS = {"ELU": "elu", "Snake": "snake"}


def is_one(given: Mapping[str, Any]) -> bool:
    """Whether a ``config.json``, which names no kind, is one of these."""
    return "model_type" not in given and {"semantic_dimension", "n_q"} <= given.keys()


def config_of(given: Mapping[str, Any]) -> CodecConfig:
    """Our configuration of a ``config.json``; PartError for what we cannot hold."""
    dim, teacher = given["dimension"], given["semantic_dimension"]
    if not given["bidirectional"] or dim == teacher or given["activation"] not in _ACTIVATIONS:
        raise PartError(
            "this SpeechTokenizer is of a form that is not known; wanted a memory both ways, a teacher of another "
            f"width than {dim} and one of the activations {', '.join(_ACTIVATIONS)}"
        )
    made = speechtokenizer(
        channels=given["n_filters"], dim=dim, strides=tuple(reversed(given["strides"])), books=given["n_q"],
        size=given["codebook_size"], teacher_dim=teacher, sample_rate=given["sample_rate"],
    )  # fmt: skip
    known = {
        "memory_layers": given["lstm_layers"],
        "dilation_base": given["dilation_base"],
        "residual_kernel": given["residual_kernel_size"],
        "residuals": given["n_residual_layers"],
        "activation": _ACTIVATIONS[given["activation"]],
    }
    front, back = _nets(made)
    return replace(
        made,
        front=SeanetFrontConfig(net=replace(front, **known), sample_rate=made.sample_rate),
        back=SeanetBackConfig(net=replace(back, **known)),
    )


def rules(config: CodecConfig) -> tuple[Rule, ...]:
    """How its tensors, weight normalisation folded, become a `Codec`'s."""
    made: list[Rule] = []
    for theirs, ours, place, net in _layers(config):
        if place.part == "memory":
            made += memory_rules(theirs, ours, net.memory_layers, 2 if net.memory == "bilstm" else 1)
        elif place.part == "act":
            made.append(Rule((theirs.replace(".", r"\."),), (f"{ours}.alpha",), shape=(-1,)))
        else:
            made += both(theirs, ours)
    quantizer = config.quantizer
    books = tuple(rf"quantizer\.vq\.layers\.{book}\._codebook\.embed" for book in range(quantizer.books))
    entries = (quantizer.size, config.front.dim)
    made.append(Rule(books, ("quantizer.entries",), shape=(quantizer.books, *entries), was=entries))
    made.append(Rule((r"quantizer\.vq\.layers\.\d+\._codebook\.(?:cluster_size|embed_avg|inited)",)))
    return (*made, *both("transform", "teach"))


def _nets(config: CodecConfig) -> tuple[SeanetConfig, SeanetConfig]:
    if not isinstance(config.front, SeanetFrontConfig) or not isinstance(config.back, SeanetBackConfig):
        raise PartError(f"a codec with a {type(config.front).__name__} is not one of strided convolutions")
    return config.front.net, config.back.net


def _layers(config: CodecConfig) -> list[tuple[str, str, Place, SeanetConfig]]:
    """Their name, ours and the place of every layer with weights."""
    front, back = _nets(config)
    found = [("encoder", "front", place, front) for place in encoder_places(front)]
    found += [("decoder", "back", place, back) for place in decoder_places(back)]
    return [
        (_name(f"{half}.model.{place.number}", place, half), f"{own}.{place.ours}", place, net)
        for half, own, place, net in found
    ]


def _name(stem: str, place: Place, half: str) -> str:
    inside = {"narrow": "block.1.conv.conv", "widen": "block.3.conv.conv", "shortcut": "shortcut.conv.conv"}
    inside |= {"memory": "lstm", "strided": "conv.conv" if half == "encoder" else "convtr.convtr"}
    if place.part == "act":
        inside["act"] = {"narrow": "block.0.alpha", "widen": "block.2.alpha"}.get(place.before, "alpha")
    return f"{stem}.{inside.get(place.part, 'conv.conv')}"
