"""What clusters say about phones: an encoder beside its controls."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vivavoce.assistant.demo import LINES
from vivavoce.core.errors import PartError
from vivavoce.core.parts import save_part
from vivavoce.evals import clusters
from vivavoce.models.encoder_heads import ClusterConfig
from vivavoce.recipes import miniature
from vivavoce.recipes.hubert import SMALL
from vivavoce.systems.hubert import HubertConfig


def test_layers_and_controls_have_a_row_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "contrasts", list)
    monkeypatch.setattr(clusters, "CENTRES", 8)
    speech = miniature.recordings(tmp_path / "speech", LINES[:2])
    trunk = replace(SMALL.trunk, dim=32, layers=1, heads=2, kv_heads=2, hidden=32)
    encoder = replace(SMALL, trunk=trunk, front=replace(SMALL.front, channels=4, dim=32), positions=None)
    config = HubertConfig(encoder=encoder, head=ClusterConfig(context=32, dim=8))
    torch.manual_seed(0)
    save_part(tmp_path / "net", "hubert", config, config.build())
    made = clusters.table([tmp_path / "net"], speech, 1.0, 4, lambda line: None)
    rows = {row.name: row.value for row in made.rows}
    layers = [f"{name}, layer {layer}" for name in ("random weights", "net") for layer in (0, 1)]
    assert list(rows) == ["log-mel", "cepstra with slopes", *layers]
    for value in rows.values():
        assert value is not None and 0.02 < value.low <= value.value <= value.high + 0.05 and value.high < 0.6
    with pytest.raises(PartError, match="has no encoder"):
        clusters.table([tmp_path], speech, 1.0, 4, lambda line: None)


def test_ids_at_half_the_pace_of_labels_are_held_against_the_right_ones() -> None:
    draw = np.random.default_rng(1)
    ids = [draw.integers(8, size=400) for _ in range(6)]
    labels = [one.repeat(2) for one in ids]
    assert clusters._agreement(ids, labels, 25.0).value > 0.95
    assert clusters._agreement(ids, labels, 50.0).value < 0.3
