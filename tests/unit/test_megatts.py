"""What keeps the factors of Mega-TTS apart, and what the second version does with many references and two manners."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.rng import Uniforms
from vivavoce.generate.prosody import write_prosody
from vivavoce.generate.samplers import GREEDY, Sample
from vivavoce.models.prosody_lm import ProsodyPrompt
from vivavoce.nn.mel_judges import MelJudgesConfig
from vivavoce.nn.multi_reference import References
from vivavoce.nn.regulate import pieces, pooled, spread
from vivavoce.recipes import megatts, megatts2
from vivavoce.systems.megatts import MegaModel, TimedSpeech
from vivavoce.train.tasks.megatts import MegaBatch, MegaTask, MegaWeights, PlanTask

FIRST, SECOND = megatts.SMALL, megatts2.SMALL


def model(run: megatts.MegaRun) -> MegaModel:
    torch.manual_seed(0)
    made: MegaModel = run.config.build()
    for name, weight in made.named_parameters():
        if weight.ndim > 1 and not name.startswith("prosody.quantizer"):
            torch.nn.init.normal_(weight, std=0.2)
    return made


def batch(references: int = 2, frames: int = 6) -> MegaBatch:
    """Two rows of eight phones, of which the second has five."""
    counts = torch.randint(1, frames, (2, 8))
    counts[1, 5:] = 0
    size = int(counts.sum(1).max())
    mel = torch.randn(2, 40, size) - 5
    spoken = TimedSpeech(mel, torch.randint(40, (2, 8)), counts, counts > 0)
    return MegaBatch(spoken, References(torch.randn(2, references, 40, 40) - 5, torch.tensor([[40, 25]] * 2)))


def started(run: megatts.MegaRun, given: MegaBatch) -> MegaModel:
    made = model(run)
    made.prosody.start(torch.cat([given.spoken.mel] * 4), run.prosody.places(torch.cat([given.spoken.frames] * 4)))
    return made.eval()


@settings(deadline=None, max_examples=20)
@given(counts=st.lists(st.integers(0, 5), min_size=2, max_size=6).filter(any), more=st.integers(0, 3))
def test_places_spread_over_their_frames_and_come_back(counts: list[int], more: int) -> None:
    row = torch.tensor([counts])
    x = torch.randn(1, len(counts), 3)
    wide = spread(x, row, sum(counts) + more)
    expected = torch.cat([x[0, place].expand(count, 3) for place, count in enumerate(counts)])
    assert torch.equal(wide[0, : sum(counts)], expected) and not wide[0, sum(counts) :].any()
    kept = (row > 0)[..., None]
    for how in ("mean", "amax"):
        assert torch.allclose(pooled(wide, row, how), x * kept, atol=1e-6)
    assert torch.equal(pieces(torch.tensor([9, 4]), 4), torch.tensor([[4, 4, 1], [4, 0, 0]]))


def test_prosody_is_a_code_per_phone_or_per_eight_frames_of_the_lowest_bins_and_no_text() -> None:
    given = batch()
    for run, places in ((FIRST, given.spoken.frames), (SECOND, pieces(given.spoken.frames.sum(1), 8))):
        made = started(run, given)
        coded = made.prosody(given.spoken.mel, run.prosody.places(given.spoken.frames))
        assert coded.codes.shape == places.shape and not coded.values[places == 0].any()
        above = given.spoken.mel.clone()
        above[:, run.prosody.bins :] = torch.randn_like(above[:, run.prosody.bins :])
        again = made(given.spoken._replace(mel=above, phones=(given.spoken.phones + 1) % 40), given.references)
        assert torch.equal(again.coded.codes, coded.codes)  # neither what is above nor what is said
        kept = places > 0
        assert torch.allclose(made.prosody.decode(coded.codes, kept), coded.values, atol=1e-5)
        assert made.prosody.quantizer.config.code_dim < run.prosody.stack.width and run.prosody.bins == 20


def test_the_first_s_timbre_is_one_vector_and_the_second_s_phones_look_at_every_reference() -> None:
    given = batch()
    for run in (FIRST, SECOND):
        made, mel = model(run).eval(), given.references.mel.clone().requires_grad_()
        said = made.said(given.spoken.phones, given.spoken.there, References(mel, given.references.lengths))
        said.square().sum().backward()
        assert mel.grad is not None
        for row in range(2):
            for place, length in enumerate((40, 25)):
                assert mel.grad[row, place, :, :length].abs().sum() > 0
                assert not mel.grad[row, place, :, length:].any()
        plain = made.content(made.embed(given.spoken.phones), given.spoken.there)
        shift = (said - plain)[0]
        same = torch.allclose(shift, shift[:1].expand_as(shift), atol=1e-5)
        assert same == (run is FIRST)
    # the order of references does not matter, and one that is empty does not count
    made = model(SECOND).eval()
    with torch.no_grad():
        swapped = References(given.references.mel.flip(1), given.references.lengths.flip(1))
        said = [made.said(given.spoken.phones, given.spoken.there, voices) for voices in (given.references, swapped)]
        assert torch.allclose(said[0], said[1], atol=1e-5)
        one = References(given.references.mel[:, :1], given.references.lengths[:, :1])
        empty = References(given.references.mel, torch.tensor([[40, 0]] * 2))
        said = [made.said(given.spoken.phones, given.spoken.there, voices) for voices in (one, empty)]
        assert torch.allclose(said[0], said[1], atol=1e-5)


def test_lengths_follow_each_other_and_a_prompt_s() -> None:
    made, phones = model(SECOND).eval(), torch.randn(1, 9, 32)
    there = torch.ones(1, 9, dtype=torch.bool)
    frames = torch.randint(1, 20, (1, 9))
    with torch.no_grad():
        whole = made.durations(phones, frames, there)
        changed = frames.clone()
        changed[0, 4] += 30
        other = made.durations(phones, changed, there)
        assert torch.equal(other[:, :5], whole[:, :5]) and bool((other[:, 5:] != whole[:, 5:]).all())
        # stepping is what is learnt: each length from those that were chosen before it
        known = frames[0, :3]
        found = made.durations.predict(phones, known)
        assert found.shape == (6,) and int(found.min()) >= 1 and int(found.max()) <= 128
        told = torch.cat((known, found))[None]
        guesses = torch.expm1(made.durations(phones, told, there))[0, 3:].round().clamp(1, 128).long()
        assert torch.equal(found, guesses)
        assert not torch.equal(made.durations.predict(phones, known + 25), found)
        at_once = model(FIRST).eval().durations
        assert torch.equal(at_once.predict(phones, known), at_once.predict(phones, known + 25))
    with pytest.raises(ConfigError, match="causal trunk"):
        replace(SECOND.config.durations, follows=False).build()


def test_between_two_manners_the_ends_are_the_manners() -> None:
    lm = model(SECOND).eval().lm
    condition = torch.randn(12, 32)
    a, b = (ProsodyPrompt(torch.randn(k, 32), torch.randint(16, (k,))) for k in (5, 9))
    nothing = ProsodyPrompt(torch.zeros(0, 32), torch.zeros(0, dtype=torch.long))
    for sampler in (GREEDY, Sample(temperature=2.0)):

        def written(prompts: list[ProsodyPrompt], shares: tuple[float, ...]) -> list[int]:
            return write_prosody(lm, condition, prompts, shares, sampler, Uniforms(3)).tolist()  # noqa: B023

        alone = [written([prompt], (1.0,)) for prompt in (a, b, nothing)]
        assert written([a, b], (1.0, 0.0)) == alone[0] and written([a, b], (0.0, 1.0)) == alone[1]
        assert len({tuple(one) for one in alone}) == 3
        assert written([a, a], (0.3, 0.7)) == alone[0]
    # what is written is what the whole model expects behind the prompt
    codes = write_prosody(lm, condition, [a], (1.0,), GREEDY, Uniforms(0))
    with torch.no_grad():
        logits = lm(torch.cat((a.codes, codes))[None], torch.cat((a.condition, condition))[None])[0, 5:]
    assert torch.equal(logits.argmax(-1), codes)
    with pytest.raises(SpecError, match="1 in all"):
        write_prosody(lm, condition, [a, b], (0.5, 0.6), GREEDY, Uniforms(0))


def test_judges_reach_what_draws_and_the_second_stage_only_what_plans() -> None:
    given = batch()
    given = MegaBatch(TimedSpeech(*(torch.cat([part] * 4) for part in given.spoken)), References(
        *(torch.cat([part] * 4) for part in given.references)
    ))  # fmt: skip
    task = MegaTask(model(FIRST), MelJudgesConfig(windows=(8, 16), channels=4, layers=2), MegaWeights(judged_from=0))
    out = task.outputs(given)
    assert task.model.prosody.quantizer.started
    terms = task.losses("maker", given, out)
    terms["adversarial"].value.backward(retain_graph=True)
    assert task.model.out.weight.grad is not None and bool(task.model.out.weight.grad.any())
    sum(term.weight * term.value for term in terms.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None and bool(p.grad.any()) for p in task.parameters_of("maker") if p.ndim > 1)
    task.zero_grad()
    task.losses("judges", given, task.outputs(given))["judges"].value.backward()
    assert all(p.grad is None or not p.grad.any() for p in task.parameters_of("maker"))
    later = MegaTask(model(FIRST), MelJudgesConfig(windows=(8,), channels=4), MegaWeights(judged_from=3))
    assert later.skip("judges", 2) and not later.skip("judges", 3)

    plan = PlanTask(task.model)
    planned = plan.losses("model", given, plan.outputs(given))
    (planned["codes"].value + planned["lengths"].value).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in plan.parameters() if p.ndim > 1)
    # rows of several sentences: every one is gone on with by the next, no row sees another
    several = plan.outputs(replace(given, rows=(2, 2, 4)))
    counts = FIRST.prosody.places(given.spoken.frames) > 0
    assert several.kept.sum(1).tolist() == [int(counts[a:b].sum()) for a, b in ((0, 2), (2, 4), (4, 8))]
    assert torch.equal(several.codes[2, : int(counts[4].sum())], plan.outputs(given).codes[4, counts[4]])
    factors = [p for name, p in task.model.named_parameters() if not name.startswith(("lm.", "durations."))]
    assert all(p.grad is None or not p.grad.any() for p in factors)
