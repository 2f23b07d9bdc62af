"""``vivavoce eval tokens``: what tokens are, what they tell, and what comes back out of them, beside controls.

One table per tokenizer. Phones of people are where our aligner finds them, those of flite where it says they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from vivavoce.audio.pitch import track_pitch
from vivavoce.core.errors import ConfigError
from vivavoce.core.parts import load_part
from vivavoce.core.places import BUNDLED
from vivavoce.core.progress import Log
from vivavoce.data.sentences import sentences
from vivavoce.evals import abx, intervals, token_probes, token_statistics
from vivavoce.evals.report import Report, Row, Table, names_of
from vivavoce.evals.token_gate import Shown, Verdict, verdicts
from vivavoce.evals.token_sound import sound_rows
from vivavoce.evals.tokenizers import Tokenizer, controls, opened, shuffled, without_twins
from vivavoce.evals.tokens_speech import LABEL_RATE, RATE, Said, contrasts, machines, people
from vivavoce.evals.word_errors import distance
from vivavoce.hub.whisper import whisper_of
from vivavoce.models.listener import Listener
from vivavoce.nn.kmeans import FitConfig, fit

PARTS = ("meaning", "sound")
GATE = "gate"
"""A part that stands for itself: only what the gate asks, of candidates and of what must fail it."""
_CENTRES = 200
_SENTENCES_SEED = 7
_LEAST_CONTRASTS = 30
"""Below it an ABX error is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSuite:
    """How much is listened to: seconds of training speech for probes, of dev audiobooks; flite's sentences per voice;
    clips that are decoded; and by whom these are heard (a Whisper of ``vivavoce models``)."""

    heard_seconds: float = 3600.0
    book_seconds: float = 420.0
    sentences: int = 16
    clips: int = 20
    ears: str = ""
    budget: token_probes.ProbeBudget = token_probes.ProbeBudget()
    parts: tuple[str, ...] = PARTS
    seed: int = 1


@dataclass(slots=True)
class Material:
    """What everything is measured on."""

    heard: list[Said]
    groups: dict[str, list[Said]]
    machines: list[Said]
    octaves: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def unheard(self) -> list[Said]:
        """All recordings of dev people."""
        return [one for group in self.groups.values() for one in group]


@dataclass(slots=True)
class Found:
    """What was measured of one tokenizer."""

    table: Table
    errors: dict[str, list[int]] = field(default_factory=dict)
    shown: Shown | None = None
    verdicts: list[Verdict] = field(default_factory=list)


def material(suite: TokenSuite, speech: Path, kept: Path, listener: Listener, say: Log) -> Material:
    """Recordings with their phones; ConfigError where there are none of a kind."""
    heard = people(speech, "train", suite.heard_seconds, listener, kept, say)
    groups = {
        "AN4": people(speech, "dev", 600.0, listener, kept, say, source="an4"),
        "audiobooks": people(speech, "dev", suite.book_seconds, listener, kept, say, source="librispeech-mp3"),
    }
    groups = {name: group for name, group in groups.items() if group}
    if not groups:
        groups = {"dev": people(speech, "dev", suite.book_seconds, listener, kept, say)}
    if not heard or not all(groups.values()):
        raise ConfigError(f"{speech} needs English train and dev recordings with texts for tokens to be measured on")
    return Material(heard, groups, machines([*contrasts(), *sentences(suite.sentences, _SENTENCES_SEED)]))


