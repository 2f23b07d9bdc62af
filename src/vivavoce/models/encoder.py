"""One encoder for all that learn from sound alone: a front, positions, layers; features of any of them.

wav2vec 2.0, HuBERT, WavLM, w2v-BERT and Whisper's encoder are values of `EncoderConfig`. What they are taught by stands
beside them (`models.encoder_heads`). An encoder whose parts are all causal is stepped, and gives the same frames.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Protocol, final, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vivavoce.core.config import dump
from vivavoce.core.derived import Derived
from vivavoce.core.errors import ConfigError, PartError, SpecError
from vivavoce.core.parts import load_part
from vivavoce.core.streaming import State, Timing
from vivavoce.core.streams import Latents, Stream, Wave, alphabet_of
from vivavoce.nn.conformer import Conformer, ConformerConfig
from vivavoce.nn.positions import ConvPositionsConfig, TableConfig
from vivavoce.nn.transformer import Transformer, TransformerConfig


@runtime_checkable
class EncoderFrontConfig(Protocol):
    """What an encoder asks of a front before it is built."""

    @property
    def sample_rate(self) -> int:
        """Of the sound that goes in."""
        ...

    @property
    def hop(self) -> int:
        """Samples per frame."""
        ...

    @property
    def dim(self) -> int:
        """Width of the frames."""
        ...

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        ...

    @property
    def causal(self) -> bool:
        """Whether it can be stepped."""
        ...

    def frames(self, samples: Int[Tensor, " B"]) -> Int[Tensor, " B"]:
        """How many frames so many samples give."""
        ...

    def build(self) -> Any:
        """The module: ``forward``, and where it is causal ``init_state`` and ``step``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """What an encoder is made of.

    Frames of the front are normed (``front_norm``) and projected to the trunk's width (``project``). In training a
    masked frame is replaced by a learnt vector or by random ones (``fill``), and gradients reach the front multiplied
    by ``front_gradient``. ``streams``: every part is causal.
    """

    front: EncoderFrontConfig
    trunk: TransformerConfig | ConformerConfig
    positions: ConvPositionsConfig | TableConfig | None = None
    project: bool = True
    front_norm: bool = True
    norm_eps: float = 1e-5
    dropout: float = 0.0
    fill: Literal["learnt", "random"] = "learnt"
    front_gradient: float = 1.0
    streams: bool = False

    def build(self) -> "Encoder":
        """The module. ConfigError where it should stream and a part looks ahead, or widths do not fit."""
        if not self.project and self.front.dim != self.trunk.dim:
            raise ConfigError(
                f"frames of {self.front.dim} go into layers of {self.trunk.dim}; set project=True or make them alike"
            )
        looks_ahead = {
            "the front": not self.front.causal,
            "the positions": self.positions is not None
            and not (isinstance(self.positions, ConvPositionsConfig) and self.positions.causal),
            "the trunk": self.trunk.centred if isinstance(self.trunk, ConformerConfig) else not self.trunk.causal,
        }
        if self.streams and (ahead := [name for name, so in looks_ahead.items() if so]):
            raise ConfigError(
                f"an encoder that streams cannot look ahead, but {' and '.join(ahead)} would; make it causal"
            )
        return Encoder(self)


class Encoded(NamedTuple):
    """``front`` are the front's frames (normed, never masked), ``layers`` what goes into the first layer and what comes
    out of each, ``last`` the end. ``penalty`` is the mean square of the front's frames before the norm."""

    front: Float[Tensor, "B T F"]
    layers: tuple[Float[Tensor, "B T D"], ...]
    last: Float[Tensor, "B T D"]
    lengths: Int[Tensor, " B"]
    penalty: Float[Tensor, ""]


@dataclass
class EncoderState(State):
    """The states of its parts."""

    front: State
    positions: State | tuple[()]
    trunk: State


