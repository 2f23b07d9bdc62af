"""A duplex model: it hears and speaks at the same time, and decides itself when (Moshi, arXiv:2410.00037).

One grid on the codec's clock: what it says as text, its own books, and the books of what it hears, later books a frame
later. A transformer runs over the columns, a small one, with weights of their own for each lane, over the text and
books of a column. What is heard is forced; silence is tokens like any other, so nothing here knows of turns.
"""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import SpecError
from vivavoce.core.layout import Beside, Cursor, Layout, Segment
from vivavoce.core.rng import Uniforms
from vivavoce.core.streaming import State, Timing
from vivavoce.core.streams import Tokens, check_learnt
from vivavoce.core.talk import Frame
from vivavoce.generate.samplers import Sample, Sampler
from vivavoce.generate.writer import Row, Writer, WriterState
from vivavoce.models.codec import Codec
from vivavoce.models.lm import StreamLMConfig
from vivavoce.nn.transformer import TransformerConfig
from vivavoce.text.bpe import BpeConfig
from vivavoce.text.tokenizers import BpeTokenizer

PAD, NEXT = 0, 1
"""On the text lane: nothing new is said in this frame; the next frame begins a word."""
_TEXT, _SOUND = Sample(temperature=0.7, top_k=25), Sample(temperature=0.8, top_k=250)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoshiConfig:
    """The codec's stream and the text's pieces that it was trained on, and its two transformers."""

    codes: Tokens
    bpe: BpeConfig
    trunk: TransformerConfig
    depth: TransformerConfig
    delay: int = 1

    @property
    def letters(self) -> Tokens:
        """Pieces of words on the codec's clock, after `PAD` and `NEXT`."""
        pieces = BpeTokenizer(self.bpe).tokens
        alphabet = f"{pieces.alphabet}-on-frames"
        return replace(pieces, name="text", alphabet=alphabet, size=pieces.size + 2, rate=self.codes.rate)

    @property
    def layout(self) -> Layout:
        """Text, own books, heard books."""
        delays = (0, *(self.delay,) * (self.codes.books - 1))
        own = Segment(stream=replace(self.codes, name="own"), delays=delays)
        heard = Segment(stream=replace(self.codes, name="heard"), role="heard", delays=delays)
        return Layout(blocks=(Beside(segments=(Segment(stream=self.letters), own, heard)),), endless=True)

    def build(self) -> "MoshiModel":
        """The module with fresh weights."""
        return MoshiModel(self)


@final
class MoshiModel(nn.Module):
    """The part ``moshi``: one language model over the grid."""

    def __init__(self, config: MoshiConfig) -> None:
        """Text and own books are predicted, heard ones only read."""
        super().__init__()
        self.config = config
        written = 1 + config.codes.books
        self.lm = StreamLMConfig(
            trunk=config.trunk,
            lanes=config.layout.sizes,
            predicted=written,
            depth=config.depth,
            depth_own=True,
        ).build()

    def forward(self, ids: Tensor) -> list[Tensor]:
        """Scores of the next column, lane by lane, for a `train.tasks.grid.GridTask`."""
        return self.lm(ids)


@dataclass
class MoshiState(State):
    """The codec's states, the writer's, and of every row: own frames that were sounded, and bytes of a letter begun."""

    encode: State
    writer: WriterState
    decode: State
    sounded: list[int]
    begun: list[bytes]

    def clone(self) -> "MoshiState":
        """An independent copy, from which the conversations go on in the same way."""
        states = self.encode.clone(), self.writer.clone(), self.decode.clone()
        return MoshiState(*states, list(self.sounded), list(self.begun))


