"""Phone errors of fine-tuned encoders beside the same net that learnt nothing before."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vivavoce.assistant.demo import LINES
from vivavoce.core.errors import ConfigError
from vivavoce.core.parts import save_part
from vivavoce.evals.phones import run
from vivavoce.recipes import miniature
from vivavoce.recipes.hubert import SMALL
from vivavoce.systems.wav2vec2 import CtcModelConfig
from vivavoce.text.phones import PHONES


def test_errors_of_the_same_recordings_are_compared(tmp_path: Path) -> None:
    speech = miniature.recordings(tmp_path / "speech", LINES[:2], splits=("dev",))
    trunk = replace(SMALL.trunk, dim=32, layers=1, heads=2, kv_heads=2, hidden=32)
    config = CtcModelConfig(
        encoder=replace(SMALL, trunk=trunk, front=replace(SMALL.front, channels=4, dim=32), positions=None),
        symbols=PHONES[1:],
    )
    torch.manual_seed(0)
    for name, blank in (("silent", 50.0), ("babbling", -50.0)):
        model = config.build()
        with torch.no_grad():
            model.head.out.bias[0] = blank
        save_part(tmp_path / name, "ctc", config, model)
    report = run([tmp_path / "silent"], tmp_path / "babbling", speech, 10, lambda line: None)
    rows = {row.name: row.value for row in report.tables[0].rows}
    assert rows["silent"] is not None and rows["silent"].value == 1.0, "all phones are missing"
    babbled, fewer = rows["babbling, without"], rows["silent, fewer errors than without"]
    assert babbled is not None and babbled.value > 1 and fewer is not None
    assert fewer.value == pytest.approx((babbled.value - 1) / babbled.value)
    assert [table.title for table in report.tables] == ["Phone errors, all", "Phone errors, vivavoce"]
    miniature.recordings(tmp_path / "other", LINES[:1])
    with pytest.raises(ConfigError, match="no English dev recordings"):
        run([tmp_path / "silent"], None, tmp_path / "other", 10, lambda line: None)
