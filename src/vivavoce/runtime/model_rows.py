"""The states of one model for many conversations, lent row by row, and the work that is done beside the clock."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vivavoce.audio.pcm import to_float
from vivavoce.core.memory import trim
from vivavoce.core.talk import Heard, Thought
from vivavoce.runtime.beside import ForkedWorkers
from vivavoce.runtime.failures import log_failure
from vivavoce.runtime.model import (
    FRAME,
    Abilities,
    Context,
    Hearing,
    HearingBeside,
    HearingOptions,
    Pcm,
    ReadingAhead,
    Spoken,
    Thinking,
    Waking,
)  # fmt: skip
from vivavoce.runtime.rows import SpeakingRow
from vivavoce.runtime.stats import Stats
from vivavoce.runtime.thoughts import InlineThoughts, Recital, Thoughts, ThreadThoughts


class _Forked:
    """A mind in another process."""

    def __init__(self, thinking: Thinking, beside: ForkedWorkers) -> None:
        self._thinking, self._beside = thinking, beside

    def respond(self, context: Context) -> Iterator[Thought]:
        """What the mind says there; of all sound that was heard only the last takes the way to it."""
        last = max((place for place, entry in enumerate(context.entries) if entry.role == "user"), default=-1)
        light = (e if place == last else replace(e, audio=None) for place, e in enumerate(context.entries))
        lighter = replace(context, entries=tuple(light))
        return self._beside.iterate(partial(self._thinking.respond, lighter), about=context.conversation)

    def read(self, context: Context) -> Iterator[None]:
        """Reads ahead there."""
        assert isinstance(self._thinking, ReadingAhead)
        lighter = replace(context, entries=tuple(replace(entry, audio=None) for entry in context.entries))
        return self._beside.iterate(partial(self._thinking.read, lighter), about=context.conversation)


class _AfterReading:
    """A mind that begins once what it has to read ahead was read."""

    def __init__(self, thinking: Thinking, reading: Future[None]) -> None:
        self._thinking, self._reading = thinking, reading

    def respond(self, context: Context) -> Iterator[Thought]:
        """As the mind does."""
        wait((self._reading,))
        yield from self._thinking.respond(context)


@torch.inference_mode()
def _words_of(hearing: Hearing[Any], sound: np.ndarray, options: HearingOptions) -> Heard:
    """The words of a recording (Int16[N]), with a state of its own."""
    state = hearing.init_state(1)
    hearing.begin(state, 0, options)
    hearing.precede(state, 0, np.pad(to_float(sound), (0, -len(sound) % FRAME)))
    return hearing.finish(state, 0)


def _read(mind: Any, context: Context, found: Future[None]) -> None:
    """Reads ahead until that is done or not wanted; what goes wrong the reply will say."""
    steps = mind.read(context)
    try:
        while not found.cancelled():
            next(steps)
    except StopIteration:
        pass
    except Exception as error:
        log_failure(error)
    finally:
        with suppress(Exception):
            steps.close()
        if found.set_running_or_notify_cancel():
            found.set_result(None)


def batch(frames: dict[int, Pcm], rows: int) -> Tensor:
    """Sound of some rows, silence of the others."""
    pcm = np.zeros((rows, len(next(iter(frames.values())))), np.float32)
    for row, frame in frames.items():
        pcm[row] = frame
    return torch.from_numpy(pcm)


class ModelRows:
    """A model's states: of activity and hearing a row per conversation, of speaking a few more."""

    def __init__(
        self, model: Abilities, rows: int, stats: Stats, wake: Callable[[], None], *, threads: int, forked: bool
    ):
        """Allocates the states; ``wake`` is called when something that was begun beside the clock is there."""
        self.model, self.rows, self.stats, self._wake = model, rows, stats, wake
        self.speakers = rows + max(1, rows // 2)
        self.activity = model.activity.init_state(rows)
        self.hearing = model.hearing.init_state(rows)
        self.speaking = model.speaking.init_state(self.speakers)
        if threads and isinstance(self.speaking, Waking):
            self.speaking.wake = wake
        self._later = model.hearing if isinstance(model.hearing, HearingBeside) else None
        self.patient = self._later is not None
        """Whether the ends of turns wait for the words, as these take longer than a silence."""
        self._alone: Hearing[Any] = self._later.alone if self._later else model.hearing
        self._spare = deque(range(rows, self.speakers))
        self._beside = self._forked(threads) if forked and threads else None
        self._pool: Executor | None = None
        self._ears: Executor | None = None
        self._recordings: Executor | None = None
        if threads:
            self._pool = ThreadPoolExecutor(threads, thread_name_prefix="vivavoce-think")
            self._ears = ThreadPoolExecutor(1, thread_name_prefix="vivavoce-hear")
            self._recordings = ThreadPoolExecutor(1, thread_name_prefix="vivavoce-recordings")

    def _forked(self, threads: int) -> ForkedWorkers:
        """A process for each thread that thinks, one for ends of turns, one for recordings."""
        shared = (self.model.hearing, self._alone, self.model.thinking)
        trim()  # or each of them would keep what loading has left
        return ForkedWorkers(shared, threads + 2)

    def nbytes(self) -> int:
        """Memory of all states."""
        return self.activity.nbytes() + self.hearing.nbytes() + self.speaking.nbytes()

    def stop(self) -> None:
        """Ends the threads and processes."""
        for pool in (self._pool, self._ears, self._recordings):
            if pool:
                pool.shutdown(wait=False, cancel_futures=True)
        if self._beside is not None:
            self._beside.stop()

    # ---- steps of the clock ----

    def notice(self, frames: dict[int, Pcm], active: Tensor) -> list[float]:
        """Probability of speech (0 to 1) for each row's frame."""
        return self.model.activity.step(batch(frames, self.rows), self.activity, active).tolist()

    def hear(self, frames: dict[int, Pcm], active: Tensor) -> list[Heard | None]:
        """What each row's turn sounds like now."""
        return self.model.hearing.step(batch(frames, self.rows), self.hearing, active)

    def speak(self, speakers: list[int]) -> list[Spoken | None]:
        """A little more sound of these rows."""
        active = torch.zeros(self.speakers, dtype=torch.bool)
        active[speakers] = True
        return self.model.speaking.step(self.speaking, active)

    # ---- beside the clock ----

    def ponder(self, context: Context, recite: str | None, reading: Future[None] | None = None) -> Thoughts:
        """Begins to think of a reply, once what was to be read ahead was read."""
        thinking: Thinking = self._mind(context) if recite is None else Recital(recite)
        if recite is None and reading is not None:
            thinking = _AfterReading(thinking, reading)
        if self._pool is None:
            return InlineThoughts(thinking, context)
        return ThreadThoughts(thinking, context, self._pool, self._wake)

    def read(self, context: Context) -> Future[None] | None:
        """Lets the mind read ahead; cancelling what is given ends that. None where it cannot, or has no thread."""
        if self._pool is None or not isinstance(self.model.thinking, ReadingAhead):
            return None
        mind, found = self._mind(context), Future[None]()
        self._pool.submit(_read, mind, context, found)
        return found

    def _mind(self, context: Context) -> Any:
        """Who thinks, where it is to think."""
        here = (context.mind or self.model.minds[0]) not in self.model.thinks_elsewhere
        thinking = self.model.thinking
        return _Forked(thinking, self._beside) if self._beside is not None and here else thinking

    def hear_whole(self, row: int) -> Future[Heard]:
        """The final words of a row's turn, if nothing more comes."""
        if self._later is None:
            return self._found(self.model.hearing.later(self.hearing, row), self._ears)
        found = self._later.begun(self.hearing, row)
        found.add_done_callback(lambda _: self._wake())
        return found

    def hear_sooner(self, row: int) -> Future[Heard] | None:
        """What a row's turn is but for its words, where these take longer."""
        work = self.model.hearing.sooner(self.hearing, row)
        return None if work is None else self._found(work, self._ears)

    def hear_sound(self, sound: np.ndarray, options: HearingOptions) -> Future[Heard]:
        """The words of a recording (Int16[N]), with a state of its own; nobody's turn waits for it, nor anybody who
        thinks."""
        return self._found(partial(_words_of, self._alone, sound, options), self._recordings, about="recordings")

    def _found(self, work: Callable[[], Heard], pool: Executor | None, about: str = "") -> Future[Heard]:
        """What is found beside the steps, which are woken for it; at once where there are no threads. ``about`` as in
        `ForkedWorkers.iterate`."""
        if pool is not None:
            beside = self._beside
            found = pool.submit(work) if beside is None else pool.submit(beside.call, work, about)
            found.add_done_callback(lambda _: self._wake())
            return found
        given: Future[Heard] = Future()
        try:
            given.set_result(work())
        except Exception as error:  # a broken model must not take the other conversations with it
            given.set_exception(error)
        return given

    # ---- rows that are lent ----

    def spare_speaker(self) -> SpeakingRow | None:
        """A speaking row beside those of the conversations; None when all are in use."""
        return SpeakingRow(self.model.speaking, self.speaking, self._spare.popleft()) if self._spare else None

    def give_back(self, speaker: SpeakingRow) -> None:
        """A speaking row that was spare is so again."""
        speaker.stop()
        self._spare.append(speaker.number)


class ConversationRow(SpeakingRow):
    """One row of all states, as a conversation has it: ears, a mouth, and somebody who thinks."""

    def __init__(self, rows: ModelRows, number: int) -> None:
        """Lends it."""
        super().__init__(rows.model.speaking, rows.speaking, number)
        self._rows = rows
        self._mask = torch.zeros(rows.rows, dtype=torch.bool)
        self._mask[number] = True
        self.spare_speaker, self.give_back = rows.spare_speaker, rows.give_back
        self.hear_sound, self.patient = rows.hear_sound, rows.patient
        self._reading: Future[None] | None = None

    def hear_anew(self, options: HearingOptions) -> None:
        """Makes the hearing row fresh, to hear like this."""
        self._rows.hearing.reset(self._mask)
        self._rows.model.hearing.begin(self._rows.hearing, self.number, options)

    def hear_more(self, pcm: Pcm) -> None:
        """Has the row hear sound at 24 kHz, whole frames of it."""
        self._rows.hear({self.number: pcm}, self._mask)

    def hear_before(self, pcm: Pcm) -> None:
        """Takes what was said before all that was heard of this turn."""
        self._rows.model.hearing.precede(self._rows.hearing, self.number, pcm)

    def hear_rest(self) -> Heard:
        """The final words if nothing more comes."""
        return self._rows.model.hearing.finish(self._rows.hearing, self.number)

    def hear_whole(self) -> Future[Heard]:
        """The final words if nothing more comes; they are found while the steps go on."""
        return self._rows.hear_whole(self.number)

    def hear_sooner(self) -> Future[Heard] | None:
        """`hear_whole` at once and right in all but the words; None where that is as quick."""
        return self._rows.hear_sooner(self.number)

    def read(self, context: Context) -> None:
        """Lets the mind read ahead, and not what it was reading ahead before."""
        if self._reading is not None:
            self._reading.cancel()
        self._reading = self._rows.read(context)

    def ponder(self, context: Context, recite: str | None) -> Thoughts:
        """Begins to think of a reply."""
        return self._rows.ponder(context, recite, self._reading)

    def answers(self, ready: bool) -> None:
        """Speech is answered now, with what was prepared or not."""
        self._rows.stats.ready += ready
        self._rows.stats.unready += not ready

    def reset(self) -> None:
        """Makes the row fresh for the next conversation."""
        self.stop()
        if self._reading is not None:
            self._reading.cancel()
        self._reading = None
        for state in (self._rows.activity, self._rows.hearing):
            state.reset(self._mask)
