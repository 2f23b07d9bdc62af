"""Our own answers as far as they are known to be made and played; they are played one after the other."""

from dataclasses import dataclass

MOST_PLAYING = 8
"""So many answers may wait to be played; a client that lets more pile up is taken to play them without reporting it."""


@dataclass(slots=True)
class Playing:
    """One answer; ``to_speech``: it answers what was just said."""

    turn: int
    to_speech: bool = False
    made: int = 0
    position: int = 0
    whole: bool = False
    paused: bool = False

    @property
    def on(self) -> bool:
        """Whether there is something to interrupt."""
        return not self.whole or self.position < self.made


class Playback:
    """The answers that are made or played now or later, in their order."""

    def __init__(self) -> None:
        """Nothing is played."""
        self._answers: list[Playing] = []

    # ---- what is going on ----

    @property
    def now(self) -> Playing | None:
        """The answer that is made or played."""
        return next((answer for answer in self._answers if answer.on), None)

    @property
    def over(self) -> bool:
        """Whether something was played, and to its end."""
        return bool(self._answers) and self.now is None

    @property
    def sounding(self) -> bool:
        """Whether some of the answer is being played at this moment, as far as is known."""
        now = self.now
        return now is not None and not now.paused and now.position < now.made

    @property
    def to_be_played(self) -> tuple[tuple[int, int], ...]:
        """The turns that are made or played now or later, with what was played of them."""
        return tuple((answer.turn, answer.position) for answer in self._answers if answer.on)

    def position_of(self, turn: int) -> int:
        """Samples of an answer that were played, as far as is known."""
        answer = self._of(turn)
        return answer.position if answer else 0

    def _of(self, turn: int) -> Playing | None:
        return next((answer for answer in self._answers if answer.turn == turn), None)

    # ---- what happens to answers ----

    def began(self, turn: int, to_speech: bool) -> None:
        """An answer begins; those that were played are forgotten."""
        playing = [answer for answer in self._answers if answer.on]
        self._answers = [*playing[1 - MOST_PLAYING :], Playing(turn, to_speech)]

    def grew(self, turn: int, samples: int) -> None:
        """So many samples of the answer exist now."""
        if answer := self._of(turn):
            answer.made = samples

    def made_whole(self, turn: int) -> None:
        """The answer is made; perhaps it is still being played."""
        if answer := self._of(turn):
            answer.whole = True

    def stopped(self, turn: int) -> None:
        """The answer is neither made nor played any more."""
        self._answers = [answer for answer in self._answers if answer.turn != turn]

    def played_to(self, turn: int, samples: int) -> None:
        """The listener's loudspeaker is at this sample of the answer; whatever came before it was played."""
        if answer := self._of(turn):
            self._answers = self._answers[self._answers.index(answer) :]
            answer.position = max(0, min(samples, answer.made))

    def advance(self, samples: int) -> None:
        """Time goes on, and with it what is played."""
        left = samples
        while left and (answer := self.now) and not answer.paused:
            before = answer.position
            answer.position = min(answer.made, before + left)
            left = left - (answer.position - before) if answer.whole else 0

    def pause(self) -> int | None:
        """Pauses the answer that is played; gives its turn, None if none is."""
        if answer := self.now:
            answer.paused = True
            return answer.turn
        return None

    def resume(self) -> int | None:
        """The answer that was paused is played on; gives its turn, None if none was."""
        for answer in self._answers:
            if answer.paused:
                answer.paused = False
                return answer.turn
        return None

    def clear(self) -> list[Playing]:
        """Nothing more is played; gives what would have been."""
        left, self._answers = [answer for answer in self._answers if answer.on], []
        return left
