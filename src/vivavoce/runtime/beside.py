"""Long work in processes of its own, so that the clock is not held up: of several threads in Python one runs at a time.

The processes are forked from one that has loaded the model, so they share its weights and begin at once. What they are
sent refers to the parts of the model instead of holding them.
"""

import atexit
import gc
import io
import multiprocessing
import pickle
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from multiprocessing.connection import Connection
from threading import Condition
from typing import Any, Literal, TypeVar

import torch

from vivavoce.core.errors import VivavoceError
from vivavoce.core.memory import trim

ResultT = TypeVar("ResultT")
_CANCEL = b""
_GLANCE = 0.02
"""Seconds after which it is asked again whether work that goes on is still wanted."""
_Message = tuple[Literal["piece", "over", "broken"], Any]


class NotWanted(Exception):
    """Raised inside a piece of work whose result nobody waits for any more."""


def _always() -> bool:
    return True


_wanted: ContextVar[Callable[[], bool]] = ContextVar("_wanted", default=_always)


def go_on() -> None:
    """To be called by long work between its steps: raises NotWanted when nobody waits for it any more."""
    if not _wanted.get()():
        raise NotWanted


class _Pickler(pickle.Pickler):
    """Writes the shared objects as their places."""

    def __init__(self, file: io.BytesIO, shared: Sequence[object]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._shared = shared

    def persistent_id(self, obj: object) -> int | None:
        return next((place for place, one in enumerate(self._shared) if obj is one), None)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: Sequence[object]) -> None:
        super().__init__(file)
        self._shared = shared

    def persistent_load(self, pid: int) -> object:
        return self._shared[pid]


class ForkedWorkers:
    """So many processes; the work must be picklable, all but the ``shared`` objects."""

    def __init__(self, shared: Sequence[object], count: int) -> None:
        """Forks; the fewer threads run by then, the better."""
        self._shared = shared
        self._open: list[Connection] = []
        self._idle: list[tuple[Connection, str]] = []
        """Those that do nothing, with what each did last; the one that waits longest first."""
        self._freed = Condition()
        # The collector writes into every object that it looks at, and a page that is written to is shared no more.
        gc.collect()
        gc.freeze()
        for _ in range(count):
            self._put_back(self._fork(), "")
        atexit.register(self.stop)

    def _fork(self) -> Connection:
        ours, theirs = multiprocessing.Pipe()
        inherited = [*self._open, ours]
        process = multiprocessing.get_context("fork").Process(
            target=_serve, args=(theirs, inherited, self._shared), name="vivavoce-beside", daemon=True
        )
        process.start()
        theirs.close()
        self._open.append(ours)
        return ours

    def stop(self) -> None:
        """Ends the processes."""
        atexit.unregister(self.stop)
        for connection in self._open:
            connection.close()
        self._open.clear()
        gc.unfreeze()

    def call(self, work: Callable[[], ResultT], about: str = "", wanted: Callable[[], bool] | None = None) -> ResultT:
        """What ``work`` gives, made by whichever process is free; blocks, so it belongs on a thread. Otherwise as
        `iterate`."""
        (result,) = self.iterate(work, about, wanted)
        return result

    def _put_back(self, connection: Connection, about: str) -> None:
        with self._freed:
            self._idle.append((connection, about))
            self._freed.notify()

    def _take(self, about: str) -> Connection:
        """A process that is free: the last one that did such work, else the one that remembers the least."""
        with self._freed:
            self._freed.wait_for(lambda: self._idle)
            same = [place for place, (_, last) in enumerate(self._idle) if last == about]
            forgetful = [place for place, (_, last) in enumerate(self._idle) if not last]
            return self._idle.pop([*reversed(same), *forgetful, 0][0])[0]

    def iterate(
        self, work: Callable[[], Any], about: str = "", wanted: Callable[[], bool] | None = None
    ) -> Generator[Any, None, None]:
        """The pieces of the iterator that ``work`` makes (or the one thing that it makes), as they come.

        Work with the same ``about`` goes to the same process if that is free, as it may remember something of it.

        Closing this ends the work after the piece that is being made, or where it calls `go_on`; so does ``wanted``,
        which is asked while a piece is waited for, and then NotWanted is raised. Errors of the work are raised here;
        VivavoceError when its process has died, and then another one takes its place.
        """
        connection = self._take(about)
        running = False
        try:
            file = io.BytesIO()
            _Pickler(file, self._shared).dump(work)
            connection.send_bytes(file.getvalue())
            running = True
            while True:
                while wanted is not None and not connection.poll(_GLANCE):
                    if not wanted():
                        raise NotWanted
                kind, value = _received(connection)
                running = kind == "piece"
                if kind == "broken":
                    raise value
                if kind == "over":
                    return
                yield value
        except (EOFError, OSError) as error:
            running = False
            self._open.remove(connection)
            connection.close()
            connection = self._fork()
            raise VivavoceError("A process that thinks has ended; ask again.") from error
        finally:
            if running:
                connection.send_bytes(_CANCEL)
                while _received(connection)[0] == "piece":
                    pass
            self._put_back(connection, about)


