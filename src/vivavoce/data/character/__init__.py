"""Conversations with a character, made from its sheet: what people say, what it answers, and when it calls its tool.

User words are normalised, as a listener hears them; replies are written, as they are to be spoken. Everything follows
from the sheet and a seed.
"""

from vivavoce.data.character.conversations import Character
from vivavoce.data.character.turns import HEARD, Dialogue, ScriptedTurn, heard, sentence_case

__all__ = ["HEARD", "Character", "Dialogue", "ScriptedTurn", "heard", "sentence_case"]
