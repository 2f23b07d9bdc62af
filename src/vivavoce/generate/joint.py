"""Writing by two judges: a language model, and an ear that spells (CTC).

Joint decoding (arXiv:1706.02737 §4): a beam of texts grows token by token; each token is scored by the language model
and by how likely the ear's pieces go on with its spelling, summed over all that may follow. The model writes tokens of
its own and the ear spells in shorter pieces, so a tree holds what every token is spelled with. When a text ends is said
by the ear alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vivavoce.core.errors import ConfigError
from vivavoce.models.lm import StreamLM
from vivavoce.nn.transformer import TransformerState

_NEVER = -1e30
_ROOM = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class JointConfig:
    """``model`` is the weight of the language model's log-probabilities beside the ear's, ``bonus`` nats are given to
    each piece that is spelled. The ear's are multiplied by ``ear`` first: it is surer than it is right.

    ``beam`` texts are kept. A spelling is followed while the ear finds it ``near`` nats less likely than the best, and
    no more than ``wide`` of them at once. ``most`` tokens are written.
    """

    model: float = 0.7
    bonus: float = 0.4
    ear: float = 0.8
    beam: int = 5
    near: float = 10.0
    wide: int = 48
    most: int = 200

    def __post_init__(self) -> None:
        """Refuses a search without room."""
        if self.beam < 1 or self.wide < self.beam or self.most < 1:
            raise ConfigError(f"a search keeps at least one text and follows as many spellings, got {self}")


@final
class SpellingTree:
    """What tokens are spelled with. A node is a spelling; ``token`` is the token that it is all of, or -1."""

    def __init__(self, spelled: Mapping[int, Sequence[int]]) -> None:
        """``spelled`` are the pieces of each token."""
        self.tokens = np.array(sorted(spelled), dtype=np.int64)
        self.counts = np.array([len(spelled[id]) for id in self.tokens.tolist()])
        """Of the pieces of each token."""
        token, children = [-1], [dict[int, int]()]
        for place, id in enumerate(self.tokens.tolist()):
            node = 0
            for piece in spelled[id]:
                if piece not in children[node]:
                    children[node][piece] = len(token)
                    token.append(-1)
                    children.append({})
                node = children[node][piece]
            token[node] = place
        self.token = np.array(token)
        self.spelling = [tuple(spelled[id]) for id in self.tokens.tolist()]
        self.children = [
            (np.array([*found], dtype=np.int64), np.array([*found.values()], dtype=np.int64)) for found in children
        ]


@dataclass
class _Spelled:
    """Spellings so far, a row each: log-probabilities that just this was said up to each frame, ended by its last piece
    or by a blank; column 0 is before the first frame."""

    piece: Float[np.ndarray, "N T"]
    blank: Float[np.ndarray, "N T"]
    last: Int[np.ndarray, " N"]

    def take(self, rows: Int[np.ndarray, " M"]) -> "_Spelled":
        """Some of them."""
        return _Spelled(self.piece[rows], self.blank[rows], self.last[rows])

    @property
    def ended(self) -> Float[np.ndarray, " N"]:
        """Log-probabilities that this was all."""
        return np.logaddexp(self.piece[:, -1], self.blank[:, -1])


@final
class Ear:
    """Log-probabilities of pieces over time, the blank's first."""

    def __init__(self, scores: Float[np.ndarray, "P V"], share: float = 1.0) -> None:
        """``share`` as in `JointConfig.ear`."""
        wide = scores.astype(np.float64) * share
        self.scores = wide - np.logaddexp.reduce(wide, axis=1, keepdims=True)
        self._said = np.exp(self.scores[:, 1:])

    def begin(self) -> _Spelled:
        """Nothing has been spelled yet."""
        blank = np.concatenate(([0.0], np.cumsum(self.scores[:, 0])))[None]
        return _Spelled(np.full_like(blank, _NEVER), blank, np.array([-1]))

    def ahead(self, spelled: _Spelled) -> Float[np.ndarray, "N C"]:
        """Log-probability that each goes on with each piece, whatever comes then."""
        after = np.logaddexp(spelled.piece, spelled.blank)[:, :-1]
        most = after.max(1, keepdims=True)
        found = np.exp(after - most) @ self._said
        held = spelled.last >= 0
        if held.any():  # a piece that comes twice has a blank between
            last = spelled.last[held]
            again = np.exp(spelled.blank[held, :-1] - most[held]) * self._said[:, last].T
            found[held, last] = again.sum(1)
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(found) + most, _NEVER)

    def on(self, spelled: _Spelled, pieces: Int[np.ndarray, " N"]) -> _Spelled:
        """Each with one piece more."""
        before = np.where(
            (spelled.last == pieces)[:, None], spelled.blank, np.logaddexp(spelled.piece, spelled.blank)
        ).T.copy()
        piece = np.full((len(self.scores) + 1, len(pieces)), _NEVER)
        blank = piece.copy()
        said = self.scores[:, pieces + 1]
        for frame in range(len(self.scores)):
            piece[frame + 1] = np.logaddexp(piece[frame], before[frame]) + said[frame]
            blank[frame + 1] = np.logaddexp(blank[frame], piece[frame]) + self.scores[frame, 0]
        return _Spelled(piece.T, blank.T, pieces)


