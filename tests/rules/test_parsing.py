"""Threads that parse at the same time."""

import ast
import gc
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def test_threads_that_parse_do_not_disturb_each_other():
    """Whatever the garbage collector calls in between lets another thread in, as hypothesis' clock of it does."""
    text = (Path(__file__).parent / "test_names.py").read_text()

    def let_others_in(phase: str, _: dict[str, Any]) -> None:
        time.sleep(0)

    threshold = gc.get_threshold()
    gc.callbacks.append(let_others_in)
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor(4) as pool:
            trees = list(pool.map(lambda _: ast.parse(text), range(40)))
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(let_others_in)
    assert len({ast.dump(tree) for tree in trees}) == 1
