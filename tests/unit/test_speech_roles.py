"""Language models of units as ears, minds and voices, with weights that learnt nothing: who takes which role."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.assistant.model import mind_of
from vivavoce.assistant.sentences import system_of
from vivavoce.assistant.task_mind import TaskMind, load_task_mind
from vivavoce.assistant.whisper import recognisers_of
from vivavoce.audio.files import read_audio, write_audio
from vivavoce.audio.pcm import to_int16
from vivavoce.audio.resample import resample
from vivavoce.cli.main import app
from vivavoce.core.errors import ConfigError, PartError, SpecError, TrainingError
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.sentence import Sentence
from vivavoce.core.streams import Stream, sound
from vivavoce.core.talk import Entry, Say, Trouble, Utter
from vivavoce.evals.speech_lm import SpeechLmSuite
from vivavoce.evals.speech_lm import run as measure
from vivavoce.evals.speech_units import recognised
from vivavoce.hub.audiopalm import AudioPaLMVoice, load_audiopalm
from vivavoce.hub.speechgpt import SpeechGPTRecogniser, SpeechGPTVoice, load_speechgpt
from vivavoce.hub.text_model import load_text_model
from vivavoce.hub.whisper import Wanted
from vivavoce.models.durations import DurationsConfig
from vivavoce.models.features import SpectrumConfig
from vivavoce.models.unit_vocoder import UnitVocoderConfig
from vivavoce.models.units import UnitsConfig
from vivavoce.nn.kmeans import KMeansConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.miniature import chat_model
from vivavoce.recipes.speechgpt import sounding_of
from vivavoce.runtime.model import Context
from vivavoce.systems.audiolm import AudioLMConfig
from vivavoce.systems.audiopalm import AudioPaLMConfig
from vivavoce.systems.speechgpt import SpeechGPTConfig
from vivavoce.text.tokenizers import PhoneTokenizer

TEXT = "Hello there!"
SENTENCE = Sentence(text=TEXT, phones=PhoneTokenizer().encode([TEXT]), seed=1)
TRUNK = TransformerConfig(dim=32, layers=1, heads=4, kv_heads=4, hidden=48, window=260)
BOTH_WAYS = replace(TRUNK, causal=False, window=2000)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with units and the text of a chat model."""
    folder = tmp_path_factory.mktemp("begun")
    torch.manual_seed(1)
    front = SpectrumConfig(stride=4)
    units = UnitsConfig(front=front, quantizer=KMeansConfig(dim=front.dim, size=12)).build()
    for weight in units.quantizer.state_dict().values():
        weight.uniform_(0.5, 1.5)
    save_part(folder, "units", units.config, units)
    load_text_model(chat_model(folder / "llm", dim=32)).text.save(folder)
    return folder


def speechgpt(begun: Path, folder: Path, stage: int, *, vocoder: bool = False) -> Path:
    """A run of SpeechGPT of some stage."""
    chat = load_text_model(begun / "llm").text
    units = load_part(begun, "units").tokens
    torch.manual_seed(1)
    config = SpeechGPTConfig(text=chat.tokens, units=replace(units, rate=None), trunk=TRUNK, stage=stage)
    save_part(folder, "speechgpt", config, config.build())
    chat.save(folder)
    copy_part(begun, "units", folder)
    if vocoder:
        codec = load_part(BUNDLED, "codec")
        made = UnitVocoderConfig(
            durations=DurationsConfig(units=units, trunk=BOTH_WAYS), codes=codec.tokens.first(2), trunk=BOTH_WAYS,
            depth=replace(TRUNK, window=16, rotary=False),
        )  # fmt: skip
        save_part(folder, "vocoder", made, made.build())
        copy_part(BUNDLED, "codec", folder)
    return folder


def audiopalm(begun: Path, folder: Path, *taught: str, acoustic: bool = False, language: str = "English") -> Path:
    """A run of AudioPaLM."""
    chat = load_text_model(begun / "llm").text
    units = load_part(begun, "units").tokens
    torch.manual_seed(1)
    config = AudioPaLMConfig(text=chat.tokens, units=units, trunk=TRUNK, languages=(language,))
    save_part(folder, "audiopalm", config, config.build(), {"shares": dict.fromkeys(taught, 0.5)})
    chat.save(folder)
    copy_part(begun, "units", folder)
    if acoustic:
        codec = load_part(BUNDLED, "codec")
        small = replace(TRUNK, window=2000)
        stages = AudioLMConfig(
            units=units, codes=codec.tokens.first(3), coarse_books=2, semantic=small, coarse=small, fine=small,
            durations=BOTH_WAYS,
        )  # fmt: skip
        save_part(folder, "audiolm", stages, stages.build())
        copy_part(BUNDLED, "codec", folder)
    return folder


