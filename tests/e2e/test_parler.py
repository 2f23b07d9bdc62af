"""Parler-TTS in miniature: one sentence at two speeds, and words alone that tell which of them is said."""

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from vivavoce.audio.files import read_audio
from vivavoce.cli.main import app
from vivavoce.core.errors import SpecError
from vivavoce.core.layout import Cursor
from vivavoce.core.streams import Stream
from vivavoce.evals.melody import melody
from vivavoce.generate.samplers import GREEDY
from vivavoce.models.text_encoder import Pieces
from vivavoce.recipes.parler import SAID, SMALL, debug
from vivavoce.systems.parler import Parler
from vivavoce.text.tokenizers import PhoneTokenizer

pytestmark = pytest.mark.slow
LOW, HIGH = "a very slow, very low voice", "a very fast, very high voice"


@pytest.fixture(scope="module")
def parler(tmp_path_factory: pytest.TempPathFactory) -> Parler:
    folder = tmp_path_factory.mktemp("parler")
    found = debug(folder)
    assert found["after"] < found["before"] and found["right"] > 0.99, found
    made = Parler.load(folder / "run")
    made.folder = folder / "run"  # type: ignore[attr-defined]  # for the command line
    return made


def test_one_text_is_said_as_it_is_described_and_rows_do_not_see_each_other(parler: Parler) -> None:
    phones = PhoneTokenizer().encode([SAID[1]] * 3)
    said = parler.speak(phones, [LOW, HIGH, "deep"], sampler=GREEDY)
    heard = [melody(row[0, :length], parler.sample_rate) for row, length in zip(said.data, said.lengths, strict=True)]
    assert heard[1].pitch_hz > 1.3 * heard[0].pitch_hz and said.lengths[0] > 1.3 * said.lengths[1], heard
    assert heard[2].pitch_hz == pytest.approx(heard[0].pitch_hz, rel=0.02)  # words that the others are part of
    one = Stream(phones.spec, phones.data[:1], phones.lengths[:1])
    alone = parler.speak(one, [HIGH], sampler=GREEDY)
    assert int(alone.lengths[0]) == int(said.lengths[1])
    assert (alone.data[0] - said.data[1, :, : int(alone.lengths[0])]).abs().max() < 1e-3


def test_description_and_transcript_are_two_paths(parler: Parler) -> None:
    model, layout = parler.model, parler.layout
    phones = PhoneTokenizer().encode(["hello there", "hello where"]).data
    codes = torch.randint(1024, (2, 6))
    grids = torch.stack([layout.pack({"phones": row, "codes": codes}).ids for row in phones])
    low, high = model.words.pieces([LOW, LOW]), model.words.pieces([HIGH, HIGH])
    with torch.no_grad():
        scores = model(grids, low)
        assert all((a != b).any() for a, b in zip(scores, model(grids, high), strict=True))
        same = model.memory(Pieces(*low)).keys[0]
        assert torch.allclose(same[0], same[1], atol=1e-5)  # nothing of the transcript is in what is looked at
        assert (scores[0][0, -1] != scores[0][1, -1]).any()


def test_the_end_is_written_on_the_first_lane_and_the_others_run_on(parler: Parler) -> None:
    layout, books = parler.layout, SMALL.books
    cursor = Cursor(layout, {"phones": torch.zeros(1, 1, dtype=torch.long)})
    end, first = layout.mark(2), layout.vocabs[0].range(layout.blocks[1].segments[0].alphabet(0)).start
    columns = []
    while not cursor.over:
        column: list[int] = []
        for lane in range(cursor.lanes):
            slot = cursor.slot(lane, column)
            if isinstance(slot, int):
                column.append(slot)
            elif lane == 0:  # five frames, and then the end, which only this lane may choose
                assert slot[-1] == range(end, end + 1)
                written = sum(one[0] >= first for one in columns)
                column.append(end if written == 5 else slot[0].start)
            else:
                assert all(end not in ids for ids in slot) or len(slot) == 1
                column.append(slot[0].start)
        cursor.take(column)
        columns.append(column)
    after = [column[0] for column in columns].index(end)
    assert [sum(column[lane] > 0 for column in columns[after:]) for lane in range(1, books)] == list(range(1, books))
    assert cursor.final()["codes"].shape == (books, 5)
    packed = layout.pack({"phones": torch.zeros(1, 1, dtype=torch.long), "codes": torch.zeros(books, 5).long()})
    assert packed.target[0].sum() == 6 and all(packed.target[1:].sum(1) == 5)


def test_the_command_line_takes_words_and_nothing_else(parler: Parler, tmp_path: Path) -> None:
    out, folder = tmp_path / "said.wav", str(parler.folder)  # type: ignore[attr-defined]
    done = CliRunner().invoke(app, ["say", "hello there", "--speaker", folder, "--voice", HIGH, "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert len(read_audio(out, allow_silent=True)[0]) > 0
    refused = CliRunner().invoke(app, ["say", "hello", "--speaker", folder, "--scene", "rain", "-o", str(out)])
    assert refused.exit_code == 2 and "give --voice WORDS" in refused.output
    phones = PhoneTokenizer().encode(["hello"])
    with pytest.raises(SpecError, match="give one each"):
        parler.speak(phones, [])
    with pytest.raises(SpecError, match=r"was trained on .*, got .*; use the parts"):
        other = Parler.load(Path(folder)).codec
        other.quantizer.semantic.entries[0, 0] += 1
        Parler(parler.model, other)