@dataclass
class _Texts:
    """The beam: what was written, how it is spelled, and what both judges say of it."""

    written: list[tuple[int, ...]]
    pieces: list[tuple[int, ...]]
    spelled: _Spelled
    judged: Float[np.ndarray, " N"]
    """By the language model, with the bonus of pieces."""


@final
class _Search:
    """The texts of one recording."""

    def __init__(self, ear: Ear, tree: SpellingTree, config: JointConfig) -> None:
        self.ear, self.tree, self.config = ear, tree, config
        self.alive = _Texts([()], [()], ear.begin(), np.zeros(1))
        self.best: tuple[int, ...] = ()
        self.most, self.over = -np.inf, False

    def step(self, judged: Float[np.ndarray, "B K"], ends: Float[np.ndarray, " B"]) -> list[int]:
        """Goes on by a token; tells which text each grew from, none where nothing better can come."""
        if self.over:
            return []
        alive = self.alive
        totals = alive.spelled.ended + alive.judged + ends
        if totals.max() > self.most:
            self.best, self.most = alive.written[int(totals.argmax())], totals.max()
        hopes = np.logaddexp(self.ear.ahead(alive.spelled).max(1), alive.spelled.ended) + alive.judged
        if hopes.max() + 2 * self.config.bonus < self.most:
            self.over = True
            return []
        parents, self.alive = self._grown(judged)
        self.over = not parents
        return parents

    def _grown(self, judged: Float[np.ndarray, "B K"]) -> tuple[list[int], _Texts]:
        """The best texts of one token more, and which text each grew from."""
        config, tree, ear, texts = self.config, self.tree, self.ear, self.alive
        found: list[tuple[float, int, int, int, int]] = []  # total, parent, token, level, row of the level
        levels: list[_Spelled] = []
        # every level: which text a spelling goes on from, its node, and how the spelling before it stands
        parent, node, stem = np.arange(len(texts.written)), np.zeros(len(texts.written), np.int64), texts.spelled
        floor = _NEVER
        while len(parent):
            ahead = ear.ahead(stem)
            source = np.concatenate([np.full(len(tree.children[n][0]), row) for row, n in enumerate(node.tolist())])
            pieces = np.concatenate([tree.children[n][0] for n in node.tolist()])
            nodes = np.concatenate([tree.children[n][1] for n in node.tolist()])
            if not len(source):
                break
            likely = ahead[source, pieces]
            hopes = likely + texts.judged[parent[source]]
            floor = max(floor, hopes.max() - config.near)
            order = np.argsort(-hopes, kind="stable")[: config.wide]
            order = order[hopes[order] >= floor]
            source, pieces, likely = source[order], pieces[order], likely[order]
            parent, node = parent[source], nodes[order]
            stem = ear.on(stem.take(source), pieces)
            for row, (text, token) in enumerate(zip(parent.tolist(), tree.token[node].tolist(), strict=True)):
                if token >= 0:
                    total = likely[row] + texts.judged[text] + judged[text, token]
                    found.append((float(total), text, token, len(levels), row))
            levels.append(stem)
        kept: dict[tuple[int, ...], tuple[float, int, int, int, int]] = {}
        for one in sorted(found, reverse=True):
            _, text, token, _, _ = one
            spelling = (*texts.pieces[text], *tree.spelling[token])
            kept.setdefault(spelling, one)
            if len(kept) == config.beam:
                break
        chosen = list(kept.values())
        if not chosen:
            return [], texts
        rows = [levels[level].take(np.array([row])) for _, _, _, level, row in chosen]
        spelled = _Spelled(
            np.concatenate([row.piece for row in rows]),
            np.concatenate([row.blank for row in rows]),
            np.concatenate([row.last for row in rows]),
        )
        parents = [text for _, text, _, _, _ in chosen]
        grown = _Texts(
            [(*texts.written[text], int(tree.tokens[token])) for _, text, token, _, _ in chosen],
            list(kept),
            spelled,
            np.array([texts.judged[text] + judged[text, token] for _, text, token, _, _ in chosen]),
        )
        return parents, grown


