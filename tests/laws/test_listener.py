"""The listener's streaming laws: chunked == whole, rows do not see each other, paused rows do not change."""

import torch

from vivavoce.models.listener import Listener, ListenerConfig
from vivavoce.nn.conformer import ConformerConfig


def tiny() -> Listener:
    torch.manual_seed(0)
    trunk = ConformerConfig(dim=32, layers=2, heads=2, kernel=5, chunk=4, window=12)
    return ListenerConfig(trunk=trunk).build().eval()


def test_chunked_is_whole_whatever_the_chunks() -> None:
    listener = tiny()
    wave = 0.1 * torch.randn(2, 2560 * 9)
    whole = listener.listen(wave, chunk=None)
    state = listener.init_state(2)
    for sizes in ([1] * 9, [2, 3, 4], [9]):
        state.reset()
        pieces = [listener.step(piece, state) for piece in wave.split([2560 * n for n in sizes], dim=1)]
        for name in ("ctc", "frame", "features"):
            chunked = torch.cat([getattr(piece, name) for piece in pieces], dim=1)
            assert torch.allclose(chunked, getattr(whole, name), atol=1e-4), name


def test_many_chunks_at_once_are_as_one_by_one() -> None:
    listener = tiny()
    wave = 0.1 * torch.randn(2, 2560 * 61 + 640)
    state, other = listener.init_state(2), listener.init_state(2)
    listener.step(wave[:, :5120], other, torch.tensor([False, True]))  # rows that have heard unlike much
    listener.step(wave[:, :5120], state, torch.tensor([False, True]))
    one_by_one = torch.cat([listener.step(piece, state).features for piece in wave.split(2560, dim=1)], dim=1)
    at_once = listener.step(wave, other).features
    assert torch.allclose(at_once, one_by_one, atol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(other.tensors(), state.tensors(), strict=True))


def test_rows_and_pauses() -> None:
    listener = tiny()
    wave = 0.1 * torch.randn(3, 2560 * 4)
    both = listener.init_state(3)
    alone = listener.init_state(1)
    paused = torch.tensor([True, False, True])
    for step, piece in enumerate(wave.split(2560, dim=1)):
        kept = both.rows(slice(1, 2))
        active = paused if step == 2 else None
        out = listener.step(piece, both, active)
        if active is not None:
            assert all(torch.equal(a, b) for a, b in zip(kept.tensors(), both.rows(slice(1, 2)).tensors(), strict=True))
        assert torch.allclose(out.ctc[2:], listener.step(piece[2:], alone).ctc, atol=1e-5)


def test_padding_does_not_change_what_is_heard() -> None:
    listener = tiny()
    mel = torch.randn(2, 80, 120) - 5
    lengths = torch.tensor([120, 60])
    batch = listener(mel, lengths, chunk=0)
    alone = listener(mel[1:, :, :60], None, chunk=0)
    assert torch.allclose(batch.ctc[1:, :30], alone.ctc, atol=1e-4)
