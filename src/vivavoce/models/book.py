"""A model of the later books of a codec: each book at once for all frames, from the text and the books before it.

VALL-E's second stage (arXiv:2301.02111 §4.2.2): what is seen of a frame is the sum of the embeddings of its earlier
books, of a prompt's frames that of all books; the stage sets scale and shift of the norms; the head of a book is the
embedding that later stages read it by. Departs: rotary positions over text and frames together.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from vivavoce.core.errors import ConfigError
from vivavoce.nn.transformer import TransformerConfig


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
        self.embed = nn.Parameter(torch.randn(config.books, config.size, dim) * 0.02)
        self.stage = nn.Embedding(config.books, config.trunk.condition)
        self.trunk = config.trunk.build()
        nn.init.normal_(self.text.weight, std=0.02)

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
        counts = list(zip(text_lengths.tolist(), lengths.tolist(), strict=True))
        rows = [torch.cat((self.text(t[:p]), x[:n])) for t, x, (p, n) in zip(text, summed, counts, strict=True)]
        x = pad_sequence(rows, batch_first=True)
        valid = torch.arange(x.shape[1], device=x.device) < (text_lengths + lengths)[:, None]
        y = self.trunk(x, valid, self.stage(stage))
        made = pad_sequence([row[p : p + n] for row, (p, n) in zip(y, counts, strict=True)], batch_first=True)
        made = F.pad(made, (0, 0, 0, codes.shape[2] - made.shape[1]))
        return torch.einsum("btd,bvd->btv", made, self.embed[stage]).float()
