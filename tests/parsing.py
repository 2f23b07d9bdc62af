"""One thread parses Python at a time, where Python cannot bear two.

Before 3.11.8 all threads count the depth of the trees they make in one place, so that one which the garbage collector
lets in between fails with "AST constructor recursion depth mismatch" (https://github.com/python/cpython/issues/106905).
Here servers import on threads of their own what jaxtyping's hook parses, while hypothesis and schemathesis parse ours.
"""

import ast
import sys
import threading
from functools import wraps
from typing import Any

_parse = ast.parse
_turn = threading.RLock()


@wraps(_parse)
def _parsed(*args: Any, **kwargs: Any) -> Any:
    with _turn:
        return _parse(*args, **kwargs)


if sys.version_info < (3, 11, 8):
    ast.parse = _parsed
