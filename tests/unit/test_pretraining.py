"""What makes wav2vec 2.0 and HuBERT themselves: what counts, what is hidden, and where gradients go."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vivavoce.audio.mfcc import MfccConfig, slope
from vivavoce.core.errors import ConfigError, ManifestError, TrainingError
from vivavoce.data.cache import Cache
from vivavoce.losses.pretraining import contrastive, distractors, diversity, masked_prediction
from vivavoce.models.encoder import EncoderConfig
from vivavoce.models.encoder_heads import ClusterConfig, ContrastiveConfig
from vivavoce.models.strided_mel_front import StridedMelFrontConfig
from vivavoce.models.wave_front import WaveFrontConfig
from vivavoce.nn.conformer import ConformerConfig
from vivavoce.nn.gumbel import GumbelConfig, GumbelQuantizer, perplexity
from vivavoce.nn.masking import MaskConfig, span_mask
from vivavoce.nn.positions import ConvPositionsConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes import miniature, w2vbert
from vivavoce.recipes.hubert import HubertRun
from vivavoce.recipes.pretraining_data import WaveCropConfig, WaveCrops, cepstra, of_layer
from vivavoce.recipes.w2vbert import W2vBertRun
from vivavoce.recipes.wav2vec2 import Wav2Vec2Run
from vivavoce.systems import wav2vec2
from vivavoce.systems.hubert import HubertConfig
from vivavoce.systems.w2vbert import W2vBertConfig
from vivavoce.systems.wav2vec2 import CtcModelConfig, Wav2Vec2Config, spelled
from vivavoce.train import fit
from vivavoce.train.tasks.ctc import CtcTask, WrittenBatch
from vivavoce.train.tasks.pretraining import HubertTask, W2vBertTask, Wav2Vec2Task, WaveBatch

TRUNK = TransformerConfig(
    dim=32, layers=2, heads=2, kv_heads=2, hidden=48, window=1 << 20, causal=False, norm="layer", post=True,
    gated=False, bias=True, rotary=False,
)  # fmt: skip
ENCODER = EncoderConfig(
    front=WaveFrontConfig(dim=16), trunk=TRUNK, positions=ConvPositionsConfig(kernel=8, groups=4), front_gradient=0.1
)
QUANTIZER = GumbelConfig(dim=16, groups=2, size=8, code_dim=8, anneal=0.9)
WAV2VEC2 = Wav2Vec2Config(
    encoder=ENCODER, head=ContrastiveConfig(quantizer=QUANTIZER, context=32, dim=8, others=10), mask=MaskConfig(span=4)
)
HUBERT = HubertConfig(encoder=ENCODER, head=ClusterConfig(sizes=(6, 5), context=32, dim=8), mask=MaskConfig(span=4))


def batch(step: int = 0) -> WaveBatch:
    torch.manual_seed(step)
    labels = (torch.randint(6, (2, 50)), torch.randint(5, (2, 50)))
    return WaveBatch(0.1 * torch.randn(2, 16000), torch.tensor([16000, 12000]), labels, 1.75)


def test_spans_hide_about_half_and_stay_inside() -> None:
    lengths = torch.tensor([500, 300, 7, 0])
    mask = span_mask(lengths.repeat(50), 500, MaskConfig(starts=0.065, span=10))
    assert 0.45 < mask[::4].float().mean() < 0.53  # the paper: about 49 %
    for row, length in enumerate(lengths.tolist()):
        assert not mask[row::4, length:].any()
    assert mask[2::4, :7].all(), "what is shorter than a span is hidden as a whole"
    runs = mask[0].int().diff().ne(0).nonzero()[:, 0].diff()
    assert (runs[::2] >= 10).all() if mask[0, 0].logical_not() else (runs[1::2] >= 10).all()


def test_distractors_are_other_hidden_frames_of_the_same_row() -> None:
    mask = torch.rand(4, 30) < 0.4
    mask[3] = False
    mask[3, 5] = True  # alone in its row
    rows = mask.nonzero()[:, 0]
    others = distractors(mask, 200)
    assert (rows[others] == rows[:, None]).all()
    own = torch.arange(len(rows))[:, None]
    assert (others[:-1] != own[:-1]).all() and (others[-1] == own[-1]).all()
    first = others[rows == 0]  # every other one is drawn, about equally often
    counts = torch.stack([(first == n).sum() for n in range(int((rows == 0).sum()))])
    assert counts.min() > 0.6 * counts.float().mean()


def test_a_distractor_that_equals_the_target_never_counts() -> None:
    context, target = torch.randn(6, 8), torch.randn(6, 8)
    others = (torch.arange(6)[:, None] + torch.arange(1, 4)) % 6
    none = torch.zeros(6, 3, dtype=torch.bool)
    loss, _ = contrastive(context, target, others, none, 0.1)
    cosines = torch.nn.functional.cosine_similarity(context[:, None], target[None], dim=-1) / 0.1
    wanted = [row[[n, *others[n].tolist()]].log_softmax(0)[0] for n, row in enumerate(cosines)]
    torch.testing.assert_close(loss, -torch.stack(wanted).mean())
    same = none.clone()
    same[:, 0] = True
    less, _ = contrastive(context, target, others, same, 0.1)
    kept, _ = contrastive(context, target, others[:, 1:], none[:, 1:], 0.1)
    torch.testing.assert_close(less, kept)
    assert contrastive(context, target, others, ~none, 0.1)[0] == 0


def test_frames_in_sight_get_exactly_no_gradient() -> None:
    scores = torch.randn(2, 9, 5, requires_grad=True)
    mask = torch.rand(2, 9) < 0.5
    labels = torch.randint(5, (2, 9))
    labels[0, 0] = -1
    loss, _ = masked_prediction(scores, labels, mask)
    (gradient,) = torch.autograd.grad(loss, scores)
    counts = mask & (labels >= 0)
    assert (gradient[~counts] == 0).all() and (gradient[counts] != 0).any(-1).all()


def test_the_front_learns_a_tenth_as_fast() -> None:
    def gradients(factor: float) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        task = HubertTask(replace(HUBERT, encoder=replace(ENCODER, front_gradient=factor))).train()
        one = batch()
        torch.manual_seed(1)
        total = sum(term.value * term.weight for term in task.losses("model", one, task.outputs(one)).values())
        total.backward()
        return {name: weight.grad for name, weight in task.model.named_parameters() if weight.grad is not None}

    whole, tenth = gradients(1.0), gradients(0.1)
    assert whole.keys() == tenth.keys()
    for name, value in whole.items():
        factor = 0.1 if name.startswith("encoder.front") else 1.0
        torch.testing.assert_close(tenth[name], factor * value, atol=1e-7, rtol=1e-4)
    assert not any(name.startswith("encoder.front") for name in gradients(0.0))


def test_label_sets_have_projections_of_their_own_and_scores_are_cosines() -> None:
    head = HUBERT.head.build()
    x = torch.randn(2, 9, 32)
    head(x, 1).sum().backward()
    assert head.projections[0].weight.grad is None and head.projections[1].weight.grad is not None
    for scores in (head(x), head(x, 1)):
        assert scores.abs().max() <= 1 / 0.1 + 1e-4
    with torch.no_grad():
        before = head(x)
        head.names[0] *= 3
        torch.testing.assert_close(head(x), before)


def test_the_temperature_falls_with_every_update() -> None:
    torch.manual_seed(0)
    task = Wav2Vec2Task(WAV2VEC2)
    seen: list[float] = []

    class Watch:
        def start(self, run: object) -> None: ...

        def step(self, run: object) -> None:
            seen.append(task.model.head.quantizer.temperature.item())

        def end(self, run: object) -> None: ...

    fit(task, batch, torch.optim.Adam(task.parameters(), 1e-3), steps=5, hooks=(Watch(),))
    assert seen == pytest.approx([2 * 0.9**n for n in range(1, 6)])
    assert task.model.head.quantizer.annealed(1000) == 0.5
    assert "head.quantizer.temperature" in task.model.state_dict(), "a resumed run goes on with it"


def test_terms_of_the_contrastive_task() -> None:
    torch.manual_seed(0)
    task = Wav2Vec2Task(WAV2VEC2).train()
    one = batch()
    out = task.outputs(one)
    terms = task.losses("model", one, out)
    assert {name: term.weight for name, term in terms.items() if term.weight} == {
        "contrastive": 1.0, "diversity": 0.1, "penalty": 10.0,
    }  # fmt: skip
    # the quantiser sees what was never hidden
    torch.testing.assert_close(out.heard.front, task.model.encoder(one.wave, one.lengths).front)
    assert out.heard.layers[0].shape == (2, 49, 32) and not out.mask[1, 37:].any()


def test_diversity_and_use() -> None:
    assert diversity(torch.tensor([8.0, 8.0]), 8) == 0 and diversity(torch.tensor([1.0, 1.0]), 8) == 1 - 1 / 8
    quantizer = QUANTIZER.build().eval()
    with torch.no_grad():
        quantizer.choose.weight.zero_()
        quantizer.choose.bias.zero_()
        quantizer.choose.bias[[3, 8 + 5]] = 9.0
    chosen = quantizer(torch.randn(20, 16))
    assert (chosen.ids == torch.tensor([3, 5])).all() and (chosen.hard == 1).all()
    assert torch.equal(chosen.vectors[0], torch.cat((quantizer.entries[0, 3], quantizer.entries[1, 5])))
    quantizer.train()
    drawn = quantizer(torch.randn(20, 16))
    picked = torch.stack([quantizer.entries[g][drawn.ids[:, g]] for g in (0, 1)], dim=1).flatten(1)
    torch.testing.assert_close(drawn.vectors, picked)  # hard forwards
    assert torch.autograd.grad(drawn.vectors.sum(), quantizer.choose.weight)[0].any()  # soft backwards


def test_a_collapse_ends_the_run_with_a_sentence() -> None:
    task = Wav2Vec2Task(WAV2VEC2).train()
    with torch.no_grad():
        task.model.head.quantizer.choose.weight.zero_()
        task.model.head.quantizer.choose.bias[[0, 8]] = 50.0
    one = batch()
    out = task.outputs(one)
    used = task.losses("model", one, out)["entries"].value
    assert used == 1
    with pytest.raises(TrainingError, match=r"collapsed to 1\.0 of 8 entries"):
        for _ in range(100):
            task.losses("model", one, out)


def test_labels_are_cut_with_the_sound(tmp_path: Path) -> None:
    """Each frame's samples hold the frame's number, and so does its label."""
    frames = [400, 30, 90]
    sound = Cache.of(
        tmp_path / "sound", {}, [], lambda: ({"wave": np.repeat(np.arange(n, dtype=np.int16), 320)} for n in frames)
    )
    labels = Cache.of(tmp_path / "labels", {}, [], lambda: ({"ids": np.arange(n, dtype=np.int16)} for n in frames))
    crops = WaveCrops(WaveCropConfig(seconds=8.0, crop=2.0, least=1.0, gains_db=(0.0, 0.0)), 320, sound, [labels])
    begins = set()
    for step in range(20):
        one = crops(step)
        assert one.wave.shape == (4, 32000) and one.labels[0].shape == (4, 100)
        heard = (one.wave[:, ::320] * 32768).round().long()
        inside = torch.arange(100)[None] < one.lengths[:, None] // 320
        assert torch.equal(heard[inside], one.labels[0][inside])
        assert (one.labels[0][~inside] == -1).all() and (one.wave[:, ::320][~inside] == 0).all()
        begins |= set(one.labels[0][:, 0].tolist())
        assert one.seconds == float(one.lengths.sum()) / 16000
    assert len(begins) > 20, "crops begin anywhere"
    assert torch.equal(crops(3).wave, crops(3).wave)
    with pytest.raises(ManifestError, match="no recording lasts 9"):
        WaveCrops(WaveCropConfig(least=9.0), 320, sound)


def test_cepstra() -> None:
    config = MfccConfig()
    mfcc = config.build()
    wave = 0.1 * torch.randn(1, 16160)
    made = mfcc(wave)
    assert made.shape == (1, 39, 101) and config.dim == 39
    mel = mfcc.mel(wave)[0].double()
    cosines = torch.cos(torch.pi / 40 * (torch.arange(40) + 0.5)[None] * torch.arange(13)[:, None]).double()
    wanted = (cosines @ mel) * torch.tensor([(1 / 40) ** 0.5] + [(2 / 40) ** 0.5] * 12)[:, None]
    torch.testing.assert_close(made[0, :13].double(), wanted, atol=1e-4, rtol=1e-4)
    line = torch.arange(20.0).view(1, 1, 20)
    torch.testing.assert_close(slope(line, 2)[0, 0, 2:-2], torch.ones(16))
    (halved,) = cepstra(config, 320)([wave[0]])  # a hundred a second to fifty: of two frames the later
    assert torch.equal(halved, made[0, :, 1::2].T)


def test_recordings_that_are_looked_at_together_have_the_features_of_each_alone() -> None:
    torch.manual_seed(0)
    front = StridedMelFrontConfig(channels=4, dim=16, strides=(2, 1))
    encoder = replace(ENCODER, front=front).build().eval()
    waves = [0.1 * torch.randn(size) for size in (16000, 9999, 12345)]
    with torch.no_grad():
        together = of_layer(encoder, 1, "cpu")(waves)
        for wave, found in zip(waves, together, strict=True):
            torch.testing.assert_close(found, encoder(wave[None]).layers[1][0], atol=2e-5, rtol=1e-4)


def test_hubert_learns_by_heart() -> None:
    """Labels that the sound decides: the masked loss falls far below that of chance."""
    torch.manual_seed(0)
    tones = torch.sin(torch.arange(640)[None] * torch.tensor([[0.05], [0.2], [0.5], [1.0]]))

    def drawn(step: int) -> WaveBatch:
        order = torch.randint(4, (6, 5), generator=torch.Generator().manual_seed(step)).repeat_interleave(10, dim=1)
        wave = 0.2 * tones[order].reshape(6, -1)
        return WaveBatch(wave, torch.full((6,), wave.shape[1]), (order.repeat_interleave(2, dim=1)[:, :100],), 1.0)

    encoder = replace(ENCODER, front=StridedMelFrontConfig(channels=4, dim=32, strides=(2, 1)))
    config = HubertConfig(
        encoder=encoder, head=ClusterConfig(sizes=(4,), context=32, dim=16), mask=MaskConfig(starts=0.06, span=5)
    )
    task = HubertTask(config)
    run = fit(task, drawn, torch.optim.Adam(task.parameters(), 3e-3), steps=40)
    assert run.losses["right"] > 0.7


W2VBERT = W2vBertConfig(
    encoder=EncoderConfig(
        front=StridedMelFrontConfig(channels=4, dim=32),
        trunk=ConformerConfig(dim=32, layers=2, heads=2, kernel=5, dropout=0.0, positions="keys", centred=True),
        fill="random",
    ),
    below=1,
    head=ContrastiveConfig(
        quantizer=GumbelConfig(dim=32, groups=1, size=8, code_dim=8, anneal=0.9), context=32, dim=8, others=10
    ),
    mask=MaskConfig(span=4),
)


def test_w2v_bert_s_halves_teach_their_own_parts() -> None:
    torch.manual_seed(0)
    task = W2vBertTask(W2VBERT).train()
    one = batch()
    out = task.outputs(one)
    terms = task.losses("model", one, out)
    assert out.mask.shape == (2, 25) and float(W2VBERT.encoder.front.rate) == 25
    weights = dict(task.model.named_parameters())

    def touched(*names: str) -> set[str]:
        total = torch.stack([terms[name].value for name in names]).sum()
        found = torch.autograd.grad(total, list(weights.values()), allow_unused=True, retain_graph=True)
        return {name for name, value in zip(weights, found, strict=True) if value is not None and value.any()}

    below, above = touched("contrastive", "diversity"), touched("masked")
    assert not any(name.startswith("head.") for name in above), "ids come without a gradient"
    assert any(name.startswith("head.quantizer") for name in below)
    assert any(name.startswith("encoder.trunk.blocks.1") for name in above)
    assert not any(name.startswith(("encoder.trunk.blocks.1", "names")) for name in below)
    assert any(name.startswith("encoder.trunk.blocks.0") for name in above & below)


def test_w2v_bert_hides_frames_behind_noise_and_names_what_its_quantiser_says() -> None:
    torch.manual_seed(0)
    task = W2vBertTask(W2VBERT).train()
    one = batch()
    out = task.outputs(one)
    hidden = out.heard.layers[0][out.mask]
    assert hidden.unique(dim=0).shape == hidden.shape and 0.7 < hidden.std() < 1.3
    ids = task.model.head.quantizer.scores(out.heard.front[out.mask]).argmax(-1)[:, 0]
    scores = task.model.names(out.heard.last)[out.mask]
    wanted = torch.nn.functional.cross_entropy(scores, ids)
    torch.testing.assert_close(task.losses("model", one, out)["masked"].value, wanted)
    with pytest.raises(ConfigError, match="one group"):
        replace(W2VBERT, below=2).build()


def test_fine_tuning_freezes_the_front_always_and_the_layers_at_first() -> None:
    torch.manual_seed(0)
    config = CtcModelConfig(encoder=replace(ENCODER, front_gradient=0.0), symbols=("a", "b", "c"))
    task = CtcTask(config, frozen=2, time=MaskConfig(starts=0.1, span=3), channels=MaskConfig(starts=0.05, span=4))
    one = WrittenBatch(
        batch().wave, torch.tensor([16000, 12000]), torch.tensor([[1, 2, 3], [2, 1, 0]]), torch.tensor([3, 2]), 1.75
    )
    moved: list[set[str]] = []
    before = {name: weight.clone() for name, weight in task.model.named_parameters()}

    class Watch:
        def start(self, run: object) -> None: ...

        def step(self, run: object) -> None:
            now = dict(task.model.named_parameters())
            moved.append({name for name, value in before.items() if not torch.equal(value, now[name])})

        def end(self, run: object) -> None: ...

    weights = [weight for weight in task.parameters() if weight.requires_grad]
    run = fit(task, lambda step: one, torch.optim.Adam(weights, 3e-3), steps=4, hooks=(Watch(),))
    assert moved[1] == {"head.out.weight", "head.out.bias"}
    assert any(name.startswith("encoder.trunk") for name in moved[3])
    assert not any(name.startswith("encoder.front") for name in moved[3])
    assert run.losses["ctc"] > 0 and int(task.updates) == 4
    assert spelled(torch.tensor([0, 1, 1, 0, 1, 3, 3]), config.symbols) == ("a", "a", "c")


def test_a_control_that_learnt_nothing_before_learns_all_of_it_from_the_first_step() -> None:
    config = CtcModelConfig(encoder=replace(ENCODER, front_gradient=1.0), symbols=("a", "b"))
    task = CtcTask(config, frozen=100, fresh=True)
    one = WrittenBatch(batch().wave, torch.tensor([16000, 12000]), torch.tensor([[1, 2], [2, 1]]), torch.tensor([2, 2]))
    task.losses("model", one, task.outputs(one))["ctc"].value.backward()
    still = [name for name, weight in task.model.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still in ([], ["encoder.blank"])  # a batch may hide nothing


def test_numbers_of_the_papers() -> None:
    """What a run of the paper's size takes unless it is told otherwise."""
    for config, factor, least in ((wav2vec2.Wav2Vec2Config(), 0.1, 0.5), (wav2vec2.LARGE_CONFIG, 0.03, 0.1)):
        quantizer = config.head.quantizer
        assert config.encoder.front_gradient == factor and config.head.temperature == 0.1 and config.head.others == 100
        assert (quantizer.begin, quantizer.end, quantizer.anneal) == (2.0, least, 0.999995)
        assert (quantizer.groups, quantizer.size) == (2, 320) and (config.mask.starts, config.mask.span) == (0.065, 10)
    run = HubertRun(size="base")
    assert (run.fitting.starts, run.clusters, run.later, run.penalty) == (20, 100, 500, 10.0)
    assert (run.chosen.mask.starts, run.chosen.mask.span, run.chosen.encoder.front_gradient) == (0.08, 10, 0.1)
    xl = W2vBertRun(size="xl").chosen
    assert (xl.below, xl.encoder.trunk.layers, xl.head.quantizer.size) == (12, 24, 1024)
    assert float(xl.encoder.front.rate) == 25 and xl.encoder.fill == "random"


