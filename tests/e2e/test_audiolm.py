"""AudioLM in miniature: three stages learn two recordings by heart and go on with them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vivavoce.assistant.demo import RECORDINGS
from vivavoce.audio.files import read_audio
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.layout import read
from vivavoce.core.parts import load_part, read_card
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import sound
from vivavoce.data.manifest import read_manifest
from vivavoce.data.tokens import TokenCorpus
from vivavoce.evals import audiolm as suites
from vivavoce.evals.tts import Trial
from vivavoce.recipes.audiolm import PARTS, SMALL, debug, train
from vivavoce.recipes.audiolm_data import cropped
from vivavoce.recipes.miniature import unit_corpus
from vivavoce.systems.audiolm import AudioLM

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("audiolm")
    found = debug(made)
    for stage in ("semantic", "coarse", "fine"):
        assert found[f"{stage} after"] < 0.9 * found[f"{stage} before"], found
    return made


@pytest.fixture(scope="module")
def system(folder: Path) -> AudioLM:
    return AudioLM(*(load_part(folder / "run", part) for part in ("audiolm", "units", "codec")))


def test_repeats_are_taken_out_in_the_first_stage_only_and_books_have_ids_of_their_own(
    folder: Path, system: AudioLM
) -> None:
    config, items = system.model.config, TokenCorpus(folder / "corpus").items(0)
    first, second, third = (read(config.layouts[n], cropped(config, items, n, SMALL.crops[n]).ids) for n in range(3))
    assert (first["units"][0].diff() != 0).all() and first["units"].shape[1] < items["units"].shape[1]
    assert (second["units"][0].diff() == 0).any() and torch.equal(
        second["coarse"], items["codes"][:2, : items["units"].shape[1]]
    )
    assert third["fine"].shape == (1, min(config.frames, second["coarse"].shape[1])) and set(third) == {
        "coarse",
        "fine",
    }, "no units in the third"
    for number, layout in enumerate(config.layouts):
        assert len(layout.vocabs) == 1 and layout.marks[-1] == "end"
        ids = cropped(config, items, number, SMALL.crops[number]).ids[0].tolist()
        assert layout.marks[ids[-1]] == "end"
    grid = cropped(config, items, 1, SMALL.crops[1]).ids[0]
    books = [config.layouts[1].vocabs[0].range(f"{config.codes.alphabet}:{book}") for book in range(2)]
    assert len(set(books)) == 2
    placed = grid[len(items["units"][0]) + 2 : -1].tolist()
    assert all(id in books[place % 2] for place, id in enumerate(placed)), "books of a frame follow each other"
    assert read_card(folder / "run", "audiolm")["held_out"]["fine"]["after"]["tokens"] > 0


def test_a_prompt_is_gone_on_with_in_its_own_tokens(system: AudioLM) -> None:
    rate, hop = system.codec.config.sample_rate, system.codec.config.hop
    wave = read_audio(RECORDINGS / "4.ogg", rate)[0][: 12 * hop]
    made = system.go_on(sound(wave, rate), 0.6, seeds=[3])
    assert len(wave) - hop <= int(made.lengths[0]) <= len(wave) + int(0.6 * rate) + 2 * hop
    again = system.go_on(sound(wave, rate), 0.6, seeds=[3])
    assert torch.equal(made.data, again.data)
    units, prompt = system._units(sound(wave, rate)).data[0], system._codes(sound(wave, rate))
    codes = system.codes([units], [prompt], [1])
    frames = min(prompt.shape[1], codes.data.shape[2])
    assert torch.equal(codes.data[0, :, :frames], prompt[:, :frames])


def test_acoustics_of_a_prompt_change_what_follows_and_rows_do_not_see_each_other(system: AudioLM) -> None:
    config = system.model.config
    units = torch.arange(20)[None] % config.units.size
    silent = torch.zeros(config.codes.books, 8, dtype=torch.long)
    both = system.codes([units, units], [silent, silent + 500], [1, 1])
    alone = system.codes([units], [silent + 500], [1])
    assert both.data.shape == (2, config.codes.books, config.frames_of(20))
    assert torch.equal(both.data[1], alone.data[0])
    assert not torch.equal(both.data[0, :, 8:], both.data[1, :, 8:])


def test_resynthesis_is_as_long_as_what_was_said_with_a_voice_and_without(system: AudioLM) -> None:
    rate, hop = system.codec.config.sample_rate, system.codec.config.hop
    wave = sound(read_audio(RECORDINGS / "1.ogg", rate)[0][: 16 * hop], rate)
    voice = sound(read_audio(RECORDINGS / "4.ogg", rate)[0][: 8 * hop], rate)
    for made in (system.resynthesised(wave), system.resynthesised(wave, voice)):
        assert abs(int(made.lengths[0]) - 16 * hop) <= 2 * hop


def test_stages_that_were_trained_apart_are_put_together(folder: Path, tmp_path: Path) -> None:
    given = (folder / "corpus", folder / "units", BUNDLED, tmp_path)
    train(replace(SMALL, seed=2), *given, ready=dict.fromkeys(PARTS, folder / "run"))
    known, made = load_part(folder / "run", "audiolm").state_dict(), load_part(tmp_path, "audiolm").state_dict()
    assert all(torch.equal(known[key], made[key]) for key in known)
    with pytest.raises(ConfigError, match="no stage 'middle'"):
        train(replace(SMALL, stages=("middle",)), *given)


def test_the_report_has_its_ways_and_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = read_manifest(folder / "speech" / "manifest.jsonl")
    todo = [Trial(one, one, one)]
    monkeypatch.setattr(suites, "tasks", lambda *_: todo)
    monkeypatch.setattr(suites, "recogniser", lambda *_: lambda wave: one.text)
    monkeypatch.setattr(suites, "voice_judge", lambda _: None)
    report = suites.run(folder / "run", suites.AudioLMSuite(seconds=0.2), folder / "speech", None, lambda _: None)
    assert [row.value.value for row in report.tables[0].rows if row.value is not None] == [0.0] * 4
    with pytest.raises(ConfigError, match="has no AudioLM"):
        suites.run(folder, suites.AudioLMSuite(), folder / "speech", None)


def test_losses_stand_beside_counts(folder: Path, system: AudioLM, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = TokenCorpus(folder / "corpus")
    monkeypatch.setattr(TokenCorpus, "of", lambda self, split: list(range(len(self))))
    rows = {row.name: row.value.value for row in suites.losses(system, corpus, 2).rows if row.value is not None}
    for stage in suites.STAGES:  # what was counted is what is measured here, so counts are better than chance
        assert rows[f"{stage}: from the token before"] < rows[f"{stage}: from nothing"] < 7
        assert rows[f"{stage}: the model"] == pytest.approx(
            read_card(folder / "run", "audiolm")["held_out"][stage]["after"]["tokens"], rel=0.02
        )


def test_other_units_are_refused(system: AudioLM, tmp_path: Path) -> None:
    _, units = unit_corpus(tmp_path, (("4.ogg", "How do I sound?"),), size=12)
    with pytest.raises(SpecError, match=r"was trained on .*, got .*; use the parts"):
        AudioLM(system.model, load_part(units, "units"), system.codec)
