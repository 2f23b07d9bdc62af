"""A model of the later books of a codec: each book at once for all frames, from the text and the books before it.

VALL-E's second stage (arXiv:2301.02111 §4.2.2): what is seen of a frame is the sum of the embeddings of its earlier
books, of a prompt's frames that of all books; the stage sets scale and shift of the norms; the head of a book is the
embedding that later stages read it by. Departs: rotary positions over text and frames together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.core.streams import Stream, Tokens
from vivavoce.models.latents import Books
from vivavoce.nn.transformer import TransformerConfig

_SPREAD = 0.02
"""Standard deviation of embeddings at first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookLMConfig:
    """A trunk that looks both ways, and how many ids the text and each of the books have."""

    trunk: TransformerConfig
    text: int
    books: int
    size: int

    def build(self) -> "BookLM":
        """The module with fresh weights."""
        if self.trunk.causal or not self.trunk.condition or self.books < 2:
            raise ConfigError(f"a model of books looks both ways, under a condition, over two or more, got {self}")
        return BookLM(self)


class BookLM(nn.Module):
    """Scores of one book of all frames."""

    def __init__(self, config: BookLMConfig):
        super().__init__()
        self.config = config
        dim = config.trunk.dim
        self.text = nn.Embedding(config.text, dim)
        self.embed = nn.Parameter(torch.randn(config.books, config.size, dim) * _SPREAD)
        self.stage = nn.Embedding(config.books, config.trunk.condition)
        self.trunk = config.trunk.build()
        nn.init.normal_(self.text.weight, std=_SPREAD)

    @torch.no_grad()
    def begin_by(self, vectors: Float[Tensor, "K V E"]) -> None:
        """Makes the embeddings, and with them the heads, lie as a codec's vectors do: what sounds alike is alike."""
        width = self.embed.shape[2]
        turned = vectors @ nn.init.orthogonal_(vectors.new_empty(vectors.shape[2], width))
        turned -= turned.mean(1, keepdim=True)
        self.embed.copy_(_SPREAD * turned / turned.std())

    def forward(
        self,
        text: Int[Tensor, "B P"],
        text_lengths: Int[Tensor, " B"],
        codes: Int[Tensor, "B K T"],
        lengths: Int[Tensor, " B"],
        prompt: Int[Tensor, " B"],
        stage: Int[Tensor, " B"],
    ) -> Float[Tensor, "B T V"]:
        """Scores of book ``stage`` (from 1 on) at every frame; books from ``stage`` on count in the prompt only.

        ``prompt`` is how many frames of each row are the prompt.
        """
        books = torch.arange(self.config.books, device=codes.device)
        frames = torch.arange(codes.shape[2], device=codes.device)
        seen = (books[None, :, None] < stage[:, None, None]) | (frames < prompt[:, None])[:, None]
        looked = torch.stack([F.embedding(codes[:, book], table) for book, table in enumerate(self.embed)], dim=1)
        summed = (looked * seen[..., None]).sum(1)
        both = torch.cat((self.text(text), summed), 1)
        places = torch.arange(both.shape[1], device=codes.device)
        begun = text_lengths[:, None]
        # frames follow the text without a gap, whatever padding lies between them
        source = torch.where(places < begun, places, places + text.shape[1] - begun).clamp(max=both.shape[1] - 1)
        y = self.trunk(_taken(both, source), places < begun + lengths[:, None], self.stage(stage))
        made = _taken(y, begun + frames)
        return torch.einsum("btd,bvd->btv", made, self.embed[stage]).float()

    @torch.no_grad()
    def fill(
        self, text: Stream[Tokens], codes: Stream[Tokens], prompt: Int[Tensor, " B"]
    ) -> tuple[Stream[Tokens], list[Float[Tensor, "B T V"]]]:
        """The codes with the likeliest ids in the later books of all frames after the prompt, book by book.

        Gives the scores of each of these books too.
        """
        made, scores = codes.data.clone(), []
        free = torch.arange(made.shape[2], device=made.device) >= prompt[:, None]
        for book in range(1, made.shape[1]):
            stage = torch.full_like(prompt, book)
            scores.append(self(text.data[:, 0], text.lengths, made, codes.lengths, prompt, stage))
            made[:, book] = torch.where(free, scores[-1].argmax(-1), made[:, book])
        return Stream(codes.spec, made, codes.lengths), scores


def mean_vectors(
    books: Books, codes: Int[Tensor, "B K T"], scores: Sequence[Float[Tensor, "B T V"]], prompt: Int[Tensor, " B"]
) -> Float[Tensor, "B D T"]:
    """What codes that `BookLM.fill` gave stand for, with the mean of each later book's entries by its scores in place
    of the entry that was chosen; the prompt as it is."""
    free = (torch.arange(codes.shape[2], device=codes.device) >= prompt[:, None])[..., None]
    moved = torch.zeros((), device=codes.device)
    for table, ids, likely in zip(books.tables[1:], codes.unbind(1)[1:], scores, strict=True):
        moved = moved + free * (likely.softmax(-1) @ table - table[ids])
    return books.vectors(codes) + moved.transpose(1, 2)


def _taken(x: Float[Tensor, "B S D"], places: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
    """The vectors at these places of each row."""
    return x.gather(1, places[..., None].expand(-1, -1, x.shape[2]))
