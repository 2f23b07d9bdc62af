"""Units: chunked equals whole, repeats come back, an alphabet is all that decides the ids, bad input is refused."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.streams import Stream, Tokens, sound
from vivavoce.models.features import ListenerLayer, ListenerLayerConfig, SpectrumConfig
from vivavoce.models.listener import ListenerConfig
from vivavoce.models.posteriors import Posteriors, PosteriorsConfig
from vivavoce.models.units import Merged, Units, UnitsConfig, merged, spread
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.nn.finite_scalar import FiniteScalarConfig
from vivavoce.nn.kmeans import FitConfig, KMeansConfig, fit

SMALL = ListenerConfig(trunk=ConformerConfig(dim=16, layers=3, heads=2, window=12, dropout=0.0))
FRONTS = {
    "listener": ListenerLayerConfig(listener=SMALL, layer=2),
    "posteriors": PosteriorsConfig(listener=SMALL),
    "mel": SpectrumConfig(stride=2),
    "cepstra": SpectrumConfig(stride=2, cepstra=5),
}


def _noise(samples: int) -> torch.Tensor:
    """That swells and fades, high and low."""
    time = torch.arange(samples) / 16000
    tone = torch.sin(2 * torch.pi * 300 * time * (1 + time))
    return (0.1 * torch.randn(2, samples) + tone) * torch.sin(2 * torch.pi * 3 * time) ** 4


def _units(front: str, book: str = "kmeans") -> Units:
    torch.manual_seed(1)
    config = FRONTS[front]
    if book != "kmeans":
        levels = FiniteScalarConfig(dim=config.dim, levels=(5, 5), hidden=8 if book == "hidden" else 0)
        made = UnitsConfig(front=config, quantizer=levels).build().eval()
        into: Any = made.quantizer.into
        last = into[-1] if levels.hidden else into
        with torch.no_grad():
            numbers = into(made.features(_noise(16000)[:1])[0].T)
            last.weight.div_(numbers.std(0)[:, None])
            last.bias.copy_((last.bias - numbers.mean(0)) / numbers.std(0))
        return made
    made = UnitsConfig(front=config, quantizer=KMeansConfig(dim=config.dim, size=12)).build().eval()
    frames = made.features(_noise(16000)[:1])[0].T
    made.quantizer.load_state_dict(fit(frames, 12, FitConfig(batch=64, steps=10)).state_dict())
    return made


@pytest.mark.parametrize("book", ["kmeans", "scalar", "hidden"])
@pytest.mark.parametrize("front", list(FRONTS))
def test_stepped_units_are_those_of_the_whole(front: str, book: str):
    units = _units(front, book)
    hop = units.timing.hop
    pieces = -(-28 * 640 // hop)
    wave = _noise(pieces * hop)
    whole = units.encode(sound(wave, 16000)).data
    state = units.init_encode(2)
    chunks = torch.cat(
        [units.encode_step(piece, state) for piece in wave.split([hop, 2 * hop, (pieces - 3) * hop], dim=1)], dim=2
    )
    assert torch.equal(whole, chunks)
    assert len(whole.unique()) > 1


@given(st.lists(st.lists(st.integers(0, 3), min_size=0, max_size=30), min_size=1, max_size=3), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_repeats_come_back(rows: list[list[int]], longest: int):
    most = max(len(row) for row in rows)
    data = torch.tensor([row + [0] * (most - len(row)) for row in rows]).long().reshape(len(rows), 1, most)
    spec = Tokens(name="units", alphabet="a", size=4, rate=Fraction(25))
    before = Stream(spec, data, torch.tensor([len(row) for row in rows]))
    pair = merged(before, longest)
    after = spread(pair, spec.rate)
    assert after.spec == spec and torch.equal(after.lengths, before.lengths)
    for place, row in enumerate(rows):
        assert after.data[place, 0, : len(row)].tolist() == row
        held = pair.durations.data[place, 0, : int(pair.durations.lengths[place])]
        assert int((held + 1).sum()) == len(row) and bool((held < longest).all())
        if longest > most:
            assert bool((pair.units.data[place, 0, : len(held)].diff() != 0).all())


def test_an_alphabet_is_what_decides_the_ids(tmp_path):
    units = _units("listener")
    save_part(tmp_path, "units", units.config, units)
    again = load_part(tmp_path, "units")
    wave = sound(torch.randn(1, 9000), 16000)
    assert again.tokens == units.tokens and torch.equal(again.encode(wave).data, units.encode(wave).data)
    with torch.no_grad():
        again.quantizer.centers[3] += 1
    assert again.tokens.alphabet != units.tokens.alphabet
    renamed = replace(units.config, made_by="something else").build()
    renamed.load_state_dict(units.state_dict())
    assert renamed.tokens == units.tokens


def test_a_layer_of_a_listener_gives_its_frames():
    torch.manual_seed(2)
    listener = SMALL.build().eval()
    wave = torch.randn(1, 6400)
    top = ListenerLayer.of(listener, 3, whole=True)(wave[:, None])
    assert torch.equal(top.transpose(1, 2), listener.listen(wave).features)
    with pytest.raises(ConfigError, match="cannot be streamed"):
        _ = ListenerLayer.of(listener, 3, whole=True).timing
    with pytest.raises(ConfigError, match="layers 1 to 3"):
        ListenerLayer.of(listener, 4)


def test_posteriors_are_roots_of_what_the_listener_says():
    torch.manual_seed(2)
    listener = SMALL.build().eval()
    wave = torch.randn(1, 6400)
    heard = listener.listen(wave)
    roots = Posteriors.of(listener, whole=True)(wave[:, None])[0].T.unflatten(1, (2, 2, -1))
    for place, (shares, weight) in enumerate(((heard.ctc, 1.0), (heard.frame, 0.5))):
        assert torch.allclose(roots[:, place].square() / weight**2, shares[0].exp().unflatten(0, (-1, 2)), atol=1e-5)
    with pytest.raises(ConfigError, match="cannot be streamed"):
        _ = Posteriors.of(listener, whole=True).timing


def test_lengths_one_sample_nothing_and_other_rates():
    units = _units("listener")
    one = units.encode(sound(torch.zeros(1, 1), 16000))
    assert one.data.shape == (1, 1, 1) and one.lengths.tolist() == [1]
    assert units.encode(sound(torch.zeros(1, 0), 16000)).data.shape == (1, 1, 0)
    with pytest.raises(SpecError, match="sample_rate=24000"):
        units.encode(sound(torch.zeros(1, 100), 24000))
    with pytest.raises(SpecError, match="multiple of 640"):
        units.encode_step(torch.zeros(1, 100), units.init_encode(1))
    with pytest.raises(SpecError, match="as many durations"):
        pair = merged(one)
        spread(Merged(pair.units, pair.units), Fraction(25))


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="make them equal"):
        UnitsConfig(front=FRONTS["mel"], quantizer=KMeansConfig(dim=3, size=4)).build()
