"""FACodec (NaturalSpeech 3, arXiv:2403.03100 §3.2): speech as prosody, content, detail, and the voice as one vector.

Prosody and content are quantised beside each other from the same vectors, detail from what both leave. The decoder
gets prosody and content without gradients, so their books learn from their own heads alone: pitch, phones. Whatever
must not be where it is, is taken out by heads behind a reversed gradient. Departs: SEANet with plain Snake instead of
alias-free SnakeBeta; heads are two convolutions; at the size that is asked for. Learning: `recipes.facodec`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from vivavoce.audio.mel import LogMelConfig
from vivavoce.core.config import dump
from vivavoce.core.errors import ConfigError, SpecError
from vivavoce.core.streams import Stream, Tokens, Wave, alphabet_of, whole
from vivavoce.nn.factorised import FactorisedConfig
from vivavoce.nn.levelled import level
from vivavoce.nn.quantize import Quantized
from vivavoce.nn.reversal import reversed_gradient
from vivavoce.nn.seanet import SeanetConfig
from vivavoce.nn.transformer import TransformerConfig

_SILENT = 0.01
"""Variance of vectors that are hardly made louder: gradients of near silence would drown all others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FacodecConfig:
    """Numbers of the codec; ``books`` are those of prosody, content and detail.

    ``prosody_bins`` > 0 takes prosody from so many mel bins instead of the encoder's vectors (the second version, for
    changing voices). ``detail_dropout``: share of training examples whose detail is left out.
    """

    sample_rate: int = 16000
    net: SeanetConfig = SeanetConfig(
        dim=256, channels=32, strides=(2, 4, 5, 5), residual_kernel=7, residuals=3, dilation_base=3, compress=1,
        activation="snake", causal=False, trim="both", last_kernel=7,
    )  # fmt: skip
    timbre: TransformerConfig = TransformerConfig(
        dim=256, layers=4, heads=4, kv_heads=4, hidden=1024, window=4000, causal=False, norm="layer"
    )
    books: tuple[int, int, int] = (1, 2, 3)
    size: int = 1024
    code_dim: int = 8
    phones: int = 5003
    speakers: int = 0
    detail_dropout: float = 0.75
    prosody_bins: int = 0
    hidden: float = 1.0
    """How strongly what must not be read is hidden, beside how strongly a head learns to read it."""
    one_length: bool = False
    """See `FactorisedConfig`."""
    one_size: bool = False
    """Whether the encoder's vectors are brought to one size. A fresh encoder's are as large as the sound is loud, and
    of quiet frames nothing is then learnt."""

    @property
    def hop(self) -> int:
        """Samples per frame."""
        return self.net.hop

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return Fraction(self.sample_rate, self.hop)

    @property
    def wave(self) -> Wave:
        """The sound that goes in and comes out."""
        return Wave(sample_rate=self.sample_rate)

    def build(self) -> "Facodec":
        """The module."""
        if self.timbre.dim != self.net.dim or min(self.books) < 1 or self.net.causal:
            raise ConfigError(
                "a FACodec has a timbre as wide as its vectors, books of all three kinds, and looks both ways"
            )
        return Facodec(self)


class Factors(NamedTuple):
    """What one pass makes of sound."""

    wave: Float[Tensor, "B 1 N"] | None
    prosody: Quantized
    content: Quantized
    detail: Quantized
    timbre: Float[Tensor, "B D"]
    decoded: Float[Tensor, "B D T"]
    """What the decoder got, before the voice."""


@dataclass(frozen=True, slots=True)
class Voiced:
    """Codes (prosody, content, detail), and the voice that says them, which may be taken from another recording."""

    codes: Stream[Tokens]
    voice: Float[Tensor, "B D"]


class Heads(NamedTuple):
    """What the heads read; the ``hidden`` ones stand behind a reversed gradient."""

    pitch: Float[Tensor, "B 2 T"]  # height and whether there is any, from prosody
    phones: Float[Tensor, "B V T"]  # from content
    speaker: Float[Tensor, "B S"] | None  # from the voice
    hidden_pitch: tuple[Float[Tensor, "B 2 T"], ...]  # from content, from detail
    hidden_phones: tuple[Float[Tensor, "B V T"], ...]  # from prosody, from detail
    hidden_speaker: Float[Tensor, "B S"] | None  # from what the decoder gets


