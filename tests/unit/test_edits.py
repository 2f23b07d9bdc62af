"""Settings as somebody types them: read as their field wants them, or refused with one sentence."""

import importlib
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pytest

from vivavoce.core import config
from vivavoce.core.edits import edit
from vivavoce.core.errors import ConfigError
from vivavoce.nn.convnext import ConvNeXtConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.salmonn import SalmonnRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    widths: tuple[int, ...] = (8, 5)
    pair: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: Inner = Inner()
    bands: tuple[float, ...] = (30.0, 10.0)
    names: tuple[str, ...] = ()
    shares: tuple[tuple[str, float], ...] = ()
    bits: Literal[8, 32] = 32
    word: str = ""
    maybe: str | None = None
    lr: float = 0.1
    steps: int = 5
    reader: bool = False
    net: ConvNeXtConfig = ConvNeXtConfig()


GOOD = {
    "inner.widths=64,128": (64, 128),
    "inner.widths=(64, 128)": (64, 128),
    "inner.widths=[64,128]": (64, 128),
    "inner.widths=64": (64,),
    "inner.widths=": (),
    "inner.pair=2,4": (2, 4),
    "inner.pair=null": None,
    "bands=1,2.5": (1.0, 2.5),
    "names=flite,1": ("flite", "1"),
    'names=["a,b"]': ("a,b",),
    'shares=[["a", 1], ["b", 0.5]]': (("a", 1.0), ("b", 0.5)),
    "bits=8": 8,
    "word=12": "12",
    'word="a b"': "a b",
    "word=a,b": "a,b",
    "maybe=null": None,
    "maybe=x=y": "x=y",
    "lr=1": 1.0,
    "steps=2000": 2000,
    "reader=true": True,
    "net.depth=1": 1,
}


@pytest.mark.parametrize("change", GOOD)
def test_what_is_typed_is_read_as_its_field_wants_it(change: str) -> None:
    found: Any = edit(Outer(), change)
    for name in change.partition("=")[0].split("."):
        found = getattr(found, name)
    assert found == GOOD[change] and type(found) is type(GOOD[change])
    if isinstance(found, tuple):
        assert [type(item) for item in found] == [type(item) for item in GOOD[change]]


BAD = {
    "inner.widths=64,x": "inner.widths takes whole numbers with commas between, as in inner.widths=8,5; got '64,x'",
    "inner.widths=6.5": "got '6.5'",
    "inner.widths=[64": "got '[64'",
    "inner.pair=1,2,3": "takes 2 whole numbers with commas between or null",
    "bands=loud": "bands takes numbers with commas between, as in bands=30.0,10.0",
    "shares=a": "shares takes items with commas between",
    "bits=16": "bits takes 8 or 32",
    "lr=NaN": "lr takes a number, as in lr=0.1",
    "steps=true": "steps takes a whole number, as in steps=5; got 'true'",
    "reader=1": "reader takes true or false, as in reader=false",
    "steps": "write it as path.to.field=value",
    "inner.depth=4": "no field 'depth' on the way to 'inner.depth'; there are widths, pair",
    "steps.x=4": "there are none",
    "net=5": "net takes a ConvNeXtConfig",
}


@pytest.mark.parametrize("change", BAD)
def test_what_does_not_fit_is_refused_with_one_sentence(change: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(BAD[change])):
        edit(Outer(), change)


def test_what_fits_together_only_is_set_together() -> None:
    trunk = TransformerConfig(dim=200, layers=5, heads=10, kv_heads=10, hidden=800, window=9)
    with pytest.raises(ConfigError, match="multiple of twice the heads"):
        edit(trunk, "dim=128")
    found = edit(trunk, "dim=128", "heads=4", "kv_heads=4", "dim=64")
    assert (found.dim, found.heads, found.hidden) == (64, 4, 800)
    outer = edit(Outer(), "inner.widths=1", "steps=3", "inner.pair=4,5")
    assert outer == Outer(inner=Inner(widths=(1,), pair=(4, 5)), steps=3) and edit(outer) is outer
    for changes in (("inner.widths=1", "inner=2"), ("steps=3", "steps.x=2")):
        with pytest.raises(ConfigError, match="as a whole and in parts"):
            edit(Outer(), *changes)


def test_tuples_of_recipes_are_set() -> None:
    run = importlib.import_module("vivavoce.recipes.fsq_units").RECIPE.settings
    assert edit(run, "levels=5,5,4").levels == (5, 5, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    level_db: float = 0.0
    earlier_names: ClassVar[tuple[tuple[str, str], ...]] = (("loudness", "level_db"),)


def test_a_field_is_still_known_by_its_earlier_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert edit(Renaming(), "loudness=-3") == edit(Renaming(), "level_db=-3") == Renaming(level_db=-3.0)
    with pytest.raises(ConfigError, match="level_db"):
        edit(Renaming(), "volume=-3")
    monkeypatch.setattr(config, "_ROOT", "")
    dumped = config.dump(Renaming(level_db=-3.0))
    assert set(dumped) == {"class", "level_db"}
    assert config.load({"class": dumped["class"], "loudness": -3.0}) == Renaming(level_db=-3.0)


def test_a_parts_earlier_name_of_a_field_is_read() -> None:
    dumped = config.dump(SalmonnRun(system_message="Listen."))
    dumped["told"] = dumped.pop("system_message")
    assert config.load(dumped) == SalmonnRun(system_message="Listen.")
