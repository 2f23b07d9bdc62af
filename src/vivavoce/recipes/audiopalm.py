"""How AudioPaLM is trained: a chat model learns the tasks of its tags, and goes on reading text beside them.

The corpus has the stream ``units`` on its clock. Recognition and synthesis are made of every utterance with a text;
answers (S2T, S2S, chained) of questions and answers in pairs (``--with pairs=FILE``). ``--with text=FILE`` has a text
or a conversation (a JSON list of messages) a line: a tenth is held out, and the loss on it, before and after, is in the
card.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vivavoce.assistant.demo import LINES
from vivavoce.core import rng
from vivavoce.core.errors import ConfigError, SpecError, TrainingError
from vivavoce.core.layout import Grid
from vivavoce.core.parts import copy_part, load_part, save_part
from vivavoce.data.lines import text_pieces
from vivavoce.data.tokens import TokenCorpus
from vivavoce.hub.chat_text import ChatText
from vivavoce.hub.text_model import load_text_model
from vivavoce.models.trunk import grow
from vivavoce.recipes.miniature import chat_model, unit_corpus
from vivavoce.recipes.token_lm import FreshTrunk, GridRun, Measured, held_out, learn, pairs_of
from vivavoce.systems.audiopalm import TEXT, AudioPaLMConfig
from vivavoce.train.recipe import Given, Recipe
from vivavoce.train.tasks.alphabets import AlphabetTask
from vivavoce.train.tasks.grid import GridBatch, collate

ALONE, PAIRED = ("ASR", "TTS"), ("ASR", "ASR S2T", "ASR S2T S2S", "S2T", "S2S")
_HELD_TEXT = 10
"""Every so many-th line of text is held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPaLMRun:
    """Numbers of a run. A task counts by its weight (1 where nothing is said) times its examples, ``cap`` at most.

    ``weights`` as in ``("ASR=2", "text=0.5")``. ``dropout`` is in the trunk, ``scratch`` leaves the chat model's
    weights out: the control of what they are worth. ``fresh`` is another trunk with fresh weights, which takes the chat
    model's text only.
    """

    tasks: tuple[str, ...] = (*ALONE, "ASR S2T", "ASR S2T S2S", TEXT)
    weights: tuple[str, ...] = ()
    cap: int = 20000
    language: str = "English"
    window: int = 2048
    dropout: float = 0.1
    scratch: bool = False
    fresh: FreshTrunk = FreshTrunk()
    grids: GridRun = field(default_factory=lambda: GridRun(steps=10000, batch=16, lr=5e-5, warmup=200))
    seed: int = 1


def shares(counts: Mapping[str, int], weights: Mapping[str, float], cap: int) -> dict[str, float]:
    """How often each task is drawn: its weight times its examples, ``cap`` at most, so that none drowns the others.

    ConfigError where nothing can be drawn.
    """
    raw = {task: weights.get(task, 1.0) * min(count, cap) for task, count in counts.items()}
    total = sum(raw.values())
    if total <= 0:
        raise ConfigError(f"no task has examples and a weight: {dict(counts)}; give texts, pairs or other weights")
    return {task: value / total for task, value in raw.items()}


def train(
    run: AudioPaLMRun, corpus: Path, units: Path, llm: str | Path, out: Path, *, pairs: Path | None = None,
    text: Path | None = None, acoustic: Path | None = None, device: str = "cpu", say: Callable[[str], None] = print,
) -> Measured:  # fmt: skip
    """Trains and writes the parts ``audiopalm`` and ``units``, the chat text, and an acoustic model's into ``out``.

    Raises SpecError when the corpus was not made by these units, TrainingError when a task has nothing to learn from.
    """
    tokens, known = TokenCorpus(corpus), load_part(units, "units").tokens
    if tokens.spec("units") != known:
        raise SpecError(
            f"the corpus {corpus} has {tokens.spec('units')}, the part gives {known}; make the corpus again"
        )
    found = load_text_model(llm, run.window)
    config = AudioPaLMConfig(
        text=found.text.tokens, units=known, trunk=replace(run.fresh.of(found.lm.config.trunk), dropout=run.dropout),
        tied=found.lm.config.tied, languages=(run.language,),
    )  # fmt: skip
    torch.manual_seed(run.seed)
    model = config.build()
    if not run.scratch and not run.fresh.dim:
        model.lm.load_state_dict(grow(found.lm, config.whole, config.text).state_dict())
    examples = _Examples(run, tokens, config, found.text)
    texts = [] if text is None else examples.texts(text)
    kept = [grid for number, grid in enumerate(texts) if number % _HELD_TEXT] or texts
    held_texts = texts[::_HELD_TEXT]
    dev = held_out(tokens, say)
    chosen = [] if pairs is None else pairs_of(pairs, tokens)
    apart = set(tokens.of("dev"))
    learnt = [pair for pair in chosen if not apart & set(pair)]
    sources: dict[str, Sequence[tuple[int, ...]]] = {}
    held: list[Grid] = []
    for task in run.tasks:
        if task == TEXT:
            continue
        paired = "S2" in task
        if paired and not learnt:
            raise TrainingError(f"the task {task!r} needs questions and answers: --with pairs=FILE, or other tasks")
        written = [(index,) for index in tokens.of("train") if tokens.utterances[index].text]
        sources[task] = learnt if paired else written
        for one in ([pair for pair in chosen if apart & set(pair)] or learnt) if paired else [(n,) for n in dev]:
            held.append(examples.grid(task, one))
    counts = {task: len(source) for task, source in sources.items()}
    if TEXT in run.tasks:
        counts[TEXT] = len(kept)
    drawn = shares(counts, _weights(run), run.cap)
    say("  ".join(f"{task}: {share:.1%}" for task, share in drawn.items()))

    def batches(step: int) -> GridBatch:
        draw = rng.stream(run.seed, "audiopalm", step)
        tasks = draw.choice(list(drawn), run.grids.batch, p=list(drawn.values()))
        made = [examples.drawn(str(task), sources, kept, draw) for task in tasks]
        return collate([grid for grid, _ in made], seconds=sum(seconds for _, seconds in made))

    measured = learn(
        out, "audiopalm", model, batches, held, run.grids, seed=run.seed, identity=config, device=device,
        others={"text": held_texts}, makes=lambda model: AlphabetTask(model, config.whole),
    )  # fmt: skip
    save_part(out, "audiopalm", config, model, measured.card("audiopalm", run, shares=drawn), torch.float16)
    found.text.save(out)
    copy_part(units, "units", out)
    for part in ("audiolm", "codec") if acoustic is not None else ():
        copy_part(acoustic, part, out)  # type: ignore[arg-type]
    return measured


