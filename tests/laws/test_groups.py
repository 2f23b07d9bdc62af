"""Groups of codes (VALL-E 2): what the paper says, step by step as at once; grids of them end where they should."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.core.layout import Cursor, Layout, Segment
from vivavoce.core.parts import load_part, save_part
from vivavoce.core.rng import Uniforms
from vivavoce.core.streams import Tokens
from vivavoce.generate.samplers import RepetitionAware, Sample
from vivavoce.generate.writer import Row, Writer
from vivavoce.models.lm import StreamLM, StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.systems.valle import ValleConfig
from vivavoce.train.tasks.grid import GridTask, collate

PHONES = Tokens(name="phones", alphabet="phones-1", size=5)
CODES = Tokens(name="codes", alphabet="codec-1", size=6, rate=Fraction(25))
TRUNK = TransformerConfig(dim=16, layers=2, heads=2, kv_heads=1, hidden=16, window=40)
GROUP = 3
FIRST = 4 + PHONES.size
"""The first code on lane 0, after the marks (fill, phones, codes, end) and the phones."""


def layout(group: int = GROUP) -> Layout:
    return Layout(blocks=(Segment(stream=PHONES, role="given"), Segment(stream=CODES, group=group)))


def model(tied: bool = False, seed: int = 0) -> StreamLM:
    torch.manual_seed(seed)
    made = StreamLMConfig(trunk=TRUNK, lanes=layout().sizes, tied=tied, group=True).build().eval()
    for weight in made.parameters():
        torch.nn.init.normal_(weight, std=0.4)
    return made


def grid(frames: int = 12) -> Tensor:
    made = torch.Generator().manual_seed(frames)
    items = {"phones": torch.tensor([[1, 4, 0]]), "codes": torch.randint(6, (1, frames), generator=made)}
    return layout().pack(items).ids[None]


@pytest.mark.parametrize("tied", [True, False])
def test_a_step_s_vector_and_scores_are_the_paper_s(tied: bool) -> None:
    lm, ids = model(tied), grid()
    assert ids[0, :, 5].tolist() == [int(ids[0, 0, 5]), *ids[0, 1:, 5].tolist()] and int(ids[0, 0, 5]) >= FIRST
    assert lm.groups is not None and isinstance(lm.embed, Tensor) and not isinstance(lm.out, nn.Module)
    codes = [int(ids[0, 0, 5]) - FIRST, *(int(id) - 1 for id in ids[0, 1:, 5])]
    table = lm.embed[FIRST:]
    wanted = lm.groups.enter.weight @ torch.cat([table[code] for code in codes])
    torch.testing.assert_close(lm.embedded(ids)[0, 5], wanted)
    torch.testing.assert_close(lm.embedded(ids)[0, 1], lm.embed[ids[0, 0, 1]])  # a phone is no group
    head, hidden = (lm.embed if lm.out is None else lm.out), lm.hidden(ids)[0, 4]
    parts = (lm.groups.leave.weight @ hidden).view(GROUP, -1)
    scores = [lane[0, 4] for lane in lm(ids)]
    torch.testing.assert_close(scores[0], head @ parts[0])
    for place in (1, 2):
        torch.testing.assert_close(scores[place][1:], head[FIRST:] @ parts[place])


def test_steps_are_the_whole_and_no_column_or_place_sees_what_is_to_be_said() -> None:
    lm, ids = model(), grid()
    with torch.no_grad():
        whole = lm(ids)
        state = lm.init_state(1)
        for column in range(ids.shape[2]):
            hidden = lm.read(ids[..., column : column + 1], state)
            for lane in range(GROUP):
                scores = lm.scores(hidden, lane, ids[:, :lane, (column + 1) % ids.shape[2]])
                torch.testing.assert_close(scores, whole[lane][:, column], atol=1e-4, rtol=1e-4)
        changed = ids.clone()
        changed[:, 1:, 6:8] = 7 - changed[:, 1:, 6:8]
        for before, after in zip(whole, lm(changed), strict=True):
            assert torch.equal(before[:, :6], after[:, :6]) and not torch.equal(before[:, 6], after[:, 6])


def test_the_loss_is_the_mean_over_all_codes_and_the_end() -> None:
    lm = model()
    short = layout().pack({"phones": torch.tensor([[1]]), "codes": torch.tensor([[5, 0, 2]])})
    long = layout().pack({"phones": torch.tensor([[1, 4, 0]]), "codes": torch.arange(12)[None] % 6})
    with torch.no_grad():
        task = GridTask(lm)
        together = task.losses("model", batch := collate([short, long]), task.outputs(batch))
        sums, count = 0.0, 0
        for one in (short, long):
            for lane, scores in enumerate(lm(one.ids[None])):
                wanted, learnt = one.ids[lane, 1:], one.target[lane, 1:]
                sums += float(F.cross_entropy(scores[0, :-1][learnt], wanted[learnt], reduction="sum"))
                count += int(learnt.sum())
    assert count == 3 + 1 + 12 + 1
    assert float(together["tokens"].value) == pytest.approx(sums / count, rel=1e-5)


class Seen:
    """Draws as usual, and keeps what it was shown."""

    def __init__(self) -> None:
        self.before: list[list[int]] = []

    def __call__(self, logits: Tensor, uniform: Tensor, history: Tensor) -> Tensor:
        self.before.append(history[0][history[0] >= 0].tolist())
        return Sample()(logits, uniform, history)


def test_what_was_repeated_is_looked_for_in_all_places_of_the_groups_before() -> None:
    lanes = [Seen() for _ in range(GROUP)]
    items = {"phones": torch.tensor([[1, 2]]), "codes": torch.tensor([[0, 1, 2]])}
    done = next(Writer(model(), lanes).write([Row(Cursor(layout(), items), Uniforms(1), most=9)], at_once=1))
    codes = [number for column in done.written[4:] if column[0] >= FIRST for number in _codes(column)]
    assert codes[:3] == [0, 1, 2] and len(codes) >= 9
    for lane, seen in enumerate(lanes):
        for step, before in enumerate(seen.before):
            numbered = [id - (1 if lane else FIRST) for id in before]
            assert numbered == codes[: GROUP * (step + 1) + lane]


def _codes(column: Iterable[int]) -> list[int]:
    first, *others = column
    return [first - FIRST, *(id - 1 for id in others)]


def test_grids_end_and_rows_do_not_see_each_other() -> None:
    writer, ends = Writer(model(), RepetitionAware()), 0

    def row(seed: int) -> Row:
        items = {"phones": torch.tensor([[seed % 5, 1]]), "codes": torch.zeros(1, GROUP * (seed % 3)).long()}
        return Row(Cursor(layout(), items), Uniforms(seed), most=30)

    rows = [row(seed) for seed in range(6)]
    for _ in writer.write(rows, at_once=4):
        pass
    for seed, one in enumerate(rows):
        assert one.written == next(writer.write([row(seed)], at_once=1)).written
        assert one.cursor is not None
        found = one.cursor.final()["codes"]
        assert found.shape[1] % GROUP == 0 and all(0 <= code < 6 for code in found[0].tolist())
        if one.cursor.over:
            ends += 1
            assert torch.equal(layout().pack(one.cursor.final()).ids, torch.tensor(one.written).T)
    assert ends


def test_frames_that_fill_no_group_are_left_out_at_the_beginning() -> None:
    rest = replace(TRUNK, causal=False, condition=8)
    config = ValleConfig(phones=PHONES, codes=replace(CODES, books=2), first=TRUNK, rest=rest, group=GROUP)
    codes, first = torch.arange(16).view(2, 8) % 6, config.layout.segments[-1]
    assert torch.equal(first.whole(codes), codes[:, 2:]) and torch.equal(first.whole(codes[:, :6]), codes[:, :6])
    assert first.whole(codes[:, :2]).shape == (2, 0)
    assert config.layout == layout()
    one = replace(config, group=1)
    assert torch.equal(one.layout.segments[-1].whole(codes), codes) and one.layout == layout(1)
    torch.manual_seed(4)
    made = one.build().first.state_dict()
    torch.manual_seed(4)
    known = StreamLMConfig(trunk=TRUNK, lanes=layout(1).sizes, tied=False).build().state_dict()
    assert made.keys() == known.keys() and all(torch.equal(made[key], known[key]) for key in made)


@pytest.mark.parametrize("dtype", [torch.float16, torch.int8])
def test_groups_are_kept_in_a_part(tmp_path: Path, dtype: torch.dtype) -> None:
    lm, ids = model(), grid()
    save_part(tmp_path, "lm", lm.config, lm, {}, dtype)
    again = load_part(tmp_path, "lm")
    with torch.no_grad():
        for one, other in zip(lm(ids), again(ids), strict=True):
            assert (one - other).abs().max() < 0.1 * one.std()


def test_what_groups_cannot_be_is_refused() -> None:
    for broken in ({"predicted": 1}, {"lanes": (9,)}, {"lanes": (9, 4, 5)}, {"depth": TRUNK}):
        with pytest.raises(ConfigError, match="groups have two or more lanes"):
            StreamLMConfig(**{"trunk": TRUNK, "lanes": layout().sizes, "group": True, **broken}).build()
