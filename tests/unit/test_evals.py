"""The yardsticks measure what they say."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from vivavoce.audio.loudness import active_level_db, rms_db
from vivavoce.core import rng
from vivavoce.core.errors import ConfigError
from vivavoce.evals import intervals, noise, quality, report, speakers, word_errors
from vivavoce.evals.melody import melody


def buzz(hz: float, seconds: float, rate: int = 16_000) -> torch.Tensor:
    time = torch.arange(int(seconds * rate)) / rate
    return 0.05 * sum((torch.sin(2 * math.pi * hz * k * time) / k for k in range(1, 9)), torch.zeros_like(time))


@pytest.mark.parametrize(
    ("wanted", "got", "errors"),
    [("a b c", "a b c", 0), ("a b c", "a c", 1), ("a b c", "a x c d", 2), ("", "a b", 2), ("a b", "", 2)],
)
def test_distance_counts_the_fewest_edits(wanted: str, got: str, errors: int):
    assert word_errors.distance(wanted.split(), got.split()) == errors


def test_plain_ignores_case_and_marks():
    assert word_errors.plain("I’d like a Latte, please!") == ["i'd", "like", "a", "latte", "please"]


def test_ratio_is_a_micro_average_with_its_interval():
    found = intervals.ratio([1, 0, 3], [2, 4, 4])
    assert found.value == pytest.approx(0.4)
    assert found.low <= 0.4 <= found.high
    assert found.n == 3


def test_intervals_shrink_with_more_items_and_are_repeatable():
    few, many = (intervals.share([True, False] * n) for n in (5, 500))
    assert many.high - many.low < (few.high - few.low) / 4
    assert few == intervals.share([True, False] * 5)


@pytest.mark.parametrize("name", noise.NOISES)
def test_a_named_noise_is_mixed_at_the_level_asked_for(name: str):
    speech = torch.cat([torch.zeros(8000), buzz(120, 1.0), torch.zeros(8000)])
    mixed = noise.mix(speech, 16_000, name, 12.0, seed=3)
    gain = float(mixed @ speech / (speech @ speech))  # less than 1 only where the mixture would clip
    assert active_level_db(speech, 16_000) - rms_db(mixed - speech if gain > 0.99 else mixed / gain - speech) == (
        pytest.approx(12.0, abs=1.5)
    )
    assert torch.equal(mixed, noise.mix(speech, 16_000, name, 12.0, seed=3))
    assert not torch.equal(mixed, noise.mix(speech, 16_000, name, 12.0, seed=4))


@pytest.mark.parametrize("hz", [80, 130, 220, 330])
def test_melody_finds_the_pitch(hz: float):
    assert melody(buzz(hz, 1.0), 16_000).pitch_hz == pytest.approx(hz, rel=0.03)


def test_melody_hears_length_level_and_whispering():
    sound = torch.cat([torch.zeros(16_000), buzz(150, 0.5), torch.zeros(16_000)])
    found = melody(sound, 16_000)
    assert found.seconds == pytest.approx(0.5, abs=0.05)
    assert melody(sound * 0.1, 16_000).level_db == pytest.approx(found.level_db - 20, abs=0.1)
    breath = torch.randn(16_000) * 0.05
    assert melody(breath, 16_000).voiced < 0.1 < found.voiced
    assert math.isnan(melody(torch.zeros(10), 16_000).pitch_hz)


def test_entropy_is_full_when_all_tokens_are_used_alike():
    assert quality.entropy(torch.arange(1024).repeat(4), 1024) == pytest.approx(10)
    assert quality.entropy(torch.zeros(100, dtype=torch.long), 1024) == 0


def test_speakers_are_told_apart_by_the_shape_of_their_spectrum():
    draw = rng.stream(0, "people")
    people = {f"p{i}": draw.uniform(0.2, 0.95, 3) for i in range(8)}

    def voice(who: str, seed: int) -> torch.Tensor:
        noise = torch.randn(24_000, generator=torch.Generator().manual_seed(seed))
        gate = (torch.sin(torch.arange(24_000) / 900) > -0.5).float() + 0.05
        spectrum = torch.fft.rfft(noise * gate)
        place = torch.linspace(0, 1, len(spectrum))
        shape = sum((torch.exp(-(((place - c) * 9) ** 2)) for c in people[who].tolist()), torch.zeros_like(place))
        return 0.1 * torch.fft.irfft(spectrum * (shape + 0.05), 24_000)

    taught = [(who, speakers.cepstra(voice(who, seed), 16_000)) for who in people for seed in range(4)]
    model = speakers.SpeakerSpace(taught)
    known = {who: model.vector(voice(who, 10), 16_000) for who in people}
    right = [speakers.nearest(known, model.vector(voice(who, 11), 16_000)) == who for who in people]
    assert np.mean(right) > 0.85


def test_a_report_says_what_was_not_measured(tmp_path: Path):
    table = report.Table(
        "orders", [report.Row(name="a", value=None), report.Row(name="b", value=intervals.mean([0.5]))]
    )
    made = report.Report("mini", {"seed": 0}, [table])
    assert "| a | not measured |" in made.text()
    assert "| b | 50.0 % |" in made.text()
    made.write(tmp_path / "r.json")
    rows = json.loads((tmp_path / "r.json").read_text())["tables"]["orders"]
    assert rows[0]["value"] is None
    assert rows[1]["value"]["value"] == 0.5


def test_a_report_can_be_added_to(tmp_path: Path):
    first = report.Table("first", [report.Row(name="a", value=None)])
    second = report.Table("second", [report.Row(name="b", value=None)])
    report.Report("mini", {}, [first, second]).write(tmp_path / "r.json")
    report.Report("mini", {}, [report.Table("second", [])]).write(tmp_path / "r.json", add=True)
    found = json.loads((tmp_path / "r.json").read_text())["tables"]
    assert list(found) == ["first", "second"] and found["first"] and found["second"] == []


def test_what_is_no_report_of_the_suite_is_not_added_to(tmp_path: Path):
    path = tmp_path / "report.json"
    assert report.tables_of(path, "tokens") == {}
    for text, told in (
        ("torn {", "holds no report"),
        ("[1]", "holds no report"),
        ('{"suite": "mini", "tables": {}}', "of mini"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=told):
            report.Report("tokens", {}).write(path, add=True)
        assert path.read_text() == text


def test_folders_of_one_name_are_told_apart(tmp_path: Path):
    for name in ("a/units", "b/units", "x/a/units", "speech"):
        (tmp_path / name).mkdir(parents=True)
    places = [tmp_path / "a" / "units", tmp_path / "b" / "units", tmp_path / "speech", "speech", "hf:some/body"]
    assert report.names_of(places) == ["a/units", "b/units", f"{tmp_path.name}/speech", "speech", "body"]
    assert report.names_of([tmp_path / "a/units", tmp_path / "x/a/units"]) == [f"{tmp_path.name}/a/units", "x/a/units"]
    assert report.names_of([f"{tmp_path}/a/../b/units"]) == ["units"] and report.names_of([]) == []
    with pytest.raises(ConfigError, match="given twice"):
        report.names_of([tmp_path / "a/units", f"{tmp_path}/b/../a/units"])
