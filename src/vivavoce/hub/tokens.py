"""Other people's tokenizers of byte pairs: text to ids, and every id's bytes."""

import json
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

from vivavoce.core.errors import MissingExtra, PartError

_LETTERS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS = {"llama-bpe": _LETTERS % r"\p{N}{1,3}", "llama3": _LETTERS % r"\p{N}{1,3}", "qwen2": _LETTERS % r"\p{N}"}
"""How text is cut into pieces before pairs are joined, by llama.cpp's names; those of GPT-2 are the library's own."""
_PLAIN = re.compile(rb" |'| ?[a-z']*[a-z][a-z']*")


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise MissingExtra("chat models need the extra 'mind': pip install 'vivavoce[mind]'") from error
    return tokenizers


def tokenizer_json(
    splits: str, tokens: Sequence[str], merges: Sequence[tuple[str, ...]], special: Sequence[str], added: Sequence[str]
) -> str | None:
    """A ``tokenizer.json`` of tokens and merges; None where it is not known how text is split."""
    lib = _library()
    pre = lib.pre_tokenizers
    match splits:
        case "gpt-2" | "gpt2" | "default":
            cut = pre.ByteLevel(add_prefix_space=False)
        case "smollm":
            cut = pre.Sequence([pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)])
        case known if known in _SPLITS:
            split = pre.Split(lib.Regex(_SPLITS[known]), "isolated")
            cut = pre.Sequence([split, pre.ByteLevel(add_prefix_space=False, use_regex=False)])
        case _:
            return None
    model = lib.models.BPE(
        vocab={token: id for id, token in enumerate(tokens)},
        merges=list(merges),
        ignore_merges=splits.startswith("llama"),
    )
    made = lib.Tokenizer(model)
    made.pre_tokenizer, made.decoder = cut, lib.decoders.ByteLevel()
    made.add_special_tokens([lib.AddedToken(token, special=True, normalized=False) for token in special])
    made.add_tokens([lib.AddedToken(token, special=False, normalized=False) for token in added])
    return made.to_str()


class ChatTokenizer:
    """Text to ids and back, of a ``tokenizer.json`` that works on bytes."""

    def __init__(self, described: str) -> None:
        """PartError for one that is damaged or not of byte pairs."""
        lib = _library()
        try:
            data = json.loads(described)
            self._tokenizer = lib.Tokenizer.from_str(described)
        except Exception as error:  # the library raises nothing more exact
            raise PartError(f"the tokenizer cannot be read ({error}); fetch the model again") from error
        if "ByteLevel" not in json.dumps([data.get("pre_tokenizer"), data.get("decoder")]):
            raise PartError(
                "the tokenizer is not one of byte pairs; serve the model with llama.cpp and give its address"
            )
        self._described = described
        self._special = {entry["id"] for entry in data.get("added_tokens") or () if entry.get("special")}
        self._added = {entry["id"] for entry in data.get("added_tokens") or ()}

    def encode(self, text: str) -> list[int]:
        """Ids of a text in which special tokens are what they stand for."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def plain(self, text: str) -> list[int]:
        """Ids of a text in which nothing is special, whatever it looks like."""
        pieces: list[int] = []
        for piece in self._split(text):
            pieces += self._tokenizer.encode(piece, add_special_tokens=False).ids
        return pieces

    def spelled(self, text: str, below: int) -> list[int]:
        """As `plain`, in ids below a number: pairs are joined no further. PartError where these cannot spell it."""
        ids = [id for piece in self._split(text) for id in self._coarse(below).encode(piece).ids]
        if wrong := [id for id in ids if id >= below]:
            token = self._tokenizer.id_to_token(wrong[0])
            raise PartError(f"{token!r} is not among the first {below} ids of this tokenizer; spell with more of them")
        return ids

    def words_spelled(self, below: int) -> dict[int, list[int]]:
        """As `spelled`, of every token that is a word in lower case without punctuation, or a piece of one."""
        named = {id: piece.decode() for id, piece in enumerate(self.pieces) if _PLAIN.fullmatch(piece)}
        made = self._coarse(below).encode_batch([*named.values()], add_special_tokens=False)
        spelled = {id: one.ids for id, one in zip(named, made, strict=True)}
        return {id: ids for id, ids in spelled.items() if max(ids) < below}

    @lru_cache(maxsize=4)  # noqa: B019 - tokenizers live as long as their models
    def _coarse(self, below: int) -> Any:
        data = json.loads(self._described)
        ids = data["model"]["vocab"]
        pairs = (pair.split(" ", 1) if isinstance(pair, str) else pair for pair in data["model"]["merges"])
        data["model"]["merges"] = [pair for pair in pairs if ids["".join(pair)] < below]
        data["model"].pop("ignore_merges", None)
        return _library().Tokenizer.from_str(json.dumps(data))

    def _split(self, text: str) -> list[str]:
        """The text cut inside whatever would be read as a special token."""
        cut = [text]
        for token in self._names:
            cut = [part for piece in cut for part in _apart(piece, token)]
        return cut

    @cached_property
    def _names(self) -> list[str]:
        return sorted((self._tokenizer.id_to_token(id) for id in self._added), key=len, reverse=True)

    def id(self, token: str) -> int | None:
        """Of a token by its name."""
        return self._tokenizer.token_to_id(token)

    @cached_property
    def pieces(self) -> list[bytes]:
        """The bytes of every id; special ones have none."""
        of_letter = _bytes_of_letters()
        found: list[bytes] = []
        for id in range(self._tokenizer.get_vocab_size(with_added_tokens=True)):
            token = self._tokenizer.id_to_token(id) or ""
            if id in self._special:
                found.append(b"")
            elif id in self._added:
                found.append(token.encode())
            else:
                found.append(bytes(of_letter[letter] for letter in token if letter in of_letter))
        return found


def _apart(text: str, token: str) -> list[str]:
    """Cut behind the first letter of every place where the token stands."""
    if len(token) < 2 or token not in text:
        return [text]
    first, *rest = text.split(token)
    made = [first + token[0]]
    for place, piece in enumerate(rest):
        made.append(token[1:] + piece + (token[0] if place + 1 < len(rest) else ""))
    return made


def byte_letters() -> list[str]:
    """The printable letter that stands for each byte in such vocabularies."""
    letter_of = {byte: letter for letter, byte in _bytes_of_letters().items()}
    return [letter_of[byte] for byte in range(256)]


def _bytes_of_letters() -> dict[str, int]:
    """The byte that each of these letters stands for."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}
