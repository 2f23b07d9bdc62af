"""Whisper as a model of ours: beside transformers on random weights, beside CTranslate2 on the published ones."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from vivavoce.assistant.demo import LINES, RECORDINGS
from vivavoce.audio.files import read_audio
from vivavoce.core.errors import PartError, SpecError
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.hub import ctranslate2_file, whisper_encoder
from vivavoce.hub.whisper_layer import whisper_layer
from vivavoce.models.whisper_front import WhisperFrontConfig
from vivavoce.systems.whisper import Writing, prompt_of


def test_random_weights() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    published = transformers.WhisperConfig(
        vocab_size=60, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=40, max_source_positions=100,
        max_target_positions=20, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
    )  # fmt: skip
    theirs = transformers.WhisperForConditionalGeneration(published).eval()
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    ours = whisper_encoder.model(published.to_dict(), theirs.state_dict())
    wave = 0.1 * torch.randn(2, 25000)
    ids = torch.randint(60, (2, 7))
    with torch.no_grad():
        mel = ours.encoder.front.spectrogram(wave)
        made = theirs(input_features=mel, decoder_input_ids=ids, output_hidden_states=True)
        heard = ours.encoder(wave)
        for layer in range(2):
            wanted = made.encoder_hidden_states[layer]
            assert (heard.layers[layer] - wanted).abs().max() <= 1e-5 * wanted.abs().max()
        wanted = made.encoder_last_hidden_state
        assert (heard.last - wanted).abs().max() <= 1e-5 * wanted.abs().max()
        assert (ours(wave, ids) - made.logits).abs().max() <= 1e-5 * made.logits.abs().max()
        state, memory = ours.decoder.init_state(2), ours.decoder.remember(heard.last)
        ours.step(ids[:, :4], 0, state, memory)
        stepped = ours.step(ids[:, 4:], 4, state, memory)
        assert (stepped - made.logits[:, -1]).abs().max() <= 1e-5 * made.logits.abs().max()
    # greedy writing is the likeliest id after id, and rows of other lengths do not matter
    stream = Stream(Wave(sample_rate=16000), wave[:, None], torch.tensor([25000, 16000]))
    writing = Writing(prompt=(3, 4), end=2, never=(9,), not_first=(7,))
    written = ours.write(stream, writing, most=6)
    line = [3, 4]
    with torch.no_grad():
        for place in range(6):
            scores = ours(wave[1:, :16000], torch.tensor([line]))[0, -1]
            scores[[9] + [7] * (place == 0)] = -torch.inf
            line.append(int(scores.argmax()))
            if line[-1] == 2:
                line.pop()
                break
    assert written[1] == line[2:]
    with pytest.raises(PartError, match=r"nothing is known of 'encoder\.more'"):
        whisper_encoder.model(published.to_dict(), dict(theirs.state_dict()) | {"model.encoder.more": torch.zeros(1)})


def test_the_spectrogram_is_that_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    front = WhisperFrontConfig(dim=8).build()
    wave = 0.1 * torch.randn(16000)
    theirs = transformers.WhisperFeatureExtractor()(wave.numpy(), sampling_rate=16000, return_tensors="np")
    made = front.spectrogram(wave[None])
    assert made.shape == (1, 80, 3000)
    assert (made.numpy() - theirs["input_features"]).__abs__().max() < 1e-4
    with pytest.raises(SpecError, match="hears 30 s"):
        front.spectrogram(torch.zeros(1, 31 * 16000))


def test_published_weights(fetched: Callable[[str], Path]) -> None:
    """Features and the greedy transcript are those of CTranslate2."""
    ctranslate2 = pytest.importorskip("ctranslate2")
    folder = fetched("whisper-base")
    loaded = whisper_encoder.from_ctranslate2(folder)
    name, text = LINES[0]
    wave, _ = read_audio(RECORDINGS / name, 16000)
    theirs = ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="float32", intra_threads=1)
    mel = loaded.model.encoder.front.spectrogram(wave[None]).numpy()
    features = theirs.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel)))
    heard = loaded.model.encoder.encode(sound(wave, 16000))
    wanted = torch.from_numpy(np.array(features))[0, : int(heard.lengths[0])].T
    assert (heard.data[0] - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    writing = loaded.writing("en")
    (written,) = loaded.model.write(sound(wave, 16000), writing, most=100)
    made = theirs.generate(features, [list(writing.prompt)], beam_size=1, max_length=200)
    assert written == made[0].sequences_ids[0]
    tokenizers = pytest.importorskip("tokenizers")
    said = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).decode(written)
    spoken = set(text.lower().strip(".?!").replace(",", "").split())
    assert len(spoken & set(said.lower().strip(" .?!").replace(",", "").split())) >= len(spoken) / 2, said


def written_file(path: Path, variables: dict[str, np.ndarray], spec: str = "WhisperSpec", version: int = 6) -> Path:
    kinds = {"float32": 0, "int8": 1, "int16": 2, "float16": 4}

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    data = struct.pack("<I", version) + text(spec) + struct.pack("<II", 3, len(variables))
    for name, value in variables.items():
        data += text(name) + struct.pack(f"<B{value.ndim}I", value.ndim, *value.shape)
        data += struct.pack("<BI", kinds[str(value.dtype)], value.nbytes) + value.tobytes()
    data += struct.pack("<I", 1) + text("other") + text(next(iter(variables)))
    path.write_bytes(data)
    return path


def test_a_window_that_ends_with_the_sound_hears_nearly_the_same(fetched: Callable[[str], Path]) -> None:
    wave = sound(read_audio(RECORDINGS / LINES[1][0], 16000)[0], 16000)
    fitted, whole = (whisper_layer(str(fetched("whisper-base")), 1, fitted=fit).build() for fit in (True, False))
    heard, wanted = (front.encode(wave) for front in (fitted, whole))
    assert heard.data.shape == wanted.data.shape and heard.spec != wanted.spec
    assert int(heard.lengths[0]) == -(-wave.data.shape[2] // 320)
    alike = torch.cosine_similarity(heard.data[0], wanted.data[0], dim=0)
    assert alike.median() > 0.95 and alike.mean() > 0.9


def test_files_of_ctranslate2(tmp_path: Path) -> None:
    half = np.arange(6, dtype=np.float16).reshape(2, 3)
    small = np.array([[127, -64], [1, 2]], dtype=np.int8)
    scale = np.array([127.0, 2.0], dtype=np.float32)
    variables = {
        "a/weight": half,
        "b/weight": small,
        "b/weight_scale": scale,
        "heads": np.array(8, dtype=np.int16),
    }
    path = written_file(tmp_path / "model.bin", variables)
    found = ctranslate2_file.read(path)
    assert found.spec == "WhisperSpec" and found.aliases == {"other": "a/weight"} and found.number("heads") == 8
    assert torch.equal(found.tensors["a/weight"], torch.arange(6.0).view(2, 3))
    torch.testing.assert_close(found.tensors["b/weight"], torch.tensor([[1.0, -64 / 127], [0.5, 1.0]]))
    assert "b/weight_scale" not in found.tensors
    whole = path.read_bytes()
    damaged = tmp_path / "damaged.bin"
    for cut in range(0, len(whole), 7):
        damaged.write_bytes(whole[:cut])
        with pytest.raises(PartError, match="fetch it again"):
            ctranslate2_file.read(damaged)
    with pytest.raises(PartError, match="version 7, wanted 6"):
        ctranslate2_file.read(written_file(damaged, variables, version=7))
    with pytest.raises(PartError, match="cannot be read"):
        ctranslate2_file.read(tmp_path / "none.bin")
    with pytest.raises(PartError, match="holds a TransformerSpec"):
        written_file(tmp_path / "model.bin", variables, spec="TransformerSpec")
        whisper_encoder.from_ctranslate2(tmp_path)


def test_prompts() -> None:
    names = ("startoftranscript", "en", "de", "transcribe", "notimestamps")
    ids = {f"<|{name}|>": number for number, name in enumerate(names)}
    assert prompt_of(ids, "de") == (0, 2, 3, 4)
    with pytest.raises(SpecError, match=r"no <\|fr\|>"):
        prompt_of(ids, "fr")
    assert prompt_of({name: ids[name] for name in ("<|startoftranscript|>", "<|notimestamps|>")}) == (0, 4)
    assert json.dumps(prompt_of(ids)) == "[0, 1, 3, 4]"
