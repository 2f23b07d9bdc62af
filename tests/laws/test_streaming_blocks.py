"""The four laws of streaming, for every block of sound: whole == chunked; rows; pause; nothing in, nothing out."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import vivavoce
from vivavoce.audio.mel import LogMelConfig
from vivavoce.audio.polyphase import RationalConfig
from vivavoce.core.streaming import Streaming
from vivavoce.models.back import SpectralBackConfig
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.encoder_layer import EncoderLayerConfig
from vivavoce.models.features import ListenerLayerConfig, SpectrumConfig
from vivavoce.models.front import MelFrontConfig
from vivavoce.models.listener import ListenerConfig
from vivavoce.models.posteriors import PosteriorsConfig
from vivavoce.models.speak import SpeakerConfig
from vivavoce.models.strided_mel_front import StridedMelFrontConfig
from vivavoce.models.units_front import UnitsFrontConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.chain import OverTime
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.nn.conv import ConvConfig, PreciseConv
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.edges import EdgeConv
from vivavoce.nn.positions import ConvPositionsConfig
from vivavoce.nn.recurrent import ResidualLstm
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.spectral import SpectralHeadConfig
from vivavoce.nn.transformer import TransformerConfig

SEANET = SeanetConfig(dim=6, channels=4, strides=(2, 3))
MEL = LogMelConfig(sample_rate=2400, bins=12, hop=24, window=96, n_fft=128, fmax=1200.0)
THIN = ConvNeXtConfig(dim=6, depth=1, kernel=4)
BLOCKS: dict[str, Callable[[], Any]] = {
    "conv": lambda: ConvConfig(inputs=3, outputs=4, kernel=5, dilation=2).build(),
    "strided": lambda: ConvConfig(inputs=3, outputs=4, kernel=7, stride=3).build(),
    "pointwise": lambda: ConvConfig(inputs=3, outputs=4).build(),
    "transposed": lambda: ConvConfig(inputs=3, outputs=4, kernel=6, stride=3).transposed(),
    "convnext": lambda: ConvNeXtConfig(dim=3, depth=2, kernel=4).build(),
    "residual unit": lambda: SEANET.unit(4, 3),
    "residual lstm": lambda: ResidualLstm(3, 2),
    "replicated": lambda: EdgeConv(ConvConfig(inputs=3, outputs=4, kernel=6, stride=3), "replicate"),
    "grouped, transposed": lambda: ConvConfig(inputs=3, outputs=3, kernel=4, stride=2, groups=3).transposed(),
    "between convolutions": lambda: OverTime(
        TransformerConfig(dim=4, layers=2, heads=2, kv_heads=2, hidden=8, window=5, scaled=0.1, last_norm=False)
    ),
    "snake and memory": SeanetConfig(
        dim=3,
        channels=2,
        strides=(2, 3),
        residuals=2,
        compress=1,
        skip="conv",
        activation="snake",
        memory="lstm",
        edge="replicate",
    ).decoder,
    "seanet encoder": SEANET.encoder,
    "seanet decoder": SEANET.decoder,
    "spectral head": lambda: SpectralHeadConfig(dim=3, window=32, hop=8).build(),
    "log mel": MEL.build,
    "mel front": MelFrontConfig(mel=MEL, stride=2, fine=THIN, coarse=THIN).build,
    "spectral back": SpectralBackConfig(dim=3, stride=2, fine=THIN, coarse=THIN, window=32, frame=8).build,
}
TRUNK = TransformerConfig(dim=16, layers=2, heads=4, kv_heads=2, hidden=24, window=7)
CONFORMER = ConformerConfig(dim=16, layers=1, heads=2, kernel=3, chunk=4, window=8)
SPEAKER = SpeakerConfig(text_width=16, text_blocks=1, width=24, blocks=1, voice=8)
ENCODER = EncoderConfig(
    front=WaveFrontConfig(dim=16, norm="layer", causal=True),
    trunk=TransformerConfig(
        dim=32, layers=2, heads=2, kv_heads=2, hidden=48, window=20, norm="layer", gated=False, bias=True, rotary=False
    ),
    positions=ConvPositionsConfig(kernel=6, groups=2, causal=True),
    streams=True,
)
ELSEWHERE: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "conformer": (CONFORMER.build, (8, 16)),  # the listener's laws are the conformer's
    "listener": (ListenerConfig(trunk=CONFORMER).build, (2560,)),
    "transformer": (TRUNK.build, (3, 16)),
    "rational": (RationalConfig().build, (30,)),
    "speaker": (SPEAKER.build, (4, SPEAKER.inputs)),
    "encoder": (ENCODER.build, (1280,)),
    "layer of an encoder": (EncoderLayerConfig(encoder=ENCODER, layer=1).build, (1, 1280)),
    "wave front": (ENCODER.front.build, (1280,)),
    "strided mel front": (StridedMelFrontConfig(channels=4, dim=24).build, (2560,)),
    "positions": (partial(ConvPositionsConfig(kernel=6, groups=2, causal=True).build, 32), (4, 32)),
    "layer of a listener": (ListenerLayerConfig(listener=ListenerConfig(trunk=CONFORMER), layer=1).build, (1, 2560)),
    "spectrum": (SpectrumConfig(stride=2).build, (1, 640)),
    "posteriors": (PosteriorsConfig(listener=ListenerConfig(trunk=CONFORMER)).build, (1, 2560)),
    "units front": (
        UnitsFrontConfig(
            sound=MelFrontConfig(fine=THIN, coarse=THIN),
            units=PosteriorsConfig(listener=ListenerConfig(trunk=CONFORMER)),
        ).build,
        (1, 3840),
    ),
}
"""Blocks with laws in files of their own, and the shape of what a row of them takes."""
WIDTH = {
    "residual unit": 4,
    "between convolutions": 4,
    "seanet encoder": 1,
    "seanet decoder": 6,
    "log mel": 0,
    "mel front": 1,
}


def made(name: str) -> Any:
    torch.manual_seed(1)
    return BLOCKS[name]().eval()


def input_of(name: str, block: Any, rows: int, units: int) -> Tensor:
    """So many smallest steps of input."""
    width, ticks = WIDTH.get(name, 3), units * block.timing.hop
    return torch.randn(rows, width, ticks) if width else 0.1 * torch.randn(rows, ticks)


def run(block: Any, x: Tensor, sizes: Sequence[int], state: Any) -> Tensor:
    pieces = x.split([size * block.timing.hop for size in sizes], dim=-1)
    return torch.cat([block.step(piece, state) for piece in pieces], dim=-1)


@pytest.mark.parametrize("name", BLOCKS)
def test_it_claims_to_stream(name: str):
    assert isinstance(made(name), Streaming)


@pytest.mark.parametrize("name", BLOCKS)
@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any))
def test_chunked_is_whole(name: str, sizes: list[int]):
    block = made(name)
    x = input_of(name, block, 2, sum(sizes))
    with torch.no_grad():
        assert torch.allclose(run(block, x, sizes, block.init_state(2)), block(x), atol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_rows_do_not_see_each_other(name: str):
    block = made(name)
    x = input_of(name, block, 3, 4)
    with torch.no_grad():
        together = run(block, x, [1, 3], block.init_state(3))
        alone = run(block, x[1:2], [1, 3], block.init_state(1))
    assert torch.allclose(together[1:2], alone, atol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_a_paused_row_does_not_change(name: str):
    block = made(name)
    x = input_of(name, block, 2, 6)
    first, middle, last = x.split(2 * block.timing.hop, dim=-1)
    with torch.no_grad():
        state = block.init_state(2)
        block.step(first, state)
        before = state.clone()
        block.step(middle, state, torch.tensor([True, False]))
        for now, then in zip(state.tensors(), before.tensors(), strict=True):
            assert torch.equal(now[1], then[1])
        resumed = block.step(last, state)
        whole = run(block, torch.cat((first, last), dim=-1)[1:], [2, 2], block.init_state(1))
        assert torch.allclose(resumed[1], whole[0, ..., whole.shape[-1] // 2 :], atol=1e-5)
        whole = run(block, x[:1], [2, 2, 2], block.init_state(1))
        assert torch.allclose(resumed[0], whole[0, ..., whole.shape[-1] * 2 // 3 :], atol=1e-5)


@pytest.mark.parametrize("name", BLOCKS)
def test_nothing_in_gives_nothing_out(name: str):
    block = made(name)
    x = input_of(name, block, 2, 2)
    with torch.no_grad():
        state = block.init_state(2)
        block.step(x, state)
        before = state.clone()
        assert block.step(x[..., :0], state).shape[-1] == 0
    assert all(torch.equal(a, b) for a, b in zip(state.tensors(), before.tensors(), strict=True))


@pytest.mark.parametrize("name", BLOCKS)
def test_fresh_is_all_zeros(name: str):
    assert not any(leaf.any() for leaf in made(name).init_state(2).tensors())


def streaming_classes() -> set[type]:
    """Every class of the package that can be stepped with a state of its caller, but for the abilities of a
    conversation, which are made of these, and for what others only finish."""
    found: set[type] = set()
    for layer in ("audio", "nn", "models"):
        package = importlib.import_module(f"{vivavoce.__name__}.{layer}")
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for _, kind in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
                if kind.__module__ == info.name and hasattr(kind, "init_state") and hasattr(kind, "step"):
                    found.add(kind)
    return {kind for kind in found if not any(issubclass(other, kind) for other in found - {kind})}


def test_every_class_that_streams_is_held_to_the_laws():
    here = {type(made(name)) for name in BLOCKS}
    assert here | {type(build()) for build, _ in ELSEWHERE.values()} == streaming_classes()


@pytest.mark.parametrize("name", [*BLOCKS, *ELSEWHERE])
def test_a_step_changes_the_callers_state_and_nothing_else(name: str):
    if name in BLOCKS:
        block = made(name)
        x = input_of(name, block, 2, 2)
    else:
        build, shape = ELSEWHERE[name]
        block = build().eval()
        x = 0.1 * torch.randn(2, *shape)
    kept = {key: value.clone() for key, value in block.state_dict(keep_vars=False).items()}
    attributes = {path: dict(vars(module)) for path, module in block.named_modules()}
    state = block.init_state(2)
    with torch.no_grad():
        block.step(x, state)
    assert all(torch.equal(value, kept[key]) for key, value in block.state_dict().items())
    for path, module in block.named_modules():
        assert vars(module).keys() == attributes[path].keys()
        assert all(value is attributes[path][key] for key, value in vars(module).items()), path
    if name != "pointwise":  # a convolution of one sample has nothing to remember
        assert any(leaf.any() for leaf in state.tensors())


@pytest.mark.parametrize(("channels", "groups", "kernel"), [(32, 4, 8), (32, 16, 128), (192, 16, 64)])
def test_grouped_convolutions_are_right_in_half_precision(channels: int, groups: int, kernel: int) -> None:
    """PyTorch's own is not on every processor."""
    conv, x = PreciseConv(channels, channels, kernel, groups=groups, padding=kernel // 2), torch.randn(6, channels, 100)
    with torch.autocast("cpu", torch.bfloat16):
        found = conv(x)
    torch.testing.assert_close(found.float(), conv(x), atol=0.05, rtol=0.05)


def test_strided_nets_are_right_in_half_precision() -> None:
    """So are their gradients: SEANet both ways with few channels, whose strides PyTorch's own get wrong with AMX."""
    config = SeanetConfig(
        dim=24, channels=8, strides=(2, 4, 5, 8), compress=1, activation="snake", causal=False, trim="both"
    )
    nets = nn.ModuleList([nn.Sequential(*config.encoder_layers()), nn.Sequential(*config.decoder_layers())])
    wave, frames = torch.randn(3, 1, 3200), torch.randn(3, 24, 10)

    def made(half: bool) -> list[torch.Tensor]:
        nets.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            out = [net(x).float() for net, x in zip(nets, (wave, frames), strict=True)]
        sum(one.square().sum() for one in out).backward()  # type: ignore[union-attr]
        return [*out, *(weight.grad.clone() for weight in nets.parameters() if weight.grad is not None)]

    for whole, half in zip(made(False), made(True), strict=True):
        assert float(((whole - half).norm() / whole.norm()).detach()) < 0.1
