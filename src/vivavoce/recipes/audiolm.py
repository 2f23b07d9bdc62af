"""How AudioLM is trained: its three stages and the durations between them, each on crops of a token corpus.

The corpus has the streams ``units`` and ``codes``. Nothing is shared, so the four may be trained side by side (``--set
stages=semantic,fine``) and put together afterwards: what is handed in (``--with coarse=FOLDER``) is not trained.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import torch

from vivavoce.assistant.demo import LINES
from vivavoce.assistant.token_corpora import corpus as make_corpus
from vivavoce.core import rng
from vivavoce.core.config import dump
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.parts import copy_part, load_part, read_card, save_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.streams import whole
from vivavoce.data.tokens import TokenCorpus
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.recipes.audiolm_data import StagePieces
from vivavoce.recipes.miniature import unit_corpus
from vivavoce.recipes.token_lm import GridRun, Measured, held_out, learn
from vivavoce.recipes.unit_vocoder import held_batch
from vivavoce.systems.audiolm import AudioLMConfig
from vivavoce.train import fit, warm_cosine
from vivavoce.train.recipe import Given, Recipe, begin_from, hooks
from vivavoce.train.tasks.vocoder import DurationsTask, HeldBatch

TRUNK = TransformerConfig(dim=512, layers=8, heads=8, kv_heads=8, hidden=1408, window=2500, dropout=0.1)
HELD = TransformerConfig(dim=256, layers=3, heads=4, kv_heads=4, hidden=704, window=3000, causal=False)
STAGES = ("semantic", "coarse", "fine")
PARTS = (*STAGES, "durations")
MEASURE_SECONDS = 45.0
"""How often dev is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLMRun:
    """Numbers of a run, on the first ``books`` of a codec, the first ``coarse_books`` of them in the second stage.

    ``crops`` are the seconds that each of the three sees, ``batches`` how many crops where that is not the same for
    all; ``stages`` says which are trained.
    """

    semantic: TransformerConfig = TRUNK
    coarse: TransformerConfig = TRUNK
    fine: TransformerConfig = TRUNK
    durations: TransformerConfig = HELD
    books: int = 8
    coarse_books: int = 3
    crops: tuple[float, ...] = (30.0, 10.0, 3.0)
    batches: tuple[int, ...] = ()
    stages: tuple[str, ...] = PARTS
    grids: GridRun = field(default_factory=lambda: GridRun(steps=20000, batch=16, lr=5e-4, warmup=500, ema=0.999))
    duration_steps: int = 2000
    seed: int = 1


