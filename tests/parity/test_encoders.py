"""Our encoder beside the transformers library's with the same random weights: every layer, alone and in a batch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from vivavoce.core.errors import PartError
from vivavoce.hub import encoders, hubert, w2v_bert, wav2vec2, wavlm
from vivavoce.models.encoder import Encoder
from vivavoce.recipes.codec_teacher import teacher_of

transformers = pytest.importorskip("transformers")

SMALL = dict(
    hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48, conv_dim=(16,) * 7,
    num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4, num_buckets=16, max_bucket_distance=24,
)  # fmt: skip


def shaken(module: Any) -> Any:
    """Weights that make every part matter."""
    for name, weight in module.named_parameters():
        if "original0" not in name:
            torch.nn.init.normal_(weight, std=0.3)
            if "norm.weight" in name:
                weight.data += 1
    return module.eval()


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max().clamp(min=1)


@pytest.mark.parametrize("stable", [False, True])
@pytest.mark.parametrize(
    ("kind", "load"), [("Wav2Vec2", wav2vec2.encoder), ("Hubert", hubert.encoder), ("WavLM", wavlm.encoder)]
)
def test_waves_to_layers(kind: str, load: Any, stable: bool) -> None:
    torch.manual_seed(1)
    norm = "layer" if stable else "group"
    published = getattr(transformers, kind + "Config")(
        **SMALL, do_stable_layer_norm=stable, feat_extract_norm=norm, conv_bias=stable
    )
    theirs = shaken(getattr(transformers, kind + "Model")(published))
    ours = load(published.to_dict(), theirs.state_dict(), standardize=False)
    assert isinstance(ours, Encoder)
    wave = 0.5 * torch.randn(2, 6000)
    with torch.no_grad():
        wanted, made = theirs(wave, output_hidden_states=True), ours(wave)
        close(made.last, wanted.last_hidden_state)
        for layer in range(3 if stable else 4):
            close(made.layers[layer], wanted.hidden_states[layer])
        if stable:  # padding: frames of the second row that are not there are seen by nobody
            lengths = torch.tensor([6000, 4000])
            wave[1, 4000:] = 0
            heard = torch.arange(6000)[None] < lengths[:, None]
            padded = theirs(wave, attention_mask=heard.long()).last_hidden_state
            made = ours(wave, lengths)
            count = int(made.lengths[1])
            close(made.last[1, :count], padded[1, :count])


def test_what_is_missing_or_not_known_is_told() -> None:
    published = transformers.Wav2Vec2Config(**SMALL)
    state = transformers.Wav2Vec2Model(published).state_dict()
    with pytest.raises(PartError, match="nothing is known of 'more'"):
        wav2vec2.encoder(published.to_dict(), state | {"more": torch.zeros(1)})
    del state["feature_projection.projection.bias"]
    with pytest.raises(PartError, match=r"gives no 'project\.bias'"):
        wav2vec2.encoder(published.to_dict(), state)
    with pytest.raises(PartError, match="conv_pos_batch_norm is True"):
        hubert.encoder(published.to_dict() | {"conv_pos_batch_norm": True}, state)


@pytest.mark.parametrize("kind", ["Wav2Vec2", "Hubert", "WavLM", "Wav2Vec2Bert", "Whisper"])
def test_no_tensor_may_be_missing(kind: str) -> None:
    config = SMALL
    if kind == "Whisper":
        config = dict(
            d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=60, pad_token_id=0, bos_token_id=1, eos_token_id=2,
            decoder_start_token_id=1,
        )  # fmt: skip
    elif kind == "Wav2Vec2Bert":
        config = dict(hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64)
    published = getattr(transformers, kind + "Config")(
        **config | ({} if kind == "Whisper" else {"num_hidden_layers": 1})
    )
    theirs = getattr(transformers, "WhisperForConditionalGeneration" if kind == "Whisper" else kind + "Model")(
        published
    )
    given, state = published.to_dict(), theirs.state_dict()
    encoders.encoder_of(given, state)
    for name in state:
        if name in ("masked_spec_embed", "proj_out.weight"):  # which fine-tuned models drop; the decoder's embeddings
            continue
        with pytest.raises(PartError):
            encoders.encoder_of(given, {key: value for key, value in state.items() if key != name})


def test_a_published_encoder_teaches_a_codec_by_the_mean_of_its_layers(tmp_path: Path) -> None:
    torch.manual_seed(5)
    theirs = shaken(transformers.HubertModel(transformers.HubertConfig(**SMALL)))
    theirs.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": false}')
    teacher = teacher_of(tmp_path)
    assert (teacher.sample_rate, teacher.rate, teacher.dim) == (16_000, 50, 32)
    wave = 0.3 * torch.randn(1, 6000)
    with torch.no_grad():
        wanted = torch.stack(theirs(wave, output_hidden_states=True).hidden_states).mean(0)[0]
        close(teacher.features(wave), wanted)
    assert teacher_of(tmp_path).digest == teacher.digest
    with pytest.raises(PartError, match="no encoder that can be read"):
        teacher_of(tmp_path / "none")
    with pytest.raises(PartError, match="vivavoce models get hf:some/body"):
        teacher_of(Path("hf:some/body"))


def test_a_whisper_teaches_a_codec(fetched: Callable[[str], Path]) -> None:
    teacher = teacher_of(fetched("whisper-base"))
    assert (teacher.what, teacher.rate, teacher.dim) == ("whisper-base", 50, 512)
    assert teacher.features(0.1 * torch.randn(1, 16_000)).shape == (50, 512)


def test_w2v_bert() -> None:
    torch.manual_seed(2)
    published = transformers.Wav2Vec2BertConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
        feature_projection_input_dim=160, left_max_position_embeddings=6, right_max_position_embeddings=3,
        conv_depthwise_kernel_size=5,
    )  # fmt: skip
    theirs = shaken(transformers.Wav2Vec2BertModel(published))
    ours = w2v_bert.encoder(published.to_dict(), theirs.state_dict())
    wave = 0.1 * torch.randn(1, 16000)
    features = transformers.SeamlessM4TFeatureExtractor()(wave[0].numpy(), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        made = ours(wave)
        assert (ours.front(wave) - features["input_features"]).abs().max() <= 1e-3  # theirs is in double precision
        wanted = theirs(ours.front(wave), output_hidden_states=True)
    close(made.last, wanted.last_hidden_state)
    for layer in range(4):
        close(made.layers[layer], wanted.hidden_states[layer])
    with pytest.raises(PartError, match="add_adapter is True"):
        w2v_bert.config_of(published.to_dict() | {"add_adapter": True})


def test_folders_of_published_encoders(tmp_path: Path) -> None:
    published = transformers.HubertConfig(**SMALL)
    theirs = transformers.HubertModel(published).eval()
    theirs.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": false}')
    ours = encoders.open_encoder(tmp_path)
    wave = 0.3 * torch.randn(1, 4000)
    with torch.no_grad():
        close(ours(wave).last, theirs(wave).last_hidden_state)
    with pytest.raises(PartError, match="kind 'bert' is not known; known are wav2vec2"):
        encoders.encoder_of({"model_type": "bert"}, {})
    with pytest.raises(PartError, match="does not say 'conv_dim'"):
        encoders.encoder_of({"model_type": "hubert"}, {})
    with pytest.raises(PartError, match="vivavoce models get hf:some/body"):
        encoders.open_encoder("hf:some/body")
    with pytest.raises(PartError, match="no encoder that can be read"):
        encoders.open_encoder(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("Wav2Vec2ForPreTraining", "quantizer and projections"), ("Wav2Vec2ForCTC", "letters"),
        ("HubertForCTC", "letters"), ("WavLMForCTC", "letters"), ("Wav2Vec2BertForCTC", "letters"),
        ("WhisperForConditionalGeneration", "a decoder"),
    ],
)  # fmt: skip
def test_the_encoder_of_a_model_that_has_more(name: str, heads: str, tmp_path: Path) -> None:
    """As published: whole models lie on the hub, of which the encoder is taken (``heads`` are left out)."""
    torch.manual_seed(4)
    bert = dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, conv_depthwise_kernel_size=5,
        left_max_position_embeddings=6, right_max_position_embeddings=3, vocab_size=12,
    )  # fmt: skip
    whisper = dict(
        d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=60, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1,
    )  # fmt: skip
    waves = SMALL | dict(codevector_dim=16, proj_codevector_dim=16, num_codevectors_per_group=4, vocab_size=12)
    chosen = bert if "Bert" in name else whisper if "Whisper" in name else waves
    theirs = shaken(getattr(transformers, name)(getattr(transformers, name.partition("For")[0] + "Config")(**chosen)))
    theirs.save_pretrained(tmp_path)
    base = theirs.model.encoder if "Whisper" in name else getattr(theirs, theirs.base_model_prefix)
    (tmp_path / "preprocessor_config.json").write_text('{"do_normalize": false}')
    ours = encoders.open_encoder(tmp_path)
    wave = 0.1 * torch.randn(1, 480_000 if "Whisper" in name else 16000)
    with torch.no_grad():
        front: Any = ours.front
        given = front.spectrogram(wave) if "Whisper" in name else front(wave) if "Bert" in name else wave
        close(ours(wave).last, base(given).last_hidden_state)
    with pytest.raises(PartError, match="nothing is known of"):
        encoders.encoder_of(theirs.config.to_dict(), theirs.state_dict() | {"a.strange.head": torch.zeros(1)})