@final
class Moshi:
    """Conversations of a batch, 40 ms or 80 ms at a time; keeps nothing between steps."""

    def __init__(self, model: MoshiModel, codec: Codec, *, text: Sampler = _TEXT, sound: Sampler = _SOUND) -> None:
        """SpecError when the codec is not the one whose tokens were learnt."""
        check_learnt(model.config.codes, codec.tokens)
        self.model, self.codec, self.layout = model.eval(), codec, model.config.layout
        self.writer = Writer(model.lm, (text, *(sound,) * codec.config.books))
        self.tokenizer = BpeTokenizer(model.config.bpe)

    @property
    def timing(self) -> Timing:
        """What the codec hears at once, a frame or several; a frame's sound comes when all its books and the codec's
        delay have passed."""
        later = self.model.config.delay * self.codec.config.hop + self.codec.delay
        return replace(self.codec.timing, lookahead=later)

    def init_state(self, rows: int) -> MoshiState:
        """So many conversations, which have all begun."""
        states = self.codec.init_encode(rows), self.writer.init_state(rows), self.codec.init_decode(rows)
        state = MoshiState(*states, [0] * rows, [b""] * rows)
        for row in range(rows):
            self.begin(state, row, row)
        return state

    def begin(self, state: MoshiState, row: int, seed: int) -> None:
        """A new conversation on a row."""
        chosen = torch.arange(len(state.sounded)) == row
        state.encode.reset(chosen)
        state.decode.reset(chosen)
        self.writer.begin(state.writer, row, Row(Cursor(self.layout, {}), Uniforms(seed)))
        state.sounded[row], state.begun[row] = 0, b""

    @torch.inference_mode()
    def step(
        self, heard: Float[Tensor, "B N"], state: MoshiState, active: Bool[Tensor, " B"] | None = None
    ) -> list[Frame]:
        """What is heard now (whole steps of `timing`) in, what is said now out.

        Rows that are not active keep their state and say nothing. SpecError for a part of a step.
        """
        chunk = self.timing.hop
        if heard.shape[1] % chunk:
            raise SpecError(f"got {heard.shape[1]} samples, wanted a multiple of {chunk}; buffer the rest")
        frames: list[list[Frame]] = [[] for _ in range(len(heard))]
        for piece in heard.split(chunk, dim=1) if heard.shape[1] else ():
            for codes in self.codec.encode_step(piece, state.encode, active).split(1, dim=2):
                for row, frame in enumerate(self._frame(codes, state, active)):
                    frames[row].append(frame)
        none = heard.new_zeros(len(heard), 0)
        return [
            Frame(torch.cat([quiet, *(f.pcm for f in found)]), "".join(f.text for f in found))
            for quiet, found in zip(none, frames, strict=True)
        ]

    def _frame(self, codes: Int[Tensor, "B K 1"], state: MoshiState, active: Bool[Tensor, " B"] | None) -> list[Frame]:
        on = [True] * len(codes) if active is None else active.tolist()
        cursors = [row.cursor for row in state.writer.rows_ if row is not None and row.cursor is not None]
        for cursor, go, row in zip(cursors, on, codes, strict=True):
            if go:
                cursor.hear("heard", row)
        self.writer.step(state.writer, active)
        own, ready = codes.clone(), torch.zeros(len(on), dtype=torch.bool)
        for row, (cursor, go) in enumerate(zip(cursors, on, strict=True)):
            frames = cursor.frames("own", state.sounded[row])
            if go and frames.shape[1]:
                own[row], ready[row] = frames[:, :1], True
                state.sounded[row] += 1
        sound = self.codec.decode_step(own, state.decode, None if bool(ready.all()) else ready)
        return [
            Frame(sound[row, : None if ready[row] else 0], self._text(state, row, cursors[row]) if on[row] else "")
            for row in range(len(on))
        ]

    def _text(self, state: MoshiState, row: int, cursor: Cursor) -> str:
        """What the latest piece adds; bytes of a letter that is not whole wait for the rest of it."""
        id = int(cursor.frames("text", cursor.columns - 2)[0, -1])
        if id > NEXT:
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
            text = decoder.decode(state.begun[row] + self.tokenizer.bpe.piece(id - 2))
            state.begun[row] = decoder.getstate()[0]
            return text
        return ""


def letters(config: MoshiConfig, words: Sequence[tuple[str, int]], frames: int) -> Int[Tensor, "1 T"]:
    """The text lane of words with the frames in which they begin: `NEXT` before each, its pieces one per frame.

    A word that is still being written makes the next one late; what does not fit before the end is left out.
    """
    tokenizer, lane, free = BpeTokenizer(config.bpe), torch.full((1, frames), PAD), 0
    for word, begin in words:
        pieces = [piece + 2 for piece in tokenizer.bpe.encode(f" {word}")]
        at = max(begin, free)
        if at > free:
            lane[0, at - 1] = NEXT
        pieces = pieces[: max(frames - at, 0)]
        lane[0, at : at + len(pieces)] = torch.tensor(pieces, dtype=torch.long)
        free = at + len(pieces)
    return lane
