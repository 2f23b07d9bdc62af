"""What is computed from weights is kept while they stay, and never longer."""

import copy
import pickle

import pytest
import torch
from torch import nn

from vivavoce.core.derived import Derived
from vivavoce.models import codec as codecs
from vivavoce.models.codec import mel_codec
from vivavoce.nn.convnext import ConvNeXtConfig

SMALL = ConvNeXtConfig(dim=8, depth=1)


def small() -> codecs.Codec:
    torch.manual_seed(5)
    return mel_codec(
        encode_fine=SMALL, encode_coarse=SMALL, decode_coarse=SMALL, decode_fine=SMALL, books=3, size=8, code_dim=4
    ).build()


@pytest.fixture
def counted(monkeypatch):
    """How often an alphabet was made."""
    made = []
    real = codecs.alphabet_of

    def alphabet_of(*args):
        made.append(real(*args))
        return made[-1]

    monkeypatch.setattr(codecs, "alphabet_of", alphabet_of)
    return made


def in_place(codec):
    with torch.no_grad():
        next(codec.front.parameters()).mul_(2)


def replaced(codec):
    first = next(codec.front.parameters())
    first.data = first.data * 2


def loaded(codec):
    other = small()
    with torch.no_grad():
        next(other.front.parameters()).mul_(2)
    codec.load_state_dict(other.state_dict())


def trained(codec):
    optimizer = torch.optim.SGD(codec.front.parameters(), lr=0.5)
    codec.front(torch.ones(1, 1, 4 * codec.config.hop)).square().sum().backward()
    optimizer.step()


def entries_moved(codec):
    with torch.no_grad():
        codec.quantizer.semantic.entries[0, 0] += 1


CHANGES = [in_place, replaced, loaded, trained, entries_moved]


def test_an_alphabet_is_made_once(counted):
    codec = small()
    names = {codec.tokens.alphabet for _ in range(5)}
    with torch.no_grad():
        codec.back(torch.zeros(1, 8, 4))
        next(codec.back.parameters()).mul_(2)  # another back says the same tokens
    assert names | {codec.tokens.alphabet} == set(counted) and len(counted) == 1


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changed_weights_have_another_alphabet(change):
    codec = small()
    before = codec.tokens.alphabet
    change(codec)
    after = codec.tokens.alphabet
    fresh = copy.deepcopy(codec)
    assert before != after == fresh.tokens.alphabet


def test_the_precision_changes_the_alphabet_only_below_the_stored_one():
    codec = small()
    before = codec.tokens.alphabet
    assert codec.double().tokens.alphabet == before
    assert pickle.loads(pickle.dumps(codec)).tokens.alphabet == before


def test_new_tensors_at_an_old_address_are_seen():
    kept: Derived[float] = Derived()
    module = nn.Linear(1, 1, bias=False)
    for value in (1.0, 2.0, 3.0, 4.0):
        module.weight = nn.Parameter(torch.full((1, 1), value))
        assert kept.of(module.parameters(), module.weight.item) == value


def test_inference_tensors_are_never_kept():
    kept: Derived[float] = Derived()
    with torch.inference_mode():
        tensor = torch.zeros(1)
        assert kept.of([tensor], tensor.item) == 0
        tensor += 1
        assert kept.of([tensor], tensor.item) == 1
