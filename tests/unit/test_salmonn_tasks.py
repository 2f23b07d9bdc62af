"""What SALMONN is asked about recordings, from what their manifest says and what can be measured."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vivavoce.audio.files import write_audio
from vivavoce.core.errors import TrainingError
from vivavoce.data.manifest import Record, write_manifest
from vivavoce.data.phrasings import phrasings
from vivavoce.recipes.salmonn_tasks import answers_of, asked_of, in_turns, pitches_of, sounds_of

ONE = Record(
    id="1", path="1.wav", split="train", speaker="a", seconds=2.0, sample_rate=16000, licence="free of rights",
    source="test", text="it was a dark night", sex="M",
)  # fmt: skip
OTHER = replace(ONE, id="2", path="2.wav", sex="f", text=None)
RAIN = replace(ONE, id="sounds/1", text="rain on a roof", sex=None)


def test_who_speaks_and_how_is_asked_in_the_second_stage_however_the_manifest_writes_it() -> None:
    pitches = {"1": 90.0, "2": 205.0}
    found = asked_of([ONE, OTHER], 2, pitches=pitches, sounds=[RAIN])
    assert {(one.record.id, one.task): one.answer for one in found} == {
        ("1", "recognise"): "it was a dark night", ("1", "who"): "A man.", ("1", "pitch"): "Low.",
        ("1", "pace"): "Normally.", ("2", "who"): "A woman.", ("2", "pitch"): "Neither low nor high.",
        ("sounds/1", "sound"): "rain on a roof",
    }  # fmt: skip
    assert all(phrasings(one.task) for one in found)
    high = asked_of([OTHER], 2, pitches={"2": 260.0})
    assert [one.answer for one in high] == ["A woman.", "High."]
    assert [one.task for one in asked_of([ONE, OTHER], 1, sounds=[RAIN])] == ["recognise", "sound"]
    assert asked_of([ONE], 3, pitches=pitches, sounds=[RAIN]) == []
    assert [one.task for one in in_turns(found)[:4]] == ["recognise", "sound", "who", "pitch"]


def test_pitch_is_measured_once_where_the_sex_is_known(tmp_path: Path) -> None:
    time = torch.arange(16000) / 16000
    records = [replace(one, folder=tmp_path) for one in (ONE, replace(OTHER, sex=None))]
    for record, hertz in zip(records, (110.0, 220.0), strict=True):
        wave = sum((2 * torch.pi * hertz * n * time).sin() / n for n in range(1, 6)) * 0.1
        assert isinstance(wave, torch.Tensor)
        write_audio(record.file, wave, 16000)
    found = pitches_of(records, tmp_path / "kept", print)
    assert set(found) == {"1"} and found["1"] == pytest.approx(110.0, rel=0.02)
    assert len(list((tmp_path / "kept").iterdir())) == 1 and pitches_of(records, tmp_path / "kept", print) == found
    assert pitches_of(records[1:], tmp_path / "none", print) == {} and not (tmp_path / "none").exists()


def test_sounds_are_those_of_a_folder_that_are_named_and_not_too_long(tmp_path: Path) -> None:
    long = replace(RAIN, id="2", seconds=40.0)
    write_manifest(tmp_path, [replace(RAIN, id="1"), long, replace(RAIN, id="3", text=None)])
    assert [one.id for one in sounds_of(tmp_path, "train", 30.0)] == ["sounds/1"]
    assert sounds_of(tmp_path, "dev", 30.0) == [] == sounds_of(None, "train", 30.0)
    with pytest.raises(TrainingError, match="no training recordings whose text names a sound"):
        sounds_of(tmp_path, "train", 1.0)


def test_answers_are_about_known_recordings_and_to_questions(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"id": "1", "question": "Why?", "answer": "It was night."}))
    (found,) = answers_of(path, {"1": ONE})
    assert (found.record, found.question, found.answer) == (ONE, "Why?", "It was night.")
    for wrong in ({"id": "9", "question": "Why?", "answer": "So."}, {"id": "1", "question": " ", "answer": "So."}):
        path.write_text(json.dumps(wrong))
        with pytest.raises(TrainingError, match="has no answers about these recordings"):
            answers_of(path, {"1": ONE})
