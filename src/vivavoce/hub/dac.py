"""The Descript audio codec's published weights (arXiv:2306.06546) in our codec, in the form of ``DacModel``."""

from collections.abc import Mapping
from typing import Any

from vivavoce.hub.adapter import Rule
from vivavoce.hub.seanet import Place, both, decoder_places, encoder_places
from vivavoce.models.back import SeanetBackConfig
from vivavoce.models.codec import CodecConfig
from vivavoce.models.front import SeanetFrontConfig
from vivavoce.nn.factorised import FactorisedConfig
from vivavoce.nn.seanet import SeanetConfig

TYPE = "dac"


def config_of(given: Mapping[str, Any]) -> CodecConfig:
    """Our configuration of a ``config.json``."""
    strides = tuple(given["downsampling_ratios"])
    dim = given["encoder_hidden_size"] * 2 ** len(strides)

    def net(channels: int, last_kernel: int, bounded: bool) -> SeanetConfig:
        return SeanetConfig(
            dim=dim, channels=channels, strides=strides, last_kernel=last_kernel, residual_kernel=7, residuals=3,
            dilation_base=3, compress=1, activation="snake", causal=False, trim="even", bounded=bounded,
        )  # fmt: skip

    return CodecConfig(
        front=SeanetFrontConfig(net=net(given["encoder_hidden_size"], 3, False), sample_rate=given["sampling_rate"]),
        quantizer=FactorisedConfig(
            dim=dim, code_dim=given["codebook_dim"], books=given["n_codebooks"], size=given["codebook_size"]
        ),
        back=SeanetBackConfig(net=net(given["decoder_hidden_size"] // 2 ** len(strides), 7, True)),
    )


def rules(config: CodecConfig) -> tuple[Rule, ...]:
    """How its tensors, weight normalisation folded, become a `Codec`'s."""
    front, back, quantizer = config.front, config.back, config.quantizer
    assert isinstance(front, SeanetFrontConfig) and isinstance(back, SeanetBackConfig)
    assert isinstance(quantizer, FactorisedConfig)
    made: list[Rule] = []
    for theirs, ours, strided, places in (
        ("encoder", "front", "conv1", encoder_places(front.net)),
        ("decoder", "back", "conv_t1", decoder_places(back.net)),
    ):
        for place in places:
            name = f"{theirs}.{_name(place, strided)}"
            if place.part == "act":
                snake = (name + ".alpha").replace(".", r"\.")
                made.append(Rule((snake,), (f"{ours}.{place.ours}.alpha",), shape=(-1,)))
            else:
                made += both(name, f"{ours}.{place.ours}")
    books = [rf"quantizer\.quantizers\.{book}\." for book in range(quantizer.books)]
    shape = (quantizer.books, quantizer.size, quantizer.code_dim)
    made.append(Rule(tuple(f"{book}codebook\\.weight" for book in books), ("quantizer.entries",), shape=shape))
    for number, book in enumerate(books):
        for theirs, ours, wide in (
            ("in_proj", "into", (quantizer.code_dim, quantizer.dim)),
            ("out_proj", "out", (quantizer.dim, quantizer.code_dim)),
        ):
            made.append(Rule((rf"{book}{theirs}\.weight",), (f"quantizer.{ours}.{number}.weight",), shape=wide))
            made.append(Rule((rf"{book}{theirs}\.bias",), (f"quantizer.{ours}.{number}.bias",)))
    return tuple(made)


def _name(place: Place, strided: str) -> str:
    """A layer's name in a stage, or outside of the stages."""
    if place.stage < 0:
        return {"first": "conv1", "last": "conv2", "act": "snake1"}[place.part]
    if place.unit < 0:
        return f"block.{place.stage}.{'snake1' if place.part == 'act' else strided}"
    inside = {"narrow": "conv1", "widen": "conv2"}
    name = inside[place.before].replace("conv", "snake") if place.part == "act" else inside[place.part]
    return f"block.{place.stage}.res_unit{place.unit + 1}.{name}"