def train(
    run: AudioLMRun, corpus: Path, units: Path, codec: Path, out: Path, *, start: Path | None = None,
    ready: Mapping[str, Path] = MappingProxyType({}), device: str = "cpu", say: Callable[[str], None] = print,
) -> dict[str, Measured]:  # fmt: skip
    """Trains the stages and writes the parts ``audiolm``, ``units`` and ``codec`` into ``out``.

    Those in ``ready`` are taken from the AudioLM in a folder as they are. Raises SpecError when the corpus was not made
    by these parts and ConfigError for a stage that there is not.
    """
    if unknown := sorted({*run.stages, *ready} - set(PARTS)):
        raise ConfigError(f"AudioLM has no stage {unknown[0]!r}; its stages are {', '.join(PARTS)}")
    learnt = [name for name in run.stages if name not in ready]
    tokens = TokenCorpus(corpus)
    found = {"units": load_part(units, "units").tokens, "codes": load_part(codec, "codec").tokens}
    for name, known in found.items():
        if tokens.spec(name) != known:
            raise SpecError(
                f"the corpus {corpus} has {tokens.spec(name)}, the part gives {known}; make the corpus again"
            )
    config = AudioLMConfig(
        units=found["units"], codes=found["codes"].first(run.books), coarse_books=run.coarse_books,
        semantic=run.semantic, coarse=run.coarse, fine=run.fine, durations=run.durations, seconds=run.crops[2],
    )  # fmt: skip
    torch.manual_seed(run.seed)
    model = config.build()
    if start is not None:
        begin_from(model, load_part(start, "audiolm"))
    for name, folder in ready.items():
        begin_from(getattr(model, name), getattr(load_part(folder, "audiolm"), name))
    train_on, held_on = tokens.of("train"), held_out(tokens, say)
    measured = {}
    for number, stage in enumerate(STAGES):
        if stage not in learnt:
            continue
        pieces = StagePieces(
            tokens, train_on, config, number, seconds=run.crops[number],
            rows=run.batches[number] if run.batches else run.grids.batch, seed=run.seed,
        )  # fmt: skip
        measured[stage] = learn(
            out / stage, f"audiolm, {stage}", getattr(model, stage), pieces, pieces.begun(held_on), run.grids,
            seed=run.seed, identity=config, device=device, measure_seconds=MEASURE_SECONDS,
        )  # fmt: skip

    def held_batches(step: int) -> HeldBatch:
        draw = rng.stream(run.seed, "audiolm", "durations", step)
        chosen = draw.choice(train_on, min(run.grids.batch, len(train_on)), replace=False)
        return held_batch([whole(config.units, tokens.items(int(index))["units"][None]) for index in chosen])

    if "durations" in learnt:
        task = DurationsTask(model.durations)
        fit(
            task, held_batches, torch.optim.AdamW(task.parameters(), lr=run.grids.lr), steps=run.duration_steps,
            hooks=hooks(out / "durations", "audiolm, durations", config),
            schedule=warm_cosine(run.duration_steps, run.grids.warmup), seed=run.seed, device=device,
            bf16=device != "cpu",
        )  # fmt: skip
    card = {
        "recipe": "vivavoce.recipes.audiolm",
        "settings": dump(run),
        "held_out": {
            **{name: read_card(folder, "audiolm").get("held_out", {}).get(name, {}) for name, folder in ready.items()},
            **{stage: one.card("", run)["held_out"] for stage, one in measured.items()},
        },
    }
    save_part(out, "audiolm", config, model.cpu(), card, torch.float16)
    copy_part(units, "units", out)
    copy_part(codec, "codec", out)
    return measured


# ---- the whole recipe, small ----

_SMALL = TransformerConfig(dim=96, layers=2, heads=4, kv_heads=4, hidden=192, window=600)
SMALL = AudioLMRun(
    semantic=_SMALL, coarse=_SMALL, fine=_SMALL,
    durations=TransformerConfig(dim=64, layers=1, heads=4, kv_heads=4, hidden=128, window=300, causal=False),
    books=3, coarse_books=2, crops=(30.0, 10.0, 1.0), duration_steps=40,
    grids=GridRun(steps=60, batch=2, lr=5e-3, warmup=5),
)  # fmt: skip
SAID = (LINES[0], LINES[3])
"""Two recordings that the miniature learns by heart."""


def debug(folder: Path) -> dict[str, float]:
    """Half a minute on a CPU: two recordings are learnt by heart; the second stage's loss before and after."""
    corpus, units = unit_corpus(folder, SAID, size=24)
    make_corpus(folder / "speech", [str(BUNDLED)], corpus)
    found = train(SMALL, corpus, units, BUNDLED, folder / "run")
    numbers = {"before": found["coarse"].before["tokens"], "after": found["coarse"].after["tokens"]}
    for stage, one in found.items():
        numbers |= {f"{stage} before": one.before["tokens"], f"{stage} after": one.after["tokens"]}
    return numbers


def _run(run: AudioLMRun, given: Given) -> None:
    others = given.others
    train(
        run, others["corpus"], others["units"], others["codec"], given.out, start=given.start,
        ready={name: others[name] for name in PARTS if name in others}, device=given.device, say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="audiolm",
    settings=AudioLMRun(),
    train=_run,
    debug=debug,
    needs={
        "corpus": "a token corpus with units and codes",
        "units": "the part that made the units",
        "codec": "the codec that it was made with",
    },
    takes={
        "from": "an AudioLM to go on from",
        **{name: f"an AudioLM whose stage {name} is taken as it is" for name in PARTS},
    },
)
