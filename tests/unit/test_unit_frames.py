"""Units as ears of a language model: it hears ids, whatever else was in the sound."""

from pathlib import Path

import pytest
import torch

from vivavoce.core.errors import PartError, SpecError
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.streams import sound
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.encoder_heads import ClusterConfig
from vivavoce.models.features import SpectrumConfig
from vivavoce.models.unit_frames import UnitFrames
from vivavoce.models.units import Units, UnitsConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.kmeans import KMeansConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.bridge import Shape
from vivavoce.recipes.heard_data import hearing
from vivavoce.systems.hubert import HubertConfig
from vivavoce.systems.salmonn import Hears


@pytest.fixture
def units() -> Units:
    torch.manual_seed(2)
    front = SpectrumConfig()
    made = UnitsConfig(front=front, quantizer=KMeansConfig(dim=front.dim, size=4)).build().eval()
    made.quantizer.load_state_dict({**made.quantizer.state_dict(), "centers": torch.randn(4, front.dim)})
    return made


def test_what_is_heard_is_what_ids_stand_for(units: Units, tmp_path: Path):
    ears = UnitFrames.of(units)
    wave = sound(torch.randn(7000) * torch.linspace(0.001, 1, 7000), 16000)
    heard, ids = ears.encode(wave), units.encode(wave)
    assert heard.spec == ears.spec() and heard.lengths.tolist() == ids.lengths.tolist()
    assert heard.data.shape == (1, ears.spec().dim, ids.data.shape[2])
    assert torch.equal(heard.data, units.quantizer.decode(ids.data))
    assert len(ids.data.unique()) > 1 and len(heard.data[0].T.unique(dim=0)) == len(ids.data.unique())
    with pytest.raises(SpecError):
        ears.encode(sound(torch.randn(7000), 8000))
    save_part(tmp_path, "encoder", ears.config, ears)
    again = load_part(tmp_path, "encoder")
    assert again.spec() == ears.spec() and torch.equal(again.encode(wave).data, heard.data)


def test_a_bridge_hears_a_folder_of_units(units: Units, tmp_path: Path):
    save_part(tmp_path, "units", units.config, units)
    ears = hearing(tmp_path)
    bridge = Shape(dim=32, layers=1).config(ears.spec(), 16).build().eval()
    assert bridge.spelling is not None
    bridge.spelling.begin(torch.randn(bridge.spelling.config.pieces, 16))
    frames = ears.encode(sound(torch.randn(16000), 16000)).data.transpose(1, 2)
    with torch.no_grad():
        scores, counts = bridge.spelled(frames, None, torch.tensor([frames.shape[1]]))
    assert scores.shape[:2] == (1, int(counts[0])) and int(counts[0]) > 1


def test_encoders_that_runs_here_wrote_hear_too(tmp_path: Path):
    trunk = TransformerConfig(dim=24, layers=1, heads=2, kv_heads=2, hidden=48, window=600, causal=False)
    encoder = EncoderConfig(front=WaveFrontConfig(dim=24, kernels=(40, 8), strides=(40, 8)), trunk=trunk)
    run = HubertConfig(encoder=encoder, head=ClusterConfig(context=24, dim=8, sizes=(5,))).build().eval()
    save_part(tmp_path / "run", "hubert", run.config, run)
    ears, wave = hearing(tmp_path / "run"), sound(torch.randn(3200), 16000)
    assert isinstance(ears, Hears) and torch.equal(ears.encode(wave).data, run.encoder.encode(wave).data)
    save_part(tmp_path / "second", "encoder", ears.config, ears)
    assert hearing(tmp_path / "second").spec() == ears.spec()
    (tmp_path / "nothing").mkdir()
    with pytest.raises(PartError, match="has no encoder; give a run of hubert, wav2vec2 or w2vbert"):
        hearing(tmp_path / "nothing")
    with pytest.raises(PartError, match="vivavoce models get hf:nobody/nothing"):
        hearing(Path("hf:nobody/nothing"))
