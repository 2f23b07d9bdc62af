"""What is done to recordings so that others can say what they hear in speech made from units."""

from dataclasses import replace

import torch

from vivavoce.audio.resample import resample
from vivavoce.core.streams import sound
from vivavoce.evals.unit_speech import PREDICTED, UnitSpeechSuite, ways_of
from vivavoce.models.durations import DurationsConfig
from vivavoce.models.features import SpectrumConfig
from vivavoce.models.unit_vocoder import UnitVocoderConfig
from vivavoce.models.units import UnitsConfig, merged
from vivavoce.nn.kmeans import KMeansConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.codec import SMALL


def test_every_way_from_a_recording_to_what_is_heard() -> None:
    codec = SMALL.codec.build().eval()
    for part in (codec.quantizer.semantic, codec.quantizer.acoustic):
        part.entries.normal_()
    front = SpectrumConfig(stride=4)
    units = UnitsConfig(front=front, quantizer=KMeansConfig(dim=front.dim, size=9)).build().eval()
    units.quantizer.centers.normal_()
    looks = TransformerConfig(dim=32, layers=1, heads=2, kv_heads=2, hidden=48, window=100, causal=False)
    config = UnitVocoderConfig(
        durations=DurationsConfig(units=units.tokens, trunk=looks), codes=codec.tokens, trunk=looks,
        depth=replace(looks, window=8, causal=True, rotary=False),
    )  # fmt: skip
    vocoder = config.build().eval()
    wave = 0.1 * torch.randn(9_600)
    ways = ways_of(vocoder, codec, units, UnitSpeechSuite())
    made = {name: way(wave) for name, way in ways.items()}
    assert torch.equal(made["originals"], wave)
    whole = codec.resynthesize(resample(wave, 16_000, 24_000)[None])[0]
    torch.testing.assert_close(made["all true tokens"], resample(whole, 24_000, 16_000)[: len(wave)], atol=1e-4, rtol=0)
    assert not torch.equal(made["first book alone"], made["all true tokens"])
    ids = units.encode(sound(wave, 16_000))
    assert ids.data.shape[2] == 15 and len(made["units, their durations"]) == 15 * 640
    with torch.no_grad():
        vocoder.durations.out.weight.zero_()
        vocoder.durations.out.bias.fill_(2.0)  # exp(2) is 7 frames for every unit
    runs = len(merged(ids).units.data[0, 0])
    for name in (PREDICTED, "units in another order"):
        assert len(ways[name](wave)) == 7 * runs * 640
    drawn = ways_of(vocoder, codec, units, UnitSpeechSuite(temperature=1.0))["units, their durations"]
    assert torch.equal(drawn(wave), drawn(wave)) and not torch.equal(drawn(wave), made["units, their durations"])