@pytest.mark.parametrize("run", [HubertRun(size="causal"), Wav2Vec2Run(size="causal"), W2vBertRun(size="causal")])
def test_each_method_has_a_causal_model_that_streams(run: Any) -> None:
    torch.manual_seed(0)
    encoder = run.chosen.build().encoder.eval()
    hop = encoder.timing.hop
    wave = 0.1 * torch.randn(1, 12 * hop)
    with torch.no_grad():
        whole, state = encoder(wave).last, encoder.init_state(1)
        pieces = [encoder.step(piece, state) for piece in wave.split([hop, 4 * hop, 7 * hop], dim=1)]
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-4, rtol=1e-4)
        changed = wave.clone()
        changed[:, 6 * hop :] += 0.1 * torch.randn(1, 6 * hop)
        frames = 6 * hop // run.chosen.encoder.front.hop
        assert torch.equal(encoder(changed).last[:, :frames], whole[:, :frames]), "nothing that comes after is heard"
    assert encoder.timing.latency_ms <= 200
    mask = torch.rand(1, whole.shape[1]) < 0.5
    assert encoder.train()(wave, mask=mask).last.isfinite().all()


def test_a_quantiser_begins_with_what_frames_differ_by():
    torch.manual_seed(0)
    frames = 5.0 * torch.randn(32) + 0.05 * torch.randn(2000, 32)  # as of a fresh net: nearly the same everywhere
    quantizer = GumbelConfig(dim=32, groups=1, size=64, code_dim=32).build().eval()
    assert float(quantizer(frames).hard) < 4, "all choose alike"
    quantizer.start(frames)
    assert float(quantizer(frames).hard) > 32
    assert float(quantizer.entries.mean(1).abs().max()) < 1e-5, "entries lie on all sides of nought"
    moved = quantizer.scores(frames)
    torch.testing.assert_close(moved.mean(0), torch.zeros_like(moved[0]), atol=0.05, rtol=0)


def test_a_share_of_nought_has_a_gradient() -> None:
    shares = torch.tensor([[0.5, 0.5, 0.0]], requires_grad=True)
    assert float(perplexity(shares).detach()) == pytest.approx(2.0)
    (found,) = torch.autograd.grad(perplexity(shares).sum(), shares)
    assert found.isfinite().all() and found[0, 2] > found[0, 0]


def test_contrastive_runs_begin_so_and_those_that_go_on_do_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    begun: list[int] = []
    monkeypatch.setattr(GumbelQuantizer, "start", lambda _, x: begun.append(len(x)))
    speech = miniature.recordings(tmp_path / "speech")
    w2vbert.debug(tmp_path / "run")
    assert len(begun) == 1
    model = w2vbert._sized(48, 1, 4, 16, 0.98)
    run = w2vbert.W2vBertRun(model=model, data=WaveCropConfig(seconds=8.0, crop=2.0), steps=2, warmup=1)
    w2vbert.train(run, speech, tmp_path / "on", start=tmp_path / "run")
    assert len(begun) == 1, "what was learnt is kept"
