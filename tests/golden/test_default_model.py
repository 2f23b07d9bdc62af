"""What the shipped weights give for a shipped recording did not change by accident; `make golden` writes it again."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vivavoce.assistant.conversation import Conversation
from vivavoce.assistant.hearing import Ears
from vivavoce.assistant.model import load
from vivavoce.audio.files import read_audio
from vivavoce.core import config as configs
from vivavoce.core.parts import load_part
from vivavoce.core.streams import sound
from vivavoce.models.script import script_of
from vivavoce.models.words import WordModel

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "src/vivavoce/weights/mini"
SPEECH = ROOT / "src/vivavoce/weights/speech"
RECORDINGS = ROOT / "src/vivavoce/assistant/recordings"
KEPT = Path(__file__).with_name("default_model.safetensors")
TALK = Path(__file__).with_name("default_mind.json")
SENTENCES = (
    "can i get a large latte with soy milk",
    "a small mocha please",
    "large the of milk cup never",
    "what is your name",
)
DIALOGUES = (
    ("hi", "what is on the menu", "can i get a large latte with soy milk", "make that small", "what did i order"),
    ("two small mochas please", "no sugar in it", "cancel my order", "thank you and goodbye"),
    ("who are you", "i think your clock has stopped", "do you sell beer", "an iced americano with a lot of sugar"),
)


def compared(part: str, value: Tensor, rewrite: bool, what: str = "", folder: Path = WEIGHTS) -> Tensor:
    """What was kept for the weights that are shipped; ``value`` itself when it is being written."""
    weights = json.loads((folder / f"{part}.json").read_text())["weights"]["sha256"]
    name = f"{part}:{what}:{weights}"
    kept = load_file(KEPT) if KEPT.exists() else {}
    if rewrite:
        others = {key: tensor for key, tensor in kept.items() if not key.startswith(f"{part}:{what}:")}
        kept = others | {name: (value.half() if value.is_floating_point() else value.short()).contiguous()}
        save_file(dict(sorted(kept.items())), KEPT)
        return value
    if name not in kept:
        pytest.fail(f"the weights of {part} are newer than what was kept for them; run: make golden")
    return kept[name].float()


def recorded(what: str, value: Any, rewrite: bool) -> Any:
    """What was kept of words and dialogues; ``value`` itself when it is being written."""
    kept = json.loads(TALK.read_text()) if TALK.exists() else {}
    if rewrite:
        TALK.write_text(json.dumps(kept | {what: value}, indent=1, ensure_ascii=False) + "\n")
        return value
    return kept.get(what)


def recording(rate: int) -> Tensor:
    path = sorted(path for path in RECORDINGS.iterdir() if path.suffix in {".flac", ".wav", ".ogg", ".opus"})[0]
    return read_audio(path, rate)[0][: 2 * rate]


def test_the_listener_hears_the_same(rewrite: bool):
    listener = load_part(WEIGHTS, "listener")
    with torch.inference_mode():
        found = listener.listen(recording(16_000)[None]).ctc[0]
    kept = compared("listener", found, rewrite)
    assert (found.exp() - kept.exp()).abs().max() < 0.02


def in_whole_hops(wave: Tensor, hop: int) -> Tensor:
    """The wave with silence behind it, up to the next multiple of a hop."""
    return torch.nn.functional.pad(wave, (0, -wave.shape[-1] % hop))


def off_by(value: Tensor, kept: Tensor) -> float:
    """How much of the energy is not as it was, in decibels."""
    return float(10 * torch.log10((value - kept).square().sum() / kept.square().sum()))


def test_the_codec_gives_the_same_tokens(rewrite: bool):
    codec = load_part(WEIGHTS, "codec")
    with torch.inference_mode():
        wave = in_whole_hops(recording(24_000), codec.config.hop)[None]
        codes = codec.encode_step(wave, codec.init_encode(1))[0]
    kept = compared("codec", codes, rewrite, "codes").long()
    assert (codes != kept).float().mean() < 0.002  # an entry may be as near as another on another processor


def test_the_codec_makes_the_same_sound_of_tokens(rewrite: bool):
    codec = load_part(WEIGHTS, "codec")
    with torch.inference_mode():
        wave = recording(24_000)[None, : 20 * codec.config.hop]
        codes = codec.encode_step(wave, codec.init_encode(1))
        codes = compared("codec", codes[0], rewrite, "first codes").long()[None]
        made = codec.decode_step(codes, codec.init_decode(1))[0]
    assert off_by(made, compared("codec", made, rewrite, "sound")) < -55


def test_units_are_the_same_whole_and_in_steps(rewrite: bool):
    units = load_part(SPEECH, "units")
    with torch.inference_mode():
        wave = in_whole_hops(recording(16_000), units.timing.hop)[None]
        whole = units.encode(sound(wave[0], 16_000)).data[0, 0]
        stepped = units.encode_step(wave, units.init_encode(1))[0, 0]
    kept = compared("units", whole, rewrite, folder=SPEECH)
    assert (whole != kept).float().mean() < 0.03  # a frame may lie between two centres
    assert (whole != stepped).float().mean() < 0.03
    assert units.tokens.alphabet == "units-22f35305431c"


def test_the_first_book_of_the_codec_on_units_is_the_units(rewrite: bool):
    codec, units = load_part(SPEECH, "codec"), load_part(SPEECH, "units")
    wave = in_whole_hops(recording(24_000), codec.config.hop)
    with torch.inference_mode():
        coded = codec.encode(sound(wave, 24_000))
        codes = coded.data[0]
        heard = codec.front.convert.step(wave[None], codec.front.convert.init_state(1))
        ids = units.encode(sound(heard[0], 16_000)).data[0, 0]
        made = codec.decode(coded).data[0, 0]
    assert torch.equal(codes[0, : len(ids)], ids)
    kept = compared("codec", codes, rewrite, "speech codes", SPEECH).long()
    assert (codes != kept).float().mean() < 0.02
    assert made.square().mean() > 0.1 * wave.square().mean()


def test_the_speaker_plans_and_draws_the_same(rewrite: bool):
    speaker = load_part(WEIGHTS, "speaker")
    with torch.inference_mode():
        plan = speaker.plan(script_of("Good evening, traveller. What will it be?"), speaker.preset("default"))
        mel = speaker.speak(plan)[:, ::4]
    times = torch.tensor([(time.begin, time.end) for time in plan.word_times()])
    assert torch.equal(times, compared("speaker", times, rewrite, "times").long())
    assert (mel - compared("speaker", mel, rewrite, "mel")).abs().max() < 0.03


def test_the_word_model_expects_the_same(rewrite: bool):
    words = WordModel(load_part(WEIGHTS, "words"))
    found = torch.tensor([words.sentence(text.split()) for text in SENTENCES])
    assert (found - compared("words", found, rewrite)).abs().max() < 0.05


def test_the_same_words_are_found(rewrite: bool):
    """Text, times and confidences of a recording: the listener, the word model and the search together."""
    ears = Ears(load_part(WEIGHTS, "listener"), load_part(WEIGHTS, "words"))
    found = ears.found(recording(16_000)[None])
    heard = [{"text": w.text, "start": w.start, "end": w.end, "confidence": round(w.confidence, 2)} for w in found]
    assert recorded("heard", heard, rewrite) == heard


def test_the_mind_answers_and_calls_the_same(rewrite: bool):
    model = load()
    told_turns = []
    for dialogue in DIALOGUES:
        talk = Conversation(model.abilities, tools=model.tools)
        turns = []
        for line in dialogue:
            *_, finished = talk.ask(line, speak=False)
            turns.append({"user": line, "reply": finished.turn.reply, "calls": finished.turn.calls})
        told_turns.append(json.loads(json.dumps(turns)))
    assert recorded("dialogues", told_turns, rewrite) == told_turns


@pytest.mark.parametrize(
    "path",
    sorted(path for path in WEIGHTS.parent.rglob("*.json") if path.name != "model.json"),
    ids=lambda path: path.stem,
)
def test_every_card_still_loads(path: Path):
    described = json.loads(path.read_text())
    config = configs.load(described["config"])
    assert configs.dump(config) == described["config"]
