"""The simulator itself, with the model that hears tones: it must see what is there."""

import json
from pathlib import Path

import numpy as np

from vivavoce.evals.scenes import Loudspeaker, Room, click, scenes, softened
from vivavoce.evals.turns import report, simulate
from vivavoce.runtime.activity import Loudness
from vivavoce.runtime.api import TurnConfig
from vivavoce.runtime.fake import ToneHearing, utter
from vivavoce.runtime.model import FRAME


def test_plain_voice_activity_stops_for_everything_and_judgement_does_not(tmp_path: Path):
    # loud enough for the tone hearing after levelling
    clips = [utter("tell me a story, with dragons."), utter("i want a large latte.")]
    clips = [np.concatenate([clip, np.zeros(960, np.float32)]) for clip in clips]
    todo = [scene for scene in scenes(clips, each=1, seed=1) if scene.kind in ("interruption", "cough")]
    careful = report(simulate(Loudness(0.02), ToneHearing(), todo, rows=2))
    hasty = report(simulate(Loudness(0.02), ToneHearing(), todo, turns=TurnConfig(kind="server_vad"), rows=2))
    assert careful.missed == hasty.missed == {"interruption": 0}
    assert careful.false_stops["cough"] == 0 and hasty.false_stops["cough"] == 1
    assert careful.pause_ms["interruption"][1] <= 200 and careful.decision_ms["interruption"][1] <= 600
    share, silent_ms = careful.false_pauses["cough"]
    assert share == 1 and 80 <= silent_ms <= 900 and set(careful.false_stops) == {"cough"}
    careful.write(tmp_path / "turns.json", {"each": 1})
    written = json.loads((tmp_path / "turns.json").read_text())
    assert written["about"] == {"each": 1} and written["missed"] == {"interruption": 0}
    assert ["false stops", "cough 0%", "≤ 10 %"] in written["rows"]


def test_a_loudspeaker_in_a_room_sounds_the_same_frame_by_frame():
    dice = np.random.default_rng(0)
    impulse = (dice.standard_normal(5000) * np.exp(-np.arange(5000) / 800)).astype(np.float32)
    sound = (dice.standard_normal(8 * FRAME) * 0.2).astype(np.float32)
    for drive in (0.0, 3.0):
        speaker = Loudspeaker(Room(impulse, drive))
        silence = [np.zeros(FRAME, np.float32)] * 6
        heard = np.concatenate([speaker.play(frame) for frame in [*sound.reshape(-1, FRAME), *silence]])
        whole = np.convolve(np.tanh(drive * sound) / drive if drive else sound, impulse)
        assert np.allclose(heard[: len(whole)], whole[: len(heard)], atol=1e-3)


def test_a_soft_start_is_softer_and_a_click_is_known():
    voice = (np.random.default_rng(0).standard_normal(24_000) * 0.1).astype(np.float32)
    soft = softened(voice)
    assert np.std(soft[:2400]) < 0.25 * np.std(soft[-2400:]) and np.std(soft[-2400:]) < 0.6 * np.std(voice)
    assert not click(voice)
    assert click(np.concatenate([voice[:240], np.zeros(4800, np.float32), voice]))