def _weights(run: AudioPaLMRun) -> dict[str, float]:
    found = {}
    for one in run.weights:
        task, _, value = one.rpartition("=")
        try:
            found[task] = float(value)
        except ValueError as error:
            raise ConfigError(f"cannot read the weight {one!r}; write it as TASK=NUMBER") from error
        if task not in run.tasks or not 0 <= found[task] < float("inf"):
            raise ConfigError(f"the weight {one!r} is of no task or below 0; the tasks are {', '.join(run.tasks)}")
    return found


@dataclass(frozen=True, slots=True)
class _Examples:
    """Utterances, pairs and lines as grids."""

    run: AudioPaLMRun
    tokens: TokenCorpus
    config: AudioPaLMConfig
    text: ChatText

    def ids(self, text: str) -> Tensor:
        return torch.tensor([self.text.plain(text)], dtype=torch.long)

    def grid(self, task: str, chosen: tuple[int, ...]) -> Grid:
        """A task, single or combined, of an utterance or of a question and its answer."""
        steps = task.split()
        first, last = chosen[0], chosen[-1]
        asked, answered = (self.tokens.utterances[index].text or "" for index in (first, last))
        made = {"ASR": self.ids(asked), "TTS": self.units(first), "S2T": self.ids(answered), "S2S": self.units(last)}
        if missing := [step for step in steps if step not in made]:
            raise TrainingError(f"this recipe has no examples of {missing[0]!r}; it makes {', '.join(made)}")
        source = self.ids(asked) if steps[0] == "TTS" else self.units(first)
        tag = self.ids(self.config.tag(steps, [self.run.language]))
        items = {"tag": tag, "source": source} | {step: made[step] for step in steps}
        return self.config.layout(steps).pack(items)

    def units(self, index: int) -> Tensor:
        return self.tokens.items(index)["units"]

    def drawn(
        self, task: str, sources: Mapping[str, Sequence[tuple[int, ...]]], texts: Sequence[Grid],
        draw: np.random.Generator,
    ) -> tuple[Grid, float]:  # fmt: skip
        """One example of a task, and how long its recordings last."""
        if task == TEXT:
            return texts[int(draw.integers(len(texts)))], 0.0
        chosen = sources[task][int(draw.integers(len(sources[task])))]
        return self.grid(task, chosen), sum(self.tokens.utterances[index].seconds for index in chosen)

    def texts(self, path: Path) -> list[Grid]:
        """The lines of a file; TrainingError when there are none or one cannot be read."""
        layout, most = self.config.layout(()), self.config.trunk.window - 2
        pieces = text_pieces(path, self.text, most)
        return [layout.pack({TEXT: torch.tensor([[*given, *learnt]])}) for given, learnt in pieces]


# ---- the whole recipe, small ----

SAID = (LINES[0], *LINES[2:4])
SMALL = AudioPaLMRun(
    window=600, dropout=0.0, grids=GridRun(steps=160, batch=5, lr=4e-3, warmup=5),
    tasks=("ASR", "TTS", "ASR S2T", "ASR S2T S2S", TEXT), cap=4,
)  # fmt: skip


def debug(folder: Path) -> dict[str, float]:
    """Half a minute on a CPU: three recordings are learnt by heart in all tasks, beside a few lines of text."""
    corpus, units = unit_corpus(folder, SAID)
    llm = chat_model(folder / "llm", dim=96, window=600)
    utterances = TokenCorpus(corpus).utterances
    lines = [{"question": a.id, "answer": b.id} for a, b in pairwise(utterances)]
    (folder / "pairs.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    chat = json.dumps([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day."}])
    (folder / "text.txt").write_text(f"The counter opens at nine.\n{chat}\n" * 6)
    found = train(SMALL, corpus, units, llm, folder / "run", pairs=folder / "pairs.jsonl", text=folder / "text.txt")
    return {
        "before": found.before["tokens"], "after": found.after["tokens"], "right": found.after["right"],
        "text before": found.before["text"], "text after": found.after["text"],
    }  # fmt: skip


def _run(run: AudioPaLMRun, given: Given) -> None:
    others = given.others
    train(
        run, others["corpus"], others["units"], others["llm"], given.out, pairs=others.get("pairs"),
        text=others.get("text"), acoustic=others.get("acoustic"), device=given.device, say=given.say,
    )  # fmt: skip


RECIPE = Recipe(
    part="audiopalm",
    settings=AudioPaLMRun(),
    train=_run,
    debug=debug,
    needs={
        "corpus": "a token corpus with units",
        "units": "the part that made them",
        "llm": "the chat model that it starts from, by name or folder",
    },
    takes={
        "pairs": "questions and answers, JSON lines of ids",
        "text": "text and conversations that it goes on reading, a line each",
        "acoustic": "an AudioLM of these units, to be put beside the model",
    },
)
