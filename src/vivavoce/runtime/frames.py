"""A conversation by turns as a stream: for every frame of the microphone that was heard, a frame of what is played."""

from collections.abc import Callable
from dataclasses import replace

from vivavoce.runtime.api import AudioOut, Framed, Input, Output, Paused, Played, Resumed, Silenced, TurnEnded
from vivavoce.runtime.player import Player


class AnswerFrames:
    """Our loudspeaker on the microphone's clock. The session has to have ``frames`` and ``plays_here``."""

    def __init__(self, do: Callable[[Input], None]) -> None:
        """``do`` takes what the conversation has to know of the playback."""
        self._player = Player(lambda _: None, lambda turn, samples, _: do(Played(turn, samples)))
        self._at = 0

    def follow(self, output: Output) -> Output:
        """The output, a frame with the sound that is played in it."""
        player = self._player
        match output:
            case AudioOut(turn, _, pcm, _):
                player.put(turn, pcm)
            case TurnEnded(turn):
                player.end(turn)
            case Paused():
                player.paused = True
            case Resumed():
                player.paused = False
            case Silenced(turn):
                player.drop(turn)
            case Framed(at):
                sound = player.next(at - self._at)
                self._at = at
                return replace(output, pcm=sound)
            case _:
                pass
        return output
