"""Batches made ahead of the step that takes them: in threads, or in worker processes where Python makes them slowly."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, TypeVar

import torch

BatchT = TypeVar("BatchT")
_BLOCK = 8
"""Steps that a worker process makes together: batches that follow each other may share work."""
_made_by: Callable[[int], Any]


def ahead(
    batches: Callable[[int], BatchT], begin: int, end: int, *, prefetch: int = 1, workers: int = 0
) -> Generator[BatchT, None, None]:
    """``batches(step)`` for every step from ``begin`` up to ``end``, in order.

    ``prefetch`` threads run ahead by as many steps; with ``workers`` > 0 so many processes (forked, so that nothing
    has to be pickled) do instead. What a batch is does not depend on who makes it.
    """
    size = _BLOCK if workers else 1
    pool: Executor
    if workers:
        context = multiprocessing.get_context("fork")
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_adopt, initargs=(batches,))
    else:
        pool = ThreadPoolExecutor(max(prefetch, 1))
    waiting: deque[Future[list[BatchT]]] = deque()
    coming = iter(range(begin // size * size, end, size))
    try:
        for _ in range(2 * workers or prefetch + 1):
            _submit(pool, waiting, coming, batches, size, workers)
        at = begin // size * size
        while waiting:
            made = waiting.popleft().result()
            _submit(pool, waiting, coming, batches, size, workers)
            for step, batch in enumerate(made, at):
                if begin <= step < end:
                    yield batch
            at += size
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(
    pool: Executor,
    waiting: deque[Future[list[BatchT]]],
    coming: Iterator[int],
    batches: Callable[[int], BatchT],
    size: int,
    workers: int,
) -> None:
    first = next(coming, None)
    if first is not None:
        waiting.append(pool.submit(_block, None if workers else batches, first, size))


def _adopt(batches: Callable[[int], Any]) -> None:
    """What a worker process begins with."""
    global _made_by
    _made_by = batches
    torch.set_num_threads(1)


def _block(batches: Callable[[int], BatchT] | None, first: int, size: int) -> list[BatchT]:
    make = _made_by if batches is None else batches
    return [make(step) for step in range(first, first + size)]
