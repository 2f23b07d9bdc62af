"""Our blocks beside other people's code, with the same weights: residual quantiser, overlap-add."""

import pytest
import torch
from torch import nn

from vivavoce.nn.quantize import ResidualConfig
from vivavoce.nn.spectral import SpectralHeadConfig


def test_residual_quantiser_equals_vector_quantize_pytorch():
    theirs_of = pytest.importorskip("vector_quantize_pytorch").ResidualVQ
    ours = ResidualConfig(dim=5, code_dim=5, books=3, size=16).build().eval()
    x = torch.randn(2, 5, 40)
    ours.start(x)
    with torch.no_grad():
        ours.into.weight.copy_(torch.eye(5))
        ours.out.weight.copy_(torch.eye(5))
        nn.init.zeros_(ours.into.bias)
        nn.init.zeros_(ours.out.bias)
        theirs = theirs_of(dim=5, num_quantizers=3, codebook_size=16).eval()
        for layer, entries in zip(theirs.layers, ours.entries, strict=True):
            layer._codebook.embed.copy_(entries[None])
            layer._codebook.initted.fill_(1)
        values, codes, _ = theirs(x.transpose(1, 2))
        assert torch.equal(ours.encode(x), codes.transpose(1, 2))
        assert torch.allclose(ours(x).values, values.transpose(1, 2), atol=1e-5)


def test_moving_averages_equal_vector_quantize_pytorch():
    theirs_of = pytest.importorskip("vector_quantize_pytorch").VectorQuantize
    ours = (
        ResidualConfig(dim=4, code_dim=4, books=1, size=8, decay=0.8, dead_below=0.0, fewer_books=0.0).build().train()
    )
    x = torch.randn(2, 4, 64)
    ours.start(x)
    with torch.no_grad():
        ours.into.weight.copy_(torch.eye(4))
        nn.init.zeros_(ours.into.bias)
        theirs = theirs_of(dim=4, codebook_size=8, decay=0.8, threshold_ema_dead_code=0, eps=1e-12).train()
        theirs._codebook.embed.copy_(ours.entries[:1])
        theirs._codebook.embed_avg.copy_(ours.entries[:1] * ours.usage[:1, :, None])
        theirs._codebook.cluster_size.copy_(ours.usage[:1])
        theirs._codebook.initted.fill_(1)
        for shift in (0.0, 0.5, 1.0):
            ours(x + shift)
            theirs((x + shift).transpose(1, 2))
    used = ours.usage[0] > 0.3  # entries that nobody chose are smoothed differently
    assert int(used.sum()) >= 4
    assert torch.allclose(ours.entries[0][used], theirs._codebook.embed[0][used], atol=1e-4)


def test_overlap_add_inverts_torch_stft():
    """Spectra of ``torch.stft`` come out as the sound that they were made from, where all windows overlap."""
    head = SpectralHeadConfig(dim=66, window=64, hop=16).build().eval()
    wave = 0.3 * torch.randn(1, 16 * 40)
    spectra = torch.stft(wave, 64, 16, window=torch.ones(64), center=False, return_complex=True)
    given = torch.cat((spectra.abs().log(), spectra.angle()), dim=1)
    with torch.no_grad():
        head.spectrum.weight.copy_(torch.eye(66))
        head.spectrum.bias.zero_()
        assert torch.allclose(head(given)[:, 64:], wave[:, 64 : 16 * given.shape[2]], atol=1e-4)
