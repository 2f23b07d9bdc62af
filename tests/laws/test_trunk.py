"""Text models as trunks: growing changes no score of text, and small maps beside the weights do what they say."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from vivavoce.core.errors import ConfigError, PartError, SpecError
from vivavoce.core.layout import Cursor, Layout, Segment, read
from vivavoce.core.streams import Tokens
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.models.trunk import grow, text_rows
from vivavoce.nn.lora import LoraConfig, LoraLinear, merge_lora, only_lora, scale_lora
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.miniature import chat_model
from vivavoce.train.tasks.grid import GridTask, collate

TEXT = Tokens(name="text", alphabet="bpe-1", size=50)
UNITS = Tokens(name="units", alphabet="units-1", size=16, rate=Fraction(25))
LAYOUT = Layout(blocks=(Segment(stream=TEXT, role="given"), Segment(stream=UNITS)))
TRUNK = TransformerConfig(dim=32, layers=2, heads=4, kv_heads=2, hidden=48, window=64)
IDS = torch.randint(50, (3, 1, 20), generator=torch.Generator().manual_seed(1))


def text_model(tied: bool) -> StreamLM:
    return StreamLMConfig(trunk=TRUNK, lanes=(50,), tied=tied).build().eval()


@pytest.mark.parametrize("tied", [True, False])
def test_text_scores_are_exactly_what_they_were_right_after_growing(tied: bool) -> None:
    known = text_model(tied)
    grown, rows = grow(known, LAYOUT, TEXT), text_rows(LAYOUT, TEXT)
    with torch.no_grad():
        before, after = known(IDS)[0], grown(IDS + rows.start)[0]
    assert torch.equal(after[..., rows.start : rows.stop], before)
    assert not after[..., : rows.start].any() and not after[..., rows.stop :].any()
    assert (grown.out is None) == tied
    units = LAYOUT.vocabs[0].range(f"{UNITS.alphabet}:0")
    batch = collate([LAYOUT.pack({"text": IDS[0], "units": IDS[1] % 16})])
    task = GridTask(grown.train())
    task.losses("model", batch, task.outputs(batch))["tokens"].value.backward()
    table = grown.embed.grad if tied else grown.out.grad  # type: ignore[union-attr]
    assert table is not None and table[units.start : units.stop].abs().min() > 0


def test_a_text_that_the_model_does_not_know_is_refused() -> None:
    with pytest.raises(SpecError, match="51 ids, the language model knows 50"):
        grow(text_model(True), Layout(blocks=(Segment(stream=replace(TEXT, size=51)),)), replace(TEXT, size=51))
    with pytest.raises(SpecError, match="one lane"):
        text_rows(Layout(blocks=(Segment(stream=TEXT), Segment(stream=replace(UNITS, name="codes", books=2)))), TEXT)


def test_small_maps_change_nothing_at_first_and_merged_are_the_same() -> None:
    known = text_model(True)
    adapted: StreamLM = replace(known.config, lora=LoraConfig(rank=4)).build()
    state = {key.replace(".qkv.", ".qkv.linear."): value for key, value in known.state_dict().items()}
    missing = adapted.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and all(".down." in key or ".up." in key for key in missing.missing_keys)
    adapted.eval()
    only_lora(adapted)
    with torch.no_grad():
        assert torch.equal(adapted(IDS)[0], known(IDS)[0])
        for part in adapted.modules():
            if isinstance(part, LoraLinear):
                for up in part.up:
                    up.normal_(std=0.1)
        unmerged = adapted(IDS)[0]
        scale_lora(adapted, 0.0)
        assert torch.equal(adapted(IDS)[0], known(IDS)[0])
        scale_lora(adapted, 4.0)
        assert torch.equal(adapted(IDS)[0], unmerged)
        assert (unmerged - known(IDS)[0]).abs().max() > 0.01
    adapted(IDS)[0].square().mean().backward()
    learnt = [name for name, weight in adapted.named_parameters() if weight.grad is not None]
    assert len(learnt) == 2 * 2 * 2 and all(".down." in name or ".up." in name for name in learnt)
    layer = adapted.trunk.layers[0].qkv
    assert layer.rows == (range(32), range(48, 64))  # queries and values; the keys' rows are left alone
    merge_lora(adapted)
    with torch.no_grad():
        merged = adapted(IDS)[0]
    assert adapted.state_dict().keys() == known.state_dict().keys()
    assert (merged - unmerged).abs().max() <= 1e-5 * unmerged.abs().max()


def test_a_layout_within_another_has_its_ids() -> None:
    both = Layout(blocks=(Segment(stream=replace(TEXT, name="asked"), mark="text"), Segment(stream=UNITS)))
    back = Layout(blocks=(Segment(stream=UNITS), Segment(stream=replace(TEXT, name="read"), mark="text")), within=both)
    assert back.vocabs == both.vocabs and back.marks == both.marks
    items = {"units": IDS[0] % 16, "read": IDS[1]}
    grid = back.pack(items)
    assert all(torch.equal(found, items[name]) for name, found in read(back, grid.ids).items())
    for foreign in (
        Segment(stream=UNITS, mark="other"),
        Segment(stream=replace(UNITS, alphabet="units-2"), mark="text"),
    ):
        with pytest.raises(ConfigError, match="has no"):
            Layout(blocks=(foreign,), within=both)


def test_a_stream_of_known_length_ends_there_and_not_before() -> None:
    codes = replace(UNITS, name="codes", books=2)
    layout = Layout(blocks=(Segment(stream=UNITS, role="given"), Segment(stream=codes, flat=True)))
    cursor = Cursor(layout, {"units": IDS[0] % 16, "codes": IDS[1, :, :6].view(2, 3) % 16}, frames={"codes": 5})
    while not cursor.over:
        slot = cursor.slot(0, ())
        cursor.take([slot if isinstance(slot, int) else slot[-1][-1]])
    assert cursor.frames("codes").shape == (2, 5)
    assert torch.equal(cursor.frames("codes")[:, :3], IDS[1, :, :6].view(2, 3) % 16)


def test_a_published_model_is_read_in_32_bits_with_its_text(tmp_path: Path) -> None:
    found = load_text_model(chat_model(tmp_path / "tiny"), window=100)
    assert found.lm.config.trunk.window == 100 and found.text.tokens.size == 258
    text = found.text
    text.save(tmp_path)
    assert type(text).load(tmp_path) == text
    assert text.read(text.tokenizer.encode("naïve café")) == "naïve café"
    before, after = text.around([{"role": "user", "content": f"Hear {text.hole}."}])
    assert text.read(before) == "user\nHear" and text.read(after) == ".\nassistant"
    with pytest.raises(PartError, match="no chat template"):
        load_text_model(chat_model(tmp_path / "bare", template=""))
