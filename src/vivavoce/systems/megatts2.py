"""Mega-TTS 2: a voice from any number of recordings, and a manner between two (arXiv:2307.07218).

`systems.megatts` with other numbers: each phone looks at all references, a prosody code stands for eight frames and not
for a phone, lengths are told one after the other behind a prompt's, and two prompts' expectations are mixed
(`MegaTts.plan`).
"""

from functools import partial

from vivavoce.systems.megatts import MegaTts

speaker = partial(MegaTts.load, name="megatts2")
