"""What is measured of recordings, the bins of it, and the descriptions that are composed of them."""

import math

import numpy as np
import pytest
import torch

from vivavoce.core import config, rng
from vivavoce.core.description import traits_of
from vivavoce.core.errors import SpecError, VoiceError
from vivavoce.core.sentence import Sentence, Taken
from vivavoce.core.streams import Stream, Wave, sound
from vivavoce.data.attributes import Attributes, Bins, measure
from vivavoce.data.descriptions import DEFAULT, Asked, described, mentioned, worded
from vivavoce.evals import intervals
from vivavoce.evals.descriptions import DescriptionSuite, listen, run, table


def tone(hz: float, seconds: float = 1.0, rate: int = 16000, noise: float = 0.0) -> torch.Tensor:
    """A buzz between two silences."""
    t = torch.arange(int(seconds * rate)) / rate
    wave = sum((torch.sin(2 * math.pi * hz * k * t) / k for k in (1, 2, 3)), torch.zeros(len(t))) * 0.2
    quiet = torch.zeros(rate // 4)
    wave = torch.cat((quiet, wave, quiet))
    return wave + noise * torch.randn(len(wave))


def test_pitch_pace_and_noise_of_a_known_sound() -> None:
    clean, noisy = measure(tone(200.0), 16000, 12, "F"), measure(tone(200.0, noise=0.02), 16000, 12)
    assert clean.pitch_hz == pytest.approx(200, rel=0.02) and clean.rate == pytest.approx(12, rel=0.05)
    assert clean.liveliness < 0.02 and clean.sex == "F"
    assert noisy.noise_db < 30 < clean.noise_db
    silent = measure(torch.zeros(16000), 16000, 12)
    assert silent.value("pitch") is None and silent.value("rate") is None and silent.value("liveliness") is None
    assert measure(torch.zeros(3), 16000, 1).rate == 0


def people() -> list[Attributes]:
    """Women from 180 to 278 Hz, men from 90 to 139 Hz, each with paces of their own; all recordings equally clean."""
    draw = np.random.default_rng(0)
    return [
        Attributes(
            pitch_hz=(180.0 if sex == "F" else 90.0) * 2 ** (n / 80), liveliness=0.1 + 0.01 * (n % 20),
            rate=float(draw.uniform(6, 20)), noise_db=55.0, sex=sex,
        )
        for sex in "FM"
        for n in range(50)
    ]  # fmt: skip


def test_bins_hold_equally_many_and_pitch_is_of_the_sex_where_it_is_named() -> None:
    measured = people()
    bins = Bins.of(measured)
    for kind, sex in (("pitch", ""), ("pitch", "F"), ("pitch", "M"), ("rate", "")):
        some = [one for one in measured if sex in ("", one.sex)]
        counts = np.bincount([bins.level(kind, one, sex) for one in some], minlength=5)  # type: ignore[arg-type]
        assert counts.max() - counts.min() <= 2 and len(counts) == 5, (kind, sex, counts)
    high_man = measured[-1]
    assert bins.level("pitch", high_man, "M") == 4 and bins.level("pitch", high_man) == 2
    # nothing is said of what hardly differs
    assert bins.scale("noise").edges == () and bins.level("noise", high_man) is None
    assert config.load(config.dump(bins)) == bins
    with pytest.raises(SpecError, match="there were none"):
        Bins.of([])


def test_descriptions_have_many_wordings_that_ask_for_what_was_measured() -> None:
    bins, draw = Bins.of(people()), rng.stream(0, "test")
    slow_low = Attributes(pitch_hz=185.0, liveliness=0.11, rate=6.1, noise_db=55.0, sex="F")
    said = [described(slow_low, bins, draw) for _ in range(300)]
    assert len(set(said)) > 150
    for text in said:
        traits = traits_of(text)  # the vocabulary of the speaker that is told by rules
        assert traits.rate <= 0 and traits.liveliness <= 0 and traits.sex >= 0, text
        assert "noise" not in text and "noisy" not in text, text
    # low among women, in the middle of all where nobody says who it is
    asked = [mentioned(slow_low, bins, draw) for _ in range(200)]
    assert {one.levels["pitch"] for one in asked if one.sex == "F" and "pitch" in one.levels} == {0}
    assert {one.levels["pitch"] for one in asked if not one.sex and "pitch" in one.levels} == {2}
    assert worded(Asked(levels={}), draw) == DEFAULT


class Obedient:
    """Speaks as its description says, by rules."""

    sample_rate = 16000
    takes: frozenset[Taken] = frozenset({"description"})
    deaf = False

    def say(self, sentence: Sentence) -> Stream[Wave]:
        traits = traits_of("" if self.deaf else sentence.description)
        phones = int((sentence.phones.data > 0).sum())
        octaves = traits.pitch * 0.3 + 0.8 * (traits.sex > 0)
        return sound(tone(120 * 2**octaves, phones / 16 / 2 ** (0.4 * traits.rate)), self.sample_rate)


def test_an_obedient_speaker_correlates_and_shuffled_descriptions_do_not(tmp_path: object) -> None:
    suite = DescriptionSuite(sentences=60, texts=("Good morning.", "It is late."))
    rows = {row.name: row.value for row in table(listen(Obedient(), suite, lambda _: None)).rows}
    for kind in ("pitch", "rate"):
        obeyed, control = rows[f"{kind} asked and measured"], rows[f"{kind}, shuffled descriptions"]
        assert obeyed is not None and control is not None
        assert obeyed.value > 0.85 and obeyed.low > control.high and abs(control.value) < 0.4
    above = rows["women above men"]
    assert above is not None and above.value == pytest.approx(0.8, abs=0.2)
    deaf = Obedient()
    deaf.deaf = True
    heard = {row.name: row.value for row in table(listen(deaf, suite, lambda _: None)).rows}
    found = heard["rate asked and measured"]
    assert found is not None and (math.isnan(found.value) or found.low < 0 < found.high)
    with pytest.raises(VoiceError, match="vivavoce train parler"):
        run(tmp_path, suite)  # type: ignore[arg-type]


def test_ranks_of_equal_values_are_their_mean() -> None:
    from scipy.stats import spearmanr

    a, b = [1, 2, 2, 3, 5, 5, 5, 9], [2.0, 1.0, 3.0, 3.0, 4.0, 8.0, 7.0, 7.0]
    theirs = float(spearmanr(a, b)[0])  # type: ignore[arg-type]
    assert intervals.spearman(a, b).value == pytest.approx(theirs)
    assert math.isnan(intervals.spearman([1, 1, 1], [1, 2, 3]).value)