class _Scaled(torch.autograd.Function):
    """The identity, with another gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        """As it came."""
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        """Multiplied."""
        return gradient * ctx.factor, None


@final
class Encoder(nn.Module):
    """See the file's text."""

    def __init__(self, config: EncoderConfig) -> None:
        """Random weights."""
        super().__init__()
        self.config = config
        dim = config.trunk.dim
        self.front = config.front.build()
        self.norm = nn.LayerNorm(config.front.dim, config.norm_eps) if config.project and config.front_norm else None
        self.project = nn.Linear(config.front.dim, dim) if config.project else None
        self.positions = None if config.positions is None else config.positions.build(dim)
        self.trunk: Transformer | Conformer = config.trunk.build()
        self.blank = nn.Parameter(torch.rand(dim)) if config.fill == "learnt" else None
        self.drop = nn.Dropout(config.dropout)
        self._alphabet: Derived[str] = Derived()

    @property
    def timing(self) -> Timing:
        """A frame, or a chunk of them, in samples."""
        trunk, front = self.config.trunk, self.config.front
        chunk = trunk.chunk if isinstance(trunk, ConformerConfig) else 1
        return Timing(rate=Fraction(front.sample_rate), hop=front.hop * chunk)

    def forward(
        self,
        wave: Float[Tensor, "B N"],
        lengths: Int[Tensor, " B"] | None = None,
        *,
        mask: Bool[Tensor, "B T"] | None = None,
        channels: Bool[Tensor, "B D"] | None = None,
    ) -> Encoded:
        """Whole recordings at the front's rate; ``lengths`` count samples.

        ``mask`` are frames that are hidden from the layers, ``channels`` features that are set to 0.
        """
        frames, penalty = self._front(wave)
        whole = torch.full((len(wave),), frames.shape[1], device=wave.device)
        known = whole if lengths is None else self.config.front.frames(lengths).clamp(max=frames.shape[1])
        x = self._into(frames, mask, channels)
        padded = lengths is not None and not bool((known == frames.shape[1]).all())
        inside = torch.arange(frames.shape[1], device=wave.device)[None] < known[:, None]
        if padded:
            x = x * inside[..., None]
        x = x if self.positions is None else self.positions(x)
        layers, last = self._through(self.drop(x), known if padded else None, inside if padded else None)
        return Encoded(frames, layers, last, known, penalty)

    def _front(self, wave: Float[Tensor, "B N"]) -> tuple[Float[Tensor, "B T F"], Float[Tensor, ""]]:
        """The front's frames, normed, and their mean square before."""
        factor = self.config.front_gradient
        with torch.set_grad_enabled(torch.is_grad_enabled() and factor > 0):
            frames = self.front(wave)
        if torch.is_grad_enabled() and factor not in (0.0, 1.0):
            frames = _Scaled.apply(frames, factor)
        penalty = frames.float().square().mean()
        return frames if self.norm is None else self.norm(frames), penalty

    def _into(
        self, frames: Float[Tensor, "B T F"], mask: Bool[Tensor, "B T"] | None, channels: Bool[Tensor, "B D"] | None
    ) -> Float[Tensor, "B T D"]:
        """Frames as wide as the layers, the masked ones hidden."""
        x = self.drop(frames if self.project is None else self.project(frames))
        if mask is not None:
            hidden = torch.randn_like(x) if self.blank is None else self.blank.to(x.dtype)
            x = torch.where(mask[..., None], hidden, x)
        return x if channels is None else x.masked_fill(channels[:, None], 0)

    def _through(
        self, x: Float[Tensor, "B T D"], lengths: Int[Tensor, " B"] | None, inside: Bool[Tensor, "B T"] | None
    ) -> tuple[tuple[Float[Tensor, "B T D"], ...], Float[Tensor, "B T D"]]:
        if isinstance(self.trunk, Conformer):
            layers = tuple(self.trunk.each(x, lengths, None if self.config.streams else 0))
            return layers, layers[-1]
        layers = tuple(self.trunk.each(x, inside))
        last = layers[-1] if self.trunk.config.post else self.trunk.norm(layers[-1])
        return layers, last

    # ---- streams ----

    @property
    def wave(self) -> Wave:
        """What it hears."""
        return Wave(sample_rate=self.config.front.sample_rate)

    def _digest(self) -> str:
        """The alphabet of all layers, made anew when the weights have changed."""
        state = self.state_dict()
        return self._alphabet.of(state.values(), lambda: alphabet_of("encoder", dump(self.config), state))

    def spec(self, layer: int | None = None) -> Latents:
        """The features of a layer: 0 goes into the first, n comes out of the n-th; None: the end."""
        self._chosen(layer)
        place = "last" if layer is None else str(layer)
        rate = self.config.front.rate
        return Latents(name="features", alphabet=f"{self._digest()}/{place}", dim=self.config.trunk.dim, rate=rate)

    @torch.inference_mode()
    def encode(self, sound: Stream[Wave], layer: int | None = None) -> Stream[Latents]:
        """Features of a layer. Rows of different lengths do not see each other, nor what fills them up.

        Raises SpecError for sound of another rate, or shorter than a frame.
        """
        sound.expect(self.wave)
        spec = self.spec(layer)
        rows = []
        for row, length in zip(sound.data[:, 0], sound.lengths.tolist(), strict=True):
            made = self(row[None, :length])
            features = made.last if layer is None else made.layers[layer]
            rows.append(features[0, : int(self.config.front.frames(torch.tensor([length]))[0])])
        data = nn.utils.rnn.pad_sequence(rows, batch_first=True).transpose(1, 2)
        return Stream(spec, data, torch.tensor([len(row) for row in rows]))

    def _chosen(self, layer: int | None) -> None:
        if layer is not None and not 0 <= layer <= self.config.trunk.layers:
            raise SpecError(f"there is no layer {layer}; this encoder has 0 to {self.config.trunk.layers}")

    # ---- stepping ----

    def init_state(self, rows: int) -> EncoderState:
        """Nothing heard yet. ConfigError when it looks ahead."""
        if not self.config.streams:
            raise ConfigError("this encoder looks ahead and cannot be stepped; build one with streams=True")
        positions = () if self.positions is None else self.positions.init_state(rows)  # type: ignore[operator]
        return EncoderState(self.front.init_state(rows), positions, self.trunk.init_state(rows))

    def step(
        self, x: Float[Tensor, "B N"], state: EncoderState, active: Bool[Tensor, " B"] | None = None
    ) -> Float[Tensor, "B T D"]:
        """The end's frames of the next samples, whole frames (with a Conformer whole chunks) of them."""
        before = state.clone() if active is not None else state
        frames = self.front.step(x, state.front)
        frames = self._into(frames if self.norm is None else self.norm(frames), None, None)
        if self.positions is not None and isinstance(state.positions, State):
            frames = self.positions.step(frames, state.positions)  # type: ignore[operator]
        y = self.trunk.step(frames, state.trunk)  # type: ignore[arg-type]
        state.keep(before, active)
        return y


PARTS: Final = ("hubert", "wav2vec2", "w2vbert")
"""Parts that hold an encoder and what taught it."""


def load_encoder(folder: Path) -> Encoder:
    """The encoder of a run that learnt from sound alone; PartError where there is none."""
    for part in PARTS:
        if (folder / f"{part}.json").is_file():
            return load_part(folder, part).encoder
    raise PartError(f"{folder} has no encoder; wanted a run of {', '.join(PARTS)}")
