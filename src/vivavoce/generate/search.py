"""From phones to words while they are spoken: a beam search over a pronunciation tree and a word model.

Frame-synchronous token passing with the CTC topology (Graves 2012; time-synchronous decoding with a lexical tree, Ney
and Ortmanns 1999). All tokens are rows of arrays; one frame is a dozen array operations. A word's score is given as
early as the tree lets it be known (look-ahead after the word before), so that a narrow beam suffices.
"""

from dataclasses import dataclass, field

import numpy as np

from vivavoce.models.words import END, Tree, WordModel

_SURE_BLANK = np.log(0.999)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """Weights and widths; scores are in nats."""

    model_scale: float = 0.7
    word_bonus: float = 0.5
    beam: float = 12.0
    tokens: int = 1500
    doubt: float = 0.0
    """Share of every frame's probability that is spread over all symbols: a listener is surer than it is right."""

    def build(self, model: WordModel, tree: Tree) -> "Search":
        """The search."""
        return Search(self, model, tree)


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word with its times in frames of the listener's clock and how well the sound fits it, 0 to 1."""

    word: str
    start: int
    end: int
    confidence: float


@dataclass
class Hypotheses:
    """The living hypotheses."""

    node: np.ndarray
    history: np.ndarray
    blank: np.ndarray
    score: np.ndarray
    sound: np.ndarray
    record: np.ndarray
    begun: np.ndarray
    ahead: np.ndarray
    """What the word model is expected to give for the word that has begun."""

    def take(self, chosen: np.ndarray) -> "Hypotheses":
        """Some of them."""
        return Hypotheses(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


@dataclass
class SearchState:
    """Hypotheses, the words behind them, and the best sound score so far; one per turn, owned by the caller."""

    tokens: Hypotheses
    frame: int = 0
    free: float = 0.0
    columns: dict[str, list[np.ndarray]] = field(default_factory=dict)
    records: int = 1


class Search:
    """See the file's text. Immutable; any number of turns may run on it."""

    def __init__(self, config: SearchConfig, model: WordModel, tree: Tree) -> None:
        """Takes the arrays as they are."""
        self.config = config
        self.model = model
        self.tree = tree

    def init_state(self) -> SearchState:
        """Nothing heard."""
        one = np.zeros(1, np.int64)
        tokens = Hypotheses(
            one, one + self.model.start, np.ones(1, bool), np.zeros(1), np.zeros(1), one.copy(), one.copy(), np.zeros(1)
        )
        columns = {
            "word": [one + END], "previous": [one - 1], "begun": [one], "ended": [one], "sound": [np.zeros(1)],
            "free": [np.zeros(1)],
        }  # fmt: skip
        return SearchState(tokens, columns=columns)

    def advance(self, log_probs: np.ndarray, state: SearchState) -> None:
        """Takes the next frames, ``[T, V]`` log-probabilities with blank at 0."""
        blanks = log_probs[:, 0] > _SURE_BLANK
        if self.config.doubt:
            spread = np.log(self.config.doubt / log_probs.shape[1])
            log_probs = np.logaddexp(log_probs + np.log1p(-self.config.doubt), spread)
        for frame, blank in zip(log_probs, blanks, strict=True):
            state.free += float(frame.max())
            if blank:
                tokens = state.tokens
                tokens.score += frame[0]
                tokens.sound += frame[0]
                tokens.blank[:] = True
            else:
                self._frame(frame.astype(np.float64), state)
            state.frame += 1

    def _frame(self, log_probs: np.ndarray, state: SearchState) -> None:
        tree, config, old = self.tree, self.config, state.tokens
        phone = tree.phone[old.node]
        held = np.flatnonzero(~old.blank)
        counts = tree.child_begin[old.node + 1] - tree.child_begin[old.node]
        source = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
        child = tree.child[tree.child_begin[old.node[source]] + within]
        sound = log_probs[tree.phone[child]]
        most = (old.score - config.model_scale * old.ahead)[source] + sound  # whatever the word will be
        best = float((old.score + log_probs[0]).max())
        allowed = old.blank[source] | (tree.phone[child] != phone[source])
        possible = np.flatnonzero(allowed & (most > best - config.beam))
        source, child, sound, most = source[possible], child[possible], sound[possible], most[possible]
        ahead = tree.ahead(old.history[source], child)
        worth = most + config.model_scale * ahead
        moved = np.flatnonzero(worth > max(best, float(worth.max(initial=-np.inf))) - config.beam)
        source, child = source[moved], child[moved]
        fresh = old.node[source] == 0
        new = Hypotheses(
            np.concatenate((old.node, old.node[held], child)),
            np.concatenate((old.history, old.history[held], old.history[source])),
            np.concatenate((np.ones(len(counts), bool), np.zeros(len(held) + len(child), bool))),
            np.concatenate((old.score + log_probs[0], old.score[held] + log_probs[phone[held]], worth[moved])),
            np.concatenate(
                (old.sound + log_probs[0], old.sound[held] + log_probs[phone[held]], old.sound[source] + sound[moved])
            ),
            np.concatenate((old.record, old.record[held], old.record[source])),
            np.concatenate((old.begun, old.begun[held], np.where(fresh, state.frame, old.begun[source]))),
            np.concatenate((old.ahead, old.ahead[held], ahead[moved])),
        )
        new = self._prune(new)
        ended = self._ends(new, state)
        if ended is not None:
            both = (np.concatenate(pair) for pair in zip(_columns(new), _columns(ended), strict=True))
            new = self._prune(Hypotheses(*both))
        state.tokens = new

    def _ends(self, tokens: Hypotheses, state: SearchState) -> Hypotheses | None:
        """Hypotheses at the end of a word, begun anew at the root with the word behind them."""
        tree, config = self.tree, self.config
        counts = np.where(tokens.blank, 0, tree.end_begin[tokens.node + 1] - tree.end_begin[tokens.node])
        source = np.repeat(np.arange(len(counts)), counts)
        if not len(source):
            return None
        within = np.arange(len(source)) - np.repeat(np.cumsum(counts) - counts, counts)
        word = tree.end[tree.end_begin[tokens.node[source]] + within]
        score, follow = self.model.score(tokens.history[source], word)
        worth = tokens.score[source] + config.model_scale * (score - tokens.ahead[source]) + config.word_bonus
        kept = np.flatnonzero(worth > tokens.score.max() - config.beam)
        if not len(kept):
            return None
        source, word = source[kept], word[kept]
        numbers = state.records + np.arange(len(kept))
        state.records += len(kept)
        now = np.full(len(kept), state.frame)
        added = {
            "word": word, "previous": tokens.record[source], "begun": tokens.begun[source], "ended": now,
            "sound": tokens.sound[source], "free": np.full(len(kept), state.free),
        }  # fmt: skip
        for name, column in added.items():
            state.columns[name].append(column)
        zero = np.zeros(len(kept), np.int64)
        return Hypotheses(
            zero, follow[kept], zero == 0, worth[kept], tokens.sound[source], numbers, now, 0.0 * worth[kept]
        )

    def _prune(self, tokens: Hypotheses) -> Hypotheses:
        """The best of equal hypotheses, within the beam, at most so many."""
        inside = np.flatnonzero(tokens.score > tokens.score.max() - self.config.beam)
        if len(inside) > self.config.tokens:
            inside = inside[np.argpartition(-tokens.score[inside], self.config.tokens)[: self.config.tokens]]
        order = inside[np.argsort(-tokens.score[inside], kind="stable")]
        key = (tokens.node[order] * self.model.states + tokens.history[order]) * 2 + tokens.blank[order]
        return tokens.take(order[np.unique(key, return_index=True)[1]])

    def best(self, state: SearchState, *, final: bool) -> tuple[list[HeardWord], float]:
        """The best words so far and their score per frame; ``final`` also asks that the sentence may end here."""
        found = self.several(state, 1, final=final)
        return found[0] if found else ([], -np.inf)

    def several(self, state: SearchState, count: int, *, final: bool) -> list[tuple[list[HeardWord], float]]:
        """The best different word sequences, best first."""
        tokens = state.tokens
        worth = tokens.score.copy()
        if final:
            done = tokens.node == 0
            if done.any():
                ends = self.model.score(tokens.history, np.full(len(worth), END))[0]
                worth = np.where(done, worth + self.config.model_scale * ends, -np.inf)
        columns = {name: np.concatenate(parts) for name, parts in state.columns.items()}
        for name, column in columns.items():
            state.columns[name] = [column]
        given: list[tuple[list[HeardWord], float]] = []
        seen: set[tuple[str, ...]] = set()
        for place in np.argsort(-worth):
            if len(given) == count or worth[place] == -np.inf:
                break
            words = self._trace(int(tokens.record[place]), columns)
            line = tuple(word.word for word in words)
            if line not in seen:
                seen.add(line)
                given.append((words, float(worth[place])))
        return given

    def _trace(self, record: int, columns: dict[str, np.ndarray]) -> list[HeardWord]:
        words: list[HeardWord] = []
        while record > 0:
            before = int(columns["previous"][record])
            lost = (columns["sound"][record] - columns["sound"][before]) - (
                columns["free"][record] - columns["free"][before]
            )
            begun, ended = int(columns["begun"][record]), int(columns["ended"][record]) + 1
            text = self.model.vocabulary[int(columns["word"][record])]
            fit = float(np.exp(lost / max(ended - begun, 3) * 3))
            words.append(HeardWord(text, begun, ended, round(min(fit, 1.0), 3)))
            record = before
        return words[::-1]


def _columns(tokens: Hypotheses) -> list[np.ndarray]:
    return [getattr(tokens, name) for name in tokens.__dataclass_fields__]
