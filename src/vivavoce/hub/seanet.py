"""Where each layer of a SEANet is, in the order in which sound passes them, for tables of published weights."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from vivavoce.hub.adapter import Rule
from vivavoce.nn.seanet import SeanetConfig


def net_of(given: Mapping[str, Any]) -> SeanetConfig:
    """What the ``config.json`` of EnCodec and of Mimi say alike of a SEANet."""
    return SeanetConfig(
        dim=given["hidden_size"],
        channels=given["num_filters"],
        strides=tuple(reversed(given["upsampling_ratios"])),
        kernel=given["kernel_size"],
        last_kernel=given["last_kernel_size"],
        residual_kernel=given["residual_kernel_size"],
        residuals=given["num_residual_layers"],
        dilation_base=given["dilation_growth_rate"],
        compress=given["compress"],
        skip="conv" if given["use_conv_shortcut"] else "identity",
        wave_channels=given["audio_channels"],
    )


class Place(NamedTuple):
    """A layer with weights: its path in the chain, and what it is in which stage and unit (none: -1)."""

    ours: str
    part: Literal["first", "narrow", "widen", "shortcut", "strided", "memory", "last", "act"]
    number: int
    """Of the layer of the chain."""
    stage: int = -1
    unit: int = -1
    before: str = ""
    """Of an activation: the part before which it stands."""


def encoder_places(net: SeanetConfig, offset: int = 0) -> Iterator[Place]:
    """Of an encoder, whose chain begins at ``offset``."""
    yield Place(f"layers.{offset}", "first", offset)
    number = offset + 1
    for stage in range(len(net.strides)):
        for unit in range(net.residuals):
            yield from _unit(net, number, stage, unit)
            number += 1
        yield from _act(net, f"layers.{number}", number, "strided", stage)
        yield Place(f"layers.{number + 1}", "strided", number + 1, stage)
        number += 2
    if net.memory != "none":
        yield Place(f"layers.{number}.lstm", "memory", number)
        number += 1
    yield from _act(net, f"layers.{number}", number, "last")
    yield Place(f"layers.{number + 1}", "last", number + 1)


def decoder_places(net: SeanetConfig, offset: int = 0) -> Iterator[Place]:
    """Of a decoder, whose chain begins at ``offset``; its stages count in its own order."""
    yield Place(f"layers.{offset}", "first", offset)
    number = offset + 1
    if net.memory != "none":
        yield Place(f"layers.{number}.lstm", "memory", number)
        number += 1
    for stage in range(len(net.strides)):
        yield from _act(net, f"layers.{number}", number, "strided", stage)
        yield Place(f"layers.{number + 1}", "strided", number + 1, stage)
        number += 2
        for unit in range(net.residuals):
            yield from _unit(net, number, stage, unit)
            number += 1
    yield from _act(net, f"layers.{number}", number, "last")
    yield Place(f"layers.{number + 1}", "last", number + 1)


def _unit(net: SeanetConfig, number: int, stage: int, unit: int) -> Iterator[Place]:
    block = f"layers.{number}.block.layers"
    yield from _act(net, f"{block}.0", number, "narrow", stage, unit)
    yield Place(f"{block}.1", "narrow", number, stage, unit)
    yield from _act(net, f"{block}.2", number, "widen", stage, unit)
    yield Place(f"{block}.3", "widen", number, stage, unit)
    if net.skip == "conv":
        yield Place(f"layers.{number}.shortcut", "shortcut", number, stage, unit)


def _act(net: SeanetConfig, ours: str, number: int, before: str, stage: int = -1, unit: int = -1) -> Iterator[Place]:
    if net.activation == "snake":
        yield Place(ours, "act", number, stage, unit, before)


def encodec_name(place: Place, theirs: str) -> str:
    """A layer's name where layers are numbered like ours and convolutions are wrapped (EnCodec, Mimi)."""
    inside = {"narrow": "block.1.conv", "widen": "block.3.conv", "shortcut": "shortcut.conv", "memory": "lstm"}
    return f"{theirs}.{inside.get(place.part, 'conv')}"


def memory_rules(theirs: str, ours: str, layers: int, ways: int = 1) -> Iterator[Rule]:
    """Of an LSTM."""
    for layer in range(layers):
        for way in ("", "_reverse")[:ways]:
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                yield plain(f"{theirs}.{kind}_l{layer}{way}", f"{ours}.{kind}_l{layer}{way}")


def plain(theirs: str, ours: str) -> Rule:
    """One tensor under another name."""
    return Rule((theirs.replace(".", r"\."),), (ours,))


def both(theirs: str, ours: str) -> tuple[Rule, Rule]:
    """Weight and bias."""
    return plain(f"{theirs}.weight", f"{ours}.weight"), plain(f"{theirs}.bias", f"{ours}.bias")
