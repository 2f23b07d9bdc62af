"""Models of the factors of speech, which are written one after the other (NaturalSpeech 3, arXiv:2403.03100 §4).

What reads the phones is shared; durations of the phones, and the books of prosody, content and detail of a FACodec each
have a model of hidden tokens. Each sees what was written before it.
"""

from dataclasses import dataclass
from typing import Final, Literal, final

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.errors import ConfigError
from vivavoce.core.streams import Tokens
from vivavoce.models.masked import MaskedLM, MaskedLMConfig
from vivavoce.nn.transformer import TransformerConfig

Factor = Literal["prosody", "content", "detail"]
FACTORS: Final[tuple[Factor, ...]] = ("prosody", "content", "detail")


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorsConfig:
    """The streams that it was trained on, how many ``books`` each factor has, and its nets.

    A phone lasts at most ``longest`` frames.
    """

    phones: Tokens
    codes: Tokens
    books: tuple[int, int, int]
    text: TransformerConfig
    trunk: TransformerConfig
    longest: int = 255

    def written(self, factor: Factor) -> range:
        """The books of a factor."""
        number = FACTORS.index(factor)
        return range(sum(self.books[:number]), sum(self.books[: number + 1]))

    def build(self) -> "FactorModels":
        """Fresh weights; ConfigError where the books are not those of the codes."""
        if sum(self.books) != self.codes.books or self.text.causal:
            raise ConfigError(f"the factors have {self.books} books, the codes {self.codes.books}")
        return FactorModels(self)


@final
class FactorModels(nn.Module):
    """What reads phones, and a model of hidden tokens for durations and each factor."""

    def __init__(self, config: FactorsConfig) -> None:
        """The models share nothing but the phones."""
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.phones.size, config.text.dim)
        self.text = config.text.build()
        self.durations: MaskedLM = MaskedLMConfig(
            trunk=config.trunk, inputs=config.text.dim, size=config.longest + 1
        ).build()
        self.factors = nn.ModuleDict()
        for factor in FACTORS:
            books = config.written(factor)
            self.factors[factor] = MaskedLMConfig(
                trunk=config.trunk, inputs=config.text.dim, size=config.codes.size, books=books.stop, first=books.start
            ).build()

    def read(self, phones: Int[Tensor, "B P"], valid: Bool[Tensor, "B P"]) -> Float[Tensor, "B P D"]:
        """What phones are in their places."""
        return self.text(self.embed(phones), valid)
