"""What a speaker is asked that says a sentence at once: the seam of every synthesis system that is no live voice.

A system in `vivavoce.systems` that can be asked so has a function ``speaker(folder) -> SentenceSpeaker``, or the file
of its name in `vivavoce.hub` has, where it was grown from published weights; the part in the folder that has the
system's name says which it is.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch

from vivavoce.core.streams import Stream, Tokens, Wave

Taken = Literal["clip", "prosody", "description", "scene"]
"""What may say how something should sound: somebody's clip, one whose pace and melody are taken and not its voice,
words about the voice, words about the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One row: what is to be said, and how.

    ``prompt`` is a clip at the speaker's rate, and what it says; ``prosody`` one that says it in the wanted way.
    """

    text: str
    phones: Stream[Tokens]
    prompt: Stream[Wave] | None = None
    prompt_text: str = ""
    prompt_phones: Stream[Tokens] | None = None
    prosody: Stream[Wave] | None = None
    prosody_phones: Stream[Tokens] | None = None
    description: str = ""
    scene: str = ""
    seed: int = 0

    @property
    def all_phones(self) -> Stream[Tokens]:
        """Those of the clip, then those of the sentence, with one pause between them."""
        if self.prompt_phones is None:
            return self.phones
        data = torch.cat((self.prompt_phones.data[:, :, :-1], self.phones.data), dim=2)
        return Stream(self.phones.spec, data, self.prompt_phones.lengths - 1 + self.phones.lengths)


@runtime_checkable
class SentenceSpeaker(Protocol):
    """Speaks a sentence when it knows all of it."""

    @property
    def sample_rate(self) -> int:
        """Of its sound and of the clips that it takes, in Hz."""
        ...

    @property
    def takes(self) -> frozenset[Taken]:
        """What it can be asked for beside the text."""
        ...

    def say(self, sentence: Sentence) -> Stream[Wave]:
        """One row of sound, without the prompt."""
        ...