@final
class JointWriter:
    """Writes what is heard with a language model of one lane. Immutable; any number of texts may be written by it."""

    def __init__(self, model: StreamLM, tree: SpellingTree, ends: frozenset[int], config: JointConfig) -> None:
        """``tree`` has the tokens that may be written, ``ends`` those that end a text: among these the model's
        probabilities are shared out."""
        self.model, self.tree, self.config = model, tree, config
        self._scored = model.chosen(torch.tensor([*tree.tokens.tolist(), *sorted(ends)]))

    @torch.inference_mode()
    def write(
        self, scores: Sequence[Float[np.ndarray, "_ V"]], state: TransformerState, hidden: Float[Tensor, "N D"]
    ) -> list[list[int]]:
        """The likeliest text of each recording, of an ear's log-probabilities, blank first.

        ``state`` and ``hidden`` are the model's after what stands before each text, a row each; they stay as they are.
        """
        config = self.config
        searches = [_Search(Ear(one, config.ear), self.tree, config) for one in scores]
        since = int(state.position.min())
        rows = torch.arange(len(searches)).repeat_interleave(config.beam)
        state, hidden = state.rows(rows), hidden[rows]
        for _ in range(config.most):
            going, ends = self._judged(hidden)
            parents, last = [], []
            for place, search in enumerate(searches):
                own = slice(place * config.beam, place * config.beam + len(search.alive.written))
                grown = search.step(going[own], ends[own])
                more = [0] * (config.beam - len(grown))
                parents += [place * config.beam + parent for parent in (*grown, *more)]
                last += [text[-1] for text in search.alive.written[: len(grown)]] + more
            if all(search.over for search in searches):
                break
            follow(state, torch.tensor(parents), since)
            state.make_room(-(-(int(state.position.max()) + 1) // _ROOM) * _ROOM)
            hidden = self.model.read(torch.tensor(last)[:, None, None], state)
        return [list(search.best) for search in searches]

    def _judged(self, hidden: Float[Tensor, "B D"]) -> tuple[Float[np.ndarray, "B K"], Float[np.ndarray, " B"]]:
        """The model's weighed log-probabilities of the tree's tokens, with the bonus of pieces, and of the end."""
        shares = self._scored(hidden).float().log_softmax(-1).double().numpy() * self.config.model
        count = len(self.tree.tokens)
        ends = np.logaddexp.reduce(shares[:, count:] / self.config.model, axis=1) * self.config.model
        return shares[:, :count] + self.config.bonus * self.tree.counts, ends


def follow(state: TransformerState, parents: Int[Tensor, " B"], since: int) -> None:
    """Every row goes on from another; all are alike before the position ``since`` and none of the windows is full."""
    last = int(state.position.max())
    for leaf in (*state.keys, *state.values):
        leaf[:, :, since:last] = leaf[parents, :, since:last]
