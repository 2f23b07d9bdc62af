"""The simulator itself, with the model that hears tones: it must see what is there."""

import numpy as np

from vivavoce.evals.turns import HARMLESS, report, scenes, simulate
from vivavoce.runtime.activity import Loudness
from vivavoce.runtime.api import TurnConfig
from vivavoce.runtime.fake import ToneHearing, utter


def test_plain_voice_activity_stops_for_everything_and_judgement_does_not():
    # loud enough for the tone hearing after levelling
    clips = [utter("tell me a story, with dragons."), utter("i want a large latte.")]
    clips = [np.concatenate([clip, np.zeros(960, np.float32)]) for clip in clips]
    todo = [scene for scene in scenes(clips, each=1, seed=1) if scene.kind in ("interruption", "cough")]
    careful = report(simulate(Loudness(0.02), ToneHearing(), todo, rows=2))
    hasty = report(simulate(Loudness(0.02), ToneHearing(), todo, turns=TurnConfig(kind="server_vad"), rows=2))
    assert careful.missed == hasty.missed == 0
    assert careful.false_stops["cough"] == 0 and hasty.false_stops["cough"] == 1
    assert careful.pause_ms[1] <= 200 and careful.decision_ms[1] <= 600
    assert set(careful.false_stops) == set(HARMLESS)
