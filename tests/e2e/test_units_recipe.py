"""The recipe of units, small; units go to files, into corpora and pictures, and files of something else are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vivavoce.assistant import tokens
from vivavoce.audio.files import read_audio
from vivavoce.cli.tokens import app
from vivavoce.core.errors import ConfigError, PartError, SpecError
from vivavoce.core.parts import load_part, read_card, save_part
from vivavoce.data.manifest import recordings
from vivavoce.data.tokens import TokenCorpus
from vivavoce.models.encoder_heads import ClusterConfig
from vivavoce.nn.kmeans import FitConfig
from vivavoce.recipes import units_data
from vivavoce.recipes.hubert import SMALL
from vivavoce.recipes.units import UnitsRun, debug, train
from vivavoce.systems.hubert import HubertConfig


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("units")
    torch.manual_seed(0)
    found = debug(folder)
    assert found["after"] < found["before"] - 0.15
    return folder


@pytest.fixture(scope="module")
def of_listener(made: Path) -> Path:
    run = UnitsRun(features="listener", layer=3, size=20, minutes=1.0, fit=FitConfig(batch=256, steps=20))
    train(run, made / "speech", made / "listener", say=lambda line: None)
    return made / "listener"


def test_units_go_to_files_pictures_and_corpora(made: Path, of_listener: Path, tmp_path: Path):
    recording, file, picture = made / "speech/1.wav", tmp_path / "u.npz", tmp_path / "u.png"
    model, run = ["--model", str(of_listener)], CliRunner()
    assert run.invoke(app, ["encode", str(recording), "-o", str(file), *model], catch_exceptions=False).exit_code == 0
    units = load_part(of_listener, "units")
    coded = tokens.load(units, file)
    assert coded.codes.spec == units.tokens and coded.codes.data.shape[1] == 1
    assert int(coded.codes.lengths[0]) == -(-coded.samples // 640)
    run.invoke(app, ["show", str(recording), "-o", str(picture), *model], catch_exceptions=False)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    out = tmp_path / "corpus"
    run.invoke(
        app, ["corpus", str(made / "speech"), "--part", str(of_listener), "-o", str(out)], catch_exceptions=False
    )
    corpus = TokenCorpus(out)
    assert corpus.specs == {"units": units.tokens}
    place = [one.id for one in corpus.utterances].index("1")
    assert torch.equal(corpus.items(place)["units"], coded.codes.data[0])
    assert read_card(of_listener, "units")["what"] == "k-means of listener layer 3, 20 centres"


def test_files_of_others_and_damaged_ones_are_refused(made: Path, of_listener: Path, tmp_path: Path):
    file, other = tmp_path / "u.npz", made / "50"
    run = CliRunner()
    run.invoke(app, ["encode", str(made / "speech/1.wav"), "-o", str(file), "--model", str(other)])
    units = tokens.open_tokenizer(of_listener)
    with pytest.raises(SpecError, match="the folder of what made it"):
        tokens.load(units, file)
    refused = run.invoke(app, ["decode", str(file), "-o", str(tmp_path / "x.wav"), "--model", str(other)]).exception
    assert isinstance(refused, SpecError) and "units alone make no sound" in str(refused)
    with np.load(file) as known:
        fields = dict(known)
    for name, value, told in (
        ("version", 9, "form 9"),
        ("samples", 10**9, "cannot be"),
        ("codes", np.full((1, 3), 60000, np.uint16), "below"),
        ("spec", np.array("{}"), "no token file"),
        ("spec", np.array('{"class": "os:path"}'), "no token file"),
    ):
        np.savez(file, **{**fields, name: value})
        with pytest.raises(SpecError, match=told):
            tokens.load(load_part(other, "units"), file)
    data = file.read_bytes()
    for cut in (0, 10, len(data) // 2, len(data) - 30):
        file.write_bytes(data[:cut])
        with pytest.raises(SpecError, match="no token file"):
            tokens.load(load_part(other, "units"), file)
    with pytest.raises(PartError, match="holds no codec"):
        tokens.open_tokenizer(tmp_path)


def test_the_same_recordings_and_features_that_are_not_there(made: Path):
    speech = made / "speech"
    assert units_data.sample(speech, 0.5, 3) == units_data.sample(speech, 0.5, 3)
    assert {clip.split for clip in units_data.sample(speech, 99.0, 1)} == {"train"}
    assert len(units_data.sample(speech, 99.0, 1)) == len(recordings(speech, "train"))
    with pytest.raises(ConfigError, match="log-mel"):
        units_data.front_of("mels", 1)


def test_units_of_an_encoder_that_learnt_from_sound_alone(made: Path, tmp_path: Path):
    torch.manual_seed(0)
    encoder = replace(SMALL, trunk=replace(SMALL.trunk, layers=2))
    config = HubertConfig(encoder=encoder, head=ClusterConfig(context=160, dim=16, sizes=(8,)))
    save_part(tmp_path / "hubert", "hubert", config, hubert := config.build().eval())
    run = UnitsRun(features="encoder", layer=1, size=20, minutes=0.5, fit=FitConfig(batch=256, steps=20))
    units = train(run, made / "speech", tmp_path / "units", encoder=tmp_path / "hubert", say=lambda line: None)
    coded = tokens.encode(tokens.open_tokenizer(tmp_path / "units"), made / "speech/1.wav")
    wave = read_audio(made / "speech/1.wav", 16000)[0]
    assert units.tokens.rate == 50 and coded.codes.lengths.tolist() == [-(-len(wave) // 320)]
    with torch.no_grad():
        wanted = units.quantizer(
            hubert.encoder(torch.nn.functional.pad(wave, (0, -len(wave) % 320))[None]).layers[1][0]
        )
    assert torch.equal(coded.codes.data[0, 0, : len(wanted)], wanted), "names of what comes out of the first layer"
    assert read_card(tmp_path / "units", "units")["what"] == "k-means of encoder layer 1, 20 centres"
    with pytest.raises(ConfigError, match="layers 1 to 2"):
        train(replace(run, layer=3), made / "speech", tmp_path / "no", encoder=tmp_path / "hubert")
    with pytest.raises(ConfigError, match="belong together"):
        train(run, made / "speech", tmp_path / "no")
    with pytest.raises(PartError, match="wanted config"):
        train(run, made / "speech", tmp_path / "no", encoder=made)


def test_units_of_a_published_encoder(made: Path, tmp_path: Path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    published = transformers.HubertModel(
        transformers.HubertConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
            conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
        )
    )  # fmt: skip
    published.save_pretrained(tmp_path / "published")
    run = UnitsRun(features="encoder", layer=2, size=20, minutes=0.5, fit=FitConfig(batch=256, steps=20))
    units = train(run, made / "speech", tmp_path / "units", encoder=tmp_path / "published", say=lambda line: None)
    coded = tokens.encode(tokens.open_tokenizer(tmp_path / "units"), made / "speech/1.wav")
    assert units.tokens.rate == 50 and coded.codes.spec.size == 20
