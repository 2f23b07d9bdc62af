"""The same work on many things, several at a time."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(work: Callable[[T], R], things: Iterable[T], workers: int) -> Iterator[R]:
    """What ``work`` makes of each, in order; few wait to be taken, so that an error ends the work soon.

    One worker works right here: two threads on one core would wait for each other more than they work.
    """
    if workers == 1:
        yield from map(work, things)
        return
    with ThreadPoolExecutor(workers) as pool:
        coming: deque[Future[R]] = deque()
        try:
            for thing in things:
                coming.append(pool.submit(work, thing))
                if len(coming) > 2 * workers:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for waiting in coming:
                waiting.cancel()
