"""A codec with units as its first book: the ids are the units', it streams as it is whole, units are not learnt."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.parts import save_part
from vivavoce.core.streams import sound
from vivavoce.evals.tokenizers import opened
from vivavoce.models.codec import Codec, mel_codec
from vivavoce.models.features import SpectrumConfig
from vivavoce.models.front import MelFrontConfig
from vivavoce.models.listener import ListenerConfig
from vivavoce.models.posteriors import PosteriorsConfig
from vivavoce.models.units import Units, UnitsConfig
from vivavoce.models.units_front import UnitsFrontConfig
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.given_book import GivenBookConfig
from vivavoce.nn.kmeans import FitConfig, KMeansConfig, fit
from vivavoce.nn.quantize import ResidualConfig
from vivavoce.systems.unit_codec import begun, unit_codec
from vivavoce.train.tasks.codec import CodecSpectral, SoundBatch

LISTENER = ListenerConfig(trunk=ConformerConfig(dim=16, layers=1, heads=2, window=12, dropout=0.1))
THIN = ConvNeXtConfig(dim=16, depth=1)
CHUNK = 3840


def waves(rows: int, samples: int) -> Tensor:
    time = torch.arange(samples) / 24000
    tones = torch.stack([torch.sin(2 * torch.pi * 200 * (row + 1) * time * (1 + time)) for row in range(rows)])
    return (0.1 * torch.randn(rows, samples) + tones) * torch.sin(2 * torch.pi * 3 * time) ** 4


@pytest.fixture(scope="module")
def parts() -> tuple[Codec, Units]:
    torch.manual_seed(3)
    codec = mel_codec(
        encode_fine=THIN, encode_coarse=THIN, decode_coarse=THIN, decode_fine=THIN, books=3, size=16, code_dim=8
    ).build()
    codec.quantizer.start(torch.randn(4, 16, 64))
    front = PosteriorsConfig(listener=LISTENER)
    units = UnitsConfig(front=front, quantizer=KMeansConfig(dim=front.dim, size=12)).build().eval()
    units.front.ctc.weight.data.mul_(6.0)
    frames = units.features(waves(1, 32000))[0].T
    units.quantizer.load_state_dict(fit(frames, 12, FitConfig(batch=64, steps=10, scaled=False)).state_dict())
    return codec.eval(), units


@pytest.fixture(scope="module")
def made(parts: tuple[Codec, Units]) -> Codec:
    torch.manual_seed(4)
    return begun(*parts, list(waves(3, 24000)), books=3, code_dim=8)


def test_the_first_ids_are_the_units(parts: tuple[Codec, Units], made: Codec):
    wave = waves(2, 5 * CHUNK)
    codes = made.encode(sound(wave, 24000)).data
    padded = torch.nn.functional.pad(wave, (0, codes.shape[2] * made.config.hop - wave.shape[1]))
    heard = made.front.convert.step(padded, made.front.convert.init_state(2))
    assert torch.equal(codes[:, :1], parts[1].encode(sound(heard, 16000)).data)
    assert len(codes[:, 0].unique()) > 1
    assert torch.equal(made.encode(sound(wave, 24000), books=1).data, codes[:, :1])


def test_its_first_book_is_measured_as_what_units_are_made_of(parts: tuple[Codec, Units], made: Codec, tmp_path: Path):
    save_part(tmp_path, "codec", made.config, made)
    first, whole, features = opened(str(tmp_path), name="mine")
    assert (first.gated, whole.gated, features.gated) == (True, False, False)
    assert first.teacher == features.name == "features of mine", "the gate compares it with what it was made of"
    heard = waves(1, 2 * CHUNK)[0]
    wanted = made.front.units(heard[None, None, : len(heard) // 640 * 640])[0].T
    assert torch.allclose(features.encode(heard)[: len(wanted)], wanted, atol=1e-4)
    ids = torch.arange(12)
    assert first.stand_for is not None
    assert torch.equal(first.stand_for[:12], parts[1].quantizer.decode(ids[None, None])[0].T)
    assert first.stand_for.shape[0] == first.size == whole.size == 16
    assert (first.books, whole.books, whole.stand_for) == (1, 3, None)


def test_it_streams_as_it_is_whole(made: Codec):
    wave = waves(2, 6 * CHUNK)
    assert made.timing.hop == CHUNK
    with torch.no_grad():
        whole = made.quantizer.encode(made.front(wave[:, None]))
    state, speaking = made.init_encode(2), made.init_decode(2)
    pieces = [made.encode_step(piece, state) for piece in wave.split([CHUNK, 3 * CHUNK, 2 * CHUNK], dim=1)]
    assert torch.equal(torch.cat(pieces, dim=2), whole)
    spoken = torch.cat([made.decode_step(piece, speaking) for piece in pieces], dim=1)
    with torch.no_grad():
        assert torch.allclose(spoken, made.back(made.quantizer.decode(whole))[:, 0], atol=1e-5)


def test_a_long_recording_goes_through_in_whole_chunks(made: Codec):
    wave = waves(1, 70 * CHUNK + 100)
    codes = made.encode(sound(wave, 24000)).data
    padded = torch.nn.functional.pad(wave, (0, codes.shape[2] * made.config.hop - wave.shape[1]))
    with torch.no_grad():
        assert torch.equal(codes, made.quantizer.encode(made.front(padded[:, None])))


def test_an_entry_is_the_mean_of_what_has_its_id(made: Codec):
    torch.manual_seed(5)
    x = torch.randn(2, made.config.front.dim, 60)
    book = copy.deepcopy(made.quantizer)
    book.start(x)
    with torch.no_grad():
        given = book.units.encode(x[:, 16:])[:, 0].flatten()
        inner = book.residual.into(x[:, :16].transpose(1, 2)).flatten(0, 1)
    for id in given.unique().tolist():
        assert torch.allclose(book.residual.entries[0, id], inner[given == id].mean(0), atol=1e-5)
    assert torch.equal(book.encode(x)[:, 0].flatten(), given)


def test_learning_moves_the_sound_and_leaves_the_units(made: Codec):
    task = CodecSpectral(made.config, bypass_steps=0)
    task.codec.load_state_dict(made.state_dict())
    task.train()
    before = copy.deepcopy(task.codec.state_dict())
    optimizer = torch.optim.AdamW(task.parameters_of("model"), 1e-2)
    wave = waves(2, 4 * CHUNK)
    batch = SoundBatch(wave, torch.full((2,), 1 << 30), torch.full((2,), 12000.0), 1.0)
    losses = task.losses("model", batch, task.outputs(batch))
    torch.stack([term.weight * term.value for term in losses.values()]).sum().backward()
    optimizer.step()
    after = task.codec.state_dict()
    for name, value in before.items():
        if name.startswith(("front.units.", "quantizer.units.")):
            assert torch.equal(value, after[name]), name
    for name in ("quantizer.residual.entries", "quantizer.residual.into.", "front.sound.enter.", "back.head."):
        changed = [key for key in after if key.startswith(name)]
        assert any(not torch.equal(before[key], after[key]) for key in changed), name


def test_the_alphabet_tells_units_apart(made: Codec):
    other = copy.deepcopy(made)
    with torch.no_grad():
        other.quantizer.units.centers[0] += 1
    heard = copy.deepcopy(made)
    with torch.no_grad():
        heard.front.units.ctc.bias[0] += 1
    assert len({made.tokens.alphabet, other.tokens.alphabet, heard.tokens.alphabet}) == 3


def test_parts_that_cannot_be_put_together(parts: tuple[Codec, Units]):
    codec, units = parts
    residual = ResidualConfig(dim=16, size=8)
    heard = PosteriorsConfig(listener=LISTENER)
    with pytest.raises(ConfigError, match="12 units do not fit in books of 8"):
        GivenBookConfig(units=units.config.quantizer, residual=residual).build()
    with pytest.raises(ConfigError, match="vectors a second"):
        UnitsFrontConfig(sound=MelFrontConfig(stride=2), units=heard).build()
    with pytest.raises(ConfigError, match="units of a listener"):
        unit_codec(codec.config, UnitsConfig(front=SpectrumConfig(), quantizer=KMeansConfig(dim=320, size=4)))
    with pytest.raises(SpecError, match="to begin the books with"):
        begun(codec, units, [torch.zeros(2400)], books=3, code_dim=8)