def run(
    suite: TokenSuite, choices: Sequence[str], speech: Path, kept: Path, say: Log
) -> tuple[Report, dict[str, Found]]:
    """Measures the chosen folders beside the shipped codec and the controls.

    Raises PartError for what is not there, ConfigError for one that is given twice or of which nothing would be
    measured, before anything is.
    """
    if suite.ears and "sound" in suite.parts:
        whisper_of(suite.ears)  # what is not here is said before the work, not behind it
    listener: Listener = load_part(BUNDLED, "listener")
    telling = not {"meaning", GATE}.isdisjoint(suite.parts)
    todo: list[Tokenizer] = []
    for name, choice in zip(names_of(choices), choices, strict=True):
        todo += (own := opened(choice, name=name))
        if not telling and not any(one.resynthesize for one in own):
            raise ConfigError(f"{choice} makes no sound; measure --only meaning, or give a codec that has these units")
        if "sound" not in suite.parts and all(one.only_sound for one in own):
            raise ConfigError(f"{choice} takes recordings in chunks, of which only the sound is measured; --only sound")
    units = [one for one in todo if one.gated]
    todo += opened(str(BUNDLED), shipped=True)
    todo = without_twins([*todo, *(shuffled(one) for one in units), *controls(listener)])
    if GATE in suite.parts:
        todo = [one for one in todo if one.gated]
    elif not telling:
        todo = [one for one in todo if one.resynthesize]
    about = {
        "tokenizers": list(choices), "parts": list(suite.parts), "heard_seconds": suite.heard_seconds,
        "steps": suite.budget.steps, "clips": suite.clips, "ears": suite.ears,
    }  # fmt: skip
    report, found = Report("tokens", about), {one.name: Found(Table(one.name, _being(one))) for one in todo}
    if telling:
        given = material(suite, speech, kept, listener, say)
        heard = _listened(listener, given)
        told = [one for one in todo if not one.only_sound]
        for one in told:
            _meaning(one, given, suite, found[one.name])
            say(f"{one.name}: {_summary(found[one.name])}")
        for one in told:
            _judge(one, found, given, heard)
    if "sound" in suite.parts:
        for name, rows in sound_rows([one for one in todo if one.resynthesize], suite, speech, say).items():
            if name in found:
                found[name].table.rows += rows
            else:
                report.tables.append(Table(name, rows))
    report.tables += [one.table for one in found.values()]
    return report, found


def _row(name: str, value: float | None, unit: str = "", floor: str = "", remark: str = "") -> Row:
    estimate = None if value is None else intervals.Estimate(value, value, value, 1)
    return Row(name=name, value=estimate, unit=unit, floor=floor, remark=remark)


def _being(one: Tokenizer) -> list[Row]:
    bits = one.bits_per_second
    late = "takes whole recordings" if one.latency_ms is None else "computed, without the time it takes to compute"
    return [
        _row("frames per second", one.rate),
        _row("books", float(one.books) if one.size else None),
        _row("ids per book", float(one.size) if one.size else None),
        _row("bit rate", None if bits is None else bits / 1000, "kbit/s"),
        _row("latency", one.latency_ms, "ms", remark=late),
    ]


def _summary(found: Found) -> str:
    return "; ".join(f"{row.name} {row.shown()}" for row in found.table.rows[5:] if row.value is not None)


def _meaning(one: Tokenizer, given: Material, suite: TokenSuite, found: Found) -> None:
    """Statistics, ABX and probes."""
    said = {"heard": given.heard, **given.groups, "machines": given.machines}
    frames = {name: [one.encode(clip.wave) for clip in group] for name, group in said.items()}
    rows, size = found.table.rows, one.size
    heard = [(x, clip.labels, clip.phones) for x, clip in zip(frames["heard"], given.heard, strict=True)]
    every = [x for name in given.groups for x in frames[name]]
    wanted = [clip.phones for clip in given.unheard]
    errors = token_probes.phone_errors(heard, every, wanted, one.rate, size, suite.budget, one.stand_for)
    for name, group in given.groups.items():
        first = sum(len(given.groups[other]) for other in list(given.groups)[: list(given.groups).index(name)])
        found.errors[name] = errors[first : first + len(group)]
        estimate = intervals.ratio(found.errors[name], [len(clip.phones) for clip in group])
        rows.append(Row(name=f"phone errors of a probe, {name}", value=estimate, floor="≤ 40 %"))
    ids = {name: [x[:, 0].numpy() for x in group] for name, group in frames.items()} if size else None
    if ids is None and one.control:
        book = fit(torch.cat(frames["heard"]), _CENTRES, FitConfig(starts=2, trial_steps=10, steps=60, batch=4096))
        ids, size = {name: [book(x).numpy() for x in group] for name, group in frames.items()}, _CENTRES
        rows.append(_row("k-means of it, centres", float(_CENTRES)))
    if ids is not None:
        rows += _statistics(ids, size, one, given, found)
    if one.size and one.books > 1:
        rows += _books(torch.cat(every).numpy(), one)
    if GATE in suite.parts:
        return
    if one.books == 1 or not one.size:
        rows += _distances(frames, one, given)
    rows += _leaks(frames, one, given)


