"""A part on disk: whole or not at all, the same weights back, and every damage named."""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from vivavoce.core import parts
from vivavoce.core.errors import PartError
from vivavoce.core.parts import check_part, load_part, load_weights, read_card, save_part, write_card
from vivavoce.models.features import SpectrumConfig
from vivavoce.models.units import UnitsConfig
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.kmeans import KMeansConfig
from vivavoce.nn.renamed import takes_earlier_names

CONFIG = ConvNeXtConfig(dim=64, depth=1)


def saved(folder: Path, dtype: torch.dtype | None = None) -> nn.Module:
    module = CONFIG.build().eval()
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.05)
    save_part(folder, "trunk", CONFIG, module, {"recipe": "test"}, dtype)
    return module


@pytest.mark.parametrize(("dtype", "error"), [(None, 0.0), (torch.float16, 1e-3), (torch.int8, 0.02)])
def test_what_is_saved_comes_back(dtype: torch.dtype | None, error: float, tmp_path: Path):
    module = saved(tmp_path, dtype)
    again = load_part(tmp_path, "trunk")
    assert not again.training
    for (name, before), after in zip(module.named_parameters(), again.parameters(), strict=True):
        assert after.dtype == torch.float32
        assert (before - after).abs().max() <= error * before.abs().max(), name
    assert read_card(tmp_path, "trunk") == {"recipe": "test"}


def test_a_card_is_written_again_without_its_weights(tmp_path: Path):
    saved(tmp_path)
    before = (tmp_path / "trunk.safetensors").stat().st_mtime_ns
    write_card(tmp_path, "trunk", {"recipe": "another"})
    assert read_card(tmp_path, "trunk") == {"recipe": "another"}
    assert (tmp_path / "trunk.safetensors").stat().st_mtime_ns == before
    load_part(tmp_path, "trunk")


def test_fewer_bits_make_smaller_files(tmp_path: Path):
    sizes = []
    for dtype in (None, torch.float16, torch.int8):
        saved(tmp_path, dtype)
        sizes.append((tmp_path / "trunk.safetensors").stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]
    assert sizes[2] < 0.65 * sizes[1]


def test_integer_buffers_keep_their_type(tmp_path: Path):
    counts = torch.arange(5000).reshape(50, 100)
    save_part(tmp_path, "numbers", CONFIG, {"counts": counts, "small": torch.ones(3)}, dtype=torch.int8)
    _, state = load_weights(tmp_path, "numbers")
    assert torch.equal(state["counts"], counts)
    assert state["counts"].dtype == torch.int64
    assert torch.equal(state["small"], torch.ones(3))


@pytest.mark.parametrize(
    "damage", ["weights gone", "weights cut", "weights changed", "json gone", "json broken", "format"]
)
def test_damage_is_named(damage: str, tmp_path: Path):
    saved(tmp_path)
    weights, described = tmp_path / "trunk.safetensors", tmp_path / "trunk.json"
    data = weights.read_bytes()
    match damage:
        case "weights gone":
            weights.unlink()
        case "weights cut":
            weights.write_bytes(data[:100])
        case "weights changed":
            weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        case "json gone":
            described.unlink()
        case "json broken":
            described.write_text("{")
        case "format":
            described.write_text(json.dumps(json.loads(described.read_text()) | {"format": 99}))
    with pytest.raises(PartError, match="trunk"):
        load_part(tmp_path, "trunk")


def test_weights_of_another_configuration_are_refused(tmp_path: Path):
    module = saved(tmp_path)
    save_part(tmp_path, "trunk", ConvNeXtConfig(dim=32, depth=1), module)
    with pytest.raises(PartError, match="do not fit"):
        load_part(tmp_path, "trunk")


def test_weights_of_a_bundled_part_are_borrowed_not_stored_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parts, "WEIGHTS", tmp_path / "bundled")
    saved(tmp_path / "bundled" / "known", torch.int8)
    lender = load_part(tmp_path / "bundled" / "known", "trunk")
    block = copy.deepcopy(lender.get_submodule("blocks.0"))
    both = nn.ModuleDict({"front": lender, "block": block, "own": nn.Linear(4, 4)})
    borrowed = {"front.": "known/trunk", "block.": "known/trunk/blocks.0."}
    save_part(tmp_path / "made", "both", CONFIG, both, borrowed=borrowed)
    assert (tmp_path / "made" / "both.safetensors").stat().st_size < 1000
    _, state = load_weights(tmp_path / "made", "both")
    assert state.keys() == both.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in both.state_dict().items())

    with torch.no_grad():
        changed = next(name for name, value in lender.named_parameters() if value.ndim > 1)
        lender.get_parameter(changed).add_(1.0)
    save_part(tmp_path / "other", "both", CONFIG, both, borrowed=borrowed)
    _, state = load_weights(tmp_path / "other", "both")
    assert torch.equal(state[f"front.{changed}"], lender.get_parameter(changed))

    saved(tmp_path / "bundled" / "known")
    with pytest.raises(PartError, match="another version of known/trunk"):
        check_part(tmp_path / "made", "both")


class _Pair(nn.Module):
    def __init__(self, first: str, names: dict[str, str]) -> None:
        super().__init__()
        self.add_module(first, nn.Linear(2, 3))
        self.other = nn.Linear(3, 2)
        takes_earlier_names(self, names)


def test_weights_saved_under_earlier_names_are_taken_at_any_depth_and_by_copies():
    before = nn.Sequential(_Pair("told", {}))
    after = nn.Sequential(_Pair("features", {"told": "features"}))
    for module in (after, copy.deepcopy(after)):
        module.load_state_dict(before.state_dict())
        assert set(module.state_dict()) == {f"0.{n}.{k}" for n in ("features", "other") for k in ("weight", "bias")}
        for one, other in zip(before.parameters(), module.parameters(), strict=True):
            assert torch.equal(one, other)
        module.load_state_dict(module.state_dict())  # the present names are taken, too


@pytest.mark.parametrize(
    ("keys", "value", "told"),
    [
        (("weights",), None, "not a vivavoce part"),
        (("weights",), "x", "not a vivavoce part"),
        (("weights", "file"), 3, "not a vivavoce part"),
        (("config",), [], "not a vivavoce part"),
        (("config", "front", "class"), "os:system", "only classes of vivavoce"),
    ],
)
def test_a_description_that_was_changed_is_refused(keys: tuple[str, ...], value: object, told: str, tmp_path: Path):
    front = SpectrumConfig()
    units = UnitsConfig(front=front, quantizer=KMeansConfig(dim=front.dim, size=4)).build()
    file = save_part(tmp_path, "units", units.config, units)
    described = json.loads(file.read_text())
    inner = described
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    file.write_text(json.dumps(described))
    with pytest.raises(PartError, match=told):
        load_part(tmp_path, "units")
    file.write_text("[" * 100_000)
    with pytest.raises(PartError, match="cannot be read"):
        load_part(tmp_path, "units")


def test_values_of_which_nothing_can_be_built_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As where a number stands in place of a part; tests check the types of values before, a command does not."""
    saved(tmp_path)
    monkeypatch.setattr(ConvNeXtConfig, "build", lambda config: config.dim.depth)
    with pytest.raises(PartError, match="says of 'trunk' what cannot be built"):
        load_part(tmp_path, "trunk")