class Lane:
    """One piece of work after the other: in a process of its own where ``forked``, on a thread where not, or at once
    where None.

    For a process, the work must be picklable, all but ``shared``. What was submitted can be cancelled until
    it is done: what runs then ends where it calls `go_on`.
    """

    def __init__(self, shared: object, forked: bool | None) -> None:
        """Forks where it has to."""
        self._beside = ForkedWorkers((shared,), 1) if forked else None
        self._pool = None if forked is None else ThreadPoolExecutor(1, thread_name_prefix="vivavoce-lane")
        self._last: Future[None] | None = None
        self._spare: Future[Any] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is being done and nothing waits."""
        return self._last is None or self._last.done()

    def submit(self, work: Callable[[], ResultT], *, spare: bool = False) -> Future[ResultT]:
        """What ``work`` gives, once its turn has come; ``spare`` work is cancelled when anything else is submitted."""
        found: Future[ResultT] = Future()
        if self._spare is not None:
            self._spare.cancel()
        self._spare = found if spare else None
        if self._pool is None:
            self._do(work, found)
        else:
            self._last = self._pool.submit(self._do, work, found)
            self._last.add_done_callback(lambda ran: ran.cancelled() and found.cancel())
        return found

    def _do(self, work: Callable[[], ResultT], found: Future[ResultT]) -> None:
        def wanted() -> bool:
            return not found.cancelled()

        try:
            if not wanted():
                return
            if self._beside is not None:
                result = self._beside.call(work, wanted=wanted)
            else:
                result = _asked_for(work, wanted)
        except NotWanted:
            found.cancel()
        except BaseException as error:
            if found.set_running_or_notify_cancel():
                found.set_exception(error)
        else:
            if found.set_running_or_notify_cancel():
                found.set_result(result)

    def stop(self) -> None:
        """Ends what it runs on; what waits is not done any more."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        if self._beside is not None:
            self._beside.stop()


def _asked_for(work: Callable[[], ResultT], wanted: Callable[[], bool]) -> ResultT:
    """Does the work; `go_on` asks whether it is ``wanted``."""
    before = _wanted.set(wanted)
    try:
        return work()
    finally:
        _wanted.reset(before)


def _received(connection: Connection) -> _Message:
    return pickle.loads(connection.recv_bytes())


def _serve(connection: Connection, inherited: Sequence[Connection], shared: Sequence[object]) -> None:
    """The life of a process: it ends when nobody holds the other end of its pipe any more."""
    for other in inherited:
        other.close()
    for number in (signal.SIGINT, signal.SIGTERM):  # who began the server ends it, and its replies may be finished
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
    while True:
        try:
            data = connection.recv_bytes()
            if data != _CANCEL:  # else it came after the work was over
                connection.send_bytes(_done(data, connection, shared))
                trim()  # what comes next may be long in coming
        except (EOFError, OSError):
            return


def _done(data: bytes, connection: Connection, shared: Sequence[object]) -> bytes:
    """Does the work, sends its pieces, and gives the last message."""
    try:
        made = _asked_for(_Unpickler(io.BytesIO(data), shared).load(), lambda: not connection.poll())
        for piece in made if isinstance(made, Iterator) else (made,):
            connection.send_bytes(_message("piece", piece))
            if connection.poll():
                connection.recv_bytes()
                break
    except OSError:
        raise
    except NotWanted:
        pass
    except Exception as error:
        try:
            message = _message("broken", error)
            pickle.loads(message)
        except Exception:  # an error that cannot be sent
            message = _message("broken", VivavoceError(f"{type(error).__name__}: {error}"))
        return message
    return _message("over", None)


def _message(kind: str, value: object) -> bytes:
    return pickle.dumps((kind, value), pickle.HIGHEST_PROTOCOL)
