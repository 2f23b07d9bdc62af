"""The nets of latent diffusion, equal to diffusers' with the same random weights."""

import re

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from vivavoce.models.vae import MelVaeConfig
from vivavoce.nn.unet import UNetConfig

RESIDUAL = [("conv_shortcut", "past"), ("time_emb_proj", "shift")]
LOOKING = [
    ("proj_in", "enter"), ("proj_out", "leave"), ("transformer_blocks.0.ff.net.0.proj", "up"),
    ("transformer_blocks.0.ff.net.2", "down"), ("transformer_blocks.0.attn1", "itself"),
    ("transformer_blocks.0.attn2", "cross"), ("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "out"),
    ("transformer_blocks.0.norm1", "norms.0"), ("transformer_blocks.0.norm2", "norms.1"),
    ("transformer_blocks.0.norm3", "norms.2"),
]  # fmt: skip
UNET = [
    (r"^conv_in", "enter"), (r"^conv_out", "leave"), (r"^conv_norm_out", "norm"), (r"^class_embedding", "film"),
    (r"^time_embedding.linear_1", "time.0"), (r"^time_embedding.linear_2", "time.2"),
    (r"^down_blocks\.(\d)\.(?:down|up)samplers.0.conv", r"levels.\1.change"),
    (r"^up_blocks\.(\d)\.(?:down|up)samplers.0.conv", r"ascent.\1.change"),
    (r"^down_blocks", "levels"), (r"^up_blocks", "ascent"),
    (r"^mid_block.attentions.0", "inside"), (r"^mid_block", "middle"),
    ("resnets", "residual"), ("attentions", "looking"),
    *((re.escape(a), b) for a, b in RESIDUAL + LOOKING),
]  # fmt: skip
VAE = [
    (r"^quant_conv", "enter"), (r"^post_quant_conv", "leave"), (r"^encoder", "down"), (r"^decoder", "up"),
    ("conv_in", "enter"), ("conv_out", "leave"), ("conv_norm_out", "norm"), (r"mid_block\.resnets", "middle"),
    (r"(?:down|up)_blocks\.(\d)\.(?:down|up)samplers.0.conv", r"changes.\1"),
    (r"(?:down|up)_blocks\.(\d)\.resnets", r"levels.\1"), ("conv_shortcut", "past"),
]  # fmt: skip


def _given(ours: torch.nn.Module, theirs: torch.nn.Module, names: list[tuple[str, str]]) -> None:
    """Their weights under our names."""
    state = {}
    for name, value in theirs.state_dict().items():
        for pattern, own in names:
            name = re.sub(pattern, own, name)
        state[name] = value
    ours.load_state_dict(state)


def test_the_net_of_audioldm():
    """A vector joined to the time, and both attentions of a layer to itself."""
    theirs = UNet2DConditionModel(
        sample_size=8, in_channels=2, out_channels=2, block_out_channels=(16, 32, 32), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), norm_num_groups=8,
        attention_head_dim=4, cross_attention_dim=(16, 32, 32), class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=12, class_embeddings_concat=True,
    ).eval()  # fmt: skip
    ours = UNetConfig(
        inputs=2, outputs=2, channels=(16, 32, 32), blocks=1, attends=(False, True, True), heads=4, groups=8, film=12
    ).build().eval()  # fmt: skip
    _given(ours, theirs, UNET)
    x, film, steps = torch.randn(2, 2, 12, 4), torch.randn(2, 12), torch.tensor([3, 700])
    with torch.no_grad():
        wanted = theirs(x, steps, encoder_hidden_states=None, class_labels=film).sample
        assert torch.allclose(ours(x, (steps + 1) / 1000, film), wanted, atol=1e-5)


def test_the_net_of_voiceldm():
    """It looks at a memory, of which not all is there; sizes that cannot be halved evenly come back."""
    theirs = UNet2DConditionModel(
        sample_size=8, in_channels=2, out_channels=2, block_out_channels=(16, 32), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8, attention_head_dim=4, cross_attention_dim=20, class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=12, class_embeddings_concat=True,
    ).eval()  # fmt: skip
    ours = UNetConfig(
        inputs=2, outputs=2, channels=(16, 32), blocks=1, attends=(False, True), heads=4, groups=8, film=12, memory=20
    ).build().eval()  # fmt: skip
    _given(ours, theirs, UNET)
    x, film, memory = torch.randn(2, 2, 9, 4), torch.randn(2, 12), torch.randn(2, 5, 20)
    seen, steps = torch.arange(5) < torch.tensor([[5], [3]]), torch.tensor([3, 700])
    with torch.no_grad():
        wanted = theirs(
            x, steps, encoder_hidden_states=memory, class_labels=film, encoder_attention_mask=seen.long()
        ).sample
        found = ours(x, (steps + 1) / 1000, film, memory, seen)
    assert torch.allclose(found, wanted, atol=1e-5)


def test_the_autoencoder():
    theirs = AutoencoderKL(
        in_channels=1, out_channels=1, block_out_channels=(16, 32), layers_per_block=2, latent_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2, norm_num_groups=8,
        mid_block_add_attention=False,
    ).eval()  # fmt: skip
    ours = MelVaeConfig(bins=8, latent=3, channels=(16, 32), groups=8).build().eval()
    _given(ours, theirs, VAE)
    mel = torch.randn(2, 8, 12)
    with torch.no_grad():
        wanted, found = theirs.encode(mel.transpose(1, 2)[:, None]).latent_dist, ours.encode(mel)
        assert torch.allclose(found.mean, wanted.mean, atol=1e-5)
        assert torch.allclose(found.log_variance, wanted.logvar, atol=1e-5)
        assert torch.allclose(found.divergence() * found.mean[0].numel(), wanted.kl().mean(), atol=1e-3)
        sound = theirs.decode(wanted.mean).sample[:, 0].transpose(1, 2)
        assert torch.allclose(ours.decode(found.mean), sound, atol=1e-5)