@final
class Facodec(nn.Module):
    """Encoder, three sets of books, a voice, a decoder that is told the voice by the scale of its first norm.

    ``begun`` says whether the books are in use; until then vectors pass through their projections only.
    """

    begun: Tensor

    def __init__(self, config: FacodecConfig) -> None:
        """Fresh weights."""
        super().__init__()
        self.config = config
        dim = config.net.dim

        def books(count: int) -> Any:
            return FactorisedConfig(
                dim=dim,
                code_dim=config.code_dim,
                books=count,
                size=config.size,
                fewer_books=0.0,
                one_length=config.one_length,
            ).build()

        self.register_buffer("begun", torch.ones((), dtype=torch.uint8))
        self.front = config.net.encoder()
        self.size = nn.LayerNorm(dim, eps=_SILENT) if config.one_size else nn.Identity()
        self.prosody, self.content, self.detail = (books(count) for count in config.books)
        self.melody = nn.Linear(config.prosody_bins, dim) if config.prosody_bins else None
        self.melody_trunk = config.timbre.build() if config.prosody_bins else None
        mel = LogMelConfig(
            sample_rate=config.sample_rate, bins=80, hop=config.hop, window=4 * config.hop, n_fft=4 * config.hop,
            fmax=config.sample_rate / 2,
        )  # fmt: skip
        self.mel = mel.build() if config.prosody_bins else None
        self.voice = config.timbre.build()
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.scale_shift = nn.Linear(dim, 2 * dim)
        with torch.no_grad():
            self.scale_shift.bias.copy_(torch.cat((torch.ones(dim), torch.zeros(dim))))
        self.back = config.net.decoder()
        self.read = nn.ModuleDict({"pitch": _head(dim, 2), "phones": _head(dim, config.phones)})
        self.hidden = nn.ModuleDict(
            {
                "content_pitch": _head(dim, 2), "detail_pitch": _head(dim, 2),
                "prosody_phones": _head(dim, config.phones), "detail_phones": _head(dim, config.phones),
            }
        )  # fmt: skip
        self.speaker = nn.Linear(dim, config.speakers) if config.speakers else None
        self.hidden_speaker = nn.Linear(dim, config.speakers) if config.speakers else None

    def forward(
        self,
        wave: Float[Tensor, "B 1 N"],
        mel: Float[Tensor, "B M T"] | None = None,
        whole: Float[Tensor, "B 1 W"] | None = None,
        *,
        sounding: bool = True,
    ) -> Factors:
        """``whole`` is the utterance of which ``wave`` is a crop: the voice is taken from it. Not ``sounding``, no
        sound is made of the factors.

        ``mel`` are the frames of the second version's prosody. SpecError where they are missing or not wanted.
        """
        x, bare = self.vectors(wave), not self.begun
        prosody, content = self.prosody(self._melody(x, mel), bare=bare), self.content(x, bare=bare)
        known = prosody.values.detach() + content.values.detach()
        detail = self.detail(x - known, bare=bare)
        kept = detail.values
        if self.training and self.config.detail_dropout:
            dropped = torch.rand(len(x), device=x.device) < self.config.detail_dropout
            kept = kept * ~dropped[:, None, None]
        timbre = self.timbre(x if whole is None else self.vectors(whole))
        decoded = known + kept
        return Factors(self.speak(decoded, timbre) if sounding else None, prosody, content, detail, timbre, decoded)

    def vectors(self, wave: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B D T"]:
        """What the encoder hears in each frame."""
        return self.size(self.front(wave).transpose(1, 2)).transpose(1, 2)

    @torch.no_grad()
    def start(self, wave: Float[Tensor, "B 1 N"], mel: Float[Tensor, "B M T"] | None = None) -> None:
        """Begins anew by what fresh weights make of some sound: layers that neither shrink nor grow it, vectors that
        vary with it, and books that tell them apart."""
        level(self.front, wave)
        x = self.vectors(wave)
        self.prosody.start(self._melody(x, mel))
        self.content.start(x)
        self.detail.start(x - self.prosody(self._melody(x, mel)).values - self.content(x).values)
        level(self.back, x, float(wave.std()))

    @torch.no_grad()
    def begin(self, wave: Float[Tensor, "B 1 N"], mel: Float[Tensor, "B M T"] | None = None) -> None:
        """Books for what the projections make of some sound: those of prosody and content keep what they have learnt,
        those of detail begin anew."""
        x = self.vectors(wave)
        melody = self._melody(x, mel)
        self.prosody.begin(melody)
        self.content.begin(x)
        self.detail.start(x - self.prosody(melody).values - self.content(x).values)
        self.begun.fill_(1)

    def heads(self, out: Factors) -> Heads:
        """All heads on one pass."""
        prosody, content, detail = out.prosody.values, out.content.values, out.detail.values

        def hide(x: Tensor) -> Tensor:
            return reversed_gradient(x, self.config.hidden)

        return Heads(
            self.read["pitch"](prosody),
            self.read["phones"](content),
            None if self.speaker is None else self.speaker(out.timbre),
            (self.hidden["content_pitch"](hide(content)), self.hidden["detail_pitch"](hide(detail))),
            (self.hidden["prosody_phones"](hide(prosody)), self.hidden["detail_phones"](hide(detail))),
            None if self.hidden_speaker is None else self.hidden_speaker(hide(prosody + content + detail).mean(2)),
        )

    def timbre(self, x: Float[Tensor, "B D T"]) -> Float[Tensor, "B D"]:
        """The voice of an utterance's vectors: the mean over time."""
        return self.voice(x.transpose(1, 2)).mean(1)

    def speak(self, x: Float[Tensor, "B D T"], timbre: Float[Tensor, "B D"]) -> Float[Tensor, "B 1 N"]:
        """Vectors to sound in a voice."""
        scale, shift = self.scale_shift(timbre)[:, None].chunk(2, dim=2)
        return self.back((self.norm(x.transpose(1, 2)) * scale + shift).transpose(1, 2))

    @torch.no_grad()
    def codes_of(
        self, wave: Float[Tensor, "B 1 N"], mel: Float[Tensor, "B M T"] | None = None
    ) -> tuple[Int[Tensor, "B K T"], Float[Tensor, "B D"]]:
        """Codes and the voice of whole recordings; N is a multiple of the hop."""
        if wave.shape[2] % self.config.hop:
            raise SpecError(f"got {wave.shape[2]} samples, wanted a multiple of {self.config.hop}; pad with silence")
        x = self.vectors(wave)
        prosody, content = self.prosody.encode(self._melody(x, mel)), self.content.encode(x)
        left = x - self.prosody.decode(prosody) - self.content.decode(content)
        return torch.cat((prosody, content, self.detail.encode(left)), dim=1), self.timbre(x)

    @torch.no_grad()
    def say(self, codes: Int[Tensor, "B K T"], timbre: Float[Tensor, "B D"]) -> Float[Tensor, "B 1 N"]:
        """Sound of codes in a voice, which may be another one's. SpecError for other numbers of books."""
        if codes.shape[1] != sum(self.config.books):
            raise SpecError(f"got {codes.shape[1]} books, wanted {sum(self.config.books)}")
        parts: Sequence[Any] = (self.prosody, self.content, self.detail)
        pieces = codes.split(self.config.books, dim=1)
        return self.speak(torch.stack([p.decode(one) for p, one in zip(parts, pieces, strict=True)]).sum(0), timbre)

    @property
    def tokens(self) -> Tokens:
        """The stream of codes; its alphabet is the digest of all that decides them."""
        config, deciding = self.config, ("front.", "size.", "prosody.", "content.", "detail.", "melody")
        state = {name: value for name, value in self.state_dict().items() if name.startswith(deciding)}
        alphabet = alphabet_of("facodec", dump(config.net), state)
        return Tokens(name="codes", alphabet=alphabet, size=config.size, books=sum(config.books), rate=config.rate)

    def encode(self, wave: Stream[Wave], books: int | None = None) -> Voiced:
        """Sound of any length. SpecError for fewer books than there are: no kind of them can be left out."""
        wave, config = wave.expect(self.config.wave), self.config
        if books not in (None, sum(config.books)):
            raise SpecError(f"{books} books were asked for and this codec has {sum(config.books)}; leave --books out")
        sound = pad(wave.data, (0, -wave.data.shape[2] % config.hop))
        codes, voice = self.codes_of(sound, self.mel_of(sound[:, 0]))
        return Voiced(Stream(self.tokens, codes, (wave.lengths + config.hop - 1) // config.hop), voice)

    def decode(self, tokens: Voiced) -> Stream[Wave]:
        """Its inverse, in the voice that is given. SpecError for codes of another codec."""
        codes = tokens.codes.expect(self.tokens)
        return Stream(self.config.wave, self.say(codes.data, tokens.voice), codes.lengths * self.config.hop)

    def resynthesize(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        """There and back, of the input's length."""
        return self.decode(self.encode(whole(self.config.wave, wave[:, None]))).data[:, 0, : wave.shape[1]]

    @torch.no_grad()
    def mel_of(self, wave: Float[Tensor, "B N"]) -> Float[Tensor, "B M T"] | None:
        """The mel frames that the second version takes prosody from; None for the first."""
        return None if self.mel is None else self.mel(wave)

    def _melody(self, x: Float[Tensor, "B D T"], mel: Float[Tensor, "B M T"] | None) -> Float[Tensor, "B D T"]:
        if (self.melody is None) != (mel is None):
            raise SpecError("mel frames are given to a codec whose prosody is made of them, and to no other")
        if self.melody is None or self.melody_trunk is None or mel is None:
            return x
        return self.melody_trunk(self.melody(mel[:, : self.config.prosody_bins].transpose(1, 2))).transpose(1, 2)


def _head(dim: int, out: int) -> nn.Module:
    return nn.Sequential(nn.Conv1d(dim, dim, 3, padding=1), nn.ELU(), nn.Conv1d(dim, out, 1))
