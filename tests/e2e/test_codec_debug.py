"""The codec's recipe, small: it learns, its parts can be loaded, and tokens go to files and back."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from vivavoce.assistant import tokens
from vivavoce.audio.files import read_audio, write_audio
from vivavoce.cli.tokens import app
from vivavoce.core.errors import AudioError, ManifestError, SpecError
from vivavoce.core.parts import load_part, read_card, save_part
from vivavoce.core.streams import sound
from vivavoce.data.tokens import TokenCorpus
from vivavoce.nn.discriminate import DiscriminatorConfig
from vivavoce.recipes.codec import SMALL
from vivavoce.recipes.codec_gan import CodecGanRun, debug, train
from vivavoce.train.tasks.codec_gan import CodecGan


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("codec")
    torch.manual_seed(0)
    found = debug(folder)
    assert found["first stage"] < 0.7 * found["before"]
    return folder


def test_the_part_is_whole(made: Path):
    codec = load_part(made, "codec")
    assert codec.quantizer.started
    card = read_card(made, "codec")
    assert card["stage"] == "CodecGan" and card["steps"] == 6
    assert card["data"] == [{"source": "vowels", "licence": "CC0"}]


@pytest.fixture(scope="module")
def other(made: Path) -> Path:
    """A codec whose tokens mean something else."""
    codec = load_part(made / "first", "codec")
    with torch.no_grad():
        codec.quantizer.acoustic.entries += 0.1
    save_part(made / "other", "codec", codec.config, codec)
    return made / "other"


def test_the_second_stage_says_the_same_tokens_in_another_way(made: Path):
    first, second = (load_part(folder, "codec") for folder in (made / "first", made))
    assert first.tokens == second.tokens
    wave = sound(read_audio(made / "first/speech/0.wav")[0], 24000)
    codes = first.encode(wave)
    assert torch.equal(codes.data, second.encode(wave).data)
    assert float((first.decode(codes).data - second.decode(codes).data).abs().max()) > 1e-4


def test_the_second_stage_keeps_ids_that_half_precision_would_change(made: Path, tmp_path: Path):
    codec = load_part(made / "first", "codec")
    with torch.no_grad():
        codec.quantizer.acoustic.entries += 1e-6  # half precision does not know it
    save_part(tmp_path / "whole", "codec", codec.config, codec)
    run = CodecGanRun(
        crops=SMALL.crops, steps=1, ema=0.0, judged_samples=4096, judges=DiscriminatorConfig(channels=4)
    )  # fmt: skip
    train(run, made / "first/speech", tmp_path / "run", start=tmp_path / "whole", cache=made / "first")
    assert load_part(tmp_path / "run", "codec").tokens == codec.tokens != load_part(made / "first", "codec").tokens


def test_some_rows_are_made_of_their_first_books_only(made: Path):
    codec = load_part(made / "first", "codec")
    task = CodecGan(codec.config, DiscriminatorConfig(channels=4), fewer_books=0.5)
    task.codec.load_state_dict(codec.state_dict())
    codes = torch.randint(32, (12, 3, 4))
    torch.manual_seed(0)
    made_of = [
        [count for count in (1, 2, 3) if torch.equal(row, codec.quantizer.decode(codes[place, :count][None])[0])]
        for place, row in enumerate(task.train()._decoded(codes))
    ]
    assert all(len(counts) == 1 for counts in made_of) and {counts[0] for counts in made_of} == {1, 2, 3}
    assert torch.equal(task.eval()._decoded(codes), codec.quantizer.decode(codes))


def test_tokens_to_a_file_and_back(made: Path, tmp_path: Path):
    model = ["--model", str(made / "first")]
    recording, file, back = made / "first/speech/0.wav", tmp_path / "t.npz", tmp_path / "back.wav"
    run = CliRunner()
    assert run.invoke(app, ["encode", str(recording), "-o", str(file), *model], catch_exceptions=False).exit_code == 0
    assert run.invoke(app, ["decode", str(file), "-o", str(back), *model], catch_exceptions=False).exit_code == 0
    wave, rate = read_audio(back, allow_silent=True)
    codec = load_part(made / "first", "codec")
    with torch.no_grad():
        wanted = codec.resynthesize(read_audio(recording)[0][None])[0]
    assert rate == 24000 and wave.shape == wanted.shape
    assert float((wave - wanted.clamp(-1, 1)).abs().max()) < 1e-3
    for source in (recording, file):
        picture = tmp_path / f"{source.suffix[1:]}.png"
        assert run.invoke(app, ["show", str(source), "-o", str(picture), *model], catch_exceptions=False).exit_code == 0
        assert picture.read_bytes()[:4] == b"\x89PNG"


def test_what_cannot_be_is_said(made: Path, other: Path, tmp_path: Path):
    first, second = ["--model", str(made / "first")], ["--model", str(other)]
    recording, file = made / "first/speech/0.wav", tmp_path / "t.npz"
    run = CliRunner()
    assert isinstance(
        run.invoke(app, ["encode", str(recording), "-o", str(tmp_path / "t.wav"), *first]).exception, SpecError
    )
    run.invoke(app, ["encode", str(recording), "-o", str(file), *first])
    refused = run.invoke(app, ["decode", str(file), "-o", str(tmp_path / "x.wav"), *second]).exception
    alphabets = [load_part(made / stage, "codec").tokens.alphabet for stage in ("first", "other")]
    assert isinstance(refused, SpecError) and all(alphabet in str(refused) for alphabet in alphabets)
    refused = run.invoke(app, ["decode", str(recording), "-o", str(tmp_path / "x.wav"), *first]).exception
    assert isinstance(refused, SpecError) and "no token file" in str(refused)
    file.write_bytes(file.read_bytes()[:200])
    refused = run.invoke(app, ["show", str(file), "-o", str(tmp_path / "x.png"), *first]).exception
    assert isinstance(refused, SpecError)
    (tmp_path / "words.wav").write_text("no sound")
    refused = run.invoke(app, ["encode", str(tmp_path / "words.wav"), "-o", str(tmp_path / "w.npz"), *first]).exception
    assert isinstance(refused, AudioError)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.npz", "words.wav"]


def test_silence_and_a_very_short_clip_just_work(made: Path, tmp_path: Path):
    for name, size in (("silent", 24000), ("short", 10)):
        write_audio(tmp_path / f"{name}.wav", torch.zeros(size), 24000)
        run, out = CliRunner(), tmp_path / f"{name}.npz"
        arguments = ["encode", str(tmp_path / f"{name}.wav"), "-o", str(out), "--model", str(made / "first")]
        assert run.invoke(app, arguments, catch_exceptions=False).exit_code == 0
        assert out.exists()


def test_token_files_of_the_first_form_are_read_by_their_codec_only(made: Path, other: Path, tmp_path: Path):
    codec = load_part(made / "first", "codec")
    coded = tokens.encode(codec, made / "first/speech/0.wav")
    entries = torch.cat((codec.quantizer.semantic.entries, codec.quantizer.acoustic.entries)).half()
    about = {"sample_rate": 24000, "alphabet": "vivavoce_mini_codec", "size": 32, "rate": [25, 1]}
    digest = hashlib.sha256(entries.numpy().tobytes()).hexdigest()[:8]
    codes = coded.codes.data[0].numpy().astype(np.uint16)
    np.savez(tmp_path / "old.npz", codes=codes, samples=coded.samples, digest=digest, **about)
    found = tokens.load(codec, tmp_path / "old.npz")
    assert found.codes.spec == codec.tokens and torch.equal(found.codes.data, coded.codes.data)
    with pytest.raises(SpecError, match=rf"vivavoce_mini_codec-{digest}.*encode the recording again"):
        tokens.load(load_part(other, "codec"), tmp_path / "old.npz")


def test_recordings_become_a_token_corpus(made: Path, tmp_path: Path):
    out = tmp_path / "corpus"
    arguments = ["corpus", str(made / "first/speech"), "--part", str(made / "first"), "-o", str(out)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0 and "6 utterances of codec-" in done.output
    codec, corpus = load_part(made / "first", "codec"), TokenCorpus(out)
    assert corpus.spec("codes") == codec.tokens
    wanted = tokens.encode(codec, made / "first/speech/3.wav").codes.data[0]
    assert torch.equal(corpus.items(3)["codes"], wanted)
    refused = CliRunner().invoke(app, [*arguments, "--part", "phones"]).exception  # these recordings have no text
    assert isinstance(refused, ManifestError) and "has nothing to say in it" in str(refused)