def _statistics(
    ids: dict[str, list[np.ndarray]], size: int, one: Tokenizer, given: Material, found: Found
) -> list[Row]:
    unheard = [x for name in given.groups for x in ids[name]]
    use = token_statistics.use(np.concatenate(unheard), size)
    whole = token_statistics.grams(ids["heard"], unheard, size)
    runs, unheard_runs = ([token_statistics.merged(x) for x in part] for part in (ids["heard"], unheard))
    short = token_statistics.grams(runs, unheard_runs, size)
    labels = [clip.labels for clip in given.unheard]
    pnmi, purity = token_statistics.pnmi_and_purity(unheard, labels, one.rate, float(LABEL_RATE))
    tokens = sum(len(token_statistics.merged(x)) for x in unheard)
    phones = sum(len(clip.phones) for clip in given.unheard)
    found.shown = Shown(phone_errors={}, teacher_errors={}, gain_nats=short.gain, repeats=whole.repeats, rate=one.rate)
    return [
        _row("ids in use, first book", use.entries / size, "%"),
        _row("perplexity of use, first book", use.perplexity),
        _row("frames that repeat the one before", whole.repeats, "%"),
        _row("unigram", whole.unigram, "nats"),
        _row("bigram", whole.bigram, "nats"),
        _row("unigram without repeats", short.unigram, "nats"),
        _row("bigram without repeats", short.bigram, "nats"),
        _row("— gained by the token before", short.gain, "nats", floor="≥ 1"),
        _row("bits per phone, bigram without repeats", short.bigram / np.log(2) * tokens / phones, "bit"),
        _row("phone-normalised mutual information", pnmi),
        _row("phone purity", purity, "%"),
    ]


def _books(ids: np.ndarray, one: Tokenizer) -> list[Row]:
    """How all books together are used; ids Int[T, K] of unheard recordings."""
    uses = [token_statistics.use(book, one.size) for book in ids.T]
    return [
        _row("ids in use, mean of the books", float(np.mean([use.entries for use in uses])) / one.size, "%"),
        _row("perplexity of use, mean of the books", float(np.mean([use.perplexity for use in uses]))),
        _row(
            "entropy of use, all books", one.rate * sum(use.bits for use in uses) / 1000, "kbit/s",
            remark="what coding each id by how often it is used would leave of the bit rate",
        ),
    ]  # fmt: skip


def _distances(frames: dict[str, list[torch.Tensor]], one: Tokenizer, given: Material) -> list[Row]:
    """ABX: triphones of flite's voices, phones in any context of people."""

    def stretches(group: str, clips: list[Said], context: bool) -> list[abx.SaidPhone]:
        made = []
        for x, clip in zip(frames[group], clips, strict=True):
            own = x[:, 0].numpy() if one.size else x.numpy()
            for phone, around, begin, end in clip.stretches():
                first = int(begin * one.rate / LABEL_RATE)
                last = max(first + 1, int(np.ceil(end * one.rate / LABEL_RATE)))
                if first < len(own):
                    made.append(abx.SaidPhone(phone, around if context else (), clip.speaker, own[first:last]))
        return made

    def contrast(name: str, error: float | None, contrasts: int) -> Row:
        return _row(name, error if contrasts >= _LEAST_CONTRASTS else None, "%", remark=f"{contrasts} contrasts")

    near = abx.abx(stretches("machines", given.machines, True), most=3)
    real = abx.abx([s for name, group in given.groups.items() for s in stretches(name, group, False)], most=3)
    return [
        contrast("ABX errors within a voice (flite, triphones)", near.within, near.contrasts[0]),
        contrast("ABX errors across voices (flite, triphones)", near.across, near.contrasts[1]),
        contrast("ABX errors within a speaker (people, any context)", real.within, real.contrasts[0]),
        contrast("ABX errors across speakers (people, any context)", real.across, real.contrasts[1]),
    ]