def asked_aloud() -> Entry:
    pcm = to_int16(read_audio(RECORDINGS / "1.ogg", 24_000)[0].numpy())
    return Entry(id="1", text=TEXT, spoken=True, audio=pcm)


def test_speechgpt_hears_from_its_second_stage_on(begun: Path, tmp_path: Path) -> None:
    ((name, ears),) = recognisers_of(str(speechgpt(begun, tmp_path / "second", 2))).items()
    assert name == "second" and isinstance(ears, SpeechGPTRecogniser)
    wave = read_audio(RECORDINGS / "1.ogg", 16_000)[0]
    rate = ears.system.units.config.sample_rate
    heard = ears.system.heard(sound(resample(wave, 16_000, rate), rate))
    (chain,) = recognised(ears.system, [heard])
    assert [word.text for word in ears.transcribe(wave.numpy(), Wanted()).words] == chain.question.split() != []
    with pytest.raises(ConfigError, match=r"is of stage 1 and knows units alone, no text;.*speechgpt --stage 2 --from"):
        recognisers_of(str(speechgpt(begun, tmp_path / "first", 1)))


def test_speechgpt_says_texts_where_it_has_a_vocoder(begun: Path, tmp_path: Path) -> None:
    folder = speechgpt(begun, tmp_path / "third", 3, vocoder=True)
    made = system_of(folder)
    assert made is not None
    voice = made(folder)
    assert isinstance(voice, SpeechGPTVoice) and not voice.takes
    said = voice.say(SENTENCE)
    assert said.spec.sample_rate == voice.sample_rate and int(said.lengths[0]) > 0
    say = ["say", TEXT, "-o", str(tmp_path / "said.wav"), "--speaker"]
    for stage, error in ((1, "is of stage 1 and knows units alone"), (2, "has no vocoder; train one")):
        done = CliRunner().invoke(app, [*say, str(speechgpt(begun, tmp_path / str(stage), stage))])
        assert done.exit_code == 2 and error in " ".join(done.output.split())
    done = CliRunner().invoke(app, [*say, str(folder), "--voice", "low"])
    assert done.exit_code == 2 and "does not take --voice WORDS; give nothing but a text" in " ".join(
        done.output.split()
    )


def test_audiopalm_says_texts_where_it_has_an_acoustic_model(begun: Path, tmp_path: Path) -> None:
    mute = audiopalm(begun, tmp_path / "mute", "TTS")
    made = system_of(mute)
    assert made is not None
    with pytest.raises(SpecError, match="has no acoustic model; train one of the same units"):
        made(mute)
    voice = made(audiopalm(begun, tmp_path / "run", "TTS", acoustic=True))
    assert isinstance(voice, AudioPaLMVoice) and voice.takes == {"clip"}
    clip = sound(read_audio(RECORDINGS / "4.ogg", voice.sample_rate)[0][: voice.sample_rate], voice.sample_rate)
    alone, like = voice.say(SENTENCE), voice.say(replace(SENTENCE, prompt=clip))
    (units,) = voice.system.do(("TTS",), TEXT, sampler=voice.sampler, seed=1).values()
    assert isinstance(units, Stream)
    seconds = units.data.shape[2] / float(units.spec.rate or Fraction(1))
    assert seconds > 0.2 and abs(int(alone.lengths[0]) / voice.sample_rate - seconds) < 0.2
    assert abs(int(like.lengths[0]) - int(alone.lengths[0])) < 0.2 * voice.sample_rate
    assert not torch.equal(alone.data[..., :4000], like.data[..., :4000]), "the clip's sound is gone on with"
    with pytest.raises(SpecError, match="needs a text, got an empty one"):
        voice.say(replace(SENTENCE, text=" "))