def _leaks(frames: dict[str, list[torch.Tensor]], one: Tokenizer, given: Material) -> list[Row]:
    """How much of voice and melody is in it."""

    def pooled(x: torch.Tensor) -> np.ndarray:
        if not one.size:
            return torch.cat((x.mean(0), x.std(0))).numpy()
        counts = [torch.bincount(book, minlength=one.size).float() / len(x) for book in x.T[:1]]
        return torch.cat(counts).sqrt().numpy()

    clips = [(x, clip) for name, group in given.groups.items() for x, clip in zip(frames[name], group, strict=True)]
    right, guessed = token_probes.speaker_share([pooled(x) for x, _ in clips], [clip.speaker for _, clip in clips])
    contrast = intervals.share(right) if right else None
    melody = [(x, clip) for x, clip in zip(frames["machines"], given.machines, strict=True)]
    octaves, inputs = [], []
    for x, clip in melody:
        octaves.append(_octaves(clip, one.rate, len(x), given))
        inputs.append(x[:, 0].numpy() if one.size else x.numpy())
    return [
        Row(name="speakers told by a probe (people)", value=contrast, remark=f"guessing: {100 * guessed:.0f} %"),
        _row("melody told by a probe, R² (flite)", token_probes.pitch_share(inputs, octaves, one.size)),
    ]


def _octaves(clip: Said, rate: float, frames: int, given: Material) -> np.ndarray:
    """Pitch in octaves from the recording's mean at the middle of each frame."""
    if clip.id not in given.octaves:
        hz = track_pitch(clip.wave, RATE).hz.numpy().astype(float)
        with np.errstate(divide="ignore"):
            known = np.where(hz > 0, np.log2(hz), np.nan)
        given.octaves[clip.id] = known - (np.nanmean(known) if (hz > 0).any() else 0.0)
    known = given.octaves[clip.id]
    return known[np.minimum(((np.arange(frames) + 0.5) * 100 / rate).astype(int), len(known) - 1)]


@torch.no_grad()
def _listened(listener: Listener, given: Material) -> dict[str, list[int]]:
    """Greedy errors of the listener itself, which hears as it does while somebody speaks."""
    found: dict[str, list[int]] = {}
    for name, group in given.groups.items():
        found[name] = []
        for clip in group:
            best = torch.unique_consecutive(listener.listen(clip.wave[None], chunk=None).ctc[0].argmax(-1)).tolist()
            found[name].append(distance(list(clip.phones), [symbol for symbol in best if symbol]))
    return found


def _judge(one: Tokenizer, found: dict[str, Found], given: Material, own: dict[str, list[int]]) -> None:
    """The gate's verdicts. A teacher's errors are the probe's on what the ids were made of, and no more than the
    listener's own, which stand for them where the vectors were not measured."""
    here = found[one.name]
    if here.shown is None or not one.gated:
        return
    totals = {name: sum(len(clip.phones) for clip in group) for name, group in given.groups.items()}
    shares = {name: sum(wrong) / totals[name] for name, wrong in here.errors.items()}
    teacher: dict[str, float] = {}
    if one.teacher:
        teacher = {name: sum(wrong) / totals[name] for name, wrong in own.items()}
    if one.teacher in found:
        probed = {name: sum(wrong) / totals[name] for name, wrong in found[one.teacher].errors.items()}
        teacher = {name: min(share, probed[name]) for name, share in teacher.items()}
    here.shown = replace(here.shown, phone_errors=shares, teacher_errors=teacher)
    here.verdicts = verdicts(here.shown)
    here.table.rows += [
        _row(f"gate: {verdict.what}", None, remark="holds" if verdict.holds else "does not hold")
        for verdict in here.verdicts
    ]