def test_audiopalm_answers_what_it_hears_as_far_as_it_was_taught(begun: Path, tmp_path: Path) -> None:
    every = ("ASR", "ASR S2T", "ASR S2T S2S")
    written = mind_of(str(audiopalm(begun, tmp_path / "run", *every)))
    assert isinstance(written, TaskMind) and written.name == "run" and written.tasks == ("ASR", "S2T")
    *before, last = written.respond(Context(entries=(asked_aloud(),)))
    assert isinstance(last, Say) and last.text and before[0] == Say("")
    (trouble,) = written.respond(Context(entries=(Entry(id="2", text=TEXT),)))
    assert isinstance(trouble, Trouble) and "ask aloud" in trouble.reason
    aloud = load_task_mind(audiopalm(begun, tmp_path / "aloud", *every, acoustic=True))
    assert aloud.tasks == ("ASR", "S2T", "S2S")
    found = {
        "ASR": "hello",
        "S2T": "Good evening.",
        "S2S": Stream(aloud.model.units.tokens, torch.ones(1, 1, 9).long(), torch.tensor([9])),
    }
    said = aloud.answer(found, seed=1)
    assert isinstance(said, Utter) and said.text == "Good evening." and len(said.pcm) > 0
    assert aloud.answer({"S2T": "Well."}, seed=1) == Say("Well.")
    assert isinstance(aloud.answer({"S2T": ""}, seed=1), Trouble)
    with pytest.raises(ConfigError, match=r"was taught no answers, only ASR, TTS; .*pairs=FILE"):
        load_task_mind(audiopalm(begun, tmp_path / "deaf", "ASR", "TTS"))


def test_a_model_of_another_language_is_asked_in_its_own(begun: Path, tmp_path: Path) -> None:
    system = load_audiopalm(audiopalm(begun, tmp_path / "run", "TTS", language="German"))
    named, own = (system.do(("TTS",), TEXT, *more, seed=1)["TTS"] for more in ((("German",),), ()))
    assert isinstance(named, Stream) and isinstance(own, Stream) and torch.equal(named.data, own.data)
    with pytest.raises(SpecError, match="was not taught 'English'; its languages are German"):
        system.do(("TTS",), TEXT, ("English",))


def test_a_recording_is_gone_on_with_where_its_speaker_agreed(begun: Path, tmp_path: Path) -> None:
    model, out = audiopalm(begun, tmp_path / "run", "ASR", acoustic=True), tmp_path / "longer.wav"

    def asked(*more: str, recording: Path = RECORDINGS / "1.ogg", model: Path = model) -> str:
        given = ["tokens", "continue", str(recording), "-o", str(out), "--model", str(model), *more]
        done = CliRunner().invoke(app, given)
        assert (done.exit_code == 0) == out.exists(), done.output
        return " ".join(done.output.split())

    agreed = ("--consent", "the package")
    assert "onsent" in asked()
    assert "has no AudioLM; train one: vivavoce train audiolm" in asked(*agreed, model=begun)
    short = tmp_path / "short.wav"
    write_audio(short, 0.1 * torch.randn(4000), 24_000)
    assert "lasts 0.17 s; give half a second or more" in asked(*agreed, recording=short)
    assert "the first 0.50 s as they were" in asked(*agreed, "--prompt", "0.5", "--seconds", "0.4")
    wave, rate = read_audio(out, allow_silent=True)
    assert 0.4 * rate < len(wave) <= 1.1 * rate


def test_a_vocoder_of_other_units_is_refused_before_anything_is_learnt(begun: Path, tmp_path: Path) -> None:
    folder, units = speechgpt(begun, tmp_path / "third", 3, vocoder=True), load_part(begun, "units").tokens
    assert sounding_of(folder, None, units) == folder == sounding_of(None, folder, units)
    assert sounding_of(None, begun, units) is None is sounding_of(None, None, units)
    with pytest.raises(TrainingError, match=r"the vocoder in .* says .*, the corpus has .*; use one of its own units"):
        sounding_of(folder, None, replace(units, alphabet="others"))
    with pytest.raises(PartError, match="codec"):
        sounding_of(begun, None, units)


def test_what_knows_no_text_is_not_measured_on_words(begun: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is of stage 1 and knows units alone, no text"):
        measure(speechgpt(begun, tmp_path / "one", 1), SpeechLmSuite(), tmp_path / "no-speech", print)


def test_runs_of_whatever_stage_are_loaded_with_what_makes_them_sound(begun: Path, tmp_path: Path) -> None:
    assert load_speechgpt(speechgpt(begun, tmp_path / "one", 1)).vocoder is None
    assert load_audiopalm(audiopalm(begun, tmp_path / "two", "ASR", acoustic=True)).acoustic is not None