def passed(found: Found) -> bool:
    """Whether all of the gate's conditions hold."""
    return bool(found.verdicts) and all(verdict.holds for verdict in found.verdicts)


def gate_text(todo: dict[str, Found]) -> tuple[list[str], bool]:
    """What the gate says of each, and whether it says what it should: candidates pass, controls do not."""
    lines, right = [], True
    for name, found in todo.items():
        if found.verdicts:
            control = name.endswith(", shuffled") or name.startswith("shipped codec")
            through = passed(found)
            right = right and through != control
            lines.append(f"{name}{' (control)' if control else ''}: {'passes' if through else 'does not pass'}")
            lines += [f"  {'+' if verdict.holds else '-'} {verdict.what}" for verdict in found.verdicts]
    return lines, right


@dataclass(frozen=True, slots=True)
class _Panel:
    """A picture's part: a row of the report over another one, with lines where something is asked."""

    below: str
    beside: str
    across: str
    up: str
    asked: tuple[float | None, float | None] = (None, None)


_ERRORS = "phone errors of a probe"
_TOLD = (
    _Panel("bit rate", "kbit/s", _ERRORS, "phone errors of a probe, %", (None, 40.0)),
    _Panel(
        "— gained by the token before", "nats gained by the token before, repeats taken out", _ERRORS,
        "phone errors of a probe, %", (1.0, 40.0),
    ),
)  # fmt: skip
_HEARD = tuple(
    _Panel("bit rate", "kbit/s", f"{name}, ", label)
    for name, label in (("PESQ-WB", "PESQ-WB"), ("STOI", "STOI"), ("word errors", "word errors, %"))
)


def draw(report: Report, path: Path) -> None:
    """A picture of what was measured: phone errors beside bits and beside what the token before tells; quality and
    words of the sound beside bits. Several groups of recordings are one mean."""
    from matplotlib.figure import Figure

    from vivavoce.core.atomic import atomic_write

    known = {table.title: {row.name: row for row in table.rows if row.value is not None} for table in report.tables}
    panels = [panel for panel in (*_TOLD, *_HEARD) if any(_point(panel, rows) for rows in known.values())]
    figure = Figure(figsize=(5.5 * max(len(panels), 1), 5), layout="constrained")
    for panel, axis in zip(panels, np.atleast_1d(figure.subplots(1, max(len(panels), 1))), strict=False):
        for number, (name, rows) in enumerate(known.items()):
            if point := _point(panel, rows):
                axis.plot(*point, "x" if "shuffled" in name else "o", color=f"C{number % 10}")
                axis.annotate(name, point, fontsize=7, xytext=(3, 3), textcoords="offset points")
        axis.set_xlabel(panel.beside)
        axis.set_ylabel(panel.up)
        if panel.below == "bit rate":
            axis.set_xscale("log")
            places = sorted({point[0] for rows in known.values() if (point := _point(panel, rows))})
            axis.set_xticks(places, [f"{place:.3g}" for place in places])
            axis.minorticks_off()
        for line, drawn in zip(panel.asked, (axis.axvline, axis.axhline), strict=True):
            if line is not None:
                drawn(line, color="grey", linewidth=0.5)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def _point(panel: _Panel, rows: Mapping[str, Row]) -> tuple[float, float] | None:
    """Where a tokenizer stands; shares are shown in hundreds."""
    found = [
        (100 if row.unit == "%" else 1) * row.value.value
        for name, row in rows.items()
        if name.startswith(panel.across) and row.value is not None
    ]
    place = rows.get(panel.below)
    return (place.value.value, float(np.mean(found))) if found and place is not None and place.value else None
